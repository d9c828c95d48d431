/*
 * rsync's protocol. Real conversations are replayed: small ones, as they crossed between real programs, which the fuzz corpus
 * keeps. Whole, in pieces, cut anywhere, with any byte changed, and with sides that are ahead of each other.
 */
#include "config.h"

#include <zstd.h>

#include "lib/hash.h"
#include "policy/policy_proto.h"
#include "recorder/watch_rsync_part.h"
#include "tests/lib/test.h"
#include "tests/unit/watch_rig.h"

#define PUT "rsync --server -vlogDtpre.iLsfxCIvu . x"
#define CAPTURE_MAX 16384u

/* A conversation of the corpus: what tests/fuzz/fuzz_watch.c reads. */
struct capture {
	uint8_t bytes[CAPTURE_MAX];
	size_t len, first; /* first: of the pieces, behind kind and command */
};

static void
load(struct capture *c, const char *name)
{
	const char *top = getenv("BASTION_SRC");
	char path[4096];
	FILE *f;

	snprintf(
	    path, sizeof(path), "%s/tests/fuzz/corpus/watch/%s", top != NULL ? top : "..", name);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s: not there", path);
	c->len = fread(c->bytes, 1, sizeof(c->bytes), f);
	fclose(f);
	assert_true(c->len > 2 && c->len < sizeof(c->bytes) && c->bytes[0] == POL_STREAM_RSYNC);
	c->first = 2 + strlen((const char *)c->bytes + 1);
}

static void
begin(struct rig *g, const struct capture *c)
{
	assert_int_equal(rig_start(g, c->bytes[0], (const char *)c->bytes + 1), 0);
}

/* The first n bytes that crossed, in pieces; of one way only when it is not -1. */
static int
play(struct rig *g, const struct capture *c, size_t n, size_t piece, int only)
{
	const uint8_t *p = c->bytes + c->first, *end = c->bytes + c->len;

	while (p + 2 < end && n > 0) {
		size_t len = (size_t)(p[0] & 0x7f) << 8 | p[1], part;
		enum event_way way = (p[0] & 0x80) != 0 ? EVENT_BACK : EVENT_FRONT;
		int r = 0;

		p += 2;
		if (len > (size_t)(end - p))
			len = (size_t)(end - p);
		part = len < n ? len : n;
		if (only == -1 || only == (int)way)
			r = rig_feed(g, way, p, part, piece);
		if (r != 0)
			return r;
		n -= part;
		p += len;
	}
	return 0;
}

static void
replay(struct rig *g, const struct capture *c, size_t piece)
{
	begin(g, c);
	assert_int_equal(play(g, c, SIZE_MAX, piece, -1), 0);
	if (!watch_follows(g->w))
		fail_msg("%s", g->remarks);
}

static const struct rig_file *
find(const struct rig *g, const char *path)
{
	for (size_t i = 0; i < g->n_files; i++)
		if (strcmp(g->files[i].path, path) == 0)
			return &g->files[i];
	fail_msg("%s is not told", path);
	return NULL;
}

static void
assert_whole(const struct rig *g, const char *path, const void *content, size_t len)
{
	const struct rig_file *f = find(g, path);
	uint8_t hash[HASH_LEN];

	hash_sha256(content, len, hash);
	assert_true(f->f.has_hash && f->f.has_size && f->f.has_mode);
	assert_memory_equal(f->f.sha256, hash, HASH_LEN);
	assert_int_equal(f->f.size, len);
	assert_int_equal(f->f.bytes, len);
	assert_int_equal(f->f.mode & 0777, 0644);
}

