/*
 * bench_search DIR COMMIT: finding. Makes a store of BENCH_SESSIONS sessions on terminals (10000) and one of BENCH_MB of output
 * (64), renders them, and looks for words that are everywhere, in one session, nowhere; with and without the index. Lines as
 * of bench.sh: name, unit, median, p99, n, commit. DIR: empty, 0700. $BASTION_BIN: the programs.
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "recorder/chain.h"
#include "recorder/indexer.h"
#include "recorder/search.h"

#define LINE_WORDS 10u
#define SESSION_LINES 120u
#define COMMIT_SESSIONS 50u
#define RUNS 7

static const char *commit;

static void
must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_search: %s\n", what);
		exit(1);
	}
}

static uint64_t
setting(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	uint64_t v = fallback;

	must(text == NULL || num_parse(text, 1, 1000000, &v) == 0, name);
	return v;
}

/* Processor time, because others work on the machine as well. */
static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0, "clock");
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
say(const char *name, const char *unit, double median, double p99, int n)
{
	printf("%s\t%s\t%.2f\t%.2f\t%d\t%s\n", name, unit, median, p99, n, commit);
	(void)fflush(stdout);
}

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* A line of words as programs print them, about a third of them names of their own, some in colour. */
static size_t
make_line(char *dst, size_t size, uint32_t *seed)
{
	static const char *const words[] = { "error", "the", "of", "connection", "from", "service",
		"started", "root", "systemd", "/usr/lib", "info", "session", "user", "kernel",
		"port", "ok" };
	size_t n = 0;

	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint32_t r = next_random(seed);
		const char *w = words[r % (sizeof(words) / sizeof(words[0]))];

		if (r % 3 == 0)
			n += (size_t)snprintf(dst + n, size - n, "%s-%05u ", w, r % 100000);
		else
			n += (size_t)snprintf(
			    dst + n, size - n, r % 16 == 1 ? "\033[1;32m%s\033[m " : "%s ", w);
	}
	n += (size_t)snprintf(dst + n, size - n, "\r\n");
	return n;
}

static void
put(struct session *s, enum event_way way, uint8_t type, const struct buf *b)
{
	must(session_append(s, way, type, 1, buf_ptr(b), buf_len(b)) == 0, "session_append");
}

static struct session *
open_terminal(struct chain *chain, const char *identity)
{
	struct buf *b = buf_new(256);
	struct session *s;

	must(b != NULL && buf_put_u8(b, REC_META_IDENTITY) == 0 && buf_put_cstr(b, identity) == 0 &&
		 buf_put_u8(b, REC_META_LOGIN) == 0 && buf_put_cstr(b, "root") == 0 &&
		 buf_put_u8(b, REC_META_HOST) == 0 && buf_put_cstr(b, "web1") == 0 &&
		 session_open(chain, 1, 1, buf_ptr(b), buf_len(b), &s) == 0,
	    "session_open");
	buf_reset(b);
	must(buf_put_cstr(b, "session") == 0, "open");
	put(s, EVENT_FRONT, LINK_OPEN, b);
	buf_reset(b);
	must(buf_put_u32(b, 1) == 0 && buf_put_cstr(b, "pty-req") == 0 && buf_put_u8(b, 1) == 0 &&
		 buf_put_cstr(b, "xterm") == 0 && buf_put_u32(b, 120) == 0 &&
		 buf_put_u32(b, 40) == 0,
	    "pty");
	put(s, EVENT_FRONT, LINK_REQUEST, b);
	buf_free(b);
	return s;
}

/* bytes of output, a few lines an event. word: in its middle; NULL: none. Returns how many there were. */
static uint64_t
write_output(
    struct chain *chain, struct session *s, uint64_t lines, const char *word, uint32_t *seed)
{
	char data[8192];
	uint64_t bytes = 0;
	size_t n = 0;

