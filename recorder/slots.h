/*
 * session.keys: one random half of each session's key, in a file of fixed slots beside the store. LMDB never overwrites,
 * it writes elsewhere and lets the old page lie; here a half is overwritten where it is, and then it is gone.
 *
 *   head   16 bytes "bastiond-keys-1\n", 16 bytes uuid of the store, 32 zero bytes
 *   slots  32 bytes each, from 64 on: random, made and synced SLOTS_BATCH at a time before any is used; all zero: erased
 *
 * A slot that was given out is never given out again, also not after a start, whatever became of its session.
 */
#ifndef BASTION_RECORDER_SLOTS_H
#define BASTION_RECORDER_SLOTS_H

#include <stdint.h>

#include "lib/err.h"
#include "recorder/crypt.h"

#define SLOTS_NAME "session.keys"
#define SLOTS_HEAD 64u
#define SLOTS_BATCH 256u
#define SLOTS_UUID_LEN 16u

struct slots;

/* Make the file for a store that has none, durably. 0; ERR_EXISTS; -errno. */
int slots_create(const char *dir, const uint8_t uuid[SLOTS_UUID_LEN]) MUST_CHECK;
/*
 * Open it for the one writer, or for reading. 0; -ENOENT not there; ERR_FORMAT no such file, or cut in its head;
 * ERR_SIGNATURE of another store; ERR_VERSION; -ENOMEM; -errno.
 */
int slots_open_write(
    const char *dir, const uint8_t uuid[SLOTS_UUID_LEN], struct slots **ret_slots) MUST_CHECK;
int slots_open_read(
    const char *dir, const uint8_t uuid[SLOTS_UUID_LEN], struct slots **ret_slots) MUST_CHECK;
void slots_close(struct slots *s);

/*
 * A fresh slot, whose half is on disk already. 0; -errno: there is none now (a full disk), and slots_failed() says whether
 * there ever will be again.
 */
int slots_take(struct slots *s, uint64_t *ret_slot, uint8_t ret_half[CRYPT_KEY_LEN]) MUST_CHECK;
/* 0, or how a sync failed: nothing is written any more, and the recorder must stop. */
int slots_failed(const struct slots *s);
/* 0; ERR_ERASED it was overwritten; ERR_NOT_FOUND the file ends before it; -errno. */
int slots_read(struct slots *s, uint64_t slot, uint8_t ret_half[CRYPT_KEY_LEN]) MUST_CHECK;
/* Overwrite n slots in place, and sync. 0 also for those that are erased already; ERR_NOT_FOUND; -errno. */
int slots_erase(struct slots *s, const uint64_t *slot, size_t n) MUST_CHECK;

/* What to say about an error of slots_open_*(): one line without the path, for people. Static. */
const char *slots_why(int err);

#endif
