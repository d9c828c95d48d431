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
	unsigned rights; /* enum model_right: one of them is enough; 0: is there anything at all? */
	const char *command; /* for MODEL_EXEC: held against exec patterns; NULL: not known yet */
};

/* What became of a rule; the first thing that did not fit. */
enum rules_why {
	RULES_FITS,
	RULES_WHO,
	RULES_SOURCE,
	RULES_WHERE,
	RULES_AS,
	RULES_WHEN,
	RULES_MAY,
	RULES_COMMAND
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

#endif
