/*
 * Searching what is sealed, on the auditor's side: of each sealed session that a reader tells of (recorder_proto.h, search) the
 * text is rendered here, or taken from the auditor's cache, and looked through as the reader does it with the others.
 */
#ifndef BASTION_CTL_SEARCH_SEALED_H
#define BASTION_CTL_SEARCH_SEALED_H

#include <stdint.h>

#include "bastionctl/rd.h"
#include "bastionctl/text_cache.h"
#include "lib/err.h"
#include "lib/json.h"
#include "recorder/search.h"

struct search_sealed;
/* query: as the reader gets it. cache: borrowed; NULL: none. 0; ERR_FORMAT, and why says what is wrong; -ENOMEM. */
int search_sealed_new(const char *query, struct text_cache *cache, struct search_sealed **ret_s,
    char why[SEARCH_WHY_MAX]) MUST_CHECK;
void search_sealed_free(struct search_sealed *s);
/* Hits that the query wants at most. */
uint32_t search_sealed_limit(const struct search_sealed *s);
/*
 * rd has told of a sealed session, of which at most room hits are wanted. 0, also when it does not open; ERR_LIMIT the pattern takes
 * too much work; -ENOMEM; errors of rd_next().
 */
int search_sealed_session(struct search_sealed *s, struct rd *rd, uint32_t room) MUST_CHECK;
/* The next of its hits, newest first: *ret_hit: owned by caller, NULL: there is none. 0; -ENOMEM. */
int search_sealed_take(struct search_sealed *s, struct json_node **ret_hit) MUST_CHECK;

#endif
