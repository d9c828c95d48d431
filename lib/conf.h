/*
 * The strict YAML loader (libyaml underneath): one document, block or flow style, no anchors, aliases, tags or
 * merge keys, no duplicate keys, no loose numbers or booleans. Every error is one line:
 * "file:line:column: key: what was expected, what was found".
 */
#ifndef BASTION_CONF_H
#define BASTION_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define CONF_FILE_MAX (4u << 20) /* bytes of one file */
#define CONF_DEPTH_MAX 16	 /* nesting */
#define CONF_NODES_MAX 200000	 /* values in one file */

struct conf_doc;
struct conf_node;

enum conf_type { CONF_SCALAR, CONF_LIST, CONF_MAP };

/* The first thing that was wrong; text is complete and escaped. */
struct conf_err {
	char text[512];
};

/*
 * Parse len bytes that came from the file called name (for messages). *ret_doc: owned by caller.
 * 0; ERR_FORMAT with *ret_err filled; -ENOMEM.
 */
int conf_parse(const char *name, const char *data, size_t len, struct conf_doc **ret_doc,
    struct conf_err *ret_err) MUST_CHECK;
void conf_free(struct conf_doc *doc);
const char *conf_name(const struct conf_doc *doc);
const struct conf_node *conf_root(const struct conf_doc *doc); /* NULL: an empty file */

/* What a node is, and what is in it. Borrowed from the doc; i below conf_n(). */
enum conf_type conf_node_type(const struct conf_node *n);
/* Whether nothing stands there, as behind "hosts:" with only comments below. */
bool conf_is_nothing(const struct conf_node *n);
size_t conf_n(const struct conf_node *n); /* entries of a list or map */
const struct conf_node *conf_at(const struct conf_node *n, size_t i);
const char *conf_key_at(const struct conf_node *map, size_t i);
const struct conf_node *conf_key_node_at(
    const struct conf_node *map, size_t i); /* where the key itself stands, for errors */
const struct conf_node *conf_get(
    const struct conf_node *map, const char *key); /* NULL: not there */
/* "users.alice.keys[1]": the way to the node, for messages. Returns dst. */
char *conf_path(const struct conf_node *n, char *dst, size_t size);

/*
 * Fill ret_err with "file:line:column: path: expected <expected_fmt>, found <what is there>" and return ERR_FORMAT.
 * n: a value, or a key from conf_key_node_at(). Texts from outside go into it through str_escape().
 */
int conf_fail(const struct conf_node *n, struct conf_err *ret_err, const char *expected_fmt, ...)
    PRINTF_LIKE(3, 4);

/* 0 when it is a map, whatever its keys; else as conf_list(). */
int conf_map(const struct conf_node *n, struct conf_err *ret_err) MUST_CHECK;

/* A table of the keys that a map may have; anything else is an error that names the nearest known key. */
struct conf_key {
	const char *name;
	bool required;
};
int conf_check_map(const struct conf_node *n, const struct conf_key *keys, size_t n_keys,
    struct conf_err *ret_err) MUST_CHECK;

/* Of words that could stand somewhere, the one that a wrong word is most likely a slip of; NULL: none is close. */
const char *conf_near(const char *wrong, const char *const *words, size_t n);

/* Typed values; n must not be NULL. 0; ERR_FORMAT with *ret_err filled, output untouched. Strings are borrowed from the doc. */
int conf_str(const struct conf_node *n, const char **ret_s, struct conf_err *ret_err) MUST_CHECK;
int conf_bool(
    const struct conf_node *n, bool *ret_v, struct conf_err *ret_err) MUST_CHECK; /* true, false */
int conf_u64(const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *ret_v,
    struct conf_err *ret_err) MUST_CHECK;
int conf_span(const struct conf_node *n, uint64_t min_ns, uint64_t max_ns, uint64_t *ret_ns,
    struct conf_err *ret_err) MUST_CHECK; /* 500ms 30s 10m 8h 400d */
int conf_size(const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *ret_bytes,
    struct conf_err *ret_err) MUST_CHECK; /* 64K 10M 200G */
/* One of the names; *ret_i is its index. */
int conf_choice(const struct conf_node *n, const char *const *names, size_t n_names, size_t *ret_i,
    struct conf_err *ret_err) MUST_CHECK;
int conf_list(
    const struct conf_node *n, struct conf_err *ret_err) MUST_CHECK; /* 0 when it is a list */

#endif
