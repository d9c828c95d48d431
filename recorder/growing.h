/*
 * The block that a session is growing, put together from the journal's fragments: with the session's key its events,
 * without it still everything that its header will say, and the block as it is stored (BLOCK_FRAGMENTS).
 */
#ifndef BASTION_RECORDER_GROWING_H
#define BASTION_RECORDER_GROWING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/block.h"
#include "recorder/head.h"
#include "recorder/journal.h"

struct growing {
	/* what is there up to now; the stored hash is of growing_finish() */
	struct block_hdr hdr;
	const uint8_t *key; /* borrowed; NULL: not known */
	uint8_t salt[BLOCK_SALT_LEN];
	struct buf *raw;    /* events, with a key only; owned */
	struct buf *stored; /* the block as BLOCK_FRAGMENTS; owned; NULL: not wanted */
	struct hash *content, *envelopes, *peek;
	uint32_t mark; /* bytes that a head is about; 0: none */
	bool marked;   /* they were there: */
	uint8_t mark_content[HASH_LEN], mark_envelopes[HASH_LEN];
};

/* Nothing yet. keep: whether the stored form is wanted. 0, then growing_done(); -ENOMEM. */
int growing_init(struct growing *g, bool keep) MUST_CHECK;
void growing_done(struct growing *g);
/* Begin with block number block of sid. key: borrowed, NULL: not known. mark: partial_len of a head, or 0. */
void growing_begin(struct growing *g, const uint8_t sid[REC_SID_LEN], uint32_t block,
    const uint8_t *key, uint32_t mark);
/*
 * Take a fragment of the journal. 0: taken; ERR_ORDER: it is not of this block, or known already: nothing was done;
 * ERR_CHAIN it does not fit its hashes or its place; ERR_LIMIT; -ENOMEM. After ERR_CHAIN g has the fragment, so that it can
 * be told what is in it, and must not be given more.
 */
int growing_add(struct growing *g, const struct fragment *f) MUST_CHECK;
/* The header's stored hash, when the stored form was wanted and there is any. */
void growing_finish(struct growing *g);
/* head_covers() with what was found. 0; ERR_CHAIN. */
int growing_covers(
    const struct growing *g, const struct head *h, const struct tree *sealed) MUST_CHECK;

#endif
