/*
 * The verifier says yes to a clean store, and names the place and the kind of every damage that we
 * can think of.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "recorder/block.h"
#include "recorder/head.h"
#include "recorder/journal.h"
#include "recorder/mlog.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/tree.h"
#include "recorder/verify_part.h"
#include "tests/unit/store_rig.h"

static void
piece_key(const uint8_t *sid, uint32_t block, uint8_t ret_key[BLOCK_KEY_LEN + 2])
{
	block_key(sid, block, ret_key);
	ret_key[BLOCK_KEY_LEN] = ret_key[BLOCK_KEY_LEN + 1] = 0;
}

static void
log_key(uint64_t index, uint8_t ret_key[8])
{
	for (unsigned i = 0; i < 8; i++)
		ret_key[i] = (uint8_t)(index >> (56 - 8 * i));
}

static void
test_a_clean_store_is_good(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 40, 16384, sid);
	rig_closed(rig, 1, 8, sid);
	rig_data(rig_session(rig), 30, 9000);
	assert_int_equal(chain_audit(rig->chain, "{\"event\":\"x\"}", 13), 0);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_sessions, 3);
	assert_int_equal(rig->result.n_good, 3);
	assert_int_equal(rig->result.n_open, 1);
	assert_int_equal(rig->result.n_events, 71);
}

static void
test_an_empty_store_is_good(void **state)
{
	struct rig *rig = *state;

	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.log_size, 2);
}

static void
test_a_flipped_byte_in_the_data_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[BLOCK_KEY_LEN + 2];

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	piece_key(sid, 2, key);
	rig_flip(rig, STORE_BLK, key, sizeof(key), -50);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "block 2"));
	assert_int_equal(rig->n_findings, 1);
	assert_memory_equal(rig->findings[0].sid, sid, REC_SID_LEN);
	/* When it was recorded: at some time of this test. */
	assert_true(rig->findings[0].from_wall_ns > clock_wall_ns() - 600 * CLOCK_NS_PER_S);
	assert_true(rig->findings[0].to_wall_ns >= rig->findings[0].from_wall_ns);
	assert_true(rig->findings[0].to_wall_ns <= clock_wall_ns());
}

static void
test_each_kind_says_what_to_do(void **state)
{
	(void)state;
	for (int kind = VERIFY_FLIPPED; kind <= VERIFY_EXTRA; kind++) {
		assert_true(strlen(verify_kind_advice((enum verify_kind)kind)) > 20);
		assert_string_not_equal(verify_kind_name((enum verify_kind)kind), "unknown");
	}
}

/* Every byte of a small session's data, header and record, one after another. */
static void
test_no_byte_of_a_session_can_be_flipped(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[BLOCK_KEY_LEN + 2];
	const struct {
		enum store_db db;
		size_t key_len;
		int len;
	} values[] = {
		{ STORE_HDR, BLOCK_KEY_LEN, (int)BLOCK_HDR_LEN },
		{ STORE_BLK, BLOCK_KEY_LEN + 2, 40 },
		{ STORE_SESS, REC_SID_LEN, 200 },
	};

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	piece_key(sid, 0, key);
	for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
		for (int i = 0; i < values[v].len; i++) {
			rig_flip(rig, values[v].db, key, values[v].key_len, i);
			assert_int_equal(rig_verify(rig), ERR_CHAIN);
			rig_flip(rig, values[v].db, key, values[v].key_len, i);
		}
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_no_byte_of_the_log_can_be_flipped(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[8];

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	for (uint64_t leaf = 0; leaf < 4; leaf++)
		for (int i = 0; i < 42; i++) {
			log_key(leaf, key);
			rig_flip(rig, STORE_LOG, key, sizeof(key), i);
			assert_int_equal(rig_verify(rig), ERR_CHAIN);
			rig_flip(rig, STORE_LOG, key, sizeof(key), i);
		}
	for (int i = 1; i < 150; i++) {
		rig_flip(rig, STORE_META, "ckpt", 4, -i);
		assert_int_equal(rig_verify(rig), ERR_CHAIN);
		rig_flip(rig, STORE_META, "ckpt", 4, -i);
	}
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_a_flipped_leaf_is_a_finding_about_the_log(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[8];

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	log_key(2, key);
	rig_flip(rig, STORE_LOG, key, sizeof(key), 5);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_LOG, "log"));
}

