/* The rig of the channel engine's tests. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/str.h"
#include "tests/unit/mux_rig.h"

void
rig_log_put(struct rig_log *l, uint16_t type, uint32_t id, struct rd_str a, struct rd_str b)
{
	struct rig_item *it;

	if (l->n == l->size) {
		size_t size = l->size == 0 ? 64 : l->size * 2;
		struct rig_item *items = malloc(size * sizeof(*items));

		assert_non_null(items);
		if (l->n > 0)
			memcpy(items, l->items, l->n * sizeof(*items));
		free(l->items);
		l->items = items;
		l->size = size;
	}
	it = &l->items[l->n++];
	*it = (struct rig_item){ .type = type, .id = id, .len = a.len + b.len };
	it->data = malloc(it->len + 1);
	assert_non_null(it->data);
	if (a.len > 0)
		memcpy(it->data, a.p, a.len);
	if (b.len > 0)
		memcpy(it->data + a.len, b.p, b.len);
}

void
rig_log_clear(struct rig_log *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].data);
	free(l->items);
	*l = (struct rig_log){ 0 };
}

bool
rig_take(struct rig_log *l, struct rig_item *ret_item)
{
	if (l->first == l->n)
		return false;
	*ret_item = l->items[l->first++];
	return true;
}

static int
on_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct rig *g = arg;

	if (g->send_result == 0)
		rig_log_put(&g->ssh, *(const uint8_t *)head, 0, (struct rd_str){ head, head_len },
		    (struct rd_str){ body, body_len });
	return g->send_result;
}

static size_t
on_backlog(void *arg)
{
	return ((struct rig *)arg)->backlog;
}

static int
on_frame(void *arg, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct rig *g = arg;

	if (g->frame_result == 0)
		rig_log_put(
		    &g->link, type, id, (struct rd_str){ data, len }, (struct rd_str){ NULL, 0 });
	return g->frame_result;
}

static uint32_t
on_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	(void)arg;
	if (rd_is(open->type, "session") || rd_is(open->type, "direct-tcpip") ||
	    rd_is(open->type, "direct-streamlocal@openssh.com"))
		return 0;
	if (rd_is(open->type, "local"))
		return MUX_OPEN_LOCAL;
	*ret_text = "not here";
	return SSH_OPEN_PROHIBITED;
}

static enum mux_answer
on_may_request(void *arg, const struct mux_session *s, const struct mux_request *req)
{
	static const char *const known[] = { "pty-req", "env", "shell", "exec", "subsystem",
		"window-change", "signal", "eow@openssh.com", "x11-req",
		"auth-agent-req@openssh.com" };
	struct rig *g = arg;

	if (mux_is_program(req->name) && s->program)
		return MUX_REFUSE;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (rd_is(req->name, known[i]))
			return MUX_PASS;
	return g->say;
}

static const struct mux_ops ops = {
	.send = on_send,
	.backlog = on_backlog,
	.frame = on_frame,
	.may_open = on_may_open,
	.may_request = on_may_request,
};

void
rig_init(struct rig *g, enum mux_side side, uint32_t limit)
{
	*g = (struct rig){ .side = side, .say = MUX_REFUSE };
	g->mux = mux_new(side, limit, &ops, g);
	assert_non_null(g->mux);
}

void
rig_done(struct rig *g)
{
	mux_free(g->mux);
	rig_log_clear(&g->ssh);
	rig_log_clear(&g->link);
}

static size_t
put_arg(uint8_t *p, char kind, va_list *ap)
{
	const char *s;
	size_t n;

	if (kind == 'b') {
		p[0] = (uint8_t)va_arg(*ap, int);
		return 1;
	}
	if (kind == 'u') {
		wr_u32(p, va_arg(*ap, uint32_t));
		return 4;
	}
	s = va_arg(*ap, const char *);
	n = strlen(s);
	if (kind == 'r') {
		memcpy(p, s, n);
		return n;
	}
	wr_u32(p, (uint32_t)n);
	memcpy(p + 4, s, n);
	return 4 + n;
}

const uint8_t *
rig_vbytes(size_t *ret_len, const char *shape, va_list *ap)
{
	static uint8_t ring[4][300000];
	static unsigned turn;
	uint8_t *p = ring[turn++ % 4];
	size_t n = 0;

	for (; *shape != '\0'; shape++)
		n += put_arg(p + n, *shape, ap);
	*ret_len = n;
	return p;
}

const uint8_t *
rig_bytes(size_t *ret_len, const char *shape, ...)
{
	const uint8_t *p;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(ret_len, shape, &ap);
	va_end(ap);
	return p;
}

int
rig_ssh(struct rig *g, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;
	int r;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	r = len > 0 && (p[0] == SSH_REQUEST_SUCCESS || p[0] == SSH_REQUEST_FAILURE)
		? mux_global_reply(g->mux, p, len)
		: mux_message(g->mux, p, len);
	return r != 0 ? r : mux_pump(g->mux);
}

int
rig_link(struct rig *g, uint16_t type, uint32_t id, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;
	int r;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	r = mux_frame(g->mux, type, id, p, len);
	return r != 0 ? r : mux_pump(g->mux);
}

static void
show(const char *what, const uint8_t *p, size_t len)
{
	char text[600];

	print_message("%s %zu bytes: %s\n", what, len, str_escape(text, sizeof(text), p, len));
}

static void
same(const struct rig_item *it, const uint8_t *want, size_t want_len)
{
	if (it->len == want_len && memcmp(it->data, want, want_len) == 0)
		return;
	show("got ", it->data, it->len);
	show("want", want, want_len);
	fail();
}

static void
log_want(struct rig_log *l, const char *shape, va_list *ap)
{
	struct rig_item it;
	size_t len;
	const uint8_t *p = rig_vbytes(&len, shape, ap);

	if (!rig_take(l, &it)) {
		show("nothing was sent, wanted", p, len);
		fail();
		return;
	}
	same(&it, p, len);
}

void
rig_log_want(struct rig_log *l, const char *shape, ...)
{
	va_list ap;

	va_start(ap, shape);
	log_want(l, shape, &ap);
	va_end(ap);
}

void
rig_want_ssh(struct rig *g, const char *shape, ...)
{
	va_list ap;

	va_start(ap, shape);
	log_want(&g->ssh, shape, &ap);
	va_end(ap);
}

void
rig_want_link(struct rig *g, uint16_t type, uint32_t id, const char *shape, ...)
{
	struct rig_item it;
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	if (!rig_take(&g->link, &it)) {
		print_message("no frame was sent, wanted type %u\n", type);
		fail();
		return;
	}
	if (it.type != type || it.id != id) {
		print_message("got frame %u of %u, wanted %u of %u\n", it.type, it.id, type, id);
		show("got ", it.data, it.len);
		fail();
	}
	same(&it, p, len);
}

void
rig_want_quiet(struct rig *g)
{
	struct rig_item it;
	bool loud = false;

	while (rig_take(&g->ssh, &it)) {
		show("unwanted message", it.data, it.len);
		loud = true;
	}
	while (rig_take(&g->link, &it)) {
		print_message("unwanted frame %u of %u\n", it.type, it.id);
		show("with", it.data, it.len);
		loud = true;
	}
	assert_false(loud);
}

static void
session_front(struct rig *g, uint32_t id)
{
	assert_int_equal(rig_ssh(g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, 2097152u, 32768u), 0);
	assert_int_equal(rig_link(g, LINK_OPEN_OK, id, ""), 0);
	assert_int_equal(rig_ssh(g, "busbs", SSH_CHANNEL_REQUEST, id, "exec", 1, "cmd"), 0);
	assert_int_equal(rig_link(g, LINK_REPLY, id, "ub", 1u, 1), 0);
	assert_int_equal(mux_ready(g->mux), 0);
}

static void
session_back(struct rig *g, uint32_t id)
{
	assert_int_equal(rig_link(g, LINK_OPEN, id, "s", "session"), 0);
	assert_int_equal(
	    rig_ssh(g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, id, 9u, 2097152u, 32768u), 0);
	assert_int_equal(rig_link(g, LINK_REQUEST, id, "usbs", 1u, "exec", 1, "cmd"), 0);
	assert_int_equal(rig_ssh(g, "bu", SSH_CHANNEL_SUCCESS, id), 0);
}

void
rig_session(struct rig *g, uint32_t id)
{
	if (g->side == MUX_FRONT)
		session_front(g, id);
	else
		session_back(g, id);
	rig_log_clear(&g->ssh);
	rig_log_clear(&g->link);
}
