/*
 * Power cuts. Every write to the store's file is kept on a tape while a chain writes sessions; then the power "fails" at
 * random places: what was synced is there, of the pages written since any may be missing or torn. What must hold after
 * each cut, before recovery and after it:
 *
 *   The store opens and verifies, also against the newest checkpoint that was promised to survive. It is what it was
 *   after one commit, for all sessions the same one, byte for byte: with strict the last that returned (or the one under
 *   way), with process that or the one before it, and never one before the last sync or start. Recovery ends what was
 *   open then, as truncated, and finds no damage.
 *
 * Before the first start has returned nothing is promised: the store may be refused, and nothing else. Last come two
 * controls: a disk that lies about syncs, and process held to strict's promise, must both be noticed.
 *   crash_power [CUTS [SEED]]      TAP; 120 cuts, and a seed from the clock, unless said otherwise
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "recorder/chain.h"
#include "recorder/erase.h"
#include "recorder/fate.h"
#include "recorder/mlog.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "recorder/verify.h"
#include "tests/crash/power_tape.h"

#define LIVE 6 /* sessions at once */
#define SIDS 48
#define COMMITS 150
#define STATES (COMMITS + 2)
#define STATE_ERASED 9 /* behind enum sess_state */
#define NOTE_SIZE 1024
#define EARLY_CUTS 40
#define CONTROL_CUTS 40

/* The store as of one commit. */
struct state {
	int state[SIDS]; /* enum sess_state, or STATE_ERASED; 0: not there */
	uint64_t events[SIDS];
	char note[NOTE_SIZE]; /* its checkpoint */
	size_t note_len;
};

/* What one chain did. */
static struct {
	enum store_durability durability;
	struct signer signer;
	uint8_t sids[SIDS][REC_SID_LEN];
	unsigned n_sids;
	uint64_t sums[SIDS][COMMITS + 1]; /* over the payloads of so many events */
	struct state states[STATES];
	unsigned n_states;
	size_t first; /* op of the first promise */
} scene;

/* What is promised for a cut: states lo to hi, one of them. */
struct span {
	unsigned lo, hi;
};

static char image_dir[300];
static uint64_t boot_ns = CLOCK_NS_PER_S, random_state;
static int tests_run, tests_failed;

/* Time and random bytes come from the seed too, so that it makes the same tape again. */

static uint64_t
seeded_boot(void)
{
	return boot_ns += 5 * CLOCK_NS_PER_MS;
}

static uint64_t
seeded_wall(void)
{
	return 1700000000 * CLOCK_NS_PER_S + boot_ns;
}

static const char *
seeded_name(void)
{
	return "seeded";
}

static uint32_t
seeded_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 32);
}

static void
seeded_buf(void *const dst, const size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)seeded_random();
}

static void
seed_all(uint64_t seed)
{
	static struct randombytes_implementation impl = {
		.implementation_name = seeded_name, .random = seeded_random, .buf = seeded_buf
	};

	draw_seed(seed);
	random_state = ~seed;
	clock_override(seeded_wall, seeded_boot);
	must(randombytes_set_implementation(&impl) == 0, "random bytes");
}

PRINTF_LIKE(3, 4) static void result(bool good, const char *who, const char *fmt, ...)
{
	va_list ap;

	tests_run++;
	tests_failed += !good;
	printf("%sok %d - %s: ", good ? "" : "not ", tests_run, who);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static const char *
durability_name(void)
{
	return scene.durability == STORE_STRICT ? "strict" : "process";
}

static void
remove_all(const char *dir)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "recorder.lock", "sign.key",
		"session.keys" };
	char path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static int
open_chain(const char *dir, enum store_durability durability, struct chain **ret_chain,
    struct chain_recovery *ret_recovery)
{
	struct chain_conf conf = {
		.store = { .dir = dir, .map_size = 64u << 20, .durability = durability },
		.signer = &scene.signer,
		.journal_keep = 300000,
	};

	return chain_open(&conf, ret_chain, ret_recovery);
}

/* Writing the tape. now: what the store is to hold after the next commit. */

static void
promise(struct chain *c, const struct state *now)
{
	struct state *s = &scene.states[scene.n_states];
	struct store_snap *snap;
	const char *note;

	must(scene.n_states < STATES, "too many states");
	*s = *now;
	must(store_snap_new(chain_store(c), &snap) == 0 &&
		 mlog_checkpoint_get(snap, &note, &s->note_len) == 0 && s->note_len < NOTE_SIZE,
	    "checkpoint");
	memcpy(s->note, note, s->note_len);
	store_snap_free(snap);
	tape_note(TAPE_PROMISED, scene.n_states++);
}

