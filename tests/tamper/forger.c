#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "recorder/mlog.h"
#include "recorder/tree.h"
#include "tests/tamper/forger.h"

#define ITEMS_MAX 4096u

struct item {
	uint8_t key[64];
	size_t key_len;
	uint8_t *data;
	size_t len;
};

struct loot {
	enum store_db db;
	size_t n;
	struct item items[ITEMS_MAX];
};

struct loot *
forger_take(struct store_snap *snap, enum store_db db, const uint8_t *sid)
{
	struct loot *l = calloc(1, sizeof(*l));
	struct store_item item;
	struct store_iter *it;

	assert_non_null(l);
	l->db = db;
	assert_int_equal(store_iter_new(snap, db, sid, REC_SID_LEN, false, &it), 0);
	while (store_iter_next(it, &item) == 0 && item.key_len >= REC_SID_LEN &&
	       memcmp(item.key, sid, REC_SID_LEN) == 0) {
		struct item *i = &l->items[l->n++];

		assert_true(l->n < ITEMS_MAX && item.key_len <= sizeof(i->key));
		memcpy(i->key, item.key, item.key_len);
		i->key_len = item.key_len;
		i->data = malloc(item.len + 1);
		assert_non_null(i->data);
		memcpy(i->data, item.data, item.len);
		i->len = item.len;
	}
	store_iter_free(it);
	return l;
}

void
forger_put(struct store *store, const struct loot *l, const uint8_t *sid)
{
	for (size_t i = 0; i < l->n; i++) {
		uint8_t key[64];

		memcpy(key, l->items[i].key, sizeof(key));
		memcpy(key, sid, REC_SID_LEN);
		assert_int_equal(store_put(store, l->db, key, l->items[i].key_len, l->items[i].data,
				     l->items[i].len),
		    0);
	}
}

void
forger_drop(struct loot *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].data);
	free(l);
}

unsigned
forger_remove(struct store *store, enum store_db db, const uint8_t *sid)
{
	struct loot *l = forger_take(store_pending(store), db, sid);
	unsigned n = (unsigned)l->n;

	for (size_t i = 0; i < l->n; i++)
		assert_int_equal(store_del(store, db, l->items[i].key, l->items[i].key_len), 0);
	forger_drop(l);
	return n;
}

void
forger_exchange(struct store *store, enum store_db db, const uint8_t *a, const uint8_t *b)
{
	struct loot *of_a = forger_take(store_pending(store), db, a);
	struct loot *of_b = forger_take(store_pending(store), db, b);

	assert_true(of_a->n > 0 && of_b->n > 0);
	(void)forger_remove(store, db, a);
	(void)forger_remove(store, db, b);
	forger_put(store, of_a, b);
	forger_put(store, of_b, a);
	forger_drop(of_a);
	forger_drop(of_b);
}

void
forger_unindex(struct store *store, const uint8_t *sid)
{
	uint8_t key[STORE_KEY_MAX];
	struct store_item item;
	struct store_iter *it;
	size_t len;
	int r;

	do {
		len = 0;
		assert_int_equal(
		    store_iter_new(store_pending(store), STORE_IX, NULL, 0, false, &it), 0);
		while ((r = store_iter_next(it, &item)) == 0)
			if (memmem(item.key, item.key_len, sid, REC_SID_LEN) != NULL) {
				len = item.key_len;
				memcpy(key, item.key, len);
				break;
			}
		store_iter_free(it);
		if (len > 0)
			assert_int_equal(store_del(store, STORE_IX, key, len), 0);
	} while (len > 0);
}

/* A leaf's bytes; returns their number. */
static size_t
get_leaf(struct store_snap *snap, uint64_t index, uint8_t ret_data[MLOG_LEAF_MAX])
{
	const uint8_t *data;
	size_t len;

	assert_int_equal(mlog_leaf_get(snap, index, &data, &len), 0);
	assert_true(len <= MLOG_LEAF_MAX);
	memcpy(ret_data, data, len);
	return len;
}

static void
put_leaf(struct store *store, uint64_t index, const uint8_t *data, size_t len)
{
	uint8_t key[MLOG_KEY_LEN];

	mlog_key(index, key);
	assert_int_equal(store_put(store, STORE_LOG, key, sizeof(key), data, len), 0);
}

void
forger_flip_leaf(struct store *store, uint64_t index, size_t off)
{
	uint8_t data[MLOG_LEAF_MAX];
	size_t len = get_leaf(store_pending(store), index, data);

	assert_true(off < len);
	data[len - 1 - off] ^= 1;
	put_leaf(store, index, data, len);
}

void
forger_remove_leaf(struct store *store, uint64_t index)
{
	uint8_t key[MLOG_KEY_LEN];

	mlog_key(index, key);
	assert_int_equal(store_del(store, STORE_LOG, key, sizeof(key)), 0);
}

