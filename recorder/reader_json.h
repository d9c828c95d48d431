/* A session as JSON: the one place that spells the fields of `sessions list --json` (bastionctl(1)). */
#ifndef BASTION_RECORDER_READER_JSON_H
#define BASTION_RECORDER_READER_JSON_H

#include <stdbool.h>

#include "lib/json.h"
#include "recorder/sess.h"

/*
 * s as an object; detail: also what only `sessions show` tells. Owned by caller. Failures stick to it, as always with
 * lib/json.h.
 */
struct json *reader_session_json(const struct sess *s, bool detail);

#endif
