/* From the configured way to unlock to what the vault is started with. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "keys/keys_client.h"
#include "lib/file.h"
#include "tests/lib/keys_help.h"

static char dir[PATH_MAX];

static int
unlock(const char *how, char *arg, int *ret_fd)
{
	return keys_client_unlock(how, arg, KEYS_UNLOCK_ARG_SIZE, ret_fd);
}

static void
test_what_is_no_way_to_unlock_is_refused(void **state)
{
	static const char *const bad[] = { "key", "file", "File:x", "fd:4", "passphrase:x",
		"credential:", "credential:../x", "credential:a/b", "credential:.." };
	char arg[KEYS_UNLOCK_ARG_SIZE] = "kept";
	int fd = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(unlock(bad[i], arg, &fd), ERR_FORMAT);
	assert_int_equal(unlock("file:/nowhere/at/all", arg, &fd), -ENOENT);
	assert_int_equal(fd, 77);
}

static void
test_what_needs_no_file_opens_none(void **state)
{
	char arg[KEYS_UNLOCK_ARG_SIZE];
	int fd = 77;

	(void)state;
	assert_int_equal(unlock("", arg, &fd), 0);
	assert_string_equal(arg, "");
	assert_int_equal(fd, -1);
	assert_int_equal(unlock("passphrase", arg, &fd), 0);
	assert_string_equal(arg, "passphrase");
	assert_int_equal(fd, -1);
}

static void
assert_opened(const char *how, const char *contents)
{
	char arg[KEYS_UNLOCK_ARG_SIZE], *data = NULL;
	size_t len;
	int fd = -1;

	assert_int_equal(unlock(how, arg, &fd), 0);
	assert_string_equal(arg, "fd:4");
	assert_int_equal(file_read_fd(fd, 100, &data, &len), 0);
	assert_string_equal(data, contents);
	free(data);
	fd_close(&fd);
}

static void
test_files_and_credentials_become_a_descriptor(void **state)
{
	char path[PATH_MAX + 16], how[PATH_MAX + 32], arg[KEYS_UNLOCK_ARG_SIZE];
	int fd = 77;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vault-key", dir);
	(void)snprintf(how, sizeof(how), "file:%s", path);
	assert_int_equal(file_replace(path, 0600, "the bytes", 9), 0);
	assert_opened(how, "the bytes");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(unlock("credential:vault-key", arg, &fd), -ENOENT);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	assert_opened("credential:vault-key", "the bytes");
	assert_int_equal(unlock("credential:other", arg, &fd), -ENOENT);
	assert_int_equal(fd, 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_way_to_unlock_is_refused),
		cmocka_unit_test(test_what_needs_no_file_opens_none),
		cmocka_unit_test(test_files_and_credentials_become_a_descriptor),
	};
	int failed;

	help_folder(dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	help_remove(dir);
	return failed;
}
