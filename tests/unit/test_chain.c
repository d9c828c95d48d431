/* Writing, reading back, crashing and recovering. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <malloc.h>
#include <sodium.h>

#include "lib/file.h"
#include "recorder/block.h"
#include "recorder/journal.h"
#include "recorder/mlog.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

/* Reads a whole session and checks that its events are those of rig_data(). Returns their number. */
static unsigned
read_back(struct recording *rec, unsigned from, size_t len)
{
	struct recording_part part;
	unsigned n = from;
	int r;

	while ((r = recording_next(rec, &part)) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while ((r = event_next(&reader, &ev)) == 0) {
			assert_int_equal(ev.seq, n + 1);
			assert_int_equal(ev.len, len);
			assert_int_equal(strtoul((const char *)ev.data, NULL, 10), n);
			n++;
		}
		assert_int_equal(r, ERR_NOT_FOUND);
	}
	assert_int_equal(r, ERR_NOT_FOUND);
	return n;
}

static unsigned
count_events(struct rig *rig, const uint8_t *sid, size_t len)
{
	struct store_snap *snap;
	struct recording *rec;
	unsigned n;

	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, sid, &rec), 0);
	n = read_back(rec, 0, len);
	recording_close(rec);
	store_snap_free(snap);
	return n;
}

static void
read_sess(struct rig *rig, const uint8_t *sid, struct sess *s)
{
	struct store_snap *snap;

	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(sess_get(snap, sid, s), 0);
	assert_int_equal(sess_live(snap, s), 0);
	store_snap_free(snap);
}

static void
test_events_come_back_from_journal_and_blocks(void **state)
{
	static const size_t lengths[] = { 8, 100, 4000, 32768 };
	struct rig *rig = *state;

	for (size_t i = 0; i < N_OF(lengths); i++) {
		struct session *s = rig_session(rig);
		uint8_t sid[REC_SID_LEN];

		memcpy(sid, session_sid(s), sizeof(sid));
		for (unsigned n = 0; n < 20; n++) {
			uint8_t data[LINK_DATA_MAX] = { 0 };

			(void)snprintf((char *)data, sizeof(data), "%07u", n);
			assert_int_equal(
			    session_append(s, EVENT_BACK, LINK_DATA, 1, data, lengths[i]), 0);
			rig_commit(rig);
			assert_int_equal(count_events(rig, sid, lengths[i]), n + 1);
		}
		assert_int_equal(session_close(s, LINK_END_CLIENT, "", ""), 0);
		rig_commit(rig);
		assert_int_equal(count_events(rig, sid, lengths[i]), 20);
	}
}

static void
test_an_event_is_not_there_before_the_commit(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];

	memcpy(sid, session_sid(s), sizeof(sid));
	rig_commit(rig);
	rig_data(s, 5, 20);
	assert_true(chain_pending(rig->chain) > 100);
	assert_true(chain_is_dirty(rig->chain));
	assert_int_equal(count_events(rig, sid, 20), 0);
	rig_commit(rig);
	assert_int_equal(chain_pending(rig->chain), 0);
	assert_false(chain_is_dirty(rig->chain));
	assert_int_equal(count_events(rig, sid, 20), 5);
}

static size_t
bytes_in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Pages that LMDB keeps for the next commit: how many the fullest so far took is chance. */
#define LMDB_PAGES (512u * 1024)

/* Each MiB of them one commit, as the recorder does when it is busy. */
static void
write_files(struct rig *rig, struct session *s, uint32_t *number, uint32_t n)
{
	for (uint32_t end = *number + n; *number < end; (*number)++) {
		struct buf *b = buf_new(512);
		char text[280];

		assert_non_null(b);
		(void)snprintf(
		    text, sizeof(text), "{\"number\": %u, \"path\": \"%0240u\"}", *number, *number);
		assert_int_equal(buf_put_u32(b, *number), 0);
		assert_int_equal(buf_put_cstr(b, text), 0);
		assert_int_equal(
		    session_append(s, EVENT_TO_FRONT, EVENT_FILE, 1, buf_ptr(b), buf_len(b)), 0);
		buf_free(b);
		if (chain_pending(rig->chain) > 1u << 20)
			rig_commit(rig);
	}
	rig_commit(rig);
}

