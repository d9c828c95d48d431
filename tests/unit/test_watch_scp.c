/* The old protocol of scp: turns, lines, contents. */
#include "config.h"

#include "lib/hash.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "tests/lib/test.h"
#include "tests/unit/watch_rig.h"

#define LOST "unfollowed: not the protocol of scp, or out of turn\n"

/* What one side says next: '>' to the target, '<' from it. */
struct say {
	char way;
	const char *bytes;
	size_t len;
};
#define TO(s)                                                                                      \
	{                                                                                          \
		'>', s, sizeof(s) - 1                                                              \
	}
#define FROM(s)                                                                                    \
	{                                                                                          \
		'<', s, sizeof(s) - 1                                                              \
	}

static void
play(struct rig *g, const struct say *s, size_t n, size_t piece)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rig_feed(g, s[i].way == '>' ? EVENT_FRONT : EVENT_BACK, s[i].bytes,
				     s[i].len, piece),
		    0);
}

static void
begin(struct rig *g, const char *command)
{
	assert_int_equal(rig_start(g, POL_STREAM_SCP, command), 0);
}

static void
assert_hash(const struct rig_file *f, const char *content)
{
	uint8_t hash[HASH_LEN];

	hash_sha256(content, strlen(content), hash);
	assert_true(f->f.has_hash);
	assert_memory_equal(f->f.sha256, hash, HASH_LEN);
	assert_int_equal(f->f.bytes, strlen(content));
	assert_int_equal(f->content, strlen(content));
	assert_int_equal(f->f.n_ranges, 0);
}

static void
test_other_commands_are_not_followed(void **state)
{
	static const char *const bad[] = { "", "scp", "scp -t", "scp -t -f x", "scp x", "scpx -t x",
		"scp -x -t x", "scp -tf x", "scp -t x; bash", "scp -t x && bash", "scp -t $(id)",
		"scp -t `id`", "scp -t \"$(id)\"", "scp -t 'x", "scp -t x\nid", "scp -t x|id",
		"scp -t x>y", "/tmp/scp -t x", "scp - -t x", "sh -c 'scp -t x'", "scp -t (x" };
	static const char *const good[] = { "scp -t x", "scp -f x", "scp  -r -p -v -q -d -t -- x",
		"scp -rpt .", "scp -f 'a b' c", "scp -t a\\ \\(1\\)", "scp -t -- -x",
		"scp -f *.txt ~/x" };
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(rig_start(&g, POL_STREAM_SCP, bad[i]), ERR_FORMAT);
	for (size_t i = 0; i < N_OF(good); i++) {
		begin(&g, good[i]);
		rig_end(&g);
	}
}

/* Every kind of line, in every size of pieces: the same is told. */
static const struct say upload[] = { FROM("\0"), TO("T1700000000 0 1700000001 0\n"), FROM("\0"),
	TO("D0755 0 top\n"), FROM("\0"), TO("C0640 5 a b\n"), FROM("\0"), TO("hello\0"), FROM("\0"),
	TO("D0700 0 in\303\274\n"), FROM("\0"), TO("C0600 0 empty\n"), FROM("\0"), TO("\0"),
	FROM("\0"), TO("E\n"), FROM("\0"), TO("E\n"), FROM("\0"), TO("C0644 3 last\n"), FROM("\0"),
	TO("C05\0"), FROM("\0") };

static void
assert_upload(const struct rig *g)
{
	assert_int_equal(g->n_files, 3);
	assert_string_equal(g->remarks, "");
	assert_string_equal(rig_file(g, 0)->path, "top/a b");
	assert_hash(rig_file(g, 0), "hello");
	assert_int_equal(g->files[0].f.mode, 0640);
	assert_string_equal(rig_file(g, 1)->path, "top/in\303\274/empty");
	assert_hash(rig_file(g, 1), "");
	assert_string_equal(rig_file(g, 2)->path, "last");
	assert_hash(rig_file(g, 2), "C05");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(g->files[i].f.number, i + 1);
		assert_int_equal(g->files[i].f.op, WATCH_PUT);
		assert_true(g->files[i].f.answered && g->files[i].f.status == 0);
		assert_true(g->files[i].f.has_size && g->files[i].f.has_mode);
	}
}

static void
test_an_upload_is_told_whatever_the_pieces(void **state)
{
	struct rig g;

	(void)state;
	for (size_t piece = 1; piece < 32; piece++) {
		begin(&g, "scp -rp -t x");
		play(&g, upload, N_OF(upload), piece);
		assert_true(watch_follows(g.w));
		rig_end(&g);
		assert_upload(&g);
	}
}

