/* One table for channels, one for requests; a row's function says what is needed. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/access.h"
#include "policy/ask.h"
#include "policy/command.h"
#include "recorder/link_proto.h"

#define WORD_MAX 64u	/* bytes of a subsystem name */
#define WHERE_SIZE 128u /* bytes of "host:port" in a line, escaped */

/* What is judged, taken apart. */
struct judge {
	struct leg *leg;
	const struct set *set;
	const struct ask *ask;
	struct buf *replacement, *terms;
	struct ask_verdict *out;
	bool known;		  /* the person still is somebody: */
	struct model_user person; /* as the rules see them now */
	const char **groups;	  /* theirs; owned; or NULL */
	struct buf *b;		  /* the frame behind its name (and want_reply) */
	uint32_t number;	  /* of the request */
	uint8_t want_reply;
};

static int PRINTF_LIKE(2, 3) deny(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	j->out->verdict = POL_DENY;
	j->out->rule = NULL;
	va_start(ap, fmt);
	if (vsnprintf(j->out->text, sizeof(j->out->text), fmt, ap) < 0)
		j->out->text[0] = '\0';
	va_end(ap);
	return 0;
}

static int
allow(struct judge *j)
{
	j->out->verdict = POL_ALLOW;
	return 0;
}

/* The person or the host may have left the policy since the login: false. */
static bool
make_question(const struct judge *j, struct access_person *who, struct rules_question *q)
{
	const struct leg *leg = j->leg;
	const struct model *m = j->set != NULL ? j->set->model : NULL;
	const struct model_host *host = m != NULL ? model_find_host(m, leg->host) : NULL;

	if (!j->known || host == NULL)
		return false;
	*who = (struct access_person){
		.principals = (const char *const *)leg->principals,
		.n_principals = leg->n_principals,
		.source = leg->source,
		.now_ns = j->ask->now_ns,
		.mfa = leg->mfa,
	};
	*q = access_question(&j->person, leg->login, host, leg->host, who);
	return true;
}

/*
 * Ask the rules again, as they are now, for one of these rights. command, forward: NULL, or what it would be used for.
 * Returns which of them there are.
 */
static unsigned
ask_rules(struct judge *j, unsigned rights, const char *command, const struct forward *forward)
{
	struct access_person who;
	struct rules_question q;
	unsigned left = 0;

	if (!make_question(j, &who, &q))
		return 0;
	q.rights = rights;
	q.command = command;
	q.forward = forward;
	/* As at login: also a rule that came since, or whose hours have begun, closes the host to who has one factor. */
	if (!who.mfa && rules_mfa(j->set->model, &q))
		return 0;
	if (!rules_decide(j->set->model, &q, &j->out->rule, &left))
		return 0;
	return rights != 0 ? left & rights : left;
}

static bool
may(struct judge *j, unsigned rights, const char *command)
{
	return ask_rules(j, rights, command, NULL) != 0;
}

/* Whether the certificate, if there is one, permits it. */
static bool
permitted(const struct judge *j, unsigned permit)
{
	return !j->leg->by_cert || (j->leg->permits & permit) != 0;
}

/* How the recorder reads what is allowed. */

static int
put_paths(struct judge *j, const struct rules_question *q, unsigned right)
{
	struct rules_limits paths;
	int r;

	rules_limits(j->set->model, q, right, &paths);
	if (paths.more)
		return ERR_LIMIT;
	r = buf_put_u32(j->terms, (uint32_t)paths.n);
	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = buf_put_cstr(j->terms, paths.v[i]);
	return r;
}

static int
put_terms(struct judge *j, enum pol_stream stream, unsigned rights)
{
	static const uint8_t none[8]; /* two empty lists of paths */
	unsigned file_rights = ((rights & MODEL_SFTP_READ) != 0 ? POL_FILES_READ : 0u) |
			       ((rights & MODEL_SFTP_WRITE) != 0 ? POL_FILES_WRITE : 0u);
	struct access_person who;
	struct rules_question q;
	bool known = make_question(j, &who, &q);
	bool keep = known && rules_keep(j->set->model, &q, rights);
	int r;

	if ((r = buf_put_u8(j->terms, (uint8_t)stream)) != 0 ||
	    (r = buf_put_u8(j->terms, keep ? POL_FILES_KEEP : POL_FILES_HASH)) != 0 ||
	    (r = buf_put_u8(j->terms, (uint8_t)file_rights)) != 0)
		return r;
	if (stream != POL_STREAM_SFTP || !known)
		return buf_put(j->terms, none, sizeof(none));
	return (r = put_paths(j, &q, MODEL_SFTP_READ)) != 0 ? r
							    : put_paths(j, &q, MODEL_SFTP_WRITE);
}

