/*
 * The verb bundle: everything that proves one session, as entries of a bundle (store_bundle.h) in
 * their order. The log up to the newest checkpoint never changes, and neither does a session that
 * has ended, so the snapshot may move on between entries.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "recorder/mlog.h"
#include "recorder/reader.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/store_bundle.h"
#include "recorder/tree_many.h"
#include "recorder/verify_bundle.h"

#define ENTRY_HEAD (1u + 4u + STORE_KEY_MAX) /* bytes of a message before the value */
#define INDEX_KEYS_MAX 64u

struct bundling {
	struct reader *rd;
	struct buf *b; /* an entry on its way */
	uint8_t sid[REC_SID_LEN];
	char *note; /* the checkpoint; owned */
	size_t note_len;
	uint64_t n_leaves;	  /* under it */
	struct tree_want *leaves; /* that belong into the bundle, with their proofs; owned */
	size_t n, room;
};

static void
index_key(uint64_t index, uint8_t ret_key[8])
{
	for (unsigned i = 0; i < 8; i++)
		ret_key[i] = (uint8_t)(index >> (56 - 8 * i));
}

/* One entry, in as many messages as it needs. key, data: may be borrowed from the snapshot. */
static int
send_entry(struct bundling *x, enum store_db db, const void *key, size_t key_len, const void *data,
    size_t len)
{
	size_t at = 0;
	int r;

	buf_reset(x->b);
	if ((r = buf_put_u8(x->b, (uint8_t)db)) != 0 ||
	    (r = buf_put_str(x->b, key, key_len)) != 0 || (r = buf_put(x->b, data, len)) != 0)
		return r;
	len = buf_len(x->b);
	while (r == 0 && at < len) {
		size_t n = len - at < IPC_MAX ? len - at : IPC_MAX;

		r = reader_send(x->rd, RD_ENTRY, at + n < len, buf_ptr(x->b) + at, n);
		at += n;
	}
	return r;
}

/* An entry of the store as it is; one that is not there is left out. */
static int
send_one(struct bundling *x, enum store_db db, const void *key, size_t key_len)
{
	const uint8_t *data;
	size_t len;
	int r = store_get(x->rd->snap, db, key, key_len, &data, &len);

	if (r == 0)
		return send_entry(x, db, key, key_len, data, len);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Every entry whose key begins with the session's id. The snapshot moves on, so each is looked up anew. */
static int
send_of_session(struct bundling *x, enum store_db db)
{
	uint8_t key[STORE_KEY_MAX];
	size_t key_len = REC_SID_LEN;
	struct store_item item;
	struct store_iter *it;
	bool first = true;
	int r;

	memcpy(key, x->sid, REC_SID_LEN);
	for (;;) {
		if ((r = store_iter_new(x->rd->snap, db, key, key_len, false, &it)) != 0)
			return r;
		r = store_iter_next(it, &item);
		if (r == 0 && !first && item.key_len == key_len &&
		    memcmp(item.key, key, key_len) == 0)
			r = store_iter_next(it, &item);
		store_iter_free(it);
		if (r != 0 || item.key_len < REC_SID_LEN ||
		    memcmp(item.key, x->sid, REC_SID_LEN) != 0)
			return r == ERR_NOT_FOUND ? 0 : r;
		memcpy(key, item.key, item.key_len);
		key_len = item.key_len;
		first = false;
		if ((r = send_entry(x, db, key, key_len, item.data, item.len)) != 0)
			return r;
	}
}

/* In the order of their keys. */
static int
send_meta(struct bundling *x)
{
	static const char *const names[] = { STORE_META_CHECKPOINT, STORE_META_FORMAT,
		STORE_META_ORIGIN, STORE_META_UUID, STORE_META_VKEY };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(names[0]); i++)
		r = i == 0 ? send_entry(
				 x, STORE_META, names[i], strlen(names[i]), x->note, x->note_len)
			   : send_one(x, STORE_META, names[i], strlen(names[i]));
	return r;
}

