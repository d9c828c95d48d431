/*
 * The broker's wiring with every other program played here: what is sent to whom, in which order, what a death in any
 * state leaves behind. rig_close() fails a test that leaves a descriptor open.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_scene.h"

#define S CLOCK_NS_PER_S
#define MS CLOCK_NS_PER_MS
#define EXITED(code) ((code) << 8)

static void
test_services_get_their_edges_and_files(void **state)
{
	struct fake *keys;

	(void)state;
	rig_start(&rig);
	keys = rig_fake(&rig, "keys");
	assert_string_equal(keys->argv, "--dir keys ");
	assert_string_equal(rig_fake(&rig, "recorder")->argv,
	    "--store recorder --durability strict --stall-timeout 30000ms --epoch 86400000ms ");
	rig_expect(&rig, keys->fds[0], KEYS_POLICY_EDGE, &msg);
	assert_int_equal(msg.n_fds, 1);
	rig_expect(&rig, edge("recorder"), REC_POLICY_EDGE, &msg);
	assert_int_equal(msg.n_fds, 1);
	rig_expect(&rig, edge("policy"), POL_KEYS_EDGE, &msg);
	rig_expect(&rig, edge("policy"), POL_LOAD_BEGIN, &msg);
	assert_int_equal(msg.id, 1);
	rig_expect(&rig, edge("policy"), POL_LOAD_FILE, &msg);
	assert_int_equal(msg.n_fds, 1);
	assert_int_equal(msg.data[0], POL_FILE_POLICY);
	rig_expect(&rig, edge("policy"), POL_LOAD_END, &msg);
	/* auth_tries 6, one method, "publickey"; nothing from PAM, no explain; five minutes for PAM */
	assert_int_equal(msg.len, 32);
	assert_memory_equal(msg.data, "\0\0\0\6\0\0\0\1\0\0\0\11publickey", 21);
	assert_memory_equal(msg.data + 21, "\0\0\0\0\0\0\x45\xd9\x64\xb8\0", 11);
	rig_expect(&rig, edge("policy"), POL_RECORDER_EDGE, &msg);
}

