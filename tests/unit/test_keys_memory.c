/*
 * Where private keys lie in memory: nowhere but in pages that are locked and left out of core dumps. A process imports
 * keys and signs with them; then its memory is searched, page by page, for pieces of them.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
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
#include "keys/keys_vault.h"
#include "lib/file.h"
#include "lib/str.h"
#include "tests/lib/keys_help.h"

#define PIECE 16u /* bytes of a private number that are looked for */
#define N_KEYS 3u

static const struct {
	const char *type, *bits, *alg;
} kinds[N_KEYS] = { { "ed25519", "256", "ssh-ed25519" }, { "ecdsa", "384", "ecdsa-sha2-nistp384" },
	{ "rsa", "2048", "rsa-sha2-512" } };

static char dir[PATH_MAX];

static void
key_path(char *dst, size_t size, size_t i)
{
	assert_int_equal(str_format(dst, size, "%s/key%zu", dir, i), 0);
}

static void
make_key_files(void)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < N_KEYS; i++) {
		const char *argv[] = { "ssh-keygen", "-q", "-t", kinds[i].type, "-b", kinds[i].bits,
			"-N", "", "-f", path, NULL };

		key_path(path, sizeof(path), i);
		assert_int_equal(help_run(argv), 0);
	}
}

static int
import_key(size_t i, struct keys_key **ret_key)
{
	struct secret *text = NULL, *private = NULL;
	char path[PATH_MAX];
	enum sshkey_type type;
	const char *why;
	int fd, r;

	key_path(path, sizeof(path), i);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || keys_import_read(fd, &text) != 0)
		return -1;
	fd_close(&fd);
	r = keys_import_parse(text, NULL, &type, &private, &why);
	secret_free(text);
	if (r == 0 && (r = keys_key_new(kinds[i].type, type, 1, private, ret_key)) != 0)
		secret_free(private);
	return r;
}

/* What a vault does with keys, all of it. 0 when it went well. */
static int
work(struct keys_vault **ret_vault)
{
	struct secret *unlock = help_secret("0123456789abcdef0123456789abcdef");
	struct keys_vault *v = NULL;
	int r = keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &v);

	for (size_t i = 0; r == 0 && i < N_KEYS; i++) {
		struct buf *sig = buf_new(SSHKEY_SIG_MAX);
		struct keys_key *key = NULL;

		if ((r = import_key(i, &key)) == 0 && (r = keys_vault_add(v, key)) == 0)
			r = keys_key_sign(key, kinds[i].alg, "data", 4, sig);
		keys_key_unref(key);
		buf_free(sig);
	}
	keys_vault_free(v);
	v = NULL;
	if (r == 0 && (r = keys_vault_open(dir, &v)) == 0)
		r = keys_vault_unlock(v, unlock);
	for (size_t i = 0; r == 0 && i < N_KEYS; i++) {
		struct buf *sig = buf_new(SSHKEY_SIG_MAX);

		r = keys_key_sign(keys_vault_find(v, kinds[i].type), kinds[i].alg, "data", 4, sig);
		buf_free(sig);
	}
	secret_free(unlock);
	*ret_vault = v;
	return r;
}

