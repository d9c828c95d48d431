/* Channels that are not sessions, in both directions, and the requests outside channels that some of them need. */
#include "config.h"

#include "tests/lib/test.h"
#include "tests/unit/mux_rig.h"

#define OK(x) assert_int_equal(x, 0)
#define WINDOW 2097152u
#define PACKET 32768u
#define B(n) (LINK_FROM_BACK + (n))

static void
front(struct rig *g)
{
	rig_init(g, MUX_FRONT, 10);
	rig_session(g, 1);
}

static void
back(struct rig *g)
{
	rig_init(g, MUX_BACK, 10);
	rig_session(g, 1);
}

/* From the client to the target. */

static int
open_direct(struct rig *g, uint32_t peer)
{
	return rig_ssh(g, "bsuuususu", SSH_CHANNEL_OPEN, "direct-tcpip", peer, WINDOW, PACKET,
	    "db1", 5432u, "127.0.0.1", 40000u);
}

static void
test_a_forward_waits_for_the_targets_answer(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(open_direct(&g, 5));
	rig_want_link(&g, LINK_OPEN, 2, "ssusu", "direct-tcpip", "db1", 5432u, "127.0.0.1", 40000u);
	rig_want_quiet(&g);
	/* Until then the client cannot know the number. */
	assert_int_equal(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 2u, "x"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_DATA, 2, "r", "x"), ERR_ORDER);
	OK(rig_link(&g, LINK_OPEN_OK, 2, "r", "own fields"));
	rig_want_ssh(
	    &g, "buuuur", SSH_CHANNEL_OPEN_CONFIRMATION, 5u, 2u, LINK_CREDIT, PACKET, "own fields");
	assert_int_equal(rig_link(&g, LINK_OPEN_OK, 2, ""), ERR_ORDER);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 2u, "question"));
	rig_want_link(&g, LINK_DATA, 2, "r", "question");
	OK(rig_link(&g, LINK_DATA, 2, "r", "answer"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "answer");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_refused_forward_has_the_targets_reason(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(open_direct(&g, 5));
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_OPEN_FAIL, 2, "us", SSH_OPEN_CONNECT_FAILED, "refused\033"));
	rig_want_ssh(
	    &g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, SSH_OPEN_CONNECT_FAILED, "refused?", "");
	assert_int_equal(mux_channels(g.mux), 1);
	/* Late frames of it are nothing. */
	OK(rig_link(&g, LINK_CLOSE, 2, ""));
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_fields_of_a_wrong_shape_do_not_cross(void **state)
{
	static const struct {
		const char *type, *shape;
	} bad[] = {
		{ "direct-tcpip", "bsuuusus" },
		{ "direct-tcpip", "bsuuususuu" },
		{ "direct-tcpip", "bsuuu" },
		{ "direct-streamlocal@openssh.com", "bsuuus" },
	};
	struct rig g;

	(void)state;
	front(&g);
	for (size_t i = 0; i < N_OF(bad); i++) {
		OK(rig_ssh(&g, bad[i].shape, SSH_CHANNEL_OPEN, bad[i].type, 5u, WINDOW, PACKET, "a",
		    1u, "b", 1u, 1u));
		rig_want_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, SSH_OPEN_PROHIBITED,
		    "malformed", "");
		rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, bad[i].type, "malformed");
		rig_want_quiet(&g);
	}
	rig_done(&g);
}

static void
test_the_back_opens_it_at_the_target(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_link(&g, LINK_OPEN, 2, "ssusu", "direct-tcpip", "db1", 5432u, "::1", 40000u));
	rig_want_ssh(&g, "bsuuususu", SSH_CHANNEL_OPEN, "direct-tcpip", 2u, LINK_CREDIT, PACKET,
	    "db1", 5432u, "::1", 40000u);
	OK(rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 2u, 77u, WINDOW, PACKET));
	rig_want_link(&g, LINK_OPEN_OK, 2, "");
	/* No program has to run for data to flow. */
	OK(rig_link(&g, LINK_DATA, 2, "r", "question"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 77u, "question");
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, 2u, "answer"));
	rig_want_link(&g, LINK_DATA, 2, "r", "answer");
	OK(rig_link(&g, LINK_EOF, 2, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 77u);
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 2u));
	rig_want_link(&g, LINK_CLOSE, 2, "");
	OK(rig_link(&g, LINK_CLOSE, 2, ""));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 77u);
	rig_want_quiet(&g);
	assert_int_equal(mux_channels(g.mux), 1);
	rig_done(&g);
}

