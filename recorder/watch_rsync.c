/*
 * rsync --server, protocol 30 to 32: what files crossed. Both sides are followed element by element; literal bytes are
 * content only where the sender gives a file that the receiver asked for. Names are told as they stand in the file list,
 * relative to what the command names.
 *
 * An upload is not answered file by file. Its files are told when the program's exit status is known: 0 answers for all.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/watch_rsync_part.h"

#define FRAME_BASE 7 /* what kinds of frames are told above */

enum kind {
	KIND_DATA = 0,
	KIND_ERROR_FILE = 1,
	KIND_INFO = 2,
	KIND_ERROR = 3,
	KIND_WARNING = 4,
	KIND_ERROR_UTF8 = 8,
	KIND_IO_ERROR = 22,
	KIND_TIMEOUT = 33,
	KIND_NOTHING = 42,
	KIND_EXIT = 86,
	KIND_SUCCESS = 100,
	KIND_DELETED = 101,
	KIND_NOT_SENT = 102
};

static int
start(struct watch *w, const char *command)
{
	struct rs *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	w->state = s;
	rs_results_init(&s->results);
	if ((r = rs_options_read(&s->o, command)) != 0)
		return r;
	s->front.way = EVENT_FRONT;
	s->back.way = EVENT_BACK;
	s->sender = s->o.sender ? &s->back : &s->front;
	s->receiver = s->o.sender ? &s->front : &s->back;
	s->front.step = s->back.step = rs_step_version;
	s->front.need = s->back.need = 1;
	s->front.index = s->back.index = (struct rs_index){ -1, 1 };
	return 0;
}

static void
stop(struct watch *w)
{
	struct rs *s = w->state;

	if (s == NULL)
		return;
	rs_give_done(s);
	rs_unpack_free(s->unpack);
	rs_results_done(&s->results);
	rs_lists_done(&s->lists);
	free(s);
}

/* Messages beside the data. */

/* Words of the target about something that went wrong. */
static int
on_trouble(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;
	size_t len = x->n_text;

	if (x->way != EVENT_BACK)
		return 0;
	while (len > 0 && x->text[len - 1] == '\n')
		len--;
	str_escape(s->trouble, sizeof(s->trouble), x->text, len);
	if (!s->o.sender && rs_results_blame(&s->results, (const char *)x->text, len))
		return 0;
	return watch_remark(w, "rsync-error", s->trouble);
}

static int32_t
number_of(const struct rs_side *x)
{
	return (int32_t)((uint32_t)x->text[0] | (uint32_t)x->text[1] << 8 |
			 (uint32_t)x->text[2] << 16 | (uint32_t)x->text[3] << 24);
}

static int
on_exit_code(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	if (x->way == EVENT_BACK && x->text_len == 4) {
		s->has_code = true;
		s->code = (uint32_t)number_of(x);
	}
	return 0;
}

/* A receiving target deleted something; directories end in a NUL. */
static int
on_deleted(struct watch *w, struct rs_side *x)
{
	struct watch_file f = { .op = WATCH_REMOVE, .path = x->text, .path_len = x->n_text };

	if (x->way != EVENT_BACK || x->n_text == 0)
		return 0;
	if (x->text[x->n_text - 1] == '\0') {
		f.op = WATCH_RMDIR;
		f.path_len--;
	}
	f.cut = x->text_len > x->n_text;
	f.number = watch_number(w);
	f.answered = true;
	return watch_tell(w, &f);
}

static int
on_not_sent(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	return x == s->sender ? rs_give_none(w, number_of(x)) : RS_WRONG;
}

/* len: what it must have; -1: any. */
static const struct message {
	enum kind kind;
	int len;
	int (*on)(struct watch *w, struct rs_side *x); /* NULL: nothing that we tell */
} messages[] = {
	{ KIND_ERROR_FILE, -1, on_trouble },
	{ KIND_INFO, -1, NULL },
	{ KIND_ERROR, -1, on_trouble },
	{ KIND_WARNING, -1, NULL },
	{ KIND_ERROR_UTF8, -1, on_trouble },
	{ KIND_IO_ERROR, 4, NULL },
	{ KIND_TIMEOUT, 4, NULL },
	{ KIND_NOTHING, 0, NULL },
	{ KIND_EXIT, -1, on_exit_code },
	{ KIND_SUCCESS, 4, NULL },
	{ KIND_DELETED, -1, on_deleted },
	{ KIND_NOT_SENT, 4, on_not_sent },
};

static const struct message *
find_message(uint8_t kind)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].kind == kind)
			return &messages[i];
	return NULL;
}

static int
end_message(struct watch *w, struct rs_side *x)
{
	const struct message *m = find_message(x->tag);

	return m->on != NULL ? m->on(w, x) : 0;
}

/* Bytes. */

static int
flush(struct watch *w, const struct rs_side *x)
{
	struct rs *s = w->state;
	int r = watch_plain(w, x->way, s->untold, s->n_untold);

	s->untold += s->n_untold;
	s->n_untold = 0;
	return r;
}

/* Bytes that nobody reads further, from *left. */
static size_t
take_of(uint64_t *left, size_t len)
{
	size_t n = *left < len ? (size_t)*left : len;

	*left -= n;
	return n;
}

