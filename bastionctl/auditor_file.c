/* Secret keys of auditors: to text and back. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/auditor_file.h"
#include "lib/str.h"

#define WORD "bastion-auditor-secret-v"
#define FILE_VERSION '1'
#define PLAIN 0u
#define PROTECTED 1u
#define AT_OPS 1u
#define AT_MEM 5u
#define AT_SALT 13u
#define AT_NONCE (AT_SALT + crypto_pwhash_SALTBYTES)
#define AT_SEALED (AT_NONCE + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
#define PROTECTED_LEN (AT_SEALED + AUDITOR_KEY_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES)
#define PLAIN_LEN (1u + AUDITOR_KEY_LEN)
#define MEM_MAX (1ull << 30) /* bytes; a changed file may not make us use more */
#define OPS_MAX 16u

/* A file taken apart. */
struct file {
	uint8_t blob[PROTECTED_LEN];
	size_t len;
	char name[AUDITOR_NAME_MAX + 1];
};

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

static int
public_half(const struct secret *key, const char *name, struct auditor *ret_auditor)
{
	struct auditor a;

	if (crypto_scalarmult_base(a.key, secret_cptr(key)) != 0 ||
	    str_copy(a.name, sizeof(a.name), name) != 0)
		return ERR_FORMAT;
	*ret_auditor = a;
	return 0;
}

int
auditor_key_new(const char *name, struct secret **ret_key, struct auditor *ret_auditor)
{
	struct secret *key = secret_new(AUDITOR_KEY_LEN);
	int r;

	if (key == NULL)
		return -ENOMEM;
	randombytes_buf(secret_ptr(key), AUDITOR_KEY_LEN);
	if ((r = public_half(key, name, ret_auditor)) != 0)
		secret_free(key);
	else
		*ret_key = key;
	return r;
}

/* The key that protects it. *ret_key: owned by caller. */
static int
phrase_key(const uint8_t *blob, const struct secret *phrase, struct secret **ret_key)
{
	struct secret *key = secret_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
	const char *text = (const char *)secret_cptr(phrase);

	if (key == NULL)
		return -ENOMEM;
	if (crypto_pwhash(secret_ptr(key), secret_len(key), text, strnlen(text, secret_len(phrase)),
		blob + AT_SALT, get_be(blob + AT_OPS, 4), (size_t)get_be(blob + AT_MEM, 8),
		crypto_pwhash_ALG_ARGON2ID13) != 0) {
		secret_free(key);
		return -ENOMEM;
	}
	*ret_key = key;
	return 0;
}

/* What is authenticated besides the key: the head and the name. */
static size_t
associated(const struct file *f, uint8_t dst[AT_SEALED + AUDITOR_NAME_MAX])
{
	size_t n = strlen(f->name);

	memcpy(dst, f->blob, AT_SEALED);
	memcpy(dst + AT_SEALED, f->name, n);
	return AT_SEALED + n;
}

static int
protect(struct file *f, const struct secret *key, const struct secret *phrase)
{
	uint8_t ad[AT_SEALED + AUDITOR_NAME_MAX];
	struct secret *lock = NULL;
	unsigned long long n;
	int r;

	f->blob[0] = PROTECTED;
	put_be(f->blob + AT_OPS, crypto_pwhash_OPSLIMIT_MODERATE, 4);
	put_be(f->blob + AT_MEM, crypto_pwhash_MEMLIMIT_MODERATE, 8);
	randombytes_buf(f->blob + AT_SALT, AT_SEALED - AT_SALT);
	if ((r = phrase_key(f->blob, phrase, &lock)) != 0)
		return r;
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(f->blob + AT_SEALED, &n, secret_cptr(key),
		secret_len(key), ad, associated(f, ad), NULL, f->blob + AT_NONCE,
		secret_cptr(lock)) != 0)
		r = ERR_CRYPTO;
	secret_free(lock);
	f->len = PROTECTED_LEN;
	return r;
}

int
auditor_key_text(const struct secret *key, const char *name, const struct secret *phrase,
    struct secret **ret_text)
{
	struct secret *text = secret_new(AUDITOR_FILE_MAX);
	char b64[AUDITOR_FILE_MAX / 2];
	struct file f = { .len = PLAIN_LEN };
	int r = -ENOMEM;

