/*
 * A session leaves its store in a bundle that verifies alone, and every change of one is found and
 * named.
 */
#include "config.h"

#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/block.h"
#include "recorder/mlog.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "recorder/verify_bundle.h"
#include "tests/lib/test.h"
#include "tests/unit/bundle_rig.h"

struct scene {
	struct rig *rig;
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN];
	char good[160], bad[160], second[160];
};

static void
audit(struct scene *s, const char *event, const uint8_t sid[REC_SID_LEN], size_t digits)
{
	char hex[2 * REC_SID_LEN + 1], text[160];
	int n;

	str_hex(hex, sid, REC_SID_LEN);
	n = snprintf(text, sizeof(text), "{\"event\":\"%s\",\"by\":\"carol\",\"session\":\"%.*s\"}",
	    event, (int)digits, hex);
	assert_true(n > 0);
	assert_int_equal(chain_audit(s->rig->chain, text, (size_t)n), 0);
}

/* Two sessions that were looked at, and the bundle of the first. Leaves: INIT KEY OPEN CLOSE OPEN CLOSE, 3 audits. */
static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	rig_setup((void **)&s->rig);
	rig_closed(s->rig, 30, 16384, s->sid);
	rig_closed(s->rig, 3, 100, s->other);
	audit(s, "record.viewed", s->sid, 32);
	audit(s, "record.viewed", s->other, 32);
	audit(s, "record.viewed", s->sid, 6);
	rig_commit(s->rig);
	rig_close(s->rig);
	(void)snprintf(s->good, sizeof(s->good), "%s/good", s->rig->dir);
	(void)snprintf(s->bad, sizeof(s->bad), "%s/bad", s->rig->dir);
	(void)snprintf(s->second, sizeof(s->second), "%s/second", s->rig->dir);
	assert_int_equal(bundle_make(s->rig, s->sid, s->good), 0);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	rig_teardown((void **)&s->rig);
	free(s);
	return 0;
}

static int
verify(struct scene *s, const char *file)
{
	return bundle_verify(s->rig, &s->rig->signer.key, file);
}

static void
test_a_bundle_says_yes(void **state)
{
	struct scene *s = *state;

	assert_int_equal(verify(s, s->good), 0);
	assert_int_equal(s->rig->result.n_sessions, 1);
	assert_int_equal(s->rig->result.n_good, 1);
	assert_int_equal(s->rig->result.n_events, 30);
	assert_int_equal(s->rig->result.log_size, 9);
	assert_int_equal(bundle_make(s->rig, s->other, s->second), 0);
	assert_int_equal(verify(s, s->second), 0);
	assert_int_equal(s->rig->result.n_events, 3);
}

