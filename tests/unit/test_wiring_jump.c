/*
 * Connections within connections, with every other program played here: what is asked of whom in which order, what every death
 * on the way leaves behind. rig_close() fails a test that leaves a descriptor open.
 */
#include "config.h"

#include <signal.h>
#include <unistd.h>

#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_scene.h"

#define S CLOCK_NS_PER_S

static struct fake *outer;
static uint32_t outer_conn;

/* Somebody is logged in without a host. */
static void
jump_set_up(void)
{
	outer_conn = scene_login();
	outer = rig_fake(&rig, "front");
}

static void
expect_jump_refused(uint32_t number, const char *part)
{
	rig_expect(&rig, outer->fds[0], BRK_FRONT_JUMP_REFUSED, &msg);
	assert_int_equal(msg.id, number);
	msg.data[msg.len] = '\0';
	assert_non_null(strstr((char *)msg.data + 4, part));
}

static void
test_a_jump_is_asked_keyed_and_started_in_order(void **state)
{
	static const uint8_t ask[] = "\0\0\0\1\0\0\0\4web1\0\0\0\26";
	struct fake *inner;
	char byte = 'x';
	uint32_t conn;

	(void)state;
	jump_set_up();
	rig_jump_ask(&rig, outer, 7, "web1");
	assert_int_equal(rig_count(&rig, "front"), 1);
	rig_expect(&rig, edge("policy"), POL_JUMP, &msg);
	conn = msg.id;
	assert_int_not_equal(conn, outer_conn);
	assert_int_equal(msg.n_fds, 1);
	assert_int_equal(msg.len, sizeof(ask) - 1);
	assert_int_equal(outer_conn, 1);
	assert_memory_equal(msg.data, ask, msg.len);
	rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg); /* the outer one's */
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("keys"), KEYS_FRONT);

	rig_jumped(&rig, conn, "web1");
	assert_int_equal(rig_count(&rig, "front"), 1);
	rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg);
	assert_int_equal(msg.id, conn);
	assert_int_equal(msg.n_fds, 1);
	assert_int_equal(msg.len, 21);
	assert_memory_equal(msg.data, "\0\0\0\0\4web1\0\0\0\1\0\0\0\4web1", 21);
	rig_msg_done(&msg);
	rig_expect_no(&rig, outer->fds[0], BRK_FRONT_JUMPED);

	rig_front_key(&rig, conn, "key", "certificate");
	assert_int_equal(rig_count(&rig, "front"), 2);
	inner = rig_fake(&rig, "front");
	for (size_t i = 0; i < FAKE_FDS; i++)
		assert_int_equal(inner->fds[i] >= 0, i < 4);
	rig_expect(&rig, outer->fds[0], BRK_FRONT_JUMPED, &msg);
	assert_int_equal(msg.id, 7);
	assert_int_equal(msg.n_fds, 1);
	/* A stream between the two, and nobody else holds an end of it. */
	assert_int_equal(write(msg.fds[0], &byte, 1), 1);
	assert_int_equal(read(inner->fds[1], &byte, 1), 1);
	rig_msg_done(&msg);
	assert_int_equal(read(inner->fds[1], &byte, 1), 0);
	assert_int_equal(ipc_plain_hello(inner->fds[0]), 0);
	rig_expect(&rig, inner->fds[0], BRK_FRONT_START, &msg);
	assert_int_equal(msg.id, conn);
	assert_memory_equal(msg.data, "\0\0\0\2\0\0\0\3key\0\0\0\13certificate\0\0\0\12", 30);
}

