/* Keys as the vault holds them. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_crypto.h"
#include "keys/keys_key.h"
#include "lib/clock.h"
#include "lib/str.h"

static const struct {
	const char *word;
	enum sshkey_type type;
	unsigned bits;
} kinds[] = {
	{ "ed25519", SSHKEY_ED25519, 256 },
	{ "ecdsa-256", SSHKEY_ECDSA_256, 256 },
	{ "ecdsa-384", SSHKEY_ECDSA_384, 384 },
	{ "ecdsa-521", SSHKEY_ECDSA_521, 521 },
	{ "rsa-3072", SSHKEY_RSA, 3072 },
	{ "rsa-4096", SSHKEY_RSA, 4096 },
};

bool
keys_key_is_name(const char *s)
{
	static const char ok[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(s);

	return len > 0 && len <= KEYS_NAME_MAX && strspn(s, ok) == len && s[0] != '.' &&
	       s[0] != '-';
}

bool
keys_key_is_reserved(const char *name)
{
	static const char *const names[] = { KEYS_HOST_KEY, KEYS_HOST_CA, KEYS_JUMP_KEY };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

int
keys_key_kind(const char *word, enum sshkey_type *ret_type, unsigned *ret_bits)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].word, word) == 0) {
			*ret_type = kinds[i].type;
			*ret_bits = kinds[i].bits;
			return 0;
		}
	return ERR_NOT_FOUND;
}

/* Fill in what follows from the private half: blob, size, fingerprint. */
static int
derive_public(struct keys_key *key)
{
	struct buf *blob = buf_new(SSHKEY_BLOB_MAX);
	struct sshkey *pub = NULL;
	int r = -ENOMEM;

	if (blob == NULL)
		goto out;
	if ((r = keys_crypto_public(key->type, key->private, blob)) != 0 ||
	    (r = sshkey_parse(buf_ptr(blob), buf_len(blob), &pub)) != 0)
		goto out;
	key->bits = sshkey_bits(pub);
	key->blob_len = buf_len(blob);
	key->blob = malloc(key->blob_len);
	if (key->blob == NULL) {
		r = -ENOMEM;
		goto out;
	}
	memcpy(key->blob, buf_ptr(blob), key->blob_len);
	hash_fingerprint(key->fingerprint, key->blob, key->blob_len);
out:
	sshkey_free(pub);
	buf_free(blob);
	return r;
}

int
keys_key_new(const char *name, enum sshkey_type type, uint64_t made_at_ns, struct secret *private,
    struct keys_key **ret_key)
{
	struct keys_key *key;
	int r;

	if (!keys_key_is_name(name))
		return ERR_FORMAT;
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return -ENOMEM;
	key->refs = 1;
	key->type = type;
	key->made_at_ns = made_at_ns;
	key->private = private;
	memcpy(key->name, name, strlen(name) + 1);
	if ((r = derive_public(key)) != 0) {
		key->private = NULL;
		keys_key_unref(key);
		return r;
	}
	*ret_key = key;
	return 0;
}

int
keys_key_generate(const char *name, enum sshkey_type type, unsigned bits, struct keys_key **ret_key)
{
	struct secret *private = NULL;
	int r;

	if ((r = keys_crypto_generate(type, bits, &private)) != 0)
		return r;
	if ((r = keys_key_new(name, type, clock_wall_ns(), private, ret_key)) != 0)
		secret_free(private);
	return r;
}

struct keys_key *
keys_key_ref(struct keys_key *key)
{
	key->refs++;
	return key;
}

void
keys_key_unref(struct keys_key *key)
{
	if (key == NULL || --key->refs > 0)
		return;
	secret_free(key->private);
	free(key->blob);
	free(key);
}

int
keys_key_sign(
    const struct keys_key *key, const char *alg, const void *data, size_t len, struct buf *ret_sig)
{
	return keys_crypto_sign(key->type, key->private, alg, data, len, ret_sig);
}

int
keys_key_sign_raw(const struct keys_key *key, const void *data, size_t len, uint8_t ret_sig[64])
{
	if (key->type != SSHKEY_ED25519)
		return ERR_FORMAT;
	return crypto_sign_detached(ret_sig, NULL, data, len, secret_cptr(key->private)) == 0
		   ? 0
		   : ERR_CRYPTO;
}

char *
keys_key_word(const struct keys_key *key, char *dst, size_t size)
{
	const char *family = key->type == SSHKEY_RSA ? "rsa" : "ecdsa";

	if (key->type == SSHKEY_ED25519)
		(void)snprintf(dst, size, "ed25519");
	else
		(void)snprintf(dst, size, "%s-%u", family, key->bits);
	return dst;
}

char *
keys_key_line(const struct keys_key *key)
{
	char *base64 = str_base64(key->blob, key->blob_len), *line = NULL;
	size_t size;

	if (base64 == NULL)
		return NULL;
	size = strlen(base64) + 64 + sizeof(key->name);
	line = malloc(size);
	if (line != NULL && str_format(line, size, "%s %s %s@bastiond", sshkey_type_name(key->type),
				base64, key->name) != 0) {
		free(line);
		line = NULL;
	}
	free(base64);
	return line;
}
