/*
 * Behind ssh -J: to which host of the inventory a host and a port lead, as a client names them (RFC 4254 section 7.2), and what the
 * login of the outer connection is worth on the inner one.
 */
#ifndef BASTION_JUMP_H
#define BASTION_JUMP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/access.h"
#include "policy/request.h"

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

/*
 * What somebody was logged in with. Kept as it was shown, so that every use is judged by the policy, the revocations and the clock
 * of that moment.
 */
struct jump_pass {
	char identity[NAMES_FIELD_SIZE]; /* "": nothing was proved */
	char alg[REQUEST_NAME_SIZE];
	uint8_t *blob; /* key or certificate; owned */
	size_t len;
	/* Of an inner connection: where it leads. */
	char host[NAMES_FIELD_SIZE];
	uint16_t port;
};

/* All is copied. 0; ERR_LIMIT; -ENOMEM: pass is as it was. */
int jump_pass_set(struct jump_pass *pass, const char *identity, const char *alg,
    const uint8_t *blob, size_t len) MUST_CHECK;
/* The same for an inner connection, to target. */
int jump_pass_copy(struct jump_pass *pass, const struct jump_pass *from,
    const struct jump_target *target) MUST_CHECK;
void jump_pass_done(struct jump_pass *pass);

#endif
