/*
 * A session on a host, in the middle of its two links: what one side says is said to the other, credit included, so that nothing is
 * kept here but what the person's front had no credit for at the start.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/shell/shell.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define CHANNEL 1u	   /* the one channel of the host's leg */
#define QUEUE_MAX 16384u   /* frames that wait for the recorder */
#define OPEN_PROHIBITED 1u /* RFC 4254 section 5.1 */
#define STATUS_DENIED 254u /* as fronts have it */
#define STATUS_BROKEN 255u /* likewise */
#define REQUEST_FIELDS_MAX (SHELL_MODES_MAX + 512u)

/* A request whose answer is outstanding: its number here, and on the side that asked. */
struct wait {
	uint32_t ours, theirs; /* ours 0: none */
};

struct relay {
	LIST_ENTRY(relay) link;
	struct shell *s;
	struct shell_chan *c; /* NULL: it is leaving */
	struct ipc *ipc;
	uint32_t requests; /* our own towards the host */
	uint32_t program;  /* number of the shell request */
	struct wait to_host[SHELL_WAITS_MAX], to_front[SHELL_WAITS_MAX];
	uint64_t sent;	 /* bytes of the person's that went to the host */
	uint64_t absorb; /* bytes of the front's credit that the host has already */
	bool eof, exit;	 /* EOF was said to the host; the host said how its program ended */
	bool runs;	 /* the host has started a shell, or sent something */
};

/* Towards the host. */

static void
say(struct relay *r, uint16_t type, const void *data, size_t len)
{
	if (r->ipc != NULL && ipc_send(r->ipc, type, CHANNEL, data, len) != 0)
		log_debug("shell.host_unheard type=%u", type); /* the edge ends by itself */
}

static bool
wait_add(struct wait *waits, uint32_t ours, uint32_t theirs)
{
	for (size_t i = 0; i < SHELL_WAITS_MAX; i++)
		if (waits[i].ours == 0) {
			waits[i] = (struct wait){ ours, theirs };
			return true;
		}
	return false;
}

static bool
wait_take(struct wait *waits, uint32_t ours, uint32_t *ret_theirs)
{
	for (size_t i = 0; i < SHELL_WAITS_MAX; i++)
		if (waits[i].ours == ours && ours != 0) {
			*ret_theirs = waits[i].theirs;
			waits[i].ours = 0;
			return true;
		}
	return false;
}

static void
put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* A request of our own; *ret_number may be NULL. */
static int
request(struct relay *r, const char *name, bool want_reply, const struct buf *fields,
    uint32_t *ret_number)
{
	struct buf *b = buf_new(REQUEST_FIELDS_MAX + SHELL_ENV_MAX);
	int e = -ENOMEM;

	if (b != NULL && (e = buf_put_u32(b, ++r->requests)) == 0 &&
	    (e = buf_put_cstr(b, name)) == 0 && (e = buf_put_u8(b, want_reply)) == 0 &&
	    (e = fields != NULL ? buf_put(b, buf_ptr(fields), buf_len(fields)) : 0) == 0)
		say(r, LINK_REQUEST, buf_ptr(b), buf_len(b));
	if (e == 0 && ret_number != NULL)
		*ret_number = r->requests;
	buf_free(b);
	return e;
}

static int
ask_env(struct relay *r)
{
	/* A view: they are asked for again after an opening that is cancelled. */
	struct buf *all = buf_view(buf_ptr(r->c->env), buf_len(r->c->env));
	int e = all == NULL ? -ENOMEM : 0;

	while (e == 0 && buf_len(all) > 0) {
		struct buf *one = buf_new(SHELL_ENV_MAX);
		const uint8_t *p;
		size_t len;

		e = one == NULL ? -ENOMEM : 0;
		for (int i = 0; i < 2 && e == 0; i++)
			if ((e = buf_get_str(all, &p, &len)) == 0)
				e = buf_put_str(one, p, len);
		if (e == 0)
			e = request(r, "env", false, one, NULL);
		buf_free(one);
	}
	buf_free(all);
	return e;
}

