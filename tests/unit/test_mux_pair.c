/*
 * Both engines back to back: a client and a target that keep to their windows, a link that delivers when it likes, and
 * transports that are full now and then. Whatever the interleaving, every byte arrives once and in order, the exit
 * status comes after the last byte, nobody's window is exceeded, and in the end nothing is left open.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/ssh_msg.h"
#include "recorder/link_proto.h"

#define CHANS 5u
#define STEPS_MAX 3000000

struct frame {
	struct frame *next;
	uint16_t type;
	uint32_t id;
	size_t len;
	uint8_t data[];
};

struct pipe {
	struct frame *head, **tail;
	size_t n;
};

/* One stream of bytes: what is sent is a function of the position, so the receiver can tell. */
struct stream {
	size_t total, sent, got;
};

struct chan {
	/* the client's half; its number is the index + 100 */
	uint32_t bastion_id; /* our number towards the client */
	uint32_t window, packet;
	uint32_t may_send; /* bytes the bastion takes */
	uint32_t owed;	   /* window to give back */
	bool opened, asked, replied, eof_sent, eof_got, close_sent, close_got, early_close;
	int status;
	/* the target's half; its number is the index + 200 */
	uint32_t back_id;
	uint32_t t_window, t_packet, t_may_send, t_owed;
	bool t_pending, t_open, t_runs, t_eof_got, t_eof_sent, t_status_sent, t_close_sent,
	    t_close_got;
	struct stream in, out, err;
	uint8_t *order; /* which stream each byte of the target was of */
	size_t n_order, order_got;
};

struct world;

struct end {
	struct world *world;
	struct mux *mux;
	struct pipe to_link;
	size_t backlog;
	bool front;
};

struct world {
	struct end front, back;
	struct chan chans[CHANS];
	uint32_t n_open; /* channels that the client has opened */
	uint32_t seed;
};

static uint32_t
any(struct world *w, uint32_t below)
{
	w->seed = w->seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(w->seed >> 4) * below >> 28);
}

static uint8_t
byte_at(uint32_t salt, size_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 8) * 7 + (pos >> 16) + salt);
}

static void
check_bytes(struct stream *s, uint32_t salt, struct rd_str data)
{
	assert_true(s->got + data.len <= s->sent);
	for (size_t i = 0; i < data.len; i++)
		assert_int_equal(data.p[i], byte_at(salt, s->got + i));
	s->got += data.len;
}

/* Saying something to an engine. */

static void
say(struct end *e, const uint8_t *msg, size_t len)
{
	int r = mux_message(e->mux, msg, len);

	if (r != 0)
		fail_msg("message %u: %s", msg[0], mux_why(e->mux));
}

static void
say_short(struct end *e, uint8_t type, uint32_t id)
{
	uint8_t msg[5];

	msg[0] = type;
	wr_u32(msg + 1, id);
	say(e, msg, sizeof(msg));
}

static void
say_adjust(struct end *e, uint32_t id, uint32_t n)
{
	uint8_t msg[9];

	msg[0] = SSH_CHANNEL_WINDOW_ADJUST;
	wr_u32(wr_u32(msg + 1, id), n);
	say(e, msg, sizeof(msg));
}

