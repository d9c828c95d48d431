/* Chunks come back as they went in, folding joins what differs in case only, filters never lose a text, searches find lines. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/chunk.h"
#include "recorder/search.h"
#include "tests/lib/test.h"

static void
add(struct chunk *c, uint64_t at_ns, uint32_t channel, enum render_kind kind, const char *text)
{
	const struct render_line line = { .kind = kind,
		.channel = channel,
		.at_ns = at_ns,
		.text = (const uint8_t *)text,
		.len = strlen(text) };

	assert_int_equal(chunk_add(c, &line), 0);
}

static struct buf *
packed(const struct chunk *c)
{
	struct buf *b = buf_new(CHUNK_PACKED_MAX);

	assert_non_null(b);
	assert_int_equal(chunk_pack(c, b), 0);
	return b;
}

static void
fill(struct chunk *c)
{
	add(c, 5000, 1, RENDER_SCREEN, "first Line of payroll");
	add(c, 100, 0x80000001, RENDER_TYPED, "ls \xc3\x84pfel");
	add(c, UINT64_MAX, UINT32_MAX, RENDER_COMMAND, "cat");
	add(c, 0, 0, RENDER_FILE, "put /etc/motd");
	add(c, 7000, 1, RENDER_SCREEN, "the last line");
}

static void
test_a_chunk_comes_back(void **state)
{
	struct chunk c = { .number = 77 }, back = { 0 };
	struct buf *b;

	(void)state;
	fill(&c);
	b = packed(&c);
	assert_int_equal(chunk_parse(&back, buf_ptr(b), buf_len(b)), 0);
	assert_int_equal(back.number, 77);
	assert_int_equal(back.n_lines, c.n_lines);
	assert_int_equal(back.len, c.len);
	assert_memory_equal(back.text, c.text, c.len);
	for (size_t i = 0; i < c.n_lines; i++) {
		assert_int_equal(back.lines[i].at_ns, c.lines[i].at_ns);
		assert_int_equal(back.lines[i].channel, c.lines[i].channel);
		assert_int_equal(back.lines[i].kind, c.lines[i].kind);
	}
	/* Cut anywhere it is refused: all of its text has a place in its lines. */
	for (size_t n = 0; n < buf_len(b); n++)
		assert_int_equal(chunk_parse(&back, buf_ptr(b), n), ERR_FORMAT);
	buf_free(b);
	chunk_done(&c);
	chunk_done(&back);
}

/* What is no character is folded byte by byte: a newline in it is one, or lines would be counted wrong. */
static void
test_broken_characters_keep_their_newlines(void **state)
{
	static const char *const texts[] = { "\xe2\n\x82", "\xc3\nA", "\xe0\n\n", "\xe2\x82\n",
		"\xc3" };
	uint8_t folded[16];

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		size_t len = strlen(texts[i]), n, lines = 0, want = 0;

		n = chunk_fold(folded, (const uint8_t *)texts[i], len);
		for (size_t k = 0; k < n; k++)
			lines += folded[k] == '\n';
		for (size_t k = 0; k < len; k++)
			want += texts[i][k] == '\n';
		assert_int_equal(lines, want);
	}
}

static void
test_a_full_chunk_takes_no_more(void **state)
{
	struct chunk c = { 0 };
	struct render_line line = { .text = (const uint8_t *)"x", .len = 1 };
	size_t n = 0;

	(void)state;
	while (!chunk_is_full(&c)) {
		assert_int_equal(chunk_add(&c, &line), 0);
		n++;
	}
	assert_true(n <= CHUNK_LINES_MAX && c.len <= CHUNK_TEXT);
	assert_int_equal(chunk_add(&c, &line), ERR_LIMIT);
	chunk_reset(&c);
	assert_int_equal(chunk_add(&c, &line), 0);
	chunk_done(&c);
}

