/*
 * Verifying a bundle. It holds one session and those leaves of the log that are about it; instead of
 * the whole log, each leaf is proven under the signed checkpoint. What is not in a bundle it cannot
 * tell: whether other sessions are still there, and whether more was noted about this one.
 */
#ifndef BASTION_RECORDER_VERIFY_BUNDLE_H
#define BASTION_RECORDER_VERIFY_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"
#include "recorder/verify.h"

#define BUNDLE_LEAVES_MAX 65536u /* leaves of the log in one bundle */

/*
 * The session that a bundle holds. 0; ERR_NOT_FOUND it holds none; ERR_FORMAT more than one, or not
 * readable.
 */
int bundle_sid(struct store_snap *snap, uint8_t ret_sid[REC_SID_LEN]) MUST_CHECK;
/* Whether the text of an audit event speaks of this session in its "session". */
bool bundle_event_is_of(const uint8_t *text, size_t len, const uint8_t sid[REC_SID_LEN]);
/* Whether this leaf belongs into a bundle of the session; an AUDIT leaf does by its text. */
struct mlog_leaf;
bool bundle_leaf_is_of(const struct mlog_leaf *leaf, const uint8_t sid[REC_SID_LEN]);

/*
 * All of it, and nothing besides. Everything as verify_all() has it; conf->checkpoint: not looked
 * at.
 */
int verify_bundle(struct store_snap *snap, const struct verify_conf *conf,
    struct verify_result *ret_result) MUST_CHECK;

#endif
