/*
 * The channels of one SSH connection (RFC 4254 section 5) and their other halves on the link. A front and a back
 * each have one: what the SSH peer sends becomes link frames, what comes over the link becomes SSH messages. The two
 * ends together behave like one SSH connection: same requests, same bytes, same order.
 *
 * A channel has one number: it is the link's, and the one by which the peer addresses it. It is never used twice.
 *
 * Flow: the peer's window towards us is what the other end takes (LINK_CREDIT at first, then LINK_WINDOW), so what the
 * peer sends goes on at once and is never kept here. What the link brings waits in a queue for the peer's window; credit
 * goes back as it leaves. So a channel holds at most LINK_CREDIT bytes and MUX_SLACK.
 *
 * A channel is for the other end, or local: then its owner is its other end, nothing of it touches the link, and the same
 * windows hold: the peer's is MUX_LOCAL_WINDOW and grows as the owner takes, the owner's is what mux_local_room() says.
 *
 * No libssh, no sockets: the owner gives three functions to send with.
 */
#ifndef BASTION_MUX_H
#define BASTION_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/ssh/rd.h"
#include "lib/err.h"

struct mux;

#define MUX_SLACK                                                                                  \
	(64u * 1024) /* bytes by which a peer may exceed its window before it is cut off */
#define MUX_WINDOW_EARLY (64u * 1024) /* bytes a client may send before the other end is there */
#define MUX_BACKLOG (256u * 1024)     /* bytes unsent by the transport above which queues wait */
#define MUX_PACKET LINK_DATA_MAX      /* bytes of data that we take in one message */
#define MUX_WAITS_MAX 256u	      /* requests of one channel whose answers are outstanding */
#define MUX_CHANNELS_MAX 4096u	      /* channels of one connection, whatever the limit says */
#define MUX_NAME_MAX 64u	      /* bytes of a channel or request type that can be known */
#define MUX_TELL_MAX 8192u	      /* bytes of a text for a user */
#define MUX_FORWARDS_MAX 128u	      /* channels of one connection that are not sessions */
#define MUX_LOCAL_WINDOW (2u * 1024 * 1024) /* bytes that a peer may send before the owner takes */
#define MUX_LOCAL_STEP (256u * 1024)  /* bytes taken for which the peer's window is grown again */
#define MUX_LOCAL_QUEUE (256u * 1024) /* bytes of the owner that wait for the peer's window */

enum mux_side { MUX_FRONT, MUX_BACK };

/* What the owner wants done with a request of the peer. */
enum mux_answer {
	MUX_PASS,   /* over the link; the answer comes from the other side */
	MUX_REFUSE, /* failure, where an answer is wanted */
	MUX_GRANT   /* success, where an answer is wanted */
};

/* What a session channel has been asked for so far; kept by the engine, read and counted by the owner. */
struct mux_session {
	uint32_t id;
	bool pty;     /* pty-req went over */
	bool program; /* shell, exec or subsystem went over: nothing that prepares it may follow */
};

/* A channel request of the peer (RFC 4254 section 5.4). Borrowed. */
struct mux_request {
	struct rd_str name;
	bool want_reply;
	struct rd_str fields; /* what follows want_reply */
};

/* A channel that somebody opens. Borrowed. */
struct mux_open {
	uint32_t id; /* the number that it gets */
	struct rd_str type;
	struct rd_str fields; /* the type's own */
};

#define MUX_OPEN_LOCAL 0xffffffffu /* an answer to an open: the channel is the owner's */

struct mux_ops {
	/* Send one SSH message in two parts. 0; negative: the connection is broken. */
	int (*send)(
	    void *arg, const void *head, size_t head_len, const void *body, size_t body_len);
	/* Bytes sent that the peer's socket has not yet taken. */
	size_t (*backlog)(void *arg);
	/* Send one link frame (recorder/link_proto.h); copied. 0; negative: the link is broken. */
	int (*frame)(void *arg, uint16_t type, uint32_t id, const void *data, size_t len);
	/*
	 * The client opens a channel. 0; MUX_OPEN_LOCAL: it waits for mux_local_confirm() or mux_local_refuse(); or a
	 * reason (enum ssh_open_failure) and a line for it. Front only: what a target may open, the engine knows.
	 */
	uint32_t (*may_open)(void *arg, const struct mux_open *open, const char **ret_text);
	/* The peer asks for this on a channel. Before the owner is called, nothing is known about name and fields. */
	enum mux_answer (*may_request)(
	    void *arg, const struct mux_session *session, const struct mux_request *req);
};

/* What the owner of local channels hears; none of these may be answered with a mux_local_*() but the ones named. */
struct mux_local_ops {
	/* Bytes of the peer. mux_local_took(). 0; negative: the connection is broken. */
	int (*data)(void *arg, uint32_t id, struct rd_str data);
	/* No more of them. mux_local_eof(), mux_local_close(). */
	int (*eof)(void *arg, uint32_t id);
	/* The channel is over, nothing can be said on it: the peer has closed it. */
	void (*closed)(void *arg, uint32_t id);
	/* mux_local_room() has become more than nothing. */
	void (*room)(void *arg, uint32_t id);
};

/*
 * limit: sessions open at the same time, at most MUX_CHANNELS_MAX; other channels: MUX_FORWARDS_MAX. ops, arg: borrowed.
 * NULL: out of memory.
 */
struct mux *mux_new(enum mux_side side, uint32_t limit, const struct mux_ops *ops, void *arg);
void mux_free(struct mux *m);
/* Front: what policy allows this login, known after mux_new(). */
void mux_set_limit(struct mux *m, uint32_t limit);

