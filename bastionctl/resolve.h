/* From what somebody typed to the session that is meant, for commands that change something about it. */
#ifndef BASTION_CTL_RESOLVE_H
#define BASTION_CTL_RESOLVE_H

#include <stddef.h>

#include "bastionctl/cmd.h"

/*
 * The whole id of the session that text names, through a reader of the running bastion, which c->broker_fd is connected to
 * then; the sandbox is closed. CMD_YES; other codes after a line on stderr.
 */
int resolve_session(struct cmd_ctx *c, const char *text, char *dst, size_t size) MUST_CHECK;

#endif
