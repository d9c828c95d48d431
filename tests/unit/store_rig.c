#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "tests/unit/store_rig.h"

void
rig_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[512];

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(str_format(path, sizeof(path), "%s/%s", dir, entry->d_name), 0);
		(void)unlink(path);
	}
	closedir(d);
	(void)rmdir(dir);
}

void
rig_seal(struct rig *rig, uint8_t ret_secret[AUDITOR_KEY_LEN])
{
	static struct auditors one;
	struct auditor a = { .name = "anna" };

	assert_int_equal(secret_init(), 0);
	assert_int_equal(crypto_box_keypair(a.key, ret_secret), 0);
	one.n = 0;
	assert_int_equal(auditors_add(&one, &a), 0);
	rig->auditors = &one;
}

void
rig_no_trace(const char *dir, const void *bytes, size_t len)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[512], *file;
	size_t size;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(str_format(path, sizeof(path), "%s/%s", dir, entry->d_name), 0);
		assert_int_equal(file_read(path, 64u << 20, &file, &size), 0);
		if (memmem(file, size, bytes, len) != NULL)
			fail_msg("%s has what no file may have", entry->d_name);
		free(file);
	}
	closedir(d);
}

void
rig_open(struct rig *rig)
{
	struct chain_conf conf = {
		.store = { .dir = rig->dir,
		    .map_size = rig->map_size,
		    .durability = rig->durability != 0 ? rig->durability : STORE_STRICT },
		.signer = &rig->signer,
		.origin = "bastiond/test",
		.journal_keep = rig->journal_keep,
		.auditors = rig->auditors,
	};

	assert_int_equal(chain_open(&conf, &rig->chain, &rig->recovery), 0);
}

int
rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(rig);
	assert_int_equal(secret_init(), 0);
	(void)snprintf(
	    rig->dir, sizeof(rig->dir), "%.80s/bastion-rig.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(rig->dir));
	(void)snprintf(rig->key_path, sizeof(rig->key_path), "%s/sign.key", rig->dir);
	assert_int_equal(signer_load(rig->key_path, "bastiond/test", &rig->signer), 0);
	rig->map_size = 64u << 20;
	rig_open(rig);
	*state = rig;
	return 0;
}

int
rig_teardown(void **state)
{
	struct rig *rig = *state;

	rig_close(rig);
	signer_done(&rig->signer);
	rig_remove(rig->dir);
	free(rig);
	return 0;
}

void
rig_close(struct rig *rig)
{
	chain_close(rig->chain);
	rig->chain = NULL;
}

void
rig_commit(struct rig *rig)
{
	assert_int_equal(chain_commit(rig->chain, false), 0);
}

void
rig_crash(struct rig *rig)
{
	rig_commit(rig);
	rig_close(rig);
}

size_t
rig_meta(uint8_t dst[256])
{
	static const struct {
		enum rec_meta tag;
		const char *text;
	} meta[] = {
		{ REC_META_IDENTITY, "alice" },
		{ REC_META_LOGIN, "root" },
		{ REC_META_HOST, "web1" },
		{ REC_META_SOURCE, "192.0.2.7 50022" },
		{ REC_META_RULE, "sre" },
	};
	struct buf *b = buf_new(256);
	size_t len;

	assert_non_null(b);
	for (size_t i = 0; i < sizeof(meta) / sizeof(meta[0]); i++) {
		assert_int_equal(buf_put_u8(b, (uint8_t)meta[i].tag), 0);
		assert_int_equal(buf_put_cstr(b, meta[i].text), 0);
	}
	len = buf_len(b);
	memcpy(dst, buf_ptr(b), len);
	buf_free(b);
	return len;
}

struct session *
rig_session(struct rig *rig)
{
	uint8_t meta[256];
	size_t len = rig_meta(meta);
	struct session *s;

	assert_int_equal(session_open(rig->chain, 3, 4, meta, len, &s), 0);
	return s;
}

