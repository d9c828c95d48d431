/* Channels whose other half is the owner: its half of the accounts. What the peer says comes by mux_peer.c. */
#include "config.h"

#include "bastiond/ssh/mux_priv.h"

void
mux_set_local(struct mux *m, const struct mux_local_ops *ops, void *arg)
{
	m->local = ops;
	m->local_arg = arg;
}

/* One on which the owner may still say something; NULL otherwise. */
static struct mux_chan *
find_local(struct mux *m, uint32_t id)
{
	struct mux_chan *c = mux_find(m, id);

	return c != NULL && c->local && !c->link_close ? c : NULL;
}

static struct mux_chan *
find_open(struct mux *m, uint32_t id)
{
	struct mux_chan *c = find_local(m, id);

	return c != NULL && !c->owes ? c : NULL;
}

static int
no_such(struct mux *m)
{
	return mux_broken(m, ERR_ORDER, "not an open local channel");
}

int
mux_local_confirm(struct mux *m, uint32_t id)
{
	struct mux_chan *c = find_local(m, id);

	if (c == NULL || !c->owes)
		return no_such(m);
	c->window = MUX_LOCAL_WINDOW;
	return mux_confirm(m, c, rd_bytes(NULL, 0));
}

int
mux_local_refuse(struct mux *m, uint32_t id, uint32_t reason, const char *text)
{
	struct mux_chan *c = find_local(m, id);

	if (c == NULL || !c->owes)
		return no_such(m);
	return mux_refuse(m, c, reason, rd_bytes(text, strlen(text)));
}

size_t
mux_local_room(struct mux *m, uint32_t id)
{
	struct mux_chan *c = find_open(m, id);

	if (c == NULL || c->link_eof)
		return 0;
	c->full = c->flow.n_data >= MUX_LOCAL_QUEUE;
	return c->full ? 0 : MUX_LOCAL_QUEUE - c->flow.n_data;
}

int
mux_local_data(struct mux *m, uint32_t id, const void *data, size_t len)
{
	struct mux_chan *c = find_open(m, id);

	if (c == NULL || c->link_eof)
		return no_such(m);
	return mux_push_data(m, c, MUX_Q_OUT, rd_bytes(data, len));
}

int
mux_local_eof(struct mux *m, uint32_t id)
{
	struct mux_chan *c = find_open(m, id);

	if (c == NULL || c->link_eof)
		return no_such(m);
	c->link_eof = true;
	return mux_push(c, SSH_CHANNEL_EOF, NULL, 0);
}

int
mux_local_took(struct mux *m, uint32_t id, size_t n)
{
	struct mux_chan *c = find_open(m, id);
	uint32_t grant;

	if (c == NULL)
		return no_such(m);
	c->taken += (uint32_t)n;
	if (c->taken < MUX_LOCAL_STEP)
		return 0;
	grant = c->taken;
	c->taken = 0;
	c->window += (int64_t)grant;
	return c->peer_eof ? 0 : mux_grant(m, c, grant);
}

int
mux_local_close(struct mux *m, uint32_t id)
{
	struct mux_chan *c = find_open(m, id);

	if (c == NULL)
		return no_such(m);
	c->link_close = true;
	return mux_push(c, SSH_CHANNEL_CLOSE, NULL, 0);
}

int
mux_local_cut(struct mux *m, struct mux_chan *c)
{
	if (c->link_close)
		return 0;
	c->link_close = true;
	c->discard = true;
	m->local->closed(m->local_arg, c->id);
	return mux_push(c, SSH_CHANNEL_CLOSE, NULL, 0);
}