static void
test_the_targets_refusal_crosses(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_link(&g, LINK_OPEN, 2, "sssu", "direct-streamlocal@openssh.com", "/run/x", "", 0u));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 2u, 2u, "no such file", "en"));
	rig_want_link(&g, LINK_OPEN_FAIL, 2, "us", 2u, "no such file");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_forward_is_no_program(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_link(&g, LINK_OPEN, 2, "ssusu", "direct-tcpip", "db1", 5432u, "::1", 40000u));
	OK(rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 2u, 77u, WINDOW, PACKET));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	/* Neither a status nor a second stream come of it. */
	OK(rig_ssh(&g, "busbu", SSH_CHANNEL_REQUEST, 2u, "exit-status", 1, 1u));
	rig_want_ssh(&g, "bu", SSH_CHANNEL_FAILURE, 77u);
	OK(rig_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 2u, SSH_STDERR, "x"));
	rig_want_link(
	    &g, LINK_NOTE, 2, "bss", LINK_NOTE_REFUSED, "extended data", "unknown data type code");
	rig_done(&g);
	front(&g);
	OK(open_direct(&g, 5));
	OK(rig_link(&g, LINK_OPEN_OK, 2, ""));
	assert_int_equal(rig_link(&g, LINK_EXIT_STATUS, 2, "u", 1u), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_DATA_EXT, 2, "ur", SSH_STDERR, "x"), ERR_FORMAT);
	rig_done(&g);
}

static void
test_it_outlives_its_session(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(open_direct(&g, 5));
	OK(rig_link(&g, LINK_OPEN_OK, 2, ""));
	OK(rig_link(&g, LINK_CLOSE, 1, ""));
	OK(rig_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 1u));
	assert_int_equal(mux_channels(g.mux), 1);
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_DATA, 2, "r", "still"));
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 5u, "still");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_the_end_of_the_leg_ends_forwards_without_words(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, MUX_FRONT, 10);
	OK(open_direct(&g, 5));
	OK(rig_link(&g, LINK_OPEN_OK, 1, ""));
	OK(open_direct(&g, 6));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(mux_finish(g.mux, 255, "over"));
	OK(mux_pump(g.mux));
	rig_want_ssh(
	    &g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 6u, SSH_OPEN_CONNECT_FAILED, "over", "");
	rig_want_ssh(&g, "bu", SSH_CHANNEL_EOF, 5u);
	rig_want_ssh(&g, "bu", SSH_CHANNEL_CLOSE, 5u);
	OK(open_direct(&g, 7));
	rig_want_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 7u, SSH_OPEN_PROHIBITED, "over", "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_forward_that_is_cut_is_told_on_a_session(void **state)
{
	static const struct rd_str type = { (const uint8_t *)"direct-tcpip", 12 };
	struct rig g;

	(void)state;
	front(&g);
	OK(open_direct(&g, 5));
	OK(rig_link(&g, LINK_OPEN_OK, 2, ""));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(mux_deny(g.mux, 2, type, "use ssh -J"));
	OK(mux_pump(g.mux));
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "use ssh -J\n");
	rig_want_quiet(&g);
	rig_done(&g);
}

/* From the target to the client. */

static int
target_opens(struct rig *g, const char *address, uint32_t port)
{
	return rig_ssh(g, "bsuuususu", SSH_CHANNEL_OPEN, "forwarded-tcpip", 5u, WINDOW, PACKET,
	    address, port, "10.1.1.1", 999u);
}

