/* Why a login with OIDC ended: a word for the program, a line for the operator's log. The person is told by the word. */
#ifndef BASTION_AUTH_OIDC_WHY_H
#define BASTION_AUTH_OIDC_WHY_H

#include "lib/err.h"

enum oidc_end {
	OIDC_END_NONE,
	OIDC_END_SETUP,	      /* the configuration, or what the provider says of itself, is wrong */
	OIDC_END_UNREACHABLE, /* the provider does not answer, or not in time */
	OIDC_END_PROVIDER,    /* it answers, but what is no answer */
	OIDC_END_REFUSED,     /* it does not want us or this login */
	OIDC_END_DENIED,      /* the person said no, or may not */
	OIDC_END_EXPIRED,     /* nobody said anything in time */
	OIDC_END_TOKEN,	      /* an ID token that proves nothing */
	OIDC_END_OTHER,	      /* it proves somebody else */
	OIDC_END_CONFIRM,     /* the number from the browser was wrong */
	OIDC_END_LIMIT,	      /* too many codes are outstanding, or were asked for */
	OIDC_END_LEFT,	      /* the person is gone */
	OIDC_END_SYSTEM	      /* memory, files */
};

struct oidc_why {
	enum oidc_end end;
	char text[512]; /* one line of printable ASCII */
};

/* Fill why, whose text is made printable and cut to fit, and return err. The first reason stays: call it once. */
int oidc_why(struct oidc_why *why, enum oidc_end end, int err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#endif
