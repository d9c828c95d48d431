/* What somebody looks for in recordings: a query taken apart, and where it stands in rendered lines. */
#ifndef BASTION_RECORDER_SEARCH_H
#define BASTION_RECORDER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/chunk.h"
#include "recorder/sess.h"

#define SEARCH_QUERY_MAX 16384u /* bytes of a query */
#define SEARCH_TEXT_MAX 4096u	/* bytes of what is looked for */
#define SEARCH_LIMIT 100u	/* hits, unless told otherwise */
#define SEARCH_LIMIT_MAX 100000u
#define SEARCH_CONTEXT_MAX 100u /* lines on each side of a hit */
#define SEARCH_WHY_MAX 300u

/*
 * A query is a JSON object; every member may be left out:
 *   text STRING, regex BOOL, case BOOL, in [screen typed command file], identity login host source rule STRING (* and ? match),
 *   sealed BOOL (whoever asks searches sealed sessions themselves), exit NUMBER, since until NUMBER (nanoseconds since 1970), limit NUMBER, context NUMBER
 * Without text it is about sessions themselves.
 */
struct search_query {
	char *text; /* NULL: none; owned */
	size_t len;
	bool regex, with_case, sealed;
	unsigned kinds; /* 1 << enum render_kind of those that are looked at */
	char *identity, *login, *host, *source, *rule; /* NULL: any; owned */
	bool has_exit;
	uint64_t exit, since_ns, until_ns; /* until: UINT64_MAX: none */
	uint32_t limit, context;
};
/* 0, then search_query_done(); ERR_FORMAT, and why says what is wrong with it; -ENOMEM. */
int search_query_parse(
    const char *text, size_t len, struct search_query *ret_q, char why[SEARCH_WHY_MAX]) MUST_CHECK;
void search_query_done(struct search_query *q);
/* Whether a session may have what is looked for, by what its record says. */
bool search_wants(const struct search_query *q, const struct sess *s);

/* A query that is ready to run. q: borrowed. */
struct search;
/* 0; ERR_FORMAT a bad pattern, and why says where; -ENOMEM. */
int search_new(
    const struct search_query *q, struct search **ret_search, char why[SEARCH_WHY_MAX]) MUST_CHECK;
void search_free(struct search *s);
/* The folded text that every hit holds, for filters; *ret_len less than 3: none is known. */
const uint8_t *search_filter(const struct search *s, size_t *ret_len);

struct search_hit {
	const struct chunk *chunk;
	size_t line;	      /* number of its line there */
	const uint8_t *text;  /* the line; borrowed for the call */
	size_t len, from, to; /* where the hit stands in it, in bytes */
};
/* 0 goes on; anything else ends search_chunk() and is returned. */
typedef int (*search_fn)(void *arg, const struct search_hit *hit);
/*
 * Each line of the chunk that has a hit, once, in their order. opened_ns: the session's start, to which the query's times are
 * compared. 0; ERR_LIMIT the pattern takes too much work; -ENOMEM; what fn returned.
 */
int search_chunk(struct search *s, const struct chunk *c, uint64_t opened_ns, search_fn fn,
    void *arg) MUST_CHECK;
/* Line i of a chunk, without its newline; *ret_len. Walks: for the few lines around a hit. */
const uint8_t *search_line(const struct chunk *c, size_t i, size_t *ret_len);

#endif
