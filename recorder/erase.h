/*
 * What leaves the store on purpose, and what may not. Erasing is: a leaf that says so, durable; then the session's key is
 * destroyed; then its blocks go, a slice a commit, so that sessions that run do not wait. Its record, the headers of its
 * blocks and every leaf stay, and the log verifies as before. Whatever is cut off between two steps is finished by the
 * next start.
 */
#ifndef BASTION_RECORDER_ERASE_H
#define BASTION_RECORDER_ERASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/chain.h"
#include "recorder/mlog.h"

#define ERASE_SLICE (16ull << 20) /* bytes of blocks removed in one commit */
#define ERASE_QUEUE_MAX 4096u	  /* erasures under way */

struct eraser;

/* Somebody's word about a session. */
struct erase_order {
	uint8_t sid[REC_SID_LEN];
	const char *by, *why; /* borrowed */
	uint32_t id;	      /* of who waits for it, for eraser_committed(); 0: nobody */
};

/* c: borrowed; its store is open. Takes up what was cut off. 0; ERR_FORMAT; -ENOMEM; -errno. */
int eraser_new(struct chain *c, struct eraser **ret_eraser) MUST_CHECK;
void eraser_free(struct eraser *e);

/*
 * Erase it, in the chain's open transaction. 0; ERR_NOT_FOUND no such session; ERR_ORDER it runs; ERR_DENIED it is
 * held; ERR_ERASED it is erased already; ERR_LIMIT too many at once, or too long a text; ERR_CHAIN its record or its key's
 * was changed, and nothing says which key is its own; else the chain is dead. One that a stop left damaged, without an
 * end, can be erased: its leaf then follows its opening, which tells the verifier so.
 */
int eraser_erase(struct eraser *e, const struct erase_order *order, enum mlog_erase how) MUST_CHECK;
/*
 * Hold it, or let it go, likewise. 0; ERR_NOT_FOUND; ERR_ERASED; ERR_EXISTS it is held already, or not held; ERR_LIMIT;
 * ERR_CHAIN; else the chain is dead.
 */
int eraser_hold(struct eraser *e, const struct erase_order *order, bool held) MUST_CHECK;

/*
 * A commit has returned: destroys the keys of those whose leaf it made durable. done: told of each that somebody waits for.
 * 0; negative: a key may still be there, the recorder must stop.
 */
int eraser_committed(struct eraser *e, void (*done)(void *arg, uint32_t id), void *arg) MUST_CHECK;
/* Something is left to do for eraser_step(). */
bool eraser_is_busy(const struct eraser *e);
/* Remove a slice, in the chain's open transaction. 0; negative: the chain is dead. */
int eraser_step(struct eraser *e) MUST_CHECK;

struct eraser_stats {
	uint64_t n_erased;	/* since the start, whole */
	uint64_t bytes_removed; /* since the start */
	uint64_t n_waiting;	/* under way */
};
void eraser_stats(const struct eraser *e, struct eraser_stats *ret_stats);

#endif
