/*
 * Replay: events at the pace at which they happened, faster, slower, stopped, from another place. Knows nothing of files,
 * terminals and clocks: those are play_ops. What is shown goes through vt_safe.h, unless raw.
 */
#ifndef BASTION_CTL_PLAY_H
#define BASTION_CTL_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"

#define PLAY_SEEK_NS 5000000000ull /* how far one key press goes */
#define PLAY_SPEED_MIN 0.0625
#define PLAY_SPEED_MAX 1024.0
#define PLAY_TAIL_MAX (1u << 20) /* bytes shown at once after a jump: the last ones before it */

enum play_key {
	PLAY_NONE, /* the time is over */
	PLAY_PAUSE,
	PLAY_STEP, /* show the next event and stay stopped */
	PLAY_FASTER,
	PLAY_SLOWER,
	PLAY_BACK,
	PLAY_ON,
	PLAY_QUIT
};

struct play_ops {
	/* The next event; data borrowed until the next call. 0; ERR_NOT_FOUND at the end; other errors end the replay. */
	int (*next)(void *arg, struct event *ret_ev);
	/* Make next() begin again with an event at or before at_ns. */
	int (*seek)(void *arg, uint64_t at_ns);
	/* Show bytes. An error ends the replay. */
	int (*emit)(void *arg, const uint8_t *data, size_t len);
	/*
	 * Wait at most max_ns (UINT64_MAX: until a key), or look whether there is a key (0). *ret_waited_ns: how long it was. Returns
	 * the key.
	 */
	enum play_key (*wait)(void *arg, uint64_t max_ns, uint64_t *ret_waited_ns);
};

struct play_conf {
	uint32_t channel;	/* whose output is shown */
	double speed;		/* 1: as it was */
	uint64_t idle_limit_ns; /* longer pauses are cut to this; 0: none is cut */
	uint64_t at_ns;		/* begin here: what was before is shown at once */
	bool no_wait;		/* everything at once */
	bool raw;		/* bytes as recorded, nothing taken out */
	bool files; /* it carries files: a line for each operation stands for its bytes */
};

/*
 * Play up to the end, or PLAY_QUIT. Afterwards the terminal is brought back to its usual state where the replay changed it.
 * 0; what an op failed with; -ENOMEM.
 */
int play_run(const struct play_conf *conf, const struct play_ops *ops, void *arg) MUST_CHECK;

#endif
