/*
 * RFC 6962 section 2.1: roots, inclusion and consistency, for the log and for each session's
 * blocks.
 */
#include "config.h"

#include <string.h>

#include "recorder/tree.h"

void
tree_init(struct tree *t)
{
	t->n = 0;
}

void
tree_leaf(const void *data, size_t len, uint8_t ret_hash[HASH_LEN])
{
	static const uint8_t prefix = 0;

	hash_sha256_parts(&prefix, 1, data, len, NULL, 0, ret_hash);
}

void
tree_node(const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN], uint8_t ret_hash[HASH_LEN])
{
	static const uint8_t prefix = 1;

	hash_sha256_parts(&prefix, 1, left, HASH_LEN, right, HASH_LEN, ret_hash);
}

static unsigned
peak_count(uint64_t n)
{
	return (unsigned)__builtin_popcountll(n);
}

int
tree_add(struct tree *t, const uint8_t leaf[HASH_LEN])
{
	uint8_t h[HASH_LEN];
	unsigned n_peaks = peak_count(t->n);

	if (t->n >> 63 != 0)
		return ERR_LIMIT;
	memcpy(h, leaf, HASH_LEN);
	/* Equal subtrees join, as a binary counter carries. */
	for (uint64_t n = t->n; (n & 1) != 0; n >>= 1)
		tree_node(t->peaks[--n_peaks], h, h);
	memcpy(t->peaks[n_peaks], h, HASH_LEN);
	t->n++;
	return 0;
}

void
tree_root(const struct tree *t, uint8_t ret_root[HASH_LEN])
{
	unsigned i = peak_count(t->n);

	if (i == 0) {
		hash_sha256(NULL, 0, ret_root);
		return;
	}
	memcpy(ret_root, t->peaks[--i], HASH_LEN);
	while (i > 0)
		tree_node(t->peaks[--i], ret_root, ret_root);
}

int
tree_put(struct buf *b, const struct tree *t)
{
	int r;

	if (buf_room(b) < sizeof(uint64_t) + peak_count(t->n) * (size_t)HASH_LEN)
		return ERR_LIMIT;
	if ((r = buf_put_u64(b, t->n)) != 0)
		return r;
	return buf_put(b, t->peaks, peak_count(t->n) * (size_t)HASH_LEN);
}

int
tree_parse(const void *data, size_t len, struct tree *ret_tree)
{
	const uint8_t *p = data;
	uint64_t n = 0;

	if (len < sizeof(n))
		return ERR_FORMAT;
	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | p[i];
	if (n >> 63 != 0 || len != sizeof(n) + peak_count(n) * (size_t)HASH_LEN)
		return ERR_FORMAT;
	ret_tree->n = n;
	memcpy(ret_tree->peaks, p + sizeof(n), len - sizeof(n));
	return 0;
}

/* The largest power of two smaller than n, which is at least 2. */
static uint64_t
split_point(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n - 1));
}

int
tree_root_of(tree_leaf_fn leaf, void *arg, uint64_t first, uint64_t end, uint8_t ret_root[HASH_LEN])
{
	uint8_t h[HASH_LEN];
	struct tree t;
	int r;

	tree_init(&t);
	for (uint64_t i = first; i < end; i++)
		if ((r = leaf(arg, i, h)) != 0 || (r = tree_add(&t, h)) != 0)
			return r;
	tree_root(&t, ret_root);
	return 0;
}

static int
proof_add(struct tree_proof *proof, tree_leaf_fn leaf, void *arg, uint64_t first, uint64_t end)
{
	int r;

	if (proof->n == TREE_DEPTH_MAX)
		return ERR_LIMIT;
	r = tree_root_of(leaf, arg, first, end, proof->hashes[proof->n]);
	if (r == 0)
		proof->n++;
	return r;
}

/* Hashes are found from the root down and needed from the leaf up. */
static void
proof_reverse(struct tree_proof *proof)
{
	uint8_t h[HASH_LEN];

	for (size_t i = 0, j = proof->n; i + 1 < j; i++) {
		j--;
		memcpy(h, proof->hashes[i], HASH_LEN);
		memcpy(proof->hashes[i], proof->hashes[j], HASH_LEN);
		memcpy(proof->hashes[j], h, HASH_LEN);
	}
}

