/*
 * Reaching the target, before the sandbox closes and before a byte of it is read: resolve, check, connect. What is
 * connected to is the address that was checked. Attempts overlap, so that a dead address costs a quarter second.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bastiond/back/back.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define STAGGER_NS (250 * CLOCK_NS_PER_MS) /* RFC 8305 section 5 */
#define ALIVE_IDLE_S 60 /* TCP's own keepalive: notices a dead path when SSH's is off */
#define ALIVE_EVERY_S 20
#define ALIVE_MISSED 3

struct attempts {
	const struct back_plan *plan;
	struct net_addr addrs[BACK_ADDRS_MAX];
	struct pollfd
	    fds[BACK_ADDRS_MAX + 1]; /* -1: not tried, or failed; the last one is the broker's */
	size_t n, n_started;
	uint64_t until_ns, next_ns; /* the end; when the next attempt may start */
	int err;		    /* of the last attempt that failed */
	const char *denied;	    /* why an address was not tried, NULL: none */
};

/* Addresses. */

static void
add_addr(struct attempts *t, const struct net_addr *a)
{
	const char *why = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (net_same(&t->addrs[i], a))
			return;
	if (back_addr_check(t->plan, a, &why) != 0)
		t->denied = why;
	else if (t->n < BACK_ADDRS_MAX)
		t->addrs[t->n++] = *a;
}

/* RFC 8305 section 4: the families in turn, the first one as the resolver has it. */
static void
interleave(struct attempts *t)
{
	struct net_addr sorted[BACK_ADDRS_MAX];
	bool used[BACK_ADDRS_MAX] = { false };
	bool want_v4 = t->n > 0 && net_is_v4(&t->addrs[0]);

	for (size_t k = 0; k < t->n; k++) {
		size_t pick = t->n;

		for (size_t i = t->n; i-- > 0;)
			if (!used[i] && net_is_v4(&t->addrs[i]) == want_v4)
				pick = i;
		for (size_t i = 0; i < t->n && pick == t->n; i++)
			if (!used[i])
				pick = i;
		used[pick] = true;
		sorted[k] = t->addrs[pick];
		want_v4 = !net_is_v4(&sorted[k]);
	}
	memcpy(t->addrs, sorted, t->n * sizeof(sorted[0]));
}

static int
resolve(struct attempts *t)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	struct net_addr a;
	uint16_t port;

	if (getaddrinfo(t->plan->address, NULL, &hints, &list) != 0)
		return ERR_NOT_FOUND;
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
		if (net_from_sockaddr(ai->ai_addr, &a, &port) == 0)
			add_addr(t, &a);
	freeaddrinfo(list);
	interleave(t);
	return 0;
}

static int
find_addrs(struct attempts *t)
{
	struct net_addr a;
	int r;

	if (t->plan->resolve)
		r = resolve(t);
	else if ((r = net_parse(t->plan->address, &a)) == 0)
		add_addr(t, &a);
	if (r == 0 && t->n == 0)
		r = t->denied != NULL ? ERR_DENIED : ERR_NOT_FOUND;
	return r;
}

/* Attempts. */

static void
failed(struct attempts *t, size_t i, int err)
{
	t->err = err;
	t->next_ns = 0; /* the next one need not wait */
	fd_close(&t->fds[i].fd);
}

static void
start_attempt(struct attempts *t)
{
	struct sockaddr_storage sa;
	size_t i = t->n_started++;
	socklen_t len = net_to_sockaddr(&t->addrs[i], t->plan->port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	t->next_ns = clock_boot_ns() + STAGGER_NS;
	t->fds[i] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	if (fd < 0 || (connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS))
		failed(t, i, -errno);
}

static size_t
n_running(const struct attempts *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_started; i++)
		n += t->fds[i].fd >= 0;
	return n;
}

