/* keyboard-interactive through a front: questions one at a time, answers to questions only, and nothing that hangs. */
#include "config.h"

#include <sys/socket.h>

#include <unistd.h>

#include "bastiond/auth/auth_proto.h"
#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "policy/policy_proto.h"
#include "tests/lib/end_rig.h"
#include "tests/lib/test.h"

#define KEYBOARD "keyboard-interactive"

struct world {
	struct front f;
	int client, broker, policy, keys, talk;
};

static void
start(struct world *w)
{
	struct front_fds fds;
	int pair[2];

	end_rig_clock();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->client = pair[0];
	w->talk = -1;
	fds.client = pair[1];
	fds.broker = end_rig_edge(&w->broker);
	fds.policy = end_rig_edge(&w->policy);
	fds.keys = end_rig_edge(&w->keys);
	assert_int_equal(front_init(&w->f, &fds), 0);
	end_rig_say(w->f.loop, w->broker, BRK_FRONT_START, -1, "usuuuuuuuu", 1u, "host key blob",
	    4u, 0u, 0u, 0u, 0u, 0u, 0u, 0u);
	assert_non_null(wire_fake);
}

static void
done(struct world *w)
{
	front_done(&w->f);
	close(w->client);
	close(w->broker);
	close(w->policy);
	close(w->keys);
	if (w->talk >= 0)
		close(w->talk);
	clock_override(NULL, NULL);
}

static void
request(struct world *w, const char *method)
{
	wire_fake_says("bssss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", method, "");
	end_rig_turn(w->f.loop);
}

static void
want_request(struct world *w, const char *method)
{
	end_rig_want(w->policy, POL_AUTH_REQUEST, "bssss", SSH_USERAUTH_REQUEST, "alice",
	    "ssh-connection", method, "");
}

static void
give_talk(struct world *w)
{
	int theirs = end_rig_edge(&w->talk);

	end_rig_say(w->f.loop, w->broker, BRK_FRONT_AUTH, theirs, "");
	close(theirs);
}

/* Up to an auth program that may ask. */
static void
asked(struct world *w)
{
	start(w);
	wire_fake_says("bsssss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", KEYBOARD, "", "");
	end_rig_turn(w->f.loop);
	end_rig_want(w->policy, POL_AUTH_REQUEST, "bsssss", SSH_USERAUTH_REQUEST, "alice",
	    "ssh-connection", KEYBOARD, "", "");
	give_talk(w);
}

static void
ask(struct world *w, const char *text, const char *prompt)
{
	end_rig_say(w->f.loop, w->talk, AUTH_ASK, -1, "susb", text, 1u, prompt, 0);
}

static void
want_question(const char *text, const char *prompt)
{
	rig_log_want(
	    &wire_fake->sent, "bsssusb", SSH_USERAUTH_INFO_REQUEST, "", text, "", 1u, prompt, 0);
}

static void
answer(struct world *w, const char *text)
{
	wire_fake_says("bus", SSH_USERAUTH_INFO_RESPONSE, 1u, text);
	end_rig_turn(w->f.loop);
}

static void
fails(struct world *w, const char *banner)
{
	end_rig_say(w->f.loop, w->policy, POL_AUTH_REPLY, -1, "bsbs", POL_AUTH_FAILURE, KEYBOARD, 0,
	    banner);
}

static void
want_failure(void)
{
	rig_log_want(&wire_fake->sent, "bsb", SSH_USERAUTH_FAILURE, KEYBOARD, 0);
}

static void
want_nothing_sent(void)
{
	struct rig_item it;

	assert_false(rig_take(&wire_fake->sent, &it));
}

static void
want_disconnect(const char *text)
{
	assert_true(wire_fake->over);
	assert_string_equal(wire_fake->why, text);
	assert_int_equal(wire_fake->reason, SSH_DISCONNECT_PROTOCOL_ERROR);
}

/* What a client must not do. */

static void
test_an_answer_to_no_question_ends_the_connection(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	answer(&w, "unasked");
	want_disconnect("unexpected message during login");
	end_rig_want_quiet(w.policy);
	done(&w);
	/* An attempt is under way, but has asked nothing yet. */
	asked(&w);
	answer(&w, "early");
	want_disconnect("unexpected message during login");
	end_rig_want_quiet(w.talk);
	done(&w);
	/* One question, two answers. */
	asked(&w);
	ask(&w, "", "Password: ");
	answer(&w, "one");
	answer(&w, "two");
	want_disconnect("unexpected message during login");
	end_rig_want(w.talk, AUTH_ANSWER, "us", 1u, "one");
	end_rig_want_quiet(w.talk);
	done(&w);
}

