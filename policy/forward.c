/* Patterns for forwards: reading them, and holding what a client asks for against them. */
#include "config.h"

#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "policy/forward.h"
#include "policy/prefix.h"

#define UNIX "unix:"

static int
wrong(const char **ret_why, const char *why)
{
	*ret_why = why;
	return ERR_FORMAT;
}

/* "5432", "5000-5999", "*"; 0 is for the target to pick one. */
static int
parse_ports(const char *s, bool remote, struct forward_pattern *p)
{
	const char *dash = strchr(s, '-');
	uint64_t from, to;
	char first[8];

	if (strcmp(s, "*") == 0) {
		p->from = remote ? 0 : 1;
		p->to = UINT16_MAX;
		return 0;
	}
	if (dash == NULL) {
		if (num_parse(s, remote ? 0 : 1, UINT16_MAX, &from) != 0)
			return ERR_FORMAT;
		p->from = p->to = (uint16_t)from;
		return 0;
	}
	if (str_format(first, sizeof(first), "%.*s", (int)(dash - s), s) != 0 ||
	    num_parse(first, 1, UINT16_MAX, &from) != 0 ||
	    num_parse(dash + 1, from, UINT16_MAX, &to) != 0)
		return ERR_FORMAT;
	p->from = (uint16_t)from;
	p->to = (uint16_t)to;
	return 0;
}

/* p->host is set. An address that is not written in full would be one to the target and a name to us. */
static int
parse_host(struct forward_pattern *p, const char **ret_why)
{
	size_t len = strlen(p->host);

	if (len == 0 || strspn(p->host, "abcdefghijklmnopqrstuvwxyz0123456789._-*?") != len)
		return wrong(ret_why, "a host of lower case letters, digits and . _ - * ? (IPv6 in "
				      "brackets), then : and a port");
	p->any_host = strcmp(p->host, "*") == 0;
	p->exact = net_parse(p->host, &p->addr) == 0;
	if (p->any_host || p->exact || strspn(p->host, "0123456789.*?") != len ||
	    strpbrk(p->host, "0123456789") == NULL)
		return 0;
	if (strpbrk(p->host, "*?") == NULL)
		return wrong(ret_why, "a name, or an address with all of its numbers");
	p->numbers = true;
	return 0;
}

/* "[2001:db8::1]" */
static int
parse_bracketed(struct forward_pattern *p, const char **ret_why)
{
	size_t len = strlen(p->host);
	char inner[NET_TEXT_SIZE];

	if (p->host[len - 1] != ']' ||
	    str_format(inner, sizeof(inner), "%.*s", (int)(len - 2), p->host + 1) != 0 ||
	    strchr(inner, ':') == NULL || net_parse(inner, &p->addr) != 0)
		return wrong(ret_why, "an IPv6 address in brackets, then : and a port");
	p->exact = true;
	return 0;
}

static int
parse_path(const char *path, struct forward_pattern *p, const char **ret_why)
{
	size_t len = strlen(path);

	if (prefix_check(path) != 0 || path[len - 1] == '/' || len > FORWARD_PATH_MAX)
		return wrong(ret_why, "unix: and the absolute path of a socket, at most 107 bytes, "
				      "without wildcards");
	p->path = path;
	return 0;
}

int
forward_parse(const char *text, bool remote, struct forward_pattern *ret, const char **ret_why)
{
	static const char *const whole[] = {
		"\"host:port\" with a port of 1 to 65535, a range such as 5000-5999, or *",
		"\"port\" or \"address:port\" with a port of 0 (any that the target picks) to "
		"65535, a range such as 5000-5999, or *",
	};
	const char *colon = strrchr(text, ':');

	*ret = (struct forward_pattern){ .path = NULL };
	if (str_starts(text, UNIX "/"))
		return parse_path(text + strlen(UNIX), ret, ret_why);
	if (parse_ports(colon != NULL ? colon + 1 : text, remote, ret) != 0)
		return wrong(ret_why, whole[remote]);
	if (colon == NULL) {
		ret->loopback = true;
		return remote ? 0 : wrong(ret_why, whole[remote]);
	}
	if (str_format(ret->host, sizeof(ret->host), "%.*s", (int)(colon - text), text) != 0)
		return wrong(ret_why, "a host of at most 255 bytes");
	return ret->host[0] == '[' ? parse_bracketed(ret, ret_why) : parse_host(ret, ret_why);
}

/* Lower case, and addresses in the one form that they print as. false: a host that no pattern but * holds. */
static bool
normalise(const char *host, char *dst, size_t size, struct net_addr *ret_addr, bool *ret_is_addr)
{
	if (str_copy(dst, size, host) != 0)
		return false;
	for (char *p = dst; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	*ret_is_addr = net_parse(dst, ret_addr) == 0;
	if (*ret_is_addr)
		(void)net_text(dst, size, ret_addr);
	return true;
}

static bool
host_fits(const struct forward_pattern *p, const char *asked)
{
	char host[FORWARD_HOST_MAX + 1];
	struct net_addr addr;
	bool is_addr;

	if (p->any_host)
		return true;
	if (!normalise(asked, host, sizeof(host), &addr, &is_addr))
		return false;
	if (p->loopback)
		return strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
		       strcmp(host, "::1") == 0;
	if (p->exact)
		return is_addr && net_same(&p->addr, &addr);
	/* 10.0.0.* is no start of 10.0.0.5.example, and web* none of an address. */
	return is_addr == p->numbers && str_match(p->host, host);
}

bool
forward_fits(const struct forward_pattern *p, const struct forward *f)
{
	if (f->host == NULL)
		return p->path != NULL && strcmp(p->path, f->path) == 0;
	return p->path == NULL && f->port >= p->from && f->port <= p->to && host_fits(p, f->host);
}
