/*
 * Start-up after a stop that was none: every session that the store has as open gets its end at its
 * last durable event. What a session left is first held against its own last signed head; one that
 * does not fit is left for verify to show.
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
	int covered;	  /* what head_covers() said about the block that the head is about */
	bool damaged;
};

struct lefts {
	struct chain *chain;
	struct left *all; /* by sid, as the store orders them */
	size_t n, size;
};

static void
lefts_free(struct lefts *l)
{
	for (size_t i = 0; i < l->n; i++)
		session_free(l->all[i].session);
	free(l->all);
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
	l->all[l->n++] = (struct left){ .session = s, .head = *head, .covered = ERR_CHAIN };
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

/* Sealed blocks, from the first: each must follow the one before it. ERR_NOT_FOUND at the end. */
static int
load_block(struct left *left, struct buf *raw)
{
	struct session *s = left->session;
	struct store_snap *snap = store_pending(s->chain->store);
	uint8_t salt[BLOCK_SALT_LEN], bytes[BLOCK_HDR_LEN], leaf[HASH_LEN];
	struct block_hdr hdr;
	int r;

	if ((r = block_get_hdr(snap, s->info.sid, (uint32_t)s->tree.n, &hdr)) != 0)
		return r;
	if (hdr.first_seq != s->n_events + 1 || hdr.base_ns != s->last_ns)
		return ERR_CHAIN;
	buf_reset(raw);
	r = block_get_raw(snap, s->chain->codec, &hdr, raw, salt);
	if (r != 0)
		return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	if ((r = replay(s, buf_ptr(raw), buf_len(raw), hdr.first_seq, hdr.base_ns)) != 0)
		return r;
	if (s->tree.n == left->head.n_blocks) {
		left->covered =
		    head_covers(&left->head, &s->tree, salt, buf_ptr(raw), buf_len(raw));
		if (left->covered != 0)
			return left->covered;
	}
	block_hdr_encode(&hdr, bytes);
	tree_leaf(bytes, sizeof(bytes), leaf);
	return tree_add(&s->tree, leaf);
}

static int
load_blocks(struct left *left)
{
	struct buf *raw = buf_new(BLOCK_RAW_MAX);
	int r;

	if (raw == NULL)
		return -ENOMEM;
	do
		r = load_block(left, raw);
	while (r == 0);
	buf_free(raw);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
left_cmp(const void *key, const void *elem)
{
	return memcmp(key, ((const struct left *)elem)->session->info.sid, REC_SID_LEN);
}

static int
fragment_fits(struct session *s, const struct fragment *f)
{
	uint8_t content[HASH_LEN];
	int r;

	if (f->flags == FRAGMENT_FIRST) {
		if (f->first_seq != s->n_events + 1 || f->base_ns != s->last_ns)
			return ERR_CHAIN;
		memcpy(s->salt, f->salt, sizeof(s->salt));
		s->first_seq = f->first_seq;
		s->base_ns = f->base_ns;
		hash_begin(s->hash);
		hash_add(s->hash, f->salt, BLOCK_SALT_LEN);
	}
	hash_add(s->hash, f->data, f->len);
	if ((r = hash_copy(s->chain->peek, s->hash)) != 0)
		return r;
	hash_end(s->chain->peek, content);
	return memcmp(content, f->content, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
}

static int
take_fragment(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct lefts *l = arg;
	struct left *left = bsearch(f->sid, l->all, l->n, sizeof(l->all[0]), left_cmp);
	struct session *s;
	int r;

	(void)commit;
	if (left == NULL || left->damaged)
		return 0;
	s = left->session;
	/* What was sealed since stays in the journal until it is pruned. */
	if (f->block != s->tree.n || f->off != buf_len(s->raw))
		return 0;
	r = fragment_fits(s, f);
	if (r == 0)
		r = buf_put(s->raw, f->data, f->len);
	if (r == 0)
		r = replay(s, f->data, f->len, s->n_events + 1, s->last_ns);
	if (r == -ENOMEM)
		return r;
	left->damaged = r != 0;
	left->wall_ns = wall_ns;
	s->n_block_events += f->n_events;
	return 0;
}

/* The last signed head must be a prefix of what is there. */
static bool
head_fits(const struct left *left)
{
	const struct session *s = left->session;
	const struct head *h = &left->head;

	if (h->state != SESS_OPEN || h->n_events > s->n_events || h->last_ns > s->last_ns ||
	    (s->n_block_events > 0 && s->first_seq + s->n_block_events != s->n_events + 1))
		return false;
	if (h->n_blocks < s->tree.n)
		return left->covered == 0;
	return head_covers(h, &s->tree, s->salt, buf_ptr(s->raw), buf_len(s->raw)) == 0;
}

static int
load(struct left *left)
{
	int r;

	if (left->damaged)
		return 0;
	if ((r = load_opening(left->session)) == 0)
		r = load_blocks(left);
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
		log_err("recorder.damaged sid=%s do=\"run bastionctl verify\"",
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
	struct lefts l = { .chain = c };
	uint64_t first, last;
	int r;

	if ((r = lefts_find(&l)) != 0 || (r = journal_take_up(c)) != 0)
		goto out;
	for (size_t i = 0; i < l.n; i++)
		if ((r = load(&l.all[i])) != 0)
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
