/* STATE/keys-HASH.json: {"issuer", "jwks_uri", "fetched_at": seconds, "jwks": {...}}, replaced whole. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "bastiond/auth/oidc_jwk.h"
#include "bastiond/auth/oidc_keys.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/str.h"

#define FILE_MAX (4 * OIDC_BODY_MAX) /* bytes: escapes make text longer */
#define WARN_SIZE 512u

struct keys {
	const struct oidc_conf *conf;
	const char *uri;
	struct json_node *doc;	      /* owned; NULL: none */
	const struct json_node *jwks; /* in doc */
	uint64_t age_s;		      /* of doc */
};

static void
keys_done(struct keys *k)
{
	json_node_free(k->doc);
	k->doc = NULL;
	k->jwks = NULL;
}

int
oidc_state_check(const struct oidc_conf *conf, struct oidc_why *why)
{
	struct stat st;
	int r = file_mkdir(conf->state, 0700);

	if (r == 0 && stat(conf->state, &st) != 0)
		r = -errno;
	if (r != 0)
		return oidc_why(why, OIDC_END_SETUP, r, "state: %s: %s", conf->state, err_str(r));
	if ((st.st_mode & 022) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
		return oidc_why(why, OIDC_END_SETUP, ERR_DENIED,
		    "state: %s: others may write there: it must be ours, mode 0700", conf->state);
	return 0;
}

/* One file for each issuer: configurations may share a folder. */
static int
keys_path(const struct oidc_conf *conf, char *dst, size_t size)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * 8 + 1];

	/* Not lib/hash.h, which keeps something for as long as the program runs: modules are unloaded. */
	(void)crypto_hash_sha256(hash, (const uint8_t *)conf->issuer, strlen(conf->issuer));
	return str_format(dst, size, "%s/keys-%s.json", conf->state, str_hex(hex, hash, 8));
}

/* What was kept, when it is ours, whole, and of this provider. */
static int
keys_load(struct keys *k)
{
	char path[PATH_MAX], *data = NULL;
	struct json_node *doc = NULL;
	uint64_t at, now = clock_wall_ns() / CLOCK_NS_PER_S;
	struct stat st;
	size_t len;
	int fd = -1, r;

	if ((r = keys_path(k->conf, path, sizeof(path))) != 0)
		return r;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return -errno;
	r = ERR_DENIED;
	if (fstat(fd, &st) != 0 || (st.st_mode & 077) != 0 ||
	    (st.st_uid != 0 && st.st_uid != geteuid()))
		goto out;
	if ((r = file_read_fd(fd, FILE_MAX, &data, &len)) != 0 ||
	    (r = json_parse(data, len, &doc)) != 0)
		goto out;
	at = json_u64(json_get(doc, "fetched_at"), UINT64_MAX);
	r = ERR_FORMAT;
	if (strcmp(json_str(json_get(doc, "issuer"), ""), k->conf->issuer) != 0 ||
	    strcmp(json_str(json_get(doc, "jwks_uri"), ""), k->uri) != 0 || at > now)
		goto out;
	keys_done(k);
	k->doc = doc;
	k->jwks = json_get(doc, "jwks");
	k->age_s = now - at;
	doc = NULL;
	r = 0;
out:
	json_node_free(doc);
	free(data);
	fd_close(&fd);
	return r;
}

static int
keys_store(const struct keys *k)
{
	struct json *j = json_map();
	char path[PATH_MAX], *text = NULL;
	size_t len;
	int r;

	json_put_str(j, "issuer", k->conf->issuer);
	json_put_str(j, "jwks_uri", k->uri);
	json_put_u64(j, "fetched_at", clock_wall_ns() / CLOCK_NS_PER_S);
	json_put_node(j, "jwks", k->jwks);
	if ((r = keys_path(k->conf, path, sizeof(path))) == 0 &&
	    (r = json_text(j, false, FILE_MAX, &text, &len)) == 0)
		r = file_replace(path, 0600, text, len);
	free(text);
	json_free(j);
	return r;
}

static int
keys_fetch(struct keys *k, struct oidc_http *http, char *ret_warn, struct oidc_why *why)
{
	struct oidc_reply reply = { 0 };
	struct json_node *doc = NULL;
	int r = oidc_http_get(http, "keys", k->uri, &reply, why);

	if (r != 0)
		return r;
	if (reply.status != 200)
		r = oidc_why(why, OIDC_END_UNREACHABLE, ERR_PEER_GONE, "keys: HTTP status %ld",
		    reply.status);
	else if (json_parse(reply.body, reply.len, &doc) != 0 ||
		 !json_is_list(json_get(doc, "keys")))
		r = oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT, "keys: not a set of keys");
	if (r == 0) {
		keys_done(k);
		k->doc = doc;
		k->jwks = doc;
		k->age_s = 0;
		doc = NULL;
		r = keys_store(k);
		if (r != 0)
			(void)snprintf(ret_warn, WARN_SIZE,
			    "the provider's keys are not kept: %.256s: %s", k->conf->state,
			    err_str(r));
		r = 0;
	}
	json_node_free(doc);
	free(reply.body);
	return r;
}

int
oidc_keys_verify(const struct oidc_conf *conf, struct oidc_http *http, const char *jwks_uri,
    struct oidc_jwt *jwt, char *ret_warn, struct oidc_why *why)
{
	struct keys k = { .conf = conf, .uri = jwks_uri };
	int r;

	ret_warn[0] = '\0';
	/* None, or none that may be used: the provider has them. */
	if (keys_load(&k) != 0)
		keys_done(&k);
	if (k.doc == NULL || k.age_s >= OIDC_KEYS_FRESH_S) {
		bool may = k.doc != NULL && k.age_s * CLOCK_NS_PER_S < conf->cache_age_ns;

		if ((r = keys_fetch(&k, http, ret_warn, why)) != 0 && !may)
			goto out;
		if (r != 0)
			(void)snprintf(ret_warn, WARN_SIZE, "%.400s; keys of %llu s ago are used",
			    why->text, (unsigned long long)k.age_s);
	}
	r = oidc_jwk_verify(k.jwks, jwt, why);
	if (r == ERR_NOT_FOUND && k.age_s >= OIDC_KEYS_AGAIN_S &&
	    (r = keys_fetch(&k, http, ret_warn, why)) == 0)
		r = oidc_jwk_verify(k.jwks, jwt, why);
out:
	keys_done(&k);
	return r;
}