static unsigned
begin_session(struct chain *c, struct state *now, struct session **ret_session)
{
	unsigned sid = scene.n_sids++;

	must(session_open(c, 1, 1, "", 0, ret_session) == 0, "session");
	memcpy(scene.sids[sid], session_sid(*ret_session), REC_SID_LEN);
	scene.sums[sid][0] = 1;
	now->state[sid] = SESS_OPEN;
	return sid;
}

static uint64_t
sum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ data[i]) * 1099511628211u;
	return sum + len;
}

static void
append(struct session *s, unsigned sid, size_t max, struct state *now)
{
	uint8_t data[20000];
	size_t len = 1 + draw(max);
	uint64_t n = now->events[sid]++;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)draw(256);
	must(session_append(s, EVENT_BACK, LINK_DATA, 1, data, len) == 0, "append");
	scene.sums[sid][n + 1] = sum_add(scene.sums[sid][n], data, len);
}

struct live {
	struct session *session;
	unsigned sid;
};

/* Erase one that has ended, if there is any. */
static void
erase_some(struct eraser *e, struct state *now)
{
	struct erase_order order = { .by = "uid 0", .why = "a test" };
	unsigned from = (unsigned)draw(SIDS);

	for (unsigned i = 0; i < SIDS; i++) {
		unsigned sid = (from + i) % SIDS;

		if (now->state[sid] != SESS_CLOSED)
			continue;
		memcpy(order.sid, scene.sids[sid], REC_SID_LEN);
		must(eraser_erase(e, &order, MLOG_ERASE_ASKED) == 0, "erase");
		now->state[sid] = STATE_ERASED;
		now->events[sid] = 0;
		return;
	}
}

/* What happens between two commits: events, now and then an end and another session, an audit event, an erasure. */
static void
act(struct chain *c, struct eraser *e, struct live live[LIVE], struct state *now)
{
	for (unsigned i = 0; i < LIVE; i++) {
		if (draw(3) != 0)
			append(live[i].session, live[i].sid, i == 0 ? 20000 : 200, now);
		if (draw(40) != 0 || scene.n_sids == SIDS)
			continue;
		must(session_close(live[i].session, LINK_END_CLIENT, "bye", "") == 0, "close");
		now->state[live[i].sid] = SESS_CLOSED;
		live[i].sid = begin_session(c, now, &live[i].session);
	}
	if (draw(10) == 0)
		must(chain_audit(c, "{\"event\":\"x\"}", 13) == 0, "audit");
	if (draw(12) == 0)
		erase_some(e, now);
	if (draw(2) == 0)
		must(eraser_step(e) == 0, "erase a slice");
}

static void
nobody_waits(void *arg, uint32_t id)
{
	(void)arg;
	(void)id;
}

static void
write_tape(const char *dir)
{
	struct chain_recovery recovery;
	struct live live[LIVE];
	struct state now = { 0 };
	struct eraser *e;
	struct chain *c;
	char keys[400];

	must(open_chain(dir, scene.durability, &c, &recovery) == 0, "open");
	(void)snprintf(keys, sizeof(keys), "%s/session.keys", dir);
	tape_follow(keys);
	must(eraser_new(c, &e) == 0, "eraser");
	scene.first = tape_len();
	promise(c, &now);
	tape_note(TAPE_SETTLED, 0);
	for (unsigned i = 0; i < LIVE; i++)
		live[i].sid = begin_session(c, &now, &live[i].session);
	for (int n = 0; n <= COMMITS; n++) {
		if (chain_is_dirty(c)) {
			must(chain_commit(c, draw(5) == 0) == 0, "commit");
			promise(c, &now);
			must(eraser_committed(e, nobody_waits, NULL) == 0, "erase");
		}
		if (draw(8) == 0) {
			must(chain_sync(c) == 0, "sync");
			tape_note(TAPE_SETTLED, scene.n_states - 1);
		}
		if (n < COMMITS)
			act(c, e, live, &now);
	}
	eraser_free(e);
	chain_close(c);
	tape_note(TAPE_SETTLED, scene.n_states - 1);
	tape_stop();
}

/* Looking at an image. */

static void
print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	printf("# %s at %s: %s\n", verify_kind_name(f->kind), f->place, f->text);
}

/* How many events; false: they are not the first ones that were appended. */
static bool
take_events(struct store_snap *snap, unsigned sid, uint64_t *ret_n)
{
	struct recording_part part;
	struct recording *rec;
	uint64_t sum = scene.sums[sid][0], n = 0;
	bool good = true;

	if (recording_open(snap, scene.sids[sid], &rec) != 0)
		return false;
	while (good && recording_next(rec, &part) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (good && event_next(&reader, &ev) == 0) {
			sum = sum_add(sum, ev.data, ev.len);
			good = ev.seq == ++n && n <= COMMITS && sum == scene.sums[sid][n];
		}
	}
	recording_close(rec);
	*ret_n = n;
	return good;
}