static void
want_unasked(struct rig *g, const char *type)
{
	rig_want_link(g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, type, "nobody has asked for this");
	rig_want_ssh(g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, SSH_OPEN_PROHIBITED,
	    "nobody has asked for this", "");
	rig_want_quiet(g);
}

/* Asks for it over the link, and the target says yes; its own channel number is n. */
static void
forwarded(struct rig *g, uint32_t number, const char *address, uint32_t port)
{
	OK(rig_link(g, LINK_GLOBAL, 0, "usbsu", number, "tcpip-forward", 1, address, port));
	rig_want_ssh(g, "bsbsu", SSH_GLOBAL_REQUEST, "tcpip-forward", 1, address, port);
}

static void
test_a_target_opens_only_what_listens_there(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(target_opens(&g, "localhost", 8080));
	want_unasked(&g, "forwarded-tcpip");
	forwarded(&g, 1, "localhost", 8080);
	OK(target_opens(&g, "localhost", 8080)); /* not yet */
	want_unasked(&g, "forwarded-tcpip");
	OK(rig_ssh(&g, "b", SSH_REQUEST_SUCCESS));
	rig_want_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 1u, 1);
	OK(target_opens(&g, "localhost", 8081));
	want_unasked(&g, "forwarded-tcpip");
	OK(target_opens(&g, "", 8080));
	want_unasked(&g, "forwarded-tcpip");
	OK(target_opens(&g, "localhost", 8080));
	rig_want_link(
	    &g, LINK_OPEN, B(1), "ssusu", "forwarded-tcpip", "localhost", 8080u, "10.1.1.1", 999u);
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_OPEN_OK, B(1), ""));
	rig_want_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 5u, B(1), LINK_CREDIT, PACKET);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, B(1), "hello"));
	rig_want_link(&g, LINK_DATA, B(1), "r", "hello");
	OK(target_opens(&g, "localhost", 8080));
	rig_want_link(
	    &g, LINK_OPEN, B(2), "ssusu", "forwarded-tcpip", "localhost", 8080u, "10.1.1.1", 999u);
	OK(rig_link(&g, LINK_OPEN_FAIL, B(2), "us", 2u, "gone"));
	rig_want_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, 2u, "gone", "");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_the_port_is_the_one_that_was_taken(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	forwarded(&g, 1, "", 0);
	OK(rig_ssh(&g, "bu", SSH_REQUEST_SUCCESS, 40123u));
	rig_want_link(&g, LINK_GLOBAL_REPLY, 0, "ubu", 1u, 1, 40123u);
	OK(target_opens(&g, "", 0));
	want_unasked(&g, "forwarded-tcpip");
	OK(target_opens(&g, "", 40123));
	assert_int_equal(mux_channels(g.mux), 2);
	rig_done(&g);
}

static void
test_a_refused_or_cancelled_forward_opens_nothing(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	forwarded(&g, 1, "", 1);
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	rig_want_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 1u, 0);
	OK(target_opens(&g, "", 1));
	want_unasked(&g, "forwarded-tcpip");
	forwarded(&g, 2, "", 2);
	OK(rig_ssh(&g, "b", SSH_REQUEST_SUCCESS));
	OK(rig_link(&g, LINK_GLOBAL, 0, "usbsu", 3u, "cancel-tcpip-forward", 1, "", 2u));
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	OK(target_opens(&g, "", 2)); /* it was not cancelled */
	assert_int_equal(mux_channels(g.mux), 2);
	OK(rig_link(&g, LINK_GLOBAL, 0, "usbsu", 4u, "cancel-tcpip-forward", 0, "", 2u));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(target_opens(&g, "", 2));
	want_unasked(&g, "forwarded-tcpip");
	rig_done(&g);
}

