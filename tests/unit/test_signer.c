/*
 * Rolling over to the next signing key: nothing of the old one stays, and wherever the recorder
 * dies in between, the next one starts and goes on with the right key.
 */
#include "config.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "tests/unit/store_rig.h"

#define FILE_LEN (SIGNER_SLOTS * SIGNER_SLOT_LEN)
#define SEED_LEN 32u
#define TWIST 0x5a /* what is looked for must not lie in memory because it is looked for */

struct past {
	struct rig *rig;
	struct note_key root; /* the log's first key */
	char file[FILE_LEN];
	uint8_t seed[SEED_LEN]; /* of the key in force then, twisted */
};

static void
read_file(const struct rig *rig, char ret_file[FILE_LEN])
{
	char *text;
	size_t len;

	assert_int_equal(file_read(rig->key_path, FILE_LEN, &text, &len), 0);
	assert_int_equal(len, FILE_LEN);
	memcpy(ret_file, text, len);
	sodium_memzero(text, len);
	free(text);
}

static void
write_file(const struct rig *rig, const char file[FILE_LEN])
{
	int fd = open(rig->key_path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, file, FILE_LEN, 0), FILE_LEN);
	(void)close(fd);
}

static void
remember(struct past *p, struct rig *rig)
{
	*p = (struct past){ .rig = rig, .root = rig->signer.key };
	for (size_t i = 0; i < SEED_LEN; i++)
		p->seed[i] = secret_cptr(rig->signer.secret)[i] ^ TWIST;
	read_file(rig, p->file);
}

/* As after a start: the key from the file, the chain from the store. */
static void
start_again(struct rig *rig)
{
	rig_close(rig);
	signer_done(&rig->signer);
	assert_int_equal(signer_load(rig->key_path, "bastiond/test", &rig->signer), 0);
	rig_open(rig);
}

static bool
same_key(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->key, b->key, NOTE_KEY_LEN) == 0;
}

static unsigned
keys_in_file(const struct rig *rig)
{
	char file[FILE_LEN];
	unsigned n = 0;

	read_file(rig, file);
	for (size_t i = 0; i + 12 <= FILE_LEN; i++)
		n += memcmp(file + i, "PRIVATE+KEY+", 12) == 0;
	return n;
}

/* One key, nothing besides, in force; the store goes on and verifies from the first key of all. */
static void
must_be_well(struct past *p, bool rolled_over)
{
	struct rig *rig = p->rig;
	uint8_t sid[REC_SID_LEN];

	assert_true(same_key(&rig->signer.key, &p->root) == !rolled_over);
	assert_null(rig->signer.other);
	assert_int_equal(keys_in_file(rig), 1);
	rig_closed(rig, 2, 9, sid);
	assert_int_equal(chain_rotate(rig->chain), 0);
	rig_closed(rig, 2, 9, sid);
	rig_crash(rig);
	assert_int_equal(rig_verify_with(rig, &p->root, NULL), 0);
	assert_int_equal(rig->result.n_keys, rolled_over ? 3 : 2);
}

static void
test_a_rollover_signs_everything_anew(void **state)
{
	struct rig *rig = *state;
	struct session *s[2] = { rig_session(rig), rig_session(rig) };
	uint8_t sid[REC_SID_LEN];
	struct past p;

	remember(&p, rig);
	rig_data(s[0], 3, 9);
	rig_closed(rig, 2, 9, sid);
	assert_int_equal(chain_commit(rig->chain, true), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(chain_rotate(rig->chain), 0);
		assert_int_equal(chain_rotate(rig->chain), 0); /* one at a time */
		rig_commit(rig);
		rig_data(s[0], 1, 9);
	}
	assert_int_equal(chain_commit(rig->chain, true), 0);
	rig_close(rig);
	assert_false(same_key(&rig->signer.key, &p.root));
	assert_int_equal(rig_verify_with(rig, &p.root, NULL), 0);
	assert_int_equal(rig->result.n_keys, 4);
	assert_int_equal(rig->result.n_open, 2);
	/* The newest alone is enough, too. */
	assert_int_equal(rig_verify_with(rig, &rig->signer.key, NULL), 0);
	start_again(rig);
	assert_int_equal(rig->recovery.n_truncated, 2);
	rig_crash(rig);
	assert_int_equal(rig_verify_with(rig, &p.root, NULL), 0);
}

