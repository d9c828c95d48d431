/*
 * Masks on what a leg records (mask.h): data of channels that no reader of a file protocol follows, typed lines, commands.
 * What crosses is not changed, but its tail may wait for MASK_WAIT_NS.
 */
#ifndef BASTION_RECORDER_RECORDER_MASK_H
#define BASTION_RECORDER_RECORDER_MASK_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/event.h"
#include "recorder/mask.h"

struct leg;
struct end;
struct ipc_msg;
struct masked;
LIST_HEAD(masked_list, masked);

/* The rules of the leg, from its description: names and texts as of mask_set_new(). 0; ERR_FORMAT; -ENOMEM. */
int masked_begin(struct leg *leg, const char *names, const char *texts) MUST_CHECK;
void masked_free_all(struct leg *leg);

/*
 * Data of an end (LINK_DATA, LINK_DATA_EXT), judged: recorded and, with cross, sent on, now or a little later. 0; errors of
 * recording and sending.
 */
int masked_data(struct end *from, const struct ipc_msg *msg, bool cross) MUST_CHECK;
/* What is held back of an end's channel (0: of all its channels) goes on now: another frame follows. Errors as above. */
int masked_flush(struct end *from, uint32_t channel) MUST_CHECK;
/* An end has closed a channel: what is known of its data is forgotten. */
void masked_close(struct end *from, uint32_t channel);
/*
 * Typed bytes with their places; what was typed before is remembered. ret_piece: borrowed until the next call. 0; -ENOMEM. Without
 * rules all of it is one piece without places.
 */
int masked_typed(struct leg *leg, uint32_t channel, const uint8_t *p, size_t n,
    struct mask_piece *ret_piece) MUST_CHECK;
/* Record a piece of LINK_DATA, with a mark where places are left out. Errors of recording. */
int masked_record(struct leg *leg, enum event_way way, uint32_t channel,
    const struct mask_piece *piece) MUST_CHECK;
/* Record a whole request: a command without what is masked of it. Errors of recording. */
int masked_request(struct leg *leg, enum event_way way, uint32_t channel, const uint8_t *data,
    size_t len) MUST_CHECK;

#endif
