/* Adding leaves, the checkpoint over them, and the succession of the keys that sign it. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "recorder/mlog_write.h"

#define CHECKPOINT_MAX 512u /* bytes of a checkpoint's text */

static int
put_meta(struct mlog *m, const char *name, const void *data, size_t len)
{
	return store_put(m->store, STORE_META, name, strlen(name), data, len);
}

int
mlog_add(struct mlog *m, const struct mlog_leaf *leaf, uint64_t *ret_index)
{
	struct buf *b = buf_new(MLOG_LEAF_MAX);
	uint8_t key[MLOG_KEY_LEN], hash[HASH_LEN];
	uint64_t index = m->tree.n;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	mlog_key(index, key);
	if ((r = mlog_leaf_put(b, leaf, clock_wall_ns())) != 0 ||
	    (r = store_append(m->store, STORE_LOG, key, sizeof(key), buf_ptr(b), buf_len(b))) != 0)
		goto out;
	tree_leaf(buf_ptr(b), buf_len(b), hash);
	r = tree_add(&m->tree, hash);
	if (r == 0 && ret_index != NULL)
		*ret_index = index;
out:
	buf_free(b);
	return r;
}

/* A leaf with a text beside it, which it covers by hash. */
static int
add_with_text(struct mlog *m, struct mlog_leaf *leaf, const void *text, size_t len)
{
	uint8_t value[MLOG_SALT_LEN + REC_AUDIT_MAX], key[MLOG_KEY_LEN];
	uint64_t index;
	int r;

	if (len > REC_AUDIT_MAX)
		return ERR_LIMIT;
	randombytes_buf(value, MLOG_SALT_LEN);
	memcpy(value + MLOG_SALT_LEN, text, len);
	hash_sha256(value, MLOG_SALT_LEN + len, leaf->hash);
	if ((r = mlog_add(m, leaf, &index)) != 0)
		return r;
	mlog_key(index, key);
	return store_append(m->store, STORE_AUDIT, key, sizeof(key), value, MLOG_SALT_LEN + len);
}

int
mlog_audit(struct mlog *m, const void *text, size_t len)
{
	struct mlog_leaf leaf = { .type = MLOG_AUDIT };

	return add_with_text(m, &leaf, text, len);
}

int
mlog_erase(struct mlog *m, const uint8_t sid[REC_SID_LEN], enum mlog_erase how, const void *text,
    size_t len)
{
	struct mlog_leaf leaf = { .type = MLOG_ERASE, .how = (uint8_t)how };

	memcpy(leaf.sid, sid, REC_SID_LEN);
	return add_with_text(m, &leaf, text, len);
}

int
mlog_hold(struct mlog *m, const uint8_t sid[REC_SID_LEN], bool held, const void *text, size_t len)
{
	struct mlog_leaf leaf = { .type = MLOG_HOLD, .how = held };

	memcpy(leaf.sid, sid, REC_SID_LEN);
	return add_with_text(m, &leaf, text, len);
}

int
mlog_checkpoint(struct mlog *m)
{
	struct note_checkpoint c = { .size = m->tree.n };
	char text[CHECKPOINT_MAX], *note = NULL;
	struct buf *range = NULL;
	int r;

	if (m->tree.n == m->n_signed)
		return 0;
	tree_root(&m->tree, c.root);
	if ((r = str_copy(c.origin, sizeof(c.origin), m->origin)) != 0 ||
	    (r = note_checkpoint_text(text, sizeof(text), &c)) != 0 ||
	    (r = note_sign(text, &m->signer->key, secret_cptr(m->signer->secret), &note)) != 0)
		goto out;
	r = -ENOMEM;
	if ((range = buf_new(sizeof(struct tree))) == NULL)
		goto out;
	if ((r = tree_put(range, &m->tree)) != 0 ||
	    (r = put_meta(m, STORE_META_RANGE, buf_ptr(range), buf_len(range))) != 0 ||
	    (r = put_meta(m, STORE_META_CHECKPOINT, note, strlen(note))) != 0)
		goto out;
	m->n_signed = m->tree.n;
out:
	buf_free(range);
	free(note);
	return r;
}

/* Where the key in force comes from, so that a start needs not read the whole log for it. */
static int
put_epoch(struct mlog *m, uint64_t index)
{
	uint8_t key[MLOG_KEY_LEN];
	char vkey[NOTE_VKEY_SIZE];
	int r;

	m->key_leaf = index;
	m->key_wall_ns = clock_wall_ns();
	mlog_key(index, key);
	note_key_text(vkey, &m->signer->key);
	if ((r = put_meta(m, STORE_META_EPOCH, key, sizeof(key))) != 0)
		return r;
	return put_meta(m, STORE_META_VKEY, vkey, strlen(vkey));
}

int
mlog_succeed(struct mlog *m)
{
	struct mlog_leaf leaf = { .type = MLOG_KEY, .has_signature = true };
	uint8_t bytes[MLOG_SUCCESSION_LEN], root[HASH_LEN];
	const struct signer *s = m->signer;
	uint64_t index;
	int r;

	if ((r = str_copy(leaf.name, sizeof(leaf.name), s->other_key.name)) != 0)
		return r;
	memcpy(leaf.key, s->other_key.key, NOTE_KEY_LEN);
	tree_root(&m->tree, root);
	mlog_succession(m->tree.n, root, leaf.key, bytes);
	if (crypto_sign_detached(
		leaf.signature, NULL, bytes, sizeof(bytes), secret_cptr(s->secret)) != 0)
		return ERR_CRYPTO;
	if ((r = mlog_add(m, &leaf, &index)) != 0)
		return r;
	signer_swap(m->signer);
	return put_epoch(m, index);
}

