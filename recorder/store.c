/*
 * LMDB: the environment, snapshots of it, and its error codes, which end here. Or, for one session that left its bastion, a
 * bundle, which never changes. Reading is in store_read.c, writing in store_write.c, what it takes of the disk in
 * store_space.c.
 */
#include "config.h"

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/store_bundle.h"
#include "recorder/store_part.h"
#include "recorder/store_write.h"

#define LOCK_NAME "recorder.lock"

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

int
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

MDB_val
store_val(const void *data, size_t len)
{
	return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)data };
}

int
store_piece_key(uint8_t *dst, const void *key, size_t key_len, size_t i, size_t *ret_len)
{
	if (key_len > STORE_KEY_MAX - STORE_PIECE_KEY_LEN || i > UINT16_MAX)
		return ERR_LIMIT;
	memcpy(dst, key, key_len);
	dst[key_len] = (uint8_t)(i >> 8);
	dst[key_len + 1] = (uint8_t)i;
	*ret_len = key_len + STORE_PIECE_KEY_LEN;
	return 0;
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
