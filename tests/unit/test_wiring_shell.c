/*
 * The bastion's own shell in the broker, with every other program played here: who is asked in which order, whose link goes to whom,
 * what every death leaves behind. rig_close() fails a test that leaves a descriptor open.
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

static uint32_t conn;

static int
set_up(void **state)
{
	(void)scene_open(state);
	conn = scene_login();
	return 0;
}

static void
grant(uint32_t leg, uint8_t kind, uint32_t via)
{
	rig_grant_as(&rig, conn, leg, kind, via);
}

static void
say(const char *name, uint16_t type, uint32_t id)
{
	rig_send(&rig, edge(name), type, id, NULL, 0);
}

static void
expect_refused(uint32_t leg, const char *part)
{
	rig_expect(&rig, edge("front"), BRK_FRONT_REFUSED, &msg);
	assert_int_equal(msg.id, leg);
	msg.data[msg.len] = '\0';
	assert_non_null(strstr((char *)msg.data + 4, part));
}

/* A shell that runs on leg 1. */
static struct fake *
start_shell(void)
{
	struct fake *f;

	say("front", BRK_FRONT_SHELL, 0);
	grant(1, POL_BACK_SHELL, 0);
	rig_opened(&rig, 1);
	f = rig_fake(&rig, "shell");
	assert_non_null(f);
	assert_int_equal(ipc_plain_hello(f->fds[0]), 0);
	return f;
}

static void
test_a_shell_is_asked_for_and_started_in_order(void **state)
{
	struct fake *f;

	(void)state;
	say("front", BRK_FRONT_SHELL, 0);
	rig_expect(&rig, edge("policy"), POL_WANT_SHELL, &msg);
	assert_int_equal(msg.id, conn);
	grant(1, POL_BACK_SHELL, 0);
	rig_expect(&rig, edge("recorder"), REC_OPEN, &msg);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_LINK);
	assert_null(rig_fake(&rig, "shell"));
	rig_opened(&rig, 1);
	f = rig_fake(&rig, "shell");
	assert_non_null(f);
	assert_null(rig_fake(&rig, "back"));
	/* Three edges, and nothing of the vault. */
	for (size_t i = 0; i < FAKE_FDS; i++)
		assert_int_equal(f->fds[i] >= 0, i < 3);
	rig_expect_no(&rig, edge("keys"), KEYS_BACK);
	rig_expect(&rig, edge("policy"), POL_SHELL_EDGE, &msg);
	assert_int_equal(msg.id, 1);
	assert_int_equal(msg.n_fds, 1);
	rig_msg_done(&msg);
	rig_expect(&rig, edge("front"), BRK_FRONT_LINK, &msg);
	assert_int_equal(msg.id, 1);
	rig_msg_done(&msg);
	assert_int_equal(ipc_plain_hello(f->fds[0]), 0);
	rig_expect(&rig, f->fds[0], BRK_SHELL_START, &msg);
	assert_int_equal(msg.id, 1);
}

static void
test_who_may_not_have_one(void **state)
{
	(void)state;
	say("front", BRK_FRONT_SHELL, 0);
	rig_send_text(&rig, edge("policy"), POL_NO_SHELL, conn, "not you");
	expect_refused(0, "not you");
	/* An answer for nobody is no fault. */
	rig_send_text(&rig, edge("policy"), POL_NO_SHELL, 999, "who");
	/* Once is enough. */
	say("front", BRK_FRONT_SHELL, 0);
	assert_null(rig_fake(&rig, "front"));
	assert_non_null(rig_fake(&rig, "policy"));
}

static void
test_a_jump_has_none(void **state)
{
	struct fake *outer = rig_fake(&rig, "front"), *inner;

	(void)state;
	(void)rig_jump(&rig, outer, 1);
	inner = rig_fake(&rig, "front");
	assert_ptr_not_equal(inner, outer);
	rig_send(&rig, inner->fds[0], BRK_FRONT_SHELL, 0, NULL, 0);
	assert_ptr_equal(rig_fake(&rig, "front"), outer);
	rig_expect_no(&rig, edge("policy"), POL_WANT_SHELL);
}

