/* What readers and the writer of derived data share: the session's key. What is in values: derived_value.h. */
#ifndef BASTION_RECORDER_DERIVED_PART_H
#define BASTION_RECORDER_DERIVED_PART_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/chunk.h"
#include "recorder/derived.h"
#include "recorder/derived_value.h"
#include "recorder/store_derived.h"

#define DERIVED_SHOTS_MAX (1u << 20)

/* 0; ERR_SEALED; ERR_ERASED; ERR_NOT_FOUND; -errno. derived_key_done() wipes it. */
int derived_key_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    struct derived_key *ret_key) MUST_CHECK;

#endif
