/*
 * Start-up after a stop that was none: every session that the store has as open gets its end at its
 * last durable event. What a session left is first held against its own last signed head; one that
 * does not fit is left for verify to show. The key of a sealed session went with the recorder that
 * had it: its end has no private part, and what it did is in its events only,
 * from which the auditor's side tells it (RD_BLOCKS).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"
#include "recorder/chain_part.h"

#define TRUNCATED_TEXT "the recorder stopped before the session ended"

struct left {
	struct session *session;
	struct head head;
	uint64_t wall_ns; /* of the last journal record with its bytes */
	bool damaged;
};

struct lefts {
	struct chain *chain;
	struct left *all; /* by sid, as the store orders them */
	size_t n, size;
	struct buf *stored, *raw; /* one block */
};

static void
lefts_free(struct lefts *l)
{
	for (size_t i = 0; i < l->n; i++)
		session_free(l->all[i].session);
	free(l->all);
	buf_free(l->stored);
	buf_free(l->raw);
}

static int
lefts_add(struct lefts *l, const uint8_t *sid, const struct head *head)
{
	struct session *s = session_new(l->chain);

	if (s == NULL)
		return -ENOMEM;
	if (l->n == l->size) {
		size_t size = l->size == 0 ? 16 : l->size * 2;
		struct left *all = reallocarray(l->all, size, sizeof(*all));

		if (all == NULL) {
			session_free(s);
			return -ENOMEM;
		}
		l->all = all;
		l->size = size;
	}
	memcpy(s->info.sid, sid, REC_SID_LEN);
	l->all[l->n++] = (struct left){ .session = s, .head = *head };
	return 0;
}

