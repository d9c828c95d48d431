/* The replay as a loop over events, with one place that waits. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastionctl/frame.h"
#include "bastionctl/play.h"
#include "bastionctl/vt_safe.h"
#include "lib/buf.h"

#define PLAY_OUT_MAX (2u * PLAY_TAIL_MAX + EVENT_DATA_MAX * VT_SAFE_GROWTH)

struct play {
	const struct play_conf *conf;
	const struct play_ops *ops;
	void *arg;
	struct vt_safe vt;
	struct buf *out; /* cleaned and not shown yet */
	double speed;
	uint64_t pos_ns;  /* where in the recording we are */
	uint64_t jump_ns; /* what is before this is not waited for, and shown together */
	bool jumping, paused, quit;
	bool step;     /* show one event although paused */
	bool cut;      /* of a long jump only the end is in out */
	bool coloured; /* an escape sequence was shown: the terminal is not as it was */
};

/* An empty screen: what was on it is not of this moment. */
static const char play_clear[] = "\033[m\033[r\033[H\033[2J";

static int
play_put(struct play *p, const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	p->coloured = p->coloured || (!p->conf->raw && memchr(data, '\033', len) != NULL);
	return p->ops->emit(p->arg, data, len);
}

static int
play_flush(struct play *p)
{
	int r = 0;

	if (p->cut && !p->conf->raw)
		r = play_put(p, (const uint8_t *)play_clear, sizeof(play_clear) - 1);
	if (r == 0)
		r = play_put(p, buf_ptr(p->out), buf_len(p->out));
	p->cut = false;
	buf_reset(p->out);
	return r;
}

/* Forget the older part of a long jump, up to where a line or a sequence begins. */
static int
play_forget(struct play *p)
{
	const uint8_t *data = buf_ptr(p->out);
	size_t len = buf_len(p->out), at = len - PLAY_TAIL_MAX;

	if (p->conf->raw) /* every byte is wanted */
		return play_flush(p);
	while (at < len && data[at] != '\n' && data[at] != '\033')
		at++;
	p->cut = true;
	return buf_skip(p->out, at);
}

static int
play_show(struct play *p, const uint8_t *data, size_t len)
{
	int r;

	if (p->conf->raw)
		r = buf_put(p->out, data, len);
	else
		r = vt_safe_feed(&p->vt, data, len, p->out);
	if (r != 0)
		return r;
	if (!p->jumping)
		return play_flush(p);
	return buf_len(p->out) > 2u * PLAY_TAIL_MAX ? play_forget(p) : 0;
}

/* Jump to at_ns; *ret_again: it is behind us, so events begin anew. */
static int
play_jump(struct play *p, uint64_t at_ns, bool *ret_again)
{
	int r;

	*ret_again = at_ns < p->pos_ns;
	p->jumping = true;
	p->jump_ns = at_ns;
	if (!*ret_again)
		return 0;
	if ((r = vt_safe_reset(&p->vt, p->out)) != 0 || (r = play_flush(p)) != 0)
		return r;
	p->cut = true; /* the screen is to be cleared */
	p->pos_ns = 0;
	return p->ops->seek(p->arg, 0);
}

static void
play_set_speed(struct play *p, double speed)
{
	if (speed >= PLAY_SPEED_MIN && speed <= PLAY_SPEED_MAX)
		p->speed = speed;
}

/* What a key does. *ret_again as play_jump(). */
static int
play_key(struct play *p, enum play_key key, bool *ret_again)
{
	switch (key) {
	case PLAY_PAUSE:
		p->paused = !p->paused;
		return 0;
	case PLAY_STEP:
		p->paused = p->step = true;
		return 0;
	case PLAY_FASTER:
		play_set_speed(p, p->speed * 2);
		return 0;
	case PLAY_SLOWER:
		play_set_speed(p, p->speed / 2);
		return 0;
	case PLAY_BACK:
		return play_jump(
		    p, p->pos_ns > PLAY_SEEK_NS ? p->pos_ns - PLAY_SEEK_NS : 0, ret_again);
	case PLAY_ON:
		return play_jump(p, p->pos_ns + PLAY_SEEK_NS, ret_again);
	case PLAY_QUIT:
		p->quit = true;
		return 0;
	case PLAY_NONE:
	default:
		return 0;
	}
}

/* Real time that a span of the recording takes. */
static uint64_t
play_real(const struct play *p, uint64_t ns)
{
	double real = (double)ns / p->speed;

	return real < 1e18 ? (uint64_t)real : (uint64_t)1e18;
}

