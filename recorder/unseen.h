/*
 * What of a session is not in its record although it crossed: lines that were typed and hidden, and places that masks took
 * out. Counted from the session's events, so that the counts can be checked against them; in the end part of the record.
 */
#ifndef BASTION_RECORDER_UNSEEN_H
#define BASTION_RECORDER_UNSEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mask_rules.h"
#include "recorder/echo.h"
#include "recorder/event.h"

#define UNSEEN_MASKS_MAX 64u /* rules that are counted */

/* Of a channel, while its events are read: lines since the last one that was shown. */
struct unseen_row {
	uint32_t lines, answered;
	uint8_t why; /* of the last one */
};

struct unseen_mask {
	char name[MASK_NAME_MAX + 1];
	uint64_t places;
};

struct unseen {
	uint32_t lines[VEIL_WHYS];  /* that were hidden, by enum veil_why */
	uint32_t answered;	    /* of these, followed by output as of a command, */
	uint32_t silent_answered;   /* also without any prompt or asterisks */
	uint32_t row, row_answered; /* the most without a line that was shown between them */
	struct unseen_mask *masks;  /* owned */
	uint32_t n_masks;
};

/* Free what it holds, and make it an empty one. */
void unseen_done(struct unseen *u);
/* Take EVENT_HIDDEN, EVENT_SHOWN, EVENT_MASKED or typed LINK_DATA in; row: of its channel. 0; -ENOMEM. */
int unseen_add(struct unseen *u, struct unseen_row *row, const struct event *ev) MUST_CHECK;
/* Nothing was hidden or masked. */
bool unseen_is_empty(const struct unseen *u);
/* All lines that were hidden. */
uint64_t unseen_lines(const struct unseen *u);
/*
 * Somebody may have typed commands where the record does not show them: output as of a command came behind a line that no prompt
 * asked for, or behind two in a row, or there are five and more in a row.
 */
bool unseen_is_suspect(const struct unseen *u);
/*
 * The encoding: u8 n, then n times u8 why, u32 lines (why above 0x80: answered, silent_answered, row, row_answered); u8 m, then m
 * times string name, u64 places. What is 0 is left out. 0; ERR_LIMIT; ERR_FORMAT; -ENOMEM.
 */
int unseen_put(struct buf *b, const struct unseen *u) MUST_CHECK;
int unseen_get(struct buf *b, struct unseen *u) MUST_CHECK;

#endif
