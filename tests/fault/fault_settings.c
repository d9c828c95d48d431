/* Reading the configuration and copying policy's files while memory or the disk runs out: an error, and nothing is left. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "bastiond/broker/policy_files.h"
#include "bastiond/broker/settings.h"
#include "fault.h"
#include "lib/file.h"
#include "tests/lib/test.h"

static const char text[] = "listen: [\"127.0.0.1:0\"]\n"
			   "policy: /dev/null\n"
			   "login: {user_ca: [/dev/null], methods: [publickey]}\n"
			   "penalties: {exempt: [10.0.0.0/8]}\n";
static char dir[] = "/tmp/fault-settings.XXXXXX";

static int
load(void *arg)
{
	const struct settings_about about = { .has_auth = false };
	struct settings *s = NULL;
	struct conf_err err = { "" };
	int r = settings_parse("b.yaml", text, sizeof(text) - 1, &about, &s, &err);

	(void)arg;
	assert_true(r == 0 || r == -ENOMEM || err.text[0] != '\0');
	assert_true((r == 0) == (s != NULL));
	free(s);
	return r;
}

static void
test_a_file_is_loaded_whole_or_not(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, load, NULL) > 10);
}

static size_t
files_in_dir(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static size_t
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
copy(void *arg)
{
	struct policy_files *f = NULL;
	struct conf_err err = { "" };
	size_t before;
	int r;

	fault_hold();
	before = open_fds();
	fault_go();
	r = policy_files_open(arg, dir, &f, &err);
	assert_true(r == 0 || r == -ENOMEM || err.text[0] != '\0');
	assert_true((r == 0) == (f != NULL));
	policy_files_free(f);
	fault_hold();
	assert_int_equal(open_fds(), before);
	/* A copy has no name, whatever happened. */
	assert_int_equal(files_in_dir(), 0);
	fault_go();
	return r;
}

static void
test_copies_leave_nothing_behind(void **state)
{
	struct settings *s = malloc(sizeof(*s));

	(void)state;
	assert_non_null(s);
	assert_int_equal(settings_default(s, "/nowhere/b.yaml"), 0);
	snprintf(s->policy, sizeof(s->policy), "/proc/self/status");
	assert_true(fault_each(FAULT_MEMORY | FAULT_FILE | FAULT_SHORT, copy, s) > 2);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_loaded_whole_or_not),
		cmocka_unit_test(test_copies_leave_nothing_behind),
	};
	int r;

	if (mkdtemp(dir) == NULL)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
