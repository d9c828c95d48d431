/*
 * The session record: who, where, when, how it ended, and what its channels did. The part written
 * at the opening and the part written at the end are each covered by a leaf of the log through
 * their hash; random salts inside keep the hashes from telling what they are of. While a session
 * runs, its record has no end part; sess_live() reads the rest from events.
 *
 * What was typed or named in a session (commands, addresses of forwards, terminals, files) is a
 * private part of the end, encrypted under the session's key. Who, where, when, kinds, statuses and
 * counts are in the clear.
 */
#ifndef BASTION_RECORDER_SESS_H
#define BASTION_RECORDER_SESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/auditor.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/crypt.h"
#include "recorder/head.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"
#include "recorder/unseen.h"

#define SESS_SALT_LEN 32u
#define SESS_TEXT_MAX 512u	/* bytes of an end text with its NUL */
#define SESS_CHANNELS_MAX 1024u /* summaries kept; what later channels did is in the events only */
#define SESS_FILES_MAX 64u	/* file operations kept; of all of them the events tell */
#define SESS_FILES_TEXT_MAX 65536u /* bytes of what is kept of them */
#define SESS_COMMAND_MAX 4096u	   /* bytes of a command kept in the summary */

enum sess_state {
	SESS_OPEN = 1,
	SESS_CLOSED = 2, /* ended in order, signed */
	SESS_TRUNCATED =
	    3 /* the recorder stopped before the end; signed up to the last durable event */
};

enum sess_exit { SESS_EXIT_NONE = 0, SESS_EXIT_STATUS = 1, SESS_EXIT_SIGNAL = 2 };

/* One channel, as its events tell. Text comes from peers: escape it before it is shown. */
struct sess_channel {
	uint32_t number;
	/* "shell", "exec", "subsystem", else the channel's type; "session" before any of them */
	char *kind;
	/* exec: the command; subsystem: its name; a forward: "host port"; else "". Private. */
	char *command;
	char *term;	     /* of a pty, else "". Private. */
	bool pty, denied;    /* denied: policy or the target refused the channel itself */
	uint32_t cols, rows; /* of the pty at its start */
	enum sess_exit exit;
	uint32_t exit_status;
	char exit_signal[32];			 /* name without SIG */
	uint64_t opened_ns, closed_ns;		 /* since the session was opened; 0: not closed */
	uint64_t bytes_in, bytes_out, bytes_err; /* channel data, not frame heads */
	struct unseen_row row;			 /* while events are read; not in the record */
};

struct sess {
	uint8_t sid[REC_SID_LEN];
	enum sess_state state;

	/* the opening */
	uint64_t opened_wall_ns;
	uint32_t conn, leg; /* the broker's numbers, to find it in its log */
	uint8_t durability; /* enum commit_durability: 1 strict, 2 process */
	uint8_t *meta;	    /* {u8 tag, string} ..., see enum rec_meta; owned */
	size_t meta_len;
	uint8_t key_hash[HASH_LEN]; /* of the session's key record: seskey_hash() */
	uint64_t open_leaf;	    /* index in the log */

	/* the end; zero while open (but see sess_live()) */
	uint64_t closed_wall_ns;
	uint8_t end_code; /* enum link_end; 0: none was given */
	char end_text[SESS_TEXT_MAX];
	char end_by[SESS_TEXT_MAX]; /* who killed it, else "" */
	uint64_t n_events, last_ns; /* number of events; time of the last one */
	uint32_t n_blocks;
	uint64_t raw_bytes, stored_bytes; /* of events; of blocks as stored */
	char *address; /* address and port that the back connected to; "" before */
	struct sess_channel *channels;
	uint32_t n_channels;
	char **files; /* the first file operations: JSON texts of EVENT_FILE; owned. Private. */
	uint32_t n_files;
	uint64_t files_total; /* operations in the session */
	struct unseen unseen; /* what is hidden and masked */
	uint64_t close_leaf;
	uint8_t digest[HEAD_LEN]; /* the signed end digest (head.h) */

	/* what the leaves cover */
	uint8_t open_hash[HASH_LEN], close_hash[HASH_LEN];

	/*
	 * 0: what is private is in its place above. Else that is empty, and this is why: ERR_SEALED, ERR_ERASED, ERR_KEYS, or
	 * what else seskey_get() says; ERR_NOT_FOUND: the session has no key record; ERR_CHAIN, ERR_FORMAT: it was changed.
	 * After sess_parse(): ERR_SEALED.
	 */
	int closed_to_us;
	struct auditors *sealed_to; /* NULL: it is not sealed; owned */
	uint8_t *private;	    /* the envelope; owned; len 0: the end has none */
	size_t private_len;
};

/* Everything that s holds; s itself is the caller's. */
void sess_done(struct sess *s);
/*
 * Read the record of sid, with its private part when we can open it (s->closed_to_us). 0, then
 * sess_done(); ERR_NOT_FOUND; ERR_FORMAT; -ENOMEM; -errno.
 */
