/* Looking for text or a pattern in chunks of rendered lines. The one file that knows PCRE2 here. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/json.h"
#include "lib/str.h"
#include "recorder/search.h"

#define MATCH_STEPS 200000u /* of one pattern on one line */
#define MATCH_HEAP_KB 8192u
#define META_MAX 512u
#define SIEVE_MIN 2u /* bytes of what every match has from which looking for it first is worth it */

struct search {
	const struct search_query *q;
	/* folded, unless case counts; of a pattern what every match of it has in it, folded; owned */
	uint8_t *needle;
	size_t needle_len;
	uint8_t *folded; /* CHUNK_TEXT_MAX */
	uint32_t *map;	 /* places in a line by places in its folded form; SCREEN_LINE_MAX + some */
	pcre2_code *code;
	pcre2_code *ascii; /* the same, for lines that are ASCII; NULL: none */
	pcre2_match_data *match;
	pcre2_match_context *limits;
};

#define MAP_LEN (CHUNK_TEXT_MAX + 1u)

void
search_query_done(struct search_query *q)
{
	free(q->text);
	free(q->identity);
	free(q->login);
	free(q->host);
	free(q->source);
	free(q->rule);
	*q = (struct search_query){ 0 };
}

static int
query_text(const struct json_node *n, char **ret)
{
	const char *text = json_str(n, NULL);

	/* No line has a newline in it. */
	if (text == NULL || text[0] == '\0' || strlen(text) > SEARCH_TEXT_MAX ||
	    strchr(text, '\n') != NULL)
		return ERR_FORMAT;
	return (*ret = strdup(text)) == NULL ? -ENOMEM : 0;
}

static int
query_number(const struct json_node *n, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t a = json_u64(n, 0), b = json_u64(n, 1);

	if (a != b || a < min || a > max)
		return ERR_FORMAT;
	*ret = a;
	return 0;
}

static int
query_kinds(const struct json_node *n, unsigned *ret_kinds)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < json_n(n); i++) {
		const char *name = json_str(json_at(n, i), "");
		unsigned k = 0;

		while (k < RENDER_KINDS && strcmp(name, render_kind_name((enum render_kind)k)) != 0)
			k++;
		if (k == RENDER_KINDS)
			return ERR_FORMAT;
		kinds |= 1u << k;
	}
	if (kinds == 0)
		return ERR_FORMAT;
	*ret_kinds = kinds;
	return 0;
}

/* Members with text. */
static int
query_texts(const struct json_node *root, struct search_query *q, const char **ret_bad)
{
	const struct {
		const char *name;
		char **to;
	} texts[] = { { "text", &q->text }, { "identity", &q->identity }, { "login", &q->login },
		{ "host", &q->host }, { "source", &q->source }, { "rule", &q->rule } };
	int r;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct json_node *n = json_get(root, texts[i].name);

		*ret_bad = texts[i].name;
		if (n != NULL && (r = query_text(n, texts[i].to)) != 0)
			return r;
	}
	q->len = q->text != NULL ? strlen(q->text) : 0;
	return 0;
}

static int
query_numbers(const struct json_node *root, struct search_query *q, const char **ret_bad)
{
	uint64_t limit = SEARCH_LIMIT, context = 0;
	const struct {
		const char *name;
		uint64_t min, max, *to;
	} numbers[] = { { "exit", 0, UINT32_MAX, &q->exit },
		{ "since", 0, UINT64_MAX, &q->since_ns }, { "until", 0, UINT64_MAX, &q->until_ns },
		{ "limit", 1, SEARCH_LIMIT_MAX, &limit },
		{ "context", 0, SEARCH_CONTEXT_MAX, &context } };
	int r;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct json_node *n = json_get(root, numbers[i].name);

		*ret_bad = numbers[i].name;
		if (n != NULL &&
		    (r = query_number(n, numbers[i].min, numbers[i].max, numbers[i].to)) != 0)
			return r;
	}
	q->has_exit = json_get(root, "exit") != NULL;
	q->limit = (uint32_t)limit;
	q->context = (uint32_t)context;
	return 0;
}

