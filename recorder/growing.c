/* Fragments, one after the other. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "recorder/growing.h"

int
growing_init(struct growing *g, bool keep)
{
	*g = (struct growing){ .raw = buf_new(BLOCK_SALT_LEN + BLOCK_RAW_MAX),
		.stored = keep ? buf_new(BLOCK_STORED_MAX) : NULL,
		.content = hash_new(),
		.envelopes = hash_new(),
		.peek = hash_new() };
	if (g->raw != NULL && (!keep || g->stored != NULL) && g->content != NULL &&
	    g->envelopes != NULL && g->peek != NULL)
		return 0;
	growing_done(g);
	return -ENOMEM;
}

void
growing_done(struct growing *g)
{
	buf_free(g->raw);
	buf_free(g->stored);
	hash_free(g->content);
	hash_free(g->envelopes);
	hash_free(g->peek);
	*g = (struct growing){ .key = NULL };
}

void
growing_begin(struct growing *g, const uint8_t sid[REC_SID_LEN], uint32_t block, const uint8_t *key,
    uint32_t mark)
{
	g->hdr = (struct block_hdr){ .block = block };
	memcpy(g->hdr.sid, sid, REC_SID_LEN);
	g->key = key;
	g->mark = mark;
	g->marked = false;
	buf_reset(g->raw);
	if (g->stored != NULL)
		buf_reset(g->stored);
}

/* The envelope itself, which needs no key. */
static int
add_envelope(struct growing *g, const struct fragment *f)
{
	uint8_t hash[HASH_LEN];
	int r;

	if (f->flags == FRAGMENT_FIRST)
		hash_begin(g->envelopes);
	hash_add(g->envelopes, f->data, f->len);
	if ((r = hash_copy(g->peek, g->envelopes)) != 0)
		return r;
	hash_end(g->peek, hash);
	if (g->hdr.raw_len == g->mark)
		memcpy(g->mark_envelopes, hash, HASH_LEN);
	if (g->stored != NULL &&
	    ((f->flags == FRAGMENT_FIRST && (r = buf_put_u8(g->stored, BLOCK_FRAGMENTS)) != 0) ||
		(r = buf_put_str(g->stored, f->data, f->len)) != 0))
		return r;
	return memcmp(hash, f->check, JOURNAL_CHECK_LEN) == 0 ? 0 : ERR_CHAIN;
}

/* What is in it. Before the first events raw has the salt for a moment. */
static int
add_events(struct growing *g, const struct fragment *f)
{
	uint8_t *plain, hash[HASH_LEN];
	int r;

	if ((r = buf_reserve(g->raw, f->len - CRYPT_TAG_LEN, &plain)) != 0)
		return r;
	r = crypt_open(g->key, f->sid, (struct crypt_place){ CRYPT_JOURNAL, f->block, f->off },
	    f->data, f->len, plain);
	if (f->flags == FRAGMENT_FIRST) {
		memcpy(g->salt, plain, BLOCK_SALT_LEN);
		hash_begin(g->content);
		hash_add(g->content, g->salt, BLOCK_SALT_LEN);
		plain += BLOCK_SALT_LEN;
		if (r == 0)
			r = buf_skip(g->raw, BLOCK_SALT_LEN);
	}
	if (r != 0)
		return r;
	hash_add(g->content, plain, f->len - FRAGMENT_EXTRA(f->flags));
	if ((r = hash_copy(g->peek, g->content)) != 0)
		return r;
	hash_end(g->peek, hash);
	return memcmp(hash, f->content, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
}

int
growing_add(struct growing *g, const struct fragment *f)
{
	struct block_hdr *hdr = &g->hdr;
	int r, r_events = 0;

	if (f->block != hdr->block || f->off != hdr->raw_len ||
	    memcmp(f->sid, hdr->sid, REC_SID_LEN) != 0)
		return ERR_ORDER;
	if (f->flags == FRAGMENT_FIRST) {
		hdr->first_seq = f->first_seq;
		hdr->base_ns = hdr->last_ns = f->base_ns;
	}
	if (f->last_ns < hdr->last_ns)
		return ERR_CHAIN;
	hdr->raw_len += (uint32_t)(f->len - FRAGMENT_EXTRA(f->flags));
	hdr->n_events += f->n_events;
	hdr->last_ns = f->last_ns;
	memcpy(hdr->content, f->content, HASH_LEN);
	r = add_envelope(g, f);
	if ((r == 0 || r == ERR_CHAIN) && g->key != NULL)
		r_events = add_events(g, f);
	if (g->mark != 0 && hdr->raw_len == g->mark) {
		memcpy(g->mark_content, f->content, HASH_LEN);
		g->marked = true;
	}
	return r != 0 ? r : r_events;
}

void
growing_finish(struct growing *g)
{
	if (g->stored != NULL && buf_len(g->stored) > 0)
		hash_sha256(buf_ptr(g->stored), buf_len(g->stored), g->hdr.stored);
}

int
growing_covers(const struct growing *g, const struct head *h, const struct tree *sealed)
{
	return head_covers(
	    h, sealed, g->marked ? g->mark_content : NULL, g->marked ? g->mark_envelopes : NULL);
}
