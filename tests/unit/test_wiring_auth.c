/*
 * Conversations with PAM in the broker, every other program played here: who gets which edge, who hears of which end, and that
 * policy hears of each one exactly once. rig_close() fails a test that leaves a descriptor open.
 */
#include "config.h"

#include <signal.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "tests/lib/wiring_rig.h"

#define S CLOCK_NS_PER_S

static struct rig rig;
static struct rig_msg msg;
static uint32_t conn;

static void
few(struct settings *s)
{
	s->auth_processes = 2;
	s->pam_timeout_ns = 60 * S;
	snprintf(s->pam_service, sizeof(s->pam_service), "staff");
	snprintf(s->pam_confdir, sizeof(s->pam_confdir), "/etc/bastion/pam");
	snprintf(s->pam_write.path[s->pam_write.n++], PATH_MAX, "/var/codes");
	snprintf(s->pam_run.path[s->pam_run.n++], PATH_MAX, "/bin/true");
}

static int
set_up(void **state)
{
	(void)state;
	rig_open(&rig, few);
	rig_start(&rig);
	conn = rig_login(&rig, "192.0.2.1");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	rig_msg_done(&msg);
	rig_close(&rig);
	return 0;
}

static int
edge(const char *name)
{
	struct fake *f = rig_fake(&rig, name);

	assert_non_null(f);
	return f->fds[0];
}

static void
put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
want(uint32_t id, uint32_t attempt, uint32_t via)
{
	uint8_t data[8];

	put_u32(data, attempt);
	put_u32(data + 4, via);
	rig_send(&rig, edge("policy"), POL_WANT_AUTH, id, data, sizeof(data));
}

static void
stop(uint32_t id, uint32_t attempt)
{
	uint8_t data[4];

	put_u32(data, attempt);
	rig_send(&rig, edge("policy"), POL_STOP_AUTH, id, data, sizeof(data));
}

/* Policy hears that the attempt is over, and how. */
static void
expect_gone(uint32_t id, uint32_t attempt, const char *how)
{
	rig_expect(&rig, edge("policy"), POL_AUTH_GONE, &msg);
	assert_int_equal(msg.id, id);
	assert_true(msg.len >= 8 && get_u32(msg.data + 4) == msg.len - 8);
	assert_int_equal(get_u32(msg.data), attempt);
	msg.data[msg.len] = '\0';
	assert_string_equal((char *)msg.data + 8, how);
}

static struct fake *
start(uint32_t attempt)
{
	struct fake *f;

	want(conn, attempt, 0);
	f = rig_fake(&rig, "auth");
	assert_non_null(f);
	rig_hello(&rig, f->fds[0]);
	return f;
}

static void
test_three_edges_are_made_and_handed_out(void **state)
{
	struct fake *f = start(1);
	int policy_end, talk_end;

	(void)state;
	for (size_t i = 0; i < FAKE_FDS; i++)
		assert_int_equal(f->fds[i] >= 0, i < 3);
	assert_string_equal(f->argv, "--read=/etc/bastion/pam --write=/var/codes --run=/bin/true ");
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_int_equal(msg.id, conn);
	assert_int_equal(msg.len, 4 + strlen("staff") + 4 + strlen("/etc/bastion/pam"));
	assert_memory_equal(msg.data, "\0\0\0\5staff\0\0\0\20/etc/bastion/pam", msg.len);

	rig_expect(&rig, edge("policy"), POL_AUTH_EDGE, &msg);
	assert_int_equal(msg.id, conn);
	assert_int_equal(msg.len, 4);
	assert_int_equal(get_u32(msg.data), 1);
	assert_int_equal(msg.n_fds, 1);
	policy_end = msg.fds[0];
	msg.n_fds = 0;
	rig_expect(&rig, edge("front"), BRK_FRONT_AUTH, &msg);
	assert_int_equal(msg.n_fds, 1);
	assert_int_equal(msg.len, 0);
	talk_end = msg.fds[0];
	msg.n_fds = 0;
	/* Each is the other end of what the program has. */
	assert_int_equal(write(policy_end, "p", 1), 1);
	assert_int_equal(write(talk_end, "t", 1), 1);
	assert_int_equal(read(f->fds[1], msg.data, 1), 1);
	assert_int_equal(read(f->fds[2], msg.data + 1, 1), 1);
	assert_memory_equal(msg.data, "pt", 2);
	fd_close(&policy_end);
	fd_close(&talk_end);
}

static void
test_its_end_is_told_once_with_what_was_left(void **state)
{
	static const struct {
		int status;
		const char *how;
	} ends[] = { { 0, "exit 0" }, { 3 << 8, "exit 3" },
		{ SIGSEGV, "signal 11 (Segmentation fault)" } };

	(void)state;
	for (uint32_t i = 0; i < N_OF(ends); i++) {
		unsigned groups = rig.n_groups_killed;

		rig_end(&rig, start(i + 1), ends[i].status);
		expect_gone(conn, i + 1, ends[i].how);
		rig_expect_no(&rig, edge("policy"), POL_AUTH_GONE);
		/* Whoever it has started and left, before its number can be another's. */
		assert_true(rig.n_groups_killed > groups);
		assert_null(rig_fake(&rig, "auth"));
	}
	assert_int_equal(rig.w->n_auths, 0);
	/* The front and everybody else goes on. */
	assert_non_null(rig_fake(&rig, "front"));
}