int
search_query_parse(
    const char *text, size_t len, struct search_query *ret_q, char why[SEARCH_WHY_MAX])
{
	struct search_query q = { .kinds = (1u << RENDER_KINDS) - 1, .until_ns = UINT64_MAX };
	struct json_node *root = NULL;
	const char *bad = "the query";
	int r = ERR_FORMAT;

	if (len > SEARCH_QUERY_MAX || (r = json_parse(text, len, &root)) != 0)
		goto out;
	r = ERR_FORMAT;
	if (!json_is_map(root))
		goto out;
	if ((r = query_texts(root, &q, &bad)) != 0 || (r = query_numbers(root, &q, &bad)) != 0)
		goto out;
	bad = "in";
	if (json_get(root, "in") != NULL && (r = query_kinds(json_get(root, "in"), &q.kinds)) != 0)
		goto out;
	q.regex = json_bool(json_get(root, "regex"), false);
	q.sealed = json_bool(json_get(root, "sealed"), false);
	q.with_case = json_bool(json_get(root, "case"), false);
	*ret_q = q;
	q = (struct search_query){ 0 };
out:
	if (r == ERR_FORMAT)
		(void)snprintf(why, SEARCH_WHY_MAX, "%s: not a value that a search takes", bad);
	json_node_free(root);
	search_query_done(&q);
	return r;
}

static bool
wants_meta(const struct sess *s, enum rec_meta tag, const char *pattern)
{
	char text[META_MAX];

	return pattern == NULL || str_match(pattern, sess_meta_text(s, tag, text, sizeof(text)));
}

/* The address of a source without its port. */
static bool
wants_source(const struct sess *s, const char *pattern)
{
	char text[META_MAX], *end;

	if (wants_meta(s, REC_META_SOURCE, pattern))
		return true;
	(void)sess_meta_text(s, REC_META_SOURCE, text, sizeof(text));
	if ((end = strrchr(text, text[0] == '[' ? ']' : ':')) == NULL)
		return false;
	*end = '\0';
	return str_match(pattern, text[0] == '[' ? text + 1 : text);
}

bool
search_wants(const struct search_query *q, const struct sess *s)
{
	bool exit = !q->has_exit;

	if (s->opened_wall_ns > q->until_ns ||
	    (s->state != SESS_OPEN && s->closed_wall_ns < q->since_ns))
		return false;
	if (!wants_meta(s, REC_META_IDENTITY, q->identity) ||
	    !wants_meta(s, REC_META_LOGIN, q->login) || !wants_meta(s, REC_META_HOST, q->host) ||
	    !wants_meta(s, REC_META_RULE, q->rule) || !wants_source(s, q->source))
		return false;
	for (uint32_t i = 0; !exit && i < s->n_channels; i++)
		exit = s->channels[i].exit == SESS_EXIT_STATUS &&
		       s->channels[i].exit_status == q->exit;
	return exit;
}

void
search_free(struct search *s)
{
	if (s == NULL)
		return;
	pcre2_match_context_free(s->limits);
	pcre2_match_data_free(s->match);
	pcre2_code_free(s->code);
	pcre2_code_free(s->ascii);
	free(s->needle);
	free(s->folded);
	free(s->map);
	free(s);
}

/* No byte above 0x7f. */
static bool
is_ascii(const uint8_t *p, size_t len)
{
	uint64_t x, high = 0;
	size_t i = 0;

	for (; len - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, p + i, sizeof(x));
		high |= x;
	}
	for (; i < len; i++)
		high |= p[i];
	return (high & UINT64_C(0x8080808080808080)) == 0;
}

/*
 * In a line of ASCII, characters are bytes, and it need not be looked through for whether it is UTF-8. A pattern that names
 * characters which no byte is has such bytes, or does not compile this way: it goes without.
 */
static void
compile_ascii(struct search *s)
{
	uint32_t options = PCRE2_NEVER_BACKSLASH_C | (s->q->with_case ? 0 : PCRE2_CASELESS);
	PCRE2_SIZE at;
	int err;

	if (is_ascii((const uint8_t *)s->q->text, s->q->len))
		s->ascii =
		    pcre2_compile((PCRE2_SPTR)s->q->text, s->q->len, options, &err, &at, NULL);
}

