/*
 * The bastion's own shell: asked for by a front, granted by policy, started as the back of a leg without a vault's part. Its edge,
 * the links of the legs that policy grants to it, and the one reader that shows it the sessions of its person.
 */
#include "config.h"

#include <errno.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/wiring_priv.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

int
shell_ask(struct conn *c)
{
	/* Who is logged in to a host has none; once is enough for everybody. */
	if (c->is_jump || c->wanted_shell || c->state < CONN_LOGIN)
		return ERR_ORDER;
	c->wanted_shell = true;
	/* Whether it is logged in, and without a host, is policy's to say: its word to us may still be on the way. */
	if (!service_is_ready(&c->w->policy) || c->policy_generation != c->w->policy.generation ||
	    ipc_send(c->w->policy.edge, POL_WANT_SHELL, c->id, NULL, 0) != 0)
		conn_refuse_leg(c, 0, "the bastion's policy was restarted: please connect again");
	return 0;
}

int
shell_denied(struct conn *c, struct buf *b)
{
	const uint8_t *p;
	char line[512];
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0 || (r = buf_end(b)) != 0)
		return r;
	conn_refuse_leg(c, 0, str_escape(line, sizeof(line), p, len));
	return 0;
}

struct leg *
shell_find(struct wiring *w, uint32_t via, const struct conn *c)
{
	struct leg *l = leg_find(w, via);

	return l != NULL && l->kind == POL_BACK_SHELL && l->conn == c && l->state == LEG_RUNNING &&
		       l->edge != NULL
		   ? l
		   : NULL;
}

void
shell_give_link(struct leg *shell, uint32_t leg, int fd)
{
	if (ipc_send_fds(shell->edge, BRK_SHELL_LINK, leg, NULL, 0, &fd, 1) != 0)
		log_debug("shell.link_unheard leg=%u for=%u", shell->id, leg);
}

void
shell_refuse_leg(struct leg *shell, uint32_t leg, const char *line)
{
	if (wiring_send_text(shell->edge, BRK_SHELL_REFUSED, leg, line) != 0)
		log_debug("shell.refusal_unheard leg=%u for=%u", shell->id, leg);
}

/* Recordings. */

static void
shell_no_edge(struct leg *l, const char *line)
{
	if (l->edge != NULL && wiring_send_text(l->edge, BRK_SHELL_NO_EDGE, l->question, line) != 0)
		log_debug("shell.answer_unheard leg=%u", l->id);
}

/* The event of the view is on disk: only now a reader starts. */
static void
shell_view_durable(void *arg, bool ok)
{
	struct leg *l = arg;
	const char *args[] = { "list", "--identity", NULL, NULL };
	int fd = -1;

	l->asks_sessions = false;
	if (l->edge == NULL || l->conn == NULL)
		return;
	args[2] = l->conn->identity;
	if (!ok) {
		shell_no_edge(l, "the recorder stopped before this view was noted: try again");
	} else if (wiring_reader_for_leg(l->w, l->id, args, &fd) != 0) {
		shell_no_edge(l, "the recordings cannot be read now: try again");
	} else {
		if (ipc_send_fds(l->edge, BRK_SHELL_EDGE, l->question, NULL, 0, &fd, 1) != 0)
			log_debug("shell.answer_unheard leg=%u", l->id);
		fd_close(&fd);
	}
}

static int
shell_on_sessions(void *arg, struct ipc_msg *msg)
{
	struct leg *l = arg;
	struct json *e;

	if (l->asks_sessions)
		return ERR_ORDER;
	l->question = msg->id;
	if (l->conn == NULL || l->conn->identity[0] == '\0') {
		shell_no_edge(l, "this connection is ending");
		return 0;
	}
	e = json_event("record.viewed");
	json_put_str(e, "by", l->conn->identity);
	json_put_str(e, "what", "list");
	json_put_null(e, "session");
	json_put_str(e, "of", l->conn->identity);
	json_put_u64(e, "leg", l->id);
	l->asks_sessions = true;
	if (wiring_audit_wait(l->w, e, shell_view_durable, l) != 0) {
		l->asks_sessions = false;
		shell_no_edge(
		    l, "the recorder does not run, so the view cannot be noted: try again");
	}
	return 0;
}

void
shell_forget(struct leg *l)
{
	auth_shell_gone(l->w, l->id);
	if (l->asks_sessions)
		wiring_audit_forget(l->w, l);
	l->asks_sessions = false;
}

static const struct ipc_rule shell_rules[] = {
	{ BRK_SHELL_SESSIONS, "sessions", 0, 0, 0, IPC_ANY_STATE, shell_on_sessions },
};

/* Its start. */

static int
shell_send_start(struct leg *l)
{
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_str(b, buf_ptr(l->back_part), buf_len(l->back_part))) == 0)
		r = ipc_send_buf(l->edge, BRK_SHELL_START, l->id, b);
	buf_free(b);
	return r;
}

static int
shell_tell_policy(struct leg *l, int fd)
{
	struct wiring *w = l->w;

	if (!service_is_ready(&w->policy) || l->policy_generation != w->policy.generation)
		return ERR_ORDER;
	return ipc_send_fds(w->policy.edge, POL_SHELL_EDGE, l->id, NULL, 0, &fd, 1);
}

static int
shell_spawn(struct leg *l, process_fn ended, int edge, int policy)
{
	const int fds[] = { edge, l->back_link, policy };
	struct proc_spec spec = { .fds = fds, .n_fds = 3 };

	programs_spec(l->w->conf.programs, PROGRAM_SHELL, &spec);
	return process_start(l->w->conf.loop, l->w->conf.ops, &spec, ended, l, &l->back);
}

int
shell_start(struct leg *l, process_fn ended, void (*gone)(void *arg, int err))
{
	const struct ipc_conf edge = { .name = "shell",
		.rules = shell_rules,
		.n_rules = sizeof(shell_rules) / sizeof(shell_rules[0]),
		.arg = l,
		.gone = gone };
	int own[2] = { -1, -1 }, policy[2] = { -1, -1 }, r;

	if ((r = ipc_pair(own)) != 0 || (r = ipc_pair(policy)) != 0 ||
	    (r = ipc_new(l->w->conf.loop, own[0], &edge, &l->edge)) != 0)
		goto out;
	own[0] = -1;
	if ((r = shell_send_start(l)) == 0 && (r = shell_tell_policy(l, policy[0])) == 0)
		r = shell_spawn(l, ended, own[1], policy[1]);
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&own[i]);
		fd_close(&policy[i]);
	}
	return r;
}
