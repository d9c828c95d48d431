/* A daemon and the parent that waits for it. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bastiond/broker/daemon.h"
#include "lib/file.h"

/* What was appended to the log since it was that long. */
static void
daemon_show_log(int log_fd, off_t from)
{
	char text[4096];
	ssize_t n;

	while ((n = pread(log_fd, text, sizeof(text), from)) > 0) {
		if (file_write_all(STDERR_FILENO, text, (size_t)n) != 0)
			return;
		from += n;
	}
}

static void __attribute__((noreturn)) daemon_wait(int ready_fd, int log_fd, off_t from)
{
	char byte;
	ssize_t n;

	do
		n = read(ready_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	daemon_show_log(log_fd, from);
	_exit(n == 1 ? 0 : 1);
}

/* The second fork: a process that leads no session gets no terminal ever. */
static int
daemon_leave(int log_fd)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (setsid() < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		return -errno;
	fd_close(&null_fd);
	if ((pid = fork()) < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	return 0;
}

int
daemon_start(const char *log_path, int *ret_ready_fd)
{
	int log_fd = open(log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int pipe_fds[2] = { -1, -1 }, r;
	struct stat st;
	pid_t pid;

	if (log_fd < 0)
		return -errno;
	if (fstat(log_fd, &st) != 0 || pipe2(pipe_fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		r = -errno;
		goto out;
	}
	if (pid > 0) {
		fd_close(&pipe_fds[1]);
		daemon_wait(pipe_fds[0], log_fd, st.st_size);
	}
	if ((r = daemon_leave(log_fd)) != 0)
		_exit(1); /* the parent says it */
	*ret_ready_fd = pipe_fds[1];
	pipe_fds[1] = -1;
out:
	fd_close(&pipe_fds[0]);
	fd_close(&pipe_fds[1]);
	fd_close(&log_fd);
	return r;
}
