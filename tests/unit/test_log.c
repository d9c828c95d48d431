/* Logs, errors and clocks: one line an event, whatever it is made of. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"

/* stderr of the test goes into a pipe while a line is written. */
static int pipe_fds[2], real_stderr;

static int
setup(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0)
		return -1;
	real_stderr = dup(STDERR_FILENO);
	return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)close(real_stderr);
	return 0;
}

/* All that was logged since the last call. */
static const char *
logged(void)
{
	static char text[8192];
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_a_line_names_who_speaks_and_how_loud(void **state)
{
	char want[128];

	(void)state;
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	log_init("bastiond-test", LOG_LEVEL_INFO);
	log_notice("session.open user=%s", "alice");
	assert_true(snprintf(want, sizeof(want),
			"bastiond-test[%d]: notice: session.open user=alice\n", (int)getpid()) > 0);
	assert_string_equal(logged(), want);
	assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	log_init("bastiond-test", LOG_LEVEL_INFO);
	log_err("x.y");
	assert_true(snprintf(want, sizeof(want), "<3>bastiond-test[%d]: x.y\n", (int)getpid()) > 0);
	assert_string_equal(logged(), want);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void
test_what_is_quieter_than_the_level_is_not_shown(void **state)
{
	(void)state;
	log_init("t", LOG_LEVEL_WARN);
	log_notice("a");
	assert_string_equal(logged(), "");
	log_warn("b");
	assert_non_null(strstr(logged(), "warn: b\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("c");
	assert_non_null(strstr(logged(), "debug: c\n"));
}

static void
test_a_forgotten_escape_is_still_one_harmless_line(void **state)
{
	const char *text;

	(void)state;
	log_init("t", LOG_LEVEL_INFO);
	log_info("a=%s", "x\nfake[1]: err: y\x1b[2J\x7f\xc2\x9b");
	text = logged();
	assert_non_null(strstr(text, "info: a=x?fake[1]: err: y?[2J???\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void
test_a_long_line_is_cut_and_ends(void **state)
{
	char *big = malloc(10000);
	const char *text;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 9999);
	big[9999] = '\0';
	log_init("t", LOG_LEVEL_INFO);
	log_info("%s", big);
	text = logged();
	assert_true(strlen(text) > 2000 && strlen(text) <= 2048);
	assert_string_equal(text + strlen(text) - 4, "...\n");
	log_init(big, LOG_LEVEL_INFO); /* a name that leaves no room */
	log_info("x");
	text = logged();
	assert_true(strlen(text) > 2000 && strlen(text) <= 2048);
	log_init("t", LOG_LEVEL_INFO);
	free(big);
}

static void
test_logging_keeps_errno(void **state)
{
	int null = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(null >= 0);
	assert_true(dup2(null, STDERR_FILENO) >= 0);
	errno = EXDEV;
	log_err("nobody hears this");
	assert_int_equal(errno, EXDEV);
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
	(void)close(null);
}

static void
test_every_error_has_its_own_text(void **state)
{
	static const int ours[] = { ERR_FORMAT, ERR_ORDER, ERR_DENIED, ERR_LIMIT, ERR_VERSION,
		ERR_SIGNATURE, ERR_CHAIN, ERR_PEER_GONE, ERR_NOT_FOUND, ERR_EXISTS, ERR_CRYPTO };

	(void)state;
	for (size_t i = 0; i < N_OF(ours); i++) {
		assert_string_not_equal(err_str(ours[i]), "unknown error");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(err_str(ours[i]), err_str(ours[j]));
	}
	assert_string_equal(err_str(0), "success");
	assert_string_equal(err_str(-ENOENT), strerror(ENOENT));
	assert_string_equal(err_str(ENOENT), "unknown error");
	assert_string_equal(err_str(-5999), "unknown error");
	assert_string_equal(err_str(INT32_MIN), "unknown error");
}

static uint64_t
fixed_wall(void)
{
	return 1767323045000000006ull;
}

static uint64_t
fixed_boot(void)
{
	return 42;
}

static void
test_clock_text_is_rfc_3339(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_text(text, sizeof(text), 0), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(clock_text(text, sizeof(text), 1767323045000000006ull),
	    "2026-01-02T03:04:05.000000006Z");
	assert_string_equal(
	    clock_text(text, sizeof(text), UINT64_MAX), "2554-07-21T23:34:33.709551615Z");
}

static void
test_clocks_can_be_set_and_put_back(void **state)
{
	uint64_t boot = clock_boot_ns();

	(void)state;
	clock_override(fixed_wall, fixed_boot);
	assert_true(clock_wall_ns() == fixed_wall() && clock_boot_ns() == 42);
	clock_override(NULL, NULL);
	assert_true(clock_boot_ns() >= boot);
	assert_true(clock_wall_ns() > 1600000000ull * CLOCK_NS_PER_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_names_who_speaks_and_how_loud),
		cmocka_unit_test(test_what_is_quieter_than_the_level_is_not_shown),
		cmocka_unit_test(test_a_forgotten_escape_is_still_one_harmless_line),
		cmocka_unit_test(test_a_long_line_is_cut_and_ends),
		cmocka_unit_test(test_logging_keeps_errno),
		cmocka_unit_test(test_every_error_has_its_own_text),
		cmocka_unit_test(test_clock_text_is_rfc_3339),
		cmocka_unit_test(test_clocks_can_be_set_and_put_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
