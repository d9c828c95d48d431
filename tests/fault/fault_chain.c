/*
 * The writer and its readers with no memory at every point: nothing leaks or crashes, and whatever was committed is in a
 * store that verifies.
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "lib/hash.h"
#include "recorder/crypt.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define MARKER "qqWhatWasTypedqq"

static int sealed; /* given to a run: it is */

struct run {
	struct rig rig;
	uint8_t secret[AUDITOR_KEY_LEN]; /* of the auditor, when it is sealed */
	uint8_t key[CRYPT_KEY_LEN];	 /* of the session, once there is one */
	bool keyed;
	uint8_t sid[REC_SID_LEN];
	bool opened;	    /* a session was committed */
	unsigned committed; /* events of it that were committed */
};

static int
append(struct session *s, unsigned n)
{
	static uint8_t data[30000];

	(void)snprintf((char *)data, sizeof(data), "%07u " MARKER, n % 10000000);
	return session_append(
	    s, n % 2 == 0 ? EVENT_FRONT : EVENT_BACK, LINK_DATA, 1, data, 6000 + n * 1000);
}

/* A session with a channel, a dozen events (more than a block) in four commits, an audit event, its end. */
static int
write_session(struct run *run, struct chain *c)
{
	static const uint8_t open_payload[] = "\0\0\0\7session";
	uint8_t meta[256];
	struct session *s;
	size_t len;
	int r;

	fault_hold();
	len = rig_meta(meta);
	fault_go();
	if ((r = session_open(c, 1, 2, meta, len, &s)) != 0)
		return r;
	memcpy(run->sid, session_sid(s), REC_SID_LEN);
	memcpy(run->key, session_key(s), CRYPT_KEY_LEN);
	run->keyed = true;
	if ((r = session_append(
		 s, EVENT_FRONT, LINK_OPEN, 1, open_payload, sizeof(open_payload) - 1)) != 0)
		return r;
	for (unsigned n = 0; n < 16; n++) {
		if ((r = append(s, n)) != 0)
			return r;
		if (n % 4 != 3)
			continue;
		if ((r = chain_commit(c, n % 8 == 7)) != 0)
			return r;
		run->opened = true;
		run->committed = n + 2;
	}
	if ((r = chain_audit(c, "{\"event\":\"x\"}", 13)) != 0 ||
	    (r = session_close(s, LINK_END_CLIENT, "bye", "")) != 0)
		return r;
	return chain_commit(c, true);
}

static int
write_all(struct run *run)
{
	struct chain_conf conf = {
		.store = { .dir = run->rig.dir,
		    .map_size = 32u << 20,
		    .durability = STORE_PROCESS },
		.signer = &run->rig.signer,
		.auditors = run->rig.auditors,
	};
	struct chain_recovery recovery;
	struct chain *c;
	int r;

	if ((r = signer_load(run->rig.key_path, "test", &run->rig.signer)) != 0)
		return r;
	if ((r = chain_open(&conf, &c, &recovery)) != 0)
		return r;
	r = write_session(run, c);
	chain_close(c);
	return r;
}

/* With its auditor's key the events are all there, and nothing of them or of its key is in any file. */
static void
check_sealed(const struct run *run, uint64_t n_events)
{
	struct recording_part part;
	struct recording *rec;
	struct store_snap *snap;
	struct store *store;
	uint64_t next = 1;

	rig_no_trace(run->rig.dir, MARKER, strlen(MARKER));
	if (run->keyed)
		rig_no_trace(run->rig.dir, run->key, sizeof(run->key));
	if (n_events == 0)
		return;
	assert_int_equal(store_open_read(run->rig.dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_int_equal(recording_open(snap, run->sid, &rec), ERR_SEALED);
	assert_int_equal(store_set_auditor(store, run->secret), 0);
	assert_int_equal(recording_open(snap, run->sid, &rec), 0);
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0)
			assert_int_equal(ev.seq, next++);
	}
	assert_int_equal(next - 1, n_events);
	recording_close(rec);
	store_snap_free(snap);
	store_close(store);
}

