/* Binding and accepting. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/listen.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"

#define LISTEN_BACKLOG 1024
#define LISTEN_BURST 32				/* clients taken per wake-up */
#define LISTEN_PAUSE_NS (100 * CLOCK_NS_PER_MS) /* after running out of descriptors or memory */
#define LISTEN_SAY_NS (10 * CLOCK_NS_PER_S)	/* between two lines about that */

struct listen_one {
	struct listen_set *set; /* that watches it */
	struct settings_listen want;
	uint16_t port; /* the real one */
	int fd;
	struct loop_io *io;
};

struct listen_set {
	struct loop *loop;
	listen_fn fn;
	void *arg;
	struct loop_timer *pause;
	uint64_t said_ns;
	size_t n;
	struct listen_one one[SETTINGS_LISTEN_MAX];
};

static int
listen_bind(struct listen_one *o)
{
	struct sockaddr_storage sa;
	socklen_t len = net_to_sockaddr(&o->want.addr, o->want.port, &sa);
	struct net_addr bound;
	int on = 1;

	o->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (o->fd < 0 || setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (sa.ss_family == AF_INET6 &&
		setsockopt(o->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(o->fd, (const struct sockaddr *)&sa, len) != 0 ||
	    listen(o->fd, LISTEN_BACKLOG) != 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(o->fd, (struct sockaddr *)&sa, &len) != 0)
		return -errno;
	return net_from_sockaddr((const struct sockaddr *)&sa, &bound, &o->port);
}

static struct listen_one *
listen_find(struct listen_set *set, const struct settings_listen *want)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (set->one[i].want.port == want->port &&
		    net_same(&set->one[i].want.addr, &want->addr))
			return &set->one[i];
	return NULL;
}

static bool
listen_shares(const struct listen_set *set, int fd)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (set->one[i].fd == fd)
			return true;
	return false;
}

int
listen_open(const struct settings *s, struct listen_set *old, struct listen_set **ret_set,
    struct conf_err *ret_err)
{
	struct listen_set *set = calloc(1, sizeof(*set));
	char text[NET_PORT_TEXT_SIZE];
	int r = 0;

	if (set == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < s->n_listen; i++) {
		struct listen_one *o = &set->one[set->n++],
				  *before = listen_find(old, &s->listen[i]);

		*o = (struct listen_one){ .want = s->listen[i], .fd = -1 };
		/* Two rows with port 0 are two sockets. */
		if (before != NULL && !listen_shares(set, before->fd)) {
			o->fd = before->fd;
			o->port = before->port;
			continue;
		}
		if ((r = listen_bind(o)) == 0)
			continue;
		(void)snprintf(ret_err->text, sizeof(ret_err->text),
		    "%.300s: cannot listen on %s: %s", s->file,
		    net_port_text(text, sizeof(text), &o->want.addr, o->want.port), err_str(r));
		r = ERR_FORMAT;
	}
	if (r != 0) {
		listen_free(set, old);
		return r;
	}
	*ret_set = set;
	return 0;
}

void
listen_free(struct listen_set *set, const struct listen_set *keep)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++) {
		loop_del(set->one[i].io);
		if (!listen_shares(keep, set->one[i].fd))
			fd_close(&set->one[i].fd);
	}
	loop_timer_free(set->pause);
	free(set);
}

static bool
listen_is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* No descriptors left: those who wait stay in the kernel's queue until some are free again. */
static void
listen_shortage(struct listen_set *set, int err)
{
	uint64_t now = clock_boot_ns();

	listen_pause(set);
	loop_timer_arm(set->pause, LISTEN_PAUSE_NS);
	if (set->said_ns != 0 && now - set->said_ns < LISTEN_SAY_NS)
		return;
	set->said_ns = now;
	log_err(
	    "listen.shortage reason=\"%s\" next=\"new connections wait; raise the limit of open "
	    "files or lower limits.connections\"",
	    err_str(-err));
}

