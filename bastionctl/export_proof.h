/* Whether the record that is exported was verified, for exports that say so. */
#ifndef BASTION_CTL_EXPORT_PROOF_H
#define BASTION_CTL_EXPORT_PROOF_H

#include <stdbool.h>

#include "bastionctl/rd.h"
#include "lib/err.h"

struct export_proof {
	struct rd *rd;	 /* owned; NULL: nothing was asked, text says why */
	char key[512];	 /* that the record is verified with */
	char text[1024]; /* the answer, one line */
	bool proven;	 /* the record is whole */
};

/*
 * Have a session verified with the public key of place, before the sandbox closes. id: as given. CMD_YES, then
 * export_proof_done(); CMD_UNSURE after a line on stderr.
 */
int export_proof_ask(struct cmd_ctx *c, const struct rd_place *place, const char *id,
    struct export_proof *ret_proof) MUST_CHECK;
/* Wait for the answer about the session of this id, 32 hex digits. Never fails: text says what is known. */
void export_proof_take(struct export_proof *p, const char *sid);
/* May be called twice, and on one that is all zero. */
void export_proof_done(struct export_proof *p);

#endif