static void
test_a_flipped_header_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[BLOCK_KEY_LEN];

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	block_key(sid, 1, key);
	rig_flip(rig, STORE_HDR, key, sizeof(key), 52); /* wall clock: only the root covers it */
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "headers"));
	rig_flip(rig, STORE_HDR, key, sizeof(key), 52);
	rig_flip(rig, STORE_HDR, key, sizeof(key), 24); /* first sequence number */
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "block 1"));
}

static void
delete_block(struct rig *rig, const uint8_t *sid, uint32_t block)
{
	struct store *store = rig_touch(rig);
	uint8_t key[BLOCK_KEY_LEN];

	block_key(sid, block, key);
	assert_int_equal(store_del(store, STORE_HDR, key, sizeof(key)), 0);
	assert_int_equal(store_del_pieces(store, STORE_BLK, key, sizeof(key)), 0);
	rig_untouch(store);
}

static void
test_a_cut_tail_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	delete_block(rig, sid, 5);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_CUT, "block 5"));
}

static void
test_a_hole_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	delete_block(rig, sid, 3);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_MISSING, "block 3"));
}

/* Cut, and the record repaired to fit as well as one can without the key. */
static void
test_data_deleted_under_its_header_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[BLOCK_KEY_LEN];
	struct store *store;

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	block_key(sid, 4, key);
	assert_int_equal(store_del_pieces(store, STORE_BLK, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_MISSING, "block 4"));
}

static void
swap_values(struct store *store, enum store_db db, const void *a, const void *b, size_t key_len)
{
	uint8_t copy_a[STORE_PIECE], copy_b[STORE_PIECE];
	const uint8_t *data;
	size_t len_a, len_b;

	assert_int_equal(store_get(store_pending(store), db, a, key_len, &data, &len_a), 0);
	memcpy(copy_a, data, len_a);
	assert_int_equal(store_get(store_pending(store), db, b, key_len, &data, &len_b), 0);
	memcpy(copy_b, data, len_b);
	assert_int_equal(store_put(store, db, a, key_len, copy_b, len_b), 0);
	assert_int_equal(store_put(store, db, b, key_len, copy_a, len_a), 0);
}

static void
test_swapped_blocks_are_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], a[BLOCK_KEY_LEN], b[BLOCK_KEY_LEN];
	struct store *store;

	rig_closed(rig, 40, 16384, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	block_key(sid, 1, a);
	block_key(sid, 2, b);
	swap_values(store, STORE_HDR, a, b, sizeof(a));
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_REORDERED, "block 1"));
	assert_true(rig_found(rig, VERIFY_REORDERED, "block 2"));
}

static void
test_a_block_of_another_session_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN], a[BLOCK_KEY_LEN], b[BLOCK_KEY_LEN];
	struct store *store;

	rig_closed(rig, 40, 16384, sid);
	rig_closed(rig, 40, 16384, other);
	rig_crash(rig);
	store = rig_touch(rig);
	block_key(sid, 1, a);
	block_key(other, 1, b);
	swap_values(store, STORE_HDR, a, b, sizeof(a));
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FOREIGN, "block 1"));
}

