/*
 * The parts of the rsync watch: its command (watch_rsync_command.c), elements and frames (watch_rsync_stream.c), file lists
 * (watch_rsync_list.c), what became of files (watch_rsync_result.c), and the conversation itself (watch_rsync.c).
 *
 * Two sides: the sender gives a file list and files, the receiver asks for them by their index; either may be the target.
 * Numbers on the wire are little-endian.
 */
#ifndef BASTION_RECORDER_WATCH_RSYNC_PART_H
#define BASTION_RECORDER_WATCH_RSYNC_PART_H

#include <sys/queue.h>

#include "recorder/watch_priv.h"

#define RS_PATH_MAX 4096u	   /* bytes of a name in a list, and its NUL */
#define RS_NAMES_MAX 256u	   /* bytes of a list of algorithms, and its NUL */
#define RS_ELEMENT_MAX 12288u	   /* bytes of the longest element: an entry of a list */
#define RS_LISTS_MAX (24u << 20)   /* bytes of lists, of one channel */
#define RS_WAITING_MAX (16u << 20) /* bytes of results that wait, of one channel */
#define RS_RESULTS_MAX 65536u	   /* results that wait */

/* Compression of contents. */
enum rs_packing { RS_PLAIN, RS_ZLIB, RS_ZLIBX, RS_LZ4, RS_ZSTD };

/* What the command says about the wire. */
struct rs_options {
	bool sender; /* the target sends */
	bool uid, gid, devices, specials, links, checksum, atimes, crtimes;
	bool numeric_ids, dry_run, append;
	bool deletes, prunes; /* so that a receiving target is told the filters */
	bool compress;
	bool names_cross;  /* --files-from: the receiver says what it wants */
	bool clean_errors; /* the target's errors come as messages, not on its stderr */
	uint64_t level;	   /* of compression */
	bool has_level;
	char checksum_choice[RS_NAMES_MAX], compress_choice[RS_NAMES_MAX]; /* "": negotiated */
};

/* Read "rsync --server ...". 0; ERR_FORMAT a command or an option that cannot be followed; -ENOMEM. */
int rs_options_read(struct rs_options *o, const char *command) MUST_CHECK;

/* What is found out about the stream: positive, so that no answer of a sink is taken for it. */
#define RS_SHORT 1 /* more must come first */
#define RS_WRONG 2 /* this is not the protocol */
#define RS_FULL 3  /* more than is kept */

/*
 * Elements: read from the bytes that came so far. All return 0; RS_SHORT when more must come first (the cursor knows how
 * many at least); RS_WRONG.
 */
struct rs_cursor {
	const uint8_t *p;
	size_t len, off, need;
};
int rs_bytes(struct rs_cursor *c, size_t len, const uint8_t **ret_p) MUST_CHECK;
int rs_u8(struct rs_cursor *c, uint8_t *ret_v) MUST_CHECK;
int rs_u16(struct rs_cursor *c, uint16_t *ret_v) MUST_CHECK;
int rs_i32(struct rs_cursor *c, int32_t *ret_v) MUST_CHECK;
/* 1 to 5 bytes; the first one's high bits count the others. */
int rs_varint(struct rs_cursor *c, int32_t *ret_v) MUST_CHECK;
/* min to 9 bytes, likewise. */
int rs_varlong(struct rs_cursor *c, size_t min, int64_t *ret_v) MUST_CHECK;
/* 1 or 2 bytes of length, then that many. */
int rs_vstring(struct rs_cursor *c, size_t max, const uint8_t **ret_p, size_t *ret_len) MUST_CHECK;

/* Indexes are said as what they differ by from the one before. */
struct rs_index {
	int32_t positive, negative;
};
#define RS_DONE (-1)
#define RS_LISTS_END (-2)
#define RS_DELETED (-3)
#define RS_LIST_OF (-101) /* minus the directory */
int rs_index(struct rs_cursor *c, struct rs_index *at, int32_t *ret_v) MUST_CHECK;

