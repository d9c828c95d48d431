/* Channels of the person: one handler a frame, one a request; what is said waits for the front's credit. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/shell/shell.h"
#include "lib/log.h"
#include "lib/str.h"

#define OPEN_UNKNOWN_TYPE 3u	  /* RFC 4254 section 5.1 */
#define OPEN_RESOURCE_SHORTAGE 4u /* likewise */
#define OUT_MAX (64u << 20)	  /* bytes that wait for credit on one channel */
#define SIZE_MAX_CELLS 100000u	  /* a terminal is not wider or higher than this */

/* Saying. */

/* Without memory or a link there is nothing left to say either. */
static void
check(struct shell_chan *c, int r)
{
	if (r != 0 && !c->s->ended && !c->s->failed) {
		if (r != ERR_PEER_GONE) /* then the link tells */
			log_warn("shell.send_failed channel=%u reason=\"%s\"", c->id, err_str(r));
		c->s->failed = true;
	}
}

static bool
is_data(uint16_t type)
{
	return type == LINK_DATA || type == LINK_DATA_EXT;
}

/* Bytes of credit that a frame takes. */
static size_t
cost(uint16_t type, size_t len)
{
	return type == LINK_DATA ? len : type == LINK_DATA_EXT ? len - 4 : 0;
}

static void
send_now(struct shell_chan *c, uint16_t type, const void *data, size_t len)
{
	c->credit -= (int64_t)cost(type, len);
	if (c->s->link != NULL)
		check(c, ipc_send(c->s->link, type, c->id, data, len));
}

static void
keep(struct shell_chan *c, uint16_t type, const void *data, size_t len)
{
	int r = buf_put_u16(c->out, type);

	check(c, r != 0 ? r : buf_put_str(c->out, data, len));
}

void
chan_send(struct shell_chan *c, uint16_t type, const void *data, size_t len)
{
	if (c->closed || c->s->failed)
		return;
	if (type == LINK_EOF && c->out_eof)
		return;
	c->out_eof = c->out_eof || type == LINK_EOF;
	if (type == LINK_CLOSE)
		c->closed = true;
	/* Credit and answers do not wait behind data: the person may be waiting for them before taking any. */
	if (type == LINK_WINDOW || type == LINK_REPLY)
		send_now(c, type, data, len);
	else if (buf_len(c->out) > 0 || (is_data(type) && c->credit < (int64_t)cost(type, len)))
		keep(c, type, data, len);
	else
		send_now(c, type, data, len);
}

/* What waits and has credit now. A frame goes whole: they are small beside the credit that a front gives. */
static void
pump(struct shell_chan *c)
{
	while (buf_len(c->out) > 0) {
		struct buf *b = buf_view(buf_ptr(c->out), buf_len(c->out));
		const uint8_t *p;
		uint16_t type;
		size_t len;

		if (b == NULL || buf_get_u16(b, &type) != 0 || buf_get_str(b, &p, &len) != 0) {
			buf_free(b);
			check(c, -ENOMEM);
			return;
		}
		buf_free(b);
		if (is_data(type) && c->credit < (int64_t)cost(type, len))
			return;
		send_now(c, type, p, len);
		check(c, buf_skip(c->out, 6 + len));
	}
	buf_shrink(c->out, 4096);
}

static void
say(struct shell_chan *c, bool is_err, const char *text, size_t len)
{
	uint8_t frame[4 + LINK_DATA_MAX] = { 0, 0, 0, 1 };

	while (len > 0) {
		size_t n = len < LINK_DATA_MAX ? len : LINK_DATA_MAX;

		if (is_err) {
			memcpy(frame + 4, text, n);
			chan_send(c, LINK_DATA_EXT, frame, n + 4);
		} else {
			chan_send(c, LINK_DATA, text, n);
		}
		text += n;
		len -= n;
	}
}

void
chan_text(struct shell_chan *c, bool is_err, const char *text, size_t len)
{
	if (!c->pty) {
		say(c, is_err, text, len);
		return;
	}
	/* A terminal in raw mode: lines begin where we say. It has one stream. */
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;

		say(c, false, text, n);
		if (end == NULL)
			return;
		say(c, false, "\r\n", 2);
		text += n + 1;
		len -= n + 1;
	}
}

void
chan_line(struct shell_chan *c, const char *line)
{
	char text[1024];

	/* A line that is too long is cut, its newline stays. */
	if (str_format(text, sizeof(text) - 1, "bastiond: %s", line) != 0)
		log_debug("shell.line_cut channel=%u", c->id);
	chan_text(c, true, text, strlen(text));
	chan_text(c, true, "\n", 1);
}

