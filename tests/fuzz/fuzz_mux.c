/*
 * The channel engine between a hostile peer and a hostile link. Input: a byte whose lowest bit is the side, then steps:
 * one byte what, one byte n, n bytes. what: 0 to 3 SSH message (the first byte is its type), 4 to 7 frame (one byte type,
 * one byte channel, payload), 255 a frame of a long request, else something the owner does.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "recorder/link_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ground {
	struct mux *mux;
	size_t backlog;
	uint64_t now_ns;
};

static int
on_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	const uint8_t *type = head;

	(void)arg;
	(void)body;
	if (head_len < 1 || head_len + body_len > LINK_REQUEST_MAX + 5 ||
	    *type < SSH_GLOBAL_REQUEST)
		abort();
	return 0;
}

static size_t
on_backlog(void *arg)
{
	return ((struct ground *)arg)->backlog;
}

static int
on_frame(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	bool global = type == LINK_GLOBAL || type == LINK_GLOBAL_REPLY;

	(void)arg;
	(void)data;
	if (((type < LINK_OPEN || type > LINK_NOTE) && type != LINK_MORE) || len > IPC_MAX ||
	    (id == 0 && type < LINK_GLOBAL) || (id != 0 && global) ||
	    (type == LINK_DATA && (len == 0 || len > LINK_DATA_MAX)) ||
	    (type == LINK_DATA_EXT && (len < 5 || len > 4 + LINK_DATA_MAX)))
		abort();
	return 0;
}

static uint32_t
on_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	(void)arg;
	*ret_text = "no";
	return rd_is(open->type, "session") || rd_is(open->type, "direct-tcpip") ? 0
	       : rd_is(open->type, "local")					 ? MUX_OPEN_LOCAL
					    : (uint32_t)SSH_OPEN_PROHIBITED;
}

static enum mux_answer
on_may_request(void *arg, const struct mux_session *s, const struct mux_request *req)
{
	(void)arg;
	return req->name.len % 5 == 0 || s->program ? MUX_REFUSE
	       : req->name.len % 7 == 0		    ? MUX_GRANT
						    : MUX_PASS;
}

static const struct mux_ops ops = {
	.send = on_send,
	.backlog = on_backlog,
	.frame = on_frame,
	.may_open = on_may_open,
	.may_request = on_may_request,
};

static int
on_local_data(void *arg, uint32_t id, struct rd_str data)
{
	struct ground *g = arg;

	return data.len % 3 == 0 ? 0 : mux_local_took(g->mux, id, data.len);
}

static int
on_local_eof(void *arg, uint32_t id)
{
	struct ground *g = arg;

	return mux_local_close(g->mux, id);
}

static void
on_local_event(void *arg, uint32_t id)
{
	(void)arg;
	(void)id;
}

static const struct mux_local_ops local_ops = {
	.data = on_local_data,
	.eof = on_local_eof,
	.closed = on_local_event,
	.room = on_local_event,
};

/* The owner of a local channel; what it may not do now is refused, and goes on. */
static int
local_step(struct ground *g, uint32_t id, size_t n)
{
	static const uint8_t bytes[256];
	int r;

	switch (n % 6) {
	case 0:
		r = mux_local_confirm(g->mux, id);
		break;
	case 1:
		r = mux_local_refuse(g->mux, id, 1, "refused");
		break;
	case 2:
		r = mux_local_eof(g->mux, id);
		break;
	case 3:
		r = mux_local_close(g->mux, id);
		break;
	default:
		r = mux_local_room(g->mux, id) < n ? 0 : mux_local_data(g->mux, id, bytes, n);
		break;
	}
	return r == ERR_ORDER ? 0 : r;
}

/* A global request or a reply of the peer, or a question of ours. */
static int
global_step(struct ground *g, const uint8_t *p, size_t n)
{
	struct rd in = rd_over(p, n);
	struct rd_str name;
	uint8_t want_reply;

	if (n == 0)
		return mux_global_own(g->mux);
	if (p[0] == SSH_REQUEST_SUCCESS || p[0] == SSH_REQUEST_FAILURE)
		return mux_global_reply(g->mux, p, n);
	if (!rd_str(&in, &name) || !rd_u8(&in, &want_reply))
		return mux_global_answer(g->mux, n % 2 == 0);
	return mux_global_pass(g->mux, name, want_reply != 0, (struct rd_str){ p, n });
}

/* A frame of a request in several: its beginning is p, and it is as long as such frames are, or shorter by n. */
static int
long_step(struct ground *g, const uint8_t *p, size_t n)
{
	static uint8_t data[LINK_REQUEST_PART];
	uint16_t type = n % 3 == 0 ? LINK_REQUEST : LINK_MORE;

	if (n == 0)
		return 0;
	memset(data, 'x', sizeof(data));
	memcpy(data, p + 1, n - 1);
	return mux_frame(g->mux, type, p[0] % 8, data, sizeof(data) - (n % 2 == 0 ? n : 0));
}

static int
own_step(struct ground *g, uint8_t what, const uint8_t *p, size_t n)
{
	switch (what % 9) {
	case 0:
		g->backlog = g->backlog == 0 ? MUX_BACKLOG : 0;
		return 0;
	case 1:
		return mux_ready(g->mux);
	case 2:
		g->now_ns += n * CLOCK_NS_PER_S;
		return mux_expire(g->mux, g->now_ns, 30 * CLOCK_NS_PER_S);
	case 3:
		return mux_deny(g->mux, n > 0 ? p[0] : 1, (struct rd_str){ p, n }, "denied");
	case 4:
		return n == 3 ? mux_finish(g->mux, 255, "over") : 0;
	case 6:
		return global_step(g, p, n);
	case 7:
		return mux_tell(g->mux, n % 2 == 0, n > 0 ? "a line" : "");
	case 5:
		return n > 0 ? local_step(g, p[0], n) : 0;
	default:
		mux_set_limit(g->mux, (uint32_t)n);
		return 0;
	}
}

static uint32_t
channel(uint8_t b)
{
	return b < 200 ? b : LINK_FROM_BACK + b - 200u;
}

static int
step(struct ground *g, uint8_t what, const uint8_t *p, size_t n)
{
	int r = 0;

	if (what == 255)
		return long_step(g, p, n);
	what %= 20;
	if (what < 4)
		r = mux_message(g->mux, p, n);
	else if (what < 8)
		r = n < 2 ? 0 : mux_frame(g->mux, p[0], channel(p[1]), p + 2, n - 2);
	else
		r = own_step(g, what, p, n);
	return r != 0 || what % 2 != 0 ? r : mux_pump(g->mux);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ground g = { 0 };

	if (size < 1)
		return 0;
	g.mux = mux_new(data[0] % 2 == 0 ? MUX_FRONT : MUX_BACK, 5, &ops, &g);
	if (g.mux == NULL)
		abort();
	mux_set_local(g.mux, &local_ops, &g);
	data++;
	size--;
	while (size >= 2) {
		size_t n = data[1];

		n = n > size - 2 ? size - 2 : n;
		if (step(&g, data[0], data + 2, n) != 0)
			break;
		data += 2 + n;
		size -= 2 + n;
	}
	mux_free(g.mux);
	return 0;
}
