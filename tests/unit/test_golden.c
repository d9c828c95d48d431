/*
 * Recordings of every released format verify and read the same for ever. tests/data/store-v2 was
 * made by bastion-feed from the script in it: a shell, then the next signing key, an exec of two blocks that ended by a
 * signal, one that a crash truncated, one that is open. Its key is gone.
 */
#include "config.h"

#include <unistd.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "recorder/verify.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

#define GOLDEN_LOG_SIZE 12u
#define GOLDEN_LOG_ROOT "f806e8947e96f7d5e300f47143bd1d672fe6712ee905c6899d7ee583fad3b44e"
#define GOLDEN_EVENTS "f6c51367e54a0ec5d804ea755a6fd3ac0b01f6805e200481fcd6439187e9a570"

struct golden {
	char dir[128];
	struct note_key key;
	struct store *store;
	struct store_snap *snap;
};

static void
copy_in(struct golden *g, const char *from, const char *name)
{
	char path[512], *data;
	size_t len;

	(void)snprintf(
	    path, sizeof(path), "%s/tests/data/%s/%s", getenv("BASTION_SRC"), from, name);
	assert_int_equal(file_read(path, 1u << 20, &data, &len), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	assert_int_equal(file_create(path, 0600, data, len), 0);
	if (strcmp(name, "recorder.pub") == 0)
		assert_int_equal(note_key_parse(data, len, &g->key), 0);
	free(data);
}

static int
setup(void **state)
{
	struct golden *g = calloc(1, sizeof(*g));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(g);
	assert_non_null(getenv("BASTION_SRC"));
	(void)snprintf(
	    g->dir, sizeof(g->dir), "%.80s/bastion-golden.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(g->dir));
	copy_in(g, "store-v2", "data.mdb");
	copy_in(g, "store-v2", "recorder.pub");
	copy_in(g, "store-v2", "session.keys");
	assert_int_equal(store_open_read(g->dir, &g->store), 0);
	assert_int_equal(store_snap_new(g->store, &g->snap), 0);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	struct golden *g = *state;

	store_snap_free(g->snap);
	store_close(g->store);
	rig_remove(g->dir);
	free(g);
	return 0;
}

static void
print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	print_message("# %s at %s: %s\n", verify_kind_name(f->kind), f->place, f->text);
}

static void
test_it_verifies(void **state)
{
	struct golden *g = *state;
	struct verify_conf conf = { .key = &g->key, .found = print_finding };
	struct verify_result result;
	char hex[2 * HASH_LEN + 1];

	assert_int_equal(verify_all(g->snap, &conf, &result), 0);
	assert_int_equal(result.n_sessions, 4);
	assert_int_equal(result.n_good, 4);
	assert_int_equal(result.n_open, 1);
	assert_int_equal(result.n_truncated, 1);
	assert_int_equal(result.n_keys, 2);
	assert_int_equal(result.log_size, GOLDEN_LOG_SIZE);
	assert_string_equal(str_hex(hex, result.log_root, HASH_LEN), GOLDEN_LOG_ROOT);
}

/* All events of all sessions, oldest first, into one hash. */
static int
hash_session(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct golden *g = ((void **)arg)[0];
	struct hash *h = ((void **)arg)[1];
	struct recording_part part;
	struct recording *rec;

	(void)opened_wall_ns;
	assert_int_equal(recording_open(g->snap, sid, &rec), 0);
	while (recording_next(rec, &part) == 0)
		hash_add(h, part.data, part.len);
	recording_close(rec);
	return 0;
}

static void
test_every_event_reads_as_it_was(void **state)
{
	struct hash *h = hash_new();
	void *arg[2] = { *state, h };
	uint8_t hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1];

	assert_non_null(h);
	assert_int_equal(sess_each(((struct golden *)*state)->snap, 0, hash_session, arg), 0);
	hash_end(h, hash);
	assert_string_equal(str_hex(hex, hash, HASH_LEN), GOLDEN_EVENTS);
	hash_free(h);
}

static int
keep_sid(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	(void)opened_wall_ns;
	memcpy(arg, sid, REC_SID_LEN);
	return 1;
}

static void
test_the_first_session_is_described(void **state)
{
	struct golden *g = *state;
	uint8_t sid[REC_SID_LEN];
	struct sess s;
	char text[64];

	assert_int_equal(sess_each_of(g->snap, REC_META_IDENTITY, "bob", 0, keep_sid, sid), 1);
	assert_int_equal(sess_get(g->snap, sid, &s), 0);
	assert_int_equal(s.state, SESS_CLOSED);
	assert_int_equal(s.n_events, 14);
	assert_int_equal(s.n_blocks, 2);
	assert_string_equal(sess_meta_text(&s, REC_META_HOST, text, sizeof(text)), "db1");
	assert_int_equal(s.n_channels, 1);
	assert_string_equal(s.channels[0].command, "cat /var/log/big");
	assert_int_equal(s.channels[0].exit, SESS_EXIT_SIGNAL);
	assert_string_equal(s.channels[0].exit_signal, "INT");
	sess_done(&s);
}

static void
test_the_audit_event_is_there(void **state)
{
	struct golden *g = *state;
	const uint8_t *text;
	size_t len;
	int found = 0;

	for (uint64_t i = 0; i < GOLDEN_LOG_SIZE; i++)
		if (mlog_audit_get(g->snap, i, &text, &len) == 0) {
			assert_non_null(memmem(text, len, "carol", 5));
			found++;
		}
	assert_int_equal(found, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_it_verifies),
		T(test_every_event_reads_as_it_was),
		T(test_the_first_session_is_described),
		T(test_the_audit_event_is_there),
	};

	if (secret_init() != 0 || hash_init() != 0)
		return 1;
	return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
