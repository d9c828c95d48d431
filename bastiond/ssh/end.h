/*
 * One end of a session on an event loop: an SSH connection (the wire), its channels (the mux) and the link to the other
 * end, through the recorder. Front and back are this and what is theirs alone: login and requests there, connecting and the
 * target's host key here. It moves bytes, holds back whoever is too fast, watches that the peer lives, and ends in order.
 */
#ifndef BASTION_END_H
#define BASTION_END_H

#include "bastiond/ssh/mux.h"
#include "bastiond/ssh/wire.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "recorder/link_proto.h"

/* What is done about a global request (RFC 4254 section 4). Not in the table: GLOBAL_REFUSE. */
enum end_global {
	GLOBAL_QUIET,  /* failure, where an answer is wanted: harmless */
	GLOBAL_REFUSE, /* the same, and the record is told */
	GLOBAL_STOP,   /* no further sessions may be opened */
	GLOBAL_PASS /* over the link, as far as struct end's forwards allow; else as GLOBAL_REFUSE */
};

struct end_global_rule {
	const char *name;
	enum end_global what;
};

struct end;

/* What is the owner's. Members that a side does not need are NULL. */
struct end_conf {
	enum mux_side side;
	struct wire_ops
	    wire; /* sign_kex, host_proof, ready, login_done, banner; the rest is ignored */
	/* A message that is neither about channels nor a global request. */
	void (*message)(void *arg, const uint8_t *msg, size_t len);
	uint32_t (*may_open)(void *arg, const struct mux_open *open, const char **ret_text);
	enum mux_answer (*may_request)(
	    void *arg, const struct mux_session *session, const struct mux_request *req);
	const struct end_global_rule *globals; /* the last has no name */
	/* The link brings a note (u8 enum link_note and its fields). 0; negative: the link broke a rule. */
	int (*note)(void *arg, struct rd *in);
	/* The link is over: what its LINK_END says; or LINK_END_RECORDER and an empty line when it just closed. */
	void (*link_over)(void *arg, enum link_end code, const char *text);
	/* The SSH connection is over. err, why: as of struct wire_ops. LINK_END has not been sent. */
	void (*peer_over)(void *arg, int err, const char *why);
	/* The peer has not answered for too long. */
	void (*peer_silent)(void *arg);
};

struct end {
	const struct end_conf *conf;
	void *arg;
	struct loop *loop;
	struct wire *wire;
	struct loop_io *io; /* of the wire's socket; NULL while it waits for nothing */
	struct mux *mux;
	struct ipc *link;
	struct buf *early;	    /* frames for a link that is not there yet */
	struct loop_timer *alive;   /* the next question to the peer */
	struct loop_timer *limit;   /* the end of lingering */
	struct loop_timer *closing; /* the next look at channels that are being closed */
	uint64_t close_ns;	    /* how long a peer may take to close; 0: for ever */
	uint64_t alive_ns;	    /* 0: never asks */
	uint32_t missed_max;
	uint32_t unanswered;
	uint64_t lingered;  /* what mux_sent() said when the limit was set */
	uint64_t linger_ns; /* without progress */
	uint32_t reason;    /* of the disconnect that follows */
	char text[512];
	bool waits_for_link; /* frames are kept until it comes */
	bool hold;	     /* the owner does not want the peer's input now */
	bool again;	     /* more can be done without waiting */
	bool forwards;	     /* front: there is a target that may be asked for them */
	bool no_more;	     /* no further sessions may be opened */
	bool peer_gone;	     /* the wire is over */
	bool link_told;	     /* LINK_END was sent or needs not be */
	bool broken;	     /* the peer broke a rule of the connection protocol */
	bool lingering;
	bool hurry;    /* the limit holds even while something moves */
	bool stopping; /* the loop ends once the link has what was sent */
};

/* conf, arg, loop: borrowed. limit: channels. 0; -ENOMEM. Takes the loop's after-pass hook. */
int end_init(struct end *e, struct loop *loop, const struct end_conf *conf, void *arg,
    uint32_t limit) MUST_CHECK;
void end_done(struct end *e);

/* Speak SSH on fd: owned from success on. 0 or as wire_new(). */
int end_start_wire(struct end *e, const struct wire_conf *conf, int fd) MUST_CHECK;
/* Serve the link: fd owned from success on. 0; -errno. Frames that were kept for it go out first. */
int end_start_link(struct end *e, int fd) MUST_CHECK;
/* Ask the peer every ns (0: never) whether it lives; it is silent when missed_max questions (0: any number) in a row are
 * not answered, by whatever message. */
void end_start_alive(struct end *e, uint64_t ns, uint32_t missed_max);

/* A frame about the leg itself, e.g. a note. 0; negative: the link is broken. */
int end_send_frame(
    struct end *e, uint16_t type, uint32_t id, const void *data, size_t len) MUST_CHECK;

/*
 * Front: tell every channel this line and exit status, then disconnect: when all channels have closed, when none is open
 * although the target was there, or when nothing has moved for linger_ns. Back: send on what waits for the target, until nothing has moved for linger_ns, then disconnect.
 * hurry: after linger_ns in any case.
 */
void end_linger(
    struct end *e, uint32_t exit_status, const char *text, uint64_t linger_ns, bool hurry);
/* Disconnect now. reason: enum ssh_disconnect. */
void end_disconnect(struct end *e, uint32_t reason, const char *text);
/* Say LINK_END, and stop the loop as soon as the link has it. */
void end_stop(struct end *e, enum link_end code, const char *text);

#endif
