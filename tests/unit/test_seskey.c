/* Key records, and sessions that are sealed, read, crashed, watched and erased. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#include "lib/file.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

static const uint8_t sid[REC_SID_LEN] = "0123456789abcdef",
		     other_sid[REC_SID_LEN] = "another session.";
static const uint8_t half[CRYPT_KEY_LEN] = "one half of a key, 32 bytes ....";
static uint8_t own[3][AUDITOR_KEY_LEN]; /* secret keys */
static struct auditors two;		/* of the first two */

static void
make_auditors(void)
{
	static const char *const names[] = { "anna", "ben" };

	two.n = 0;
	for (size_t i = 0; i < 3; i++) {
		struct auditor a = { .name = "" };

		assert_int_equal(crypto_box_keypair(a.key, own[i]), 0);
		if (i == 2)
			return;
		memcpy(a.name, names[i], strlen(names[i]));
		assert_int_equal(auditors_add(&two, &a), 0);
	}
}

/* A record whose half is in it. */
static void
make_here(struct seskey *k, const struct auditors *to, uint8_t key[CRYPT_KEY_LEN])
{
	assert_int_equal(seskey_make(k, sid, 7, half, to, key), 0);
	memcpy(k->half, half, sizeof(half));
	k->half_is = SESKEY_HERE;
}

static void
test_a_clear_record_opens_for_everybody(void **state)
{
	const struct auditors none = { .n = 0 };
	uint8_t key[CRYPT_KEY_LEN], got[CRYPT_KEY_LEN];
	struct seskey k;

	(void)state;
	assert_int_equal(seskey_make(&k, sid, 7, half, &none, key), 0);
	assert_int_equal(k.kind, SESKEY_CLEAR);
	assert_int_equal(seskey_open(&k, sid, NULL, got), ERR_ORDER);
	make_here(&k, &none, key);
	assert_int_equal(seskey_open(&k, sid, NULL, got), 0);
	assert_memory_equal(got, key, sizeof(key));
	assert_int_equal(seskey_open(&k, other_sid, NULL, got), ERR_CHAIN);
	k.half[0] ^= 1;
	assert_int_equal(seskey_open(&k, sid, NULL, got), ERR_CHAIN);
	k.half[0] ^= 1;
	k.secret[0] ^= 1;
	assert_int_equal(seskey_open(&k, sid, NULL, got), ERR_CHAIN);
	k.kind = SESKEY_ERASED;
	assert_int_equal(seskey_open(&k, sid, NULL, got), ERR_ERASED);
	seskey_done(&k);
}

static void
test_a_sealed_record_opens_for_its_auditors_only(void **state)
{
	uint8_t key[CRYPT_KEY_LEN], got[CRYPT_KEY_LEN];
	static const uint8_t none[CRYPT_KEY_LEN];
	struct seskey k;

	(void)state;
	make_here(&k, &two, key);
	assert_int_equal(k.kind, SESKEY_SEALED);
	assert_memory_equal(k.secret, none, sizeof(none));
	assert_int_equal(seskey_open(&k, sid, NULL, got), ERR_SEALED);
	assert_int_equal(seskey_open(&k, sid, own[2], got), ERR_SEALED);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(seskey_open(&k, sid, own[i], got), 0);
		assert_memory_equal(got, key, sizeof(key));
		assert_int_equal(seskey_open(&k, other_sid, own[i], got), ERR_CHAIN);
		k.sealed[i][50] ^= 1;
		assert_int_equal(seskey_open(&k, sid, own[i], got), ERR_CHAIN);
		k.sealed[i][50] ^= 1;
	}
	seskey_done(&k);
	assert_memory_equal(&k.to, none, sizeof(none));
}

