/* Derived data is what rendering says, is gone with its session's key, and when it is damaged it is as if it were not there. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "recorder/chunk.h"
#include "recorder/derived_part.h"
#include "recorder/indexer.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

struct look {
	struct store *store;
	struct store_snap *snap;
	struct derived *derived;
	uint64_t n_events;
};

static void
index_all(struct rig *rig, uint64_t want)
{
	struct indexer *ix;
	bool more = true;

	assert_int_equal(indexer_new(rig->dir, &ix), 0);
	while (more)
		assert_int_equal(indexer_step(ix, 1, &more), 0);
	assert_int_equal(indexer_counted(ix)->sessions, want);
	indexer_free(ix);
}

static void
look_open(struct rig *rig, const uint8_t sid[REC_SID_LEN], struct look *l)
{
	struct sess s;

	assert_int_equal(store_open_read(rig->dir, &l->store), 0);
	assert_int_equal(store_snap_new(l->store, &l->snap), 0);
	assert_int_equal(sess_get(l->snap, sid, &s), 0);
	l->n_events = s.n_events;
	sess_done(&s);
	if (derived_open_read(rig->dir, &l->derived) != 0)
		l->derived = NULL;
}

static void
look_close(struct look *l)
{
	derived_close(l->derived);
	store_snap_free(l->snap);
	store_close(l->store);
}

static void
put_event(struct session *s, enum event_way way, uint8_t type, const struct buf *b)
{
	assert_int_equal(session_append(s, way, type, 1, buf_ptr(b), buf_len(b)), 0);
}

/* A terminal of 80 columns, and n times a line of output. */
static void
terminal(struct rig *rig, unsigned n, uint8_t ret_sid[REC_SID_LEN])
{
	struct session *s = rig_session(rig);
	struct buf *b = buf_new(65536);

	assert_non_null(b);
	assert_int_equal(buf_put_cstr(b, "session"), 0);
	put_event(s, EVENT_FRONT, LINK_OPEN, b);
	buf_reset(b);
	assert_int_equal(buf_put_u32(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, "pty-req"), 0);
	assert_int_equal(buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_cstr(b, "xterm"), 0);
	assert_int_equal(buf_put_u32(b, 80), 0);
	assert_int_equal(buf_put_u32(b, 24), 0);
	put_event(s, EVENT_FRONT, LINK_REQUEST, b);
	for (unsigned i = 0; i < n; i++) {
		char line[80];

		buf_reset(b);
		(void)snprintf(
		    line, sizeof(line), "\033[3%um%08u the quick brown fox\033[m\r\n", i % 8, i);
		assert_int_equal(buf_put(b, line, strlen(line)), 0);
		put_event(s, EVENT_BACK, LINK_DATA, b);
	}
	buf_free(b);
	memcpy(ret_sid, session_sid(s), REC_SID_LEN);
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(rig);
}

static void
test_all_that_is_rendered_is_there(void **state)
{
	struct rig *rig = *state;
	struct derived_look *dl;
	struct chunk c = { 0 };
	uint8_t sid[REC_SID_LEN];
	struct look l;
	size_t lines = 0;

	terminal(rig, 20000, sid);
	rig_close(rig);
	index_all(rig, 1);
	look_open(rig, sid, &l);
	assert_non_null(l.derived);
	assert_int_equal(derived_look(l.derived, l.snap, sid, l.n_events + 1, &dl), ERR_NOT_FOUND);
	assert_int_equal(derived_look(l.derived, l.snap, sid, l.n_events, &dl), 0);
	assert_true(derived_chunks(dl) > 2);
	for (uint32_t i = 0; i < derived_chunks(dl); i++) {
		assert_int_equal(derived_chunk(dl, i, &c), 0);
		for (size_t k = 0; k < c.n_lines; k++) {
			size_t len;
			const uint8_t *p = c.text + k * 29;
			char want[40];

			(void)snprintf(want, sizeof(want), "%08zu the quick brown fox\n", lines++);
			len = strlen(want);
			assert_int_equal(len, 29);
			assert_memory_equal(p, want, len);
		}
		assert_true(derived_may(dl, i, (const uint8_t *)"quick brown", 11));
		assert_false(derived_may(dl, i, (const uint8_t *)"slow purple", 11));
	}
	assert_int_equal(lines, 20000);
	derived_leave(dl);
	chunk_done(&c);
	look_close(&l);
	/* Once is enough. */
	index_all(rig, 0);
}