/* The person's terminal, as large as it is now (RFC 4254 section 6.2). */
static int
ask_pty(struct relay *r)
{
	const struct shell_chan *c = r->c;
	struct buf *b = buf_new(REQUEST_FIELDS_MAX);
	int e = -ENOMEM;

	if (b != NULL && (e = buf_put_cstr(b, c->term)) == 0 &&
	    (e = buf_put_u32(b, c->cols)) == 0 && (e = buf_put_u32(b, c->rows)) == 0 &&
	    (e = buf_put_u32(b, c->width)) == 0 && (e = buf_put_u32(b, c->height)) == 0 &&
	    (e = buf_put_str(b, buf_ptr(c->modes), buf_len(c->modes))) == 0)
		e = request(r, "pty-req", true, b, NULL);
	buf_free(b);
	return e;
}

/* What a front says first. */
static int
greet(struct relay *r)
{
	static const char type[] = "session";
	struct buf *b = buf_new(256);
	int e = -ENOMEM;

	if (b == NULL || (e = buf_put_u8(b, LINK_NOTE_CLIENT)) != 0 ||
	    (e = buf_put_cstr(b, "the bastion's own shell")) != 0 ||
	    (e = buf_put_cstr(b, "")) != 0 || (e = ipc_send_buf(r->ipc, LINK_NOTE, 0, b)) != 0)
		goto out;
	buf_reset(b);
	if ((e = buf_put_cstr(b, type)) == 0)
		say(r, LINK_OPEN, buf_ptr(b), buf_len(b));
out:
	buf_free(b);
	return e;
}

/* Its end. */

/* END was said, or need not be: gone once the recorder has taken it. */
static void
let_go(struct relay *r)
{
	if (r->ipc != NULL && ipc_queued(r->ipc) > 0) {
		r->c = NULL;
		LIST_INSERT_HEAD(&r->s->leaving, r, link);
		return;
	}
	ipc_free(r->ipc);
	free(r);
}

static void
leaving_gone(struct relay *r)
{
	struct shell *s = r->s;

	LIST_REMOVE(r, link);
	ipc_free(r->ipc);
	free(r);
	shell_relay_left(s);
}

void
relay_free_leaving(struct shell *s)
{
	struct relay *r;

	while ((r = LIST_FIRST(&s->leaving)) != NULL) {
		LIST_REMOVE(r, link);
		ipc_free(r->ipc);
		free(r);
	}
}

static const uint8_t end_frame[] = { LINK_END_CLIENT, 0, 0, 0, 0 };

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	if (r->ipc != NULL && ipc_send(r->ipc, LINK_END, 0, end_frame, sizeof(end_frame)) != 0)
		log_debug("shell.host_end_unheard");
	let_go(r);
}

bool
relay_opens(const struct relay *r)
{
	return !r->runs;
}

bool
relay_unused(const struct relay *r)
{
	return r->sent == 0;
}

/* What the front waits for is answered: no host does it any more. What the host was sent, it has not taken. */
void
relay_cancel(struct relay *r)
{
	struct shell_chan *c = r->c;
	uint8_t answer[5] = { 0 };

	for (size_t i = 0; i < SHELL_WAITS_MAX; i++) {
		if (r->to_host[i].ours == 0)
			continue;
		put_u32(answer, r->to_host[i].theirs);
		chan_send(c, LINK_REPLY, answer, sizeof(answer));
	}
	chan_took(c, (size_t)r->sent);
	relay_free(r);
}

void
relay_decline(int fd)
{
	/* Nobody reads the answer: the recorder ends such a session by what it is told. */
	if (ipc_plain_hello(fd) != 0 ||
	    ipc_plain_send(fd, LINK_END, 0, end_frame, sizeof(end_frame), NULL, 0) != 0)
		log_debug("shell.decline_unheard");
	fd_close(&fd);
}