/* 100000 of them are 27 MiB in 200 blocks. Whoever keeps one small thing for each keeps 3 MiB. */
static void
test_a_long_session_takes_no_more_memory_than_a_short_one(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint32_t number = 1;
	size_t before;

	write_files(rig, s, &number, 20000);
	before = bytes_in_use();
	write_files(rig, s, &number, 100000);
	assert_true(bytes_in_use() <= before + LMDB_PAGES);
	assert_int_equal(session_close(s, LINK_END_CLIENT, "", ""), 0);
	rig_commit(rig);
	assert_true(bytes_in_use() <= before);
}

/* A reader follows while the writer goes on: every event once, in order, whatever was sealed meanwhile. */
static void
test_a_recording_is_followed_while_it_grows(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	struct recording_part part;
	struct store_snap *snap;
	struct recording *rec;
	uint64_t next = 1;

	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, session_sid(s), &rec), 0);
	for (unsigned round = 0; round < 60; round++) {
		rig_data(s, round % 7, round % 3 == 0 ? 30000 : 40);
		rig_commit(rig);
		if (round % 4 == 3)
			continue;
		assert_int_equal(store_snap_renew(snap), 0);
		while (recording_next(rec, &part) == 0) {
			struct event_reader reader;
			struct event ev;

			event_reader_init(
			    &reader, part.data, part.len, part.first_seq, part.base_ns);
			while (event_next(&reader, &ev) == 0)
				assert_int_equal(ev.seq, next++);
		}
		store_snap_reset(snap);
	}
	assert_int_equal(store_snap_renew(snap), 0);
	while (recording_next(rec, &part) == 0)
		next = part.first_seq;
	assert_true(next > 100);
	recording_close(rec);
	store_snap_free(snap);
}

/* Records of the journal that were read. */
static unsigned n_journal_reads;
int __real_store_get_pieces(
    struct store_snap *snap, enum store_db db, const void *key, size_t key_len, struct buf *out);
int __wrap_store_get_pieces(
    struct store_snap *snap, enum store_db db, const void *key, size_t key_len, struct buf *out);

int
__wrap_store_get_pieces(
    struct store_snap *snap, enum store_db db, const void *key, size_t key_len, struct buf *out)
{
	if (db == STORE_JOURNAL)
		n_journal_reads++;
	return __real_store_get_pieces(snap, db, key, key_len, out);
}

/* The oldest record stays, for a session that is idle, while the other one fills block after block. */
static void
test_following_reads_each_record_of_the_journal_once(void **state)
{
	struct rig *rig = *state;
	struct session *idle = rig_session(rig), *s = rig_session(rig);
	unsigned n = 0, rounds = 60;
	struct recording_part part;
	struct store_snap *snap;
	struct recording *rec;

	rig_data(idle, 1, 40);
	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, session_sid(s), &rec), 0);
	n_journal_reads = 0;
	for (unsigned round = 0; round < rounds; round++) {
		rig_data(s, 1, 30000);
		rig_commit(rig);
		assert_int_equal(store_snap_renew(snap), 0);
		while (recording_next(rec, &part) == 0)
			n++;
		store_snap_reset(snap);
	}
	assert_int_equal(n, rounds);
	assert_in_range(n_journal_reads, rounds, rounds + 1);
	/* Back, and on again to what was read already. */
	assert_int_equal(store_snap_renew(snap), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(recording_seek(rec, i == 1 ? 0 : UINT64_MAX), 0);
		for (n = 0; recording_next(rec, &part) == 0;)
			n++;
		assert_true(n >= 1);
	}
	assert_in_range(n_journal_reads, rounds, rounds + 1);
	recording_close(rec);
	store_snap_free(snap);
}

static void
test_seeking_finds_the_block_of_a_time(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	struct recording_part part;
	struct block_hdr hdr;
	struct store_snap *snap;
	struct recording *rec;

	rig_closed(rig, 40, 30000, sid);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(recording_open(snap, sid, &rec), 0);
	for (uint32_t block = 0; block < 5; block++) {
		assert_int_equal(block_get_hdr(snap, sid, block, &hdr), 0);
		assert_int_equal(recording_seek(rec, hdr.last_ns), 0);
		assert_int_equal(recording_next(rec, &part), 0);
		assert_true(part.first_seq <= hdr.first_seq + hdr.n_events);
		assert_true(part.base_ns <= hdr.last_ns);
	}
	assert_int_equal(recording_seek(rec, 0), 0);
	assert_int_equal(read_back(rec, 0, 30000), 40);
	assert_int_equal(recording_seek(rec, UINT64_MAX), 0);
	assert_int_equal(recording_next(rec, &part), ERR_NOT_FOUND);
	recording_close(rec);
	store_snap_free(snap);
}

