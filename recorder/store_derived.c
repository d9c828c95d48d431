/* LMDB for derived data. Nothing in it is needed: no sync but its order, and what is damaged is made anew. */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/store_derived.h"

#define MAP_SIZE (1ull << 40)
#define READERS_MAX 1024u
#define KEY_LEN (REC_SID_LEN + 5u)
#define LOCK_NAME "indexer.lock"

struct sderived {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn;
	bool writer;
	bool failed; /* a commit has: LMDB takes no other change then, until it is opened anew */
	int lock_fd;
	char dir[PATH_MAX];
};

/* What names the format; no session's id is that short. */
static const char format_key[] = "format";
static const uint8_t format_value[] = { 0, 0, 0, SDERIVED_FORMAT };

static int
sd_err(int rc)
{
	static const struct {
		int mdb, err;
	} map[] = {
		{ MDB_SUCCESS, 0 },
		{ MDB_NOTFOUND, ERR_NOT_FOUND },
		{ MDB_MAP_FULL, -ENOSPC },
		{ MDB_READERS_FULL, ERR_LIMIT },
		{ MDB_VERSION_MISMATCH, ERR_VERSION },
		{ MDB_INVALID, ERR_VERSION },
		{ MDB_CORRUPTED, ERR_FORMAT },
		{ MDB_PAGE_NOTFOUND, ERR_FORMAT },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].mdb == rc)
			return map[i].err;
	return rc > 0 ? -rc : -EIO;
}

void
sderived_close(struct sderived *d)
{
	if (d == NULL)
		return;
	sderived_abort(d);
	if (d->env != NULL)
		mdb_env_close(d->env);
	fd_close(&d->lock_fd);
	free(d);
}

static MDB_val
val(const void *p, size_t len)
{
	return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)p };
}

static int
open_env(struct sderived *d)
{
	unsigned flags = MDB_NOTLS | (d->writer ? MDB_NOMETASYNC : MDB_RDONLY);
	MDB_val k = val(format_key, sizeof(format_key) - 1),
		v = val(format_value, sizeof(format_value)), is;
	MDB_txn *txn = NULL;
	int rc;

	if ((rc = mdb_env_create(&d->env)) != 0 ||
	    (rc = mdb_env_set_mapsize(d->env, MAP_SIZE)) != 0 ||
	    (rc = mdb_env_set_maxreaders(d->env, READERS_MAX)) != 0 ||
	    (rc = mdb_env_open(d->env, d->dir, flags, 0600)) != 0 ||
	    (rc = mdb_txn_begin(d->env, NULL, d->writer ? 0 : MDB_RDONLY, &txn)) != 0)
		return sd_err(rc);
	if ((rc = mdb_dbi_open(txn, NULL, 0, &d->dbi)) == 0) {
		rc = mdb_get(txn, d->dbi, &k, &is);
		if (rc == MDB_NOTFOUND && d->writer)
			rc = mdb_put(txn, d->dbi, &k, &v, 0);
		else if (rc == 0 && (is.mv_size != v.mv_size ||
					memcmp(is.mv_data, format_value, v.mv_size) != 0))
			rc = MDB_VERSION_MISMATCH;
		else if (rc == MDB_NOTFOUND)
			rc = MDB_VERSION_MISMATCH;
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return sd_err(rc);
	}
	return sd_err(mdb_txn_commit(txn));
}

/* dir: copied. 0; -ENAMETOOLONG; -ENOMEM. */
static int
sd_new(const char *dir, bool writer, struct sderived **ret_d)
{
	struct sderived *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return -ENOMEM;
	d->writer = writer;
	d->lock_fd = -1;
	if ((r = str_format(d->dir, sizeof(d->dir), "%s", dir)) != 0) {
		free(d);
		return r;
	}
	*ret_d = d;
	return 0;
}

int
sderived_open_read(const char *dir, struct sderived **ret_d)
{
	struct sderived *d;
	int r;

	if ((r = sd_new(dir, false, &d)) != 0)
		return r;
	if ((r = open_env(d)) != 0) {
		sderived_close(d);
		return r == -ENOENT ? ERR_NOT_FOUND : r;
	}
	*ret_d = d;
	return 0;
}

static int
sd_lock(struct sderived *d, const char *dir)
{
	char path[PATH_MAX];
	int r;

	if ((r = file_mkdir(dir, 0700)) != 0 ||
	    (r = str_format(path, sizeof(path), "%s/" LOCK_NAME, dir)) != 0)
		return r;
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock_fd < 0)
		return -errno;
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ERR_EXISTS : -errno;
	return 0;
}

