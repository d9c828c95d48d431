/* Key records as they lie in a store, with the halves beside it. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "recorder/seskey.h"
#include "recorder/store_keys.h"

int
seskey_find(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct seskey *ret_k)
{
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_get(snap, STORE_KEY, sid, REC_SID_LEN, &data, &len)) != 0)
		return r;
	return seskey_parse(data, len, ret_k);
}

/* Opened once, and again while it is not there: a copy may still be under way. */
static int
open_slots(struct store_snap *snap, struct store_keys *keys)
{
	const uint8_t *uuid;
	size_t len;
	int r;

	if (keys->dir == NULL)
		return -ENOENT;
	r = store_get(snap, STORE_META, STORE_META_UUID, strlen(STORE_META_UUID), &uuid, &len);
	if (r != 0)
		return r;
	return len != SLOTS_UUID_LEN ? ERR_FORMAT : slots_open_read(keys->dir, uuid, &keys->slots);
}

int
seskey_fetch(struct store_snap *snap, struct seskey *k)
{
	struct store_keys *keys = store_snap_keys(snap);
	int r = 0;

	if (k->half_is == SESKEY_HERE)
		return 0;
	if (keys->slots == NULL)
		r = open_slots(snap, keys);
	if (r == 0)
		r = slots_read(keys->slots, k->slot, k->half);
	if (r == 0)
		k->half_is = SESKEY_HERE;
	if (r == 0 || r == ERR_ERASED || r == -ENOMEM)
		return r;
	keys->slots_err = r;
	return ERR_KEYS;
}

/* The key of a session that runs, when the record is that session's. */
static bool
take_live(const struct store_keys *keys, const struct seskey *k, uint8_t ret_key[CRYPT_KEY_LEN])
{
	if (keys->live == NULL || k->kind != SESKEY_SEALED ||
	    !seskey_is(k, secret_cptr(keys->live)))
		return false;
	memcpy(ret_key, secret_cptr(keys->live), CRYPT_KEY_LEN);
	return true;
}

int
seskey_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], uint8_t ret_key[CRYPT_KEY_LEN])
{
	const struct store_keys *keys = store_snap_keys(snap);
	struct seskey k;
	int r;

	if ((r = seskey_find(snap, sid, &k)) != 0)
		return r;
	if (k.kind == SESKEY_ERASED)
		r = ERR_ERASED;
	else if (k.kind == SESKEY_SEALED && keys->auditor == NULL)
		r = take_live(keys, &k, ret_key) ? 0 : ERR_SEALED;
	else if ((r = seskey_fetch(snap, &k)) == 0)
		r = seskey_open(
		    &k, sid, keys->auditor != NULL ? secret_cptr(keys->auditor) : NULL, ret_key);
	seskey_done(&k);
	return r;
}

int
seskey_portable(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct buf *out)
{
	struct seskey k;
	int r;

	if ((r = seskey_find(snap, sid, &k)) != 0)
		return r;
	if (k.kind == SESKEY_ERASED || (r = seskey_fetch(snap, &k)) == 0)
		r = seskey_put(out, &k);
	seskey_done(&k);
	return r;
}
