/*
 * Signed notes as C2SP writes them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint): text, an empty
 * line, and lines "<dash> <name> <base64 of 4 bytes key id and the Ed25519 signature>". Other logs'
 * tools read and verify them.
 */
#ifndef BASTION_RECORDER_NOTE_H
#define BASTION_RECORDER_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"

#define NOTE_NAME_MAX 128u  /* bytes of a key name with its NUL */
#define NOTE_VKEY_SIZE 256u /* bytes of a verifier key line with its NUL */
#define NOTE_KEY_LEN 32u
#define NOTE_SIG_LEN 64u
#define NOTE_MAX 65536u /* bytes of a note that is parsed */

/* A verifier key: "name+8 hex digits of the key id+base64(0x01, 32 bytes)". */
struct note_key {
	char name[NOTE_NAME_MAX];
	uint8_t id[4]; /* first bytes of SHA-256(name, newline, 0x01, key) */
	uint8_t key[NOTE_KEY_LEN];
};

/* name: not empty, no space, no plus, printable ASCII. 0; ERR_FORMAT. */
int note_key_init(
    const char *name, const uint8_t key[NOTE_KEY_LEN], struct note_key *ret_key) MUST_CHECK;
/* Parse one line (a trailing newline is allowed). 0; ERR_FORMAT. */
int note_key_parse(const char *line, size_t len, struct note_key *ret_key) MUST_CHECK;
/* The line without newline. Returns dst, of NOTE_VKEY_SIZE bytes. */
char *note_key_text(char *dst, const struct note_key *key);

/* The body of a checkpoint: origin, tree size, root hash. */
struct note_checkpoint {
	char origin[NOTE_NAME_MAX];
	uint64_t size;
	uint8_t root[HASH_LEN];
};

/*
 * Sign text (ends with a newline). secret: 64 bytes as of libsodium. *ret_note: owned by caller,
 * free(). 0; ERR_FORMAT; -ENOMEM.
 */
int note_sign(const char *text, const struct note_key *key, const uint8_t secret[64],
    char **ret_note) MUST_CHECK;
/*
 * Verify that key signed the note; *ret_text_len: bytes of the text in front, its last newline
 * included.
 * 0; ERR_FORMAT not a note; ERR_NOT_FOUND no signature by this name and id; ERR_SIGNATURE one that
 * does not verify.
 */
int note_verify(
    const char *note, size_t len, const struct note_key *key, size_t *ret_text_len) MUST_CHECK;
/*
 * The text of a note, whoever signed it: *ret_text_len bytes from its start, its last newline
 * included. 0; ERR_FORMAT.
 */
int note_text_len(const char *note, size_t len, size_t *ret_text_len) MUST_CHECK;
/*
 * The first of several notes that stand one behind the other, empty lines between them or not;
 * *ret_skip: bytes in front of it. 0; ERR_NOT_FOUND nothing but empty lines is left; ERR_FORMAT.
 */
int note_first(const char *text, size_t len, size_t *ret_skip, size_t *ret_len) MUST_CHECK;
/* "origin\nsize\nbase64 root\n", further lines allowed. 0; ERR_FORMAT. */
int note_checkpoint_parse(
    const char *text, size_t len, struct note_checkpoint *ret_checkpoint) MUST_CHECK;
/* The three lines. 0; ERR_LIMIT. */
int note_checkpoint_text(
    char *dst, size_t size, const struct note_checkpoint *checkpoint) MUST_CHECK;

#endif
