/*
 * What a terminal shows: recorded output in, lines of text and pictures of the screen out. libvterm does the terminal's
 * state; the cells are our own. Input may be hostile: sequences are bounded before libvterm sees them, control strings
 * (titles, images, clipboards) never reach it, and memory is bounded by the size of the screen.
 *
 * A line is finished when it scrolls off, is erased, is overwritten after it stood for SCREEN_STOOD_NS, or at the end; lines
 * that the terminal wrapped are one. What was overwritten sooner is told as far as it had been written, so that nothing can
 * be shown and stay untold. Streams without a terminal are lines as they come, without their escape sequences.
 */
#ifndef BASTION_RECORDER_SCREEN_H
#define BASTION_RECORDER_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define SCREEN_COLS_MAX 1000u
#define SCREEN_ROWS_MAX 500u
#define SCREEN_STOOD_NS 250000000ull /* a moment: what stood so long was seen */
#define SCREEN_LINE_MAX 16384u	     /* bytes of one line; a longer one is told in parts */
#define SCREEN_PAINT_MAX (64u << 20) /* bytes of one picture, more than any is */

struct screen_line {
	uint64_t begun_ns; /* its first character appeared */
	uint64_t at_ns;	   /* it last changed: a replay to here shows it whole */
	const uint8_t *
	    text; /* UTF-8 without control characters and without blanks at its end; borrowed for the call */
	size_t len; /* at least 1 */
};
/* 0 goes on; anything else ends screen_feed() and is returned by it. */
typedef int (*screen_line_fn)(void *arg, const struct screen_line *line);

struct screen;

/*
 * An empty screen of this size, brought into 1..SCREEN_COLS_MAX and 1..SCREEN_ROWS_MAX; cols and rows 0: no terminal, lines only.
 * line: NULL: nobody wants lines. *ret_screen: owned by caller, screen_free(). 0; -ENOMEM.
 */
int screen_new(uint32_t cols, uint32_t rows, screen_line_fn line, void *arg,
    struct screen **ret_screen) MUST_CHECK;
void screen_free(struct screen *s);

/* Output that came at at_ns, cut anywhere. 0; what line returned; -ENOMEM. */
int screen_feed(struct screen *s, uint64_t at_ns, const void *data, size_t len) MUST_CHECK;
/* The terminal has this size now; as screen_new(), does nothing without a terminal. Errors as above. */
int screen_resize(struct screen *s, uint64_t at_ns, uint32_t cols, uint32_t rows) MUST_CHECK;
/* The end: all lines that were not told yet, of both screens. The picture stays. Errors as above. */
int screen_flush(struct screen *s, uint64_t at_ns) MUST_CHECK;

/*
 * Between sequences and characters: only then does a picture hold everything, so that a screen which is fed the picture and then
 * the rest is as if it had been fed all.
 */
bool screen_is_whole(const struct screen *s);
/* Columns and rows; 0 and 0 without a terminal. */
void screen_size(const struct screen *s, uint32_t *ret_cols, uint32_t *ret_rows);
/* Where the cursor is, from 0, and whether it is shown. */
void screen_cursor(const struct screen *s, uint32_t *ret_col, uint32_t *ret_row, bool *ret_shown);
/*
 * Append what paints exactly this screen on a terminal of that size, whatever was there: text, colours, cursor moves, modes
 * of the screen (alternate, scroll region, insert, wrap, origin), nothing else. 0; ERR_LIMIT; -ENOMEM.
 */
int screen_paint(const struct screen *s, struct buf *out) MUST_CHECK;
/*
 * Append one row, n_cols columns from col on, in its colours; it begins and ends with the usual ones and is exactly n_cols wide,
 * blanks for what the screen does not have and for half a wide character at an edge. Errors as above.
 */
int screen_row(const struct screen *s, uint32_t row, uint32_t col, uint32_t n_cols,
    struct buf *out) MUST_CHECK;
/* Append the text of all rows, each with a newline, without blanks at their ends. Errors as above. */
int screen_text(const struct screen *s, struct buf *out) MUST_CHECK;

#endif
