/*
 * One session: its record against the leaves, its blocks against the digest, its events against
 * their blocks.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/event.h"
#include "recorder/growing.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "recorder/tree.h"
#include "recorder/verify_part.h"

#define SWAP_EVENTS_MAX 2048u /* neighbours are tried as swapped in blocks of at most this many */

/* One session under examination. */
struct exam {
	struct verify *v;
	const uint8_t *sid;
	struct head head; /* end digest, or last head of an open session */
	struct tree tree; /* over the headers seen */
	uint64_t next_seq, last_ns;
	uint64_t n_findings; /* before this session */
	const uint8_t *key;  /* NULL: not ours to have; then only what is stored is checked */
	bool journal_bad;
	bool erased;		 /* on purpose: only headers and record are left */
	bool gap;		 /* the block before this one is not there to be gone on with */
	uint64_t opened_wall_ns; /* as the record says */
};

static const char *
block_place(char dst[64], const char *what, uint32_t block)
{
	(void)snprintf(dst, 64, "%s%" PRIu32, what, block);
	return dst;
}

/* Reads through a block's events. 0; ERR_CHAIN when they are not what the header says. */
static int
events_fit(const struct block_hdr *hdr, const uint8_t *raw, size_t len)
{
	struct event_reader reader;
	struct event ev;
	int r;

	event_reader_init(&reader, raw, len, hdr->first_seq, hdr->base_ns);
	while ((r = event_next(&reader, &ev)) == 0)
		continue;
	if (r != ERR_NOT_FOUND || reader.next_seq != hdr->first_seq + hdr->n_events ||
	    reader.at_ns != hdr->last_ns)
		return ERR_CHAIN;
	return 0;
}

/*
 * Whether the content hash fits when the two events that meet at off are put the other way round.
 */
static bool
swap_fits(const struct block_hdr *hdr, const uint8_t *salt, const uint8_t *raw, size_t start,
    size_t middle, size_t end)
{
	uint8_t swapped[BLOCK_RAW_MAX], hash[HASH_LEN];
	size_t second = end - middle;

	memcpy(swapped, raw, hdr->raw_len);
	memcpy(swapped + start, raw + middle, second);
	memcpy(swapped + start + second, raw + start, middle - start);
	block_content(salt, swapped, hdr->raw_len, hash);
	return memcmp(hash, hdr->content, HASH_LEN) == 0;
}

/* Look for two neighbouring events that changed places. 0 and their first number; ERR_NOT_FOUND. */
static int
find_swap(const struct block_hdr *hdr, const uint8_t *salt, const uint8_t *raw, uint64_t *ret_seq)
{
	size_t start = 0, middle = 0;
	struct event_reader reader;
	struct event ev;

	if (hdr->n_events > SWAP_EVENTS_MAX)
		return ERR_NOT_FOUND;
	event_reader_init(&reader, raw, hdr->raw_len, hdr->first_seq, hdr->base_ns);
	for (uint32_t i = 0; event_next(&reader, &ev) == 0; i++) {
		if (i > 0 && swap_fits(hdr, salt, raw, start, middle, reader.off)) {
			*ret_seq = ev.seq - 1;
			return 0;
		}
		start = middle;
		middle = reader.off;
	}
	return ERR_NOT_FOUND;
}

/* Data that does not fit a header which is the signed one. */
static void
blame_data(struct exam *e, const struct block_hdr *hdr, const uint8_t *salt)
{
	char place[64];
	uint64_t seq;

	if (find_swap(hdr, salt, buf_ptr(e->v->raw), &seq) == 0) {
		(void)snprintf(place, sizeof(place), "event %" PRIu64, seq);
		verify_found(e->v, VERIFY_REORDERED, e->sid, place,
		    "events %" PRIu64 " and %" PRIu64 " stand in the wrong order", seq, seq + 1);
		return;
	}
	verify_found(e->v, VERIFY_FLIPPED, e->sid, block_place(place, "block ", hdr->block),
	    "events %" PRIu64 " to %" PRIu64 " do not fit their digest: bytes were changed",
	    hdr->first_seq, hdr->first_seq + hdr->n_events - 1);
}

