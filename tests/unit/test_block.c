/* Blocks, fragments and heads: what they look like on disk, and what is refused. */
#include "config.h"

#include <sodium.h>

#include "recorder/block.h"
#include "recorder/growing.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "tests/lib/test.h"

static const uint8_t sid[REC_SID_LEN] = "0123456789abcdef";
static const uint8_t salt[BLOCK_SALT_LEN] = "saltsaltsaltsalt";
static const uint8_t session_secret[CRYPT_KEY_LEN] = "the key of a session, 32 bytes .";

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
	memset(h.stored, 0xba, sizeof(h.stored));
	return h;
}

static void
test_a_header_comes_back(void **state)
{
	struct block_hdr h = header(), back;
	uint8_t bytes[BLOCK_HDR_LEN];

	(void)state;
	block_hdr_encode(&h, bytes);
	assert_int_equal(bytes[0], 2);
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
	assert_memory_equal(back.stored, h.stored, HASH_LEN);
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
			bytes[0] = 1;
		assert_int_equal(block_hdr_parse(bytes, sizeof(bytes), &back),
		    i == 3 ? ERR_VERSION : ERR_FORMAT);
	}
	assert_int_equal(block_hdr_parse(bytes, sizeof(bytes) - 1, &back), ERR_FORMAT);
}

/* The header of a block of these events, all but its hashes. */
static struct block_hdr
header_of(size_t len)
{
	struct block_hdr h = header();

	h.raw_len = (uint32_t)len;
	return h;
}

static int
seal(struct block_codec_ctx *c, const uint8_t *raw, size_t len, struct buf *stored)
{
	return block_seal(c, session_secret, sid, 7, salt, raw, len, stored);
}

static void
seal_and_back(const uint8_t *raw, size_t len, enum block_codec codec)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	struct block_hdr h = header_of(len);
	uint8_t got[BLOCK_SALT_LEN];

	assert_int_equal(seal(c, raw, len, stored), 0);
	assert_int_equal(buf_ptr(stored)[0], codec);
	assert_null(len < 50 ? NULL : memmem(buf_ptr(stored), buf_len(stored), raw, 50));
	assert_null(memmem(buf_ptr(stored), buf_len(stored), salt, sizeof(salt)));
	assert_int_equal(
	    block_unseal(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out), 0);
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
	seal_and_back(raw, BLOCK_RAW_MAX, BLOCK_COLUMNS); /* events of four bytes */
	seal_and_back(raw, 1, BLOCK_RAW);
	randombytes_buf(raw, BLOCK_RAW_MAX);
	memcpy(raw, "\0\x13\x02\xe8\x07", 5); /* one event of 1000 bytes */
	seal_and_back(raw, 1005, BLOCK_RAW);
	memcpy(raw, "\x80\0", 2);
	seal_and_back(raw, BLOCK_RAW_MAX, BLOCK_RAW); /* no events */
	seal_and_back(raw, 100, BLOCK_RAW);
	free(raw);
}

/* When much comes at once, long blocks are packed in the quicker way, short ones never. */
static void
test_a_burst_is_packed_quickly(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	struct block_hdr h = header_of(BLOCK_RAW_MAX);
	uint8_t *raw = calloc(1, BLOCK_RAW_MAX), got[BLOCK_SALT_LEN];
	uint32_t seed = 1;

	(void)state;
	assert_non_null(raw);
	for (size_t i = 0; i + 8 <= BLOCK_RAW_MAX; i += 8) {
		memcpy(raw + i, "\x05\x53\x02\x04", 4);
		for (size_t k = 4; k < 8; k++)
			raw[i + k] = (uint8_t) "acgt"[test_random(&seed) % 4];
	}
	for (int i = 0; i < 2000 && (i == 0 || buf_ptr(stored)[0] != BLOCK_ZSTD); i++) {
		buf_reset(stored);
		assert_int_equal(seal(c, raw, BLOCK_RAW_MAX, stored), 0);
	}
	assert_int_equal(buf_ptr(stored)[0], BLOCK_ZSTD);
	assert_int_equal(
	    block_unseal(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out), 0);
	assert_memory_equal(buf_ptr(out), raw, BLOCK_RAW_MAX);
	buf_reset(stored);
	assert_int_equal(seal(c, raw, 1000, stored), 0);
	assert_int_equal(buf_ptr(stored)[0], BLOCK_COLUMNS);
	free(raw);
	buf_free(stored);
	buf_free(out);
	block_codec_free(c);
}

