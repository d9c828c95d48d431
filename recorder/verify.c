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

const char *
verify_kind_advice(enum verify_kind kind)
{
	static const char keep[] =
	    "keep the store as it is, and compare it with a backup from before";
	static const char *const advice[] = {
		[VERIFY_FLIPPED] = keep,
		[VERIFY_CUT] =
		    "somebody removed it, or the disk lost it: look for it in a backup; later "
		    "checkpoints kept elsewhere say how much there was",
		[VERIFY_MISSING] =
		    "look for it in a backup; what is left is still what was recorded",
		[VERIFY_REORDERED] = keep,
		[VERIFY_METADATA] =
		    "do not trust who, where and when of this session; keep the store and "
		    "compare it with a backup",
		[VERIFY_DELETED] =
		    "it was removed without an order to erase it: look for it in a backup, "
		    "and for who could write the store",
		[VERIFY_OTHER_KEY] =
		    "compare the public key with the one that was written down when the "
		    "bastion was set up; if it is right, somebody else signed this",
		[VERIFY_SIGNATURE] =
		    "trust nothing that it stands for; keep the store and compare it with "
		    "a backup",
		[VERIFY_FOREIGN] = "somebody put it there: find out whose it is before you use it",
		[VERIFY_LOG] =
		    "the history was written anew or an old store was put back: look for the one "
		    "that fits the checkpoints which were kept elsewhere",
		[VERIFY_EXTRA] = "leave it out: nobody signed it",
	};

	return (unsigned)kind < sizeof(advice) / sizeof(advice[0]) && advice[kind] != NULL
		   ? advice[kind]
		   : keep;
}

