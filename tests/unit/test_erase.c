/* What leaves the store on purpose, what may not, and that a stop between any two steps changes nothing of it. */
#include "config.h"

#include <sodium.h>
#include <string.h>

#include "lib/clock.h"
#include "recorder/chain_part.h"
#include "recorder/erase.h"
#include "recorder/fate.h"
#include "recorder/recording.h"
#include "recorder/retain.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define DAY_NS (86400 * 1000000000ull)
#define START_NS (20000 * DAY_NS)

static uint64_t wall = START_NS, boot = DAY_NS;

static uint64_t
test_wall(void)
{
	return wall;
}

static uint64_t
test_boot(void)
{
	return boot;
}

/* Both clocks go on as they do when nobody sets them. */
static void
pass(uint64_t ns)
{
	wall += ns;
	boot += ns;
}

static int
setup(void **state)
{
	wall = START_NS;
	boot = DAY_NS;
	clock_override(test_wall, test_boot);
	return rig_setup(state);
}

static int
teardown(void **state)
{
	clock_override(NULL, NULL);
	return rig_teardown(state);
}

/* A closed session of about len bytes that do not get smaller. */
static void
closed_session(struct rig *rig, size_t len, uint8_t ret_sid[REC_SID_LEN])
{
	struct session *s = rig_session(rig);
	uint8_t data[16384];

	memcpy(ret_sid, session_sid(s), REC_SID_LEN);
	for (size_t at = 0; at < len; at += sizeof(data)) {
		randombytes_buf(data, sizeof(data));
		assert_int_equal(
		    session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)), 0);
		if (at % (4u << 20) == 0)
			rig_commit(rig);
	}
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(rig);
}

static unsigned n_done;

static void
on_done(void *arg, uint32_t id)
{
	(void)arg;
	n_done += id;
}

static struct erase_order
order_for(const uint8_t sid[REC_SID_LEN])
{
	struct erase_order order = { .by = "uid 0 (root)", .why = "a court said so", .id = 7 };

	memcpy(order.sid, sid, REC_SID_LEN);
	return order;
}

static int
erase(struct eraser *e, const uint8_t sid[REC_SID_LEN])
{
	struct erase_order order = order_for(sid);

	return eraser_erase(e, &order, MLOG_ERASE_ASKED);
}

static int
hold(struct eraser *e, const uint8_t sid[REC_SID_LEN], bool held)
{
	struct erase_order order = order_for(sid);

	return eraser_hold(e, &order, held);
}

static void
commit(struct rig *rig, struct eraser *e)
{
	rig_commit(rig);
	assert_int_equal(eraser_committed(e, on_done, NULL), 0);
}

/* All that is left of erasures; returns how many commits it took. */
static unsigned
finish(struct rig *rig, struct eraser *e)
{
	unsigned n = 0;

	while (eraser_is_busy(e)) {
		assert_true(n++ < 1000);
		assert_int_equal(eraser_step(e), 0);
		commit(rig, e);
	}
	return n;
}

static struct eraser *
open_eraser(struct rig *rig)
{
	struct eraser *e;

	assert_int_equal(eraser_new(rig->chain, &e), 0);
	return e;
}

/* Keys of a database that begin with the session's id. */
static unsigned
count_of(struct rig *rig, enum store_db db, const uint8_t sid[REC_SID_LEN])
{
	struct store_snap *snap;
	struct store_item item;
	struct store_iter *it;
	unsigned n = 0;

	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(store_iter_new(snap, db, sid, REC_SID_LEN, false, &it), 0);
	while (store_iter_next(it, &item) == 0 && memcmp(item.key, sid, REC_SID_LEN) == 0)
		n++;
	store_iter_free(it);
	store_snap_free(snap);
	return n;
}

static struct fate
fate_of(struct rig *rig, const uint8_t sid[REC_SID_LEN])
{
	struct store_snap *snap;
	struct fate fate;

	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(fate_get(snap, sid, &fate), 0);
	store_snap_free(snap);
	return fate;
}

