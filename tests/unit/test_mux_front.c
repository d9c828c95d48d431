/* The channel engine on the client's side: what a client may say when, and what reaches it in which order. */
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

static char *
filled(char c, size_t n)
{
	static char text[300001];

	memset(text, c, n);
	text[n] = '\0';
	return text;
}

static void
open_one(struct rig *g)
{
	OK(rig_ssh(g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, WINDOW, PACKET));
}

static void
fresh(struct rig *g)
{
	rig_init(g, MUX_FRONT, 10);
}

static void
running(struct rig *g)
{
	fresh(g);
	rig_session(g, 1);
}

/* Opening. */

static void
test_a_session_is_confirmed_at_once_with_a_small_window(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	open_one(&g);
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 1u, MUX_WINDOW_EARLY, PACKET);
	rig_want_link(&g, LINK_OPEN, 1, "s", "session");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_ready_opens_the_window_to_what_the_other_end_takes(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	open_one(&g);
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(mux_ready(g.mux));
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 7u, LINK_CREDIT - MUX_WINDOW_EARLY);
	open_one(&g);
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 2u, LINK_CREDIT, PACKET);
	rig_done(&g);
}

static void
test_another_type_is_refused_and_noted(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "tun@openssh.com", 3u, WINDOW, PACKET));
	rig_want_ssh(
	    &g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 3u, SSH_OPEN_PROHIBITED, "not here", "");
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "tun@openssh.com", "not here");
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_a_packet_size_of_nothing_is_refused(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	fresh(&g);
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 3u, WINDOW, 0u));
	assert_true(rig_take(&g.ssh, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_the_limit_counts_channels_that_are_open_now(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	rig_init(&g, MUX_FRONT, 2);
	rig_session(&g, 1);
	open_one(&g);
	rig_log_clear(&g.ssh);
	open_one(&g);
	assert_true(rig_take(&g.ssh, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	assert_int_equal(it.data[8], SSH_OPEN_RESOURCE_SHORTAGE);
	/* One ends: its place is free, its number is not used again. */
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_log_clear(&g.ssh);
	open_one(&g);
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 3u, LINK_CREDIT, PACKET);
	rig_done(&g);
}

static void
test_many_channels_are_kept_apart(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, MUX_FRONT, 1000);
	for (uint32_t i = 1; i <= 1000; i++) {
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", i + 5000, WINDOW, PACKET));
		OK(rig_link(&g, LINK_OPEN_OK, i, ""));
	}
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	for (uint32_t i = 1000; i > 7; i -= 7)
		OK(rig_link(&g, LINK_DATA, i, "r", "x"));
	for (uint32_t i = 1000; i > 7; i -= 7)
		rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, i + 5000, "x");
	rig_done(&g);
}

static void
test_a_refusal_by_the_target_is_told_on_stderr_once_a_program_is_asked_for(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	open_one(&g);
	OK(rig_link(&g, LINK_OPEN_FAIL, 1, "us", 4u, "no more"));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd"));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR,
	    "bastiond: the target refused the channel: no more\n");
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 255u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

/* Requests. */

static void
test_a_request_crosses_exactly_as_it_came(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	open_one(&g);
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_ssh(&g, "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 1, "xterm", 80u, 24u, 640u,
	    480u, "\x01\x02\x03"));
	rig_want_link(&g, LINK_REQUEST, 1, "usbsuuuus", 1u, "pty-req", 1, "xterm", 80u, 24u, 640u,
	    480u, "\x01\x02\x03");
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0));
	rig_want_link(&g, LINK_REQUEST, 1, "usb", 2u, "shell", 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* A channel that is open on both sides, with nothing asked yet. */
static void
opened(struct rig *g)
{
	fresh(g);
	open_one(g);
	OK(rig_link(g, LINK_OPEN_OK, 1, ""));
	rig_log_clear(&g->ssh);
	rig_log_clear(&g->link);
}

static void
test_replies_keep_the_order_of_the_requests(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "env", 1, "A"));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	rig_log_clear(&g.link);
	/* The refusal of the second is known first, the third's answer comes next; the first one's releases all. */
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 2u, 1));
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 1u, 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_what_the_owner_refuses_does_not_cross(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 7u);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 0));
	rig_want_quiet(&g);
	g.say = MUX_GRANT;
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_second_program_is_the_owners_to_refuse(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "again"));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_reply_to_nothing_breaks_the_link(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	assert_int_equal(rig_link(&g, LINK_REPLY, 1, "ub", 2u, 1), ERR_ORDER);
	/* nor twice to the same */
	assert_int_equal(rig_link(&g, LINK_REPLY, 1, "ub", 1u, 1), ERR_ORDER);
	/* nor to one that was answered here */
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1));
	assert_int_equal(rig_link(&g, LINK_REPLY, 1, "ub", 0u, 1), ERR_ORDER);
	rig_done(&g);
}

