/* The recorder's edges besides the link: with the broker, with policy (see policy_proto.h for asks), with readers. */
#ifndef BASTION_RECORDER_PROTO_H
#define BASTION_RECORDER_PROTO_H

#include <stdbool.h>
#include <stdint.h>

/*
 * bastiond-recorder --store DIR --durability strict|process --stall-timeout SPAN ("30000ms", lib/num.h) --epoch SPAN
 * Descriptor 3: the broker edge. Its working directory is the state directory, and DIR is relative to it, so that the
 * folders above need not let the recorder's uid in.
 */
#define REC_SID_LEN 16u	 /* bytes of a session id; random; shown as 32 hex digits */
#define REC_SID_SHORT 4u /* digits that name a session where they tell it from the others */
#define REC_ENV_MAX 64u
#define REC_ENV_LEN 63u
#define REC_META_MAX 16384u /* bytes of a session's metadata */
#define REC_AUDIT_MAX 8192u /* bytes of one audit event (a JSON object on one line, ASCII) */

/* broker <-> recorder. id: the leg, or the request's own number. */
enum rec_type {
	REC_READY =
	    1, /* recorder: store open and recovered; string text ("" or what recovery did) */
	REC_HEALTH = 2, /* recorder: u8 enum rec_health, string why and what to do */
	/*
	 * broker, 2 fds (front's link, back's link): u32 conn, string metadata (TLV below), u32 n (at most REC_ENV_MAX) + n
	 * strings (at most REC_ENV_LEN bytes): names and patterns of environment variables that the client may send
	 */
	REC_OPEN = 3,
	REC_OPENED = 4,	       /* recorder: sid: the opening record and its leaf are durable */
	REC_REFUSED = 5,       /* recorder: string one line for the user */
	REC_KILL = 6,	       /* broker: string one line for the user, string who (uid or name) */
	REC_CLOSED = 7,	       /* recorder: the leg's session has its end digest; sid */
	REC_AUDIT = 8,	       /* broker: the event's JSON */
	REC_AUDIT_DONE = 9,    /* recorder: it is durable (same id) */
	REC_POLICY_EDGE = 10,  /* broker, 1 fd: a new edge to policy */
	REC_STATUS = 11,       /* broker asks */
	REC_STATUS_REPLY = 12, /* recorder: JSON object */
	REC_STOP = 13,	       /* broker: end every session in order, then exit 0 */
	/*
	 * recorder, unasked, at most once each --checkpoint-every and only for a new one: string checkpoint note, string vkey of
	 * the key that signed it. The broker has it pushed out.
	 */
	REC_CHECKPOINT = 14,
	/*
	 * broker: string sid (hex), string who, string why. Answer REC_DONE, when its leaf is durable and its key destroyed; its
	 * blocks go in the background.
	 */
	REC_ERASE = 15,
	/* broker: string sid (hex), u8 1 hold, 0 let go; string who, string why. Answer REC_DONE when it is durable. */
	REC_HOLD = 16,
	REC_DONE = 17, /* recorder, id of the request: u8 exit code as of RD_END, string one line */
	/*
	 * broker, 1 fd (a socket): string sid (hex) of a session that runs. The recorder sends its 32 byte key and closes it, or
	 * only closes it. For a reader of somebody who may watch it, which gets the other end as descriptor 4 and the arguments
	 * "--key-of live" behind its others; "--key-of auditor": the same with an auditor's secret key, from bastionctl.
	 */
	REC_WATCH = 18,
	/*
	 * broker: u64 age in ns and u64 bytes in use beyond which recordings are removed (0: never), u64 ns that a reader may
	 * show the same snapshot while others write
	 */
	REC_KEEP = 19,
	REC_PING =
	    20, /* broker: answered at once; a recorder that does not is ended after stall_timeout */
	REC_PONG = 21,
	REC_SLOW_READER =
	    22 /* recorder: u32 pid of a reader that pins the store, u64 ns for which it has done so */
};
#define REC_WHY_MAX 1000u /* bytes of why something is erased or held */

enum rec_health {
	REC_HEALTH_OK = 1,
	REC_HEALTH_NO_NEW = 2, /* running sessions go on, new ones are refused */
	REC_HEALTH_FAILED = 3  /* nothing is released any more */
};

/*
 * Session metadata: a sequence of {u8 tag, string value}; each tag at most once; unknown tags are kept.
 * Text is UTF-8 without control characters.
 */
