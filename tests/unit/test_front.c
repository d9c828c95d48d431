/* A whole front between a fake client and the test as broker, policy, vault and recorder. */
#include "config.h"

#include <sys/socket.h>

#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "keys/keys_proto.h"
#include "policy/policy_proto.h"
#include "tests/lib/end_rig.h"
#include "tests/lib/test.h"

#define S CLOCK_NS_PER_S

struct world {
	struct front f;
	int client, broker, policy, keys, link;
};

static void
turn(struct world *w)
{
	end_rig_turn(w->f.loop);
}

static void
init(struct world *w)
{
	struct front_fds fds;
	int pair[2];

	end_rig_clock();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->client = pair[0];
	w->link = -1;
	fds.client = pair[1];
	fds.broker = end_rig_edge(&w->broker);
	fds.policy = end_rig_edge(&w->policy);
	fds.keys = end_rig_edge(&w->keys);
	assert_int_equal(front_init(&w->f, &fds), 0);
}

/* Host key blob, channels, keepalive 30 s, 2 missed, rekey, 8 s for CLOSE. */
static void
start(struct world *w)
{
	init(w);
	end_rig_say(w->f.loop, w->broker, BRK_FRONT_START, -1, "usuuuuuuuu", 1u, "host key blob",
	    4u, 6u, 4230196224u, 2u, 0u, 0u, 1u, 3705032704u);
	assert_non_null(wire_fake);
	assert_int_equal(wire_fake->role, WIRE_SERVER);
}

static void
done(struct world *w)
{
	front_done(&w->f);
	assert_null(wire_fake);
	close(w->client);
	close(w->broker);
	close(w->policy);
	close(w->keys);
	if (w->link >= 0)
		close(w->link);
	clock_override(NULL, NULL);
}

static void
ask_none(const char *user)
{
	wire_fake_says("bsss", SSH_USERAUTH_REQUEST, user, "ssh-connection", "none");
}

/* Up to the answer of policy: the user is in and wants this host. */
static void
log_in(struct world *w, const char *host)
{
	start(w);
	ask_none("alice");
	turn(w);
	end_rig_want(w->policy, POL_AUTH_REQUEST, "bsss", SSH_USERAUTH_REQUEST, "alice",
	    "ssh-connection", "none");
	end_rig_say(w->f.loop, w->policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "alice",
	    host, "ref7", 3u);
	assert_true(wire_fake->open);
}

static void
give_link(struct world *w)
{
	int theirs = end_rig_edge(&w->link);

	end_rig_say(w->f.loop, w->broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	end_rig_want_frame(
	    w->link, LINK_NOTE, 0, "bss", LINK_NOTE_CLIENT, "SSH-2.0-peer", "some algorithms");
}

static void
linked(struct world *w)
{
	log_in(w, "web1");
	give_link(w);
}

static void
open_session(void)
{
	wire_fake_says("bsuuu", SSH_CHANNEL_OPEN, "session", 7u, 2097152u, 32768u);
}

/* A session in which a program runs; nothing is left in the logs. */
static void
running(struct world *w)
{
	linked(w);
	open_session();
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd");
	turn(w);
	end_rig_want_frame(w->link, LINK_OPEN, 1, "s", "session");
	end_rig_want_frame(w->link, LINK_REQUEST, 1, "usbs", 1u, "exec", 1, "cmd");
	end_rig_frame(w->f.loop, w->link, LINK_NOTE, 0, "b", LINK_NOTE_READY);
	end_rig_frame(w->f.loop, w->link, LINK_OPEN_OK, 1, "");
	end_rig_frame(w->f.loop, w->link, LINK_REPLY, 1, "ub", 1u, 1);
	rig_log_clear(&wire_fake->sent);
}

static void
want_told(const char *line, uint32_t status)
{
	struct rig_log *l = &wire_fake->sent;

	rig_log_want(l, "buus", SSH_CHANNEL_EXTENDED_DATA, 7u, SSH_STDERR, line);
	rig_log_want(l, "busbu", SSH_CHANNEL_REQUEST, 7u, "exit-status", 0, status);
	rig_log_want(l, "bu", SSH_CHANNEL_EOF, 7u);
	rig_log_want(l, "bu", SSH_CHANNEL_CLOSE, 7u);
}

static void
want_nothing_sent(void)
{
	struct rig_item it;

	assert_false(rig_take(&wire_fake->sent, &it));
}

static void
want_disconnect(uint32_t reason, const char *text)
{
	assert_true(wire_fake->over);
	assert_string_equal(wire_fake->why, text);
	assert_int_equal(wire_fake->reason, reason);
}

/* The start. */

static void
test_a_malformed_start_ends_the_front(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_START, -1, "usuuuuuuuuu", 1u, "host key blob", 4u,
	    6u, 0u, 2u, 0u, 0u, 0u, 0u, 2u);
	end_rig_want_gone(w.broker);
	done(&w);
}