static void
test_the_record_says_what_was_said(void **state)
{
	struct rig *rig = *state;
	uint8_t sid[REC_SID_LEN];
	char text[64];
	struct sess s;

	rig_closed(rig, 3, 50, sid);
	read_sess(rig, sid, &s);
	assert_int_equal(s.state, SESS_CLOSED);
	assert_int_equal(s.conn, 3);
	assert_int_equal(s.leg, 4);
	assert_int_equal(s.durability, STORE_STRICT);
	assert_int_equal(s.n_events, 3);
	assert_int_equal(s.n_blocks, 1);
	assert_int_equal(s.end_code, LINK_END_CLIENT);
	assert_string_equal(s.end_text, "bye");
	assert_true(s.raw_bytes > 150 && s.stored_bytes > 0);
	assert_true(s.closed_wall_ns >= s.opened_wall_ns);
	assert_string_equal(sess_meta_text(&s, REC_META_IDENTITY, text, sizeof(text)), "alice");
	assert_string_equal(sess_meta_text(&s, REC_META_CRED_CA, text, sizeof(text)), "");
	assert_string_equal(sess_state_name(s.state), "closed");
	assert_string_equal(sess_end_name(s.end_code), "client");
	sess_done(&s);
}

static void
test_a_crash_truncates_at_the_last_commit(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];
	struct sess info;

	memcpy(sid, session_sid(s), sizeof(sid));
	rig_data(s, 7, 20000);
	rig_commit(rig);
	rig_data(s, 2, 20000); /* never committed */
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_open, 1);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 1);
	assert_int_equal(rig->recovery.n_damaged, 0);
	read_sess(rig, sid, &info);
	assert_int_equal(info.state, SESS_TRUNCATED);
	assert_int_equal(info.n_events, 7);
	assert_int_equal(info.end_code, LINK_END_RECORDER);
	sess_done(&info);
	assert_int_equal(count_events(rig, sid, 20000), 7);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_truncated, 1);
	/* Once is enough. */
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 0);
}

/* Crash after every commit of a session that fills several blocks. */
static void
test_every_commit_survives_a_crash(void **state)
{
	struct rig *rig = *state;

	for (unsigned round = 0; round < 24; round++) {
		struct session *s = rig_session(rig);
		uint8_t sid[REC_SID_LEN];

		memcpy(sid, session_sid(s), sizeof(sid));
		for (unsigned i = 0; i < round; i++) {
			uint8_t data[16000] = { 0 };

			(void)snprintf((char *)data, sizeof(data), "%07u", i);
			assert_int_equal(
			    session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)), 0);
			assert_int_equal(chain_commit(rig->chain, round % 3 == 0), 0);
		}
		rig_crash(rig);
		rig_open(rig);
		assert_int_equal(rig->recovery.n_truncated, 1);
		assert_int_equal(count_events(rig, sid, 16000), round);
	}
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_truncated, 24);
}

/* What was changed while the recorder was down must not get a signature. */
/* One bit of a first fragment's last event, sealed again in space. */
static void
change_fragment(struct store *store, const uint8_t *sid, struct fragment *f, uint8_t space[300])
{
	struct crypt_place place = { CRYPT_JOURNAL, f->block, f->off };
	uint8_t key[CRYPT_KEY_LEN], hash[HASH_LEN];
	size_t len = f->len - CRYPT_TAG_LEN;

	assert_int_equal(seskey_get(store_pending(store), sid, key), 0);
	assert_int_equal(crypt_open(key, sid, place, f->data, f->len, space), 0);
	space[len - 1] ^= 1;
	hash_sha256(space, len, f->content);
	crypt_seal(key, sid, place, space, len);
	hash_sha256(space, f->len, hash);
	memcpy(f->check, hash, JOURNAL_CHECK_LEN);
	f->data = space;
}