/* The target's byte behind the content is the result; the client's answer changes nothing. */
static void
test_a_download_is_told_as_the_target_ended_it(void **state)
{
	static const struct say s[] = { TO("\0"), FROM("C0644 5 a\n"), TO("\0"), FROM("hello\0"),
		TO("\1scp: no room\n"), FROM("C0644 2 b\n"), TO("\0"),
		FROM("xx\1scp: b: read error\n"), TO("\0"), FROM("\1scp: c: Permission denied\n"),
		FROM("C0644 2 d\n"), TO("\1scp: d: exists\n") };
	struct rig g;

	(void)state;
	begin(&g, "scp -f a b c d");
	play(&g, s, N_OF(s), 3);
	assert_true(watch_follows(g.w));
	rig_end(&g);
	assert_int_equal(g.n_files, 3);
	assert_hash(rig_file(&g, 0), "hello");
	assert_true(g.files[0].f.answered && g.files[0].f.status == 0);
	assert_int_equal(g.files[0].f.op, WATCH_GET);
	assert_hash(rig_file(&g, 1), "xx");
	assert_int_equal(g.files[1].f.status, 1);
	assert_string_equal(g.files[1].f.text, "scp: b: read error");
	assert_false(g.files[2].f.answered || g.files[2].f.has_hash);
	assert_string_equal(g.remarks, "scp-error: scp: c: Permission denied\n");
}

static void
test_what_the_target_refuses_is_told_so(void **state)
{
	static const struct say s[] = { FROM("\0"), TO("C0644 5 a\n"),
		FROM("\1scp: a: no\x1b[1m\n"), TO("D0755 0 sub\n"),
		FROM("\1scp: sub: Not a directory\n"), TO("C0644 0 e\n"), FROM("\1scp: e: no\n"),
		TO("C0644 5 b\n"), FROM("\0"), TO("hello\0"),
		FROM("\1scp: b: No space left on device\n"), TO("C0644 1 c\n"), FROM("\2gone\n") };
	struct rig g;

	(void)state;
	begin(&g, "scp -r -t x");
	play(&g, s, N_OF(s), 5);
	assert_true(watch_follows(g.w));
	rig_end(&g);
	assert_int_equal(g.n_files, 5);
	assert_string_equal(g.files[0].f.text, "scp: a: no\\x1b[1m");
	assert_true(g.files[0].f.answered && g.files[0].f.status == 1);
	assert_false(g.files[0].f.has_hash);
	assert_int_equal(g.files[1].f.op, WATCH_MKDIR);
	assert_string_equal(g.files[1].path, "sub");
	assert_int_equal(g.files[1].f.status, 1);
	assert_string_equal(g.files[2].path, "e");
	assert_false(g.files[2].f.has_hash);
	assert_hash(rig_file(&g, 3), "hello");
	assert_int_equal(g.files[3].f.status, 1);
	assert_int_equal(g.files[4].f.status, 2);
}

/* The end in the middle of a file: what came, as a range, without an answer. */
static void
test_a_torn_transfer_is_told_as_it_stands(void **state)
{
	static const struct say s[] = { FROM("\0"), TO("C0644 5 a\n"), FROM("\0"), TO("wor") };
	struct rig g;

	(void)state;
	begin(&g, "scp -t x");
	play(&g, s, N_OF(s), 2);
	rig_end(&g);
	assert_int_equal(g.n_files, 1);
	assert_false(g.files[0].f.has_hash || g.files[0].f.answered);
	assert_int_equal(g.files[0].f.size, 5);
	assert_int_equal(g.files[0].f.n_ranges, 1);
	assert_int_equal(g.files[0].ranges[0].from, 0);
	assert_int_equal(g.files[0].ranges[0].to, 3);
}

/* Each: what goes before, and the piece that is not the protocol. All of it is plain from then on. */
static void
test_what_is_out_of_turn_or_form_is_given_up(void **state)
{
	static const struct {
		const char *command;
		struct say before[3], odd;
	} bad[] = {
		{ "scp -t x", { { 0 } }, TO("C0644 5 a\n") },
		{ "scp -t x", { { 0 } }, FROM("x") },
		{ "scp -t x", { { 0 } }, FROM("\0\0") },
		{ "scp -f x", { { 0 } }, FROM("C0644 5 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5 a\nhello") },
		{ "scp -t x", { FROM("\0") }, TO("x") },
		{ "scp -t x", { FROM("\0") }, TO("\n") },
		{ "scp -t x", { FROM("\0") }, TO("\0") },
		{ "scp -t x", { FROM("\0") }, TO("E\n") },
		{ "scp -t x", { FROM("\0") }, TO("D0755 0 d\n") },
		{ "scp -t x", { FROM("\0") }, TO("C644 5 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0648 5 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 -5 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 05 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 9223372036854775808 a\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5 \n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5 ..\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5 a/b\n") },
		{ "scp -t x", { FROM("\0") }, TO("C0644 5 a\0b\n") },
		{ "scp -t x", { FROM("\0") }, TO("T1 0 1\n") },
		{ "scp -t x", { FROM("\0") }, TO("T1 0 1 0x\n") },
		{ "scp -t x", { FROM("\0"), TO("C0644 5 a\n") }, FROM("hello") },
		{ "scp -t x", { FROM("\0"), TO("C0644 5 a\n"), FROM("\0") }, FROM("\0") },
		{ "scp -t x", { FROM("\0"), TO("C0644 5 a\n"), FROM("\0") }, TO("hellox") },
		{ "scp -t x", { FROM("\0"), TO("C0644 5 a\n"), FROM("\0") }, TO("hello\0\0") },
		{ "scp -t x", { FROM("\0"), TO("\2end\n") }, TO("C0644 5 a\n") },
	};
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		uint64_t n = 0;

		begin(&g, bad[i].command);
		for (size_t j = 0; j < N_OF(bad[i].before) && bad[i].before[j].way != 0; j++) {
			play(&g, &bad[i].before[j], 1, 100);
			n += bad[i].before[j].len;
		}
		assert_true(watch_follows(g.w));
		play(&g, &bad[i].odd, 1, 100);
		if (watch_follows(g.w))
			fail_msg("row %zu is still followed", i);
		play(&g, (const struct say[]){ TO("anything\n"), FROM("else\0") }, 2, 4);
		rig_end(&g);
		assert_string_equal(g.remarks, LOST);
		assert_int_equal(g.plain + g.content[1], n + bad[i].odd.len + 14);
	}
}

