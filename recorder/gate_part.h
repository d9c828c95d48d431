/*
 * The parts of the gate: packets of both ways (gate.c), what may be asked (gate_judge.c), paths (gate_path.c), and what is
 * remembered of requests and handles (gate_handle.c).
 */
#ifndef BASTION_RECORDER_GATE_PART_H
#define BASTION_RECORDER_GATE_PART_H

#include <sys/queue.h>

#include "recorder/fxp.h"
#include "recorder/gate.h"

#define GATE_BACK_HEAD_MAX (FXP_HEAD + 4 + 4 + 4 + GATE_PATH_MAX) /* of an answer that is read */
#define GATE_WAITING_MAX 4096u /* requests whose answers are looked at, and handles, at once */
#define GATE_KNOWN_MAX 8u      /* real paths that are remembered besides the home */

/* Of a request whose answer matters. */
enum gate_reason { GATE_NOTHING, GATE_REFUSAL, GATE_HOME, GATE_REAL_PATH, GATE_HANDLE };

struct gate_waiting {
	STAILQ_ENTRY(gate_waiting) link;
	uint32_t id;
	enum gate_reason what;
	size_t len; /* of the handle that it closes; 0: none */
	uint8_t handle[];
};
STAILQ_HEAD(gate_waiting_list, gate_waiting);

/* A handle that was opened for writing. */
struct gate_writable {
	LIST_ENTRY(gate_writable) link;
	size_t len;
	uint8_t handle[];
};
LIST_HEAD(gate_writable_list, gate_writable);

struct gate_front {
	uint8_t head[GATE_HELD_MAX];
	size_t have, need;
	uint32_t len;  /* of the packet, behind its length field */
	uint64_t left; /* bytes of it that are to come */
	bool fill;     /* they are overwritten */
	size_t at;     /* how many bytes behind the id were overwritten */
	bool greeted;
};

struct gate_back {
	uint8_t head[GATE_BACK_HEAD_MAX];
	size_t have, need;
	uint32_t len;
	uint64_t left; /* bytes behind the head that are to come */
	bool greeted;
	size_t at;	   /* offset in the packet of the next byte */
	bool rewrite;	   /* it answers what was refused */
	uint32_t text_len; /* of a STATUS that is rewritten */
};

struct gate {
	struct gate_rule rule;
	int (*refused)(void *arg, const struct gate_refusal *r);
	void *arg;
	struct gate_front front;
	struct gate_back back;
	struct gate_waiting_list waiting;
	struct gate_writable_list writables;
	size_t n_waiting, n_writables;
	bool resolves;		     /* the server is one whose REALPATH follows symlinks */
	char *home;		     /* owned; NULL: the server has not said */
	char *known[GATE_KNOWN_MAX]; /* owned; real paths that the server named last */
	size_t next_known;
	const char *why;
};

/* 0; ERR_DENIED too many wait (g->why); -ENOMEM. handle, len: what the request closes; 0 nothing. */
int gate_wait_for(struct gate *g, uint32_t id, enum gate_reason what, const uint8_t *handle,
    size_t len) MUST_CHECK;
/* The oldest request of this id; NULL: its answer does not matter. */
struct gate_waiting *gate_find_waiting(struct gate *g, uint32_t id);
/* A handle that q's answer brings was closed unseen: whatever has it by now, q did not open. */
bool gate_is_closed_behind(const struct gate_waiting *q, const uint8_t *handle, size_t len);
void gate_drop_waiting(struct gate *g, struct gate_waiting *q);
/* NULL: no handle that was opened for writing. */
struct gate_writable *gate_find_writable(struct gate *g, const uint8_t *handle, size_t len);
/* h: may be NULL. */
void gate_drop_writable(struct gate *g, struct gate_writable *h);
/* Remember a handle; those above the limit are not, so what takes one is refused. 0; -ENOMEM. */
int gate_add_writable(struct gate *g, const uint8_t *handle, size_t len) MUST_CHECK;
/* Forget all requests and handles. */
void gate_forget(struct gate *g);

/* path is one of the prefixes, or lies below one; there are none: it may be any. */
bool gate_is_within(const char *path, const struct gate_prefixes *p);
/* A prefix lies below path: it is one of the folders on the way to it. */
bool gate_is_above(const char *path, const struct gate_prefixes *p);
/*
 * The path as the server will take it, absolute and normalised, into real of GATE_REAL_MAX bytes. NULL, or why it cannot be
 * judged. by_text: ".." takes the name before it away whatever that is, for a path of which nothing but its own name is told.
 */
#define GATE_REAL_MAX (2 * GATE_PATH_MAX + 2)
const char *gate_real_path(
    const struct gate *g, const uint8_t *path, size_t path_len, bool by_text, char *real);
/* The server has named this path, absolute and normalised, or one below it. */
bool gate_is_told(const struct gate *g, const char *path);
/* The folder that relative paths begin in is path, or lies below it, or is not known. */
bool gate_holds_home(const struct gate *g, const char *path);
/* Whether a relative path is the folder that it begins in: "", ".", "./", "././.". */
bool gate_is_home(const uint8_t *path, size_t path_len);
/* Take what VERSION says of extensions, of which c is the rest behind the number. */
void gate_take_version(struct gate *g, struct fxp_cursor *c);
/*
 * Remember a real path of the server's, of which c is the NAME behind its id; it is absolute and normalised, or it is not
 * believed. 0; -ENOMEM.
 */
int gate_learn(struct gate *g, enum gate_reason what, struct fxp_cursor *c) MUST_CHECK;

/*
 * Judge the request whose head is in g->front; what follows from that is remembered, and a refusal told. 0; ERR_DENIED
 * it cannot be judged (g->why); -ENOMEM; what refused() answered.
 */
int gate_judge(struct gate *g, bool *ret_refused) MUST_CHECK;

#endif
