/* SHA-1, which OpenSSH's revocation lists may name keys by. Used for nothing else. */
#ifndef BASTION_SHA1_H
#define BASTION_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20u /* bytes */

/* Ends the process on a library failure: a hash that is wrong would let a revoked key in. */
void sha1_hash(const void *data, size_t len, uint8_t ret_hash[SHA1_LEN]);

#endif
