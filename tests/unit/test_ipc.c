/* Messages between processes: every way to break the rules ends the edge, nothing reaches a handler, no descriptor leaks. */
#include "config.h"

#include <sys/socket.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/proto_digest.h"

enum {
	WORD = 1,
	SIZED = 2,
	FDS = 3,
	LATER = 4,
	FAIL = 5,
	FREE = 6,
	KEEP = 7,
	SEQUENCE = 8,
	FOUR = 9
};

static struct {
	struct loop *loop;
	struct ipc *ipc;
	int peer; /* driven by hand */
	int n_fds_before;
	unsigned handled, gone, drained;
	int gone_err, kept;
	uint32_t last_id;
	uint32_t seed; /* of what a SEQUENCE must hold */
	bool free_when_gone, free_when_drained;
	size_t last_len;
	uint8_t last[IPC_MAX];
} e;

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	assert_int_equal(closedir(d), 0);
	return n;
}

static int
on_any(void *arg, struct ipc_msg *msg)
{
	assert_ptr_equal(arg, &e);
	e.handled++;
	e.last_id = msg->id;
	e.last_len = msg->len;
	memcpy(e.last, msg->data, msg->len);
	return 0;
}

static int
on_fail(void *arg, struct ipc_msg *msg)
{
	(void)on_any(arg, msg);
	return ERR_DENIED;
}

static int
on_free(void *arg, struct ipc_msg *msg)
{
	(void)on_any(arg, msg);
	ipc_free(e.ipc);
	e.ipc = NULL;
	/* Still ours for the call. */
	assert_memory_equal(msg->data, "x", 1);
	return ERR_FORMAT;
}

static int
on_keep(void *arg, struct ipc_msg *msg)
{
	(void)on_any(arg, msg);
	e.kept = msg->fds[0];
	msg->fds[0] = -1;
	return 0;
}

/* Length and content follow from the seed, so that both sides know them. */
static size_t
sequence(uint32_t *seed, uint8_t *data)
{
	size_t n = test_random(seed) % 8 == 0 ? test_random(seed) % (IPC_MAX + 1)
					      : test_random(seed) % 300;

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)test_random(seed);
	return n;
}

static int
on_sequence(void *arg, struct ipc_msg *msg)
{
	static uint8_t want[IPC_MAX];
	size_t n = sequence(&e.seed, want);

	(void)arg;
	assert_int_equal(msg->id, e.handled++);
	assert_int_equal(msg->len, n);
	assert_memory_equal(msg->data, want, n);
	return 0;
}

static const struct ipc_rule rules[] = {
	{ WORD, "word", 0, IPC_MAX, 0, IPC_ANY_STATE, on_any },
	{ SIZED, "sized", 4, 8, 0, IPC_ANY_STATE, on_any },
	{ FDS, "fds", 0, 10, 2, IPC_ANY_STATE, on_any },
	{ LATER, "later", 0, 10, 0, 1u << 3, on_any },
	{ FAIL, "fail", 0, 10, 0, IPC_ANY_STATE, on_fail },
	{ FREE, "free", 0, 10, 0, IPC_ANY_STATE, on_free },
	{ KEEP, "keep", 0, 10, 1, IPC_ANY_STATE, on_keep },
	{ SEQUENCE, "sequence", 0, IPC_MAX, 0, IPC_ANY_STATE, on_sequence },
	{ FOUR, "four", 0, 10, 4, IPC_ANY_STATE, on_any },
};

static void
on_gone(void *arg, int err)
{
	assert_ptr_equal(arg, &e);
	e.gone++;
	e.gone_err = err;
	if (!e.free_when_gone)
		return;
	ipc_free(e.ipc);
	e.ipc = NULL;
}

static void
on_drained(void *arg)
{
	assert_ptr_equal(arg, &e);
	e.drained++;
	if (!e.free_when_drained)
		return;
	ipc_free(e.ipc);
	e.ipc = NULL;
}

static int
setup_silent(void **state)
{
	struct ipc_conf conf = { .name = "test",
		.queue_max = 50,
		.rules = rules,
		.n_rules = N_OF(rules),
		.arg = &e,
		.gone = on_gone,
		.drained = on_drained };
	int fds[2];

	(void)state;
	memset(&e, 0, sizeof(e));
	e.kept = -1;
	e.seed = 1;
	e.n_fds_before = count_fds();
	log_set_level(LOG_LEVEL_ERR); /* refusals are what these tests are about */
	assert_int_equal(loop_new(&e.loop), 0);
	assert_int_equal(ipc_pair(fds), 0);
	e.peer = fds[1];
	return ipc_new(e.loop, fds[0], &conf, &e.ipc);
}