enum rec_meta {
	REC_META_IDENTITY = 1,
	REC_META_LOGIN = 2,
	REC_META_HOST = 3,	/* inventory name */
	REC_META_ADDRESS = 4,	/* as configured; the connected one comes in LINK_NOTE_CONNECTED */
	REC_META_PORT = 5,	/* decimal */
	REC_META_SOURCE = 6,	/* client address and port */
	REC_META_CLAIM = 7,	/* user name exactly as the client sent it, escaped */
	REC_META_RULE = 8,	/* name of the policy rule that allowed it */
	REC_META_CRED_TYPE = 9, /* "certificate", "key"; "pam": neither */
	REC_META_CRED_FINGERPRINT = 10,
	REC_META_CRED_KEY_ID = 11,
	REC_META_CRED_SERIAL = 12, /* decimal */
	REC_META_CRED_CA = 13,	   /* fingerprint of the CA */
	REC_META_FILES = 14,	   /* "hash" or "keep" */
	REC_META_METHODS = 15,	   /* that succeeded, in order: "publickey,keyboard-interactive" */
	REC_META_SUBJECT =
	    16, /* of PAM: who that is where they logged in (for OIDC: issuer and sub) */
	REC_META_GROUPS =
	    17,		     /* that PAM named, with commas between; what is too much is left out */
	REC_META_MASKS = 18, /* names of the mask rules that act, with commas between */
	REC_META_MASKS_HASH = 19, /* hex SHA-256 over the rules' texts */
	REC_META_TYPED =
	    20, /* "keep": typed bytes are kept although the target does not show them */
	REC_META_MASK_TEXTS =
	    21 /* JSON object {"NAME": "PATTERN"}: of the mask rules that are not among the defaults */
};

/*
 * reader <-> bastionctl. The reader's scope (what, which session) is fixed by its arguments; the audit event of the
 * view was durable before it was started.
 *   bastiond-reader --store DIR VERB [ARGUMENT ...]
 *   bastiond-reader --bundle FILE VERB [ARGUMENT ...]    (store_bundle.h; nobody is told of it)
 *     list [--since NS] [--identity NAME] [--blocks 1]
 *                                    RD_ITEM: a session (the fields of sessions list --json); of this person only
 *     show [--blocks 1] SID          RD_ITEM: one session with everything that is known of it
 *     find WORD                      RD_TEXT: the whole id of the session that last, or its first digits, mean now
 *     events [--blocks 1] SID        RD_BEGIN: as show; RD_EVENTS; may be told to RD_SEEK and RD_FIND, also after RD_END
 *     watch [--blocks 1] SID         as events, but of a session that runs events go on as they are committed; when it is over
 *                                    RD_ITEM: as show; RD_END
 *     verify --key VKEY [--notes N] [SID]
 *                                    RD_ITEM: {"finding": ...}, {"session": ...}, {"erased": [...]}, last {"result": ...}; with --notes,
 *                                    RD_NOTES of N bytes in all come first
 *     log [--since NS] [ID]          RD_ITEM: an audit event
 *     index                          RD_ITEM: {"ended", "indexed", "running", "sealed", "erased", "text_bytes", "bytes"}
 *     search QUERY                   RD_ITEM: a hit, or without text a session, newest first; last {"summary": ...}. QUERY: the
 *                                    JSON object of search.h. With "sealed" in it, of each session that is closed to the reader:
 *                                    RD_RECORD, RD_ITEM {"sealed": its id}; RD_TAKE is awaited, and after RD_TAKE_SEND come its
 *                                    RD_SEALED, then RD_ITEM {"sealed_end": whether that were all}, and RD_TAKE again
 *     log --leaves 1                 RD_ITEM: {"leaf": its index, "type": ..., "data": base64}, all of them
 *     checkpoint                     RD_TEXT: the newest signed note
 *     checkpoint --key VKEY          RD_TEXT: line of the key that signs now, when VKEY leads to it
 *     checkpoint --proof SID         RD_TEXT: c2sp.org/tlog-proof@v1 of the leaf of its end, or opening; extra: the leaf
 *     checkpoint --from SIZE         RD_TEXT: "old SIZE", consistency proof, empty line, checkpoint (c2sp.org/tlog-witness)
 *     bundle [--for NAME] SID        RD_ENTRY: all entries of the session's bundle, in order; NAME: of the auditor to whom it is
 *                                    handed on, for the audit event
 *     space                          RD_ITEM: how full the store is
 * --blocks 1: whoever asks has an auditor's key, and wants RD_BLOCKS.
 * NS: nanoseconds since 1970. VKEY: the text itself. SID: 32 hex digits, or as many of the first ones (4 at least) as
 * tell it from the others, or "last". ID: a session, reference or connection that events name.
 *
 * A JSON text that is longer than a message comes in parts; id 1: more of it follows, id 0: this is its last part.
 */
