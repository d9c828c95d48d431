/*
 * What the readers of streams (watch_*.c) share: their common part, and what is known of the content of one file. One
 * kind is one struct watch_kind, listed in the table of watch.c.
 */
#ifndef BASTION_RECORDER_WATCH_PRIV_H
#define BASTION_RECORDER_WATCH_PRIV_H

#include "lib/err.h"
#include "recorder/watch.h"

struct watch {
	const struct watch_kind *kind;
	const struct watch_sink *sink;
	void *arg;
	void *state;	    /* of the kind; NULL: none */
	uint32_t *number;   /* of the last operation; ours or one that is shared */
	uint32_t own;	    /* where number points at first */
	bool follows, told; /* told: kind->end() was called */
};

struct watch_kind {
	uint8_t stream; /* enum pol_stream */
	/* Make w->state. 0; ERR_FORMAT the command cannot be followed; -ENOMEM. */
	int (*start)(struct watch *w, const char *command);
	void (*stop)(struct watch *w); /* free w->state, which may be NULL */
	/*
	 * Bytes of one way. All of them go to watch_plain() or watch_content(), in order, or, from the one on that does not
	 * fit the protocol, to watch_lost(); it is not called again after that. 0; what these answered; -ENOMEM.
	 */
	int (*data)(struct watch *w, enum event_way way, const uint8_t *p, size_t len);
	/* Tell the operations under way as they stand; called once at most. NULL: there are none. Results as data(). */
	int (*end)(struct watch *w);
	/* The exit status of the program, before end(). NULL: it says nothing about files. Results as data(). */
	int (*exit)(struct watch *w, uint32_t status);
};

extern const struct watch_kind watch_sftp, watch_scp, watch_rsync, watch_agent, watch_forward;

/* The number of a new operation. */
uint32_t watch_number(struct watch *w);
/* Bytes that are protocol, and bytes that are content of an operation; nothing happens for len 0. */
int watch_plain(struct watch *w, enum event_way way, const uint8_t *p, size_t len) MUST_CHECK;
int watch_content(struct watch *w, enum event_way way, const uint8_t *p, size_t len,
    uint32_t number, uint64_t offset) MUST_CHECK;
int watch_tell(struct watch *w, const struct watch_file *f) MUST_CHECK;
int watch_remark(struct watch *w, const char *word, const char *text) MUST_CHECK;
/*
 * The stream cannot be followed from these bytes on (len may be 0): they are plain, and so is everything after them;
 * why is one line for the remark "unfollowed". Both ways end so.
 */
int watch_lost(
    struct watch *w, enum event_way way, const uint8_t *p, size_t len, const char *why) MUST_CHECK;

/*
 * The next word of a command as a shell would split it, quotes removed, into dst of size bytes; *p moves behind it. 0;
 * ERR_NOT_FOUND at the end; ERR_FORMAT when a shell would do more than split; ERR_LIMIT when it does not fit.
 */
int watch_word(const char **p, char *dst, size_t size) MUST_CHECK;

/*
 * What crossed of one file's content: a running SHA-256 as long as it comes in order from offset 0, and the ranges that
 * came.
 */
struct watch_track;
struct watch_track *watch_track_new(void); /* NULL: out of memory */
void watch_track_free(struct watch_track *t);
void watch_track_add(struct watch_track *t, uint64_t offset, const uint8_t *p, size_t len);
/* Content came that is not shown here, or offsets mean nothing: there is no hash of the whole. */
void watch_track_spoil(struct watch_track *t);
/* Whether everything from 0 to this offset, and nothing behind it, has come. */
bool watch_track_is_whole(const struct watch_track *t, uint64_t size);
/* The offset behind the last byte that came. */
uint64_t watch_track_end(const struct watch_track *t);
/* Fill in bytes, has_hash, sha256, ranges, n_ranges, more_ranges; ranges are borrowed from t. */
void watch_track_show(const struct watch_track *t, struct watch_file *f);

#endif
