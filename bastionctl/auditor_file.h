/*
 * An auditor's secret key in a file, one line of text:
 *
 *   bastion-auditor-secret-v1 BASE64 NAME
 *
 * BASE64 is of: u8 method; 0: the 32 bytes of the X25519 key; 1: u32 opslimit, u64 memlimit, 16 bytes salt (Argon2id of a
 * passphrase), 24 bytes nonce, and the key sealed with that (XChaCha20-Poly1305, what stands before it and the name
 * associated).
 */
#ifndef BASTION_CTL_AUDITOR_FILE_H
#define BASTION_CTL_AUDITOR_FILE_H

#include <stdbool.h>

#include "lib/auditor.h"
#include "lib/err.h"
#include "lib/secret.h"

#define AUDITOR_FILE_MAX 512u	   /* bytes */
#define AUDITOR_PASSPHRASE_MIN 12u /* bytes of a new passphrase */

/* A new key. *ret_key: 32 bytes, owned by caller; ret_auditor: its public half, with this name. 0; -ENOMEM. */
int auditor_key_new(
    const char *name, struct secret **ret_key, struct auditor *ret_auditor) MUST_CHECK;
/* The line, with its newline, for a file. phrase: a C string, or NULL: not protected. dst: AUDITOR_FILE_MAX bytes. 0; -ENOMEM. */
int auditor_key_text(const struct secret *key, const char *name, const struct secret *phrase,
    struct secret **ret_text) MUST_CHECK;
/* Whether a passphrase opens it. 0; ERR_FORMAT no such line; ERR_VERSION. */
int auditor_key_is_protected(const char *text, bool *ret_protected) MUST_CHECK;
/*
 * The key and its public half. phrase: ignored when it is not protected. 0; ERR_DENIED the passphrase does not fit, or the
 * file was changed; ERR_FORMAT; ERR_VERSION; -ENOMEM.
 */
int auditor_key_parse(const char *text, const struct secret *phrase, struct secret **ret_key,
    struct auditor *ret_auditor) MUST_CHECK;

#endif