void
chan_close(struct shell_chan *c)
{
	if (c->state == CHAN_OVER)
		return;
	c->state = CHAN_OVER;
	chan_send(c, LINK_EOF, NULL, 0);
	chan_send(c, LINK_CLOSE, NULL, 0);
}

void
chan_finish(struct shell_chan *c, uint32_t status)
{
	const uint8_t data[4] = { (uint8_t)(status >> 24), (uint8_t)(status >> 16),
		(uint8_t)(status >> 8), (uint8_t)status };

	if (c->state != CHAN_OVER)
		chan_send(c, LINK_EXIT_STATUS, data, sizeof(data));
	chan_close(c);
}

size_t
chan_waiting(const struct shell_chan *c)
{
	struct buf *b = buf_view(buf_ptr(c->out), buf_len(c->out));
	const uint8_t *p;
	uint16_t type;
	size_t n = 0, len;

	while (b != NULL && buf_get_u16(b, &type) == 0 && buf_get_str(b, &p, &len) == 0)
		n += cost(type, len);
	buf_free(b);
	return n;
}

void
chan_took(struct shell_chan *c, size_t n)
{
	c->taken += (uint32_t)n;
	if (c->taken >= LINK_CREDIT_STEP)
		chan_give(c);
}

void
chan_give(struct shell_chan *c)
{
	uint8_t data[4];

	if (c->taken == 0)
		return;
	data[0] = (uint8_t)(c->taken >> 24);
	data[1] = (uint8_t)(c->taken >> 16);
	data[2] = (uint8_t)(c->taken >> 8);
	data[3] = (uint8_t)c->taken;
	c->taken = 0;
	chan_send(c, LINK_WINDOW, data, sizeof(data));
}

/* Life of a channel. */

static struct shell_chan *
find(struct shell *s, uint32_t id)
{
	struct shell_chan *c;

	LIST_FOREACH (c, &s->chans, link)
		if (c->id == id)
			return c;
	return NULL;
}

struct shell_chan *
chan_find_leg(struct shell *s, uint32_t leg)
{
	struct shell_chan *c;

	LIST_FOREACH (c, &s->chans, link)
		if (c->state == CHAN_CONNECTS && c->leg == leg && leg != 0)
			return c;
	return NULL;
}

void
chan_free(struct shell_chan *c)
{
	LIST_REMOVE(c, link);
	c->s->n_chans--;
	factor_forget(c);
	ask_forget(c->ask);
	relay_free(c->relay);
	pick_free(c->pick);
	loop_timer_free(c->timer);
	buf_free(c->modes);
	buf_free(c->env);
	buf_free(c->in);
	buf_free(c->out);
	free(c);
}

static struct shell_chan *
chan_new(struct shell *s, uint32_t id)
{
	struct shell_chan *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->s = s;
	c->id = id;
	c->credit = LINK_CREDIT;
	LIST_INSERT_HEAD(&s->chans, c, link);
	s->n_chans++;
	if ((c->modes = buf_new(SHELL_MODES_MAX)) == NULL ||
	    (c->env = buf_new(SHELL_ENV_MAX)) == NULL ||
	    (c->in = buf_new(SHELL_INPUT_MAX)) == NULL || (c->out = buf_new(OUT_MAX)) == NULL ||
	    loop_timer_new(s->loop, chooser_timer, c, &c->timer) != 0) {
		chan_free(c);
		return NULL;
	}
	return c;
}

static int
fail_open(struct shell *s, uint32_t id, uint32_t reason, const char *text)
{
	struct buf *b = buf_new(128);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_u32(b, reason)) == 0 && (r = buf_put_cstr(b, text)) == 0)
		r = ipc_send_buf(s->link, LINK_OPEN_FAIL, id, b);
	buf_free(b);
	return r;
}

static int
on_open(struct shell *s, const struct ipc_msg *msg, struct buf *b)
{
	char type[64];

	if (msg->id == 0 || msg->id >= LINK_FROM_BACK || msg->id <= s->highest)
		return ERR_ORDER;
	s->highest = msg->id;
	if (buf_get_cstr(b, type, sizeof(type)) != 0 || strcmp(type, "session") != 0)
		return fail_open(
		    s, msg->id, OPEN_UNKNOWN_TYPE, "the bastion's own shell has sessions only");
	if (s->n_chans >= SHELL_CHANNELS_MAX || chan_new(s, msg->id) == NULL)
		return fail_open(s, msg->id, OPEN_RESOURCE_SHORTAGE, "too many channels are open");
	return ipc_send(s->link, LINK_OPEN_OK, msg->id, NULL, 0);
}

/* Connecting. */