static void
test_unanswered_requests_have_a_limit(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	for (uint32_t i = 0; i < MUX_WAITS_MAX; i++)
		OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "env", 1, "A"));
	assert_int_equal(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "env", 1, "A"), ERR_LIMIT);
	rig_done(&g);
}

static void
test_replies_that_are_not_read_have_a_limit(void **state)
{
	struct rig g;
	int r = 0;

	(void)state;
	opened(&g);
	g.backlog = MUX_BACKLOG;
	for (uint32_t i = 0; i < 2000 && r == 0; i++)
		r = rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1);
	assert_int_equal(r, ERR_LIMIT);
	rig_done(&g);
}

static void
test_a_storm_of_requests_from_one_who_reads_is_answered(void **state)
{
	const uint8_t *p;
	struct rig g;
	size_t len;

	(void)state;
	opened(&g);
	p = rig_bytes(&len, "busb", SSH_CHANNEL_REQUEST, 1u, "keepalive@openssh.com", 1);
	for (uint32_t i = 0; i < 5000; i++) /* in one read: nothing is pumped in between */
		OK(mux_message(g.mux, p, len));
	OK(mux_pump(g.mux));
	for (uint32_t i = 0; i < 5000; i++)
		rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 7u);
	rig_done(&g);
}

/* The frames of a request whose payload is so long in all. */
static void
long_command(size_t whole, size_t frames)
{
	const size_t head = 4 + 8 + 1 + 4; /* number, "exec", want_reply, length */
	size_t done = 0;
	struct rig_item it;
	struct rig g;

	opened(&g);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, filled('x', whole - head)));
	for (size_t i = 0; i < frames; i++) {
		assert_true(rig_take(&g.link, &it));
		assert_int_equal(it.type, i == 0 ? LINK_REQUEST : LINK_MORE);
		assert_int_equal(it.id, 1);
		assert_true(it.len <= LINK_REQUEST_PART);
		assert_int_equal(it.len == LINK_REQUEST_PART, i + 1 < frames);
		for (size_t k = i == 0 ? head : 0; k < it.len; k++)
			if (it.data[k] != 'x')
				fail_msg("byte %zu of frame %zu", k, i);
		done += it.len;
	}
	assert_int_equal(done, whole);
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 1u, 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_done(&g);
}

static void
test_a_long_command_crosses_in_pieces(void **state)
{
	(void)state;
	long_command(LINK_REQUEST_PART - 1, 1);
	long_command(LINK_REQUEST_PART, 2); /* the second is empty */
	long_command(LINK_REQUEST_PART + 1, 2);
	long_command(2 * LINK_REQUEST_PART - 1, 2);
	long_command(2 * LINK_REQUEST_PART, 3);
	long_command(LINK_REQUEST_MAX, 4);
}

static void
test_data_before_a_long_request_stays_before_it(void **state)
{
	struct rig_item it;
	struct rig g;

	(void)state;
	opened(&g);
	OK(mux_message(g.mux, (const uint8_t *)"\136\0\0\0\1\0\0\0\1a", 10));
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, filled('x', 70000)));
	rig_want_link(&g, LINK_DATA, 1, "r", "a");
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_REQUEST);
	rig_done(&g);
}

static void
test_a_command_longer_than_the_limit_is_refused_in_words(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	opened(&g);
	OK(rig_ssh(
	    &g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, filled('x', LINK_REQUEST_MAX - 16)));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR,
	    "bastiond: the command is too long\n");
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 254u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_NOTE);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_long_command_that_fits_crosses_whole(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, filled('x', 64900)));
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_REQUEST);
	assert_int_equal(it.len, 4 + 8 + 1 + 4 + 64900);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* Data, client to link. */

