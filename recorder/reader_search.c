/* The verb search: newest sessions first, each from its index, or rendered where it has none. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/derived_part.h"
#include "recorder/reader.h"
#include "recorder/reader_json.h"
#include "recorder/recording.h"
#include "recorder/search.h"
#include "recorder/sess.h"

#define SEARCH_PEEK 64u /* chunks between looks whether somebody still waits for hits */

/* The newest hits of one session: a ring, because the older ones are told last or not at all. */
struct ring {
	struct json **hits; /* owned, room of them */
	size_t room, n, next;
	uint64_t dropped;
};

struct finder {
	struct reader *rd;
	struct search_query q;
	struct search *search; /* NULL: about sessions only */
	const uint8_t *filter;
	size_t filter_len;
	struct chunk chunk, spare; /* of the index; of what is rendered */
	const struct sess *s;	   /* the one that is looked at */
	struct ring ring;	   /* of a chunk, or of all that is rendered */
	struct json **found;	   /* of the session, newest first; owned, q.limit of them */
	uint32_t n_found;
	unsigned peeks;
	uint32_t told;
	uint64_t sessions, rendered, rendered_bytes, sealed, erased, damaged, chunks, skipped;
	bool more; /* there are hits that were not told */
};

static void
ring_reset(struct ring *g)
{
	for (size_t i = 0; i < g->room; i++) {
		json_free(g->hits[i]);
		g->hits[i] = NULL;
	}
	g->n = g->next = 0;
	g->dropped = 0;
}

static void
ring_put(struct ring *g, struct json *j)
{
	json_free(g->hits[g->next]);
	g->hits[g->next] = j;
	g->next = (g->next + 1) % g->room;
	if (g->n < g->room)
		g->n++;
	else
		g->dropped++;
}

static void
put_meta(struct json *j, const char *key, const struct sess *s, enum rec_meta tag)
{
	const uint8_t *p;
	size_t len;

	if (sess_meta(s, tag, &p, &len))
		json_put_bytes(j, key, p, len, REC_META_MAX);
	else
		json_put_null(j, key);
}

/* Lines of the same channel and kind around line i, in their order. step: -1 before, 1 behind. */
static struct json *
hit_context(const struct chunk *c, size_t i, int step, uint32_t n)
{
	size_t lines[SEARCH_CONTEXT_MAX], found = 0, len;
	struct json *list = json_list();

	for (size_t k = i; found < n && (step > 0 ? k + 1 < c->n_lines : k > 0);) {
		k = step > 0 ? k + 1 : k - 1;
		if (c->lines[k].channel == c->lines[i].channel &&
		    c->lines[k].kind == c->lines[i].kind)
			lines[found++] = k;
	}
	for (size_t k = 0; k < found; k++) {
		const uint8_t *p = search_line(c, lines[step > 0 ? k : found - 1 - k], &len);

		json_put_bytes(list, NULL, p, len, SCREEN_LINE_MAX + 4);
	}
	return list;
}

static int
on_hit(void *arg, const struct search_hit *hit)
{
	struct finder *f = arg;
	const struct chunk_line *l = &hit->chunk->lines[hit->line];
	char id[2 * REC_SID_LEN + 1];
	struct json *j = json_map();

	if (j == NULL)
		return -ENOMEM;
	json_put_str(j, "id", str_hex(id, f->s->sid, REC_SID_LEN));
	put_meta(j, "identity", f->s, REC_META_IDENTITY);
	put_meta(j, "login", f->s, REC_META_LOGIN);
	put_meta(j, "host", f->s, REC_META_HOST);
	json_put_time(j, "time", f->s->opened_wall_ns + l->at_ns);
	json_put_u64(j, "at_ns", l->at_ns);
	json_put_u64(j, "channel", l->channel);
	json_put_str(j, "kind", render_kind_name(l->kind));
	json_put_bytes(j, "line", hit->text, hit->len, SCREEN_LINE_MAX + 4);
	json_put_u64(j, "from", hit->from);
	json_put_u64(j, "to", hit->to);
	if (f->q.context > 0) {
		json_put(j, "before", hit_context(hit->chunk, hit->line, -1, f->q.context));
		json_put(j, "after", hit_context(hit->chunk, hit->line, 1, f->q.context));
	}
	ring_put(&f->ring, j);
	return 0;
}

