/* See end_rig.h. */
#include "config.h"

#include <errno.h>

#include "tests/lib/end_rig.h"
#include "tests/lib/test.h"

static uint64_t now_ns = 1000 * CLOCK_NS_PER_S;

static uint64_t
now(void)
{
	return now_ns;
}

void
end_rig_clock(void)
{
	clock_override(NULL, now);
}

void
end_rig_turn(struct loop *l)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_pass(l, 0), 0);
}

void
end_rig_later(struct loop *l, uint64_t ns)
{
	now_ns += ns;
	end_rig_turn(l);
}

int
end_rig_edge(int *ret_ours)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	*ret_ours = fds[0];
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	return fds[1];
}

void
end_rig_say(struct loop *l, int edge, uint16_t type, int fd, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	assert_int_equal(ipc_plain_send(edge, type, 1, p, len, &fd, fd >= 0), 0);
	end_rig_turn(l);
}

void
end_rig_frame(struct loop *l, int edge, uint16_t type, uint32_t id, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	assert_int_equal(ipc_plain_send(edge, type, id, p, len, NULL, 0), 0);
	end_rig_turn(l);
}

static uint8_t space[IPC_HEADER + IPC_MAX];

void
end_rig_hear(int edge, uint16_t type, struct ipc_msg *ret_msg)
{
	/* The clock stands still: what was said is there already, or never comes. */
	assert_int_equal(ipc_plain_recv(edge, space, ret_msg, 0), 0);
	if (ret_msg->type != type)
		print_message("heard %u, wanted %u\n", ret_msg->type, type);
	assert_int_equal(ret_msg->type, type);
}

static void
want(int edge, uint16_t type, const uint32_t *id, const uint8_t *p, size_t len)
{
	struct ipc_msg msg;

	end_rig_hear(edge, type, &msg);
	if (id != NULL)
		assert_int_equal(msg.id, *id);
	assert_int_equal(msg.len, len);
	assert_memory_equal(msg.data, p, len);
}

void
end_rig_want(int edge, uint16_t type, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	want(edge, type, NULL, p, len);
}

void
end_rig_want_frame(int edge, uint16_t type, uint32_t id, const char *shape, ...)
{
	const uint8_t *p;
	size_t len;
	va_list ap;

	va_start(ap, shape);
	p = rig_vbytes(&len, shape, &ap);
	va_end(ap);
	want(edge, type, &id, p, len);
}

void
end_rig_want_quiet(int edge)
{
	struct ipc_msg msg;
	int r = ipc_plain_recv(edge, space, &msg, 0);

	if (r == 0)
		print_message("unwanted message %u\n", msg.type);
	assert_int_equal(r, -ETIMEDOUT);
}

void
end_rig_want_gone(int edge)
{
	struct ipc_msg msg;
	int r;

	do
		r = ipc_plain_recv(edge, space, &msg, 0);
	while (r == 0);
	assert_int_equal(r, ERR_PEER_GONE);
}
