/* A document from inside, for those that make it: conf_load.c reads it, conf.c gives it out and writes the messages. */
#ifndef BASTION_CONF_INT_H
#define BASTION_CONF_INT_H

#include "lib/conf.h"

#define CONF_FOUND_SIZE 128 /* bytes of a found value, as a message shows it */
#define CONF_PATH_SIZE 192  /* bytes of a path that a message shows */

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

/* Append to a text of size bytes that may get full: it is cut then, never overrun. *at: its length so far. */
void conf_add(char *dst, size_t size, size_t *at, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* What stands there, for a message: "a list", the quoted text. */
void conf_found(const struct conf_node *n, char *dst, size_t size);
/* Fill err with "file:line:column: path: " and the rest; line and column from 1. The caller returns ERR_FORMAT. */
void conf_say(struct conf_err *err, const char *name, size_t line, size_t column, const char *path,
    const char *fmt, ...) PRINTF_LIKE(6, 7);

#endif
