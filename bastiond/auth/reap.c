/*
 * What modules have started and left behind. This process is the parent of all orphans below it, so whoever went into a
 * session of its own is found here, too.
 */
#include "config.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/auth/auth.h"
#include "lib/file.h"
#include "lib/num.h"

#define REAP_ROUNDS                                                                                \
	10000 /* one child each; who starts others faster is left to the broker, which ends the group */

/* Our children, as far as they fit, with blanks between and behind. 0: none, or the kernel does not say. */
static size_t
reap_list(char *dst, size_t size)
{
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, dst, size - 1) : 0;

	fd_close(&fd);
	dst[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void
reap_kill(char *list)
{
	char *end;

	for (; (end = strchr(list, ' ')) != NULL; list = end + 1) {
		uint64_t pid;

		*end = '\0';
		if (num_parse(list, 2, INT_MAX, &pid) == 0)
			(void)kill((pid_t)pid, SIGKILL); /* it may have ended just now */
	}
}

void
auth_reap(void)
{
	char list[4096];

	for (int i = 0; i < REAP_ROUNDS; i++) {
		size_t n = reap_list(list, sizeof(list));

		reap_kill(list);
		if (waitpid(-1, NULL, n > 0 ? 0 : WNOHANG) <= 0)
			break;
	}
}
