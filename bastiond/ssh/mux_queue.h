/*
 * What waits for an SSH peer on one channel, in the order in which it came: data of two streams and whole messages.
 * Memory is taken when something waits and given back when it has gone; small pieces of one stream are joined.
 */
#ifndef BASTION_MUX_QUEUE_H
#define BASTION_MUX_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define MUX_Q_OUT 0u /* bytes for SSH_MSG_CHANNEL_DATA */
#define MUX_Q_ERR 1u /* bytes for SSH_MSG_CHANNEL_EXTENDED_DATA, type stderr */
/* Any other kind is the number of a channel message; its bytes follow the recipient channel. */

struct mux_block;

/* All zero: empty. */
struct mux_queue {
	struct mux_block *head, *tail;
	size_t taken;	   /* bytes of the first record's data that are gone */
	size_t last;	   /* where the last record begins in tail */
	size_t n_data;	   /* bytes of data that wait */
	size_t n_others;   /* messages that wait, */
	size_t others_len; /* and their bytes */
};

struct mux_rec {
	uint8_t kind;
	const uint8_t *data; /* borrowed until the queue changes */
	size_t len;
};

/* Add at the end; copied. 0; -ENOMEM (nothing was added). */
int mux_queue_put(struct mux_queue *q, uint8_t kind, const void *data, size_t len) MUST_CHECK;
/* The first record, what is left of it. false: empty. */
bool mux_queue_peek(const struct mux_queue *q, struct mux_rec *ret_rec);
/* n bytes of the first record are done with; a message goes as a whole. */
void mux_queue_take(struct mux_queue *q, size_t n);
bool mux_queue_empty(const struct mux_queue *q);
void mux_queue_free(struct mux_queue *q);

#endif