static void
test_small_data_of_one_pass_is_one_frame(void **state)
{
	struct rig g;
	size_t len;
	const uint8_t *p;

	(void)state;
	running(&g);
	for (int i = 0; i < 3; i++) {
		p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 1u, "abc");
		OK(mux_message(g.mux, p, len));
	}
	rig_want_quiet(&g);
	OK(mux_pump(g.mux));
	rig_want_link(&g, LINK_DATA, 1, "r", "abcabcabc");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_joined_data_never_passes_another_frame(void **state)
{
	struct rig g;
	size_t len;
	const uint8_t *p;

	(void)state;
	running(&g);
	rig_session(&g, 2);
	p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 1u, "one");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 2u, "two");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "busbs", SSH_CHANNEL_REQUEST, 2u, "signal", 0, "TERM");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 2u, "three");
	OK(mux_message(g.mux, p, len));
	p = rig_bytes(&len, "bu", SSH_CHANNEL_EOF, 2u);
	OK(mux_message(g.mux, p, len));
	rig_want_link(&g, LINK_DATA, 1, "r", "one");
	rig_want_link(&g, LINK_DATA, 2, "r", "two");
	rig_want_link(&g, LINK_REQUEST, 2, "usbs", 2u, "signal", 0, "TERM");
	rig_want_link(&g, LINK_DATA, 2, "r", "three");
	rig_want_link(&g, LINK_EOF, 2, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_joining_stops_at_a_full_frame(void **state)
{
	struct rig g;
	struct rig_item it;
	size_t len, total = 0;
	const uint8_t *p;

	(void)state;
	running(&g);
	for (int i = 0; i < 10; i++) {
		p = rig_bytes(&len, "bus", SSH_CHANNEL_DATA, 1u, filled('y', 10000));
		OK(mux_message(g.mux, p, len));
	}
	OK(mux_pump(g.mux));
	while (rig_take(&g.link, &it)) {
		assert_int_equal(it.type, LINK_DATA);
		assert_in_range(it.len, 1, LINK_DATA_MAX);
		total += it.len;
	}
	assert_int_equal(total, 100000);
	rig_done(&g);
}

static void
test_data_larger_than_a_frame_is_split(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('z', 70000)));
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.len, LINK_DATA_MAX);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.len, LINK_DATA_MAX);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.len, 70000 - 2 * LINK_DATA_MAX);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_of_no_length_is_no_frame(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, ""));
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_before_any_request_crosses_in_its_place(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "early"));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0));
	rig_want_link(&g, LINK_DATA, 1, "r", "early");
	rig_want_link(&g, LINK_REQUEST, 1, "usb", 1u, "shell", 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_window_may_be_exceeded_a_little_and_no_more(void **state)
{
	struct rig g;
	uint32_t left = LINK_CREDIT;

	(void)state;
	running(&g);
	for (; left > 0; left -= 32768u)
		OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('w', 32768)));
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('w', 32768)));
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('w', 32768)));
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "w"), ERR_LIMIT);
	rig_done(&g);
}

static void
test_the_early_window_is_held_too(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('w', 130000)));
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, filled('w', 2000)), ERR_LIMIT);
	rig_done(&g);
}

static void
test_credit_of_the_link_is_window_for_the_client(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_WINDOW, 1, "u", 600000u));
	rig_want_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 7u, 600000u);
	rig_want_quiet(&g);
	assert_int_equal(rig_link(&g, LINK_WINDOW, 1, "u", 0xffffffffu), ERR_LIMIT);
	rig_done(&g);
}

static void
test_data_after_eof_or_close_is_an_error(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"), ERR_ORDER);
	rig_done(&g);
	running(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_second_stream_of_a_client_closes_its_channel(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, SSH_STDERR, "x"));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_NOTE);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	/* More of it changes nothing, and the channel goes when the client closes. */
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 1u, 2u, "x"));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

/* Data, link to client. */

static void
test_both_streams_reach_the_client_in_their_order(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_DATA, 1, "r", "out"));
	OK(rig_link(&g, LINK_DATA_EXT, 1, "ur", SSH_STDERR, "err"));
	OK(rig_link(&g, LINK_DATA, 1, "r", "more"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "out");
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "err");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "more");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_data_may_come_before_the_reply(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 1, "r", "$ "));
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 1u, 1));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "$ ");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* A client that takes n bytes more, in packets of at most packet bytes. */
static void
narrow(struct rig *g, uint32_t window, uint32_t packet)
{
	fresh(g);
	OK(rig_ssh(g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, window, packet));
	OK(rig_link(g, LINK_OPEN_OK, 1, ""));
	OK(rig_ssh(g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 0, "cmd"));
	rig_log_clear(&g->ssh);
	rig_log_clear(&g->link);
}

static void
test_an_exhausted_window_holds_everything_in_order(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 4, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abcdef"));
	OK(rig_link(&g, LINK_DATA_EXT, 1, "ur", SSH_STDERR, "err"));
	OK(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 3u));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "abcd");
	rig_want_quiet(&g);
	assert_true(mux_waits(g.mux));
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 3u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "ef");
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "e");
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 100u));
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "rr");
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 3u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	assert_false(mux_waits(g.mux));
	rig_done(&g);
}

static void
test_packets_of_one_byte_are_honoured(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 100, 1);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abc"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "a");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "b");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "c");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_window_of_nothing_at_first_is_legal(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 0, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abc"));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 1u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "a");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_window_never_passes_32_bits(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 0xfffffff0u, PACKET);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 15u));
	assert_int_equal(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 1u), ERR_LIMIT);
	rig_done(&g);
}

