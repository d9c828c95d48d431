/* Masks: what is taken out of recordings. The rules that everybody may name, and the digest that stands for a choice of rules. */
#ifndef BASTION_MASK_RULES_H
#define BASTION_MASK_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"

#define MASK_NAME_MAX 32u	 /* bytes of a rule's name: a-z, 0-9, - */
#define MASK_DEFAULTS "defaults" /* stands for all rules of the table */
#define MASK_RULES_MAX 48u	 /* rules of one session, with the defaults */

struct mask_rule {
	const char *name;
	const char
	    *text; /* of lib/pattern.h; what is behind a \K is masked, else the whole match */
	const char *
	    starts; /* every match begins with one of these words, however its letters are written; NULL: not known */
};

/* Private keys, tokens of well-known services, passwords in URLs, assignments and commands. Static; *ret_n of them. */
const struct mask_rule *mask_rules_defaults(size_t *ret_n);
/* SHA-256 over name, NUL, text, newline of each. 0; -ENOMEM. */
int mask_rules_hash(const struct mask_rule *rules, size_t n, uint8_t ret_hash[HASH_LEN]) MUST_CHECK;

#endif
