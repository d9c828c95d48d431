/*
 * What somebody else's recording may do to the terminal of the one who looks at it. Recorded output is taken apart
 * (vt.h) and put together anew from a short list: printable characters, BS HT LF CR, colours, cursor moves, erasing,
 * inserting and deleting, the scroll region, the alternate screen. Nothing else comes out, whatever goes in: no control
 * string, no title, no query, no mode of keyboard or mouse, no 8-bit control, no character that turns text around.
 */
#ifndef BASTION_CTL_VT_SAFE_H
#define BASTION_CTL_VT_SAFE_H

#include <stdbool.h>
#include <stddef.h>

#include "bastionctl/vt.h"
#include "lib/buf.h"
#include "lib/err.h"

#define VT_SAFE_GROWTH 12u /* bytes that may come out for one byte that goes in, at most */

/* All zero: a fresh terminal. */
struct vt_safe {
	struct vt vt;
	struct buf *out;  /* of the call under way */
	bool alternate;	  /* the alternate screen is shown */
	bool graphics[2]; /* G0, G1 are the line drawing set */
	unsigned shift;	  /* which of them is in use */
};

/* Append to out what is left of the bytes; they may be cut anywhere. out: borrowed for the call. 0; ERR_LIMIT; -ENOMEM. */
int vt_safe_feed(struct vt_safe *s, const void *data, size_t len, struct buf *out) MUST_CHECK;
/* Append what brings a terminal back to its usual state, and start anew. Errors as above. */
int vt_safe_reset(struct vt_safe *s, struct buf *out) MUST_CHECK;

/* Whether a code point from U+0080 may be shown as it is. */
bool vt_safe_is_shown(uint32_t cp);

#endif
