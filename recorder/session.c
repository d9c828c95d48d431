/*
 * One session while it is written: events become blocks, blocks leaves of its tree, the tree a
 * signed digest.
 */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "recorder/chain_part.h"

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	sess_done(&s->info);
	buf_free(s->opening);
	summary_done(&s->summary);
	buf_free(s->raw);
	hash_free(s->hash);
	hash_free(s->envelopes);
	crypt_ring_give(s->chain->keys, s->key);
	if (s->growing != NULL)
		growing_done(s->growing);
	free(s->growing);
	free(s);
}

struct session *
session_new(struct chain *c)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->chain = c;
	s->info.state = SESS_OPEN;
	summary_init(&s->summary);
	tree_init(&s->tree);
	s->opening = buf_new(SESS_PART_MAX);
	s->raw = buf_new(BLOCK_RAW_MAX);
	s->hash = hash_new();
	s->envelopes = hash_new();
	if (s->opening == NULL || s->raw == NULL || s->hash == NULL || s->envelopes == NULL) {
		session_free(s);
		return NULL;
	}
	return s;
}

const uint8_t *
session_sid(const struct session *s)
{
	return s->info.sid;
}

const uint8_t *
session_key(const struct session *s)
{
	return s->key;
}

static int
index_put(void *arg, const uint8_t *key, size_t len)
{
	struct session *s = arg;

	return store_put(s->chain->store, STORE_IX, key, len, "", 0);
}

