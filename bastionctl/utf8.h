/* UTF-8, one byte at a time, so that sequences may be cut anywhere between reads. */
#ifndef BASTION_CTL_UTF8_H
#define BASTION_CTL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdu /* stands for bytes that are not UTF-8 */
#define UTF8_BYTES_MAX 4u	 /* of one code point */

/* What was read of a code point so far; all zero: nothing. */
struct utf8 {
	uint32_t cp;
	uint8_t need;	/* bytes that must follow */
	uint8_t seen;	/* bytes read of this sequence */
	uint8_t lo, hi; /* range of the next byte */
};

enum utf8_step {
	UTF8_MORE, /* taken, the sequence goes on */
	UTF8_ONE,  /* taken, *ret_cp is a code point */
	UTF8_BAD,  /* taken, it begins nothing */
	UTF8_BAD_CUT, /* not taken: the sequence before it is cut short; step with the same byte again */
};

/* Overlong forms, surrogates and what is above U+10FFFF are bad; cut as Unicode recommends (maximal subparts). */
enum utf8_step utf8_step(struct utf8 *u, uint8_t byte, uint32_t *ret_cp);
/* Bytes of a code point. dst: UTF8_BYTES_MAX bytes. Returns their number; a surrogate or too large one gives U+FFFD. */
size_t utf8_put(uint8_t *dst, uint32_t cp);
/* Inside a sequence. */
bool utf8_is_partial(const struct utf8 *u);

#endif
