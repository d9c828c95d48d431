/* The shell's edges, its start and its end. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/shell/shell.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define LINK_QUEUE_MAX                                                                             \
	16384u /* frames that wait for the recorder: what credit lets a channel say, many times */

enum broker_state { WANTS_START, STARTED };

/* All that is to be said has been taken. */
static void
stop_when_said(struct shell *s)
{
	if (s->ended && LIST_EMPTY(&s->leaving) && (s->link == NULL || ipc_queued(s->link) == 0))
		loop_stop(s->loop);
}

void
shell_relay_left(struct shell *s)
{
	stop_when_said(s);
}

void
shell_end(struct shell *s, enum link_end code, const char *text)
{
	struct shell_chan *c;
	struct buf *b;

	if (s->ended)
		return;
	s->ended = true;
	log_info("shell.over code=%d text=\"%s\"", (int)code, text);
	while ((c = LIST_FIRST(&s->chans)) != NULL)
		chan_free(c);
	b = buf_new(512);
	if (s->link != NULL &&
	    (b == NULL || buf_put_u8(b, (uint8_t)code) != 0 || buf_put_cstr(b, text) != 0 ||
		ipc_send_buf(s->link, LINK_END, 0, b) != 0))
		log_debug("shell.end_unheard"); /* the recorder sees the link close */
	buf_free(b);
	stop_when_said(s);
}

/* The link to the person's front. */

static int
on_global(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	uint8_t answer[5] = { 0 }, want_reply;
	const uint8_t *name;
	uint32_t number;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &number)) == 0 &&
	    (r = buf_get_str(b, &name, &len)) == 0 && (r = buf_get_u8(b, &want_reply)) == 0 &&
	    want_reply != 0) {
		memcpy(answer, msg->data, 4);
		r = ipc_send(s->link, LINK_GLOBAL_REPLY, 0, answer, sizeof(answer));
	}
	buf_free(b);
	return r;
}

static int
on_note(void *arg, struct ipc_msg *msg)
{
	(void)arg;
	(void)msg;
	return 0;
}

static int
on_end(void *arg, struct ipc_msg *msg)
{
	(void)msg;
	shell_end(arg, LINK_END_CLIENT, "");
	return 0;
}

static void
on_link_gone(void *arg, int err)
{
	struct shell *s = arg;

	if (err != ERR_PEER_GONE)
		log_warn("shell.link_broken reason=\"%s\"", err_str(err));
	ipc_free(s->link);
	s->link = NULL;
	shell_end(s, LINK_END_RECORDER, "");
	stop_when_said(s);
}

static void
on_link_drained(void *arg)
{
	stop_when_said(arg);
}

#define FRAME(type, min, max)                                                                      \
	{                                                                                          \
		type, #type, min, max, 0, IPC_ANY_STATE, chan_frame                                \
	}

static const struct ipc_rule link_rules[] = {
	FRAME(LINK_OPEN, 4, IPC_MAX),
	FRAME(LINK_DATA, 1, LINK_DATA_MAX),
	FRAME(LINK_WINDOW, 4, 4),
	FRAME(LINK_EOF, 0, 0),
	FRAME(LINK_CLOSE, 0, 0),
	FRAME(LINK_REQUEST, 9, LINK_REQUEST_PART),
	FRAME(LINK_MORE, 0, LINK_REQUEST_PART),
	FRAME(LINK_REPLY, 5, 5),
	{ LINK_GLOBAL, "LINK_GLOBAL", 9, IPC_MAX, 0, IPC_ANY_STATE, on_global },
	{ LINK_NOTE, "LINK_NOTE", 1, IPC_MAX, 0, IPC_ANY_STATE, on_note },
	{ LINK_END, "LINK_END", 5, IPC_MAX, 0, IPC_ANY_STATE, on_end },
};

/* Policy. */

static const struct ipc_rule policy_rules[] = {
	{ POL_SHELL_ANSWER, "answer", 5, IPC_MAX, 0, IPC_ANY_STATE, ask_on_answer },
	{ POL_SHELL_CONNECTED, "connected", 8, IPC_MAX, 0, IPC_ANY_STATE, ask_on_connected },
};

static void
on_policy_gone(void *arg, int err)
{
	struct shell *s = arg;

	if (err != ERR_PEER_GONE)
		log_warn("shell.policy_broken reason=\"%s\"", err_str(err));
	ipc_free(s->policy);
	s->policy = NULL;
	ask_peer_gone(s);
}

/* The broker. */

static int
start_edges(struct shell *s)
{
	const struct ipc_conf link = { .name = "link",
		.queue_max = LINK_QUEUE_MAX,
		.rules = link_rules,
		.n_rules = sizeof(link_rules) / sizeof(link_rules[0]),
		.arg = s,
		.gone = on_link_gone,
		.drained = on_link_drained };
	const struct ipc_conf policy = { .name = "shell-policy",
		.rules = policy_rules,
		.n_rules = sizeof(policy_rules) / sizeof(policy_rules[0]),
		.arg = s,
		.gone = on_policy_gone };
	static const uint8_t ready = LINK_NOTE_READY;
	int r;

	if ((r = ipc_new(s->loop, s->link_fd, &link, &s->link)) != 0)
		return r;
	s->link_fd = -1;
	if ((r = ipc_new(s->loop, s->policy_fd, &policy, &s->policy)) != 0)
		return r;
	s->policy_fd = -1;
	return ipc_send(s->link, LINK_NOTE, 0, &ready, 1);
}

