/* The vault file: any bytes are either refused, or were made with the key. The input is opened with a fixed key file. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct secret *unlock;
	struct keys_seal seal = { 0 };
	struct secret *content = NULL;
	enum keys_seal_method method;

	if (unlock == NULL) {
		if (secret_init() != 0 || (unlock = secret_new(32)) == NULL)
			abort();
		memset(secret_ptr(unlock), 'k', 32);
	}
	/* A passphrase costs a quarter of a GiB and most of a second each time. */
	if (keys_seal_read_method(data, size, &method) != 0 || method == KEYS_SEAL_PASSPHRASE)
		return 0;
	if (keys_seal_open(&seal, data, size, unlock, &content) != 0) {
		if (content != NULL || seal.file_key != NULL)
			abort();
		return 0;
	}
	if (secret_len(content) + KEYS_SEAL_HEAD + KEYS_SEAL_TAG != size)
		abort();
	secret_free(content);
	keys_seal_done(&seal);
	return 0;
}