/* Of the closed store. */
static void
put_raw(
    struct rig *rig, enum store_db db, const uint8_t sid[REC_SID_LEN], const void *data, size_t len)
{
	struct store *store = rig_touch(rig);

	assert_int_equal(store_put(store, db, sid, REC_SID_LEN, data, len), 0);
	rig_untouch(store);
}

/* Whether a reader opens the session: 0, or why not. */
static int
key_of(struct rig *rig, const uint8_t sid[REC_SID_LEN])
{
	struct store_snap *snap;
	struct store *store;
	struct sess s;
	int r;

	assert_int_equal(store_open_read(rig->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_int_equal(sess_get(snap, sid, &s), 0);
	r = s.closed_to_us;
	sess_done(&s);
	store_snap_free(snap);
	store_close(store);
	return r;
}

static void
test_what_may_not_be_erased_is_not(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t none[REC_SID_LEN] = { 1 }, sid[REC_SID_LEN];
	struct session *running = rig_session(rig);
	char text[REC_WHY_MAX + 2];
	struct erase_order order;

	closed_session(rig, 1000, sid);
	order = order_for(sid);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	order.why = text;
	assert_int_equal(eraser_erase(e, &order, MLOG_ERASE_ASKED), ERR_LIMIT);
	assert_int_equal(eraser_hold(e, &order, true), ERR_LIMIT);
	assert_int_equal(erase(e, none), ERR_NOT_FOUND);
	assert_int_equal(hold(e, none, true), ERR_NOT_FOUND);
	assert_int_equal(erase(e, session_sid(running)), ERR_ORDER);
	assert_int_equal(hold(e, sid, false), ERR_EXISTS);
	assert_int_equal(hold(e, sid, true), 0);
	assert_int_equal(hold(e, sid, true), ERR_EXISTS);
	assert_int_equal(erase(e, sid), ERR_DENIED);
	commit(rig, e);
	assert_int_equal(erase(e, sid), ERR_DENIED);
	assert_false(eraser_is_busy(e));
	assert_int_equal(hold(e, sid, false), 0);
	assert_int_equal(erase(e, sid), 0);
	assert_int_equal(erase(e, sid), ERR_ERASED);
	assert_int_equal(hold(e, sid, true), ERR_ERASED);
	commit(rig, e);
	finish(rig, e);
	assert_int_equal(erase(e, sid), ERR_ERASED);
	/* One that runs may be held; then it is, when it has ended. */
	memcpy(sid, session_sid(running), REC_SID_LEN);
	assert_int_equal(hold(e, sid, true), 0);
	assert_int_equal(session_close(running, LINK_END_CLIENT, "", ""), 0);
	assert_int_equal(erase(e, sid), ERR_DENIED);
	commit(rig, e);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_blocks_go_and_digests_stay(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN];
	unsigned headers, of_other;
	struct eraser_stats stats;

	closed_session(rig, 3u << 20, sid);
	closed_session(rig, 300000, other);
	headers = count_of(rig, STORE_HDR, sid);
	of_other = count_of(rig, STORE_BLK, other);
	assert_true(headers > 10);
	n_done = 0;
	assert_int_equal(key_of(rig, sid), 0);
	assert_int_equal(erase(e, sid), 0);
	/* Before its leaf is durable nothing is done. */
	assert_int_equal(eraser_step(e), 0);
	assert_int_equal(n_done, 0);
	assert_true(count_of(rig, STORE_BLK, sid) > 700);
	commit(rig, e);
	assert_int_equal(n_done, 7);
	assert_int_equal(key_of(rig, sid), ERR_ERASED);
	assert_int_equal(key_of(rig, other), 0);
	assert_int_equal(fate_of(rig, sid).flags, FATE_ERASED | FATE_ERASING);
	finish(rig, e);
	assert_int_equal(n_done, 7);
	assert_int_equal(fate_of(rig, sid).flags, FATE_ERASED);
	assert_int_equal(count_of(rig, STORE_BLK, sid), 0);
	assert_int_equal(count_of(rig, STORE_HDR, sid), headers);
	assert_int_equal(count_of(rig, STORE_SESS, sid), 1);
	assert_int_equal(count_of(rig, STORE_BLK, other), of_other);
	eraser_stats(e, &stats);
	assert_int_equal(stats.n_erased, 1);
	assert_true(stats.bytes_removed >= 3u << 20);
	assert_int_equal(stats.n_waiting, 0);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

static void
test_a_long_session_goes_in_slices(void **state)
{
	struct rig *rig = *state;
	struct eraser *e;
	uint8_t sid[REC_SID_LEN];

	rig_close(rig);
	rig->map_size = 256u << 20;
	rig_open(rig);
	closed_session(rig, 40u << 20, sid);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), 0);
	commit(rig, e);
	assert_in_range(finish(rig, e), (40u << 20) / ERASE_SLICE, 5);
	eraser_free(e);
}

/* Stop after n commits of an erasure; the next start finishes it. */
static void
stop_after(struct rig *rig, unsigned n)
{
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN];

	closed_session(rig, 3 * ERASE_SLICE / 2, sid);
	assert_int_equal(erase(e, sid), 0);
	if (n > 0)
		rig_commit(rig);
	if (n > 1)
		assert_int_equal(eraser_committed(e, on_done, NULL), 0);
	for (unsigned i = 2; i < n; i++) {
		assert_int_equal(eraser_step(e), 0);
		commit(rig, e);
	}
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
	e = open_eraser(rig);
	assert_int_equal(eraser_is_busy(e), n > 0 && n < 4);
	commit(rig, e);
	finish(rig, e);
	assert_int_equal(fate_of(rig, sid).flags, n > 0 ? FATE_ERASED : 0);
	assert_int_equal(count_of(rig, STORE_BLK, sid) == 0, n > 0);
	assert_int_equal(count_of(rig, STORE_SESS, sid), 1);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

static void
test_what_a_stop_cut_off_is_finished(void **state)
{
	struct rig *rig = *state;

	rig_close(rig);
	rig->map_size = 512u << 20;
	rig_open(rig);
	for (unsigned n = 0; n < 5; n++)
		stop_after(rig, n);
}

static void
test_erased_space_is_used_again(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[6][REC_SID_LEN];
	struct store_space first, space;
	struct eraser *e = open_eraser(rig);

	for (unsigned i = 0; i < 6; i++)
		closed_session(rig, 4u << 20, sid[i]);
	assert_int_equal(store_space(chain_store(rig->chain), &first), 0);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(erase(e, sid[i]), 0);
		commit(rig, e);
		finish(rig, e);
		assert_int_equal(store_space(chain_store(rig->chain), &space), 0);
		assert_true(space.used_bytes < 6u << 20);
		for (unsigned i = 0; i < 6; i++)
			closed_session(rig, 4u << 20, sid[i]);
	}
	assert_int_equal(store_space(chain_store(rig->chain), &space), 0);
	assert_true(space.file_bytes < first.file_bytes + first.file_bytes / 8);
	eraser_free(e);
}

