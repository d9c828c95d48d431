/*
 * One transaction for all sessions: what is dirty goes to the journal, heads and checkpoint are
 * signed, LMDB commits.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "recorder/chain_part.h"

#define JOURNAL_SPLIT (16u << 20) /* bytes after which a commit begins another record */
#define PRUNE_PIECES 1000 /* pieces of journal removed in one commit, so that none takes long */

int
chain_fail(struct chain *c, int err)
{
	if (c->failed == 0)
		c->failed = err;
	return err;
}

int
chain_failed(const struct chain *c)
{
	return c->failed;
}

int
chain_txn(struct chain *c)
{
	int r;

	if (c->failed != 0)
		return c->failed;
	if (c->in_txn)
		return 0;
	if ((r = store_begin(c->store)) != 0)
		return chain_fail(c, r);
	c->in_txn = true;
	return 0;
}

int
chain_sync(struct chain *c)
{
	int r;

	if (c->failed != 0)
		return c->failed;
	if (!c->unsynced)
		return 0;
	if ((r = store_sync(c->store)) != 0)
		return chain_fail(c, r);
	c->unsynced = false;
	return 0;
}

void
chain_close(struct chain *c)
{
	struct session *s;
	int r;

	if (c == NULL)
		return;
	if (c->failed == 0 && (r = chain_sync(c)) != 0)
		log_err("recorder.not_synced reason=\"%s\" means=\"a power cut now may take the "
			"last commit\"",
		    err_str(r));
	while ((s = TAILQ_FIRST(&c->sessions)) != NULL) {
		TAILQ_REMOVE(&c->sessions, s, link);
		session_free(s);
	}
	store_close(c->store);
	block_codec_free(c->codec);
	buf_free(c->stored);
	buf_free(c->journal);
	buf_free(c->envelope);
	hash_free(c->peek);
	crypt_ring_free(c->keys);
	slots_close(c->slots);
	free(c->wipe);
	free(c);
}

static struct chain *
chain_new(const struct chain_conf *conf)
{
	struct chain *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	TAILQ_INIT(&c->sessions);
	STAILQ_INIT(&c->dirty);
	c->signer = conf->signer;
	c->durability = conf->store.durability;
	c->journal_keep = conf->journal_keep != 0 ? conf->journal_keep : CHAIN_JOURNAL_KEEP;
	c->next_commit = 1;
	c->codec = block_codec_new();
	c->stored = buf_new(BLOCK_STORED_MAX);
	c->journal = buf_new(JOURNAL_RECORD_MAX);
	c->peek = hash_new();
	c->envelope = buf_new(BLOCK_SALT_LEN + BLOCK_RAW_MAX + CRYPT_TAG_LEN);
	c->keys = crypt_ring_new();
	if (conf->auditors != NULL)
		c->auditors = *conf->auditors;
	if (c->codec == NULL || c->stored == NULL || c->journal == NULL || c->peek == NULL ||
	    c->envelope == NULL || c->keys == NULL) {
		chain_close(c);
		return NULL;
	}
	return c;
}

int
chain_open(
    const struct chain_conf *conf, struct chain **ret_chain, struct chain_recovery *ret_recovery)
{
	struct chain_recovery recovery = { 0 };
	struct chain *c = chain_new(conf);
	int r;

	if (c == NULL)
		return -ENOMEM;
	/*
	 * The recorder before us may have been killed before it synced what it had written. Keys
	 * that the store has as gone are wiped below, which no power cut takes back.
	 */
	if ((r = store_open_write(&conf->store, &c->store)) != 0 ||
	    (r = store_sync(c->store)) != 0 || (r = chain_txn(c)) != 0 ||
	    (r = mlog_start(&c->log, c->store, c->signer, conf->origin)) != 0 ||
	    (r = keys_start(c, conf->store.dir)) != 0 || (r = recovery_run(c, &recovery)) != 0 ||
	    (r = chain_commit(c, true)) != 0 || (r = chain_sync(c)) != 0 ||
	    (r = signer_settle(c->signer)) != 0 || (r = keys_create(c, conf->store.dir)) != 0) {
		chain_close(c);
		return r;
	}
	*ret_chain = c;
	*ret_recovery = recovery;
	return 0;
}

int
chain_audit(struct chain *c, const void *text, size_t len)
{
	int r;

	if (len > REC_AUDIT_MAX)
		return ERR_LIMIT;
	if ((r = chain_txn(c)) != 0)
		return r;
	r = mlog_audit(&c->log, text, len);
	return r != 0 ? chain_fail(c, r) : 0;
}

size_t
chain_pending(const struct chain *c)
{
	return c->pending;
}

bool
chain_is_dirty(const struct chain *c)
{
	return c->in_txn || !STAILQ_EMPTY(&c->dirty);
}

bool
chain_wants_heads(const struct chain *c)
{
	return c->n_stale > 0;
}