static int
setup(void **state)
{
	return setup_silent(state) != 0 || ipc_plain_hello(e.peer) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	ipc_free(e.ipc);
	loop_free(e.loop);
	fd_close(&e.peer);
	fd_close(&e.kept);
	/* Whatever a test did: every descriptor that came or waited is closed. */
	assert_int_equal(count_fds(), e.n_fds_before);
	return 0;
}

static void
passes(int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(loop_pass(e.loop, 0), 0);
}

/* Bytes exactly as given, with descriptors. */
static void
send_raw(const void *data, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };

	memset(&control, 0, sizeof(control));
	if (n_fds > 0) {
		struct cmsghdr *cm = &control.align;

		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(e.peer, &mh, 0), (ssize_t)len);
}

/* The edge ended with err and no handler saw the message. */
static void
assert_ended(int err)
{
	passes(3);
	assert_int_equal(e.handled, 0);
	assert_int_equal(e.gone, 1);
	assert_int_equal(e.gone_err, err);
	assert_int_equal(ipc_send(e.ipc, WORD, 1, "x", 1), ERR_PEER_GONE);
	passes(2);
	assert_int_equal(e.gone, 1);
}

/* Messages that fit no row. head: id 0, type, number of fds as told; then len bytes; real_fds travel. */
static const struct violation {
	const char *name;
	uint16_t type, told_fds;
	size_t len, real_fds;
	int err;
} violations[] = {
	{ "a type that nobody knows", 99, 0, 1, 0, ERR_FORMAT },
	{ "one above the last type", 10, 0, 1, 0, ERR_FORMAT },
	{ "hello again", IPC_HELLO, 0, 1, 0, ERR_FORMAT },
	{ "too short", SIZED, 0, 3, 0, ERR_FORMAT },
	{ "too long", SIZED, 0, 9, 0, ERR_FORMAT },
	{ "no descriptors", FDS, 0, 1, 0, ERR_FORMAT },
	{ "too few descriptors", FDS, 1, 1, 1, ERR_FORMAT },
	{ "too many descriptors", FDS, 3, 1, 3, ERR_FORMAT },
	{ "descriptors where none belong", WORD, 1, 1, 1, ERR_FORMAT },
	{ "descriptors with a type that nobody knows", 99, 4, 1, 4, ERR_FORMAT },
	{ "more descriptors told than sent", FDS, 2, 1, 1, ERR_FORMAT },
	{ "fewer descriptors told than sent", FDS, 2, 1, 3, ERR_FORMAT },
	{ "descriptors not told", WORD, 0, 1, 2, ERR_FORMAT },
	{ "more descriptors than any message has", FDS, 5, 1, 5, ERR_FORMAT },
	{ "many more, and told as two", FDS, 2, 1, 8, ERR_FORMAT },
	{ "eight, of which the four told fit", FOUR, 4, 1, 8, ERR_FORMAT },
	{ "not in this state", LATER, 0, 1, 0, ERR_ORDER },
	{ "longer than any message", WORD, 0, IPC_MAX + 1, 0, ERR_FORMAT },
	{ "longer than any message, with descriptors", FDS, 2, IPC_MAX + 100, 2, ERR_FORMAT },
};

static void
test_what_fits_no_row_ends_the_edge(void **state)
{
	static uint8_t data[IPC_HEADER + IPC_MAX + 200];

	for (size_t i = 0; i < N_OF(violations); i++) {
		const struct violation *v = &violations[i];

		if (i > 0)
			assert_int_equal(setup(state), 0);
		data[5] = (uint8_t)v->type;
		data[7] = (uint8_t)v->told_fds;
		send_raw(data, IPC_HEADER + v->len, v->real_fds);
		passes(3);
		if (e.gone != 1 || e.gone_err != v->err || e.handled != 0)
			fail_msg("%s: gone %u with %s, handled %u", v->name, e.gone,
			    err_str(e.gone_err), e.handled);
		assert_ended(v->err);
		if (i + 1 < N_OF(violations))
			assert_int_equal(teardown(state), 0);
	}
}

