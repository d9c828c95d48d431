/* Blocks as they lie in a store. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "recorder/block.h"

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
block_get_stored(struct store_snap *snap, const struct block_hdr *hdr, struct buf *out)
{
	uint8_t key[BLOCK_KEY_LEN];

	block_key(hdr->sid, hdr->block, key);
	return store_get_pieces(snap, STORE_BLK, key, sizeof(key), out);
}

int
block_get_raw(struct store_snap *snap, struct block_codec_ctx *c, const uint8_t key[CRYPT_KEY_LEN],
    const struct block_hdr *hdr, struct buf *out, uint8_t ret_salt[BLOCK_SALT_LEN])
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	int r = -ENOMEM;

	if (stored == NULL)
		return r;
	if ((r = block_get_stored(snap, hdr, stored)) == 0)
		r = block_open(c, key, hdr, buf_ptr(stored), buf_len(stored), ret_salt, out);
	buf_free(stored);
	return r;
}
