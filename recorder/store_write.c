/* The one writer's transaction. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>

#include "recorder/store_part.h"
#include "recorder/store_write.h"

int
store_begin(struct store *s)
{
	if (!s->writer || s->pending.txn != NULL)
		return ERR_ORDER;
	return store_err(mdb_txn_begin(s->env, NULL, 0, &s->pending.txn));
}

void
store_abort(struct store *s)
{
	if (s->pending.txn != NULL)
		mdb_txn_abort(s->pending.txn);
	s->pending.txn = NULL;
}

/*
 * Disk space ahead of the end of the file. Without it the file system may refuse the very pages
 * that say how sessions ended. A file system that cannot do this is used as it is.
 */
static void
store_reserve(struct store *s)
{
	MDB_envinfo info;
	MDB_stat st;
	uint64_t end;
	int fd;

	if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &st) != 0 ||
	    mdb_env_get_fd(s->env, &fd) != 0)
		return;
	end = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
	if (end + STORE_RESERVE / 2 <= s->reserved_to)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)end, (off_t)STORE_RESERVE) == 0 ||
	    errno != ENOSPC)
		s->reserved_to = end + STORE_RESERVE;
}

int
store_commit(struct store *s)
{
	MDB_txn *txn = s->pending.txn;
	int rc;

	if (txn == NULL)
		return ERR_ORDER;
	s->pending.txn = NULL;
	if ((rc = mdb_txn_commit(txn)) != 0)
		return store_err(rc);
	store_reserve(s);
	return 0;
}

struct store_snap *
store_pending(struct store *s)
{
	assert(s->pending.txn != NULL);
	return &s->pending;
}

static int
store_put_flags(struct store *s, enum store_db db, const void *key, size_t key_len,
    const void *data, size_t len, unsigned flags)
{
	MDB_val k = store_val(key, key_len), v = store_val(data, len);

	if (s->pending.txn == NULL)
		return ERR_ORDER;
	return store_err(mdb_put(s->pending.txn, s->dbi[db], &k, &v, flags));
}

int
store_put(struct store *s, enum store_db db, const void *key, size_t key_len, const void *data,
    size_t len)
{
	return store_put_flags(s, db, key, key_len, data, len, 0);
}

int
store_append(struct store *s, enum store_db db, const void *key, size_t key_len, const void *data,
    size_t len)
{
	return store_put_flags(s, db, key, key_len, data, len, MDB_APPEND);
}

int
store_del(struct store *s, enum store_db db, const void *key, size_t key_len)
{
	MDB_val k = store_val(key, key_len);

	if (s->pending.txn == NULL)
		return ERR_ORDER;
	return store_err(mdb_del(s->pending.txn, s->dbi[db], &k, NULL));
}

int
store_put_pieces(struct store *s, enum store_db db, const void *key, size_t key_len,
    const void *data, size_t len, bool append)
{
	unsigned flags = append ? MDB_APPEND : 0;
	const uint8_t *p = data;
	uint8_t k[STORE_KEY_MAX];
	size_t k_len;
	int r = 0;

	for (size_t i = 0; r == 0 && i * STORE_PIECE < len; i++) {
		size_t n = len - i * STORE_PIECE;

		if (n > STORE_PIECE)
			n = STORE_PIECE;
		if ((r = store_piece_key(k, key, key_len, i, &k_len)) == 0)
			r = store_put_flags(s, db, k, k_len, p + i * STORE_PIECE, n, flags);
	}
	return r;
}

int
store_del_pieces(struct store *s, enum store_db db, const void *key, size_t key_len)
{
	uint8_t k[STORE_KEY_MAX];
	size_t k_len;
	int r = 0;

	for (size_t i = 0; r == 0 && i <= UINT16_MAX; i++) {
		if ((r = store_piece_key(k, key, key_len, i, &k_len)) != 0)
			break;
		r = store_del(s, db, k, k_len);
		if (r == ERR_NOT_FOUND && i > 0)
			return 0;
	}
	return r;
}

/* What store_del_some() goes on to delete next; MDB_NOTFOUND: nothing. */
static int
del_find(MDB_cursor *cursor, const void *prefix, size_t prefix_len, MDB_val *ret_data)
{
	MDB_val key = store_val(prefix, prefix_len);
	int rc = mdb_cursor_get(cursor, &key, ret_data, MDB_SET_RANGE);

	if (rc == 0 && (key.mv_size < prefix_len || memcmp(key.mv_data, prefix, prefix_len) != 0))
		return MDB_NOTFOUND;
	return rc;
}

int
store_del_some(struct store *s, enum store_db db, const void *prefix, size_t prefix_len,
    uint64_t max_bytes, uint64_t *ret_bytes, bool *ret_done)
{
	MDB_cursor *cursor;
	uint64_t bytes = 0;
	MDB_val data;
	int rc;

	if (s->pending.txn == NULL)
		return ERR_ORDER;
	if ((rc = mdb_cursor_open(s->pending.txn, s->dbi[db], &cursor)) != 0)
		return store_err(rc);
	while ((rc = del_find(cursor, prefix, prefix_len, &data)) == 0 && bytes < max_bytes) {
		bytes += data.mv_size;
		if ((rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return store_err(rc);
	*ret_bytes = bytes;
	*ret_done = rc == MDB_NOTFOUND;
	return 0;
}
