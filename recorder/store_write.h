/* The writing half of the store: one transaction at a time, owned by the recorder alone. */
#ifndef BASTION_RECORDER_STORE_WRITE_H
#define BASTION_RECORDER_STORE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/store.h"

/*
 * What a commit promises. Strict: its pages and its meta page have reached the disk (LMDB's default
 * flags). Process: its pages have, its meta page may still be in the kernel until the next commit
 * or store_sync() takes it along. So kill -9 loses nothing; a power cut loses at most the last
 * commit, as a whole, and leaves the store as it was before it. That it is never damaged rests on
 * two rules of LMDB: data reaches the disk before the meta page that points to it is written, and
 * no page is used again that either of the last two meta pages can reach. (MDB_NOSYNC would be
 * faster and gives up the first.)
 */
enum store_durability { STORE_STRICT = 1, STORE_PROCESS = 2 };

#define STORE_RESERVE                                                                              \
	(16ull << 20) /* bytes of disk held back, so that the last words of a full disk fit */

struct store_conf {
	const char *dir;   /* exists, mode 0700; borrowed */
	uint64_t map_size; /* bytes; 0: STORE_MAP_DEFAULT */
	enum store_durability durability;
};

/*
 * Open, or make, the store and hold it against a second writer. 0; ERR_EXISTS another recorder has
 * it; ERR_VERSION; -errno.
 */
int store_open_write(const struct store_conf *conf, struct store **ret_store) MUST_CHECK;

/* Begin the transaction that the calls below belong to. 0; ERR_ORDER one is open; -errno. */
int store_begin(struct store *s) MUST_CHECK;
/*
 * 0: durable as configured. Any error: nothing of it is, and the store must not be written again by
 * this process.
 */
int store_commit(struct store *s) MUST_CHECK;
void store_abort(struct store *s);
/* The open transaction as a snapshot that sees what was put; it dies with the transaction. */
struct store_snap *store_pending(struct store *s);

/* Set a key. 0; -ENOSPC disk or map is full; -errno. */
int store_put(struct store *s, enum store_db db, const void *key, size_t key_len, const void *data,
    size_t len) MUST_CHECK;
/* Set a key that is higher than all others in db, which is cheaper. ERR_EXISTS when it is not. */
int store_append(struct store *s, enum store_db db, const void *key, size_t key_len,
    const void *data, size_t len) MUST_CHECK;
/*
 * Store len bytes (at least one) in pieces under key; append: key is higher than all others. Errors
 * as above; ERR_LIMIT too long.
 */
int store_put_pieces(struct store *s, enum store_db db, const void *key, size_t key_len,
    const void *data, size_t len, bool append) MUST_CHECK;
/* Remove all pieces under key. 0; ERR_NOT_FOUND there were none; -errno. */
int store_del_pieces(struct store *s, enum store_db db, const void *key, size_t key_len) MUST_CHECK;
/* Remove a key. 0; ERR_NOT_FOUND; -errno. */
int store_del(struct store *s, enum store_db db, const void *key, size_t key_len) MUST_CHECK;

/*
 * Remove keys that begin with prefix, in order, until about max_bytes of values are gone. *ret_bytes: how many; *ret_done:
 * no such key is left. 0; -errno.
 */
int store_del_some(struct store *s, enum store_db db, const void *prefix, size_t prefix_len,
    uint64_t max_bytes, uint64_t *ret_bytes, bool *ret_done) MUST_CHECK;

/* How full, in bytes. 0; -errno. */
struct store_space {
	uint64_t file_bytes; /* the file, to its last page */
	uint64_t
	    used_bytes; /* of these, pages that hold something; the others are used again first */
	uint64_t journal_bytes; /* of used_bytes: the journal, which passes and is bounded */
	uint64_t map_bytes;	/* what the file may grow to */
	uint64_t disk_free, disk_size;
};
int store_space(struct store *s, struct store_space *ret_space) MUST_CHECK;

/* Of all that have a snapshot open at the moment, the one with the oldest. */
struct store_reader {
	int pid;       /* 0: nobody has one */
	uint64_t txn;  /* that its snapshot shows */
	uint64_t lag;  /* commits since */
	int n_cleared; /* slots of readers that had died */
};
/* Clear the slots of readers that died, and find the slowest of the others. To be called every few seconds. 0; -errno. */
int store_check_readers(struct store *s, struct store_reader *ret_slowest) MUST_CHECK;

/*
 * Write what is committed into a new file at path (mode 0600, must not be there), without free pages and in order of keys,
 * and sync it. 0; ERR_EXISTS; -errno: whatever of the file is there is to be removed.
 */
int store_copy(struct store *s, const char *path) MUST_CHECK;

#endif