/* The child: works, says so, and stays until it is killed. Nothing of the keys was in the parent when it was made. */
static pid_t
start_child(void)
{
	int fds[2];
	char said = 'x';
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct keys_vault *v = NULL;
		bool locked = false;
		char c = 'n';

		if (secret_init() == 0 && keys_crypto_init(&locked) == 0 && locked && work(&v) == 0)
			c = 'y';
		if (write(fds[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	fd_close(&fds[1]);
	assert_int_equal(read(fds[0], &said, 1), 1);
	assert_int_equal(said, 'y');
	fd_close(&fds[0]);
	return pid;
}

struct needle {
	uint8_t bytes[PIECE];
	unsigned locked, loose; /* times it was found */
};

#define N_NEEDLES 12u
struct hunt {
	struct needle needles[N_NEEDLES];
	size_t n;
};

static void
add_needle(struct hunt *h, const uint8_t *number, size_t len)
{
	struct needle *be = &h->needles[h->n++], *le = &h->needles[h->n++];

	assert_true(h->n <= N_NEEDLES && len >= PIECE + 1);
	*be = (struct needle){ 0 };
	*le = (struct needle){ 0 };
	/* From the middle of the number, where no other number of the key is like it. */
	for (size_t i = 0; i < PIECE; i++) {
		be->bytes[i] = number[len / 2 - PIECE / 2 + i];
		le->bytes[PIECE - 1 - i] = be->bytes[i];
	}
}

/* The private numbers from the files, read by hand. Field: how many strings stand before it in the private section. */
static void
add_from_file(struct hunt *h, size_t i, const size_t *fields, size_t n_fields)
{
	char path[PATH_MAX], base64[8192], *text = NULL;
	const uint8_t *p;
	uint8_t *blob = NULL;
	struct buf *b, *in;
	size_t len, n = 0;

	key_path(path, sizeof(path), i);
	assert_int_equal(file_read(path, 1 << 16, &text, &len), 0);
	for (const char *c = strchr(text, '\n') + 1; *c != '-'; c++)
		if (*c != '\n')
			base64[n++] = *c;
	assert_int_equal(str_unbase64(base64, n, &blob, &len), 0);
	b = buf_view(blob, len);
	assert_int_equal(buf_skip(b, 15), 0);
	for (int k = 0; k < 3; k++)
		assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(buf_skip(b, 4), 0);
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	for (size_t f = 0; f < n_fields; f++) {
		in = buf_view(p, len);
		assert_int_equal(buf_skip(in, 8), 0);
		for (size_t k = 0; k <= fields[f]; k++) {
			const uint8_t *number;
			size_t number_len;

			assert_int_equal(buf_get_str(in, &number, &number_len), 0);
			if (k == fields[f])
				add_needle(h, number, i == 0 ? 32 : number_len);
		}
		buf_free(in);
	}
	buf_free(b);
	free(blob);
	free(text);
}

static void
count_in(struct hunt *h, const uint8_t *page, size_t len, bool locked)
{
	for (size_t i = 0; i < h->n; i++) {
		const uint8_t *at = page;

		while ((at = memmem(at, len - (size_t)(at - page), h->needles[i].bytes, PIECE)) !=
		       NULL) {
			at++;
			if (locked)
				h->needles[i].locked++;
			else
				h->needles[i].loose++;
		}
	}
}

static void
search_mapping(struct hunt *h, int mem, uint64_t from, uint64_t to, bool locked)
{
	size_t len = (size_t)(to - from), at = 0;
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	while (at < len) {
		ssize_t n = pread(mem, copy + at, len - at, (off_t)(from + at));

		if (n <= 0)
			break; /* guard pages and the like have nothing to read */
		at += (size_t)n;
	}
	count_in(h, copy, at, locked);
	free(copy);
}

/* "VmFlags: rd wr ... lo ... dd": locked into memory, and not in dumps. */
static bool
is_safe(const char *flags)
{
	return strstr(flags, " lo") != NULL && strstr(flags, " dd") != NULL;
}

static void
search(struct hunt *h, pid_t pid)
{
	char path[64], line[PATH_MAX + 256];
	uint64_t from = 0, to = 0;
	FILE *maps;
	int mem;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(mem >= 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		unsigned long long a, b;
		char rights[8];

		if (sscanf(line, "%llx-%llx %7s", &a, &b, rights) == 3) {
			from = a;
			to = b;
		} else if (strncmp(line, "VmFlags:", 8) == 0 && to - from < (1u << 28)) {
			search_mapping(h, mem, from, to, is_safe(line));
		}
	}
	assert_int_equal(fclose(maps), 0);
	fd_close(&mem);
}

static void
add_all(struct hunt *h)
{
	/* string type, then: ed25519: public, seed and public; ecdsa: curve, point, scalar; rsa: n e d iqmp p q */
	add_from_file(h, 0, (const size_t[]){ 2 }, 1);
	add_from_file(h, 1, (const size_t[]){ 3 }, 1);
	add_from_file(h, 2, (const size_t[]){ 3, 5, 6 }, 3);
}

static void
test_private_numbers_lie_in_locked_pages_only(void **state)
{
	struct hunt h = { .n = 0 };
	int status;
	pid_t pid;

	(void)state;
	make_key_files();
	pid = start_child();
	add_all(&h);
	search(&h, pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; i < h.n; i++) {
		assert_int_equal(h.needles[i].loose, 0);
		/* Numbers are kept big-endian, every other needle; the search did find what was to be found. */
		if (i % 2 == 0)
			assert_true(h.needles[i].locked > 0);
	}
}

/* The search itself: a number in ordinary memory is found there. */
static void
test_the_search_finds_what_is_loose(void **state)
{
	struct hunt h = { .n = 0 };
	char *text = NULL, path[PATH_MAX];
	uint8_t number[64];
	int status, fds[2];
	size_t len;
	pid_t pid;
	char c = 0;

	(void)state;
	key_path(path, sizeof(path), 9);
	for (size_t i = 0; i < sizeof(number); i++)
		number[i] = (uint8_t)(i * 37 + 11);
	assert_int_equal(file_replace(path, 0600, number, sizeof(number)), 0);
	memset(number, 0, sizeof(number));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (file_read(path, 64, &text, &len) != 0 || write(fds[1], "y", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	assert_int_equal(file_read(path, 64, &text, &len), 0);
	add_needle(&h, (const uint8_t *)text, len);
	free(text);
	search(&h, pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(h.needles[0].loose > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_search_finds_what_is_loose),
		cmocka_unit_test(test_private_numbers_lie_in_locked_pages_only),
	};
	const char *argv[] = { "ssh-keygen", "-?", NULL };
	int failed;

#ifdef WITH_SANITIZER
	puts("1..0 # SKIP a sanitizer turns mlock() off and copies memory about");
	return 0;
#endif
	if (help_run(argv) < 0) {
		puts("1..0 # SKIP ssh-keygen is not installed");
		return 0;
	}
	help_folder(dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	help_remove(dir);
	return failed;
}
