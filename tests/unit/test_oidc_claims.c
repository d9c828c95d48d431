/* Claims: each way in which a token is not for us, not now, or about somebody else. */
#include "config.h"

#include "bastiond/auth/oidc_claims.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "tests/lib/test.h"

#define S CLOCK_NS_PER_S
#define NOW 1000000u /* seconds since 1970 */
#define REST "\"iss\":\"https://id.test\",\"sub\":\"s1\""
#define TIMES "\"exp\":1000300,\"iat\":1000000"

static struct oidc_conf conf;
static const struct oidc_moment moment = { NOW * S, (NOW - 10) * S, NULL };

static struct json_node *
parse(const char *text)
{
	struct json_node *n = NULL;

	if (json_parse(text, strlen(text), &n) != 0)
		fail_msg("no JSON: %s", text);
	return n;
}

static int
check_at(const char *text, const struct oidc_moment *m, struct oidc_why *why)
{
	struct json_node *n = parse(text);
	int r;

	memset(why, 0, sizeof(*why));
	r = oidc_claims_check(&conf, n, m, why);
	json_node_free(n);
	return r;
}

static int
setup(void **state)
{
	(void)state;
	memset(&conf, 0, sizeof(conf));
	(void)snprintf(conf.issuer, sizeof(conf.issuer), "https://id.test");
	(void)snprintf(conf.client_id, sizeof(conf.client_id), "us");
	(void)snprintf(conf.identity_claim, sizeof(conf.identity_claim), "name");
	(void)snprintf(conf.groups_claim, sizeof(conf.groups_claim), "groups");
	conf.leeway_ns = 60 * S;
	return 0;
}

static void
test_tokens_for_others_or_another_time_are_refused(void **state)
{
	static const struct {
		const char *claims, *why;
	} rows[] = {
		{ "{}", "(iss)" },
		{ "{\"iss\":\"https://id.test/\",\"sub\":\"s\",\"aud\":\"us\"," TIMES "}",
		    "(iss)" },
		{ "{\"iss\":\"https://ID.test\",\"sub\":\"s\",\"aud\":\"us\"," TIMES "}", "(iss)" },
		{ "{\"iss\":[\"https://id.test\"],\"sub\":\"s\",\"aud\":\"us\"," TIMES "}",
		    "(iss)" },
		{ "{" REST "," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":\"US\"," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":\"us \"," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":{\"us\":1}," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":[]," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":[\"them\"],\"azp\":\"us\"," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":[[\"us\"]]," TIMES "}", "(aud)" },
		{ "{" REST ",\"aud\":[\"us\",\"them\"]," TIMES "}", "names no azp" },
		{ "{" REST ",\"aud\":[\"us\",\"them\"],\"azp\":\"them\"," TIMES "}", "(azp)" },
		{ "{" REST ",\"aud\":\"us\",\"azp\":\"them\"," TIMES "}", "(azp)" },
		{ "{" REST ",\"aud\":\"us\",\"azp\":null," TIMES "}", "(azp)" },
		{ "{" REST ",\"aud\":\"us\",\"iat\":1000000}", "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":\"1000300\",\"iat\":1000000}", "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":1000300.5,\"iat\":1000000}", "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":-1,\"iat\":1000000}", "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":null,\"iat\":1000000}", "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":9223372036854775807,\"iat\":1000000}",
		    "(exp)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":0,\"iat\":1000000}", "expired" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":999940,\"iat\":999990}", "expired" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":1000300}", "(iat)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":1000300,\"iat\":true}", "(iat)" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":1000300,\"iat\":1000061}", "from the future" },
		{ "{" REST ",\"aud\":\"us\",\"exp\":1000300,\"iat\":999929}",
		    "older than this login" },
		{ "{" REST ",\"aud\":\"us\"," TIMES ",\"nbf\":1000061}", "(nbf)" },
		{ "{" REST ",\"aud\":\"us\"," TIMES ",\"nbf\":\"x\"}", "(nbf)" },
		{ "{\"iss\":\"https://id.test\",\"aud\":\"us\"," TIMES "}", "(sub)" },
		{ "{\"iss\":\"https://id.test\",\"sub\":7,\"aud\":\"us\"," TIMES "}", "(sub)" },
		{ "{\"iss\":\"https://id.test\",\"sub\":\"a\\u0000b\",\"aud\":\"us\"," TIMES "}",
		    "(sub)" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct oidc_why why;

		if (check_at(rows[i].claims, &moment, &why) != ERR_DENIED ||
		    strstr(why.text, rows[i].why) == NULL || why.end != OIDC_END_TOKEN)
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].claims, why.text, rows[i].why);
	}
}

