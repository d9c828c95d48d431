/* Messages of the SSH peer about channels (RFC 4254 section 5): one handler a message, and the table of them. */
#include "config.h"

#include <errno.h>

#include "bastiond/ssh/mux_priv.h"
#include "lib/str.h"

static const struct rd_str nothing;

/* Opening. */

struct open_msg {
	struct rd_str type, fields;
	uint32_t sender, window, packet;
};

static int
refuse_open(struct mux *m, const struct open_msg *o, uint32_t reason, const char *text)
{
	struct buf *b;
	int r;

	if ((r = mux_note_refused(m, 0, o->type, text)) != 0)
		return r;
	b = buf_new(1024);
	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_put_u8(b, SSH_CHANNEL_OPEN_FAILURE)) == 0 &&
	    (r = buf_put_u32(b, o->sender)) == 0 && (r = buf_put_u32(b, reason)) == 0 &&
	    (r = buf_put_cstr(b, text)) == 0 && (r = buf_put_cstr(b, "")) == 0)
		r = m->ops->send(m->arg, buf_ptr(b), buf_len(b), NULL, 0);
	buf_free(b);
	return r;
}

/* 0, or why this channel is not opened. */
static uint32_t
judge_open(struct mux *m, const struct open_msg *o, const char **ret_text)
{
	struct mux_open open = { .id = m->highest + 1, .type = o->type, .fields = o->fields };
	uint32_t reason = 0;

	if (o->packet == 0) {
		*ret_text = "a maximum packet size of 0 carries nothing";
		return SSH_OPEN_PROHIBITED;
	}
	if (!mux_has_room(m, o->type)) {
		*ret_text = "too many channels are open";
		return SSH_OPEN_RESOURCE_SHORTAGE;
	}
	if (m->side == MUX_FRONT)
		reason = m->ops->may_open(m->arg, &open, ret_text);
	if (reason != 0 || (m->side == MUX_FRONT && rd_is(o->type, "session")))
		return reason;
	if (m->finished) {
		*ret_text = m->text;
		return SSH_OPEN_PROHIBITED;
	}
	return mux_type_allowed(m, &open, m->side == MUX_BACK, ret_text) ? 0 : SSH_OPEN_PROHIBITED;
}

int
mux_confirm(struct mux *m, struct mux_chan *c, struct rd_str fields)
{
	uint8_t msg[17], *p = msg;

	c->owes = false;
	*p++ = SSH_CHANNEL_OPEN_CONFIRMATION;
	p = wr_u32(p, c->peer_id);
	p = wr_u32(p, c->id);
	p = wr_u32(p, (uint32_t)c->window);
	wr_u32(p, MUX_PACKET);
	return m->ops->send(m->arg, msg, sizeof(msg), fields.p, fields.len);
}

int
mux_refuse(struct mux *m, struct mux_chan *c, uint32_t reason, struct rd_str text)
{
	uint8_t head[9], tail[4 + 512 + 4];
	char line[512];
	size_t n;

	str_plain(line, sizeof(line), text.p, text.len);
	n = strlen(line);
	head[0] = SSH_CHANNEL_OPEN_FAILURE;
	wr_u32(wr_u32(head + 1, c->peer_id), reason);
	memcpy(wr_u32(tail, (uint32_t)n), line, n);
	wr_u32(tail + 4 + n, 0); /* the language tag */
	mux_drop(m, c);
	return m->ops->send(m->arg, head, sizeof(head), tail, 4 + n + 4);
}

/* A channel for the peer's number. */
static int
add_theirs(struct mux *m, const struct open_msg *o, struct mux_chan **ret_c)
{
	uint32_t id = m->highest + 1;
	struct mux_chan *c;
	int r;

	if (m->side == MUX_BACK)
		id = (m->highest_back == 0 ? LINK_FROM_BACK : m->highest_back) + 1;
	r = mux_add(m, id, &c);
	if (r != 0)
		return r;
	c->peer_id = o->sender;
	c->peer_max = o->packet;
	c->room = o->window;
	c->known = true;
	c->by_peer = true;
	c->flows = true;
	c->session_type = rd_is(o->type, "session");
	*ret_c = c;
	return 0;
}

