/*
 * The strict YAML loader: libyaml's events become a tree of scalars, lists and maps that knows where each
 * value stood. Everything that YAML offers beyond that (anchors, tags, merge keys, several documents) is refused.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/conf.h"
#include "lib/conf_int.h"

#define CONF_LIST_FIRST 8 /* entries for which a list or map makes room at first */

/* What a load in progress needs. */
struct conf_load {
	yaml_parser_t parser;
	struct conf_doc *doc;
	struct conf_err *err;
};

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
	char found[CONF_FOUND_SIZE], path[CONF_PATH_SIZE];
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
