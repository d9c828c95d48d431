/* A file that only grows: best one on another machine, or one that can only be appended to (chattr +a). */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bastiond/push/push.h"
#include "lib/file.h"
#include "lib/sandbox.h"

/* All of it in one write, so that no reader sees half a note; what a full disk took of it is taken back. */
static int
append(int fd, const struct push *p)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ERR_FORMAT;
	do
		n = write(fd, p->note, p->len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < p->len) {
		(void)!ftruncate(fd, st.st_size);
		return -ENOSPC;
	}
	return fsync(fd) != 0 ? -errno : 0;
}

int
push_file(struct push *p)
{
	int fd = open(
	    p->args[0], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	int r = fd < 0 ? -errno : sandbox_enter(SANDBOX_PUSH, NULL, 0);

	if (r == 0)
		r = append(fd, p);
	if (r != 0)
		(void)snprintf(p->why, sizeof(p->why), "%s: must let the user %u append",
		    r == ERR_FORMAT ? "not a regular file" : err_str(r), (unsigned)geteuid());
	fd_close(&fd);
	return r;
}
