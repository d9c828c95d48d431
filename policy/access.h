/*
 * From a name and what a credential proves to one answer: who, as whom, where, or why not. Login, the verdicts on channels and
 * "bastionctl policy explain" all end here.
 */
#ifndef BASTION_ACCESS_H
#define BASTION_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net.h"
#include "policy/model.h"
#include "policy/names.h"
#include "policy/rules.h"

#define ACCESS_LINE_SIZE 640u

enum access_outcome {
	ACCESS_DENIED,	/* reason says why; the person learns nothing */
	ACCESS_ALLOWED, /* user, login, host, port, rule, rights */
	ACCESS_MFA,	/* the same, as soon as a second method has succeeded; not before */
	ACCESS_NO_HOST, /* a proved person named no host: user only */
	ACCESS_SAY /* a proved person who is told a line: how the name is spelled, or which logins there are */
};

/* Who asks, from where, when. Borrowed. */
struct access_person {
	const struct model_user *const *users; /* whom the credential proves */
	size_t n_users;
	const char *const *principals; /* of the certificate */
	size_t n_principals;
	struct net_addr source;
	uint64_t now_ns;
	bool mfa; /* two different methods have succeeded */
};

struct access {
	enum access_outcome outcome;
	const char *reason; /* a word for audit events; static; NULL when nothing is wrong */
	const struct model_user
	    *user; /* NULL until it is clear who; borrowed from the model, like those below */
	const struct model_host *host;
	const struct model_rule *rule; /* that allowed it, or the deny rule that decided */
	char login[NAMES_FIELD_SIZE];
	char host_name[NAMES_FIELD_SIZE]; /* as in the inventory, or as typed for a pattern */
	uint16_t port;
	unsigned rights; /* everything that is allowed there and now */
	bool mfa;	 /* one of the rules that give them asks for a second factor */
	struct rules_recording recording; /* what is masked, and whether typing is kept */
	bool keep; /* content of files that are transferred is kept; else its hash */
	char line
	    [ACCESS_LINE_SIZE]; /* ACCESS_SAY: for the person; else "" or a hint for the audit event */
};

/* claim: the user name of the login request, len bytes. */
void access_decide(const struct model *m, const void *claim, size_t len,
    const struct access_person *who, struct access *ret);
/*
 * The part behind the name: user (one of who's) wants login (NULL: whichever is theirs) on host_name (lower case), at port (0: the
 * usual one). ret->user is set.
 */
void access_target(const struct model *m, const struct model_user *user, const char *login,
    const char *host_name, uint16_t port, const struct access_person *who, struct access *ret);
/*
 * Whether the person (one of who's) has any login at all on this host at this port and moment, with a second factor if need be. NULL: yes; else why not: a word for
 * audit events, static. host_name: as the rules see it.
 */
const char *access_unreachable(const struct model *m, const struct model_user *user,
    const struct model_host *host, const char *host_name, uint16_t port,
    const struct access_person *who);
#define ACCESS_LOGINS_MAX 17u
struct access_login {
	const char *login; /* "*": any; borrowed from the model */
	unsigned rights;   /* there and now, with a second factor if need be */
};
/*
 * The logins that this person has on this host at this moment, the one of their own name first. ret: ACCESS_LOGINS_MAX entries; what
 * is beyond is left out. Returns how many there are.
 */
size_t access_logins(const struct model *m, const struct model_user *user,
    const struct model_host *host, const char *host_name, const struct access_person *who,
    struct access_login *ret);
/* The question of this situation, for the rules. The answer borrows from its arguments. */
struct rules_question access_question(const struct model_user *user, const char *login,
    const struct model_host *host, const char *host_name, const struct access_person *who);

#endif
