/*
 * The wiring against programs that do anything in any order: connections, logins, grants, answers of the recorder, deaths of
 * everything at every moment. After each step its tables must fit what runs, and nothing of a grant may have been
 * seen by anybody before the recorder opened the session; at the end nothing is left, descriptors included.
 */
#include "config.h"

#include <signal.h>
#include <unistd.h>

#include "keys/keys_proto.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"
#include "tests/lib/wiring_rig.h"

#define RUNS 150
#define STEPS 300
#define LEGS 4096

static struct rig rig;
static uint32_t seed;
static bool opened[LEGS]; /* legs that this test's recorder has opened */
static unsigned n_links, n_backs, n_durable, n_jumped, n_talks, n_heard;
static unsigned n_shells, n_shell_links, n_shell_answers;
/* Conversations with PAM that the policy of this generation has wanted, and those that it knows to be over. */
static uint32_t n_wanted, n_gone;
static unsigned wanted_generation;

static uint32_t
dice(uint32_t n)
{
	return test_random(&seed) % n;
}

static struct conn *
some_conn(void)
{
	uint32_t skip = dice(WIRING_BUCKETS);

	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		struct conn *c = LIST_FIRST(&rig.w->conns[(i + skip) % WIRING_BUCKETS]);

		if (c != NULL)
			return c;
	}
	return NULL;
}

static struct leg *
some_leg(void)
{
	uint32_t skip = dice(WIRING_BUCKETS);

	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		struct leg *l = LIST_FIRST(&rig.w->legs[(i + skip) % WIRING_BUCKETS]);

		if (l != NULL)
			return l;
	}
	return NULL;
}

static struct fake *
some_fake(const char *name)
{
	size_t n = rig_count(&rig, name), i = 0;
	size_t wanted = n > 0 ? dice((uint32_t)n) : 0;

	for (struct fake *f = rig.fakes; f != NULL; f = f->next)
		if (f->alive >= 0 && strcmp(f->name + strlen("bastiond-"), name) == 0 &&
		    i++ == wanted)
			return f;
	return NULL;
}

static int
some_status(void)
{
	static const int all[] = { 0, 1 << 8, SIGKILL, SIGSEGV, SIGABRT };

	return all[dice(N_OF(all))];
}

/* Its own start and the links of its hosts come when the recorder has them; recordings and refusals at any time. */
static void
see_shell(const struct rig_msg *msg)
{
	if (msg->type == BRK_SHELL_START || msg->type == BRK_SHELL_LINK)
		assert_true(opened[msg->id % LEGS]);
	n_shells += msg->type == BRK_SHELL_START;
	n_shell_links += msg->type == BRK_SHELL_LINK;
	n_shell_answers += msg->type == BRK_SHELL_EDGE || msg->type == BRK_SHELL_NO_EDGE;
}

/* Read what a peer was sent: the promise about grants is checked on every message. */
static void
drain(struct fake *f, size_t at)
{
	struct rig_msg msg = { .n_fds = 0 };

	while (f->fds[at] >= 0 && rig_take(&rig, f->fds[at], &msg)) {
		if (strcmp(f->name, "bastiond-keys") == 0 && msg.type == KEYS_BACK)
			assert_true(opened[msg.id % LEGS]);
		if (strcmp(f->name, "bastiond-front") == 0 && msg.type == BRK_FRONT_LINK) {
			assert_true(opened[msg.id % LEGS]);
			n_links++;
		}
		n_talks += strcmp(f->name, "bastiond-front") == 0 && msg.type == BRK_FRONT_AUTH;
		if (strcmp(f->name, "bastiond-policy") == 0 && msg.type == POL_AUTH_GONE)
			n_gone++, n_heard++;
		n_jumped += strcmp(f->name, "bastiond-front") == 0 && msg.type == BRK_FRONT_JUMPED;
		if (strcmp(f->name, "bastiond-back") == 0) {
			assert_true(opened[msg.id % LEGS]);
			n_backs++;
		}
		if (strcmp(f->name, "bastiond-shell") == 0)
			see_shell(&msg);
		if (f->alive < 0)
			break;
	}
	rig_msg_done(&msg);
}

static void
drain_all(void)
{
	static const char *const names[] = { "keys", "policy", "recorder", "front", "back",
		"shell" };

	for (size_t i = 0; i < N_OF(names); i++) {
		struct fake *f = some_fake(names[i]);

		if (f != NULL)
			drain(f, 0);
	}
}

