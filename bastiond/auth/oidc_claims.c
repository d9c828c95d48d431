/* Claims. Numbers are numbers here and text is text: what a provider writes loosely is refused, and the reason says which. */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bastiond/auth/oidc_claims.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"

#define S_NS CLOCK_NS_PER_S
#define DATE_MAX (UINT64_MAX / S_NS / 2) /* seconds; also with leeway it is a number of ns */

static int
no(struct oidc_why *why, const char *text)
{
	return oidc_why(why, OIDC_END_TOKEN, ERR_DENIED, "%s", text);
}

/* A NumericDate (RFC 7519 section 2) without a fraction, in ns. 0; ERR_NOT_FOUND; ERR_FORMAT. */
static int
get_date(const struct json_node *claims, const char *name, uint64_t *ret_ns)
{
	const struct json_node *n = json_get(claims, name);
	uint64_t s;

	if (n == NULL)
		return ERR_NOT_FOUND;
	if (json_str(n, NULL) != NULL || (s = json_u64(n, UINT64_MAX)) > DATE_MAX)
		return ERR_FORMAT;
	*ret_ns = s * S_NS;
	return 0;
}

static bool
list_has(const struct json_node *list, const char *want)
{
	for (size_t i = 0; i < json_n(list); i++)
		if (strcmp(json_str(json_at(list, i), ""), want) == 0)
			return true;
	return false;
}

static int
check_audience(const struct oidc_conf *conf, const struct json_node *claims, struct oidc_why *why)
{
	const struct json_node *aud = json_get(claims, "aud"), *azp = json_get(claims, "azp");
	bool ours = json_is_list(aud) ? list_has(aud, conf->client_id)
				      : strcmp(json_str(aud, ""), conf->client_id) == 0;

	if (!ours)
		return no(why, "the ID token is for another client (aud)");
	if (azp == NULL)
		return json_n(aud) > 1 ? no(why, "the ID token is for several and names no azp")
				       : 0;
	if (strcmp(json_str(azp, ""), conf->client_id) != 0)
		return no(why, "the ID token was given to another client (azp)");
	return 0;
}

static int
check_dates(const struct oidc_conf *conf, const struct json_node *claims,
    const struct oidc_moment *m, struct oidc_why *why)
{
	uint64_t at, late = m->now_ns + conf->leeway_ns;
	int r;

	if (get_date(claims, "exp", &at) != 0)
		return no(why, "the ID token has no expiry (exp) that is a whole number");
	if (at + conf->leeway_ns <= m->now_ns)
		return no(why, "the ID token is expired: do the clocks agree?");
	if (get_date(claims, "iat", &at) != 0)
		return no(why, "the ID token has no time of issue (iat) that is a whole number");
	if (at > late)
		return no(why, "the ID token is from the future (iat): do the clocks agree?");
	if (at + conf->leeway_ns < m->started_ns)
		return no(why, "the ID token is older than this login (iat)");
	r = get_date(claims, "nbf", &at);
	if (r == ERR_FORMAT || (r == 0 && at > late))
		return no(why, "the ID token is not valid yet (nbf)");
	return 0;
}

/* A claim has a value when it is it, or a list with it; true and false and numbers as they are written. */
static bool
claim_is(const struct json_node *n, const char *want)
{
	uint64_t v;

	if (n == NULL)
		return false;
	if (json_is_list(n))
		return list_has(n, want);
	if (json_str(n, NULL) != NULL)
		return strcmp(json_str(n, NULL), want) == 0;
	if (json_bool(n, true) == json_bool(n, false))
		return strcmp(want, json_bool(n, false) ? "true" : "false") == 0;
	return num_parse(want, 0, UINT64_MAX - 1, &v) == 0 && json_u64(n, UINT64_MAX) == v;
}

static int
check_required(const struct oidc_conf *conf, const struct json_node *claims, struct oidc_why *why)
{
	for (size_t i = 0; i < conf->n_require; i++) {
		const struct oidc_require *q = &conf->require[i];
		bool has = false;

		for (size_t k = 0; k < q->n_values; k++)
			has = has || claim_is(json_get(claims, q->claim), q->values[k]);
		if (!has)
			return oidc_why(why, OIDC_END_OTHER, ERR_DENIED,
			    "the ID token's claim %s is not what is required", q->claim);
	}
	if (conf->require_email_verified && !json_bool(json_get(claims, "email_verified"), false))
		return oidc_why(
		    why, OIDC_END_OTHER, ERR_DENIED, "the person's email is not verified");
	return 0;
}