static void
test_a_record_is_handed_on_by_who_can_open_it(void **state)
{
	struct auditor counsel = { .name = "counsel" }, ben = two.a[1];
	uint8_t key[CRYPT_KEY_LEN], got[CRYPT_KEY_LEN], before[HASH_LEN], after[HASH_LEN];
	struct buf *b = buf_new(SESKEY_RECORD_MAX);
	const struct auditors none = { .n = 0 };
	struct seskey k, back;

	(void)state;
	assert_int_equal(crypto_scalarmult_base(counsel.key, own[2]), 0);
	make_here(&k, &none, key);
	assert_int_equal(seskey_hand_on(&k, sid, own[0], &counsel), ERR_ORDER);
	make_here(&k, &two, key);
	assert_int_equal(seskey_hash(&k, half, before), 0);
	assert_int_equal(seskey_hand_on(&k, sid, own[2], &counsel), ERR_SEALED);
	assert_int_equal(seskey_hand_on(&k, sid, NULL, &counsel), ERR_SEALED);
	assert_int_equal(seskey_hand_on(&k, other_sid, own[0], &counsel), ERR_CHAIN);
	assert_int_equal(seskey_hand_on(&k, sid, own[0], &ben), ERR_EXISTS);
	assert_int_equal(k.handed.n, 0);
	assert_int_equal(seskey_hand_on(&k, sid, own[0], &counsel), 0);
	assert_int_equal(seskey_hand_on(&k, sid, own[1], &counsel), ERR_EXISTS);
	assert_int_equal(seskey_put(b, &k), 0);
	assert_int_equal(seskey_parse(buf_ptr(b), buf_len(b), &back), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(seskey_open(&back, sid, own[i], got), 0);
		assert_memory_equal(got, key, sizeof(key));
	}
	/* What the opening says of the key is as it was. */
	assert_int_equal(seskey_hash(&back, half, after), 0);
	assert_memory_equal(before, after, sizeof(before));
	/* The next one, from the one that has it now; never in a store. */
	counsel.key[0] ^= 4;
	memcpy(counsel.name, "witness", 8);
	assert_int_equal(seskey_hand_on(&back, sid, own[2], &counsel), 0);
	assert_int_equal(back.handed.n, 2);
	back.half_is = SESKEY_SLOT;
	assert_int_equal(seskey_hand_on(&back, sid, own[2], &two.a[0]), ERR_ORDER);
	buf_reset(b);
	assert_int_equal(seskey_put(b, &back), 0);
	assert_int_equal(seskey_parse(buf_ptr(b), buf_len(b), &k), ERR_FORMAT);
	seskey_done(&k);
	seskey_done(&back);
	buf_free(b);
}

static void
test_as_many_as_can_be_fit_a_record(void **state)
{
	struct buf *b = buf_new(SESKEY_RECORD_MAX);
	uint8_t key[CRYPT_KEY_LEN];
	struct auditors all = two;
	struct auditor a = { .name = "" };
	struct seskey k, back;

	(void)state;
	memset(a.name, 'x', AUDITOR_NAME_MAX);
	for (uint8_t i = 0; i < 2 * AUDITORS_MAX - 2; i++) {
		assert_int_equal(crypto_box_keypair(a.key, key), 0);
		a.name[0] = (char)('A' + i % 26);
		a.name[1] = (char)('A' + i / 26);
		if (i == AUDITORS_MAX - 2)
			make_here(&k, &all, key);
		assert_int_equal(i < AUDITORS_MAX - 2 ? auditors_add(&all, &a)
						      : seskey_hand_on(&k, sid, own[0], &a),
		    0);
	}
	assert_int_equal(crypto_box_keypair(a.key, key), 0);
	a.name[0] = 'a';
	assert_int_equal(seskey_hand_on(&k, sid, own[0], &a), ERR_LIMIT);
	assert_int_equal(seskey_put(b, &k), 0);
	assert_int_equal(seskey_parse(buf_ptr(b), buf_len(b), &back), 0);
	assert_int_equal(back.handed.n, AUDITORS_MAX);
	seskey_done(&k);
	seskey_done(&back);
	buf_free(b);
}

