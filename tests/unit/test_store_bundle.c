/*
 * A bundle is read like a store, and whatever bytes it is made of, nothing outside of them is
 * touched.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "recorder/store.h"
#include "recorder/store_bundle.h"

struct scene {
	char file[128];
};

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const char *tmp = getenv("TMPDIR");
	int fd;

	assert_non_null(s);
	(void)snprintf(
	    s->file, sizeof(s->file), "%.80s/bastion-bundle.XXXXXX", tmp != NULL ? tmp : "/tmp");
	fd = mkstemp(s->file);
	assert_true(fd >= 0);
	fd_close(&fd);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	(void)unlink(s->file);
	free(s);
	return 0;
}

static struct bundle_entry
entry(unsigned db, const char *key, const char *data)
{
	return (struct bundle_entry){ .db = db,
		.key = (const uint8_t *)key,
		.key_len = strlen(key),
		.data = (const uint8_t *)data,
		.len = strlen(data) };
}

static const uint8_t format[4] = { 0, 0, 0, STORE_FORMAT };

/* Two databases, and one between them that is empty. */
static void
write_small(const struct scene *s)
{
	const struct bundle_entry list[] = {
		{ STORE_META, (const uint8_t *)"format", format, 6, 4 },
		entry(STORE_META, "origin", "here"),
		entry(STORE_HDR, "b", "1"),
		entry(STORE_HDR, "bb", "2"),
		entry(STORE_HDR, "d", ""),
		entry(STORE_IX, "x", "y"),
	};
	struct bundle_writer *w;
	int fd = open(s->file, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(bundle_writer_new(fd, &w), 0);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		assert_int_equal(bundle_writer_add(w, &list[i]), 0);
	assert_int_equal(bundle_writer_end(w), 0);
	bundle_writer_free(w);
	fd_close(&fd);
}

static void
test_the_writer_refuses_what_is_not_in_order(void **state)
{
	static const uint8_t key[STORE_KEY_MAX + 1] = { 'z' };
	struct bundle_entry e = entry(STORE_HDR, "b", "1");
	const struct scene *s = *state;
	int fd = open(s->file, O_WRONLY | O_CLOEXEC);
	struct bundle_writer *w;

	assert_int_equal(bundle_writer_new(fd, &w), 0);
	assert_int_equal(bundle_writer_add(w, &e), 0);
	assert_int_equal(bundle_writer_add(w, &e), ERR_ORDER);
	e = entry(STORE_HDR, "a", "1");
	assert_int_equal(bundle_writer_add(w, &e), ERR_ORDER);
	e = entry(STORE_META, "c", "1");
	assert_int_equal(bundle_writer_add(w, &e), ERR_ORDER);
	e = entry(STORE_HDR, "", "1");
	assert_int_equal(bundle_writer_add(w, &e), ERR_LIMIT);
	e = (struct bundle_entry){ STORE_HDR, key, key, sizeof(key), 1 };
	assert_int_equal(bundle_writer_add(w, &e), ERR_LIMIT);
	e.key_len = STORE_KEY_MAX;
	assert_int_equal(bundle_writer_add(w, &e), 0);
	bundle_writer_free(w);
	fd_close(&fd);
}

static void
want_get(struct store_snap *snap, enum store_db db, const char *key, const char *want)
{
	const uint8_t *data;
	size_t len;
	int r = store_get(snap, db, key, strlen(key), &data, &len);

	assert_int_equal(r, want == NULL ? ERR_NOT_FOUND : 0);
	if (want == NULL)
		return;
	assert_int_equal(len, strlen(want));
	assert_memory_equal(data, want, len);
}

/* The first letters of the keys of a walk. */
static void
want_walk(struct store_snap *snap, const char *from, bool backwards, const char *want)
{
	struct store_iter *it;
	struct store_item item;
	char got[16];
	size_t n = 0;
	int r;

	assert_int_equal(store_iter_new(snap, STORE_HDR, from, strlen(from), backwards, &it), 0);
	while ((r = store_iter_next(it, &item)) == 0 && n < sizeof(got) - 1)
		got[n++] = (char)item.data[0];
	assert_int_equal(r, ERR_NOT_FOUND);
	assert_int_equal(store_iter_next(it, &item), ERR_NOT_FOUND);
	got[n] = '\0';
	store_iter_free(it);
	/* The last value is empty: what its data points at is the entry behind it. */
	for (size_t i = 0; i < n; i++)
		if (got[i] != '1' && got[i] != '2')
			got[i] = '3';
	assert_string_equal(got, want);
}

static void
test_it_reads_like_a_store(void **state)
{
	const struct scene *s = *state;
	struct store_snap *snap;
	struct store *store;
	uint64_t n;

	write_small(s);
	assert_int_equal(store_open_bundle(s->file, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_non_null(store_bundle(snap));
	assert_int_equal(bundle_check(store_bundle(snap)), 0);
	want_get(snap, STORE_META, "origin", "here");
	want_get(snap, STORE_META, "origi", NULL);
	want_get(snap, STORE_META, "originx", NULL);
	want_get(snap, STORE_HDR, "bb", "2");
	want_get(snap, STORE_HDR, "d", "");
	want_get(snap, STORE_HDR, "x", NULL);
	want_get(snap, STORE_IX, "x", "y");
	want_get(snap, STORE_PROOF, "x", NULL);
	want_walk(snap, "", false, "123");
	want_walk(snap, "b", false, "123");
	want_walk(snap, "ba", false, "23");
	want_walk(snap, "z", false, "");
	want_walk(snap, "", true, "321");
	want_walk(snap, "d", true, "321");
	want_walk(snap, "c", true, "21");
	want_walk(snap, "a", true, "");
	store_snap_reset(snap);
	assert_int_equal(store_snap_renew(snap), 0);
	assert_int_equal(store_sync(store), 0);
	assert_int_equal(store_count(snap, STORE_HDR, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(store_count(snap, STORE_LOG, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(store_count(snap, STORE_IX, &n), 0);
	assert_int_equal(n, 1);
	store_snap_free(snap);
	store_close(store);
}

static void
test_what_is_no_bundle_is_refused(void **state)
{
	struct store *store;

	(void)state;
	assert_int_equal(store_open_bundle("/nonexistent/x", &store), -ENOENT);
	assert_int_equal(store_open_bundle("/dev/null", &store), ERR_FORMAT);
	assert_int_equal(store_open_bundle("/", &store), ERR_FORMAT);
}

/* Everything there is to ask, of whatever file; no answer matters but that there is one. */
static int
ask_all(const char *file)
{
	static const enum store_db dbs[] = { STORE_META, STORE_HDR, STORE_IX, STORE_PROOF };
	struct store_snap *snap;
	struct store_item item;
	struct store_iter *it;
	struct store *store;
	const uint8_t *data;
	unsigned sum = 0;
	uint64_t n;
	size_t len;
	int r;

	if ((r = store_open_bundle(file, &store)) != 0)
		return r;
	assert_int_equal(store_snap_new(store, &snap), 0);
	r = bundle_check(store_bundle(snap));
	for (size_t i = 0; i < sizeof(dbs) / sizeof(dbs[0]); i++) {
		if (store_get(snap, dbs[i], "bb", 2, &data, &len) == 0 && len > 0)
			sum += data[len - 1];
		(void)!store_count(snap, dbs[i], &n);
		for (int back = 0; back < 2; back++) {
			if (store_iter_new(snap, dbs[i], "bb", 2, back != 0, &it) != 0)
				continue;
			while (store_iter_next(it, &item) == 0)
				for (size_t j = 0; j < item.len; j++)
					sum += item.data[j];
			store_iter_free(it);
		}
	}
	assert_true(sum < UINT32_MAX);
	store_snap_free(snap);
	store_close(store);
	return r;
}

static void
rewrite(const struct scene *s, const void *data, size_t len)
{
	assert_int_equal(file_replace(s->file, 0600, data, len), 0);
}

static void
test_every_cut_is_refused(void **state)
{
	const struct scene *s = *state;
	char *data;
	size_t len;

	write_small(s);
	assert_int_equal(file_read(s->file, 65536, &data, &len), 0);
	assert_int_equal(ask_all(s->file), 0);
	for (size_t i = 0; i < len; i++) {
		rewrite(s, data, i);
		assert_int_not_equal(ask_all(s->file), 0);
	}
	free(data);
}

static void
test_every_changed_byte_is_noticed(void **state)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	const struct scene *s = *state;
	char *data;
	size_t len;

	write_small(s);
	assert_int_equal(file_read(s->file, 65536, &data, &len), 0);
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < sizeof(changes); j++) {
			data[i] = (char)(data[i] ^ changes[j]);
			rewrite(s, data, len);
			assert_int_not_equal(ask_all(s->file), 0);
			data[i] = (char)(data[i] ^ changes[j]);
		}
	free(data);
}

/* With the digest made anew, so that only the structure speaks. */
static void
rewrite_hashed(const struct scene *s, char *data, size_t len)
{
	hash_sha256(data, len - HASH_LEN, (uint8_t *)data + len - HASH_LEN);
	rewrite(s, data, len);
}

static void
test_hostile_offsets_are_not_followed(void **state)
{
	static const uint64_t offsets[] = { 0, 19, UINT64_MAX, UINT64_MAX - 6, INT64_MAX,
		1u << 20 };
	const struct scene *s = *state;
	size_t len, index;
	char *data;

	write_small(s);
	assert_int_equal(file_read(s->file, 65536, &data, &len), 0);
	index = len - BUNDLE_TRAILER_LEN - (size_t)6 * 8;
	for (size_t at = 0; at < 8; at++) /* each entry, then the index, then their number */
		for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
			char kept[8];

			memcpy(kept, data + index + 8 * at, 8);
			for (size_t j = 0; j < 8; j++)
				data[index + 8 * at + j] = (char)(offsets[i] >> (56 - 8 * j));
			rewrite_hashed(s, data, len);
			assert_int_equal(ask_all(s->file), ERR_FORMAT);
			memcpy(data + index + 8 * at, kept, 8);
		}
	/* Two entries in the other order. */
	for (size_t j = 0; j < 8; j++) {
		char c = data[index + 16 + j];

		data[index + 16 + j] = data[index + 24 + j];
		data[index + 24 + j] = c;
	}
	rewrite_hashed(s, data, len);
	assert_int_equal(ask_all(s->file), ERR_FORMAT);
	free(data);
}

/* Bytes that no entry claims would be carried along unseen. */
static void
test_nothing_lies_between_entries(void **state)
{
	const struct scene *s = *state;
	size_t len, index;
	char *data;

	write_small(s);
	assert_int_equal(file_read(s->file, 65536, &data, &len), 0);
	index = len - BUNDLE_TRAILER_LEN - (size_t)6 * 8;
	/* The last entry disappears from the index. */
	memmove(data + index + 40, data + index + 48, BUNDLE_TRAILER_LEN);
	data[index + 40 + 15] = 5;
	rewrite_hashed(s, data, len - 8);
	assert_int_equal(ask_all(s->file), ERR_FORMAT);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_the_writer_refuses_what_is_not_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_reads_like_a_store, setup, teardown),
		cmocka_unit_test(test_what_is_no_bundle_is_refused),
		cmocka_unit_test_setup_teardown(test_every_cut_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_every_changed_byte_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_hostile_offsets_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_lies_between_entries, setup, teardown),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