/* One wait of at most left_ns of the recording. *left_ns: what remains of it. */
static int
play_wait_once(struct play *p, uint64_t *left_ns, bool *ret_again)
{
	uint64_t max = p->paused ? UINT64_MAX : play_real(p, *left_ns), waited = 0, gone;
	enum play_key key = p->ops->wait(p->arg, max, &waited);

	if (!p->paused) {
		gone = waited >= max || key == PLAY_NONE ? *left_ns
							 : (uint64_t)((double)waited * p->speed);
		gone = gone > *left_ns ? *left_ns : gone;
		*left_ns -= gone;
		p->pos_ns += gone;
	}
	return play_key(p, key, ret_again);
}

/* Until it is at_ns in the recording, or a key ends the waiting. *ret_again: the event is not to be shown now. */
static int
play_wait(struct play *p, uint64_t at_ns, bool *ret_again)
{
	uint64_t left = at_ns > p->pos_ns ? at_ns - p->pos_ns : 0;
	int r = 0;

	if (p->conf->idle_limit_ns > 0 && left > p->conf->idle_limit_ns) {
		p->pos_ns = at_ns - p->conf->idle_limit_ns;
		left = p->conf->idle_limit_ns;
	}
	*ret_again = false;
	p->step = false;
	if (p->conf->no_wait)
		left = 0;
	do
		r = play_wait_once(p, &left, ret_again);
	while (r == 0 && !*ret_again && !p->quit && !p->step && !p->jumping &&
	       (left > 0 || p->paused));
	return r;
}

/* A jump ends in front of an event that is behind its goal. */
static int
play_land(struct play *p)
{
	p->jumping = false;
	p->pos_ns = p->jump_ns > p->pos_ns ? p->jump_ns : p->pos_ns;
	return play_flush(p);
}

/* An event with output that is to be shown, when its time has come. */
static int
play_event(struct play *p, const struct event *ev, const uint8_t *data, size_t len)
{
	bool again = false;
	int r = 0;

	do {
		if (p->jumping && ev->at_ns < p->jump_ns)
			break;
		if (p->jumping)
			r = play_land(p);
		if (r == 0)
			r = play_wait(p, ev->at_ns, &again);
		if (r != 0 || again || p->quit)
			return r;
	} while (p->jumping); /* a key asked for more */
	p->pos_ns = ev->at_ns > p->pos_ns ? ev->at_ns : p->pos_ns;
	return play_show(p, data, len);
}

/* What is shown of an event: output of the channel, or, where it carries files, a line about one. */
static bool
play_shows(const struct play_conf *conf, const struct event *ev, char line[FRAME_TEXT_SIZE],
    const uint8_t **ret_data, size_t *ret_len)
{
	enum frame_stream stream = frame_data(ev, ret_data, ret_len);
	size_t n;

	if (ev->channel != conf->channel)
		return false;
	if (stream != FRAME_NONE)
		return stream == FRAME_ERR || (stream == FRAME_OUT && !conf->files);
	if (!conf->files || ev->type != EVENT_FILE || !frame_text(ev, line, FRAME_TEXT_SIZE - 2))
		return false;
	n = strnlen(line, FRAME_TEXT_SIZE - 3);
	memcpy(line + n, "\r\n", 2);
	*ret_data = (const uint8_t *)line;
	*ret_len = n + 2;
	return true;
}

static int
play_loop(struct play *p)
{
	struct event ev;
	int r = 0;

	while (r == 0 && !p->quit && (r = p->ops->next(p->arg, &ev)) == 0) {
		char line[FRAME_TEXT_SIZE];
		const uint8_t *data;
		size_t len;

		if (play_shows(p->conf, &ev, line, &data, &len))
			r = play_event(p, &ev, data, len);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
play_restore(struct play *p)
{
	int r = play_flush(p);

	if (r != 0 || p->conf->raw)
		return r;
	if (p->coloured)
		r = vt_safe_reset(&p->vt, p->out);
	return r != 0 ? r : play_flush(p);
}

int
play_run(const struct play_conf *conf, const struct play_ops *ops, void *arg)
{
	struct play p = { .conf = conf, .ops = ops, .arg = arg, .speed = conf->speed };
	int r, e;

	p.out = buf_new(PLAY_OUT_MAX);
	if (p.out == NULL)
		return -ENOMEM;
	p.jumping = conf->at_ns > 0;
	p.jump_ns = conf->at_ns;
	r = play_loop(&p);
	e = play_restore(&p);
	buf_free(p.out);
	return r != 0 ? r : e;
}
