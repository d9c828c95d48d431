/*
 * Terminal output, taken apart: text, controls, and whole, bounded sequences (screen_seq.c). Text that does nothing but move
 * the cursor goes to the cells directly (screen_grid.c), and libvterm hears of it once something else comes: that is what
 * makes a gigabyte take seconds.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "recorder/screen_in_part.h"
#include "recorder/screen_part.h"

#define IN_DIGITS_MAX 4u /* of a number; more are dropped, so that no sum of them overflows */
#define IN_STRING_MAX                                                                              \
	(1u << 20) /* bytes of a control string before it is given up and text again */

/*
 * libvterm hears of the characters that went by it: the cursor moves, and the last one is written again, so that whatever
 * combines with it or repeats it finds it there.
 */
static void
in_catch_up(struct screen *s)
{
	struct screen_in *in = s->in;
	char move[32];
	int n = 0;

	if (in->ahead == 0)
		return;
	/* Its cursor is where ours was before them. */
	if (in->ahead > 1)
		n = snprintf(move, sizeof(move), "\033[%uC", in->ahead - 1);
	s->cursor.col -= in->ahead;
	in->ahead = 0;
	if (n > 0)
		screen_vt_write(s, move, (size_t)n);
	s->again = true;
	screen_vt_write(s, &in->ahead_last, 1);
	s->again = false;
}

/*
 * libvterm keeps all that ever combined with the last character, and goes over it again for each that follows. It forgets
 * them over the character itself, written once more with what a cell has room for.
 */
static void
in_uncrowd(struct screen *s)
{
	const struct screen_cell *cell = &s->grid[s->shown].rows[s->crowd.row]->cells[s->crowd.col];
	struct screen_at at = s->crowd;
	uint8_t bytes[4 * SCREEN_CHARS];
	bool stays = s->crowd_stays;
	size_t n = 0;

	for (size_t i = 0; i < SCREEN_CHARS && cell->cp[i] != 0; i++)
		n += screen_utf8(bytes + n, cell->cp[i]);
	if (s->insert)
		screen_vt_say(s, "\033[4l");
	s->wrap_pending = false;
	screen_cursor_to(s, at);
	s->again = true;
	screen_vt_write(s, bytes, n);
	s->again = s->crowded = false;
	if (stays)
		screen_cursor_to(s, at);
	if (s->insert)
		screen_vt_say(s, "\033[4h");
}

static void
in_flush_text(struct screen *s)
{
	struct screen_in *in = s->in;

	if (in->text_len == 0)
		return;
	in_catch_up(s);
	screen_vt_write(s, in->text, in->text_len);
	in->text_len = 0;
	if (s->crowded)
		in_uncrowd(s);
}

/* Everything is where libvterm thinks it is. */
void
screen_in_settle(struct screen *s)
{
	in_flush_text(s);
	in_catch_up(s);
}

/* How many of n printable characters may go to the cells directly: all that stand before the last column. */
static uint32_t
in_direct(const struct screen *s, size_t n)
{
	uint32_t room = s->cols - 1 - s->cursor.col;

	if (s->insert || s->wrap_pending || s->charset[s->shift] != 'B' || s->in->text_len != 0)
		return 0;
	return n < room ? (uint32_t)n : room;
}

static void
in_keep_last(struct screen_in *in, const uint8_t *p, size_t len)
{
	memcpy(in->last, p, len);
	in->last_len = len;
}

/* One character, the slow way. */
void
screen_in_slow(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;

	if (in->text_len + len > SCREEN_IN_TEXT_MAX)
		in_flush_text(s);
	memcpy(in->text + in->text_len, p, len);
	in->text_len += len;
}

