/* Scripts: what their file looks like is said at its head (raw.script); here is what each word does. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/ssh_msg.h"
#include "lib/str.h"
#include "tests/lib/raw.h"

struct step {
	struct raw *x;
	struct raw_chan *c; /* NULL: the connection */
	char *rest;	    /* of the line */
	char *err;
	size_t err_len;
};

static int
wrong(struct step *s, const char *what)
{
	(void)snprintf(s->err, s->err_len, "%s", what); /* cut is fine */
	return -1;
}

/* The next word of a line; "" at its end. */
static char *
word(char **rest)
{
	char *w = *rest + strspn(*rest, " \t"), *end = w + strcspn(w, " \t");

	*rest = *end == '\0' ? end : end + 1;
	*end = '\0';
	return w;
}

static uint32_t
number(char **rest)
{
	return (uint32_t)strtoul(word(rest), NULL, 0);
}

/* Until it is so, or never will be, or too late. */
static int
await(struct step *s, const char *what, const char *arg)
{
	int64_t end = raw_now_ms() + RAW_WAIT_S * 1000;
	char state[1500];
	int is;

	raw_pass(s->x, 0);
	while ((is = raw_is(s->x, s->c, what, arg)) == 0 && raw_now_ms() < end)
		raw_pass(s->x, 50);
	if (is == 1)
		return 0;
	raw_describe(s->x, s->c, state, sizeof(state));
	(void)snprintf(
	    s->err, s->err_len, "%s %s %s: %s", is == 0 ? "in time no" : "not", what, arg, state);
	return -1;
}

static void
forget(struct raw_chan *c)
{
	struct buf *out = c->out, *err = c->err, *sent = c->sent;

	buf_reset(out);
	buf_reset(err);
	buf_reset(sent);
	*c = (struct raw_chan){ .out = out, .err = err, .sent = sent };
}

/* open CH [TYPE [WINDOW [PACKET]]]; a window that is given grows by adjust alone. */
static int
do_open(struct step *s)
{
	struct buf *b = raw_msg(SSH_CHANNEL_OPEN);
	const char *type = word(&s->rest), *window, *packet;

	forget(s->c);
	window = word(&s->rest);
	packet = word(&s->rest);
	s->c->used = true;
	s->c->manual = *window != '\0';
	type = *type != '\0' ? type : "session";
	raw_put_str(b, type, strlen(type));
	raw_put_u32(b, RAW_FIRST + (uint32_t)(s->c - s->x->c));
	raw_put_u32(b, *window != '\0' ? (uint32_t)strtoul(window, NULL, 0) : RAW_WINDOW);
	raw_put_u32(b, *packet != '\0' ? (uint32_t)strtoul(packet, NULL, 0) : RAW_PACKET);
	raw_send(s->x, b);
	return 0;
}

/* confirm CH [WINDOW [PACKET]] */
static int
do_confirm(struct step *s)
{
	struct buf *b = raw_chan_msg(s->c, SSH_CHANNEL_OPEN_CONFIRMATION);
	const char *window = word(&s->rest), *packet = word(&s->rest);

	s->c->manual = *window != '\0';
	raw_put_u32(b, RAW_FIRST + (uint32_t)(s->c - s->x->c));
	raw_put_u32(b, *window != '\0' ? (uint32_t)strtoul(window, NULL, 0) : RAW_WINDOW);
	raw_put_u32(b, *packet != '\0' ? (uint32_t)strtoul(packet, NULL, 0) : RAW_PACKET);
	raw_send(s->x, b);
	return 0;
}

/* refuse CH REASON */
static int
do_refuse(struct step *s)
{
	struct buf *b = raw_chan_msg(s->c, SSH_CHANNEL_OPEN_FAILURE);

	raw_put_u32(b, number(&s->rest));
	raw_put_str(b, "no room here", 12);
	raw_put_str(b, "", 0);
	raw_send(s->x, b);
	return 0;
}

/* guess CH NUMBER: the channel's number at the peer, which has not said it yet */
static int
do_guess(struct step *s)
{
	s->c->peer = number(&s->rest);
	s->c->packet = RAW_PACKET;
	return 0;
}

