/*
 * Every write and every sync of the store's files fails in turn, with EIO and with ENOSPC, or is cut short: the commit says so, nothing is
 * written after it, and what earlier commits promised is in a store that verifies.
 *
 * LMDB is a shared library: these definitions stand before the C library's for it too.
 */
#include "config.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#include <errno.h>
#include <unistd.h>

#include "recorder/crypt.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

static struct {
	bool armed;
	unsigned calls, fail_at; /* the fail_at-th call fails, from 1; 0: none */
	unsigned after;		 /* calls made after that */
	int err;		 /* 0: a write is cut short instead, a sync goes well */
} disk;

static bool
fails(void)
{
	if (!disk.armed)
		return false;
	disk.calls++;
	if (disk.fail_at == 0 || disk.calls < disk.fail_at)
		return false;
	if (disk.calls > disk.fail_at) {
		disk.after++;
		return false;
	}
	errno = disk.err;
	return true;
}

/* A write of which only half is done, which is no error yet. */
static bool
is_cut(void)
{
	return disk.err == 0;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t off)
{
	if (!fails())
		return syscall(SYS_pwrite64, fd, data, len, off);
	return is_cut() ? syscall(SYS_pwrite64, fd, data, len / 2, off) : -1;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (fd <= 2 || !fails())
		return syscall(SYS_write, fd, data, len);
	return is_cut() ? syscall(SYS_write, fd, data, len / 2) : -1;
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	struct iovec half;

	if (fd <= 2 || !fails())
		return syscall(SYS_writev, fd, iov, n);
	half = (struct iovec){ iov[0].iov_base, iov[0].iov_len / 2 };
	return is_cut() ? syscall(SYS_writev, fd, &half, 1) : -1;
}

int
fdatasync(int fd)
{
	return fails() && !is_cut() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return fails() && !is_cut() ? -1 : (int)syscall(SYS_fsync, fd);
}

static void
arm(unsigned fail_at, int err)
{
	disk.calls = disk.after = 0;
	disk.fail_at = fail_at;
	disk.err = err;
	disk.armed = true;
}

/* Eight commits of a session, some of them synced at once; returns how many of them were promised. */
static unsigned
write_commits(struct rig *rig, struct session *s, int *ret_r)
{
	unsigned done = 0;
	int r = 0;

	for (unsigned n = 0; n < 8 && r == 0; n++) {
		rig_data(s, 1 + n % 3, 12000);
		if ((r = chain_commit(rig->chain, n % 2 == 1)) == 0)
			done++;
		if (r == 0 && n % 3 == 0)
			r = chain_sync(rig->chain);
	}
	*ret_r = r;
	return done;
}

static uint64_t
events_after(unsigned commits)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < commits; i++)
		n += 1 + i % 3;
	return n;
}

static void
run_with_failure(
    enum store_durability durability, bool sealed, unsigned fail_at, int err, bool *ret_reached)
{
	struct session *session;
	struct rig *rig;
	uint8_t sid[REC_SID_LEN], key[CRYPT_KEY_LEN], secret[AUDITOR_KEY_LEN];
	unsigned done, after;
	struct store_snap *snap;
	struct sess s;
	void *made;
	int r;

