/* Rounds over the index of openings, oldest first. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "recorder/chain_part.h"
#include "recorder/fate.h"
#include "recorder/retain.h"
#include "recorder/sess.h"

#define RETAIN_BY "retention"

/* Time of the newest leaf: the store knows no later moment. */
static int
newest_leaf(struct chain *c, uint64_t *ret_ns)
{
	struct store_iter *it = NULL;
	struct store_snap *snap;
	struct store_item item;
	struct mlog_leaf leaf;
	int r;

	if ((r = store_snap_new(c->store, &snap)) != 0)
		return r;
	if ((r = store_iter_new(snap, STORE_LOG, NULL, 0, true, &it)) == 0 &&
	    (r = store_iter_next(it, &item)) == 0 &&
	    (r = mlog_leaf_parse(item.data, item.len, &leaf)) == 0)
		*ret_ns = leaf.wall_ns;
	store_iter_free(it);
	store_snap_free(snap);
	return r;
}

int
retain_init(struct retain *t, struct chain *chain, struct eraser *eraser)
{
	*t = (struct retain){ .chain = chain, .eraser = eraser, .boot_ns = clock_boot_ns() };
	return newest_leaf(chain, &t->log_ns);
}

void
retain_again(struct retain *t)
{
	t->first_ns = 0;
	t->running = false;
	t->next_ns = 0;
}

void
retain_set(struct retain *t, const struct retain_conf *conf)
{
	t->conf = *conf;
	t->is_short = t->short_told = false;
	retain_again(t);
}

/* The wall clock, but no later than can be. */
static uint64_t
retain_now(const struct retain *t)
{
	uint64_t wall = clock_wall_ns(),
		 most = t->log_ns + (clock_boot_ns() - t->boot_ns) + RETAIN_CLOCK_SLACK_NS;

	return wall < most ? wall : most;
}

/* Sessions that ended before this are too old; 0: none is. */
static uint64_t
retain_cutoff(const struct retain *t)
{
	uint64_t now = retain_now(t);

	return t->conf.age_ns != 0 && now > t->conf.age_ns ? now - t->conf.age_ns : 0;
}

static int
round_begin(struct retain *t)
{
	struct store_space space;
	uint64_t kept;
	int r;

	if ((r = store_space(t->chain->store, &space)) != 0)
		return r;
	kept = space.used_bytes - space.journal_bytes;
	t->excess = t->conf.space != 0 && kept > t->conf.space ? kept - t->conf.space : 0;
	t->running = true;
	t->at_ns = t->first_ns;
	t->survivor_ns = UINT64_MAX;
	t->n_age = t->n_space = t->bytes = 0;
	return 0;
}

/* One event for all that a round removed; each session has its own leaf besides. */
static int
round_audit(const struct retain *t)
{
	struct json *j;
	char *text;
	size_t len;
	int r;

	if (t->n_age + t->n_space == 0)
		return 0;
	j = json_event("record.retired");
	json_put_u64(j, "sessions", t->n_age + t->n_space);
	json_put_u64(j, "for_age", t->n_age);
	json_put_u64(j, "for_space", t->n_space);
	json_put_u64(j, "bytes", t->bytes);
	r = json_text(j, false, REC_AUDIT_MAX, &text, &len);
	json_free(j);
	if (r != 0)
		return r;
	r = chain_audit(t->chain, text, len);
	free(text);
	return r;
}

static int
round_end(struct retain *t)
{
	t->running = false;
	/* What went for space shows in the figures only when it is gone: the next round looks then. */
	t->next_ns = clock_boot_ns() + (t->n_space > 0 ? 0 : RETAIN_EVERY_NS);
	if (t->survivor_ns != UINT64_MAX)
		t->first_ns = t->survivor_ns;
	t->total_age += t->n_age;
	t->total_space += t->n_space;
	t->is_short = t->excess > 0;
	if (t->is_short && !t->short_told)
		log_warn("recorder.space_short bytes=%llu means=\"more is held or running than "
			 "recording.retain.space allows\" do=\"let sessions go, or allow more\"",
		    (unsigned long long)t->excess);
	t->short_told = t->is_short;
	return round_audit(t);
}

/* A session that goes. */
struct candidate {
	uint8_t sid[REC_SID_LEN];
	enum mlog_erase how;
	uint64_t opened_ns, bytes;
	bool left; /* a stop left it damaged, without an end */
};

/* What a step finds in the index. */
struct step {
	struct retain *t;
	struct store_snap *snap;
	uint64_t cutoff, excess;
	unsigned n_looks, n_reads;
	struct candidate found[RETAIN_BATCH];
	unsigned n_found;
	bool over; /* nothing behind this can be too old, and space is no matter */
};

#define STEP_FULL 1 /* enough for this step; the session in hand comes again */

static void
stays(struct retain *t, uint64_t opened_ns)
{
	if (opened_ns < t->survivor_ns)
		t->survivor_ns = opened_ns;
}

/* When a session that a stop left without an end was last heard of: as its last head says, or its opening. */
static uint64_t
last_heard(struct step *st, const struct sess *s)
{
	const uint8_t *data;
	struct head head;
	size_t len;

	if (store_get(st->snap, STORE_HEAD, s->sid, REC_SID_LEN, &data, &len) != 0 ||
	    head_parse(data, len, &head) != 0 || head.last_ns > UINT64_MAX - s->opened_wall_ns)
		return s->opened_wall_ns;
	return s->opened_wall_ns + head.last_ns;
}

