/* Leaves of the log: encoding, reading, adding. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "recorder/mlog_write.h"

#define LEAF_VERSION 1
#define CHECKPOINT_MAX 512u /* bytes of a checkpoint's text */
#define SUCCESSION "bastiond-key-v1"

_Static_assert(MLOG_SUCCESSION_LEN == sizeof(SUCCESSION) + 8 + HASH_LEN + NOTE_KEY_LEN,
    "the fields of a succession");

/* Encoding and decoding of one type stand in one row. */
struct leaf_form {
	enum mlog_type type;
	const char *name;
	int (*put)(struct buf *b, const struct mlog_leaf *l);
	int (*get)(struct buf *b, struct mlog_leaf *l);
};

static int
put_init(struct buf *b, const struct mlog_leaf *l)
{
	int r;

	if ((r = buf_put(b, l->uuid, sizeof(l->uuid))) != 0 || (r = buf_put_u32(b, l->format)) != 0)
		return r;
	return buf_put_cstr(b, l->name);
}

static int
get_init(struct buf *b, struct mlog_leaf *l)
{
	int r;

	if ((r = buf_get(b, l->uuid, sizeof(l->uuid))) != 0 ||
	    (r = buf_get_u32(b, &l->format)) != 0)
		return r;
	return buf_get_cstr(b, l->name, sizeof(l->name));
}

static int
put_key(struct buf *b, const struct mlog_leaf *l)
{
	int r;

	if ((r = buf_put(b, l->key, sizeof(l->key))) != 0 || (r = buf_put_cstr(b, l->name)) != 0 ||
	    !l->has_signature)
		return r;
	return buf_put(b, l->signature, sizeof(l->signature));
}

static int
get_key(struct buf *b, struct mlog_leaf *l)
{
	int r;

	if ((r = buf_get(b, l->key, sizeof(l->key))) != 0 ||
	    (r = buf_get_cstr(b, l->name, sizeof(l->name))) != 0)
		return r;
	l->has_signature = buf_len(b) > 0;
	return l->has_signature ? buf_get(b, l->signature, sizeof(l->signature)) : 0;
}

static int
put_open(struct buf *b, const struct mlog_leaf *l)
{
	int r;

	if ((r = buf_put(b, l->sid, REC_SID_LEN)) != 0)
		return r;
	return buf_put(b, l->hash, HASH_LEN);
}

static int
get_open(struct buf *b, struct mlog_leaf *l)
{
	int r;

	if ((r = buf_get(b, l->sid, REC_SID_LEN)) != 0)
		return r;
	return buf_get(b, l->hash, HASH_LEN);
}

static int
put_close(struct buf *b, const struct mlog_leaf *l)
{
	int r;

	if ((r = buf_put(b, l->sid, REC_SID_LEN)) != 0 || (r = buf_put_u8(b, l->state)) != 0 ||
	    (r = buf_put(b, l->root, HASH_LEN)) != 0 || (r = buf_put_u32(b, l->n_blocks)) != 0 ||
	    (r = buf_put_u64(b, l->n_events)) != 0)
		return r;
	return buf_put(b, l->hash, HASH_LEN);
}

static int
get_close(struct buf *b, struct mlog_leaf *l)
{
	int r;

	if ((r = buf_get(b, l->sid, REC_SID_LEN)) != 0 || (r = buf_get_u8(b, &l->state)) != 0 ||
	    (r = buf_get(b, l->root, HASH_LEN)) != 0 || (r = buf_get_u32(b, &l->n_blocks)) != 0 ||
	    (r = buf_get_u64(b, &l->n_events)) != 0)
		return r;
	return buf_get(b, l->hash, HASH_LEN);
}

static int
put_recovery(struct buf *b, const struct mlog_leaf *l)
{
	return buf_put_u32(b, l->n_truncated);
}

static int
get_recovery(struct buf *b, struct mlog_leaf *l)
{
	return buf_get_u32(b, &l->n_truncated);
}

static int
put_audit(struct buf *b, const struct mlog_leaf *l)
{
	return buf_put(b, l->hash, HASH_LEN);
}

static int
get_audit(struct buf *b, struct mlog_leaf *l)
{
	return buf_get(b, l->hash, HASH_LEN);
}