	if (text == NULL)
		return r;
	if ((r = str_copy(f.name, sizeof(f.name), name)) != 0)
		goto out;
	memcpy(f.blob + 1, secret_cptr(key), AUDITOR_KEY_LEN);
	if (phrase != NULL && (r = protect(&f, key, phrase)) != 0)
		goto out;
	sodium_bin2base64(b64, sizeof(b64), f.blob, f.len, sodium_base64_VARIANT_ORIGINAL);
	r = str_format(
	    (char *)secret_ptr(text), AUDITOR_FILE_MAX, WORD "%c %s %s\n", FILE_VERSION, b64, name);
	if (r == 0) {
		*ret_text = text;
		text = NULL;
	}
out:
	sodium_memzero(&f, sizeof(f));
	sodium_memzero(b64, sizeof(b64));
	secret_free(text);
	return r;
}

static int
check_blob(const struct file *f)
{
	uint64_t ops, mem;

	if (f->blob[0] == PLAIN)
		return f->len == PLAIN_LEN ? 0 : ERR_FORMAT;
	if (f->blob[0] != PROTECTED || f->len != PROTECTED_LEN)
		return ERR_FORMAT;
	ops = get_be(f->blob + AT_OPS, 4);
	mem = get_be(f->blob + AT_MEM, 8);
	return ops < crypto_pwhash_OPSLIMIT_MIN || ops > OPS_MAX ||
		       mem < crypto_pwhash_MEMLIMIT_MIN || mem > MEM_MAX
		   ? ERR_FORMAT
		   : 0;
}

static int
parse(const char *text, struct file *f)
{
	const char *end;
	size_t len;

	if (!str_starts(text, WORD))
		return ERR_FORMAT;
	text += strlen(WORD);
	if (text[0] != FILE_VERSION || text[1] != ' ')
		return text[0] >= '0' && text[0] <= '9' ? ERR_VERSION : ERR_FORMAT;
	text += 2;
	len = strcspn(text, " ");
	if (sodium_base642bin(f->blob, sizeof(f->blob), text, len, NULL, &f->len, &end,
		sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text + len || f->len == 0 || *end != ' ')
		return ERR_FORMAT;
	text = end + 1;
	len = strcspn(text, "\n");
	if (len >= sizeof(f->name) || text[len + (text[len] == '\n')] != '\0')
		return ERR_FORMAT;
	memcpy(f->name, text, len);
	f->name[len] = '\0';
	return auditor_check_name(f->name) != 0 ? ERR_FORMAT : check_blob(f);
}

int
auditor_key_is_protected(const char *text, bool *ret_protected)
{
	struct file f = { .len = 0 };
	int r = parse(text, &f);

	if (r == 0)
		*ret_protected = f.blob[0] == PROTECTED;
	sodium_memzero(&f, sizeof(f));
	return r;
}

static int
unprotect(const struct file *f, const struct secret *phrase, struct secret *key)
{
	uint8_t ad[AT_SEALED + AUDITOR_NAME_MAX];
	struct secret *lock = NULL;
	unsigned long long n;
	int r;

	if (f->blob[0] == PLAIN) {
		memcpy(secret_ptr(key), f->blob + 1, AUDITOR_KEY_LEN);
		return 0;
	}
	if (phrase == NULL)
		return ERR_DENIED;
	if ((r = phrase_key(f->blob, phrase, &lock)) != 0)
		return r;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret_ptr(key), &n, NULL,
		f->blob + AT_SEALED, f->len - AT_SEALED, ad, associated(f, ad), f->blob + AT_NONCE,
		secret_cptr(lock)) != 0)
		r = ERR_DENIED;
	secret_free(lock);
	return r;
}

int
auditor_key_parse(const char *text, const struct secret *phrase, struct secret **ret_key,
    struct auditor *ret_auditor)
{
	struct secret *key = secret_new(AUDITOR_KEY_LEN);
	struct file f = { .len = 0 };
	int r = -ENOMEM;

	if (key == NULL)
		return r;
	if ((r = parse(text, &f)) == 0 && (r = unprotect(&f, phrase, key)) == 0 &&
	    (r = public_half(key, f.name, ret_auditor)) == 0) {
		*ret_key = key;
		key = NULL;
	}
	sodium_memzero(&f, sizeof(f));
	secret_free(key);
	return r;
}
