/* Files: read whole with a limit, replace whole and durably, directories. */
#ifndef BASTION_FILE_H
#define BASTION_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

/* Close and set to -1; -1 is allowed. */
void fd_close(int *fd);
/*
 * Wait until the descriptor can do events (POLLIN, POLLOUT) or has failed, but not past until_ns of clock_boot_ns().
 * 0; -ETIMEDOUT; -errno.
 */
int fd_wait(int fd, short events, uint64_t until_ns) MUST_CHECK;

/*
 * The whole file, with a NUL behind it that is not counted. *ret_data: owned by caller, free().
 * 0; -errno; ERR_LIMIT longer than max bytes; ERR_FORMAT not a regular file.
 */
int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len) MUST_CHECK;
/* The same from an open file, from its start; fd: borrowed. */
int file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len) MUST_CHECK;
/*
 * Write beside it (path.new.PID), fsync, rename, fsync the directory: at any moment, also after a crash, path is either
 * old or new, never half.  0; ERR_LIMIT too long a path; -errno.
 */
int file_replace(const char *path, mode_t mode, const void *data, size_t len) MUST_CHECK;
/* As file_replace(), but an existing path is ERR_EXISTS and stays. -EINVAL: the file system cannot promise that. */
int file_create(const char *path, mode_t mode, const void *data, size_t len) MUST_CHECK;
/*
 * Give tmp, a finished file beside path, the name path for good; one that exists is ERR_EXISTS and stays. Then, as after
 * any other error, tmp is removed. Errors as of file_create().
 */
int file_publish(const char *tmp, const char *path) MUST_CHECK;
/* All of it, despite short writes. 0; -errno. */
int file_write_all(int fd, const void *data, size_t len) MUST_CHECK;
/* Make the directory with mode; one that exists is fine when it is a directory. 0; -errno. */
int file_mkdir(const char *path, mode_t mode) MUST_CHECK;
/* Whether it is a directory itself, and no link to one. */
bool file_is_dir(const char *path);
/* path as seen from the folder of base_file, unless it is absolute. 0; ERR_LIMIT. */
int file_relative(const char *base_file, const char *path, char *dst, size_t size) MUST_CHECK;

#endif
