/* SHA-256 with known vectors (FIPS 180-4 examples), in one piece and in all pieces. */
#include "config.h"

#include "tests/lib/test.h"

#include "lib/hash.h"
#include "lib/str.h"

static const char million_a[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void
assert_hex(const uint8_t hash[HASH_LEN], const char *want)
{
	char hex[2 * HASH_LEN + 1];

	assert_string_equal(str_hex(hex, hash, HASH_LEN), want);
}

static void
test_known_vectors(void **state)
{
	static const char *const vectors[][2] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	uint8_t hash[HASH_LEN];

	(void)state;
	for (size_t i = 0; i < N_OF(vectors); i++) {
		hash_sha256(vectors[i][0], strlen(vectors[i][0]), hash);
		assert_hex(hash, vectors[i][1]);
	}
	hash_sha256(NULL, 0, hash);
	assert_hex(hash, vectors[0][1]);
}

static void
test_parts_are_the_whole(void **state)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog, twice, and again";
	size_t n = sizeof(text) - 1;
	uint8_t whole[HASH_LEN], parts[HASH_LEN];

	(void)state;
	hash_sha256(text, n, whole);
	for (size_t i = 0; i <= n; i++)
		for (size_t j = i; j <= n; j += 7) {
			hash_sha256_parts(text, i, text + i, j - i, text + j, n - j, parts);
			assert_memory_equal(parts, whole, HASH_LEN);
		}
}

static void
test_running_hash(void **state)
{
	struct hash *h = hash_new(), *copy = hash_new();
	char block[1000];
	uint8_t hash[HASH_LEN];

	(void)state;
	assert_non_null(h);
	assert_non_null(copy);
	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 1000; i++)
		hash_add(h, block, sizeof(block));
	hash_end(h, hash);
	assert_hex(hash, million_a);
	/* Begun again, and looked at half way without ending it. */
	hash_begin(h);
	hash_add(h, "ab", 2);
	assert_int_equal(hash_copy(copy, h), 0);
	hash_add(h, "c", 1);
	hash_add(h, NULL, 0);
	hash_end(h, hash);
	assert_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_end(copy, hash);
	assert_hex(hash, "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603");
	hash_free(h);
	hash_free(copy);
	hash_free(NULL);
}

static void
test_fingerprint_is_that_of_ssh_keygen(void **state)
{
	/* The Ed25519 key of RFC 8032 section 7.1, test 1, as an SSH key blob. */
	static const char blob_hex[] =
	    "0000000b7373682d6564323535313900000020"
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
	uint8_t blob[(sizeof(blob_hex) - 1) / 2];
	char text[HASH_FINGERPRINT_SIZE];

	(void)state;
	assert_int_equal(str_unhex(blob_hex, blob, sizeof(blob)), 0);
	assert_string_equal(hash_fingerprint(text, blob, sizeof(blob)),
	    "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8");
}

static int
setup(void **state)
{
	(void)state;
	return hash_init() != 0 || hash_init() != 0; /* twice is once */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_vectors),
		cmocka_unit_test(test_parts_are_the_whole),
		cmocka_unit_test(test_running_hash),
		cmocka_unit_test(test_fingerprint_is_that_of_ssh_keygen),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
