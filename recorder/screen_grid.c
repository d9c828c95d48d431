/* The cells of a screen, and when a line of them is finished. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/screen_part.h"

#define SPAN_WRITTEN 3u /* cells that were written before an unfinished part is worth telling */
#define SPAN_SPREAD 4u	/* cells of a part for each that was written, at most */
#define SPAN_WORD 32u	/* cells that a part grows by on each side, to whole words */
#define WHOLE_SHARE 8u	/* a line is told whole when at least this part of it was written */
#define FILL_FREE (128ull << 20) /* cells that screen_may_fill() gives away */
#define FILL_PER_BYTE 64u	 /* and for each byte that was fed */

size_t
screen_utf8(uint8_t dst[4], uint32_t cp)
{
	if (cp < 0x80) {
		dst[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		dst[0] = (uint8_t)(0xc0 | cp >> 6);
		dst[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		dst[0] = (uint8_t)(0xe0 | cp >> 12);
		dst[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		dst[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	dst[0] = (uint8_t)(0xf0 | cp >> 18);
	dst[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	dst[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	dst[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

bool
screen_text_init(struct screen_text *t)
{
	t->p = malloc(SCREEN_LINE_MAX + 4);
	return t->p != NULL;
}

void
screen_text_add(struct screen_text *t, uint32_t cp)
{
	if (t->len < SCREEN_LINE_MAX)
		t->len += screen_utf8(t->p + t->len, cp);
}

void
screen_text_tell(struct screen *s, struct screen_text *t)
{
	struct screen_line line = { t->begun_ns, t->at_ns, t->p, t->len };
	bool any = t->any;

	t->len = 0;
	t->any = false;
	while (line.len > 0 && line.text[line.len - 1] == ' ')
		line.len--;
	if (any && line.len > 0 && s->line != NULL && s->err == 0)
		s->err = s->line(s->arg, &line);
}

static bool
cell_is_blank(const struct screen_cell *c)
{
	return c->cp[0] == 0 || c->cp[0] == ' ';
}

static struct screen_row *
row_new(uint32_t cols)
{
	return calloc(1, sizeof(struct screen_row) + cols * sizeof(struct screen_cell));
}

/* A row that nobody has written to. */
static void
row_clear(struct screen_row *row)
{
	memset(row->cells, 0, row->used * sizeof(row->cells[0]));
	row->used = row->lo = row->hi = row->written = 0;
	row->wrapped = row->dirty = false;
}

static void
text_add_cells(struct screen_text *t, const struct screen_row *row, uint32_t from, uint32_t to)
{
	for (uint32_t c = from; c < to; c++) {
		const uint32_t *cp = row->cells[c].cp;

		if (cp[0] == SCREEN_TAIL)
			continue;
		screen_text_add(t, cp[0] == 0 ? ' ' : cp[0]);
		for (size_t i = 1; i < SCREEN_CHARS && cp[i] != 0; i++)
			screen_text_add(t, cp[i]);
	}
}

/* A whole row at the end of a line; pad: another row follows. */
static void
text_add_row(struct screen *s, struct screen_text *t, const struct screen_row *row, bool pad)
{
	if (t->len == 0 || (row->dirty && row->begun_ns < t->begun_ns))
		t->begun_ns = row->begun_ns;
	if (t->len == 0 || row->changed_ns > t->at_ns)
		t->at_ns = row->changed_ns;
	t->any = t->any || row->dirty;
	text_add_cells(t, row, 0, pad ? s->cols : row->used);
	/* A line that never ends is told in parts. */
	if (t->len + 4 * (size_t)s->cols * SCREEN_CHARS > SCREEN_LINE_MAX && pad)
		screen_text_tell(s, t);
}

static void
row_is_told(struct screen_row *row)
{
	row->dirty = false;
	row->lo = row->hi = row->written = 0;
}

/* The wrapped line that row r is of, whole. */
static void
tell_line(struct screen *s, struct screen_row **rows, uint32_t r)
{
	uint32_t first = r, last = r;

	while (first > 0 && rows[first]->wrapped)
		first--;
	while (last + 1 < s->rows && rows[last + 1]->wrapped)
		last++;
	s->text.len = 0;
	s->text.any = false;
	for (uint32_t i = first; i <= last; i++) {
		text_add_row(s, &s->text, rows[i], i < last);
		row_is_told(rows[i]);
	}
	screen_text_tell(s, &s->text);
}

/* The part of a row that was written since anything of it was told, with the words that it touches. */
static void
tell_span(struct screen *s, struct screen_row *row)
{
	uint32_t lo = row->lo, hi = row->hi;

	for (uint32_t n = 0; n < SPAN_WORD && lo > 0 && !cell_is_blank(&row->cells[lo - 1]); n++)
		lo--;
	for (uint32_t n = 0; n < SPAN_WORD && hi < row->used && !cell_is_blank(&row->cells[hi]);
	     n++)
		hi++;
	s->text.len = 0;
	s->text.any = true;
	s->text.begun_ns = row->begun_ns;
	s->text.at_ns = row->changed_ns;
	text_add_cells(&s->text, row, lo, hi);
	screen_text_tell(s, &s->text);
	row->lo = row->hi = row->written = 0;
}

/* Something of row r is about to go; gone: all of it. */
static void
row_leave(struct screen *s, uint32_t r, bool gone)
{
	struct screen_row **rows = s->grid[s->shown].rows, *row = rows[r];

	if (!row->dirty || s->line == NULL)
		return;
	if (s->now_ns - row->changed_ns >= SCREEN_STOOD_NS ||
	    (gone && (uint64_t)row->written * WHOLE_SHARE >= row->used))
		tell_line(s, rows, r);
	else if (row->written >= SPAN_WRITTEN &&
		 row->hi - row->lo <= (uint64_t)row->written * SPAN_SPREAD)
		tell_span(s, row);
}

static void
row_changed(struct screen *s, struct screen_row *row, uint32_t c0, uint32_t c1)
{
	if (!row->dirty) {
		row->dirty = true;
		row->begun_ns = s->now_ns;
	}
	if (row->written == 0) {
		row->lo = c0;
		row->hi = c1;
	} else {
		row->lo = c0 < row->lo ? c0 : row->lo;
		row->hi = c1 > row->hi ? c1 : row->hi;
	}
	row->written += row->written <= UINT32_MAX / 2 ? c1 - c0 : 0;
	row->changed_ns = s->now_ns;
	if (row->used < c1)
		row->used = c1;
}

/* The other half of a wide character of which one half goes. */
static void
cell_split(struct screen_row *row, uint32_t col, uint32_t cols)
{
	if (row->cells[col].cp[0] == SCREEN_TAIL && col > 0)
		row->cells[col - 1].cp[0] = ' ';
	if (col + 1 < cols && row->cells[col + 1].cp[0] == SCREEN_TAIL)
		row->cells[col + 1].cp[0] = ' ';
}

static void
cell_set(struct screen *s, struct screen_row *row, uint32_t col, uint32_t cp)
{
	struct screen_cell *c = &row->cells[col];

	cell_split(row, col, s->cols);
	memset(c->cp, 0, sizeof(c->cp));
	c->cp[0] = cp;
	c->pen = s->pen;
}

void
screen_put(struct screen *s, struct screen_at at, const uint32_t *cp, uint32_t width)
{
	struct screen_row *row = s->grid[s->shown].rows[at.row];
	struct screen_cell *c = &row->cells[at.col];
	uint32_t end = at.col + width;

	/* The same character again, perhaps with one that combines, takes nothing away. */
	for (uint32_t i = at.col; i < end; i++)
		if (!cell_is_blank(&row->cells[i]) && row->cells[i].cp[0] != cp[0] &&
		    row->cells[i].cp[0] != SCREEN_TAIL) {
			row_leave(s, at.row, false);
			break;
		}
	/* One that is written again, for what combines with it, came as it came. */
	if (at.col == 0 && (s->wrap_pending || (!s->again && cp[1] == 0)))
		row->wrapped = s->wrap_pending && at.row == s->wrap_row + 1;
	cell_set(s, row, at.col, cp[0]);
	for (size_t i = 1; i < SCREEN_CHARS && cp[i] != 0; i++)
		c->cp[i] = cp[i];
	if (width == 2)
		cell_set(s, row, at.col + 1, SCREEN_TAIL);
	row_changed(s, row, at.col, end);
}

void
screen_put_ascii(struct screen *s, struct screen_at at, const uint8_t *p, uint32_t n)
{
	struct screen_row *row = s->grid[s->shown].rows[at.row];
	struct screen_cell *c = &row->cells[at.col];
	uint32_t old = at.col < row->used ? row->used - at.col : 0;

	if (old > n)
		old = n;
	for (uint32_t i = 0; i < old; i++)
		if (!cell_is_blank(&c[i]) && c[i].cp[0] != p[i]) {
			row_leave(s, at.row, false);
			break;
		}
	if (old > 0) {
		cell_split(row, at.col, s->cols);
		cell_split(row, at.col + n - 1, s->cols);
	}
	for (uint32_t i = 0; i < n; i++)
		c[i] = (struct screen_cell){ .cp = { p[i] }, .pen = s->pen };
	if (at.col == 0)
		row->wrapped = false;
	row_changed(s, row, at.col, at.col + n);
}

bool
screen_may_fill(struct screen *s, uint64_t cells)
{
	if (s->filled + cells > FILL_FREE + s->fed * FILL_PER_BYTE)
		return false;
	s->filled += cells;
	return true;
}

/* What is blank at the end of a row needs no looking at. */
static void
row_trim(struct screen_row *row)
{
	while (row->used > 0 && row->cells[row->used - 1].cp[0] == 0 &&
	       row->cells[row->used - 1].pen.bg == 0)
		row->used--;
}

static bool
cells_any(const struct screen_row *row, uint32_t c0, uint32_t c1)
{
	for (uint32_t c = c0; c < c1 && c < row->used; c++)
		if (!cell_is_blank(&row->cells[c]))
			return true;
	return false;
}

static void
row_erase(struct screen *s, uint32_t r, uint32_t c0, uint32_t c1)
{
	struct screen_row **rows = s->grid[s->shown].rows, *row = rows[r];
	struct screen_cell blank = { .pen = { .bg = s->pen.bg } };

	if (blank.pen.bg != 0 && !screen_may_fill(s, c1 - c0))
		blank.pen.bg = 0;
	if (cells_any(row, c0, c1))
		row_leave(s, r, !cells_any(row, 0, c0) && !cells_any(row, c1, row->used));
	if (c0 == 0 && c1 == s->cols) {
		bool wrapped = row->wrapped;

		row_clear(row);
		row->wrapped = wrapped;
	}
	if (c1 == s->cols && r + 1 < s->rows)
		rows[r + 1]->wrapped = false;
	if (blank.pen.bg == 0 && c1 > row->used)
		c1 = row->used;
	if (c0 >= c1)
		return;
	cell_split(row, c0, s->cols);
	cell_split(row, c1 - 1, s->cols);
	for (uint32_t c = c0; c < c1; c++)
		row->cells[c] = blank;
	if (row->used < c1)
		row->used = c1;
	row_trim(row);
}

void
screen_erase(struct screen *s, uint32_t r0, uint32_t r1, uint32_t c0, uint32_t c1)
{
	for (uint32_t r = r0; r < r1; r++)
		row_erase(s, r, c0, c1);
}

/* A row scrolls off at the top of the screen: it may be the first of a line that goes on below. */
static void
row_scroll_off(struct screen *s, struct screen_row *row, const struct screen_row *next)
{
	if (!row->wrapped && s->leaving.len > 0)
		screen_text_tell(s, &s->leaving);
	if (s->line == NULL)
		return;
	text_add_row(s, &s->leaving, row, next->wrapped);
	if (!next->wrapped)
		screen_text_tell(s, &s->leaving);
}

/* Rows that a scroll takes away: at the top of the primary screen as a terminal's history has them, else one by one. */
static void
rows_leave(struct screen *s, uint32_t r0, uint32_t from, uint32_t n)
{
	struct screen_row **rows = s->grid[s->shown].rows;

	for (uint32_t i = 0; i < n; i++) {
		struct screen_row *row = rows[from + i];

		if (from == 0 && r0 == 0 && from + i + 1 < s->rows)
			row_scroll_off(s, row, rows[from + i + 1]);
		else if (row->dirty)
			tell_line(s, rows, from + i);
	}
}

/* Turn n rows around so that those at the front come to the end. */
static void
rows_reverse(struct screen_row **rows, uint32_t n)
{
	for (uint32_t i = 0; i < n / 2; i++) {
		struct screen_row *row = rows[i];

		rows[i] = rows[n - 1 - i];
		rows[n - 1 - i] = row;
	}
}

static void
rows_rotate(struct screen_row **rows, uint32_t n, uint32_t by)
{
	if (by == 1) {
		struct screen_row *row = rows[0];

		memmove(rows, rows + 1, (n - 1) * sizeof(struct screen_row *));
		rows[n - 1] = row;
		return;
	}
	rows_reverse(rows, by);
	rows_reverse(rows + by, n - by);
	rows_reverse(rows, n);
}

void
screen_scroll(struct screen *s, uint32_t r0, uint32_t r1, int n)
{
	struct screen_row **rows = s->grid[s->shown].rows;
	uint32_t height = r1 - r0, by = (uint32_t)(n < 0 ? -n : n);
	uint32_t fresh;

	if (by > height)
		by = height;
	if (by == 0)
		return;
	rows_leave(s, r0, n > 0 ? r0 : r1 - by, by);
	if (n > 0 && s->wrap_pending && s->wrap_row >= r0 + by && s->wrap_row < r1)
		s->wrap_row -= by;
	rows_rotate(rows + r0, height, n > 0 ? by : height - by);
	fresh = n > 0 ? r1 - by : r0;
	for (uint32_t i = 0; i < by; i++) {
		row_clear(rows[fresh + i]);
		if (s->pen.bg != 0)
			row_erase(s, fresh + i, 0, s->cols);
	}
	/* What a line went on to may be another one now. */
	if (n < 0 && r1 < s->rows)
		rows[r1]->wrapped = false;
	if (n < 0)
		rows[r0 + by < r1 ? r0 + by : r0]->wrapped = false;
	if (n > 0 && r0 > 0)
		rows[r0]->wrapped = false;
}

void
screen_shift(struct screen *s, uint32_t r, uint32_t c0, uint32_t c1, int n)
{
	struct screen_row *row = s->grid[s->shown].rows[r];
	uint32_t width = c1 - c0, by = (uint32_t)(n < 0 ? -n : n);
	uint32_t from, to;

	if (by > width)
		by = width;
	if (by == 0)
		return;
	if (cells_any(row, c0, c1))
		row_leave(s, r, false);
	cell_split(row, c0, s->cols);
	if (c1 < s->cols)
		cell_split(row, c1, s->cols);
	from = n > 0 ? c0 + by : c0;
	to = n > 0 ? c0 : c0 + by;
	memmove(&row->cells[to], &row->cells[from], (width - by) * sizeof(row->cells[0]));
	from = n > 0 ? c1 - by : c0;
	for (uint32_t c = from; c < from + by; c++)
		row->cells[c] = (struct screen_cell){ .pen = { .bg = s->pen.bg } };
	/* Halves of wide characters that lost the other one. */
	if (row->cells[c0].cp[0] == SCREEN_TAIL)
		row->cells[c0].cp[0] = ' ';
	if (n < 0 && row->cells[c1 - 1].cp[0] != SCREEN_TAIL && c1 < s->cols &&
	    row->cells[c1].cp[0] == SCREEN_TAIL)
		row->cells[c1].cp[0] = ' ';
	if (row->used > c0)
		row_changed(s, row, c0, c1);
	row->used = s->cols;
	row_trim(row);
}

void
screen_tell_all(struct screen *s, unsigned which)
{
	struct screen_row **rows = s->grid[which].rows;

	if (which == 0 && s->leaving.len > 0 && (rows == NULL || !rows[0]->wrapped))
		screen_text_tell(s, &s->leaving);
	for (uint32_t r = 0; rows != NULL && r < s->rows; r++) {
		/* The rest of a line whose first rows have scrolled off. */
		if (which == 0 && r == 0 && s->leaving.len > 0) {
			do {
				bool more = r + 1 < s->rows && rows[r + 1]->wrapped;

				text_add_row(s, &s->leaving, rows[r], more);
				row_is_told(rows[r]);
			} while (++r < s->rows && rows[r]->wrapped);
			screen_text_tell(s, &s->leaving);
			if (r == s->rows)
				break;
		}
		if (rows[r]->dirty)
			tell_line(s, rows, r);
	}
}

void
screen_grid_free(struct screen_grid *g, uint32_t rows)
{
	for (uint32_t r = 0; g->rows != NULL && r < rows; r++)
		free(g->rows[r]);
	free(g->rows);
	g->rows = NULL;
}

int
screen_grid_new(const struct screen *s, struct screen_grid *ret_grid)
{
	struct screen_grid g = { calloc(s->rows, sizeof(struct screen_row *)) };

	for (uint32_t r = 0; g.rows != NULL && r < s->rows; r++)
		if ((g.rows[r] = row_new(s->cols)) == NULL)
			screen_grid_free(&g, s->rows);
	if (g.rows == NULL)
		return -ENOMEM;
	*ret_grid = g;
	return 0;
}

/* Copy a row into one of another width; what is cut off was told. */
static void
row_copy(struct screen_row *to, const struct screen_row *from, uint32_t cols)
{
	uint32_t n = from->used < cols ? from->used : cols;

	memcpy(to->cells, from->cells, n * sizeof(to->cells[0]));
	to->used = n;
	to->wrapped = from->wrapped;
	to->dirty = from->dirty;
	to->begun_ns = from->begun_ns;
	to->changed_ns = from->changed_ns;
	to->written = from->written;
	to->lo = from->lo < n ? from->lo : n;
	to->hi = from->hi < n ? from->hi : n;
	if (n > 0 && n == cols && from->used > n && from->cells[n].cp[0] == SCREEN_TAIL)
		to->cells[n - 1].cp[0] = ' ';
}

/* A copy of a grid in another size; up: rows that are left out at its top. */
static int
grid_copy(const struct screen *s, unsigned which, uint32_t cols, uint32_t rows, uint32_t up,
    struct screen_grid *ret_grid)
{
	const struct screen_grid *old = &s->grid[which];
	const struct screen to = { .cols = cols, .rows = rows };
	int r;

	if (old->rows == NULL)
		return 0;
	if ((r = screen_grid_new(&to, ret_grid)) != 0)
		return r;
	for (uint32_t i = 0; i < rows && i + up < s->rows; i++)
		row_copy(ret_grid->rows[i], old->rows[i + up], cols);
	return 0;
}

int
screen_grid_resize(struct screen *s, uint32_t cols, uint32_t rows, uint32_t *ret_up)
{
	/* Rows below the cursor go first, as terminals do it. */
	uint32_t up = s->cursor.row >= rows ? s->cursor.row - rows + 1 : 0;
	struct screen_grid now[2] = { { NULL }, { NULL } };
	int r;

	/* Whatever may be cut off is told before. */
	if (cols < s->cols || rows < s->rows)
		for (unsigned i = 0; i < 2; i++)
			screen_tell_all(s, i);
	if (s->err != 0)
		return s->err;
	for (unsigned i = 0; i < 2; i++)
		if ((r = grid_copy(s, i, cols, rows, i == s->shown ? up : 0, &now[i])) != 0) {
			screen_grid_free(&now[0], rows);
			return r;
		}
	for (unsigned i = 0; i < 2; i++) {
		screen_grid_free(&s->grid[i], s->rows);
		s->grid[i] = now[i];
	}
	*ret_up = up;
	return 0;
}
