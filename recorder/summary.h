/*
 * What a session's channels did, gathered from its events: for the end part of the record, and for
 * sessions still open.
 */
#ifndef BASTION_RECORDER_SUMMARY_H
#define BASTION_RECORDER_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/sess.h"

struct summary {
	struct sess_channel *channels; /* in the order of their opening; owned */
	uint32_t n_channels, size;
	uint32_t last; /* index of the channel seen last, where the search starts */
	char **files;  /* the first file operations, as of struct sess; owned */
	uint32_t n_files, files_size;
	size_t files_len;      /* bytes of them */
	uint32_t files_max;    /* so many are kept, */
	size_t files_text_max; /* and so many bytes of them: at first what a record takes */
	uint64_t files_total;
	struct unseen unseen;
	char *address; /* what the back connected to; owned; NULL: not yet */
};

/* An empty one; summary_done() frees what it gathered, and may be called twice. */
void summary_init(struct summary *s);
void summary_done(struct summary *s);
/*
 * Take one event in. Events that do not parse are passed over: the summary serves people. 0;
 * -ENOMEM.
 */
int summary_add(struct summary *s, const struct event *ev) MUST_CHECK;
/* What it holds takes the place of what sess has of it; s is an empty one then. */
void summary_give(struct summary *s, struct sess *sess);

#endif