/* What is not exactly rsync's own, or says something about the wire that is not known. */
static void
test_other_commands_are_not_followed(void **state)
{
	static const char *const bad[] = { "", "rsync", "rsync --server", "rsync --server .x",
		"rsync --server -e.iLsfxCIvu x", "rsync --daemon .", "rsync --server -As . x",
		"rsync --server -Xe.iLsfxCIvu . x", "rsync --server -se.iLsfxCIvu . x",
		"rsync --server -e.iLsfxCIvuV . x", "rsync --server --iconv=utf-8 . x",
		"rsync --server --unheard-of . x", "rsync --server -a . x; bash",
		"rsync --server -r . x && id", "rsync --server -r . $(id)",
		"rsync --server -r . -n", "rsync --server --checksum-choice=auto . x",
		"rsync --server --files-from= . x", "rsync --server --compress-level=x . x",
		"rsync --server --temp-dir", "rsync --server -B1x . x", "rsync --server - . x",
		"rsync  --server -r . x" };
	static const char *const good[] = { PUT,
		"rsync --server --sender -vnlHogDtprcze.iLsfxCIvu . a 'b c'",
		"rsync --server -r --partial-dir .p --temp-dir /tmp --delete-delay . x",
		"rsync --server -re31.90LsfxCIvu -B1024 --log-format=%i . x" };
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		if (rig_start(&g, POL_STREAM_RSYNC, bad[i]) != ERR_FORMAT)
			fail_msg("taken: %s", bad[i]);
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_int_equal(rig_start(&g, POL_STREAM_RSYNC, good[i]), 0);
		rig_end(&g);
	}
}

/* The same files, whatever the pieces, the direction, the protocol and whether lists grow. */
static void
test_whole_files_are_told_with_their_hash(void **state)
{
	static const struct {
		const char *name;
		enum watch_op op;
		const char *hello; /* of two hard links, the first in order */
		size_t n_files;
	} rows[] = { { "rsync-put", WATCH_PUT, "h", 5 }, { "rsync-get", WATCH_GET, "h", 5 },
		{ "rsync-get-whole", WATCH_GET, "a", 6 }, { "rsync-put-30", WATCH_PUT, "a", 6 },
		{ "rsync-put-zstd", WATCH_PUT, "a", 6 } };
	char forty[40];
	struct capture c;
	struct rig g;

	(void)state;
	memset(forty, 'x', sizeof(forty));
	for (size_t i = 0; i < N_OF(rows); i++) {
		load(&c, rows[i].name);
		for (size_t piece = 1; piece < 4000; piece += piece < 20 ? 1 : 997) {
			replay(&g, &c, piece);
			assert_int_equal(watch_exit(g.w, 0), 0);
			rig_end(&g);
			assert_int_equal(g.n_files, rows[i].n_files);
			assert_whole(&g, rows[i].hello, "hello\n", 6);
			assert_whole(&g, "none", "", 0);
			assert_whole(&g, "d/e/\374", forty, sizeof(forty));
			for (size_t j = 0; j < g.n_files; j++) {
				assert_int_equal(g.files[j].f.op, rows[i].op);
				assert_true(g.files[j].f.answered && g.files[j].f.status == 0);
				assert_true(g.files[j].f.has_hash);
			}
		}
	}
}

/* Content is told as such where it crosses as it is, and only there. */
static void
test_packed_content_stays_protocol(void **state)
{
	struct capture c;
	struct rig g;

	(void)state;
	load(&c, "rsync-put");
	replay(&g, &c, 100);
	rig_end(&g);
	assert_int_equal(find(&g, "z")->content, 2200);

	load(&c, "rsync-put-zstd");
	replay(&g, &c, 100);
	rig_end(&g);
	assert_int_equal(find(&g, "z")->content, 0);
	assert_true(find(&g, "z")->f.has_hash);
	assert_int_equal(find(&g, "z")->f.bytes, 2200);
	assert_string_equal(g.remarks, "packed: contents cross packed by zstd and are kept so\n");

	load(&c, "rsync-get-lz4");
	replay(&g, &c, 100);
	rig_end(&g);
	assert_int_equal(find(&g, "z")->content, 0);
	assert_false(find(&g, "z")->f.has_hash);
	assert_true(find(&g, "z")->f.more_ranges);
	assert_true(find(&g, "none")->f.has_hash);
	assert_string_equal(g.remarks, "packed: contents cross packed by lz4 and are kept so\n");
}