static void
test_folding_joins_what_differs_in_case(void **state)
{
	static const char *const same[][2] = {
		{ "PAYroll", "payroll" },
		{ "\xc3\x84\xc3\x96\xc3\x9c", "\xc3\xa4\xc3\xb6\xc3\xbc" },
		{ "\xe1\xba\x9e", "\xc3\x9f" },
		{ "\xd0\x9f\xd0\xa0\xd0\x98\xd0\x81", "\xd0\xbf\xd1\x80\xd0\xb8\xd1\x91" },
		{ "\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83" },
		{ "\xe2\x84\xaa", "k" },
		{ "\xc5\xbf", "S" },
		{ "\xc4\x8c\xc5\xa0\xc5\xbd", "\xc4\x8d\xc5\xa1\xc5\xbe" },
		{ "\xef\xbc\xa1", "\xef\xbd\x81" },
	};
	static const char *const other[][2] = { { "a", "b" }, { "@", "`" }, { "[", "{" },
		{ "\xc3\x97", "\xc3\xb7" }, { "\xc4\x80", "\xc4\x82" } };
	uint8_t a[64], b[64];

	(void)state;
	for (size_t i = 0; i < N_OF(same); i++) {
		size_t na = chunk_fold(a, (const uint8_t *)same[i][0], strlen(same[i][0])),
		       nb = chunk_fold(b, (const uint8_t *)same[i][1], strlen(same[i][1]));

		assert_int_equal(na, nb);
		assert_memory_equal(a, b, na);
	}
	for (size_t i = 0; i < N_OF(other); i++) {
		size_t na = chunk_fold(a, (const uint8_t *)other[i][0], strlen(other[i][0])),
		       nb = chunk_fold(b, (const uint8_t *)other[i][1], strlen(other[i][1]));

		assert_false(na == nb && memcmp(a, b, na) == 0);
	}
}

/* Whatever the bytes, folding never grows, keeps newlines, and folded text stays as it is. */
static void
test_folding_any_bytes(void **state)
{
	uint8_t in[300], out[300], again[300];
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t len = test_random(&seed) % sizeof(in), n, lines = 0, kept = 0;

		for (size_t i = 0; i < len; i++) {
			in[i] = (uint8_t)(test_random(&seed) % (round % 2 == 0 ? 256 : 128));
			lines += in[i] == '\n';
		}
		n = chunk_fold(out, in, len);
		assert_true(n <= len);
		for (size_t i = 0; i < n; i++)
			kept += out[i] == '\n';
		if (round % 2 != 0)
			assert_int_equal(kept, lines);
		assert_int_equal(chunk_fold(again, out, n) <= n, 1);
	}
}

static void
test_a_filter_never_loses_a_text(void **state)
{
	uint8_t text[20000];
	uint32_t seed = 9;
	struct buf *b = buf_new(1u << 20);
	unsigned wrong = 0;

	(void)state;
	assert_non_null(b);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i % 61 == 60 ? '\n' : 'a' + test_random(&seed) % 26);
	assert_int_equal(chunk_filter_put(4, text, sizeof(text), b), 0);
	for (size_t i = 0; i + 8 < sizeof(text); i++)
		if (memchr(text + i, '\n', 8) == NULL)
			assert_true(chunk_filter_may(buf_ptr(b), buf_len(b), 4, text + i, 8));
	for (int i = 0; i < 1000; i++) {
		uint8_t other[6];

		for (size_t k = 0; k < sizeof(other); k++)
			other[k] = (uint8_t)('0' + test_random(&seed) % 10);
		wrong += chunk_filter_may(buf_ptr(b), buf_len(b), 4, other, sizeof(other));
	}
	/* Texts that are not there are kept out, nearly always. */
	assert_true(wrong < 20);
	/* One that is none, or of another chunk, keeps nothing out. */
	assert_true(chunk_filter_may(buf_ptr(b), buf_len(b), 5, (const uint8_t *)"0123", 4));
	assert_true(chunk_filter_may(buf_ptr(b), buf_len(b) - 1, 4, (const uint8_t *)"0123", 4));
	assert_true(chunk_filter_may(buf_ptr(b), 3, 4, (const uint8_t *)"0123", 4));
	assert_true(chunk_filter_may(buf_ptr(b), buf_len(b), 4, (const uint8_t *)"01", 2));
	buf_free(b);
}

