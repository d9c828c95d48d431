/*
 * What was decided about a session after its record was made: that it is held, that it was erased. The log's leaves are
 * the truth of it (MLOG_HOLD, MLOG_ERASE); this is how a session finds them, and how an erasure that was cut off is found
 * again. In STORE_FATE under the session's id: u8 version (1), u8 flags, u64 hold leaf, u64 erase leaf.
 */
#ifndef BASTION_RECORDER_FATE_H
#define BASTION_RECORDER_FATE_H

#include <stdint.h>

#include "lib/err.h"
#include "recorder/recorder_proto.h"
#include "recorder/store.h"

enum fate_flag {
	FATE_HELD = 1, /* may not be erased */
	FATE_ERASED =
	    2, /* its leaf is in the log; its key is gone, or goes before anything else is done */
	FATE_ERASING = 4, /* with FATE_ERASED: something of its data may still be there */
	FATE_FLAGS = 7
};

struct fate {
	uint8_t flags;
	uint64_t hold_leaf;  /* the last one, held or let go; 0: there was none */
	uint64_t erase_leaf; /* 0: none */
};

/* Of a session that nothing was decided about all is zero. 0; ERR_FORMAT; -errno. */
int fate_get(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct fate *ret_fate) MUST_CHECK;
/*
 * Every session that has all of these flags. fn: 0 goes on, anything else ends the walk and is returned. 0; ERR_FORMAT;
 * -errno.
 */
int fate_each(struct store_snap *snap, uint8_t flags,
    int (*fn)(void *arg, const uint8_t sid[REC_SID_LEN], const struct fate *fate),
    void *arg) MUST_CHECK;

/* The stored form, for the recorder. */
#define FATE_LEN 18u
void fate_encode(const struct fate *fate, uint8_t ret_data[FATE_LEN]);
int fate_parse(const uint8_t *data, size_t len, struct fate *ret_fate) MUST_CHECK;

#endif
