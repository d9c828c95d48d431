/* Masks: what is hit and what is not, however the bytes are cut. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/pattern.h"
#include "recorder/mask.h"
#include "recorder/mask_part.h"
#include "recorder/mask_scan.h"

#define TEXT_MAX 65536u

static struct mask_set *
make_set(const char *names, const char *texts)
{
	struct mask_set *set = NULL;

	assert_int_equal(mask_set_new(names, texts, &set), 0);
	return set;
}

/* In pieces of n bytes, nothing waits for ever: raw what came out, b what is recorded. */
static void
feed(struct mask_set *set, const char *text, size_t len, size_t n, struct buf *raw, struct buf *b)
{
	struct mask_stream *s = mask_stream_new(set);
	struct mask_piece piece;

	assert_non_null(s);
	for (size_t i = 0; i <= len; i += n) {
		size_t now = len - i < n ? len - i : n;

		assert_int_equal(
		    mask_feed(s, (const uint8_t *)text + i, now, i + now == len, &piece), 0);
		assert_int_equal(buf_put(raw, piece.data, piece.len), 0);
		assert_int_equal(mask_put(b, set, &piece), 0);
		if (i + now == len)
			break;
	}
	assert_int_equal(mask_held(s), 0);
	mask_stream_free(s);
}

/* Put together, so that no scanner of repositories takes them for real ones. */
#define A10 "abcDEF1234"
#define A40 A10 A10 A10 A10
#define KEY_END "-----END OPENSSH PRIVATE KEY-----\r\n$ "
#define KEY_BEGIN                                                                                  \
	"-----BEGIN OPENSSH "                                                                      \
	"PRIVATE KEY-----"

static const struct {
	const char *text, *record;
} hits[] = {
	{ "id AK"
	  "IAABCDEFGHIJKLMNOP end",
	    "id [masked aws-access-key] end" },
	{ "aws_secret_access_key = " A10 A10 A10 A10 "\n",
	    "aws_secret_access_key = [masked aws-secret]\n" },
	{ "x gh"
	  "p_" A10 A10 A10 "abcdef y",
	    "x [masked github-token] y" },
	{ "glp"
	  "at-" A10 A10 "\n",
	    "[masked gitlab-token]\n" },
	{ "xox"
	  "b-" A10 "-" A10,
	    "[masked slack-token]" },
	{ "t: ey"
	  "J" A10 ".ey"
	  "J" A10 "." A10 "\n",
	    "t: [masked jwt]\n" },
	{ "Authorization: Bearer " A10 "\r\n", "Authorization: Bearer [masked authorization]\r\n" },
	{ "authorization: basic dXNlcjpwYXNz\r\n",
	    "authorization: basic [masked authorization]\r\n" },
	{ "git clone https://bob:hunter2@host/x",
	    "git clone https://bob:[masked url-password]@host/x" },
	{ "DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[masked assignment] ./run" },
	{ "password: \"hunter two\"\n", "password: \"[masked assignment]\"\n" },
	{ "api_key: abcd1234efgh\n", "api_key: [masked assignment]\n" },
	{ "mysql -u root -phunter2 db\n", "mysql -u root -p[masked command-password] db\n" },
	{ "mysqldump -h x -p'a b' db", "mysqldump -h x -p[masked command-password] db" },
	{ "sshpass -p hunter2 ssh x", "sshpass -p [masked command-password] ssh x" },
	{ "curl -u bob:hunter2 http://x", "curl -u bob:[masked command-password] http://x" },
	{ KEY_BEGIN "\r\n" A40 A10 "\r\n" A40 "\r\nAAAA==\r\n" KEY_END,
	    KEY_BEGIN "[masked private-key]" KEY_END },
	{ KEY_BEGIN "\nAAAA==\n=AbC1\n" KEY_END, KEY_BEGIN "[masked private-key]" KEY_END },
	{ KEY_BEGIN "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\n" A40 "\nAA\n" KEY_END,
	    KEY_BEGIN "[masked private-key]" KEY_END },
	{ "k: \"" KEY_BEGIN "\\n" A40 "\\n" A40 "\\nA=\\n" KEY_END,
	    "k: \"" KEY_BEGIN "[masked private-key]" KEY_END },
	{ KEY_BEGIN " " A40 " " A40 " A= " KEY_END, KEY_BEGIN "[masked private-key]" KEY_END },
	{ KEY_BEGIN "\r\n     2\t" A40 "\r\n     3\tA=\r\n     4\t" KEY_END,
	    KEY_BEGIN "[masked private-key]4\t" KEY_END },
	/* Words that only stand behind it are not a key. */
	{ KEY_BEGIN "\r\nls /data\r\nrm /data/payroll\r\n",
	    KEY_BEGIN "[masked private-key]/data\r\nrm /data/payroll\r\n" },
	{ KEY_BEGIN "\r\n" A40 "\r\nls\r\na\r\nb\r\n", KEY_BEGIN "[masked private-key]a\r\nb\r\n" },
	/* Nothing of it. */
	{ "Password: \r\n[sudo] password for bob: \r\n", NULL },
	{ "password=$PASS ./x; password=${X}; password=$(pass x)", NULL },
	{ "password = getpass(prompt)", NULL },
	{ "passwd:         files systemd\nshadow: files\n", NULL },
	{ "drwxr-xr-x 2 root root 4096 Nov 22 08:16 password-store\n", NULL },
	{ "commit 763508b476612616ab7e9d654a465fe87d1ff2a0\n    auth: password: fix the prompt\n",
	    NULL },
	{ "AKIA-like text, EYJ, ghp_short, https://host/path:8080/@x", NULL },
	{ "mysql -u root -p\n", NULL },
};

