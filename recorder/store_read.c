/* Values and walks, of LMDB or of a bundle. */
#include "config.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/store_bundle.h"
#include "recorder/store_part.h"

struct store_iter {
	const struct bundle *bundle; /* NULL: LMDB */
	struct bundle_entry last;    /* of a bundle: db, and the key given out last */
	uint64_t at;		     /* of a bundle: the next entry; backwards: the one behind it */
	bool backwards;
	MDB_cursor *cursor;
	MDB_cursor_op next;
	bool started;
	MDB_val key, data; /* of the first item, while !started */
	int first;	   /* what finding it said */
};

static int
get_bundled(const struct bundle *b, enum store_db db, const void *key, size_t key_len,
    const uint8_t **ret_data, size_t *ret_len)
{
	const struct bundle_entry want = { .db = db, .key = key, .key_len = key_len };
	struct bundle_entry e;
	uint64_t at;
	int r;

	if ((r = bundle_find(b, db, key, key_len, &at)) != 0 || (r = bundle_at(b, at, &e)) != 0)
		return r;
	if (bundle_compare(&e, &want) != 0)
		return ERR_NOT_FOUND;
	*ret_data = e.data;
	*ret_len = e.len;
	return 0;
}

int
store_get(struct store_snap *snap, enum store_db db, const void *key, size_t key_len,
    const uint8_t **ret_data, size_t *ret_len)
{
	MDB_val k = store_val(key, key_len), v;
	int r;

	if (snap->store->bundle != NULL)
		return get_bundled(snap->store->bundle, db, key, key_len, ret_data, ret_len);
	if (db >= STORE_DB_COUNT)
		return ERR_NOT_FOUND;
	if ((r = store_err(mdb_get(snap->txn, snap->store->dbi[db], &k, &v))) != 0)
		return r;
	*ret_data = v.mv_data;
	*ret_len = v.mv_size;
	return 0;
}

int
store_get_pieces(
    struct store_snap *snap, enum store_db db, const void *key, size_t key_len, struct buf *out)
{
	uint8_t k[STORE_KEY_MAX];
	const uint8_t *data = NULL;
	size_t len = STORE_PIECE, k_len;
	int r = 0;

	/* All pieces but the last are full. */
	for (size_t i = 0; r == 0 && len == STORE_PIECE; i++) {
		if ((r = store_piece_key(k, key, key_len, i, &k_len)) != 0)
			break;
		r = store_get(snap, db, k, k_len, &data, &len);
		if (r == ERR_NOT_FOUND && i > 0)
			return 0;
		if (r == 0)
			r = buf_put(out, data, len);
	}
	return r;
}

int
store_count(struct store_snap *snap, enum store_db db, uint64_t *ret_n)
{
	const struct bundle *b = snap->store->bundle;
	uint64_t from, to;
	MDB_stat st;
	int rc;

	if (b != NULL) {
		if ((rc = bundle_find(b, db, NULL, 0, &from)) != 0 ||
		    (rc = bundle_find(b, db + 1u, NULL, 0, &to)) != 0)
			return rc;
		*ret_n = to > from ? to - from : 0; /* one that is not in order is hostile */
		return 0;
	}
	rc = mdb_stat(snap->txn, snap->store->dbi[db], &st);
	if (rc == 0)
		*ret_n = st.ms_entries;
	return store_err(rc);
}

/* Walking a bundle: from the first entry of db at or behind from; backwards: from the last at or before it. */
static int
iter_find_bundled(struct store_iter *it, const void *from, size_t from_len)
{
	const struct bundle_entry want = { .db = it->last.db, .key = from, .key_len = from_len };
	struct bundle_entry e;
	int r;

	if (!it->backwards || from_len > 0)
		r = bundle_find(it->bundle, it->last.db, from, from_len, &it->at);
	else
		r = bundle_find(it->bundle, it->last.db + 1u, NULL, 0, &it->at);
	if (r != 0 || !it->backwards || from_len == 0)
		return r;
	r = bundle_at(it->bundle, it->at, &e);
	if (r == 0 && bundle_compare(&e, &want) == 0)
		it->at++;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Whoever walks relies on the order, which a bundle only promises. */
static int
iter_next_bundled(struct store_iter *it, struct store_item *ret_item)
{
	struct bundle_entry e;
	int c, r;

	if (it->backwards && it->at == 0)
		return ERR_NOT_FOUND;
	if ((r = bundle_at(it->bundle, it->backwards ? it->at - 1 : it->at, &e)) != 0)
		return r;
	c = bundle_compare(&e, &it->last);
	if (it->started && (it->backwards ? c >= 0 : c <= 0))
		return ERR_FORMAT;
	if (e.db != it->last.db)
		return ERR_NOT_FOUND;
	it->at = it->backwards ? it->at - 1 : it->at + 1;
	it->started = true;
	it->last = e;
	*ret_item =
	    (struct store_item){ .key = e.key, .key_len = e.key_len, .data = e.data, .len = e.len };
	return 0;
}

/* Backwards: the last key <= from, which SET_RANGE overshoots unless it is there. */
static int
iter_find_back(struct store_iter *it, const void *from, size_t from_len)
{
	int rc;

	if (from_len == 0)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_LAST);
	it->key = store_val(from, from_len);
	rc = mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_LAST);
	if (rc != 0 ||
	    (it->key.mv_size == from_len && memcmp(it->key.mv_data, from, from_len) == 0))
		return rc;
	return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_PREV);
}

static int
iter_find(struct store_iter *it, const void *from, size_t from_len)
{
	if (from_len == 0)
		return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_FIRST);
	it->key = store_val(from, from_len);
	return mdb_cursor_get(it->cursor, &it->key, &it->data, MDB_SET_RANGE);
}

static void
iter_start(struct store_iter *it, const void *from, size_t from_len)
{
	it->next = it->backwards ? MDB_PREV : MDB_NEXT;
	it->first =
	    it->backwards ? iter_find_back(it, from, from_len) : iter_find(it, from, from_len);
}

int
store_iter_new(struct store_snap *snap, enum store_db db, const void *from, size_t from_len,
    bool backwards, struct store_iter **ret_iter)
{
	struct store_iter *it = calloc(1, sizeof(*it));
	int r;

	if (it == NULL)
		return -ENOMEM;
	it->bundle = snap->store->bundle;
	it->backwards = backwards;
	it->last.db = db;
	if (it->bundle != NULL)
		r = iter_find_bundled(it, from, from_len);
	else
		r = store_err(mdb_cursor_open(snap->txn, snap->store->dbi[db], &it->cursor));
	if (r != 0) {
		free(it);
		return r;
	}
	if (it->bundle == NULL)
		iter_start(it, from, from_len);
	*ret_iter = it;
	return 0;
}

int
store_iter_next(struct store_iter *it, struct store_item *ret_item)
{
	int rc = it->first;

	if (it->bundle != NULL)
		return iter_next_bundled(it, ret_item);
	if (it->started)
		rc = mdb_cursor_get(it->cursor, &it->key, &it->data, it->next);
	if (rc != 0)
		return store_err(rc);
	it->started = true;
	*ret_item = (struct store_item){ .key = it->key.mv_data,
		.key_len = it->key.mv_size,
		.data = it->data.mv_data,
		.len = it->data.mv_size };
	return 0;
}

void
store_iter_free(struct store_iter *it)
{
	if (it == NULL)
		return;
	if (it->cursor != NULL)
		mdb_cursor_close(it->cursor);
	free(it);
}