static void
test_paths_are_not_addresses(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_link(
	    &g, LINK_GLOBAL, 0, "usbs", 1u, "streamlocal-forward@openssh.com", 1, "/tmp/s"));
	OK(rig_ssh(&g, "b", SSH_REQUEST_SUCCESS));
	rig_log_clear(&g.ssh);
	rig_log_clear(&g.link);
	OK(target_opens(&g, "/tmp/s", 0));
	want_unasked(&g, "forwarded-tcpip");
	OK(rig_ssh(&g, "bsuuuss", SSH_CHANNEL_OPEN, "forwarded-streamlocal@openssh.com", 5u, WINDOW,
	    PACKET, "/tmp/other", ""));
	want_unasked(&g, "forwarded-streamlocal@openssh.com");
	OK(rig_ssh(&g, "bsuuuss", SSH_CHANNEL_OPEN, "forwarded-streamlocal@openssh.com", 5u, WINDOW,
	    PACKET, "/tmp/s", ""));
	rig_want_link(
	    &g, LINK_OPEN, B(1), "sss", "forwarded-streamlocal@openssh.com", "/tmp/s", "");
	rig_done(&g);
}

static void
test_the_agent_is_opened_only_after_it_was_asked_for(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "auth-agent@openssh.com", 5u, WINDOW, PACKET));
	want_unasked(&g, "auth-agent@openssh.com");
	OK(rig_link(&g, LINK_REQUEST, 1, "usb", 2u, "auth-agent-req@openssh.com", 0));
	rig_log_clear(&g.ssh);
	for (uint32_t i = 1; i <= 2; i++) {
		OK(rig_ssh(
		    &g, "bsuuu", SSH_CHANNEL_OPEN, "auth-agent@openssh.com", 5u, WINDOW, PACKET));
		rig_want_link(&g, LINK_OPEN, B(i), "s", "auth-agent@openssh.com");
	}
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_single_x11_connection_is_one(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	OK(rig_link(&g, LINK_REQUEST, 1, "usbbssu", 2u, "x11-req", 1, 1, "MIT", "00", 0u));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "bsuuusu", SSH_CHANNEL_OPEN, "x11", 5u, WINDOW, PACKET, "::1", 6010u));
	rig_want_link(&g, LINK_OPEN, B(1), "ssu", "x11", "::1", 6010u);
	OK(rig_ssh(&g, "bsuuusu", SSH_CHANNEL_OPEN, "x11", 5u, WINDOW, PACKET, "::1", 6010u));
	want_unasked(&g, "x11");
	OK(rig_link(&g, LINK_REQUEST, 1, "usbbssu", 3u, "x11-req", 1, 0, "MIT", "00", 0u));
	rig_log_clear(&g.ssh);
	for (uint32_t i = 2; i <= 4; i++) {
		OK(rig_ssh(
		    &g, "bsuuusu", SSH_CHANNEL_OPEN, "x11", 5u, WINDOW, PACKET, "::1", 6010u));
		rig_want_link(&g, LINK_OPEN, B(i), "ssu", "x11", "::1", 6010u);
	}
	rig_done(&g);
}

static void
test_a_target_opens_no_session_and_nothing_of_the_clients(void **state)
{
	static const char *const types[] = { "session", "direct-tcpip",
		"direct-streamlocal@openssh.com", "tun@openssh.com", "" };
	struct rig g;

	(void)state;
	back(&g);
	for (size_t i = 0; i < N_OF(types); i++) {
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, types[i], 5u, WINDOW, PACKET));
		rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, types[i],
		    "this is not opened through the bastion");
		rig_want_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, 5u, SSH_OPEN_PROHIBITED,
		    "this is not opened through the bastion", "");
	}
	rig_want_quiet(&g);
	rig_done(&g);
}

/* The front is the second who looks. */