/* Retention. */

static void
retain_all(struct rig *rig, struct eraser *e, struct retain *t)
{
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(retain_step(t), 0);
		commit(rig, e);
		finish(rig, e);
	}
}

static void
begin_retention(struct rig *rig, struct eraser *e, struct retain *t, uint64_t age, uint64_t space)
{
	const struct retain_conf conf = { .age_ns = age, .space = space };

	assert_int_equal(retain_init(t, rig->chain, e), 0);
	retain_set(t, &conf);
}

static bool
is_erased(struct rig *rig, const uint8_t sid[REC_SID_LEN])
{
	return (fate_of(rig, sid).flags & FATE_ERASED) != 0;
}

static void
test_age_takes_what_ended_long_enough_ago(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t old[REC_SID_LEN], held[REC_SID_LEN], young[REC_SID_LEN], late[REC_SID_LEN];
	struct session *running, *ends_late;
	struct retain t;

	begin_retention(rig, e, &t, 10 * DAY_NS, 0);
	running = rig_session(rig);
	ends_late = rig_session(rig);
	closed_session(rig, 100000, old);
	closed_session(rig, 100000, held);
	assert_int_equal(hold(e, held, true), 0);
	pass(9 * DAY_NS);
	memcpy(late, session_sid(ends_late), REC_SID_LEN);
	assert_int_equal(session_close(ends_late, LINK_END_CLIENT, "", ""), 0);
	closed_session(rig, 100000, young);
	retain_all(rig, e, &t);
	assert_false(is_erased(rig, old));
	pass(2 * DAY_NS);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, old));
	assert_false(is_erased(rig, held));
	assert_false(is_erased(rig, late));
	assert_false(is_erased(rig, young));
	assert_false(is_erased(rig, session_sid(running)));
	assert_int_equal(t.total_age, 1);
	pass(9 * DAY_NS);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, late));
	assert_true(is_erased(rig, young));
	assert_false(is_erased(rig, held));
	assert_int_equal(hold(e, held, false), 0);
	commit(rig, e);
	retain_again(&t);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, held));
	assert_int_equal(t.total_age, 4);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

