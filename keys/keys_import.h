/* Private key files that people have: OpenSSH's own format, and PEM through OpenSSL. */
#ifndef BASTION_KEYS_IMPORT_H
#define BASTION_KEYS_IMPORT_H

#include "lib/err.h"
#include "lib/secret.h"
#include "lib/sshkey.h"

#define KEYS_IMPORT_MAX (64u * 1024) /* bytes of a private key file */

/*
 * Read a whole regular file into locked memory. fd: borrowed. *ret_text: owned by caller.
 * 0; ERR_FORMAT not a regular file, or empty; ERR_LIMIT; -ENOMEM; -errno.
 */
int keys_import_read(int fd, struct secret **ret_text) MUST_CHECK;

/*
 * The private key in a file's text. passphrase: NULL for none. *ret_private: owned by caller, form as of keys_crypto.h.
 * 0; ERR_FORMAT; ERR_DENIED passphrase needed or wrong; ERR_VERSION a kind of key or file that is not used here;
 * ERR_LIMIT; -ENOMEM; each failure but the last with *ret_why, a static line that says what to do.
 */
int keys_import_parse(const struct secret *text, const struct secret *passphrase,
    enum sshkey_type *ret_type, struct secret **ret_private, const char **ret_why) MUST_CHECK;

#endif
