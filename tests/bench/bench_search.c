/*
 * What search.py needs that is no command:
 *   bench_search make DIR TEXT     a store of BENCH_SESSIONS sessions (10000) and one of BENCH_MB of output (64), of which the long one and every second
 *                                  other is lines of TEXT, the rest made up; rendered. Prints name, unit, figure. DIR: empty, 0700
 *   bench_search scan TEXT QUERY   looks through the lines of TEXT, in memory: prints hits, bytes, CPU ns
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "recorder/chain.h"
#include "recorder/indexer.h"
#include "recorder/search.h"

#define LINE_WORDS 10u
#define SESSION_LINES 120u
#define COMMIT_SESSIONS 50u

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
say(const char *name, const char *unit, double figure)
{
	printf("%s\t%s\t%.2f\n", name, unit, figure);
	(void)fflush(stdout);
}

/* Lines of real programs, which begin again at the end. */
struct text {
	const char *p, *end, *at;
};

static struct text
open_text(const char *path)
{
	struct text t = { NULL, NULL, NULL };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map;

	must(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0, path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(map != MAP_FAILED && close(fd) == 0, path);
	t.p = t.at = map;
	t.end = t.p + st.st_size;
	return t;
}

/* The next one without its newline; false: that were all, and the first one is next. */
static bool
next_line(struct text *t, const char **ret_line, size_t *ret_len)
{
	const char *nl;

	if (t->at == t->end) {
		t->at = t->p;
		return false;
	}
	if ((nl = memchr(t->at, '\n', (size_t)(t->end - t->at))) == NULL)
		nl = t->end;
	*ret_line = t->at;
	*ret_len = (size_t)(nl - t->at);
	t->at = nl < t->end ? nl + 1 : nl;
	return true;
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

static size_t
real_line(char *dst, size_t size, struct text *t)
{
	const char *line = "";
	size_t len = 0;

	if (!next_line(t, &line, &len))
		must(next_line(t, &line, &len), "text");
	len = len < size - 2 ? len : size - 2;
	memcpy(dst, line, len);
	memcpy(dst + len, "\r\n", 2);
	return len + 2;
}

static void
put_meta(struct buf *b, enum rec_meta tag, const char *name, uint64_t n)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%" PRIu64, name, n);
	must(buf_put_u8(b, (uint8_t)tag) == 0 && buf_put_cstr(b, text) == 0, "metadata");
}

static void
put_request(struct session *s, const char *name, const char *text)
{
	struct buf *b = buf_new(256);

	must(b != NULL && buf_put_u32(b, 1) == 0 && buf_put_cstr(b, name) == 0 &&
		 buf_put_u8(b, 1) == 0 && buf_put_cstr(b, text) == 0,
	    "request");
	if (strcmp(name, "pty-req") == 0)
		must(buf_put_u32(b, 120) == 0 && buf_put_u32(b, 40) == 0, "pty");
	put(s, EVENT_FRONT, LINK_REQUEST, b);
	buf_free(b);
}

static struct session *
open_session(struct chain *chain, uint64_t i)
{
	struct buf *b = buf_new(256);
	struct session *s;

	must(b != NULL, "memory");
	put_meta(b, REC_META_IDENTITY, "user", i % 100);
	put_meta(b, REC_META_LOGIN, "login", i % 7);
	put_meta(b, REC_META_HOST, "web", i % 40);
	put_meta(b, REC_META_RULE, "rule", i % 10);
	put_meta(b, REC_META_SOURCE, "198.51.100.", i % 250);
	must(session_open(chain, 1, 1, buf_ptr(b), buf_len(b), &s) == 0, "session_open");
	buf_reset(b);
	must(buf_put_cstr(b, "session") == 0, "open");
	put(s, EVENT_FRONT, LINK_OPEN, b);
	buf_free(b);
	return s;
}

static void
put_file(struct session *s, uint64_t i)
{
	struct buf *b = buf_new(256);
	char text[128];

	(void)snprintf(text, sizeof(text),
	    "{\"op\":\"put\",\"path\":\"/srv/data/report-%05" PRIu64 ".csv\"}", i);
	must(b != NULL && buf_put_u32(b, 1) == 0 && buf_put_cstr(b, text) == 0, "file");
	put(s, EVENT_TO_FRONT, EVENT_FILE, b);
	buf_free(b);
}

/* Lines of output, a few of them an event. word: in their middle; NULL: none. t: NULL: made up. Returns the bytes. */
static uint64_t
write_output(struct chain *chain, struct session *s, uint64_t lines, const char *word,
    struct text *t, uint32_t *seed)
{
	char data[16384];
	uint64_t bytes = 0;
	size_t n = 0;

	for (uint64_t i = 0; i < lines; i++) {
		n += t != NULL ? real_line(data + n, 8192, t)
			       : make_line(data + n, sizeof(data) - n, seed);
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

/* Of ten sessions one is a command, one moves a file, eight are terminals; of a thousand one ends with 42. */
static uint64_t
write_session(struct chain *chain, uint64_t i, uint64_t n_lines, struct text *t, uint32_t *seed)
{
	struct session *s = open_session(chain, i);
	struct buf *b = buf_new(16);
	uint64_t bytes = 0;
	char command[64], oldest[32];

	/* No source has it as it is shown: sources are in the text. */
	(void)snprintf(oldest, sizeof(oldest), "oldest-%05d", 7);
	if (i % 10 == 8) {
		put_request(s, "subsystem", "sftp");
		put_file(s, i);
	} else {
		(void)snprintf(command, sizeof(command), "systemctl status unit-%05" PRIu64, i);
		put_request(s, i % 10 == 9 ? "exec" : "pty-req", i % 10 == 9 ? command : "xterm");
		bytes = write_output(
		    chain, s, n_lines, i == 3 ? oldest : NULL, i % 2 == 0 ? t : NULL, seed);
	}
	must(b != NULL && buf_put_u32(b, i % 1000 == 50 ? 42 : i % 50 == 0) == 0, "exit");
	put(s, EVENT_BACK, LINK_EXIT_STATUS, b);
	buf_free(b);
	must(session_close(s, LINK_END_CLIENT, "", "") == 0, "session_close");
	return bytes;
}

static uint64_t
make_store(const char *dir, uint64_t sessions, uint64_t mb, struct text *t)
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
		bytes += write_session(chain, i, SESSION_LINES, t, &seed);
		if (i % COMMIT_SESSIONS == 0)
			must(chain_commit(chain, true) == 0, "chain_commit");
	}
	/* One long one: an even number, so that its lines are real ones. */
	if (mb > 0)
		bytes += write_session(chain, sessions / 10 * 10, mb * 13000, t, &seed);
	must(chain_commit(chain, true) == 0, "chain_commit");
	chain_close(chain);
	return bytes;
}

static void
make_index(const char *dir, uint64_t bytes)
{
	uint64_t t0 = cpu_ns(), text;
	char path[PATH_MAX];
	struct indexer *ix;
	struct stat st;
	bool more = true;
	double s;

	must(indexer_new(dir, &ix) == 0, "indexer");
	while (more)
		must(indexer_step(ix, 1, &more) == 0, "indexer_step");
	s = (double)(cpu_ns() - t0) / 1e9;
	text = indexer_counted(ix)->text_bytes;
	indexer_free(ix);
	(void)snprintf(path, sizeof(path), "%s/derived/data.mdb", dir);
	must(stat(path, &st) == 0, path);
	say("index", "MB/CPU-s", (double)bytes / 1e6 / s);
	say("index_text", "MB", (double)text / 1e6);
	say("index_file", "MB", (double)st.st_size / 1e6);
	say("index_per_text", "B/B", (double)st.st_size / (double)text);
}

static int
count_hit(void *arg, const struct search_hit *hit)
{
	(void)hit;
	++*(uint64_t *)arg;
	return 0;
}

/* All of a text as chunks, as the index has them; *ret_n. Nobody frees them. */
static struct chunk *
load_chunks(struct text t, size_t *ret_n)
{
	size_t room = (size_t)(t.end - t.p) / CHUNK_TEXT * 2 + 2, n = 0;
	struct chunk *c = calloc(room, sizeof(struct chunk));
	struct render_line l = { .kind = RENDER_SCREEN };
	const char *line;

	must(c != NULL, "memory");
	while (next_line(&t, &line, &l.len)) {
		l.text = (const uint8_t *)line;
		if (chunk_is_full(&c[n]))
			n++;
		must(n < room && chunk_add(&c[n], &l) == 0, "chunk");
	}
	*ret_n = n + 1;
	return c;
}

static void
scan(const char *path, const char *query)
{
	char why[SEARCH_WHY_MAX];
	struct search_query q;
	struct search *s;
	struct chunk *c;
	uint64_t hits = 0, bytes = 0, t0;
	size_t n;

	must(search_query_parse(query, strlen(query), &q, why) == 0 && search_new(&q, &s, why) == 0,
	    "query");
	c = load_chunks(open_text(path), &n);
	t0 = cpu_ns();
	for (size_t i = 0; i < n; i++) {
		must(search_chunk(s, &c[i], 0, count_hit, &hits) == 0, "search");
		bytes += c[i].len;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", hits, bytes, cpu_ns() - t0);
	search_free(s);
	search_query_done(&q);
}

int
main(int argc, char **argv)
{
	struct text t;
	uint64_t bytes;

	must(argc == 4 && secret_init() == 0 && hash_init() == 0,
	    "usage: bench_search make DIR TEXT | scan TEXT QUERY");
	if (strcmp(argv[1], "scan") == 0) {
		scan(argv[2], argv[3]);
		return 0;
	}
	must(strcmp(argv[1], "make") == 0, argv[1]);
	t = open_text(argv[3]);
	bytes = make_store(argv[2], setting("BENCH_SESSIONS", 10000), setting("BENCH_MB", 64), &t);
	say("store_output", "MB", (double)bytes / 1e6);
	make_index(argv[2], bytes);
	return 0;
}
