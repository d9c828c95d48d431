/* Blocks, fragments and heads: what they look like on disk, and what is refused. */
#include "config.h"

#include <sodium.h>

#include "recorder/block.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "tests/lib/test.h"

static const uint8_t sid[REC_SID_LEN] = "0123456789abcdef";
static const uint8_t salt[BLOCK_SALT_LEN] = "saltsaltsaltsalt";

static struct block_hdr
header(void)
{
	struct block_hdr h = { .block = 7,
		.first_seq = 100,
		.n_events = 3,
		.base_ns = 5,
		.last_ns = 6,
		.wall_ns = 0x1122334455667788ull,
		.raw_len = 30 };

	memcpy(h.sid, sid, sizeof(sid));
	memset(h.content, 0xab, sizeof(h.content));
	return h;
}

static void
test_a_header_comes_back(void **state)
{
	struct block_hdr h = header(), back;
	uint8_t bytes[BLOCK_HDR_LEN];

	(void)state;
	block_hdr_encode(&h, bytes);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(block_hdr_parse(bytes, sizeof(bytes), &back), 0);
	assert_memory_equal(back.sid, h.sid, REC_SID_LEN);
	assert_int_equal(back.block, h.block);
	assert_int_equal(back.first_seq, h.first_seq);
	assert_int_equal(back.n_events, h.n_events);
	assert_int_equal(back.base_ns, h.base_ns);
	assert_int_equal(back.last_ns, h.last_ns);
	assert_int_equal(back.wall_ns, h.wall_ns);
	assert_int_equal(back.raw_len, h.raw_len);
	assert_memory_equal(back.content, h.content, HASH_LEN);
}

static void
test_impossible_headers_are_refused(void **state)
{
	struct block_hdr h, back;
	uint8_t bytes[BLOCK_HDR_LEN];

	(void)state;
	for (int i = 0; i < 4; i++) {
		h = header();
		if (i == 0)
			h.raw_len = BLOCK_RAW_MAX + 1;
		if (i == 1)
			h.n_events = 0;
		if (i == 2)
			h.base_ns = h.last_ns + 1;
		block_hdr_encode(&h, bytes);
		if (i == 3)
			bytes[0] = 2;
		assert_int_equal(block_hdr_parse(bytes, sizeof(bytes), &back),
		    i == 3 ? ERR_VERSION : ERR_FORMAT);
	}
	assert_int_equal(block_hdr_parse(bytes, sizeof(bytes) - 1, &back), ERR_FORMAT);
}

static void
seal_and_back(const uint8_t *raw, size_t len, enum block_codec codec)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	uint8_t got[BLOCK_SALT_LEN];

	assert_int_equal(block_seal(c, salt, raw, len, stored), 0);
	assert_int_equal(buf_ptr(stored)[0], codec);
	assert_int_equal(block_unseal(c, buf_ptr(stored), buf_len(stored), len, got, out), 0);
	assert_int_equal(buf_len(out), len);
	assert_memory_equal(buf_ptr(out), raw, len);
	assert_memory_equal(got, salt, sizeof(salt));
	buf_free(stored);
	buf_free(out);
	block_codec_free(c);
}

static void
test_what_shrinks_is_packed_and_what_does_not_is_kept(void **state)
{
	uint8_t *raw = calloc(1, BLOCK_RAW_MAX);

	(void)state;
	assert_non_null(raw);
	seal_and_back(raw, BLOCK_RAW_MAX, BLOCK_ZSTD);
	seal_and_back(raw, 1, BLOCK_RAW);
	randombytes_buf(raw, BLOCK_RAW_MAX);
	seal_and_back(raw, BLOCK_RAW_MAX, BLOCK_RAW);
	seal_and_back(raw, 100, BLOCK_RAW);
	free(raw);
}

