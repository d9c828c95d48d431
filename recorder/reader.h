/* What the verbs of bastiond-reader share: the open store, the edge to bastionctl, and its flow control. */
#ifndef BASTION_RECORDER_READER_H
#define BASTION_RECORDER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "recorder/derived.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

#define READER_ARGS_MAX 16	     /* arguments behind the verb */
#define READER_ITEM_MAX (64u << 20)  /* bytes of one JSON text */
#define READER_FILES_MAX (32u << 20) /* bytes of text about files of one session */
#define READER_NOTES_MAX (64u << 20) /* bytes of checkpoints to compare with */
#define READER_BUNDLE_LOG_MAX                                                                      \
	(UINT64_C(1) << 28)	  /* leaves of a log that a bundle is of, looked for */
#define READER_FINDINGS_MAX 1000u /* findings that are told one by one; the rest is counted */
#define READER_CONTEXT 4u /* blocks before a wanted moment that most screens are made of: 512 KiB */
#define READER_NEAR 8u	  /* a moment in the first of these blocks is rendered from the start */
#define READER_NEAR_NOW 64u /* the same for the present of a session that is watched */
#define READER_POLL_MS 20   /* how often a watcher's reader looks for a new commit */

struct reader {
	int fd;	     /* edge to bastionctl */
	bool bundle; /* a bundle is read, no store */
	struct store *store;
	struct derived *derived; /* NULL: there is none, or it cannot be read */
	struct store_snap *snap; /* held only while nothing is waited for */
	bool sealed;	  /* the session that is read is closed to us: its blocks go as they are */
	uint32_t credit;  /* messages that bastionctl takes */
	uint32_t n_seeks; /* RD_SEEK received so far */
	bool seek;	  /* one waits to be served */
	uint64_t seek_ns;
	uint32_t seek_channel; /* whose screen is wanted; 0: none */
	bool find;	       /* what waits is RD_FIND: seek is set, too */
	uint32_t find_channel;
	bool find_case;
	char find_text[RD_FIND_MAX + 1];
	bool took;		 /* an RD_TAKE waits to be served */
	struct rd_taken taken;	 /* that one */
	uint8_t *space;		 /* for received messages */
	struct buf *notes;	 /* of RD_NOTES; NULL: none are expected */
	const char *const *args; /* behind the verb, NULL-terminated */
	char text[512];		 /* what RD_END says */
};

/*
 * Send one message when bastionctl takes it; the snapshot is let go while waiting. 0; ERR_PEER_GONE; ERR_FORMAT; -errno.
 */
int reader_send(
    struct reader *rd, uint16_t type, uint32_t id, const void *data, size_t len) MUST_CHECK;
/* A JSON text in as many parts as it needs. Errors as reader_send(). */
int reader_send_text(struct reader *rd, uint16_t type, const char *text, size_t len) MUST_CHECK;
/* A JSON value in as many parts as it needs. j: taken. Errors as reader_send(), and those of json_text(). */
int reader_send_json(struct reader *rd, uint16_t type, struct json *j) MUST_CHECK;
/* Wait for the next message of bastionctl (credit or seek). Errors as reader_send(). */
int reader_wait(struct reader *rd) MUST_CHECK;
/* Look whether a message is there. 0, also when there is none. */
int reader_peek(struct reader *rd) MUST_CHECK;
/* Until something new is committed, or a message of bastionctl was taken; no snapshot is held meanwhile. Errors as reader_send(). */
int reader_wait_commit(struct reader *rd) MUST_CHECK;

/*
 * A session as show and list tell it, with RD_RECORD before it when it is closed to us. 0; ERR_NOT_FOUND; ERR_FORMAT; errors as
 * reader_send().
 */
int reader_send_session(
    struct reader *rd, const uint8_t sid[REC_SID_LEN], uint16_t type, bool detail) MUST_CHECK;
/* RD_RECORD of a session. Errors of seskey_portable(), and as reader_send(). */
int reader_send_record(
    struct reader *rd, const uint8_t sid[REC_SID_LEN], enum rd_detail detail) MUST_CHECK;
/* One block as RD_SEALED or RD_BLOCKS; all that there are now. Errors of recording.h, and as reader_send(). */
struct block_hdr;
int reader_send_block(struct reader *rd, uint16_t type, const struct block_hdr *hdr,
    const struct buf *stored) MUST_CHECK;
int reader_send_blocks(struct reader *rd, uint16_t type, const uint8_t sid[REC_SID_LEN]) MUST_CHECK;

/* Serve the RD_FIND that waits, in this session, unless another message comes first. Errors as reader_send(). */
int reader_hits(struct reader *rd, const uint8_t sid[REC_SID_LEN]) MUST_CHECK;

/* What RD_END will say; cut when it is too long. */
void reader_say(struct reader *rd, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The value behind --name; NULL: not given. */
const char *reader_option(const struct reader *rd, const char *name);
/* The argument that is no option; NULL: there is none. */
const char *reader_argument(const struct reader *rd);

/*
 * The session that text means: 32 hex digits, a prefix of at least 4 that only one has, or "last".
 * 0; ERR_NOT_FOUND (rd->text says why).
 */
int reader_find(struct reader *rd, const char *text, uint8_t ret_sid[REC_SID_LEN]) MUST_CHECK;

/* Session ids; reader_collect() is for sess_each(), with one of these as arg. */
struct reader_ids {
	uint8_t (*sid)[REC_SID_LEN]; /* owned, free() */
	size_t n, room;
};
/* 0; -ENOMEM. */
int reader_collect(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns) MUST_CHECK;

/* A verb. 0: done, *ret_code is bastionctl's exit code; negative: it could not be done. */
typedef int (*reader_fn)(struct reader *rd, uint8_t *ret_code);
/* The verbs, as recorder_proto.h describes them. */
int reader_list(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_which(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_show(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_events(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_watch(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_verify(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_log(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_bundle(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_checkpoint(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_search(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_space(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
int reader_index(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
/* checkpoint --vkey: which key signs now. */
int reader_newest_key(struct reader *rd, uint8_t *ret_code) MUST_CHECK;
/* Wait for all that --notes announces. 0; ERR_LIMIT; -ENOMEM; errors as reader_wait(). */
int reader_notes(struct reader *rd) MUST_CHECK;

#endif
