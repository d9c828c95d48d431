/*
 * A store in a folder of its own, filled and damaged by hand: what the tests of the recorder share.
 */
#ifndef BASTION_TESTS_STORE_RIG_H
#define BASTION_TESTS_STORE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/chain.h"
#include "recorder/verify.h"

#define RIG_FINDINGS 64

struct rig {
	char dir[128]; /* of the store */
	char key_path[160];
	struct signer signer;
	struct chain *chain; /* NULL: not open */
	struct chain_recovery recovery;
	uint64_t map_size, journal_keep;
	enum store_durability durability; /* of the next rig_open(); strict at first */
	const struct auditors *auditors;  /* of the next rig_open(); NULL: none */
	const uint8_t *auditor; /* secret key that rig_verify() opens sessions with; NULL: none */
	size_t journal_max;	/* of verify_conf, in rig_verify() */
	/* of the last rig_verify() */
	struct verify_result result;
	struct verify_finding findings[RIG_FINDINGS];
	size_t n_findings;
};

/* For cmocka: *state is a struct rig with its chain open. */
int rig_setup(void **state);
int rig_teardown(void **state);

void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Commit and close in the middle of everything, as a kill would. */
void rig_crash(struct rig *rig);
void rig_commit(struct rig *rig);
/* A session of alice on web1. */
struct session *rig_session(struct rig *rig);
/* n data events out of the back on channel 1, of len bytes that tell their number. */
void rig_data(struct session *s, unsigned n, size_t len);
/* A whole closed session with n events, committed. */
void rig_closed(struct rig *rig, unsigned n, size_t len, uint8_t ret_sid[REC_SID_LEN]);

/* The closed store, writable, in a transaction; rig_untouch() commits and closes it. */
struct store *rig_touch(struct rig *rig);
void rig_untouch(struct store *store);
/* Change one byte (xor) of a value; off counts from its end when negative. */
void rig_flip(struct rig *rig, enum store_db db, const void *key, size_t key_len, int off);

/* Verify all and keep the findings; returns what verify_all() says. */
int rig_verify(struct rig *rig);
int rig_verify_with(struct rig *rig, const struct note_key *key, const char *checkpoint);
/* Some finding is of this kind and its place begins so. */
bool rig_found(const struct rig *rig, enum verify_kind kind, const char *place);
/* A copy of the checkpoint; owned by caller. */
char *rig_checkpoint(struct rig *rig);

/* The metadata of rig_session(); returns its length. */
size_t rig_meta(uint8_t dst[256]);
/* Sessions of the next rig_open() are sealed to one auditor; the static lists are the rig's own. ret_secret: the secret key. */
void rig_seal(struct rig *rig, uint8_t ret_secret[AUDITOR_KEY_LEN]);
/* No file of the folder has these bytes anywhere. */
void rig_no_trace(const char *dir, const void *bytes, size_t len);
/* Remove a folder and the files in it. */
void rig_remove(const char *dir);

#endif
