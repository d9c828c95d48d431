/*
 * The one decision: may this person, with this login, on this host, from this source, now, do this? Any deny rule that
 * matches wins, else any allow rule that matches, else no.
 */
#ifndef BASTION_RULES_H
#define BASTION_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net.h"
#include "policy/model.h"

struct rules_question {
	const struct model_user *user;
	const char *const *principals; /* proved by the credential; for who.principals */
	size_t n_principals;
	const struct model_host *host;
	const char *host_name; /* as typed, lower case; what patterns are held against */
	const char *login;     /* NULL: any, to see which logins there are */
	struct net_addr source;
	uint64_t now_ns; /* wall clock */
	bool mfa;	 /* two different methods have succeeded: rules that ask for that fit */
	unsigned rights; /* enum model_right: one of them is enough; 0: is there anything at all? */
	const char *command; /* for MODEL_EXEC: held against exec patterns; NULL: not known yet */
	/* for MODEL_FORWARD and MODEL_REMOTE_FORWARD: held against their patterns; NULL: not known yet */
	const struct forward *forward;
};

/* What became of a rule; the first thing that did not fit. */
enum rules_why {
	RULES_FITS,
	RULES_WHO,
	RULES_SOURCE,
	RULES_WHERE,
	RULES_AS,
	RULES_WHEN,
	RULES_MFA,
	RULES_MAY,
	RULES_COMMAND,
	RULES_FORWARD,
	RULES_REMOTE_FORWARD
};

/* Whether one rule, allow or deny, fits the question. */
enum rules_why rules_fit(const struct model_rule *rule, const struct rules_question *q);
/* "who: not one of these people" ...: for explanations; static. */
const char *rules_why_text(enum rules_why why);

/*
 * true: allowed by *ret_rule. false: *ret_rule is the deny rule that decided, or NULL when no rule allows it. ret_rights (may be
 * NULL): everything that is allowed in this situation, whatever rights the question asks for.
 */
bool rules_decide(const struct model *m, const struct rules_question *q,
    const struct model_rule **ret_rule, unsigned *ret_rights);

/*
 * Whether a rule that asks for a second factor gives something here, once there is one (q->mfa). Then nothing is given before: a wide
 * rule without a second factor must not quietly take the place of a narrow one with it. Afterwards all rules that fit count.
 */
bool rules_mfa(const struct model *m, const struct rules_question *q);

#define RULES_LIMITS_MAX 256u

/* What a right is limited to when several rules give it. Strings are borrowed from the model. */
struct rules_limits {
	bool any;			 /* one of the rules has no limit: n is 0 */
	bool more;			 /* than fit */
	const char *v[RULES_LIMITS_MAX]; /* each once; of paths only the outermost */
	size_t n;
};

/* right: one bit, whether it is denied or not; the question's own rights, command and forward are not looked at. */
void rules_limits(const struct model *m, const struct rules_question *q, unsigned right,
    struct rules_limits *ret);
/* The same for the deny rules that fit: what they take of the right; any: all of it. */
void rules_taken(const struct model *m, const struct rules_question *q, unsigned right,
    struct rules_limits *ret);
/* What the rules that fit say of the recording together; model: theirs, borrowed. */
struct rules_recording {
	const struct model *model;
	bool keep_typed;
	uint64_t masks;
};
void rules_recording(
    const struct model *m, const struct rules_question *q, struct rules_recording *ret);
/* Whether one of the rules that give one of these rights keeps the content of files. */
bool rules_keep(const struct model *m, const struct rules_question *q, unsigned rights);

#endif
