/*
 * Every write and every sync of derived data's file fails in turn, with EIO and with ENOSPC, or is cut short: whoever makes it hears of
 * it, with that error, readers see whole sessions or none, and the same writer makes all of it once there is room.
 *
 * LMDB is a shared library: these definitions stand before the C library's for it too.
 */
#include "config.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#include <errno.h>
#include <unistd.h>

#include "recorder/chunk.h"
#include "recorder/derived.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define SESSIONS 3u

static struct {
	unsigned calls, fail_at; /* the fail_at-th call fails, from 1; 0: none */
	int err;		 /* 0: a write is cut short instead, a sync goes well */
} disk;

static bool
fails(void)
{
	disk.calls++;
	errno = disk.err;
	return disk.fail_at != 0 && disk.calls == disk.fail_at;
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

struct world {
	struct rig *rig;
	struct store *store;
	struct store_snap *snap;
	uint8_t sid[SESSIONS][REC_SID_LEN];
	uint64_t n_events[SESSIONS];
};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sess s;
	void *rig;

	assert_non_null(w);
	assert_int_equal(rig_setup(&rig), 0);
	w->rig = rig;
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct session *one = rig_session(rig);
		char text[65536];

		memset(text, 'a' + (int)i, sizeof(text));
		for (size_t k = 50; k < sizeof(text); k += 50)
			text[k] = '\n';
		assert_int_equal(
		    session_append(one, EVENT_FRONT, LINK_OPEN, 1, "\0\0\0\7session", 11), 0);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(
			    session_append(one, EVENT_BACK, LINK_DATA, 1, text, 30000), 0);
		memcpy(w->sid[i], session_sid(one), REC_SID_LEN);
		assert_int_equal(session_close(one, LINK_END_CLIENT, "bye", ""), 0);
		rig_commit(rig);
	}
	rig_close(rig);
	assert_int_equal(store_open_read(w->rig->dir, &w->store), 0);
	assert_int_equal(store_snap_new(w->store, &w->snap), 0);
	for (unsigned i = 0; i < SESSIONS; i++) {
		assert_int_equal(sess_get(w->snap, w->sid[i], &s), 0);
		w->n_events[i] = s.n_events;
		sess_done(&s);
	}
	*state = w;
	return 0;
}

static void
forget(struct world *w)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/" DERIVED_DIR, w->rig->dir);
	rig_remove(path);
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	void *rig = w->rig;

	store_snap_free(w->snap);
	store_close(w->store);
	forget(w);
	assert_int_equal(rig_teardown(&rig), 0);
	free(w);
	return 0;
}

/* How many sessions a reader finds, each of them whole. */
static unsigned
readable(struct world *w)
{
	struct derived *d;
	unsigned n = 0;

	if (derived_open_read(w->rig->dir, &d) != 0)
		return 0;
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct derived_look *look;
		struct chunk c = { 0 };
		size_t len = 0;
		int r = derived_look(d, w->snap, w->sid[i], w->n_events[i], &look);

		assert_true(r == 0 || r == ERR_NOT_FOUND);
		if (r != 0)
			continue;
		for (uint32_t k = 0; k < derived_chunks(look); k++) {
			assert_int_equal(derived_chunk(look, k, &c), 0);
			assert_int_equal(c.text[0], 'a' + (int)i);
			len += c.len;
		}
		assert_int_equal(len, derived_text_bytes(look));
		assert_true(len > 85000);
		derived_leave(look);
		chunk_done(&c);
		n++;
	}
	derived_close(d);
	return n;
}

/* Each session in a transaction of its own; *ret_n: how many were promised. */
static int
make_all(struct world *w, struct derived_writer *dw, unsigned *ret_n)
{
	int r = 0;

	*ret_n = 0;
	for (unsigned i = 0; r == 0 && i < SESSIONS; i++)
		if ((r = derived_make(dw, w->snap, w->sid[i], w->n_events[i])) == 0 &&
		    (r = derived_flush(dw)) == 0)
			(*ret_n)++;
	return r;
}

static bool
run(struct world *w, unsigned fail_at, int err)
{
	struct derived_writer *dw = NULL;
	unsigned n = 0, n2;
	bool reached;
	int r;

	forget(w);
	disk.calls = 0;
	disk.err = err;
	disk.fail_at = fail_at;
	if ((r = derived_open_write(w->rig->dir, &dw)) == 0)
		r = make_all(w, dw, &n);
	reached = disk.calls >= fail_at;
	disk.fail_at = 0;
	if (err != 0)
		assert_true(r == -err || (r == 0 && !reached));
	else
		assert_true(r == 0 || ((r == -EIO || r == -ENOSPC) && reached));
	assert_true(readable(w) >= n);
	if (dw == NULL)
		assert_int_equal(derived_open_write(w->rig->dir, &dw), 0);
	assert_int_equal(make_all(w, dw, &n2), 0);
	assert_int_equal(n2, SESSIONS);
	assert_int_equal(readable(w), SESSIONS);
	derived_writer_close(dw);
	return reached;
}

static void
fail_each(struct world *w, int err)
{
	unsigned n = 1;

	while (run(w, n, err))
		assert_true(++n < 1000);
	assert_true(n > 8);
}

static void
test_a_failing_disk_at_every_write(void **state)
{
	fail_each(*state, EIO);
}

static void
test_a_full_disk_at_every_write(void **state)
{
	fail_each(*state, ENOSPC);
}

static void
test_a_short_write_at_every_write(void **state)
{
	fail_each(*state, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_a_failing_disk_at_every_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_disk_at_every_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_short_write_at_every_write, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("fault_derived_disk", tests, NULL, NULL);
}