/* Rewrites a small block with its events 2 and 3 exchanged, header untouched. */
static void
swap_events(struct rig *rig, const uint8_t *sid)
{
	struct block_codec_ctx *codec = block_codec_new();
	struct buf *raw = buf_new(BLOCK_RAW_MAX), *swapped = buf_new(BLOCK_RAW_MAX),
		   *stored = buf_new(BLOCK_STORED_MAX);
	struct store *store = rig_touch(rig);
	uint8_t salt[BLOCK_SALT_LEN], key[BLOCK_KEY_LEN], own[CRYPT_KEY_LEN];
	struct event_reader reader;
	struct block_hdr hdr;
	struct event ev;
	size_t cut[4];

	assert_int_equal(seskey_get(store_pending(store), sid, own), 0);
	assert_int_equal(block_get_hdr(store_pending(store), sid, 0, &hdr), 0);
	assert_int_equal(block_get_raw(store_pending(store), codec, own, &hdr, raw, salt), 0);
	event_reader_init(&reader, buf_ptr(raw), buf_len(raw), 1, 0);
	for (int i = 0; i < 4; i++) {
		cut[i] = reader.off;
		assert_int_equal(event_next(&reader, &ev), 0);
	}
	assert_int_equal(buf_put(swapped, buf_ptr(raw), cut[1]), 0);
	assert_int_equal(buf_put(swapped, buf_ptr(raw) + cut[2], cut[3] - cut[2]), 0);
	assert_int_equal(buf_put(swapped, buf_ptr(raw) + cut[1], cut[2] - cut[1]), 0);
	assert_int_equal(buf_put(swapped, buf_ptr(raw) + cut[3], buf_len(raw) - cut[3]), 0);
	assert_int_equal(
	    block_seal(codec, own, sid, 0, salt, buf_ptr(swapped), buf_len(swapped), stored), 0);
	block_key(sid, 0, key);
	assert_int_equal(store_del_pieces(store, STORE_BLK, key, sizeof(key)), 0);
	assert_int_equal(store_put_pieces(store, STORE_BLK, key, sizeof(key), buf_ptr(stored),
			     buf_len(stored), false),
	    0);
	rig_untouch(store);
	buf_free(raw);
	buf_free(swapped);
	buf_free(stored);
	block_codec_free(codec);
}

static void
test_swapped_events_are_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 10, 100, sid);
	rig_crash(rig);
	swap_events(rig, sid);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_REORDERED, "event 2"));
}

static void
test_edited_metadata_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	rig_flip(rig, STORE_SESS, sid, REC_SID_LEN, 122); /* inside the identity */
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_METADATA, "opening"));
	rig_flip(rig, STORE_SESS, sid, REC_SID_LEN, 122);
	rig_flip(rig, STORE_SESS, sid, REC_SID_LEN, -20); /* a byte counter */
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_METADATA, "end"));
}

static void
test_a_removed_end_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], copy[4096];
	struct store *store;
	const uint8_t *data;
	struct sess s;
	size_t len;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(
	    store_get(store_pending(store), STORE_SESS, sid, REC_SID_LEN, &data, &len), 0);
	/* The opening alone: version, string, leaf. */
	len = 1 + 4 + ((size_t)data[3] << 8 | data[4]) + 8;
	memcpy(copy, data, len);
	assert_int_equal(sess_parse(copy, len, &s), 0);
	sess_done(&s);
	assert_int_equal(store_put(store, STORE_SESS, sid, REC_SID_LEN, copy, len), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_METADATA, "end"));
}

/* Everything of a session, as somebody would who wants it never to have been. */
static void
delete_session(struct rig *rig, const uint8_t *sid)
{
	struct store *store = rig_touch(rig);
	uint8_t key[BLOCK_KEY_LEN];

	assert_int_equal(store_del(store, STORE_SESS, sid, REC_SID_LEN), 0);
	block_key(sid, 0, key);
	assert_int_equal(store_del(store, STORE_HDR, key, sizeof(key)), 0);
	assert_int_equal(store_del_pieces(store, STORE_BLK, key, sizeof(key)), 0);
	rig_untouch(store);
}

static void
test_a_deleted_session_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN];

	rig_closed(rig, 3, 12, sid);
	rig_closed(rig, 3, 12, other);
	rig_crash(rig);
	delete_session(rig, sid);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_DELETED, "session"));
	assert_memory_equal(rig->findings[rig->n_findings - 1].sid, sid, REC_SID_LEN);
	assert_int_equal(rig->result.n_good, 1);
}

static void
test_a_missing_index_entry_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct store_item item;
	struct store_iter *it;
	struct store *store;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(store_iter_new(store_pending(store), STORE_IX, NULL, 0, false, &it), 0);
	assert_int_equal(store_iter_next(it, &item), 0);
	assert_int_equal(store_del(store, STORE_IX, item.key, item.key_len), 0);
	store_iter_free(it);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_MISSING, "index"));
}

static void
test_a_deleted_last_leaf_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[8];
	struct store *store;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	log_key(3, key);
	assert_int_equal(store_del(store, STORE_LOG, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_CUT, "leaf 3"));
	assert_true(rig_found(rig, VERIFY_FOREIGN, "end"));
}