/* The session is over: the channel ends as it did, and the leg with it. */
static void
over(struct relay *r, const char *line, uint32_t status)
{
	struct shell_chan *c = r->c;

	if (line != NULL)
		chan_line(c, line);
	c->relay = NULL;
	if (r->exit)
		chan_close(c);
	else
		chan_finish(c, status);
	relay_free(r);
}

/* The host's frames: one handler each. They return negative for what breaks the link's rules. */

static int
on_pass(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	(void)b;
	r->runs = true;
	r->exit = r->exit || msg->type == LINK_EXIT_STATUS || msg->type == LINK_EXIT_SIGNAL;
	chan_send(r->c, msg->type, msg->data, msg->len);
	return 0;
}

/* RFC 4254 section 5.3: both sides close; what the program's end was has been said. */
static int
on_close(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	(void)msg;
	(void)b;
	say(r, LINK_CLOSE, NULL, 0);
	over(r, NULL, STATUS_BROKEN);
	return 0;
}

static int
on_request(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	uint8_t answer[5] = { 0 }, want_reply;
	const uint8_t *name;
	uint32_t number;
	uint8_t *copy;
	size_t len;

	if (buf_get_u32(b, &number) != 0 || buf_get_str(b, &name, &len) != 0 ||
	    buf_get_u8(b, &want_reply) != 0)
		return ERR_FORMAT;
	if (want_reply != 0 && !wait_add(r->to_front, r->c->requests + 1, number)) {
		put_u32(answer, number);
		say(r, LINK_REPLY, answer, sizeof(answer));
		return 0;
	}
	if ((copy = malloc(msg->len)) == NULL)
		return -ENOMEM;
	memcpy(copy, msg->data, msg->len);
	put_u32(copy, ++r->c->requests);
	chan_send(r->c, LINK_REQUEST, copy, msg->len);
	free(copy);
	return 0;
}

static int
on_reply(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	uint32_t number, theirs;
	uint8_t answer[5];

	(void)msg;
	if (buf_get_u32(b, &number) != 0 || buf_get_u8(b, &answer[4]) != 0)
		return ERR_FORMAT;
	if (number == r->program && answer[4] == 0) {
		over(r, "the host refused to start a shell", STATUS_BROKEN);
	} else if (number == r->program) {
		r->runs = true;
	} else if (wait_take(r->to_host, number, &theirs)) {
		put_u32(answer, theirs);
		chan_send(r->c, LINK_REPLY, answer, sizeof(answer));
	}
	return 0;
}

static int
on_open_ok(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	(void)r;
	(void)msg;
	(void)b;
	return 0;
}

static int
on_open_fail(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	char text[256], line[320];
	const uint8_t *p;
	uint32_t reason;
	size_t len;

	(void)msg;
	if (buf_get_u32(b, &reason) != 0 || buf_get_str(b, &p, &len) != 0)
		return ERR_FORMAT;
	(void)snprintf(line, sizeof(line), "the host refused the session: %s",
	    str_plain(text, sizeof(text), p, len));
	over(r, line, STATUS_BROKEN);
	return 0;
}

/* Nothing here asked the host to open anything. */
static int
on_open(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	static const uint8_t refusal[] = { 0, 0, 0, OPEN_PROHIBITED, 0, 0, 0, 0 };

	(void)b;
	if (ipc_send(r->ipc, LINK_OPEN_FAIL, msg->id, refusal, sizeof(refusal)) != 0)
		log_debug("shell.host_unheard type=%u", msg->type);
	return 0;
}

static int
on_global(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	uint8_t answer[5] = { 0 }, want_reply;
	const uint8_t *name;
	uint32_t number;
	size_t len;

	(void)msg;
	if (buf_get_u32(b, &number) != 0 || buf_get_str(b, &name, &len) != 0 ||
	    buf_get_u8(b, &want_reply) != 0)
		return ERR_FORMAT;
	put_u32(answer, number);
	if (want_reply != 0 && ipc_send(r->ipc, LINK_GLOBAL_REPLY, 0, answer, sizeof(answer)) != 0)
		log_debug("shell.host_unheard type=%u", msg->type);
	return 0;
}