static void
test_credit_goes_back_in_steps_as_data_leaves(void **state)
{
	struct rig g;
	struct rig_item it;
	struct rd rd;
	uint32_t credit = 0, total = 0;
	size_t n = 0;

	(void)state;
	narrow(&g, 600000, PACKET);
	for (; n + LINK_DATA_MAX < LINK_CREDIT_STEP; n += LINK_DATA_MAX)
		OK(rig_link(&g, LINK_DATA, 1, "r", filled('d', LINK_DATA_MAX)));
	assert_int_equal(g.link.n, 0);
	OK(rig_link(&g, LINK_DATA, 1, "r", filled('d', LINK_DATA_MAX)));
	rig_want_link(&g, LINK_WINDOW, 1, "u", LINK_CREDIT_STEP);
	/* What waits for the client gives none. */
	for (n = 0; n < 2 * LINK_CREDIT_STEP; n += LINK_DATA_MAX)
		OK(rig_link(&g, LINK_DATA, 1, "r", filled('d', LINK_DATA_MAX)));
	rig_log_clear(&g.ssh);
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 2000000u));
	while (rig_take(&g.link, &it)) {
		rd = rd_over(it.data, it.len);
		assert_true(rd_u32(&rd, &credit));
		assert_true(credit >= LINK_CREDIT_STEP);
		total += credit;
	}
	assert_in_range(total, LINK_CREDIT_STEP + 1, 2 * LINK_CREDIT_STEP);
	rig_done(&g);
}

static void
test_the_other_end_may_not_exceed_its_credit(void **state)
{
	struct rig g;
	int r = 0;
	size_t n = 0;

	(void)state;
	narrow(&g, 0, PACKET);
	while (r == 0 && n < 2 * LINK_CREDIT) {
		r = rig_link(&g, LINK_DATA, 1, "r", filled('d', LINK_DATA_MAX));
		n += LINK_DATA_MAX;
	}
	assert_int_equal(r, ERR_LIMIT);
	assert_in_range(n, LINK_CREDIT, LINK_CREDIT + MUX_SLACK + LINK_DATA_MAX);
	rig_done(&g);
}

static void
test_a_full_transport_holds_data_and_a_pump_releases_it(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	g.backlog = MUX_BACKLOG;
	OK(rig_link(&g, LINK_DATA, 1, "r", "held"));
	OK(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 0u));
	rig_want_quiet(&g);
	g.backlog = 0;
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "held");
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 0u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_channels_take_turns(void **state)
{
	struct rig g;
	struct rig_item it;
	uint32_t turns = 0, before = 0;

	(void)state;
	running(&g);
	rig_session(&g, 2);
	g.backlog = MUX_BACKLOG;
	for (int i = 0; i < 16; i++) {
		OK(rig_link(&g, LINK_DATA, 1, "r", filled('1', LINK_DATA_MAX)));
		OK(rig_link(&g, LINK_DATA, 2, "r", filled('2', LINK_DATA_MAX)));
	}
	g.backlog = 0;
	OK(mux_pump(g.mux));
	while (rig_take(&g.ssh, &it)) {
		turns += it.data[9] != before;
		before = it.data[9];
	}
	assert_in_range(turns, 14, 32);
	rig_done(&g);
}

static void
test_frames_out_of_order_break_the_link(void **state)
{
	static const struct {
		uint16_t type;
		const char *payload;
	} early[] = { { LINK_DATA, "x" }, { LINK_EOF, "" }, { LINK_EXIT_STATUS, "abcd" } };
	struct rig g;

	(void)state;
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		fresh(&g);
		open_one(&g);
		assert_int_equal(rig_link(&g, early[i].type, 1, "r", early[i].payload), ERR_ORDER);
		rig_done(&g);
	}
	running(&g);
	assert_int_equal(rig_link(&g, LINK_OPEN_OK, 1, ""), ERR_ORDER);
	OK(rig_link(&g, LINK_EOF, 1, ""));
	assert_int_equal(rig_link(&g, LINK_DATA, 1, "r", "x"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_EOF, 1, ""), ERR_ORDER);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	assert_int_equal(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 1u), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_DATA, 9, "r", "x"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_NOTE, 1, "b", 1), ERR_FORMAT);
	rig_done(&g);
}

