/*
 * Everything that the recorder writes: sessions and their trees, the journal, the log, in one
 * transaction at a time. Nothing that is appended here exists until chain_commit() has returned 0.
 * After any failure of the store every call fails: a sync that failed once is never tried again,
 * because the kernel may have dropped what it could not write.
 */
#ifndef BASTION_RECORDER_CHAIN_H
#define BASTION_RECORDER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/auditor.h"
#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/recorder_proto.h"
#include "recorder/signer.h"
#include "recorder/store_write.h"

#define CHAIN_JOURNAL_KEEP (64ull << 20) /* bytes of journal before sessions are made to seal */
#define CHAIN_HEAD_NS 1000000000ull	 /* a session with news gets a signed head this often */

struct chain;
struct session;

struct chain_conf {
	struct store_conf store;
	struct signer *signer; /* borrowed for the life of the chain, which rolls it over */
	const char *origin;    /* of a new log; NULL: made from its uuid */
	uint64_t journal_keep; /* bytes; 0: CHAIN_JOURNAL_KEEP */
	/* new sessions are sealed to them; copied; NULL or none: not sealed */
	const struct auditors *auditors;
};

/* What start-up found. */
struct chain_recovery {
	uint32_t n_truncated; /* sessions that were open and now have their end */
	/* open sessions that do not fit their digests: left as they are, for verify to show */
	uint32_t n_damaged;
};

/*
 * Open or make the store; sessions that were left open are ended as truncated at their last durable
 * event. That much survives a power cut with either durability.
 * 0; ERR_EXISTS another recorder runs; ERR_SIGNATURE signed by another key; ERR_KEYS session.keys is missing or not of
 * this store (the log says which); ERR_CHAIN, ERR_VERSION, ERR_FORMAT; -ENOMEM; -errno.
 */
int chain_open(const struct chain_conf *conf, struct chain **ret_chain,
    struct chain_recovery *ret_recovery) MUST_CHECK;
/*
 * Give up what is not committed and close; what is committed is synced. Sessions still open stay
 * open in the store.
 */
void chain_close(struct chain *c);

/*
 * A new session with its opening record and leaf. meta: copied; see enum rec_meta. 0; ERR_FORMAT,
 * ERR_LIMIT bad metadata; -ENOMEM; -errno.
 */
int session_open(struct chain *c, uint32_t conn, uint32_t leg, const void *meta, size_t meta_len,
    struct session **ret_session) MUST_CHECK;
const uint8_t *session_sid(const struct session *s);
/*
 * Append one event that happens now. data: copied. 0; ERR_LIMIT too long; -ENOMEM (the session
 * should end); -errno.
 */
int session_append(struct session *s, enum event_way way, uint8_t type, uint32_t channel,
    const void *data, size_t len) MUST_CHECK;
/*
 * End it: seals what is left, signs the end digest, adds the closing leaf. The session is gone
 * afterwards, whatever is returned. code: enum link_end. text, by: shortened when too long. 0;
 * -ENOMEM; -errno.
 */
int session_close(struct session *s, uint8_t code, const char *text, const char *by) MUST_CHECK;

/*
 * The key of a session that runs, borrowed until it ends: for REC_WATCH.
 */
const uint8_t *session_key(const struct session *s);
/*
 * Destroy the key of a session that has ended, in the open transaction: its key record becomes SESKEY_ERASED now, its
 * slot is overwritten and synced by the next chain_commit(), before that returns. A stop in between is made good at the
 * next start. 0; ERR_NOT_FOUND; ERR_ERASED it is erased already; ERR_ORDER it runs; ERR_CHAIN the half that its record
 * names is not the one that its opening is about, and nothing was done; -errno.
 */
int session_key_destroy(struct chain *c, const uint8_t sid[REC_SID_LEN]) MUST_CHECK;

/* Add an audit event, one line of JSON. 0; ERR_LIMIT; -errno. */
int chain_audit(struct chain *c, const void *text, size_t len) MUST_CHECK;

/* Bytes of events that no commit holds yet, and whether there is anything to commit at all. */
size_t chain_pending(const struct chain *c);
bool chain_is_dirty(const struct chain *c);
/* Some session's signed head is older than its events. */
bool chain_wants_heads(const struct chain *c);
/*
 * Make everything durable. Signs heads where they are due (all, with heads_now). 0; negative:
 * nothing since the last commit is durable, and the chain is dead.
 */
int chain_commit(struct chain *c, bool heads_now) MUST_CHECK;
/*
 * What was committed survives a power cut too: with durability process the last commit does not
 * until then, with strict this does nothing. 0; negative: the chain is dead, as after a commit.
 */
int chain_sync(struct chain *c) MUST_CHECK;
/*
 * Replace the signing key. The new one is on disk when this returns, signs everything from here on,
 * and is in force with the next commit; when that is safe from a power cut, which it waits for, the
 * old key is wiped. 0; negative: the old key stays in force, unless the chain is dead.
 */
int chain_rotate(struct chain *c) MUST_CHECK;
/*
 * How long the key has been in force, by the wall clock, in ns; UINT64_MAX when the clock stands
 * before that moment.
 */
uint64_t chain_key_age(const struct chain *c);
/* Leaves under the checkpoint of the last commit. */
uint64_t chain_n_signed(const struct chain *c);
/*
 * Append string note, string vkey to out: the checkpoint of the last commit and the key that signed it. Only what a power
 * cut cannot take back any more is worth showing: after chain_sync(). 0; -ENOMEM; ERR_LIMIT; -errno.
 */
int chain_checkpoint(struct chain *c, struct buf *out) MUST_CHECK;
/* The key that the log began with; *ret_is_new: with this start. 0; ERR_CHAIN; -errno. */
int chain_first_key(struct chain *c, struct note_key *ret_key, bool *ret_is_new) MUST_CHECK;
/* 0, or the first error of the store. */
int chain_failed(const struct chain *c);

struct chain_stats {
	uint64_t n_commits, n_events, raw_bytes, stored_bytes;
	uint64_t journal_bytes;
	uint64_t log_size;
	uint32_t n_sessions;
};
/* Counters since the start; the store and the log's origin line, borrowed. */
void chain_stats(const struct chain *c, struct chain_stats *ret_stats);
struct store *chain_store(struct chain *c);
const char *chain_origin(const struct chain *c);

#endif
