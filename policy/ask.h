/*
 * Verdicts on what is asked for inside a session: channels, requests, global requests, from either side. What is not in the
 * tables of ask.c is denied by its name.
 */
#ifndef BASTION_ASK_H
#define BASTION_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "policy/leg.h"
#include "policy/policy_proto.h"
#include "policy/set.h"

#define ASK_TEXT_SIZE 256u
#define ASK_NAME_SIZE 128u
#define FORCE_SFTP "internal-sftp" /* how certificates say "only sftp" */
#define ASK_FRAME_MAX 36000u	   /* bytes of a replacement */

/* A frame that waits. Borrowed for the call. */
struct ask {
	bool from_back;
	uint16_t type; /* enum link_type */
	const uint8_t *data;
	size_t len;
	uint64_t now_ns; /* wall clock */
};

struct ask_verdict {
	enum pol_verdict verdict;
	char name[ASK_NAME_SIZE]; /* what was asked for: the channel's or request's type, escaped */
	char text[ASK_TEXT_SIZE]; /* for the user and the record; "" when there is nothing to say */
	const struct model_rule
	    *rule; /* that allowed it; NULL: no rule was needed, or it is denied */
};

/*
 * leg: what the target may open because of this is noted there. set: NULL when nothing is in force (everything is denied
 * then). replacement, terms: empty buffers; replacement holds the whole new payload of the frame for POL_REPLACE, terms how
 * what is allowed is read (policy_proto.h; empty: plain; at most POL_TERMS_MAX). 0; -ENOMEM. A frame that does not parse is
 * denied.
 */
int ask_judge(struct leg *leg, const struct set *set, const struct ask *ask,
    struct buf *replacement, struct buf *terms, struct ask_verdict *ret) MUST_CHECK;

/* The same for the bastion's own shell, which no rule is about. leg: one with POL_BACK_SHELL. 0; -ENOMEM. */
int ask_judge_shell(const struct leg *leg, const struct ask *ask, struct buf *replacement,
    struct ask_verdict *ret) MUST_CHECK;

#endif