/* Whether it goes, and why. */
static int
step_judge(struct step *st, const uint8_t *sid, uint64_t opened_ns)
{
	struct candidate *c = &st->found[st->n_found];
	struct sess s;
	int r;

	if ((r = sess_get(st->snap, sid, &s)) != 0) {
		/* What cannot be read is for the verifier to name, and stays. */
		stays(st->t, opened_ns);
		return r == ERR_FORMAT || r == ERR_NOT_FOUND || r == ERR_VERSION ? 0 : r;
	}
	*c = (struct candidate){ .opened_ns = opened_ns, .bytes = s.stored_bytes };
	memcpy(c->sid, sid, REC_SID_LEN);
	c->left = s.state == SESS_OPEN && !chain_is_running(st->t->chain, sid);
	if (s.state != SESS_OPEN || c->left) {
		if ((c->left ? last_heard(st, &s) : s.closed_wall_ns) < st->cutoff)
			c->how = MLOG_ERASE_AGE;
		else if (st->excess > 0)
			c->how = MLOG_ERASE_SPACE;
	}
	if (c->how == 0)
		stays(st->t, opened_ns);
	else {
		st->excess -= c->bytes < st->excess ? c->bytes : st->excess;
		st->n_found++;
	}
	sess_done(&s);
	return 0;
}

/* One entry of the index. Non-zero: STEP_FULL, or an error. */
static int
step_look(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_ns)
{
	struct step *st = arg;
	struct fate fate;
	int r;

	st->t->at_ns = opened_ns;
	if (opened_ns >= st->cutoff && st->excess == 0) {
		stays(st->t, opened_ns);
		st->over = true;
		return STEP_FULL;
	}
	if (++st->n_looks > RETAIN_LOOKS || st->n_reads >= RETAIN_READS ||
	    st->n_found >= RETAIN_BATCH)
		return STEP_FULL;
	if ((r = fate_get(st->snap, sid, &fate)) != 0)
		return r;
	if ((fate.flags & FATE_ERASED) != 0)
		return 0;
	if ((fate.flags & FATE_HELD) != 0) {
		stays(st->t, opened_ns);
		return 0;
	}
	st->n_reads++;
	return step_judge(st, sid, opened_ns);
}

/* Whether one that runs no more has ended since the snapshot: then it is not as old as it seemed. 0; negative. */
static int
has_ended(struct retain *t, const struct candidate *c, bool *ret_ended)
{
	struct sess s;
	int r;

	if ((r = chain_txn(t->chain)) != 0 ||
	    (r = sess_get(store_pending(t->chain->store), c->sid, &s)) != 0)
		return r;
	*ret_ended = s.state != SESS_OPEN;
	sess_done(&s);
	return 0;
}

static int
step_erase(struct retain *t, const struct candidate *c)
{
	struct erase_order order = { .by = RETAIN_BY };
	bool ended = false;
	char why[96];
	int r;

	if (c->left && ((r = has_ended(t, c, &ended)) != 0 || ended)) {
		stays(t, c->opened_ns);
		return r;
	}
	memcpy(order.sid, c->sid, REC_SID_LEN);
	if (c->how == MLOG_ERASE_AGE)
		(void)snprintf(why, sizeof(why), "it ended more than %llu s ago",
		    (unsigned long long)(t->conf.age_ns / CLOCK_NS_PER_S));
	else
		(void)snprintf(why, sizeof(why), "the oldest, when more than %llu bytes were used",
		    (unsigned long long)t->conf.space);
	order.why = why;
	r = eraser_erase(t->eraser, &order, c->how);
	/* Somebody was faster; or what is stored of it was changed, and the log says so. */
	if (r == ERR_ERASED || r == ERR_DENIED || (r == ERR_CHAIN && chain_failed(t->chain) == 0))
		return 0;
	if (r != 0)
		return r;
	t->n_age += c->how == MLOG_ERASE_AGE;
	t->n_space += c->how == MLOG_ERASE_SPACE;
	t->bytes += c->bytes;
	t->excess -= c->bytes < t->excess ? c->bytes : t->excess;
	return 0;
}

/* What was found goes; ret_all: it has been gone over. */
static int
step_act(struct step *st, bool *ret_all)
{
	struct retain *t = st->t;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < st->n_found; i++)
		if ((r = step_erase(t, &st->found[i])) == ERR_LIMIT)
			t->at_ns = st->found[i].opened_ns;
	*ret_all = r == 0;
	return r == ERR_LIMIT ? 0 : r;
}

int
retain_step(struct retain *t)
{
	struct step st = { .t = t, .cutoff = retain_cutoff(t) };
	bool all = false;
	int r, walked;

	if (t->conf.age_ns == 0 && t->conf.space == 0)
		return 0;
	if (!t->running) {
		if (clock_boot_ns() < t->next_ns || eraser_is_busy(t->eraser))
			return 0;
		if ((r = round_begin(t)) != 0)
			return r;
	}
	st.excess = t->excess;
	if ((r = store_snap_new(t->chain->store, &st.snap)) != 0)
		return r;
	walked = sess_each(st.snap, t->at_ns, step_look, &st);
	store_snap_free(st.snap);
	if (walked != 0 && walked != STEP_FULL)
		return walked;
	if ((r = step_act(&st, &all)) != 0)
		return r;
	return all && (walked == 0 || st.over) ? round_end(t) : 0;
}