static int
sd_remove(const char *dir)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	char path[PATH_MAX];
	int r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((r = str_format(path, sizeof(path), "%s/%s", dir, names[i])) != 0)
			return r;
		if (unlink(path) != 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static void
close_env(struct sderived *d)
{
	if (d->env != NULL)
		mdb_env_close(d->env);
	d->env = NULL;
}

/* What cannot be read is made anew. */
static int
open_or_make(struct sderived *d)
{
	int r = open_env(d);

	if (r == ERR_VERSION || r == ERR_FORMAT) {
		close_env(d);
		if ((r = sd_remove(d->dir)) == 0)
			r = open_env(d);
	}
	if (r != 0)
		close_env(d);
	return r;
}

int
sderived_open_write(const char *dir, struct sderived **ret_d)
{
	struct sderived *d;
	int r;

	if ((r = sd_new(dir, true, &d)) != 0)
		return r;
	if ((r = sd_lock(d, dir)) != 0 || (r = open_or_make(d)) != 0) {
		sderived_close(d);
		return r;
	}
	*ret_d = d;
	return 0;
}

int
sderived_begin(struct sderived *d)
{
	int dead, r;

	if (d->txn != NULL)
		return ERR_ORDER;
	if (d->failed) {
		close_env(d);
		if ((r = open_or_make(d)) != 0)
			return r;
		d->failed = false;
	}
	if (d->writer)
		(void)mdb_reader_check(d->env, &dead);
	return sd_err(mdb_txn_begin(d->env, NULL, d->writer ? 0 : MDB_RDONLY, &d->txn));
}

int
sderived_commit(struct sderived *d)
{
	MDB_txn *txn = d->txn;
	int rc;

	if (txn == NULL || !d->writer)
		return ERR_ORDER;
	d->txn = NULL;
	rc = mdb_txn_commit(txn);
	d->failed = rc != 0;
	return sd_err(rc);
}

void
sderived_abort(struct sderived *d)
{
	if (d->txn != NULL)
		mdb_txn_abort(d->txn);
	d->txn = NULL;
}

static void
key_of(uint8_t key[KEY_LEN], const uint8_t sid[REC_SID_LEN], unsigned kind, uint32_t number)
{
	memcpy(key, sid, REC_SID_LEN);
	key[REC_SID_LEN] = (uint8_t)kind;
	for (size_t i = 0; i < 4; i++)
		key[REC_SID_LEN + 1 + i] = (uint8_t)(number >> (24 - 8 * i));
}

int
sderived_get(struct sderived *d, const uint8_t sid[REC_SID_LEN], enum sderived_kind kind,
    uint32_t number, const uint8_t **ret_p, size_t *ret_len)
{
	uint8_t key[KEY_LEN];
	MDB_val k, v;
	int r;

	if (d->txn == NULL)
		return ERR_ORDER;
	key_of(key, sid, kind, number);
	k = val(key, sizeof(key));
	if ((r = sd_err(mdb_get(d->txn, d->dbi, &k, &v))) != 0)
		return r;
	*ret_p = v.mv_data;
	*ret_len = v.mv_size;
	return 0;
}

int
sderived_put(struct sderived *d, const uint8_t sid[REC_SID_LEN], enum sderived_kind kind,
    uint32_t number, const void *p, size_t len)
{
	uint8_t key[KEY_LEN];
	MDB_val k, v = val(p, len);

	if (d->txn == NULL || !d->writer)
		return ERR_ORDER;
	key_of(key, sid, kind, number);
	k = val(key, sizeof(key));
	return sd_err(mdb_put(d->txn, d->dbi, &k, &v, 0));
}

int
sderived_del(struct sderived *d, const uint8_t sid[REC_SID_LEN])
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if (d->txn == NULL || !d->writer)
		return ERR_ORDER;
	if ((rc = mdb_cursor_open(d->txn, d->dbi, &c)) != 0)
		return sd_err(rc);
	k = val(sid, REC_SID_LEN);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_LEN && memcmp(k.mv_data, sid, REC_SID_LEN) == 0)
		if ((rc = mdb_cursor_del(c, 0)) == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : sd_err(rc);
}

int
sderived_next(struct sderived *d, const uint8_t from[REC_SID_LEN], uint8_t ret_sid[REC_SID_LEN])
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if (d->txn == NULL)
		return ERR_ORDER;
	if ((rc = mdb_cursor_open(d->txn, d->dbi, &c)) != 0)
		return sd_err(rc);
	k = val(from, REC_SID_LEN);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size != KEY_LEN)
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	if (rc == 0)
		memcpy(ret_sid, k.mv_data, REC_SID_LEN);
	mdb_cursor_close(c);
	return sd_err(rc);
}

int
sderived_bytes(struct sderived *d, uint64_t *ret_bytes)
{
	MDB_envinfo info;
	MDB_stat st;
	int rc;

	if (d->env == NULL)
		return -EIO;
	if ((rc = mdb_env_info(d->env, &info)) != 0 || (rc = mdb_env_stat(d->env, &st)) != 0)
		return sd_err(rc);
	*ret_bytes = (uint64_t)(info.me_last_pgno + 1) * st.ms_psize;
	return 0;
}
