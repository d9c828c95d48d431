/*
 * Power cuts. Every write to the store's file is kept in a list while a chain writes sessions; then the power "fails" at random
 * places: what was synced is there, of the pages written since any subset may be, some of them torn. Each such image must
 * verify, recover, verify again and, with durability strict, hold everything that a commit had promised.
 *   crash_power [CUTS [SEED]]      TAP; 120 cuts unless said otherwise
 *
 * LMDB is a shared library: the definitions here stand before the C library's for it too.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "recorder/chain.h"
#include "recorder/recording.h"
#include "recorder/verify.h"

#define SESSIONS 6
#define COMMITS 150
#define PAGE 4096u
#define SECTOR 512u

/* What happened to the file, in order. */
enum what { WROTE, SYNCED, PROMISED };
struct op {
	enum what what;
	bool durable; /* WROTE: through a descriptor that syncs by itself */
	uint64_t off;
	size_t len;
	uint8_t *data;
	uint64_t events[SESSIONS]; /* PROMISED: of each session */
};

static struct {
	bool armed;
	struct op *ops;
	size_t n, size;
	dev_t dev;
	ino_t ino;
} tape;

static uint64_t seed;
static int tests_run, tests_failed;

static uint64_t
draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void
must(bool good, const char *what)
{
	if (!good) {
		printf("Bail out! %s\n", what);
		exit(99);
	}
}

static struct op *
tape_add(enum what what)
{
	if (tape.n == tape.size) {
		tape.size = tape.size == 0 ? 1024 : tape.size * 2;
		tape.ops = reallocarray(tape.ops, tape.size, sizeof(*tape.ops));
		must(tape.ops != NULL, "out of memory");
	}
	tape.ops[tape.n] = (struct op){ .what = what };
	return &tape.ops[tape.n++];
}

static bool
is_taped(int fd)
{
	struct stat st;

	return tape.armed && fstat(fd, &st) == 0 && st.st_dev == tape.dev && st.st_ino == tape.ino;
}

static void
tape_write(int fd, const void *data, size_t len, uint64_t off)
{
	struct op *op = tape_add(WROTE);

	op->durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	op->off = off;
	op->len = len;
	op->data = malloc(len);
	must(op->data != NULL, "out of memory");
	memcpy(op->data, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t off)
{
	if (is_taped(fd))
		tape_write(fd, data, len, (uint64_t)off);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (is_taped(fd))
		tape_write(fd, data, len, (uint64_t)lseek(fd, 0, SEEK_CUR));
	return syscall(SYS_write, fd, data, len);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	if (is_taped(fd)) {
		uint64_t off = (uint64_t)lseek(fd, 0, SEEK_CUR);

		for (int i = 0; i < n; off += iov[i].iov_len, i++)
			tape_write(fd, iov[i].iov_base, iov[i].iov_len, off);
	}
	return syscall(SYS_writev, fd, iov, n);
}

int
fdatasync(int fd)
{
	if (is_taped(fd))
		(void)tape_add(SYNCED);
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	if (is_taped(fd))
		(void)tape_add(SYNCED);
	return (int)syscall(SYS_fsync, fd);
}

static void
remove_all(const char *dir)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "recorder.lock", "sign.key" };
	char path[512];

	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void
promise(const uint64_t events[SESSIONS])
{
	memcpy(tape_add(PROMISED)->events, events, SESSIONS * sizeof(events[0]));
}

static struct chain *
open_chain(const char *dir, const struct signer *signer, enum store_durability durability,
    uint32_t *ret_truncated)
{
	struct chain_conf conf = {
		.store = { .dir = dir, .map_size = 64u << 20, .durability = durability },
		.signer = signer,
		.journal_keep = 300000,
	};
	struct chain_recovery recovery;
	struct chain *c;

	if (chain_open(&conf, &c, &recovery) != 0)
		return NULL;
	*ret_truncated = recovery.n_truncated;
	must(recovery.n_damaged == 0, "recovery found damage");
	return c;
}

/* Sessions that write, close and are opened anew; everything is on the tape. */
static void
write_tape(const char *dir, const struct signer *signer, enum store_durability durability,
    uint8_t sids[SESSIONS][REC_SID_LEN])
{
	struct session *s[SESSIONS];
	uint64_t events[SESSIONS] = { 0 };
	uint8_t data[20000];
	uint32_t truncated;
	struct chain *c = open_chain(dir, signer, durability, &truncated);

	must(c != NULL, "open");
	for (int i = 0; i < SESSIONS; i++) {
		must(session_open(c, 1, 1, "", 0, &s[i]) == 0, "session");
		memcpy(sids[i], session_sid(s[i]), REC_SID_LEN);
	}
	must(chain_commit(c, true) == 0, "commit");
	promise(events);
	for (int n = 0; n < COMMITS; n++) {
		for (int i = 0; i < SESSIONS; i++) {
			size_t len = 1 + draw(i == 0 ? sizeof(data) : 200);

			if (draw(3) == 0)
				continue;
			for (size_t j = 0; j < len; j++)
				data[j] = (uint8_t)draw(256);
			must(session_append(s[i], EVENT_BACK, LINK_DATA, 1, data, len) == 0,
			    "append");
			events[i]++;
		}
		must(chain_commit(c, draw(5) == 0) == 0, "commit");
		promise(events);
	}
	tape.armed = false;
	chain_close(c);
}

