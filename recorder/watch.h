/*
 * Reading what crosses a channel: file transfers (SFTP version 3 with OpenSSH's extensions, scp, rsync --server), agent
 * requests, the first bytes of forwards. A watch sees every byte of both directions, in order, as it crosses. It never
 * changes one; it tells its sink which bytes are file content and what was done to which file. A stream that it cannot
 * follow, it says so once, and from then on everything is plain.
 *
 * Sources: draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL (SFTP), scp.c's protocol as in OpenSSH's scp(1),
 * rsync's io.c, flist.c and token.c for protocol versions 30 to 32, RFC 9987 (agent).
 */
#ifndef BASTION_RECORDER_WATCH_H
#define BASTION_RECORDER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"

#define WATCH_PATH_MAX 4096u	/* bytes of a path that are told; a longer one is cut and marked */
#define WATCH_TEXT_MAX 256u	/* bytes of an answer's text */
#define WATCH_RANGES_MAX 64u	/* ranges of one file that are told apart; more are counted only */
#define WATCH_PENDING_MAX 4096u /* requests without an answer, and open handles, of one channel */

enum watch_op {
	WATCH_GET = 1, /* content left the target */
	WATCH_PUT,     /* content came to the target */
	WATCH_LIST,    /* a directory was listed */
	WATCH_MKDIR,
	WATCH_RMDIR,
	WATCH_REMOVE,
	WATCH_RENAME,  /* path to path2 */
	WATCH_SYMLINK, /* path2 points to path */
	WATCH_LINK,    /* hard link: path2 is path */
	WATCH_SETSTAT, /* owner, mode, times or size */
	WATCH_COPY     /* at the target, path to path2 */
};

struct watch_range {
	uint64_t from, to; /* first byte, and the one behind the last */
};

/* A file operation that is over. Borrowed for the call. Numbers begin at 1 (but see watch_share_numbers()). */
struct watch_file {
	uint32_t number;
	enum watch_op op;
	const uint8_t *path, *path2; /* raw bytes as they crossed; path2 NULL: none */
	size_t path_len, path2_len;
	bool cut; /* a path was longer than WATCH_PATH_MAX */
	bool has_size, has_mode;
	uint64_t size; /* as announced or reported by the protocol */
	uint32_t mode;
	uint64_t bytes; /* of content that crossed */
	/* SHA-256 of the whole content, in order from offset 0; only when it crossed so: else ranges say what did. */
	bool has_hash;
	uint8_t sha256[32];
	const struct watch_range
	    *ranges; /* sorted, joined; where has_hash is false and content crossed */
	size_t n_ranges;
	bool more_ranges;	   /* than WATCH_RANGES_MAX */
	bool answered;		   /* the target said how it ended: */
	uint32_t status;	   /* SFTP's code; scp 0, 1 or 2; rsync 0, or what it reported */
	char text[WATCH_TEXT_MAX]; /* the target's words, escaped; "" none */
	bool refused;		   /* by the rule: it never reached the target */
};

struct watch_sink {
	/*
	 * The next len bytes of this way. number: 0 they are protocol; else they are content of that operation, at offset.
	 * Called for every byte that watch_data() is given, in order, during that call.
	 */
	int (*span)(void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number,
	    uint64_t offset);
	int (*file)(void *arg, const struct watch_file *f);
	/* A word and a line: "unfollowed", "agent-sign" (the key's fingerprint), "cut" (a forward opens like SSH), ... */
	int (*remark)(void *arg, const char *word, const char *text);
};

struct watch;

/*
 * kind: enum pol_stream (policy/policy_proto.h). command: what an exec runs, "" else; borrowed for the call.
 * sink, arg: borrowed for the life of the watch. 0; ERR_FORMAT a kind or command that cannot be followed; -ENOMEM.
 */
int watch_new(uint8_t kind, const char *command, const struct watch_sink *sink, void *arg,
    struct watch **ret_watch) MUST_CHECK;
void watch_free(struct watch *w);
/*
 * Number operations on from *last, and leave the last number there: one count for all watches that are given the same
 * place. last: borrowed for the life of the watch. To be called before the first byte.
 */
void watch_share_numbers(struct watch *w, uint32_t *last);
/*
 * Bytes of one way (EVENT_FRONT: to the target; EVENT_BACK: from it; stdout only). 0; what a sink function answered; -ENOMEM.
 * What does not fit the protocol is no error: see above.
 */
int watch_data(struct watch *w, enum event_way way, const uint8_t *data, size_t len) MUST_CHECK;
/*
 * The program's exit status, as the target told it, before watch_end(): rsync answers for what it received with it and in no
 * other way. Data may still follow. Results as watch_data().
 */
int watch_exit(struct watch *w, uint32_t status) MUST_CHECK;
/* The channel is over: operations under way are told as they stand. Results as watch_data(). */
int watch_end(struct watch *w) MUST_CHECK;
/* Whether it still follows; false: everything is plain from here on. */
bool watch_follows(const struct watch *w);

#endif