/* reply CH S|F */
static int
do_reply(struct step *s)
{
	bool success = *word(&s->rest) == 'S';

	raw_send(s->x, raw_chan_msg(s->c, success ? SSH_CHANNEL_SUCCESS : SSH_CHANNEL_FAILURE));
	return 0;
}

/* data CH TEXT */
static int
do_data(struct step *s)
{
	raw_data(s->x, s->c, s->rest, raw_unescape(s->rest));
	return 0;
}

/* push CH BYTES [PACKET]: of the pattern, whatever the window says */
static int
do_push(struct step *s)
{
	uint32_t left = number(&s->rest), packet = number(&s->rest);

	packet = packet == 0 ? s->c->packet : packet;
	for (; left > 0 && !s->x->over; left -= left < packet ? left : packet)
		raw_pattern(s->x, s->c, left < packet ? left : packet);
	return 0;
}

/* over CH BYTES: so many more than the window has room for */
static int
do_over(struct step *s)
{
	uint64_t left = s->c->room + number(&s->rest);

	while (left > 0 && !s->x->over) {
		size_t n = left < s->c->packet ? (size_t)left : s->c->packet;

		raw_pattern(s->x, s->c, n);
		left -= n;
	}
	return 0;
}

/* pour CH BYTES: as the window allows */
static int
do_pour(struct step *s)
{
	int64_t end = raw_now_ms() + 2 * RAW_WAIT_S * 1000;
	size_t left = number(&s->rest), n;

	while (left > 0 && !s->x->over && raw_now_ms() < end) {
		n = left < s->c->packet ? left : s->c->packet;
		n = n < s->c->room ? n : (size_t)s->c->room;
		if (n > 0 && wire_backlog(s->x->w) < 262144)
			raw_pattern(s->x, s->c, n);
		else
			n = 0;
		raw_pass(s->x, n > 0 ? 0 : 50);
		left -= n;
	}
	return left == 0 ? 0 : wrong(s, "the window does not open");
}

/* ext CH CODE TEXT */
static int
do_ext(struct step *s)
{
	struct buf *b = raw_chan_msg(s->c, SSH_CHANNEL_EXTENDED_DATA);

	raw_put_u32(b, number(&s->rest));
	raw_put_str(b, s->rest, raw_unescape(s->rest));
	raw_send(s->x, b);
	return 0;
}

/* adjust CH BYTES */
static int
do_adjust(struct step *s)
{
	struct buf *b = raw_chan_msg(s->c, SSH_CHANNEL_WINDOW_ADJUST);

	raw_put_u32(b, number(&s->rest));
	raw_send(s->x, b);
	return 0;
}

static int
do_eof(struct step *s)
{
	raw_send(s->x, raw_chan_msg(s->c, SSH_CHANNEL_EOF));
	return 0;
}

static int
do_close(struct step *s)
{
	raw_send(s->x, raw_chan_msg(s->c, SSH_CHANNEL_CLOSE));
	return 0;
}

static struct buf *
request(struct step *s, const char *name, const char *reply)
{
	struct buf *b = raw_chan_msg(s->c, SSH_CHANNEL_REQUEST);
	uint8_t want = *reply == '+';

	raw_put_str(b, name, strlen(name));
	if (buf_put(b, &want, 1) != 0)
		exit(3);
	return b;
}

/* Fields of a message: s:text, u:number, b:number, each a word. */
static void
put_fields(struct buf *b, char *rest)
{
	const char *f;
	uint8_t bit;

	while (*(f = word(&rest)) != '\0') {
		if (f[0] == 's')
			raw_put_str(b, f + 2, strlen(f + 2));
		else if (f[0] == 'u')
			raw_put_u32(b, (uint32_t)strtoul(f + 2, NULL, 0));
		bit = f[0] == 'b' && f[2] != '0';
		if (f[0] == 'b' && buf_put(b, &bit, 1) != 0)
			exit(3);
	}
}

/* req CH +|- NAME FIELDS */
static int
do_req(struct step *s)
{
	const char *reply = word(&s->rest), *name = word(&s->rest);
	struct buf *b = request(s, name, reply);

	put_fields(b, s->rest);
	raw_send(s->x, b);
	return 0;
}

