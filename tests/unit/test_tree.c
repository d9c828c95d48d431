/* RFC 6962 section 2.1 against the vectors that Certificate Transparency's implementations share, and against itself. */
#include "config.h"

#include "lib/str.h"
#include "recorder/tree.h"
#include "tests/lib/test.h"

#define LEAVES 8

static const struct {
	uint8_t data[16];
	size_t len;
} leaves[LEAVES] = {
	{ "", 0 },
	{ { 0x00 }, 1 },
	{ { 0x10 }, 1 },
	{ { 0x20, 0x21 }, 2 },
	{ { 0x30, 0x31 }, 2 },
	{ { 0x40, 0x41, 0x42, 0x43 }, 4 },
	{ { 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57 }, 8 },
	{ { 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
	      0x6e, 0x6f },
	    16 },
};

static const char *const roots[LEAVES + 1] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static int
vector_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	(void)arg;
	tree_leaf(leaves[index].data, leaves[index].len, ret_hash);
	return 0;
}

/* A leaf that is its number. */
static int
number_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	(void)arg;
	tree_leaf(&index, sizeof(index), ret_hash);
	return 0;
}

static int
broken_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	(void)arg;
	(void)ret_hash;
	return index == 5 ? -5 : 0;
}

static void
assert_hex(const uint8_t hash[HASH_LEN], const char *want)
{
	char hex[2 * HASH_LEN + 1];

	assert_string_equal(str_hex(hex, hash, HASH_LEN), want);
}

static void
test_roots_match_the_vectors(void **state)
{
	uint8_t hash[HASH_LEN];
	struct tree t;

	(void)state;
	tree_init(&t);
	for (size_t n = 0;; n++) {
		tree_root(&t, hash);
		assert_hex(hash, roots[n]);
		assert_int_equal(tree_root_of(vector_leaf, NULL, 0, n, hash), 0);
		assert_hex(hash, roots[n]);
		if (n == LEAVES)
			break;
		assert_int_equal(vector_leaf(NULL, n, hash), 0);
		assert_int_equal(tree_add(&t, hash), 0);
	}
}

