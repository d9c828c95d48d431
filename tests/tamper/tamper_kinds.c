/*
 * Every kind of tampering, one after the other, on a store with three epochs: the verifier says no, and
 * says where and what. Untouched it says yes, whoever of the log's keys is trusted.
 */
#include "config.h"

#include <sodium.h>

#include "lib/buf.h"
#include "recorder/erase.h"
#include "recorder/fate.h"
#include "recorder/mlog.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/slots.h"
#include "tests/lib/test.h"
#include "tests/tamper/forger.h"

#define FINDINGS_MAX 4
#define AUDIT_X "{\"event\":\"x\",\"by\":\"alice\"}"
#define AUDIT_Y "{\"event\":\"y\",\"by\":\"alice\"}"

/*
 * Yesterday, today, and an hour ago: a and b ended under the first key, c under the second, d under
 * the third, erased was erased under the third; live still runs.
 */
struct scene {
	struct rig *rig;
	struct note_key root;
	uint8_t a[REC_SID_LEN], b[REC_SID_LEN], c[REC_SID_LEN], d[REC_SID_LEN], live[REC_SID_LEN],
	    erased[REC_SID_LEN];
	char *pushed[4];	  /* checkpoints: empty, and at the end of each epoch */
	char *early, *early_keys; /* data.mdb and session.keys of the first epoch */
	size_t early_len, early_keys_len;
	/* for what a case does */
	struct store *store;
};

static struct scene scene;

static void
commit(struct scene *s, struct eraser *e)
{
	rig_commit(s->rig);
	assert_int_equal(eraser_committed(e, NULL, NULL), 0);
}

static void
erase(struct scene *s, const uint8_t *sid)
{
	struct erase_order order = { .by = "bob", .why = "order 7" };
	struct eraser *e;

	memcpy(order.sid, sid, REC_SID_LEN);
	assert_int_equal(eraser_new(s->rig->chain, &e), 0);
	assert_int_equal(eraser_erase(e, &order, MLOG_ERASE_ASKED), 0);
	commit(s, e);
	while (eraser_is_busy(e)) {
		assert_int_equal(eraser_step(e), 0);
		commit(s, e);
	}
	eraser_free(e);
}

static void
audit(struct scene *s, const char *text)
{
	assert_int_equal(chain_audit(s->rig->chain, text, strlen(text)), 0);
	rig_commit(s->rig);
}

static void
rotate(struct scene *s)
{
	assert_int_equal(chain_rotate(s->rig->chain), 0);
	rig_commit(s->rig);
}

/* How sessions are encrypted, and what the verifier has of it. */
enum mode { UNSEALED, SEALED, SEALED_WITH_KEY };

static struct auditors auditors;
static uint8_t auditor_secret[32];

static void
seal(struct rig *rig, enum mode mode)
{
	struct auditor a = { .name = "carol" };

	assert_int_equal(crypto_box_keypair(a.key, auditor_secret), 0);
	auditors = (struct auditors){ .n = 0 };
	assert_int_equal(auditors_add(&auditors, &a), 0);
	rig_close(rig);
	rig->auditors = &auditors;
	rig->auditor = mode == SEALED_WITH_KEY ? auditor_secret : NULL;
	rig_open(rig);
}

static int
setup_as(void **state, enum mode mode)
{
	struct scene *s = &scene;
	struct session *live;
	struct rig *rig;

	assert_int_equal(rig_setup(state), 0);
	*s = (struct scene){ .rig = rig = *state };
	if (mode != UNSEALED)
		seal(rig, mode);
	s->root = rig->signer.key;
	s->pushed[0] = rig_checkpoint(rig);
	rig_closed(rig, 40, 16384, s->a);
	rig_closed(rig, 40, 16384, s->b);
	rig_closed(rig, 2, 100, s->erased);
	audit(s, AUDIT_X);
	s->pushed[1] = rig_checkpoint(rig);
	s->early = forger_file(rig, "data.mdb", &s->early_len);
	s->early_keys = forger_file(rig, "session.keys", &s->early_keys_len);
	rotate(s);
	rig_closed(rig, 3, 100, s->c);
	s->pushed[2] = rig_checkpoint(rig);
	rotate(s);
	rig_closed(rig, 3, 100, s->d);
	erase(s, s->erased);
	audit(s, AUDIT_Y);
	live = rig_session(rig);
	memcpy(s->live, session_sid(live), REC_SID_LEN);
	rig_data(live, 20, 100);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	s->pushed[3] = rig_checkpoint(rig);
	rig_close(rig);
	*state = s;
	return 0;
}

