/* Which sessions are to be rendered. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "recorder/indexer.h"
#include "recorder/sess.h"

#define LOOK_AGAIN_NS                                                                              \
	60000000000ull /* between looks at everything: what was erased, what a stepped clock hid */

struct indexer {
	struct store *store;
	struct store_snap *snap;
	struct derived_writer *out;
	uint8_t (*sid)[REC_SID_LEN];	/* that may have to be rendered; owned */
	size_t n, room, at;		/* those before at were looked at in this round */
	uint64_t txn;			/* what the store had at the last round */
	uint64_t from_ns;		/* opening of the newest session that was seen */
	uint64_t all_ns;		/* when everything was looked at; 0: never */
	uint8_t (*failed)[REC_SID_LEN]; /* those that cannot be rendered, sorted; owned */
	size_t n_failed, failed_room;
};

void
indexer_free(struct indexer *ix)
{
	if (ix == NULL)
		return;
	derived_writer_close(ix->out);
	store_snap_free(ix->snap);
	store_close(ix->store);
	free(ix->sid);
	free(ix->failed);
	free(ix);
}

int
indexer_new(const char *dir, struct indexer **ret_ix)
{
	struct indexer *ix = calloc(1, sizeof(*ix));
	int r;

	if (ix == NULL)
		return -ENOMEM;
	if ((r = store_open_read(dir, &ix->store)) != 0 ||
	    (r = store_snap_new(ix->store, &ix->snap)) != 0 ||
	    (r = derived_open_write(dir, &ix->out)) != 0) {
		indexer_free(ix);
		return r;
	}
	store_snap_reset(ix->snap);
	*ret_ix = ix;
	return 0;
}

const struct derived_counts *
indexer_counted(const struct indexer *ix)
{
	return derived_counted(ix->out);
}

static bool
indexer_knows(const struct indexer *ix, const uint8_t sid[REC_SID_LEN])
{
	/* Those that run are few; the newest was put last. */
	for (size_t i = ix->n; i > 0; i--)
		if (memcmp(ix->sid[i - 1], sid, REC_SID_LEN) == 0)
			return true;
	return false;
}

static int
indexer_add(struct indexer *ix, const uint8_t sid[REC_SID_LEN])
{
	if (ix->n == ix->room) {
		size_t room = ix->room == 0 ? 256 : ix->room * 2;
		uint8_t(*more)[REC_SID_LEN] = reallocarray(ix->sid, room, REC_SID_LEN);

		if (more == NULL)
			return -ENOMEM;
		ix->sid = more;
		ix->room = room;
	}
	memcpy(ix->sid[ix->n++], sid, REC_SID_LEN);
	return 0;
}

static int
on_any(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct indexer *ix = arg;

	if (opened_wall_ns > ix->from_ns)
		ix->from_ns = opened_wall_ns;
	return indexer_add(ix, sid);
}

static int
on_new(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	return indexer_knows(arg, sid) ? 0 : on_any(arg, sid, opened_wall_ns);
}

