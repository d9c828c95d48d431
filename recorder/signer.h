/*
 * The key that signs heads and checkpoints. It lives in the recorder's locked memory and in one
 * file of its own. It is replaced once an epoch, and its bytes are then wiped, so that whoever takes
 * the machine today cannot sign in the name of yesterday.
 *
 * The file has two slots of SIGNER_SLOT_LEN bytes, each on pages of its own. A slot begins with one
 * line, "PRIVATE+KEY+name+id+base64", as other tools for signed notes write it; the rest is
 * newlines, as is all of a slot without key. Rolling over, the recorder
 *   1. writes the new key into the other slot and syncs it           signer_prepare()
 *   2. puts a KEY leaf, new heads and a new checkpoint into the store, in one commit, and syncs that
 *   3. overwrites the old key's slot and syncs it                    signer_settle()
 * Whenever it dies in between, the checkpoint of the store says which of the two keys is in force.
 */
#ifndef BASTION_RECORDER_SIGNER_H
#define BASTION_RECORDER_SIGNER_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/secret.h"
#include "recorder/note.h"

#define SIGNER_SLOTS 2u
#define SIGNER_SLOT_LEN 4096u

struct signer {
	struct note_key key;   /* in force */
	struct secret *secret; /* 64 bytes, as libsodium wants them */
	/* a second key: the one that follows, or, after signer_swap(), the one that went before */
	struct note_key other_key;
	struct secret *other; /* NULL: there is none */
	unsigned slot;	      /* of the key in force */
	bool unsettled;	      /* the other slot is not known to be empty */
	int fd;		      /* the file; a signer without secret has none */
};

/*
 * Load the key from path, or make one called name and write it there (mode 0600) when the file does
 * not exist. When it holds two, one of them is in force and the other one is other. The file stays
 * open, because nothing can be opened later. 0, then signer_done(); ERR_FORMAT; -ENOMEM; -errno.
 */
int signer_load(const char *path, const char *name, struct signer *ret_signer) MUST_CHECK;
void signer_done(struct signer *s);

/*
 * Make the key that follows, by the same name, and have it on disk before it is used. 0;
 * ERR_ORDER there is another key already; -ENOMEM; -errno.
 */
int signer_prepare(struct signer *s) MUST_CHECK;
/* The other key, which exists, is in force from here on. */
void signer_swap(struct signer *s);
/*
 * Forget the other key: its slot is overwritten in place and synced, its memory wiped. Also clears a
 * slot that a crash left half written. 0, also when there is none; -errno: it may still be there.
 */
int signer_settle(struct signer *s) MUST_CHECK;

/* Write a verifier key as one line to path, unless that is what it holds already. 0; -errno. */
int signer_export(const struct note_key *key, const char *path) MUST_CHECK;

#endif