void
forger_rewrite_audit(struct store *store, uint64_t index, const char *text)
{
	uint8_t data[MLOG_LEAF_MAX], value[512], key[MLOG_KEY_LEN];
	size_t len = get_leaf(store_pending(store), index, data), text_len = strlen(text);

	assert_true(MLOG_SALT_LEN + text_len <= sizeof(value) && len > HASH_LEN);
	randombytes_buf(value, MLOG_SALT_LEN);
	memcpy(value + MLOG_SALT_LEN, text, text_len);
	hash_sha256(value, MLOG_SALT_LEN + text_len, data + len - HASH_LEN);
	put_leaf(store, index, data, len);
	mlog_key(index, key);
	assert_int_equal(
	    store_put(store, STORE_AUDIT, key, sizeof(key), value, MLOG_SALT_LEN + text_len), 0);
}

uint64_t
forger_find_leaf(struct store_snap *snap, enum mlog_type type, const uint8_t *sid, unsigned nth)
{
	struct mlog_leaf leaf;
	const uint8_t *data;
	size_t len;

	for (uint64_t i = 0; mlog_leaf_get(snap, i, &data, &len) == 0; i++) {
		assert_int_equal(mlog_leaf_parse(data, len, &leaf), 0);
		if (leaf.type == type && (sid == NULL || memcmp(leaf.sid, sid, REC_SID_LEN) == 0) &&
		    nth-- == 0)
			return i;
	}
	fail_msg("no leaf of type %d", (int)type);
	return 0;
}

void
forger_sign_log(struct store *store, const struct signer *key)
{
	struct store_snap *snap = store_pending(store);
	struct buf *range = buf_new(sizeof(struct tree));
	struct note_checkpoint c;
	char text[512], *note;
	const char *old;
	struct tree tree;
	const uint8_t *data;
	size_t len, text_len;

	tree_init(&tree);
	for (uint64_t i = 0; mlog_leaf_get(snap, i, &data, &len) == 0; i++) {
		uint8_t hash[HASH_LEN];

		tree_leaf(data, len, hash);
		assert_int_equal(tree_add(&tree, hash), 0);
	}
	assert_int_equal(mlog_checkpoint_get(snap, &old, &len), 0);
	assert_int_equal(note_text_len(old, len, &text_len), 0);
	assert_int_equal(note_checkpoint_parse(old, text_len, &c), 0);
	c.size = tree.n;
	tree_root(&tree, c.root);
	assert_int_equal(note_checkpoint_text(text, sizeof(text), &c), 0);
	assert_int_equal(note_sign(text, &key->key, secret_cptr(key->secret), &note), 0);
	assert_int_equal(store_put(store, STORE_META, "ckpt", 4, note, strlen(note)), 0);
	assert_int_equal(tree_put(range, &tree), 0);
	assert_int_equal(
	    store_put(store, STORE_META, "range", 5, buf_ptr(range), buf_len(range)), 0);
	buf_free(range);
	free(note);
}

void
forger_sign_succession(struct store *store, uint64_t index, const struct signer *key)
{
	uint8_t data[MLOG_LEAF_MAX], bytes[MLOG_SUCCESSION_LEN], hash[HASH_LEN];
	size_t len = get_leaf(store_pending(store), index, data), n;
	struct mlog_leaf leaf;
	struct tree tree;
	const uint8_t *p;

	assert_int_equal(mlog_leaf_parse(data, len, &leaf), 0);
	tree_init(&tree);
	for (uint64_t i = 0; i < index; i++) {
		assert_int_equal(mlog_leaf_get(store_pending(store), i, &p, &n), 0);
		tree_leaf(p, n, hash);
		assert_int_equal(tree_add(&tree, hash), 0);
	}
	tree_root(&tree, hash);
	mlog_succession(index, hash, leaf.key, bytes);
	assert_int_equal(crypto_sign_detached(data + len - NOTE_SIG_LEN, NULL, bytes, sizeof(bytes),
			     secret_cptr(key->secret)),
	    0);
	put_leaf(store, index, data, len);
}

static void
file_path(const struct rig *rig, const char *name, char ret_path[256])
{
	(void)snprintf(ret_path, 256, "%s/%s", rig->dir, name);
}

char *
forger_file(const struct rig *rig, const char *name, size_t *ret_len)
{
	char path[256], *data;

	file_path(rig, name, path);
	assert_int_equal(file_read(path, 64u << 20, &data, ret_len), 0);
	return data;
}

void
forger_put_file(const struct rig *rig, const char *name, const char *data, size_t len)
{
	char path[256];

	file_path(rig, name, path);
	assert_int_equal(file_replace(path, 0600, data, len), 0);
}
