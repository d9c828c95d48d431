/*
 * Regular expressions of PCRE2 over bytes, bounded in time and memory, that can also answer "perhaps, with more bytes". The
 * only file that includes pcre2.h for policy and recorder.
 */
#ifndef BASTION_PATTERN_H
#define BASTION_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define PATTERN_TEXT_MAX 1024u /* bytes of a pattern */
#define PATTERN_STEPS 400000u  /* of matching in one call, after which it is given up */

struct pattern;

struct pattern_err {
	size_t at; /* byte of the text, from 0 */
	char text[128];
};

/*
 * Compile. There is no machine code: memory that can be written and run is forbidden to all programs here. *ret_pattern: owned
 * by caller. 0; ERR_FORMAT with *ret_err filled: no pattern, too long, or one that matches nothing at all; -ENOMEM.
 */
int pattern_new(
    const char *text, struct pattern **ret_pattern, struct pattern_err *ret_err) MUST_CHECK;
void pattern_free(struct pattern *p); /* NULL is allowed */

enum pattern_answer {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_PERHAPS, /* the end of the bytes came in the middle of what may be a match */
	PATTERN_LIMIT	 /* given up: too many steps */
};
struct pattern_place {
	size_t begin;	 /* where the match begins, */
	size_t from, to; /* and what of it counts: from is behind a \K; PATTERN_YES only */
};

/*
 * The first match at or after start. more: further bytes may follow, so that a match that reaches the end is not yet one.
 */
enum pattern_answer pattern_find(struct pattern *p, const uint8_t *data, size_t len, size_t start,
    bool more, struct pattern_place *ret);
/* The same for one that begins at this place and nowhere else. */
enum pattern_answer pattern_find_at(struct pattern *p, const uint8_t *data, size_t len, size_t at,
    bool more, struct pattern_place *ret);

#endif
