/*
 * An auditor's own file of rendered text of sealed sessions, so that a search renders each of them once. Every value in it is
 * encrypted under its session's key (derived_value.h), which only the bastion and an auditor together can make: the file tells
 * nobody anything, and nothing of a session any more whose key was erased. It may be deleted at any time.
 */
#ifndef BASTION_CTL_TEXT_CACHE_H
#define BASTION_CTL_TEXT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/chunk.h"
#include "recorder/derived_value.h"

/* Names a file like --cache, where that is not given. */
#define TEXT_CACHE_ENV "BASTION_AUDITOR_CACHE"
#define TEXT_CACHE_SESSION_MAX                                                                     \
	(256u << 20) /* bytes that are kept of one session: of a larger one nothing is */

struct text_cache;
/*
 * Open or make it, before the sandbox: nothing is opened later. While another process has it to write, it is read only. What is at
 * its end and not whole is cut off. 0; ERR_FORMAT it is another kind of file; -ENOMEM; -errno.
 */
int text_cache_open(const char *file, struct text_cache **ret_cache) MUST_CHECK;
void text_cache_close(struct text_cache *c);

/* Look up a session, made of all n_events. 0; ERR_NOT_FOUND, also when it is damaged; -ENOMEM. */
int text_cache_find(struct text_cache *c, const struct derived_key *key, uint64_t n_events,
    uint32_t *ret_chunks) MUST_CHECK;
/* Of the session that was found: as derived_may() and derived_chunk() (derived.h). */
bool text_cache_may(struct text_cache *c, const struct derived_key *key, uint32_t i,
    const uint8_t *folded, size_t len);
int text_cache_chunk(struct text_cache *c, const struct derived_key *key, uint32_t i,
    struct chunk *chunk) MUST_CHECK;

/*
 * Put a session: begin, its chunks in order, end. What cannot be kept (too large, full disk, read only) is not, and no error.
 * 0; -ENOMEM.
 */
void text_cache_begin(struct text_cache *c);
int text_cache_put(
    struct text_cache *c, const struct derived_key *key, const struct chunk *chunk) MUST_CHECK;
int text_cache_end(
    struct text_cache *c, const struct derived_key *key, uint64_t n_events) MUST_CHECK;

#endif
