/*
 * A bundle: a read-only store in one file, with one session in it and what proves it. store.c reads
 * it as it reads LMDB. Nothing in it is trusted: every number is compared with the size of the file
 * before it is used, and what the values say is the verifier's to judge (verify_bundle.c).
 *
 *   head     16 bytes "bastiond-bundle" and a newline, u32 version (1)
 *   entries  u8 database (enum store_db), u16 bytes of key, u32 bytes of value, key, value; in strict
 *            order of database and key, one right behind the other
 *   index    u64 offset of each entry, in their order
 *   trailer  u64 offset of the index, u64 number of entries, 32 bytes SHA-256 of everything before
 *            these; it finds a copy that went wrong, and proves nothing
 */
#ifndef BASTION_RECORDER_STORE_BUNDLE_H
#define BASTION_RECORDER_STORE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "recorder/store.h"

#define BUNDLE_VERSION 1u
#define BUNDLE_HEAD_LEN 20u
#define BUNDLE_TRAILER_LEN 48u
#define BUNDLE_ENTRY_LEN 7u		       /* bytes of an entry before its key */
#define BUNDLE_VALUE_MAX (64u << 20)	       /* bytes of one value */
#define BUNDLE_ENTRIES_MAX (UINT64_C(1) << 26) /* entries of a bundle that is written */

struct bundle;

/* An entry; key and data are borrowed as long as the bundle is open. */
struct bundle_entry {
	unsigned db;
	const uint8_t *key, *data;
	size_t key_len, len;
};

/*
 * Open a file. 0; ERR_FORMAT not a bundle, or one that is cut; ERR_VERSION; -errno. *ret_bundle:
 * owned by caller, bundle_close().
 */
int bundle_open(const char *path, struct bundle **ret_bundle) MUST_CHECK;
void bundle_close(struct bundle *b);

/* Number of entries. */
uint64_t bundle_n(const struct bundle *b);
/* Entry at, from 0. 0; ERR_NOT_FOUND behind the last; ERR_FORMAT it does not lie within the file. */
int bundle_at(const struct bundle *b, uint64_t at, struct bundle_entry *ret_entry) MUST_CHECK;
/*
 * Place of the first entry that does not come before (db, key); bundle_n() when all do. 0;
 * ERR_FORMAT.
 */
int bundle_find(const struct bundle *b, unsigned db, const void *key, size_t key_len,
    uint64_t *ret_at) MUST_CHECK;
/* Smaller, equal or greater than 0, in the order of entries. */
int bundle_compare(const struct bundle_entry *a, const struct bundle_entry *b);
/*
 * Read all of it. 0; ERR_CHAIN it is not the bytes that were written; ERR_FORMAT its entries are not
 * in order, or something lies between them; -ENOMEM.
 */
int bundle_check(const struct bundle *b) MUST_CHECK;

/* Writes a bundle from front to back. */
struct bundle_writer;
/* fd: borrowed, empty file. 0; -ENOMEM; -errno. *ret_writer: owned by caller. */
int bundle_writer_new(int fd, struct bundle_writer **ret_writer) MUST_CHECK;
void bundle_writer_free(struct bundle_writer *w);
/* The next entry. 0; ERR_ORDER it does not come after the last; ERR_LIMIT; -ENOMEM; -errno. */
int bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry) MUST_CHECK;
/* Index and trailer. 0, then the file is whole; -errno. */
int bundle_writer_end(struct bundle_writer *w) MUST_CHECK;

#endif
