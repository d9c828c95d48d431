/* The list of what may pass, as tables. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "bastionctl/vt_safe.h"

#define VT_SAFE_SEQ_MAX (VT_PARAMS_MAX * 6u + 8u) /* bytes of one sequence as put together anew */

/* CSI sequences without marker and intermediate. */
static const struct {
	char final;
	uint8_t params_max; /* one with more is dropped */
	uint16_t value_max; /* likewise; VT_PARAM_MAX: counts and positions */
	bool subs;	    /* colons are legal */
} vt_safe_csi_list[] = {
	{ 'm', VT_PARAMS_MAX, VT_PARAM_MAX, true }, /* colours and attributes */
	{ 'A', 1, VT_PARAM_MAX, false },	    /* cursor up, down, right, left */
	{ 'B', 1, VT_PARAM_MAX, false }, { 'C', 1, VT_PARAM_MAX, false },
	{ 'D', 1, VT_PARAM_MAX, false }, { 'E', 1, VT_PARAM_MAX, false }, /* lines down, up */
	{ 'F', 1, VT_PARAM_MAX, false }, { 'G', 1, VT_PARAM_MAX, false }, /* column, row, both */
	{ '`', 1, VT_PARAM_MAX, false }, { 'a', 1, VT_PARAM_MAX, false },
	{ 'd', 1, VT_PARAM_MAX, false }, { 'e', 1, VT_PARAM_MAX, false },
	{ 'H', 2, VT_PARAM_MAX, false }, { 'f', 2, VT_PARAM_MAX, false },
	{ 'I', 1, VT_PARAM_MAX, false },		       /* tabs forward, back */
	{ 'Z', 1, VT_PARAM_MAX, false }, { 's', 0, 0, false }, /* save and restore the cursor */
	{ 'u', 0, 0, false },
	{ 'J', 1, 2, false }, /* erase; not 3, which is the reader's own scrollback */
	{ 'K', 1, 2, false }, { 'X', 1, VT_PARAM_MAX, false },
	{ '@', 1, VT_PARAM_MAX, false }, /* insert and delete characters, lines */
	{ 'P', 1, VT_PARAM_MAX, false }, { 'L', 1, VT_PARAM_MAX, false },
	{ 'M', 1, VT_PARAM_MAX, false }, { 'S', 1, VT_PARAM_MAX, false }, /* scroll */
	{ 'T', 1, VT_PARAM_MAX, false },
	{ 'b', 1, VT_PARAM_MAX, false }, /* repeat the last character */
	{ 'r', 2, VT_PARAM_MAX, false }, /* scroll region */
};

static const uint16_t vt_safe_modes[] = { 47, 1047, 1048, 1049 }; /* alternate screen, its cursor */

/* DEC's line drawing set, 0x5f to 0x7e, in Unicode (VT220 programmer reference, table 2-4). */
static const uint16_t vt_safe_drawing[] = { 0x00a0, 0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a,
	0x00b0, 0x00b1, 0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c, 0x23ba, 0x23bb,
	0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534, 0x252c, 0x2502, 0x2264, 0x2265, 0x03c0,
	0x2260, 0x00a3, 0x00b7 };

/* Characters that are not shown but act: on the order of the text, or on nothing that can be seen. */
static const struct {
	uint32_t first, last;
} vt_safe_hidden[] = {
	{ 0x80, 0x9f },	      /* C1 controls */
	{ 0xad, 0xad },	      /* soft hyphen */
	{ 0x61c, 0x61c },     /* Arabic letter mark */
	{ 0x180e, 0x180e },   /* Mongolian vowel separator */
	{ 0x200b, 0x200b },   /* zero width space */
	{ 0x200e, 0x200f },   /* direction marks */
	{ 0x2028, 0x202e },   /* separators, embeddings and overrides */
	{ 0x2060, 0x206f },   /* invisible operators, isolates */
	{ 0xfeff, 0xfeff },   /* byte order mark */
	{ 0xfff0, 0xfffb },   /* interlinear annotation */
	{ 0xfffe, 0xffff },   /* no characters */
	{ 0xe0000, 0xe0fff }, /* tags */
};

bool
vt_safe_is_shown(uint32_t cp)
{
	for (size_t i = 0; i < sizeof(vt_safe_hidden) / sizeof(vt_safe_hidden[0]); i++)
		if (cp >= vt_safe_hidden[i].first && cp <= vt_safe_hidden[i].last)
			return false;
	return cp >= 0x80 && cp <= 0x10ffff && (cp & 0xfffe) != 0xfffe;
}

static int
vt_safe_put_cp(struct vt_safe *s, uint32_t cp)
{
	uint8_t bytes[UTF8_BYTES_MAX];

	return buf_put(s->out, bytes, utf8_put(bytes, cp));
}

static int
vt_safe_print(void *arg, uint32_t cp)
{
	return vt_safe_put_cp(arg, vt_safe_is_shown(cp) ? cp : UTF8_REPLACEMENT);
}

static int
vt_safe_draw(struct vt_safe *s, const uint8_t *ascii, size_t len)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++)
		r = ascii[i] >= 0x5f ? vt_safe_put_cp(s, vt_safe_drawing[ascii[i] - 0x5f])
				     : buf_put_u8(s->out, ascii[i]);
	return r;
}