static int
setup(void **state)
{
	return setup_as(state, UNSEALED);
}

static int
setup_sealed(void **state)
{
	return setup_as(state, SEALED);
}

static int
setup_opened(void **state)
{
	return setup_as(state, SEALED_WITH_KEY);
}

static int
teardown(void **state)
{
	struct scene *s = *state;
	void *rig = s->rig;

	for (size_t i = 0; i < N_OF(s->pushed); i++)
		free(s->pushed[i]);
	free(s->early);
	free(s->early_keys);
	return rig_teardown(&rig);
}

/* The cases. Each gets the store open for writing. */

static void
flip_data(struct scene *s)
{
	uint8_t key[BLOCK_KEY_LEN + STORE_PIECE_KEY_LEN] = { 0 };

	block_key(s->a, 2, key);
	rig_untouch(s->store);
	rig_flip(s->rig, STORE_BLK, key, sizeof(key), -50);
	s->store = rig_touch(s->rig);
}

static void
cut_tail(struct scene *s)
{
	uint8_t key[BLOCK_KEY_LEN];

	block_key(s->a, 5, key);
	assert_int_equal(store_del(s->store, STORE_HDR, key, sizeof(key)), 0);
	assert_int_equal(store_del_pieces(s->store, STORE_BLK, key, sizeof(key)), 0);
}

/*
 * The events of session c's only block, changed by somebody who has its key: the machine has it, of what is not sealed, and
 * an auditor has it of what is.
 */
static void
rewrite_events(
    struct scene *s, void (*change)(struct buf *out, const struct buf *in, const size_t *cut))
{
	struct block_codec_ctx *codec = block_codec_new();
	struct buf *raw = buf_new(BLOCK_RAW_MAX), *other = buf_new(BLOCK_RAW_MAX),
		   *stored = buf_new(BLOCK_STORED_MAX);
	uint8_t salt[BLOCK_SALT_LEN], key[CRYPT_KEY_LEN], place[BLOCK_KEY_LEN];
	struct store_snap *snap = store_pending(s->store);
	struct event_reader reader;
	struct block_hdr hdr;
	struct event ev;
	size_t cut[4];

	assert_int_equal(store_set_auditor(s->store, auditor_secret), 0);
	assert_int_equal(seskey_get(snap, s->c, key), 0);
	assert_int_equal(block_get_hdr(snap, s->c, 0, &hdr), 0);
	assert_int_equal(block_get_raw(snap, codec, key, &hdr, raw, salt), 0);
	event_reader_init(&reader, buf_ptr(raw), buf_len(raw), 1, 0);
	for (int i = 0; i < 4; i++) {
		cut[i] = reader.off;
		assert_int_equal(i < 3 ? event_next(&reader, &ev) : 0, 0);
	}
	change(other, raw, cut);
	assert_int_equal(
	    block_seal(codec, key, s->c, 0, salt, buf_ptr(other), buf_len(other), stored), 0);
	block_key(s->c, 0, place);
	assert_int_equal(store_del_pieces(s->store, STORE_BLK, place, sizeof(place)), 0);
	assert_int_equal(store_put_pieces(s->store, STORE_BLK, place, sizeof(place),
			     buf_ptr(stored), buf_len(stored), false),
	    0);
	buf_free(raw);
	buf_free(other);
	buf_free(stored);
	block_codec_free(codec);
}

/* Events from..to of in, numbers from 0. */
static void
put_events(struct buf *out, const struct buf *in, const size_t *cut, int from, int to)
{
	size_t end = to < 3 ? cut[to] : buf_len(in);

	assert_int_equal(buf_put(out, buf_ptr(in) + cut[from], end - cut[from]), 0);
}

static void
reorder(struct buf *out, const struct buf *in, const size_t *cut)
{
	put_events(out, in, cut, 0, 1);
	put_events(out, in, cut, 2, 3);
	put_events(out, in, cut, 1, 2);
}

static void
duplicate(struct buf *out, const struct buf *in, const size_t *cut)
{
	put_events(out, in, cut, 0, 2);
	put_events(out, in, cut, 1, 3);
}

