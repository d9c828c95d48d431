/*
 * What was decided about a session, held or erased, and what became of its key: the log's word against what the store has.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "recorder/fate.h"
#include "recorder/seskey.h"
#include "recorder/verify_part.h"

/* Decided after the log was read, while we went on reading. */
static bool
is_newer(const struct verify *v, uint64_t leaf)
{
	return store_snap_txn(v->snap) != v->txn && leaf >= v->result.log_size;
}

static void
check_word(struct verify *v, const struct verify_known *known, const struct fate *fate)
{
	bool erased = (fate->flags & FATE_ERASED) != 0, held = (fate->flags & FATE_HELD) != 0;

	if (erased != known->erased && !is_newer(v, fate->erase_leaf))
		verify_found(v, erased ? VERIFY_FOREIGN : VERIFY_METADATA, known->sid, "fate",
		    erased ? "the log does not know that it was erased"
			   : "the log says that it was erased, the store that it was not");
	else if (erased && known->erased && fate->erase_leaf != known->erase_leaf)
		verify_found(v, VERIFY_METADATA, known->sid, "fate",
		    "leaf %" PRIu64 " erased it, the store names another", known->erase_leaf);
	if (held != known->held && !is_newer(v, fate->hold_leaf))
		verify_found(v, VERIFY_METADATA, known->sid, "fate",
		    held ? "the log does not know that it is held"
			 : "the log says that it is held, the store that it is not");
}

/* Databases that must have nothing of an erased session. */
static int
check_gone(struct verify *v, const uint8_t *sid)
{
	struct store_item item;
	struct store_iter *it;
	char place[64];
	uint32_t block = 0;
	int r;

	if ((r = store_iter_new(v->snap, STORE_BLK, sid, REC_SID_LEN, false, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	if (r == 0 && item.key_len >= BLOCK_KEY_LEN && memcmp(item.key, sid, REC_SID_LEN) == 0) {
		for (size_t i = REC_SID_LEN; i < BLOCK_KEY_LEN; i++)
			block = block << 8 | item.key[i];
		(void)snprintf(place, sizeof(place), "block %" PRIu32, block);
		verify_found(v, VERIFY_EXTRA, sid, place,
		    "its events are there, although the session was erased");
	}
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static void
tell_erased(struct verify *v, const struct verify_known *known)
{
	struct verify_erased e = { .leaf = known->erase_leaf,
		.wall_ns = known->erase_wall_ns,
		.how = known->erase_how,
		.damaged = !known->closed };

	memcpy(e.sid, known->sid, REC_SID_LEN);
	if (mlog_audit_get(v->snap, e.leaf, &e.text, &e.len) != 0)
		e.text = NULL;
	if (v->conf->erased != NULL)
		v->conf->erased(v->conf->arg, &e);
}

int
verify_fate(struct verify *v, const struct verify_known *known, struct verify_fate *ret_fate)
{
	struct fate fate;
	int r = fate_get(v->snap, known->sid, &fate);

	if (r == ERR_FORMAT || r == ERR_VERSION) {
		verify_found(v, VERIFY_FLIPPED, known->sid, "fate", "it is not readable");
		ret_fate->erased = known->erased;
		return 0;
	}
	if (r != 0)
		return r;
	check_word(v, known, &fate);
	ret_fate->under_way = (fate.flags & FATE_ERASING) != 0;
	ret_fate->erased =
	    known->erased || ((fate.flags & FATE_ERASED) != 0 && is_newer(v, fate.erase_leaf));
	if (!known->erased)
		return 0;
	tell_erased(v, known);
	/* While it is being erased its blocks go one after the other; its key went before them. */
	return ret_fate->under_way ? 0 : check_gone(v, known->sid);
}

/* The half of a key lies outside the store. 0; ERR_CHAIN with a finding, or when it was said before; -ENOMEM; -errno. */
static int
fetch_half(struct verify *v, const uint8_t *sid, struct seskey *k)
{
	int r = seskey_fetch(v->snap, k);

	if (r == ERR_ERASED)
		verify_found(v, VERIFY_MISSING, sid, "key",
		    "its key was destroyed, although the log does not say that it was erased");
	else if (r == ERR_NOT_FOUND)
		verify_found(v, VERIFY_CUT, sid, "key", "session.keys ends before its key");
	else if (r == ERR_KEYS && !v->no_slots) {
		v->no_slots = true;
		verify_found(v, VERIFY_MISSING, NULL, SLOTS_NAME, "%s",
		    "the file with one half of each key is missing, or not readable as this "
		    "store's");
	}
	return r == ERR_ERASED || r == ERR_NOT_FOUND || r == ERR_KEYS ? ERR_CHAIN : r;
}

/* A record of a session that was not erased. Errors as above. */
static int
check_key(struct verify *v, const struct sess *s, struct seskey *k)
{
	uint8_t hash[HASH_LEN];
	int r;

	if (k->kind == SESKEY_ERASED) {
		verify_found(v, VERIFY_MISSING, s->sid, "key",
		    "its key was destroyed, although the log does not say that it was erased");
		return ERR_CHAIN;
	}
	if ((r = fetch_half(v, s->sid, k)) != 0 || (r = seskey_hash(k, k->half, hash)) != 0)
		return r;
	if (memcmp(hash, s->key_hash, HASH_LEN) == 0)
		return 0;
	verify_found(
	    v, VERIFY_FLIPPED, s->sid, "key", "it is not the key that the session was opened with");
	return ERR_CHAIN;
}

static int
find_key(struct verify *v, const struct sess *s, const struct verify_fate *fate)
{
	struct seskey k;
	int r = seskey_find(v->snap, s->sid, &k);

	if (r == ERR_NOT_FOUND || r == ERR_FORMAT || r == ERR_VERSION) {
		if (!fate->erased)
			verify_found(v, r == ERR_NOT_FOUND ? VERIFY_MISSING : VERIFY_FLIPPED,
			    s->sid, "key",
			    r == ERR_NOT_FOUND ? "the record of its key is not there"
					       : "the record of its key is not readable");
		return ERR_CHAIN;
	}
	if (r != 0)
		return r;
	if (!fate->erased)
		r = check_key(v, s, &k);
	else if (k.kind != SESKEY_ERASED && !fate->under_way)
		verify_found(v, VERIFY_EXTRA, s->sid, "key",
		    "its key is there, although the session was erased");
	seskey_done(&k);
	return fate->erased && r == 0 ? ERR_CHAIN : r;
}

int
verify_key(
    struct verify *v, const struct sess *s, const struct verify_fate *fate, const uint8_t **ret_key)
{
	int r = find_key(v, s, fate);

	if (r != 0)
		return r == ERR_CHAIN ? 0 : r;
	if ((r = seskey_get(v->snap, s->sid, secret_ptr(v->key))) == 0) {
		*ret_key = secret_cptr(v->key);
		return 0;
	}
	if (r == ERR_CHAIN || r == ERR_FORMAT || r == ERR_VERSION)
		verify_found(v, VERIFY_FLIPPED, s->sid, "key", "the record of its key was changed");
	return r == -ENOMEM ? r : 0;
}