static void
test_what_crossed_of_a_changed_file_is_told_as_ranges(void **state)
{
	static const char *const names[] = { "rsync-put-delta", "rsync-get-delta" };
	const struct rig_file *f;
	struct capture c;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		load(&c, names[i]);
		replay(&g, &c, 7);
		rig_end(&g);
		assert_int_equal(g.n_files, 1);
		f = find(&g, "z");
		assert_false(f->f.has_hash);
		assert_int_equal(f->f.size, 2200);
		assert_int_equal(f->f.n_ranges, 1);
		assert_int_equal(f->ranges[0].from, 700);
		assert_int_equal(f->ranges[0].to, 1400);
		assert_int_equal(f->content, 700);
	}
	load(&c, "rsync-append");
	replay(&g, &c, 7);
	rig_end(&g);
	f = find(&g, "z");
	assert_false(f->f.has_hash);
	assert_int_equal(f->ranges[0].from, 900);
	assert_int_equal(f->ranges[0].to, 2200);
}

static void
test_deletions_names_and_dry_runs(void **state)
{
	struct capture c;
	struct rig g;

	(void)state;
	load(&c, "rsync-delete");
	replay(&g, &c, 3);
	rig_end(&g);
	assert_int_equal(g.n_files, 2);
	assert_int_equal(find(&g, "gone/x")->f.op, WATCH_RMDIR);
	assert_int_equal(find(&g, "gone")->f.op, WATCH_RMDIR);

	load(&c, "rsync-get-names");
	replay(&g, &c, 3);
	rig_end(&g);
	assert_int_equal(g.n_files, 2);
	assert_whole(&g, "a", "hello\n", 6);

	load(&c, "rsync-dry");
	replay(&g, &c, 3);
	rig_end(&g);
	assert_int_equal(g.n_files, 0);

	load(&c, "rsync-missing");
	replay(&g, &c, 3);
	rig_end(&g);
	assert_int_equal(g.n_files, 0);
	assert_non_null(strstr(g.remarks, "rsync-error: rsync: [sender] link_stat"));
}

/* An upload is answered by the exit status only: not at all, for all, or for the only one. */
static void
test_uploads_are_answered_by_the_exit_status(void **state)
{
	struct capture c;
	struct rig g;

	(void)state;
	load(&c, "rsync-put");
	replay(&g, &c, 1000);
	assert_int_equal(g.n_files, 0);
	rig_end(&g);
	assert_false(find(&g, "h")->f.answered);

	replay(&g, &c, 1000);
	assert_int_equal(watch_exit(g.w, 23), 0);
	rig_end(&g);
	assert_false(find(&g, "h")->f.answered);

	load(&c, "rsync-put-delta");
	replay(&g, &c, 1000);
	assert_int_equal(watch_exit(g.w, 11), 0);
	rig_end(&g);
	assert_true(find(&g, "z")->f.answered);
	assert_int_equal(find(&g, "z")->f.status, 11);
}

/* Cut anywhere: nothing that is not whole has a hash. */
static void
test_cut_anywhere_nothing_is_made_up(void **state)
{
	static const char *const names[] = { "rsync-put", "rsync-get", "rsync-put-zstd" };
	struct capture c;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		load(&c, names[i]);
		for (size_t n = 0; n < c.len; n++) {
			begin(&g, &c);
			assert_int_equal(play(&g, &c, n, 4096, -1), 0);
			assert_true(watch_follows(g.w));
			rig_end(&g);
			for (size_t j = 0; j < g.n_files; j++)
				assert_true(!g.files[j].f.has_hash ||
					    g.files[j].f.bytes == g.files[j].f.size);
		}
	}
}

/* Any byte changed: every byte is still told once and in order (the rig sees to it), and all ends. */
static void
test_changed_anywhere_every_byte_is_told(void **state)
{
	static const char *const names[] = { "rsync-put", "rsync-get-delta",
		"rsync-put-delta-zlibx", "rsync-put-zstd", "rsync-delete" };
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	struct capture c;
	struct rig g;
	size_t n_lost = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		load(&c, names[i]);
		for (size_t at = c.first + 2; at < c.len; at++)
			for (size_t j = 0; j < N_OF(changes); j++) {
				c.bytes[at] ^= changes[j];
				begin(&g, &c);
				assert_int_equal(play(&g, &c, SIZE_MAX, 512, -1), 0);
				n_lost += !watch_follows(g.w);
				rig_end(&g);
				c.bytes[at] ^= changes[j];
			}
	}
	assert_true(n_lost > 1000);
}

