/*
 * LMDB: environment, transactions, cursors, and its error codes, which end here. Or, for one session
 * that left its bastion, a bundle, which never changes.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/statvfs.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/store.h"
#include "recorder/store_bundle.h"
#include "recorder/store_keys.h"
#include "recorder/store_write.h"

#define LOCK_NAME "recorder.lock"

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

struct store_iter {
	const struct bundle *bundle; /* NULL: LMDB */
	struct bundle_entry last;    /* of a bundle: db, and the key given out last */
	uint64_t at;		     /* of a bundle: the next entry; backwards: the one behind it */
	bool backwards;
	MDB_cursor *cursor;
	MDB_cursor_op next;
	bool started;
	MDB_val key, data; /* of the first item, while !started */
	int first;	   /* what finding it said */
};

static const char *const db_names[STORE_DB_COUNT] = {
	[STORE_META] = "meta",
	[STORE_SESS] = "sess",
	[STORE_JOURNAL] = "journal",
	[STORE_BLK] = "blk",
	[STORE_HDR] = "hdr",
	[STORE_HEAD] = "head",
	[STORE_LOG] = "log",
	[STORE_AUDIT] = "audit",
	[STORE_IX] = "ix",
	[STORE_FATE] = "fate",
	[STORE_KEY] = "key",
};

static int
store_err(int rc)
{
	static const struct {
		int mdb, err;
	} map[] = {
		{ MDB_SUCCESS, 0 },
		{ MDB_NOTFOUND, ERR_NOT_FOUND },
		{ MDB_KEYEXIST, ERR_EXISTS },
		{ MDB_MAP_FULL, -ENOSPC },
		{ MDB_READERS_FULL, ERR_LIMIT },
		{ MDB_TXN_FULL, ERR_LIMIT },
		{ MDB_VERSION_MISMATCH, ERR_VERSION },
		{ MDB_INVALID, ERR_FORMAT },
		{ MDB_CORRUPTED, ERR_CHAIN },
		{ MDB_PAGE_NOTFOUND, ERR_CHAIN },
		{ MDB_BAD_VALSIZE, ERR_LIMIT },
		{ MDB_MAP_RESIZED, -EAGAIN },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].mdb == rc)
			return map[i].err;
	return rc > 0 ? -rc : -EIO;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_abort(s);
	bundle_close(s->bundle);
	if (s->env != NULL)
		mdb_env_close(s->env);
	fd_close(&s->lock_fd);
	store_keys_done(&s->keys);
	free(s);
}

static int
store_new(bool writer, const char *dir, uint64_t map_size, struct store **ret_store)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->writer = writer;
	s->lock_fd = -1;
	s->pending.store = s;
	if ((s->keys.dir = strdup(dir)) == NULL) {
		store_close(s);
		return -ENOMEM;
	}
	if ((r = store_err(mdb_env_create(&s->env))) != 0 ||
	    (r = store_err(mdb_env_set_maxdbs(s->env, STORE_DB_COUNT))) != 0 ||
	    (r = store_err(mdb_env_set_maxreaders(s->env, STORE_READERS_MAX))) != 0 ||
	    (map_size != 0 && (r = store_err(mdb_env_set_mapsize(s->env, map_size))) != 0)) {
		store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

/* All databases, in one transaction; a writer makes those that are not there. */
static int
store_open_dbs(struct store *s)
{
	unsigned flags = s->writer ? MDB_CREATE : 0;
	MDB_txn *txn;
	int rc;

	if ((rc = mdb_txn_begin(s->env, NULL, s->writer ? 0 : MDB_RDONLY, &txn)) != 0)
		return store_err(rc);
	for (size_t i = 0; i < STORE_DB_COUNT && rc == 0; i++)
		rc = mdb_dbi_open(txn, db_names[i], flags, &s->dbi[i]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_NOTFOUND ? ERR_VERSION : store_err(rc);
	}
	return store_err(mdb_txn_commit(txn));
}

static int
store_check_format(struct store *s)
{
	static const uint8_t want[4] = { 0, 0, 0, STORE_FORMAT };
	struct store_snap *snap;
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_snap_new(s, &snap)) != 0)
		return r;
	r = store_get(snap, STORE_META, STORE_META_FORMAT, strlen(STORE_META_FORMAT), &data, &len);
	if (r == 0 && (len != sizeof(want) || memcmp(data, want, len) != 0))
		r = ERR_VERSION;
	store_snap_free(snap);
	return r;
}

