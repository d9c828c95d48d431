/*
 * Replay into something that is no terminal, or not ours to draw on: output at the pace at which it came, or at once. Knows nothing
 * of files and clocks: those are play_ops. What is shown goes through vt_safe.h, unless raw. The player of a terminal is player.h.
 */
#ifndef BASTION_CTL_PLAY_H
#define BASTION_CTL_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"

#define PLAY_TAIL_MAX                                                                              \
	(1u << 20) /* bytes shown at once before the beginning: the last ones before it */

struct play_ops {
	/*
	 * The next event; data borrowed until the next call. 0; ERR_NOT_FOUND at the end; other errors end the replay. A picture of
	 * the channel's screen is an event that puts it out, with the number of the last event that it has.
	 */
	int (*next)(void *arg, struct event *ret_ev);
	/* Show bytes. An error ends the replay. */
	int (*emit)(void *arg, const uint8_t *data, size_t len);
	/* Wait so long. False: end the replay. */
	bool (*wait)(void *arg, uint64_t ns);
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
 * Play up to the end, or until wait says no. Afterwards a terminal is brought back to its usual state where the replay changed it.
 * 0; what an op failed with; -ENOMEM.
 */
int play_run(const struct play_conf *conf, const struct play_ops *ops, void *arg) MUST_CHECK;

#endif
