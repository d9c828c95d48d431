/* Paths that a rule holds file transfers to: absolute, and compared by whole components. */
#ifndef BASTION_PREFIX_H
#define BASTION_PREFIX_H

#include <stdbool.h>

#include "lib/err.h"

#define PREFIX_MAX 512u /* bytes */

/*
 * Whether a path may stand in a rule: it begins with /, has no empty, "." or ".." component (one slash at the end is taken), no
 * control characters and no wildcards, which it would not mean. 0; ERR_FORMAT; ERR_LIMIT more than PREFIX_MAX bytes.
 */
int prefix_check(const char *path) MUST_CHECK;
/* Whether path is prefix or lies below it. Both without a slash at the end, but "/" itself. */
bool prefix_holds(const char *prefix, const char *path);

#endif