/* What policy said of what we asked for. */
static int
on_note(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	uint8_t note, verdict;
	const uint8_t *asked, *p;
	size_t asked_len, len;
	uint32_t channel;
	char line[512];

	(void)msg;
	if (buf_get_u8(b, &note) != 0)
		return ERR_FORMAT;
	if (note != LINK_NOTE_VERDICT)
		return 0;
	if (buf_get_u32(b, &channel) != 0 || buf_get_u8(b, &verdict) != 0 ||
	    buf_get_str(b, &asked, &asked_len) != 0 || buf_get_str(b, &p, &len) != 0)
		return ERR_FORMAT;
	if (verdict != POL_DENY)
		return 0;
	str_plain(line, sizeof(line), p, len);
	if (asked_len == 5 && memcmp(asked, "shell", 5) == 0)
		over(r, line, STATUS_DENIED);
	else
		chan_line(r->c, line);
	return 0;
}

static int
on_end(struct relay *r, struct ipc_msg *msg, struct buf *b)
{
	const uint8_t *p;
	char line[512];
	uint8_t code;
	size_t len;

	(void)msg;
	if (buf_get_u8(b, &code) != 0 || buf_get_str(b, &p, &len) != 0)
		return ERR_FORMAT;
	str_plain(line, sizeof(line), p, len);
	ipc_free(r->ipc);
	r->ipc = NULL;
	over(r, line[0] != '\0' ? line : "the session ended", STATUS_BROKEN);
	return 0;
}

static const struct {
	uint16_t type;
	int (*handle)(struct relay *r, struct ipc_msg *msg, struct buf *b);
} handlers[] = {
	{ LINK_DATA, on_pass },
	{ LINK_DATA_EXT, on_pass },
	{ LINK_WINDOW, on_pass },
	{ LINK_EOF, on_pass },
	{ LINK_EXIT_STATUS, on_pass },
	{ LINK_EXIT_SIGNAL, on_pass },
	{ LINK_CLOSE, on_close },
	{ LINK_REQUEST, on_request },
	{ LINK_REPLY, on_reply },
	{ LINK_OPEN_OK, on_open_ok },
	{ LINK_OPEN_FAIL, on_open_fail },
	{ LINK_OPEN, on_open },
	{ LINK_GLOBAL, on_global },
	{ LINK_NOTE, on_note },
	{ LINK_END, on_end },
};

static int
on_frame(void *arg, struct ipc_msg *msg)
{
	struct relay *r = arg;
	struct buf *b;
	int e = 0;

	if (r->c == NULL)
		return 0; /* it is leaving */
	if ((b = buf_view(msg->data, msg->len)) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == msg->type) {
			e = handlers[i].handle(r, msg, b);
			break;
		}
	buf_free(b);
	return e;
}

static void
on_gone(void *arg, int err)
{
	struct relay *r = arg;

	if (r->c == NULL) {
		leaving_gone(r);
		return;
	}
	if (err != ERR_PEER_GONE)
		log_warn("shell.host_link_broken reason=\"%s\"", err_str(err));
	ipc_free(r->ipc);
	r->ipc = NULL;
	over(r, "recording stopped: session ended", STATUS_BROKEN);
}

static void
on_drained(void *arg)
{
	struct relay *r = arg;

	if (r->c == NULL)
		leaving_gone(r);
}

#define FRAME(type, min, max)                                                                      \
	{                                                                                          \
		type, #type, min, max, 0, IPC_ANY_STATE, on_frame                                  \
	}