	for (uint64_t i = 0; i < lines; i++) {
		n += make_line(data + n, sizeof(data) - n, seed);
		if (word != NULL && i == lines / 2)
			n += (size_t)snprintf(data + n, sizeof(data) - n, "%s\r\n", word);
		if (n < 4096 && i + 1 < lines)
			continue;
		must(session_append(s, EVENT_BACK, LINK_DATA, 1, data, n) == 0, "data");
		bytes += n;
		n = 0;
		if (bytes % (1u << 20) < 4096)
			must(chain_commit(chain, false) == 0, "chain_commit");
	}
	return bytes;
}

static uint64_t
make_store(const char *dir, uint64_t sessions, uint64_t mb)
{
	struct chain_conf conf;
	struct chain_recovery recovery;
	struct signer signer;
	struct chain *chain;
	char path[PATH_MAX];
	uint32_t seed = 1;
	uint64_t bytes = 0;

	(void)snprintf(path, sizeof(path), "%s/sign.key", dir);
	must(signer_load(path, "bench", &signer) == 0, "signer");
	memset(&conf, 0, sizeof(conf));
	conf.store.dir = dir;
	conf.store.durability = STORE_PROCESS;
	conf.signer = &signer;
	must(chain_open(&conf, &chain, &recovery) == 0, "chain_open");
	for (uint64_t i = 0; i < sessions; i++) {
		char identity[32];
		struct session *s;

		(void)snprintf(identity, sizeof(identity), "user%u", (unsigned)(i % 100));
		s = open_terminal(chain, identity);
		bytes += write_output(chain, s, SESSION_LINES, i == 3 ? "oldneedle" : NULL, &seed);
		must(session_close(s, LINK_END_CLIENT, "", "") == 0, "session_close");
		if (i % COMMIT_SESSIONS == 0)
			must(chain_commit(chain, true) == 0, "chain_commit");
	}
	if (mb > 0) {
		struct session *s = open_terminal(chain, "bulk");

		bytes += write_output(chain, s, mb * 13000, "bulkneedle", &seed);
		must(session_close(s, LINK_END_CLIENT, "", "") == 0, "session_close");
	}
	must(chain_commit(chain, true) == 0, "chain_commit");
	chain_close(chain);
	return bytes;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* bastionctl search with these words, RUNS times; want: its exit code. */
static void
time_search(const char *name, const char *dir, int want, const char *const *words)
{
	const char *argv[16] = { "bastionctl", "search", "--store", dir };
	const char *bin = getenv("BASTION_BIN");
	char path[PATH_MAX];
	double ms[RUNS], cpu[RUNS];
	char full[64];

	(void)snprintf(path, sizeof(path), "%s/bastionctl", bin != NULL ? bin : "bin");
	for (size_t i = 0; words[i] != NULL; i++)
		argv[4 + i] = words[i];
	for (int i = 0; i < RUNS; i++) {
		uint64_t t0 = clock_boot_ns();
		pid_t pid = fork(), ended;
		int status, code = -1;
		struct rusage ru;

		if (pid == 0) {
			int null = open("/dev/null", O_RDWR);

			(void)dup2(null, 1);
			(void)dup2(null, 2);
			(void)execv(path, (char *const *)(uintptr_t)argv);
			_exit(127);
		}
		cpu[i] = 0;
		/* Its reader becomes ours. */
		while ((ended = wait4(-1, &status, 0, &ru)) > 0) {
			if (ended == pid) {
				code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
				ms[i] = (double)(clock_boot_ns() - t0) / 1e6;
			}
			cpu[i] += (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e3 +
				  (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e3;
		}
		must(code == want, name);
	}
	qsort(ms, RUNS, sizeof(ms[0]), by_size);
	qsort(cpu, RUNS, sizeof(cpu[0]), by_size);
	say(name, "ms", ms[RUNS / 2], ms[RUNS - 1], RUNS);
	(void)snprintf(full, sizeof(full), "%s.cpu", name);
	say(full, "ms", cpu[RUNS / 2], cpu[RUNS - 1], RUNS);
}

static int
no_hit(void *arg, const struct search_hit *hit)
{
	(void)arg;
	(void)hit;
	return 0;
}

/* The scan alone, over text in memory, and with its way out of the index's chunks left out. */
static void
time_scan(const char *name, const char *query)
{
	char why[SEARCH_WHY_MAX], line[512];
	struct search_query q;
	struct search *s;
	struct chunk c = { 0 };
	uint32_t seed = 7;
	double gb[RUNS];

	must(search_query_parse(query, strlen(query), &q, why) == 0 && search_new(&q, &s, why) == 0,
	    "query");
	while (!chunk_is_full(&c)) {
		size_t n = make_line(line, sizeof(line), &seed) - 2;
		const struct render_line l = { .text = (const uint8_t *)line, .len = n };

		must(chunk_add(&c, &l) == 0, "chunk");
	}
	for (int i = 0; i < RUNS; i++) {
		uint64_t t0 = cpu_ns(), n = 0;

		do {
			must(search_chunk(s, &c, 0, no_hit, NULL) == 0, "search");
			n += c.len;
		} while (cpu_ns() - t0 < 100000000);
		gb[i] = (double)n / (double)(cpu_ns() - t0);
	}
	qsort(gb, RUNS, sizeof(gb[0]), by_size);
	say(name, "GB/CPU-s", gb[RUNS / 2], gb[0], RUNS);
	chunk_done(&c);
	search_free(s);
	search_query_done(&q);
}

int
main(int argc, char **argv)
{
	uint64_t sessions = setting("BENCH_SESSIONS", 10000), mb = setting("BENCH_MB", 64), t0,
		 bytes, size;
	struct indexer *ix;
	bool more = true;
	double s;

	must(argc == 3 && secret_init() == 0 && hash_init() == 0, "usage: bench_search DIR COMMIT");
	commit = argv[2];
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "prctl");
	time_scan("search.scan.text", "{\"text\":\"zebra\"}");
	time_scan("search.scan.case", "{\"text\":\"zebra\",\"case\":true}");
	time_scan("search.scan.regex", "{\"text\":\"zeb[a-z]+ra\",\"regex\":true}");
	bytes = make_store(argv[1], sessions, mb);
	say("search.store.output", "MB", (double)bytes / 1e6, (double)bytes / 1e6, 1);
	time_search("search.rendered.newest", argv[1], 0,
	    (const char *const[]){ "bulkneedle", "--identity", "bulk", NULL });
	t0 = cpu_ns();
	must(indexer_new(argv[1], &ix) == 0, "indexer");
	while (more)
		must(indexer_step(ix, 1, &more) == 0, "indexer_step");
	s = (double)(cpu_ns() - t0) / 1e9;
	say("search.index", "MB/CPU-s", (double)bytes / 1e6 / s, (double)bytes / 1e6 / s, 1);
	say("search.index.text", "MB", (double)indexer_counted(ix)->text_bytes / 1e6, 0, 1);
	indexer_free(ix);
	{
		char path[PATH_MAX];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/derived/data.mdb", argv[1]);
		must(stat(path, &st) == 0, path);
		size = (uint64_t)st.st_size;
	}
	say("search.index.file", "MB", (double)size / 1e6, (double)size / 1e6, 1);
	time_search("search.page.common", argv[1], 0, (const char *const[]){ "connection", NULL });
	time_search("search.page.oldest", argv[1], 0, (const char *const[]){ "oldneedle", NULL });
	time_search(
	    "search.page.nowhere", argv[1], 1, (const char *const[]){ "nowhere-at-all", NULL });
	time_search("search.page.short", argv[1], 1, (const char *const[]){ "qz", NULL });
	time_search("search.page.regex", argv[1], 1,
	    (const char *const[]){ "nowh[e]re-at-all", "--regex", NULL });
	time_search("search.page.metadata", argv[1], 0,
	    (const char *const[]){ "--identity", "user7", NULL });
	return 0;
}
