/*
 * What verify.c (the log), verify_keys.c (its keys and checkpoints), verify_fate.c (what was erased), verify_session.c
 * (one session) and verify_journal.c (what the journal has of those that are open) share.
 */
#ifndef BASTION_RECORDER_VERIFY_PART_H
#define BASTION_RECORDER_VERIFY_PART_H

#include "lib/secret.h"
#include "recorder/block.h"
#include "recorder/growing.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "recorder/mlog.h"
#include "recorder/sess.h"
#include "recorder/verify.h"

/* What the log says about one session. */
struct verify_known {
	uint8_t sid[REC_SID_LEN];
	uint64_t open_leaf, close_leaf;
	uint64_t erase_leaf; /* when erased */
	uint64_t erase_wall_ns;
	uint8_t erase_how;
	bool closed, erased, held;
	uint8_t open_hash[HASH_LEN];
	struct mlog_leaf close;
};

/*
 * Where the sessions are in known, by id, while the log is read. Ids of a store that somebody made can be chosen: places hang
 * on a key that only this run has.
 */
struct verify_map {
	uint8_t key[16];
	size_t *at; /* places in known, plus 1; owned */
	size_t size;
	uint64_t n_steps; /* places that were passed by */
};
void verify_map_init(struct verify_map *m);
void verify_map_done(struct verify_map *m);
/* The last of n_known is new. 0; -ENOMEM. */
int verify_map_add(
    struct verify_map *m, const struct verify_known *known, size_t n_known) MUST_CHECK;
/* The last one of this id; NULL: there is none. */
struct verify_known *verify_map_find(
    struct verify_map *m, struct verify_known *known, const uint8_t sid[REC_SID_LEN]);

/* From this leaf on the key signs. */
struct verify_epoch {
	uint64_t leaf;
	struct note_key key;
};

struct verify_old {
	uint64_t size;
	uint8_t root[HASH_LEN];
};

struct verify_fragment;

/* The fragments of growing blocks that the journal of one commit has, by session. */
struct verify_journal {
	struct verify_fragment *all; /* owned */
	size_t n, size;
	struct buf *data; /* owned */
	uint64_t txn;	  /* of the snapshot that they are from */
	bool loaded;
	bool too_long; /* nothing is kept */
	int wrong;     /* how reading it ended: 0, or an error that is a finding */
};

struct verify {
	struct store_snap *snap;
	const struct verify_conf *conf;
	struct verify_result result;
	struct block_codec_ctx *codec;
	struct buf *raw;	/* one block's events */
	struct buf *stored;	/* and its stored bytes */
	struct growing growing; /* the block that is not sealed, of a session that is open */
	struct secret *key;	/* of the session that is looked at */
	struct verify_journal journal;
	size_t journal_max;
	/* the keys of the log in their order */
	struct verify_epoch *epochs;
	size_t n_epochs, size_epochs;
	bool foreign;	  /* the trusted key is none of them */
	size_t forged_at; /* from this epoch on the succession is somebody's work; SIZE_MAX: none */
	/* checkpoints kept elsewhere, by size */
	struct verify_old *olds;
	size_t n_olds, size_olds;
	struct verify_known *known; /* sorted by sid once the log was read */
	size_t n_known, size_known;
	struct verify_map map;		   /* while the log is read */
	uint64_t txn;			   /* of the snapshot that the log was read from */
	bool no_slots;			   /* it was said that session.keys is not there */
	uint64_t from_wall_ns, to_wall_ns; /* of the block that is looked at; 0: none is */
};

/* Make what looking at sessions takes. 0, also on error then verify_done(); -ENOMEM. */
int verify_init(
    struct verify *v, struct store_snap *snap, const struct verify_conf *conf) MUST_CHECK;
void verify_done(struct verify *v);

/* Report a finding. sid: NULL when it is about the log. place and fmt: short; text is cut. */
void verify_found(struct verify *v, enum verify_kind kind, const uint8_t *sid, const char *place,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* "leaf N" into dst, which is returned. */
const char *verify_leaf_place(char dst[64], uint64_t index);
/* Append an element of size to *list, which has n of room for *size; NULL: out of memory. */
void *verify_grow(void *list, size_t n, size_t *size, size_t element);

/* Find the keys of the log, whatever they are worth. 0; -ENOMEM; -errno. */
int verify_load_epochs(struct verify *v) MUST_CHECK;
/* Leave out those whose leaf does not stand in front of size, and see whether one of them is trusted. */
void verify_trust(struct verify *v, uint64_t size);
/* The number of the epoch in force at a leaf; n_epochs must not be 0. */
size_t verify_epoch_at(const struct verify *v, uint64_t leaf);
/* The number of the epoch that begins with this leaf; SIZE_MAX: none does. */
size_t verify_epoch_of(const struct verify *v, uint64_t leaf);
/*
 * A head that must be signed in an epoch; reports what is wrong. 0; ERR_CHAIN; ERR_FORMAT, which is
 * not reported.
 */
int verify_head(struct verify *v, const uint8_t *sid, const char *place, size_t epoch,
    const uint8_t *data, size_t len, struct head *ret_head) MUST_CHECK;
/*
 * Take the checkpoints that were kept elsewhere; now: the store's own, or NULL. 0, findings
 * reported; -ENOMEM.
 */
int verify_load_olds(struct verify *v, const struct note_checkpoint *now) MUST_CHECK;
/* What a checkpoint says, whoever signed it. 0; ERR_FORMAT; -ENOMEM. */
int verify_read_note(
    const char *note, size_t len, struct note_checkpoint *ret_checkpoint) MUST_CHECK;
/* A signed checkpoint. 0; ERR_CHAIN with a finding; -ENOMEM. */
int verify_note(struct verify *v, const char *note, size_t len, const struct note_key *key,
    const char *place, struct note_checkpoint *ret_checkpoint) MUST_CHECK;

/* What became of a session. */
struct verify_fate {
	bool erased;	/* its events need not be there */
	bool under_way; /* something of them may still be there */
};
/* What was decided about a session. 0, findings reported; -ENOMEM; -errno. */
int verify_fate(
    struct verify *v, const struct verify_known *known, struct verify_fate *ret_fate) MUST_CHECK;
/*
 * The session's key: that it is the one that it was opened with, and, if we may have it, itself.
 * *ret_key: untouched when we may not; v's, until the next call. 0, findings reported; -ENOMEM; -errno.
 */
int verify_key(struct verify *v, const struct sess *s, const struct verify_fate *fate,
    const uint8_t **ret_key) MUST_CHECK;

/*
 * The journal's fragments of the block of sid that its last head has not in a sealed one, in order, and maybe others. fn: 0
 * goes on, anything else ends the walk and is returned. 0; ERR_FORMAT, ERR_VERSION or ERR_LIMIT the journal is not readable
 * to its end; -ENOMEM; -errno.
 */
typedef int (*verify_fragment_fn)(
    void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f);
int verify_journal_each(
    struct verify *v, const uint8_t sid[REC_SID_LEN], verify_fragment_fn fn, void *arg) MUST_CHECK;
void verify_journal_done(struct verify_journal *j);
/* All of one session that the log knows. 0, findings reported; -ENOMEM; -errno. */
int verify_known_session(struct verify *v, const struct verify_known *known) MUST_CHECK;

#endif