static void
test_nobody_gets_in_before_all_are_ready(void **state)
{
	const char *line;

	(void)state;
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_non_null(line);
	wiring_start(rig.w);
	rig_run(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_null(rig_fake(&rig, "front"));
}

static void
test_a_locked_vault_lets_nobody_in(void **state)
{
	const char *line;

	(void)state;
	rig_start(&rig);
	/* It can say so at any time, and that it is open again. */
	rig_send(&rig, edge("keys"), KEYS_READY, 0, "\0\0\0\0\0\0\0\0", 8);
	assert_true(wiring_is_ready(rig.w));
	assert_true(wiring_vault_locked(rig.w));
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_non_null(strstr(line, "locked"));
	rig_send(&rig, edge("keys"), KEYS_READY, 0, "\0\0\0\1k\0\0\0\1", 9);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
}

static void
test_a_front_gets_exactly_its_descriptors(void **state)
{
	const char *line;
	struct fake *front;
	char byte = 'x';
	int client;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, &client), 0);
	front = rig_fake(&rig, "front");
	assert_non_null(front);
	for (size_t i = 0; i < FAKE_FDS; i++)
		assert_int_equal(front->fds[i] >= 0, i < 4);
	assert_string_equal(front->argv, "");
	/* 4 is the client. */
	assert_int_equal(write(client, &byte, 1), 1);
	assert_int_equal(read(front->fds[1], &byte, 1), 1);
	fd_close(&client);
	/* 5 ends at policy, 6 at the vault. */
	rig_expect(&rig, edge("policy"), POL_CONN, &msg);
	assert_memory_equal(
	    msg.data, "\0\0\0\011192.0.2.1\0\0\4\322\0\0\0\013192.0.2.200\0\0\10\256", 36);
	assert_int_equal(ipc_plain_send(msg.fds[0], 99, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(recv(front->fds[2], &byte, 1, MSG_DONTWAIT), 1);
	rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg);
	assert_int_equal(msg.len, 9);
	assert_memory_equal(msg.data, "\0\0\0\0\0\0\0\0\0", 9);
	assert_int_equal(ipc_plain_send(msg.fds[0], 99, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(recv(front->fds[3], &byte, 1, MSG_DONTWAIT), 1);
	rig_expect(&rig, front->fds[0], BRK_FRONT_START, &msg);
	assert_memory_equal(msg.data, "\0\0\0\1\0\0\0\015" RIG_HOST_KEY "\0\0\0\012", 25);
}

static void
test_a_grant_waits_for_the_record(void **state)
{
	(void)state;
	(void)scene_grant();
	rig_expect(&rig, edge("recorder"), REC_OPEN, &msg);
	assert_int_equal(msg.id, 1);
	assert_int_equal(msg.n_fds, 2);
	rig_msg_done(&msg);
	rig_expect_no(&rig, edge("keys"), KEYS_BACK);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_LINK);
	assert_null(rig_fake(&rig, "back"));
	rig_opened(&rig, 1);
	assert_non_null(rig_fake(&rig, "back"));
	rig_expect(&rig, edge("keys"), KEYS_BACK, &msg);
	assert_int_equal(msg.id, 1);
	assert_memory_equal(msg.data, "vault part", msg.len);
	rig_expect(&rig, edge("front"), BRK_FRONT_LINK, &msg);
	assert_int_equal(msg.id, 1);
	assert_int_equal(ipc_plain_hello(edge("back")), 0);
	rig_expect(&rig, edge("back"), BRK_BACK_START, &msg);
	assert_int_equal(msg.id, 1);
	assert_memory_equal(msg.data, "\0\0\0\011back part\0\0\0\0\0\0\0\012", 21);
}

static void
test_links_join_front_and_back_at_the_recorder_only(void **state)
{
	struct rig_msg open = { .n_fds = 0 };
	char byte;

	(void)state;
	(void)scene_grant();
	rig_expect(&rig, edge("recorder"), REC_OPEN, &open);
	rig_opened(&rig, 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_LINK, &msg);
	assert_int_equal(ipc_plain_send(msg.fds[0], 16, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(recv(open.fds[0], &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(recv(open.fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(
	    ipc_plain_send(rig_fake(&rig, "back")->fds[1], 17, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(recv(open.fds[1], &byte, 1, MSG_DONTWAIT), 1);
	/* Nobody but these holds them: the recorder sees each end go. */
	rig_msg_done(&msg);
	assert_int_equal(recv(open.fds[0], &byte, 1, MSG_DONTWAIT), 0);
	rig_end(&rig, rig_fake(&rig, "back"), EXITED(0));
	rig_run(&rig);
	assert_int_equal(recv(open.fds[1], &byte, 1, MSG_DONTWAIT), 0);
	rig_msg_done(&open);
}

static void
test_a_refused_record_refuses_the_leg(void **state)
{
	(void)state;
	(void)scene_grant();
	rig_send_text(&rig, edge("recorder"), REC_REFUSED, 1, "no room");
	rig_expect(&rig, edge("front"), BRK_FRONT_REFUSED, &msg);
	assert_memory_equal(msg.data, "\0\0\0\7no room", 11);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_null(rig_fake(&rig, "back"));
	rig_expect_no(&rig, edge("keys"), KEYS_BACK);
	assert_int_equal(rig.w->n_legs, 0);
}

static void
test_grants_for_nobody_are_void(void **state)
{
	const char *line;
	uint32_t conn;

	(void)state;
	rig_start(&rig);
	rig_grant(&rig, 77, 1);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	/* One that has not logged in. */
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	conn = rig.w->last_conn;
	rig_grant(&rig, conn, 2);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	assert_int_equal(msg.id, 2);
	rig_expect_no(&rig, edge("recorder"), REC_OPEN);
}

static void
test_a_leg_number_is_used_once(void **state)
{
	uint32_t conn;

	(void)state;
	conn = scene_login();
	rig_grant(&rig, conn, 5);
	assert_true(service_is_up(&rig.w->policy));
	rig_grant(&rig, conn, 5);
	assert_false(service_is_up(&rig.w->policy));
}

static void
test_a_front_that_ends_before_the_record_is_open(void **state)
{
	struct rig_msg open = { .n_fds = 0 };
	char byte;

	(void)state;
	(void)scene_grant();
	rig_expect(&rig, edge("recorder"), REC_OPEN, &open);
	rig_end(&rig, rig_fake(&rig, "front"), EXITED(0));
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 0);
	rig_expect(&rig, edge("policy"), POL_CONN_GONE, &msg);
	rig_opened(&rig, 1);
	assert_null(rig_fake(&rig, "back"));
	rig_expect_no(&rig, edge("keys"), KEYS_BACK);
	assert_int_equal(recv(open.fds[0], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(open.fds[1], &byte, 1, MSG_DONTWAIT), 0);
	rig_msg_done(&open);
	assert_int_equal(rig.w->n_legs, 1);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, "0123456789abcdef", 16);
	assert_int_equal(rig.w->n_legs, 0);
}

static void
test_a_back_that_outlives_its_session_is_killed(void **state)
{
	struct fake *back;

	(void)state;
	(void)scene_leg();
	back = rig_fake(&rig, "back");
	back->stubborn = true;
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, "0123456789abcdef", 16);
	rig_pass_time(&rig, WIRING_LINGER_NS - MS);
	assert_false(back->told_kill);
	rig_pass_time(&rig, MS);
	assert_true(back->told_kill);
	assert_int_equal(rig.w->n_legs, 1);
	rig_end(&rig, back, SIGKILL);
	rig_run(&rig);
	assert_int_equal(rig.w->n_legs, 0);
	rig_expect(&rig, edge("keys"), KEYS_BACK_GONE, &msg);
}

static void
test_a_back_whose_front_is_gone_is_not_kept_for_ever(void **state)
{
	(void)state;
	(void)scene_leg();
	rig_end(&rig, rig_fake(&rig, "front"), EXITED(0));
	rig_run(&rig);
	assert_non_null(rig_fake(&rig, "back"));
	rig_pass_time(&rig, rig.w->settings->stall_timeout_ns + WIRING_LINGER_NS);
	assert_null(rig_fake(&rig, "back"));
}

static void
test_a_leg_is_known_until_its_record_is_closed(void **state)
{
	(void)state;
	(void)scene_leg();
	rig_end(&rig, rig_fake(&rig, "back"), EXITED(0));
	rig_run(&rig);
	assert_int_equal(rig.w->n_legs, 1);
	assert_int_equal(wiring_kill_session(rig.w, "02020202020202020202020202020202", "x"), 0);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, "0123456789abcdef", 16);
	assert_int_equal(rig.w->n_legs, 0);
}

static void
test_a_connection_that_is_told_to_end_gets_no_back(void **state)
{
	(void)state;
	(void)scene_grant();
	wiring_stop(rig.w, "bye");
	rig_opened(&rig, 1);
	assert_null(rig_fake(&rig, "back"));
	rig_expect_no(&rig, edge("keys"), KEYS_BACK);
	rig_expect_no(&rig, edge("front"), BRK_FRONT_LINK);
}

static void
test_the_recorder_dies(void **state)
{
	uint32_t waiting;
	struct fake *front;
	const char *line;

	(void)state;
	(void)scene_leg();
	waiting = rig_login(&rig, "192.0.2.1");
	front = rig_fake(&rig, "front");
	rig_grant(&rig, waiting, 2);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	rig_run(&rig);
	/* Who waits is told; who runs sees the link close; nobody new gets in. */
	rig_expect(&rig, front->fds[0], BRK_FRONT_REFUSED, &msg);
	assert_int_equal(msg.id, 2);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_non_null(strstr(line, "record"));
	rig_grant(&rig, waiting, 3);
	rig_expect(&rig, front->fds[0], BRK_FRONT_REFUSED, &msg);
	assert_int_equal(msg.id, 3);
	assert_int_equal(rig.w->n_legs, 1); /* the back of the first still runs */
	rig_pass_time(&rig, WIRING_LINGER_NS);
	assert_int_equal(rig.w->n_legs, 0);
	/* The next one is wired to policy, hears what happened, and sessions begin again. */
	rig_restarted(&rig, "recorder");
	rig_expect(&rig, edge("recorder"), REC_POLICY_EDGE, &msg);
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "service.died"));
	rig_grant(&rig, waiting, 4);
	rig_opened(&rig, 4);
	assert_non_null(rig_fake(&rig, "back"));
}

static void
test_the_vault_dies(void **state)
{
	const char *line;
	uint32_t conn;

	(void)state;
	conn = scene_login();
	rig_end(&rig, rig_fake(&rig, "keys"), SIGSEGV);
	rig_run(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	/* A grant that is recorded while there is no vault comes to nothing, in words. */
	rig_grant(&rig, conn, 1);
	rig_opened(&rig, 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_REFUSED, &msg);
	assert_null(rig_fake(&rig, "back"));
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "keys");
	rig_expect(&rig, edge("keys"), KEYS_POLICY_EDGE, &msg);
	/* Running fronts get a new edge, for rekeying only. */
	rig_expect(&rig, edge("keys"), KEYS_FRONT, &msg);
	assert_int_equal(msg.id, conn);
	assert_int_equal(msg.data[0], 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_KEYS, &msg);
	assert_int_equal(msg.n_fds, 1);
}

static void
test_policy_dies(void **state)
{
	struct rig_msg open = { .n_fds = 0 };
	struct fake *in, *login;
	const char *line;
	uint32_t conn;
	char byte;

	(void)state;
	conn = scene_login();
	in = rig_fake(&rig, "front");
	rig_grant(&rig, conn, 8);
	rig_expect(&rig, edge("recorder"), REC_OPEN, &open);
	assert_int_equal(rig_connect(&rig, "192.0.2.2", &line, NULL), 0);
	login = rig_fake(&rig, "front");
	assert_int_equal(ipc_plain_hello(login->fds[0]), 0);
	rig_end(&rig, rig_fake(&rig, "policy"), SIGKILL);
	rig_run(&rig);
	/* A login under way is over, an unopened leg too; who is in stays in. */
	rig_expect(&rig, login->fds[0], BRK_FRONT_CLOSE, &msg);
	rig_expect(&rig, in->fds[0], BRK_FRONT_REFUSED, &msg);
	rig_expect_no(&rig, in->fds[0], BRK_FRONT_CLOSE);
	assert_int_equal(recv(open.fds[0], &byte, 1, MSG_DONTWAIT), 0);
	rig_msg_done(&open);
	rig_opened(&rig, 8);
	assert_null(rig_fake(&rig, "back"));
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "policy");
	rig_expect(&rig, edge("policy"), POL_LOAD_BEGIN, &msg);
	assert_int_equal(msg.id, 9); /* numbers of the one before are not used again */
	/* What the new one never knew is not told to it. */
	rig_end(&rig, in, EXITED(0));
	rig_expect_no(&rig, edge("policy"), POL_CONN_GONE);
	/* The login was ended by us: nobody is charged for it. */
	rig_end(&rig, login, EXITED(1));
	rig_run(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.2", &line, NULL), 0);
}

static void
test_one_that_keeps_dying_is_tried_for_ever_but_slowly(void **state)
{
	(void)state;
	rig_start(&rig);
	for (int i = 0; i < SERVICE_DEATHS; i++) {
		struct fake *f;

		rig_pass_time(&rig, 2 * S);
		f = rig_fake(&rig, "recorder");
		assert_non_null(f);
		rig_end(&rig, f, EXITED(3));
		rig_run(&rig);
	}
	rig_pass_time(&rig, SERVICE_SLOW_NS - MS);
	assert_null(rig_fake(&rig, "recorder"));
	for (int i = 0; i < 20; i++) {
		rig_pass_time(&rig, SERVICE_SLOW_NS);
		assert_non_null(rig_fake(&rig, "recorder"));
		rig_end(&rig, rig_fake(&rig, "recorder"), EXITED(3));
		rig_run(&rig);
	}
	/* After quiet times it is started at once again. */
	rig_pass_time(&rig, SERVICE_SLOW_NS);
	rig_restarted(&rig, "recorder");
	rig_pass_time(&rig, SERVICE_WINDOW_NS);
	rig_end(&rig, rig_fake(&rig, "recorder"), EXITED(3));
	rig_run(&rig);
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	assert_non_null(rig_fake(&rig, "recorder"));
}

static void
test_one_that_never_gets_ready_is_killed(void **state)
{
	(void)state;
	wiring_start(rig.w);
	rig_run(&rig);
	rig_pass_time(&rig, 60 * S);
	assert_null(rig_fake(&rig, "keys"));
	/* The recorder may take its time. */
	assert_non_null(rig_fake(&rig, "recorder"));
	assert_non_null(wiring_start_failed(rig.w));
}

static void
test_a_start_that_fails_is_told(void **state)
{
	(void)state;
	wiring_start(rig.w);
	rig_run(&rig);
	assert_null(wiring_start_failed(rig.w));
	assert_int_equal(ipc_plain_hello(edge("policy")), 0);
	rig_send(&rig, edge("policy"), POL_LOADED, 0, "\0\0\0\0\4line", 9);
	assert_string_equal(wiring_start_failed(rig.w), "line");
}

static void
test_broken_rules_end_the_peer_only(void **state)
{
	static const struct {
		const char *who;
		uint16_t type;
		const char *data;
		size_t len;
	} rows[] = {
		{ "policy", POL_GRANT, "\0\0\0\1", 4 },
		{ "policy", POL_GRANT, "\0\0\0\1\377\377\377\377aaaaaaaaaaaaaaaa", 24 },
		{ "policy", POL_GRANT, "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0", 21 },
		{ "policy", POL_GRANT, "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\1", 21 },
		{ "policy", POL_AUTHENTICATED, "\0\0\0\5a", 5 },
		{ "policy", POL_FAILED, "\0", 1 },
		{ "policy", POL_FAILED, "\4", 1 },
		{ "policy", POL_LOADED, "\1\0\0\0\0", 5 },
		{ "policy", POL_CONN, "", 0 },
		{ "keys", KEYS_READY, "\0\0\0\1k\0\0", 7 },
		{ "keys", KEYS_READY, "\0\0\0\5k\0\0\0\0", 9 },
		{ "recorder", REC_OPENED, "short", 5 },
		{ "recorder", REC_HEALTH, "\0\0\0\0\0", 5 },
		{ "recorder", REC_HEALTH, "\1\0\0\0\1", 5 },
		{ "recorder", REC_OPEN, "", 0 },
	};

	(void)state;
	rig_start(&rig);
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct fake *f = rig_fake(&rig, rows[i].who);

		rig_send(&rig, f->fds[0], rows[i].type, 1, rows[i].data, rows[i].len);
		assert_null(rig_fake(&rig, rows[i].who));
		rig_pass_time(&rig, SERVICE_SLOW_NS);
		rig_restarted(&rig, rows[i].who);
		assert_true(wiring_is_ready(rig.w));
	}
}

static void
test_answers_about_unknown_legs_are_no_fault(void **state)
{
	(void)state;
	rig_start(&rig);
	rig_opened(&rig, 99);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 99, "0123456789abcdef", 16);
	rig_send_text(&rig, edge("recorder"), REC_REFUSED, 99, "no");
	assert_true(wiring_is_ready(rig.w));
	/* Twice opened, and closed before that: noted, not obeyed. */
	rig_grant(&rig, rig_login(&rig, "192.0.2.1"), 1);
	rig_opened(&rig, 1);
	rig_opened(&rig, 1);
	assert_int_equal(rig_count(&rig, "back"), 1);
	assert_true(wiring_is_ready(rig.w));
}

static void
test_a_front_that_speaks_is_killed(void **state)
{
	const char *line;

	(void)state;
	(void)scene_login();
	rig_send(&rig, edge("front"), BRK_FRONT_LINK, 1, NULL, 0);
	assert_null(rig_fake(&rig, "front"));
	assert_int_equal(rig.w->n_conns, 0);
	/* That is news, and its source pays for it. */
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "\"front.alarm\""));
	assert_non_null(strstr((const char *)msg.data, "\"rules-broken\""));
	assert_int_not_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	assert_int_equal(rig_connect(&rig, "192.0.2.2", &line, NULL), 0);
}

