/* Sealing and opening of the vault file. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_seal.h"

#define AT_VERSION 15u
#define AT_METHOD 16u
#define AT_OPS 20u
#define AT_MEM 24u
#define AT_SALT 32u
#define AT_WRAP_NONCE 48u
#define AT_WRAPPED 72u
#define AT_NONCE 120u

#define SEAL_VERSION 1u
#define MEM_MAX (1ull << 30) /* bytes; a changed head may not make us use more */
#define OPS_MAX 16u

static const char magic[] = "bastiond vault\n";
static const char key_context[] = "bastiond vault key file";

_Static_assert(sizeof(magic) - 1 == AT_VERSION, "the magic ends where the version is");
_Static_assert(
    AT_WRAPPED - AT_WRAP_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
	KEYS_SEAL_HEAD - AT_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
	AT_NONCE - AT_WRAPPED == crypto_aead_xchacha20poly1305_ietf_KEYBYTES + KEYS_SEAL_TAG &&
	AT_WRAP_NONCE - AT_SALT == crypto_pwhash_SALTBYTES &&
	KEYS_SEAL_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES,
    "the layout fits the algorithms");

static void
put_be(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static uint64_t
get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

void
keys_seal_done(struct keys_seal *s)
{
	secret_free(s->file_key);
	*s = (struct keys_seal){ 0 };
}

static int
key_from_passphrase(const uint8_t *head, const struct secret *passphrase, struct secret *key)
{
	if (crypto_pwhash(secret_ptr(key), secret_len(key), (const char *)secret_cptr(passphrase),
		secret_len(passphrase), head + AT_SALT, get_be(head + AT_OPS, 4),
		(size_t)get_be(head + AT_MEM, 8), crypto_pwhash_ALG_ARGON2ID13) != 0)
		return -ENOMEM;
	return 0;
}

static int
key_from_file(const uint8_t *head, const struct secret *bytes, struct secret *key)
{
	crypto_generichash_state state;

	/* Each call can only fail for wrong lengths, and these are constants. */
	if (crypto_generichash_init(&state, NULL, 0, secret_len(key)) != 0 ||
	    crypto_generichash_update(&state, (const uint8_t *)key_context, sizeof(key_context)) !=
		0 ||
	    crypto_generichash_update(&state, head + AT_SALT, crypto_pwhash_SALTBYTES) != 0 ||
	    crypto_generichash_update(&state, secret_cptr(bytes), secret_len(bytes)) != 0 ||
	    crypto_generichash_final(&state, secret_ptr(key), secret_len(key)) != 0)
		return ERR_CRYPTO;
	sodium_memzero(&state, sizeof(state));
	return 0;
}

/* The key that the file key is sealed with. *ret_key: owned by caller. */
static int
unlock_key(const uint8_t *head, const struct secret *unlock, struct secret **ret_key)
{
	size_t len = secret_len(unlock);
	struct secret *key;
	int r;

	if (head[AT_METHOD] == KEYS_SEAL_FILE &&
	    (len < KEYS_SEAL_UNLOCK_MIN || len > KEYS_SEAL_UNLOCK_MAX))
		return ERR_FORMAT;
	if (len == 0 || (head[AT_METHOD] == KEYS_SEAL_PASSPHRASE && len > KEYS_SEAL_PASSPHRASE_MAX))
		return ERR_FORMAT;
	key = secret_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
	if (key == NULL)
		return -ENOMEM;
	if (head[AT_METHOD] == KEYS_SEAL_PASSPHRASE)
		r = key_from_passphrase(head, unlock, key);
	else
		r = key_from_file(head, unlock, key);
	if (r != 0) {
		secret_free(key);
		return r;
	}
	*ret_key = key;
	return 0;
}

int
keys_seal_new(struct keys_seal *s, enum keys_seal_method method, const struct secret *unlock)
{
	struct keys_seal new = { 0 };
	struct secret *key = NULL;
	unsigned long long wrapped;
	int r = -ENOMEM;

	if (method == KEYS_SEAL_PASSPHRASE && secret_len(unlock) < KEYS_SEAL_PASSPHRASE_MIN)
		return ERR_FORMAT;
	memcpy(new.head, magic, AT_VERSION);
	new.head[AT_VERSION] = SEAL_VERSION;
	new.head[AT_METHOD] = (uint8_t)method;
	if (method == KEYS_SEAL_PASSPHRASE) {
		put_be(new.head + AT_OPS, crypto_pwhash_OPSLIMIT_MODERATE, 4);
		put_be(new.head + AT_MEM, crypto_pwhash_MEMLIMIT_MODERATE, 8);
	}
	randombytes_buf(new.head + AT_SALT, AT_WRAPPED - AT_SALT);
	new.file_key = secret_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
	if (new.file_key == NULL || (r = unlock_key(new.head, unlock, &key)) != 0)
		goto out;
	randombytes_buf(secret_ptr(new.file_key), secret_len(new.file_key));
	r = crypto_aead_xchacha20poly1305_ietf_encrypt(new.head + AT_WRAPPED, &wrapped,
		secret_cptr(new.file_key), secret_len(new.file_key), new.head, AT_WRAP_NONCE, NULL,
		new.head + AT_WRAP_NONCE, secret_cptr(key)) == 0
		? 0
		: ERR_CRYPTO;
	if (r == 0) {
		*s = new;
		new.file_key = NULL;
	}
out:
	secret_free(key);
	keys_seal_done(&new);
	return r;
}

static int
check_head(const uint8_t *file, size_t len)
{
	uint64_t ops, mem;

	if (len < AT_METHOD || memcmp(file, magic, AT_VERSION) != 0)
		return ERR_FORMAT;
	if (file[AT_VERSION] != SEAL_VERSION)
		return ERR_VERSION;
	if (len < KEYS_SEAL_HEAD + KEYS_SEAL_TAG)
		return ERR_FORMAT;
	ops = get_be(file + AT_OPS, 4);
	mem = get_be(file + AT_MEM, 8);
	if (file[AT_METHOD] == KEYS_SEAL_FILE)
		return ops == 0 && mem == 0 ? 0 : ERR_FORMAT;
	if (file[AT_METHOD] != KEYS_SEAL_PASSPHRASE || ops < crypto_pwhash_OPSLIMIT_MIN ||
	    ops > OPS_MAX || mem < crypto_pwhash_MEMLIMIT_MIN || mem > MEM_MAX)
		return ERR_FORMAT;
	return 0;
}

int
keys_seal_read_method(const uint8_t *file, size_t len, enum keys_seal_method *ret_method)
{
	int r = check_head(file, len);

	if (r == 0)
		*ret_method = (enum keys_seal_method)file[AT_METHOD];
	return r;
}

static int
unwrap(struct keys_seal *s, const struct secret *unlock)
{
	struct secret *key = NULL;
	unsigned long long len;
	int r;

	s->file_key = secret_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
	if (s->file_key == NULL)
		return -ENOMEM;
	if ((r = unlock_key(s->head, unlock, &key)) != 0)
		return r == ERR_FORMAT ? ERR_DENIED : r;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_ptr(s->file_key), &len, NULL,
		s->head + AT_WRAPPED, AT_NONCE - AT_WRAPPED, s->head, AT_WRAP_NONCE,
		s->head + AT_WRAP_NONCE, secret_cptr(key)) != 0)
		r = ERR_DENIED;
	secret_free(key);
	return r;
}

