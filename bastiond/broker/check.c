/* A policy process for one question. The answer is given when it has ended, so that nothing of it is left. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bastiond/broker/check.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define CHECK_LAST_NS (2 * CLOCK_NS_PER_S) /* from its answer to its end */

struct check {
	struct process *process;
	struct ipc *edge;
	struct loop_timer *timer;
	check_fn done;
	void *arg;
	bool answered, good;
	char text[512];
};

static int
check_on_loaded(void *arg, struct ipc_msg *msg)
{
	struct check *c = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *p;
	uint8_t good;
	size_t len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &good)) == 0 && (r = buf_get_str(b, &p, &len)) == 0 &&
	    (r = buf_end(b)) == 0) {
		c->answered = true;
		c->good = good == 1;
		str_escape(c->text, sizeof(c->text), p, len);
		r = ERR_PEER_GONE; /* enough: the edge ends, and policy with it */
	}
	buf_free(b);
	return r;
}

static const struct ipc_rule check_rules[] = {
	{ POL_LOADED, "loaded", 5, IPC_MAX, 0, IPC_ANY_STATE, check_on_loaded },
};

static void
check_on_gone(void *arg, int err)
{
	struct check *c = arg;

	(void)err;
	ipc_free(c->edge);
	c->edge = NULL;
	loop_timer_arm(c->timer, CHECK_LAST_NS);
}

static void
check_on_timer(void *arg)
{
	struct check *c = arg;

	if (!c->answered)
		(void)snprintf(c->text, sizeof(c->text), "bastiond-policy did not answer in time");
	process_kill(c->process, SIGKILL);
}

static void
check_on_exit(void *arg, int status)
{
	struct check *c = arg;
	char how[64];

	c->process = NULL;
	if (!c->answered && c->text[0] == '\0')
		(void)snprintf(c->text, sizeof(c->text),
		    "bastiond-policy ended without an answer: %s",
		    proc_status_text(how, sizeof(how), status));
	c->done(c->arg, c->answered && c->good, c->text);
	check_free(c);
}

int
check_start(struct loop *l, const struct process_ops *ops, const struct programs *programs,
    const struct settings *s, const struct policy_files *f, check_fn done, void *arg,
    struct check **ret_check)
{
	struct ipc_conf edge = {
		.name = "policy-check", .rules = check_rules, .n_rules = 1, .gone = check_on_gone
	};
	struct check *c = calloc(1, sizeof(*c));
	int pair[2] = { -1, -1 }, r = -ENOMEM;
	struct proc_spec spec = { .fds = &pair[1], .n_fds = 1 };

	if (c == NULL)
		return r;
	*c = (struct check){ .done = done, .arg = arg };
	edge.arg = c;
	programs_spec(programs, PROGRAM_POLICY, &spec);
	if ((r = loop_timer_new(l, check_on_timer, c, &c->timer)) != 0 ||
	    (r = ipc_pair(pair)) != 0 || (r = ipc_new(l, pair[0], &edge, &c->edge)) != 0)
		goto out;
	pair[0] = -1;
	if ((r = policy_files_send(f, s, c->edge, 1, 0)) != 0 ||
	    (r = process_start(l, ops, &spec, check_on_exit, c, &c->process)) != 0)
		goto out;
	loop_timer_arm(c->timer, CHECK_WAIT_NS);
	*ret_check = c;
	c = NULL;
out:
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	check_free(c);
	return r;
}

void
check_free(struct check *c)
{
	if (c == NULL)
		return;
	process_free(c->process);
	ipc_free(c->edge);
	loop_timer_free(c->timer);
	free(c);
}