int
oidc_claims_check(const struct oidc_conf *conf, const struct json_node *claims,
    const struct oidc_moment *m, struct oidc_why *why)
{
	int r;

	if (strcmp(json_str(json_get(claims, "iss"), ""), conf->issuer) != 0)
		return no(why, "the ID token is another issuer's (iss)");
	if ((r = check_audience(conf, claims, why)) != 0 ||
	    (r = check_dates(conf, claims, m, why)) != 0)
		return r;
	if (json_str(json_get(claims, "sub"), "")[0] == '\0')
		return no(why, "the ID token is about nobody (sub)");
	if (m->nonce != NULL && strcmp(json_str(json_get(claims, "nonce"), ""), m->nonce) != 0)
		return no(why, "the ID token does not have the nonce that was sent");
	return check_required(conf, claims, why);
}

/* What bastiond takes for a name, and what no other program takes for more than one. */
static bool
is_name(const char *s, const char *more)
{
	if (s[0] == '\0' || strchr("-.@", s[0]) != NULL)
		return false;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr(more, *s) != NULL))
			return false;
	return true;
}

int
oidc_claims_identity(const struct oidc_conf *conf, const struct json_node *claims, char *ret_name,
    struct oidc_why *why)
{
	const char *value = json_str(json_get(claims, conf->identity_claim), "");
	char name[OIDC_NAME_SIZE];
	char *at;

	if (value[0] == '\0')
		return oidc_why(why, OIDC_END_OTHER, ERR_DENIED,
		    "the ID token has no claim %s with text: is its scope asked for?",
		    conf->identity_claim);
	if (str_copy(name, sizeof(name), value) != 0)
		return oidc_why(why, OIDC_END_OTHER, ERR_DENIED, "the claim %s is too long",
		    conf->identity_claim);
	if (conf->strip_domain[0] != '\0') {
		at = strrchr(name, '@');
		if (at == NULL || strcasecmp(at + 1, conf->strip_domain) != 0)
			return oidc_why(why, OIDC_END_OTHER, ERR_DENIED,
			    "the claim %s is %s, not of the domain %s", conf->identity_claim, name,
			    conf->strip_domain);
		*at = '\0';
	}
	if (!is_name(name, "._-@"))
		return oidc_why(why, OIDC_END_OTHER, ERR_DENIED,
		    "the claim %s is %s, which is no user name", conf->identity_claim, value);
	(void)snprintf(ret_name, OIDC_NAME_SIZE, "%s", name); /* fits */
	return 0;
}

/* Append a group unless it is odd, twice there, or one too many. 0; ERR_FORMAT; ERR_LIMIT. */
static int
add_group(const char *name, char *groups, size_t *n)
{
	size_t at = strlen(groups), len = strlen(name);

	if (len >= OIDC_GROUP_SIZE || !is_name(name, "._-@/:"))
		return ERR_FORMAT;
	if (*n >= OIDC_GROUPS_MAX || at + 1 + len >= OIDC_GROUPS_SIZE)
		return ERR_LIMIT;
	(void)snprintf(
	    groups + at, OIDC_GROUPS_SIZE - at, "%s%s", at > 0 ? "," : "", name); /* fits */
	(*n)++;
	return 0;
}

size_t
oidc_claims_groups(const struct oidc_conf *conf, const struct json_node *claims, char *ret_groups,
    char *ret_dropped)
{
	const struct json_node *claim = NULL;
	size_t n = 0, dropped = 0, n_all;

	ret_groups[0] = '\0';
	ret_dropped[0] = '\0';
	if (conf->groups_claim[0] != '\0')
		claim = json_get(claims, conf->groups_claim);
	n_all = json_is_list(claim) ? json_n(claim) : json_str(claim, NULL) != NULL;
	for (size_t i = 0; i < n_all; i++) {
		const char *name = json_str(json_is_list(claim) ? json_at(claim, i) : claim, "");

		if (add_group(name, ret_groups, &n) == 0)
			continue;
		if (dropped++ == 0)
			(void)str_plain(ret_dropped, OIDC_GROUP_SIZE, name, strlen(name));
	}
	return dropped;
}

int
oidc_claims_subject(const struct oidc_conf *conf, const struct json_node *claims, char *dst,
    size_t size, struct oidc_why *why)
{
	const char *sub = json_str(json_get(claims, "sub"), "");

	/* At most 255 ASCII characters (OpenID Connect Core section 2). */
	for (const char *p = sub; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return no(why, "the ID token's sub is not printable ASCII");
	if (strlen(sub) > 255 || str_format(dst, size, "%s %s", conf->issuer, sub) != 0)
		return no(why, "the ID token's sub is too long");
	return 0;
}

const char *
oidc_claims_confirm(const struct json_node *claims)
{
	const char *s = json_str(json_get(claims, OIDC_CONFIRM_CLAIM), "");
	size_t len = strlen(s);

	if (len < OIDC_CONFIRM_MIN || len > OIDC_CONFIRM_MAX)
		return NULL;
	for (const char *p = s; *p != '\0'; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z')))
			return NULL;
	return s;
}
