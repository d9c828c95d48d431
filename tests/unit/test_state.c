/* The state directory: made, locked, and the recorder's key copied only when it is the recorder's own plain line. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bastiond/broker/state.h"
#include "lib/file.h"
#include "tests/lib/test.h"

static char dir[64], old_dir[512];
static struct programs programs;

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-state.XXXXXX");
	for (size_t i = 0; i < PROGRAM_N; i++)
		programs.uid[i] = geteuid();
	return getcwd(old_dir, sizeof(old_dir)) == NULL || mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "s/recorder/recorder.pub", "s/recorder/other",
		"s/recorder.pub", "s/lock", "s/bastiond.pid", "s/control.sock", "other" };
	static const char *const folders[] = { "s/recorder", "s/keys", "s" };

	(void)state;
	if (chdir(dir) != 0)
		return 1;
	for (size_t i = 0; i < N_OF(files); i++)
		(void)unlink(files[i]);
	for (size_t i = 0; i < N_OF(folders); i++)
		(void)rmdir(folders[i]);
	return chdir(old_dir) != 0 || rmdir(dir) != 0;
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
test_it_is_made_and_locked(void **state)
{
	struct conf_err err = { "" };
	char line[128];
	int a = -1, b = -1;

	(void)state;
	assert_int_equal(state_open("s", &programs, &a, &err), 0);
	assert_int_equal(mode_of("s"), 0711);
	assert_int_equal(mode_of("s/keys"), 0700);
	assert_int_equal(mode_of("s/recorder"), 0700);
	assert_int_equal(state_open("s", &programs, &b, &err), ERR_EXISTS);
	snprintf(line, sizeof(line), "s: another bastiond runs on this state");
	assert_string_equal(err.text, line);
	assert_int_equal(b, -1);
	/* The lock goes with its holder; what was loosened is put right. */
	fd_close(&a);
	assert_int_equal(chmod("s/keys", 0755), 0);
	assert_int_equal(state_open("s", &programs, &a, &err), 0);
	assert_int_equal(mode_of("s/keys"), 0700);
	assert_int_equal(state_write_pid("s"), 0);
	assert_int_equal(mode_of("s/bastiond.pid"), 0644);
	state_remove_pid("s");
	assert_int_equal(access("s/bastiond.pid", F_OK), -1);
	fd_close(&a);
}

static void
test_what_stands_in_the_way_is_named(void **state)
{
	struct conf_err err = { "" };
	int fd = open("s", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), lock = -1;

	(void)state;
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_true(state_open("s", &programs, &lock, &err) != 0);
	assert_string_equal(err.text, "s: Not a directory");
	assert_int_equal(unlink("s"), 0);
	assert_true(state_open("none/s", &programs, &lock, &err) != 0);
	assert_string_equal(err.text, "none/s: No such file or directory");
}

static void
write_key(const char *path, const char *text, size_t len)
{
	(void)unlink(path);
	assert_int_equal(file_create(path, 0600, text, len), 0);
}

static void
test_the_key_is_copied_as_a_plain_line_only(void **state)
{
	static const char good[] = "origin+12345678+AAAA\n";
	static const struct {
		const char *text;
		size_t len;
	} bad[] = { { "", 0 }, { "a\nb\n", 4 }, { "a\033[2J\n", 6 }, { "a\0b\n", 4 },
		{ "\303\244\n", 3 } };
	struct conf_err err = { "" };
	char *text = NULL, *big;
	int lock = -1;
	size_t len;

	(void)state;
	assert_int_equal(state_open("s", &programs, &lock, &err), 0);
	assert_int_equal(chdir("s"), 0);
	assert_int_equal(state_publish_key(geteuid()), -ENOENT);
	for (size_t i = 0; i < N_OF(bad); i++) {
		write_key("recorder/recorder.pub", bad[i].text, bad[i].len);
		assert_int_equal(state_publish_key(geteuid()), ERR_FORMAT);
	}
	big = calloc(1, 5000);
	assert_non_null(big);
	memset(big, 'a', 5000);
	write_key("recorder/recorder.pub", big, 5000);
	assert_int_equal(state_publish_key(geteuid()), ERR_LIMIT);
	free(big);
	/* Another's file, and a name for another file, are nobody's key. */
	write_key("recorder/recorder.pub", good, strlen(good));
	assert_int_equal(state_publish_key(geteuid() + 1), ERR_FORMAT);
	assert_int_equal(rename("recorder/recorder.pub", "recorder/other"), 0);
	assert_int_equal(symlink("other", "recorder/recorder.pub"), 0);
	assert_int_equal(state_publish_key(geteuid()), -ELOOP);
	assert_int_equal(access("recorder.pub", F_OK), -1);
	assert_int_equal(rename("recorder/other", "recorder/recorder.pub"), 0);
	assert_int_equal(state_publish_key(geteuid()), 0);
	assert_int_equal(file_read("recorder.pub", 1000, &text, &len), 0);
	assert_string_equal(text, good);
	assert_int_equal(mode_of("recorder.pub"), 0644);
	free(text);
	fd_close(&lock);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_it_is_made_and_locked),
		T(test_what_stands_in_the_way_is_named),
		T(test_the_key_is_copied_as_a_plain_line_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