static void
test_nothing_counts_before_the_start_or_twice(void **state)
{
	struct world w;

	(void)state;
	init(&w);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_CLOSE, -1, "s", "too early");
	assert_null(wire_fake);
	end_rig_want_gone(w.broker);
	done(&w);
}

static void
test_the_vault_signs_the_exchange_hash(void **state)
{
	uint8_t sig[128];
	size_t len = 0;
	struct world w;

	(void)state;
	start(&w);
	assert_int_equal(ipc_plain_send(w.keys, KEYS_SIGNED, 0, "signature", 9, NULL, 0), 0);
	assert_int_equal(wire_fake->ops->sign_kex(
			     wire_fake->arg, (const uint8_t *)"hash", 4, sig, sizeof(sig), &len),
	    0);
	assert_int_equal(len, 9);
	assert_memory_equal(sig, "signature", 9);
	end_rig_want(w.keys, KEYS_SIGN, "r", "hash");
	done(&w);
}

static void
test_without_the_vault_there_is_no_signature(void **state)
{
	uint8_t sig[4];
	size_t len = 0;
	struct world w;

	(void)state;
	start(&w);
	/* one that does not fit, one that is none, and silence */
	assert_int_equal(ipc_plain_send(w.keys, KEYS_SIGNED, 0, "signature", 9, NULL, 0), 0);
	assert_int_equal(ipc_plain_send(w.keys, KEYS_SIGN, 0, "x", 1, NULL, 0), 0);
	for (int i = 0; i < 2; i++)
		assert_true(wire_fake->ops->sign_kex(wire_fake->arg, (const uint8_t *)"hash", 4,
				sig, sizeof(sig), &len) < 0);
	close(w.keys);
	assert_true(wire_fake->ops->sign_kex(
			wire_fake->arg, (const uint8_t *)"hash", 4, sig, sizeof(sig), &len) < 0);
	/* A vault that was started again brings a new edge. */
	{
		int theirs = end_rig_edge(&w.keys);

		end_rig_say(w.f.loop, w.broker, BRK_FRONT_KEYS, theirs, "");
		close(theirs);
	}
	assert_int_equal(ipc_plain_send(w.keys, KEYS_SIGNED, 0, "sig", 3, NULL, 0), 0);
	assert_int_equal(wire_fake->ops->sign_kex(
			     wire_fake->arg, (const uint8_t *)"hash", 4, sig, sizeof(sig), &len),
	    0);
	done(&w);
}

/* Login. */

static void
test_the_service_is_accepted(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	wire_fake_says("bs", SSH_SERVICE_REQUEST, "ssh-userauth");
	rig_log_want(&wire_fake->sent, "bs", SSH_SERVICE_ACCEPT, "ssh-userauth");
	done(&w);
}

static void
test_a_request_crosses_as_it_came_and_a_failure_comes_back(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	wire_fake_says("bsssr", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", "odd", "whatever");
	turn(&w);
	end_rig_want(w.policy, POL_AUTH_REQUEST, "bsssr", SSH_USERAUTH_REQUEST, "alice",
	    "ssh-connection", "odd", "whatever");
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsbs", POL_AUTH_FAILURE,
	    "publickey,keyboard-interactive", 1, "");
	rig_log_want(
	    &wire_fake->sent, "bsb", SSH_USERAUTH_FAILURE, "publickey,keyboard-interactive", 1);
	assert_false(wire_fake->open);
	done(&w);
}

static void
test_a_key_that_would_do_is_echoed(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	wire_fake_says("bsssbss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", "publickey", 0,
	    "rsa-sha2-512", "the blob");
	turn(&w);
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "b", POL_AUTH_PK_OK);
	rig_log_want(&wire_fake->sent, "bss", SSH_USERAUTH_PK_OK, "rsa-sha2-512", "the blob");
	done(&w);
}

static void
test_an_echo_of_what_was_no_question_ends_the_login(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	wire_fake_says("bsssbsss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", "publickey", 1,
	    "rsa-sha2-512", "the blob", "signature");
	turn(&w);
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "b", POL_AUTH_PK_OK);
	want_disconnect(
	    SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, "Login is not possible at the moment");
	done(&w);
}

static void
test_requests_are_asked_one_at_a_time_in_order(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	ask_none("first");
	ask_none("second");
	turn(&w);
	assert_true(wire_fake->paused);
	end_rig_want(w.policy, POL_AUTH_REQUEST, "bsss", SSH_USERAUTH_REQUEST, "first",
	    "ssh-connection", "none");
	end_rig_want_quiet(w.policy);
	end_rig_say(
	    w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsbs", POL_AUTH_FAILURE, "publickey", 0, "");
	end_rig_want(w.policy, POL_AUTH_REQUEST, "bsss", SSH_USERAUTH_REQUEST, "second",
	    "ssh-connection", "none");
	assert_false(wire_fake->paused);
	rig_log_want(&wire_fake->sent, "bsb", SSH_USERAUTH_FAILURE, "publickey", 0);
	want_nothing_sent();
	done(&w);
}

static void
test_nothing_is_asked_after_the_success(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	ask_none("first");
	ask_none("second");
	turn(&w);
	end_rig_want(w.policy, POL_AUTH_REQUEST, "bsss", SSH_USERAUTH_REQUEST, "first",
	    "ssh-connection", "none");
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "first",
	    "web1", "ref7", 3u);
	end_rig_want_quiet(w.policy);
	assert_true(wire_fake->open);
	ask_none("third");
	turn(&w);
	end_rig_want_quiet(w.policy);
	assert_false(wire_fake->over);
	done(&w);
}

