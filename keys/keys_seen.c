/* A set-associative table under a secret hash: nobody can choose ids that push a certain other one out. */
#include "config.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_seen.h"

#define MARK_LEN 16u /* bytes kept of an id's keyed hash */

struct seen_set {
	uint8_t marks[KEYS_SEEN_WAYS][MARK_LEN];
	uint8_t n, next;
};

struct keys_seen {
	uint8_t key[crypto_generichash_KEYBYTES];
	struct seen_set sets[KEYS_SEEN_SETS];
};

struct keys_seen *
keys_seen_new(void)
{
	struct keys_seen *s = calloc(1, sizeof(*s));

	if (s != NULL)
		randombytes_buf(s->key, sizeof(s->key));
	return s;
}

void
keys_seen_free(struct keys_seen *s)
{
	free(s);
}

bool
keys_seen_add(struct keys_seen *s, const uint8_t *id, size_t len)
{
	uint8_t mark[MARK_LEN];
	struct seen_set *set;
	uint32_t at;

	/* It fails only for wrong lengths, and these are constants. */
	(void)crypto_generichash(mark, sizeof(mark), id, len, s->key, sizeof(s->key));
	memcpy(&at, mark, sizeof(at));
	set = &s->sets[at % KEYS_SEEN_SETS];
	for (size_t i = 0; i < set->n; i++)
		if (memcmp(set->marks[i], mark, MARK_LEN) == 0)
			return false;
	memcpy(set->marks[set->next], mark, MARK_LEN);
	set->next = (uint8_t)((set->next + 1) % KEYS_SEEN_WAYS);
	if (set->n < KEYS_SEEN_WAYS)
		set->n++;
	return true;
}