int
store_open_read(const char *dir, struct store **ret_store)
{
	struct store *s;
	int r;

	if ((r = store_new(false, dir, 0, &s)) != 0)
		return r;
	if ((r = store_err(mdb_env_open(s->env, dir, MDB_RDONLY | MDB_NOTLS, 0600))) != 0 ||
	    (r = store_open_dbs(s)) != 0 || (r = store_check_format(s)) != 0) {
		store_close(s);
		return r == ERR_NOT_FOUND ? ERR_VERSION : r;
	}
	*ret_store = s;
	return 0;
}

int
store_open_bundle(const char *file, struct store **ret_store)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->lock_fd = -1;
	s->pending.store = s;
	if ((r = bundle_open(file, &s->bundle)) != 0 || (r = store_check_format(s)) != 0) {
		store_close(s);
		return r == ERR_NOT_FOUND ? ERR_FORMAT : r;
	}
	*ret_store = s;
	return 0;
}

const struct bundle *
store_bundle(const struct store_snap *snap)
{
	return snap->store->bundle;
}

static int
store_lock(struct store *s, const char *dir)
{
	char path[4096];
	int r;

	if ((r = str_format(path, sizeof(path), "%s/" LOCK_NAME, dir)) != 0)
		return r;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return -errno;
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ERR_EXISTS : -errno;
	return 0;
}

/* A file is there after a power cut only when its folder was synced too. */
static int
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) != 0 ? -errno : 0;
	fd_close(&fd);
	return r;
}

int
store_open_write(const struct store_conf *conf, struct store **ret_store)
{
	unsigned flags = MDB_NOTLS | (conf->durability == STORE_PROCESS ? MDB_NOMETASYNC : 0);
	struct store *s;
	int r;

	r = store_new(
	    true, conf->dir, conf->map_size != 0 ? conf->map_size : STORE_MAP_DEFAULT, &s);
	if (r != 0)
		return r;
	if ((r = store_lock(s, conf->dir)) != 0 ||
	    (r = store_err(mdb_env_open(s->env, conf->dir, flags, 0600))) != 0 ||
	    (r = store_open_dbs(s)) != 0 || (r = sync_dir(conf->dir)) != 0)
		goto fail;
	r = store_check_format(s);
	if (r != 0 && r != ERR_NOT_FOUND)
		goto fail;
	*ret_store = s;
	return 0;
fail:
	store_close(s);
	return r;
}

int
store_snap_new(struct store *s, struct store_snap **ret_snap)
{
	struct store_snap *snap = calloc(1, sizeof(*snap));
	int r;

	if (snap == NULL)
		return -ENOMEM;
	snap->store = s;
	if (s->bundle == NULL &&
	    (r = store_err(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &snap->txn))) != 0) {
		free(snap);
		return r;
	}
	*ret_snap = snap;
	return 0;
}

void
store_snap_reset(struct store_snap *snap)
{
	if (snap->idle || snap->store->bundle != NULL)
		return;
	mdb_txn_reset(snap->txn);
	snap->idle = true;
}

int
store_snap_renew(struct store_snap *snap)
{
	int rc;

	if (snap->store->bundle != NULL)
		return 0;
	store_snap_reset(snap);
	if ((rc = mdb_txn_renew(snap->txn)) != 0)
		return store_err(rc);
	snap->idle = false;
	return 0;
}

void
store_snap_free(struct store_snap *snap)
{
	if (snap == NULL)
		return;
	if (snap->txn != NULL)
		mdb_txn_abort(snap->txn);
	free(snap);
}

int
store_sync(struct store *s)
{
	int fd, rc;

	if (s->bundle != NULL)
		return 0;
	/* Not mdb_env_sync(), which a reader may not call. */
	if ((rc = mdb_env_get_fd(s->env, &fd)) != 0)
		return store_err(rc);
	/* A file system that never changes may not know how to sync; it loses nothing. */
	return fdatasync(fd) != 0 && errno != EROFS && errno != EINVAL ? -errno : 0;
}