static void
test_a_jump_is_granted_like_any_login(void **state)
{
	struct fake *inner;
	uint32_t conn;

	(void)state;
	jump_set_up();
	conn = rig_jump(&rig, outer, 1);
	inner = rig_fake(&rig, "front");
	rig_grant(&rig, conn, 1); /* before its login: void */
	rig_expect_no(&rig, edge("recorder"), REC_OPEN);
	rig_send_text(&rig, edge("policy"), POL_AUTHENTICATED, conn, "alice");
	rig_grant(&rig, conn, 2);
	rig_expect(&rig, edge("recorder"), REC_OPEN, &msg);
	rig_opened(&rig, 2);
	rig_expect(&rig, inner->fds[0], BRK_FRONT_LINK, &msg);
	rig_expect_no(&rig, outer->fds[0], BRK_FRONT_LINK);
}

static void
test_a_jump_that_is_refused_leaves_nothing(void **state)
{
	(void)state;
	jump_set_up();
	rig_jump_ask(&rig, outer, 1, "nowhere");
	assert_int_equal(rig.w->n_jumps, 1);
	rig_send(&rig, edge("policy"), POL_JUMPED, rig.w->last_conn, "\0\0\0\0\2no", 7);
	expect_jump_refused(1, "no");
	rig_jump_ask(&rig, outer, 2, "web1");
	rig_jumped(&rig, rig.w->last_conn, "web1");
	rig_front_key(&rig, rig.w->last_conn, "", "");
	expect_jump_refused(2, "no key");
	rig_jump_ask(&rig, outer, 3, "web1");
	rig_jumped(&rig, rig.w->last_conn, "web1");
	rig.fail_spawn = 1;
	rig_front_key(&rig, rig.w->last_conn, "key", "");
	expect_jump_refused(3, "could not start");
	assert_int_equal(rig.w->n_jumps, 0);
	assert_int_equal(rig.w->n_conns, 1);
	assert_int_equal(limits_connections(rig.w->limits), 1);
	/* Policy forgot the first one itself; the second is nothing to it without a word. */
	rig_expect(&rig, edge("policy"), POL_CONN_GONE, &msg);
	assert_int_equal(msg.id, 3);
	rig_expect(&rig, edge("policy"), POL_CONN_GONE, &msg);
	assert_int_equal(msg.id, 4);
	rig_expect(&rig, edge("keys"), KEYS_FRONT_GONE, &msg);
	assert_int_equal(msg.id, 4);
}

static void
test_an_answer_about_a_jump_that_is_over_is_nobodys(void **state)
{
	uint32_t conn;

	(void)state;
	jump_set_up();
	rig_jump_ask(&rig, outer, 1, "web1");
	conn = rig.w->last_conn;
	rig_end(&rig, outer, 0);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 0);
	assert_int_equal(rig.w->n_jumps, 0);
	rig_jumped(&rig, conn, "web1");
	rig_front_key(&rig, conn, "key", "");
	assert_true(wiring_is_ready(rig.w));
	assert_null(rig_fake(&rig, "front"));
}

static void
test_answers_nobody_asked_for_end_who_gives_them(void **state)
{
	uint32_t conn;

	(void)state;
	jump_set_up();
	rig_jump_ask(&rig, outer, 1, "web1");
	conn = rig.w->last_conn;
	rig_front_key(&rig, conn, "key", ""); /* policy has not said yes */
	assert_false(service_is_up(&rig.w->keys));
	assert_int_equal(rig_count(&rig, "front"), 1);
	rig_jumped(&rig, outer_conn, "web1");
	assert_false(service_is_up(&rig.w->policy));
}

static void
test_a_target_without_a_name_has_no_key(void **state)
{
	(void)state;
	jump_set_up();
	rig_jump_ask(&rig, outer, 1, "web1");
	rig_jumped(&rig, rig.w->last_conn, ""); /* would be served with the bastion's own key */
	assert_false(service_is_up(&rig.w->policy));
	rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg);
	rig_expect_no(&rig, edge("keys"), KEYS_FRONT);
}