static void
test_a_deleted_middle_leaf_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[8];
	struct store *store;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	log_key(2, key);
	assert_int_equal(store_del(store, STORE_LOG, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_MISSING, "leaf 2"));
}

/*
 * The whole store rolled back to an earlier, properly signed state: only a checkpoint kept
 * elsewhere shows it.
 */
static void
test_a_rolled_back_log_is_shown_by_an_older_checkpoint(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[8];
	char *early, *late;
	struct store *store;

	early = rig_checkpoint(rig);
	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	late = rig_checkpoint(rig);
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, early), 0);
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, late), 0);

	delete_session(rig, sid);
	store = rig_touch(rig);
	for (uint64_t leaf = 2; leaf < 4; leaf++) {
		log_key(leaf, key);
		assert_int_equal(store_del(store, STORE_LOG, key, sizeof(key)), 0);
	}
	assert_int_equal(store_put(store, STORE_META, "ckpt", 4, early, strlen(early)), 0);
	while (true) {
		struct store_iter *it;
		struct store_item item;
		int r;

		assert_int_equal(
		    store_iter_new(store_pending(store), STORE_IX, NULL, 0, false, &it), 0);
		if ((r = store_iter_next(it, &item)) == 0)
			assert_int_equal(store_del(store, STORE_IX, item.key, item.key_len), 0);
		store_iter_free(it);
		if (r != 0)
			break;
	}
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, late), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_CUT, "older checkpoint"));
	free(early);
	free(late);
}

static void
test_a_rewritten_log_is_shown_by_an_older_checkpoint(void **state)
{
	struct rig *rig = *state;
	char *other = NULL, *note = NULL;
	struct note_checkpoint c = { .origin = "bastiond/test", .size = 2, .root = { 1 } };
	char text[512];

	rig_crash(rig);
	assert_int_equal(note_checkpoint_text(text, sizeof(text), &c), 0);
	assert_int_equal(
	    note_sign(text, &rig->signer.key, secret_cptr(rig->signer.secret), &note), 0);
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, note), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_LOG, "older checkpoint"));
	(void)strcpy(c.origin, "somebody/else");
	assert_int_equal(note_checkpoint_text(text, sizeof(text), &c), 0);
	assert_int_equal(
	    note_sign(text, &rig->signer.key, secret_cptr(rig->signer.secret), &other), 0);
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, other), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FOREIGN, "older checkpoint"));
	free(note);
	free(other);
}

/* A whole store made with another key: everything fits, nothing is ours. */
static void
test_another_key_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], key[NOTE_KEY_LEN] = { 9 };
	struct note_key trusted;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	assert_int_equal(note_key_init("bastiond/test", key, &trusted), 0);
	assert_int_equal(rig_verify_with(rig, &trusted, NULL), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_OTHER_KEY, "checkpoint"));
	assert_true(rig_found(rig, VERIFY_OTHER_KEY, "leaf 1"));
	assert_true(rig_found(rig, VERIFY_OTHER_KEY, "end digest"));
	assert_int_equal(rig->result.n_good, 0);
}

/* The checkpoint alone re-signed over a log that was cut to fit. */
static void
test_a_re_signed_checkpoint_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct note_checkpoint c;
	struct signer mallory;
	char path[200], *note = NULL, *old;
	size_t text_len;
	struct store *store;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	(void)snprintf(path, sizeof(path), "%s/mallory.key", rig->dir);
	assert_int_equal(signer_load(path, "bastiond/test", &mallory), 0);
	old = rig_checkpoint(rig);
	assert_int_equal(note_verify(old, strlen(old), &rig->signer.key, &text_len), 0);
	assert_int_equal(note_checkpoint_parse(old, text_len, &c), 0);
	old[text_len] = '\0';
	assert_int_equal(note_sign(old, &mallory.key, secret_cptr(mallory.secret), &note), 0);
	store = rig_touch(rig);
	assert_int_equal(store_put(store, STORE_META, "ckpt", 4, note, strlen(note)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_OTHER_KEY, "checkpoint"));
	signer_done(&mallory);
	free(note);
	free(old);
}

