/*
 * Blocks: the unit that is compressed, stored, hashed and read. zstd is used here and nowhere else.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "lib/clock.h"
#include "recorder/block.h"
#include "recorder/block_columns.h"
#include "recorder/block_dict.h"

#define HDR_VERSION 2
#define STORED_HEAD (1 + BLOCK_SALT_LEN) /* bytes before the payload, once the envelope is open */

struct block_codec_ctx {
	ZSTD_CCtx *in;
	ZSTD_DCtx *out;
	ZSTD_DDict *dict;
	uint64_t saved_ns, saved_at_ns; /* for the better level; since when */
	/* here and not on the stack, where it would be cleared each time */
	uint8_t space[BLOCK_RAW_MAX + COLUMNS_EXTRA];
	uint8_t columns[BLOCK_RAW_MAX + COLUMNS_EXTRA];
	uint8_t plain[BLOCK_SALT_LEN + BLOCK_RAW_MAX];
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
	p = put_bytes(p, h->content, HASH_LEN);
	(void)put_bytes(p, h->stored, HASH_LEN);
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
	memcpy(h.stored, p + HASH_LEN, HASH_LEN);
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
	c->dict = ZSTD_createDDict(block_dict, BLOCK_DICT_LEN);
	if (c->in == NULL || c->out == NULL || c->dict == NULL) {
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
	(void)ZSTD_freeDDict(c->dict);
	free(c);
}

/* There is room for less than the input only: what does not shrink is kept as it is. */
static size_t
pack(struct block_codec_ctx *c, const void *raw, size_t len, uint8_t codec, int level)
{
	size_t n = 0;

	if (codec == BLOCK_ZSTD)
		return ZSTD_compressCCtx(c->in, c->space, len - 1, raw, len, level);
	if (columns_split(raw, len, c->columns, &n) != 0)
		return 0;
	return ZSTD_compress_usingDict(
	    c->in, c->space, len - 1, c->columns, n, block_dict, BLOCK_DICT_LEN, level);
}

/*
 * Small as long as there is time for it: the better way takes eight times as long, so it may take at most one
 * twentieth of the time that goes by, saved up for a burst. Whatever the way, the events' hash is the same.
 */
static size_t
compress(struct block_codec_ctx *c, const void *raw, size_t len, uint8_t *ret_codec)
{
	uint64_t now = clock_boot_ns(), took;
	uint64_t saved = c->saved_ns + (now - c->saved_at_ns) / BLOCK_SHARE;
	bool small;
	size_t n;

	if (c->saved_at_ns == 0 || saved > BLOCK_SAVED_NS)
		saved = BLOCK_SAVED_NS;
	small = saved >= BLOCK_SMALL_NS;
	*ret_codec = small || len <= BLOCK_SHORT ? BLOCK_COLUMNS : BLOCK_ZSTD;
	n = pack(c, raw, len, *ret_codec, small ? BLOCK_ZSTD_SMALL : BLOCK_ZSTD_LEVEL);
	c->saved_at_ns = now;
	took = small ? clock_boot_ns() - now : 0;
	c->saved_ns = saved - (took < saved ? took : saved);
	return n;
}

int
block_seal(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const uint8_t sid[REC_SID_LEN], uint32_t block, const uint8_t salt[BLOCK_SALT_LEN],
    const void *raw, size_t len, struct buf *out)
{
	const void *payload = c->space;
	uint8_t codec = BLOCK_RAW, *p;
	size_t n;
	int r;

	if (len > BLOCK_RAW_MAX)
		return ERR_LIMIT;
	n = len > 1 ? compress(c, raw, len, &codec) : 0;
	if (n == 0 || ZSTD_isError(n)) {
		codec = BLOCK_RAW;
		payload = raw;
		n = len;
	}
	if ((r = buf_reserve(out, STORED_HEAD + n + CRYPT_TAG_LEN, &p)) != 0)
		return r;
	p[0] = codec;
	memcpy(p + 1, salt, BLOCK_SALT_LEN);
	memcpy(p + STORED_HEAD, payload, n);
	crypt_seal(
	    key, sid, (struct crypt_place){ CRYPT_BLOCK, block, 0 }, p + 1, BLOCK_SALT_LEN + n);
	return 0;
}

/* A frame that says more than max, or lies, does not fit the destination. */
static int
unpack(struct block_codec_ctx *c, uint8_t codec, const uint8_t *payload, size_t len, size_t max,
    const uint8_t **ret_events, size_t *ret_len)
{
	bool columns = codec == BLOCK_COLUMNS;
	size_t n = ZSTD_decompress_usingDDict(c->out, c->space, max + (columns ? COLUMNS_EXTRA : 0),
	    payload, len, columns ? c->dict : NULL);

	if (ZSTD_isError(n))
		return ERR_FORMAT;
	*ret_events = columns ? c->columns : c->space;
	*ret_len = n;
	return columns ? columns_join(c->space, n, c->columns, max, ret_len) : 0;
}

/* One envelope: salt and payload. */
/* Decrypted and unpacked, at most max bytes of events; *ret_events: borrowed from c. */
static int
unseal_payload(struct block_codec_ctx *c, const uint8_t *key, const struct block_hdr *hdr,
    const uint8_t *stored, size_t len, size_t max, const uint8_t **ret_events, size_t *ret_len)
{
	const uint8_t *payload = c->plain + BLOCK_SALT_LEN;
	int r;

	if (len < STORED_HEAD + CRYPT_TAG_LEN || len - 1 > sizeof(c->plain) + CRYPT_TAG_LEN)
		return ERR_FORMAT;
	r = crypt_open(key, hdr->sid, (struct crypt_place){ CRYPT_BLOCK, hdr->block, 0 },
	    stored + 1, len - 1, c->plain);
	if (r != 0)
		return r;
	len -= STORED_HEAD + CRYPT_TAG_LEN;
	if (stored[0] == BLOCK_RAW) {
		if (len > max)
			return ERR_FORMAT;
		*ret_events = payload;
		*ret_len = len;
		return 0;
	}
	return unpack(c, stored[0], payload, len, max, ret_events, ret_len);
}

static int
unseal_whole(struct block_codec_ctx *c, const uint8_t *key, const struct block_hdr *hdr,
    const uint8_t *stored, size_t len, uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	const uint8_t *events;
	size_t n;
	int r = unseal_payload(c, key, hdr, stored, len, hdr->raw_len, &events, &n);

	if (r == 0 && n != hdr->raw_len)
		r = ERR_FORMAT;
	if (r == 0 && (r = buf_put(out, events, n)) == 0)
		memcpy(ret_salt, c->plain, BLOCK_SALT_LEN);
	return r;
}

int
block_unseal_any(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, const uint8_t *stored, size_t len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	const uint8_t *events;
	size_t n;
	int r;

	if (len == 0 || stored[0] == BLOCK_FRAGMENTS || stored[0] > BLOCK_COLUMNS)
		return ERR_FORMAT;
	r = unseal_payload(c, key, hdr, stored, len, BLOCK_RAW_MAX, &events, &n);
	if (r == 0 && (r = buf_put(out, events, n)) == 0)
		memcpy(ret_salt, c->plain, BLOCK_SALT_LEN);
	return r;
}

/* The next of the fragments at *p. *off: bytes of events before it. The first one begins with the salt. */
static int
unseal_fragment(struct block_codec_ctx *c, const uint8_t *key, const struct block_hdr *hdr,
    const uint8_t **p, const uint8_t *end, uint32_t *off, uint8_t ret_salt[BLOCK_SALT_LEN],
    struct buf *out)
{
	size_t head = *off == 0 ? BLOCK_SALT_LEN : 0;
	uint32_t len;
	int r;