struct found {
	size_t n, line[8], from[8], to[8];
	int answer;
};

static int
on_hit(void *arg, const struct search_hit *hit)
{
	struct found *f = arg;

	assert_true(f->n < 8);
	assert_true(hit->from <= hit->to && hit->to <= hit->len);
	f->line[f->n] = hit->line;
	f->from[f->n] = hit->from;
	f->to[f->n++] = hit->to;
	return f->answer;
}

/* The query, run over fill()'s lines. */
static int
run(const char *query, struct found *f)
{
	char why[SEARCH_WHY_MAX];
	struct search_query q;
	struct search *s = NULL;
	struct chunk c = { 0 };
	int r;

	memset(f, 0, sizeof(*f));
	if ((r = search_query_parse(query, strlen(query), &q, why)) != 0)
		return r;
	if ((r = search_new(&q, &s, why)) == 0) {
		fill(&c);
		r = search_chunk(s, &c, 1000, on_hit, f);
	}
	chunk_done(&c);
	search_free(s);
	search_query_done(&q);
	return r;
}

static void
test_lines_are_found(void **state)
{
	static const struct {
		const char *query;
		size_t n, line, from, to;
	} table[] = {
		{ "{\"text\":\"payroll\"}", 1, 0, 14, 21 },
		{ "{\"text\":\"LINE\"}", 2, 0, 6, 10 },
		{ "{\"text\":\"LINE\",\"case\":true}", 0, 0, 0, 0 },
		{ "{\"text\":\"Line\",\"case\":true}", 1, 0, 6, 10 },
		{ "{\"text\":\"\xc3\xa4PFEL\"}", 1, 1, 3, 9 },
		{ "{\"text\":\"a\"}", 3, 0, 15, 16 },
		{ "{\"text\":\"a\",\"in\":[\"command\"]}", 1, 2, 1, 2 },
		{ "{\"text\":\"t\",\"in\":[\"file\",\"typed\"]}", 1, 3, 2, 3 },
		{ "{\"text\":\"^the.*E$\",\"regex\":true}", 1, 4, 0, 13 },
		{ "{\"text\":\"payroll.ls\",\"regex\":true}", 0, 0, 0, 0 },
		{ "{\"text\":\"[^x]$\",\"regex\":true,\"in\":[\"command\"]}", 1, 2, 2, 3 },
		{ "{\"text\":\"line\",\"since\":7000}", 1, 4, 9, 13 },
		{ "{\"text\":\"line\",\"until\":6000}", 1, 0, 6, 10 },
	};
	struct found f;

	(void)state;
	for (size_t i = 0; i < N_OF(table); i++) {
		assert_int_equal(run(table[i].query, &f), 0);
		assert_int_equal(f.n, table[i].n);
		if (f.n == 0)
			continue;
		assert_int_equal(f.line[0], table[i].line);
		assert_int_equal(f.from[0], table[i].from);
		assert_int_equal(f.to[0], table[i].to);
	}
}

/* The text that filters are asked for, of a pattern. */
static void
literal_of(const char *pattern, char *dst, size_t size)
{
	struct search_query q = { .text = strdup(pattern), .len = strlen(pattern), .regex = true };
	char why[SEARCH_WHY_MAX];
	struct search *s = NULL;
	const uint8_t *p;
	size_t len;

	assert_non_null(q.text);
	assert_int_equal(search_new(&q, &s, why), 0);
	p = search_filter(s, &len);
	assert_true(len < size);
	memcpy(dst, p, len);
	dst[len] = '\0';
	search_free(s);
	search_query_done(&q);
}

