/* What a session's client asked the target to listen on, and was allowed: only for that may the target open channels. */
#ifndef BASTION_LISTENS_H
#define BASTION_LISTENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/forward.h"

#define LISTENS_MAX 32u /* of one session at a time */

struct listen_on {
	char *where; /* the address as the client wrote it, or a socket's path; owned */
	bool path;
	uint32_t port; /* 0: one that the target picks, and has not told */
	uint32_t
	    asked; /* number of the request, until it is answered; 0: it was, or nobody wants that */
};

/* All zero at first. */
struct listens {
	struct listen_on *v; /* owned; NULL until something is asked for */
	size_t n;
};

/*
 * asked: number of the request, 0 when its answer is not wanted. The same twice is one, but each port that the target picks is
 * another. 0; ERR_LIMIT; -ENOMEM.
 */
int listens_add(struct listens *l, const struct forward *f, uint32_t asked) MUST_CHECK;
/* The target's answer to that request. port: the one that it picked, 0: it told none (RFC 4254 section 7.1). */
void listens_answered(struct listens *l, uint32_t asked, bool success, uint32_t port);
/*
 * Whether a channel for f may come. The address is not compared: RFC 4254 section 7.2 gives the one that was connected, which
 * need not be written like the one that was asked for. A port that the target picks may be any until it has told which.
 */
bool listens_has(const struct listens *l, const struct forward *f);
/* The client takes it back, by the port that it was told where the target picked it. Whether it was there. */
bool listens_remove(struct listens *l, const struct forward *f);
void listens_done(struct listens *l);

#endif
