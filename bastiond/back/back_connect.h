/* Reaching the target: which addresses, which of them are allowed, and a connected socket. Before the sandbox closes. */
#ifndef BASTION_BACK_CONNECT_H
#define BASTION_BACK_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#include "bastiond/back/back_conf.h"

#define BACK_ADDRS_MAX 16u /* addresses of a name that are tried */

struct back_target {
	struct net_addr addr[BACK_ADDRS_MAX];
	size_t n;
};

/*
 * The addresses that the configuration leads to and that may be connected to, in the resolver's order.
 * 0; ERR_NOT_FOUND the name has no address; ERR_DENIED all of them are refused; ERR_FORMAT not a literal address.
 * why: one line, on error.
 */
int back_resolve(const struct back_conf *c, struct back_target *ret_target, char *why,
    size_t why_size) MUST_CHECK;
/* Whether this address may be connected to. why: one line when it may not. */
bool back_may_connect(
    const struct back_conf *c, const struct net_addr *addr, char *why, size_t why_size);
/*
 * Connect to one of the target's addresses: one after another, a quarter of a second apart, the first that answers (RFC
 * 8305). *ret_fd: non-blocking, owned by caller. *ret_addr: which one. 0; -ETIMEDOUT; -ECONNREFUSED ...: why says it.
 */
int back_connect(const struct back_conf *c, const struct back_target *t, int *ret_fd,
    struct net_addr *ret_addr, char *why, size_t why_size) MUST_CHECK;

#endif
