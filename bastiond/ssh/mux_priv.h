/*
 * What the files of the channel engine share. mux.c: the table of channels, notes, endings; mux_peer.c: messages of the
 * SSH peer; mux_link.c: frames of the other end; mux_flow.c: what leaves, either way, and the accounts of both windows;
 * mux_local.c: channels whose other half is the owner; mux_asked.c: which channels may be opened from where, and what was
 * asked for that lets a target open some; mux_global.c: requests outside channels.
 */
#ifndef BASTION_MUX_PRIV_H
#define BASTION_MUX_PRIV_H

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/mux_queue.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/buf.h"
#include "recorder/link_proto.h"

#define MUX_REQUEST_MAX (LINK_REQUEST_MAX - 4u) /* bytes of a client's request, from its name on */
#define MUX_FRAME_MAX 65000u			/* bytes of any other that go in one frame */
#define MUX_QUEUED_BYTES                                                                           \
	(4u * 1024 * 1024) /* bytes of messages of one channel that wait for such a peer */
#define MUX_QUEUED_MAX                                                                             \
	1024u /* messages of one channel that may wait for a peer that does not read */

enum mux_wait_state { WAIT_OPEN, WAIT_SUCCESS, WAIT_FAILURE };

/* A request that wants a reply. */
struct mux_wait {
	uint32_t number; /* on the link; 0: it did not go there */
	enum mux_wait_state state;
	char name[MUX_NAME_MAX + 1];
	uint32_t times;	 /* global, and not of the link: so many of our own questions in a row */
	uint8_t data[4]; /* global: what the reply says, */
	size_t data_len; /* 0 or 4 */
};

/* Requests in the order in which their replies are due. All zero: empty. */
struct mux_waits {
	struct mux_wait *v;
	uint32_t first, n, size;
};

/* An address or path where a target listens for the client, or is asked to. */
struct mux_forward {
	uint32_t asked; /* number of the request, while its answer is outstanding; 0: it listens */
	uint32_t cancels; /* number of the request that ends it; 0: none */
	bool path;	  /* streamlocal */
	uint32_t port;
	char *where; /* as it was asked for; */
	size_t where_len;
};

/* What the client's side has asked for. All zero: nothing. */
struct mux_asked {
	bool agent, x11;
	uint32_t x11_once; /* connections of x11-req that asked for a single one */
	struct mux_forward *v;
	uint32_t n, size;
};

struct mux_chan {
	uint32_t id;	   /* ours at the peer, and the link's */
	uint32_t peer_id;  /* the peer's */
	uint32_t peer_max; /* bytes of data that the peer takes in one message */
	uint32_t room;	   /* bytes that the peer takes now: its window */
	int64_t window;	   /* bytes that the peer may send us */
	int64_t credit;	   /* bytes that the link may bring */
	uint32_t early;	   /* bytes that the peer may send once it can be told */
	uint32_t owed;	   /* bytes that left for the peer since credit was last given back */
	uint32_t asked;	   /* number of the last request that went to the link */
	uint32_t heard;	   /* number of the last one that came from it */
	uint32_t taken;	   /* local: bytes that the owner took since the peer's window was grown */
	bool known;	   /* the peer's number is known: it has confirmed, or it opened */
	bool by_peer;	   /* the peer has opened it, else the link */
	bool owes;	   /* and waits for the answer */
	bool session_type; /* it is a session; else a forward of some kind */
	bool local;	   /* the owner is its other half; link_* then tell of the owner */
	bool full;	   /* local: the owner was told that there is no room */
	bool flows;	   /* data may leave for the peer: a program runs, or this is a front */
	bool open;	   /* the peer has opened it, and the other end has confirmed */
	bool moved;	   /* something left for the peer since mux_expire() looked */
	uint64_t still_ns; /* when it saw that for the last time, or that nothing is closing */
	bool discard;	   /* data for the peer is dropped: it has closed, or takes nothing */
	bool peer_eof, peer_close; /* came from the peer */
	bool sent_close;	   /* went to the peer */
	bool link_eof, link_close; /* came over the link */
	bool told;		   /* an exit status or signal is on its way to the peer */
	bool left;		   /* LINK_CLOSE went to the link: nothing follows */
	bool ending;		   /* the link does not count any more: the end is ours to tell */
	bool ended;		   /* and it is in the queue */
	bool noted;		   /* the record knows of data of an unknown type */
	uint32_t end_status;	   /* what mux_end() will say when its time comes; */
	char *end_text;		   /* NULL: mux_finish()'s words */
	char *tell;		   /* front: a line for its user once a program runs; NULL: none */
	struct mux_session session;
	struct mux_queue ctl;	/* back: requests and replies, which need not wait for data */
	struct mux_queue flow;	/* what must keep its order with data */
	struct mux_waits peers; /* the peer's requests: it is owed the replies */
	struct mux_waits links; /* the link's requests: it is owed the replies */
};