static void
test_so_many_jumps_and_no_more(void **state)
{
	(void)state;
	jump_set_up();
	rig.w->settings->per_source = 1; /* the outer one, which they are within */
	for (uint32_t i = 1; i <= WIRING_LEGS_MAX; i++)
		(void)rig_jump(&rig, outer, i);
	rig_jump_ask(&rig, outer, 99, "web1");
	expect_jump_refused(99, "Too many hosts at once");
	assert_int_equal(limits_refused(rig.w->limits, LIMITS_JUMPS), 1);
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	(void)rig_jump(&rig, outer, 100);
	/* They count among all connections. */
	assert_int_equal(limits_connections(rig.w->limits), WIRING_LEGS_MAX + 1);
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	assert_int_equal(limits_connections(rig.w->limits), WIRING_LEGS_MAX);
	rig.w->settings->connections = WIRING_LEGS_MAX;
	rig_jump_ask(&rig, outer, 102, "web1");
	expect_jump_refused(102, "Too many connections");
}

static void
test_who_only_asks_is_ended(void **state)
{
	(void)state;
	jump_set_up();
	for (uint32_t i = 1; i < WIRING_JUMPS_REFUSED_MAX; i++) {
		rig_jump_ask(&rig, outer, i, "nowhere");
		rig_send(&rig, edge("policy"), POL_JUMPED, rig.w->last_conn, "\0\0\0\0\2no", 7);
	}
	rig_expect_no(&rig, outer->fds[0], BRK_FRONT_CLOSE);
	rig_jump_ask(&rig, outer, 500, "nowhere");
	rig_send(&rig, edge("policy"), POL_JUMPED, rig.w->last_conn, "\0\0\0\0\2no", 7);
	rig_expect(&rig, outer->fds[0], BRK_FRONT_CLOSE, &msg);
	rig_jump_ask(&rig, outer, 501, "web1");
	expect_jump_refused(501, "about to end");
}

static void
test_a_host_name_that_is_too_long_asks_nobody(void **state)
{
	static char name[200];

	(void)state;
	jump_set_up();
	rig_expect(&rig, edge("policy"), POL_CONN, &msg);
	for (size_t i = 0; i + 1 < sizeof(name); i++)
		name[i] = 'a';
	for (int i = 0; i < 2; i++) { /* 199 bytes may be a name, 1025 may not */
		static uint8_t long_one[4 + WIRING_JUMP_HOST_MAX + 1 + 4] = { 0, 0, 4, 1 };

		if (i == 0)
			rig_jump_ask(&rig, outer, 1, name);
		else
			rig_send(
			    &rig, outer->fds[0], BRK_FRONT_JUMP, 2, long_one, sizeof(long_one));
	}
	rig_expect(&rig, edge("policy"), POL_JUMP, &msg);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("policy"), POL_JUMP);
	expect_jump_refused(2, "that long");
}

static void
test_nobody_jumps_from_a_jump_or_with_garbage(void **state)
{
	pid_t inner;

	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	inner = rig_fake(&rig, "front")->pid;
	rig_jump_ask(&rig, rig_fake(&rig, "front"), 1, "web2");
	assert_null(rig_fake_pid(&rig, inner));
	assert_int_equal(rig_count(&rig, "front"), 1);
	rig_send(&rig, outer->fds[0], BRK_FRONT_JUMP, 3, "\0\0\0\2ab\0\0\0", 9);
	assert_null(rig_fake(&rig, "front"));
}

static void
test_a_jump_waits_for_the_word_that_somebody_is_in(void **state)
{
	const char *line;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	outer = rig_fake(&rig, "front");
	rig_hello(&rig, outer->fds[0]);
	/* The front's word may overtake policy's: whether somebody is in is policy's to say. */
	rig_jump_ask(&rig, outer, 1, "web1");
	rig_expect(&rig, edge("policy"), POL_JUMP, &msg);
	rig_jumped(&rig, 2, "web1");
	rig_front_key(&rig, 2, "key", "");
	expect_jump_refused(1, "could not start");
	assert_int_equal(rig_count(&rig, "front"), 1);
}