int sess_get(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct sess *ret_sess) MUST_CHECK;
/*
 * The same without the private part and the session's key, which take most of the time: for who looks at who, where and when
 * only. closed_to_us: ERR_SEALED, whatever it is. Errors as above.
 */
int sess_get_clear(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct sess *ret_sess) MUST_CHECK;
/*
 * Fill in what the events of a session that is open tell up to now; does nothing for others. Of one
 * that is closed to us only times and counts. 0; errors of recording.h.
 */
int sess_live(struct store_snap *snap, struct sess *s) MUST_CHECK;
/* A value of the metadata: borrowed bytes, not terminated. False: no such tag. */
bool sess_meta(const struct sess *s, enum rec_meta tag, const uint8_t **ret_p, size_t *ret_len);
/*
 * The same as a fresh C string, escaped as of str_escape(), cut to size; "" when absent. Returns
 * dst.
 */
char *sess_meta_text(const struct sess *s, enum rec_meta tag, char *dst, size_t size);

/* "open", "closed", "truncated". Static. */
const char *sess_state_name(enum sess_state state);
/*
 * "client", "target", ... for enum link_end; "" for 0; "unknown". Static: the end_reason of
 * listings.
 */
const char *sess_end_name(uint8_t end_code);

/* fn of the walks below: 0 goes on, anything else ends the walk and is returned. */
typedef int (*sess_each_fn)(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns);
/*
 * Sessions in the order of their opening, oldest first, opened at or after from_wall_ns. 0;
 * ERR_FORMAT; -ENOMEM; -errno.
 */
int sess_each(
    struct store_snap *snap, uint64_t from_wall_ns, sess_each_fn fn, void *arg) MUST_CHECK;
/*
 * The same, of those whose metadata has this value (compared up to 200 bytes): REC_META_IDENTITY,
 * REC_META_LOGIN or REC_META_HOST; ERR_NOT_FOUND for other tags, which are not indexed.
 */
int sess_each_of(struct store_snap *snap, enum rec_meta tag, const char *value,
    uint64_t from_wall_ns, sess_each_fn fn, void *arg) MUST_CHECK;

/*
 * The record's encoding, for the recorder and the verifier.
 *   record   u8 version (3), string opening, u64 its leaf; once it has ended also: string end, u64
 *            its leaf
 *   opening  sid, u64 wall clock, u32 conn, u32 leg, u8 durability, 32 bytes salt, 32 bytes hash of
 *            the key record (seskey_hash()), string metadata
 *   end      32 bytes salt, end digest (head.h), u64 wall clock, u8 end code, string text, string
 *            by whom, u64 raw bytes, u64 stored bytes, string address, u32 n, then n channels: u32
 *            number, string kind, u8 flags (1 pty, 2 denied), u32 columns, rows, u8 enum sess_exit,
 *            u32 status, string signal, u64 opened, closed, in, out, err; u64 file operations,
 *            string private: empty when a start ended a sealed session, else the envelope
 *            (CRYPT_PRIVATE, crypt_put()) of the next; then, when something is hidden or masked, how
 *            much (unseen_put())
 *   private  u8 version (1), for each of the n channels: string command, string terminal; u32 m,
 *            then m strings: JSON of the first file operations
 */
#define SESS_PART_MAX (16u << 20) /* bytes of one part */
int sess_parse(const uint8_t *data, size_t len, struct sess *ret_sess) MUST_CHECK;
int sess_put_opening(
    struct buf *b, const struct sess *s, const uint8_t salt[SESS_SALT_LEN]) MUST_CHECK;
/* key: of the session; NULL: there is none any more, and the end has no private part. */
int sess_put_end(struct buf *b, const struct sess *s, const uint8_t salt[SESS_SALT_LEN],
    const uint8_t *key) MUST_CHECK;
/* Open the private part of a parsed record. 0; ERR_CHAIN; ERR_FORMAT; -ENOMEM. */
int sess_open_private(struct sess *s, const uint8_t key[CRYPT_KEY_LEN]) MUST_CHECK;
/* end: NULL while the session is open. */
int sess_put_record(struct buf *b, const struct buf *opening, uint64_t open_leaf,
    const struct buf *end, uint64_t close_leaf) MUST_CHECK;
/* 0 when meta is well-formed: tags once, text plain. ERR_FORMAT; ERR_LIMIT; -ENOMEM. */
int sess_meta_check(const uint8_t *meta, size_t len) MUST_CHECK;
/* The keys that find s in STORE_IX, one call each; a non-zero answer ends it and is returned. */
int sess_index(const struct sess *s, int (*fn)(void *arg, const uint8_t *key, size_t len),
    void *arg) MUST_CHECK;
/* What one channel holds. */
void sess_channel_done(struct sess_channel *ch);
void sess_files_free(char **files, uint32_t n);

#endif
