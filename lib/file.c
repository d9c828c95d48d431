/* Whole files. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(
		    *fd); /* nothing is to be done about a failing close of a read or synced file */
	*fd = -1;
}

int
fd_wait(int fd, short events, uint64_t until_ns)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = clock_boot_ns(), ms;
		int n;

		if (now >= until_ns)
			return -ETIMEDOUT;
		ms = (until_ns - now) / CLOCK_NS_PER_MS;
		n = poll(&p, 1, ms < INT_MAX ? (int)ms + 1 : INT_MAX);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

#define FILE_READ_FIRST 4096 /* bytes of room for a file that does not say its size, as in /proc */

/* Read on into *data, which has room for *room bytes and grows to max + 2 (one byte too many, one for the NUL). */
static int
file_read_upto(int fd, size_t max, char **data, size_t room, size_t *ret_len)
{
	size_t at = 0;

	for (;;) {
		ssize_t n;

		if (at + 1 >= room) {
			size_t more = room > max / 2 ? max + 2 : room * 2;
			char *p = malloc(more);

			if (p == NULL)
				return -ENOMEM;
			memcpy(p, *data, at);
			explicit_bzero(*data, at);
			free(*data);
			*data = p;
			room = more;
		}
		n = pread(fd, *data + at, room - 1 - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (size_t)n;
		if (at > max)
			return ERR_LIMIT;
	}
	(*data)[at] = '\0';
	*ret_len = at;
	return 0;
}

int
file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	struct stat st;
	char *data = NULL;
	size_t room;
	int r;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ERR_FORMAT;
	if (st.st_size < 0 || (uint64_t)st.st_size > max || max > SIZE_MAX / 2 - 2)
		return ERR_LIMIT;
	room = st.st_size > 0 ? (size_t)st.st_size + 2 : FILE_READ_FIRST;
	data = malloc(room);
	if (data == NULL)
		return -ENOMEM;
	if ((r = file_read_upto(fd, max, &data, room, ret_len)) != 0) {
		free(data);
		return r;
	}
	*ret_data = data;
	return 0;
}

int
file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = file_read_fd(fd, max, ret_data, ret_len);
	fd_close(&fd);
	return r;
}

int
file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
file_sync_dir(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd, r;

	if ((r = str_copy(dir, sizeof(dir), path)) != 0)
		return r;
	slash = strrchr(dir, '/');
	if (slash == NULL)
		memcpy(dir, ".", 2);
	else if (slash == dir)
		dir[1] = '\0';
	else
		*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) != 0 ? -errno : 0;
	fd_close(&fd);
	return r;
}

static int
file_write_new(const char *path, mode_t mode, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return -errno;
	if ((r = file_write_all(fd, data, len)) == 0 && fchmod(fd, mode) != 0)
		r = -errno;
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	fd_close(&fd);
	if (r != 0)
		(void)unlink(path); /* what is half written is of no use to anyone */
	return r;
}

/* flags: of renameat2(2). */
static int
file_rename(const char *tmp, const char *path, unsigned flags)
{
	int r;

	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, flags) != 0) {
		r = -errno;
		(void)unlink(tmp); /* the rename's error is the one to report */
		return r;
	}
	return file_sync_dir(path);
}

int
file_publish(const char *tmp, const char *path)
{
	int r = file_rename(tmp, path, RENAME_NOREPLACE);

	return r == -EEXIST ? ERR_EXISTS : r;
}

/* Write beside path, then put it there in one step. flags: of renameat2(2). */
static int
file_put(const char *path, mode_t mode, const void *data, size_t len, unsigned flags)
{
	char tmp[PATH_MAX];
	int r;

	/* Our number in the name: two processes that replace the same file must not write into each other's. */
	if ((r = str_format(tmp, sizeof(tmp), "%s.new.%d", path, (int)getpid())) != 0)
		return r;
	if (unlink(tmp) != 0 && errno != ENOENT)
		return -errno;
	if ((r = file_write_new(tmp, mode, data, len)) != 0)
		return r;
	return file_rename(tmp, path, flags);
}

int
file_replace(const char *path, mode_t mode, const void *data, size_t len)
{
	return file_put(path, mode, data, len, 0);
}

int
file_create(const char *path, mode_t mode, const void *data, size_t len)
{
	int r = file_put(path, mode, data, len, RENAME_NOREPLACE);

	return r == -EEXIST ? ERR_EXISTS : r;
}

int
file_mkdir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) != 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

bool
file_is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int
file_relative(const char *base_file, const char *path, char *dst, size_t size)
{
	const char *slash = strrchr(base_file, '/');

	if (path[0] == '/' || slash == NULL)
		return str_copy(dst, size, path);
	return str_format(dst, size, "%.*s/%s", (int)(slash - base_file), base_file, path);
}
