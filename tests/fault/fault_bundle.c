/*
 * A bundle is made and verified with no memory at each point, and written to a disk that fails: every
 * failure is told, and what was written without one is whole.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/file.h"
#include "recorder/verify_bundle.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/bundle_rig.h"

struct world {
	struct rig *rig;
	char file[160], out[160];
	unsigned found;
};

static void
found(void *arg, const struct verify_finding *finding)
{
	struct world *w = arg;

	(void)finding;
	w->found++;
}

/* Lack of memory is never taken for damage. */
static int
verify_once(void *arg)
{
	struct world *w = arg;
	struct verify_conf conf = { .key = &w->rig->signer.key, .found = found, .arg = w };
	struct verify_result result;
	struct store_snap *snap = NULL;
	struct store *store = NULL;
	int r;

	w->found = 0;
	if ((r = store_open_bundle(w->file, &store)) == 0 &&
	    (r = store_snap_new(store, &snap)) == 0)
		r = verify_bundle(snap, &conf, &result);
	fault_hold();
	store_snap_free(snap);
	store_close(store);
	assert_int_equal(w->found, 0);
	assert_true(r == 0 || r == -ENOMEM);
	fault_go();
	return r;
}

static int
write_once(void *arg)
{
	struct world *w = arg;
	struct bundle_writer *writer = NULL;
	struct bundle *from, *check;
	struct bundle_entry e;
	int fd, r;

	fault_hold();
	assert_int_equal(bundle_open(w->file, &from), 0);
	fd = open(w->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fault_go();
	r = bundle_writer_new(fd, &writer);
	for (uint64_t i = 0; r == 0 && i < bundle_n(from); i++)
		if ((r = bundle_at(from, i, &e)) == 0)
			r = bundle_writer_add(writer, &e);
	if (r == 0)
		r = bundle_writer_end(writer);
	fault_hold();
	bundle_writer_free(writer);
	fd_close(&fd);
	if (r == 0) {
		assert_int_equal(bundle_open(w->out, &check), 0);
		assert_int_equal(bundle_check(check), 0);
		bundle_close(check);
	}
	bundle_close(from);
	fault_go();
	return r;
}

static void
test_a_bundle(void **state)
{
	struct world w = { .rig = NULL };
	uint8_t sid[REC_SID_LEN];

	(void)state;
	rig_setup((void **)&w.rig);
	rig_closed(w.rig, 12, 16384, sid);
	rig_close(w.rig);
	(void)snprintf(w.file, sizeof(w.file), "%s/bundle", w.rig->dir);
	(void)snprintf(w.out, sizeof(w.out), "%s/out", w.rig->dir);
	assert_int_equal(bundle_make(w.rig, sid, w.file), 0);
	assert_true(fault_each(FAULT_MEMORY, verify_once, &w) > 5);
	assert_true(fault_each(FAULT_MEMORY, write_once, &w) > 3);
	assert_true(fault_each(FAULT_FILE, write_once, &w) > 1);
	assert_true(fault_each(FAULT_SHORT, write_once, &w) > 1);
	rig_teardown((void **)&w.rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_bundle) };

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
