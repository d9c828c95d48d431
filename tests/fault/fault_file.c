/* A full disk at every step of replacing a file: the old content stays, no draft is left, short writes are no failure. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "fault.h"
#include "lib/file.h"
#include "lib/str.h"

static char dir[PATH_MAX - 64];

static char *
in_dir(const char *name)
{
	static char path[PATH_MAX];

	assert_int_equal(str_format(path, sizeof(path), "%s/%s", dir, name), 0);
	return path;
}

static unsigned
count_entries(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	assert_int_equal(closedir(d), 0);
	return n;
}

static void
assert_holds(const char *want)
{
	char *data = NULL;
	size_t len = 0;

	assert_int_equal(file_read(in_dir("a"), 1000, &data, &len), 0);
	assert_string_equal(data, want);
	free(data);
}

static void
test_a_full_disk_keeps_the_old_content(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 5; nth++) {
		assert_int_equal(file_replace(in_dir("a"), 0600, "old", 3), 0);
		fault_arm(FAULT_FILE, nth);
		assert_int_equal(file_replace(in_dir("a"), 0600, "new content", 11), -ENOSPC);
		assert_true(fault_disarm());
		/* write, fchmod, fsync, rename; then the folder's fsync, which is told and undoes nothing. */
		assert_holds(nth < 5 ? "old" : "new content");
		assert_int_equal(count_entries(), 1);
	}
	fault_arm(FAULT_FILE, 6);
	assert_int_equal(file_replace(in_dir("a"), 0600, "new", 3), 0);
	assert_false(fault_disarm());
}

static void
test_create_leaves_nothing_on_a_full_disk(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 4; nth++) {
		fault_arm(FAULT_FILE, nth);
		assert_int_equal(file_create(in_dir("b"), 0600, "x", 1), -ENOSPC);
		assert_true(fault_disarm());
		assert_int_equal(count_entries(), 1);
	}
}

static void
test_short_writes_are_completed(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 5; nth++) {
		fault_arm(FAULT_SHORT, nth);
		assert_int_equal(file_replace(in_dir("a"), 0600, "abcdefghij", 10), 0);
		assert_int_equal(fault_disarm(), nth == 1);
		assert_holds("abcdefghij");
	}
	fault_arm(FAULT_SHORT, 1);
	assert_int_equal(file_replace(in_dir("a"), 0600, "z", 1), 0); /* EINTR first */
	assert_true(fault_disarm());
	assert_holds("z");
}

static int
read_it(void *arg)
{
	char *data = NULL;
	size_t len = 77;
	int r = file_read("/proc/self/status", 100000, &data, &len);

	(void)arg;
	if (r != 0) {
		assert_int_equal(r, -ENOMEM);
		assert_null(data);
		assert_int_equal(len, 77);
	}
	free(data);
	return r;
}

static void
test_reading_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, read_it, NULL) >= 1);
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	if (str_format(dir, sizeof(dir), "%s/fault-XXXXXX", tmp != NULL ? tmp : "/tmp") != 0)
		return -1;
	return mkdtemp(dir) == NULL || file_create(in_dir("a"), 0600, "old", 3) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	return remove(in_dir("a")) != 0 || rmdir(dir) != 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_disk_keeps_the_old_content),
		cmocka_unit_test(test_create_leaves_nothing_on_a_full_disk),
		cmocka_unit_test(test_short_writes_are_completed),
		cmocka_unit_test(test_reading_survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