/* Write the record: the opening alone, or with its end. */
static int
record_put(struct session *s, const struct buf *end)
{
	struct buf *b = buf_new(2 * SESS_PART_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = sess_put_record(b, s->opening, s->info.open_leaf, end, s->info.close_leaf);
	if (r == 0)
		r = store_put(
		    s->chain->store, STORE_SESS, s->info.sid, REC_SID_LEN, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
opening_put(struct session *s, const struct seskey *k)
{
	struct mlog_leaf leaf = { .type = MLOG_OPEN };
	int r;

	memcpy(leaf.sid, s->info.sid, REC_SID_LEN);
	hash_sha256(buf_ptr(s->opening), buf_len(s->opening), leaf.hash);
	if ((r = keys_put(s, k)) != 0 ||
	    (r = mlog_add(&s->chain->log, &leaf, &s->info.open_leaf)) != 0 ||
	    (r = record_put(s, NULL)) != 0 || (r = session_sign_head(s)) != 0)
		return r;
	return sess_index(&s->info, index_put, s);
}

int
session_open(struct chain *c, uint32_t conn, uint32_t leg, const void *meta, size_t meta_len,
    struct session **ret_session)
{
	struct seskey k = { .slot = 0 };
	uint8_t salt[SESS_SALT_LEN];
	struct session *s;
	int r;

	if ((r = sess_meta_check(meta, meta_len)) != 0)
		return r;
	if ((s = session_new(c)) == NULL)
		return -ENOMEM;
	randombytes_buf(s->info.sid, REC_SID_LEN);
	randombytes_buf(salt, sizeof(salt));
	s->info.opened_wall_ns = clock_wall_ns();
	s->info.conn = conn;
	s->info.leg = leg;
	s->info.durability = (uint8_t)c->durability;
	s->opened_boot_ns = clock_boot_ns();
	r = -ENOMEM;
	if ((s->info.meta = malloc(meta_len + 1)) == NULL)
		goto fail;
	if (meta_len > 0)
		memcpy(s->info.meta, meta, meta_len);
	s->info.meta_len = meta_len;
	if ((r = keys_make(s, &k)) != 0 ||
	    (r = sess_put_opening(s->opening, &s->info, salt)) != 0 || (r = chain_txn(c)) != 0)
		goto fail;
	/*
	 * From here on half a session may be in the transaction: there is no way back but to give
	 * it up.
	 */
	if ((r = opening_put(s, &k)) != 0) {
		(void)chain_fail(c, r);
		goto fail;
	}
	TAILQ_INSERT_TAIL(&c->sessions, s, link);
	c->stats.n_sessions++;
	seskey_done(&k);
	*ret_session = s;
	return 0;
fail:
	seskey_done(&k);
	session_free(s);
	return r;
}

static void
block_begin(struct session *s)
{
	buf_reset(s->raw);
	s->journaled_len = 0;
	s->journaled_events = 0;
	s->n_block_events = 0;
	s->first_commit = 0;
	s->first_seq = s->n_events + 1;
	s->base_ns = s->last_ns;
	randombytes_buf(s->salt, sizeof(s->salt));
	hash_begin(s->hash);
	hash_add(s->hash, s->salt, sizeof(s->salt));
	hash_begin(s->envelopes);
}

/* Store a block of these bytes; hdr's stored hash is set here. */
static int
block_put(struct session *s, struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t bytes[BLOCK_HDR_LEN], key[BLOCK_KEY_LEN], leaf[HASH_LEN];
	struct chain *c = s->chain;
	int r;

	hash_sha256(buf_ptr(stored), buf_len(stored), hdr->stored);
	block_hdr_encode(hdr, bytes);
	block_key(hdr->sid, hdr->block, key);
	if ((r = store_put(c->store, STORE_HDR, key, sizeof(key), bytes, sizeof(bytes))) != 0 ||
	    (r = store_put_pieces(c->store, STORE_BLK, key, sizeof(key), buf_ptr(stored),
		 buf_len(stored), false)) != 0)
		return r;
	s->stored_bytes += buf_len(stored);
	c->stats.stored_bytes += buf_len(stored);
	tree_leaf(bytes, sizeof(bytes), leaf);
	return tree_add(&s->tree, leaf);
}

static int
block_pack(struct session *s, struct block_hdr *hdr)
{
	struct chain *c = s->chain;
	int r;

	buf_reset(c->stored);
	r = block_seal(c->codec, s->key, hdr->sid, hdr->block, s->salt, buf_ptr(s->raw),
	    buf_len(s->raw), c->stored);
	return r != 0 ? r : block_put(s, hdr, c->stored);
}

/* What the session's head says is not so any more. */
static void
mark_stale(struct session *s)
{
	if (!s->head_stale) {
		s->head_stale = true;
		s->chain->n_stale++;
	}
}

int
session_seal(struct session *s, uint64_t wall_ns)
{
	struct block_hdr hdr = {
		.block = (uint32_t)s->tree.n,
		.first_seq = s->first_seq,
		.n_events = s->n_block_events,
		.base_ns = s->base_ns,
		.last_ns = s->last_ns,
		.wall_ns = wall_ns,
		.raw_len = (uint32_t)buf_len(s->raw),
	};
	int r;

	if (s->n_block_events == 0)
		return 0;
	/* The last number is kept free: readers look from it backwards. */
	if (s->tree.n >= UINT32_MAX)
		return ERR_LIMIT;
	memcpy(hdr.sid, s->info.sid, REC_SID_LEN);
	hash_end(s->hash, hdr.content);
	if ((r = chain_txn(s->chain)) != 0)
		return r;
	if ((r = block_pack(s, &hdr)) != 0)
		return chain_fail(s->chain, r);
	s->n_block_events = 0;
	s->chain->needless = true;
	buf_reset(s->raw);
	mark_stale(s);
	s->head_due = s->chain->heads_due = true;
	return 0;
}

/* The same for one that recovery found growing: the journal's envelopes, since its key may be gone. */
static int
seal_recovered(struct session *s, uint64_t wall_ns)
{
	struct growing *g = s->growing;
	int r;

	if (g->hdr.n_events == 0)
		return 0;
	g->hdr.wall_ns = wall_ns;
	if ((r = block_put(s, &g->hdr, g->stored)) != 0)
		return chain_fail(s->chain, r);
	return 0;
}

int
session_seal_idle(struct session *s)
{
	int r = session_seal(s, clock_wall_ns());

	if (r == 0)
		buf_shrink(s->raw, 0);
	return r;
}

static void
mark_dirty(struct session *s)
{
	struct chain *c = s->chain;

	if (!s->dirty) {
		s->dirty = true;
		STAILQ_INSERT_TAIL(&c->dirty, s, dirty_link);
	}
	mark_stale(s);
}

int
session_append(struct session *s, enum event_way way, uint8_t type, uint32_t channel,
    const void *data, size_t len)
{
	struct event ev = {
		.way = way, .type = type, .channel = channel, .data = data, .len = len
	};
	struct chain *c = s->chain;
	size_t before, n;
	int r;

	if (c->failed != 0)
		return c->failed;
	if (len > EVENT_DATA_MAX)
		return ERR_LIMIT;
	if (buf_len(s->raw) + EVENT_HEAD_MAX + len > BLOCK_RAW_MAX &&
	    (r = session_seal(s, clock_wall_ns())) != 0)
		return r;
	if (s->n_block_events == 0)
		block_begin(s);
	/* What is finer than a tick is noise, and would be a third of what a key takes on disk. */
	ev.at_ns = clock_boot_ns() - s->opened_boot_ns;
	ev.at_ns -= ev.at_ns % EVENT_TICK_NS;
	if (ev.at_ns < s->last_ns)
		ev.at_ns = s->last_ns;
	before = buf_len(s->raw);
	/* What is counted is recorded: that must not fail behind it. */
	if ((r = buf_make_room(s->raw, EVENT_HEAD_MAX + len)) != 0 ||
	    (r = summary_add(&s->summary, &ev)) != 0 ||
	    (r = event_put(s->raw, ev.at_ns - s->last_ns, &ev)) != 0)
		return r;
	n = buf_len(s->raw) - before;
	hash_add(s->hash, buf_ptr(s->raw) + before, n);
	s->n_events++;
	s->n_block_events++;
	s->last_ns = ev.at_ns;
	s->raw_bytes += n;
	c->pending += n;
	c->stats.n_events++;
	c->stats.raw_bytes += n;
	mark_dirty(s);
	return 0;
}

/* The events from journaled_len on as an envelope in c->envelope. */
static int
seal_fragment(struct session *s, struct fragment *f)
{
	struct chain *c = s->chain;
	size_t n = buf_len(s->raw) - f->off;
	uint8_t *envelope, *p;
	int r;

	buf_reset(c->envelope);
	f->len = n + FRAGMENT_EXTRA(f->flags);
	if ((r = buf_reserve(c->envelope, f->len, &envelope)) != 0)
		return r;
	f->data = p = envelope;
	if (f->flags == FRAGMENT_FIRST) {
		memcpy(p, s->salt, BLOCK_SALT_LEN);
		p += BLOCK_SALT_LEN;
	}
	memcpy(p, buf_ptr(s->raw) + f->off, n);
	crypt_seal(s->key, f->sid, (struct crypt_place){ CRYPT_JOURNAL, f->block, f->off },
	    envelope, f->len - CRYPT_TAG_LEN);
	return 0;
}

int
session_flush(struct session *s)
{
	struct chain *c = s->chain;
	struct fragment f = {
		.block = (uint32_t)s->tree.n,
		.off = (uint32_t)s->journaled_len,
		.n_events = s->n_block_events - s->journaled_events,
		.last_ns = s->last_ns,
		.first_seq = s->first_seq,
		.base_ns = s->base_ns,
	};
	int r;

	if (s->n_block_events == 0 || f.n_events == 0)
		return 0;
	f.flags = f.off == 0 ? FRAGMENT_FIRST : 0;
	memcpy(f.sid, s->info.sid, REC_SID_LEN);
	if ((r = hash_copy(c->peek, s->hash)) != 0 || (r = seal_fragment(s, &f)) != 0)
		return r;
	hash_end(c->peek, f.content);
	hash_add(s->envelopes, f.data, f.len);
	if ((r = hash_copy(c->peek, s->envelopes)) != 0)
		return r;
	hash_end(c->peek, s->partial_stored);
	memcpy(f.check, s->partial_stored, JOURNAL_CHECK_LEN);
	if ((r = journal_put_fragment(c->journal, &f)) != 0)
		return r;
	memcpy(s->partial, f.content, HASH_LEN);
	s->journaled_len = buf_len(s->raw);
	s->journaled_events = s->n_block_events;
	if (s->first_commit == 0)
		s->first_commit = c->next_commit;
	return 0;
}

static int
head_make(const struct session *s, enum sess_state state, uint8_t ret_bytes[HEAD_LEN])
{
	struct head h = {
		.state = (uint8_t)state,
		.n_blocks = (uint32_t)s->tree.n,
		.n_events = s->n_events,
		.last_ns = s->last_ns,
	};

	memcpy(h.sid, s->info.sid, REC_SID_LEN);
	tree_root(&s->tree, h.root);
	if (s->n_block_events > 0) {
		h.partial_len = (uint32_t)s->journaled_len;
		memcpy(h.partial, s->partial, HASH_LEN);
		memcpy(h.partial_stored, s->partial_stored, HASH_LEN);
	}
	return head_sign(&h, secret_cptr(s->chain->signer->secret), ret_bytes);
}

int
session_sign_head(struct session *s)
{
	uint8_t bytes[HEAD_LEN];
	int r;

	if ((r = head_make(s, SESS_OPEN, bytes)) != 0)
		return r;
	if (s->head_stale) {
		s->head_stale = false;
		s->chain->n_stale--;
	}
	s->head_due = false;
	return store_put(
	    s->chain->store, STORE_HEAD, s->info.sid, REC_SID_LEN, bytes, sizeof(bytes));
}

static int
end_put(struct session *s, enum sess_state state)
{
	struct mlog_leaf leaf = { .type = MLOG_CLOSE, .state = (uint8_t)state };
	uint8_t salt[SESS_SALT_LEN];
	struct chain *c = s->chain;
	struct buf *end = buf_new(SESS_PART_MAX);
	int r = -ENOMEM;

	if (end == NULL)
		return r;
	randombytes_buf(salt, sizeof(salt));
	if ((r = head_make(s, state, s->info.digest)) != 0 ||
	    (r = sess_put_end(end, &s->info, salt, s->key)) != 0)
		goto out;
	memcpy(leaf.sid, s->info.sid, REC_SID_LEN);
	tree_root(&s->tree, leaf.root);
	leaf.n_blocks = (uint32_t)s->tree.n;
	leaf.n_events = s->n_events;
	hash_sha256(buf_ptr(end), buf_len(end), leaf.hash);
	if ((r = mlog_add(&c->log, &leaf, &s->info.close_leaf)) != 0 ||
	    (r = record_put(s, end)) != 0)
		goto out;
	r = store_del(c->store, STORE_HEAD, s->info.sid, REC_SID_LEN);
out:
	buf_free(end);
	return r;
}

/* A copy that may lose its tail: texts for people. */
static void
copy_short(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size - 1);

	memcpy(dst, src, len);
	dst[len] = '\0';
}

static void
session_unlink(struct session *s)
{
	struct chain *c = s->chain;

	TAILQ_REMOVE(&c->sessions, s, link);
	c->stats.n_sessions--;
	if (s->dirty)
		STAILQ_REMOVE(&c->dirty, s, session, dirty_link);
	if (s->head_stale)
		c->n_stale--;
}

int
session_end(struct session *s, enum sess_state state, uint8_t code, const char *text,
    const char *by, uint64_t block_wall_ns)
{
	struct chain *c = s->chain;
	int r;

	s->info.closed_wall_ns = clock_wall_ns();
	s->info.end_code = code;
	copy_short(s->info.end_text, sizeof(s->info.end_text), text);
	copy_short(s->info.end_by, sizeof(s->info.end_by), by);
	if ((r = chain_txn(c)) == 0 &&
	    (r = s->growing != NULL ? seal_recovered(s, block_wall_ns)
				    : session_seal(s, block_wall_ns)) == 0) {
		s->info.raw_bytes = s->raw_bytes;
		s->info.stored_bytes = s->stored_bytes;
		summary_give(&s->summary, &s->info);
		if ((r = end_put(s, state)) != 0)
			(void)chain_fail(c, r);
	}
	session_unlink(s);
	session_free(s);
	return r;
}

int
session_close(struct session *s, uint8_t code, const char *text, const char *by)
{
	return session_end(s, SESS_CLOSED, code, text, by, clock_wall_ns());
}
