/*
 * Walking through a session: sealed blocks by number, then the fragments of the block that is still
 * growing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "recorder/block.h"
#include "recorder/fate.h"
#include "recorder/growing.h"
#include "recorder/journal.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"

struct recording {
	struct store_snap *snap;
	uint8_t sid[REC_SID_LEN];
	struct secret *key; /* NULL: opened for the stored form */
	struct block_codec_ctx *codec;
	uint32_t block;	   /* number of the block that we are in */
	size_t off;	   /* bytes of it that were given out */
	uint64_t next_seq; /* of the event at off */
	uint64_t at_ns;	   /* of the event before it */
	struct buf *raw;   /* a block that is sealed */
	struct growing growing;
	bool has_growing; /* growing is about growing_block */
	uint32_t growing_block;
	uint64_t
	    next_commit; /* journal records before this one tell nothing new of it, and nothing of later blocks */
};

void
recording_close(struct recording *rec)
{
	if (rec == NULL)
		return;
	buf_free(rec->raw);
	growing_done(&rec->growing);
	block_codec_free(rec->codec);
	secret_free(rec->key);
	free(rec);
}

static void
recording_at(struct recording *rec, uint32_t block, uint64_t next_seq, uint64_t at_ns)
{
	rec->block = block;
	rec->off = 0;
	rec->next_seq = next_seq;
	rec->at_ns = at_ns;
}

static int
recording_new(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], bool sealed,
    struct recording **ret_rec)
{
	struct recording *rec = calloc(1, sizeof(*rec));
	int r = -ENOMEM;

	if (rec == NULL)
		return r;
	rec->snap = snap;
	memcpy(rec->sid, sid, REC_SID_LEN);
	rec->codec = block_codec_new();
	rec->raw = buf_new(BLOCK_RAW_MAX);
	if (!sealed)
		rec->key = secret_new(CRYPT_KEY_LEN);
	if (rec->codec != NULL && rec->raw != NULL && (sealed || rec->key != NULL))
		r = growing_init(&rec->growing, sealed);
	if (r == 0 && !sealed)
		r = seskey_get(snap, sid, secret_ptr(rec->key));
	if (r != 0) {
		recording_close(rec);
		return r;
	}
	recording_at(rec, 0, 1, 0);
	*ret_rec = rec;
	return 0;
}

static int
recording_open_as(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], bool sealed,
    struct recording **ret_rec)
{
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len)) != 0)
		return r;
	return recording_new(snap, sid, sealed, ret_rec);
}

int
recording_open(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec)
{
	return recording_open_as(snap, sid, false, ret_rec);
}

int
recording_open_sealed(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec)
{
	return recording_open_as(snap, sid, true, ret_rec);
}

/* The rest of a sealed block, from where the journal had brought us. */
static int
sealed_part(struct recording *rec, const struct block_hdr *hdr, struct recording_part *ret_part)
{
	uint8_t salt[BLOCK_SALT_LEN];
	int r;

	buf_reset(rec->raw);
	r = block_get_raw(rec->snap, rec->codec, secret_cptr(rec->key), hdr, rec->raw, salt);
	if (r != 0)
		return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
	if (rec->off > hdr->raw_len)
		return ERR_CHAIN;
	*ret_part = (struct recording_part){
		.data = buf_ptr(rec->raw) + rec->off,
		.len = hdr->raw_len - rec->off,
		.first_seq = rec->off > 0 ? rec->next_seq : hdr->first_seq,
		.base_ns = rec->off > 0 ? rec->at_ns : hdr->base_ns,
		.block = hdr->block,
	};
	return 0;
}

static int
take_fragment(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct recording *rec = arg;
	int r = growing_add(&rec->growing, f);

	(void)commit;
	(void)wall_ns;
	return r == ERR_ORDER ? 0 : r;
}

/* Of what the journal has, only what came since is read: a block begins in it after the one before it was sealed. */
static void
begin_growing(struct recording *rec)
{
	if (!rec->has_growing || rec->block < rec->growing_block)
		rec->next_commit = 0;
	growing_begin(&rec->growing, rec->sid, rec->block,
	    rec->key != NULL ? secret_cptr(rec->key) : NULL, 0);
	rec->growing_block = rec->block;
	rec->has_growing = true;
}

/* Bring growing up to date with the journal. 0 also when there was nothing. */
static int
read_journal(struct recording *rec)
{
	uint64_t first, last;
	int r;

	if (!rec->has_growing || rec->block != rec->growing_block)
		begin_growing(rec);
	r = journal_bounds(rec->snap, &first, &last);
	if (r == ERR_NOT_FOUND)
		return 0;
	if (r != 0)
		return r;
	if (first < rec->next_commit)
		first = rec->next_commit;
	if ((r = journal_each(rec->snap, first, last, take_fragment, rec)) == 0)
		rec->next_commit = last + 1;
	else
		rec->has_growing = false;
	return r;
}

