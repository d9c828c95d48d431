/* Files: whole or not at all, also for a reader that comes in between. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "lib/clock.h"
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

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	if (str_format(dir, sizeof(dir), "%s/file-XXXXXX", tmp != NULL ? tmp : "/tmp") != 0)
		return -1;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

/* Entries of the folder; with remove, none afterwards. */
static unsigned
count_entries(bool remove_them)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (remove_them)
			assert_int_equal(remove(in_dir(e->d_name)), 0);
	}
	assert_int_equal(closedir(d), 0);
	return n;
}

static int
empty(void **state)
{
	(void)state;
	(void)count_entries(true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void
assert_holds(const char *path, const char *want)
{
	char *data = NULL;
	size_t len = 0;

	assert_int_equal(file_read(path, 100000, &data, &len), 0);
	assert_string_equal(data, want);
	assert_int_equal(len, strlen(want));
	free(data);
}

static void
test_read_keeps_to_its_limit(void **state)
{
	char *data = NULL;
	size_t len = 77;

	(void)state;
	assert_int_equal(file_create(in_dir("a"), 0600, "12345", 5), 0);
	assert_int_equal(file_read(in_dir("a"), 4, &data, &len), ERR_LIMIT);
	assert_int_equal(file_read(in_dir("none"), 4, &data, &len), -ENOENT);
	assert_int_equal(file_read(dir, 4, &data, &len), ERR_FORMAT);
	assert_int_equal(file_read("/dev/zero", 4, &data, &len), ERR_FORMAT);
	assert_null(data);
	assert_int_equal(len, 77);
	assert_int_equal(file_read(in_dir("a"), 5, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(data, "12345");
	free(data);
}

static void
test_read_does_not_hang_on_a_pipe(void **state)
{
	char *data = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
	assert_int_equal(file_read(in_dir("pipe"), 100, &data, &len), ERR_FORMAT);
	assert_null(data);
}

static void
test_read_of_a_file_that_does_not_say_its_size(void **state)
{
	char *data = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(file_read("/proc/self/status", 1000000, &data, &len), 0);
	assert_true(len > 100 && strlen(data) == len);
	free(data);
	data = NULL;
	assert_int_equal(file_read("/proc/self/status", 10, &data, &len), ERR_LIMIT);
	assert_null(data);
}

static void
test_read_of_an_empty_file(void **state)
{
	(void)state;
	assert_int_equal(file_create(in_dir("a"), 0600, NULL, 0), 0);
	assert_holds(in_dir("a"), "");
}

static void
test_read_fd_starts_at_the_front(void **state)
{
	char *data = NULL, c;
	size_t len = 0;
	int fd;

	(void)state;
	assert_int_equal(file_create(in_dir("a"), 0600, "abc", 3), 0);
	fd = open(in_dir("a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(file_read_fd(fd, 10, &data, &len), 0);
	assert_string_equal(data, "abc");
	free(data);
	fd_close(&fd);
	assert_int_equal(fd, -1);
	fd_close(&fd);
}

static void
test_replace_leaves_the_new_content_and_nothing_else(void **state)
{
	struct stat st;
	mode_t mask = umask(0777);

	(void)state;
	assert_int_equal(file_replace(in_dir("a"), 0600, "old", 3), 0);
	assert_int_equal(file_replace(in_dir("a"), 0640, "newer", 5), 0);
	(void)umask(mask);
	assert_holds(in_dir("a"), "newer");
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(count_entries(false), 1);
}

static void
test_replace_does_not_follow_a_link_left_for_it(void **state)
{
	char link[PATH_MAX];

	(void)state;
	assert_int_equal(file_create(in_dir("victim"), 0600, "safe", 4), 0);
	assert_int_equal(str_format(link, sizeof(link), "%s/a.new.%d", dir, (int)getpid()), 0);
	assert_int_equal(symlink("victim", link), 0);
	assert_int_equal(file_replace(in_dir("a"), 0600, "x", 1), 0);
	assert_holds(in_dir("victim"), "safe");
	assert_holds(in_dir("a"), "x");
}

static void
test_replace_that_fails_keeps_the_old(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_replace(in_dir("d"), 0600, "x", 1), -EISDIR);
	assert_int_equal(file_replace(in_dir("none/a"), 0600, "x", 1), -ENOENT);
	assert_int_equal(count_entries(false), 1);
}

static void
test_create_keeps_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(file_create(in_dir("a"), 0600, "first", 5), 0);
	assert_int_equal(file_create(in_dir("a"), 0600, "second", 6), ERR_EXISTS);
	assert_holds(in_dir("a"), "first");
	assert_int_equal(symlink("nowhere", in_dir("link")), 0);
	assert_int_equal(file_create(in_dir("link"), 0600, "x", 1), ERR_EXISTS);
	assert_int_equal(count_entries(false), 2);
}

/* Two writers and a reader: the reader sees one of the two contents, whole, at every moment. */
static void
test_replace_is_never_seen_half(void **state)
{
	enum { SIZE = 20000, ROUNDS = 60 };
	static char content[2][SIZE];
	pid_t pids[2];
	int status;

	(void)state;
	for (int i = 0; i < 2; i++)
		memset(content[i], 'a' + i, SIZE);
	assert_int_equal(file_replace(in_dir("a"), 0600, content[0], SIZE), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] != 0)
			continue;
		for (int k = 0; k < ROUNDS; k++)
			if (file_replace(in_dir("a"), 0600, content[i], SIZE) != 0)
				_exit(1);
		_exit(0);
	}
	for (int k = 0; k < ROUNDS; k++) {
		char *data = NULL;
		size_t len = 0;

		assert_int_equal(file_read(in_dir("a"), SIZE, &data, &len), 0);
		assert_int_equal(len, SIZE);
		assert_true(
		    memcmp(data, content[0], SIZE) == 0 || memcmp(data, content[1], SIZE) == 0);
		free(data);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_entries(false), 1);
}

static void
test_mkdir_takes_a_folder_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(file_mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_create(in_dir("f"), 0600, "", 0), 0);
	assert_int_equal(file_mkdir(in_dir("f"), 0700), -ENOTDIR);
	assert_int_equal(file_mkdir(in_dir("f/x"), 0700), -ENOTDIR);
}

static void
test_relative_paths(void **state)
{
	static const struct {
		const char *base, *path, *want;
	} cases[] = {
		{ "/etc/bastiond/bastiond.yaml", "policy.yaml", "/etc/bastiond/policy.yaml" },
		{ "/etc/bastiond/bastiond.yaml", "/x/y", "/x/y" },
		{ "bastiond.yaml", "state", "state" },
		{ "./a/b.yaml", "../c", "./a/../c" },
		{ "/b.yaml", "c", "/c" },
	};
	char dst[64];

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(file_relative(cases[i].base, cases[i].path, dst, sizeof(dst)), 0);
		assert_string_equal(dst, cases[i].want);
	}
	assert_int_equal(file_relative("/a/b", "cc", dst, 5), ERR_LIMIT);
	assert_int_equal(file_relative("/a/b", "c", dst, 5), 0);
}