static int
journal_emit(struct chain *c)
{
	uint8_t key[JOURNAL_KEY_LEN];
	int r;

	journal_key(c->next_commit, key);
	r = store_put_pieces(c->store, STORE_JOURNAL, key, sizeof(key), buf_ptr(c->journal),
	    buf_len(c->journal), true);
	if (r != 0)
		return r;
	c->journal_bytes += buf_len(c->journal);
	c->next_commit++;
	buf_reset(c->journal);
	return 0;
}

/* Every dirty session's new bytes, in one record or, when they are very many, a few. */
static int
journal_dirty(struct chain *c)
{
	uint64_t wall_ns = clock_wall_ns();
	struct session *s;
	size_t empty = 0;
	int r;

	buf_reset(c->journal);
	while ((s = STAILQ_FIRST(&c->dirty)) != NULL) {
		if (buf_len(c->journal) == 0) {
			if ((r = journal_put_start(c->journal, wall_ns)) != 0)
				return r;
			empty = buf_len(c->journal);
		}
		if ((r = session_flush(s)) != 0)
			return r;
		STAILQ_REMOVE_HEAD(&c->dirty, dirty_link);
		s->dirty = false;
		if (buf_len(c->journal) > JOURNAL_SPLIT && (r = journal_emit(c)) != 0)
			return r;
	}
	return buf_len(c->journal) > empty ? journal_emit(c) : 0;
}

static int
sign_heads(struct chain *c, bool now)
{
	uint64_t at_ns = clock_boot_ns();
	bool all = now || at_ns - c->heads_at_ns >= CHAIN_HEAD_NS;
	struct session *s;
	int r;

	if (!c->rotating && (c->n_stale == 0 || (!all && !c->heads_due)))
		return 0;
	if (all)
		c->heads_at_ns = at_ns;
	c->heads_due = false;
	TAILQ_FOREACH (s, &c->sessions, link)
		if ((s->head_due || c->rotating || (all && s->head_stale)) &&
		    (r = session_sign_head(s)) != 0)
			return r;
	return 0;
}

/* Remove journal records up to and including commit number last; *ret_bytes: how much they held. */
static int
prune_to(struct chain *c, uint64_t last, uint64_t *ret_bytes)
{
	uint8_t key[JOURNAL_KEY_LEN + STORE_PIECE_KEY_LEN];
	uint64_t commit, bytes = 0;
	struct store_item item;
	struct store_iter *it;
	size_t len = 0;
	int r = 0;

	for (;;) {
		r = store_iter_new(store_pending(c->store), STORE_JOURNAL, NULL, 0, false, &it);
		if (r != 0)
			return r;
		if ((r = store_iter_next(it, &item)) == 0 &&
		    (r = journal_key_parse(item.key, item.key_len, &commit)) == 0) {
			memcpy(key, item.key, sizeof(key));
			len = item.len;
		}
		store_iter_free(it);
		if (r == ERR_NOT_FOUND || (r == 0 && commit > last))
			break;
		if (r != 0 || (r = store_del(c->store, STORE_JOURNAL, key, sizeof(key))) != 0)
			return r;
		bytes += len;
	}
	*ret_bytes = bytes;
	return 0;
}

/*
 * The commit number up to which about PRUNE_PIECES pieces lie. ERR_NOT_FOUND: the journal is empty.
 */
static int
prune_goal(struct chain *c, uint64_t *ret_last)
{
	struct store_item item;
	struct store_iter *it;
	uint64_t commit;
	int r, n;

	r = store_iter_new(store_pending(c->store), STORE_JOURNAL, NULL, 0, false, &it);
	if (r != 0)
		return r;
	for (n = 0; n < PRUNE_PIECES && (r = store_iter_next(it, &item)) == 0; n++)
		if ((r = journal_key_parse(item.key, item.key_len, &commit)) != 0)
			break;
	store_iter_free(it);
	if (n == 0 && r != 0)
		return r;
	if (r != 0 && r != ERR_NOT_FOUND)
		return r;
	*ret_last = commit;
	return 0;
}

static int
prune_now(struct chain *c, uint64_t last)
{
	uint64_t bytes;
	int r = prune_to(c, last, &bytes);

	if (r == 0)
		c->journal_bytes -= bytes < c->journal_bytes ? bytes : c->journal_bytes;
	return r;
}

/* Records that no growing block needs any more: after blocks were sealed, a slice a commit. */
static int
prune_needless(struct chain *c)
{
	uint64_t last, needed = UINT64_MAX;
	struct session *s;
	int r = prune_goal(c, &last);

	if (r == ERR_NOT_FOUND) { /* it is empty */
		c->needless = false;
		return 0;
	}
	if (r != 0)
		return r;
	TAILQ_FOREACH (s, &c->sessions, link)
		if (s->n_block_events > 0 && s->first_commit < needed)
			needed = s->first_commit;
	if (needed <= last) {
		c->needless = false; /* the rest goes when that block is sealed */
		last = needed - 1;
	}
	return needed > 0 ? prune_now(c, last) : 0;
}

