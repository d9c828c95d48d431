/*
 * Whether what is typed on a terminal is shown there. A state machine over both directions of one channel: it follows the
 * target's output just enough to know the text on the cursor's row, knows prompts that ask for a secret, and compares what
 * was typed with what appears. It decides what may be kept in the record; it does no I/O and has no clock.
 *
 * Each typed piece is one of
 *   kept     nothing secret can be in it: the line is being echoed, or it has control characters only;
 *   veiled   it is not known yet; the run that it is part of is shown or hidden later, in the order of typing;
 *   hidden   a prompt asks for a secret, asterisks come back for keys, or the bastion's own shell said so.
 */
#ifndef BASTION_RECORDER_ECHO_H
#define BASTION_RECORDER_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define ECHO_MEMORY 3072u /* bytes of secret memory that typed text needs while it is undecided */
#define ECHO_RUNS 32u	  /* undecided runs; what is typed beyond them joins the last one */
#define ECHO_HIDE_NS                                                                               \
	10000000000ull /* an ended line that was answered, but not shown, is hidden after this */
#define ECHO_NOISE_NS                                                                              \
	5000000000ull /* output that nobody asked for makes reactions doubtful for so long */
#define ECHO_ANSWER_NS 1000000000ull /* output within this of a key is an answer to it */

/* Why typed bytes are not in the record: the first byte of EVENT_HIDDEN. */
enum veil_why {
	VEIL_PROMPT = 1,   /* a prompt asked for a secret */
	VEIL_FEEDBACK = 2, /* asterisks or bullets came back for keys */
	VEIL_SILENT = 3,   /* its line ended, or the session, and it was never shown */
	VEIL_ASKED = 4,	   /* the bastion's own shell asked for it */
	VEIL_MEMORY = 5,   /* there is no memory for secrets to keep it in until it is decided */
	VEIL_MASKED =
	    6, /* it was shown, and a mask rule takes bytes of it: what follows is the rest */
	VEIL_ANSWERED =
	    7 /* nothing more is hidden: the line that was hidden last was followed by output as of a command */
};
#define VEIL_WHYS 8u /* one more than the last of them */

struct echo;

/* All pointers are borrowed for the call. What these return, if not 0, ends the call and is its result. */
struct echo_sink {
	/* The next n typed bytes may stand in the record. */
	int (*keep)(void *arg, const uint8_t *p, size_t n);
	/*
	 * Something was typed that is of this run (from 1; the first piece of a new run has a number not seen before). The n
	 * bytes at p, mostly none, are more of it than is remembered here: the run's last ones, for the sink to keep closed.
	 */
	int (*veil)(void *arg, uint32_t run, const uint8_t *p, size_t n);
	/* A run is shown: all bytes, the first n of which are at p; the rest was given to veil(). */
	int (*shown)(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all);
	/*
	 * All undecided runs up to this one are hidden; 0: bytes that are typed now are. Once for each line. With VEIL_ANSWERED
	 * run is 0, and the line that was hidden last is meant.
	 */
	int (*hidden)(void *arg, uint32_t run, enum veil_why why);
};

/* sink, arg: borrowed for the life of it. cols, rows: of the terminal, 0: not known. NULL: out of memory. */
struct echo *echo_new(const struct echo_sink *sink, void *arg, uint32_t cols, uint32_t rows);
void echo_free(struct echo *e); /* NULL is allowed */
/*
 * ECHO_MEMORY bytes for what is undecided, borrowed until echo_is_idle(); NULL: there are none, and what would be veiled is
 * hidden. To be called before echo_input() when echo_is_idle().
 */
void echo_lend(struct echo *e, uint8_t *memory);
/* Nothing is undecided: the memory is not needed, and was wiped. */
bool echo_is_idle(const struct echo *e);
/* The terminal has another size. */
void echo_resize(struct echo *e, uint32_t cols, uint32_t rows);

/* What a person typed. now_ns: of any clock that does not go back. 0; what the sink answered. */
int echo_input(struct echo *e, uint64_t now_ns, const uint8_t *p, size_t n) MUST_CHECK;
/*
 * What the target sent. *ret_feedback: bytes at its start that only stand for hidden keys (asterisks, and their erasing) and
 * are not to be recorded. 0; what the sink answered.
 */
int echo_output(
    struct echo *e, uint64_t now_ns, const uint8_t *p, size_t n, size_t *ret_feedback) MUST_CHECK;
/* The bastion's own shell asks for something that it does not show, or no longer does. 0; what the sink answered. */
int echo_ask(struct echo *e, bool hide) MUST_CHECK;
/* Nothing more comes: what is undecided is hidden. 0; what the sink answered. */
int echo_end(struct echo *e) MUST_CHECK;

#endif
