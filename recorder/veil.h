/*
 * Typed bytes of which it is not known yet whether the target shows them. Locked memory has them until it is; then they go
 * into the record, or are wiped. More than ECHO_MEMORY of them, which is a paste of pages, the writing half puts into the record
 * under a key of their run that only locked memory has; the key is put there as well when they were shown (EVENT_SHOWN), and
 * wiped when they were not (EVENT_HIDDEN). The reading half makes of these events what viewers want: data, or a mark.
 *
 * EVENT_VEIL with bytes: u32 run, u32 number of the piece in its run from 0, then u16 n and n bytes, filled up with zeros to one of
 * few sizes, under XChaCha20 with the run's key and the piece's number as nonce. Blocks and digests protect them from changes.
 */
#ifndef BASTION_RECORDER_VEIL_H
#define BASTION_RECORDER_VEIL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/echo.h"
#include "recorder/event.h"

#define VEIL_KEY_LEN 32u
#define VEIL_READER_BYTES (1u << 20) /* bytes of runs that a reader keeps; older ones stay closed */

/* Secret memory for terminals where something is undecided: ECHO_MEMORY bytes for echo.h and keys of ECHO_RUNS runs each. */
struct veil_pool;
struct veil_slot {
	uint8_t memory[ECHO_MEMORY];
	uint8_t keys[ECHO_RUNS][VEIL_KEY_LEN]; /* of run n at n % ECHO_RUNS */
};

struct veil_pool *veil_pool_new(void);	  /* NULL: out of memory */
void veil_pool_free(struct veil_pool *p); /* NULL is allowed; wipes everything */
/* A slot, all zero; NULL: out of memory, or of memory that may be locked. To be given back. */
struct veil_slot *veil_pool_get(struct veil_pool *p);
/* Wipe it and give it back; NULL is allowed. */
void veil_pool_put(struct veil_pool *p, struct veil_slot *slot);

/* Append the payload of an EVENT_VEIL that has bytes, the piece of a run. n: 1 to LINK_DATA_MAX. 0; ERR_LIMIT; -ENOMEM. */
int veil_put(struct buf *b, const uint8_t key[VEIL_KEY_LEN], uint32_t run, uint32_t piece,
    const uint8_t *p, size_t n) MUST_CHECK;
/* The payload of EVENT_SHOWN, for all bytes in pieces of a run, and of EVENT_HIDDEN. 0; ERR_LIMIT; -ENOMEM. */
int veil_put_shown(
    struct buf *b, const uint8_t key[VEIL_KEY_LEN], uint32_t run, size_t all) MUST_CHECK;
int veil_put_hidden(struct buf *b, uint32_t run, enum veil_why why) MUST_CHECK;

struct veil_reader;
struct veil_reader *veil_reader_new(void); /* NULL: out of memory */
void veil_reader_free(struct veil_reader *v);
/* Forget runs under way, for a reader that goes elsewhere in the recording. */
void veil_reader_reset(struct veil_reader *v);
/*
 * Take the next event of the session in; then call veil_reader_next() until it has no more. ev->data: borrowed until then.
 * 0; -ENOMEM.
 */
int veil_reader_add(struct veil_reader *v, const struct event *ev) MUST_CHECK;
/*
 * The next event for viewers: shown bytes are LINK_DATA with place and time of EVENT_SHOWN, the events that carried them are
 * left out, everything else is as it was. ret_ev->data: borrowed until the next call. 0; ERR_NOT_FOUND: add another event.
 */
int veil_reader_next(struct veil_reader *v, struct event *ret_ev) MUST_CHECK;

/* Why something is hidden, of an EVENT_HIDDEN, for people: "a prompt asked for a secret". Static; "" for other events. */
const char *veil_why_text(const struct event *ev);

#endif
