/* Holding and erasing, step by step. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/chain_part.h"
#include "recorder/erase.h"
#include "recorder/fate.h"

/* How far an erasure is. */
enum erase_stage {
	ERASE_SAID, /* its leaf is in the open transaction, and so is the order to destroy its key */
	ERASE_KEYLESS, /* both are done: the commit overwrote its slot before it returned */
};

struct erasure {
	STAILQ_ENTRY(erasure) link;
	uint8_t sid[REC_SID_LEN];
	enum erase_stage stage;
	uint32_t id; /* of who waits; 0: nobody */
	uint64_t bytes;
};

struct eraser {
	struct chain *chain;
	STAILQ_HEAD(, erasure) queue; /* those that were said last stand last */
	struct eraser_stats stats;
};

static int
queue_add(struct eraser *e, const uint8_t sid[REC_SID_LEN], enum erase_stage stage, uint32_t id)
{
	struct erasure *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return -ENOMEM;
	memcpy(x->sid, sid, REC_SID_LEN);
	x->stage = stage;
	x->id = id;
	STAILQ_INSERT_TAIL(&e->queue, x, link);
	e->stats.n_waiting++;
	return 0;
}

/* Keys that a stop left are destroyed by the chain's own start. */
static int
take_up(void *arg, const uint8_t sid[REC_SID_LEN], const struct fate *fate)
{
	(void)fate;
	return queue_add(arg, sid, ERASE_KEYLESS, 0);
}

int
eraser_new(struct chain *c, struct eraser **ret_eraser)
{
	struct eraser *e = calloc(1, sizeof(*e));
	struct store_snap *snap = NULL;
	int r;

	if (e == NULL)
		return -ENOMEM;
	e->chain = c;
	STAILQ_INIT(&e->queue);
	if ((r = store_snap_new(c->store, &snap)) == 0)
		r = fate_each(snap, FATE_ERASING, take_up, e);
	store_snap_free(snap);
	if (r != 0) {
		eraser_free(e);
		return r;
	}
	*ret_eraser = e;
	return 0;
}

