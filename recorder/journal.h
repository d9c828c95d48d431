/*
 * The journal: what a commit added to blocks that are not full yet. One record a commit, so that a
 * commit writes one place however many sessions it serves. Records are dropped when every session
 * in them has sealed what they hold.
 *
 *   record    u8 version (2), u64 wall clock, then fragments
 *   fragment  u8 flags, sid, varint block, varint offset in the block, varint events, varint last
 *             ns, 32 bytes content hash of the block up to the fragment's end, 8 bytes of the
 *             SHA-256 over the block's envelopes up to it (this one too); with FRAGMENT_FIRST also
 *             varint first sequence number, varint base ns; then varint length, envelope
 *             (CRYPT_JOURNAL) of: with FRAGMENT_FIRST 16 bytes salt; events
 */
#ifndef BASTION_RECORDER_JOURNAL_H
#define BASTION_RECORDER_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/block.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define JOURNAL_RECORD_MAX (64u << 20) /* bytes of one record */
#define JOURNAL_KEY_LEN 8u	       /* u64 commit number, before the piece */

#define JOURNAL_CHECK_LEN 8u

#define FRAGMENT_FIRST 1u /* starts its block: offset 0 */

struct fragment {
	uint8_t flags;
	uint8_t sid[REC_SID_LEN];
	uint32_t block, off;
	uint32_t n_events;
	uint64_t last_ns;
	uint8_t content[HASH_LEN]; /* of the block up to here */
	uint8_t check[JOURNAL_CHECK_LEN];
	/* of the block: with FRAGMENT_FIRST only */
	uint64_t first_seq, base_ns;
	const uint8_t *data; /* the envelope; borrowed */
	size_t len;
};
/* Bytes that an envelope is longer than its events. */
#define FRAGMENT_EXTRA(flags)                                                                      \
	(CRYPT_TAG_LEN + (((flags)&FRAGMENT_FIRST) != 0 ? BLOCK_SALT_LEN : 0u))

/* The key under which the record of this commit is stored; keys sort as commits do. */
void journal_key(uint64_t commit, uint8_t ret_key[JOURNAL_KEY_LEN]);
/* The commit number of a stored piece's key. 0; ERR_FORMAT. */
int journal_key_parse(const uint8_t *key, size_t len, uint64_t *ret_commit) MUST_CHECK;

/* Build a record: the start, then fragments. 0; ERR_LIMIT; -ENOMEM. */
int journal_put_start(struct buf *b, uint64_t wall_ns) MUST_CHECK;
int journal_put_fragment(struct buf *b, const struct fragment *f) MUST_CHECK;
/*
 * Take one apart. 0; ERR_FORMAT; ERR_VERSION. After the start, fragments until the buffer is empty.
 */
int journal_get_start(struct buf *b, uint64_t *ret_wall_ns) MUST_CHECK;
int journal_get_fragment(struct buf *b, struct fragment *ret_f) MUST_CHECK;

/* Numbers of the oldest and newest record. 0; ERR_NOT_FOUND empty; ERR_FORMAT; -errno. */
int journal_bounds(struct store_snap *snap, uint64_t *ret_first, uint64_t *ret_last) MUST_CHECK;
/*
 * Every fragment of the records first..last, in order. fn: 0 goes on, anything else ends the walk
 * and is returned.
 * 0; ERR_FORMAT; -ENOMEM; -errno.
 */
int journal_each(struct store_snap *snap, uint64_t first, uint64_t last,
    int (*fn)(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f),
    void *arg) MUST_CHECK;

#endif
