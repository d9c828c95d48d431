/* The loaded policy: memory, order, search. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "policy/model.h"
#include "policy/model_int.h"

#define WARNING_SIZE 256

struct model_chunk {
	struct model_chunk *next;
	max_align_t data[];
};

static const struct {
	unsigned right;
	const char *name;
} right_names[] = {
	{ MODEL_SHELL, "shell" },
	{ MODEL_EXEC, "exec" },
	{ MODEL_SFTP_READ, "sftp-read" },
	{ MODEL_SFTP_WRITE, "sftp-write" },
	{ MODEL_SCP, "scp" },
	{ MODEL_RSYNC, "rsync" },
	{ MODEL_FORWARD, "forward" },
	{ MODEL_REMOTE_FORWARD, "remote_forward" },
	{ MODEL_AGENT, "agent" },
	{ MODEL_X11, "x11" },
};

const char *
model_right_name(unsigned right)
{
	for (size_t i = 0; i < sizeof(right_names) / sizeof(right_names[0]); i++)
		if (right_names[i].right == right)
			return right_names[i].name;
	return "?";
}

size_t
model_right_index(unsigned right)
{
	size_t i = 0;

	while (i + 1 < MODEL_N_RIGHTS && right != 1u << i)
		i++;
	return i;
}

const struct model_strings *
model_limits(const struct model_rule *rule, unsigned right)
{
	return &rule->limits[model_right_index(right)];
}

bool
model_strings_has(const struct model_strings *s, const char *want)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], want) == 0)
			return true;
	return false;
}

void *
model_alloc(struct model *m, size_t n, size_t size)
{
	struct model_chunk *c;

	/* Counts come from a file of at most CONF_NODES_MAX values; no product overflows. */
	if ((c = calloc(1, sizeof(*c) + (n > 0 ? n : 1) * size)) == NULL)
		return NULL;
	c->next = m->chunks;
	m->chunks = c;
	return c->data;
}

void
model_free(struct model *m)
{
	struct model_chunk *c;

	if (m == NULL)
		return;
	while ((c = m->chunks) != NULL) {
		m->chunks = c->next;
		free(c);
	}
	conf_free(m->doc);
	free(m);
}

int
model_warn(struct model *m, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	if (m->n_warnings == MODEL_WARNINGS_MAX)
		return 0;
	if ((text = model_alloc(m, WARNING_SIZE, 1)) == NULL)
		return -ENOMEM;
	va_start(ap, fmt);
	n = vsnprintf(text, WARNING_SIZE, fmt, ap);
	va_end(ap);
	if (n > 0)
		m->warnings[m->n_warnings++] = text;
	return 0;
}

const char *
model_warning(const struct model *m, size_t i)
{
	return i < m->n_warnings ? m->warnings[i] : NULL;
}

