/*
 * A start after a crash looks at what was open, not at everything that was ever recorded. A store with many closed sessions
 * and some open ones is made, then opened again: it takes no longer than with a tenth of the closed ones, but for a little,
 * and never longer than CRASH_MANY_S; everything that was open has its signed end then. Before the last start, with all of
 * them open, everything verifies too.
 *   crash_many [CLOSED [OPEN]]      TAP; 3000 and 60 unless said otherwise
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "recorder/chain.h"
#include "recorder/erase.h"
#include "recorder/link_proto.h"
#include "recorder/sess.h"
#include "recorder/verify.h"

#define CRASH_MANY_S 5	     /* seconds that a start may take */
#define SLACK_MS 250	     /* that it may take longer with ten times as much */
#define OPEN_BYTES 300000u   /* recorded of each open session */
#define COMMIT_SESSIONS 500u /* closed ones in one commit */
#define MAP_BYTES (64ull << 30)

static int tests_run, tests_failed;

static void
ok(bool good, const char *what)
{
	tests_run++;
	tests_failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", tests_run, what);
	(void)fflush(stdout);
}

static void
must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s\n", what);
	exit(99);
}

struct place {
	char dir[300];
	struct signer signer;
};

static struct chain *
chain_at(struct place *p, struct chain_recovery *ret_recovery)
{
	struct chain_conf conf = {
		.store = { .dir = p->dir, .map_size = MAP_BYTES, .durability = STORE_PROCESS },
		.signer = &p->signer,
	};
	struct chain *c;

	must(chain_open(&conf, &c, ret_recovery) == 0, "open the store");
	return c;
}

static void
write_some(struct session *s, size_t len)
{
	uint8_t data[1000];

	for (size_t at = 0; at < len; at += sizeof(data)) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i * 7 + at);
		must(
		    session_append(s, EVENT_BACK, LINK_DATA, 1, data, sizeof(data)) == 0, "append");
	}
}

static void
add_closed(struct chain *c, unsigned n)
{
	struct session *s;

	for (unsigned i = 0; i < n; i++) {
		must(session_open(c, i, i, "", 0, &s) == 0, "session");
		write_some(s, 1000);
		must(session_close(s, LINK_END_CLIENT, "bye", "") == 0, "close");
		if (i % COMMIT_SESSIONS == COMMIT_SESSIONS - 1)
			must(chain_commit(c, false) == 0, "commit");
	}
	must(chain_commit(c, false) == 0, "commit");
}

static void
add_open(struct chain *c, unsigned n)
{
	struct session *s;

	for (unsigned i = 0; i < n; i++) {
		must(session_open(c, i, i, "", 0, &s) == 0, "session");
		write_some(s, OPEN_BYTES + i);
		must(chain_commit(c, i + 1 == n) == 0, "commit");
	}
}

/* A start after the chain was left as it was: how long, in ms. */
static uint64_t
start(struct place *p, unsigned n_open)
{
	struct chain_recovery recovery;
	uint64_t from = clock_boot_ns(), ms;
	struct chain *c = chain_at(p, &recovery);
	struct eraser *e;

	must(eraser_new(c, &e) == 0, "eraser");
	ms = (clock_boot_ns() - from) / CLOCK_NS_PER_MS;
	eraser_free(e);
	chain_close(c);
	must(recovery.n_truncated == n_open && recovery.n_damaged == 0, "what was open is ended");
	return ms;
}

/* So many closed ones more, then open ones, then a stop. */
static void
grow(struct place *p, unsigned n_closed, unsigned n_open)
{
	struct chain_recovery recovery;
	struct chain *c = chain_at(p, &recovery);
	uint64_t from = clock_boot_ns();

	add_closed(c, n_closed);
	add_open(c, n_open);
	printf("# made %u closed and %u open sessions in %llu ms\n", n_closed, n_open,
	    (unsigned long long)((clock_boot_ns() - from) / CLOCK_NS_PER_MS));
	chain_close(c);
}

static void
print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	printf("# %s at %s: %s\n", verify_kind_name(f->kind), f->place, f->text);
}

static bool
verifies(struct place *p, unsigned n_sessions)
{
	struct verify_conf conf = { .key = &p->signer.key, .found = print_finding };
	struct verify_result result;
	struct store_snap *snap = NULL;
	struct store *store = NULL;
	uint64_t from = clock_boot_ns();
	bool good;

	good = store_open_read(p->dir, &store) == 0 && store_snap_new(store, &snap) == 0 &&
	       verify_all(snap, &conf, &result) == 0 && result.n_good == n_sessions;
	store_snap_free(snap);
	store_close(store);
	printf("# verified in %llu ms\n",
	    (unsigned long long)((clock_boot_ns() - from) / CLOCK_NS_PER_MS));
	return good;
}

static void
remove_all(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[600];

	while (d != NULL && (entry = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			(void)unlink(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
}

int
main(int argc, char **argv)
{
	unsigned n_closed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3000;
	unsigned n_open = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 60;
	const char *tmp = getenv("TMPDIR");
	struct place p = { 0 };
	uint64_t few_ms, many_ms;
	char key[400];

	printf("1..4\n");
	(void)snprintf(
	    p.dir, sizeof(p.dir), "%.100s/bastion-many.XXXXXX", tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(p.dir) != NULL && secret_init() == 0 && hash_init() == 0, "start");
	(void)snprintf(key, sizeof(key), "%s/sign.key", p.dir);
	must(signer_load(key, "many", &p.signer) == 0, "signing key");
	grow(&p, n_closed / 10, n_open);
	few_ms = start(&p, n_open);
	grow(&p, n_closed - n_closed / 10, n_open);
	ok(verifies(&p, n_closed + 2 * n_open), "everything verifies while many are open");
	many_ms = start(&p, n_open);
	printf(
	    "# a start with %u closed sessions takes %llu ms, with %u %llu ms; %u open each time\n",
	    n_closed / 10, (unsigned long long)few_ms, n_closed, (unsigned long long)many_ms,
	    n_open);
	ok(many_ms <= CRASH_MANY_S * 1000, "a start takes seconds");
	ok(many_ms <= few_ms * 2 + SLACK_MS, "and no longer for what is closed");
	ok(verifies(&p, n_closed + 2 * n_open), "everything verifies");
	signer_done(&p.signer);
	remove_all(p.dir);
	return tests_failed > 0;
}