/* For the owner to answer. */
static int
accept_local(struct mux *m, const struct open_msg *o)
{
	struct mux_chan *c;
	int r = add_theirs(m, o, &c);

	if (r != 0)
		return r;
	c->session_type = false;
	c->owes = true;
	c->local = true;
	c->left = true; /* the link never hears of it */
	return 0;
}

/* A session: the client has it at once, the other end follows when it can. Others wait for the other end's answer. */
static int
accept_open(struct mux *m, const struct open_msg *o)
{
	struct mux_chan *c;
	struct buf *b;
	int r = add_theirs(m, o, &c);

	if (r != 0)
		return r;
	c->owes = !c->session_type;
	c->early = c->owes || m->ready ? 0 : LINK_CREDIT - MUX_WINDOW_EARLY;
	c->window = LINK_CREDIT - c->early;
	c->ending = m->finished;
	if (!c->owes && (r = mux_confirm(m, c, nothing)) != 0)
		return r;
	b = buf_new(4 + MUX_NAME_MAX);
	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_put_str(b, o->type.p, o->type.len)) == 0)
		r = mux_emit_chan(m, c, LINK_OPEN, rd_bytes(buf_ptr(b), buf_len(b)), o->fields);
	buf_free(b);
	return r;
}

static int
on_open(struct mux *m, struct rd *in)
{
	const char *text = "";
	struct open_msg o;
	uint32_t reason;

	if (!rd_str(in, &o.type) || !rd_u32(in, &o.sender) || !rd_u32(in, &o.window) ||
	    !rd_u32(in, &o.packet))
		return mux_broken(m, ERR_FORMAT, "malformed channel open");
	o.fields = rd_bytes(in->p, in->len);
	reason = judge_open(m, &o, &text);
	if (reason == 0 && o.type.len > MUX_NAME_MAX)
		reason = SSH_OPEN_UNKNOWN_TYPE;
	if (reason == MUX_OPEN_LOCAL)
		return accept_local(m, &o);
	return reason != 0 ? refuse_open(m, &o, reason, text) : accept_open(m, &o);
}

/* The peer has confirmed what the link asked for. */
static int
on_open_confirmation(struct mux *m, struct mux_chan *c, struct rd *in)
{
	static const uint8_t unusable[] = { 0, 0, 0, SSH_OPEN_CONNECT_FAILED, 0, 0, 0, 0 };
	uint32_t window, packet, n;
	int r;

	if (c->known)
		return mux_broken(m, ERR_ORDER, "a channel was confirmed twice");
	if (!rd_u32(in, &c->peer_id) || !rd_u32(in, &window) || !rd_u32(in, &packet))
		return mux_broken(m, ERR_FORMAT, "malformed channel confirmation");
	c->known = true;
	c->room = window;
	c->peer_max = packet;
	if (packet == 0) {
		r = mux_emit_chan(
		    m, c, LINK_OPEN_FAIL, rd_bytes(unusable, sizeof(unusable)), nothing);
		c->left = true;
		return r != 0 ? r : mux_cut(m, c);
	}
	n = c->early;
	c->early = 0;
	if ((r = mux_grant(m, c, n)) != 0)
		return r;
	return mux_emit_chan(m, c, LINK_OPEN_OK, rd_bytes(in->p, in->len), nothing);
}

static int
on_open_failure(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct rd at = *in;
	struct rd_str text;
	uint32_t reason;
	int r;

	if (c->known)
		return mux_broken(m, ERR_ORDER, "an open channel was refused");
	if (!rd_u32(&at, &reason) || !rd_str(&at, &text))
		return mux_broken(m, ERR_FORMAT, "malformed channel open failure");
	/* reason and description as they came, without the language tag */
	r = mux_emit_chan(m, c, LINK_OPEN_FAIL, rd_bytes(in->p, 8 + text.len), nothing);
	mux_drop(m, c);
	return r;
}