static void
step_connect(void)
{
	char source[32];
	const char *line;
	struct fake *front;

	snprintf(source, sizeof(source), "192.0.2.%u", dice(5) + 1);
	if (rig_connect(&rig, source, &line, NULL) != 0)
		return;
	front = rig_fake(&rig, "front");
	if (dice(4) != 0)
		assert_int_equal(ipc_plain_hello(front->fds[0]), 0);
}

static void
step_authenticate(void)
{
	struct conn *c = some_conn();

	if (service_is_ready(&rig.w->policy))
		rig_send_text(&rig, rig_fake(&rig, "policy")->fds[0], POL_AUTHENTICATED,
		    c != NULL ? c->id : 7, "alice");
}

/* The front of somebody who is logged in, or of anybody. */
static struct fake *
some_asker(void)
{
	struct conn *c = some_conn();

	for (int i = 0; i < 20 && c != NULL && (c->state != CONN_IN || c->is_jump); i++)
		c = some_conn();
	for (struct fake *f = rig.fakes; f != NULL && c != NULL && c->front != NULL; f = f->next)
		if (f->alive >= 0 && f->pid == process_pid(c->front))
			return f;
	return some_fake("front");
}

/* Anybody's front asks, also one that must not. */
static void
step_jump(void)
{
	struct fake *f = dice(8) != 0 ? some_asker() : some_fake("front");

	if (f != NULL)
		rig_jump_ask(&rig, f, dice(50), "web1");
}

/* A jump that waits for an answer, else anybody. */
static struct conn *
some_asking(void)
{
	struct conn *c;

	for (size_t i = 0; i < WIRING_BUCKETS && dice(WIRING_BUCKETS) != 0; i++)
		LIST_FOREACH (c, &rig.w->conns[i], by_id)
			if (c->state < CONN_LOGIN)
				return c;
	return some_conn();
}

/* Policy or the vault says something about a jump, mostly when it was asked. */
static void
step_jump_answers(void)
{
	struct conn *c = some_asking();
	uint32_t id = c != NULL && dice(20) != 0 ? c->id : 77777;
	enum conn_state state = c != NULL ? c->state : CONN_IN;

	if (state == CONN_ASKS_POLICY && service_is_ready(&rig.w->policy)) {
		if (dice(5) != 0)
			rig_jumped(&rig, id, dice(20) != 0 ? "web1" : "");
		else
			rig_send(&rig, rig_fake(&rig, "policy")->fds[0], POL_JUMPED, id,
			    "\0\0\0\0\2no", 7);
	} else if ((state == CONN_ASKS_VAULT || dice(40) == 0) && service_is_ready(&rig.w->keys)) {
		rig_front_key(&rig, id, dice(5) != 0 ? "key" : "", dice(2) != 0 ? "cert" : "");
	}
}

static void
step_grant(void)
{
	struct conn *c = some_conn();

	if (service_is_ready(&rig.w->policy) && rig.w->last_leg < LEGS - 2)
		rig_grant(
		    &rig, c != NULL && dice(8) != 0 ? c->id : 99999, rig.w->last_leg + 1 + dice(2));
}

/* Somebody opens a session without a host, perhaps not for the first time; a jump must not. */
static void
step_want_shell(void)
{
	struct conn *c = some_conn();
	struct fake *f = NULL;

	for (int i = 0;
	     i < 20 && c != NULL && (c->state != CONN_IN || c->is_jump || c->wanted_shell); i++)
		c = some_conn();
	if (c != NULL && c->front != NULL && !c->is_jump && !c->wanted_shell)
		f = rig_fake_pid(&rig, process_pid(c->front));
	else if (dice(20) == 0)
		f = some_fake("front");
	if (f != NULL)
		rig_send(&rig, f->fds[0], BRK_FRONT_SHELL, 0, NULL, 0);
}

/* A connection that waits for its shell, else any. */
static struct conn *
some_wanting(void)
{
	struct conn *c;

	for (size_t i = 0; i < WIRING_BUCKETS && dice(WIRING_BUCKETS) != 0; i++)
		LIST_FOREACH (c, &rig.w->conns[i], by_id)
			if (c->wanted_shell)
				return c;
	return some_conn();
}

