/*
 * PAM conversations: one bastiond-auth for each that policy wants, with an edge to policy and one to who speaks with the person.
 * Whatever becomes of it, and of everybody else, policy hears of its end once, when it is dead and all that it started with it.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/wiring_priv.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define AUTH_HOW_MAX 128u /* bytes of how it ended */

/* Of the running policy: those of the one before it, which end, have numbers of their own. */
static struct auth *
auth_find(struct wiring *w, uint32_t conn, uint32_t attempt)
{
	struct auth *a;

	LIST_FOREACH (a, &w->auths, link)
		if (a->conn == conn && a->attempt == attempt &&
		    a->policy_generation == w->policy.generation)
			return a;
	return NULL;
}

static void
auth_free(struct auth *a)
{
	LIST_REMOVE(a, link);
	a->w->n_auths--;
	process_free(a->process);
	ipc_free(a->edge);
	loop_timer_free(a->timer);
	free(a);
}

static void
auth_put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Without an allocation: policy waits for this word, and it is said or policy's edge breaks. */
static int
auth_tell_gone(struct wiring *w, uint32_t conn, uint32_t attempt, const char *how)
{
	uint8_t m[8 + AUTH_HOW_MAX];
	size_t len = strnlen(how, AUTH_HOW_MAX);

	auth_put_u32(m, attempt);
	auth_put_u32(m + 4, (uint32_t)len);
	memcpy(m + 8, how, len);
	return ipc_send(w->policy.edge, POL_AUTH_GONE, conn, m, 8 + len);
}

/* Closing its edge is what tells it; it ends what it has started, and itself. */
static void
auth_end(struct auth *a, const char *why)
{
	if (a->edge == NULL)
		return;
	a->why = why;
	ipc_free(a->edge);
	a->edge = NULL;
	loop_timer_arm(a->timer, WIRING_KILL_NS);
}

static void
auth_on_timer(void *arg)
{
	struct auth *a = arg;

	if (a->edge != NULL) {
		auth_end(a, "timeout");
		return;
	}
	log_warn("auth.slow_end conn=%u attempt=%u next=\"it is killed\"", a->conn, a->attempt);
	process_kill(a->process, SIGKILL);
}

static void
auth_on_gone(void *arg, int err)
{
	struct auth *a = arg;

	if (err != ERR_PEER_GONE)
		log_err("auth.edge_broken conn=%u attempt=%u reason=\"%s\" next=\"it is killed\"",
		    a->conn, a->attempt, err_str(err));
	ipc_free(a->edge);
	a->edge = NULL;
	loop_timer_arm(a->timer, err == ERR_PEER_GONE ? WIRING_KILL_NS : 0);
}

static void
auth_audit_crash(const struct auth *a, const char *how)
{
	struct json *e = json_event("auth.crashed");

	json_put_u64(e, "conn", a->conn);
	json_put_u64(e, "attempt", a->attempt);
	json_put_str(e, "reason", how);
	wiring_audit(a->w, e);
}

static void
auth_on_exit(void *arg, int status)
{
	struct auth *a = arg;
	struct wiring *w = a->w;
	char how[64];
	int r = 0;

	proc_status_text(how, sizeof(how), status);
	if (WIFSIGNALED(status) && !process_was_killed(a->process)) {
		log_err("auth.crashed conn=%u attempt=%u what=\"%s\"", a->conn, a->attempt, how);
		auth_audit_crash(a, how);
	} else {
		log_info("auth.ended conn=%u attempt=%u what=\"%s\"", a->conn, a->attempt,
		    a->why != NULL ? a->why : how);
	}
	a->process = NULL; /* freed by whoever called */
	if (service_is_up(&w->policy) && a->policy_generation == w->policy.generation)
		r = auth_tell_gone(w, a->conn, a->attempt, a->why != NULL ? a->why : how);
	if (r != 0)
		log_debug("auth.end_unheard conn=%u", a->conn); /* policy is ending */
	auth_free(a);
	wiring_changed(w);
}

/*
 * Anybody can begin one: a source that has one already gets none of the last quarter, so that those who have not are asked as well.
 * Who is logged in stands for themselves.
 */
