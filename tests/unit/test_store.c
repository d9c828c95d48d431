/* The store: order, snapshots, pieces, one writer, full maps, readers that died. */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

/* The rig's chain is closed: these tests write by themselves. */
static int
setup(void **state)
{
	int r = rig_setup(state);

	if (r == 0)
		rig_crash(*state);
	return r;
}

static struct store *
open_small(struct rig *rig, uint64_t map)
{
	struct store_conf conf = { .dir = rig->dir, .map_size = map, .durability = STORE_PROCESS };
	struct store *s;

	assert_int_equal(store_open_write(&conf, &s), 0);
	return s;
}

static void
test_values_come_back_after_a_commit_and_not_after_an_abort(void **state)
{
	struct store *s = open_small(*state, 0);
	struct store_snap *snap;
	const uint8_t *data;
	size_t len;

	assert_int_equal(store_put(s, STORE_META, "k", 1, "v", 1), ERR_ORDER);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_begin(s), ERR_ORDER);
	assert_int_equal(store_put(s, STORE_META, "k", 1, "value", 5), 0);
	store_abort(s);
	assert_int_equal(store_commit(s), ERR_ORDER);
	assert_int_equal(store_snap_new(s, &snap), 0);
	assert_int_equal(store_get(snap, STORE_META, "k", 1, &data, &len), ERR_NOT_FOUND);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put(s, STORE_META, "k", 1, "value", 5), 0);
	assert_int_equal(store_commit(s), 0);
	/* A snapshot is a moment; renewed, it is a later one. */
	assert_int_equal(store_get(snap, STORE_META, "k", 1, &data, &len), ERR_NOT_FOUND);
	store_snap_reset(snap);
	assert_int_equal(store_snap_renew(snap), 0);
	assert_int_equal(store_get(snap, STORE_META, "k", 1, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "value", 5);
	store_snap_free(snap);
	store_close(s);
}

static void
put_letters(struct store *s, const char *letters)
{
	assert_int_equal(store_begin(s), 0);
	for (; *letters != '\0'; letters++)
		assert_int_equal(store_put(s, STORE_IX, letters, 1, "", 0), 0);
	assert_int_equal(store_commit(s), 0);
}

static void
walk(struct store *s, const char *from, bool backwards, const char *want)
{
	struct store_snap *snap;
	struct store_item item;
	struct store_iter *it;

	assert_int_equal(store_snap_new(s, &snap), 0);
	assert_int_equal(store_iter_new(snap, STORE_IX, from, strlen(from), backwards, &it), 0);
	for (; *want != '\0'; want++) {
		assert_int_equal(store_iter_next(it, &item), 0);
		assert_int_equal(item.key_len, 1);
		assert_int_equal(item.key[0], *want);
	}
	assert_int_equal(store_iter_next(it, &item), ERR_NOT_FOUND);
	store_iter_free(it);
	store_snap_free(snap);
}

static void
test_walks_go_both_ways_from_anywhere(void **state)
{
	struct store *s = open_small(*state, 0);

	walk(s, "", false, "");
	walk(s, "", true, "");
	walk(s, "x", true, "");
	put_letters(s, "bdf");
	walk(s, "", false, "bdf");
	walk(s, "d", false, "df");
	walk(s, "c", false, "df");
	walk(s, "g", false, "");
	walk(s, "", true, "fdb");
	walk(s, "d", true, "db");
	walk(s, "c", true, "b");
	walk(s, "g", true, "fdb");
	walk(s, "a", true, "");
	store_close(s);
}

static void
test_pieces_come_back_whole(void **state)
{
	static const size_t lengths[] = { 1, STORE_PIECE - 1, STORE_PIECE, STORE_PIECE + 1,
		2 * STORE_PIECE, 131072 };
	struct store *s = open_small(*state, 0);
	struct buf *out = buf_new(200000);
	uint8_t *data = malloc(131072);

	assert_non_null(data);
	for (size_t i = 0; i < 131072; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (size_t i = 0; i < N_OF(lengths); i++) {
		assert_int_equal(store_begin(s), 0);
		assert_int_equal(
		    store_put_pieces(s, STORE_BLK, "key", 3, data, lengths[i], false), 0);
		buf_reset(out);
		assert_int_equal(store_get_pieces(store_pending(s), STORE_BLK, "key", 3, out), 0);
		assert_int_equal(buf_len(out), lengths[i]);
		assert_memory_equal(buf_ptr(out), data, lengths[i]);
		assert_int_equal(store_del_pieces(s, STORE_BLK, "key", 3), 0);
		assert_int_equal(store_del_pieces(s, STORE_BLK, "key", 3), ERR_NOT_FOUND);
		assert_int_equal(
		    store_get_pieces(store_pending(s), STORE_BLK, "key", 3, out), ERR_NOT_FOUND);
		assert_int_equal(store_commit(s), 0);
	}
	free(data);
	buf_free(out);
	store_close(s);
}

static void
test_more_pieces_than_the_reader_takes_are_refused(void **state)
{
	struct store *s = open_small(*state, 0);
	struct buf *out = buf_new(STORE_PIECE);
	static uint8_t data[STORE_PIECE + 1];

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_pieces(s, STORE_BLK, "k", 1, data, sizeof(data), false), 0);
	assert_int_equal(store_get_pieces(store_pending(s), STORE_BLK, "k", 1, out), ERR_LIMIT);
	store_abort(s);
	buf_free(out);
	store_close(s);
}

