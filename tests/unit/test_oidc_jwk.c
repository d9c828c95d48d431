/* ID tokens: what is refused, and then what is taken. */
#include "config.h"

#include <openssl/hmac.h>

#include "bastiond/auth/oidc_jwk.h"
#include "bastiond/auth/oidc_jwt.h"
#include "lib/json.h"
#include "tests/lib/test.h"
#include "tests/unit/oidc_rig.h"

#define CLAIMS "{\"sub\":\"s\"}"

/* What verifying says; why: its text, for a look at a failed test. */
static int
verify(const char *jwks, const char *token, size_t len, struct oidc_why *why)
{
	struct json_node *set = NULL;
	struct oidc_jwt jwt = { 0 };
	int r;

	assert_int_equal(json_parse(jwks, strlen(jwks), &set), 0);
	memset(why, 0, sizeof(*why));
	r = oidc_jwt_read(token, len, &jwt, why);
	if (r == 0) {
		assert_null(jwt.claims);
		r = oidc_jwk_verify(set, &jwt, why);
		assert_int_equal(r == 0, jwt.claims != NULL);
		if (r == 0)
			assert_string_equal(json_str(json_get(jwt.claims, "sub"), ""), "s");
	}
	assert_int_equal(r == 0, why->end == OIDC_END_NONE);
	oidc_jwt_done(&jwt);
	json_node_free(set);
	return r;
}

static void
expect(int r, const char *jwks, const char *token, const char *why_has)
{
	struct oidc_why why;

	assert_int_equal(verify(jwks, token, strlen(token), &why), r);
	if (strstr(why.text, why_has) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, why_has);
}

/* All kinds of keys under names of their own. */
static char *
all_keys(void)
{
	char *k[] = { rig_jwk(RIG_RSA, "\"kid\":\"rsa\""), rig_jwk(RIG_P256, "\"kid\":\"p256\""),
		rig_jwk(RIG_P384, "\"kid\":\"p384\""), rig_jwk(RIG_ED25519, "\"kid\":\"ed\""),
		rig_jwk(RIG_RSA_SHORT, "\"kid\":\"short\"") };
	char *set = rig_jwks(k[0], k[1], k[2], k[3], k[4], NULL);

	for (size_t i = 0; i < N_OF(k); i++)
		free(k[i]);
	return set;
}

static const struct {
	enum rig_kind kind;
	const char *alg, *kid;
} good[] = {
	{ RIG_RSA, "RS256", "rsa" },
	{ RIG_RSA, "PS256", "rsa" },
	{ RIG_P256, "ES256", "p256" },
	{ RIG_P384, "ES384", "p384" },
	{ RIG_ED25519, "EdDSA", "ed" },
	{ RIG_ED25519, "Ed25519", "ed" },
};

static char *
header_of(const char *alg, const char *kid)
{
	char *text = NULL;

	assert_true(asprintf(&text, "{\"alg\":\"%s\",\"kid\":\"%s\"}", alg, kid) > 0);
	return text;
}

static void
test_every_other_name_for_a_signature_is_refused(void **state)
{
	static const char *const names[] = { "none", "None", "NONE", "nOnE", "", "HS256", "HS384",
		"HS512", "RS1", "RS384", "RS512", "PS384", "PS512", "ES512", "ES256K", "rs256",
		"RS256 ", "EdDSA ", "Ed448", "RSA-OAEP", "dir", "A128KW" };
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		char *header = header_of(names[i], "rsa");
		char *signed_token = rig_token(RIG_RSA, "RS256", header, CLAIMS);
		char *empty = rig_token(RIG_RSA, "none", header, CLAIMS);

		expect(ERR_DENIED, set, signed_token, "is signed with");
		expect(ERR_DENIED, set, empty, "is signed with");
		free(empty);
		free(signed_token);
		free(header);
	}
	free(set);
}

