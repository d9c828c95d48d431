/*
 * The store: every LMDB call of the project stands in store.c. Databases, keys and snapshots; what
 * the values mean is written in sess.h, block.h, mlog.h and journal.h. One process writes (the
 * recorder); readers open the same files read-only but need write access to lock.mdb. Integers in
 * keys are big-endian, so that LMDB's order is theirs.
 */
#ifndef BASTION_RECORDER_STORE_H
#define BASTION_RECORDER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define STORE_FORMAT 2u		       /* version of all encodings in the store */
#define STORE_MAP_DEFAULT (1ull << 40) /* bytes of address space; the file grows as needed */
#define STORE_READERS_MAX 1024u	       /* readers at once */
/*
 * Bytes of one value: with LMDB's header exactly one page, so that it never looks for runs of
 * pages.
 */
#define STORE_PIECE 4080u
#define STORE_KEY_MAX 511u

/* db: key -> value */
enum store_db {
	STORE_META,    /* name -> value: see below */
	STORE_SESS,    /* sid -> session record (sess.h) */
	STORE_JOURNAL, /* u64 commit number, u16 piece -> fragments (journal.h) */
	STORE_BLK,     /* sid, u32 block, u16 piece -> stored block (block.h) */
	STORE_HDR,     /* sid, u32 block -> block header (block.h); stays when the data is erased */
	STORE_HEAD,    /* sid -> last signed head (head.h) of every session that is open */
	STORE_LOG,     /* u64 index -> leaf (mlog.h) */
	STORE_AUDIT,   /* u64 index of its leaf -> salt, text (mlog.h) */
	STORE_IX,      /* index entries (sess.h) -> nothing */
	STORE_FATE,    /* sid -> what was decided about it: held, erased (fate.h) */
	STORE_KEY,     /* sid -> key record (seskey.h) */
	STORE_DB_COUNT,
	/*
	 * In bundles only. Their entries carry these numbers, so that new ones go behind the last
	 * above, and none ever changes.
	 */
	STORE_PROOF = 64 /* u64 index of a leaf -> its path under the checkpoint: n hashes */
};

/* Names in STORE_META. */
#define STORE_META_FORMAT "format" /* u32 STORE_FORMAT */
#define STORE_META_UUID "uuid"	   /* 16 random bytes: this store */
#define STORE_META_ORIGIN "origin" /* text: name of the log */
#define STORE_META_VKEY                                                                            \
	"vkey" /* text: the note verifier key; only a hint, never what a verifier trusts */
#define STORE_META_CHECKPOINT "ckpt" /* text: the newest signed checkpoint */
#define STORE_META_RANGE "range"     /* compact range of the log's tree (tree.h) */
#define STORE_META_WIPE                                                                            \
	"wipe" /* u64 slots of session.keys whose sessions are erased and that may not be overwritten yet */
#define STORE_META_EPOCH "epoch" /* u64 index of the KEY leaf of the key in force */

struct store;	   /* an open environment */
struct store_snap; /* a read snapshot: what was committed at one moment */

/* Open for reading. 0; -ENOENT no store there; ERR_VERSION; -errno. */
int store_open_read(const char *dir, struct store **ret_store) MUST_CHECK;
/*
 * The same for a bundle (store_bundle.h). Reading one never blocks and its snapshots show what is
 * there for good; it may also fail with ERR_FORMAT wherever a store can fail. 0; ERR_FORMAT not a
 * bundle, or a cut one; ERR_VERSION; -errno.
 */
int store_open_bundle(const char *file, struct store **ret_store) MUST_CHECK;
void store_close(struct store *s);

/*
 * How sessions are opened. A store opens unsealed sessions by itself, with session.keys beside it (slots.h). For sealed
 * ones it may be given an auditor's secret key, or the key of one session that runs; both are copied to locked memory.
 * seskey.h uses them. 0; -ENOMEM.
 */
int store_set_auditor(struct store *s, const uint8_t secret[32]) MUST_CHECK;
int store_set_live(struct store *s, const uint8_t key[32]) MUST_CHECK;
/* Why sessions do not open with ERR_KEYS: one line for people. Static. */
const char *store_keys_why(struct store *s);

/*
 * A snapshot. Never hold one while waiting for anything: the file grows while it is held. 0;
 * ERR_LIMIT too many readers; -errno.
 */
int store_snap_new(struct store *s, struct store_snap **ret_snap) MUST_CHECK;
/*
 * Let go of the present (pointers from it die) without giving up the slot; then move to the newest
 * commit.
 */
void store_snap_reset(struct store_snap *snap);
int store_snap_renew(struct store_snap *snap) MUST_CHECK;
void store_snap_free(struct store_snap *snap);

/*
 * The value of a key, borrowed until the snapshot is reset, renewed or freed. 0; ERR_NOT_FOUND;
 * ERR_LIMIT; -errno.
 */
int store_get(struct store_snap *snap, enum store_db db, const void *key, size_t key_len,
    const uint8_t **ret_data, size_t *ret_len) MUST_CHECK;

/*
 * A value that is stored in pieces under key and a u16 piece number, appended to out. 0;
 * ERR_NOT_FOUND not even the first piece; ERR_LIMIT more than out takes; -ENOMEM; -errno.
 */
#define STORE_PIECE_KEY_LEN 2u
int store_get_pieces(struct store_snap *snap, enum store_db db, const void *key, size_t key_len,
    struct buf *out) MUST_CHECK;

/* Walks keys in order; the snapshot must stay as it is meanwhile. */
struct store_iter;
struct store_item {
	const uint8_t *key, *data; /* borrowed like store_get() */
	size_t key_len, len;
};
/*
 * From the first key >= from (all keys: from_len 0), or backwards from the last key <= from
 * (from_len 0: the last). 0; -errno.
 */
int store_iter_new(struct store_snap *snap, enum store_db db, const void *from, size_t from_len,
    bool backwards, struct store_iter **ret_iter) MUST_CHECK;
/* 0; ERR_NOT_FOUND at the end; -errno. */
int store_iter_next(struct store_iter *it, struct store_item *ret_item) MUST_CHECK;
void store_iter_free(struct store_iter *it);

/*
 * Everything that any snapshot of it has shown so far is there after a power cut too, whatever the
 * writer's durability. Reads the disk's answer, writes nothing of its own. 0; -errno.
 */
int store_sync(struct store *s) MUST_CHECK;

/* Number of keys. 0; -errno. */
int store_count(struct store_snap *snap, enum store_db db, uint64_t *ret_n) MUST_CHECK;
/*
 * Number of the last committed transaction in this snapshot: unchanged means that nothing is new.
 */
uint64_t store_snap_txn(const struct store_snap *snap);
/* The bundle behind it; NULL: it is a store. Borrowed. */
struct bundle;
const struct bundle *store_bundle(const struct store_snap *snap);
/* The newest one of all, without a snapshot: more than store_snap_txn() means that there is something new. Of a bundle 0. */
uint64_t store_last_txn(const struct store *s);

#endif
