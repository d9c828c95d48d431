/* The edges to bastionctl: keys come and go, and nothing that is answered holds a byte of a private one. */
#ifndef BASTION_KEYS_ADMIN_H
#define BASTION_KEYS_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "keys/keys_policy.h"
#include "keys/keys_vault.h"
#include "lib/err.h"
#include "lib/loop.h"

#define KEYS_ADMINS_MAX 16u /* edges at a time */

/* What administration works on; the process's own. All borrowed. */
struct keys_admin_ops {
	struct keys_vault *(*vault)(void *arg); /* NULL: there is none yet */
	/* Make one. passphrase: NULL unless the unlock method is one. 0; errors of keys_vault_create(); ERR_ORDER not allowed. */
	int (*create)(void *arg, const struct secret *passphrase);
	void (*unlocked)(void *arg); /* the vault was opened, or its host key changed */
	void (*idle)(void *arg);     /* the last edge is gone */
	void *arg;
};

struct keys_admins;

/* policy: borrowed; may be NULL. NULL: out of memory. */
struct keys_admins *keys_admins_new(
    struct loop *l, struct keys_policy *policy, const struct keys_admin_ops *ops);
void keys_admins_free(struct keys_admins *a);
/* Serve an edge. fd: taken from success on. who: for the record, copied. 0; ERR_LIMIT; -errno. */
int keys_admins_add(struct keys_admins *a, int fd, const char *who) MUST_CHECK;

#endif