static void
test_the_link_opens_nothing_at_a_client(void **state)
{
	struct rig g;
	struct rig_item it;

	(void)state;
	running(&g);
	assert_int_equal(rig_link(&g, LINK_OPEN, 0, "s", "session"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_OPEN, 2, "s", "session"), ERR_ORDER);
	OK(rig_link(&g, LINK_OPEN, LINK_FROM_BACK + 1, "ssu", "x11", "::1", 5u));
	rig_want_link(
	    &g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "x11", "nobody has asked for this");
	assert_true(rig_take(&g.link, &it));
	assert_int_equal(it.type, LINK_OPEN_FAIL);
	assert_int_equal(it.id, LINK_FROM_BACK + 1);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_frames_of_a_wrong_form_break_the_link(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	assert_int_equal(rig_link(&g, LINK_DATA, 1, ""), ERR_FORMAT);
	assert_int_equal(
	    rig_link(&g, LINK_DATA, 1, "r", filled('x', LINK_DATA_MAX + 1)), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_DATA_EXT, 1, "ur", 2u, "x"), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_WINDOW, 1, "b", 1), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_EXIT_STATUS, 1, "ub", 1u, 1), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_EXIT_SIGNAL, 1, "sb", "TERM", 0), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_REPLY, 1, "u", 1u), ERR_FORMAT);
	assert_int_equal(rig_link(&g, LINK_REQUEST, 1, "us", 1u, "x"), ERR_FORMAT);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_an_exit_signal_reaches_the_client_whole(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_EXIT_SIGNAL, 1, "sbss", "SEGV", 1, "gone", "en"));
	rig_want_ssh(
	    &g, "busbsbss", SSH_CHANNEL_REQUEST, 7u, "exit-signal", 0, "SEGV", 1, "gone", "en");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_request_of_the_target_crosses_and_its_answer_returns(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "eow@openssh.com", 0));
	rig_want_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 7u, "eow@openssh.com", 0);
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 2u, "x", 1));
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 5u, "y", 1));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 1u));
	rig_want_link(&g, LINK_REPLY, 1, "ub", 2u, 0);
	rig_want_link(&g, LINK_REPLY, 1, "ub", 5u, 1);
	/* An answer to nothing says nothing; a number that goes back is an error. */
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 1u));
	rig_want_quiet(&g);
	assert_int_equal(rig_link(&g, LINK_REQUEST, 1, "usb", 5u, "z", 0), ERR_ORDER);
	rig_done(&g);
}

/* Closing. */

static void
test_the_exit_status_follows_a_client_that_closed_first(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_link(&g, LINK_EOF, 1, "");
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 9u));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 9u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_a_client_that_closed_gets_no_data_but_its_close(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 2, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abcd"));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	OK(rig_link(&g, LINK_DATA, 1, "r", "late"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_closes_that_cross_end_the_channel(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	assert_int_equal(mux_channels(g.mux), 1);
	/* What the client had sent before it saw that. */
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "late"));
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 5u));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_link(&g, LINK_EOF, 1, "");
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 0);
	rig_done(&g);
}

static void
test_late_messages_for_a_gone_channel_are_harmless_but_data(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 5u));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	OK(rig_link(&g, LINK_DATA, 1, "r", "x"));
	rig_want_quiet(&g);
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_channel_that_never_was_is_an_error(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	for (uint8_t type = SSH_CHANNEL_OPEN_CONFIRMATION; type <= SSH_CHANNEL_FAILURE; type++) {
		assert_int_equal(rig_ssh(&g, "bu", type, 2u), ERR_ORDER);
		assert_int_equal(rig_ssh(&g, "bu", type, 0u), ERR_ORDER);
		assert_int_equal(rig_ssh(&g, "bu", type, 0xffffffffu), ERR_ORDER);
	}
	/* A client confirms nothing. */
	assert_int_equal(
	    rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 1u, 7u, 1u, 1u), ERR_ORDER);
	assert_int_equal(rig_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 1u, 1u, "", ""), ERR_ORDER);
	rig_done(&g);
}

static void
test_a_second_eof_or_close_of_the_client_says_nothing(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u));
	rig_want_link(&g, LINK_EOF, 1, "");
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	rig_done(&g);
}

/* A pager, say: what the program wrote is there until somebody turns the page. */
static void
test_a_client_may_take_any_time_for_what_it_was_sent(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 1, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abc"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_log_clear(&g.ssh);
	assert_false(mux_closing(g.mux));
	for (uint64_t t = 1; t < 10; t++)
		OK(mux_expire(g.mux, t * S, S));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 9u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "bc");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_client_that_never_closes_does_not_hold_the_other_end(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	assert_true(mux_closing(g.mux));
	OK(mux_expire(g.mux, S, 3 * S)); /* it was sent something a moment ago */
	OK(mux_expire(g.mux, 2 * S, 3 * S));
	OK(mux_expire(g.mux, 4 * S - 1, 3 * S));
	rig_want_quiet(&g);
	OK(mux_expire(g.mux, 4 * S, 3 * S));
	rig_want_link(&g, LINK_NOTE, 1, "bu", LINK_NOTE_UNCLOSED, 3u);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	for (uint64_t t = 5; t < 15; t++)
		OK(mux_expire(g.mux, t * S, 3 * S));
	/* What it still says goes nowhere; its CLOSE frees the number. */
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "signal", 0));
	assert_int_equal(mux_channels(g.mux), 1);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_client_that_closes_in_time_is_not_noted(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	OK(mux_expire(g.mux, S, 3 * S));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	rig_want_link(&g, LINK_CLOSE, 1, "");
	assert_false(mux_closing(g.mux));
	OK(mux_expire(g.mux, 9 * S, 3 * S));
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_an_open_channel_never_expires(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 1, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "abc"));
	rig_log_clear(&g.ssh);
	for (uint64_t t = 1; t < 6; t++)
		OK(mux_expire(g.mux, t * S, S));
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 9u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "bc");
	rig_done(&g);
}

/* Verdicts and endings of our own. */

