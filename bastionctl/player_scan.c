/* One pass over all events: markers, and the lines of the screen that have what is searched for. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/frame.h"
#include "bastionctl/player_part.h"
#include "lib/str.h"
#include "recorder/link_proto.h"

#define SCAN_LOOK_NS 50000000ull /* between looks at the keys, and two states of the line below */
#define SCAN_TEXT_MAX 400u	 /* bytes of a marker's text */

struct player_scan {
	struct player *p;
	struct screen *screen; /* NULL: nothing is searched for */
	bool fold;	       /* letters are compared without case */
	uint64_t seq, at_ns;   /* of the last event that was read */
	uint64_t looked_ns;
	bool over;
};

void
player_marks_done(struct player_marks *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->list[i].text);
	free(m->list);
	memset(m, 0, sizeof(*m));
}

static int
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
	m->list[m->n++].at_ns = at_ns;
	return 0;
}

static int
player_marks_compare(const void *a, const void *b)
{
	const struct player_mark *x = a, *y = b;

	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
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

	if (!frame_text(ev, text, sizeof(text)) || !scan_is_mark(ev, text))
		return 0;
	(void)snprintf(line, sizeof(line), "channel %u: %s", ev->channel, text);
	return player_marks_add(&s->p->marks, ev->at_ns, line, strlen(line));
}

static bool
scan_same(const struct player_scan *s, uint8_t a, uint8_t b)
{
	return a == b || (s->fold && tolower(a) == tolower(b));
}

/* Letters of a pattern without capitals stand for both. */
static bool
scan_finds(const struct player_scan *s, const uint8_t *text, size_t len)
{
	const uint8_t *pattern = (const uint8_t *)s->p->pattern;
	size_t n = strlen(s->p->pattern), k;

	for (size_t i = 0; i + n <= len; i++) {
		for (k = 0; k < n && scan_same(s, text[i + k], pattern[k]); k++)
			;
		if (k == n)
			return true;
	}
	return false;
}

static int
scan_line(void *arg, const struct screen_line *line)
{
	struct player_scan *s = arg;

	if (!scan_finds(s, line->text, line->len))
		return 0;
	return player_marks_add(&s->p->hits, line->at_ns, line->text, line->len);
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
scan_begin(struct player_scan *s)
{
	struct player *p = s->p;

	player_marks_done(&p->marks);
	player_marks_done(&p->hits);
	s->looked_ns = p->ops->now(p->arg);
	for (const char *c = p->pattern; *c != '\0'; c++)
		s->fold = s->fold || isupper((unsigned char)*c) != 0;
	s->fold = !s->fold;
	if (p->pattern[0] == '\0')
		return 0;
	return screen_new(
	    p->pty ? p->base_cols : 0, p->pty ? p->base_rows : 0, scan_line, s, &s->screen);
}

/* Now and then: how far it is, and whether a key ends it. events: nothing can be read now. */
static int
scan_look(struct player_scan *s, bool events)
{
	struct player *p = s->p;
	uint64_t now = p->ops->now(p->arg);
	char at[PLAYER_TIME_SIZE];
	int key, r;

	if (!events && now - s->looked_ns < SCAN_LOOK_NS)
		return 0;
	s->looked_ns = now;
	if (p->total_ns > 0)
		player_say(p, "looking: %s, %u%%; a key ends it", player_time(at, s->at_ns),
		    (unsigned)((double)s->at_ns * 100 / (double)p->total_ns));
	if ((r = player_draw(p)) != 0)
		return r;
	key = p->ops->wait(p->arg, events ? SCAN_LOOK_NS : 0, events);
	if (key == PLAYER_KEY_NONE || key == PLAYER_KEY_EVENTS)
		return 0;
	s->over = true;
	return key == PLAYER_KEY_GONE || key == 'q' || key == PLAYER_KEY_RESIZED
		   ? player_key(p, key)
		   : 0;
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

	while (r == 0 && !s->over) {
		r = p->ops->next(p->arg, &ev, &msg);
		if (r == -EAGAIN) {
			s->over = scan_is_up_to_date(s);
			r = s->over ? 0 : scan_look(s, true);
		} else if (r == 0 && msg.type == RD_EVENTS)
			r = scan_event(s, &ev);
	}
	if (r == ERR_NOT_FOUND) {
		p->total_ns = s->at_ns > p->total_ns ? s->at_ns : p->total_ns;
		r = 0;
	}
	return r == 0 && s->screen != NULL ? screen_flush(s->screen, s->at_ns) : r;
}

static void
scan_sort(struct player_marks *m)
{
	if (m->n > 1)
		qsort(m->list, m->n, sizeof(*m->list), player_marks_compare);
}

int
player_scan(struct player *p)
{
	struct player_scan s = { .p = p };
	int r, e;

	if ((r = scan_begin(&s)) == 0)
		r = scan_run(&s);
	screen_free(s.screen);
	scan_sort(&p->marks);
	scan_sort(&p->hits);
	p->scanned = true;
	p->message_until_ns = 0;
	p->dirty = true;
	if (r != 0 || p->quit)
		return r;
	e = p->jumping ? player_goto(p, p->jump_ns) : player_resume(p);
	return e;
}
