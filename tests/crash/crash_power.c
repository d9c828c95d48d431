/*
 * Power cuts. Every write to the store's files (data.mdb, session.keys, sign.key) is kept on one tape while a chain writes
 * sessions, erases some and goes on to another signing key now and then; then the power "fails" at random places, and at
 * every place around a few erasures and changes of the key: what was synced is there, of the pages written since any may be
 * missing or torn. What must hold after each cut, before recovery and after it:
 *
 *   The store opens and verifies, also against the newest checkpoint that was promised to survive. It is what it was
 *   after one commit, for all sessions the same one, byte for byte: with strict the last that returned (or the one under
 *   way), with process that or the one before it, and never one before the last sync or start. Recovery ends what was
 *   open then, as truncated, and finds no damage.
 *
 *   A session is whole, or it is erased and has its leaf. One whose erasure was confirmed has no half of a key any more; of
 *   the others that the store has as erased none is left once the recorder has started.
 *
 *   There is the signing key that is in force. None is there that a confirmed change has retired, and there is no other
 *   one once the recorder has started.
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
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/chain.h"
#include "recorder/erase.h"
#include "recorder/fate.h"
#include "recorder/mlog.h"
#include "recorder/recording.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/slots.h"
#include "recorder/store_write.h"
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
#define EPOCHS 64
#define AROUND 3 /* erasures, and changes of the key, that are cut at every place */

/* The files on the tape. */
enum { FILE_STORE, FILE_SIGN, FILE_KEYS };

/* The store as of one commit. */
struct state {
	int state[SIDS]; /* enum sess_state, or STATE_ERASED; 0: not there */
	uint64_t events[SIDS];
	char note[NOTE_SIZE]; /* its checkpoint */
	size_t note_len;
	unsigned epoch; /* of the signing key in force */
};

/* What one chain did. */
static struct {
	enum store_durability durability;
	struct signer signer;
	struct note_key epochs[EPOCHS]; /* the log's signing keys, in their order */
	unsigned n_epochs;
	uint8_t sids[SIDS][REC_SID_LEN];
	uint64_t slots[SIDS]; /* of their halves */
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
open_chain(const char *dir, enum store_durability durability, struct signer *signer,
    struct chain **ret_chain, struct chain_recovery *ret_recovery)
{
	struct chain_conf conf = {
		.store = { .dir = dir, .map_size = 64u << 20, .durability = durability },
		.signer = signer,
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
	if (memcmp(scene.epochs[scene.n_epochs - 1].key, scene.signer.key.key, NOTE_KEY_LEN) != 0) {
		must(scene.n_epochs < EPOCHS, "too many epochs");
		scene.epochs[scene.n_epochs++] = scene.signer.key;
	}
	s->epoch = scene.n_epochs - 1;
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
	struct seskey k;

	must(session_open(c, 1, 1, "", 0, ret_session) == 0, "session");
	memcpy(scene.sids[sid], session_sid(*ret_session), REC_SID_LEN);
	must(seskey_find(store_pending(chain_store(c)), scene.sids[sid], &k) == 0, "key");
	scene.slots[sid] = k.slot;
	seskey_done(&k);
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

/* What happens between two commits: events, now and then an end and another session, an audit event, an erasure, a key. */
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
	if (draw(15) == 0)
		must(chain_rotate(c) == 0, "another signing key");
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