static int
user_order(const void *a, const void *b)
{
	const struct model_user *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
host_order(const void *a, const void *b)
{
	const struct model_host *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
proof_order(const void *a, const void *b)
{
	const struct model_proof *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len > 0 ? memcmp(x->p, y->p, len) : 0;

	return order != 0 ? order : x->len < y->len ? -1 : x->len > y->len;
}

int
model_index(struct model *m)
{
	m->users_by_name = model_alloc(m, m->n_users, sizeof(const struct model_user *));
	m->hosts_by_name = model_alloc(m, m->n_hosts, sizeof(const struct model_host *));
	if (m->users_by_name == NULL || m->hosts_by_name == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_users; i++)
		m->users_by_name[i] = &m->users[i];
	for (size_t i = 0; i < m->n_hosts; i++)
		if (!m->hosts[i].pattern)
			m->hosts_by_name[m->n_named++] = &m->hosts[i];
	qsort(m->users_by_name, m->n_users, sizeof(const struct model_user *), user_order);
	qsort(m->hosts_by_name, m->n_named, sizeof(const struct model_host *), host_order);
	if (m->n_keys > 0)
		qsort(m->keys, m->n_keys, sizeof(*m->keys), proof_order);
	if (m->n_principals > 0)
		qsort(m->principals, m->n_principals, sizeof(*m->principals), proof_order);
	return 0;
}

const struct model_proof *
model_shared(const struct model_proof *v, size_t n, const struct model_user **ret_other)
{
	for (size_t i = 1; i < n; i++)
		if (proof_order(&v[i - 1], &v[i]) == 0 && v[i - 1].user != v[i].user) {
			bool later = v[i].user > v[i - 1].user;

			*ret_other = later ? v[i - 1].user : v[i].user;
			return later ? &v[i] : &v[i - 1];
		}
	return NULL;
}

size_t
model_n_users(const struct model *m)
{
	return m->n_users;
}

size_t
model_n_hosts(const struct model *m)
{
	return m->n_hosts;
}

size_t
model_n_rules(const struct model *m)
{
	return m->n_rules;
}

const struct model_rule *
model_rule_at(const struct model *m, size_t i)
{
	return &m->rules[i];
}

const struct model_host *
model_host_at(const struct model *m, size_t i)
{
	return &m->hosts[i];
}

unsigned
model_rsa_bits(const struct model *m)
{
	return m->rsa_bits;
}

bool
model_sk_no_touch(const struct model *m)
{
	return m->sk_no_touch;
}

uint64_t
model_cert_longest_s(const struct model *m)
{
	return m->cert_longest_ns / CLOCK_NS_PER_S;
}

bool
model_closes_expired(const struct model *m)
{
	return m->close_expired;
}

bool
model_closes_revoked(const struct model *m)
{
	return m->close_revoked;
}

const struct model_user *
model_find_user(const struct model *m, const char *name)
{
	const struct model_user key = { .name = name }, *want = &key;
	const struct model_user **found;

	if (m->n_users == 0)
		return NULL;
	found = bsearch(
	    &want, m->users_by_name, m->n_users, sizeof(const struct model_user *), user_order);
	return found != NULL ? *found : NULL;
}

bool
model_user_in_other_case(const struct model *m, const char *name)
{
	if (model_find_user(m, name) != NULL)
		return false;
	for (size_t i = 0; i < m->n_users; i++)
		if (strcasecmp(m->users[i].name, name) == 0)
			return true;
	return false;
}

static const struct model_user *
find_proof(const struct model_proof *v, size_t n, const void *p, size_t len)
{
	const struct model_proof want = { .p = p, .len = len };
	const struct model_proof *found = NULL;

	if (n > 0)
		found = bsearch(&want, v, n, sizeof(*v), proof_order);
	return found != NULL ? found->user : NULL;
}

const struct model_user *
model_find_key(const struct model *m, const uint8_t *blob, size_t len)
{
	return find_proof(m->keys, m->n_keys, blob, len);
}

const struct model_user *
model_find_principal(const struct model *m, const char *principal)
{
	return find_proof(m->principals, m->n_principals, principal, strlen(principal));
}

const struct model_host *
model_find_host(const struct model *m, const char *name)
{
	char copy[MODEL_NAME_MAX + 1];
	struct model_host key = { .name = copy };
	const struct model_host *want = &key, **found = NULL;

	if (str_copy(copy, sizeof(copy), name) != 0)
		return NULL;
	if (m->n_named > 0)
		found = bsearch(&want, m->hosts_by_name, m->n_named,
		    sizeof(const struct model_host *), host_order);
	if (found != NULL)
		return *found;
	for (size_t i = 0; i < m->n_hosts; i++)
		if (m->hosts[i].pattern && str_match(m->hosts[i].name, name))
			return &m->hosts[i];
	return NULL;
}

bool
model_host_has_port(const struct model_host *h, uint16_t port)
{
	for (size_t i = 0; i < h->n_ports; i++)
		if (h->ports[i] == port)
			return true;
	return port == h->port;
}
