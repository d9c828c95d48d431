/* What people see: lines and tables in which nothing can act on a terminal. */
#ifndef BASTION_CTL_OUT_H
#define BASTION_CTL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

/* As str_escape(), but backslashes stay single: for whole lines, whose parts may be escaped already. Returns dst. */
char *out_line(char *dst, size_t size, const void *src, size_t len);
/* Text of several lines: line ends and tabs stay, everything else that is not printable ASCII becomes \xHH. */
void out_text(FILE *f, const char *text);

struct out_column {
	const char *title;
	bool right; /* numbers */
	bool cut;   /* may be shortened where the terminal is too narrow */
};

/* Rows are collected, then printed with columns as wide as they must be. Cells are escaped and copied. */
struct out_table;
#define OUT_COLUMNS_MAX 16u
/* columns: borrowed. NULL: out of memory. */
struct out_table *out_table_new(const struct out_column *columns, size_t n_columns);
void out_table_free(struct out_table *t);
/* cells: one a column; NULL is shown as "-". 0; -ENOMEM. */
int out_table_row(struct out_table *t, const char *const *cells) MUST_CHECK;
size_t out_table_rows(const struct out_table *t);
/* width: columns of the terminal; 0: nothing is shortened. */
void out_table_print(const struct out_table *t, FILE *f, size_t width);
/* Columns of the terminal that f is; 0: f is not a terminal. */
size_t out_width(FILE *f);

/* Local time "2026-01-02 03:04:05" for people. wall_ns: since 1970. dst: OUT_TIME_SIZE bytes. Returns dst. */
#define OUT_TIME_SIZE 32
char *out_time(char *dst, size_t size, uint64_t wall_ns);

#endif