static void
leave_out(struct buf *out, const struct buf *in, const size_t *cut)
{
	put_events(out, in, cut, 0, 1);
	put_events(out, in, cut, 2, 3);
}

static void
reorder_events(struct scene *s)
{
	rewrite_events(s, reorder);
}

static void
duplicate_event(struct scene *s)
{
	rewrite_events(s, duplicate);
}

static void
leave_out_event(struct scene *s)
{
	rewrite_events(s, leave_out);
}

/* Keys of sessions. */

static void
remove_key(struct scene *s)
{
	assert_int_equal(store_del(s->store, STORE_KEY, s->c, REC_SID_LEN), 0);
}

static void
swap_keys(struct scene *s)
{
	forger_exchange(s->store, STORE_KEY, s->a, s->b);
}

static void
edit_key(struct scene *s)
{
	rig_untouch(s->store);
	rig_flip(s->rig, STORE_KEY, s->c, REC_SID_LEN, -1);
	s->store = rig_touch(s->rig);
}

/* One byte of, or all of, the half that lies outside the store. */
static void
touch_slot(struct scene *s, size_t n, uint8_t value)
{
	struct seskey k;
	char *file;
	size_t len, at;

	assert_int_equal(seskey_find(store_pending(s->store), s->c, &k), 0);
	at = SLOTS_HEAD + (size_t)k.slot * CRYPT_KEY_LEN;
	seskey_done(&k);
	file = forger_file(s->rig, "session.keys", &len);
	assert_true(at + CRYPT_KEY_LEN <= len);
	for (size_t i = 0; i < n; i++)
		file[at + i] = value != 0 ? (char)(file[at + i] ^ value) : '\0';
	forger_put_file(s->rig, "session.keys", file, len);
	free(file);
}

static void
edit_slot(struct scene *s)
{
	touch_slot(s, 1, 1);
}

static void
wipe_slot(struct scene *s)
{
	touch_slot(s, CRYPT_KEY_LEN, 0);
}

static void
remove_slots(struct scene *s)
{
	forger_put_file(s->rig, "session.keys", "", 0);
}

static void
remove_data(struct scene *s)
{
	assert_true(forger_remove(s->store, STORE_BLK, s->c) > 0);
}

static void
swap_blocks(struct scene *s)
{
	uint8_t one[BLOCK_KEY_LEN], two[BLOCK_KEY_LEN], copy[2][BLOCK_HDR_LEN];
	struct buf *stored[2] = { buf_new(BLOCK_STORED_MAX), buf_new(BLOCK_STORED_MAX) };
	uint8_t *const keys[2] = { one, two };
	const uint8_t *data;
	size_t len;

	block_key(s->a, 1, one);
	block_key(s->a, 2, two);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(store_get(store_pending(s->store), STORE_HDR, keys[i],
				     BLOCK_KEY_LEN, &data, &len),
		    0);
		assert_int_equal(len, BLOCK_HDR_LEN);
		memcpy(copy[i], data, len);
		assert_int_equal(store_get_pieces(store_pending(s->store), STORE_BLK, keys[i],
				     BLOCK_KEY_LEN, stored[i]),
		    0);
		assert_int_equal(store_del_pieces(s->store, STORE_BLK, keys[i], BLOCK_KEY_LEN), 0);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(store_put(s->store, STORE_HDR, keys[i], BLOCK_KEY_LEN, copy[1 - i],
				     BLOCK_HDR_LEN),
		    0);
		assert_int_equal(store_put_pieces(s->store, STORE_BLK, keys[i], BLOCK_KEY_LEN,
				     buf_ptr(stored[1 - i]), buf_len(stored[1 - i]), false),
		    0);
	}
	buf_free(stored[0]);
	buf_free(stored[1]);
}

static void
swap_records(struct scene *s)
{
	forger_exchange(s->store, STORE_SESS, s->a, s->b);
}

static void
swap_recordings(struct scene *s)
{
	forger_exchange(s->store, STORE_HDR, s->a, s->b);
	forger_exchange(s->store, STORE_BLK, s->a, s->b);
}

static void
edit_metadata(struct scene *s)
{
	rig_untouch(s->store);
	rig_flip(s->rig, STORE_SESS, s->b, REC_SID_LEN, 122);
	s->store = rig_touch(s->rig);
}

