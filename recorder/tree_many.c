/* One walk over the tree, down along the wanted leaves and straight through everything else. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "recorder/tree_many.h"

struct many {
	tree_leaf_fn leaf;
	void *arg;
};

static int
add_to_all(struct tree_want *wants, size_t n, const uint8_t hash[HASH_LEN])
{
	for (size_t i = 0; i < n; i++) {
		struct tree_proof *p = &wants[i].proof;

		if (p->n == TREE_DEPTH_MAX)
			return ERR_LIMIT;
		memcpy(p->hashes[p->n++], hash, HASH_LEN);
	}
	return 0;
}

/* The root of leaves first to end - 1; wants: those among them. At most 64 deep: each call halves. */
static int
walk(const struct many *m, uint64_t first, uint64_t end, struct tree_want *wants, size_t n,
    uint8_t ret_root[HASH_LEN])
{
	uint8_t left[HASH_LEN], right[HASH_LEN];
	uint64_t mid;
	size_t n_left = 0;
	int r;

	if (n == 0 || end - first == 1)
		return tree_root_of(m->leaf, m->arg, first, end, ret_root);
	mid = first + (1ull << (63 - __builtin_clzll(end - first - 1)));
	while (n_left < n && wants[n_left].index < mid)
		n_left++;
	if ((r = walk(m, first, mid, wants, n_left, left)) != 0 ||
	    (r = walk(m, mid, end, wants + n_left, n - n_left, right)) != 0 ||
	    (r = add_to_all(wants, n_left, right)) != 0 ||
	    (r = add_to_all(wants + n_left, n - n_left, left)) != 0)
		return r;
	tree_node(left, right, ret_root);
	return 0;
}

int
tree_inclusions(tree_leaf_fn leaf, void *arg, uint64_t n, struct tree_want *wants, size_t n_wants)
{
	const struct many m = { leaf, arg };
	uint8_t root[HASH_LEN];

	for (size_t i = 0; i < n_wants; i++) {
		if (wants[i].index >= n || (i > 0 && wants[i].index <= wants[i - 1].index))
			return ERR_LIMIT;
		wants[i].proof.n = 0;
	}
	return n_wants == 0 ? 0 : walk(&m, 0, n, wants, n_wants, root);
}

void
tree_root_before(
    const struct tree_proof *proof, uint64_t index, uint64_t n, uint8_t ret_root[HASH_LEN])
{
	uint64_t fn = index, sn = n - 1;
	uint8_t root[HASH_LEN];
	bool any = false;

	/* As tree_check_inclusion() goes: the hashes that it takes from the left, smallest first. */
	for (size_t i = 0; i < proof->n && sn != 0; i++) {
		if ((fn & 1) != 0 || fn == sn) {
			if (any)
				tree_node(proof->hashes[i], root, root);
			else
				memcpy(root, proof->hashes[i], HASH_LEN);
			any = true;
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (!any)
		hash_sha256(NULL, 0, root);
	memcpy(ret_root, root, HASH_LEN);
}
