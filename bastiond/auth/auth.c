/* The half with the edges: its start, its order, and every way in which it ends. */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bastiond/auth/auth.h"
#include "bastiond/auth/stack.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"
#include "policy/policy_proto.h"

#define STACK_FD 3
#define STACK_CPU 60 /* seconds of processor time */

/*
 * Policy closes its edge once it has the outcome. Before that nobody may see us end: policy would hear of it from the broker, on
 * another socket, perhaps before it has read this one.
 */
static void
stop_when_heard(struct auth *a)
{
	if (a->over && a->policy == NULL)
		loop_stop(a->loop);
}

static void
kill_stack(const struct auth *a)
{
	if (a->stack_pid != 0)
		(void)kill(a->stack_pid, SIGKILL); /* ours, and not collected: it is still it */
}

void
auth_finish(struct auth *a, uint8_t kind, const char *said)
{
	if (a->over)
		return;
	a->over = true;
	auth_tell(a, kind, said);
	kill_stack(a);
	loop_timer_arm(a->timer, AUTH_LAST_NS);
	stop_when_heard(a);
}

static void
on_timer(void *arg)
{
	struct auth *a = arg;

	if (a->over)
		loop_stop(a->loop);
	else
		auth_finish(a, POL_PAM_ABANDONED, "it took too long");
}

/* The order: from the broker which stack, from policy for whom. */

static int
send_start(struct auth *a)
{
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_cstr(b, a->service)) == 0 &&
	    (r = buf_put_cstr(b, a->confdir)) == 0 &&
	    (r = buf_put(b, buf_ptr(a->order), buf_len(a->order))) == 0)
		r = ipc_send_buf(a->stack, STACK_START, 0, b);
	buf_free(b);
	return r;
}

static void
start_when_ordered(struct auth *a)
{
	if (a->service[0] == '\0' || a->order == NULL || a->stack == NULL || a->over)
		return;
	a->started = true;
	if (send_start(a) != 0)
		auth_finish(a, POL_PAM_BROKEN, "it could not be started");
}

static int
on_broker_start(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct auth *a = arg;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, a->service, sizeof(a->service))) == 0 &&
	    (r = buf_get_cstr(b, a->confdir, sizeof(a->confdir))) == 0 && (r = buf_end(b)) == 0) {
		ipc_set_state(a->broker, 1);
		start_when_ordered(a);
	}
	buf_free(b);
	return r;
}

/* Five strings, in their place a port, and behind them the time that there is. */
static int
check_order(struct buf *b, uint64_t *ret_longest_ns)
{
	const uint8_t *p;
	uint32_t port;
	size_t len;
	int r = 0;

	for (int i = 0; r == 0 && i < 5; i++) {
		if (i == 2) /* behind the address */
			r = buf_get_u32(b, &port);
		if (r == 0)
			r = buf_get_str(b, &p, &len);
	}
	if (r != 0 || (r = buf_get_u64(b, ret_longest_ns)) != 0)
		return r;
	return buf_end(b);
}

static int
on_policy_start(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len), *order = buf_new(msg->len);
	struct auth *a = arg;
	uint64_t longest_ns;
	int r = -ENOMEM;

	if (b == NULL || order == NULL || (r = check_order(b, &longest_ns)) != 0 ||
	    (r = buf_put(order, msg->data, msg->len)) != 0)
		goto out;
	a->order = order;
	order = NULL;
	ipc_set_state(a->policy, 1);
	if (!a->over)
		loop_timer_arm(a->timer, longest_ns);
	start_when_ordered(a);
out:
	buf_free(order);
	buf_free(b);
	return r;
}

/* The edges. */

static int
on_stage(void *arg, struct ipc_msg *msg)
{
	struct auth *a = arg;

	if (msg->data[0] >= STACK_N_STAGES)
		return ERR_FORMAT;
	a->stage = msg->data[0];
	return 0;
}

static const struct ipc_rule broker_rules[] = {
	{ BRK_AUTH_START, "start", 8, 8192, 0, 1u << 0, on_broker_start },
};
static const struct ipc_rule policy_rules[] = {
	{ POL_PAM_START, "pam-start", 32, 16384, 0, 1u << 0, on_policy_start },
};
static const struct ipc_rule talk_rules[] = {
	{ AUTH_ANSWER, "answer", 4, 4 + AUTH_PROMPTS_MAX *(4 + AUTH_ANSWER_MAX), 0, IPC_ANY_STATE,
	    auth_on_answer },
};
static const struct ipc_rule stack_rules[] = {
	{ STACK_STAGE, "stage", 1, 1, 0, IPC_ANY_STATE, on_stage },
	{ STACK_ASK, "ask", 4, IPC_MAX, 0, IPC_ANY_STATE, auth_on_ask },
	{ STACK_RESULT, "result", 17, IPC_MAX, 0, IPC_ANY_STATE, auth_on_result },
};

static void
drop_edge(struct ipc **edge, const char *name, int err)
{
	if (err != ERR_PEER_GONE)
		log_warn("auth.edge_broken edge=%s reason=\"%s\"", name, err_str(err));
	ipc_free(*edge);
	*edge = NULL;
}

static void
on_broker_gone(void *arg, int err)
{
	struct auth *a = arg;

	drop_edge(&a->broker, "broker", err);
	auth_finish(a, POL_PAM_ABANDONED, "it is no longer wanted");
}

static void
on_policy_gone(void *arg, int err)
{
	struct auth *a = arg;

	drop_edge(&a->policy, "policy", err);
	auth_finish(a, POL_PAM_ABANDONED, "");
	stop_when_heard(a);
}