static const struct ipc_rule rules[] = {
	FRAME(LINK_DATA, 1, LINK_DATA_MAX),
	FRAME(LINK_DATA_EXT, 5, LINK_DATA_MAX + 4),
	FRAME(LINK_WINDOW, 4, 4),
	FRAME(LINK_EOF, 0, 0),
	FRAME(LINK_EXIT_STATUS, 4, 4),
	FRAME(LINK_EXIT_SIGNAL, 13, IPC_MAX),
	FRAME(LINK_CLOSE, 0, 0),
	FRAME(LINK_REQUEST, 9, IPC_MAX),
	FRAME(LINK_REPLY, 5, 5),
	FRAME(LINK_OPEN_OK, 0, IPC_MAX),
	FRAME(LINK_OPEN_FAIL, 8, IPC_MAX),
	FRAME(LINK_OPEN, 4, IPC_MAX),
	FRAME(LINK_GLOBAL, 9, IPC_MAX),
	FRAME(LINK_NOTE, 1, IPC_MAX),
	FRAME(LINK_END, 5, IPC_MAX),
};

static int
start(struct relay *r)
{
	struct shell_chan *c = r->c;
	int e;

	if ((e = greet(r)) != 0 || (e = ask_env(r)) != 0 || (e = ask_pty(r)) != 0 ||
	    (e = request(r, "shell", true, NULL, &r->program)) != 0)
		return e;
	/* What was typed meanwhile is the host's; the credit for it comes from there. */
	if (buf_len(c->in) > 0)
		relay_data(r, buf_ptr(c->in), buf_len(c->in));
	buf_reset(c->in);
	buf_shrink(c->in, 0);
	if (c->in_eof)
		relay_eof(r);
	return 0;
}

int
relay_new(struct shell_chan *c, int fd, struct relay **ret_relay)
{
	struct relay *r = calloc(1, sizeof(*r));
	const struct ipc_conf conf = { .name = "host-link",
		.queue_max = QUEUE_MAX,
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.arg = r,
		.gone = on_gone,
		.drained = on_drained };
	int e = -ENOMEM;

	if (r == NULL || (e = ipc_new(c->s->loop, fd, &conf, &r->ipc)) != 0) {
		fd_close(&fd);
		free(r);
		return e;
	}
	r->s = c->s;
	r->c = c;
	chan_give(c);
	/* The host may send LINK_CREDIT bytes; the front takes less, until it has given back what the picker has used. */
	r->absorb = (uint64_t)((int64_t)LINK_CREDIT - c->credit) + chan_waiting(c);
	if ((e = start(r)) != 0) {
		relay_free(r);
		return e;
	}
	*ret_relay = r;
	return 0;
}

/* The front's side. */

void
relay_data(struct relay *r, const uint8_t *data, size_t len)
{
	r->sent += r->eof ? 0 : len;
	while (len > 0 && !r->eof) {
		size_t n = len < LINK_DATA_MAX ? len : LINK_DATA_MAX;

		say(r, LINK_DATA, data, n);
		data += n;
		len -= n;
	}
}

void
relay_window(struct relay *r, uint32_t n)
{
	uint64_t own = n < r->absorb ? n : r->absorb;
	uint8_t data[4];

	r->absorb -= own;
	if (n == own)
		return;
	put_u32(data, n - (uint32_t)own);
	say(r, LINK_WINDOW, data, sizeof(data));
}

void
relay_request(struct relay *r, uint32_t number, bool want_reply, const uint8_t *data, size_t len)
{
	uint8_t answer[5] = { 0 };
	struct buf *b;

	if (want_reply && !wait_add(r->to_host, r->requests + 1, number)) {
		put_u32(answer, number);
		chan_send(r->c, LINK_REPLY, answer, sizeof(answer));
		return;
	}
	b = buf_new(len + 4);
	if (b != NULL && buf_put_u32(b, ++r->requests) == 0 && buf_put(b, data, len) == 0)
		say(r, LINK_REQUEST, buf_ptr(b), buf_len(b));
	buf_free(b);
}

void
relay_reply(struct relay *r, uint32_t number, uint8_t success)
{
	uint8_t answer[5];
	uint32_t theirs;

	if (!wait_take(r->to_front, number, &theirs))
		return;
	put_u32(answer, theirs);
	answer[4] = success;
	say(r, LINK_REPLY, answer, sizeof(answer));
}

void
relay_eof(struct relay *r)
{
	if (r->eof)
		return;
	r->eof = true;
	say(r, LINK_EOF, NULL, 0);
}
