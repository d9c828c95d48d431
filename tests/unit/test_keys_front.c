/* The rate of host key signatures on one connection, under a clock that the test moves. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "keys/keys_crypto.h"
#include "keys/keys_front.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "policy/policy_proto.h"

static uint64_t now_ns = 1000 * CLOCK_NS_PER_S;

static uint64_t
test_clock(void)
{
	return now_ns;
}

struct scene {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_seen *seen;
	struct keys_fronts *fronts;
	struct keys_key *host;
	int policy_fd, fd;
};

static uint8_t space[IPC_HEADER + IPC_MAX];

static void
on_cert(void *arg, uint32_t leg, bool ok, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)leg;
	(void)ok;
	(void)data;
	(void)len;
}

static int
edge(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static void
scene_open(struct scene *s, bool in)
{
	int theirs;

	assert_int_equal(loop_new(&s->loop), 0);
	assert_non_null(s->policy = keys_policy_new(s->loop, on_cert, NULL));
	s->policy_fd = edge(&theirs);
	assert_int_equal(keys_policy_connect(s->policy, theirs), 0);
	assert_non_null(s->seen = keys_seen_new());
	assert_non_null(s->fronts = keys_fronts_new(s->loop, s->policy, s->seen));
	assert_int_equal(keys_key_generate(KEYS_HOST_KEY, SSHKEY_ED25519, 256, &s->host), 0);
	s->fd = edge(&theirs);
	assert_int_equal(keys_fronts_add(s->fronts, 7, theirs, in, s->host, NULL), 0);
}

static void
scene_close(struct scene *s)
{
	keys_fronts_free(s->fronts);
	keys_policy_free(s->policy);
	keys_seen_free(s->seen);
	keys_key_unref(s->host);
	loop_free(s->loop);
	fd_close(&s->fd);
	fd_close(&s->policy_fd);
}

static void
passes(struct scene *s)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_pass(s->loop, 0), 0);
}

static void
ask(struct scene *s)
{
	uint8_t hash[32];

	randombytes_buf(hash, sizeof(hash));
	assert_int_equal(ipc_plain_send(s->fd, KEYS_SIGN, 0, hash, sizeof(hash), NULL, 0), 0);
	passes(s);
}

static bool
answered(struct scene *s)
{
	struct ipc_msg msg;
	uint8_t peek;

	passes(s);
	if (recv(s->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return false;
	/* The hello comes first, once; it is skipped inside. */
	clock_override(NULL, NULL);
	if (ipc_plain_recv(s->fd, space, &msg, 0) != 0)
		msg.type = 0;
	clock_override(NULL, test_clock);
	return msg.type == KEYS_SIGNED;
}

static void
test_a_burst_passes_and_then_one_at_a_time(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, true);
	for (unsigned i = 0; i < KEYS_REKEY_BURST; i++) {
		ask(&s);
		assert_true(answered(&s));
	}
	for (unsigned i = 0; i < 5; i++) {
		ask(&s);
		assert_false(answered(&s));
		now_ns += KEYS_REKEY_EVERY_NS - 1;
		assert_false(answered(&s));
		now_ns += 1;
		assert_true(answered(&s));
	}
	scene_close(&s);
}

static void
test_time_gives_the_burst_back_and_no_more(void **state)
{
	struct scene s;
	unsigned n = 0;

	(void)state;
	scene_open(&s, true);
	for (unsigned i = 0; i < KEYS_REKEY_BURST; i++) {
		ask(&s);
		assert_true(answered(&s));
	}
	now_ns += 1000 * KEYS_REKEY_EVERY_NS;
	do {
		ask(&s);
		n++;
	} while (answered(&s) && n < 100);
	assert_int_equal(n, KEYS_REKEY_BURST + 1);
	scene_close(&s);
}

static void
test_the_session_id_is_not_counted_and_told_once(void **state)
{
	struct ipc_msg msg;
	struct scene s;

	(void)state;
	scene_open(&s, false);
	ask(&s);
	assert_true(answered(&s));
	keys_fronts_in(s.fronts, 7);
	for (unsigned i = 0; i < KEYS_REKEY_BURST; i++) {
		ask(&s);
		assert_true(answered(&s));
	}
	ask(&s);
	assert_false(answered(&s));
	clock_override(NULL, NULL);
	assert_int_equal(ipc_plain_recv(s.policy_fd, space, &msg, 1000), 0);
	assert_int_equal(msg.type, POL_SESSION_ID);
	assert_int_equal(msg.id, 7);
	assert_int_equal(ipc_plain_recv(s.policy_fd, space, &msg, 0), -ETIMEDOUT);
	clock_override(NULL, test_clock);
	scene_close(&s);
}