static void
test_a_foreign_session_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], copy[4096], stranger[REC_SID_LEN] = { 7 };
	struct store *store;
	const uint8_t *data;
	size_t len;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(
	    store_get(store_pending(store), STORE_SESS, sid, REC_SID_LEN, &data, &len), 0);
	memcpy(copy, data, len);
	assert_int_equal(store_put(store, STORE_SESS, stranger, REC_SID_LEN, copy, len), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FOREIGN, "record"));
}

static void
test_data_behind_the_signed_end_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN], from[BLOCK_KEY_LEN], to[BLOCK_KEY_LEN], copy[BLOCK_HDR_LEN];
	struct store *store;
	const uint8_t *data;
	size_t len;

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	block_key(sid, 0, from);
	block_key(sid, 1, to);
	assert_int_equal(
	    store_get(store_pending(store), STORE_HDR, from, sizeof(from), &data, &len), 0);
	memcpy(copy, data, len);
	assert_int_equal(store_put(store, STORE_HDR, to, sizeof(to), copy, len), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_EXTRA, "block 1"));
}

/* Put a copy of the first header of a session under another number. */
static void
add_header(struct rig *rig, const uint8_t *sid, uint32_t block)
{
	uint8_t from[BLOCK_KEY_LEN], to[BLOCK_KEY_LEN], copy[BLOCK_HDR_LEN];
	struct store *store = rig_touch(rig);
	const uint8_t *data;
	size_t len;

	block_key(sid, 0, from);
	block_key(sid, block, to);
	assert_int_equal(
	    store_get(store_pending(store), STORE_HDR, from, sizeof(from), &data, &len), 0);
	memcpy(copy, data, len);
	assert_int_equal(store_put(store, STORE_HDR, to, sizeof(to), copy, len), 0);
	rig_untouch(store);
}

/* Also under the highest number that there is, which no count of 32 bits reaches. */
static void
test_a_block_of_the_highest_number_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];

	rig_closed(rig, 3, 12, sid);
	rig_crash(rig);
	add_header(rig, sid, UINT32_MAX);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_EXTRA, "block 1"));
}

/* One finding, not one for each number below. */
static void
test_a_block_far_behind_an_open_session_is_named_once(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];

	memcpy(sid, session_sid(s), REC_SID_LEN);
	rig_data(s, 30, 9000);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	add_header(rig, sid, 1u << 20);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_int_equal(rig->result.n_findings, 1);
	assert_true(rig_found(rig, VERIFY_EXTRA, "block "));
}

/* Who has a signing key can sign any number of blocks; what is missing of them is told once. */
static void
test_a_wide_gap_between_blocks_is_named_once(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN], bytes[HEAD_LEN];
	struct store *store;
	const uint8_t *data;
	struct head head;
	size_t len;

	memcpy(sid, session_sid(s), REC_SID_LEN);
	rig_data(s, 30, 9000);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(
	    store_get(store_pending(store), STORE_HEAD, sid, sizeof(sid), &data, &len), 0);
	assert_int_equal(head_verify(data, len, rig->signer.key.key, &head), 0);
	head.n_blocks = UINT32_MAX;
	assert_int_equal(head_sign(&head, secret_cptr(rig->signer.secret), bytes), 0);
	assert_int_equal(store_put(store, STORE_HEAD, sid, sizeof(sid), bytes, sizeof(bytes)), 0);
	rig_untouch(store);
	add_header(rig, sid, UINT32_MAX - 1);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_MISSING, "block "));
	assert_int_equal(rig->result.n_findings, 2);
}