/* Its source does not: whoever broke into a back came from the target. */
static void
test_a_back_that_speaks_is_killed(void **state)
{
	const char *line;

	(void)state;
	rig_start(&rig);
	rig_grant(&rig, rig_login(&rig, "192.0.2.1"), 1);
	rig_opened(&rig, 1);
	rig_send(&rig, edge("back"), BRK_BACK_START, 1, NULL, 0);
	assert_null(rig_fake(&rig, "back"));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "\"back.alarm\""));
	assert_non_null(strstr((const char *)msg.data, "02020202"));
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
}

static void
test_an_alarm_ends_the_connection(void **state)
{
	static const uint8_t kind = POL_FAILURE_ALARM;
	struct fake *front;

	(void)state;
	rig_start(&rig);
	(void)rig_login(&rig, "192.0.2.1");
	front = rig_fake(&rig, "front");
	front->stubborn = true;
	rig_send(&rig, edge("policy"), POL_FAILED, rig.w->last_conn, &kind, 1);
	rig_expect(&rig, front->fds[0], BRK_FRONT_CLOSE, &msg);
	rig_pass_time(&rig, WIRING_KILL_NS);
	assert_true(front->told_kill);
}

static void
test_grace(void **state)
{
	struct fake *front;
	const char *line;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	front = rig_fake(&rig, "front");
	front->stubborn = true;
	assert_int_equal(ipc_plain_hello(front->fds[0]), 0);
	rig_pass_time(&rig, 120 * S - MS);
	rig_expect_no(&rig, front->fds[0], BRK_FRONT_CLOSE);
	rig_pass_time(&rig, MS);
	rig_expect(&rig, front->fds[0], BRK_FRONT_CLOSE, &msg);
	rig_pass_time(&rig, WIRING_KILL_NS - MS);
	assert_false(front->told_kill);
	rig_pass_time(&rig, MS);
	assert_true(front->told_kill);
	/* Too late to log in. */
	rig_send_text(&rig, edge("policy"), POL_AUTHENTICATED, rig.w->last_conn, "alice");
	rig_end(&rig, front, SIGKILL);
	rig_run(&rig);
	assert_int_equal(rig.w->n_conns, 0);
	/* Logged in, there is no such limit. */
	(void)rig_login(&rig, "192.0.2.2");
	rig_pass_time(&rig, 86400 * S);
	assert_int_equal(rig.w->n_conns, 1);
}

