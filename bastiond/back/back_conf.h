/* What a back is told once, in BRK_BACK_START: where to go, as whom, what to expect there. */
#ifndef BASTION_BACK_CONF_H
#define BASTION_BACK_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/net.h"

#define BACK_KEYS_MAX 32u   /* pinned host keys, and host CAs */
#define BACK_OWN_MAX 64u    /* addresses that the bastion itself listens on */
#define BACK_DENIED_MAX 64u /* networks that a resolved name must not lead to */
#define BACK_TEXT_SIZE 256u /* bytes of a host name, an address, a login */

struct back_blob {
	uint8_t *data; /* owned */
	size_t len;
};

struct back_blobs {
	struct back_blob list[BACK_KEYS_MAX];
	size_t n;
};

struct back_own {
	struct net_addr addr;
	uint16_t port;
};

struct back_conf {
	char host[BACK_TEXT_SIZE];    /* inventory name, for messages */
	char address[BACK_TEXT_SIZE]; /* literal, or a name when resolve holds */
	uint16_t port;
	bool resolve;
	char login[BACK_TEXT_SIZE];
	struct back_blobs pins; /* host keys */
	struct back_blobs cas;	/* host CAs */
	uint64_t connect_ns;
	struct back_own own[BACK_OWN_MAX];
	size_t n_own;
	struct net_prefix denied[BACK_DENIED_MAX];
	size_t n_denied;
	uint64_t keepalive_ns; /* 0: off */
	uint32_t keepalive_missed;
};

/* Take the payload of BRK_BACK_START apart. 0, then back_conf_done(); ERR_FORMAT; ERR_LIMIT; -ENOMEM. */
int back_conf_parse(const uint8_t *data, size_t len, struct back_conf *ret_conf) MUST_CHECK;
void back_conf_done(struct back_conf *c);

/* Whether blob is one of them, byte for byte. */
bool back_blobs_have(const struct back_blobs *blobs, const void *blob, size_t len);
/*
 * The host key algorithms to ask the target for: those of the pinned keys, and those of certificates where there are
 * host CAs. "ssh-ed25519,rsa-sha2-512,rsa-sha2-256". 0; ERR_NOT_FOUND nothing is pinned; ERR_LIMIT.
 */
int back_conf_algorithms(const struct back_conf *c, char *dst, size_t size) MUST_CHECK;

#endif
