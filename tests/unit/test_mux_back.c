/* The channel engine on the target's side: what waits for the target, what overtakes, what a target may not do. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/mux_rig.h"

#define OK(x) assert_int_equal(x, 0)
#define WINDOW 2097152u
#define PACKET 32768u
#define S CLOCK_NS_PER_S

static void
fresh(struct rig *g)
{
	rig_init(g, MUX_BACK, 10);
}

static void
running(struct rig *g)
{
	fresh(g);
	rig_session(g, 1);
}

static void
confirm(struct rig *g, uint32_t id, uint32_t window)
{
	OK(rig_ssh(g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, id, 9u, window, PACKET));
}

/* Opening. */

static void
test_a_session_is_opened_at_the_target(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	rig_want_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 1u, LINK_CREDIT, PACKET);
	rig_want_quiet(&g);
	confirm(&g, 1, WINDOW);
	rig_want_link(&g, LINK_OPEN_OK, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_everything_waits_for_the_confirmation(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	rig_log_clear(&g.ssh);
	OK(rig_link(&g, LINK_REQUEST, 1, "usbs", 1u, "env", 0, "A"));
	OK(rig_link(&g, LINK_DATA, 1, "r", "in"));
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 2u, "shell", 1));
	OK(rig_link(&g, LINK_WINDOW, 1, "u", 7u));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	rig_want_quiet(&g);
	confirm(&g, 1, WINDOW);
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 9u, 7u);
	rig_want_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 9u, "env", 0, "A");
	rig_want_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 9u, "shell", 1);
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "in");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 9u);
	rig_want_link(&g, LINK_OPEN_OK, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_refusal_crosses_with_its_reason(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	OK(rig_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 1u, 4u, "no more", "en"));
	rig_want_link(&g, LINK_OPEN_FAIL, 1, "us", 4u, "no more");
	assert_int_equal(mux_channels(g.mux), 0);
	/* Frames that were on their way. */
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 1));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_log_clear(&g.ssh);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_channel_is_confirmed_or_refused_once(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	assert_int_equal(
	    rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 1u, 9u, 1u, 1u), ERR_ORDER);
	assert_int_equal(rig_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 1u, 1u, "", ""), ERR_ORDER);
	rig_done(&g);
}

static void
test_nothing_counts_before_the_confirmation(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	for (uint8_t type = SSH_CHANNEL_WINDOW_ADJUST; type <= SSH_CHANNEL_FAILURE; type++)
		assert_int_equal(rig_ssh(&g, "bu", type, 1u), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_confirmation_that_can_carry_nothing_is_closed(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 1u, 9u, 100u, 0u));
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_OPEN_FAIL);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_what_the_link_opens_is_checked(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	rig_init(&g, MUX_BACK, 1);
	rig_session(&g, 1);
	assert_int_equal(rig_link(&g, LINK_OPEN, 1, "s", "session"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_OPEN, LINK_FROM_BACK, "s", "session"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_OPEN, 2, "b", 1), ERR_FORMAT);
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_OPEN, 2, "ss", "direct-tcpip", "h"));
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "direct-tcpip", "malformed");
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_OPEN_FAIL);
	OK(rig_link(&g, LINK_OPEN, 3, "s", "session"));
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_OPEN_FAIL);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_target_opens_nothing(void **state)
{
	static const char *const types[] = { "auth-agent@openssh.com", "x11", "forwarded-tcpip",
		"session", "forwarded-streamlocal@openssh.com" };
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, types[i], 5u, WINDOW, PACKET));
		assert_true(rig_take(&g.ssh, &it));
		assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
		assert_true(rig_take(&g.link, &it));
		assert_int_equal(it.type, LINK_NOTE);
	}
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 1);
	rig_done(&g);
}

/* Towards the target. */