static int
find_in_chunk(struct finder *f, const struct chunk *c)
{
	f->chunks++;
	return search_chunk(f->search, c, f->s->opened_wall_ns, on_hit, f);
}

static void
found_reset(struct finder *f)
{
	for (uint32_t i = 0; i < f->n_found; i++)
		json_free(f->found[i]);
	f->n_found = 0;
	ring_reset(&f->ring);
}

/* What the ring has, behind what was found so far, newest first; false: no more is wanted. */
static bool
found_take(struct finder *f)
{
	struct ring *g = &f->ring;
	uint32_t room = f->q.limit - f->told;

	for (size_t k = 0; k < g->n && f->n_found < room; k++) {
		size_t i = (g->next + g->room - 1 - k) % g->room;

		f->found[f->n_found++] = g->hits[i];
		g->hits[i] = NULL;
		f->more = f->more || (f->n_found == room && k + 1 < g->n);
	}
	f->more = f->more || g->dropped > 0;
	ring_reset(g);
	return f->n_found < room;
}

/* The newest chunks first, and no more of them than it takes. */
static int
find_look(struct finder *f, struct derived_look *look)
{
	int r = 0;

	for (uint32_t i = derived_chunks(look); r == 0 && i > 0; i--) {
		if (!derived_may(look, i - 1, f->filter, f->filter_len)) {
			f->skipped++;
			continue;
		}
		if ((r = derived_chunk(look, i - 1, &f->chunk)) == 0)
			r = find_in_chunk(f, &f->chunk);
		if (r == 0 && !found_take(f)) {
			f->more = f->more || i > 1;
			break;
		}
	}
	return r;
}

/* ERR_NOT_FOUND: the index does not have it. */
static int
find_indexed(struct finder *f)
{
	struct derived_look *look;
	int r;

	if (f->rd->derived == NULL || f->s->state == SESS_OPEN)
		return ERR_NOT_FOUND;
	if ((r = derived_look(f->rd->derived, f->rd->snap, f->s->sid, f->s->n_events, &look)) != 0)
		return r == -ENOMEM || r == ERR_SEALED || r == ERR_ERASED ? r : ERR_NOT_FOUND;
	r = find_look(f, look);
	derived_leave(look);
	return r == ERR_FORMAT || r == ERR_CHAIN ? ERR_NOT_FOUND : r;
}

static int
on_line(void *arg, const struct render_line *line)
{
	struct finder *f = arg;
	int r;

	if (chunk_is_full(&f->spare)) {
		if ((r = find_in_chunk(f, &f->spare)) != 0)
			return r;
		chunk_reset(&f->spare);
	}
	return chunk_add(&f->spare, line);
}