struct mux {
	enum mux_side side;
	uint32_t limit;
	const struct mux_ops *ops;
	void *arg;
	const struct mux_local_ops *local;
	void *local_arg;
	const char *why;
	struct mux_chan **chans; /* in the order of their numbers */
	uint32_t n_chans, size;
	uint32_t highest;      /* number of the last channel that the client's side ever opened; */
	uint32_t highest_back; /* that the target's did, 0: none */
	uint32_t turn;	       /* whose turn it is to send first */
	uint32_t notes;	       /* refusals that the record has been told */
	uint32_t told;	       /* channels that were told their end by us */
	bool ready;	       /* the other end is at work */
	bool finished;	       /* there is no other end: see mux_finish() */
	uint32_t status;       /* exit status for mux_finish(), */
	char text[1024];       /* and its line */
	uint64_t sent;	       /* messages and bytes that left for the peer */
	char *tell[2]; /* front: for the first session that runs a program; [1]: on a terminal */
	struct mux_asked asked;
	uint32_t global_asked, global_heard; /* as of a channel, for global requests */
	struct mux_waits global_peers, global_links;
	struct buf *frame;  /* a frame that is being built */
	struct buf *more;   /* back: what came of a request in several frames, */
	uint32_t more_id;   /* of this channel; 0: none is on its way */
	struct buf *joined; /* data of one channel and stream, not yet on the link */
	uint32_t joined_id;
	uint16_t joined_type;
};

/* mux.c */

/* The peer or the link broke a rule: keep the reason, give back err. */
int mux_broken(struct mux *m, int err, const char *why) MUST_CHECK;
struct mux_chan *mux_find(struct mux *m, uint32_t id);
/* A channel with this number, not yet known to the peer. 0; -ENOMEM. */
int mux_add(struct mux *m, uint32_t id, struct mux_chan **ret_c) MUST_CHECK;
/* Both sides have closed, or the peer never opened: forget it. */
void mux_drop(struct mux *m, struct mux_chan *c);
/*
 * Tell the channel's peer how it ends: text on stderr, exit status, EOF, CLOSE. The link hears LINK_CLOSE. At once when
 * the peer has asked for a program, else when it does.
 */
int mux_end(struct mux *m, struct mux_chan *c, uint32_t exit_status, const char *text) MUST_CHECK;
/* The words of mux_end() or mux_finish(), now. */
int mux_end_now(struct mux *m, struct mux_chan *c) MUST_CHECK;
/* CLOSE for the peer and LINK_CLOSE for the link, without words. */
int mux_cut(struct mux *m, struct mux_chan *c) MUST_CHECK;

/* Replies that are due, in order. number 0 is never found. */
int mux_waits_add(
    struct mux_waits *w, uint32_t number, struct rd_str name, enum mux_wait_state) MUST_CHECK;
struct mux_wait *mux_waits_at(struct mux_waits *w, uint32_t i);
struct mux_wait *mux_waits_find(struct mux_waits *w, uint32_t number);
void mux_waits_pop(struct mux_waits *w);

/* CHANNEL_OPEN_CONFIRMATION for what the peer has opened; fields: the type's own. */
int mux_confirm(struct mux *m, struct mux_chan *c, struct rd_str fields) MUST_CHECK;
/* CHANNEL_OPEN_FAILURE for it; the channel is forgotten. text: made printable. */
int mux_refuse(struct mux *m, struct mux_chan *c, uint32_t reason, struct rd_str text) MUST_CHECK;

