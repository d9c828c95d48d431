/* What a back asks to have signed, and what it shows as proof: the two checks, on any bytes. First byte: which one. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "keys/keys_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The grant that the seeds fit. */
static const uint8_t key[] = "\0\0\0\13ssh-ed25519\0\0\0\4pppp";
static const uint8_t session_id[] = "0123456789abcdef0123456789abcdef";

static void
sign(const uint8_t *data, size_t size)
{
	const struct keys_grant grant = { .login = "root",
		.key_type = SSHKEY_ED25519,
		.key = key,
		.key_len = sizeof(key) - 1,
		.session_id = session_id,
		.session_id_len = 32 };
	const uint8_t *tbs = NULL;
	const char *alg = NULL, *why = NULL;
	size_t len = 0;

	if (keys_check_sign(&grant, data, size, &tbs, &len, &alg, &why) != 0) {
		if (why == NULL || tbs != NULL)
			abort();
		return;
	}
	/* There is one request that fits: its length tells that nothing hides in it. */
	if (len != 4 + 32 + 1 + 4 + 4 + 4 + 14 + 4 + 9 + 1 + 4 + 11 + 4 + sizeof(key) - 1)
		abort();
}

static void
bind(const uint8_t *data, size_t size)
{
	struct keys_bind b = { 0 };
	const char *why = NULL;

	if (keys_check_bind(data, size, &b, &why) == 0 &&
	    b.host_key_len + b.session_id_len + b.sig_len + 3 * 4 + 1 != size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 's')
		sign(data + 1, size - 1);
	else if (size > 0)
		bind(data + 1, size - 1);
	return 0;
}
