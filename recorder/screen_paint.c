/* A screen as bytes for a terminal of its size, and as plain text. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/screen_part.h"

#define PAINT_SEQ 96u /* bytes of one sequence that we write */

/* What comes before anything: a terminal in whatever state shows an empty primary screen then. */
#define PAINT_RESET                                                                                \
	"\033[?1049l\033(B\033)B\017\033[?6l\033[r\033[4l\033[20l\033[?7h\033[m\033[H\033[2J"

struct paint {
	struct buf *out;
	struct screen_pen pen; /* that the terminal has now */
	int err;
};

static void
paint_bytes(struct paint *p, const void *data, size_t len)
{
	if (p->err == 0)
		p->err = buf_put(p->out, data, len);
}

static void
paint_str(struct paint *p, const char *text)
{
	paint_bytes(p, text, strlen(text));
}

static void
paint_to(struct paint *p, uint32_t row, uint32_t col)
{
	char seq[PAINT_SEQ];

	(void)snprintf(seq, sizeof(seq), "\033[%u;%uH", row + 1, col + 1);
	paint_str(p, seq);
}

static size_t
paint_colour(char *dst, size_t size, uint32_t colour, unsigned base)
{
	int n = 0;

	if ((colour & SCREEN_COLOUR_RGB) != 0)
		n = snprintf(dst, size, ";%u;2;%u;%u;%u", base, colour >> 16 & 0xff,
		    colour >> 8 & 0xff, colour & 0xff);
	else if ((colour & SCREEN_COLOUR_INDEX) != 0)
		n = snprintf(dst, size, ";%u;5;%u", base, colour & 0xff);
	return n > 0 ? (size_t)n : 0;
}

static void
paint_pen(struct paint *p, const struct screen_pen *pen)
{
	static const struct {
		uint32_t attr;
		const char *sgr;
	} attrs[] = { { SCREEN_BOLD, ";1" }, { SCREEN_ITALIC, ";3" }, { SCREEN_UNDERLINE, ";4" },
		{ SCREEN_UNDERLINE_TWICE, ";21" }, { SCREEN_BLINK, ";5" }, { SCREEN_REVERSE, ";7" },
		{ SCREEN_STRIKE, ";9" } };
	char seq[PAINT_SEQ] = "\033[0";
	size_t n = 3;

	if (pen->fg == p->pen.fg && pen->bg == p->pen.bg && pen->attrs == p->pen.attrs)
		return;
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if ((pen->attrs & attrs[i].attr) != 0) {
			memcpy(seq + n, attrs[i].sgr, strlen(attrs[i].sgr));
			n += strlen(attrs[i].sgr);
		}
	n += paint_colour(seq + n, sizeof(seq) - n, pen->fg, 38);
	n += paint_colour(seq + n, sizeof(seq) - n, pen->bg, 48);
	seq[n++] = 'm';
	paint_bytes(p, seq, n);
	p->pen = *pen;
}

static void
paint_cell(struct paint *p, const struct screen_cell *c)
{
	uint8_t bytes[4 * SCREEN_CHARS];
	size_t n;

	if (c->cp[0] == SCREEN_TAIL)
		return;
	paint_pen(p, &c->pen);
	n = screen_utf8(bytes, c->cp[0] == 0 ? ' ' : c->cp[0]);
	for (size_t i = 1; i < SCREEN_CHARS && c->cp[i] != 0; i++)
		n += screen_utf8(bytes + n, c->cp[i]);
	paint_bytes(p, bytes, n);
}

/* The terminal itself comes to this row, by the character that it wraps, and so nobody goes there. */
static bool
paint_wraps(const struct screen *s, struct screen_row *const *rows, uint32_t r)
{
	return r > 0 && rows[r]->wrapped && rows[r]->cells[0].cp[0] != 0 &&
	       rows[r - 1]->cells[s->cols - 1].cp[0] != 0;
}

/* Cells that nobody wrote and that have no colour are jumped over, so that a picture knows them from blanks. */
static void
paint_row(struct paint *p, const struct screen *s, struct screen_row *const *rows, uint32_t r)
{
	const struct screen_row *row = rows[r];
	uint32_t c = 0;

	if (!paint_wraps(s, rows, r))
		paint_to(p, r, 0);
	while (c < row->used) {
		const struct screen_cell *cell = &row->cells[c];

		if (cell->cp[0] == 0 && cell->pen.bg == 0) {
			c++;
			if (c < row->used &&
			    (row->cells[c].cp[0] != 0 || row->cells[c].pen.bg != 0))
				paint_to(p, r, c);
			continue;
		}
		paint_cell(p, cell);
		c++;
	}
}

static void
paint_grid(struct paint *p, const struct screen *s, unsigned which)
{
	struct screen_row *const *rows = s->grid[which].rows;

	for (uint32_t r = 0; r < s->rows; r++)
		if (rows[r]->used > 0)
			paint_row(p, s, rows, r);
}

