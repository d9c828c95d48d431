/* The vault with every allocation and every write failing in turn: what is on disk and what is in memory stay one. */
#include "config.h"

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

#include "fault.h"
#include "keys/keys_crypto.h"
#include "keys/keys_vault.h"
#include "lib/file.h"
#include "tests/lib/keys_help.h"

static char dir[PATH_MAX], path[PATH_MAX + 8];
static struct secret *unlock;

static struct keys_vault *
open_it(void)
{
	struct keys_vault *v = NULL;

	assert_int_equal(keys_vault_open(dir, &v), 0);
	assert_int_equal(keys_vault_unlock(v, unlock), 0);
	return v;
}

static void
make_it(void)
{
	struct keys_vault *v = NULL;

	(void)unlink(path);
	assert_int_equal(keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &v), 0);
	keys_vault_free(v);
}

/* Whatever failed: the file opens, and its keys are those that the process holds. */
static void
assert_same_as_disk(const struct keys_vault *v)
{
	struct keys_vault *disk = open_it();

	assert_int_equal(keys_vault_n(disk), keys_vault_n(v));
	for (size_t i = 0; i < keys_vault_n(v); i++) {
		assert_string_equal(keys_vault_at(disk, i)->name, keys_vault_at(v, i)->name);
		assert_string_equal(
		    keys_vault_at(disk, i)->fingerprint, keys_vault_at(v, i)->fingerprint);
	}
	keys_vault_free(disk);
}

static int
run_create(void *arg)
{
	struct keys_vault *v = NULL;
	int r;

	(void)arg;
	(void)unlink(path);
	r = keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &v);
	assert_true((v != NULL) == (r == 0));
	keys_vault_free(v);
	return r;
}

static int
run_open(void *arg)
{
	struct keys_vault *v = NULL;
	int r = keys_vault_open(dir, &v);

	(void)arg;
	assert_true((v != NULL) == (r == 0));
	if (r == 0) {
		r = keys_vault_unlock(v, unlock);
		assert_true(keys_vault_is_locked(v) == (r != 0));
		assert_int_equal(keys_vault_n(v), r == 0 ? 2 : 0);
	}
	/* What failed for want of memory works later. */
	fault_hold();
	if (v != NULL && r != 0)
		assert_int_equal(keys_vault_unlock(v, unlock), 0);
	keys_vault_free(v);
	return r;
}

static int
change_add(struct keys_vault *v)
{
	struct keys_key *key = NULL;
	int r = keys_key_generate("more", SSHKEY_ECDSA_256, 256, &key);

	if (r == 0)
		r = keys_vault_add(v, key);
	keys_key_unref(key);
	return r;
}

static int
change_remove(struct keys_vault *v)
{
	return keys_vault_remove(v, KEYS_FLEET_KEY);
}

static int
change_rotate(struct keys_vault *v)
{
	return keys_vault_rotate(v, KEYS_HOST_KEY);
}

struct change {
	int (*make)(struct keys_vault *v);
};

/* Only the change itself meets the fault. */
static int
run_change(void *arg)
{
	const struct change *change = arg;
	struct keys_vault *v;
	int r;

	fault_hold();
	make_it();
	v = open_it();
	fault_go();
	r = change->make(v);
	fault_hold();
	assert_same_as_disk(v);
	keys_vault_free(v);
	return r;
}

static void
test_making_and_opening(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_create, NULL) > 20);
	assert_true(fault_each(FAULT_FILE, run_create, NULL) >= 4);
	make_it();
	assert_true(fault_each(FAULT_MEMORY, run_open, NULL) > 10);
}

static void
test_changes_are_whole_or_not_at_all(void **state)
{
	static struct change changes[] = { { change_add }, { change_remove }, { change_rotate } };

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_true(fault_each(FAULT_MEMORY, run_change, &changes[i]) >= 3);
		assert_true(fault_each(FAULT_FILE, run_change, &changes[i]) >= 4);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_making_and_opening),
		cmocka_unit_test(test_changes_are_whole_or_not_at_all),
	};
	bool locked;
	int failed;

	if (secret_init() != 0 || keys_crypto_init(&locked) != 0)
		return 1;
	help_folder(dir);
	(void)snprintf(path, sizeof(path), "%s/vault", dir);
	unlock = help_secret("0123456789abcdef0123456789abcdef");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	secret_free(unlock);
	help_remove(dir);
	return failed;
}
