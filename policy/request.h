/* SSH_MSG_USERAUTH_REQUEST (RFC 4252 section 5), taken apart exactly. */
#ifndef BASTION_REQUEST_H
#define BASTION_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/policy_proto.h"

#define REQUEST_MAX POL_REQUEST_MAX /* bytes of one message */
#define REQUEST_NAME_SIZE 128u

/* Pointers lead into the message. */
struct request {
	const uint8_t *user; /* no NUL inside */
	size_t user_len;
	char service[REQUEST_NAME_SIZE];
	char method[REQUEST_NAME_SIZE];
	/* For method "publickey": */
	bool is_publickey;
	bool has_sig;
	char alg[REQUEST_NAME_SIZE];
	const uint8_t *blob; /* key or certificate */
	size_t blob_len;
	const uint8_t *sig; /* only with has_sig */
	size_t sig_len;
	size_t
	    signed_len; /* bytes of the message that the signature covers, behind the session id */
};

/* msg: type byte first. 0; ERR_FORMAT; -ENOMEM. */
int request_parse(const uint8_t *msg, size_t len, struct request *ret_req) MUST_CHECK;

#endif