/*
 * The events of a block whose stored bytes are stored, compared with nothing yet; into v->raw. 0; ERR_SEALED we have no
 * key; else as of block_unseal().
 */
static int
unpack(struct exam *e, const struct block_hdr *hdr, const struct buf *stored,
    uint8_t ret_salt[BLOCK_SALT_LEN])
{
	buf_reset(e->v->raw);
	if (e->key == NULL)
		return ERR_SEALED;
	return block_unseal(
	    e->v->codec, e->key, hdr, buf_ptr(stored), buf_len(stored), ret_salt, e->v->raw);
}

/* Whether the content hash fits when the event from start to end, which stands there twice, is left out. */
static bool
double_fits(const struct block_hdr *hdr, const uint8_t *salt, const struct buf *raw, size_t start,
    size_t end)
{
	uint8_t single[BLOCK_RAW_MAX], hash[HASH_LEN];

	if (buf_len(raw) - (end - start) != hdr->raw_len)
		return false;
	memcpy(single, buf_ptr(raw), start);
	memcpy(single + start, buf_ptr(raw) + end, buf_len(raw) - end);
	block_content(salt, single, hdr->raw_len, hash);
	return memcmp(hash, hdr->content, HASH_LEN) == 0;
}

/* Look for an event that was put in twice. 0 and its number; ERR_NOT_FOUND. */
static int
find_double(
    const struct block_hdr *hdr, const uint8_t *salt, const struct buf *raw, uint64_t *ret_seq)
{
	const uint8_t *p = buf_ptr(raw);
	size_t start = 0, middle = 0;
	struct event_reader reader;
	struct event ev;

	event_reader_init(&reader, p, buf_len(raw), hdr->first_seq, hdr->base_ns);
	while (event_next(&reader, &ev) == 0) {
		size_t len = reader.off - middle;

		if (len == middle - start && memcmp(p + start, p + middle, len) == 0 &&
		    double_fits(hdr, salt, raw, middle, reader.off)) {
			*ret_seq = ev.seq - 1;
			return 0;
		}
		start = middle;
		middle = reader.off;
	}
	return ERR_NOT_FOUND;
}

/* A block that opens and holds more or less than its header says. False: it does not even open. */
static bool
blame_length(struct exam *e, const struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t salt[BLOCK_SALT_LEN];
	char place[64];
	uint64_t seq;

	buf_reset(e->v->raw);
	if (e->key == NULL || block_unseal_any(e->v->codec, e->key, hdr, buf_ptr(stored),
				  buf_len(stored), salt, e->v->raw) != 0)
		return false;
	if (find_double(hdr, salt, e->v->raw, &seq) == 0) {
		(void)snprintf(place, sizeof(place), "event %" PRIu64, seq);
		verify_found(
		    e->v, VERIFY_EXTRA, e->sid, place, "event %" PRIu64 " stands there twice", seq);
	} else
		verify_found(e->v, VERIFY_FLIPPED, e->sid, block_place(place, "block ", hdr->block),
		    "events were added or removed: it holds %zu bytes of them, signed were "
		    "%" PRIu32,
		    buf_len(e->v->raw), hdr->raw_len);
	return true;
}

/* Stored bytes that are not the ones under the header: with a key it can be told what was done to them. */
static void
blame_stored(struct exam *e, const struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t salt[BLOCK_SALT_LEN];
	char place[64];

	if (unpack(e, hdr, stored, salt) == 0) {
		blame_data(e, hdr, salt);
		return;
	}
	if (blame_length(e, hdr, stored))
		return;
	verify_found(e->v, VERIFY_FLIPPED, e->sid, block_place(place, "block ", hdr->block),
	    "its stored bytes were changed or cut: events %" PRIu64 " to %" PRIu64
	    " are not the recorded ones",
	    hdr->first_seq, hdr->first_seq + hdr->n_events - 1);
}

