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

/*
 * One session's derived data while it is read. Between derived_look() and derived_leave() nothing is waited for: its file grows
 * meanwhile.
 */
struct derived_look;
/*
 * Only what was made of all n_events of a session that has ended counts. 0; ERR_NOT_FOUND: not there, or made of fewer, or damaged;
 * ERR_SEALED; ERR_ERASED; -ENOMEM; -errno.
 */
int derived_look(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events, struct derived_look **ret_look) MUST_CHECK;
void derived_leave(struct derived_look *look);
uint32_t derived_chunks(const struct derived_look *look);
uint64_t derived_text_bytes(const struct derived_look *look);
/*
 * Whether chunk i may hold folded text (chunk.h); true when the filter cannot tell.
 */
bool derived_may(struct derived_look *look, uint32_t i, const uint8_t *folded, size_t len);
/* Chunk i into c. 0; ERR_FORMAT it is damaged: render the session instead; -ENOMEM; -errno. */
struct chunk;
int derived_chunk(struct derived_look *look, uint32_t i, struct chunk *c) MUST_CHECK;

/* Bytes of its file. 0; -errno. */
int derived_size(struct derived *d, uint64_t *ret_bytes) MUST_CHECK;

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

/* The writing half: bastiond-indexer's. */
struct derived_writer;
/* Make it where it is not there; what cannot be read is made anew. 0; ERR_EXISTS another writer has it; -ENOMEM; -errno. */
int derived_open_write(const char *dir, struct derived_writer **ret_writer) MUST_CHECK;
void derived_writer_close(struct derived_writer *w);
/* What it did since it was opened. */
struct derived_counts {
	uint64_t sessions, events, raw_bytes, text_bytes, chunks, shots;
};
const struct derived_counts *derived_counted(const struct derived_writer *w);
/* Whether sid is there, made of n_events events. 0; ERR_NOT_FOUND; ERR_SEALED; ERR_ERASED; -errno. */
int derived_has(struct derived_writer *w, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events) MUST_CHECK;
/*
 * Render a session that has ended, in place of what there was of it. snap: is reset and renewed meanwhile. 0; ERR_SEALED;
 * ERR_ERASED; ERR_CHAIN, ERR_FORMAT the recording is damaged: nothing of it stays; -ENOMEM; -errno.
 */
int derived_make(struct derived_writer *w, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events) MUST_CHECK;
/* Keep what was made so far: up to 64 sessions wait for it. 0; -ENOSPC; -errno. */
int derived_flush(struct derived_writer *w) MUST_CHECK;
/* Forget a session; 0 also when it is not there. all: every session. 0; -errno. */
int derived_forget(struct derived_writer *w, const uint8_t sid[REC_SID_LEN]) MUST_CHECK;
int derived_forget_all(struct derived_writer *w) MUST_CHECK;
/* The first session at or behind from that has anything here. 0; ERR_NOT_FOUND; -errno. */
int derived_next(struct derived_writer *w, const uint8_t from[REC_SID_LEN],
    uint8_t ret_sid[REC_SID_LEN]) MUST_CHECK;
/* Bytes of the file. 0; -errno. */
int derived_bytes(struct derived_writer *w, uint64_t *ret_bytes) MUST_CHECK;

#endif