/* RFC 8725 section 2.1: the public key's bytes as the secret of an HMAC. */
static void
test_a_public_key_is_no_shared_secret(void **state)
{
	char *set = all_keys(), *jwk = rig_jwk(RIG_RSA, "\"kid\":\"rsa\""), *header, *token, *text;
	uint8_t mac[32];
	unsigned len = sizeof(mac);

	(void)state;
	header = header_of("HS256", "rsa");
	text = rig_token_with(header, CLAIMS, "", 0);
	text[strlen(text) - 1] = '\0';
	assert_non_null(HMAC(
	    EVP_sha256(), jwk, (int)strlen(jwk), (const uint8_t *)text, strlen(text), mac, &len));
	token = rig_token_with(header, CLAIMS, mac, len);
	expect(ERR_DENIED, set, token, "signed with HS256");
	free(token);
	free(text);
	free(header);
	/* And under the name of a signature that counts. */
	header = header_of("RS256", "rsa");
	token = rig_token_with(header, CLAIMS, mac, len);
	expect(ERR_SIGNATURE, set, token, "does not verify");
	free(token);
	free(header);
	free(jwk);
	free(set);
}

/* Signed one way, named another: every pair. */
static void
test_a_key_serves_its_own_algorithm_only(void **state)
{
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		for (size_t k = 0; k < N_OF(good); k++) {
			char *header = header_of(good[k].alg, good[i].kid), *token;
			struct oidc_why why;
			bool same = strcmp(good[i].alg, good[k].alg) == 0 ||
				    (good[i].kind == RIG_ED25519 && good[k].kind == RIG_ED25519);

			token = rig_token(good[i].kind, good[i].alg, header, CLAIMS);
			assert_int_equal(verify(set, token, strlen(token), &why) == 0, same);
			free(token);
			free(header);
		}
	free(set);
}

static void
test_a_signature_by_somebody_else_is_refused(void **state)
{
	char *jwk = rig_jwk(RIG_P256, "\"kid\":\"k\""), *set = rig_jwks(jwk, NULL), *token;

	(void)state;
	rig_done(); /* the next key is another one, of the same kind and name */
	token = rig_token(RIG_P256, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}", CLAIMS);
	expect(ERR_SIGNATURE, set, token, "does not verify");
	free(token);
	free(set);
	free(jwk);
}

static void
test_every_changed_byte_is_seen(void **state)
{
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		char *header = header_of(good[i].alg, good[i].kid);
		char *token = rig_token(good[i].kind, good[i].alg, header, CLAIMS);
		size_t len = strlen(token);
		struct oidc_why why;

		for (size_t at = 0; at < len; at++) {
			char was = token[at];

			token[at] = was == 'A' ? 'B' : 'A';
			assert_int_not_equal(verify(set, token, len, &why), 0);
			token[at] = was;
		}
		for (size_t cut = 0; cut < len; cut++)
			assert_int_not_equal(verify(set, token, cut, &why), 0);
		assert_int_equal(verify(set, token, len, &why), 0);
		free(token);
		free(header);
	}
	free(set);
}

static void
test_headers_that_ask_for_more_are_refused(void **state)
{
	static const struct {
		const char *header;
		int r;
	} rows[] = {
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[]}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":null}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":false}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"logout+jwt\"}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":7}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":7}", ERR_FORMAT },
		{ "{\"alg\":\"RS256\",\"kid\":\"\"}", ERR_FORMAT },
		{ "{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}", ERR_DENIED },
		{ "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", ERR_FORMAT },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\"", ERR_FORMAT },
		{ "[\"RS256\"]", ERR_FORMAT },
		{ "\"RS256\"", ERR_FORMAT },
		{ "", ERR_FORMAT },
		{ "{\"kid\":\"rsa\"}", ERR_DENIED },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}", 0 },
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"jwt\"}", 0 },
		/* Keys that the token itself brings are not looked at (RFC 8725 section 2.6). */
		{ "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"https://evil.test/\"}", 0 },
	};
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *token = rig_token(RIG_RSA, "RS256", rows[i].header, CLAIMS);
		struct oidc_why why;

		if (verify(set, token, strlen(token), &why) != rows[i].r)
			fail_msg("%s: %s", rows[i].header, why.text);
		free(token);
	}
	free(set);
}

static void
test_a_key_in_the_token_is_not_used(void **state)
{
	char *set, *jwk = rig_jwk(RIG_P256, "\"kid\":\"k\""), *header = NULL, *token;

	(void)state;
	set = rig_jwks(jwk, NULL);
	free(jwk);
	rig_done();
	jwk = rig_jwk(RIG_P256, "\"kid\":\"k\"");
	assert_true(asprintf(&header, "{\"alg\":\"ES256\",\"kid\":\"k\",\"jwk\":%s}", jwk) > 0);
	token = rig_token(RIG_P256, "ES256", header, CLAIMS);
	expect(ERR_SIGNATURE, set, token, "does not verify");
	free(token);
	free(header);
	free(jwk);
	free(set);
}

