/* Starting our own programs: fork+exec of a descriptor opened at start, with exactly the descriptors named. */
#ifndef BASTION_PROC_H
#define BASTION_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/* Every program finds its edges at these numbers; which edge is which is written in its *_main.c. */
#define PROC_FD_FIRST 3

/* The folder of the daemons: that of the running program when they lie beside it (a build tree), else PKGLIBEXECDIR. */
int proc_libexec_dir(char *dst, size_t size) MUST_CHECK;
/* Open a program for later exec. ret_fd: owned by caller, close-on-exec. 0; -errno. */
int proc_open(const char *dir, const char *name, int *ret_fd) MUST_CHECK;

struct proc_spec {
	int exec_fd;		 /* from proc_open() */
	const char *name;	 /* argv[0] */
	const char *const *argv; /* further arguments, NULL-terminated; NULL: none */
	const int *
	    fds; /* borrowed; become PROC_FD_FIRST, PROC_FD_FIRST+1, ...; -1 leaves that number closed */
	size_t n_fds;
	bool group; /* for who watches it: with its end that of its process group is wanted */
	uid_t uid;  /* used when we are root and uid is not 0 */
	gid_t gid;
};

/*
 * Start it: empty environment but PATH, LANG=C, JOURNAL_STREAM and the sanitizers' options where set; stdin is
 * /dev/null, stdout and stderr ours; every other descriptor closed; a session of its own; dies with its parent; signals at their defaults. but
 * SIGPIPE ignored; umask 077.
 * ret_pidfd: owned by caller, readable when the program ends.  0; -errno.
 */
int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd) MUST_CHECK;
/* Send a signal to exactly the process that pidfd stands for. 0; -ESRCH it has ended; -errno. */
int proc_kill(int pidfd, int signo) MUST_CHECK;
/*
 * The same to every process of the group that proc_spawn() made for pid: what it started and left behind, too, unless
 * that went into a group of its own. Only before pid is collected: until then its number is nobody else's.
 */
int proc_kill_group(pid_t pid, int signo) MUST_CHECK;
/* Collect an ended program without waiting. *ret_status as of waitpid(2). 0; -EAGAIN still running; -errno. */
int proc_collect(pid_t pid, int *ret_status) MUST_CHECK;
/* "exit 3" or "signal 11 (Segmentation fault)". Returns dst. */
char *proc_status_text(char *dst, size_t size, int status);

#endif
