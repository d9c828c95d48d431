/* Hosts, the person, and why, as JSON. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "policy/shell_answer.h"

#define HOST_JSON_MAX (256u * 1024u) /* bytes of one host */
#define LABELS_TEXT_SIZE 256u	     /* bytes of all labels in one line; more is cut */

static struct json *
rights_json(unsigned rights)
{
	struct json *list = json_list();

	for (unsigned bit = 1; bit != 0 && bit <= MODEL_ALL_RIGHTS; bit <<= 1)
		if ((rights & bit) != 0)
			json_put_str(list, NULL, model_right_name(bit));
	return list;
}

static struct json *
labels_json(const struct model_host *h, char *text, size_t size)
{
	struct json *j = json_map();
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < h->n_labels; i++) {
		const struct model_label *l = &h->labels[i];
		const char *value = l->values.n > 0 ? l->values.v[0] : "";
		int n;

		json_put_str(j, l->key, value);
		if (at >= size)
			continue;
		n = snprintf(text + at, size - at, "%s%s=%s", at > 0 ? " " : "", l->key, value);
		at += n > 0 ? (size_t)n : 0;
	}
	return j;
}

static struct json *
logins_json(const struct access_login *v, size_t n)
{
	struct json *list = json_list();

	for (size_t i = 0; i < n; i++) {
		struct json *one = json_map();

		json_put_str(one, "login", v[i].login);
		json_put(one, "rights", rights_json(v[i].rights));
		json_put(list, NULL, one);
	}
	return list;
}

int
shell_answer_host(const struct model *m, const struct model_host *h, const struct model_user *user,
    const struct access_person *who, struct buf *list)
{
	struct access_login logins[ACCESS_LOGINS_MAX];
	char labels[LABELS_TEXT_SIZE], *text = NULL;
	struct json *j;
	size_t n, len = 0;
	int r;

	if (access_unreachable(m, user, h, h->name, h->port, who) != NULL)
		return 0;
	n = access_logins(m, user, h, h->name, who, logins);
	j = json_map();
	json_put_str(j, "host", h->name);
	json_put_u64(j, "port", h->port);
	json_put(j, "logins", logins_json(logins, n));
	json_put(j, "labels", labels_json(h, labels, sizeof(labels)));
	json_put_str(j, "labels_text", labels);
	if ((r = json_text(j, false, HOST_JSON_MAX, &text, &len)) == 0 &&
	    (r = buf_put(list, buf_len(list) == 0 ? "[" : ",", 1)) == 0)
		r = buf_put(list, text, len);
	free(text);
	json_free(j);
	return r;
}

static void
put_cert(struct json *j, const struct credential *c)
{
	json_put_bytes(j, "key_id", c->cert->key_id, strlen(c->cert->key_id), 256);
	json_put_u64(j, "serial", c->cert->serial);
	json_put_str(j, "ca", c->ca_fingerprint);
	if (c->cert->valid_before < UINT64_MAX / CLOCK_NS_PER_S)
		json_put_time(j, "valid_until", c->cert->valid_before * CLOCK_NS_PER_S);
	else
		json_put_null(j, "valid_until");
}

/* The first key or certificate, and with what else they got in. */
static struct json *
credential_json(const struct proof *proof, const struct pass *pass)
{
	const struct credential *c = proof_credential(proof, 0);
	char methods[PASS_METHODS_SIZE];
	struct json *j = json_map();

	json_put_str(j, "type", c == NULL ? "pam" : c->cert != NULL ? "certificate" : "key");
	json_put_str(j, "fingerprint", c != NULL ? c->fingerprint : NULL);
	if (c != NULL && c->cert != NULL)
		put_cert(j, c);
	json_put_str(j, "methods", pass_methods(pass, methods));
	json_put_str(j, "subject", pass->subject[0] != '\0' ? pass->subject : NULL);
	return j;
}

struct json *
shell_answer_whoami(const struct model_user *user, const struct proof *proof,
    const struct pass *pass, const char *source)
{
	struct json *j = json_map(), *groups = json_list();

	json_put_str(j, "identity", user->name);
	for (size_t i = 0; i < user->groups.n; i++)
		json_put_str(groups, NULL, user->groups.v[i]);
	json_put(j, "groups", groups);
	json_put(j, "credential", credential_json(proof, pass));
	json_put_str(j, "source", source);
	return j;
}

struct json *
shell_answer_explain(const struct access *a, const struct model_user *user,
    const struct access_person *who, const char *target, const char *denied)
{
	struct json *j = json_map();
	char source[NET_TEXT_SIZE];
	bool allowed = a->outcome != ACCESS_DENIED;

	net_text(source, sizeof(source), &who->source);
	json_put_bool(j, "allowed", allowed);
	json_put_str(j, "identity", user->name);
	json_put_str(j, "source", source);
	json_put_time(j, "at", who->now_ns);
	if (!allowed) {
		json_put_bytes(j, "host", target, strlen(target), 256);
		json_put_str(j, "text", denied);
		return j;
	}
	json_put_str(j, "login", a->outcome != ACCESS_SAY ? a->login : NULL);
	json_put_str(j, "host", a->host_name);
	json_put_str(j, "address", a->host->address != NULL ? a->host->address : a->host_name);
	json_put_u64(j, "port", a->port);
	json_put_str(j, "rule", a->rule != NULL ? a->rule->name : NULL);
	json_put_str(j, "text", a->outcome == ACCESS_SAY ? a->line : NULL);
	json_put(j, "may", rights_json(a->outcome == ACCESS_SAY ? 0 : a->rights));
	json_put_bool(j, "mfa", a->mfa);
	return j;
}

int
shell_answer_target(
    const char *identity, const char *target, struct names *ret_names, char *ret_hint)
{
	char name[2 * NAMES_FIELD_SIZE + 8];
	struct names n;
	char *sep;
	int r = str_format(name, sizeof(name), "%s+%s", identity, target);

	if (r != 0)
		name[NAMES_MAX] = '\0'; /* too long for a name all the same */
	/* "root@web1", as it would be written elsewhere. */
	sep = strrchr(name + strlen(identity), '@');
	if (sep != NULL && strchr(target, '+') == NULL)
		*sep = '+';
	if ((r = names_parse(name, strlen(name), &n, ret_hint)) != 0)
		return r;
	if (n.form == NAMES_NO_HOST || strcmp(n.first, identity) != 0) {
		(void)snprintf(
		    ret_hint, NAMES_HINT_SIZE, "name a host, for example web1 or root+web1");
		return ERR_FORMAT;
	}
	*ret_names = n;
	return 0;
}