static void
test_without_policy_there_is_a_line(void **state)
{
	(void)state;
	rig_end(&rig, rig_fake(&rig, "policy"), SIGKILL);
	rig_run(&rig);
	say("front", BRK_FRONT_SHELL, 0);
	expect_refused(0, "policy was restarted");
}

static void
test_policy_that_forgot_it_gives_no_edge(void **state)
{
	(void)state;
	say("front", BRK_FRONT_SHELL, 0);
	grant(1, POL_BACK_SHELL, 0);
	rig_end(&rig, rig_fake(&rig, "policy"), SIGKILL);
	rig_run(&rig);
	expect_refused(1, "policy");
	rig_opened(&rig, 1);
	assert_null(rig_fake(&rig, "shell"));
}

static void
test_a_shell_that_cannot_be_started(void **state)
{
	(void)state;
	say("front", BRK_FRONT_SHELL, 0);
	grant(1, POL_BACK_SHELL, 0);
	rig.fail_spawn = 1;
	rig_opened(&rig, 1);
	assert_null(rig_fake(&rig, "shell"));
	expect_refused(1, "could not start");
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_int_equal(msg.id, 1);
}

static void
test_a_leg_by_way_of_it_links_to_it(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	grant(2, POL_BACK_SSH, 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_LINK, &msg); /* its own */
	rig_msg_done(&msg);
	rig_expect_no(&rig, f->fds[0], BRK_SHELL_LINK);
	rig_opened(&rig, 2);
	assert_non_null(rig_fake(&rig, "back"));
	rig_expect(&rig, f->fds[0], BRK_SHELL_LINK, &msg);
	assert_int_equal(msg.id, 2);
	assert_int_equal(msg.n_fds, 1);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_LINK);
}

static void
test_a_leg_that_is_refused_is_told_to_it(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	grant(2, POL_BACK_SSH, 1);
	rig_send_text(&rig, edge("recorder"), REC_REFUSED, 2, "no room");
	rig_expect(&rig, f->fds[0], BRK_SHELL_REFUSED, &msg);
	assert_int_equal(msg.id, 2);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_REFUSED);
}

static void
test_a_way_that_is_no_shell_is_void(void **state)
{
	(void)state;
	/* A leg that is not there, and one that is a host's. */
	grant(1, POL_BACK_SSH, 77);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_int_equal(msg.id, 1);
	rig_grant(&rig, conn, 2);
	rig_opened(&rig, 2);
	grant(3, POL_BACK_SSH, 2);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_int_equal(msg.id, 3);
	rig_expect(&rig, edge("recorder"), REC_OPEN, &msg);
	assert_int_equal(msg.id, 2);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("recorder"), REC_OPEN);
}

static void
test_a_shell_of_others_is_no_way(void **state)
{
	(void)state;
	(void)start_shell();
	conn = rig_login(&rig, "192.0.2.2");
	grant(2, POL_BACK_SSH, 1);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_int_equal(msg.id, 2);
}

static void
test_a_shell_that_dies_takes_what_is_opening(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	grant(2, POL_BACK_SSH, 1);
	rig_end(&rig, f, SIGSEGV);
	rig_run(&rig);
	rig_opened(&rig, 2);
	assert_null(rig_fake(&rig, "back"));
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	/* A death that nobody brought about is an event. */
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	msg.data[msg.len] = '\0';
	assert_non_null(strstr((char *)msg.data, "back.crashed"));
}

static void
test_a_shell_that_breaks_rules_is_killed(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	f->stubborn = true;
	rig_send(&rig, f->fds[0], BRK_SHELL_LINK, 1, NULL, 0);
	rig_run(&rig);
	assert_true(f->told_kill);
	rig_end(&rig, f, SIGKILL);
	rig_run(&rig);
}

/* Sessions. */

static void
durable(void)
{
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, msg.id, NULL, 0);
}

