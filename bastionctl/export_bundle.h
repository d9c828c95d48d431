/* A session with everything that proves it, in one file (recorder/store_bundle.h). */
#ifndef BASTION_CTL_EXPORT_BUNDLE_H
#define BASTION_CTL_EXPORT_BUNDLE_H

#include "bastionctl/cmd.h"
#include "lib/err.h"

/*
 * export --format bundle -o FILE: the file is there whole or not at all, and none is overwritten. id: of the session, as
 * the reader takes it. Returns enum cmd_exit after a line on stderr where it is not CMD_YES.
 */
int export_bundle(struct cmd_ctx *c, const char *id) MUST_CHECK;

#endif
