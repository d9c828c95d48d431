/* SFTP as it is read from what crosses: every operation, every way to cut the stream, and streams that lie. */
#include "config.h"

#include "lib/buf.h"
#include "lib/hash.h"
#include "policy/policy_proto.h"
#include "recorder/fxp.h"
#include "recorder/watch.h"
#include "tests/lib/test.h"
#include "tests/unit/sftp_rig.h"

#define F EVENT_FRONT
#define B EVENT_BACK
#define U(v) ((uint32_t)(v))
#define Q(v) ((uint64_t)(v))

static struct stream *
hello(void)
{
	struct stream *s = stream_new();

	stream_sftp(s, F, FXP_INIT, "u", U(3));
	stream_sftp(s, B, FXP_VERSION_IS, "uss", U(3), "posix-rename@openssh.com", "1");
	return s;
}

static void
status(struct stream *s, uint32_t id, uint32_t code)
{
	stream_sftp(s, B, FXP_STATUS, "uuss", id, code, code == 0 ? "Success" : "No way", "");
}

/* Feed in pieces of step bytes; everything must have been told of, in order. */
static struct told *
feed(const struct stream *s, size_t step)
{
	struct told *seen = seen_new();
	struct watch *w;

	assert_int_equal(watch_new(POL_STREAM_SFTP, "", &seen_sink, seen, &w), 0);
	assert_int_equal(stream_feed(s, w, seen, step), 0);
	assert_false(seen->broken);
	assert_int_equal(seen->plain[0] + seen->plain[1] + seen->content[0] + seen->content[1],
	    buf_len(s->bytes));
	assert_true(watch_follows(w) == (seen->n_remarks == 0));
	watch_free(w);
	return seen;
}

static struct told *
feed_all(struct stream *s)
{
	struct told *seen = feed(s, SIZE_MAX);

	stream_free(s);
	return seen;
}

static void
check_hash(const struct watch_file *f, const void *data, size_t len)
{
	uint8_t want[HASH_LEN];

	hash_sha256(data, len, want);
	assert_true(f->has_hash);
	assert_memory_equal(f->sha256, want, HASH_LEN);
	assert_int_equal(f->bytes, len);
	assert_int_equal(f->n_ranges, 0);
}

static struct stream *
put_stream(void)
{
	struct stream *s = hello();

	stream_sftp(s, F, FXP_OPEN, "usua", U(1), "/tmp/a",
	    U(FXP_F_WRITE | FXP_F_CREAT | FXP_F_TRUNC), U(0644));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h1");
	stream_sftp(s, F, FXP_WRITE, "usqs", U(2), "h1", Q(0), "hello ");
	stream_sftp(s, F, FXP_WRITE, "usqs", U(3), "h1", Q(6), "world");
	status(s, 2, 0);
	status(s, 3, 0);
	stream_sftp(s, F, FXP_CLOSE, "us", U(4), "h1");
	status(s, 4, 0);
	return s;
}

static void
check_put(const struct told *seen)
{
	const struct watch_file *f = &seen_file(seen, 0)->f;

	assert_int_equal(seen->n_files, 1);
	assert_int_equal(f->op, WATCH_PUT);
	assert_string_equal(seen->files[0].path, "/tmp/a");
	assert_null(f->path2);
	assert_int_equal(f->number, 1);
	assert_true(f->has_size && f->has_mode && f->answered && !f->cut && !f->refused);
	assert_int_equal(f->size, 11);
	assert_int_equal(f->mode, 0644);
	assert_int_equal(f->status, 0);
	assert_string_equal(f->text, "");
	check_hash(f, "hello world", 11);
	assert_int_equal(seen->content[0], 11);
	assert_memory_equal(seen->kept, "hello world", 11);
	assert_int_equal(seen->content[1], 0);
}

