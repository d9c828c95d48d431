/*
 * A leg: the link of one front and one back, through us. Frames are judged (ledger.h), recorded
 * (chain.h) and handed on after the commit that holds them; those that need a verdict wait for
 * policy, and so does their sender. A destination that does not keep up makes us stop reading its
 * source.
 */
#ifndef BASTION_RECORDER_RECORDER_LINK_H
#define BASTION_RECORDER_RECORDER_LINK_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "recorder/event.h"
#include "recorder/ledger.h"
#include "recorder/recorder_mask.h"
#include "recorder/recorder_stream.h"
#include "recorder/recorder_typed.h"
#include "recorder/release.h"

#define LINK_QUEUE_HIGH 128u /* frames waiting for an end above which its source is not read */
#define LINK_END_WAIT_NS                                                                           \
	20000000000ull	    /* an end closes within this after LINK_END, or is cut off */
#define LINK_TEXT_MAX 1024u /* bytes of a text of policy that are kept */
#define LINK_NO_POLICY "policy cannot be asked at the moment: try again"
#define LINK_REFUSED_MAX                                                                           \
	256u /* audit events about refused requests that one leg may cause, and about streams */

struct recorder;
struct session;
struct leg;

/* A frame that policy was asked about. */
struct held {
	uint32_t ask; /* 0: nothing is held */
	uint16_t type;
	uint32_t channel;
	uint8_t *data; /* owned */
	size_t len;
};

struct end {
	struct leg *leg;
	enum ledger_side side;
	struct ipc *ipc;  /* NULL: it is gone */
	bool ended;	  /* it has sent LINK_END */
	bool told;	  /* it was sent LINK_END: nothing follows */
	bool full;	  /* not read because the other end does not keep up */
	bool paused;	  /* what the ipc was told */
	size_t releasing; /* frames for it that wait for the commit */
	struct held held;
	struct buf *request; /* what came of one in several frames; NULL: none */
	const char *request_why;
	enum ledger_answer request_answer; /* what its first frame was judged to be */
};

struct leg {
	TAILQ_ENTRY(leg) link, touched_link;
	bool touched; /* in the list of those that leg_settle() looks at */
	struct recorder *rec;
	uint32_t id, conn; /* the broker's numbers */
	struct session *session;
	struct ledger *ledger;
	struct end ends[2];
	struct loop_timer *deadline;
	bool ending; /* somebody has said LINK_END, or we have */
	uint8_t end_code;
	char end_text[256], end_by[128];
	uint32_t n_refused;
	struct stream_list streams; /* channels whose bytes are read */
	struct typed_list typed;    /* terminals */
	bool keep_typed;	    /* the rule keeps what is typed, shown or not */
	struct mask_set *masks;	    /* NULL: none */
	struct masked_list masked;  /* streams that they look at */
	struct loop_timer *mask_timer;
	struct buf *mask_space; /* for what is recorded */
	uint32_t n_files;	/* file operations so far */
	uint32_t n_noted;	/* audit events about them */
};
TAILQ_HEAD(leg_list, leg);

/*
 * Begin a leg. env: the rest of REC_OPEN, what it says of environment variables. fds: front's and back's link, taken on
 * success. *ret_why: a line for the user on failure. 0; negative.
 */
int leg_open(struct recorder *rec, uint32_t id, uint32_t conn, const void *meta, size_t meta_len,
    struct buf *env, int fds[2], const char **ret_why) MUST_CHECK;
/* NULL: no such leg. */
struct leg *leg_find(struct recorder *rec, uint32_t id);
/*
 * End it: both ends are told and then have LINK_END_WAIT_NS. The first reason is the one that is
 * recorded.
 */
void leg_end(struct leg *leg, uint8_t code, const char *text, const char *by);
/* Cut it off: whatever has not closed is closed by us. */
void leg_cut(struct leg *leg);
/* Policy's answer; all is borrowed. */
struct leg_verdict {
	uint8_t verdict; /* enum pol_verdict */
	const uint8_t *text, *replacement, *terms;
	size_t text_len, replacement_len, terms_len;
};
/* Carry it out. Answers to nothing that was asked are passed over. */
void leg_verdict(
    struct recorder *rec, uint32_t id, uint32_t ask, const struct leg_verdict *verdict);
/* A request that the ledger has denied, recorded: say so in the record, and answer it. Errors as leg_record(). */
int leg_deny(
    struct end *e, uint32_t channel, const uint8_t *data, size_t len, const char *why) MUST_CHECK;
/* Policy is gone: everything that it was asked is denied. */
void leg_deny_all(struct recorder *rec, const char *text);
/* Send what is durable. item->to is a struct end. */
void leg_release(const struct release_item *item);
/* After a release: who is read again; legs that are over are freed. */
void leg_settle(struct recorder *rec);
/* Reading was frozen or thawed. */
void leg_update_all(struct recorder *rec);
/* The store failed: tell both ends, which nothing can record any more. */
void leg_abandon(struct leg *leg);
void leg_free(struct leg *leg);

/* For recorder_stream.c and recorder_verdict.c. */

/* The end on the other side of its leg; never NULL. */
struct end *leg_opposite(struct end *e);
/* Who is read: nobody whose frame is held, whose destination is full, or while all is frozen. */
void leg_update(struct end *e);
/* Our own frame to an end: recorded like any other. 0; errors of leg_record() and leg_send(). */
int leg_say(
    struct end *to, uint8_t type, uint32_t channel, const void *data, size_t len) MUST_CHECK;
/* Ask policy about a frame, which is recorded, and hold its sender until the answer. data: copied. 0; -ENOMEM; ERR_LIMIT. */
int leg_hold(
    struct end *e, uint16_t type, uint32_t channel, const uint8_t *data, size_t len) MUST_CHECK;

/* As leg_record(), for a request that masks have seen. */
int leg_record_plain(struct leg *leg, enum event_way way, uint8_t type, uint32_t channel,
    const void *data, size_t len) MUST_CHECK;
/* Record an event of the leg. 0; ERR_ORDER it has no session; errors of session_append(), after recorder_fail(). */
int leg_record(struct leg *leg, enum event_way way, uint8_t type, uint32_t channel,
    const void *data, size_t len) MUST_CHECK;
/* Hand a frame, which is recorded, to the end opposite to from. 0; -ENOMEM. */
int leg_send(
    struct end *from, uint16_t type, uint32_t channel, const void *data, size_t len) MUST_CHECK;
enum event_way leg_way_from(const struct end *e);
/* The audit event of a request that e sent and that did not cross; a flood of them is none of audit events. */
void leg_audit_refused(struct end *e, const char *what, const char *why);
/* One audit event about the leg with one more field; a flood of them is not a flood of audit events. */
void leg_audit(struct leg *leg, const char *event, const char *key, const char *text);
/* A line for the user about what was just refused on a channel. Errors as leg_record(). */
int leg_tell(struct leg *leg, uint32_t channel, const char *what, const char *text) MUST_CHECK;
/* Close a channel on both sides; what they still send on it goes nowhere. Errors as leg_record(). */
int leg_cut_channel(struct leg *leg, uint32_t channel) MUST_CHECK;

#endif