static void
test_recovery_does_not_sign_what_was_changed(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t key[JOURNAL_KEY_LEN + 2] = { 0 }, sid[REC_SID_LEN], data[300];
	struct buf *record = buf_new(4096), *changed = buf_new(4096);
	struct store *store;
	struct fragment f;
	uint64_t wall;

	memcpy(sid, session_sid(s), sizeof(sid));
	rig_data(s, 2, 50);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);

	/* As well as it can be done without the signing key: all hashes made anew. */
	store = rig_touch(rig);
	key[7] = 1;
	assert_int_equal(store_get_pieces(store_pending(store), STORE_JOURNAL, key, 8, record), 0);
	assert_int_equal(journal_get_start(record, &wall), 0);
	assert_int_equal(journal_get_fragment(record, &f), 0);
	change_fragment(store, sid, &f, data);
	assert_int_equal(journal_put_start(changed, wall), 0);
	assert_int_equal(journal_put_fragment(changed, &f), 0);
	assert_int_equal(store_put_pieces(store, STORE_JOURNAL, key, 8, buf_ptr(changed),
			     buf_len(changed), false),
	    0);
	rig_untouch(store);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 0);
	assert_int_equal(rig->recovery.n_damaged, 1);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), ERR_CHAIN);
	assert_true(rig_found(rig, VERIFY_FLIPPED, "journal"));
	buf_free(record);
	buf_free(changed);
	/* The bastion goes on all the same. */
	rig_open(rig);
	rig_data(rig_session(rig), 1, 10);
	rig_commit(rig);
}

static void
test_the_journal_stays_small_and_nothing_is_lost(void **state)
{
	struct rig *rig = *state;
	struct session *busy, *idle;
	struct chain_stats stats;
	uint8_t idle_sid[REC_SID_LEN], busy_sid[REC_SID_LEN];

	rig_close(rig);
	rig->journal_keep = 1u << 20;
	rig_open(rig);
	idle = rig_session(rig);
	busy = rig_session(rig);
	memcpy(idle_sid, session_sid(idle), sizeof(idle_sid));
	memcpy(busy_sid, session_sid(busy), sizeof(busy_sid));
	rig_data(idle, 1, 30);
	rig_commit(rig);
	for (unsigned i = 0; i < 150; i++) {
		uint8_t data[20000] = { 0 };

		(void)snprintf((char *)data, sizeof(data), "%07u", i);
		randombytes_buf(data + 8, sizeof(data) - 8);
		assert_int_equal(
		    session_append(busy, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)), 0);
		rig_commit(rig);
	}
	chain_stats(rig->chain, &stats);
	assert_true(stats.journal_bytes < 2u << 20);
	assert_int_equal(count_events(rig, idle_sid, 30), 1);
	assert_int_equal(count_events(rig, busy_sid, 20000), 150);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
	assert_int_equal(rig->recovery.n_truncated, 2);
	assert_int_equal(count_events(rig, busy_sid, 20000), 150);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
}

static void
busy_data(struct session *s, unsigned n)
{
	uint8_t data[20000] = { 0 };

	(void)snprintf((char *)data, sizeof(data), "%07u", n);
	assert_int_equal(session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)), 0);
}