/* Printable ASCII. */
static void
in_ascii(struct screen *s, const uint8_t *p, size_t len)
{
	uint32_t n;

	in_keep_last(s->in, p + len - 1, 1);
	while (len > 0) {
		if (s->in->text_len > 0)
			in_flush_text(s);
		if ((n = in_direct(s, len)) > 0) {
			screen_put_ascii(s, s->cursor, p, n);
			s->cursor.col += n;
			s->wrap_pending = false;
			s->in->ahead += n;
			s->in->ahead_last = p[n - 1];
		} else {
			/* One more than fits this line, at most: what wraps begins a line that may be fast again. */
			n = 1;
			screen_in_slow(s, p, n);
			in_flush_text(s);
		}
		p += n;
		len -= n;
	}
}

/* Length of a UTF-8 sequence by its first byte; 0: none begins so. */
size_t
screen_utf8_need(uint8_t c)
{
	return c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

bool
screen_utf8_goes_on(const uint8_t *p, size_t len, uint8_t c)
{
	if ((c & 0xc0) != 0x80)
		return false;
	if (len != 1)
		return true;
	return !((p[0] == 0xe0 && c < 0xa0) || (p[0] == 0xed && c > 0x9f) ||
		 (p[0] == 0xf0 && c < 0x90) || (p[0] == 0xf4 && c > 0x8f));
}

/* A character above ASCII, or what stands for bytes that are none: no control, and nothing that turns text around. */
static void
in_wide(struct screen *s, const uint8_t *p, size_t len)
{
	static const uint8_t bad[3] = { 0xef, 0xbf, 0xbd };
	bool control = len == 2 && p[0] == 0xc2 && p[1] < 0xa0,
	     turns = len == 3 && p[0] == 0xe2 &&
		     ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			 (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));

	if (len == 0 || control || turns) {
		p = bad;
		len = sizeof(bad);
	}
	in_keep_last(s->in, p, len);
	screen_in_slow(s, p, len);
}

/* A byte from 0x80 on, or one that ends a character too soon (it is not taken then: false). */
static bool
in_utf8(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->utf8_len == 0) {
		in->utf8_need = screen_utf8_need(c);
		if (in->utf8_need == 0)
			in_wide(s, NULL, 0);
		else
			in->utf8[in->utf8_len++] = c;
		return true;
	}
	if (!screen_utf8_goes_on(in->utf8, in->utf8_len, c)) {
		in->utf8_len = 0;
		in_wide(s, NULL, 0);
		return false;
	}
	in->utf8[in->utf8_len++] = c;
	if (in->utf8_len == in->utf8_need) {
		in->utf8_len = 0;
		in_wide(s, in->utf8, in->utf8_need);
	}
	return true;
}

static void
in_control(struct screen *s, uint8_t c)
{
	screen_in_settle(s);
	if (c == 0x0e || c == 0x0f)
		s->shift = c == 0x0e;
	if (c >= 0x08 && c <= 0x0f)
		screen_vt_write(s, &c, 1);
	if (c >= 0x08 && c <= 0x0d)
		screen_cursor_unwrap(s);
}

void
screen_in_begin_string(struct screen_in *in, bool bell)
{
	in->state = SCREEN_IN_STRING;
	in->string_bell = bell;
	in->string_escape = false;
	in->string_len = 0;
}

static void
in_escape(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	in->state = SCREEN_IN_GROUND;
	if (c == '[') {
		in->state = SCREEN_IN_CSI;
		in->seq_len = in->digits = 0;
	} else if (c == ']') {
		screen_in_begin_string(in, true);
	} else if (c == 'P' || c == 'X' || c == '^' || c == '_') {
		screen_in_begin_string(in, false);
	} else if (c >= ' ' && c <= '/') {
		in->state = SCREEN_IN_ESCAPE_INTER;
		in->seq[0] = (char)c;
		in->seq_len = 1;
	} else if (c < 0x7f) {
		screen_esc_run(s, (char)c);
	}
}

