/* What a person writes to the bastion's own shell: one line, taken apart. */
#ifndef BASTION_SHELL_COMMAND_H
#define BASTION_SHELL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define COMMAND_LINE_MAX 1024u /* bytes of a line that is looked at */
#define COMMAND_ARG_SIZE 256u  /* bytes of a target with its NUL */
#define COMMAND_TEXT_SIZE 640u /* bytes of what is wrong, with its NUL */

enum command_verb {
	COMMAND_NOTHING, /* an empty line */
	COMMAND_HOSTS,
	COMMAND_WHOAMI,
	COMMAND_EXPLAIN,
	COMMAND_SESSIONS,
	COMMAND_HELP,
	COMMAND_EXIT
};

struct command {
	enum command_verb verb;
	bool json;
	char arg[COMMAND_ARG_SIZE]; /* "" when there is none */
};

/*
 * line: len bytes, as they came. 0; ERR_FORMAT it is none of the commands: ret_text (COMMAND_TEXT_SIZE bytes) then says so in
 * one line of printable ASCII, with the commands that there are and how a host is named.
 */
int command_parse(
    const void *line, size_t len, struct command *ret_command, char *ret_text) MUST_CHECK;
/* What "help" says: lines with newlines. Static. */
const char *command_help(void);

#endif
