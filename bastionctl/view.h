/* What the commands that look at recordings share: the sandbox, values as text, JSON documents. */
#ifndef BASTION_CTL_VIEW_H
#define BASTION_CTL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bastionctl/rd.h"
#include "lib/err.h"
#include "lib/json.h"

/*
 * From here on only what is open already can be reached: called when the reader runs and every file is open, before a byte of a
 * recording is read. CMD_YES; CMD_UNSURE after a line on stderr.
 */
int view_close_sandbox(void) MUST_CHECK;

/* The value of --channel (NULL: not given), 0 for none. CMD_YES; CMD_USAGE after a line on stderr. */
int view_channel_opt(const char *text, uint32_t *ret_channel) MUST_CHECK;
/*
 * The description in front of a session's events. *ret_session: borrowed from rd as long as only events follow. CMD_YES; else after
 * a line on stderr.
 */
int view_session(struct rd *rd, const struct json_node **ret_session) MUST_CHECK;

/* "0.4s", "12.3s", "3m05s", "2h03m", "4d02h". Returns dst. */
char *view_span(char *dst, size_t size, uint64_t ns);
/* "512B", "1.5K", "20M": powers of 1024. Returns dst. */
char *view_size(char *dst, size_t size, uint64_t bytes);
/* An RFC 3339 time in UTC as local time for people; as it is when it is not one. Returns dst. */
char *view_time(char *dst, size_t size, const char *utc);

/* A value as a document of its own, indented, on stdout. CMD_YES; CMD_UNSURE after a line on stderr. */
int view_json_document(const struct json_node *n) MUST_CHECK;
/* A member of a list that is written as it comes, on a line of its own. first: no comma before it. 0; -ENOMEM. */
int view_json_item(FILE *f, const struct json_node *n, bool first) MUST_CHECK;

#endif