static void
in_escape_inter(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (c >= ' ' && c <= '/') {
		in->seq_len = 2; /* more than one: none that is known */
		return;
	}
	in->state = SCREEN_IN_GROUND;
	if (in->seq_len == 1 && c < 0x7f)
		screen_esc_inter_run(s, in->seq[0], (char)c);
}

static void
in_csi(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (c >= 0x80) {
		in->state = SCREEN_IN_CSI_IGNORE;
		return;
	}
	in->digits = c >= '0' && c <= '9' ? in->digits + 1 : 0;
	if (in->digits <= IN_DIGITS_MAX && c != 0x7f) {
		if (in->seq_len == SCREEN_IN_CSI_MAX) {
			in->state = SCREEN_IN_CSI_IGNORE;
			return;
		}
		in->seq[in->seq_len++] = (char)c;
	}
	if (c >= '@' && c <= '~') {
		in->state = SCREEN_IN_GROUND;
		screen_csi_run(s);
	}
}

void
screen_in_csi_ignore(struct screen *s, uint8_t c)
{
	if (c >= '@' && c <= '~')
		s->in->state = SCREEN_IN_GROUND;
}

/* Nothing of a control string is kept. */
void
screen_in_string(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if ((in->string_escape && c == '\\') || (in->string_bell && c == 0x07) ||
	    ++in->string_len == IN_STRING_MAX)
		in->state = SCREEN_IN_GROUND;
	in->string_escape = c == 0x1b;
}

/* A byte inside of a sequence. */
static void
in_sequence(struct screen *s, uint8_t c)
{
	static void (*const table[])(struct screen * s, uint8_t c) = {
		[SCREEN_IN_ESCAPE] = in_escape,
		[SCREEN_IN_ESCAPE_INTER] = in_escape_inter,
		[SCREEN_IN_CSI] = in_csi,
		[SCREEN_IN_CSI_IGNORE] = screen_in_csi_ignore,
		[SCREEN_IN_STRING] = screen_in_string,
	};
	struct screen_in *in = s->in;

	if (in->state == SCREEN_IN_STRING) {
		bool ends = c == 0x18 || c == 0x1a;

		/* An ESC that does not end the string begins a sequence. */
		if (in->string_escape && c != '\\') {
			in->state = SCREEN_IN_ESCAPE;
			in->string_escape = false;
		} else if (ends) {
			in->state = SCREEN_IN_GROUND;
			return;
		}
	} else if (c == 0x18 || c == 0x1a) {
		in->state = SCREEN_IN_GROUND;
		return;
	} else if (c == 0x1b) {
		in->state = SCREEN_IN_ESCAPE;
		return;
	} else if (c < 0x20) {
		/* Controls act inside of sequences, too. */
		in_control(s, c);
		return;
	}
	table[in->state](s, c);
}

size_t
screen_ascii_run(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f)
		n++;
	return n;
}

/* A byte that is no printable ASCII, in text. */
static void
in_ground(struct screen *s, uint8_t c)
{
	if (c >= 0x80 || s->in->utf8_len > 0) {
		if (in_utf8(s, c) || c >= 0x80)
			return;
	}
	if (c == 0x1b)
		s->in->state = SCREEN_IN_ESCAPE;
	else if (c < 0x20)
		in_control(s, c);
}

void
screen_terminal_feed(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;
	size_t n;

	while (len > 0 && s->err == 0) {
		n = in->state == SCREEN_IN_GROUND && in->utf8_len == 0 ? screen_ascii_run(p, len)
								       : 0;
		if (n > 0) {
			in_ascii(s, p, n);
		} else if (in->state != SCREEN_IN_GROUND) {
			in_sequence(s, *p);
			n = 1;
		} else if (in->utf8_len > 0 && !screen_utf8_goes_on(in->utf8, in->utf8_len, *p)) {
			in->utf8_len = 0;
			in_wide(s, NULL, 0);
			continue;
		} else {
			in_ground(s, *p);
			n = 1;
		}
		p += n;
		len -= n;
	}
	screen_in_settle(s);
}