/* Erased, and not to be opened: both, or neither. */
static bool
take_fate(struct store_snap *snap, unsigned sid, const struct sess *s, bool *ret_erased)
{
	struct fate fate;

	if (fate_get(snap, scene.sids[sid], &fate) != 0)
		return false;
	*ret_erased = (fate.flags & FATE_ERASED) != 0;
	return *ret_erased == (s->closed_to_us == ERR_ERASED);
}

static bool
take_state(struct store_snap *snap, struct state *ret_state)
{
	struct sess sess;
	bool erased, good;

	memset(ret_state, 0, sizeof(*ret_state));
	for (unsigned i = 0; i < scene.n_sids; i++) {
		int r = sess_get(snap, scene.sids[i], &sess);

		if (r == ERR_NOT_FOUND)
			continue;
		if (r != 0)
			return false;
		good = take_fate(snap, i, &sess, &erased);
		ret_state->state[i] = erased ? STATE_ERASED : (int)sess.state;
		sess_done(&sess);
		if (!good)
			return false;
		if (!erased && !take_events(snap, i, &ret_state->events[i]))
			return false;
	}
	return true;
}

/* The image opens, verifies, extends the checkpoint of state lo (NULL: of none); what it holds. */
static bool
look(const struct state *lo, struct state *ret_state)
{
	struct verify_conf conf = { .key = &scene.signer.key, .found = print_finding };
	struct verify_result verified;
	struct store_snap *snap = NULL;
	struct store *store = NULL;
	bool good;

	if (lo != NULL) {
		conf.checkpoint = lo->note;
		conf.checkpoint_len = lo->note_len;
	}
	good = store_open_read(image_dir, &store) == 0 && store_snap_new(store, &snap) == 0 &&
	       verify_all(snap, &conf, &verified) == 0 && take_state(snap, ret_state);
	store_snap_free(snap);
	store_close(store);
	return good;
}

static bool
is_same(const struct state *a, const struct state *b)
{
	return memcmp(a->state, b->state, sizeof(a->state)) == 0 &&
	       memcmp(a->events, b->events, sizeof(a->events)) == 0;
}

static unsigned
end_open(struct state *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SIDS; i++)
		if (s->state[i] == SESS_OPEN) {
			s->state[i] = SESS_TRUNCATED;
			n++;
		}
	return n;
}

/* What a cut before op n may leave by the rule of the durability. */
static struct span
promised_at(size_t n, enum store_durability rule)
{
	unsigned last = 0, settled = 0;

	for (size_t i = 0; i < n; i++) {
		const struct tape_op *op = tape_at(i);

		if (op->what == TAPE_PROMISED)
			last = op->state;
		else if (op->what == TAPE_SETTLED)
			settled = op->state;
	}
	return (struct span){
		.lo = rule == STORE_STRICT || settled == last ? last : last - 1,
		.hi = last + 1 < scene.n_states ? last + 1 : last,
	};
}

static bool
recover_image(unsigned n_open)
{
	struct chain_recovery recovery;
	struct chain *c;
	bool good;

	if (open_chain(image_dir, STORE_STRICT, &c, &recovery) != 0)
		return false;
	good = recovery.n_damaged == 0 && recovery.n_truncated == n_open;
	chain_close(c);
	return good;
}

/* What is wrong with the image; NULL: nothing. */
static const char *
wrong_with(struct span span)
{
	struct state before, after;
	unsigned k = span.lo;

	if (!look(&scene.states[span.lo], &before))
		return "does not verify";
	while (k <= span.hi && !is_same(&before, &scene.states[k]))
		k++;
	if (k > span.hi)
		return "is not the store of a commit that was promised";
	if (!recover_image(end_open(&before)))
		return "does not recover";
	if (!look(&scene.states[span.lo], &after))
		return "does not verify after recovery";
	return is_same(&before, &after) ? NULL : "recovered to something else";
}

static void
make_image(size_t n, enum tape_disk disk)
{
	char path[512];

	must(mkdir(image_dir, 0700) == 0, "mkdir");
	(void)snprintf(path, sizeof(path), "%s/data.mdb", image_dir);
	tape_image(path, 0, n, disk);
	if (n <= scene.first)
		return;
	(void)snprintf(path, sizeof(path), "%s/session.keys", image_dir);
	tape_image(path, 1, n, disk);
}

