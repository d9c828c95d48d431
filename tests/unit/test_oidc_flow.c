/* What the provider answers: documents that are none first. */
#include "config.h"

#include "bastiond/auth/oidc_flow.h"
#include "bastiond/auth/oidc_qr.h"
#include "tests/lib/test.h"

#define E "https://id.test/"
#define PROVIDER(iss, dev, tok, jwks)                                                              \
	"{\"issuer\":" iss ",\"device_authorization_endpoint\":" dev ",\"token_endpoint\":" tok    \
	",\"jwks_uri\":" jwks "}"
#define DEVICE(code, user, uri, rest)                                                              \
	"{\"device_code\":" code ",\"user_code\":" user ",\"verification_uri\":" uri rest "}"

static struct oidc_conf conf = { .issuer = "https://id.test" };

static void
test_metadata_that_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "not JSON" },
		{ "[]", "not JSON" },
		{ "{\"issuer\":", "not JSON" },
		{ "{}", "calls itself nothing" },
		{ PROVIDER("\"https://id.test/\"", "\"" E "d\"", "\"" E "t\"", "\"" E "j\""),
		    "calls itself https://id.test/" },
		{ PROVIDER("\"https://id.tes\"", "\"" E "d\"", "\"" E "t\"", "\"" E "j\""),
		    "calls itself" },
		{ PROVIDER("7", "\"" E "d\"", "\"" E "t\"", "\"" E "j\""), "calls itself nothing" },
		{ "{\"issuer\":\"https://id.test\",\"token_endpoint\":\"" E "t\",\"jwks_uri\":\"" E
		  "j\"}",
		    "does it know the device grant" },
		{ "{\"issuer\":\"https://id.test\",\"issuer\":\"https://id.test\"}", "not JSON" },
		{ PROVIDER(
		      "\"https://id.test\"", "\"http://id.test/d\"", "\"" E "t\"", "\"" E "j\""),
		    "device_authorization_endpoint is not an https URL" },
		{ PROVIDER(
		      "\"https://id.test\"", "\"" E "d\"", "\"file:///etc/passwd\"", "\"" E "j\""),
		    "token_endpoint is not an https URL" },
		{ PROVIDER(
		      "\"https://id.test\"", "\"" E "d\"", "\"" E "t\"", "\"http://localhost/j\""),
		    "jwks_uri is not an https URL" },
		{ PROVIDER("\"https://id.test\"", "\"" E "d\"", "\"" E "t\"", "null"), "jwks_uri" },
	};
	struct oidc_provider p;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct oidc_why why = { 0 };

		if (oidc_read_provider(&conf, rows[i].text, strlen(rows[i].text), &p, &why) !=
			ERR_FORMAT ||
		    strstr(why.text, rows[i].why) == NULL)
			fail_msg("%s: %s", rows[i].text, why.text);
	}
}

static void
test_codes_that_are_wrong_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"null",
		"{}",
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ""),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":0"),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":-1"),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":1.5"),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":9,\"interval\":0"),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":9,\"interval\":\"x\""),
		DEVICE("\"\"", "\"U\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("7", "\"U\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U V\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U\\u001b[2J\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U\\u0000\"", "\"" E "\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U\"", "\"http://id.test\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U\"", "\"https://id.test/\\nx\"", ",\"expires_in\":9"),
		DEVICE("\"c\"", "\"U\"", "\"" E "\"",
		    ",\"expires_in\":9,\"verification_uri_complete\":\"javascript:x\""),
		"{\"device_code\":\"c\",\"user_code\":\"U\",\"expires_in\":9}",
	};
	struct oidc_device d;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct oidc_why why = { 0 };

		if (oidc_read_device(&conf, rows[i], strlen(rows[i]), &d, &why) != ERR_FORMAT ||
		    why.end != OIDC_END_PROVIDER)
			fail_msg("%s was taken", rows[i]);
	}
}

static void
test_a_code_lives_no_longer_than_we_allow(void **state)
{
	static const struct {
		const char *text;
		uint64_t expires_s, interval_s;
	} rows[] = {
		{ DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":1"), 1, 5 },
		{ DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":300,\"interval\":1"), 300,
		    1 },
		{ DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":1800,\"interval\":61"),
		    300, 60 },
		{ DEVICE("\"c\"", "\"U\"", "\"" E "\"", ",\"expires_in\":9223372036854775807"), 300,
		    5 },
		{ "{\"device_code\":\"c\",\"user_code\":\"U\",\"verification_url\":\"" E
		  "\",\"expires_in\":\"60\"}",
		    60, 5 },
	};
	struct oidc_device d;
	struct oidc_why why;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		if (oidc_read_device(&conf, rows[i].text, strlen(rows[i].text), &d, &why) != 0)
			fail_msg("%s: %s", rows[i].text, why.text);
		assert_int_equal(d.expires_s, rows[i].expires_s);
		assert_int_equal(d.interval_s, rows[i].interval_s);
		assert_string_equal(d.uri_complete, "");
	}
}

