/* What the recorder is told about a recording: masks and typing. */
#ifndef BASTION_POLICY_RECORDING_H
#define BASTION_POLICY_RECORDING_H

#include "lib/buf.h"
#include "lib/err.h"
#include "policy/rules.h"

/* Append REC_META_TYPED, REC_META_MASKS and what belongs to them; nothing for a rule that says nothing. 0; ERR_LIMIT; -ENOMEM. */
int recording_put_meta(struct buf *b, const struct rules_recording *rec) MUST_CHECK;

#endif