static void
test_records_come_back_and_bad_ones_do_not(void **state)
{
	uint8_t key[CRYPT_KEY_LEN], bytes[SESKEY_RECORD_MAX];
	struct buf *b = buf_new(SESKEY_RECORD_MAX), *again = buf_new(SESKEY_RECORD_MAX);
	struct seskey k, back;
	size_t len;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seskey_make(&k, sid, 7, half, &two, key), 0);
		if (i == 1)
			make_here(&k, &two, key);
		if (i == 2)
			k.kind = SESKEY_ERASED;
		buf_reset(b);
		buf_reset(again);
		assert_int_equal(seskey_put(b, &k), 0);
		assert_int_equal(seskey_parse(buf_ptr(b), buf_len(b), &back), 0);
		assert_int_equal(seskey_put(again, &back), 0);
		assert_int_equal(buf_len(b), buf_len(again));
		assert_memory_equal(buf_ptr(b), buf_ptr(again), buf_len(b));
		len = buf_len(b);
		memcpy(bytes, buf_ptr(b), len);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(seskey_parse(bytes, cut, &back), ERR_FORMAT);
		bytes[len] = 0;
		assert_int_equal(seskey_parse(bytes, len + 1, &back), ERR_FORMAT);
		bytes[0]++;
		assert_int_equal(seskey_parse(bytes, len, &back), ERR_VERSION);
		bytes[0]--;
		bytes[1] = 9;
		assert_int_equal(seskey_parse(bytes, len, &back), ERR_FORMAT);
		bytes[1] = 1;
		bytes[2] = 0;
		assert_int_equal(seskey_parse(bytes, len, &back), ERR_FORMAT);
	}
	buf_free(b);
	buf_free(again);
}

/* In a store. */

static int
sealed_setup(void **state)
{
	struct rig *rig;

	assert_int_equal(rig_setup(state), 0);
	rig = *state;
	rig_close(rig);
	make_auditors();
	rig->auditors = &two;
	rig_open(rig);
	return 0;
}

struct look {
	struct store *store;
	struct store_snap *snap;
};

static struct look
look_at(const struct rig *rig)
{
	struct look l;

	assert_int_equal(store_open_read(rig->dir, &l.store), 0);
	assert_int_equal(store_snap_new(l.store, &l.snap), 0);
	return l;
}

static void
look_away(struct look *l)
{
	store_snap_free(l->snap);
	store_close(l->store);
}

/* What opening says; 0: and it has so many events. */
static int
try(struct look *l, const uint8_t *id, unsigned *ret_n)
{
	struct recording_part part;
	struct recording *rec;
	unsigned n = 0;
	int r;

	if ((r = recording_open(l->snap, id, &rec)) != 0)
		return r;
	while ((r = recording_next(rec, &part)) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0)
			n++;
	}
	recording_close(rec);
	assert_int_equal(r, ERR_NOT_FOUND);
	*ret_n = n;
	return 0;
}

static void
test_a_sealed_session_needs_an_auditor(void **state)
{
	struct rig *rig = *state;
	uint8_t id[REC_SID_LEN];
	unsigned n = 0;
	struct look l;
	struct sess s;

	rig_closed(rig, 20, 1000, id);
	l = look_at(rig);
	assert_int_equal(try(&l, id, &n), ERR_SEALED);
	assert_int_equal(sess_get(l.snap, id, &s), 0);
	assert_int_equal(s.closed_to_us, ERR_SEALED);
	assert_int_equal(s.sealed_to->n, 2);
	assert_string_equal(s.sealed_to->a[1].name, "ben");
	sess_done(&s);
	assert_int_equal(store_set_auditor(l.store, own[2]), 0);
	assert_int_equal(try(&l, id, &n), ERR_SEALED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_set_auditor(l.store, own[i]), 0);
		assert_int_equal(try(&l, id, &n), 0);
		assert_int_equal(n, 20);
		assert_int_equal(sess_get(l.snap, id, &s), 0);
		assert_int_equal(s.closed_to_us, 0);
		sess_done(&s);
	}
	look_away(&l);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_its_stored_form_is_whole_without_a_key(void **state)
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX), *raw = buf_new(BLOCK_RAW_MAX);
	struct block_codec_ctx *c = block_codec_new();
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t key[CRYPT_KEY_LEN], salt[BLOCK_SALT_LEN];
	struct recording *rec;
	struct block_hdr hdr;
	uint64_t next = 1;
	struct look l;
	int r;

	rig_data(s, 30, 10000);
	rig_commit(rig);
	memcpy(key, session_key(s), sizeof(key));
	l = look_at(rig);
	assert_int_equal(recording_open_sealed(l.snap, session_sid(s), &rec), 0);
	while ((r = recording_next_sealed(rec, &hdr, stored)) == 0) {
		buf_reset(raw);
		assert_int_equal(hdr.first_seq, next);
		assert_int_equal(
		    block_open(c, key, &hdr, buf_ptr(stored), buf_len(stored), salt, raw), 0);
		next += hdr.n_events;
	}
	assert_int_equal(r, ERR_NOT_FOUND);
	assert_int_equal(next, 31);
	assert_int_equal(hdr.block, 2);
	/* What grows is given again, longer. */
	rig_data(s, 1, 10);
	rig_commit(rig);
	assert_int_equal(store_snap_renew(l.snap), 0);
	assert_int_equal(recording_next_sealed(rec, &hdr, stored), 0);
	assert_int_equal(hdr.first_seq + hdr.n_events, 32);
	recording_close(rec);
	look_away(&l);
	buf_free(stored);
	buf_free(raw);
	block_codec_free(c);
}