/* Its records are read, not every number between them. */
static void
test_a_journal_with_a_wide_gap_is_read_to_its_end(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t key[JOURNAL_KEY_LEN + 2] = { 0 }, copy[4096];
	struct store *store;
	const uint8_t *data;
	size_t len;

	rig_data(s, 2, 50);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);
	store = rig_touch(rig);
	key[7] = 1;
	assert_int_equal(
	    store_get(store_pending(store), STORE_JOURNAL, key, sizeof(key), &data, &len), 0);
	assert_true(len <= sizeof(copy));
	memcpy(copy, data, len);
	memset(key, 0xff, JOURNAL_KEY_LEN);
	assert_int_equal(store_put(store, STORE_JOURNAL, key, sizeof(key), copy, len), 0);
	rig_untouch(store);
	/* What stands there a second time is passed over as what a sealed block had. */
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_an_edited_audit_event_is_named(void **state)
{
	struct rig *rig = *state;
	uint8_t key[8];
	struct store *store;

	assert_int_equal(chain_audit(rig->chain, "{\"event\":\"x\"}", 13), 0);
	assert_int_equal(chain_audit(rig->chain, "{\"event\":\"y\"}", 13), 0);
	rig_crash(rig);
	log_key(2, key);
	rig_flip(rig, STORE_AUDIT, key, sizeof(key), -3);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "leaf 2"));
	store = rig_touch(rig);
	assert_int_equal(store_del(store, STORE_AUDIT, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_DELETED, "leaf 2"));
}

/* Open sessions: what was under a signed head cannot be touched either. */
static void
test_an_open_session_cannot_be_cut_below_its_head(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t key[JOURNAL_KEY_LEN + 2] = { 0 };
	struct store *store;

	rig_data(s, 2, 50);
	rig_commit(rig);
	rig_data(s, 2, 50);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	store = rig_touch(rig);
	key[7] = 2;
	assert_int_equal(store_del(store, STORE_JOURNAL, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_CUT, "journal"));
}

static void
test_a_flipped_byte_in_the_journal_is_named(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t key[JOURNAL_KEY_LEN + 2] = { 0 };

	rig_data(s, 2, 50);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);
	key[7] = 1;
	rig_flip(rig, STORE_JOURNAL, key, sizeof(key), -10);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "journal"));
}

/* Three sessions are open, each with something in every record: what is wrong is said of the one that it is about. */
static void
test_open_sessions_are_told_apart_in_the_journal(void **state)
{
	static const size_t limits[] = { 0, 1 }; /* all of it in memory, nothing of it */
	uint8_t key[JOURNAL_KEY_LEN + 2] = { 0 }, sid[3][REC_SID_LEN];
	struct rig *rig = *state;
	struct session *s[3];

	for (size_t i = 0; i < 3; i++) {
		s[i] = rig_session(rig);
		memcpy(sid[i], session_sid(s[i]), REC_SID_LEN);
	}
	for (unsigned n = 0; n < 4; n++) {
		for (size_t i = 0; i < 3; i++)
			rig_data(s[i], 2, 50);
		rig_commit(rig);
	}
	rig_crash(rig);
	for (size_t i = 0; i < 2; i++) {
		rig->journal_max = limits[i];
		assert_int_equal(rig_verify(rig), 0);
		assert_int_equal(rig->result.n_open, 3);
		assert_int_equal(rig->result.n_events, 24);
	}
	/* The last fragment of the second record is the third session's: sessions are written in the order they got dirty. */
	key[JOURNAL_KEY_LEN - 1] = 2;
	rig_flip(rig, STORE_JOURNAL, key, sizeof(key), -10);
	for (size_t i = 0; i < 2; i++) {
		rig->journal_max = limits[i];
		assert_int_equal(rig_verify(rig), ERR_CHAIN);
		assert_true(rig_found(rig, VERIFY_FLIPPED, "journal"));
		assert_int_equal(rig->n_findings, 1);
		assert_memory_equal(rig->findings[0].sid, sid[2], REC_SID_LEN);
		assert_int_equal(rig->result.n_good, 2);
	}
}

static void
test_an_open_session_without_head_is_named(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];
	struct store *store;

	memcpy(sid, session_sid(s), REC_SID_LEN);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(store_del(store, STORE_HEAD, sid, REC_SID_LEN), 0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_CUT, "head"));
}

