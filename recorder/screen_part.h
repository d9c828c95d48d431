/* What the files of screen.h share: cells, rows, and what the terminal's state is besides them. */
#ifndef BASTION_RECORDER_SCREEN_PART_H
#define BASTION_RECORDER_SCREEN_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/screen.h"

#define SCREEN_CHARS                                                                               \
	3u /* code points of a cell: one and two that combine with it; more are dropped */
#define SCREEN_TAIL UINT32_MAX		/* in the second cell of a wide character */
#define SCREEN_COLOUR_INDEX 0x01000000u /* | 0..255 */
#define SCREEN_COLOUR_RGB 0x02000000u	/* | 0xrrggbb */

enum screen_attr {
	SCREEN_BOLD = 1,
	SCREEN_ITALIC = 2,
	SCREEN_BLINK = 4,
	SCREEN_REVERSE = 8,
	SCREEN_STRIKE = 16,
	SCREEN_UNDERLINE = 32,
	SCREEN_UNDERLINE_TWICE = 64
};

struct screen_pen {
	uint32_t fg, bg; /* 0: the default; else SCREEN_COLOUR_* */
	uint32_t attrs;	 /* enum screen_attr */
};

struct screen_cell {
	uint32_t cp[SCREEN_CHARS]; /* cp[0] 0: nothing was written here; SCREEN_TAIL */
	struct screen_pen pen;
};

struct screen_row {
	uint32_t used;	   /* cells from here on are blank and of the default colour */
	bool wrapped;	   /* goes on from the row above */
	bool dirty;	   /* has changed since it was told */
	uint32_t lo, hi;   /* the cells that have changed since anything of it was told */
	uint32_t written;  /* how often a cell of them was written */
	uint64_t begun_ns; /* the first of these changes */
	uint64_t changed_ns;
	struct screen_cell cells[];
};

struct screen_grid {
	struct screen_row **rows; /* s->rows of them, owned */
};

struct screen_at {
	uint32_t row, col;
};

/* A line that is put together. */
struct screen_text {
	uint8_t *p; /* SCREEN_LINE_MAX + a character */
	size_t len;
	uint64_t begun_ns, at_ns;
	bool any; /* something of it was not told yet */
};

struct screen {
	uint32_t cols, rows; /* 0: no terminal */
	screen_line_fn line;
	void *arg;
	uint64_t now_ns;
	int err; /* what line returned inside of a callback; ends the feed */

	struct screen_grid grid[2]; /* the primary screen, the alternate one */
	unsigned shown;		    /* which of them */
	struct screen_pen pen;
	struct screen_at cursor;
	bool hidden; /* the cursor */
	bool
	    wrap_pending; /* the last column of wrap_row was written, and the cursor still stands there */
	uint32_t wrap_row;
	bool again;   /* the character that comes is on the screen already */
	bool crowded; /* more stands at crowd than a cell has room for */
	struct screen_at crowd;
	bool crowd_stays;	    /* it did not move the cursor */
	uint64_t fed, filled;	    /* bytes; cells for which no byte came (screen_may_fill()) */
	struct screen_text text;    /* scratch of a line that is told */
	struct screen_text leaving; /* a wrapped line of which the first rows have scrolled off */

	/* modes of the screen */
	bool insert, no_wrap, origin, newline;
	uint32_t top, bottom; /* of the scroll region; rows: bottom is exclusive */
	uint8_t charset[2];   /* of G0 and G1: 'B', '0', 'A' */
	unsigned shift;
	struct screen_at saved;
	struct screen_pen saved_pen;

	void *vt; /* libvterm's, screen.c's alone */
	struct screen_in *in;
};

/* The grids. Errors stay in s->err. */
int screen_grid_new(const struct screen *s, struct screen_grid *ret_grid) MUST_CHECK;
void screen_grid_free(struct screen_grid *g, uint32_t rows);
/* Bring both grids to this size; *ret_up: rows that went away above the cursor. 0; -ENOMEM; what line returned. */
int screen_grid_resize(struct screen *s, uint32_t cols, uint32_t rows, uint32_t *ret_up) MUST_CHECK;
/* A character of this width (1 or 2) at a place inside the screen. */
void screen_put(struct screen *s, struct screen_at at, const uint32_t *cp, uint32_t width);
/* n times ASCII from one place on, all in one row and before its last column. */
void screen_put_ascii(struct screen *s, struct screen_at at, const uint8_t *p, uint32_t n);
/* Rows from r0 to r1 and columns from c0 to c1 become blank in the colour of the pen. */
void screen_erase(struct screen *s, uint32_t r0, uint32_t r1, uint32_t c0, uint32_t c1);
/* Whole rows from r0 to r1 move up by n; negative: down. */
void screen_scroll(struct screen *s, uint32_t r0, uint32_t r1, int n);
/* Columns from c0 to c1 of one row move left by n; negative: right. */
void screen_shift(struct screen *s, uint32_t r, uint32_t c0, uint32_t c1, int n);
/*
 * Whether so many cells may change for a few bytes: large screens are cleared, filled and made anew by some, and a recording
 * is not to cost hours that was made in minutes. Then they count.
 */
bool screen_may_fill(struct screen *s, uint64_t cells);
/* Tell what was not told of a grid. */
void screen_tell_all(struct screen *s, unsigned which);

/* Text. */
bool screen_text_init(struct screen_text *t);
void screen_text_add(struct screen_text *t, uint32_t cp);
/* Hand a line to the one who wants it, without blanks at its end, and start anew. */
void screen_text_tell(struct screen *s, struct screen_text *t);
/* A code point as UTF-8; dst: 4 bytes. */
size_t screen_utf8(uint8_t dst[4], uint32_t cp);

#endif
