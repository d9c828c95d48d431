/* A new file, compared, renamed. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "recorder/compact.h"
#include "recorder/store_write.h"

#define DATA_NAME "data.mdb"
#define LOCK_NAME "lock.mdb"

static int
path_of(char dst[PATH_MAX], const char *dir, const char *name)
{
	return str_format(dst, PATH_MAX, "%s/%s", dir, name);
}

static int
sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) != 0 ? -errno : 0;
	fd_close(&fd);
	return r;
}

int
compact_clean(const char *dir)
{
	static const char *const names[] = { COMPACT_DIR "/data.mdb", COMPACT_DIR "/lock.mdb" };
	char path[PATH_MAX];
	int r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((r = path_of(path, dir, names[i])) != 0)
			return r;
		if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	if ((r = path_of(path, dir, COMPACT_DIR)) != 0)
		return r;
	return rmdir(path) != 0 && errno != ENOENT ? -errno : 0;
}

static void
add_number(struct hash *h, uint64_t v)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(v >> (56 - 8 * i));
	hash_add(h, bytes, sizeof(bytes));
}

static int
tally_db(struct store_snap *snap, enum store_db db, struct hash *h)
{
	struct store_item item;
	struct store_iter *it;
	int r;

	if ((r = store_iter_new(snap, db, NULL, 0, false, &it)) != 0)
		return r;
	add_number(h, db);
	while ((r = store_iter_next(it, &item)) == 0) {
		add_number(h, item.key_len);
		hash_add(h, item.key, item.key_len);
		add_number(h, item.len);
		hash_add(h, item.data, item.len);
	}
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* One hash over every key and value of every database. */
static int
tally(struct store *s, uint8_t ret_hash[HASH_LEN])
{
	struct store_snap *snap = NULL;
	struct hash *h = hash_new();
	int r = -ENOMEM;

	if (h != NULL && (r = store_snap_new(s, &snap)) == 0) {
		hash_begin(h);
		for (unsigned db = 0; r == 0 && db < STORE_DB_COUNT; db++)
			r = tally_db(snap, (enum store_db)db, h);
		hash_end(h, ret_hash);
	}
	store_snap_free(snap);
	hash_free(h);
	return r;
}

/* The copy in its folder holds what the store holds. */
static int
compare(struct store *s, const char *copy_dir)
{
	uint8_t old_hash[HASH_LEN], new_hash[HASH_LEN];
	struct store *copy;
	int r;

	if ((r = tally(s, old_hash)) != 0 || (r = store_open_read(copy_dir, &copy)) != 0)
		return r;
	r = tally(copy, new_hash);
	store_close(copy);
	if (r == 0 && memcmp(old_hash, new_hash, HASH_LEN) != 0)
		r = ERR_CHAIN;
	return r;
}

static int
file_bytes(const char *path, uint64_t *ret_bytes)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

/*
 * What LMDB's lock file says of the newest transaction is believed before the store's own word as long as anybody has it
 * open, and it is about the old file. Whoever has it keeps it; an empty one takes its place, owned like the store.
 */
static int
forget_readers(const char *dir)
{
	char lock[PATH_MAX];
	int fd, r;

	if ((r = path_of(lock, dir, LOCK_NAME)) != 0)
		return r;
	if (unlink(lock) != 0 && errno != ENOENT)
		return -errno;
	fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	fd_close(&fd);
	return 0;
}

/* With the store open, so that no recorder starts meanwhile. */
static int
replace(struct store *s, const char *dir, struct compact_result *ret_result)
{
	char data[PATH_MAX], folder[PATH_MAX], copy[PATH_MAX];
	struct compact_result result;
	struct store_space space;
	int r;

	if ((r = path_of(data, dir, DATA_NAME)) != 0 ||
	    (r = path_of(folder, dir, COMPACT_DIR)) != 0 ||
	    (r = path_of(copy, folder, DATA_NAME)) != 0 || (r = store_space(s, &space)) != 0)
		return r;
	if (space.used_bytes + STORE_RESERVE > space.disk_free)
		return -ENOSPC;
	if (mkdir(folder, 0700) != 0)
		return -errno;
	if ((r = file_bytes(data, &result.before)) != 0 || (r = store_copy(s, copy)) != 0 ||
	    (r = compare(s, folder)) != 0 || (r = file_bytes(copy, &result.after)) != 0)
		return r;
	/* Once more behind it: for a reader that came in between. */
	if ((r = forget_readers(dir)) != 0)
		return r;
	if (rename(copy, data) != 0)
		return -errno;
	if ((r = forget_readers(dir)) == 0 && (r = sync_folder(folder)) == 0 &&
	    (r = sync_folder(dir)) == 0)
		*ret_result = result;
	return r;
}

int
compact_store(const char *dir, struct compact_result *ret_result)
{
	struct store_conf conf = { .dir = dir, .durability = STORE_STRICT };
	char data[PATH_MAX];
	struct store *s;
	uint64_t size;
	int r, cleaned;

	/* None is made where none is. */
	if ((r = path_of(data, dir, DATA_NAME)) != 0 || (r = file_bytes(data, &size)) != 0 ||
	    (r = store_open_write(&conf, &s)) != 0)
		return r;
	if ((r = compact_clean(dir)) == 0) {
		r = replace(s, dir, ret_result);
		cleaned = compact_clean(dir);
		r = r == 0 ? cleaned : r;
	}
	store_close(s);
	return r;
}
