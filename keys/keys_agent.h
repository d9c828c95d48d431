/*
 * The edges to the backs: an agent (RFC 9987) with one key, for one login at one host, that signs once. Before that it
 * must have seen the host's own signature over the same session id (session-bind@openssh.com).
 */
#ifndef BASTION_KEYS_AGENT_H
#define BASTION_KEYS_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keys_policy.h"
#include "keys/keys_seen.h"
#include "keys/keys_vault.h"
#include "lib/err.h"
#include "lib/loop.h"

#define KEYS_LEGS_MAX 8192u /* legs at a time */
#define KEYS_AGENT_MESSAGE_MAX                                                                     \
	16384u /* bytes of one message; a binding with a large host certificate is the longest */
#define KEYS_AGENT_REQUESTS_MAX 16u /* messages on one leg; a login takes three */
#define KEYS_PINNED_MAX 64u	    /* host keys, and host CAs, of one grant */
#define KEYS_LOGIN_MAX 255u	    /* bytes of a login */

struct keys_legs;

/* policy, seen: borrowed. NULL: out of memory. */
struct keys_legs *keys_legs_new(struct loop *l, struct keys_policy *policy, struct keys_seen *seen);
void keys_legs_free(struct keys_legs *l);
/*
 * Serve a back. grant: the payload of KEYS_BACK, copied. fd: taken from success on. vault: where the key is looked up,
 * once; a key that is not there leaves an agent without keys. 0; ERR_FORMAT; ERR_EXISTS; ERR_LIMIT; -errno.
 */
int keys_legs_add(struct keys_legs *l, uint32_t leg, int fd, const uint8_t *grant, size_t len,
    const struct keys_vault *vault) MUST_CHECK;
/* The leg is over; one that is gone already is fine. */
void keys_legs_gone(struct keys_legs *l, uint32_t leg);
/* Policy's word on the host certificate that this leg showed; as of keys_policy_cert_fn. */
void keys_legs_cert(struct keys_legs *l, uint32_t leg, bool ok, const uint8_t *data, size_t len);
size_t keys_legs_n(const struct keys_legs *l);
uint64_t keys_legs_signed(const struct keys_legs *l); /* signatures since the start */

#endif
