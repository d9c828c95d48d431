/* Addresses and networks. */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <string.h>

#include "lib/net.h"
#include "lib/num.h"
#include "lib/str.h"

#define NET_V4_BITS 96u /* bits before the IPv4 part */

static const uint8_t net_v4_head[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool
net_is_v4(const struct net_addr *a)
{
	return memcmp(a->b, net_v4_head, sizeof(net_v4_head)) == 0;
}

bool
net_same(const struct net_addr *a, const struct net_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
net_is_any(const struct net_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, 16) == 0 ||
	       (net_is_v4(a) && memcmp(a->b + sizeof(net_v4_head), zero, 4) == 0);
}

static void
net_set_v4(struct net_addr *a, const void *four)
{
	memcpy(a->b, net_v4_head, sizeof(net_v4_head));
	memcpy(a->b + sizeof(net_v4_head), four, 4);
}

int
net_parse(const char *s, struct net_addr *ret_addr)
{
	struct net_addr a;
	struct in_addr v4;

	if (inet_pton(AF_INET, s, &v4) == 1)
		net_set_v4(&a, &v4);
	else if (inet_pton(AF_INET6, s, a.b) != 1)
		return ERR_FORMAT;
	*ret_addr = a;
	return 0;
}

int
net_parse_port(const char *s, struct net_addr *ret_addr, uint16_t *ret_port)
{
	const char *colon = strrchr(s, ':');
	char host[NET_TEXT_SIZE];
	struct net_addr a;
	uint64_t port;
	size_t len;

	if (colon == NULL || num_parse(colon + 1, 0, 65535, &port) != 0)
		return ERR_FORMAT;
	len = (size_t)(colon - s);
	if (len >= 2 && s[0] == '[' && colon[-1] == ']') {
		s++;
		len -= 2;
	} else if (memchr(s, ':', len) != NULL) {
		return ERR_FORMAT;
	}
	if (str_format(host, sizeof(host), "%.*s", (int)len, s) != 0 || net_parse(host, &a) != 0)
		return ERR_FORMAT;
	*ret_addr = a;
	*ret_port = (uint16_t)port;
	return 0;
}

int
net_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret_addr, uint16_t *ret_port)
{
	/* Copied: the caller's storage need not be aligned for the family. */
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		net_set_v4(ret_addr, &in.sin_addr);
		*ret_port = ntohs(in.sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(ret_addr->b, &in6.sin6_addr, sizeof(ret_addr->b));
		*ret_port = ntohs(in6.sin6_port);
		return 0;
	}
	return ERR_FORMAT;
}

socklen_t
net_to_sockaddr(const struct net_addr *a, uint16_t port, struct sockaddr_storage *ret_sa)
{
	memset(ret_sa, 0, sizeof(*ret_sa));
	if (net_is_v4(a)) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

		memcpy(&in.sin_addr, a->b + sizeof(net_v4_head), 4);
		memcpy(ret_sa, &in, sizeof(in));
		return sizeof(in);
	} else {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&in6.sin6_addr, a->b, sizeof(a->b));
		memcpy(ret_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
}

char *
net_text(char *dst, size_t size, const struct net_addr *a)
{
	const char *ok;

	if (net_is_v4(a))
		ok = inet_ntop(AF_INET, a->b + sizeof(net_v4_head), dst, (socklen_t)size);
	else
		ok = inet_ntop(AF_INET6, a->b, dst, (socklen_t)size);
	if (ok == NULL && size > 0)
		dst[0] = '\0';
	return dst;
}

char *
net_port_text(char *dst, size_t size, const struct net_addr *a, uint16_t port)
{
	char host[NET_TEXT_SIZE];

	net_text(host, sizeof(host), a);
	if (net_is_v4(a))
		(void)snprintf(dst, size, "%s:%u", host, (unsigned)port);
	else
		(void)snprintf(dst, size, "[%s]:%u", host, (unsigned)port);
	return dst;
}

static bool
net_tail_is_zero(const struct net_addr *a, unsigned bits)
{
	struct net_addr masked = *a;

	net_mask(&masked, bits < NET_V4_BITS ? 0 : bits - NET_V4_BITS, bits);
	return net_same(&masked, a);
}

int
net_prefix_parse(const char *s, struct net_prefix *ret_prefix)
{
	const char *slash = strchr(s, '/');
	size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s);
	struct net_prefix p;
	char host[NET_TEXT_SIZE];
	uint64_t bits;
	bool dotted;

	if (str_format(host, sizeof(host), "%.*s", (int)len, s) != 0 ||
	    net_parse(host, &p.addr) != 0)
		return ERR_FORMAT;
	dotted = strchr(host, ':') == NULL;
	bits = dotted ? 32 : 128;
	if (slash != NULL && num_parse(slash + 1, 0, bits, &bits) != 0)
		return ERR_FORMAT;
	p.bits = (unsigned)bits + (dotted ? NET_V4_BITS : 0);
	if (!net_tail_is_zero(&p.addr, p.bits))
		return ERR_FORMAT;
	*ret_prefix = p;
	return 0;
}

bool
net_prefix_has(const struct net_prefix *p, const struct net_addr *a)
{
	struct net_addr masked = *a;

	/* An IPv4 address keeps its head whatever the mask, so that no IPv6 network equals it. */
	net_mask(&masked, p->bits < NET_V4_BITS ? 0 : p->bits - NET_V4_BITS, p->bits);
	return net_same(&masked, &p->addr);
}

void
net_mask(struct net_addr *a, unsigned v4_bits, unsigned v6_bits)
{
	unsigned bits = net_is_v4(a) ? NET_V4_BITS + v4_bits : v6_bits;

	for (unsigned i = 0; i < sizeof(a->b); i++) {
		unsigned before = i * 8;

		if (bits <= before)
			a->b[i] = 0;
		else if (bits - before < 8)
			a->b[i] = (uint8_t)(a->b[i] & 0xffu << (8 - (bits - before)));
	}
}