static void
check(struct mask_set *set, const char *text, const char *record, size_t n)
{
	struct buf *raw = buf_new(TEXT_MAX), *b = buf_new(TEXT_MAX);
	size_t len = strlen(text);

	assert_true(raw != NULL && b != NULL);
	feed(set, text, len, n, raw, b);
	assert_int_equal(buf_len(raw), len);
	assert_memory_equal(buf_ptr(raw), text, len);
	if (buf_len(b) != strlen(record) || memcmp(buf_ptr(b), record, buf_len(b)) != 0) {
		print_error("%s in pieces of %zu: %.*s\n", text, n, (int)buf_len(b),
		    (const char *)buf_ptr(b));
		fail();
	}
	buf_free(raw);
	buf_free(b);
}

static void
test_defaults_at_every_cut(void **state)
{
	struct mask_set *set = make_set("defaults", "");

	(void)state;
	for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		const char *want = hits[i].record != NULL ? hits[i].record : hits[i].text;

		for (size_t n = 1; n <= strlen(hits[i].text); n++)
			check(set, hits[i].text, want, n);
	}
	assert_int_equal(mask_given_up(set), 0);
	mask_set_free(set);
}

/* The time is over after every byte: what the first bytes of a secret were is known by then, the rest is masked. */
static void
test_after_the_wait_the_rest_is_masked(void **state)
{
	static const char text[] = "mysql -phunter2\r\n";
	struct mask_set *set = make_set("defaults", "");
	struct mask_stream *s = mask_stream_new(set);
	struct buf *b = buf_new(TEXT_MAX);
	struct mask_piece piece;

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(mask_feed(s, (const uint8_t *)text + i, 1, true, &piece), 0);
		assert_int_equal(piece.len, 1);
		assert_int_equal(mask_put(b, set, &piece), 0);
	}
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_string_equal((const char *)buf_ptr(b), "mysql -p[masked command-password]\r\n");
	buf_free(b);
	mask_stream_free(s);
	mask_set_free(set);
}

static void
test_only_what_may_match_waits(void **state)
{
	struct mask_set *set = make_set("word", "{\"word\": \"se+cret\"}");
	struct mask_stream *s = mask_stream_new(set);
	struct mask_piece piece;

	(void)state;
	assert_non_null(s);
	assert_int_equal(mask_feed(s, (const uint8_t *)"abc see", 7, false, &piece), 0);
	assert_int_equal(piece.len, 4);
	assert_int_equal(mask_held(s), 3);
	assert_int_equal(mask_feed(s, (const uint8_t *)"x", 1, false, &piece), 0);
	assert_int_equal(piece.len, 4);
	assert_int_equal(piece.n_hits, 0);
	assert_int_equal(mask_held(s), 0);
	mask_stream_free(s);
	mask_set_free(set);
}

static void
test_marks_count_places(void **state)
{
	struct mask_set *set = make_set("a,b", "{\"a\": \"xx\", \"b\": \"yy\"}");
	struct mask_stream *s = mask_stream_new(set);
	static const uint8_t want[] = { 0, 0, 0, 2, 0, 0, 0, 1, 'a', 0, 0, 0, 2, 0, 0, 0, 1, 'b', 0,
		0, 0, 1 };
	struct buf *b = buf_new(TEXT_MAX);
	struct mask_piece piece;

	(void)state;
	assert_int_equal(mask_feed(s, (const uint8_t *)"xx yy xx", 8, true, &piece), 0);
	assert_int_equal(piece.n_hits, 3);
	assert_int_equal(mask_put_mark(b, set, &piece), 0);
	assert_int_equal(buf_len(b), sizeof(want));
	assert_memory_equal(buf_ptr(b), want, sizeof(want));
	buf_free(b);
	mask_stream_free(s);
	mask_set_free(set);
}