static void
test_every_short_head_ends_the_edge(void **state)
{
	static const uint8_t head[IPC_HEADER] = { 0, 0, 0, 0, 0, WORD, 0, 0 };

	for (size_t len = 1; len < IPC_HEADER; len++) {
		send_raw(head, len, len % 2);
		assert_ended(ERR_FORMAT);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* An empty packet is how the kernel says that the peer is gone. */
static void
test_an_empty_packet_ends_the_edge(void **state)
{
	(void)state;
	send_raw("", 0, 2);
	assert_ended(ERR_PEER_GONE);
}

static void
test_without_hello_nothing_is_heard(void **state)
{
	(void)state;
	assert_int_equal(ipc_plain_send(e.peer, WORD, 1, "x", 1, NULL, 0), 0);
	assert_ended(ERR_VERSION);
}

static void
test_another_build_is_refused(void **state)
{
	static const char *const others[] = { "", "bastiond 9.9", PROTO_DIGEST "x" };
	char changed[] = PROTO_DIGEST;

	changed[sizeof(changed) - 2] ^= 1;
	for (size_t i = 0; i <= N_OF(others); i++) {
		const char *digest = i < N_OF(others) ? others[i] : changed;

		assert_int_equal(
		    ipc_plain_send(e.peer, IPC_HELLO, 0, digest, strlen(digest), NULL, 0), 0);
		assert_ended(ERR_VERSION);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup_silent(state), 0);
	}
	/* The right words, with a descriptor. */
	assert_int_equal(
	    ipc_plain_send(e.peer, IPC_HELLO, 0, PROTO_DIGEST, strlen(PROTO_DIGEST), &e.peer, 1),
	    0);
	assert_ended(ERR_VERSION);
}

static void
test_a_handler_that_refuses_ends_the_edge(void **state)
{
	(void)state;
	assert_int_equal(ipc_plain_send(e.peer, FAIL, 1, "x", 1, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(e.peer, WORD, 2, "x", 1, NULL, 0), 0);
	passes(3);
	assert_int_equal(e.handled, 1);
	assert_int_equal(e.gone_err, ERR_DENIED);
}

static void
test_states_open_and_close_rows(void **state)
{
	(void)state;
	ipc_set_state(e.ipc, 3);
	assert_int_equal(ipc_state(e.ipc), 3);
	assert_int_equal(ipc_plain_send(e.peer, LATER, 1, "x", 1, NULL, 0), 0);
	passes(2);
	assert_int_equal(e.handled, 1);
	ipc_set_state(e.ipc, 31);
	e.handled = 0;
	assert_int_equal(ipc_plain_send(e.peer, LATER, 1, "x", 1, NULL, 0), 0);
	assert_ended(ERR_ORDER);
}

static void
test_the_edges_of_length_are_legal(void **state)
{
	static uint8_t big[IPC_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 31);
	assert_int_equal(ipc_plain_send(e.peer, SIZED, 1, "1234", 4, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(e.peer, SIZED, 2, "12345678", 8, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(e.peer, WORD, 3, NULL, 0, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(e.peer, WORD, UINT32_MAX, big, sizeof(big), NULL, 0), 0);
	passes(2);
	assert_int_equal(e.handled, 4);
	assert_true(e.last_id == UINT32_MAX && e.last_len == IPC_MAX);
	assert_memory_equal(e.last, big, sizeof(big));
	assert_int_equal(ipc_plain_send(e.peer, WORD, 1, big, IPC_MAX + 1, NULL, 0), ERR_LIMIT);
	assert_int_equal(ipc_send(e.ipc, WORD, 1, big, IPC_MAX + 1), ERR_LIMIT);
	assert_int_equal(e.gone, 0);
}

static void
test_descriptors_go_where_they_are_wanted(void **state)
{
	int pipe_fds[2], two[2];
	char c = 0;

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	two[0] = two[1] = pipe_fds[1];
	/* Nobody takes these two: they are closed behind the handler. */
	assert_int_equal(ipc_plain_send(e.peer, FDS, 1, NULL, 0, two, 2), 0);
	/* This one is kept. */
	assert_int_equal(ipc_plain_send(e.peer, KEEP, 1, NULL, 0, &pipe_fds[1], 1), 0);
	(void)close(pipe_fds[1]);
	passes(2);
	assert_int_equal(e.handled, 2);
	assert_true(e.kept >= 0 && (fcntl(e.kept, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(e.kept, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	fd_close(&e.kept);
	assert_int_equal(read(pipe_fds[0], &c, 1), 0);
	(void)close(pipe_fds[0]);
}

static void
test_freed_inside_its_handler(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipc_plain_send(e.peer, FREE, 1, "x", 1, NULL, 0), 0);
	passes(3);
	assert_int_equal(e.handled, 1);
	assert_int_equal(e.gone, 0);
}

static void
test_freed_when_told_of_the_end(void **state)
{
	(void)state;
	e.free_when_gone = true;
	fd_close(&e.peer);
	passes(3);
	assert_int_equal(e.gone, 1);
	assert_int_equal(e.gone_err, ERR_PEER_GONE);
	assert_null(e.ipc);
}

/* Fill the kernel's buffer and then the queue; returns how many went in. */
static unsigned
fill(const int *fd)
{
	static uint8_t data[30000];
	unsigned n = 0;
	int r = 0;

	while (ipc_queued(e.ipc) < 50 && r == 0) {
		data[0] = (uint8_t)n;
		r = ipc_send_fds(e.ipc, WORD, n, data, sizeof(data), fd, fd != NULL ? 1 : 0);
		if (r == 0)
			n++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(ipc_queued(e.ipc), 50);
	return n;
}

/* Take n messages at the other end, in order, each with n_fds. */
static void
take(unsigned n, size_t n_fds)
{
	static uint8_t buf[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;

	for (unsigned i = 0; i < n; i++) {
		passes(1);
		assert_int_equal(ipc_plain_recv(e.peer, buf, &msg, 1000), 0);
		assert_int_equal(msg.id, i);
		assert_int_equal(msg.data[0], (uint8_t)i);
		assert_int_equal(msg.len, 30000);
		assert_int_equal(msg.n_fds, n_fds);
		ipc_msg_close(&msg);
	}
}

static void
test_a_slow_peer_gets_all_in_order(void **state)
{
	unsigned n = fill(NULL);

	(void)state;
	assert_true(n > 55); /* some fitted into the socket */
	take(n, 0);
	passes(1);
	assert_int_equal(ipc_queued(e.ipc), 0);
	assert_int_equal(e.drained, 1);
	assert_int_equal(e.gone, 0);
}

static void
test_the_queue_has_an_end(void **state)
{
	(void)state;
	(void)fill(NULL);
	assert_int_equal(ipc_send(e.ipc, WORD, 1, "x", 1), ERR_LIMIT);
	assert_int_equal(ipc_send(e.ipc, WORD, 1, "x", 1), ERR_PEER_GONE);
	passes(1);
	assert_int_equal(e.gone, 1);
	assert_int_equal(e.gone_err, ERR_LIMIT);
}

static void
test_queued_descriptors_are_copies(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned n = fill(&fd);

	(void)state;
	(void)close(fd);
	take(n, 1);
}

static void
test_freed_with_a_full_queue(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	(void)fill(&fd);
	(void)close(fd);
	ipc_free(e.ipc); /* teardown counts the descriptors */
	e.ipc = NULL;
}

static void
test_freed_when_the_queue_is_empty_again(void **state)
{
	unsigned n = fill(NULL);

	(void)state;
	e.free_when_drained = true;
	assert_int_equal(ipc_plain_send(e.peer, WORD, 1, "x", 1, NULL, 0), 0);
	assert_int_equal(ipc_pause(e.ipc, true), 0);
	take(n, 0);
	passes(1);
	assert_null(e.ipc);
	assert_int_equal(e.drained, 1);
	assert_int_equal(e.handled, 0);
}

static void
test_pause_holds_messages_back(void **state)
{
	(void)state;
	passes(1);
	assert_int_equal(ipc_pause(e.ipc, true), 0);
	assert_int_equal(ipc_plain_send(e.peer, WORD, 1, "x", 1, NULL, 0), 0);
	passes(3);
	assert_int_equal(e.handled, 0);
	assert_int_equal(ipc_pause(e.ipc, false), 0);
	passes(1);
	assert_int_equal(e.handled, 1);
}

static void
test_one_busy_peer_does_not_hold_the_loop(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(ipc_plain_send(e.peer, WORD, i, "x", 1, NULL, 0), 0);
	passes(1);
	assert_true(e.handled > 0 && e.handled < 100);
	passes(5);
	assert_int_equal(e.handled, 100);
	assert_int_equal(e.last_id, 99);
}

static void
test_a_long_random_talk_arrives_as_sent(void **state)
{
	static uint8_t data[IPC_MAX];
	uint32_t seed = 1;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		size_t n = sequence(&seed, data);

		assert_int_equal(ipc_plain_send(e.peer, SEQUENCE, i, data, n, NULL, 0), 0);
		passes(1);
	}
	passes(2);
	assert_int_equal(e.handled, 3000);
	assert_int_equal(e.gone, 0);
}

/* The blocking half, for tools. */

static void
test_plain_recv_has_a_deadline(void **state)
{
	static uint8_t buf[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;
	uint64_t start = clock_boot_ns();

	(void)state;
	/* Our own hello is there, and is not a message. */
	assert_int_equal(ipc_plain_recv(e.peer, buf, &msg, 30), -ETIMEDOUT);
	assert_true(clock_boot_ns() - start >= 30 * CLOCK_NS_PER_MS);
	assert_int_equal(ipc_plain_recv(e.peer, buf, &msg, -1), -ETIMEDOUT);
}

static void
test_a_wiped_payload_is_gone_where_it_was(void **state)
{
	static const uint8_t zeros[6];
	uint8_t data[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;
	int fds[2];

	(void)state;
	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_send(fds[0], 5, 6, "secret", 6, NULL, 0), 0);
	assert_int_equal(ipc_plain_recv(fds[1], data, &msg, 1000), 0);
	assert_memory_equal(msg.data, "secret", 6);
	ipc_msg_wipe(&msg);
	assert_memory_equal(data + IPC_HEADER, zeros, 6);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

static void
test_plain_recv_refuses_what_the_loop_refuses(void **state)
{
	static const uint8_t head[IPC_HEADER] = { 0, 0, 0, 0, 0, WORD, 0, 1 };
	static uint8_t buf[IPC_HEADER + IPC_MAX];
	struct ipc_msg msg;
	int fds[2], keep = e.peer;

	(void)state;
	assert_int_equal(ipc_pair(fds), 0);
	e.peer = fds[1];
	send_raw(head, sizeof(head), 0);
	assert_int_equal(ipc_plain_recv(fds[0], buf, &msg, 1000), ERR_FORMAT);
	send_raw(head, sizeof(head), 5);
	assert_int_equal(ipc_plain_recv(fds[0], buf, &msg, 1000), ERR_FORMAT);
	assert_int_equal(ipc_plain_send(fds[1], IPC_HELLO, 0, "other", 5, &keep, 1), 0);
	assert_int_equal(ipc_plain_recv(fds[0], buf, &msg, 1000), ERR_VERSION);
	assert_int_equal(ipc_plain_send(fds[1], WORD, 7, "x", 1, &keep, 1), 0);
	assert_int_equal(ipc_plain_recv(fds[0], buf, &msg, 1000), 0);
	assert_true(msg.id == 7 && msg.type == WORD && msg.len == 1 && msg.n_fds == 1);
	ipc_msg_close(&msg);
	ipc_msg_close(&msg);
	(void)close(fds[1]);
	assert_int_equal(ipc_plain_recv(fds[0], buf, &msg, 1000), ERR_PEER_GONE);
	assert_int_equal(ipc_plain_send(fds[0], WORD, 7, "x", 1, NULL, 0), ERR_PEER_GONE);
	(void)close(fds[0]);
	e.peer = keep;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_fits_no_row_ends_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_every_short_head_ends_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_empty_packet_ends_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_without_hello_nothing_is_heard, setup_silent, teardown),
		cmocka_unit_test_setup_teardown(
		    test_another_build_is_refused, setup_silent, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_handler_that_refuses_ends_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states_open_and_close_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_edges_of_length_are_legal, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_descriptors_go_where_they_are_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_inside_its_handler, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_when_told_of_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_slow_peer_gets_all_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_queue_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_queued_descriptors_are_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_with_a_full_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_freed_when_the_queue_is_empty_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_holds_messages_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_one_busy_peer_does_not_hold_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_long_random_talk_arrives_as_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_recv_has_a_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_plain_recv_refuses_what_the_loop_refuses, setup, teardown),
		cmocka_unit_test(test_a_wiped_payload_is_gone_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
