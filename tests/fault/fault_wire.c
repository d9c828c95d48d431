/*
 * A whole connection of both roles with no memory at every point, in our code and in libssh's. Whatever fails: nobody
 * is logged in who should not be, no message arrives changed, nothing leaves unencrypted, and the end is told once.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"
#include "fault.h"

#define MARK "this line must never be seen in plain text"

/* What the server is told, while every message that was sent is marked. */
static bool
exchange(struct wire_pair *p)
{
	uint8_t msg[500] = { 94 };
	unsigned n_up = p->server.n_message, n_down = p->client.n_message;

	memcpy(msg + 9, MARK, sizeof(MARK));
	for (unsigned i = 0; i < 5; i++) {
		if (wire_send(p->client.w, msg, sizeof(msg)) != 0 ||
		    wire_send(p->server.w, msg, sizeof(msg)) != 0)
			return false;
		if (i == 1 && wire_libssh_rekey(p->client.w) != 0)
			return false;
	}
	return wire_pair_until(p, &p->server.n_message, n_up + 5) &&
	       wire_pair_until(p, &p->client.n_message, n_down + 5);
}

static void
check(struct wire_pair *p)
{
	const uint8_t *msg;
	size_t len;

	assert_true(p->server.n_end <= 1 && p->client.n_end <= 1);
	assert_true(p->client.n_ready <= 1 && p->server.n_ready <= 1);
	if (p->client.n_ready > 0)
		assert_int_equal(p->client.n_proof, 1);
	assert_null(memmem(buf_ptr(p->from_client), buf_len(p->from_client), MARK, strlen(MARK)));
	while (buf_get_str(p->client.got, &msg, &len) == 0)
		assert_true(len == 500 && msg[0] == 94 && memcmp(msg + 9, MARK, sizeof(MARK)) == 0);
}

static int
run(void *arg)
{
	const struct wire_conf *conf = arg;
	struct wire_pair *p = NULL;
	bool ok = false;
	int r = wire_pair_new(conf, conf, &p);

	if (r != 0)
		return r;
	ok = wire_pair_login(p) && exchange(p);
	check(p);
	wire_pair_free(p);
	return ok ? 0 : ERR_PEER_GONE;
}

static void
test_a_connection_survives_every_failed_allocation(void **state)
{
	static struct wire_conf gcm = { .ciphers = "aes128-gcm@openssh.com" };
	static struct wire_conf chacha = { .ciphers = "chacha20-poly1305@openssh.com" };
	static struct wire_conf ctr = { .ciphers = "aes256-ctr" };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, &gcm) > 500);
	assert_true(fault_each(FAULT_MEMORY, run, &chacha) > 500);
	assert_true(fault_each(FAULT_MEMORY, run, &ctr) > 500);
}

/* libssh loses what it has of a session or a path when it runs out of memory itself. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:ssh_new\nleak:ssh_path_expand_escape\n";
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    test_a_connection_survives_every_failed_allocation) };

	if (wire_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
