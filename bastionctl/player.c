/* The player as a loop: read, show what is due, draw, wait for a key. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/player_part.h"
#include "lib/clock.h"
#include "lib/str.h"

#define PLAYER_SLICE_NS 20000000ull	/* of work between looks at the keys */
#define PLAYER_WALK_NS 60000000ull	/* what is ahead is first looked for by reading on */
#define PLAYER_DRAW_NS 30000000ull	/* between drawings while there is work */
#define PLAYER_STATUS_NS 200000000ull	/* between two states of the line below */
#define PLAYER_MESSAGE_NS 4000000000ull /* how long a message stays */

void
player_say(struct player *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(p->message, sizeof(p->message), fmt, ap) < 0)
		p->message[0] = '\0';
	va_end(ap);
	p->message_until_ns = p->ops->now(p->arg) + PLAYER_MESSAGE_NS;
	p->dirty = true;
}

/* Real time goes by: so does the recording's, unless nothing is to come. */
static void
player_tick(struct player *p)
{
	uint64_t now = p->ops->now(p->arg);

	if (!p->paused && !p->jumping && !p->ended && (p->have || p->live))
		p->pos_ns += (uint64_t)((double)(now - p->real_ns) * (p->live ? 1 : p->speed));
	p->real_ns = now;
	if (p->live && p->pos_ns > p->total_ns)
		p->total_ns = p->pos_ns;
	if (p->message_until_ns != 0 && now >= p->message_until_ns) {
		p->message_until_ns = 0;
		p->dirty = true;
	}
}

/* Ask the reader for the place that jump_ns is. */
static int
player_seek(struct player *p)
{
	p->awaiting = true;
	p->walking = p->have = p->ended = false;
	player_shot_done(&p->offer);
	return p->ops->seek(p->arg, p->jump_ns, p->channel);
}

int
player_goto(struct player *p, uint64_t at_ns)
{
	bool near = p->exact && !p->awaiting && at_ns >= p->seq_ns;

	p->jumping = true;
	p->jump_ns = at_ns;
	p->live = p->step = false;
	if (!near)
		return player_seek(p);
	p->walking = true;
	p->walk_until_ns = p->ops->now(p->arg) + PLAYER_WALK_NS;
	return 0;
}

int
player_resume(struct player *p)
{
	p->have = p->ended = false;
	p->real_ns = p->ops->now(p->arg);
	return p->ops->seek(p->arg, p->seq_ns, 0);
}

static int
player_take_offer(struct player *p, const struct rd_msg *msg)
{
	player_shot_done(&p->offer);
	if (!p->awaiting || msg->channel != p->channel)
		return 0;
	p->offer = (struct player_shot){ .seq = msg->first_seq,
		.at_ns = msg->at_ns,
		.cols = msg->cols,
		.rows = msg->rows,
		.exact = true };
	if ((p->offer.paint = buf_new(SCREEN_PAINT_MAX)) == NULL)
		return -ENOMEM;
	return buf_put(p->offer.paint, msg->data, msg->len);
}

/* Whether the screen as it is will do as a beginning, better than shot does. */
static bool
player_may_stay(const struct player *p, const struct player_shot *shot, uint64_t before)
{
	if ((!p->exact && p->seq == 0) || p->seq_ns > p->jump_ns || p->seq < before)
		return false;
	if (shot == NULL || p->exact != shot->exact)
		return shot == NULL || p->exact;
	return p->seq >= shot->seq;
}

/* The first of what a seek asked for is here, and has events behind number before. The best beginning that reaches it is taken. */
static int
player_begin_jump(struct player *p, uint64_t before)
{
	const struct player_shot *shot = player_find_shot(p, p->jump_ns, before);
	int r = 0;

	p->awaiting = false;
	if (!player_may_stay(p, shot, before)) {
		if (shot != NULL)
			r = player_restore_shot(p, shot);
		else
			r = player_blank(p, before);
	}
	player_shot_done(&p->offer);
	return r;
}

static void
player_take_end(struct player *p, const struct json_node *session)
{
	if (strcmp(json_str(json_get(session, "state"), "open"), "open") == 0)
		return;
	(void)snprintf(p->end->reason, sizeof(p->end->reason), "%s",
	    json_str(json_get(session, "end_reason"), "truncated"));
	(void)snprintf(
	    p->end->text, sizeof(p->end->text), "%s", json_str(json_get(session, "end_text"), ""));
}

/* No more: of a recording the reader stays, for somebody may go back. */
static int
player_at_end(struct player *p)
{
	int r = 0;

	if (p->awaiting)
		r = player_begin_jump(p, 0);
	p->ended = true;
	p->dirty = true;
	return r;
}

