/* A terminal, as far as it takes to know what stands before the cursor. */
#include "config.h"

#include <string.h>

#include "recorder/echo_part.h"

enum { GROUND, ESCAPE, ESCAPE_INTER, CSI, CSI_IGNORE, STRING, STRING_ESCAPE };

#define ROWS_MAX 1000u /* rows of a terminal: more is no terminal */
#define PASTE_MODE 2004u

void
screen_set_size(struct screen *s, uint32_t cols, uint32_t rows)
{
	s->cols = cols == 0 ? 80 : cols < SCREEN_COLS ? cols : SCREEN_COLS;
	s->rows = rows == 0 || rows > ROWS_MAX ? 24 : rows;
	s->region_top = 0;
	s->region_bottom = s->rows - 1;
	if (s->row >= s->rows)
		s->row = s->rows - 1;
}

void
screen_init(struct screen *s, uint32_t cols, uint32_t rows)
{
	memset(s, 0, sizeof(*s));
	screen_set_size(s, cols, rows);
}

static uint8_t *
row_at(struct screen *s, uint32_t row)
{
	return s->cells[(s->base + row) % SCREEN_ROWS];
}

/* Characters. */

static const struct {
	uint32_t from, to;
} wide[] = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
	{ 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f },
	{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };

bool
screen_is_wide(uint32_t cp)
{
	if (cp < wide[0].from)
		return false;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (cp >= wide[i].from && cp <= wide[i].to)
			return true;
	return false;
}

bool
screen_is_bullet(uint32_t cp)
{
	static const uint32_t bullets[] = { '*', 0xb7, 0x2022, 0x2219, 0x22c5, 0x25a0, 0x25aa,
		0x25cb, 0x25cf, 0x25e6, 0x2b24, 0x30fb, 0xff0a };

	if (cp < 0x80)
		return cp == '*';
	for (size_t i = 0; i < sizeof(bullets) / sizeof(bullets[0]); i++)
		if (bullets[i] == cp)
			return true;
	return false;
}

/* Capitals of Latin 1, Greek and Cyrillic are where adding 0x20 makes small ones of them. */
uint8_t
screen_fold(uint32_t cp)
{
	if (cp < 0x80)
		return (uint8_t)(cp >= 'A' && cp <= 'Z' ? cp + 0x20 : cp);
	if ((cp >= 0xc0 && cp <= 0xde) || (cp >= 0x391 && cp <= 0x3a9) ||
	    (cp >= 0x410 && cp <= 0x42f))
		cp += 0x20;
	return (uint8_t)(0x80 | ((cp ^ cp >> 7 ^ cp >> 14) & 0x7f));
}

size_t
echo_utf8(const uint8_t *p, size_t n, uint32_t *ret_cp)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;
	uint32_t cp = len == 1 ? p[0] : p[0] & (0x7fu >> len);

	*ret_cp = 0xfffd;
	if (len == 0 || len > n)
		return 1;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 1;
		cp = cp << 6 | (p[i] & 0x3fu);
	}
	*ret_cp = cp;
	return len;
}

/* The parser: ECMA-48, as terminals read it. */

static void
begin_csi(struct screen *s)
{
	s->state = CSI;
	s->n_params = 0;
	s->marker = 0;
	memset(s->params, 0, sizeof(s->params));
}

static void
take_control(struct screen *s, uint8_t c, struct token *t)
{
	if (c == 0x1b) {
		s->state = ESCAPE;
		return;
	}
	if (c == 0x18 || c == 0x1a)
		s->state = GROUND;
	*t = (struct token){ TOKEN_CONTROL, c };
}

static void
take_escape(struct screen *s, uint8_t c, struct token *t)
{
	if (c == '[')
		begin_csi(s);
	else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		s->state = STRING;
	else if (c >= 0x20 && c < 0x30)
		s->state = ESCAPE_INTER;
	else {
		s->state = GROUND;
		*t = (struct token){ TOKEN_ESCAPE, c };
	}
}

