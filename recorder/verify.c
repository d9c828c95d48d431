/*
 * The log under its checkpoint, what it knows of sessions, and that nothing else is in the store.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/tree.h"
#include "recorder/verify_part.h"

#define RENEW_BYTES (256ull << 20) /* events read from one snapshot before it is renewed */

const char *
verify_kind_name(enum verify_kind kind)
{
	static const char *const names[] = { "unknown", "flipped", "cut", "missing", "reordered",
		"metadata", "deleted", "other-key", "signature", "foreign", "log", "extra" };

	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : names[0];
}

void
verify_found(struct verify *v, enum verify_kind kind, const uint8_t *sid, const char *place,
    const char *fmt, ...)
{
	struct verify_finding f = { .kind = kind, .in_session = sid != NULL };
	va_list ap;

	if (sid != NULL)
		memcpy(f.sid, sid, REC_SID_LEN);
	(void)snprintf(f.place, sizeof(f.place), "%s", place);
	va_start(ap, fmt);
	(void)vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	v->result.n_findings++;
	if (v->conf->found != NULL)
		v->conf->found(v->conf->arg, &f);
}

enum verify_kind
verify_blame(const struct verify *v, const uint8_t *signed_bytes, size_t len, const uint8_t *sig)
{
	if (v->has_other && crypto_sign_verify_detached(sig, signed_bytes, len, v->other) == 0)
		return VERIFY_OTHER_KEY;
	return VERIFY_SIGNATURE;
}

static const char *
leaf_place(char dst[64], uint64_t index)
{
	(void)snprintf(dst, 64, "leaf %" PRIu64, index);
	return dst;
}

/* A signed checkpoint. 0; ERR_CHAIN with a finding; -errno. */
static int
check_note(struct verify *v, const char *note, size_t len, const char *place,
    struct note_checkpoint *ret_checkpoint)
{
	size_t text_len;
	int r = note_verify(note, len, v->conf->key, &text_len);

	if (r == 0)
		r = note_checkpoint_parse(note, text_len, ret_checkpoint);
	switch (r) {
	case 0:
	case -ENOMEM:
		return r;
	case ERR_NOT_FOUND:
		verify_found(
		    v, VERIFY_OTHER_KEY, NULL, place, "it is not signed by the trusted key");
		break;
	case ERR_SIGNATURE:
		verify_found(v, VERIFY_SIGNATURE, NULL, place, "its signature does not verify");
		break;
	default:
		verify_found(v, VERIFY_FLIPPED, NULL, place, "it is not a readable checkpoint");
	}
	return ERR_CHAIN;
}

/* The key that the store itself names, to tell another signer from a damaged signature. */
static int
find_other_key(struct verify *v)
{
	struct note_key key;
	const uint8_t *data;
	size_t len;
	int r;

	r = store_get(v->snap, STORE_META, STORE_META_VKEY, strlen(STORE_META_VKEY), &data, &len);
	if (r == ERR_NOT_FOUND)
		return 0;
	if (r == 0 && note_key_parse((const char *)data, len, &key) == 0 &&
	    memcmp(key.key, v->conf->key->key, NOTE_KEY_LEN) != 0) {
		v->has_other = true;
		memcpy(v->other, key.key, NOTE_KEY_LEN);
	}
	return r;
}

/* The walk over the log. */
struct walk {
	struct verify *v;
	struct tree tree;
	struct note_checkpoint now, old;
	bool has_now, has_old;
	uint64_t index; /* of the next leaf */
	bool broken;	/* a finding about single leaves explains a wrong root */
};

static struct verify_known *
find_known(struct verify *v, const uint8_t *sid)
{
	for (size_t i = v->n_known; i > 0; i--)
		if (memcmp(v->known[i - 1].sid, sid, REC_SID_LEN) == 0)
			return &v->known[i - 1];
	return NULL;
}

static int
leaf_init(struct walk *w, const struct mlog_leaf *leaf)
{
	char place[64];

	if (w->index != 0)
		verify_found(
		    w->v, VERIFY_LOG, NULL, leaf_place(place, w->index), "a log begins only once");
	(void)leaf;
	return 0;
}