/* The screen from a picture and the rest is the screen from the start. */
static void
test_pictures_lead_to_the_same_screen(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct look l;
	struct derived_shot shot;

	terminal(rig, 40000, sid);
	rig_close(rig);
	index_all(rig, 1);
	look_open(rig, sid, &l);
	assert_int_equal(derived_shot(l.derived, l.snap, sid, 1, 0, &shot), ERR_NOT_FOUND);
	assert_int_equal(derived_shot(l.derived, l.snap, sid, 2, UINT64_MAX, &shot), ERR_NOT_FOUND);
	assert_int_equal(derived_shot(l.derived, l.snap, sid, 1, UINT64_MAX, &shot), 0);
	assert_int_equal(shot.cols, 80);
	assert_true(shot.next_seq > 20000);
	buf_free(shot.paint);
	for (int i = 0; i < 2; i++) {
		uint64_t at = i == 0 ? shot.at_ns + 12345 : UINT64_MAX;
		struct screen *a, *b;
		struct buf *ta = buf_new(65536), *tb = buf_new(65536);

		assert_int_equal(derived_screen_at(l.derived, l.snap, sid, 1, at, &a), 0);
		assert_int_equal(derived_screen_at(NULL, l.snap, sid, 1, at, &b), 0);
		assert_int_equal(screen_text(a, ta), 0);
		assert_int_equal(screen_text(b, tb), 0);
		assert_true(buf_len(ta) > 100);
		assert_int_equal(buf_len(ta), buf_len(tb));
		assert_memory_equal(buf_ptr(ta), buf_ptr(tb), buf_len(ta));
		screen_free(a);
		screen_free(b);
		buf_free(ta);
		buf_free(tb);
	}
	look_close(&l);
}

/* Every byte of every value, one after another, makes the value none. */
static void
test_a_damaged_value_is_none(void **state)
{
	struct rig *rig = *state;
	struct derived_look *dl;
	struct chunk c = { 0 };
	uint8_t sid[REC_SID_LEN], copy[4096];
	char dir[200];
	struct look l;

	terminal(rig, 3, sid);
	rig_close(rig);
	index_all(rig, 1);
	(void)snprintf(dir, sizeof(dir), "%s/" DERIVED_DIR, rig->dir);
	for (unsigned kind = SDERIVED_INFO; kind <= SDERIVED_CHUNK; kind++) {
		size_t len = 1;

		for (size_t i = 0; i < len; i += 7) {
			struct sderived *sd;
			const uint8_t *p;
			int r;

			assert_int_equal(sderived_open_write(dir, &sd), 0);
			assert_int_equal(sderived_begin(sd), 0);
			assert_int_equal(
			    sderived_get(sd, sid, (enum sderived_kind)kind, 0, &p, &len), 0);
			assert_true(len < sizeof(copy));
			memcpy(copy, p, len);
			copy[i] ^= 1;
			assert_int_equal(
			    sderived_put(sd, sid, (enum sderived_kind)kind, 0, copy, len), 0);
			assert_int_equal(sderived_commit(sd), 0);
			look_open(rig, sid, &l);
			r = derived_look(l.derived, l.snap, sid, l.n_events, &dl);
			assert_int_equal(r, kind == SDERIVED_INFO ? ERR_NOT_FOUND : 0);
			if (r == 0) {
				assert_int_equal(derived_chunk(dl, 0, &c), ERR_FORMAT);
				derived_leave(dl);
			}
			look_close(&l);
			copy[i] ^= 1;
			assert_int_equal(sderived_begin(sd), 0);
			assert_int_equal(
			    sderived_put(sd, sid, (enum sderived_kind)kind, 0, copy, len), 0);
			assert_int_equal(sderived_commit(sd), 0);
			sderived_close(sd);
		}
	}
	chunk_done(&c);
}

