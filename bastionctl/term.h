/*
 * The terminal of the one who looks at a replay: keys without echo and line editing, its size, and its settings back in every end,
 * by a key, a signal or an error.
 */
#ifndef BASTION_CTL_TERM_H
#define BASTION_CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/player.h"
#include "lib/err.h"

struct term;

/* Whether standard input and output are a terminal to draw on. */
bool term_is_here(void);
/*
 * Take the terminal; keys: false: only signals, which end waiting and writing, and waiting itself. *ret_term: owned by caller,
 * term_free(). 0; -ENOMEM; -errno.
 */
int term_new(bool keys, struct term **ret_term) MUST_CHECK;
/* Give it back as it was. NULL is allowed. */
void term_free(struct term *t);
/* As player_ops.wait; fd: to be read from, -1: none. leave, enter: written around a suspension (ctrl-Z), may be "". */
int term_wait(struct term *t, uint64_t max_ns, int fd);
void term_at_stop(struct term *t, const char *leave, const char *enter);
/* All of it. 0; -EINTR: a signal asked to end before; -errno. */
int term_write(struct term *t, const void *data, size_t len) MUST_CHECK;
/* Columns and rows; 80 and 24 where it does not say. */
void term_size(uint32_t *ret_cols, uint32_t *ret_rows);

/*
 * Bytes that were typed, to a key (enum player_key). *used: bytes taken, 0: none is there, or what is there may be the beginning of a
 * sequence and whole is false.
 */
int term_key(const uint8_t *data, size_t len, bool whole, size_t *used);

#endif
