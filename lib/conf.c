/*
 * The strict YAML loader: libyaml's events become a tree of scalars, lists and maps that knows where each
 * value stood. Everything that YAML offers beyond that (anchors, tags, merge keys, several documents) is refused.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/conf.h"
#include "lib/num.h"
#include "lib/str.h"

#define CONF_FOUND_SIZE 96 /* bytes of a value that a message shows */
#define CONF_PATH_SIZE 192 /* bytes of a path that a message shows */
#define CONF_NAME_SIZE 160 /* bytes of a file name that a message shows */
#define CONF_NEAR_MAX 40   /* bytes of a key that is compared with known ones */
#define CONF_LIST_FIRST 8  /* entries for which a list or map makes room at first */

struct conf_node {
	struct conf_node *next; /* all nodes of the document, for conf_free() */
	const struct conf_doc *doc;
	const struct conf_node *parent; /* NULL: the root */
	size_t index;			/* place in the parent */
	size_t line, column;		/* from 1 */
	enum conf_type type;
	bool is_key;
	bool plain;		 /* a scalar without quotes */
	struct conf_node **keys; /* a map's; owned by the document */
	struct conf_node **kids;
	size_t *sorted; /* a finished map's entries in the order of their keys */
	size_t n, size;
	char text[]; /* a scalar's */
};

struct conf_doc {
	char *name;
	struct conf_node *all;
	const struct conf_node *root;
	size_t n_nodes;
};

/* What a load in progress needs. */
struct conf_load {
	yaml_parser_t parser;
	struct conf_doc *doc;
	struct conf_err *err;
};

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

/* Append to a text that may get full: it is cut then, never overrun. */
static void PRINTF_LIKE(4, 5) conf_add(char *dst, size_t size, size_t *at, const char *fmt, ...)
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
	char key[CONF_FOUND_SIZE];
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

/* "file:line:column: path: " and the rest. The caller returns ERR_FORMAT. */
static void PRINTF_LIKE(6, 7) conf_say(struct conf_err *err, const char *name, size_t line,
    size_t column, const char *path, const char *fmt, ...)
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

