/*
 * What may be sent once the next commit is durable: frames for the ends of legs and words for the
 * broker, in order. They lie in one piece of memory that is used again, because at full speed
 * megabytes pass through here between two commits.
 */
#ifndef BASTION_RECORDER_RELEASE_H
#define BASTION_RECORDER_RELEASE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct release;

struct release_item {
	void *to; /* whatever release_add() was given */
	uint16_t type;
	uint32_t id;
	const uint8_t *data; /* borrowed until the next release_add() or release_done() */
	size_t len;
};

struct release *release_new(void); /* NULL: out of memory */
void release_free(struct release *q);
/* Append; data is copied. to: borrowed, must live until it was released. 0; -ENOMEM. */
int release_add(struct release *q, void *to, uint16_t type, uint32_t id, const void *data,
    size_t len) MUST_CHECK;
/* Call fn for each, oldest first, and forget them. fn must not add. */
void release_all(
    struct release *q, void (*fn)(void *arg, const struct release_item *item), void *arg);
size_t release_bytes(const struct release *q);

#endif