static void
edit_end(struct scene *s)
{
	rig_untouch(s->store);
	rig_flip(s->rig, STORE_SESS, s->b, REC_SID_LEN, -20);
	s->store = rig_touch(s->rig);
}

static void
remove_session(struct scene *s)
{
	static const enum store_db dbs[] = { STORE_SESS, STORE_HDR, STORE_BLK, STORE_FATE };

	for (size_t i = 0; i < N_OF(dbs); i++)
		(void)forger_remove(s->store, dbs[i], s->b);
	forger_unindex(s->store, s->b);
}

static void
edit_audit_text(struct scene *s)
{
	uint64_t leaf = forger_find_leaf(store_pending(s->store), MLOG_AUDIT, NULL, 0);
	uint8_t key[MLOG_KEY_LEN];

	mlog_key(leaf, key);
	rig_untouch(s->store);
	rig_flip(s->rig, STORE_AUDIT, key, sizeof(key), -3);
	s->store = rig_touch(s->rig);
}

/* Text and leaf, so that nothing but the tree tells. */
static void
rewrite_audit(struct scene *s)
{
	uint64_t leaf = forger_find_leaf(store_pending(s->store), MLOG_AUDIT, NULL, 0);

	forger_rewrite_audit(s->store, leaf, "{\"event\":\"x\",\"by\":\"mallory\"}");
}

static void
rewrite_todays_audit(struct scene *s)
{
	uint64_t leaf = forger_find_leaf(store_pending(s->store), MLOG_AUDIT, NULL, 1);

	forger_rewrite_audit(s->store, leaf, "{\"event\":\"y\",\"by\":\"mallory\"}");
}

static void
remove_leaf(struct scene *s)
{
	forger_remove_leaf(
	    s->store, forger_find_leaf(store_pending(s->store), MLOG_AUDIT, NULL, 0));
}

static void
remove_last_leaf(struct scene *s)
{
	forger_remove_leaf(
	    s->store, forger_find_leaf(store_pending(s->store), MLOG_OPEN, s->live, 0));
}

/* Another signature that is still readable as one. */
static void
edit_signature(char *note, size_t len)
{
	char *c = &note[len - 10];

	*c = *c == 'A' ? 'B' : 'A';
}

static void
edit_checkpoint(struct scene *s)
{
	const char *note;
	char copy[1024];
	size_t len;

	assert_int_equal(mlog_checkpoint_get(store_pending(s->store), &note, &len), 0);
	assert_true(len < sizeof(copy));
	memcpy(copy, note, len);
	edit_signature(copy, len);
	assert_int_equal(store_put(s->store, STORE_META, "ckpt", 4, copy, len), 0);
}

static void
old_checkpoint(struct scene *s)
{
	assert_int_equal(
	    store_put(s->store, STORE_META, "ckpt", 4, s->pushed[2], strlen(s->pushed[2])), 0);
}

/*
 * Who took the machine today has today's key. Yesterday's audit event is rewritten, the tree made anew,
 * and signed by a key that is in the log.
 */
static void
rewrite_yesterday(struct scene *s)
{
	rewrite_audit(s);
	forger_sign_log(s->store, &s->rig->signer);
}

/* As before, and the succession signed anew with the only key that there is. */
static void
rewrite_yesterday_and_succession(struct scene *s)
{
	uint64_t leaf = forger_find_leaf(store_pending(s->store), MLOG_KEY, NULL, 1);

	rewrite_audit(s);
	forger_sign_succession(s->store, leaf, &s->rig->signer);
	forger_sign_log(s->store, &s->rig->signer);
}

/* The end digest of yesterday's session in today's name. */
static void
old_head_in_todays_name(struct scene *s)
{
	const uint8_t *data;
	uint8_t bytes[HEAD_LEN];
	struct head head;
	size_t len;

	assert_int_equal(
	    store_get(store_pending(s->store), STORE_HEAD, s->live, REC_SID_LEN, &data, &len), 0);
	assert_int_equal(head_parse(data, len, &head), 0);
	head.n_events--;
	assert_int_equal(head_sign(&head, secret_cptr(s->rig->signer.secret), bytes), 0);
	bytes[HEAD_LEN - 1] ^= 1;
	assert_int_equal(
	    store_put(s->store, STORE_HEAD, s->live, REC_SID_LEN, bytes, sizeof(bytes)), 0);
}