	must(open_chain(dir, scene.durability, &scene.signer, &c, &recovery) == 0, "open");
	scene.epochs[scene.n_epochs++] = scene.signer.key;
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

/* Whose key signed the checkpoint. */
static bool
take_epoch(struct store_snap *snap, unsigned *ret_epoch)
{
	const char *note;
	size_t len, text_len;

	if (mlog_checkpoint_get(snap, &note, &len) != 0)
		return false;
	for (*ret_epoch = 0; *ret_epoch < scene.n_epochs; (*ret_epoch)++)
		if (note_verify(note, len, &scene.epochs[*ret_epoch], &text_len) == 0)
			return true;
	return false;
}

static bool
take_state(struct store_snap *snap, struct state *ret_state)
{
	struct sess sess;
	bool erased, good;

	memset(ret_state, 0, sizeof(*ret_state));
	if (!take_epoch(snap, &ret_state->epoch))
		return false;
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
	struct verify_conf conf = { .key = &scene.epochs[0], .found = print_finding };
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
	struct signer signer;
	struct chain *c;
	char path[400];
	bool good;

	(void)snprintf(path, sizeof(path), "%s/sign.key", image_dir);
	if (signer_load(path, "power", &signer) != 0)
		return false;
	good = open_chain(image_dir, STORE_STRICT, &signer, &c, &recovery) == 0;
	if (good) {
		good = recovery.n_damaged == 0 && recovery.n_truncated == n_open;
		chain_close(c);
	}
	signer_done(&signer);
	return good;
}

/* One of the image's files, as text. Owned by caller. */
static char *
image_file(const char *name, size_t *ret_len)
{
	char path[400], *text;

	(void)snprintf(path, sizeof(path), "%s/%s", image_dir, name);
	must(file_read(path, 1u << 20, &text, ret_len) == 0, path);
	return text;
}

/* Whether sign.key holds this epoch's key. */
static bool
holds_key(const char *text, unsigned epoch)
{
	const struct note_key *key = &scene.epochs[epoch];
	char hex[9], part[16];

	(void)snprintf(part, sizeof(part), "+%s+", str_hex(hex, key->id, sizeof(key->id)));
	return strstr(text, part) != NULL;
}

static const char *
wrong_with_signer(unsigned epoch, bool started)
{
	size_t len, n = 0;
	char *text = image_file("sign.key", &len);
	bool old = false, own = holds_key(text, epoch);

	for (unsigned i = 0; i < epoch; i++)
		old = old || holds_key(text, i);
	for (const char *p = text; (p = strstr(p, "PRIVATE+KEY+")) != NULL; p++)
		n++;
	free(text);
	if (old)
		return "has a signing key that was retired";
	if (started && (!own || n != 1))
		return "has not just the one signing key, once it has started";
	return NULL;
}

/* Of every session that the state has as erased the half must be gone. */
static const char *
wrong_with_slots(const struct state *s)
{
	static const char zero[CRYPT_KEY_LEN];
	const char *wrong = NULL;
	size_t len;
	char *text = image_file("session.keys", &len);

	for (unsigned i = 0; i < scene.n_sids; i++) {
		size_t at = SLOTS_HEAD + scene.slots[i] * CRYPT_KEY_LEN;

		if (s->state[i] != 0 && at + CRYPT_KEY_LEN > len)
			wrong = "has no slot for a session";
		else if (s->state[i] == STATE_ERASED && memcmp(text + at, zero, sizeof(zero)) != 0)
			wrong = "has the key of a session that was erased";
	}
	free(text);
	return wrong;
}

/* What is wrong with the image; NULL: nothing. confirmed: the last state that somebody was told of. */
static const char *
wrong_with(struct span span, unsigned confirmed)
{
	const struct state *told = &scene.states[confirmed];
	struct state before, after;
	const char *wrong;
	unsigned k = span.lo;

	if (!look(&scene.states[span.lo], &before))
		return "does not verify";
	while (k <= span.hi && !is_same(&before, &scene.states[k]))
		k++;
	if (k > span.hi)
		return "is not the store of a commit that was promised";
	if ((wrong = wrong_with_slots(told)) != NULL ||
	    (wrong = wrong_with_signer(told->epoch, false)) != NULL)
		return wrong;
	if (!recover_image(end_open(&before)))
		return "does not recover";
	if (!look(&scene.states[span.lo], &after))
		return "does not verify after recovery";
	if (!is_same(&before, &after))
		return "recovered to something else";
	if ((wrong = wrong_with_slots(&after)) != NULL)
		return wrong;
	return wrong_with_signer(before.epoch, true);
}

static void
make_image(size_t n, enum tape_disk disk)
{
	char path[512];

	must(mkdir(image_dir, 0700) == 0, "mkdir");
	(void)snprintf(path, sizeof(path), "%s/data.mdb", image_dir);
	tape_image(path, FILE_STORE, n, disk);
	(void)snprintf(path, sizeof(path), "%s/sign.key", image_dir);
	tape_image(path, FILE_SIGN, n, disk);
	if (n <= scene.first)
		return;
	(void)snprintf(path, sizeof(path), "%s/session.keys", image_dir);
	tape_image(path, FILE_KEYS, n, disk);
}

static bool
cut(size_t n, enum store_durability rule, enum tape_disk disk)
{
	struct span span = promised_at(n, rule);
	const char *wrong;

	make_image(n, disk);
	wrong = wrong_with(span, promised_at(n, STORE_STRICT).lo);
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

static bool
is_erasing(const struct tape_op *op)
{
	return op->what == TAPE_WROTE && op->file == FILE_KEYS && op->len == CRYPT_KEY_LEN;
}

static bool
is_changing_key(const struct tape_op *op)
{
	return op->what == TAPE_WROTE && op->file == FILE_SIGN;
}

/* Cut at every place from the promise before such a write to the one after it, a few times over. */
static void
check_around(bool (*is)(const struct tape_op *op), const char *what)
{
	size_t from = scene.first + 1, n_cuts = 0, bad = 0;
	int n = 0;
	bool met = false;

	for (size_t i = from; i < tape_len() && n < AROUND; i++) {
		const struct tape_op *op = tape_at(i);

		met = met || is(op);
		if (op->what != TAPE_PROMISED)
			continue;
		for (size_t at = from; met && at <= i + 1; at++, n_cuts++)
			bad += !cut(at, scene.durability, TAPE_HONEST);
		n += met;
		met = false;
		from = i + 1;
	}
	result(bad == 0 && n == AROUND, durability_name(),
	    "%zu of %zu cuts around %d %s left a store that is not what was promised", bad, n_cuts,
	    n, what);
}

/* Nothing was promised: a store that starts and has no session, or a refusal. */
static bool
cut_early(size_t n, int *ret_refused)
{
	struct chain_recovery recovery;
	struct state none = { 0 }, found;
	struct signer signer;
	struct chain *c;
	char path[400];
	bool good;
	int r;

	make_image(n, TAPE_HONEST);
	(void)snprintf(path, sizeof(path), "%s/sign.key", image_dir);
	must(signer_load(path, "power", &signer) == 0, path);
	r = open_chain(image_dir, scene.durability, &signer, &c, &recovery);
	if (r == 0)
		chain_close(c);
	signer_done(&signer);
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
	tape_follow(key);
	write_tape(dir);
	check_dir_sync();
	check_early_cuts();
	check_cuts(cuts);
	check_around(is_erasing, "erasures");
	check_around(is_changing_key, "changes of the signing key");
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

	printf("# seed %llu\n1..12\n", (unsigned long long)seed);
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