static void
test_what_is_no_token_is_refused(void **state)
{
	static const char *const rows[] = { "", ".", "..", "...", "a", "a.b", "a.b.c.d", "a.b.c",
		"eyJhbGciOiJSUzI1NiJ9..", ".eyJzdWIiOiJzIn0.AA", "eyJhbGciOiJSUzI1NiJ9.e30.A",
		"eyJhbGciOiJSUzI1NiJ9.e30.A=", "eyJhbGciOiJSUzI1NiJ9=.e30.AA",
		"eyJhbGciOiJSUzI1NiJ9.e30.AB", "eyJhbGciOiJSUzI1NiJ9.e30.A+",
		"eyJhbGciOiJSUzI1NiJ9.e30.A A" };
	char *set = all_keys(), *huge = malloc(OIDC_TOKEN_MAX + 2);
	struct oidc_why why;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		expect(ERR_FORMAT, set, rows[i], "the ID token");
	/* A NUL is a byte like any other that is no digit. */
	assert_int_equal(verify(set, "eyJhbGciOiJSUzI1NiJ9.e3\0.AA", 27, &why), ERR_FORMAT);
	assert_non_null(huge);
	memset(huge, 'A', OIDC_TOKEN_MAX + 1);
	assert_int_equal(verify(set, huge, OIDC_TOKEN_MAX + 1, &why), ERR_FORMAT);
	assert_non_null(strstr(why.text, "too long"));
	free(huge);
	free(set);
}

static void
test_claims_that_do_not_parse_are_refused(void **state)
{
	static const char *const rows[] = { "", "null", "[]", "{", "{\"sub\":\"s\",\"sub\":\"t\"}",
		"{\"sub\":\"s\"}x", "{'sub':'s'}" };
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *token =
		    rig_token(RIG_P256, "ES256", "{\"alg\":\"ES256\",\"kid\":\"p256\"}", rows[i]);

		expect(ERR_FORMAT, set, token, "claims that do not parse");
		free(token);
	}
	free(set);
}

/* Keys that a signature may not be checked with, though they would fit. */
static void
test_keys_for_something_else_are_not_there(void **state)
{
	static const char *const rows[] = { "\"kid\":\"other\"", "\"kid\":\"k \"", "\"kid\":7",
		"\"kid\":\"k\",\"use\":\"enc\"", "\"kid\":\"k\",\"use\":7",
		"\"kid\":\"k\",\"alg\":\"PS256\"", "\"kid\":\"k\",\"alg\":\"RS512\"",
		"\"kid\":\"k\",\"alg\":null", "\"kid\":\"k\",\"key_ops\":[\"encrypt\"]",
		"\"kid\":\"k\",\"key_ops\":[]" };
	char *token = rig_token(RIG_RSA, "RS256", "{\"alg\":\"RS256\",\"kid\":\"k\"}", CLAIMS);

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *jwk = rig_jwk(RIG_RSA, rows[i]), *set = rig_jwks(jwk, NULL);

		expect(ERR_NOT_FOUND, set, token, "publishes no key k for RS256");
		free(set);
		free(jwk);
	}
	free(token);
}

/* Keys that no signature may be checked with. */
static void
test_bad_keys_are_refused(void **state)
{
	static const struct {
		const char *jwk, *alg;
	} rows[] = {
		/* on P-256: not on the curve, zero, too short, too long, of another curve's length */
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
		  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\",\"kid\":\"k\"}",
		    "ES256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"kid\":\"k\"}",
		    "ES256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAE\",\"y\":\"AAE\",\"kid\":\"k\"}",
		    "ES256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"\",\"kid\":\"k\"}",
		    "ES256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\"}", "ES256" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":"
		  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
		  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\",\"kid\":\"k\"}",
		    "ES384" },
		{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\",\"kid\":\"k\"}", "EdDSA" },
		{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":7,\"kid\":\"k\"}", "EdDSA" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"kid\":\"k\"}", "RS256" },
		{ "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\",\"kid\":\"k\"}", "RS256" },
		{ "{\"kty\":\"RSA\",\"n\":\"!!!!\",\"e\":\"AQAB\",\"kid\":\"k\"}", "RS256" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *set = rig_jwks(rows[i].jwk, NULL), *header = header_of(rows[i].alg, "k"),
		     sig[96] = { 1 };
		char *token = rig_token_with(
		    header, CLAIMS, sig, strcmp(rows[i].alg, "ES384") == 0 ? 96 : 64);

		expect(ERR_FORMAT, set, token, "is none that may be used");
		free(token);
		free(header);
		free(set);
	}
}