static void
test_a_put_is_told_however_it_is_cut(void **state)
{
	struct stream *s = put_stream();

	(void)state;
	for (size_t step = 1; step < 120; step++) {
		struct told *seen = feed(s, step);

		check_put(seen);
		seen_free(seen);
	}
	stream_free(s);
}

/* Once at every byte of each way, so that each packet is cut everywhere with the rest whole. */
static void
test_a_put_is_told_when_cut_once_anywhere(void **state)
{
	struct stream *s = put_stream();

	(void)state;
	for (size_t i = 0; i < s->n; i++)
		for (size_t at = 1; at < s->steps[i].len; at++) {
			struct stream *t = stream_new();
			struct told *seen;

			for (size_t j = 0; j < s->n; j++) {
				const uint8_t *p = buf_ptr(s->bytes) + s->steps[j].off;
				size_t cut = j == i ? at : s->steps[j].len;

				stream_put(t, s->steps[j].way, p, cut);
				if (cut < s->steps[j].len)
					stream_put(
					    t, s->steps[j].way, p + cut, s->steps[j].len - cut);
			}
			seen = feed_all(t);
			check_put(seen);
			seen_free(seen);
		}
	stream_free(s);
}

static struct stream *
get_stream(bool eof)
{
	struct stream *s = hello();

	stream_sftp(s, F, FXP_OPEN, "usua", U(7), "b", U(FXP_F_READ), U(0));
	stream_sftp(s, B, FXP_HANDLE, "us", U(7), "hh");
	stream_sftp(s, F, FXP_READ, "usqu", U(8), "hh", Q(0), U(4));
	stream_sftp(s, F, FXP_READ, "usqu", U(9), "hh", Q(4), U(4));
	stream_sftp(s, F, FXP_READ, "usqu", U(10), "hh", Q(6), U(4));
	stream_sftp(s, B, FXP_DATA, "us", U(8), "abcd");
	stream_sftp(s, B, FXP_DATA, "us", U(9), "ef");
	if (eof)
		status(s, 10, FXP_EOF);
	stream_sftp(s, F, FXP_CLOSE, "us", U(11), "hh");
	if (eof)
		status(s, 11, 0);
	return s;
}

static void
test_a_get_has_its_size_from_the_end_of_file(void **state)
{
	struct stream *s = get_stream(true);

	(void)state;
	for (size_t step = 1; step < 40; step++) {
		struct told *seen = feed(s, step);
		const struct watch_file *f = &seen_file(seen, 0)->f;

		assert_int_equal(seen->n_files, 1);
		assert_int_equal(f->op, WATCH_GET);
		assert_true(f->has_size && !f->has_mode && f->answered);
		assert_int_equal(f->size, 6);
		assert_int_equal(f->status, 0);
		check_hash(f, "abcdef", 6);
		seen_free(seen);
	}
	stream_free(s);
}

static void
test_what_is_not_answered_is_told_as_it_stands(void **state)
{
	struct stream *s = get_stream(false);
	struct told *seen;
	const struct watch_file *f;

	(void)state;
	stream_sftp(s, F, FXP_MKDIR, "usn", U(20), "d");
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 2);
	assert_int_equal(seen_file(seen, 0)->f.op, WATCH_MKDIR);
	f = &seen_file(seen, 1)->f;
	assert_false(seen_file(seen, 0)->f.answered || f->answered || f->has_size);
	check_hash(f, "abcdef", 6);
	seen_free(seen);
}

