/* Values of derived data, into their envelopes and out of them. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zstd.h>

#include "recorder/derived_value.h"
#include "recorder/screen.h"

#define VALUE_MAX (SCREEN_PAINT_MAX + 65536u)	 /* bytes of one value, opened */
#define WRAPPED_MAX (SCREEN_PAINT_MAX + 131072u) /* and in its envelope */
#define ZSTD_LEVEL 3

struct derived_value {
	struct buf *value, *plain, *wrapped;
	ZSTD_CCtx *pack; /* of who writes */
	ZSTD_DCtx *unpack;
	uint8_t *folded; /* of who writes: CHUNK_TEXT_MAX */
};

void
derived_key_done(struct derived_key *k)
{
	sodium_memzero(k, sizeof(*k));
}

void
derived_value_free(struct derived_value *v)
{
	if (v == NULL)
		return;
	buf_free(v->value);
	buf_free(v->plain);
	buf_free(v->wrapped);
	ZSTD_freeCCtx(v->pack);
	ZSTD_freeDCtx(v->unpack);
	free(v->folded);
	free(v);
}

struct derived_value *
derived_value_new(bool write)
{
	struct derived_value *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->value = buf_new(VALUE_MAX);
	v->plain = buf_new(VALUE_MAX);
	v->wrapped = buf_new(WRAPPED_MAX);
	v->unpack = ZSTD_createDCtx();
	if (write) {
		v->pack = ZSTD_createCCtx();
		v->folded = malloc(CHUNK_TEXT_MAX);
	}
	if (v->value != NULL && v->plain != NULL && v->wrapped != NULL && v->unpack != NULL &&
	    (!write || (v->pack != NULL && v->folded != NULL)))
		return v;
	derived_value_free(v);
	return NULL;
}

struct buf *
derived_value_buf(struct derived_value *v)
{
	return v->value;
}

struct buf *
derived_value_plain(struct derived_value *v)
{
	return v->plain;
}

int
derived_value_begin(struct derived_value *v, enum sderived_kind kind, uint32_t number)
{
	int r;

	buf_reset(v->value);
	if ((r = buf_put_u8(v->value, (uint8_t)kind)) != 0)
		return r;
	return buf_put_u32(v->value, number);
}

int
derived_value_compress(struct derived_value *v, const void *p, size_t len)
{
	size_t room = ZSTD_compressBound(len), n;
	struct buf *b = buf_new(room);
	uint8_t *out;
	int r = b == NULL ? -ENOMEM : buf_reserve(b, room, &out);

	if (r == 0) {
		n = ZSTD_compressCCtx(v->pack, out, room, p, len, ZSTD_LEVEL);
		r = ZSTD_isError(n) ? -ENOMEM : buf_put(v->value, out, n);
	}
	buf_free(b);
	return r;
}

int
derived_value_chunk(struct derived_value *v, const struct chunk *c)
{
	int r;

	buf_reset(v->plain);
	if ((r = chunk_pack(c, v->plain)) != 0 ||
	    (r = derived_value_begin(v, SDERIVED_CHUNK, c->number)) != 0)
		return r;
	return derived_value_compress(v, buf_ptr(v->plain), buf_len(v->plain));
}

int
derived_value_filter(struct derived_value *v, const struct chunk *c)
{
	size_t n = chunk_fold(v->folded, c->text, c->len);
	int r;

	if ((r = derived_value_begin(v, SDERIVED_FILTER, c->number)) != 0)
		return r;
	return chunk_filter_put(c->number, v->folded, n, v->value);
}

int
derived_value_wrap(
    struct derived_value *v, const struct derived_key *key, const uint8_t **ret_p, size_t *ret_len)
{
	int r;

	buf_reset(v->wrapped);
	if ((r = crypt_put(key->key, key->sid, CRYPT_DERIVED, buf_ptr(v->value), buf_len(v->value),
		 v->wrapped)) != 0)
		return r;
	*ret_p = buf_ptr(v->wrapped);
	*ret_len = buf_len(v->wrapped);
	return 0;
}

int
derived_value_open(struct derived_value *v, const struct derived_key *key, enum sderived_kind kind,
    uint32_t number, const uint8_t *p, size_t len)
{
	uint32_t n;
	uint8_t k;
	int r;

	buf_reset(v->value);
	if ((r = crypt_get(key->key, key->sid, CRYPT_DERIVED, p, len, v->value)) != 0)
		return r == -ENOMEM ? r : ERR_FORMAT;
	if (buf_get_u8(v->value, &k) != 0 || buf_get_u32(v->value, &n) != 0 || k != kind ||
	    n != number)
		return ERR_FORMAT;
	return 0;
}

int
derived_value_expand(struct derived_value *v, size_t max)
{
	unsigned long long size = ZSTD_getFrameContentSize(buf_ptr(v->value), buf_len(v->value));
	uint8_t *p;
	size_t n;
	int r;

	buf_reset(v->plain);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > max)
		return ERR_FORMAT;
	if (size == 0)
		return 0;
	if ((r = buf_reserve(v->plain, (size_t)size, &p)) != 0)
		return r;
	n = ZSTD_decompressDCtx(v->unpack, p, (size_t)size, buf_ptr(v->value), buf_len(v->value));
	return ZSTD_isError(n) || n != size ? ERR_FORMAT : 0;
}

int
derived_value_read_chunk(struct derived_value *v, uint32_t number, struct chunk *c)
{
	int r;

	if ((r = derived_value_expand(v, CHUNK_PACKED_MAX)) != 0 ||
	    (r = chunk_parse(c, buf_ptr(v->plain), buf_len(v->plain))) != 0)
		return r;
	return c->number == number ? 0 : ERR_FORMAT;
}