/* Data and windows. */

static int
take_window(struct mux *m, struct mux_chan *c, size_t n)
{
	if (c->peer_close)
		return mux_broken(m, ERR_ORDER, "data after CLOSE");
	if (c->peer_eof)
		return mux_broken(m, ERR_ORDER, "data after EOF");
	c->window -= (int64_t)n;
	if (c->window < -(int64_t)MUX_SLACK)
		return mux_broken(m, ERR_LIMIT, "more data than the window allows");
	return 0;
}

static int
on_data(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct rd_str data;
	int r;

	if (!rd_str(in, &data) || !rd_end(in))
		return mux_broken(m, ERR_FORMAT, "malformed data message");
	if ((r = take_window(m, c, data.len)) != 0 || c->link_close)
		return r;
	return c->local ? m->local->data(m->local_arg, c->id, data)
			: mux_emit_data(m, c, LINK_DATA, data);
}

/* RFC 4254 section 5.2 knows one type, and only towards a client. The window that others used is given back. */
static int
drop_unknown(struct mux *m, struct mux_chan *c, size_t n)
{
	int r = 0;

	if (!c->noted)
		r = mux_note_refused(
		    m, c->id, rd_bytes("extended data", 13), "unknown data type code");
	c->noted = true;
	c->window += (int64_t)n;
	return r != 0 ? r : mux_grant(m, c, (uint32_t)n);
}

static int
on_extended_data(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct rd_str data;
	uint32_t code;
	int r;

	if (!rd_u32(in, &code) || !rd_str(in, &data) || !rd_end(in))
		return mux_broken(m, ERR_FORMAT, "malformed extended data message");
	if ((r = take_window(m, c, data.len)) != 0)
		return r;
	if (m->side == MUX_BACK && !c->session_type)
		return drop_unknown(m, c, data.len);
	if (m->side == MUX_FRONT) {
		if (c->ending)
			return 0;
		r = mux_note_refused(m, c->id, rd_bytes("extended data", 13),
		    "clients have no second stream: channel closed");
		if (r != 0)
			return r;
		return c->local ? mux_local_cut(m, c) : mux_cut(m, c);
	}
	if (code != SSH_STDERR)
		return drop_unknown(m, c, data.len);
	return c->link_close ? 0 : mux_emit_data(m, c, LINK_DATA_EXT, data);
}

static int
on_window_adjust(struct mux *m, struct mux_chan *c, struct rd *in)
{
	uint32_t n;

	if (!rd_u32(in, &n) || !rd_end(in))
		return mux_broken(m, ERR_FORMAT, "malformed window adjust");
	/* RFC 4254 section 5.2: never above 2^32 - 1. */
	if (n > UINT32_MAX - c->room)
		return mux_broken(m, ERR_LIMIT, "window adjust beyond 2^32 - 1");
	c->room += n;
	return 0;
}

static int
on_eof(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (!rd_end(in))
		return mux_broken(m, ERR_FORMAT, "malformed EOF");
	if (c->peer_eof || c->peer_close)
		return 0;
	c->peer_eof = true;
	if (c->local)
		return c->link_close ? 0 : m->local->eof(m->local_arg, c->id);
	return mux_emit_chan(m, c, LINK_EOF, nothing, nothing);
}

/*
 * The peer takes no more data, but may still learn how the program ended: OpenSSH's client sends CLOSE once both
 * streams have ended, often before the exit status comes. So the answer waits for the other end's own CLOSE.
 */
