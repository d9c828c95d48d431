/*
 * User certificates for small sites: the vault holds the CA's key, and writes the whole certificate itself from fields that it
 * has checked. It reads none, and nothing else is ever signed with such a key: it is no key towards hosts.
 */
#ifndef BASTION_KEYS_ISSUE_H
#define BASTION_KEYS_ISSUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keys_key.h"
#include "lib/buf.h"
#include "lib/err.h"

#define KEYS_ISSUE_NAME_MAX 255u /* bytes of a key id or a principal */
#define KEYS_ISSUE_PRINCIPALS_MAX 64u
#define KEYS_ISSUE_TEXT_MAX 4096u   /* bytes of a forced command, or of a list of networks */
#define KEYS_ISSUE_SOURCES_MAX 128u /* networks, as many as policy reads */

/* What KEYS_ADM_ISSUE asks for. */
struct keys_issue {
	const uint8_t *key_blob; /* whose certificate it is; borrowed from the message */
	size_t key_blob_len;
	enum sshkey_type type; /* of that key */
	uint64_t serial, after_s, before_s;
	char key_id[KEYS_ISSUE_NAME_MAX + 1];
	char principals[KEYS_ISSUE_PRINCIPALS_MAX][KEYS_ISSUE_NAME_MAX + 1];
	size_t n_principals;
	char command[KEYS_ISSUE_TEXT_MAX + 1], sources[KEYS_ISSUE_TEXT_MAX + 1]; /* "": none */
	bool clear;								 /* no extensions */
};

/* Whether this key is a CA of user certificates. */
bool keys_key_is_user_ca(const char *name);

/*
 * The fields of KEYS_ADM_ISSUE behind the CA's name. 0; ERR_FORMAT with *ret_why (static; NULL: not even a message); ERR_LIMIT
 * likewise; -ENOMEM.
 */
int keys_issue_read(struct buf *b, struct keys_issue *ret_q, const char **ret_why) MUST_CHECK;

/* Append the certificate (PROTOCOL.certkeys), signed by ca. 0; ERR_LIMIT; ERR_CRYPTO; -ENOMEM. */
int keys_issue_cert(
    const struct keys_key *ca, const struct keys_issue *q, struct buf *ret_cert) MUST_CHECK;
/* "ssh-ed25519-cert-v01@openssh.com AAAA... KEYID": as ssh-keygen writes it. Owned by caller, free(). NULL: out of memory. */
char *keys_issue_line(const struct keys_issue *q, const struct buf *cert);

#endif
