/*
 * Who may connect now: so many connections in all and per source, so many that have not logged in (OpenSSH's
 * MaxStartups: from begin on some are dropped at random, from full on all), and none from a source with a penalty.
 * A source that already has somebody waiting to log in may use three quarters of full only: a flood from few sources
 * leaves room for people from others, and their first connection is not subject to chance.
 */
#ifndef BASTION_BROKER_LIMITS_H
#define BASTION_BROKER_LIMITS_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/broker/penalty.h"
#include "bastiond/broker/settings.h"
#include "lib/err.h"
#include "lib/net.h"

enum limits_verdict {
	LIMITS_OK,
	LIMITS_CONNECTIONS,
	LIMITS_PER_SOURCE,
	LIMITS_STARTUPS,
	LIMITS_PENALTY,
	LIMITS_JUMPS,
	LIMITS_N_VERDICTS
};

struct limits;

/* A connection that is counted; part of the caller's own struct. */
struct limits_ticket {
	LIST_ENTRY(limits_ticket) link;
	struct net_addr source; /* masked */
	bool counted;
	bool nested;  /* within another: in no list */
	bool startup; /* not logged in yet */
};

/* penalty: borrowed, lives longer. Owned by caller, free with limits_free() after all tickets. NULL: out of memory. */
struct limits *limits_new(struct penalty *penalty);
void limits_free(struct limits *l);
/* For tests: a number from 0 to 99 for each draw instead of the kernel's. */
void limits_set_dice(struct limits *l, unsigned (*dice)(void));

/* Whether one more connection from a may come; a refusal is counted. */
enum limits_verdict limits_check(
    struct limits *l, const struct settings *s, const struct net_addr *a) MUST_CHECK;
/*
 * The same for a connection within one (ssh -J) that holds n of at most max. Who opens it is logged in and was counted: neither
 * chance nor a penalty of others behind that address concerns them, nor how many that address has.
 */
enum limits_verdict limits_check_jump(
    struct limits *l, const struct settings *s, size_t n, size_t max) MUST_CHECK;
/* Count a connection from a, that may come, until limits_leave(). */
void limits_enter(
    struct limits *l, const struct settings *s, const struct net_addr *a, struct limits_ticket *t);
/* Count one within another, until limits_leave(): it is nobody's startup, and of no source. */
void limits_enter_jump(struct limits *l, struct limits_ticket *t);
/* It has logged in. */
void limits_logged_in(struct limits *l, struct limits_ticket *t);
/* It is over. A ticket that is not counted is allowed. */
void limits_leave(struct limits *l, struct limits_ticket *t);

/* How many are counted now. */
size_t limits_connections(const struct limits *l);
size_t limits_startups(const struct limits *l);
/* Refusals of this kind since the start. */
uint64_t limits_refused(const struct limits *l, enum limits_verdict v);
/* One line for the client, without line end: "Exceeded MaxStartups". Static. */
const char *limits_text(enum limits_verdict v);
/* Its name in logs and in status: "startups". Static. */
const char *limits_name(enum limits_verdict v);

#endif