static void
test_the_front_opens_only_what_its_client_asked_for(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(rig_link(&g, LINK_OPEN, B(1), "ssusu", "forwarded-tcpip", "", 80u, "::1", 1u));
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "forwarded-tcpip",
	    "nobody has asked for this");
	rig_want_link(&g, LINK_OPEN_FAIL, B(1), "us", 1u, "nobody has asked for this");
	OK(rig_link(&g, LINK_OPEN, B(2), "s", "auth-agent@openssh.com"));
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "auth-agent@openssh.com",
	    "nobody has asked for this");
	rig_want_link(&g, LINK_OPEN_FAIL, B(2), "us", 1u, "nobody has asked for this");
	OK(rig_link(&g, LINK_OPEN, B(3), "s", "session"));
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "session",
	    "this is not opened through the bastion");
	rig_want_link(&g, LINK_OPEN_FAIL, B(3), "us", 1u, "this is not opened through the bastion");
	rig_want_quiet(&g);
	/* No number comes twice. */
	assert_int_equal(rig_link(&g, LINK_OPEN, B(3), "s", "x11"), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_OPEN, B(0), "s", "x11"), ERR_ORDER);
	rig_done(&g);
}

static int
asks(struct rig *g, const char *address, uint32_t port)
{
	static const uint8_t head[] = "\0\0\0\15tcpip-forward\1";
	struct rd_str name = { head + 4, 13 };
	uint8_t raw[300];
	size_t n = sizeof(head) - 1, len = strlen(address);

	memcpy(raw, head, n);
	memcpy(wr_u32(raw + n, (uint32_t)len), address, len);
	wr_u32(raw + n + 4 + len, port);
	return mux_global_pass(g->mux, name, true, (struct rd_str){ raw, n + 8 + len });
}

static void
test_a_channel_of_the_target_reaches_the_client(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(asks(&g, "", 0));
	rig_want_link(&g, LINK_GLOBAL, 0, "usbsu", 1u, "tcpip-forward", 1, "", 0u);
	OK(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ubu", 1u, 1, 4000u));
	rig_want_ssh(&g, "bu", SSH_REQUEST_SUCCESS, 4000u);
	OK(rig_link(&g, LINK_OPEN, B(1), "ssusu", "forwarded-tcpip", "", 4000u, "::1", 1u));
	rig_want_ssh(&g, "bsuuususu", SSH_CHANNEL_OPEN, "forwarded-tcpip", B(1), LINK_CREDIT,
	    PACKET, "", 4000u, "::1", 1u);
	OK(rig_link(&g, LINK_DATA, B(1), "r", "early"));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, B(1), 9u, WINDOW, PACKET));
	rig_want_link(&g, LINK_OPEN_OK, B(1), "");
	rig_want_ssh(&g, "bus", SSH_CHANNEL_DATA, 9u, "early");
	/* The numbers of both ends are apart: the client's next one is 2. */
	OK(open_direct(&g, 5));
	rig_want_link(&g, LINK_OPEN, 2, "ssusu", "direct-tcpip", "db1", 5432u, "127.0.0.1", 40000u);
	OK(rig_ssh(&g, "bus", SSH_CHANNEL_DATA, B(1), "back"));
	rig_want_link(&g, LINK_DATA, B(1), "r", "back");
	OK(rig_link(&g, LINK_OPEN, B(2), "ssusu", "forwarded-tcpip", "", 4000u, "::1", 1u));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "buuss", SSH_CHANNEL_OPEN_FAILURE, B(2), 2u, "refused", ""));
	rig_want_link(&g, LINK_OPEN_FAIL, B(2), "us", 2u, "refused");
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_an_agent_that_policy_denied_is_not_opened(void **state)
{
	static const struct rd_str agent = { (const uint8_t *)"auth-agent-req@openssh.com", 26 };
	struct rig g;

	(void)state;
	front(&g);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "auth-agent-req@openssh.com", 0));
	OK(mux_deny(g.mux, 1, agent, "no agent"));
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_OPEN, B(1), "s", "auth-agent@openssh.com"));
	rig_want_link(&g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "auth-agent@openssh.com",
	    "nobody has asked for this");
	rig_done(&g);
}