static void
say_data(struct end *e, uint32_t id, bool ext, uint32_t salt, struct stream *s, size_t n)
{
	static uint8_t msg[13 + LINK_DATA_MAX];
	uint8_t *p = msg;

	*p++ = ext ? SSH_CHANNEL_EXTENDED_DATA : SSH_CHANNEL_DATA;
	p = wr_u32(p, id);
	if (ext)
		p = wr_u32(p, SSH_STDERR);
	p = wr_u32(p, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		*p++ = byte_at(salt, s->sent + i);
	s->sent += n;
	say(e, msg, (size_t)(p - msg));
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The client. */

static void
client_open(struct world *w, uint32_t i)
{
	struct chan *c = &w->chans[i];
	uint8_t msg[64], *p = msg;

	c->opened = true;
	c->window = any(w, 3) == 0 ? 0 : any(w, 70000);
	c->packet = any(w, 4) == 0 ? 1 + any(w, 20) : 1000 + any(w, 40000);
	*p++ = SSH_CHANNEL_OPEN;
	p = wr_u32(p, 7);
	memcpy(p, "session", 7);
	p = wr_u32(p + 7, 100 + i);
	p = wr_u32(p, c->window);
	p = wr_u32(p, c->packet);
	w->n_open++;
	say(&w->front, msg, (size_t)(p - msg));
}

static void
client_exec(struct world *w, struct chan *c)
{
	static const uint8_t exec[] = "\0\0\0\4exec\1\0\0\0\3cmd";
	uint8_t msg[64];

	c->asked = true;
	msg[0] = SSH_CHANNEL_REQUEST;
	wr_u32(msg + 1, c->bastion_id);
	memcpy(msg + 5, exec, sizeof(exec) - 1);
	say(&w->front, msg, 5 + sizeof(exec) - 1);
}

static void
client_send(struct world *w, struct chan *c)
{
	size_t n = least(c->in.total - c->in.sent, least(c->may_send, 1 + any(w, 33000)));

	n = least(n, LINK_DATA_MAX);
	if (n > 0) {
		c->may_send -= (uint32_t)n;
		say_data(&w->front, c->bastion_id, false, 1, &c->in, n);
	} else if (c->in.sent == c->in.total) {
		c->eof_sent = true;
		say_short(&w->front, SSH_CHANNEL_EOF, c->bastion_id);
	}
}

static void
client_acts(struct world *w)
{
	uint32_t i = any(w, CHANS);
	struct chan *c = &w->chans[i];

	if (!c->opened)
		client_open(w, i);
	else if (c->bastion_id == 0 || c->close_sent)
		return;
	else if (c->close_got || (c->early_close && c->eof_sent && c->eof_got)) {
		c->close_sent = true;
		say_short(&w->front, SSH_CHANNEL_CLOSE, c->bastion_id);
	} else if (!c->asked)
		client_exec(w, c);
	else if (c->owed > 0 && any(w, 3) == 0) {
		c->window += c->owed;
		say_adjust(&w->front, c->bastion_id, c->owed);
		c->owed = 0;
	} else if (!c->eof_sent)
		client_send(w, c);
}

/* A window of nothing at first is opened by the one who gave it. */
static void
client_took(struct chan *c, size_t n)
{
	assert_true(n <= c->window);
	c->window -= (uint32_t)n;
	c->owed += (uint32_t)n;
}

static void
client_data(struct chan *c, bool ext, struct rd *in)
{
	struct rd_str data = { 0 };
	uint32_t code = 0;

	assert_false(c->eof_got);
	assert_int_equal(c->status, -1);
	if (ext)
		assert_true(rd_u32(in, &code) && code == SSH_STDERR);
	assert_true(rd_str(in, &data) && rd_end(in) && data.len > 0 && data.len <= c->packet);
	client_took(c, data.len);
	check_bytes(ext ? &c->err : &c->out, ext ? 3 : 2, data);
	for (size_t i = 0; i < data.len; i++)
		assert_int_equal(c->order[c->order_got++], ext);
}

static void
client_status(struct chan *c, struct rd *in)
{
	struct rd_str name = { 0 };
	uint32_t status = 0;
	uint8_t want = 0;

	assert_true(rd_str(in, &name) && rd_u8(in, &want) && want == 0);
	assert_true(rd_is(name, "exit-status") && rd_u32(in, &status) && rd_end(in));
	assert_int_equal(c->status, -1);
	c->status = (int)status;
}

static void
client_hears(struct world *w, uint8_t type, struct rd *in)
{
	uint32_t id = 0, n = 0, packet;
	struct chan *c;

	assert_true(rd_u32(in, &id) && id >= 100 && id < 100 + CHANS);
	c = &w->chans[id - 100];
	assert_false(c->close_got);
	if (type == SSH_CHANNEL_OPEN_CONFIRMATION) {
		assert_int_equal(c->bastion_id, 0);
		assert_true(
		    rd_u32(in, &c->bastion_id) && rd_u32(in, &c->may_send) && rd_u32(in, &packet));
	} else if (type == SSH_CHANNEL_WINDOW_ADJUST) {
		assert_true(rd_u32(in, &n) && n <= UINT32_MAX - c->may_send);
		c->may_send += n;
	} else if (type == SSH_CHANNEL_DATA || type == SSH_CHANNEL_EXTENDED_DATA)
		client_data(c, type == SSH_CHANNEL_EXTENDED_DATA, in);
	else if (type == SSH_CHANNEL_SUCCESS) {
		assert_true(c->asked && !c->replied);
		c->replied = true;
	} else if (type == SSH_CHANNEL_REQUEST)
		client_status(c, in);
	else if (type == SSH_CHANNEL_EOF) {
		assert_false(c->eof_got);
		c->eof_got = true;
	} else if (type == SSH_CHANNEL_CLOSE)
		c->close_got = true;
	else
		fail_msg("the client heard %u", type);
}

/* The target. */

static struct chan *
target_chan(struct world *w, uint32_t id)
{
	assert_true(id >= 200 && id < 200 + CHANS);
	return &w->chans[id - 200];
}

static void
target_opens(struct world *w, struct rd *in)
{
	struct rd_str type = { 0 };
	struct chan *c = NULL;
	uint32_t id = 0, packet;

	/* The bastion's numbers tell which of the client's channels this is. */
	assert_true(rd_str(in, &type) && rd_is(type, "session") && rd_u32(in, &id));
	for (uint32_t i = 0; i < CHANS; i++)
		if (w->chans[i].bastion_id == id)
			c = &w->chans[i];
	assert_non_null(c);
	assert_true(rd_u32(in, &c->t_may_send) && rd_u32(in, &packet));
	c->back_id = id;
	c->t_pending = true;
}

static void
target_hears(struct world *w, uint8_t type, struct rd *in)
{
	struct rd_str data = { 0 };
	struct chan *c;
	uint32_t id = 0, n = 0;

	if (type == SSH_CHANNEL_OPEN) {
		target_opens(w, in);
		return;
	}
	assert_true(rd_u32(in, &id));
	c = target_chan(w, id);
	assert_false(c->t_close_got);
	if (type == SSH_CHANNEL_WINDOW_ADJUST) {
		assert_true(rd_u32(in, &n) && n <= UINT32_MAX - c->t_may_send);
		c->t_may_send += n;
	} else if (type == SSH_CHANNEL_DATA) {
		assert_true(c->t_runs && !c->t_eof_got);
		assert_true(rd_str(in, &data) && data.len > 0 && data.len <= c->t_packet);
		assert_true(data.len <= c->t_window);
		c->t_window -= (uint32_t)data.len;
		c->t_owed += (uint32_t)data.len;
		check_bytes(&c->in, 1, data);
	} else if (type == SSH_CHANNEL_REQUEST) {
		c->t_runs = true;
		say_short(&w->back, SSH_CHANNEL_SUCCESS, c->back_id);
	} else if (type == SSH_CHANNEL_EOF)
		c->t_eof_got = true;
	else if (type == SSH_CHANNEL_CLOSE)
		c->t_close_got = true;
	else
		fail_msg("the target heard %u", type);
}

static void
target_confirms(struct world *w, uint32_t i)
{
	struct chan *c = &w->chans[i];
	uint8_t msg[17], *p = msg;

	c->t_pending = false;
	c->t_open = true;
	c->t_window = any(w, 3) == 0 ? 0 : any(w, 100000);
	c->t_packet = any(w, 4) == 0 ? 1 + any(w, 20) : 1000 + any(w, 40000);
	*p++ = SSH_CHANNEL_OPEN_CONFIRMATION;
	p = wr_u32(p, c->back_id);
	p = wr_u32(p, 200 + i);
	p = wr_u32(p, c->t_window);
	wr_u32(p, c->t_packet);
	say(&w->back, msg, sizeof(msg));
}

static void
target_says_status(struct world *w, struct chan *c)
{
	static const uint8_t name[] = "\0\0\0\013exit-status";
	uint8_t msg[64];

	c->t_status_sent = true;
	msg[0] = SSH_CHANNEL_REQUEST;
	wr_u32(msg + 1, c->back_id);
	memcpy(msg + 5, name, sizeof(name));
	wr_u32(msg + 5 + sizeof(name), c->back_id & 0x7fu);
	say(&w->back, msg, 5 + sizeof(name) + 4);
}

static void
target_writes(struct world *w, struct chan *c)
{
	bool ext = any(w, 3) == 0;
	struct stream *s = ext ? &c->err : &c->out;
	size_t n = least(s->total - s->sent, least(c->t_may_send, 1 + any(w, 33000)));

	n = least(n, LINK_DATA_MAX);
	if (n == 0)
		return;
	c->t_may_send -= (uint32_t)n;
	memset(c->order + c->n_order, ext, n);
	c->n_order += n;
	say_data(&w->back, c->back_id, ext, ext ? 3 : 2, s, n);
}

static bool
target_wrote_all(const struct chan *c)
{
	return c->out.sent == c->out.total && c->err.sent == c->err.total;
}

static void
target_acts(struct world *w)
{
	uint32_t i = any(w, CHANS);
	struct chan *c = &w->chans[i];

	if (c->t_pending)
		target_confirms(w, i);
	else if (!c->t_runs || c->t_close_sent)
		return;
	else if (c->t_owed > 0 && any(w, 3) == 0) {
		c->t_window += c->t_owed;
		say_adjust(&w->back, c->back_id, c->t_owed);
		c->t_owed = 0;
	} else if (!target_wrote_all(c))
		target_writes(w, c);
	else if (!c->t_eof_sent) {
		/* Either order of status and EOF is seen in the wild. */
		if (!c->t_status_sent && any(w, 2) == 0)
			target_says_status(w, c);
		c->t_eof_sent = true;
		say_short(&w->back, SSH_CHANNEL_EOF, c->back_id);
	} else if (c->t_eof_got || c->t_close_got) {
		if (!c->t_status_sent)
			target_says_status(w, c);
		c->t_close_sent = true;
		say_short(&w->back, SSH_CHANNEL_CLOSE, c->back_id);
	}
}

/* The engines' surroundings. */

static int
on_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	static uint8_t msg[70000];
	struct end *e = arg;
	struct rd in;

	assert_true(head_len + body_len <= sizeof(msg));
	memcpy(msg, head, head_len);
	if (body_len > 0)
		memcpy(msg + head_len, body, body_len);
	in = rd_over(msg + 1, head_len + body_len - 1);
	e->backlog += head_len + body_len;
	if (e->front)
		client_hears(e->world, msg[0], &in);
	else
		target_hears(e->world, msg[0], &in);
	return 0;
}

static size_t
on_backlog(void *arg)
{
	return ((struct end *)arg)->backlog;
}

static int
on_frame(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct end *e = arg;
	struct frame *f = malloc(sizeof(*f) + len);

	assert_non_null(f);
	*f = (struct frame){ .type = type, .id = id, .len = len };
	if (len > 0)
		memcpy(f->data, data, len);
	*e->to_link.tail = f;
	e->to_link.tail = &f->next;
	e->to_link.n++;
	return 0;
}

static void
deliver(struct end *from, struct end *to)
{
	struct frame *f = from->to_link.head;
	int r;

	if (f == NULL)
		return;
	from->to_link.head = f->next;
	if (f->next == NULL)
		from->to_link.tail = &from->to_link.head;
	from->to_link.n--;
	r = mux_frame(to->mux, f->type, f->id, f->data, f->len);
	if (r != 0)
		fail_msg("frame %u: %s", f->type, mux_why(to->mux));
	free(f);
}

static uint32_t
on_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	(void)arg;
	(void)open;
	(void)ret_text;
	return 0;
}