static bool
auth_is_full(struct wiring *w, const struct conn *c)
{
	size_t max = w->settings->auth_processes;
	struct net_addr source = c->peer.source;
	const struct auth *a;

	if (w->n_auths >= max)
		return true;
	if (w->n_auths < max - max / 4 || c->authenticated || c->is_jump)
		return false;
	penalty_source(w->settings, &source);
	LIST_FOREACH (a, &w->auths, link)
		if (net_same(&a->source, &source))
			return true;
	return false;
}

/* Why there is no conversation now; NULL: there is. *ret_shell: who speaks with the person; NULL: the front. */
static const char *
auth_refusal(struct wiring *w, struct conn *c, uint32_t via, struct leg **ret_shell)
{
	*ret_shell = NULL;
	if (c == NULL || c->state < CONN_LOGIN || c->state == CONN_CLOSING || c->edge == NULL)
		return "not-started: the connection is over";
	if (via != 0 && (*ret_shell = shell_find(w, via, c)) == NULL)
		return "not-started: the shell is over";
	if (w->conf.programs->fd[PROGRAM_AUTH] < 0)
		return "not-started: bastiond-auth is not installed";
	if (auth_is_full(w, c))
		return "not-started: limits.auth_processes";
	return w->phase != WIRING_RUNS ? "not-started: the bastion is shutting down" : NULL;
}

static int
auth_send_start(struct auth *a)
{
	const struct settings *s = a->w->settings;
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_cstr(b, s->pam_service)) == 0 &&
	    (r = buf_put_cstr(b, s->pam_confdir)) == 0)
		r = ipc_send_buf(a->edge, BRK_AUTH_START, a->conn, b);
	buf_free(b);
	return r;
}

/* What modules may reach, as arguments: an option and a path each. */
#define AUTH_ARGS (1 + 3 * SETTINGS_PATHS_MAX)
#define AUTH_ARG_SIZE (PATH_MAX + 16)

struct auth_args {
	const char *argv[AUTH_ARGS + 1];
	size_t n;
	char text[AUTH_ARGS][AUTH_ARG_SIZE];
};

static int
auth_add_arg(struct auth_args *args, const char *option, const char *path)
{
	args->argv[args->n] = args->text[args->n];
	return str_format(args->text[args->n++], AUTH_ARG_SIZE, "--%s=%s", option, path);
}

static int
auth_fill_args(struct auth_args *args, const struct settings *s)
{
	const struct {
		const char *option;
		const struct settings_paths *paths;
	} lists[] = { { "read", &s->pam_read }, { "write", &s->pam_write },
		{ "run", &s->pam_run } };
	int r = s->pam_confdir[0] != '\0' ? auth_add_arg(args, "read", s->pam_confdir) : 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (size_t k = 0; r == 0 && k < lists[i].paths->n; k++)
			r = auth_add_arg(args, lists[i].option, lists[i].paths->path[k]);
	return r;
}

static int
auth_spawn(struct auth *a, int edge, int policy, int talk)
{
	const int fds[] = { edge, policy, talk };
	struct auth_args *args = calloc(1, sizeof(*args));
	struct proc_spec spec = { .fds = fds, .n_fds = 3, .group = true };
	int r = -ENOMEM;

	if (args == NULL)
		return r;
	spec.argv = args->argv;
	programs_spec(a->w->conf.programs, PROGRAM_AUTH, &spec);
	if ((r = auth_fill_args(args, a->w->settings)) == 0)
		r = process_start(
		    a->w->conf.loop, a->w->conf.ops, &spec, auth_on_exit, a, &a->process);
	free(args);
	return r;
}

/* It runs: both others get their ends. One that cannot is ending, and so is this. */
static void
auth_hand_out(struct auth *a, struct conn *c, struct leg *shell, int policy, int talk)
{
	const uint8_t attempt[] = { (uint8_t)(a->attempt >> 24), (uint8_t)(a->attempt >> 16),
		(uint8_t)(a->attempt >> 8), (uint8_t)a->attempt };
	int r = ipc_send_fds(
	    a->w->policy.edge, POL_AUTH_EDGE, a->conn, attempt, sizeof(attempt), &policy, 1);

	if (r == 0 && shell != NULL)
		r = ipc_send_fds(shell->edge, BRK_SHELL_AUTH, shell->id, NULL, 0, &talk, 1);
	else if (r == 0)
		r = ipc_send_fds(c->edge, BRK_FRONT_AUTH, c->id, NULL, 0, &talk, 1);
	if (r != 0)
		auth_end(a, "stopped");
}

