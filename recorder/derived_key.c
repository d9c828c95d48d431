/* The one place where derived data meets the keys of sessions. */
#include "config.h"

#include <string.h>

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
