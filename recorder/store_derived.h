/*
 * The file of derived data (derived.h): one LMDB environment, one table. Values belong to a session and are of a kind and
 * numbered. What is in them, and whether it is believed, is derived.c's.
 */
#ifndef BASTION_RECORDER_STORE_DERIVED_H
#define BASTION_RECORDER_STORE_DERIVED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/recorder_proto.h"

#define SDERIVED_FORMAT 1u

enum sderived_kind {
	SDERIVED_INFO = 0, /* number 0: the session is rendered whole */
	SDERIVED_CHUNK = 1,
	SDERIVED_FILTER = 2, /* of the chunk of this number */
	SDERIVED_SHOT = 3,
	SDERIVED_KINDS
};

struct sderived;
/* 0; ERR_NOT_FOUND there is none; ERR_VERSION; -errno. */
int sderived_open_read(const char *dir, struct sderived **ret_d) MUST_CHECK;
/*
 * Open for the one writer, or make it; one that cannot be read or is of another version is removed and made anew. 0; ERR_EXISTS
 * another writer has it; -errno.
 */
int sderived_open_write(const char *dir, struct sderived **ret_d) MUST_CHECK;
void sderived_close(struct sderived *d);

/*
 * Begin a look, or a change (of a writer): everything below happens inside of one, and values are borrowed until its end.
 * sderived_commit() keeps a change, sderived_abort() does not; both end it. 0; ERR_ORDER; ERR_LIMIT; -errno.
 */
int sderived_begin(struct sderived *d) MUST_CHECK;
int sderived_commit(struct sderived *d) MUST_CHECK;
void sderived_abort(struct sderived *d);

/* 0; ERR_NOT_FOUND; -errno. */
int sderived_get(struct sderived *d, const uint8_t sid[REC_SID_LEN], enum sderived_kind kind,
    uint32_t number, const uint8_t **ret_p, size_t *ret_len) MUST_CHECK;
/* 0; -ENOSPC; -errno. */
int sderived_put(struct sderived *d, const uint8_t sid[REC_SID_LEN], enum sderived_kind kind,
    uint32_t number, const void *p, size_t len) MUST_CHECK;
/* Remove all of a session. 0, also when there is nothing; -errno. */
int sderived_del(struct sderived *d, const uint8_t sid[REC_SID_LEN]) MUST_CHECK;
/* The first session at or behind from. 0; ERR_NOT_FOUND; -errno. */
int sderived_next(
    struct sderived *d, const uint8_t from[REC_SID_LEN], uint8_t ret_sid[REC_SID_LEN]) MUST_CHECK;
/* Bytes of the file that are in use. 0; -errno. */
int sderived_bytes(struct sderived *d, uint64_t *ret_bytes) MUST_CHECK;

#endif
