/* One pass over all events: markers, and the text of the screen for a search. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/frame.h"
#include "bastionctl/player_part.h"
#include "lib/str.h"
#include "recorder/chunk.h"
#include "recorder/link_proto.h"
#include "recorder/search.h"

#define SCAN_LOOK_NS 50000000ull /* between looks at the keys, and two states of the line below */
#define SCAN_TEXT_MAX 400u	 /* bytes of a marker's text */

struct player_scan {
	struct player *p;
	struct screen *screen; /* NULL, and search: only markers are wanted */
	struct search *search;
	struct search_query q;
	struct chunk chunk;
	bool marks;	     /* they are wanted */
	uint64_t seq, at_ns; /* of the last event that was read */
	bool over, all;	     /* a key ended it; all was read */
};

void
player_marks_done(struct player_marks *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->list[i].text);
	free(m->list);
	memset(m, 0, sizeof(*m));
}

int
player_marks_add(struct player_marks *m, uint64_t at_ns, const void *text, size_t len)
{
	char safe[SCAN_TEXT_MAX];

	if (m->n == PLAYER_MARKS_MAX) {
		m->cut = true;
		return 0;
	}
	if (m->n == m->room) {
		size_t room = m->room == 0 ? 64 : m->room * 2;
		struct player_mark *more = reallocarray(m->list, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		m->list = more;
		m->room = room;
	}
	str_escape(safe, sizeof(safe), text, len);
	if ((m->list[m->n].text = strdup(safe)) == NULL)
		return -ENOMEM;
	m->list[m->n].nth = m->n;
	m->list[m->n++].at_ns = at_ns;
	return 0;
}

static int
player_marks_compare(const void *a, const void *b)
{
	const struct player_mark *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

const struct player_mark *
player_marks_from(const struct player_marks *m, uint64_t at_ns, bool forward)
{
	const struct player_mark *last = NULL;

	for (size_t i = 0; i < m->n; i++) {
		if (m->list[i].at_ns > at_ns)
			return forward ? &m->list[i] : last;
		if (m->list[i].at_ns < at_ns)
			last = &m->list[i];
	}
	return forward ? NULL : last;
}

/* Whether an event is one that somebody looks for. */
static bool
scan_is_mark(const struct event *ev, const char *text)
{
	static const char *const requests[] = { "exec", "shell", "subsystem", "pty-req",
		"window-change", "signal" };

	switch (ev->type) {
	case LINK_OPEN:
	case LINK_CLOSE:
	case LINK_EXIT_STATUS:
	case LINK_EXIT_SIGNAL:
	case EVENT_FILE:
		return true;
	case LINK_REQUEST:
		for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
			if (str_starts(text, requests[i]))
				return true;
		return false;
	default:
		return false;
	}
}

static int
scan_mark(struct player_scan *s, const struct event *ev)
{
	char text[FRAME_TEXT_SIZE], line[FRAME_TEXT_SIZE + 32];

	if (!s->marks || !frame_text(ev, text, sizeof(text)) || !scan_is_mark(ev, text))
		return 0;
	(void)snprintf(line, sizeof(line), "channel %u: %s", ev->channel, text);
	return player_marks_add(&s->p->marks, ev->at_ns, line, strlen(line));
}

static int
scan_line(void *arg, const struct screen_line *line)
{
	struct player_scan *s = arg;
	const struct render_line rl = { RENDER_SCREEN, s->p->channel, line->at_ns, line->text,
		line->len };
	int r;

	if (chunk_is_full(&s->chunk) && (r = player_take_chunk(s->p, s->search, &s->chunk)) != 0)
		return r;
	return chunk_add(&s->chunk, &rl);
}

static int
scan_feed(struct player_scan *s, const struct event *ev)
{
	const uint8_t *data;
	uint32_t cols, rows;
	size_t len;

	if (s->screen == NULL || !player_draws(s->p, ev))
		return 0;
	if (frame_data(ev, &data, &len) != FRAME_NONE)
		return screen_feed(s->screen, ev->at_ns, data, len);
	return frame_size(ev, &cols, &rows) ? screen_resize(s->screen, ev->at_ns, cols, rows) : 0;
}

static int
scan_begin(struct player_scan *s, bool hits)
{
	struct player *p = s->p;
	int r;

	p->looked_ns = p->ops->now(p->arg);
	s->marks = !p->marked || p->conf->follow;
	if (s->marks) {
		p->marked = false;
		player_marks_done(&p->marks);
	}
	if (!hits)
		return 0;
	player_marks_done(&p->hits);
	player_text_done(&p->text);
	if ((r = player_search_new(p, &s->q, &s->search)) != 0)
		return r;
	return screen_new(
	    p->pty ? p->base_cols : 0, p->pty ? p->base_rows : 0, scan_line, s, &s->screen);
}

int
player_scan_look(struct player *p, bool wait, bool *ret_over, const char *fmt, ...)
{
	uint64_t now = p->ops->now(p->arg);
	char text[100];
	va_list ap;
	int key, r;

	if (!wait && now - p->looked_ns < SCAN_LOOK_NS)
		return 0;
	p->looked_ns = now;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	player_say(p, "looking: %s; a key ends it", text);
	if ((r = player_draw(p)) != 0)
		return r;
	key = p->ops->wait(p->arg, wait ? SCAN_LOOK_NS : 0, wait);
	if (key == PLAYER_KEY_NONE || key == PLAYER_KEY_EVENTS)
		return 0;
	*ret_over = key != PLAYER_KEY_RESIZED;
	return key == PLAYER_KEY_GONE || key == 'q' || key == PLAYER_KEY_RESIZED
		   ? player_key(p, key)
		   : 0;
}

/* How far it is. wait: nothing can be read now. */
static int
scan_look(struct player_scan *s, bool wait)
{
	uint64_t total = s->p->total_ns > s->at_ns ? s->p->total_ns : s->at_ns;
	char at[PLAYER_TIME_SIZE];

	return player_scan_look(s->p, wait, &s->over, "%s, %u%%", player_time(at, s->at_ns),
	    total > 0 ? (unsigned)((double)s->at_ns * 100 / (double)total) : 100);
}

/* Whether all that a session that still runs has had is read. */
static bool
scan_is_up_to_date(const struct player_scan *s)
{
	uint64_t known = json_u64(json_get(s->p->conf->session, "events"), 0);

	return s->p->conf->follow && s->seq >= s->p->seq && s->seq >= known;
}

static int
scan_event(struct player_scan *s, const struct event *ev)
{
	int r;

	s->seq = ev->seq;
	s->at_ns = ev->at_ns;
	if ((r = scan_mark(s, ev)) != 0 || (r = scan_feed(s, ev)) != 0)
		return r;
	return scan_look(s, false);
}

static int
scan_run(struct player_scan *s)
{
	struct player *p = s->p;
	struct rd_msg msg;
	struct event ev;
	int r = p->ops->seek(p->arg, 0, 0);

	while (r == 0 && !s->over && !s->all) {
		r = p->ops->next(p->arg, &ev, &msg);
		if (r == -EAGAIN) {
			s->all = scan_is_up_to_date(s);
			r = s->all ? 0 : scan_look(s, true);
		} else if (r == 0 && msg.type == RD_EVENTS)
			r = scan_event(s, &ev);
	}
	if (r == ERR_NOT_FOUND) {
		s->all = true;
		p->total_ns = s->at_ns > p->total_ns ? s->at_ns : p->total_ns;
		r = 0;
	}
	if (r == 0 && s->all && s->screen != NULL && (r = screen_flush(s->screen, s->at_ns)) == 0)
		r = player_take_chunk(p, s->search, &s->chunk);
	return r;
}

void
player_marks_sort(struct player_marks *m)
{
	if (m->n > 1)
		qsort(m->list, m->n, sizeof(*m->list), player_marks_compare);
}

/* What was found counts only when nothing ended it before. */
static void
scan_end(struct player_scan *s)
{
	struct player *p = s->p;

	if (s->marks) {
		player_marks_sort(&p->marks);
		p->marked = s->all;
	}
	if (s->screen == NULL)
		return;
	p->text.whole = s->all && !p->conf->follow && !p->text.over;
	if (!p->text.whole)
		player_text_done(&p->text);
	if (s->all)
		player_found(p);
}

int
player_scan_back(struct player *p)
{
	p->message_until_ns = 0;
	p->dirty = true;
	if (p->quit)
		return 0;
	return p->jumping ? player_goto(p, p->jump_ns) : player_resume(p);
}

int
player_scan(struct player *p, bool hits)
{
	struct player_scan s = { .p = p };
	int r;

	if ((r = scan_begin(&s, hits)) == 0 && (r = scan_run(&s)) == 0)
		scan_end(&s);
	screen_free(s.screen);
	search_free(s.search);
	chunk_done(&s.chunk);
	return r != 0 ? r : player_scan_back(p);
}
