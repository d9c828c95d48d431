/* Any bytes as a bundle: opened, walked, verified and read like the session of somebody's enemy. */
#include "config.h"

#include <sys/mman.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/hash.h"
#include "lib/secret.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "recorder/store_bundle.h"
#include "recorder/verify_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
found(void *arg, const struct verify_finding *finding)
{
	unsigned *n = arg;

	must(strlen(finding->place) < sizeof(finding->place));
	(*n)++;
}

/* With the key that the bundle names itself, so that the most is looked at. */
static void
verify(struct store_snap *snap)
{
	struct note_key key;
	unsigned n = 0;
	struct verify_conf conf = { .key = &key, .found = found, .arg = &n };
	struct verify_result result;
	const uint8_t *text;
	size_t len;
	int r;

	r = store_get(snap, STORE_META, STORE_META_VKEY, strlen(STORE_META_VKEY), &text, &len);
	if (r != 0 || note_key_parse((const char *)text, len, &key) != 0)
		return;
	r = verify_bundle(snap, &conf, &result);
	must((r == 0) == (n == 0) || (r != 0 && r != ERR_CHAIN));
}

static void
read_session(struct store_snap *snap)
{
	uint8_t sid[REC_SID_LEN];
	struct recording_part part;
	struct recording *rec;
	unsigned sum = 0;
	struct sess s;

	if (bundle_sid(snap, sid) != 0)
		return;
	if (sess_get(snap, sid, &s) == 0)
		sess_done(&s);
	if (recording_open(snap, sid, &rec) != 0)
		return;
	while (recording_next(rec, &part) == 0)
		for (size_t i = 0; i < part.len; i++)
			sum += part.data[i];
	(void)!recording_seek(rec, sum);
	recording_close(rec);
}

static void
walk(struct store_snap *snap)
{
	struct store_item item;
	struct store_iter *it;
	unsigned sum = 0;

	for (unsigned db = 0; db < 70; db++)
		for (int back = 0; back < 2; back++) {
			if (store_iter_new(snap, (enum store_db)db, "\x01", back != 0 ? 1u : 0u,
				back != 0, &it) != 0)
				continue;
			while (store_iter_next(it, &item) == 0)
				for (size_t i = 0; i < item.len; i++)
					sum += item.data[i];
			store_iter_free(it);
		}
	must(sum < UINT32_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct store_snap *snap;
	struct store *store;

	if (fd < 0) {
		must(hash_init() == 0 && secret_init() == 0);
		must((fd = memfd_create("bundle", MFD_CLOEXEC)) >= 0);
		must(snprintf(path, sizeof(path), "/proc/self/fd/%d", fd) > 0);
	}
	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, data, size, 0) == (ssize_t)size);
	if (store_open_bundle(path, &store) != 0)
		return 0;
	must(store_snap_new(store, &snap) == 0);
	walk(snap);
	verify(snap);
	read_session(snap);
	store_snap_free(snap);
	store_close(store);
	return 0;
}
