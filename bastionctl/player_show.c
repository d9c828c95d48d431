/* What a player draws: the screen, or a part of it; the line below; help and lists in its place. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/player_part.h"
#include "lib/clock.h"

#define PLAYER_LINE_MAX 1200u /* characters of the line below, with its NUL */

static const char *const player_help[] = {
	"Keys",
	"",
	"  space        stop, go on               .            one step",
	"  + -          faster, slower            =            as it was",
	"  left right   5 seconds back, on        down up      1 minute back, on",
	"  home end     the start, the end        :            go to a time (90s, 1:30)",
	"  /            search what was shown     n N          next, previous hit",
	"  m M          next, previous marker     l            list of markers",
	"  c            the next channel          i            cut pauses, or not",
	"  ?            this help                 ctrl-L       draw again",
	"  q            quit                      ctrl-Z       suspend",
	"",
	"Markers are channels, commands, sizes of the terminal, files and ends.",
	"Of a session that runs, end goes back to what happens now.",
};

size_t
player_help_lines(void)
{
	return sizeof(player_help) / sizeof(player_help[0]);
}

char *
player_time(char *dst, uint64_t ns)
{
	uint64_t s = ns / CLOCK_NS_PER_S;

	(void)snprintf(dst, PLAYER_TIME_SIZE, "%" PRIu64 ":%02u:%02u", s / 3600,
	    (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	return dst;
}

/* Rows above the line below. */
static uint32_t
player_rows(const struct player *p)
{
	uint32_t rows = paint_rows(p->paint);
	bool below = !p->conf->no_status || p->prompt != 0;

	return below && rows > 1 ? rows - 1 : rows;
}

size_t
player_page(const struct player *p)
{
	return player_rows(p);
}

/* Move the part that is shown no further than it takes to have the cursor in it. */
static uint32_t
player_part(uint32_t off, uint32_t cursor, uint32_t whole, uint32_t shown)
{
	if (whole <= shown)
		return 0;
	if (cursor >= off + shown)
		off = cursor - shown + 1;
	if (cursor < off)
		off = cursor;
	return off > whole - shown ? whole - shown : off;
}

static int
player_draw_screen(struct player *p)
{
	uint32_t cols, rows, col, row, n_rows = player_rows(p), width = paint_cols(p->paint);
	struct buf *b = buf_new(256u << 10);
	bool shown;
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	screen_size(p->screen, &cols, &rows);
	screen_cursor(p->screen, &col, &row, &shown);
	p->off_row = player_part(p->off_row, row, rows, n_rows);
	p->off_col = player_part(p->off_col, col, cols, width);
	for (uint32_t i = 0; r == 0 && i < n_rows; i++) {
		buf_reset(b);
		r = screen_row(p->screen, p->off_row + i, p->off_col, width, b);
		if (r == 0)
			r = paint_row(p->paint, i, buf_ptr(b), buf_len(b));
	}
	buf_free(b);
	return r;
}

static int
player_draw_list(struct player *p)
{
	bool help = p->overlay == PLAYER_OVERLAY_HELP;
	size_t n = help ? player_help_lines() : p->marks.n, rows = player_rows(p);
	size_t first = p->overlay_at >= rows ? p->overlay_at - rows + 1 : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rows; i++) {
		char line[PLAYER_LINE_MAX], at[PLAYER_TIME_SIZE];
		size_t k = first + i;

		line[0] = '\0';
		if (k < n && help)
			(void)snprintf(line, sizeof(line), "%s", player_help[k]);
		else if (k < n)
			(void)snprintf(line, sizeof(line), "%s %10s  %s",
			    k == p->overlay_at ? ">" : " ", player_time(at, p->marks.list[k].at_ns),
			    p->marks.list[k].text);
		r = paint_text(p->paint, (uint32_t)i, line, !help && k < n && k == p->overlay_at);
	}
	return r;
}

static const char *
player_state(const struct player *p)
{
	if (p->jumping)
		return "SEEK";
	if (p->live)
		return "LIVE";
	if (p->paused)
		return "STOP";
	return p->ended ? "END " : "PLAY";
}

/* What is not as it was, in a few words. */
static void
player_hints(const struct player *p, char *dst, size_t size)
{
	uint32_t cols, rows;
	char large[64] = "", channel[32] = "";

	screen_size(p->screen, &cols, &rows);
	if (cols > paint_cols(p->paint) || rows > player_rows(p))
		(void)snprintf(large, sizeof(large), "  a part of %ux%u", cols, rows);
	if (json_n(json_get(p->conf->session, "channels")) > 1)
		(void)snprintf(channel, sizeof(channel), "  channel %u", p->channel);
	(void)snprintf(dst, size, "%s%s%s%s", channel, large,
	    p->exact ? "" : "  parts may be missing", p->idle_ns > 0 ? "  pauses cut" : "");
}

static void
player_status(const struct player *p, char *dst, size_t size)
{
	char pos[PLAYER_TIME_SIZE], total[PLAYER_TIME_SIZE], hints[200];
	uint64_t at = p->jumping ? p->seq_ns : p->pos_ns;
	unsigned percent =
	    p->total_ns > 0 ? (unsigned)((double)at * 100 / (double)p->total_ns) : 100;

	if (p->prompt != 0) {
		(void)snprintf(dst, size, "%s%.*s",
		    p->prompt == '/' ? "search (what was shown): " : "go to (90s, 1:30): ",
		    (int)p->n_typed, p->typed);
		return;
	}
	if (p->message_until_ns != 0) {
		(void)snprintf(
		    dst, size, "%s  %s  %s", player_state(p), player_time(pos, at), p->message);
		return;
	}
	player_hints(p, hints, sizeof(hints));
	(void)snprintf(dst, size, "%s  %s/%s %u%%  %gx%s  ?: keys", player_state(p),
	    player_time(pos, at), player_time(total, p->total_ns), percent > 100 ? 100 : percent,
	    p->speed, hints);
}

static int
player_draw_below(struct player *p)
{
	char line[PLAYER_LINE_MAX];

	if ((p->conf->no_status && p->prompt == 0) || paint_rows(p->paint) < 2)
		return 0;
	player_status(p, line, sizeof(line));
	return paint_text(p->paint, paint_rows(p->paint) - 1, line, true);
}

static int
player_draw_cursor(struct player *p)
{
	uint32_t col, row;
	bool shown;

	screen_cursor(p->screen, &col, &row, &shown);
	shown = shown && p->overlay == PLAYER_OVERLAY_NONE && row >= p->off_row &&
		col >= p->off_col && row - p->off_row < player_rows(p) &&
		col - p->off_col < paint_cols(p->paint);
	if (!shown)
		return paint_cursor(p->paint, 0, 0, false);
	return paint_cursor(p->paint, col - p->off_col, row - p->off_row, true);
}

int
player_draw(struct player *p)
{
	const uint8_t *out;
	size_t len;
	int r = 0;

	if (p->dirty)
		r = p->overlay == PLAYER_OVERLAY_NONE ? player_draw_screen(p) : player_draw_list(p);
	p->dirty = false;
	if (r == 0)
		r = player_draw_below(p);
	if (r == 0)
		r = player_draw_cursor(p);
	if (r != 0)
		return r;
	out = paint_take(p->paint, &len);
	return len > 0 ? p->ops->emit(p->arg, out, len) : 0;
}