static void
test_a_client_that_runs_far_ahead_is_disconnected(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	for (unsigned i = 0; i < FRONT_ASKS_MAX; i++)
		ask_none("eager");
	assert_false(wire_fake->over);
	ask_none("eager");
	want_disconnect(SSH_DISCONNECT_PROTOCOL_ERROR, "too much at once");
	done(&w);
}

static void
test_a_reply_to_nothing_ends_the_login(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "first",
	    "web1", "ref7", 3u);
	assert_false(wire_fake->open);
	want_disconnect(
	    SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, "Login is not possible at the moment");
	done(&w);
}

static void
test_malformed_replies_let_nobody_in(void **state)
{
	static const uint8_t whole[] = "\1\0\0\0\1a\0\0\0\1h\0\0\0\1r\0\0\0\3";
	struct world w;

	(void)state;
	for (size_t n = 1; n < sizeof(whole) - 1; n++) {
		start(&w);
		ask_none("alice");
		turn(&w);
		assert_int_equal(ipc_plain_send(w.policy, POL_AUTH_REPLY, 0, whole, n, NULL, 0), 0);
		turn(&w);
		assert_false(wire_fake->open);
		assert_true(wire_fake->over);
		done(&w);
	}
}

static void
test_policy_may_end_the_login_with_a_line(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	ask_none("alice");
	turn(&w);
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bs", POL_AUTH_CLOSE, "too many\a");
	want_disconnect(SSH_DISCONNECT_NO_MORE_AUTH_METHODS, "too many?");
	done(&w);
}

static void
test_answers_to_no_question_end_the_login(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	wire_fake_says("bu", 61, 0u);
	want_disconnect(SSH_DISCONNECT_PROTOCOL_ERROR, "unexpected message during login");
	done(&w);
}

static void
test_policy_is_needed_for_a_login_only(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	close(w.policy);
	turn(&w);
	want_disconnect(
	    SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, "Login is not possible at the moment");
	w.policy = -1;
	done(&w);
	running(&w);
	close(w.policy);
	w.policy = -1;
	turn(&w);
	assert_false(wire_fake->over);
	done(&w);
}

/* The leg. */

static void
test_without_a_host_the_shell_is_asked_for_once_and_a_refusal_ends_sessions(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "");
	end_rig_want_quiet(w.broker);
	open_session();
	open_session();
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0);
	turn(&w);
	end_rig_want(w.broker, BRK_FRONT_SHELL, "");
	end_rig_want_quiet(w.broker);
	rig_log_want(&wire_fake->sent, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 1u,
	    MUX_WINDOW_EARLY, 32768u);
	rig_log_want(&wire_fake->sent, "buuuu", SSH_CHANNEL_OPEN_CONFIRMATION, 7u, 2u,
	    MUX_WINDOW_EARLY, 32768u);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_REFUSED, -1, "s", "no host given: use this");
	want_told("bastiond: no host given: use this\n", 254);
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 1u);
	/* Later ones hear the same, and the connection stays. */
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 2u, "shell", 0);
	turn(&w);
	want_told("bastiond: no host given: use this\n", 254);
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 2u);
	end_rig_later(w.f.loop, 20 * S);
	assert_false(wire_fake->over);
	done(&w);
}

static void
test_without_a_host_and_a_channel_the_connection_stays(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "");
	end_rig_later(w.f.loop, 20 * S);
	assert_false(wire_fake->over);
	end_rig_want_quiet(w.broker);
	done(&w);
}

static void
test_without_a_host_frames_wait_for_the_link_of_the_shell(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "");
	open_session();
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0);
	turn(&w);
	end_rig_want(w.broker, BRK_FRONT_SHELL, "");
	give_link(&w);
	end_rig_want_frame(w.link, LINK_OPEN, 1, "s", "session");
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usb", 1u, "shell", 0);
	done(&w);
}

static void
test_a_link_that_nobody_asked_for_ends_the_front(void **state)
{
	struct world w;
	int theirs;

	(void)state;
	log_in(&w, "");
	theirs = end_rig_edge(&w.link);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	end_rig_want_gone(w.broker);
	done(&w);
}