static void
listen_hand_over(struct listen_set *set, int fd, const struct sockaddr_storage *sa)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);
	struct wiring_peer peer;

	if (getsockname(fd, (struct sockaddr *)&local, &len) != 0 ||
	    net_from_sockaddr((const struct sockaddr *)sa, &peer.source, &peer.source_port) != 0 ||
	    net_from_sockaddr((const struct sockaddr *)&local, &peer.local, &peer.local_port) !=
		0) {
		fd_close(&fd); /* it has gone already */
		return;
	}
	set->fn(set->arg, fd, &peer);
}

static void
listen_on_client(void *arg, uint32_t revents)
{
	struct listen_one *o = arg;

	(void)revents;
	for (int i = 0; i < LISTEN_BURST; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		int fd = accept4(o->fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			listen_hand_over(o->set, fd, &sa);
			continue;
		}
		if (listen_is_shortage(errno))
			listen_shortage(o->set, errno);
		/* Others are of one client that went away meanwhile, or mean that nobody waits. */
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
listen_on_resume(void *arg)
{
	struct listen_set *set = arg;

	for (size_t i = 0; i < set->n; i++)
		if (loop_set(set->one[i].io, EPOLLIN) != 0)
			loop_timer_arm(set->pause, LISTEN_PAUSE_NS);
}

int
listen_accept(struct listen_set *set, struct loop *l, listen_fn fn, void *arg)
{
	int r = loop_timer_new(l, listen_on_resume, set, &set->pause);

	set->loop = l;
	set->fn = fn;
	set->arg = arg;
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		set->one[i].set = set;
		r = loop_add(
		    l, set->one[i].fd, EPOLLIN, listen_on_client, &set->one[i], &set->one[i].io);
	}
	return r;
}

void
listen_pause(struct listen_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->one[i].io != NULL && loop_set(set->one[i].io, 0) != 0)
			log_debug("listen.not_paused"); /* we are woken for nothing */
	if (set->pause != NULL)
		loop_timer_disarm(set->pause);
}

bool
listen_at(const struct listen_set *set, size_t i, char *dst, size_t size)
{
	if (i >= set->n)
		return false;
	net_port_text(dst, size, &set->one[i].want.addr, set->one[i].port);
	return true;
}

char *
listen_text(const struct listen_set *set, char *dst, size_t size)
{
	char one[NET_PORT_TEXT_SIZE];
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; listen_at(set, i, one, sizeof(one)) && at < size; i++) {
		int n = snprintf(dst + at, size - at, "%s%s", i > 0 ? "," : "", one);

		at += n > 0 ? (size_t)n : 0;
	}
	return dst;
}

static void
listen_own_add(char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE], size_t *n, const struct net_addr *a,
    uint16_t port)
{
	if (*n < WIRING_OWN_MAX)
		net_port_text(own[(*n)++], NET_PORT_TEXT_SIZE, a, port);
}

static void
listen_own_any(const struct listen_one *o, const struct ifaddrs *all,
    char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE], size_t *n)
{
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct net_addr a;
		uint16_t port;

		if (i->ifa_addr != NULL && net_from_sockaddr(i->ifa_addr, &a, &port) == 0 &&
		    net_is_v4(&a) == net_is_v4(&o->want.addr))
			listen_own_add(own, n, &a, o->port);
	}
}

size_t
listen_own(const struct listen_set *set, char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE])
{
	struct ifaddrs *all = NULL;
	size_t n = 0;

	if (getifaddrs(&all) != 0)
		all = NULL; /* the wildcard itself is listed in any case */
	for (size_t i = 0; i < set->n; i++) {
		listen_own_add(own, &n, &set->one[i].want.addr, set->one[i].port);
		if (net_is_any(&set->one[i].want.addr))
			listen_own_any(&set->one[i], all, own, &n);
	}
	if (all != NULL)
		freeifaddrs(all);
	return n;
}