static int
send_leaves(struct bundling *x, enum store_db db)
{
	uint8_t key[8];
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n; i++) {
		const struct tree_proof *p = &x->leaves[i].proof;

		index_key(x->leaves[i].index, key);
		if (db == STORE_PROOF)
			r = send_entry(x, db, key, sizeof(key), p->hashes, p->n * (size_t)HASH_LEN);
		else
			r = send_one(x, db, key, sizeof(key));
	}
	return r;
}

struct index_entry {
	uint8_t key[STORE_KEY_MAX];
	size_t len;
};

struct index_keys {
	struct index_entry list[INDEX_KEYS_MAX];
	size_t n;
};

static int
take_index_key(void *arg, const uint8_t *key, size_t len)
{
	struct index_keys *keys = arg;

	if (keys->n == INDEX_KEYS_MAX || len > STORE_KEY_MAX)
		return ERR_LIMIT;
	memcpy(keys->list[keys->n].key, key, len);
	keys->list[keys->n++].len = len;
	return 0;
}

static int
compare_index_keys(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;
	const struct bundle_entry left = { .key = x->key, .key_len = x->len };
	const struct bundle_entry right = { .key = y->key, .key_len = y->len };

	return bundle_compare(&left, &right);
}

static int
send_index(struct bundling *x)
{
	struct index_keys *keys = calloc(1, sizeof(*keys));
	struct sess s;
	int r;

	if (keys == NULL)
		return -ENOMEM;
	if ((r = sess_get(x->rd->snap, x->sid, &s)) == 0) {
		r = sess_index(&s, take_index_key, keys);
		sess_done(&s);
	}
	if (r == 0)
		qsort(keys->list, keys->n, sizeof(keys->list[0]), compare_index_keys);
	for (size_t i = 0; r == 0 && i < keys->n; i++)
		r = send_one(x, STORE_IX, keys->list[i].key, keys->list[i].len);
	free(keys);
	return r;
}

/* The newest checkpoint, and how many leaves it covers. */
static int
take_checkpoint(struct bundling *x)
{
	struct note_checkpoint c;
	const char *note, *end;
	size_t len;
	int r;

	if ((r = mlog_checkpoint_get(x->rd->snap, &note, &len)) != 0)
		return r;
	/* One that a power cut takes back would make an honest log look changed. */
	if ((r = store_sync(x->rd->store)) != 0)
		return r;
	if ((end = memmem(note, len, "\n\n", 2)) == NULL ||
	    note_checkpoint_parse(note, (size_t)(end + 1 - note), &c) != 0)
		return ERR_FORMAT;
	if ((x->note = malloc(len)) == NULL)
		return -ENOMEM;
	memcpy(x->note, note, len);
	x->note_len = len;
	x->n_leaves = c.size;
	return 0;
}

static int
keep_leaf(struct bundling *x, uint64_t index)
{
	size_t room = x->room == 0 ? 64 : x->room * 2;
	struct tree_want *more;

	if (x->n == BUNDLE_LEAVES_MAX)
		return ERR_LIMIT;
	if (x->n == x->room) {
		if ((more = reallocarray(x->leaves, room, sizeof(*more))) == NULL)
			return -ENOMEM;
		x->leaves = more;
		x->room = room;
	}
	x->leaves[x->n++].index = index;
	return 0;
}

/* Which leaves belong into the bundle. */
static int
choose_leaves(struct bundling *x)
{
	const uint8_t *data, *text;
	struct mlog_leaf leaf;
	bool is = false;
	size_t len;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < x->n_leaves; i++) {
		if ((r = mlog_leaf_get(x->rd->snap, i, &data, &len)) != 0 ||
		    (r = mlog_leaf_parse(data, len, &leaf)) != 0)
			break;
		is = bundle_leaf_is_of(&leaf, x->sid);
		if (leaf.type == MLOG_AUDIT &&
		    (r = mlog_audit_get(x->rd->snap, i, &text, &len)) == 0)
			is = bundle_event_is_of(text, len, x->sid);
		if (r == 0 && is)
			r = keep_leaf(x, i);
	}
	return r;
}

