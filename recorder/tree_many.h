/* Many inclusion proofs at the cost of one, and what a path tells besides its leaf. */
#ifndef BASTION_RECORDER_TREE_MANY_H
#define BASTION_RECORDER_TREE_MANY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/tree.h"

/* A leaf whose path is wanted. */
struct tree_want {
	uint64_t index;
	struct tree_proof proof;
};

/*
 * The paths of leaves in a tree of n leaves (RFC 6962 section 2.1.1), reading each leaf once.
 * wants: in order of index, no index twice; their proofs are filled. 0; ERR_LIMIT an index is not in
 * the tree or they are not in order; errors of leaf.
 */
int tree_inclusions(
    tree_leaf_fn leaf, void *arg, uint64_t n, struct tree_want *wants, size_t n_wants) MUST_CHECK;

/*
 * The root of the leaves before index, which a path that was checked has in it: the subtrees on the
 * left of the path are theirs. So who proves a leaf proves also what the log was when it was added.
 */
void tree_root_before(
    const struct tree_proof *proof, uint64_t index, uint64_t n, uint8_t ret_root[HASH_LEN]);

#endif
