/* The back at work: the target's messages become frames, frames become messages; see bastiond/ssh/mux.h. */
#include "config.h"

#include <sys/epoll.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/back/back_priv.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/link_proto.h"

#define BACK_LINK_QUEUE 16u /* frames waiting for the recorder above which the target is not read */
#define BACK_EXPIRE_NS (5 * CLOCK_NS_PER_S)
#define BACK_END_NS (5 * CLOCK_NS_PER_S) /* for last words */

/* The link. */

int
back_note(struct back *b, const struct buf *note)
{
	return ipc_send_buf(b->link, LINK_NOTE, 0, note);
}

static void
back_stop_wire(struct back *b)
{
	loop_del(b->io);
	b->io = NULL;
}

void
back_end(struct back *b, int end, const char *why)
{
	struct buf *frame;

	if (b->state == BACK_ENDED)
		return;
	/* What the target said before it ended belongs to the client. */
	if (b->mux != NULL && (b->state == BACK_OPEN || b->state == BACK_LINGER) &&
	    mux_pump(b->mux) != 0)
		log_debug("back.last_pump_failed leg=%u", b->leg);
	b->state = BACK_ENDED;
	log_info("back.end leg=%u host=%s reason=%d text=\"%s\"", b->leg, b->conf->host, end, why);
	frame = buf_new(1024);
	if (frame == NULL || buf_put_u8(frame, (uint8_t)end) != 0 ||
	    buf_put_cstr(frame, why) != 0 || ipc_send_buf(b->link, LINK_END, 0, frame) != 0 ||
	    ipc_queued(b->link) == 0)
		loop_stop(b->loop);
	else
		loop_timer_arm(b->deadline, BACK_END_NS);
	buf_free(frame);
	back_stop_wire(b);
}

void
back_fail(struct back *b, int end, const char *why)
{
	back_end(b, end, why);
}

static void
back_end_protocol(struct back *b, const char *who, const char *why)
{
	char text[256];

	if (str_format(
		text, sizeof(text), "%s: %s broke the protocol: %s", b->conf->host, who, why) != 0)
		text[sizeof(text) - 1] = '\0';
	back_end(b, LINK_END_PROTOCOL, text);
}

static int
back_on_frame(void *arg, struct ipc_msg *msg)
{
	struct back *b = arg;
	int r = mux_frame(b->mux, msg->type, msg->id, msg->data, msg->len);

	if (r != 0)
		back_end_protocol(b, "the link", mux_why(b->mux));
	return 0;
}

/* No global request crosses in this direction; whoever sends one gets a no. */
static int
back_on_global(void *arg, struct ipc_msg *msg)
{
	uint8_t answer[5] = { 0 };
	struct back *b = arg;

	memcpy(answer, msg->data, 4);
	return ipc_send(b->link, LINK_GLOBAL_REPLY, 0, answer, sizeof(answer));
}

static int
back_on_note(void *arg, struct ipc_msg *msg)
{
	(void)arg;
	(void)msg;
	return 0;
}

static int
back_on_end(void *arg, struct ipc_msg *msg)
{
	struct back *b = arg;

	(void)msg;
	if (b->state == BACK_OPEN && mux_waits(b->mux)) {
		/* The client sent it before it went, so the target gets it. */
		b->state = BACK_LINGER;
		loop_timer_arm(b->deadline, BACK_LINGER_NS);
		return 0;
	}
	back_end(b, LINK_END_CLIENT, "the client is gone");
	return 0;
}

static const struct ipc_rule back_rules[] = {
	{ LINK_OPEN, "open", 4, IPC_MAX, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_OPEN_OK, "open-ok", 0, IPC_MAX, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_OPEN_FAIL, "open-fail", 8, IPC_MAX, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_DATA, "data", 1, LINK_DATA_MAX, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_DATA_EXT, "data-ext", 5, LINK_DATA_MAX + 4, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_WINDOW, "window", 4, 4, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_EOF, "eof", 0, 0, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_CLOSE, "close", 0, 0, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_REQUEST, "request", 9, IPC_MAX, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_REPLY, "reply", 5, 5, 0, IPC_ANY_STATE, back_on_frame },
	{ LINK_GLOBAL, "global", 9, IPC_MAX, 0, IPC_ANY_STATE, back_on_global },
	{ LINK_NOTE, "note", 1, IPC_MAX, 0, IPC_ANY_STATE, back_on_note },
	{ LINK_END, "end", 5, IPC_MAX, 0, IPC_ANY_STATE, back_on_end },
};

