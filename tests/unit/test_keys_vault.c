/* The vault as a whole: what was put in comes out again after the file is read anew, and nothing is lost on the way. */
#include "config.h"

#include <sys/stat.h>

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

#include "keys/keys_crypto.h"
#include "keys/keys_vault.h"
#include "lib/file.h"
#include "tests/lib/keys_help.h"

static const char unlock_bytes[] = "0123456789abcdef0123456789abcdef";

struct home {
	char dir[PATH_MAX], path[PATH_MAX + 8];
};

static struct keys_vault *
create(const struct home *h)
{
	struct secret *unlock = help_secret(unlock_bytes);
	struct keys_vault *v = NULL;

	assert_int_equal(keys_vault_create(h->dir, KEYS_SEAL_FILE, unlock, &v), 0);
	secret_free(unlock);
	return v;
}

static struct keys_vault *
reopen(const struct home *h)
{
	struct secret *unlock = help_secret(unlock_bytes);
	struct keys_vault *v = NULL;

	assert_int_equal(keys_vault_open(h->dir, &v), 0);
	assert_true(keys_vault_is_locked(v));
	assert_int_equal(keys_vault_n(v), 0);
	assert_int_equal(keys_vault_unlock(v, unlock), 0);
	assert_int_equal(keys_vault_unlock(v, unlock), ERR_ORDER);
	secret_free(unlock);
	return v;
}

static void
home_new(struct home *h)
{
	help_folder(h->dir);
	(void)snprintf(h->path, sizeof(h->path), "%s/vault", h->dir);
}

static void
add(struct keys_vault *v, const char *name, const char *kind)
{
	struct keys_key *key = NULL;
	enum sshkey_type type;
	unsigned bits;

	assert_int_equal(keys_key_kind(kind, &type, &bits), 0);
	assert_int_equal(keys_key_generate(name, type, bits, &key), 0);
	assert_int_equal(keys_vault_add(v, key), 0);
	keys_key_unref(key);
}

/* Signs with the key that it holds, and the public half says so. */
static void
assert_signs(const struct keys_key *key, const char *alg)
{
	struct buf *sig = buf_new(SSHKEY_SIG_MAX);
	struct sshkey *pub = NULL;

	assert_int_equal(keys_key_sign(key, alg, "data", 4, sig), 0);
	assert_int_equal(sshkey_parse(key->blob, key->blob_len, &pub), 0);
	assert_int_equal(
	    sshkey_verify(pub, alg, strlen(alg), buf_ptr(sig), buf_len(sig), "data", 4, NULL), 0);
	assert_int_not_equal(
	    sshkey_verify(pub, alg, strlen(alg), buf_ptr(sig), buf_len(sig), "datA", 4, NULL), 0);
	sshkey_free(pub);
	buf_free(sig);
}

