/* Taking puppets, and speaking with the bastion in their name. */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "tests/hostile/hostile.h"

static uint8_t space[IPC_HEADER + IPC_MAX];

int
h_fail(struct hostile *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(h->why, sizeof(h->why), fmt, ap); /* cut is fine */
	va_end(ap);
	return -1;
}

static bool
readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Both the role and the descriptors of who comes next. */
static int
take(struct hostile *h, char role, struct side *s)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(PUPPET_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &s->role, .iov_len = 1 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	struct cmsghdr *cm;

	if (!readable(h->listener, H_WAIT_MS) ||
	    (s->ctl = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		return h_fail(h, "no puppet '%c' came", role);
	if (!readable(s->ctl, H_WAIT_MS) || recvmsg(s->ctl, &mh, MSG_CMSG_CLOEXEC) != 1 ||
	    (cm = CMSG_FIRSTHDR(&mh)) == NULL || s->role != role)
		return h_fail(h, "another puppet came than '%c'", role);
	memcpy(s->fd, CMSG_DATA(cm), cm->cmsg_len - CMSG_LEN(0));
	return send(s->ctl, "k", 1, MSG_NOSIGNAL) == 1 ? 0 : h_fail(h, "the puppet died");
}

static int
connect_from(struct hostile *h)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(h->port) }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_port = 0;
	if (fd < 0 || inet_pton(AF_INET, h->source, &from.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		fd_close(&fd);
		(void)h_fail(h, "connect from %s: %s", h->source, strerror(errno));
	}
	return fd;
}

static int
start(struct hostile *h, struct side *s, char role, uint16_t type)
{
	struct ipc_msg msg;

	if (take(h, role, s) != 0 || h_want(h, s->fd[H_BROKER], type, &msg) != 0)
		return -1;
	s->id = msg.id;
	return 0;
}

static void
fresh(struct side *s)
{
	*s = (struct side){ .ctl = -1, .fd = { -1, -1, -1, -1 }, .tcp = -1, .link = -1 };
}

int
h_nested(struct hostile *h, struct side *s)
{
	fresh(s);
	return start(h, s, PUPPET_FRONT, BRK_FRONT_START);
}

int
h_front(struct hostile *h, struct side *s)
{
	fresh(s);
	if ((s->tcp = connect_from(h)) < 0)
		return -1;
	return start(h, s, PUPPET_FRONT, BRK_FRONT_START);
}

int
h_back(struct hostile *h, struct side *s)
{
	fresh(s);
	return start(h, s, PUPPET_BACK, BRK_BACK_START);
}

void
h_drop(struct side *s)
{
	for (int i = 0; i < PUPPET_FDS_MAX; i++)
		fd_close(&s->fd[i]);
	fd_close(&s->ctl);
	fd_close(&s->tcp);
	fd_close(&s->link);
	buf_free(s->login);
	s->login = NULL;
}

int
h_want(struct hostile *h, int fd, uint16_t type, struct ipc_msg *ret_msg)
{
	int r;

	do
		r = ipc_plain_recv(fd, space, ret_msg, H_WAIT_MS);
	while (r == 0 && ret_msg->type != type);
	return r == 0 ? 0 : h_fail(h, "message %u did not come: %s", type, err_str(r));
}

/* Until the edge ends, or ms without a message. 1: it ended; 0: it is quiet; -1: what must not come came. */
static int
listen_to(struct hostile *h, int fd, uint16_t never, int ms)
{
	struct ipc_msg msg;
	int r;

	while ((r = ipc_plain_recv(fd, space, &msg, ms)) == 0) {
		ipc_msg_close(&msg);
		if (msg.type == never)
			return h_fail(h, "message %u came", never);
	}
	return r == -ETIMEDOUT ? 0 : 1;
}

int
h_want_cut(struct hostile *h, int fd, uint16_t never)
{
	int r = listen_to(h, fd, never, H_WAIT_MS);

	return r == 1 ? 0 : r == 0 ? h_fail(h, "the edge did not end") : -1;
}

int
h_want_quiet(struct hostile *h, int fd, uint16_t never)
{
	return listen_to(h, fd, never, H_QUIET_MS) < 0 ? -1 : 0;
}

int
h_want_killed(struct hostile *h, struct side *s)
{
	char word;

	if (readable(s->ctl, H_WAIT_MS) && recv(s->ctl, &word, 1, 0) <= 0)
		return 0;
	return h_fail(h, "its process was not killed");
}

int
h_want_ended(struct hostile *h, struct side *s)
{
	struct ipc_msg msg;
	int r;

	do {
		r = ipc_plain_recv(s->fd[H_BROKER], space, &msg, H_WAIT_MS);
		if (r == 0)
			ipc_msg_close(&msg);
		if (r == 0 && msg.type == BRK_FRONT_LINK)
			return h_fail(h, "it got a link");
	} while (r == 0 && msg.type != BRK_FRONT_CLOSE);
	return r == 0 ? 0 : h_want_killed(h, s);
}

void
h_say(int fd, uint16_t type, uint32_t id, const void *data, size_t len)
{
	if (ipc_plain_send(fd, type, id, data, len, NULL, 0) != 0)
		errno = 0; /* it is over on the other side */
}

void
h_raw(int fd, uint16_t type, uint16_t said_fds, const void *data, size_t len, int n_fds)
{
	const uint8_t head[IPC_HEADER] = { 0, 0, 0, 0, (uint8_t)(type >> 8), (uint8_t)type,
		(uint8_t)(said_fds >> 8), (uint8_t)said_fds };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = { { (void *)(uintptr_t)head, sizeof(head) },
		{ (void *)(uintptr_t)data, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1 };
	struct cmsghdr *cm;

	if (n_fds > 0) {
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		for (int i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(cm) + (size_t)i * sizeof(int), &fd, sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		errno = 0; /* likewise */
}
