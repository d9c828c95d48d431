/* Signed heads of sessions. */
#include "config.h"

#include <sodium.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/head.h"

#define MAGIC "bastiond-head-v2"
#define MAGIC_LEN 16u

_Static_assert(
    HEAD_BODY_LEN == MAGIC_LEN + REC_SID_LEN + 1 + 4 + 8 + 8 + HASH_LEN + 4 + 2 * HASH_LEN,
    "the fields of a head");

static void
put_be(uint8_t **p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		(*p)[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	*p += bytes;
}

static uint64_t
get_be(const uint8_t **p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | (*p)[i];
	*p += bytes;
	return v;
}

static void
put_bytes(uint8_t **p, const void *data, size_t len)
{
	memcpy(*p, data, len);
	*p += len;
}

static void
get_bytes(const uint8_t **p, void *ret_data, size_t len)
{
	memcpy(ret_data, *p, len);
	*p += len;
}

int
head_sign(const struct head *h, const uint8_t secret[64], uint8_t ret_bytes[HEAD_LEN])
{
	uint8_t bytes[HEAD_LEN], *p = bytes;

	put_bytes(&p, MAGIC, MAGIC_LEN);
	put_bytes(&p, h->sid, REC_SID_LEN);
	put_be(&p, h->state, 1);
	put_be(&p, h->n_blocks, 4);
	put_be(&p, h->n_events, 8);
	put_be(&p, h->last_ns, 8);
	put_bytes(&p, h->root, HASH_LEN);
	put_be(&p, h->partial_len, 4);
	put_bytes(&p, h->partial, HASH_LEN);
	put_bytes(&p, h->partial_stored, HASH_LEN);
	if (crypto_sign_detached(p, NULL, bytes, HEAD_BODY_LEN, secret) != 0)
		return ERR_CRYPTO;
	memcpy(ret_bytes, bytes, HEAD_LEN);
	return 0;
}

int
head_parse(const uint8_t *data, size_t len, struct head *ret_head)
{
	const uint8_t *p = data + MAGIC_LEN;
	struct head h;

	if (len != HEAD_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0)
		return ERR_FORMAT;
	get_bytes(&p, h.sid, REC_SID_LEN);
	h.state = (uint8_t)get_be(&p, 1);
	h.n_blocks = (uint32_t)get_be(&p, 4);
	h.n_events = get_be(&p, 8);
	h.last_ns = get_be(&p, 8);
	get_bytes(&p, h.root, HASH_LEN);
	h.partial_len = (uint32_t)get_be(&p, 4);
	get_bytes(&p, h.partial, HASH_LEN);
	get_bytes(&p, h.partial_stored, HASH_LEN);
	*ret_head = h;
	return 0;
}

int
head_verify(const uint8_t *data, size_t len, const uint8_t key[NOTE_KEY_LEN], struct head *ret_head)
{
	struct head h;
	int r;

	if ((r = head_parse(data, len, &h)) != 0)
		return r;
	if (crypto_sign_verify_detached(data + HEAD_BODY_LEN, data, HEAD_BODY_LEN, key) != 0)
		return ERR_SIGNATURE;
	*ret_head = h;
	return 0;
}

int
head_covers(
    const struct head *h, const struct tree *sealed, const uint8_t *content, const uint8_t *stored)
{
	static const uint8_t none[HASH_LEN];
	uint8_t root[HASH_LEN];

	if (h->partial_len == 0)
		content = stored = none;
	tree_root(sealed, root);
	if (h->n_blocks != sealed->n || memcmp(root, h->root, HASH_LEN) != 0 || content == NULL ||
	    stored == NULL || memcmp(content, h->partial, HASH_LEN) != 0 ||
	    memcmp(stored, h->partial_stored, HASH_LEN) != 0)
		return ERR_CHAIN;
	return 0;
}
