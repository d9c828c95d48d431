/* Reading policy.yaml: the values that stand in more than one place of it, and maps by tables. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/load.h"
#include "policy/names.h"

int
load_map(struct load *l, const struct conf_node *n, const struct load_field *fields,
    size_t n_fields, void *obj)
{
	struct conf_key keys[LOAD_FIELDS_MAX] = { 0 };
	int r;

	assert(n_fields <= LOAD_FIELDS_MAX);
	for (size_t i = 0; i < n_fields; i++)
		keys[i] = (struct conf_key){ fields[i].name, fields[i].required };
	r = conf_check_map(n, keys, n_fields, l->err);
	for (size_t i = 0; r == 0 && i < n_fields; i++) {
		const struct conf_node *value = conf_get(n, fields[i].name);

		if (value != NULL)
			r = fields[i].read(l, obj, value);
	}
	return r;
}

int
load_unsupported(struct load *l, void *obj, const struct conf_node *n)
{
	(void)obj;
	return conf_fail(n, l->err, "nothing here (not supported by this version)");
}

int
load_list(struct load *l, const struct conf_node *n, size_t size, void **ret_v)
{
	int r = conf_list(n, l->err);
	void *v;

	if (r == 0 && conf_n(n) > MODEL_LIST_MAX)
		r = conf_fail(n, l->err, "at most %u entries", MODEL_LIST_MAX);
	if (r != 0)
		return r;
	if ((v = model_alloc(l->m, conf_n(n), size)) == NULL)
		return -ENOMEM;
	*ret_v = v;
	return 0;
}

static bool
is_name(const char *s)
{
	return strlen(s) <= MODEL_NAME_MAX && names_is_user(s);
}

static bool
is_principal(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX;
}

static bool
is_label(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX;
}

bool
load_is_host_pattern(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-*?") == strlen(s);
}

const struct load_kind load_kind_name = { is_name, "a name of letters, digits and . _ - @" };
const struct load_kind load_kind_principal = { is_principal, "a principal of 1 to 255 bytes" };
const struct load_kind load_kind_label = { is_label, "text of 1 to 255 bytes" };

int
load_string(
    struct load *l, const struct conf_node *n, const struct load_kind *kind, const char **ret_s)
{
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r == 0 && !kind->ok(s))
		r = conf_fail(n, l->err, "%s", kind->expected);
	if (r == 0)
		*ret_s = s;
	return r;
}

int
load_strings(struct load *l, const struct conf_node *n, const struct load_kind *kind,
    struct model_strings *to)
{
	void *v;
	int r = load_list(l, n, sizeof(const char *), &v);

	if (r != 0)
		return r;
	to->v = v;
	for (to->n = 0; r == 0 && to->n < conf_n(n); to->n += r == 0)
		r = load_string(l, conf_at(n, to->n), kind, &to->v[to->n]);
	return r;
}

/* r: of sshkey_parse(), or 0 for a key that is too short. */
static int
fail_pubkey(
    struct load *l, const struct conf_node *n, unsigned rsa_bits, const struct sshkey *key, int r)
{
	if (r == -ENOMEM)
		return r;
	if (r == ERR_LIMIT)
		return conf_fail(n, l->err, "an RSA key of %u to %u bits, this one is out of that",
		    rsa_bits, SSHKEY_RSA_BITS_MAX);
	if (r != 0)
		return conf_fail(
		    n, l->err, "an OpenSSH public key, \"ssh-ed25519 AAAA...\" (%s)", err_str(r));
	return conf_fail(n, l->err, "an RSA key of at least %u bits, this one has %u%s", rsa_bits,
	    sshkey_bits(key),
	    sshkey_bits(key) >= MODEL_RSA_BITS_COMPAT ? " (compat: [rsa-2048] takes it)" : "");
}

int
load_pubkey(struct load *l, const struct conf_node *n, unsigned rsa_bits, struct model_blob *to)
{
	const char *line;
	struct sshkey *key = NULL;
	uint8_t *blob = NULL;
	size_t len = 0;
	int r;

	if ((r = conf_str(n, &line, l->err)) != 0)
		return r;
	if ((r = sshkey_line(line, &blob, &len, NULL)) == 0)
		r = sshkey_parse(blob, len, &key);
	if (r != 0 || (sshkey_type(key) == SSHKEY_RSA && sshkey_bits(key) < rsa_bits)) {
		r = fail_pubkey(l, n, rsa_bits, key, r);
		goto out;
	}
	r = -ENOMEM;
	if ((to->p = model_alloc(l->m, len, 1)) == NULL)
		goto out;
	memcpy(to->p, blob, len);
	to->len = len;
	r = 0;
out:
	sshkey_free(key);
	free(blob);
	return r;
}

/* One value or, in a rule, a list of values that it may have. */
static int
read_label(struct load *l, struct model_label *to, const struct conf_node *map, size_t i, bool rule)
{
	const struct conf_node *n = conf_at(map, i);
	int r;

	if ((r = load_string(l, conf_key_node_at(map, i), &load_kind_label, &to->key)) != 0)
		return r;
	if (rule && conf_node_type(n) == CONF_LIST)
		return load_strings(l, n, &load_kind_label, &to->values);
	if ((to->values.v = model_alloc(l->m, 1, sizeof(const char *))) == NULL)
		return -ENOMEM;
	to->values.n = 1;
	return load_string(l, n, &load_kind_label, &to->values.v[0]);
}

int
load_labels(struct load *l, const struct conf_node *n, bool rule, struct model_label **ret_labels,
    size_t *ret_n)
{
	struct model_label *v;
	size_t i;
	int r = conf_map(n, l->err);

	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_LIST_MAX)
		return conf_fail(n, l->err, "at most %u labels", MODEL_LIST_MAX);
	if ((v = model_alloc(l->m, conf_n(n), sizeof(*v))) == NULL)
		return -ENOMEM;
	for (i = 0; r == 0 && i < conf_n(n); i++)
		r = read_label(l, &v[i], n, i, rule);
	if (r == 0) {
		*ret_labels = v;
		*ret_n = i;
	}
	return r;
}