/* One entry of a file list. */
struct rs_entry {
	uint32_t name; /* where it begins among the list's names */
	uint32_t name_len;
	uint64_t size;
	uint32_t mode;
	uint32_t order; /* as it came */
	uint32_t asked; /* times that the receiver asked for it and was not given it */
	bool given;	/* once at least */
};

struct rs_list {
	int32_t start; /* index of the first entry; the one before stands for the directory */
	struct rs_entry *entries;
	size_t n, n_room;
	char *names;
	size_t names_len, names_room;
};

/* All lists that are open, oldest first: list[0] to list[n - 1], behind dropped places. */
struct rs_lists {
	struct rs_list **list;
	size_t n, n_room, dropped;
	size_t done;   /* so many of them the receiver has done with */
	int32_t next;  /* index of the next list's first entry */
	bool ended;    /* no further one comes */
	size_t memory; /* bytes of all of them */
};
void rs_lists_done(struct rs_lists *l);
/* A new one. 0; RS_FULL; -ENOMEM. */
int rs_lists_begin(struct rs_lists *l) MUST_CHECK;
/* Add an entry to the newest; its name is copied. 0; RS_FULL; -ENOMEM. */
int rs_lists_add(
    struct rs_lists *l, const char *name, size_t len, uint64_t size, uint32_t mode) MUST_CHECK;
/* The newest is complete: entries now stand as indexes count them. */
void rs_lists_sort(struct rs_lists *l);
/*
 * The entry of an index; *ret_entry NULL: a directory's own. *ret_name: borrowed until the list is dropped. 0; RS_WRONG.
 */
int rs_lists_find(struct rs_lists *l, int32_t index, struct rs_entry **ret_entry,
    const char **ret_name) MUST_CHECK;
/* Forget the oldest. */
void rs_lists_drop(struct rs_lists *l);

/* What became of a file that was sent to the target; waits until the target said how all ended. */
struct rs_result {
	TAILQ_ENTRY(rs_result) next;
	uint32_t number, mode, status;
	uint64_t size, bytes;
	bool has_hash, more_ranges, answered;
	uint8_t sha256[32];
	struct watch_range *ranges; /* owned; NULL: none */
	size_t n_ranges;
	char *text; /* owned, the target's words; NULL: none */
	size_t path_len;
	uint8_t path[];
};
struct rs_results {
	TAILQ_HEAD(rs_result_head, rs_result) head;
	size_t n, memory;
	uint64_t steps; /* of looking for the file that an error is about */
};
void rs_results_init(struct rs_results *q);
void rs_results_done(struct rs_results *q);
/* Keep a copy; tell the oldest, unanswered, when there are too many. 0; -ENOMEM; what the sink answered. */
int rs_results_keep(struct watch *w, struct rs_results *q, const struct watch_file *f) MUST_CHECK;
/* Words of the target: they are put to the file that they name. Whether there is one. */
bool rs_results_blame(struct rs_results *q, const char *words, size_t len);
/* Tell all; answered: how the target ended, and with what status. */
int rs_results_tell(
    struct watch *w, struct rs_results *q, bool answered, uint32_t status) MUST_CHECK;

/* The side that bytes come from. */
struct rs;
struct rs_side;
/* Read one element; c holds what came of it. Results as of the elements; RS_FULL; -ENOMEM; what the sink answered. */
typedef int (*rs_step)(struct watch *w, struct rs_side *x, struct rs_cursor *c);
/* Called once before the next byte is looked at: what it is may hang on what the other side has said. */
typedef int (*rs_before)(struct watch *w, struct rs_side *x);

struct rs_side {
	enum event_way way;
	rs_step step;
	rs_before before; /* NULL: none */
	uint8_t element[RS_ELEMENT_MAX];
	size_t n_element, need;
	uint64_t skip;	  /* bytes of protocol that nobody looks at */
	uint64_t packed;  /* bytes of compressed content */
	uint64_t literal; /* bytes of content */