int
tree_inclusion(
    tree_leaf_fn leaf, void *arg, uint64_t index, uint64_t n, struct tree_proof *ret_proof)
{
	struct tree_proof proof = { 0 };
	uint64_t first = 0, end = n;
	int r = 0;

	if (index >= n)
		return ERR_LIMIT;
	while (r == 0 && end - first > 1) {
		uint64_t mid = first + split_point(end - first);

		if (index < mid) {
			r = proof_add(&proof, leaf, arg, mid, end);
			end = mid;
		} else {
			r = proof_add(&proof, leaf, arg, first, mid);
			first = mid;
		}
	}
	if (r != 0)
		return r;
	proof_reverse(&proof);
	*ret_proof = proof;
	return 0;
}

/* RFC 6962 section 2.1.2: SUBPROOF, walked down instead of recursing. */
int
tree_consistency(tree_leaf_fn leaf, void *arg, uint64_t m, uint64_t n, struct tree_proof *ret_proof)
{
	struct tree_proof proof = { 0 };
	uint64_t first = 0, end = n;
	int r = 0;

	if (m > n)
		return ERR_LIMIT;
	while (r == 0 && m != 0 && end != m) {
		uint64_t mid = first + split_point(end - first);

		if (m <= mid) {
			r = proof_add(&proof, leaf, arg, mid, end);
			end = mid;
		} else {
			r = proof_add(&proof, leaf, arg, first, mid);
			first = mid;
		}
	}
	/* The old tree itself is known to the one who asks; an inner subtree of it is not. */
	if (r == 0 && first != 0)
		r = proof_add(&proof, leaf, arg, first, end);
	if (r != 0)
		return r;
	proof_reverse(&proof);
	*ret_proof = proof;
	return 0;
}

int
tree_check_inclusion(const struct tree_proof *proof, uint64_t index, uint64_t n,
    const uint8_t leaf[HASH_LEN], const uint8_t root[HASH_LEN])
{
	uint64_t fn = index, sn = n - 1;
	uint8_t h[HASH_LEN];

	if (n == 0 || index >= n)
		return ERR_CHAIN;
	memcpy(h, leaf, HASH_LEN);
	for (size_t i = 0; i < proof->n; i++) {
		if (sn == 0)
			return ERR_CHAIN;
		if ((fn & 1) != 0 || fn == sn) {
			tree_node(proof->hashes[i], h, h);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			tree_node(h, proof->hashes[i], h);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && memcmp(h, root, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
}

/* Both roots are rebuilt from the same hashes (RFC 9162 section 2.1.4.2). */
int
tree_check_consistency(const struct tree_proof *proof, uint64_t m, uint64_t n,
    const uint8_t root_m[HASH_LEN], const uint8_t root_n[HASH_LEN])
{
	uint8_t old[HASH_LEN], new[HASH_LEN];
	uint64_t fn = m - 1, sn = n - 1;
	size_t i = 0;

	if (m > n)
		return ERR_CHAIN;
	if (m == 0)
		return proof->n == 0 ? 0 : ERR_CHAIN;
	if (m == n)
		return proof->n == 0 && memcmp(root_m, root_n, HASH_LEN) == 0 ? 0 : ERR_CHAIN;
	for (; (fn & 1) != 0; fn >>= 1)
		sn >>= 1;
	/* A power of two: the old root itself is the first hash. */
	if (fn != 0) {
		if (proof->n == 0)
			return ERR_CHAIN;
		memcpy(old, proof->hashes[i++], HASH_LEN);
	} else {
		memcpy(old, root_m, HASH_LEN);
	}
	memcpy(new, old, HASH_LEN);
	for (; i < proof->n; i++) {
		if (sn == 0)
			return ERR_CHAIN;
		if ((fn & 1) != 0 || fn == sn) {
			tree_node(proof->hashes[i], old, old);
			tree_node(proof->hashes[i], new, new);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			tree_node(new, proof->hashes[i], new);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || memcmp(old, root_m, HASH_LEN) != 0 || memcmp(new, root_n, HASH_LEN) != 0)
		return ERR_CHAIN;
	return 0;
}