/* Pages that were not synced: kept, lost, or torn between sectors. */
static void
apply_unsynced(int fd, const struct op *op)
{
	for (size_t at = 0; at < op->len; at += PAGE) {
		size_t len = op->len - at < PAGE ? op->len - at : PAGE, keep = len;

		switch (draw(3)) {
		case 0:
			continue;
		case 1:
			keep = draw(8) == 0 ? draw(len / SECTOR + 1) * SECTOR : len;
			break;
		default:
			break;
		}
		must(pwrite(fd, op->data + at, keep, (off_t)(op->off + at)) == (ssize_t)keep,
		    "image");
	}
}

/* The file as it is after a cut at op n; *ret_promised: the last promise before it. */
static void
make_image(const char *path, size_t n, const struct op **ret_promised)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t synced = 0;

	must(fd >= 0, path);
	*ret_promised = NULL;
	for (size_t i = 0; i < n; i++) {
		if (tape.ops[i].what == SYNCED)
			synced = i;
		if (tape.ops[i].what == PROMISED)
			*ret_promised = &tape.ops[i];
	}
	for (size_t i = 0; i < n; i++) {
		const struct op *op = &tape.ops[i];

		if (op->what != WROTE)
			continue;
		if (i < synced || op->durable)
			must(pwrite(fd, op->data, op->len, (off_t)op->off) == (ssize_t)op->len,
			    "image");
		else
			apply_unsynced(fd, op);
	}
	close(fd);
}

static void
print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	printf("# %s at %s: %s\n", verify_kind_name(f->kind), f->place, f->text);
}

static uint64_t
count_events(struct store_snap *snap, const uint8_t *sid)
{
	struct recording_part part;
	struct recording *rec;
	uint64_t n = 0;

	if (recording_open(snap, sid, &rec) != 0)
		return 0;
	while (recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (event_next(&reader, &ev) == 0)
			n = ev.seq;
	}
	recording_close(rec);
	return n;
}

static bool
image_holds(const char *dir, const struct note_key *key, const struct op *promised,
    uint8_t sids[SESSIONS][REC_SID_LEN])
{
	struct verify_conf conf = { .key = key, .found = print_finding };
	struct verify_result result;
	struct store_snap *snap = NULL;
	struct store *store = NULL;
	bool good = store_open_read(dir, &store) == 0 && store_snap_new(store, &snap) == 0 &&
		    verify_all(snap, &conf, &result) == 0;

	for (int i = 0; good && promised != NULL && i < SESSIONS; i++)
		good = count_events(snap, sids[i]) >= promised->events[i];
	store_snap_free(snap);
	store_close(store);
	return good;
}

/* Before anything was promised there may be no store at all yet. */
static bool
cut(const char *dir, const struct signer *signer, size_t n, bool strict,
    uint8_t sids[SESSIONS][REC_SID_LEN])
{
	const struct op *promised;
	uint32_t truncated;
	struct chain *c;
	char path[512];
	bool good = true;

	must(mkdir(dir, 0700) == 0, "mkdir");
	(void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
	make_image(path, n, &promised);
	if (promised != NULL)
		good = image_holds(dir, &signer->key, strict ? promised : NULL, sids);
	if (good && promised != NULL) {
		c = open_chain(dir, signer, STORE_STRICT, &truncated);
		good = c != NULL && truncated == SESSIONS;
		chain_close(c);
		good = good && image_holds(dir, &signer->key, strict ? promised : NULL, sids);
	}
	remove_all(dir);
	return good;
}

static void
run(const char *base, enum store_durability durability, int cuts)
{
	bool strict = durability == STORE_STRICT;
	char dir[300], image[300], key[400], path[400];
	uint8_t sids[SESSIONS][REC_SID_LEN];
	struct signer signer;
	struct stat st;
	size_t first = 0;
	int bad = 0, fd;

	(void)snprintf(dir, sizeof(dir), "%s/store", base);
	(void)snprintf(image, sizeof(image), "%s/image", base);
	(void)snprintf(key, sizeof(key), "%s/sign.key", dir);
	(void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
	must(mkdir(dir, 0700) == 0 && signer_load(key, "power", &signer) == 0, "store");
	/* The file must be there for its writes to be known by it. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && fstat(fd, &st) == 0, path);
	close(fd);
	tape.n = 0;
	tape.dev = st.st_dev;
	tape.ino = st.st_ino;
	tape.armed = true;
	write_tape(dir, &signer, durability, sids);
	while (first < tape.n && tape.ops[first].what != PROMISED)
		first++;
	for (int i = 0; i < cuts; i++)
		bad += !cut(image, &signer, first + 1 + draw(tape.n - first - 1), strict, sids);
	tests_run++;
	tests_failed += bad > 0;
	printf("%sok %d - %s: %d of %d cuts left a store that does not hold\n",
	    bad > 0 ? "not " : "", tests_run, strict ? "strict" : "process", bad, cuts);
	for (size_t i = 0; i < tape.n; i++)
		free(tape.ops[i].data);
	signer_done(&signer);
	remove_all(dir);
}

int
main(int argc, char **argv)
{
	int cuts = argc > 1 ? (int)strtoul(argv[1], NULL, 10) : 120;
	const char *tmp = getenv("TMPDIR");
	char base[200];

	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : clock_wall_ns();
	printf("# seed %llu\n1..2\n", (unsigned long long)seed);
	(void)snprintf(
	    base, sizeof(base), "%.100s/bastion-power.XXXXXX", tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(base) != NULL && secret_init() == 0 && hash_init() == 0, "start");
	run(base, STORE_STRICT, cuts);
	run(base, STORE_PROCESS, cuts);
	free(tape.ops);
	(void)rmdir(base);
	return tests_failed > 0;
}