/* Behind allow() or replace(). A list of paths that does not fit is not cut short: then nothing crosses. */
static int
with_terms(struct judge *j, enum pol_stream stream, unsigned rights)
{
	int r;

	if (j->out->verdict == POL_DENY || (r = put_terms(j, stream, rights)) == 0)
		return 0;
	buf_reset(j->terms);
	buf_reset(j->replacement);
	return r == ERR_LIMIT ? deny(j, "the rules list too many paths for sftp") : r;
}

static int
not_allowed(struct judge *j, const char *what)
{
	return deny(j, "%s is not allowed for %s on %s", what, j->leg->login, j->leg->host);
}

static int
need(struct judge *j, unsigned right, const char *what)
{
	if (may(j, right, NULL))
		return allow(j);
	return not_allowed(j, what);
}

/* u32 number, string name, want_reply as they came, then the new fields. */
static int
begin_replacement(struct judge *j, const char *name)
{
	int r;

	if ((r = buf_put_u32(j->replacement, j->number)) != 0 ||
	    (r = buf_put_cstr(j->replacement, name)) != 0)
		return r;
	return buf_put_u8(j->replacement, j->want_reply);
}

static int
replace(struct judge *j, const char *name, const char *field)
{
	int r;

	if ((r = begin_replacement(j, name)) != 0 ||
	    (r = buf_put_cstr(j->replacement, field)) != 0) {
		buf_reset(j->replacement);
		return r == ERR_LIMIT ? deny(j, "the forced command is too long") : r;
	}
	j->out->verdict = POL_REPLACE;
	(void)snprintf(j->out->text, sizeof(j->out->text),
	    "the certificate forces another command than the one asked for");
	return 0;
}

/* What each kind of command needs, and how it is read. */
static const struct {
	unsigned right;
	const char *what;
	enum pol_stream stream;
} kinds[] = {
	[COMMAND_OTHER] = { MODEL_EXEC, "this command", POL_STREAM_PLAIN },
	[COMMAND_SCP] = { MODEL_SCP, "scp", POL_STREAM_SCP },
	[COMMAND_RSYNC] = { MODEL_RSYNC, "rsync", POL_STREAM_RSYNC },
};

/* Judge a command; cross says how it crosses when it may. */
static int
run(struct judge *j, const char *command, int (*cross)(struct judge *j, const char *command))
{
	enum command_kind kind = command_classify(command);
	int r;

	if (kind == COMMAND_MOSH)
		return deny(
		    j, "mosh is not possible here: its UDP would pass by the recording; use ssh");
	if (!may(j, kinds[kind].right, command))
		return not_allowed(j, kinds[kind].what);
	if ((r = cross(j, command)) != 0 || kinds[kind].stream == POL_STREAM_PLAIN)
		return r;
	return with_terms(j, kinds[kind].stream, kinds[kind].right);
}

static int
cross_as_asked(struct judge *j, const char *command)
{
	(void)command;
	return allow(j);
}

static int
cross_forced(struct judge *j, const char *command)
{
	return replace(j, "exec", command);
}

/* The sftp subsystem; forced: in place of something else. */
static int
run_sftp(struct judge *j, bool forced)
{
	unsigned rights = ask_rules(j, MODEL_SFTP, NULL, NULL);
	int r;

	if (rights == 0)
		return not_allowed(j, "sftp");
	if ((r = forced ? replace(j, "subsystem", "sftp") : allow(j)) != 0)
		return r;
	return with_terms(j, POL_STREAM_SFTP, rights);
}