static int
start_empty(struct mlog *m, const char *origin)
{
	static const uint8_t format[4] = { 0, 0, 0, STORE_FORMAT };
	struct mlog_leaf init = { .type = MLOG_INIT, .format = STORE_FORMAT };
	struct mlog_leaf key = { .type = MLOG_KEY };
	uint64_t index;
	char hex[9];
	int r;

	randombytes_buf(init.uuid, sizeof(init.uuid));
	str_hex(hex, init.uuid, 4);
	r = origin != NULL ? str_copy(m->origin, sizeof(m->origin), origin)
			   : str_format(m->origin, sizeof(m->origin), "bastiond/%s", hex);
	if (r != 0 || (r = str_copy(init.name, sizeof(init.name), m->origin)) != 0 ||
	    (r = str_copy(key.name, sizeof(key.name), m->signer->key.name)) != 0)
		return r;
	memcpy(key.key, m->signer->key.key, NOTE_KEY_LEN);
	m->is_new = true;
	if ((r = put_meta(m, STORE_META_FORMAT, format, sizeof(format))) != 0 ||
	    (r = put_meta(m, STORE_META_UUID, init.uuid, sizeof(init.uuid))) != 0 ||
	    (r = put_meta(m, STORE_META_ORIGIN, m->origin, strlen(m->origin))) != 0 ||
	    (r = mlog_add(m, &init, NULL)) != 0 || (r = mlog_add(m, &key, &index)) != 0)
		return r;
	return put_epoch(m, index);
}

/* Of two keys the one that signed the checkpoint is in force. */
static int
check_signer(struct mlog *m, const char *note, size_t len, size_t *ret_text_len)
{
	struct signer *s = m->signer;
	int r = note_verify(note, len, &s->key, ret_text_len);

	if (r == ERR_NOT_FOUND && s->other != NULL) {
		signer_swap(s);
		r = note_verify(note, len, &s->key, ret_text_len);
	}
	return r == ERR_NOT_FOUND ? ERR_SIGNATURE : r;
}

/* The leaf that put the key in force there. */
static int
check_epoch(struct mlog *m, struct store_snap *snap)
{
	const uint8_t *data;
	struct mlog_leaf leaf;
	uint64_t index = 0;
	size_t len;
	int r;

	r = store_get(snap, STORE_META, STORE_META_EPOCH, strlen(STORE_META_EPOCH), &data, &len);
	if (r != 0 || len != 8)
		return r == 0 || r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	for (unsigned i = 0; i < 8; i++)
		index = index << 8 | data[i];
	r = mlog_leaf_get(snap, index, &data, &len);
	if (r == 0)
		r = mlog_leaf_parse(data, len, &leaf);
	if (r == ERR_NOT_FOUND || r == ERR_FORMAT || r == ERR_VERSION ||
	    (r == 0 &&
		(leaf.type != MLOG_KEY || memcmp(leaf.key, m->signer->key.key, NOTE_KEY_LEN) != 0)))
		return ERR_CHAIN;
	if (r == 0) {
		m->key_leaf = index;
		m->key_wall_ns = leaf.wall_ns;
	}
	return r;
}

/* The stored checkpoint is ours and is about the tree that we go on with. */
static int
check_stored(struct mlog *m, struct store_snap *snap)
{
	struct note_checkpoint c;
	uint8_t root[HASH_LEN];
	const char *note;
	uint64_t n_leaves;
	size_t len, text_len;
	int r;

	if ((r = mlog_checkpoint_get(snap, &note, &len)) != 0)
		return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	if ((r = check_signer(m, note, len, &text_len)) != 0)
		return r;
	if ((r = note_checkpoint_parse(note, text_len, &c)) != 0 ||
	    (r = store_count(snap, STORE_LOG, &n_leaves)) != 0)
		return r;
	tree_root(&m->tree, root);
	if (c.size != m->tree.n || n_leaves != m->tree.n || memcmp(root, c.root, HASH_LEN) != 0)
		return ERR_CHAIN;
	if ((r = check_epoch(m, snap)) != 0)
		return r;
	return str_copy(m->origin, sizeof(m->origin), c.origin);
}

int
mlog_start(struct mlog *m, struct store *store, struct signer *signer, const char *origin)
{
	struct store_snap *snap = store_pending(store);
	const uint8_t *data;
	size_t len;
	int r;

	*m = (struct mlog){ .store = store, .signer = signer };
	tree_init(&m->tree);
	r = store_get(snap, STORE_META, STORE_META_FORMAT, strlen(STORE_META_FORMAT), &data, &len);
	if (r == ERR_NOT_FOUND)
		return start_empty(m, origin);
	if (r != 0)
		return r;
	r = store_get(snap, STORE_META, STORE_META_RANGE, strlen(STORE_META_RANGE), &data, &len);
	if (r != 0 || tree_parse(data, len, &m->tree) != 0)
		return ERR_CHAIN;
	m->n_signed = m->tree.n;
	return check_stored(m, snap);
}
