/*
 * Rendered lines in pieces of about DERIVED_CHUNK_TEXT: what is stored of them, what is scanned, and a filter that says of
 * most chunks without reading them that a text is not in there.
 *
 *   chunk    u32 number, u32 lines, then for each: varint zigzag difference of at_ns to the line before, varint kind and channel
 *            (channel * 4 + kind); then the lines, each with a newline
 *   filter   u32 number, u8 log2 of bits, then the bits: FILTER_HASHES of them for every three bytes of the folded text
 */
#ifndef BASTION_RECORDER_CHUNK_H
#define BASTION_RECORDER_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/render.h"

#define CHUNK_TEXT (128u << 10)			   /* bytes of text at which one is full */
#define CHUNK_TEXT_MAX (CHUNK_TEXT + (512u << 10)) /* with its last line */
#define CHUNK_LINES_MAX 65536u			   /* lines of one */
#define CHUNK_PACKED_MAX                                                                           \
	(CHUNK_TEXT_MAX + (2u << 20)) /* bytes of one as it is stored, before compression */

/* What stands beside a line. */
struct chunk_line {
	uint64_t at_ns;
	uint32_t channel;
	enum render_kind kind;
};

struct chunk {
	uint32_t number;
	struct chunk_line *lines; /* owned */
	size_t n_lines, room;
	uint8_t *text; /* owned; every line ends with a newline */
	size_t len, size;
};

/* c: all zero at first; chunk_done() frees what it holds and makes it so again. */
void chunk_done(struct chunk *c);
/* Forget the lines, keep the memory. */
void chunk_reset(struct chunk *c);
/* Append a line; 0; -ENOMEM; ERR_LIMIT it is full: see chunk_is_full(). */
int chunk_add(struct chunk *c, const struct render_line *line) MUST_CHECK;
/* Time to store it: it has CHUNK_TEXT bytes or CHUNK_LINES_MAX lines. */
bool chunk_is_full(const struct chunk *c);
/* Append its encoding to out. 0; ERR_LIMIT; -ENOMEM. */
int chunk_pack(const struct chunk *c, struct buf *out) MUST_CHECK;
/* Fill c, which may hold another one, from its encoding. 0; ERR_FORMAT; -ENOMEM. */
int chunk_parse(struct chunk *c, const uint8_t *data, size_t len) MUST_CHECK;

/*
 * Text as letters without case: what differs only in case becomes the same bytes (Unicode's simple case folding, of the scripts
 * that have case and are in use). What is no letter stays; newlines stay where they are. dst: len bytes of room. Returns the
 * length, which is never more.
 */
size_t chunk_fold(uint8_t *dst, const uint8_t *text, size_t len);

/* Append the filter of folded text to out; number: of its chunk. 0; ERR_LIMIT; -ENOMEM. */
int chunk_filter_put(
    uint32_t number, const uint8_t *folded, size_t len, struct buf *out) MUST_CHECK;
/*
 * Whether folded text of at least three bytes may be in the chunk; always true of shorter ones, and of what is no filter of that
 * chunk.
 */
bool chunk_filter_may(
    const uint8_t *filter, size_t filter_len, uint32_t number, const uint8_t *folded, size_t len);

#endif
