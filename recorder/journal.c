/* Records of the journal, there and back. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "recorder/journal.h"

#define RECORD_VERSION 2

void
journal_key(uint64_t commit, uint8_t ret_key[JOURNAL_KEY_LEN])
{
	for (unsigned i = 0; i < JOURNAL_KEY_LEN; i++)
		ret_key[i] = (uint8_t)(commit >> (56 - 8 * i));
}

int
journal_key_parse(const uint8_t *key, size_t len, uint64_t *ret_commit)
{
	uint64_t v = 0;

	if (len != JOURNAL_KEY_LEN + STORE_PIECE_KEY_LEN)
		return ERR_FORMAT;
	for (unsigned i = 0; i < JOURNAL_KEY_LEN; i++)
		v = v << 8 | key[i];
	*ret_commit = v;
	return 0;
}

int
journal_put_start(struct buf *b, uint64_t wall_ns)
{
	int r;

	if ((r = buf_put_u8(b, RECORD_VERSION)) != 0)
		return r;
	return buf_put_u64(b, wall_ns);
}

int
journal_put_fragment(struct buf *b, const struct fragment *f)
{
	int r;

	if ((r = buf_put_u8(b, f->flags)) != 0 || (r = buf_put(b, f->sid, REC_SID_LEN)) != 0 ||
	    (r = buf_put_varint(b, f->block)) != 0 || (r = buf_put_varint(b, f->off)) != 0 ||
	    (r = buf_put_varint(b, f->n_events)) != 0 || (r = buf_put_varint(b, f->last_ns)) != 0 ||
	    (r = buf_put(b, f->content, HASH_LEN)) != 0 ||
	    (r = buf_put(b, f->check, JOURNAL_CHECK_LEN)) != 0)
		return r;
	if ((f->flags & FRAGMENT_FIRST) != 0 && ((r = buf_put_varint(b, f->first_seq)) != 0 ||
						    (r = buf_put_varint(b, f->base_ns)) != 0))
		return r;
	if ((r = buf_put_varint(b, f->len)) != 0)
		return r;
	return buf_put(b, f->data, f->len);
}

int
journal_get_start(struct buf *b, uint64_t *ret_wall_ns)
{
	uint8_t version;
	int r;

	if ((r = buf_get_u8(b, &version)) != 0)
		return r;
	return version == RECORD_VERSION ? buf_get_u64(b, ret_wall_ns) : ERR_VERSION;
}

/* A varint that must fit 32 bits. */
static int
get_varint32(struct buf *b, uint32_t *ret_v)
{
	uint64_t v;
	int r;

	if ((r = buf_get_varint(b, &v)) != 0)
		return r;
	if (v > UINT32_MAX)
		return ERR_FORMAT;
	*ret_v = (uint32_t)v;
	return 0;
}

int
journal_get_fragment(struct buf *b, struct fragment *ret_f)
{
	struct fragment f = { 0 };
	uint32_t len;
	int r;

	if ((r = buf_get_u8(b, &f.flags)) != 0 || (r = buf_get(b, f.sid, REC_SID_LEN)) != 0 ||
	    (r = get_varint32(b, &f.block)) != 0 || (r = get_varint32(b, &f.off)) != 0 ||
	    (r = get_varint32(b, &f.n_events)) != 0 || (r = buf_get_varint(b, &f.last_ns)) != 0 ||
	    (r = buf_get(b, f.content, HASH_LEN)) != 0 ||
	    (r = buf_get(b, f.check, JOURNAL_CHECK_LEN)) != 0)
		return r;
	if ((f.flags & FRAGMENT_FIRST) != 0 && ((r = buf_get_varint(b, &f.first_seq)) != 0 ||
						   (r = buf_get_varint(b, &f.base_ns)) != 0))
		return r;
	if ((r = get_varint32(b, &len)) != 0 || (r = buf_get_ptr(b, len, &f.data)) != 0)
		return r;
	f.len = len;
	if ((f.flags & ~FRAGMENT_FIRST) != 0 || (f.flags == FRAGMENT_FIRST) != (f.off == 0) ||
	    f.n_events == 0 || f.off > BLOCK_RAW_MAX || len <= FRAGMENT_EXTRA(f.flags) ||
	    len - FRAGMENT_EXTRA(f.flags) > BLOCK_RAW_MAX - f.off)
		return ERR_FORMAT;
	*ret_f = f;
	return 0;
}

/* The commit number of the first or last record. */
static int
journal_edge(struct store_snap *snap, bool last, uint64_t *ret_commit)
{
	struct store_iter *it;
	struct store_item item;
	int r;

	if ((r = store_iter_new(snap, STORE_JOURNAL, NULL, 0, last, &it)) != 0)
		return r;
	if ((r = store_iter_next(it, &item)) == 0)
		r = journal_key_parse(item.key, item.key_len, ret_commit);
	store_iter_free(it);
	return r;
}

int
journal_bounds(struct store_snap *snap, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first;
	int r;

	if ((r = journal_edge(snap, false, &first)) != 0 ||
	    (r = journal_edge(snap, true, ret_last)) != 0)
		return r;
	*ret_first = first;
	return 0;
}

typedef int (*fragment_fn)(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f);

static int
journal_each_in(struct buf *record, uint64_t commit, fragment_fn fn, void *arg)
{
	struct fragment f;
	uint64_t wall_ns;
	int r;

	if ((r = journal_get_start(record, &wall_ns)) != 0)
		return r;
	while (r == 0 && buf_len(record) > 0)
		if ((r = journal_get_fragment(record, &f)) == 0)
			r = fn(arg, commit, wall_ns, &f);
	return r;
}

/* The number of the first record from commit on: a store that was edited can have wide gaps. ERR_NOT_FOUND. */
static int
journal_next(struct store_snap *snap, uint64_t commit, uint64_t *ret_commit)
{
	uint8_t key[JOURNAL_KEY_LEN];
	struct store_iter *it;
	struct store_item item;
	int r;

	journal_key(commit, key);
	if ((r = store_iter_new(snap, STORE_JOURNAL, key, sizeof(key), false, &it)) != 0)
		return r;
	if ((r = store_iter_next(it, &item)) == 0)
		r = journal_key_parse(item.key, item.key_len, ret_commit);
	store_iter_free(it);
	return r;
}

int
journal_each(struct store_snap *snap, uint64_t first, uint64_t last, fragment_fn fn, void *arg)
{
	struct buf *record = buf_new(JOURNAL_RECORD_MAX);
	uint64_t commit = first, found;
	uint8_t key[JOURNAL_KEY_LEN];
	int r = 0;

	if (record == NULL)
		return -ENOMEM;
	while (commit <= last && (r = journal_next(snap, commit, &found)) == 0 && found <= last) {
		buf_reset(record);
		journal_key(found, key);
		r = store_get_pieces(snap, STORE_JOURNAL, key, sizeof(key), record);
		if (r == 0)
			r = journal_each_in(record, found, fn, arg);
		if (r != 0 || found == UINT64_MAX)
			break;
		commit = found + 1;
	}
	buf_free(record);
	return r == ERR_NOT_FOUND ? 0 : r;
}