static void
test_what_the_client_says_waits_for_the_link(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "web1");
	open_session();
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd");
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "early");
	turn(&w);
	give_link(&w);
	end_rig_want_frame(w.link, LINK_OPEN, 1, "s", "session");
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbs", 1u, "exec", 1, "cmd");
	end_rig_want_frame(w.link, LINK_DATA, 1, "r", "early");
	end_rig_want_quiet(w.link);
	done(&w);
}

static void
test_a_link_before_the_login_is_not_taken(void **state)
{
	struct world w;
	int theirs;

	(void)state;
	start(&w);
	theirs = end_rig_edge(&w.link);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	end_rig_want_gone(w.link);
	end_rig_want_gone(w.broker);
	done(&w);
}

/* Up to policy's answer, which is still on its way. */
static void
asked(struct world *w)
{
	start(w);
	ask_none("alice");
	turn(w);
	end_rig_want(w->policy, POL_AUTH_REQUEST, "bsss", SSH_USERAUTH_REQUEST, "alice",
	    "ssh-connection", "none");
}

static void
answered(struct world *w, const char *host)
{
	end_rig_say(w->f.loop, w->policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "alice",
	    host, "ref7", 3u);
}

static void
test_a_link_may_overtake_the_answer_of_policy(void **state)
{
	struct world w;
	int theirs;

	(void)state;
	asked(&w);
	theirs = end_rig_edge(&w.link);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	assert_false(wire_fake->open);
	answered(&w, "web1");
	assert_true(wire_fake->open);
	end_rig_want_frame(
	    w.link, LINK_NOTE, 0, "bss", LINK_NOTE_CLIENT, "SSH-2.0-peer", "some algorithms");
	done(&w);
}

static void
test_a_refusal_may_overtake_it_too(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_REFUSED, -1, "s", "no space");
	answered(&w, "web1");
	assert_true(wire_fake->open);
	end_rig_later(w.f.loop, 11 * S);
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "bastiond: no space; reference ref7");
	done(&w);
}

static void
test_an_early_link_of_a_login_without_a_host_is_none(void **state)
{
	struct world w;
	int theirs;

	(void)state;
	asked(&w);
	theirs = end_rig_edge(&w.link);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	answered(&w, "");
	assert_true(w.f.end.stopping);
	done(&w);
}

static void
test_of_two_early_links_the_front_ends(void **state)
{
	struct world w;
	int theirs, second;

	(void)state;
	asked(&w);
	theirs = end_rig_edge(&w.link);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	theirs = end_rig_edge(&second);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	end_rig_want_gone(second);
	end_rig_want_gone(w.broker);
	close(second);
	done(&w);
}

static void
test_there_is_one_link(void **state)
{
	struct world w;
	int theirs, second;

	(void)state;
	linked(&w);
	theirs = end_rig_edge(&second);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_LINK, theirs, "");
	close(theirs);
	end_rig_want_gone(second);
	close(second);
	done(&w);
}

static void
test_a_refusal_is_told_with_the_reference(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "web1");
	open_session();
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd");
	turn(&w);
	rig_log_clear(&wire_fake->sent);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_REFUSED, -1, "s", "no space");
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_SUCCESS, 7u);
	want_told("bastiond: no space; reference ref7\n", 255);
	done(&w);
}

static void
test_a_client_that_opens_nothing_is_told_by_the_disconnect(void **state)
{
	struct world w;

	(void)state;
	log_in(&w, "web1");
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_REFUSED, -1, "s", "no space");
	end_rig_later(w.f.loop, 9 * S);
	assert_false(wire_fake->over);
	end_rig_later(w.f.loop, 2 * S);
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "bastiond: no space; reference ref7");
	done(&w);
}

/* A ControlMaster without sessions. */
static void
test_a_target_that_leaves_takes_a_client_without_channels_along(void **state)
{
	struct world w;

	(void)state;
	linked(&w);
	end_rig_frame(w.f.loop, w.link, LINK_NOTE, 0, "b", LINK_NOTE_READY);
	end_rig_frame(w.f.loop, w.link, LINK_END, 0, "bs", LINK_END_TARGET, "web1: gone");
	assert_false(wire_fake->over);
	end_rig_later(w.f.loop, 2 * S);
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "bastiond: web1: gone; reference ref7");
	done(&w);
}

static void
test_the_end_of_the_leg_is_told_after_its_last_data(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	end_rig_frame(w.f.loop, w.link, LINK_DATA, 1, "r", "last");
	end_rig_frame(w.f.loop, w.link, LINK_END, 0, "bs", LINK_END_TARGET, "web1: gone\n");
	rig_log_want(&wire_fake->sent, "bus", SSH_CHANNEL_DATA, 7u, "last");
	want_told("bastiond: web1: gone?; reference ref7\n", 255);
	wire_fake_says("bu", SSH_CHANNEL_CLOSE, 1u);
	turn(&w);
	end_rig_later(w.f.loop, 2 * S);
	assert_true(wire_fake->over);
	done(&w);
}

