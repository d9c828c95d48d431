/* The terminal of the one who looks at a replay: keys without echo and line editing, and its settings back in every end. */
#ifndef BASTION_CTL_TERM_H
#define BASTION_CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/play.h"
#include "lib/err.h"

struct term;

/*
 * Take the terminal, where standard input and output are one; else there are no keys and waiting is only waiting. cr_lf: recorded
 * output has carriage returns of its own, so the terminal adds none. 0, then term_free(); -ENOMEM; -errno.
 */
int term_new(bool cr_lf, struct term **ret_term) MUST_CHECK;
/* Give it back as it was. NULL is allowed. */
void term_free(struct term *t);
bool term_has_keys(const struct term *t);
/* As play_ops.wait. */
enum play_key term_wait(struct term *t, uint64_t max_ns, uint64_t *ret_waited_ns);

/* Bytes that were typed, to keys; arrows come as ESC [ C. *used: bytes taken, 0: none is there. For term_wait() and tests. */
enum play_key term_key(const uint8_t *data, size_t len, size_t *used);

#endif