static void
test_short_and_odd_rsa_keys_are_refused(void **state)
{
	static const char *const exponents[] = { "AQ", "Ag", "AA", "AQAA", "AQAAAAAAAAAAAAAAAAE" };
	char *set = all_keys(), *jwk, *token, *e, *more = NULL;

	(void)state;
	token = rig_token(RIG_RSA_SHORT, "RS256", "{\"alg\":\"RS256\",\"kid\":\"short\"}", CLAIMS);
	expect(ERR_FORMAT, set, token, "over a limit");
	free(token);
	free(set);
	token = rig_token(RIG_RSA, "RS256", "{\"alg\":\"RS256\",\"kid\":\"k\"}", CLAIMS);
	jwk = rig_jwk(RIG_RSA, "\"kid\":\"k\"");
	e = strstr(jwk, "\"e\":");
	assert_non_null(e);
	for (size_t i = 0; i < N_OF(exponents); i++) {
		assert_true(asprintf(&more, "%.*s\"e\":\"%s\",\"kid\":\"k\"}", (int)(e - jwk), jwk,
				exponents[i]) > 0);
		set = rig_jwks(more, NULL);
		expect(ERR_FORMAT, set, token, "over a limit");
		free(set);
		free(more);
	}
	free(jwk);
	free(token);
}

/* RFC 7518 section 3.4: r and s have one length each; DER is another spelling. */
static void
test_signatures_of_another_length_are_refused(void **state)
{
	static const struct {
		const char *alg, *kid;
		size_t len;
	} rows[] = { { "ES256", "p256", 63 }, { "ES256", "p256", 65 }, { "ES256", "p256", 96 },
		{ "ES384", "p384", 64 }, { "EdDSA", "ed", 63 }, { "EdDSA", "ed", 128 },
		{ "RS256", "rsa", 255 }, { "RS256", "rsa", 257 }, { "RS256", "rsa", 1 },
		{ "ES256", "p256", 64 } /* all zero */ };
	char *set = all_keys();
	uint8_t zero[512] = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *header = header_of(rows[i].alg, rows[i].kid);
		char *token = rig_token_with(header, CLAIMS, zero, rows[i].len);

		expect(ERR_SIGNATURE, set, token, "does not verify");
		free(token);
		free(header);
	}
	free(set);
}

static void
test_a_token_without_kid_needs_one_key_that_fits(void **state)
{
	char *set = all_keys(), *a = rig_jwk(RIG_P256, ""), *b = rig_jwk(RIG_RSA, ""), *two;
	char *token = rig_token(RIG_P256, "ES256", "{\"alg\":\"ES256\"}", CLAIMS);

	(void)state;
	expect(0, set, token, "");
	free(set);
	set = rig_jwks(a, b, NULL);
	expect(0, set, token, "");
	two = rig_jwks(a, b, a, NULL);
	expect(ERR_FORMAT, two, token, "publishes 2 keys");
	free(two);
	free(set);
	free(token);
	free(a);
	free(b);
}

static void
test_two_keys_of_one_name_are_none(void **state)
{
	char *a = rig_jwk(RIG_P256, "\"kid\":\"k\""), *set = rig_jwks(a, a, NULL);
	char *token = rig_token(RIG_P256, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}", CLAIMS);

	(void)state;
	expect(ERR_FORMAT, set, token, "publishes 2 keys");
	free(token);
	free(set);
	free(a);
}

