/* The screen of a player: events on it, pictures of it, and coming back to one. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/frame.h"
#include "bastionctl/player_part.h"

void
player_shot_done(struct player_shot *s)
{
	buf_free(s->paint);
	memset(s, 0, sizeof(*s));
}

void
player_forget_shots(struct player *p)
{
	for (size_t i = 0; i < p->n_shots; i++)
		player_shot_done(&p->shots[i]);
	p->n_shots = 0;
	p->shot_bytes = 0;
}

/* Every other picture goes, so that those that stay are spread over all that was played. */
static void
player_thin_shots(struct player *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_shots; i++)
		if (i % 2 == 0)
			player_shot_done(&p->shots[i]);
		else
			p->shots[n++] = p->shots[i];
	p->n_shots = n;
}

static bool
player_has_shot(const struct player *p)
{
	for (size_t i = 0; i < p->n_shots; i++)
		if (p->shots[i].seq == p->seq && p->shots[i].exact >= p->exact)
			return true;
	return false;
}

int
player_keep_shot(struct player *p)
{
	struct player_shot s = { .seq = p->seq, .at_ns = p->seq_ns, .exact = p->exact };
	int r;

	if (p->shot_bytes < PLAYER_SHOT_BYTES || !screen_is_whole(p->screen))
		return 0;
	p->shot_bytes = 0;
	if (player_has_shot(p))
		return 0;
	screen_size(p->screen, &s.cols, &s.rows);
	if ((s.paint = buf_new(SCREEN_PAINT_MAX)) == NULL)
		return -ENOMEM;
	if ((r = screen_paint(p->screen, s.paint)) != 0) {
		player_shot_done(&s);
		return r;
	}
	if (p->n_shots == PLAYER_SHOTS_MAX)
		player_thin_shots(p);
	p->shots[p->n_shots++] = s;
	return 0;
}

/* Nothing missing is worth more than being near. */
static bool
player_is_better(const struct player_shot *a, const struct player_shot *b)
{
	if (b == NULL || a->exact != b->exact)
		return b == NULL || a->exact;
	return a->seq > b->seq;
}

const struct player_shot *
player_find_shot(const struct player *p, uint64_t at_ns, uint64_t seq_before)
{
	const struct player_shot *best = NULL;

	for (size_t i = 0; i < p->n_shots; i++) {
		const struct player_shot *s = &p->shots[i];

		if (s->at_ns <= at_ns && s->seq >= seq_before && player_is_better(s, best))
			best = s;
	}
	if (p->offer.paint != NULL && player_is_better(&p->offer, best))
		best = &p->offer;
	return best;
}

/* A fresh screen; without a terminal it is as large as the one who looks at it has it. */
static int
player_new_screen(struct player *p, uint32_t cols, uint32_t rows)
{
	struct screen *s = NULL;
	int r;

	if (!p->pty || cols == 0 || rows == 0) {
		cols = paint_cols(p->paint);
		rows =
		    paint_rows(p->paint) - (p->conf->no_status || paint_rows(p->paint) < 2 ? 0 : 1);
	}
	if ((r = screen_new(cols, rows, NULL, NULL, &s)) != 0)
		return r;
	screen_free(p->screen);
	p->screen = s;
	p->off_col = p->off_row = 0;
	p->last_cr = false;
	p->dirty = true;
	return 0;
}

int
player_restore_shot(struct player *p, const struct player_shot *s)
{
	int r;

	if ((r = player_new_screen(p, s->cols, s->rows)) != 0 ||
	    (r = screen_feed(p->screen, s->at_ns, buf_ptr(s->paint), buf_len(s->paint))) != 0)
		return r;
	p->seq = s->seq;
	p->seq_ns = s->at_ns;
	p->exact = s->exact;
	return 0;
}

int
player_blank(struct player *p, uint64_t seq)
{
	p->seq = seq;
	p->seq_ns = 0;
	p->exact = seq == 0;
	return player_new_screen(p, p->base_cols, p->base_rows);
}

bool
player_draws(const struct player *p, const struct event *ev)
{
	enum frame_stream stream;
	const uint8_t *data;
	uint32_t cols, rows;
	size_t len;

	if (ev->channel != p->channel)
		return false;
	stream = frame_data(ev, &data, &len);
	if (stream != FRAME_NONE)
		return len > 0 && (stream == FRAME_ERR || (stream == FRAME_OUT && !p->files));
	return (p->files && ev->type == EVENT_FILE) || frame_size(ev, &cols, &rows);
}

/* Lines of a channel without a terminal end with a newline only. */
static int
player_feed_lines(struct player *p, uint64_t at_ns, const uint8_t *data, size_t len)
{
	size_t from = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++) {
		if (data[i] == '\n' && !p->last_cr) {
			r = screen_feed(p->screen, at_ns, data + from, i - from);
			if (r == 0)
				r = screen_feed(p->screen, at_ns, "\r", 1);
			from = i;
		}
		p->last_cr = data[i] == '\r';
	}
	return r != 0 ? r : screen_feed(p->screen, at_ns, data + from, len - from);
}

static int
player_feed_file(struct player *p, const struct event *ev)
{
	char line[FRAME_TEXT_SIZE + 2];
	size_t n;

	if (!frame_text(ev, line, FRAME_TEXT_SIZE))
		return 0;
	n = strlen(line);
	memcpy(line + n, "\r\n", 2);
	return screen_feed(p->screen, ev->at_ns, line, n + 2);
}

/* A terminal that was not known of yet: the session had not asked for it when it was described. */
static int
player_feed_size(struct player *p, uint64_t at_ns, uint32_t cols, uint32_t rows)
{
	if (p->pty)
		return screen_resize(p->screen, at_ns, cols, rows);
	p->pty = true;
	p->base_cols = cols;
	p->base_rows = rows;
	return player_new_screen(p, cols, rows);
}

int
player_feed(struct player *p, const struct event *ev)
{
	const uint8_t *data;
	uint32_t cols, rows;
	size_t len;
	int r;

	p->dirty = true;
	if (ev->type == EVENT_FILE)
		r = player_feed_file(p, ev);
	else if (frame_size(ev, &cols, &rows))
		r = player_feed_size(p, ev->at_ns, cols, rows);
	else if (frame_data(ev, &data, &len) == FRAME_NONE)
		r = 0;
	else {
		p->shot_bytes += len;
		r = p->pty ? screen_feed(p->screen, ev->at_ns, data, len)
			   : player_feed_lines(p, ev->at_ns, data, len);
	}
	return r;
}