static void
test_content_out_of_order_has_ranges_and_no_hash(void **state)
{
	static const uint64_t offsets[] = { 100, 0, 4, 104, 50 };
	struct stream *s = hello();
	const struct seen_file *f;
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "a", U(FXP_F_WRITE));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	for (uint32_t i = 0; i < N_OF(offsets); i++)
		stream_sftp(s, F, FXP_WRITE, "usqs", U(2 + i), "h", offsets[i], "xxxx");
	stream_sftp(s, F, FXP_CLOSE, "us", U(30), "h");
	status(s, 30, 0);
	/* The writes are answered after the close: the operation waits for them. */
	for (uint32_t i = 0; i < N_OF(offsets); i++)
		status(s, 2 + i, i == 3 ? 4 : 0);
	seen = feed_all(s);
	f = seen_file(seen, 0);
	assert_int_equal(seen->n_files, 1);
	assert_false(f->f.has_hash || f->f.has_size || f->f.more_ranges);
	assert_int_equal(f->f.bytes, 20);
	assert_int_equal(f->f.n_ranges, 3);
	assert_true(f->ranges[0].from == 0 && f->ranges[0].to == 8);
	assert_true(f->ranges[1].from == 50 && f->ranges[1].to == 54);
	assert_true(f->ranges[2].from == 100 && f->ranges[2].to == 108);
	assert_int_equal(f->f.status, 4);
	assert_string_equal(f->f.text, "No way");
	seen_free(seen);
}

static void
test_more_ranges_than_are_told_are_counted(void **state)
{
	struct stream *s = hello();
	const struct seen_file *f;
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "a", U(FXP_F_WRITE));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	for (uint32_t i = 0; i < 2 * WATCH_RANGES_MAX; i++)
		stream_sftp(s, F, FXP_WRITE, "usqs", U(2 + i), "h", Q(i * 10), "x");
	/* One that fills a gap joins two, and there is room again. */
	seen = feed(s, SIZE_MAX);
	f = seen_file(seen, 0);
	assert_true(f->f.more_ranges && !f->f.has_hash);
	assert_int_equal(f->f.n_ranges, WATCH_RANGES_MAX);
	assert_int_equal(f->f.bytes, 2 * WATCH_RANGES_MAX);
	seen_free(seen);
	stream_sftp(s, F, FXP_WRITE, "usqs", U(500), "h", Q(1), "123456789");
	seen = feed_all(s);
	f = seen_file(seen, 0);
	assert_int_equal(f->f.n_ranges, WATCH_RANGES_MAX - 1);
	assert_true(f->ranges[0].from == 0 && f->ranges[0].to == 11);
	seen_free(seen);
}

static void
test_an_append_claims_no_hash(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "log", U(FXP_F_WRITE | FXP_F_APPEND));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	stream_sftp(s, F, FXP_WRITE, "usqs", U(2), "h", Q(0), "line");
	status(s, 2, 0);
	stream_sftp(s, F, FXP_CLOSE, "us", U(3), "h");
	status(s, 3, 0);
	seen = feed_all(s);
	assert_false(seen_file(seen, 0)->f.has_hash || seen_file(seen, 0)->f.has_size);
	assert_int_equal(seen_file(seen, 0)->f.n_ranges, 1);
	seen_free(seen);
}

static void
test_an_empty_file_has_the_hash_of_nothing(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	stream_sftp(
	    s, F, FXP_OPEN, "usun", U(1), "empty", U(FXP_F_WRITE | FXP_F_CREAT | FXP_F_TRUNC));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	stream_sftp(s, F, FXP_OPEN, "usun", U(2), "empty2", U(FXP_F_READ));
	stream_sftp(s, B, FXP_HANDLE, "us", U(2), "g");
	stream_sftp(s, F, FXP_READ, "usqu", U(3), "g", Q(0), U(4));
	status(s, 3, FXP_EOF);
	stream_sftp(s, F, FXP_CLOSE, "us", U(4), "h");
	status(s, 4, 0);
	stream_sftp(s, F, FXP_CLOSE, "us", U(5), "g");
	status(s, 5, 0);
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 2);
	for (size_t i = 0; i < 2; i++)
		check_hash(&seen_file(seen, i)->f, "", 0);
	assert_int_equal(seen_file(seen, 0)->f.op, WATCH_PUT);
	assert_int_equal(seen_file(seen, 1)->f.op, WATCH_GET);
	assert_int_equal(seen_file(seen, 1)->f.number, 2);
	seen_free(seen);
}

