/* A window over each stream: bytes that were given out, and bytes that wait. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/pattern.h"
#include "recorder/mask.h"
#include "recorder/mask_part.h"
#include "recorder/mask_scan.h"

#define BEHIND_MIN 512u	  /* bytes that were given out and are looked at again, */
#define BEHIND_MAX 17408u /* or up to so many, from the beginning of a match that may go on */

/* A rule of a session; those of the table are shared by all sessions, which never match at the same time. */
struct rule {
	char name[MASK_NAME_MAX + 1];
	struct pattern *pattern;
	bool own;
};

struct mask_set {
	struct rule rules[MASK_RULES_MAX];
	size_t n;
	struct mask_scan *scan;
	uint64_t known; /* rules of which it is known how they begin, a bit each */
	uint64_t given_up;
};

struct mask_stream {
	struct mask_set *set;
	uint8_t *data; /* given out, then held back */
	size_t given, len, size;
	size_t
	    open; /* where a match begins that reaches the end of what was given out; given: none */
	bool masked;	    /* the last byte that was given out is masked, */
	size_t masked_rule; /* by this one */
	struct mask_hit *hits;
	size_t n_hits, hits_size;
	struct pattern_place next[MASK_RULES_MAX]; /* of each rule, while one call runs */
	enum pattern_answer answer[MASK_RULES_MAX];
};

static struct pattern *prepared[MASK_RULES_MAX];

/* Sets. */

int
mask_prepare(void)
{
	size_t n;
	const struct mask_rule *rules = mask_rules_defaults(&n);
	struct pattern_err err;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && i < MASK_RULES_MAX; i++)
		if (prepared[i] == NULL)
			r = pattern_new(rules[i].text, &prepared[i], &err);
	return r;
}

void
mask_done(void)
{
	for (size_t i = 0; i < MASK_RULES_MAX; i++) {
		pattern_free(prepared[i]);
		prepared[i] = NULL;
	}
}

void
mask_set_free(struct mask_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++)
		if (set->rules[i].own)
			pattern_free(set->rules[i].pattern);
	mask_scan_free(set->scan);
	free(set);
}

static int
add_rule(struct mask_set *set, const char *name, const char *text, struct pattern *shared)
{
	struct pattern_err err;
	struct rule *rule = &set->rules[set->n];
	int r;

	if (set->n == MASK_RULES_MAX || strlen(name) > MASK_NAME_MAX)
		return ERR_FORMAT;
	rule->own = shared == NULL;
	rule->pattern = shared;
	if (shared == NULL && (r = pattern_new(text, &rule->pattern, &err)) != 0)
		return r;
	memcpy(rule->name, name, strlen(name) + 1);
	set->n++;
	return 0;
}

static int
add_defaults(struct mask_set *set)
{
	size_t n;
	const struct mask_rule *rules = mask_rules_defaults(&n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t at = set->n;

		r = add_rule(set, rules[i].name, rules[i].text, prepared[i]);
		if (r != 0 || rules[i].starts == NULL)
			continue;
		set->known |= 1ull << at;
		r = mask_scan_add(set->scan, at, rules[i].starts);
	}
	return r;
}

static int
add_named(struct mask_set *set, const char *name, const struct json_node *texts)
{
	const char *text = json_str(json_get(texts, name), NULL);

	if (strcmp(name, MASK_DEFAULTS) == 0)
		return add_defaults(set);
	return text != NULL ? add_rule(set, name, text, NULL) : ERR_FORMAT;
}

static int
add_names(struct mask_set *set, const char *names, const struct json_node *texts)
{
	char name[MASK_NAME_MAX + 1];
	int r = 0;

	while (r == 0 && *names != '\0') {
		size_t n = strcspn(names, ",");

		if (n == 0 || n > MASK_NAME_MAX)
			return ERR_FORMAT;
		memcpy(name, names, n);
		name[n] = '\0';
		r = add_named(set, name, texts);
		names += n + (names[n] == ',');
	}
	return r;
}

int
mask_set_new(const char *names, const char *texts, struct mask_set **ret_set)
{
	struct mask_set *set = calloc(1, sizeof(*set));
	struct json_node *json = NULL;
	int r = -ENOMEM;

	if (set == NULL)
		return r;
	if ((set->scan = mask_scan_new()) != NULL &&
	    (r = texts[0] != '\0' ? json_parse(texts, strlen(texts), &json) : 0) == 0)
		r = add_names(set, names, json);
	json_node_free(json);
	if (r != 0) {
		mask_set_free(set);
		return r;
	}
	*ret_set = set;
	return 0;
}

