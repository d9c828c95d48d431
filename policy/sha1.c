/* SHA-1 through OpenSSL. */
#include "config.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "lib/log.h"
#include "policy/sha1.h"

void
sha1_hash(const void *data, size_t len, uint8_t ret_hash[SHA1_LEN])
{
	unsigned n = 0;

	if (EVP_Digest(data, len, ret_hash, &n, EVP_sha1(), NULL) != 1 || n != SHA1_LEN) {
		log_err("hash.failed what=sha1 do=\"check the OpenSSL installation\"");
		abort();
	}
}