static void
test_space_takes_the_oldest_until_it_is_enough(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[10][REC_SID_LEN];
	struct store_space space;
	struct retain t;
	unsigned first = 0;

	for (unsigned i = 0; i < 10; i++) {
		pass(1000000000);
		closed_session(rig, 2u << 20, sid[i]);
	}
	assert_int_equal(hold(e, sid[1], true), 0);
	begin_retention(rig, e, &t, 0, 12u << 20);
	retain_all(rig, e, &t);
	assert_int_equal(store_space(chain_store(rig->chain), &space), 0);
	assert_true(space.used_bytes - space.journal_bytes <= 12u << 20);
	assert_true(space.used_bytes - space.journal_bytes > 8u << 20);
	assert_false(is_erased(rig, sid[1]));
	assert_false(t.is_short);
	/* Those that went are the oldest. */
	while (first < 10 && (first == 1 || is_erased(rig, sid[first])))
		first++;
	assert_in_range(first, 4, 7);
	for (unsigned i = first; i < 10; i++)
		assert_false(is_erased(rig, sid[i]));
	assert_int_equal(t.total_space, first - 1);
	eraser_free(e);
}

static void
test_what_is_held_may_be_too_much(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN];
	struct retain t;

	closed_session(rig, 6u << 20, sid);
	closed_session(rig, 100000, other);
	assert_int_equal(hold(e, sid, true), 0);
	begin_retention(rig, e, &t, 0, 2u << 20);
	for (unsigned i = 0; i < 20; i++) {
		retain_all(rig, e, &t);
		pass(RETAIN_EVERY_NS + 1);
	}
	assert_false(is_erased(rig, sid));
	assert_true(is_erased(rig, other));
	assert_true(t.is_short);
	eraser_free(e);
}

/* A clock that somebody set to next year does not make everything old. */
static void
test_a_clock_that_jumps_takes_nothing(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN];
	struct retain t;

	closed_session(rig, 100000, sid);
	begin_retention(rig, e, &t, 30 * DAY_NS, 0);
	wall += 400 * DAY_NS;
	retain_all(rig, e, &t);
	assert_false(is_erased(rig, sid));
	wall = START_NS - 400 * DAY_NS;
	retain_all(rig, e, &t);
	assert_false(is_erased(rig, sid));
	/* When it is right again, time does. */
	wall = START_NS;
	pass(31 * DAY_NS);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, sid));
	eraser_free(e);
}

/* Nor does it move an event: times in a session come from a clock that nobody sets. */
static void
test_a_wall_clock_that_jumps_moves_no_event(void **state)
{
	static const int64_t jumps_h[] = { 5, -9, 3, 100, -200, 1 };
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];
	struct recording_part part;
	struct recording *rec;
	struct store_snap *snap;
	uint64_t last_ns = 0, n = 0;

	memcpy(sid, session_sid(s), REC_SID_LEN);
	for (size_t i = 0; i < N_OF(jumps_h); i++) {
		pass(1000000);
		wall = (uint64_t)((int64_t)wall + jumps_h[i] * 3600 * 1000000000);
		rig_data(s, 1, 100);
		rig_commit(rig);
	}
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, sid, &rec), 0);
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0) {
			assert_int_equal(ev.at_ns - last_ns, 1000000);
			last_ns = ev.at_ns;
			n++;
		}
	}
	recording_close(rec);
	store_snap_free(snap);
	assert_int_equal(n, N_OF(jumps_h));
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

