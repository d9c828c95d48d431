/* Host keys as a client sees them: lists, KEXINIT, the reply, and whether key and signature are of the agreed kind. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/wire_priv.h"
#include "lib/buf.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define CERT "-cert-v01@openssh.com"

static void
put(struct buf *b, const char *s)
{
	assert_int_equal(buf_put_cstr(b, s), 0);
}

static void
test_plain_names_behind_a_list(void **state)
{
	static const struct {
		const char *list, *plain;
	} cases[] = {
		{ "ssh-ed25519", "ssh-ed25519" },
		{ "ssh-ed25519" CERT, "ssh-ed25519" },
		{ "ssh-ed25519" CERT ",ssh-ed25519", "ssh-ed25519" },
		{ "rsa-sha2-512" CERT ",ssh-ed25519,rsa-sha2-256",
		    "rsa-sha2-512,ssh-ed25519,rsa-sha2-256" },
		{ "ecdsa-sha2-nistp384" CERT, "ecdsa-sha2-nistp384" },
		{ "ssh-rsa", NULL },
		{ "ssh-rsa" CERT, NULL },
		{ "ssh-dss", NULL },
		{ "sk-ssh-ed25519@openssh.com", NULL },
		{ "", NULL },
		{ ",", NULL },
		{ "ssh-ed25519,", NULL },
		{ ",ssh-ed25519", NULL },
		{ "ssh-ed25519,,rsa-sha2-512", NULL },
		{ "SSH-ED25519", NULL },
		{ "ssh-ed2551", NULL },
		{ "ssh-ed255199", NULL },
	};
	char *plain;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		plain = wire_host_plain(cases[i].list);
		if (cases[i].plain == NULL)
			assert_null(plain);
		else
			assert_string_equal(plain, cases[i].plain);
		free(plain);
	}
	plain = wire_host_plain(wire_host_default);
	assert_string_equal(plain, wire_host_default);
	free(plain);
}

static void
test_a_name_is_found_whole_or_not_at_all(void **state)
{
	static const char list[] = "abc,de,f";

	(void)state;
	assert_true(wire_list_has(list, 8, "abc", 3));
	assert_true(wire_list_has(list, 8, "de", 2));
	assert_true(wire_list_has(list, 8, "f", 1));
	assert_false(wire_list_has(list, 8, "ab", 2));
	assert_false(wire_list_has(list, 8, "bc", 2));
	assert_false(wire_list_has(list, 8, "abc,de", 6));
	assert_false(wire_list_has(list, 8, "", 0));
	assert_false(wire_list_has("", 0, "f", 1));
	assert_false(wire_list_has(list, 7, "f", 1));
}

static struct buf *
kexinit(const char *kex, const char *host)
{
	static const uint8_t cookie[16];
	struct buf *b = buf_new(4096);

	assert_non_null(b);
	assert_int_equal(buf_put_u8(b, 20), 0);
	assert_int_equal(buf_put(b, cookie, 16), 0);
	put(b, kex);
	put(b, host);
	for (int i = 0; i < 8; i++)
		put(b, "x");
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_int_equal(buf_put_u32(b, 0), 0);
	return b;
}

static void
test_the_agreed_algorithm_is_the_clients_first(void **state)
{
	char mine[] = "ssh-ed25519" CERT ",rsa-sha2-512,ssh-ed25519";
	struct wire w = { .role = WIRE_CLIENT, .host_algs = mine };
	struct buf *b =
	    kexinit("a,kex-strict-s-v00@openssh.com", "ssh-ed25519,rsa-sha2-512,ssh-rsa");

	(void)state;
	assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), buf_len(b)), 0);
	assert_string_equal(w.host_alg, "rsa-sha2-512");
	assert_true(w.strict);
	buf_free(b);
	b = kexinit("a,kex-strict-c-v00@openssh.com", "ssh-rsa,ssh-dss");
	assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), buf_len(b)), 0);
	assert_string_equal(w.host_alg, "");
	assert_false(w.strict);
	/* A server looks for the other marker, and only in the first key exchange. */
	w.role = WIRE_SERVER;
	assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), buf_len(b)), 0);
	assert_true(w.strict);
	buf_free(b);
	b = kexinit("a", "ssh-ed25519");
	w.state = WIRE_OPEN;
	assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), buf_len(b)), 0);
	assert_true(w.strict);
	buf_free(b);
}

static void
test_a_kexinit_cut_anywhere_is_malformed(void **state)
{
	char mine[] = "ssh-ed25519";
	struct wire w = { .role = WIRE_CLIENT, .host_algs = mine };
	struct buf *b = kexinit("a", "ssh-ed25519");
	size_t lists = buf_len(b) - 5;

	(void)state;
	for (size_t n = 0; n < lists; n++)
		assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), n), ERR_FORMAT);
	assert_int_equal(wire_host_kexinit(&w, buf_ptr(b), lists), 0);
	buf_free(b);
}