static enum mux_answer
on_may_request(void *arg, const struct mux_session *s, const struct mux_request *req)
{
	(void)arg;
	(void)s;
	(void)req;
	return MUX_PASS;
}

static const struct mux_ops ops = {
	.send = on_send,
	.backlog = on_backlog,
	.frame = on_frame,
	.may_open = on_may_open,
	.may_request = on_may_request,
};

static void
end_init(struct world *w, struct end *e, bool front)
{
	*e = (struct end){ .world = w, .front = front };
	e->to_link.tail = &e->to_link.head;
	e->mux = mux_new(front ? MUX_FRONT : MUX_BACK, 64, &ops, e);
	assert_non_null(e->mux);
}

static void
end_pumps(struct end *e, bool drains)
{
	if (drains)
		e->backlog = 0;
	assert_int_equal(mux_pump(e->mux), 0);
}

static bool
is_done(const struct world *w)
{
	for (uint32_t i = 0; i < CHANS; i++)
		if (!w->chans[i].close_sent || !w->chans[i].t_close_got)
			return false;
	return mux_channels(w->front.mux) == 0 && mux_channels(w->back.mux) == 0;
}

static void
step(struct world *w)
{
	uint32_t what = any(w, 8);

	if (what == 0)
		end_pumps(&w->front, any(w, 4) != 0);
	else if (what == 1)
		end_pumps(&w->back, any(w, 4) != 0);
	else if (what <= 3)
		client_acts(w);
	else if (what <= 5)
		target_acts(w);
	else if (what == 6)
		deliver(&w->front, &w->back);
	else
		deliver(&w->back, &w->front);
	if (any(w, 500) == 0)
		assert_int_equal(mux_ready(w->front.mux), 0);
}

