/* Frames of the other end about channels (recorder/link_proto.h): one handler a frame, and the table of them. */
#include "config.h"

#include <errno.h>

#include "bastiond/ssh/mux_priv.h"

static const struct rd_str nothing;

static int
fail_open(struct mux *m, uint32_t id, uint32_t reason, const char *text)
{
	struct buf *b = buf_new(256);
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_put_u32(b, reason)) == 0 && (r = buf_put_cstr(b, text)) == 0)
		r = mux_emit(m, LINK_OPEN_FAIL, id, rd_bytes(buf_ptr(b), buf_len(b)), nothing);
	buf_free(b);
	return r;
}

/* Open the same channel at the peer. */
static int
open_at_peer(struct mux *m, uint32_t id, struct rd_str type, struct rd_str fields)
{
	uint8_t head[1 + 4 + MUX_NAME_MAX + 12], *p = head;
	struct mux_chan *c;
	int r = mux_add(m, id, &c);

	if (r != 0)
		return r;
	c->window = LINK_CREDIT;
	c->session_type = rd_is(type, "session");
	c->flows = !c->session_type;
	*p++ = SSH_CHANNEL_OPEN;
	p = wr_u32(p, (uint32_t)type.len);
	memcpy(p, type.p, type.len);
	p = wr_u32(p + type.len, id);
	p = wr_u32(p, LINK_CREDIT);
	p = wr_u32(p, MUX_PACKET);
	return m->ops->send(m->arg, head, (size_t)(p - head), fields.p, fields.len);
}

/* 0, or why the other end's channel is not opened. */
static uint32_t
judge_open(struct mux *m, const struct mux_open *open, const char **ret_text)
{
	if (!mux_has_room(m, open->type)) {
		*ret_text = "too many channels are open";
		return SSH_OPEN_RESOURCE_SHORTAGE;
	}
	if (m->side == MUX_BACK && rd_is(open->type, "session"))
		return 0;
	return mux_type_allowed(m, open, m->side == MUX_FRONT, ret_text) ? 0 : SSH_OPEN_PROHIBITED;
}

static int
on_open(struct mux *m, uint32_t id, struct rd *in)
{
	struct mux_open open = { .id = id };
	const char *text = "";
	uint32_t reason;
	int r = 0;

	if (!rd_str(in, &open.type))
		return mux_broken(m, ERR_FORMAT, "link: malformed open");
	open.fields = rd_bytes(in->p, in->len);
	if (id == 0 || mux_was(m, id) || (id > LINK_FROM_BACK) != (m->side == MUX_FRONT) ||
	    id == LINK_FROM_BACK)
		return mux_broken(m, ERR_ORDER, "link: a channel number out of order");
	reason = judge_open(m, &open, &text);
	if (reason == 0)
		return open_at_peer(m, id, open.type, open.fields);
	*(id < LINK_FROM_BACK ? &m->highest : &m->highest_back) = id;
	if (reason == SSH_OPEN_PROHIBITED) /* what an honest end would not have asked for */
		r = mux_note_refused(m, 0, open.type, text);
	return r != 0 ? r : fail_open(m, id, reason, text);
}

static int
on_open_ok(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (!c->by_peer || c->open)
		return mux_broken(m, ERR_ORDER, "link: a confirmation that nobody waits for");
	c->open = true;
	return c->owes ? mux_confirm(m, c, rd_bytes(in->p, in->len)) : 0;
}

/* The client has its session already, so it is told there. */
static int
on_open_fail(struct mux *m, struct mux_chan *c, struct rd *in)
{
	char text[512] = "bastiond: the target refused the channel: ";
	size_t n = strlen(text);
	struct rd_str why;
	uint32_t reason;

	if (!c->by_peer || c->open)
		return mux_broken(m, ERR_ORDER, "link: a refusal that nobody waits for");
	if (!rd_u32(in, &reason) || !rd_str(in, &why))
		return mux_broken(m, ERR_FORMAT, "link: malformed refusal");
	if (c->owes)
		return mux_refuse(m, c, reason, why);
	if (why.len > sizeof(text) - n - 1)
		why.len = sizeof(text) - n - 1;
	memcpy(text + n, why.p, why.len);
	text[n + why.len] = '\0';
	c->left = true; /* there is no other half to close */
	return mux_end(m, c, 255, text);
}

