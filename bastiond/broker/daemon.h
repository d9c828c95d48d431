/* Going into the background: the parent stays until the daemon is ready or has failed, and shows what it said. */
#ifndef BASTION_BROKER_DAEMON_H
#define BASTION_BROKER_DAEMON_H

#include "lib/err.h"

/*
 * Fork. In the daemon: 0, standard output and error are log_path (appended to), *ret_ready_fd: owned by caller; writing
 * a byte to it says that all is well, closing it that it is not. In the parent this does not return: it exits with 0
 * or 1. Negative: nothing was done.
 */
int daemon_start(const char *log_path, int *ret_ready_fd) MUST_CHECK;

#endif