static void
test_a_wrong_number_of_answers_ends_the_attempt(void **state)
{
	struct world w;

	(void)state;
	for (uint32_t n = 0; n < 3; n += 2) {
		asked(&w);
		ask(&w, "", "Password: ");
		want_question("", "Password: ");
		if (n == 0)
			wire_fake_says("bu", SSH_USERAUTH_INFO_RESPONSE, n);
		else
			wire_fake_says("buss", SSH_USERAUTH_INFO_RESPONSE, n, "a", "b");
		end_rig_turn(w.f.loop);
		end_rig_want_gone(w.talk);
		assert_false(wire_fake->over);
		/* The conversation fails, policy hears of it, and then the client. */
		fails(&w, "");
		want_failure();
		done(&w);
	}
}

static void
test_answers_that_are_too_long_end_the_attempt(void **state)
{
	char text[AUTH_ANSWER_MAX + 2];
	struct world w;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	asked(&w);
	ask(&w, "", "Password: ");
	answer(&w, text);
	end_rig_want_gone(w.talk);
	assert_false(wire_fake->over);
	done(&w);
	asked(&w);
	ask(&w, "", "Password: ");
	text[AUTH_ANSWER_MAX] = '\0';
	answer(&w, text);
	end_rig_want(w.talk, AUTH_ANSWER, "us", 1u, text);
	done(&w);
}

static void
test_malformed_answers_end_the_connection(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "", "Password: ");
	wire_fake_says("buu", SSH_USERAUTH_INFO_RESPONSE, 1u, 9u);
	want_disconnect("malformed answers");
	done(&w);
	asked(&w);
	ask(&w, "", "Password: ");
	wire_fake_says("buss", SSH_USERAUTH_INFO_RESPONSE, 1u, "a", "behind");
	want_disconnect("malformed answers");
	done(&w);
}

/* What the auth program must not do. */

static void
test_a_second_question_before_the_answer_ends_the_edge(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "", "one");
	ask(&w, "", "two");
	want_question("", "one");
	want_nothing_sent();
	end_rig_want_gone(w.talk);
	/* The client's answer is for nobody, and no fault of its own. */
	answer(&w, "late");
	assert_false(wire_fake->over);
	fails(&w, "");
	want_failure();
	done(&w);
}

static void
test_malformed_questions_end_the_edge(void **state)
{
	static const uint8_t whole[] = "\0\0\0\1i\0\0\0\1\0\0\0\1p\1";
	struct world w;

	(void)state;
	for (size_t n = 8; n < sizeof(whole) - 1; n++) {
		asked(&w);
		assert_int_equal(ipc_plain_send(w.talk, AUTH_ASK, 0, whole, n, NULL, 0), 0);
		end_rig_turn(w.f.loop);
		end_rig_want_gone(w.talk);
		want_nothing_sent();
		done(&w);
	}
	asked(&w);
	end_rig_say(w.f.loop, w.talk, AUTH_ASK, -1, "su", "", AUTH_PROMPTS_MAX + 1u);
	end_rig_want_gone(w.talk);
	done(&w);
	asked(&w);
	end_rig_say(w.f.loop, w.talk, AUTH_ASK, -1, "susb", "", 1u, "p", 2);
	end_rig_want_gone(w.talk);
	want_nothing_sent();
	done(&w);
}

static void
test_an_edge_for_no_attempt_is_not_taken(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	give_talk(&w);
	end_rig_want_gone(w.talk);
	close(w.talk);
	request(&w, "none");
	want_request(&w, "none");
	give_talk(&w);
	end_rig_want_gone(w.talk);
	done(&w);
}

/* The flow. */

static void
test_questions_and_answers_cross(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "Hello", "Password: ");
	want_question("Hello", "Password: ");
	end_rig_want_quiet(w.talk);
	answer(&w, "secret");
	end_rig_want(w.talk, AUTH_ANSWER, "us", 1u, "secret");
	/* A text that wants no answer is answered by the client on its own. */
	end_rig_say(w.f.loop, w.talk, AUTH_ASK, -1, "su", "Open https://op.example", 0u);
	rig_log_want(&wire_fake->sent, "bsssu", SSH_USERAUTH_INFO_REQUEST, "",
	    "Open https://op.example", "", 0u);
	wire_fake_says("bu", SSH_USERAUTH_INFO_RESPONSE, 0u);
	end_rig_turn(w.f.loop);
	end_rig_want(w.talk, AUTH_ANSWER, "u", 0u);
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "alice", "",
	    "ref7", 0u);
	assert_true(wire_fake->open);
	/* Afterwards nobody is asked anything. */
	end_rig_want_gone(w.talk);
	done(&w);
}

