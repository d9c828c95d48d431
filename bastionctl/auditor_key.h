/* The auditor's secret key that a command was given. */
#ifndef BASTION_CTL_AUDITOR_KEY_H
#define BASTION_CTL_AUDITOR_KEY_H

#include "bastionctl/cmd.h"
#include "lib/auditor.h"
#include "lib/secret.h"

/*
 * Read a key file, asking for its passphrase. *ret_key: owned by caller. CMD_YES; CMD_UNSURE or CMD_USAGE after a line on
 * stderr.
 */
int auditor_key_read(
    const char *file, struct secret **ret_key, struct auditor *ret_auditor) MUST_CHECK;
/*
 * The one of --auditor-key or $BASTION_AUDITOR_KEY, kept in c, so that its passphrase is asked for once. *ret_key: borrowed;
 * NULL: none was given. As above.
 */
int auditor_key_given(struct cmd_ctx *c, const struct secret **ret_key) MUST_CHECK;

#endif
