/* The vault's edge to policy: what policy must know before a signature leaves, alarms, and host certificates. */
#ifndef BASTION_KEYS_POLICY_H
#define BASTION_KEYS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

struct keys_policy;

/* Policy's word on a host certificate. data: the plain key blob in it, or, not ok, why not; borrowed for the call. */
typedef void (*keys_policy_cert_fn)(
    void *arg, uint32_t leg, bool ok, const uint8_t *data, size_t len);

/* Not connected yet. on_cert, arg: borrowed. NULL: out of memory. */
struct keys_policy *keys_policy_new(struct loop *l, keys_policy_cert_fn on_cert, void *arg);
void keys_policy_free(struct keys_policy *p);
/* A new edge, which replaces an earlier one. fd: taken from success on. 0; -errno. */
int keys_policy_connect(struct keys_policy *p, int fd) MUST_CHECK;

/*
 * Tell policy. 0: the message lies in its socket, so that it comes before all that follows from a signature given
 * after this call. ERR_PEER_GONE: there is no policy. ERR_LIMIT: it does not keep up. In both cases nothing may be signed.
 */
int keys_policy_session_id(
    struct keys_policy *p, uint32_t conn, const uint8_t *id, size_t len) MUST_CHECK;
int keys_policy_signed(struct keys_policy *p, uint32_t leg, const char *fingerprint) MUST_CHECK;
/* Ask about a host certificate; the answer comes through on_cert. Errors as above. */
int keys_policy_ask_cert(
    struct keys_policy *p, uint32_t leg, const uint8_t *cert, size_t len) MUST_CHECK;

/* Somebody lied: to policy, for the record, and to the log. what: a line, escaped. */
void keys_policy_alarm(struct keys_policy *p, bool front, uint32_t id, const char *what);
/* Key administration, for the record and the log. who, what: lines, escaped. */
void keys_policy_changed(struct keys_policy *p, const char *who, const char *what);
uint64_t keys_policy_alarms(const struct keys_policy *p); /* since the start */
bool keys_policy_is_connected(const struct keys_policy *p);

#endif
