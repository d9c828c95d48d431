/*
 * Private key files in OpenSSH's form. The input is what stands between the two lines, before base64, so that no seed looks
 * like a key file; an input that begins with '-' is taken as a whole text instead.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_crypto.h"
#include "keys/keys_import.h"
#include "lib/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret *
text_of(const uint8_t *data, size_t size)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
			  end[] = "\n-----END OPENSSH PRIVATE KEY-----\n";
	struct secret *text = NULL;
	char *base64;
	uint8_t *p;

	if (size > 0 && data[0] == '-') {
		if ((text = secret_new(size)) != NULL)
			memcpy(secret_ptr(text), data, size);
		return text;
	}
	base64 = str_base64(data, size);
	if (base64 != NULL &&
	    (text = secret_new(sizeof(begin) + strlen(base64) + sizeof(end) - 2)) != NULL) {
		p = secret_ptr(text);
		memcpy(p, begin, sizeof(begin) - 1);
		memcpy(p + sizeof(begin) - 1, base64, strlen(base64));
		memcpy(p + sizeof(begin) - 1 + strlen(base64), end, sizeof(end) - 1);
	}
	free(base64);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct secret *text, *private = NULL;
	enum sshkey_type type;
	const char *why = NULL;
	bool locked;
	int r;

	if (!ready && (secret_init() != 0 || keys_crypto_init(&locked) != 0))
		abort();
	ready = true;
	if (size > KEYS_IMPORT_MAX || (text = text_of(data, size)) == NULL)
		return 0;
	r = keys_import_parse(text, NULL, &type, &private, &why);
	if ((r == 0) != (private != NULL) || (r == 0) != (why == NULL))
		abort();
	secret_free(private);
	secret_free(text);
	return 0;
}
