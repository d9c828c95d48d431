/*
 * Looks for a session's key in the memory of a process, for 54-memory.sh: memory_tool STORE AUDITOR_KEY SID PID prints for
 * the key, what it is made of and what is made of it: name, how often it is there, and how often in pages that are neither
 * swapped nor dumped.
 */
#include "config.h"

#include <sys/types.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/auditor_file.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "recorder/seskey.h"

#define LOOKED_FOR 6u
#define CHUNK (1u << 20) /* bytes read at once */

static struct {
	const char *name;
	uint8_t bytes[CRYPT_KEY_LEN];
	unsigned n, n_guarded;
} looked_for[LOOKED_FOR] = { { .name = "key" }, { .name = "secret" }, { .name = "blocks" },
	{ .name = "journal" }, { .name = "private" }, { .name = "derived" } };

/* The words of a file as AUDITOR_FILE says; no passphrase. */
static int
load_auditor(const char *path, struct secret **ret_key)
{
	struct auditor a;
	char *text;
	size_t len;
	int r;

	if ((r = file_read(path, AUDITOR_FILE_MAX, &text, &len)) != 0)
		return r;
	r = auditor_key_parse(text, NULL, ret_key, &a);
	free(text);
	return r;
}

/* The secret that the key is made of, as it was before it was sealed. */
static int
open_secret(const struct seskey *k, const uint8_t *own)
{
	uint8_t public[AUDITOR_KEY_LEN];

	if (crypto_scalarmult_base(public, own) != 0)
		return ERR_CRYPTO;
	for (size_t i = 0; i < k->to.n; i++)
		if (memcmp(k->to.a[i].key, public, sizeof(public)) == 0)
			return crypto_box_seal_open(looked_for[1].bytes, k->sealed[i],
				   SESKEY_SECRET_SEALED, public, own) == 0
				   ? 0
				   : ERR_CHAIN;
	return ERR_SEALED;
}

static int
load_keys(const char *dir, const char *file, const char *hex)
{
	struct store_snap *snap = NULL;
	struct secret *auditor = NULL;
	struct store *store = NULL;
	uint8_t sid[REC_SID_LEN];
	struct seskey k;
	int r;

	if ((r = str_unhex(hex, sid, sizeof(sid))) != 0 ||
	    (r = load_auditor(file, &auditor)) != 0 || (r = store_open_read(dir, &store)) != 0 ||
	    (r = store_snap_new(store, &snap)) != 0 || (r = seskey_find(snap, sid, &k)) != 0)
		goto out;
	if ((r = seskey_fetch(snap, &k)) == 0 &&
	    (r = seskey_open(&k, sid, secret_cptr(auditor), looked_for[0].bytes)) == 0)
		r = open_secret(&k, secret_cptr(auditor));
	seskey_done(&k);
	for (unsigned i = 2; r == 0 && i < LOOKED_FOR; i++)
		if (crypto_kdf_derive_from_key(looked_for[i].bytes, CRYPT_KEY_LEN, i - 1,
			"bastsess", looked_for[0].bytes) != 0)
			r = ERR_CRYPTO;
out:
	store_snap_free(snap);
	store_close(store);
	secret_free(auditor);
	return r;
}

static void
look_in(const uint8_t *p, size_t len, bool guarded)
{
	for (size_t i = 0; i < LOOKED_FOR; i++) {
		const uint8_t *at = p;

		while ((at = memmem(at, len - (size_t)(at - p), looked_for[i].bytes,
			    CRYPT_KEY_LEN)) != NULL) {
			looked_for[i].n++;
			looked_for[i].n_guarded += guarded;
			at++;
		}
	}
}

/* One mapping, in pieces that overlap by one byte less than a key. */
static void
look_at(int fd, uint64_t from, uint64_t to, bool guarded, uint8_t *space)
{
	while (from < to) {
		size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
		ssize_t n = pread(fd, space, want, (off_t)from);

		if (n <= 0)
			return; /* a guard page, or a device's */
		look_in(space, (size_t)n, guarded);
		if ((size_t)n < CHUNK)
			return;
		from += (uint64_t)n - (CRYPT_KEY_LEN - 1);
	}
}

/* A flag of two letters in the line of VmFlags. */
static bool
has_flag(const char *line, const char *flag)
{
	const char *p = strstr(line, flag);

	return p != NULL && p[-1] == ' ' && (p[2] == ' ' || p[2] == '\n');
}

/* smaps: a line with the addresses of each mapping, and behind it one with its flags. */
static int
look_at_process(const char *pid)
{
	char path[2][64], line[4096];
	uint64_t from = 0, to = 0;
	uint8_t *space = malloc(CHUNK);
	FILE *maps = NULL;
	int fd = -1, n = 0;

	if (space != NULL && str_format(path[0], sizeof(path[0]), "/proc/%s/mem", pid) == 0 &&
	    str_format(path[1], sizeof(path[1]), "/proc/%s/smaps", pid) == 0) {
		fd = open(path[0], O_RDONLY | O_CLOEXEC);
		maps = fopen(path[1], "re");
	}
	while (fd >= 0 && maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		uint64_t a, b;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &a, &b) == 2) {
			from = a;
			to = b;
		} else if (strncmp(line, "VmFlags:", 8) == 0) {
			look_at(fd, from, to, has_flag(line, "lo") && has_flag(line, "dd"), space);
			n++;
		}
	}
	if (maps != NULL)
		(void)fclose(maps);
	fd_close(&fd);
	free(space);
	return n;
}

int
main(int argc, char **argv)
{
	int r;

	if (argc != 5) {
		fputs("usage: memory_tool STORE AUDITOR_KEY SID PID\n", stderr);
		return 2;
	}
	if (secret_init() != 0 || hash_init() != 0)
		return 3;
	if ((r = load_keys(argv[1], argv[2], argv[3])) != 0) {
		fprintf(stderr, "memory_tool: no key: %s\n", err_str(r));
		return 3;
	}
	if (look_at_process(argv[4]) == 0) {
		fprintf(stderr, "memory_tool: %s: its memory cannot be read\n", argv[4]);
		return 3;
	}
	for (size_t i = 0; i < LOOKED_FOR; i++)
		printf("%s %u %u\n", looked_for[i].name, looked_for[i].n, looked_for[i].n_guarded);
	return 0;
}
