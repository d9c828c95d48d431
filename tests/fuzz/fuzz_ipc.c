/*
 * An edge against a peer that sends any packets. Input: one byte flags (1: begin with the right hello), then packets: two
 * bytes length, one byte number of descriptors (0 to 7), the bytes. What a handler sees fits its row; no descriptor stays.
 */
#include "config.h"

#include <sys/socket.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKETS_MAX 40u /* of an input; fewer than a socket holds */

struct edge {
	struct ipc *ipc;
	int gone;
};

static int on_small(void *arg, struct ipc_msg *msg);
static int on_fds(void *arg, struct ipc_msg *msg);
static int on_state(void *arg, struct ipc_msg *msg);

static const struct ipc_rule rules[] = {
	{ 1, "small", 2, 8, 0, IPC_ANY_STATE, on_small },
	{ 2, "fds", 0, IPC_MAX, 2, IPC_ANY_STATE, on_fds },
	{ 3, "state", 1, 1, 0, 1u, on_state },
};

static int
on_small(void *arg, struct ipc_msg *msg)
{
	struct edge *e = arg;

	if (msg->type != 1 || msg->len < 2 || msg->len > 8 || msg->n_fds != 0)
		abort();
	return msg->data[0] == 0xff ? ERR_DENIED
				    : ipc_send(e->ipc, 1, msg->id, msg->data, msg->len);
}

static int
on_fds(void *arg, struct ipc_msg *msg)
{
	(void)arg;
	if (msg->type != 2 || msg->n_fds != 2 || fcntl(msg->fds[0], F_GETFD) != FD_CLOEXEC ||
	    fcntl(msg->fds[1], F_GETFD) != FD_CLOEXEC)
		abort();
	if (msg->len > 0 && msg->data[0] == 'k') {
		fd_close(&msg->fds[0]);
		ipc_msg_close(msg);
	}
	return 0;
}

static int
on_state(void *arg, struct ipc_msg *msg)
{
	struct edge *e = arg;

	if (ipc_state(e->ipc) != 0)
		abort();
	ipc_set_state(e->ipc, msg->data[0] & 1);
	return 0;
}

static void
on_gone(void *arg, int err)
{
	struct edge *e = arg;

	if (err >= 0 || e->gone++ != 0)
		abort();
	ipc_free(e->ipc);
	e->ipc = NULL;
}

static void
send_packet(int fd, const uint8_t *data, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(7 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[7] = { fd, fd, fd, fd, fd, fd, fd };

	memset(&control, 0, sizeof(control));
	if (n_fds > 0) {
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	(void)sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT); /* a full socket loses it, as it may */
}

static void
send_all(int fd, const uint8_t *data, size_t size)
{
	for (unsigned n = 0; size >= 3 && n < PACKETS_MAX; n++) {
		size_t len = (size_t)data[0] << 8 | data[1], n_fds = data[2] & 7;

		data += 3;
		size -= 3;
		len = len > size ? size : len;
		send_packet(fd, data, len, n_fds);
		data += len;
		size -= len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edge e = { NULL, 0 };
	struct ipc_conf conf = { .name = "fuzz",
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.arg = &e,
		.gone = on_gone };
	int first_free = dup(STDIN_FILENO), fds[2];
	struct loop *l = NULL;

	fds[0] = first_free;
	fd_close(&fds[0]);
	log_set_level(LOG_LEVEL_ERR);
	if (size == 0 || loop_new(&l) != 0 || ipc_pair(fds) != 0 ||
	    ipc_new(l, fds[0], &conf, &e.ipc) != 0)
		goto out;
	if ((data[0] & 1) != 0 && ipc_plain_hello(fds[1]) != 0)
		abort();
	send_all(fds[1], data + 1, size - 1);
	for (int i = 0; i < 6; i++)
		if (loop_pass(l, 0) != 0)
			abort();
	fd_close(&fds[1]);
	for (int i = 0; i < 4; i++)
		if (loop_pass(l, 0) != 0)
			abort();
	if (e.gone == 0)
		abort();
out:
	loop_free(l);
	/* The lowest free number is what it was: nothing below it, and nothing of ours, was left open. */
	fds[0] = dup(STDIN_FILENO);
	if (fds[0] != first_free)
		abort();
	fd_close(&fds[0]);
	return 0;
}
