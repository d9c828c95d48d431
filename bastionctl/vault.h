/* The administration edge of the vault: through a running bastiond, or to a vault process of our own. */
#ifndef BASTION_CTL_VAULT_H
#define BASTION_CTL_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/cmd.h"
#include "lib/buf.h"

/*
 * Open an edge. Where no bastiond runs, bastiond-keys is started for this one command, as the owner of STATE/keys;
 * if a passphrase seals the vault it is asked for.
 * create: for a vault that does not exist yet (then bastiond is not asked). *ret_fd: owned by caller.
 * CMD_YES; CMD_UNSURE after a line on stderr.
 */
int vault_open(struct cmd_ctx *c, bool create, int *ret_fd) MUST_CHECK;

/*
 * One request (enum keys_admin_type) and its answer. pass_fd: handed over, or -1. *ret_text: owned by caller, free().
 * CMD_YES with the text; else the vault's code after its text went to stderr.
 */
int vault_ask(
    int fd, uint16_t type, const struct buf *request, int pass_fd, char **ret_text) MUST_CHECK;
/* Both for one request of up to two strings (NULL: none), on an edge of its own. Results as vault_ask(). */
int vault_request(struct cmd_ctx *c, uint16_t type, const char *a, const char *b, int pass_fd,
    char **ret_text) MUST_CHECK;

#endif
