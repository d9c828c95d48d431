/* What the files of the player share. */
#ifndef BASTION_CTL_PLAYER_PART_H
#define BASTION_CTL_PLAYER_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/paint.h"
#include "bastionctl/player.h"
#include "lib/buf.h"
#include "recorder/screen.h"

/* A picture of the screen, to come back to. */
struct player_shot {
	uint64_t seq; /* of the last event that it has */
	uint64_t at_ns;
	uint32_t cols, rows;
	bool exact;	   /* made from the session's start or from a picture that was */
	struct buf *paint; /* owned */
};

enum player_mark_kind { PLAYER_MARK_EVENT, PLAYER_MARK_HIT };

/* A place worth going to. */
struct player_mark {
	uint64_t at_ns;
	size_t nth; /* in the order in which they were told */
	char *text; /* escaped; owned */
};
struct player_marks {
	struct player_mark *list;
	size_t n, room;
	bool cut; /* there were more */
};

/* What the channel's screen showed, rendered once: chunk.h's encoding, in order. */
struct player_text {
	struct buf **chunks; /* owned */
	size_t n, room, bytes;
	bool whole; /* all of it is here */
	bool over;  /* it is more than is kept */
};

enum player_overlay { PLAYER_OVERLAY_NONE, PLAYER_OVERLAY_HELP, PLAYER_OVERLAY_MARKS };

struct player {
	const struct player_conf *conf;
	const struct player_ops *ops;
	void *arg;
	struct player_end *end;
	bool quit;

	/* what is shown */
	uint32_t channel;
	bool pty, files;	       /* the channel has a terminal; carries files */
	uint32_t base_cols, base_rows; /* of the terminal at its start */
	struct screen *screen;
	uint64_t seq;	 /* of the last event in it */
	uint64_t seq_ns; /* its time */
	bool exact;	 /* nothing that it should show is missing */
	bool last_cr;	 /* of a channel without a terminal: the last byte was a carriage return */
	struct player_shot shots[PLAYER_SHOTS_MAX];
	size_t n_shots;
	uint64_t shot_bytes; /* fed since the last one */

	/* reading */
	bool have; /* ev is the next event */
	struct event ev;
	bool awaiting;		  /* a seek was asked for and nothing of it has come */
	struct player_shot offer; /* the picture that came for it; paint NULL: none */
	bool ended;		  /* the reader has no more */

	/* time */
	uint64_t pos_ns;  /* where in the recording we are */
	uint64_t real_ns; /* the clock when pos_ns was right */
	uint64_t total_ns;
	double speed;
	bool paused, live, step;
	bool jumping; /* towards jump_ns, without waiting */
	uint64_t jump_ns;
	bool walking; /* by reading on; until this moment of the clock, then the reader is asked */
	uint64_t walk_until_ns;
	uint64_t idle_ns; /* limit; 0: none */

	/* drawing */
	struct paint *paint;
	uint64_t drawn_ns; /* the clock when it was */
	bool dirty;
	uint32_t off_col, off_row; /* of the part of a large screen that is shown */
	char message[256];
	uint64_t message_until_ns; /* of the clock; 0: none */
	char prompt;		   /* '/', ':' or 0 */
	char typed[PLAYER_TYPED_MAX];
	size_t n_typed;
	enum player_overlay overlay;
	size_t overlay_at; /* the marked line */

	/* places */
	struct player_marks marks, hits;
	char pattern[PLAYER_TYPED_MAX];
	uint64_t looked_ns; /* the clock when a search last looked at the keys */
	bool marked;	/* marks are all that there are, or were when the session was looked at */
	bool found;	/* so are hits, of pattern */
	bool unindexed; /* the reader has no index of the session */
	struct player_text text;
};

/* player.c */
/* Go to at_ns; nothing is waited for on the way. 0; -errno. */
int player_goto(struct player *p, uint64_t at_ns) MUST_CHECK;
/* Show another channel, from its screen at this moment. */
int player_set_channel(struct player *p, uint32_t channel) MUST_CHECK;
/* Go on reading where the screen is, after the reader was somewhere else. */
int player_resume(struct player *p) MUST_CHECK;
/* One line for a few seconds. */
void player_say(struct player *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* player_shots.c */
void player_shot_done(struct player_shot *s);
/* Keep a picture of the screen as it is, where it is time for one. 0; -ENOMEM. */
int player_keep_shot(struct player *p) MUST_CHECK;
void player_forget_shots(struct player *p);
/* The best picture at or before at_ns from which the events behind seq_before go on (its seq is not less); NULL: none. */
const struct player_shot *player_find_shot(
    const struct player *p, uint64_t at_ns, uint64_t seq_before);
/* The screen becomes this picture. 0; -ENOMEM; ERR_LIMIT. */
int player_restore_shot(struct player *p, const struct player_shot *s) MUST_CHECK;
/* An empty screen, of which the events behind seq are fed. */
int player_blank(struct player *p, uint64_t seq) MUST_CHECK;
/* Whether an event changes what is shown; and that change. */
bool player_draws(const struct player *p, const struct event *ev);
int player_feed(struct player *p, const struct event *ev) MUST_CHECK;

/* player_show.c */
/* Draw what changed. 0; what emit failed with; -ENOMEM. */
int player_draw(struct player *p) MUST_CHECK;
/* "0:01:23". Returns dst. */
#define PLAYER_TIME_SIZE 32
char *player_time(char *dst, uint64_t ns);
/* Rows of an overlay that the terminal shows at once. */
size_t player_page(const struct player *p);
size_t player_help_lines(void);

/* player_keys.c */
int player_key(struct player *p, int key) MUST_CHECK;

/* player_find.c */
/*
 * Find every line that the channel's screen showed with the pattern in it: in the index, in the text that is kept, or by reading
 * everything. p->found: that was done; else a key ended it. 0; errors of next, seek, look, emit; -ENOMEM.
 */
int player_find(struct player *p) MUST_CHECK;
void player_text_done(struct player_text *t);
/* A searcher for the pattern: it borrows q, which borrows the pattern. 0; -ENOMEM. */
struct search;
struct search_query;
int player_search_new(
    struct player *p, struct search_query *ret_q, struct search **ret_search) MUST_CHECK;
/* The chunk is over: its hits are noted, its text is kept, and it is empty again. 0; -ENOMEM. */
struct chunk;
int player_take_chunk(struct player *p, struct search *search, struct chunk *c) MUST_CHECK;
/* The hits are all there are: put them in order. */
void player_found(struct player *p);

/* player_scan.c */
/*
 * Read everything: all markers, and with hits those and the text, too. p->marked, p->found: that was done; else a key ended it. 0;
 * errors of next, seek, emit; -ENOMEM.
 */
int player_scan(struct player *p, bool hits) MUST_CHECK;
/* Read on where it was before somebody read elsewhere. Errors as above. */
int player_scan_back(struct player *p) MUST_CHECK;
/*
 * Now and then say what is looked at, and take a key, which ends it: *ret_over. wait: nothing can be read now. Errors of emit;
 * -ENOMEM.
 */
int player_scan_look(struct player *p, bool wait, bool *ret_over, const char *fmt, ...)
    PRINTF_LIKE(4, 5) MUST_CHECK;
int player_marks_add(
    struct player_marks *m, uint64_t at_ns, const void *text, size_t len) MUST_CHECK;
void player_marks_sort(struct player_marks *m);
void player_marks_done(struct player_marks *m);
/* The nearest of them behind (forward) or before at_ns; NULL: none. */
const struct player_mark *player_marks_from(
    const struct player_marks *m, uint64_t at_ns, bool forward);

#endif