uint64_t
store_snap_txn(const struct store_snap *snap)
{
	return snap->txn != NULL ? mdb_txn_id(snap->txn) : 1;
}

uint64_t
store_last_txn(const struct store *s)
{
	MDB_envinfo info;

	return s->bundle == NULL && mdb_env_info(s->env, &info) == 0 ? info.me_last_txnid : 0;
}

/* LMDB's values are not const, but it only reads keys. */
static MDB_val
val(const void *data, size_t len)
{
	return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)data };
}

static int
get_bundled(const struct bundle *b, enum store_db db, const void *key, size_t key_len,
    const uint8_t **ret_data, size_t *ret_len)
{
	const struct bundle_entry want = { .db = db, .key = key, .key_len = key_len };
	struct bundle_entry e;
	uint64_t at;
	int r;

	if ((r = bundle_find(b, db, key, key_len, &at)) != 0 || (r = bundle_at(b, at, &e)) != 0)
		return r;
	if (bundle_compare(&e, &want) != 0)
		return ERR_NOT_FOUND;
	*ret_data = e.data;
	*ret_len = e.len;
	return 0;
}

int
store_get(struct store_snap *snap, enum store_db db, const void *key, size_t key_len,
    const uint8_t **ret_data, size_t *ret_len)
{
	MDB_val k = val(key, key_len), v;
	int r;

	if (snap->store->bundle != NULL)
		return get_bundled(snap->store->bundle, db, key, key_len, ret_data, ret_len);
	if (db >= STORE_DB_COUNT)
		return ERR_NOT_FOUND;
	if ((r = store_err(mdb_get(snap->txn, snap->store->dbi[db], &k, &v))) != 0)
		return r;
	*ret_data = v.mv_data;
	*ret_len = v.mv_size;
	return 0;
}

/* The key of piece i: key, u16. */
static int
piece_key(uint8_t *dst, const void *key, size_t key_len, size_t i, size_t *ret_len)
{
	if (key_len > STORE_KEY_MAX - STORE_PIECE_KEY_LEN || i > UINT16_MAX)
		return ERR_LIMIT;
	memcpy(dst, key, key_len);
	dst[key_len] = (uint8_t)(i >> 8);
	dst[key_len + 1] = (uint8_t)i;
	*ret_len = key_len + STORE_PIECE_KEY_LEN;
	return 0;
}

int
store_get_pieces(
    struct store_snap *snap, enum store_db db, const void *key, size_t key_len, struct buf *out)
{
	uint8_t k[STORE_KEY_MAX];
	const uint8_t *data = NULL;
	size_t len = STORE_PIECE, k_len;
	int r = 0;

	/* All pieces but the last are full. */
	for (size_t i = 0; r == 0 && len == STORE_PIECE; i++) {
		if ((r = piece_key(k, key, key_len, i, &k_len)) != 0)
			break;
		r = store_get(snap, db, k, k_len, &data, &len);
		if (r == ERR_NOT_FOUND && i > 0)
			return 0;
		if (r == 0)
			r = buf_put(out, data, len);
	}
	return r;
}

int
store_count(struct store_snap *snap, enum store_db db, uint64_t *ret_n)
{
	const struct bundle *b = snap->store->bundle;
	uint64_t from, to;
	MDB_stat st;
	int rc;

	if (b != NULL) {
		if ((rc = bundle_find(b, db, NULL, 0, &from)) != 0 ||
		    (rc = bundle_find(b, db + 1u, NULL, 0, &to)) != 0)
			return rc;
		*ret_n = to > from ? to - from : 0; /* one that is not in order is hostile */
		return 0;
	}
	rc = mdb_stat(snap->txn, snap->store->dbi[db], &st);
	if (rc == 0)
		*ret_n = st.ms_entries;
	return store_err(rc);
}

