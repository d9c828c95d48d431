/* What echo.c decides about keys, as events. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "recorder/echo.h"
#include "recorder/recorder.h"
#include "recorder/recorder_link.h"
#include "recorder/recorder_typed.h"
#include "recorder/veil.h"

struct typed {
	LIST_ENTRY(typed) link;
	struct leg *leg;
	uint32_t channel;
	uint32_t request; /* number of the pty-req */
	struct echo *echo;
	struct veil_slot *slot;	    /* NULL: nothing is undecided */
	uint32_t pieces[ECHO_RUNS]; /* of run n at n % ECHO_RUNS, that are in the record */
	uint32_t last_run, decided; /* runs: the newest; the last that was shown or hidden */
	struct buf *payload;	    /* of the event that is made */
	bool hid;		    /* lengths of frames would tell how long something was */
	bool feedback;		    /* the record says that output is hidden */
};

static int
put(struct typed *t, enum event_way way, uint8_t type, int r)
{
	if (r == 0)
		r = leg_record(
		    t->leg, way, type, t->channel, buf_ptr(t->payload), buf_len(t->payload));
	buf_reset(t->payload);
	return r;
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	struct typed *t = arg;
	struct mask_piece piece;
	int r = masked_typed(t->leg, t->channel, p, n, &piece);

	return r != 0 ? r : masked_record(t->leg, EVENT_FRONT, t->channel, &piece);
}

/* That something was typed is in the record before it crosses. */
static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	struct typed *t = arg;
	uint8_t *key = t->slot->keys[run % ECHO_RUNS];
	uint32_t *pieces = &t->pieces[run % ECHO_RUNS];

	if (run != t->last_run) {
		t->last_run = run;
		*pieces = 0;
	}
	if (n == 0)
		return put(t, EVENT_FRONT, EVENT_VEIL, 0);
	if (*pieces == 0)
		randombytes_buf(key, VEIL_KEY_LEN);
	return put(t, EVENT_FRONT, EVENT_VEIL, veil_put(t->payload, key, run, (*pieces)++, p, n));
}

