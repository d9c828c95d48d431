/*
 * User CAs of a small site: the key of each is in the vault (user-ca.NAME), and beside bastiond.yaml lie user-ca.NAME.pub, its
 * public half, and user-ca.NAME.issued, what it has signed, one JSON object a line.
 */
#ifndef BASTION_CTL_CA_H
#define BASTION_CTL_CA_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "bastionctl/cmd.h"
#include "lib/err.h"

#define CA_NAME_MAX 48u		  /* bytes; with the prefix it is the name of a key in the vault */
#define CA_LEDGER_MAX (16u << 20) /* bytes of one .issued file */

struct ca {
	char name[CA_NAME_MAX + 1];
	char key[CA_NAME_MAX + 16]; /* in the vault */
	char pub[PATH_MAX], ledger[PATH_MAX];
};

/* One certificate that was issued, as it stands in the ledger. */
struct ca_issued {
	char *person, *issued_at, *line; /* owned; line: as in a -cert.pub file */
	uint8_t *blob;			 /* owned */
	size_t len;
	char *key_id; /* owned */
	uint64_t serial, after_s, before_s;
};
struct ca_ledger {
	struct ca_issued *v; /* owned */
	size_t n;
};

/* The CA of this name, whether it is there or not. CMD_YES; CMD_USAGE after a line on stderr. */
int ca_named(const struct cmd_ctx *c, const char *name, struct ca *ret_ca) MUST_CHECK;
/* The one that --ca names, or the only one there is. CMD_YES; CMD_USAGE, CMD_NO, CMD_UNSURE after a line on stderr. */
int ca_chosen(const struct cmd_ctx *c, struct ca *ret_ca) MUST_CHECK;
/* All that are there, sorted. *ret_v: owned by caller, free(). CMD_YES; CMD_UNSURE after a line. */
int ca_all(const struct cmd_ctx *c, struct ca **ret_v, size_t *ret_n) MUST_CHECK;

/* What it has issued; none when there is no file. Free with ca_ledger_done(), also after an error. CMD_YES; CMD_UNSURE. */
int ca_ledger_read(const struct ca *ca, struct ca_ledger *ret_ledger) MUST_CHECK;
void ca_ledger_done(struct ca_ledger *l);
/*
 * Nobody else issues until the descriptor is closed. *ret_fd: the ledger, to be appended to. CMD_YES; CMD_UNSURE.
 */
int ca_ledger_lock(const struct ca *ca, int *ret_fd) MUST_CHECK;
/* Durable when it returns. CMD_YES; CMD_UNSURE. */
int ca_ledger_add(int fd, const struct ca *ca, const char *person, const char *line) MUST_CHECK;

/* The line of a .pub or -cert.pub file, "-": stdin. *ret_blob: owned by caller, free(). CMD_YES; CMD_UNSURE after a line. */
int ca_read_key(const char *path, uint8_t **ret_blob, size_t *ret_len) MUST_CHECK;

/* Have a running bastiond read its files again. what: the file that was changed. CMD_YES; else its code, after a line. */
int ca_reload(const struct cmd_ctx *c, const char *what) MUST_CHECK;

#endif