/* Its edge is closed, so that it ends what it has started; it is killed when it does not. */
static void
test_a_stopped_one_has_a_moment_to_end(void **state)
{
	struct fake *f = start(1);

	(void)state;
	stop(conn, 1);
	assert_non_null(rig_fake_pid(&rig, f->pid));
	assert_false(f->told_kill);
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_false(rig_take(&rig, f->fds[0], &msg));
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), 0);
	rig_expect_no(&rig, edge("policy"), POL_AUTH_GONE);
	rig_end(&rig, f, 0);
	expect_gone(conn, 1, "stopped");
	/* Again, and for one that never was: nobody's. */
	stop(conn, 1);
	stop(conn, 9);
	stop(conn + 40, 1);
	rig_expect_no(&rig, edge("policy"), POL_AUTH_GONE);

	f = start(2);
	f->stubborn = true;
	stop(conn, 2);
	rig_pass_time(&rig, WIRING_KILL_NS - S / 10);
	assert_false(f->told_kill);
	rig_pass_time(&rig, S);
	assert_true(f->told_kill && f->group_killed);
	rig_end(&rig, f, SIGKILL);
	expect_gone(conn, 2, "stopped");
}

static void
test_one_that_takes_too_long(void **state)
{
	struct fake *f = start(1);

	(void)state;
	f->stubborn = true;
	/* It is to say so itself, at its time. */
	rig_pass_time(&rig, 60 * S);
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), -1);
	rig_pass_time(&rig, AUTH_OVERTIME_NS);
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), 0);
	rig_pass_time(&rig, WIRING_KILL_NS);
	assert_true(f->told_kill && f->group_killed);
	rig_end(&rig, f, SIGKILL);
	expect_gone(conn, 1, "timeout");
}

static void
test_one_that_breaks_its_edge_is_killed(void **state)
{
	struct fake *f = start(1);

	(void)state;
	rig_send(&rig, f->fds[0], 1, 0, "x", 1);
	rig_run(&rig);
	assert_null(rig_fake(&rig, "auth"));
	expect_gone(conn, 1, "signal 9 (Killed)");
	/* One that only closes it has a moment. */
	f = start(2);
	fd_close(&f->fds[0]);
	rig_run(&rig);
	assert_non_null(rig_fake(&rig, "auth"));
	rig_pass_time(&rig, WIRING_KILL_NS);
	assert_null(rig_fake(&rig, "auth"));
	expect_gone(conn, 2, "signal 9 (Killed)");
}

static void
test_who_gets_none_is_told_why(void **state)
{
	uint32_t other;

	(void)state;
	want(conn + 77, 1, 0);
	expect_gone(conn + 77, 1, "not-started: the connection is over");
	want(conn, 1, 5);
	expect_gone(conn, 1, "not-started: the shell is over");
	rig.programs.fd[PROGRAM_AUTH] = -1;
	want(conn, 2, 0);
	expect_gone(conn, 2, "not-started: bastiond-auth is not installed");
	rig.programs.fd[PROGRAM_AUTH] = STDIN_FILENO;
	rig.fail_spawn = 1;
	want(conn, 3, 0);
	expect_gone(conn, 3, "not-started: it could not be started");
	rig_expect_no(&rig, edge("front"), BRK_FRONT_AUTH);
	/* Two for all. */
	other = rig_login(&rig, "192.0.2.2");
	(void)start(4);
	want(other, 1, 0);
	assert_int_equal(rig_count(&rig, "auth"), 2);
	want(other, 2, 0);
	expect_gone(other, 2, "not-started: limits.auth_processes");
	want(conn, 5, 0);
	expect_gone(conn, 5, "not-started: limits.auth_processes");
	/* One that is over makes room, not before. */
	stop(conn, 4);
	want(conn, 6, 0);
	expect_gone(conn, 6, "not-started: limits.auth_processes");
}

/* A connection that has not logged in. */
static uint32_t
stranger(const char *source)
{
	const char *line;
	struct fake *front;

	assert_int_equal(rig_connect(&rig, source, &line, NULL), 0);
	front = rig_fake(&rig, "front");
	assert_non_null(front);
	rig_hello(&rig, front->fds[0]);
	rig_expect(&rig, front->fds[0], BRK_FRONT_START, &msg);
	return msg.id;
}

