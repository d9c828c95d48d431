/*
 * Ways out of a recording. An exporter gets a session's description and then its events one after another, from wherever
 * they come, and writes as it goes; it never holds more than one event and unfinished lines.
 */
#ifndef BASTION_CTL_EXPORT_H
#define BASTION_CTL_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bastionctl/frame.h"
#include "bastionctl/page_player.h"
#include "bastionctl/utf8.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "recorder/event.h"

/* What a page needs besides a session. */
struct export_page {
	const struct page_player *player; /* borrowed */
	const char *proof;		  /* whether the record was verified, one line; borrowed */
	bool proven;			  /* it was, and is whole */
};

/* Which part of a session. */
struct export_view {
	const struct json_node *session; /* as of bastiond-reader; borrowed */
	uint32_t channel;		 /* 0: all */
	enum frame_stream stream;	 /* FRAME_NONE: all */
	bool no_times;			 /* a transcript without them */
	const struct export_page *page;	 /* of a format that makes a page; else NULL; borrowed */
};

/* What was seen and has no place in the format; counted while exporting. */
struct export_lost {
	uint64_t bad_bytes;	 /* not UTF-8 */
	uint64_t merged_bytes;	 /* of a stream that is mixed with another */
	uint64_t other_bytes;	 /* of other channels */
	uint64_t requests;	 /* events that are neither data nor a size */
	uint64_t binary_bytes;	 /* of subsystems, in a transcript */
	uint64_t replaced_bytes; /* of files, in a stream: the record has their hash instead */
	bool exit;		 /* how the command ended */
};

struct export;
struct export_format {
	const char *name;
	bool one_channel; /* holds one channel only */
	bool one_stream;  /* and one stream of it */
	bool page;	  /* is a page with a player */
	int (*begin)(struct export *x);
	int (*event)(struct export *x, const struct event *ev);
	int (*end)(struct export *x);
};

struct export_lines; /* unfinished lines of a transcript */

struct export
{
	const struct export_format *format;
	FILE *out; /* borrowed */
	struct export_view view;
	struct export_lost lost;
	struct utf8 partial[FRAME_STREAMS]; /* what the last event of a stream left unfinished */
	struct buf *scratch;
	struct export_lines *lines;
	uint64_t n_written; /* events */
	uint64_t last_ns;   /* time of the last one */
	uint64_t last_us;   /* time of the last line, where lines have intervals */
	bool intervals;
	bool bare_lines; /* a line end in the output begins a new line by itself */
};

/* asciicast-v2, asciicast-v3, html, text, raw, json. NULL: not one of this version. */
const struct export_format *export_find(const char *name);
/* "asciicast-v2 json raw text" for messages. Returns dst. */
char *export_names(char *dst, size_t size);

/* Begin: out and view are borrowed until export_free(). 0, then export_free(); -ENOMEM; -errno. */
int export_begin(struct export *x, const struct export_format *format, FILE *out,
    const struct export_view *view) MUST_CHECK;
/* The next event, in order. 0; -ENOMEM; -errno of out. */
int export_event(struct export *x, const struct event *ev) MUST_CHECK;
/* What is unfinished, and the format's end. Errors as above. */
int export_end(struct export *x) MUST_CHECK;
void export_free(struct export *x);

/* What the format could not hold, as one line; false: nothing. */
bool export_lost_text(const struct export *x, char *dst, size_t size);

/*
 * The channel that a viewer means who names none: the first one with a terminal, else the first with output, else the
 * first. 0: the session has no channel.
 */
uint32_t export_main_channel(const struct json_node *session);
/* The channel's description; NULL: there is none. */
const struct json_node *export_channel(const struct json_node *session, uint32_t channel);

/*
 * Append text as the inside of a JSON string: what is not UTF-8 becomes U+FFFD and is counted, what a terminal might act on
 * is escaped; a sequence cut at the end waits in u (finish: true: is counted as bad). 0; ERR_LIMIT; -ENOMEM.
 */
int export_json_chars(struct buf *b, struct utf8 *u, const uint8_t *data, size_t len, bool finish,
    uint64_t *bad_bytes) MUST_CHECK;
#define EXPORT_JSON_GROWTH 12u /* bytes that may come out for one that goes in, at most */

extern const struct export_format export_asciicast_v2;
extern const struct export_format export_asciicast_v3;
extern const struct export_format export_html;
extern const struct export_format export_json;
extern const struct export_format export_raw;
extern const struct export_format export_text;
/* NULL is allowed. */
void export_lines_free(struct export_lines *lines);

#endif
