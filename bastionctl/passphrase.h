/* Passphrases: from the terminal without echo, else a line of standard input. */
#ifndef BASTION_CTL_PASSPHRASE_H
#define BASTION_CTL_PASSPHRASE_H

#include "bastionctl/cmd.h"
#include "lib/secret.h"

#define PASSPHRASE_MAX 1024u /* bytes, as the vault takes them */

/*
 * Ask for one. prompt: shown on a terminal, without the colon. *ret_phrase: a C string, owned by caller.
 * CMD_YES; CMD_USAGE nothing, or too much, was given; CMD_UNSURE; both after a line on stderr.
 */
int passphrase_ask(const char *prompt, struct secret **ret_phrase) MUST_CHECK;
/* The same for a new one: asked twice on a terminal; the two must be the same. */
int passphrase_ask_new(const char *prompt, struct secret **ret_phrase) MUST_CHECK;

#endif
