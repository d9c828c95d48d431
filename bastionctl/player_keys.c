/* What keys do, as tables: while playing, at a prompt, in a list. */
#include "config.h"

#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/player_part.h"
#include "bastionctl/when.h"

#define CTRL(c) ((c)&0x1f)
#define KEY_SLACK_NS 1000000000ull

static int
key_pause(struct player *p)
{
	p->paused = !p->paused;
	p->live = false;
	return 0;
}

static int
key_step(struct player *p)
{
	p->paused = p->step = true;
	p->live = false;
	return 0;
}

static int
key_speed(struct player *p, double speed)
{
	if (speed >= PLAYER_SPEED_MIN && speed <= PLAYER_SPEED_MAX)
		p->speed = speed;
	return 0;
}

static int
key_faster(struct player *p)
{
	return key_speed(p, p->speed * 2);
}

static int
key_slower(struct player *p)
{
	return key_speed(p, p->speed / 2);
}

static int
key_usual_speed(struct player *p)
{
	return key_speed(p, 1);
}

/* From where a jump under way leads to, so that keys add up. */
static uint64_t
key_here(const struct player *p)
{
	if (!p->jumping)
		return p->pos_ns;
	return p->jump_ns == UINT64_MAX ? p->total_ns : p->jump_ns;
}

static int
key_back(struct player *p, uint64_t ns)
{
	uint64_t here = key_here(p);

	return player_goto(p, here > ns ? here - ns : 0);
}

static int
key_on(struct player *p, uint64_t ns)
{
	uint64_t to = key_here(p) + ns;

	if (to < p->total_ns)
		return player_goto(p, to);
	if (p->live)
		return 0;
	return player_goto(p, p->conf->follow ? UINT64_MAX : p->total_ns);
}

static int
key_left(struct player *p)
{
	return key_back(p, PLAYER_SHORT_NS);
}

static int
key_right(struct player *p)
{
	return key_on(p, PLAYER_SHORT_NS);
}

static int
key_down(struct player *p)
{
	return key_back(p, PLAYER_LONG_NS);
}

static int
key_up(struct player *p)
{
	return key_on(p, PLAYER_LONG_NS);
}

static int
key_home(struct player *p)
{
	return player_goto(p, 0);
}

static int
key_end(struct player *p)
{
	if (p->conf->follow)
		p->paused = false;
	return player_goto(p, UINT64_MAX);
}

static int
key_quit(struct player *p)
{
	p->quit = true;
	return 0;
}

static int
key_help(struct player *p)
{
	p->overlay = PLAYER_OVERLAY_HELP;
	p->overlay_at = 0;
	p->dirty = true;
	return 0;
}

static int
key_redraw(struct player *p)
{
	uint32_t cols, rows;

	p->ops->size(p->arg, &cols, &rows);
	p->dirty = true;
	return paint_size(p->paint, cols, rows);
}

/* The terminal of the reader changed; a channel without one of its own has this size. */
static int
key_resized(struct player *p)
{
	uint32_t rows;
	int r = key_redraw(p);

	if (r != 0 || p->pty)
		return r;
	rows = paint_rows(p->paint);
	return screen_resize(p->screen, p->seq_ns, paint_cols(p->paint),
	    p->conf->no_status || rows < 2 ? rows : rows - 1);
}

static int
key_idle(struct player *p)
{
	p->idle_ns = p->idle_ns > 0		  ? 0
		     : p->conf->idle_limit_ns > 0 ? p->conf->idle_limit_ns
						  : PLAYER_IDLE_NS;
	player_say(p, p->idle_ns > 0 ? "long pauses are cut" : "pauses are as they were");
	return 0;
}

static int
key_channel(struct player *p)
{
	const struct json_node *channels = json_get(p->conf->session, "channels");
	size_t n = json_n(channels), at = 0;
	uint32_t next;

	if (n < 2) {
		player_say(p, "there is no other channel");
		return 0;
	}
	while (at < n && json_u64(json_get(json_at(channels, at), "n"), 0) != p->channel)
		at++;
	next = (uint32_t)json_u64(json_get(json_at(channels, (at + 1) % n), "n"), 0);
	player_say(p, "channel %u", next);
	return player_set_channel(p, next);
}