/* A rollover is for what comes after it: in one commit there may be ends before and behind it. */
static void
test_ends_around_a_rollover_have_the_right_key(void **state)
{
	struct rig *rig = *state;
	struct session *before = rig_session(rig), *behind = rig_session(rig);
	struct past p;

	remember(&p, rig);
	rig_data(before, 2, 9);
	rig_data(behind, 2, 9);
	assert_int_equal(session_close(before, LINK_END_CLIENT, "", ""), 0);
	assert_int_equal(chain_rotate(rig->chain), 0);
	assert_int_equal(session_close(behind, LINK_END_CLIENT, "", ""), 0);
	rig_crash(rig);
	assert_int_equal(rig_verify_with(rig, &p.root, NULL), 0);
	assert_int_equal(rig->result.n_good, 2);
}

static void
test_dying_before_the_commit_keeps_the_old_key(void **state)
{
	struct rig *rig = *state;
	struct past p;

	remember(&p, rig);
	assert_int_equal(chain_rotate(rig->chain), 0);
	assert_int_equal(keys_in_file(rig), 2);
	start_again(rig);
	must_be_well(&p, false);
}

/* The new key's slot as a power cut may leave it: any number of its bytes. */
static void
test_dying_while_the_new_key_is_written_keeps_the_old_one(void **state)
{
	struct rig *rig = *state;
	char both[FILE_LEN], torn[FILE_LEN];
	size_t end = SIGNER_SLOT_LEN;
	struct past p;

	remember(&p, rig);
	assert_int_equal(chain_rotate(rig->chain), 0);
	read_file(rig, both);
	rig_close(rig);
	while (both[end] != '\n')
		end++;
	for (size_t n = SIGNER_SLOT_LEN; n <= end; n += 5) {
		memcpy(torn, p.file, FILE_LEN);
		memcpy(torn + SIGNER_SLOT_LEN, both + SIGNER_SLOT_LEN, n - SIGNER_SLOT_LEN);
		write_file(rig, torn);
		start_again(rig);
		assert_true(same_key(&rig->signer.key, &p.root));
		read_file(rig, torn);
		assert_memory_equal(torn, p.file, FILE_LEN);
	}
	must_be_well(&p, false);
}

static void
test_dying_between_commit_and_wiping_wipes_the_old_key(void **state)
{
	struct rig *rig = *state;
	char both[FILE_LEN], after[FILE_LEN];
	struct past p;

	remember(&p, rig);
	assert_int_equal(chain_rotate(rig->chain), 0);
	read_file(rig, both);
	rig_crash(rig);
	write_file(rig, both);
	assert_int_equal(keys_in_file(rig), 2);
	start_again(rig);
	read_file(rig, after);
	for (size_t i = 0; i < SIGNER_SLOT_LEN; i++)
		assert_int_equal(after[i], '\n');
	must_be_well(&p, true);
}

static void
test_dying_while_the_old_key_is_wiped_goes_on_with_it(void **state)
{
	struct rig *rig = *state;
	char both[FILE_LEN], after[FILE_LEN], torn[FILE_LEN];
	struct past p;

	remember(&p, rig);
	assert_int_equal(chain_rotate(rig->chain), 0);
	read_file(rig, both);
	rig_crash(rig);
	read_file(rig, after);
	for (size_t n = 0; n < 120; n += 7) {
		memcpy(torn, both, FILE_LEN);
		memcpy(torn, after, n);
		write_file(rig, torn);
		start_again(rig);
		assert_false(same_key(&rig->signer.key, &p.root));
		read_file(rig, torn);
		assert_memory_equal(torn, after, FILE_LEN);
	}
	must_be_well(&p, true);
}

