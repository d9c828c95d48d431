/*
 * What somebody can do to a store who may write every byte of it, and more or less of its keys: for the
 * tests of what the verifier makes of that.
 */
#ifndef BASTION_TESTS_TAMPER_FORGER_H
#define BASTION_TESTS_TAMPER_FORGER_H

#include "recorder/signer.h"
#include "tests/unit/store_rig.h"

/* Copies of everything that a store has about a session, or of one database of it. */
struct loot;
struct loot *forger_take(struct store_snap *snap, enum store_db db, const uint8_t *sid);
void forger_put(struct store *store, const struct loot *loot, const uint8_t *sid);
void forger_drop(struct loot *loot);

/* Remove all of db whose keys begin with sid; returns how many. */
unsigned forger_remove(struct store *store, enum store_db db, const uint8_t *sid);
/* Exchange what two sessions have in db. */
void forger_exchange(struct store *store, enum store_db db, const uint8_t *a, const uint8_t *b);
/* Remove the index entries that name a session. */
void forger_unindex(struct store *store, const uint8_t *sid);

/* Change bytes of a leaf (xor 1 at off from its end), or remove it. */
void forger_flip_leaf(struct store *store, uint64_t index, size_t off);
void forger_remove_leaf(struct store *store, uint64_t index);
/* Put the text of an audit event anew, its leaf made to fit. */
void forger_rewrite_audit(struct store *store, uint64_t index, const char *text);
/* The index of the nth leaf (from 0) of a type; of a session unless sid is NULL. */
uint64_t forger_find_leaf(
    struct store_snap *snap, enum mlog_type type, const uint8_t *sid, unsigned nth);

/* Make the tree over the leaves as they are now and sign it with this key. */
void forger_sign_log(struct store *store, const struct signer *key);
/* Sign the succession of a KEY leaf with this key, as if it had been the one before. */
void forger_sign_succession(struct store *store, uint64_t index, const struct signer *key);

/* A file of the rig's folder, whole; owned by caller. */
char *forger_file(const struct rig *rig, const char *name, size_t *ret_len);
void forger_put_file(const struct rig *rig, const char *name, const char *data, size_t len);

#endif
