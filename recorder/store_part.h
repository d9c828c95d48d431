/* What store.c, store_read.c, store_write.c and store_space.c share: the only header that knows LMDB. */
#ifndef BASTION_RECORDER_STORE_PART_H
#define BASTION_RECORDER_STORE_PART_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/store.h"
#include "recorder/store_keys.h"

struct store_snap {
	struct store *store;
	MDB_txn *txn;
	bool idle; /* reset: the slot is kept, nothing may be read */
};

struct store {
	struct bundle *bundle; /* NULL: LMDB, the rest */
	MDB_env *env;
	MDB_dbi dbi[STORE_DB_COUNT];
	bool writer;
	int lock_fd;
	struct store_snap pending; /* the write transaction; txn NULL: none is open */
	uint64_t reserved_to;	   /* offset up to which the file has disk space */
	struct store_keys keys;
};

/* LMDB's error as ours. */
int store_err(int rc) MUST_CHECK;
/* LMDB's values are not const, but it only reads keys. Borrows data. */
MDB_val store_val(const void *data, size_t len);
/* The key of piece i: key, u16. dst: STORE_KEY_MAX bytes. 0; ERR_LIMIT. */
int store_piece_key(
    uint8_t *dst, const void *key, size_t key_len, size_t i, size_t *ret_len) MUST_CHECK;

#endif
