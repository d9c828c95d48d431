/* Any bytes through the masks, cut anywhere: what comes out is what went in, and all of it comes. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
check(const struct mask_set *set, const struct mask_piece *piece)
{
	struct buf *b = buf_new(1u << 16);
	size_t at = 0;

	for (size_t i = 0; i < piece->n_hits; i++) {
		must(piece->hits[i].from >= at && piece->hits[i].to > piece->hits[i].from);
		at = piece->hits[i].to;
		must(at <= piece->len && mask_rule_name(set, piece->hits[i].rule)[0] != '\0');
	}
	if (b != NULL)
		must(mask_put(b, set, piece) == 0 && mask_put_mark(b, set, piece) == 0);
	buf_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mask_set *set;
	struct mask_stream *s;
	struct mask_piece piece;
	size_t out = 0, step;

	if (size == 0)
		return 0;
	if (set == NULL)
		must(mask_set_new("defaults,x", "{\"x\": \"a+b|\\\\Kc\\\\d\"}", &set) == 0);
	if ((s = mask_stream_new(set)) == NULL)
		return 0;
	step = data[0] % 64 + 1u;
	data++;
	size--;
	for (size_t i = 0; i < size; i += step) {
		size_t n = size - i < step ? size - i : step;

		must(mask_feed(s, data + i, n, i % 5 == 4, &piece) == 0);
		must(memcmp(piece.data, data + out, piece.len) == 0);
		check(set, &piece);
		out += piece.len;
		must(out + mask_held(s) == i + n);
	}
	must(mask_feed(s, NULL, 0, true, &piece) == 0);
	check(set, &piece);
	must(out + piece.len == size && mask_held(s) == 0);
	mask_stream_free(s);
	return 0;
}
