/*
 * Opening what is sealed, on the auditor's side: key records, session records and blocks as a reader sends them
 * (RD_RECORD, RD_SEALED) become what it would send if it could. The secret key never leaves this process.
 */
#ifndef BASTION_CTL_UNSEAL_H
#define BASTION_CTL_UNSEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/secret.h"

struct unseal;

/* auditor: 32 bytes, an auditor's secret key; borrowed; NULL: none. NULL: out of memory. */
struct unseal *unseal_new(const struct secret *auditor);
void unseal_free(struct unseal *u);

/* A part of RD_RECORD. 0; ERR_LIMIT; -ENOMEM. */
int unseal_record(struct unseal *u, const void *data, size_t len, bool more) MUST_CHECK;
/*
 * A part of RD_BLOCKS of the session whose record came before: what its events tell goes into the JSON that comes behind.
 * 0, also when they cannot be opened; ERR_ORDER no record came; ERR_LIMIT; -ENOMEM.
 */
int unseal_inside(struct unseal *u, const void *data, size_t len, bool more) MUST_CHECK;
/*
 * The JSON that came behind it: with the auditor's key *root is replaced by one in which nothing is missing. 0, also when
 * no record came before or it cannot be opened; ERR_CHAIN, ERR_FORMAT: what came was changed; -ENOMEM.
 */
int unseal_json(struct unseal *u, struct json_node **root) MUST_CHECK;

/*
 * The session of the last RD_RECORD that came for its key (RD_DETAIL_KEY), and that key: borrowed until the next one. 0; ERR_SEALED
 * none came, or not with this auditor's key; ERR_ERASED; ERR_CHAIN, ERR_FORMAT: what came was changed.
 */
struct sess;
int unseal_session(
    const struct unseal *u, const struct sess **ret_s, const uint8_t **ret_key) MUST_CHECK;

struct unseal_events {
	const uint8_t *data; /* borrowed until the next call; len 0: nothing new */
	size_t len;
	uint64_t first_seq, base_ns;
};
/*
 * A part of RD_SEALED. Without more its block is whole and opened: *ret_ev are its events behind those of the block before.
 * 0; ERR_SEALED not with this key (unseal_why() says whose would do); ERR_CHAIN, ERR_FORMAT; ERR_LIMIT; -ENOMEM.
 */
int unseal_block(struct unseal *u, const void *data, size_t len, bool more,
    struct unseal_events *ret_ev) MUST_CHECK;
/* Blocks from elsewhere follow. */
void unseal_seek(struct unseal *u);

/* Why the session does not open, and who can: a line for people. Borrowed. */
const char *unseal_why(const struct unseal *u);

#endif
