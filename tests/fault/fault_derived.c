/*
 * Derived data without memory at every point: making it says so and leaves nothing that is believed, the next try makes all of it; a
 * reader says so, or does without.
 */
#include "config.h"

#include <errno.h>

#include "lib/hash.h"
#include "recorder/chunk.h"
#include "recorder/derived.h"
#include "recorder/indexer.h"
#include "recorder/sess.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define EVENT_LEN 32000u
#define EVENTS 18u /* with a picture of the screen among them */

struct world {
	struct rig *rig;
	struct store *store;
	struct store_snap *snap;
	struct derived *derived;
	uint8_t sid[REC_SID_LEN];
	uint64_t n_events;
	struct buf *text, *want; /* all lines, and the screen at the end */
};

static void
put(struct session *s, enum event_way way, uint8_t type, const void *data, size_t len)
{
	assert_int_equal(session_append(s, way, type, 1, data, len), 0);
}

/* A terminal with so much output that there are several chunks and a picture. */
static void
record(struct world *w)
{
	struct session *s = rig_session(w->rig);
	char line[64], data[EVENT_LEN + sizeof(line)];
	unsigned n = 0;

	put(s, EVENT_FRONT, LINK_OPEN, "\0\0\0\7session", 11);
	put(s, EVENT_FRONT, LINK_REQUEST,
	    "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\120\0\0\0\30", 33);
	for (unsigned i = 0; i < EVENTS; i++) {
		size_t len = 0;

		for (; len < EVENT_LEN; n++)
			len += (size_t)snprintf(data + len, sizeof(data) - len,
			    "\033[3%um%08u the quick brown fox\033[m\r\n", n % 8, n);
		put(s, EVENT_BACK, LINK_DATA, data, len);
	}
	memcpy(w->sid, session_sid(s), REC_SID_LEN);
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(w->rig);
	rig_close(w->rig);
}

static int
index_all(struct world *w)
{
	struct indexer *ix = NULL;
	bool more = true;
	int r;

	if ((r = indexer_new(w->rig->dir, &ix)) != 0)
		return r;
	while (r == 0 && more)
		r = indexer_step(ix, 1, &more);
	indexer_free(ix);
	return r;
}

/* Forget what is there, as if it had never been made. */
static void
forget(struct world *w)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/" DERIVED_DIR, w->rig->dir);
	rig_remove(path);
}

static int
look_at_chunks(struct derived_look *look, struct buf *out)
{
	struct chunk c = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < derived_chunks(look); i++) {
		/* Without memory the filter lets everything through; it never keeps anything back. */
		assert_true(derived_may(look, i, (const uint8_t *)"quick brown", 11));
		if ((r = derived_chunk(look, i, &c)) == 0)
			r = buf_put(out, c.text, c.len);
	}
	chunk_done(&c);
	return r;
}

/* All that is there of the session. 0; ERR_NOT_FOUND; -ENOMEM. */
static int
look_at(struct world *w, struct buf *out)
{
	struct derived_look *look;
	struct derived_shot shot;
	struct screen *s = NULL;
	int r;

	if ((r = derived_look(w->derived, w->snap, w->sid, w->n_events, &look)) != 0)
		return r;
	r = look_at_chunks(look, out);
	derived_leave(look);
	if (r != 0 || (r = derived_shot(w->derived, w->snap, w->sid, 1, UINT64_MAX, &shot)) != 0)
		return r;
	r = buf_put(out, buf_ptr(shot.paint), buf_len(shot.paint));
	buf_free(shot.paint);
	if (r != 0 || (r = derived_screen_at(w->derived, w->snap, w->sid, 1, UINT64_MAX, &s)) != 0)
		return r;
	r = screen_text(s, out);
	screen_free(s);
	return r;
}

static int
look_once(struct world *w, struct buf *out)
{
	int r = derived_open_read(w->rig->dir, &w->derived);

	buf_reset(out);
	if (r == 0)
		r = look_at(w, out);
	derived_close(w->derived);
	w->derived = NULL;
	return r;
}

static void
must_be_whole(struct world *w)
{
	assert_int_equal(look_once(w, w->text), 0);
	assert_int_equal(buf_len(w->text), buf_len(w->want));
	assert_memory_equal(buf_ptr(w->text), buf_ptr(w->want), buf_len(w->want));
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sess s;
	void *rig;

	assert_non_null(w);
	assert_int_equal(rig_setup(&rig), 0);
	w->rig = rig;
	record(w);
	assert_int_equal(store_open_read(w->rig->dir, &w->store), 0);
	assert_int_equal(store_snap_new(w->store, &w->snap), 0);
	assert_int_equal(sess_get(w->snap, w->sid, &s), 0);
	w->n_events = s.n_events;
	sess_done(&s);
	w->text = buf_new(1u << 24);
	w->want = buf_new(1u << 24);
	assert_non_null(w->text);
	assert_non_null(w->want);
	assert_int_equal(index_all(w), 0);
	assert_int_equal(look_once(w, w->want), 0);
	assert_true(buf_len(w->want) > EVENTS * EVENT_LEN / 2);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	void *rig = w->rig;

	buf_free(w->text);
	buf_free(w->want);
	store_snap_free(w->snap);
	store_close(w->store);
	forget(w);
	assert_int_equal(rig_teardown(&rig), 0);
	free(w);
	return 0;
}

static int
run_index(void *arg)
{
	struct world *w = arg;
	int r, r2;

	fault_hold();
	forget(w);
	fault_go();
	r = index_all(w);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	/* What is there is whole, or not there. */
	r2 = look_once(w, w->text);
	assert_true(r2 == 0 || r2 == ERR_NOT_FOUND);
	assert_true(r != 0 || r2 == 0);
	assert_int_equal(index_all(w), 0);
	must_be_whole(w);
	return r;
}

static void
test_making_survives_every_failed_allocation(void **state)
{
	assert_true(fault_each(FAULT_MEMORY, run_index, *state) > 60);
}

static int
run_look(void *arg)
{
	struct world *w = arg;
	int r = look_once(w, w->text);

	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	must_be_whole(w);
	return r;
}

static void
test_reading_survives_every_failed_allocation(void **state)
{
	assert_true(fault_each(FAULT_MEMORY, run_look, *state) > 40);
}

/* One writer, several tries: what failed is made by the same one, and what was made before is still there. */
static int
run_again(void *arg)
{
	struct world *w = arg;
	struct derived_writer *dw;
	int r;

	fault_hold();
	forget(w);
	assert_int_equal(derived_open_write(w->rig->dir, &dw), 0);
	fault_go();
	r = derived_make(dw, w->snap, w->sid, w->n_events);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	if (r != 0) {
		assert_int_equal(derived_has(dw, w->snap, w->sid, w->n_events), ERR_NOT_FOUND);
		assert_int_equal(derived_make(dw, w->snap, w->sid, w->n_events), 0);
	}
	assert_int_equal(derived_has(dw, w->snap, w->sid, w->n_events), 0);
	assert_int_equal(derived_flush(dw), 0);
	derived_writer_close(dw);
	must_be_whole(w);
	return r;
}

static void
test_a_writer_goes_on_after_every_failed_allocation(void **state)
{
	assert_true(fault_each(FAULT_MEMORY, run_again, *state) > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_making_survives_every_failed_allocation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_reading_survives_every_failed_allocation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_writer_goes_on_after_every_failed_allocation, set_up, tear_down),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_derived", tests, NULL, NULL);
}