static int
leaf_hash(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	const struct bundling *x = arg;
	const uint8_t *data;
	size_t len;
	int r = mlog_leaf_get(x->rd->snap, index, &data, &len);

	if (r == 0)
		tree_leaf(data, len, ret_hash);
	return r;
}

/* Only what has ended and is signed is given out. */
static int
check_session(struct bundling *x, uint8_t *ret_code)
{
	struct sess s;
	int r = sess_get(x->rd->snap, x->sid, &s);

	if (r == ERR_NOT_FOUND) {
		if (x->rd->text[0] == '\0')
			reader_say(x->rd, "no such session: see bastionctl sessions list");
		*ret_code = 1;
		return 0;
	}
	if (r != 0)
		return r;
	if (s.state == SESS_OPEN) {
		reader_say(x->rd, "the session still runs: its bundle can be made when it has "
				  "ended; if none runs, it is damaged: see bastionctl verify");
		*ret_code = 1;
	}
	sess_done(&s);
	return 0;
}

/* Its key record, with the half in it that session.keys has: of a sealed session still only its auditors can open it. */
static int
send_key(struct bundling *x)
{
	struct buf *b = buf_new(SESKEY_RECORD_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = seskey_portable(x->rd->snap, x->sid, b);
	if (r == 0)
		r = send_entry(x, STORE_KEY, x->sid, sizeof(x->sid), buf_ptr(b), buf_len(b));
	if (r == ERR_KEYS)
		reader_say(x->rd, "%s", store_keys_why(x->rd->store));
	buf_free(b);
	return r;
}

/* What is a bundle already, entry by entry: for who hands it on. */
static int
send_as_it_is(struct bundling *x, const struct bundle *b)
{
	struct bundle_entry e;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < bundle_n(b); i++)
		if ((r = bundle_at(b, i, &e)) == 0)
			r = send_entry(x, (enum store_db)e.db, e.key, e.key_len, e.data, e.len);
	return r;
}

static int
send_all(struct bundling *x)
{
	const struct bundle *bundle = store_bundle(x->rd->snap);
	int r;

	if (bundle != NULL)
		return send_as_it_is(x, bundle);

	if ((r = take_checkpoint(x)) != 0 || (r = choose_leaves(x)) != 0 ||
	    (r = tree_inclusions(leaf_hash, x, x->n_leaves, x->leaves, x->n)) != 0)
		return r;
	if ((r = send_meta(x)) != 0 || (r = send_of_session(x, STORE_SESS)) != 0 ||
	    (r = send_of_session(x, STORE_BLK)) != 0 || (r = send_of_session(x, STORE_HDR)) != 0 ||
	    (r = send_leaves(x, STORE_LOG)) != 0 || (r = send_leaves(x, STORE_AUDIT)) != 0 ||
	    (r = send_index(x)) != 0 || (r = send_of_session(x, STORE_FATE)) != 0 ||
	    (r = send_key(x)) != 0)
		return r;
	return send_leaves(x, STORE_PROOF);
}

int
reader_bundle(struct reader *rd, uint8_t *ret_code)
{
	struct bundling x = { .rd = rd, .b = buf_new(ENTRY_HEAD + BUNDLE_VALUE_MAX) };
	const char *text = reader_argument(rd);
	int r = text == NULL ? ERR_FORMAT : x.b == NULL ? -ENOMEM : reader_find(rd, text, x.sid);

	*ret_code = 0;
	if (r == 0)
		r = check_session(&x, ret_code);
	else if (r == ERR_NOT_FOUND)
		*ret_code = 1;
	if (r == 0 && *ret_code == 0)
		r = send_all(&x);
	if (r == ERR_NOT_FOUND && *ret_code == 0) {
		reader_say(rd, "the log is damaged: see bastionctl verify");
		*ret_code = 1;
	}
	free(x.note);
	free(x.leaves);
	buf_free(x.b);
	return r == ERR_NOT_FOUND ? 0 : r;
}
