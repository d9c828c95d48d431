/* A configuration that was read: what it holds, typed values, known keys, and the messages about it. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/conf_int.h"
#include "lib/num.h"
#include "lib/str.h"

#define CONF_TEXT_SIZE 96  /* bytes of a value that a message shows */
#define CONF_NAME_SIZE 160 /* bytes of a file name that a message shows */
#define CONF_NEAR_MAX 40   /* bytes of a key that is compared with known ones */

void
conf_free(struct conf_doc *doc)
{
	struct conf_node *n;

	if (doc == NULL)
		return;
	while ((n = doc->all) != NULL) {
		doc->all = n->next;
		free(n->keys);
		free(n->kids);
		free(n->sorted);
		free(n);
	}
	free(doc->name);
	free(doc);
}

const char *
conf_name(const struct conf_doc *doc)
{
	return doc->name;
}

const struct conf_node *
conf_root(const struct conf_doc *doc)
{
	return doc->root;
}

enum conf_type
conf_node_type(const struct conf_node *n)
{
	return n->type;
}

bool
conf_is_nothing(const struct conf_node *n)
{
	return n->type == CONF_SCALAR && n->plain && n->text[0] == '\0';
}

size_t
conf_n(const struct conf_node *n)
{
	return n->n;
}

const struct conf_node *
conf_at(const struct conf_node *n, size_t i)
{
	return i < n->n ? n->kids[i] : NULL;
}

const struct conf_node *
conf_key_node_at(const struct conf_node *map, size_t i)
{
	return map->type == CONF_MAP && i < map->n ? map->keys[i] : NULL;
}

const char *
conf_key_at(const struct conf_node *map, size_t i)
{
	const struct conf_node *key = conf_key_node_at(map, i);

	return key == NULL ? NULL : key->text;
}

const struct conf_node *
conf_get(const struct conf_node *map, const char *key)
{
	size_t low = 0, high = map->type == CONF_MAP ? map->n : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		size_t i = map->sorted[mid];
		int order = strcmp(key, map->keys[i]->text);

		if (order == 0)
			return map->kids[i];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Messages. */

void
conf_add(char *dst, size_t size, size_t *at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst + *at, size - *at, fmt, ap);
	va_end(ap);
	if (n > 0)
		*at = (size_t)n < size - *at ? *at + (size_t)n : size - 1;
}

static bool
conf_is_word(const char *s)
{
	for (; isalnum((unsigned char)*s) || *s == '_' || *s == '-'; s++)
		;
	return *s == '\0';
}

static void
conf_add_step(char *dst, size_t size, size_t *at, const struct conf_node *n)
{
	char key[CONF_TEXT_SIZE];
	const char *text;

	if (n->parent->type == CONF_LIST) {
		conf_add(dst, size, at, "[%zu]", n->index);
		return;
	}
	text = n->is_key ? n->text : n->parent->keys[n->index]->text;
	str_escape(key, sizeof(key), text, strlen(text));
	if (*at > 0)
		conf_add(dst, size, at, ".");
	conf_add(dst, size, at, conf_is_word(text) ? "%s" : "\"%s\"", key);
}

char *
conf_path(const struct conf_node *n, char *dst, size_t size)
{
	const struct conf_node *way[CONF_DEPTH_MAX + 2];
	size_t n_way = 0, at = 0;

	for (; n->parent != NULL && n_way < CONF_DEPTH_MAX + 2; n = n->parent)
		way[n_way++] = n;
	dst[0] = '\0';
	while (n_way > 0)
		conf_add_step(dst, size, &at, way[--n_way]);
	return dst;
}

void
conf_say(struct conf_err *err, const char *name, size_t line, size_t column, const char *path,
    const char *fmt, ...)
{
	char file[CONF_NAME_SIZE], rest[sizeof(err->text)];
	size_t at = 0;
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(rest, sizeof(rest), fmt, ap) < 0)
		rest[0] = '\0';
	va_end(ap);
	str_escape(file, sizeof(file), name, strlen(name));
	conf_add(err->text, sizeof(err->text), &at, "%s:%zu:%zu: %s%s%s", file, line, column, path,
	    path[0] != '\0' ? ": " : "", rest);
}

void
conf_found(const struct conf_node *n, char *dst, size_t size)
{
	char text[CONF_TEXT_SIZE];
	size_t at = 0;

	str_escape(text, sizeof(text), n->text, n->type == CONF_SCALAR ? strlen(n->text) : 0);
	if (n->type == CONF_LIST)
		conf_add(dst, size, &at, "a list");
	else if (n->type == CONF_MAP)
		conf_add(dst, size, &at, "a map");
	else if (n->plain && n->text[0] == '\0')
		conf_add(dst, size, &at, "nothing");
	else
		conf_add(dst, size, &at, "%s\"%s\"", n->plain ? "" : "the quoted text ", text);
}

