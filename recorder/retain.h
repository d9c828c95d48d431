/*
 * What is kept: recordings beyond an age, or beyond the space that all may use, are erased, oldest first, never one that
 * runs or is held. A little at a time, so that nobody who is being recorded waits for it.
 *
 * Age counts from a session's end. Space is what the store's file uses (store_space(), used_bytes) without the journal:
 * blocks, records, index and log of all sessions; not what is free inside the file.
 */
#ifndef BASTION_RECORDER_RETAIN_H
#define BASTION_RECORDER_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/chain.h"
#include "recorder/erase.h"

#define RETAIN_LOOKS 20000u	       /* index entries looked at in one step */
#define RETAIN_READS 256u	       /* records read in one step */
#define RETAIN_BATCH 64u	       /* sessions erased in one step */
#define RETAIN_EVERY_NS 10000000000ull /* between two rounds that found nothing to do */
/*
 * How far the clock may be ahead of what the log and the time since the start make of it. A clock that jumps forward makes
 * every recording old; it has no say beyond this much.
 */
#define RETAIN_CLOCK_SLACK_NS (7 * 86400 * 1000000000ull)

struct retain_conf {
	uint64_t age_ns; /* 0: for ever */
	uint64_t space;	 /* bytes; 0: no limit */
};

struct retain {
	struct retain_conf conf;
	struct chain *chain;
	struct eraser *eraser;
	uint64_t log_ns, boot_ns; /* time of the newest leaf, and since boot, both at the start */
	/* the round */
	bool running;
	uint64_t next_ns; /* boot clock: when the next one begins */
	uint64_t at_ns,
	    survivor_ns; /* openings: where it stands; the first that stays, UINT64_MAX: none yet */
	uint64_t first_ns;		/* everything opened before this is erased already */
	uint64_t excess;		/* bytes that must go for space */
	uint64_t n_age, n_space, bytes; /* of this round */
	bool short_told; /* it has been said that space is exceeded by what must stay */
	/* since the start */
	uint64_t total_age, total_space;
	bool is_short; /* more space is used than may be, by what must stay */
};

/* Nothing is removed before the first retain_set(). 0; -errno. */
int retain_init(struct retain *t, struct chain *chain, struct eraser *eraser) MUST_CHECK;
/* Take other values, at the next step. */
void retain_set(struct retain *t, const struct retain_conf *conf);
/* Something is to be looked at again from the beginning: a session was let go. */
void retain_again(struct retain *t);
/* Go on, in the chain's open transaction when there is something to write. 0; negative: the store does not work. */
int retain_step(struct retain *t) MUST_CHECK;

#endif