/* Stored bytes that are the ones under the header: what is in them, if we may know. 0; -ENOMEM. */
static int
check_events(struct exam *e, const struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t salt[BLOCK_SALT_LEN], hash[HASH_LEN];
	char place[64];
	int r = unpack(e, hdr, stored, salt);

	if (r == ERR_SEALED)
		return 0;
	if (r == -ENOMEM)
		return r;
	block_place(place, "block ", hdr->block);
	if (r != 0) {
		verify_found(e->v, VERIFY_FLIPPED, e->sid, place,
		    "its stored bytes do not open with the session's key");
		return 0;
	}
	block_content(salt, buf_ptr(e->v->raw), hdr->raw_len, hash);
	if (memcmp(hash, hdr->content, HASH_LEN) != 0)
		blame_data(e, hdr, salt);
	else if (events_fit(hdr, buf_ptr(e->v->raw), hdr->raw_len) != 0)
		verify_found(e->v, VERIFY_FLIPPED, e->sid, place,
		    "its header does not say what its events are");
	return 0;
}

static int
check_stored(struct exam *e, const struct block_hdr *hdr, const struct buf *stored)
{
	uint8_t hash[HASH_LEN];

	hash_sha256(buf_ptr(stored), buf_len(stored), hash);
	if (memcmp(hash, hdr->stored, HASH_LEN) != 0) {
		blame_stored(e, hdr, stored);
		return 0;
	}
	e->v->result.n_events += hdr->n_events;
	e->v->result.raw_bytes += hdr->raw_len;
	return check_events(e, hdr, stored);
}

/* The data of one block. Returns 0 when it was judged, findings or not. */
static int
check_data(struct exam *e, const struct block_hdr *hdr)
{
	struct buf *stored = e->v->stored;
	char place[64];
	int r;

	buf_reset(stored);
	block_place(place, "block ", hdr->block);
	r = block_get_stored(e->v->snap, hdr, stored);
	if (r == 0)
		r = check_stored(e, hdr, stored);
	else if (r == ERR_NOT_FOUND || r == ERR_LIMIT) {
		verify_found(e->v, r == ERR_LIMIT ? VERIFY_EXTRA : VERIFY_MISSING, e->sid, place,
		    r == ERR_LIMIT ? "more is stored than a block can be"
				   : "its events are not there");
		r = 0;
	}
	return r;
}

/*
 * A header that stands where block i belongs. 0 and *ret_hdr; ERR_NOT_FOUND after the last;
 * ERR_CHAIN with a finding.
 */
static int
read_header(struct exam *e, uint32_t i, struct block_hdr *ret_hdr, uint8_t ret_leaf[HASH_LEN])
{
	uint8_t key[BLOCK_KEY_LEN];
	const uint8_t *data;
	char place[64];
	size_t len;
	int r;

	block_key(e->sid, i, key);
	if ((r = store_get(e->v->snap, STORE_HDR, key, sizeof(key), &data, &len)) != 0)
		return r;
	tree_leaf(data, len, ret_leaf);
	block_place(place, "block ", i);
	if (block_hdr_parse(data, len, ret_hdr) != 0) {
		verify_found(e->v, VERIFY_FLIPPED, e->sid, place, "its header was changed");
		return ERR_CHAIN;
	}
	if (memcmp(ret_hdr->sid, e->sid, REC_SID_LEN) != 0) {
		verify_found(e->v, VERIFY_FOREIGN, e->sid, place, "it belongs to another session");
		return ERR_CHAIN;
	}
	if (ret_hdr->block != i) {
		verify_found(e->v, VERIFY_REORDERED, e->sid, place,
		    "block %" PRIu32 " stands in its place", ret_hdr->block);
		return ERR_CHAIN;
	}
	return 0;
}

/* Each block goes on where the one before it stopped. */
static void
check_joint(struct exam *e, const struct block_hdr *hdr)
{
	char place[64];

	if (e->gap)
		e->gap = false;
	else if (hdr->first_seq != e->next_seq || hdr->base_ns != e->last_ns)
		verify_found(e->v, VERIFY_FLIPPED, e->sid, block_place(place, "block ", hdr->block),
		    "it does not go on where block %" PRIu32 " stopped", hdr->block - 1);
}