void
eraser_free(struct eraser *e)
{
	struct erasure *x;

	if (e == NULL)
		return;
	while ((x = STAILQ_FIRST(&e->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->queue, link);
		free(x);
	}
	free(e);
}

/*
 * Its fate, and whether it has an end, in the open transaction. ERR_CHAIN: what the store has of it cannot be read, so that
 * nothing says which key is its own.
 */
static int
look_up(struct eraser *e, const uint8_t *sid, struct fate *ret_fate, bool *ret_open)
{
	struct store_snap *snap = store_pending(e->chain->store);
	struct sess s;
	int r;

	if ((r = fate_get(snap, sid, ret_fate)) == 0 && (r = sess_get(snap, sid, &s)) == 0) {
		*ret_open = s.state == SESS_OPEN;
		sess_done(&s);
	}
	return r == ERR_FORMAT || r == ERR_VERSION ? ERR_CHAIN : r;
}

/* What stands beside the leaf (mlog.h). *ret_text: owned by caller, free(). */
static int
order_text(const struct erase_order *order, const char *event, const char *reason, char **ret_text,
    size_t *ret_len)
{
	struct json *j = json_event(event);
	char hex[2 * REC_SID_LEN + 1];
	int r;

	json_put_str(j, "session", str_hex(hex, order->sid, REC_SID_LEN));
	json_put_str(j, "by", order->by);
	json_put_str(j, "why", order->why);
	if (reason != NULL)
		json_put_str(j, "how", reason);
	r = json_text(j, false, REC_AUDIT_MAX, ret_text, ret_len);
	json_free(j);
	return r;
}

static int
fate_set(struct eraser *e, const uint8_t sid[REC_SID_LEN], const struct fate *fate)
{
	uint8_t data[FATE_LEN];
	int r;

	fate_encode(fate, data);
	r = store_put(e->chain->store, STORE_FATE, sid, REC_SID_LEN, data, sizeof(data));
	return r != 0 ? chain_fail(e->chain, r) : 0;
}

/* One that has no end and does not run was left damaged by a stop: nobody can end it any more. */
static int
erase_check(
    struct eraser *e, const struct erase_order *order, struct fate *ret_fate, bool *ret_open)
{
	int r;

	if (strlen(order->why) > REC_WHY_MAX || e->stats.n_waiting >= ERASE_QUEUE_MAX)
		return ERR_LIMIT;
	if ((r = chain_txn(e->chain)) != 0 || (r = look_up(e, order->sid, ret_fate, ret_open)) != 0)
		return r;
	if ((ret_fate->flags & FATE_ERASED) != 0)
		return ERR_ERASED;
	if (*ret_open && chain_is_running(e->chain, order->sid))
		return ERR_ORDER;
	return (ret_fate->flags & FATE_HELD) != 0 ? ERR_DENIED : 0;
}

/* The next start is not to look at it again. */
static int
forget_head(struct chain *c, const uint8_t sid[REC_SID_LEN])
{
	int r = store_del(c->store, STORE_HEAD, sid, REC_SID_LEN);

	return r == ERR_NOT_FOUND ? 0 : r;
}

int
eraser_erase(struct eraser *e, const struct erase_order *order, enum mlog_erase how)
{
	struct chain *c = e->chain;
	struct fate fate;
	char *text = NULL;
	bool open = false;
	size_t len;
	int r;

	if ((r = erase_check(e, order, &fate, &open)) != 0 ||
	    (r = order_text(order, "session.erased", mlog_erase_name(how), &text, &len)) != 0)
		return r;
	/* One whose key record is gone is erased all the same: nothing opens it. */
	r = session_key_destroy(c, order->sid);
	if (r != 0 && r != ERR_ERASED && r != ERR_NOT_FOUND)
		goto out;
	/* From here on a key goes without its leaf, unless all of it is given up. */
	if ((r = queue_add(e, order->sid, ERASE_SAID, order->id)) != 0) {
		(void)chain_fail(c, r);
		goto out;
	}
	fate.flags |= FATE_ERASED | FATE_ERASING;
	fate.erase_leaf = c->log.tree.n;
	if ((r = mlog_erase(&c->log, order->sid, how, text, len)) != 0 ||
	    (open && (r = forget_head(c, order->sid)) != 0))
		(void)chain_fail(c, r);
	else
		r = fate_set(e, order->sid, &fate);
out:
	free(text);
	return r;
}

int
eraser_hold(struct eraser *e, const struct erase_order *order, bool held)
{
	struct chain *c = e->chain;
	struct fate fate;
	char *text = NULL;
	size_t len;
	bool open;
	int r;

	if (strlen(order->why) > REC_WHY_MAX)
		return ERR_LIMIT;
	if ((r = chain_txn(c)) != 0 || (r = look_up(e, order->sid, &fate, &open)) != 0)
		return r;
	if ((fate.flags & FATE_ERASED) != 0)
		return ERR_ERASED;
	if (held == ((fate.flags & FATE_HELD) != 0))
		return ERR_EXISTS;
	if ((r = order_text(
		 order, held ? "session.held" : "session.released", NULL, &text, &len)) != 0)
		return r;
	fate.flags = held ? fate.flags | FATE_HELD : fate.flags & (uint8_t)~FATE_HELD;
	fate.hold_leaf = c->log.tree.n;
	if ((r = mlog_hold(&c->log, order->sid, held, text, len)) != 0)
		(void)chain_fail(c, r);
	else
		r = fate_set(e, order->sid, &fate);
	free(text);
	return r;
}

int
eraser_committed(struct eraser *e, void (*done)(void *arg, uint32_t id), void *arg)
{
	struct erasure *x;
	bool any = false;
	int r;

	STAILQ_FOREACH (x, &e->queue, link)
		any = any || x->stage == ERASE_SAID;
	/* No power cut may take the leaf back and leave the key destroyed. */
	if (!any || (r = chain_sync(e->chain)) != 0)
		return any ? r : 0;
	STAILQ_FOREACH (x, &e->queue, link) {
		if (x->stage != ERASE_SAID)
			continue;
		x->stage = ERASE_KEYLESS;
		if (x->id != 0)
			done(arg, x->id);
		x->id = 0;
	}
	return 0;
}

bool
eraser_is_busy(const struct eraser *e)
{
	return !STAILQ_EMPTY(&e->queue);
}

/* Nothing of its data is left: say so, and forget it. */
static int
erased(struct eraser *e, struct erasure *x)
{
	char hex[2 * REC_SID_LEN + 1];
	struct fate fate;
	int r;

	if ((r = fate_get(store_pending(e->chain->store), x->sid, &fate)) != 0)
		return chain_fail(e->chain, r);
	fate.flags &= (uint8_t)~FATE_ERASING;
	if ((r = fate_set(e, x->sid, &fate)) != 0)
		return r;
	log_debug("recorder.erased sid=%s bytes=%llu", str_hex(hex, x->sid, REC_SID_LEN),
	    (unsigned long long)x->bytes);
	STAILQ_REMOVE(&e->queue, x, erasure, link);
	e->stats.n_waiting--;
	e->stats.n_erased++;
	free(x);
	return 0;
}

int
eraser_step(struct eraser *e)
{
	uint64_t room = ERASE_SLICE, bytes;
	struct erasure *x;
	bool done = true;
	int r = 0;

	while (r == 0 && done && room > 0 && (x = STAILQ_FIRST(&e->queue)) != NULL &&
	       x->stage == ERASE_KEYLESS) {
		if ((r = chain_txn(e->chain)) != 0)
			return r;
		r = store_del_some(
		    e->chain->store, STORE_BLK, x->sid, REC_SID_LEN, room, &bytes, &done);
		if (r != 0)
			return chain_fail(e->chain, r);
		room -= bytes < room ? bytes : room;
		x->bytes += bytes;
		e->stats.bytes_removed += bytes;
		if (done)
			r = erased(e, x);
	}
	return r;
}

void
eraser_stats(const struct eraser *e, struct eraser_stats *ret_stats)
{
	*ret_stats = e->stats;
}
