/* Certificates and revocation lists for tools: the readers that logins go through. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "policy/cert.h"
#include "policy/krl.h"
#include "policy/policy.h"

#define TEXT_MAX 40000u /* bytes of one text of a certificate */
#define V4_BITS 96u	/* of a prefix of an IPv4 network, before its own */

static const struct {
	enum cert_permit permit;
	const char *name;
} permits[] = {
	{ CERT_PERMIT_X11_FORWARDING, "permit-X11-forwarding" },
	{ CERT_PERMIT_AGENT_FORWARDING, "permit-agent-forwarding" },
	{ CERT_PERMIT_PORT_FORWARDING, "permit-port-forwarding" },
	{ CERT_PERMIT_PTY, "permit-pty" },
	{ CERT_PERMIT_USER_RC, "permit-user-rc" },
	{ CERT_NO_TOUCH_REQUIRED, "no-touch-required" },
};

static void
put_fingerprint(struct json *j, const char *key, const uint8_t *blob, size_t len)
{
	char text[HASH_FINGERPRINT_SIZE];

	hash_fingerprint(text, blob, len);
	json_put_str(j, key, text);
}

static void
put_principals(struct json *j, const struct cert *c)
{
	struct json *list = json_list();

	for (size_t i = 0; i < c->n_principals; i++)
		json_put_bytes(list, NULL, c->principals[i], strlen(c->principals[i]), TEXT_MAX);
	json_put(j, "principals", list);
}

/* The moment for people; null where the end is not there, or beyond what a date can say. */
static void
put_moment(struct json *j, const char *key, const char *key_s, uint64_t s, uint64_t never)
{
	json_put_u64(j, key_s, s);
	if (s == never || s > UINT64_MAX / CLOCK_NS_PER_S)
		json_put_null(j, key);
	else
		json_put_time(j, key, s * CLOCK_NS_PER_S);
}

/* One address without a length, as people write it. */
static struct json *
sources_json(const struct cert *c)
{
	struct json *list = json_list();

	for (size_t i = 0; i < c->n_sources; i++) {
		const struct net_prefix *p = &c->sources[i];
		char address[NET_TEXT_SIZE], text[NET_TEXT_SIZE + 8];
		bool v4 = net_is_v4(&p->addr) && p->bits >= V4_BITS;

		net_text(address, sizeof(address), &p->addr);
		if (p->bits == 128)
			(void)snprintf(text, sizeof(text), "%s", address);
		else
			(void)snprintf(
			    text, sizeof(text), "%s/%u", address, v4 ? p->bits - V4_BITS : p->bits);
		json_put_str(list, NULL, text);
	}
	return list;
}

static void
put_options(struct json *j, const struct cert *c)
{
	struct json *critical = json_map(), *list = json_list();

	if (c->force_command != NULL)
		json_put_bytes(critical, "force-command", c->force_command,
		    strlen(c->force_command), TEXT_MAX);
	if (c->has_sources)
		json_put(critical, "source-address", sources_json(c));
	if (c->verify_required)
		json_put_bool(critical, "verify-required", true);
	json_put(j, "critical_options", critical);
	for (size_t i = 0; i < sizeof(permits) / sizeof(permits[0]); i++)
		if ((c->permits & permits[i].permit) != 0)
			json_put_str(list, NULL, permits[i].name);
	json_put(j, "extensions", list);
}

int
policy_cert_json(const uint8_t *blob, size_t len, struct json **ret_json, const char **ret_why)
{
	const char *why = "malformed";
	struct cert *c = NULL;
	struct json *j;
	int r = cert_parse(blob, len, &c, &why);

	if (r != 0) {
		*ret_why = why;
		return r == -ENOMEM ? r : ERR_FORMAT;
	}
	j = json_map();
	json_put_str(j, "kind", c->type == CERT_HOST ? "host" : "user");
	json_put_str(j, "type", c->blob_type);
	put_fingerprint(j, "public_key", c->key_blob, c->key_blob_len);
	put_fingerprint(j, "ca", c->ca_blob, c->ca_blob_len);
	json_put_bytes(j, "key_id", c->key_id, strlen(c->key_id), TEXT_MAX);
	json_put_u64(j, "serial", c->serial);
	put_principals(j, c);
	put_moment(j, "valid_after", "valid_after_s", c->valid_after, 0);
	put_moment(j, "valid_before", "valid_before_s", c->valid_before, UINT64_MAX);
	put_options(j, c);
	cert_free(c);
	*ret_json = j;
	return 0;
}

/* struct policy_krl is a struct krl under another name. */

int
policy_krl_parse(const uint8_t *data, size_t len, struct policy_krl **ret_krl, const char **ret_why)
{
	struct krl *k = NULL;
	int r = krl_parse(data, len, &k, ret_why);

	if (r == 0)
		*ret_krl = (struct policy_krl *)k;
	return r;
}

void
policy_krl_free(struct policy_krl *k)
{
	krl_free((struct krl *)k);
}

const char *
policy_krl_asks(const struct policy_krl *k, const uint8_t *blob, size_t len)
{
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	const char *by;

	if (cert_parse(blob, len, &c, NULL) == 0) {
		struct krl_cert kc = { c->ca_blob, c->ca_blob_len, c->serial, c->key_id };

		by = krl_revoked((const struct krl *)k, c->key_blob, c->key_blob_len, &kc);
		cert_free(c);
		return by;
	}
	if (sshkey_parse(blob, len, &key) != 0)
		return "malformed";
	sshkey_free(key);
	return krl_revoked((const struct krl *)k, blob, len, NULL);
}

int
policy_krl_revoke(const uint8_t *data, size_t len, uint64_t now_s, const uint8_t *blob,
    size_t blob_len, struct buf *ret_list)
{
	struct krl_change change = { .key_blob = blob, .key_blob_len = blob_len };
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	int r;

	if (blob == NULL)
		return krl_extend(data, len, now_s, NULL, 0, ret_list);
	if ((r = cert_parse(blob, blob_len, &c, NULL)) == -ENOMEM)
		return r;
	if (r == 0) {
		change = (struct krl_change){ .ca_blob = c->ca_blob,
			.ca_blob_len = c->ca_blob_len,
			.low = c->serial,
			.high = c->serial };
		if (c->serial == 0)
			change.key_id = c->key_id;
	} else if (sshkey_parse(blob, blob_len, &key) != 0) {
		return ERR_FORMAT;
	}
	sshkey_free(key);
	r = krl_extend(data, len, now_s, &change, 1, ret_list);
	cert_free(c);
	return r;
}