static void
test_the_journal_holds_only_what_growing_blocks_need(void **state)
{
	struct rig *rig = *state;
	struct session *busy = rig_session(rig), *idle = rig_session(rig);
	uint8_t busy_sid[REC_SID_LEN], idle_sid[REC_SID_LEN];
	struct chain_stats stats;
	unsigned n = 0;

	memcpy(busy_sid, session_sid(busy), sizeof(busy_sid));
	memcpy(idle_sid, session_sid(idle), sizeof(idle_sid));
	for (unsigned i = 0; i < 40; i++) {
		busy_data(busy, n++);
		rig_commit(rig);
		chain_stats(rig->chain, &stats);
		assert_true(stats.journal_bytes < BLOCK_RAW_MAX + 40000);
	}
	/* What began before others sealed stays, and all that came after it. */
	rig_data(idle, 1, 30);
	rig_commit(rig);
	for (unsigned i = 0; i < 20; i++) {
		busy_data(busy, n++);
		rig_commit(rig);
	}
	chain_stats(rig->chain, &stats);
	assert_true(stats.journal_bytes > 20u * 20000);
	assert_int_equal(count_events(rig, idle_sid, 30), 1);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
	assert_int_equal(count_events(rig, idle_sid, 30), 1);
	assert_int_equal(count_events(rig, busy_sid, 20000), 60);
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_with_the_last_session_the_journal_is_empty(void **state)
{
	struct rig *rig = *state;
	struct session *s[3];
	struct chain_stats stats;

	for (unsigned i = 0; i < N_OF(s); i++) {
		s[i] = rig_session(rig);
		rig_data(s[i], 1, 500);
		rig_commit(rig);
	}
	for (unsigned i = 0; i < N_OF(s); i++) {
		chain_stats(rig->chain, &stats);
		assert_true(stats.journal_bytes > 500);
		assert_int_equal(session_close(s[i], LINK_END_CLIENT, "", ""), 0);
		rig_commit(rig);
	}
	chain_stats(rig->chain, &stats);
	assert_int_equal(stats.journal_bytes, 0);
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_idle_sessions_cost_no_commit(void **state)
{
	struct rig *rig = *state;
	struct chain_stats before, after;

	for (unsigned i = 0; i < 10; i++)
		rig_data(rig_session(rig), 1, 500);
	rig_commit(rig);
	assert_int_equal(chain_commit(rig->chain, true), 0); /* heads of what was written */
	chain_stats(rig->chain, &before);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(chain_commit(rig->chain, i % 2 == 0), 0);
	chain_stats(rig->chain, &after);
	assert_int_equal(after.n_commits, before.n_commits);
}

static void
test_many_sessions_share_a_commit(void **state)
{
	struct rig *rig = *state;
	struct session *s[50];
	struct chain_stats before, after;

	for (unsigned i = 0; i < N_OF(s); i++)
		s[i] = rig_session(rig);
	rig_commit(rig);
	chain_stats(rig->chain, &before);
	for (unsigned i = 0; i < N_OF(s); i++)
		rig_data(s[i], 1, 30);
	rig_commit(rig);
	chain_stats(rig->chain, &after);
	assert_int_equal(after.n_commits - before.n_commits, 1);
	assert_int_equal(after.n_sessions, N_OF(s));
	assert_true(after.journal_bytes - before.journal_bytes < 50 * 150);
	for (unsigned i = 0; i < N_OF(s); i++)
		assert_int_equal(session_close(s[i], LINK_END_TARGET, "", ""), 0);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
	assert_int_equal(rig->result.n_good, N_OF(s));
}

static void
test_bad_metadata_is_refused_and_harms_nothing(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\1\0\0\0\5abc", 8 },
		{ "\1\0\0\0\1a\1\0\0\0\1b", 12 },
		{ "\0\0\0\0\1a", 6 },
		{ "\1\0\0\0\1\n", 6 },
		{ "\1\0\0\0\1\x7f", 6 },
		{ "\1", 1 },
	};
	struct rig *rig = *state;
	struct session *s;

	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(
		    session_open(rig->chain, 1, 1, bad[i].bytes, bad[i].len, &s), ERR_FORMAT);
	assert_int_equal(chain_failed(rig->chain), 0);
	assert_int_equal(session_open(rig->chain, 1, 1, "", 0, &s), 0);
	rig_crash(rig);
	assert_int_equal(rig_verify(rig), 0);
}

static void
test_long_texts_of_an_end_are_cut(void **state)
{
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	uint8_t sid[REC_SID_LEN];
	char text[2000];
	struct sess info;

	memcpy(sid, session_sid(s), sizeof(sid));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(session_close(s, LINK_END_KILLED, text, text), 0);
	rig_commit(rig);
	read_sess(rig, sid, &info);
	assert_int_equal(strlen(info.end_text), SESS_TEXT_MAX - 1);
	sess_done(&info);
}

static int
count_session(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	(void)sid;
	(void)opened_wall_ns;
	return ++*(unsigned *)arg == 3 ? 17 : 0;
}

static void
test_the_index_finds_sessions(void **state)
{
	struct rig *rig = *state;
	struct store_snap *snap;
	uint8_t sid[REC_SID_LEN];
	struct sess s;
	unsigned n = 0;

	rig_closed(rig, 1, 10, sid);
	rig_closed(rig, 1, 10, sid);
	read_sess(rig, sid, &s);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(sess_each(snap, 0, count_session, &n), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(sess_each(snap, s.opened_wall_ns, count_session, &n), 0);
	assert_int_equal(n, 1);
	n = 0;
	assert_int_equal(sess_each_of(snap, REC_META_IDENTITY, "alice", 0, count_session, &n), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(sess_each_of(snap, REC_META_IDENTITY, "alic", 0, count_session, &n), 0);
	assert_int_equal(sess_each_of(snap, REC_META_HOST, "alice", 0, count_session, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
	    sess_each_of(snap, REC_META_RULE, "sre", 0, count_session, &n), ERR_NOT_FOUND);
	store_snap_free(snap);
	rig_closed(rig, 1, 10, sid);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(sess_each(snap, 0, count_session, &n), 17);
	store_snap_free(snap);
	sess_done(&s);
}

static void
test_the_log_knows_openings_ends_and_audit_events(void **state)
{
	static const unsigned want[] = { MLOG_INIT, MLOG_KEY, MLOG_OPEN, MLOG_AUDIT, MLOG_CLOSE };
	struct rig *rig = *state;
	struct session *s = rig_session(rig);
	struct store_snap *snap;
	struct mlog_leaf leaf;
	const uint8_t *data;
	size_t len;

	assert_int_equal(chain_audit(rig->chain, "{\"event\":\"view\"}", 16), 0);
	assert_int_equal(session_close(s, LINK_END_CLIENT, "", ""), 0);
	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	for (uint64_t i = 0; i < N_OF(want); i++) {
		assert_int_equal(mlog_leaf_get(snap, i, &data, &len), 0);
		assert_int_equal(mlog_leaf_parse(data, len, &leaf), 0);
		assert_int_equal(leaf.type, want[i]);
		/* No leaf holds anything personal. */
		assert_null(memmem(data, len, "alice", 5));
		for (size_t cut = 0; cut < len; cut++)
			assert_int_not_equal(mlog_leaf_parse(data, cut, &leaf), 0);
	}
	assert_int_equal(mlog_leaf_get(snap, N_OF(want), &data, &len), ERR_NOT_FOUND);
	assert_int_equal(mlog_audit_get(snap, 3, &data, &len), 0);
	assert_int_equal(len, 16);
	assert_memory_equal(data, "{\"event\":\"view\"}", 16);
	assert_string_equal(mlog_type_name(MLOG_AUDIT), "audit");
	assert_string_equal(mlog_type_name(99), "unknown");
	store_snap_free(snap);
}

static void
test_leaves_of_later_versions_are_leaves(void **state)
{
	static const uint8_t later[] = { 1, 77, 0, 0, 0, 0, 0, 0, 0, 5, 'x' };
	static const uint8_t other[] = { 2, 3, 0, 0, 0, 0, 0, 0, 0, 5 };
	struct mlog_leaf leaf;

	(void)state;
	assert_int_equal(mlog_leaf_parse(later, sizeof(later), &leaf), 0);
	assert_int_equal(leaf.type, 77);
	assert_int_equal(leaf.wall_ns, 5);
	assert_int_equal(mlog_leaf_parse(other, sizeof(other), &leaf), ERR_VERSION);
}

static void
test_an_audit_event_has_a_limit(void **state)
{
	static char text[REC_AUDIT_MAX + 1];
	struct rig *rig = *state;

	assert_int_equal(chain_audit(rig->chain, text, REC_AUDIT_MAX), 0);
	assert_int_equal(chain_audit(rig->chain, text, REC_AUDIT_MAX + 1), ERR_LIMIT);
	assert_int_equal(chain_failed(rig->chain), 0);
}

/* The signing key. */

static void
test_the_key_is_made_once_and_kept_private(void **state)
{
	struct rig *rig = *state;
	struct signer again;
	struct stat st;

	assert_int_equal(stat(rig->key_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(signer_load(rig->key_path, "another/name", &again), 0);
	assert_memory_equal(again.key.key, rig->signer.key.key, NOTE_KEY_LEN);
	assert_string_equal(again.key.name, "bastiond/test");
	signer_done(&again);
}

static void
test_a_broken_key_file_is_refused(void **state)
{
	static const char *const bad[] = { "", "PRIVATE+KEY+x", "PRIVATE+KEY+x+00000000+AAAA\n",
		"PRIVATE+KEY+PeterNeumann+c74f20a4+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n",
		"PUBLIC+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n" };
	struct rig *rig = *state;
	struct signer s;

	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(file_replace(rig->key_path, 0600, bad[i], strlen(bad[i])), 0);
		assert_int_equal(signer_load(rig->key_path, "x", &s), ERR_FORMAT);
	}
}

static void
test_another_key_does_not_go_on_with_a_store(void **state)
{
	struct rig *rig = *state;
	struct chain_recovery recovery;
	struct chain_conf conf;
	struct signer other;
	struct chain *chain;
	char path[200];

	rig_crash(rig);
	(void)snprintf(path, sizeof(path), "%s/other.key", rig->dir);
	assert_int_equal(signer_load(path, "bastiond/test", &other), 0);
	conf = (struct chain_conf){
		.store = { .dir = rig->dir, .map_size = rig->map_size, .durability = STORE_STRICT },
		.signer = &other,
	};
	assert_int_equal(chain_open(&conf, &chain, &recovery), ERR_SIGNATURE);
	signer_done(&other);
}

static void
test_the_public_key_is_exported(void **state)
{
	struct rig *rig = *state;
	char path[200], *text;
	struct note_key key;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/recorder.pub", rig->dir);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(signer_export(&rig->signer.key, path), 0);
		assert_int_equal(file_read(path, NOTE_VKEY_SIZE, &text, &len), 0);
		assert_int_equal(note_key_parse(text, len, &key), 0);
		assert_memory_equal(key.key, rig->signer.key.key, NOTE_KEY_LEN);
		free(text);
	}
}

static void
test_a_log_that_was_shortened_is_not_gone_on_with(void **state)
{
	struct rig *rig = *state;
	struct chain_recovery recovery;
	struct chain_conf conf = {
		.store = { .dir = rig->dir, .map_size = rig->map_size, .durability = STORE_STRICT },
		.signer = &rig->signer,
	};
	uint8_t sid[REC_SID_LEN], key[8] = { 0, 0, 0, 0, 0, 0, 0, 3 };
	struct chain *chain;
	struct store *store;

	rig_closed(rig, 1, 10, sid);
	rig_crash(rig);
	store = rig_touch(rig);
	assert_int_equal(store_del(store, STORE_LOG, key, sizeof(key)), 0);
	rig_untouch(store);
	assert_int_equal(chain_open(&conf, &chain, &recovery), ERR_CHAIN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_events_come_back_from_journal_and_blocks),
		T(test_an_event_is_not_there_before_the_commit),
		T(test_a_long_session_takes_no_more_memory_than_a_short_one),
		T(test_a_recording_is_followed_while_it_grows),
		T(test_following_reads_each_record_of_the_journal_once),
		T(test_seeking_finds_the_block_of_a_time),
		T(test_the_record_says_what_was_said),
		T(test_a_crash_truncates_at_the_last_commit),
		T(test_every_commit_survives_a_crash),
		T(test_recovery_does_not_sign_what_was_changed),
		T(test_the_journal_stays_small_and_nothing_is_lost),
		T(test_the_journal_holds_only_what_growing_blocks_need),
		T(test_with_the_last_session_the_journal_is_empty),
		T(test_idle_sessions_cost_no_commit),
		T(test_many_sessions_share_a_commit),
		T(test_bad_metadata_is_refused_and_harms_nothing),
		T(test_long_texts_of_an_end_are_cut),
		T(test_the_index_finds_sessions),
		T(test_the_log_knows_openings_ends_and_audit_events),
		cmocka_unit_test(test_leaves_of_later_versions_are_leaves),
		T(test_an_audit_event_has_a_limit),
		T(test_the_key_is_made_once_and_kept_private),
		T(test_a_broken_key_file_is_refused),
		T(test_another_key_does_not_go_on_with_a_store),
		T(test_the_public_key_is_exported),
		T(test_a_log_that_was_shortened_is_not_gone_on_with),
	};

	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