static int
compile(struct search *s, char why[SEARCH_WHY_MAX])
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
			   PCRE2_NEVER_BACKSLASH_C | (s->q->with_case ? 0 : PCRE2_CASELESS);
	PCRE2_UCHAR text[200];
	PCRE2_SIZE at;
	int err;

	s->code = pcre2_compile((PCRE2_SPTR)s->q->text, s->q->len, options, &err, &at, NULL);
	if (s->code == NULL) {
		if (pcre2_get_error_message(err, text, sizeof(text)) < 0)
			text[0] = '\0';
		(void)snprintf(why, SEARCH_WHY_MAX, "the pattern is wrong at character %zu: %s",
		    (size_t)at + 1, (const char *)text);
		return ERR_FORMAT;
	}
	compile_ascii(s);
	s->match = pcre2_match_data_create_from_pattern(s->code, NULL);
	s->limits = pcre2_match_context_create(NULL);
	if (s->match == NULL || s->limits == NULL)
		return -ENOMEM;
	if (pcre2_set_match_limit(s->limits, MATCH_STEPS) != 0 ||
	    pcre2_set_heap_limit(s->limits, MATCH_HEAP_KB) != 0)
		return -ENOMEM;
	return 0;
}

/* What a pattern says next. */
enum item {
	ITEM_END,
	ITEM_LITERAL, /* *ret_c, as it stands */
	ITEM_OTHER,   /* something of one line that is no plain character */
	ITEM_UNKNOWN  /* what is behind it cannot be told without knowing all of the syntax */
};

/* A class: to its end, wherever in doubt to the end of the pattern. */
static enum item
item_class(const char **p)
{
	const char *c = *p;

	c += *c == '^';
	c += *c == ']';
	for (; *c != '\0' && *c != ']'; c++)
		if (*c == '\\' || *c == '[')
			return ITEM_UNKNOWN;
	if (*c == '\0')
		return ITEM_UNKNOWN;
	*p = c + 1;
	return ITEM_OTHER;
}

static enum item
item_escape(const char **p, uint8_t *ret_c)
{
	uint8_t c = (uint8_t) * *p;

	if (c == '\0')
		return ITEM_UNKNOWN;
	++*p;
	if (c > ' ' && c < 0x7f && !isalnum(c)) {
		*ret_c = c;
		return ITEM_LITERAL;
	}
	return strchr("dDwWsSbB", c) != NULL ? ITEM_OTHER : ITEM_UNKNOWN;
}

static enum item
item_next(const char **p, uint8_t *ret_c)
{
	uint8_t c = (uint8_t) * *p;

	if (c == '\0')
		return ITEM_END;
	++*p;
	switch (c) {
	case '\\':
		return item_escape(p, ret_c);
	case '[':
		return item_class(p);
	case '.':
	case '^':
	case '$':
		return ITEM_OTHER;
	case '(':
	case ')':
	case '|':
	case '{':
	case '*':
	case '+':
	case '?':
		return ITEM_UNKNOWN;
	default:
		break;
	}
	*ret_c = c;
	/* Of letters beyond ASCII the library knows more pairs than the index. */
	return c < 0x80 ? ITEM_LITERAL : ITEM_OTHER;
}

/* What is said of the number of an item: stands behind it afterwards. 0: none of it may be there. 1: one or more. 2: exactly one. */
static int
item_times(const char **p)
{
	int n = 2;

	if (**p == '{') {
		n = 0;
		*p += strcspn(*p, "}");
		*p += **p == '}';
	} else if (**p == '*' || **p == '?' || **p == '+') {
		n = **p == '+';
		++*p;
	}
	/* Lazy, possessive. */
	if (n != 2 && (**p == '?' || **p == '+'))
		++*p;
	return n;
}

/*
 * The longest run of ASCII that every match has in it, so that chunks and lines without it need no matching. Patterns with groups
 * and alternatives, and others of which that is not plain, have none. dst: as long as the pattern. Returns the length.
 */