/* What policy was told; IPC_HELLO: nothing. */
static uint16_t
told(struct scene *s)
{
	struct ipc_msg msg;
	int r;

	clock_override(NULL, NULL);
	r = ipc_plain_recv(s->policy_fd, space, &msg, 0);
	clock_override(NULL, test_clock);
	return r == 0 ? msg.type : IPC_HELLO;
}

static void
test_a_second_one_before_the_login_is_an_alarm(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, false);
	ask(&s);
	assert_true(answered(&s));
	assert_int_equal(told(&s), POL_SESSION_ID);
	ask(&s);
	assert_false(answered(&s));
	now_ns += KEYS_LOGIN_WAIT_NS - 1;
	passes(&s);
	assert_int_equal(told(&s), IPC_HELLO);
	assert_int_equal(keys_fronts_n(s.fronts), 1);
	now_ns += 1;
	passes(&s);
	assert_int_equal(told(&s), POL_KEYS_ALARM);
	assert_int_equal(keys_fronts_n(s.fronts), 0);
	assert_int_equal(keys_fronts_signed(s.fronts), 1);
	keys_fronts_in(s.fronts, 7);
	scene_close(&s);
}

/* A client may rekey before the broker has told us that it is in. */
static void
test_a_rekey_waits_for_the_word_of_the_login(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, false);
	ask(&s);
	assert_true(answered(&s));
	assert_int_equal(told(&s), POL_SESSION_ID);
	ask(&s);
	assert_false(answered(&s));
	keys_fronts_in(s.fronts, 7);
	assert_true(answered(&s));
	now_ns += 2 * KEYS_LOGIN_WAIT_NS;
	passes(&s);
	assert_int_equal(told(&s), IPC_HELLO);
	assert_int_equal(keys_fronts_n(s.fronts), 1);
	assert_int_equal(keys_fronts_signed(s.fronts), 2);
	scene_close(&s);
}

/* Two at a time, of whatever kind, are more than an honest front ever asks for. */
static void
test_one_while_another_waits_for_the_login_is_an_alarm(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, false);
	ask(&s);
	assert_true(answered(&s));
	assert_int_equal(told(&s), POL_SESSION_ID);
	ask(&s);
	ask(&s);
	assert_int_equal(told(&s), POL_KEYS_ALARM);
	assert_int_equal(keys_fronts_n(s.fronts), 0);
	scene_close(&s);
}

/* A connection that ends while its signature waits takes nothing else with it. */
static void
test_an_end_while_one_waits(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, true);
	for (unsigned i = 0; i <= KEYS_REKEY_BURST; i++)
		ask(&s);
	assert_int_equal(keys_fronts_n(s.fronts), 1);
	keys_fronts_gone(s.fronts, 7);
	keys_fronts_gone(s.fronts, 7);
	assert_int_equal(keys_fronts_n(s.fronts), 0);
	now_ns += 10 * KEYS_REKEY_EVERY_NS;
	passes(&s);
	assert_int_equal(keys_fronts_signed(s.fronts), KEYS_REKEY_BURST);
	scene_close(&s);
}

static void
test_session_ids_are_remembered_for_long(void **state)
{
	struct keys_seen *seen = keys_seen_new();
	uint8_t id[32], first[32];

	(void)state;
	assert_non_null(seen);
	randombytes_buf(first, sizeof(first));
	assert_true(keys_seen_add(seen, first, sizeof(first)));
	assert_false(keys_seen_add(seen, first, sizeof(first)));
	/* A prefix of it is another id. */
	assert_true(keys_seen_add(seen, first, 31));
	for (unsigned i = 0; i < 8000; i++) {
		randombytes_buf(id, sizeof(id));
		assert_true(keys_seen_add(seen, id, sizeof(id)));
	}
	assert_false(keys_seen_add(seen, first, sizeof(first)));
	keys_seen_free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_passes_and_then_one_at_a_time),
		cmocka_unit_test(test_time_gives_the_burst_back_and_no_more),
		cmocka_unit_test(test_the_session_id_is_not_counted_and_told_once),
		cmocka_unit_test(test_a_second_one_before_the_login_is_an_alarm),
		cmocka_unit_test(test_a_rekey_waits_for_the_word_of_the_login),
		cmocka_unit_test(test_one_while_another_waits_for_the_login_is_an_alarm),
		cmocka_unit_test(test_an_end_while_one_waits),
		cmocka_unit_test(test_session_ids_are_remembered_for_long),
	};
	bool locked;

	if (secret_init() != 0 || keys_crypto_init(&locked) != 0)
		return 1;
	clock_override(NULL, test_clock);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
