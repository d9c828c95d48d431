/*
 * The key that signs heads and checkpoints. It lives in the recorder's locked memory and in one
 * file of its own.
 */
#ifndef BASTION_RECORDER_SIGNER_H
#define BASTION_RECORDER_SIGNER_H

#include "lib/err.h"
#include "lib/secret.h"
#include "recorder/note.h"

struct signer {
	struct note_key key;
	struct secret *secret; /* 64 bytes, as libsodium wants them */
};

/*
 * Load the key from path, or make one called name and write it there (mode 0600) when the file does
 * not exist. The file has one line, "PRIVATE+KEY+name+id+base64", as other tools for signed notes
 * write it. 0, then signer_done(); ERR_FORMAT; -ENOMEM; -errno.
 */
int signer_load(const char *path, const char *name, struct signer *ret_signer) MUST_CHECK;
void signer_done(struct signer *s);
/* Write the verifier key as one line to path, unless that is what it holds already. 0; -errno. */
int signer_export(const struct signer *s, const char *path) MUST_CHECK;

#endif