static void
remove_head(struct scene *s)
{
	assert_int_equal(store_del(s->store, STORE_HEAD, s->live, REC_SID_LEN), 0);
}

/* Erasing that nobody said, and what was said to be erased. */
static void
erase_without_leaf(struct scene *s)
{
	const struct fate fate = { .flags = FATE_ERASED, .erase_leaf = 3 };
	uint8_t data[FATE_LEN];

	fate_encode(&fate, data);
	assert_int_equal(store_put(s->store, STORE_FATE, s->c, REC_SID_LEN, data, sizeof(data)), 0);
	assert_true(forger_remove(s->store, STORE_BLK, s->c) > 0);
}

static void
keep_what_was_erased(struct scene *s)
{
	struct loot *l = forger_take(store_pending(s->store), STORE_BLK, s->d);

	forger_put(s->store, l, s->erased);
	forger_drop(l);
}

static void
forget_that_it_was_erased(struct scene *s)
{
	assert_int_equal(store_del(s->store, STORE_FATE, s->erased, REC_SID_LEN), 0);
}

struct want {
	enum verify_kind kind;
	const char *place; /* what it begins with */
};

static const struct {
	const char *name;
	void (*tamper)(struct scene *s);
	struct want want[FINDINGS_MAX];
	bool more;	     /* others may be found, too */
	struct want keyless; /* instead, when the verifier cannot open the session */
} cases[] = {
	{ "a flipped byte", flip_data, { { VERIFY_FLIPPED, "block 2" } }, false, { 0 } },
	{ "a cut tail", cut_tail, { { VERIFY_CUT, "block 5" } }, false, { 0 } },
	{ "reordered events", reorder_events, { { VERIFY_REORDERED, "event 2" } }, false,
	    { VERIFY_FLIPPED, "block 0" } },
	{ "a duplicated event", duplicate_event, { { VERIFY_EXTRA, "event 2" } }, false,
	    { VERIFY_FLIPPED, "block 0" } },
	{ "an event left out", leave_out_event, { { VERIFY_FLIPPED, "block 0" } }, false, { 0 } },
	{ "a removed key", remove_key, { { VERIFY_MISSING, "key" } }, false, { 0 } },
	{ "swapped keys", swap_keys, { { VERIFY_FLIPPED, "key" } }, true, { 0 } },
	{ "an edited key", edit_key, { { VERIFY_FLIPPED, "key" } }, false, { 0 } },
	{ "an edited half", edit_slot, { { VERIFY_FLIPPED, "key" } }, false, { 0 } },
	{ "a wiped half", wipe_slot, { { VERIFY_MISSING, "key" } }, false, { 0 } },
	{ "no halves", remove_slots, { { VERIFY_MISSING, "session.keys" } }, false, { 0 } },
	{ "removed events", remove_data, { { VERIFY_MISSING, "block 0" } }, false, { 0 } },
	{ "swapped blocks", swap_blocks,
	    { { VERIFY_REORDERED, "block 1" }, { VERIFY_REORDERED, "block 2" } }, false, { 0 } },
	{ "swapped records", swap_records, { { VERIFY_FOREIGN, "record" } }, true, { 0 } },
	{ "swapped recordings", swap_recordings, { { VERIFY_FOREIGN, "block 0" } }, true, { 0 } },
	{ "edited metadata", edit_metadata, { { VERIFY_METADATA, "opening" } }, true, { 0 } },
	{ "an edited end", edit_end, { { VERIFY_METADATA, "end" } }, false, { 0 } },
	{ "a removed session", remove_session, { { VERIFY_DELETED, "session" } }, false, { 0 } },
	{ "an edited audit event", edit_audit_text, { { VERIFY_FLIPPED, "leaf 8" } }, false,
	    { 0 } },
	{ "an audit event with its leaf", rewrite_audit,
	    { { VERIFY_LOG, "log" }, { VERIFY_LOG, "leaf 9" } }, false, { 0 } },
	{ "the same today", rewrite_todays_audit, { { VERIFY_LOG, "log" } }, false, { 0 } },
	{ "a removed leaf", remove_leaf, { { VERIFY_MISSING, "leaf 8" } }, false, { 0 } },
	{ "the last leaf removed", remove_last_leaf, { { VERIFY_CUT, "leaf 17" } }, true, { 0 } },
	{ "an edited checkpoint", edit_checkpoint, { { VERIFY_SIGNATURE, "checkpoint" } }, false,
	    { 0 } },
	{ "an older checkpoint", old_checkpoint, { { VERIFY_EXTRA, "leaf 12" } }, true, { 0 } },
	{ "yesterday written anew with today's key", rewrite_yesterday,
	    { { VERIFY_OTHER_KEY, "leaf 9" } }, true, { 0 } },
	{ "and its succession", rewrite_yesterday_and_succession,
	    { { VERIFY_OTHER_KEY, "leaf 9" } }, true, { 0 } },
	{ "a forged head", old_head_in_todays_name, { { VERIFY_SIGNATURE, "head" } }, false,
	    { 0 } },
	{ "a removed head", remove_head, { { VERIFY_CUT, "head" } }, false, { 0 } },
	{ "erased without a leaf", erase_without_leaf, { { VERIFY_FOREIGN, "fate" } }, true,
	    { 0 } },
	{ "there in spite of erasing", keep_what_was_erased, { { VERIFY_EXTRA, "block 0" } }, false,
	    { 0 } },
	{ "erased, and not known", forget_that_it_was_erased, { { VERIFY_METADATA, "fate" } },
	    false, { 0 } },
};