/* The client speaks between the other end's last word and our reading it: it is the last word that it is told. */
static void
test_a_client_that_speaks_to_a_link_just_closed_is_told_why(void **state)
{
	static const char text[] = "\2\0\0\0\12web1: gone";
	struct world w;

	(void)state;
	running(&w);
	assert_int_equal(ipc_plain_send(w.link, LINK_END, 0, text, sizeof(text) - 1, NULL, 0), 0);
	close(w.link);
	w.link = -1;
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "signal", 0, "TERM");
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "more");
	assert_false(wire_fake->over);
	turn(&w);
	want_told("bastiond: web1: gone; reference ref7\n", 255);
	done(&w);
}

static void
test_a_link_that_just_closes_means_that_nothing_is_recorded(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	close(w.link);
	w.link = -1;
	turn(&w);
	want_told("bastiond: recording stopped: session ended; reference ref7\n", 255);
	done(&w);
}

static void
test_a_link_that_breaks_its_rules_is_closed(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	end_rig_frame(w.f.loop, w.link, LINK_DATA, 9, "r", "x");
	want_told("bastiond: the session ended; reference ref7\n", 255);
	end_rig_want_gone(w.link);
	done(&w);
}

static void
test_a_client_that_reads_nothing_is_not_waited_for_forever(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake->backlog = MUX_BACKLOG;
	end_rig_frame(w.f.loop, w.link, LINK_END, 0, "bs", LINK_END_TARGET, "web1: gone");
	want_nothing_sent();
	end_rig_later(w.f.loop, 9 * S);
	assert_false(wire_fake->over);
	end_rig_later(w.f.loop, 2 * S);
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "bastiond: web1: gone; reference ref7");
	done(&w);
}

static void
test_the_broker_may_close_before_and_after_the_login(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_CLOSE, -1, "s", "Login took too long");
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "Login took too long");
	done(&w);
	running(&w);
	end_rig_say(w.f.loop, w.broker, BRK_FRONT_CLOSE, -1, "s", "maintenance");
	want_told("bastiond: maintenance\n", 255);
	end_rig_later(w.f.loop, 1600 * CLOCK_NS_PER_MS);
	want_disconnect(SSH_DISCONNECT_BY_APPLICATION, "bastiond: maintenance");
	end_rig_want_frame(w.link, LINK_END, 0, "bs", LINK_END_KILLED, "bastiond: maintenance");
	done(&w);
}

static void
test_without_the_broker_the_session_ends(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	close(w.broker);
	w.broker = -1;
	turn(&w);
	want_told("bastiond: the bastion is stopping\n", 255);
	done(&w);
}

static void
test_a_client_that_goes_is_told_to_the_link(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, "last");
	wire_fake_ends(ERR_PEER_GONE, "closed by the peer");
	turn(&w);
	end_rig_want_frame(w.link, LINK_DATA, 1, "r", "last");
	end_rig_want_frame(w.link, LINK_END, 0, "bs", LINK_END_CLIENT, "closed by the peer");
	assert_int_equal(loop_run(w.f.loop), 0); /* it would hang if the loop were not stopped */
	done(&w);
}

static void
test_a_client_that_breaks_the_rules_is_disconnected(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	wire_fake_says("bus", SSH_CHANNEL_DATA, 9u, "x");
	want_disconnect(SSH_DISCONNECT_PROTOCOL_ERROR, "a message for a channel that is not open");
	turn(&w);
	end_rig_want_frame(w.link, LINK_END, 0, "bs", LINK_END_PROTOCOL,
	    "a message for a channel that is not open");
	done(&w);
	running(&w);
	wire_fake_ends(ERR_CRYPTO, "a packet that does not authenticate");
	turn(&w);
	end_rig_want_frame(
	    w.link, LINK_END, 0, "bs", LINK_END_PROTOCOL, "a packet that does not authenticate");
	done(&w);
}

static void
test_verdicts_and_readiness_reach_the_channels(void **state)
{
	struct world w;

	(void)state;
	linked(&w);
	open_session();
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "rm");
	turn(&w);
	rig_log_clear(&wire_fake->sent);
	end_rig_frame(w.f.loop, w.link, LINK_NOTE, 0, "b", LINK_NOTE_READY);
	rig_log_want(
	    &wire_fake->sent, "buu", SSH_CHANNEL_WINDOW_ADJUST, 7u, LINK_CREDIT - MUX_WINDOW_EARLY);
	end_rig_frame(
	    w.f.loop, w.link, LINK_NOTE, 0, "bubss", LINK_NOTE_VERDICT, 1u, POL_ALLOW, "exec", "");
	want_nothing_sent();
	end_rig_frame(w.f.loop, w.link, LINK_NOTE, 0, "bubss", LINK_NOTE_VERDICT, 1u, POL_DENY,
	    "exec", "not allowed");
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_SUCCESS, 7u);
	want_told("bastiond: not allowed\n", 254);
	done(&w);
}

/* Requests. */