static int
leaf_key(struct walk *w, const struct mlog_leaf *leaf)
{
	char place[64];

	if (memcmp(leaf->key, w->v->conf->key->key, NOTE_KEY_LEN) != 0)
		verify_found(w->v, VERIFY_OTHER_KEY, NULL, leaf_place(place, w->index),
		    "the log is signed by another key than the trusted one");
	return 0;
}

static int
leaf_open(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify *v = w->v;
	struct verify_known *k;

	if (v->n_known == v->size_known) {
		size_t size = v->size_known == 0 ? 64 : v->size_known * 2;

		if ((k = reallocarray(v->known, size, sizeof(*k))) == NULL)
			return -ENOMEM;
		v->known = k;
		v->size_known = size;
	}
	k = &v->known[v->n_known++];
	*k = (struct verify_known){ .open_leaf = w->index };
	memcpy(k->sid, leaf->sid, REC_SID_LEN);
	memcpy(k->open_hash, leaf->hash, HASH_LEN);
	return 0;
}

static int
leaf_close(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify_known *k = find_known(w->v, leaf->sid);
	char place[64];

	if (k == NULL || k->closed) {
		verify_found(w->v, VERIFY_LOG, leaf->sid, leaf_place(place, w->index),
		    k == NULL ? "it ends a session that was never opened"
			      : "it ends a session for the second time");
		return 0;
	}
	k->closed = true;
	k->close_leaf = w->index;
	k->close = *leaf;
	return 0;
}

static int
leaf_audit(struct walk *w, const struct mlog_leaf *leaf)
{
	uint8_t key[8], hash[HASH_LEN];
	const uint8_t *data;
	char place[64];
	size_t len;
	int r;

	for (unsigned i = 0; i < 8; i++)
		key[i] = (uint8_t)(w->index >> (56 - 8 * i));
	leaf_place(place, w->index);
	r = store_get(w->v->snap, STORE_AUDIT, key, sizeof(key), &data, &len);
	if (r == ERR_NOT_FOUND) {
		verify_found(w->v, VERIFY_DELETED, NULL, place, "its audit event is not there");
		return 0;
	}
	if (r != 0)
		return r;
	hash_sha256(data, len, hash);
	if (memcmp(hash, leaf->hash, HASH_LEN) != 0)
		verify_found(
		    w->v, VERIFY_FLIPPED, NULL, place, "the text of its audit event was changed");
	return 0;
}

static const struct leaf_rule {
	enum mlog_type type;
	int (*check)(struct walk *w, const struct mlog_leaf *leaf);
} leaf_rules[] = {
	{ MLOG_INIT, leaf_init },
	{ MLOG_KEY, leaf_key },
	{ MLOG_OPEN, leaf_open },
	{ MLOG_CLOSE, leaf_close },
	{ MLOG_AUDIT, leaf_audit },
	{ MLOG_ERASE, leaf_audit },
	{ MLOG_HOLD, leaf_audit },
};

static int
walk_leaf(struct walk *w, const uint8_t *data, size_t len)
{
	struct mlog_leaf leaf;
	char place[64];
	int r;

	r = mlog_leaf_parse(data, len, &leaf);
	if (r == -ENOMEM)
		return r;
	if (r != 0 || (w->index == 0) != (leaf.type == MLOG_INIT)) {
		w->broken = true;
		verify_found(w->v, VERIFY_FLIPPED, NULL, leaf_place(place, w->index),
		    "it is not readable as the leaf that belongs there");
		return 0;
	}
	for (size_t i = 0; i < sizeof(leaf_rules) / sizeof(leaf_rules[0]); i++)
		if (leaf_rules[i].type == leaf.type)
			return leaf_rules[i].check(w, &leaf);
	return 0;
}

static void
check_root(struct walk *w, const struct note_checkpoint *c, const char *place, const char *text)
{
	uint8_t root[HASH_LEN];

	if (w->tree.n != c->size)
		return;
	tree_root(&w->tree, root);
	if (memcmp(root, c->root, HASH_LEN) != 0)
		verify_found(w->v, VERIFY_LOG, NULL, place, "%s", text);
}

