/* Any bytes as a chunk of rendered lines and as its filter, and any as a query that runs over it. First byte: bytes of the query. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/chunk.h"
#include "recorder/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
on_hit(void *arg, const struct search_hit *hit)
{
	const struct chunk *c = arg;

	must(hit->line < c->n_lines && hit->from <= hit->to && hit->to <= hit->len);
	must(hit->text >= c->text && hit->text + hit->len < c->text + c->len);
	must(memchr(hit->text, '\n', hit->len) == NULL && hit->text[hit->len] == '\n');
	return 0;
}

/* What was parsed packs to something that parses to the same. */
static void
again(const struct chunk *c)
{
	struct buf *b = buf_new(CHUNK_PACKED_MAX);
	struct chunk back = { 0 };

	must(b != NULL && chunk_pack(c, b) == 0);
	must(chunk_parse(&back, buf_ptr(b), buf_len(b)) == 0);
	must(back.n_lines == c->n_lines && back.len == c->len);
	must(c->len == 0 || memcmp(back.text, c->text, c->len) == 0);
	chunk_done(&back);
	buf_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[SEARCH_WHY_MAX];
	struct search_query q;
	struct search *s = NULL;
	struct chunk c = { 0 };
	const uint8_t *filter;
	size_t n, len;

	if (size < 1 || (n = data[0]) > size - 1)
		return 0;
	if (search_query_parse((const char *)data + 1, n, &q, why) == 0) {
		/* Without a text it is about sessions only. */
		if (q.text != NULL && search_new(&q, &s, why) == 0 &&
		    chunk_parse(&c, data + 1 + n, size - 1 - n) == 0) {
			int r = search_chunk(s, &c, 1000, on_hit, &c);

			must(r == 0 || r == ERR_LIMIT);
			again(&c);
		}
		filter = s != NULL ? search_filter(s, &len) : NULL;
		if (filter != NULL)
			(void)chunk_filter_may(data + 1 + n, size - 1 - n, 0, filter, len);
		search_free(s);
		search_query_done(&q);
	}
	chunk_done(&c);
	return 0;
}