void
chan_connected(struct shell_chan *c, int fd)
{
	c->leg = 0;
	c->state = CHAN_RELAY;
	if (relay_new(c, fd, &c->relay) != 0) {
		chan_line(c, "out of memory");
		chan_finish(c, 255);
	}
}

void
chan_refused(struct shell_chan *c, const char *line)
{
	c->leg = 0;
	chooser_refused(c, line);
}

/* What its input is for. */
static void
use_input(struct shell_chan *c)
{
	switch (c->state) {
	case CHAN_LINES:
		run_lines(c);
		break;
	case CHAN_PICK:
		chooser_input(c);
		break;
	case CHAN_RELAY:
		if (relay_opens(c->relay) && chooser_cancels(c))
			break;
		if (buf_len(c->in) > 0)
			relay_data(c->relay, buf_ptr(c->in), buf_len(c->in));
		buf_reset(c->in);
		buf_shrink(c->in, 4096);
		break;
	case CHAN_OVER:
	case CHAN_BUSY:
		if (c->one_command || c->state == CHAN_OVER) {
			chan_took(c, buf_len(c->in));
			buf_reset(c->in);
		}
		break;
	case CHAN_CONNECTS:
		if (factor_asks(c))
			factor_input(c);
		else
			(void)chooser_cancels(c);
		break;
	case CHAN_NEW:
	case CHAN_PICK_WAITS:
		break;
	}
}

static int
on_data(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	int r;

	(void)b;
	if (c->in_eof)
		return ERR_ORDER;
	/* More than that nobody has given credit for. */
	if ((r = buf_put(c->in, msg->data, msg->len)) != 0)
		return r;
	use_input(c);
	return 0;
}

static int
on_window(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	uint32_t n;

	(void)msg;
	if (buf_get_u32(b, &n) != 0 || c->credit + n > (int64_t)UINT32_MAX)
		return ERR_LIMIT;
	c->credit += n;
	pump(c);
	if (c->stale && buf_len(c->out) == 0)
		chooser_resize(c);
	if (c->state == CHAN_RELAY)
		relay_window(c->relay, n);
	return 0;
}

static int
on_eof(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	(void)msg;
	(void)b;
	if (c->in_eof)
		return ERR_ORDER;
	c->in_eof = true;
	if (c->state == CHAN_LINES)
		run_lines(c);
	else if (c->state == CHAN_PICK)
		chan_finish(c, 0);
	else if (c->state == CHAN_RELAY)
		relay_eof(c->relay);
	return 0;
}

/* Both have said it: the channel is no more. What was not said yet is not heard any more. */
static int
on_close(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	struct shell *s = c->s;
	int r = 0;

	(void)msg;
	(void)b;
	if (!c->closed || buf_len(c->out) > 0)
		r = ipc_send(s->link, LINK_CLOSE, c->id, NULL, 0);
	chan_free(c);
	return r;
}

/* Requests (RFC 4254 section 6): one handler each; true: success. */

static uint32_t
cells(uint32_t v)
{
	return v <= SIZE_MAX_CELLS ? v : SIZE_MAX_CELLS;
}

static bool
take_size(struct shell_chan *c, struct buf *b)
{
	uint32_t v[4];

	for (size_t i = 0; i < 4; i++)
		if (buf_get_u32(b, &v[i]) != 0)
			return false;
	c->cols = cells(v[0]);
	c->rows = cells(v[1]);
	c->width = v[2];
	c->height = v[3];
	return true;
}

static bool
on_pty(struct shell_chan *c, struct buf *b)
{
	const uint8_t *modes;
	char term[SHELL_TERM_SIZE];
	size_t len;

	if (c->pty || c->has_program || buf_get_cstr(b, term, sizeof(term)) != 0 ||
	    !take_size(c, b) || buf_get_str(b, &modes, &len) != 0 || buf_end(b) != 0 ||
	    buf_put(c->modes, modes, len) != 0)
		return false;
	memcpy(c->term, term, sizeof(term));
	c->pty = true;
	return true;
}

static bool
on_env(struct shell_chan *c, struct buf *b)
{
	const uint8_t *name, *value;
	size_t name_len, value_len;

	if (c->has_program || buf_get_str(b, &name, &name_len) != 0 ||
	    buf_get_str(b, &value, &value_len) != 0 || buf_end(b) != 0 ||
	    buf_room(c->env) < name_len + value_len + 8)
		return false;
	return buf_put_str(c->env, name, name_len) == 0 &&
	       buf_put_str(c->env, value, value_len) == 0;
}

static bool
on_window_change(struct shell_chan *c, struct buf *b)
{
	if (!c->pty || !take_size(c, b))
		return false;
	chooser_resize(c);
	return true;
}

