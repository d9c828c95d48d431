/*
 * The Merkle tree of RFC 6962 section 2.1: SHA-256, 0x00 before leaves, 0x01 before nodes. Growing
 * trees are kept as their compact range: the roots of the full subtrees that the leaves so far
 * form, largest first.
 */
#ifndef BASTION_RECORDER_TREE_H
#define BASTION_RECORDER_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"

#define TREE_DEPTH_MAX 64u /* hashes of any proof or range */

struct tree {
	uint64_t n;				 /* leaves */
	uint8_t peaks[TREE_DEPTH_MAX][HASH_LEN]; /* one for each bit set in n, highest bit first */
};

/* An empty tree. */
void tree_init(struct tree *t);
/* The hash of a leaf's bytes. */
void tree_leaf(const void *data, size_t len, uint8_t ret_hash[HASH_LEN]);
/* The hash of a node over two hashes. */
void tree_node(
    const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN], uint8_t ret_hash[HASH_LEN]);
/* Append a leaf by its hash. 0; ERR_LIMIT at 2^63 leaves. */
int tree_add(struct tree *t, const uint8_t leaf[HASH_LEN]) MUST_CHECK;
/* The root; of an empty tree the hash of nothing. */
void tree_root(const struct tree *t, uint8_t ret_root[HASH_LEN]);
/* The range as bytes: u64 leaves, then the peaks. 0; ERR_LIMIT; -ENOMEM. */
int tree_put(struct buf *b, const struct tree *t) MUST_CHECK;
/* The reverse; all bytes must be used. 0; ERR_FORMAT. */
int tree_parse(const void *data, size_t len, struct tree *ret_tree) MUST_CHECK;

/* Where proofs take the leaf hashes from. 0; negative ends the proof with that error. */
typedef int (*tree_leaf_fn)(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN]);
struct tree_proof {
	size_t n;
	uint8_t hashes[TREE_DEPTH_MAX][HASH_LEN];
};

/*
 * Root of the leaves first..end-1 (RFC 6962: MTH(D[first:end])), reading each. 0; the error of
 * leaf.
 */
int tree_root_of(tree_leaf_fn leaf, void *arg, uint64_t first, uint64_t end,
    uint8_t ret_root[HASH_LEN]) MUST_CHECK;
/*
 * RFC 6962 section 2.1.1, the path of leaf index in a tree of n leaves. 0; ERR_LIMIT index not in
 * it; errors of leaf.
 */
int tree_inclusion(tree_leaf_fn leaf, void *arg, uint64_t index, uint64_t n,
    struct tree_proof *ret_proof) MUST_CHECK;
/*
 * RFC 6962 section 2.1.2, that the tree of n leaves extends the one of m leaves; empty for m 0 and
 * m n. Errors as above.
 */
int tree_consistency(
    tree_leaf_fn leaf, void *arg, uint64_t m, uint64_t n, struct tree_proof *ret_proof) MUST_CHECK;

/* 0 when the proof shows leaf at index under root; ERR_CHAIN when not. */
int tree_check_inclusion(const struct tree_proof *proof, uint64_t index, uint64_t n,
    const uint8_t leaf[HASH_LEN], const uint8_t root[HASH_LEN]) MUST_CHECK;
/* 0 when the proof shows that root_n extends root_m; ERR_CHAIN when not. */
int tree_check_consistency(const struct tree_proof *proof, uint64_t m, uint64_t n,
    const uint8_t root_m[HASH_LEN], const uint8_t root_n[HASH_LEN]) MUST_CHECK;

#endif