/* Walking a bundle: from the first entry of db at or behind from; backwards: from the last at or before it. */
static int
iter_find_bundled(struct store_iter *it, const void *from, size_t from_len)
{
	const struct bundle_entry want = { .db = it->last.db, .key = from, .key_len = from_len };
	struct bundle_entry e;
	int r;

	if (!it->backwards || from_len > 0)
		r = bundle_find(it->bundle, it->last.db, from, from_len, &it->at);
	else
		r = bundle_find(it->bundle, it->last.db + 1u, NULL, 0, &it->at);
	if (r != 0 || !it->backwards || from_len == 0)
		return r;
	r = bundle_at(it->bundle, it->at, &e);
	if (r == 0 && bundle_compare(&e, &want) == 0)
		it->at++;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Whoever walks relies on the order, which a bundle only promises. */
static int
iter_next_bundled(struct store_iter *it, struct store_item *ret_item)
{
	struct bundle_entry e;
	int c, r;

	if (it->backwards && it->at == 0)
		return ERR_NOT_FOUND;
	if ((r = bundle_at(it->bundle, it->backwards ? it->at - 1 : it->at, &e)) != 0)
		return r;
	c = bundle_compare(&e, &it->last);
	if (it->started && (it->backwards ? c >= 0 : c <= 0))
		return ERR_FORMAT;
	if (e.db != it->last.db)
		return ERR_NOT_FOUND;
	it->at = it->backwards ? it->at - 1 : it->at + 1;
	it->started = true;
	it->last = e;
	*ret_item =
	    (struct store_item){ .key = e.key, .key_len = e.key_len, .data = e.data, .len = e.len };
	return 0;
}

/* Backwards: the last key <= from, which SET_RANGE overshoots unless it is there. */
static int
iter_find_back(struct store_iter *it, const void *from, size_t from_len)
{
	int rc;

	if (from_len == 0)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_LAST);
	it->key = val(from, from_len);
	rc = mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_LAST);
	if (rc != 0 ||
	    (it->key.mv_size == from_len && memcmp(it->key.mv_data, from, from_len) == 0))
		return rc;
	return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_PREV);
}

static int
iter_find(struct store_iter *it, const void *from, size_t from_len)
{
	if (from_len == 0)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_FIRST);
	it->key = val(from, from_len);
	return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_SET_RANGE);
}

static void
iter_start(struct store_iter *it, const void *from, size_t from_len)
{
	it->next = it->backwards ? MDB_PREV : MDB_NEXT;
	it->first =
	    it->backwards ? iter_find_back(it, from, from_len) : iter_find(it, from, from_len);
}

int
store_iter_new(struct store_snap *snap, enum store_db db, const void *from, size_t from_len,
    bool backwards, struct store_iter **ret_iter)
{
	struct store_iter *it = calloc(1, sizeof(*it));
	int r;

	if (it == NULL)
		return -ENOMEM;
	it->bundle = snap->store->bundle;
	it->backwards = backwards;
	it->last.db = db;
	if (it->bundle != NULL)
		r = iter_find_bundled(it, from, from_len);
	else
		r = store_err(mdb_cursor_open(snap->txn, snap->store->dbi[db], &it->cursor));
	if (r != 0) {
		free(it);
		return r;
	}
	if (it->bundle == NULL)
		iter_start(it, from, from_len);
	*ret_iter = it;
	return 0;
}

int
store_iter_next(struct store_iter *it, struct store_item *ret_item)
{
	int rc = it->first;

	if (it->bundle != NULL)
		return iter_next_bundled(it, ret_item);
	if (it->started)
		rc = mdb_cursor_get(it->cursor, &it->key, &it->data, it->next);
	if (rc != 0)
		return store_err(rc);
	it->started = true;
	*ret_item = (struct store_item){ .key = it->key.mv_data,
		.key_len = it->key.mv_size,
		.data = it->data.mv_data,
		.len = it->data.mv_size };
	return 0;
}

void
store_iter_free(struct store_iter *it)
{
	if (it == NULL)
		return;
	if (it->cursor != NULL)
		mdb_cursor_close(it->cursor);
	free(it);
}

/* What sessions are opened with. */

struct store_keys *
store_keys(struct store *s)
{
	return &s->keys;
}

struct store_keys *
store_snap_keys(const struct store_snap *snap)
{
	return &snap->store->keys;
}