/* How many ends of this kind it takes until the source is refused. */
static unsigned
ends_until_refused(const char *source, int status, unsigned failed, bool log_in)
{
	const char *line;
	unsigned n = 0;

	while (rig_connect(&rig, source, &line, NULL) == 0) {
		uint8_t kind = (uint8_t)failed;

		assert_true(++n < 50);
		if (log_in)
			rig_send_text(
			    &rig, edge("policy"), POL_AUTHENTICATED, rig.w->last_conn, "al");
		if (failed != 0)
			rig_send(&rig, edge("policy"), POL_FAILED, rig.w->last_conn, &kind, 1);
		rig_end(&rig, rig_fake(&rig, "front"), status);
		rig_run(&rig);
		if (n == 30)
			break;
	}
	return n;
}

static void
test_what_ends_cost(void **state)
{
	(void)state;
	rig_start(&rig);
	assert_int_equal(ends_until_refused("192.0.2.1", SIGSEGV, 0, false), 1);
	assert_int_equal(ends_until_refused("192.0.2.2", SIGABRT, 0, true), 1);
	assert_int_equal(ends_until_refused("192.0.2.3", EXITED(0), POL_FAILURE_AUTH, false), 3);
	assert_int_equal(ends_until_refused("192.0.2.4", EXITED(1), POL_FAILURE_TRIES, false), 3);
	assert_int_equal(ends_until_refused("192.0.2.5", EXITED(1), POL_FAILURE_ALARM, false), 1);
	assert_int_equal(ends_until_refused("192.0.2.6", EXITED(0), 0, false), 15);
	/* A failed key before the right one costs nothing; nor does the kernel's lack of memory after login. */
	assert_int_equal(ends_until_refused("192.0.2.7", EXITED(0), POL_FAILURE_AUTH, true), 30);
	assert_int_equal(ends_until_refused("192.0.2.8", SIGKILL, 0, true), 30);
	assert_int_equal(ends_until_refused("192.0.2.9", SIGKILL, 0, false), 1);
	assert_int_equal(ends_until_refused("127.0.0.1", SIGSEGV, 0, false), 30);
}