static void
back_link_gone(void *arg, int err)
{
	struct back *b = arg;

	if (b->state != BACK_ENDED)
		log_info("back.link_gone leg=%u reason=\"%s\"", b->leg, err_str(err));
	b->state = BACK_ENDED;
	if (b->wire != NULL)
		wire_disconnect(
		    b->wire, SSH_DISCONNECT_BY_APPLICATION, "the session's recording ended");
	loop_stop(b->loop);
}

static void
back_link_drained(void *arg)
{
	struct back *b = arg;

	if (b->state == BACK_ENDED)
		loop_stop(b->loop);
	else if (b->wire != NULL) {
		wire_pause_input(b->wire, false);
		b->again = true;
	}
}

/* The engine's three ways out. */

static int
back_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct back *b = arg;

	return wire_send2(b->wire, head, head_len, body, body_len);
}

static size_t
back_backlog(void *arg)
{
	struct back *b = arg;

	return wire_backlog(b->wire);
}

static int
back_frame(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct back *b = arg;
	int r = ipc_send(b->link, type, id, data, len);

	if (r == 0 && ipc_queued(b->link) > BACK_LINK_QUEUE)
		wire_pause_input(b->wire, true);
	return r;
}

static uint32_t
back_may_open(void *arg, struct rd_str type, const char **ret_text)
{
	(void)arg;
	(void)type;
	*ret_text = "nothing may be opened from here";
	return SSH_OPEN_PROHIBITED;
}

/* What a target may ask of a client, besides how its program ended. */
static enum mux_answer
back_may_request(void *arg, const struct mux_session *session, const struct mux_request *req)
{
	(void)arg;
	(void)session;
	if (rd_is(req->name, "eow@openssh.com") || rd_is(req->name, "xon-xoff"))
		return MUX_PASS;
	return MUX_REFUSE;
}

static const struct mux_ops back_mux_ops = {
	.send = back_send,
	.backlog = back_backlog,
	.frame = back_frame,
	.may_open = back_may_open,
	.may_request = back_may_request,
};

/* The target. */

static void
back_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct back *b = arg;

	(void)session_id;
	(void)len;
	b->want_login = true;
}

static int
back_note_connected(struct back *b)
{
	struct buf *note = buf_new(4096);
	int r = -ENOMEM;

	if (note != NULL && (r = buf_put_u8(note, LINK_NOTE_CONNECTED)) == 0 &&
	    (r = buf_put_cstr(note, b->address)) == 0 &&
	    (r = buf_put_cstr(note, wire_peer_version(b->wire))) == 0 &&
	    (r = buf_put_cstr(note, wire_algorithms(b->wire))) == 0 &&
	    (r = buf_put_cstr(note, b->host_key)) == 0)
		r = back_note(b, note);
	buf_free(note);
	return r;
}

static void
back_login(struct back *b)
{
	int fd = b->agent_fd, r;

	b->want_login = false;
	b->agent_fd = -1;
	if ((r = back_note_connected(b)) != 0 || (r = wire_login(b->wire, b->conf->login, fd)) != 0)
		back_end(b, LINK_END_INTERNAL, err_str(r));
}

static void
back_login_failed(struct back *b, int err, const char *methods)
{
	char why[512], offered[128];

	str_escape(offered, sizeof(offered), methods != NULL ? methods : "",
	    methods != NULL ? strlen(methods) : 0);
	if (err == ERR_DENIED
		? str_format(why, sizeof(why),
		      "%s: the login of %s with the bastion's key was refused (it offers %s): is "
		      "the key in authorized_keys there?",
		      b->conf->host, b->conf->login, offered) != 0
		: str_format(why, sizeof(why), "%s: the vault did not sign the login of %s",
		      b->conf->host, b->conf->login) != 0)
		why[sizeof(why) - 1] = '\0';
	back_end(b, LINK_END_LOGIN, why);
}

static void
back_login_done(void *arg, int err, const char *methods)
{
	static const uint8_t ready[1] = { LINK_NOTE_READY };
	struct back *b = arg;
	int r;

	if (b->state != BACK_LOGIN)
		return;
	if (err != 0) {
		back_login_failed(b, err, methods);
		return;
	}
	b->state = BACK_OPEN;
	loop_timer_disarm(b->deadline);
	loop_timer_arm(b->expire, BACK_EXPIRE_NS);
	if (b->conf->keepalive_ns != 0)
		loop_timer_arm(b->keepalive, b->conf->keepalive_ns);
	if ((r = ipc_send(b->link, LINK_NOTE, 0, ready, sizeof(ready))) != 0 ||
	    (r = ipc_pause(b->link, false)) != 0)
		back_end(b, LINK_END_INTERNAL, err_str(r));
}