static void
world_init(struct world *w, uint32_t seed, uint32_t most)
{
	*w = (struct world){ .seed = seed };
	end_init(w, &w->front, true);
	end_init(w, &w->back, false);
	for (uint32_t i = 0; i < CHANS; i++) {
		struct chan *c = &w->chans[i];

		c->status = -1;
		c->early_close = any(w, 2) == 0;
		c->in.total = any(w, 3) == 0 ? 0 : any(w, most);
		c->out.total = any(w, 3) == 0 ? 0 : any(w, most);
		c->err.total = any(w, 3) == 0 ? 0 : any(w, most / 4);
		c->order = malloc(c->out.total + c->err.total + 1);
		assert_non_null(c->order);
		/* The first adjust opens a window that began with nothing. */
		c->owed = c->t_owed = most > 100000 ? 60000 : 50;
	}
}

static void
run_world(uint32_t seed, uint32_t most)
{
	struct world w;
	long steps = 0;

	world_init(&w, seed, most);
	while (!is_done(&w) && steps++ < STEPS_MAX)
		step(&w);
	if (!is_done(&w))
		fail_msg("seed %u: stuck", seed);
	for (uint32_t i = 0; i < CHANS; i++) {
		struct chan *c = &w.chans[i];

		assert_int_equal(c->in.got, c->in.total);
		assert_int_equal(c->out.got, c->out.total);
		assert_int_equal(c->err.got, c->err.total);
		assert_int_equal(c->status, c->back_id & 0x7fu);
		assert_true(c->replied && c->eof_got && c->t_eof_got);
		free(c->order);
	}
	while (w.front.to_link.head != NULL)
		deliver(&w.front, &w.back);
	while (w.back.to_link.head != NULL)
		deliver(&w.back, &w.front);
	mux_free(w.front.mux);
	mux_free(w.back.mux);
}

static void
test_any_interleaving_delivers_every_byte_once_in_order(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 300; seed++)
		run_world(seed, 3000);
}

static void
test_volumes_beyond_the_credit_flow_through(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 3; seed++)
		run_world(seed * 7919u, 3 * LINK_CREDIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_interleaving_delivers_every_byte_once_in_order),
		cmocka_unit_test(test_volumes_beyond_the_credit_flow_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
