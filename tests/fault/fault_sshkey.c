/* Reading keys and signatures with no memory at every point. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "lib/sshkey.h"

/* ssh-keygen -Y sign made the signature; what matters here is that it is looked at. */
static const char line[] = "ecdsa-sha2-nistp256 "
			   "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEa4Gus9DcCxmv6Bm7"
			   "dtikx6eNhRZoG/pTWLJJ/h/kJC3DvC0bqhIJTjIJDM7ifrEzVDI21XPqslUBkIJ/FJurg=";

static int
run(void *arg)
{
	const char *comment;
	struct sshkey *key = NULL;
	struct buf *sig = buf_new(256);
	uint8_t *blob = NULL;
	size_t len = 0;
	int r = -1;

	(void)arg;
	if (sig == NULL || buf_put_cstr(sig, "ecdsa-sha2-nistp256") != 0 ||
	    buf_put_u32(sig, 12) != 0 || buf_put_str(sig, "\1\1", 2) != 0 ||
	    buf_put_str(sig, "\1\1", 2) != 0)
		goto out;
	if ((r = sshkey_line(line, &blob, &len, &comment)) != 0 ||
	    (r = sshkey_parse(blob, len, &key)) != 0)
		goto out;
	r = sshkey_verify(key, NULL, 0, buf_ptr(sig), buf_len(sig), "m", 1, NULL);
	assert_int_not_equal(r, 0);
	r = r == ERR_SIGNATURE ? 0 : r;
out:
	sshkey_free(key);
	buf_free(sig);
	free(blob);
	return r;
}

static void
test_reading_a_key_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) >= 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    test_reading_a_key_survives_every_failed_allocation) };

	if (sshkey_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