static void
test_an_attempt_that_ends_while_it_asks_leaves_nothing_behind(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "", "Password: ");
	want_question("", "Password: ");
	close(w.talk);
	w.talk = -1;
	end_rig_turn(w.f.loop);
	want_nothing_sent();
	fails(&w, "");
	want_failure();
	/* The person has typed it all the same: that is for nobody. Then they try again. */
	answer(&w, "late");
	assert_false(wire_fake->over);
	request(&w, KEYBOARD);
	want_request(&w, KEYBOARD);
	give_talk(&w);
	ask(&w, "", "Again: ");
	want_question("", "Again: ");
	answer(&w, "secret");
	end_rig_want(w.talk, AUTH_ANSWER, "us", 1u, "secret");
	done(&w);
}

static void
test_the_next_question_waits_for_the_answer_of_the_last(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "", "old: ");
	want_question("", "old: ");
	/* Another program takes its place. */
	close(w.talk);
	give_talk(&w);
	ask(&w, "", "new: ");
	want_nothing_sent();
	answer(&w, "to the old one");
	want_question("", "new: ");
	end_rig_want_quiet(w.talk);
	answer(&w, "to the new one");
	end_rig_want(w.talk, AUTH_ANSWER, "us", 1u, "to the new one");
	done(&w);
}

/* RFC 4256 section 3.1. */
static void
test_another_request_abandons_the_attempt(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	ask(&w, "", "Password: ");
	want_question("", "Password: ");
	request(&w, "none");
	end_rig_want(w.policy, POL_AUTH_ABANDON, "");
	end_rig_want_gone(w.talk);
	end_rig_want_quiet(w.policy);
	/* Its answer is nobody's any more, but for what is said of it once. */
	fails(&w, "denied; reference 1");
	rig_log_want(&wire_fake->sent, "bss", SSH_USERAUTH_BANNER, "denied; reference 1\r\n", "");
	want_nothing_sent();
	want_request(&w, "none");
	fails(&w, "denied; reference 1");
	want_failure();
	want_nothing_sent();
	/* From here on an answer is one to no question. */
	answer(&w, "late");
	want_disconnect("unexpected message during login");
	done(&w);
}

static void
test_a_request_that_was_overtaken_is_abandoned_at_once(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	request(&w, "none");
	want_request(&w, "none");
	wire_fake_says("bssss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", KEYBOARD, "");
	wire_fake_says("bssss", SSH_USERAUTH_REQUEST, "alice", "ssh-connection", "odd", "");
	fails(&w, "");
	want_failure();
	want_request(&w, KEYBOARD);
	end_rig_want(w.policy, POL_AUTH_ABANDON, "");
	give_talk(&w);
	end_rig_want_gone(w.talk);
	fails(&w, "");
	want_nothing_sent();
	want_request(&w, "odd");
	done(&w);
}

static void
test_a_success_that_crossed_is_one(void **state)
{
	struct world w;

	(void)state;
	asked(&w);
	request(&w, "none");
	end_rig_want(w.policy, POL_AUTH_ABANDON, "");
	end_rig_say(w.f.loop, w.policy, POL_AUTH_REPLY, -1, "bsssu", POL_AUTH_SUCCESS, "alice", "",
	    "ref7", 0u);
	assert_true(wire_fake->open);
	end_rig_want_quiet(w.policy);
	done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_to_no_question_ends_the_connection),
		cmocka_unit_test(test_a_wrong_number_of_answers_ends_the_attempt),
		cmocka_unit_test(test_answers_that_are_too_long_end_the_attempt),
		cmocka_unit_test(test_malformed_answers_end_the_connection),
		cmocka_unit_test(test_a_second_question_before_the_answer_ends_the_edge),
		cmocka_unit_test(test_malformed_questions_end_the_edge),
		cmocka_unit_test(test_an_edge_for_no_attempt_is_not_taken),
		cmocka_unit_test(test_questions_and_answers_cross),
		cmocka_unit_test(test_an_attempt_that_ends_while_it_asks_leaves_nothing_behind),
		cmocka_unit_test(test_the_next_question_waits_for_the_answer_of_the_last),
		cmocka_unit_test(test_another_request_abandons_the_attempt),
		cmocka_unit_test(test_a_request_that_was_overtaken_is_abandoned_at_once),
		cmocka_unit_test(test_a_success_that_crossed_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
