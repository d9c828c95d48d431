/*
 * One channel engine between a scripted SSH peer and a scripted link: what it sends to either is kept in order, and
 * taken from there by the test. Messages are spelled by shape: b byte, u u32, s C string as SSH string, r bytes to a NUL.
 */
#ifndef BASTION_MUX_RIG_H
#define BASTION_MUX_RIG_H

#include <stdarg.h>

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/ssh_msg.h"
#include "recorder/link_proto.h"

struct rig_item {
	uint16_t type; /* of a frame; of an SSH message its first byte */
	uint32_t id;   /* of a frame */
	uint8_t *data; /* an SSH message whole, a frame's payload */
	size_t len;
};

struct rig_log {
	struct rig_item *items;
	size_t first, n, size;
};

struct rig {
	enum mux_side side;
	struct mux *mux;
	struct rig_log ssh, link;
	size_t backlog;	     /* what the transport says it holds */
	int send_result;     /* what it answers */
	int frame_result;    /* what the link answers */
	enum mux_answer say; /* what the owner says to a request it does not know */
};

/* A fresh engine; the owner lets sessions and the requests of RFC 4254 pass and refuses the rest. */
void rig_init(struct rig *g, enum mux_side side, uint32_t limit);
void rig_done(struct rig *g);
void rig_log_clear(struct rig_log *l);

/* Bytes of this shape; *ret_len of them, valid until the next but three. */
const uint8_t *rig_bytes(size_t *ret_len, const char *shape, ...);
const uint8_t *rig_vbytes(size_t *ret_len, const char *shape, va_list *ap);

/* The peer or the link says this; the answer of the engine, pumped when it was 0. */
int rig_ssh(struct rig *g, const char *shape, ...);
int rig_link(struct rig *g, uint16_t type, uint32_t id, const char *shape, ...);

/* Keep a message or frame in two parts. The next one of a log is this; fails the test with both if not. */
void rig_log_put(struct rig_log *l, uint16_t type, uint32_t id, struct rd_str a, struct rd_str b);
void rig_log_want(struct rig_log *l, const char *shape, ...);

/* The next thing that went out is this; fails the test with both in hex if not. */
void rig_want_ssh(struct rig *g, const char *shape, ...);
void rig_want_link(struct rig *g, uint16_t type, uint32_t id, const char *shape, ...);
/* Nothing more went out. */
void rig_want_quiet(struct rig *g);
/* Take the next message or frame; false: there is none. Data is valid until the log is cleared. */
bool rig_take(struct rig_log *l, struct rig_item *ret_item);

/*
 * A session is open on both sides and a program runs: front: the client's number is 7; back: the target's is 9. The
 * windows are those of OpenSSH (2 MiB, 32 KiB). Nothing is left in the logs.
 */
void rig_session(struct rig *g, uint32_t id);

#endif
