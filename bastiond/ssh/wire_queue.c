/* Bytes between the socket and libssh. One block of memory, moved to its start when the end is reached. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/wire_priv.h"

#define QUEUE_FIRST 4096u /* an interactive session needs no more */
#define QUEUE_SMALL 4096u /* a peak up to this does not justify a large block, */
#define QUEUE_QUIET 16u	  /* after so many in a row the block is given back */

static int
queue_grow(struct wire_queue *q, size_t need)
{
	size_t cap = q->cap == 0 ? QUEUE_FIRST : q->cap;
	uint8_t *mem;

	while (cap < need) {
		if (cap > SIZE_MAX / 2)
			return -1;
		cap *= 2;
	}
	mem = malloc(cap);
	if (mem == NULL)
		return -1;
	if (q->mem != NULL)
		memcpy(mem, q->mem + q->off, q->len);
	free(q->mem);
	q->mem = mem;
	q->cap = cap;
	q->off = 0;
	return 0;
}

uint8_t *
wire_queue_room(struct wire_queue *q, size_t n)
{
	if (n > SIZE_MAX - q->len)
		return NULL;
	if (q->cap - q->off - q->len < n) {
		if (q->cap - q->len >= n && q->off >= q->len) {
			/* The front half is free: a move costs less than what was taken since the last one. */
			memcpy(q->mem, q->mem + q->off, q->len);
			q->off = 0;
		} else if (queue_grow(q, q->len + n) != 0) {
			return NULL;
		}
	}
	if (q->mem == NULL && queue_grow(q, 1) != 0)
		return NULL;
	return q->mem + q->off + q->len;
}

void
wire_queue_added(struct wire_queue *q, size_t n)
{
	q->len += n;
	if (q->len > q->peak)
		q->peak = q->len;
}

void
wire_queue_taken(struct wire_queue *q, size_t n)
{
	q->off += n;
	q->len -= n;
	if (q->len > 0)
		return;
	q->off = 0;
	q->quiet = q->peak > QUEUE_SMALL ? 0 : q->quiet + 1;
	q->peak = 0;
	if (q->quiet >= QUEUE_QUIET && q->cap > QUEUE_FIRST)
		wire_queue_free(q);
}

void
wire_queue_free(struct wire_queue *q)
{
	free(q->mem);
	*q = (struct wire_queue){ 0 };
}
