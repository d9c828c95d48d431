/* Rows as they were written last, beside what is to be written. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/paint.h"
#include "bastionctl/vt_safe.h"

#define PAINT_ROW_MAX (256u << 10) /* bytes of one row */
#define PAINT_OUT_MAX (PAINT_SIDE_MAX * PAINT_ROW_MAX)

struct paint {
	uint32_t cols, rows;
	struct buf **shown; /* of each row; NULL: not known */
	struct buf *out;
	size_t taken; /* bytes of out that were given out */
	uint32_t col, row;
	bool cursor, cursor_known;
};

const char paint_enter[] = "\033[?1049h\033[m\033[r\033[H\033[2J";
const char paint_leave[] = "\033[m\033[r\033[?25h\033[?1049l";

static void
paint_forget(struct paint *p)
{
	for (uint32_t i = 0; p->shown != NULL && i < p->rows; i++)
		buf_free(p->shown[i]);
	free(p->shown);
	p->shown = NULL;
	p->rows = 0;
}

int
paint_new(struct paint **ret_paint)
{
	struct paint *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	if ((p->out = buf_new(PAINT_OUT_MAX)) == NULL || paint_size(p, 80, 24) != 0) {
		paint_free(p);
		return -ENOMEM;
	}
	*ret_paint = p;
	return 0;
}

void
paint_free(struct paint *p)
{
	if (p == NULL)
		return;
	paint_forget(p);
	buf_free(p->out);
	free(p);
}

/* What was written before the last paint_take() is no longer wanted. */
static void
paint_begin(struct paint *p)
{
	if (p->taken > 0)
		buf_reset(p->out);
	p->taken = 0;
}

static uint32_t
paint_side(uint32_t n)
{
	return n == 0 ? 1 : n > PAINT_SIDE_MAX ? PAINT_SIDE_MAX : n;
}

int
paint_size(struct paint *p, uint32_t cols, uint32_t rows)
{
	static const char clear[] = "\033[m\033[r\033[H\033[2J";

	paint_forget(p);
	paint_begin(p);
	if ((p->shown = calloc(paint_side(rows), sizeof(struct buf *))) == NULL)
		return -ENOMEM;
	p->cols = paint_side(cols);
	p->rows = paint_side(rows);
	p->cursor_known = false;
	return buf_put(p->out, clear, sizeof(clear) - 1);
}

uint32_t
paint_cols(const struct paint *p)
{
	return p->cols;
}

uint32_t
paint_rows(const struct paint *p)
{
	return p->rows;
}

static int
paint_move(struct paint *p, uint32_t col, uint32_t row)
{
	char seq[32];
	int n = snprintf(seq, sizeof(seq), "\033[%u;%uH", row + 1, col + 1);

	return buf_put(p->out, seq, (size_t)n);
}

int
paint_row(struct paint *p, uint32_t row, const void *data, size_t len)
{
	struct vt_safe vt;
	int r;

	if (row >= p->rows)
		return 0;
	if (p->shown[row] != NULL && buf_len(p->shown[row]) == len &&
	    memcmp(buf_ptr(p->shown[row]), data, len) == 0)
		return 0;
	if (p->shown[row] == NULL && (p->shown[row] = buf_new(PAINT_ROW_MAX)) == NULL)
		return -ENOMEM;
	paint_begin(p);
	memset(&vt, 0, sizeof(vt));
	buf_reset(p->shown[row]);
	if ((r = buf_put(p->shown[row], data, len)) != 0 || (r = paint_move(p, 0, row)) != 0 ||
	    (r = vt_safe_feed(&vt, data, len, p->out)) != 0)
		return r;
	p->cursor_known = false;
	return 0;
}

int
paint_text(struct paint *p, uint32_t row, const char *text, bool reverse)
{
	struct buf *b = buf_new(PAINT_ROW_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = reverse ? buf_put(b, "\033[7m", 4) : 0;
	for (uint32_t i = 0; r == 0 && i < p->cols; i++) {
		uint8_t c = *text == '\0' ? ' ' : (uint8_t)*text++;

		r = buf_put_u8(b, c >= 0x20 && c < 0x7f ? c : '?');
	}
	if (r == 0 && reverse)
		r = buf_put(b, "\033[m", 3);
	if (r == 0)
		r = paint_row(p, row, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

int
paint_cursor(struct paint *p, uint32_t col, uint32_t row, bool shown)
{
	int r;

	if (p->cursor_known && p->cursor == shown && p->col == col && p->row == row)
		return 0;
	paint_begin(p);
	if ((r = buf_put(p->out, shown ? "\033[?25h" : "\033[?25l", 6)) != 0 ||
	    (r = paint_move(p, col, row)) != 0)
		return r;
	p->cursor_known = true;
	p->cursor = shown;
	p->col = col;
	p->row = row;
	return 0;
}

const uint8_t *
paint_take(struct paint *p, size_t *ret_len)
{
	*ret_len = p->taken > 0 ? 0 : buf_len(p->out);
	p->taken = buf_len(p->out);
	return buf_ptr(p->out);
}