/* All sessions that have a head: those are the open ones. */
static int
lefts_find(struct lefts *l)
{
	struct store_item item;
	struct store_iter *it;
	struct head head;
	int r;

	r = store_iter_new(store_pending(l->chain->store), STORE_HEAD, NULL, 0, false, &it);
	if (r != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0) {
		bool good;

		if (item.key_len != REC_SID_LEN) {
			r = ERR_FORMAT;
			break;
		}
		good = head_verify(item.data, item.len, l->chain->signer->key.key, &head) == 0 &&
		       memcmp(head.sid, item.key, REC_SID_LEN) == 0;
		if ((r = lefts_add(l, item.key, &head)) != 0)
			break;
		l->all[l->n - 1].damaged = !good;
	}
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* The record's opening part goes into the final record as it stands. */
static int
load_opening(struct session *s)
{
	const uint8_t *data, *opening;
	size_t len, opening_len;
	struct sess info;
	struct buf *b;
	int r;

	r = store_get(
	    store_pending(s->chain->store), STORE_SESS, s->info.sid, REC_SID_LEN, &data, &len);
	if (r != 0 || (r = sess_parse(data, len, &info)) != 0)
		return r;
	if (info.state != SESS_OPEN || memcmp(info.sid, s->info.sid, REC_SID_LEN) != 0) {
		sess_done(&info);
		return ERR_CHAIN;
	}
	sess_done(&s->info);
	s->info = info;
	if ((b = buf_view(data, len)) == NULL)
		return -ENOMEM;
	if ((r = buf_skip(b, 1)) == 0 && (r = buf_get_str(b, &opening, &opening_len)) == 0)
		r = buf_put(s->opening, opening, opening_len);
	buf_free(b);
	return r;
}

static int
replay(struct session *s, const uint8_t *data, size_t len, uint64_t first_seq, uint64_t base_ns)
{
	struct event_reader reader;
	struct event ev;
	int r;

	event_reader_init(&reader, data, len, first_seq, base_ns);
	while ((r = event_next(&reader, &ev)) == 0) {
		if ((r = summary_add(&s->summary, &ev)) != 0)
			return r;
		s->n_events = ev.seq;
		s->last_ns = ev.at_ns;
	}
	s->raw_bytes += len;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Its key, when it is not sealed; and a place for the block that was growing. */
static int
load_key(struct session *s, uint32_t mark)
{
	int r;

	if ((s->key = crypt_ring_take(s->chain->keys)) == NULL ||
	    (s->growing = calloc(1, sizeof(*s->growing))) == NULL)
		return -ENOMEM;
	r = seskey_get(store_pending(s->chain->store), s->info.sid, s->key);
	if (r == ERR_SEALED) {
		crypt_ring_give(s->chain->keys, s->key);
		s->key = NULL;
		r = 0;
	}
	if (r != 0 || (r = growing_init(s->growing, true)) != 0)
		return r;
	growing_begin(s->growing, s->info.sid, (uint32_t)s->tree.n, s->key, mark);
	return 0;
}

/* What a block says about the session: its events, or without the key its header. */
static int
load_events(struct lefts *l, struct session *s, const struct block_hdr *hdr)
{
	uint8_t hash[HASH_LEN], salt[BLOCK_SALT_LEN];
	int r;

	if (s->key == NULL) {
		hash_sha256(buf_ptr(l->stored), buf_len(l->stored), hash);
		s->n_events += hdr->n_events;
		s->last_ns = hdr->last_ns;
		s->raw_bytes += hdr->raw_len;
		return memcmp(hash, hdr->stored, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
	}
	buf_reset(l->raw);
	r = block_open(
	    s->chain->codec, s->key, hdr, buf_ptr(l->stored), buf_len(l->stored), salt, l->raw);
	return r != 0 ? r
		      : replay(s, buf_ptr(l->raw), buf_len(l->raw), hdr->first_seq, hdr->base_ns);
}

/* Sealed blocks, from the first: each must follow the one before it. ERR_NOT_FOUND at the end. */
static int
load_block(struct lefts *l, struct session *s)
{
	struct store_snap *snap = store_pending(s->chain->store);
	uint8_t bytes[BLOCK_HDR_LEN], leaf[HASH_LEN];
	struct block_hdr hdr;
	int r;

	if ((r = block_get_hdr(snap, s->info.sid, (uint32_t)s->tree.n, &hdr)) != 0)
		return r;
	if (hdr.first_seq != s->n_events + 1 || hdr.base_ns != s->last_ns)
		return ERR_CHAIN;
	buf_reset(l->stored);
	if ((r = block_get_stored(snap, &hdr, l->stored)) != 0)
		return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	if ((r = load_events(l, s, &hdr)) != 0)
		return r;
	s->stored_bytes += buf_len(l->stored);
	block_hdr_encode(&hdr, bytes);
	tree_leaf(bytes, sizeof(bytes), leaf);
	return tree_add(&s->tree, leaf);
}

static int
load_blocks(struct lefts *l, struct session *s)
{
	int r;

	do
		r = load_block(l, s);
	while (r == 0);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
left_cmp(const void *key, const void *elem)
{
	return memcmp(key, ((const struct left *)elem)->session->info.sid, REC_SID_LEN);
}

/* What a fragment that growing took says about the session. */
static int
fragment_replay(struct session *s, const struct fragment *f)
{
	size_t len = f->len - FRAGMENT_EXTRA(f->flags);
	int r;

	if (s->key != NULL) {
		r = replay(s, buf_ptr(s->growing->raw) + f->off, len, s->n_events + 1, s->last_ns);
		return r == 0 && s->last_ns != f->last_ns ? ERR_CHAIN : r;
	}
	s->n_events += f->n_events;
	s->last_ns = f->last_ns;
	s->raw_bytes += len;
	return 0;
}

static int
fragment_take(struct session *s, const struct fragment *f)
{
	int r;

	if ((f->flags & FRAGMENT_FIRST) != 0 &&
	    (f->first_seq != s->n_events + 1 || f->base_ns != s->last_ns))
		return ERR_CHAIN;
	if ((r = growing_add(s->growing, f)) != 0)
		return r;
	return fragment_replay(s, f);
}

static int
take_fragment(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct lefts *l = arg;
	struct left *left = bsearch(f->sid, l->all, l->n, sizeof(l->all[0]), left_cmp);
	int r;

	(void)commit;
	if (left == NULL || left->damaged)
		return 0;
	/* What was sealed since stays in the journal until it is pruned. */
	if (f->block != left->session->growing->hdr.block ||
	    f->off != left->session->growing->hdr.raw_len)
		return 0;
	if ((r = fragment_take(left->session, f)) == -ENOMEM)
		return r;
	left->damaged = r != 0;
	left->wall_ns = wall_ns;
	return 0;
}

/* The last signed head must be a prefix of what is there. */
static bool
head_fits(const struct left *left)
{
	const struct session *s = left->session;
	const struct block_hdr *hdr = &s->growing->hdr;
	const struct head *h = &left->head;

	if (h->state != SESS_OPEN || h->n_events > s->n_events || h->last_ns > s->last_ns ||
	    (hdr->n_events > 0 && hdr->first_seq + hdr->n_events != s->n_events + 1))
		return false;
	return growing_covers(s->growing, h, &s->tree) == 0;
}

static int
load(struct lefts *l, struct left *left)
{
	struct session *s = left->session;
	int r;

	if (left->damaged)
		return 0;
	if ((r = load_opening(s)) == 0 && (r = load_key(s, left->head.partial_len)) == 0 &&
	    (r = load_blocks(l, s)) == 0)
		s->growing->hdr.block = (uint32_t)s->tree.n;
	if (r == -ENOMEM)
		return r;
	left->damaged = r != 0;
	return 0;
}

static int
end_one(struct chain *c, struct left *left)
{
	struct session *s = left->session;

	left->session = NULL;
	TAILQ_INSERT_TAIL(&c->sessions, s, link);
	c->stats.n_sessions++;
	return session_end(s, SESS_TRUNCATED, LINK_END_RECORDER, TRUNCATED_TEXT, "", left->wall_ns);
}

static int
end_all(struct lefts *l, struct chain_recovery *ret_recovery)
{
	struct mlog_leaf leaf = { .type = MLOG_RECOVERY };
	char hex[2 * REC_SID_LEN + 1];
	int r;

	for (size_t i = 0; i < l->n; i++) {
		struct left *left = &l->all[i];

		if (!left->damaged && head_fits(left)) {
			leaf.n_truncated++;
			continue;
		}
		left->damaged = true;
		ret_recovery->n_damaged++;
		log_err("recorder.damaged sid=%s do=\"run bastionctl verify; when it is "
			"not needed any more, bastionctl sessions erase\"",
		    str_hex(hex, left->session->info.sid, REC_SID_LEN));
	}
	ret_recovery->n_truncated = leaf.n_truncated;
	if (leaf.n_truncated == 0)
		return 0;
	r = mlog_add(&l->chain->log, &leaf, NULL);
	for (size_t i = 0; r == 0 && i < l->n; i++)
		if (!l->all[i].damaged)
			r = end_one(l->chain, &l->all[i]);
	return r;
}

/* Where the journal stands: the next number, and how much it holds. */
static int
journal_take_up(struct chain *c)
{
	struct store_item item;
	struct store_iter *it;
	uint64_t commit = 0;
	int r;

	r = store_iter_new(store_pending(c->store), STORE_JOURNAL, NULL, 0, false, &it);
	if (r != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0) {
		if ((r = journal_key_parse(item.key, item.key_len, &commit)) != 0)
			break;
		c->journal_bytes += item.len;
	}
	store_iter_free(it);
	if (r != ERR_NOT_FOUND)
		return r;
	c->next_commit = commit + 1;
	return 0;
}

int
recovery_run(struct chain *c, struct chain_recovery *ret_recovery)
{
	struct lefts l = {
		.chain = c, .stored = buf_new(BLOCK_STORED_MAX), .raw = buf_new(BLOCK_RAW_MAX)
	};
	uint64_t first, last;
	int r = -ENOMEM;

	if (l.stored == NULL || l.raw == NULL || (r = lefts_find(&l)) != 0 ||
	    (r = journal_take_up(c)) != 0)
		goto out;
	for (size_t i = 0; i < l.n; i++)
		if ((r = load(&l, &l.all[i])) != 0)
			goto out;
	if (l.n == 0)
		goto out;
	r = journal_bounds(store_pending(c->store), &first, &last);
	if (r == 0)
		r = journal_each(store_pending(c->store), first, last, take_fragment, &l);
	if (r == 0 || r == ERR_NOT_FOUND)
		r = end_all(&l, ret_recovery);
out:
	lefts_free(&l);
	return r;
}
