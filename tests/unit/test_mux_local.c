/* Local channels: nothing of them touches the link, and both of their windows hold. */
#include "config.h"

#include "tests/lib/test.h"
#include "tests/unit/mux_rig.h"

#define OK(x) assert_int_equal(x, 0)
#define PACKET 32768u

/* What the owner has heard. */
static struct {
	size_t n_data, bytes, n_eof, n_closed, n_room;
	uint32_t id;
	int result;
} heard;

static int
on_data(void *arg, uint32_t id, struct rd_str data)
{
	(void)arg;
	heard.n_data++;
	heard.bytes += data.len;
	heard.id = id;
	return heard.result;
}

static int
on_eof(void *arg, uint32_t id)
{
	(void)arg;
	heard.n_eof++;
	heard.id = id;
	return heard.result;
}

static void
on_closed(void *arg, uint32_t id)
{
	(void)arg;
	heard.n_closed++;
	heard.id = id;
}

static void
on_room(void *arg, uint32_t id)
{
	(void)arg;
	heard.n_room++;
	heard.id = id;
}

static const struct mux_local_ops ops = {
	.data = on_data,
	.eof = on_eof,
	.closed = on_closed,
	.room = on_room,
};

static void
fresh(struct rig *g)
{
	rig_init(g, MUX_FRONT, 2);
	mux_set_local(g->mux, &ops, NULL);
	memset(&heard, 0, sizeof(heard));
}

static int
ask(struct rig *g, uint32_t peer, uint32_t window)
{
	return rig_ssh(g, "bsuuusu", SSH_CHANNEL_OPEN, "local", peer, window, PACKET, "h", 22u);
}

/* Channel 1, the client's 5, is open with this window; nothing is left in the logs. */
static void
opened(struct rig *g, uint32_t window)
{
	fresh(g);
	OK(ask(g, 5, window));
	rig_want_quiet(g);
	OK(mux_local_confirm(g->mux, 1));
	rig_want_ssh(g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 5u, 1u, MUX_LOCAL_WINDOW, PACKET);
	rig_want_quiet(g);
}

static void
test_an_open_waits_for_the_owner(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(ask(&g, 5, 1000));
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 1);
	assert_int_equal(mux_locals(g.mux), 1);
	/* The owner may say nothing yet, nor may the client. */
	assert_int_equal(mux_local_room(g.mux, 1), 0);
	assert_int_equal(mux_local_data(g.mux, 1, "x", 1), ERR_ORDER);
	assert_int_equal(mux_local_eof(g.mux, 1), ERR_ORDER);
	assert_int_equal(mux_local_close(g.mux, 1), ERR_ORDER);
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"), ERR_ORDER);
	assert_int_equal(heard.n_data, 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_refusal_has_the_owners_words_in_plain(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(ask(&g, 5, 1000));
	OK(mux_local_refuse(g.mux, 1, SSH_OPEN_PROHIBITED, "not \033[31mthere"));
	rig_want_ssh(
	    &g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, SSH_OPEN_PROHIBITED, "not ?[31mthere", "");
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	assert_int_equal(heard.n_closed, 0);
	assert_int_equal(mux_local_refuse(g.mux, 1, SSH_OPEN_PROHIBITED, "again"), ERR_ORDER);
	assert_int_equal(mux_local_confirm(g.mux, 1), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_channel_of_the_link_is_not_the_owners(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	rig_session(&g, 1);
	assert_int_equal(mux_local_confirm(g.mux, 1), ERR_ORDER);
	assert_int_equal(mux_local_data(g.mux, 1, "x", 1), ERR_ORDER);
	assert_int_equal(mux_local_took(g.mux, 1, 1), ERR_ORDER);
	assert_int_equal(mux_local_close(g.mux, 1), ERR_ORDER);
	assert_int_equal(mux_locals(g.mux), 0);
	rig_done(&g);
}

static void
test_the_link_cannot_speak_of_it(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 1000);
	assert_int_equal(rig_link(&g, LINK_OPEN_OK, 1, ""), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_DATA, 1, "r", "x"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_CLOSE, 1, ""), ERR_ORDER);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_bytes_go_both_ways_and_never_to_the_link(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 1000);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "to the owner"));
	assert_int_equal(heard.bytes, 12);
	assert_int_equal(heard.id, 1);
	OK(mux_local_data(g.mux, 1, "back", 4));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "back");
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "keepalive@openssh.com", 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 5u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_the_clients_window_grows_as_the_owner_takes(void **state)
{
	static char big[32769];
	struct rig g;

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	opened(&g, 1000);
	for (uint32_t n = 0; n < MUX_LOCAL_WINDOW; n += 32768)
		OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, big));
	rig_want_quiet(&g);
	OK(mux_local_took(g.mux, 1, MUX_LOCAL_STEP - 1));
	rig_want_quiet(&g);
	OK(mux_local_took(g.mux, 1, 1));
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 5u, MUX_LOCAL_STEP);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_client_that_ignores_its_window_is_cut_off(void **state)
{
	static char big[32769];
	struct rig g;
	int r = 0;

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	opened(&g, 1000);
	for (int i = 0; i < 68 && r == 0; i++)
		r = rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, big);
	assert_int_equal(r, ERR_LIMIT);
	assert_true(heard.bytes <= MUX_LOCAL_WINDOW + MUX_SLACK);
	rig_done(&g);
}

