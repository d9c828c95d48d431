/* Jumps of a whole front: the broker is asked, and bytes go between a channel and a socket until both are done. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "policy/policy_proto.h"
#include "tests/lib/end_rig.h"
#include "tests/lib/test.h"

#define WINDOW 2097152u
#define PACKET 32768u

struct world {
	struct front f;
	int client, broker, policy, keys;
};

static void
turn(struct world *w)
{
	end_rig_turn(w->f.loop);
}

/* Logged in, with this host. */
static void
start(struct world *w, const char *host)
{
	struct front_fds fds;
	int pair[2];

	end_rig_clock();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->client = pair[0];
	fds.client = pair[1];
	fds.broker = end_rig_edge(&w->broker);
	fds.policy = end_rig_edge(&w->policy);
	fds.keys = end_rig_edge(&w->keys);
	assert_int_equal(front_init(&w->f, &fds), 0);
	end_rig_say(w->f.loop, w->broker, BRK_FRONT_START, -1, "ussuuuuuuuu", 2u, "key", "cert", 4u,
	    0u, 0u, 0u, 0u, 0u, 0u, 0u);
	wire_fake_says("bsss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", "none");
	turn(w);
	end_rig_say(w->f.loop, w->policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "alice",
	    host, "ref7", 3u);
	assert_true(wire_fake->open);
}

static void
done(struct world *w)
{
	front_done(&w->f);
	assert_null(wire_fake);
	close(w->client);
	if (w->broker >= 0)
		close(w->broker);
	close(w->policy);
	close(w->keys);
	clock_override(NULL, NULL);
}

static void
ask(struct world *w, uint32_t peer, const char *host, uint32_t port)
{
	wire_fake_says("bsuuususu", SSH_CHANNEL_OPEN, "direct-tcpip", peer, WINDOW, PACKET, host,
	    port, "127.0.0.1", 65535u);
	turn(w);
}

static void
answer(struct world *w, uint16_t type, uint32_t number, int fd, const char *text)
{
	size_t len;
	const uint8_t *p = rig_bytes(&len, text != NULL ? "s" : "", text);

	assert_int_equal(ipc_plain_send(w->broker, type, number, p, len, &fd, fd >= 0), 0);
	turn(w);
}

static void
want_asked(struct world *w, uint32_t number, const char *host, uint32_t port)
{
	struct ipc_msg msg;
	size_t len;
	const uint8_t *p = rig_bytes(&len, "su", host, port);

	end_rig_hear(w->broker, BRK_FRONT_JUMP, &msg);
	assert_int_equal(msg.id, number);
	assert_int_equal(msg.len, len);
	assert_memory_equal(msg.data, p, len);
}

static void
want_eof(uint32_t peer)
{
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_EOF, peer);
}

static void
want_quiet(void)
{
	struct rig_item it;

	assert_false(rig_take(&wire_fake->sent, &it));
}

static void
want_refused(uint32_t peer, uint32_t reason, const char *text)
{
	rig_log_want(&wire_fake->sent, "buuss", SSH_CHANNEL_OPEN_FAILURE, peer, reason, text, "");
}

/* The jump of this number is open; the socket's other end. */
static int
jumped(struct world *w, uint32_t number)
{
	int pair[2];

	ask(w, 10 + number, "web1", 22);
	want_asked(w, number, "web1", 22);
	want_quiet();
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	answer(w, BRK_FRONT_JUMPED, number, pair[1], NULL);
	close(pair[1]);
	rig_log_want(&wire_fake->sent, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 10 + number, number,
	    MUX_LOCAL_WINDOW, PACKET);
	want_quiet();
	return pair[0];
}

static void
want_read(int fd, const char *text)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got), 0);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* All that is there, and whether that was the end. */
static size_t
drain(int fd, bool *ret_end)
{
	static char space[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, space, sizeof(space), 0)) > 0)
		all += (size_t)n;
	*ret_end = n == 0;
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	return all;
}

static uint32_t
n_jumps(const struct world *w)
{
	uint32_t n = 0;

	for (size_t i = 0; i < FRONT_JUMPS_MAX; i++)
		n += w->f.jumps[i] != NULL;
	return n;
}

/* Asking. */

static void
test_with_a_host_there_are_no_jumps(void **state)
{
	struct world w;

	(void)state;
	start(&w, "web1");
	ask(&w, 5, "web2", 22);
	end_rig_want_quiet(w.broker);
	assert_int_equal(n_jumps(&w), 0);
	done(&w);
}

