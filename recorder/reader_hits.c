/* RD_FIND: the lines of one channel's screen that have a text, out of the index, the oldest first. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/ipc.h"
#include "recorder/chunk.h"
#include "recorder/derived.h"
#include "recorder/reader.h"
#include "recorder/search.h"
#include "recorder/sess.h"

#define HITS_SLICE_NS 50000000ull /* of looking, between two messages about it */
#define HITS_SLICE_BYTES (1u << 20)
#define HITS_BYTES_MAX (16u << 20) /* of a slice and one chunk more */
#define HITS_HEAD 9u		   /* bytes of RD_HITS before the hits */
#define HITS_ONE_MAX (12u + RD_HIT_MAX)

struct hits {
	struct reader *rd;
	struct search *search;
	const uint8_t *filter;
	size_t filter_len;
	struct chunk chunk;
	struct buf *found;	/* not sent yet */
	struct buf *body, *out; /* a message: its hits, and all of it */
	uint32_t channel, n;	/* hits so far */
	uint32_t next, total;	/* chunk, of so many */
	enum rd_hits state;
};

static int
on_hit(void *arg, const struct search_hit *hit)
{
	const struct chunk_line *l = &hit->chunk->lines[hit->line];
	struct hits *h = arg;
	int r;

	if (l->channel != h->channel)
		return 0;
	if (h->n == RD_FIND_HITS) {
		h->state = RD_HITS_CUT;
		return 0;
	}
	h->n++;
	if ((r = buf_put_u64(h->found, l->at_ns)) != 0)
		return r;
	return buf_put_str(h->found, hit->text, hit->len < RD_HIT_MAX ? hit->len : RD_HIT_MAX);
}

/* Some chunks. ERR_FORMAT: one is damaged. */
static int
hits_look(struct hits *h, struct derived_look *look)
{
	uint64_t until = clock_boot_ns() + HITS_SLICE_NS;
	int r = 0;

	h->total = derived_chunks(look);
	while (r == 0 && h->state == RD_HITS_SOME && h->next < h->total &&
	       buf_len(h->found) < HITS_SLICE_BYTES && clock_boot_ns() < until) {
		if (derived_may(look, h->next, h->filter, h->filter_len) &&
		    (r = derived_chunk(look, h->next, &h->chunk)) == 0)
			r = search_chunk(h->search, &h->chunk, 0, on_hit, h);
		h->next++;
	}
	if (r == 0 && h->state == RD_HITS_SOME && h->next >= h->total)
		h->state = RD_HITS_ALL;
	return r;
}

/* What the index cannot tell, the events do. */
static int
hits_slice(struct hits *h, const uint8_t sid[REC_SID_LEN])
{
	struct reader *rd = h->rd;
	struct derived_look *look;
	struct sess s;
	int r;

	if ((r = sess_get_clear(rd->snap, sid, &s)) == 0) {
		r = rd->derived == NULL || s.state == SESS_OPEN
			? ERR_NOT_FOUND
			: derived_look(rd->derived, rd->snap, sid, s.n_events, &look);
		sess_done(&s);
		if (r == 0) {
			r = hits_look(h, look);
			derived_leave(look);
		}
	}
	if (r == 0 || r == -ENOMEM)
		return r;
	buf_reset(h->found);
	h->state = RD_HITS_NONE;
	return 0;
}

/* One message: as many hits as it takes. Only the last one says how it ended. */
static int
hits_send(struct hits *h, uint32_t id)
{
	const uint8_t *text;
	uint64_t at_ns;
	size_t len;
	int r = 0;

	buf_reset(h->body);
	while (r == 0 && buf_len(h->found) > 0 && buf_room(h->body) >= HITS_ONE_MAX)
		if ((r = buf_get_u64(h->found, &at_ns)) == 0 &&
		    (r = buf_get_str(h->found, &text, &len)) == 0 &&
		    (r = buf_put_u64(h->body, at_ns)) == 0)
			r = buf_put_str(h->body, text, len);
	buf_reset(h->out);
	if (r != 0 ||
	    (r = buf_put_u8(h->out, (uint8_t)(buf_len(h->found) > 0 ? RD_HITS_SOME : h->state))) !=
		0 ||
	    (r = buf_put_u32(h->out, h->next)) != 0 || (r = buf_put_u32(h->out, h->total)) != 0 ||
	    (r = buf_put(h->out, buf_ptr(h->body), buf_len(h->body))) != 0)
		return r;
	return reader_send(h->rd, RD_HITS, id, buf_ptr(h->out), buf_len(h->out));
}

static int
hits_init(struct hits *h, const struct search_query *q)
{
	char why[SEARCH_WHY_MAX];

	if ((h->found = buf_new(HITS_BYTES_MAX)) == NULL ||
	    (h->body = buf_new(IPC_MAX - HITS_HEAD)) == NULL || (h->out = buf_new(IPC_MAX)) == NULL)
		return -ENOMEM;
	return search_new(q, &h->search, why);
}

int
reader_hits(struct reader *rd, const uint8_t sid[REC_SID_LEN])
{
	char text[RD_FIND_MAX + 1];
	const struct search_query q = { .text = text,
		.len = strlen(rd->find_text),
		.with_case = rd->find_case,
		.kinds = 1u << RENDER_SCREEN,
		.until_ns = UINT64_MAX };
	struct hits h = { .rd = rd, .channel = rd->find_channel, .state = RD_HITS_SOME };
	uint32_t id = rd->n_seeks;
	int r;

	memcpy(text, rd->find_text, sizeof(text));
	rd->seek = rd->find = false;
	if ((r = hits_init(&h, &q)) == 0)
		h.filter = search_filter(h.search, &h.filter_len);
	while (r == 0 && h.state == RD_HITS_SOME && !rd->seek) {
		if ((r = hits_slice(&h, sid)) != 0)
			break;
		do
			r = hits_send(&h, id);
		while (r == 0 && buf_len(h.found) > 0 && !rd->seek);
		if (r == 0 && (r = reader_peek(rd)) == 0)
			r = store_snap_renew(rd->snap);
	}
	search_free(h.search);
	chunk_done(&h.chunk);
	buf_free(h.found);
	buf_free(h.body);
	buf_free(h.out);
	return r;
}
