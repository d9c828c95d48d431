/* The messages of the device grant. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/oidc_flow.h"
#include "lib/json.h"
#include "lib/str.h"

#define GRANT "urn:ietf:params:oauth:grant-type:device_code"
#define DISCOVERY "/.well-known/openid-configuration"
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A member that is a URL of ours to ask or to show. 0; ERR_NOT_FOUND; ERR_FORMAT. */
static int
get_url(const struct oidc_conf *conf, const struct json_node *doc, const char *name, char *ret_url)
{
	const char *s = json_str(json_get(doc, name), "");

	if (json_get(doc, name) == NULL)
		return ERR_NOT_FOUND;
	if (!oidc_url_ok(s, conf->allow_http))
		return ERR_FORMAT;
	return str_copy(ret_url, OIDC_URL_SIZE, s);
}

static int
must_url(const struct oidc_conf *conf, const struct json_node *doc, const char *name, char *ret_url,
    struct oidc_why *why)
{
	int r = get_url(conf, doc, name, ret_url);

	if (r == ERR_NOT_FOUND)
		return oidc_why(why, OIDC_END_SETUP, ERR_FORMAT,
		    "the provider names no %s: does it know the device grant?", name);
	if (r != 0)
		return oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT,
		    "the provider's %s is not an https URL", name);
	return 0;
}

/* A whole number of seconds, or a default when it is not there. 0; ERR_FORMAT. */
static int
get_seconds(
    const struct json_node *doc, const char *name, uint64_t fallback, uint64_t max, uint64_t *ret_s)
{
	const struct json_node *n = json_get(doc, name);
	uint64_t v = n == NULL ? fallback : json_u64(n, 0);

	if (v == 0)
		return ERR_FORMAT;
	*ret_s = v > max ? max : v;
	return 0;
}

/* Bytes as a JSON map. 0; ERR_FORMAT with why. */
static int
read_map(const char *what, const char *text, size_t len, struct json_node **ret_doc,
    struct oidc_why *why)
{
	struct json_node *doc = NULL;

	if (json_parse(text, len, &doc) != 0 || !json_is_map(doc)) {
		json_node_free(doc);
		return oidc_why(
		    why, OIDC_END_PROVIDER, ERR_FORMAT, "%s: the answer is not JSON", what);
	}
	*ret_doc = doc;
	return 0;
}

int
oidc_read_provider(const struct oidc_conf *conf, const char *text, size_t len,
    struct oidc_provider *ret_provider, struct oidc_why *why)
{
	struct oidc_provider p;
	struct json_node *doc = NULL;
	const char *issuer;
	int r = read_map("discovery", text, len, &doc, why);

	if (r != 0)
		return r;
	issuer = json_str(json_get(doc, "issuer"), "");
	if (strcmp(issuer, conf->issuer) != 0)
		r = oidc_why(why, OIDC_END_SETUP, ERR_FORMAT,
		    "the provider calls itself %s, the configuration calls it %s",
		    issuer[0] != '\0' ? issuer : "nothing", conf->issuer);
	else if ((r = must_url(
		      conf, doc, "device_authorization_endpoint", p.device_endpoint, why)) == 0 &&
		 (r = must_url(conf, doc, "token_endpoint", p.token_endpoint, why)) == 0 &&
		 (r = must_url(conf, doc, "jwks_uri", p.jwks_uri, why)) == 0)
		*ret_provider = p;
	json_node_free(doc);
	return r;
}

/* What people are shown: printable, and no longer than they would type. */
static bool
is_user_code(const char *s)
{
	for (const char *p = s; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	return s[0] != '\0' && strlen(s) < OIDC_USER_CODE_SIZE;
}

static int
read_device_urls(const struct oidc_conf *conf, const struct json_node *doc, struct oidc_device *d,
    struct oidc_why *why)
{
	int r = get_url(conf, doc, "verification_uri", d->uri);

	/* Google's spelling, from before the RFC. */
	if (r == ERR_NOT_FOUND)
		r = get_url(conf, doc, "verification_url", d->uri);
	if (r != 0)
		return oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT,
		    "the provider's verification_uri is not an https URL");
	r = get_url(conf, doc, "verification_uri_complete", d->uri_complete);
	if (r != 0 && r != ERR_NOT_FOUND)
		return oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT,
		    "the provider's verification_uri_complete is not an https URL");
	return 0;
}