static void
want_end(struct rig *g, const char *line, uint32_t status)
{
	rig_want_ssh(g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, line);
	rig_want_ssh(g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, status);
	rig_want_ssh(g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(g, "bu", SSH_CHANNEL_CLOSE, 7u);
}

static struct rd_str
word(const char *s)
{
	return (struct rd_str){ .p = (const uint8_t *)s, .len = strlen(s) };
}

static void
test_a_denied_program_is_granted_and_told(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "env", 1, "A"));
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "rm"));
	rig_log_clear(&g.link);
	OK(mux_deny(g.mux, 1, word("exec"), "no\x1b"));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	want_end(&g, "no?\n", 254);
	rig_want_link(&g, LINK_CLOSE, 1, "");
	rig_want_quiet(&g);
	/* The other end's frames do not count any more. */
	OK(rig_link(&g, LINK_DATA, 1, "r", "x"));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 0);
	/* Too late to deny. */
	OK(mux_deny(g.mux, 1, word("exec"), "no"));
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_denied_terminal_is_a_failure(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 1, "xterm", 80u, 24u, 0u,
	    0u, ""));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	rig_log_clear(&g.link);
	OK(mux_deny(g.mux, 1, word("pty-req"), "no"));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 7u);
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_REPLY, 1, "ub", 2u, 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_terminal_gets_its_line_end(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 0, "xterm", 80u, 24u, 0u,
	    0u, ""));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	rig_log_clear(&g.link);
	OK(mux_deny(g.mux, 1, word("shell"), "no"));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	want_end(&g, "no\r\n", 254);
	rig_done(&g);
}

static void
test_an_end_of_everything_is_told_on_every_channel(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_DATA, 1, "r", "last words"));
	OK(mux_finish(g.mux, 255, "gone"));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "last words");
	want_end(&g, "gone\n", 255);
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_DATA, 1, "r", "x"));
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "x"));
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_an_end_before_the_program_waits_for_it(void **state)
{
	struct rig g;

	(void)state;
	opened(&g);
	OK(rig_ssh(&g, "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 1, "xterm", 80u, 24u, 0u,
	    0u, ""));
	rig_log_clear(&g.link);
	OK(mux_finish(g.mux, 255, "gone"));
	OK(mux_pump(g.mux));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 1));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_SUCCESS, 7u);
	want_end(&g, "gone\r\n", 255);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_channels_opened_after_the_end_are_told_too(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	OK(mux_finish(g.mux, 254, "no host given"));
	open_one(&g);
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 1u, MUX_WINDOW_EARLY, PACKET);
	OK(rig_ssh(&g, "busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 0, "cmd"));
	want_end(&g, "no host given\n", 254);
	rig_want_quiet(&g);
	/* and one that closes without asking for anything */
	open_one(&g);
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 2u));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 1);
	rig_done(&g);
}

static void
test_an_end_after_the_programs_own_adds_no_second_status(void **state)
{
	struct rig g;

	(void)state;
	narrow(&g, 1, PACKET);
	OK(rig_link(&g, LINK_DATA, 1, "r", "ab"));
	OK(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 4u));
	OK(mux_finish(g.mux, 255, "gone"));
	OK(rig_ssh(&g, "buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 9u));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "a");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "b");
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 4u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* Forms. */

static void
test_every_message_cut_short_is_an_error_or_harmless(void **state)
{
	static const char *const shapes[] = { "bsuuu", "busbs", "bus", "buus", "buu", "bu" };
	static const uint8_t types[] = { SSH_CHANNEL_OPEN, SSH_CHANNEL_REQUEST, SSH_CHANNEL_DATA,
		SSH_CHANNEL_EXTENDED_DATA, SSH_CHANNEL_WINDOW_ADJUST, SSH_CHANNEL_EOF };
	struct rig g;
	uint8_t cut[256];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		const uint8_t *p =
		    i == 0   ? rig_bytes(&len, shapes[i], types[i], "session", 7u, WINDOW, PACKET)
		    : i == 1 ? rig_bytes(&len, shapes[i], types[i], 1u, "exec", 1, "cmd")
		    : i == 2 ? rig_bytes(&len, shapes[i], types[i], 1u, "data")
		    : i == 3 ? rig_bytes(&len, shapes[i], types[i], 1u, 1u, "data")
			     : rig_bytes(&len, shapes[i], types[i], 1u, 5u);

		for (size_t n = 0; n < len; n++) {
			running(&g);
			memcpy(cut, p, n);
			/* The fields of a request are the other side's to judge. */
			if (!(i == 1 && n >= 14))
				assert_int_equal(mux_message(g.mux, cut, n), ERR_FORMAT);
			rig_done(&g);
		}
	}
}

static void
test_trailing_bytes_are_an_error(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	assert_int_equal(rig_ssh(&g, "busb", SSH_CHANNEL_DATA, 1u, "x", 0), ERR_FORMAT);
	assert_int_equal(rig_ssh(&g, "buub", SSH_CHANNEL_WINDOW_ADJUST, 1u, 1u, 0), ERR_FORMAT);
	assert_int_equal(rig_ssh(&g, "bub", SSH_CHANNEL_EOF, 1u, 0), ERR_FORMAT);
	assert_int_equal(rig_ssh(&g, "bub", SSH_CHANNEL_CLOSE, 1u, 0), ERR_FORMAT);
	assert_int_equal(rig_ssh(&g, "b", 80), ERR_FORMAT);
	assert_int_equal(rig_ssh(&g, "bu", 101, 1u), ERR_FORMAT);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_shapes_are_exact(void **state)
{
	size_t len;
	const uint8_t *p;

	(void)state;
	p = rig_bytes(&len, "suub", "name", 1u, 2u, 3);
	assert_true(mux_shape((struct rd_str){ p, len }, "suub"));
	assert_false(mux_shape((struct rd_str){ p, len }, "suu"));
	assert_false(mux_shape((struct rd_str){ p, len }, "suubb"));
	assert_false(mux_shape((struct rd_str){ p, len - 1 }, "suub"));
	assert_true(mux_shape((struct rd_str){ p, 0 }, ""));
}

static void
test_a_flood_of_refusals_is_noted_a_bounded_number_of_times(void **state)
{
	struct rig g;

	(void)state;
	fresh(&g);
	for (int i = 0; i < 1000; i++)
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "x11", 3u, WINDOW, PACKET));
	assert_int_equal(g.link.n, 256);
	rig_done(&g);
}

