/*
 * The keys of the log, one after the other, and the checkpoints that somebody kept elsewhere: who
 * may have signed what.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/verify_part.h"

#define OLDER "older checkpoint"

void *
verify_grow(void *list, size_t n, size_t *size, size_t element)
{
	size_t more = *size == 0 ? 64 : *size * 2;
	void *p;

	if (n < *size)
		return list;
	if ((p = reallocarray(list, more, element)) != NULL)
		*size = more;
	return p;
}

static int
add_epoch(struct verify *v, uint64_t leaf, const struct note_key *key)
{
	struct verify_epoch *epochs =
	    verify_grow(v->epochs, v->n_epochs, &v->size_epochs, sizeof(*epochs));

	if (epochs == NULL)
		return -ENOMEM;
	v->epochs = epochs;
	epochs[v->n_epochs++] = (struct verify_epoch){ .leaf = leaf, .key = *key };
	return 0;
}

/* A leaf that is no key, or not readable as one, is the business of the walk over all of them. */
static int
take_epoch(struct verify *v, const struct store_item *item)
{
	struct mlog_leaf leaf;
	struct note_key key;
	uint64_t index = 0;
	int r;

	if (item->key_len != MLOG_KEY_LEN || item->len < 2 || item->data[1] != MLOG_KEY)
		return 0;
	if ((r = mlog_leaf_parse(item->data, item->len, &leaf)) != 0 ||
	    note_key_init(leaf.name, leaf.key, &key) != 0)
		return r == -ENOMEM ? r : 0;
	for (unsigned i = 0; i < MLOG_KEY_LEN; i++)
		index = index << 8 | item->key[i];
	return add_epoch(v, index, &key);
}