/* A file that is open for reading and writing is two operations when content crossed both ways. */
static void
test_both_ways_are_two_operations(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "rw", U(FXP_F_READ | FXP_F_WRITE));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	stream_sftp(s, F, FXP_READ, "usqu", U(2), "h", Q(0), U(9));
	stream_sftp(s, B, FXP_DATA, "us", U(2), "old");
	stream_sftp(s, F, FXP_WRITE, "usqs", U(3), "h", Q(0), "newer");
	status(s, 3, 0);
	stream_sftp(s, F, FXP_FSTAT, "us", U(4), "h");
	stream_sftp(s, B, FXP_ATTRS, "uS", U(4), Q(5));
	stream_sftp(s, F, FXP_CLOSE, "us", U(5), "h");
	status(s, 5, 0);
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 2);
	assert_int_equal(seen_file(seen, 0)->f.op, WATCH_PUT);
	assert_int_equal(seen_file(seen, 0)->f.number, 2);
	check_hash(&seen_file(seen, 0)->f, "newer", 5);
	assert_int_equal(seen_file(seen, 0)->f.size, 5);
	assert_int_equal(seen_file(seen, 1)->f.op, WATCH_GET);
	check_hash(&seen_file(seen, 1)->f, "old", 3);
	seen_free(seen);
}

/* Requests that are an operation by themselves. */
static void
test_each_operation_is_told_with_the_answer(void **state)
{
	static const struct {
		uint8_t type;
		const char *extension, *fmt;
		enum watch_op op;
		bool two;
	} rows[] = {
		{ FXP_MKDIR, NULL, "usa", WATCH_MKDIR, false },
		{ FXP_RMDIR, NULL, "us", WATCH_RMDIR, false },
		{ FXP_REMOVE, NULL, "us", WATCH_REMOVE, false },
		{ FXP_SETSTAT, NULL, "usa", WATCH_SETSTAT, false },
		{ FXP_RENAME, NULL, "uss", WATCH_RENAME, true },
		{ FXP_SYMLINK, NULL, "uss", WATCH_SYMLINK, true },
		{ FXP_EXTENDED, "posix-rename@openssh.com", "usss", WATCH_RENAME, true },
		{ FXP_EXTENDED, "hardlink@openssh.com", "usss", WATCH_LINK, true },
		{ FXP_EXTENDED, "lsetstat@openssh.com", "ussa", WATCH_SETSTAT, false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		for (uint32_t code = 0; code < 5; code += 4) {
			struct stream *s = hello();
			const struct seen_file *f;
			struct told *seen;

			if (rows[i].extension != NULL)
				stream_sftp(s, F, rows[i].type, rows[i].fmt, U(9),
				    rows[i].extension, "one",
				    rows[i].two ? (const char *)"two" : (const char *)0600);
			else
				stream_sftp(s, F, rows[i].type, rows[i].fmt, U(9), "one",
				    rows[i].two ? (const char *)"two" : (const char *)0600);
			status(s, 9, code);
			seen = feed_all(s);
			f = seen_file(seen, 0);
			assert_int_equal(seen->n_files, 1);
			assert_int_equal(f->f.op, rows[i].op);
			assert_string_equal(f->path, "one");
			assert_string_equal(f->path2, rows[i].two ? "two" : "");
			assert_true(f->f.answered);
			assert_int_equal(f->f.status, code);
			assert_string_equal(f->f.text, code == 0 ? "" : "No way");
			if (strchr(rows[i].fmt, 'a') != NULL)
				assert_true(f->f.has_mode && f->f.mode == 0600);
			seen_free(seen);
		}
}

static void
test_a_listing_and_a_refused_open_are_told(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPENDIR, "us", U(1), "/etc");
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "d");
	stream_sftp(s, F, FXP_READDIR, "us", U(2), "d");
	stream_sftp(s, B, FXP_NAME, "uussn", U(2), U(1), "passwd", "-rw");
	stream_sftp(s, F, FXP_CLOSE, "us", U(3), "d");
	status(s, 3, 0);
	stream_sftp(s, F, FXP_OPEN, "usun", U(4), "/etc/shadow", U(FXP_F_READ));
	status(s, 4, FXP_PERMISSION_DENIED);
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 2);
	assert_int_equal(seen_file(seen, 0)->f.op, WATCH_LIST);
	assert_int_equal(seen_file(seen, 1)->f.op, WATCH_GET);
	assert_int_equal(seen_file(seen, 1)->f.status, FXP_PERMISSION_DENIED);
	assert_false(seen_file(seen, 1)->f.has_hash);
	seen_free(seen);
}

