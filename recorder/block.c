/*
 * Blocks: the unit that is compressed, stored, hashed and read. zstd is used here and nowhere else.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "recorder/block.h"

#define HDR_VERSION 1
#define CHECK_LEN 8 /* bytes of SHA-256 over the payload as it is stored */
#define STORED_HEAD (1 + BLOCK_SALT_LEN + CHECK_LEN)

struct block_codec_ctx {
	ZSTD_CCtx *in;
	ZSTD_DCtx *out;
	uint8_t space
	    [BLOCK_RAW_MAX]; /* here and not on the stack, where it would be cleared each time */
};

static uint8_t *
put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
	return p + 4;
}

static uint8_t *
put_u64(uint8_t *p, uint64_t v)
{
	p = put_u32(p, (uint32_t)(v >> 32));
	return put_u32(p, (uint32_t)v);
}

static uint8_t *
put_bytes(uint8_t *p, const void *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

static uint32_t
get_u32(const uint8_t **p)
{
	const uint8_t *b = *p;

	*p += 4;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t
get_u64(const uint8_t **p)
{
	uint64_t high = get_u32(p);

	return high << 32 | get_u32(p);
}

void
block_hdr_encode(const struct block_hdr *h, uint8_t ret_bytes[BLOCK_HDR_LEN])
{
	uint8_t *p = ret_bytes;

	*p++ = HDR_VERSION;
	p = put_bytes(p, h->sid, REC_SID_LEN);
	p = put_u32(p, h->block);
	p = put_u64(p, h->first_seq);
	p = put_u32(p, h->n_events);
	p = put_u64(p, h->base_ns);
	p = put_u64(p, h->last_ns);
	p = put_u64(p, h->wall_ns);
	p = put_u32(p, h->raw_len);
	(void)put_bytes(p, h->content, HASH_LEN);
}

int
block_hdr_parse(const uint8_t *data, size_t len, struct block_hdr *ret_hdr)
{
	struct block_hdr h;
	const uint8_t *p = data;

	if (len != BLOCK_HDR_LEN)
		return ERR_FORMAT;
	if (*p++ != HDR_VERSION)
		return ERR_VERSION;
	memcpy(h.sid, p, REC_SID_LEN);
	p += REC_SID_LEN;
	h.block = get_u32(&p);
	h.first_seq = get_u64(&p);
	h.n_events = get_u32(&p);
	h.base_ns = get_u64(&p);
	h.last_ns = get_u64(&p);
	h.wall_ns = get_u64(&p);
	h.raw_len = get_u32(&p);
	memcpy(h.content, p, HASH_LEN);
	if (h.raw_len > BLOCK_RAW_MAX || h.n_events == 0 || h.base_ns > h.last_ns)
		return ERR_FORMAT;
	*ret_hdr = h;
	return 0;
}

void
block_key(const uint8_t sid[REC_SID_LEN], uint32_t block, uint8_t ret_key[BLOCK_KEY_LEN])
{
	(void)put_u32(put_bytes(ret_key, sid, REC_SID_LEN), block);
}

void
block_content(
    const uint8_t salt[BLOCK_SALT_LEN], const void *raw, size_t len, uint8_t ret_hash[HASH_LEN])
{
	hash_sha256_parts(salt, BLOCK_SALT_LEN, raw, len, NULL, 0, ret_hash);
}

struct block_codec_ctx *
block_codec_new(void)
{
	struct block_codec_ctx *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->in = ZSTD_createCCtx();
	c->out = ZSTD_createDCtx();
	if (c->in == NULL || c->out == NULL) {
		block_codec_free(c);
		return NULL;
	}
	return c;
}

void
block_codec_free(struct block_codec_ctx *c)
{
	if (c == NULL)
		return;
	(void)ZSTD_freeCCtx(c->in);
	(void)ZSTD_freeDCtx(c->out);
	free(c);
}

int
block_seal(struct block_codec_ctx *c, const uint8_t salt[BLOCK_SALT_LEN], const void *raw,
    size_t len, struct buf *out)
{
	uint8_t check[HASH_LEN];
	const void *payload = c->space;
	uint8_t *p;
	size_t n;
	int r;

	if (len > BLOCK_RAW_MAX)
		return ERR_LIMIT;
	/* Room for less than the input only: what does not shrink is kept as it is. */
	n = len > 1 ? ZSTD_compressCCtx(c->in, c->space, len - 1, raw, len, BLOCK_ZSTD_LEVEL) : 0;
	if (n == 0 || ZSTD_isError(n)) {
		payload = raw;
		n = len;
	}
	if ((r = buf_reserve(out, STORED_HEAD + n, &p)) != 0)
		return r;
	p[0] = payload == raw ? BLOCK_RAW : BLOCK_ZSTD;
	memcpy(p + 1, salt, BLOCK_SALT_LEN);
	hash_sha256(payload, n, check);
	memcpy(p + 1 + BLOCK_SALT_LEN, check, CHECK_LEN);
	memcpy(p + STORED_HEAD, payload, n);
	return 0;
}

int
block_unseal(struct block_codec_ctx *c, const uint8_t *stored, size_t len, size_t raw_len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	uint8_t check[HASH_LEN];
	const uint8_t *payload = stored + STORED_HEAD;
	int r;

	if (len < STORED_HEAD || raw_len > BLOCK_RAW_MAX)
		return ERR_FORMAT;
	if (stored[0] > BLOCK_ZSTD)
		return ERR_VERSION;
	len -= STORED_HEAD;
	/*
	 * Some changes of the packed bytes unpack to the same events: they are damage all the same.
	 */
	hash_sha256(payload, len, check);
	if (memcmp(check, stored + 1 + BLOCK_SALT_LEN, CHECK_LEN) != 0)
		return ERR_FORMAT;
	if (stored[0] == BLOCK_RAW) {
		if (len != raw_len)
			return ERR_FORMAT;
	} else {
		/* A frame that says more than raw_len, or lies, does not fit the destination. */
		if (ZSTD_decompressDCtx(c->out, c->space, raw_len, payload, len) != raw_len)
			return ERR_FORMAT;
		payload = c->space;
	}
	if ((r = buf_put(out, payload, raw_len)) == 0)
		memcpy(ret_salt, stored + 1, BLOCK_SALT_LEN);
	return r;
}

int
block_get_hdr(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], uint32_t block,
    struct block_hdr *ret_hdr)
{
	uint8_t key[BLOCK_KEY_LEN];
	struct block_hdr h;
	const uint8_t *data;
	size_t len;
	int r;

	block_key(sid, block, key);
	if ((r = store_get(snap, STORE_HDR, key, sizeof(key), &data, &len)) != 0 ||
	    (r = block_hdr_parse(data, len, &h)) != 0)
		return r;
	if (h.block != block || memcmp(h.sid, sid, REC_SID_LEN) != 0)
		return ERR_CHAIN;
	*ret_hdr = h;
	return 0;
}

int
block_get_raw(struct store_snap *snap, struct block_codec_ctx *c, const struct block_hdr *hdr,
    struct buf *out, uint8_t ret_salt[BLOCK_SALT_LEN])
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	uint8_t key[BLOCK_KEY_LEN], hash[HASH_LEN], salt[BLOCK_SALT_LEN];
	size_t before = buf_len(out);
	int r = -ENOMEM;

	if (stored == NULL)
		return r;
	block_key(hdr->sid, hdr->block, key);
	if ((r = store_get_pieces(snap, STORE_BLK, key, sizeof(key), stored)) != 0 ||
	    (r = block_unseal(c, buf_ptr(stored), buf_len(stored), hdr->raw_len, salt, out)) != 0)
		goto out;
	block_content(salt, buf_ptr(out) + before, hdr->raw_len, hash);
	r = memcmp(hash, hdr->content, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
	if (r == 0)
		memcpy(ret_salt, salt, sizeof(salt));
out:
	buf_free(stored);
	return r;
}