static void
step_shell_grant(void)
{
	struct conn *c = some_wanting();
	uint32_t id = c != NULL && dice(12) != 0 ? c->id : 99999;

	if (!service_is_ready(&rig.w->policy) || rig.w->last_leg >= LEGS - 2)
		return;
	if (dice(6) == 0)
		rig_send_text(&rig, rig_fake(&rig, "policy")->fds[0], POL_NO_SHELL, id, "no");
	else
		rig_grant_as(&rig, id, rig.w->last_leg + 1, POL_BACK_SHELL, 0);
}

/* What a shell's person has chosen: a leg whose link is the shell's, or nobody's when that is no shell. */
static void
step_shell_connects(void)
{
	const struct leg *l, *shell = NULL;
	struct fake *f;
	uint32_t id = rig.w->last_leg + 1;

	for (size_t i = 0; i < WIRING_BUCKETS; i++)
		LIST_FOREACH (l, &rig.w->legs[i], by_id)
			if (l->kind == POL_BACK_SHELL && l->conn != NULL &&
			    (l->state == LEG_RUNNING || dice(20) == 0))
				shell = l;
	if (!service_is_ready(&rig.w->policy) || id >= LEGS - 1 || (shell == NULL && dice(10) != 0))
		return;
	rig_grant_as(&rig, shell != NULL ? shell->conn->id : 99999, id, POL_BACK_SSH,
	    shell != NULL && dice(10) != 0 ? shell->id : 77777);
	/* Shells do not live long here: often the recorder is quick. */
	l = leg_find(rig.w, id);
	if (l != NULL && l->recorded && service_is_ready(&rig.w->recorder) && dice(3) != 0) {
		opened[id % LEGS] = true;
		rig_opened(&rig, id);
		if ((f = some_fake("shell")) != NULL)
			drain(f, 0);
	}
}

static void
step_shell_sessions(void)
{
	struct fake *f = some_fake("shell");

	if (f == NULL)
		return;
	rig_send(&rig, f->fds[0], BRK_SHELL_SESSIONS, dice(9), NULL, 0);
}

/* A shell that was just started says its first word, mostly. */
static void
greet_shell(uint32_t leg)
{
	const struct leg *l = leg_find(rig.w, leg);
	struct fake *f = l != NULL && l->back != NULL && l->kind == POL_BACK_SHELL
			     ? rig_fake_pid(&rig, process_pid(l->back))
			     : NULL;

	if (f != NULL && dice(8) != 0)
		rig_hello(&rig, f->fds[0]);
}

static void
step_recorder_answers(void)
{
	struct leg *l = some_leg();
	uint32_t id = l != NULL ? l->id : 5;

	if (!service_is_ready(&rig.w->recorder))
		return;
	if (l != NULL && l->recorded && !l->has_sid && dice(4) != 0) {
		opened[id % LEGS] = true;
		rig_opened(&rig, id);
		greet_shell(id);
	} else if (l == NULL || (l->recorded && !l->has_sid)) {
		rig_send_text(&rig, rig_fake(&rig, "recorder")->fds[0], REC_REFUSED, id, "no");
	} else if (l->recorded) {
		rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_CLOSED, id,
		    "0123456789abcdef", 16);
	}
}

static void
step_end_one(void)
{
	static const char *const names[] = { "front", "back", "shell" };
	struct fake *f = some_fake(names[dice(3)]);

	if (f != NULL)
		rig_end(&rig, f, some_status());
}

static void
step_end_service(void)
{
	static const char *const names[] = { "keys", "policy", "recorder" };
	struct fake *f = some_fake(names[dice(3)]);

	if (f != NULL && dice(4) == 0)
		rig_end(&rig, f, some_status());
}

static void
step_service_answers(void)
{
	struct service *const all[] = { &rig.w->keys, &rig.w->policy, &rig.w->recorder };

	for (size_t i = 0; i < N_OF(all); i++)
		if (all[i]->state == SERVICE_STARTING)
			rig_restarted(&rig, all[i]->conf.name);
}

static void
step_time(void)
{
	rig_pass_time(&rig, (uint64_t)dice(4000) * 5 * CLOCK_NS_PER_MS);
}

static void
step_failed(void)
{
	struct conn *c = some_conn();
	/* An alarm ends the connection: rare, so that some live. */
	uint8_t kind = dice(20) == 0 ? POL_FAILURE_ALARM : (uint8_t)(1 + dice(2));

	if (c != NULL && service_is_ready(&rig.w->policy))
		rig_send(&rig, rig_fake(&rig, "policy")->fds[0], POL_FAILED, c->id, &kind, 1);
}

static void
on_durable(void *arg, bool ok)
{
	(void)arg;
	n_durable += ok;
}

