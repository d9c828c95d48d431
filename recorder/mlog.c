/* Leaves of the log: encoding and reading. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "recorder/mlog.h"

#define LEAF_VERSION 1
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
mlog_leaf_put(struct buf *b, const struct mlog_leaf *leaf, uint64_t wall_ns)
{
	int r;

	if ((r = buf_put_u8(b, LEAF_VERSION)) != 0 ||
	    (r = buf_put_u8(b, (uint8_t)leaf->type)) != 0 || (r = buf_put_u64(b, wall_ns)) != 0)
		return r;
	return find_form((unsigned)leaf->type)->put(b, leaf);
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

void
mlog_key(uint64_t index, uint8_t ret_key[MLOG_KEY_LEN])
{
	for (unsigned i = 0; i < 8; i++)
		ret_key[i] = (uint8_t)(index >> (56 - 8 * i));
}

int
mlog_leaf_get(struct store_snap *snap, uint64_t index, const uint8_t **ret_data, size_t *ret_len)
{
	uint8_t key[MLOG_KEY_LEN];

	mlog_key(index, key);
	return store_get(snap, STORE_LOG, key, sizeof(key), ret_data, ret_len);
}

int
mlog_audit_get(struct store_snap *snap, uint64_t index, const uint8_t **ret_text, size_t *ret_len)
{
	const uint8_t *data;
	uint8_t key[MLOG_KEY_LEN];
	size_t len;
	int r;

	mlog_key(index, key);
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