/* Writing. */

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
	MDB_val k = val(key, key_len), v = val(data, len);

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
	MDB_val k = val(key, key_len);

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
		if ((r = piece_key(k, key, key_len, i, &k_len)) == 0)
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
		if ((r = piece_key(k, key, key_len, i, &k_len)) != 0)
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
	MDB_val key = val(prefix, prefix_len);
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

/* Pages that belong to something: of all databases, of the list of free pages, of the table of databases; of the journal. */
struct pages {
	uint64_t used, journal;
};

static int
count_pages(struct store *s, MDB_txn *txn, struct pages *ret_pages)
{
	static const MDB_dbi own[] = { 0, 1 }; /* LMDB's free list and table */
	struct pages pages = { .used = 2 };    /* meta pages */
	MDB_stat st;
	int rc;

	for (size_t i = 0; i < STORE_DB_COUNT + sizeof(own) / sizeof(own[0]); i++) {
		MDB_dbi dbi = i < STORE_DB_COUNT ? s->dbi[i] : own[i - STORE_DB_COUNT];

		if ((rc = mdb_stat(txn, dbi, &st)) != 0)
			return store_err(rc);
		pages.used += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
		if (i == STORE_JOURNAL)
			pages.journal =
			    st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
	}
	*ret_pages = pages;
	return 0;
}

static int
count_used(struct store *s, struct pages *ret_pages)
{
	MDB_txn *txn;
	int r;

	if ((r = store_err(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn))) != 0)
		return r;
	r = count_pages(s, txn, ret_pages);
	mdb_txn_abort(txn);
	return r;
}

int
store_space(struct store *s, struct store_space *ret_space)
{
	struct statvfs vfs;
	MDB_envinfo info;
	struct pages pages = { 0 };
	MDB_stat st;
	int fd, rc;

	if ((rc = mdb_env_info(s->env, &info)) != 0 || (rc = mdb_env_stat(s->env, &st)) != 0 ||
	    (rc = mdb_env_get_fd(s->env, &fd)) != 0)
		return store_err(rc);
	if (fstatvfs(fd, &vfs) != 0)
		return -errno;
	if ((rc = count_used(s, &pages)) != 0)
		return rc;
	*ret_space = (struct store_space){
		.file_bytes = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize,
		.used_bytes = pages.used * st.ms_psize,
		.journal_bytes = pages.journal * st.ms_psize,
		.map_bytes = info.me_mapsize,
		.disk_free = (uint64_t)vfs.f_bavail * vfs.f_frsize,
		.disk_size = (uint64_t)vfs.f_blocks * vfs.f_frsize,
	};
	return 0;
}

/* A line of mdb_reader_list: "   pid thread txnid", where the last is "-" for an idle slot. */
static int
note_oldest(const char *line, void *arg)
{
	struct store_reader *slowest = arg;
	const char *last = strrchr(line, ' ');
	uint64_t txn;
	char *end;

	if (last == NULL)
		return 0;
	txn = strtoull(last + 1, &end, 10);
	if (end != last + 1 && (slowest->pid == 0 || txn < slowest->txn)) {
		slowest->txn = txn;
		slowest->pid = (int)strtoull(line, NULL, 10);
	}
	return 0;
}

int
store_check_readers(struct store *s, struct store_reader *ret_slowest)
{
	struct store_reader slowest = { 0 };
	MDB_envinfo info;
	int rc;

	if ((rc = mdb_reader_check(s->env, &slowest.n_cleared)) != 0 ||
	    (rc = mdb_env_info(s->env, &info)) != 0)
		return store_err(rc);
	if ((rc = mdb_reader_list(s->env, note_oldest, &slowest)) < 0)
		return store_err(rc);
	if (slowest.pid != 0 && slowest.txn < info.me_last_txnid)
		slowest.lag = info.me_last_txnid - slowest.txn;
	*ret_slowest = slowest;
	return 0;
}

int
store_copy(struct store *s, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), r;

	if (fd < 0)
		return errno == EEXIST ? ERR_EXISTS : -errno;
	r = store_err(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	fd_close(&fd);
	return r;
}
