/* The unlock method as configured, turned into an argument and a descriptor for the vault. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_client.h"
#include "lib/file.h"
#include "lib/str.h"

static int
open_key(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int
open_credential(const char *name, int *ret_fd)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	int r;

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
		return ERR_FORMAT;
	if (dir == NULL)
		return -ENOENT;
	if ((r = str_format(path, sizeof(path), "%s/%s", dir, name)) != 0)
		return r;
	return open_key(path, ret_fd);
}

int
keys_client_unlock(const char *unlock, char *ret_arg, size_t size, int *ret_fd)
{
	int fd = -1, r;

	if (unlock[0] == '\0' || strcmp(unlock, "passphrase") == 0) {
		*ret_fd = -1;
		return str_copy(ret_arg, size, unlock);
	}
	if (str_starts(unlock, "file:"))
		r = open_key(unlock + strlen("file:"), &fd);
	else if (str_starts(unlock, "credential:"))
		r = open_credential(unlock + strlen("credential:"), &fd);
	else
		r = ERR_FORMAT;
	if (r == 0 && (r = str_format(ret_arg, size, "fd:%d", KEYS_UNLOCK_FD)) != 0)
		fd_close(&fd);
	if (r == 0)
		*ret_fd = fd;
	return r;
}