static void
test_sessions_are_noted_and_then_shown(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 5, NULL, 0);
	assert_null(rig_fake(&rig, "reader"));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	msg.data[msg.len] = '\0';
	assert_non_null(strstr((char *)msg.data, "\"record.viewed\""));
	assert_non_null(strstr((char *)msg.data, "\"by\":\"alice\""));
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, msg.id, NULL, 0);
	assert_non_null(rig_fake(&rig, "reader"));
	/* Its own, and nobody else's. */
	assert_string_equal(
	    rig_fake(&rig, "reader")->argv, "--store recorder list --identity alice ");
	rig_expect(&rig, f->fds[0], BRK_SHELL_EDGE, &msg);
	assert_int_equal(msg.id, 5);
	assert_int_equal(msg.n_fds, 1);
	rig_msg_done(&msg);
	/* One at a time. */
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 6, NULL, 0);
	durable();
	rig_expect(&rig, f->fds[0], BRK_SHELL_NO_EDGE, &msg);
	assert_int_equal(msg.id, 6);
	rig_end(&rig, rig_fake(&rig, "reader"), 0);
	rig_run(&rig);
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 7, NULL, 0);
	durable();
	rig_expect(&rig, f->fds[0], BRK_SHELL_EDGE, &msg);
}

static void
test_two_questions_at_once_end_it(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 5, NULL, 0);
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 6, NULL, 0);
	rig_run(&rig);
	assert_null(rig_fake(&rig, "shell"));
	/* The view may still become durable: nobody waits for it. */
	durable();
	assert_null(rig_fake(&rig, "reader"));
}

static void
test_a_view_that_cannot_be_noted_is_none(void **state)
{
	struct fake *f = start_shell();

	(void)state;
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 5, NULL, 0);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	rig_run(&rig);
	rig_expect(&rig, f->fds[0], BRK_SHELL_NO_EDGE, &msg);
	assert_null(rig_fake(&rig, "reader"));
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, 6, NULL, 0);
	rig_expect(&rig, f->fds[0], BRK_SHELL_NO_EDGE, &msg);
	assert_int_equal(msg.id, 6);
}

static void
test_all_of_them_leave_readers_for_auditors(void **state)
{
	const char *const args[] = { "list", NULL };
	int fd = -1;

	(void)state;
	for (uint32_t i = 0; i < WIRING_SHELL_READERS_MAX; i++) {
		const char *of[] = { "list", "--identity", "alice", NULL };

		assert_int_equal(wiring_reader_for_leg(rig.w, 100 + i, of, &fd), 0);
		fd_close(&fd);
	}
	assert_int_equal(wiring_reader_for_leg(rig.w, 99, args, &fd), ERR_LIMIT);
	assert_int_equal(wiring_reader(rig.w, args, &fd), 0);
	fd_close(&fd);
}

static void
test_it_ends_with_its_session(void **state)
{
	uint8_t sid[REC_SID_LEN];

	(void)state;
	(void)start_shell();
	memset(sid, RIG_SID_OF(1), sizeof(sid));
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, sid, sizeof(sid));
	assert_non_null(rig_fake(&rig, "shell"));
	rig_pass_time(&rig, wiring_settings(rig.w)->stall_timeout_ns + WIRING_LINGER_NS);
	assert_null(rig_fake(&rig, "shell"));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, scene_close)
	const struct CMUnitTest tests[] = {
		T(test_a_shell_is_asked_for_and_started_in_order),
		T(test_who_may_not_have_one),
		T(test_a_jump_has_none),
		T(test_without_policy_there_is_a_line),
		T(test_policy_that_forgot_it_gives_no_edge),
		T(test_a_shell_that_cannot_be_started),
		T(test_a_leg_by_way_of_it_links_to_it),
		T(test_a_leg_that_is_refused_is_told_to_it),
		T(test_a_way_that_is_no_shell_is_void),
		T(test_a_shell_of_others_is_no_way),
		T(test_a_shell_that_dies_takes_what_is_opening),
		T(test_a_shell_that_breaks_rules_is_killed),
		T(test_sessions_are_noted_and_then_shown),
		T(test_two_questions_at_once_end_it),
		T(test_a_view_that_cannot_be_noted_is_none),
		T(test_all_of_them_leave_readers_for_auditors),
		T(test_it_ends_with_its_session),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