/* exec CH +|- COMMAND */
static int
do_exec(struct step *s)
{
	struct buf *b = request(s, "exec", word(&s->rest));

	raw_put_str(b, s->rest, strlen(s->rest));
	raw_send(s->x, b);
	return 0;
}

/* pty CH +|-: the modes are empty */
static int
do_pty(struct step *s)
{
	struct buf *b = request(s, "pty-req", word(&s->rest));
	char fields[] = "s:vt100 u:80 u:24 u:0 u:0 s:";

	put_fields(b, fields);
	raw_send(s->x, b);
	return 0;
}

/* global +|- NAME FIELDS */
static int
do_global(struct step *s)
{
	const char *reply = word(&s->rest), *name = word(&s->rest);
	struct buf *b = raw_msg(SSH_GLOBAL_REQUEST);
	uint8_t want = *reply == '+';

	raw_put_str(b, name, strlen(name));
	if (buf_put(b, &want, 1) != 0)
		exit(3);
	put_fields(b, s->rest);
	raw_send(s->x, b);
	return 0;
}

/* msg HEX: any message, as it stands */
static int
do_msg(struct step *s)
{
	char *hex = s->rest, pair[3] = "";
	struct buf *b;

	memcpy(pair, hex, 2);
	b = raw_msg((uint8_t)strtoul(pair, NULL, 16));
	for (hex += 2; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
		uint8_t v;

		if (hex[0] == ' ')
			hex++;
		memcpy(pair, hex, 2);
		v = (uint8_t)strtoul(pair, NULL, 16);
		if (buf_put(b, &v, 1) != 0)
			exit(3);
	}
	raw_send(s->x, b);
	return 0;
}

static int
do_disconnect(struct step *s)
{
	wire_disconnect(s->x->w, SSH_DISCONNECT_BY_APPLICATION, "done");
	return 0;
}

/* The connection breaks, without a word. */
static int
do_drop(struct step *s)
{
	if (!s->x->over && wire_flush(s->x->w) == 0 && shutdown(wire_fd(s->x->w), SHUT_RDWR) != 0)
		return wrong(s, strerror(errno));
	return 0;
}

/* wait CH|- WHAT ARG */
static int
do_wait(struct step *s)
{
	const char *what = word(&s->rest);

	return await(s, what, s->rest);
}

/* isnt CH|- WHAT ARG: not so, now */
static int
do_isnt(struct step *s)
{
	const char *what = word(&s->rest);

	raw_pass(s->x, 0);
	return raw_is(s->x, s->c, what, s->rest) == 1 ? wrong(s, what) : 0;
}

/* alive: a new channel works from its beginning to its end */
static int
do_alive(struct step *s)
{
	char command[] = "+ echo alive", none[] = "";
	struct step on = *s;

	on.c = &s->x->c[RAW_CHANNELS - 1];
	on.rest = none;
	if (do_open(&on) != 0 || await(&on, "confirmed", "") != 0)
		return -1;
	on.rest = command;
	if (do_exec(&on) != 0 || await(&on, "replies", "S") != 0 ||
	    await(&on, "out", "alive\\n") != 0 || await(&on, "exit", "0") != 0 ||
	    await(&on, "close", "") != 0)
		return -1;
	return do_close(&on);
}

static const struct {
	const char *name;
	int (*run)(struct step *s);
	bool of_channel;
} verbs[] = {
	{ "open", do_open, true },
	{ "confirm", do_confirm, true },
	{ "refuse", do_refuse, true },
	{ "guess", do_guess, true },
	{ "reply", do_reply, true },
	{ "data", do_data, true },
	{ "push", do_push, true },
	{ "over", do_over, true },
	{ "pour", do_pour, true },
	{ "ext", do_ext, true },
	{ "adjust", do_adjust, true },
	{ "eof", do_eof, true },
	{ "close", do_close, true },
	{ "req", do_req, true },
	{ "exec", do_exec, true },
	{ "pty", do_pty, true },
	{ "global", do_global, false },
	{ "msg", do_msg, false },
	{ "disconnect", do_disconnect, false },
	{ "drop", do_drop, false },
	{ "alive", do_alive, false },
	{ "wait", do_wait, true },
	{ "isnt", do_isnt, true },
};