static int
take_data(struct mux *m, struct mux_chan *c, uint8_t kind, struct rd_str data)
{
	if (c->link_eof)
		return mux_broken(m, ERR_ORDER, "link: data after EOF");
	if (data.len == 0 || data.len > LINK_DATA_MAX)
		return mux_broken(m, ERR_FORMAT, "link: data of a wrong length");
	c->credit -= (int64_t)data.len;
	if (c->credit < -(int64_t)MUX_SLACK)
		return mux_broken(m, ERR_LIMIT, "link: more data than its credit");
	return mux_push_data(m, c, kind, data);
}

static int
on_data(struct mux *m, struct mux_chan *c, struct rd *in)
{
	return take_data(m, c, MUX_Q_OUT, rd_bytes(in->p, in->len));
}

static int
on_data_ext(struct mux *m, struct mux_chan *c, struct rd *in)
{
	uint32_t code;

	if (m->side != MUX_FRONT || !c->session_type || !rd_u32(in, &code) || code != SSH_STDERR)
		return mux_broken(m, ERR_FORMAT, "link: extended data of an unknown kind");
	return take_data(m, c, MUX_Q_ERR, rd_bytes(in->p, in->len));
}

static int
on_window(struct mux *m, struct mux_chan *c, struct rd *in)
{
	uint32_t n;

	if (!rd_u32(in, &n) || !rd_end(in))
		return mux_broken(m, ERR_FORMAT, "link: malformed credit");
	if (c->window + (int64_t)n > (int64_t)UINT32_MAX)
		return mux_broken(m, ERR_LIMIT, "link: credit beyond 2^32 - 1");
	c->window += (int64_t)n;
	return mux_grant(m, c, n);
}

static int
on_eof(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (c->link_eof || !rd_end(in))
		return mux_broken(m, ERR_ORDER, "link: a second EOF");
	c->link_eof = true;
	return mux_push(c, SSH_CHANNEL_EOF, NULL, 0);
}

static int
on_close(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (!rd_end(in))
		return mux_broken(m, ERR_FORMAT, "link: malformed CLOSE");
	c->link_close = true;
	return mux_push(c, SSH_CHANNEL_CLOSE, NULL, 0);
}

/* The number, then the request exactly as it goes to the peer. */
static int
on_request(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct rd_str name, raw;
	uint32_t number;
	uint8_t want_reply;
	int r = 0;

	if (!rd_u32(in, &number))
		return mux_broken(m, ERR_FORMAT, "link: malformed request");
	raw = rd_bytes(in->p, in->len);
	if (!rd_str(in, &name) || !rd_u8(in, &want_reply))
		return mux_broken(m, ERR_FORMAT, "link: malformed request");
	/* Requests that policy denied leave gaps. */
	if (number <= c->heard)
		return mux_broken(m, ERR_ORDER, "link: a request number out of order");
	c->heard = number;
	if (c->flow.n_others + c->ctl.n_others > MUX_QUEUED_MAX ||
	    c->flow.others_len + c->ctl.others_len > MUX_QUEUED_BYTES)
		return mux_broken(m, ERR_LIMIT, "link: too many requests wait for the peer");
	if (want_reply != 0)
		r = mux_waits_add(&c->links, number, name, WAIT_OPEN);
	if (r == ERR_LIMIT)
		return mux_broken(m, r, "link: too many requests are unanswered");
	if (r != 0)
		return r;
	if (m->side == MUX_BACK)
		mux_asked_on_channel(m, name, rd_bytes(in->p, in->len));
	if (m->side == MUX_BACK)
		return mux_push_ahead(c, SSH_CHANNEL_REQUEST, raw.p, raw.len);
	return mux_push(c, SSH_CHANNEL_REQUEST, raw.p, raw.len);
}

static int
on_reply(struct mux *m, struct mux_chan *c, struct rd *in)
{
	struct mux_wait *wait;
	uint32_t number;
	uint8_t success;

	if (!rd_u32(in, &number) || !rd_u8(in, &success) || !rd_end(in))
		return mux_broken(m, ERR_FORMAT, "link: malformed reply");
	wait = mux_waits_find(&c->peers, number);
	if (wait == NULL || wait->state != WAIT_OPEN)
		return mux_broken(m, ERR_ORDER, "link: a reply to nothing that was asked");
	wait->state = success != 0 ? WAIT_SUCCESS : WAIT_FAILURE;
	return mux_answer_due(m, c);
}