/* Everything that a commit said was durable is there, in a store that verifies. */
static void
check(struct run *run)
{
	struct rig *rig = &run->rig;
	struct store_snap *snap;
	uint64_t n_events;
	struct sess s;

	if (!run->opened) {
		if (rig->auditors != NULL)
			check_sealed(run, 0);
		return;
	}
	rig->map_size = 32u << 20;
	assert_int_equal(rig_verify(rig), 0);
	rig_open(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(sess_get(snap, run->sid, &s), 0);
	n_events = s.n_events;
	assert_true(n_events >= run->committed);
	sess_done(&s);
	store_snap_free(snap);
	rig_close(rig);
	assert_int_equal(rig_verify(rig), 0);
	if (rig->auditors != NULL)
		check_sealed(run, n_events);
}

/* how: NULL: not sealed. */
static struct run *
run_new(const void *how)
{
	const char *tmp = getenv("TMPDIR");
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	(void)snprintf(run->rig.dir, sizeof(run->rig.dir), "%.80s/bastion-fault.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(run->rig.dir));
	(void)snprintf(run->rig.key_path, sizeof(run->rig.key_path), "%s/sign.key", run->rig.dir);
	if (how != NULL) {
		rig_seal(&run->rig, run->secret);
		run->rig.auditor = run->secret;
	}
	return run;
}

static void
run_free(struct run *run)
{
	signer_done(&run->rig.signer);
	rig_remove(run->rig.dir);
	free(run);
}

static int
run_writer(void *arg)
{
	struct run *run;
	int r;

	fault_hold();
	run = run_new(arg);
	fault_go();
	r = write_all(run);
	fault_hold();
	check(run);
	run_free(run);
	return r;
}

static void
test_the_writer_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_writer, NULL) > 40);
	assert_true(fault_each(FAULT_MEMORY, run_writer, &sealed) > 40);
}

/* Start-up over a session that was left open. */
static int
run_recovery(void *arg)
{
	struct chain_conf conf = { 0 };
	struct chain_recovery recovery;
	struct session *s;
	struct chain *c;
	struct run *run;
	int r;

	fault_hold();
	run = run_new(arg);
	assert_int_equal(signer_load(run->rig.key_path, "test", &run->rig.signer), 0);
	run->rig.map_size = 32u << 20;
	rig_open(&run->rig);
	s = rig_session(&run->rig);
	memcpy(run->sid, session_sid(s), REC_SID_LEN);
	rig_data(s, 9, 30000);
	rig_crash(&run->rig);
	conf = (struct chain_conf){
		.store = { .dir = run->rig.dir, .map_size = 32u << 20, .durability = STORE_STRICT },
		.signer = &run->rig.signer,
	};
	fault_go();
	r = chain_open(&conf, &c, &recovery);
	fault_hold();
	if (r == 0) {
		assert_int_equal(recovery.n_truncated, 1);
		chain_close(c);
	}
	/* A start that failed leaves everything for the next. */
	assert_int_equal(rig_verify(&run->rig), 0);
	assert_int_equal(run->rig.result.n_good, 1);
	assert_int_equal(run->rig.result.n_truncated, r == 0);
	if (arg != NULL)
		check_sealed(run, 9);
	run_free(run);
	return r;
}

static void
test_recovery_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_recovery, NULL) > 15);
	assert_true(fault_each(FAULT_MEMORY, run_recovery, &sealed) > 15);
}

/* Reading and verifying: out of memory is an error, never a finding. */
static int
read_all(struct store_snap *snap, const uint8_t *sid)
{
	struct recording_part part;
	struct recording *rec;
	struct sess s;
	int r;

	if ((r = sess_get(snap, sid, &s)) != 0)
		return r;
	r = sess_live(snap, &s);
	sess_done(&s);
	if (r != 0 || (r = recording_open(snap, sid, &rec)) != 0)
		return r;
	while ((r = recording_next(rec, &part)) == 0)
		continue;
	recording_close(rec);
	return r == ERR_NOT_FOUND ? 0 : r;
}

