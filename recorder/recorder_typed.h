/*
 * Terminals of a leg: what is typed there goes into the record as echo.h decides, veiled or hidden where it may be a secret
 * (veil.h). What crosses is not changed.
 */
#ifndef BASTION_RECORDER_RECORDER_TYPED_H
#define BASTION_RECORDER_RECORDER_TYPED_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct leg;
struct end;
struct ipc_msg;
struct typed;
LIST_HEAD(typed_list, typed);

/*
 * A pty-req of the front crosses (payload: of LINK_REQUEST): its channel is followed from here on, unless the rule keeps what
 * is typed. Other requests that start a program without a terminal's lines (a subsystem) end that. 0; -ENOMEM; errors of
 * recording.
 */
int typed_request(struct leg *leg, uint32_t channel, const uint8_t *payload, size_t len) MUST_CHECK;
/* NULL: the channel has no terminal that is followed. */
struct typed *typed_find(struct leg *leg, uint32_t channel);
/* Record data that an end sent on it; places: of masks on the target's output. 0; errors of recording. */
struct mask_piece;
int typed_data(struct typed *t, struct end *from, const struct mask_piece *piece) MUST_CHECK;
/*
 * A frame that is not data, judged but not recorded: a window size, the answer to the pty-req, a note, the end. *ret_quiet:
 * it is not to be recorded, as it would tell how much was hidden. t may be gone. 0; errors of recording.
 */
int typed_frame(
    struct typed *t, struct end *from, const struct ipc_msg *msg, bool *ret_quiet) MUST_CHECK;
/* What is undecided is hidden, and t is gone. 0; errors of recording. */
int typed_end(struct typed *t) MUST_CHECK;
/* The same for all of a leg. The first error is returned, and all are gone. */
int typed_end_all(struct leg *leg) MUST_CHECK;
/* Forget them, when nothing is recorded any more. */
void typed_free_all(struct leg *leg);

#endif