static void
test_a_copy_at_the_target_is_no_content(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	stream_sftp(s, F, FXP_OPEN, "usun", U(1), "from", U(FXP_F_READ));
	stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
	stream_sftp(s, F, FXP_OPEN, "usun", U(2), "to", U(FXP_F_WRITE | FXP_F_TRUNC));
	stream_sftp(s, B, FXP_HANDLE, "us", U(2), "g");
	stream_sftp(s, F, FXP_EXTENDED, "ussqqsq", U(3), "copy-data", "h", Q(0), Q(77), "g", Q(0));
	status(s, 3, 0);
	stream_sftp(s, F, FXP_CLOSE, "us", U(4), "g");
	status(s, 4, 0);
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 3);
	assert_int_equal(seen_file(seen, 0)->f.op, WATCH_COPY);
	assert_string_equal(seen_file(seen, 0)->path, "from");
	assert_string_equal(seen_file(seen, 0)->path2, "to");
	assert_int_equal(seen_file(seen, 0)->f.size, 77);
	/* What is in "to" is not only what crossed, and nothing did: neither hash nor made-up size. */
	assert_int_equal(seen_file(seen, 1)->f.op, WATCH_PUT);
	assert_false(seen_file(seen, 1)->f.has_hash || seen_file(seen, 1)->f.has_size);
	seen_free(seen);
}

static void
test_a_long_path_is_cut_and_said_so(void **state)
{
	static const size_t lens[] = { WATCH_PATH_MAX, WATCH_PATH_MAX + 1, 20000, 250000 };

	(void)state;
	for (size_t i = 0; i < N_OF(lens); i++) {
		struct stream *s = hello();
		char *path = calloc(1, lens[i] + 1);
		struct told *seen;

		memset(path, 'p', lens[i]);
		stream_sftp(s, F, FXP_RENAME, "uss", U(1), path, "x");
		status(s, 1, 0);
		seen = feed_all(s);
		assert_int_equal(seen->n_files, 1);
		assert_int_equal(seen->files[0].f.path_len, WATCH_PATH_MAX);
		assert_true(seen->files[0].f.cut == (lens[i] > WATCH_PATH_MAX));
		assert_string_equal(seen->files[0].path2, lens[i] < 12000 ? "x" : "");
		seen_free(seen);
		free(path);
	}
}

