/* Key files as ssh-keygen writes them, whole and damaged. The keys are made here and thrown away. */
#include "config.h"

#include <fcntl.h>
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
#include "keys/keys_import.h"
#include "keys/keys_key.h"
#include "lib/file.h"
#include "lib/str.h"
#include "tests/lib/keys_help.h"

static char dir[PATH_MAX], path[PATH_MAX + 8], pub_path[PATH_MAX + 16];

static void
keygen(const char *type, const char *bits, const char *format, const char *passphrase)
{
	const char *argv[] = { "ssh-keygen", "-q", "-t", type, "-b", bits, "-m", format, "-N",
		passphrase, "-C", "a comment", "-f", path, NULL };

	(void)unlink(path);
	(void)unlink(pub_path);
	assert_int_equal(help_run(argv), 0);
}

static struct secret *
read_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct secret *text = NULL;

	assert_true(fd >= 0);
	assert_int_equal(keys_import_read(fd, &text), 0);
	fd_close(&fd);
	return text;
}

/* The imported key's line is the .pub file's, but for the comment. */
static void
assert_same_public(const struct keys_key *key)
{
	char *line = keys_key_line(key), *pub = NULL;
	size_t len, n;

	assert_int_equal(file_read(pub_path, 1 << 16, &pub, &len), 0);
	assert_non_null(line);
	n = (size_t)(strrchr(line, ' ') - line);
	assert_memory_equal(line, pub, n + 1);
	free(line);
	free(pub);
}

static int
import(const char *passphrase, const char **ret_why)
{
	struct secret *text = read_file(),
		      *phrase = passphrase == NULL ? NULL : help_secret(passphrase);
	struct secret *private = NULL;
	struct keys_key *key = NULL;
	enum sshkey_type type;
	int r = keys_import_parse(text, phrase, &type, &private, ret_why);

	if (r == 0) {
		assert_int_equal(keys_key_new("k", type, 1, private, &key), 0);
		assert_same_public(key);
		keys_key_unref(key);
	} else {
		assert_null(private);
	}
	secret_free(text);
	secret_free(phrase);
	return r;
}

static const struct {
	const char *type, *bits;
} kinds[] = { { "ed25519", "256" }, { "ecdsa", "256" }, { "ecdsa", "384" }, { "ecdsa", "521" },
	{ "rsa", "2048" }, { "rsa", "3072" } };
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
test_openssh_files_of_every_kind(void **state)
{
	const char *why;

	(void)state;
	for (size_t i = 0; i < N_KINDS; i++) {
		keygen(kinds[i].type, kinds[i].bits, "RFC4716", "");
		assert_int_equal(import(NULL, &why), 0);
		assert_int_equal(import("a passphrase that is not needed", &why), 0);
	}
}

/* ssh-keygen 9.2 writes no PEM of Ed25519 keys. */
static void
test_pem_files_with_and_without_passphrase(void **state)
{
	static const char *const formats[] = { "PEM", "PKCS8" };
	const char *why;

	(void)state;
	for (size_t i = 1; i < N_KINDS - 1; i++)
		for (size_t j = 0; j < 2; j++) {
			keygen(kinds[i].type, kinds[i].bits, formats[j], "");
			assert_int_equal(import(NULL, &why), 0);
			keygen(kinds[i].type, kinds[i].bits, formats[j], "open sesame");
			assert_int_equal(import(NULL, &why), ERR_DENIED);
			assert_int_equal(import("open barley", &why), ERR_DENIED);
			assert_int_equal(import("open sesame", &why), 0);
		}
}

static void
test_openssh_encryption_is_refused_with_advice(void **state)
{
	const char *why = NULL;

	(void)state;
	keygen("ed25519", "256", "RFC4716", "open sesame");
	assert_int_equal(import("open sesame", &why), ERR_DENIED);
	assert_non_null(strstr(why, "ssh-keygen -p"));
}

