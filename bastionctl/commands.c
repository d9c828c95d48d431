/* The table of all commands: one line each, in the order of help. */
#include "config.h"

#include "bastionctl/cmd.h"

const struct cmd *const cmd_table[] = {
	&cmd_sessions_kill,
	&cmd_help,
	NULL,
};
