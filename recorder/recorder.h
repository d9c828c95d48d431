/*
 * The recorder at work: its edges, the commit between what comes in and what goes out, health,
 * orderly ends. The legs, one for each pair of front and back, are in recorder_link.h.
 */
#ifndef BASTION_RECORDER_RECORDER_H
#define BASTION_RECORDER_RECORDER_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/loop.h"
#include "recorder/chain.h"
#include "recorder/commit.h"
#include "recorder/recorder_keep.h"
#include "recorder/recorder_link.h"
#include "recorder/recorder_proto.h"
#include "recorder/release.h"
#include "recorder/veil.h"

#define RECORDER_TEXT_MAX 512u /* bytes of a line for people */

struct recorder_conf {
	struct loop *loop;   /* borrowed */
	struct chain *chain; /* borrowed */
	int broker_fd;	     /* taken */
	uint64_t stall_timeout_ns;
	uint64_t epoch_ns; /* the signing key is replaced so often; 0: never */
	uint64_t
	    checkpoint_every_ns; /* the broker hears of new checkpoints at most so often; 0: never */
	enum store_durability durability;
	const char *ready; /* what recovery did; borrowed for the call */
};

struct recorder {
	struct loop *loop;
	struct chain *chain;
	struct ipc *broker, *policy;
	enum store_durability durability;
	uint64_t stall_timeout_ns;

	struct leg_list legs, touched;
	uint32_t n_legs;
	uint32_t next_ask;

	struct release *out;
	struct veil_pool *veils; /* keys of what is typed and not decided */
	struct commit commit;
	struct commit_times times;
	struct loop_timer *commit_timer, *tick_timer, *stop_timer;
	bool fresh;		   /* something came in since the last look at the sockets */
	uint64_t pending_since_ns; /* when the oldest of what waits came in; 0: nothing waits */

	enum rec_health health;
	char health_text[RECORDER_TEXT_MAX];
	bool frozen; /* no frame is read, because the disk is all but full */
	uint64_t frozen_since_ns;
	uint64_t checkpoint_every_ns,
	    checkpoint_at_ns;		 /* when the broker may hear of the next; boot clock */
	uint64_t n_checkpointed;	 /* leaves under the one that it heard of last */
	uint64_t epoch_ns, rotate_at_ns; /* when the signing key is replaced next; boot clock */
	struct keep keep;
	uint64_t unmeasured; /* bytes committed since the space was looked at */

	bool stopping;
	bool failed;
	int exit_code; /* once the loop has stopped */
	uint64_t n_refused, n_violations, n_asks;
};

/* Begin to serve: says REC_READY. 0, then recorder_done(); -errno. */
int recorder_init(struct recorder *rec, const struct recorder_conf *conf) MUST_CHECK;
void recorder_done(struct recorder *rec);
/* End all sessions in order, then the loop. text: for the users. */
void recorder_stop(struct recorder *rec, const char *text);

/* Tell the broker of the newest checkpoint, when it is new and it may hear of one; last: it hears of no other. */
void recorder_push(struct recorder *rec, bool last);

/* For recorder_link.c: something was appended, commit soon. */
void recorder_wake(struct recorder *rec);
/* Commit now when very much is waiting, so that memory stays bounded however many ends are ready at once. */
void recorder_relieve(struct recorder *rec);
/* The store does not work any more: nothing is released from here on, and the process ends. */
void recorder_fail(struct recorder *rec, int err, const char *what);
/* Add an audit event about a leg; j: taken. */
struct json;
void recorder_audit(struct recorder *rec, struct json *j);
/* Tell the broker after the next commit. */
void recorder_tell(struct recorder *rec, uint16_t type, uint32_t id, const void *data, size_t len);
/* The same at once, waiting for no commit. */
void recorder_tell_now(
    struct recorder *rec, uint16_t type, uint32_t id, const void *data, size_t len);
/* A leg is over and gone. */
void recorder_leg_gone(struct recorder *rec);

/* Look at the space and set health by it; also freezes and thaws. */
void recorder_check_space(struct recorder *rec);
/* End what has been frozen for stall_timeout. */
void recorder_end_frozen(struct recorder *rec);
/* Say a change of health to the broker. */
void recorder_set_health(struct recorder *rec, enum rec_health health, const char *text);
/* The answer to REC_STATUS. *ret_text: owned by caller, free(). 0; -ENOMEM; ERR_LIMIT. */
int recorder_status(struct recorder *rec, char **ret_text, size_t *ret_len) MUST_CHECK;

#endif
