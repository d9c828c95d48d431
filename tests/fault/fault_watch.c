/* The readers of streams with no memory at every point: nothing leaks, and what they said before was true. */
#include "config.h"

#include <errno.h>

#include "lib/hash.h"
#include "policy/policy_proto.h"
#include "recorder/fxp.h"
#include "recorder/watch.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/sftp_rig.h"

#define F EVENT_FRONT
#define B EVENT_BACK

static struct stream *
everything(void)
{
	struct stream *s = stream_new();

	stream_sftp(s, F, FXP_INIT, "u", 3u);
	stream_sftp(s, B, FXP_VERSION_IS, "u", 3u);
	stream_sftp(s, F, FXP_OPEN, "usun", 1u, "a", FXP_F_READ | FXP_F_WRITE | FXP_F_TRUNC);
	stream_sftp(s, B, FXP_HANDLE, "us", 1u, "h");
	stream_sftp(s, F, FXP_WRITE, "usqs", 2u, "h", (uint64_t)0, "hello");
	stream_sftp(s, F, FXP_READ, "usqu", 3u, "h", (uint64_t)0, 9u);
	stream_sftp(s, F, FXP_FSETSTAT, "usa", 4u, "h", 0600u);
	stream_sftp(s, F, FXP_EXTENDED, "ussqqsq", 5u, "copy-data", "h", (uint64_t)0, (uint64_t)0,
	    "h", (uint64_t)9);
	stream_sftp(s, B, FXP_STATUS, "uuss", 2u, 0u, "", "");
	stream_sftp(s, B, FXP_DATA, "us", 3u, "hello");
	stream_sftp(s, F, FXP_RENAME, "uss", 6u, "a", "b");
	stream_sftp(s, B, FXP_STATUS, "uuss", 6u, 4u, "no", "");
	stream_sftp(s, F, FXP_CLOSE, "us", 7u, "h");
	stream_sftp(s, B, FXP_STATUS, "uuss", 7u, 0u, "", "");
	return s;
}

static int
run(void *arg)
{
	struct stream *s = arg;
	struct watch *w = NULL;
	struct told *seen;
	int r;

	fault_hold();
	seen = seen_new();
	fault_go();
	if ((r = watch_new(POL_STREAM_SFTP, "", &seen_sink, seen, &w)) == 0)
		r = stream_feed(s, w, seen, 7);
	watch_free(w);
	fault_hold();
	for (size_t i = 0; i < seen->n_files; i++)
		assert_true(seen->files[i].f.number > 0);
	assert_true(r == 0 || r == -ENOMEM);
	if (r == 0)
		assert_int_equal(seen->n_files, 5);
	seen_free(seen);
	fault_go();
	return r;
}

static void
test_each_allocation_may_fail(void **state)
{
	struct stream *s = everything();

	(void)state;
	assert_int_equal(hash_init(), 0);
	assert_true(fault_each(FAULT_MEMORY, run, s) > 15);
	stream_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation_may_fail) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