/* Strangers of one source cannot keep everybody else from being asked. */
static void
test_the_last_quarter_is_for_other_sources(void **state)
{
	uint32_t same = stranger("192.0.2.1"), other = stranger("192.0.2.2");

	(void)state;
	rig.w->settings->auth_processes = 4;
	for (uint32_t attempt = 1; attempt <= 3; attempt++)
		(void)start(attempt);
	want(same, 1, 0);
	expect_gone(same, 1, "not-started: limits.auth_processes");
	want(other, 1, 0);
	assert_int_equal(rig_count(&rig, "auth"), 4);
	/* Who is logged in is no stranger. */
	rig.w->settings->auth_processes = 5;
	want(same, 2, 0);
	expect_gone(same, 2, "not-started: limits.auth_processes");
	want(conn, 4, 0);
	assert_int_equal(rig_count(&rig, "auth"), 5);
}

static void
test_a_number_is_used_once(void **state)
{
	(void)state;
	(void)start(1);
	want(conn, 1, 0);
	/* Policy has broken a rule. */
	assert_null(rig_fake(&rig, "policy"));
}

static void
test_no_number_is_a_broken_rule(void **state)
{
	(void)state;
	want(conn, 0, 0);
	assert_null(rig_fake(&rig, "policy"));
	assert_null(rig_fake(&rig, "auth"));
}

static void
test_the_connection_ends(void **state)
{
	struct fake *f = start(1);

	(void)state;
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 0);
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), 0);
	rig_expect(&rig, edge("policy"), POL_CONN_GONE, &msg);
	rig_end(&rig, f, 0);
	expect_gone(conn, 1, "stopped");
	assert_int_equal(rig.w->n_auths, 0);
}

static void
test_policy_dies(void **state)
{
	struct fake *f = start(1);

	(void)state;
	f->stubborn = true;
	rig_end(&rig, rig_fake(&rig, "policy"), SIGKILL);
	rig_run(&rig);
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), 0);
	assert_true(rig_settle(&rig, 50));
	/* The next one knows nothing of it, and counts anew for whoever is still there. */
	want(conn, 1, 0);
	assert_non_null(rig_fake(&rig, "policy"));
	assert_int_equal(rig_count(&rig, "auth"), 2);
	stop(conn, 1);
	assert_int_equal(rig.w->n_auths, 2);
	rig_end(&rig, rig_fake(&rig, "auth"), 0);
	expect_gone(conn, 1, "stopped");
	rig_end(&rig, f, 0);
	rig_expect_no(&rig, edge("policy"), POL_AUTH_GONE);
	assert_int_equal(rig.w->n_auths, 0);
}

static struct fake *
start_shell(void)
{
	rig_send(&rig, edge("front"), BRK_FRONT_SHELL, 0, NULL, 0);
	rig_grant_as(&rig, conn, 1, POL_BACK_SHELL, 0);
	rig_opened(&rig, 1);
	assert_non_null(rig_fake(&rig, "shell"));
	rig_hello(&rig, edge("shell"));
	return rig_fake(&rig, "shell");
}

static void
test_a_shell_speaks_with_the_person(void **state)
{
	struct fake *shell = start_shell(), *f;

	(void)state;
	want(conn, 1, 1);
	f = rig_fake(&rig, "auth");
	assert_non_null(f);
	rig_hello(&rig, f->fds[0]);
	rig_expect(&rig, shell->fds[0], BRK_SHELL_AUTH, &msg);
	assert_int_equal(msg.n_fds, 1);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_AUTH);
	/* And ends with it. */
	rig_end(&rig, shell, 0);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, "0123456789abcdef", 16);
	rig_run(&rig);
	rig_expect(&rig, f->fds[0], BRK_AUTH_START, &msg);
	assert_int_equal(recv(f->fds[0], msg.data, 1, MSG_DONTWAIT), 0);
	rig_end(&rig, f, 0);
	expect_gone(conn, 1, "stopped");
}

static void
test_a_stop_waits_for_it(void **state)
{
	struct fake *f = start(1);

	(void)state;
	f->stubborn = true;
	wiring_stop(rig.w, "bye");
	rig_end(&rig, rig_fake(&rig, "front"), 0);
	rig_run(&rig);
	rig_end(&rig, rig_fake(&rig, "recorder"), 0);
	rig_run(&rig);
	for (int i = 0; i < 2; i++) {
		struct fake *s = rig_fake(&rig, i == 0 ? "policy" : "keys");

		if (s != NULL)
			rig_end(&rig, s, 0);
	}
	rig_run(&rig);
	assert_false(wiring_stopped(rig.w));
	assert_true(f->told_kill);
	rig_end(&rig, f, SIGKILL);
	rig_run(&rig);
	assert_true(wiring_stopped(rig.w));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_three_edges_are_made_and_handed_out),
		T(test_its_end_is_told_once_with_what_was_left),
		T(test_a_stopped_one_has_a_moment_to_end),
		T(test_one_that_takes_too_long),
		T(test_one_that_breaks_its_edge_is_killed),
		T(test_who_gets_none_is_told_why),
		T(test_the_last_quarter_is_for_other_sources),
		T(test_a_number_is_used_once),
		T(test_no_number_is_a_broken_rule),
		T(test_the_connection_ends),
		T(test_policy_dies),
		T(test_a_shell_speaks_with_the_person),
		T(test_a_stop_waits_for_it),
	};

	log_set_level((enum log_level)0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