/* The next event into p->ev. 0 also when there is none yet (p->have) or no more (p->ended). */
static int
player_fetch(struct player *p)
{
	struct rd_msg msg;
	int r = 0;

	while (r == 0 && !p->have && !p->ended) {
		r = p->ops->next(p->arg, &p->ev, &msg);
		if (r == -EAGAIN)
			return 0;
		if (r == ERR_NOT_FOUND)
			r = player_at_end(p);
		else if (r == 0 && msg.type == RD_SCREEN)
			r = player_take_offer(p, &msg);
		else if (r == 0 && msg.type == RD_ITEM)
			player_take_end(p, msg.json);
		else if (r == 0) {
			if (p->awaiting)
				r = player_begin_jump(p, p->ev.seq - 1);
			p->have = r == 0 && p->ev.seq > p->seq;
		}
	}
	return r;
}

/* The event that is here happens. *ret_drew: it put something on the screen. */
static int
player_take(struct player *p, bool *ret_drew)
{
	bool draws = player_draws(p, &p->ev);
	int r = 0;

	/* A size alone is nothing that somebody steps to. */
	*ret_drew = draws && p->ev.type != LINK_REQUEST;
	if (draws)
		r = player_feed(p, &p->ev);
	p->seq = p->ev.seq;
	p->seq_ns = p->ev.at_ns;
	p->total_ns = p->ev.at_ns > p->total_ns ? p->ev.at_ns : p->total_ns;
	p->have = false;
	return r != 0 ? r : player_keep_shot(p);
}

static void
player_land(struct player *p)
{
	p->jumping = p->walking = false;
	p->pos_ns = p->jump_ns == UINT64_MAX ? p->seq_ns : p->jump_ns;
	if (p->ended && p->pos_ns > p->total_ns)
		p->pos_ns = p->total_ns;
	p->dirty = true;
}

/* A long pause ahead is cut, and said to be. */
static void
player_cut_idle(struct player *p)
{
	char text[PLAYER_TIME_SIZE];
	uint64_t gap = p->ev.at_ns > p->pos_ns ? p->ev.at_ns - p->pos_ns : 0;

	if (p->idle_ns == 0 || gap <= p->idle_ns || p->paused || p->live)
		return;
	p->pos_ns = p->ev.at_ns - p->idle_ns;
	player_say(p, "skipped %s in which nothing happened", player_time(text, gap - p->idle_ns));
}

/* Whether the event that is here is to happen now. */
static bool
player_is_due(struct player *p)
{
	if (p->jumping)
		return p->ev.at_ns <= p->jump_ns;
	if (p->live || !player_draws(p, &p->ev))
		return true;
	if (p->step)
		return true;
	if (p->paused)
		return false;
	player_cut_idle(p);
	return p->ev.at_ns <= p->pos_ns;
}

/* Nothing more can be read now. */
static void
player_idle(struct player *p)
{
	if (p->jumping &&
	    (p->ended || (p->conf->follow && p->jump_ns == UINT64_MAX && !p->awaiting)))
		player_land(p);
	if (p->conf->follow && !p->ended && !p->jumping && !p->awaiting && !p->paused && !p->live) {
		p->live = true;
		p->pos_ns = p->seq_ns;
		p->dirty = true;
	}
	if (p->ended && !p->jumping && !p->paused)
		p->pos_ns = p->total_ns;
}

/* Show what is due, for at most a slice of time. *ret_more: there is more to do at once. */
static int
player_advance(struct player *p, bool *ret_more)
{
	uint64_t until = p->ops->now(p->arg) + PLAYER_SLICE_NS;
	bool drew = false;
	int r;

	*ret_more = false;
	while ((r = player_fetch(p)) == 0 && p->have) {
		if (!player_is_due(p)) {
			if (p->jumping)
				player_land(p);
			return 0;
		}
		if (p->live || p->step)
			p->pos_ns = p->ev.at_ns;
		if ((r = player_take(p, &drew)) != 0)
			return r;
		if (p->step && drew && !p->jumping) {
			p->step = false;
			return 0;
		}
		if (p->jumping && p->walking && p->ops->now(p->arg) >= p->walk_until_ns)
			return player_seek(p);
		if (p->ops->now(p->arg) >= until) {
			if (!p->jumping && !p->paused && p->pos_ns > p->seq_ns)
				p->pos_ns = p->seq_ns; /* slower than it should be */
			*ret_more = true;
			return 0;
		}
	}
	if (r == 0)
		player_idle(p);
	return r;
}

