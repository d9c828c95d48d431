/*
 * A session as text: its events in, lines out, with when, where and what kind. Each terminal has a screen (screen.h); what
 * was typed is lines as far as editing them can be known; commands and files are a line each.
 */
#ifndef BASTION_RECORDER_RENDER_H
#define BASTION_RECORDER_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/screen.h"

enum render_kind {
	RENDER_SCREEN = 0,  /* output as it was on the screen, or a line of it without one */
	RENDER_TYPED = 1,   /* a line that the client's side sent to a terminal */
	RENDER_COMMAND = 2, /* exec, or the name of a subsystem */
	RENDER_FILE = 3	    /* a file operation: "put /etc/motd", "rename /a /b" */
};
#define RENDER_KINDS 4u
#define RENDER_TERMINALS_MAX 64u /* channels with a screen at once; of more, output is lines only */

/*
 * Cells of these screens together (about 64 bytes each, with the alternate screen): four of the largest, or 64 of 256 by 128. A
 * terminal for which there are none left, or that grows beyond them, is lines only.
 */
#define RENDER_CELLS_MAX (1u << 21)

struct render_line {
	enum render_kind kind;
	uint32_t channel;
	uint64_t at_ns;	     /* since the session was opened: a replay to here shows it */
	const uint8_t *text; /* as in screen.h; borrowed for the call */
	size_t len;
};
/* 0 goes on; anything else ends the call and is returned. */
typedef int (*render_fn)(void *arg, const struct render_line *line);

struct render;
/* fn: NULL: nobody wants lines, only screens. *ret_render: owned by caller, render_free(). 0; -ENOMEM. */
int render_new(render_fn fn, void *arg, struct render **ret_render) MUST_CHECK;
void render_free(struct render *rn);
/* The next event, in order. 0; -ENOMEM; what fn returned. */
int render_event(struct render *rn, const struct event *ev) MUST_CHECK;
/* The end: what is unfinished. Errors as above. */
int render_flush(struct render *rn) MUST_CHECK;

/* The screen of a channel; NULL: it has none. Borrowed until the next event. */
struct screen *render_screen(struct render *rn, uint32_t channel);
/* The same, taken out: owned by caller, screen_free(). */
struct screen *render_take(struct render *rn, uint32_t channel);
/* The channels that have one, in the order of their opening; *ret_n of them; borrowed until the next event. */
const uint32_t *render_terminals(const struct render *rn, size_t *ret_n);
/* Give a channel this size and picture, as a snapshot has them, in place of what it showed. 0; ERR_LIMIT; -ENOMEM. */
int render_restore(struct render *rn, uint32_t channel, uint32_t cols, uint32_t rows,
    const uint8_t *paint, size_t len) MUST_CHECK;

/* "screen", "typed", "command", "file". Static. */
const char *render_kind_name(enum render_kind kind);

#endif