static void
test_lines_and_depth_are_bounded(void **state)
{
	static char line[9000];
	struct rig g;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "C0644 1 ", 8);
	begin(&g, "scp -t x");
	play(&g, (const struct say[]){ FROM("\0") }, 1, 1);
	assert_int_equal(rig_feed(&g, EVENT_FRONT, line, 8192, 1000), 0);
	assert_true(watch_follows(g.w));
	assert_int_equal(rig_feed(&g, EVENT_FRONT, line, 1, 1), 0);
	assert_false(watch_follows(g.w));
	rig_end(&g);

	begin(&g, "scp -r -t x");
	play(&g, (const struct say[]){ FROM("\0") }, 1, 1);
	for (size_t i = 0; i < 256; i++) {
		assert_true(watch_follows(g.w));
		play(&g, (const struct say[]){ TO("D0755 0 d\n"), FROM("\0") }, 2, 100);
	}
	play(&g, (const struct say[]){ TO("D0755 0 d\n") }, 1, 100);
	assert_false(watch_follows(g.w));
	rig_end(&g);
}

/* A path longer than is told: cut, marked; behind it all is as it was. */
static void
test_a_long_path_is_cut_and_marked(void **state)
{
	static const struct say file[] = { TO("C0644 0 f\n"), FROM("\0"), TO("\0"), FROM("\0") };
	char line[256];
	struct rig g;

	(void)state;
	begin(&g, "scp -r -t x");
	play(&g, (const struct say[]){ FROM("\0") }, 1, 1);
	memset(line, 'n', sizeof(line));
	memcpy(line, "D0755 0 ", 8);
	line[255] = '\n';
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(rig_feed(&g, EVENT_FRONT, line, 256, 256), 0);
		play(&g, (const struct say[]){ FROM("\0") }, 1, 1);
	}
	play(&g, file, N_OF(file), 9);
	for (size_t i = 0; i < 20; i++)
		play(&g, (const struct say[]){ TO("E\n"), FROM("\0") }, 2, 9);
	play(&g, file, N_OF(file), 9);
	assert_true(watch_follows(g.w));
	rig_end(&g);
	assert_true(rig_file(&g, 0)->f.cut);
	assert_int_equal(g.files[0].f.path_len, WATCH_PATH_MAX);
	assert_false(rig_file(&g, 1)->f.cut);
	assert_string_equal(g.files[1].path, "f");
}

/* An error of the sink ends the call with it, wherever it comes. */
static void
test_what_the_sink_answers_comes_back(void **state)
{
	struct rig g;
	size_t n;

	(void)state;
	begin(&g, "scp -rp -t x");
	play(&g, upload, N_OF(upload), 4);
	n = g.n_calls;
	rig_end(&g);
	for (size_t at = 1; at <= n; at++) {
		int r = 0;

		begin(&g, "scp -rp -t x");
		g.fail_after = at;
		for (size_t i = 0; r == 0 && i < N_OF(upload); i++)
			r = rig_feed(&g, upload[i].way == '>' ? EVENT_FRONT : EVENT_BACK,
			    upload[i].bytes, upload[i].len, 4);
		assert_int_equal(r, ERR_LIMIT);
		watch_free(g.w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_commands_are_not_followed),
		cmocka_unit_test(test_an_upload_is_told_whatever_the_pieces),
		cmocka_unit_test(test_a_download_is_told_as_the_target_ended_it),
		cmocka_unit_test(test_what_the_target_refuses_is_told_so),
		cmocka_unit_test(test_a_torn_transfer_is_told_as_it_stands),
		cmocka_unit_test(test_what_is_out_of_turn_or_form_is_given_up),
		cmocka_unit_test(test_lines_and_depth_are_bounded),
		cmocka_unit_test(test_a_long_path_is_cut_and_marked),
		cmocka_unit_test(test_what_the_sink_answers_comes_back),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
