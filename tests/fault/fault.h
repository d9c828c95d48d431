/*
 * Make one call of our own objects fail, on purpose: each allocation, each write in turn. Libraries are left alone: the
 * linker's --wrap (FAULT_WRAP) stands before the calls of what is linked in statically.
 */
#ifndef BASTION_TEST_FAULT_H
#define BASTION_TEST_FAULT_H

#include <stdbool.h>

enum fault_kind {
	FAULT_MEMORY =
	    1,		/* malloc calloc realloc reallocarray strdup sodium_malloc: out of memory */
	FAULT_FILE = 2, /* write fsync fchmod rename renameat2: no space left */
	FAULT_SHORT = 4, /* write: half of it, or interrupted before the first byte */
	FAULT_SOCKET = 8 /* socketpair sendmsg recvmsg epoll_ctl: no buffers */
};

/* From now on the nth call (from 1) of these kinds fails, once. */
void fault_arm(unsigned kinds, unsigned nth);
/* Nothing fails any more. Whether the fault was reached. */
bool fault_disarm(void);

/* Inside a run: what is between hold and go (setting up, looking at what came of it) neither fails nor counts. */
void fault_hold(void);
void fault_go(void);

/*
 * Run again and again, with the first, second, ... call failing, until a run reaches no fault. Each run starts from
 * nothing and cleans up after itself (leaks are the sanitizer's to find), and says what came of it: 0 or an error.
 * A fault that was reached need not make the run fail, but the run without one must be 0. Returns the number of faults.
 */
unsigned fault_each(unsigned kinds, int (*run)(void *arg), void *arg);

#endif
