/*
 * Behind ssh -J: to which host of the inventory a host and a port lead, as a client names them (RFC 4254 section 7.2).
 */
#ifndef BASTION_JUMP_H
#define BASTION_JUMP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/access.h"

#define JUMP_NAMES_MAX 4u    /* names in a host certificate */
#define JUMP_DEFAULT_PORT 22 /* what clients send when nobody named a port */
/* The one line for every host that is not there or not theirs, at every port. */
#define JUMP_REFUSED "no host that you can reach here has this name and port"

struct jump_target {
	char host
	    [NAMES_FIELD_SIZE]; /* as in the inventory, or as typed for a pattern; its host key's name */
	uint16_t port;
	/* What the client may know it as: the inventory's name, what was typed, the address. */
	char names[JUMP_NAMES_MAX][NAMES_FIELD_SIZE];
	size_t n_names;
};

/*
 * name: len bytes as the client sent them, any bytes. user: one of who's; some login there must be open to them at this moment.
 * Port 22 is the host's usual one. 0; ERR_DENIED with *ret_reason, a word for audit events, static.
 */
int jump_resolve(const struct model *m, const void *name, size_t len, uint32_t port,
    const struct model_user *user, const struct access_person *who, struct jump_target *ret_target,
    const char **ret_reason) MUST_CHECK;

#endif
