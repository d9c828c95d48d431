/*
 * Giving back what erased recordings leave free inside the store's file. The file is written anew without it, beside the old
 * one, compared with it in every key and value, and takes its place in one rename. Whatever stops in between, one whole
 * store is there.
 */
#ifndef BASTION_RECORDER_COMPACT_H
#define BASTION_RECORDER_COMPACT_H

#include <stdint.h>

#include "lib/err.h"

#define COMPACT_DIR "compact" /* below the store's folder, while it goes on */

struct compact_result {
	uint64_t before, after; /* bytes of the file */
};

/*
 * Compact the store in dir, which nobody else may have open for writing. 0; ERR_EXISTS a recorder has it; -ENOENT no store;
 * -ENOSPC not enough room for both, the old one is as it was; ERR_CHAIN the new one was not the same, likewise;
 * ERR_VERSION; ERR_FORMAT; -ENOMEM; -errno.
 */
int compact_store(const char *dir, struct compact_result *ret_result) MUST_CHECK;
/* Remove what one that was cut off left behind. 0; -errno. */
int compact_clean(const char *dir) MUST_CHECK;

#endif