void
rig_data(struct session *s, unsigned n, size_t len)
{
	uint8_t data[LINK_DATA_MAX];

	assert_true(len >= 8 && len <= sizeof(data));
	for (unsigned i = 0; i < n; i++) {
		for (size_t j = 0; j < len; j++)
			data[j] = (uint8_t)(j * 31 + i * 7);
		(void)snprintf((char *)data, 8, "%07u", i % 10000000);
		assert_int_equal(session_append(s, EVENT_BACK, LINK_DATA, 1, data, len), 0);
	}
}

void
rig_closed(struct rig *rig, unsigned n, size_t len, uint8_t ret_sid[REC_SID_LEN])
{
	struct session *s = rig_session(rig);

	memcpy(ret_sid, session_sid(s), REC_SID_LEN);
	rig_data(s, n, len);
	assert_int_equal(session_close(s, LINK_END_CLIENT, "bye", ""), 0);
	rig_commit(rig);
}

struct store *
rig_touch(struct rig *rig)
{
	struct store_conf conf = {
		.dir = rig->dir, .map_size = rig->map_size, .durability = STORE_STRICT
	};
	struct store *store;

	assert_null(rig->chain);
	assert_int_equal(store_open_write(&conf, &store), 0);
	assert_int_equal(store_begin(store), 0);
	return store;
}

void
rig_untouch(struct store *store)
{
	assert_int_equal(store_commit(store), 0);
	store_close(store);
}

void
rig_flip(struct rig *rig, enum store_db db, const void *key, size_t key_len, int off)
{
	struct store *store = rig_touch(rig);
	const uint8_t *data;
	uint8_t copy[65536];
	size_t len;

	assert_int_equal(store_get(store_pending(store), db, key, key_len, &data, &len), 0);
	assert_true(len <= sizeof(copy));
	assert_true(off >= 0 ? (size_t)off < len : (size_t)-off <= len);
	memcpy(copy, data, len);
	copy[off >= 0 ? (size_t)off : len - (size_t)-off] ^= 0x01;
	assert_int_equal(store_put(store, db, key, key_len, copy, len), 0);
	rig_untouch(store);
}

static void
keep_finding(void *arg, const struct verify_finding *finding)
{
	struct rig *rig = arg;

	if (rig->n_findings < RIG_FINDINGS)
		rig->findings[rig->n_findings++] = *finding;
}

int
rig_verify_with(struct rig *rig, const struct note_key *key, const char *checkpoint)
{
	struct verify_conf conf = { .key = key,
		.checkpoint = checkpoint,
		.checkpoint_len = checkpoint != NULL ? strlen(checkpoint) : 0,
		.journal_max = rig->journal_max,
		.found = keep_finding,
		.arg = rig };
	struct store_snap *snap;
	struct store *store;
	int r;

	rig->n_findings = 0;
	assert_int_equal(store_open_read(rig->dir, &store), 0);
	if (rig->auditor != NULL)
		assert_int_equal(store_set_auditor(store, rig->auditor), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	r = verify_all(snap, &conf, &rig->result);
	store_snap_free(snap);
	store_close(store);
	assert_int_equal(r == 0, rig->n_findings == 0);
	return r;
}

int
rig_verify(struct rig *rig)
{
	return rig_verify_with(rig, &rig->signer.key, NULL);
}

bool
rig_found(const struct rig *rig, enum verify_kind kind, const char *place)
{
	for (size_t i = 0; i < rig->n_findings; i++)
		if (rig->findings[i].kind == kind && str_starts(rig->findings[i].place, place))
			return true;
	for (size_t i = 0; i < rig->n_findings; i++)
		print_message("# found: %s at %s: %s\n", verify_kind_name(rig->findings[i].kind),
		    rig->findings[i].place, rig->findings[i].text);
	return false;
}

char *
rig_checkpoint(struct rig *rig)
{
	struct store_snap *snap;
	struct store *store;
	const char *note;
	char *copy;
	size_t len;

	assert_int_equal(store_open_read(rig->dir, &store), 0);
	assert_int_equal(store_snap_new(store, &snap), 0);
	assert_int_equal(mlog_checkpoint_get(snap, &note, &len), 0);
	copy = strndup(note, len);
	assert_non_null(copy);
	store_snap_free(snap);
	store_close(store);
	return copy;
}
