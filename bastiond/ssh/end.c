/* One end of a session: wire, channels and link on a loop. */
#include "config.h"

#include <sys/epoll.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bastiond/ssh/end.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define LINK_PAUSE 64u /* frames that wait for the recorder above which the peer is not read */
#define LINK_QUEUE_MAX 16384u /* frames that wait for it at most: what one read can hold */
#define EARLY_PAUSE                                                                                \
	(256u *                                                                                    \
	    1024u) /* bytes of frames kept for a link to come above which the peer is not read */
#define EARLY_MAX (2u * 1024u * 1024u)
#define LEAVE_NS CLOCK_NS_PER_S /* for a peer to disconnect on its own after its last channel */
#define LOOKS 4u /* at a channel that is being closed, in the time that its peer has */
#define FLUSH_NS (5 * CLOCK_NS_PER_S) /* for the recorder to take the last frames */

/* Frames to the link. */

static int
keep_frame(struct end *e, uint16_t type, uint32_t id, const void *data, size_t len)
{
	int r;

	if (buf_room(e->early) < 10 + len)
		return ERR_LIMIT;
	if ((r = buf_put_u16(e->early, type)) != 0 || (r = buf_put_u32(e->early, id)) != 0)
		return r;
	return buf_put_str(e->early, data, len);
}

/* A link that its other side has closed: what it said last is still to be read, and tells more than our failure. */
static int
send_link(struct end *e, uint16_t type, uint32_t id, const void *data, size_t len)
{
	int r = ipc_send(e->link, type, id, data, len);

	return r == ERR_PEER_GONE ? 0 : r;
}

static int
send_kept(struct end *e)
{
	const uint8_t *data;
	uint32_t id;
	uint16_t type;
	size_t len;
	int r = 0;

	while (r == 0 && buf_len(e->early) > 0)
		if ((r = buf_get_u16(e->early, &type)) == 0 &&
		    (r = buf_get_u32(e->early, &id)) == 0 &&
		    (r = buf_get_str(e->early, &data, &len)) == 0)
			r = send_link(e, type, id, data, len);
	buf_reset(e->early);
	buf_shrink(e->early, 0);
	return r;
}

int
end_send_frame(struct end *e, uint16_t type, uint32_t id, const void *data, size_t len)
{
	if (e->link_told)
		return 0;
	if (e->link != NULL)
		return send_link(e, type, id, data, len);
	return e->waits_for_link ? keep_frame(e, type, id, data, len) : 0;
}

/* Whoever is too fast for the recorder is not read any further. */
static void
hold_back(struct end *e)
{
	bool full = e->hold || buf_len(e->early) > EARLY_PAUSE ||
		    (e->link != NULL && !e->link_told && ipc_queued(e->link) > LINK_PAUSE);

	if (e->wire != NULL)
		wire_pause_input(e->wire, full);
}

static void
on_link_drained(void *arg)
{
	struct end *e = arg;

	e->again = true; /* input may wait inside the wire */
	if (e->stopping)
		loop_stop(e->loop);
}

/* The other end's frames. */

static void
broke(struct end *e, int r)
{
	const char *why = mux_why(e->mux);

	log_warn("end.broken side=%s reason=\"%s\"", e->conf->side == MUX_FRONT ? "front" : "back",
	    why[0] != '\0' ? why : err_str(r));
}

static int
on_frame(void *arg, struct ipc_msg *msg)
{
	struct end *e = arg;
	int r;

	if (e->peer_gone)
		return 0;
	r = mux_frame(e->mux, msg->type, msg->id, msg->data, msg->len);
	if (r == 0 || e->peer_gone)
		return 0;
	broke(e, r);
	return r;
}

static int
on_note(void *arg, struct ipc_msg *msg)
{
	struct end *e = arg;
	struct rd in = rd_over(msg->data, msg->len);

	return e->conf->note == NULL ? 0 : e->conf->note(e->arg, &in);
}

