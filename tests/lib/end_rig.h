/* The other ends of a front's or back's edges, and a clock that a test moves. Everything in one thread: say, turn, hear. */
#ifndef BASTION_TEST_END_RIG_H
#define BASTION_TEST_END_RIG_H

#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "tests/lib/wire_fake.h"

/* Time of timers stands still but for end_rig_later(). */
void end_rig_clock(void);
void end_rig_later(struct loop *l, uint64_t ns);
/* Let the loop do what is possible now. */
void end_rig_turn(struct loop *l);
/* A pair of edges: one to give away, one of ours that has said hello. */
int end_rig_edge(int *ret_ours);
/* Say this on an edge of ours, with a descriptor unless it is -1, and turn. */
void end_rig_say(struct loop *l, int edge, uint16_t type, int fd, const char *shape, ...);
void end_rig_frame(struct loop *l, int edge, uint16_t type, uint32_t id, const char *shape, ...);
/* The next message on an edge of ours is this. */
void end_rig_want(int edge, uint16_t type, const char *shape, ...);
/* The same with the channel; or of any content, which is given back (valid until the next one). */
void end_rig_want_frame(int edge, uint16_t type, uint32_t id, const char *shape, ...);
void end_rig_hear(int edge, uint16_t type, struct ipc_msg *ret_msg);
/* Nothing is there. */
void end_rig_want_quiet(int edge);
/* The other end closed the edge. */
void end_rig_want_gone(int edge);

#endif