/* On a terminal, clients would say nothing of it. */
static void
test_a_denied_agent_is_told_on_a_terminal_once_the_program_runs(void **state)
{
	static const struct rd_str agent = { (const uint8_t *)"auth-agent-req@openssh.com", 26 };
	struct rig g;

	(void)state;
	for (int pty = 0; pty <= 1; pty++) {
		rig_init(&g, MUX_FRONT, 10);
		OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, WINDOW, PACKET));
		OK(rig_link(&g, LINK_OPEN_OK, 1, ""));
		if (pty)
			OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "pty-req", 0));
		OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "auth-agent-req@openssh.com", 0));
		OK(mux_deny(g.mux, 1, agent, "no agent"));
		rig_log_clear(&g.ssh);
		OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0));
		if (pty)
			rig_want_ssh(
			    &g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "no agent\r\n");
		rig_log_clear(&g.link);
		rig_want_quiet(&g);
		rig_done(&g);
	}
}

static void
test_a_denied_global_request_is_told_to_the_first_session(void **state)
{
	static const struct rd_str forward = { (const uint8_t *)"tcpip-forward", 13 };
	struct rig g;

	(void)state;
	rig_init(&g, MUX_FRONT, 10);
	OK(mux_deny(g.mux, 0, forward, "no port"));
	OK(mux_deny(g.mux, 0, forward, "another"));
	OK(rig_ssh(&g, "bsuuu", SSH_CHANNEL_OPEN, "session", 7u, WINDOW, PACKET));
	rig_log_clear(&g.ssh);
	OK(rig_ssh(&g, "busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0));
	rig_want_ssh(&g, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, "no port\n");
	rig_log_clear(&g.link);
	rig_want_quiet(&g);
	rig_done(&g);
}

/* Global requests: RFC 4254 section 4, replies in order. */

static void
test_answers_from_here_wait_for_those_of_the_target(void **state)
{
	struct rig g;

	(void)state;
	front(&g);
	OK(mux_global_answer(g.mux, false));
	rig_want_ssh(&g, "b", SSH_REQUEST_FAILURE);
	OK(asks(&g, "a", 1));
	OK(mux_global_answer(g.mux, false));
	OK(asks(&g, "b", 2));
	rig_log_clear(&g.link);
	OK(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ubu", 2u, 1, 77u));
	rig_want_quiet(&g);
	OK(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 1u, 1));
	rig_want_ssh(&g, "b", SSH_REQUEST_SUCCESS);
	rig_want_ssh(&g, "b", SSH_REQUEST_FAILURE);
	rig_want_ssh(&g, "bu", SSH_REQUEST_SUCCESS, 77u);
	rig_want_quiet(&g);
	assert_int_equal(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 1u, 1), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 3u, 1), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ubb", 3u, 1, 1), ERR_FORMAT);
	assert_int_equal(
	    rig_link(&g, LINK_GLOBAL, 0, "usbsu", 1u, "tcpip-forward", 1, "", 1u), ERR_ORDER);
	rig_done(&g);
}

static void
test_our_own_questions_stand_in_the_row(void **state)
{
	static const uint8_t failure = SSH_REQUEST_FAILURE;
	struct rig g;

	(void)state;
	back(&g);
	OK(mux_global_reply(g.mux, &failure, 1)); /* to nothing */
	OK(mux_global_own(g.mux));
	OK(mux_global_own(g.mux));
	forwarded(&g, 1, "", 1);
	OK(mux_global_own(g.mux));
	forwarded(&g, 2, "", 2);
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "b", SSH_REQUEST_SUCCESS));
	rig_want_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 1u, 1);
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	rig_want_quiet(&g);
	OK(rig_ssh(&g, "b", SSH_REQUEST_FAILURE));
	rig_want_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 2u, 0);
	rig_want_quiet(&g);
	rig_done(&g);
}

static void
test_a_back_takes_four_requests_and_their_shapes(void **state)
{
	struct rig g;

	(void)state;
	back(&g);
	assert_int_equal(
	    rig_link(&g, LINK_GLOBAL, 0, "usb", 1u, "no-more-sessions@openssh.com", 0), ERR_FORMAT);
	assert_int_equal(
	    rig_link(&g, LINK_GLOBAL, 0, "usbs", 1u, "tcpip-forward", 1, ""), ERR_FORMAT);
	assert_int_equal(
	    rig_link(&g, LINK_GLOBAL, 0, "usbsuu", 1u, "tcpip-forward", 1, "", 1u, 1u), ERR_FORMAT);
	rig_want_quiet(&g);
	forwarded(&g, 5, "", 1);
	assert_int_equal(
	    rig_link(&g, LINK_GLOBAL, 0, "usbsu", 5u, "tcpip-forward", 1, "", 1u), ERR_ORDER);
	assert_int_equal(rig_link(&g, LINK_GLOBAL_REPLY, 0, "ub", 5u, 1), ERR_ORDER);
	rig_done(&g);
}