static void
test_a_crash_is_an_event(void **state)
{
	(void)state;
	(void)scene_leg();
	rig_end(&rig, rig_fake(&rig, "back"), SIGSEGV);
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "\"back.crashed\""));
	assert_non_null(strstr((const char *)msg.data, "02020202"));
	rig_end(&rig, rig_fake(&rig, "front"), SIGSEGV);
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "\"front.crashed\""));
	assert_non_null(strstr((const char *)msg.data, "signal 11"));
}

static void
test_events_reach_the_record_across_a_death(void **state)
{
	uint32_t first;

	(void)state;
	rig_start(&rig);
	wiring_audit(rig.w, json_event("one"));
	wiring_audit(rig.w, json_event("two"));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	first = msg.id;
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, first, NULL, 0);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	rig_run(&rig);
	wiring_audit(rig.w, json_event("three"));
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "recorder");
	/* "one" was confirmed. "two" was not, so it comes again; then the death itself; then "three". */
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "two"));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "service.died"));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	assert_non_null(strstr((const char *)msg.data, "three"));
}

static unsigned n_durable, n_not_durable;

static void
on_durable(void *arg, bool ok)
{
	assert_ptr_equal(arg, &rig);
	if (ok)
		n_durable++;
	else
		n_not_durable++;
}

