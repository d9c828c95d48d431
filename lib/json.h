/*
 * JSON out (audit events on one line, documents for --json) and in (what our own reader says), over jansson,
 * whose header enters in json.c alone. Output is ASCII always, whatever a peer put into a string.
 * Our names avoid jansson's own (json_object, json_array, ...), which are in the same space at link time.
 */
#ifndef BASTION_JSON_H
#define BASTION_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * A map or list under construction. A failure sticks to it and is reported by json_text(), so that a dozen puts
 * are checked once; every put on a NULL is ignored too and then json_text() says -ENOMEM.
 */
struct json;

/* {"event": name}; {}; []. Owned by caller, free with json_free(), or given away with json_put(). NULL: out of memory. */
struct json *json_event(const char *name);
struct json *json_map(void);
struct json *json_list(void);
/* A parsed map or list to go on with. Owned by caller. NULL: out of memory, or n is NULL. */
struct json_node;
struct json *json_from_node(const struct json_node *n);
/* NULL is allowed. */
void json_free(struct json *j);

/* Put a value; in a list key is NULL and the value goes to the end; in a map an earlier value of key is replaced. */

/* Any bytes: what is not UTF-8 becomes U+FFFD, a byte at a time; more than max bytes are cut and "..." follows. */
void json_put_bytes(struct json *j, const char *key, const void *data, size_t len, size_t max);
/* A C string, whole, treated as above. NULL becomes null. */
void json_put_str(struct json *j, const char *key, const char *s);
/* A number; above INT64_MAX decimal text, because no reader of JSON would keep its digits. */
void json_put_u64(struct json *j, const char *key, uint64_t v);
void json_put_bool(struct json *j, const char *key, bool v);
void json_put_null(struct json *j, const char *key);
/* Nanoseconds since 1970 as RFC 3339 text in UTC. */
void json_put_time(struct json *j, const char *key, uint64_t wall_ns);
/* Another map or list. child: taken, also on failure; its failure becomes ours, and NULL counts as out of memory. */
void json_put(struct json *j, const char *key, struct json *child);
/* A copy of a parsed value; NULL becomes null. */
void json_put_node(struct json *j, const char *key, const struct json_node *n);

/*
 * As text with a NUL behind it: one line without spaces, or indented for people, without a newline at its end.
 * *ret_text: owned by caller, free().  0; -ENOMEM; ERR_LIMIT longer than max bytes; ERR_ORDER a put that did not fit.
 */
int json_text(
    const struct json *j, bool pretty, size_t max, char **ret_text, size_t *ret_len) MUST_CHECK;

/*
 * Parse one whole text: strict JSON, duplicate keys refused. *ret_root: owned by caller, free with json_node_free();
 * everything below it is borrowed from it.  0; ERR_FORMAT.
 */
int json_parse(const char *text, size_t len, struct json_node **ret_root) MUST_CHECK;
void json_node_free(struct json_node *root);

/* false for NULL. */
bool json_is_map(const struct json_node *n);
bool json_is_list(const struct json_node *n);
/* A member; NULL when there is none, or n is NULL or no map. */
const struct json_node *json_get(const struct json_node *n, const char *key);
/* Entries of a list, and one of them (NULL behind the end). 0 for anything that is no list. */
size_t json_n(const struct json_node *n);
const struct json_node *json_at(const struct json_node *n, size_t i);
/* Text of a string without NUL inside; fallback for anything else. Borrowed. */
const char *json_str(const struct json_node *n, const char *fallback);
/* A whole number from 0, also as decimal text (json_put_u64()); fallback for anything else. */
uint64_t json_u64(const struct json_node *n, uint64_t fallback);
bool json_bool(const struct json_node *n, bool fallback);
/* One parsed value as text; as json_text(). */
int json_node_text(
    const struct json_node *n, bool pretty, char **ret_text, size_t *ret_len) MUST_CHECK;

#endif
