/*
 * Where rules of masks may match at all: the places of the letters that they begin with, for all rules in one pass, so that
 * patterns are only tried there.
 */
#ifndef BASTION_RECORDER_MASK_SCAN_H
#define BASTION_RECORDER_MASK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define MASK_SCAN_RULES 64u /* rules of one scan, from 0 */
#define MASK_SCAN_WORDS 64u /* words of all of them */
#define MASK_SCAN_MIN 3u    /* bytes that a beginning has at least */

struct mask_scan;
struct mask_scan *mask_scan_new(void);	  /* NULL: out of memory */
void mask_scan_free(struct mask_scan *m); /* NULL is allowed */
/*
 * starts: words with spaces between, borrowed for the life of m; each match of the rule begins with one of them, in capitals or
 * small letters. 0; ERR_FORMAT: one is too short; ERR_LIMIT: too many.
 */
int mask_scan_add(struct mask_scan *m, size_t rule, const char *starts) MUST_CHECK;
/*
 * The first places from a place on where rules may begin. rules: a bit for each that is asked for; first: of each of these, n when
 * there is none. more: further bytes may follow, so that the beginning of a word at the end counts.
 */
void mask_scan_first(const struct mask_scan *m, uint64_t rules, const uint8_t *p, size_t n,
    size_t from, bool more, size_t first[MASK_SCAN_RULES]);

#endif