/*
 * Keep the journal small. What nothing needs goes at once; above the limit, sessions that have bytes
 * in its oldest records seal their block early, then the records go. That goes on, a slice a commit,
 * until an eighth is free.
 */
static int
journal_prune(struct chain *c)
{
	uint64_t last;
	struct session *s;
	int r;

	if (c->needless && (r = prune_needless(c)) != 0)
		return r;
	if (c->journal_bytes > c->journal_keep)
		c->pruning = true;
	else if (c->journal_bytes < c->journal_keep / 8 * 7)
		c->pruning = false;
	if (!c->pruning)
		return 0;
	if ((r = prune_goal(c, &last)) != 0)
		return r;
	TAILQ_FOREACH (s, &c->sessions, link)
		if (s->first_commit != 0 && s->first_commit <= last && s->n_block_events > 0 &&
		    (r = session_seal_idle(s)) != 0)
			return r;
	return prune_now(c, last);
}

/*
 * The new key is in force in the store; when a power cut cannot take that back any more, the old one
 * can go. That it did not go is an end as bad as a failed commit: the past could still be signed.
 */
static int
end_rotation(struct chain *c)
{
	int r;

	c->rotating = false;
	if ((r = chain_sync(c)) != 0)
		return r;
	return (r = signer_settle(c->signer)) != 0 ? chain_fail(c, r) : 0;
}

int
chain_commit(struct chain *c, bool heads_now)
{
	int r;

	if (c->failed != 0)
		return c->failed;
	if (!chain_is_dirty(c) && !(heads_now && c->n_stale > 0))
		return 0;
	if ((r = chain_txn(c)) != 0)
		return r;
	if ((r = journal_dirty(c)) != 0 || (r = journal_prune(c)) != 0 ||
	    (r = sign_heads(c, heads_now)) != 0 || (r = mlog_checkpoint(&c->log)) != 0 ||
	    (r = keys_before_commit(c)) != 0)
		return chain_fail(c, r);
	c->in_txn = false;
	if ((r = store_commit(c->store)) != 0 || (r = keys_after_commit(c)) != 0)
		return chain_fail(c, r);
	c->unsynced = c->durability == STORE_PROCESS;
	c->pending = 0;
	c->stats.n_commits++;
	return c->rotating ? end_rotation(c) : 0;
}

int
chain_rotate(struct chain *c)
{
	int r;

	if ((r = chain_txn(c)) != 0)
		return r;
	if (c->rotating)
		return 0;
	if ((r = signer_prepare(c->signer)) != 0)
		return r;
	if ((r = mlog_succeed(&c->log)) != 0)
		return chain_fail(c, r);
	c->rotating = true;
	return 0;
}

uint64_t
chain_key_age(const struct chain *c)
{
	uint64_t now = clock_wall_ns();

	return now >= c->log.key_wall_ns ? now - c->log.key_wall_ns : UINT64_MAX;
}

int
chain_first_key(struct chain *c, struct note_key *ret_key, bool *ret_is_new)
{
	struct store_snap *snap = NULL;
	struct mlog_leaf leaf;
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_snap_new(c->store, &snap)) != 0)
		return r;
	if ((r = mlog_leaf_get(snap, MLOG_FIRST_KEY, &data, &len)) == 0)
		r = mlog_leaf_parse(data, len, &leaf);
	store_snap_free(snap);
	if (r == ERR_NOT_FOUND || r == ERR_FORMAT || r == ERR_VERSION ||
	    (r == 0 && leaf.type != MLOG_KEY))
		return ERR_CHAIN;
	if (r != 0 || (r = note_key_init(leaf.name, leaf.key, ret_key)) != 0)
		return r;
	*ret_is_new = c->log.is_new;
	return 0;
}

void
chain_stats(const struct chain *c, struct chain_stats *ret_stats)
{
	*ret_stats = c->stats;
	ret_stats->journal_bytes = c->journal_bytes;
	ret_stats->log_size = c->log.tree.n;
}

struct store *
chain_store(struct chain *c)
{
	return c->store;
}

const char *
chain_origin(const struct chain *c)
{
	return c->log.origin;
}

uint64_t
chain_n_signed(const struct chain *c)
{
	return c->in_txn ? 0 : c->log.n_signed;
}

int
chain_checkpoint(struct chain *c, struct buf *out)
{
	char vkey[NOTE_VKEY_SIZE];
	struct store_snap *snap;
	const char *note;
	size_t len;
	int r;

	if ((r = store_snap_new(c->store, &snap)) != 0)
		return r;
	if ((r = mlog_checkpoint_get(snap, &note, &len)) == 0 &&
	    (r = buf_put_str(out, note, len)) == 0)
		r = buf_put_cstr(out, note_key_text(vkey, &c->signer->key));
	store_snap_free(snap);
	return r;
}