/* One that takes for ever is given up, and the stream goes on. */
static void
test_a_slow_pattern_does_not_hang(void **state)
{
	struct mask_set *set = make_set("slow", "{\"slow\": \"(?:a|aa)+[bc]\"}");
	struct mask_stream *s = mask_stream_new(set);
	struct mask_piece piece;
	uint64_t from = clock_boot_ns();
	static uint8_t text[20000];
	size_t out = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mask_feed(s, text, sizeof(text), i == 2, &piece), 0);
		out += piece.len;
	}
	assert_int_equal(out, 3 * sizeof(text));
	assert_true(mask_given_up(set) > 0);
	assert_true(clock_boot_ns() - from < 20 * CLOCK_NS_PER_S);
	mask_stream_free(s);
	mask_set_free(set);
}

static void
test_bad_sets_are_refused(void **state)
{
	static const struct {
		const char *names, *texts;
	} bad[] = { { "x", "" }, { "x", "{\"x\": \"(\"}" }, { "x", "{\"x\": \"a*\"}" },
		{ "x", "{" }, { ",", "" }, { "x", "{\"x\": \"\"}" } };
	struct mask_set *set;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(mask_set_new(bad[i].names, bad[i].texts, &set) < 0);
}

static void
test_patterns_are_bounded(void **state)
{
	struct pattern *p;
	struct pattern_err err;
	char text[PATTERN_TEXT_MAX + 2];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pattern_new(text, &p, &err), ERR_FORMAT);
	text[sizeof(text) - 2] = '\0';
	assert_int_equal(pattern_new(text, &p, &err), 0);
	pattern_free(p);
	assert_int_equal(pattern_new("ab(c", &p, &err), ERR_FORMAT);
	assert_int_equal(err.at, 4);
	assert_true(strlen(err.text) > 0);
	assert_int_equal(pattern_new("x?", &p, &err), ERR_FORMAT);
	assert_int_equal(pattern_new("", &p, &err), ERR_FORMAT);
}

/* Hits in much random text, and the bytes are the same whatever the cuts. */
static void
test_random_cuts_give_the_same_record(void **state)
{
	static char text[20000];
	struct mask_set *set = make_set("defaults", "");
	struct buf *raw = buf_new(TEXT_MAX), *b1 = buf_new(TEXT_MAX), *b2 = buf_new(TEXT_MAX);
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(text);) {
		size_t k;

		seed = seed * 1103515245u + 12345u;
		k = (seed >> 16) % (sizeof(hits) / sizeof(hits[0]));
		i += (size_t)snprintf(text + i, sizeof(text) - i, "%s ; \n", hits[k].text);
	}
	feed(set, text, strlen(text), strlen(text), raw, b1);
	buf_reset(raw);
	feed(set, text, strlen(text), 37, raw, b2);
	assert_int_equal(buf_len(b1), buf_len(b2));
	assert_memory_equal(buf_ptr(b1), buf_ptr(b2), buf_len(b1));
	buf_free(raw);
	buf_free(b1);
	buf_free(b2);
	mask_set_free(set);
}

/* Beginnings, middles and ends of what rules match, so that every way of half a match comes up. */
static const char *const shards[] = { "-----BEGIN", " OPENSSH ", "PRIVATE KEY-----", "\r\n", A40,
	"AKIA", "ABCDEFGHIJKLMNOP", "aws_", "secret", "AWS private = ", "ghp_", "GHP_", A10,
	"glpat-", "xoxb-", "https://hooks.slack.com/services/", "eyJ", ".", "Authorization",
	": Bearer ", "://", "bob:", "hunter2", "@host", "PassWord", "=", ":", " ", "'", "\"",
	"api-key", "access_token", "auth", "mysql", "mysqldump", " -p", "sshpass ", "curl -u ", "p",
	"pa", "a", "-", "--", "e", "eyJeyJ", "passwordpassword", "\xff", "\n", "passwd",
	"secretsecret_key=", "curl", "curlcurl", "(", "$" };

static unsigned seed;

static unsigned
any(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 12 & 0x7fffu) % below;
}

