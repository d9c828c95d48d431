/*
 * The channels of a leg whose bytes are read (watch.h) or held to a rule (gate.h), by the terms that policy gave with
 * its verdict. What crosses is recorded span by span, with content replaced by its hash or kept and marked; the frames
 * themselves are handed on as they came, but for requests that the rule refuses.
 */
#ifndef BASTION_RECORDER_RECORDER_STREAM_H
#define BASTION_RECORDER_RECORDER_STREAM_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct leg;
struct end;
struct stream;
LIST_HEAD(stream_list, stream);

/*
 * From here on the channel is read by these terms ("": not at all); type and payload are of the frame that crosses. 0;
 * ERR_FORMAT the terms do not parse; -ENOMEM; errors of recording.
 */
int stream_begin(struct leg *leg, uint32_t channel, uint16_t type, const uint8_t *payload,
    size_t payload_len, const uint8_t *terms, size_t terms_len) MUST_CHECK;
/* NULL: the channel is not read. */
struct stream *stream_find(struct leg *leg, uint32_t channel);
/* Bytes of LINK_DATA from an end: recorded and sent on; s is gone when that cut the channel. 0; errors of recording and sending. */
int stream_data(struct stream *s, struct end *from, const uint8_t *data, size_t len) MUST_CHECK;
/* An end sends no more on it: what is held goes on. As stream_data(). */
int stream_eof(struct stream *s, struct end *from) MUST_CHECK;
/* The program's exit status, as the frame's payload has it. Errors of recording. */
int stream_exit(struct stream *s, const uint8_t *payload, size_t len) MUST_CHECK;
/* The channel is over: operations under way are recorded as they stand, and s is gone. Errors of recording. */
int stream_end(struct stream *s) MUST_CHECK;
/* The same for all of a leg. The first error is returned, and all are gone. */
int stream_end_all(struct leg *leg) MUST_CHECK;
/* Forget them, when nothing is recorded any more. */
void stream_free_all(struct leg *leg);

#endif