static size_t
pattern_literal(const char *pattern, uint8_t *dst)
{
	size_t begin = 0, n = 0, best = 0, best_len = 0;
	const char *p = pattern;
	uint8_t c = 0;
	enum item it;

	while ((it = item_next(&p, &c)) != ITEM_END) {
		int times = it == ITEM_UNKNOWN ? 0 : item_times(&p);

		if (it == ITEM_UNKNOWN)
			return 0;
		if (it == ITEM_LITERAL && times > 0)
			dst[n++] = c;
		if (n - begin > best_len) {
			best = begin;
			best_len = n - begin;
		}
		if (it != ITEM_LITERAL || times != 2)
			begin = n;
	}
	memmove(dst, dst + best, best_len);
	return best_len;
}

static int
needle_new(struct search *s)
{
	const struct search_query *q = s->q;

	if ((s->needle = malloc(q->len + 1)) == NULL)
		return -ENOMEM;
	if (q->regex) {
		s->needle_len = pattern_literal(q->text != NULL ? q->text : "", s->needle);
		s->needle_len = chunk_fold(s->needle, s->needle, s->needle_len);
	} else if (q->with_case) {
		memcpy(s->needle, q->text, q->len);
		s->needle_len = q->len;
	} else {
		s->needle_len = chunk_fold(s->needle, (const uint8_t *)q->text, q->len);
	}
	return 0;
}

int
search_new(const struct search_query *q, struct search **ret_search, char why[SEARCH_WHY_MAX])
{
	struct search *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (s == NULL)
		return r;
	s->q = q;
	if ((s->folded = malloc(CHUNK_TEXT_MAX)) == NULL ||
	    (s->map = calloc(MAP_LEN, sizeof(*s->map))) == NULL || (r = needle_new(s)) != 0 ||
	    (q->regex && (r = compile(s, why)) != 0)) {
		search_free(s);
		return r;
	}
	*ret_search = s;
	return 0;
}

const uint8_t *
search_filter(const struct search *s, size_t *ret_len)
{
	/* Of a text whose case counts the folded form is what filters know. */
	if (s->q->with_case && !s->q->regex) {
		*ret_len = chunk_fold(s->folded, s->needle, s->needle_len);
		return s->folded;
	}
	*ret_len = s->needle_len;
	return s->needle;
}

const uint8_t *
search_line(const struct chunk *c, size_t i, size_t *ret_len)
{
	const uint8_t *p = c->text, *end = c->text + c->len, *nl;

	for (; i > 0 && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; i--)
		p = nl + 1;
	nl = memchr(p, '\n', (size_t)(end - p));
	*ret_len = nl != NULL ? (size_t)(nl - p) : (size_t)(end - p);
	return p;
}

static bool
line_counts(const struct search *s, const struct chunk_line *l, uint64_t opened_ns)
{
	uint64_t at = opened_ns + l->at_ns;

	return (s->q->kinds & 1u << l->kind) != 0 && at >= s->q->since_ns && at <= s->q->until_ns;
}

/* Where in a line its folded form has from and to. */
static void
unfold(struct search *s, struct search_hit *hit, size_t from, size_t to)
{
	uint8_t scratch[8];
	size_t n = 0;

	for (size_t i = 0; i < hit->len;) {
		size_t one = str_utf8_len(hit->text + i, hit->len - i), put;

		one = one == 0 ? 1 : one;
		put = chunk_fold(scratch, hit->text + i, one);
		for (size_t k = 0; k < put && n < MAP_LEN - 1; k++)
			s->map[n++] = (uint32_t)i;
		i += one;
	}
	s->map[n] = (uint32_t)hit->len;
	hit->from = s->map[from < n ? from : n];
	/* To the end of the last character. */
	while (to < n && to > 0 && s->map[to] == s->map[to - 1])
		to++;
	hit->to = s->map[to < n ? to : n];
}

static size_t
newlines(const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	for (; p < end; p++)
		n += *p == '\n';
	return n;
}

