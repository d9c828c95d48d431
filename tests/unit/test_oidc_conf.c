/* The configuration of pam_bastion_oidc: each wrong line with its message, then what a right one means. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <unistd.h>

#include "bastiond/auth/oidc_conf.h"
#include "lib/clock.h"
#include "tests/lib/test.h"

#define BASE "issuer: https://id.test\nclient_id: us\nstate: st\n"

static int
parse(const char *text, struct oidc_conf *c, struct conf_err *err)
{
	err->text[0] = '\0';
	return oidc_conf_parse("/etc/x/oidc.yaml", text, strlen(text), c, err);
}

static void
test_wrong_files_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "oidc.yaml: empty" },
		{ "[]\n", "oidc.yaml:1:1: " },
		{ "client_id: us\nstate: st\n", "issuer" },
		{ "issuer: https://id.test\nstate: st\n", "client_id" },
		{ "issuer: https://id.test\nclient_id: us\n", "state" },
		{ BASE "client_idd: x\n", "oidc.yaml:4:1: " },
		{ BASE "client_id: us\n", "oidc.yaml:4:" },
		{ "issuer: http://id.test\nclient_id: us\nstate: st\n",
		    "oidc.yaml:1:9: issuer: expected an https URL" },
		{ "issuer: http://localhost:1\nclient_id: us\nstate: st\n",
		    "oidc.yaml:1:9: issuer: expected an https URL" },
		{ "issuer: http://id.test\nclient_id: us\nstate: st\nallow_http: true\n",
		    "oidc.yaml:1:9: issuer" },
		{ "issuer: https://id.test?x=1\nclient_id: us\nstate: st\n", "no query" },
		{ "issuer: https://a@id.test\nclient_id: us\nstate: st\n",
		    "oidc.yaml:1:9: issuer" },
		{ "issuer: ftp://id.test\nclient_id: us\nstate: st\n", "oidc.yaml:1:9: issuer" },
		{ "issuer: https://id.test\nclient_id: \"u s\"\nstate: st\n",
		    "oidc.yaml:2:12: client_id" },
		{ "issuer: https://id.test\nclient_id: \"\"\nstate: st\n",
		    "oidc.yaml:2:12: client_id" },
		{ BASE "scopes: openid\n", "oidc.yaml:4:9: scopes" },
		{ BASE "scopes: []\n", "a list with openid in it" },
		{ BASE "scopes: [profile]\n", "a list with openid in it" },
		{ BASE "scopes: [openid, \"a b\"]\n",
		    "oidc.yaml:4:18: scopes[1]: expected a scope" },
		{ BASE "client_auth: none\nclient_secret_file: x\n", "client_auth" },
		{ BASE "client_auth: client_secret_post\n", "client_secret_file, too" },
		{ BASE "identity_claim: email\n", "require_email_verified" },
		{ BASE "require: mfa\n", "oidc.yaml:4:10: require" },
		{ BASE "require: {amr: []}\n", "oidc.yaml:4:16: require.amr" },
		{ BASE "require: {amr: [\"\"]}\n", "require.amr[0]" },
		{ BASE "require: {amr: {a: b}}\n", "require.amr" },
		{ BASE "require_email_verified: yes\n", "require_email_verified" },
		{ BASE "leeway: 301s\n", "leeway" },
		{ BASE "leeway: 60\n", "leeway" },
		{ BASE "timeout: 0s\n", "timeout" },
		{ BASE "timeout: 61s\n", "timeout" },
		{ BASE "cache_age: 8d\n", "cache_age" },
		{ BASE "limits: {per_source: 0}\n", "limits.per_source" },
		{ BASE "limits: {per_person: 1001}\n", "limits.per_person" },
		{ BASE "limits: {per_host: 1}\n", "per_host" },
		{ BASE "proxy: socks5://x\n", "proxy" },
		{ BASE "confirm: 1\n", "confirm" },
	};
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct conf_err err;

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < N_OF(rows); i++)
		if (parse(rows[i].text, c, &err) != ERR_FORMAT ||
		    strstr(err.text, rows[i].says) == NULL)
			fail_msg("row %zu: \"%s\", not \"%s\"", i, err.text, rows[i].says);
	free(c);
}

static void
test_defaults_are_the_careful_ones(void **state)
{
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct conf_err err;

	(void)state;
	assert_non_null(c);
	assert_int_equal(parse(BASE, c, &err), 0);
	assert_string_equal(c->issuer, "https://id.test");
	assert_string_equal(c->state, "/etc/x/st");
	assert_string_equal(c->scopes, "openid profile");
	assert_string_equal(c->identity_claim, "preferred_username");
	assert_string_equal(c->groups_claim, "");
	assert_int_equal(c->client, OIDC_PUBLIC);
	assert_int_equal(c->leeway_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(c->timeout_ns, 10 * CLOCK_NS_PER_S);
	assert_int_equal(c->per_source, 3);
	assert_int_equal(c->per_person, 10);
	assert_false(c->allow_http);
	assert_false(c->confirm);
	assert_true(c->hints);
	free(c);
}

static void
test_every_key_is_taken(void **state)
{
	static const char text[] =
	    "issuer: http://localhost:1/x\nclient_id: us\nstate: /s\nallow_http: true\n"
	    "client_secret_file: sec\nclient_auth: client_secret_post\nca_file: /ca\n"
	    "proxy: http://p:1\nscopes: [openid, email]\nidentity_claim: email\n"
	    "strip_domain: corp.test\nrequire_email_verified: true\ngroups_claim: g\n"
	    "require: {acr: phr, amr: [mfa, otp]}\nleeway: 5s\ntimeout: 3s\ncache_age: 1h\n"
	    "limits: {per_source: 7, per_person: 8}\nconfirm: true\nnonce: true\nhints: false\n";
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct conf_err err;

	(void)state;
	assert_non_null(c);
	if (parse(text, c, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(c->secret_file, "/etc/x/sec");
	assert_int_equal(c->client, OIDC_SECRET_POST);
	assert_string_equal(c->scopes, "openid email");
	assert_string_equal(c->strip_domain, "corp.test");
	assert_int_equal(c->n_require, 2);
	assert_string_equal(c->require[1].claim, "amr");
	assert_int_equal(c->require[1].n_values, 2);
	assert_string_equal(c->require[1].values[1], "otp");
	assert_int_equal(c->cache_age_ns, 3600 * CLOCK_NS_PER_S);
	assert_int_equal(c->per_source, 7);
	assert_int_equal(c->per_person, 8);
	assert_true(c->confirm && c->nonce && c->require_email_verified && !c->hints);
	free(c);
}

static void
test_urls_that_mislead_are_refused(void **state)
{
	static const char *const no[] = { "", "https://", "https:///x", "https://:443/",
		"http://id.test/", "https://id.test/#x", "https://id.test/ x", "https://id.test/\n",
		"https://a:b@id.test/", "https://id.test\\@evil.test/", "https://id.test/<x>",
		"https://id.test/\"", "javascript:x", "HTTPS://id.test/", "//id.test/",
		"http://localhost.evil.test/", "http://localhostx/" };
	char *url = malloc(OIDC_URL_SIZE + 1);

	(void)state;
	assert_non_null(url);
	for (size_t i = 0; i < N_OF(no); i++)
		if (oidc_url_ok(no[i], true))
			fail_msg("%s was taken", no[i]);
	(void)snprintf(url, OIDC_URL_SIZE + 1, "https://id.test/%0497d", 1);
	assert_int_equal(strlen(url), OIDC_URL_SIZE);
	assert_false(oidc_url_ok(url, false));
	url[OIDC_URL_SIZE - 1] = '\0';
	assert_true(oidc_url_ok(url, false));
	assert_false(oidc_url_ok("http://localhost:1/", false));
	assert_true(oidc_url_ok("http://localhost:1/", true));
	assert_true(oidc_url_ok("http://[::1]:1/", true));
	assert_true(oidc_url_ok("https://id.test/device?user_code=AB-CD", false));
	free(url);
}

/* Write a secret with this mode and read the configuration that names it. */
static int
read_with_secret(
    const char *dir, const char *secret, mode_t mode, struct oidc_conf *c, struct conf_err *err)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/secret", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(secret, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	(void)snprintf(path, sizeof(path), "%s/oidc.yaml", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(BASE "client_secret_file: secret\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	return oidc_conf_read(path, c, err);
}

