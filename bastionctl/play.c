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
	uint64_t seq;	 /* of the last event that was taken */
	uint64_t pos_ns; /* where in the recording we are */
	bool
	    before; /* not at the beginning yet: nothing is waited for, and the end of it is shown together */
	bool quit;
	bool cut;      /* of what was before only the end is in out */
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

/* Forget the older part of what was before, up to where a line or a sequence begins. */
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

/* Bytes of any length: a picture is longer than an event. */
static int
play_show(struct play *p, const uint8_t *data, size_t len)
{
	int r = 0;

	while (r == 0 && len > 0) {
		size_t n = len < EVENT_DATA_MAX ? len : EVENT_DATA_MAX;

		r = p->conf->raw ? buf_put(p->out, data, n) : vt_safe_feed(&p->vt, data, n, p->out);
		if (r == 0 && !p->before)
			r = play_flush(p);
		else if (r == 0 && buf_len(p->out) > 2u * PLAY_TAIL_MAX)
			r = play_forget(p);
		data += n;
		len -= n;
	}
	return r;
}

/* Real time that a span of the recording takes. */
static uint64_t
play_real(const struct play *p, uint64_t ns)
{
	double real = (double)ns / p->conf->speed;

	return real < 1e18 ? (uint64_t)real : (uint64_t)1e18;
}

/* Until it is at_ns in the recording. */
static void
play_wait(struct play *p, uint64_t at_ns)
{
	uint64_t left = at_ns > p->pos_ns ? at_ns - p->pos_ns : 0;

	if (p->conf->idle_limit_ns > 0 && left > p->conf->idle_limit_ns)
		left = p->conf->idle_limit_ns;
	if (p->conf->no_wait)
		left = 0;
	p->quit = !p->ops->wait(p->arg, play_real(p, left));
	p->pos_ns = at_ns > p->pos_ns ? at_ns : p->pos_ns;
}

/* An event with output that is to be shown, when its time has come. */
static int
play_event(struct play *p, const struct event *ev, const uint8_t *data, size_t len)
{
	int r = 0;

	if (p->before && ev->at_ns >= p->conf->at_ns) {
		p->before = false;
		p->pos_ns = p->conf->at_ns;
		r = play_flush(p);
	}
	if (r == 0 && !p->before)
		play_wait(p, ev->at_ns);
	return r != 0 || p->quit ? r : play_show(p, data, len);
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

		if (ev.seq <= p->seq) /* the picture has it */
			continue;
		p->seq = ev.seq;
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
	struct play p = { .conf = conf, .ops = ops, .arg = arg, .before = conf->at_ns > 0 };
	int r, e;

	p.out = buf_new(PLAY_OUT_MAX);
	if (p.out == NULL)
		return -ENOMEM;
	r = play_loop(&p);
	e = play_restore(&p);
	buf_free(p.out);
	return r != 0 ? r : e;
}
