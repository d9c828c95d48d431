/* For the tests of the vault: folders, other programs, and the messages of a back. */
#ifndef BASTION_TEST_KEYS_HELP_H
#define BASTION_TEST_KEYS_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/secret.h"

/* A new folder (mode 0700) under $TMPDIR, and its end with everything in it. dst: PATH_MAX bytes. */
void help_folder(char *dst);
void help_remove(const char *dir);
/* A C string as a secret. */
struct secret *help_secret(const char *s);
/* Run a program from PATH with these arguments, NULL-terminated, argv[0] first, its output gone. Its exit status; -1: not there. */
int help_run(const char *const *argv);

/* Append: SSH_AGENTC_EXTENSION session-bind@openssh.com; SSH_AGENTC_SIGN_REQUEST of a publickey request. Unframed. */
void help_put_bind(struct buf *b, const void *key, size_t key_len, const void *sid, size_t sid_len,
    const void *sig, size_t sig_len);
struct help_login {
	const char *user, *alg;
	const uint8_t *sid, *key;
	size_t sid_len, key_len;
	uint32_t flags;
};
void help_put_userauth(struct buf *b, const struct help_login *login);
void help_put_sign(struct buf *b, const struct help_login *login);

/* A host with an Ed25519 key: its blob, and its signature blob over a session id. */
struct help_host {
	uint8_t sk[64], blob[51];
};
void help_host_new(struct help_host *h);
#define HELP_HOST_SIG 83u
void help_host_sign(
    const struct help_host *h, const void *sid, size_t len, uint8_t ret_sig[HELP_HOST_SIG]);

#endif
