/* Native host and port fields to hosts of the inventory. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/net.h"
#include "lib/str.h"
#include "policy/jump.h"

/* What is asked for, and for whom. Borrowed. */
struct ask {
	const struct model *m;
	const struct model_user *user;
	const struct access_person *who;
	char typed[NAMES_FIELD_SIZE]; /* lower case, without brackets */
	char name[NAMES_FIELD_SIZE];  /* the same without the dot at its end */
	uint16_t port;
	bool literal; /* an address: */
	struct net_addr addr;
};

static bool
take_name(struct ask *ask, const uint8_t *p, size_t len)
{
	if (len >= 2 && p[0] == '[' && p[len - 1] == ']') {
		p++;
		len -= 2;
	}
	if (len == 0 || len > NAMES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] <= 0x20 || p[i] > 0x7e)
			return false;
		ask->typed[i] = (char)tolower(p[i]);
	}
	ask->typed[len] = '\0';
	memcpy(ask->name, ask->typed, len + 1);
	if (ask->name[len - 1] == '.')
		ask->name[len - 1] = '\0';
	ask->literal = net_parse(ask->name, &ask->addr) == 0;
	return ask->literal || names_is_host(ask->name);
}

static bool
is_same_address(const struct ask *ask, const struct model_host *h)
{
	struct net_addr a;

	if (h->pattern || h->address == NULL)
		return false;
	if (ask->literal)
		return net_parse(h->address, &a) == 0 && net_same(&a, &ask->addr);
	return strcasecmp(h->address, ask->name) == 0;
}

static void
add_name(struct jump_target *t, const char *name)
{
	for (size_t i = 0; i < t->n_names; i++)
		if (strcmp(t->names[i], name) == 0)
			return;
	if (t->n_names < JUMP_NAMES_MAX &&
	    str_copy(t->names[t->n_names], sizeof(t->names[0]), name) == 0)
		t->n_names++;
}

/* Whether the person can go to this host as asked; why not is the word that stays. */
static bool
try_host(const struct ask *ask, const struct model_host *h, bool exact_port,
    struct jump_target *ret_target, const char **ret_reason)
{
	struct jump_target t = { .port = ask->port };
	bool fits = model_host_has_port(h, ask->port);
	const char *why;

	if (exact_port && !fits)
		return false;
	if (!fits && ask->port == JUMP_DEFAULT_PORT)
		t.port = h->port;
	/* For a pattern the name is what was typed. */
	if (str_copy(t.host, sizeof(t.host), h->pattern ? ask->name : h->name) != 0)
		return false;
	why = access_unreachable(ask->m, ask->user, h, t.host, t.port, ask->who);
	if (why != NULL) {
		*ret_reason = why;
		return false;
	}
	add_name(&t, t.host);
	add_name(&t, ask->typed);
	add_name(&t, ask->name);
	if (!h->pattern && h->address != NULL)
		add_name(&t, h->address);
	*ret_target = t;
	return true;
}

/* Several hosts may have one address: the one whose port it is, else the first that is open to the person. */
static bool
try_addresses(const struct ask *ask, struct jump_target *ret_target, const char **ret_reason)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < model_n_hosts(ask->m); i++) {
			const struct model_host *h = model_host_at(ask->m, i);

			if (is_same_address(ask, h) &&
			    try_host(ask, h, pass == 0, ret_target, ret_reason))
				return true;
		}
	return false;
}

static bool
resolve(const struct ask *ask, struct jump_target *ret_target, const char **ret_reason)
{
	const struct model_host *h =
	    names_is_host(ask->name) ? model_find_host(ask->m, ask->name) : NULL;

	*ret_reason = "unknown-host";
	if (h != NULL && !h->pattern)
		return try_host(ask, h, false, ret_target, ret_reason);
	if (try_addresses(ask, ret_target, ret_reason))
		return true;
	return h != NULL && try_host(ask, h, false, ret_target, ret_reason);
}

int
jump_resolve(const struct model *m, const void *name, size_t len, uint32_t port,
    const struct model_user *user, const struct access_person *who, struct jump_target *ret_target,
    const char **ret_reason)
{
	struct ask ask = { .m = m, .user = user, .who = who, .port = (uint16_t)port };

	*ret_reason = "bad-name";
	if (!take_name(&ask, name, len))
		return ERR_DENIED;
	*ret_reason = "port-not-allowed";
	if (port == 0 || port > UINT16_MAX)
		return ERR_DENIED;
	return resolve(&ask, ret_target, ret_reason) ? 0 : ERR_DENIED;
}