int
verify_load_epochs(struct verify *v)
{
	struct store_item item;
	struct store_iter *it;
	int r;

	v->forged_at = SIZE_MAX;
	if ((r = store_iter_new(v->snap, STORE_LOG, NULL, 0, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0 && (r = take_epoch(v, &item)) == 0)
		continue;
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

void
verify_trust(struct verify *v, uint64_t size)
{
	while (v->n_epochs > 0 && v->epochs[v->n_epochs - 1].leaf >= size)
		v->n_epochs--;
	v->foreign = true;
	for (size_t i = 0; i < v->n_epochs; i++)
		if (memcmp(v->epochs[i].key.key, v->conf->key->key, NOTE_KEY_LEN) == 0)
			v->foreign = false;
	v->result.n_keys = v->n_epochs;
}

size_t
verify_epoch_at(const struct verify *v, uint64_t leaf)
{
	size_t low = 0, high = v->n_epochs;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (v->epochs[middle].leaf <= leaf)
			low = middle;
		else
			high = middle;
	}
	return low;
}

size_t
verify_epoch_of(const struct verify *v, uint64_t leaf)
{
	size_t i = v->n_epochs > 0 ? verify_epoch_at(v, leaf) : 0;

	return v->n_epochs > 0 && v->epochs[i].leaf == leaf ? i : SIZE_MAX;
}

/* Heads. */

/* A key that came into force after the log was read, while we went on reading. */
static bool
is_newer(struct verify *v, const uint8_t *data, size_t len, struct head *ret_head)
{
	struct store_item item;
	struct store_iter *it;
	struct mlog_leaf leaf;
	bool found = false;

	if (store_snap_txn(v->snap) == v->txn ||
	    store_iter_new(v->snap, STORE_LOG, NULL, 0, true, &it) != 0)
		return false;
	for (uint64_t n = 0; !found && store_iter_next(it, &item) == 0; n++) {
		uint8_t end[MLOG_KEY_LEN];

		mlog_key(v->result.log_size, end);
		if (item.key_len != sizeof(end) || memcmp(item.key, end, sizeof(end)) < 0)
			break;
		found = item.len > 1 && item.data[1] == MLOG_KEY &&
			mlog_leaf_parse(item.data, item.len, &leaf) == 0 &&
			head_verify(data, len, leaf.key, ret_head) == 0;
	}
	store_iter_free(it);
	return found;
}

/* Which other epoch's key it was. SIZE_MAX: none's. */
static size_t
signer_of(const struct verify *v, const uint8_t *data, size_t len)
{
	struct head head;

	for (size_t i = v->n_epochs; i > 0; i--)
		if (head_verify(data, len, v->epochs[i - 1].key.key, &head) == 0)
			return i - 1;
	return SIZE_MAX;
}

static void
blame_head(struct verify *v, const uint8_t *sid, const char *place, size_t epoch,
    const uint8_t *data, size_t len)
{
	size_t other = signer_of(v, data, len);

	if (other == SIZE_MAX)
		verify_found(v, VERIFY_SIGNATURE, sid, place, "its signature does not verify");
	else
		verify_found(v, VERIFY_SIGNATURE, sid, place,
		    "it is signed by the key of leaf %" PRIu64 ", although that of leaf %" PRIu64
		    " was in force",
		    v->epochs[other].leaf, v->epochs[epoch].leaf);
}

int
verify_head(struct verify *v, const uint8_t *sid, const char *place, size_t epoch,
    const uint8_t *data, size_t len, struct head *ret_head)
{
	/* Without any key in the log there is still the trusted one. */
	const struct note_key *key = v->n_epochs > 0 ? &v->epochs[epoch].key : v->conf->key;
	struct head head;
	int r = head_verify(data, len, key->key, &head);

	if (r == ERR_SIGNATURE && is_newer(v, data, len, &head))
		r = 0;
	if (r == ERR_FORMAT)
		return r;
	if (r != 0) {
		blame_head(v, sid, place, epoch, data, len);
		return ERR_CHAIN;
	}
	if (v->foreign || epoch >= v->forged_at) {
		verify_found(v, VERIFY_OTHER_KEY, sid, place,
		    "it is signed by a key that the trusted one does not lead to");
		return ERR_CHAIN;
	}
	*ret_head = head;
	return 0;
}

/* Checkpoints. */

int
verify_read_note(const char *note, size_t len, struct note_checkpoint *ret_checkpoint)
{
	size_t text_len;
	int r = note_text_len(note, len, &text_len);

	return r != 0 ? r : note_checkpoint_parse(note, text_len, ret_checkpoint);
}

int
verify_note(struct verify *v, const char *note, size_t len, const struct note_key *key,
    const char *place, struct note_checkpoint *ret_checkpoint)
{
	size_t text_len;
	int r = note_verify(note, len, key, &text_len);

	if (r == 0)
		r = note_checkpoint_parse(note, text_len, ret_checkpoint);
	switch (r) {
	case 0:
	case -ENOMEM:
		return r;
	case ERR_NOT_FOUND:
		verify_found(v, VERIFY_OTHER_KEY, NULL, place,
		    "it is not signed by a key that the trusted one leads to");
		break;
	case ERR_SIGNATURE:
		verify_found(v, VERIFY_SIGNATURE, NULL, place, "its signature does not verify");
		break;
	default:
		verify_found(v, VERIFY_FLIPPED, NULL, place, "it is not a readable checkpoint");
	}
	return ERR_CHAIN;
}

/*
 * A note about more leaves than the log has may be signed by a key that was lost with them: then
 * that is all that there is to say.
 */
static int
take_longer(struct verify *v, const char *note, size_t len, const struct note_checkpoint *c,
    const struct note_checkpoint *now)
{
	size_t text_len;
	int r = note_verify(note, len, &v->epochs[v->n_epochs - 1].key, &text_len);

	if (r == -ENOMEM)
		return r;
	if (r == ERR_SIGNATURE)
		verify_found(v, VERIFY_SIGNATURE, NULL, OLDER, "its signature does not verify");
	else
		verify_found(v, VERIFY_CUT, NULL, OLDER,
		    "it covers %" PRIu64 " leaves, the log has %" PRIu64 "%s", c->size, now->size,
		    r == 0 ? "" : "; the key that signed it is not in the log either");
	return 0;
}

static int
take_old(struct verify *v, const char *note, size_t len, const struct note_checkpoint *now)
{
	const struct note_key *key = v->conf->key;
	struct note_checkpoint c = { 0 };
	struct verify_old *olds;
	int r;

	v->result.n_checkpoints++;
	if ((r = verify_read_note(note, len, &c)) == -ENOMEM)
		return r;
	if (r != 0) {
		verify_found(v, VERIFY_FLIPPED, NULL, OLDER, "it is not a readable checkpoint");
		return 0;
	}
	if (now != NULL && strcmp(c.origin, now->origin) != 0) {
		verify_found(v, VERIFY_FOREIGN, NULL, OLDER, "it is of another log");
		return 0;
	}
	if (v->n_epochs > 0 && now != NULL && c.size > now->size)
		return take_longer(v, note, len, &c, now);
	if (v->n_epochs > 0)
		key = &v->epochs[verify_epoch_at(v, c.size > 0 ? c.size - 1 : 0)].key;
	if ((r = verify_note(v, note, len, key, OLDER, &c)) != 0)
		return r == ERR_CHAIN ? 0 : r;
	olds = verify_grow(v->olds, v->n_olds, &v->size_olds, sizeof(*olds));
	if (olds == NULL)
		return -ENOMEM;
	v->olds = olds;
	olds[v->n_olds].size = c.size;
	memcpy(olds[v->n_olds++].root, c.root, HASH_LEN);
	return 0;
}

static int
take_olds(struct verify *v, const char *text, size_t len, const struct note_checkpoint *now)
{
	size_t skip, n;
	int r;

	while ((r = note_first(text, len, &skip, &n)) == 0) {
		if ((r = take_old(v, text + skip, n, now)) != 0)
			return r;
		text += skip + n;
		len -= skip + n;
	}
	if (r == ERR_NOT_FOUND)
		return 0;
	verify_found(v, VERIFY_FLIPPED, NULL, OLDER, "it is not a readable checkpoint");
	return 0;
}

static int
old_cmp(const void *a, const void *b)
{
	const struct verify_old *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

int
verify_load_olds(struct verify *v, const struct note_checkpoint *now)
{
	int r = 0;

	if (v->conf->checkpoint != NULL)
		r = take_olds(v, v->conf->checkpoint, v->conf->checkpoint_len, now);
	if (v->n_olds > 0)
		qsort(v->olds, v->n_olds, sizeof(v->olds[0]), old_cmp);
	return r;
}