static void
want_refused(struct world *w, const char *what, const char *why)
{
	turn(w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_FAILURE, 7u);
	end_rig_want_frame(w->link, LINK_NOTE, 1, "bss", LINK_NOTE_REFUSED, what, why);
}

static void
session(struct world *w)
{
	linked(w);
	open_session();
	turn(w);
	end_rig_want_frame(w->link, LINK_OPEN, 1, "s", "session");
	rig_log_clear(&wire_fake->sent);
}

/* Which of them the target gets, the recorder says. */
static void
test_variables_cross(void **state)
{
	struct world w;

	(void)state;
	session(&w);
	wire_fake_says("busbss", SSH_CHANNEL_REQUEST, 1u, "env", 0, "LC_ALL", "C");
	turn(&w);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbss", 1u, "env", 0, "LC_ALL", "C");
	wire_fake_says("busbss", SSH_CHANNEL_REQUEST, 1u, "env", 0, "LD_PRELOAD", "x");
	turn(&w);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbss", 2u, "env", 0, "LD_PRELOAD", "x");
	wire_fake_says("busbuuss", SSH_CHANNEL_REQUEST, 1u, "env", 1, 3u, 0x4c43005fu, "x", "");
	want_refused(&w, "env", "malformed");
	done(&w);
}

static void
test_requests_have_their_time(void **state)
{
	static const char *const before[] = { "env", "x11-req", "auth-agent-req@openssh.com",
		"pty-req" };
	static const char *const shapes[] = { "busbss", "busbbssu", "busb", "busbsuuuus" };
	struct world w;

	(void)state;
	session(&w);
	/* before a program: neither resize nor signal; one terminal */
	wire_fake_says("busbuuuu", SSH_CHANNEL_REQUEST, 1u, "window-change", 1, 1u, 2u, 3u, 4u);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_FAILURE, 7u);
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "signal", 1, "INT");
	want_refused(&w, "signal", "not at this time");
	wire_fake_says(
	    "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 0, "vt", 1u, 2u, 3u, 4u, "");
	turn(&w);
	end_rig_want_frame(
	    w.link, LINK_REQUEST, 1, "usbsuuuus", 1u, "pty-req", 0, "vt", 1u, 2u, 3u, 4u, "");
	wire_fake_says(
	    "busbsuuuus", SSH_CHANNEL_REQUEST, 1u, "pty-req", 1, "vt", 1u, 2u, 3u, 4u, "");
	want_refused(&w, "pty-req", "not at this time");
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "shell", 0);
	wire_fake_says("busbuuuu", SSH_CHANNEL_REQUEST, 1u, "window-change", 0, 1u, 2u, 3u, 4u);
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "signal", 0, "INT");
	wire_fake_says("busbu", SSH_CHANNEL_REQUEST, 1u, "break", 0, 500u);
	turn(&w);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usb", 2u, "shell", 0);
	end_rig_want_frame(
	    w.link, LINK_REQUEST, 1, "usbuuuu", 3u, "window-change", 0, 1u, 2u, 3u, 4u);
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbs", 4u, "signal", 0, "INT");
	end_rig_want_frame(w.link, LINK_REQUEST, 1, "usbu", 5u, "break", 0, 500u);
	/* after it: nothing that prepares one, and no second one */
	for (size_t i = 0; i < N_OF(before); i++) {
		if (i == 0)
			wire_fake_says(
			    shapes[i], SSH_CHANNEL_REQUEST, 1u, before[i], 1, "LANG", "C");
		else if (i == 1)
			wire_fake_says(
			    shapes[i], SSH_CHANNEL_REQUEST, 1u, before[i], 1, 0, "a", "b", 0u);
		else
			wire_fake_says(shapes[i], SSH_CHANNEL_REQUEST, 1u, before[i], 1, "vt", 1u,
			    2u, 3u, 4u, "");
		want_refused(&w, before[i], "not at this time");
	}
	wire_fake_says("busbs", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd");
	want_refused(&w, "exec", "not at this time");
	done(&w);
}

static void
test_what_is_unknown_or_malformed_is_refused_and_noted(void **state)
{
	struct world w;

	(void)state;
	session(&w);
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "odd", 1);
	want_refused(&w, "odd", "unknown request");
	wire_fake_says("busbsb", SSH_CHANNEL_REQUEST, 1u, "exec", 1, "cmd", 0);
	want_refused(&w, "exec", "malformed");
	wire_fake_says("busbb", SSH_CHANNEL_REQUEST, 1u, "shell", 1, 0);
	want_refused(&w, "shell", "malformed");
	/* asked just to hear a no */
	wire_fake_says("busb", SSH_CHANNEL_REQUEST, 1u, "winadj@putty.projects.tartarus.org", 1);
	turn(&w);
	rig_log_want(&wire_fake->sent, "bu", SSH_CHANNEL_FAILURE, 7u);
	end_rig_want_quiet(w.link);
	done(&w);
}