static void
test_data_waits_for_the_program(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, WINDOW);
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "early"));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_link(&g, LINK_REQUEST, 1, "usbs", 1u, "env", 0, "A"));
	rig_want_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 9u, "env", 0, "A");
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_REQUEST, 1, "usbs", 2u, "subsystem", 0, "sftp"));
	rig_want_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 9u, "subsystem", 0, "sftp");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "early");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_without_a_program_goes_nowhere_when_the_channel_closes(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, WINDOW);
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "early"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_close_before_the_confirmation_is_sent_after_it(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	OK(rig_link(&g, LINK_REQUEST, 1, "usbs", 1u, "exec", 1, "x"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_log_clear(&g.ssh);
	confirm(&g, 1, WINDOW);
	rig_want_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 9u, "exec", 1, "x");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	rig_want_link(&g, LINK_OPEN_OK, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_request_overtakes_data_that_the_target_does_not_take(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, 0);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 0));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "stuck"));
	OK(rig_link(&g, LINK_REQUEST, 1, "usbuuuu", 2u, "window-change", 0, 1u, 2u, 3u, 4u));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_link(&g, LINK_REQUEST, 1, "usbs", 3u, "signal", 0, "INT"));
	rig_want_ssh(&g, "busbuuuu", SSH_CHANNEL_REQUEST, 9u, "window-change", 0, 1u, 2u, 3u, 4u);
	rig_want_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 9u, "signal", 0, "INT");
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 3u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "stu");
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 3u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "ck");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_then_close_loses_nothing(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, 2);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 0));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abcd"));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "ab");
	rig_want_quiet(&g);
	OK(mux_expire(g.mux, S, S));
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 9u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "cd");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 9u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_target_that_takes_nothing_is_closed_in_the_end(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, 0);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 0));
	OK(mux_expire(g.mux, S, S));
	OK(mux_expire(g.mux, 2 * S, S));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abcd"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	OK(mux_expire(g.mux, 3 * S - 1, S));
	rig_want_quiet(&g);
	OK(mux_expire(g.mux, 3 * S, S));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_target_that_never_closes_does_not_hold_the_client(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, 10);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(mux_expire(g.mux, S, 3 * S));
	OK(mux_expire(g.mux, 2 * S, 3 * S));
	rig_want_quiet(&g);
	OK(mux_expire(g.mux, 4 * S, 3 * S));
	rig_want_link(&g, LINK_NOTE, 1, "bu", LINK_NOTE_UNCLOSED, 3u);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	/* Nothing follows CLOSE on the link, whatever the target says; its own CLOSE frees the number. */
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "late"));
	OK(rig_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, 1u));
	OK(mux_expire(g.mux, 9 * S, 3 * S));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* Nor one that does not even answer the open. */
static void
test_a_target_that_never_opens_does_not_hold_the_client(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(mux_expire(g.mux, S, 3 * S));
	OK(mux_expire(g.mux, 4 * S, 3 * S));
	rig_want_link(&g, LINK_NOTE, 1, "bu", LINK_NOTE_UNCLOSED, 3u);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	/* When it comes at last, it is closed at once. */
	confirm(&g, 1, 10);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* A frame of n bytes: a request's head, then filling; or filling alone. */
static int
piece(struct rig *g, uint16_t type, size_t n, size_t whole)
{
	static uint8_t data[LINK_REQUEST_PART + 1];

	memset(data, 'x', sizeof(data));
	if (type == LINK_REQUEST) {
		memcpy(data, "\0\0\0\1\0\0\0\4exec\1", 13);
		wr_u32(data + 13, (uint32_t)(whole - 17));
	}
	return mux_frame(g->mux, type, 1, data, n);
}

static void
open_at(struct rig *g)
{
	fresh(g);
	OK(rig_link(g, LINK_OPEN, 1, "s", "session"));
	confirm(g, 1, WINDOW);
	rig_log_clear(&g->ssh);
	rig_log_clear(&g->link);
}

static void
test_a_long_request_reaches_the_target_whole(void **state)
{
	static const size_t lens[] = { LINK_REQUEST_PART, LINK_REQUEST_PART + 1,
		2 * LINK_REQUEST_PART, LINK_REQUEST_MAX };
	struct rig_item it;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t left = lens[i], n = LINK_REQUEST_PART;

		open_at(&g);
		for (uint16_t type = LINK_REQUEST; n == LINK_REQUEST_PART; type = LINK_MORE) {
			assert_false(rig_take(&g.ssh, &it));
			n = left < LINK_REQUEST_PART ? left : LINK_REQUEST_PART;
			OK(piece(&g, type, n, lens[i]));
			left -= n;
			OK(mux_pump(g.mux));
		}
		assert_true(rig_take(&g.ssh, &it));
		/* Type and channel in place of the number. */
		assert_int_equal(it.len, lens[i] + 1);
		assert_memory_equal(it.data, "\142\0\0\0\11\0\0\0\4exec\1", 14);
		for (size_t k = 18; k < it.len; k++)
			assert_int_equal(it.data[k], 'x');
		OK(rig_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 1u));
		rig_want_link(&g, LINK_REPLY, 1, "ub", 1u, 1);
		rig_done(&g);
	}
}

