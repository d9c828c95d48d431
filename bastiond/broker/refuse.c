/* Refusals, and the clients that are still reading theirs. */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/refuse.h"
#include "lib/clock.h"
#include "lib/file.h"

#define REFUSE_LINGER 64u /* clients at once; further ones are closed at once, as in a flood */
#define REFUSE_LINGER_NS CLOCK_NS_PER_S
#define REFUSE_READS 4 /* of 4 KiB for each wake-up */

#define MSG_DISCONNECT 1u	 /* RFC 4253 section 11.1 */
#define TOO_MANY_CONNECTIONS 12u /* the same: reason */
#define BLOCK 8u		 /* RFC 4253 section 6, before any key exchange */

struct refuse_one {
	struct refuse *rf;
	int fd; /* -1: free */
	uint64_t until_ns;
	struct loop_io *io;
};

struct refuse {
	struct loop *loop;
	struct loop_timer *timer;
	struct refuse_one one[REFUSE_LINGER];
};

static void
refuse_put_u32(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

size_t
refuse_make(uint8_t *dst, const char *line)
{
	size_t len = strnlen(line, REFUSE_LINE_MAX), payload = 1 + 4 + 4 + len + 4, padding, at;
	int n = snprintf(
	    (char *)dst, REFUSE_SIZE, "%.*s\r\nSSH-2.0-OpenSSH_bastiond\r\n", (int)len, line);

	at = n > 0 ? (size_t)n : 0;
	/* RFC 4253 section 6: at least 4 bytes of padding, the whole a multiple of the block size. */
	padding = BLOCK - (5 + payload) % BLOCK;
	if (padding < 4)
		padding += BLOCK;
	memset(dst + at, 0, 5 + payload + padding);
	refuse_put_u32(dst + at, 1 + payload + padding);
	dst[at + 4] = (uint8_t)padding;
	dst[at + 5] = MSG_DISCONNECT;
	refuse_put_u32(dst + at + 6, TOO_MANY_CONNECTIONS);
	refuse_put_u32(dst + at + 10, len);
	memcpy(dst + at + 14, line, len);
	return at + 5 + payload + padding;
}

static void
refuse_close(struct refuse_one *o)
{
	loop_del(o->io);
	o->io = NULL;
	fd_close(&o->fd);
}

static void
refuse_on_client(void *arg, uint32_t revents)
{
	struct refuse_one *o = arg;
	char away[4096];

	(void)revents;
	for (int i = 0; i < REFUSE_READS; i++) {
		ssize_t n = recv(o->fd, away, sizeof(away), 0);

		if (n > 0)
			continue;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			refuse_close(o);
		return;
	}
}

static void
refuse_on_timer(void *arg)
{
	struct refuse *rf = arg;
	uint64_t now = clock_boot_ns(), next = UINT64_MAX;

	for (size_t i = 0; i < REFUSE_LINGER; i++) {
		struct refuse_one *o = &rf->one[i];

		if (o->fd >= 0 && o->until_ns <= now)
			refuse_close(o);
		if (o->fd >= 0 && o->until_ns - now < next)
			next = o->until_ns - now;
	}
	if (next != UINT64_MAX)
		loop_timer_arm(rf->timer, next);
}

int
refuse_new(struct loop *l, struct refuse **ret_refuse)
{
	struct refuse *rf = calloc(1, sizeof(*rf));
	int r;

	if (rf == NULL)
		return -ENOMEM;
	rf->loop = l;
	for (size_t i = 0; i < REFUSE_LINGER; i++)
		rf->one[i] = (struct refuse_one){ .rf = rf, .fd = -1 };
	if ((r = loop_timer_new(l, refuse_on_timer, rf, &rf->timer)) != 0) {
		free(rf);
		return r;
	}
	*ret_refuse = rf;
	return 0;
}

void
refuse_free(struct refuse *rf)
{
	if (rf == NULL)
		return;
	for (size_t i = 0; i < REFUSE_LINGER; i++)
		refuse_close(&rf->one[i]);
	loop_timer_free(rf->timer);
	free(rf);
}

static struct refuse_one *
refuse_free_place(struct refuse *rf)
{
	for (size_t i = 0; i < REFUSE_LINGER; i++)
		if (rf->one[i].fd < 0)
			return &rf->one[i];
	return NULL;
}

void
refuse_client(struct refuse *rf, int fd, const char *line)
{
	struct refuse_one *o = refuse_free_place(rf);
	uint8_t answer[REFUSE_SIZE];
	size_t len = refuse_make(answer, line);

	/* The answer fits into any socket's empty buffer; a client that is gone misses nothing. */
	if (send(fd, answer, len, MSG_NOSIGNAL) != (ssize_t)len || shutdown(fd, SHUT_WR) != 0 ||
	    o == NULL || loop_add(rf->loop, fd, EPOLLIN, refuse_on_client, o, &o->io) != 0) {
		fd_close(&fd);
		return;
	}
	o->fd = fd;
	o->until_ns = clock_boot_ns() + REFUSE_LINGER_NS;
	if (!loop_timer_armed(rf->timer))
		loop_timer_arm(rf->timer, REFUSE_LINGER_NS);
}
