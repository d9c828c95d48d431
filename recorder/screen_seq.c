/*
 * Sequences that mean something. What is handed on to libvterm is a list (screen_csi): nothing else can reach it, whose
 * 0.1.4 has its own ideas of margins, of repeating nothing, and of a cursor saved on a larger screen.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "recorder/screen_in_part.h"
#include "recorder/screen_part.h"

#define IN_PARAMS_MAX 16u /* of a sequence, that are looked at */
#define FILL_WHOLE 4ull	  /* how much slower libvterm fills cells one by one (screen_may_fill()) */

/* Move the cursor, whatever the origin. */
void
screen_cursor_to(struct screen *s, struct screen_at at)
{
	char move[48];
	uint32_t row = at.row - (s->origin && at.row >= s->top ? s->top : 0);

	(void)snprintf(move, sizeof(move), "\033[%u;%uH", row + 1, at.col + 1);
	screen_vt_say(s, move);
}

/* The sequences that reach libvterm, and what is done with others that mean something. */

struct csi {
	char leader, inter, final;
	uint32_t n, params[IN_PARAMS_MAX]; /* 0: left out */
	const char *raw;		   /* as it came, behind CSI, with its final character */
};

static void
csi_pass(struct screen *s, const struct csi *q)
{
	/* Who moves the cursor to where it is has moved it all the same. */
	if (strchr("ABCDEFGH`adefjk", q->final) != NULL)
		s->wrap_pending = false;
	screen_vt_say(s, "\033[");
	screen_vt_say(s, q->raw);
}

/* libvterm has no idea how far it may go when the cursor comes back from a larger screen: let it look. */
static void
cursor_bounded(struct screen *s)
{
	screen_vt_say(s, "\033[0n");
}

static void
cursor_save(struct screen *s)
{
	screen_vt_say(s, "\0337");
	s->saved = s->cursor;
	s->saved_pen = s->pen;
}

static void
cursor_restore(struct screen *s)
{
	bool hidden = s->hidden;

	/* It brings back whether the cursor was shown, too, which no terminal does. */
	screen_vt_say(s, "\0338");
	cursor_bounded(s);
	screen_vt_say(s, hidden ? "\033[?25l" : "\033[?25h");
}

static void
csi_save(struct screen *s, const struct csi *q)
{
	/* With parameters it sets margins, which we do not have. */
	if (q->n == 0)
		cursor_save(s);
}

static void
csi_restore(struct screen *s, const struct csi *q)
{
	if (q->n == 0)
		cursor_restore(s);
}

/* What moves the cursor down takes it from where it waits to wrap, also when it scrolls and stays: libvterm forgets that. */
void
screen_cursor_unwrap(struct screen *s)
{
	if (s->wrap_pending)
		screen_cursor_to(s, s->cursor);
	s->wrap_pending = false;
}

static void
csi_region(struct screen *s, const struct csi *q)
{
	uint32_t top = q->n > 0 && q->params[0] > 0 ? q->params[0] - 1 : 0,
		 bottom = q->n > 1 && q->params[1] > 0 ? q->params[1] : s->rows;
	char text[48];

	if (bottom > s->rows)
		bottom = s->rows;
	/* A region of one line is none. */
	if (top + 1 >= bottom)
		return;
	s->top = top;
	s->bottom = bottom;
	(void)snprintf(text, sizeof(text), "\033[%u;%ur", top + 1, bottom);
	screen_vt_say(s, text);
}

static void
csi_repeat(struct screen *s, const struct csi *q)
{
	uint32_t n = q->n > 0 && q->params[0] > 0 ? q->params[0] : 1;

	if (n > s->cols)
		n = s->cols;
	for (uint32_t i = 0; s->in->last_len > 0 && i < n; i++)
		screen_in_slow(s, s->in->last, s->in->last_len);
	screen_in_settle(s);
}

static void
csi_mode(struct screen *s, const struct csi *q)
{
	bool on = q->final == 'h';
	char text[32];

	for (uint32_t i = 0; i < q->n; i++) {
		if (q->params[i] == 4)
			s->insert = on;
		else if (q->params[i] == 20)
			s->newline = on;
		else
			continue;
		(void)snprintf(text, sizeof(text), "\033[%u%c", q->params[i], q->final);
		screen_vt_say(s, text);
	}
}

static void
dec_mode(struct screen *s, uint32_t mode, bool on)
{
	static const uint32_t known[] = { 6, 7, 25, 47, 1047, 1048, 1049 };
	char text[32];
	size_t i = 0;

	while (i < sizeof(known) / sizeof(known[0]) && known[i] != mode)
		i++;
	if (i == sizeof(known) / sizeof(known[0]))
		return;
	if (mode == 6)
		s->origin = on;
	if (mode == 7)
		s->no_wrap = !on;
	if (on && (mode == 1048 || mode == 1049))
		cursor_save(s);
	if (mode != 1048) {
		(void)snprintf(text, sizeof(text), "\033[?%u%c",
		    mode == 47 || mode == 1049 ? 1047 : mode, on ? 'h' : 'l');
		screen_vt_say(s, text);
	}
	if (!on && (mode == 1048 || mode == 1049))
		cursor_restore(s);
}