static void
take_csi(struct screen *s, uint8_t c, struct token *t)
{
	if (c >= '0' && c <= '9') {
		uint16_t *v = &s->params[s->n_params];

		*v = *v > 6000 ? 65535 : (uint16_t)(*v * 10 + (c - '0'));
	} else if (c == ';' || c == ':') {
		if (s->n_params < SCREEN_PARAMS - 1)
			s->n_params++;
	} else if (c >= '<' && c <= '?')
		s->marker = c;
	else if (c < 0x30)
		s->state = CSI_IGNORE;
	else {
		s->state = GROUND;
		*t = (struct token){ TOKEN_CSI, c };
	}
}

static void
take_string(struct screen *s, uint8_t c, struct token *t)
{
	if (c == 0x1b)
		s->state = STRING_ESCAPE;
	else if (c == 7 || c == 0x18 || c == 0x1a || (s->state == STRING_ESCAPE && c == '\\')) {
		s->state = GROUND;
		t->kind = TOKEN_STRING;
	} else
		s->state = STRING;
}

/* In the middle of an escape sequence. */
static void
take_byte(struct screen *s, uint8_t c, struct token *t)
{
	if (s->state == STRING || s->state == STRING_ESCAPE)
		take_string(s, c, t);
	else if (c < 0x20 || c == 0x7f)
		take_control(s, c, t);
	else if (s->state == ESCAPE)
		take_escape(s, c, t);
	else if (s->state == CSI)
		take_csi(s, c, t);
	else if (s->state == ESCAPE_INTER || c >= 0x40) {
		s->state = GROUND;
		t->kind = TOKEN_STRING;
	}
}

/* A byte of a character of several. */
static void
take_utf8(struct screen *s, uint8_t c, struct token *t)
{
	s->cp = s->cp << 6 | (c & 0x3fu);
	if (--s->utf8_left == 0)
		*t = (struct token){ TOKEN_PRINT, s->cp };
}

size_t
screen_token(struct screen *s, const uint8_t *p, size_t n, struct token *ret)
{
	size_t i = 0;

	*ret = (struct token){ TOKEN_NONE, 0 };
	for (; i < n && ret->kind == TOKEN_NONE; i++) {
		uint8_t c = p[i];

		if (s->utf8_left > 0 && (c & 0xc0) == 0x80) {
			take_utf8(s, c, ret);
			continue;
		}
		s->utf8_left = 0;
		if (s->state != GROUND)
			take_byte(s, c, ret);
		else if (c < 0x20 || c == 0x7f)
			take_control(s, c, ret);
		else if (c < 0xc2 || c >= 0xf5)
			*ret = (struct token){ TOKEN_PRINT, c < 0x80 ? c : 0xfffd };
		else {
			s->utf8_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
			s->cp = c & (c < 0xe0 ? 0x1fu : c < 0xf0 ? 0x0fu : 0x07u);
		}
	}
	return i;
}

/* The terminal. */

static void
touch(struct screen *s, uint32_t row)
{
	s->touched |= 1ull << row % SCREEN_ROWS;
}

bool
screen_is_touched(const struct screen *s)
{
	return (s->touched & 1ull << s->row % SCREEN_ROWS) != 0;
}

static void
clear(struct screen *s, uint32_t row, uint32_t from, uint32_t to)
{
	if (from < to)
		memset(row_at(s, row) + from, CELL_EMPTY, to - from);
	touch(s, row);
}

static void
clear_rows(struct screen *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to && i < from + SCREEN_ROWS; i++)
		clear(s, i, 0, SCREEN_COLS);
}