static void
test_inclusion_paths_match_the_vectors(void **state)
{
	static const struct {
		uint64_t index, n;
		size_t n_hashes;
		const char *hashes[3];
	} want[] = {
		{ 0, 1, 0, { NULL } },
		{ 0, 8, 3,
		    { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4" } },
		{ 5, 8, 3,
		    { "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
		{ 2, 3, 1, { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" } },
		{ 1, 5, 3,
		    { "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b" } },
	};
	struct tree_proof proof;

	(void)state;
	for (size_t i = 0; i < N_OF(want); i++) {
		assert_int_equal(
		    tree_inclusion(vector_leaf, NULL, want[i].index, want[i].n, &proof), 0);
		assert_int_equal(proof.n, want[i].n_hashes);
		for (size_t j = 0; j < proof.n; j++)
			assert_hex(proof.hashes[j], want[i].hashes[j]);
	}
}

static void
test_consistency_proofs_match_the_vectors(void **state)
{
	static const struct {
		uint64_t m, n;
		size_t n_hashes;
		const char *hashes[3];
	} want[] = {
		{ 1, 1, 0, { NULL } },
		{ 1, 8, 3,
		    { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4" } },
		{ 6, 8, 3,
		    { "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
		{ 2, 5, 2,
		    { "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b" } },
	};
	struct tree_proof proof;

	(void)state;
	for (size_t i = 0; i < N_OF(want); i++) {
		assert_int_equal(
		    tree_consistency(vector_leaf, NULL, want[i].m, want[i].n, &proof), 0);
		assert_int_equal(proof.n, want[i].n_hashes);
		for (size_t j = 0; j < proof.n; j++)
			assert_hex(proof.hashes[j], want[i].hashes[j]);
	}
}

/* For every size up to 70 and every leaf: the proof holds, and any change to it does not. */
static void
test_every_leaf_is_shown_and_nothing_else(void **state)
{
	uint8_t root[HASH_LEN], leaf[HASH_LEN];
	struct tree_proof proof;

	(void)state;
	for (uint64_t n = 1; n <= 70; n++) {
		assert_int_equal(tree_root_of(number_leaf, NULL, 0, n, root), 0);
		for (uint64_t i = 0; i < n; i++) {
			assert_int_equal(tree_inclusion(number_leaf, NULL, i, n, &proof), 0);
			assert_int_equal(number_leaf(NULL, i, leaf), 0);
			assert_int_equal(tree_check_inclusion(&proof, i, n, leaf, root), 0);
			assert_int_equal(
			    tree_check_inclusion(&proof, i, n + 200, leaf, root), ERR_CHAIN);
			if (n > 1)
				assert_int_equal(
				    tree_check_inclusion(&proof, (i + 1) % n, n, leaf, root),
				    ERR_CHAIN);
			leaf[0] ^= 1;
			assert_int_equal(tree_check_inclusion(&proof, i, n, leaf, root), ERR_CHAIN);
			leaf[0] ^= 1;
			for (size_t j = 0; j < proof.n; j++) {
				proof.hashes[j][31] ^= 1;
				assert_int_equal(
				    tree_check_inclusion(&proof, i, n, leaf, root), ERR_CHAIN);
				proof.hashes[j][31] ^= 1;
			}
			if (proof.n > 0) {
				proof.n--;
				assert_int_equal(
				    tree_check_inclusion(&proof, i, n, leaf, root), ERR_CHAIN);
			}
		}
	}
}

static void
test_every_extension_is_shown_and_nothing_else(void **state)
{
	uint8_t old[HASH_LEN], new[HASH_LEN];
	struct tree_proof proof;

	(void)state;
	for (uint64_t n = 1; n <= 70; n++) {
		assert_int_equal(tree_root_of(number_leaf, NULL, 0, n, new), 0);
		for (uint64_t m = 0; m <= n; m++) {
			assert_int_equal(tree_root_of(number_leaf, NULL, 0, m, old), 0);
			assert_int_equal(tree_consistency(number_leaf, NULL, m, n, &proof), 0);
			assert_int_equal(tree_check_consistency(&proof, m, n, old, new), 0);
			if (m == 0)
				continue;
			old[5] ^= 1;
			assert_int_equal(tree_check_consistency(&proof, m, n, old, new), ERR_CHAIN);
			old[5] ^= 1;
			new[5] ^= 1;
			assert_int_equal(tree_check_consistency(&proof, m, n, old, new), ERR_CHAIN);
			new[5] ^= 1;
			for (size_t j = 0; j < proof.n; j++) {
				proof.hashes[j][0] ^= 1;
				assert_int_equal(
				    tree_check_consistency(&proof, m, n, old, new), ERR_CHAIN);
				proof.hashes[j][0] ^= 1;
			}
			if (proof.n > 0) {
				proof.n--;
				assert_int_equal(
				    tree_check_consistency(&proof, m, n, old, new), ERR_CHAIN);
			}
		}
	}
}

static void
test_proofs_outside_the_tree_are_refused(void **state)
{
	struct tree_proof proof = { 0 };
	uint8_t hash[HASH_LEN] = { 0 };

	(void)state;
	assert_int_equal(tree_inclusion(number_leaf, NULL, 3, 3, &proof), ERR_LIMIT);
	assert_int_equal(tree_inclusion(number_leaf, NULL, 0, 0, &proof), ERR_LIMIT);
	assert_int_equal(tree_consistency(number_leaf, NULL, 4, 3, &proof), ERR_LIMIT);
	assert_int_equal(tree_check_inclusion(&proof, 0, 0, hash, hash), ERR_CHAIN);
	assert_int_equal(tree_check_consistency(&proof, 4, 3, hash, hash), ERR_CHAIN);
	assert_int_equal(tree_inclusion(broken_leaf, NULL, 1, 8, &proof), -5);
	assert_int_equal(tree_consistency(broken_leaf, NULL, 3, 8, &proof), -5);
}

static void
test_a_range_comes_back(void **state)
{
	uint8_t hash[HASH_LEN], root[2][HASH_LEN];
	struct buf *b = buf_new(sizeof(struct tree));
	struct tree t, back;

	(void)state;
	tree_init(&t);
	for (uint64_t n = 0; n < 40; n++) {
		buf_reset(b);
		assert_int_equal(tree_put(b, &t), 0);
		assert_int_equal(tree_parse(buf_ptr(b), buf_len(b), &back), 0);
		tree_root(&t, root[0]);
		tree_root(&back, root[1]);
		assert_memory_equal(root[0], root[1], HASH_LEN);
		assert_int_equal(tree_parse(buf_ptr(b), buf_len(b) - 1, &back), ERR_FORMAT);
		assert_int_equal(number_leaf(NULL, n, hash), 0);
		assert_int_equal(tree_add(&t, hash), 0);
	}
	buf_free(b);
}

static void
test_a_tree_has_an_end(void **state)
{
	struct tree t = { .n = 1ull << 63 };
	uint8_t hash[HASH_LEN] = { 0 };

	(void)state;
	assert_int_equal(tree_add(&t, hash), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots_match_the_vectors),
		cmocka_unit_test(test_inclusion_paths_match_the_vectors),
		cmocka_unit_test(test_consistency_proofs_match_the_vectors),
		cmocka_unit_test(test_every_leaf_is_shown_and_nothing_else),
		cmocka_unit_test(test_every_extension_is_shown_and_nothing_else),
		cmocka_unit_test(test_proofs_outside_the_tree_are_refused),
		cmocka_unit_test(test_a_range_comes_back),
		cmocka_unit_test(test_a_tree_has_an_end),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
