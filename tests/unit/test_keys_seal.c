/* The sealed file: opened by its own key only, whole only, unchanged only. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys/keys_seal.h"

#define CONTENT "what is sealed"

static struct secret *
secret_of(const char *s)
{
	char copy[2048];

	assert_true(strlen(s) < sizeof(copy));
	memcpy(copy, s, strlen(s) + 1);
	return secret_take(copy, strlen(s));
}

static const char key_bytes[] = "0123456789abcdef0123456789abcdef";
static const char other_bytes[] = "0123456789abcdef0123456789abcdeF";

struct file {
	uint8_t *data;
	size_t len;
};

static struct file
make(enum keys_seal_method method, const char *unlock)
{
	struct secret *key = secret_of(unlock), *content = secret_of(CONTENT);
	struct keys_seal seal = { 0 };
	struct file f = { 0 };

	assert_int_equal(keys_seal_new(&seal, method, key), 0);
	assert_int_equal(keys_seal_close(&seal, content, &f.data, &f.len), 0);
	keys_seal_done(&seal);
	secret_free(key);
	secret_free(content);
	return f;
}

/* Try to open; nothing may come out unless it says 0. */
static int
try_open(const uint8_t *data, size_t len, const char *unlock)
{
	struct secret *key = secret_of(unlock), *content = NULL;
	struct keys_seal seal = { 0 };
	int r = keys_seal_open(&seal, data, len, key, &content);

	if (r == 0) {
		assert_int_equal(secret_len(content), strlen(CONTENT));
		assert_memory_equal(secret_cptr(content), CONTENT, strlen(CONTENT));
	} else {
		assert_null(content);
		assert_null(seal.file_key);
	}
	secret_free(content);
	secret_free(key);
	keys_seal_done(&seal);
	return r;
}

static void
test_only_its_own_key_opens_it(void **state)
{
	struct file f = make(KEYS_SEAL_FILE, key_bytes);

	(void)state;
	assert_int_equal(try_open(f.data, f.len, other_bytes), ERR_DENIED);
	assert_int_equal(try_open(f.data, f.len, ""), ERR_DENIED);
	assert_int_equal(try_open(f.data, f.len, key_bytes), 0);
	free(f.data);
}

static void
test_a_passphrase_opens_it_and_no_other(void **state)
{
	struct file f = make(KEYS_SEAL_PASSPHRASE, "correct horse battery");
	enum keys_seal_method method = 0;

	(void)state;
	assert_int_equal(keys_seal_read_method(f.data, f.len, &method), 0);
	assert_int_equal(method, KEYS_SEAL_PASSPHRASE);
	assert_int_equal(try_open(f.data, f.len, "correct horse battery"), 0);
	assert_int_equal(try_open(f.data, f.len, "correct horse batterY"), ERR_DENIED);
	free(f.data);
}

static void
test_every_flipped_bit_is_seen(void **state)
{
	struct file f = make(KEYS_SEAL_FILE, key_bytes);

	(void)state;
	for (size_t at = 0; at < f.len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			int r;

			f.data[at] ^= (uint8_t)(1u << bit);
			r = try_open(f.data, f.len, key_bytes);
			f.data[at] ^= (uint8_t)(1u << bit);
			if (at < 15)
				assert_int_equal(r, ERR_FORMAT);
			else if (at == 15)
				assert_int_equal(r, ERR_VERSION);
			else if (at >= 120)
				assert_int_equal(r, ERR_SIGNATURE);
			else
				assert_true(r == ERR_FORMAT || r == ERR_DENIED);
		}
	assert_int_equal(try_open(f.data, f.len, key_bytes), 0);
	free(f.data);
}

static void
test_every_cut_and_every_addition_is_seen(void **state)
{
	struct file f = make(KEYS_SEAL_FILE, key_bytes);
	uint8_t longer[512] = { 0 };

	(void)state;
	for (size_t len = 0; len < f.len; len++) {
		int r = try_open(f.data, len, key_bytes);

		assert_true(r == ERR_FORMAT || r == ERR_SIGNATURE);
	}
	memcpy(longer, f.data, f.len);
	assert_int_equal(try_open(longer, f.len + 1, key_bytes), ERR_SIGNATURE);
	free(f.data);
}

static void
test_the_head_of_one_file_does_not_fit_another(void **state)
{
	struct file a = make(KEYS_SEAL_FILE, key_bytes), b = make(KEYS_SEAL_FILE, key_bytes);

	(void)state;
	assert_int_equal(a.len, b.len);
	memcpy(a.data, b.data, KEYS_SEAL_HEAD);
	assert_int_equal(try_open(a.data, a.len, key_bytes), ERR_SIGNATURE);
	free(a.data);
	free(b.data);
}

/* The parameters stand in the head, which an attacker may have written: they are bounded before they are used. */
static void
test_a_head_cannot_ask_for_boundless_work(void **state)
{
	struct file f = make(KEYS_SEAL_PASSPHRASE, "correct horse battery");
	enum keys_seal_method method;

	(void)state;
	f.data[20] = 1; /* opslimit 2^24 and more */
	assert_int_equal(keys_seal_read_method(f.data, f.len, &method), ERR_FORMAT);
	f.data[20] = 0;
	f.data[26] = 1; /* memlimit 2^40 and more */
	assert_int_equal(keys_seal_read_method(f.data, f.len, &method), ERR_FORMAT);
	f.data[26] = 0;
	assert_int_equal(keys_seal_read_method(f.data, f.len, &method), 0);
	memset(f.data + 20, 0, 12);
	assert_int_equal(keys_seal_read_method(f.data, f.len, &method), ERR_FORMAT);
	free(f.data);
}

static void
test_weak_secrets_are_not_taken(void **state)
{
	static const struct {
		enum keys_seal_method method;
		const char *unlock;
	} weak[] = { { KEYS_SEAL_PASSPHRASE, "short" }, { KEYS_SEAL_PASSPHRASE, "elevenbytes" },
		{ KEYS_SEAL_FILE, "0123456789abcdef0123456789abcde" }, { KEYS_SEAL_FILE, "" } };

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
		struct secret *key = secret_of(weak[i].unlock);
		struct keys_seal seal = { 0 };

		assert_int_equal(keys_seal_new(&seal, weak[i].method, key), ERR_FORMAT);
		assert_null(seal.file_key);
		secret_free(key);
	}
}

static void
test_no_two_files_share_a_nonce_or_a_key(void **state)
{
	struct file a = make(KEYS_SEAL_FILE, key_bytes), b = make(KEYS_SEAL_FILE, key_bytes);

	(void)state;
	assert_memory_not_equal(a.data + 32, b.data + 32, 16);	 /* salt */
	assert_memory_not_equal(a.data + 48, b.data + 48, 24);	 /* nonce of the file key */
	assert_memory_not_equal(a.data + 120, b.data + 120, 24); /* nonce of the content */
	assert_memory_not_equal(a.data + 144, b.data + 144, a.len - 144);
	free(a.data);
	free(b.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_its_own_key_opens_it),
		cmocka_unit_test(test_a_passphrase_opens_it_and_no_other),
		cmocka_unit_test(test_every_flipped_bit_is_seen),
		cmocka_unit_test(test_every_cut_and_every_addition_is_seen),
		cmocka_unit_test(test_the_head_of_one_file_does_not_fit_another),
		cmocka_unit_test(test_a_head_cannot_ask_for_boundless_work),
		cmocka_unit_test(test_weak_secrets_are_not_taken),
		cmocka_unit_test(test_no_two_files_share_a_nonce_or_a_key),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
