/*
 * Sources that misbehaved wait: each kind of end adds a span to its source's penalty; once the sum reaches a
 * threshold, connections from there are refused until it has run off. A source is an IPv4 address or an IPv6 /64, unless
 * limits.source_prefix says otherwise. The table is of fixed size: where it is full, the penalty that would end soonest is forgotten.
 */
#ifndef BASTION_BROKER_PENALTY_H
#define BASTION_BROKER_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/broker/settings.h"
#include "lib/err.h"
#include "lib/net.h"

enum penalty_kind {
	PENALTY_CRASH,	      /* the front died of a signal */
	PENALTY_ALARM,	      /* policy or the vault saw an attack */
	PENALTY_AUTH_FAILURE, /* ended after failed attempts only */
	PENALTY_NO_AUTH,      /* ended without an attempt */
	PENALTY_GRACE,	      /* did not log in in time */
	PENALTY_N_KINDS
};

struct penalty;

/* sources: entries at most. Owned by caller, free with penalty_free(). NULL: out of memory. */
struct penalty *penalty_new(size_t sources);
void penalty_free(struct penalty *p);

/*
 * Charge the source of a. s: spans, threshold, exemptions of the moment. True when connections from there are refused
 * from now on and were not before: one line for the log.
 */
bool penalty_add(
    struct penalty *p, const struct settings *s, const struct net_addr *a, enum penalty_kind kind);
/* Whether connections from a are refused now; *ret_left_ns is for how long still. */
bool penalty_active(
    struct penalty *p, const struct settings *s, const struct net_addr *a, uint64_t *ret_left_ns);
/* Sources with a penalty that has not run off, of those the refused ones. Walks the table: for status. */
void penalty_count(const struct penalty *p, size_t *ret_known, size_t *ret_refused);
/* Make of an address what counts as its source. */
void penalty_source(const struct settings *s, struct net_addr *a);
/* "crash" ...: static. */
const char *penalty_kind_name(enum penalty_kind kind);

#endif
