/* What crossed of one file's content. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "recorder/watch_priv.h"

struct watch_track {
	struct hash *hash;
	uint64_t bytes;
	uint64_t end; /* behind the last byte that came */
	bool spoiled; /* not in order from 0 */
	bool more;    /* ranges than fit */
	size_t n;
	struct watch_range ranges[WATCH_RANGES_MAX]; /* sorted, not touching */
};

struct watch_track *
watch_track_new(void)
{
	struct watch_track *t = calloc(1, sizeof(*t));

	if (t == NULL || (t->hash = hash_new()) == NULL) {
		free(t);
		return NULL;
	}
	hash_begin(t->hash);
	return t;
}

void
watch_track_free(struct watch_track *t)
{
	if (t == NULL)
		return;
	hash_free(t->hash);
	free(t);
}

void
watch_track_spoil(struct watch_track *t)
{
	t->spoiled = true;
}

/* Take a range in among the others: joined with those that it touches. */
static void
add_range(struct watch_track *t, uint64_t from, uint64_t to)
{
	struct watch_range *r = t->ranges;
	size_t i = t->n, j;

	/* i: the first that ends at from or later; j: behind the last that begins at to or before. */
	while (i > 0 && r[i - 1].to >= from)
		i--;
	for (j = i; j < t->n && r[j].from <= to; j++) {
		from = r[j].from < from ? r[j].from : from;
		to = r[j].to > to ? r[j].to : to;
	}
	if (i == j && t->n == WATCH_RANGES_MAX) {
		t->more = true;
		return;
	}
	memmove(&r[i + 1], &r[j], (t->n - j) * sizeof(*r));
	t->n = t->n - (j - i) + 1;
	r[i] = (struct watch_range){ from, to };
}

void
watch_track_add(struct watch_track *t, uint64_t offset, const uint8_t *p, size_t len)
{
	uint64_t to = offset > UINT64_MAX - len ? UINT64_MAX : offset + len;

	if (len == 0)
		return;
	if (offset == UINT64_MAX) /* no file has such a byte; no range is empty all the same */
		offset--;
	if (!t->spoiled && offset == t->bytes)
		hash_add(t->hash, p, len);
	else
		t->spoiled = true;
	t->bytes += len;
	if (to > t->end)
		t->end = to;
	add_range(t, offset, to);
}

bool
watch_track_is_whole(const struct watch_track *t, uint64_t size)
{
	if (size == 0)
		return t->n == 0;
	return t->n == 1 && !t->more && t->ranges[0].from == 0 && t->ranges[0].to == size;
}

uint64_t
watch_track_end(const struct watch_track *t)
{
	return t->end;
}

void
watch_track_show(const struct watch_track *t, struct watch_file *f)
{
	struct hash *copy = NULL;

	f->bytes = t->bytes;
	f->has_hash = !t->spoiled && (copy = hash_new()) != NULL && hash_copy(copy, t->hash) == 0;
	if (f->has_hash)
		hash_end(copy, f->sha256);
	hash_free(copy);
	f->ranges = f->has_hash ? NULL : t->ranges;
	f->n_ranges = f->has_hash ? 0 : t->n;
	f->more_ranges = !f->has_hash && t->more;
}
