/* Starts the real bastiond-recorder and plays broker, fronts and backs: for the crash test and the bench. */
#ifndef BASTION_TESTS_DRIVE_H
#define BASTION_TESTS_DRIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/ipc.h"
#include "recorder/recorder_proto.h"

#define DRIVE_WAIT_MS 20000 /* what any answer may take */

struct drive {
	pid_t pid;
	int pidfd;
	int broker;
	int policy; /* our end of its edge to policy; 0: none yet */
	uint8_t space[IPC_HEADER + IPC_MAX];
};

struct drive_leg {
	uint32_t id;
	int front, back; /* our ends of the link; -1: closed */
	uint8_t sid[REC_SID_LEN];
};

/* All of these end the process with a message when something is not as it should be. */

/* Start the recorder of BASTION_BIN on DIR/recorder, wait until it is ready; its working directory is dir. */
void drive_start(struct drive *d, const char *dir, const char *durability);
/* Orderly: REC_STOP, then its exit status must be 0. */
void drive_stop(struct drive *d);
/* kill -9, and wait until it is gone. */
void drive_kill(struct drive *d);
/* A new leg, opened and durable. */
void drive_open(struct drive *d, uint32_t id, struct drive_leg *ret_leg);
/* The same with mask rules: names as of REC_META_MASKS, "": none. */
void drive_open_masked(struct drive *d, uint32_t id, const char *masks, struct drive_leg *ret_leg);
/* Session channel 1, confirmed. */
void drive_channel(struct drive *d, struct drive_leg *leg);
/* A terminal of 80 columns and 24 rows on it. */
void drive_terminal(struct drive *d, struct drive_leg *leg);
/* End it: END from the front, both ends closed, REC_CLOSED awaited. */
void drive_close(struct drive *d, struct drive_leg *leg);
/* The next message on fd of this type; others are passed over. */
void drive_want(struct drive *d, int fd, uint16_t type, struct ipc_msg *ret_msg);
/* The recorder's status as text; owned by caller. */
char *drive_status(struct drive *d);
/* What it has used of the processor so far, in nanoseconds. */
uint64_t drive_cpu_ns(const struct drive *d);
/* Remove dir/recorder and dir. */
void drive_remove(const char *dir);

#endif
