/* Before a sandbox closes: what OpenSSL would open or compute on first use. */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "bastiond/ssh/wire_priv.h"

int
wire_init(void)
{
	uint8_t first[16];
	int r = wire_libssh_init();

	if (r != 0)
		return r;
	/* Its configuration file is the only one; the generator brings the providers with it. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1 ||
	    RAND_bytes(first, sizeof(first)) != 1)
		return ERR_CRYPTO;
	return 0;
}
