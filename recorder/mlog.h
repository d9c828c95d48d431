/*
 * The log over all sessions: one append-only Merkle tree (RFC 6962) whose leaves say what happened
 * when, without personal data: only salted hashes of it. Its head is a signed checkpoint (note.h).
 *
 * A leaf: u8 version (1), u8 enum mlog_type, u64 wall clock in ns, then
 *   INIT      16 bytes store uuid, u32 STORE_FORMAT, string origin
 *   KEY       32 bytes Ed25519 public key, string its name: it signs heads and checkpoints from here on; then, but for
 *             the first one, 64 bytes signature of the key before it over "bastiond-key-v1", NUL, u64 leaves before this
 *             one, 32 bytes root of those, the new public key
 *   OPEN      sid, 32 bytes hash of the opening part of the session record (sess.h)
 *   CLOSE     sid, u8 enum sess_state, 32 bytes root of the session's tree, u32 blocks, u64 events,
 *             32 bytes hash of the end part
 *   RECOVERY  u32 sessions that were open when the recorder stopped without ending them
 *   AUDIT     32 bytes SHA-256(salt, text); salt and text are in STORE_AUDIT under the leaf's index
 *   ERASE     sid, u8 enum mlog_erase, 32 bytes SHA-256(salt, text) as of AUDIT: who, when, why. Its events and key are gone
 *   HOLD      sid, u8 1 held 0 let go, 32 bytes SHA-256(salt, text) as of AUDIT
 * The texts of ERASE and HOLD are audit events, too: JSON objects with "event" ("session.erased", "session.held",
 * "session.released"), "session" (32 hex digits), "by" and "why".
 */
#ifndef BASTION_RECORDER_MLOG_H
#define BASTION_RECORDER_MLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/note.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define MLOG_LEAF_MAX 1024u /* bytes of one leaf */
#define MLOG_SALT_LEN 32u
#define MLOG_FIRST_KEY 1u /* index of the leaf with the key that a log begins with */

enum mlog_type {
	MLOG_INIT = 1,
	MLOG_KEY = 2,
	MLOG_OPEN = 3,
	MLOG_CLOSE = 4,
	MLOG_RECOVERY = 5,
	MLOG_AUDIT = 6,
	MLOG_ERASE = 7,
	MLOG_HOLD = 8
};

enum mlog_erase { MLOG_ERASE_ASKED = 1, MLOG_ERASE_AGE = 2, MLOG_ERASE_SPACE = 3 };

/* A leaf taken apart; fields that its type does not have are zero. */
struct mlog_leaf {
	enum mlog_type type; /* others are legal: made by a newer version */
	uint64_t wall_ns;
	uint8_t sid[REC_SID_LEN];
	uint8_t state;			 /* CLOSE */
	uint8_t root[HASH_LEN];		 /* CLOSE */
	uint32_t n_blocks;		 /* CLOSE */
	uint64_t n_events;		 /* CLOSE */
	uint8_t hash[HASH_LEN];		 /* OPEN, CLOSE, AUDIT, ERASE, HOLD */
	uint8_t key[NOTE_KEY_LEN];	 /* KEY */
	bool has_signature;		 /* KEY: all but the first */
	uint8_t signature[NOTE_SIG_LEN]; /* KEY: of the key before it */
	uint8_t how;			 /* ERASE: enum mlog_erase; HOLD: 1 or 0 */
	uint8_t uuid[16];		 /* INIT */
	uint32_t format;		 /* INIT */
	uint32_t n_truncated;		 /* RECOVERY */
	char name[NOTE_NAME_MAX];	 /* INIT: origin; KEY: its name */
};

/* Its bytes, with this time. type: one of the above. 0; ERR_LIMIT; -ENOMEM. */
int mlog_leaf_put(struct buf *b, const struct mlog_leaf *leaf, uint64_t wall_ns) MUST_CHECK;
/* Its place as a key of STORE_LOG and STORE_AUDIT. */
#define MLOG_KEY_LEN 8u
void mlog_key(uint64_t index, uint8_t ret_key[MLOG_KEY_LEN]);
/* 0; ERR_FORMAT; ERR_VERSION. */
int mlog_leaf_parse(const uint8_t *data, size_t len, struct mlog_leaf *ret_leaf) MUST_CHECK;
/* The bytes of a leaf, borrowed from the snapshot. 0; ERR_NOT_FOUND; -errno. */
int mlog_leaf_get(
    struct store_snap *snap, uint64_t index, const uint8_t **ret_data, size_t *ret_len) MUST_CHECK;
/* "init", "open" ...; "unknown". Static. */
const char *mlog_type_name(unsigned type);

/* "asked", "age", "space" for enum mlog_erase; "unknown". Static. */
const char *mlog_erase_name(unsigned how);

/* What the signature of a KEY leaf is over: see above. */
#define MLOG_SUCCESSION_LEN (16u + 8u + HASH_LEN + NOTE_KEY_LEN)
void mlog_succession(uint64_t n_leaves, const uint8_t root[HASH_LEN],
    const uint8_t new_key[NOTE_KEY_LEN], uint8_t ret_bytes[MLOG_SUCCESSION_LEN]);

/*
 * The text of an audit event, or of an ERASE or HOLD leaf (a JSON object, not terminated), borrowed
 * from the snapshot. 0; ERR_NOT_FOUND; ERR_FORMAT; -errno.
 */
int mlog_audit_get(
    struct store_snap *snap, uint64_t index, const uint8_t **ret_text, size_t *ret_len) MUST_CHECK;
/* The newest checkpoint note, borrowed from the snapshot. 0; ERR_NOT_FOUND; -errno. */
int mlog_checkpoint_get(struct store_snap *snap, const char **ret_note, size_t *ret_len) MUST_CHECK;

#endif
