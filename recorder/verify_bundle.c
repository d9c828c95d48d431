/* The log of a bundle, leaf by leaf with its proof; its session; and that nothing else is in it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/str.h"
#include "recorder/fate.h"
#include "recorder/store_bundle.h"
#include "recorder/tree_many.h"
#include "recorder/verify_bundle.h"
#include "recorder/verify_part.h"

#define PREFIX_MIN 4u /* digits of a session id that name one */

struct look {
	struct verify *v;
	uint8_t sid[REC_SID_LEN];
	struct note_checkpoint now;
	struct verify_known known;
	uint64_t hold_leaf; /* the last one; 0: none */
	bool has_init, has_open;
	int error; /* of a look that has no other way to tell */
	/* the leaf that is looked at */
	uint64_t index;
	struct tree_proof proof;
	char place[64];
};

int
bundle_sid(struct store_snap *snap, uint8_t ret_sid[REC_SID_LEN])
{
	struct store_item item;
	struct store_iter *it;
	uint8_t sid[REC_SID_LEN];
	int r;

	if ((r = store_iter_new(snap, STORE_SESS, NULL, 0, false, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	if (r == 0 && item.key_len != REC_SID_LEN)
		r = ERR_FORMAT;
	if (r == 0) {
		memcpy(sid, item.key, REC_SID_LEN);
		if ((r = store_iter_next(it, &item)) == 0)
			r = ERR_FORMAT;
		else if (r == ERR_NOT_FOUND)
			r = 0;
		if (r == 0)
			memcpy(ret_sid, sid, REC_SID_LEN);
	}
	store_iter_free(it);
	return r;
}

bool
bundle_event_is_of(const uint8_t *text, size_t len, const uint8_t sid[REC_SID_LEN])
{
	char hex[2 * REC_SID_LEN + 1];
	struct json_node *root = NULL;
	const char *named;
	size_t n;
	bool is;

	str_hex(hex, sid, REC_SID_LEN);
	/* Nearly all events are of others: look before parsing. */
	if (memmem(text, len, hex, PREFIX_MIN) == NULL ||
	    json_parse((const char *)text, len, &root) != 0)
		return false;
	named = json_str(json_get(root, "session"), "");
	n = strlen(named);
	is = n >= PREFIX_MIN && strncmp(hex, named, n) == 0;
	json_node_free(root);
	return is;
}

bool
bundle_leaf_is_of(const struct mlog_leaf *leaf, const uint8_t sid[REC_SID_LEN])
{
	switch (leaf->type) {
	case MLOG_INIT:
	case MLOG_KEY:
		return true;
	case MLOG_OPEN:
	case MLOG_CLOSE:
	case MLOG_ERASE:
	case MLOG_HOLD:
		return memcmp(leaf->sid, sid, REC_SID_LEN) == 0;
	case MLOG_RECOVERY:
	case MLOG_AUDIT:
		break;
	}
	return false;
}

/*
 * Which keys count is said by its size, and the newest of them must have signed it. 0; ERR_CHAIN
 * with a finding; -ENOMEM; -errno.
 */
static int
load_checkpoint(struct look *l)
{
	struct verify *v = l->v;
	const struct note_key *key = v->conf->key;
	struct note_checkpoint c;
	const char *note;
	size_t len;
	int r = mlog_checkpoint_get(v->snap, &note, &len);

	if (r == ERR_NOT_FOUND) {
		verify_found(v, VERIFY_CUT, NULL, "checkpoint", "there is no signed checkpoint");
		return ERR_CHAIN;
	}
	if (r != 0 || (r = verify_load_epochs(v)) != 0)
		return r;
	r = verify_read_note(note, len, &l->now);
	if (r == -ENOMEM)
		return r;
	verify_trust(v, r == 0 ? l->now.size : UINT64_MAX);
	if (!v->foreign)
		key = &v->epochs[v->n_epochs - 1].key;
	r = verify_note(v, note, len, key, "checkpoint", &c);
	/* What another key signed is still read on: its leaves may say whose it is. */
	return r == ERR_CHAIN && l->now.size > 0 ? 0 : r;
}

/* The path of the leaf. 0; ERR_CHAIN with a finding; -errno. */
static int
load_proof(struct look *l, const uint8_t key[MLOG_KEY_LEN])
{
	const uint8_t *data;
	size_t len;
	int r = store_get(l->v->snap, STORE_PROOF, key, MLOG_KEY_LEN, &data, &len);

	if (r != 0 && r != ERR_NOT_FOUND)
		return r;
	if (r != 0 || len % HASH_LEN != 0 || len / HASH_LEN > TREE_DEPTH_MAX) {
		verify_found(l->v, VERIFY_MISSING, NULL, l->place,
		    "nothing shows that it is in the log: its proof is not there");
		return ERR_CHAIN;
	}
	l->proof.n = len / HASH_LEN;
	memcpy(l->proof.hashes, data, len);
	return 0;
}

/* What the description says in plain must be what signatures cover. */
static int
check_fact(struct look *l, const char *name, const void *want, size_t want_len)
{
	const uint8_t *data;
	size_t len;
	int r = store_get(l->v->snap, STORE_META, name, strlen(name), &data, &len);

	if (r != 0 && r != ERR_NOT_FOUND)
		return r;
	if (r != 0 || len != want_len || memcmp(data, want, len) != 0)
		verify_found(
		    l->v, VERIFY_METADATA, NULL, name, "it is not what the signed log says");
	return 0;
}

static int
take_init(struct look *l, const struct mlog_leaf *leaf)
{
	const uint8_t format[4] = { (uint8_t)(leaf->format >> 24), (uint8_t)(leaf->format >> 16),
		(uint8_t)(leaf->format >> 8), (uint8_t)leaf->format };
	char vkey[NOTE_VKEY_SIZE];
	int r;

	if (l->index != 0)
		verify_found(l->v, VERIFY_LOG, NULL, l->place, "a log begins only once");
	l->has_init = true;
	if (strcmp(leaf->name, l->now.origin) != 0)
		verify_found(
		    l->v, VERIFY_FOREIGN, NULL, "checkpoint", "it is of another log than leaf 0");
	note_key_text(
	    vkey, l->v->n_epochs > 0 ? &l->v->epochs[l->v->n_epochs - 1].key : l->v->conf->key);
	if ((r = check_fact(l, STORE_META_ORIGIN, leaf->name, strlen(leaf->name))) != 0 ||
	    (r = check_fact(l, STORE_META_UUID, leaf->uuid, sizeof(leaf->uuid))) != 0 ||
	    (r = check_fact(l, STORE_META_FORMAT, format, sizeof(format))) != 0)
		return r;
	return check_fact(l, STORE_META_VKEY, vkey, strlen(vkey));
}

/*
 * The first key is the second leaf; each later one was signed by the one before it, over the log as
 * it was then.
 */
static int
take_key(struct look *l, const struct mlog_leaf *leaf)
{
	uint8_t bytes[MLOG_SUCCESSION_LEN], root[HASH_LEN];
	struct verify *v = l->v;
	size_t epoch = verify_epoch_of(v, l->index);

	if (epoch == SIZE_MAX) {
		verify_found(v, VERIFY_FLIPPED, NULL, l->place, "it holds no usable key");
	} else if (epoch == 0) {
		if (l->index != MLOG_FIRST_KEY || leaf->has_signature)
			verify_found(
			    v, VERIFY_LOG, NULL, l->place, "it is not how the keys of a log begin");
		if (v->foreign)
			verify_found(v, VERIFY_OTHER_KEY, NULL, l->place,
			    "the log is signed by other keys than the trusted one");
	} else {
		tree_root_before(&l->proof, l->index, l->now.size, root);
		mlog_succession(l->index, root, leaf->key, bytes);
		if (!leaf->has_signature || crypto_sign_verify_detached(leaf->signature, bytes,
						sizeof(bytes), v->epochs[epoch - 1].key.key) != 0) {
			if (v->forged_at > epoch)
				v->forged_at = epoch;
			verify_found(v, VERIFY_OTHER_KEY, NULL, l->place,
			    "the key before it did not sign this one over the log as it is");
		}
	}
	return 0;
}

static int
take_open(struct look *l, const struct mlog_leaf *leaf)
{
	if (l->has_open) {
		verify_found(
		    l->v, VERIFY_LOG, leaf->sid, l->place, "two leaves open the same session");
		return 0;
	}
	l->has_open = true;
	l->known.open_leaf = l->index;
	memcpy(l->known.open_hash, leaf->hash, HASH_LEN);
	return 0;
}

static int
take_close(struct look *l, const struct mlog_leaf *leaf)
{
	if (!l->has_open || l->known.closed) {
		verify_found(l->v, VERIFY_LOG, leaf->sid, l->place,
		    l->has_open ? "it ends a session for the second time"
				: "it ends a session that was never opened");
		return 0;
	}
	l->known.closed = true;
	l->known.close_leaf = l->index;
	l->known.close = *leaf;
	return 0;
}

/* The text beside a leaf, and that it is about our session. */
static int
take_text(struct look *l, const struct mlog_leaf *leaf)
{
	uint8_t hash[HASH_LEN];
	const uint8_t *text;
	size_t len;
	int r = mlog_audit_get(l->v->snap, l->index, &text, &len);

	if (r == ERR_NOT_FOUND) {
		verify_found(l->v, VERIFY_MISSING, NULL, l->place, "its audit event is not there");
		return 0;
	}
	if (r != 0 && r != ERR_FORMAT)
		return r;
	if (r == 0)
		hash_sha256(text - MLOG_SALT_LEN, len + MLOG_SALT_LEN, hash);
	if (r != 0 || memcmp(hash, leaf->hash, HASH_LEN) != 0)
		verify_found(l->v, VERIFY_FLIPPED, NULL, l->place,
		    "the text of its audit event was changed");
	else if (!bundle_event_is_of(text, len, l->sid))
		verify_found(
		    l->v, VERIFY_FOREIGN, NULL, l->place, "its audit event is not of this session");
	return 0;
}

/* Erasing and holding come after the end, and nothing after erasing. */
static bool
may_be_decided(struct look *l, const struct mlog_leaf *leaf)
{
	if (l->has_open && !l->known.erased)
		return true;
	verify_found(l->v, VERIFY_LOG, leaf->sid, l->place,
	    l->has_open ? "it is about a session that was erased before"
			: "it is about a session that was never opened");
	return false;
}

static int
take_erase(struct look *l, const struct mlog_leaf *leaf)
{
	if (may_be_decided(l, leaf)) {
		if (l->known.held || !l->known.closed)
			verify_found(l->v, VERIFY_LOG, leaf->sid, l->place,
			    l->known.held ? "it erases a session that was held against that"
					  : "it erases a session that had not ended");
		l->known.erased = true;
		l->known.erase_leaf = l->index;
		l->known.erase_wall_ns = leaf->wall_ns;
		l->known.erase_how = leaf->how;
	}
	return take_text(l, leaf);
}

static int
take_hold(struct look *l, const struct mlog_leaf *leaf)
{
	if (may_be_decided(l, leaf)) {
		l->known.held = leaf->how == 1;
		l->hold_leaf = l->index;
	}
	return take_text(l, leaf);
}

static const struct leaf_rule {
	enum mlog_type type;
	int (*take)(struct look *l, const struct mlog_leaf *leaf);
} leaf_rules[] = {
	{ MLOG_INIT, take_init },
	{ MLOG_KEY, take_key },
	{ MLOG_OPEN, take_open },
	{ MLOG_CLOSE, take_close },
	{ MLOG_AUDIT, take_text },
	{ MLOG_ERASE, take_erase },
	{ MLOG_HOLD, take_hold },
};

static int
take_leaf(struct look *l, const struct store_item *item)
{
	struct mlog_leaf leaf;
	int r = mlog_leaf_parse(item->data, item->len, &leaf);

	if (r == -ENOMEM)
		return r;
	if (r != 0 || (l->index == 0) != (leaf.type == MLOG_INIT)) {
		verify_found(l->v, VERIFY_FLIPPED, NULL, l->place,
		    "it is not readable as the leaf that belongs there");
		return 0;
	}
	if (leaf.type != MLOG_AUDIT && !bundle_leaf_is_of(&leaf, l->sid)) {
		verify_found(
		    l->v, VERIFY_FOREIGN, NULL, l->place, "it does not belong to this session");
		return 0;
	}
	for (size_t i = 0; i < sizeof(leaf_rules) / sizeof(leaf_rules[0]); i++)
		if (leaf_rules[i].type == leaf.type)
			return leaf_rules[i].take(l, &leaf);
	return 0;
}

static int
look_at_leaf(struct look *l, const struct store_item *item)
{
	uint8_t hash[HASH_LEN];
	int r;

	if (item->key_len != MLOG_KEY_LEN)
		return ERR_FORMAT;
	l->index = 0;
	for (unsigned i = 0; i < MLOG_KEY_LEN; i++)
		l->index = l->index << 8 | item->key[i];
	verify_leaf_place(l->place, l->index);
	if ((r = load_proof(l, item->key)) != 0)
		return r == ERR_CHAIN ? 0 : r;
	tree_leaf(item->data, item->len, hash);
	if (tree_check_inclusion(&l->proof, l->index, l->now.size, hash, l->now.root) != 0) {
		verify_found(l->v, VERIFY_LOG, NULL, l->place,
		    "it is not in the log that the checkpoint was signed for");
		return 0;
	}
	return take_leaf(l, item);
}

static int
look_at_log(struct look *l)
{
	struct store_item item;
	struct store_iter *it;
	int r;

	if ((r = store_iter_new(l->v->snap, STORE_LOG, NULL, 0, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0 && (r = look_at_leaf(l, &item)) == 0)
		continue;
	store_iter_free(it);
	if (r != ERR_NOT_FOUND)
		return r;
	if (!l->has_init)
		verify_found(
		    l->v, VERIFY_MISSING, NULL, "leaf 0", "the beginning of the log is not there");
	if (!l->has_open)
		verify_found(l->v, VERIFY_MISSING, l->sid, "opening",
		    "no leaf of the log in this bundle opened the session");
	else if (!l->known.closed)
		verify_found(l->v, VERIFY_MISSING, l->sid, "end",
		    "no leaf of the log in this bundle ended the session");
	return 0;
}

/* What may stand in each database; anything else is carried along unseen. */
static bool
is_name(struct look *l, const struct store_item *item)
{
	static const char *const names[] = { STORE_META_CHECKPOINT, STORE_META_FORMAT,
		STORE_META_ORIGIN, STORE_META_UUID, STORE_META_VKEY };

	(void)l;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (item->key_len == strlen(names[i]) &&
		    memcmp(item->key, names[i], item->key_len) == 0)
			return true;
	return false;
}

static bool
is_session(struct look *l, const struct store_item *item)
{
	return item->key_len >= REC_SID_LEN && memcmp(item->key, l->sid, REC_SID_LEN) == 0;
}

static bool
is_beside_leaf(struct look *l, const struct store_item *item)
{
	const uint8_t *data;
	size_t len;

	return store_get(l->v->snap, STORE_LOG, item->key, item->key_len, &data, &len) == 0;
}

/* Only leaves with a text have one. */
static bool
is_text(struct look *l, const struct store_item *item)
{
	struct mlog_leaf leaf;
	const uint8_t *data;
	size_t len;

	return store_get(l->v->snap, STORE_LOG, item->key, item->key_len, &data, &len) == 0 &&
	       mlog_leaf_parse(data, len, &leaf) == 0 &&
	       (leaf.type == MLOG_AUDIT || leaf.type == MLOG_ERASE || leaf.type == MLOG_HOLD);
}

struct index_key {
	const struct store_item *item;
	bool found;
};

static int
index_is(void *arg, const uint8_t *key, size_t len)
{
	struct index_key *k = arg;

	if (k->item->key_len == len && memcmp(k->item->key, key, len) == 0)
		k->found = true;
	return 0;
}

static bool
is_index(struct look *l, const struct store_item *item)
{
	struct index_key k = { item, false };
	struct sess s;
	int r;

	if (item->len != 0)
		return false;
	if ((r = sess_get(l->v->snap, l->sid, &s)) == 0) {
		r = sess_index(&s, index_is, &k);
		sess_done(&s);
	}
	/* What could not be found out is no finding. */
	if (r == -ENOMEM)
		l->error = r;
	return r == 0 && k.found;
}

static bool
is_leaf(struct look *l, const struct store_item *item)
{
	(void)l;
	return item->key_len == MLOG_KEY_LEN;
}

static const struct db_rule {
	enum store_db db;
	const char *place;
	bool (*belongs)(struct look *l, const struct store_item *item);
} db_rules[] = {
	{ STORE_META, "description", is_name },
	{ STORE_SESS, "record", is_session },
	{ STORE_BLK, "blocks", is_session },
	{ STORE_HDR, "block headers", is_session },
	{ STORE_LOG, "log", is_leaf },
	{ STORE_AUDIT, "audit events", is_text },
	{ STORE_IX, "index", is_index },
	{ STORE_FATE, "fate", is_session },
	{ STORE_KEY, "key record", is_session },
	{ STORE_PROOF, "proofs", is_beside_leaf },
};

static const struct db_rule *
find_rule(unsigned db)
{
	for (size_t i = 0; i < sizeof(db_rules) / sizeof(db_rules[0]); i++)
		if ((unsigned)db_rules[i].db == db)
			return &db_rules[i];
	return NULL;
}

/* What the bundle says was decided about the session, and what the log says. */
static int
look_at_fate(struct look *l)
{
	struct fate fate;
	int r = fate_get(l->v->snap, l->sid, &fate);

	if (r != 0 && r != ERR_FORMAT)
		return r;
	if (r != 0 || ((fate.flags & FATE_HELD) != 0) != l->known.held ||
	    ((fate.flags & FATE_ERASED) != 0) != l->known.erased ||
	    fate.hold_leaf != l->hold_leaf || fate.erase_leaf != l->known.erase_leaf)
		verify_found(l->v, VERIFY_METADATA, l->sid, "fate",
		    "it is not what the log says was decided");
	return 0;
}

/* One finding for each database that has something to hide. */
static int
look_for_strangers(struct look *l)
{
	const struct bundle *b = store_bundle(l->v->snap);
	struct bundle_entry e = { .db = 0 };
	unsigned told = UINT8_MAX + 1u;
	int r = 0;

	for (uint64_t i = 0; i < bundle_n(b) && (r = bundle_at(b, i, &e)) == 0; i++) {
		const struct db_rule *rule = find_rule(e.db);
		const struct store_item item = { e.key, e.data, e.key_len, e.len };

		if (e.db == told || (rule != NULL && rule->belongs(l, &item)))
			continue;
		if (l->error != 0)
			return l->error;
		told = e.db;
		verify_found(l->v, VERIFY_FOREIGN, NULL, rule != NULL ? rule->place : "bundle",
		    "the bundle carries more than one session and its proofs: entry %" PRIu64, i);
	}
	return r;
}

static int
look_at_session(struct look *l)
{
	int r = bundle_sid(l->v->snap, l->sid);

	if (r == ERR_NOT_FOUND || r == ERR_FORMAT)
		verify_found(l->v, r == ERR_FORMAT ? VERIFY_FOREIGN : VERIFY_DELETED, NULL,
		    "record", "%s",
		    r == ERR_FORMAT ? "it does not hold exactly one session"
				    : "there is no session in it");
	if (r != 0)
		return r == ERR_NOT_FOUND || r == ERR_FORMAT ? ERR_CHAIN : r;
	memcpy(l->known.sid, l->sid, REC_SID_LEN);
	return 0;
}

static int
look_at_all(struct look *l)
{
	struct verify *v = l->v;
	int r;

	if ((r = look_at_session(l)) != 0 || (r = look_for_strangers(l)) != 0 ||
	    (r = load_checkpoint(l)) != 0)
		return r;
	v->result.log_size = l->now.size;
	memcpy(v->result.log_root, l->now.root, HASH_LEN);
	v->txn = store_snap_txn(v->snap);
	if ((r = look_at_log(l)) != 0 || !l->has_open || (r = look_at_fate(l)) != 0)
		return r;
	return verify_known_session(v, &l->known);
}

/* The file first: damage on the way explains whatever else is found. */
static int
look_at_file(struct look *l)
{
	int r = bundle_check(store_bundle(l->v->snap));

	if (r == ERR_CHAIN)
		verify_found(l->v, VERIFY_FLIPPED, NULL, "file",
		    "it is not as it was written: cut or changed on its way");
	else if (r == ERR_FORMAT)
		verify_found(l->v, VERIFY_FOREIGN, NULL, "file",
		    "it is not built as bundles are: bytes between entries, or entries out of "
		    "order");
	return r == ERR_CHAIN || r == ERR_FORMAT ? 0 : r;
}

int
verify_bundle(
    struct store_snap *snap, const struct verify_conf *conf, struct verify_result *ret_result)
{
	struct verify v;
	struct look l = { .v = &v };
	int r;

	if ((r = verify_init(&v, snap, conf)) == 0 && (r = look_at_file(&l)) == 0)
		r = look_at_all(&l);
	/* A bundle that is not built well enough to go on with is one that does not verify. */
	if (r == ERR_FORMAT || r == ERR_LIMIT)
		verify_found(&v, VERIFY_FLIPPED, NULL, "file", "it cannot be read to its end");
	*ret_result = v.result;
	verify_done(&v);
	if (r != 0 && r != ERR_CHAIN && r != ERR_FORMAT && r != ERR_LIMIT)
		return r;
	return v.result.n_findings > 0 ? ERR_CHAIN : 0;
}