static void
link_is_over(struct end *e, enum link_end code, const char *text)
{
	struct ipc *link = e->link;

	if (link == NULL)
		return;
	e->link = NULL;
	e->link_told = true;
	e->waits_for_link = false;
	ipc_free(link);
	if (e->stopping)
		loop_stop(e->loop);
	else
		e->conf->link_over(e->arg, code, text);
}

static int
on_end(void *arg, struct ipc_msg *msg)
{
	struct end *e = arg;
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str text;
	char line[512];
	uint8_t code;

	if (!rd_u8(&in, &code) || !rd_str(&in, &text) || !rd_end(&in))
		return ERR_FORMAT;
	str_plain(line, sizeof(line), text.p, text.len);
	link_is_over(e, (enum link_end)code, line);
	return 0;
}

static void
on_link_gone(void *arg, int err)
{
	struct end *e = arg;

	if (err != ERR_PEER_GONE)
		log_warn("end.link_broken reason=\"%s\"", err_str(err));
	link_is_over(e, err == ERR_PEER_GONE ? LINK_END_RECORDER : LINK_END_PROTOCOL, "");
}

#define FRAME(name, min, max)                                                                      \
	{                                                                                          \
		name, #name, min, max, 0, IPC_ANY_STATE, on_frame                                  \
	}

static const struct ipc_rule link_rules[] = {
	FRAME(LINK_DATA, 1, LINK_DATA_MAX),
	FRAME(LINK_DATA_EXT, 5, 4 + LINK_DATA_MAX),
	FRAME(LINK_WINDOW, 4, 4),
	FRAME(LINK_OPEN, 4, IPC_MAX),
	FRAME(LINK_OPEN_OK, 0, IPC_MAX),
	FRAME(LINK_OPEN_FAIL, 8, IPC_MAX),
	FRAME(LINK_EOF, 0, 0),
	FRAME(LINK_CLOSE, 0, 0),
	FRAME(LINK_REQUEST, 9, LINK_REQUEST_PART),
	FRAME(LINK_MORE, 0, LINK_REQUEST_PART),
	FRAME(LINK_REPLY, 5, 5),
	FRAME(LINK_EXIT_STATUS, 4, 4),
	FRAME(LINK_EXIT_SIGNAL, 13, IPC_MAX),
	FRAME(LINK_GLOBAL, 9, IPC_MAX),
	FRAME(LINK_GLOBAL_REPLY, 5, 9),
	{ LINK_NOTE, "LINK_NOTE", 1, IPC_MAX, 0, IPC_ANY_STATE, on_note },
	{ LINK_END, "LINK_END", 5, IPC_MAX, 0, IPC_ANY_STATE, on_end },
};

int
end_start_link(struct end *e, int fd)
{
	const struct ipc_conf conf = {
		.name = "link",
		.queue_max = LINK_QUEUE_MAX,
		.rules = link_rules,
		.n_rules = sizeof(link_rules) / sizeof(link_rules[0]),
		.arg = e,
		.gone = on_link_gone,
		.drained = on_link_drained,
	};
	int r = ipc_new(e->loop, fd, &conf, &e->link);

	if (r != 0)
		return r;
	e->waits_for_link = false;
	e->again = true; /* the peer may have been held back */
	return send_kept(e);
}

/* The peer's messages. */

static enum end_global
find_global(const struct end *e, struct rd_str name)
{
	for (const struct end_global_rule *g = e->conf->globals; g->name != NULL; g++)
		if (rd_is(name, g->name))
			return g->what;
	return GLOBAL_REFUSE;
}

static int
on_global(struct end *e, const uint8_t *msg, size_t len)
{
	struct rd in = rd_over(msg + 1, len - 1);
	struct rd_str name, raw = { in.p, in.len };
	uint8_t want_reply;
	int r = 0;

	if (!rd_str(&in, &name) || !rd_u8(&in, &want_reply))
		return ERR_FORMAT;
	switch (find_global(e, name)) {
	case GLOBAL_STOP:
		e->no_more = true;
		break;
	case GLOBAL_PASS:
		if (e->forwards)
			return mux_global_pass(e->mux, name, want_reply != 0, raw);
		/* fall through */
	case GLOBAL_REFUSE:
		r = mux_note_refused(e->mux, 0, name, "global request");
		break;
	case GLOBAL_QUIET:
		break;
	}
	if (r == 0 && want_reply != 0)
		r = mux_global_answer(e->mux, false);
	return r;
}