static void
print_findings(const struct rig *rig, const char *name)
{
	for (size_t i = 0; i < rig->n_findings; i++)
		print_message("# %s: %s: %s: %s\n", name, verify_kind_name(rig->findings[i].kind),
		    rig->findings[i].place, rig->findings[i].text);
}

/* On a copy, so that each begins with the same. */
static void
test_each_kind_is_named_with_its_place(void **state)
{
	struct scene *s = *state;
	size_t len, keys_len, n_failed = 0;
	char *clean = forger_file(s->rig, "data.mdb", &len);
	char *keys = forger_file(s->rig, "session.keys", &keys_len);
	bool keyless = s->rig->auditors != NULL && s->rig->auditor == NULL;

	for (size_t i = 0; i < N_OF(cases); i++) {
		size_t n = 0;
		bool well;

		forger_put_file(s->rig, "data.mdb", clean, len);
		forger_put_file(s->rig, "session.keys", keys, keys_len);
		s->store = rig_touch(s->rig);
		cases[i].tamper(s);
		rig_untouch(s->store);
		well = rig_verify_with(s->rig, &s->root, NULL) == ERR_CHAIN;
		for (; n < FINDINGS_MAX && cases[i].want[n].kind != 0; n++) {
			const struct want *w = keyless && cases[i].keyless.kind != 0
						   ? &cases[i].keyless
						   : &cases[i].want[n];

			well = well && rig_found(s->rig, w->kind, w->place);
		}
		well = well && (cases[i].more || s->rig->result.n_findings == n);
		n_failed += !well;
		if (!well)
			print_findings(s->rig, cases[i].name);
	}
	free(clean);
	free(keys);
	assert_int_equal(n_failed, 0);
}

static struct verify_erased told;
static char told_text[256];
static unsigned n_told;

static void
take_erased(void *arg, const struct verify_erased *e)
{
	(void)arg;
	told = *e;
	n_told++;
	assert_true(e->text != NULL && e->len < sizeof(told_text));
	memcpy(told_text, e->text, e->len);
	told_text[e->len] = '\0';
}

