/* The counter, and the calls that look at it. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"

#define RUNS_MAX 20000u /* a run that never gets through would go on for ever */

static struct {
	unsigned kinds, left;
	bool reached, held;
} fault;

void
fault_arm(unsigned kinds, unsigned nth)
{
	fault.kinds = kinds;
	fault.left = nth;
	fault.reached = fault.held = false;
}

void
fault_hold(void)
{
	fault.held = true;
}

void
fault_go(void)
{
	fault.held = false;
}

bool
fault_disarm(void)
{
	fault.kinds = 0;
	return fault.reached;
}

static bool
fails_now(unsigned kind)
{
	if (fault.held || (fault.kinds & kind) == 0 || fault.left == 0 || --fault.left > 0)
		return false;
	fault.reached = true;
	return true;
}

unsigned
fault_each(unsigned kinds, int (*run)(void *arg), void *arg)
{
	for (unsigned nth = 1; nth < RUNS_MAX; nth++) {
		int r;

		fault_arm(kinds, nth);
		r = run(arg);
		if (fault_disarm())
			continue;
		if (r != 0)
			fail_msg("without a fault the run says %d", r);
		return nth - 1;
	}
	fail_msg("still faults after %u runs", RUNS_MAX);
	return 0;
}

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_socketpair(int domain, int type, int protocol, int fds[2]);
int __wrap_socketpair(int domain, int type, int protocol, int fds[2]);
ssize_t __real_sendmsg(int fd, const struct msghdr *mh, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *mh, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *mh, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags);
int __real_epoll_ctl(int fd, int op, int which, struct epoll_event *ev);
int __wrap_epoll_ctl(int fd, int op, int which, struct epoll_event *ev);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__real_sodium_malloc(size_t n);
ssize_t __real_write(int fd, const void *data, size_t len);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
void *__wrap_sodium_malloc(size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

static void *
no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static int
no_space(void)
{
	errno = ENOSPC;
	return -1;
}

void *
__wrap_malloc(size_t n)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_reallocarray(p, n, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_strdup(s);
}

void *
__wrap_sodium_malloc(size_t n)
{
	return fails_now(FAULT_MEMORY) ? no_memory() : __real_sodium_malloc(n);
}

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	/* What the log says is not part of the run. */
	if (fd == STDERR_FILENO)
		return __real_write(fd, data, len);
	if (fails_now(FAULT_FILE))
		return no_space();
	if (!fails_now(FAULT_SHORT))
		return __real_write(fd, data, len);
	if (len > 1)
		return __real_write(fd, data, len / 2);
	errno = EINTR;
	return -1;
}

int
__wrap_fsync(int fd)
{
	return fails_now(FAULT_FILE) ? no_space() : __real_fsync(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
	return fails_now(FAULT_FILE) ? no_space() : __real_rename(from, to);
}

int
__wrap_fchmod(int fd, mode_t mode)
{
	return fails_now(FAULT_FILE) ? no_space() : __real_fchmod(fd, mode);
}

int
__wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return fails_now(FAULT_FILE) ? no_space()
				     : __real_renameat2(from_fd, from, to_fd, to, flags);
}

static int
no_buffers(void)
{
	errno = ENOBUFS;
	return -1;
}

int
__wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
	return fails_now(FAULT_SOCKET) ? no_buffers()
				       : __real_socketpair(domain, type, protocol, fds);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *mh, int flags)
{
	return fails_now(FAULT_SOCKET) ? no_buffers() : __real_sendmsg(fd, mh, flags);
}

ssize_t
__wrap_recvmsg(int fd, struct msghdr *mh, int flags)
{
	return fails_now(FAULT_SOCKET) ? no_buffers() : __real_recvmsg(fd, mh, flags);
}

int
__wrap_epoll_ctl(int fd, int op, int which, struct epoll_event *ev)
{
	return fails_now(FAULT_SOCKET) ? no_buffers() : __real_epoll_ctl(fd, op, which, ev);
}