static void
test_the_owner_waits_for_the_clients_window(void **state)
{
	static char big[MUX_LOCAL_QUEUE];
	struct rig g;

	(void)state;
	memset(big, 'b', sizeof(big));
	opened(&g, 10);
	assert_int_equal(mux_local_room(g.mux, 1), MUX_LOCAL_QUEUE);
	OK(mux_local_data(g.mux, 1, big, sizeof(big)));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "bbbbbbbbbb");
	assert_int_equal(mux_local_room(g.mux, 1), 10);
	OK(mux_local_data(g.mux, 1, big, 10));
	assert_int_equal(mux_local_room(g.mux, 1), 0);
	assert_int_equal(heard.n_room, 0);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 1000u));
	assert_int_equal(heard.n_room, 0);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, MUX_LOCAL_QUEUE));
	assert_int_equal(heard.n_room, 1);
	assert_int_equal(mux_local_room(g.mux, 1), MUX_LOCAL_QUEUE);
	rig_done(&g);
}

static void
test_eof_and_close_of_the_owner_come_after_its_data(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 2);
	OK(mux_local_data(g.mux, 1, "four", 4));
	OK(mux_local_eof(g.mux, 1));
	assert_int_equal(mux_local_eof(g.mux, 1), ERR_ORDER);
	assert_int_equal(mux_local_data(g.mux, 1, "more", 4), ERR_ORDER);
	OK(mux_local_close(g.mux, 1));
	assert_int_equal(mux_local_close(g.mux, 1), ERR_ORDER);
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "fo");
	rig_want_quiet(&g);
	/* What the client still says is dropped. */
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "late"));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	assert_int_equal(heard.n_data + heard.n_eof, 0);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 10u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "ur");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 5u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 5u);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_quiet(&g);
	assert_int_equal(heard.n_closed, 0);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_a_close_of_the_client_is_answered_and_told(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 2);
	OK(mux_local_data(g.mux, 1, "four", 4));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "fo");
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	assert_int_equal(heard.n_eof, 1);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(heard.n_closed, 1);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 5u);
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	assert_int_equal(mux_local_took(g.mux, 1, 1), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_second_stream_ends_the_channel(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 1000);
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, SSH_STDERR, "x"));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 5u);
	assert_int_equal(heard.n_closed, 1);
	rig_done(&g);
}

static void
test_what_the_owner_answers_breaks_the_connection(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 1000);
	heard.result = -7;
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"), -7);
	assert_int_equal(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u), -7);
	rig_done(&g);
}

static void
test_the_end_of_the_link_does_not_end_it(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 1000);
	OK(mux_finish(g.mux, 254, "no shell"));
	OK(mux_pump(g.mux));
	rig_want_quiet(&g);
	OK(mux_local_data(g.mux, 1, "on", 2));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "on");
	/* A new one may come, too. */
	OK(ask(&g, 6, 1000));
	OK(mux_local_confirm(g.mux, 2));
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 6u, 2u, MUX_LOCAL_WINDOW, PACKET);
	rig_done(&g);
}

static void
test_sessions_and_others_have_limits_of_their_own(void **state)
{
	struct rig_item it;
	struct rig g;

	(void)state;
	fresh(&g);
	for (uint32_t i = 0; i < MUX_FORWARDS_MAX; i++)
		OK(ask(&g, i, 10));
	rig_want_quiet(&g);
	OK(ask(&g, 1000, 10));
	assert_true(rig_take(&g.ssh, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	assert_int_equal(it.data[8], SSH_OPEN_RESOURCE_SHORTAGE);
	for (uint32_t i = 0; i < 2; i++) {
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, 10u, PACKET));
		assert_true(rig_take(&g.ssh, &it));
		assert_int_equal(it.type, SSH_CHANNEL_OPEN_CONFIRMATION);
	}
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, 10u, PACKET));
	assert_true(rig_take(&g.ssh, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	rig_done(&g);
}

static void
test_a_slow_one_does_not_hold_up_another(void **state)
{
	struct rig g;

	(void)state;
	opened(&g, 0);
	OK(ask(&g, 6, 1000));
	OK(mux_local_confirm(g.mux, 2));
	rig_log_clear(&g.ssh);
	OK(mux_local_data(g.mux, 1, "slow", 4));
	OK(mux_local_data(g.mux, 2, "quick", 5));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 6u, "quick");
	rig_want_quiet(&g);
	rig_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_open_waits_for_the_owner),
		cmocka_unit_test(test_a_refusal_has_the_owners_words_in_plain),
		cmocka_unit_test(test_a_channel_of_the_link_is_not_the_owners),
		cmocka_unit_test(test_the_link_cannot_speak_of_it),
		cmocka_unit_test(test_bytes_go_both_ways_and_never_to_the_link),
		cmocka_unit_test(test_the_clients_window_grows_as_the_owner_takes),
		cmocka_unit_test(test_a_client_that_ignores_its_window_is_cut_off),
		cmocka_unit_test(test_the_owner_waits_for_the_clients_window),
		cmocka_unit_test(test_eof_and_close_of_the_owner_come_after_its_data),
		cmocka_unit_test(test_a_close_of_the_client_is_answered_and_told),
		cmocka_unit_test(test_a_second_stream_ends_the_channel),
		cmocka_unit_test(test_what_the_owner_answers_breaks_the_connection),
		cmocka_unit_test(test_the_end_of_the_link_does_not_end_it),
		cmocka_unit_test(test_sessions_and_others_have_limits_of_their_own),
		cmocka_unit_test(test_a_slow_one_does_not_hold_up_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
