/* The auditor's cache gives back what was put, to who has the session's key, and nothing that is cut, changed or of another one. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/text_cache.h"
#include "lib/secret.h"
#include "tests/lib/test.h"

static char dir[] = "/tmp/test-text-cache.XXXXXX";
static char path[64];

static struct derived_key
key_of(uint8_t n)
{
	struct derived_key k;

	memset(&k, 0, sizeof(k));
	memset(k.sid, n, sizeof(k.sid));
	memset(k.key, 0x40 + n, sizeof(k.key));
	return k;
}

static struct text_cache *
open_cache(void)
{
	struct text_cache *c = NULL;

	assert_int_equal(text_cache_open(path, &c), 0);
	return c;
}

/* A chunk with lines that say whose they are; the filler makes it long enough for a filter. */
static void
fill(struct chunk *c, uint8_t who, uint32_t number)
{
	char text[128];

	chunk_reset(c);
	c->number = number;
	for (unsigned i = 0; i < 60; i++) {
		struct render_line l = { .kind = RENDER_SCREEN, .channel = 1, .at_ns = i };

		l.text = (const uint8_t *)text;
		l.len = (size_t)snprintf(text, sizeof(text),
		    "session %u chunk %u line %u and some words behind it", who, number, i);
		assert_int_equal(chunk_add(c, &l), 0);
	}
}

static void
put(struct text_cache *c, uint8_t who, uint32_t chunks, uint64_t n_events)
{
	struct derived_key k = key_of(who);
	struct chunk chunk = { 0 };

	text_cache_begin(c);
	for (uint32_t i = 0; i < chunks; i++) {
		fill(&chunk, who, i);
		assert_int_equal(text_cache_put(c, &k, &chunk), 0);
	}
	assert_int_equal(text_cache_end(c, &k, n_events), 0);
	chunk_done(&chunk);
}

/* Chunks that come back as they were put; -1: the session is not there. */
static int
whole(struct text_cache *c, uint8_t who, uint64_t n_events)
{
	struct derived_key k = key_of(who);
	struct chunk is = { 0 }, want = { 0 };
	uint32_t n = 0;
	int found = 0;

	if (text_cache_find(c, &k, n_events, &n) != 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		fill(&want, who, i);
		if (text_cache_chunk(c, &k, i, &is) != 0)
			continue;
		assert_int_equal(is.len, want.len);
		assert_memory_equal(is.text, want.text, is.len);
		found++;
	}
	chunk_done(&is);
	chunk_done(&want);
	return found;
}

static void
test_what_was_put_comes_back(void **state)
{
	struct derived_key one = key_of(1), wrong = key_of(1);
	struct text_cache *c = open_cache();
	uint32_t n;

	(void)state;
	put(c, 1, 3, 100);
	put(c, 2, 0, 7);
	text_cache_close(c);
	c = open_cache();
	assert_int_equal(whole(c, 1, 100), 3);
	assert_int_equal(whole(c, 2, 7), 0);
	assert_int_equal(whole(c, 3, 7), -1);
	/* Made of fewer events than there are now. */
	assert_int_equal(whole(c, 1, 101), -1);
	wrong.key[5] ^= 1;
	assert_int_equal(text_cache_find(c, &wrong, 100, &n), ERR_NOT_FOUND);
	assert_int_equal(text_cache_find(c, &one, 100, &n), 0);
	assert_true(text_cache_may(c, &one, 1, (const uint8_t *)"line 59 and", 11));
	assert_false(text_cache_may(c, &one, 1, (const uint8_t *)"nowhere at all", 14));
	/* Put again, the later one counts. */
	put(c, 1, 2, 200);
	text_cache_close(c);
	c = open_cache();
	assert_int_equal(whole(c, 1, 100), -1);
	assert_int_equal(whole(c, 1, 200), 2);
	text_cache_close(c);
}

static void
test_cut_anywhere_the_rest_is_whole(void **state)
{
	struct text_cache *c = open_cache();
	struct stat before, st;
	off_t first;

	(void)state;
	put(c, 1, 1, 10);
	assert_int_equal(stat(path, &before), 0);
	first = before.st_size;
	put(c, 2, 1, 20);
	text_cache_close(c);
	assert_int_equal(stat(path, &before), 0);
	for (off_t cut = before.st_size - 1; cut >= first; cut -= cut % 97 + 1) {
		assert_int_equal(truncate(path, cut), 0);
		c = open_cache();
		assert_int_equal(whole(c, 1, 10), 1);
		assert_int_equal(whole(c, 2, 20), -1);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, first);
		put(c, 2, 1, 20);
		text_cache_close(c);
		c = open_cache();
		assert_int_equal(whole(c, 2, 20), 1);
		text_cache_close(c);
	}
}

static void
test_nothing_that_was_changed_comes_back(void **state)
{
	struct text_cache *c = open_cache();
	struct stat st;
	int fd, n;

	(void)state;
	put(c, 1, 1, 10);
	text_cache_close(c);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 16; at < st.st_size; at += 7) {
		uint8_t b;

		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, &b, 1, at), 1);
		b ^= 0x10;
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
		close(fd);
		c = open_cache();
		/* whole() compares what comes back. */
		n = whole(c, 1, 10);
		assert_true(n >= -1 && n <= 1);
		text_cache_close(c);
		assert_int_equal(unlink(path), 0);
		c = open_cache();
		put(c, 1, 1, 10);
		text_cache_close(c);
	}
}

static void
test_one_writes_others_read(void **state)
{
	struct text_cache *c = open_cache(), *other;

	(void)state;
	put(c, 1, 1, 10);
	other = open_cache();
	assert_int_equal(whole(other, 1, 10), 1);
	put(other, 2, 1, 20);
	assert_int_equal(whole(other, 2, 20), -1);
	text_cache_close(other);
	text_cache_close(c);
	c = open_cache();
	assert_int_equal(whole(c, 2, 20), -1);
	text_cache_close(c);
}

static void
test_other_files_stay_as_they_are(void **state)
{
	struct text_cache *c = NULL;
	char text[32] = "";
	FILE *f = fopen(path, "w");

	(void)state;
	assert_non_null(f);
	fputs("somebody's own file\n", f);
	fclose(f);
	assert_int_equal(text_cache_open(path, &c), ERR_FORMAT);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "somebody's own file\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(text_cache_open(path, &c), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_int_equal(text_cache_open(path, &c), -ELOOP);
}

static int
gone(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_was_put_comes_back, gone),
		cmocka_unit_test_teardown(test_cut_anywhere_the_rest_is_whole, gone),
		cmocka_unit_test_teardown(test_nothing_that_was_changed_comes_back, gone),
		cmocka_unit_test_teardown(test_one_writes_others_read, gone),
		cmocka_unit_test_teardown(test_other_files_stay_as_they_are, gone),
	};
	int r;

	if (secret_init() != 0 || mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/cache", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
