/*
 * Leaves about sessions that were erased or held, and about keys that follow each other.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/chain_part.h"
#include "recorder/mlog.h"
#include "tests/unit/store_rig.h"

#define ERASED "{\"event\":\"session.erased\",\"by\":\"bob\",\"why\":\"order 7\"}"
#define HELD "{\"event\":\"session.held\",\"by\":\"bob\",\"why\":\"case 3\"}"

static void
last_leaf(struct store_snap *snap, uint64_t index, struct mlog_leaf *ret_leaf)
{
	const uint8_t *data;
	size_t len;

	assert_int_equal(mlog_leaf_get(snap, index, &data, &len), 0);
	assert_int_equal(mlog_leaf_parse(data, len, ret_leaf), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(mlog_leaf_parse(data, cut, ret_leaf), 0);
	assert_int_equal(mlog_leaf_parse(data, len, ret_leaf), 0);
}

static void
test_erasing_and_holding_are_leaves_with_their_text_beside(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], hash[HASH_LEN];
	struct store_snap *snap;
	struct mlog_leaf leaf;
	const uint8_t *text;
	size_t len;

	rig_closed(rig, 1, 8, sid);
	assert_int_equal(chain_txn(rig->chain), 0);
	assert_int_equal(
	    mlog_erase(&rig->chain->log, sid, MLOG_ERASE_AGE, ERASED, strlen(ERASED)), 0);
	assert_int_equal(mlog_hold(&rig->chain->log, sid, true, HELD, strlen(HELD)), 0);
	assert_int_equal(
	    mlog_hold(&rig->chain->log, sid, true, ERASED, REC_AUDIT_MAX + 1), ERR_LIMIT);
	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	last_leaf(snap, 4, &leaf);
	assert_int_equal(leaf.type, MLOG_ERASE);
	assert_int_equal(leaf.how, MLOG_ERASE_AGE);
	assert_memory_equal(leaf.sid, sid, REC_SID_LEN);
	assert_int_equal(mlog_audit_get(snap, 4, &text, &len), 0);
	assert_int_equal(len, strlen(ERASED));
	assert_memory_equal(text, ERASED, len);
	hash_sha256(text - MLOG_SALT_LEN, MLOG_SALT_LEN + len, hash);
	assert_memory_equal(leaf.hash, hash, HASH_LEN);
	last_leaf(snap, 5, &leaf);
	assert_int_equal(leaf.type, MLOG_HOLD);
	assert_int_equal(leaf.how, 1);
	assert_string_equal(mlog_type_name(MLOG_ERASE), "erase");
	assert_string_equal(mlog_type_name(MLOG_HOLD), "hold");
	assert_string_equal(mlog_erase_name(MLOG_ERASE_SPACE), "space");
	assert_string_equal(mlog_erase_name(77), "unknown");
	store_snap_free(snap);
}

static void
test_a_hold_is_on_or_off(void **state)
{
	uint8_t leaf_bytes[2 + 8 + REC_SID_LEN + 1 + HASH_LEN] = { 1, MLOG_HOLD };
	struct mlog_leaf leaf;

	(void)state;
	assert_int_equal(mlog_leaf_parse(leaf_bytes, sizeof(leaf_bytes), &leaf), 0);
	leaf_bytes[2 + 8 + REC_SID_LEN] = 2;
	assert_int_equal(mlog_leaf_parse(leaf_bytes, sizeof(leaf_bytes), &leaf), ERR_FORMAT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_erasing_and_holding_are_leaves_with_their_text_beside),
		cmocka_unit_test(test_a_hold_is_on_or_off),
	};

	return cmocka_run_group_tests_name("mlog", tests, NULL, NULL);
}