static void
test_what_every_match_of_a_pattern_has(void **state)
{
	static const struct {
		const char *pattern, *literal;
	} table[] = { { "abc", "abc" }, { "ABC", "abc" }, { "ab?cde", "cde" }, { "ab*c", "a" },
		{ "abc+d", "abc" }, { "abc{0,2}de", "ab" }, { "a{2}bcd", "bcd" },
		{ "nowh[e]re-at", "re-at" }, { "a.bcd$", "bcd" }, { "ab\\.cd", "ab.cd" },
		{ "ab\\dcde", "cde" }, { "ab\\x41cdef", "" }, { "abc|def", "" }, { "(abc)", "" },
		{ "\\Qa*\\E", "" }, { "[[:alpha:]]abc", "" }, { "[]a]bcd", "bcd" },
		{ "[^]a]bcd", "bcd" }, { "[a\\]]bcd", "" }, { "abc+?de", "abc" },
		{ "abc?+de", "ab" },
		{ "gr\xc3\xb6\xc3\x9f"
		  "er",
		    "gr" },
		{ "a", "a" }, { "[0-9]+", "" } };
	char literal[64];

	(void)state;
	for (size_t i = 0; i < N_OF(table); i++) {
		literal_of(table[i].pattern, literal, sizeof(literal));
		assert_string_equal(literal, table[i].literal);
	}
}

static int
on_line(void *arg, const struct search_hit *hit)
{
	uint32_t *sum = arg;

	*sum = *sum * 31 + (uint32_t)hit->line * 7 + (uint32_t)hit->from * 3 + (uint32_t)hit->to;
	return 0;
}

static uint32_t
sum_of(const char *pattern, const struct chunk *c, bool with_case)
{
	struct search_query q = { .text = strdup(pattern),
		.len = strlen(pattern),
		.regex = true,
		.with_case = with_case,
		.kinds = (1u << RENDER_KINDS) - 1,
		.until_ns = UINT64_MAX };
	char why[SEARCH_WHY_MAX];
	struct search *s = NULL;
	uint32_t sum = 1;

	assert_non_null(q.text);
	assert_int_equal(search_new(&q, &s, why), 0);
	assert_int_equal(search_chunk(s, c, 0, on_line, &sum), 0);
	search_free(s);
	search_query_done(&q);
	return sum;
}

/* Lines of nine letters, of which one in four is beyond ASCII when wide; else none. */
static void
fill_random(struct chunk *c, bool wide)
{
	static const char *const letters[] = { "a", "b", "c", "A", "B", "k", "s", "K", " ", ".",
		"7", "\xe2\x84\xaa", "\xc5\xbf", "\xc3\xa4" };
	size_t n_letters = wide ? N_OF(letters) : N_OF(letters) - 3;
	char line[128];
	uint32_t seed = 5;

	for (unsigned i = 0; i < 1500; i++) {
		size_t n = 0;

		for (unsigned k = 0; k < 9; k++) {
			seed = seed * 1664525u + 1013904223u;
			n += (size_t)snprintf(
			    line + n, sizeof(line) - n, "%s", letters[(seed >> 8) % n_letters]);
		}
		add(c, i, 1, RENDER_SCREEN, line);
	}
}

/* In a group a pattern has no literal that is known, and every line is matched. */
static void
test_a_pattern_finds_the_same_by_its_literal(void **state)
{
	static const char *const patterns[] = { "ab", "abc?", "ab+c", "a.b", "[^a]bc", "ab\\wc$",
		"^ab", "KS", "ks.", "ab{2}a", "b{0,1}cc", "\\bab", "ab$", "\\.a" };
	char group[64];
	uint32_t hits = 0;
	struct chunk c = { 0 };

	(void)state;
	fill_random(&c, true);
	fill_random(&c, false);
	for (size_t i = 0; i < N_OF(patterns); i++)
		for (int with_case = 0; with_case < 2; with_case++) {
			(void)snprintf(group, sizeof(group), "(?:%s)", patterns[i]);
			assert_int_equal(sum_of(patterns[i], &c, with_case != 0),
			    sum_of(group, &c, with_case != 0));
			hits += sum_of(patterns[i], &c, with_case != 0) != 1;
		}
	assert_true(hits > N_OF(patterns));
	chunk_done(&c);
}