/* The process and its three edges. 0; negative: there is no process. */
static int
auth_start(struct auth *a, struct conn *c, struct leg *shell)
{
	const struct ipc_conf edge = { .name = "auth", .arg = a, .gone = auth_on_gone };
	int own[2] = { -1, -1 }, policy[2] = { -1, -1 }, talk[2] = { -1, -1 }, r;

	if ((r = ipc_pair(own)) != 0 || (r = ipc_pair(policy)) != 0 || (r = ipc_pair(talk)) != 0 ||
	    (r = ipc_new(a->w->conf.loop, own[0], &edge, &a->edge)) != 0)
		goto out;
	own[0] = -1;
	if ((r = auth_send_start(a)) == 0 && (r = auth_spawn(a, own[1], policy[1], talk[1])) == 0) {
		loop_timer_arm(a->timer, a->w->settings->pam_timeout_ns + AUTH_OVERTIME_NS);
		log_info("auth.started conn=%u attempt=%u via=%u pid=%d", a->conn, a->attempt,
		    a->via, (int)process_pid(a->process));
		auth_hand_out(a, c, shell, policy[0], talk[0]);
	}
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&own[i]);
		fd_close(&policy[i]);
		fd_close(&talk[i]);
	}
	return r;
}

static struct auth *
auth_new(struct wiring *w, const struct conn *c, uint32_t attempt, uint32_t via)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	*a = (struct auth){
		.w = w, .conn = c->id, .attempt = attempt, .via = via, .source = c->peer.source
	};
	penalty_source(w->settings, &a->source);
	if (loop_timer_new(w->conf.loop, auth_on_timer, a, &a->timer) != 0) {
		free(a);
		return NULL;
	}
	a->policy_generation = w->policy.generation;
	LIST_INSERT_HEAD(&w->auths, a, link);
	w->n_auths++;
	return a;
}

int
auth_want(struct wiring *w, uint32_t conn, uint32_t attempt, uint32_t via)
{
	struct conn *c = conn_find(w, conn);
	struct leg *shell;
	const char *why;
	struct auth *a;
	int r;

	if (attempt == 0 || auth_find(w, conn, attempt) != NULL)
		return ERR_ORDER;
	if ((why = auth_refusal(w, c, via, &shell)) != NULL) {
		log_notice("auth.refused conn=%u attempt=%u reason=\"%s\"", conn, attempt, why);
		return auth_tell_gone(w, conn, attempt, why);
	}
	if ((a = auth_new(w, c, attempt, via)) == NULL)
		return auth_tell_gone(w, conn, attempt, "not-started: out of memory");
	if ((r = auth_start(a, c, shell)) == 0)
		return 0;
	log_err("auth.not_started conn=%u attempt=%u reason=\"%s\"", conn, attempt, err_str(r));
	auth_free(a);
	return auth_tell_gone(w, conn, attempt, "not-started: it could not be started");
}

void
auth_stop(struct wiring *w, uint32_t conn, uint32_t attempt)
{
	struct auth *a = auth_find(w, conn, attempt);

	if (a != NULL)
		auth_end(a, "stopped");
}

void
auth_conn_gone(struct wiring *w, uint32_t conn)
{
	struct auth *a;

	LIST_FOREACH (a, &w->auths, link)
		if (a->conn == conn)
			auth_end(a, "stopped");
}

void
auth_shell_gone(struct wiring *w, uint32_t leg)
{
	struct auth *a;

	LIST_FOREACH (a, &w->auths, link)
		if (a->via == leg)
			auth_end(a, "stopped");
}

void
auth_policy_down(struct wiring *w)
{
	struct auth *a;

	LIST_FOREACH (a, &w->auths, link) {
		a->policy_generation = 0;
		auth_end(a, "stopped");
	}
}

void
auth_kill_all(struct wiring *w)
{
	struct auth *a;

	LIST_FOREACH (a, &w->auths, link)
		process_kill(a->process, SIGKILL);
}

void
auth_free_all(struct wiring *w)
{
	struct auth *next;

	for (struct auth *a = LIST_FIRST(&w->auths); a != NULL; a = next) {
		next = LIST_NEXT(a, link);
		auth_free(a);
	}
}