/* Real time until something is to be done without a key. */
static uint64_t
player_pause_ns(const struct player *p)
{
	uint64_t max = UINT64_MAX;
	double real;

	if (p->message_until_ns != 0 || p->jumping)
		max = PLAYER_STATUS_NS;
	if (p->paused || p->ended)
		return max;
	if (!p->conf->no_status)
		max = PLAYER_STATUS_NS;
	if (!p->have || p->jumping || p->live)
		return max;
	real = p->ev.at_ns > p->pos_ns ? (double)(p->ev.at_ns - p->pos_ns) / p->speed + 1 : 0;
	return real < (double)max ? (uint64_t)real : max;
}

static bool
player_is_over(const struct player *p)
{
	return p->conf->follow && p->ended && !p->jumping && !p->paused;
}

/* While there is work, now and then only; on the way to another place, what is between is not shown. */
static bool
player_draws_now(const struct player *p, bool more, uint64_t now)
{
	if (p->jumping)
		return now - p->drawn_ns >= PLAYER_STATUS_NS;
	return !more || now - p->drawn_ns >= PLAYER_DRAW_NS;
}

static int
player_turn(struct player *p)
{
	bool more = false;
	uint64_t now;
	int r, key;

	player_tick(p);
	if ((r = player_advance(p, &more)) != 0)
		return r;
	now = p->ops->now(p->arg);
	if (player_draws_now(p, more, now)) {
		if ((r = player_draw(p)) != 0)
			return r;
		p->drawn_ns = now;
	}
	if (player_is_over(p))
		p->quit = true;
	if (p->quit)
		return 0;
	key = p->ops->wait(p->arg, more ? 0 : player_pause_ns(p), !p->have && !p->ended);
	player_tick(p);
	return key == PLAYER_KEY_NONE || key == PLAYER_KEY_EVENTS ? 0 : player_key(p, key);
}

/* What the session's description says of the channel. */
static void
player_learn_channel(struct player *p)
{
	const struct json_node *channel = export_channel(p->conf->session, p->channel);
	const struct json_node *files = json_get(p->conf->session, "files");

	p->pty = json_bool(json_get(channel, "pty"), false);
	p->base_cols = (uint32_t)json_u64(json_get(channel, "cols"), 0);
	p->base_rows = (uint32_t)json_u64(json_get(channel, "rows"), 0);
	p->files = false;
	for (size_t i = 0; !p->files && i < json_n(files); i++)
		p->files = json_u64(json_get(json_at(files, i), "channel"), 0) == p->channel;
}

int
player_set_channel(struct player *p, uint32_t channel)
{
	int r;

	p->channel = channel;
	player_learn_channel(p);
	player_forget_shots(p);
	player_text_done(&p->text);
	p->found = false;
	screen_free(p->screen);
	p->screen = NULL;
	if ((r = player_blank(p, 0)) != 0)
		return r;
	p->exact = false; /* it has nothing of what is before */
	return player_goto(p, p->live ? UINT64_MAX : p->pos_ns);
}

static int
player_begin(struct player *p)
{
	uint32_t cols, rows;
	int r;

	if ((r = paint_new(&p->paint)) != 0 ||
	    (r = p->ops->emit(p->arg, paint_enter, strlen(paint_enter))) != 0)
		return r;
	p->ops->size(p->arg, &cols, &rows);
	if ((r = paint_size(p->paint, cols, rows)) != 0)
		return r;
	p->channel =
	    p->conf->channel != 0 ? p->conf->channel : export_main_channel(p->conf->session);
	player_learn_channel(p);
	p->real_ns = p->ops->now(p->arg);
	if ((r = player_blank(p, 0)) != 0)
		return r;
	p->exact = p->conf->at_ns == 0; /* else it may be far from the start */
	return player_goto(p, p->conf->at_ns);
}

static void
player_done(struct player *p)
{
	player_forget_shots(p);
	player_shot_done(&p->offer);
	player_marks_done(&p->marks);
	player_marks_done(&p->hits);
	player_text_done(&p->text);
	screen_free(p->screen);
	paint_free(p->paint);
}

int
player_run(const struct player_conf *conf, const struct player_ops *ops, void *arg,
    struct player_end *ret_end)
{
	struct player p = { .conf = conf,
		.ops = ops,
		.arg = arg,
		.end = ret_end,
		.speed = conf->speed,
		.idle_ns = conf->idle_limit_ns,
		.total_ns = json_u64(json_get(conf->session, "duration_ns"), 0) };
	int r, e;

	memset(ret_end, 0, sizeof(*ret_end));
	r = player_begin(&p);
	while (r == 0 && !p.quit)
		r = player_turn(&p);
	e = ops->emit(arg, paint_leave, strlen(paint_leave));
	player_done(&p);
	return r != 0 ? r : e;
}
