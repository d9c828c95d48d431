/*
 * A forwarded connection is kept as it is. One whose first bytes, of either side, are those of SSH (RFC 4253 section 4.2)
 * is told with the remark "cut", before the byte that makes them complete: it would carry a session past the record.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/policy_proto.h"
#include "recorder/watch_priv.h"

#define OPENING_LEN 4u /* bytes */

struct forward {
	size_t same
	    [2]; /* first bytes of each way that are those of SSH; beyond OPENING_LEN: decided */
	bool told;
};

static int
start(struct watch *w, const char *command)
{
	(void)command;
	return (w->state = calloc(1, sizeof(struct forward))) != NULL ? 0 : -ENOMEM;
}

static void
stop(struct watch *w)
{
	free(w->state);
}

/* Whether these bytes complete the opening of their way. */
static bool
completes(size_t *same, const uint8_t *p, size_t len)
{
	static const uint8_t opening[OPENING_LEN] = { 'S', 'S', 'H', '-' };

	for (size_t i = 0; i < len && *same < OPENING_LEN; i++) {
		if (p[i] != opening[*same]) {
			*same = OPENING_LEN;
			return false;
		}
		if (++*same == OPENING_LEN)
			return true;
	}
	return false;
}

static int
data(struct watch *w, enum event_way way, const uint8_t *p, size_t len)
{
	struct forward *f = w->state;
	int r;

	if (completes(&f->same[way == EVENT_FRONT ? 0 : 1], p, len) && !f->told) {
		f->told = true;
		r = watch_remark(w, "cut", "an SSH connection inside a forward: use ssh -J");
		if (r != 0)
			return r;
	}
	return watch_plain(w, way, p, len);
}

const struct watch_kind watch_forward = { POL_STREAM_FORWARD, start, stop, data, NULL, NULL };
