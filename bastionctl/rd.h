/*
 * The client's side of bastiond-reader (recorder/recorder_proto.h): where recordings come from, whether through a running
 * bastiond, which notes every look in its audit log, or from a copy of a store on this machine.
 */
#ifndef BASTION_CTL_RD_H
#define BASTION_CTL_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/cmd.h"
#include "lib/err.h"
#include "lib/json.h"
#include "recorder/event.h"
#include "recorder/recorder_proto.h"

/* For the table of options of every command that reads recordings. */
#define RD_OPT_STORE                                                                               \
	{ "--store", 0, "DIR", "read this copy of a store instead of the running bastion's" },     \
	    { "--bundle", 0, "FILE", "read the session in this bundle (export --format bundle)" }, \
	{                                                                                          \
		"--auditor-key", 0, "FILE",                                                        \
		    "open what is sealed with this secret key of an auditor"                       \
	}

/* Names a file like --auditor-key, where that is not given. */
#define RD_ENV_AUDITOR_KEY "BASTION_AUDITOR_KEY"

struct rd;

/*
 * Find out where recordings are: --bundle FILE, --store DIR (a store, or a state directory that holds one), else c's
 * configuration. CMD_YES; CMD_UNSURE or CMD_USAGE after a line on stderr.
 */
struct rd_place {
	bool copy;		 /* --store was given */
	bool bundle;		 /* --bundle was given */
	char store[PATH_MAX];	 /* folder of data.mdb, or the bundle */
	char key_file[PATH_MAX]; /* recorder.pub, beside or in the store, or beside the bundle */
};
int rd_find(struct cmd_ctx *c, struct rd_place *ret_place) MUST_CHECK;

/*
 * The session that a command is about: its argument, or the one in the bundle. NULL: there is none, which was said on stderr.
 */
const char *rd_session(const struct cmd_ctx *c, int n_args, const char *const *args);

/* What may be read without a bastiond that notes it. */
enum rd_view {
	RD_CONTENT, /* recordings and listings: of a store that no bastiond runs on only when --store names it */
	RD_PROOF /* whether they are whole */
};

/*
 * Start a reader. With an auditor's key (--auditor-key, $BASTION_AUDITOR_KEY), whose passphrase is asked for here, what is
 * sealed to it comes opened: RD_EVENTS for RD_SEALED, and whole JSON. args: after --store DIR, NULL-terminated. *ret_rd: owned by caller, rd_close(). CMD_YES; else after a line on
 * stderr.
 */
int rd_open(struct cmd_ctx *c, const struct rd_place *place, enum rd_view view,
    const char *const *args, struct rd **ret_rd) MUST_CHECK;
/* The same on an edge that is there already; fd: owned by rd from success on. 0; -ENOMEM; -errno. */
int rd_attach(int fd, struct rd **ret_rd) MUST_CHECK;
void rd_close(struct rd *rd);

struct rd_msg {
	enum rd_type type;
	const struct json_node
	    *json;	     /* RD_BEGIN, RD_ITEM: borrowed until the next of its type; else NULL */
	const uint8_t *data; /* RD_EVENTS, RD_TEXT, RD_ENTRY: borrowed until the next call */
	size_t len;
	bool more;		     /* RD_ENTRY: more of it follows */
	uint64_t first_seq, base_ns; /* RD_EVENTS */
	uint64_t at_ns;		     /* RD_SCREEN, whose last event is first_seq */
	uint32_t channel, cols, rows;
	enum rd_hits hits;    /* RD_HITS; data: the hits as they are in it */
	uint32_t done, total; /* pieces of the index that were looked at, of so many */
};
/* The next message, as long as it takes. 0; ERR_NOT_FOUND: it was the end, see rd_end(); ERR_PEER_GONE; ERR_FORMAT; -errno. */
int rd_next(struct rd *rd, struct rd_msg *ret_msg) MUST_CHECK;
/*
 * The next event; ret_ev->data is borrowed until the next call. Errors as above.
 */
int rd_next_event(struct rd *rd, struct event *ret_ev) MUST_CHECK;
/*
 * The next event, or what else comes between events: RD_SCREEN (after a seek), RD_HITS (after rd_look()) or RD_ITEM (the session
 * as it ended, of a watched one), in *ret_msg; its type is RD_EVENTS when *ret_ev was set. wait: false: -EAGAIN when nothing is there yet. Else as above.
 */
int rd_next_step(struct rd *rd, bool wait, struct event *ret_ev, struct rd_msg *ret_msg) MUST_CHECK;
/*
 * Go back or on to an event at or (by some blocks) before at_ns; what was on its way is dropped. channel: whose screen is wanted,
 * as RD_SEEK; 0: none. 0; -errno.
 */
int rd_seek(struct rd *rd, uint64_t at_ns, uint32_t channel) MUST_CHECK;
/*
 * Look for text (1 to RD_FIND_MAX bytes) in the index, as RD_FIND; what was on its way is dropped, and events come again after
 * rd_seek(). 0; -ENOMEM; ERR_LIMIT; -errno.
 */
int rd_look(struct rd *rd, uint32_t channel, bool with_case, const char *text) MUST_CHECK;
/* To wait until something is there, together with other descriptors. Borrowed. */
int rd_fd(const struct rd *rd);

/*
 * The sealed session that a search tells of, with its key: as unseal_session(). And what was done with it: RD_TAKE, awaited by the
 * reader after it told of one, and again after all that RD_TAKE_SEND asks for. 0; errors as of rd_next().
 */
struct sess;
int rd_sealed(const struct rd *rd, const struct sess **ret_s, const uint8_t **ret_key) MUST_CHECK;
int rd_send_taken(struct rd *rd, const struct rd_taken *taken) MUST_CHECK;

/* Checkpoint notes for a reader that was told how many bytes of them come. 0; errors as of rd_next(). */
int rd_send_notes(struct rd *rd, const char *text, size_t len) MUST_CHECK;

/*
 * r: what rd_next() returned last, 0 when the caller has all it wants. Say on stderr what went wrong, if anything did; returns the
 * exit code.
 */
int rd_end(struct rd *rd, int r);

#endif
