/* One table of keys; what a value may be is decided by its row. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "bastiond/auth/oidc_conf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define S_NS CLOCK_NS_PER_S
#define N(a) (sizeof(a) / sizeof((a)[0]))
#define CONF_MAX 65536u /* bytes of the file */

struct load {
	struct oidc_conf *c;
	struct conf_err *err;
};

struct key {
	const char *name;
	bool required;
	int (*take)(struct load *l, const struct key *k, const struct conf_node *n);
	size_t at; /* of the value in struct oidc_conf */
	uint64_t min, max;
};

static void *
place(const struct load *l, const struct key *k)
{
	return (char *)l->c + k->at;
}

static bool
is_host(const char *rest, const char *host)
{
	size_t len = strlen(host);

	return strncmp(rest, host, len) == 0 && strchr(":/?", rest[len]) != NULL;
}

/* A host of letters and so on; user@ would show one host and mean another. */
static bool
has_host(const char *rest)
{
	size_t len = strcspn(rest, "/?");

	return len > 0 && rest[0] != ':' && memchr(rest, '@', len) == NULL &&
	       memchr(rest, '\\', len) == NULL;
}

bool
oidc_url_ok(const char *url, bool allow_http)
{
	if (strlen(url) >= OIDC_URL_SIZE)
		return false;
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f || strchr("\"<>\\^`{|}#", *p) != NULL)
			return false;
	if (str_starts(url, "https://"))
		return has_host(url + 8);
	return allow_http && str_starts(url, "http://") && has_host(url + 7) &&
	       (is_host(url + 7, "localhost") || is_host(url + 7, "127.0.0.1") ||
		   is_host(url + 7, "[::1]"));
}

/* Printable ASCII without a space, not empty. */
static int
take_word(struct load *l, const struct key *k, const struct conf_node *n)
{
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r != 0)
		return r;
	for (const char *p = s; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return conf_fail(n, l->err, "printable ASCII without spaces");
	if (s[0] == '\0' || str_copy(place(l, k), k->max, s) != 0)
		return conf_fail(n, l->err, "1 to %u characters", (unsigned)k->max - 1);
	return 0;
}

/* Which schemes are fine depends on allow_http, which may come later: see check(). */
static int
take_url(struct load *l, const struct key *k, const struct conf_node *n)
{
	int r = take_word(l, k, n);

	if (r == 0 && !oidc_url_ok(place(l, k), true))
		r = conf_fail(n, l->err, "an https URL");
	return r;
}

static int
take_issuer(struct load *l, const struct key *k, const struct conf_node *n)
{
	int r = take_url(l, k, n);

	if (r == 0 && strchr(l->c->issuer, '?') != NULL)
		r = conf_fail(n, l->err, "an issuer, which has no query");
	return r;
}

static int
take_proxy(struct load *l, const struct key *k, const struct conf_node *n)
{
	int r = take_word(l, k, n);

	if (r == 0 && !str_starts(l->c->proxy, "http://") && !str_starts(l->c->proxy, "https://"))
		r = conf_fail(n, l->err, "http://HOST:PORT or https://HOST:PORT");
	return r;
}

static int
take_path(struct load *l, const struct key *k, const struct conf_node *n)
{
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r == 0 && (s[0] == '\0' || file_relative(l->c->file, s, place(l, k), PATH_MAX) != 0))
		r = conf_fail(n, l->err, "a path");
	return r;
}

static int
take_bool(struct load *l, const struct key *k, const struct conf_node *n)
{
	return conf_bool(n, place(l, k), l->err);
}

static int
take_span(struct load *l, const struct key *k, const struct conf_node *n)
{
	return conf_span(n, k->min, k->max, place(l, k), l->err);
}

static int
take_number(struct load *l, const struct key *k, const struct conf_node *n)
{
	return conf_u64(n, k->min, k->max, place(l, k), l->err);
}

static int
take_client(struct load *l, const struct key *k, const struct conf_node *n)
{
	static const char *const names[] = { "client_secret_basic", "client_secret_post" };
	size_t i;
	int r = conf_choice(n, names, N(names), &i, l->err);

	(void)k;
	if (r == 0)
		l->c->client = i == 0 ? OIDC_SECRET_BASIC : OIDC_SECRET_POST;
	return r;
}

/* A list of words, joined with spaces as they travel (RFC 6749 section 3.3). */
static int
take_scopes(struct load *l, const struct key *k, const struct conf_node *n)
{
	int r = conf_list(n, l->err);
	bool openid = false;
	size_t at = 0;

	(void)k;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const char *s;

		if ((r = conf_str(conf_at(n, i), &s, l->err)) != 0)
			break;
		for (const char *p = s; *p != '\0'; p++)
			if (*p <= 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
				return conf_fail(conf_at(n, i), l->err, "a scope");
		openid = openid || strcmp(s, "openid") == 0;
		if (s[0] == '\0' || str_format(l->c->scopes + at, sizeof(l->c->scopes) - at, "%s%s",
					at > 0 ? " " : "", s) != 0)
			return conf_fail(conf_at(n, i), l->err, "a scope, all of them in %u bytes",
			    OIDC_SCOPES_SIZE - 1);
		at = strlen(l->c->scopes);
	}
	if (r == 0 && !openid)
		r = conf_fail(n, l->err, "a list with openid in it");
	return r;
}

