/* The public key algorithms of a login request, and what each one promises about key and signature. */
#ifndef BASTION_ALGS_H
#define BASTION_ALGS_H

#include <stdbool.h>

#include "lib/sshkey.h"

/*
 * "rsa-sha2-512-cert-v01@openssh.com" is an RSA key in a certificate whose signatures are named "rsa-sha2-512". Strings
 * are static.
 */
struct algs_alg {
	const char *name;      /* in SSH_MSG_USERAUTH_REQUEST (RFC 4252 section 7) */
	const char *blob_type; /* first string of the key blob that goes with it */
	const char *sig;       /* first string of the signature blob that goes with it */
	enum sshkey_type type; /* of the key that signs */
	bool cert;
};

/* By its name in a request. NULL: not known, or refused for good (SHA-1, DSA). */
const struct algs_alg *algs_find(const char *name);
/* The plain type inside a certificate blob's type name. NULL: not a certificate type that is known here. */
const struct algs_alg *algs_find_cert_type(const char *blob_type);

#endif
