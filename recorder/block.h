/*
 * A block: up to 128 KiB of canonical events, whole ones only, numbered from 0 in its session. Its
 * header is a leaf of the session's tree. It has two hashes: of the events themselves with a salt,
 * never of what compression made of them; and of the bytes as they are stored, which are encrypted
 * under the session's key (crypt.h). So the second one can be checked by everybody, the first one by
 * who can open the session.
 *
 *   header   u8 version (2), sid, u32 block, u64 first sequence number, u32 events, u64 base ns
 *            (time of the event before the first), u64 last ns, u64 wall clock at the last, u32 raw
 *            length, 32 bytes content hash: SHA-256(salt, raw events), 32 bytes SHA-256(stored)
 *   stored   u8 codec, then
 *            BLOCK_RAW, BLOCK_ZSTD, BLOCK_COLUMNS
 *                                    envelope (CRYPT_BLOCK, of this block) of: 16 bytes salt, payload: the
 *                                    events, a zstd frame of them, or one of them in columns
 *                                    (block_columns.h) with the first dictionary (block_dict.h)
 *            BLOCK_FRAGMENTS         the journal's envelopes as they were, each after its u32 length:
 *                                    what a start makes of a block that was growing when the recorder
 *                                    stopped, because it may not have the key any more
 *            cut into pieces of STORE_PIECE bytes
 *
 * The salt is in the envelope: who has only the header cannot guess what somebody typed.
 */
#ifndef BASTION_RECORDER_BLOCK_H
#define BASTION_RECORDER_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/crypt.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define BLOCK_RAW_MAX 131072u /* bytes of events in one block */
#define BLOCK_SALT_LEN 16u
#define BLOCK_HDR_LEN 125u		 /* bytes of an encoded header */
#define BLOCK_KEY_LEN (REC_SID_LEN + 4u) /* sid, number: its key, before the piece */
#define BLOCK_STORED_MAX                                                                           \
	(1u << 20) /* bytes of a stored block: in fragments of one short event each, it is long */
#define BLOCK_ZSTD_LEVEL 1 /* when much comes at once */
#define BLOCK_ZSTD_SMALL 9 /* otherwise */
#define BLOCK_SHORT 16384u /* a block of no more bytes is worth the dictionary at any time */
#define BLOCK_SHARE 20u	   /* the part of all time that this level may take: one of so many */
#define BLOCK_SAVED_NS 100000000ull /* of such time that is saved up, at most */
#define BLOCK_SMALL_NS 10000000ull  /* what must be there: a block's worth of it */

/* What another dictionary makes is another codec. */
enum block_codec { BLOCK_RAW = 0, BLOCK_ZSTD = 1, BLOCK_FRAGMENTS = 2, BLOCK_COLUMNS = 3 };

struct block_hdr {
	uint8_t sid[REC_SID_LEN];
	uint32_t block;
	uint64_t first_seq;
	uint32_t n_events;
	uint64_t base_ns, last_ns; /* since the session was opened */
	uint64_t wall_ns;
	uint32_t raw_len;
	uint8_t content[HASH_LEN], stored[HASH_LEN];
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

/*
 * Append the stored form of raw to out: block number block of session sid, under its key. 0;
 * -ENOMEM; ERR_LIMIT.
 */
int block_seal(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const uint8_t sid[REC_SID_LEN], uint32_t block, const uint8_t salt[BLOCK_SALT_LEN],
    const void *raw, size_t len, struct buf *out) MUST_CHECK;
/*
 * Append the hdr->raw_len bytes of events that stored holds to out. Neither hash of hdr is looked
 * at. 0; ERR_CHAIN another key, or changed; ERR_FORMAT; ERR_VERSION unknown codec; -ENOMEM;
 * ERR_LIMIT.
 */
int block_unseal(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, const uint8_t *stored, size_t len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out) MUST_CHECK;
/*
 * The same of a whole block, however many bytes are in it (at most BLOCK_RAW_MAX): for the verifier, to say what was done
 * to it.
 */
int block_unseal_any(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, const uint8_t *stored, size_t len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out) MUST_CHECK;
/*
 * The same, and both hashes of hdr must be those of what is there, else ERR_CHAIN. For who has a
 * header and stored bytes from elsewhere than a store.
 */
int block_open(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, const uint8_t *stored, size_t len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out) MUST_CHECK;

/* The header of a block. 0; ERR_NOT_FOUND; ERR_FORMAT; ERR_CHAIN it is another block's; -errno. */
int block_get_hdr(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], uint32_t block,
    struct block_hdr *ret_hdr) MUST_CHECK;
/* Its stored bytes, appended to out, whatever they are. 0; ERR_NOT_FOUND; ERR_LIMIT; -errno. */
int block_get_stored(
    struct store_snap *snap, const struct block_hdr *hdr, struct buf *out) MUST_CHECK;
/*
 * The events of a block, appended to out after they were compared with the header's hashes. key: of
 * seskey.h. 0; ERR_NOT_FOUND no data; ERR_FORMAT; ERR_CHAIN they do not fit; -ENOMEM; -errno.
 */
int block_get_raw(struct store_snap *snap, struct block_codec_ctx *c,
    const uint8_t key[CRYPT_KEY_LEN], const struct block_hdr *hdr, struct buf *out,
    uint8_t ret_salt[BLOCK_SALT_LEN]) MUST_CHECK;

#endif