static int
on_close(struct mux *m, struct mux_chan *c, struct rd *in)
{
	int r;

	if (!rd_end(in))
		return mux_broken(m, ERR_FORMAT, "malformed CLOSE");
	if (c->peer_close)
		return 0;
	c->peer_close = true;
	c->discard = true;
	if (c->local)
		return mux_local_cut(m, c);
	if ((r = mux_leave(m, c)) != 0)
		return r;
	return c->ending ? mux_end_now(m, c) : 0;
}

/* Requests. */

static int
answer(struct mux *m, struct mux_chan *c, const struct mux_request *req, bool success)
{
	int r;

	if (!req->want_reply)
		return 0;
	r = mux_waits_add(&c->peers, 0, req->name, success ? WAIT_SUCCESS : WAIT_FAILURE);
	if (r == ERR_LIMIT)
		return mux_broken(m, r, "too many requests are unanswered");
	return r != 0 ? r : mux_answer_due(m, c);
}

static void
note_passed(struct mux_session *s, struct rd_str name)
{
	if (mux_is_program(name))
		s->program = true;
	else if (rd_is(name, "pty-req"))
		s->pty = true;
}

/* raw: the request from its name on, exactly as it came. */
static int
pass_request(struct mux *m, struct mux_chan *c, const struct mux_request *req, struct rd_str raw)
{
	uint8_t number[4];
	int r = 0;

	c->asked++;
	if (req->want_reply)
		r = mux_waits_add(&c->peers, c->asked, req->name, WAIT_OPEN);
	if (r == ERR_LIMIT)
		return mux_broken(m, r, "too many requests are unanswered");
	if (r != 0)
		return r;
	note_passed(&c->session, req->name);
	mux_asked_on_channel(m, req->name, req->fields);
	wr_u32(number, c->asked);
	r = mux_emit_request(m, c, rd_bytes(number, sizeof(number)), raw);
	return r != 0 ? r : mux_tell_now(m, c);
}

/* Nobody is there to pass it to: what is said at the end needs the program request, and a terminal's line ends. */
static int
play_along(struct mux *m, struct mux_chan *c, const struct mux_request *req)
{
	int r = answer(m, c, req, true);

	note_passed(&c->session, req->name);
	if (r != 0 || !c->session.program)
		return r;
	return mux_end_now(m, c);
}

/* A request that the link does not carry. */
static int
refuse_long(struct mux *m, struct mux_chan *c, const struct mux_request *req)
{
	int r = mux_note_refused(m, c->id, req->name, "too long");

	if (r != 0 || !mux_is_program(req->name))
		return r != 0 ? r : answer(m, c, req, false);
	if ((r = answer(m, c, req, true)) != 0)
		return r;
	c->session.program = true;
	return mux_end(m, c, 254, "bastiond: the command is too long");
}

/* Back: how a program ended has frames of its own. true: it was one of these. */
static bool
is_exit(const struct mux *m, const struct mux_chan *c, const struct mux_request *req,
    uint16_t *ret_type, bool *ret_ok)
{
	if (m->side != MUX_BACK || !c->session_type)
		return false;
	if (rd_is(req->name, "exit-status")) {
		*ret_type = LINK_EXIT_STATUS;
		*ret_ok = mux_shape(req->fields, "u");
		return true;
	}
	*ret_type = LINK_EXIT_SIGNAL;
	*ret_ok = mux_shape(req->fields, "sbss");
	return rd_is(req->name, "exit-signal");
}

static int
judge_request(struct mux *m, struct mux_chan *c, const struct mux_request *req, struct rd_str raw)
{
	enum mux_answer a = m->ops->may_request(m->arg, &c->session, req);

	if (a != MUX_PASS)
		return answer(m, c, req, a == MUX_GRANT);
	if (c->ending)
		return play_along(m, c, req);
	if (raw.len > (m->side == MUX_FRONT ? MUX_REQUEST_MAX : MUX_FRAME_MAX))
		return refuse_long(m, c, req);
	return pass_request(m, c, req, raw);
}

