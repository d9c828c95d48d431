/* The recorder's part in what is held, erased, retired, and in readers that pin the store. */
#ifndef BASTION_RECORDER_KEEP_H
#define BASTION_RECORDER_KEEP_H

#include "lib/err.h"
#include "lib/ipc.h"
#include "recorder/erase.h"
#include "recorder/retain.h"

struct recorder;
struct loop_timer;

#define KEEP_STEP_NS 50000000ull /* between two slices of an erasure */
#define KEEP_READER_NS                                                                             \
	(60 * 1000000000ull) /* that a reader may hold a snapshot, unless REC_KEEP says otherwise */

struct keep {
	struct eraser *eraser;
	struct retain retain;
	struct loop_timer *timer;
	/* the reader that is behind most */
	uint64_t reader_ns; /* how long one may be */
	struct store_reader slowest;
	uint64_t slowest_since_ns; /* boot clock: since when it shows the same */
};

/* 0, then keep_done(); -ENOMEM; -errno. */
int keep_init(struct recorder *rec) MUST_CHECK;
void keep_done(struct recorder *rec);
/* A commit has returned. */
void keep_committed(struct recorder *rec);
/* Once a second: retention. */
void keep_tick(struct recorder *rec);
/* Once a second: readers. */
void keep_check_readers(struct recorder *rec);

/* REC_ERASE, REC_HOLD, REC_KEEP, REC_PING; arg: the recorder. */
int keep_on_erase(void *arg, struct ipc_msg *msg) MUST_CHECK;
int keep_on_hold(void *arg, struct ipc_msg *msg) MUST_CHECK;
int keep_on_keep(void *arg, struct ipc_msg *msg) MUST_CHECK;
int keep_on_ping(void *arg, struct ipc_msg *msg) MUST_CHECK;

/* Its figures, for REC_STATUS. */
struct json;
void keep_status(const struct recorder *rec, struct json *j);

#endif
