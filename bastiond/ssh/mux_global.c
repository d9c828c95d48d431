/*
 * Requests outside channels (RFC 4254 section 4). They have no numbers there, so replies count by their order: what is
 * answered here waits behind what is answered at the other end, and our own questions stand in the row of those that the link
 * has asked.
 */
#include "config.h"

#include "bastiond/ssh/mux_priv.h"

static const struct rd_str nothing;

/* The only ones that cross, from front to back. */
static const struct {
	const char *name;
	const char *shape; /* see mux_shape() */
} globals[] = {
	{ "tcpip-forward", "su" },
	{ "cancel-tcpip-forward", "su" },
	{ "streamlocal-forward@openssh.com", "s" },
	{ "cancel-streamlocal-forward@openssh.com", "s" },
};

static bool
may_cross(struct rd_str name, struct rd_str fields)
{
	for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++)
		if (rd_is(name, globals[i].name))
			return mux_shape(fields, globals[i].shape);
	return false;
}

/* Replies to the peer whose turn has come. */
static int
answer_due(struct mux *m)
{
	struct mux_waits *w = &m->global_peers;
	struct mux_wait *wait;
	int r = 0;

	while (r == 0 && (wait = mux_waits_at(w, 0)) != NULL && wait->state != WAIT_OPEN) {
		uint8_t type =
		    wait->state == WAIT_SUCCESS ? SSH_REQUEST_SUCCESS : SSH_REQUEST_FAILURE;

		r = m->ops->send(
		    m->arg, &type, 1, wait->data, wait->state == WAIT_SUCCESS ? wait->data_len : 0);
		mux_waits_pop(w);
	}
	return r;
}

static int
wait_for(struct mux *m, struct mux_waits *w, uint32_t number, struct rd_str name,
    enum mux_wait_state state)
{
	int r = mux_waits_add(w, number, name, state);

	return r == ERR_LIMIT ? mux_broken(m, r, "too many global requests are unanswered") : r;
}

int
mux_global_answer(struct mux *m, bool success)
{
	int r = wait_for(m, &m->global_peers, 0, nothing, success ? WAIT_SUCCESS : WAIT_FAILURE);

	return r != 0 ? r : answer_due(m);
}

static int
refuse(struct mux *m, struct rd_str name, bool want_reply, const char *why)
{
	int r = mux_note_refused(m, 0, name, why);

	return r != 0 || !want_reply ? r : mux_global_answer(m, false);
}

int
mux_global_pass(struct mux *m, struct rd_str name, bool want_reply, struct rd_str raw)
{
	size_t head = 4 + name.len + 1;
	struct rd_str fields = rd_bytes(raw.p + head, raw.len - head);
	uint8_t number[4];
	int r;

	if (!may_cross(name, fields))
		return refuse(m, name, want_reply, "malformed");
	if (m->finished)
		return want_reply ? mux_global_answer(m, false) : 0;
	if (raw.len > MUX_FRAME_MAX)
		return refuse(m, name, want_reply, "too long");
	r = mux_asked_globally(m, m->global_asked + 1, name, want_reply, fields);
	if (r == ERR_LIMIT)
		return refuse(m, name, want_reply, "too many forwards");
	m->global_asked++;
	if (r == 0 && want_reply)
		r = wait_for(m, &m->global_peers, m->global_asked, name, WAIT_OPEN);
	if (r != 0)
		return r;
	wr_u32(number, m->global_asked);
	return mux_emit(m, LINK_GLOBAL, 0, rd_bytes(number, sizeof(number)), raw);
}

int
mux_global_own(struct mux *m)
{
	struct mux_waits *w = &m->global_links;
	struct mux_wait *last = w->n > 0 ? mux_waits_at(w, w->n - 1) : NULL;
	int r;

	if (last == NULL || last->number != 0) {
		if ((r = mux_waits_add(w, 0, nothing, WAIT_OPEN)) != 0)
			return r;
		last = mux_waits_at(w, w->n - 1);
	}
	last->times++;
	return 0;
}

