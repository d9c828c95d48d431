/* What leaves: frames for the link, with small data joined; messages for the peer, as its window and socket take them. */
#include "config.h"

#include <errno.h>

#include "bastiond/ssh/mux_priv.h"

#define JOIN_BELOW (LINK_DATA_MAX / 2) /* bytes of data that go on their own, not worth a copy */
#define TURN (64u * 1024u) /* bytes of data that one channel sends before the next one may */
#define KEEP (8u * 1024u)  /* bytes of memory kept for the next frame or piece */

/* Towards the link. */

static int
emit_parts(struct mux *m, uint16_t type, uint32_t id, struct rd_str head, struct rd_str body)
{
	int r;

	buf_reset(m->frame);
	if ((r = buf_put(m->frame, head.p, head.len)) != 0 ||
	    (r = buf_put(m->frame, body.p, body.len)) != 0)
		return r;
	r = m->ops->frame(m->arg, type, id, buf_ptr(m->frame), buf_len(m->frame));
	buf_reset(m->frame);
	buf_shrink(m->frame, KEEP);
	return r;
}

int
mux_emit(struct mux *m, uint16_t type, uint32_t id, struct rd_str head, struct rd_str body)
{
	int r;

	if (m->finished)
		return 0;
	if ((r = mux_emit_joined(m)) != 0)
		return r;
	if (body.len == 0)
		return m->ops->frame(m->arg, type, id, head.p, head.len);
	if (head.len == 0)
		return m->ops->frame(m->arg, type, id, body.p, body.len);
	return emit_parts(m, type, id, head, body);
}

int
mux_emit_chan(
    struct mux *m, struct mux_chan *c, uint16_t type, struct rd_str head, struct rd_str body)
{
	return c->left || c->ending ? 0 : mux_emit(m, type, c->id, head, body);
}

int
mux_emit_request(struct mux *m, struct mux_chan *c, struct rd_str head, struct rd_str body)
{
	uint16_t type = LINK_REQUEST;
	size_t n;
	int r;

	if (head.len + body.len < LINK_REQUEST_PART)
		return mux_emit_chan(m, c, type, head, body);
	if (m->finished || c->left || c->ending)
		return 0;
	if ((r = mux_emit_joined(m)) != 0)
		return r;
	buf_reset(m->frame);
	if ((r = buf_put(m->frame, head.p, head.len)) == 0)
		r = buf_put(m->frame, body.p, body.len);
	do {
		n = buf_len(m->frame) < LINK_REQUEST_PART ? buf_len(m->frame) : LINK_REQUEST_PART;
		if (r == 0)
			r = m->ops->frame(m->arg, type, c->id, buf_ptr(m->frame), n);
		if (r == 0)
			r = buf_skip(m->frame, n);
		type = LINK_MORE;
	} while (r == 0 && n == LINK_REQUEST_PART);
	buf_reset(m->frame);
	buf_shrink(m->frame, KEEP);
	return r;
}

int
mux_leave(struct mux *m, struct mux_chan *c)
{
	int r;

	if (c->left)
		return 0;
	r = mux_emit_chan(m, c, LINK_CLOSE, rd_bytes(NULL, 0), rd_bytes(NULL, 0));
	c->left = true;
	return r;
}

int
mux_emit_joined(struct mux *m)
{
	int r;

	if (buf_len(m->joined) == 0)
		return 0;
	r = m->ops->frame(
	    m->arg, m->joined_type, m->joined_id, buf_ptr(m->joined), buf_len(m->joined));
	buf_reset(m->joined);
	buf_shrink(m->joined, KEEP);
	return r;
}

/* Bytes of a frame of this type that come before its data. */
static size_t
data_head(uint16_t type)
{
	return type == LINK_DATA_EXT ? 4 : 0;
}

static int
join_data(struct mux *m, struct mux_chan *c, uint16_t type, struct rd_str data)
{
	bool same = buf_len(m->joined) > 0 && m->joined_id == c->id && m->joined_type == type;
	int r;

	if (!same || buf_len(m->joined) + data.len > data_head(type) + LINK_DATA_MAX) {
		if ((r = mux_emit_joined(m)) != 0)
			return r;
		m->joined_id = c->id;
		m->joined_type = type;
		if (type == LINK_DATA_EXT && (r = buf_put_u32(m->joined, SSH_STDERR)) != 0)
			return r;
	}
	r = buf_put(m->joined, data.p, data.len);
	if (r != 0)
		buf_reset(m->joined);
	return r;
}