	bool framed;
	uint8_t head[4];
	size_t n_head;
	uint32_t frame_left;
	uint8_t tag;
	uint8_t text[1024]; /* of a message, cut */
	size_t n_text;
	uint32_t text_len; /* uncut */

	struct rs_index index;
	unsigned phase;
	int32_t version;
	unsigned n_names; /* lists of algorithms that it still says */
	char checksums[RS_NAMES_MAX], packings[RS_NAMES_MAX];
};

/* The file that the sender is giving. */
struct rs_giving {
	struct watch_track *track; /* NULL: none */
	struct rs_entry *entry;
	const char *name;
	uint32_t number;
	uint64_t offset;
	int32_t blocks, block_len, last_len; /* of what the receiver has */
	int32_t token;			     /* the last one, when compressed */
	bool unknown;			     /* content came that is not read */
};

struct rs_unpack;

struct rs {
	struct rs_options o;
	struct rs_side front, back, *sender, *receiver;
	int32_t protocol, abilities;
	bool has_abilities, ready, lists_grow;
	size_t sum_len, list_sum_len;
	enum rs_packing packing;
	bool told_packing;

	struct rs_lists lists;
	char last[RS_PATH_MAX]; /* the name before, of which entries leave a part out */
	size_t last_len;
	uint32_t mode; /* likewise */
	unsigned n_ids;

	struct rs_giving giving;
	struct rs_unpack *unpack; /* owned; NULL: not zstd */
	struct rs_results results;
	char trouble[WATCH_TEXT_MAX]; /* the target's last words */
	bool has_code;
	uint32_t code; /* that the target ends with */

	const uint8_t *untold; /* protocol that the sink does not know yet */
	size_t n_untold;
};

/* Bits of the server's answer to what the client can do. */
#define RS_CAN_GROW (1 << 0)  /* lists come one directory at a time */
#define RS_CAN_SAFE (1 << 3)  /* an error may end a list */
#define RS_CAN_NAMES (1 << 7) /* algorithms are negotiated, flags are varints */
#define RS_CAN_ID0 (1 << 8)   /* names of id 0 too */

/* The first step of a side. */
int rs_step_version(struct watch *w, struct rs_side *x, struct rs_cursor *c) MUST_CHECK;
/* A new list comes. */
int rs_list_begin(struct watch *w, struct rs_side *x) MUST_CHECK;
/* The sender's index, and the receiver's. */
int rs_step_give(struct watch *w, struct rs_side *x, struct rs_cursor *c) MUST_CHECK;
int rs_step_ask(struct watch *w, struct rs_side *x, struct rs_cursor *c) MUST_CHECK;
/* Bytes of content as they are, and compressed. */
int rs_give_literal(struct watch *w, const uint8_t *p, size_t len) MUST_CHECK;
int rs_give_packed(struct watch *w, const uint8_t *p, size_t len) MUST_CHECK;
/* The file under way is over; whole: the sender ended it. */
int rs_give_end(struct watch *w, bool whole) MUST_CHECK;
/* The sender cannot give a file that it was asked for. */
int rs_give_none(struct watch *w, int32_t index) MUST_CHECK;
void rs_give_done(struct rs *s);

/*
 * zstd, in the one stream that all files of a conversation share. Output is bounded by input; see watch_rsync_unpack.c.
 */
struct rs_unpack *rs_unpack_new(void); /* NULL: out of memory */
void rs_unpack_free(struct rs_unpack *u);
/* All that these bytes give, to t at *offset, which moves on. 0; RS_WRONG not zstd; RS_FULL it is not unpacked any more. */
int rs_unpack_add(struct rs_unpack *u, const uint8_t *p, size_t len, struct watch_track *t,
    uint64_t *offset) MUST_CHECK;

#endif