static int
key_prompt(struct player *p, char kind)
{
	p->prompt = kind;
	p->n_typed = 0;
	p->dirty = true;
	return 0;
}

static int
key_search(struct player *p)
{
	return key_prompt(p, '/');
}

static int
key_go(struct player *p)
{
	return key_prompt(p, ':');
}

/* Of a session that runs, more may have come. */
static bool
key_is_known(const struct player *p, bool known)
{
	return known && (!p->conf->follow || p->ended);
}

/* *ret_known: the markers are known from here on. */
static int
key_know_marks(struct player *p, bool *ret_known)
{
	int r = key_is_known(p, p->marked) ? 0 : player_scan(p, false);

	*ret_known = r == 0 && !p->quit && p->marked;
	if (r == 0 && !p->quit && !p->marked)
		player_say(p, "ended before all was looked at");
	return r;
}

/* The same of the hits. */
static int
key_know_hits(struct player *p, bool *ret_known)
{
	int r = key_is_known(p, p->found) ? 0 : player_find(p);

	*ret_known = r == 0 && !p->quit && p->found;
	if (r == 0 && !p->quit && !p->found)
		player_say(p, "ended before all was looked at");
	return r;
}

static int
key_to_mark(struct player *p, const struct player_marks *marks, bool forward, const char *none)
{
	uint64_t here = key_here(p);
	const struct player_mark *m;

	/* While it plays on, the one just passed is not the one before. */
	if (!forward && !p->paused)
		here = here > KEY_SLACK_NS ? here - KEY_SLACK_NS : 0;
	if ((m = player_marks_from(marks, here, forward)) == NULL) {
		player_say(p, "%s", none);
		return 0;
	}
	player_say(p, "%zu of %zu%s: %.200s", (size_t)(m - marks->list) + 1, marks->n,
	    marks->cut ? " or more" : "", m->text);
	return player_goto(p, m->at_ns);
}

static int
key_mark(struct player *p, bool forward)
{
	bool known;
	int r = key_know_marks(p, &known);

	if (r != 0 || !known)
		return r;
	return key_to_mark(
	    p, &p->marks, forward, forward ? "no marker behind this" : "no marker before this");
}

static int
key_next_mark(struct player *p)
{
	return key_mark(p, true);
}

static int
key_last_mark(struct player *p)
{
	return key_mark(p, false);
}

static int
key_hit(struct player *p, bool forward)
{
	bool known;
	int r;

	if (p->pattern[0] == '\0') {
		player_say(p, "nothing was searched for yet: /");
		return 0;
	}
	if ((r = key_know_hits(p, &known)) != 0 || !known)
		return r;
	p->paused = true;
	p->live = false;
	return key_to_mark(p, &p->hits, forward,
	    p->hits.n == 0 ? "nowhere"
	    : forward	   ? "no hit behind this"
			   : "no hit before this");
}

static int
key_next_hit(struct player *p)
{
	return key_hit(p, true);
}

static int
key_last_hit(struct player *p)
{
	return key_hit(p, false);
}

static int
key_list(struct player *p)
{
	bool known;
	int r = key_know_marks(p, &known);

	if (r != 0 || !known)
		return r;
	if (p->marks.n == 0) {
		player_say(p, "there are no markers");
		return 0;
	}
	p->overlay = PLAYER_OVERLAY_MARKS;
	p->overlay_at = 0;
	while (
	    p->overlay_at + 1 < p->marks.n && p->marks.list[p->overlay_at + 1].at_ns <= key_here(p))
		p->overlay_at++;
	p->dirty = true;
	return 0;
}

