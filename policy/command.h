/*
 * What an exec request asks for. scp and rsync are recognised only when the whole command has the exact form that their
 * clients send and no shell on the target could read anything else in it; all other commands are commands.
 */
#ifndef BASTION_COMMAND_H
#define BASTION_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define COMMAND_PATTERN_MAX 512u  /* bytes of a pattern */
#define COMMAND_MATCHED_MAX 4096u /* bytes; a longer command fits no pattern */

enum command_kind {
	COMMAND_OTHER,
	COMMAND_SCP,   /* scp -t or -f: the old protocol of scp */
	COMMAND_RSYNC, /* rsync --server */
	COMMAND_MOSH   /* mosh-server: speaks UDP, past the bastion */
};

/* What a command line is about to do; COMMAND_OTHER when it does not say so plainly. */
enum command_kind command_classify(const char *command);

/*
 * Whether an exec pattern holds a command. Everything in a pattern stands for itself but: "?" one plain character, "*" any
 * number of plain characters, "**" the same with "/". Plain characters are letters, digits, _ . : @ % + = , - and bytes
 * over 127; never two dots in a row, never a dash at the start of a word. So a wildcard cannot be filled with an option, with
 * another directory's path, or with anything that a shell acts on.
 */
bool command_matches(const char *pattern, const char *command);
/* 0; ERR_FORMAT: a pattern with control characters, or empty; ERR_LIMIT: too long. */
int command_pattern_check(const char *pattern) MUST_CHECK;

#endif