/* Rows from the region's first to its last go n up (down: n negative). */
static void
scroll(struct screen *s, uint32_t top, uint32_t bottom, int n)
{
	uint32_t many = n < 0 ? (uint32_t)-n : (uint32_t)n;

	if (n == 1 && top == 0 && bottom == s->rows - 1) {
		s->base = (s->base + 1) % SCREEN_ROWS;
		clear(s, bottom, 0, SCREEN_COLS);
		return;
	}
	if (bottom - top >= SCREEN_ROWS || many > bottom - top) {
		clear_rows(s, top, bottom + 1);
		return;
	}
	for (uint32_t i = 0; i + many <= bottom - top; i++) {
		uint32_t to = n > 0 ? top + i : bottom - i;
		uint32_t from = n > 0 ? to + many : to - many;

		memcpy(row_at(s, to), row_at(s, from), SCREEN_COLS);
		touch(s, to);
	}
	if (n > 0)
		clear_rows(s, bottom + 1 - many, bottom + 1);
	else
		clear_rows(s, top, top + many);
}

static void
line_feed(struct screen *s)
{
	if (s->row == s->region_bottom)
		scroll(s, s->region_top, s->region_bottom, 1);
	else if (s->row + 1 < s->rows)
		s->row++;
	s->wrapped[(s->base + s->row) % SCREEN_ROWS] = false;
}

/* The cursor goes to where the next character stands. */
static void
begin_print(struct screen *s)
{
	if (s->col >= s->cols) {
		s->col = 0;
		line_feed(s);
		s->wrapped[(s->base + s->row) % SCREEN_ROWS] = true;
	}
	touch(s, s->row);
}

static void
print(struct screen *s, uint32_t cp)
{
	uint8_t *row;

	begin_print(s);
	row = row_at(s, s->row);
	row[s->col++] = screen_fold(cp);
	if (screen_is_wide(cp) && s->col < s->cols)
		row[s->col++] = CELL_WIDE;
}

/* Eight bytes at a time, each in its place of a word. */
#define EACH(byte) (0x0101010101010101ull * (byte))
#define HIGH EACH(0x80u)

/* Whether all of them are from 0x20 to 0x7e: sums carry only where a high bit is set, which is a no by itself. */
static bool
all_printable(uint64_t v)
{
	return ((v | (v + EACH(0x01u)) | ~(v + EACH(0x60u))) & HIGH) == 0;
}

/* Capitals get the bit that makes small letters of them. */
static uint64_t
all_small(uint64_t v)
{
	uint64_t capital = (v + EACH(0x80u - 'A')) & ~(v + EACH(0x80u - 'Z' - 1)) & HIGH;

	return v | capital >> 2;
}

static size_t
count_asterisks(uint64_t v)
{
	uint64_t none = ((v ^ EACH('*')) + EACH(0x7fu)) & HIGH;

	return (size_t)(((none ^ HIGH) >> 7) * EACH(1u) >> 56);
}

/* Cells of printable ASCII at the beginning of n bytes. */
static size_t
put_cells(uint8_t *dst, const uint8_t *p, size_t n, size_t *bullets)
{
	size_t i = 0;
	uint64_t v;

	for (; n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		if (!all_printable(v))
			break;
		*bullets += count_asterisks(v);
		v = all_small(v);
		memcpy(dst + i, &v, sizeof(v));
	}
	for (; i < n && p[i] >= 0x20 && p[i] < 0x7f; i++) {
		*bullets += p[i] == '*';
		dst[i] = screen_fold(p[i]);
	}
	return i;
}

size_t
screen_text(struct screen *s, const uint8_t *p, size_t n, size_t *ret_bullets)
{
	size_t i = 0, len;

	*ret_bullets = 0;
	if (s->state != GROUND)
		return 0;
	while (i < n && p[i] >= 0x20 && p[i] < 0x7f) {
		s->utf8_left = 0;
		begin_print(s);
		len = n - i < s->cols - s->col ? n - i : s->cols - s->col;
		len = put_cells(row_at(s, s->row) + s->col, p + i, len, ret_bullets);
		s->col += (uint32_t)len;
		i += len;
	}
	return i;
}

