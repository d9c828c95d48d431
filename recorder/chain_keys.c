/* The keys of what is written: a slot and a record for each session, and how one is destroyed. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "recorder/chain_part.h"
#include "recorder/store_keys.h"

static int
refuse(int err)
{
	if (err == -ENOMEM)
		return err;
	log_err("recorder.session_keys reason=\"%s\" do=\"put the session.keys of this store back, "
		"or move "
		"the store away to begin a new one\"",
	    slots_why(err));
	return ERR_KEYS;
}

static int
get_uuid(struct chain *c, const uint8_t **ret_uuid)
{
	size_t len;
	int r = store_get(store_pending(c->store), STORE_META, STORE_META_UUID,
	    strlen(STORE_META_UUID), ret_uuid, &len);

	return r == 0 && len != SLOTS_UUID_LEN ? ERR_CHAIN : r;
}

/* The newest session's half must be there: else the file was cut, or is an older one. */
static int
check_newest(struct chain *c)
{
	struct store_snap *snap = store_pending(c->store);
	uint8_t half[CRYPT_KEY_LEN], time_tag = 1;
	struct store_item item;
	struct store_iter *it;
	struct seskey k;
	int r;

	/* Entries by time have the lowest tag: the last of them lies before the next tag's first one. */
	if ((r = store_iter_new(snap, STORE_IX, &time_tag, 1, true, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	if (r == 0)
		r = item.key_len < REC_SID_LEN
			? ERR_FORMAT
			: seskey_find(snap, item.key + item.key_len - REC_SID_LEN, &k);
	store_iter_free(it);
	if (r != 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	r = k.kind == SESKEY_ERASED ? 0 : slots_read(c->slots, k.slot, half);
	seskey_done(&k);
	sodium_memzero(half, sizeof(half));
	return r == 0 || r == ERR_ERASED ? 0 : refuse(r);
}

/* Take out what a session's key still is: the list is not signed, and nobody may aim it at a session that was not erased. */
static int
leave_used(struct chain *c, uint64_t *slot, size_t *n)
{
	struct store_item item;
	struct store_iter *it;
	struct seskey k;
	size_t n_used = 0;
	int r;

	if ((r = store_iter_new(store_pending(c->store), STORE_KEY, NULL, 0, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0) {
		if ((r = seskey_parse(item.data, item.len, &k)) == -ENOMEM)
			break;
		for (size_t i = 0; r == 0 && k.kind != SESKEY_ERASED && i < *n; i++)
			if (slot[i] == k.slot) {
				slot[i--] = slot[--*n];
				n_used++;
			}
		if (r == 0)
			seskey_done(&k);
	}
	store_iter_free(it);
	if (n_used > 0)
		log_err("recorder.wipe_refused keys=%zu means=\"the list of keys to destroy names "
			"keys of sessions that were not erased: they stay\" do=\"run bastionctl "
			"verify, and find out who could write the store\"",
		    n_used);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* What was to be overwritten when the last recorder stopped. */
static int
finish_wipe(struct chain *c)
{
	const uint8_t *data;
	uint64_t *slot;
	size_t len, n;
	int r;

	r = store_get(store_pending(c->store), STORE_META, STORE_META_WIPE, strlen(STORE_META_WIPE),
	    &data, &len);
	if (r != 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	if (len % 8 != 0)
		return ERR_FORMAT;
	n = len / 8;
	if ((slot = calloc(n + 1, sizeof(*slot))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		slot[i / 8] = slot[i / 8] << 8 | data[i];
	if ((r = leave_used(c, slot, &n)) == 0 && n > 0)
		r = slots_erase(c->slots, slot, n);
	free(slot);
	c->wiped = r == 0;
	return r;
}

static int
take_up(struct chain *c, struct slots *slots)
{
	struct store_keys *keys = store_keys(c->store);
	int r;

	c->slots = keys->slots = slots;
	keys->slots_borrowed = true;
	if ((r = check_newest(c)) != 0)
		return r;
	return finish_wipe(c);
}

int
keys_start(struct chain *c, const char *dir)
{
	struct slots *slots;
	const uint8_t *uuid;
	uint64_t n;
	int r;

	if ((r = get_uuid(c, &uuid)) != 0)
		return r;
	if ((r = slots_open_write(dir, uuid, &slots)) == 0)
		return take_up(c, slots);
	if (r != -ENOENT)
		return refuse(r);
	if ((r = store_count(store_pending(c->store), STORE_KEY, &n)) != 0)
		return r;
	return n == 0 ? 0 : refuse(-ENOENT);
}

int
keys_create(struct chain *c, const char *dir)
{
	struct slots *slots;
	const uint8_t *uuid;
	uint8_t copy[SLOTS_UUID_LEN];
	int r;

	if (c->slots != NULL)
		return 0;
	if ((r = chain_txn(c)) != 0 || (r = get_uuid(c, &uuid)) != 0)
		return r;
	memcpy(copy, uuid, sizeof(copy));
	store_abort(c->store);
	c->in_txn = false;
	if ((r = slots_create(dir, copy)) != 0 || (r = slots_open_write(dir, copy, &slots)) != 0)
		return refuse(r);
	c->slots = store_keys(c->store)->slots = slots;
	store_keys(c->store)->slots_borrowed = true;
	return 0;
}

static int
put_record(struct chain *c, const uint8_t *sid, const struct seskey *k)
{
	struct buf *b = buf_new(SESKEY_RECORD_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = seskey_put(b, k)) == 0)
		r = store_put(c->store, STORE_KEY, sid, REC_SID_LEN, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

int
keys_make(struct session *s, struct seskey *ret_k)
{
	struct chain *c = s->chain;
	uint8_t half[CRYPT_KEY_LEN];
	uint64_t slot;
	int r;

	if (c->failed != 0)
		return c->failed;
	if ((s->key = crypt_ring_take(c->keys)) == NULL)
		return -ENOMEM;
	r = slots_take(c->slots, &slot, half);
	if (r == 0)
		r = seskey_make(ret_k, s->info.sid, slot, half, &c->auditors, s->key);
	if (r == 0)
		r = seskey_hash(ret_k, half, s->info.key_hash);
	if (slots_failed(c->slots) != 0)
		(void)chain_fail(c, r);
	sodium_memzero(half, sizeof(half));
	return r;
}

int
keys_put(struct session *s, const struct seskey *k)
{
	return put_record(s->chain, s->info.sid, k);
}

bool
chain_is_running(const struct chain *c, const uint8_t sid[REC_SID_LEN])
{
	const struct session *s;

	TAILQ_FOREACH (s, &c->sessions, link)
		if (memcmp(s->info.sid, sid, REC_SID_LEN) == 0)
			return true;
	return false;
}

/* The session's opening, when it is the one that its leaf covers. 0, then sess_done(); ERR_CHAIN; as of sess_get(). */
static int
covered_opening(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct sess *ret_s)
{
	struct mlog_leaf leaf;
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = sess_get(snap, sid, ret_s)) != 0)
		return r;
	if ((r = mlog_leaf_get(snap, ret_s->open_leaf, &data, &len)) == 0)
		r = mlog_leaf_parse(data, len, &leaf);
	if (r == 0 && (leaf.type != MLOG_OPEN || memcmp(leaf.sid, sid, REC_SID_LEN) != 0 ||
			  memcmp(leaf.hash, ret_s->open_hash, HASH_LEN) != 0))
		r = ERR_CHAIN;
	if (r != 0)
		sess_done(ret_s);
	return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
}

/*
 * Whether what would be wiped is the session's half: no hash covers the number of a slot, so that who edits it could aim an
 * erasure at another session. 0 also when the slot is wiped already; ERR_CHAIN; -ENOMEM; -errno.
 */
static int
check_half(struct chain *c, const uint8_t sid[REC_SID_LEN], const struct seskey *k)
{
	uint8_t half[CRYPT_KEY_LEN], hash[HASH_LEN];
	struct sess s;
	int r;

	if (k->half_is != SESKEY_SLOT)
		return ERR_CHAIN;
	if ((r = slots_read(c->slots, k->slot, half)) != 0)
		return r == ERR_ERASED ? 0 : r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	if ((r = seskey_hash(k, half, hash)) == 0 &&
	    (r = covered_opening(store_pending(c->store), sid, &s)) == 0) {
		r = memcmp(hash, s.key_hash, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
		sess_done(&s);
	}
	sodium_memzero(half, sizeof(half));
	return r;
}

/* The record of a key that may be destroyed. 0, then seskey_done(); ERR_CHAIN after a line in the log; else as below. */
static int
find_to_destroy(struct chain *c, const uint8_t sid[REC_SID_LEN], struct seskey *ret_k)
{
	char hex[2 * REC_SID_LEN + 1];
	int r = seskey_find(store_pending(c->store), sid, ret_k);

	if (r == 0) {
		r = ret_k->kind == SESKEY_ERASED ? ERR_ERASED : check_half(c, sid, ret_k);
		if (r != 0)
			seskey_done(ret_k);
	}
	if (r == ERR_FORMAT || r == ERR_VERSION)
		r = ERR_CHAIN;
	if (r == ERR_CHAIN)
		log_err(
		    "recorder.key_changed sid=%s means=\"its key record was changed, and could "
		    "wipe another session's key: it is not erased\" do=\"run bastionctl verify, "
		    "and put the store back from a backup\"",
		    str_hex(hex, sid, REC_SID_LEN));
	return r;
}

int
session_key_destroy(struct chain *c, const uint8_t sid[REC_SID_LEN])
{
	uint64_t *wipe;
	struct seskey k;
	int r;

	if (chain_is_running(c, sid))
		return ERR_ORDER;
	if ((r = chain_txn(c)) != 0)
		return r;
	if ((r = find_to_destroy(c, sid, &k)) != 0)
		return r;
	sodium_memzero(k.secret, sizeof(k.secret));
	k.kind = SESKEY_ERASED;
	if ((wipe = reallocarray(c->wipe, c->n_wipe + 1, sizeof(*wipe))) == NULL)
		return -ENOMEM;
	c->wipe = wipe;
	c->wipe[c->n_wipe++] = k.slot;
	c->wiped = false;
	r = put_record(c, sid, &k);
	return r != 0 ? chain_fail(c, r) : 0;
}

int
keys_before_commit(struct chain *c)
{
	struct buf *b;
	int r = 0;

	if (c->wiped) {
		c->wiped = false;
		r = store_del(c->store, STORE_META, STORE_META_WIPE, strlen(STORE_META_WIPE));
		if (r == ERR_NOT_FOUND)
			r = 0;
	}
	if (r != 0 || c->n_wipe == 0)
		return r;
	if ((b = buf_new(c->n_wipe * sizeof(uint64_t))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < c->n_wipe; i++)
		r = buf_put_u64(b, c->wipe[i]);
	if (r == 0)
		r = store_put(c->store, STORE_META, STORE_META_WIPE, strlen(STORE_META_WIPE),
		    buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

int
keys_after_commit(struct chain *c)
{
	int r;

	if (c->n_wipe == 0)
		return 0;
	/* That they are erased must be on disk before they are gone. */
	if (c->durability == STORE_PROCESS && (r = store_sync(c->store)) != 0)
		return r;
	if ((r = slots_erase(c->slots, c->wipe, c->n_wipe)) != 0)
		return r;
	c->n_wipe = 0;
	c->wiped = true;
	return 0;
}
