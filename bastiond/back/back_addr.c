/*
 * Which addresses are never a target. IPv4 inside IPv6 is IPv4 here, however it is wrapped, so that no spelling gets around
 * a denied network.
 */
#include "config.h"

#include <string.h>

#include "bastiond/back/back.h"

static bool
has_prefix(const struct net_addr *a, const char *prefix)
{
	struct net_prefix p;

	return net_prefix_parse(prefix, &p) == 0 && net_prefix_has(&p, a);
}

/*
 * RFC 6052 (64:ff9b::/96), RFC 3056 (6to4, 2002::/16) and the old ::a.b.c.d carry an IPv4 address that somebody on the way
 * may unwrap. false: it is none of these.
 */
static bool
unwrap_v4(const struct net_addr *a, struct net_addr *ret_v4)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	size_t at;

	if (has_prefix(a, "64:ff9b::/96") || has_prefix(a, "::/96"))
		at = 12;
	else if (has_prefix(a, "2002::/16"))
		at = 2;
	else
		return false;
	memcpy(ret_v4->b, mapped, sizeof(mapped));
	memcpy(ret_v4->b + 12, a->b + at, 4);
	return true;
}

static bool
is_loopback(const struct net_addr *a)
{
	return has_prefix(a, "127.0.0.0/8") || has_prefix(a, "::1");
}

static bool
is_multicast(const struct net_addr *a)
{
	return has_prefix(a, "224.0.0.0/4") || has_prefix(a, "255.255.255.255") ||
	       has_prefix(a, "ff00::/8");
}

/* A listener on all addresses is reached by any address of this machine; loopback is surely one. */
static bool
is_own(const struct back_plan *p, const struct net_addr *a)
{
	for (uint32_t i = 0; i < p->n_own; i++) {
		const struct back_own *own = &p->own[i];

		if (own->port == p->port &&
		    (net_same(&own->addr, a) || (net_is_any(&own->addr) && is_loopback(a))))
			return true;
	}
	return false;
}

static bool
is_denied(const struct back_plan *p, const struct net_addr *a)
{
	for (uint32_t i = 0; i < p->n_denied; i++)
		if (net_prefix_has(&p->denied[i], a))
			return true;
	return false;
}

static int
check_one(const struct back_plan *p, const struct net_addr *a, const char **ret_why)
{
	if (net_is_any(a) || is_multicast(a))
		*ret_why = "its address is no address of a host";
	else if (is_own(p, a))
		*ret_why = "its address is the bastion's own";
	else if (p->resolve && is_denied(p, a))
		*ret_why = "its address is in a denied network";
	else
		return 0;
	return ERR_DENIED;
}

int
back_addr_check(const struct back_plan *p, const struct net_addr *a, const char **ret_why)
{
	struct net_addr inner;
	int r = check_one(p, a, ret_why);

	if (r != 0 || net_is_v4(a) || !unwrap_v4(a, &inner))
		return r;
	/* ::1 is written like a wrapped 0.0.0.1 and is none. */
	return has_prefix(a, "::1") ? 0 : check_one(p, &inner, ret_why);
}

int
back_addr_check_own(
    const struct back_plan *p, const struct net_addr *local, const struct net_addr *peer)
{
	if (!net_same(local, peer))
		return 0;
	for (uint32_t i = 0; i < p->n_own; i++)
		if (p->own[i].port == p->port && net_is_any(&p->own[i].addr))
			return ERR_DENIED;
	return 0;
}
