/*
 * The signed head of a session: how far it is, under one signature. Made once a second while a
 * session has news, so that a crash leaves a signed prefix; the last one, with the session's end in
 * it, is its end digest.
 *
 *   16 bytes "bastiond-head-v2", sid, u8 enum sess_state, u32 sealed blocks, u64 events, u64 last
 *   ns, 32 bytes root of the
 *   tree over the sealed blocks' headers, u32 bytes of events in the block that is not sealed yet,
 *   32 bytes content hash of them, 32 bytes SHA-256 over their envelopes in the journal (both zero
 *   when there are none), 64 bytes Ed25519 signature of all that
 *
 * A commit that seals a block signs the session's head, so that in every snapshot the head is about
 * just as many sealed blocks as there are.
 */
#ifndef BASTION_RECORDER_HEAD_H
#define BASTION_RECORDER_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/block.h"
#include "recorder/note.h"
#include "recorder/recorder_proto.h"
#include "recorder/tree.h"

#define HEAD_BODY_LEN 153u
#define HEAD_LEN (HEAD_BODY_LEN + NOTE_SIG_LEN)

struct head {
	uint8_t sid[REC_SID_LEN];
	uint8_t state; /* enum sess_state */
	uint32_t n_blocks;
	uint64_t n_events; /* those in the unsealed block too */
	uint64_t last_ns;
	uint8_t root[HASH_LEN];
	uint32_t partial_len;
	uint8_t partial[HASH_LEN], partial_stored[HASH_LEN];
};

/* Encode and sign. secret: 64 bytes as of libsodium. 0; ERR_CRYPTO. */
int head_sign(
    const struct head *h, const uint8_t secret[64], uint8_t ret_bytes[HEAD_LEN]) MUST_CHECK;
/* Parse without looking at the signature. 0; ERR_FORMAT. */
int head_parse(const uint8_t *data, size_t len, struct head *ret_head) MUST_CHECK;
/* Parse and verify. 0; ERR_FORMAT; ERR_SIGNATURE. */
int head_verify(const uint8_t *data, size_t len, const uint8_t key[NOTE_KEY_LEN],
    struct head *ret_head) MUST_CHECK;

/*
 * Whether a head is about these blocks: sealed is the tree over all headers, content and stored are
 * the hashes of the first h->partial_len bytes that follow in the journal (growing.h finds them);
 * NULL: there are not as many, which is right when the head has none either. 0; ERR_CHAIN.
 */
int head_covers(const struct head *h, const struct tree *sealed, const uint8_t *content,
    const uint8_t *stored) MUST_CHECK;

#endif
