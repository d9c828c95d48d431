/*
 * The terminal of a player as rows: only those that changed are written. Every byte of them goes through vt_safe.h, whoever made
 * them, so that nothing but text, colours and cursor moves gets out.
 */
#ifndef BASTION_CTL_PAINT_H
#define BASTION_CTL_PAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define PAINT_SIDE_MAX 1000u /* columns or rows of a terminal that are used */

struct paint;

/* 0, then paint_free(); -ENOMEM. */
int paint_new(struct paint **ret_paint) MUST_CHECK;
void paint_free(struct paint *p);
/* The terminal has this size, brought into 1..PAINT_SIDE_MAX, and nothing of us is on it. 0; -ENOMEM. */
int paint_size(struct paint *p, uint32_t cols, uint32_t rows) MUST_CHECK;
uint32_t paint_cols(const struct paint *p);
uint32_t paint_rows(const struct paint *p);
/*
 * A row, from 0, as bytes that fill all columns, beginning and ending without colours. Written only when it is not there yet; a row
 * that is not there is nothing. 0; ERR_LIMIT; -ENOMEM.
 */
int paint_row(struct paint *p, uint32_t row, const void *data, size_t len) MUST_CHECK;
/* The same from ASCII text, cut or filled with blanks; reverse: in reverse colours. */
int paint_text(struct paint *p, uint32_t row, const char *text, bool reverse) MUST_CHECK;
/* Where the cursor is to stand; shown: false: hidden. Errors as above. */
int paint_cursor(struct paint *p, uint32_t col, uint32_t row, bool shown) MUST_CHECK;
/* What is to be written, and forget it; borrowed until the next call. */
const uint8_t *paint_take(struct paint *p, size_t *ret_len);

/* What a player says to take over a terminal and to give it back: alternate screen, cursor. */
extern const char paint_enter[];
extern const char paint_leave[];

#endif