enum rd_type {
	RD_BEGIN = 1, /* reader: JSON object: what follows */
	RD_ITEM = 2,  /* reader: JSON object */
	/* reader, id: number of RD_SEEK so far: u64 sequence number of the first event, u64 time of the event before it (see
	 * event_reader_init()), then whole canonical events, verbatim */
	RD_EVENTS = 3,
	RD_TEXT = 4, /* reader: raw text */
	/*
	 * bastionctl: u64 nanoseconds since session start, u32 channel: restart at or before it. Channel 0: no screen is wanted.
	 * Else RD_SCREEN of it comes first; where there is none, events begin READER_CONTEXT blocks earlier, so that most of a
	 * screen can be made of them, or with the session's first one where that is near. After the last event: its end.
	 */
	RD_SEEK = 5,
	RD_END =
	    6, /* reader: u8 exit code of bastionctl (0 1 3), string text: what is wrong, what to do */
	/* bastionctl: u32 further messages it takes; the reader starts with RD_WINDOW; RD_END does not count */
	RD_MORE = 7,
	/*
	 * reader, instead of RD_EVENTS, of a session whose key it does not have; id: as there: u8 1: more of this block follows,
	 * then block header and stored bytes (block.h). Only an auditor's key opens it, on the auditor's side.
	 */
	RD_SEALED = 8,
	/*
	 * reader, after a seek before its RD_EVENTS (which may begin with events that it shows already); id: as there: u8 1: more
	 * of it follows, u64 sequence number of the last event that it shows, u64 at ns, u32 channel, u32 columns, u32 rows, then
	 * bytes, or a part of them, that paint the screen as it was then
	 */
	RD_SCREEN = 9,
	/* bastionctl: the next bytes of the checkpoint notes that --notes announced */
	RD_NOTES = 10,
	/*
	 * reader: an entry of a bundle: u8 enum store_db, string key, then the value to the end. A long one comes in parts; id 1:
	 * more of it follows, id 0: this is its last part.
	 */
	RD_ENTRY = 11,
	/*
	 * reader, right before RD_BEGIN or RD_ITEM about a session that is sealed to auditors and closed to it; id 1: more of this
	 * message follows: u8 enum rd_detail, string key record with its half (seskey.h), then the session record (sess.h).
	 * On the auditor's side they give what is private in it.
	 */
	RD_RECORD = 12,
	/*
	 * reader, with --blocks, between RD_RECORD and RD_BEGIN or RD_ITEM, of a session whose record does not say all that its
	 * events do: it runs, or a start ended it without its key, or it has more file operations than a record keeps. As
	 * RD_SEALED, id 0: its blocks from the first on, one after the other.
	 */
	RD_BLOCKS = 13,
	/* bastionctl, of the sealed session that search told last: u8 enum rd_take, u8 there were more hits, u32 hits found in it */
	RD_TAKE = 14,
	/*
	 * bastionctl, to events, counted as RD_SEEK is: u32 channel, u8 whether case counts, string text of 1 to RD_FIND_MAX bytes:
	 * the lines that this channel's screen showed with the text in them. RD_HITS come, then the next of these is awaited.
	 */
	RD_FIND = 15,
	/*
	 * reader: as often as it takes, the oldest hits first; id: as RD_EVENTS: u8 enum rd_hits, u32 pieces of the index that were
	 * looked at, u32 of so many, then for each hit u64 ns, string line, cut to RD_HIT_MAX bytes
	 */
	RD_HITS = 16
};

#define RD_FIND_MAX 255u
#define RD_FIND_HITS 100000u /* that are told of one RD_FIND */
#define RD_HIT_MAX 512u

enum rd_hits {
	RD_HITS_SOME = 1, /* there is more to look at */
	RD_HITS_ALL = 2,
	RD_HITS_CUT = 3, /* there are more than RD_FIND_HITS */
	RD_HITS_NONE =
	    4 /* the index does not have the session, or not whole: its events are to be rendered */
};

/* What is made of the JSON behind RD_RECORD. */
enum rd_detail {
	RD_DETAIL_LIST = 0, /* what is private in it is put in, as sessions list tells it */
	RD_DETAIL_ALL = 1,  /* as sessions show does */
	RD_DETAIL_KEY = 2   /* nothing: the record is for the session's key */
};

enum rd_take {
	RD_TAKE_SEARCHED = 1, /* it was searched, by its blocks or without them */
	RD_TAKE_SEND = 2,     /* send its blocks */
	RD_TAKE_CLOSED = 3,   /* the auditor's key does not open it */
	RD_TAKE_DAMAGED = 4   /* it was searched as far as it opens */
};
struct rd_taken {
	enum rd_take what;
	bool more;
	uint32_t hits;
};

#define RD_WINDOW 8u

#endif