static void
test_without_a_host_nothing_else_is_forwarded(void **state)
{
	struct world w;

	(void)state;
	start(&w, "");
	wire_fake_says("bsuuussu", SSH_CHANNEL_OPEN, "direct-streamlocal@openssh.com", 5u, WINDOW,
	    PACKET, "/run/x", "", 0u);
	want_refused(5, SSH_OPEN_PROHIBITED, "this is not opened through the bastion");
	wire_fake_says("bsbsu", SSH_GLOBAL_REQUEST, "tcpip-forward", 1, "", 0u);
	rig_log_want(&wire_fake->sent, "b", SSH_REQUEST_FAILURE);
	want_quiet();
	done(&w);
}

static void
test_what_is_no_host_and_port_is_refused_here(void **state)
{
	static const char *const shapes[] = { "bsuuusu", "bsuuususuu", "bsuuu" };
	static const struct {
		const char *host;
		uint32_t port;
	} bad[] = { { "", 22 }, { "web1", 0 }, { "web1", 65536 } };
	char longest[257];
	struct world w;

	(void)state;
	start(&w, "");
	memset(longest, 'h', 256);
	longest[256] = '\0';
	for (size_t i = 0; i < N_OF(shapes); i++) {
		wire_fake_says(shapes[i], SSH_CHANNEL_OPEN, "direct-tcpip", 5u, WINDOW, PACKET,
		    "web1", 22u, "", 1u, 1u);
		want_refused(5, SSH_OPEN_PROHIBITED, "not a host and port");
	}
	for (size_t i = 0; i < N_OF(bad); i++) {
		ask(&w, 5, bad[i].host, bad[i].port);
		want_refused(5, SSH_OPEN_PROHIBITED, "not a host and port");
	}
	ask(&w, 5, longest, 22);
	want_refused(5, SSH_OPEN_PROHIBITED, "not a host and port");
	end_rig_want_quiet(w.broker);
	done(&w);
}

static void
test_a_refusal_of_the_broker_is_the_clients(void **state)
{
	struct world w;

	(void)state;
	start(&w, "");
	ask(&w, 5, "::1", 2222);
	want_asked(&w, 1, "::1", 2222);
	answer(&w, BRK_FRONT_JUMP_REFUSED, 1, -1, "no such \ntarget");
	want_refused(5, SSH_OPEN_PROHIBITED, "no such ?target");
	want_quiet();
	assert_int_equal(n_jumps(&w), 0);
	assert_false(wire_fake->over);
	done(&w);
}

static void
test_an_answer_to_nothing_ends_the_front(void **state)
{
	struct world w;

	(void)state;
	start(&w, "");
	answer(&w, BRK_FRONT_JUMP_REFUSED, 1, -1, "who asked?");
	end_rig_want_gone(w.broker);
	done(&w);
}

static void
test_a_second_answer_is_nothing(void **state)
{
	struct world w;
	int fd, pair[2];

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	answer(&w, BRK_FRONT_JUMP_REFUSED, 1, -1, "no, after all");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	answer(&w, BRK_FRONT_JUMPED, 1, pair[1], NULL);
	close(pair[1]);
	want_quiet();
	/* Nobody keeps what came with it. */
	assert_int_equal(recv(pair[0], &(char){ 0 }, 1, 0), 0);
	close(pair[0]);
	close(fd);
	done(&w);
}

static void
test_there_is_a_limit(void **state)
{
	struct world w;

	(void)state;
	start(&w, "");
	for (uint32_t i = 1; i <= FRONT_JUMPS_MAX; i++) {
		ask(&w, i, "web1", 22);
		want_asked(&w, i, "web1", 22);
	}
	ask(&w, 99, "web1", 22);
	want_refused(99, SSH_OPEN_RESOURCE_SHORTAGE, "too many connections through here");
	answer(&w, BRK_FRONT_JUMP_REFUSED, 7, -1, "no");
	want_refused(7, SSH_OPEN_PROHIBITED, "no");
	ask(&w, 100, "web1", 22);
	want_asked(&w, FRONT_JUMPS_MAX + 1, "web1", 22);
	done(&w);
}