int
mux_global_reply(struct mux *m, const uint8_t *msg, size_t len)
{
	struct mux_wait *wait = mux_waits_at(&m->global_links, 0);
	bool success = len > 0 && msg[0] == SSH_REQUEST_SUCCESS;
	uint8_t head[5];
	struct rd_str fields = nothing;

	if (wait == NULL) /* to nothing that was asked: says nothing */
		return 0;
	if (wait->number == 0) {
		if (--wait->times == 0)
			mux_waits_pop(&m->global_links);
		return 0;
	}
	if (success && len == 5) /* a port; nothing else is ever said */
		fields = rd_bytes(msg + 1, 4);
	wr_u32(head, wait->number);
	head[4] = success;
	mux_asked_answered(m, wait->number, success, fields);
	mux_waits_pop(&m->global_links);
	return mux_emit(m, LINK_GLOBAL_REPLY, 0, rd_bytes(head, sizeof(head)), fields);
}

/* The number, then the request exactly as it goes to the peer. */
static int
on_global(struct mux *m, struct rd *in)
{
	const uint8_t type = SSH_GLOBAL_REQUEST;
	struct rd_str name, raw;
	uint32_t number;
	uint8_t want_reply;
	int r;

	if (m->side != MUX_BACK)
		return mux_broken(m, ERR_ORDER, "link: a global request of a target");
	if (!rd_u32(in, &number))
		return mux_broken(m, ERR_FORMAT, "link: malformed global request");
	raw = rd_bytes(in->p, in->len);
	if (!rd_str(in, &name) || !rd_u8(in, &want_reply) ||
	    !may_cross(name, rd_bytes(in->p, in->len)))
		return mux_broken(m, ERR_FORMAT, "link: malformed global request");
	if (number <= m->global_heard)
		return mux_broken(m, ERR_ORDER, "link: a request number out of order");
	m->global_heard = number;
	r = mux_asked_globally(m, number, name, want_reply != 0, rd_bytes(in->p, in->len));
	if (r == 0 && want_reply != 0)
		r = wait_for(m, &m->global_links, number, name, WAIT_OPEN);
	if (r == ERR_LIMIT)
		return mux_broken(m, r, "link: too many forwards");
	return r != 0 ? r : m->ops->send(m->arg, &type, 1, raw.p, raw.len);
}

static int
on_global_reply(struct mux *m, struct rd *in)
{
	struct mux_wait *wait;
	uint32_t number;
	uint8_t success;

	if (!rd_u32(in, &number) || !rd_u8(in, &success) || (in->len != 0 && in->len != 4))
		return mux_broken(m, ERR_FORMAT, "link: malformed reply");
	wait = mux_waits_find(&m->global_peers, number);
	if (m->side != MUX_FRONT || wait == NULL || wait->state != WAIT_OPEN)
		return mux_broken(m, ERR_ORDER, "link: a reply to nothing that was asked");
	wait->state = success != 0 ? WAIT_SUCCESS : WAIT_FAILURE;
	wait->data_len = in->len;
	if (in->len > 0)
		memcpy(wait->data, in->p, in->len);
	mux_asked_answered(m, number, success != 0, rd_bytes(in->p, in->len));
	return answer_due(m);
}

int
mux_global_frame(struct mux *m, uint16_t type, struct rd *in)
{
	return type == LINK_GLOBAL ? on_global(m, in) : on_global_reply(m, in);
}

int
mux_global_fail_all(struct mux *m)
{
	for (uint32_t i = 0; i < m->global_peers.n; i++) {
		struct mux_wait *wait = mux_waits_at(&m->global_peers, i);

		if (wait->state == WAIT_OPEN)
			wait->state = WAIT_FAILURE;
	}
	return answer_due(m);
}