static void
test_the_end_of_the_leg_fails_what_is_open(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g, MUX_FRONT, 10);
	OK(asks(&g, "a", 1));
	OK(mux_global_answer(g.mux, false));
	OK(mux_finish(g.mux, 255, "over"));
	rig_want_ssh(&g, "b", SSH_REQUEST_FAILURE);
	rig_want_ssh(&g, "b", SSH_REQUEST_FAILURE);
	OK(asks(&g, "a", 1));
	rig_want_ssh(&g, "b", SSH_REQUEST_FAILURE);
	rig_done(&g);
}

static void
test_forwards_have_a_limit(void **state)
{
	struct rig_item it;
	struct rig g;

	(void)state;
	front(&g);
	for (uint32_t i = 1; i <= 128; i++)
		OK(asks(&g, "a", i));
	rig_log_clear(&g.link);
	OK(asks(&g, "a", 1000));
	rig_want_link(
	    &g, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "tcpip-forward", "too many forwards");
	rig_want_quiet(&g); /* its failure comes after the other replies */
	for (uint32_t i = 1; i <= MUX_FORWARDS_MAX; i++)
		OK(open_direct(&g, i));
	rig_log_clear(&g.link);
	OK(open_direct(&g, 1000));
	assert_true(rig_take(&g.ssh, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	assert_int_equal(it.data[8], SSH_OPEN_RESOURCE_SHORTAGE);
	rig_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_forward_waits_for_the_targets_answer),
		cmocka_unit_test(test_a_refused_forward_has_the_targets_reason),
		cmocka_unit_test(test_fields_of_a_wrong_shape_do_not_cross),
		cmocka_unit_test(test_the_back_opens_it_at_the_target),
		cmocka_unit_test(test_the_targets_refusal_crosses),
		cmocka_unit_test(test_a_forward_is_no_program),
		cmocka_unit_test(test_it_outlives_its_session),
		cmocka_unit_test(test_the_end_of_the_leg_ends_forwards_without_words),
		cmocka_unit_test(test_a_forward_that_is_cut_is_told_on_a_session),
		cmocka_unit_test(test_a_target_opens_only_what_listens_there),
		cmocka_unit_test(test_the_port_is_the_one_that_was_taken),
		cmocka_unit_test(test_a_refused_or_cancelled_forward_opens_nothing),
		cmocka_unit_test(test_paths_are_not_addresses),
		cmocka_unit_test(test_the_agent_is_opened_only_after_it_was_asked_for),
		cmocka_unit_test(test_a_single_x11_connection_is_one),
		cmocka_unit_test(test_a_target_opens_no_session_and_nothing_of_the_clients),
		cmocka_unit_test(test_the_front_opens_only_what_its_client_asked_for),
		cmocka_unit_test(test_a_channel_of_the_target_reaches_the_client),
		cmocka_unit_test(test_an_agent_that_policy_denied_is_not_opened),
		cmocka_unit_test(test_a_denied_agent_is_told_on_a_terminal_once_the_program_runs),
		cmocka_unit_test(test_a_denied_global_request_is_told_to_the_first_session),
		cmocka_unit_test(test_answers_from_here_wait_for_those_of_the_target),
		cmocka_unit_test(test_our_own_questions_stand_in_the_row),
		cmocka_unit_test(test_a_back_takes_four_requests_and_their_shapes),
		cmocka_unit_test(test_the_end_of_the_leg_fails_what_is_open),
		cmocka_unit_test(test_forwards_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