static int
push_exit(struct mux *m, struct mux_chan *c, const char *name, struct rd *in)
{
	struct buf *b;
	int r;

	if (m->side != MUX_FRONT || !c->session_type)
		return mux_broken(m, ERR_ORDER, "link: an exit status of what is no program");
	b = buf_new(64 + in->len);
	if (b == NULL)
		return -ENOMEM;
	c->told = true;
	if ((r = buf_put_cstr(b, name)) == 0 && (r = buf_put_u8(b, 0)) == 0 &&
	    (r = buf_put(b, in->p, in->len)) == 0)
		r = mux_push(c, SSH_CHANNEL_REQUEST, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
on_exit_status(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (in->len != 4)
		return mux_broken(m, ERR_FORMAT, "link: malformed exit status");
	return push_exit(m, c, "exit-status", in);
}

static int
on_exit_signal(struct mux *m, struct mux_chan *c, struct rd *in)
{
	if (!mux_shape(rd_bytes(in->p, in->len), "sbss"))
		return mux_broken(m, ERR_FORMAT, "link: malformed exit signal");
	return push_exit(m, c, "exit-signal", in);
}

/* The frames, from LINK_OPEN_OK on. */
static int (*const table[])(struct mux *m, struct mux_chan *c, struct rd *in) = {
	on_open_ok,
	on_open_fail,
	on_data,
	on_data_ext,
	on_window,
	on_eof,
	on_close,
	on_request,
	on_reply,
	on_exit_status,
	on_exit_signal,
};

/* What the other end sends on what our peer has opened presupposes that it was confirmed. */
static bool
in_order(const struct mux_chan *c, uint16_t type)
{
	return !c->by_peer || c->open || type == LINK_OPEN_OK || type == LINK_OPEN_FAIL ||
	       type == LINK_CLOSE;
}

static int
take_frame(struct mux *m, uint16_t type, uint32_t id, const uint8_t *data, size_t len)
{
	struct rd in = rd_over(data, len);
	struct mux_chan *c;

	if (type >= LINK_GLOBAL)
		return mux_global_frame(m, type, &in);
	if (type == LINK_OPEN)
		return on_open(m, id, &in);
	c = mux_find(m, id);
	if (c == NULL && !mux_was(m, id))
		return mux_broken(m, ERR_ORDER, "link: a frame for a channel that was never open");
	/* Late frames for a channel that we or the peer have ended. */
	if (c == NULL || c->ending)
		return 0;
	if (c->local || c->link_close || !in_order(c, type))
		return mux_broken(m, ERR_ORDER, "link: a frame before its time or after its end");
	return table[type - LINK_OPEN_OK](m, c, &in);
}

/* A request in several frames is taken when it is whole. */
static int
take_more(struct mux *m, uint16_t type, uint32_t id, const uint8_t *data, size_t len)
{
	int r;

	if (m->side != MUX_BACK || id == 0 || (type == LINK_MORE) != (m->more_id != 0) ||
	    (type == LINK_MORE ? m->more_id != id : type != LINK_REQUEST))
		return mux_broken(m, ERR_ORDER, "link: a frame inside a request");
	r = buf_put(m->more, data, len);
	if (r == ERR_LIMIT)
		return mux_broken(m, r, "link: a longer request than there may be");
	if (r != 0)
		return r;
	m->more_id = len == LINK_REQUEST_PART ? id : 0;
	if (m->more_id != 0)
		return 0;
	r = take_frame(m, LINK_REQUEST, id, buf_ptr(m->more), buf_len(m->more));
	buf_reset(m->more);
	buf_shrink(m->more, 0);
	return r;
}

int
mux_frame(struct mux *m, uint16_t type, uint32_t id, const uint8_t *data, size_t len)
{
	m->why = "";
	if ((type < LINK_OPEN || type > LINK_GLOBAL_REPLY) && type != LINK_MORE)
		return mux_broken(m, ERR_FORMAT, "link: not a frame about a channel");
	if (m->finished)
		return 0;
	if (m->more_id != 0 || type == LINK_MORE ||
	    (type == LINK_REQUEST && len == LINK_REQUEST_PART))
		return take_more(m, type, id, data, len);
	return take_frame(m, type, id, data, len);
}

int
mux_ready(struct mux *m)
{
	int r = 0;

	m->ready = true;
	for (uint32_t i = 0; i < m->n_chans && r == 0; i++) {
		struct mux_chan *c = m->chans[i];
		uint32_t n = c->early;

		if (c->left || c->ending)
			continue;
		c->early = 0;
		c->window += (int64_t)n;
		r = mux_grant(m, c, n);
	}
	return r;
}
