/* Configuration, documents and tokens of pam_bastion_oidc with no memory, and its files with no space, at every point. */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "bastiond/auth/oidc_claims.h"
#include "bastiond/auth/oidc_flow.h"
#include "bastiond/auth/oidc_jwk.h"
#include "bastiond/auth/oidc_limit.h"
#include "bastiond/auth/oidc_qr.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

/* RFC 7515 appendix A.3 */
static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
			   "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
			   "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
static const char token[] =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
static const char file[] =
    "issuer: https://id.test\nclient_id: us\nstate: st\nscopes: [openid, email]\n"
    "require: {amr: [mfa, otp]}\nlimits: {per_source: 2}\n";
static const char device[] =
    "{\"device_code\":\"c\",\"user_code\":\"U\",\"verification_uri\":\"https://id.test/\","
    "\"expires_in\":60}";

static int
read_conf(void *arg)
{
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct conf_err err;
	int r;

	(void)arg;
	if (c == NULL)
		return -ENOMEM;
	r = oidc_conf_parse("oidc.yaml", file, sizeof(file) - 1, c, &err);
	free(c);
	return r;
}

static int
read_token(void *arg)
{
	struct json_node *set = NULL;
	struct oidc_jwt jwt = { 0 };
	struct oidc_why why = { 0 };
	int r;

	(void)arg;
	if ((r = json_parse(keys, sizeof(keys) - 1, &set)) != 0)
		return r;
	if ((r = oidc_jwt_read(token, sizeof(token) - 1, &jwt, &why)) == 0)
		r = oidc_jwk_verify(set, &jwt, &why);
	assert_int_equal(r == 0, jwt.claims != NULL);
	oidc_jwt_done(&jwt);
	json_node_free(set);
	return r;
}

static int
read_answers(void *arg)
{
	struct oidc_conf *c = arg;
	struct oidc_why why = { 0 };
	struct oidc_device d;
	char *t = NULL, *lines = NULL;
	int r = oidc_read_device(c, device, sizeof(device) - 1, &d, &why);

	if (r != 0)
		return r;
	if (oidc_read_poll(200, "{\"id_token\":\"x\"}", 16, &t, &why) != OIDC_POLL_TOKEN)
		r = -ENOMEM;
	free(t);
	if (r == 0)
		r = oidc_qr("https://id.test/", &lines);
	free(lines);
	return r;
}

static int
take(void *arg)
{
	struct oidc_conf *c = arg;
	struct oidc_why why = { 0 };
	int fd = -1, r = oidc_limit_take(c, "10.0.0.1", "alice", &fd, &why);

	assert_int_equal(r == 0, fd >= 0);
	assert_int_equal(r == 0, why.end == OIDC_END_NONE);
	fd_close(&fd);
	return r;
}

static void
test_reading_survives_every_failed_allocation(void **state)
{
	struct oidc_conf *c = calloc(1, sizeof(*c));

	(void)state;
	assert_non_null(c);
	assert_true(fault_each(FAULT_MEMORY, read_conf, NULL) >= 5);
	assert_true(fault_each(FAULT_MEMORY, read_token, NULL) >= 3);
	assert_true(fault_each(FAULT_MEMORY, read_answers, c) >= 2);
	free(c);
}

/* A count that could not be written is no code. */
static void
test_counting_survives_every_failed_call(void **state)
{
	char dir[] = "/tmp/test-oidc-XXXXXX", path[64];
	struct oidc_conf *c = calloc(1, sizeof(*c));

	(void)state;
	assert_non_null(c);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(c->state, sizeof(c->state), "%s", dir);
	c->per_source = 1;
	c->per_person = 1000;
	assert_true(fault_each(FAULT_MEMORY | FAULT_FILE, take, c) >= 4);
	(void)snprintf(path, sizeof(path), "%s/people", dir);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/outstanding", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading_survives_every_failed_allocation),
		cmocka_unit_test(test_counting_survives_every_failed_call),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
