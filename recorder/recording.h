/*
 * Reading one session's events: sealed blocks in order, then what the journal holds of the block
 * that is not full yet. Every block is checked against its own header on the way (not against
 * signatures: that is verify.h).
 */
#ifndef BASTION_RECORDER_RECORDING_H
#define BASTION_RECORDER_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

struct recording;

/* Whole events, in order, without gap to the part before it. */
struct recording_part {
	const uint8_t *data; /* borrowed until the next call with this recording */
	size_t len;
	uint64_t first_seq; /* of the first event */
	/* time of the event before it: event_reader_init(&r, data, len, first_seq, base_ns) */
	uint64_t base_ns;
	uint32_t block; /* number of the block that it is of */
};

/*
 * Stands before the first event. snap: borrowed; may be reset and renewed between calls. 0;
 * ERR_NOT_FOUND; ERR_SEALED, ERR_ERASED, ERR_KEYS and what else seskey_get() says of its key; -ENOMEM; -errno.
 */
int recording_open(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec) MUST_CHECK;
void recording_close(struct recording *rec);

/*
 * The next events (at most one block: 128 KiB). 0; ERR_NOT_FOUND: no more now; of a session that is
 * open more may come: reset the snapshot, wait, renew it, call again. ERR_CHAIN: data that does not
 * fit its header; ERR_FORMAT; -ENOMEM; -errno.
 */
int recording_next(struct recording *rec, struct recording_part *ret_part) MUST_CHECK;
/*
 * The same walk for who has no key, or wants the stored form: a whole block each, as its header and its stored bytes
 * (block.h; out: emptied first). The block that is growing comes as BLOCK_FRAGMENTS of what the journal has of it, with a
 * header that nothing signed; each call after that one gives it again, longer, once there is more. recording_next() must
 * not be called with such a recording. 0; ERR_NOT_FOUND no more now; ERR_CHAIN; ERR_FORMAT; -ENOMEM; -errno.
 */
struct block_hdr;
int recording_open_sealed(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec) MUST_CHECK;
int recording_next_sealed(
    struct recording *rec, struct block_hdr *ret_hdr, struct buf *out) MUST_CHECK;
/*
 * Go to the start of the block that holds the first event at or after at_ns (or to the end). 0;
 * -errno.
 */
int recording_seek(struct recording *rec, uint64_t at_ns) MUST_CHECK;
/* Right after recording_seek(): so many blocks further back; to the very start when that is no more than near_blocks away. */
void recording_back(struct recording *rec, uint32_t n_blocks, uint32_t near_blocks);

#endif