static int
on_request(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct rd_str raw = rd_bytes(in->p, in->len);
	struct mux_request req;
	uint16_t type;
	uint8_t want_reply;
	bool ok;
	int r;

	if (!rd_str(in, &req.name) || !rd_u8(in, &want_reply))
		return mux_broken(m, ERR_FORMAT, "malformed channel request");
	req.want_reply = want_reply != 0;
	req.fields = rd_bytes(in->p, in->len);
	/* One read can hold thousands of requests: only what the transport does not take waits for the peer. */
	if (c->flow.n_others + c->ctl.n_others >= MUX_QUEUED_MAX &&
	    (r = mux_drain(m, c, MUX_BACKLOG)) != 0)
		return r;
	if (c->flow.n_others + c->ctl.n_others > MUX_QUEUED_MAX)
		return mux_broken(m, ERR_LIMIT, "too many replies wait to be read");
	if (is_exit(m, c, &req, &type, &ok)) {
		if (!ok)
			return mux_broken(m, ERR_FORMAT, "malformed exit status or signal");
		r = mux_emit_chan(m, c, type, req.fields, nothing);
		return r != 0 ? r : answer(m, c, &req, true);
	}
	/* Requests that cross a CLOSE are lost, as they would be without us. */
	if (c->peer_close || c->link_close || c->ended)
		return 0;
	/* Nothing is ever asked for on the others. */
	return c->session_type ? judge_request(m, c, &req, raw) : answer(m, c, &req, false);
}

static int
on_reply(struct mux *m, struct mux_chan *c, bool success)
{
	struct mux_wait *wait = mux_waits_at(&c->links, 0);
	uint8_t payload[5];

	if (wait == NULL) /* to nothing that was asked: says nothing */
		return 0;
	wr_u32(payload, wait->number);
	payload[4] = success;
	mux_waits_pop(&c->links);
	return mux_emit_chan(m, c, LINK_REPLY, rd_bytes(payload, sizeof(payload)), nothing);
}

static int
on_success(struct mux *m, struct mux_chan *c, struct rd *in)
{
	(void)in;
	return on_reply(m, c, true);
}

static int
on_failure(struct mux *m, struct mux_chan *c, struct rd *in)
{
	(void)in;
	return on_reply(m, c, false);
}

/* The messages, from 91 on. A channel that a handler needs exists and, but for the first two, is known to the peer. */
static const struct {
	int (*handle)(struct mux *m, struct mux_chan *c, struct rd *in);
	bool opens; /* it answers our own open */
	bool late;  /* harmless when the channel is gone already */
} table[] = {
	{ on_open_confirmation, true, false },
	{ on_open_failure, true, false },
	{ on_window_adjust, false, true },
	{ on_data, false, false },
	{ on_extended_data, false, false },
	{ on_eof, false, true },
	{ on_close, false, true },
	{ on_request, false, true },
	{ on_success, false, true },
	{ on_failure, false, true },
};

int
mux_message(struct mux *m, const uint8_t *msg, size_t len)
{
	struct rd in = rd_over(msg, len);
	struct mux_chan *c;
	uint32_t id, i;
	uint8_t type;

	m->why = "";
	if (!rd_u8(&in, &type) || type < SSH_CHANNEL_OPEN || type > SSH_CHANNEL_FAILURE)
		return mux_broken(m, ERR_FORMAT, "not a channel message");
	if (type == SSH_CHANNEL_OPEN)
		return on_open(m, &in);
	i = (uint32_t)(type - SSH_CHANNEL_OPEN_CONFIRMATION);
	if (!rd_u32(&in, &id))
		return mux_broken(m, ERR_FORMAT, "malformed channel message");
	c = mux_find(m, id);
	if (c == NULL && table[i].late && mux_was(m, id))
		return 0;
	if (c == NULL || c->owes || (!c->known && !table[i].opens))
		return mux_broken(m, ERR_ORDER, "a message for a channel that is not open");
	return table[i].handle(m, c, &in);
}