static int
require_value(struct load *l, struct oidc_require *q, const struct conf_node *n)
{
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r == 0 && (s[0] == '\0' || str_copy(q->values[q->n_values], OIDC_WORD_SIZE, s) != 0))
		r = conf_fail(n, l->err, "1 to %u characters", OIDC_WORD_SIZE - 1);
	q->n_values++;
	return r;
}

static int
require_claim(struct load *l, struct oidc_require *q, const char *claim, const struct conf_node *n)
{
	int r = 0;

	if (str_copy(q->claim, sizeof(q->claim), claim) != 0)
		return conf_fail(
		    n, l->err, "a claim's name of 1 to %u characters", OIDC_WORD_SIZE - 1);
	if (conf_node_type(n) == CONF_SCALAR)
		return require_value(l, q, n);
	if ((r = conf_list(n, l->err)) == 0 && (conf_n(n) == 0 || conf_n(n) > OIDC_VALUES_MAX))
		r = conf_fail(n, l->err, "a value, or a list of 1 to %u", OIDC_VALUES_MAX);
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = require_value(l, q, conf_at(n, i));
	return r;
}

static int
take_require(struct load *l, const struct key *k, const struct conf_node *n)
{
	int r = conf_map(n, l->err);

	(void)k;
	if (r == 0 && conf_n(n) > OIDC_REQUIRE_MAX)
		r = conf_fail(n, l->err, "at most %u claims", OIDC_REQUIRE_MAX);
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = require_claim(
		    l, &l->c->require[l->c->n_require++], conf_key_at(n, i), conf_at(n, i));
	return r;
}

static int take_limits(struct load *l, const struct key *k, const struct conf_node *n);

#define AT(field) offsetof(struct oidc_conf, field)
static const struct key keys[] = {
	{ "issuer", true, take_issuer, AT(issuer), 0, OIDC_URL_SIZE },
	{ "client_id", true, take_word, AT(client_id), 0, OIDC_WORD_SIZE },
	{ "client_secret_file", false, take_path, AT(secret_file), 0, 0 },
	{ "client_auth", false, take_client, AT(client), 0, 0 },
	{ "ca_file", false, take_path, AT(ca_file), 0, 0 },
	{ "proxy", false, take_proxy, AT(proxy), 0, OIDC_URL_SIZE },
	{ "state", true, take_path, AT(state), 0, 0 },
	{ "scopes", false, take_scopes, AT(scopes), 0, 0 },
	{ "identity_claim", false, take_word, AT(identity_claim), 0, OIDC_WORD_SIZE },
	{ "strip_domain", false, take_word, AT(strip_domain), 0, OIDC_WORD_SIZE },
	{ "groups_claim", false, take_word, AT(groups_claim), 0, OIDC_WORD_SIZE },
	{ "require", false, take_require, 0, 0, 0 },
	{ "require_email_verified", false, take_bool, AT(require_email_verified), 0, 0 },
	{ "leeway", false, take_span, AT(leeway_ns), 0, 300 * S_NS },
	{ "timeout", false, take_span, AT(timeout_ns), S_NS, 60 * S_NS },
	{ "cache_age", false, take_span, AT(cache_age_ns), 0, 7 * 86400 * S_NS },
	{ "limits", false, take_limits, 0, 0, 0 },
	{ "confirm", false, take_bool, AT(confirm), 0, 0 },
	{ "nonce", false, take_bool, AT(nonce), 0, 0 },
	{ "hints", false, take_bool, AT(hints), 0, 0 },
	{ "allow_http", false, take_bool, AT(allow_http), 0, 0 },
};
static const struct key limits_keys[] = {
	{ "per_source", false, take_number, AT(per_source), 1, 1000 },
	{ "per_person", false, take_number, AT(per_person), 1, 1000 },
};

static int
take_map(struct load *l, const struct key *table, size_t n_table, const struct conf_node *map)
{
	struct conf_key names[N(keys)];
	int r;

	for (size_t i = 0; i < n_table; i++)
		names[i] = (struct conf_key){ table[i].name, table[i].required };
	r = conf_check_map(map, names, n_table, l->err);
	for (size_t i = 0; r == 0 && i < n_table; i++) {
		const struct conf_node *n = conf_get(map, table[i].name);

		if (n != NULL)
			r = table[i].take(l, &table[i], n);
	}
	return r;
}

static int
take_limits(struct load *l, const struct key *k, const struct conf_node *n)
{
	(void)k;
	return take_map(l, limits_keys, N(limits_keys), n);
}