static void
test_a_broker_that_dies_refuses_what_waits(void **state)
{
	struct world w;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	ask(&w, 5, "web1", 22);
	close(w.broker);
	w.broker = -1;
	turn(&w);
	want_refused(5, SSH_OPEN_PROHIBITED, "the bastion is stopping");
	ask(&w, 6, "web1", 22);
	want_refused(6, SSH_OPEN_PROHIBITED, "the bastion is stopping");
	/* What the other front has to say still comes through. */
	assert_int_equal(send(fd, "bye", 3, 0), 3);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 11u, "bye");
	close(fd);
	done(&w);
}

static void
test_a_client_that_goes_meanwhile_leaves_nothing(void **state)
{
	struct world w;
	int pair[2];

	(void)state;
	start(&w, "");
	ask(&w, 5, "web1", 22);
	wire_fake_ends(ERR_PEER_GONE, "closed");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	answer(&w, BRK_FRONT_JUMPED, 1, pair[1], NULL);
	close(pair[1]);
	assert_int_equal(recv(pair[0], &(char){ 0 }, 1, 0), 0);
	close(pair[0]);
	done(&w);
}

/* Moving bytes. */

static void
test_bytes_go_both_ways(void **state)
{
	struct world w;
	int one, two;

	(void)state;
	start(&w, "");
	one = jumped(&w, 1);
	two = jumped(&w, 2);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "SSH-2.0-inner");
	wire_fake_says("bus", SSH_CHANNEL_DATA, 2u, "another");
	want_read(one, "SSH-2.0-inner");
	want_read(two, "another");
	assert_int_equal(send(two, "two", 3, 0), 3);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 12u, "two");
	assert_int_equal(send(one, "one", 3, 0), 3);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 11u, "one");
	want_quiet();
	end_rig_want_quiet(w.broker);
	close(one);
	close(two);
	done(&w);
}

static void
test_the_clients_eof_is_a_half_close(void **state)
{
	struct world w;
	bool end = false;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "last");
	wire_fake_says("bu", SSH_CHANNEL_EOF, 1u);
	turn(&w);
	assert_int_equal(drain(fd, &end), 4);
	assert_true(end);
	want_quiet();
	assert_int_equal(send(fd, "answer", 6, 0), 6);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 11u, "answer");
	close(fd);
	turn(&w);
	want_eof(11);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_CLOSE, 11u);
	assert_int_equal(n_jumps(&w), 0);
	done(&w);
}

static void
test_the_sockets_half_close_is_an_eof(void **state)
{
	struct world w;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	turn(&w);
	want_eof(11);
	want_quiet();
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "still");
	want_read(fd, "still");
	wire_fake_says("bu", SSH_CHANNEL_EOF, 1u);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_CLOSE, 11u);
	assert_int_equal(n_jumps(&w), 0);
	close(fd);
	done(&w);
}

static void
test_a_socket_that_is_gone_after_its_half_close_is_noticed(void **state)
{
	struct world w;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	turn(&w);
	want_eof(11);
	want_quiet();
	close(fd);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_CLOSE, 11u);
	assert_int_equal(n_jumps(&w), 0);
	done(&w);
}

static void
test_a_front_that_dies_closes_the_channel(void **state)
{
	struct world w;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	assert_int_equal(send(fd, "bye", 3, 0), 3);
	close(fd);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 11u, "bye");
	want_eof(11);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_CLOSE, 11u);
	assert_int_equal(n_jumps(&w), 0);
	/* What the client says on it is lost, and harmless. */
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "late");
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 1u);
	turn(&w);
	assert_false(wire_fake->over);
	assert_int_equal(mux_channels(w.f.end.mux), 0);
	done(&w);
}

/* As much as a client may send: nothing is lost, and its window is not grown until the socket has taken it. */
static void
test_a_slow_socket_throttles_its_own_channel_only(void **state)
{
	static char big[PACKET + 1];
	struct world w;
	struct rig_item it;
	size_t got = 0;
	bool end = false;
	int slow, quick;

	(void)state;
	memset(big, 'a', PACKET);
	start(&w, "");
	slow = jumped(&w, 1);
	quick = jumped(&w, 2);
	for (uint32_t n = 0; n < MUX_LOCAL_WINDOW; n += PACKET)
		wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, big);
	while (rig_take(&wire_fake->sent, &it))
		assert_int_equal(it.type, SSH_CHANNEL_WINDOW_ADJUST);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 2u, "quick");
	want_read(quick, "quick");
	wire_fake_says("bu", SSH_CHANNEL_EOF, 1u);
	for (int i = 0; i < 64 && !(got == MUX_LOCAL_WINDOW && end); i++) {
		got += drain(slow, &end);
		turn(&w);
	}
	assert_int_equal(got, MUX_LOCAL_WINDOW);
	assert_true(end);
	close(slow);
	close(quick);
	done(&w);
}