static int
render_part(struct finder *f, struct render *rn, const struct recording_part *part)
{
	struct event_reader er;
	struct event ev;
	int r;

	event_reader_init(&er, part->data, part->len, part->first_seq, part->base_ns);
	while ((r = event_next(&er, &ev)) == 0)
		if ((r = render_event(rn, &ev)) != 0)
			return r;
	f->rendered_bytes += part->len;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Somebody who has gone needs no hits; the snapshot is renewed now and then. */
static int
find_pause(struct finder *f)
{
	int r;

	if (++f->peeks % SEARCH_PEEK != 0)
		return 0;
	if ((r = reader_peek(f->rd)) != 0)
		return r;
	return store_snap_renew(f->rd->snap);
}

static int
find_rendered(struct finder *f)
{
	struct recording_part part;
	struct recording *rec = NULL;
	struct render *rn = NULL;
	int r;

	chunk_reset(&f->spare);
	if ((r = render_new(on_line, f, &rn)) != 0 ||
	    (r = recording_open(f->rd->snap, f->s->sid, &rec)) != 0)
		goto out;
	while ((r = recording_next(rec, &part)) == 0)
		if ((r = render_part(f, rn, &part)) != 0 || (r = find_pause(f)) != 0)
			break;
	/* What a damaged recording shows up to there counts, and is said to be not all. */
	if (r == ERR_CHAIN || r == ERR_FORMAT)
		f->damaged++;
	if (r == ERR_NOT_FOUND || r == ERR_CHAIN || r == ERR_FORMAT) {
		f->rendered++;
		if ((r = render_flush(rn)) == 0)
			r = find_in_chunk(f, &f->spare);
	}
out:
	render_free(rn);
	recording_close(rec);
	return r;
}

static int
send_found(struct finder *f)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < f->n_found; i++) {
		r = reader_send_json(f->rd, RD_ITEM, f->found[i]);
		f->found[i] = NULL;
		f->told++;
	}
	return r;
}

static int
find_text(struct finder *f)
{
	int r;

	found_reset(f);
	if ((r = find_indexed(f)) == ERR_NOT_FOUND) {
		found_reset(f);
		if ((r = find_rendered(f)) == 0)
			(void)found_take(f); /* there is nothing behind it */
	}
	if (r == ERR_SEALED || r == ERR_ERASED || r == ERR_NOT_FOUND) {
		f->sealed += r == ERR_SEALED;
		f->erased += r != ERR_SEALED;
		return 0;
	}
	return r != 0 ? r : send_found(f);
}

static int
find_session(struct finder *f, const uint8_t sid[REC_SID_LEN])
{
	struct sess s;
	int r;

	if ((r = sess_get(f->rd->snap, sid, &s)) != 0)
		/* One that was removed meanwhile, or whose record is damaged: the verifier's to say. */
		return r == ERR_NOT_FOUND || r == ERR_FORMAT ? 0 : r;
	if (s.state == SESS_OPEN && f->q.has_exit && (r = sess_live(f->rd->snap, &s)) != 0)
		r = r == -ENOMEM ? r : 0;
	if (r == 0 && search_wants(&f->q, &s)) {
		f->sessions++;
		f->s = &s;
		if (f->search != NULL) {
			r = find_text(f);
		} else {
			f->told++;
			r = reader_send_json(f->rd, RD_ITEM, reader_session_json(&s, false));
		}
	}
	f->s = NULL;
	sess_done(&s);
	return r;
}

static int
send_summary(struct finder *f)
{
	struct json *j = json_map(), *sum = json_map();

	json_put_u64(sum, "sessions", f->sessions);
	json_put_u64(sum, "hits", f->told);
	json_put_bool(sum, "more", f->more);
	json_put_u64(sum, "not_indexed", f->rendered);
	json_put_u64(sum, "not_indexed_bytes", f->rendered_bytes);
	json_put_u64(sum, "sealed", f->sealed);
	json_put_u64(sum, "erased", f->erased);
	json_put_u64(sum, "damaged", f->damaged);
	json_put_u64(sum, "chunks_read", f->chunks);
	json_put_u64(sum, "chunks_skipped", f->skipped);
	json_put(j, "summary", sum);
	return reader_send_json(f->rd, RD_ITEM, j);
}

static int
find_all(struct finder *f)
{
	struct reader_ids ids = { NULL, 0, 0 };
	int r = sess_each(f->rd->snap, 0, reader_collect, &ids);

	for (size_t i = ids.n; r == 0 && i > 0; i--) {
		if (f->told >= f->q.limit) {
			f->more = true;
			break;
		}
		if ((r = find_session(f, ids.sid[i - 1])) == 0)
			r = find_pause(f);
	}
	free(ids.sid);
	return r != 0 ? r : send_summary(f);
}

