/*
 * A screen, and libvterm in it: what it makes of the sequences that it is given (screen_seq.c) goes to the cells
 * (screen_grid.c). What comes is taken apart in screen_in.c.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vterm.h>

#include "recorder/screen_in_part.h"
#include "recorder/screen_part.h"

static VTerm *
vt_of(const struct screen *s)
{
	return s->vt;
}

void
screen_vt_write(struct screen *s, const void *p, size_t len)
{
	(void)vterm_input_write(vt_of(s), p, len);
}

void
screen_vt_say(struct screen *s, const char *text)
{
	screen_vt_write(s, text, strlen(text));
}

/* libvterm calls these. They return 1: done. */

static bool
rect_fits(const struct screen *s, VTermRect rect)
{
	return rect.start_row >= 0 && rect.start_col >= 0 && rect.end_row <= (int)s->rows &&
	       rect.end_col <= (int)s->cols && rect.start_row < rect.end_row &&
	       rect.start_col < rect.end_col;
}

static int
on_putglyph(VTermGlyphInfo *info, VTermPos pos, void *user)
{
	struct screen *s = user;
	uint32_t cp[SCREEN_CHARS] = { 0 }, width = info->width == 2 ? 2 : 1;
	size_t n = 0;

	if (pos.row < 0 || pos.col < 0 || pos.row >= (int)s->rows || pos.col >= (int)s->cols)
		return 1;
	if (width == 2 && pos.col + 1 == (int)s->cols)
		width = 1;
	/* What combines with nothing stands on a blank. */
	if (info->width <= 0)
		cp[n++] = ' ';
	s->crowded = false;
	for (size_t i = 0; !s->crowded && info->chars[i] != 0; i++)
		if (n < SCREEN_CHARS)
			cp[n++] = info->chars[i];
		else
			s->crowded = true;
	if (n == 0)
		cp[0] = ' ';
	s->crowd = (struct screen_at){ (uint32_t)pos.row, (uint32_t)pos.col };
	s->crowd_stays = info->width <= 0;
	screen_put(s, (struct screen_at){ (uint32_t)pos.row, (uint32_t)pos.col }, cp, width);
	s->wrap_pending = !s->no_wrap && (uint32_t)pos.col + width == s->cols;
	s->wrap_row = (uint32_t)pos.row;
	return 1;
}

static int
on_movecursor(VTermPos pos, VTermPos old, int visible, void *user)
{
	struct screen *s = user;

	(void)old;
	(void)visible;
	if (pos.row < 0 || pos.col < 0)
		return 1;
	s->cursor.row = pos.row < (int)s->rows ? (uint32_t)pos.row : s->rows - 1;
	s->cursor.col = pos.col < (int)s->cols ? (uint32_t)pos.col : s->cols - 1;
	/* A character of two columns leaves the cursor before the last one. */
	if (s->cursor.row != s->wrap_row || s->cursor.col + 2 < s->cols)
		s->wrap_pending = false;
	return 1;
}

static int
on_scrollrect(VTermRect rect, int downward, int rightward, void *user)
{
	struct screen *s = user;

	if (!rect_fits(s, rect))
		return 1;
	if (downward != 0 && rect.start_col == 0 && rect.end_col == (int)s->cols)
		screen_scroll(s, (uint32_t)rect.start_row, (uint32_t)rect.end_row, downward);
	for (int r = rect.start_row; rightward != 0 && r < rect.end_row; r++)
		screen_shift(
		    s, (uint32_t)r, (uint32_t)rect.start_col, (uint32_t)rect.end_col, rightward);
	return 1;
}

static int
on_erase(VTermRect rect, int selective, void *user)
{
	struct screen *s = user;

	(void)selective;
	if (rect_fits(s, rect))
		screen_erase(s, (uint32_t)rect.start_row, (uint32_t)rect.end_row,
		    (uint32_t)rect.start_col, (uint32_t)rect.end_col);
	return 1;
}

static int
on_initpen(void *user)
{
	struct screen *s = user;

	s->pen = (struct screen_pen){ 0 };
	return 1;
}