static void
test_a_path_that_is_too_long(void **state)
{
	char path[PATH_MAX];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(file_replace(path, 0600, "x", 1), ERR_LIMIT);
	assert_int_equal(file_create(path, 0600, "x", 1), ERR_LIMIT);
}

static void
test_wait_ends_at_its_time(void **state)
{
	uint64_t start = clock_boot_ns();
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_wait(p[0], POLLIN, start + 20 * CLOCK_NS_PER_MS), -ETIMEDOUT);
	assert_true(clock_boot_ns() >= start + 20 * CLOCK_NS_PER_MS);
	/* Too late is too late, also for what could be done. */
	assert_int_equal(fd_wait(p[1], POLLOUT, start), -ETIMEDOUT);
	fd_close(&p[0]);
	fd_close(&p[1]);
}

static void
test_wait_ends_with_what_it_waits_for(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_wait(p[1], POLLOUT, UINT64_MAX), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(fd_wait(p[0], POLLIN, UINT64_MAX), 0);
	fd_close(&p[0]);
	/* Nobody will ever read it: the write that follows says so. */
	assert_int_equal(fd_wait(p[1], POLLOUT, UINT64_MAX), 0);
	fd_close(&p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_read_keeps_to_its_limit, empty),
		cmocka_unit_test_teardown(test_read_does_not_hang_on_a_pipe, empty),
		cmocka_unit_test_teardown(test_read_of_a_file_that_does_not_say_its_size, empty),
		cmocka_unit_test_teardown(test_read_of_an_empty_file, empty),
		cmocka_unit_test_teardown(test_read_fd_starts_at_the_front, empty),
		cmocka_unit_test_teardown(
		    test_replace_leaves_the_new_content_and_nothing_else, empty),
		cmocka_unit_test_teardown(test_replace_does_not_follow_a_link_left_for_it, empty),
		cmocka_unit_test_teardown(test_replace_that_fails_keeps_the_old, empty),
		cmocka_unit_test_teardown(test_create_keeps_what_is_there, empty),
		cmocka_unit_test_teardown(test_replace_is_never_seen_half, empty),
		cmocka_unit_test_teardown(test_mkdir_takes_a_folder_and_nothing_else, empty),
		cmocka_unit_test_teardown(test_relative_paths, empty),
		cmocka_unit_test(test_wait_ends_at_its_time),
		cmocka_unit_test(test_wait_ends_with_what_it_waits_for),
		cmocka_unit_test_teardown(test_a_path_that_is_too_long, empty),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