static void
test_who_waits_for_an_event_is_always_answered(void **state)
{
	(void)state;
	n_durable = n_not_durable = 0;
	rig_start(&rig);
	assert_int_equal(wiring_audit_wait(rig.w, json_event("a"), on_durable, &rig), 0);
	assert_int_equal(wiring_audit_wait(rig.w, json_event("b"), on_durable, &rig), 0);
	rig_run(&rig);
	assert_int_equal(n_durable, 0);
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, msg.id, NULL, 0);
	assert_int_equal(n_durable, 1);
	/* Confirmed twice, or one that nobody sent: nothing happens. */
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, msg.id, NULL, 0);
	rig_send(&rig, edge("recorder"), REC_AUDIT_DONE, 12345, NULL, 0);
	assert_int_equal(n_durable, 1);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	rig_run(&rig);
	assert_int_equal(n_not_durable, 1);
	assert_int_equal(wiring_audit_wait(rig.w, json_event("c"), on_durable, &rig), ERR_ORDER);
}

static void
test_health_keeps_new_sessions_out(void **state)
{
	const char *line;
	uint32_t conn;

	(void)state;
	conn = scene_login();
	rig_send(&rig, edge("recorder"), REC_HEALTH, 0, "\2\0\0\0\4full", 9);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_non_null(strstr(line, "record"));
	rig_grant(&rig, conn, 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_REFUSED, &msg);
	rig_send(&rig, edge("recorder"), REC_HEALTH, 0, "\1\0\0\0\0", 5);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
}

static void
test_a_session_is_killed_by_its_id(void **state)
{
	(void)state;
	(void)scene_grant();
	assert_int_equal(wiring_kill_session(rig.w, "02", "x"), ERR_NOT_FOUND);
	rig_opened(&rig, 1);
	assert_int_equal(
	    wiring_kill_session(rig.w, "ffffffffffffffffffffffffffffffff", "x"), ERR_NOT_FOUND);
	assert_int_equal(
	    wiring_kill_session(rig.w, "02020202020202020202020202020202", "uid 0 (root)"), 0);
	rig_expect(&rig, edge("recorder"), REC_KILL, &msg);
	assert_int_equal(msg.id, 1);
	rig_send(&rig, edge("recorder"), REC_CLOSED, 1, "0123456789abcdef", 16);
	assert_int_equal(
	    wiring_kill_session(rig.w, "02020202020202020202020202020202", "x"), ERR_NOT_FOUND);
}

/* So many beats of the recorder's, unanswered. */
static void
pass_beats(unsigned n)
{
	rig.silent = true;
	for (unsigned i = 0; i < n; i++)
		rig_pass_time(&rig, rig.w->settings->stall_timeout_ns / 8 + 1);
}

static void
test_a_silent_recorder_keeps_people_out_then_ends_everybody(void **state)
{
	pid_t pid;
	const char *line;

	(void)state;
	(void)scene_grant();
	rig_opened(&rig, 1);
	pid = rig_fake(&rig, "recorder")->pid;
	pass_beats(3);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	pass_beats(2);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	assert_non_null(strstr(line, "does not answer"));
	/* It answers: nothing has happened. */
	rig_send(&rig, edge("recorder"), REC_PONG, 0, NULL, 0);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), 0);
	pass_beats(8);
	assert_non_null(rig_fake_pid(&rig, pid));
	rig_expect_no(&rig, edge("front"), BRK_FRONT_CLOSE);
	pass_beats(1);
	assert_null(rig_fake_pid(&rig, pid));
}

static void
test_a_suspended_machine_misses_one_beat(void **state)
{
	pid_t pid;

	(void)state;
	(void)scene_grant();
	rig_opened(&rig, 1);
	pid = rig_fake(&rig, "recorder")->pid;
	rig.silent = true;
	rig_pass_time(&rig, 8 * 3600 * CLOCK_NS_PER_S);
	assert_non_null(rig_fake_pid(&rig, pid));
	rig_expect(&rig, edge("recorder"), REC_PING, &msg);
}

static struct {
	unsigned n;
	uint8_t code;
	char text[64];
} ordered;

static void
on_ordered(void *arg, uint8_t code, const char *text)
{
	(void)arg;
	ordered.n++;
	ordered.code = code;
	(void)snprintf(ordered.text, sizeof(ordered.text), "%s", text);
}

