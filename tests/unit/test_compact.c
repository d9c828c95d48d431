/* What is free inside the store's file is given back, and nothing else. */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#include "recorder/compact.h"
#include "recorder/store_write.h"
#include "tests/lib/test.h"
#include "tests/unit/store_rig.h"

static void
fill(struct rig *rig, size_t len, uint8_t ret_sid[REC_SID_LEN])
{
	struct session *s = rig_session(rig);
	uint8_t data[16384];

	memcpy(ret_sid, session_sid(s), REC_SID_LEN);
	for (size_t at = 0; at < len; at += sizeof(data)) {
		randombytes_buf(data, sizeof(data));
		assert_int_equal(
		    session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)), 0);
	}
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(rig);
}

/* Blocks of a session, away, as erasing it does. */
static void
drop_blocks(struct rig *rig, const uint8_t sid[REC_SID_LEN])
{
	struct store *s = rig_touch(rig);
	uint64_t bytes;
	bool done;

	assert_int_equal(
	    store_del_some(s, STORE_BLK, sid, REC_SID_LEN, UINT64_MAX, &bytes, &done), 0);
	assert_true(done && bytes > 0);
	rig_untouch(s);
}

static bool
is_there(struct rig *rig, const char *name)
{
	struct stat st;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	return stat(path, &st) == 0;
}

static void
test_no_store_is_made(void **state)
{
	struct rig *rig = *state;
	struct compact_result result;
	char dir[200];

	(void)snprintf(dir, sizeof(dir), "%s/none", rig->dir);
	assert_int_equal(compact_store(dir, &result), -ENOENT);
	assert_false(is_there(rig, "none"));
}

static void
test_a_store_in_use_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct compact_result result;

	assert_int_equal(compact_store(rig->dir, &result), ERR_EXISTS);
	assert_false(is_there(rig, COMPACT_DIR));
}

static void
test_free_space_is_given_back(void **state)
{
	struct rig *rig = *state;
	struct compact_result result;
	uint8_t sid[REC_SID_LEN], other[REC_SID_LEN];
	char *checkpoint;

	fill(rig, 8u << 20, sid);
	fill(rig, 1u << 20, other);
	rig_close(rig);
	checkpoint = rig_checkpoint(rig);
	drop_blocks(rig, sid);
	assert_int_equal(compact_store(rig->dir, &result), 0);
	assert_true(result.before > 9u << 20);
	assert_true(result.after < result.before - (7u << 20));
	assert_false(is_there(rig, COMPACT_DIR));
	/* What is missing is missing as before; everything else is there. */
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, checkpoint), ERR_CHAIN);
	for (size_t i = 0; i < rig->n_findings; i++)
		assert_memory_equal(rig->findings[i].sid, sid, REC_SID_LEN);
	/* It is written on, and compacted again. */
	rig_open(rig);
	fill(rig, 100000, other);
	rig_close(rig);
	assert_int_equal(compact_store(rig->dir, &result), 0);
	free(checkpoint);
}

static void
test_what_a_stop_left_behind_is_removed(void **state)
{
	struct rig *rig = *state;
	struct compact_result result;
	char path[512];
	uint8_t sid[REC_SID_LEN];
	FILE *f;

	fill(rig, 100000, sid);
	rig_close(rig);
	(void)snprintf(path, sizeof(path), "%s/" COMPACT_DIR, rig->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/" COMPACT_DIR "/data.mdb", rig->dir);
	assert_non_null(f = fopen(path, "w"));
	fputs("half a store", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(compact_store(rig->dir, &result), 0);
	assert_false(is_there(rig, COMPACT_DIR));
	assert_int_equal(rig_verify(rig), 0);
}

/* Another process that has the store open, as a bastionctl with --store has it; ended by closing *ret_fd. */
static pid_t
start_reader(struct rig *rig, int *ret_fd)
{
	int ready[2], end[2];
	struct store *s;
	char byte = 'x';
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(end[1]);
		if (store_open_read(rig->dir, &s) != 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(end[0], &byte, 1) == 0 ? 0 : 1);
	}
	(void)close(ready[1]);
	(void)close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	*ret_fd = end[1];
	return pid;
}

/* LMDB believes what its lock file says of the newest transaction as long as anybody has it open. */
static void
test_a_reader_that_stays_open_breaks_nothing(void **state)
{
	struct rig *rig = *state;
	struct compact_result result;
	uint8_t sid[REC_SID_LEN];
	char *checkpoint;
	int fd, status;
	pid_t pid;

	for (unsigned round = 0; round < 2; round++) {
		fill(rig, 100000, sid);
		for (unsigned i = 0; i < round; i++)
			assert_int_equal(chain_audit(rig->chain, "{}", 2), 0);
		rig_commit(rig);
		rig_close(rig);
		checkpoint = rig_checkpoint(rig);
		pid = start_reader(rig, &fd);
		assert_int_equal(compact_store(rig->dir, &result), 0);
		rig_open(rig);
		fill(rig, 100000, sid);
		rig_close(rig);
		(void)close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(rig_verify_with(rig, &rig->signer.key, checkpoint), 0);
		assert_int_equal(rig->result.n_sessions, 2 * (round + 1));
		free(checkpoint);
		rig_open(rig);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_no_store_is_made),
		T(test_a_store_in_use_is_left_alone),
		T(test_free_space_is_given_back),
		T(test_what_a_stop_left_behind_is_removed),
		T(test_a_reader_that_stays_open_breaks_nothing),
	};

	return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
