/*
 * The hits of one session: a query, its rendered lines, and what is told of each line that has a hit. Lines come in chunks of
 * an index, newest chunk first, or out of its events, which are rendered on the spot. For bastiond-reader and, of what is sealed,
 * for bastionctl on the auditor's side: both tell the same.
 */
#ifndef BASTION_RECORDER_FIND_H
#define BASTION_RECORDER_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "recorder/chunk.h"
#include "recorder/search.h"
#include "recorder/sess.h"

struct find;
/* q: borrowed. 0; ERR_FORMAT a bad pattern, and why says where; -ENOMEM. */
int find_new(
    const struct search_query *q, struct find **ret_find, char why[SEARCH_WHY_MAX]) MUST_CHECK;
void find_free(struct find *f);
/* As search_filter(). Borrowed until the next call. */
const uint8_t *find_filter(struct find *f, size_t *ret_len);

/* Begin with a session, of which at most room hits are wanted. s: borrowed until the next one is begun. */
void find_begin(struct find *f, const struct sess *s, uint32_t room);
/*
 * Look through the chunk before those that were looked through. *ret_full: no more hits are wanted. 0; ERR_LIMIT the pattern takes
 * too much work; -ENOMEM.
 */
int find_chunk(struct find *f, const struct chunk *c, bool *ret_full) MUST_CHECK;

/* Called with each chunk that was rendered, in order; borrowed for the call. 0 goes on; else it ends the call and is returned. */
typedef int (*find_chunk_fn)(void *arg, const struct chunk *c);
/*
 * Render instead: all events of the session, in order, from find_render() to find_render_end(), also when they end too soon. fn:
 * NULL: nobody wants the chunks. Errors as above; what fn returned.
 */
int find_render(struct find *f, find_chunk_fn fn, void *arg) MUST_CHECK;
int find_events(struct find *f, const uint8_t *data, size_t len, uint64_t first_seq,
    uint64_t base_ns) MUST_CHECK;
int find_render_end(struct find *f) MUST_CHECK;

/* The next hit, newest first, as search --json tells it: owned by caller. NULL: that were all. */
struct json *find_take(struct find *f);
/* Hits that wait for find_take(); whether there were more than room. */
uint32_t find_hits(const struct find *f);
bool find_more(const struct find *f);
/* Chunks looked through since find_new(). */
uint64_t find_chunks(const struct find *f);

#endif