static void
test_every_kind_of_key_survives_the_file(void **state)
{
	static const struct {
		const char *kind, *alg;
	} kinds[] = { { "ed25519", "ssh-ed25519" }, { "ecdsa-256", "ecdsa-sha2-nistp256" },
		{ "ecdsa-384", "ecdsa-sha2-nistp384" }, { "ecdsa-521", "ecdsa-sha2-nistp521" },
		{ "rsa-3072", "rsa-sha2-256" }, { "rsa-3072", "rsa-sha2-512" } };
	struct keys_vault *v;
	char name[16], word[16];
	struct stat st;
	struct home h;

	(void)state;
	home_new(&h);
	v = create(&h);
	for (int i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "k%d", i);
		add(v, name, kinds[i].kind);
	}
	keys_vault_free(v);
	v = reopen(&h);
	assert_int_equal(keys_vault_n(v), 8);
	for (int i = 0; i < 6; i++) {
		struct keys_key *key;

		(void)snprintf(name, sizeof(name), "k%d", i);
		key = keys_vault_find(v, name);
		assert_non_null(key);
		assert_string_equal(keys_key_word(key, word, sizeof(word)), kinds[i].kind);
		assert_signs(key, kinds[i].alg);
	}
	assert_int_equal(stat(h.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	keys_vault_free(v);
	help_remove(h.dir);
}

static void
test_nothing_works_while_it_is_locked(void **state)
{
	struct secret *wrong = help_secret("0123456789abcdef0123456789abcdeX");
	struct keys_key *key = NULL;
	struct keys_vault *v;
	struct home h;

	(void)state;
	home_new(&h);
	keys_vault_free(create(&h));
	assert_int_equal(keys_vault_open(h.dir, &v), 0);
	assert_int_equal(keys_vault_unlock(v, wrong), ERR_DENIED);
	assert_true(keys_vault_is_locked(v));
	assert_null(keys_vault_find(v, KEYS_HOST_KEY));
	assert_int_equal(keys_key_generate("x", SSHKEY_ED25519, 256, &key), 0);
	assert_int_equal(keys_vault_add(v, key), ERR_ORDER);
	assert_int_equal(keys_vault_remove(v, KEYS_FLEET_KEY), ERR_ORDER);
	assert_int_equal(keys_vault_rotate(v, KEYS_FLEET_KEY), ERR_ORDER);
	keys_key_unref(key);
	keys_vault_free(v);
	keys_vault_free(reopen(&h));
	secret_free(wrong);
	help_remove(h.dir);
}

static void
test_names_are_taken_once_and_the_host_key_stays(void **state)
{
	struct keys_key *key = NULL;
	struct keys_vault *v;
	struct home h;

	(void)state;
	home_new(&h);
	v = create(&h);
	assert_int_equal(keys_key_generate(KEYS_FLEET_KEY, SSHKEY_ED25519, 256, &key), 0);
	assert_int_equal(keys_vault_add(v, key), ERR_EXISTS);
	keys_key_unref(key);
	assert_int_equal(keys_vault_remove(v, KEYS_HOST_KEY), ERR_DENIED);
	assert_int_equal(keys_vault_remove(v, "nobody"), ERR_NOT_FOUND);
	assert_int_equal(keys_vault_rotate(v, "nobody"), ERR_NOT_FOUND);
	assert_int_equal(keys_vault_remove(v, KEYS_FLEET_KEY), 0);
	keys_vault_free(v);
	v = reopen(&h);
	assert_int_equal(keys_vault_n(v), 1);
	assert_string_equal(keys_vault_at(v, 0)->name, KEYS_HOST_KEY);
	keys_vault_free(v);
	help_remove(h.dir);
}

static void
test_rotation_keeps_the_last_key_beside_the_new_one(void **state)
{
	char first[HASH_FINGERPRINT_SIZE], second[HASH_FINGERPRINT_SIZE];
	struct keys_vault *v;
	struct home h;

	(void)state;
	home_new(&h);
	v = create(&h);
	memcpy(first, keys_vault_find(v, KEYS_HOST_KEY)->fingerprint, sizeof(first));
	assert_int_equal(keys_vault_rotate(v, KEYS_HOST_KEY), 0);
	memcpy(second, keys_vault_find(v, KEYS_HOST_KEY)->fingerprint, sizeof(second));
	assert_string_not_equal(first, second);
	assert_string_equal(keys_vault_find(v, "host.old")->fingerprint, first);
	assert_int_equal(keys_vault_rotate(v, KEYS_HOST_KEY), 0);
	keys_vault_free(v);
	v = reopen(&h);
	assert_int_equal(keys_vault_n(v), 3);
	assert_string_equal(keys_vault_find(v, "host.old")->fingerprint, second);
	assert_string_not_equal(keys_vault_find(v, KEYS_HOST_KEY)->fingerprint, second);
	assert_signs(keys_vault_find(v, "host.old"), "ssh-ed25519");
	keys_vault_free(v);
	help_remove(h.dir);
}

/* A front that runs keeps the key that it was started with. */
static void
test_a_reference_outlives_removal(void **state)
{
	struct keys_vault *v;
	struct keys_key *key;
	struct home h;

	(void)state;
	home_new(&h);
	v = create(&h);
	key = keys_key_ref(keys_vault_find(v, KEYS_FLEET_KEY));
	assert_int_equal(keys_vault_remove(v, KEYS_FLEET_KEY), 0);
	assert_signs(key, "ssh-ed25519");
	keys_key_unref(key);
	keys_vault_free(v);
	help_remove(h.dir);
}

static void
test_a_second_vault_is_not_made_over_the_first(void **state)
{
	struct secret *unlock = help_secret(unlock_bytes);
	struct keys_vault *v = NULL;
	char *before, *after;
	size_t n_before, n_after;
	struct home h;

	(void)state;
	home_new(&h);
	keys_vault_free(create(&h));
	assert_int_equal(file_read(h.path, 1 << 20, &before, &n_before), 0);
	assert_int_equal(keys_vault_create(h.dir, KEYS_SEAL_FILE, unlock, &v), ERR_EXISTS);
	assert_null(v);
	assert_int_equal(file_read(h.path, 1 << 20, &after, &n_after), 0);
	assert_int_equal(n_before, n_after);
	assert_memory_equal(before, after, n_before);
	free(before);
	free(after);
	secret_free(unlock);
	help_remove(h.dir);
}

static void
test_what_is_no_vault_is_said_so(void **state)
{
	struct keys_vault *v = NULL;
	struct home h;

	(void)state;
	home_new(&h);
	assert_int_equal(keys_vault_open(h.dir, &v), ERR_NOT_FOUND);
	assert_int_equal(file_replace(h.path, 0600, "", 0), 0);
	assert_int_equal(keys_vault_open(h.dir, &v), ERR_FORMAT);
	assert_int_equal(file_replace(h.path, 0600, "bastiond vault\n\2 made later", 27), 0);
	assert_int_equal(keys_vault_open(h.dir, &v), ERR_VERSION);
	assert_null(v);
	help_remove(h.dir);
}

static void
test_names_are_plain(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".host", "-x", "a/b", "a b", "a\nb",
		"\xc3\xa4", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(keys_key_is_name(bad[i]));
	assert_true(keys_key_is_name("fleet-2026.old_A"));
}

static void
test_a_full_vault_takes_no_more(void **state)
{
	struct keys_key *key = NULL;
	struct keys_vault *v;
	char name[16];
	struct home h;

	(void)state;
	home_new(&h);
	v = create(&h);
	for (unsigned i = 2; i < KEYS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "k%u", i);
		add(v, name, "ed25519");
	}
	assert_int_equal(keys_key_generate("more", SSHKEY_ED25519, 256, &key), 0);
	assert_int_equal(keys_vault_add(v, key), ERR_LIMIT);
	assert_int_equal(keys_vault_rotate(v, KEYS_HOST_KEY), ERR_LIMIT);
	keys_key_unref(key);
	keys_vault_free(v);
	v = reopen(&h);
	assert_int_equal(keys_vault_n(v), KEYS_MAX);
	keys_vault_free(v);
	help_remove(h.dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_key_survives_the_file),
		cmocka_unit_test(test_nothing_works_while_it_is_locked),
		cmocka_unit_test(test_names_are_taken_once_and_the_host_key_stays),
		cmocka_unit_test(test_rotation_keeps_the_last_key_beside_the_new_one),
		cmocka_unit_test(test_a_reference_outlives_removal),
		cmocka_unit_test(test_a_second_vault_is_not_made_over_the_first),
		cmocka_unit_test(test_what_is_no_vault_is_said_so),
		cmocka_unit_test(test_names_are_plain),
		cmocka_unit_test(test_a_full_vault_takes_no_more),
	};
	bool locked;

	if (secret_init() != 0 || keys_crypto_init(&locked) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
