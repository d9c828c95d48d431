/*
 * bastion-feed DIR [AUDITOR-LINE ...]: makes a store as the recorder would, from a script on standard input, with a clock of its own, so that
 * everything that reads stores can be tested without a bastion. Not installed. DIR/recorder.pub gets the public key.
 *
 *   open IDENTITY LOGIN HOST    begin a session        begin|shell|eof|close CHANNEL
 *   wait MS                     time goes by           pty CHANNEL TERM COLS ROWS    size CHANNEL COLS ROWS
 *   out|err|in CHANNEL TEXT     data, C escapes        exec|sub CHANNEL TEXT         request CHANNEL NAME
 *   fill CHANNEL N              N bytes of output      exit CHANNEL STATUS           signal CHANNEL NAME
 *   work CHANNEL N              N MiB as a busy terminal shows them, in lines with colours, 1 MiB in 1.28 s
 *   deny CHANNEL NAME           policy said no         end                           end the session
 *   audit JSON                  an audit event         crash                         stop in its middle
 *   rotate                      the next signing key
 * With lines of auditors (auditor.h) all sessions are sealed to them. The session's id is printed at open.
 * What is open at the end of the script stays open.
 */
#include "config.h"

#include <sys/stat.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/num.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/chain.h"

#define FEED_LINE_MAX 65536
#define FEED_WORDS 4

static uint64_t feed_now = 1767323045000000006ull; /* 2026-01-02T03:04:05Z; both clocks */

struct feed {
	char store[PATH_MAX];
	struct signer signer;
	struct auditors auditors;
	struct chain *chain;
	struct session *session;
	unsigned line;
	uint32_t request; /* number of the last one */
};

static uint64_t
feed_clock(void)
{
	return feed_now;
}

static void
feed_die(const struct feed *f, const char *what, int r)
{
	fprintf(stderr, "bastion-feed: line %u: %s: %s\n", f->line, what, err_str(r));
	exit(1);
}

static void
feed_must(const struct feed *f, const char *what, int r)
{
	if (r != 0)
		feed_die(f, what, r);
}

static uint32_t
feed_number(const struct feed *f, const char *text)
{
	uint64_t v = 0;

	feed_must(f, text != NULL ? text : "a number is missing",
	    text != NULL ? num_parse(text, 0, UINT32_MAX, &v) : ERR_FORMAT);
	return (uint32_t)v;
}

static struct buf *
feed_buf(const struct feed *f)
{
	struct buf *b = buf_new(1u << 20);

	if (b == NULL)
		feed_die(f, "memory", -1);
	return b;
}

static void
feed_append(struct feed *f, enum event_way way, uint8_t type, uint32_t channel, struct buf *b)
{
	feed_now += 1000;
	feed_must(f, "append",
	    f->session == NULL
		? ERR_ORDER
		: session_append(f->session, way, type, channel, buf_ptr(b), buf_len(b)));
	buf_free(b);
}

/* In place: \n \r \e \\ \xHH. Returns the length. */
static size_t
feed_unescape(char *s)
{
	static const char from[] = "nre\\", to[] = "\n\r\033\\";
	char *out = s;

	for (char *p = s; *p != '\0'; p++) {
		const char *e = *p == '\\' && p[1] != '\0' ? strchr(from, p[1]) : NULL;

		if (e != NULL) {
			*out++ = to[e - from];
			p++;
		} else if (*p == '\\' && p[1] == 'x' &&
			   str_unhex((char[]){ p[2], p[3], 0 }, (uint8_t *)out, 1) == 0) {
			out++;
			p += 3;
		} else
			*out++ = *p;
	}
	return (size_t)(out - s);
}

static void
do_open(struct feed *f, char **w)
{
	static const struct {
		enum rec_meta tag;
		const char *text;
	} fixed[] = { { REC_META_ADDRESS, "192.0.2.11" }, { REC_META_PORT, "22" },
		{ REC_META_SOURCE, "198.51.100.7:50022" }, { REC_META_CLAIM, "root+web1" },
		{ REC_META_RULE, "sre" }, { REC_META_CRED_TYPE, "certificate" },
		{ REC_META_CRED_FINGERPRINT, "SHA256:abc" },
		{ REC_META_CRED_KEY_ID, "alice@laptop" },
		{ REC_META_CRED_SERIAL, "18446744073709551615" } };
	static const enum rec_meta named[] = { REC_META_IDENTITY, REC_META_LOGIN, REC_META_HOST };
	struct buf *b = feed_buf(f);
	char id[2 * REC_SID_LEN + 1];

	for (size_t i = 0; i < 3; i++)
		feed_must(f, "meta",
		    w[i] == NULL || buf_put_u8(b, (uint8_t)named[i]) != 0 ? ERR_FORMAT
									  : buf_put_cstr(b, w[i]));
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		feed_must(f, "meta",
		    buf_put_u8(b, (uint8_t)fixed[i].tag) != 0 ? ERR_LIMIT
							      : buf_put_cstr(b, fixed[i].text));
	feed_must(f, "open", session_open(f->chain, 3, 4, buf_ptr(b), buf_len(b), &f->session));
	puts(str_hex(id, session_sid(f->session), REC_SID_LEN));
	buf_free(b);
	f->request = 0;
}

