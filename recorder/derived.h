/*
 * What was made out of recordings so that finding and seeking are fast: rendered text in chunks, each with a filter, and
 * pictures of screens. STATE/recorder/derived is an LMDB environment of its own, written by bastiond-indexer alone, encrypted
 * under each session's subkey, and may be deleted at any time: whoever reads it does without what is absent or damaged.
 */
#ifndef BASTION_RECORDER_DERIVED_H
#define BASTION_RECORDER_DERIVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/recorder_proto.h"
#include "recorder/render.h"
#include "recorder/store.h"

#define DERIVED_DIR "derived"		/* below the store's directory */
#define DERIVED_SHOT_EVERY (512u << 10) /* bytes of terminal output between pictures */
#define DERIVED_CHUNK_TEXT (128u << 10) /* bytes of text in a chunk */

struct derived;
/* dir: the store's. 0; ERR_NOT_FOUND there is none; ERR_VERSION of another version; -errno. derived_close(): NULL is allowed. */
int derived_open_read(const char *dir, struct derived **ret_derived) MUST_CHECK;
void derived_close(struct derived *d);

/* A picture of one terminal at one moment. */
struct derived_shot {
	uint32_t channel, cols, rows;
	uint64_t next_seq; /* of the first event that it does not have yet */
	uint64_t at_ns;	   /* of the event before that */
	struct buf *paint; /* screen_paint(); owned by caller, buf_free() */
};
/*
 * The last picture of this channel at or before at_ns. snap: of the store, for the session's key. 0; ERR_NOT_FOUND there is
 * none; ERR_SEALED; ERR_ERASED; ERR_FORMAT damaged: do without it; -ENOMEM; -errno.
 */
int derived_shot(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint32_t channel, uint64_t at_ns, struct derived_shot *ret_shot) MUST_CHECK;
/*
 * The screen of this channel as it was at at_ns, from the last picture and the events behind it, or from the start. d: NULL:
 * there are no pictures. *ret_screen: owned by caller, screen_free(). 0; ERR_NOT_FOUND the channel has no terminal then;
 * errors of recording.h.
 */
int derived_screen_at(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint32_t channel, uint64_t at_ns, struct screen **ret_screen) MUST_CHECK;

#endif
