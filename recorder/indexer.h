/* What bastiond-indexer does: find sessions that have ended and are not rendered, one at a time. */
#ifndef BASTION_RECORDER_INDEXER_H
#define BASTION_RECORDER_INDEXER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/derived.h"

struct indexer;
/* dir: the store's; both are open from here on. 0; ERR_EXISTS another indexer has it; -ENOENT no store; -ENOMEM; -errno. */
int indexer_new(const char *dir, struct indexer **ret_ix) MUST_CHECK;
void indexer_free(struct indexer *ix);
/*
 * Render one session that has ended; *ret_more: false: there is none now. Damaged ones are told once and, like
 * sealed and erased ones, passed over. 0;
 * -ENOMEM; -ENOSPC; -errno.
 */
int indexer_step(struct indexer *ix, uint64_t now_ns, bool *ret_more) MUST_CHECK;
/* Forget all that was rendered. Errors as above. */
int indexer_forget(struct indexer *ix) MUST_CHECK;
/* What was done since indexer_new(). */
const struct derived_counts *indexer_counted(const struct indexer *ix);

#endif