/*
 * Requests outside channels (RFC 4254 section 4): replies leave in the order of the requests, whoever answers them. The
 * peer's request: over the link (raw: from its name on, as it came), or an answer from here. A question of our own is
 * being sent, so that its answer will be known for that. A reply of the peer, type byte first. Results as mux_message().
 */
int mux_global_pass(
    struct mux *m, struct rd_str name, bool want_reply, struct rd_str raw) MUST_CHECK;
int mux_global_answer(struct mux *m, bool success) MUST_CHECK;
int mux_global_own(struct mux *m) MUST_CHECK;
int mux_global_reply(struct mux *m, const uint8_t *msg, size_t len) MUST_CHECK;

/*
 * A message of the peer, type byte first: SSH_MSG_CHANNEL_OPEN (90) to SSH_MSG_CHANNEL_FAILURE (100).
 * 0; ERR_FORMAT, ERR_ORDER, ERR_LIMIT the peer broke a rule, mux_why() says which; -ENOMEM; an error of ops.
 */
int mux_message(struct mux *m, const uint8_t *msg, size_t len) MUST_CHECK;
/* A frame of the other end: LINK_OPEN (16) to LINK_GLOBAL_REPLY (29), LINK_MORE. Results as mux_message(). */
int mux_frame(
    struct mux *m, uint16_t type, uint32_t id, const uint8_t *data, size_t len) MUST_CHECK;
/* Why the last call failed, one line without peer's bytes. */
const char *mux_why(const struct mux *m);

/* Front: the other end is logged in at its target: clients get their full windows. 0 or an error of ops. */
int mux_ready(struct mux *m) MUST_CHECK;
bool mux_was_ready(const struct mux *m);
/*
 * Send what windows and the transport's backlog let through, each channel in turn. To be called after every pass over
 * the sockets, it also hands on what was collected for the link. 0 or an error of ops; -ENOMEM.
 */
int mux_pump(struct mux *m) MUST_CHECK;
/* Bytes or messages wait for the peer; progress is what mux_pump() sent since it was last asked. */
bool mux_waits(const struct mux *m);
uint64_t mux_sent(const struct mux *m);

/*
 * Front: there is no other end (any more). Every channel but local ones, present or future, gets its program request granted, text as
 * one line on stderr, this exit status, EOF and CLOSE; nothing more goes to the link. text: copied; only printable ASCII is shown.
 */
int mux_finish(struct mux *m, uint32_t exit_status, const char *text) MUST_CHECK;
bool mux_finished(const struct mux *m);
/* Channels that were told such an end, or denied; ever. */
uint32_t mux_told(const struct mux *m);
/* Front: policy denied the request `asked` on channel id: same, for that channel, or a failure for what prepares it. */
int mux_deny(struct mux *m, uint32_t id, struct rd_str asked, const char *text) MUST_CHECK;
/*
 * Front: text for the user, once: on stderr of a session that runs a program, or of the first that will. terminal: of one
 * with a terminal only, or nobody hears it. text: may have several lines; each is made printable. Of what has to wait the
 * first of either kind is kept, at most MUX_TELL_MAX bytes.
 */
int mux_tell(struct mux *m, bool terminal, const char *text) MUST_CHECK;

/* Local channels (front). ops, arg: borrowed; before the first MUX_OPEN_LOCAL. */
void mux_set_local(struct mux *m, const struct mux_local_ops *ops, void *arg);
/* The channel is open; or it is not, for this reason (enum ssh_open_failure): then closed() is not called. Each as
 * mux_message(); ERR_ORDER: not a channel for which this is due. */
int mux_local_confirm(struct mux *m, uint32_t id) MUST_CHECK;
int mux_local_refuse(struct mux *m, uint32_t id, uint32_t reason, const char *text) MUST_CHECK;
/* Bytes that mux_local_data() takes now; 0: room() will be called. */
size_t mux_local_room(struct mux *m, uint32_t id);
int mux_local_data(struct mux *m, uint32_t id, const void *data, size_t len) MUST_CHECK;
/* No more data of the owner. */
int mux_local_eof(struct mux *m, uint32_t id) MUST_CHECK;
/* n bytes that came with data() are done with. */
int mux_local_took(struct mux *m, uint32_t id, size_t n) MUST_CHECK;
/* The owner is done with the channel: CLOSE follows what it sent; what still comes is dropped; closed() is not called. */
int mux_local_close(struct mux *m, uint32_t id) MUST_CHECK;

/* Channels of which not both sides have sent CLOSE; those of them that are local. */
uint32_t mux_channels(const struct mux *m);
uint32_t mux_locals(const struct mux *m);
/*
 * Channels whose other end has closed and whose peer has not: where nothing moved for wait_ns, what waits for a target is
 * dropped, so that CLOSE gets through; where CLOSE is not answered for wait_ns, the other end is told that the peer has closed
 * (LINK_NOTE_UNCLOSED, LINK_CLOSE). Call it a few times in wait_ns as long as mux_closing(). now_ns: of clock_boot_ns().
 * 0 or an error of ops.
 */
int mux_expire(struct mux *m, uint64_t now_ns, uint64_t wait_ns) MUST_CHECK;
bool mux_closing(const struct mux *m);

/* Tell the record that something was refused (LINK_NOTE_REFUSED). what is escaped and cut. 0 or an error of ops. */
int mux_note_refused(struct mux *m, uint32_t id, struct rd_str what, const char *why) MUST_CHECK;

/* shell, exec, subsystem: what starts a program (RFC 4254 section 6.5). */
bool mux_is_program(struct rd_str name);
/* Do a request's fields have this shape? u: u32, b: u8, s: string; nothing may follow. */
bool mux_shape(struct rd_str fields, const char *shape);

#endif