static void
control(struct screen *s, uint32_t c)
{
	switch (c) {
	case '\r':
		s->col = 0;
		break;
	case '\n':
	case '\v':
	case '\f':
		line_feed(s);
		break;
	case '\b':
		s->col -= s->col > 0;
		break;
	case '\t':
		s->col = s->col / 8 * 8 + 8 < s->cols ? s->col / 8 * 8 + 8 : s->cols - 1;
		break;
	default:
		break;
	}
}

static void
escape(struct screen *s, uint32_t c)
{
	switch (c) {
	case '7':
		s->saved_row = s->row;
		s->saved_col = s->col;
		break;
	case '8':
		s->row = s->saved_row < s->rows ? s->saved_row : s->rows - 1;
		s->col = s->saved_col;
		break;
	case 'E':
		s->col = 0;
		line_feed(s);
		break;
	case 'D':
		line_feed(s);
		break;
	case 'M':
		if (s->row == s->region_top)
			scroll(s, s->region_top, s->region_bottom, -1);
		else
			s->row -= s->row > 0;
		break;
	case '=':
	case '>':
		s->n_modes += s->keypad != (c == '=');
		s->keypad = c == '=';
		break;
	case 'c':
		screen_init(s, s->cols, s->rows);
		break;
	default:
		break;
	}
}

/* Modes that tell of a program that reads keys by itself. */
static void
set_mode(struct screen *s, uint32_t mode, bool on)
{
	switch (mode) {
	case 1:
		s->n_modes += s->keypad != on;
		s->keypad = on;
		break;
	case 47:
	case 1047:
	case 1049:
		s->n_modes += s->alternate != on;
		if (s->alternate != on)
			clear_rows(s, 0, s->rows);
		s->alternate = on;
		break;
	case PASTE_MODE:
		s->paste = on;
		break;
	default:
		break;
	}
}

static void
move_to(struct screen *s, uint32_t row, uint32_t col)
{
	s->row = row < s->rows ? row : s->rows - 1;
	s->col = col < s->cols ? col : s->cols - 1;
}

static void
erase_display(struct screen *s, uint32_t how)
{
	clear(s, s->row, how == 0 ? s->col : 0, how == 1 ? s->col : SCREEN_COLS);
	if (how == 0 || how == 2)
		clear_rows(s, s->row + 1, s->rows);
	if (how == 1 || how == 2)
		clear_rows(s, 0, s->row);
}

/* Cells from the cursor on go n to the left (right: n negative). */
static void
shift(struct screen *s, int n)
{
	uint8_t *row = row_at(s, s->row);
	uint32_t rest = SCREEN_COLS - s->col;
	uint32_t many = n < 0 ? (uint32_t)-n : (uint32_t)n;

	touch(s, s->row);
	many = many < rest ? many : rest;
	if (n > 0) {
		memmove(row + s->col, row + s->col + many, rest - many);
		memset(row + SCREEN_COLS - many, CELL_EMPTY, many);
	} else {
		memmove(row + s->col + many, row + s->col, rest - many);
		memset(row + s->col, CELL_EMPTY, many);
	}
}

static void
csi_edit(struct screen *s, uint32_t final, uint32_t n)
{
	int many = n < SCREEN_COLS ? (int)n : (int)SCREEN_COLS;

	switch (final) {
	case 'P':
		shift(s, many);
		break;
	case '@':
		shift(s, -many);
		break;
	case 'X':
		clear(s, s->row, s->col, s->col + n < SCREEN_COLS ? s->col + n : SCREEN_COLS);
		break;
	case 'L':
	case 'M':
		if (s->row >= s->region_top && s->row <= s->region_bottom)
			scroll(s, s->row, s->region_bottom, final == 'M' ? many : -many);
		break;
	case 'S':
	case 'T':
		scroll(s, s->region_top, s->region_bottom, final == 'S' ? many : -many);
		break;
	default:
		break;
	}
}