static void
test_a_slow_client_throttles_its_own_socket_only(void **state)
{
	static char big[65536];
	struct rig_item it;
	size_t sent = 0, got = 0;
	struct world w;
	int slow, quick;
	ssize_t n;

	(void)state;
	start(&w, "");
	slow = jumped(&w, 1);
	quick = jumped(&w, 2);
	for (int i = 0; i < 200; i++) {
		while ((n = send(slow, big, sizeof(big), 0)) > 0)
			sent += (size_t)n;
		turn(&w);
	}
	/* The client's window, our queue, what a socket holds. */
	assert_true(sent > WINDOW + MUX_LOCAL_QUEUE);
	assert_true(sent < WINDOW + MUX_LOCAL_QUEUE + 1048576);
	while (rig_take(&wire_fake->sent, &it))
		got += it.len - 9;
	assert_int_equal(got, WINDOW);
	assert_int_equal(send(quick, "quick", 5, 0), 5);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 12u, "quick");
	close(slow);
	wire_fake_says("buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, WINDOW);
	for (int i = 0; i < 20; i++)
		turn(&w);
	while (rig_take(&wire_fake->sent, &it) && it.type == SSH_CHANNEL_DATA)
		got += it.len - 9;
	assert_int_equal(got, sent);
	assert_int_equal(it.type, SSH_CHANNEL_EOF);
	close(quick);
	done(&w);
}

static void
test_what_a_client_said_before_it_closed_is_written(void **state)
{
	static char big[PACKET + 1];
	struct world w;
	size_t got = 0;
	bool end = false;
	int fd;

	(void)state;
	memset(big, 'a', PACKET);
	start(&w, "");
	fd = jumped(&w, 1);
	for (int i = 0; i < 32; i++)
		wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, big);
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 1u);
	turn(&w);
	assert_int_equal(mux_channels(w.f.end.mux), 0);
	assert_int_equal(n_jumps(&w), 1);
	for (int i = 0; i < 64 && !end; i++) {
		got += drain(fd, &end);
		turn(&w);
	}
	assert_int_equal(got, 32 * PACKET);
	assert_true(end);
	assert_int_equal(n_jumps(&w), 0);
	close(fd);
	done(&w);
}

static void
test_a_close_with_the_sockets_data_unread(void **state)
{
	struct world w;
	int fd;

	(void)state;
	start(&w, "");
	fd = jumped(&w, 1);
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 1u);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_CLOSE, 11u);
	want_quiet();
	assert_int_equal(n_jumps(&w), 0);
	assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 0);
	close(fd);
	done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_a_host_there_are_no_jumps),
		cmocka_unit_test(test_without_a_host_nothing_else_is_forwarded),
		cmocka_unit_test(test_what_is_no_host_and_port_is_refused_here),
		cmocka_unit_test(test_a_refusal_of_the_broker_is_the_clients),
		cmocka_unit_test(test_an_answer_to_nothing_ends_the_front),
		cmocka_unit_test(test_a_second_answer_is_nothing),
		cmocka_unit_test(test_there_is_a_limit),
		cmocka_unit_test(test_a_broker_that_dies_refuses_what_waits),
		cmocka_unit_test(test_a_client_that_goes_meanwhile_leaves_nothing),
		cmocka_unit_test(test_bytes_go_both_ways),
		cmocka_unit_test(test_the_clients_eof_is_a_half_close),
		cmocka_unit_test(test_the_sockets_half_close_is_an_eof),
		cmocka_unit_test(test_a_socket_that_is_gone_after_its_half_close_is_noticed),
		cmocka_unit_test(test_a_front_that_dies_closes_the_channel),
		cmocka_unit_test(test_a_slow_socket_throttles_its_own_channel_only),
		cmocka_unit_test(test_a_slow_client_throttles_its_own_socket_only),
		cmocka_unit_test(test_what_a_client_said_before_it_closed_is_written),
		cmocka_unit_test(test_a_close_with_the_sockets_data_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