static void
test_kinds_that_cannot_sign_here_are_refused(void **state)
{
	static const char dsa[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
	const char *argv[] = { "ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-m", "PKCS8", "-N",
		"", "-f", path, NULL };
	const char *why = NULL;

	(void)state;
	(void)unlink(path);
	(void)unlink(pub_path);
	assert_int_equal(help_run(argv), 0);
	assert_int_equal(import(NULL, &why), ERR_LIMIT);
	assert_int_equal(file_replace(path, 0600, dsa, sizeof(dsa) - 1), 0);
	assert_int_equal(import(NULL, &why), ERR_FORMAT);
	assert_int_equal(file_replace(path, 0600, "ssh-ed25519 AAAA", 16), 0);
	assert_int_equal(import(NULL, &why), ERR_FORMAT);
	assert_non_null(strstr(why, "not a private key file"));
}

/* The binary inside the armour, so that it can be damaged byte by byte. */
static uint8_t *
unarmoured(size_t *ret_len)
{
	struct secret *text = read_file();
	char base64[8192];
	const char *p =
	    (const char *)secret_cptr(text) + strlen("-----BEGIN OPENSSH PRIVATE KEY-----\n");
	uint8_t *blob = NULL;
	size_t n = 0;

	for (; *p != '-'; p++)
		if (*p != '\n')
			base64[n++] = *p;
	assert_int_equal(str_unbase64(base64, n, &blob, ret_len), 0);
	secret_free(text);
	return blob;
}

static int
parse_blob(const uint8_t *blob, size_t len)
{
	struct secret *text, *private = NULL;
	char *base64 = str_base64(blob, len);
	enum sshkey_type type;
	const char *why = NULL;
	char file[16384];
	int r;

	assert_int_equal(
	    str_format(file, sizeof(file),
		"-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n",
		base64),
	    0);
	text = help_secret(file);
	r = keys_import_parse(text, NULL, &type, &private, &why);
	assert_true((private != NULL) == (r == 0));
	assert_true((why == NULL) == (r == 0));
	secret_free(private);
	secret_free(text);
	free(base64);
	return r;
}

static void
test_a_cut_file_is_refused_at_every_byte(void **state)
{
	size_t len;
	uint8_t *blob;

	(void)state;
	keygen("ed25519", "256", "RFC4716", "");
	blob = unarmoured(&len);
	assert_int_equal(parse_blob(blob, len), 0);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(parse_blob(blob, n), ERR_FORMAT);
	free(blob);
}

/* Only the comment may change: everything else is checked against something else. */
static void
test_a_changed_byte_is_refused(void **state)
{
	size_t len, comment;
	uint8_t *blob, *at;

	(void)state;
	keygen("ecdsa", "256", "RFC4716", "");
	blob = unarmoured(&len);
	at = memmem(blob, len, "a comment", 9);
	assert_non_null(at);
	comment = (size_t)(at - blob);
	for (size_t i = 0; i < len; i++) {
		blob[i] ^= 0x01;
		if (i < comment || i >= comment + 9)
			assert_int_not_equal(parse_blob(blob, len), 0);
		else
			assert_int_equal(parse_blob(blob, len), 0);
		blob[i] ^= 0x01;
	}
	assert_int_equal(parse_blob(blob, len), 0);
	free(blob);
}

/* The numbers of an RSA key depend on each other; a changed one among them would give the key away with one signature. */
static void
test_rsa_numbers_are_held_against_each_other(void **state)
{
	size_t len;
	uint8_t *blob;

	(void)state;
	keygen("rsa", "2048", "RFC4716", "");
	blob = unarmoured(&len);
	assert_int_equal(parse_blob(blob, len), 0);
	for (size_t i = 300; i < len - 64; i += 41) {
		blob[i] ^= 0x10;
		assert_int_not_equal(parse_blob(blob, len), 0);
		blob[i] ^= 0x10;
	}
	assert_int_equal(parse_blob(blob, len), 0);
	free(blob);
}

static void
test_only_regular_files_of_some_size_are_read(void **state)
{
	static char big[KEYS_IMPORT_MAX + 1];
	struct secret *text = NULL;
	int pipe_fds[2], fd;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(keys_import_read(pipe_fds[0], &text), ERR_FORMAT);
	fd_close(&pipe_fds[0]);
	fd_close(&pipe_fds[1]);
	assert_int_equal(file_replace(path, 0600, "", 0), 0);
	assert_true((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(keys_import_read(fd, &text), ERR_FORMAT);
	fd_close(&fd);
	assert_int_equal(file_replace(path, 0600, big, sizeof(big)), 0);
	assert_true((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(keys_import_read(fd, &text), ERR_LIMIT);
	fd_close(&fd);
	assert_null(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssh_files_of_every_kind),
		cmocka_unit_test(test_pem_files_with_and_without_passphrase),
		cmocka_unit_test(test_openssh_encryption_is_refused_with_advice),
		cmocka_unit_test(test_kinds_that_cannot_sign_here_are_refused),
		cmocka_unit_test(test_a_cut_file_is_refused_at_every_byte),
		cmocka_unit_test(test_a_changed_byte_is_refused),
		cmocka_unit_test(test_rsa_numbers_are_held_against_each_other),
		cmocka_unit_test(test_only_regular_files_of_some_size_are_read),
	};
	const char *argv[] = { "ssh-keygen", "-?", NULL };
	bool locked;
	int failed;

	if (help_run(argv) < 0) {
		puts("1..0 # SKIP ssh-keygen is not installed");
		return 0;
	}
	if (secret_init() != 0 || keys_crypto_init(&locked) != 0)
		return 1;
	help_folder(dir);
	(void)snprintf(path, sizeof(path), "%s/key", dir);
	(void)snprintf(pub_path, sizeof(pub_path), "%s.pub", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	help_remove(dir);
	return failed;
}
