/*
 * Auditors: people who can open sealed recordings. The bastion has their X25519 public keys only, as lines
 *
 *   auditor-x25519 BASE64 NAME
 *
 * of which BASE64 is of the 32 bytes of the key and NAME is for people: 1 to AUDITOR_NAME_MAX of [A-Za-z0-9._@-].
 */
#ifndef BASTION_AUDITOR_H
#define BASTION_AUDITOR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define AUDITOR_KEY_LEN 32u
#define AUDITOR_NAME_MAX 64u
#define AUDITOR_LINE_SIZE 160u /* bytes of a line with its NUL */
#define AUDITOR_SEAL_LEN 48u   /* bytes that sealing adds (crypto_box_seal) */
#define AUDITORS_MAX 16u       /* of one bastion */
#define AUDITOR_WORD "auditor-x25519"

struct auditor {
	uint8_t key[AUDITOR_KEY_LEN];
	char name[AUDITOR_NAME_MAX + 1];
};
struct auditors {
	struct auditor a[AUDITORS_MAX];
	size_t n;
};

/* One line; a newline at its end and nothing else may follow. 0; ERR_FORMAT. */
int auditor_parse(const char *line, struct auditor *ret_auditor) MUST_CHECK;
/* The line without a newline. Returns dst. */
char *auditor_text(char dst[AUDITOR_LINE_SIZE], const struct auditor *a);
/* Whether a name may be one. */
int auditor_check_name(const char *name) MUST_CHECK; /* 0; ERR_FORMAT */
/* Add one. 0; ERR_EXISTS its key or its name is there; ERR_LIMIT. */
int auditors_add(struct auditors *all, const struct auditor *a) MUST_CHECK;
/* Lines, as the recorder gets them. 0; ERR_FORMAT; ERR_EXISTS; ERR_LIMIT. */
int auditors_parse(const char *lines, struct auditors *ret_all) MUST_CHECK;

#endif