int
mux_emit_data(struct mux *m, struct mux_chan *c, uint16_t type, struct rd_str data)
{
	uint8_t code[4];
	struct rd_str head = rd_bytes(code, data_head(type));
	int r = 0;

	if (m->finished || c->left || c->ending)
		return 0;
	wr_u32(code, SSH_STDERR);
	while (data.len > 0 && r == 0) {
		struct rd_str piece = data;

		if (piece.len > LINK_DATA_MAX)
			piece.len = LINK_DATA_MAX;
		if (piece.len < JOIN_BELOW)
			r = join_data(m, c, type, piece);
		else
			r = mux_emit(m, type, c->id, head, piece);
		data.p += piece.len;
		data.len -= piece.len;
	}
	return r;
}

/* Towards the peer. */

static int
send_message(struct mux *m, struct mux_chan *c, uint8_t type, struct rd_str body)
{
	uint8_t head[5];

	head[0] = type;
	wr_u32(head + 1, c->peer_id);
	m->sent++;
	c->moved = true;
	return m->ops->send(m->arg, head, sizeof(head), body.p, body.len);
}

static int
send_data(struct mux *m, struct mux_chan *c, uint8_t kind, struct rd_str data)
{
	uint8_t head[13], *p = head;

	*p++ = kind == MUX_Q_ERR ? SSH_CHANNEL_EXTENDED_DATA : SSH_CHANNEL_DATA;
	p = wr_u32(p, c->peer_id);
	if (kind == MUX_Q_ERR)
		p = wr_u32(p, SSH_STDERR);
	p = wr_u32(p, (uint32_t)data.len);
	c->room -= (uint32_t)data.len;
	c->owed += (uint32_t)data.len;
	m->sent += data.len;
	c->moved = true;
	return m->ops->send(m->arg, head, (size_t)(p - head), data.p, data.len);
}

/* What left for the peer may be sent again by the other end. */
static int
give_credit(struct mux *m, struct mux_chan *c)
{
	uint8_t n[4];

	if (c->owed < LINK_CREDIT_STEP)
		return 0;
	wr_u32(n, c->owed);
	c->credit += c->owed;
	c->owed = 0;
	return mux_emit_chan(m, c, LINK_WINDOW, rd_bytes(n, sizeof(n)), rd_bytes(NULL, 0));
}

/* Bytes of data that may leave now, of len. */
static size_t
fits(const struct mux *m, const struct mux_chan *c, size_t len)
{
	if (!c->known || !c->flows || c->sent_close || m->ops->backlog(m->arg) >= MUX_BACKLOG)
		return 0;
	if (len > c->room)
		len = c->room;
	if (len > c->peer_max)
		len = c->peer_max;
	return len < LINK_DATA_MAX ? len : LINK_DATA_MAX;
}

int
mux_push_data(struct mux *m, struct mux_chan *c, uint8_t kind, struct rd_str data)
{
	size_t n;
	int r = 0;

	if (c->discard)
		return 0;
	/* Straight from the frame as long as nothing waits: most bytes are never copied. */
	while (r == 0 && mux_queue_empty(&c->flow) && (n = fits(m, c, data.len)) > 0) {
		r = send_data(m, c, kind, rd_bytes(data.p, n));
		data.p += n;
		data.len -= n;
	}
	if (r == 0)
		r = give_credit(m, c);
	if (r == 0 && data.len > 0)
		r = mux_queue_put(&c->flow, kind, data.p, data.len);
	return r;
}

int
mux_push(struct mux_chan *c, uint8_t type, const void *p, size_t len)
{
	return mux_queue_put(&c->flow, type, p, len);
}

int
mux_push_ahead(struct mux_chan *c, uint8_t type, const void *p, size_t len)
{
	return mux_queue_put(&c->ctl, type, p, len);
}

/* A shell, exec or subsystem request is leaving: data may follow it. */
static void
note_program(struct mux_chan *c, const struct mux_rec *rec)
{
	struct rd r = rd_over(rec->data, rec->len);
	struct rd_str name;

	if (rec->kind == SSH_CHANNEL_REQUEST && rd_str(&r, &name) && mux_is_program(name))
		c->flows = true;
}

static int
drain_messages(struct mux *m, struct mux_chan *c)
{
	struct mux_rec rec;
	int r = 0;

	while (r == 0 && mux_queue_peek(&c->ctl, &rec) && m->ops->backlog(m->arg) < MUX_BACKLOG) {
		if (!c->sent_close)
			r = send_message(m, c, rec.kind, rd_bytes(rec.data, rec.len));
		note_program(c, &rec);
		mux_queue_take(&c->ctl, rec.len);
	}
	return r;
}