static int
on_connection(struct end *e, const uint8_t *msg, size_t len)
{
	if (msg[0] == SSH_GLOBAL_REQUEST)
		return on_global(e, msg, len);
	if (msg[0] == SSH_REQUEST_SUCCESS || msg[0] == SSH_REQUEST_FAILURE)
		return mux_global_reply(e->mux, msg, len);
	return mux_message(e->mux, msg, len);
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct end *e = arg;
	const char *why;
	int r;

	if (e->peer_gone || len == 0)
		return;
	e->unanswered = 0;
	if (msg[0] < SSH_GLOBAL_REQUEST) {
		e->conf->message(e->arg, msg, len);
		return;
	}
	r = on_connection(e, msg, len);
	if (r == 0 || e->peer_gone)
		return;
	broke(e, r);
	e->broken = true;
	why = mux_why(e->mux);
	end_disconnect(e, SSH_DISCONNECT_PROTOCOL_ERROR, why[0] != '\0' ? why : err_str(r));
}

/* Nothing is freed here: the wire is on the stack. */
static void
on_wire_end(void *arg, int err, const char *why)
{
	struct end *e = arg;

	if (e->peer_gone)
		return;
	e->peer_gone = true;
	e->again = false;
	/* What the peer said last goes on before its end does. */
	if (mux_pump(e->mux) != 0)
		log_debug("end.last_words_lost");
	e->conf->peer_over(e->arg, err, why);
}

/* The callbacks that are the owner's, with its argument. */

static int
on_sign_kex(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	struct end *e = arg;

	return e->conf->wire.sign_kex(e->arg, hash, hash_len, ret_sig, sig_max, ret_sig_len);
}

static int
on_host_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	struct end *e = arg;

	return e->conf->wire.host_proof(e->arg, hash, hash_len, key, key_len, sig, sig_len);
}

static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct end *e = arg;

	if (e->conf->wire.ready != NULL)
		e->conf->wire.ready(e->arg, session_id, len);
}

static void
on_login_done(void *arg, int err, const char *methods)
{
	struct end *e = arg;

	if (e->conf->wire.login_done != NULL)
		e->conf->wire.login_done(e->arg, err, methods);
}

static void
on_banner(void *arg, const char *text, size_t len)
{
	struct end *e = arg;

	if (e->conf->wire.banner != NULL)
		e->conf->wire.banner(e->arg, text, len);
}

static const struct wire_ops wire_ops = {
	.sign_kex = on_sign_kex,
	.host_proof = on_host_proof,
	.ready = on_ready,
	.message = on_message,
	.login_done = on_login_done,
	.banner = on_banner,
	.end = on_wire_end,
};

/* Its result says what on_wire_end() has been told already. */
static void
wire_step(struct end *e, short revents)
{
	if (wire_io(e->wire, revents, &e->again) != 0)
		e->again = false;
}

static void
on_wire_event(void *arg, uint32_t revents)
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
	wire_step(arg, events);
}

int
end_start_wire(struct end *e, const struct wire_conf *conf, int fd)
{
	int r = wire_new(conf, fd, &wire_ops, e, &e->wire);

	e->again = r == 0;
	return r;
}

/* Channels. */

static int
mux_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct end *e = arg;

	return e->peer_gone ? 0 : wire_send2(e->wire, head, head_len, body, body_len);
}

static size_t
mux_backlog(void *arg)
{
	struct end *e = arg;

	return e->peer_gone ? 0 : wire_backlog(e->wire);
}

static int
mux_frame_out(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	return end_send_frame(arg, type, id, data, len);
}

static uint32_t
mux_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	struct end *e = arg;

	if (e->no_more && rd_is(open->type, "session")) {
		*ret_text = "no more sessions were to be opened";
		return SSH_OPEN_PROHIBITED;
	}
	return e->conf->may_open(e->arg, open, ret_text);
}