static void
step_audit(void)
{
	uint32_t id = rig.w->last_audit - dice(3);

	if (dice(2) == 0)
		wiring_audit(rig.w, json_event("x"));
	else if (wiring_audit_wait(rig.w, json_event("y"), on_durable, NULL) != 0)
		assert_false(service_is_ready(&rig.w->recorder));
	if (service_is_ready(&rig.w->recorder))
		rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_AUDIT_DONE, id, NULL, 0);
}

static void
step_health(void)
{
	uint8_t health[] = { (uint8_t)(1 + dice(3)), 0, 0, 0, 0 };

	if (service_is_ready(&rig.w->recorder))
		rig_send(&rig, rig_fake(&rig, "recorder")->fds[0], REC_HEALTH, 0, health, 5);
}

static void
step_spawn_fails(void)
{
	rig.fail_spawn = (int)dice(2);
}

static void
step_peer_misbehaves(void)
{
	static const char *const names[] = { "front", "back", "shell", "keys", "policy",
		"recorder" };
	struct fake *f = some_fake(names[dice(N_OF(names))]);

	if (f != NULL && dice(6) == 0)
		rig_send(&rig, f->fds[0], (uint16_t)dice(80), dice(9), "garbage", dice(8));
}

static void
step_want_auth(void)
{
	struct conn *c = some_conn();
	uint32_t via = dice(6) == 0 ? dice(4) : 0;
	uint8_t data[8] = { 0 };

	if (!service_is_ready(&rig.w->policy))
		return;
	if (wanted_generation != rig.w->policy.generation)
		n_wanted = n_gone = 0; /* this one has wanted nothing */
	wanted_generation = rig.w->policy.generation;
	n_wanted++;
	data[2] = (uint8_t)(n_wanted >> 8);
	data[3] = (uint8_t)n_wanted;
	data[7] = (uint8_t)via;
	rig_send(&rig, rig_fake(&rig, "policy")->fds[0], POL_WANT_AUTH,
	    c != NULL && dice(10) != 0 ? c->id : 77777, data, sizeof(data));
}

static void
step_stop_auth(void)
{
	struct conn *c = some_conn();
	uint8_t data[4] = { 0 };

	data[2] = (uint8_t)(n_wanted >> 8);
	data[3] = (uint8_t)n_wanted;
	if (c != NULL && service_is_ready(&rig.w->policy))
		rig_send(&rig, rig_fake(&rig, "policy")->fds[0], POL_STOP_AUTH, c->id, data, 4);
}

static void
step_end_auth(void)
{
	struct fake *f = some_fake("auth");

	if (f != NULL)
		rig_end(&rig, f, some_status());
}

static void
step_kill_session(void)
{
	struct leg *l = some_leg();
	char sid[2 * REC_SID_LEN + 1];

	if (l == NULL || !l->has_sid)
		return;
	for (size_t i = 0; i < REC_SID_LEN; i++)
		snprintf(sid + 2 * i, 3, "%02x", l->sid[i]);
	if (wiring_kill_session(rig.w, sid, "test") == 0)
		assert_true(service_is_ready(&rig.w->recorder));
}

static const struct {
	void (*step)(void);
	unsigned weight;
} steps[] = { { step_connect, 10 }, { step_authenticate, 14 }, { step_grant, 16 }, { step_jump, 6 },
	{ step_jump_answers, 14 }, { step_recorder_answers, 16 }, { step_end_one, 8 },
	{ step_end_service, 4 }, { step_service_answers, 10 }, { step_time, 4 }, { step_failed, 3 },
	{ step_audit, 4 }, { step_health, 2 }, { step_spawn_fails, 2 }, { step_peer_misbehaves, 4 },
	{ step_kill_session, 2 }, { step_want_auth, 10 }, { step_stop_auth, 3 },
	{ step_end_auth, 5 }, { step_want_shell, 8 }, { step_shell_grant, 10 },
	{ step_shell_connects, 8 }, { step_shell_sessions, 4 }, { drain_all, 12 } };

static void
one_step(void)
{
	unsigned all = 0, at;

	for (size_t i = 0; i < N_OF(steps); i++)
		all += steps[i].weight;
	at = dice(all);
	for (size_t i = 0; i < N_OF(steps); i++) {
		if (at < steps[i].weight) {
			steps[i].step();
			break;
		}
		at -= steps[i].weight;
	}
	rig_run(&rig);
}

