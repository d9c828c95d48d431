/*
 * Masks over what is recorded: bytes of a stream in, the same bytes out with the places that rules match. What may be the
 * beginning of a match is held back, for a caller that records and releases what comes out, until more bytes come or it
 * asks for everything. What was given out is remembered for a while, so that a match that began there is still one.
 */
#ifndef BASTION_RECORDER_MASK_H
#define BASTION_RECORDER_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mask_rules.h"

#define MASK_WAIT_NS 30000000ull /* what may begin a match is held back at most so long */
#define MASK_HELD_MAX 65536u	 /* bytes of it; more is given out */
#define MASK_HITS_MAX 4096u	 /* places in one piece; bytes behind the last one are held back */

/* The rules of one session. */
struct mask_set;
/*
 * names: "defaults" and names of rules, commas between. texts: a JSON object {"NAME": "PATTERN"} of those that are not in
 * the table, "" for none. *ret_set: owned by caller. 0; ERR_FORMAT; -ENOMEM.
 */
int mask_set_new(const char *names, const char *texts, struct mask_set **ret_set) MUST_CHECK;
void mask_set_free(struct mask_set *set); /* NULL is allowed */
/* Compile the rules of the table once for all sets that are made from then on. 0; ERR_FORMAT; -ENOMEM. */
int mask_prepare(void) MUST_CHECK;
/* Forget them; after the last set. */
void mask_done(void);
const char *mask_rule_name(const struct mask_set *set, size_t rule);
/* How often a rule was given up because it took too long. */
uint64_t mask_given_up(const struct mask_set *set);

/* One direction of one channel. */
struct mask_stream;
struct mask_stream *mask_stream_new(
    struct mask_set *set);		      /* borrows the set; NULL: out of memory */
void mask_stream_free(struct mask_stream *s); /* wipes; NULL is allowed */

struct mask_hit {
	size_t from, to; /* in the piece */
	size_t rule;
	bool goes_on; /* it began in an earlier piece, which says so already */
};
struct mask_piece {
	const uint8_t *data; /* borrowed until the next call */
	size_t len;
	const struct mask_hit *hits; /* in order, apart from each other */
	size_t n_hits;
};

/* More bytes (n may be 0). all: nothing is held back. *ret_piece: what is decided. 0; -ENOMEM: none was taken. */
int mask_feed(struct mask_stream *s, const uint8_t *p, size_t n, bool all,
    struct mask_piece *ret_piece) MUST_CHECK;
/* Bytes that are held back. */
size_t mask_held(const struct mask_stream *s);

/* The piece as it is recorded: "[masked NAME]" for each place. 0; ERR_LIMIT; -ENOMEM. */
int mask_put(struct buf *b, const struct mask_set *set, const struct mask_piece *piece) MUST_CHECK;
/* The payload of EVENT_MASKED for it. 0; ERR_LIMIT; -ENOMEM. */
int mask_put_mark(
    struct buf *b, const struct mask_set *set, const struct mask_piece *piece) MUST_CHECK;

#endif