/* The number of the next header behind number i, which is not there; n: there is none below n. */
static int
next_header(struct exam *e, uint32_t i, uint32_t n, uint32_t *ret_next)
{
	uint8_t key[BLOCK_KEY_LEN];
	struct store_item item;
	struct store_iter *it;
	uint32_t next = 0;
	int r;

	block_key(e->sid, i + 1, key);
	if ((r = store_iter_new(e->v->snap, STORE_HDR, key, sizeof(key), false, &it)) != 0)
		return r;
	if ((r = store_iter_next(it, &item)) == 0 && item.key_len >= sizeof(key) &&
	    memcmp(item.key, e->sid, REC_SID_LEN) == 0)
		for (size_t k = REC_SID_LEN; k < sizeof(key); k++)
			next = next << 8 | item.key[k];
	store_iter_free(it);
	*ret_next = next > i && next < n ? next : n;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Blocks from i on are not there. *ret_last: the last one of these. */
static int
tell_gap(struct exam *e, uint32_t i, uint32_t n, uint32_t *ret_last)
{
	char place[64];
	uint32_t next;
	int r = next_header(e, i, n, &next);

	if (r != 0)
		return r;
	block_place(place, "block ", i);
	if (next == n)
		verify_found(e->v, VERIFY_CUT, e->sid, place,
		    "the recording ends here; signed were %" PRIu32 " blocks", n);
	else if (next == i + 1)
		verify_found(e->v, VERIFY_MISSING, e->sid, place,
		    "it is not there; signed were %" PRIu32 " blocks", n);
	else
		verify_found(e->v, VERIFY_MISSING, e->sid, place,
		    "it and all before block %" PRIu32 " are not there; signed were %" PRIu32
		    " blocks",
		    next, n);
	e->gap = true;
	*ret_last = next - 1;
	return 0;
}

/*
 * Blocks 0 to n-1: what is missing, in the wrong place, or not itself. The tree over the headers is
 * built on the way and needs every one of them.
 */
static int
check_blocks(struct exam *e, uint32_t n)
{
	uint8_t leaf[HASH_LEN];
	struct block_hdr hdr;
	int r;

	for (uint32_t i = 0; i < n; i++) {
		r = read_header(e, i, &hdr, leaf);
		if (r == ERR_NOT_FOUND) {
			if ((r = tell_gap(e, i, n, &i)) != 0)
				return r;
			continue;
		}
		if (r == ERR_CHAIN) {
			e->gap = true;
			if ((r = tree_add(&e->tree, leaf)) != 0)
				return r;
			continue;
		}
		if (r != 0)
			return r;
		e->v->from_wall_ns = e->opened_wall_ns + hdr.base_ns;
		e->v->to_wall_ns = e->opened_wall_ns + hdr.last_ns;
		check_joint(e, &hdr);
		r = e->erased ? 0 : check_data(e, &hdr);
		e->v->from_wall_ns = e->v->to_wall_ns = 0;
		if (r != 0)
			return r;
		if ((r = tree_add(&e->tree, leaf)) != 0)
			return r;
		e->next_seq = hdr.first_seq + hdr.n_events;
		e->last_ns = hdr.last_ns;
	}
	return 0;
}

static bool
exam_is_clean(const struct exam *e)
{
	return e->v->result.n_findings == e->n_findings;
}

/* Number of sealed blocks by the last header's key: up to 2^32. */
static int
count_blocks(struct exam *e, uint64_t *ret_n)
{
	uint8_t key[BLOCK_KEY_LEN];
	struct store_item item;
	struct store_iter *it;
	int r;

	block_key(e->sid, UINT32_MAX, key);
	if ((r = store_iter_new(e->v->snap, STORE_HDR, key, sizeof(key), true, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	if (r == 0 && item.key_len == sizeof(key) && memcmp(item.key, e->sid, REC_SID_LEN) == 0) {
		const uint8_t *p = item.key + REC_SID_LEN;

		*ret_n =
		    ((uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3]) + 1;
	} else if (r == 0 || r == ERR_NOT_FOUND) {
		*ret_n = 0;
		r = 0;
	}
	store_iter_free(it);
	return r;
}

static int
check_extra_blocks(struct exam *e, uint32_t n_signed)
{
	char place[64];
	uint64_t n;
	int r;

	if ((r = count_blocks(e, &n)) != 0)
		return r;
	if (n > n_signed)
		verify_found(e->v, VERIFY_EXTRA, e->sid, block_place(place, "block ", n_signed),
		    "%" PRIu64 " blocks stand behind the signed end", n - n_signed);
	return 0;
}

static void
check_root(struct exam *e)
{
	uint8_t root[HASH_LEN];

	tree_root(&e->tree, root);
	if (exam_is_clean(e) &&
	    (memcmp(root, e->head.root, HASH_LEN) != 0 || e->next_seq != e->head.n_events + 1 ||
		e->last_ns != e->head.last_ns))
		verify_found(e->v, VERIFY_FLIPPED, e->sid, "headers",
		    "the block headers are not the ones that were signed");
}

static int
check_closed(struct exam *e)
{
	int r;

	if ((r = check_blocks(e, e->head.n_blocks)) != 0 ||
	    (r = check_extra_blocks(e, e->head.n_blocks)) != 0)
		return r;
	check_root(e);
	return 0;
}

/* Journal fragments of the growing block, in order. */
static int
take_fragment(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct exam *e = arg;
	struct growing *g = &e->v->growing;
	int r;

	(void)commit;
	(void)wall_ns;
	if (e->journal_bad || (r = growing_add(g, f)) == 0 || r == ERR_ORDER)
		return 0;
	if (r == -ENOMEM)
		return r;
	e->journal_bad = true;
	verify_found(e->v, VERIFY_FLIPPED, e->sid, "journal",
	    "events behind event %" PRIu64 " do not fit their digest",
	    g->hdr.first_seq + g->hdr.n_events - f->n_events - 1);
	return 0;
}

static int
read_growing(struct exam *e)
{
	int r;

	growing_begin(&e->v->growing, e->sid, (uint32_t)e->tree.n, e->key, e->head.partial_len);
	r = verify_journal_each(e->v, e->sid, take_fragment, e);
	if (r == ERR_FORMAT || r == ERR_VERSION || r == ERR_LIMIT) {
		verify_found(e->v, VERIFY_FLIPPED, e->sid, "journal", "the journal was changed");
		e->journal_bad = true;
		r = 0;
	}
	return r;
}

/* Behind the sealed blocks of an open session. */
static int
check_growing(struct exam *e)
{
	const struct growing *g = &e->v->growing;
	const struct block_hdr *hdr = &g->hdr;
	int r;

	if ((r = read_growing(e)) != 0 || e->journal_bad)
		return r;
	if (hdr->n_events > 0) {
		check_joint(e, hdr);
		if (e->key != NULL && events_fit(hdr, buf_ptr(g->raw), hdr->raw_len) != 0)
			verify_found(e->v, VERIFY_FLIPPED, e->sid, "journal",
			    "it does not say what its events are");
		e->v->result.n_events += hdr->n_events;
		e->v->result.raw_bytes += hdr->raw_len;
		e->next_seq = hdr->first_seq + hdr->n_events;
	}
	if (!exam_is_clean(e))
		return 0;
	if (e->head.partial_len > hdr->raw_len)
		verify_found(e->v, VERIFY_CUT, e->sid, "journal",
		    "the recording ends at event %" PRIu64 "; signed were %" PRIu64,
		    e->next_seq - 1, e->head.n_events);
	else if (growing_covers(g, &e->head, &e->tree) != 0)
		verify_found(e->v, VERIFY_FLIPPED, e->sid, "journal",
		    "its events are not the ones under the last signed head");
	return 0;
}

/* A block is under a signed head from the commit on that it came with. */
static int
check_open(struct exam *e)
{
	int r;

	if ((r = check_blocks(e, e->head.n_blocks)) != 0 ||
	    (r = check_extra_blocks(e, e->head.n_blocks)) != 0)
		return r;
	if (!exam_is_clean(e))
		return 0;
	return check_growing(e);
}

/* A signed head, of the epoch that was in force then. 0; ERR_CHAIN with a finding. */
static int
load_head(struct exam *e, const uint8_t *data, size_t len, size_t epoch, const char *place)
{
	struct verify *v = e->v;
	int r = verify_head(v, e->sid, place, epoch, data, len, &e->head);

	if (r == ERR_CHAIN)
		return r;
	if (r != 0) {
		verify_found(v, VERIFY_FLIPPED, e->sid, place, "it is not readable");
		return ERR_CHAIN;
	}
	if (memcmp(e->head.sid, e->sid, REC_SID_LEN) != 0) {
		verify_found(v, VERIFY_FOREIGN, e->sid, place, "it is another session's");
		return ERR_CHAIN;
	}
	return 0;
}

/* Of a session that is open, or whose end the log does not know: the newest. */
static size_t
newest_epoch(const struct verify *v)
{
	return v->n_epochs > 0 ? v->n_epochs - 1 : 0;
}

static size_t
epoch_of(const struct verify *v, const struct verify_known *known)
{
	if (!known->closed || v->n_epochs == 0)
		return newest_epoch(v);
	return verify_epoch_at(v, known->close_leaf);
}

static int
exam_open(struct exam *e)
{
	const uint8_t *data;
	size_t len;
	int r;

	/* Its head went with it: nothing is signed of what a stop left without an end. */
	if (e->erased)
		return 0;
	r = store_get(e->v->snap, STORE_HEAD, e->sid, REC_SID_LEN, &data, &len);
	if (r == ERR_NOT_FOUND) {
		verify_found(e->v, VERIFY_CUT, e->sid, "head",
		    "it has neither a signed head nor a signed end");
		return 0;
	}
	if (r != 0 || (r = load_head(e, data, len, newest_epoch(e->v), "head")) != 0)
		return r;
	if (e->head.state != SESS_OPEN) {
		verify_found(e->v, VERIFY_METADATA, e->sid, "head",
		    "the signed head says that it has ended, the record that it has not");
		return 0;
	}
	return check_open(e);
}

static int
exam_closed(struct exam *e, const struct sess *s, const struct verify_known *known)
{
	const struct mlog_leaf *leaf = &known->close;
	int r;

	if ((r = load_head(e, s->digest, HEAD_LEN, epoch_of(e->v, known), "end digest")) != 0)
		return r;
	if (known->closed && (e->head.state != leaf->state || e->head.n_blocks != leaf->n_blocks ||
				 e->head.n_events != leaf->n_events ||
				 memcmp(e->head.root, leaf->root, HASH_LEN) != 0))
		verify_found(e->v, VERIFY_METADATA, e->sid, "end digest",
		    "it is not the one that leaf %" PRIu64 " of the log is about",
		    known->close_leaf);
	return check_closed(e);
}

/*
 * The parts of the record against the hashes in the log. Returns whether the rest is worth looking
 * at.
 */
static bool
record_fits(struct exam *e, const struct sess *s, const struct verify_known *known)
{
	bool newer =
	    store_snap_txn(e->v->snap) != e->v->txn && s->close_leaf >= e->v->result.log_size;

	if (memcmp(s->open_hash, known->open_hash, HASH_LEN) != 0 ||
	    s->open_leaf != known->open_leaf)
		verify_found(e->v, VERIFY_METADATA, e->sid, "opening",
		    "what was written at the opening was changed: it does not fit leaf %" PRIu64,
		    known->open_leaf);
	if (known->closed && s->state == SESS_OPEN) {
		verify_found(e->v, VERIFY_METADATA, e->sid, "end",
		    "the log says that it ended, its end is not there");
		return false;
	}
	/*
	 * It may have ended after the log was read; otherwise an end that the log does not know was
	 * put there.
	 */
	if (!known->closed && s->state != SESS_OPEN && !newer) {
		verify_found(e->v, VERIFY_FOREIGN, e->sid, "end", "the log does not know its end");
		return true;
	}
	if (known->closed && (memcmp(s->close_hash, known->close.hash, HASH_LEN) != 0 ||
				 s->close_leaf != known->close_leaf))
		verify_found(e->v, VERIFY_METADATA, e->sid, "end",
		    "what was written at the end was changed: it does not fit leaf %" PRIu64,
		    known->close_leaf);
	else if (e->key != NULL && s->closed_to_us != 0)
		verify_found(e->v, VERIFY_METADATA, e->sid, "end",
		    "its private part does not open with the session's key");
	return true;
}

static int
index_has(void *arg, const uint8_t *key, size_t len)
{
	struct exam *e = arg;
	const uint8_t *data;
	size_t data_len;
	int r;

	r = store_get(e->v->snap, STORE_IX, key, len, &data, &data_len);
	if (r == ERR_NOT_FOUND)
		verify_found(e->v, VERIFY_MISSING, e->sid, "index",
		    "an index entry is missing: listings do not show the session");
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* A record that is none of this session: another's, or nobody's. */
static int
blame_record(struct exam *e)
{
	char hex[2 * REC_SID_LEN + 1];
	const uint8_t *data;
	struct sess s;
	size_t len;
	int r = store_get(e->v->snap, STORE_SESS, e->sid, REC_SID_LEN, &data, &len);

	if (r != 0 || (r = sess_parse(data, len, &s)) == -ENOMEM)
		return r;
	if (r != 0) {
		verify_found(e->v, VERIFY_METADATA, e->sid, "record", "its record is not readable");
		return 0;
	}
	verify_found(e->v, VERIFY_FOREIGN, e->sid, "record", "it is the record of session %s",
	    str_hex(hex, s.sid, REC_SID_LEN));
	sess_done(&s);
	return 0;
}

static int
exam_run(struct exam *e, const struct verify_known *known)
{
	struct verify_fate fate = { false, false };
	struct sess s;
	int r;

	r = sess_get(e->v->snap, e->sid, &s);
	if (r == ERR_NOT_FOUND) {
		verify_found(e->v, VERIFY_DELETED, e->sid, "session",
		    "leaf %" PRIu64 " of the log opened it, its record is not there",
		    known->open_leaf);
		return 0;
	}
	if (r == ERR_FORMAT || r == ERR_VERSION || r == ERR_LIMIT)
		return blame_record(e);
	if (r != 0)
		return r;
	if ((r = verify_fate(e->v, known, &fate)) == 0)
		r = verify_key(e->v, &s, &fate, &e->key);
	e->erased = fate.erased;
	e->opened_wall_ns = s.opened_wall_ns;
	if (r == 0 && record_fits(e, &s, known))
		r = s.state == SESS_OPEN ? exam_open(e) : exam_closed(e, &s, known);
	if (r == 0 || r == ERR_CHAIN)
		r = sess_index(&s, index_has, e);
	if (r == 0 && exam_is_clean(e)) {
		e->v->result.n_good++;
		e->v->result.n_open += s.state == SESS_OPEN && !e->erased;
		e->v->result.n_truncated += s.state == SESS_TRUNCATED;
		e->v->result.n_erased += e->erased && s.state != SESS_OPEN;
		e->v->result.n_erased_damaged += e->erased && s.state == SESS_OPEN;
	}
	sess_done(&s);
	return r;
}

int
verify_known_session(struct verify *v, const struct verify_known *known)
{
	struct exam e = {
		.v = v, .sid = known->sid, .next_seq = 1, .n_findings = v->result.n_findings
	};

	tree_init(&e.tree);
	v->result.n_sessions++;
	return exam_run(&e, known);
}