static void
test_every_changed_and_every_cut_byte_of_a_stored_block_is_seen(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	uint8_t raw[3000], bytes[3100], got[BLOCK_SALT_LEN];
	struct block_hdr h = header_of(sizeof(raw));
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t) "\x05\x53\x02\x02ok"[i % 6];
	assert_int_equal(seal(c, raw, sizeof(raw), stored), 0);
	len = buf_len(stored);
	memcpy(bytes, buf_ptr(stored), len);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x10;
		assert_int_not_equal(block_unseal(c, session_secret, &h, bytes, len, got, out), 0);
		bytes[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(block_unseal(c, session_secret, &h, bytes, cut, got, out), 0);
	h.raw_len--;
	assert_int_equal(block_unseal(c, session_secret, &h, bytes, len, got, out), ERR_FORMAT);
	h.raw_len += 2;
	assert_int_equal(block_unseal(c, session_secret, &h, bytes, len, got, out), ERR_FORMAT);
	assert_int_equal(buf_len(out), 0);
	buf_free(stored);
	buf_free(out);
	block_codec_free(c);
}

static void
test_a_block_opens_with_its_key_in_its_place_only(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *out = buf_new(BLOCK_RAW_MAX);
	static const uint8_t raw[] = "events", other[CRYPT_KEY_LEN] = "another key";
	struct block_hdr h = header_of(sizeof(raw));
	uint8_t got[BLOCK_SALT_LEN];

	(void)state;
	assert_int_equal(seal(c, raw, sizeof(raw), stored), 0);
	assert_int_equal(
	    block_unseal(c, other, &h, buf_ptr(stored), buf_len(stored), got, out), ERR_CHAIN);
	h.block++;
	assert_int_equal(
	    block_unseal(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out),
	    ERR_CHAIN);
	h.block--;
	h.sid[0] ^= 1;
	assert_int_equal(
	    block_unseal(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out),
	    ERR_CHAIN);
	h.sid[0] ^= 1;
	/* What fits the key must fit both hashes of the header, too. */
	assert_int_equal(
	    block_open(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out),
	    ERR_CHAIN);
	hash_sha256(buf_ptr(stored), buf_len(stored), h.stored);
	assert_int_equal(
	    block_open(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out),
	    ERR_CHAIN);
	block_content(salt, raw, sizeof(raw), h.content);
	buf_reset(out);
	assert_int_equal(
	    block_open(c, session_secret, &h, buf_ptr(stored), buf_len(stored), got, out), 0);
	assert_memory_equal(buf_ptr(out), raw, sizeof(raw));
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
	assert_int_equal(seal(c, raw, BLOCK_RAW_MAX + 1, stored), ERR_LIMIT);
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
		.data = (const uint8_t *)"events, as an envelope of 48 bytes: with salt...",
		.len = 48 };

	memcpy(f.sid, sid, sizeof(sid));
	memset(f.content, 0xcd, sizeof(f.content));
	memset(f.check, 0xce, sizeof(f.check));
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
	assert_int_equal(journal_get_fragment(b, &back), 0);
	assert_int_equal(back.flags, 0);
	assert_int_equal(back.block, 300);
	assert_int_equal(back.off, 20);
	assert_int_equal(back.n_events, 2);
	assert_int_equal(back.last_ns, 1ull << 40);
	assert_int_equal(back.len, 48);
	assert_memory_equal(back.data, more.data, 48);
	assert_memory_equal(back.content, more.content, HASH_LEN);
	assert_memory_equal(back.check, more.check, JOURNAL_CHECK_LEN);
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
	assert_true(buf_len(b) - f.len <= 70);
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
	for (int i = 0; i < 7; i++) {
		struct fragment f = fragment(i == 1 || i == 5 ? FRAGMENT_FIRST : 0), back;

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
		if (i == 5)
			f.len = CRYPT_TAG_LEN + BLOCK_SALT_LEN; /* no event in it */
		if (i == 6)
			f.len = CRYPT_TAG_LEN;
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
	static const uint8_t content[HASH_LEN] = "content", stored[HASH_LEN] = "stored";
	uint8_t leaf[HASH_LEN] = { 1 };
	struct head h = { .n_blocks = 1, .partial_len = 10 };
	struct tree t;

	(void)state;
	tree_init(&t);
	assert_int_equal(tree_add(&t, leaf), 0);
	tree_root(&t, h.root);
	memcpy(h.partial, content, HASH_LEN);
	memcpy(h.partial_stored, stored, HASH_LEN);
	assert_int_equal(head_covers(&h, &t, content, stored), 0);
	assert_int_equal(head_covers(&h, &t, NULL, NULL), ERR_CHAIN);
	assert_int_equal(head_covers(&h, &t, stored, stored), ERR_CHAIN);
	assert_int_equal(head_covers(&h, &t, content, content), ERR_CHAIN);
	assert_int_equal(tree_add(&t, leaf), 0);
	assert_int_equal(head_covers(&h, &t, content, stored), ERR_CHAIN);
	tree_init(&t);
	h.n_blocks = 0;
	assert_int_equal(head_covers(&h, &t, content, stored), ERR_CHAIN);
	tree_root(&t, h.root);
	h.partial_len = 0;
	assert_int_equal(head_covers(&h, &t, NULL, NULL), ERR_CHAIN);
	memset(h.partial, 0, sizeof(h.partial));
	assert_int_equal(head_covers(&h, &t, NULL, NULL), ERR_CHAIN);
	memset(h.partial_stored, 0, sizeof(h.partial_stored));
	assert_int_equal(head_covers(&h, &t, NULL, NULL), 0);
}

