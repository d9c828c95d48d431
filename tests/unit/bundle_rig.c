#include "config.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "recorder/reader.h"
#include "recorder/verify_bundle.h"
#include "tests/lib/test.h"
#include "tests/unit/bundle_rig.h"

/* The reader's process. */
static int
read_bundle(struct rig *rig, const uint8_t sid[REC_SID_LEN], int fd)
{
	char hex[2 * REC_SID_LEN + 1];
	const char *args[] = { str_hex(hex, sid, REC_SID_LEN), NULL };
	struct reader rd = { .fd = fd, .credit = UINT32_MAX, .args = args };
	uint8_t code = 3;

	if (store_open_read(rig->dir, &rd.store) != 0 || store_snap_new(rd.store, &rd.snap) != 0 ||
	    reader_bundle(&rd, &code) != 0)
		code = 3;
	store_snap_free(rd.snap);
	store_close(rd.store);
	return code;
}

static void
take_entry(struct bundle_writer *w, struct buf *b)
{
	struct bundle_entry e = { .db = 0 };
	uint8_t db;

	assert_int_equal(buf_get_u8(b, &db), 0);
	assert_int_equal(buf_get_str(b, &e.key, &e.key_len), 0);
	e.db = db;
	e.data = buf_ptr(b);
	e.len = buf_len(b);
	assert_int_equal(bundle_writer_add(w, &e), 0);
	buf_reset(b);
}

static void
take_bundle(int fd, const char *file)
{
	int out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t *space = malloc(IPC_HEADER + IPC_MAX);
	struct buf *b = buf_new(BUNDLE_VALUE_MAX);
	struct bundle_writer *w;
	struct ipc_msg m;

	assert_true(out >= 0);
	assert_non_null(space);
	assert_non_null(b);
	assert_int_equal(bundle_writer_new(out, &w), 0);
	while (ipc_plain_recv(fd, space, &m, 10000) == 0) {
		assert_int_equal(m.type, RD_ENTRY);
		assert_int_equal(buf_put(b, m.data, m.len), 0);
		if (m.id == 0)
			take_entry(w, b);
	}
	assert_int_equal(buf_len(b), 0);
	assert_int_equal(bundle_writer_end(w), 0);
	bundle_writer_free(w);
	buf_free(b);
	free(space);
	fd_close(&out);
}

int
bundle_make(struct rig *rig, const uint8_t sid[REC_SID_LEN], const char *file)
{
	int fds[2], status = -1;
	pid_t pid;

	assert_null(rig->chain);
	assert_int_equal(ipc_pair(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fd_close(&fds[0]);
		_exit(read_bundle(rig, sid, fds[1]));
	}
	fd_close(&fds[1]);
	take_bundle(fds[0], file);
	fd_close(&fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void
bundle_copy(const char *from, const char *to, bundle_edit_fn edit, void *arg,
    const struct bundle_entry *extra, size_t n_extra)
{
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct bundle_writer *w;
	struct bundle_entry e;
	struct bundle *b;
	size_t x = 0;

	assert_true(out >= 0);
	assert_int_equal(bundle_open(from, &b), 0);
	assert_int_equal(bundle_writer_new(out, &w), 0);
	for (uint64_t i = 0; i < bundle_n(b); i++) {
		assert_int_equal(bundle_at(b, i, &e), 0);
		for (; x < n_extra && bundle_compare(&extra[x], &e) < 0; x++)
			assert_int_equal(bundle_writer_add(w, &extra[x]), 0);
		if (edit == NULL || edit(arg, &e))
			assert_int_equal(bundle_writer_add(w, &e), 0);
	}
	for (; x < n_extra; x++)
		assert_int_equal(bundle_writer_add(w, &extra[x]), 0);
	assert_int_equal(bundle_writer_end(w), 0);
	bundle_writer_free(w);
	bundle_close(b);
	fd_close(&out);
}

static void
keep_finding(void *arg, const struct verify_finding *finding)
{
	struct rig *rig = arg;

	if (rig->n_findings < RIG_FINDINGS)
		rig->findings[rig->n_findings++] = *finding;
}

int
bundle_verify(struct rig *rig, const struct note_key *key, const char *file)
{
	struct verify_conf conf = { .key = key, .found = keep_finding, .arg = rig };
	struct store_snap *snap;
	struct store *store;
	int r;

	rig->n_findings = 0;
	if ((r = store_open_bundle(file, &store)) != 0)
		return r;
	assert_int_equal(store_snap_new(store, &snap), 0);
	r = verify_bundle(snap, &conf, &rig->result);
	store_snap_free(snap);
	store_close(store);
	return r;
}
