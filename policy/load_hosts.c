/* Reading policy.yaml: the hosts. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net.h"
#include "lib/str.h"
#include "policy/load.h"
#include "policy/names.h"

#define KEY_NAME_MAX 64 /* bytes of a vault key's name; keys/keys_proto.h */

static int
read_host_address(struct load *l, void *obj, const struct conf_node *n)
{
	return load_string(l, n, &load_kind_label, &((struct model_host *)obj)->address);
}

static int
read_host_resolve(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_bool(n, &((struct model_host *)obj)->resolve, l->err);
}

static int
read_port(struct load *l, const struct conf_node *n, uint16_t *ret_port)
{
	uint64_t port;
	int r = conf_u64(n, 1, 65535, &port, l->err);

	if (r == 0)
		*ret_port = (uint16_t)port;
	return r;
}

static int
read_host_port(struct load *l, void *obj, const struct conf_node *n)
{
	return read_port(l, n, &((struct model_host *)obj)->port);
}

static int
read_host_ports(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;
	int r = conf_list(n, l->err);

	if (r == 0 && conf_n(n) > MODEL_PORTS_MAX)
		r = conf_fail(n, l->err, "at most %u ports", MODEL_PORTS_MAX);
	for (; r == 0 && h->n_ports < conf_n(n); h->n_ports += r == 0)
		r = read_port(l, conf_at(n, h->n_ports), &h->ports[h->n_ports]);
	return r;
}

static int
read_host_labels(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return load_labels(l, n, false, &h->labels, &h->n_labels);
}

static bool
is_vault_key(const char *s)
{
	size_t len = strlen(s);

	/* The grammar of keys/keys_proto.h; a leading dot or dash is none of a name that anybody typed. */
	return len > 0 && len <= KEY_NAME_MAX && s[0] != '.' && s[0] != '-' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		   len;
}

static int
read_host_key(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct load_kind kind = { is_vault_key, "the name of a key in the vault" };

	return load_string(l, n, &kind, &((struct model_host *)obj)->key);
}

static int
read_pins(struct load *l, const struct conf_node *n, unsigned rsa_bits, struct model_blob **ret_v,
    size_t *ret_n)
{
	struct model_blob *v;
	size_t i;
	int r = conf_list(n, l->err);

	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_PINS_MAX)
		return conf_fail(n, l->err, "at most %u keys", MODEL_PINS_MAX);
	if ((v = model_alloc(l->m, conf_n(n), sizeof(*v))) == NULL)
		return -ENOMEM;
	for (i = 0; r == 0 && i < conf_n(n); i++)
		r = load_pubkey(l, conf_at(n, i), rsa_bits, &v[i]);
	if (r == 0) {
		*ret_v = v;
		*ret_n = i;
	}
	return r;
}

static int
read_host_keys(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return read_pins(l, n, MODEL_RSA_BITS_HOST, &h->host_keys, &h->n_host_keys);
}

static int
read_host_ca(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return read_pins(l, n, l->m->rsa_bits, &h->host_cas, &h->n_host_cas);
}

static int
read_host_timeout(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_span(
	    n, 100000000ull, 120000000000ull, &((struct model_host *)obj)->connect_ns, l->err);
}

static const struct load_field host_fields[] = {
	{ "address", false, read_host_address },
	{ "resolve", false, read_host_resolve },
	{ "port", false, read_host_port },
	{ "ports", false, read_host_ports },
	{ "labels", false, read_host_labels },
	{ "key", false, read_host_key },
	{ "host_keys", false, read_host_keys },
	{ "host_ca", false, read_host_ca },
	{ "connect_timeout", false, read_host_timeout },
};

static int
read_host_name(struct load *l, struct model_host *h, const struct conf_node *n)
{
	const char *s;
	int r;

	if ((r = conf_str(n, &s, l->err)) != 0)
		return r;
	h->pattern = strpbrk(s, "*?") != NULL;
	if (h->pattern ? !load_is_host_pattern(s) : strlen(s) > MODEL_NAME_MAX || !names_is_host(s))
		return conf_fail(n, l->err,
		    "a host name of lower case letters, digits and . _ -, not only digits");
	if ((h->name = model_alloc(l->m, strlen(s) + 1, 1)) == NULL)
		return -ENOMEM;
	return str_copy(h->name, strlen(s) + 1, s);
}

/* An address is exact unless resolve says otherwise; a pattern has none, for it is many hosts. */
static int
check_host_address(struct load *l, const struct model_host *h, const struct conf_node *n)
{
	struct net_addr addr;

	if (h->pattern && h->address != NULL)
		return conf_fail(
		    conf_get(n, "address"), l->err, "no address, because the host is a pattern");
	if (h->pattern && !h->resolve)
		return conf_fail(n, l->err, "resolve: true, because the host is a pattern");
	if (h->address == NULL && !h->resolve)
		return conf_fail(n, l->err, "an address (or resolve: true)");
	if (h->address == NULL)
		return 0;
	if (!h->resolve && net_parse(h->address, &addr) != 0)
		return conf_fail(
		    conf_get(n, "address"), l->err, "an IP address (a name needs resolve: true)");
	if (h->resolve &&
	    (h->address[0] == '-' ||
		strspn(h->address, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-:") != strlen(h->address)))
		return conf_fail(conf_get(n, "address"), l->err, "a name or an IP address");
	return 0;
}

static int
read_host(struct load *l, struct model_host *h, const struct conf_node *map, size_t i)
{
	const struct conf_node *n = conf_at(map, i);
	int r;

	h->port = 22;
	h->connect_ns = MODEL_CONNECT_NS;
	if ((r = read_host_name(l, h, conf_key_node_at(map, i))) != 0 ||
	    (r = LOAD_MAP(l, n, host_fields, h)) != 0 || (r = check_host_address(l, h, n)) != 0)
		return r;
	if (h->n_host_keys + h->n_host_cas == 0 &&
	    (r = model_warn(l->m,
		 "host %s has neither host_keys nor host_ca: nobody can log in (bastionctl hosts "
		 "pin %s)",
		 h->name, h->name)) != 0)
		return r;
	if (h->key == NULL)
		return model_warn(l->m, "host %s has no key: nobody can log in", h->name);
	return 0;
}

int
load_hosts(struct load *l, void *obj, const struct conf_node *n)
{
	struct model *m = l->m;
	int r = conf_map(n, l->err);

	(void)obj;
	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_HOSTS_MAX)
		return conf_fail(n, l->err, "at most %u hosts", MODEL_HOSTS_MAX);
	if ((m->hosts = model_alloc(m, conf_n(n), sizeof(*m->hosts))) == NULL)
		return -ENOMEM;
	for (; r == 0 && m->n_hosts < conf_n(n); m->n_hosts += r == 0)
		r = read_host(l, &m->hosts[m->n_hosts], n, m->n_hosts);
	return r;
}
