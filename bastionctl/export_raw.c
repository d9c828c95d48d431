/* raw: the bytes of one stream of one channel, and nothing else. */
#include "config.h"

#include <errno.h>

#include "bastionctl/export.h"

static int
raw_begin(struct export *x)
{
	(void)x;
	return 0;
}

static int
raw_event(struct export *x, const struct event *ev)
{
	struct frame_content c;
	const uint8_t *p;
	size_t len = 0;

	if (frame_content(ev, &c) && c.stream == x->view.stream)
		x->lost.replaced_bytes += c.len;
	if (frame_data(ev, &p, &len) == FRAME_NONE || len == 0)
		return 0;
	errno = 0;
	return fwrite(p, 1, len, x->out) == len ? 0 : errno != 0 ? -errno : -EIO;
}

static int
raw_end(struct export *x)
{
	(void)x;
	return 0;
}

const struct export_format export_raw = { "raw", true, true, false, raw_begin, raw_event, raw_end };