void
verify_found(struct verify *v, enum verify_kind kind, const uint8_t *sid, const char *place,
    const char *fmt, ...)
{
	struct verify_finding f = { .kind = kind,
		.in_session = sid != NULL,
		.from_wall_ns = v->from_wall_ns,
		.to_wall_ns = v->to_wall_ns };
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

const char *
verify_leaf_place(char dst[64], uint64_t index)
{
	(void)snprintf(dst, 64, "leaf %" PRIu64, index);
	return dst;
}

/* The walk over the log. */
struct walk {
	struct verify *v;
	struct tree tree;
	struct note_checkpoint now;
	bool has_now;	 /* it is readable */
	bool now_signed; /* and signed by the newest key */
	uint64_t index;	 /* of the next leaf */
	bool broken;	 /* a finding about single leaves explains a wrong root */
	size_t next_old; /* the next older checkpoint to be compared */
	uint64_t bad_olds, first_bad_old;
	size_t bad_epoch; /* the first one that the one before it did not sign; 0: none */
};

static int
leaf_init(struct walk *w, const struct mlog_leaf *leaf)
{
	char place[64];

	if (w->index != 0)
		verify_found(w->v, VERIFY_LOG, NULL, verify_leaf_place(place, w->index),
		    "a log begins only once");
	(void)leaf;
	return 0;
}

/* The first key must be the second leaf, and each later one be signed by the one before it. */
static int
leaf_key(struct walk *w, const struct mlog_leaf *leaf)
{
	uint8_t bytes[MLOG_SUCCESSION_LEN], root[HASH_LEN];
	struct verify *v = w->v;
	size_t epoch = verify_epoch_of(v, w->index);
	char place[64];

	verify_leaf_place(place, w->index);
	if (epoch == SIZE_MAX) {
		verify_found(v, VERIFY_FLIPPED, NULL, place, "it holds no usable key");
	} else if (epoch == 0) {
		if (w->index != MLOG_FIRST_KEY || leaf->has_signature)
			verify_found(
			    v, VERIFY_LOG, NULL, place, "it is not how the keys of a log begin");
		if (v->foreign)
			verify_found(v, VERIFY_OTHER_KEY, NULL, place,
			    "the log is signed by other keys than the trusted one");
	} else if (!w->broken && w->bad_epoch == 0) {
		tree_root(&w->tree, root);
		mlog_succession(w->index, root, leaf->key, bytes);
		if (!leaf->has_signature || crypto_sign_verify_detached(leaf->signature, bytes,
						sizeof(bytes), v->epochs[epoch - 1].key.key) != 0)
			w->bad_epoch = epoch;
	}
	return 0;
}

static int
leaf_open(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify *v = w->v;
	struct verify_known *k = verify_grow(v->known, v->n_known, &v->size_known, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	v->known = k;
	k = &v->known[v->n_known++];
	*k = (struct verify_known){ .open_leaf = w->index };
	memcpy(k->sid, leaf->sid, REC_SID_LEN);
	memcpy(k->open_hash, leaf->hash, HASH_LEN);
	return verify_map_add(&v->map, v->known, v->n_known);
}

static int
leaf_close(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify_known *k = verify_map_find(&w->v->map, w->v->known, leaf->sid);
	char place[64];

	if (k == NULL || k->closed || k->erased) {
		verify_found(w->v, VERIFY_LOG, leaf->sid, verify_leaf_place(place, w->index),
		    k == NULL	? "it ends a session that was never opened"
		    : k->closed ? "it ends a session for the second time"
				: "it ends a session that was erased before");
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
	uint8_t key[MLOG_KEY_LEN], hash[HASH_LEN];
	const uint8_t *data;
	char place[64];
	size_t len;
	int r;

	mlog_key(w->index, key);
	verify_leaf_place(place, w->index);
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

/* Erasing and holding are about a session that the log knows. */
static struct verify_known *
find_meant(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify_known *k = verify_map_find(&w->v->map, w->v->known, leaf->sid);
	char place[64];

	if (k == NULL || k->erased)
		verify_found(w->v, VERIFY_LOG, leaf->sid, verify_leaf_place(place, w->index),
		    k == NULL ? "it is about a session that was never opened"
			      : "it is about a session that was erased before");
	return k == NULL || k->erased ? NULL : k;
}

static int
leaf_erase(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify_known *k = find_meant(w, leaf);
	char place[64];

	if (k != NULL) {
		/* One that has no end by now was left damaged by a stop: verify_fate() tells so. */
		if (k->held)
			verify_found(w->v, VERIFY_LOG, leaf->sid,
			    verify_leaf_place(place, w->index),
			    "it erases a session that was held against that");
		k->erased = true;
		k->erase_leaf = w->index;
		k->erase_wall_ns = leaf->wall_ns;
		k->erase_how = leaf->how;
	}
	return leaf_audit(w, leaf);
}

static int
leaf_hold(struct walk *w, const struct mlog_leaf *leaf)
{
	struct verify_known *k = find_meant(w, leaf);

	if (k != NULL)
		k->held = leaf->how == 1;
	return leaf_audit(w, leaf);
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
	{ MLOG_ERASE, leaf_erase },
	{ MLOG_HOLD, leaf_hold },
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
		verify_found(w->v, VERIFY_FLIPPED, NULL, verify_leaf_place(place, w->index),
		    "it is not readable as the leaf that belongs there");
		return 0;
	}
	for (size_t i = 0; i < sizeof(leaf_rules) / sizeof(leaf_rules[0]); i++)
		if (leaf_rules[i].type == leaf.type)
			return leaf_rules[i].check(w, &leaf);
	return 0;
}

static bool
root_is(const struct walk *w, const uint8_t want[HASH_LEN])
{
	uint8_t root[HASH_LEN];

	tree_root(&w->tree, root);
	return memcmp(root, want, HASH_LEN) == 0;
}

/* Older checkpoints of the size that the tree has now. */
static void
check_olds(struct walk *w)
{
	const struct verify *v = w->v;

	for (; w->next_old < v->n_olds && v->olds[w->next_old].size <= w->index; w->next_old++) {
		const struct verify_old *old = &v->olds[w->next_old];

		if (w->broken || old->size != w->tree.n || root_is(w, old->root))
			continue;
		if (w->bad_olds++ == 0)
			w->first_bad_old = old->size;
	}
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
		verify_found(w->v, VERIFY_MISSING, NULL, verify_leaf_place(place, w->index),
		    "leaves %" PRIu64 " to %" PRIu64 " are not there", w->index, index - 1);
		w->index = index;
	}
	if (w->has_now && index >= w->now.size) {
		verify_found(w->v, VERIFY_EXTRA, NULL, verify_leaf_place(place, index),
		    "it stands behind the signed end of the log");
		w->index++;
		return 0;
	}
	tree_leaf(item->data, item->len, hash);
	if ((r = walk_leaf(w, item->data, item->len)) != 0 || (r = tree_add(&w->tree, hash)) != 0)
		return r;
	w->index++;
	check_olds(w);
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

/*
 * A key that the one before it did not sign. When the newest key has signed the log as it stands,
 * somebody who had that key wrote it anew; otherwise leaves were changed that the older key stands
 * for.
 */
static void
end_epochs(struct walk *w, bool whole)
{
	struct verify *v = w->v;
	const struct verify_epoch *e = &v->epochs[w->bad_epoch];
	char place[64];

	if (w->bad_epoch == 0)
		return;
	verify_leaf_place(place, e->leaf);
	if (whole) {
		v->forged_at = w->bad_epoch;
		verify_found(v, VERIFY_OTHER_KEY, NULL, place,
		    "the key before it did not sign this one: what stands before was written anew "
		    "by somebody who had a later key");
	} else
		verify_found(v, VERIFY_LOG, NULL, place,
		    "leaves %" PRIu64 " to %" PRIu64
		    " are not those that the key before it has signed",
		    e[-1].leaf, e->leaf - 1);
}

static void
walk_end(struct walk *w)
{
	struct verify *v = w->v;
	bool fits = !w->has_now || root_is(w, w->now.root);
	char place[64];

	if (w->has_now && w->index < w->now.size)
		verify_found(v, VERIFY_CUT, NULL, verify_leaf_place(place, w->index),
		    "the log ends here; signed were %" PRIu64 " leaves", w->now.size);
	else if (!w->broken && !fits)
		verify_found(v, VERIFY_LOG, NULL, "log",
		    "a leaf was changed: the log does not fit its checkpoint");
	end_epochs(w, fits && w->now_signed);
	if (w->bad_olds > 0)
		verify_found(v, VERIFY_LOG, NULL, "older checkpoint",
		    "the log is not the one that it was signed for; such are %" PRIu64
		    " of %zu, the first covers %" PRIu64 " leaves",
		    w->bad_olds, v->n_olds, w->first_bad_old);
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

/*
 * The store's own checkpoint. Its size says which keys count, and the newest of them must have
 * signed it.
 */
static int
load_checkpoint(struct walk *w)
{
	struct verify *v = w->v;
	const struct note_key *key = v->conf->key;
	struct note_checkpoint c;
	const char *note;
	size_t len;
	int r;

	r = mlog_checkpoint_get(v->snap, &note, &len);
	if (r != 0 && r != ERR_NOT_FOUND)
		return r;
	if (r == ERR_NOT_FOUND) {
		verify_found(v, VERIFY_CUT, NULL, "checkpoint", "there is no signed checkpoint");
		verify_trust(v, UINT64_MAX);
		return 0;
	}
	if ((r = verify_read_note(note, len, &w->now)) == -ENOMEM)
		return r;
	w->has_now = r == 0;
	verify_trust(v, w->has_now ? w->now.size : UINT64_MAX);
	if (!v->foreign)
		key = &v->epochs[v->n_epochs - 1].key;
	r = verify_note(v, note, len, key, "checkpoint", &c);
	w->now_signed = r == 0;
	return r == ERR_CHAIN ? 0 : r;
}

static int
verify_log(struct verify *v)
{
	struct walk w = { .v = v };
	int r;

	tree_init(&w.tree);
	v->txn = store_snap_txn(v->snap);
	if ((r = verify_load_epochs(v)) != 0 || (r = load_checkpoint(&w)) != 0 ||
	    (r = verify_load_olds(v, w.has_now ? &w.now : NULL)) != 0)
		return r;
	check_olds(&w);
	if ((r = walk_all(&w)) != 0)
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
		{ STORE_FATE, "fate" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(dbs) / sizeof(dbs[0]); i++)
		r = check_strangers(v, dbs[i].db, dbs[i].what);
	return r == 0 ? sess_each(v->snap, 0, check_time_entry, v) : r;
}

int
verify_init(struct verify *v, struct store_snap *snap, const struct verify_conf *conf)
{
	*v = (struct verify){ .snap = snap, .conf = conf };
	verify_map_init(&v->map);
	v->codec = block_codec_new();
	v->raw = buf_new(BLOCK_RAW_MAX);
	v->stored = buf_new(BLOCK_STORED_MAX);
	v->key = secret_new(CRYPT_KEY_LEN);
	v->journal_max = conf->journal_max != 0 ? conf->journal_max : VERIFY_JOURNAL_MAX;
	if (v->codec == NULL || v->raw == NULL || v->stored == NULL || v->key == NULL)
		return -ENOMEM;
	return growing_init(&v->growing, false);
}

void
verify_done(struct verify *v)
{
	free(v->known);
	verify_map_done(&v->map);
	free(v->epochs);
	free(v->olds);
	verify_journal_done(&v->journal);
	growing_done(&v->growing);
	secret_free(v->key);
	buf_free(v->stored);
	buf_free(v->raw);
	block_codec_free(v->codec);
}

static int
verify_start(struct verify *v, struct store_snap *snap, const struct verify_conf *conf)
{
	int r = verify_init(v, snap, conf);

	return r != 0 ? r : verify_log(v);
}

static int
verify_finish(struct verify *v, int r, struct verify_result *ret_result)
{
	*ret_result = v->result;
	verify_done(v);
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

int
verify_newest_key(struct store_snap *snap, const struct verify_conf *conf, struct note_key *ret_key,
    struct verify_result *ret_result)
{
	struct note_key key = { .name = "" };
	struct verify v;
	int r = verify_start(&v, snap, conf);

	if (r == 0 && !v.foreign)
		key = v.epochs[v.n_epochs - 1].key;
	r = verify_finish(&v, r, ret_result);
	if (r == 0)
		*ret_key = key;
	return r;
}
