/* recording.checkpoints: where signed checkpoints are brought, out of reach of whoever can put an old store back. */
#ifndef BASTION_BROKER_SETTINGS_PUSH_H
#define BASTION_BROKER_SETTINGS_PUSH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/conf.h"
#include "lib/err.h"

#define SETTINGS_PUSHES_MAX 4u	    /* places */
#define SETTINGS_PUSH_ARGS 8u	    /* arguments of a command */
#define SETTINGS_PUSH_ARG_SIZE 256u /* bytes of one */

enum settings_push_kind { PUSH_FILE, PUSH_COMMAND, PUSH_URL, PUSH_SYSLOG };

/* No pointers, as struct settings. */
struct settings_push {
	enum settings_push_kind kind;
	char to[PATH_MAX]; /* the file, the program, the URL, the facility */
	char args[SETTINGS_PUSH_ARGS][SETTINGS_PUSH_ARG_SIZE];
	size_t n_args;
	char ca[PATH_MAX], token[PATH_MAX]; /* of a URL; "": none */
	char socket[PATH_MAX];		    /* of syslog */
};

/* "file", "command", "url", "syslog": also the first argument of bastiond-push. Static. */
const char *settings_push_kind(enum settings_push_kind kind);
/* One entry of the list, {KIND: ...}. file: that it stands in. 0; ERR_FORMAT with *ret_err filled. */
int settings_push_take(const char *file, const struct conf_node *n, struct settings_push *ret_push,
    struct conf_err *ret_err) MUST_CHECK;
/* Whether two entries say the same. */
bool settings_push_same(const struct settings_push *a, const struct settings_push *b);

#endif
