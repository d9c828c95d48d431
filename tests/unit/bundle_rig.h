/* Bundles as the reader gives them out, and bundles that somebody changed. */
#ifndef BASTION_TESTS_BUNDLE_RIG_H
#define BASTION_TESTS_BUNDLE_RIG_H

#include "recorder/store_bundle.h"
#include "tests/unit/store_rig.h"

/* Write the bundle of a session of the closed store to file. Returns the reader's exit code. */
int bundle_make(struct rig *rig, const uint8_t sid[REC_SID_LEN], const char *file);
/*
 * Copy a bundle, entry by entry. edit: may change what e points at (its memory must last) or say no
 * to leave it out. extra: entries that come in addition, in their order; n_extra of them. The copy
 * has a right digest.
 */
typedef bool (*bundle_edit_fn)(void *arg, struct bundle_entry *e);
void bundle_copy(const char *from, const char *to, bundle_edit_fn edit, void *arg,
    const struct bundle_entry *extra, size_t n_extra);
/* Verify it and keep the findings as rig_verify() does. */
int bundle_verify(struct rig *rig, const struct note_key *key, const char *file);

#endif