static enum mux_answer
mux_may_request(void *arg, const struct mux_session *session, const struct mux_request *req)
{
	struct end *e = arg;

	return e->conf->may_request(e->arg, session, req);
}

static const struct mux_ops mux_ops = {
	.send = mux_send,
	.backlog = mux_backlog,
	.frame = mux_frame_out,
	.may_open = mux_may_open,
	.may_request = mux_may_request,
};

/* Peers that do not close what the other end has closed. */

static void
check_closing(struct end *e)
{
	if (e->close_ns > 0 && !loop_timer_armed(e->closing) && mux_closing(e->mux))
		loop_timer_arm(e->closing, e->close_ns / LOOKS);
}

static void
on_closing(void *arg)
{
	struct end *e = arg;
	int r;

	if (e->peer_gone)
		return;
	if ((r = mux_expire(e->mux, clock_boot_ns(), e->close_ns)) != 0)
		log_debug("end.expire_failed reason=\"%s\"", err_str(r));
	check_closing(e);
}

/* After every pass: hand on, flush, and see what is now waited for. */

static void
watch(struct end *e)
{
	short want = e->peer_gone ? 0 : wire_events(e->wire);
	uint32_t events =
	    ((want & POLLIN) != 0 ? EPOLLIN : 0u) | ((want & POLLOUT) != 0 ? EPOLLOUT : 0u);
	int r = 0;

	if (events == 0) {
		loop_del(e->io);
		e->io = NULL;
	} else if (e->io == NULL)
		r = loop_add(e->loop, wire_fd(e->wire), events, on_wire_event, e, &e->io);
	else
		r = loop_set(e->io, events);
	if (r != 0) {
		log_err("end.watch_failed reason=\"%s\"", err_str(r));
		loop_stop(e->loop);
	}
}

static void
pump(struct end *e)
{
	uint64_t before = mux_sent(e->mux);
	int r = mux_pump(e->mux);

	if (r != 0 && !e->peer_gone) {
		broke(e, r);
		end_disconnect(e, SSH_DISCONNECT_BY_APPLICATION, err_str(r));
		return;
	}
	/* The end, if this finds it, was told to on_wire_end(). */
	if (wire_flush(e->wire) == 0 && mux_sent(e->mux) != before && mux_waits(e->mux) &&
	    wire_backlog(e->wire) < MUX_BACKLOG)
		e->again = true;
}

/*
 * All channels were told and have closed: the peer may leave on its own for a moment. Before the target was there a client is
 * about to open one; when it was there and none is open, there is nobody to tell.
 */
static bool
has_heard(const struct end *e)
{
	return mux_channels(e->mux) == 0 && (mux_told(e->mux) > 0 || mux_was_ready(e->mux));
}

static void
check_linger(struct end *e)
{
	bool done = e->conf->side == MUX_FRONT ? has_heard(e)
					       : !mux_waits(e->mux) && wire_backlog(e->wire) == 0;

	if (!e->lingering || !done)
		return;
	e->lingering = false;
	loop_timer_arm(e->limit, e->conf->side == MUX_FRONT ? LEAVE_NS : 0);
}

static bool
on_pass(void *arg)
{
	struct end *e = arg;
	bool again = e->again;

	if (e->wire == NULL)
		return false;
	e->again = false;
	hold_back(e);
	if (again && !e->peer_gone)
		wire_step(e, 0);
	if (!e->peer_gone)
		pump(e);
	hold_back(e);
	if (!e->peer_gone) {
		check_closing(e);
		check_linger(e);
	}
	watch(e);
	return e->again;
}

/* Asking whether the peer lives (the request that OpenSSH uses for it; any answer will do). */