/* With force-command in the certificate, it runs whatever was asked for; the rules must allow it all the same. */
static int
run_forced(struct judge *j)
{
	if (strcmp(j->leg->force_command, FORCE_SFTP) == 0)
		return run_sftp(j, true);
	return run(j, j->leg->force_command, cross_forced);
}

static int
judge_shell(struct judge *j)
{
	if (buf_end(j->b) != 0)
		return deny(j, "malformed shell request");
	return j->leg->force_command != NULL ? run_forced(j) : need(j, MODEL_SHELL, "a shell");
}

static int
judge_exec(struct judge *j)
{
	const uint8_t *p;
	char *command;
	size_t len;
	int r;

	if (buf_get_str(j->b, &p, &len) != 0 || buf_end(j->b) != 0 || memchr(p, '\0', len) != NULL)
		return deny(j, "malformed exec request");
	if (j->leg->force_command != NULL)
		return run_forced(j);
	if ((command = strndup((const char *)p, len)) == NULL)
		return -ENOMEM;
	r = run(j, command, cross_as_asked);
	free(command);
	return r;
}

static int
judge_subsystem(struct judge *j)
{
	char name[WORD_MAX], shown[WORD_MAX * 4];

	if (buf_get_cstr(j->b, name, sizeof(name)) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed subsystem request");
	if (j->leg->force_command != NULL && strcmp(j->leg->force_command, FORCE_SFTP) != 0)
		return run_forced(j);
	if (strcmp(name, "sftp") == 0)
		return run_sftp(j, false);
	str_escape(shown, sizeof(shown), name, strlen(name));
	return deny(j, "the subsystem %s is not allowed", shown);
}

static int
judge_pty(struct judge *j)
{
	if (!permitted(j, CERT_PERMIT_PTY))
		return deny(j, "the certificate does not permit a terminal");
	return need(j, MODEL_SHELL | MODEL_EXEC, "a terminal");
}

static int
judge_session(struct judge *j)
{
	if (buf_end(j->b) != 0)
		return deny(j, "malformed channel request");
	return may(j, 0, NULL) ? allow(j)
			       : deny(j, "nothing is allowed any more for %s on %s", j->leg->login,
				     j->leg->host);
}

static int
judge_harmless(struct judge *j)
{
	return allow(j);
}

/* Forwards. */

/* "db1:5432", "[::1]:80" or a path, escaped, for a line. */
static char *
show_forward(char dst[WHERE_SIZE], const struct forward *f)
{
	const char *name = f->host != NULL ? f->host : f->path;
	bool colons = f->host != NULL && strchr(name, ':') != NULL;
	char shown[WHERE_SIZE - 16];

	str_escape(shown, sizeof(shown), name, strlen(name));
	if (f->host == NULL)
		(void)snprintf(dst, WHERE_SIZE, "%s", shown);
	else
		(void)snprintf(dst, WHERE_SIZE, "%s%s%s:%u", colons ? "[" : "", shown,
		    colons ? "]" : "", (unsigned)f->port);
	return dst;
}

/*
 * One of the two rights to forward, for one place. The place is named in the line: who types several -L knows which.
 * what: "a forward to", "listening on".
 */
static int
need_forward(struct judge *j, unsigned right, const struct forward *f, const char *what)
{
	char where[WHERE_SIZE];

	if (!permitted(j, CERT_PERMIT_PORT_FORWARDING))
		return deny(j, "the certificate does not permit port forwarding");
	if (j->leg->force_command != NULL)
		return deny(j, "the certificate forces a command, and permits nothing beside it");
	if (ask_rules(j, right, NULL, f) != 0)
		return allow(j);
	return deny(j, "%s %s is not allowed for %s on %s", what, show_forward(where, f),
	    j->leg->login, j->leg->host);
}

/* string host or address, u32 port. */
static int
get_place(struct judge *j, char host[FORWARD_HOST_MAX + 1], struct forward *f)
{
	f->host = host;
	f->path = NULL;
	return buf_get_cstr(j->b, host, FORWARD_HOST_MAX + 1) == 0 &&
		       buf_get_u32(j->b, &f->port) == 0 && f->port <= UINT16_MAX
		   ? 0
		   : ERR_FORMAT;
}

static int
get_path(struct judge *j, char path[FORWARD_PATH_MAX + 1], struct forward *f)
{
	*f = (struct forward){ .path = path };
	return buf_get_cstr(j->b, path, FORWARD_PATH_MAX + 1);
}

static int
skip_str(struct judge *j)
{
	const uint8_t *p;
	size_t len;

	return buf_get_str(j->b, &p, &len);
}

/* Where a connection comes from, string and u32, and the end: RFC 4254 section 7.2. */
static int
get_origin(struct judge *j)
{
	uint32_t port;

	return skip_str(j) == 0 && buf_get_u32(j->b, &port) == 0 ? buf_end(j->b) : ERR_FORMAT;
}

static int
judge_direct(struct judge *j)
{
	char host[FORWARD_HOST_MAX + 1];
	struct forward f;
	int r;

	if (get_place(j, host, &f) != 0 || get_origin(j) != 0)
		return deny(j, "malformed direct-tcpip channel");
	if ((r = need_forward(j, MODEL_FORWARD, &f, "a forward to")) != 0)
		return r;
	return with_terms(j, POL_STREAM_FORWARD, 0);
}

/* OpenSSH's PROTOCOL section 2.4: string path, string and u32 that mean nothing. */
static int
judge_direct_socket(struct judge *j)
{
	char path[FORWARD_PATH_MAX + 1];
	struct forward f;
	int r;

	if (get_path(j, path, &f) != 0 || get_origin(j) != 0)
		return deny(j, "malformed direct-streamlocal channel");
	if ((r = need_forward(j, MODEL_FORWARD, &f, "a forward to the socket")) != 0)
		return r;
	return with_terms(j, POL_STREAM_FORWARD, 0);
}

/* A channel that the target opens for a listener that it was asked for. */
static int
judge_forwarded_from(struct judge *j, const struct forward *f)
{
	char where[WHERE_SIZE];

	if (!listens_has(&j->leg->listens, f))
		return deny(j, "nobody asked the target to listen on %s", show_forward(where, f));
	if (!permitted(j, CERT_PERMIT_PORT_FORWARDING) || !may(j, MODEL_REMOTE_FORWARD, NULL))
		return not_allowed(j, "remote forwarding");
	(void)allow(j);
	return with_terms(j, POL_STREAM_FORWARD, 0);
}

static int
judge_forwarded(struct judge *j)
{
	char host[FORWARD_HOST_MAX + 1];
	struct forward f;

	if (get_place(j, host, &f) != 0 || get_origin(j) != 0)
		return deny(j, "malformed forwarded-tcpip channel");
	return judge_forwarded_from(j, &f);
}

static int
judge_forwarded_socket(struct judge *j)
{
	char path[FORWARD_PATH_MAX + 1];
	struct forward f;

	if (get_path(j, path, &f) != 0 || skip_str(j) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed forwarded-streamlocal channel");
	return judge_forwarded_from(j, &f);
}

/* Noted when it is allowed, before the target has answered: it may be refused there, and then nothing comes. */
static int
judge_listen_on(struct judge *j, const struct forward *f, const char *what)
{
	int r;

	if ((r = need_forward(j, MODEL_REMOTE_FORWARD, f, what)) != 0 ||
	    j->out->verdict == POL_DENY)
		return r;
	r = listens_add(&j->leg->listens, f, j->want_reply != 0 ? j->number : 0);
	return r == ERR_LIMIT
		   ? deny(j, "at most %u remote forwards at a time are possible", LISTENS_MAX)
		   : r;
}

static int
judge_listen(struct judge *j)
{
	char host[FORWARD_HOST_MAX + 1];
	struct forward f;

	if (get_place(j, host, &f) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed tcpip-forward request");
	return judge_listen_on(j, &f, "listening on");
}

static int
judge_listen_socket(struct judge *j)
{
	char path[FORWARD_PATH_MAX + 1];
	struct forward f;

	if (get_path(j, path, &f) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed streamlocal-forward request");
	return judge_listen_on(j, &f, "listening on the socket");
}

static int
judge_cancel_of(struct judge *j, const struct forward *f)
{
	char where[WHERE_SIZE];

	if (listens_remove(&j->leg->listens, f))
		return allow(j);
	return deny(j, "there is no remote forward of %s", show_forward(where, f));
}

static int
judge_cancel(struct judge *j)
{
	char host[FORWARD_HOST_MAX + 1];
	struct forward f;

	if (get_place(j, host, &f) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed cancel-tcpip-forward request");
	return judge_cancel_of(j, &f);
}

static int
judge_cancel_socket(struct judge *j)
{
	char path[FORWARD_PATH_MAX + 1];
	struct forward f;

	if (get_path(j, path, &f) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed cancel-streamlocal-forward request");
	return judge_cancel_of(j, &f);
}

/* Agent and X11: the client asks on a session channel, then the target opens channels. */

static const struct offer {
	unsigned right, permit;
	const char *what;
	enum pol_stream stream;
} agent = { MODEL_AGENT, CERT_PERMIT_AGENT_FORWARDING, "agent forwarding", POL_STREAM_AGENT },
  x11 = { MODEL_X11, CERT_PERMIT_X11_FORWARDING, "X11 forwarding", POL_STREAM_PLAIN };

static int
judge_offer(struct judge *j, const struct offer *o)
{
	if (!permitted(j, o->permit))
		return deny(j, "the certificate does not permit %s", o->what);
	return need(j, o->right, o->what);
}

static int
judge_offer_asked(struct judge *j, const struct offer *o)
{
	int r = judge_offer(j, o);

	if (r == 0 && j->out->verdict == POL_ALLOW)
		j->leg->asked |= o->right;
	return r;
}

static int
judge_offer_used(struct judge *j, const struct offer *o)
{
	int r;

	if ((j->leg->asked & o->right) == 0)
		return deny(j, "nobody asked the target for %s", o->what);
	if ((r = judge_offer(j, o)) != 0 || o->stream == POL_STREAM_PLAIN)
		return r;
	return with_terms(j, o->stream, 0);
}

static int
judge_agent_request(struct judge *j)
{
	if (buf_end(j->b) != 0)
		return deny(j, "malformed auth-agent-req request");
	return judge_offer_asked(j, &agent);
}

static int
judge_agent_channel(struct judge *j)
{
	if (buf_end(j->b) != 0)
		return deny(j, "malformed auth-agent channel");
	return judge_offer_used(j, &agent);
}

/* RFC 4254 section 6.3.1: u8 single connection, string protocol, string cookie, u32 screen. */
static int
judge_x11_request(struct judge *j)
{
	uint32_t screen;
	uint8_t single;

	if (buf_get_u8(j->b, &single) != 0 || skip_str(j) != 0 || skip_str(j) != 0 ||
	    buf_get_u32(j->b, &screen) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed x11-req request");
	return judge_offer_asked(j, &x11);
}

static int
judge_x11_channel(struct judge *j)
{
	if (get_origin(j) != 0)
		return deny(j, "malformed x11 channel");
	return judge_offer_used(j, &x11);
}

static int
judge_tunnel(struct judge *j)
{
	return deny(j, "tunnels are not allowed");
}

/* The keys of the target are not the keys of the bastion, which the client would take them for. */
static int
judge_host_keys(struct judge *j)
{
	return deny(j, "the target's host keys stay behind the bastion");
}

#define FROM_FRONT 1u
#define FROM_BACK 2u

struct row {
	const char *name;
	unsigned from;
	int (*judge)(struct judge *j);
};

/* Channel types: RFC 4254, OpenSSH's PROTOCOL. */
static const struct row channels[] = {
	{ "session", FROM_FRONT, judge_session },
	{ "direct-tcpip", FROM_FRONT, judge_direct },
	{ "direct-streamlocal@openssh.com", FROM_FRONT, judge_direct_socket },
	{ "tun@openssh.com", FROM_FRONT, judge_tunnel },
	{ "forwarded-tcpip", FROM_BACK, judge_forwarded },
	{ "forwarded-streamlocal@openssh.com", FROM_BACK, judge_forwarded_socket },
	{ "auth-agent@openssh.com", FROM_BACK, judge_agent_channel },
	{ "x11", FROM_BACK, judge_x11_channel },
};

/* Requests on a channel. */
static const struct row requests[] = {
	{ "pty-req", FROM_FRONT, judge_pty },
	{ "shell", FROM_FRONT, judge_shell },
	{ "exec", FROM_FRONT, judge_exec },
	{ "subsystem", FROM_FRONT, judge_subsystem },
	{ "window-change", FROM_FRONT, judge_harmless },
	{ "signal", FROM_FRONT, judge_harmless },
	{ "break", FROM_FRONT, judge_harmless },
	{ "xon-xoff", FROM_BACK, judge_harmless },
	{ "eow@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "keepalive@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "auth-agent-req@openssh.com", FROM_FRONT, judge_agent_request },
	{ "x11-req", FROM_FRONT, judge_x11_request },
};

/* Requests outside channels. */
static const struct row globals[] = {
	{ "no-more-sessions@openssh.com", FROM_FRONT, judge_harmless },
	{ "keepalive@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "tcpip-forward", FROM_FRONT, judge_listen },
	{ "cancel-tcpip-forward", FROM_FRONT, judge_cancel },
	{ "streamlocal-forward@openssh.com", FROM_FRONT, judge_listen_socket },
	{ "cancel-streamlocal-forward@openssh.com", FROM_FRONT, judge_cancel_socket },
	{ "hostkeys-00@openssh.com", FROM_BACK, judge_host_keys },
	{ "hostkeys-prove-00@openssh.com", FROM_FRONT, judge_host_keys },
};

/* Frames that carry something to judge; request: with number and want_reply. */
static const struct {
	uint16_t type;
	const struct row *rows;
	size_t n_rows;
	bool request;
	const char *what;
} frames[] = {
	{ LINK_OPEN, channels, sizeof(channels) / sizeof(channels[0]), false, "channel type" },
	{ LINK_REQUEST, requests, sizeof(requests) / sizeof(requests[0]), true, "request" },
	{ LINK_GLOBAL, globals, sizeof(globals) / sizeof(globals[0]), true, "global request" },
};

static int
judge_frame(struct judge *j, size_t f)
{
	unsigned from = j->ask->from_back ? FROM_BACK : FROM_FRONT;
	char name[ASK_NAME_SIZE];

	if (frames[f].request && buf_get_u32(j->b, &j->number) != 0)
		return deny(j, "malformed %s", frames[f].what);
	if (buf_get_cstr(j->b, name, sizeof(name)) != 0)
		return deny(j, "malformed %s", frames[f].what);
	str_escape(j->out->name, sizeof(j->out->name), name, strlen(name));
	if (frames[f].request && (buf_get_u8(j->b, &j->want_reply) != 0 || j->want_reply > 1))
		return deny(j, "malformed %s", frames[f].what);
	for (size_t i = 0; i < frames[f].n_rows; i++)
		if (strcmp(frames[f].rows[i].name, name) == 0 &&
		    (frames[f].rows[i].from & from) != 0)
			return frames[f].rows[i].judge(j);
	return deny(j, "the %s %s is not allowed", frames[f].what, j->out->name);
}

int
ask_judge(struct leg *leg, const struct set *set, const struct ask *ask, struct buf *replacement,
    struct buf *terms, struct ask_verdict *ret)
{
	struct judge j = { .leg = leg,
		.set = set,
		.ask = ask,
		.replacement = replacement,
		.terms = terms,
		.out = ret };
	size_t f = 0;
	int r;

	*ret = (struct ask_verdict){ .verdict = POL_DENY };
	while (f < sizeof(frames) / sizeof(frames[0]) && frames[f].type != ask->type)
		f++;
	if (f == sizeof(frames) / sizeof(frames[0]))
		return deny(&j, "an unknown frame");
	r = set != NULL ? leg_person(leg, set, &j.person, &j.groups) : ERR_NOT_FOUND;
	if (r == -ENOMEM || (j.b = buf_view(ask->data, ask->len)) == NULL) {
		free(j.groups);
		return -ENOMEM;
	}
	j.known = r == 0;
	r = judge_frame(&j, f);
	free(j.groups);
	buf_free(j.b);
	return r;
}