static int
walk_step(struct walk *w, const struct store_item *item)
{
	uint64_t index = 0;
	uint8_t hash[HASH_LEN];
	char place[64];
	int r;

	if (item->key_len != 8)
		return ERR_FORMAT;
	for (unsigned i = 0; i < 8; i++)
		index = index << 8 | item->key[i];
	if (index != w->index) {
		w->broken = true;
		verify_found(w->v, VERIFY_MISSING, NULL, leaf_place(place, w->index),
		    "leaves %" PRIu64 " to %" PRIu64 " are not there", w->index, index - 1);
		w->index = index;
	}
	if (w->has_now && index >= w->now.size) {
		verify_found(w->v, VERIFY_EXTRA, NULL, leaf_place(place, index),
		    "it stands behind the signed end of the log");
		w->index++;
		return 0;
	}
	tree_leaf(item->data, item->len, hash);
	if ((r = walk_leaf(w, item->data, item->len)) != 0 || (r = tree_add(&w->tree, hash)) != 0)
		return r;
	w->index++;
	if (w->has_old && !w->broken)
		check_root(w, &w->old, "older checkpoint",
		    "the log is not the one that the older checkpoint was signed for");
	return 0;
}

static int
walk_all(struct walk *w)
{
	struct store_item item;
	struct store_iter *it;
	int r;

	if ((r = store_iter_new(w->v->snap, STORE_LOG, NULL, 0, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0 && (r = walk_step(w, &item)) == 0)
		continue;
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static void
walk_end(struct walk *w)
{
	struct verify *v = w->v;
	char place[64];

	if (w->has_now && w->index < w->now.size)
		verify_found(v, VERIFY_CUT, NULL, leaf_place(place, w->index),
		    "the log ends here; signed were %" PRIu64 " leaves", w->now.size);
	else if (w->has_now && !w->broken)
		check_root(
		    w, &w->now, "log", "a leaf was changed: the log does not fit its checkpoint");
	if (w->has_old && w->has_now && w->old.size > w->now.size)
		verify_found(v, VERIFY_CUT, NULL, "older checkpoint",
		    "it covers %" PRIu64 " leaves, the log has %" PRIu64, w->old.size, w->now.size);
	v->result.log_size = w->tree.n;
	tree_root(&w->tree, v->result.log_root);
}

static int
known_cmp(const void *a, const void *b)
{
	return memcmp(((const struct verify_known *)a)->sid, ((const struct verify_known *)b)->sid,
	    REC_SID_LEN);
}

static const struct verify_known *
known_get(const struct verify *v, const uint8_t *sid)
{
	struct verify_known key;

	if (v->n_known == 0)
		return NULL;
	memcpy(key.sid, sid, REC_SID_LEN);
	return bsearch(&key, v->known, v->n_known, sizeof(key), known_cmp);
}

static int
load_checkpoints(struct walk *w)
{
	struct verify *v = w->v;
	const char *note;
	size_t len;
	int r;

	r = mlog_checkpoint_get(v->snap, &note, &len);
	if (r == ERR_NOT_FOUND)
		verify_found(v, VERIFY_CUT, NULL, "checkpoint", "there is no signed checkpoint");
	else if (r != 0 ||
		 ((r = check_note(v, note, len, "checkpoint", &w->now)) != 0 && r != ERR_CHAIN))
		return r;
	w->has_now = r == 0;
	if (v->conf->checkpoint == NULL)
		return 0;
	r = check_note(
	    v, v->conf->checkpoint, v->conf->checkpoint_len, "older checkpoint", &w->old);
	if (r != 0)
		return r == ERR_CHAIN ? 0 : r;
	w->has_old = true;
	if (w->has_now && strcmp(w->old.origin, w->now.origin) != 0) {
		w->has_old = false;
		verify_found(v, VERIFY_FOREIGN, NULL, "older checkpoint", "it is of another log");
	}
	return 0;
}

static int
verify_log(struct verify *v)
{
	struct walk w = { .v = v };
	int r;

	tree_init(&w.tree);
	v->txn = store_snap_txn(v->snap);
	if ((r = find_other_key(v)) != 0 || (r = load_checkpoints(&w)) != 0 ||
	    (r = walk_all(&w)) != 0)
		return r;
	walk_end(&w);
	if (v->n_known > 0)
		qsort(v->known, v->n_known, sizeof(v->known[0]), known_cmp);
	for (size_t i = 1; i < v->n_known; i++)
		if (known_cmp(&v->known[i - 1], &v->known[i]) == 0)
			verify_found(v, VERIFY_LOG, v->known[i].sid, "log",
			    "two leaves open the same session");
	return 0;
}

/*
 * Databases whose keys begin with a session id hold nothing of sessions that the log does not know.
 */
static int
check_strangers(struct verify *v, enum store_db db, const char *what)
{
	uint8_t from[REC_SID_LEN + 1] = { 0 };
	size_t from_len = 0;
	struct store_item item;
	struct store_iter *it;
	int r;

	for (;;) {
		if ((r = store_iter_new(v->snap, db, from, from_len, false, &it)) != 0)
			return r;
		r = store_iter_next(it, &item);
		if (r == 0 && item.key_len >= REC_SID_LEN)
			memcpy(from, item.key, REC_SID_LEN);
		else if (r == 0)
			r = ERR_FORMAT;
		store_iter_free(it);
		if (r != 0)
			return r == ERR_NOT_FOUND ? 0 : r;
		if (known_get(v, from) == NULL && store_snap_txn(v->snap) == v->txn)
			verify_found(
			    v, VERIFY_FOREIGN, from, what, "the log does not know this session");
		/* Past everything of this session: on to the next id. */
		from_len = REC_SID_LEN;
		while (from_len > 0 && ++from[from_len - 1] == 0)
			from_len--;
		if (from_len == 0)
			return 0;
		from_len = REC_SID_LEN;
	}
}

static int
check_time_entry(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct verify *v = arg;

	(void)opened_wall_ns;
	if (known_get(v, sid) == NULL)
		verify_found(v, VERIFY_FOREIGN, sid, "index", "the log does not know this session");
	return 0;
}

static int
check_all_strangers(struct verify *v)
{
	static const struct {
		enum store_db db;
		const char *what;
	} dbs[] = {
		{ STORE_SESS, "record" },
		{ STORE_HDR, "block headers" },
		{ STORE_BLK, "blocks" },
		{ STORE_HEAD, "head" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(dbs) / sizeof(dbs[0]); i++)
		r = check_strangers(v, dbs[i].db, dbs[i].what);
	return r == 0 ? sess_each(v->snap, 0, check_time_entry, v) : r;
}

static int
verify_start(struct verify *v, struct store_snap *snap, const struct verify_conf *conf)
{
	*v = (struct verify){ .snap = snap, .conf = conf };
	v->codec = block_codec_new();
	v->raw = buf_new(BLOCK_RAW_MAX);
	if (v->codec == NULL || v->raw == NULL)
		return -ENOMEM;
	return verify_log(v);
}

static int
verify_finish(struct verify *v, int r, struct verify_result *ret_result)
{
	*ret_result = v->result;
	free(v->known);
	buf_free(v->raw);
	block_codec_free(v->codec);
	if (r != 0)
		return r;
	return v->result.n_findings > 0 ? ERR_CHAIN : 0;
}

int
verify_all(
    struct store_snap *snap, const struct verify_conf *conf, struct verify_result *ret_result)
{
	struct verify v;
	uint64_t renewed_at = 0;
	int r;

	r = verify_start(&v, snap, conf);
	if (r == 0)
		r = check_all_strangers(&v);
	for (size_t i = 0; r == 0 && i < v.n_known; i++) {
		r = verify_known_session(&v, &v.known[i]);
		/* A snapshot that is held for long makes the file grow. */
		if (r == 0 && v.result.raw_bytes - renewed_at > RENEW_BYTES) {
			renewed_at = v.result.raw_bytes;
			r = store_snap_renew(snap);
		}
	}
	return verify_finish(&v, r, ret_result);
}

int
verify_session(struct store_snap *snap, const struct verify_conf *conf,
    const uint8_t sid[REC_SID_LEN], struct verify_result *ret_result)
{
	const struct verify_known *known;
	const uint8_t *data;
	struct verify v;
	size_t len;
	int r;

	r = verify_start(&v, snap, conf);
	if (r != 0)
		return verify_finish(&v, r, ret_result);
	if ((known = known_get(&v, sid)) != NULL)
		return verify_finish(&v, verify_known_session(&v, known), ret_result);
	r = store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len);
	if (r == 0) {
		v.result.n_sessions++;
		verify_found(
		    &v, VERIFY_FOREIGN, sid, "session", "the log does not know this session");
	}
	return verify_finish(&v, r, ret_result);
}