/* One record of the queue, or a part of it. What left, in bytes; 0: it must wait. */
static int
drain_record(struct mux *m, struct mux_chan *c, const struct mux_rec *rec, size_t *ret_n)
{
	size_t n = rec->len;
	int r = 0;

	*ret_n = 1;
	if (rec->kind != MUX_Q_OUT && rec->kind != MUX_Q_ERR) {
		if (!c->sent_close)
			r = send_message(m, c, rec->kind, rd_bytes(rec->data, n));
		c->sent_close = c->sent_close || rec->kind == SSH_CHANNEL_CLOSE;
	} else if (!c->discard) {
		n = *ret_n = fits(m, c, n);
		if (n == 0)
			return 0;
		r = send_data(m, c, rec->kind, rd_bytes(rec->data, n));
	}
	mux_queue_take(&c->flow, n);
	return r;
}

/* The owner of a local channel was told that it is full, and half of that has left. */
static void
tell_room(struct mux *m, struct mux_chan *c)
{
	if (!c->full || c->link_close || c->flow.n_data > MUX_LOCAL_QUEUE / 2)
		return;
	c->full = false;
	m->local->room(m->local_arg, c->id);
}

int
mux_drain(struct mux *m, struct mux_chan *c, size_t budget)
{
	struct mux_rec rec;
	size_t n = 1, done = 0;
	int r;

	if (!c->known)
		return 0;
	if ((r = drain_messages(m, c)) != 0)
		return r;
	if (!c->flows) {
		/* Data without a program goes nowhere, here as in any server, but the end must get through. */
		if (!c->link_close && !c->ended)
			return 0;
		c->discard = true;
	}
	while (r == 0 && n > 0 && done < budget && mux_queue_peek(&c->flow, &rec) &&
	       m->ops->backlog(m->arg) < MUX_BACKLOG) {
		r = drain_record(m, c, &rec, &n);
		done += n;
	}
	if (r == 0 && c->local)
		tell_room(m, c);
	return r != 0 ? r : give_credit(m, c);
}

static bool
is_over(const struct mux_chan *c)
{
	return c->peer_close && c->sent_close;
}

/* Every channel once. *ret_more: something moved, and the transport takes more. */
static int
pump_round(struct mux *m, bool *ret_more)
{
	uint64_t before = m->sent;
	int r = 0;

	for (uint32_t k = m->n_chans; k > 0 && r == 0; k--) {
		struct mux_chan *c = m->chans[m->turn % m->n_chans];

		if ((r = mux_drain(m, c, TURN)) != 0)
			return r;
		if (is_over(c)) {
			m->told += m->finished && c->local;
			mux_drop(m, c);
		} else
			m->turn++;
	}
	*ret_more = m->sent != before && m->ops->backlog(m->arg) < MUX_BACKLOG;
	return r;
}

int
mux_pump(struct mux *m)
{
	bool more = m->n_chans > 0;
	int r = 0;

	while (r == 0 && more)
		r = pump_round(m, &more);
	return r != 0 ? r : mux_emit_joined(m);
}

bool
mux_waits(const struct mux *m)
{
	for (uint32_t i = 0; i < m->n_chans; i++)
		if (!mux_queue_empty(&m->chans[i]->ctl) || !mux_queue_empty(&m->chans[i]->flow))
			return true;
	return false;
}

int
mux_grant(struct mux *m, struct mux_chan *c, uint32_t n)
{
	uint8_t msg[4];

	if (!c->known) {
		c->early += n;
		return 0;
	}
	if (n == 0 || c->sent_close || c->peer_close)
		return 0;
	wr_u32(msg, n);
	return send_message(m, c, SSH_CHANNEL_WINDOW_ADJUST, rd_bytes(msg, sizeof(msg)));
}

int
mux_answer_due(struct mux *m, struct mux_chan *c)
{
	struct mux_wait *wait;
	int r = 0;

	while (r == 0 && (wait = mux_waits_at(&c->peers, 0)) != NULL && wait->state != WAIT_OPEN) {
		uint8_t type =
		    wait->state == WAIT_SUCCESS ? SSH_CHANNEL_SUCCESS : SSH_CHANNEL_FAILURE;

		if (m->side == MUX_BACK)
			r = mux_push_ahead(c, type, NULL, 0);
		else
			r = mux_push(c, type, NULL, 0);
		if (r == 0)
			mux_waits_pop(&c->peers);
	}
	return r;
}
