/* One line to the machine's log, from where it is sent on like the rest of it. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "bastiond/push/push.h"
#include "lib/facility.h"
#include "lib/file.h"
#include "lib/sandbox.h"
#include "lib/str.h"

/* The note on one line, a backslash and n for each newline: printf %b makes the note of it again. */
static int
make_line(const struct push *p, int facility, char **ret_line)
{
	size_t size = 2 * p->len + 64;
	char *line = malloc(size), *at;

	if (line == NULL)
		return -ENOMEM;
	at = line + snprintf(line, size, "<%d>bastiond: checkpoint: ", facility | LOG_NOTICE);
	for (size_t i = 0; i < p->len; i++) {
		if (p->note[i] == '\n')
			*at++ = '\\';
		*at++ = p->note[i] == '\n' ? 'n' : p->note[i];
	}
	*at = '\0';
	*ret_line = line;
	return 0;
}

static int
connect_to(const char *path, int type, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, r;

	if ((r = str_copy(addr.sun_path, sizeof(addr.sun_path), path)) != 0)
		return r;
	if ((fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		r = -errno;
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
push_syslog(struct push *p)
{
	char *line = NULL;
	int facility, fd = -1, r;

	if ((facility = facility_find(p->args[0])) < 0)
		return ERR_FORMAT;
	if ((r = make_line(p, facility, &line)) != 0 ||
	    (r = connect_to(p->args[1], SOCK_DGRAM, &fd)) != 0 ||
	    (r = sandbox_enter(SANDBOX_PUSH, NULL, 0)) != 0)
		goto out;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		r = -errno;
out:
	fd_close(&fd);
	free(line);
	return r;
}
