/* session.keys: slots are given out once, read in place, overwritten in place; what is no such file is refused. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/slots.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

static const uint8_t uuid[SLOTS_UUID_LEN] = "the store's uuid",
		     other[SLOTS_UUID_LEN] = "another's uuid..";
static char dir[128], path[160];

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%.80s/bastion-slots.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/" SLOTS_NAME, dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_remove(dir);
	return 0;
}

static uint64_t
size_of_file(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void
write_file(const void *data, size_t len)
{
	assert_int_equal(file_replace(path, 0600, data, len), 0);
}

static void
test_what_is_no_file_of_slots_is_refused(void **state)
{
	uint8_t head[SLOTS_HEAD] = "bastiond-keys-1\n";
	struct slots *s;

	(void)state;
	assert_int_equal(slots_open_write(dir, uuid, &s), -ENOENT);
	assert_int_equal(slots_open_read(dir, uuid, &s), -ENOENT);
	write_file("", 0);
	assert_int_equal(slots_open_read(dir, uuid, &s), ERR_FORMAT);
	memcpy(head + 16, uuid, sizeof(uuid));
	write_file(head, sizeof(head) - 1);
	assert_int_equal(slots_open_read(dir, uuid, &s), ERR_FORMAT);
	head[14] = '2';
	write_file(head, sizeof(head));
	assert_int_equal(slots_open_read(dir, uuid, &s), ERR_VERSION);
	head[0] = 'B';
	write_file(head, sizeof(head));
	assert_int_equal(slots_open_read(dir, uuid, &s), ERR_FORMAT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(slots_open_write(dir, uuid, &s), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(slots_open_write(dir, uuid, &s), ERR_FORMAT);
}

static void
test_another_stores_file_is_refused(void **state)
{
	struct slots *s;

	(void)state;
	assert_int_equal(slots_create(dir, uuid), 0);
	assert_int_equal(slots_create(dir, uuid), ERR_EXISTS);
	assert_int_equal(slots_open_write(dir, other, &s), ERR_SIGNATURE);
	assert_int_equal(slots_open_read(dir, other, &s), ERR_SIGNATURE);
	assert_non_null(strstr(slots_why(ERR_SIGNATURE), "another store"));
	assert_non_null(strstr(slots_why(-ENOENT), "not there"));
	assert_non_null(strstr(slots_why(-EIO), "cannot be read"));
}

static void
test_slots_are_made_ahead_and_given_out_once(void **state)
{
	uint8_t half[CRYPT_KEY_LEN], again[CRYPT_KEY_LEN], first[CRYPT_KEY_LEN];
	struct slots *s;
	uint64_t slot;

	(void)state;
	assert_int_equal(slots_create(dir, uuid), 0);
	assert_int_equal(size_of_file(), SLOTS_HEAD);
	assert_int_equal(slots_open_write(dir, uuid, &s), 0);
	for (uint64_t i = 0; i <= SLOTS_BATCH; i++) {
		assert_int_equal(slots_take(s, &slot, half), 0);
		assert_int_equal(slot, i);
		assert_int_equal(size_of_file(),
		    SLOTS_HEAD + (i / SLOTS_BATCH + 1) * SLOTS_BATCH * CRYPT_KEY_LEN);
		assert_int_equal(slots_read(s, slot, again), 0);
		assert_memory_equal(half, again, sizeof(half));
		if (i == 0)
			memcpy(first, half, sizeof(first));
		else
			assert_memory_not_equal(half, first, sizeof(half));
	}
	slots_close(s);
	/* What a stop left of a batch is not used: who knows what became of it. */
	assert_int_equal(slots_open_write(dir, uuid, &s), 0);
	assert_int_equal(slots_take(s, &slot, half), 0);
	assert_int_equal(slot, 2 * SLOTS_BATCH);
	assert_int_equal(slots_read(s, 0, again), 0);
	assert_memory_equal(again, first, sizeof(first));
	slots_close(s);
}

static void
test_a_reader_only_reads(void **state)
{
	uint8_t half[CRYPT_KEY_LEN];
	struct slots *w, *s;
	uint64_t slot;

	(void)state;
	assert_int_equal(slots_create(dir, uuid), 0);
	assert_int_equal(slots_open_read(dir, uuid, &s), 0);
	assert_int_equal(slots_read(s, 0, half), ERR_NOT_FOUND);
	assert_int_equal(slots_take(s, &slot, half), ERR_ORDER);
	assert_int_equal(slots_open_write(dir, uuid, &w), 0);
	assert_int_equal(slots_take(w, &slot, half), 0);
	/* It sees what was made since. */
	assert_int_equal(slots_read(s, slot, half), 0);
	assert_int_equal(slots_erase(s, &slot, 1), ERR_ORDER);
	assert_int_equal(slots_read(s, UINT64_MAX, half), ERR_NOT_FOUND);
	slots_close(s);
	slots_close(w);
	slots_close(NULL);
}

static void
test_an_erased_half_is_gone_from_the_file(void **state)
{
	uint8_t half[CRYPT_KEY_LEN], keep[CRYPT_KEY_LEN], again[CRYPT_KEY_LEN];
	struct slots *s;
	uint64_t a, b;
	char *file;
	size_t len;

	(void)state;
	assert_int_equal(slots_create(dir, uuid), 0);
	assert_int_equal(slots_open_write(dir, uuid, &s), 0);
	assert_int_equal(slots_take(s, &a, half), 0);
	assert_int_equal(slots_take(s, &b, keep), 0);
	assert_int_equal(slots_erase(s, &a, 1), 0);
	assert_int_equal(slots_erase(s, &a, 1), 0);
	assert_int_equal(slots_read(s, a, again), ERR_ERASED);
	assert_int_equal(slots_read(s, b, again), 0);
	assert_memory_equal(again, keep, sizeof(keep));
	assert_int_equal(file_read(path, 1u << 20, &file, &len), 0);
	assert_null(memmem(file, len, half, sizeof(half)));
	assert_non_null(memmem(file, len, keep, sizeof(keep)));
	free(file);
	a = 100000;
	assert_int_equal(slots_erase(s, &a, 1), ERR_NOT_FOUND);
	assert_int_equal(slots_failed(s), 0);
	slots_close(s);
}

static void
test_a_cut_file_ends_before_what_is_looked_for(void **state)
{
	uint8_t half[CRYPT_KEY_LEN];
	struct slots *s;
	uint64_t slot;

	(void)state;
	assert_int_equal(slots_create(dir, uuid), 0);
	assert_int_equal(slots_open_write(dir, uuid, &s), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(slots_take(s, &slot, half), 0);
	slots_close(s);
	assert_int_equal(truncate(path, SLOTS_HEAD + 2 * CRYPT_KEY_LEN + 5), 0);
	assert_int_equal(slots_open_read(dir, uuid, &s), 0);
	assert_int_equal(slots_read(s, 1, half), 0);
	assert_int_equal(slots_read(s, 2, half), ERR_NOT_FOUND);
	slots_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_is_no_file_of_slots_is_refused),
		T(test_another_stores_file_is_refused),
		T(test_slots_are_made_ahead_and_given_out_once),
		T(test_a_reader_only_reads),
		T(test_an_erased_half_is_gone_from_the_file),
		T(test_a_cut_file_ends_before_what_is_looked_for),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
