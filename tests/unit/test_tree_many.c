/* Many paths in one walk are the paths that RFC 6962 section 2.1.1 has for each leaf alone. */
#include "config.h"

#include "recorder/tree_many.h"
#include "tests/lib/test.h"

#define LEAVES 70u

/* A leaf that is its number; counts how often each is read. */
static int
number_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	unsigned *reads = arg;

	reads[index]++;
	tree_leaf(&index, sizeof(index), ret_hash);
	return 0;
}

static int
broken_leaf(void *arg, uint64_t index, uint8_t ret_hash[HASH_LEN])
{
	(void)arg;
	memset(ret_hash, 0, HASH_LEN);
	return index == 5 ? -5 : 0;
}

static void
test_each_is_the_path_of_its_leaf(void **state)
{
	struct tree_want wants[LEAVES];
	struct tree_proof alone;
	unsigned reads[LEAVES];

	(void)state;
	for (unsigned n = 1; n <= LEAVES; n++)
		for (unsigned step = 1; step <= n; step++) {
			size_t n_wants = 0;

			for (unsigned i = step - 1; i < n; i += step)
				wants[n_wants++].index = i;
			memset(reads, 0, sizeof(reads));
			assert_int_equal(tree_inclusions(number_leaf, reads, n, wants, n_wants), 0);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(reads[i], 1);
			for (size_t i = 0; i < n_wants; i++) {
				assert_int_equal(
				    tree_inclusion(number_leaf, reads, wants[i].index, n, &alone),
				    0);
				assert_int_equal(wants[i].proof.n, alone.n);
				assert_memory_equal(
				    wants[i].proof.hashes, alone.hashes, alone.n * HASH_LEN);
			}
		}
}

static void
test_what_is_not_in_order_or_not_there_is_refused(void **state)
{
	struct tree_want wants[2] = { { .index = 3 }, { .index = 3 } };
	unsigned reads[LEAVES] = { 0 };

	(void)state;
	assert_int_equal(tree_inclusions(number_leaf, reads, 10, wants, 2), ERR_LIMIT);
	wants[1].index = 2;
	assert_int_equal(tree_inclusions(number_leaf, reads, 10, wants, 2), ERR_LIMIT);
	wants[1].index = 10;
	assert_int_equal(tree_inclusions(number_leaf, reads, 10, wants, 2), ERR_LIMIT);
	wants[1].index = 9;
	assert_int_equal(tree_inclusions(number_leaf, reads, 10, wants, 2), 0);
	assert_int_equal(tree_inclusions(number_leaf, reads, 0, wants, 0), 0);
	assert_int_equal(tree_inclusions(broken_leaf, NULL, 10, wants, 2), -5);
}

static void
test_a_path_holds_the_root_of_what_was_before(void **state)
{
	uint8_t want[HASH_LEN], got[HASH_LEN];
	unsigned reads[LEAVES] = { 0 };
	struct tree_proof proof;

	(void)state;
	for (unsigned n = 1; n <= LEAVES; n++)
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(tree_inclusion(number_leaf, reads, i, n, &proof), 0);
			assert_int_equal(tree_root_of(number_leaf, reads, 0, i, want), 0);
			tree_root_before(&proof, i, n, got);
			assert_memory_equal(got, want, HASH_LEN);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_the_path_of_its_leaf),
		cmocka_unit_test(test_what_is_not_in_order_or_not_there_is_refused),
		cmocka_unit_test(test_a_path_holds_the_root_of_what_was_before),
	};

	assert_int_equal(hash_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