/* Text as it stands, or with both sides folded. */
static int
scan_text(struct search *s, const struct chunk *c, uint64_t opened_ns, search_fn fn, void *arg)
{
	const uint8_t *text = s->q->with_case ? c->text : s->folded, *p, *end, *at, *begin = text;
	const uint8_t *line_text = c->text, *nl;
	size_t line = 0, line_of_text = 0;
	int r = 0;

	end = text + (s->q->with_case ? c->len : chunk_fold(s->folded, c->text, c->len));
	for (p = text; r == 0 && p < end; p = nl + 1) {
		struct search_hit hit = { .chunk = c };

		if ((at = memmem(p, (size_t)(end - p), s->needle, s->needle_len)) == NULL)
			break;
		line += newlines(begin, at);
		begin = at;
		while (begin > text && begin[-1] != '\n')
			begin--;
		if ((nl = memchr(at, '\n', (size_t)(end - at))) == NULL)
			nl = end;
		if (line < c->n_lines && line_counts(s, &c->lines[line], opened_ns)) {
			for (; line_of_text < line; line_of_text++)
				line_text = (const uint8_t *)memchr(line_text, '\n',
						(size_t)(c->text + c->len - line_text)) +
					    1;
			hit.line = line;
			hit.text = line_text;
			hit.len = (size_t)((const uint8_t *)memchr(line_text, '\n',
					       (size_t)(c->text + c->len - line_text)) -
					   line_text);
			hit.from = (size_t)(at - begin);
			hit.to = hit.from + s->needle_len;
			if (!s->q->with_case)
				unfold(s, &hit, hit.from, hit.to);
			r = fn(arg, &hit);
		}
		/* The next line begins behind this newline. */
		line++;
		begin = nl < end ? nl + 1 : end;
	}
	return r;
}

/* One line against the pattern. */
static int
match_line(struct search *s, const struct search_hit *line, search_fn fn, void *arg)
{
	struct search_hit hit = *line;
	const PCRE2_SIZE *at;
	const pcre2_code *code =
	    s->ascii != NULL && is_ascii(hit.text, hit.len) ? s->ascii : s->code;
	int n = pcre2_match(code, hit.text, hit.len, 0, 0, s->match, s->limits);

	if (n == PCRE2_ERROR_NOMATCH)
		return 0;
	if (n < 0)
		return n == PCRE2_ERROR_NOMEMORY ? -ENOMEM : ERR_LIMIT;
	at = pcre2_get_ovector_pointer(s->match);
	hit.from = at[0];
	hit.to = at[1] >= at[0] ? at[1] : at[0];
	return fn(arg, &hit);
}

/*
 * Whether this line may match: it has what every match has. *ahead: the next place in the folded text that has it, NULL: none;
 * *line_end: where the folded line ends.
 */
static bool
line_may(struct search *s, const uint8_t *folded, const uint8_t *end, const uint8_t **ahead,
    const uint8_t **line_end)
{
	const uint8_t *nl = memchr(folded, '\n', (size_t)(end - folded));

	*line_end = nl != NULL ? nl : end;
	if (*ahead != NULL && *ahead < folded)
		*ahead = memmem(folded, (size_t)(end - folded), s->needle, s->needle_len);
	return *ahead != NULL && *ahead < *line_end;
}

static int
scan_pattern(struct search *s, const struct chunk *c, uint64_t opened_ns, search_fn fn, void *arg)
{
	const uint8_t *p = c->text, *end = c->text + c->len, *nl, *folded = s->folded,
		      *folded_end = folded, *ahead = NULL, *stop;
	bool sieve = s->needle_len >= SIEVE_MIN;
	int r = 0;

	if (sieve) {
		folded_end = folded + chunk_fold(s->folded, c->text, c->len);
		ahead = memmem(folded, (size_t)(folded_end - folded), s->needle, s->needle_len);
		if (ahead == NULL)
			return 0;
	}
	for (size_t i = 0; r == 0 && i < c->n_lines && p < end; i++, p = nl + 1) {
		struct search_hit hit = { .chunk = c, .line = i, .text = p };

		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			nl = end;
		hit.len = (size_t)(nl - p);
		if (sieve) {
			bool may = line_may(s, folded, folded_end, &ahead, &stop);

			folded = stop < folded_end ? stop + 1 : folded_end;
			if (ahead == NULL)
				break;
			if (!may)
				continue;
		}
		if (line_counts(s, &c->lines[i], opened_ns))
			r = match_line(s, &hit, fn, arg);
	}
	return r;
}

int
search_chunk(struct search *s, const struct chunk *c, uint64_t opened_ns, search_fn fn, void *arg)
{
	if (s->q->regex)
		return scan_pattern(s, c, opened_ns, fn, arg);
	return s->needle_len == 0 ? 0 : scan_text(s, c, opened_ns, fn, arg);
}
