/* Signed notes: the example of c2sp.org/signed-note, byte for byte, and everything that is not one. */
#include "config.h"

#include <sodium.h>

#include "lib/str.h"
#include "recorder/note.h"
#include "tests/lib/test.h"

#define VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define TEXT                                                                                       \
	"If you think cryptography is the answer to your problem,\n"                               \
	"then you don't know what your problem is.\n"
#define SIG                                                                                        \
	"\xe2\x80\x94 PeterNeumann "                                                               \
	"x08go/ZJkuBS9UG/"                                                                         \
	"SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM"              \
	"=\n"
#define NOTE TEXT "\n" SIG

static struct note_key
neumann(void)
{
	struct note_key key;

	assert_int_equal(note_key_parse(VKEY, strlen(VKEY), &key), 0);
	return key;
}

static void
test_a_verifier_key_is_parsed_and_written(void **state)
{
	struct note_key key = neumann();
	char text[NOTE_VKEY_SIZE];

	(void)state;
	assert_string_equal(key.name, "PeterNeumann");
	assert_string_equal(note_key_text(text, &key), VKEY);
	assert_int_equal(note_key_parse(VKEY "\n", strlen(VKEY) + 1, &key), 0);
}

static void
test_broken_verifier_keys_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"PeterNeumann",
		"PeterNeumann+c74f20a3",
		"PeterNeumann+c74f20a3+",
		"PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
		"Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
		"PeterNeumann+c74F20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		VKEY "\n\n",
		VKEY " ",
	};
	struct note_key key;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		if (note_key_parse(bad[i], strlen(bad[i]), &key) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void
test_the_published_note_verifies(void **state)
{
	struct note_key key = neumann();
	size_t text_len;

	(void)state;
	assert_int_equal(note_verify(NOTE, strlen(NOTE), &key, &text_len), 0);
	assert_int_equal(text_len, strlen(TEXT));
}

/* The signing key of the same example makes the same signature: Ed25519 is deterministic. */
static void
test_signing_gives_the_published_note(void **state)
{
	static const char b64[] = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
	uint8_t secret[64], pub[32], *blob;
	struct note_key key;
	char *note;
	size_t len;

	(void)state;
	assert_int_equal(str_unbase64(b64, strlen(b64), &blob, &len), 0);
	assert_int_equal(len, 33);
	assert_int_equal(crypto_sign_seed_keypair(pub, secret, blob + 1), 0);
	assert_int_equal(note_key_init("PeterNeumann", pub, &key), 0);
	assert_int_equal(note_sign(TEXT, &key, secret, &note), 0);
	assert_string_equal(note, NOTE);
	free(note);
	free(blob);
}

static void
test_no_byte_of_text_or_signature_may_change(void **state)
{
	struct note_key key = neumann();
	char note[sizeof(NOTE)];
	size_t text_len;

	(void)state;
	for (size_t i = 0; i < strlen(NOTE); i++) {
		memcpy(note, NOTE, sizeof(note));
		note[i] ^= 0x02;
		if (note_verify(note, strlen(NOTE), &key, &text_len) == 0)
			fail_msg("byte %zu may be changed", i);
	}
}

static void
test_truncation_at_every_byte(void **state)
{
	struct note_key key = neumann();
	size_t text_len;

	(void)state;
	for (size_t len = 0; len < strlen(NOTE); len++)
		assert_int_not_equal(note_verify(NOTE, len, &key, &text_len), 0);
}

static void
test_another_signer_is_told_from_a_bad_signature(void **state)
{
	static const char other[] =
	    TEXT "\n\xe2\x80\x94 PeterNeumann "
		 "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
		 "KE6RyyBwJnAI=\n";
	struct note_key key = neumann(), stranger;
	uint8_t pub[32] = { 1 };
	size_t text_len;

	(void)state;
	assert_int_equal(note_verify(other, strlen(other), &key, &text_len), ERR_SIGNATURE);
	assert_int_equal(note_key_init("PeterNeumann", pub, &stranger), 0);
	assert_int_equal(note_verify(NOTE, strlen(NOTE), &stranger, &text_len), ERR_NOT_FOUND);
}

/* Witnesses add lines, also of algorithms that we do not know. */
static void
test_further_signatures_do_not_disturb(void **state)
{
	static const char note[] = TEXT "\n\xe2\x80\x94 witness.example AAAAAAECAwQFBgc=\n" SIG;
	struct note_key key = neumann();
	size_t text_len;

	(void)state;
	assert_int_equal(note_verify(note, strlen(note), &key, &text_len), 0);
}

/*
 * The example of c2sp.org/tlog-cosignature: a checkpoint (that of c2sp.org/tlog-checkpoint) and a witness's line. Its keys
 * are not published, so it is taken apart, and nobody whom we know has signed it.
 */
static void
test_the_published_cosigned_checkpoint_is_read(void **state)
{
	static const char note[] = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/"
				   "Xajj7h2fB2MPA3j2jxq2I=\n\n"
				   "\xe2\x80\x94 example.com/behind-the-sofa "
				   "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
				   "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOA"
				   "YQ8=\n"
				   "\xe2\x80\x94 witness.example.com/w1 "
				   "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/"
				   "zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
				   "mbIUBkBIfZ+qnA==\n";
	static const uint8_t id[4] = { 0x03, 0x3d, 0xe0, 0xae };
	uint8_t pub[NOTE_KEY_LEN] = { 7 };
	struct note_checkpoint c;
	struct note_key key;
	size_t skip, len;

	(void)state;
	assert_int_equal(note_first(note, strlen(note), &skip, &len), 0);
	assert_int_equal(skip, 0);
	assert_int_equal(len, strlen(note));
	assert_int_equal(note_text_len(note, strlen(note), &len), 0);
	assert_int_equal(note_checkpoint_parse(note, len, &c), 0);
	assert_string_equal(c.origin, "example.com/behind-the-sofa");
	assert_int_equal(c.size, 20852163);
	assert_int_equal(note_key_init("example.com/behind-the-sofa", pub, &key), 0);
	assert_int_equal(note_verify(note, strlen(note), &key, &len), ERR_NOT_FOUND);
	/* A key with the id of that line is asked about its signature. */
	memcpy(key.id, id, sizeof(id));
	assert_int_equal(note_verify(note, strlen(note), &key, &len), ERR_SIGNATURE);
}

/* Lines in our name that are not of our key, or not of our algorithm, neither help nor hinder. */
static void
test_cosignatures_decide_nothing(void **state)
{
	static const char cosigned[] = /* our name and id, a time in front of the signature */
	    "\xe2\x80\x94 PeterNeumann "
	    "x08go2+ZJkuBS9UG/"
	    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBw"
	    "JnAMAAAAAAAAAA==\n";
	static const char other_id[] =
	    "\xe2\x80\x94 PeterNeumann "
	    "AAAAAJkuBS9UG/"
	    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnA"
	    "AAA=\n";
	struct note_key key = neumann();
	char note[2048];
	size_t text_len;

	(void)state;
	for (int own = 0; own < 2; own++) {
		(void)snprintf(
		    note, sizeof(note), TEXT "\n%s%s%s", cosigned, own ? SIG : "", other_id);
		assert_int_equal(
		    note_verify(note, strlen(note), &key, &text_len), own ? 0 : ERR_NOT_FOUND);
	}
}

static void
test_what_is_no_note_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"\n\n",
		"text\n",
		"text\n\n",
		"\n" SIG,
		TEXT SIG,
		TEXT "\n" SIG "trailing",
		TEXT "\n" SIG "- not a signature\n",
		TEXT "\n\xe2\x80\x94 PeterNeumann\n",
		TEXT "\n\xe2\x80\x94  x08g\n",
		TEXT "\n\xe2\x80\x94 PeterNeumann !!!!\n",
		"te\x01xt\n\n" SIG,
	};
	struct note_key key = neumann();
	size_t text_len;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		if (note_verify(bad[i], strlen(bad[i]), &key, &text_len) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void
test_text_that_cannot_be_signed_is_refused(void **state)
{
	static const char *const bad[] = { "", "no newline", "a\tb\n" };
	struct note_key key = neumann();
	uint8_t secret[64] = { 0 };
	char *note;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(note_sign(bad[i], &key, secret, &note), ERR_FORMAT);
}

static void
test_a_checkpoint_is_three_lines(void **state)
{
	static const char text[] =
	    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
	struct note_checkpoint c;
	char back[256];

	(void)state;
	assert_int_equal(note_checkpoint_parse(text, strlen(text), &c), 0);
	assert_string_equal(c.origin, "example.com/behind-the-sofa");
	assert_int_equal(c.size, 20852163);
	assert_int_equal(c.root[0], 0x0a);
	assert_int_equal(note_checkpoint_text(back, sizeof(back), &c), 0);
	assert_string_equal(back, text);
	assert_int_equal(note_checkpoint_text(back, 40, &c), ERR_LIMIT);
	for (size_t len = 0; len < strlen(text); len++)
		assert_int_not_equal(note_checkpoint_parse(text, len, &c), 0);
}

static void
test_broken_checkpoints_are_refused(void **state)
{
	static const char *const bad[] = {
		"\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"o\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"o\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"o\n\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"o\n9223372036854775808\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
		"o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n",
		"o\n1\n\n",
	};
	struct note_checkpoint c;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		if (note_checkpoint_parse(bad[i], strlen(bad[i]), &c) == 0)
			fail_msg("taken: %s", bad[i]);
	/* Found by fuzz_note: a NUL made the origin and the size others. */
	static const char nul2[] = "o\n1\0002\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
	static const char nul[] = "o\0x\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

	assert_int_equal(note_checkpoint_parse(nul, sizeof(nul) - 1, &c), ERR_FORMAT);
	assert_int_equal(note_checkpoint_parse(nul2, sizeof(nul2) - 1, &c), ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_verifier_key_is_parsed_and_written),
		cmocka_unit_test(test_broken_verifier_keys_are_refused),
		cmocka_unit_test(test_the_published_note_verifies),
		cmocka_unit_test(test_signing_gives_the_published_note),
		cmocka_unit_test(test_no_byte_of_text_or_signature_may_change),
		cmocka_unit_test(test_truncation_at_every_byte),
		cmocka_unit_test(test_another_signer_is_told_from_a_bad_signature),
		cmocka_unit_test(test_further_signatures_do_not_disturb),
		cmocka_unit_test(test_the_published_cosigned_checkpoint_is_read),
		cmocka_unit_test(test_cosignatures_decide_nothing),
		cmocka_unit_test(test_what_is_no_note_is_refused),
		cmocka_unit_test(test_text_that_cannot_be_signed_is_refused),
		cmocka_unit_test(test_a_checkpoint_is_three_lines),
		cmocka_unit_test(test_broken_checkpoints_are_refused),
	};

	return cmocka_run_group_tests_name("note", tests, NULL, NULL);
}
