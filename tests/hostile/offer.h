/* Logins that prove nothing, message by message, over a transport that sends whatever it is told (rawssh.h). */
#ifndef BASTION_TEST_OFFER_H
#define BASTION_TEST_OFFER_H

#include "tests/hostile/hostile.h"
#include "tests/hostile/rawssh.h"

enum offer_shape {
	SIG_WHOLE = 0,
	SIG_NONE,    /* said to be there, and not */
	SIG_EMPTY,   /* of no bytes */
	SIG_ZERO,    /* of the right form, all zero */
	SIG_CUT,     /* one byte short */
	SIG_LONG,    /* one byte more inside */
	SIG_RETYPED, /* says that it is of another type */
};

/* SSH_MSG_USERAUTH_REQUEST; what is NULL is as it should be. */
struct offer_request {
	const char *user; /* NULL: the right login on t1 */
	size_t user_len;  /* 0: strlen */
	const char *service, *method, *alg;
	const char *key;     /* whose blob; NULL: eve's */
	const char *signer;  /* NULL: not signed */
	const char *ca;	     /* the blob is a certificate of it by this CA; NULL: the plain key */
	const char *swapped; /* and this one's key was put into it afterwards */
	/* Where what was signed differs from what is sent: */
	const char *signed_user, *signed_service, *signed_alg;
	bool other_sid, no_sid, signed_as_offer;
	uint8_t has_sig;   /* 0: as it is; else this byte */
	bool behind_offer; /* the signature stands behind a request that says there is none */
	enum offer_shape shape;
	unsigned flip; /* bit of the signature's 64 bytes, from 1; 0: none */
	bool flip_key; /* one bit of the key */
	size_t tail;   /* bytes behind */
};

/* request or bytes; then wait for a message of this type (0: for none). */
struct offer_step {
	const struct offer_request *request;
	const char *bytes;
	size_t len;
	uint8_t want;
	unsigned times; /* 0: once */
};

struct offer_mode {
	const char *name;
	const char *
	    event; /* the last audit event; "-": none; "*": whichever there are, n_events at most */
	unsigned n_events;
	const char *says;    /* extended expression for its reason */
	const char *penalty; /* what the source is charged with, an extended expression */
	struct offer_step steps[5];
	bool no_service; /* does not even ask for the service */
	bool early;	 /* the first step is sent before anything is encrypted */
};
extern const struct offer_mode offer_modes[], offer_partial_modes[];

/* offer_request.c. Owned by caller. sid: of the connection. */
struct buf *offer_make(const struct hostile *h, const struct offer_request *q, const uint8_t *sid);

#endif