static void
test_one_session_is_verified_alone(void **state)
{
	struct rig *rig = *state;
	uint8_t good[REC_SID_LEN], bad[REC_SID_LEN], none[REC_SID_LEN] = { 1 };
	struct verify_conf conf = { .key = &rig->signer.key };
	struct verify_result result;
	struct store_snap *snap;
	struct store *store;
	uint8_t key[BLOCK_KEY_LEN + 2];

	rig_closed(rig, 3, 12, good);
	rig_closed(rig, 3, 12, bad);
	rig_crash(rig);
	piece_key(bad, 0, key);
	rig_flip(rig, STORE_BLK, key, sizeof(key), -1);
	assert_int_equal(store_open_read(rig->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_int_equal(verify_session(snap, &conf, good, &result), 0);
	assert_int_equal(result.n_good, 1);
	assert_int_equal(verify_session(snap, &conf, bad, &result), ERR_CHAIN);
	assert_int_equal(result.n_findings, 1);
	assert_int_equal(verify_session(snap, &conf, none, &result), ERR_NOT_FOUND);
	store_snap_free(snap);
	store_close(store);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#define CHOSEN 20000u

/* Ids that have all but their last bytes in common, and an index that begins with them, make nothing slow. */
static void
test_chosen_ids_are_found_as_fast_as_others(void **state)
{
	struct verify_known *known = calloc(CHOSEN, sizeof(*known));
	struct verify_map map;

	(void)state;
	assert_non_null(known);
	verify_map_init(&map);
	assert_null(verify_map_find(&map, known, known[0].sid));
	for (size_t i = 0; i < CHOSEN; i++) {
		memset(known[i].sid, 0x5a, REC_SID_LEN);
		for (size_t b = 0; b < 4; b++)
			known[i].sid[REC_SID_LEN - 1 - b] = (uint8_t)(i >> (8 * b));
		assert_int_equal(verify_map_add(&map, known, i + 1), 0);
	}
	for (size_t i = 0; i < CHOSEN; i++)
		assert_ptr_equal(verify_map_find(&map, known, known[i].sid), &known[i]);
	assert_true(map.n_steps < 20 * CHOSEN);
	/* Of those with one id the last one counts, and they do not pile up. */
	verify_map_done(&map);
	verify_map_init(&map);
	for (size_t i = 0; i < CHOSEN; i++) {
		memcpy(known[i].sid, known[0].sid, REC_SID_LEN);
		assert_int_equal(verify_map_add(&map, known, i + 1), 0);
	}
	assert_true(map.n_steps < CHOSEN);
	assert_ptr_equal(verify_map_find(&map, known, known[0].sid), &known[CHOSEN - 1]);
	verify_map_done(&map);
	free(known);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_clean_store_is_good),
		T(test_an_empty_store_is_good),
		T(test_a_flipped_byte_in_the_data_is_named),
		cmocka_unit_test(test_each_kind_says_what_to_do),
		T(test_no_byte_of_a_session_can_be_flipped),
		T(test_no_byte_of_the_log_can_be_flipped),
		T(test_a_flipped_leaf_is_a_finding_about_the_log),
		T(test_a_flipped_header_is_named),
		T(test_a_cut_tail_is_named),
		T(test_a_hole_is_named),
		T(test_data_deleted_under_its_header_is_named),
		T(test_swapped_blocks_are_named),
		T(test_a_block_of_another_session_is_named),
		T(test_swapped_events_are_named),
		T(test_edited_metadata_is_named),
		T(test_a_removed_end_is_named),
		T(test_a_deleted_session_is_named),
		T(test_a_missing_index_entry_is_named),
		T(test_a_deleted_last_leaf_is_named),
		T(test_a_deleted_middle_leaf_is_named),
		T(test_a_rolled_back_log_is_shown_by_an_older_checkpoint),
		T(test_a_rewritten_log_is_shown_by_an_older_checkpoint),
		T(test_another_key_is_named),
		T(test_a_re_signed_checkpoint_is_named),
		T(test_a_foreign_session_is_named),
		T(test_data_behind_the_signed_end_is_named),
		T(test_a_block_of_the_highest_number_is_named),
		T(test_a_block_far_behind_an_open_session_is_named_once),
		T(test_a_wide_gap_between_blocks_is_named_once),
		T(test_a_journal_with_a_wide_gap_is_read_to_its_end),
		T(test_an_edited_audit_event_is_named),
		T(test_an_open_session_cannot_be_cut_below_its_head),
		T(test_a_flipped_byte_in_the_journal_is_named),
		T(test_open_sessions_are_told_apart_in_the_journal),
		T(test_an_open_session_without_head_is_named),
		T(test_one_session_is_verified_alone),
		cmocka_unit_test(test_chosen_ids_are_found_as_fast_as_others),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