static void
test_a_broken_transport_or_link_is_passed_up(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	g.send_result = ERR_PEER_GONE;
	assert_int_equal(rig_link(&g, LINK_DATA, 1, "r", "x"), ERR_PEER_GONE);
	assert_string_equal(mux_why(g.mux), "");
	g.send_result = 0;
	g.frame_result = ERR_LIMIT;
	assert_int_equal(rig_ssh(&g, "bu", SSH_CHANNEL_EOF, 1u), ERR_LIMIT);
	assert_string_equal(mux_why(g.mux), "");
	rig_done(&g);
}

/* What is told. */

static void
test_a_text_for_a_terminal_waits_for_one_and_is_plain(void **state)
{
	struct rig g;

	(void)state;
	running(&g); /* without one */
	OK(mux_tell(g.mux, true, "Only \033[1mfor\r\n\nyou"));
	OK(mux_tell(g.mux, true, "a second text"));
	OK(mux_pump(g.mux));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 8u, WINDOW, PACKET));
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 2u, "pty-req", 0));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 2u, "shell", 0));
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 8u, SSH_STDERR, "Only ?[1mfor\r\n");
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 8u, SSH_STDERR, "\r\n");
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 8u, SSH_STDERR, "you\r\n");
	rig_log_clear(&g.link);
	rig_want_quiet(&g);
	/* It runs: from now on at once. */
	OK(mux_tell(g.mux, true, "now"));
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 8u, SSH_STDERR, "now\r\n");
	rig_done(&g);
}

