/*
 * The parts of the SFTP watch: packets (watch_sftp.c), requests and their answers (watch_sftp_request.c), and the files that
 * they are about (watch_sftp_file.c).
 */
#ifndef BASTION_RECORDER_WATCH_SFTP_PART_H
#define BASTION_RECORDER_WATCH_SFTP_PART_H

#include <sys/queue.h>

#include "recorder/fxp.h"
#include "recorder/watch_priv.h"

#define SF_HEAD_MAX 12288u     /* bytes of a packet that are looked at: two paths and more */
#define SF_HELD_MAX (1u << 20) /* bytes of paths and handles that one channel may have us keep */

/* One direction of a file: what its operation is called and what crossed. */
struct sf_way {
	uint32_t number;	   /* 0: nothing crossed */
	struct watch_track *track; /* NULL: likewise */
};

struct sf_file {
	TAILQ_ENTRY(sf_file) link;
	bool open, dir, closed; /* open: has a handle */
	unsigned n_waiting;	/* requests that name it */
	uint32_t flags;
	uint8_t *path, *handle; /* owned */
	size_t path_len, handle_len;
	bool path_cut;
	struct fxp_attrs attrs; /* as announced or reported */
	bool resized;		/* what is in it is not only what crossed */
	struct sf_way get, put;
	bool answered;
	uint32_t status; /* the first failure, or how the CLOSE ended */
	char text[WATCH_TEXT_MAX];
};
TAILQ_HEAD(sf_file_list, sf_file);

struct sf_request {
	TAILQ_ENTRY(sf_request) link;
	uint32_t id;
	const struct sf_rule *rule;
	struct sf_file *file, *to; /* counted in n_waiting */
	uint64_t offset, size;
	uint8_t *path, *path2; /* owned */
	size_t path_len, path2_len;
	bool cut;
	struct fxp_attrs attrs;
};
TAILQ_HEAD(sf_request_list, sf_request);

/* One way of the stream. */
struct sf_flow {
	uint8_t head[SF_HEAD_MAX];
	size_t have, need; /* bytes of head; how many it takes to go on */
	uint32_t len;	   /* of the packet, behind its length field */
	uint64_t plain, content;
	struct sf_file *file; /* whose content it is; NULL: of none that we know */
	struct sf_way *op;
	uint64_t offset;
	bool greeted; /* INIT or VERSION has crossed */
};

struct sftp {
	struct sf_flow flows[2];
	struct sf_file_list files;
	struct sf_request_list requests; /* oldest first */
	size_t n_files, n_requests, held;
	const char *lost; /* why it cannot go on */
};

/* One kind of request; the table is in watch_sftp_request.c. */
struct sf_rule {
	const char *extension; /* NULL: a request of the protocol itself */
	/* Fields behind the id. 0: wait for the answer; ERR_NOT_FOUND: it is about nothing we know; -ENOMEM. */
	int (*ask)(struct sftp *s, struct sf_request *q, struct fxp_cursor *c);
	/* type: of the answer; c: behind its id. 0; ERR_FORMAT not an answer to this; what telling answered. */
	int (*answer)(struct watch *w, struct sf_request *q, uint8_t type, struct fxp_cursor *c);
	enum watch_op op;
	uint8_t type;
};

/* A copy, which counts in s->held; with too much of that s is lost. Owned by caller, sf_forget(). NULL: out of memory. */
uint8_t *sf_keep(struct sftp *s, const uint8_t *p, size_t len);
/* p: may be NULL. */
void sf_forget(struct sftp *s, uint8_t *p, size_t len);
/* A file that is being opened, with one request that waits. NULL: out of memory. */
struct sf_file *sf_file_new(struct sftp *s);
void sf_file_free(struct sftp *s, struct sf_file *f);
/* The file that has this handle; NULL: none. */
struct sf_file *sf_find_file(struct sftp *s, const uint8_t *handle, size_t len);
/* How something that was asked about it ended: the first failure stands. text: WATCH_TEXT_MAX bytes. */
void sf_file_result(struct sf_file *f, uint32_t status, const char *text);
/* Tell it as it stands. Results as watch_data(). */
int sf_file_tell(struct watch *w, struct sf_file *f) MUST_CHECK;
/* Over, and nothing that was asked about it is still to be answered: tell it, and it is gone. Results as watch_data(). */
int sf_file_settle(struct watch *w, struct sf_file *f) MUST_CHECK;
/* What an answer says of how an operation ended. */
void sf_show_result(struct watch_file *t, bool answered, uint32_t status, const char *text);

/* c: behind the id, and behind the name of an extension afterwards. NULL: no such request. */
const struct sf_rule *sf_find_rule(uint8_t type, struct fxp_cursor *c);
/* A request that waits for its answer now. *ret_q: untouched where there is nothing to wait for. 0; -ENOMEM. */
int sf_request_add(struct sftp *s, uint32_t id, const struct sf_rule *rule, struct fxp_cursor *c,
    struct sf_request **ret_q) MUST_CHECK;
/* The oldest of this id; NULL: none. */
struct sf_request *sf_find_request(struct sftp *s, uint32_t id);
void sf_request_drop(struct sftp *s, struct sf_request *q);
/* Tell an operation that is one request. Results as watch_data(). */
int sf_request_tell(struct watch *w, const struct sf_request *q, bool answered, uint32_t status,
    const char *text) MUST_CHECK;

#endif
