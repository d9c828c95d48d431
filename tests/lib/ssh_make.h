/*
 * Keys, signatures, certificates and revocation lists for tests, made when the test runs, right or wrong in every field.
 * A failure of the library below ends the test.
 */
#ifndef BASTION_TEST_SSH_MAKE_H
#define BASTION_TEST_SSH_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/sshkey.h"

struct make_key;

/* rsa_bits: for SSHKEY_RSA. Owned by caller. */
struct make_key *make_key_new(enum sshkey_type type, unsigned rsa_bits);
void make_key_free(struct make_key *k);
/* The public blob; borrowed from the key. */
const uint8_t *make_key_blob(const struct make_key *k, size_t *ret_len);
/* "type base64 name"; owned by caller, free(). */
char *make_key_line(const struct make_key *k, const char *name);

/* Its private half as PEM, for the owner alone, as ssh reads it for ECDSA and RSA. */
void make_key_write(const struct make_key *k, const char *path);

/* How a signature is made; all zero: as it should be (a touched security key, rsa-sha2-512). */
struct make_how {
	const char *name;   /* inside the blob; NULL: the key's own */
	const char *digest; /* for RSA, when it should not be the name's */
	uint8_t no_flags;   /* security keys: flags that are missing, of 0x01 and 0x04 */
	uint8_t more_flags;
	const void *tail; /* bytes behind */
	size_t tail_len;
};
/* A signature blob over data. Owned by caller, free(). how: may be NULL. */
uint8_t *make_sign(const struct make_key *k, const void *data, size_t len,
    const struct make_how *how, size_t *ret_len);

/* A certificate; what is NULL or 0 is as it should be, but type (1: user). */
struct make_cert {
	const struct make_key *key, *ca;
	const char *type_name; /* outer type */
	uint64_t serial;
	uint32_t type;
	const char *key_id;
	size_t key_id_len; /* 0: strlen */
	const char *const *principals;
	size_t n_principals;
	const struct buf *raw_principals; /* in place of the list */
	uint64_t after, before;
	const struct buf *critical, *extensions; /* whole fields */
	const struct buf *ca_blob;		 /* in place of the CA's */
	struct make_how how;			 /* the CA's signature */
	const void *tail;			 /* bytes behind the signature */
	size_t tail_len;
};
uint8_t *make_cert(const struct make_cert *c, size_t *ret_len); /* owned by caller, free() */

/* name, and data inside a string inside the option's string (or data NULL: an empty one), as options are written. */
void make_option(struct buf *b, const char *name, const char *data);
/* name, and the option's string verbatim. */
void make_option_raw(struct buf *b, const char *name, const void *data, size_t len);

/* SSH_MSG_USERAUTH_REQUEST for publickey, signed with k over the session id (sid NULL: an offer). Owned by caller. */
struct make_request {
	const void *user;
	size_t user_len;		    /* 0: strlen */
	const char *service, *method, *alg; /* NULL: ssh-connection, publickey, must be given */
	const uint8_t *blob;
	size_t blob_len;
	const struct make_key *key; /* who signs; NULL: an offer */
	const uint8_t *sid;
	size_t sid_len;
	struct make_how how;
};
uint8_t *make_request(const struct make_request *q, size_t *ret_len);

/* Run a program with arguments (NULL-terminated), output to /dev/null. Returns its exit status, or -1. */
int make_run(const char *const *argv);

#endif