static void
test_a_secret_is_its_owners_alone(void **state)
{
	static const mode_t open_modes[] = { 0640, 0604, 0601, 0660 };
	char dir[] = "/tmp/test-oidc-XXXXXX", path[256];
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct conf_err err;

	(void)state;
	assert_non_null(c);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < N_OF(open_modes); i++) {
		assert_int_equal(read_with_secret(dir, "x\n", open_modes[i], c, &err), ERR_DENIED);
		assert_non_null(strstr(err.text, "others may read it"));
	}
	assert_int_equal(read_with_secret(dir, "", 0600, c, &err), ERR_FORMAT);
	assert_int_equal(read_with_secret(dir, "\r\n\n", 0600, c, &err), ERR_FORMAT);
	assert_int_equal(read_with_secret(dir, "a b\r\n", 0600, c, &err), 0);
	assert_string_equal((const char *)secret_cptr(c->secret), "a b");
	oidc_conf_done(c);
	assert_null(c->secret);
	(void)snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/oidc.yaml", dir);
	assert_int_equal(oidc_conf_read(path, c, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/secret: "));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(oidc_conf_read(path, c, &err), -ENOENT);
	assert_int_equal(rmdir(dir), 0);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_files_are_refused_with_their_place),
		cmocka_unit_test(test_defaults_are_the_careful_ones),
		cmocka_unit_test(test_every_key_is_taken),
		cmocka_unit_test(test_urls_that_mislead_are_refused),
		cmocka_unit_test(test_a_secret_is_its_owners_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
