/* Taking a grant apart, and showing the vault a proof, with no memory at every point. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#include "bastiond/back/back.h"
#include "fault.h"
#include "tests/lib/test.h"

static const uint8_t grant[] = "\0\0\0\4web1\0\0\0\10" /* host, address, port, resolve, login */
			       "10.0.0.1\0\0\0\26\0\0\0\0\4root"
			       "\0\0\0\1\0\0\0\20\0\0\0\013ssh-ed25519k" /* a pinned key */
			       "\0\0\0\1\0\0\0\2ca"			 /* a CA */
			       "\0\0\0\0\0\0\0\1";			 /* its timeout */
static const uint8_t rest[] = "\0\0\0\1\0\0\0\16"
			      "192.0.2.1:2222"			 /* own address */
			      "\0\0\0\1\0\0\0\016169.254.0.0/16" /* denied network */
			      "\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6";

static int
take(void *arg)
{
	uint8_t start[sizeof(grant) + sizeof(rest) + 4];
	struct back_plan p;
	char *algs = NULL;
	size_t n = sizeof(grant) - 1;
	int r;

	(void)arg;
	wr_u32(start, (uint32_t)n);
	memcpy(start + 4, grant, n);
	memcpy(start + 4 + n, rest, sizeof(rest) - 1);
	r = back_plan_parse(&p, start, 4 + n + sizeof(rest) - 1);
	if (r == 0 && (algs = back_host_algs(&p)) == NULL)
		r = -ENOMEM;
	free(algs);
	back_plan_done(&p);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static int
bind_proof(void *arg)
{
	static const struct rd_str s = { (const uint8_t *)"x", 1 };
	int pair[2], r;

	(void)arg;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(send(pair[0], "\0\0\0\1\6", 5, 0), 5);
	r = back_host_bind(pair[1], s, s, s);
	close(pair[0]);
	close(pair[1]);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static void
test_a_grant_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, take, NULL) >= 8);
}

static void
test_a_proof_survives_each_failure(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, bind_proof, NULL) >= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_grant_survives_each_failure),
		cmocka_unit_test(test_a_proof_survives_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