static const struct {
	int key;
	int (*act)(struct player *p);
} player_keys[] = {
	{ ' ', key_pause },
	{ '.', key_step },
	{ 's', key_step },
	{ '+', key_faster },
	{ '-', key_slower },
	{ '=', key_usual_speed },
	{ PLAYER_KEY_LEFT, key_left },
	{ PLAYER_KEY_RIGHT, key_right },
	{ PLAYER_KEY_DOWN, key_down },
	{ PLAYER_KEY_PAGE_DOWN, key_up },
	{ PLAYER_KEY_PAGE_UP, key_down },
	{ PLAYER_KEY_UP, key_up },
	{ PLAYER_KEY_HOME, key_home },
	{ 'g', key_home },
	{ PLAYER_KEY_END, key_end },
	{ 'G', key_end },
	{ ':', key_go },
	{ '/', key_search },
	{ 'n', key_next_hit },
	{ 'N', key_last_hit },
	{ 'm', key_next_mark },
	{ 'M', key_last_mark },
	{ 'l', key_list },
	{ 'c', key_channel },
	{ 'i', key_idle },
	{ '?', key_help },
	{ 'h', key_help },
	{ 'q', key_quit },
	{ CTRL('D'), key_quit },
	{ CTRL('L'), key_redraw },
};

static int
prompt_enter(struct player *p)
{
	char text[PLAYER_TYPED_MAX + 1];
	uint64_t at;
	char kind = p->prompt;

	memcpy(text, p->typed, p->n_typed);
	text[p->n_typed] = '\0';
	p->prompt = 0;
	p->dirty = true;
	if (text[0] == '\0')
		return 0;
	if (kind == ':') {
		if (when_parse_offset(text, &at) == 0)
			return player_goto(p, at);
		player_say(p, "not a moment: give seconds, 1:30 or 90s");
		return 0;
	}
	memcpy(p->pattern, text, sizeof(p->pattern) - 1);
	p->found = false;
	return key_hit(p, true);
}

static int
prompt_key(struct player *p, int key)
{
	p->dirty = true;
	if (key == '\r' || key == '\n')
		return prompt_enter(p);
	if (key == PLAYER_KEY_ESCAPE || ((key == 0x7f || key == '\b') && p->n_typed == 0))
		p->prompt = 0;
	else if (key == 0x7f || key == '\b')
		p->n_typed--;
	else if (key == CTRL('U'))
		p->n_typed = 0;
	else if (key >= 0x20 && key < 256 && p->n_typed < sizeof(p->typed) - 1)
		p->typed[p->n_typed++] = (char)key;
	return 0;
}

static void
list_move(struct player *p, bool down, size_t n)
{
	size_t last = p->marks.n - 1;

	if (down)
		p->overlay_at = n > last - p->overlay_at ? last : p->overlay_at + n;
	else
		p->overlay_at = n > p->overlay_at ? 0 : p->overlay_at - n;
}

static int
list_key(struct player *p, int key)
{
	size_t page = player_page(p);

	p->dirty = true;
	switch (key) {
	case PLAYER_KEY_DOWN:
	case 'm':
		list_move(p, true, 1);
		return 0;
	case PLAYER_KEY_UP:
	case 'M':
		list_move(p, false, 1);
		return 0;
	case PLAYER_KEY_PAGE_DOWN:
		list_move(p, true, page);
		return 0;
	case PLAYER_KEY_PAGE_UP:
		list_move(p, false, page);
		return 0;
	case PLAYER_KEY_HOME:
		list_move(p, false, p->marks.n);
		return 0;
	case PLAYER_KEY_END:
		list_move(p, true, p->marks.n);
		return 0;
	case '\r':
	case '\n':
		p->overlay = PLAYER_OVERLAY_NONE;
		return player_goto(p, p->marks.list[p->overlay_at].at_ns);
	default:
		p->overlay = PLAYER_OVERLAY_NONE;
		return 0;
	}
}

int
player_key(struct player *p, int key)
{
	if (key == PLAYER_KEY_GONE || key == PLAYER_KEY_INTERRUPT)
		return key_quit(p);
	if (key == PLAYER_KEY_RESIZED)
		return key_resized(p);
	if (p->prompt != 0)
		return prompt_key(p, key);
	if (p->overlay == PLAYER_OVERLAY_MARKS)
		return list_key(p, key);
	if (p->overlay == PLAYER_OVERLAY_HELP) {
		p->overlay = PLAYER_OVERLAY_NONE;
		p->dirty = true;
		return key == 'q' ? key_quit(p) : 0;
	}
	for (size_t i = 0; i < sizeof(player_keys) / sizeof(player_keys[0]); i++)
		if (player_keys[i].key == key)
			return player_keys[i].act(p);
	return 0;
}
