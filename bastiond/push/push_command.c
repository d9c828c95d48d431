/*
 * Somebody's own program, with the note on its standard input. It runs as this role's user, sees what every program may
 * see (/usr, /etc), may run what is in /usr/bin and /bin, may connect, and writes no file.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "bastiond/push/push.h"
#include "lib/proc.h"
#include "lib/sandbox.h"

int
push_command(struct push *p)
{
	static const char *const folders[] = { "/usr/bin", "/bin" };
	struct sandbox_path paths[3] = { { .path = p->args[0], .exec = true } };
	size_t n = 1;
	int r;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (access(folders[i], F_OK) == 0)
			paths[n++] = (struct sandbox_path){ .path = folders[i], .exec = true };
	if (dup2(PROC_FD_FIRST, STDIN_FILENO) < 0)
		return -errno;
	if ((r = sandbox_enter(SANDBOX_STACK, paths, n)) == 0) {
		(void)execv(p->args[0], (char *const *)(uintptr_t)p->args);
		r = -errno;
	}
	(void)snprintf(p->why, sizeof(p->why), "the program cannot be run: %s", err_str(r));
	return r;
}
