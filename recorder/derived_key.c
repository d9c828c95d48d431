/* The one place where derived data meets the keys of sessions. */
#include "config.h"

#include <string.h>

#include <sodium.h>

#include "recorder/crypt.h"
#include "recorder/derived_part.h"
#include "recorder/seskey.h"

int
derived_key_get(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct derived_key *ret_key)
{
	memset(ret_key, 0, sizeof(*ret_key));
	memcpy(ret_key->sid, sid, REC_SID_LEN);
	return seskey_get(snap, sid, ret_key->key);
}

void
derived_key_done(struct derived_key *k)
{
	sodium_memzero(k, sizeof(*k));
}

int
derived_wrap(const struct derived_key *k, const void *p, size_t len, struct buf *out)
{
	return crypt_put(k->key, k->sid, CRYPT_DERIVED, p, len, out);
}

int
derived_unwrap(const struct derived_key *k, const void *p, size_t len, struct buf *out)
{
	return crypt_get(k->key, k->sid, CRYPT_DERIVED, p, len, out);
}
