/* A search in what the channel's screen showed: in the reader's index, in text that is kept, or by reading everything. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/player_part.h"
#include "recorder/chunk.h"
#include "recorder/search.h"

void
player_text_done(struct player_text *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_free(t->chunks[i]);
	free(t->chunks);
	memset(t, 0, sizeof(*t));
}

/* Letters of a pattern without capitals stand for both. */
static bool
find_case(const struct player *p)
{
	for (const char *c = p->pattern; *c != '\0'; c++)
		if (isupper((unsigned char)*c) != 0)
			return true;
	return false;
}

int
player_search_new(struct player *p, struct search_query *ret_q, struct search **ret_search)
{
	char why[SEARCH_WHY_MAX];

	*ret_q = (struct search_query){ .text = p->pattern,
		.len = strlen(p->pattern),
		.with_case = find_case(p),
		.kinds = 1u << RENDER_SCREEN,
		.until_ns = UINT64_MAX };
	return search_new(ret_q, ret_search, why);
}

static int
find_hit(void *arg, const struct search_hit *hit)
{
	struct player *p = arg;

	return player_marks_add(&p->hits, hit->chunk->lines[hit->line].at_ns, hit->text, hit->len);
}

void
player_found(struct player *p)
{
	player_marks_sort(&p->hits);
	p->found = true;
}

/* The chunk as it is, unless the text is too much. */
static int
text_keep(struct player_text *t, const struct chunk *c)
{
	struct buf *b;
	int r;

	if (t->over)
		return 0;
	if (t->n == t->room) {
		size_t room = t->room == 0 ? 16 : t->room * 2;
		struct buf **more = reallocarray(t->chunks, room, sizeof(struct buf *));

		if (more == NULL)
			return -ENOMEM;
		t->chunks = more;
		t->room = room;
	}
	if ((b = buf_new(CHUNK_PACKED_MAX)) == NULL)
		return -ENOMEM;
	if ((r = chunk_pack(c, b)) != 0) {
		buf_free(b);
		return r;
	}
	t->bytes += buf_len(b);
	t->chunks[t->n++] = b;
	if (t->bytes > PLAYER_TEXT_MAX) {
		player_text_done(t);
		t->over = true;
	}
	return 0;
}

int
player_take_chunk(struct player *p, struct search *search, struct chunk *c)
{
	int r;

	if (c->n_lines == 0)
		return 0;
	if ((r = search_chunk(search, c, 0, find_hit, p)) != 0 ||
	    (!p->conf->follow && (r = text_keep(&p->text, c)) != 0))
		return r;
	c->number++;
	chunk_reset(c);
	return 0;
}

/* In the text that is kept. */
static int
find_kept(struct player *p)
{
	struct search_query q;
	struct search *search = NULL;
	struct chunk c = { 0 };
	bool over = false;
	int r = player_search_new(p, &q, &search);

	for (size_t i = 0; r == 0 && !over && i < p->text.n; i++) {
		const struct buf *b = p->text.chunks[i];

		if ((r = chunk_parse(&c, buf_ptr(b), buf_len(b))) == 0 &&
		    (r = search_chunk(search, &c, 0, find_hit, p)) == 0)
			r = player_scan_look(
			    p, false, &over, "%u%%", (unsigned)(i * 100 / p->text.n));
	}
	search_free(search);
	chunk_done(&c);
	p->message_until_ns = 0;
	if (r == 0 && !over)
		player_found(p);
	return r;
}

/* Hits as RD_HITS has them. */
static int
find_take(struct player *p, const struct rd_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *text;
	uint64_t at_ns;
	size_t len;
	int r = b == NULL ? -ENOMEM : 0;

	while (r == 0 && buf_len(b) > 0)
		if ((r = buf_get_u64(b, &at_ns)) == 0 && (r = buf_get_str(b, &text, &len)) == 0)
			r = player_marks_add(&p->hits, at_ns, text, len);
	buf_free(b);
	p->hits.cut = p->hits.cut || msg->hits == RD_HITS_CUT;
	return r;
}

/* In the reader's index; p->unindexed: there is none. */
static int
find_indexed(struct player *p)
{
	enum rd_hits state = RD_HITS_SOME;
	unsigned percent = 0;
	bool over = false;
	struct rd_msg msg;
	struct event ev;
	int r = p->ops->look(p->arg, p->channel, find_case(p), p->pattern);

	while (r == 0 && !over && state == RD_HITS_SOME) {
		r = p->ops->next(p->arg, &ev, &msg);
		if (r == -EAGAIN) {
			r = player_scan_look(p, true, &over, "%u%%", percent);
		} else if (r == 0 && msg.type == RD_HITS) {
			state = msg.hits;
			percent =
			    msg.total > 0 ? (unsigned)((uint64_t)msg.done * 100 / msg.total) : 0;
			if ((r = find_take(p, &msg)) == 0)
				r = player_scan_look(p, false, &over, "%u%%", percent);
		}
	}
	if (r != 0)
		return r;
	p->unindexed = !over && state == RD_HITS_NONE;
	if (!over && (state == RD_HITS_ALL || state == RD_HITS_CUT))
		player_found(p);
	return p->unindexed ? 0 : player_scan_back(p);
}

int
player_find(struct player *p)
{
	int r;

	p->found = false;
	p->looked_ns = p->ops->now(p->arg);
	player_marks_done(&p->hits);
	if (p->text.whole)
		return find_kept(p);
	if (p->ops->look != NULL && !p->conf->follow && !p->unindexed) {
		if ((r = find_indexed(p)) != 0 || p->found || p->quit || !p->unindexed)
			return r;
		player_marks_done(&p->hits);
	}
	return player_scan(p, true);
}
