/* A whole login through the agent with every allocation failing in turn: it works, or the edge closes; never half. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "fault.h"
#include "keys/keys_agent.h"
#include "keys/keys_crypto.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "policy/policy_proto.h"
#include "tests/lib/keys_help.h"

static struct keys_vault *vault;
static uint8_t space[IPC_HEADER + IPC_MAX];

struct scene {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_seen *seen;
	struct keys_legs *legs;
	int policy_fd, fd;
	struct help_host host;
	uint8_t sid[32], sig[HELP_HOST_SIG];
};

static void
on_cert(void *arg, uint32_t leg, bool ok, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)leg;
	(void)ok;
	(void)data;
	(void)len;
	fail_msg("nobody showed a certificate");
}

static void
scene_open(struct scene *s)
{
	int fds[2];

	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(ipc_pair(fds), 0);
	assert_non_null(s->policy = keys_policy_new(s->loop, on_cert, NULL));
	assert_int_equal(keys_policy_connect(s->policy, fds[1]), 0);
	s->policy_fd = fds[0];
	assert_int_equal(ipc_plain_hello(fds[0]), 0);
	assert_non_null(s->seen = keys_seen_new());
	assert_non_null(s->legs = keys_legs_new(s->loop, s->policy, s->seen));
	help_host_new(&s->host);
	randombytes_buf(s->sid, sizeof(s->sid));
	help_host_sign(&s->host, s->sid, sizeof(s->sid), s->sig);
}

static void
scene_close(struct scene *s)
{
	keys_legs_free(s->legs);
	keys_policy_free(s->policy);
	keys_seen_free(s->seen);
	loop_free(s->loop);
	fd_close(&s->policy_fd);
	fd_close(&s->fd);
}

/* The grant and the socket; the add itself may fail. */
static int
add_leg(struct scene *s)
{
	struct buf *b = buf_new(1024);
	int fds[2], r;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	s->fd = fds[0];
	assert_int_equal(buf_put_cstr(b, "root"), 0);
	assert_int_equal(buf_put_cstr(b, KEYS_FLEET_KEY), 0);
	assert_int_equal(buf_put_cstr(b, "web1"), 0);
	assert_int_equal(buf_put_u32(b, 22), 0);
	assert_int_equal(buf_put_u32(b, 1), 0);
	assert_int_equal(buf_put_str(b, s->host.blob, sizeof(s->host.blob)), 0);
	assert_int_equal(buf_put_u32(b, 0), 0);
	fault_go();
	r = keys_legs_add(s->legs, 1, fds[1], buf_ptr(b), buf_len(b), vault);
	fault_hold();
	if (r != 0)
		fd_close(&fds[1]);
	buf_free(b);
	return r;
}

static void
send_all(struct scene *s)
{
	const struct keys_key *key = keys_vault_find(vault, KEYS_FLEET_KEY);
	const struct help_login login = { .user = "root",
		.alg = "ssh-ed25519",
		.sid = s->sid,
		.sid_len = 32,
		.key = key->blob,
		.key_len = key->blob_len };
	struct buf *out = buf_new(8192), *b = buf_new(8192);

	assert_int_equal(buf_put_str(out, "\13", 1), 0);
	help_put_bind(b, s->host.blob, sizeof(s->host.blob), s->sid, 32, s->sig, sizeof(s->sig));
	assert_int_equal(buf_put_str(out, buf_ptr(b), buf_len(b)), 0);
	buf_reset(b);
	help_put_sign(b, &login);
	assert_int_equal(buf_put_str(out, buf_ptr(b), buf_len(b)), 0);
	assert_int_equal(send(s->fd, buf_ptr(out), buf_len(out), MSG_NOSIGNAL), buf_len(out));
	buf_free(b);
	buf_free(out);
}

/* The types of the answers that came: 12 6 14 for a login. */
static size_t
answers(int fd, uint8_t *types, size_t max)
{
	static uint8_t bytes[8192];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	size_t count = 0;

	for (size_t at = 0; n > 0 && at + 5 <= (size_t)n && count < max;
	     at += 4 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]))
		types[count++] = bytes[at + 4];
	return count;
}

static bool
policy_heard(struct scene *s, uint16_t type)
{
	struct ipc_msg msg;

	while (ipc_plain_recv(s->policy_fd, space, &msg, 0) == 0)
		if (msg.type == type)
			return true;
	return false;
}

static int
run_login(void *arg)
{
	struct scene s = { .policy_fd = -1, .fd = -1 };
	uint8_t types[8] = { 0 };
	size_t n = 0;
	int r;

	(void)arg;
	fault_hold();
	scene_open(&s);
	r = add_leg(&s);
	if (r == 0) {
		send_all(&s);
		fault_go();
		/* A failed allocation inside is what is tried here. */
		for (int i = 0; i < 4 && loop_pass(s.loop, 0) == 0; i++)
			continue;
		fault_hold();
		n = answers(s.fd, types, sizeof(types));
		/* Signed only where policy heard of it, and after everything else. */
		if (n == 3 && types[2] == 14)
			assert_true(
			    types[0] == 12 && types[1] == 6 && policy_heard(&s, POL_KEYS_SIGNED));
		else
			r = -ENOMEM;
		for (size_t i = 0; i < n; i++)
			assert_true(types[i] == 14
					? i == 2
					: types[i] == 12 || types[i] == 6 || types[i] == 5);
	}
	scene_close(&s);
	return r;
}

static void
test_a_login_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_login, NULL) > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    test_a_login_survives_every_failed_allocation) };
	struct secret *unlock;
	char dir[PATH_MAX];
	bool locked;
	int failed;

	log_init("fault", LOG_LEVEL_ERR);
	if (secret_init() != 0 || keys_crypto_init(&locked) != 0)
		return 1;
	help_folder(dir);
	unlock = help_secret("0123456789abcdef0123456789abcdef");
	if (keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &vault) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	keys_vault_free(vault);
	secret_free(unlock);
	help_remove(dir);
	return failed;
}
