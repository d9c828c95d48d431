/* What root gives up at once, and the limits that programs inherit. */
#ifndef BASTION_BROKER_PRIVILEGE_H
#define BASTION_BROKER_PRIVILEGE_H

#include <stdint.h>

#include "lib/err.h"

/*
 * Open files up to the hard limit, and locked memory for the vault where we may. *ret_files: descriptors that we may have
 * now. 0; -errno.
 */
int privilege_limits(uint64_t *ret_files) MUST_CHECK;
/*
 * As root: keep what starting programs under other uids, ending them, binding and reading the configuration takes, for
 * good; nothing else. As anybody else nothing is there to give up. 0; -errno.
 */
int privilege_drop(void) MUST_CHECK;

#endif
