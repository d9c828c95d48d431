/* One key of the vault: its name, its public half in the open, its private half in locked memory. */
#ifndef BASTION_KEYS_KEY_H
#define BASTION_KEYS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keys_proto.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "lib/sshkey.h"

struct keys_key {
	unsigned refs; /* the vault's and one for each front or leg that was started with it */
	char name[KEYS_NAME_MAX + 1];
	enum sshkey_type type;
	unsigned bits;
	uint64_t made_at_ns;	/* wall clock, when it was generated or imported */
	struct secret *private; /* owned; form as of keys_crypto.h */
	uint8_t *blob;		/* owned; public key blob */
	size_t blob_len;
	char fingerprint[HASH_FINGERPRINT_SIZE];
};

/* Whether s is a key's name: 1 to KEYS_NAME_MAX of [A-Za-z0-9._-], no leading '.' or '-'. */
bool keys_key_is_name(const char *s);
/* Whether a key of this name is the bastion's own (KEYS_HOST_KEY, KEYS_HOST_CA, KEYS_JUMP_KEY): no host is logged into with it. */
bool keys_key_is_reserved(const char *name);

/*
 * The type and size that a word of KEYS_ADM_GENERATE stands for: ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072 rsa-4096.
 * 0; ERR_NOT_FOUND.
 */
int keys_key_kind(const char *word, enum sshkey_type *ret_type, unsigned *ret_bits) MUST_CHECK;

/*
 * A key around a private half. private: owned by the key from success on. *ret_key: one reference, keys_key_unref().
 * 0; ERR_FORMAT name or private half; ERR_LIMIT; -ENOMEM.
 */
int keys_key_new(const char *name, enum sshkey_type type, uint64_t made_at_ns,
    struct secret *private, struct keys_key **ret_key) MUST_CHECK;
/* The same with a fresh private half. */
int keys_key_generate(
    const char *name, enum sshkey_type type, unsigned bits, struct keys_key **ret_key) MUST_CHECK;
struct keys_key *keys_key_ref(struct keys_key *key);
void keys_key_unref(struct keys_key *key);

/* Append the signature blob over data; alg as of keys_crypto_sign(). 0; ERR_FORMAT; ERR_CRYPTO; -ENOMEM. */
int keys_key_sign(const struct keys_key *key, const char *alg, const void *data, size_t len,
    struct buf *ret_sig) MUST_CHECK;
/* Ed25519 only: the bare signature, 64 bytes. 0; ERR_FORMAT another type; ERR_CRYPTO. */
int keys_key_sign_raw(
    const struct keys_key *key, const void *data, size_t len, uint8_t ret_sig[64]) MUST_CHECK;

/* "ed25519", "ecdsa-384", "rsa-3072": as of keys_key_kind(); dst of 16 bytes. Returns dst. */
char *keys_key_word(const struct keys_key *key, char *dst, size_t size);
/* "ssh-ed25519 AAAA... NAME@bastiond", a line for authorized_keys. Owned by caller, free(); NULL: out of memory. */
char *keys_key_line(const struct keys_key *key);

#endif
