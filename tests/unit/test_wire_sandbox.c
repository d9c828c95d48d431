/* Behind the sandbox of a front or a back a whole connection works: nothing is loaded or opened any more. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"
#include "lib/sandbox.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const ciphers[] = { "chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com",
	"aes128-gcm@openssh.com", "aes256-ctr" };

static bool
talk(struct wire_pair *p)
{
	uint8_t msg[30000] = { 94 };
	unsigned n = p->server.n_message;

	if (!wire_pair_login(p) || wire_libssh_rekey(p->client.w) != 0)
		return false;
	n = p->server.n_message;
	for (unsigned i = 0; i < 20; i++)
		if (wire_send(p->client.w, msg, sizeof(msg)) != 0)
			return false;
	if (!wire_pair_until(p, &p->server.n_message, n + 20))
		return false;
	/* The way of an error, which has texts to fetch. */
	p->flip_down = p->down + 70;
	return wire_send(p->server.w, msg, sizeof(msg)) == 0 &&
	       wire_pair_until(p, &p->client.n_end, 1);
}

static int
child(enum sandbox_role role)
{
	struct wire_conf conf = { 0 };
	struct wire_pair *p[N(ciphers)] = { NULL };

	if (wire_init() != 0)
		return 2;
	for (size_t i = 0; i < N(ciphers); i++)
		if (wire_pair_prepare(&p[i]) != 0)
			return 3;
	if (sandbox_prepare() != 0 || sandbox_enter(role, NULL, 0) != 0)
		return 4;
	for (size_t i = 0; i < N(ciphers); i++) {
		conf.ciphers = ciphers[i];
		if (wire_pair_start(p[i], &conf, &conf) != 0 || !talk(p[i]))
			return 10 + (int)i;
	}
	for (size_t i = 0; i < N(ciphers); i++)
		wire_pair_free(p[i]);
	return 0;
}

static void
run(enum sandbox_role role)
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child(role));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_a_front_needs_no_more(void **state)
{
	(void)state;
	run(SANDBOX_FRONT);
}

static void
test_a_back_needs_no_more(void **state)
{
	(void)state;
	run(SANDBOX_BACK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_front_needs_no_more),
		cmocka_unit_test(test_a_back_needs_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
