/* Folders, owners, lock, pid file. */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/state.h"
#include "lib/file.h"
#include "lib/str.h"

static int PRINTF_LIKE(3, 4) state_fail(struct conf_err *err, int r, const char *fmt, ...);

static int
state_fail(struct conf_err *err, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* cut is good enough */
	va_end(ap);
	return r;
}

/*
 * A file that root made in a role's folder, e.g. bastionctl init: it becomes the role's. Only plain files with one name:
 * a role that put a second name of somebody else's file there would get that file.
 */
static int
state_give_file(int dir_fd, const char *name, uid_t uid, gid_t gid)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r = 0;
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? 0 : -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
		 fchown(fd, uid, gid) != 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

static int
state_give_files(const char *path, uid_t uid, gid_t gid)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	int r = 0;

	if (d == NULL)
		return -errno;
	while (r == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			r = state_give_file(dirfd(d), e->d_name, uid, gid);
	(void)closedir(d); /* only read */
	return r;
}

/* One role's folder, for nobody else. */
static int
state_make_part(const char *dir, const char *name, uid_t uid, gid_t gid, struct conf_err *err)
{
	char path[PATH_MAX];
	int r = str_format(path, sizeof(path), "%s/%s", dir, name);

	if (r == 0)
		r = file_mkdir(path, 0700);
	if (r == 0 && chmod(path, 0700) != 0)
		r = -errno;
	if (r == 0 && geteuid() == 0 && uid != 0) {
		if (chown(path, uid, gid) != 0)
			r = -errno;
		else
			r = state_give_files(path, uid, gid);
	}
	return r == 0 ? 0 : state_fail(err, r, "%.300s/%s: %s", dir, name, err_str(r));
}

/* Search only for others: the roles reach their own parts. */
static int
state_make(const char *dir, const struct programs *p, struct conf_err *err)
{
	int r = 0;

	if (chmod(dir, 0711) != 0 || (geteuid() == 0 && chown(dir, 0, 0) != 0))
		r = -errno;
	if (r != 0)
		return state_fail(err, r, "%.300s: %s", dir, err_str(r));
	if ((r = state_make_part(dir, "keys", p->uid[PROGRAM_KEYS], p->gid[PROGRAM_KEYS], err)) !=
	    0)
		return r;
	return state_make_part(
	    dir, "recorder", p->uid[PROGRAM_RECORDER], p->gid[PROGRAM_RECORDER], err);
}

int
state_open(
    const char *dir, const struct programs *programs, int *ret_lock, struct conf_err *ret_err)
{
	char path[PATH_MAX];
	int fd, r = file_mkdir(dir, 0711);

	if (r != 0)
		return state_fail(ret_err, r, "%.300s: %s", dir, err_str(r));
	if ((r = str_format(path, sizeof(path), "%s/lock", dir)) != 0)
		return state_fail(ret_err, r, "%.300s: the path is too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return state_fail(ret_err, -errno, "%.300s: %s", path, err_str(-errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		r = errno == EWOULDBLOCK ? ERR_EXISTS : -errno;
		(void)state_fail(ret_err, r, "%.300s: %s", dir,
		    r == ERR_EXISTS ? "another bastiond runs on this state" : err_str(r));
	} else {
		r = state_make(dir, programs, ret_err);
	}
	if (r == 0) {
		*ret_lock = fd;
		fd = -1;
	}
	fd_close(&fd);
	return r;
}

#define STATE_KEY_MAX 1024u /* bytes of a verifier key's line */

/* What the recorder wrote, looked at as if it were an attacker: the broker may read files that it may not. */
static int
state_read_key(uid_t uid, char **ret_text, size_t *ret_len)
{
	int fd = open("recorder/recorder.pub", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != uid)
		r = ERR_FORMAT;
	else
		r = file_read_fd(fd, STATE_KEY_MAX, &text, &len);
	fd_close(&fd);
	if (r == 0 && (text == NULL || len == 0))
		r = ERR_FORMAT;
	for (size_t i = 0; r == 0 && i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			r = text[i] == '\n' && i + 1 == len ? 0 : ERR_FORMAT;
	if (r != 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* Whether recorder.pub says this already. */
static bool
state_key_is(const char *text, size_t len)
{
	char *there = NULL;
	size_t there_len = 0;
	bool same;

	if (file_read("recorder.pub", STATE_KEY_MAX, &there, &there_len) != 0)
		return false;
	same = there_len == len && memcmp(there, text, len) == 0;
	free(there);
	return same;
}

int
state_publish_key(uid_t uid)
{
	char *text = NULL;
	size_t len = 0;
	int r = state_read_key(uid, &text, &len);

	if (r != 0)
		return r;
	assert(text != NULL);
	if (!state_key_is(text, len))
		r = file_replace("recorder.pub", 0644, text, len);
	free(text);
	return r;
}

int
state_write_pid(const char *dir)
{
	char path[PATH_MAX], text[24];
	int r;

	if ((r = str_format(path, sizeof(path), "%s/bastiond.pid", dir)) != 0 ||
	    (r = str_format(text, sizeof(text), "%d\n", (int)getpid())) != 0)
		return r;
	return file_replace(path, 0644, text, strlen(text));
}

void
state_remove_pid(const char *dir)
{
	char path[PATH_MAX];

	if (str_format(path, sizeof(path), "%s/bastiond.pid", dir) == 0)
		(void)unlink(path); /* a stale one says nothing: the lock does */
}
