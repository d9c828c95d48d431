/* What verify.c (the log) and verify_session.c (one session) share. */
#ifndef BASTION_RECORDER_VERIFY_PART_H
#define BASTION_RECORDER_VERIFY_PART_H

#include "recorder/block.h"
#include "recorder/mlog.h"
#include "recorder/sess.h"
#include "recorder/verify.h"

/* What the log says about one session. */
struct verify_known {
	uint8_t sid[REC_SID_LEN];
	uint64_t open_leaf, close_leaf;
	bool closed;
	uint8_t open_hash[HASH_LEN];
	struct mlog_leaf close;
};

struct verify {
	struct store_snap *snap;
	const struct verify_conf *conf;
	struct verify_result result;
	struct block_codec_ctx *codec;
	struct buf *raw; /* one block's events */
	bool has_other;	 /* the store itself speaks of another key */
	uint8_t other[NOTE_KEY_LEN];
	struct verify_known *known; /* sorted by sid once the log was read */
	size_t n_known, size_known;
	uint64_t txn; /* of the snapshot that the log was read from */
};

/* Report a finding. sid: NULL when it is about the log. place and fmt: short; text is cut. */
void verify_found(struct verify *v, enum verify_kind kind, const uint8_t *sid, const char *place,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* What it means that bytes with this signature were not signed by the trusted key. */
enum verify_kind verify_blame(
    const struct verify *v, const uint8_t *signed_bytes, size_t len, const uint8_t *sig);
/* All of one session that the log knows. 0, findings reported; -ENOMEM; -errno. */
int verify_known_session(struct verify *v, const struct verify_known *known) MUST_CHECK;

#endif