int
oidc_read_device(const struct oidc_conf *conf, const char *text, size_t len,
    struct oidc_device *ret_device, struct oidc_why *why)
{
	struct oidc_device d = { 0 };
	struct json_node *doc = NULL;
	const char *code, *user_code;
	int r = read_map("device authorization", text, len, &doc, why);

	if (r != 0)
		return r;
	code = json_str(json_get(doc, "device_code"), "");
	user_code = json_str(json_get(doc, "user_code"), "");
	if ((r = read_device_urls(conf, doc, &d, why)) != 0)
		goto out;
	if (code[0] == '\0' || str_copy(d.device_code, sizeof(d.device_code), code) != 0 ||
	    !is_user_code(user_code) ||
	    str_copy(d.user_code, sizeof(d.user_code), user_code) != 0 ||
	    get_seconds(doc, "expires_in", 0, OIDC_EXPIRES_MAX_S, &d.expires_s) != 0 ||
	    get_seconds(doc, "interval", OIDC_INTERVAL_S, OIDC_INTERVAL_MAX_S, &d.interval_s) != 0)
		r = oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT,
		    "device authorization: device_code, user_code, expires_in or interval is "
		    "wrong");
	if (r == 0)
		*ret_device = d;
out:
	json_node_free(doc);
	return r;
}

/* RFC 8628 section 3.5, RFC 6749 section 5.2 */
static const struct {
	const char *error;
	enum oidc_poll poll;
	enum oidc_end end;
} errors[] = {
	{ "authorization_pending", OIDC_POLL_PENDING, OIDC_END_NONE },
	{ "slow_down", OIDC_POLL_SLOWER, OIDC_END_NONE },
	{ "access_denied", OIDC_POLL_OVER, OIDC_END_DENIED },
	{ "expired_token", OIDC_POLL_OVER, OIDC_END_EXPIRED },
	{ "invalid_grant", OIDC_POLL_OVER, OIDC_END_REFUSED },
	{ "invalid_client", OIDC_POLL_OVER, OIDC_END_SETUP },
	{ "unauthorized_client", OIDC_POLL_OVER, OIDC_END_SETUP },
	{ "unsupported_grant_type", OIDC_POLL_OVER, OIDC_END_SETUP },
	{ "invalid_request", OIDC_POLL_OVER, OIDC_END_SETUP },
	{ "invalid_scope", OIDC_POLL_OVER, OIDC_END_SETUP },
	{ "temporarily_unavailable", OIDC_POLL_TROUBLE, OIDC_END_UNREACHABLE },
	{ "server_error", OIDC_POLL_TROUBLE, OIDC_END_UNREACHABLE },
};

/* An error as OAuth spells it: its row; ours alone: OIDC_END_REFUSED. */
static enum oidc_poll
read_error(const char *what, const struct json_node *doc, struct oidc_why *why)
{
	const char *error = json_str(json_get(doc, "error"), "");
	enum oidc_poll poll = OIDC_POLL_OVER;
	enum oidc_end end = OIDC_END_REFUSED;

	for (size_t i = 0; i < N(errors); i++)
		if (strcmp(errors[i].error, error) == 0) {
			poll = errors[i].poll;
			end = errors[i].end;
		}
	(void)oidc_why(why, end, 0, "%s: %.64s: %.256s", what,
	    error[0] != '\0' ? error : "an error without a name",
	    json_str(json_get(doc, "error_description"), ""));
	return poll;
}

enum oidc_poll
oidc_read_poll(long status, const char *text, size_t len, char **ret_token, struct oidc_why *why)
{
	enum oidc_poll poll = OIDC_POLL_OVER;
	struct json_node *doc = NULL;
	const char *token;

	if (status >= 500 || status == 429 || status == 408) {
		(void)oidc_why(why, OIDC_END_UNREACHABLE, 0, "token: HTTP status %ld", status);
		return OIDC_POLL_TROUBLE;
	}
	if (read_map("token", text, len, &doc, why) != 0)
		return OIDC_POLL_OVER;
	/* Some send errors with status 200. */
	if (status != 200 || json_get(doc, "error") != NULL) {
		poll = read_error("token", doc, why);
		goto out;
	}
	token = json_str(json_get(doc, "id_token"), "");
	if (token[0] == '\0')
		(void)oidc_why(why, OIDC_END_SETUP, 0,
		    "token: the answer has no ID token: is openid among the scopes?");
	else if ((*ret_token = strdup(token)) == NULL)
		(void)oidc_why(why, OIDC_END_SYSTEM, 0, "out of memory");
	else
		poll = OIDC_POLL_TOKEN;
out:
	json_node_free(doc);
	return poll;
}