/* A side that speaks before the other could have said what it hangs on. */
static void
test_a_side_that_is_ahead_is_given_up(void **state)
{
	static const char *const names[] = { "rsync-put", "rsync-get" };
	struct capture c;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++)
		for (int only = 0; only < 2; only++) {
			load(&c, names[i]);
			begin(&g, &c);
			assert_int_equal(play(&g, &c, SIZE_MAX, 100, only), 0);
			assert_false(watch_follows(g.w));
			rig_end(&g);
			assert_int_equal(g.content[1], 0);
			assert_int_equal(g.n_files, 0);
		}
}

static void
test_what_the_sink_answers_comes_back(void **state)
{
	struct capture c;
	struct rig g;
	size_t n;

	(void)state;
	load(&c, "rsync-get");
	replay(&g, &c, 100);
	n = g.n_calls;
	rig_end(&g);
	for (size_t at = 1; at <= n; at++) {
		begin(&g, &c);
		g.fail_after = at;
		assert_int_equal(play(&g, &c, SIZE_MAX, 100, -1), ERR_LIMIT);
		watch_free(g.w);
	}
}

/* Numbers: what rsync writes, one byte less, and what no number is. */
static void
test_numbers(void **state)
{
	static const struct {
		uint8_t bytes[5];
		size_t len;
		int32_t v;
	} good[] = { { { 0 }, 1, 0 }, { { 0x7f }, 1, 127 }, { { 0x80, 0x80 }, 2, 128 },
		{ { 0xbf, 0xff }, 2, 16383 }, { { 0xc0, 0x00, 0x40 }, 3, 16384 },
		{ { 0xf0, 0xff, 0xff, 0xff, 0xff }, 5, -1 } };
	struct rs_cursor c;
	int64_t l;
	int32_t v;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		c = (struct rs_cursor){ good[i].bytes, good[i].len, 0, 0 };
		assert_int_equal(rs_varint(&c, &v), 0);
		assert_int_equal(v, good[i].v);
		assert_int_equal(c.off, good[i].len);
		c = (struct rs_cursor){ good[i].bytes, good[i].len - 1, 0, 0 };
		assert_int_equal(rs_varint(&c, &v), RS_SHORT);
		assert_int_equal(c.need, 1);
	}
	c = (struct rs_cursor){ (const uint8_t *)"\xf8\0\0\0\0\0", 6, 0, 0 };
	assert_int_equal(rs_varint(&c, &v), RS_WRONG);
	c = (struct rs_cursor){ (const uint8_t *)"\x00\x40\x00", 3, 0, 0 };
	assert_int_equal(rs_varlong(&c, 3, &l), 0);
	assert_int_equal(l, 0x40);
	c = (struct rs_cursor){ (const uint8_t *)"\x81\x00\x00\x00", 4, 0, 0 };
	assert_int_equal(rs_varlong(&c, 3, &l), 0);
	assert_int_equal(l, 0x1000000);
	c = (struct rs_cursor){ (const uint8_t *)"\xff\0\0\0\0\0\0\0\0\0", 10, 0, 0 };
	assert_int_equal(rs_varlong(&c, 4, &l), RS_WRONG);
}

static void
test_indexes(void **state)
{
	static const uint8_t bytes[] = { 1, 0, 3, 0xfe, 0x01, 0x00, 0xfe, 0x80, 0x05, 0x00, 0x00,
		0xff, 0x01, 0xff, 0x63, 0xfe, 0xff, 0xff, 0xff, 0xff, 1 };
	static const int32_t want[] = { 0, RS_DONE, 3, 259, 5, RS_LISTS_END, RS_LIST_OF,
		INT32_MAX };
	struct rs_cursor c = { bytes, sizeof(bytes), 0, 0 };
	struct rs_index at = { -1, 1 };
	int32_t v;

	(void)state;
	for (size_t i = 0; i < N_OF(want); i++) {
		assert_int_equal(rs_index(&c, &at, &v), 0);
		assert_int_equal(v, want[i]);
	}
	assert_int_equal(rs_index(&c, &at, &v), RS_WRONG);
}