/* A pattern that names a character which no byte is goes the way of all characters. */
static void
test_a_pattern_finds_the_same_in_ascii(void **state)
{
	static const char *const patterns[] = { "[0-9]{2}", "(a|b)+7", "\\w\\W\\d", "\\ba\\b",
		"^.{9}$", "[^a-z ]+$", "\\xe4?b\\x6b", "(?<!k)s", "(?i:K)S", "[[:alpha:]]{7}",
		"[[:punct:]]a", "\\p{Lu}\\p{Ll}", "(.)\\1\\1", "\\s\\S\\s", "\xc3\xa4?b",
		"[^\xc3\xa4]b", "[k\xc5\xbf]a", "\\x{212a}a", "\xc5\xbf\xc5\xbf", "(*UTF)a.b",
		"\\N{U+e4}?bb" };
	char slow[80], quick[80];
	uint32_t hits = 0, sum;
	struct chunk c = { 0 };

	(void)state;
	fill_random(&c, true);
	fill_random(&c, false);
	for (size_t i = 0; i < N_OF(patterns); i++)
		for (int with_case = 0; with_case < 2; with_case++) {
			const char *p = patterns[i][1] == '*' ? patterns[i] + 6 : patterns[i];

			(void)snprintf(slow, sizeof(slow), "(?:\\x{100}){0}(?:%s)", p);
			(void)snprintf(quick, sizeof(quick), "%.*s(?:%s)", (int)(p - patterns[i]),
			    patterns[i], p);
			sum = sum_of(slow, &c, with_case != 0);
			assert_int_equal(sum_of(quick, &c, with_case != 0), sum);
			hits += sum != 1;
		}
	assert_true(hits > N_OF(patterns));
	chunk_done(&c);
}

static void
test_bad_queries_are_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "{", "{\"text\":\"\"}", "{\"text\":7}",
		"{\"text\":\"a\\nb\"}", "{\"limit\":0}", "{\"limit\":\"x\"}", "{\"limit\":100001}",
		"{\"exit\":-1}", "{\"exit\":4294967296}", "{\"context\":101}", "{\"in\":[]}",
		"{\"in\":[\"cellar\"]}", "{\"text\":\"(\",\"regex\":true}",
		"{\"text\":\"\\\\C\",\"regex\":true}" };
	struct found f;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(run(bad[i], &f), ERR_FORMAT);
}

static void
test_a_hostile_pattern_ends(void **state)
{
	char why[SEARCH_WHY_MAX], text[3000];
	const char *query = "{\"text\":\"(?:(a|aa)+)+$\",\"regex\":true}";
	struct search_query q;
	struct search *s;
	struct chunk c = { 0 };
	struct found f = { 0 };

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 2, "!", 2);
	add(&c, 0, 1, RENDER_SCREEN, text);
	assert_int_equal(search_query_parse(query, strlen(query), &q, why), 0);
	assert_int_equal(search_new(&q, &s, why), 0);
	assert_int_equal(search_chunk(s, &c, 0, on_hit, &f), ERR_LIMIT);
	search_free(s);
	search_query_done(&q);
	chunk_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chunk_comes_back),
		cmocka_unit_test(test_broken_characters_keep_their_newlines),
		cmocka_unit_test(test_a_full_chunk_takes_no_more),
		cmocka_unit_test(test_folding_joins_what_differs_in_case),
		cmocka_unit_test(test_folding_any_bytes),
		cmocka_unit_test(test_a_filter_never_loses_a_text),
		cmocka_unit_test(test_lines_are_found),
		cmocka_unit_test(test_what_every_match_of_a_pattern_has),
		cmocka_unit_test(test_a_pattern_finds_the_same_by_its_literal),
		cmocka_unit_test(test_a_pattern_finds_the_same_in_ascii),
		cmocka_unit_test(test_bad_queries_are_refused),
		cmocka_unit_test(test_a_hostile_pattern_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