static void
test_each_answer_to_a_poll(void **state)
{
	static const struct {
		long status;
		const char *text;
		enum oidc_poll poll;
		enum oidc_end end;
	} rows[] = {
		{ 400, "{\"error\":\"authorization_pending\"}", OIDC_POLL_PENDING, OIDC_END_NONE },
		{ 200, "{\"error\":\"authorization_pending\"}", OIDC_POLL_PENDING, OIDC_END_NONE },
		{ 400, "{\"error\":\"slow_down\"}", OIDC_POLL_SLOWER, OIDC_END_NONE },
		{ 400, "{\"error\":\"access_denied\"}", OIDC_POLL_OVER, OIDC_END_DENIED },
		{ 400, "{\"error\":\"expired_token\"}", OIDC_POLL_OVER, OIDC_END_EXPIRED },
		{ 400, "{\"error\":\"invalid_grant\"}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 401, "{\"error\":\"invalid_client\"}", OIDC_POLL_OVER, OIDC_END_SETUP },
		{ 400, "{\"error\":\"something_new\"}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 400, "{\"error\":7}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 400, "{}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 400, "", OIDC_POLL_OVER, OIDC_END_PROVIDER },
		{ 302, "", OIDC_POLL_OVER, OIDC_END_PROVIDER },
		{ 302, "{\"id_token\":\"a.b.c\"}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 400, "{\"id_token\":\"a.b.c\"}", OIDC_POLL_OVER, OIDC_END_REFUSED },
		{ 200, "{\"error\":\"access_denied\",\"id_token\":\"a.b.c\"}", OIDC_POLL_OVER,
		    OIDC_END_DENIED },
		{ 200, "{}", OIDC_POLL_OVER, OIDC_END_SETUP },
		{ 200, "{\"access_token\":\"x\"}", OIDC_POLL_OVER, OIDC_END_SETUP },
		{ 200, "{\"id_token\":7}", OIDC_POLL_OVER, OIDC_END_SETUP },
		{ 200, "{\"id_token\":\"\"}", OIDC_POLL_OVER, OIDC_END_SETUP },
		{ 200, "{\"id_token\":\"a\",\"id_token\":\"b\"}", OIDC_POLL_OVER,
		    OIDC_END_PROVIDER },
		{ 500, "{\"id_token\":\"a.b.c\"}", OIDC_POLL_TROUBLE, OIDC_END_UNREACHABLE },
		{ 503, "busy", OIDC_POLL_TROUBLE, OIDC_END_UNREACHABLE },
		{ 429, "", OIDC_POLL_TROUBLE, OIDC_END_UNREACHABLE },
		{ 400, "{\"error\":\"temporarily_unavailable\"}", OIDC_POLL_TROUBLE,
		    OIDC_END_UNREACHABLE },
		{ 200, "{\"id_token\":\"a.b.c\"}", OIDC_POLL_TOKEN, OIDC_END_NONE },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct oidc_why why = { 0 };
		char *token = NULL;
		enum oidc_poll poll = oidc_read_poll(
		    rows[i].status, rows[i].text, strlen(rows[i].text), &token, &why);

		if (poll != rows[i].poll || why.end != rows[i].end)
			fail_msg("%ld %s: %d, %d", rows[i].status, rows[i].text, poll, why.end);
		assert_int_equal(token != NULL, poll == OIDC_POLL_TOKEN);
		free(token);
	}
}

/* What a provider writes reaches a log as one line of ASCII. */
static void
test_reasons_are_one_line(void **state)
{
	static const char text[] =
	    "{\"error\":\"x\\n<3>forged\",\"error_description\":\"\\u001b[2J\\u00e4\"}";
	struct oidc_why why;
	char *token = NULL;

	(void)state;
	assert_int_equal(oidc_read_poll(400, text, sizeof(text) - 1, &token, &why), OIDC_POLL_OVER);
	for (const char *p = why.text; *p != '\0'; p++)
		assert_in_range(*p, 0x20, 0x7e);
}

/* Dark and light by the standard's finder pattern, in both halves of a line. */
static void
test_a_qr_code_is_drawn_in_half_blocks(void **state)
{
	static const char top[] =
	    "\342\226\210\342\226\210 \342\226\204\342\226\204\342\226\204\342\226\204\342\226\204 "
	    "\342\226\210";
	char *lines = NULL, *second, *big = malloc(4001);
	size_t n = 0;

	(void)state;
	assert_int_equal(oidc_qr("https://id.test/device?user_code=ABCD-EFGH", &lines), 0);
	second = strchr(lines, '\n') + 1;
	assert_memory_equal(second, top, sizeof(top) - 1);
	for (const char *p = lines; *p != '\0'; p++)
		n += *p == '\n';
	assert_in_range(n, 15, 31);
	free(lines);
	assert_non_null(big);
	memset(big, 'a', 4000);
	big[4000] = '\0';
	assert_int_equal(oidc_qr(big, &lines), ERR_LIMIT);
	big[400] = '\0';
	assert_int_equal(oidc_qr(big, &lines), ERR_LIMIT);
	big[270] = '\0';
	assert_int_equal(oidc_qr(big, &lines), 0);
	assert_true(strlen(lines) < 6144);
	free(lines);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata_that_is_wrong_is_refused),
		cmocka_unit_test(test_codes_that_are_wrong_are_refused),
		cmocka_unit_test(test_a_code_lives_no_longer_than_we_allow),
		cmocka_unit_test(test_each_answer_to_a_poll),
		cmocka_unit_test(test_reasons_are_one_line),
		cmocka_unit_test(test_a_qr_code_is_drawn_in_half_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