int
conf_fail(const struct conf_node *n, struct conf_err *ret_err, const char *expected_fmt, ...)
{
	char path[CONF_PATH_SIZE], expected[256], found[CONF_FOUND_SIZE];
	va_list ap;

	va_start(ap, expected_fmt);
	if (vsnprintf(expected, sizeof(expected), expected_fmt, ap) < 0)
		expected[0] = '\0';
	va_end(ap);
	conf_found(n, found, sizeof(found));
	conf_say(ret_err, n->doc->name, n->line, n->column, conf_path(n, path, sizeof(path)),
	    "expected %s, found %s", expected, found);
	return ERR_FORMAT;
}

/* Known keys. */

static size_t
conf_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two words, letters compared without case, two swapped neighbours counted as one edit. */
static size_t
conf_distance(const char *a, const char *b)
{
	size_t rows[3][CONF_NEAR_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > CONF_NEAR_MAX || b_len > CONF_NEAR_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		before[j] = last[j] = row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			int x = tolower((unsigned char)a[i - 1]),
			    y = tolower((unsigned char)b[j - 1]);

			row[j] =
			    conf_min(conf_min(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				row[j] = conf_min(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

/* Whether d edits make a slip of this word, and not another word. */
static bool
conf_is_slip(const char *wrong, size_t d)
{
	return d <= 1 + strlen(wrong) / 4;
}

const char *
conf_near(const char *wrong, const char *const *words, size_t n)
{
	size_t best = SIZE_MAX, best_i = 0;

	for (size_t i = 0; i < n; i++) {
		size_t d = conf_distance(wrong, words[i]);

		if (d < best) {
			best = d;
			best_i = i;
		}
	}
	return n > 0 && conf_is_slip(wrong, best) ? words[best_i] : NULL;
}

static int
conf_unknown_key(const struct conf_node *key, const struct conf_key *keys, size_t n_keys,
    struct conf_err *ret_err)
{
	size_t best = SIZE_MAX, best_i = 0, at = 0;
	char known[200] = "";

	for (size_t i = 0; i < n_keys; i++) {
		size_t d = conf_distance(key->text, keys[i].name);

		if (d < best) {
			best = d;
			best_i = i;
		}
		conf_add(known, sizeof(known), &at, "%s%s", i > 0 ? ", " : "", keys[i].name);
	}
	if (conf_is_slip(key->text, best))
		return conf_fail(
		    key, ret_err, "a known key (did you mean \"%s\"?)", keys[best_i].name);
	return conf_fail(key, ret_err, n_keys > 0 ? "one of the keys %s" : "no key here%s", known);
}

int
conf_map(const struct conf_node *n, struct conf_err *ret_err)
{
	return n->type == CONF_MAP ? 0 : conf_fail(n, ret_err, "a map");
}

int
conf_check_map(
    const struct conf_node *n, const struct conf_key *keys, size_t n_keys, struct conf_err *ret_err)
{
	char path[CONF_PATH_SIZE];
	int r = conf_map(n, ret_err);

	for (size_t i = 0; r == 0 && i < n->n; i++) {
		size_t k = 0;

		while (k < n_keys && strcmp(keys[k].name, n->keys[i]->text) != 0)
			k++;
		if (k == n_keys)
			r = conf_unknown_key(n->keys[i], keys, n_keys, ret_err);
	}
	for (size_t k = 0; r == 0 && k < n_keys; k++)
		if (keys[k].required && conf_get(n, keys[k].name) == NULL) {
			conf_say(ret_err, n->doc->name, n->line, n->column,
			    conf_path(n, path, sizeof(path)), "expected the key \"%s\", found none",
			    keys[k].name);
			r = ERR_FORMAT;
		}
	return r;
}

/* Typed values. */

/* The text of a scalar that was given a value; NULL for anything else. */
static const char *
conf_scalar(const struct conf_node *n)
{
	if (n->type != CONF_SCALAR || (n->plain && n->text[0] == '\0'))
		return NULL;
	return n->text;
}

int
conf_str(const struct conf_node *n, const char **ret_s, struct conf_err *ret_err)
{
	const char *s = conf_scalar(n);

	if (s == NULL)
		return conf_fail(n, ret_err, "text");
	/* Other readers of YAML take these for "no value": whoever means the word quotes it. */
	if (n->plain && (strcmp(s, "~") == 0 || strcasecmp(s, "null") == 0))
		return conf_fail(n, ret_err, "text (in quotes if the word is meant)");
	*ret_s = s;
	return 0;
}

int
conf_bool(const struct conf_node *n, bool *ret_v, struct conf_err *ret_err)
{
	const char *s = n->plain ? conf_scalar(n) : NULL;

	if (s == NULL || (strcmp(s, "true") != 0 && strcmp(s, "false") != 0))
		return conf_fail(n, ret_err, "true or false");
	*ret_v = s[0] == 't';
	return 0;
}

int
conf_u64(const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *ret_v,
    struct conf_err *ret_err)
{
	const char *s = n->plain ? conf_scalar(n) : NULL;

	if (s != NULL && num_parse(s, min, max, ret_v) == 0)
		return 0;
	if (max == UINT64_MAX)
		return conf_fail(
		    n, ret_err, "an integer of at least %llu", (unsigned long long)min);
	return conf_fail(n, ret_err, "an integer from %llu to %llu", (unsigned long long)min,
	    (unsigned long long)max);
}

struct conf_unit {
	const char *name;
	uint64_t factor;
};

/* "90s", "4096", "64K": with the largest unit that leaves a whole number. */
static const char *
conf_unit_text(char *dst, size_t size, uint64_t v, const struct conf_unit *units, size_t n_units)
{
	size_t u = 0, at = 0;

	while (u + 1 < n_units && v != 0 && v % units[u + 1].factor == 0)
		u++;
	conf_add(
	    dst, size, &at, "%llu%s", (unsigned long long)(v / units[u].factor), units[u].name);
	return dst;
}

static int
conf_unit_fail(const struct conf_node *n, struct conf_err *ret_err, const char *what, uint64_t min,
    uint64_t max, const struct conf_unit *units, size_t n_units)
{
	char low[40], high[40];

	conf_unit_text(low, sizeof(low), min, units, n_units);
	conf_unit_text(high, sizeof(high), max, units, n_units);
	if (max == UINT64_MAX)
		return conf_fail(n, ret_err, "%s of at least %s", what, low);
	return conf_fail(n, ret_err, "%s from %s to %s", what, low, high);
}

int
conf_span(const struct conf_node *n, uint64_t min_ns, uint64_t max_ns, uint64_t *ret_ns,
    struct conf_err *ret_err)
{
	static const struct conf_unit units[] = { { "ns", 1 }, { "ms", 1000000u },
		{ "s", 1000000000u }, { "m", 60000000000u }, { "h", 3600000000000u },
		{ "d", 86400000000000u } };
	const char *s = conf_scalar(n);
	uint64_t v;

	if (s == NULL || num_parse_span(s, &v) != 0 || v < min_ns || v > max_ns)
		return conf_unit_fail(n, ret_err, "a time such as 30s, 10m or 8h", min_ns, max_ns,
		    units, sizeof(units) / sizeof(units[0]));
	*ret_ns = v;
	return 0;
}

int
conf_size(const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *ret_bytes,
    struct conf_err *ret_err)
{
	static const struct conf_unit units[] = { { "", 1 }, { "K", 1ull << 10 },
		{ "M", 1ull << 20 }, { "G", 1ull << 30 }, { "T", 1ull << 40 } };
	const char *s = conf_scalar(n);
	uint64_t v;

	if (s == NULL || num_parse_size(s, &v) != 0 || v < min || v > max)
		return conf_unit_fail(n, ret_err, "a size such as 64K, 10M or 2G", min, max, units,
		    sizeof(units) / sizeof(units[0]));
	*ret_bytes = v;
	return 0;
}

int
conf_choice(const struct conf_node *n, const char *const *names, size_t n_names, size_t *ret_i,
    struct conf_err *ret_err)
{
	const char *s = conf_scalar(n);
	char known[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < n_names; i++) {
		if (s != NULL && strcmp(s, names[i]) == 0) {
			*ret_i = i;
			return 0;
		}
		conf_add(known, sizeof(known), &at, "%s%s",
		    i == 0	      ? ""
		    : i + 1 < n_names ? ", "
				      : " or ",
		    names[i]);
	}
	return conf_fail(n, ret_err, "%s", known);
}

int
conf_list(const struct conf_node *n, struct conf_err *ret_err)
{
	return n->type == CONF_LIST ? 0 : conf_fail(n, ret_err, "a list");
}
