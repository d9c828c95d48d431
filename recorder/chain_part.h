/* What chain.c, session.c and recovery.c know of each other. */
#ifndef BASTION_RECORDER_CHAIN_PART_H
#define BASTION_RECORDER_CHAIN_PART_H

#include <sys/queue.h>

#include "lib/hash.h"
#include "recorder/block.h"
#include "recorder/chain.h"
#include "recorder/crypt.h"
#include "recorder/growing.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "recorder/mlog_write.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/summary.h"
#include "recorder/tree.h"

struct session {
	TAILQ_ENTRY(session) link;
	STAILQ_ENTRY(session) dirty_link;
	struct chain *chain;
	struct sess info; /* the opening; the rest is filled in at the end */
	struct buf *opening;
	struct summary summary;
	uint64_t opened_boot_ns;
	struct tree tree; /* over the headers of sealed blocks */
	uint64_t n_events, last_ns;
	uint64_t raw_bytes, stored_bytes;

	uint8_t *key; /* in the chain's ring; NULL: recovered, and sealed */

	/* the block that is growing */
	struct buf *raw;
	struct hash *hash;	/* salt and raw so far */
	struct hash *envelopes; /* what the journal has of it */
	uint8_t salt[BLOCK_SALT_LEN];
	/* content hash of the first journaled_len bytes, and hash of their envelopes */
	uint8_t partial[HASH_LEN], partial_stored[HASH_LEN];
	/* recovered: the block from the journal's fragments, which is stored as it is */
	struct growing *growing;
	uint64_t first_seq, base_ns;
	uint32_t n_block_events;
	size_t journaled_len; /* bytes of raw that the journal holds (with this transaction) */
	uint32_t journaled_events;
	uint64_t first_commit; /* oldest journal record that holds bytes of this block; 0: none */

	bool dirty;	 /* in the list of those with events for the next commit */
	bool head_stale; /* events since the last signed head */
	bool head_due;	 /* a block was sealed since: the next commit signs it */
};

TAILQ_HEAD(session_list, session);
STAILQ_HEAD(session_dirty, session);

struct chain {
	struct store *store;
	struct signer *signer;
	enum store_durability durability;
	struct mlog log;
	struct block_codec_ctx *codec;
	struct buf *stored;   /* a block as it is stored, while it is written */
	struct buf *journal;  /* the record that is being made */
	struct buf *envelope; /* a fragment as it is encrypted */
	struct hash *peek;
	struct auditors auditors; /* of new sessions */
	struct crypt_ring *keys;
	struct slots *slots;
	/* slots to be overwritten once the transaction is durable; the store has them, too */
	uint64_t *wipe;
	size_t n_wipe;
	bool wiped; /* they are: the store may forget them */
	struct session_list sessions;
	struct session_dirty dirty;
	uint64_t next_commit; /* number of the next journal record, from 1 */
	uint64_t journal_bytes, journal_keep;
	bool pruning;
	bool needless; /* blocks were sealed since records that nothing needs were looked for */
	bool in_txn;
	bool rotating; /* the next commit puts another key in force */
	bool unsynced; /* a power cut may still take the last commit */
	int failed;
	size_t pending;
	uint32_t n_stale;     /* sessions with head_stale */
	bool heads_due;	      /* some have head_due */
	uint64_t heads_at_ns; /* when heads were signed last */
	struct chain_stats stats;
};

/*
 * Begin the transaction unless it is open. All writing goes through these; a failure sticks to the
 * chain.
 */
int chain_txn(struct chain *c) MUST_CHECK;
/* Remember a failure of the store; returns err. */
int chain_fail(struct chain *c, int err);

/* A session without store entries, for session_open() and recovery. NULL: out of memory. */
struct session *session_new(struct chain *c);
void session_free(struct session *s);
/* Put the growing block into the store as block n; nothing to do when it is empty. */
int session_seal(struct session *s, uint64_t wall_ns) MUST_CHECK;
/* The same for a session that is idle: its memory is given back too. */
int session_seal_idle(struct session *s) MUST_CHECK;
/* Append to the journal record what it does not hold yet. */
int session_flush(struct session *s) MUST_CHECK;
/* Sign and store the head as of now; the journal must hold everything. */
int session_sign_head(struct session *s) MUST_CHECK;
/* As session_close(), with the state and the block's time. */
int session_end(struct session *s, enum sess_state state, uint8_t code, const char *text,
    const char *by, uint64_t block_wall_ns) MUST_CHECK;
/*
 * Take up the slots (session.keys) of the store in the open transaction, and overwrite those that a stop kept from being
 * so. 0: c->slots is open, or NULL in a store that has no sessions yet; ERR_KEYS, after a line in the log; -errno.
 */
int keys_start(struct chain *c, const char *dir) MUST_CHECK;
/* Make the slots of a new store, once its uuid is durable. 0; as above. */
int keys_create(struct chain *c, const char *dir) MUST_CHECK;
/*
 * A new session's key, and its record, which keys_put() puts into the open transaction. 0, then seskey_done(); -ENOMEM;
 * -errno: no slot (a full disk), or the chain is dead.
 */
int keys_make(struct session *s, struct seskey *ret_k) MUST_CHECK;
int keys_put(struct session *s, const struct seskey *k) MUST_CHECK;
/* Whether this chain has it: one that is open in the store and that it does not have was left damaged by a stop. */
bool chain_is_running(const struct chain *c, const uint8_t sid[REC_SID_LEN]);
/* Before and after the commit of a transaction: the slots of what it erases. 0; -errno. */
int keys_before_commit(struct chain *c) MUST_CHECK;
int keys_after_commit(struct chain *c) MUST_CHECK;

/* End what an earlier recorder left open, in the open transaction. */
int recovery_run(struct chain *c, struct chain_recovery *ret_recovery) MUST_CHECK;

#endif
