/* Starting programs by descriptor. The child does only async-signal-safe things between fork and exec. */
#include "config.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define PROC_ARGS_MAX 32 /* arguments after argv[0] */
#define PROC_FDS_MAX 16	 /* descriptors handed over */
#define PROC_FD_PARK 200 /* descriptors are parked from here on while they are put in order */

int
proc_libexec_dir(char *dst, size_t size)
{
	char self[PATH_MAX], probe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash != NULL) {
			*slash = '\0';
			if (str_format(probe, sizeof(probe), "%s/bastiond-keys", self) == 0 &&
			    access(probe, X_OK) == 0)
				return str_copy(dst, size, self);
		}
	}
	return str_copy(dst, size, PKGLIBEXECDIR);
}

int
proc_open(const char *dir, const char *name, int *ret_fd)
{
	char path[PATH_MAX];
	int fd, r;

	if ((r = str_format(path, sizeof(path), "%s/%s", dir, name)) != 0)
		return r;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int
proc_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* In the child: fds become 3, 4, ...; everything above goes. */
static int
proc_arrange_fds(const struct proc_spec *spec, int exec_fd)
{
	int parked[PROC_FDS_MAX];
	int null_fd, last = PROC_FD_FIRST + (int)spec->n_fds;

	exec_fd = fcntl(exec_fd, F_DUPFD_CLOEXEC, PROC_FD_PARK);
	for (size_t i = 0; i < spec->n_fds; i++) {
		parked[i] =
		    spec->fds[i] < 0 ? -1 : fcntl(spec->fds[i], F_DUPFD_CLOEXEC, PROC_FD_PARK);
		if (spec->fds[i] >= 0 && parked[i] < 0)
			return -1;
	}
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (exec_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_fds; i++) {
		int to = PROC_FD_FIRST + (int)i;

		if (parked[i] < 0)
			(void)close(to); /* often not open at all */
		else if (dup2(parked[i], to) < 0)
			return -1;
	}
	/* The program's own descriptor goes last, so that it can be kept until exec. */
	if (dup2(exec_fd, last) < 0 || fcntl(last, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	if (syscall(SYS_close_range, (unsigned)last + 1, ~0u, 0) != 0)
		return -1;
	return last;
}

static int
proc_drop_uid(const struct proc_spec *spec)
{
	if (geteuid() != 0 || spec->uid == 0)
		return 0;
	if (setgroups(0, NULL) != 0 || setresgid(spec->gid, spec->gid, spec->gid) != 0 ||
	    setresuid(spec->uid, spec->uid, spec->uid) != 0)
		return -1;
	if (getuid() != spec->uid || geteuid() != spec->uid || getgid() != spec->gid ||
	    getegid() != spec->gid || getgroups(0, NULL) != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

static void
proc_reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL); /* KILL and STOP refuse, which is right */
	(void)signal(SIGPIPE, SIG_IGN);	  /* a log that nobody reads any more ends nobody */
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with valid arguments */
}

static void __attribute__((noreturn))
proc_child(const struct proc_spec *spec, char *const *argv, char *const *envp, pid_t parent)
{
	int fd;

	proc_reset_signals();
	(void)umask(077); /* returns the old one, cannot fail */
	fd = proc_arrange_fds(spec, spec->exec_fd);
	/* In a session of its own: an interrupt typed at our terminal is ours to act on, in order. */
	(void)setsid();
	if (fd >= 0 && proc_drop_uid(spec) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) {
		if (getppid() != parent)
			_exit(127); /* it died before we asked to die with it */
		(void)syscall(
		    SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH); /* returns only on failure */
	}
	log_err("proc.exec_failed program=%s error=\"%s\"", spec->name, strerror(errno));
	_exit(127);
}

static void
proc_environment(char *envp[8], char store[4][512])
{
	static const char *const keep[] = { "JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS",
		"LSAN_OPTIONS" };
	static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C";
	size_t n = 0;

	envp[n++] = path;
	envp[n++] = lang;
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		const char *value = getenv(keep[i]);

		if (value != NULL &&
		    str_format(store[i], sizeof(store[i]), "%s=%s", keep[i], value) == 0)
			envp[n++] = store[i];
	}
	envp[n] = NULL;
}

int
proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	char *argv[PROC_ARGS_MAX + 2] = { (char *)(uintptr_t)spec->name };
	char env_store[4][512];
	char *envp[8];
	pid_t parent = getpid(), pid;
	int pidfd;

	for (size_t i = 0; spec->argv != NULL && spec->argv[i] != NULL; i++) {
		if (i >= PROC_ARGS_MAX)
			return ERR_LIMIT;
		argv[i + 1] = (char *)(uintptr_t)spec->argv[i];
	}
	if (spec->n_fds > PROC_FDS_MAX)
		return ERR_LIMIT;
	proc_environment(envp, env_store);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		proc_child(spec, argv, envp, parent);
	pidfd = proc_pidfd(pid);
	if (pidfd < 0) {
		int r = -errno;

		(void)kill(
		    pid, SIGKILL); /* our own child, not yet collected: the pid is still its */
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

int
proc_kill(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) != 0 ? -errno : 0;
}

int
proc_kill_group(pid_t pid, int signo)
{
	return kill(-pid, signo) != 0 ? -errno : 0;
}

int
proc_collect(pid_t pid, int *ret_status)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got == 0)
		return -EAGAIN;
	*ret_status = status;
	return 0;
}

char *
proc_status_text(char *dst, size_t size, int status)
{
	if (WIFSIGNALED(status))
		(void)snprintf(
		    dst, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(dst, size, "exit %d", WEXITSTATUS(status));
	return dst;
}