static void
test_a_reply_cut_anywhere_is_malformed(void **state)
{
	struct wire w = { .role = WIRE_CLIENT };
	struct buf *b = buf_new(256);

	(void)state;
	assert_non_null(b);
	assert_int_equal(buf_put_u8(b, 31), 0);
	put(b, "key");
	put(b, "share");
	put(b, "sig");
	for (size_t n = 0; n < buf_len(b); n++)
		assert_int_equal(wire_host_reply(&w, buf_ptr(b), n), ERR_FORMAT);
	assert_int_equal(wire_host_reply(&w, buf_ptr(b), buf_len(b)), 0);
	assert_memory_equal(w.proof_key.p, "key", 3);
	assert_memory_equal(w.proof_sig.p, "sig", 3);
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_int_equal(wire_host_reply(&w, buf_ptr(b), buf_len(b)), ERR_FORMAT);
	wire_blob_free(&w.proof_key);
	wire_blob_free(&w.proof_sig);
	buf_free(b);
}

static unsigned asked;

static int
yes(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	(void)arg;
	(void)hash;
	(void)hash_len;
	(void)key;
	(void)key_len;
	(void)sig;
	(void)sig_len;
	asked++;
	return 0;
}

static void
blob(struct wire_blob *ret, const char *name, const char *rest, bool more)
{
	struct buf *b = buf_new(256);

	assert_non_null(b);
	put(b, name);
	if (rest != NULL)
		put(b, rest);
	if (more)
		put(b, "more");
	assert_int_equal(wire_blob_set(ret, buf_ptr(b), buf_len(b)), 0);
	buf_free(b);
}

/* libssh verifies that the signature is by the key; that both are what was agreed on is found here. */
static void
test_key_and_signature_must_be_of_the_agreed_kind(void **state)
{
	static const struct wire_ops ops = { .host_proof = yes };
	static const struct {
		const char *alg, *key, *sig, *rest;
		bool more;
		int r;
	} cases[] = {
		{ "ssh-ed25519", "ssh-ed25519", "ssh-ed25519", "s", false, 0 },
		{ "rsa-sha2-512", "ssh-rsa", "rsa-sha2-512", "s", false, 0 },
		{ "rsa-sha2-256" CERT, "ssh-rsa" CERT, "rsa-sha2-256", "s", false, 0 },
		{ "rsa-sha2-512", "ssh-rsa", "rsa-sha2-256", "s", false, ERR_SIGNATURE },
		{ "rsa-sha2-512", "ssh-rsa", "ssh-rsa", "s", false, ERR_SIGNATURE },
		{ "ssh-ed25519", "ssh-rsa", "ssh-ed25519", "s", false, ERR_SIGNATURE },
		{ "ssh-ed25519" CERT, "ssh-ed25519", "ssh-ed25519", "s", false, ERR_SIGNATURE },
		{ "ssh-ed25519", "ssh-ed25519" CERT, "ssh-ed25519", "s", false, ERR_SIGNATURE },
		{ "ssh-ed25519", "ssh-ed25519", "ssh-ed25519", "s", true, ERR_SIGNATURE },
		{ "ssh-ed25519", "ssh-ed25519", "ssh-ed25519", NULL, false, ERR_SIGNATURE },
		{ "ssh-dss", "ssh-dss", "ssh-dss", "s", false, ERR_SIGNATURE },
		{ "", "ssh-ed25519", "ssh-ed25519", "s", false, ERR_SIGNATURE },
	};
	static const uint8_t hash[32];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct wire w = { .role = WIRE_CLIENT, .ops = &ops };

		asked = 0;
		memcpy(w.host_alg, cases[i].alg, strlen(cases[i].alg) + 1);
		assert_int_equal(
		    wire_host_verify(&w, hash, 32), ERR_SIGNATURE); /* no reply at all */
		w.over = false;
		blob(&w.proof_key, cases[i].key, "k", false);
		blob(&w.proof_sig, cases[i].sig, cases[i].rest, cases[i].more);
		assert_int_equal(wire_host_verify(&w, hash, 32), cases[i].r);
		assert_int_equal(asked, cases[i].r == 0 ? 1 : 0);
		assert_int_equal(w.over, cases[i].r != 0);
		wire_blob_free(&w.proof_key);
		wire_blob_free(&w.proof_sig);
		wire_blob_free(&w.first_key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_names_behind_a_list),
		cmocka_unit_test(test_a_name_is_found_whole_or_not_at_all),
		cmocka_unit_test(test_the_agreed_algorithm_is_the_clients_first),
		cmocka_unit_test(test_a_kexinit_cut_anywhere_is_malformed),
		cmocka_unit_test(test_a_reply_cut_anywhere_is_malformed),
		cmocka_unit_test(test_key_and_signature_must_be_of_the_agreed_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