const char *
mask_rule_name(const struct mask_set *set, size_t rule)
{
	return rule < set->n ? set->rules[rule].name : "";
}

void
mask_search_plainly(struct mask_set *set)
{
	set->known = 0;
}

uint64_t
mask_given_up(const struct mask_set *set)
{
	return set->given_up;
}

/* Streams. */

struct mask_stream *
mask_stream_new(struct mask_set *set)
{
	struct mask_stream *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->set = set;
	return s;
}

void
mask_stream_free(struct mask_stream *s)
{
	if (s == NULL)
		return;
	if (s->data != NULL)
		sodium_memzero(s->data, s->size);
	free(s->data);
	free(s->hits);
	free(s);
}

size_t
mask_held(const struct mask_stream *s)
{
	return s->len - s->given;
}

/* Of what was given out only the end is kept, and a match that may go on. */
static void
slide(struct mask_stream *s)
{
	size_t from = s->given > BEHIND_MIN ? s->given - BEHIND_MIN : 0;

	if (s->open < from)
		from = s->open;
	if (s->given - from > BEHIND_MAX)
		from = s->given - BEHIND_MAX;
	if (from == 0)
		return;
	memmove(s->data, s->data + from, s->len - from);
	sodium_memzero(s->data + s->len - from, from);
	s->len -= from;
	s->given -= from;
	s->open = s->open > from ? s->open - from : 0;
}

static int
append(struct mask_stream *s, const uint8_t *p, size_t n)
{
	size_t size = s->size == 0 ? 4096 : s->size;
	uint8_t *data;

	while (size - s->len < n)
		size *= 2;
	if (size != s->size) {
		if ((data = malloc(size)) == NULL)
			return -ENOMEM;
		if (s->len > 0) {
			memcpy(data, s->data, s->len);
			sodium_memzero(s->data, s->size);
		}
		free(s->data);
		s->data = data;
		s->size = size;
	}
	if (n > 0)
		memcpy(s->data + s->len, p, n);
	s->len += n;
	return 0;
}

/* A rule from the first place on where it may begin; the same as searching everywhere. */
static enum pattern_answer
look_at_starts(struct mask_stream *s, size_t rule, size_t start, bool more)
{
	const struct mask_set *set = s->set;
	enum pattern_answer answer = PATTERN_NO;
	size_t first[MASK_SCAN_RULES];

	s->next[rule] = (struct pattern_place){ s->len, s->len, s->len };
	for (size_t at = start; at < s->len && answer == PATTERN_NO; at++) {
		if (at > start) {
			mask_scan_first(set->scan, 1ull << rule, s->data, s->len, at, more, first);
			at = first[rule];
		}
		if (at < s->len)
			answer = pattern_find_at(
			    set->rules[rule].pattern, s->data, s->len, at, more, &s->next[rule]);
	}
	return answer;
}

static void
look(struct mask_stream *s, size_t rule, size_t start, bool more)
{
	s->answer[rule] = (s->set->known >> rule & 1) != 0
			      ? look_at_starts(s, rule, start, more)
			      : pattern_find(s->set->rules[rule].pattern, s->data, s->len, start,
				    more, &s->next[rule]);
	if (s->answer[rule] == PATTERN_LIMIT)
		s->set->given_up++;
}

/* All rules, from the beginning on. */
static void
look_all(struct mask_stream *s, bool more)
{
	size_t first[MASK_SCAN_RULES] = { 0 };

	mask_scan_first(s->set->scan, s->set->known, s->data, s->len, 0, more, first);
	for (size_t i = 0; i < s->set->n; i++)
		look(s, i, first[i], more);
}

/* The rule whose match is the first from a place on; n: none. */
static size_t
first_match(struct mask_stream *s, size_t at, bool more)
{
	size_t best = s->set->n;

	for (size_t i = 0; i < s->set->n; i++) {
		while (s->answer[i] == PATTERN_YES && s->next[i].to <= at)
			look(s, i, s->next[i].to, more);
		if (s->answer[i] == PATTERN_YES &&
		    (best == s->set->n || s->next[i].from < s->next[best].from))
			best = i;
	}
	return best;
}

