/* Keys of sessions and envelopes: what is not opened by whom. */
#include "config.h"

#include <sodium.h>

#include "lib/secret.h"
#include "recorder/crypt.h"
#include "tests/lib/test.h"

static const uint8_t sid[REC_SID_LEN] = "0123456789abcdef",
		     other_sid[REC_SID_LEN] = "another session.";
static const uint8_t half[CRYPT_KEY_LEN] = "one half of a key, 32 bytes ....";
static const uint8_t value[CRYPT_KEY_LEN] = "the other value, 32 bytes ......";

static void
test_a_key_needs_everything_that_it_comes_from(void **state)
{
	uint8_t key[CRYPT_KEY_LEN], same[CRYPT_KEY_LEN], not [CRYPT_KEY_LEN];

	(void)state;
	assert_int_equal(crypt_derive(sid, half, value, key), 0);
	assert_int_equal(crypt_derive(sid, half, value, same), 0);
	assert_memory_equal(key, same, sizeof(key));
	assert_int_equal(crypt_derive(other_sid, half, value, not ), 0);
	assert_memory_not_equal(key, not, sizeof(key));
	assert_int_equal(crypt_derive(sid, value, value, not ), 0);
	assert_memory_not_equal(key, not, sizeof(key));
	assert_int_equal(crypt_derive(sid, half, half, not ), 0);
	assert_memory_not_equal(key, not, sizeof(key));
}

/* Recordings must open for ever: these bytes may never change. */
static void
test_the_derivation_is_the_one_that_is_written_down(void **state)
{
	static const char label[] = "bastiond-session-key-v1";
	uint8_t key[CRYPT_KEY_LEN], want[CRYPT_KEY_LEN], check[CRYPT_CHECK_LEN],
	    want_check[CRYPT_CHECK_LEN];
	uint8_t all[sizeof(label) + REC_SID_LEN + CRYPT_KEY_LEN];

	(void)state;
	memcpy(all, label, sizeof(label));
	memcpy(all + sizeof(label), sid, REC_SID_LEN);
	memcpy(all + sizeof(label) + REC_SID_LEN, half, CRYPT_KEY_LEN);
	assert_int_equal(
	    crypto_generichash(want, sizeof(want), all, sizeof(all), value, sizeof(value)), 0);
	assert_int_equal(crypt_derive(sid, half, value, key), 0);
	assert_memory_equal(key, want, sizeof(key));
	crypt_check(key, check);
	assert_int_equal(
	    crypto_kdf_derive_from_key(want_check, sizeof(want_check), 0, "bastsess", key), 0);
	assert_memory_equal(check, want_check, sizeof(check));
}

static void
test_an_envelope_opens_in_its_place_only(void **state)
{
	struct crypt_place place = { CRYPT_JOURNAL, 3, 400 };
	uint8_t p[5 + CRYPT_TAG_LEN], out[5], wrong[CRYPT_KEY_LEN];

	(void)state;
	memcpy(p, "event", 5);
	crypt_seal(half, sid, place, p, 5);
	assert_memory_not_equal(p, "event", 5);
	for (int i = 0; i < 6; i++) {
		struct crypt_place at = place;

		memcpy(wrong, half, sizeof(wrong));
		if (i == 0)
			wrong[31] ^= 1;
		if (i == 1)
			at.block++;
		if (i == 2)
			at.off++;
		if (i == 3)
			at.use = CRYPT_BLOCK;
		if (i == 4)
			assert_int_equal(
			    crypt_open(half, other_sid, at, p, sizeof(p), out), ERR_CHAIN);
		else if (i == 5)
			assert_int_equal(
			    crypt_open(half, sid, at, p, sizeof(p) - 1, out), ERR_CHAIN);
		else
			assert_int_equal(crypt_open(wrong, sid, at, p, sizeof(p), out), ERR_CHAIN);
	}
	for (size_t i = 0; i < sizeof(p); i++) {
		p[i] ^= 0x40;
		assert_int_equal(crypt_open(half, sid, place, p, sizeof(p), out), ERR_CHAIN);
		p[i] ^= 0x40;
	}
	assert_int_equal(crypt_open(half, sid, place, p, CRYPT_TAG_LEN - 1, out), ERR_CHAIN);
	assert_int_equal(crypt_open(half, sid, place, p, sizeof(p), out), 0);
	assert_memory_equal(out, "event", 5);
	/* Where it lies. */
	assert_int_equal(crypt_open(half, sid, place, p, sizeof(p), p), 0);
	assert_memory_equal(p, "event", 5);
}