/* Files before directories, a directory before what is in it, "." first, names as if a slash followed directories. */
static void
test_entries_stand_as_indexes_count_them(void **state)
{
	static const struct {
		const char *name;
		uint32_t mode;
	} want[] = { { ".", 0040755 }, { "a", 0100644 }, { "a.b", 0100644 }, { "b", 0100644 },
		{ "ab-", 0040755 }, { "ab-/x", 0100644 }, { "ab", 0040755 }, { "ab/z", 0100644 },
		{ "ab/a", 0040755 }, { "ab/a/b", 0120777 }, { "abc", 0040755 },
		{ "abc/q", 0100644 } };
	struct rs_lists l = { 0 };
	struct rs_entry *e;
	const char *name;

	(void)state;
	for (size_t turn = 0; turn < N_OF(want); turn++) {
		l.next = 1;
		assert_int_equal(rs_lists_begin(&l), 0);
		for (size_t i = 0; i < N_OF(want); i++) {
			size_t k = (i * 5 + turn) % N_OF(want);

			assert_int_equal(
			    rs_lists_add(&l, want[k].name, strlen(want[k].name), k, want[k].mode),
			    0);
		}
		rs_lists_sort(&l);
		for (size_t i = 0; i < N_OF(want); i++) {
			assert_int_equal(rs_lists_find(&l, (int32_t)i + 1, &e, &name), 0);
			assert_non_null(e);
			assert_int_equal(e->size, i);
			assert_memory_equal(name, want[i].name, strlen(want[i].name));
		}
		assert_int_equal(rs_lists_find(&l, 0, &e, &name), 0);
		assert_null(e);
		assert_int_equal(rs_lists_find(&l, -1, &e, &name), RS_WRONG);
		assert_int_equal(rs_lists_find(&l, N_OF(want) + 1, &e, &name), RS_WRONG);
		rs_lists_done(&l);
	}
}

/* Many lists come and go: the memory that counts is that of the open ones. */
static void
test_lists_come_and_go(void **state)
{
	struct rs_lists l = { .next = 1 };
	struct rs_entry *e;
	const char *name;

	(void)state;
	for (int32_t i = 0; i < 5000; i++) {
		assert_int_equal(rs_lists_begin(&l), 0);
		assert_int_equal(rs_lists_add(&l, "name", 4, 1, 0100644), 0);
		rs_lists_sort(&l);
		assert_int_equal(rs_lists_find(&l, l.next - 2, &e, &name), 0);
		assert_non_null(e);
		if (i % 7 != 0) {
			l.done++;
			rs_lists_drop(&l);
		}
	}
	assert_int_equal(l.n, 715);
	while (l.n > 0) {
		l.done++;
		rs_lists_drop(&l);
	}
	assert_int_equal(l.memory, 0);
	rs_lists_done(&l);
}

/* A list without end is given up, not kept. */
static void
test_lists_are_bounded(void **state)
{
	static char name[4000];
	struct rs_lists l = { .next = 1 };
	int r;

	(void)state;
	assert_int_equal(rs_lists_begin(&l), 0);
	while ((r = rs_lists_add(&l, name, sizeof(name), 0, 0100644)) == 0)
		assert_true(l.memory < 4 * (size_t)RS_LISTS_MAX);
	assert_int_equal(r, RS_FULL);
	rs_lists_done(&l);
}

static void
test_errors_are_put_to_the_file_that_they_name(void **state)
{
	static const struct {
		const char *words;
		bool found;
	} rows[] = {
		{ "rsync: [receiver] mkstemp \"/x/d/.file.Ab12Cd\" failed: Permission denied "
		  "(13)\n",
		    true },
		{ "rsync: open \"/x/d/file\" failed", true },
		{ "rsync: open \"d/file\" failed", true },
		{ "rsync: open \"/x/dd/file\" failed", false },
		{ "rsync: open \"/x/d/file2\" failed", false },
		{ "rsync: open \"xd/file\" failed", false },
		{ "rsync: open \"/x/d/.file.Ab12C\" failed", false },
		{ "rsync: mkstemp \"/x/y/.file.Ab12Cd\" failed", false },
		{ "rsync: d/file", false },
		{ "rsync: \"d/file", false },
		{ "\"\"", false },
	};
	struct rs_results q;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct watch_file f = { .number = 1,
			.op = WATCH_PUT,
			.path = (const uint8_t *)"d/file",
			.path_len = 6 };

		assert_int_equal(rig_start(&g, POL_STREAM_RSYNC, PUT), 0);
		rs_results_init(&q);
		assert_int_equal(rs_results_keep(g.w, &q, &f), 0);
		if (rs_results_blame(&q, rows[i].words, strlen(rows[i].words)) != rows[i].found)
			fail_msg("%s", rows[i].words);
		assert_int_equal(rs_results_tell(g.w, &q, false, 0), 0);
		assert_int_equal(g.files[0].f.answered, rows[i].found);
		assert_int_equal(g.files[0].f.status, rows[i].found ? 23 : 0);
		rs_results_done(&q);
		rig_end(&g);
	}
}

