/* Session ids that were signed for or bound lately: each may come up once, in whatever role. */
#ifndef BASTION_KEYS_SEEN_H
#define BASTION_KEYS_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define KEYS_SEEN_SETS 16384u /* sets of the table; a power of two */
#define KEYS_SEEN_WAYS 4u     /* ids in one set, the oldest gives way: 65,536 ids, 1 MiB */

struct keys_seen;

/* NULL: out of memory. */
struct keys_seen *keys_seen_new(void);
void keys_seen_free(struct keys_seen *s);
/* Remember an id. false: it was there already. */
bool keys_seen_add(struct keys_seen *s, const uint8_t *id, size_t len);

#endif
