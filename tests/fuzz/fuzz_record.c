/*
 * Every value that the store holds, of any content; the first byte says as what it is read. What can be written again
 * comes out as it was.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/block.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "recorder/mlog.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
as_header(const uint8_t *data, size_t size)
{
	uint8_t bytes[BLOCK_HDR_LEN];
	struct block_hdr h;

	if (block_hdr_parse(data, size, &h) != 0)
		return;
	block_hdr_encode(&h, bytes);
	must(size == sizeof(bytes) && memcmp(bytes, data, size) == 0);
}

/* Two bytes: the length that its header would say. */
static void
as_block(const uint8_t *data, size_t size)
{
	static const uint8_t key[CRYPT_KEY_LEN];
	struct block_codec_ctx *c = block_codec_new();
	struct buf *out = buf_new(BLOCK_RAW_MAX), *stored = buf_new(BLOCK_STORED_MAX);
	struct block_hdr h = { .block = 0 };
	uint8_t salt[BLOCK_SALT_LEN] = { 0 };

	must(c != NULL && out != NULL && stored != NULL);
	if (size >= 2) {
		h.raw_len = (uint32_t)data[0] << 8 | data[1];
		if (block_unseal(c, key, &h, data + 2, size - 2, salt, out) == 0)
			must(buf_len(out) == h.raw_len);
		/* Behind the envelope: whatever was packed. */
		buf_reset(out);
		if (size - 2 <= BLOCK_RAW_MAX) {
			must(block_seal(c, key, h.sid, 0, salt, data + 2, size - 2, stored) == 0);
			h.raw_len = (uint32_t)size - 2;
			must(block_unseal(
				 c, key, &h, buf_ptr(stored), buf_len(stored), salt, out) == 0);
			must(buf_len(out) == size - 2 &&
			     memcmp(buf_ptr(out), data + 2, size - 2) == 0);
		}
	}
	buf_free(stored);
	buf_free(out);
	block_codec_free(c);
}

static void
as_journal(const uint8_t *data, size_t size)
{
	struct buf *b = buf_view(data, size), *again = buf_new(size + 1);
	struct fragment f;
	uint64_t wall;
	int r;

	must(b != NULL && again != NULL);
	if ((r = journal_get_start(b, &wall)) == 0)
		must(journal_put_start(again, wall) == 0);
	while (r == 0 && (r = journal_get_fragment(b, &f)) == 0) {
		must(f.off + f.len - FRAGMENT_EXTRA(f.flags) <= BLOCK_RAW_MAX);
		must(journal_put_fragment(again, &f) == 0);
	}
	must(memcmp(buf_ptr(again), data, buf_len(again)) == 0);
	buf_free(b);
	buf_free(again);
}

static void
as_head(const uint8_t *data, size_t size)
{
	struct head h;
	uint8_t key[NOTE_KEY_LEN] = { 0 };
	int r = head_parse(data, size, &h);

	must(head_verify(data, size, key, &h) != 0 || r == 0);
}

/* A leaf of a type that we know is written as it was read. */
static void
as_leaf_again(const uint8_t *data, size_t size, const struct mlog_leaf *leaf)
{
	struct buf *again = buf_new(size + 1);

	must(again != NULL);
	if (strcmp(mlog_type_name((unsigned)leaf->type), "unknown") != 0) {
		must(mlog_leaf_put(again, leaf, leaf->wall_ns) == 0);
		must(buf_len(again) == size && memcmp(buf_ptr(again), data, size) == 0);
	}
	buf_free(again);
}

static void
as_leaf(const uint8_t *data, size_t size)
{
	struct mlog_leaf leaf;

	if (mlog_leaf_parse(data, size, &leaf) == 0) {
		must(mlog_type_name((unsigned)leaf.type) != NULL);
		must(memchr(leaf.name, 0, sizeof(leaf.name)) != NULL);
		as_leaf_again(data, size, &leaf);
	}
}

static void
as_session(const uint8_t *data, size_t size)
{
	static const uint8_t key[CRYPT_KEY_LEN];
	char text[300];
	struct sess s;

	if (sess_parse(data, size, &s) != 0)
		return;
	must(s.state == SESS_OPEN || s.state == SESS_CLOSED || s.state == SESS_TRUNCATED);
	for (unsigned tag = 0; tag < 20; tag++)
		must(strlen(sess_meta_text(&s, (enum rec_meta)tag, text, sizeof(text))) <
		     sizeof(text));
	for (uint32_t i = 0; i < s.n_channels; i++)
		must(s.channels[i].kind != NULL && s.channels[i].command != NULL);
	must(sess_open_private(&s, key) != 0 || s.private_len == 0);
	sess_done(&s);
}

static void
as_key(const uint8_t *data, size_t size)
{
	struct buf *again = buf_new(size + 1);
	uint8_t key[CRYPT_KEY_LEN] = { 0 };
	struct seskey k;

	must(again != NULL);
	if (seskey_parse(data, size, &k) == 0) {
		must(seskey_put(again, &k) == 0);
		must(buf_len(again) == size && memcmp(buf_ptr(again), data, size) == 0);
		must(seskey_open(&k, key, key, key) != 0);
		seskey_done(&k);
	}
	buf_free(again);
}

static void
as_range(const uint8_t *data, size_t size)
{
	struct buf *again = buf_new(sizeof(struct tree));
	uint8_t root[HASH_LEN];
	struct tree t;

	must(again != NULL);
	if (tree_parse(data, size, &t) == 0) {
		tree_root(&t, root);
		must(tree_put(again, &t) == 0);
		must(buf_len(again) == size && memcmp(buf_ptr(again), data, size) == 0);
	}
	buf_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const as[])(const uint8_t *data, size_t size) = { as_header, as_block,
		as_journal, as_head, as_leaf, as_session, as_range, as_key };

	if (size > 0)
		as[data[0] % (sizeof(as) / sizeof(as[0]))](data + 1, size - 1);
	return 0;
}
