/*
 * bastiond-auth holds one PAM conversation. It is two processes: this half has the edges and a sandbox, the other one
 * (stack.h) runs the modules, which may do anything, and has nothing but a socket to this half. What comes from there is
 * bounded and cleaned here; however it ends, policy is told once, and nothing that it started is left.
 */
#ifndef BASTION_AUTH_AUTH_H
#define BASTION_AUTH_AUTH_H

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "bastiond/auth/auth_proto.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "lib/sandbox.h"

#define AUTH_LAST_NS                                                                               \
	(2 *                                                                                       \
	    CLOCK_NS_PER_S) /* from the outcome to our end, for a slow end of the stack or a slow reader */

struct auth_fds {
	int broker, policy, talk; /* taken over by auth_init() */
};

struct auth {
	struct loop *loop;
	struct ipc *broker, *policy, *talk, *stack; /* NULL: gone */
	struct loop_timer *timer;		    /* the longest time, then that for ending */
	struct loop_timer *ended_timer;
	pid_t stack_pid; /* 0: it has ended and was collected */
	int stack_status;
	uint8_t stage; /* enum stack_stage */
	char service[64], confdir[PATH_MAX];
	struct buf *order; /* payload of POL_PAM_START; NULL: it has not come */
	bool started;	   /* the stack has its order */
	bool asked;	   /* a question waits for its answer */
	uint32_t n_prompts;
	unsigned n_rounds;
	bool told; /* policy knows the outcome */
	bool over;
};

/*
 * Start the stack's half in a sandbox with these paths (borrowed), then close the sandbox, then listen. a: zero before; end with auth_done(), also on failure.
 * 0; negative.
 */
int auth_init(struct auth *a, const struct auth_fds *fds, const struct sandbox_path *paths,
    size_t n_paths, int (*close_sandbox)(void)) MUST_CHECK;
/* End whatever the stack has left, and forget everything. */
void auth_done(struct auth *a);

/*
 * It is over: policy hears this outcome unless it has heard one; the stack ends, and then the loop. kind: enum pol_pam.
 * said: what PAM or we have to say about it, borrowed; escaped here.
 */
void auth_finish(struct auth *a, uint8_t kind, const char *said);
/* The first half of that: policy hears it unless it has heard one. */
void auth_tell(struct auth *a, uint8_t kind, const char *said);
/* The stack's own outcome, for the rule table of its edge. 0; negative: it is not one. */
int auth_on_result(void *arg, struct ipc_msg *msg);
/* The stack asks, the person answers; likewise. */
int auth_on_ask(void *arg, struct ipc_msg *msg);
int auth_on_answer(void *arg, struct ipc_msg *msg);

/*
 * Text of a module for a person's terminal: UTF-8 with no control characters but line feed and tab, nothing that turns the
 * direction of writing; what is none of it becomes '?', CR LF and CR become a line feed. Cut with "..." to fit, always
 * terminated. size: at least 8. Returns the length.
 */
size_t auth_text(char *dst, size_t size, const void *src, size_t len);

/* SIGKILL for all that this process has started or inherited, until there is none. */
void auth_reap(void);

#endif
