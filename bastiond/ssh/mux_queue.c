/* The queue towards one channel of an SSH peer: records one after the other in blocks. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/mux_queue.h"

#define REC_HEAD 5u	   /* u8 kind, u32 length in host order */
#define BLOCK_SMALL 1000u  /* bytes of a block while little waits: requests, keystrokes */
#define BLOCK_LARGE 32720u /* bytes of a block once much waits */

struct mux_block {
	struct mux_block *next;
	size_t size, start, end; /* bytes of mem; those in use are start to end */
	uint8_t mem[];
};

static bool
is_data(uint8_t kind)
{
	return kind == MUX_Q_OUT || kind == MUX_Q_ERR;
}

static size_t
rec_len(const uint8_t *rec)
{
	uint32_t n;

	memcpy(&n, rec + 1, sizeof(n));
	return n;
}

static void
rec_set_len(uint8_t *rec, size_t len)
{
	uint32_t n = (uint32_t)len;

	memcpy(rec + 1, &n, sizeof(n));
}

static size_t
block_room(const struct mux_block *b)
{
	return b == NULL ? 0 : b->size - b->end;
}

/* How many of len bytes may lengthen the last record: bytes of one stream in a row are one record. */
static size_t
joinable(const struct mux_queue *q, uint8_t kind, size_t len)
{
	size_t room = block_room(q->tail);

	if (room == 0 || !is_data(kind) || q->tail->mem[q->last] != kind)
		return 0;
	return len < room ? len : room;
}

/* A block that is not yet in the queue. */
static struct mux_block *
new_block(const struct mux_queue *q, size_t need)
{
	size_t size = q->n_data > BLOCK_SMALL ? BLOCK_LARGE : BLOCK_SMALL;
	struct mux_block *b;

	if (size < need)
		size = need;
	b = malloc(sizeof(*b) + size);
	if (b != NULL)
		*b = (struct mux_block){ .size = size };
	return b;
}

static void
join(struct mux_queue *q, const uint8_t *data, size_t n)
{
	uint8_t *rec;

	if (n == 0)
		return;
	rec = q->tail->mem + q->last;
	memcpy(q->tail->mem + q->tail->end, data, n);
	q->tail->end += n;
	rec_set_len(rec, rec_len(rec) + n);
}

static void
append(struct mux_queue *q, uint8_t kind, const uint8_t *data, size_t len)
{
	struct mux_block *b = q->tail;

	q->last = b->end;
	b->mem[b->end] = kind;
	rec_set_len(b->mem + b->end, len);
	if (len > 0)
		memcpy(b->mem + b->end + REC_HEAD, data, len);
	b->end += REC_HEAD + len;
}

int
mux_queue_put(struct mux_queue *q, uint8_t kind, const void *data, size_t len)
{
	size_t n = joinable(q, kind, len), rest = len - n;
	bool record = rest > 0 || !is_data(kind);
	struct mux_block *b = NULL;

	if (len > UINT32_MAX / 2)
		return ERR_LIMIT;
	/* Memory first, so that a failure leaves nothing half added. */
	if (record && block_room(q->tail) - n < REC_HEAD + rest) {
		b = new_block(q, REC_HEAD + rest);
		if (b == NULL)
			return -ENOMEM;
	}
	join(q, data, n);
	if (b != NULL) {
		if (q->tail == NULL)
			q->head = b;
		else
			q->tail->next = b;
		q->tail = b;
	}
	if (record)
		append(q, kind, n > 0 ? (const uint8_t *)data + n : data, rest);
	if (is_data(kind)) {
		q->n_data += len;
	} else {
		q->n_others++;
		q->others_len += len;
	}
	return 0;
}

bool
mux_queue_peek(const struct mux_queue *q, struct mux_rec *ret_rec)
{
	const uint8_t *rec;

	if (q->head == NULL)
		return false;
	rec = q->head->mem + q->head->start;
	*ret_rec = (struct mux_rec){
		.kind = rec[0],
		.data = rec + REC_HEAD + q->taken,
		.len = rec_len(rec) - q->taken,
	};
	return true;
}

void
mux_queue_take(struct mux_queue *q, size_t n)
{
	struct mux_block *b = q->head;
	const uint8_t *rec = b->mem + b->start;

	if (is_data(rec[0])) {
		q->n_data -= n;
		q->taken += n;
		if (q->taken < rec_len(rec))
			return;
	} else {
		q->n_others--;
		q->others_len -= rec_len(rec);
	}
	q->taken = 0;
	b->start += REC_HEAD + rec_len(rec);
	if (b->start < b->end)
		return;
	q->head = b->next;
	if (q->head == NULL)
		q->tail = NULL;
	free(b);
}

bool
mux_queue_empty(const struct mux_queue *q)
{
	return q->head == NULL;
}

void
mux_queue_free(struct mux_queue *q)
{
	struct mux_block *b;

	while ((b = q->head) != NULL) {
		q->head = b->next;
		free(b);
	}
	*q = (struct mux_queue){ 0 };
}
