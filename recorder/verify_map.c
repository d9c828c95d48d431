/* Sessions by id, while the verifier reads a log that may be anybody's. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/verify_part.h"

void
verify_map_init(struct verify_map *m)
{
	*m = (struct verify_map){ .size = 0 };
	randombytes_buf(m->key, sizeof(m->key));
}

void
verify_map_done(struct verify_map *m)
{
	free(m->at);
}

/* Where the search for a session begins. */
static size_t
map_start(const struct verify_map *m, const uint8_t *sid)
{
	uint8_t hash[crypto_shorthash_BYTES];
	size_t start;

	(void)crypto_shorthash(hash, sid, REC_SID_LEN, m->key); /* always 0 */
	memcpy(&start, hash, sizeof(start));
	return start & (m->size - 1);
}

/* The place of this id, or the free one where it belongs. */
static size_t
map_place(struct verify_map *m, const struct verify_known *known, const uint8_t *sid)
{
	size_t at = map_start(m, sid);

	for (; m->at[at] != 0 && memcmp(known[m->at[at] - 1].sid, sid, REC_SID_LEN) != 0;
	     at = (at + 1) & (m->size - 1))
		m->n_steps++;
	return at;
}

/* In the place of an earlier one of this id, so that those do not pile up either. */
static void
map_put(struct verify_map *m, const struct verify_known *known, size_t i)
{
	m->at[map_place(m, known, known[i].sid)] = i + 1;
}

/* The map is a power of two and at most half full. */
int
verify_map_add(struct verify_map *m, const struct verify_known *known, size_t n_known)
{
	size_t size = m->size == 0 ? 64 : m->size * 2, *at;

	if (n_known * 2 <= m->size) {
		map_put(m, known, n_known - 1);
		return 0;
	}
	if ((at = calloc(size, sizeof(*at))) == NULL)
		return -ENOMEM;
	free(m->at);
	m->at = at;
	m->size = size;
	for (size_t i = 0; i < n_known; i++)
		map_put(m, known, i);
	return 0;
}

struct verify_known *
verify_map_find(struct verify_map *m, struct verify_known *known, const uint8_t sid[REC_SID_LEN])
{
	size_t place = m->size != 0 ? m->at[map_place(m, known, sid)] : 0;

	return place != 0 ? &known[place - 1] : NULL;
}
