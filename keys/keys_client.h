/* For the two programs that start bastiond-keys, the broker and bastionctl: what its arguments must be. */
#ifndef BASTION_KEYS_CLIENT_H
#define BASTION_KEYS_CLIENT_H

#include <stddef.h>

#include "lib/err.h"

#define KEYS_UNLOCK_FD 4 /* where the vault finds the opened unlock key, right after its edge */

/*
 * What --unlock has to say for the configured unlock method: "" (the default), "file:PATH", "credential:NAME" (a file in
 * $CREDENTIALS_DIRECTORY) or "passphrase". Files are opened here, by the starter, and become "fd:4".
 * ret_arg: at least KEYS_UNLOCK_ARG_SIZE bytes; "" when the argument is to be left out.
 * *ret_fd: owned by caller, close-on-exec; -1 when there is none. 0; ERR_FORMAT no such method; -errno.
 */
#define KEYS_UNLOCK_ARG_SIZE 16
int keys_client_unlock(const char *unlock, char *ret_arg, size_t size, int *ret_fd) MUST_CHECK;

#endif
