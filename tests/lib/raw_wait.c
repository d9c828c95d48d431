/* What scripts can wait for. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "tests/lib/raw.h"

size_t
raw_unescape(char *s)
{
	static const char names[] = "nrt0\\", values[] = "\n\r\t\0\\";
	char *to = s, *from = s, hex[3] = "";
	const char *at;

	while (*from != '\0') {
		if (*from != '\\' || from[1] == '\0') {
			*to++ = *from++;
		} else if (from[1] == 'x' && from[2] != '\0' && from[3] != '\0') {
			memcpy(hex, from + 2, 2);
			*to++ = (char)strtoul(hex, NULL, 16);
			from += 4;
		} else {
			at = strchr(names, from[1]);
			*to++ = at != NULL ? values[at - names] : from[1];
			from += 2;
		}
	}
	*to = '\0';
	return (size_t)(to - s);
}

/* 1: equal; 0: have is the beginning of want; -1: neither. */
static int
compare(const void *have, size_t have_len, const void *want, size_t want_len)
{
	if (have_len > want_len || memcmp(have, want, have_len) != 0)
		return -1;
	return have_len == want_len;
}

/* Nothing more comes on a channel that is closed, or when the connection is over. */
static int
soon(const struct raw *x, const struct raw_chan *c)
{
	return x->over || (c != NULL && (c->n_close > 0 || c->refused)) ? -1 : 0;
}

static int
stream_is(const struct raw *x, const struct raw_chan *c, const struct buf *b, const char *arg)
{
	char *want = strdup(arg);
	size_t len;
	int r;

	if (want == NULL)
		return -1;
	len = raw_unescape(want);
	r = compare(buf_ptr(b), buf_len(b), want, len);
	free(want);
	return r != 0 ? r : soon(x, c);
}

static int
is_confirmed(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)arg;
	return c->confirmed ? 1 : soon(x, c);
}

static int
is_opened(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)arg;
	return c->opened ? 1 : soon(x, c);
}

static int
is_refused(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	if (c->refused)
		return c->reason == strtoul(arg, NULL, 10) ? 1 : -1;
	return x->over || c->confirmed ? -1 : 0;
}

static int
is_replies(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	int r = compare(c->replies, c->n_replies, arg, strlen(arg));

	return r != 0 ? r : soon(x, c);
}

static int
is_n_replies(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return c->n_replies >= strtoul(arg, NULL, 10) ? 1 : soon(x, c);
}

static int
is_out(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return stream_is(x, c, c->out, arg);
}

static int
is_err(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return stream_is(x, c, c->err, arg);
}

static int
is_out_len(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	size_t want = strtoul(arg, NULL, 10), have = buf_len(c->out);

	return have == want ? 1 : have > want ? -1 : soon(x, c);
}

static int
is_out_min(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return buf_len(c->out) >= strtoul(arg, NULL, 10) ? 1 : soon(x, c);
}

static int
is_err_has(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	if (memmem(buf_ptr(c->err), buf_len(c->err), arg, strlen(arg)) != NULL)
		return 1;
	return soon(x, c);
}

static int
is_out_has(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	if (memmem(buf_ptr(c->out), buf_len(c->out), arg, strlen(arg)) != NULL)
		return 1;
	return soon(x, c);
}

/* What was sent came back, all of it. */
static int
is_echoed(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	int r = compare(buf_ptr(c->out), buf_len(c->out), buf_ptr(c->sent), buf_len(c->sent));

	(void)arg;
	return r != 0 ? r : soon(x, c);
}

static int
is_eof(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)arg;
	return c->n_eof == 1 ? 1 : c->n_eof > 1 ? -1 : soon(x, c);
}

static int
is_close(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)arg;
	return c->n_close == 1 ? 1 : c->n_close > 1 || x->over ? -1 : 0;
}

static int
is_exit(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	if (c->n_exit == 1 && c->signal[0] == '\0')
		return c->status == strtoul(arg, NULL, 10) ? 1 : -1;
	return c->n_exit > 0 ? -1 : soon(x, c);
}

static int
is_signal(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	if (c->n_exit == 1 && c->signal[0] != '\0')
		return strcmp(c->signal, arg) == 0 ? 1 : -1;
	return c->n_exit > 0 ? -1 : soon(x, c);
}

/* The peer's requests so far, in order; what it asks to see whether we live does not count. */
static int
is_asked(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return strstr(c->asked, arg) != NULL ? 1 : soon(x, c);
}

static int
is_room(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	return c->room >= strtoull(arg, NULL, 10) ? 1 : soon(x, c);
}

static int
is_globals(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	int r = compare(x->globals, x->n_globals, arg, strlen(arg));

	(void)c;
	return r != 0 ? r : soon(x, NULL);
}

static int
is_n_globals(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)c;
	return x->n_globals >= strtoul(arg, NULL, 10) ? 1 : soon(x, NULL);
}

static int
is_over(const struct raw *x, const struct raw_chan *c, const char *arg)
{
	(void)c;
	return !x->over ? 0 : strstr(x->why, arg) != NULL ? 1 : -1;
}

static const struct {
	const char *name;
	int (*is)(const struct raw *x, const struct raw_chan *c, const char *arg);
	bool of_channel;
} table[] = {
	{ "confirmed", is_confirmed, true },
	{ "opened", is_opened, true },
	{ "refused", is_refused, true },
	{ "replies", is_replies, true },
	{ "n-replies", is_n_replies, true },
	{ "out", is_out, true },
	{ "err", is_err, true },
	{ "out-len", is_out_len, true },
	{ "out-min", is_out_min, true },
	{ "out-has", is_out_has, true },
	{ "err-has", is_err_has, true },
	{ "echoed", is_echoed, true },
	{ "eof", is_eof, true },
	{ "close", is_close, true },
	{ "exit", is_exit, true },
	{ "signal", is_signal, true },
	{ "asked", is_asked, true },
	{ "room", is_room, true },
	{ "globals", is_globals, false },
	{ "n-globals", is_n_globals, false },
	{ "over", is_over, false },
};

int
raw_is(const struct raw *x, const struct raw_chan *c, const char *what, const char *arg)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, what) == 0 && table[i].of_channel == (c != NULL))
			return table[i].is(x, c, arg);
	fprintf(stderr, "raw: no condition %s\n", what);
	exit(3);
}

static void
tail_of(const struct buf *b, char *dst, size_t size)
{
	size_t n = buf_len(b), at = n > 60 ? n - 60 : 0;

	str_escape(dst, size, buf_ptr(b) + at, n - at);
}

void
raw_describe(const struct raw *x, const struct raw_chan *c, char *dst, size_t size)
{
	char out[256] = "", err[256] = "";
	int n = snprintf(dst, size, "connection %s (%s) globals=%s", x->over ? "over" : "open",
	    x->why, x->globals);

	if (c == NULL || n < 0 || (size_t)n >= size)
		return;
	if (buf_len(c->out) > 0)
		tail_of(c->out, out, sizeof(out));
	if (buf_len(c->err) > 0)
		tail_of(c->err, err, sizeof(err));
	(void)snprintf(dst + n, size - (size_t)n,
	    " confirmed=%d refused=%d/%u \"%s\" replies=%s out=%zu \"%s\" err=%zu \"%s\" sent=%zu "
	    "room=%llu eof=%u exit=%u/%u %s close=%u asked=%s",
	    c->confirmed, c->refused, c->reason, c->text, c->replies, buf_len(c->out), out,
	    buf_len(c->err), err, buf_len(c->sent), (unsigned long long)c->room, c->n_eof,
	    c->n_exit, c->status, c->signal, c->n_close, c->asked);
}