static void
test_many_go_in_bounded_steps(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN];
	struct eraser_stats stats;
	struct retain t;
	unsigned steps = 0;

	for (unsigned i = 0; i < 3 * RETAIN_BATCH; i++) {
		pass(1000);
		rig_closed(rig, 1, 100, sid);
	}
	begin_retention(rig, e, &t, DAY_NS, 0);
	pass(2 * DAY_NS);
	do {
		uint64_t before;

		eraser_stats(e, &stats);
		before = stats.n_erased;
		assert_int_equal(retain_step(&t), 0);
		commit(rig, e);
		finish(rig, e);
		eraser_stats(e, &stats);
		assert_true(stats.n_erased - before <= RETAIN_BATCH);
		assert_true(steps++ < 10);
	} while (stats.n_erased < 3 * RETAIN_BATCH);
	assert_true(steps >= 3);
	/* No values: nothing goes. */
	rig_closed(rig, 1, 100, sid);
	retain_set(&t, &(struct retain_conf){ 0 });
	pass(100 * DAY_NS);
	retain_all(rig, e, &t);
	assert_false(is_erased(rig, sid));
	eraser_free(e);
}

/* One that the next start finds damaged: its last head was edited. */
static void
damaged_session(struct rig *rig, uint8_t ret_sid[REC_SID_LEN])
{
	struct session *s = rig_session(rig);

	memcpy(ret_sid, session_sid(s), REC_SID_LEN);
	rig_data(s, 20, 16384);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);
	rig_flip(rig, STORE_HEAD, ret_sid, REC_SID_LEN, -1);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_damaged, 1);
	assert_int_equal(rig->recovery.n_truncated, 0);
}

/* Nobody can end it any more: it may be held, and erased, and the verifier says what it was. */
static void
test_what_a_stop_left_damaged_may_be_erased(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct eraser *e;
	struct session *running;

	damaged_session(rig, sid);
	running = rig_session(rig);
	rig_data(running, 1, 100);
	e = open_eraser(rig);
	assert_int_equal(hold(e, sid, true), 0);
	assert_int_equal(erase(e, sid), ERR_DENIED);
	assert_int_equal(hold(e, sid, false), 0);
	assert_int_equal(erase(e, session_sid(running)), ERR_ORDER);
	assert_int_equal(erase(e, sid), 0);
	assert_int_equal(erase(e, sid), ERR_ERASED);
	commit(rig, e);
	finish(rig, e);
	assert_int_equal(count_of(rig, STORE_BLK, sid), 0);
	assert_int_equal(key_of(rig, sid), ERR_ERASED);
	assert_int_equal(session_close(running, LINK_END_CLIENT, "", ""), 0);
	rig_commit(rig);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_good, 2);
	assert_int_equal(rig->result.n_open, 0);
	assert_int_equal(rig->result.n_erased, 0);
	assert_int_equal(rig->result.n_erased_damaged, 1);
	/* The next start has nothing to say of it. */
	rig_open(rig);
	assert_int_equal(rig->recovery.n_damaged, 0);
}

/* An end that comes after the erasure is none. */
static void
test_an_end_behind_an_erasure_is_a_finding(void **state)
{
	struct mlog_leaf leaf = { .type = MLOG_CLOSE, .state = SESS_CLOSED };
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct eraser *e;

	damaged_session(rig, sid);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), 0);
	memcpy(leaf.sid, sid, REC_SID_LEN);
	assert_int_equal(mlog_add(&rig->chain->log, &leaf, NULL), 0);
	commit(rig, e);
	finish(rig, e);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_LOG, "leaf"));
	rig_open(rig);
}