static void
test_a_clean_store_says_yes_from_each_of_its_keys(void **state)
{
	struct scene *s = *state;
	struct verify_conf conf = { .key = &s->root, .erased = take_erased };
	struct verify_result result;
	struct store_snap *snap;
	struct store *store;
	struct note_key newest;

	assert_int_equal(rig_verify_with(s->rig, &s->root, NULL), 0);
	assert_int_equal(s->rig->result.n_keys, 3);
	assert_int_equal(s->rig->result.n_good, 6);
	assert_int_equal(s->rig->result.n_erased, 1);
	assert_int_equal(s->rig->result.n_open, 1);
	assert_int_equal(rig_verify_with(s->rig, &s->rig->signer.key, NULL), 0);
	assert_int_equal(store_open_read(s->rig->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	n_told = 0;
	assert_int_equal(verify_all(snap, &conf, &result), 0);
	assert_int_equal(n_told, 1);
	assert_memory_equal(told.sid, s->erased, REC_SID_LEN);
	assert_int_equal(told.how, MLOG_ERASE_ASKED);
	assert_non_null(strstr(told_text, "\"bob\""));
	assert_non_null(strstr(told_text, "order 7"));
	/* The first key leads to the newest. */
	assert_int_equal(verify_newest_key(snap, &conf, &newest, &result), 0);
	assert_memory_equal(newest.key, s->rig->signer.key.key, NOTE_KEY_LEN);
	store_snap_free(snap);
	store_close(store);
}

/* What pushing appends: all of them, one behind the other. */
static void
test_every_checkpoint_that_was_pushed_is_a_prefix(void **state)
{
	struct scene *s = *state;
	char *all;

	assert_true(asprintf(&all, "%s%s\n\n%s%s", s->pushed[0], s->pushed[1], s->pushed[2],
			s->pushed[3]) > 0);
	assert_int_equal(rig_verify_with(s->rig, &s->root, all), 0);
	assert_int_equal(s->rig->result.n_checkpoints, 4);
	/* One that is not, in the middle of the file. */
	edit_signature(strstr(all, s->pushed[2]), strlen(s->pushed[2]));
	assert_int_equal(rig_verify_with(s->rig, &s->root, all), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_SIGNATURE, "older checkpoint"));
	assert_int_equal(s->rig->result.n_findings, 1);
	free(all);
	assert_int_equal(rig_verify_with(s->rig, &s->root, "no checkpoint\n"), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_FLIPPED, "older checkpoint"));
}

static void
test_a_rolled_back_database_is_shown_by_what_was_pushed(void **state)
{
	struct scene *s = *state;
	forger_put_file(s->rig, "data.mdb", s->early, s->early_len);
	/* What was erased since lacks its key. */
	assert_int_equal(rig_verify_with(s->rig, &s->root, NULL), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_MISSING, "key"));
	assert_int_equal(s->rig->result.n_findings, 1);
	forger_put_file(s->rig, "session.keys", s->early_keys, s->early_keys_len);
	assert_int_equal(rig_verify_with(s->rig, &s->root, NULL), 0); /* it is as it was */
	assert_int_equal(rig_verify_with(s->rig, &s->root, s->pushed[1]), 0);
	for (size_t i = 2; i < 4; i++) {
		assert_int_equal(rig_verify_with(s->rig, &s->root, s->pushed[i]), ERR_CHAIN);
		assert_true(rig_found(s->rig, VERIFY_CUT, "older checkpoint"));
		assert_int_equal(s->rig->result.n_findings, 1);
	}
}

/* Rolled back and gone on with: as many leaves, but others. */
static void
test_a_log_that_took_another_way_is_shown_by_what_was_pushed(void **state)
{
	struct scene *s = *state;
	struct rig *rig = s->rig;
	uint8_t sid[REC_SID_LEN];
	char *late;

	rig_open(rig); /* ends live */
	rig_crash(rig);
	late = rig_checkpoint(rig);
	rig_open(rig);
	rig_closed(rig, 1, 9, sid);
	rig_crash(rig);
	assert_int_equal(rig_verify_with(rig, &s->root, late), 0);
	s->store = rig_touch(rig);
	rewrite_todays_audit(s);
	forger_sign_log(s->store, &rig->signer);
	rig_untouch(s->store);
	/* The key's holder can do that, as long as nobody kept a checkpoint. */
	assert_int_equal(rig_verify_with(rig, &s->root, NULL), 0);
	assert_int_equal(rig_verify_with(rig, &s->root, s->pushed[2]), 0);
	assert_int_equal(rig_verify_with(rig, &s->root, late), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_LOG, "older checkpoint"));
	free(late);
}

/* Another recorder's store, whole: everything fits, nothing is ours. */
static void
test_a_store_of_somebody_elses_key_is_named(void **state)
{
	struct scene *s = *state;
	struct note_key stranger;
	uint8_t key[NOTE_KEY_LEN] = { 9 };

	assert_int_equal(note_key_init(s->root.name, key, &stranger), 0);
	assert_int_equal(rig_verify_with(s->rig, &stranger, NULL), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_OTHER_KEY, "checkpoint"));
	assert_true(rig_found(s->rig, VERIFY_OTHER_KEY, "leaf 1"));
	assert_true(rig_found(s->rig, VERIFY_OTHER_KEY, "end digest"));
	assert_int_equal(s->rig->result.n_good, 0);
}