	if (end - *p < 4)
		return ERR_FORMAT;
	len = get_u32(p);
	if (len > (size_t)(end - *p) || len <= head + CRYPT_TAG_LEN ||
	    len - head - CRYPT_TAG_LEN > hdr->raw_len - *off)
		return ERR_FORMAT;
	r = crypt_open(key, hdr->sid, (struct crypt_place){ CRYPT_JOURNAL, hdr->block, *off }, *p,
	    len, c->plain);
	if (r != 0)
		return r;
	*p += len;
	len -= (uint32_t)(head + CRYPT_TAG_LEN);
	if ((r = buf_put(out, c->plain + head, len)) != 0)
		return r;
	if (head > 0)
		memcpy(ret_salt, c->plain, BLOCK_SALT_LEN);
	*off += len;
	return 0;
}

static int
unseal_fragments(struct block_codec_ctx *c, const uint8_t *key, const struct block_hdr *hdr,
    const uint8_t *stored, size_t len, uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	const uint8_t *p = stored + 1, *end = stored + len;
	uint32_t off = 0;
	int r;

	do
		r = unseal_fragment(c, key, hdr, &p, end, &off, ret_salt, out);
	while (r == 0 && p < end);
	if (r == 0 && off != hdr->raw_len)
		r = ERR_FORMAT;
	return r;
}

int
block_unseal(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, const uint8_t *stored, size_t len,
    uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	if (len == 0 || hdr->raw_len > BLOCK_RAW_MAX)
		return ERR_FORMAT;
	if (stored[0] > BLOCK_COLUMNS)
		return ERR_VERSION;
	return (stored[0] == BLOCK_FRAGMENTS ? unseal_fragments : unseal_whole)(
	    c, key, hdr, stored, len, ret_salt, out);
}

int
block_open(struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN], const struct block_hdr *hdr,
    const uint8_t *stored, size_t len, uint8_t ret_salt[BLOCK_SALT_LEN], struct buf *out)
{
	uint8_t hash[HASH_LEN], salt[BLOCK_SALT_LEN];
	size_t before = buf_len(out);
	int r;

	hash_sha256(stored, len, hash);
	if (memcmp(hash, hdr->stored, HASH_LEN) != 0)
		return ERR_CHAIN;
	if ((r = block_unseal(c, key, hdr, stored, len, salt, out)) != 0)
		return r;
	block_content(salt, buf_ptr(out) + before, hdr->raw_len, hash);
	if (memcmp(hash, hdr->content, HASH_LEN) != 0)
		return ERR_CHAIN;
	memcpy(ret_salt, salt, sizeof(salt));
	return 0;
}