static uint32_t
colour(const VTermColor *c)
{
	if (VTERM_COLOR_IS_DEFAULT_FG(c) || VTERM_COLOR_IS_DEFAULT_BG(c))
		return 0;
	if (VTERM_COLOR_IS_INDEXED(c))
		return SCREEN_COLOUR_INDEX | c->indexed.idx;
	return SCREEN_COLOUR_RGB | (uint32_t)c->rgb.red << 16 | (uint32_t)c->rgb.green << 8 |
	       c->rgb.blue;
}

static int
on_setpenattr(VTermAttr attr, VTermValue *val, void *user)
{
	static const struct {
		VTermAttr attr;
		uint32_t bit;
	} bits[] = {
		{ VTERM_ATTR_BOLD, SCREEN_BOLD },
		{ VTERM_ATTR_ITALIC, SCREEN_ITALIC },
		{ VTERM_ATTR_BLINK, SCREEN_BLINK },
		{ VTERM_ATTR_REVERSE, SCREEN_REVERSE },
		{ VTERM_ATTR_STRIKE, SCREEN_STRIKE },
	};
	struct screen *s = user;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (bits[i].attr == attr)
			s->pen.attrs =
			    val->boolean ? s->pen.attrs | bits[i].bit : s->pen.attrs & ~bits[i].bit;
	if (attr == VTERM_ATTR_UNDERLINE) {
		s->pen.attrs &= ~(uint32_t)(SCREEN_UNDERLINE | SCREEN_UNDERLINE_TWICE);
		s->pen.attrs |= val->number == 0   ? 0u
				: val->number == 2 ? (uint32_t)SCREEN_UNDERLINE_TWICE
						   : (uint32_t)SCREEN_UNDERLINE;
	} else if (attr == VTERM_ATTR_FOREGROUND) {
		s->pen.fg = colour(&val->color);
	} else if (attr == VTERM_ATTR_BACKGROUND) {
		s->pen.bg = colour(&val->color);
	}
	return 1;
}

/* 0: libvterm stays with what it had. */
static int
on_settermprop(VTermProp prop, VTermValue *val, void *user)
{
	struct screen *s = user;

	if (prop == VTERM_PROP_CURSORVISIBLE)
		s->hidden = !val->boolean;
	if (prop != VTERM_PROP_ALTSCREEN || (val->boolean != 0) == (s->shown == 1))
		return 1;
	if (val->boolean && s->grid[1].rows == NULL && screen_grid_new(s, &s->grid[1]) != 0) {
		s->err = -ENOMEM;
		return 0;
	}
	if (!val->boolean)
		screen_tell_all(s, 1);
	s->shown = val->boolean ? 1 : 0;
	s->wrap_pending = false;
	return 1;
}

static const VTermStateCallbacks vt_callbacks = {
	.putglyph = on_putglyph,
	.movecursor = on_movecursor,
	.scrollrect = on_scrollrect,
	.erase = on_erase,
	.initpen = on_initpen,
	.setpenattr = on_setpenattr,
	.settermprop = on_settermprop,
};

static void
vt_answer(const char *text, size_t len, void *user)
{
	(void)text;
	(void)len;
	(void)user;
}

void
screen_modes_reset(struct screen *s)
{
	s->insert = s->no_wrap = s->origin = s->newline = false;
	s->top = 0;
	s->bottom = s->rows;
	s->charset[0] = s->charset[1] = 'B';
	s->shift = 0;
}

static int
terminal_new(struct screen *s)
{
	VTermState *state;
	VTerm *vt;

	if (screen_grid_new(s, &s->grid[0]) != 0 || !screen_text_init(&s->text) ||
	    !screen_text_init(&s->leaving) || (vt = vterm_new((int)s->rows, (int)s->cols)) == NULL)
		return -ENOMEM;
	s->vt = vt;
	vterm_set_utf8(vt, 1);
	vterm_output_set_callback(vt, vt_answer, NULL);
	state = vterm_obtain_state(vt);
	vterm_state_set_callbacks(state, &vt_callbacks, s);
	vterm_state_reset(state, 1);
	screen_modes_reset(s);
	/* What was never saved would come back black on black. */
	screen_vt_say(s, "\0337");
	return 0;
}

