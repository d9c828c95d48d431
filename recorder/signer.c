/* Making, keeping, replacing and loading the signing key. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/signer.h"

#define PREFIX "PRIVATE+KEY+"
#define ALG_ED25519 0x01
#define KEY_LINE_MAX 512u /* bytes of a key's line */
#define EMPTY '\n'	  /* what fills a slot behind its line */
#define SEED_LEN crypto_sign_SEEDBYTES
#define BLOB_LEN (1 + SEED_LEN)

/* A key without its place in a file. */
struct pair {
	struct note_key key;
	struct secret *secret; /* NULL: no key */
};

void
signer_done(struct signer *s)
{
	if (s->secret != NULL)
		fd_close(&s->fd);
	secret_free(s->secret);
	secret_free(s->other);
	*s = (struct signer){ .fd = -1 };
}

/* seed: used up. */
static int
pair_from_seed(uint8_t seed[SEED_LEN], const char *name, struct pair *ret_pair)
{
	struct secret *secret = secret_new(crypto_sign_SECRETKEYBYTES);
	uint8_t key[NOTE_KEY_LEN];
	struct note_key note_key;
	int r = -ENOMEM;

	if (secret == NULL)
		goto out;
	r = ERR_CRYPTO;
	if (crypto_sign_seed_keypair(key, secret_ptr(secret), seed) != 0)
		goto out;
	if ((r = note_key_init(name, key, &note_key)) != 0)
		goto out;
	*ret_pair = (struct pair){ .key = note_key, .secret = secret };
	secret = NULL;
out:
	secret_free(secret);
	sodium_memzero(seed, SEED_LEN);
	return r;
}