int
oidc_discover(const struct oidc_conf *conf, struct oidc_http *http,
    struct oidc_provider *ret_provider, struct oidc_why *why)
{
	char url[OIDC_URL_SIZE + sizeof(DISCOVERY)];
	size_t len = strlen(conf->issuer);
	struct oidc_reply reply = { 0 };
	int r;

	if (len > 0 && conf->issuer[len - 1] == '/')
		len--;
	(void)snprintf(url, sizeof(url), "%.*s" DISCOVERY, (int)len, conf->issuer); /* fits */
	if ((r = oidc_http_get(http, "discovery", url, &reply, why)) != 0)
		return r;
	if (reply.status != 200)
		r = oidc_why(why, reply.status >= 500 ? OIDC_END_UNREACHABLE : OIDC_END_SETUP,
		    ERR_PEER_GONE, "discovery: HTTP status %ld from %s", reply.status, url);
	else
		r = oidc_read_provider(conf, reply.body, reply.len, ret_provider, why);
	free(reply.body);
	return r;
}

/* An error in place of a code. */
static int
device_refused(const struct oidc_reply *reply, struct oidc_why *why)
{
	struct json_node *doc = NULL;

	if (reply->status >= 500 || reply->status == 429)
		return oidc_why(why, OIDC_END_UNREACHABLE, ERR_PEER_GONE,
		    "device authorization: HTTP status %ld", reply->status);
	if (json_parse(reply->body, reply->len, &doc) == 0 && json_get(doc, "error") != NULL)
		(void)read_error("device authorization", doc, why);
	else
		(void)oidc_why(why, OIDC_END_PROVIDER, 0, "device authorization: HTTP status %ld",
		    reply->status);
	json_node_free(doc);
	return ERR_DENIED;
}

int
oidc_device_start(const struct oidc_conf *conf, struct oidc_http *http,
    const struct oidc_provider *provider, const struct oidc_hints *hints,
    struct oidc_device *ret_device, struct oidc_why *why)
{
	bool tell = conf->hints;
	char binding[512];
	struct oidc_field fields[] = {
		{ "scope", conf->scopes },
		{ "nonce", hints->nonce },
		{ "login_hint", tell && hints->person[0] != '\0' ? hints->person : NULL },
		{ "binding_message", tell ? binding : NULL },
	};
	struct oidc_reply reply = { 0 };
	int r;

	(void)snprintf(binding, sizeof(binding), "%.128s%s%.128s%s%.64s",
	    hints->person[0] != '\0' ? hints->person : "somebody",
	    hints->host[0] != '\0' ? " on " : "", hints->host,
	    hints->source[0] != '\0' ? " from " : "", hints->source); /* fits */
	r = oidc_http_post(http, "device authorization", provider->device_endpoint, fields,
	    N(fields), &reply, why);
	if (r != 0)
		return r;
	if (reply.status != 200)
		r = device_refused(&reply, why);
	else
		r = oidc_read_device(conf, reply.body, reply.len, ret_device, why);
	free(reply.body);
	return r;
}

enum oidc_poll
oidc_poll(struct oidc_http *http, const struct oidc_provider *provider,
    const struct oidc_device *device, char **ret_token, struct oidc_why *why)
{
	const struct oidc_field fields[] = {
		{ "grant_type", GRANT },
		{ "device_code", device->device_code },
	};
	struct oidc_reply reply = { 0 };
	enum oidc_poll poll;
	int r =
	    oidc_http_post(http, "token", provider->token_endpoint, fields, N(fields), &reply, why);

	if (r == -ETIMEDOUT || r == ERR_PEER_GONE)
		return OIDC_POLL_TROUBLE;
	if (r != 0)
		return OIDC_POLL_OVER;
	poll = oidc_read_poll(reply.status, reply.body, reply.len, ret_token, why);
	if (reply.body != NULL)
		explicit_bzero(reply.body, reply.len);
	free(reply.body);
	return poll;
}
