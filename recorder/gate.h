/*
 * SFTP operations held to a rule, on their way to the target. A request that the rule does not allow is rewritten in
 * place into an SSH_FXP_EXTENDED that no server knows, same length, same id; the server's "unsupported" is rewritten into
 * "permission denied" on its way back. So order and lengths are the client's and the target's own. A request waits here
 * until its paths are there, at most GATE_HELD_MAX bytes; what cannot be judged does not cross.
 */
#ifndef BASTION_RECORDER_GATE_H
#define BASTION_RECORDER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/watch.h"

#define GATE_PATH_MAX 4096u /* bytes of a path; a longer one is refused */
#define GATE_HELD_MAX 9216u /* bytes of a request before it is judged */
#define GATE_PREFIXES_MAX 4096u

/* Path prefixes as of policy_proto.h: absolute, normalised; n 0: any path. */
struct gate_prefixes {
	char **list; /* owned by whoever made it */
	size_t n;
};

struct gate_rule {
	bool read, write;
	struct gate_prefixes reads, writes;
};

/* A request that was refused. Borrowed for the call. */
struct gate_refusal {
	const char *name; /* of the request: "open", "remove", "posix-rename@openssh.com", ... */
	enum watch_op op; /* 0: none of them */
	const uint8_t *path, *path2; /* as they came, "" and 0 when there is none */
	size_t path_len, path2_len;
	const char *why; /* one line */
};

struct gate;

/* rule: copied but for its prefixes, which are borrowed for the life of the gate. NULL: out of memory. */
struct gate *gate_new(const struct gate_rule *rule,
    int (*refused)(void *arg, const struct gate_refusal *r), void *arg);
void gate_free(struct gate *g);
/*
 * Bytes of one way (EVENT_FRONT or EVENT_BACK); what crosses of them, and of those held, is appended to out. 0;
 * ERR_DENIED this is no SFTP version 3 that could be judged (gate_why()): nothing more may cross; what refused()
 * answered; -ENOMEM; ERR_LIMIT.
 */
int gate_data(struct gate *g, enum event_way way, const uint8_t *data, size_t len,
    struct buf *out) MUST_CHECK;
/* Nothing more comes from the client: append what is held; a part of a request does nothing. 0; -ENOMEM; ERR_LIMIT. */
int gate_flush(struct gate *g, struct buf *out) MUST_CHECK;
/* Why it answered ERR_DENIED. Static. */
const char *gate_why(const struct gate *g);

#endif