/* With durability process a power cut takes the commit back, with the keys as they were just before. */
static void
test_a_commit_that_was_taken_back_leaves_the_old_key_in_force(void **state)
{
	struct rig *rig = *state;
	char file[FILE_LEN], path[200], *store;
	uint8_t sid[REC_SID_LEN];
	struct past p;
	size_t len;

	remember(&p, rig);
	rig_close(rig);
	rig->durability = STORE_PROCESS;
	start_again(rig);
	rig_closed(rig, 2, 9, sid);
	(void)snprintf(path, sizeof(path), "%s/data.mdb", rig->dir);
	assert_int_equal(file_read(path, 64u << 20, &store, &len), 0);
	assert_int_equal(chain_rotate(rig->chain), 0);
	read_file(rig, file);
	rig_close(rig);
	assert_int_equal(file_replace(path, 0600, store, len), 0);
	write_file(rig, file);
	free(store);
	start_again(rig);
	must_be_well(&p, false);
}

static void
test_neither_key_of_two_is_the_stores(void **state)
{
	struct rig *rig = *state;
	struct chain_recovery recovery;
	struct chain_conf conf = {
		.store = { .dir = rig->dir, .map_size = rig->map_size, .durability = STORE_STRICT },
	};
	char path[200], before[FILE_LEN], *after;
	struct signer other;
	struct chain *chain;
	size_t len;

	rig_crash(rig);
	(void)snprintf(path, sizeof(path), "%s/other.key", rig->dir);
	assert_int_equal(signer_load(path, "bastiond/test", &other), 0);
	assert_int_equal(signer_prepare(&other), 0);
	assert_int_equal(signer_prepare(&other), ERR_ORDER);
	assert_int_equal(file_read(path, FILE_LEN, &after, &len), 0);
	memcpy(before, after, FILE_LEN);
	free(after);
	conf.signer = &other;
	assert_int_equal(chain_open(&conf, &chain, &recovery), ERR_SIGNATURE);
	signer_done(&other);
	/* Nothing was wiped that somebody may need. */
	assert_int_equal(file_read(path, FILE_LEN, &after, &len), 0);
	assert_memory_equal(after, before, FILE_LEN);
	free(after);
}

/* The file may come back from a backup that was made by hand: one line. */
static void
test_a_key_file_of_one_line_is_taken(void **state)
{
	struct rig *rig = *state;
	char file[FILE_LEN];
	struct past p;

	remember(&p, rig);
	rig_crash(rig);
	read_file(rig, file);
	assert_int_equal(file_replace(rig->key_path, 0600, file, strcspn(file, "\n") + 1), 0);
	signer_done(&rig->signer);
	assert_int_equal(signer_load(rig->key_path, "bastiond/test", &rig->signer), 0);
	rig_open(rig);
	assert_int_equal(chain_rotate(rig->chain), 0);
	rig_crash(rig);
	assert_int_equal(rig_verify_with(rig, &p.root, NULL), 0);
	assert_int_equal(keys_in_file(rig), 1);
}

static bool
lies_in(const uint8_t *data, size_t len, const uint8_t twisted[SEED_LEN])
{
	for (size_t i = 0, k; i + SEED_LEN <= len; i++) {
		for (k = 0; k < SEED_LEN && (data[i + k] ^ TWIST) == twisted[k]; k++)
			continue;
		if (k == SEED_LEN)
			return true;
	}
	return false;
}

