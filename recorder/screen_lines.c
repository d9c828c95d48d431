/* A stream without a terminal: lines as they come, without what a terminal would do. */
#include "config.h"

#include <string.h>

#include "recorder/screen_in_part.h"
#include "recorder/screen_part.h"

void
screen_lines_end(struct screen *s)
{
	s->text.any = true;
	s->text.at_ns = s->now_ns;
	screen_text_tell(s, &s->text);
}

static void
lines_add(struct screen *s, const uint8_t *p, size_t len)
{
	if (s->text.len == 0)
		s->text.begun_ns = s->now_ns;
	while (len > 0) {
		size_t n =
		    SCREEN_LINE_MAX - s->text.len < len ? SCREEN_LINE_MAX - s->text.len : len;

		/* A character stays whole. */
		if (n < len && p[n] >= 0x80)
			n = len;
		memcpy(s->text.p + s->text.len, p, n);
		s->text.len += n;
		p += n;
		len -= n;
		/* Room for the longest character is behind it. */
		if (s->text.len >= SCREEN_LINE_MAX)
			screen_lines_end(s);
	}
}

/* Bytes that are no text: one mark for all that stand together. */
void
screen_lines_bad(struct screen *s)
{
	static const uint8_t bad[3] = { 0xef, 0xbf, 0xbd };
	const struct screen_text *t = &s->text;

	if (t->len < 3 || memcmp(t->p + t->len - 3, bad, 3) != 0)
		lines_add(s, bad, 3);
}

static void
lines_utf8(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->utf8_len == 0) {
		in->utf8_need = screen_utf8_need(c);
		if (in->utf8_need == 0)
			screen_lines_bad(s);
		else
			in->utf8[in->utf8_len++] = c;
		return;
	}
	in->utf8[in->utf8_len++] = c;
	if (in->utf8_len < in->utf8_need)
		return;
	in->utf8_len = 0;
	if (in->utf8[0] == 0xc2 && in->utf8[1] < 0xa0)
		screen_lines_bad(s);
	else
		lines_add(s, in->utf8, in->utf8_need);
}

static void
lines_control(struct screen *s, uint8_t c)
{
	if (c == '\n' || c == '\r') {
		if (s->text.len > 0)
			screen_lines_end(s);
	} else if (c == '\t') {
		lines_add(s, (const uint8_t *)" ", 1);
	} else if (c == 0x1b) {
		s->in->state = SCREEN_IN_ESCAPE;
	} else if (c != 0x07 && c != 0x08) {
		screen_lines_bad(s);
	}
}

/* Sequences are skipped as a terminal would read them. */
static void
lines_sequence(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->state == SCREEN_IN_STRING) {
		screen_in_string(s, c);
	} else if (c < 0x20) {
		in->state = SCREEN_IN_GROUND;
		lines_control(s, c);
	} else if (in->state == SCREEN_IN_ESCAPE && c == '[') {
		in->state = SCREEN_IN_CSI_IGNORE;
	} else if (in->state == SCREEN_IN_ESCAPE && strchr("]PX^_", c) != NULL) {
		screen_in_begin_string(in, c == ']');
	} else if (in->state == SCREEN_IN_CSI_IGNORE) {
		screen_in_csi_ignore(s, c);
	} else if (c > '/') {
		in->state = SCREEN_IN_GROUND;
	}
}

void
screen_lines_feed(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;
	size_t n;

	while (len > 0 && s->err == 0) {
		if (in->utf8_len > 0 && !screen_utf8_goes_on(in->utf8, in->utf8_len, *p)) {
			in->utf8_len = 0;
			screen_lines_bad(s);
		}
		n = in->state == SCREEN_IN_GROUND ? screen_ascii_run(p, len) : 0;
		if (n > 0) {
			lines_add(s, p, n);
		} else {
			n = 1;
			if (in->state != SCREEN_IN_GROUND)
				lines_sequence(s, *p);
			else if (*p >= 0x80)
				lines_utf8(s, *p);
			else
				lines_control(s, *p);
		}
		p += n;
		len -= n;
	}
}