/* The block that is growing. */

struct pieces {
	struct fragment f[3];
	uint8_t envelope[3][100];
};

/* Three fragments of "one", "two", "three". */
static void
pieces_make(struct pieces *p)
{
	static const char *const events[] = { "one", "two", "three" };
	struct hash *content = hash_new(), *stored = hash_new(), *peek = hash_new();
	uint32_t off = 0;

	hash_begin(content);
	hash_add(content, salt, sizeof(salt));
	hash_begin(stored);
	for (size_t i = 0; i < 3; i++) {
		struct fragment *f = &p->f[i];
		size_t n = strlen(events[i]), head = i == 0 ? BLOCK_SALT_LEN : 0;
		uint8_t all[HASH_LEN];

		*f = (struct fragment){ .flags = i == 0 ? FRAGMENT_FIRST : 0,
			.block = 7,
			.off = off,
			.n_events = 1,
			.last_ns = 10 + i,
			.first_seq = 5,
			.base_ns = 9,
			.data = p->envelope[i],
			.len = head + n + CRYPT_TAG_LEN };
		memcpy(f->sid, sid, REC_SID_LEN);
		memcpy(p->envelope[i], salt, head);
		memcpy(p->envelope[i] + head, events[i], n);
		crypt_seal(session_secret, sid, (struct crypt_place){ CRYPT_JOURNAL, 7, off },
		    p->envelope[i], head + n);
		hash_add(content, events[i], n);
		assert_int_equal(hash_copy(peek, content), 0);
		hash_end(peek, f->content);
		hash_add(stored, f->data, f->len);
		assert_int_equal(hash_copy(peek, stored), 0);
		hash_end(peek, all);
		memcpy(f->check, all, JOURNAL_CHECK_LEN);
		off += (uint32_t)n;
	}
	hash_free(content);
	hash_free(stored);
	hash_free(peek);
}