struct reading {
	struct rig *rig;
	struct store_snap *snap;
	uint8_t sids[2][REC_SID_LEN];
};

static int
run_readers(void *arg)
{
	struct reading *reading = arg;
	struct verify_conf conf = { .key = &reading->rig->signer.key };
	struct verify_result result;
	int r;

	for (int i = 0; i < 2; i++)
		if ((r = read_all(reading->snap, reading->sids[i])) != 0) {
			assert_int_equal(r, -ENOMEM);
			return r;
		}
	r = verify_all(reading->snap, &conf, &result);
	assert_int_equal(result.n_findings, 0);
	assert_true(r == 0 || r == -ENOMEM);
	return r;
}

static void
read_with_faults(struct rig *rig, const uint8_t *secret)
{
	struct reading reading = { .rig = rig };
	struct session *open;

	rig_closed(reading.rig, 20, 10000, reading.sids[0]);
	open = rig_session(reading.rig);
	memcpy(reading.sids[1], session_sid(open), REC_SID_LEN);
	rig_data(open, 20, 10000);
	assert_int_equal(chain_commit(reading.rig->chain, true), 0);
	assert_int_equal(store_snap_new(chain_store(reading.rig->chain), &reading.snap), 0);
	if (secret != NULL)
		assert_int_equal(store_set_auditor(chain_store(rig->chain), secret), 0);
	assert_true(fault_each(FAULT_MEMORY, run_readers, &reading) > 40);
	store_snap_free(reading.snap);
}

static void
test_readers_survive_every_failed_allocation(void **state)
{
	uint8_t secret[AUDITOR_KEY_LEN];
	struct rig *rig = *state;

	read_with_faults(rig, NULL);
	rig_close(rig);
	rig_seal(rig, secret);
	rig_open(rig);
	read_with_faults(rig, secret);
}

/* What a session's record counts is in its events. */
static int
count(void *arg)
{
	static const uint8_t data[3000];
	struct store_snap *snap;
	struct session *s;
	struct sess sess;
	struct rig *rig;
	void *state;
	uint8_t sid[REC_SID_LEN];
	uint64_t sum = 0;
	int r = 0, e;

	(void)arg;
	fault_hold();
	rig_setup(&state);
	rig = state;
	s = rig_session(rig);
	memcpy(sid, session_sid(s), sizeof(sid));
	assert_int_equal(session_append(s, EVENT_FRONT, LINK_OPEN, 1, "\0\0\0\7session", 11), 0);
	fault_go();
	for (size_t i = 0; i < 20; i++) {
		if ((e = session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data))) == 0)
			sum += sizeof(data);
		r = r != 0 ? r : e;
	}
	fault_hold();
	assert_int_equal(session_close(s, LINK_END_CLIENT, "", ""), 0);
	rig_commit(rig);
	assert_int_equal(store_snap_new(chain_store(rig->chain), &snap), 0);
	assert_int_equal(sess_get(snap, sid, &sess), 0);
	assert_int_equal(sess.n_channels, 1);
	assert_int_equal(sess.channels[0].bytes_out, sum);
	sess_done(&sess);
	store_snap_free(snap);
	rig_teardown(&state);
	return r;
}

static void
test_an_event_that_does_not_fit_is_not_counted(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, count, NULL) > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_writer_survives_every_failed_allocation),
		cmocka_unit_test(test_recovery_survives_every_failed_allocation),
		cmocka_unit_test(test_an_event_that_does_not_fit_is_not_counted),
		cmocka_unit_test_setup_teardown(
		    test_readers_survive_every_failed_allocation, rig_setup, rig_teardown),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("fault_chain", tests, NULL, NULL);
}
