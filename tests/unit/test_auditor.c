/* Auditors' lines and secret key files: there and back, and what is refused. */
#include "config.h"

#include <sys/stat.h>

#include <sodium.h>
#include <unistd.h>

#include "bastionctl/auditor_file.h"
#include "bastionctl/auditor_key.h"
#include "lib/auditor.h"
#include "lib/file.h"
#include "tests/lib/test.h"

#define KEY "Hov2/0gwR9qTBsW6k8641Lyo/VAU16Q1XwIt8lp75ww="

static void
test_a_line_comes_back(void **state)
{
	char line[AUDITOR_LINE_SIZE];
	struct auditor a;

	(void)state;
	assert_int_equal(auditor_parse("auditor-x25519 " KEY " anna@example.org\n", &a), 0);
	assert_string_equal(a.name, "anna@example.org");
	assert_string_equal(auditor_text(line, &a), "auditor-x25519 " KEY " anna@example.org");
}

static void
test_wrong_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"auditor-x25519",
		"auditor-x25519 " KEY,
		"auditor-x25519 " KEY " ",
		"auditor-x25519 " KEY " two words",
		"auditor-x25519 " KEY " anna\n\n",
		"auditor-x25519 " KEY "x anna",
		"auditor-x25519  " KEY " anna",
		"ssh-ed25519 " KEY " anna",
		"auditor-x25519 Hov2/0gwR9qTBsW6k8641Lyo anna",
		"auditor-x25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= anna",
		"auditor-x25519 " KEY
		" 0123456789012345678901234567890123456789012345678901234567890"
		"1234",
	};
	struct auditor a;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(auditor_parse(lines[i], &a), ERR_FORMAT);
}

static void
test_nobody_is_there_twice(void **state)
{
	struct auditors all = { .n = 0 };
	struct auditor a, b;

	(void)state;
	assert_int_equal(auditor_parse("auditor-x25519 " KEY " anna", &a), 0);
	assert_int_equal(auditors_add(&all, &a), 0);
	b = a;
	b.name[0] = 'b';
	assert_int_equal(auditors_add(&all, &b), ERR_EXISTS);
	b = a;
	b.key[5] ^= 1;
	assert_int_equal(auditors_add(&all, &b), ERR_EXISTS);
	for (uint8_t i = 1; i < AUDITORS_MAX; i++) {
		b.key[0] = i;
		b.name[1] = (char)('A' + i);
		assert_int_equal(auditors_add(&all, &b), 0);
	}
	b.key[0] = 200;
	b.name[1] = '9';
	assert_int_equal(auditors_add(&all, &b), ERR_LIMIT);
	assert_int_equal(
	    auditors_parse("auditor-x25519 " KEY " a\nauditor-x25519 " KEY " b\n", &all),
	    ERR_EXISTS);
	assert_int_equal(auditors_parse("auditor-x25519 " KEY " a\nnonsense\n", &all), ERR_FORMAT);
	assert_int_equal(auditors_parse("auditor-x25519 " KEY " a\n", &all), 0);
	assert_int_equal(all.n, 1);
}

static struct secret *
phrase_of(const char *text)
{
	struct secret *s = secret_new(strlen(text) + 1);

	assert_non_null(s);
	memcpy(secret_ptr(s), text, strlen(text));
	return s;
}

static void
test_a_key_file_opens_with_its_passphrase_only(void **state)
{
	struct secret *key, *text, *back = NULL, *right = phrase_of("a long passphrase"),
				   *wrong = phrase_of("another passphrase");
	struct auditor a, again;
	bool protected;
	char *line;

	(void)state;
	assert_int_equal(auditor_key_new("anna", &key, &a), 0);
	assert_int_equal(auditor_key_text(key, "anna", right, &text), 0);
	line = (char *)secret_ptr(text);
	assert_int_equal(auditor_key_is_protected(line, &protected), 0);
	assert_true(protected);
	assert_int_equal(auditor_key_parse(line, NULL, &back, &again), ERR_DENIED);
	assert_int_equal(auditor_key_parse(line, wrong, &back, &again), ERR_DENIED);
	assert_int_equal(auditor_key_parse(line, right, &back, &again), 0);
	assert_memory_equal(secret_cptr(back), secret_cptr(key), AUDITOR_KEY_LEN);
	assert_memory_equal(again.key, a.key, AUDITOR_KEY_LEN);
	assert_string_equal(again.name, "anna");
	secret_free(back);
	/* Its name belongs to it. */
	line[strlen(line) - 2] = 'e';
	assert_int_equal(auditor_key_parse(line, right, &back, &again), ERR_DENIED);
	secret_free(text);
	secret_free(key);
	secret_free(right);
	secret_free(wrong);
}

