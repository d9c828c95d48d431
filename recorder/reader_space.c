/* The verb about the store itself: how full it is, and with what. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/fate.h"
#include "recorder/reader.h"
#include "recorder/sess.h"
#include "recorder/store_write.h"

struct tally {
	struct reader *rd;
	uint64_t n_held, n_erased;
	bool has_oldest;
	uint64_t oldest_ns;
};

static int
count_fate(void *arg, const uint8_t sid[REC_SID_LEN], const struct fate *fate)
{
	struct tally *t = arg;

	(void)sid;
	t->n_held += (fate->flags & FATE_HELD) != 0;
	t->n_erased += (fate->flags & FATE_ERASED) != 0;
	return 0;
}

#define FOUND 1

/* The first session that still has its recording. */
static int
find_oldest(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct tally *t = arg;
	struct fate fate;
	int r = fate_get(t->rd->snap, sid, &fate);

	if (r != 0 || (fate.flags & FATE_ERASED) != 0)
		return r;
	t->has_oldest = true;
	t->oldest_ns = opened_wall_ns;
	return FOUND;
}

int
reader_space(struct reader *rd, uint8_t *ret_code)
{
	struct tally t = { .rd = rd };
	struct store_space space;
	uint64_t n_sessions = 0;
	struct json *j;
	int r;

	*ret_code = 0;
	if ((r = store_space(rd->store, &space)) != 0 ||
	    (r = store_count(rd->snap, STORE_SESS, &n_sessions)) != 0 ||
	    (r = fate_each(rd->snap, 0, count_fate, &t)) != 0)
		return r;
	if ((r = sess_each(rd->snap, 0, find_oldest, &t)) != 0 && r != FOUND)
		return r;
	j = json_map();
	json_put_u64(j, "file_bytes", space.file_bytes);
	json_put_u64(j, "used_bytes", space.used_bytes);
	json_put_u64(j, "free_bytes", space.file_bytes - space.used_bytes);
	json_put_u64(j, "kept_bytes", space.used_bytes - space.journal_bytes);
	json_put_u64(j, "journal_bytes", space.journal_bytes);
	json_put_u64(j, "map_bytes", space.map_bytes);
	json_put_u64(j, "disk_free", space.disk_free);
	json_put_u64(j, "disk_size", space.disk_size);
	json_put_u64(j, "sessions", n_sessions);
	json_put_u64(j, "held", t.n_held);
	json_put_u64(j, "erased", t.n_erased);
	if (t.has_oldest)
		json_put_time(j, "oldest", t.oldest_ns);
	else
		json_put_null(j, "oldest");
	return reader_send_json(rd, RD_ITEM, j);
}