static void
csi_dec_mode(struct screen *s, const struct csi *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		dec_mode(s, q->params[i], q->final == 'h');
}

/* Selective erasing spares nothing here: no cell is protected. */
static void
csi_dec_erase(struct screen *s, const struct csi *q)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "\033[%u%c", q->n > 0 ? q->params[0] : 0, q->final);
	screen_vt_say(s, text);
}

/* DECSTR; the cursor stays. */
static void
csi_soft_reset(struct screen *s, const struct csi *q)
{
	struct screen_at at = s->cursor;

	(void)q;
	screen_vt_say(s, "\033[4l\033[20l\033[?6l\033[?7h\033[r\033[m\033(B\033)B\017\033[?25h");
	screen_modes_reset(s);
	screen_cursor_to(s, at);
}

static const struct {
	char leader, inter;
	const char *finals;
	void (*run)(struct screen *s, const struct csi *q);
} screen_csi[] = {
	{ 0, 0, "@ABCDEFGHIJKLMPSTXZ`adefgjkm", csi_pass },
	{ 0, 0, "b", csi_repeat },
	{ 0, 0, "s", csi_save },
	{ 0, 0, "u", csi_restore },
	{ 0, 0, "r", csi_region },
	{ 0, 0, "hl", csi_mode },
	{ '?', 0, "hl", csi_dec_mode },
	{ '?', 0, "JK", csi_dec_erase },
	{ 0, '!', "p", csi_soft_reset },
};

/* Parameters of what stands in in->seq. False: it is none of ours. */
static bool
csi_parse(struct csi *q, const char *seq)
{
	const char *p = seq;
	bool given = false;

	if (*p >= '<' && *p <= '?')
		q->leader = *p++;
	for (; (*p >= '0' && *p <= '9') || *p == ';' || *p == ':'; p++) {
		if (!given) {
			q->n++;
			given = true;
		}
		if (q->n > IN_PARAMS_MAX)
			return false;
		if (*p >= '0' && *p <= '9')
			q->params[q->n - 1] = q->params[q->n - 1] * 10 + (uint32_t)(*p - '0');
		else if (*p == ';' && q->n++ == IN_PARAMS_MAX)
			return false;
	}
	if (*p >= ' ' && *p <= '/')
		q->inter = *p++;
	q->final = *p;
	return p[0] != '\0' && p[1] == '\0';
}

void
screen_csi_run(struct screen *s)
{
	struct csi q = { .raw = s->in->seq };

	s->in->seq[s->in->seq_len] = '\0';
	screen_in_settle(s);
	if (!csi_parse(&q, s->in->seq) || (strchr(q.raw, ':') != NULL && q.final != 'm'))
		return;
	for (size_t i = 0; i < sizeof(screen_csi) / sizeof(screen_csi[0]); i++)
		if (screen_csi[i].leader == q.leader && screen_csi[i].inter == q.inter &&
		    strchr(screen_csi[i].finals, q.final) != NULL)
			screen_csi[i].run(s, &q);
}

static void
esc_reset(struct screen *s)
{
	/* libvterm forgets the alternate screen without a word. */
	screen_vt_say(s, "\033[?1047l\033c");
	screen_modes_reset(s);
	s->hidden = false;
	cursor_save(s);
}

static void
esc_pass(struct screen *s)
{
	const char text[3] = { '\033', s->in->seq[0], '\0' };

	screen_vt_say(s, text);
	if (s->in->seq[0] != 'H')
		screen_cursor_unwrap(s);
}

static const struct {
	char final;
	void (*run)(struct screen *s);
} screen_esc[] = {
	{ '7', cursor_save },
	{ '8', cursor_restore },
	{ 'c', esc_reset },
	{ 'D', esc_pass },
	{ 'E', esc_pass },
	{ 'H', esc_pass },
	{ 'M', esc_pass },
};

void
screen_esc_run(struct screen *s, char final)
{
	screen_in_settle(s);
	s->in->seq[0] = final;
	for (size_t i = 0; i < sizeof(screen_esc) / sizeof(screen_esc[0]); i++)
		if (screen_esc[i].final == final)
			screen_esc[i].run(s);
}

/* ESC ( B and its kin, and DECALN. */
void
screen_esc_inter_run(struct screen *s, char inter, char final)
{
	char text[4] = { '\033', inter, final, '\0' };

	screen_in_settle(s);
	if (inter == '#' && final == '8') {
		if (screen_may_fill(s, FILL_WHOLE * s->cols * s->rows))
			screen_vt_say(s, text);
		return;
	}
	if (inter != '(' && inter != ')')
		return;
	if (final != '0' && final != 'A')
		text[2] = 'B';
	s->charset[inter == ')'] = (uint8_t)text[2];
	screen_vt_say(s, text);
}