static void
do_wait(struct feed *f, char **w)
{
	feed_now += feed_number(f, w[0]) * CLOCK_NS_PER_MS;
}

static void
do_begin(struct feed *f, char **w)
{
	struct buf *b = feed_buf(f);

	feed_must(f, "begin", buf_put_cstr(b, "session"));
	feed_append(f, EVENT_FRONT, LINK_OPEN, feed_number(f, w[0]), b);
	feed_append(f, EVENT_BACK, LINK_OPEN_OK, feed_number(f, w[0]), feed_buf(f));
}

/* The head of a request; its fields are to be put behind it. */
static struct buf *
feed_request(struct feed *f, const char *name)
{
	struct buf *b = feed_buf(f);

	if (name == NULL)
		feed_die(f, "a name is missing", ERR_FORMAT);
	feed_must(
	    f, "request", buf_put_u32(b, ++f->request) | buf_put_cstr(b, name) | buf_put_u8(b, 1));
	return b;
}

static void
do_pty(struct feed *f, char **w)
{
	struct buf *b = feed_request(f, "pty-req");

	feed_must(f, "pty", w[1] == NULL ? ERR_FORMAT : buf_put_cstr(b, w[1]));
	feed_must(
	    f, "pty", buf_put_u32(b, feed_number(f, w[2])) | buf_put_u32(b, feed_number(f, w[3])));
	feed_must(f, "pty", buf_put_u64(b, 0) | buf_put_cstr(b, ""));
	feed_append(f, EVENT_FRONT, LINK_REQUEST, feed_number(f, w[0]), b);
}

static void
do_size(struct feed *f, char **w)
{
	struct buf *b = feed_request(f, "window-change");

	feed_must(
	    f, "size", buf_put_u32(b, feed_number(f, w[1])) | buf_put_u32(b, feed_number(f, w[2])));
	feed_must(f, "size", buf_put_u64(b, 0));
	feed_append(f, EVENT_FRONT, LINK_REQUEST, feed_number(f, w[0]), b);
}

static void
do_shell(struct feed *f, char **w)
{
	feed_append(f, EVENT_FRONT, LINK_REQUEST, feed_number(f, w[0]), feed_request(f, "shell"));
}

static void
do_request(struct feed *f, char **w)
{
	feed_append(f, EVENT_FRONT, LINK_REQUEST, feed_number(f, w[0]), feed_request(f, w[1]));
}

static void
feed_string_request(struct feed *f, char **w, const char *name)
{
	struct buf *b = feed_request(f, name);

	feed_must(f, name, w[1] == NULL ? ERR_FORMAT : buf_put_str(b, w[1], feed_unescape(w[1])));
	feed_append(f, EVENT_FRONT, LINK_REQUEST, feed_number(f, w[0]), b);
}

static void
do_exec(struct feed *f, char **w)
{
	feed_string_request(f, w, "exec");
}

static void
do_sub(struct feed *f, char **w)
{
	feed_string_request(f, w, "subsystem");
}

static void
feed_data(struct feed *f, char **w, enum event_way way, uint8_t type)
{
	struct buf *b = feed_buf(f);

	if (type == LINK_DATA_EXT)
		feed_must(f, "data", buf_put_u32(b, 1));
	feed_must(f, "data", w[1] == NULL ? ERR_FORMAT : buf_put(b, w[1], feed_unescape(w[1])));
	feed_append(f, way, type, feed_number(f, w[0]), b);
}

static void
do_out(struct feed *f, char **w)
{
	feed_data(f, w, EVENT_BACK, LINK_DATA);
}

static void
do_err(struct feed *f, char **w)
{
	feed_data(f, w, EVENT_BACK, LINK_DATA_EXT);
}