static int
count_file(void *arg, const struct watch_file *f)
{
	size_t *n = arg;

	assert_int_equal(f->number, ++*n);
	assert_false(f->answered);
	return 0;
}

/* More than may wait: the oldest are told, without an answer. */
static void
test_results_that_wait_are_bounded(void **state)
{
	static const struct watch_sink counting = { .file = count_file };
	struct watch_file f = { .op = WATCH_PUT, .path = (const uint8_t *)"f", .path_len = 1 };
	struct rs_results q;
	struct watch *w;
	size_t n = 0;

	(void)state;
	assert_int_equal(watch_new(POL_STREAM_RSYNC, PUT, &counting, &n, &w), 0);
	rs_results_init(&q);
	for (uint32_t i = 1; i <= RS_RESULTS_MAX + 7; i++) {
		f.number = i;
		assert_int_equal(rs_results_keep(w, &q, &f), 0);
		assert_true(q.memory <= RS_WAITING_MAX);
	}
	assert_int_equal(n, 7);
	assert_int_equal(q.n, RS_RESULTS_MAX);
	rs_results_done(&q);
	assert_int_equal(q.memory, 0);
	watch_free(w);
}

/* Little that stands for much: unpacked up to a bound, and then not at all. */
static void
test_unpacking_is_bounded(void **state)
{
	static uint8_t zeros[1 << 20], packed[1 << 16];
	struct rs_unpack *u = rs_unpack_new();
	struct watch_track *t = watch_track_new();
	ZSTD_CCtx *z = ZSTD_createCCtx();
	uint64_t offset = 0;
	int r = 0;

	(void)state;
	assert_true(u != NULL && t != NULL && z != NULL);
	for (size_t i = 0; i < 128 && r == 0; i++) {
		ZSTD_inBuffer in = { zeros, sizeof(zeros), 0 };
		ZSTD_outBuffer out = { packed, sizeof(packed), 0 };

		assert_int_equal(ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush), 0);
		r = rs_unpack_add(u, packed, out.pos, t, &offset);
	}
	assert_int_equal(r, RS_FULL);
	assert_true(offset >= 64u << 20 && offset < 80u << 20);
	assert_int_equal(rs_unpack_add(u, packed, 1, t, &offset), RS_FULL);
	ZSTD_freeCCtx(z);
	watch_track_free(t);
	rs_unpack_free(u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_commands_are_not_followed),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_entries_stand_as_indexes_count_them),
		cmocka_unit_test(test_lists_come_and_go),
		cmocka_unit_test(test_lists_are_bounded),
		cmocka_unit_test(test_whole_files_are_told_with_their_hash),
		cmocka_unit_test(test_packed_content_stays_protocol),
		cmocka_unit_test(test_what_crossed_of_a_changed_file_is_told_as_ranges),
		cmocka_unit_test(test_deletions_names_and_dry_runs),
		cmocka_unit_test(test_uploads_are_answered_by_the_exit_status),
		cmocka_unit_test(test_cut_anywhere_nothing_is_made_up),
		cmocka_unit_test(test_changed_anywhere_every_byte_is_told),
		cmocka_unit_test(test_a_side_that_is_ahead_is_given_up),
		cmocka_unit_test(test_what_the_sink_answers_comes_back),
		cmocka_unit_test(test_errors_are_put_to_the_file_that_they_name),
		cmocka_unit_test(test_results_that_wait_are_bounded),
		cmocka_unit_test(test_unpacking_is_bounded),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