static void
test_tokens_for_us_and_now_are_taken(void **state)
{
	static const char *const rows[] = {
		"{" REST ",\"aud\":\"us\"," TIMES "}",
		"{" REST ",\"aud\":[\"us\"]," TIMES "}",
		"{" REST ",\"aud\":[\"us\"],\"azp\":\"us\"," TIMES "}",
		"{" REST ",\"aud\":[\"them\",\"us\"],\"azp\":\"us\"," TIMES "}",
		"{" REST ",\"aud\":\"us\",\"exp\":999941,\"iat\":1000000}",
		"{" REST ",\"aud\":\"us\",\"exp\":1000300,\"iat\":1000060}",
		"{" REST ",\"aud\":\"us\",\"exp\":1000300,\"iat\":999930}",
		"{" REST ",\"aud\":\"us\"," TIMES ",\"nbf\":1000060,\"nonce\":\"any\"}",
	};
	struct oidc_why why;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		if (check_at(rows[i], &moment, &why) != 0)
			fail_msg("%s: %s", rows[i], why.text);
}

static void
test_a_nonce_that_was_sent_comes_back(void **state)
{
	const struct oidc_moment m = { NOW * S, NOW * S, "abc" };
	struct oidc_why why;

	(void)state;
	assert_int_equal(check_at("{" REST ",\"aud\":\"us\"," TIMES "}", &m, &why), ERR_DENIED);
	assert_int_equal(
	    check_at("{" REST ",\"aud\":\"us\"," TIMES ",\"nonce\":\"abcd\"}", &m, &why),
	    ERR_DENIED);
	assert_int_equal(
	    check_at("{" REST ",\"aud\":\"us\"," TIMES ",\"nonce\":[\"abc\"]}", &m, &why),
	    ERR_DENIED);
	assert_int_equal(
	    check_at("{" REST ",\"aud\":\"us\"," TIMES ",\"nonce\":\"abc\"}", &m, &why), 0);
}

static void
test_required_claims_have_one_of_their_values(void **state)
{
	static const struct {
		const char *claim;
		int r;
	} rows[] = { { "\"x\":1", ERR_DENIED }, { "\"amr\":null", ERR_DENIED },
		{ "\"amr\":\"pwd\"", ERR_DENIED }, { "\"amr\":\"mfa \"", ERR_DENIED },
		{ "\"amr\":{\"mfa\":1}", ERR_DENIED }, { "\"amr\":[]", ERR_DENIED },
		{ "\"amr\":[\"pwd\"]", ERR_DENIED }, { "\"amr\":2", ERR_DENIED },
		{ "\"amr\":false", ERR_DENIED }, { "\"amr\":\"mfa\"", 0 },
		{ "\"amr\":[\"pwd\",\"otp\"]", 0 }, { "\"amr\":1", 0 }, { "\"amr\":true", 0 } };
	static const char *const values[] = { "mfa", "otp", "1", "true" };

	(void)state;
	conf.n_require = 1;
	(void)snprintf(conf.require[0].claim, OIDC_WORD_SIZE, "amr");
	for (size_t i = 0; i < N_OF(values); i++)
		(void)snprintf(conf.require[0].values[i], OIDC_WORD_SIZE, "%s", values[i]);
	conf.require[0].n_values = N_OF(values);
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct oidc_why why;
		char text[512];

		(void)snprintf(
		    text, sizeof(text), "{" REST ",\"aud\":\"us\"," TIMES ",%s}", rows[i].claim);
		if (check_at(text, &moment, &why) != rows[i].r)
			fail_msg("%s: %s", rows[i].claim, why.text);
	}
}

