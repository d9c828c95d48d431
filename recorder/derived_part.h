/* What readers and the writer of derived data share: envelopes, and what is in them. */
#ifndef BASTION_RECORDER_DERIVED_PART_H
#define BASTION_RECORDER_DERIVED_PART_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/chunk.h"
#include "recorder/crypt.h"
#include "recorder/derived.h"
#include "recorder/store_derived.h"

/*
 * Every value is u8 kind, u32 number, then its content, in an envelope under the session's subkey.
 *   info   u64 events of the session, u32 chunks, u32 pictures, u64 bytes of text; for each picture u32 channel, u64 at ns
 *   chunk  zstd frame of chunk.h's encoding
 *   filter as in chunk.h
 *   shot   u32 channel, columns, rows, u64 next sequence number, u64 at ns, zstd frame of the picture
 */
#define DERIVED_SHOTS_MAX (1u << 20)
#define DERIVED_ZSTD_LEVEL 3

struct derived_key {
	uint8_t sid[REC_SID_LEN];
	uint8_t key[CRYPT_KEY_LEN]; /* the session's */
};
/* 0; ERR_SEALED; ERR_ERASED; ERR_NOT_FOUND; -errno. derived_key_done() wipes it. */
int derived_key_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    struct derived_key *ret_key) MUST_CHECK;
void derived_key_done(struct derived_key *k);
/* Append len bytes in an envelope to out. 0; ERR_LIMIT; -ENOMEM. */
int derived_wrap(
    const struct derived_key *k, const void *p, size_t len, struct buf *out) MUST_CHECK;
/* What derived_wrap() made, appended to out. 0; ERR_FORMAT; ERR_CHAIN; ERR_LIMIT; -ENOMEM. */
int derived_unwrap(
    const struct derived_key *k, const void *p, size_t len, struct buf *out) MUST_CHECK;

#endif
