/* What a peer sent before it closed is never lost: the last words of a session come this way. */
#include "config.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/ipc.h"

struct end {
	struct loop *loop;
	struct ipc *ipc;
	int peer; /* driven by hand */
	unsigned got, gone, drained;
	int gone_err;
	bool pause_next;
};

static int
on_word(void *arg, struct ipc_msg *msg)
{
	struct end *e = arg;

	assert_int_equal(msg->id, ++e->got);
	if (e->pause_next)
		assert_int_equal(ipc_pause(e->ipc, true), 0);
	e->pause_next = false;
	return 0;
}

static void
on_gone(void *arg, int err)
{
	struct end *e = arg;

	e->gone++;
	e->gone_err = err;
}

static void
on_drained(void *arg)
{
	((struct end *)arg)->drained++;
}

static const struct ipc_rule rules[] = {
	{ 1, "word", 0, IPC_MAX, 0, IPC_ANY_STATE, on_word },
};

static int
setup(void **state)
{
	struct end *e = calloc(1, sizeof(*e));
	struct ipc_conf conf = { .name = "test",
		.rules = rules,
		.n_rules = 1,
		.arg = e,
		.gone = on_gone,
		.drained = on_drained };
	int fds[2];

	assert_non_null(e);
	assert_int_equal(loop_new(&e->loop), 0);
	assert_int_equal(ipc_pair(fds), 0);
	e->peer = fds[1];
	assert_int_equal(ipc_new(e->loop, fds[0], &conf, &e->ipc), 0);
	assert_int_equal(ipc_plain_hello(e->peer), 0);
	*state = e;
	return 0;
}

static int
teardown(void **state)
{
	struct end *e = *state;

	ipc_free(e->ipc);
	loop_free(e->loop);
	if (e->peer >= 0)
		close(e->peer);
	free(e);
	return 0;
}

/* Words 1..n, then the peer is gone with our own message unread. */
static void
speak_and_close(struct end *e, uint32_t n)
{
	for (uint32_t i = 1; i <= n; i++)
		assert_int_equal(ipc_plain_send(e->peer, 1, i, "x", 1, NULL, 0), 0);
	close(e->peer);
	e->peer = -1;
}

static void
run_until_gone(struct end *e)
{
	uint64_t until = clock_boot_ns() + 5 * CLOCK_NS_PER_S;

	while (e->gone == 0 && clock_boot_ns() < until)
		assert_int_equal(loop_pass(e->loop, CLOCK_NS_PER_MS), 0);
	assert_int_equal(e->gone, 1);
}

static void
test_last_words_survive_a_close_with_unread_messages(void **state)
{
	struct end *e = *state;

	assert_int_equal(ipc_send(e->ipc, 1, 7, "unread", 6), 0);
	speak_and_close(e, 40);
	run_until_gone(e);
	assert_int_equal(e->got, 40);
	assert_int_equal(e->gone_err, ERR_PEER_GONE);
}

static void
test_last_words_survive_our_own_failed_send(void **state)
{
	struct end *e = *state;

	speak_and_close(e, 3);
	assert_int_equal(ipc_send(e->ipc, 1, 7, "late", 4), ERR_PEER_GONE);
	assert_int_equal(ipc_send(e->ipc, 1, 7, "late", 4), ERR_PEER_GONE);
	run_until_gone(e);
	assert_int_equal(e->got, 3);
}

static void
test_last_words_survive_a_pause(void **state)
{
	struct end *e = *state;

	e->pause_next = true;
	speak_and_close(e, 5);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_pass(e->loop, 0), 0);
	assert_int_equal(e->got, 1);
	assert_int_equal(e->gone, 0);
	assert_int_equal(ipc_pause(e->ipc, false), 0);
	run_until_gone(e);
	assert_int_equal(e->got, 5);
}

static void
test_a_closed_peer_of_a_paused_edge_does_not_spin(void **state)
{
	struct end *e = *state;
	uint64_t from;

	assert_int_equal(ipc_pause(e->ipc, true), 0);
	speak_and_close(e, 1);
	assert_int_equal(loop_pass(e->loop, 0), 0);
	from = clock_boot_ns();
	assert_int_equal(loop_pass(e->loop, 20 * CLOCK_NS_PER_MS), 0);
	assert_true(clock_boot_ns() - from >= 19 * CLOCK_NS_PER_MS);
	assert_int_equal(e->got, 0);
}

static void
test_a_full_queue_to_a_closed_peer_is_given_up_as_drained(void **state)
{
	struct end *e = *state;
	static uint8_t big[IPC_MAX];

	assert_int_equal(ipc_pause(e->ipc, true), 0);
	while (ipc_queued(e->ipc) < 3)
		assert_int_equal(ipc_send(e->ipc, 1, 1, big, sizeof(big)), 0);
	close(e->peer);
	e->peer = -1;
	for (int i = 0; i < 20 && e->drained == 0; i++)
		assert_int_equal(loop_pass(e->loop, CLOCK_NS_PER_MS), 0);
	assert_int_equal(e->drained, 1);
	assert_int_equal(ipc_queued(e->ipc), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_last_words_survive_a_close_with_unread_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_last_words_survive_our_own_failed_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words_survive_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_closed_peer_of_a_paused_edge_does_not_spin, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_full_queue_to_a_closed_peer_is_given_up_as_drained, setup, teardown),
	};

	return cmocka_run_group_tests_name("ipc_gone", tests, NULL, NULL);
}
