/*
 * What comes from an identity provider. The first byte says what the rest is: 0 metadata, 1 a code, 2 the answer to a poll, 3 a token,
 * 4 a set of keys, 5 claims. Whatever it is: texts for people are printable, lengths and times are in their bounds, and no token
 * is taken that the two keys of RFC 7515's examples have not signed.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/oidc_claims.h"
#include "bastiond/auth/oidc_flow.h"
#include "bastiond/auth/oidc_jwk.h"
#include "lib/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
			   "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
			   "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
static const char token[] =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

static const struct oidc_conf conf = { .issuer = "https://id.test",
	.client_id = "us",
	.identity_claim = "name",
	.groups_claim = "groups",
	.leeway_ns = 60000000000u };

static void
must_be_plain(const char *s, const char *more)
{
	for (; *s != '\0'; s++)
		if ((*s < 0x20 || *s > 0x7e) && strchr(more, *s) == NULL)
			abort();
}

static void
must_have_reason(int r, const struct oidc_why *why)
{
	if ((r == 0) != (why->end == OIDC_END_NONE))
		abort();
	must_be_plain(why->text, "");
}

static void
feed_provider(const char *text, size_t len)
{
	struct oidc_why why = { 0 };
	struct oidc_provider p;
	int r = oidc_read_provider(&conf, text, len, &p, &why);

	must_have_reason(r, &why);
	if (r == 0 && (!oidc_url_ok(p.device_endpoint, false) ||
			  !oidc_url_ok(p.token_endpoint, false) || !oidc_url_ok(p.jwks_uri, false)))
		abort();
}

static void
feed_device(const char *text, size_t len)
{
	struct oidc_why why = { 0 };
	struct oidc_device d;
	int r = oidc_read_device(&conf, text, len, &d, &why);

	must_have_reason(r, &why);
	if (r != 0)
		return;
	must_be_plain(d.user_code, "");
	must_be_plain(d.uri, "");
	must_be_plain(d.uri_complete, "");
	if (d.expires_s == 0 || d.expires_s > OIDC_EXPIRES_MAX_S || d.interval_s == 0 ||
	    d.interval_s > OIDC_INTERVAL_MAX_S || d.device_code[0] == '\0' ||
	    d.user_code[0] == '\0')
		abort();
}

static void
feed_poll(const char *text, size_t len)
{
	static const long status[] = { 200, 400, 503 };

	for (size_t i = 0; i < 3; i++) {
		struct oidc_why why = { 0 };
		char *t = NULL;
		enum oidc_poll poll = oidc_read_poll(status[i], text, len, &t, &why);

		if ((poll == OIDC_POLL_TOKEN) != (t != NULL) || (t != NULL && status[i] != 200))
			abort();
		must_be_plain(why.text, "");
		free(t);
	}
}

static void
feed_claims(const struct json_node *claims)
{
	const struct oidc_moment m = { 1300819000u * 1000000000ull, 1300819000u * 1000000000ull,
		NULL };
	char name[OIDC_NAME_SIZE] = "", groups[OIDC_GROUPS_SIZE], dropped[OIDC_GROUP_SIZE],
	     subject[600];
	struct oidc_why why = { 0 };

	if (oidc_claims_check(&conf, claims, &m, &why) == 0 &&
	    oidc_claims_identity(&conf, claims, name, &why) == 0 &&
	    (name[0] == '\0' || strpbrk(name, "-.@") == name ||
		strpbrk(name, " +:/\\\"'$`;&|<>\n") != NULL))
		abort();
	must_be_plain(name, "");
	(void)oidc_claims_groups(&conf, claims, groups, dropped);
	must_be_plain(groups, "");
	must_be_plain(dropped, "");
	if (strstr(groups, ",,") != NULL || groups[0] == ',' || strpbrk(groups, " ;|&$\"'") != NULL)
		abort();
	if (oidc_claims_subject(&conf, claims, subject, sizeof(subject), &why) == 0)
		must_be_plain(subject, "");
	(void)oidc_claims_confirm(claims);
}

static void
feed_token(const char *text, size_t len, const char *set_text, size_t set_len)
{
	struct json_node *set = NULL;
	struct oidc_why why = { 0 };
	struct oidc_jwt jwt = { 0 };
	int r;

	if (json_parse(set_text, set_len, &set) != 0)
		return;
	r = oidc_jwt_read(text, len, &jwt, &why);
	if (r == 0)
		r = oidc_jwk_verify(set, &jwt, &why);
	must_have_reason(r, &why);
	/* With the key of the example, only the example. */
	if (r == 0 && set_text == keys && strcmp(jwt.text, token) != 0)
		abort();
	if ((r == 0) != (jwt.claims != NULL))
		abort();
	oidc_jwt_done(&jwt);
	json_node_free(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct json_node *claims = NULL;

	if (size == 0)
		return 0;
	size--;
	switch (data[0]) {
	case '0':
		feed_provider(text, size);
		break;
	case '1':
		feed_device(text, size);
		break;
	case '2':
		feed_poll(text, size);
		break;
	case '3':
		feed_token(text, size, keys, sizeof(keys) - 1);
		break;
	case '4':
		feed_token(token, sizeof(token) - 1, text, size);
		break;
	case '5':
		if (json_parse(text, size, &claims) == 0)
			feed_claims(claims);
		json_node_free(claims);
		break;
	default:
		break;
	}
	return 0;
}
