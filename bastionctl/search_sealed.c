/* Sealed sessions, one at a time: from the cache, or from blocks that are opened and rendered here. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/search_sealed.h"
#include "recorder/find.h"
#include "recorder/sess.h"

#define HIT_MAX (64u << 20) /* bytes of one hit as JSON */

struct search_sealed {
	struct search_query q;
	struct find *find;
	const uint8_t *filter;
	size_t filter_len;
	struct text_cache *cache; /* NULL: none */
	struct chunk chunk;	  /* of the cache */

	/* the session that is searched */
	struct derived_key key;
	const struct sess *s;
	bool damaged;
};

void
search_sealed_free(struct search_sealed *s)
{
	if (s == NULL)
		return;
	find_free(s->find);
	chunk_done(&s->chunk);
	search_query_done(&s->q);
	derived_key_done(&s->key);
	free(s);
}

int
search_sealed_new(const char *query, struct text_cache *cache, struct search_sealed **ret_s,
    char why[SEARCH_WHY_MAX])
{
	struct search_sealed *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->cache = cache;
	if ((r = search_query_parse(query, strlen(query), &s->q, why)) != 0 ||
	    (r = find_new(&s->q, &s->find, why)) != 0) {
		search_sealed_free(s);
		return r;
	}
	s->filter = find_filter(s->find, &s->filter_len);
	*ret_s = s;
	return 0;
}

uint32_t
search_sealed_limit(const struct search_sealed *s)
{
	return s->q.limit;
}

/* ERR_NOT_FOUND: it is not there, or not whole. */
static int
from_cache(struct search_sealed *s)
{
	bool full = false;
	uint32_t n = 0;
	int r;

	/* Of a session that runs there is more each time. */
	if (s->cache == NULL || s->s->state == SESS_OPEN)
		return ERR_NOT_FOUND;
	if ((r = text_cache_find(s->cache, &s->key, s->s->n_events, &n)) != 0)
		return r;
	for (; r == 0 && !full && n > 0; n--) {
		if (!text_cache_may(s->cache, &s->key, n - 1, s->filter, s->filter_len))
			continue;
		if ((r = text_cache_chunk(s->cache, &s->key, n - 1, &s->chunk)) == 0)
			r = find_chunk(s->find, &s->chunk, &full);
	}
	return r == ERR_FORMAT ? ERR_NOT_FOUND : r;
}

static int
on_chunk(void *arg, const struct chunk *c)
{
	struct search_sealed *s = arg;

	return text_cache_put(s->cache, &s->key, c);
}

/* Its events up to where the reader says that they end. */
static int
take_events(struct search_sealed *s, struct rd *rd)
{
	struct rd_msg m;
	int r;

	for (;;) {
		r = rd_next(rd, &m);
		if (r == 0 && m.type == RD_ITEM) {
			s->damaged =
			    s->damaged || !json_bool(json_get(m.json, "sealed_end"), false);
			return 0;
		}
		if (r == 0 && m.type != RD_EVENTS)
			return ERR_FORMAT;
		/* What lies behind damage is not told as if it were whole. */
		if (r == 0 && !s->damaged)
			r = find_events(s->find, m.data, m.len, m.first_seq, m.base_ns);
		if (r == ERR_CHAIN || r == ERR_FORMAT)
			s->damaged = true;
		else if (r != 0)
			return r;
	}
}

static int
from_blocks(struct search_sealed *s, struct rd *rd)
{
	bool keep = s->cache != NULL && s->s->state != SESS_OPEN;
	int r;

	if ((r = rd_send_taken(rd, &(struct rd_taken){ .what = RD_TAKE_SEND })) != 0 ||
	    (r = find_render(s->find, keep ? on_chunk : NULL, s)) != 0)
		return r;
	if (keep)
		text_cache_begin(s->cache);
	if ((r = take_events(s, rd)) != 0 || (r = find_render_end(s->find)) != 0)
		return r;
	return keep && !s->damaged ? text_cache_end(s->cache, &s->key, s->s->n_events) : 0;
}

static int
search_opened(struct search_sealed *s, struct rd *rd, uint32_t room)
{
	int r;

	find_begin(s->find, s->s, room);
	if ((r = from_cache(s)) != ERR_NOT_FOUND)
		return r;
	find_begin(s->find, s->s, room);
	return from_blocks(s, rd);
}

int
search_sealed_session(struct search_sealed *s, struct rd *rd, uint32_t room)
{
	struct rd_taken taken = { .what = RD_TAKE_SEARCHED };
	const uint8_t *key = NULL;
	int r = rd_sealed(rd, &s->s, &key);

	if (r == 0) {
		memcpy(s->key.sid, s->s->sid, REC_SID_LEN);
		memcpy(s->key.key, key, CRYPT_KEY_LEN);
		s->damaged = false;
		r = search_opened(s, rd, room);
		derived_key_done(&s->key);
		if (r != 0)
			return r;
		taken.hits = find_hits(s->find);
		taken.more = find_more(s->find);
		taken.what = s->damaged ? RD_TAKE_DAMAGED : RD_TAKE_SEARCHED;
	} else {
		taken.what = r == ERR_SEALED ? RD_TAKE_CLOSED : RD_TAKE_DAMAGED;
	}
	return rd_send_taken(rd, &taken);
}

int
search_sealed_take(struct search_sealed *s, struct json_node **ret_hit)
{
	struct json *j = find_take(s->find);
	char *text = NULL;
	size_t len;
	int r;

	*ret_hit = NULL;
	if (j == NULL)
		return 0;
	if ((r = json_text(j, false, HIT_MAX, &text, &len)) == 0)
		r = json_parse(text, len, ret_hit);
	json_free(j);
	free(text);
	return r;
}
