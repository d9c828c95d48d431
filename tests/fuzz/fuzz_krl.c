/* Revocation lists: read whole or refused, and asked about a key and a certificate. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/krl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *key = size > 64 ? data + size - 51 : (const uint8_t *)"key";
	size_t key_len = size > 64 ? 51 : 3;
	struct krl_cert c = { (const uint8_t *)"ca", 2, 0, "id" };
	const char *why = NULL;
	struct krl *k = NULL;

	if (krl_parse(data, size, &k, &why) != 0) {
		if (k != NULL || why == NULL)
			abort();
		return 0;
	}
	(void)krl_revoked(k, key, key_len, NULL);
	for (uint64_t serial = 0; serial < 70; serial++) {
		c.serial = serial == 69 ? UINT64_MAX : serial;
		(void)krl_revoked(k, key, key_len, &c);
	}
	if (krl_count(k) == 0 && krl_revoked(k, key, key_len, &c) != NULL)
		abort();
	krl_free(k);
	return 0;
}