static int
on_start(void *arg, struct ipc_msg *msg)
{
	struct shell *s = arg;
	int r;

	(void)msg; /* the grant has nothing for a shell */
	if ((r = start_edges(s)) == 0)
		ipc_set_state(s->broker, STARTED);
	return r;
}

/* Policy is being asked for a leg whose number is not known yet: it may be this one. Those that it named have channels, or
 * were cancelled. */
static bool
may_be_asked(const struct shell *s, uint32_t leg)
{
	return !TAILQ_EMPTY(&s->asks) && TAILQ_FIRST(&s->asks)->kind == ASK_CONNECT &&
	       s->early.leg == 0 && leg > s->answered;
}

/* The link of a leg that policy granted; its number may come before policy's answer does. */
static int
on_link(void *arg, struct ipc_msg *msg)
{
	struct shell *s = arg;
	struct shell_chan *c = chan_find_leg(s, msg->id);
	int fd = msg->fds[0];

	msg->fds[0] = -1;
	if (c != NULL) {
		chan_connected(c, fd);
		return 0;
	}
	if (may_be_asked(s, msg->id)) {
		s->early.leg = msg->id;
		s->early.fd = fd;
		return 0;
	}
	relay_decline(fd);
	return 0;
}

static int
on_refused(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct shell *s = arg;
	struct shell_chan *c = chan_find_leg(s, msg->id);
	const uint8_t *p;
	char line[512];
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_str(b, &p, &len)) == 0 && (r = buf_end(b)) == 0) {
		str_plain(line, sizeof(line), p, len);
		if (c != NULL) {
			chan_refused(c, line);
		} else if (may_be_asked(s, msg->id)) {
			s->early.leg = msg->id;
			memcpy(s->early.line, line, sizeof(line));
		}
	}
	buf_free(b);
	return r;
}

#define IN(state) (1u << (state))

static const struct ipc_rule broker_rules[] = {
	{ BRK_SHELL_START, "start", 4, IPC_MAX, 0, IN(WANTS_START), on_start },
	{ BRK_SHELL_LINK, "link", 0, 0, 1, IN(STARTED), on_link },
	{ BRK_SHELL_REFUSED, "refused", 4, IPC_MAX, 0, IN(STARTED), on_refused },
	{ BRK_SHELL_AUTH, "auth", 0, 0, 1, IN(STARTED), factor_on_auth },
	{ BRK_SHELL_EDGE, "edge", 0, 0, 1, IN(STARTED), ask_on_edge },
	{ BRK_SHELL_NO_EDGE, "no-edge", 4, IPC_MAX, 0, IN(STARTED), ask_on_no_edge },
};

static void
on_broker_gone(void *arg, int err)
{
	struct shell *s = arg;

	if (err != ERR_PEER_GONE)
		log_warn("shell.broker_broken reason=\"%s\"", err_str(err));
	ipc_free(s->broker);
	s->broker = NULL;
	ask_peer_gone(s);
	shell_end(s, LINK_END_INTERNAL, "the bastion is stopping");
}

static bool
on_pass(void *arg)
{
	struct shell *s = arg;

	if (s->failed)
		shell_end(s, LINK_END_INTERNAL, "the bastion's shell cannot go on");
	return false;
}

int
shell_init(struct shell *s, const struct shell_fds *fds, int (*close_sandbox)(void))
{
	const struct ipc_conf broker = { .name = "shell-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = s,
		.gone = on_broker_gone };
	int r;

	*s = (struct shell){ .link_fd = fds->link,
		.policy_fd = fds->policy,
		.close_sandbox = close_sandbox,
		.early = { .fd = -1 } };
	LIST_INIT(&s->chans);
	LIST_INIT(&s->leaving);
	TAILQ_INIT(&s->asks);
	if ((s->answer = buf_new(SHELL_ANSWER_MAX)) == NULL)
		return -ENOMEM;
	if ((r = loop_new(&s->loop)) != 0 || (r = close_sandbox()) != 0)
		return r;
	loop_after_pass(s->loop, on_pass, s);
	return ipc_new(s->loop, fds->broker, &broker, &s->broker);
}

void
shell_done(struct shell *s)
{
	struct shell_chan *c;

	s->ended = true;
	while ((c = LIST_FIRST(&s->chans)) != NULL)
		chan_free(c);
	relay_free_leaving(s);
	factor_end(s);
	ask_free(s);
	fd_close(&s->early.fd);
	ipc_free(s->reader);
	ipc_free(s->policy);
	ipc_free(s->link);
	ipc_free(s->broker);
	fd_close(&s->link_fd);
	fd_close(&s->policy_fd);
	buf_free(s->answer);
	loop_free(s->loop);
}