static void
test_a_verified_email_is_one_that_is_true(void **state)
{
	static const char *const no[] = { "false", "\"true\"", "1", "null" };
	struct oidc_why why;
	char text[512];

	(void)state;
	conf.require_email_verified = true;
	assert_int_equal(
	    check_at("{" REST ",\"aud\":\"us\"," TIMES "}", &moment, &why), ERR_DENIED);
	for (size_t i = 0; i < N_OF(no); i++) {
		(void)snprintf(text, sizeof(text),
		    "{" REST ",\"aud\":\"us\"," TIMES ",\"email_verified\":%s}", no[i]);
		assert_int_equal(check_at(text, &moment, &why), ERR_DENIED);
	}
	assert_int_equal(
	    check_at("{" REST ",\"aud\":\"us\"," TIMES ",\"email_verified\":true}", &moment, &why),
	    0);
}

static int
identity(const char *text, char *name)
{
	struct json_node *n = parse(text);
	struct oidc_why why = { .end = OIDC_END_NONE };
	int r;

	name[0] = '\0';
	r = oidc_claims_identity(&conf, n, name, &why);
	assert_int_equal(why.end, r == 0 ? OIDC_END_NONE : OIDC_END_OTHER);
	json_node_free(n);
	return r;
}

static void
test_what_is_no_user_name_is_no_identity(void **state)
{
	static const char *const rows[] = { "{}", "{\"name\":\"\"}", "{\"name\":7}",
		"{\"name\":[\"alice\"]}", "{\"name\":\"-alice\"}", "{\"name\":\".alice\"}",
		"{\"name\":\"@alice\"}", "{\"name\":\"al ice\"}", "{\"name\":\"alice\\n\"}",
		"{\"name\":\"alice\\u0000\"}", "{\"name\":\"alice+root\"}", "{\"name\":\"alice/\"}",
		"{\"name\":\"al\\u00efce\"}", "{\"name\":\"alice:\"}", "{\"name\":\"$(id)\"}",
		"{\"Name\":\"alice\"}" };
	char name[OIDC_NAME_SIZE], text[256];

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		if (identity(rows[i], name) != ERR_DENIED || name[0] != '\0')
			fail_msg("%s was taken", rows[i]);
	(void)snprintf(text, sizeof(text), "{\"name\":\"%0129d\"}", 1);
	assert_int_equal(identity(text, name), ERR_DENIED);
	(void)snprintf(text, sizeof(text), "{\"name\":\"%0128d\"}", 1);
	assert_int_equal(identity(text, name), 0);
	assert_int_equal(identity("{\"name\":\"Alice.B_c-d@corp.test\"}", name), 0);
	assert_string_equal(name, "Alice.B_c-d@corp.test");
}

static void
test_a_domain_is_taken_away_only_where_it_is(void **state)
{
	static const char *const no[] = { "alice", "alice@", "alice@other.test",
		"alice@a.corp.test", "alice@corp.test.evil.test", "alicecorp.test", "@corp.test",
		"-x@corp.test" };
	char name[OIDC_NAME_SIZE], text[256];

	(void)state;
	(void)snprintf(conf.strip_domain, sizeof(conf.strip_domain), "corp.test");
	for (size_t i = 0; i < N_OF(no); i++) {
		(void)snprintf(text, sizeof(text), "{\"name\":\"%s\"}", no[i]);
		if (identity(text, name) != ERR_DENIED)
			fail_msg("%s was taken as %s", no[i], name);
	}
	assert_int_equal(identity("{\"name\":\"alice@CORP.test\"}", name), 0);
	assert_string_equal(name, "alice");
	/* What is left of the last @ is the name, whatever it looks like. */
	assert_int_equal(identity("{\"name\":\"root@x@corp.test\"}", name), 0);
	assert_string_equal(name, "root@x");
}

static size_t
groups(const char *text, char *list, char *dropped)
{
	struct json_node *n = parse(text);
	size_t r = oidc_claims_groups(&conf, n, list, dropped);

	json_node_free(n);
	return r;
}

