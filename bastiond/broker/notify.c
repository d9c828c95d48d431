/* Datagrams to NOTIFY_SOCKET. */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bastiond/broker/notify.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/num.h"
#include "lib/str.h"

struct notify {
	struct sockaddr_un to;
	socklen_t to_len;
	int fd; /* -1: nobody wants to hear */
	uint64_t watchdog_ns;
	struct loop_timer *timer;
};

static void
notify_on_watchdog(void *arg)
{
	struct notify *n = arg;

	notify_say(n, "WATCHDOG=1");
	loop_timer_arm(n->timer, n->watchdog_ns / 2);
}

static int
notify_open(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    str_copy(n->to.sun_path, sizeof(n->to.sun_path), path) != 0)
		return 0;
	n->to.sun_family = AF_UNIX;
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		n->to.sun_path[0] = '\0'; /* an abstract name */
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return n->fd < 0 ? -errno : 0;
}

static void
notify_start_watchdog(struct notify *n)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t usec;

	if (n->fd < 0 || text == NULL || num_parse(text, 1000, UINT32_MAX * 1000ull, &usec) != 0)
		return;
	n->watchdog_ns = usec * 1000;
	loop_timer_arm(n->timer, n->watchdog_ns / 2);
}

int
notify_new(struct loop *l, struct notify **ret_notify)
{
	struct notify *n = calloc(1, sizeof(*n));
	int r = -ENOMEM;

	if (n == NULL)
		return r;
	n->fd = -1;
	if ((r = loop_timer_new(l, notify_on_watchdog, n, &n->timer)) != 0 ||
	    (r = notify_open(n)) != 0) {
		notify_free(n);
		return r;
	}
	notify_start_watchdog(n);
	*ret_notify = n;
	return 0;
}

void
notify_free(struct notify *n)
{
	if (n == NULL)
		return;
	loop_timer_free(n->timer);
	fd_close(&n->fd);
	free(n);
}

void
notify_say(struct notify *n, const char *what)
{
	struct timespec now = { 0, 0 };
	char text[512];
	int len;

	if (n->fd < 0)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	len = strcmp(what, "RELOADING=1") == 0
		  ? snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%llu\n", what,
			(unsigned long long)now.tv_sec * 1000000ull +
			    (unsigned long long)now.tv_nsec / 1000ull)
		  : snprintf(text, sizeof(text), "%s\n", what);
	if (len <= 0 || (size_t)len >= sizeof(text))
		return;
	/* A manager that does not listen loses its own knowledge only. */
	(void)sendto(
	    n->fd, text, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_len);
}
