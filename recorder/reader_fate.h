/* What was decided about a session since, for people: held, erased, by whom, when, why. */
#ifndef BASTION_RECORDER_READER_FATE_H
#define BASTION_RECORDER_READER_FATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "recorder/reader.h"

/*
 * Put "erased" and "held" into the session's JSON: null, or {by, at, why}. 0; ERR_FORMAT; ERR_NOT_FOUND its leaf is not
 * there; -errno.
 */
int reader_put_fate(struct reader *rd, const uint8_t sid[REC_SID_LEN], struct json *j) MUST_CHECK;
/* Whether it is erased; then rd->text says so, with the reason. Errors as above. */
int reader_is_erased(
    struct reader *rd, const uint8_t sid[REC_SID_LEN], bool *ret_erased) MUST_CHECK;

#endif
