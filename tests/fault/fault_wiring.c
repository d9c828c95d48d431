/*
 * Whatever single allocation or socket call of the broker fails: it goes on, lets people in afterwards, stops when it is told
 * to, and leaves neither memory nor descriptors. Every peer is played here (tests/lib/wiring_rig.h).
 */
#include "config.h"

#include <signal.h>

#include "fault.h"
#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_rig.h"

static struct rig rig;

/* One person from connect to the running session. Whether it got that far. */
static bool
session(void)
{
	struct rig_msg msg = { .n_fds = 0 };
	struct fake *front, *policy, *recorder;
	const char *line;
	uint32_t conn, leg;
	bool linked = false;

	if (!rig_settle(&rig, 200) || rig_connect(&rig, "192.0.2.1", &line, NULL) != 0 ||
	    (front = rig_fake(&rig, "front")) == NULL ||
	    (policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	conn = rig.w->last_conn;
	rig_send_text(&rig, policy->fds[0], POL_AUTHENTICATED, conn, "alice");
	if ((policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	leg = rig.w->last_leg + 1;
	rig_grant(&rig, conn, leg);
	if ((recorder = rig_fake(&rig, "recorder")) == NULL)
		return false;
	rig_opened(&rig, leg);
	if ((front = rig_fake(&rig, "front")) != NULL)
		while (rig_take(&rig, front->fds[0], &msg))
			linked |= msg.type == BRK_FRONT_LINK;
	rig_msg_done(&msg);
	return linked && rig_fake(&rig, "back") != NULL;
}

/* One person who jumps, as far as it works. Whether the new front is there and the old one heard of it. */
static bool
jump(void)
{
	struct rig_msg msg = { .n_fds = 0 };
	struct fake *front, *policy, *keys;
	bool jumped = false;
	const char *line;
	uint32_t conn;
	pid_t outer;

	if (!rig_settle(&rig, 200) || rig_connect(&rig, "192.0.2.1", &line, NULL) != 0 ||
	    (front = rig_fake(&rig, "front")) == NULL ||
	    (policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	conn = rig.w->last_conn;
	rig_send_text(&rig, policy->fds[0], POL_AUTHENTICATED, conn, "alice");
	if ((front = rig_fake(&rig, "front")) == NULL)
		return false;
	outer = front->pid;
	rig_hello(&rig, front->fds[0]);
	rig_jump_ask(&rig, front, 1, "web1");
	if (rig.w->last_conn == conn || (policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	rig_jumped(&rig, rig.w->last_conn, "web1");
	if ((keys = rig_fake(&rig, "keys")) == NULL)
		return false;
	rig_front_key(&rig, rig.w->last_conn, "key", "certificate");
	while ((front = rig_fake_pid(&rig, outer)) != NULL && rig_take(&rig, front->fds[0], &msg))
		jumped |= msg.type == BRK_FRONT_JUMPED;
	rig_msg_done(&msg);
	return jumped && rig_count(&rig, "front") == 2;
}

/* What a shell of the bastion asks for, as far as it works. Whether it got the link of a host. */
static bool
shell_asks(struct fake *shell)
{
	struct rig_msg msg = { .n_fds = 0 };
	struct fake *recorder;
	bool linked = false;
	uint32_t leg = rig.w->last_leg + 1;

	rig_hello(&rig, shell->fds[0]);
	rig_send(&rig, shell->fds[0], BRK_SHELL_SESSIONS, 1, NULL, 0);
	if ((recorder = rig_fake(&rig, "recorder")) == NULL || rig_fake(&rig, "policy") == NULL)
		return false;
	while (rig_fake(&rig, "recorder") == recorder && rig_take(&rig, recorder->fds[0], &msg))
		if (msg.type == REC_AUDIT)
			rig_send(&rig, recorder->fds[0], REC_AUDIT_DONE, msg.id, NULL, 0);
	if (rig_fake(&rig, "shell") != shell || rig_fake(&rig, "policy") == NULL)
		return false;
	rig_grant_as(&rig, rig.w->last_conn, leg, POL_BACK_SSH, leg - 1);
	if (rig_fake(&rig, "recorder") == NULL)
		return false;
	rig_opened(&rig, leg);
	while (rig_fake(&rig, "shell") == shell && rig_take(&rig, shell->fds[0], &msg))
		linked |= msg.type == BRK_SHELL_LINK;
	rig_msg_done(&msg);
	return linked;
}

/* One person in the bastion's own shell. */
static bool
shell(void)
{
	struct fake *front, *policy, *f;
	const char *line;
	uint32_t leg;

	if (!rig_settle(&rig, 200) || rig_connect(&rig, "192.0.2.1", &line, NULL) != 0 ||
	    (front = rig_fake(&rig, "front")) == NULL ||
	    (policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	rig_send_text(&rig, policy->fds[0], POL_AUTHENTICATED, rig.w->last_conn, "alice");
	if ((front = rig_fake(&rig, "front")) == NULL)
		return false;
	rig_hello(&rig, front->fds[0]);
	rig_send(&rig, front->fds[0], BRK_FRONT_SHELL, 0, NULL, 0);
	if (rig_fake(&rig, "policy") == NULL)
		return false;
	leg = rig.w->last_leg + 1;
	rig_grant_as(&rig, rig.w->last_conn, leg, POL_BACK_SHELL, 0);
	if (rig_fake(&rig, "recorder") == NULL)
		return false;
	rig_opened(&rig, leg);
	return (f = rig_fake(&rig, "shell")) != NULL && shell_asks(f);
}

static void
end_all(const char *name)
{
	struct fake *f;

	while ((f = rig_fake(&rig, name)) != NULL) {
		rig_end(&rig, f, 0);
		rig_run(&rig);
	}
}

static void
on_durable(void *arg, bool ok)
{
	(void)arg;
	(void)ok;
}

static void
on_status(void *arg, struct json *status)
{
	(void)arg;
	json_free(status);
}

/* What administrators do, as far as it works. */
static void
other_requests(void)
{
	static const char *const args[] = { "list", NULL };
	int fd = -1;

	wiring_audit(rig.w, json_event("one"));
	if (wiring_audit_wait(rig.w, json_event("two"), on_durable, &rig) == 0)
		rig_run(&rig);
	if (wiring_status(rig.w, on_status, NULL) == 0)
		rig_pass_time(&rig, 2 * CLOCK_NS_PER_S);
	if (wiring_reader(rig.w, args, &fd) == 0)
		fd_close(&fd);
	if (wiring_keys_admin(rig.w, "uid 0", &fd) == 0)
		fd_close(&fd);
	end_all("reader");
}

/* The same for the bastion's own shell alone. */
static int
run_shell(void *arg)
{
	int r = rig_try_open(&rig), shells = 0;

	(void)arg;
	if (r == 0) {
		wiring_start(rig.w);
		for (int i = 0; i < 2; i++) {
			shells += shell();
			end_all("back");
			end_all("reader");
			end_all("shell");
			end_all("front");
		}
		assert_true(shells >= 1);
		assert_true(rig_settle(&rig, 200));
	}
	fault_hold();
	rig_close(&rig);
	fault_go();
	return r;
}

/* One conversation with PAM that is wanted and ends. Whether policy has heard of the end. */
static bool
conversation(void)
{
	static const uint8_t wanted[] = { 0, 0, 0, 1, 0, 0, 0, 0 };
	struct rig_msg msg = { .n_fds = 0 };
	struct fake *front, *policy;
	const char *line;
	unsigned gone = 0;

	if (!rig_settle(&rig, 200) || rig_connect(&rig, "192.0.2.1", &line, NULL) != 0 ||
	    (front = rig_fake(&rig, "front")) == NULL ||
	    (policy = rig_fake(&rig, "policy")) == NULL)
		return false;
	rig_hello(&rig, front->fds[0]);
	rig_send(&rig, policy->fds[0], POL_WANT_AUTH, rig.w->last_conn, wanted, sizeof(wanted));
	end_all("auth");
	while (rig_fake(&rig, "policy") == policy && rig_take(&rig, policy->fds[0], &msg))
		gone += msg.type == POL_AUTH_GONE;
	rig_msg_done(&msg);
	/* Never twice; and not at all only where policy has lost its edge. */
	assert_true(gone <= 1);
	assert_true(gone == 1 || rig_fake(&rig, "policy") != policy ||
		    rig.w->policy.state != SERVICE_READY);
	return gone == 1;
}

static int
run_auth(void *arg)
{
	int r = rig_try_open(&rig), heard = 0;

	(void)arg;
	if (r == 0) {
		wiring_start(rig.w);
		for (int i = 0; i < 3; i++) {
			heard += conversation();
			end_all("front");
			rig_pass_time(&rig, CLOCK_NS_PER_S);
		}
		assert_true(heard >= 2);
		assert_int_equal(rig.w->n_auths, 0);
	}
	fault_hold();
	rig_close(&rig);
	fault_go();
	return r;
}

static int
run(void *arg)
{
	int r = rig_try_open(&rig), good = 0, jumps = 0;

	(void)arg;
	if (r == 0) {
		wiring_start(rig.w);
		for (int i = 0; i < 3; i++) {
			good += session();
			end_all("back");
			end_all("front");
			jumps += jump();
			end_all("front");
			rig_pass_time(&rig, CLOCK_NS_PER_S);
		}
		other_requests();
		wiring_stop(rig.w, "bye");
		for (int i = 0; i < 60 && !wiring_stopped(rig.w); i++)
			rig_pass_time(&rig, CLOCK_NS_PER_S);
		/* One fault spoils one session at most. */
		assert_true(good >= 2);
		assert_true(jumps >= 2);
		/* A recorder that never closed a leg keeps its row; processes are all gone. */
		assert_null(rig.fakes);
		assert_true(rig.w->keys.state == SERVICE_STOPPED);
		assert_true(rig.w->policy.state == SERVICE_STOPPED);
		assert_true(rig.w->recorder.state == SERVICE_STOPPED);
	}
	fault_hold();
	rig_close(&rig);
	fault_go();
	return r;
}

static void
test_every_allocation_fails_once(void **state)
{
	unsigned n;

	(void)state;
	n = fault_each(FAULT_MEMORY, run, NULL);
	assert_true(n > 100);
}

static void
test_every_socket_call_fails_once(void **state)
{
	unsigned n;

	(void)state;
	n = fault_each(FAULT_SOCKET, run, NULL);
	assert_true(n > 100);
}

static void
test_a_shell_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_shell, NULL) > 50);
	assert_true(fault_each(FAULT_SOCKET, run_shell, NULL) > 50);
}

static void
test_a_conversation_is_over_once_whatever_fails(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_auth, NULL) > 50);
	assert_true(fault_each(FAULT_SOCKET, run_auth, NULL) > 50);
}

static void
on_hold(bool hold)
{
	if (hold)
		fault_hold();
	else
		fault_go();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation_fails_once),
		cmocka_unit_test(test_every_socket_call_fails_once),
		cmocka_unit_test(test_a_shell_survives_each_failure),
		cmocka_unit_test(test_a_conversation_is_over_once_whatever_fails),
	};

	rig_on_hold = on_hold;
	log_set_level((enum log_level)0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