/* "PRIVATE+KEY+name+id+base64 of 0x01 and the seed" */
static int
pair_parse(char *line, struct pair *ret_pair)
{
	uint8_t blob[BLOB_LEN], id[4];
	char *name, *hex, *b64;
	struct pair pair;
	size_t n;
	int r = ERR_FORMAT;

	if (!str_starts(line, PREFIX))
		return r;
	name = line + strlen(PREFIX);
	if ((hex = strchr(name, '+')) == NULL || (b64 = strchr(hex + 1, '+')) == NULL)
		return r;
	*hex++ = '\0';
	*b64++ = '\0';
	b64[strcspn(b64, "\n")] = '\0';
	if (str_unhex(hex, id, sizeof(id)) != 0 ||
	    sodium_base642bin(blob, sizeof(blob), b64, strlen(b64), NULL, &n, NULL,
		sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    n != BLOB_LEN || blob[0] != ALG_ED25519)
		goto out;
	if ((r = pair_from_seed(blob + 1, name, &pair)) != 0)
		goto out;
	r = memcmp(pair.key.id, id, sizeof(id)) == 0 ? 0 : ERR_FORMAT;
	if (r == 0)
		*ret_pair = pair;
	else
		secret_free(pair.secret);
out:
	sodium_memzero(blob, sizeof(blob));
	return r;
}

/* A new key, and slot filled with it. slot: to be wiped by the caller, also on error. */
static int
pair_make(const char *name, char slot[SIGNER_SLOT_LEN], struct pair *ret_pair)
{
	char b64[sodium_base64_ENCODED_LEN(BLOB_LEN, sodium_base64_VARIANT_ORIGINAL)], hex[9];
	uint8_t blob[BLOB_LEN] = { ALG_ED25519 };
	struct pair pair = { 0 };
	int r;

	randombytes_buf(blob + 1, SEED_LEN);
	sodium_bin2base64(b64, sizeof(b64), blob, sizeof(blob), sodium_base64_VARIANT_ORIGINAL);
	if ((r = pair_from_seed(blob + 1, name, &pair)) != 0 ||
	    (r = str_format(slot, SIGNER_SLOT_LEN, PREFIX "%s+%s+%s\n", name,
		 str_hex(hex, pair.key.id, sizeof(pair.key.id)), b64)) != 0) {
		secret_free(pair.secret);
	} else {
		size_t len = strlen(slot);

		memset(slot + len, EMPTY, SIGNER_SLOT_LEN - len);
		*ret_pair = pair;
	}
	sodium_memzero(b64, sizeof(b64));
	return r;
}

static int
slot_write(int fd, unsigned slot, const char data[SIGNER_SLOT_LEN])
{
	size_t at = 0;

	while (at < SIGNER_SLOT_LEN) {
		ssize_t n = pwrite(
		    fd, data + at, SIGNER_SLOT_LEN - at, (off_t)(slot * SIGNER_SLOT_LEN + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	return fdatasync(fd) != 0 ? -errno : 0;
}

/* *ret_pair without secret: no key is there; *ret_empty: and nothing else either. */
static int
slot_read(int fd, unsigned slot, struct pair *ret_pair, bool *ret_empty)
{
	char line[KEY_LINE_MAX + 1];
	struct pair pair = { 0 };
	ssize_t n = pread(fd, line, KEY_LINE_MAX, (off_t)slot * SIGNER_SLOT_LEN);
	int r;

	if (n < 0)
		return -errno;
	line[n] = '\0';
	*ret_empty = strspn(line, "\n") == (size_t)n;
	r = *ret_empty ? ERR_FORMAT : pair_parse(line, &pair);
	sodium_memzero(line, sizeof(line));
	if (r != 0 && r != ERR_FORMAT)
		return r;
	*ret_pair = pair;
	return 0;
}

/* The first key found is taken for the one in force until the store says otherwise. */
static int
signer_read(int fd, struct signer *ret_signer)
{
	struct signer s = { .fd = fd };
	struct pair pair[SIGNER_SLOTS] = { { .secret = NULL } };
	bool empty[SIGNER_SLOTS] = { false };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < SIGNER_SLOTS; i++)
		r = slot_read(fd, i, &pair[i], &empty[i]);
	if (r == 0 && pair[0].secret == NULL && pair[1].secret == NULL)
		r = ERR_FORMAT;
	if (r != 0) {
		secret_free(pair[0].secret);
		secret_free(pair[1].secret);
		return r;
	}
	s.slot = pair[0].secret == NULL;
	s.key = pair[s.slot].key;
	s.secret = pair[s.slot].secret;
	if (s.slot == 0) {
		s.other_key = pair[1].key;
		s.other = pair[1].secret;
	}
	s.unsettled = !empty[!s.slot];
	*ret_signer = s;
	return 0;
}

static int
signer_make(const char *path, const char *name)
{
	char file[SIGNER_SLOTS * SIGNER_SLOT_LEN];
	struct pair pair = { 0 };
	int r;

	memset(file, EMPTY, sizeof(file));
	if ((r = pair_make(name, file, &pair)) == 0)
		r = file_create(path, 0600, file, sizeof(file));
	secret_free(pair.secret);
	sodium_memzero(file, sizeof(file));
	return r;
}

static int
signer_open(const char *path, struct signer *ret_signer)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else
		r = S_ISREG(st.st_mode) ? signer_read(fd, ret_signer) : ERR_FORMAT;
	if (r != 0)
		fd_close(&fd);
	return r;
}

int
signer_load(const char *path, const char *name, struct signer *ret_signer)
{
	int r = signer_open(path, ret_signer);

	if (r != -ENOENT)
		return r;
	if ((r = signer_make(path, name)) != 0)
		return r;
	return signer_open(path, ret_signer);
}

int
signer_prepare(struct signer *s)
{
	char slot[SIGNER_SLOT_LEN];
	struct pair pair;
	int r = ERR_ORDER;

	if (s->other != NULL)
		return r;
	if ((r = pair_make(s->key.name, slot, &pair)) != 0)
		goto out;
	s->unsettled = true;
	s->other_key = pair.key;
	s->other = pair.secret;
	if ((r = slot_write(s->fd, !s->slot, slot)) != 0) {
		secret_free(s->other);
		s->other = NULL;
	}
out:
	sodium_memzero(slot, sizeof(slot));
	return r;
}

void
signer_swap(struct signer *s)
{
	struct signer old = *s;

	s->key = old.other_key;
	s->secret = old.other;
	s->slot = !old.slot;
	s->other_key = old.key;
	s->other = old.secret;
}

int
signer_settle(struct signer *s)
{
	char slot[SIGNER_SLOT_LEN];
	int r;

	secret_free(s->other);
	s->other = NULL;
	if (!s->unsettled)
		return 0;
	memset(slot, EMPTY, sizeof(slot));
	r = slot_write(s->fd, !s->slot, slot);
	s->unsettled = r != 0;
	return r;
}

int
signer_export(const struct note_key *key, const char *path)
{
	char line[NOTE_VKEY_SIZE + 1], *old = NULL;
	size_t len, old_len;
	bool same;
	int r;

	note_key_text(line, key);
	len = strlen(line);
	line[len++] = '\n';
	if ((r = file_read(path, NOTE_VKEY_SIZE, &old, &old_len)) == 0) {
		same = old_len == len && memcmp(old, line, len) == 0;
		free(old);
		if (same)
			return 0;
	}
	return file_replace(path, 0644, line, len);
}
