/*
 * The latest moment that this bastion ever saw, kept over restarts: a clock that is set back must not bring back certificates that
 * have expired. The file "clock" of the state folder holds it, in seconds since 1970, at most MARK_SPAN_NS old.
 */
#ifndef BASTION_BROKER_MARK_H
#define BASTION_BROKER_MARK_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

#define MARK_SPAN_NS (60ull * 1000000000ull) /* from one writing to the next */

struct mark;

/*
 * Read the file, and write it now and from time to time. path: borrowed for the life of the mark. *ret_mark: owned by caller.
 * 0; ERR_FORMAT there is a file that holds no moment; -ENOMEM; -errno it cannot be read or written.
 */
int mark_new(struct loop *l, const char *path, struct mark **ret_mark) MUST_CHECK;
/* Writes it once more. */
void mark_free(struct mark *m);

/* Seconds since 1970, never less than before, also when the wall clock is set back. m NULL: the wall clock. */
uint64_t mark_newest_s(struct mark *m);

#endif
