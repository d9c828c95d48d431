/*
 * The canonical encoding of an event: what blocks hold, what every digest covers, what a reader
 * sends. One event is one frame of the link exactly as it crossed, or a mark of the recorder's own.
 *
 *   varint  nanoseconds since the event before it (the first: since the session was opened)
 *   u8      way in the two high bits, type in the six low ones
 *   varint  channel, rotated left by one bit, so that both sides' first channels are short
 *   varint  length, then that many payload bytes
 *
 * The sequence number is the position: the first event of a session is 1. Varints are unsigned
 * LEB128 in their shortest form, so that a sequence of events has exactly one encoding.
 */
#ifndef BASTION_RECORDER_EVENT_H
#define BASTION_RECORDER_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/link_proto.h"

/* Bytes of payload in one event: with its head and a place in the stream it fits one message. */
#define EVENT_DATA_MAX 65472u
#define EVENT_HEAD_MAX 19u /* bytes before the payload, at most */
#define EVENT_TYPE_MAX 63u
#define EVENT_TICK_NS 1000u /* the recorder's times are whole ones of these; readers take any */

/* Who sent it, and so where it went (unless a verdict stopped it: see EVENT_VERDICT). */
enum event_way {
	EVENT_FRONT = 0,    /* front to back */
	EVENT_BACK = 1,	    /* back to front */
	EVENT_TO_FRONT = 2, /* the recorder's own word to the front; marks have this way too */
	EVENT_TO_BACK =
	    3 /* the recorder's own word to the back, e.g. the frame that replaced another */
};

/*
 * Types 16.. are enum link_type; below are marks that the recorder writes and nobody is sent.
 * Readers skip types that they do not know.
 */
enum event_mark {
	/*
	 * What policy answered about the last frame of this channel that needed an answer: u8 way
	 * and u8 type of that frame, u8 enum pol_verdict, string what was asked (the request's or
	 * channel's type), string text. 1 (allow): it crossed as recorded. 2 (deny): it did not
	 * cross. 3 (replace): the event after this one, with the recorder's own way, crossed
	 * instead.
	 */
	EVENT_VERDICT = 1,
	/*
	 * File content that crossed here, with the way and channel of the frame that it was in: u32 number of the file operation
	 * (EVENT_FILE), u64 offset in that file, u32 bytes, 32 bytes SHA-256 of them. The bytes themselves are not kept.
	 */
	EVENT_CONTENT = 2,
	/* A file operation is over: u32 number in this session, from 1; string JSON object (recorder/watch.h). */
	EVENT_FILE = 3,
	/* What a stream was found to be or asked: string word ("agent-sign", "unfollowed", "refused", ...), string text. */
	EVENT_REMARK = 4,
	/*
	 * The LINK_DATA after this one, of the same way and channel, is file content that is kept: u32 number of the file
	 * operation, u64 offset in that file.
	 */
	EVENT_KEPT = 5,
	/*
	 * What a person typed, of the way and channel of this event, is not kept: u8 enum veil_why (echo.h), u32 last of the runs
	 * that are closed for ever with it, 0: none was veiled. Without one it holds from here to the next data of that channel
	 * and way. However much was typed, there is one such mark. With the way of the target: what the target showed instead of
	 * each key (asterisks) is not kept either.
	 */
	EVENT_HIDDEN = 6,
	/*
	 * A person typed, and it is not known yet whether the target shows it. What it was stands where that is known: LINK_DATA
	 * of the same way and channel, before the output that showed it, or EVENT_HIDDEN. No payload, unless it is more than the
	 * recorder remembers: then u32 run and bytes under a key that only the recorder's memory has, padded (veil.h), for an
	 * EVENT_SHOWN of the same run, or never opened again.
	 */
	EVENT_VEIL = 7,
	/*
	 * The key of a run, whose veiled bytes were shown after all: u32 run, 32 bytes key, u32 bytes of them. They read as
	 * LINK_DATA from here on. Runs of a channel are decided in their order.
	 */
	EVENT_SHOWN = 8,
	/* The data of the event after this one, of the same way and channel, lost bytes to mask rules: u32 n, then n times string rule, u32 places. */
	EVENT_MASKED = 9
};

struct event {
	uint64_t seq;	/* position in the session, from 1 */
	uint64_t at_ns; /* since the session was opened */
	enum event_way way;
	uint8_t type;	     /* enum link_type or enum event_mark */
	uint32_t channel;    /* 0: the leg itself */
	const uint8_t *data; /* borrowed */
	size_t len;
};

/*
 * Append ev, which happened dt_ns after the event before it; seq and at_ns are not looked at. 0;
 * ERR_LIMIT; -ENOMEM.
 */
int event_put(struct buf *b, uint64_t dt_ns, const struct event *ev) MUST_CHECK;

/* Reads events one after another from len borrowed bytes. */
struct event_reader {
	const uint8_t *data;
	size_t len, off;   /* off: bytes read; stands at the start of an event */
	uint64_t next_seq; /* of the event at off */
	uint64_t at_ns;	   /* of the event before off */
};

/*
 * first_seq: of the first event in data. base_ns: time of the event before it (0 for a session's
 * first).
 */
void event_reader_init(
    struct event_reader *r, const void *data, size_t len, uint64_t first_seq, uint64_t base_ns);
/*
 * The next event; ret_ev->data points into the reader's bytes. 0; ERR_NOT_FOUND at the end;
 * ERR_FORMAT for bytes that are no event or are cut: nothing is consumed then.
 */
int event_next(struct event_reader *r, struct event *ret_ev) MUST_CHECK;

/*
 * "open", "data", "verdict" ...: stable names for listings and JSON; "unknown" for others. Static.
 */
const char *event_type_name(uint8_t type);
/* "front", "back", "to-front", "to-back". Static. */
const char *event_way_name(enum event_way way);

#endif