static void
test_a_running_one_opens_with_its_key(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig), *not = rig_session(rig);
	unsigned n = 0;
	struct look l;
	struct sess info;

	rig_data(s, 5, 100);
	rig_data(not, 5, 100);
	rig_commit(rig);
	l = look_at(rig);
	assert_int_equal(try(&l, session_sid(s), &n), ERR_SEALED);
	assert_int_equal(sess_get(l.snap, session_sid(s), &info), 0);
	assert_int_equal(sess_live(l.snap, &info), 0);
	assert_int_equal(info.n_channels, 0);
	sess_done(&info);
	assert_int_equal(store_set_live(l.store, session_key(not )), 0);
	assert_int_equal(try(&l, session_sid(s), &n), ERR_SEALED);
	assert_int_equal(store_set_live(l.store, session_key(s)), 0);
	assert_int_equal(try(&l, session_sid(s), &n), 0);
	assert_int_equal(n, 5);
	look_away(&l);
}

static void
test_a_crash_keeps_it_for_the_auditors(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t id[REC_SID_LEN];
	unsigned n = 0;
	struct look l;
	struct sess info;

	memcpy(id, session_sid(s), sizeof(id));
	rig_data(s, 20, 10000);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_data(s, 3, 10);
	rig_crash(rig);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 1);
	assert_int_equal(rig->recovery.n_damaged, 0);
	l = look_at(rig);
	assert_int_equal(sess_get(l.snap, id, &info), 0);
	assert_int_equal(info.state, SESS_TRUNCATED);
	assert_int_equal(info.n_events, 23);
	assert_int_equal(info.private_len, 0);
	sess_done(&info);
	assert_int_equal(try(&l, id, &n), ERR_SEALED);
	assert_int_equal(store_set_auditor(l.store, own[0]), 0);
	assert_int_equal(try(&l, id, &n), 0);
	assert_int_equal(n, 23);
	look_away(&l);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
}

/* Envelopes of one session in the other's place: found by hash without a key, and they open with neither. */
static void
test_envelopes_do_not_change_sessions(void **state)
{
	uint8_t a[REC_SID_LEN], b[REC_SID_LEN], key_a[BLOCK_KEY_LEN], key_b[BLOCK_KEY_LEN];
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	struct rig *rig = *state;
	struct store *store;
	unsigned n;
	struct look l;

	rig_closed(rig, 5, 100, a);
	rig_closed(rig, 5, 100, b);
	rig_close(rig);
	block_key(a, 0, key_a);
	block_key(b, 0, key_b);
	store = rig_touch(rig);
	assert_int_equal(
	    store_get_pieces(store_pending(store), STORE_BLK, key_a, sizeof(key_a), stored), 0);
	assert_int_equal(store_put_pieces(store, STORE_BLK, key_b, sizeof(key_b), buf_ptr(stored),
			     buf_len(stored), false),
	    0);
	rig_untouch(store);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "block 0"));
	l = look_at(rig);
	assert_int_equal(store_set_auditor(l.store, own[0]), 0);
	assert_int_equal(try(&l, a, &n), 0);
	{
		struct recording_part part;
		struct recording *rec;

		assert_int_equal(recording_open(l.snap, b, &rec), 0);
		assert_int_equal(recording_next(rec, &part), ERR_CHAIN);
		recording_close(rec);
	}
	look_away(&l);
	buf_free(stored);
}