static int
add_hit(struct mask_stream *s, size_t rule, size_t from, size_t to)
{
	struct mask_hit *hits;
	size_t size = s->hits_size == 0 ? 16 : s->hits_size * 2;

	if (s->n_hits == s->hits_size) {
		if ((hits = reallocarray(s->hits, size, sizeof(*hits))) == NULL)
			return -ENOMEM;
		s->hits = hits;
		s->hits_size = size;
	}
	s->hits[s->n_hits++] = (struct mask_hit){ .from = from - s->given,
		.to = to - s->given,
		.rule = rule,
		.goes_on = from == s->given && s->masked && s->masked_rule == rule };
	return 0;
}

/* Up to where it is decided: before anything that may yet become a match. */
static size_t
decided(const struct mask_stream *s, bool all)
{
	size_t end = s->len;

	if (all || s->len - s->given > MASK_HELD_MAX)
		return end;
	for (size_t i = 0; i < s->set->n; i++)
		if (s->answer[i] == PATTERN_PERHAPS && s->next[i].begin < end)
			end = s->next[i].begin;
	return end > s->given ? end : s->given;
}

/* Matches in what was not given out yet. *ret_end: what is decided. */
static int
collect(struct mask_stream *s, bool more, bool all, size_t *ret_end)
{
	size_t at = s->given, rule, end;
	int r = 0;

	while (r == 0 && (rule = first_match(s, at, more)) < s->set->n) {
		const struct pattern_place *m = &s->next[rule];
		size_t from = m->from > at ? m->from : at;

		if (s->n_hits == MASK_HITS_MAX) {
			*ret_end = from;
			return 0;
		}
		if (from >= decided(s, all))
			break;
		r = add_hit(s, rule, from, m->to);
		s->open = m->to == s->len ? m->begin : s->open;
		at = m->to;
	}
	end = decided(s, all);
	*ret_end = end > at ? end : at;
	return r;
}

static void
give(struct mask_stream *s, size_t end, struct mask_piece *ret)
{
	const struct mask_hit *last = s->n_hits > 0 ? &s->hits[s->n_hits - 1] : NULL;
	size_t n = end - s->given;

	*ret = (struct mask_piece){
		.data = s->data + s->given, .len = n, .hits = s->hits, .n_hits = s->n_hits
	};
	if (n == 0)
		return;
	s->masked = last != NULL && last->to == n;
	s->masked_rule = s->masked ? last->rule : 0;
	s->given = end;
}

/* As if the last n bytes had not come; open: as it was before them. */
static void
take_back(struct mask_stream *s, size_t n, size_t open)
{
	s->len -= n;
	sodium_memzero(s->data + s->len, n);
	s->open = open;
}

int
mask_feed(struct mask_stream *s, const uint8_t *p, size_t n, bool all, struct mask_piece *ret_piece)
{
	bool more;
	size_t end, open;
	int r;

	slide(s);
	s->n_hits = 0;
	if ((r = append(s, p, n)) != 0)
		return r;
	open = s->open;
	s->open = s->len;
	/* So much is not held back: then it is what it is. */
	more = !all && s->len - s->given <= MASK_HELD_MAX;
	look_all(s, more);
	if ((r = collect(s, more, all, &end)) == 0)
		give(s, end, ret_piece);
	else
		take_back(s, n, open);
	return r;
}

/* Text. */

int
mask_put(struct buf *b, const struct mask_set *set, const struct mask_piece *piece)
{
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < piece->n_hits; i++) {
		const struct mask_hit *hit = &piece->hits[i];
		const char *name = mask_rule_name(set, hit->rule);

		r = buf_put(b, piece->data + at, hit->from - at);
		at = hit->to;
		if (r == 0 && !hit->goes_on && (r = buf_put(b, "[masked ", 8)) == 0 &&
		    (r = buf_put(b, name, strlen(name))) == 0)
			r = buf_put(b, "]", 1);
	}
	return r != 0 ? r : buf_put(b, piece->data + at, piece->len - at);
}

int
mask_put_mark(struct buf *b, const struct mask_set *set, const struct mask_piece *piece)
{
	uint32_t places[MASK_RULES_MAX] = { 0 }, n = 0;
	int r;

	for (size_t i = 0; i < piece->n_hits; i++)
		if (!piece->hits[i].goes_on && places[piece->hits[i].rule]++ == 0)
			n++;
	r = buf_put_u32(b, n);
	for (size_t i = 0; r == 0 && i < set->n; i++)
		if (places[i] > 0 && (r = buf_put_cstr(b, mask_rule_name(set, i))) == 0)
			r = buf_put_u32(b, places[i]);
	return r;
}
