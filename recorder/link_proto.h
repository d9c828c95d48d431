/*
 * The link: what a front and a back say to each other, always through the recorder. These frames are also the
 * logical events of a recording: what is recorded is what crossed, because it is the same bytes.
 *
 * A frame is one message of lib/ipc.h: id is the channel (0: the leg itself), type is below, the payload follows.
 * Channels opened by the client are numbered 1, 2, ...; those opened by the target LINK_FROM_BACK + 1, ...
 * A number is never used twice on a leg. Strings are SSH strings (RFC 4251 section 5).
 *
 * Order: frames of one sender arrive in the order sent. A frame reaches the other side only after the commit
 * that holds it. The recorder asks policy about frames that need a verdict and holds that sender meanwhile.
 */
#ifndef BASTION_LINK_PROTO_H
#define BASTION_LINK_PROTO_H

#define LINK_FROM_BACK 0x80000000u
#define LINK_DATA_MAX 32768u /* bytes of data in one frame */
#define LINK_REQUEST_PART                                                                          \
	65472u /* bytes of a request in one frame; one that is as long goes on in LINK_MORE */
#define LINK_REQUEST_MAX                                                                           \
	(255u * 1024u - 64u) /* bytes of a whole request: with its head it fits SSH's packets */
#define LINK_CREDIT                                                                                \
	(4u * 1024 * 1024) /* bytes of credit that an end gives for a channel at first */
#define LINK_CREDIT_STEP                                                                           \
	(512u * 1024) /* credit is given back in steps of at least this, or when half is used */

enum link_type {
	/* string channel type; then the type's own fields of SSH_MSG_CHANNEL_OPEN (RFC 4254 section 5.1) verbatim */
	LINK_OPEN = 16,
	LINK_OPEN_OK =
	    17, /* type's own fields of SSH_MSG_CHANNEL_OPEN_CONFIRMATION verbatim, usually none */
	LINK_OPEN_FAIL = 18, /* u32 reason code (RFC 4254 section 5.1), string description */
	LINK_DATA = 19,	     /* 1..LINK_DATA_MAX bytes: from the front: in; from the back: out */
	LINK_DATA_EXT =
	    20, /* u32 data type code (1: stderr, RFC 4254 section 5.2), 1..LINK_DATA_MAX bytes */
	LINK_WINDOW =
	    21, /* u32 bytes that the sender of this frame takes in addition; only data counts */
	LINK_EOF = 22,
	LINK_CLOSE = 23, /* nothing follows from this sender on this channel */
	/*
	 * u32 number (per channel and sender, from 1), string name, u8 want_reply, then the request's fields verbatim. Of a
	 * longer one the first LINK_REQUEST_PART bytes; the rest follows in LINK_MORE. From the front: at most
	 * LINK_REQUEST_MAX bytes in all; from the back less than LINK_REQUEST_PART.
	 */
	LINK_REQUEST = 24,
	LINK_REPLY = 25,       /* u32 number of the request, u8 1 success 0 failure */
	LINK_EXIT_STATUS = 26, /* u32 (RFC 4254 section 6.10) */
	LINK_EXIT_SIGNAL =
	    27, /* string name without SIG, u8 core dumped, string message, string language tag */
	/* channel 0: global requests; u32 number, string name, u8 want_reply, fields verbatim */
	LINK_GLOBAL = 28,
	LINK_GLOBAL_REPLY = 29, /* u32 number, u8 success, fields verbatim */
	LINK_NOTE = 30, /* u8 enum link_note, then its fields; never shown as terminal bytes */
	LINK_END =
	    31, /* channel 0: u8 enum link_end, string one line for the user; nothing follows from this sender */
	/*
	 * front: the next bytes of its LINK_REQUEST: LINK_REQUEST_PART of them, or in the last of these frames fewer, perhaps
	 * none. Between the first and the last the sender says nothing else. The request is judged when it is whole, and
	 * all of its frames cross then, or none.
	 */
	LINK_MORE = 32
};

enum link_note {
	LINK_NOTE_CLIENT = 1, /* front: string client version, string algorithms */
	LINK_NOTE_CONNECTED =
	    2, /* back: string address and port, string server version, string algorithms, string host key fingerprint */
	LINK_NOTE_READY = 3, /* back: logged in at the target; no fields */
	LINK_NOTE_REFUSED =
	    4, /* either: string what was refused (request or channel type), string why: one audit event */
	LINK_NOTE_BANNER = 5, /* back: string the target's login banner, raw */
	LINK_NOTE_VERDICT =
	    6, /* recorder: u32 channel, u8 verdict, string asked, string text: what policy answered */
	/* either: u32 seconds for which the sender's peer has not answered CLOSE: LINK_CLOSE follows without it */
	LINK_NOTE_UNCLOSED = 7,
	/*
	 * the bastion's own shell, as a back, to the recorder alone: u8 1: what is typed on this channel from here on answers a
	 * question whose answer is not shown; 0: that is over
	 */
	LINK_NOTE_ASKING = 8
};

enum link_end {
	LINK_END_CLIENT = 1,   /* the client disconnected or its connection broke */
	LINK_END_TARGET = 2,   /* the target closed or its connection broke */
	LINK_END_CONNECT = 3,  /* the target was not reached */
	LINK_END_HOST_KEY = 4, /* its host key is not the pinned one */
	LINK_END_LOGIN = 5,    /* it refused our login */
	LINK_END_KILLED = 6,   /* ended by an administrator or a limit */
	LINK_END_RECORDER = 7, /* the recorder stopped taking frames */
	LINK_END_PROTOCOL = 8, /* one side broke SSH's or the link's rules */
	LINK_END_INTERNAL = 9  /* a process of ours died */
};

#endif