static size_t
make_shards(char *text, size_t size)
{
	unsigned pieces = 1 + any(60);
	size_t n = 0;

	for (unsigned i = 0; i < pieces; i++) {
		const char *piece = any(4) == 0 ? hits[any(sizeof(hits) / sizeof(hits[0]))].text
						: shards[any(sizeof(shards) / sizeof(shards[0]))];

		if (n + strlen(piece) > size)
			break;
		memcpy(text + n, piece, strlen(piece));
		n += strlen(piece);
	}
	return n;
}

static void
same_piece(const struct mask_piece *a, const struct mask_piece *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len > 0)
		assert_memory_equal(a->data, b->data, a->len);
	assert_int_equal(a->n_hits, b->n_hits);
	for (size_t i = 0; i < a->n_hits; i++) {
		assert_int_equal(a->hits[i].from, b->hits[i].from);
		assert_int_equal(a->hits[i].to, b->hits[i].to);
		assert_int_equal(a->hits[i].rule, b->hits[i].rule);
		assert_int_equal(a->hits[i].goes_on, b->hits[i].goes_on);
	}
}

/* Places, what is held back, and for how long: as if every pattern were tried at every byte. */
static void
test_starts_change_nothing(void **state)
{
	struct mask_set *sets[2] = { make_set("defaults,own", "{\"own\": \"[0-9]+@|ba\"}"),
		make_set("defaults,own", "{\"own\": \"[0-9]+@|ba\"}") };
	static char text[4096];
	size_t n_hits = 0;

	(void)state;
	mask_search_plainly(sets[0]);
	for (seed = 0; seed < 400u << 12; seed += 1u << 12) {
		struct mask_stream *s[2] = { mask_stream_new(sets[0]), mask_stream_new(sets[1]) };
		unsigned round = seed;
		size_t len = make_shards(text, sizeof(text)), max = 1 + any(any(2) == 0 ? 8 : 600);

		assert_true(s[0] != NULL && s[1] != NULL);
		for (size_t i = 0, now; i < len; i += now) {
			struct mask_piece piece[2];
			bool all = any(8) == 0;

			now = 1 + any((unsigned)max);
			now = now < len - i ? now : len - i;
			for (int k = 0; k < 2; k++)
				assert_int_equal(
				    mask_feed(s[k], (const uint8_t *)text + i, now, all, &piece[k]),
				    0);
			same_piece(&piece[0], &piece[1]);
			assert_int_equal(mask_held(s[0]), mask_held(s[1]));
			n_hits += piece[0].n_hits;
		}
		mask_stream_free(s[0]);
		mask_stream_free(s[1]);
		seed = round;
	}
	assert_true(n_hits > 1000);
	mask_set_free(sets[0]);
	mask_set_free(sets[1]);
}

/* What a scan finds is where the words are, also half a one at the end. */
static void
test_scan_finds_words(void **state)
{
	static const uint8_t text[] = "x PassWord pas secre";
	const size_t n = sizeof(text) - 1;
	struct mask_scan *m = mask_scan_new();
	size_t first[MASK_SCAN_RULES];

	(void)state;
	assert_non_null(m);
	assert_int_equal(mask_scan_add(m, 0, "password"), 0);
	assert_int_equal(mask_scan_add(m, 5, "nothing secret"), 0);
	assert_int_equal(mask_scan_add(m, 63, "rex"), 0);
	assert_int_equal(mask_scan_add(m, 1, "ab"), ERR_FORMAT);
	assert_int_equal(mask_scan_add(m, MASK_SCAN_RULES, "abc"), ERR_LIMIT);
	mask_scan_first(m, UINT64_MAX, text, n, 0, true, first);
	assert_int_equal(first[0], 2);
	assert_int_equal(first[5], 15);
	assert_int_equal(first[63], 18);
	assert_int_equal(first[2], n);
	mask_scan_first(m, UINT64_MAX, text, n, 3, false, first);
	assert_int_equal(first[0], n);
	assert_int_equal(first[5], n);
	assert_int_equal(first[63], n);
	mask_scan_first(m, 1ull << 63, text, n, n, true, first);
	assert_int_equal(first[63], n);
	mask_scan_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_at_every_cut),
		cmocka_unit_test(test_after_the_wait_the_rest_is_masked),
		cmocka_unit_test(test_only_what_may_match_waits),
		cmocka_unit_test(test_marks_count_places),
		cmocka_unit_test(test_a_slow_pattern_does_not_hang),
		cmocka_unit_test(test_bad_sets_are_refused),
		cmocka_unit_test(test_patterns_are_bounded),
		cmocka_unit_test(test_random_cuts_give_the_same_record),
		cmocka_unit_test(test_starts_change_nothing),
		cmocka_unit_test(test_scan_finds_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