static void
test_an_open_key_file_and_wrong_ones(void **state)
{
	struct secret *key, *text, *back = NULL;
	struct auditor a;
	bool protected;
	char line[AUDITOR_FILE_MAX];
	size_t len;

	(void)state;
	assert_int_equal(auditor_key_new("ben", &key, &a), 0);
	assert_int_equal(auditor_key_text(key, "ben", NULL, &text), 0);
	memcpy(line, secret_cptr(text), sizeof(line));
	len = strlen(line);
	assert_int_equal(auditor_key_is_protected(line, &protected), 0);
	assert_false(protected);
	assert_int_equal(auditor_key_parse(line, NULL, &back, &a), 0);
	assert_memory_equal(secret_cptr(back), secret_cptr(key), AUDITOR_KEY_LEN);
	secret_free(back);
	for (size_t cut = 0; cut < len - 4; cut++) {
		char c = line[cut];

		line[cut] = '\0';
		assert_int_not_equal(auditor_key_parse(line, NULL, &back, &a), 0);
		line[cut] = c;
	}
	line[strlen("bastion-auditor-secret-v")] = '2';
	assert_int_equal(auditor_key_parse(line, NULL, &back, &a), ERR_VERSION);
	secret_free(text);
	secret_free(key);
}

/* What a command says of a key file: one without a passphrase is its owner's alone, whatever it is it is a file with a key. */
static void
test_a_key_file_is_read_when_it_is_one(void **state)
{
	static const char other[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
	char dir[] = "/tmp/bastion-auditor.XXXXXX", path[64];
	struct secret *key, *text, *back = NULL;
	struct auditor a;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/ben.auditor", dir);
	assert_int_equal(auditor_key_read(path, &back, &a), CMD_UNSURE);
	assert_int_equal(auditor_key_read(dir, &back, &a), CMD_UNSURE);
	assert_int_equal(auditor_key_new("ben", &key, &a), 0);
	assert_int_equal(auditor_key_text(key, "ben", NULL, &text), 0);
	assert_int_equal(
	    file_create(path, 0600, secret_cptr(text), strlen((const char *)secret_cptr(text))), 0);
	for (mode_t bit = 1; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(path, 0600 | bit), 0);
		assert_int_equal(auditor_key_read(path, &back, &a), CMD_UNSURE);
		assert_null(back);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(auditor_key_read(path, &back, &a), CMD_YES);
	assert_memory_equal(secret_cptr(back), secret_cptr(key), AUDITOR_KEY_LEN);
	assert_string_equal(a.name, "ben");
	secret_free(back);
	back = NULL;
	for (int i = 0; i < 2; i++) {
		char large[AUDITOR_FILE_MAX + 1];

		memset(large, 'x', sizeof(large));
		assert_int_equal(file_replace(path, 0600, i == 0 ? other : large,
				     i == 0 ? strlen(other) : sizeof(large)),
		    0);
		assert_int_equal(auditor_key_read(path, &back, &a), CMD_UNSURE);
		assert_null(back);
	}
	assert_int_equal(unlink(path) | rmdir(dir), 0);
	secret_free(text);
	secret_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_comes_back),
		cmocka_unit_test(test_wrong_lines_are_refused),
		cmocka_unit_test(test_nobody_is_there_twice),
		cmocka_unit_test(test_a_key_file_opens_with_its_passphrase_only),
		cmocka_unit_test(test_an_open_key_file_and_wrong_ones),
		cmocka_unit_test(test_a_key_file_is_read_when_it_is_one),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("auditor", tests, NULL, NULL);
}