/* Of a run that is not all in memory masks could not see the rest. */
static int
show(struct typed *t, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	int r;

	if (n < all && t->leg->masks != NULL)
		return put(
		    t, EVENT_FRONT, EVENT_HIDDEN, veil_put_hidden(t->payload, run, VEIL_MASKED));
	if (n > 0 && (r = on_keep(t, p, n)) != 0)
		return r;
	return n == all
		   ? 0
		   : put(t, EVENT_FRONT, EVENT_SHOWN,
			 veil_put_shown(t->payload, t->slot->keys[run % ECHO_RUNS], run, all - n));
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	struct typed *t = arg;
	int r = show(t, run, p, n, all);

	sodium_memzero(t->slot->keys[run % ECHO_RUNS], VEIL_KEY_LEN);
	t->decided = run;
	return r;
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	struct typed *t = arg;

	t->hid = true;
	/* A key that is gone opens nothing any more, whoever has the record. */
	while (run != 0 && t->decided != run)
		sodium_memzero(t->slot->keys[++t->decided % ECHO_RUNS], VEIL_KEY_LEN);
	return put(t, EVENT_FRONT, EVENT_HIDDEN, veil_put_hidden(t->payload, run, why));
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

static void
typed_free(struct typed *t)
{
	if (t == NULL)
		return;
	echo_free(t->echo);
	veil_pool_put(t->leg->rec->veils, t->slot);
	buf_free(t->payload);
	free(t);
}

static void
give_back(struct typed *t)
{
	if (t->slot == NULL || !echo_is_idle(t->echo))
		return;
	echo_lend(t->echo, NULL);
	veil_pool_put(t->leg->rec->veils, t->slot);
	t->slot = NULL;
}

struct typed *
typed_find(struct leg *leg, uint32_t channel)
{
	struct typed *t;

	LIST_FOREACH (t, &leg->typed, link)
		if (t->channel == channel)
			return t;
	return NULL;
}

struct size {
	uint32_t cols, rows;
};

static int
begin(struct leg *leg, uint32_t channel, uint32_t request, struct size size)
{
	struct typed *t = typed_find(leg, channel);

	if (t != NULL) {
		t->request = request;
		echo_resize(t->echo, size.cols, size.rows);
		return 0;
	}
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return -ENOMEM;
	t->leg = leg;
	t->channel = channel;
	t->request = request;
	t->echo = echo_new(&sink, t, size.cols, size.rows);
	t->payload = buf_new(EVENT_DATA_MAX);
	if (t->echo == NULL || t->payload == NULL) {
		typed_free(t);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&leg->typed, t, link);
	return 0;
}

/* RFC 4254 sections 6.2 and 6.7: both have columns and rows, a pty-req the terminal's name before them. */
static struct size
get_size(struct buf *b, bool named)
{
	struct size size = { 0, 0 };
	const uint8_t *term;
	size_t len;

	if ((named && buf_get_str(b, &term, &len) != 0) || buf_get_u32(b, &size.cols) != 0 ||
	    buf_get_u32(b, &size.rows) != 0)
		return (struct size){ 0, 0 };
	return size;
}

static int
take_request(struct leg *leg, uint32_t channel, struct buf *b)
{
	struct typed *t = typed_find(leg, channel);
	struct size size;
	uint32_t number;
	uint8_t want;
	char name[32];

	if (buf_get_u32(b, &number) != 0 || buf_get_cstr(b, name, sizeof(name)) != 0 ||
	    buf_get_u8(b, &want) != 0)
		return 0;
	if (strcmp(name, "pty-req") == 0 && !leg->keep_typed)
		return begin(leg, channel, number, get_size(b, true));
	if (t != NULL && strcmp(name, "window-change") == 0) {
		size = get_size(b, false);
		echo_resize(t->echo, size.cols, size.rows);
	}
	if (t != NULL && strcmp(name, "subsystem") == 0)
		return typed_end(t);
	return 0;
}

int
typed_request(struct leg *leg, uint32_t channel, const uint8_t *payload, size_t len)
{
	struct buf *b = buf_view(payload, len);
	int r;

	if (b == NULL)
		return -ENOMEM;
	r = take_request(leg, channel, b);
	buf_free(b);
	return r;
}

/* Without memory what would be veiled is hidden. */
static int
typed_in(struct typed *t, const uint8_t *p, size_t n)
{
	int r;

	if (t->slot == NULL && (t->slot = veil_pool_get(t->leg->rec->veils)) != NULL)
		echo_lend(t->echo, t->slot->memory);
	r = echo_input(t->echo, clock_boot_ns(), p, n);
	give_back(t);
	return r;
}

static int
typed_out(struct typed *t, const struct mask_piece *piece)
{
	struct mask_piece rest = *piece;
	size_t feedback;
	int r = echo_output(t->echo, clock_boot_ns(), piece->data, piece->len, &feedback);

	give_back(t);
	if (piece->n_hits > 0)
		feedback = 0;
	if (r == 0 && feedback > 0 && !t->feedback) {
		t->feedback = t->hid = true;
		r = put(t, EVENT_BACK, EVENT_HIDDEN, veil_put_hidden(t->payload, 0, VEIL_FEEDBACK));
	}
	if (r != 0 || feedback == piece->len)
		return r;
	t->feedback = false;
	rest.data += feedback;
	rest.len -= feedback;
	return masked_record(t->leg, EVENT_BACK, t->channel, &rest);
}

int
typed_data(struct typed *t, struct end *from, const struct mask_piece *piece)
{
	return from->side == LEDGER_FRONT ? typed_in(t, piece->data, piece->len)
					  : typed_out(t, piece);
}

static bool
is_refusal(const struct typed *t, const struct ipc_msg *msg)
{
	const uint8_t *p = msg->data;

	return msg->type == LINK_REPLY && p[4] == 0 &&
	       ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]) ==
		   t->request;
}

int
typed_frame(struct typed *t, struct end *from, const struct ipc_msg *msg, bool *ret_quiet)
{
	int r;

	*ret_quiet = msg->type == LINK_WINDOW && t->hid;
	if (from->side == LEDGER_FRONT)
		return msg->type == LINK_REQUEST
			   ? typed_request(t->leg, t->channel, msg->data, msg->len)
			   : 0;
	if (msg->type == LINK_CLOSE || is_refusal(t, msg))
		return typed_end(t);
	if (msg->type != LINK_NOTE || msg->data[0] != LINK_NOTE_ASKING)
		return 0;
	r = echo_ask(t->echo, msg->data[1] != 0);
	give_back(t);
	return r;
}

int
typed_end(struct typed *t)
{
	int r = echo_end(t->echo);

	LIST_REMOVE(t, link);
	typed_free(t);
	return r;
}

int
typed_end_all(struct leg *leg)
{
	struct typed *t, *next;
	int r = 0, e;

	for (t = LIST_FIRST(&leg->typed); t != NULL; t = next) {
		next = LIST_NEXT(t, link);
		e = typed_end(t);
		r = r != 0 ? r : e;
	}
	return r;
}

void
typed_free_all(struct leg *leg)
{
	struct typed *t;

	while ((t = LIST_FIRST(&leg->typed)) != NULL) {
		LIST_REMOVE(t, link);
		typed_free(t);
	}
}
