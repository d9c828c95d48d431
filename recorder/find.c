/* From lines with a hit to what is told of them, the newest first and no more than is wanted. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/event.h"
#include "recorder/find.h"
#include "recorder/reader_json.h"
#include "recorder/render.h"

/* The newest hits of a chunk, or of all that is rendered: a ring, because the older ones are told last or not at all. */
struct ring {
	struct json **hits; /* owned, room of them */
	size_t room, n, next;
	uint64_t dropped;
};

struct find {
	const struct search_query *q;
	struct search *search;
	const struct sess *s;
	struct ring ring;
	struct json **found; /* newest first; owned, q->limit of them */
	uint32_t room, n_found, taken;
	bool more;
	uint64_t chunks;

	/* rendering */
	struct render *rn;
	struct chunk chunk;
	find_chunk_fn fn;
	void *arg;
};

static void
ring_reset(struct ring *g)
{
	for (size_t i = 0; i < g->n; i++) {
		size_t k = (g->next + g->room - 1 - i) % g->room;

		json_free(g->hits[k]);
		g->hits[k] = NULL;
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
found_reset(struct find *f)
{
	for (uint32_t i = f->taken; i < f->n_found; i++)
		json_free(f->found[i]);
	f->n_found = f->taken = 0;
}

void
find_free(struct find *f)
{
	if (f == NULL)
		return;
	if (f->ring.hits != NULL)
		ring_reset(&f->ring);
	if (f->found != NULL)
		found_reset(f);
	render_free(f->rn);
	chunk_done(&f->chunk);
	search_free(f->search);
	free(f->ring.hits);
	free(f->found);
	free(f);
}

int
find_new(const struct search_query *q, struct find **ret_find, char why[SEARCH_WHY_MAX])
{
	struct find *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (f == NULL)
		return r;
	f->q = q;
	f->ring.room = q->limit;
	if ((f->ring.hits = calloc(q->limit, sizeof(struct json *))) == NULL ||
	    (f->found = calloc(q->limit, sizeof(struct json *))) == NULL ||
	    (r = search_new(q, &f->search, why)) != 0) {
		find_free(f);
		return r;
	}
	*ret_find = f;
	return 0;
}

const uint8_t *
find_filter(struct find *f, size_t *ret_len)
{
	return search_filter(f->search, ret_len);
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
	struct find *f = arg;
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
	if (f->q->context > 0) {
		json_put(j, "before", hit_context(hit->chunk, hit->line, -1, f->q->context));
		json_put(j, "after", hit_context(hit->chunk, hit->line, 1, f->q->context));
	}
	ring_put(&f->ring, j);
	return 0;
}

static int
look_through(struct find *f, const struct chunk *c)
{
	f->chunks++;
	return search_chunk(f->search, c, f->s->opened_wall_ns, on_hit, f);
}

/* What the ring has, behind what was found so far. */
static void
found_add(struct find *f)
{
	struct ring *g = &f->ring;

	for (size_t k = 0; k < g->n && f->n_found < f->room; k++) {
		size_t i = (g->next + g->room - 1 - k) % g->room;

		f->found[f->n_found++] = g->hits[i];
		g->hits[i] = NULL;
		f->more = f->more || (f->n_found == f->room && k + 1 < g->n);
	}
	f->more = f->more || g->dropped > 0;
	ring_reset(g);
}

void
find_begin(struct find *f, const struct sess *s, uint32_t room)
{
	found_reset(f);
	ring_reset(&f->ring);
	f->s = s;
	f->room = room < f->q->limit ? room : f->q->limit;
	f->more = false;
}

int
find_chunk(struct find *f, const struct chunk *c, bool *ret_full)
{
	int r = look_through(f, c);

	if (r != 0)
		return r;
	found_add(f);
	*ret_full = f->n_found >= f->room;
	if (*ret_full && c->number > 0)
		f->more = true;
	return 0;
}

static int
chunk_over(struct find *f)
{
	int r;

	if (f->chunk.n_lines == 0)
		return 0;
	if ((r = look_through(f, &f->chunk)) != 0 ||
	    (f->fn != NULL && (r = f->fn(f->arg, &f->chunk)) != 0))
		return r;
	f->chunk.number++;
	chunk_reset(&f->chunk);
	return 0;
}

static int
on_line(void *arg, const struct render_line *line)
{
	struct find *f = arg;
	int r;

	if (chunk_is_full(&f->chunk) && (r = chunk_over(f)) != 0)
		return r;
	return chunk_add(&f->chunk, line);
}

int
find_render(struct find *f, find_chunk_fn fn, void *arg)
{
	render_free(f->rn);
	f->rn = NULL;
	chunk_reset(&f->chunk);
	f->chunk.number = 0;
	f->fn = fn;
	f->arg = arg;
	return render_new(on_line, f, &f->rn);
}

int
find_events(struct find *f, const uint8_t *data, size_t len, uint64_t first_seq, uint64_t base_ns)
{
	struct event_reader er;
	struct event ev;
	int r;

	event_reader_init(&er, data, len, first_seq, base_ns);
	while ((r = event_next(&er, &ev)) == 0)
		if ((r = render_event(f->rn, &ev)) != 0)
			return r;
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
find_render_end(struct find *f)
{
	int r;

	if ((r = render_flush(f->rn)) == 0 && (r = chunk_over(f)) == 0)
		found_add(f);
	render_free(f->rn);
	f->rn = NULL;
	return r;
}

struct json *
find_take(struct find *f)
{
	return f->taken < f->n_found ? f->found[f->taken++] : NULL;
}

uint32_t
find_hits(const struct find *f)
{
	return f->n_found - f->taken;
}

bool
find_more(const struct find *f)
{
	return f->more;
}

uint64_t
find_chunks(const struct find *f)
{
	return f->chunks;
}