static void
back_banner(void *arg, const char *text, size_t len)
{
	struct buf *note = buf_new(IPC_MAX);
	struct back *b = arg;

	if (note == NULL || buf_put_u8(note, LINK_NOTE_BANNER) != 0 ||
	    buf_put_str(note, text, len < 32768 ? len : 32768) != 0 || back_note(b, note) != 0)
		log_warn("back.banner_lost leg=%u", b->leg);
	buf_free(note);
}

static int
back_answer_global(struct back *b, const uint8_t *msg, size_t len)
{
	struct rd r = rd_over(msg + 1, len - 1);
	uint8_t want, no = SSH_REQUEST_FAILURE;
	struct rd_str name;

	if (!rd_str(&r, &name) || !rd_u8(&r, &want))
		return ERR_FORMAT;
	/* hostkeys-00@openssh.com and the like: a target's news about itself are not acted upon. */
	return want != 0 ? wire_send(b->wire, &no, 1) : 0;
}

static void
back_message(void *arg, const uint8_t *msg, size_t len)
{
	struct back *b = arg;
	int r = 0;

	if (b->state != BACK_OPEN && b->state != BACK_LINGER)
		return;
	b->n_missed = 0;
	if (msg[0] >= SSH_CHANNEL_OPEN && msg[0] <= SSH_CHANNEL_FAILURE)
		r = mux_message(b->mux, msg, len);
	else if (msg[0] == SSH_GLOBAL_REQUEST)
		r = back_answer_global(b, msg, len);
	if (r != 0)
		back_end_protocol(b, "the host",
		    r == ERR_FORMAT && msg[0] == SSH_GLOBAL_REQUEST ? "a malformed request"
								    : mux_why(b->mux));
}

static void
back_wire_end(void *arg, int err, const char *why)
{
	struct back *b = arg;
	char text[512];

	if (b->state == BACK_ENDED)
		return;
	if (str_format(text, sizeof(text), "%s: %s", b->conf->host,
		err == 0 ? "closed the connection" : why) != 0)
		text[sizeof(text) - 1] = '\0';
	back_end(b, b->state == BACK_LOGIN ? LINK_END_CONNECT : LINK_END_TARGET, text);
}

static const struct wire_ops back_wire_ops = {
	.host_proof = back_host_proof,
	.ready = back_ready,
	.message = back_message,
	.login_done = back_login_done,
	.banner = back_banner,
	.end = back_wire_end,
};

/* The loop. */

static void
back_wire_io(struct back *b, short revents)
{
	if (b->state == BACK_ENDED || b->wire == NULL)
		return;
	b->again = false;
	if (wire_io(b->wire, revents, &b->again) != 0) {
		b->again = false;
		back_end(b, LINK_END_TARGET, "the connection to the host broke");
		return;
	}
	if (b->want_login && b->state == BACK_LOGIN)
		back_login(b);
}

static void
back_on_target(void *arg, uint32_t revents)
{
	short events = 0;

	if ((revents & EPOLLIN) != 0)
		events |= POLLIN;
	if ((revents & EPOLLOUT) != 0)
		events |= POLLOUT;
	if ((revents & EPOLLHUP) != 0)
		events |= POLLHUP;
	if ((revents & EPOLLERR) != 0)
		events |= POLLERR;
	back_wire_io(arg, events);
}

/* Let the loop wait for what the wire waits for. */
static int
back_watch(struct back *b)
{
	short events = wire_events(b->wire);
	uint32_t want = ((events & POLLIN) != 0 ? (uint32_t)EPOLLIN : 0) |
			((events & POLLOUT) != 0 ? (uint32_t)EPOLLOUT : 0);

	if (want == 0) {
		back_stop_wire(b);
		return 0;
	}
	if (b->io == NULL)
		return loop_add(b->loop, wire_fd(b->wire), want, back_on_target, b, &b->io);
	return loop_set(b->io, want);
}

/* After all that was ready: hand on what can go, in both directions. */
static bool
back_after_pass(void *arg)
{
	struct back *b = arg;
	uint64_t sent;
	int r = 0;

	if (b->wire == NULL || b->state == BACK_ENDED)
		return false;
	if (b->again)
		back_wire_io(b, 0);
	if (b->state == BACK_ENDED)
		return false;
	sent = mux_sent(b->mux);
	if (b->state == BACK_OPEN || b->state == BACK_LINGER)
		r = mux_pump(b->mux);
	if (r == 0)
		r = wire_flush(b->wire);
	if (b->state == BACK_ENDED)
		return false;
	if (r == 0 && b->state == BACK_LINGER && !mux_waits(b->mux) && wire_backlog(b->wire) == 0) {
		back_end(b, LINK_END_CLIENT, "the client is gone");
		return false;
	}
	if (r == 0)
		r = back_watch(b);
	if (r != 0) {
		back_end(b, LINK_END_TARGET, err_str(r));
		return false;
	}
	return b->again || (mux_sent(b->mux) != sent && mux_waits(b->mux) &&
			       wire_backlog(b->wire) < MUX_BACKLOG);
}