static void
test_orders_are_answered_once_whatever_happens(void **state)
{
	struct wiring_order order = { .sid = "02020202020202020202020202020202",
		.who = "uid 0 (root)",
		.why = "because",
		.done = on_ordered,
		.arg = &ordered };
	uint32_t id;

	(void)state;
	(void)scene_login();
	memset(&ordered, 0, sizeof(ordered));
	assert_int_equal(wiring_erase(rig.w, &order), 0);
	rig_expect(&rig, edge("recorder"), REC_ERASE, &msg);
	id = msg.id;
	assert_memory_equal(msg.data,
	    "\0\0\0\40"
	    "0202",
	    8);
	rig_send(&rig, edge("recorder"), REC_DONE, id + 1, "\0\0\0\0\2no", 7);
	assert_int_equal(ordered.n, 0);
	rig_send(&rig, edge("recorder"), REC_DONE, id, "\1\0\0\0\4held", 9);
	assert_int_equal(ordered.n, 1);
	assert_int_equal(ordered.code, 1);
	assert_string_equal(ordered.text, "held");
	rig_send(&rig, edge("recorder"), REC_DONE, id, "\0\0\0\0\0", 5);
	assert_int_equal(ordered.n, 1);
	order.hold = true;
	assert_int_equal(wiring_hold(rig.w, &order), 0);
	rig_expect(&rig, edge("recorder"), REC_HOLD, &msg);
	assert_int_equal(msg.data[36], 1);
	/* The one who waits is gone. */
	wiring_order_forget(rig.w, &ordered);
	rig_send(&rig, edge("recorder"), REC_DONE, msg.id, "\0\0\0\0\0", 5);
	assert_int_equal(ordered.n, 1);
	/* The recorder is. */
	assert_int_equal(wiring_hold(rig.w, &order), 0);
	rig_end(&rig, rig_fake(&rig, "recorder"), SIGKILL);
	rig_run(&rig);
	assert_int_equal(ordered.n, 2);
	assert_int_equal(ordered.code, 3);
	assert_int_equal(wiring_erase(rig.w, &order), ERR_ORDER);
}

static void
test_a_reader_that_pins_the_store_is_ended(void **state)
{
	static const char *const args[] = { "list", NULL };
	uint8_t slow[12] = { 0 };
	struct fake *f;
	pid_t pid;
	int fd;

	(void)state;
	(void)scene_login();
	assert_int_equal(wiring_reader(rig.w, args, &fd), 0);
	f = rig_fake(&rig, "reader");
	pid = f->pid;
	/* Somebody else's is not ours to end. */
	slow[3] = 1;
	rig_send(&rig, edge("recorder"), REC_SLOW_READER, 0, slow, sizeof(slow));
	assert_non_null(rig_fake_pid(&rig, pid));
	for (unsigned i = 0; i < 4; i++)
		slow[i] = (uint8_t)((uint32_t)pid >> (24 - 8 * i));
	rig_send(&rig, edge("recorder"), REC_SLOW_READER, 0, slow, sizeof(slow));
	assert_null(rig_fake_pid(&rig, pid));
	rig_expect(&rig, edge("recorder"), REC_AUDIT, &msg);
	close(fd);
}

static void
test_a_spawn_that_fails_leaves_nothing(void **state)
{
	const char *line;
	uint32_t conn;

	(void)state;
	conn = scene_login();
	rig.fail_spawn = 1;
	assert_int_equal(rig_connect(&rig, "192.0.2.2", &line, NULL), -EAGAIN);
	assert_int_equal(rig.w->n_conns, 1);
	rig_expect(&rig, edge("policy"), POL_CONN_GONE, &msg);
	rig_expect(&rig, edge("keys"), KEYS_FRONT_GONE, &msg);
	rig_grant(&rig, conn, 1);
	rig.fail_spawn = 1;
	rig_opened(&rig, 1);
	rig_expect(&rig, edge("front"), BRK_FRONT_REFUSED, &msg);
	rig_expect(&rig, edge("keys"), KEYS_BACK_GONE, &msg);
	rig_expect(&rig, edge("policy"), POL_LEG_GONE, &msg);
	rig.fail_spawn = 3;
	rig_end(&rig, rig_fake(&rig, "policy"), EXITED(1));
	for (int i = 0; i < 5; i++)
		rig_pass_time(&rig, 10 * S);
	rig_restarted(&rig, "policy");
	assert_true(wiring_is_ready(rig.w));
}

static void
test_the_stop_goes_in_order(void **state)
{
	struct fake *front, *recorder;
	const char *line;

	(void)state;
	(void)scene_leg();
	front = rig_fake(&rig, "front");
	recorder = rig_fake(&rig, "recorder");
	wiring_stop(rig.w, "bye");
	rig_expect(&rig, front->fds[0], BRK_FRONT_CLOSE, &msg);
	assert_int_equal(rig_connect(&rig, "192.0.2.1", &line, NULL), ERR_DENIED);
	rig_expect_no(&rig, recorder->fds[0], REC_STOP);
	rig_end(&rig, front, EXITED(0));
	rig_expect(&rig, recorder->fds[0], REC_STOP, &msg);
	assert_non_null(rig_fake(&rig, "policy"));
	assert_false(wiring_stopped(rig.w));
	rig_end(&rig, rig_fake(&rig, "back"), EXITED(0));
	rig_send(&rig, recorder->fds[0], REC_CLOSED, 1, "0123456789abcdef", 16);
	rig_end(&rig, recorder, EXITED(0));
	rig_run(&rig);
	rig_end(&rig, rig_fake(&rig, "policy"), EXITED(0));
	rig_end(&rig, rig_fake(&rig, "keys"), EXITED(0));
	rig_run(&rig);
	assert_true(wiring_stopped(rig.w));
	/* Nothing is started again. */
	rig_pass_time(&rig, 60 * S);
	assert_null(rig.fakes);
}