static void
do_in(struct feed *f, char **w)
{
	feed_data(f, w, EVENT_FRONT, LINK_DATA);
}

/* Bytes of all values that do not repeat soon; the same in every run. */
static void
do_fill(struct feed *f, char **w)
{
	uint32_t left = feed_number(f, w[1]), state = 1;

	while (left > 0) {
		struct buf *b = feed_buf(f);
		size_t n = left > LINK_DATA_MAX ? LINK_DATA_MAX : left;
		uint8_t *p;

		feed_must(f, "fill", buf_reserve(b, n, &p));
		for (size_t i = 0; i < n; i++) {
			state = state * 1664525u + 1013904223u;
			p[i] = (uint8_t)(state >> 24);
		}
		left -= (uint32_t)n;
		feed_append(f, EVENT_BACK, LINK_DATA, feed_number(f, w[0]), b);
		feed_must(f, "commit", chain_commit(f->chain, false));
	}
}

static void
do_exit(struct feed *f, char **w)
{
	struct buf *b = feed_buf(f);

	feed_must(f, "exit", buf_put_u32(b, feed_number(f, w[1])));
	feed_append(f, EVENT_BACK, LINK_EXIT_STATUS, feed_number(f, w[0]), b);
}

static void
do_signal(struct feed *f, char **w)
{
	struct buf *b = feed_buf(f);

	feed_must(f, "signal", w[1] == NULL ? ERR_FORMAT : buf_put_cstr(b, w[1]));
	feed_must(f, "signal", buf_put_u8(b, 0) | buf_put_cstr(b, "") | buf_put_cstr(b, ""));
	feed_append(f, EVENT_BACK, LINK_EXIT_SIGNAL, feed_number(f, w[0]), b);
}

/* The verdict on the last request, and what the user is told. */
static void
do_deny(struct feed *f, char **w)
{
	struct buf *b = feed_buf(f);

	feed_must(f, "deny",
	    w[1] == NULL
		? ERR_FORMAT
		: buf_put_u8(b, EVENT_FRONT) | buf_put_u8(b, LINK_REQUEST) | buf_put_u8(b, 2));
	feed_must(f, "deny", buf_put_cstr(b, w[1]) | buf_put_cstr(b, "no rule allows it"));
	feed_append(f, EVENT_TO_FRONT, EVENT_VERDICT, feed_number(f, w[0]), b);
	b = feed_buf(f);
	feed_must(f, "deny", buf_put_u32(b, 1) | buf_put(b, "bastiond: no rule allows it\r\n", 29));
	feed_append(f, EVENT_TO_FRONT, LINK_DATA_EXT, feed_number(f, w[0]), b);
}

static void
do_eof(struct feed *f, char **w)
{
	feed_append(f, EVENT_BACK, LINK_EOF, feed_number(f, w[0]), feed_buf(f));
}

static void
do_close(struct feed *f, char **w)
{
	feed_append(f, EVENT_BACK, LINK_CLOSE, feed_number(f, w[0]), feed_buf(f));
	feed_append(f, EVENT_FRONT, LINK_CLOSE, feed_number(f, w[0]), feed_buf(f));
}

static void
do_end(struct feed *f, char **w)
{
	(void)w;
	feed_must(f, "end",
	    f->session == NULL ? ERR_ORDER
			       : session_close(f->session, LINK_END_CLIENT, "the client left", ""));
	f->session = NULL;
	feed_must(f, "commit", chain_commit(f->chain, true));
}

static void
do_audit(struct feed *f, char **w)
{
	feed_must(
	    f, "audit", w[0] == NULL ? ERR_FORMAT : chain_audit(f->chain, w[0], strlen(w[0])));
}

static void
feed_open(struct feed *f)
{
	struct chain_recovery recovery;
	struct chain_conf conf = {
		.store = { .dir = f->store, .map_size = 1u << 30, .durability = STORE_PROCESS },
		.signer = &f->signer,
		.auditors = &f->auditors,
		.origin = "bastiond/test"
	};

	feed_must(f, "store", chain_open(&conf, &f->chain, &recovery));
}

static void
do_crash(struct feed *f, char **w)
{
	(void)w;
	feed_must(f, "commit", chain_commit(f->chain, false));
	chain_close(f->chain);
	f->session = NULL;
	feed_open(f);
}

static void
do_rotate(struct feed *f, char **w)
{
	(void)w;
	feed_must(f, "rotate", chain_rotate(f->chain));
	feed_must(f, "commit", chain_commit(f->chain, false));
}

