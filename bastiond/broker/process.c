/* Started programs, each watched through its pidfd. */
#include "config.h"

#include <sys/epoll.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "bastiond/broker/process.h"
#include "lib/file.h"
#include "lib/log.h"

struct process {
	const struct process_ops *ops;
	pid_t pid;
	int pidfd;
	struct loop_io *io;
	bool killed;
	bool group; /* as of struct proc_spec */
	process_fn ended;
	void *arg;
};

const struct process_ops process_real = { proc_spawn, proc_kill, proc_collect, proc_kill_group };

static void
process_on_end(void *arg, uint32_t revents)
{
	struct process *p = arg;
	int status;

	(void)revents;
	/* Before it is collected: its number, and so its group's, is nobody else's yet. Mostly there is nobody left. */
	if (p->group)
		(void)!p->ops->kill_group(p->pid, SIGKILL);
	if (p->ops->collect(p->pid, &status) != 0)
		return; /* not yet: the loop comes back */
	p->ended(p->arg, status);
	process_free(p);
}

int
process_start(struct loop *l, const struct process_ops *ops, const struct proc_spec *spec,
    process_fn ended, void *arg, struct process **ret_process)
{
	struct process *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (p == NULL)
		return r;
	*p = (struct process){
		.ops = ops, .pidfd = -1, .group = spec->group, .ended = ended, .arg = arg
	};
	if ((r = ops->spawn(spec, &p->pid, &p->pidfd)) != 0)
		goto out;
	if ((r = loop_add(l, p->pidfd, EPOLLIN, process_on_end, p, &p->io)) != 0) {
		int status;

		process_kill(p, SIGKILL);
		(void)ops->collect(p->pid, &status); /* if it is too early, init collects it */
		goto out;
	}
	*ret_process = p;
	p = NULL;
out:
	process_free(p);
	return r;
}

void
process_kill(struct process *p, int signo)
{
	int r;

	if (p == NULL)
		return;
	if (signo == SIGKILL)
		p->killed = true;
	if (signo == SIGKILL && p->group)
		(void)!p->ops->kill_group(p->pid, signo); /* none yet, when it has just begun */
	if ((r = p->ops->kill(p->pidfd, signo)) != 0 && r != -ESRCH)
		log_err("process.kill_failed pid=%d signal=%d reason=\"%s\"", (int)p->pid, signo,
		    err_str(r));
}

pid_t
process_pid(const struct process *p)
{
	return p->pid;
}

bool
process_was_killed(const struct process *p)
{
	return p->killed;
}

void
process_free(struct process *p)
{
	if (p == NULL)
		return;
	loop_del(p->io);
	fd_close(&p->pidfd);
	free(p);
}