static void
on_talk_gone(void *arg, int err)
{
	struct auth *a = arg;

	drop_edge(&a->talk, "talk", err);
	if (!a->told)
		auth_finish(a, POL_PAM_ABANDONED,
		    err == ERR_PEER_GONE ? "the person left"
					 : "who speaks with the person broke the rules");
}

/*
 * It has ended, or a module has closed what was not its own: then it is made to end. How it ended says which, and comes from
 * on_child().
 */
static void
on_stack_gone(void *arg, int err)
{
	struct auth *a = arg;

	drop_edge(&a->stack, "stack", err);
	if (err != ERR_PEER_GONE)
		auth_finish(a, POL_PAM_BROKEN, "the PAM stack does not speak as it should");
	else
		kill_stack(a);
}

/* After all that it had said was read. */
static void
on_stack_ended(void *arg)
{
	struct auth *a = arg;
	char how[64], said[128];

	proc_status_text(how, sizeof(how), a->stack_status);
	(void)snprintf(said, sizeof(said), "the PAM stack ended by itself (%s)", how);
	if (!a->told)
		log_warn("auth.stack_ended service=\"%s\" what=\"%s\"", a->service, how);
	auth_finish(a, POL_PAM_BROKEN, said);
}

static void
on_child(void *arg, int signo)
{
	struct auth *a = arg;

	(void)signo;
	/* Others are collected at the end. */
	if (a->stack_pid == 0 || proc_collect(a->stack_pid, &a->stack_status) != 0)
		return;
	a->stack_pid = 0;
	loop_timer_arm(a->ended_timer, 0);
}

/* The start. */

static void
limit_time(void)
{
	const struct rlimit lim = { STACK_CPU, STACK_CPU };

	(void)setrlimit(RLIMIT_CPU, &lim); /* one that has less keeps it */
}

/*
 * In the new process: nothing of ours but the socket, an environment that says nothing, bounds. What modules print goes
 * nowhere (standard input is /dev/null): the log is not theirs.
 */
static void __attribute__((noreturn))
be_stack(int fd, pid_t parent, const struct sandbox_path *paths, size_t n_paths)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    dup2(fd, STACK_FD) != STACK_FD || dup2(STDIN_FILENO, STDOUT_FILENO) < 0)
		_exit(1);
#ifndef WITH_SANITIZER /* which reports there */
	if (dup2(STDIN_FILENO, STDERR_FILENO) < 0)
		_exit(1);
#endif
	if (syscall(SYS_close_range, STACK_FD + 1u, ~0u, 0) != 0 || clearenv() != 0 ||
	    setenv("PATH", "/usr/bin:/bin", 1) != 0 || chdir("/") != 0)
		_exit(1);
	limit_time();
	if (sandbox_enter(SANDBOX_STACK, paths, n_paths) != 0)
		_exit(1);
	stack_run(STACK_FD);
}

/* *ret_fd: our end of its socket, owned by caller. */
static int
start_stack(struct auth *a, const struct sandbox_path *paths, size_t n_paths, int *ret_fd)
{
	pid_t parent = getpid();
	int pair[2], r;

	if ((r = sandbox_signals_inside()) != 0)
		return r;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return -errno;
	if ((r = ipc_pair(pair)) != 0)
		return r;
	if ((a->stack_pid = fork()) < 0) {
		r = -errno;
		a->stack_pid = 0;
		fd_close(&pair[0]);
	} else if (a->stack_pid == 0) {
		be_stack(pair[1], parent, paths, n_paths);
	} else {
		*ret_fd = pair[0];
	}
	fd_close(&pair[1]);
	return r;
}

static int
listen_to(struct auth *a, const struct auth_fds *fds, int stack_fd)
{
	struct {
		int fd;
		struct ipc **edge;
		struct ipc_conf conf;
	} all[] = {
		{ fds->broker, &a->broker,
		    { .name = "broker",
			.rules = broker_rules,
			.n_rules = 1,
			.gone = on_broker_gone } },
		{ fds->policy, &a->policy,
		    { .name = "policy",
			.rules = policy_rules,
			.n_rules = 1,
			.gone = on_policy_gone } },
		{ fds->talk, &a->talk,
		    { .name = "talk", .rules = talk_rules, .n_rules = 1, .gone = on_talk_gone } },
		{ stack_fd, &a->stack,
		    { .name = "stack",
			.rules = stack_rules,
			.n_rules = 3,
			.gone = on_stack_gone } },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
		all[i].conf.arg = a;
		r = ipc_new(a->loop, all[i].fd, &all[i].conf, all[i].edge);
	}
	return r;
}

int
auth_init(struct auth *a, const struct auth_fds *fds, const struct sandbox_path *paths,
    size_t n_paths, int (*close_sandbox)(void))
{
	static const int child[] = { SIGCHLD };
	int stack_fd = -1, r;

	if ((r = start_stack(a, paths, n_paths, &stack_fd)) != 0)
		return r;
	if ((r = close_sandbox()) == 0 && (r = loop_new(&a->loop)) == 0 &&
	    (r = loop_signals(a->loop, child, 1, on_child, a)) == 0 &&
	    (r = loop_timer_new(a->loop, on_timer, a, &a->timer)) == 0 &&
	    (r = loop_timer_new(a->loop, on_stack_ended, a, &a->ended_timer)) == 0)
		r = listen_to(a, fds, stack_fd);
	/* One that ended before we listened. */
	if (r == 0)
		on_child(a, SIGCHLD);
	return r;
}

void
auth_done(struct auth *a)
{
	kill_stack(a);
	auth_reap();
	buf_free(a->order);
	ipc_free(a->broker);
	ipc_free(a->policy);
	ipc_free(a->talk);
	ipc_free(a->stack);
	loop_timer_free(a->timer);
	loop_timer_free(a->ended_timer);
	loop_free(a->loop);
}