/* A number that was ever a channel's. */
bool mux_was(const struct mux *m, uint32_t id);
/* Other channels than sessions are bounded on their own. */
bool mux_has_room(const struct mux *m, struct rd_str type);
/* A line on stderr of the channel. */
int mux_line(struct mux *m, struct mux_chan *c, const char *text) MUST_CHECK;
/* A program was asked for on this session: what its user is to be told is told. */
int mux_tell_now(struct mux *m, struct mux_chan *c) MUST_CHECK;

/* mux_asked.c */

/* A channel of this type may be opened from the client's side, or (back) from the target's, with these fields; a line
 * that says why not. Sessions are not asked about. What allows one channel is used up by it. */
bool mux_type_allowed(struct mux *m, const struct mux_open *open, bool back, const char **ret_text);
/* A request that crosses on a channel, or one outside of them, and the answer to that. -ENOMEM; ERR_LIMIT. */
void mux_asked_on_channel(struct mux *m, struct rd_str name, struct rd_str fields);
void mux_asked_denied(struct mux *m, struct rd_str name);
int mux_asked_globally(struct mux *m, uint32_t number, struct rd_str name, bool want_reply,
    struct rd_str fields) MUST_CHECK;
void mux_asked_answered(struct mux *m, uint32_t number, bool success, struct rd_str fields);
void mux_asked_free(struct mux_asked *a);

/* mux_global.c */

/* LINK_GLOBAL or LINK_GLOBAL_REPLY; as mux_frame(). */
int mux_global_frame(struct mux *m, uint16_t type, struct rd *in) MUST_CHECK;
/* Nobody will answer any more. */
int mux_global_fail_all(struct mux *m) MUST_CHECK;

/* mux_local.c */

/* CLOSE for the peer without words; the owner is told. */
int mux_local_cut(struct mux *m, struct mux_chan *c) MUST_CHECK;

/* mux_flow.c */

/* A frame in two parts, after the data that was collected. Nothing when mux_finish() was called. */
int mux_emit(
    struct mux *m, uint16_t type, uint32_t id, struct rd_str head, struct rd_str body) MUST_CHECK;
/* The same about a channel: nothing when the link is done with it. */
int mux_emit_chan(struct mux *m, struct mux_chan *c, uint16_t type, struct rd_str head,
    struct rd_str body) MUST_CHECK;
/* A request in two parts, as in mux_emit_chan(); in several frames when it is long. */
int mux_emit_request(
    struct mux *m, struct mux_chan *c, struct rd_str head, struct rd_str body) MUST_CHECK;
/* Data of the peer: on to the link, joined with its neighbours when small. */
int mux_emit_data(struct mux *m, struct mux_chan *c, uint16_t type, struct rd_str data) MUST_CHECK;
/* What was collected, on to the link. */
int mux_emit_joined(struct mux *m) MUST_CHECK;
/* Say LINK_CLOSE once. */
int mux_leave(struct mux *m, struct mux_chan *c) MUST_CHECK;
/* Data for the peer. */
int mux_push_data(struct mux *m, struct mux_chan *c, uint8_t kind, struct rd_str data) MUST_CHECK;
/* A channel message for the peer: these bytes follow the recipient channel. In order with data; or ahead of it. */
int mux_push(struct mux_chan *c, uint8_t type, const void *p, size_t len) MUST_CHECK;
int mux_push_ahead(struct mux_chan *c, uint8_t type, const void *p, size_t len) MUST_CHECK;
/* Send what may leave of one channel, at most budget bytes of data. */
int mux_drain(struct mux *m, struct mux_chan *c, size_t budget) MUST_CHECK;
/* The peer may send n bytes more. */
int mux_grant(struct mux *m, struct mux_chan *c, uint32_t n) MUST_CHECK;
/* Queue the replies to the peer whose turn has come. */
int mux_answer_due(struct mux *m, struct mux_chan *c) MUST_CHECK;

static inline struct rd_str
rd_bytes(const void *p, size_t len)
{
	return (struct rd_str){ .p = p, .len = len };
}

#endif
