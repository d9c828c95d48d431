/*
 * The verifier: reads a store with nothing but the public key and says what is wrong with it,
 * where, and of which kind. It only reads, trusts no value of the store that a signature does not
 * cover, and never stops at the first finding.
 */
#ifndef BASTION_RECORDER_VERIFY_H
#define BASTION_RECORDER_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/note.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define VERIFY_JOURNAL_MAX (256u << 20)

enum verify_kind {
	VERIFY_FLIPPED = 1, /* bytes that do not fit their digest */
	VERIFY_CUT =
	    2, /* the end is missing: events, blocks or leaves that were signed are not there */
	VERIFY_MISSING = 3,   /* something in the middle is not there */
	VERIFY_REORDERED = 4, /* blocks or events stand in another order than signed */
	VERIFY_METADATA = 5,  /* the session's description was edited */
	VERIFY_DELETED = 6,   /* a session that the log knows is not there */
	VERIFY_OTHER_KEY = 7, /* signed, but not by this key */
	VERIFY_SIGNATURE = 8, /* a signature that does not verify */
	VERIFY_FOREIGN =
	    9, /* something that does not belong here: not in the log, or of another store */
	VERIFY_LOG = 10,  /* the log does not fit its checkpoint, or an older one */
	VERIFY_EXTRA = 11 /* data behind the signed end, or of a session that was erased */
};

/* A session whose events were erased on purpose: that is no damage, and it is said. */
struct verify_erased {
	uint8_t sid[REC_SID_LEN];
	uint64_t leaf; /* that says so */
	uint64_t wall_ns;
	uint8_t how;  /* enum mlog_erase */
	bool damaged; /* it had no end: a stop left it damaged, and it was never closed */
	const uint8_t *
	    text; /* who and why: a JSON object as of mlog.h, borrowed for the call; NULL: unreadable */
	size_t len;
};

struct verify_finding {
	enum verify_kind kind;
	bool in_session; /* sid is meant */
	uint8_t sid[REC_SID_LEN];
	char place[64]; /* "block 3", "event 417", "leaf 12", "checkpoint", "opening" ... */
	char text[256]; /* one sentence for people; ASCII, escaped */
	/* when what is meant was recorded, as far as its header says so; 0: nothing does */
	uint64_t from_wall_ns, to_wall_ns;
};

struct verify_result {
	uint64_t n_sessions; /* looked at */
	uint64_t n_good;     /* of these: nothing found */
	uint64_t n_open; /* of the good ones: still running, checked up to their last signed head */
	uint64_t
	    n_truncated; /* of the good ones: ended by a crash of the recorder, whole up to there */
	uint64_t
	    n_erased; /* of the good ones: erased on purpose, and what stays of them is whole */
	uint64_t
	    n_erased_damaged; /* of the good ones: damaged, never closed, and then erased on purpose */
	uint64_t n_keys;      /* signing keys that followed each other in the log */
	uint64_t n_checkpoints; /* kept elsewhere that were compared */
	uint64_t n_findings;
	uint64_t n_events, raw_bytes; /* of events that were checked */
	uint64_t log_size;	      /* leaves under the checkpoint */
	uint8_t log_root[HASH_LEN];
};

struct verify_conf {
	/*
	 * What to trust: any key of the log; borrowed. From it the succession of keys is followed, and
	 * the keys before it are those that the log has.
	 */
	const struct note_key *key;
	/*
	 * Checkpoint notes kept elsewhere, one or more, one behind the other, or NULL: the log must still
	 * extend each of them.
	 */
	const char *checkpoint;
	size_t checkpoint_len;
	/*
	 * Bytes of the journal that are kept in memory; 0: VERIFY_JOURNAL_MAX. Of a longer one each open
	 * session reads its own.
	 */
	size_t journal_max;
	/* Told of everything that is wrong, as it is found. */
	void (*found)(void *arg, const struct verify_finding *finding);
	/* Told of what was erased on purpose; may be NULL. */
	void (*erased)(void *arg, const struct verify_erased *erased);
	void *arg;
};

/*
 * The whole store: the log under its checkpoint, every session that the log knows, and nothing
 * besides. 0: everything holds; ERR_CHAIN: findings; other: it could not be found out (-errno,
 * -ENOMEM). *ret_result is always filled.
 */
int verify_all(struct store_snap *snap, const struct verify_conf *conf,
    struct verify_result *ret_result) MUST_CHECK;
/* The log, and one session in it. ERR_NOT_FOUND: neither store nor log know it. */
int verify_session(struct store_snap *snap, const struct verify_conf *conf,
    const uint8_t sid[REC_SID_LEN], struct verify_result *ret_result) MUST_CHECK;

/*
 * The log alone, and the key that signs it now. Errors as of verify_all(); *ret_key is untouched
 * then.
 */
int verify_newest_key(struct store_snap *snap, const struct verify_conf *conf,
    struct note_key *ret_key, struct verify_result *ret_result) MUST_CHECK;

/* What whoever finds this kind does about it: one sentence. Static. */
const char *verify_kind_advice(enum verify_kind kind);

/* "flipped", "cut", "deleted" ...: stable names for JSON. Static. */
const char *verify_kind_name(enum verify_kind kind);

#endif