static int
growing_part(struct recording *rec, struct recording_part *ret_part)
{
	const struct block_hdr *hdr = &rec->growing.hdr;
	int r;

	if ((r = read_journal(rec)) != 0)
		return r;
	if (hdr->raw_len <= rec->off)
		return ERR_NOT_FOUND;
	*ret_part = (struct recording_part){
		.data = buf_ptr(rec->growing.raw) + rec->off,
		.len = hdr->raw_len - rec->off,
		.first_seq = rec->off > 0 ? rec->next_seq : hdr->first_seq,
		.base_ns = rec->off > 0 ? rec->at_ns : hdr->base_ns,
		.block = rec->block,
	};
	rec->off = hdr->raw_len;
	rec->next_seq = hdr->first_seq + hdr->n_events;
	rec->at_ns = hdr->last_ns;
	return 0;
}

/* What is not there any more because the session was erased meanwhile is no damage. */
static int
blame(const struct recording *rec, int r)
{
	struct fate fate;

	if ((r == ERR_CHAIN || r == ERR_FORMAT) && fate_get(rec->snap, rec->sid, &fate) == 0 &&
	    (fate.flags & FATE_ERASED) != 0)
		return ERR_ERASED;
	return r;
}

static int
next_part(struct recording *rec, struct recording_part *ret_part)
{
	struct recording_part part;
	struct block_hdr hdr;
	int r;

	for (;;) {
		r = block_get_hdr(rec->snap, rec->sid, rec->block, &hdr);
		if (r == ERR_NOT_FOUND)
			return growing_part(rec, ret_part);
		if (r != 0 || (r = sealed_part(rec, &hdr, &part)) != 0)
			return r;
		/* raw keeps the bytes of the part until the next call. */
		recording_at(rec, hdr.block + 1, hdr.first_seq + hdr.n_events, hdr.last_ns);
		if (part.len > 0) {
			*ret_part = part;
			return 0;
		}
	}
}

int
recording_next(struct recording *rec, struct recording_part *ret_part)
{
	return blame(rec, next_part(rec, ret_part));
}

static int
growing_sealed(struct recording *rec, struct block_hdr *ret_hdr, struct buf *out)
{
	struct growing *g = &rec->growing;
	int r;

	if ((r = read_journal(rec)) != 0)
		return r;
	if (g->hdr.raw_len <= rec->off)
		return ERR_NOT_FOUND;
	growing_finish(g);
	if ((r = buf_put(out, buf_ptr(g->stored), buf_len(g->stored))) != 0)
		return r;
	rec->off = g->hdr.raw_len;
	*ret_hdr = g->hdr;
	return 0;
}

int
recording_next_sealed(struct recording *rec, struct block_hdr *ret_hdr, struct buf *out)
{
	struct block_hdr hdr;
	int r;

	buf_reset(out);
	r = block_get_hdr(rec->snap, rec->sid, rec->block, &hdr);
	if (r == ERR_NOT_FOUND)
		return growing_sealed(rec, ret_hdr, out);
	if (r != 0)
		return r;
	if ((r = block_get_stored(rec->snap, &hdr, out)) != 0)
		return blame(rec, r == ERR_NOT_FOUND ? ERR_CHAIN : r);
	recording_at(rec, hdr.block + 1, hdr.first_seq + hdr.n_events, hdr.last_ns);
	*ret_hdr = hdr;
	return 0;
}

/* Number of sealed blocks: one more than the last header's. */
static int
count_sealed(struct recording *rec, uint32_t *ret_n)
{
	uint8_t key[BLOCK_KEY_LEN];
	struct block_hdr hdr;
	struct store_iter *it;
	struct store_item item;
	int r;

	block_key(rec->sid, UINT32_MAX, key);
	if ((r = store_iter_new(rec->snap, STORE_HDR, key, sizeof(key), true, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	if (r == ERR_NOT_FOUND || (r == 0 && (item.key_len != sizeof(key) ||
						 memcmp(item.key, rec->sid, REC_SID_LEN) != 0))) {
		*ret_n = 0;
		r = 0;
	} else if (r == 0 && (r = block_hdr_parse(item.data, item.len, &hdr)) == 0) {
		*ret_n = hdr.block + 1;
	}
	store_iter_free(it);
	return r;
}

int
recording_seek(struct recording *rec, uint64_t at_ns)
{
	struct block_hdr hdr;
	uint32_t low = 0, high;
	int r;

	if ((r = count_sealed(rec, &high)) != 0)
		return r;
	/* The first block whose last event is not before at_ns. */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if ((r = block_get_hdr(rec->snap, rec->sid, mid, &hdr)) != 0)
			return r == ERR_NOT_FOUND ? ERR_CHAIN : r;
		if (hdr.last_ns < at_ns)
			low = mid + 1;
		else
			high = mid;
	}
	recording_at(rec, low, 1, 0);
	return 0;
}

void
recording_back(struct recording *rec, uint32_t n_blocks, uint32_t near_blocks)
{
	bool start = rec->block <= n_blocks || rec->block <= near_blocks;

	recording_at(rec, start ? 0 : rec->block - n_blocks, 1, 0);
}
