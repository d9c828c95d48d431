/* A jump of a front with no memory at every point: it is refused or broken off, and nothing of it is left. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "fault.h"
#include "tests/lib/test.h"

static const struct rd_str type = { (const uint8_t *)"direct-tcpip", 12 };
static const uint8_t fields[] = "\0\0\0\4web1\0\0\0\26\0\0\0\3::1\0\0\0\1";

static int
on_send(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	(void)arg;
	(void)head;
	(void)head_len;
	(void)body;
	(void)body_len;
	return 0;
}

static size_t
on_backlog(void *arg)
{
	(void)arg;
	return 0;
}

static int
on_frame(void *arg, uint16_t t, uint32_t id, const void *data, size_t len)
{
	(void)arg;
	(void)t;
	(void)id;
	(void)data;
	(void)len;
	return 0;
}

static uint32_t
on_may_open(void *arg, const struct mux_open *open, const char **ret_text)
{
	return front_jump_open(arg, open, ret_text);
}

static const struct mux_ops ops = {
	.send = on_send,
	.backlog = on_backlog,
	.frame = on_frame,
	.may_open = on_may_open,
};

static int
open_channel(struct mux *m)
{
	uint8_t msg[128], *p = msg;

	*p++ = SSH_CHANNEL_OPEN;
	p = wr_u32(p, (uint32_t)type.len);
	memcpy(p, type.p, type.len);
	p = wr_u32(wr_u32(wr_u32(p + type.len, 5), 100000), 32768);
	memcpy(p, fields, sizeof(fields) - 1);
	return mux_message(m, msg, (size_t)(p - msg) + sizeof(fields) - 1);
}

static int
give_socket(struct front *f, int *ret_other)
{
	int pair[2], r;
	struct ipc_msg msg = { .id = 1, .type = BRK_FRONT_JUMPED, .n_fds = 1 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	msg.fds[0] = pair[1];
	r = front_on_jumped(f, &msg);
	ipc_msg_close(&msg);
	*ret_other = pair[0];
	return r;
}

/* Data that the socket does not take at once is kept: more than it holds. */
static int
say_much(struct mux *m)
{
	static uint8_t msg[9 + 32768] = { SSH_CHANNEL_DATA, 0, 0, 0, 1, 0, 0, 0x80, 0 };
	int r = 0;

	for (int i = 0; i < 20 && r == 0 && mux_channels(m) > 0; i++)
		r = mux_message(m, msg, sizeof(msg));
	return r;
}

static int
play(void *arg)
{
	const struct ipc_conf conf = { .name = "front-broker" };
	struct front f = { .client_fd = -1, .keys_fd = -1 };
	int pair[3] = { -1, -1, -1 }, r;

	(void)arg;
	assert_int_equal(ipc_pair(pair), 0);
	if ((r = loop_new(&f.loop)) == 0 && (r = ipc_new(f.loop, pair[0], &conf, &f.broker)) == 0)
		pair[0] = -1;
	if (r == 0 && (f.end.mux = mux_new(MUX_FRONT, 5, &ops, &f)) == NULL)
		r = -ENOMEM;
	if (r == 0) {
		front_jump_init(&f);
		r = open_channel(f.end.mux);
	}
	if (r == 0 && mux_channels(f.end.mux) > 0)
		r = give_socket(&f, &pair[2]);
	if (r == 0 && f.jumps[0] != NULL)
		r = say_much(f.end.mux);
	if (r == 0 && f.jumps[0] == NULL) /* refused or broken off: in words, not by an error */
		r = -ENOMEM;
	front_jump_done(&f);
	mux_free(f.end.mux);
	ipc_free(f.broker);
	loop_free(f.loop);
	for (int i = 0; i < 3; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static void
test_a_jump_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, play, NULL) >= 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_jump_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
