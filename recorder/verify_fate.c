/* What was decided about a session, held or erased: the log's word against what the store has of it. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "recorder/fate.h"
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
	struct verify_erased e = {
		.leaf = known->erase_leaf, .wall_ns = known->erase_wall_ns, .how = known->erase_how
	};

	memcpy(e.sid, known->sid, REC_SID_LEN);
	if (mlog_audit_get(v->snap, e.leaf, &e.text, &e.len) != 0)
		e.text = NULL;
	if (v->conf->erased != NULL)
		v->conf->erased(v->conf->arg, &e);
}

int
verify_fate(struct verify *v, const struct verify_known *known, bool *ret_erased)
{
	struct fate fate;
	int r = fate_get(v->snap, known->sid, &fate);

	if (r == ERR_FORMAT || r == ERR_VERSION) {
		verify_found(v, VERIFY_FLIPPED, known->sid, "fate", "it is not readable");
		*ret_erased = known->erased;
		return 0;
	}
	if (r != 0)
		return r;
	check_word(v, known, &fate);
	*ret_erased =
	    known->erased || ((fate.flags & FATE_ERASED) != 0 && is_newer(v, fate.erase_leaf));
	if (!known->erased)
		return 0;
	tell_erased(v, known);
	/* While it is being erased its blocks go one after the other; its key went before them. */
	return (fate.flags & FATE_ERASING) != 0 ? 0 : check_gone(v, known->sid);
}