static void
test_sets_that_are_none_are_refused(void **state)
{
	static const char *const rows[] = { "{}", "[]", "{\"keys\":{}}", "{\"keys\":null}", "7" };
	char *token = rig_token(RIG_P256, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}", CLAIMS),
	     *many;
	struct oidc_why why;
	size_t at;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		expect(ERR_FORMAT, rows[i], token, "are not a set");
	expect(ERR_NOT_FOUND, "{\"keys\":[]}", token, "publishes no key");
	expect(ERR_NOT_FOUND, "{\"keys\":[7,null,[],\"x\",{}]}", token, "publishes no key");
	many = calloc(1, 4096);
	assert_non_null(many);
	at = (size_t)snprintf(many, 4096, "{\"keys\":[{}");
	for (size_t i = 0; i < OIDC_JWKS_MAX; i++)
		at += (size_t)snprintf(many + at, 4096 - at, ",{}");
	(void)snprintf(many + at, 4096 - at, "]}");
	assert_int_equal(verify(many, token, strlen(token), &why), ERR_FORMAT);
	free(many);
	free(token);
}

static void
test_every_algorithm_verifies(void **state)
{
	char *set = all_keys();

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		char *header = header_of(good[i].alg, good[i].kid);
		char *token = rig_token(good[i].kind, good[i].alg, header, CLAIMS);

		expect(0, set, token, "");
		free(token);
		free(header);
	}
	free(set);
}

/* RFC 7515 appendix A.2 (RS256) and A.3 (ES256). */
static void
test_vectors_of_the_standards(void **state)
{
	static const char rsa[] = "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
				  "wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
				  "Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
				  "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
				  "7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
				  "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3"
				  "qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
				  "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyu"
				  "XpoQ\",\"e\":\"AQAB\"}";
	static const char rsa_token[] =
	    "eyJhbGciOiJSUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
	    "bS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
	    "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4"
	    "Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
	    "nZLgrnbyTyWzO75vRK5h6xBA"
	    "rLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
	    "eOkHWEsqtFZESc6BfI7noOPqvhJ1ph"
	    "CnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
	static const char ec[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
				 "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
				 "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
	static const char ec_token[] =
	    "eyJhbGciOiJFUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
	    "bS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
	    "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxf"
	    "KTUJqPP3-Kg6NU1Q";
	static const char *const rows[][2] = { { rsa, rsa_token }, { ec, ec_token } };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char *text = rig_jwks(rows[i][0], NULL);
		struct json_node *set = NULL;
		struct oidc_jwt jwt = { 0 };
		struct oidc_why why;

		assert_int_equal(json_parse(text, strlen(text), &set), 0);
		assert_int_equal(oidc_jwt_read(rows[i][1], strlen(rows[i][1]), &jwt, &why), 0);
		assert_int_equal(oidc_jwk_verify(set, &jwt, &why), 0);
		assert_string_equal(json_str(json_get(jwt.claims, "iss"), ""), "joe");
		oidc_jwt_done(&jwt);
		json_node_free(set);
		free(text);
	}
}

static int
teardown(void **state)
{
	(void)state;
	rig_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_other_name_for_a_signature_is_refused),
		cmocka_unit_test(test_a_public_key_is_no_shared_secret),
		cmocka_unit_test(test_a_key_serves_its_own_algorithm_only),
		cmocka_unit_test(test_a_signature_by_somebody_else_is_refused),
		cmocka_unit_test(test_every_changed_byte_is_seen),
		cmocka_unit_test(test_headers_that_ask_for_more_are_refused),
		cmocka_unit_test(test_a_key_in_the_token_is_not_used),
		cmocka_unit_test(test_what_is_no_token_is_refused),
		cmocka_unit_test(test_claims_that_do_not_parse_are_refused),
		cmocka_unit_test(test_keys_for_something_else_are_not_there),
		cmocka_unit_test(test_bad_keys_are_refused),
		cmocka_unit_test(test_short_and_odd_rsa_keys_are_refused),
		cmocka_unit_test(test_signatures_of_another_length_are_refused),
		cmocka_unit_test(test_a_token_without_kid_needs_one_key_that_fits),
		cmocka_unit_test(test_two_keys_of_one_name_are_none),
		cmocka_unit_test(test_sets_that_are_none_are_refused),
		cmocka_unit_test(test_every_algorithm_verifies),
		cmocka_unit_test(test_vectors_of_the_standards),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