static void
test_only_sessions_are_opened_as_many_as_allowed(void **state)
{
	struct world w;
	struct rig_item it;

	(void)state;
	session(&w);
	wire_fake_says("bsuuu", SSH_CHANNEL_OPEN, "tun@openssh.com", 3u, 1u, 1u);
	turn(&w);
	rig_log_want(&wire_fake->sent, "buuss", SSH_CHANNEL_OPEN_FAILURE, 3u, SSH_OPEN_PROHIBITED,
	    "this is not opened through the bastion", "");
	end_rig_want_frame(w.link, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "tun@openssh.com",
	    "this is not opened through the bastion");
	/* policy said 3 */
	open_session();
	open_session();
	rig_log_clear(&wire_fake->sent);
	open_session();
	assert_true(rig_take(&wire_fake->sent, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	done(&w);
}

static void
test_global_requests_are_refused_by_their_kind(void **state)
{
	struct world w;
	struct rig_item it;

	(void)state;
	session(&w);
	wire_fake_says("bsb", SSH_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	rig_log_want(&wire_fake->sent, "b", SSH_REQUEST_FAILURE);
	end_rig_want_quiet(w.link);
	wire_fake_says("bsb", SSH_GLOBAL_REQUEST, "odd", 1);
	rig_log_want(&wire_fake->sent, "b", SSH_REQUEST_FAILURE);
	turn(&w);
	end_rig_want_frame(w.link, LINK_NOTE, 0, "bss", LINK_NOTE_REFUSED, "odd", "global request");
	/* This one is the target's to answer. */
	wire_fake_says("bsbsu", SSH_GLOBAL_REQUEST, "tcpip-forward", 1, "", 0u);
	turn(&w);
	want_nothing_sent();
	end_rig_want_frame(w.link, LINK_GLOBAL, 0, "usbsu", 1u, "tcpip-forward", 1, "", 0u);
	end_rig_frame(w.f.loop, w.link, LINK_GLOBAL_REPLY, 0, "ubu", 1u, 1, 4022u);
	rig_log_want(&wire_fake->sent, "bu", SSH_REQUEST_SUCCESS, 4022u);
	wire_fake_says("bsb", SSH_GLOBAL_REQUEST, "no-more-sessions@openssh.com", 0);
	want_nothing_sent();
	open_session();
	assert_true(rig_take(&wire_fake->sent, &it));
	assert_int_equal(it.type, SSH_CHANNEL_OPEN_FAILURE);
	wire_fake_says("bs", SSH_GLOBAL_REQUEST, "cut");
	assert_true(wire_fake->over);
	done(&w);
}

/* Liveness and back-pressure. */

static void
test_a_silent_client_is_given_up(void **state)
{
	struct world w;

	(void)state;
	running(&w); /* every 30 s, 2 may be missed */
	end_rig_later(w.f.loop, 30 * S);
	rig_log_want(&wire_fake->sent, "bsb", SSH_GLOBAL_REQUEST, "keepalive@openssh.com", 1);
	wire_fake_says("b", SSH_REQUEST_FAILURE);
	end_rig_later(w.f.loop, 30 * S);
	end_rig_later(w.f.loop, 30 * S);
	assert_false(wire_fake->over);
	end_rig_later(w.f.loop, 30 * S);
	want_disconnect(SSH_DISCONNECT_CONNECTION_LOST, "no answer for too long");
	done(&w);
}

static void
test_a_client_that_does_not_close_holds_nobody(void **state)
{
	struct world w;

	(void)state;
	running(&w); /* 8 s for CLOSE */
	end_rig_frame(w.f.loop, w.link, LINK_CLOSE, 1, "");
	end_rig_later(w.f.loop, 2 * S);
	end_rig_later(w.f.loop, 10 * S);
	end_rig_want_frame(w.link, LINK_NOTE, 1, "bu", LINK_NOTE_UNCLOSED, 8u);
	end_rig_want_frame(w.link, LINK_CLOSE, 1, "");
	assert_false(wire_fake->over);
	done(&w);
}

static void
test_any_message_is_a_sign_of_life(void **state)
{
	struct world w;

	(void)state;
	running(&w);
	for (int i = 0; i < 6; i++) {
		end_rig_later(w.f.loop, 30 * S);
		wire_fake_says("buu", SSH_CHANNEL_WINDOW_ADJUST, 1u, 1u);
	}
	assert_false(wire_fake->over);
	done(&w);
}

static void
test_a_slow_recorder_holds_the_client_back_and_loses_nothing(void **state)
{
	static char chunk[30001];
	struct ipc_msg msg;
	struct world w;
	size_t total = 0, got = 0;

	(void)state;
	running(&w);
	memset(chunk, 'x', sizeof(chunk) - 1);
	while (!wire_fake->paused && total < 4000000) {
		wire_fake_says("bus", SSH_CHANNEL_DATA, 1u, chunk);
		total += sizeof(chunk) - 1;
		turn(&w);
	}
	assert_true(wire_fake->paused);
	while (got < total) {
		end_rig_hear(w.link, LINK_DATA, &msg);
		got += msg.len;
		turn(&w);
	}
	assert_false(wire_fake->paused);
	end_rig_want_quiet(w.link);
	done(&w);
}

static void
test_a_client_is_held_back_while_there_is_no_link(void **state)
{
	static char chunk[30001];
	struct world w;

	(void)state;
	log_in(&w, "web1");
	memset(chunk, 'x', sizeof(chunk) - 1);
	for (uint32_t i = 1; i <= 3; i++) {
		open_session();
		for (int k = 0; k < 4; k++)
			wire_fake_says("bus", SSH_CHANNEL_DATA, i, chunk);
		turn(&w);
	}
	assert_true(wire_fake->paused);
	give_link(&w);
	assert_false(wire_fake->paused);
	done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_malformed_start_ends_the_front),
		cmocka_unit_test(test_nothing_counts_before_the_start_or_twice),
		cmocka_unit_test(test_the_vault_signs_the_exchange_hash),
		cmocka_unit_test(test_without_the_vault_there_is_no_signature),
		cmocka_unit_test(test_the_service_is_accepted),
		cmocka_unit_test(test_a_request_crosses_as_it_came_and_a_failure_comes_back),
		cmocka_unit_test(test_a_key_that_would_do_is_echoed),
		cmocka_unit_test(test_an_echo_of_what_was_no_question_ends_the_login),
		cmocka_unit_test(test_requests_are_asked_one_at_a_time_in_order),
		cmocka_unit_test(test_nothing_is_asked_after_the_success),
		cmocka_unit_test(test_a_client_that_runs_far_ahead_is_disconnected),
		cmocka_unit_test(test_a_reply_to_nothing_ends_the_login),
		cmocka_unit_test(test_malformed_replies_let_nobody_in),
		cmocka_unit_test(test_policy_may_end_the_login_with_a_line),
		cmocka_unit_test(test_answers_to_no_question_end_the_login),
		cmocka_unit_test(test_policy_is_needed_for_a_login_only),
		cmocka_unit_test(
		    test_without_a_host_the_shell_is_asked_for_once_and_a_refusal_ends_sessions),
		cmocka_unit_test(test_without_a_host_and_a_channel_the_connection_stays),
		cmocka_unit_test(test_without_a_host_frames_wait_for_the_link_of_the_shell),
		cmocka_unit_test(test_a_link_that_nobody_asked_for_ends_the_front),
		cmocka_unit_test(test_what_the_client_says_waits_for_the_link),
		cmocka_unit_test(test_a_link_before_the_login_is_not_taken),
		cmocka_unit_test(test_a_link_may_overtake_the_answer_of_policy),
		cmocka_unit_test(test_a_refusal_may_overtake_it_too),
		cmocka_unit_test(test_an_early_link_of_a_login_without_a_host_is_none),
		cmocka_unit_test(test_of_two_early_links_the_front_ends),
		cmocka_unit_test(test_there_is_one_link),
		cmocka_unit_test(test_a_refusal_is_told_with_the_reference),
		cmocka_unit_test(test_a_client_that_opens_nothing_is_told_by_the_disconnect),
		cmocka_unit_test(test_a_target_that_leaves_takes_a_client_without_channels_along),
		cmocka_unit_test(test_the_end_of_the_leg_is_told_after_its_last_data),
		cmocka_unit_test(test_a_client_that_speaks_to_a_link_just_closed_is_told_why),
		cmocka_unit_test(test_a_link_that_just_closes_means_that_nothing_is_recorded),
		cmocka_unit_test(test_a_link_that_breaks_its_rules_is_closed),
		cmocka_unit_test(test_a_client_that_reads_nothing_is_not_waited_for_forever),
		cmocka_unit_test(test_the_broker_may_close_before_and_after_the_login),
		cmocka_unit_test(test_without_the_broker_the_session_ends),
		cmocka_unit_test(test_a_client_that_goes_is_told_to_the_link),
		cmocka_unit_test(test_a_client_that_breaks_the_rules_is_disconnected),
		cmocka_unit_test(test_verdicts_and_readiness_reach_the_channels),
		cmocka_unit_test(test_variables_cross),
		cmocka_unit_test(test_requests_have_their_time),
		cmocka_unit_test(test_what_is_unknown_or_malformed_is_refused_and_noted),
		cmocka_unit_test(test_only_sessions_are_opened_as_many_as_allowed),
		cmocka_unit_test(test_global_requests_are_refused_by_their_kind),
		cmocka_unit_test(test_a_silent_client_is_given_up),
		cmocka_unit_test(test_a_client_that_does_not_close_holds_nobody),
		cmocka_unit_test(test_any_message_is_a_sign_of_life),
		cmocka_unit_test(test_a_slow_recorder_holds_the_client_back_and_loses_nothing),
		cmocka_unit_test(test_a_client_is_held_back_while_there_is_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