static void
test_a_jump_ends_with_what_it_runs_through(void **state)
{
	struct fake *inner;
	uint32_t conn;

	(void)state;
	jump_set_up();
	conn = rig_jump(&rig, outer, 1);
	inner = rig_fake(&rig, "front");
	rig_send_text(&rig, edge("policy"), POL_AUTHENTICATED, conn, "alice");
	rig_jump_ask(&rig, outer, 2, "web1"); /* this one is only asked for */
	inner->stubborn = true;
	rig_end(&rig, outer, SIGSEGV);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 1);
	rig_expect(&rig, inner->fds[0], BRK_FRONT_CLOSE, &msg);
	rig_pass_time(&rig, WIRING_KILL_NS);
	assert_true(inner->told_kill);
	rig_end(&rig, inner, SIGKILL);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 0);
	assert_int_equal(rig.w->n_jumps, 0);
	assert_int_equal(limits_connections(rig.w->limits), 0);
}

static void
test_the_end_of_a_jump_is_its_own(void **state)
{
	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	rig_end(&rig, rig_fake(&rig, "front"), SIGSEGV);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 1);
	assert_int_equal(rig.w->n_jumps, 0);
	rig_expect_no(&rig, outer->fds[0], BRK_FRONT_CLOSE);
	(void)rig_jump(&rig, outer, 2);
	assert_int_equal(rig.w->n_jumps, 1);
}

static void
test_a_jump_has_the_grace_time_too(void **state)
{
	uint32_t conn;

	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	rig_jump_ask(&rig, outer, 2, "web1"); /* policy says nothing */
	rig_jump_ask(&rig, outer, 3, "web1"); /* the vault says nothing */
	conn = rig.w->last_conn;
	rig_jumped(&rig, conn, "web1");
	rig_pass_time(&rig, rig.w->settings->grace_ns - S);
	rig_expect_no(&rig, rig_fake(&rig, "front")->fds[0], BRK_FRONT_CLOSE);
	rig_pass_time(&rig, 2 * S);
	rig_expect(&rig, rig_fake(&rig, "front")->fds[0], BRK_FRONT_CLOSE, &msg);
	expect_jump_refused(2, "in time");
	expect_jump_refused(3, "in time");
	assert_int_equal(rig.w->n_jumps, 1);
	rig_pass_time(&rig, WIRING_KILL_NS);
	assert_int_equal(rig.w->n_jumps, 0);
	assert_int_equal(rig.w->n_conns, 1);
}

static void
test_only_what_is_an_attack_is_charged_to_a_jump(void **state)
{
	uint8_t kind = POL_FAILURE_AUTH;
	size_t known, bad;

	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	rig_end(&rig, rig_fake(&rig, "front"), 0); /* left at the question about the host key */
	rig_run(&rig);
	penalty_count(rig.w->penalty, &known, &bad);
	assert_int_equal(known, 0);
	rig_send(&rig, edge("policy"), POL_FAILED, rig_jump(&rig, outer, 2), &kind, 1);
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	penalty_count(rig.w->penalty, &known, &bad);
	assert_int_equal(known, 1);
}

