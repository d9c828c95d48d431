/*
 * Events of a block with like put to like, so that they compress better: what is said of each event in columns, then the
 * bytes by who said them. Nothing is lost, to the byte, and nothing is signed in this form: digests are over the events.
 *
 *   varint   nanoseconds in the unit of times: 1 or 1000
 *   6 x varint  bytes of the columns that follow, without the last one, which takes the rest
 *   kinds    one byte for each event, as in the event (event.h)
 *   channels, lengths: as in the event
 *   times    varint, in units, since the event before it
 *   other    payloads of what is none of the below
 *   typed    payloads of LINK_DATA from the front
 *   shown    payloads of LINK_DATA from the back
 */
#ifndef BASTION_RECORDER_BLOCK_COLUMNS_H
#define BASTION_RECORDER_BLOCK_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define COLUMNS_EXTRA 64u /* bytes that the columns are longer than the events, at most */

/* Take apart len bytes of events; dst has room for len + COLUMNS_EXTRA. 0; ERR_FORMAT: those are no events. */
int columns_split(const uint8_t *events, size_t len, uint8_t *dst, size_t *ret_len) MUST_CHECK;
/* Put them together again, at most max bytes at dst. 0; ERR_FORMAT: not of columns_split(), or more than max. */
int columns_join(
    const uint8_t *src, size_t len, uint8_t *dst, size_t max, size_t *ret_len) MUST_CHECK;

#endif
