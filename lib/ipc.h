/*
 * Messages between our processes: whole messages with their descriptors over SOCK_SEQPACKET. Who is
 * on the other end is a property of the socket (who was started with it), never of a field in a
 * message.
 *
 * On the wire: u32 id, u16 type, u16 number of fds, payload; big-endian; at most IPC_MAX bytes of
 * payload. The first message each side sends is IPC_HELLO with the build's protocol digest; another
 * digest ends the edge.
 */
#ifndef BASTION_IPC_H
#define BASTION_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/loop.h"

#define IPC_MAX                                                                                    \
	65536u /* bytes of payload in one message (a link frame of 32 KiB fits with its head) */
#define IPC_HEADER 8u  /* bytes before the payload */
#define IPC_FDS_MAX 4u /* descriptors in one message */
#define IPC_QUEUE_MAX                                                                              \
	1024u	     /* messages that may wait for a slow peer before it is given up (ERR_LIMIT) */
#define IPC_HELLO 0u /* type of the first message */

struct ipc;

struct ipc_msg {
	uint32_t id; /* the connection, leg or request it is about; the edge's own meaning */
	uint16_t type;
	const uint8_t *data; /* payload, borrowed for the call */
	size_t len;
	int fds
	    [IPC_FDS_MAX]; /* close-on-exec; those that the handler wants to keep it sets to -1 here */
	size_t n_fds;
};

/*
 * What an edge accepts; checked before the handler sees a byte. A message that fits no row ends the
 * edge. states: bit mask of the states (0..31) in which it is legal; see ipc_set_state().
 * Handler: 0; negative ends the edge with that error.
 */
struct ipc_rule {
	uint16_t type;
	const char *name;
	uint32_t min_len, max_len;
	uint32_t n_fds;
	uint32_t states;
	int (*handle)(void *arg, struct ipc_msg *msg);
};
#define IPC_ANY_STATE 0xffffffffu

struct ipc_conf {
	const char *name; /* of the edge, for logs: "front-policy" */
	size_t queue_max; /* 0: IPC_QUEUE_MAX */
	const struct ipc_rule *rules;
	size_t n_rules;
	void *arg;
	/*
	 * The edge is over: the peer closed and all that it had sent was handled (ERR_PEER_GONE),
	 * or it broke a rule. Called once; free it there or later.
	 */
	void (*gone)(void *arg, int err);
	/* Optional: the queue towards a slow peer became empty again. */
	void (*drained)(void *arg);
};

/*
 * A connected pair, close-on-exec, non-blocking, send buffers large enough for IPC_MAX. 0; -errno.
 */
int ipc_pair(int ret_fds[2]) MUST_CHECK;

/* Serve fd on the loop. fd: owned by the ipc from success on. 0; -errno. Sends the hello. */
int ipc_new(struct loop *l, int fd, const struct ipc_conf *conf, struct ipc **ret_ipc) MUST_CHECK;
void ipc_free(struct ipc *c);

/* The state that the rules' masks speak of; 0 at first. */
void ipc_set_state(struct ipc *c, unsigned state);
unsigned ipc_state(const struct ipc *c);
/* Borrowed. */
int ipc_fd(const struct ipc *c);

/*
 * Send a message; copied or sent at once, in order. fds: borrowed (duplicated by the kernel).
 * 0; ERR_LIMIT queue full or payload too long; ERR_PEER_GONE; -errno.
 */
int ipc_send(struct ipc *c, uint16_t type, uint32_t id, const void *data, size_t len) MUST_CHECK;
int ipc_send_fds(struct ipc *c, uint16_t type, uint32_t id, const void *data, size_t len,
    const int *fds, size_t n_fds) MUST_CHECK;
int ipc_send_buf(struct ipc *c, uint16_t type, uint32_t id, const struct buf *b) MUST_CHECK;
size_t ipc_queued(const struct ipc *c); /* messages waiting for the peer */
/*
 * Stop or resume reading from the peer. A peer that closes meanwhile is noticed when reading is
 * resumed.
 */
int ipc_pause(struct ipc *c, bool paused) MUST_CHECK;

/*
 * Without a loop, blocking, for tools and start-up: send one message; wait for the next message at
 * most wait_ms. The hello is handled inside (ipc_plain_hello() first). msg->data points into buf
 * (IPC_HEADER + IPC_MAX bytes).
 * 0; ERR_PEER_GONE; ERR_VERSION; ERR_FORMAT; -ETIMEDOUT; -errno.
 */
int ipc_plain_hello(int fd) MUST_CHECK;
int ipc_plain_send(int fd, uint16_t type, uint32_t id, const void *data, size_t len, const int *fds,
    size_t n_fds) MUST_CHECK;
int ipc_plain_recv(int fd, uint8_t *buf, struct ipc_msg *ret_msg, int wait_ms) MUST_CHECK;
/* Close the descriptors that nobody took. */
void ipc_msg_close(struct ipc_msg *msg);
/* Overwrite the payload where it was received: for handlers of secrets, as the last thing that they do. */
void ipc_msg_wipe(struct ipc_msg *msg);

#endif
