/*
 * The edges to the fronts: signatures of the host key that each shows over exchange hashes (RFC 4253 section 8): the
 * bastion's own, or behind ssh -J the one that stands for the target (keys_jump.h). The first hash
 * of a connection is its session id (section 7.2): policy hears it before the front gets its signature.
 */
#ifndef BASTION_KEYS_FRONT_H
#define BASTION_KEYS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keys_key.h"
#include "keys/keys_policy.h"
#include "keys/keys_seen.h"
#include "lib/err.h"
#include "lib/loop.h"

#define KEYS_FRONTS_MAX 16384u /* fronts at a time */
/*
 * Signatures for later key exchanges of one connection: so many at once, then one in this time. Faster ones wait,
 * they are not refused: a client with a tiny rekey limit gets slow, and a front that was broken into gets no oracle.
 */
#define KEYS_REKEY_BURST 8u
#define KEYS_REKEY_EVERY_NS 2000000000ull
/*
 * Before its login a connection gets one signature. A second request may be the first rekey of one whose login the broker is
 * about to tell us of: it waits for that word, and if that does not come, the front lied.
 */
#define KEYS_LOGIN_WAIT_NS 2000000000ull

struct keys_fronts;

/* policy, seen: borrowed. NULL: out of memory. */
struct keys_fronts *keys_fronts_new(
    struct loop *l, struct keys_policy *policy, struct keys_seen *seen);
void keys_fronts_free(struct keys_fronts *f);
/*
 * Serve a front. fd: taken from success on. in: its person is logged in already, only rekeys follow.
 * host: a reference is taken; this front gets signatures of this key, also after a rotation. target: NULL, or what
 * the key that signs follows from, with host as its root; copied.
 * 0; ERR_EXISTS; ERR_LIMIT; -ENOMEM; -errno.
 */
int keys_fronts_add(struct keys_fronts *f, uint32_t conn, int fd, bool in, struct keys_key *host,
    const char *target) MUST_CHECK;
/* Its person is logged in: rekeys may follow. One that is gone already is fine. */
void keys_fronts_in(struct keys_fronts *f, uint32_t conn);
/* The connection is over; one that is gone already is fine. */
void keys_fronts_gone(struct keys_fronts *f, uint32_t conn);
size_t keys_fronts_n(const struct keys_fronts *f);
uint64_t keys_fronts_signed(const struct keys_fronts *f); /* signatures since the start */

#endif
