/* Whole files. */
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
#include "lib/str.h"

void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(
		    *fd); /* nothing is to be done about a failing close of a read or synced file */
	*fd = -1;
}

static int
file_read_upto(int fd, size_t max, char *data, size_t *ret_len)
{
	size_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, data + at, max + 1 - at, (off_t)at);

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
	*ret_len = at;
	return 0;
}

int
file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	struct stat st;
	char *data = NULL;
	size_t room, len = 0;
	int r;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ERR_FORMAT;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return ERR_LIMIT;
	room = (size_t)st.st_size;
	data = malloc(room + 2);
	if (data == NULL)
		return -ENOMEM;
	if ((r = file_read_upto(fd, room, data, &len)) != 0) {
		free(data);
		return r;
	}
	data[len] = '\0';
	*ret_data = data;
	*ret_len = len;
	return 0;
}

int
file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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
	if ((r = file_write_all(fd, data, len)) == 0 && fsync(fd) != 0)
		r = -errno;
	if (r == 0 && fchmod(fd, mode) != 0)
		r = -errno;
	fd_close(&fd);
	if (r != 0)
		(void)unlink(path); /* what is half written is of no use to anyone */
	return r;
}

int
file_replace(const char *path, mode_t mode, const void *data, size_t len)
{
	char tmp[PATH_MAX];
	int r;

	if ((r = str_format(tmp, sizeof(tmp), "%s.new", path)) != 0)
		return r;
	if (unlink(tmp) != 0 && errno != ENOENT)
		return -errno;
	if ((r = file_write_new(tmp, mode, data, len)) != 0)
		return r;
	if (rename(tmp, path) != 0) {
		r = -errno;
		(void)unlink(tmp); /* the rename's error is the one to report */
		return r;
	}
	return file_sync_dir(path);
}

int
file_create(const char *path, mode_t mode, const void *data, size_t len)
{
	int r = file_write_new(path, mode, data, len);

	if (r == -EEXIST)
		return ERR_EXISTS;
	return r != 0 ? r : file_sync_dir(path);
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

int
file_relative(const char *base_file, const char *path, char *dst, size_t size)
{
	const char *slash = strrchr(base_file, '/');

	if (path[0] == '/' || slash == NULL)
		return str_copy(dst, size, path);
	return str_format(dst, size, "%.*s/%s", (int)(slash - base_file), base_file, path);
}