static void
back_on_deadline(void *arg)
{
	struct back *b = arg;
	char why[512];

	if (b->state == BACK_ENDED) {
		loop_stop(b->loop);
	} else if (b->state == BACK_LINGER) {
		back_end(b, LINK_END_CLIENT, "the client is gone");
	} else {
		if (str_format(why, sizeof(why), "%s: does not complete the login in time",
			b->conf->host) != 0)
			why[sizeof(why) - 1] = '\0';
		back_end(b, LINK_END_CONNECT, why);
	}
}

static void
back_on_keepalive(void *arg)
{
	/* RFC 4254 section 4; the name is OpenSSH's, and every server answers it with one of two answers. */
	static const uint8_t ask[] = "\x50\x00\x00\x00\x15keepalive@openssh.com\x01";
	struct back *b = arg;
	char why[512];

	if (b->n_missed >= b->conf->keepalive_missed) {
		if (str_format(why, sizeof(why), "%s: does not answer any more", b->conf->host) !=
		    0)
			why[sizeof(why) - 1] = '\0';
		back_end(b, LINK_END_TARGET, why);
		return;
	}
	b->n_missed++;
	if (wire_send(b->wire, ask, sizeof(ask) - 1) != 0)
		log_debug("back.keepalive_not_sent leg=%u", b->leg);
	loop_timer_arm(b->keepalive, b->conf->keepalive_ns);
}

static void
back_on_expire(void *arg)
{
	struct back *b = arg;

	if (mux_expire(b->mux) != 0)
		back_end(b, LINK_END_TARGET, "the connection to the host broke");
	else
		loop_timer_arm(b->expire, BACK_EXPIRE_NS);
}

int
back_new(
    struct loop *l, const struct back_conf *conf, uint32_t leg, int link_fd, struct back **ret_back)
{
	struct ipc_conf edge = { .name = "back-link",
		.queue_max = 8192,
		.rules = back_rules,
		.n_rules = sizeof(back_rules) / sizeof(back_rules[0]),
		.gone = back_link_gone,
		.drained = back_link_drained };
	struct back *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b == NULL)
		return -ENOMEM;
	b->loop = l;
	b->conf = conf;
	b->leg = leg;
	b->agent_fd = -1;
	edge.arg = b;
	if ((b->mux = mux_new(MUX_BACK, MUX_CHANNELS_MAX, &back_mux_ops, b)) == NULL ||
	    (r = loop_timer_new(l, back_on_deadline, b, &b->deadline)) != 0 ||
	    (r = loop_timer_new(l, back_on_keepalive, b, &b->keepalive)) != 0 ||
	    (r = loop_timer_new(l, back_on_expire, b, &b->expire)) != 0 ||
	    (r = ipc_new(l, link_fd, &edge, &b->link)) != 0) {
		back_free(b);
		return r;
	}
	/* Frames wait in the socket until there is somebody to hand them to. */
	if ((r = ipc_pause(b->link, true)) != 0) {
		back_free(b);
		return r;
	}
	loop_after_pass(l, back_after_pass, b);
	*ret_back = b;
	return 0;
}

void
back_free(struct back *b)
{
	if (b == NULL)
		return;
	back_stop_wire(b);
	wire_free(b->wire);
	mux_free(b->mux);
	ipc_free(b->link);
	loop_timer_free(b->deadline);
	loop_timer_free(b->keepalive);
	loop_timer_free(b->expire);
	fd_close(&b->agent_fd);
	free(b);
}

int
back_serve(struct back *b, int target_fd, int agent_fd, const char *address)
{
	char algorithms[512];
	struct wire_conf conf = { .role = WIRE_CLIENT, .host_key_algs = algorithms };
	int r;

	b->agent_fd = agent_fd;
	b->state = BACK_LOGIN;
	if ((r = str_copy(b->address, sizeof(b->address), address)) != 0 ||
	    (r = back_conf_algorithms(b->conf, algorithms, sizeof(algorithms))) != 0 ||
	    (r = wire_new(&conf, target_fd, &back_wire_ops, b, &b->wire)) != 0) {
		fd_close(&target_fd);
		return r;
	}
	loop_timer_arm(b->deadline, BACK_LOGIN_NS);
	b->again = true;
	return back_watch(b);
}
