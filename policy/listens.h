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
	uint32_t port; /* 0: one that the target picks */
};

/* All zero at first. */
struct listens {
	struct listen_on *v; /* owned; NULL until something is asked for */
	size_t n;
};

/* The same twice is one. 0; ERR_LIMIT; -ENOMEM. */
int listens_add(struct listens *l, const struct forward *f) MUST_CHECK;
/*
 * Whether a channel for f may come. The address is not compared: RFC 4254 section 7.2 gives the one that was connected, which
 * need not be written like the one that was asked for. A port that the target picked may be any.
 */
bool listens_has(const struct listens *l, const struct forward *f);
/*
 * The client takes it back. Whether it was there. One whose port the target picked is taken back by that port, which nobody
 * told us: it stays.
 */
bool listens_remove(struct listens *l, const struct forward *f);
void listens_done(struct listens *l);

#endif