/* What there is of each database. */
static void
test_it_holds_what_belongs_and_nothing_else(void **state)
{
	static const struct {
		enum store_db db;
		uint64_t n;
	} want[] = { { STORE_META, 5 }, { STORE_SESS, 1 }, { STORE_JOURNAL, 0 }, { STORE_HDR, 5 },
		{ STORE_HEAD, 0 }, { STORE_LOG, 6 }, { STORE_AUDIT, 2 }, { STORE_IX, 4 },
		{ STORE_PROOF, 6 } };
	struct scene *s = *state;
	uint8_t sid[REC_SID_LEN];
	struct store_snap *snap;
	struct store *store;
	uint64_t n;

	assert_int_equal(store_open_bundle(s->good, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	for (size_t i = 0; i < N_OF(want); i++) {
		assert_int_equal(store_count(snap, want[i].db, &n), 0);
		assert_int_equal(n, want[i].n);
	}
	assert_int_equal(bundle_sid(snap, sid), 0);
	assert_memory_equal(sid, s->sid, REC_SID_LEN);
	store_snap_free(snap);
	store_close(store);
}

static void
test_its_events_are_those_of_the_store(void **state)
{
	struct scene *s = *state;
	struct store_snap *snap;
	struct store *store;
	struct recording *rec;
	struct recording_part part;
	size_t n = 0;
	int r;

	assert_int_equal(store_open_bundle(s->good, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_int_equal(recording_open(snap, s->sid, &rec), 0);
	while ((r = recording_next(rec, &part)) == 0) {
		n += part.len;
		store_snap_reset(snap);
		assert_int_equal(store_snap_renew(snap), 0);
	}
	assert_int_equal(r, ERR_NOT_FOUND);
	assert_true(n > 30u * 16384);
	assert_int_equal(recording_seek(rec, UINT64_MAX), 0);
	assert_int_equal(recording_next(rec, &part), ERR_NOT_FOUND);
	recording_close(rec);
	store_snap_free(snap);
	store_close(store);
}

static void
test_a_session_that_runs_has_no_bundle(void **state)
{
	static const uint8_t nobody[REC_SID_LEN] = { 1, 2, 3 };
	uint8_t sid[REC_SID_LEN];
	struct scene *s = *state;
	struct session *open;

	rig_open(s->rig);
	open = rig_session(s->rig);
	memcpy(sid, session_sid(open), REC_SID_LEN);
	rig_data(open, 3, 100);
	rig_commit(s->rig);
	rig_close(s->rig);
	assert_int_equal(bundle_make(s->rig, sid, s->second), 1);
	assert_int_equal(bundle_make(s->rig, nobody, s->second), 1);
}

/* An entry to change: the n-th of its database. */
struct change {
	enum store_db db;
	uint64_t n, seen;
	int flip; /* offset of a byte to flip, from the end when negative; INT32_MAX: leave it out */
	uint8_t copy[65536];
};

static bool
change(void *arg, struct bundle_entry *e)
{
	struct change *c = arg;

	if (e->db != (unsigned)c->db || c->seen++ != c->n)
		return true;
	if (c->flip == INT32_MAX)
		return false;
	assert_true(e->len > 0 && e->len <= sizeof(c->copy));
	memcpy(c->copy, e->data, e->len);
	c->copy[c->flip >= 0 ? (size_t)c->flip : e->len - (size_t)-c->flip] ^= 0x01;
	e->data = c->copy;
	return true;
}

static void
test_each_change_is_named(void **state)
{
	static const struct {
		enum store_db db;
		uint64_t n;
		int flip;
		enum verify_kind kind;
		const char *place;
	} cases[] = {
		{ STORE_META, 0, 20, VERIFY_SIGNATURE, "checkpoint" },
		{ STORE_META, 0, INT32_MAX, VERIFY_CUT, "checkpoint" },
		{ STORE_META, 2, 0, VERIFY_METADATA, "origin" },
		{ STORE_META, 3, 0, VERIFY_METADATA, "uuid" },
		{ STORE_META, 3, INT32_MAX, VERIFY_METADATA, "uuid" },
		{ STORE_META, 4, -3, VERIFY_METADATA, "vkey" },
		{ STORE_SESS, 0, 60, VERIFY_METADATA, "opening" },
		{ STORE_SESS, 0, -14, VERIFY_METADATA, "end" },
		{ STORE_SESS, 0, INT32_MAX, VERIFY_DELETED, "record" },
		{ STORE_BLK, 2, -1, VERIFY_FLIPPED, "block" },
		{ STORE_BLK, 2, INT32_MAX, VERIFY_MISSING, "block 2" },
		{ STORE_HDR, 1, 60, VERIFY_FLIPPED, "" },
		{ STORE_HDR, 1, INT32_MAX, VERIFY_MISSING, "block 1" },
		{ STORE_HDR, 4, INT32_MAX, VERIFY_CUT, "" },
		{ STORE_LOG, 0, -1, VERIFY_LOG, "leaf 0" },
		{ STORE_LOG, 0, INT32_MAX, VERIFY_MISSING, "leaf 0" },
		{ STORE_LOG, 1, -40, VERIFY_LOG, "leaf 1" },
		{ STORE_LOG, 2, -1, VERIFY_LOG, "leaf 2" },
		{ STORE_LOG, 2, INT32_MAX, VERIFY_MISSING, "opening" },
		{ STORE_LOG, 3, -1, VERIFY_LOG, "leaf 3" },
		{ STORE_LOG, 3, INT32_MAX, VERIFY_MISSING, "end" },
		{ STORE_LOG, 4, -1, VERIFY_LOG, "leaf 6" },
		{ STORE_LOG, 4, INT32_MAX, VERIFY_FOREIGN, "audit events" },
		{ STORE_AUDIT, 0, -3, VERIFY_FLIPPED, "leaf 6" },
		{ STORE_AUDIT, 0, 3, VERIFY_FLIPPED, "leaf 6" },
		{ STORE_AUDIT, 1, INT32_MAX, VERIFY_MISSING, "leaf 8" },
		{ STORE_IX, 1, INT32_MAX, VERIFY_MISSING, "index" },
		{ STORE_PROOF, 0, 5, VERIFY_LOG, "leaf 0" },
		{ STORE_PROOF, 3, INT32_MAX, VERIFY_MISSING, "leaf 3" },
	};
	struct scene *s = *state;

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct change c = { .db = cases[i].db, .n = cases[i].n, .flip = cases[i].flip };

		bundle_copy(s->good, s->bad, change, &c, NULL, 0);
		assert_true(c.seen > c.n);
		if (verify(s, s->bad) != ERR_CHAIN ||
		    !rig_found(s->rig, cases[i].kind, cases[i].place))
			fail_msg("case %zu", i);
	}
}

static void
test_what_does_not_belong_is_found(void **state)
{
	struct scene *s = *state;
	const uint8_t leaf[8] = { 0, 0, 0, 0, 0, 0, 0, 4 }, far[8] = { 0, 0, 0, 0, 0, 0, 1, 0 };
	uint8_t head[REC_SID_LEN];
	const struct {
		struct bundle_entry e;
		const char *place;
	} cases[] = {
		{ { STORE_META, (const uint8_t *)"note", far, 4, 8 }, "description" },
		{ { STORE_SESS, s->other, far, REC_SID_LEN, 8 }, "record" },
		{ { STORE_JOURNAL, far, far, 8, 8 }, "bundle" },
		{ { STORE_BLK, s->other, far, REC_SID_LEN, 8 }, "blocks" },
		{ { STORE_HDR, s->other, far, REC_SID_LEN, 8 }, "block headers" },
		{ { STORE_HEAD, head, far, REC_SID_LEN, 8 }, "bundle" },
		{ { STORE_AUDIT, leaf, far, 8, 8 }, "audit events" },
		{ { STORE_IX, s->other, far, REC_SID_LEN, 0 }, "index" },
		{ { STORE_PROOF, far, far, 8, 8 }, "proofs" },
		{ { 200, far, far, 8, 8 }, "bundle" },
	};

	memcpy(head, s->sid, REC_SID_LEN);
	for (size_t i = 0; i < N_OF(cases); i++) {
		bundle_copy(s->good, s->bad, NULL, NULL, &cases[i].e, 1);
		if (verify(s, s->bad) != ERR_CHAIN ||
		    !rig_found(s->rig, VERIFY_FOREIGN, cases[i].place))
			fail_msg("case %zu", i);
	}
}

/* Leaf 4, with its true proof: it opened the other session. And the audit event about it. */
static void
test_another_sessions_leaves_do_not_belong_although_they_are_proven(void **state)
{
	struct scene *s = *state;
	struct bundle_entry extra[8];
	struct bundle *b;
	size_t n = 0;

	assert_int_equal(bundle_make(s->rig, s->other, s->second), 0);
	assert_int_equal(bundle_open(s->second, &b), 0);
	for (uint64_t i = 0; i < bundle_n(b); i++) {
		struct bundle_entry e;

		assert_int_equal(bundle_at(b, i, &e), 0);
		if ((e.db == STORE_LOG || e.db == STORE_AUDIT || e.db == STORE_PROOF) &&
		    (e.key[7] == 4 || e.key[7] == 7))
			extra[n++] = e;
	}
	assert_int_equal(n, 5);
	bundle_copy(s->good, s->bad, NULL, NULL, extra, n);
	assert_int_equal(verify(s, s->bad), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_FOREIGN, "leaf 4"));
	assert_true(rig_found(s->rig, VERIFY_FOREIGN, "leaf 7"));
	bundle_close(b);
}

static bool
rename_session(void *arg, struct bundle_entry *e)
{
	static uint8_t key[64];

	if (e->db != STORE_SESS && e->db != STORE_BLK && e->db != STORE_HDR)
		return true;
	memcpy(key, e->key, e->key_len);
	memcpy(key, arg, REC_SID_LEN);
	e->key = key;
	return true;
}

static void
test_a_session_under_another_id_is_found(void **state)
{
	struct scene *s = *state;

	bundle_copy(s->good, s->bad, rename_session, s->other, NULL, 0);
	assert_int_equal(verify(s, s->bad), ERR_CHAIN);
	assert_true(s->rig->n_findings > 0);
}

static void
test_another_key_is_not_trusted(void **state)
{
	struct scene *s = *state;
	struct note_key key = s->rig->signer.key, again;

	key.key[3] ^= 1;
	assert_int_equal(note_key_init(key.name, key.key, &again), 0);
	assert_int_equal(bundle_verify(s->rig, &again, s->good), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_OTHER_KEY, "checkpoint"));
}

/* Leaves of two more epochs; the session ended in the second of three. */
static void
make_epochs(struct scene *s)
{
	struct session *session;

	rig_open(s->rig);
	session = rig_session(s->rig);
	memcpy(s->other, session_sid(session), REC_SID_LEN);
	rig_data(session, 3, 100);
	rig_commit(s->rig);
	assert_int_equal(chain_rotate(s->rig->chain), 0);
	rig_data(session, 3, 100);
	assert_int_equal(session_close(session, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(s->rig);
	assert_int_equal(chain_rotate(s->rig->chain), 0);
	rig_commit(s->rig);
	rig_close(s->rig);
	assert_int_equal(bundle_make(s->rig, s->other, s->second), 0);
}

/* The n-th key of a bundle's log. */
static struct note_key
key_of(const char *file, unsigned n)
{
	struct note_key key = { .name = "" };
	struct mlog_leaf leaf;
	struct bundle_entry e;
	struct bundle *b;

	assert_int_equal(bundle_open(file, &b), 0);
	for (uint64_t i = 0; i < bundle_n(b); i++) {
		assert_int_equal(bundle_at(b, i, &e), 0);
		if (e.db != STORE_LOG || mlog_leaf_parse(e.data, e.len, &leaf) != 0 ||
		    leaf.type != MLOG_KEY || n-- > 0)
			continue;
		assert_int_equal(note_key_init(leaf.name, leaf.key, &key), 0);
		break;
	}
	bundle_close(b);
	assert_true(key.name[0] != '\0');
	return key;
}

static void
test_the_succession_of_keys_is_followed(void **state)
{
	struct scene *s = *state;
	struct note_key key, again;

	make_epochs(s);
	for (unsigned i = 0; i < 3; i++) {
		key = key_of(s->second, i);
		assert_int_equal(bundle_verify(s->rig, &key, s->second), 0);
	}
	assert_int_equal(s->rig->result.n_keys, 3);
	key = key_of(s->second, 0);
	key.key[0] ^= 1;
	assert_int_equal(note_key_init(key.name, key.key, &again), 0);
	assert_int_equal(bundle_verify(s->rig, &again, s->second), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_OTHER_KEY, "leaf 1"));
}

/* LOG entries: INIT, KEY, OPEN, KEY, CLOSE, KEY. */
static void
test_no_key_of_the_succession_can_be_missing(void **state)
{
	static const uint64_t keys[] = { 1, 3, 5 };
	struct scene *s = *state;
	struct note_key key;

	make_epochs(s);
	key = key_of(s->second, 0);
	for (size_t i = 0; i < N_OF(keys); i++) {
		struct change c = { .db = STORE_LOG, .n = keys[i], .flip = INT32_MAX };

		bundle_copy(s->second, s->bad, change, &c, NULL, 0);
		assert_int_equal(bundle_verify(s->rig, &key, s->bad), ERR_CHAIN);
		assert_true(s->rig->n_findings > 0);
	}
}

static void
test_damage_of_the_file_is_named(void **state)
{
	struct scene *s = *state;
	char *data;
	size_t len;

	assert_int_equal(file_read(s->good, 1u << 22, &data, &len), 0);
	data[len / 2] ^= 1;
	assert_int_equal(file_replace(s->bad, 0600, data, len), 0);
	assert_int_equal(verify(s, s->bad), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_FLIPPED, "file"));
	assert_int_equal(file_replace(s->bad, 0600, data, len - 1), 0);
	assert_int_equal(verify(s, s->bad), ERR_FORMAT);
	free(data);
}

/* No byte of any entry can change unnoticed, whoever makes the digest of the file anew. */
static void
test_no_byte_changes_unnoticed(void **state)
{
	struct scene *s = *state;
	struct bundle_entry e;
	struct bundle *b;
	unsigned n = 0;

	assert_int_equal(bundle_make(s->rig, s->other, s->second), 0);
	assert_int_equal(bundle_open(s->second, &b), 0);
	for (uint64_t i = 0, nth = 0, db = 0; i < bundle_n(b); i++, nth++) {
		assert_int_equal(bundle_at(b, i, &e), 0);
		if (e.db != db)
			nth = 0;
		db = e.db;
		for (size_t off = 0; off<e.len; off += e.len> 64 ? 7 : 3, n++) {
			struct change c = { .db = e.db, .n = nth, .flip = (int)off };

			bundle_copy(s->second, s->bad, change, &c, NULL, 0);
			if (verify(s, s->bad) == 0)
				fail_msg("db %u entry %u byte %zu", e.db, (unsigned)nth, off);
		}
	}
	assert_true(n > 100);
	bundle_close(b);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_bundle_says_yes),
		T(test_it_holds_what_belongs_and_nothing_else),
		T(test_its_events_are_those_of_the_store),
		T(test_a_session_that_runs_has_no_bundle),
		T(test_each_change_is_named),
		T(test_what_does_not_belong_is_found),
		T(test_another_sessions_leaves_do_not_belong_although_they_are_proven),
		T(test_a_session_under_another_id_is_found),
		T(test_another_key_is_not_trusted),
		T(test_the_succession_of_keys_is_followed),
		T(test_no_key_of_the_succession_can_be_missing),
		T(test_damage_of_the_file_is_named),
		T(test_no_byte_changes_unnoticed),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