/* Whether this process has the seed anywhere in memory that it can read and write. */
static bool
lies_in_memory(const uint8_t twisted[SEED_LEN])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	static uint8_t chunk[1u << 16];
	unsigned long from, to;
	char line[512], rights[8];
	bool found = false;

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (!found && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 ||
		    strncmp(rights, "rw", 2) != 0 || to - from > (256ul << 20))
			continue;
		for (unsigned long at = from; !found && at < to; at += sizeof(chunk) - SEED_LEN) {
			size_t want = to - at < sizeof(chunk) ? to - at : sizeof(chunk);
			ssize_t n;

			/* Our own window onto memory shows what was there a moment ago. */
			if (at < (unsigned long)chunk + sizeof(chunk) &&
			    at + want > (unsigned long)chunk)
				continue;
			n = pread(mem, chunk, want, (off_t)at);
			found = n > 0 && lies_in(chunk, (size_t)n, twisted);
			sodium_memzero(chunk, sizeof(chunk));
		}
	}
	(void)fclose(maps);
	(void)close(mem);
	return found;
}

static bool
lies_in_file(const struct past *p)
{
	char b64[sodium_base64_ENCODED_LEN(1 + SEED_LEN, sodium_base64_VARIANT_ORIGINAL)];
	uint8_t blob[1 + SEED_LEN] = { 1 };
	char file[FILE_LEN];
	bool found;

	for (size_t i = 0; i < SEED_LEN; i++)
		blob[1 + i] = p->seed[i] ^ TWIST;
	sodium_bin2base64(b64, sizeof(b64), blob, sizeof(blob), sodium_base64_VARIANT_ORIGINAL);
	read_file(p->rig, file);
	found = memmem(file, FILE_LEN, b64, strlen(b64)) != NULL;
	sodium_memzero(blob, sizeof(blob));
	sodium_memzero(b64, sizeof(b64));
	return found;
}

static void
test_nothing_of_the_old_key_stays(void **state)
{
	struct rig *rig = *state;
	struct past p;

	remember(&p, rig);
	sodium_memzero(p.file, sizeof(p.file));
	assert_true(lies_in_memory(p.seed));
	assert_true(lies_in_file(&p));
	assert_int_equal(chain_rotate(rig->chain), 0);
	assert_true(lies_in_memory(p.seed));
	rig_commit(rig);
	assert_false(lies_in_memory(p.seed));
	assert_false(lies_in_file(&p));
}

static uint64_t wall;

static uint64_t
wall_now(void)
{
	return wall;
}

static void
test_the_age_of_a_key_outlives_a_start(void **state)
{
	struct rig *rig = *state;
	struct note_key first;
	struct past p;
	bool is_new;

	remember(&p, rig);
	assert_int_equal(chain_first_key(rig->chain, &first, &is_new), 0);
	assert_true(is_new && same_key(&first, &p.root));
	wall = clock_wall_ns() + 1000;
	clock_override(wall_now, NULL);
	assert_int_equal(chain_rotate(rig->chain), 0);
	rig_commit(rig);
	assert_true(chain_key_age(rig->chain) == 0);
	wall += 77;
	start_again(rig);
	assert_true(chain_key_age(rig->chain) == 77);
	wall -= 78; /* the clock was set back */
	assert_true(chain_key_age(rig->chain) == UINT64_MAX);
	clock_override(NULL, NULL);
	assert_int_equal(chain_first_key(rig->chain, &first, &is_new), 0);
	assert_true(!is_new && same_key(&first, &p.root));
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_rollover_signs_everything_anew),
		T(test_ends_around_a_rollover_have_the_right_key),
		T(test_dying_before_the_commit_keeps_the_old_key),
		T(test_dying_while_the_new_key_is_written_keeps_the_old_one),
		T(test_dying_between_commit_and_wiping_wipes_the_old_key),
		T(test_dying_while_the_old_key_is_wiped_goes_on_with_it),
		T(test_a_commit_that_was_taken_back_leaves_the_old_key_in_force),
		T(test_neither_key_of_two_is_the_stores),
		T(test_a_key_file_of_one_line_is_taken),
		T(test_nothing_of_the_old_key_stays),
		T(test_the_age_of_a_key_outlives_a_start),
	};

	return cmocka_run_group_tests_name("signer", tests, NULL, NULL);
}