/* ERASE and HOLD: a session, a byte, the hash of the text beside it. */
static int
put_done(struct buf *b, const struct mlog_leaf *l)
{
	int r;

	if ((r = buf_put(b, l->sid, REC_SID_LEN)) != 0 || (r = buf_put_u8(b, l->how)) != 0)
		return r;
	return buf_put(b, l->hash, HASH_LEN);
}

static int
get_done(struct buf *b, struct mlog_leaf *l)
{
	int r;

	if ((r = buf_get(b, l->sid, REC_SID_LEN)) != 0 || (r = buf_get_u8(b, &l->how)) != 0)
		return r;
	return buf_get(b, l->hash, HASH_LEN);
}

static int
get_hold(struct buf *b, struct mlog_leaf *l)
{
	int r = get_done(b, l);

	return r == 0 && l->how > 1 ? ERR_FORMAT : r;
}

static const struct leaf_form forms[] = {
	{ MLOG_INIT, "init", put_init, get_init },
	{ MLOG_KEY, "key", put_key, get_key },
	{ MLOG_OPEN, "open", put_open, get_open },
	{ MLOG_CLOSE, "close", put_close, get_close },
	{ MLOG_RECOVERY, "recovery", put_recovery, get_recovery },
	{ MLOG_AUDIT, "audit", put_audit, get_audit },
	{ MLOG_ERASE, "erase", put_done, get_done },
	{ MLOG_HOLD, "hold", put_done, get_hold },
};

static const struct leaf_form *
find_form(unsigned type)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if ((unsigned)forms[i].type == type)
			return &forms[i];
	return NULL;
}

const char *
mlog_type_name(unsigned type)
{
	const struct leaf_form *form = find_form(type);

	return form != NULL ? form->name : "unknown";
}

const char *
mlog_erase_name(unsigned how)
{
	static const char *const names[] = { "unknown", "asked", "age", "space" };

	return how < sizeof(names) / sizeof(names[0]) ? names[how] : names[0];
}

void
mlog_succession(uint64_t n_leaves, const uint8_t root[HASH_LEN],
    const uint8_t new_key[NOTE_KEY_LEN], uint8_t ret_bytes[MLOG_SUCCESSION_LEN])
{
	uint8_t *p = ret_bytes;

	memcpy(p, SUCCESSION, sizeof(SUCCESSION)); /* with its NUL */
	p += sizeof(SUCCESSION);
	for (unsigned i = 0; i < 8; i++)
		*p++ = (uint8_t)(n_leaves >> (56 - 8 * i));
	memcpy(p, root, HASH_LEN);
	memcpy(p + HASH_LEN, new_key, NOTE_KEY_LEN);
}

int
mlog_leaf_parse(const uint8_t *data, size_t len, struct mlog_leaf *ret_leaf)
{
	struct mlog_leaf l = { 0 };
	struct buf *b = buf_view(data, len);
	const struct leaf_form *form;
	uint8_t version, type;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &version)) != 0 || (r = buf_get_u8(b, &type)) != 0)
		goto out;
	r = ERR_VERSION;
	if (version != LEAF_VERSION)
		goto out;
	if ((r = buf_get_u64(b, &l.wall_ns)) != 0)
		goto out;
	l.type = (enum mlog_type)type;
	/* A type of a later version is a leaf all the same: only its fields stay unread. */
	if ((form = find_form(type)) != NULL && (r = form->get(b, &l)) == 0)
		r = buf_end(b);
	if (r == 0)
		*ret_leaf = l;
out:
	buf_free(b);
	return r;
}

static void
leaf_key(uint64_t index, uint8_t ret_key[8])
{
	for (unsigned i = 0; i < 8; i++)
		ret_key[i] = (uint8_t)(index >> (56 - 8 * i));
}

int
mlog_leaf_get(struct store_snap *snap, uint64_t index, const uint8_t **ret_data, size_t *ret_len)
{
	uint8_t key[8];

	leaf_key(index, key);
	return store_get(snap, STORE_LOG, key, sizeof(key), ret_data, ret_len);
}

int
mlog_audit_get(struct store_snap *snap, uint64_t index, const uint8_t **ret_text, size_t *ret_len)
{
	const uint8_t *data;
	uint8_t key[8];
	size_t len;
	int r;

	leaf_key(index, key);
	if ((r = store_get(snap, STORE_AUDIT, key, sizeof(key), &data, &len)) != 0)
		return r;
	if (len < MLOG_SALT_LEN)
		return ERR_FORMAT;
	*ret_text = data + MLOG_SALT_LEN;
	*ret_len = len - MLOG_SALT_LEN;
	return 0;
}

