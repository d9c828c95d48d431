/* One started program: spawn, watch, signal, collect. The calls are a table, so that tests can play the programs. */
#ifndef BASTION_BROKER_PROCESS_H
#define BASTION_BROKER_PROCESS_H

#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/proc.h"

struct process_ops {
	/* As proc_spawn(), proc_kill(), proc_collect() and proc_kill_group(). */
	int (*spawn)(const struct proc_spec *spec, pid_t *ret_pid, int *ret_pidfd);
	int (*kill)(int pidfd, int signo);
	int (*collect)(pid_t pid, int *ret_status);
	int (*kill_group)(pid_t pid, int signo);
};
extern const struct process_ops process_real;

struct process;

/* It ended; status as of waitpid(2). The process is freed right after the call: forget the pointer there. */
typedef void (*process_fn)(void *arg, int status);

/* Start spec's program. *ret_process: belongs to the loop until it has ended. 0; -errno. */
int process_start(struct loop *l, const struct process_ops *ops, const struct proc_spec *spec,
    process_fn ended, void *arg, struct process **ret_process) MUST_CHECK;
/* Send a signal; NULL is allowed. One that has just ended is told through ended(). */
void process_kill(struct process *p, int signo);
pid_t process_pid(const struct process *p);
/* Whether process_kill(p, SIGKILL) was called: its end is then no crash. */
bool process_was_killed(const struct process *p);
/* Stop watching, at the very end: the program dies with us. NULL is allowed. */
void process_free(struct process *p);

#endif
