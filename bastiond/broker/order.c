/* What auditors order of the recorder, until it has answered: sessions that are erased, held, let go. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/log.h"

#define ORDERS_MAX 64u /* that wait for the recorder */

struct order {
	LIST_ENTRY(order) link;
	uint32_t id;
	wiring_ordered_fn done; /* NULL: nobody waits */
	void *arg;
};

static void
order_finish(struct wiring *w, struct order *o, uint8_t code, const char *text)
{
	wiring_ordered_fn done = o->done;
	void *arg = o->arg;

	LIST_REMOVE(o, link);
	w->n_orders--;
	free(o);
	if (done != NULL)
		done(arg, code, text);
}

/* b: the message; done: told of its answer. */
static int
order_send(struct wiring *w, uint16_t type, const struct buf *b, wiring_ordered_fn done, void *arg)
{
	struct order *o;
	int r;

	if (w->n_orders >= ORDERS_MAX)
		return ERR_LIMIT;
	if ((o = calloc(1, sizeof(*o))) == NULL)
		return -ENOMEM;
	if (++w->last_order == 0) /* which means: nobody waits */
		w->last_order = 1;
	*o = (struct order){ .id = w->last_order, .done = done, .arg = arg };
	if ((r = ipc_send_buf(w->recorder.edge, type, o->id, b)) != 0) {
		free(o);
		return r;
	}
	LIST_INSERT_HEAD(&w->orders, o, link);
	w->n_orders++;
	return 0;
}

static int
order_make(struct wiring *w, uint16_t type, const struct wiring_order *order)
{
	struct buf *b;
	int r = -ENOMEM;

	if (!service_is_ready(&w->recorder))
		return ERR_ORDER;
	if ((b = buf_new(4096)) == NULL)
		return r;
	if ((r = buf_put_cstr(b, order->sid)) == 0 &&
	    (type != REC_HOLD || (r = buf_put_u8(b, order->hold)) == 0) &&
	    (r = buf_put_cstr(b, order->who)) == 0 && (r = buf_put_cstr(b, order->why)) == 0)
		r = order_send(w, type, b, order->done, order->arg);
	buf_free(b);
	return r;
}

int
wiring_erase(struct wiring *w, const struct wiring_order *order)
{
	return order_make(w, REC_ERASE, order);
}

int
wiring_hold(struct wiring *w, const struct wiring_order *order)
{
	return order_make(w, REC_HOLD, order);
}

void
wiring_order_forget(struct wiring *w, void *arg)
{
	struct order *o;

	LIST_FOREACH (o, &w->orders, link)
		if (o->arg == arg)
			o->done = NULL;
}

void
order_done(struct wiring *w, uint32_t id, uint8_t code, const char *text)
{
	struct order *o;

	LIST_FOREACH (o, &w->orders, link)
		if (o->id == id) {
			order_finish(w, o, code, text);
			return;
		}
	log_debug("order.unknown id=%u", id);
}

void
order_recorder_down(struct wiring *w)
{
	struct order *o, *next;

	for (o = LIST_FIRST(&w->orders); o != NULL; o = next) {
		next = LIST_NEXT(o, link);
		order_finish(w, o, 3,
		    "the recorder stopped before it answered: see bastionctl sessions show, then "
		    "try again");
	}
}
