/* Held, erased: the small record beside a session's own. */
#include "config.h"

#include <string.h>

#include "recorder/fate.h"

#define FATE_VERSION 1

static void
put_u64(uint8_t *dst, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		dst[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t
get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

void
fate_encode(const struct fate *fate, uint8_t ret_data[FATE_LEN])
{
	ret_data[0] = FATE_VERSION;
	ret_data[1] = fate->flags;
	put_u64(ret_data + 2, fate->hold_leaf);
	put_u64(ret_data + 10, fate->erase_leaf);
}

int
fate_parse(const uint8_t *data, size_t len, struct fate *ret_fate)
{
	if (len != FATE_LEN || data[0] != FATE_VERSION || (data[1] & ~(unsigned)FATE_FLAGS) != 0)
		return ERR_FORMAT;
	*ret_fate = (struct fate){
		.flags = data[1], .hold_leaf = get_u64(data + 2), .erase_leaf = get_u64(data + 10)
	};
	return 0;
}

int
fate_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct fate *ret_fate)
{
	const uint8_t *data;
	size_t len;
	int r;

	r = store_get(snap, STORE_FATE, sid, REC_SID_LEN, &data, &len);
	if (r == ERR_NOT_FOUND) {
		*ret_fate = (struct fate){ 0 };
		return 0;
	}
	return r != 0 ? r : fate_parse(data, len, ret_fate);
}

int
fate_each(struct store_snap *snap, uint8_t flags,
    int (*fn)(void *arg, const uint8_t sid[REC_SID_LEN], const struct fate *fate), void *arg)
{
	struct store_item item;
	struct store_iter *it;
	struct fate fate;
	int r;

	if ((r = store_iter_new(snap, STORE_FATE, NULL, 0, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0) {
		if (item.key_len != REC_SID_LEN) {
			r = ERR_FORMAT;
			break;
		}
		if ((r = fate_parse(item.data, item.len, &fate)) != 0)
			break;
		if ((fate.flags & flags) == flags && (r = fn(arg, item.key, &fate)) != 0)
			break;
	}
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}