/* Streams that do not fit the protocol: one remark, every byte plain from there on. */
static void
test_what_does_not_fit_is_plain_and_said_once(void **state)
{
	static const struct {
		enum event_way way;
		const char *bytes;
		size_t len;
	} rows[] = {
#define ROW(way, bytes) { way, bytes, sizeof(bytes) - 1 }
		ROW(F, "\0\0\0\0\3"),
		ROW(F, "\1\0\0\1\3"),
		ROW(F, "\377\377\377\377\3"),
		ROW(F, "GET / HTTP/1.0\r\n"),
		ROW(F, "\0\0\0\1\3"),
		ROW(F, "\0\0\0\4\3\0\0\0"),
		ROW(F, "\0\0\0\5\143\0\0\0\1"),
		ROW(F, "\0\0\0\5\1\0\0\0\3"),
		ROW(F, "\0\0\0\12\15\0\0\0\1\0\0\0\2x"),
		ROW(F, "\0\0\0\12\15\0\0\0\1\377\377\377\377x"),
		/* WRITE: its handle, its content longer than the packet; a handle that is too long */
		ROW(F, "\0\0\0\11\6\0\0\0\1\0\0\0\1"),
		ROW(F, "\0\0\0\26\6\0\0\0\1\0\0\0\1h\0\0\0\0\0\0\0\0\0\0\0\1"),
		ROW(F, "\0\0\1\200\6\0\0\0\1\0\0\1\1"),
		ROW(B, "\0\0\0\5\146\0\0\0\1"),
		ROW(B, "\0\0\0\11\147\0\0\0\7\0\0\0\0"),
		ROW(B, "\0\0\0\5\145\0\0\0\1"),
		ROW(B, "\0\0\0\5\2\0\0\0\3"),
		ROW(B, "\0\0\0\5\1\0\0\0\3"),
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		for (size_t step = 1; step <= 64; step *= 8) {
			struct stream *s = hello();
			struct told *seen;

			stream_sftp(s, F, FXP_OPEN, "usun", U(1), "a", U(FXP_F_WRITE));
			if (rows[i].way == F)
				stream_sftp(s, B, FXP_HANDLE, "us", U(1), "h");
			stream_put(s, rows[i].way, rows[i].bytes, rows[i].len);
			stream_sftp(s, F, FXP_WRITE, "usqs", U(2), "h", Q(0), "after");
			stream_sftp(s, B, FXP_DATA, "us", U(1), "after");
			seen = feed(s, step);
			stream_free(s);
			if (seen->n_remarks != 1)
				fail_msg(
				    "row %zu, step %zu: %zu remarks", i, step, seen->n_remarks);
			assert_string_equal(seen->words[0], "unfollowed");
			assert_true(strlen(seen->texts[0]) > 10);
			assert_int_equal(seen->content[0] + seen->content[1], 0);
			assert_int_equal(seen->n_files, 1); /* the open file, as it stands */
			assert_false(seen->files[0].f.answered);
			seen_free(seen);
		}
}

static void
test_beginnings_that_are_not_version_3(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct stream *s = stream_new();
		struct told *seen;

		if (i == 0)
			stream_sftp(s, F, FXP_OPEN, "usun", U(1), "a", U(1));
		else
			stream_sftp(s, F, FXP_INIT, "u", U(6));
		if (i == 1)
			stream_sftp(s, B, FXP_VERSION_IS, "u", U(6));
		if (i == 2)
			stream_put(s, B, "motd of the day\n", 16);
		stream_sftp(s, F, FXP_MKDIR, "usn", U(1), "d");
		seen = feed_all(s);
		assert_int_equal(seen->n_remarks, 1);
		assert_int_equal(seen->n_files, 0);
		seen_free(seen);
	}
}

static void
test_memory_is_bounded(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct stream *s = hello();
		char *path = calloc(1, 4096);
		struct told *seen;

		memset(path, 'p', 4095);
		for (uint32_t i = 1; i <= WATCH_PENDING_MAX + 1; i++) {
			if (kind == 0)
				stream_sftp(s, F, FXP_RMDIR, "us", U(i), "d");
			else if (kind == 1 && i <= 300)
				stream_sftp(s, F, FXP_RMDIR, "us", U(i), path);
			else if (kind == 2) {
				stream_sftp(s, F, FXP_OPENDIR, "us", U(i), "d");
				stream_sftp(s, B, FXP_HANDLE, "us", U(i), "h");
			}
		}
		seen = feed_all(s);
		assert_int_equal(seen->n_remarks, 1);
		assert_string_equal(seen->words[0], "unfollowed");
		assert_non_null(strstr(seen->texts[0], "more "));
		seen_free(seen);
		free(path);
	}
}

