/*
 * The writing half of the log: leaves are added to the open transaction, the checkpoint is signed
 * before its commit.
 */
#ifndef BASTION_RECORDER_MLOG_WRITE_H
#define BASTION_RECORDER_MLOG_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/mlog.h"
#include "recorder/signer.h"
#include "recorder/store_write.h"
#include "recorder/tree.h"

struct mlog {
	struct store *store;   /* borrowed */
	struct signer *signer; /* borrowed */
	char origin[NOTE_NAME_MAX];
	struct tree tree;
	uint64_t n_signed;    /* leaves under the checkpoint that is stored */
	uint64_t key_leaf;    /* index of the KEY leaf of the key in force */
	uint64_t key_wall_ns; /* its time */
	bool is_new;	      /* there was no log before */
};

/*
 * Take up the log of the store in its open transaction; an empty store gets uuid, origin, INIT and
 * KEY. Of two keys that signer has, the one that signed the checkpoint is made the one in force.
 * origin: for an empty store only, NULL: "bastiond/" and 8 hex digits of the uuid. 0;
 * ERR_SIGNATURE the store's log is signed by another key; ERR_CHAIN what is stored of the log does
 * not fit together; -errno.
 */
int mlog_start(
    struct mlog *m, struct store *store, struct signer *signer, const char *origin) MUST_CHECK;
/*
 * Add a leaf of any type; *ret_index: its place, may be NULL. wall_ns is set here. 0; -errno of the
 * store.
 */
int mlog_add(struct mlog *m, const struct mlog_leaf *leaf, uint64_t *ret_index) MUST_CHECK;
/*
 * Add an audit event: its text is stored beside its leaf. 0; ERR_LIMIT more than REC_AUDIT_MAX
 * bytes; -errno.
 */
int mlog_audit(struct mlog *m, const void *text, size_t len) MUST_CHECK;
/*
 * Say that a session's events and key are gone on purpose, or that it is held (or no longer) against
 * that. text: a JSON object as mlog.h has it, stored beside the leaf. Errors as above.
 */
int mlog_erase(struct mlog *m, const uint8_t sid[REC_SID_LEN], enum mlog_erase how,
    const void *text, size_t len) MUST_CHECK;
int mlog_hold(struct mlog *m, const uint8_t sid[REC_SID_LEN], bool held, const void *text,
    size_t len) MUST_CHECK;
/*
 * Add the KEY leaf of the signer's other key, signed by the one in force, and swap them: whatever is
 * signed from here on is signed by the new key. 0; ERR_CRYPTO; -errno.
 */
int mlog_succeed(struct mlog *m) MUST_CHECK;
/* Sign and store the checkpoint when leaves were added since the last. 0; -errno. */
int mlog_checkpoint(struct mlog *m) MUST_CHECK;

#endif