static void
test_age_takes_what_a_stop_left_damaged(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], late[REC_SID_LEN];
	struct session *ends;
	struct eraser *e;
	struct retain t;

	damaged_session(rig, sid);
	ends = rig_session(rig);
	memcpy(late, session_sid(ends), REC_SID_LEN);
	commit(rig, e = open_eraser(rig));
	begin_retention(rig, e, &t, 10 * DAY_NS, 0);
	pass(9 * DAY_NS);
	retain_all(rig, e, &t);
	assert_false(is_erased(rig, sid));
	pass(2 * DAY_NS);
	/* What ended in this transaction is open in the snapshot, and yet not old. */
	assert_int_equal(session_close(ends, LINK_END_CLIENT, "", ""), 0);
	assert_int_equal(retain_step(&t), 0);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, sid));
	assert_false(is_erased(rig, late));
	assert_int_equal(t.total_age, 1);
	pass(11 * DAY_NS);
	retain_all(rig, e, &t);
	assert_true(is_erased(rig, late));
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

/* Where a key record has the lowest byte of its slot's number (seskey.h). */
#define SLOT_LAST 10

/* No hash covers the number in a key record: aimed at another's half it erases nothing. */
static void
test_a_slot_that_is_another_sessions_is_not_wiped(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], held[REC_SID_LEN], third[REC_SID_LEN];
	struct eraser *e = open_eraser(rig);
	struct retain t;

	closed_session(rig, 100000, sid);
	closed_session(rig, 100000, held);
	pass(1000);
	closed_session(rig, 100000, third);
	assert_int_equal(hold(e, held, true), 0);
	commit(rig, e);
	eraser_free(e);
	rig_close(rig);
	rig_flip(rig, STORE_KEY, sid, REC_SID_LEN, SLOT_LAST);
	rig_open(rig);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), ERR_CHAIN);
	assert_false(eraser_is_busy(e));
	/* Retention leaves it, and goes on with the others. */
	begin_retention(rig, e, &t, DAY_NS, 0);
	pass(3 * DAY_NS);
	retain_all(rig, e, &t);
	assert_int_equal(fate_of(rig, sid).flags, 0);
	assert_true(is_erased(rig, third));
	assert_int_equal(key_of(rig, held), 0);
	/* Nor does a number that no slot has stop the recorder. */
	eraser_free(e);
	rig_close(rig);
	rig_flip(rig, STORE_KEY, sid, REC_SID_LEN, SLOT_LAST - 3);
	rig_open(rig);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), ERR_CHAIN);
	commit(rig, e);
	eraser_free(e);
	/* As it was it goes. */
	rig_close(rig);
	rig_flip(rig, STORE_KEY, sid, REC_SID_LEN, SLOT_LAST - 3);
	rig_flip(rig, STORE_KEY, sid, REC_SID_LEN, SLOT_LAST);
	rig_open(rig);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), 0);
	commit(rig, e);
	finish(rig, e);
	assert_int_equal(key_of(rig, held), 0);
	eraser_free(e);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

/* Nor does the list of what a stop left to be wiped. */
static void
test_a_list_of_keys_to_wipe_spares_who_was_not_erased(void **state)
{
	static const uint8_t list[16] = { [7] = 1, [15] = 0 };
	uint8_t sid[REC_SID_LEN], gone[REC_SID_LEN];
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	struct store *store;

	closed_session(rig, 1000, gone);
	closed_session(rig, 1000, sid);
	assert_int_equal(erase(e, gone), 0);
	commit(rig, e);
	finish(rig, e);
	eraser_free(e);
	rig_close(rig);
	store = rig_touch(rig);
	assert_int_equal(store_put(store, STORE_META, STORE_META_WIPE, strlen(STORE_META_WIPE),
			     list, sizeof(list)),
	    0);
	rig_untouch(store);
	rig_open(rig);
	assert_int_equal(key_of(rig, sid), 0);
	assert_int_equal(key_of(rig, gone), ERR_ERASED);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
}