static bool
on_shell(struct shell_chan *c, struct buf *b)
{
	if (c->has_program || buf_end(b) != 0)
		return false;
	c->has_program = true;
	return true;
}

static bool
on_exec(struct shell_chan *c, struct buf *b)
{
	if (c->has_program || buf_len(b) < 4)
		return false;
	c->has_program = c->one_command = true;
	return true;
}

/* What a signal would do to a program that is none. */
static bool
on_ignored(struct shell_chan *c, struct buf *b)
{
	(void)b;
	return c->has_program;
}

static const struct {
	const char *name;
	bool relayed; /* to a host's program, when one runs */
	bool (*handle)(struct shell_chan *c, struct buf *b);
} requests[] = {
	{ "pty-req", false, on_pty },
	{ "env", false, on_env },
	{ "shell", false, on_shell },
	{ "exec", false, on_exec },
	{ "window-change", true, on_window_change },
	{ "signal", true, on_ignored },
	{ "break", true, on_ignored },
	{ "eow@openssh.com", true, on_ignored },
};

static void
reply(struct shell_chan *c, uint32_t number, bool success)
{
	const uint8_t data[5] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16),
		(uint8_t)(number >> 8), (uint8_t)number, success };

	chan_send(c, LINK_REPLY, data, sizeof(data));
}

/* A program was asked for and allowed; the answer has been said. */
static void
start_program(struct shell_chan *c, struct buf *b)
{
	const uint8_t *line;
	size_t len;

	if (c->one_command) {
		c->state = CHAN_BUSY;
		/* A command in several frames is too long in the first already. */
		if (buf_get_str(b, &line, &len) != 0) {
			line = buf_ptr(b) + 4;
			len = buf_len(b) - 4;
		}
		run_command(c, line, len);
	} else if (c->pty) {
		chooser_start(c);
	} else {
		c->state = CHAN_LINES;
	}
	use_input(c);
}

static int
on_request(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	bool success = false, had = c->has_program;
	uint8_t want_reply;
	const uint8_t *raw;
	uint32_t number;
	char name[64];
	size_t len;

	if (buf_get_u32(b, &number) != 0)
		return ERR_FORMAT;
	raw = buf_ptr(b);
	len = buf_len(b);
	if (buf_get_cstr(b, name, sizeof(name)) != 0)
		name[0] = '\0';
	if (name[0] == '\0' || buf_get_u8(b, &want_reply) != 0)
		return name[0] == '\0' ? 0 : ERR_FORMAT;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (strcmp(requests[i].name, name) == 0) {
			if (c->state == CHAN_RELAY && requests[i].relayed &&
			    msg->len < LINK_REQUEST_PART) {
				relay_request(c->relay, number, want_reply != 0, raw, len);
				return 0;
			}
			success = c->state != CHAN_OVER && requests[i].handle(c, b);
		}
	if (want_reply != 0)
		reply(c, number, success);
	if (success && c->has_program && !had)
		start_program(c, b);
	return 0;
}

static int
on_reply(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	uint32_t number;
	uint8_t success;

	(void)msg;
	if (buf_get_u32(b, &number) != 0 || buf_get_u8(b, &success) != 0)
		return ERR_FORMAT;
	if (c->state == CHAN_RELAY)
		relay_reply(c->relay, number, success);
	return 0;
}

/* Nothing that a shell is asked for is so long: what its first frame had has been answered. */
static int
on_more(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b)
{
	(void)c;
	(void)msg;
	(void)b;
	return 0;
}

static const struct {
	uint16_t type;
	int (*handle)(struct shell_chan *c, const struct ipc_msg *msg, struct buf *b);
} frames[] = {
	{ LINK_DATA, on_data },
	{ LINK_WINDOW, on_window },
	{ LINK_EOF, on_eof },
	{ LINK_CLOSE, on_close },
	{ LINK_REQUEST, on_request },
	{ LINK_MORE, on_more },
	{ LINK_REPLY, on_reply },
};

static int
dispatch(struct shell *s, const struct ipc_msg *msg, struct buf *b)
{
	struct shell_chan *c;

	if (msg->type == LINK_OPEN)
		return on_open(s, msg, b);
	if ((c = find(s, msg->id)) == NULL)
		return msg->id != 0 && msg->id <= s->highest ? 0 : ERR_ORDER;
	/* After our CLOSE nothing counts but the other one. */
	if (c->closed && msg->type != LINK_CLOSE && msg->type != LINK_WINDOW)
		return 0;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		if (frames[i].type == msg->type)
			return frames[i].handle(c, msg, b);
	return ERR_FORMAT;
}

int
chan_frame(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	int r = b == NULL ? -ENOMEM : s->ended ? 0 : dispatch(s, msg, b);

	buf_free(b);
	return r;
}
