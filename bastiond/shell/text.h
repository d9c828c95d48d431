/* Answers as people read them: JSON in, lines out. Everything that comes from elsewhere is made printable. */
#ifndef BASTION_SHELL_TEXT_H
#define BASTION_SHELL_TEXT_H

#include "bastiond/shell/command.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"

#define TEXT_MAX (48u << 20) /* bytes of an answer */

/*
 * Append what verb's answer says, in lines. out: TEXT_MAX bytes.
 * 0; ERR_FORMAT it is no such answer; ERR_LIMIT; -ENOMEM.
 */
int text_put(enum command_verb verb, const struct json_node *answer, struct buf *out) MUST_CHECK;

#endif