int
mlog_checkpoint_get(struct store_snap *snap, const char **ret_note, size_t *ret_len)
{
	const uint8_t *data;
	int r;

	r = store_get(
	    snap, STORE_META, STORE_META_CHECKPOINT, strlen(STORE_META_CHECKPOINT), &data, ret_len);
	if (r == 0)
		*ret_note = (const char *)data;
	return r;
}

/* Writing. */

static int
put_meta(struct mlog *m, const char *name, const void *data, size_t len)
{
	return store_put(m->store, STORE_META, name, strlen(name), data, len);
}

int
mlog_add(struct mlog *m, const struct mlog_leaf *leaf, uint64_t *ret_index)
{
	const struct leaf_form *form = find_form((unsigned)leaf->type);
	struct buf *b = buf_new(MLOG_LEAF_MAX);
	uint8_t key[8], hash[HASH_LEN];
	uint64_t index = m->tree.n;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	leaf_key(index, key);
	if ((r = buf_put_u8(b, LEAF_VERSION)) != 0 ||
	    (r = buf_put_u8(b, (uint8_t)leaf->type)) != 0 ||
	    (r = buf_put_u64(b, clock_wall_ns())) != 0 || (r = form->put(b, leaf)) != 0 ||
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
	uint8_t value[MLOG_SALT_LEN + REC_AUDIT_MAX], key[8];
	uint64_t index;
	int r;

	if (len > REC_AUDIT_MAX)
		return ERR_LIMIT;
	randombytes_buf(value, MLOG_SALT_LEN);
	memcpy(value + MLOG_SALT_LEN, text, len);
	hash_sha256(value, MLOG_SALT_LEN + len, leaf->hash);
	if ((r = mlog_add(m, leaf, &index)) != 0)
		return r;
	leaf_key(index, key);
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

static int
start_empty(struct mlog *m, const char *origin)
{
	static const uint8_t format[4] = { 0, 0, 0, STORE_FORMAT };
	struct mlog_leaf init = { .type = MLOG_INIT, .format = STORE_FORMAT };
	struct mlog_leaf key = { .type = MLOG_KEY };
	char vkey[NOTE_VKEY_SIZE], hex[9];
	int r;

	randombytes_buf(init.uuid, sizeof(init.uuid));
	str_hex(hex, init.uuid, 4);
	r = origin != NULL ? str_copy(m->origin, sizeof(m->origin), origin)
			   : str_format(m->origin, sizeof(m->origin), "bastiond/%s", hex);
	if (r != 0 || (r = str_copy(init.name, sizeof(init.name), m->origin)) != 0 ||
	    (r = str_copy(key.name, sizeof(key.name), m->signer->key.name)) != 0)
		return r;
	memcpy(key.key, m->signer->key.key, NOTE_KEY_LEN);
	note_key_text(vkey, &m->signer->key);
	if ((r = put_meta(m, STORE_META_FORMAT, format, sizeof(format))) != 0 ||
	    (r = put_meta(m, STORE_META_UUID, init.uuid, sizeof(init.uuid))) != 0 ||
	    (r = put_meta(m, STORE_META_ORIGIN, m->origin, strlen(m->origin))) != 0 ||
	    (r = put_meta(m, STORE_META_VKEY, vkey, strlen(vkey))) != 0 ||
	    (r = mlog_add(m, &init, NULL)) != 0)
		return r;
	return mlog_add(m, &key, NULL);
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
	if ((r = note_verify(note, len, &m->signer->key, &text_len)) != 0)
		return r == ERR_NOT_FOUND ? ERR_SIGNATURE : r;
	if ((r = note_checkpoint_parse(note, text_len, &c)) != 0 ||
	    (r = store_count(snap, STORE_LOG, &n_leaves)) != 0)
		return r;
	tree_root(&m->tree, root);
	if (c.size != m->tree.n || n_leaves != m->tree.n || memcmp(root, c.root, HASH_LEN) != 0)
		return ERR_CHAIN;
	return str_copy(m->origin, sizeof(m->origin), c.origin);
}

int
mlog_start(struct mlog *m, struct store *store, const struct signer *signer, const char *origin)
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
