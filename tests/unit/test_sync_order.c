/*
 * What must be on disk before something else is written: seen in the order of the recorder's own writes and syncs, so
 * that a sync that is left out, or two steps that change places, do not wait for a power cut to be noticed.
 */
#include "config.h"

#include <sys/wait.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/crypt.h"
#include "recorder/erase.h"
#include "recorder/slots.h"
#include "tests/crash/power_tape.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define ANY SIZE_MAX

enum { FILE_STORE, FILE_SIGN, FILE_KEYS };

static void
start_tape(struct rig *rig)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/data.mdb", rig->dir);
	tape_start(rig->dir, path);
	tape_follow(rig->key_path);
	(void)snprintf(path, sizeof(path), "%s/" SLOTS_NAME, rig->dir);
	tape_follow(path);
}

/* The first write to that file of so many bytes from op from on; tape_len(): there is none. */
static size_t
find_write(unsigned file, size_t len, size_t from)
{
	while (from < tape_len() &&
	       (tape_at(from)->what != TAPE_WROTE || tape_at(from)->file != file ||
		   (len != ANY && tape_at(from)->len != len)))
		from++;
	return from;
}

/* The store is written and synced before op n, and nothing of it is waiting then. */
static void
assert_store_synced(size_t n)
{
	size_t sync = 0;

	while (
	    sync < n && (tape_at(sync)->what != TAPE_SYNCED || tape_at(sync)->file != FILE_STORE))
		sync++;
	assert_true(sync < n);
	assert_true(tape_is_synced(FILE_STORE, n));
}

/* What is written there at op n is synced before the store is written again, or before the end. */
static void
assert_synced_soon(unsigned file, size_t n)
{
	assert_true(tape_is_synced(file, find_write(FILE_STORE, ANY, n)));
}

static void
erase(struct rig *rig, const uint8_t *sid)
{
	struct erase_order order = { .by = "uid 0", .why = "a test" };
	struct eraser *e;

	memcpy(order.sid, sid, REC_SID_LEN);
	must(eraser_new(rig->chain, &e) == 0, "eraser");
	must(eraser_erase(e, &order, MLOG_ERASE_ASKED) == 0, "erase");
	must(chain_commit(rig->chain, false) == 0, "commit");
	eraser_free(e);
}

static void
reopen(struct rig *rig, enum store_durability durability)
{
	rig_close(rig);
	rig->durability = durability;
	rig_open(rig);
}

static void
test_leaf_is_on_disk_before_the_key_goes(void **state)
{
	struct rig *rig = *state;

	for (int d = STORE_STRICT; d <= STORE_PROCESS; d++) {
		uint8_t sid[REC_SID_LEN];
		size_t n;

		reopen(rig, (enum store_durability)d);
		rig_closed(rig, 3, 100, sid);
		start_tape(rig);
		erase(rig, sid);
		tape_stop();
		n = find_write(FILE_KEYS, CRYPT_KEY_LEN, 0);
		assert_true(n < tape_len());
		assert_true(find_write(FILE_STORE, ANY, 0) < n);
		assert_store_synced(n);
		assert_synced_soon(FILE_KEYS, n);
	}
}

static void
test_keys_are_on_disk_before_a_session_has_one(void **state)
{
	struct rig *rig = *state;
	struct session *s;
	size_t n;

	start_tape(rig);
	s = rig_session(rig);
	assert_non_null(s);
	rig_commit(rig);
	tape_stop();
	n = find_write(FILE_KEYS, SLOTS_BATCH * CRYPT_KEY_LEN, 0);
	assert_true(n < tape_len());
	assert_true(find_write(FILE_STORE, ANY, 0) > n);
	assert_synced_soon(FILE_KEYS, n);
}

/* The new key is there before the store says so, the store says so before the old one goes. */
static void
assert_key_changed(void)
{
	size_t first = find_write(FILE_SIGN, SIGNER_SLOT_LEN, 0);
	size_t second = find_write(FILE_SIGN, SIGNER_SLOT_LEN, first + 1);

	assert_true(second < tape_len());
	assert_true(find_write(FILE_STORE, ANY, 0) > first);
	assert_synced_soon(FILE_SIGN, first);
	assert_true(find_write(FILE_STORE, ANY, first) < second);
	assert_store_synced(second);
	assert_synced_soon(FILE_SIGN, second);
}

static void
test_signing_keys_follow_each_other_on_disk(void **state)
{
	struct rig *rig = *state;

	for (int d = STORE_STRICT; d <= STORE_PROCESS; d++) {
		reopen(rig, (enum store_durability)d);
		start_tape(rig);
		assert_int_equal(chain_rotate(rig->chain), 0);
		rig_commit(rig);
		tape_stop();
		assert_key_changed();
	}
}

/* A recorder that is killed at its n-th write to that file, while it does what act says. */
static void
kill_at(struct rig *rig, unsigned file, unsigned n,
    void (*act)(struct rig *rig, const uint8_t *sid), const uint8_t *sid)
{
	int status;
	pid_t pid;

	rig_close(rig);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)alarm(20);
		rig_open(rig);
		start_tape(rig);
		tape_die_at(file, n);
		act(rig, sid);
		_exit(1); /* it was not written */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/*
 * Killed, not cut off: what it had written is there, but a power cut could still take it back. The next recorder, which
 * ends what it finds begun, must not wipe anything that the store needs then.
 */
static void
test_a_start_syncs_the_store_before_it_wipes_keys(void **state)
{
	struct rig *rig = *state;

	for (int d = STORE_STRICT; d <= STORE_PROCESS; d++) {
		uint8_t sid[REC_SID_LEN];
		size_t n;

		reopen(rig, (enum store_durability)d);
		rig_closed(rig, 3, 100, sid);
		kill_at(rig, FILE_KEYS, 1, erase, sid);
		start_tape(rig);
		rig_open(rig);
		tape_stop();
		n = find_write(FILE_KEYS, CRYPT_KEY_LEN, 0);
		assert_true(n < tape_len());
		assert_store_synced(n);
		assert_synced_soon(FILE_KEYS, n);
		assert_int_equal(rig_verify(rig), 0);
	}
}

static void
rotate(struct rig *rig, const uint8_t *sid)
{
	(void)sid;
	must(chain_rotate(rig->chain) == 0 && chain_commit(rig->chain, false) == 0, "rotate");
}

static void
test_a_start_syncs_the_store_before_the_old_signing_key_goes(void **state)
{
	struct rig *rig = *state;

	for (int d = STORE_STRICT; d <= STORE_PROCESS; d++) {
		size_t n;

		reopen(rig, (enum store_durability)d);
		kill_at(rig, FILE_SIGN, 2, rotate, NULL);
		signer_done(&rig->signer);
		assert_int_equal(signer_load(rig->key_path, "rig", &rig->signer), 0);
		start_tape(rig);
		rig_open(rig);
		tape_stop();
		n = find_write(FILE_SIGN, SIGNER_SLOT_LEN, 0);
		assert_true(n < tape_len());
		assert_store_synced(n);
		assert_synced_soon(FILE_SIGN, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_leaf_is_on_disk_before_the_key_goes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_keys_are_on_disk_before_a_session_has_one, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_signing_keys_follow_each_other_on_disk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_start_syncs_the_store_before_it_wipes_keys, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_start_syncs_the_store_before_the_old_signing_key_goes, rig_setup,
		    rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