/* What policy has wanted and has not heard of runs; everything else was told once. */
static void
check_auths(void)
{
	const struct auth *a;
	uint32_t running = 0;

	assert_int_equal(rig.w->n_auths, rig_count(&rig, "auth"));
	assert_true(rig.w->n_auths <= rig.w->settings->auth_processes);
	if (!service_is_ready(&rig.w->policy) || wanted_generation != rig.w->policy.generation)
		return;
	drain(rig_fake(&rig, "policy"), 0);
	LIST_FOREACH (a, &rig.w->auths, link)
		running += a->policy_generation == wanted_generation;
	if (service_is_ready(&rig.w->policy))
		assert_int_equal(n_wanted, n_gone + running);
}

static void
check(void)
{
	size_t conns = 0, legs = 0, backs = 0, fronts = 0, jumps = 0;

	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		const struct conn *c;
		const struct leg *l;

		LIST_FOREACH (c, &rig.w->conns[i], by_id) {
			bool asks = c->state < CONN_LOGIN;

			conns++;
			jumps += c->is_jump;
			fronts += c->front != NULL;
			/* Before its front there is somebody who waits for the answer, and after it nobody. */
			assert_int_equal(c->front == NULL, asks);
			assert_true(!asks || (c->is_jump && c->parent != NULL));
			assert_true(c->is_jump || c->parent == NULL);
			assert_true(c->parent == NULL || !c->parent->is_jump);
			assert_int_equal(c->policy_fd >= 0, asks);
			assert_int_equal(c->keys_fd >= 0, c->state == CONN_ASKS_VAULT);
			assert_true(c->parent != NULL || !c->is_jump || c->state == CONN_CLOSING);
		}
		LIST_FOREACH (l, &rig.w->legs[i], by_id) {
			legs++;
			backs += l->back != NULL;
			/* A row is there for a reason, and holds descriptors only while it waits. */
			assert_true(l->recorded || l->back != NULL);
			assert_int_equal(l->front_link >= 0, l->state == LEG_OPENING);
			assert_int_equal(l->back_link >= 0, l->state == LEG_OPENING);
			assert_true(l->back == NULL || opened[l->id % LEGS]);
		}
	}
	check_auths();
	assert_int_equal(conns, rig.w->n_conns);
	assert_int_equal(jumps, rig.w->n_jumps);
	assert_int_equal(fronts, rig_count(&rig, "front"));
	assert_int_equal(conns, limits_connections(rig.w->limits));
	assert_int_equal(legs, rig.w->n_legs);
	assert_int_equal(backs, rig_count(&rig, "back") + rig_count(&rig, "shell"));
	assert_true(rig_count(&rig, "keys") <= 1);
	assert_true(rig_count(&rig, "policy") <= 1);
	assert_true(rig_count(&rig, "recorder") <= 1);
}

static void
no_penalties(struct settings *s)
{
	assert_int_equal(net_prefix_parse("0.0.0.0/0", &s->penalties.exempt.prefix[0]), 0);
	s->connections = 16;
	s->auth_processes = 8;
}

static void
test_any_order_of_events(void **state)
{
	(void)state;
	for (uint32_t run = 1; run <= RUNS; run++) {
		seed = run * 7919;
		memset(opened, 0, sizeof(opened));
		wanted_generation = 0;
		rig_open(&rig, no_penalties);
		rig_start(&rig);
		for (unsigned i = 0; i < STEPS; i++) {
			one_step();
			check();
		}
		rig.fail_spawn = 0;
		wiring_stop(rig.w, "bye");
		for (int i = 0; i < 80; i++) {
			static const char *const names[] = { "front", "back", "shell" };
			struct fake *f = some_fake(names[dice(3)]);

			if (f != NULL && dice(3) == 0)
				rig_end(&rig, f, 0);
			rig_pass_time(&rig, CLOCK_NS_PER_S);
			check();
		}
		assert_true(wiring_stopped(rig.w));
		assert_null(rig.fakes);
		rig_close(&rig);
	}
	/* The runs have been where it matters. */
	assert_true(n_links > 50);
	assert_true(n_backs > 50);
	assert_true(n_durable > 10);
	assert_true(n_jumped > 30);
	assert_true(n_talks > 30);
	assert_true(n_heard > 30);
	assert_true(n_shells > 30);
	assert_true(n_shell_links > 3);
	assert_true(n_shell_answers > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order_of_events),
	};

	log_set_level((enum log_level)0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
