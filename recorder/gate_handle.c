/* Requests that wait for an answer which matters, and handles that were opened for writing. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/fxp.h"
#include "recorder/gate_part.h"

int
gate_wait_for(struct gate *g, uint32_t id, enum gate_reason what, const uint8_t *handle, size_t len)
{
	struct gate_waiting *q;

	if (g->n_waiting == GATE_WAITING_MAX) {
		g->why = "more requests without an answer than can be judged";
		return ERR_DENIED;
	}
	if ((q = malloc(sizeof(*q) + len)) == NULL)
		return -ENOMEM;
	q->id = id;
	q->what = what;
	q->len = len;
	if (len > 0)
		memcpy(q->handle, handle, len);
	STAILQ_INSERT_TAIL(&g->waiting, q, link);
	g->n_waiting++;
	return 0;
}

struct gate_waiting *
gate_find_waiting(struct gate *g, uint32_t id)
{
	struct gate_waiting *q;

	STAILQ_FOREACH (q, &g->waiting, link)
		if (q->id == id)
			return q;
	return NULL;
}

bool
gate_is_closed_behind(const struct gate_waiting *q, const uint8_t *handle, size_t len)
{
	while ((q = STAILQ_NEXT(q, link)) != NULL)
		if (len > 0 && q->len == len && memcmp(q->handle, handle, len) == 0)
			return true;
	return false;
}

void
gate_drop_waiting(struct gate *g, struct gate_waiting *q)
{
	STAILQ_REMOVE(&g->waiting, q, gate_waiting, link);
	g->n_waiting--;
	free(q);
}

struct gate_writable *
gate_find_writable(struct gate *g, const uint8_t *handle, size_t len)
{
	struct gate_writable *h;

	LIST_FOREACH (h, &g->writables, link)
		if (h->len == len && memcmp(h->handle, handle, len) == 0)
			return h;
	return NULL;
}

void
gate_drop_writable(struct gate *g, struct gate_writable *h)
{
	if (h == NULL)
		return;
	LIST_REMOVE(h, link);
	g->n_writables--;
	free(h);
}

int
gate_add_writable(struct gate *g, const uint8_t *handle, size_t len)
{
	struct gate_writable *h;

	if (len > FXP_HANDLE_MAX || g->n_writables == GATE_WAITING_MAX)
		return 0;
	if ((h = malloc(sizeof(*h) + len)) == NULL)
		return -ENOMEM;
	h->len = len;
	memcpy(h->handle, handle, len);
	LIST_INSERT_HEAD(&g->writables, h, link);
	g->n_writables++;
	return 0;
}

void
gate_forget(struct gate *g)
{
	struct gate_writable *h, *next_writable;
	struct gate_waiting *q, *next_waiting;

	for (q = STAILQ_FIRST(&g->waiting); q != NULL; q = next_waiting) {
		next_waiting = STAILQ_NEXT(q, link);
		free(q);
	}
	for (h = LIST_FIRST(&g->writables); h != NULL; h = next_writable) {
		next_writable = LIST_NEXT(h, link);
		free(h);
	}
}
