/*
 * Walking through a session: sealed blocks by number, then the fragments of the block that is still
 * growing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/block.h"
#include "recorder/journal.h"
#include "recorder/recording.h"

struct recording {
	struct store_snap *snap;
	uint8_t sid[REC_SID_LEN];
	struct block_codec_ctx *codec;
	uint32_t block;	   /* number of the block that we are in */
	size_t off;	   /* bytes of it that were given out */
	uint64_t next_seq; /* of the event at off */
	uint64_t at_ns;	   /* of the event before it */
	struct buf *raw; /* the block: all of it when sealed, else what the journal had up to now */
	/* of the growing block */
	struct hash *hash, *peek;
	uint8_t salt[BLOCK_SALT_LEN];
	uint64_t next_commit; /* journal records before this one have been read for this block */
	uint32_t n_events;    /* in raw */
	uint64_t first_seq, base_ns, last_ns;
};

void
recording_close(struct recording *rec)
{
	if (rec == NULL)
		return;
	buf_free(rec->raw);
	hash_free(rec->hash);
	hash_free(rec->peek);
	block_codec_free(rec->codec);
	free(rec);
}

static void
recording_at(struct recording *rec, uint32_t block, uint64_t next_seq, uint64_t at_ns)
{
	rec->block = block;
	rec->off = 0;
	rec->next_seq = next_seq;
	rec->at_ns = at_ns;
	rec->next_commit = 0;
	rec->n_events = 0;
	buf_reset(rec->raw);
}

int
recording_open(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec)
{
	struct recording *rec;
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len)) != 0)
		return r;
	if ((rec = calloc(1, sizeof(*rec))) == NULL)
		return -ENOMEM;
	rec->snap = snap;
	memcpy(rec->sid, sid, REC_SID_LEN);
	rec->codec = block_codec_new();
	rec->raw = buf_new(BLOCK_RAW_MAX);
	rec->hash = hash_new();
	rec->peek = hash_new();
	if (rec->codec == NULL || rec->raw == NULL || rec->hash == NULL || rec->peek == NULL) {
		recording_close(rec);
		return -ENOMEM;
	}
	recording_at(rec, 0, 1, 0);
	*ret_rec = rec;
	return 0;
}

/* The rest of a sealed block, from where the journal had brought us. */
static int
sealed_part(struct recording *rec, const struct block_hdr *hdr, struct recording_part *ret_part)
{
	uint8_t salt[BLOCK_SALT_LEN];
	int r;

	buf_reset(rec->raw);
	r = block_get_raw(rec->snap, rec->codec, hdr, rec->raw, salt);
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

/*
 * Takes what the journal says about our block and follows what we have; anything else is not ours
 * or known already.
 */
static int
take_fragment(void *arg, uint64_t commit, uint64_t wall_ns, const struct fragment *f)
{
	struct recording *rec = arg;
	uint8_t content[HASH_LEN];
	int r;

	(void)commit;
	(void)wall_ns;
	if (f->block != rec->block || memcmp(f->sid, rec->sid, REC_SID_LEN) != 0 ||
	    f->off != buf_len(rec->raw))
		return 0;
	if (f->flags == FRAGMENT_FIRST) {
		memcpy(rec->salt, f->salt, sizeof(rec->salt));
		rec->first_seq = f->first_seq;
		rec->base_ns = f->base_ns;
		hash_begin(rec->hash);
		hash_add(rec->hash, f->salt, BLOCK_SALT_LEN);
	}
	hash_add(rec->hash, f->data, f->len);
	if ((r = hash_copy(rec->peek, rec->hash)) != 0)
		return r;
	hash_end(rec->peek, content);
	if (memcmp(content, f->content, HASH_LEN) != 0)
		return ERR_CHAIN;
	if ((r = buf_put(rec->raw, f->data, f->len)) != 0)
		return r;
	rec->n_events += f->n_events;
	rec->last_ns = f->last_ns;
	return 0;
}

/* Bring raw up to date with the journal. 0 also when there was nothing. */
static int
read_journal(struct recording *rec)
{
	uint64_t first, last;
	int r;

	r = journal_bounds(rec->snap, &first, &last);
	if (r == ERR_NOT_FOUND)
		return 0;
	if (r != 0)
		return r;
	if (first < rec->next_commit)
		first = rec->next_commit;
	if ((r = journal_each(rec->snap, first, last, take_fragment, rec)) == 0)
		rec->next_commit = last + 1;
	return r;
}

static int
growing_part(struct recording *rec, struct recording_part *ret_part)
{
	int r;

	/* Nothing read for this block yet: raw still holds the one before it. */
	if (rec->next_commit == 0)
		buf_reset(rec->raw);
	if ((r = read_journal(rec)) != 0)
		return r;
	if (buf_len(rec->raw) <= rec->off)
		return ERR_NOT_FOUND;
	*ret_part = (struct recording_part){
		.data = buf_ptr(rec->raw) + rec->off,
		.len = buf_len(rec->raw) - rec->off,
		.first_seq = rec->off > 0 ? rec->next_seq : rec->first_seq,
		.base_ns = rec->off > 0 ? rec->at_ns : rec->base_ns,
		.block = rec->block,
	};
	rec->off = buf_len(rec->raw);
	rec->next_seq = rec->first_seq + rec->n_events;
	rec->at_ns = rec->last_ns;
	return 0;
}

int
recording_next(struct recording *rec, struct recording_part *ret_part)
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
		rec->block = hdr.block + 1;
		rec->off = 0;
		rec->next_seq = hdr.first_seq + hdr.n_events;
		rec->at_ns = hdr.last_ns;
		rec->next_commit = 0;
		rec->n_events = 0;
		if (part.len > 0) {
			*ret_part = part;
			return 0;
		}
	}
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
