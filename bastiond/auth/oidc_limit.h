/*
 * How many codes may be outstanding for one source, and how many one person may be sent in an hour: counted in the folder of the
 * state, over all processes that use it.
 */
#ifndef BASTION_AUTH_OIDC_LIMIT_H
#define BASTION_AUTH_OIDC_LIMIT_H

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"

#define OIDC_PEOPLE_MAX 65536u /* rows that are kept; the oldest make room */

/*
 * Count a code for this source (an address, or "" for this machine) and person. *ret_fd: owned by caller; as long as it is open,
 * also in a process that is killed, the code counts as outstanding: fd_close() when the login is over.
 * 0; ERR_LIMIT; -errno; with why.
 */
int oidc_limit_take(const struct oidc_conf *conf, const char *source, const char *person,
    int *ret_fd, struct oidc_why *why) MUST_CHECK;

#endif