static void
test_nothing_comes_inside_a_long_request(void **state)
{
	struct rig g;

	(void)state;
	open_at(&g);
	OK(piece(&g, LINK_REQUEST, LINK_REQUEST_PART, 70000));
	assert_int_equal(rig_link(&g, LINK_DATA, 1, "r", "a"), ERR_ORDER);
	rig_done(&g);
	open_at(&g);
	OK(piece(&g, LINK_REQUEST, LINK_REQUEST_PART, 70000));
	assert_int_equal(rig_link(&g, LINK_MORE, 2, "r", "a"), ERR_ORDER);
	rig_done(&g);
	open_at(&g);
	OK(piece(&g, LINK_REQUEST, LINK_REQUEST_PART, 70000));
	assert_int_equal(piece(&g, LINK_REQUEST, LINK_REQUEST_PART, 70000), ERR_ORDER);
	rig_done(&g);
	open_at(&g);
	assert_int_equal(rig_link(&g, LINK_MORE, 1, "r", "a"), ERR_ORDER);
	rig_done(&g);
	open_at(&g);
	OK(piece(&g, LINK_REQUEST, LINK_REQUEST_PART, LINK_REQUEST_MAX + 1));
	for (size_t n = 2; n * LINK_REQUEST_PART <= LINK_REQUEST_MAX; n++)
		OK(piece(&g, LINK_MORE, LINK_REQUEST_PART, 0));
	assert_int_equal(piece(&g, LINK_MORE, LINK_REQUEST_PART, 0), ERR_LIMIT);
	rig_done(&g);
}

static void
test_requests_that_wait_are_bounded_in_bytes(void **state)
{
	struct rig g;
	int r = 0, n = 0;

	(void)state;
	open_at(&g);
	g.backlog = MUX_BACKLOG; /* the target reads nothing */
	for (uint32_t i = 1; r == 0 && i < 1000; i++, n++) {
		static uint8_t data[60000];

		memcpy(data, "\0\0\0\0\0\0\0\3env\0", 12);
		wr_u32(data, i);
		r = mux_frame(g.mux, LINK_REQUEST, 1, data, sizeof(data));
	}
	assert_int_equal(r, ERR_LIMIT);
	assert_in_range(n, 60, 80); /* 4 MiB of them */
	rig_done(&g);
}

static void
test_a_client_has_no_exit_status_nor_second_stream(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	assert_int_equal(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 1u), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_EXIT_SIGNAL, 1, "sbss", "X", 0, "", ""), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_DATA_EXT, 1, "ur", 1u, "x"), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_OPEN_OK, 1, ""), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_OPEN_FAIL, 1, "us", 1u, ""), ERR_ORDER);
	rig_done(&g);
}

static void
test_requests_that_wait_have_a_limit(void **state)
{
	struct rig g;
	int r = 0;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	for (uint32_t i = 1; i < 2000 && r == 0; i++)
		r = rig_link(&g, LINK_REQUEST, 1, "usb", i, "x", 0);
	assert_int_equal(r, ERR_LIMIT);
	rig_done(&g);
}

/* From the target. */

static void
test_replies_carry_the_number_of_their_request(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 4u, "a", 1));
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 5u, "b", 0));
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 9u, "c", 1));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 1u));
	rig_want_link(&g, LINK_REPLY, 1, "ub", 4u, 0);
	rig_want_link(&g, LINK_REPLY, 1, "ub", 9u, 1);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_status_eof_close_keep_the_targets_order(void **state)
{
	struct rig g;
	size_t len;
	const uint8_t *p;
	static const uint8_t types[] = { SSH_CHANNEL_EOF, SSH_CHANNEL_CLOSE };

	(void)state;
	running(&g);
	/* All in one pass, so that joining has its chance to go wrong. */
	p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 1u, "out");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, SSH_STDERR, "err");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, SSH_STDERR, "or");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "busbu", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, 7u);
	OK(mux_message(g.mux, p, len));
	for (size_t i = 0; i < sizeof(types); i++) {
		p = rig_bytes(&len, "bu", types[i], 1u);
		OK(mux_message(g.mux, p, len));
	}
	rig_want_link(&g, LINK_DATA, 1, "r", "out");
	rig_want_link(&g, LINK_DATA_EXT, 1, "ur", SSH_STDERR, "error");
	rig_want_link(&g, LINK_EXIT_STATUS, 1, "u", 7u);
	rig_want_link(&g, LINK_EOF, 1, "");
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	/* The target's CLOSE is answered when the client's comes. */
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_large_stderr_keeps_its_code(void **state)
{
	static char big[50001];
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	memset(big, 'e', sizeof(big) - 1);
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, SSH_STDERR, big));
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_DATA_EXT);
	assert_int_equal(it.len, 4 + LINK_DATA_MAX);
	assert_memory_equal(it.data, "\0\0\0\1ee", 6);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_DATA_EXT);
	assert_int_equal(it.len, 4 + 50000 - LINK_DATA_MAX);
	assert_memory_equal(it.data, "\0\0\0\1ee", 6);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_an_exit_signal_has_its_own_frame(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "busbsbss", SSH_CHANNEL_REQUEST, 1u, "exit-signal", 0, "TERM", 1, "m", "l"));
	rig_want_link(&g, LINK_EXIT_SIGNAL, 1, "sbss", "TERM", 1, "m", "l");
	rig_want_quiet(&g);
	assert_int_equal(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, ""), 0);
	rig_want_link(&g, LINK_EXIT_STATUS, 1, "u", 0u);
	assert_int_equal(
	    rig_ssh(&g, "busbub", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, 1u, 0), ERR_FORMAT);
	assert_int_equal(
	    rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exit-signal", 0, "X"), ERR_FORMAT);
	rig_done(&g);
}

