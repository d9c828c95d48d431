/* Making, keeping and loading the signing key. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/signer.h"

#define PREFIX "PRIVATE+KEY+"
#define ALG_ED25519 0x01
#define KEY_LINE_MAX 512u /* bytes of the key file */
#define SEED_LEN crypto_sign_SEEDBYTES
#define BLOB_LEN (1 + SEED_LEN)

void
signer_done(struct signer *s)
{
	secret_free(s->secret);
	*s = (struct signer){ 0 };
}

/* seed: used up. */
static int
signer_from_seed(uint8_t seed[SEED_LEN], const char *name, struct signer *ret_signer)
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
	*ret_signer = (struct signer){ .key = note_key, .secret = secret };
	secret = NULL;
out:
	secret_free(secret);
	sodium_memzero(seed, SEED_LEN);
	return r;
}

/* "PRIVATE+KEY+name+id+base64 of 0x01 and the seed" */
static int
signer_parse(char *line, struct signer *ret_signer)
{
	uint8_t blob[BLOB_LEN], id[4];
	char *name, *hex, *b64;
	struct signer s;
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
	if ((r = signer_from_seed(blob + 1, name, &s)) != 0)
		goto out;
	r = memcmp(s.key.id, id, sizeof(id)) == 0 ? 0 : ERR_FORMAT;
	if (r == 0)
		*ret_signer = s;
	else
		signer_done(&s);
out:
	sodium_memzero(blob, sizeof(blob));
	return r;
}

static int
signer_make(const char *path, const char *name, struct signer *ret_signer)
{
	char line[KEY_LINE_MAX],
	    b64[sodium_base64_ENCODED_LEN(BLOB_LEN, sodium_base64_VARIANT_ORIGINAL)], hex[9];
	uint8_t blob[BLOB_LEN] = { ALG_ED25519 };
	struct signer s = { 0 };
	int r;

	randombytes_buf(blob + 1, SEED_LEN);
	sodium_bin2base64(b64, sizeof(b64), blob, sizeof(blob), sodium_base64_VARIANT_ORIGINAL);
	if ((r = signer_from_seed(blob + 1, name, &s)) != 0 ||
	    (r = str_format(line, sizeof(line), PREFIX "%s+%s+%s\n", name,
		 str_hex(hex, s.key.id, sizeof(s.key.id)), b64)) != 0 ||
	    (r = file_create(path, 0600, line, strlen(line))) != 0)
		goto out;
	*ret_signer = s;
	s = (struct signer){ 0 };
out:
	signer_done(&s);
	sodium_memzero(line, sizeof(line));
	sodium_memzero(b64, sizeof(b64));
	return r;
}

int
signer_load(const char *path, const char *name, struct signer *ret_signer)
{
	char *text;
	size_t len;
	int r;

	r = file_read(path, KEY_LINE_MAX, &text, &len);
	if (r == -ENOENT)
		return signer_make(path, name, ret_signer);
	if (r != 0)
		return r;
	r = signer_parse(text, ret_signer);
	sodium_memzero(text, len);
	free(text);
	return r;
}

int
signer_export(const struct signer *s, const char *path)
{
	char line[NOTE_VKEY_SIZE + 1], *old = NULL;
	size_t len, old_len;
	bool same;
	int r;

	note_key_text(line, &s->key);
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
