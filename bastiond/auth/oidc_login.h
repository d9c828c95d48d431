/*
 * One login with OIDC, from the first request to a proved identity. Who it is shown to, and how, is somebody else's: oidc_pam.c for
 * PAM, a test for tests.
 */
#ifndef BASTION_AUTH_OIDC_LOGIN_H
#define BASTION_AUTH_OIDC_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "bastiond/auth/oidc_claims.h"
#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"

#define OIDC_SUBJECT_SIZE (OIDC_URL_SIZE + 256u)
#define OIDC_ALIVE_S 5u /* while nothing happens, the person is looked for at least so often */

struct oidc_talk {
	void *arg;
	/* Show lines of text (UTF-8, a line feed between them). 0; ERR_PEER_GONE. */
	int (*say)(void *arg, const char *text);
	/* Ask for a line, shown while it is typed. ret_answer: size bytes. 0; ERR_PEER_GONE. */
	int (*ask)(void *arg, const char *prompt, char *ret_answer, size_t size);
	/* Is the person there? Shows nothing. 0; ERR_PEER_GONE. */
	int (*alive)(void *arg);
	/* A line for the operator; warn: it needs a look. */
	void (*log)(void *arg, bool warn, const char *text);
};

struct oidc_ask {
	const char *person; /* who they say they are */
	const char *source; /* address they come from; "": this machine */
	const char *host;   /* what they want to reach; "": unknown */
	bool any;	    /* whoever the provider names is who they are */
	bool qr;
};

struct oidc_person {
	char name[OIDC_NAME_SIZE];
	char groups[OIDC_GROUPS_SIZE]; /* commas between them */
	char subject[OIDC_SUBJECT_SIZE];
};

/*
 * conf: from oidc_conf_read(). Takes as long as the person, at most OIDC_EXPIRES_MAX_S and a few requests. ret_person: only for 0.
 * 0; anything else with why: denied.
 */
int oidc_login(const struct oidc_conf *conf, const struct oidc_ask *ask,
    const struct oidc_talk *talk, struct oidc_person *ret_person, struct oidc_why *why) MUST_CHECK;

/* What the person is told about an end; it names nobody and no cause that only the operator should know. Borrowed, static. */
const char *oidc_end_text(enum oidc_end end);

#endif