static int
finder_init(struct finder *f, char why[SEARCH_WHY_MAX])
{
	const char *text = reader_argument(f->rd);
	int r;

	if (text == NULL)
		return ERR_FORMAT;
	if ((r = search_query_parse(text, strlen(text), &f->q, why)) != 0)
		return r;
	f->ring.room = f->q.limit;
	if ((f->ring.hits = calloc(f->ring.room, sizeof(struct json *))) == NULL ||
	    (f->found = calloc(f->ring.room, sizeof(struct json *))) == NULL)
		return -ENOMEM;
	if (f->q.text == NULL)
		return 0;
	if ((r = search_new(&f->q, &f->search, why)) == 0)
		f->filter = search_filter(f->search, &f->filter_len);
	return r;
}

int
reader_search(struct reader *rd, uint8_t *ret_code)
{
	struct finder f = { .rd = rd };
	char why[SEARCH_WHY_MAX] = "";
	int r = finder_init(&f, why);

	if (r == ERR_FORMAT) {
		reader_say(rd, "%s", why[0] != '\0' ? why : "not a query");
		*ret_code = 2;
		r = 0;
	} else if (r == 0) {
		r = find_all(&f);
		*ret_code = f.told > 0 ? 0 : 1;
		if (r == ERR_LIMIT) {
			reader_say(rd, "the pattern takes too much work: make it simpler, or "
				       "search for plain text");
			*ret_code = 3;
			r = 0;
		}
	}
	if (f.found != NULL)
		found_reset(&f);
	free(f.ring.hits);
	free(f.found);
	chunk_done(&f.chunk);
	chunk_done(&f.spare);
	search_free(f.search);
	search_query_done(&f.q);
	return r;
}

/* How much of the store the index has. */
struct coverage {
	uint64_t ended, indexed, running, sealed, erased, text_bytes;
};

static int
cover_session(struct reader *rd, const uint8_t sid[REC_SID_LEN], struct coverage *cov)
{
	struct derived_look *look;
	struct sess s;
	int r;

	if ((r = sess_get(rd->snap, sid, &s)) != 0)
		return r == ERR_NOT_FOUND || r == ERR_FORMAT ? 0 : r;
	cov->running += s.state == SESS_OPEN;
	cov->ended += s.state != SESS_OPEN;
	r = rd->derived == NULL || s.state == SESS_OPEN
		? ERR_NOT_FOUND
		: derived_look(rd->derived, rd->snap, sid, s.n_events, &look);
	if (r == 0) {
		cov->indexed++;
		cov->text_bytes += derived_text_bytes(look);
		derived_leave(look);
	}
	cov->sealed += r == ERR_SEALED;
	cov->erased += r == ERR_ERASED;
	sess_done(&s);
	return r == -ENOMEM ? r : 0;
}

int
reader_index(struct reader *rd, uint8_t *ret_code)
{
	struct reader_ids ids = { NULL, 0, 0 };
	struct coverage cov = { 0 };
	uint64_t bytes = 0;
	struct json *j;
	int r = sess_each(rd->snap, 0, reader_collect, &ids);

	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = cover_session(rd, ids.sid[i], &cov);
	free(ids.sid);
	if (r == 0 && rd->derived != NULL)
		r = derived_size(rd->derived, &bytes);
	if (r != 0)
		return r;
	j = json_map();
	json_put_u64(j, "ended", cov.ended);
	json_put_u64(j, "indexed", cov.indexed);
	json_put_u64(j, "running", cov.running);
	json_put_u64(j, "sealed", cov.sealed);
	json_put_u64(j, "erased", cov.erased);
	json_put_u64(j, "text_bytes", cov.text_bytes);
	json_put_u64(j, "bytes", bytes);
	*ret_code = 0;
	return reader_send_json(rd, RD_ITEM, j);
}