int
screen_new(uint32_t cols, uint32_t rows, screen_line_fn line, void *arg, struct screen **ret_screen)
{
	struct screen *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (s == NULL)
		return r;
	s->line = line;
	s->arg = arg;
	if (cols != 0 || rows != 0) {
		s->cols = cols == 0 ? 1 : cols > SCREEN_COLS_MAX ? SCREEN_COLS_MAX : cols;
		s->rows = rows == 0 ? 1 : rows > SCREEN_ROWS_MAX ? SCREEN_ROWS_MAX : rows;
	}
	if ((s->in = calloc(1, sizeof(*s->in))) == NULL)
		goto fail;
	if (s->cols == 0 ? !screen_text_init(&s->text) : (r = terminal_new(s)) != 0)
		goto fail;
	*ret_screen = s;
	return 0;
fail:
	screen_free(s);
	return r;
}

void
screen_free(struct screen *s)
{
	if (s == NULL)
		return;
	if (s->vt != NULL)
		vterm_free(vt_of(s));
	screen_grid_free(&s->grid[0], s->rows);
	screen_grid_free(&s->grid[1], s->rows);
	free(s->text.p);
	free(s->leaving.p);
	free(s->in);
	free(s);
}

int
screen_feed(struct screen *s, uint64_t at_ns, const void *data, size_t len)
{
	int r;

	s->now_ns = at_ns;
	s->fed += len;
	if (s->cols == 0)
		screen_lines_feed(s, data, len);
	else
		screen_terminal_feed(s, data, len);
	r = s->err;
	s->err = 0;
	return r;
}

int
screen_resize(struct screen *s, uint64_t at_ns, uint32_t cols, uint32_t rows)
{
	struct screen_at at = s->cursor;
	uint32_t up = 0;
	int r;

	if (s->cols == 0)
		return 0;
	cols = cols == 0 ? 1 : cols > SCREEN_COLS_MAX ? SCREEN_COLS_MAX : cols;
	rows = rows == 0 ? 1 : rows > SCREEN_ROWS_MAX ? SCREEN_ROWS_MAX : rows;
	if ((cols == s->cols && rows == s->rows) ||
	    !screen_may_fill(s, (uint64_t)cols * rows + (uint64_t)s->cols * s->rows))
		return 0;
	s->now_ns = at_ns;
	if ((r = screen_grid_resize(s, cols, rows, &up)) != 0) {
		s->err = 0;
		return r;
	}
	/* The scroll region ends, as terminals do it, and libvterm must not keep one that is larger than the screen. */
	screen_vt_say(s, "\033[r");
	s->cols = cols;
	s->rows = rows;
	s->top = 0;
	s->bottom = rows;
	s->wrap_pending = false;
	vterm_set_size(vt_of(s), (int)rows, (int)cols);
	at.row -= up;
	at.row = at.row < rows ? at.row : rows - 1;
	at.col = at.col < cols ? at.col : cols - 1;
	s->cursor = at;
	screen_cursor_to(s, at);
	r = s->err;
	s->err = 0;
	return r;
}

int
screen_flush(struct screen *s, uint64_t at_ns)
{
	int r;

	if (s->cols == 0) {
		if (s->in->utf8_len > 0)
			screen_lines_bad(s);
		s->in->utf8_len = 0;
		s->now_ns = at_ns;
		if (s->text.len > 0)
			screen_lines_end(s);
	} else {
		s->now_ns = at_ns;
		screen_tell_all(s, 0);
		screen_tell_all(s, 1);
	}
	r = s->err;
	s->err = 0;
	return r;
}

bool
screen_is_whole(const struct screen *s)
{
	return s->in->state == SCREEN_IN_GROUND && s->in->utf8_len == 0;
}

void
screen_size(const struct screen *s, uint32_t *ret_cols, uint32_t *ret_rows)
{
	*ret_cols = s->cols;
	*ret_rows = s->rows;
}

void
screen_cursor(const struct screen *s, uint32_t *ret_col, uint32_t *ret_row, bool *ret_shown)
{
	*ret_col = s->cursor.col;
	*ret_row = s->cursor.row;
	*ret_shown = !s->hidden;
}