static void
test_every_changed_and_every_cut_byte_of_a_stored_block_is_seen(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	uint8_t raw[3000], bytes[3100], got[BLOCK_SALT_LEN];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t) "some text that shrinks well"[i % 27];
	assert_int_equal(block_seal(c, salt, raw, sizeof(raw), stored), 0);
	len = buf_len(stored);
	memcpy(bytes, buf_ptr(stored), len);
	for (size_t i = 0; i < len; i++) {
		int r;

		bytes[i] ^= 0x10;
		buf_reset(out);
		r = block_unseal(c, bytes, len, sizeof(raw), got, out);
		/* The salt is what the content hash catches. */
		if (i >= 1 && i <= BLOCK_SALT_LEN)
			assert_memory_not_equal(got, salt, sizeof(salt));
		else
			assert_int_not_equal(r, 0);
		bytes[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < len; cut++) {
		buf_reset(out);
		assert_int_equal(block_unseal(c, bytes, cut, sizeof(raw), got, out), ERR_FORMAT);
	}
	buf_reset(out);
	assert_int_equal(block_unseal(c, bytes, len, sizeof(raw) - 1, got, out), ERR_FORMAT);
	assert_int_equal(block_unseal(c, bytes, len, sizeof(raw) + 1, got, out), ERR_FORMAT);
	assert_int_equal(buf_len(out), 0);
	buf_free(stored);
	buf_free(out);
	block_codec_free(c);
}

static void
test_more_than_a_block_is_refused(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	uint8_t *raw = calloc(1, BLOCK_RAW_MAX + 1);
	struct buf *stored = buf_new(2 * BLOCK_RAW_MAX);

	(void)state;
	assert_non_null(raw);
	assert_int_equal(block_seal(c, salt, raw, BLOCK_RAW_MAX + 1, stored), ERR_LIMIT);
	free(raw);
	buf_free(stored);
	block_codec_free(c);
}

/* The journal. */

static struct fragment
fragment(uint8_t flags)
{
	struct fragment f = { .flags = flags,
		.block = 300,
		.off = flags != 0 ? 0 : 20,
		.n_events = 2,
		.last_ns = 1ull << 40,
		.first_seq = 1000,
		.base_ns = 99,
		.data = (const uint8_t *)"events",
		.len = 6 };

	memcpy(f.sid, sid, sizeof(sid));
	memcpy(f.salt, salt, sizeof(salt));
	memset(f.content, 0xcd, sizeof(f.content));
	return f;
}

static void
test_a_record_of_fragments_comes_back(void **state)
{
	struct fragment first = fragment(FRAGMENT_FIRST), more = fragment(0), back;
	struct buf *b = buf_new(1000);
	uint64_t wall;

	(void)state;
	assert_int_equal(journal_put_start(b, 77), 0);
	assert_int_equal(journal_put_fragment(b, &first), 0);
	assert_int_equal(journal_put_fragment(b, &more), 0);
	assert_int_equal(journal_get_start(b, &wall), 0);
	assert_int_equal(wall, 77);
	assert_int_equal(journal_get_fragment(b, &back), 0);
	assert_int_equal(back.flags, FRAGMENT_FIRST);
	assert_int_equal(back.first_seq, 1000);
	assert_int_equal(back.base_ns, 99);
	assert_memory_equal(back.salt, salt, sizeof(salt));
	assert_int_equal(journal_get_fragment(b, &back), 0);
	assert_int_equal(back.flags, 0);
	assert_int_equal(back.block, 300);
	assert_int_equal(back.off, 20);
	assert_int_equal(back.n_events, 2);
	assert_int_equal(back.last_ns, 1ull << 40);
	assert_int_equal(back.len, 6);
	assert_memory_equal(back.data, "events", 6);
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
}

static void
test_a_fragment_is_small(void **state)
{
	struct fragment f = fragment(0);
	struct buf *b = buf_new(1000);

	(void)state;
	f.block = 5;
	assert_int_equal(journal_put_fragment(b, &f), 0);
	assert_true(buf_len(b) - f.len <= 62);
	buf_free(b);
}

static void
test_a_fragment_cut_at_any_byte_is_refused(void **state)
{
	struct fragment f = fragment(FRAGMENT_FIRST), back;
	struct buf *b = buf_new(1000), *cut;

	(void)state;
	assert_int_equal(journal_put_fragment(b, &f), 0);
	for (size_t len = 0; len < buf_len(b); len++) {
		cut = buf_view(buf_ptr(b), len);
		assert_int_equal(journal_get_fragment(cut, &back), ERR_FORMAT);
		buf_free(cut);
	}
	buf_free(b);
}