/* Part of an element. */
static int
take_element(struct watch *w, struct rs_side *x, const uint8_t *p, size_t len, size_t *ret_n)
{
	size_t n = x->need < len ? x->need : len;
	struct rs_cursor c = { x->element, 0, 0, 0 };
	int r;

	memcpy(x->element + x->n_element, p, n);
	x->n_element += n;
	x->need -= n;
	*ret_n = n;
	if (x->need > 0)
		return 0;
	c.len = x->n_element;
	r = x->step(w, x, &c);
	if (r == RS_SHORT) {
		x->need = c.need;
		return 0;
	}
	x->n_element = 0;
	x->need = 1;
	return r;
}

static int
take_literal(struct watch *w, struct rs_side *x, const uint8_t *p, size_t len, size_t *ret_n)
{
	struct rs *s = w->state;
	size_t n = take_of(&x->literal, len);
	int r;

	if ((r = flush(w, x)) != 0 || (r = rs_give_literal(w, p, n)) != 0)
		return r;
	s->untold = p + n;
	*ret_n = n;
	return 0;
}

/* The next bytes, without frames: at least one of them. */
static int
take_data(struct watch *w, struct rs_side *x, const uint8_t *p, size_t len, size_t *ret_n)
{
	struct rs *s = w->state;
	int r = 0;

	if (x->literal > 0)
		return take_literal(w, x, p, len, ret_n);
	if (x->skip > 0)
		*ret_n = take_of(&x->skip, len);
	else if (x->packed > 0)
		r = rs_give_packed(w, p, *ret_n = take_of(&x->packed, len));
	else
		r = take_element(w, x, p, len, ret_n);
	s->n_untold += *ret_n;
	return r;
}

/* A byte of a frame's head. */
static int
take_head(struct watch *w, struct rs_side *x, uint8_t byte)
{
	const struct message *m;
	struct rs *s = w->state;
	uint32_t len;

	s->n_untold++;
	x->head[x->n_head++] = byte;
	if (x->n_head < sizeof(x->head))
		return 0;
	x->n_head = 0;
	len = (uint32_t)x->head[0] | (uint32_t)x->head[1] << 8 | (uint32_t)x->head[2] << 16;
	if (byte < FRAME_BASE)
		return RS_WRONG;
	x->tag = (uint8_t)(byte - FRAME_BASE);
	x->frame_left = len;
	if (x->tag == KIND_DATA)
		return 0;
	m = find_message(x->tag);
	if (m == NULL || (m->len >= 0 && (uint32_t)m->len != len))
		return RS_WRONG;
	x->n_text = 0;
	x->text_len = len;
	return len == 0 ? end_message(w, x) : 0;
}

static int
take_text(struct watch *w, struct rs_side *x, const uint8_t *p, size_t len, size_t *ret_n)
{
	struct rs *s = w->state;
	size_t n = len < x->frame_left ? len : x->frame_left, room = sizeof(x->text) - x->n_text;

	memcpy(x->text + x->n_text, p, n < room ? n : room);
	x->n_text += n < room ? n : room;
	x->frame_left -= (uint32_t)n;
	s->n_untold += n;
	*ret_n = n;
	return x->frame_left == 0 ? end_message(w, x) : 0;
}

static int
take(struct watch *w, struct rs_side *x, const uint8_t *p, size_t len, size_t *ret_n)
{
	int r;

	while (x->before != NULL) {
		rs_before before = x->before;

		x->before = NULL;
		if ((r = before(w, x)) != 0)
			return r;
	}
	if (!x->framed)
		return take_data(w, x, p, len, ret_n);
	if (x->frame_left == 0) {
		*ret_n = 1;
		return take_head(w, x, *p);
	}
	if (x->tag != KIND_DATA)
		return take_text(w, x, p, len, ret_n);
	r = take_data(w, x, p, len < x->frame_left ? len : x->frame_left, ret_n);
	x->frame_left -= (uint32_t)*ret_n;
	return r;
}

static int
data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct rs *s = w->state;
	struct rs_side *x = way == EVENT_FRONT ? &s->front : &s->back;
	const uint8_t *to = p + len;
	int r;

	s->untold = p;
	s->n_untold = 0;
	while (p < to) {
		size_t n = 0;

		r = take(w, x, p, (size_t)(to - p), &n);
		if (r == RS_WRONG || r == RS_FULL)
			return watch_lost(w, way, s->untold, (size_t)(to - s->untold),
			    r == RS_FULL
				? "a longer list of files than is kept"
				: "not rsync's protocol 30 to 32 as the command asks for it");
		if (r != 0)
			return r;
		p += n;
	}
	return flush(w, x);
}

/* With status 0 none of the files went wrong; with another one of them did, or the only one. */
static int
end(struct watch *w)
{
	struct rs *s = w->state;
	bool answered;
	int r = 0;

	if (s->giving.track != NULL)
		r = rs_give_end(w, false);
	answered = s->has_code && (s->code == 0 || s->results.n == 1);
	return r != 0 ? r : rs_results_tell(w, &s->results, answered, s->code);
}

static int
exited(struct watch *w, uint32_t status)
{
	struct rs *s = w->state;

	s->has_code = true;
	s->code = status;
	return 0;
}

const struct watch_kind watch_rsync = { POL_STREAM_RSYNC, start, stop, data, end, exited };
