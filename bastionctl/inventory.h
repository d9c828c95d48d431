/* The hosts section of policy.yaml, edited as text so that comments and order survive. */
#ifndef BASTION_CTL_INVENTORY_H
#define BASTION_CTL_INVENTORY_H

#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"

#define INVENTORY_MAX (4u << 20) /* bytes of policy.yaml */

/*
 * Put a line for a new host (without indentation and line end: "web1: {...}") behind the last host. Makes the section
 * where there is none, also for "hosts: {}". ret_text: an empty buffer of the caller's, filled.
 * 0; ERR_FORMAT the section is written in a way that cannot be extended as text; ERR_LIMIT; -ENOMEM.
 */
int inventory_add(const char *text, size_t len, const char *line, struct buf *ret_text) MUST_CHECK;
/*
 * Set host_keys of a host that stands on one line, "name: {...}", or below its name on lines of its own, to list
 * ("[...]"). Errors as inventory_add(); ERR_NOT_FOUND no such host in the text.
 */
int inventory_pin(const char *text, size_t len, const char *host, const char *list,
    struct buf *ret_text) MUST_CHECK;

#endif
