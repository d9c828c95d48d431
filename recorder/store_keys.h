/* What a store was given to open its sessions with: for store.c, which keeps it, and seskey.c, which uses it. */
#ifndef BASTION_RECORDER_STORE_KEYS_H
#define BASTION_RECORDER_STORE_KEYS_H

#include <stdbool.h>

#include "lib/secret.h"
#include "recorder/slots.h"
#include "recorder/store.h"

struct store_keys {
	char *dir;		       /* of the store; owned; NULL: there is none */
	struct slots *slots;	       /* NULL: not opened yet, or see slots_err */
	bool slots_borrowed;	       /* they are the writer's */
	int slots_err;		       /* of the last attempt to open them, or of reading a slot */
	struct secret *auditor, *live; /* 32 bytes each, or NULL */
	struct secret *scratch;	       /* of store_keys_scratch(); NULL: not yet */
};

/* Those of the store that a snapshot is of. */
struct store_keys *store_snap_keys(const struct store_snap *snap);
struct store_keys *store_keys(struct store *s);
void store_keys_done(struct store_keys *k);
/* 32 locked bytes to open one session with: making them anew for each costs more than the rest. Borrowed; wipe them. NULL: -ENOMEM. */
uint8_t *store_keys_scratch(struct store_keys *k);

#endif