static int
vt_safe_text(void *arg, const uint8_t *ascii, size_t len)
{
	struct vt_safe *s = arg;

	if (s->graphics[s->shift])
		return vt_safe_draw(s, ascii, len);
	return buf_put(s->out, ascii, len);
}

static int
vt_safe_control(void *arg, uint8_t c)
{
	struct vt_safe *s = arg;

	switch (c) {
	case '\b':
	case '\t':
	case '\n':
	case '\r':
		return buf_put_u8(s->out, c);
	case '\v':
	case '\f':
		return buf_put_u8(s->out, '\n');
	case 0x0e:
	case 0x0f:
		s->shift = c == 0x0e ? 1 : 0;
		return 0;
	default:
		return 0;
	}
}

static int
vt_safe_puts(struct vt_safe *s, const char *text)
{
	return buf_put(s->out, text, strlen(text));
}

/* What a full reset leaves: no alternate screen, no colours, no scroll region, nothing shown. */
static int
vt_safe_full_reset(struct vt_safe *s)
{
	bool alternate = s->alternate;

	s->alternate = s->graphics[0] = s->graphics[1] = false;
	s->shift = 0;
	return vt_safe_puts(
	    s, alternate ? "\033[?1049l\033[m\033[r\033[2J" : "\033[m\033[r\033[2J");
}

static int
vt_safe_escape(void *arg, char inter, char final)
{
	struct vt_safe *s = arg;
	char seq[3] = { '\033', final, '\0' };

	if (inter == '(' || inter == ')')
		s->graphics[inter == ')'] = final == '0';
	if (inter != 0)
		return 0;
	if (final == 'c')
		return vt_safe_full_reset(s);
	if (strchr("78DEM", final) !=
	    NULL) /* save, restore the cursor; index, next line, reverse index */
		return vt_safe_puts(s, seq);
	return 0;
}

static int
vt_safe_mode(struct vt_safe *s, unsigned mode, char final)
{
	char text[16];

	for (size_t i = 0; i < sizeof(vt_safe_modes) / sizeof(vt_safe_modes[0]); i++)
		if (vt_safe_modes[i] == mode) {
			if (mode != 1048)
				s->alternate = final == 'h';
			(void)snprintf(text, sizeof(text), "\033[?%u%c", mode, final);
			return vt_safe_puts(s, text);
		}
	return 0;
}

static int
vt_safe_private(struct vt_safe *s, const struct vt_csi *seq)
{
	int r = 0;

	if (seq->marker != '?' || (seq->final != 'h' && seq->final != 'l'))
		return 0;
	for (size_t i = 0; r == 0 && i < seq->n; i++)
		if (!seq->params[i].sub)
			r = vt_safe_mode(s, seq->params[i].value, seq->final);
	return r;
}

/* Put a sequence that is on the list together anew. */
static int
vt_safe_rebuild(struct vt_safe *s, const struct vt_csi *seq)
{
	char text[VT_SAFE_SEQ_MAX];
	size_t at = 2;

	memcpy(text, "\033[", 2);
	for (size_t i = 0; i < seq->n; i++) {
		const struct vt_param *p = &seq->params[i];

		if (i > 0)
			text[at++] = p->sub ? ':' : ';';
		if (p->given)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%u", p->value);
	}
	text[at++] = seq->final;
	return buf_put(s->out, text, at);
}

static int
vt_safe_csi(void *arg, const struct vt_csi *seq)
{
	struct vt_safe *s = arg;
	size_t row = 0;

	if (seq->inter != 0)
		return 0;
	if (seq->marker != 0)
		return vt_safe_private(s, seq);
	while (vt_safe_csi_list[row].final != seq->final)
		if (++row == sizeof(vt_safe_csi_list) / sizeof(vt_safe_csi_list[0]))
			return 0;
	if (seq->n > vt_safe_csi_list[row].params_max)
		return 0;
	for (size_t i = 0; i < seq->n; i++)
		if (seq->params[i].value > vt_safe_csi_list[row].value_max ||
		    (seq->params[i].sub && !vt_safe_csi_list[row].subs))
			return 0;
	return vt_safe_rebuild(s, seq);
}

static const struct vt_ops vt_safe_ops = { vt_safe_text, vt_safe_print, vt_safe_control,
	vt_safe_escape, vt_safe_csi };

int
vt_safe_feed(struct vt_safe *s, const void *data, size_t len, struct buf *out)
{
	int r;

	s->out = out;
	r = vt_feed(&s->vt, &vt_safe_ops, s, data, len);
	s->out = NULL;
	return r;
}

int
vt_safe_reset(struct vt_safe *s, struct buf *out)
{
	int r;

	s->out = out;
	r = vt_finish(&s->vt, &vt_safe_ops, s);
	if (r == 0 && s->alternate)
		r = vt_safe_puts(s, "\033[?1049l");
	if (r == 0) /* resetting the scroll region would move the cursor */
		r = vt_safe_puts(s, "\033[m\0337\033[r\0338");
	memset(s, 0, sizeof(*s));
	return r;
}
