/*
 * Whole messages over SOCK_SEQPACKET: framing, descriptors, the rule table, and a queue for a slow
 * peer.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/proto_digest.h"

#define IPC_SNDBUF (512 * 1024) /* bytes asked for, so that several full messages fit */
#define IPC_BURST 32 /* messages handled per wake-up, so that no peer starves the others */

struct ipc_out {
	STAILQ_ENTRY(ipc_out) link;
	size_t len; /* header and payload */
	int fds[IPC_FDS_MAX];
	size_t n_fds;
	uint8_t data[];
};

struct ipc {
	struct loop *loop;
	struct loop_io *io;
	int fd;
	struct ipc_conf conf;
	unsigned state;
	bool greeted; /* the peer's hello was seen */
	bool paused;
	bool broken; /* gone() is on its way or done */
	bool deaf; /* the peer closed: nothing can be sent, but what it sent before is still read */
	bool parked; /* not in the loop while paused: a closed peer would wake it without end */
	bool freed;  /* freed while in dispatch */
	int depth;   /* dispatch is on the stack */
	struct loop_timer *gone_timer;
	int gone_err;
	STAILQ_HEAD(ipc_out_list, ipc_out) out;
	size_t n_out;
};

/*
 * One receive buffer for the process: there is one thread, handlers do not receive, and a buffer of
 * this size per edge would cost the recorder gigabytes.
 */
static uint8_t ipc_scratch[IPC_HEADER + IPC_MAX];

int
ipc_pair(int ret_fds[2])
{
	int size = IPC_SNDBUF, fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0) {
			int r = -errno;

			fd_close(&fds[0]);
			fd_close(&fds[1]);
			return r;
		}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static void
ipc_head_put(uint8_t head[IPC_HEADER], uint16_t type, uint32_t id, size_t n_fds)
{
	head[0] = (uint8_t)(id >> 24);
	head[1] = (uint8_t)(id >> 16);
	head[2] = (uint8_t)(id >> 8);
	head[3] = (uint8_t)id;
	head[4] = (uint8_t)(type >> 8);
	head[5] = (uint8_t)type;
	head[6] = (uint8_t)(n_fds >> 8);
	head[7] = (uint8_t)n_fds;
}

union ipc_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
};

/* One sendmsg. 0; -errno (-EAGAIN: the peer is slow); ERR_PEER_GONE. */
static int
ipc_write(int fd, const void *head, size_t head_len, const void *data, size_t len, const int *fds,
    size_t n_fds)
{
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = head_len },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1 };
	union ipc_control control;
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *cm;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		return ERR_PEER_GONE;
	/* A full receive queue of a unix socket may also say ENOBUFS. */
	return errno == ENOBUFS ? -EAGAIN : -errno;
}

void
ipc_msg_close(struct ipc_msg *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++)
		fd_close(&msg->fds[i]);
	msg->n_fds = 0;
}

void
ipc_msg_wipe(struct ipc_msg *msg)
{
	sodium_memzero((void *)(uintptr_t)msg->data, msg->len);
}

static void
ipc_take_fds(struct msghdr *mh, struct ipc_msg *msg)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (msg->n_fds < IPC_FDS_MAX)
				msg->fds[msg->n_fds++] = fd;
			else
				fd_close(&fd);
		}
	}
}

/*
 * One recvmsg into data. 0; -EAGAIN; ERR_PEER_GONE; ERR_FORMAT. On error no descriptor stays open.
 */
