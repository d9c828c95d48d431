/* Keeping what sessions are opened with. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/crypt.h"
#include "recorder/store_keys.h"

void
store_keys_done(struct store_keys *k)
{
	if (!k->slots_borrowed)
		slots_close(k->slots);
	secret_free(k->auditor);
	secret_free(k->live);
	secret_free(k->scratch);
	free(k->dir);
	*k = (struct store_keys){ 0 };
}

uint8_t *
store_keys_scratch(struct store_keys *k)
{
	if (k->scratch == NULL)
		k->scratch = secret_new(CRYPT_KEY_LEN);
	return k->scratch != NULL ? secret_ptr(k->scratch) : NULL;
}

/* A copy in locked memory, in place of what was there. */
static int
keep(struct secret **where, const uint8_t *bytes)
{
	struct secret *s = secret_new(CRYPT_KEY_LEN);

	if (s == NULL)
		return -ENOMEM;
	memcpy(secret_ptr(s), bytes, CRYPT_KEY_LEN);
	secret_free(*where);
	*where = s;
	return 0;
}

int
store_set_auditor(struct store *s, const uint8_t secret[32])
{
	return keep(&store_keys(s)->auditor, secret);
}

int
store_set_live(struct store *s, const uint8_t key[32])
{
	return keep(&store_keys(s)->live, key);
}

const char *
store_keys_why(struct store *s)
{
	return slots_why(store_keys(s)->slots_err);
}