/* The first attempt that is through. Attempts that failed are closed. */
static bool
find_connected(struct attempts *t, size_t *ret_i)
{
	for (size_t i = 0; i < t->n_started; i++) {
		socklen_t len = sizeof(int);
		int err = 0;

		if (t->fds[i].fd < 0 || t->fds[i].revents == 0)
			continue;
		if (getsockopt(t->fds[i].fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
			err = errno;
		if (err == 0) {
			*ret_i = i;
			return true;
		}
		failed(t, i, -err);
	}
	return false;
}

/* How long to wait for something to happen, in milliseconds. */
static int
wait_ms(const struct attempts *t, uint64_t now)
{
	uint64_t until = t->until_ns;

	if (t->n_started < t->n && t->next_ns < until)
		until = t->next_ns;
	return until <= now ? 0 : (int)((until - now) / CLOCK_NS_PER_MS) + 1;
}

static int
race(struct attempts *t, int stop_fd, size_t *ret_i)
{
	t->fds[BACK_ADDRS_MAX] = (struct pollfd){ .fd = stop_fd };
	for (;;) {
		uint64_t now = clock_boot_ns();

		if (t->n_started < t->n && now >= t->next_ns)
			start_attempt(t);
		else if (n_running(t) == 0 && t->n_started == t->n)
			return t->err;
		else if (now >= t->until_ns)
			return -ETIMEDOUT;
		else if (poll(t->fds, BACK_ADDRS_MAX + 1, wait_ms(t, now)) < 0 && errno != EINTR)
			return -errno;
		else if ((t->fds[BACK_ADDRS_MAX].revents & (POLLHUP | POLLERR)) != 0)
			return ERR_PEER_GONE;
		else if (find_connected(t, ret_i))
			return 0;
	}
}

/* The winner. */

static int
check_local(const struct attempts *t, size_t i)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct net_addr local;
	uint16_t port;

	if (getsockname(t->fds[i].fd, (struct sockaddr *)&sa, &len) != 0)
		return -errno;
	if (net_from_sockaddr((struct sockaddr *)&sa, &local, &port) != 0)
		return ERR_FORMAT;
	return back_addr_check_own(t->plan, &local, &t->addrs[i]);
}

static void
set_options(int fd)
{
	const int on = 1, idle = ALIVE_IDLE_S, every = ALIVE_EVERY_S, missed = ALIVE_MISSED;

	/* Each is an improvement, none is needed. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &missed, sizeof(missed));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static const struct {
	int err;
	const char *text;
} words[] = {
	{ -ECONNREFUSED, "connection refused" },
	{ -ETIMEDOUT, "no answer in time" },
	{ -EHOSTUNREACH, "host unreachable" },
	{ -ENETUNREACH, "network unreachable" },
	{ ERR_NOT_FOUND, "its name does not resolve" },
	{ ERR_FORMAT, "its address is malformed" },
};

static void
explain(const struct attempts *t, int err, char *why, size_t size)
{
	const char *text = err == ERR_DENIED && t->denied != NULL ? t->denied : err_str(err);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].err == err)
			text = words[i].text;
	/* A long name is cut. */
	(void)snprintf(why, size, "%s: %s", t->plan->host, text);
}

int
back_connect(const struct back_plan *p, int stop_fd, int *ret_fd, char *ret_where,
    size_t where_size, char *why, size_t why_size)
{
	struct attempts t = { .plan = p, .until_ns = clock_boot_ns() + p->timeout_ns };
	size_t i = 0;
	int r;

	for (size_t k = 0; k < BACK_ADDRS_MAX; k++)
		t.fds[k].fd = -1;
	if ((r = find_addrs(&t)) == 0 && (r = race(&t, stop_fd, &i)) == 0 &&
	    (r = check_local(&t, i)) != 0)
		t.denied = "its address is the bastion's own";
	if (r == 0) {
		*ret_fd = t.fds[i].fd;
		t.fds[i].fd = -1;
		set_options(*ret_fd);
		net_port_text(ret_where, where_size, &t.addrs[i], p->port);
	} else
		explain(&t, r, why, why_size);
	for (size_t k = 0; k < BACK_ADDRS_MAX; k++)
		fd_close(&t.fds[k].fd);
	return r;
}