static int
ipc_read(int fd, uint8_t *data, struct ipc_msg *msg)
{
	struct iovec iov = { .iov_base = data, .iov_len = IPC_HEADER + IPC_MAX };
	union ipc_control control;
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	ssize_t n;

	*msg = (struct ipc_msg){ 0 };
	/*
	 * A peer that closed with messages unread leaves one ECONNRESET before everything that it
	 * had sent: past it, its last messages are still there.
	 */
	do
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	ipc_take_fds(&mh, msg);
	if (n == 0) {
		ipc_msg_close(msg);
		return ERR_PEER_GONE;
	}
	if (n < (ssize_t)IPC_HEADER || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    (size_t)(data[6] << 8 | data[7]) != msg->n_fds) {
		ipc_msg_close(msg);
		return ERR_FORMAT;
	}
	msg->id =
	    (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
	msg->type = (uint16_t)(data[4] << 8 | data[5]);
	msg->data = data + IPC_HEADER;
	msg->len = (size_t)n - IPC_HEADER;
	return 0;
}

static bool
ipc_is_hello(const struct ipc_msg *msg)
{
	return msg->type == IPC_HELLO && msg->n_fds == 0 && msg->len == strlen(PROTO_DIGEST) &&
	       memcmp(msg->data, PROTO_DIGEST, msg->len) == 0;
}

static void
ipc_tell_gone(void *arg)
{
	struct ipc *c = arg;

	c->conf.gone(c->conf.arg, c->gone_err);
}

/* The owner hears of it from the loop, not from inside its own call. */
static void
ipc_break(struct ipc *c, int err)
{
	if (c->broken)
		return;
	c->broken = true;
	c->gone_err = err;
	loop_del(c->io);
	c->io = NULL;
	loop_timer_arm(c->gone_timer, 0);
}

static const struct ipc_rule *
ipc_find_rule(const struct ipc *c, uint16_t type)
{
	for (size_t i = 0; i < c->conf.n_rules; i++)
		if (c->conf.rules[i].type == type)
			return &c->conf.rules[i];
	return NULL;
}

static int
ipc_dispatch(struct ipc *c, struct ipc_msg *msg)
{
	const struct ipc_rule *rule;

	if (!c->greeted) {
		c->greeted = ipc_is_hello(msg);
		return c->greeted ? 0 : ERR_VERSION;
	}
	rule = ipc_find_rule(c, msg->type);
	if (rule == NULL || msg->len < rule->min_len || msg->len > rule->max_len ||
	    msg->n_fds != rule->n_fds) {
		log_warn("ipc.refused edge=%s type=%u name=%s len=%zu fds=%zu", c->conf.name,
		    msg->type, rule != NULL ? rule->name : "unknown", msg->len, msg->n_fds);
		return ERR_FORMAT;
	}
	if ((rule->states & 1u << c->state) == 0) {
		log_warn("ipc.refused edge=%s name=%s state=%u reason=\"not legal in this state\"",
		    c->conf.name, rule->name, c->state);
		return ERR_ORDER;
	}
	return rule->handle(c->conf.arg, msg);
}

static void
ipc_receive(struct ipc *c)
{
	struct ipc_msg msg;
	int r = 0;

	c->depth++;
	for (int i = 0; i < IPC_BURST && !c->broken && !c->freed && !c->paused; i++) {
		r = ipc_read(c->fd, ipc_scratch, &msg);
		if (r != 0)
			break;
		r = ipc_dispatch(c, &msg);
		ipc_msg_close(&msg);
		if (r != 0)
			break;
	}
	c->depth--;
	if (r != 0 && r != -EAGAIN && !c->freed)
		ipc_break(c, r);
}

static void
ipc_out_free(struct ipc_out *out)
{
	for (size_t i = 0; i < out->n_fds; i++)
		fd_close(&out->fds[i]);
	free(out);
}

/* Nothing reaches the peer any more; the end comes when all that it sent has been read. */
static void
ipc_go_deaf(struct ipc *c)
{
	struct ipc_out *out;

	c->deaf = true;
	while ((out = STAILQ_FIRST(&c->out)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->out, link);
		ipc_out_free(out);
	}
	c->n_out = 0;
}

static void
ipc_drain(struct ipc *c)
{
	struct ipc_out *out;
	int r = 0;

	while (r == 0 && (out = STAILQ_FIRST(&c->out)) != NULL) {
		r = ipc_write(c->fd, out->data, out->len, NULL, 0, out->fds, out->n_fds);
		if (r == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&c->out, link);
		c->n_out--;
		ipc_out_free(out);
	}
	if (r == ERR_PEER_GONE)
		ipc_go_deaf(c);
	else if (r != 0)
		ipc_break(c, r);
	if (!c->broken && c->conf.drained != NULL)
		c->conf.drained(c->conf.arg);
}

static int
ipc_watch(struct ipc *c)
{
	uint32_t events = (c->paused ? 0 : EPOLLIN) | (c->n_out > 0 ? EPOLLOUT : 0);

	return c->io == NULL ? 0 : loop_set(c->io, events);
}

/* A closed peer of a paused edge: what it sent stays in the socket until somebody wants it. */
static void
ipc_park(struct ipc *c)
{
	bool waiting = c->n_out > 0;

	ipc_go_deaf(c);
	loop_del(c->io);
	c->io = NULL;
	c->parked = true;
	if (waiting && c->conf.drained != NULL)
		c->conf.drained(c->conf.arg);
}

static void ipc_destroy(struct ipc *c);
static void ipc_on_event(void *arg, uint32_t revents);

static void
ipc_on_event(void *arg, uint32_t revents)
{
	struct ipc *c = arg;
	int r;

	c->depth++;
	if ((revents & EPOLLOUT) != 0 && c->n_out > 0)
		ipc_drain(c);
	if ((revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c->broken && !c->freed) {
		if (c->paused && (revents & (EPOLLHUP | EPOLLERR)) != 0)
			ipc_park(c);
		else if (!c->paused)
			ipc_receive(c);
	}
	if (!c->freed && (r = ipc_watch(c)) != 0)
		ipc_break(c, r);
	c->depth--;
	if (c->freed && c->depth == 0)
		ipc_destroy(c);
}

int
ipc_new(struct loop *l, int fd, const struct ipc_conf *conf, struct ipc **ret_ipc)
{
	struct ipc *c = calloc(1, sizeof(*c));
	uint8_t head[IPC_HEADER];
	int r;

	if (c == NULL)
		return -ENOMEM;
	*c = (struct ipc){ .loop = l, .fd = -1, .conf = *conf };
	STAILQ_INIT(&c->out);
	if ((r = loop_timer_new(l, ipc_tell_gone, c, &c->gone_timer)) != 0)
		goto fail;
	ipc_head_put(head, IPC_HELLO, 0, 0);
	r = ipc_write(fd, head, sizeof(head), PROTO_DIGEST, strlen(PROTO_DIGEST), NULL, 0);
	/* A peer that is gone already is told through gone(), like one that goes later. */
	if (r != 0 && r != ERR_PEER_GONE)
		goto fail;
	if ((r = loop_add(l, fd, EPOLLIN, ipc_on_event, c, &c->io)) != 0)
		goto fail;
	c->fd = fd;
	*ret_ipc = c;
	return 0;
fail:
	ipc_destroy(c);
	return r;
}

static void
ipc_destroy(struct ipc *c)
{
	struct ipc_out *out;

	loop_del(c->io);
	loop_timer_free(c->gone_timer);
	while ((out = STAILQ_FIRST(&c->out)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->out, link);
		ipc_out_free(out);
	}
	fd_close(&c->fd);
	free(c);
}

void
ipc_free(struct ipc *c)
{
	if (c == NULL || c->freed)
		return;
	if (c->depth == 0) {
		ipc_destroy(c);
		return;
	}
	c->freed = true;
	c->broken = true;
	loop_del(c->io);
	c->io = NULL;
	loop_timer_disarm(c->gone_timer);
}

void
ipc_set_state(struct ipc *c, unsigned state)
{
	assert(state < 32);
	c->state = state;
}

unsigned
ipc_state(const struct ipc *c)
{
	return c->state;
}

int
ipc_fd(const struct ipc *c)
{
	return c->fd;
}

size_t
ipc_queued(const struct ipc *c)
{
	return c->n_out;
}

int
ipc_pause(struct ipc *c, bool paused)
{
	c->paused = paused;
	if (c->parked && !paused && !c->broken) {
		c->parked = false;
		return loop_add(c->loop, c->fd, EPOLLIN, ipc_on_event, c, &c->io);
	}
	return ipc_watch(c);
}

static int
ipc_enqueue(
    struct ipc *c, const uint8_t *head, const void *data, size_t len, const int *fds, size_t n_fds)
{
	struct ipc_out *out;

	if (c->n_out >= (c->conf.queue_max != 0 ? c->conf.queue_max : IPC_QUEUE_MAX))
		return ERR_LIMIT;
	out = malloc(sizeof(*out) + IPC_HEADER + len);
	if (out == NULL)
		return -ENOMEM;
	out->len = IPC_HEADER + len;
	out->n_fds = 0;
	for (size_t i = 0; i < n_fds; i++) {
		out->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (out->fds[i] < 0) {
			int r = -errno;

			while (out->n_fds > 0)
				fd_close(&out->fds[--out->n_fds]);
			free(out);
			return r;
		}
		out->n_fds++;
	}
	memcpy(out->data, head, IPC_HEADER);
	if (len > 0)
		memcpy(out->data + IPC_HEADER, data, len);
	STAILQ_INSERT_TAIL(&c->out, out, link);
	c->n_out++;
	return ipc_watch(c);
}

int
ipc_send_fds(struct ipc *c, uint16_t type, uint32_t id, const void *data, size_t len,
    const int *fds, size_t n_fds)
{
	uint8_t head[IPC_HEADER];
	int r = -EAGAIN;

	if (len > IPC_MAX || n_fds > IPC_FDS_MAX)
		return ERR_LIMIT;
	if (c->broken || c->deaf)
		return ERR_PEER_GONE;
	ipc_head_put(head, type, id, n_fds);
	if (c->n_out == 0)
		r = ipc_write(c->fd, head, sizeof(head), data, len, fds, n_fds);
	if (r == -EAGAIN)
		r = ipc_enqueue(c, head, data, len, fds, n_fds);
	if (r == ERR_PEER_GONE)
		ipc_go_deaf(c);
	else if (r != 0)
		ipc_break(c, r);
	return r;
}

int
ipc_send(struct ipc *c, uint16_t type, uint32_t id, const void *data, size_t len)
{
	return ipc_send_fds(c, type, id, data, len, NULL, 0);
}

int
ipc_send_buf(struct ipc *c, uint16_t type, uint32_t id, const struct buf *b)
{
	return ipc_send_fds(c, type, id, buf_ptr(b), buf_len(b), NULL, 0);
}

#define IPC_PLAIN_SEND_NS                                                                          \
	(10 * CLOCK_NS_PER_S) /* a blocking send waits this long for a slow peer */

int
ipc_plain_send(
    int fd, uint16_t type, uint32_t id, const void *data, size_t len, const int *fds, size_t n_fds)
{
	uint64_t until = clock_boot_ns() + IPC_PLAIN_SEND_NS;
	uint8_t head[IPC_HEADER];
	int r;

	if (len > IPC_MAX || n_fds > IPC_FDS_MAX)
		return ERR_LIMIT;
	ipc_head_put(head, type, id, n_fds);
	while ((r = ipc_write(fd, head, sizeof(head), data, len, fds, n_fds)) == -EAGAIN)
		if ((r = fd_wait(fd, POLLOUT, until)) != 0)
			return r;
	return r;
}

int
ipc_plain_hello(int fd)
{
	return ipc_plain_send(fd, IPC_HELLO, 0, PROTO_DIGEST, strlen(PROTO_DIGEST), NULL, 0);
}

int
ipc_plain_recv(int fd, uint8_t *buf, struct ipc_msg *ret_msg, int wait_ms)
{
	uint64_t until =
	    clock_boot_ns() + (wait_ms < 0 ? 0u : (uint64_t)(unsigned)wait_ms) * CLOCK_NS_PER_MS;
	int r;

	for (;;) {
		r = ipc_read(fd, buf, ret_msg);
		if (r == -EAGAIN) {
			if ((r = fd_wait(fd, POLLIN, until)) != 0)
				return r;
			continue;
		}
		if (r != 0 || ret_msg->type != IPC_HELLO)
			return r;
		if (!ipc_is_hello(ret_msg)) {
			ipc_msg_close(ret_msg);
			return ERR_VERSION;
		}
	}
}