static void
test_appending_out_of_order_is_refused(void **state)
{
	struct store *s = open_small(*state, 0);

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_append(s, STORE_IX, "b", 1, "", 0), 0);
	assert_int_equal(store_append(s, STORE_IX, "a", 1, "", 0), ERR_EXISTS);
	assert_int_equal(store_append(s, STORE_IX, "b", 1, "", 0), ERR_EXISTS);
	store_abort(s);
	store_close(s);
}

static void
test_a_full_map_is_no_space_and_what_was_there_stays(void **state)
{
	struct rig *rig = *state;
	struct store *s = open_small(rig, 1u << 20);
	static uint8_t big[STORE_PIECE];
	int r = 0;

	put_letters(s, "a");
	assert_int_equal(store_begin(s), 0);
	for (uint32_t i = 0; i < 1000 && r == 0; i++)
		r = store_put(s, STORE_BLK, &i, sizeof(i), big, sizeof(big));
	assert_int_equal(r, -ENOSPC);
	store_abort(s);
	walk(s, "", false, "a");
	store_close(s);
}

static void
test_there_is_one_writer(void **state)
{
	struct rig *rig = *state;
	struct store_conf conf = { .dir = rig->dir, .durability = STORE_STRICT };
	struct store *s = open_small(rig, 0);
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *second;

		_exit(store_open_write(&conf, &second) == ERR_EXISTS ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(s);
}

/* A reader that was killed leaves its slot behind. */
static void
test_slots_of_dead_readers_are_cleared(void **state)
{
	struct rig *rig = *state;
	struct store *s = open_small(rig, 0);
	struct store_reader slow;
	int status, ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		struct store_snap *snap;
		struct store *reader;
		bool good =
		    store_open_read(rig->dir, &reader) == 0 && store_snap_new(reader, &snap) == 0;

		_exit(good && write(ready[1], "x", 1) == 1 && pause() != 0 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	put_letters(s, "abc");
	assert_int_equal(store_check_readers(s, &slow), 0);
	assert_int_equal(slow.n_cleared, 0);
	assert_int_equal(slow.lag, 1);
	assert_int_equal(slow.pid, pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(store_check_readers(s, &slow), 0);
	assert_int_equal(slow.n_cleared, 1);
	assert_int_equal(slow.lag, 0);
	assert_int_equal(slow.pid, 0);
	close(ready[0]);
	close(ready[1]);
	store_close(s);
}

static void
test_a_store_of_another_format_is_refused(void **state)
{
	struct rig *rig = *state;
	struct store_conf conf = { .dir = rig->dir, .durability = STORE_STRICT };
	struct store *s;

	rig_flip(rig, STORE_META, "format", 6, 3);
	assert_int_equal(store_open_read(rig->dir, &s), ERR_VERSION);
	assert_int_equal(store_open_write(&conf, &s), ERR_VERSION);
}

static void
test_no_store_is_no_entry(void **state)
{
	struct store *s;

	(void)state;
	assert_int_equal(store_open_read("/nonexistent", &s), -ENOENT);
}

static void
test_space_is_told(void **state)
{
	struct store *s = open_small(*state, 8u << 20);
	struct store_space space;

	assert_int_equal(store_space(s, &space), 0);
	assert_int_equal(space.map_bytes, 8u << 20);
	assert_true(space.file_bytes > 0 && space.file_bytes < space.map_bytes);
	assert_true(space.disk_size > 0);
	store_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_values_come_back_after_a_commit_and_not_after_an_abort),
		T(test_walks_go_both_ways_from_anywhere),
		T(test_pieces_come_back_whole),
		T(test_more_pieces_than_the_reader_takes_are_refused),
		T(test_appending_out_of_order_is_refused),
		T(test_a_full_map_is_no_space_and_what_was_there_stays),
		T(test_there_is_one_writer),
		T(test_slots_of_dead_readers_are_cleared),
		T(test_a_store_of_another_format_is_refused),
		cmocka_unit_test(test_no_store_is_no_entry),
		T(test_space_is_told),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