static void
test_a_file_that_is_none_is_made_anew(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	char path[200];
	struct look l;
	int fd;

	terminal(rig, 3, sid);
	rig_close(rig);
	index_all(rig, 1);
	(void)snprintf(path, sizeof(path), "%s/" DERIVED_DIR "/data.mdb", rig->dir);
	assert_true((fd = open(path, O_WRONLY | O_TRUNC)) >= 0);
	assert_int_equal(write(fd, "this is not a database at all", 29), 29);
	(void)close(fd);
	look_open(rig, sid, &l);
	assert_null(l.derived);
	look_close(&l);
	index_all(rig, 1);
	look_open(rig, sid, &l);
	assert_non_null(l.derived);
	look_close(&l);
}

static void
test_one_indexer_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct indexer *a, *b;
	uint8_t sid[REC_SID_LEN];

	terminal(rig, 3, sid);
	rig_close(rig);
	assert_int_equal(indexer_new(rig->dir, &a), 0);
	assert_int_equal(indexer_new(rig->dir, &b), ERR_EXISTS);
	indexer_free(a);
	assert_int_equal(indexer_new("/nonexistent", &b), -ENOENT);
}

#define MINUTES_2_NS 120000000000ull /* the indexer looks at everything again before that */

/* What failed once fails again: it is told once, and not rendered each minute. */
static void
test_a_damaged_session_is_rendered_once(void **state)
{
	uint8_t sid[REC_SID_LEN], good[REC_SID_LEN], key[BLOCK_KEY_LEN + 2] = { 0 };
	struct rig *rig = *state;
	struct indexer *ix;
	uint64_t events;
	bool more = true;

	rig_closed(rig, 40, 16384, sid);
	rig_closed(rig, 3, 100, good);
	rig_close(rig);
	block_key(sid, 2, key);
	rig_flip(rig, STORE_BLK, key, sizeof(key), 20);
	assert_int_equal(indexer_new(rig->dir, &ix), 0);
	while (more)
		assert_int_equal(indexer_step(ix, 1, &more), 0);
	assert_int_equal(indexer_counted(ix)->sessions, 1);
	events = indexer_counted(ix)->events;
	assert_true(events > 3);
	for (more = true; more;)
		assert_int_equal(indexer_step(ix, MINUTES_2_NS, &more), 0);
	assert_int_equal(indexer_counted(ix)->events, events);
	/* Until somebody asks for all of it. */
	assert_int_equal(indexer_forget(ix), 0);
	for (more = true; more;)
		assert_int_equal(indexer_step(ix, 2 * MINUTES_2_NS, &more), 0);
	assert_int_equal(indexer_counted(ix)->events, 2 * events);
	indexer_free(ix);
}

static void
test_nothing_is_in_the_clear(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	char path[200], *data;
	size_t len;

	terminal(rig, 200, sid);
	rig_close(rig);
	index_all(rig, 1);
	(void)snprintf(path, sizeof(path), "%s/" DERIVED_DIR "/data.mdb", rig->dir);
	assert_int_equal(file_read(path, 1u << 26, &data, &len), 0);
	assert_null(memmem(data, len, "quick brown", 11));
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_all_that_is_rendered_is_there, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_pictures_lead_to_the_same_screen, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_damaged_value_is_none, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_file_that_is_none_is_made_anew, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_one_indexer_at_a_time, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_damaged_session_is_rendered_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_nothing_is_in_the_clear, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
