/* How much of the disk the store takes, who keeps it from taking less, and a copy without what is free. */
#include "config.h"

#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "recorder/store_part.h"
#include "recorder/store_write.h"

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