static void
conf_found(const struct conf_node *n, char *dst, size_t size)
{
	char text[CONF_FOUND_SIZE];
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
	char path[CONF_PATH_SIZE], expected[256], found[CONF_FOUND_SIZE + 32];
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

/* Loading. */

static int
conf_load_fail(
    struct conf_load *l, const struct conf_node *near, const yaml_mark_t *mark, const char *text)
{
	char path[CONF_PATH_SIZE] = "";

	if (near != NULL)
		conf_path(near, path, sizeof(path));
	conf_say(l->err, l->doc->name, mark->line + 1, mark->column + 1, path, "%s", text);
	return ERR_FORMAT;
}

/* libyaml's reader gives the place of a bad byte as an offset only. */
static void
conf_mark_offset(struct conf_load *l, yaml_mark_t *mark)
{
	const unsigned char *data = l->parser.input.string.start;
	size_t end = l->parser.problem_offset;

	*mark = (yaml_mark_t){ 0 };
	for (size_t i = 0; i < end && data + i < l->parser.input.string.end; i++) {
		mark->column++;
		if (data[i] == '\n') {
			mark->line++;
			mark->column = 0;
		}
	}
}

static int
conf_next(struct conf_load *l, yaml_event_t *ret_ev)
{
	yaml_mark_t mark;
	char text[160];
	size_t at = 0;

	if (yaml_parser_parse(&l->parser, ret_ev) == 1)
		return 0;
	if (l->parser.error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	mark = l->parser.problem_mark;
	if (l->parser.error == YAML_READER_ERROR)
		conf_mark_offset(l, &mark);
	conf_add(text, sizeof(text), &at, "not valid YAML: %s",
	    l->parser.problem != NULL ? l->parser.problem : "no reason given");
	if (l->parser.context != NULL)
		conf_add(text, sizeof(text), &at, " (%s)", l->parser.context);
	return conf_load_fail(l, NULL, &mark, text);
}

static struct conf_node *
conf_node_new(struct conf_load *l, const struct conf_node *parent, enum conf_type type,
    const yaml_mark_t *mark, size_t text_len)
{
	struct conf_node *n = calloc(1, sizeof(*n) + text_len + 1);

	if (n == NULL)
		return NULL;
	n->doc = l->doc;
	n->parent = parent;
	n->index = parent != NULL ? parent->n : 0;
	n->line = mark->line + 1;
	n->column = mark->column + 1;
	n->type = type;
	n->next = l->doc->all;
	l->doc->all = n;
	return n;
}

static int
conf_make_room(struct conf_node *n)
{
	size_t size = n->size == 0 ? CONF_LIST_FIRST : n->size * 2;
	struct conf_node **p;

	if (n->n < n->size)
		return 0;
	if ((p = reallocarray(n->kids, size, sizeof(struct conf_node *))) == NULL)
		return -ENOMEM;
	n->kids = p;
	if (n->type == CONF_MAP) {
		if ((p = reallocarray(n->keys, size, sizeof(struct conf_node *))) == NULL)
			return -ENOMEM;
		n->keys = p;
	}
	n->size = size;
	return 0;
}

/* NUL would cut the text, other control characters have no business in a configuration. */
static bool
conf_has_control(const unsigned char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((s[i] < 0x20 && s[i] != '\t' && s[i] != '\n') || s[i] == 0x7f)
			return true;
	return false;
}

static int
conf_load_scalar(struct conf_load *l, const struct conf_node *parent, const yaml_event_t *ev,
    struct conf_node **ret_n)
{
	const unsigned char *value = ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct conf_node *n = conf_node_new(l, parent, CONF_SCALAR, &ev->start_mark, len);

	if (n == NULL)
		return -ENOMEM;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (conf_has_control(value, len))
		return conf_load_fail(
		    l, NULL, &ev->start_mark, "expected text, found control characters in it");
	memcpy(n->text, value, len);
	*ret_n = n;
	return 0;
}

static int conf_load_value(struct conf_load *l, const struct conf_node *parent, yaml_event_t *ev,
    unsigned depth, struct conf_node **ret_n);

static int
conf_load_list(struct conf_load *l, struct conf_node *list, unsigned depth)
{
	for (;;) {
		yaml_event_t ev;
		int r = conf_next(l, &ev);

		if (r != 0)
			return r;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		if ((r = conf_make_room(list)) == 0)
			r = conf_load_value(l, list, &ev, depth, &list->kids[list->n]);
		yaml_event_delete(&ev);
		if (r != 0)
			return r;
		list->n++;
	}
}

static int
conf_load_key(struct conf_load *l, struct conf_node *map, const yaml_event_t *ev)
{
	struct conf_node *key;
	int r;

	if (ev->type != YAML_SCALAR_EVENT)
		return conf_load_fail(l, map, &ev->start_mark,
		    ev->type == YAML_ALIAS_EVENT ? "expected a key, found an alias"
						 : "expected a key, found a list or map");
	if (ev->data.scalar.anchor != NULL || ev->data.scalar.tag != NULL)
		return conf_load_fail(
		    l, map, &ev->start_mark, "expected a key, found an anchor or tag");
	if ((r = conf_load_scalar(l, map, ev, &key)) != 0)
		return r;
	if (key->text[0] == '\0')
		return conf_load_fail(l, map, &ev->start_mark, "expected a key, found nothing");
	if (key->plain && strcmp(key->text, "<<") == 0)
		return conf_load_fail(l, map, &ev->start_mark, "expected a key, found a merge key");
	key->is_key = true;
	map->keys[map->n] = key;
	return 0;
}

static int
conf_sort_keys(const void *a, const void *b, void *arg)
{
	const struct conf_node *map = arg;
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	int order = strcmp(map->keys[i]->text, map->keys[j]->text);

	return order != 0 ? order : i < j ? -1 : i > j;
}

/* Sort the finished map's keys for conf_get(); the first that stands there a second time is an error. */
static int
conf_index_map(struct conf_load *l, struct conf_node *map)
{
	size_t again = SIZE_MAX, first = 0;
	char found[CONF_FOUND_SIZE + 32], path[CONF_PATH_SIZE];
	const struct conf_node *key;

	if (map->n == 0)
		return 0;
	if ((map->sorted = calloc(map->n, sizeof(*map->sorted))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < map->n; i++)
		map->sorted[i] = i;
	qsort_r(map->sorted, map->n, sizeof(*map->sorted), conf_sort_keys, map);
	for (size_t i = 1; i < map->n; i++) {
		size_t a = map->sorted[i - 1], b = map->sorted[i];

		if (strcmp(map->keys[a]->text, map->keys[b]->text) == 0 && b < again) {
			again = b;
			first = a;
		}
	}
	if (again == SIZE_MAX)
		return 0;
	key = map->keys[again];
	conf_found(key, found, sizeof(found));
	conf_say(l->err, l->doc->name, key->line, key->column, conf_path(key, path, sizeof(path)),
	    "expected each key once, found %s again (first on line %zu)", found,
	    map->keys[first]->line);
	return ERR_FORMAT;
}

static int
conf_load_map(struct conf_load *l, struct conf_node *map, unsigned depth)
{
	for (;;) {
		yaml_event_t ev;
		int r = conf_next(l, &ev);

		if (r != 0)
			return r;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			return conf_index_map(l, map);
		}
		if ((r = conf_make_room(map)) == 0)
			r = conf_load_key(l, map, &ev);
		yaml_event_delete(&ev);
		if (r != 0 || (r = conf_next(l, &ev)) != 0)
			return r;
		r = conf_load_value(l, map, &ev, depth, &map->kids[map->n]);
		yaml_event_delete(&ev);
		if (r != 0)
			return r;
		map->n++;
	}
}

/* What YAML allows at a value and we do not; NULL when there is nothing of the kind. */
static const char *
conf_refused(const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_ALIAS_EVENT)
		return "expected a value, found an alias";
	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor != NULL)
		return "expected a value, found an anchor";
	return tag != NULL ? "expected a value, found a tag" : NULL;
}