static void
test_the_stop_waits_for_nobody_for_ever(void **state)
{
	(void)state;
	(void)scene_leg();
	wiring_stop(rig.w, "bye");
	rig_fake(&rig, "front")->stubborn = true;
	for (int i = 0; i < 60 && rig_fake(&rig, "recorder") != NULL; i++)
		rig_pass_time(&rig, S);
	assert_null(rig_fake(&rig, "recorder"));
	if (rig_fake(&rig, "front") != NULL) /* one that even SIGKILL ends late */
		rig_end(&rig, rig_fake(&rig, "front"), SIGKILL);
	for (int i = 0; i < 10; i++)
		rig_pass_time(&rig, S);
	assert_true(wiring_stopped(rig.w));
}

static unsigned n_loaded;
static bool loaded_good;

static void
on_loaded(void *arg, bool good, const char *text)
{
	(void)arg;
	(void)text;
	n_loaded++;
	loaded_good = good;
}

static void
new_configuration(struct settings **ret_s, struct policy_files **ret_f)
{
	struct conf_err err;

	*ret_s = malloc(sizeof(**ret_s));
	assert_non_null(*ret_s);
	assert_int_equal(settings_default(*ret_s, "/nowhere/b.yaml"), 0);
	snprintf((*ret_s)->policy, sizeof((*ret_s)->policy), "/dev/null");
	(*ret_s)->channels = 3;
	assert_int_equal(policy_files_open(*ret_s, NULL, ret_f, &err), 0);
}

static void
test_a_reload_is_taken_whole_or_not_at_all(void **state)
{
	struct settings *s;
	struct policy_files *f;

	(void)state;
	n_loaded = 0;
	rig_start(&rig);
	new_configuration(&s, &f);
	assert_int_equal(wiring_reload(rig.w, s, f, on_loaded, NULL), 0);
	assert_int_equal(wiring_reload(rig.w, s, f, on_loaded, NULL), ERR_ORDER);
	assert_int_equal(wiring_settings(rig.w)->channels, 10);
	rig_send(&rig, edge("policy"), POL_LOADED, 0, "\0\0\0\0\0", 5);
	assert_int_equal(n_loaded, 1);
	assert_false(loaded_good);
	assert_int_equal(wiring_settings(rig.w)->channels, 10);
	/* Policy dies while it loads: the old one stays, also for the next policy. */
	assert_int_equal(wiring_reload(rig.w, s, f, on_loaded, NULL), 0);
	rig_end(&rig, rig_fake(&rig, "policy"), SIGKILL);
	rig_run(&rig);
	assert_int_equal(n_loaded, 2);
	assert_false(loaded_good);
	assert_int_equal(wiring_reload(rig.w, s, f, on_loaded, NULL), ERR_ORDER);
	rig_pass_time(&rig, SERVICE_FIRST_NS);
	rig_restarted(&rig, "policy");
	assert_int_equal(wiring_reload(rig.w, s, f, on_loaded, NULL), 0);
	rig_send(&rig, edge("policy"), POL_LOADED, 0, "\1\0\0\0\0", 5);
	assert_int_equal(n_loaded, 3);
	assert_true(loaded_good);
	assert_int_equal(wiring_settings(rig.w)->channels, 3);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		T(test_services_get_their_edges_and_files),
		T(test_nobody_gets_in_before_all_are_ready),
		T(test_a_locked_vault_lets_nobody_in),
		T(test_a_front_gets_exactly_its_descriptors),
		T(test_a_grant_waits_for_the_record),
		T(test_links_join_front_and_back_at_the_recorder_only),
		T(test_a_refused_record_refuses_the_leg),
		T(test_grants_for_nobody_are_void),
		T(test_a_leg_number_is_used_once),
		T(test_a_front_that_ends_before_the_record_is_open),
		T(test_a_back_that_outlives_its_session_is_killed),
		T(test_a_back_whose_front_is_gone_is_not_kept_for_ever),
		T(test_a_leg_is_known_until_its_record_is_closed),
		T(test_a_connection_that_is_told_to_end_gets_no_back),
		T(test_the_recorder_dies),
		T(test_the_vault_dies),
		T(test_policy_dies),
		T(test_one_that_keeps_dying_is_tried_for_ever_but_slowly),
		T(test_one_that_never_gets_ready_is_killed),
		T(test_a_start_that_fails_is_told),
		T(test_broken_rules_end_the_peer_only),
		T(test_answers_about_unknown_legs_are_no_fault),
		T(test_a_front_that_speaks_is_killed),
		T(test_a_back_that_speaks_is_killed),
		T(test_an_alarm_ends_the_connection),
		T(test_grace),
		T(test_what_ends_cost),
		T(test_a_crash_is_an_event),
		T(test_events_reach_the_record_across_a_death),
		T(test_who_waits_for_an_event_is_always_answered),
		T(test_health_keeps_new_sessions_out),
		T(test_a_session_is_killed_by_its_id),
		T(test_a_silent_recorder_keeps_people_out_then_ends_everybody),
		T(test_a_suspended_machine_misses_one_beat),
		T(test_orders_are_answered_once_whatever_happens),
		T(test_a_reader_that_pins_the_store_is_ended),
		T(test_a_spawn_that_fails_leaves_nothing),
		T(test_the_stop_goes_in_order),
		T(test_the_stop_waits_for_nobody_for_ever),
		T(test_a_reload_is_taken_whole_or_not_at_all),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