static void
test_impossible_fragments_are_refused(void **state)
{
	struct buf *b = buf_new(1000);

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct fragment f = fragment(i == 1 ? FRAGMENT_FIRST : 0), back;

		if (i == 0)
			f.off = 0; /* a block starts, and does not say so */
		if (i == 1)
			f.off = 1;
		if (i == 2)
			f.n_events = 0;
		if (i == 3)
			f.off = BLOCK_RAW_MAX - 1;
		if (i == 4)
			f.flags = 2;
		buf_reset(b);
		assert_int_equal(journal_put_fragment(b, &f), 0);
		assert_int_equal(journal_get_fragment(b, &back), ERR_FORMAT);
	}
	buf_free(b);
}

/* Heads. */

static void
make_keys(uint8_t key[32], uint8_t secret[64])
{
	uint8_t seed[32] = { 1, 2, 3 };

	assert_int_equal(crypto_sign_seed_keypair(key, secret, seed), 0);
}

static void
test_a_head_verifies_and_no_byte_of_it_may_change(void **state)
{
	struct head h = { .state = 1,
		.n_blocks = 4,
		.n_events = 5,
		.last_ns = 6,
		.partial_len = 7 },
		    back;
	uint8_t key[32], secret[64], bytes[HEAD_LEN];

	(void)state;
	make_keys(key, secret);
	memcpy(h.sid, sid, sizeof(sid));
	assert_int_equal(head_sign(&h, secret, bytes), 0);
	assert_int_equal(head_verify(bytes, sizeof(bytes), key, &back), 0);
	assert_memory_equal(back.sid, sid, sizeof(sid));
	assert_int_equal(back.state, 1);
	assert_int_equal(back.n_blocks, 4);
	assert_int_equal(back.n_events, 5);
	assert_int_equal(back.last_ns, 6);
	assert_int_equal(back.partial_len, 7);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 1;
		assert_int_not_equal(head_verify(bytes, sizeof(bytes), key, &back), 0);
		bytes[i] ^= 1;
	}
	assert_int_equal(head_parse(bytes, sizeof(bytes) - 1, &back), ERR_FORMAT);
	key[0] ^= 1;
	assert_int_equal(head_verify(bytes, sizeof(bytes), key, &back), ERR_SIGNATURE);
}

static void
test_a_head_covers_its_prefix_and_nothing_else(void **state)
{
	static const uint8_t raw[] = "the events of a block";
	uint8_t leaf[HASH_LEN] = { 1 };
	struct head h = { .n_blocks = 1, .partial_len = 10 };
	struct tree t;

	(void)state;
	tree_init(&t);
	assert_int_equal(tree_add(&t, leaf), 0);
	tree_root(&t, h.root);
	block_content(salt, raw, 10, h.partial);
	assert_int_equal(head_covers(&h, &t, salt, raw, sizeof(raw)), 0);
	assert_int_equal(head_covers(&h, &t, salt, raw, 10), 0);
	assert_int_equal(head_covers(&h, &t, salt, raw, 9), ERR_CHAIN);
	assert_int_equal(head_covers(&h, &t, salt, raw + 1, 10), ERR_CHAIN);
	assert_int_equal(tree_add(&t, leaf), 0);
	assert_int_equal(head_covers(&h, &t, salt, raw, 10), ERR_CHAIN);
	tree_init(&t);
	h.n_blocks = 0;
	assert_int_equal(head_covers(&h, &t, salt, raw, 10), ERR_CHAIN);
	tree_root(&t, h.root);
	h.partial_len = 0;
	assert_int_equal(head_covers(&h, &t, salt, raw, 10), ERR_CHAIN);
	memset(h.partial, 0, sizeof(h.partial));
	assert_int_equal(head_covers(&h, &t, salt, raw, 10), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header_comes_back),
		cmocka_unit_test(test_impossible_headers_are_refused),
		cmocka_unit_test(test_what_shrinks_is_packed_and_what_does_not_is_kept),
		cmocka_unit_test(test_every_changed_and_every_cut_byte_of_a_stored_block_is_seen),
		cmocka_unit_test(test_more_than_a_block_is_refused),
		cmocka_unit_test(test_a_record_of_fragments_comes_back),
		cmocka_unit_test(test_a_fragment_is_small),
		cmocka_unit_test(test_a_fragment_cut_at_any_byte_is_refused),
		cmocka_unit_test(test_impossible_fragments_are_refused),
		cmocka_unit_test(test_a_head_verifies_and_no_byte_of_it_may_change),
		cmocka_unit_test(test_a_head_covers_its_prefix_and_nothing_else),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
