/*
 * One value of derived data in its envelope: made and taken apart here, wherever it lies: beside the store (derived.h) or in an
 * auditor's cache. Every value is u8 kind, u32 number, then its content, under the session's subkey CRYPT_DERIVED.
 *   info   u64 events of the session, u32 chunks, u32 pictures, u64 bytes of text; for each picture u32 channel, u64 at ns
 *   chunk  zstd frame of chunk.h's encoding
 *   filter as in chunk.h
 *   shot   u32 channel, columns, rows, u64 next sequence number, u64 at ns, zstd frame of the picture
 */
#ifndef BASTION_RECORDER_DERIVED_VALUE_H
#define BASTION_RECORDER_DERIVED_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/chunk.h"
#include "recorder/crypt.h"
#include "recorder/store_derived.h"

#define DERIVED_FILTER_FROM 2048u /* bytes of text of a chunk: less is read as soon as its filter */

struct derived_key {
	uint8_t sid[REC_SID_LEN];
	uint8_t key[CRYPT_KEY_LEN]; /* the session's */
};
void derived_key_done(struct derived_key *k);

/* Room to work on values; its buffers hold the last one. */
struct derived_value;
/* write: values are made with it, too. NULL: out of memory. */
struct derived_value *derived_value_new(bool write);
void derived_value_free(struct derived_value *v);

/* The value that is made, or was opened and stands behind its kind and number; what was expanded of it. Borrowed. */
struct buf *derived_value_buf(struct derived_value *v);
struct buf *derived_value_plain(struct derived_value *v);

/* Making one: its kind and number; content is put behind them, as it is or compressed. 0; ERR_LIMIT; -ENOMEM. */
int derived_value_begin(
    struct derived_value *v, enum sderived_kind kind, uint32_t number) MUST_CHECK;
int derived_value_compress(struct derived_value *v, const void *p, size_t len) MUST_CHECK;
/* All of a chunk; all of its filter. As above. */
int derived_value_chunk(struct derived_value *v, const struct chunk *c) MUST_CHECK;
int derived_value_filter(struct derived_value *v, const struct chunk *c) MUST_CHECK;
/* Its envelope: *ret_p, *ret_len, borrowed until the next value. As above. */
int derived_value_wrap(struct derived_value *v, const struct derived_key *key,
    const uint8_t **ret_p, size_t *ret_len) MUST_CHECK;

/* Open an envelope that shall be of this kind and number. 0; ERR_FORMAT it is not, or was changed; -ENOMEM. */
int derived_value_open(struct derived_value *v, const struct derived_key *key,
    enum sderived_kind kind, uint32_t number, const uint8_t *p, size_t len) MUST_CHECK;
/* Expand the zstd frame that is what is left of it, at most max bytes. Errors as above. */
int derived_value_expand(struct derived_value *v, size_t max) MUST_CHECK;
/* The chunk that was opened, of this number, into c. Errors as above. */
int derived_value_read_chunk(struct derived_value *v, uint32_t number, struct chunk *c) MUST_CHECK;

#endif
