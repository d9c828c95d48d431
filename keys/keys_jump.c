/* Keys that follow from a name, and certificates of them. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_jump.h"
#include "lib/clock.h"

#define CERT_TYPE "ssh-ed25519-cert-v01@openssh.com"
#define CERT_TYPE_HOST 2u /* SSH_CERT_TYPE_HOST */
#define NONCE_LEN 32u
#define CERT_MAX 16384u
#define PUB_OFF 19u /* of the 32 bytes in an ssh-ed25519 blob: string name, u32 length */

/* Goes in front of the name: a key for one purpose is not one for another. */
static const char domain[] = "bastiond host key behind ssh -J, version 1";

bool
keys_jump_is_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > KEYS_TARGET_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("*?!,", *s) != NULL)
			return false;
	return true;
}

static int
prepare_one(struct keys_vault *v, const char *name)
{
	struct keys_key *key = NULL;
	int r;

	if (keys_vault_find(v, name) != NULL)
		return 0;
	if ((r = keys_key_generate(name, SSHKEY_ED25519, 256, &key)) != 0)
		return r;
	r = keys_vault_add(v, key);
	keys_key_unref(key);
	return r;
}

int
keys_jump_prepare(struct keys_vault *v)
{
	int r = prepare_one(v, KEYS_HOST_CA);

	return r != 0 ? r : prepare_one(v, KEYS_JUMP_KEY);
}

/* BLAKE2b, keyed with the root's seed, over domain and name: 32 bytes that nobody else can tell. */
static int
derive_seed(const struct keys_key *root, const char *target, struct secret *seed)
{
	struct secret *state = secret_new(crypto_generichash_statebytes());
	crypto_generichash_state *s;
	int r = ERR_CRYPTO;

	if (state == NULL)
		return -ENOMEM;
	s = (crypto_generichash_state *)(void *)secret_ptr(state);
	/* The terminating NUL parts the two. */
	if (crypto_generichash_init(
		s, secret_cptr(root->private), crypto_sign_SEEDBYTES, crypto_sign_SEEDBYTES) == 0 &&
	    crypto_generichash_update(s, (const uint8_t *)domain, sizeof(domain)) == 0 &&
	    crypto_generichash_update(s, (const uint8_t *)target, strlen(target)) == 0 &&
	    crypto_generichash_final(s, secret_ptr(seed), secret_len(seed)) == 0)
		r = 0;
	secret_free(state);
	return r;
}

int
keys_jump_key(const struct keys_key *root, const char *target, struct keys_key **ret_key)
{
	struct secret *seed, *private = NULL;
	uint8_t pub[crypto_sign_PUBLICKEYBYTES];
	int r;

	if (root->type != SSHKEY_ED25519 || !keys_jump_is_name(target))
		return ERR_FORMAT;
	seed = secret_new(crypto_sign_SEEDBYTES);
	private = secret_new(crypto_sign_SECRETKEYBYTES);
	r = seed == NULL || private == NULL ? -ENOMEM : derive_seed(root, target, seed);
	if (r == 0 && crypto_sign_seed_keypair(pub, secret_ptr(private), secret_cptr(seed)) != 0)
		r = ERR_CRYPTO;
	if (r == 0)
		r = keys_key_new(KEYS_JUMP_KEY, SSHKEY_ED25519, root->made_at_ns, private, ret_key);
	if (r != 0)
		secret_free(private);
	secret_free(seed);
	return r;
}

static int
put_principals(const struct keys_principals *names, struct buf *b)
{
	struct buf *list = buf_new(KEYS_PRINCIPALS_MAX * (KEYS_TARGET_MAX + 4));
	int r = list == NULL ? -ENOMEM : 0;

	if (r == 0 && (names->n == 0 || names->n > KEYS_PRINCIPALS_MAX))
		r = ERR_FORMAT;
	for (size_t i = 0; r == 0 && i < names->n; i++)
		r = keys_jump_is_name(names->names[i]) ? buf_put_cstr(list, names->names[i])
						       : ERR_FORMAT;
	if (r == 0)
		r = buf_put_str(b, buf_ptr(list), buf_len(list));
	buf_free(list);
	return r;
}

/* Everything that is signed. */
static int
put_body(const struct keys_key *ca, const struct keys_key *key, const char *target,
    const struct keys_principals *names, uint64_t now_s, struct buf *b)
{
	uint8_t nonce[NONCE_LEN];
	int r;

	randombytes_buf(nonce, sizeof(nonce));
	if ((r = buf_put_cstr(b, CERT_TYPE)) != 0 ||
	    (r = buf_put_str(b, nonce, sizeof(nonce))) != 0 ||
	    (r = buf_put_str(b, key->blob + PUB_OFF, key->blob_len - PUB_OFF)) != 0 ||
	    (r = buf_put_u64(b, 0)) != 0 || (r = buf_put_u32(b, CERT_TYPE_HOST)) != 0 ||
	    (r = buf_put_cstr(b, target)) != 0 || (r = put_principals(names, b)) != 0 ||
	    (r = buf_put_u64(b, now_s > KEYS_CERT_SPAN_S ? now_s - KEYS_CERT_SPAN_S : 0)) != 0 ||
	    (r = buf_put_u64(b, now_s + KEYS_CERT_SPAN_S)) != 0)
		return r;
	/* No critical options, no extensions, nothing reserved. */
	for (int i = 0; i < 3; i++)
		if ((r = buf_put_cstr(b, "")) != 0)
			return r;
	return buf_put_str(b, ca->blob, ca->blob_len);
}

int
keys_jump_cert(const struct keys_key *ca, const struct keys_key *key, const char *target,
    const struct keys_principals *names, uint64_t now_s, struct buf *ret_cert)
{
	struct buf *b = buf_new(CERT_MAX), *sig = buf_new(CERT_MAX);
	int r = -ENOMEM;

	if (b == NULL || sig == NULL)
		goto out;
	if (key->type != SSHKEY_ED25519 || key->blob_len != PUB_OFF + crypto_sign_PUBLICKEYBYTES)
		r = ERR_FORMAT;
	else if ((r = put_body(ca, key, target, names, now_s, b)) == 0 &&
		 (r = keys_key_sign(ca, sshkey_type_name(ca->type), buf_ptr(b), buf_len(b), sig)) ==
		     0 &&
		 (r = buf_put_str(b, buf_ptr(sig), buf_len(sig))) == 0)
		r = buf_put(ret_cert, buf_ptr(b), buf_len(b));
out:
	buf_free(b);
	buf_free(sig);
	return r;
}