/* Answers that nobody waits for, and requests about handles that nobody opened. */
static void
test_what_concerns_nothing_is_passed_over(void **state)
{
	struct stream *s = hello();
	struct told *seen;

	(void)state;
	status(s, 77, 4);
	stream_sftp(s, B, FXP_NAME, "uu", U(3), U(0));
	stream_sftp(s, F, FXP_CLOSE, "us", U(1), "nope");
	stream_sftp(s, F, FXP_READ, "usqu", U(2), "nope", Q(0), U(1));
	stream_sftp(s, F, FXP_WRITE, "usqs", U(3), "nope", Q(0), "bytes");
	stream_sftp(s, F, FXP_EXTENDED, "uss", U(4), "statvfs@openssh.com", "/");
	stream_sftp(s, B, FXP_EXTENDED_REPLY, "uqq", U(4), Q(1), Q(2));
	stream_sftp(s, F, FXP_EXTENDED, "us", U(5), "limits@openssh.com");
	stream_sftp(s, F, FXP_STAT, "us", U(6), "/");
	seen = feed_all(s);
	assert_int_equal(seen->n_files, 0);
	assert_int_equal(seen->n_remarks, 0);
	assert_int_equal(seen->content[0], 0);
	seen_free(seen);
}

static void
test_the_sink_can_stop_it(void **state)
{
	struct stream *s = put_stream();
	struct told *seen = seen_new();
	struct watch *w;

	(void)state;
	assert_int_equal(watch_new(POL_STREAM_SFTP, "", &seen_sink, seen, &w), 0);
	seen->fail = ERR_LIMIT;
	assert_int_equal(stream_feed(s, w, seen, SIZE_MAX), ERR_LIMIT);
	watch_free(w);
	seen_free(seen);
	stream_free(s);
}

static void
test_numbers_can_be_shared(void **state)
{
	struct stream *s = put_stream();
	struct told *seen = seen_new();
	uint32_t last = 41;
	struct watch *w;

	(void)state;
	assert_int_equal(watch_new(POL_STREAM_SFTP, "", &seen_sink, seen, &w), 0);
	watch_share_numbers(w, &last);
	assert_int_equal(stream_feed(s, w, seen, SIZE_MAX), 0);
	assert_int_equal(seen_file(seen, 0)->f.number, 42);
	assert_int_equal(last, 42);
	watch_free(w);
	seen_free(seen);
	stream_free(s);
}

static void
test_plain_is_no_kind(void **state)
{
	struct watch *w;

	(void)state;
	assert_int_equal(watch_new(POL_STREAM_PLAIN, "", &seen_sink, NULL, &w), ERR_FORMAT);
	assert_int_equal(watch_new(200, "", &seen_sink, NULL, &w), ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_put_is_told_however_it_is_cut),
		cmocka_unit_test(test_a_put_is_told_when_cut_once_anywhere),
		cmocka_unit_test(test_a_get_has_its_size_from_the_end_of_file),
		cmocka_unit_test(test_what_is_not_answered_is_told_as_it_stands),
		cmocka_unit_test(test_content_out_of_order_has_ranges_and_no_hash),
		cmocka_unit_test(test_more_ranges_than_are_told_are_counted),
		cmocka_unit_test(test_an_append_claims_no_hash),
		cmocka_unit_test(test_an_empty_file_has_the_hash_of_nothing),
		cmocka_unit_test(test_both_ways_are_two_operations),
		cmocka_unit_test(test_each_operation_is_told_with_the_answer),
		cmocka_unit_test(test_a_listing_and_a_refused_open_are_told),
		cmocka_unit_test(test_a_copy_at_the_target_is_no_content),
		cmocka_unit_test(test_a_long_path_is_cut_and_said_so),
		cmocka_unit_test(test_what_does_not_fit_is_plain_and_said_once),
		cmocka_unit_test(test_beginnings_that_are_not_version_3),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_what_concerns_nothing_is_passed_over),
		cmocka_unit_test(test_the_sink_can_stop_it),
		cmocka_unit_test(test_numbers_can_be_shared),
		cmocka_unit_test(test_plain_is_no_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