static void
test_a_jump_with_services_that_die(void **state)
{
	struct fake *inner;
	uint32_t conn;

	(void)state;
	jump_set_up();
	conn = rig_jump(&rig, outer, 1);
	inner = rig_fake(&rig, "front");
	rig_send_text(&rig, edge("policy"), POL_AUTHENTICATED, conn, "alice");
	rig_jump_ask(&rig, outer, 2, "web1");
	rig_jumped(&rig, rig.w->last_conn, "web1");
	rig_end(&rig, rig_fake(&rig, "keys"), SIGSEGV);
	rig_run(&rig);
	expect_jump_refused(2, "vault was restarted");
	rig_jump_ask(&rig, outer, 3, "web1");
	expect_jump_refused(3, "vault is starting");
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "keys");
	/* The new one hears of both, for rekeying only, and which key the jump's is. */
	for (int seen = 0; seen != 3;) {
		rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg);
		assert_int_equal(msg.data[0], 1);
		if (msg.id == conn)
			assert_memory_equal(msg.data + 1, "\0\0\0\4web1\0\0\0\1\0\0\0\4web1", 20);
		seen |= msg.id == conn ? 1 : 2;
	}
	rig_expect(&rig, inner->fds[0], BRK_FRONT_KEYS, &msg);
	rig_jump_ask(&rig, outer, 4, "web1");
	rig_end(&rig, rig_fake(&rig, "policy"), SIGSEGV);
	rig_run(&rig);
	expect_jump_refused(4, "restarted");
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "policy");
	/* Both go on; but the new policy does not know who that is. */
	assert_int_equal(rig_count(&rig, "front"), 2);
	rig_jump_ask(&rig, outer, 5, "web1");
	expect_jump_refused(5, "connect again");
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGSEGV);
	rig_run(&rig);
	rig_jump_ask(&rig, outer, 6, "web1");
	expect_jump_refused(6, "recorder is");
}

static void
test_a_stop_ends_jumps_too(void **state)
{
	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	rig_jump_ask(&rig, outer, 2, "web1");
	wiring_stop(rig.w, "bye");
	rig_expect(&rig, rig_fake(&rig, "front")->fds[0], BRK_FRONT_CLOSE, &msg);
	expect_jump_refused(2, "bye");
	rig_jump_ask(&rig, outer, 3, "web1");
	expect_jump_refused(3, "shutting down");
	for (int i = 0; i < 40; i++)
		rig_pass_time(&rig, S);
	assert_true(wiring_stopped(rig.w));
}

static char status_text[8192];

static void
take_status(void *arg, struct json *status)
{
	char *text = NULL;
	size_t len = 0;

	(void)arg;
	assert_int_equal(json_text(status, false, sizeof(status_text) - 1, &text, &len), 0);
	memcpy(status_text, text, len);
	status_text[len] = '\0';
	free(text);
	json_free(status);
}

static void
test_status_tells_jumps_from_connections(void **state)
{
	(void)state;
	jump_set_up();
	(void)rig_jump(&rig, outer, 1);
	rig_jump_ask(&rig, outer, 2, "web1");
	assert_int_equal(wiring_status(rig.w, take_status, NULL), 0);
	rig_pass_time(&rig, 2 * S);
	assert_non_null(strstr(status_text, "\"connections\":1,\"jumps\":2,"));
	assert_non_null(strstr(status_text, "\"through\":1,\"target\":\"web1\""));
	assert_non_null(strstr(status_text, "asks policy"));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		T(test_a_jump_is_asked_keyed_and_started_in_order),
		T(test_a_jump_is_granted_like_any_login),
		T(test_a_jump_that_is_refused_leaves_nothing),
		T(test_an_answer_about_a_jump_that_is_over_is_nobodys),
		T(test_answers_nobody_asked_for_end_who_gives_them),
		T(test_a_target_without_a_name_has_no_key),
		T(test_so_many_jumps_and_no_more),
		T(test_who_only_asks_is_ended),
		T(test_a_host_name_that_is_too_long_asks_nobody),
		T(test_nobody_jumps_from_a_jump_or_with_garbage),
		T(test_a_jump_waits_for_the_word_that_somebody_is_in),
		T(test_a_jump_ends_with_what_it_runs_through),
		T(test_the_end_of_a_jump_is_its_own),
		T(test_a_jump_has_the_grace_time_too),
		T(test_only_what_is_an_attack_is_charged_to_a_jump),
		T(test_a_jump_with_services_that_die),
		T(test_a_stop_ends_jumps_too),
		T(test_status_tells_jumps_from_connections),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
