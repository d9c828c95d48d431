/* Memory for secrets. */
#include "config.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/secret.h"

/* A number of kB from /proc/self/status. */
static unsigned long
status_kb(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kb = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kb = strtoul(line + strlen(key), NULL, 10);
	assert_int_equal(fclose(f), 0);
	return kb;
}

static void
test_new_is_zero_and_locked(void **state)
{
	unsigned long before = status_kb("VmLck:");
	struct secret *s = secret_new(5000);

	(void)state;
	assert_non_null(s);
	assert_int_equal(secret_len(s), 5000);
	assert_ptr_equal(secret_cptr(s), secret_ptr(s));
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(secret_cptr(s)[i], 0);
#ifndef WITH_SANITIZER /* which makes mlock() a no-op */
	assert_true(status_kb("VmLck:") >= before + 4);
#endif
	secret_free(s);
	assert_true(status_kb("VmLck:") <= before);
}

static void
test_take_copies_and_wipes_the_source(void **state)
{
	char source[8] = "hunter2";
	struct secret *s = secret_take(source, 7);

	(void)state;
	assert_non_null(s);
	assert_int_equal(secret_len(s), 7);
	assert_memory_equal(secret_cptr(s), "hunter2", 7);
	assert_memory_equal(source, "\0\0\0\0\0\0\0", 7);
	secret_free(s);
}

static void
test_nothing_is_a_secret_too(void **state)
{
	struct secret *s = secret_take(NULL, 0);

	(void)state;
	assert_non_null(s);
	assert_int_equal(secret_len(s), 0);
	secret_free(s);
	secret_free(NULL);
}

#ifndef WITH_SANITIZER
/* What the child did: 0 returned, else the signal. */
static int
in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit no_core = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &no_core); /* else the test leaves a core file */
		(void)signal(SIGSEGV, SIG_DFL);		/* cmocka catches it */
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void
write_behind(void)
{
	struct secret *s = secret_new(16);
	volatile uint8_t *p = s != NULL ? secret_ptr(s) : NULL;

	if (p != NULL)
		p[16] = 1;
}

static void
read_freed(void)
{
	struct secret *s = secret_new(16);
	volatile uint8_t *p = s != NULL ? secret_ptr(s) : NULL;

	secret_free(s);
	if (p != NULL && p[0] == 0)
		_exit(1);
}

static void
test_a_byte_behind_and_a_freed_one_are_out_of_reach(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_behind), SIGSEGV);
	assert_int_equal(in_child(read_freed), SIGSEGV);
}

/* A user without the right to lock more than the limit gets nothing, rather than memory that may be swapped. */
static void
take_without_lock(void)
{
	struct rlimit none = { 0, 0 };
	char source[8] = "hunter2";

	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
		_exit(10);
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		_exit(11);
	if (secret_new(16) != NULL)
		_exit(12);
	if (secret_take(source, 7) != NULL)
		_exit(13);
	for (size_t i = 0; i < sizeof(source); i++)
		if (source[i] != 0)
			_exit(14);
}

static void
test_memory_that_cannot_be_locked_is_not_given(void **state)
{
	(void)state;
	assert_int_equal(in_child(take_without_lock), 0);
}
#endif

static int
setup(void **state)
{
	(void)state;
	return secret_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_is_zero_and_locked),
		cmocka_unit_test(test_take_copies_and_wipes_the_source),
		cmocka_unit_test(test_nothing_is_a_secret_too),
#ifndef WITH_SANITIZER
		cmocka_unit_test(test_a_byte_behind_and_a_freed_one_are_out_of_reach),
		cmocka_unit_test(test_memory_that_cannot_be_locked_is_not_given),
#endif
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