static void
test_what_has_no_place_has_a_nonce_of_its_own(void **state)
{
	struct buf *a = buf_new(1000), *b = buf_new(1000), *out = buf_new(1000),
		   *small = buf_new(10);

	(void)state;
	assert_int_equal(crypt_put(half, sid, CRYPT_PRIVATE, "private", 7, a), 0);
	assert_int_equal(crypt_put(half, sid, CRYPT_PRIVATE, "private", 7, b), 0);
	assert_int_equal(buf_len(a), CRYPT_NONCE_LEN + 7 + CRYPT_TAG_LEN);
	assert_memory_not_equal(buf_ptr(a), buf_ptr(b), buf_len(a));
	assert_int_equal(crypt_put(half, sid, CRYPT_PRIVATE, "private", 7, small), ERR_LIMIT);
	assert_int_equal(
	    crypt_get(half, sid, CRYPT_DERIVED, buf_ptr(a), buf_len(a), out), ERR_CHAIN);
	assert_int_equal(
	    crypt_get(half, other_sid, CRYPT_PRIVATE, buf_ptr(a), buf_len(a), out), ERR_CHAIN);
	assert_int_equal(
	    crypt_get(half, sid, CRYPT_PRIVATE, buf_ptr(a), buf_len(a) - 1, out), ERR_CHAIN);
	assert_int_equal(crypt_get(half, sid, CRYPT_PRIVATE, buf_ptr(a),
			     CRYPT_NONCE_LEN + CRYPT_TAG_LEN - 1, out),
	    ERR_FORMAT);
	assert_int_equal(buf_len(out), 0);
	assert_int_equal(crypt_get(half, sid, CRYPT_PRIVATE, buf_ptr(a), buf_len(a), out), 0);
	assert_int_equal(buf_len(out), 7);
	assert_memory_equal(buf_ptr(out), "private", 7);
	buf_free(a);
	buf_free(b);
	buf_free(out);
	buf_free(small);
}

#define KEYS 300u

static void
test_keys_of_many_sessions_do_not_meet(void **state)
{
	static const uint8_t none[CRYPT_KEY_LEN];
	struct crypt_ring *ring = crypt_ring_new();
	uint8_t *key[KEYS];

	(void)state;
	assert_non_null(ring);
	for (unsigned i = 0; i < KEYS; i++) {
		key[i] = crypt_ring_take(ring);
		assert_non_null(key[i]);
		assert_memory_equal(key[i], none, sizeof(none));
		memset(key[i], (int)(i + 1), CRYPT_KEY_LEN);
	}
	for (unsigned i = 0; i < KEYS; i++)
		for (unsigned b = 0; b < CRYPT_KEY_LEN; b++)
			assert_int_equal(key[i][b], (uint8_t)(i + 1));
	/* What is given back is wiped at once, and given out again. */
	crypt_ring_give(ring, key[7]);
	assert_memory_equal(key[7], none, sizeof(none));
	assert_ptr_equal(crypt_ring_take(ring), key[7]);
	crypt_ring_give(ring, NULL);
	crypt_ring_free(ring);
	crypt_ring_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_needs_everything_that_it_comes_from),
		cmocka_unit_test(test_the_derivation_is_the_one_that_is_written_down),
		cmocka_unit_test(test_an_envelope_opens_in_its_place_only),
		cmocka_unit_test(test_what_has_no_place_has_a_nonce_of_its_own),
		cmocka_unit_test(test_keys_of_many_sessions_do_not_meet),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("crypt", tests, NULL, NULL);
}