static void
test_an_exit_status_after_the_client_closed_still_crosses(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 9u);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "nobody reads this"));
	OK(rig_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 1u, "exit-status", 0, 7u));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "eow@openssh.com", 0));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_link(&g, LINK_EXIT_STATUS, 1, "u", 7u);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_what_the_owner_refuses_is_answered_ahead_of_data(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_link(&g, LINK_OPEN, 1, "s", "session"));
	confirm(&g, 1, 0);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 0));
	OK(rig_link(&g, LINK_DATA, 1, "r", "stuck"));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "keepalive@openssh.com", 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_request_of_the_target_crosses_and_is_answered(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "eow@openssh.com", 1));
	rig_want_link(&g, LINK_REQUEST, 1, "usb", 1u, "eow@openssh.com", 1);
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 1u, 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 9u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_of_an_unknown_kind_is_dropped_and_its_window_returned(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, 2u, "four"));
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, 0u, "two"));
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 9u, 4u);
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 9u, 3u);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_NOTE);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_target_may_not_exceed_its_window(void **state)
{
	static char big[100001];
	struct rig g;
	size_t n = 0;
	int r = 0;

	(void)state;
	running(&g);
	memset(big, 'x', sizeof(big) - 1);
	for (; r == 0; n += sizeof(big) - 1)
		r = rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, big);
	assert_int_equal(r, ERR_LIMIT);
	assert_in_range(n, LINK_CREDIT + MUX_SLACK, LINK_CREDIT + MUX_SLACK + 2 * sizeof(big));
	rig_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_is_opened_at_the_target),
		cmocka_unit_test(test_everything_waits_for_the_confirmation),
		cmocka_unit_test(test_a_refusal_crosses_with_its_reason),
		cmocka_unit_test(test_a_channel_is_confirmed_or_refused_once),
		cmocka_unit_test(test_nothing_counts_before_the_confirmation),
		cmocka_unit_test(test_a_confirmation_that_can_carry_nothing_is_closed),
		cmocka_unit_test(test_what_the_link_opens_is_checked),
		cmocka_unit_test(test_a_target_opens_nothing),
		cmocka_unit_test(test_data_waits_for_the_program),
		cmocka_unit_test(test_data_without_a_program_goes_nowhere_when_the_channel_closes),
		cmocka_unit_test(test_a_close_before_the_confirmation_is_sent_after_it),
		cmocka_unit_test(test_a_request_overtakes_data_that_the_target_does_not_take),
		cmocka_unit_test(test_data_then_close_loses_nothing),
		cmocka_unit_test(test_a_target_that_takes_nothing_is_closed_in_the_end),
		cmocka_unit_test(test_a_long_request_reaches_the_target_whole),
		cmocka_unit_test(test_nothing_comes_inside_a_long_request),
		cmocka_unit_test(test_requests_that_wait_are_bounded_in_bytes),
		cmocka_unit_test(test_a_target_that_never_closes_does_not_hold_the_client),
		cmocka_unit_test(test_a_target_that_never_opens_does_not_hold_the_client),
		cmocka_unit_test(test_a_client_has_no_exit_status_nor_second_stream),
		cmocka_unit_test(test_requests_that_wait_have_a_limit),
		cmocka_unit_test(test_replies_carry_the_number_of_their_request),
		cmocka_unit_test(test_data_status_eof_close_keep_the_targets_order),
		cmocka_unit_test(test_large_stderr_keeps_its_code),
		cmocka_unit_test(test_an_exit_signal_has_its_own_frame),
		cmocka_unit_test(test_an_exit_status_after_the_client_closed_still_crosses),
		cmocka_unit_test(test_what_the_owner_refuses_is_answered_ahead_of_data),
		cmocka_unit_test(test_a_request_of_the_target_crosses_and_is_answered),
		cmocka_unit_test(test_data_of_an_unknown_kind_is_dropped_and_its_window_returned),
		cmocka_unit_test(test_a_target_may_not_exceed_its_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
