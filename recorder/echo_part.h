/* What the files of the echo machine share: the terminal as far as it is followed, and the prompts. */
#ifndef BASTION_RECORDER_ECHO_PART_H
#define BASTION_RECORDER_ECHO_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_ROWS 64u	 /* rows that are kept; more share a place */
#define SCREEN_COLS 256u /* columns; a longer line is not followed further */
#define SCREEN_PARAMS 8u

/*
 * A cell is one byte: a letter in lower case, and for what is not ASCII a number from 0x80 that is nearly always another for
 * another character. That is enough to find words and to compare.
 */
#define CELL_EMPTY 0u
#define CELL_WIDE 1u /* the right half of a wide character */

struct echo;

enum token_kind {
	TOKEN_NONE,    /* not whole yet */
	TOKEN_PRINT,   /* a character */
	TOKEN_CONTROL, /* C0, DEL */
	TOKEN_ESCAPE,  /* ESC and one character */
	TOKEN_CSI,     /* ESC [ */
	TOKEN_STRING   /* OSC and the like: nothing that is seen */
};

struct token {
	enum token_kind kind;
	uint32_t cp; /* the character, control or final byte */
};

struct screen {
	/* the parser */
	uint8_t state, n_params, utf8_left;
	uint8_t marker; /* of a CSI: '?', '>', ... */
	uint16_t params[SCREEN_PARAMS];
	uint32_t cp;

	/* the terminal */
	uint32_t rows, cols, row, col, saved_row, saved_col;
	uint32_t region_top, region_bottom; /* rows, inclusive */
	uint32_t base;			    /* place of row 0 in cells */
	bool alternate, keypad,
	    paste;	  /* screen, keys, bracketed paste: a program that reads keys set them */
	uint32_t n_modes; /* changes of alternate and keypad */
	uint64_t
	    touched; /* rows that were written to, a bit each (row % SCREEN_ROWS); cleared by others */
	bool wrapped[SCREEN_ROWS]; /* the row goes on where the one before it ended */
	uint8_t cells[SCREEN_ROWS][SCREEN_COLS];
};

/* An empty screen of that size; and another size of it. 0: not known. */
void screen_init(struct screen *s, uint32_t cols, uint32_t rows);
void screen_set_size(struct screen *s, uint32_t cols, uint32_t rows);
/* The next token of n > 0 bytes, without effect. Returns bytes taken, at least 1. */
size_t screen_token(struct screen *s, const uint8_t *p, size_t n, struct token *ret);
/* What the token does. */
void screen_apply(struct screen *s, const struct token *t);
/*
 * What n bytes up to the first one that is not printable ASCII do, outside of escape sequences: the same as screen_token() and
 * screen_apply() for each, many at a time. *ret_bullets: asterisks among them. Returns bytes taken, 0: the next one is a token.
 */
size_t screen_text(struct screen *s, const uint8_t *p, size_t n, size_t *ret_bullets);
/* Whether it leads away from the place behind the last character, so that the row should be looked at before. */
bool screen_leaves(const struct screen *s, const struct token *t);
/* Forget what is shown, for output that is not read whole; modes set in n bytes are taken. */
void screen_skip(struct screen *s, const uint8_t *p, size_t n);
/* Whether the cursor's row was written to. */
bool screen_is_touched(const struct screen *s);
/* The last cells before the cursor, at most max, also of rows that this one goes on from. Returns how many. */
size_t screen_left(const struct screen *s, uint8_t *dst, size_t max);
/* A character as a cell. */
uint8_t screen_fold(uint32_t cp);
bool screen_is_wide(uint32_t cp);
/* A character that is shown in place of a typed one: an asterisk, a bullet. */
bool screen_is_bullet(uint32_t cp);

/* The cells end in a question for a secret. again: one was just typed, so that "Repeat:" is one, too. */
bool prompt_is_secret(const uint8_t *cells, size_t n, bool again);

/* From now on output is read token by token, without screen_text(): the plain way, which the fast one is compared with. */
void echo_read_plainly(struct echo *e);

/* One character of n > 0 bytes of UTF-8: its bytes, and *ret_cp; what is not UTF-8 is one byte and U+FFFD. */
size_t echo_utf8(const uint8_t *p, size_t n, uint32_t *ret_cp);

#endif