	assert_int_equal(rig_setup(&made), 0);
	rig = made;
	rig_close(rig);
	rig->durability = durability;
	if (sealed)
		rig_seal(rig, secret);
	rig_open(rig);
	session = rig_session(rig);
	memcpy(sid, session_sid(session), REC_SID_LEN);
	memcpy(key, session_key(session), sizeof(key));
	arm(fail_at, err);
	done = write_commits(rig, session, &r);
	*ret_reached = disk.calls >= fail_at;
	if (r != 0) {
		/*
		 * Never again, neither by itself nor when it is asked to. LMDB alone may put the old meta page back,
		 * so that the one that failed is not found in the page cache.
		 */
		after = disk.after;
		assert_true(after <= 1);
		assert_int_equal(chain_commit(rig->chain, true), r);
		assert_int_equal(chain_failed(rig->chain), r);
		assert_int_equal(chain_sync(rig->chain), r);
		assert_int_equal(chain_audit(rig->chain, "{}", 2), r);
		rig_close(rig);
		assert_int_equal(disk.after, after);
		assert_int_equal(r, err != 0 ? -err : -EIO);
	} else {
		assert_true(err == 0 || !*ret_reached);
		rig_close(rig);
	}
	disk.armed = false;
	rig_no_trace(rig->dir, key, sizeof(key));
	rig_open(rig);
	if (done > 0) {
		assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
		assert_int_equal(sess_get(snap, sid, &s), 0);
		assert_true(s.n_events >= events_after(done));
		assert_true(s.n_events <= events_after(done + 1));
		sess_done(&s);
		store_snap_free(snap);
	}
	rig_close(rig);
	/* Checked to the last event by who can. */
	rig->auditor = sealed ? secret : NULL;
	assert_int_equal(rig_verify(rig), 0);
	rig_no_trace(rig->dir, key, sizeof(key));
	assert_int_equal(rig_teardown(&made), 0);
}

static void
fail_each(enum store_durability durability, bool sealed, int err)
{
	unsigned n = 1;
	bool reached = true;

	for (; reached; n++) {
		assert_true(n < 1000);
		run_with_failure(durability, sealed, n, err, &reached);
	}
	assert_true(n > 20);
}

static void
test_every_failed_write_or_sync_is_the_last(void **state)
{
	(void)state;
	fail_each(STORE_STRICT, false, EIO);
	fail_each(STORE_PROCESS, false, EIO);
}

/* LMDB takes less than it wanted for a failure; whoever goes on instead writes the rest. */
static void
test_a_short_write_at_every_write(void **state)
{
	(void)state;
	fail_each(STORE_STRICT, false, 0);
	fail_each(STORE_PROCESS, false, 0);
}

static void
test_a_full_disk_at_every_write(void **state)
{
	(void)state;
	fail_each(STORE_STRICT, false, ENOSPC);
	fail_each(STORE_PROCESS, false, ENOSPC);
}

static void
test_sealed_sessions_lose_nothing_and_leave_no_key(void **state)
{
	(void)state;
	fail_each(STORE_STRICT, true, EIO);
	fail_each(STORE_STRICT, true, ENOSPC);
	fail_each(STORE_STRICT, true, 0);
}

/* A slot that cannot be made refuses the session; a sync of slots that fails ends the recorder. */
static void
test_no_session_without_a_slot(void **state)
{
	struct session *s;
	uint8_t meta[256];
	struct rig *rig;
	void *made;
	size_t len = rig_meta(meta);

	(void)state;
	for (unsigned fail_at = 1; fail_at <= 2; fail_at++) {
		assert_int_equal(rig_setup(&made), 0);
		rig = made;
		arm(fail_at, ENOSPC);
		assert_int_equal(session_open(rig->chain, 1, 1, meta, len, &s), -ENOSPC);
		assert_int_equal(disk.calls, fail_at);
		disk.armed = false;
		if (fail_at == 1) {
			assert_int_equal(session_open(rig->chain, 1, 1, meta, len, &s), 0);
			rig_data(s, 1, 10);
			rig_commit(rig);
		} else {
			assert_int_equal(chain_failed(rig->chain), -ENOSPC);
			assert_int_equal(session_open(rig->chain, 1, 1, meta, len, &s), -ENOSPC);
		}
		rig_close(rig);
		rig_open(rig);
		rig_data(rig_session(rig), 1, 10);
		rig_commit(rig);
		rig_close(rig);
		assert_int_equal(rig_verify(rig), 0);
		assert_int_equal(rig_teardown(&made), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_failed_write_or_sync_is_the_last),
		cmocka_unit_test(test_a_full_disk_at_every_write),
		cmocka_unit_test(test_a_short_write_at_every_write),
		cmocka_unit_test(test_sealed_sessions_lose_nothing_and_leave_no_key),
		cmocka_unit_test(test_no_session_without_a_slot),
	};

	return cmocka_run_group_tests_name("fault_disk", tests, NULL, NULL);
}