static void
csi(struct screen *s, uint32_t final)
{
	uint32_t a = s->params[0], b = s->params[1], n = a != 0 ? a : 1;

	if (s->marker == '?' && (final == 'h' || final == 'l'))
		for (uint32_t i = 0; i <= s->n_params; i++)
			set_mode(s, s->params[i], final == 'h');
	if (s->marker != 0)
		return;
	switch (final) {
	case 'A':
	case 'F':
		move_to(s, s->row > n ? s->row - n : 0, final == 'F' ? 0 : s->col);
		break;
	case 'B':
	case 'E':
	case 'e':
		move_to(s, s->row + n, final == 'E' ? 0 : s->col);
		break;
	case 'C':
	case 'a':
		move_to(s, s->row, s->col + n);
		break;
	case 'D':
		move_to(s, s->row, s->col > n ? s->col - n : 0);
		break;
	case 'G':
	case '`':
		move_to(s, s->row, n - 1);
		break;
	case 'H':
	case 'f':
		move_to(s, n - 1, b != 0 ? b - 1 : 0);
		break;
	case 'd':
		move_to(s, n - 1, s->col);
		break;
	case 'J':
		erase_display(s, a);
		break;
	case 'K':
		clear(s, s->row, a == 0 ? s->col : 0, a == 1 ? s->col : SCREEN_COLS);
		break;
	case 'r':
		s->region_top = n - 1 < s->rows ? n - 1 : 0;
		s->region_bottom = b != 0 && b - 1 < s->rows ? b - 1 : s->rows - 1;
		if (s->region_top >= s->region_bottom) {
			s->region_top = 0;
			s->region_bottom = s->rows - 1;
		}
		move_to(s, 0, 0);
		break;
	case 's':
		escape(s, '7');
		break;
	case 'u':
		escape(s, '8');
		break;
	default:
		csi_edit(s, final, n);
		break;
	}
}

void
screen_apply(struct screen *s, const struct token *t)
{
	switch (t->kind) {
	case TOKEN_PRINT:
		print(s, t->cp);
		break;
	case TOKEN_CONTROL:
		control(s, t->cp);
		break;
	case TOKEN_ESCAPE:
		escape(s, t->cp);
		break;
	case TOKEN_CSI:
		csi(s, t->cp);
		break;
	case TOKEN_NONE:
	case TOKEN_STRING:
		break;
	}
}

bool
screen_leaves(const struct screen *s, const struct token *t)
{
	if (t->kind == TOKEN_CONTROL)
		return t->cp >= '\n' && t->cp <= '\r';
	return t->kind == TOKEN_CSI && s->marker == 0 && t->cp != 'm' && t->cp != 'K';
}

void
screen_skip(struct screen *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	struct token t;

	s->state = GROUND;
	s->utf8_left = 0;
	memset(s->cells, CELL_EMPTY, sizeof(s->cells));
	memset(s->wrapped, 0, sizeof(s->wrapped));
	move_to(s, s->rows - 1, 0);
	while (p < end && (p = memmem(p, (size_t)(end - p), "\x1b[?", 3)) != NULL) {
		p += screen_token(s, p, (size_t)(end - p), &t);
		if (t.kind == TOKEN_CSI)
			screen_apply(s, &t);
		s->state = GROUND;
	}
}

size_t
screen_left(const struct screen *s, uint8_t *dst, size_t max)
{
	uint32_t row = s->row, col = s->col, seen = 0;
	size_t n = 0, len;

	/* From the end of dst backwards, and then to its beginning. */
	while (n < max) {
		uint32_t place = (s->base + row) % SCREEN_ROWS;

		len = col < max - n ? col : max - n;
		memcpy(dst + max - n - len, s->cells[place] + col - len, len);
		n += len;
		if (!s->wrapped[place] || row == 0 || ++seen == SCREEN_ROWS)
			break;
		row--;
		col = s->cols;
	}
	memmove(dst, dst + max - n, n);
	return n;
}