int
keys_seal_open(struct keys_seal *s, const uint8_t *file, size_t len, const struct secret *unlock,
    struct secret **ret_content)
{
	struct keys_seal new = { 0 };
	struct secret *content = NULL;
	unsigned long long got;
	int r;

	if ((r = check_head(file, len)) != 0)
		return r;
	memcpy(new.head, file, KEYS_SEAL_HEAD);
	if ((r = unwrap(&new, unlock)) != 0)
		goto out;
	content = secret_new(len - KEYS_SEAL_HEAD - KEYS_SEAL_TAG);
	if (content == NULL) {
		r = -ENOMEM;
		goto out;
	}
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_ptr(content), &got, NULL,
		file + KEYS_SEAL_HEAD, len - KEYS_SEAL_HEAD, new.head, KEYS_SEAL_HEAD,
		new.head + AT_NONCE, secret_cptr(new.file_key)) != 0) {
		r = ERR_SIGNATURE;
		goto out;
	}
	*s = new;
	new.file_key = NULL;
	*ret_content = content;
	content = NULL;
out:
	secret_free(content);
	keys_seal_done(&new);
	return r;
}

int
keys_seal_close(
    struct keys_seal *s, const struct secret *content, uint8_t **ret_file, size_t *ret_len)
{
	size_t len = KEYS_SEAL_HEAD + secret_len(content) + KEYS_SEAL_TAG;
	unsigned long long sealed;
	uint8_t *file;

	if (s->file_key == NULL)
		return ERR_ORDER;
	file = malloc(len);
	if (file == NULL)
		return -ENOMEM;
	randombytes_buf(s->head + AT_NONCE, KEYS_SEAL_HEAD - AT_NONCE);
	memcpy(file, s->head, KEYS_SEAL_HEAD);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(file + KEYS_SEAL_HEAD, &sealed,
		secret_cptr(content), secret_len(content), s->head, KEYS_SEAL_HEAD, NULL,
		s->head + AT_NONCE, secret_cptr(s->file_key)) != 0) {
		free(file);
		return ERR_CRYPTO;
	}
	*ret_file = file;
	*ret_len = len;
	return 0;
}
