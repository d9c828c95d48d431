/* Sealed sessions as bastiond-reader sends them: what the tests of the auditor's side share. */
#ifndef BASTION_TESTS_UNSEAL_RIG_H
#define BASTION_TESTS_UNSEAL_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "tests/unit/store_rig.h"

#define UNSEAL_RIG_FILES 100u  /* file operations of a session */
#define UNSEAL_RIG_EVENTS 133u /* its events, these among them */

/* What a reader sends of one session. */
struct sent {
	struct buf *record;    /* RD_RECORD */
	struct buf *block[16]; /* RD_SEALED, RD_BLOCKS */
	size_t n;
};
void sent_free(struct sent *s);

/* A session that ran a command, touched files and hid a typed line, with enough output for some blocks; committed. */
struct session *unseal_rig_session(struct rig *rig, const char *command);
/* As the reader sends it now, with details. */
void unseal_rig_send(struct rig *rig, const uint8_t *sid, struct sent *ret);
/* Both, of one that has ended. */
void unseal_rig_closed(struct rig *rig, const char *command, struct sent *ret);

#endif