static int
chain_try(struct rig *rig)
{
	struct chain_conf conf = {
		.store = { .dir = rig->dir, .map_size = rig->map_size, .durability = STORE_STRICT },
		.signer = &rig->signer,
		.origin = "bastiond/test",
	};
	struct chain_recovery recovery;
	struct chain *c;
	int r = chain_open(&conf, &c, &recovery);

	if (r == 0)
		chain_close(c);
	return r;
}

static void
test_a_recorder_refuses_keys_that_are_not_the_stores(void **state)
{
	struct rig *rig = *state;
	uint8_t id[REC_SID_LEN];
	char path[160], *file;
	struct look l;
	size_t len;
	unsigned n;

	rig_closed(rig, 5, 100, id);
	rig_close(rig);
	(void)snprintf(path, sizeof(path), "%s/" SLOTS_NAME, rig->dir);
	assert_int_equal(file_read(path, 1u << 20, &file, &len), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chain_try(rig), ERR_KEYS);
	l = look_at(rig);
	assert_int_equal(store_set_auditor(l.store, own[0]), 0);
	assert_int_equal(try(&l, id, &n), ERR_KEYS);
	assert_non_null(strstr(store_keys_why(l.store), "not there"));
	look_away(&l);
	assert_int_equal(file_create(path, 0600, file, SLOTS_HEAD), 0);
	assert_int_equal(chain_try(rig), ERR_KEYS);
	file[20] ^= 1;
	assert_int_equal(file_replace(path, 0600, file, len), 0);
	assert_int_equal(chain_try(rig), ERR_KEYS);
	file[20] ^= 1;
	assert_int_equal(file_replace(path, 0600, file, len), 0);
	assert_int_equal(chain_try(rig), 0);
	free(file);
}

static void
test_a_destroyed_key_is_gone_for_good(void **state)
{
	struct rig *rig = *state;
	uint8_t id[REC_SID_LEN], kept[REC_SID_LEN], value[CRYPT_KEY_LEN];
	struct session *s;
	struct seskey k;
	struct look l;
	unsigned n;

	rig_closed(rig, 5, 100, id);
	rig_closed(rig, 5, 100, kept);
	s = rig_session(rig);
	rig_commit(rig);
	l = look_at(rig);
	assert_int_equal(seskey_find(l.snap, id, &k), 0);
	assert_int_equal(seskey_fetch(l.snap, &k), 0);
	memcpy(value, k.half, sizeof(value));
	seskey_done(&k);
	assert_int_equal(session_key_destroy(rig->chain, session_sid(s)), ERR_ORDER);
	assert_int_equal(session_key_destroy(rig->chain, other_sid), ERR_NOT_FOUND);
	assert_int_equal(session_key_destroy(rig->chain, id), 0);
	assert_int_equal(session_key_destroy(rig->chain, id), ERR_ERASED);
	rig_commit(rig);
	assert_int_equal(store_snap_renew(l.snap), 0);
	assert_int_equal(store_set_auditor(l.store, own[0]), 0);
	assert_int_equal(try(&l, id, &n), ERR_ERASED);
	assert_int_equal(try(&l, kept, &n), 0);
	assert_int_equal(seskey_find(l.snap, id, &k), 0);
	assert_int_equal(k.kind, SESKEY_ERASED);
	/* The slot itself. */
	k.kind = SESKEY_CLEAR;
	assert_int_equal(seskey_fetch(l.snap, &k), ERR_ERASED);
	look_away(&l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, sealed_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_clear_record_opens_for_everybody),
		cmocka_unit_test(test_a_sealed_record_opens_for_its_auditors_only),
		cmocka_unit_test(test_a_record_is_handed_on_by_who_can_open_it),
		cmocka_unit_test(test_as_many_as_can_be_fit_a_record),
		cmocka_unit_test(test_records_come_back_and_bad_ones_do_not),
		T(test_a_sealed_session_needs_an_auditor),
		T(test_its_stored_form_is_whole_without_a_key),
		T(test_a_running_one_opens_with_its_key),
		T(test_a_crash_keeps_it_for_the_auditors),
		T(test_envelopes_do_not_change_sessions),
		T(test_a_recorder_refuses_keys_that_are_not_the_stores),
		T(test_a_destroyed_key_is_gone_for_good),
	};

	if (secret_init() != 0)
		return 1;
	make_auditors();
	return cmocka_run_group_tests_name("seskey", tests, NULL, NULL);
}
