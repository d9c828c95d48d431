/*
 * A block: up to 128 KiB of canonical events, whole ones only, numbered from 0 in its session. Its
 * header is a leaf of the session's tree; the content hash in it is over the events themselves and
 * a salt, never over what compression made of them.
 *
 *   header   u8 version (1), sid, u32 block, u64 first sequence number, u32 events, u64 base ns
 *   (time of the event before
 *            the first), u64 last ns, u64 wall clock at the last, u32 raw length, 32 bytes
 *            SHA-256(salt, raw events)
 *   stored   u8 codec, 16 bytes salt, 8 bytes of SHA-256(payload), payload; cut into pieces of
 *            STORE_PIECE bytes
 *
 * The salt goes when the data goes: without it, the hash of what somebody typed could be guessed.
 */
#ifndef BASTION_RECORDER_BLOCK_H
#define BASTION_RECORDER_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define BLOCK_RAW_MAX 131072u /* bytes of events in one block */
#define BLOCK_SALT_LEN 16u
#define BLOCK_HDR_LEN 93u		 /* bytes of an encoded header */
#define BLOCK_KEY_LEN (REC_SID_LEN + 4u) /* sid, number: its key, before the piece */
#define BLOCK_STORED_MAX                                                                           \
	(BLOCK_RAW_MAX + 64u) /* bytes of a stored block: raw when compression does not help */
#define BLOCK_ZSTD_LEVEL 1

enum block_codec { BLOCK_RAW = 0, BLOCK_ZSTD = 1 };

struct block_hdr {
	uint8_t sid[REC_SID_LEN];
	uint32_t block;
	uint64_t first_seq;
	uint32_t n_events;
	uint64_t base_ns, last_ns; /* since the session was opened */
	uint64_t wall_ns;
	uint32_t raw_len;
	uint8_t content[HASH_LEN];
};

/* The header as it is hashed and stored. */
void block_hdr_encode(const struct block_hdr *h, uint8_t ret_bytes[BLOCK_HDR_LEN]);
/* 0; ERR_FORMAT; ERR_VERSION. */
int block_hdr_parse(const uint8_t *data, size_t len, struct block_hdr *ret_hdr) MUST_CHECK;
void block_key(const uint8_t sid[REC_SID_LEN], uint32_t block, uint8_t ret_key[BLOCK_KEY_LEN]);
/* The content hash of len bytes of events. */
void block_content(
    const uint8_t salt[BLOCK_SALT_LEN], const void *raw, size_t len, uint8_t ret_hash[HASH_LEN]);

/* Compression state, kept because making it costs more than a small block. */
struct block_codec_ctx;
struct block_codec_ctx *block_codec_new(void); /* NULL: out of memory */
void block_codec_free(struct block_codec_ctx *c);

/* Append the stored form of raw to out. 0; -ENOMEM; ERR_LIMIT. */
int block_seal(struct block_codec_ctx *c, const uint8_t salt[BLOCK_SALT_LEN], const void *raw,
    size_t len, struct buf *out) MUST_CHECK;
/*
 * Append the raw_len bytes of events that stored holds to out. 0; ERR_FORMAT; ERR_VERSION unknown
 * codec; -ENOMEM; ERR_LIMIT.
 */
int block_unseal(struct block_codec_ctx *c, const uint8_t *stored, size_t len, size_t raw_len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out) MUST_CHECK;

/* The header of a block. 0; ERR_NOT_FOUND; ERR_FORMAT; ERR_CHAIN it is another block's; -errno. */
int block_get_hdr(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], uint32_t block,
    struct block_hdr *ret_hdr) MUST_CHECK;
/*
 * The events of a block, appended to out after they were compared with the header's hash. 0;
 * ERR_NOT_FOUND no data; ERR_FORMAT; ERR_CHAIN they do not fit; -ENOMEM; -errno.
 */
int block_get_raw(struct store_snap *snap, struct block_codec_ctx *c, const struct block_hdr *hdr,
    struct buf *out, uint8_t ret_salt[BLOCK_SALT_LEN]) MUST_CHECK;

#endif