#define WORK_CHUNK 4096u /* bytes of one event, and less than a line more */
#define WORK_CHUNK_NS 5000000ull
#define WORK_COMMIT 64u /* events in a commit */

/* Lines of a build, each unlike the one before. */
static void
do_work(struct feed *f, char **w)
{
	uint32_t channel = feed_number(f, w[0]), chunks = feed_number(f, w[1]) * 256u, line = 0;

	for (uint32_t i = 0; i < chunks; i++) {
		struct buf *b = feed_buf(f);

		while (buf_len(b) < WORK_CHUNK) {
			char text[160];
			uint32_t r = line * 2654435761u;
			int n = snprintf(text, sizeof(text),
			    "\033[32m[%8u]\033[0m cc -O2 -c src/module_%05u.c -o "
			    "obj/%08x.o \033[1;3%um%u warnings\033[0m\r\n",
			    line++, r >> 15, r, 1 + (r >> 8) % 6, r >> 28);

			feed_must(f, "work", buf_put(b, text, (size_t)n));
		}
		feed_append(f, EVENT_BACK, LINK_DATA, channel, b);
		feed_now += WORK_CHUNK_NS;
		if (i % WORK_COMMIT == 0)
			feed_must(f, "commit", chain_commit(f->chain, false));
	}
}

/* words: of the line behind the command; the last one takes the rest of it. */
static const struct {
	const char *name;
	unsigned words;
	void (*run)(struct feed *f, char **w);
} feed_commands[] = {
	{ "open", 3, do_open },
	{ "wait", 1, do_wait },
	{ "begin", 1, do_begin },
	{ "pty", 4, do_pty },
	{ "size", 3, do_size },
	{ "shell", 1, do_shell },
	{ "exec", 2, do_exec },
	{ "sub", 2, do_sub },
	{ "request", 2, do_request },
	{ "out", 2, do_out },
	{ "err", 2, do_err },
	{ "in", 2, do_in },
	{ "fill", 2, do_fill },
	{ "work", 2, do_work },
	{ "exit", 2, do_exit },
	{ "signal", 2, do_signal },
	{ "deny", 2, do_deny },
	{ "eof", 1, do_eof },
	{ "close", 1, do_close },
	{ "end", 0, do_end },
	{ "audit", 1, do_audit },
	{ "crash", 0, do_crash },
	{ "rotate", 0, do_rotate },
};

static void
feed_line(struct feed *f, char *line)
{
	char *name = strsep(&line, " "), *words[FEED_WORDS + 1] = { NULL };

	for (size_t i = 0; i < sizeof(feed_commands) / sizeof(feed_commands[0]); i++)
		if (strcmp(feed_commands[i].name, name) == 0) {
			for (unsigned j = 0; j < feed_commands[i].words && line != NULL; j++)
				words[j] =
				    j + 1 < feed_commands[i].words ? strsep(&line, " ") : line;
			feed_commands[i].run(f, words);
			return;
		}
	feed_die(f, name, ERR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
	static char line[FEED_LINE_MAX];
	struct feed f = { .line = 0 };
	char path[PATH_MAX];

	if (argc < 2) {
		fputs("usage: bastion-feed DIR [AUDITOR-LINE ...] <SCRIPT\n", stderr);
		return 2;
	}
	feed_must(&f, "start", secret_init() != 0 ? ERR_CRYPTO : hash_init());
	for (int i = 2; i < argc; i++) {
		struct auditor a;

		feed_must(&f, argv[i], auditor_parse(argv[i], &a));
		feed_must(&f, argv[i], auditors_add(&f.auditors, &a));
	}
	clock_override(feed_clock, feed_clock);
	(void)mkdir(argv[1], 0700);
	feed_must(&f, "path", str_format(f.store, sizeof(f.store), "%s/recorder", argv[1]));
	(void)mkdir(f.store, 0700);
	feed_must(&f, "path", str_format(path, sizeof(path), "%s/sign.key", f.store));
	feed_must(&f, "key", signer_load(path, "bastiond/test", &f.signer));
	feed_must(&f, "path", str_format(path, sizeof(path), "%s/recorder.pub", argv[1]));
	feed_must(&f, "public key", signer_export(&f.signer.key, path));
	feed_open(&f);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		f.line++;
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			feed_line(&f, line);
	}
	feed_must(&f, "commit", chain_commit(f.chain, true));
	chain_close(f.chain);
	signer_done(&f.signer);
	return 0;
}