/* What is there of sessions that are gone, or whose key is. */
static int
indexer_clean(struct indexer *ix)
{
	uint8_t from[REC_SID_LEN] = { 0 }, sid[REC_SID_LEN];
	struct sess s;
	int r;

	while ((r = derived_next(ix->out, from, sid)) == 0) {
		if ((r = sess_get(ix->snap, sid, &s)) == 0) {
			r = derived_has(ix->out, ix->snap, sid, s.n_events);
			sess_done(&s);
		}
		/* Made of something else, or not to the end: gone as well. */
		if (r == ERR_NOT_FOUND || r == ERR_ERASED || r == ERR_SEALED)
			r = derived_forget(ix->out, sid);
		if (r == -ENOMEM || r == -ENOSPC || r == -EIO)
			return r;
		memcpy(from, sid, REC_SID_LEN);
		for (size_t i = REC_SID_LEN; i > 0 && ++from[i - 1] == 0;)
			i--;
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* A new round: what was committed since the last one. */
static int
indexer_round(struct indexer *ix, uint64_t now_ns)
{
	bool all = ix->all_ns == 0 || now_ns - ix->all_ns >= LOOK_AGAIN_NS;
	int r;

	ix->at = 0;
	if (!all && store_snap_txn(ix->snap) == ix->txn) {
		ix->at = ix->n;
		return 0;
	}
	ix->txn = store_snap_txn(ix->snap);
	if (!all)
		return sess_each(ix->snap, ix->from_ns, on_new, ix);
	ix->all_ns = now_ns != 0 ? now_ns : 1;
	ix->n = 0;
	if ((r = indexer_clean(ix)) != 0)
		return r;
	return sess_each(ix->snap, 0, on_any, ix);
}

/* Where it stands among those that failed, or would. */
static size_t
failed_place(const struct indexer *ix, const uint8_t sid[REC_SID_LEN])
{
	size_t low = 0, high = ix->n_failed;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(ix->failed[middle], sid, REC_SID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
has_failed(const struct indexer *ix, const uint8_t sid[REC_SID_LEN])
{
	size_t at = failed_place(ix, sid);

	return at < ix->n_failed && memcmp(ix->failed[at], sid, REC_SID_LEN) == 0;
}

/* What is damaged stays so: it is said once, and not tried again before a start or a rebuild. */
static int
failed_add(struct indexer *ix, const uint8_t sid[REC_SID_LEN], int err)
{
	char hex[2 * REC_SID_LEN + 1];
	size_t at = failed_place(ix, sid);

	if (ix->n_failed == ix->failed_room) {
		size_t room = ix->failed_room == 0 ? 16 : ix->failed_room * 2;
		uint8_t(*more)[REC_SID_LEN] = reallocarray(ix->failed, room, REC_SID_LEN);

		if (more == NULL)
			return -ENOMEM;
		ix->failed = more;
		ix->failed_room = room;
	}
	memmove(ix->failed + at + 1, ix->failed + at, (ix->n_failed - at) * REC_SID_LEN);
	memcpy(ix->failed[at], sid, REC_SID_LEN);
	ix->n_failed++;
	log_warn("indexer.damaged sid=%s reason=\"%s\" means=\"searches do not know all of it\" "
		 "do=\"run bastionctl verify\"",
	    str_hex(hex, sid, REC_SID_LEN), err_str(err));
	return 0;
}

/* *ret_over: it needs no more looking at. */
static int
indexer_session(struct indexer *ix, const uint8_t sid[REC_SID_LEN], bool *ret_over, bool *ret_made)
{
	struct sess s;
	uint64_t n_events;
	bool open;
	int r;

	*ret_over = true;
	*ret_made = false;
	if (has_failed(ix, sid))
		return 0;
	if ((r = sess_get(ix->snap, sid, &s)) != 0)
		return r == -ENOMEM ? r : 0;
	open = s.state == SESS_OPEN;
	n_events = s.n_events;
	sess_done(&s);
	if (open) {
		*ret_over = false;
		return 0;
	}
	if ((r = derived_has(ix->out, ix->snap, sid, n_events)) != ERR_NOT_FOUND)
		return r == -ENOMEM || r == -ENOSPC ? r : 0;
	*ret_made = true;
	r = derived_make(ix->out, ix->snap, sid, n_events);
	if (r == 0 || r == -ENOMEM || r == -ENOSPC || r == -EIO)
		return r;
	/* Erased under our hands: that is no damage. */
	return r == ERR_ERASED || r == ERR_SEALED ? 0 : failed_add(ix, sid, r);
}

int
indexer_step(struct indexer *ix, uint64_t now_ns, bool *ret_more)
{
	bool over, made = false;
	int r;

	*ret_more = false;
	if ((r = store_snap_renew(ix->snap)) != 0)
		return r;
	if (ix->at >= ix->n && (r = indexer_round(ix, now_ns)) != 0)
		goto out;
	while (r == 0 && !made && ix->at < ix->n) {
		uint8_t sid[REC_SID_LEN];

		memcpy(sid, ix->sid[ix->at], REC_SID_LEN);
		if ((r = indexer_session(ix, sid, &over, &made)) != 0)
			break;
		if (over)
			memcpy(ix->sid[ix->at], ix->sid[--ix->n], REC_SID_LEN);
		else
			ix->at++;
	}
	*ret_more = made || ix->at < ix->n;
	if (r == 0 && !*ret_more)
		r = derived_flush(ix->out);
out:
	store_snap_reset(ix->snap);
	return r;
}

int
indexer_forget(struct indexer *ix)
{
	ix->n = ix->at = ix->n_failed = 0;
	ix->all_ns = 0;
	return derived_forget_all(ix->out);
}
