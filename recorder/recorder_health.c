/* Space: when new sessions are refused, when running ones are frozen; and the answer to status. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "recorder/recorder.h"

#define STATUS_MAX 16384u /* bytes of the answer to REC_STATUS */

/*
 * Below the first mark new sessions are refused, below the second nothing is read any more: what
 * then still has to be written, ends of sessions, fits in what is left and what the store holds in
 * reserve.
 */
struct mark {
	unsigned per_cent;
	uint64_t at_least, at_most; /* bytes */
};
static const struct mark mark_no_new = { 5, 16ull << 20, 4ull << 30 };
static const struct mark mark_freeze = { 2, 6ull << 20, 1ull << 30 };
/* The store's own address space, likewise. */
static const struct mark map_no_new = { 10, 4ull << 20, 64ull << 30 };
static const struct mark map_freeze = { 5, 2ull << 20, 16ull << 30 };

static uint64_t
mark_bytes(const struct mark *m, uint64_t size)
{
	uint64_t bytes = size / 100 * m->per_cent;

	if (bytes < m->at_least)
		return m->at_least;
	return bytes > m->at_most ? m->at_most : bytes;
}

static bool
below(const struct store_space *s, const struct mark *disk, const struct mark *map)
{
	uint64_t map_free = s->map_bytes > s->file_bytes ? s->map_bytes - s->file_bytes : 0;

	return s->disk_free < mark_bytes(disk, s->disk_size) ||
	       map_free < mark_bytes(map, s->map_bytes);
}

static void
set_frozen(struct recorder *rec, bool frozen)
{
	if (frozen == rec->frozen)
		return;
	rec->frozen = frozen;
	rec->frozen_since_ns = clock_boot_ns();
	log_warn("recorder.%s sessions=%u", frozen ? "frozen" : "thawed", rec->n_legs);
	leg_update_all(rec);
}

/*
 * Frozen for too long: sessions end while there is still room to say so. What their ends would still say is not read, so
 * nobody waits for it.
 */
#define FROZEN_END_NS CLOCK_NS_PER_S

void
recorder_end_frozen(struct recorder *rec)
{
	struct leg *leg;

	if (!rec->frozen || clock_boot_ns() - rec->frozen_since_ns < rec->stall_timeout_ns)
		return;
	TAILQ_FOREACH (leg, &rec->legs, link)
		if (!leg->ending) {
			leg_end(leg, LINK_END_RECORDER,
			    "the session was ended: the bastion's disk is full", "");
			loop_timer_arm(leg->deadline, FROZEN_END_NS);
		}
}

void
recorder_check_space(struct recorder *rec)
{
	char text[RECORDER_TEXT_MAX];
	struct store_space space;
	bool low, empty;
	int r;

	rec->unmeasured = 0;
	if ((r = store_space(chain_store(rec->chain), &space)) != 0) {
		log_warn("recorder.space_unknown reason=\"%s\"", err_str(r));
		return;
	}
	low = below(&space, &mark_no_new, &map_no_new);
	empty = below(&space, &mark_freeze, &map_freeze);
	set_frozen(rec, empty);
	if (!low) {
		recorder_set_health(rec, REC_HEALTH_OK, "");
		return;
	}
	/* Without the figures, which change: the line is sent when it changes. */
	if (str_format(text, sizeof(text),
		"%s: make room on the disk of the recorder's folder, or remove old recordings",
		empty ? "the disk for recordings is full, sessions stand still"
		      : "the disk for recordings is almost full, new sessions are refused") != 0)
		text[sizeof(text) - 1] = '\0';
	recorder_set_health(rec, empty ? REC_HEALTH_FAILED : REC_HEALTH_NO_NEW, text);
}

static const char *
health_name(enum rec_health health)
{
	static const char *const names[] = { "unknown", "ok", "no-new", "failed" };

	return (unsigned)health < 4 ? names[health] : names[0];
}

static void
status_numbers(const struct recorder *rec, struct json *j)
{
	struct store_space space = { 0 };
	struct chain_stats stats;
	size_t i;

	chain_stats(rec->chain, &stats);
	if (store_space(chain_store(rec->chain), &space) != 0)
		space = (struct store_space){ 0 };
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "sessions", rec->n_legs },
		{ "sessions_refused", rec->n_refused },
		{ "violations", rec->n_violations },
		{ "asks", rec->n_asks },
		{ "commits", stats.n_commits },
		{ "commit_p50_ns", commit_times_quantile(&rec->times, 500) },
		{ "commit_p99_ns", commit_times_quantile(&rec->times, 990) },
		{ "events", stats.n_events },
		{ "bytes_in", stats.raw_bytes },
		{ "bytes_stored", stats.stored_bytes },
		{ "bytes_journal", stats.journal_bytes },
		{ "log_size", stats.log_size },
		{ "file_bytes", space.file_bytes },
		{ "map_bytes", space.map_bytes },
		{ "disk_free", space.disk_free },
		{ "disk_size", space.disk_size },
		{ "used_bytes", space.used_bytes },
		{ "kept_bytes", space.used_bytes - space.journal_bytes },
		{ "reader_lag", rec->keep.slowest.lag },
	};

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_put_u64(j, numbers[i].key, numbers[i].value);
}

int
recorder_status(struct recorder *rec, char **ret_text, size_t *ret_len)
{
	struct json *j = json_map();
	int r;

	json_put_str(j, "health", health_name(rec->health));
	json_put_str(j, "health_text", rec->health_text);
	json_put_bool(j, "frozen", rec->frozen);
	json_put_str(j, "durability", rec->durability == STORE_STRICT ? "strict" : "process");
	json_put_str(j, "origin", chain_origin(rec->chain));
	json_put_bool(j, "policy", rec->policy != NULL);
	status_numbers(rec, j);
	keep_status(rec, j);
	r = json_text(j, false, STATUS_MAX, ret_text, ret_len);
	json_free(j);
	return r;
}