static void
test_output_may_follow_the_exit_status(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	OK(rig_link(&g, LINK_EXIT_STATUS, 1, "u", 3u));
	OK(rig_link(&g, LINK_DATA, 1, "r", "late"));
	OK(rig_link(&g, LINK_EOF, 1, ""));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	rig_want_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, 3u);
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "late");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 7u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 7u);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_no_more_writes_is_told_both_ways(void **state)
{
	struct rig g;

	(void)state;
	running(&g);
	/* OpenSSH's PROTOCOL, section 2.1: the other end reads no more, but still writes. */
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 1u, "eow@openssh.com", 0));
	rig_want_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 7u, "eow@openssh.com", 0);
	OK(rig_link(&g, LINK_DATA, 1, "r", "more"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 7u, "more");
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "eow@openssh.com", 0));
	rig_want_link(&g, LINK_REQUEST, 1, "usb", 2u, "eow@openssh.com", 0);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 1u, "more"));
	rig_want_link(&g, LINK_DATA, 1, "r", "more");
	rig_want_quiet(&g);
	rig_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session_is_confirmed_at_once_with_a_small_window),
		cmocka_unit_test(test_ready_opens_the_window_to_what_the_other_end_takes),
		cmocka_unit_test(test_another_type_is_refused_and_noted),
		cmocka_unit_test(test_a_packet_size_of_nothing_is_refused),
		cmocka_unit_test(test_the_limit_counts_channels_that_are_open_now),
		cmocka_unit_test(test_many_channels_are_kept_apart),
		cmocka_unit_test(
		    test_a_refusal_by_the_target_is_told_on_stderr_once_a_program_is_asked_for),
		cmocka_unit_test(test_a_request_crosses_exactly_as_it_came),
		cmocka_unit_test(test_replies_keep_the_order_of_the_requests),
		cmocka_unit_test(test_what_the_owner_refuses_does_not_cross),
		cmocka_unit_test(test_a_second_program_is_the_owners_to_refuse),
		cmocka_unit_test(test_a_reply_to_nothing_breaks_the_link),
		cmocka_unit_test(test_unanswered_requests_have_a_limit),
		cmocka_unit_test(test_replies_that_are_not_read_have_a_limit),
		cmocka_unit_test(test_a_storm_of_requests_from_one_who_reads_is_answered),
		cmocka_unit_test(test_a_long_command_crosses_in_pieces),
		cmocka_unit_test(test_data_before_a_long_request_stays_before_it),
		cmocka_unit_test(test_a_command_longer_than_the_limit_is_refused_in_words),
		cmocka_unit_test(test_a_long_command_that_fits_crosses_whole),
		cmocka_unit_test(test_small_data_of_one_pass_is_one_frame),
		cmocka_unit_test(test_joined_data_never_passes_another_frame),
		cmocka_unit_test(test_joining_stops_at_a_full_frame),
		cmocka_unit_test(test_data_larger_than_a_frame_is_split),
		cmocka_unit_test(test_data_of_no_length_is_no_frame),
		cmocka_unit_test(test_data_before_any_request_crosses_in_its_place),
		cmocka_unit_test(test_a_window_may_be_exceeded_a_little_and_no_more),
		cmocka_unit_test(test_the_early_window_is_held_too),
		cmocka_unit_test(test_credit_of_the_link_is_window_for_the_client),
		cmocka_unit_test(test_data_after_eof_or_close_is_an_error),
		cmocka_unit_test(test_a_second_stream_of_a_client_closes_its_channel),
		cmocka_unit_test(test_both_streams_reach_the_client_in_their_order),
		cmocka_unit_test(test_data_may_come_before_the_reply),
		cmocka_unit_test(test_an_exhausted_window_holds_everything_in_order),
		cmocka_unit_test(test_packets_of_one_byte_are_honoured),
		cmocka_unit_test(test_a_window_of_nothing_at_first_is_legal),
		cmocka_unit_test(test_a_window_never_passes_32_bits),
		cmocka_unit_test(test_credit_goes_back_in_steps_as_data_leaves),
		cmocka_unit_test(test_the_other_end_may_not_exceed_its_credit),
		cmocka_unit_test(test_a_full_transport_holds_data_and_a_pump_releases_it),
		cmocka_unit_test(test_channels_take_turns),
		cmocka_unit_test(test_frames_out_of_order_break_the_link),
		cmocka_unit_test(test_the_link_opens_nothing_at_a_client),
		cmocka_unit_test(test_frames_of_a_wrong_form_break_the_link),
		cmocka_unit_test(test_an_exit_signal_reaches_the_client_whole),
		cmocka_unit_test(test_a_request_of_the_target_crosses_and_its_answer_returns),
		cmocka_unit_test(test_the_exit_status_follows_a_client_that_closed_first),
		cmocka_unit_test(test_a_client_that_closed_gets_no_data_but_its_close),
		cmocka_unit_test(test_closes_that_cross_end_the_channel),
		cmocka_unit_test(test_late_messages_for_a_gone_channel_are_harmless_but_data),
		cmocka_unit_test(test_a_channel_that_never_was_is_an_error),
		cmocka_unit_test(test_a_second_eof_or_close_of_the_client_says_nothing),
		cmocka_unit_test(test_a_client_may_take_any_time_for_what_it_was_sent),
		cmocka_unit_test(test_a_client_that_never_closes_does_not_hold_the_other_end),
		cmocka_unit_test(test_a_client_that_closes_in_time_is_not_noted),
		cmocka_unit_test(test_an_open_channel_never_expires),
		cmocka_unit_test(test_a_denied_program_is_granted_and_told),
		cmocka_unit_test(test_a_denied_terminal_is_a_failure),
		cmocka_unit_test(test_a_terminal_gets_its_line_end),
		cmocka_unit_test(test_an_end_of_everything_is_told_on_every_channel),
		cmocka_unit_test(test_an_end_before_the_program_waits_for_it),
		cmocka_unit_test(test_channels_opened_after_the_end_are_told_too),
		cmocka_unit_test(test_an_end_after_the_programs_own_adds_no_second_status),
		cmocka_unit_test(test_a_text_for_a_terminal_waits_for_one_and_is_plain),
		cmocka_unit_test(test_output_may_follow_the_exit_status),
		cmocka_unit_test(test_no_more_writes_is_told_both_ways),
		cmocka_unit_test(test_every_message_cut_short_is_an_error_or_harmless),
		cmocka_unit_test(test_trailing_bytes_are_an_error),
		cmocka_unit_test(test_shapes_are_exact),
		cmocka_unit_test(test_a_flood_of_refusals_is_noted_a_bounded_number_of_times),
		cmocka_unit_test(test_a_broken_transport_or_link_is_passed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
