/*
 * The player of a terminal: a session on a screen of its own, which is drawn as far as the reader's terminal shows it, with a line
 * about where it is, keys, seeking, search, markers, live sessions. Knows nothing of files, terminals and clocks: those are
 * player_ops, so that tests play without any. Nothing of a recording reaches the terminal but through paint.h.
 */
#ifndef BASTION_CTL_PLAYER_H
#define BASTION_CTL_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/rd.h"
#include "lib/err.h"
#include "lib/json.h"
#include "recorder/event.h"

#define PLAYER_SPEED_MIN 0.0625
#define PLAYER_SPEED_MAX 1024.0
#define PLAYER_SHORT_NS 5000000000ull  /* how far an arrow goes */
#define PLAYER_LONG_NS 60000000000ull  /* and a page */
#define PLAYER_IDLE_NS 2000000000ull   /* what i cuts pauses to when no limit was given */
#define PLAYER_SHOT_BYTES (256u << 10) /* of output between pictures that are kept */
#define PLAYER_SHOTS_MAX 128u	       /* pictures kept; then every other one is forgotten */
#define PLAYER_MARKS_MAX 100000u       /* markers, and hits of a search, that are kept */
#define PLAYER_TEXT_MAX (256u << 20)   /* bytes of text that are kept for the next search */
#define PLAYER_TYPED_MAX 128u	       /* bytes of what is typed at a prompt */

/* Below 256: the byte that was typed. */
enum player_key {
	PLAYER_KEY_NONE = 0, /* the time is over */
	PLAYER_KEY_ESCAPE = 27,
	PLAYER_KEY_LEFT = 256,
	PLAYER_KEY_RIGHT,
	PLAYER_KEY_UP,
	PLAYER_KEY_DOWN,
	PLAYER_KEY_PAGE_UP,
	PLAYER_KEY_PAGE_DOWN,
	PLAYER_KEY_HOME,
	PLAYER_KEY_END,
	PLAYER_KEY_OTHER,     /* a key that has no meaning */
	PLAYER_KEY_EVENTS,    /* something can be read */
	PLAYER_KEY_RESIZED,   /* the terminal has another size, or lost what was on it */
	PLAYER_KEY_INTERRUPT, /* control-C: ends what goes on, a search or all of it */
	PLAYER_KEY_GONE	      /* the terminal is gone, or a signal asks to end */
};

struct player_ops {
	/* As rd_next_step() without waiting. */
	int (*next)(void *arg, struct event *ret_ev, struct rd_msg *ret_msg);
	/* As rd_seek(). */
	int (*seek)(void *arg, uint64_t at_ns, uint32_t channel);
	/* Bytes for the terminal. An error ends the player. */
	int (*emit)(void *arg, const void *data, size_t len);
	/* Wait at most max_ns (UINT64_MAX: for ever; 0: look) for a key and, when events, for something to read. A key. */
	int (*wait)(void *arg, uint64_t max_ns, bool events);
	/* The size of the terminal. */
	void (*size)(void *arg, uint32_t *ret_cols, uint32_t *ret_rows);
	uint64_t (*now)(void *arg); /* a clock that does not step */
	/* As rd_look(); the answer comes from next. NULL: there is no index to look in. */
	int (*look)(void *arg, uint32_t channel, bool with_case, const char *text);
};

struct player_conf {
	const struct json_node *session; /* as show; borrowed */
	uint32_t channel;		 /* 0: the one with a terminal, or the first */
	double speed;
	uint64_t idle_limit_ns; /* 0: none */
	uint64_t at_ns;		/* where to begin; UINT64_MAX: at the end, with follow: now */
	bool follow;		/* of a session that runs what comes is shown as it comes */
	bool no_status;		/* no line about where it is */
};

/* How a session that was watched ended; empty strings when it did not, or was not watched. */
struct player_end {
	char reason[64], text[512];
};

/*
 * Play until quit, or with follow until the session is over. The terminal is entered and left by paint_enter and paint_leave, also
 * after an error of next, seek or wait. 0; what an op failed with; -ENOMEM.
 */
int player_run(const struct player_conf *conf, const struct player_ops *ops, void *arg,
    struct player_end *ret_end) MUST_CHECK;

#endif