static bool
cut(size_t n, enum store_durability rule, enum tape_disk disk)
{
	struct span span = promised_at(n, rule);
	const char *wrong;

	make_image(n, disk);
	wrong = wrong_with(span);
	remove_all(image_dir);
	if (wrong != NULL)
		printf("# cut at %zu of %zu, states %u to %u: %s\n", n, tape_len(), span.lo,
		    span.hi, wrong);
	return wrong == NULL;
}

/* A place behind the first promise, the end of the tape included. */
static size_t
draw_place(void)
{
	return scene.first + 1 + draw(tape_len() - scene.first);
}

static void
check_cuts(int cuts)
{
	int bad = 0;

	for (int i = 0; i < cuts; i++)
		bad += !cut(draw_place(), scene.durability, TAPE_HONEST);
	result(bad == 0, durability_name(),
	    "%d of %d cuts left a store that is not what was promised", bad, cuts);
}

/* Nothing was promised: a store that starts and has no session, or a refusal. */
static bool
cut_early(size_t n, int *ret_refused)
{
	struct chain_recovery recovery;
	struct state none = { 0 }, found;
	struct chain *c;
	bool good;
	int r;

	make_image(n, TAPE_HONEST);
	r = open_chain(image_dir, scene.durability, &c, &recovery);
	if (r == 0)
		chain_close(c);
	good = r == 0 ? look(NULL, &found) && is_same(&found, &none) : r == ERR_FORMAT;
	*ret_refused += r != 0;
	remove_all(image_dir);
	return good;
}

static void
check_early_cuts(void)
{
	int bad = 0, refused = 0;

	for (int i = 0; i < EARLY_CUTS; i++)
		bad += !cut_early(draw(scene.first + 1), &refused);
	result(bad == 0, durability_name(),
	    "%d of %d cuts during the first start left anything else than a new store or a "
	    "refusal (%d)",
	    bad, EARLY_CUTS, refused);
}

static void
check_dir_sync(void)
{
	size_t i = 0;

	while (i < scene.first && tape_at(i)->what != TAPE_DIR_SYNCED)
		i++;
	result(i < scene.first, durability_name(), "the folder is synced before the first promise");
}

/* A child, because a store that is damaged below LMDB may end whoever reads it. */
static bool
is_noticed(size_t n, enum store_durability rule, enum tape_disk disk)
{
	static const struct rlimit no_core = { 0, 0 };
	int status, null;
	pid_t pid;

	(void)fflush(stdout);
	must((pid = fork()) >= 0, "fork");
	if (pid == 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)alarm(20);
		_exit(null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || cut(n, rule, disk));
	}
	must(waitpid(pid, &status, 0) == pid, "wait");
	remove_all(image_dir);
	return !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}

static void
control(enum store_durability rule, enum tape_disk disk, int least, const char *what)
{
	int noticed = 0;

	for (int i = 0; i < CONTROL_CUTS; i++) {
		/* The child draws for itself. */
		noticed += is_noticed(draw_place(), rule, disk);
	}
	result(noticed >= least, "control", "%s is noticed in %d of %d cuts, at least %d", what,
	    noticed, CONTROL_CUTS, least);
}

static void
run(const char *base, enum store_durability durability, int cuts)
{
	char dir[300], key[400], path[400];

	memset(&scene, 0, sizeof(scene));
	scene.durability = durability;
	(void)snprintf(dir, sizeof(dir), "%s/store", base);
	(void)snprintf(key, sizeof(key), "%s/sign.key", dir);
	(void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
	must(mkdir(dir, 0700) == 0 && signer_load(key, "power", &scene.signer) == 0, "store");
	tape_start(dir, path);
	write_tape(dir);
	check_dir_sync();
	check_early_cuts();
	check_cuts(cuts);
	if (durability == STORE_PROCESS) {
		control(STORE_PROCESS, TAPE_LYING, CONTROL_CUTS / 2, "a disk that lies");
		control(STORE_STRICT, TAPE_HONEST, 1, "a lost commit");
	}
	signer_done(&scene.signer);
	remove_all(dir);
}

int
main(int argc, char **argv)
{
	int cuts = argc > 1 ? (int)strtoul(argv[1], NULL, 10) : 120;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : clock_wall_ns();
	const char *tmp = getenv("TMPDIR");
	char base[200];

	printf("# seed %llu\n1..8\n", (unsigned long long)seed);
	seed_all(seed);
	(void)snprintf(
	    base, sizeof(base), "%.100s/bastion-power.XXXXXX", tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(base) != NULL && secret_init() == 0 && hash_init() == 0, "start");
	(void)snprintf(image_dir, sizeof(image_dir), "%s/image", base);
	run(base, STORE_STRICT, cuts);
	run(base, STORE_PROCESS, cuts);
	tape_free();
	(void)rmdir(base);
	return tests_failed > 0;
}
