/* The token as bytes. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bastiond/auth/oidc_jwt.h"
#include "lib/str.h"

#define HEADER_MAX 2048u /* bytes of a decoded header */

static const struct {
	const char *name;
	enum oidc_alg alg;
} algs[] = {
	{ "RS256", OIDC_RS256 }, { "PS256", OIDC_PS256 }, { "ES256", OIDC_ES256 },
	{ "ES384", OIDC_ES384 },
	{ "EdDSA", OIDC_EDDSA },   /* RFC 8037; Ed25519 is the only curve that is taken */
	{ "Ed25519", OIDC_EDDSA }, /* RFC 9864 */
};

const char *
oidc_alg_name(enum oidc_alg alg)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		if (algs[i].alg == alg)
			return algs[i].name;
	return "";
}

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int
oidc_base64url(const char *s, size_t len, uint8_t **ret_data, size_t *ret_len)
{
	size_t at = 0, bits = 0;
	uint32_t acc = 0;
	uint8_t *data;

	if (len % 4 == 1)
		return ERR_FORMAT;
	if ((data = malloc(len / 4 * 3 + 4)) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		int d = digit(s[i]);

		if (d < 0) {
			free(data);
			return ERR_FORMAT;
		}
		acc = (acc << 6 | (uint32_t)d) & 0xffffffu;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			data[at++] = (uint8_t)(acc >> bits);
		}
	}
	/* A second spelling of the same bytes is no spelling (RFC 4648 section 3.5). */
	if ((acc & ((1u << bits) - 1)) != 0) {
		free(data);
		return ERR_FORMAT;
	}
	data[at] = 0;
	*ret_data = data;
	*ret_len = at;
	return 0;
}

/* A part of a token as JSON. 0; ERR_FORMAT; -ENOMEM. */
static int
read_part(const char *s, size_t len, size_t max, struct json_node **ret_node)
{
	struct json_node *node = NULL;
	uint8_t *data = NULL;
	size_t n;
	int r = oidc_base64url(s, len, &data, &n);

	if (r != 0)
		return r;
	r = n > max ? ERR_FORMAT : json_parse((const char *)data, n, &node);
	if (r == 0 && !json_is_map(node)) {
		json_node_free(node);
		r = ERR_FORMAT;
	}
	if (r == 0)
		*ret_node = node;
	free(data);
	return r;
}

/* Tokens of other kinds say so (RFC 8725 section 3.11); most providers say JWT or nothing. */
static bool
is_other_kind(const struct json_node *header)
{
	const struct json_node *typ = json_get(header, "typ");

	return typ != NULL && strcasecmp(json_str(typ, ""), "JWT") != 0;
}

static int
read_header(const struct json_node *header, struct oidc_jwt *jwt, struct oidc_why *why)
{
	const char *name = json_str(json_get(header, "alg"), ""),
		   *kid = json_str(json_get(header, "kid"), "");

	if (json_get(header, "crit") != NULL || json_get(header, "b64") != NULL)
		return oidc_why(why, OIDC_END_TOKEN, ERR_DENIED,
		    "the ID token's header asks for an extension (crit)");
	if (is_other_kind(header))
		return oidc_why(why, OIDC_END_TOKEN, ERR_DENIED,
		    "a token of another kind came as ID token: typ %s",
		    json_str(json_get(header, "typ"), "?"));
	if (json_get(header, "kid") != NULL && kid[0] == '\0')
		return oidc_why(
		    why, OIDC_END_TOKEN, ERR_FORMAT, "the ID token's kid is not a name");
	if (str_copy(jwt->kid, sizeof(jwt->kid), kid) != 0)
		return oidc_why(why, OIDC_END_TOKEN, ERR_FORMAT, "the ID token's kid is too long");
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		if (strcmp(algs[i].name, name) == 0) {
			jwt->alg = algs[i].alg;
			return 0;
		}
	return oidc_why(why, OIDC_END_TOKEN, ERR_DENIED,
	    "the ID token is signed with %s; RS256, PS256, ES256, ES384 and EdDSA are taken",
	    name[0] != '\0' ? name : "nothing that has a name");
}

/* Where the two dots are. */
static int
find_dots(const char *token, size_t len, const char **ret_first, const char **ret_second)
{
	const char *first = memchr(token, '.', len), *second, *end = token + len;

	if (first == NULL)
		return ERR_FORMAT;
	second = memchr(first + 1, '.', (size_t)(end - first) - 1);
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second) - 1) != NULL)
		return ERR_FORMAT;
	*ret_first = first;
	*ret_second = second;
	return 0;
}

static int
bad(struct oidc_why *why, int r, const char *what)
{
	if (r == -ENOMEM)
		return oidc_why(why, OIDC_END_SYSTEM, r, "out of memory");
	return oidc_why(why, OIDC_END_TOKEN, ERR_FORMAT, "the ID token %s", what);
}

int
oidc_jwt_read(const char *token, size_t len, struct oidc_jwt *ret_jwt, struct oidc_why *why)
{
	struct oidc_jwt jwt = { 0 };
	struct json_node *header = NULL;
	const char *first, *second;
	int r;

	if (len > OIDC_TOKEN_MAX)
		return bad(why, ERR_LIMIT, "is too long");
	if (memchr(token, '\0', len) != NULL || find_dots(token, len, &first, &second) != 0)
		return bad(why, ERR_FORMAT, "does not have three parts");
	if ((r = read_part(token, (size_t)(first - token), HEADER_MAX, &header)) != 0)
		return bad(why, r, "has a header that does not parse");
	if ((r = read_header(header, &jwt, why)) != 0)
		goto out;
	r = oidc_base64url(second + 1, (size_t)(token + len - second) - 1, &jwt.sig, &jwt.sig_len);
	if (r != 0 || jwt.sig_len == 0 || jwt.sig_len > OIDC_SIG_MAX) {
		r = bad(why, r, "has a signature that does not parse");
		goto out;
	}
	if ((jwt.text = strndup(token, len)) == NULL) {
		r = bad(why, -ENOMEM, "");
		goto out;
	}
	jwt.signed_len = (size_t)(second - token);
	*ret_jwt = jwt;
	jwt = (struct oidc_jwt){ 0 };
out:
	oidc_jwt_done(&jwt);
	json_node_free(header);
	return r;
}

int
oidc_jwt_open(struct oidc_jwt *jwt, struct oidc_why *why)
{
	const char *first = strchr(jwt->text, '.') + 1;
	int r = read_part(
	    first, jwt->signed_len - (size_t)(first - jwt->text), OIDC_TOKEN_MAX, &jwt->claims);

	return r == 0 ? 0 : bad(why, r, "has claims that do not parse");
}

void
oidc_jwt_done(struct oidc_jwt *jwt)
{
	free(jwt->text);
	free(jwt->sig);
	json_node_free(jwt->claims);
	*jwt = (struct oidc_jwt){ 0 };
}