/* A session that another recorder made, with all that belongs to it. */
static void
test_a_session_of_another_recorder_is_named(void **state)
{
	static const enum store_db dbs[] = { STORE_SESS, STORE_HDR, STORE_BLK };
	struct scene *s = *state;
	void *foreign_state;
	struct rig *foreign;
	uint8_t sid[REC_SID_LEN];
	struct store_snap *snap;
	struct store *store;
	struct loot *l;

	assert_int_equal(rig_setup(&foreign_state), 0);
	foreign = foreign_state;
	rig_closed(foreign, 40, 16384, sid);
	rig_crash(foreign);
	assert_int_equal(store_open_read(foreign->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	s->store = rig_touch(s->rig);
	for (size_t i = 0; i < N_OF(dbs); i++) {
		l = forger_take(snap, dbs[i], sid);
		forger_put(s->store, l, sid);
		forger_drop(l);
	}
	rig_untouch(s->store);
	assert_int_equal(rig_verify_with(s->rig, &s->root, NULL), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_FOREIGN, "record"));
	assert_memory_equal(s->rig->findings[0].sid, sid, REC_SID_LEN);
	/* In the place of one of ours it is no better. */
	s->store = rig_touch(s->rig);
	for (size_t i = 0; i < N_OF(dbs); i++) {
		(void)forger_remove(s->store, dbs[i], sid);
		(void)forger_remove(s->store, dbs[i], s->a);
		l = forger_take(snap, dbs[i], sid);
		forger_put(s->store, l, s->a);
		forger_drop(l);
	}
	rig_untouch(s->store);
	assert_int_equal(rig_verify_with(s->rig, &s->root, NULL), ERR_CHAIN);
	assert_true(rig_found(s->rig, VERIFY_FOREIGN, "record"));
	assert_memory_equal(s->rig->findings[0].sid, s->a, REC_SID_LEN);
	store_snap_free(snap);
	store_close(store);
	(void)rig_teardown(&foreign_state);
}

/* A head of an earlier epoch, put back: it was good then. */
static void
test_a_head_of_an_earlier_epoch_is_named(void **state)
{
	struct scene *s = *state;
	struct rig *rig = s->rig;
	struct loot *head;
	struct store_snap *snap;
	struct session *live;
	struct store *store;
	uint8_t sid[REC_SID_LEN];

	rig_open(rig);
	live = rig_session(rig);
	memcpy(sid, session_sid(live), REC_SID_LEN);
	rig_data(live, 2, 9);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	head = forger_take(snap, STORE_HEAD, sid);
	store_snap_free(snap);
	rotate(s);
	rig_close(rig);
	assert_int_equal(rig_verify_with(rig, &s->root, NULL), 0);
	store = rig_touch(rig);
	forger_put(store, head, sid);
	rig_untouch(store);
	forger_drop(head);
	assert_int_equal(rig_verify_with(rig, &s->root, NULL), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_SIGNATURE, "head"));
	assert_non_null(strstr(rig->findings[0].text, "although"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define AS(name, way)                                                                              \
	{                                                                                          \
#name " " #way, name, way, teardown, NULL                                          \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_clean_store_says_yes_from_each_of_its_keys),
		T(test_each_kind_is_named_with_its_place),
		AS(test_a_clean_store_says_yes_from_each_of_its_keys, setup_sealed),
		AS(test_a_clean_store_says_yes_from_each_of_its_keys, setup_opened),
		AS(test_each_kind_is_named_with_its_place, setup_sealed),
		AS(test_each_kind_is_named_with_its_place, setup_opened),
		T(test_every_checkpoint_that_was_pushed_is_a_prefix),
		T(test_a_rolled_back_database_is_shown_by_what_was_pushed),
		T(test_a_log_that_took_another_way_is_shown_by_what_was_pushed),
		T(test_a_store_of_somebody_elses_key_is_named),
		T(test_a_session_of_another_recorder_is_named),
		T(test_a_head_of_an_earlier_epoch_is_named),
	};

	return cmocka_run_group_tests_name("tamper", tests, NULL, NULL);
}
