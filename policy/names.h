/*
 * What people type before the @: "alice", "alice+web1", "root+web1", "alice+web1+2222", "alice+root+web1",
 * "alice+root+web1+2222". A space counts as a plus, because OpenSSH's own ssh:// URIs turn a plus into one. Every name
 * has one reading only: a host name is never all digits, so a last field of digits is a port.
 */
#ifndef BASTION_NAMES_H
#define BASTION_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define NAMES_MAX 255u	      /* bytes of the whole */
#define NAMES_HINT_SIZE 512u  /* bytes of a hint with its NUL */
#define NAMES_FIELD_SIZE 256u /* bytes of a field with its NUL */

enum names_form {
	NAMES_NO_HOST, /* first */
	NAMES_TWO,     /* first+host: first is a login, or an identity that the credential proves */
	NAMES_PORT,    /* first+host+port: first must be proved */
	NAMES_FULL     /* first+login+host or first+login+host+port: first must be proved */
};

struct names {
	enum names_form form;
	char first[NAMES_FIELD_SIZE];
	char login[NAMES_FIELD_SIZE]; /* "" unless NAMES_FULL */
	char host[NAMES_FIELD_SIZE];  /* lower case; "" for NAMES_NO_HOST */
	uint16_t port;		      /* 0: not given */
};

/*
 * name: len bytes as the client sent them. 0; ERR_FORMAT it is no name: ret_hint (NAMES_HINT_SIZE bytes) then says why and, where
 * that can be guessed, how it is spelled right; always printable ASCII.
 */
int names_parse(const void *name, size_t len, struct names *ret_names, char *ret_hint) MUST_CHECK;

/*
 * Behind ssh -J the host has a field of its own, and the whole name is the login there. ret_login: NAMES_FIELD_SIZE bytes. Hints and
 * errors as names_parse().
 */
int names_parse_login(const void *name, size_t len, char *ret_login, char *ret_hint) MUST_CHECK;

/* Somebody writes "root@web1": the two, as they are written here; "" when that would be no name. dst: NAMES_MAX + 1 bytes. */
void names_guess_at(const char *name, char *dst);

/* The grammar of one field, for what a policy file may list. */
bool names_is_user(
    const char *s); /* an identity or a login: letters, digits, . _ - @, not first - . @ */
bool names_is_host(const char
	*s); /* lower case letters, digits, . _ -, not all digits, not first or last . or - */

#endif