/* What takes two keys to judge. */
static int
check(struct load *l, const struct conf_node *root)
{
	struct oidc_conf *c = l->c;

	if (!oidc_url_ok(c->issuer, c->allow_http))
		return conf_fail(conf_get(root, "issuer"), l->err, "an https URL");
	if (c->secret_file[0] == '\0' && conf_get(root, "client_auth") != NULL)
		return conf_fail(conf_get(root, "client_auth"), l->err, "client_secret_file, too");
	if (c->secret_file[0] == '\0')
		c->client = OIDC_PUBLIC;
	/* An address of somebody's own making proves nothing. */
	if (strcmp(c->identity_claim, "email") == 0 && !c->require_email_verified &&
	    conf_get(root, "require_email_verified") == NULL)
		return conf_fail(conf_get(root, "identity_claim"), l->err,
		    "require_email_verified (true or, knowingly, false) with email");
	return 0;
}

static void
defaults(struct oidc_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->client = OIDC_SECRET_BASIC;
	(void)snprintf(
	    c->identity_claim, sizeof(c->identity_claim), "preferred_username"); /* fits */
	c->leeway_ns = 60 * S_NS;
	c->timeout_ns = 10 * S_NS;
	c->cache_age_ns = 86400 * S_NS;
	c->per_source = 3;
	c->per_person = 10;
	c->hints = true;
}

int
oidc_conf_parse(const char *path, const char *data, size_t len, struct oidc_conf *ret_conf,
    struct conf_err *ret_err)
{
	struct oidc_conf *c = calloc(1, sizeof(*c));
	struct load l = { c, ret_err };
	struct conf_doc *doc = NULL;
	int r = -ENOMEM;

	if (c == NULL)
		return r;
	defaults(c);
	if ((r = str_copy(c->file, sizeof(c->file), path)) != 0 ||
	    (r = conf_parse(path, data, len, &doc, ret_err)) != 0)
		goto out;
	r = ERR_FORMAT;
	if (conf_root(doc) == NULL) {
		(void)snprintf(ret_err->text, sizeof(ret_err->text), "%.256s: empty", path);
		goto out; /* cut is fine */
	}
	if ((r = take_map(&l, keys, N(keys), conf_root(doc))) != 0 ||
	    (r = check(&l, conf_root(doc))) != 0)
		goto out;
	if (c->scopes[0] == '\0')
		r = str_copy(c->scopes, sizeof(c->scopes), "openid profile");
	if (r == 0)
		*ret_conf = *c;
out:
	conf_free(doc);
	free(c);
	return r;
}

/* Nobody but its owner may read it, and its owner is us or root. */
static int
secret_open(const char *path, int *ret_fd, struct conf_err *ret_err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *wrong = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		int r = -errno;

		(void)snprintf(
		    ret_err->text, sizeof(ret_err->text), "%.256s: %s", path, err_str(r));
		fd_close(&fd);
		return r;
	}
	if (!S_ISREG(st.st_mode))
		wrong = "not a regular file";
	else if ((st.st_mode & 077) != 0)
		wrong = "others may read it: chmod 0600";
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		wrong = "belongs to somebody else";
	if (wrong != NULL) {
		(void)snprintf(ret_err->text, sizeof(ret_err->text), "%.256s: %s", path, wrong);
		fd_close(&fd);
		return ERR_DENIED;
	}
	*ret_fd = fd;
	return 0;
}

static int
secret_read(struct oidc_conf *c, struct conf_err *ret_err)
{
	char *data = NULL;
	size_t len = 0, all = 0;
	int fd = -1, r;

	if ((r = secret_open(c->secret_file, &fd, ret_err)) != 0)
		return r;
	r = file_read_fd(fd, OIDC_SECRET_MAX, &data, &len);
	fd_close(&fd);
	all = len;
	while (r == 0 && len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	if (r == 0 && (len == 0 || memchr(data, '\0', len) != NULL))
		r = ERR_FORMAT;
	if (r == 0 && (r = secret_init()) == 0)
		/* with its NUL, for libcurl */
		c->secret = secret_new(len + 1);
	if (r == 0 && c->secret == NULL)
		r = -ENOMEM;
	if (r == 0)
		memcpy(secret_ptr(c->secret), data, len);
	else
		(void)snprintf(
		    ret_err->text, sizeof(ret_err->text), "%.256s: %s", c->secret_file, err_str(r));
	if (data != NULL)
		sodium_memzero(data, all);
	free(data);
	return r;
}

int
oidc_conf_read(const char *path, struct oidc_conf *ret_conf, struct conf_err *ret_err)
{
	char *data = NULL;
	size_t len;
	int r = file_read(path, CONF_MAX, &data, &len);

	if (r != 0) {
		(void)snprintf(
		    ret_err->text, sizeof(ret_err->text), "%.256s: %s", path, err_str(r));
		return r;
	}
	(void)snprintf(ret_err->text, sizeof(ret_err->text), "%.256s: out of memory", path);
	if ((r = oidc_conf_parse(path, data, len, ret_conf, ret_err)) == 0 &&
	    ret_conf->secret_file[0] != '\0' && (r = secret_read(ret_conf, ret_err)) != 0)
		oidc_conf_done(ret_conf);
	free(data);
	return r;
}

void
oidc_conf_done(struct oidc_conf *conf)
{
	secret_free(conf->secret);
	conf->secret = NULL;
}