static void
paint_saved(struct paint *p, const struct screen *s)
{
	paint_to(p, s->saved.row < s->rows ? s->saved.row : s->rows - 1,
	    s->saved.col < s->cols ? s->saved.col : s->cols - 1);
	paint_pen(p, &s->saved_pen);
	paint_str(p, "\0337");
}

/* The cursor; behind a full line it waits for the next character to wrap. */
static void
paint_cursor(struct paint *p, const struct screen *s)
{
	const struct screen_row *row = s->grid[s->shown].rows[s->cursor.row];
	uint32_t col = s->cols - 1;

	if (!s->wrap_pending) {
		paint_to(p, s->cursor.row - (s->origin && s->cursor.row >= s->top ? s->top : 0),
		    s->cursor.col);
		return;
	}
	if (row->cells[col].cp[0] == SCREEN_TAIL && col > 0)
		col--;
	paint_to(p, s->cursor.row - (s->origin && s->cursor.row >= s->top ? s->top : 0), col);
	paint_cell(p, &row->cells[col]);
}

static void
paint_modes(struct paint *p, const struct screen *s)
{
	char seq[PAINT_SEQ];

	if (s->top != 0 || s->bottom != s->rows) {
		(void)snprintf(seq, sizeof(seq), "\033[%u;%ur", s->top + 1, s->bottom);
		paint_str(p, seq);
	}
	if (s->origin)
		paint_str(p, "\033[?6h");
	paint_cursor(p, s);
	if (s->insert)
		paint_str(p, "\033[4h");
	if (s->newline)
		paint_str(p, "\033[20h");
	if (s->no_wrap)
		paint_str(p, "\033[?7l");
	for (unsigned i = 0; i < 2; i++)
		if (s->charset[i] != 'B') {
			(void)snprintf(
			    seq, sizeof(seq), "\033%c%c", i == 0 ? '(' : ')', s->charset[i]);
			paint_str(p, seq);
		}
	if (s->shift != 0)
		paint_str(p, "\016");
	paint_pen(p, &s->pen);
	paint_str(p, s->hidden ? "\033[?25l" : "\033[?25h");
}

int
screen_paint(const struct screen *s, struct buf *out)
{
	struct paint p = { .out = out };
	const struct screen_pen plain = { 0 };

	if (s->cols == 0)
		return 0;
	paint_str(&p, PAINT_RESET);
	paint_grid(&p, s, 0);
	if (s->shown == 1) {
		paint_pen(&p, &plain);
		paint_str(&p, "\033[?1047h\033[H\033[2J");
		paint_grid(&p, s, 1);
	}
	paint_saved(&p, s);
	paint_modes(&p, s);
	return p.err;
}

static int
text_row(const struct screen_row *row, struct buf *out)
{
	uint32_t end = row->used;
	uint8_t bytes[4];
	int r = 0;

	while (end > 0 && (row->cells[end - 1].cp[0] == 0 || row->cells[end - 1].cp[0] == ' '))
		end--;
	for (uint32_t c = 0; r == 0 && c < end; c++) {
		const uint32_t *cp = row->cells[c].cp;

		if (cp[0] == SCREEN_TAIL)
			continue;
		r = buf_put(out, bytes, screen_utf8(bytes, cp[0] == 0 ? ' ' : cp[0]));
		for (size_t i = 1; r == 0 && i < SCREEN_CHARS && cp[i] != 0; i++)
			r = buf_put(out, bytes, screen_utf8(bytes, cp[i]));
	}
	return r != 0 ? r : buf_put_u8(out, '\n');
}

int
screen_text(const struct screen *s, struct buf *out)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->rows; i++)
		r = text_row(s->grid[s->shown].rows[i], out);
	return r;
}

int
screen_row(const struct screen *s, uint32_t row, uint32_t col, uint32_t n_cols, struct buf *out)
{
	static const struct screen_cell blank = { .cp = { ' ' } };
	const struct screen_row *r = row < s->rows ? s->grid[s->shown].rows[row] : NULL;
	const struct screen_pen plain = { 0 };
	struct paint p = { .out = out };

	for (uint32_t i = 0; i < n_cols; i++) {
		uint32_t c = col + i;
		struct screen_cell cell = r != NULL && c < r->used ? r->cells[c] : blank;
		bool wide = c + 1 < s->cols && r != NULL && r->cells[c + 1].cp[0] == SCREEN_TAIL;

		/* Halves at the edges. */
		if ((cell.cp[0] == SCREEN_TAIL && i == 0) || (wide && i + 1 == n_cols))
			cell = (struct screen_cell){ .cp = { ' ' }, .pen = cell.pen };
		paint_cell(&p, &cell);
	}
	paint_pen(&p, &plain);
	return p.err;
}