static void
on_alive(void *arg)
{
	static const char name[] = "keepalive@openssh.com";
	uint8_t msg[1 + 4 + sizeof(name)];
	struct end *e = arg;

	if (e->peer_gone)
		return;
	if (e->missed_max > 0 && e->unanswered >= e->missed_max) {
		e->conf->peer_silent(e->arg);
		return;
	}
	msg[0] = SSH_GLOBAL_REQUEST;
	memcpy(wr_u32(msg + 1, sizeof(name) - 1), name, sizeof(name) - 1);
	msg[sizeof(msg) - 1] = 1;
	/* A peer that we do not read cannot answer. */
	if ((wire_events(e->wire) & POLLIN) != 0 && mux_global_own(e->mux) == 0 &&
	    wire_send(e->wire, msg, sizeof(msg)) == 0)
		e->unanswered++;
	loop_timer_arm(e->alive, e->alive_ns);
}

void
end_start_alive(struct end *e, uint64_t ns, uint32_t missed_max)
{
	e->alive_ns = ns;
	e->missed_max = missed_max;
	if (ns > 0)
		loop_timer_arm(e->alive, ns);
}

/* Ending. */

static void
on_limit(void *arg)
{
	struct end *e = arg;

	if (e->stopping) {
		loop_stop(e->loop);
		return;
	}
	/* As long as something moves there is somebody who listens. */
	if (e->lingering && !e->hurry && mux_sent(e->mux) != e->lingered) {
		e->lingered = mux_sent(e->mux);
		loop_timer_arm(e->limit, e->linger_ns);
		return;
	}
	end_disconnect(e, e->reason, e->text);
}

void
end_linger(struct end *e, uint32_t exit_status, const char *text, uint64_t linger_ns, bool hurry)
{
	if (e->peer_gone || e->stopping)
		return;
	str_plain(e->text, sizeof(e->text), text, strlen(text));
	e->reason = SSH_DISCONNECT_BY_APPLICATION;
	e->lingering = true;
	e->hurry = hurry;
	e->lingered = mux_sent(e->mux);
	e->linger_ns = linger_ns;
	loop_timer_arm(e->limit, linger_ns);
	if (e->conf->side == MUX_FRONT && mux_finish(e->mux, exit_status, text) != 0)
		loop_timer_arm(e->limit, 0);
	e->again = true;
}

void
end_disconnect(struct end *e, uint32_t reason, const char *text)
{
	if (e->wire == NULL || e->peer_gone)
		return;
	/* on_wire_end() follows, now or when the wire is off the stack */
	wire_disconnect(e->wire, reason, text);
}

void
end_stop(struct end *e, enum link_end code, const char *text)
{
	struct buf *b = buf_new(1024);

	if (e->stopping) {
		buf_free(b);
		return;
	}
	if (b == NULL || buf_put_u8(b, (uint8_t)code) != 0 || buf_put_cstr(b, text) != 0 ||
	    end_send_frame(e, LINK_END, 0, buf_ptr(b), buf_len(b)) != 0)
		log_debug("end.unheard code=%d", (int)code);
	buf_free(b);
	e->link_told = true;
	e->stopping = true;
	if (e->link == NULL || ipc_queued(e->link) == 0)
		loop_stop(e->loop);
	else
		loop_timer_arm(e->limit, FLUSH_NS);
}

int
end_init(struct end *e, struct loop *loop, const struct end_conf *conf, void *arg, uint32_t limit)
{
	int r = -ENOMEM;

	*e = (struct end){ .conf = conf, .arg = arg, .loop = loop, .waits_for_link = true };
	e->mux = mux_new(conf->side, limit, &mux_ops, e);
	e->early = buf_new(EARLY_MAX);
	if (e->mux == NULL || e->early == NULL ||
	    (r = loop_timer_new(loop, on_alive, e, &e->alive)) != 0 ||
	    (r = loop_timer_new(loop, on_limit, e, &e->limit)) != 0 ||
	    (r = loop_timer_new(loop, on_closing, e, &e->closing)) != 0) {
		end_done(e);
		return r;
	}
	loop_after_pass(loop, on_pass, e);
	return 0;
}

void
end_done(struct end *e)
{
	loop_del(e->io);
	wire_free(e->wire);
	ipc_free(e->link);
	mux_free(e->mux);
	buf_free(e->early);
	loop_timer_free(e->alive);
	loop_timer_free(e->limit);
	loop_timer_free(e->closing);
	*e = (struct end){ 0 };
}