/* A place for messages about a value that will not become a node: the list or map entry that it would have been. */
static int
conf_refuse_value(
    struct conf_load *l, const struct conf_node *parent, const yaml_event_t *ev, const char *text)
{
	struct conf_node *n = conf_node_new(l, parent, CONF_SCALAR, &ev->start_mark, 0);

	return n == NULL ? -ENOMEM : conf_load_fail(l, n, &ev->start_mark, text);
}

/* One value, whose first event was taken already. ev: stays the caller's. */
static int
conf_load_value(struct conf_load *l, const struct conf_node *parent, yaml_event_t *ev,
    unsigned depth, struct conf_node **ret_n)
{
	const char *refused = conf_refused(ev);
	bool list = ev->type == YAML_SEQUENCE_START_EVENT;
	struct conf_node *n;
	int r;

	if (refused == NULL && ++l->doc->n_nodes > CONF_NODES_MAX)
		refused = "expected fewer values in one file, found too many";
	if (refused == NULL && depth > CONF_DEPTH_MAX)
		refused = "expected less nesting, found too much";
	if (refused != NULL)
		return conf_refuse_value(l, parent, ev, refused);
	if (ev->type == YAML_SCALAR_EVENT)
		return conf_load_scalar(l, parent, ev, ret_n);
	n = conf_node_new(l, parent, list ? CONF_LIST : CONF_MAP, &ev->start_mark, 0);
	if (n == NULL)
		return -ENOMEM;
	r = list ? conf_load_list(l, n, depth + 1) : conf_load_map(l, n, depth + 1);
	if (r == 0)
		*ret_n = n;
	return r;
}

/* From the first DOCUMENT-START to the DOCUMENT-END; ev holds the start. */
static int
conf_load_document(struct conf_load *l, const yaml_event_t *start)
{
	struct conf_node *root = NULL;
	yaml_event_t ev;
	int r;

	if (start->data.document_start.version_directive != NULL ||
	    start->data.document_start.tag_directives.start !=
		start->data.document_start.tag_directives.end)
		return conf_load_fail(
		    l, NULL, &start->start_mark, "expected a document, found a directive");
	if ((r = conf_next(l, &ev)) != 0)
		return r;
	r = conf_load_value(l, NULL, &ev, 1, &root);
	yaml_event_delete(&ev);
	if (r != 0)
		return r;
	/* A file of comments, or "---" alone, is empty. */
	if (root != NULL && !conf_is_nothing(root))
		l->doc->root = root;
	if ((r = conf_next(l, &ev)) != 0)
		return r;
	yaml_event_delete(&ev);
	return 0;
}

static int
conf_load_stream(struct conf_load *l)
{
	unsigned n_documents = 0;

	for (;;) {
		yaml_event_t ev;
		yaml_event_type_t type;
		int r = conf_next(l, &ev);

		if (r != 0)
			return r;
		type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT && ++n_documents > 1)
			r = conf_load_fail(l, NULL, &ev.start_mark,
			    "expected one document in the file, found another");
		else if (type == YAML_DOCUMENT_START_EVENT)
			r = conf_load_document(l, &ev);
		yaml_event_delete(&ev);
		if (r != 0 || type == YAML_STREAM_END_EVENT)
			return r;
	}
}

int
conf_parse(const char *name, const char *data, size_t len, struct conf_doc **ret_doc,
    struct conf_err *ret_err)
{
	struct conf_load l = { .err = ret_err };
	int r = -ENOMEM;

	if (len > CONF_FILE_MAX) {
		conf_say(ret_err, name, 1, 1, "", "expected at most %u bytes, found %zu",
		    CONF_FILE_MAX, len);
		return ERR_FORMAT;
	}
	if ((l.doc = calloc(1, sizeof(*l.doc))) == NULL)
		return -ENOMEM;
	if ((l.doc->name = strdup(name)) == NULL || yaml_parser_initialize(&l.parser) != 1)
		goto out;
	yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.parser, (const unsigned char *)data, len);
	r = conf_load_stream(&l);
	yaml_parser_delete(&l.parser);
	if (r == 0) {
		*ret_doc = l.doc;
		l.doc = NULL;
	}
out:
	conf_free(l.doc);
	return r;
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
	if (best <= 1 + strlen(key->text) / 4)
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