static void
test_fragments_become_a_block_as_they_are(void **state)
{
	struct block_codec_ctx *c = block_codec_new();
	struct buf *out = buf_new(BLOCK_RAW_MAX);
	uint8_t got[BLOCK_SALT_LEN];
	struct growing g;
	struct pieces p;

	(void)state;
	pieces_make(&p);
	assert_int_equal(growing_init(&g, true), 0);
	/* Without the key. */
	growing_begin(&g, sid, 7, NULL, 6);
	assert_int_equal(growing_add(&g, &p.f[1]), ERR_ORDER);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(growing_add(&g, &p.f[i]), 0);
		assert_int_equal(growing_add(&g, &p.f[i]), ERR_ORDER);
		assert_int_equal(g.marked, i > 0);
	}
	assert_memory_equal(g.mark_content, p.f[1].content, HASH_LEN);
	assert_memory_equal(g.mark_envelopes, p.f[1].check, JOURNAL_CHECK_LEN);
	growing_finish(&g);
	assert_int_equal(g.hdr.n_events, 3);
	assert_int_equal(g.hdr.first_seq, 5);
	assert_int_equal(g.hdr.base_ns, 9);
	assert_int_equal(g.hdr.last_ns, 12);
	assert_int_equal(buf_len(g.raw), 0);
	/* With it, the block that this makes opens. */
	assert_int_equal(
	    block_open(c, session_secret, &g.hdr, buf_ptr(g.stored), buf_len(g.stored), got, out),
	    0);
	assert_int_equal(buf_len(out), 11);
	assert_memory_equal(buf_ptr(out), "onetwothree", 11);
	assert_memory_equal(got, salt, sizeof(salt));
	g.hdr.raw_len++;
	assert_int_equal(
	    block_unseal(c, session_secret, &g.hdr, buf_ptr(g.stored), buf_len(g.stored), got, out),
	    ERR_FORMAT);
	growing_done(&g);
	buf_free(out);
	block_codec_free(c);
}

static void
test_a_fragment_that_was_changed_is_not_taken(void **state)
{
	struct growing g;
	struct pieces p;

	(void)state;
	assert_int_equal(growing_init(&g, false), 0);
	for (int i = 0; i < 5; i++) {
		/* The last two are seen with the key only. */
		const uint8_t *key = i > 2 ? session_secret : NULL;

		pieces_make(&p);
		growing_begin(&g, sid, 7, key, 0);
		assert_int_equal(growing_add(&g, &p.f[0]), 0);
		if (i == 0)
			p.envelope[1][0] ^= 1;
		if (i == 1)
			p.f[1].check[0] ^= 1;
		if (i == 2)
			p.f[1].last_ns = 1;
		if (i == 3)
			p.f[1].content[0] ^= 1;
		if (i == 4) {
			growing_begin(
			    &g, sid, 7, (const uint8_t *)"a wrong key of thirty-two bytes.", 0);
			assert_int_equal(growing_add(&g, &p.f[0]), ERR_CHAIN);
			continue;
		}
		assert_int_equal(growing_add(&g, &p.f[1]), ERR_CHAIN);
	}
	growing_done(&g);
}

static void
test_a_growing_block_opens_with_its_key(void **state)
{
	struct growing g;
	struct pieces p;

	(void)state;
	pieces_make(&p);
	assert_int_equal(growing_init(&g, false), 0);
	growing_begin(&g, sid, 7, session_secret, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(growing_add(&g, &p.f[i]), 0);
	assert_int_equal(buf_len(g.raw), 11);
	assert_memory_equal(buf_ptr(g.raw), "onetwothree", 11);
	assert_memory_equal(g.salt, salt, sizeof(salt));
	growing_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header_comes_back),
		cmocka_unit_test(test_impossible_headers_are_refused),
		cmocka_unit_test(test_what_shrinks_is_packed_and_what_does_not_is_kept),
		cmocka_unit_test(test_a_burst_is_packed_quickly),
		cmocka_unit_test(test_every_changed_and_every_cut_byte_of_a_stored_block_is_seen),
		cmocka_unit_test(test_a_block_opens_with_its_key_in_its_place_only),
		cmocka_unit_test(test_more_than_a_block_is_refused),
		cmocka_unit_test(test_a_record_of_fragments_comes_back),
		cmocka_unit_test(test_a_fragment_is_small),
		cmocka_unit_test(test_a_fragment_cut_at_any_byte_is_refused),
		cmocka_unit_test(test_impossible_fragments_are_refused),
		cmocka_unit_test(test_a_head_verifies_and_no_byte_of_it_may_change),
		cmocka_unit_test(test_a_head_covers_its_prefix_and_nothing_else),
		cmocka_unit_test(test_fragments_become_a_block_as_they_are),
		cmocka_unit_test(test_a_fragment_that_was_changed_is_not_taken),
		cmocka_unit_test(test_a_growing_block_opens_with_its_key),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