static int
run_verb(struct step *s)
{
	const char *name = word(&s->rest), *chan;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		chan = verbs[i].of_channel ? word(&s->rest) : "-";
		if (*chan >= 'a' && *chan <= 'z')
			s->c = &s->x->c[*chan - 'a'];
		else if (strcmp(chan, "-") != 0)
			return wrong(s, "no such channel");
		return verbs[i].run(s);
	}
	return wrong(s, "no such word");
}

/* One line, or as many times as "repeat N" says. */
static int
run_line(struct raw *x, const char *text, char *err, size_t err_len)
{
	uint32_t times = 1;
	int r = 0;

	if (strncmp(text, "repeat ", 7) == 0) {
		times = (uint32_t)strtoul(text + 7, NULL, 10);
		text += 7 + strcspn(text + 7, " ");
		text += strspn(text, " ");
	}
	for (; times > 0 && r == 0; times--) {
		char *copy = strdup(text);
		struct step s = { .x = x, .rest = copy, .err = err, .err_len = err_len };

		if (copy == NULL)
			exit(3);
		r = run_verb(&s);
		free(copy);
	}
	return r;
}

/* What is left of a line when it is for who; NULL when not. */
static const char *
line_for(const char *line, const char *who)
{
	size_t n = strlen(who);

	if (line[0] == '>')
		return strcmp(who, "target") == 0 ? line + 1 + strspn(line + 1, " ") : NULL;
	if (strcmp(who, "target") == 0)
		return NULL;
	if (strncmp(line, "via: ", 5) != 0 && strncmp(line, "direct: ", 8) != 0)
		return line;
	return strncmp(line, who, n) == 0 && line[n] == ':' ? line + n + 2 : NULL;
}

int
raw_run(struct raw *x, const struct raw_file *f, const struct raw_script *s, const char *who,
    char *err, size_t err_len)
{
	char what[1800] = "";
	const char *line;

	for (uint32_t i = s->first; i < s->first + s->n; i++) {
		line = line_for(f->lines[i], who);
		if (line == NULL || line[0] == '#' || line[0] == '\0')
			continue;
		if (run_line(x, line, what, sizeof(what)) == 0)
			continue;
		(void)snprintf(err, err_len, "line %u \"%s\": %s", i + 1, line, what);
		return -1;
	}
	for (int n = 0; n < 100 && !x->over && (n == 0 || wire_backlog(x->w) > 0); n++)
		raw_pass(x, n == 0 ? 0 : 50); /* what was said last */
	return 0;
}

/* The file. */

static int
add_line(struct raw_file *f, char *line)
{
	struct raw_script *s = &f->scripts[f->n_scripts];

	line[strcspn(line, "\n")] = '\0';
	f->lines[f->n_lines++] = line;
	if (line[0] == '=') {
		char *rest = line + 1;

		(void)snprintf(s->name, sizeof(s->name), "%s", word(&rest));
		s->first = f->n_lines;
		s->rekey = strstr(rest, "rekey") != NULL;
		f->n_scripts++;
		return 0;
	}
	if (f->n_scripts == 0)
		return 0;
	s = &f->scripts[f->n_scripts - 1];
	s->n = f->n_lines - s->first;
	s->target = s->target || line[0] == '>';
	return 0;
}

int
raw_file_read(struct raw_file *f, const char *path)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	*f = (struct raw_file){ 0 };
	if (in == NULL)
		return -errno;
	f->lines = calloc(4096, sizeof(char *));
	f->scripts = calloc(256, sizeof(struct raw_script));
	while (f->lines != NULL && f->scripts != NULL && f->n_lines < 4096 && f->n_scripts < 255 &&
	       getline(&line, &size, in) >= 0) {
		if (add_line(f, line) != 0)
			break;
		line = NULL;
	}
	free(line);
	fclose(in);
	return f->n_scripts == 0 ? ERR_FORMAT : 0;
}

void
raw_file_free(struct raw_file *f)
{
	for (uint32_t i = 0; i < f->n_lines; i++)
		free(f->lines[i]);
	free(f->lines);
	free(f->scripts);
}

const struct raw_script *
raw_find(const struct raw_file *f, const char *name)
{
	for (uint32_t i = 0; i < f->n_scripts; i++)
		if (strcmp(f->scripts[i].name, name) == 0)
			return &f->scripts[i];
	return NULL;
}
