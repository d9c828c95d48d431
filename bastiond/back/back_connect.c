/* Resolve once, check the address and not the name, connect to the address that was checked. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/back/back_connect.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define BACK_STAGGER_NS (250 * CLOCK_NS_PER_MS) /* RFC 8305 section 5 */
#define BACK_CONNECT_NS (20 * CLOCK_NS_PER_S)	/* where nothing else is configured */

static void __attribute__((format(printf, 3, 4)))
back_say(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(why, size, fmt, ap) < 0 && size > 0)
		why[0] = '\0';
	va_end(ap);
}

static bool
back_is_multicast(const struct net_addr *a)
{
	return net_is_v4(a) ? a->b[12] >= 224 : a->b[0] == 0xff;
}

static bool
back_is_loopback(const struct net_addr *a)
{
	static const struct net_addr v6 = { .b = { [15] = 1 } };

	return net_is_v4(a) ? a->b[12] == 127 : net_same(a, &v6);
}

/* The bastion's own doors: exactly, or by any loopback address where it listens on all of them. */
static bool
back_is_own(const struct back_conf *c, const struct net_addr *addr)
{
	for (size_t i = 0; i < c->n_own; i++)
		if (c->own[i].port == c->port &&
		    (net_same(&c->own[i].addr, addr) ||
			(net_is_any(&c->own[i].addr) && back_is_loopback(addr))))
			return true;
	return false;
}

bool
back_may_connect(const struct back_conf *c, const struct net_addr *addr, char *why, size_t why_size)
{
	char text[NET_TEXT_SIZE];

	net_text(text, sizeof(text), addr);
	if (net_is_any(addr) || back_is_multicast(addr)) {
		back_say(why, why_size, "%s: %s is not the address of one host", c->host, text);
		return false;
	}
	if (back_is_own(c, addr)) {
		back_say(why, why_size, "%s: leads back to this bastion", c->host);
		return false;
	}
	for (size_t i = 0; c->resolve && i < c->n_denied; i++)
		if (net_prefix_has(&c->denied[i], addr)) {
			back_say(why, why_size, "%s: its name resolves to a network that is denied",
			    c->host);
			return false;
		}
	return true;
}

static int
back_lookup(const struct back_conf *c, struct back_target *t, char *why, size_t why_size)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM },
			*list = NULL;
	int e = getaddrinfo(c->address, NULL, &hints, &list);

	if (e != 0) {
		back_say(
		    why, why_size, "%s: its name does not resolve: %s", c->host, gai_strerror(e));
		return ERR_NOT_FOUND;
	}
	for (struct addrinfo *ai = list; ai != NULL && t->n < BACK_ADDRS_MAX; ai = ai->ai_next) {
		uint16_t port;

		if (net_from_sockaddr(ai->ai_addr, &t->addr[t->n], &port) == 0)
			t->n++;
	}
	freeaddrinfo(list);
	return 0;
}

int
back_resolve(const struct back_conf *c, struct back_target *ret_target, char *why, size_t why_size)
{
	struct back_target all = { .n = 0 }, *t = ret_target;
	int r = 0;

	t->n = 0;
	if (c->resolve) {
		r = back_lookup(c, &all, why, why_size);
	} else if ((r = net_parse(c->address, &all.addr[0])) == 0) {
		all.n = 1;
	} else {
		back_say(why, why_size,
		    "%s: its address is not an IP address, and the inventory does not say resolve",
		    c->host);
	}
	if (r != 0)
		return r;
	for (size_t i = 0; i < all.n; i++)
		if (back_may_connect(c, &all.addr[i], why, why_size))
			t->addr[t->n++] = all.addr[i];
	if (t->n > 0)
		return 0;
	if (all.n == 0)
		back_say(why, why_size, "%s: its name has no address", c->host);
	return all.n == 0 ? ERR_NOT_FOUND : ERR_DENIED;
}

struct back_race {
	struct pollfd fds[BACK_ADDRS_MAX];
	size_t n;    /* started */
	size_t open; /* of them still trying */
	int last;    /* error of the one that failed last */
};

static void
back_start(const struct back_conf *c, const struct net_addr *addr, struct back_race *race)
{
	struct sockaddr_storage sa;
	socklen_t len = net_to_sockaddr(addr, c->port, &sa);
	struct pollfd *p = &race->fds[race->n++];

	*p = (struct pollfd){ .fd = socket(
				  sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		.events = POLLOUT };
	if (p->fd < 0) {
		race->last = -errno;
		return;
	}
	if (connect(p->fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS) {
		race->last = -errno;
		fd_close(&p->fd);
		return;
	}
	race->open++;
}

/* The slot that is connected, or -1; failed ones are closed. */
static int
back_finished(struct back_race *race)
{
	for (size_t i = 0; i < race->n; i++) {
		struct pollfd *p = &race->fds[i];
		socklen_t len = sizeof(int);
		int err = 0;

		if (p->fd < 0 || p->revents == 0)
			continue;
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
			err = errno;
		if (err == 0)
			return (int)i;
		race->last = -err;
		race->open--;
		fd_close(&p->fd);
	}
	return -1;
}

static int
back_race_run(const struct back_conf *c, const struct back_target *t, struct back_race *race)
{
	uint64_t now = clock_boot_ns(), next = now;
	uint64_t until = now + (c->connect_ns != 0 ? c->connect_ns : BACK_CONNECT_NS);
	int won;

	while (now < until) {
		uint64_t wait = until - now;

		if (race->n < t->n && (race->open == 0 || now >= next)) {
			back_start(c, &t->addr[race->n], race);
			next = now + BACK_STAGGER_NS;
		}
		if (race->open == 0 && race->n == t->n)
			return -1;
		if (race->n < t->n && next - now < wait)
			wait = race->open == 0 ? 0 : next - now;
		if (poll(race->fds, (nfds_t)race->n, (int)(wait / CLOCK_NS_PER_MS) + 1) < 0 &&
		    errno != EINTR) {
			race->last = -errno;
			return -1;
		}
		if ((won = back_finished(race)) >= 0)
			return won;
		now = clock_boot_ns();
	}
	race->last = -ETIMEDOUT;
	return -1;
}

static void
back_tune(int fd)
{
	int on = 1;

	/* Both only make things better; a socket without them still works. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		return;
}

int
back_connect(const struct back_conf *c, const struct back_target *t, int *ret_fd,
    struct net_addr *ret_addr, char *why, size_t why_size)
{
	struct back_race race = { .n = 0, .last = -ETIMEDOUT };
	int won = back_race_run(c, t, &race);

	if (won >= 0) {
		*ret_fd = race.fds[won].fd;
		*ret_addr = t->addr[won];
		race.fds[won].fd = -1;
		back_tune(*ret_fd);
	}
	for (size_t i = 0; i < race.n; i++)
		fd_close(&race.fds[i].fd);
	if (won >= 0)
		return 0;
	back_say(why, why_size, "%s: %s", c->host,
	    race.last == -ECONNREFUSED ? "connection refused"
	    : race.last == -ETIMEDOUT  ? "does not answer"
				       : err_str(race.last));
	return race.last;
}