/* An opening that was edited to fit the wrong half is not the one that its leaf covers. */
static void
test_an_opening_that_its_leaf_does_not_cover_erases_nothing(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], space[4096], hash[HASH_LEN], half[CRYPT_KEY_LEN], *at;
	struct eraser *e = open_eraser(rig);
	struct store_snap *snap;
	const uint8_t *data;
	struct seskey k;
	struct sess s;
	size_t len;

	closed_session(rig, 1000, sid);
	closed_session(rig, 1000, space);
	/* What the opening has to say for the other one's half. */
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(seskey_find(snap, sid, &k), 0);
	k.slot ^= 1;
	assert_int_equal(seskey_fetch(snap, &k), 0);
	memcpy(half, k.half, sizeof(half));
	assert_int_equal(seskey_hash(&k, half, hash), 0);
	seskey_done(&k);
	assert_int_equal(sess_get(snap, sid, &s), 0);
	assert_int_equal(store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len), 0);
	assert_true(len <= sizeof(space));
	memcpy(space, data, len);
	store_snap_free(snap);
	at = memmem(space, len, s.key_hash, HASH_LEN);
	assert_non_null(at);
	memcpy(at, hash, HASH_LEN);
	sess_done(&s);
	eraser_free(e);
	rig_close(rig);
	rig_flip(rig, STORE_KEY, sid, REC_SID_LEN, SLOT_LAST);
	put_raw(rig, STORE_SESS, sid, space, len);
	rig_open(rig);
	e = open_eraser(rig);
	assert_int_equal(erase(e, sid), ERR_CHAIN);
	assert_false(eraser_is_busy(e));
	eraser_free(e);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Somebody looks at a session, which is erased under their hands: that is not damage. */
static void
test_what_is_erased_while_it_is_read_is_not_damaged(void **state)
{
	struct rig *rig = *state;
	struct eraser *e = open_eraser(rig);
	uint8_t sid[REC_SID_LEN];
	struct recording_part part;
	struct recording *rec, *sealed;
	struct block_hdr hdr;
	struct store_snap *snap;
	struct buf *b = buf_new(BLOCK_STORED_MAX);

	closed_session(rig, 4 * BLOCK_RAW_MAX, sid);
	assert_non_null(b);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, sid, &rec), 0);
	assert_int_equal(recording_open_sealed(snap, sid, &sealed), 0);
	assert_int_equal(recording_next(rec, &part), 0);
	assert_int_equal(recording_next_sealed(sealed, &hdr, b), 0);
	assert_int_equal(erase(e, sid), 0);
	commit(rig, e);
	(void)finish(rig, e);
	assert_int_equal(store_snap_renew(snap), 0);
	assert_int_equal(recording_next(rec, &part), ERR_ERASED);
	assert_int_equal(recording_next_sealed(sealed, &hdr, b), ERR_ERASED);
	recording_close(sealed);
	recording_close(rec);
	store_snap_free(snap);
	buf_free(b);
	eraser_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_may_not_be_erased_is_not),
		T(test_blocks_go_and_digests_stay),
		T(test_a_long_session_goes_in_slices),
		T(test_what_a_stop_cut_off_is_finished),
		T(test_erased_space_is_used_again),
		T(test_age_takes_what_ended_long_enough_ago),
		T(test_space_takes_the_oldest_until_it_is_enough),
		T(test_what_is_held_may_be_too_much),
		T(test_a_clock_that_jumps_takes_nothing),
		T(test_a_wall_clock_that_jumps_moves_no_event),
		T(test_many_go_in_bounded_steps),
		T(test_what_is_erased_while_it_is_read_is_not_damaged),
		T(test_what_a_stop_left_damaged_may_be_erased),
		T(test_an_end_behind_an_erasure_is_a_finding),
		T(test_age_takes_what_a_stop_left_damaged),
		T(test_a_slot_that_is_another_sessions_is_not_wiped),
		T(test_a_list_of_keys_to_wipe_spares_who_was_not_erased),
		T(test_an_opening_that_its_leaf_does_not_cover_erases_nothing),
	};

	return cmocka_run_group_tests_name("erase", tests, NULL, NULL);
}