static void
test_odd_groups_are_dropped_and_counted(void **state)
{
	char list[OIDC_GROUPS_SIZE], dropped[OIDC_GROUP_SIZE], *text = calloc(1, 65536);
	size_t at;

	(void)state;
	assert_non_null(text);
	assert_int_equal(groups("{}", list, dropped), 0);
	assert_string_equal(list, "");
	assert_int_equal(groups("{\"groups\":\"sre\"}", list, dropped), 0);
	assert_string_equal(list, "sre");
	assert_int_equal(groups("{\"groups\":{\"sre\":1}}", list, dropped), 0);
	assert_string_equal(list, "");
	assert_int_equal(
	    groups(
		"{\"groups\":[\"a,b\",\"x\\ny\",\"\",7,\"-x\",\"a b\",\"a=b\",\"ok\",\"/team/x\"]}",
		list, dropped),
	    7);
	assert_string_equal(list, "ok,/team/x");
	assert_string_equal(dropped, "a,b");
	assert_int_equal(groups("{\"groups\":[\"x\\ny\\u00e4\"]}", list, dropped), 1);
	assert_string_equal(dropped, "x?y??");
	/* More than can be passed on. */
	at = (size_t)snprintf(text, 65536, "{\"groups\":[\"g\"");
	for (size_t i = 0; i < 2 * OIDC_GROUPS_MAX; i++)
		at += (size_t)snprintf(text + at, 65536 - at, ",\"%040zu\"", i);
	(void)snprintf(text + at, 65536 - at, "]}");
	at = groups(text, list, dropped);
	assert_true(strlen(list) < OIDC_GROUPS_SIZE);
	assert_true(at > OIDC_GROUPS_MAX);
	free(text);
}

static void
test_a_subject_is_one_line_of_ascii(void **state)
{
	static const char *const no[] = { "a b", "a\\n", "\\u00e4" };
	char dst[600], text[600];
	struct oidc_why why;
	struct json_node *n;

	(void)state;
	for (size_t i = 0; i < N_OF(no); i++) {
		(void)snprintf(text, sizeof(text), "{\"sub\":\"%s\"}", no[i]);
		n = parse(text);
		assert_int_equal(oidc_claims_subject(&conf, n, dst, sizeof(dst), &why), ERR_DENIED);
		json_node_free(n);
	}
	(void)snprintf(text, sizeof(text), "{\"sub\":\"%0256d\"}", 1);
	n = parse(text);
	assert_int_equal(oidc_claims_subject(&conf, n, dst, sizeof(dst), &why), ERR_DENIED);
	json_node_free(n);
	n = parse("{\"sub\":\"s1\"}");
	assert_int_equal(oidc_claims_subject(&conf, n, dst, sizeof(dst), &why), 0);
	assert_string_equal(dst, "https://id.test s1");
	json_node_free(n);
}

static void
test_a_confirmation_number_is_long_enough_to_guess_in_vain(void **state)
{
	static const char *const no[] = { "", "123", "12 34", "abcd", "1234\\n",
		"123456789012345678901234567890123" };
	char text[128];
	struct json_node *n;

	(void)state;
	for (size_t i = 0; i < N_OF(no); i++) {
		(void)snprintf(text, sizeof(text), "{\"bastion_confirm\":\"%s\"}", no[i]);
		n = parse(text);
		assert_null(oidc_claims_confirm(n));
		json_node_free(n);
	}
	n = parse("{\"bastion_confirm\":1234}");
	assert_null(oidc_claims_confirm(n));
	json_node_free(n);
	n = parse("{\"bastion_confirm\":\"0042AB\"}");
	assert_string_equal(oidc_claims_confirm(n), "0042AB");
	json_node_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_tokens_for_others_or_another_time_are_refused, setup),
		cmocka_unit_test_setup(test_tokens_for_us_and_now_are_taken, setup),
		cmocka_unit_test_setup(test_a_nonce_that_was_sent_comes_back, setup),
		cmocka_unit_test_setup(test_required_claims_have_one_of_their_values, setup),
		cmocka_unit_test_setup(test_a_verified_email_is_one_that_is_true, setup),
		cmocka_unit_test_setup(test_what_is_no_user_name_is_no_identity, setup),
		cmocka_unit_test_setup(test_a_domain_is_taken_away_only_where_it_is, setup),
		cmocka_unit_test_setup(test_odd_groups_are_dropped_and_counted, setup),
		cmocka_unit_test_setup(test_a_subject_is_one_line_of_ascii, setup),
		cmocka_unit_test_setup(
		    test_a_confirmation_number_is_long_enough_to_guess_in_vain, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
