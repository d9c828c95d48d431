/* One table for channels, one for requests; a row's function says what is needed. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "policy/access.h"
#include "policy/ask.h"
#include "policy/command.h"
#include "recorder/link_proto.h"

#define FORCE_SFTP "internal-sftp" /* how certificates say "only sftp" */
#define ENV_NAME_MAX 256u
#define ENV_VALUE_MAX 4096u
#define WORD_MAX 64u /* bytes of a subsystem name */

/* What is judged, taken apart. */
struct judge {
	struct leg *leg;
	const struct set *set;
	const struct ask *ask;
	struct buf *replacement, *terms;
	struct ask_verdict *out;
	struct buf *b;	 /* the frame behind its name (and want_reply) */
	uint32_t number; /* of the request */
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

/*
 * Ask the rules again, as they are now: one of these rights. The person or the host may have left the policy since the
 * login. command: NULL, or what an exec would run.
 */
static bool
may(struct judge *j, unsigned rights, const char *command)
{
	const struct leg *leg = j->leg;
	const struct model *m = j->set != NULL ? j->set->model : NULL;
	const struct model_user *user = m != NULL ? model_find_user(m, leg->identity) : NULL;
	const struct model_host *host = m != NULL ? model_find_host(m, leg->host) : NULL;
	struct access_person who = {
		.principals = (const char *const *)leg->principals,
		.n_principals = leg->n_principals,
		.source = leg->source,
		.now_ns = j->ask->now_ns,
	};
	struct rules_question q;

	if (user == NULL || host == NULL)
		return false;
	q = access_question(user, leg->login, host, leg->host, &who);
	q.rights = rights;
	q.command = command;
	return rules_decide(m, &q, &j->out->rule, NULL);
}

static int
need(struct judge *j, unsigned right, const char *what)
{
	if (may(j, right, NULL))
		return allow(j);
	return deny(j, "%s is not allowed for %s on %s", what, j->leg->login, j->leg->host);
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

/* The right that a command needs, and whether it is there; says no in words that fit. */
static bool
command_allowed(struct judge *j, const char *command)
{
	static const unsigned rights[] = { [COMMAND_OTHER] = MODEL_EXEC,
		[COMMAND_SCP] = MODEL_SCP,
		[COMMAND_RSYNC] = MODEL_RSYNC,
		[COMMAND_MOSH] = 0 };
	enum command_kind kind = command_classify(command);
	int r;

	if (kind == COMMAND_MOSH) {
		r = deny(
		    j, "mosh is not possible here: its UDP would pass by the recording; use ssh");
		return r != 0;
	}
	if (may(j, rights[kind], command))
		return true;
	r = deny(j, "%s is not allowed for %s on %s",
	    kind == COMMAND_OTHER ? "this command" : model_right_name(rights[kind]), j->leg->login,
	    j->leg->host);
	return r != 0;
}

/* With force-command in the certificate, it runs whatever was asked for; the rules must allow it all the same. */
static int
run_forced(struct judge *j)
{
	const char *command = j->leg->force_command;

	if (strcmp(command, FORCE_SFTP) == 0) {
		if (!may(j, MODEL_SFTP, NULL))
			return deny(
			    j, "sftp is not allowed for %s on %s", j->leg->login, j->leg->host);
		return replace(j, "subsystem", "sftp");
	}
	return command_allowed(j, command) ? replace(j, "exec", command) : 0;
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
	char command[ASK_FRAME_MAX];

	if (buf_get_cstr(j->b, command, sizeof(command)) != 0 || buf_end(j->b) != 0)
		return deny(j, "malformed exec request");
	if (j->leg->force_command != NULL)
		return run_forced(j);
	return command_allowed(j, command) ? allow(j) : 0;
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
		return need(j, MODEL_SFTP, "sftp");
	str_escape(shown, sizeof(shown), name, strlen(name));
	return deny(j, "the subsystem %s is not allowed", shown);
}

static int
judge_pty(struct judge *j)
{
	if (j->leg->by_cert && (j->leg->permits & CERT_PERMIT_PTY) == 0)
		return deny(j, "the certificate does not permit a terminal");
	return need(j, MODEL_SHELL | MODEL_EXEC, "a terminal");
}

/* RFC 4254 section 6.4. What the host makes of a variable is its own affair; what could change a program is not sent. */
static int
judge_env(struct judge *j)
{
	static const char *const names[] = { "LANG", "LC_*", "TERM", "COLORTERM", "NO_COLOR" };
	char name[ENV_NAME_MAX], shown[ASK_NAME_SIZE];
	const uint8_t *value;
	size_t len;

	if (buf_get_cstr(j->b, name, sizeof(name)) != 0 || buf_get_str(j->b, &value, &len) != 0 ||
	    buf_end(j->b) != 0)
		return deny(j, "malformed env request");
	if (len > ENV_VALUE_MAX)
		return deny(j, "an environment variable that is too long");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_match(names[i], name))
			return allow(j);
	str_escape(shown, sizeof(shown), name, strlen(name));
	return deny(j, "the environment variable %s is not passed on", shown);
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

static int
judge_agent(struct judge *j)
{
	return deny(j, "agent forwarding is not allowed");
}

static int
judge_x11(struct judge *j)
{
	return deny(j, "X11 forwarding is not allowed");
}

static int
judge_forward(struct judge *j)
{
	return deny(j, "port forwarding is not allowed");
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
	{ "direct-tcpip", FROM_FRONT, judge_forward },
	{ "direct-streamlocal@openssh.com", FROM_FRONT, judge_forward },
	{ "tun@openssh.com", FROM_FRONT, judge_tunnel },
	{ "forwarded-tcpip", FROM_BACK, judge_forward },
	{ "forwarded-streamlocal@openssh.com", FROM_BACK, judge_forward },
	{ "auth-agent@openssh.com", FROM_BACK, judge_agent },
	{ "x11", FROM_BACK, judge_x11 },
};

/* Requests on a channel. */
static const struct row requests[] = {
	{ "pty-req", FROM_FRONT, judge_pty },
	{ "shell", FROM_FRONT, judge_shell },
	{ "exec", FROM_FRONT, judge_exec },
	{ "subsystem", FROM_FRONT, judge_subsystem },
	{ "env", FROM_FRONT, judge_env },
	{ "window-change", FROM_FRONT, judge_harmless },
	{ "signal", FROM_FRONT, judge_harmless },
	{ "break", FROM_FRONT, judge_harmless },
	{ "xon-xoff", FROM_BACK, judge_harmless },
	{ "eow@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "keepalive@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "auth-agent-req@openssh.com", FROM_FRONT, judge_agent },
	{ "x11-req", FROM_FRONT, judge_x11 },
};

/* Requests outside channels. */
static const struct row globals[] = {
	{ "no-more-sessions@openssh.com", FROM_FRONT, judge_harmless },
	{ "keepalive@openssh.com", FROM_FRONT | FROM_BACK, judge_harmless },
	{ "tcpip-forward", FROM_FRONT, judge_forward },
	{ "cancel-tcpip-forward", FROM_FRONT, judge_forward },
	{ "streamlocal-forward@openssh.com", FROM_FRONT, judge_forward },
	{ "cancel-streamlocal-forward@openssh.com", FROM_FRONT, judge_forward },
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
	if ((j.b = buf_view(ask->data, ask->len)) == NULL)
		return -ENOMEM;
	r = judge_frame(&j, f);
	buf_free(j.b);
	return r;
}
