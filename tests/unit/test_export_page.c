/* asciicast v3 with a parser of its own, and the page: nothing of a recording is anything but text in it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bastionctl/export.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/str.h"

#define HOSTILE "</script><script>alert(1)</script><!--<img src=x>&quot;'\"`\\u202e\\u2028"

static const char session_text[] =
    "{\"id\":\"00112233445566778899aabbccddeeff\",\"identity\":\"al<i>ce\\u202e&\",\"login\":"
    "\"root\","
    "\"host\":\"</title><script>alert(1)</script>\",\"address\":\"\\u001b[2J\","
    "\"started_at\":\"2026-01-02T03:04:05.000000006Z\",\"ended_at\":null,\"state\":\"open\","
    "\"channels\":[{\"n\":1,\"kind\":\"exec\",\"command\":\"echo \\u20ac \\ud83d\\ude00 "
    "<b>\\u2067\","
    "\"exit_status\":7,\"pty\":false},"
    "{\"n\":2,\"kind\":\"shell\",\"command\":\"\",\"pty\":true,\"term\":\"xterm\",\"cols\":101,"
    "\"rows\":33}]}";

static struct page_player player = { { (char *)(uintptr_t) "var AsciinemaPlayer;",
					 (char *)(uintptr_t) ".ap-term{}",
					 (char *)(uintptr_t) "The <licence> of\nthe player" },
	{ 20, 10, 27 } };
static const struct export_page page = { &player, "verified </td>: \xe2\x80\xae whole", true };

struct rig {
	struct export x;
	struct json_node *session;
	char *text;
	size_t len;
	FILE *out;
	uint64_t seq, at_ns;
};

static void
rig_begin(struct rig *g, const char *format, uint32_t channel)
{
	struct export_view view;

	memset(g, 0, sizeof(*g));
	assert_int_equal(json_parse(session_text, strlen(session_text), &g->session), 0);
	g->out = open_memstream(&g->text, &g->len);
	assert_non_null(g->out);
	view = (struct export_view){ .session = g->session, .channel = channel, .page = &page };
	if (!export_find(format)->page)
		view.page = NULL;
	assert_int_equal(export_begin(&g->x, export_find(format), g->out, &view), 0);
}

static void
rig_event(
    struct rig *g, enum event_way way, uint8_t type, uint32_t channel, const void *data, size_t len)
{
	struct event ev = { ++g->seq, g->at_ns, way, type, channel, data, len };

	assert_int_equal(export_event(&g->x, &ev), 0);
}

static void
rig_out(struct rig *g, uint32_t channel, const char *text)
{
	rig_event(g, EVENT_BACK, LINK_DATA, channel, text, strlen(text));
}

static void
rig_request(struct rig *g, uint32_t channel, const char *name, const char *string)
{
	struct buf *b = buf_new(4096);

	assert_non_null(b);
	assert_int_equal(buf_put_u32(b, 1) | buf_put_cstr(b, name) | buf_put_u8(b, 1), 0);
	if (string != NULL)
		assert_int_equal(buf_put_cstr(b, string), 0);
	rig_event(g, EVENT_FRONT, LINK_REQUEST, channel, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
rig_end(struct rig *g)
{
	assert_int_equal(export_end(&g->x), 0);
	assert_int_equal(fclose(g->out), 0);
}

static void
rig_done(struct rig *g)
{
	export_free(&g->x);
	json_node_free(g->session);
	free(g->text);
}

/* One event of an asciicast v3, as its description says; at: the sum of the intervals so far. */
struct cast_event {
	double interval;
	char code;
	char *data; /* owned */
};

/* The next line that is no comment; the header is the caller's. False: the end. */
static bool
cast_next(char **at, struct cast_event *ret)
{
	struct json_node *line = NULL;
	char *text, *end, *code;

	do {
		text = strsep(at, "\n");
	} while (text != NULL && text[0] == '#');
	if (text == NULL || text[0] == '\0')
		return false;
	assert_int_equal(text[0], '[');
	ret->interval = strtod(text + 1, &end);
	assert_true(ret->interval >= 0);
	assert_memory_equal(end, ", \"", 3);
	code = end + 3;
	assert_non_null(strchr("oirmx", *code));
	ret->code = *code;
	assert_memory_equal(code + 1, "\", \"", 4);
	assert_int_equal(json_parse(text, strlen(text), &line), 0);
	assert_int_equal(json_n(line), 3);
	ret->data = strdup(json_str(json_at(line, 2), ""));
	assert_non_null(ret->data);
	json_node_free(line);
	return true;
}

static void
test_v3_is_what_the_golden_text_says(void **state)
{
	static const char pty[] = "\0\0\0\5xterm\0\0\0\145\0\0\0\41\0\0\0\0\0\0\0\0\0\0\0\0";
	struct rig g;
	struct buf *b = buf_new(256);
	char lost[512];

	(void)state;
	assert_non_null(b);
	rig_begin(&g, "asciicast-v3", 2);
	assert_int_equal(buf_put_u32(b, 1) | buf_put_cstr(b, "pty-req") | buf_put_u8(b, 1) |
			     buf_put(b, pty, sizeof(pty) - 1),
	    0);
	rig_event(&g, EVENT_FRONT, LINK_REQUEST, 2, buf_ptr(b), buf_len(b));
	rig_request(&g, 2, "shell", NULL);
	g.at_ns = 1500000600;
	rig_out(&g, 2, "a\"\\\033[31m\n");
	rig_event(&g, EVENT_FRONT, LINK_DATA, 2, "\003", 1);
	g.at_ns = 2000000000;
	rig_event(&g, EVENT_BACK, LINK_EXIT_SIGNAL, 2, "\0\0\0\4TERM\0\0\0\0\0\0\0\0\0", 17);
	rig_end(&g);
	assert_string_equal(g.text,
	    "{\"version\":3,\"term\":{\"cols\":101,\"rows\":33,\"type\":\"xterm\"},"
	    "\"timestamp\":1767323045,"
	    "\"title\":\"al<i>ce\\u202E& as root on </title><script>alert(1)</script>\","
	    "\"env\":{\"TERM\":\"xterm\"},\"tags\":[\"bastiond\",\"identity:al<i>ce\\u202E&\","
	    "\"login:root\",\"host:</title><script>alert(1)</script>\"]}\n"
	    "# session 00112233445566778899aabbccddeeff\n"
	    "[0.000000, \"r\", \"101x33\"]\n"
	    "[0.000000, \"m\", \"shell\"]\n"
	    "[1.500001, \"o\", \"a\\\"\\\\\\u001b[31m\\u000a\"]\n"
	    "[0.000000, \"i\", \"\\u0003\"]\n"
	    "[0.499999, \"x\", \"143\"]\n");
	assert_false(export_lost_text(&g.x, lost, sizeof(lost)));
	rig_done(&g);
	buf_free(b);
}

static void
test_v3_rounding_never_adds_up(void **state)
{
	struct cast_event e;
	struct rig g;
	uint64_t seed = 1;
	uint64_t *at = calloc(20000, sizeof(*at));
	double sum = 0;
	char *rest;
	size_t n = 0;

	(void)state;
	assert_non_null(at);
	rig_begin(&g, "asciicast-v3", 2);
	for (size_t i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		g.at_ns += (seed >> 40) % 3000; /* mostly less than a microsecond off */
		at[i] = g.at_ns;
		rig_out(&g, 2, "x");
	}
	rig_end(&g);
	rest = g.text;
	(void)strsep(&rest, "\n");
	for (; cast_next(&rest, &e); n++) {
		double off = 0;

		sum += e.interval;
		off = sum * 1e9 - (double)at[n];
		assert_true(off < 501 && off > -501);
		assert_int_equal(e.code, 'o');
		assert_string_equal(e.data, "x");
		free(e.data);
	}
	assert_int_equal(n, 20000);
	rig_done(&g);
	free(at);
}

static void
test_v3_without_a_terminal_begins_lines_at_their_left(void **state)
{
	struct cast_event e;
	struct rig g;
	char *rest;

	(void)state;
	rig_begin(&g, "asciicast-v3", 1);
	rig_out(&g, 1, "one\ntwo\\n\n");
	rig_event(&g, EVENT_FRONT, LINK_DATA, 1, "in\n", 3);
	rig_event(&g, EVENT_BACK, LINK_EXIT_STATUS, 1, "\0\0\0\7", 4);
	rig_end(&g);
	rest = g.text;
	(void)strsep(&rest, "\n");
	assert_true(cast_next(&rest, &e));
	assert_string_equal(e.data, "one\r\ntwo\\n\r\n");
	free(e.data);
	assert_true(cast_next(&rest, &e));
	assert_int_equal(e.code, 'i');
	assert_string_equal(e.data, "in\n");
	free(e.data);
	assert_true(cast_next(&rest, &e));
	assert_int_equal(e.code, 'x');
	assert_string_equal(e.data, "7");
	free(e.data);
	assert_false(cast_next(&rest, &e));
	rig_done(&g);
}

static void
test_v3_signals_without_a_number_are_said_to_be_lost(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "asciicast-v3", 2);
	rig_event(&g, EVENT_BACK, LINK_EXIT_SIGNAL, 2, "\0\0\0\3X@Y\0\0\0\0\0\0\0\0\0", 16);
	rig_end(&g);
	assert_null(strstr(g.text, "\"x\""));
	assert_true(g.x.lost.exit);
	rig_done(&g);
}

/* The text between open and close, the n-th time; open and close stay outside. */
static char *
between(const char *text, const char *open, const char *close, unsigned n)
{
	const char *from = text, *to;

	for (unsigned i = 0; i <= n; i++) {
		from = strstr(from, open);
		if (from == NULL)
			return NULL;
		from += strlen(open);
	}
	to = strstr(from, close);
	assert_non_null(to);
	return strndup(from, (size_t)(to - from));
}

static void
hostile_page(struct rig *g)
{
	rig_begin(g, "html", 1);
	rig_request(g, 1, "exec", HOSTILE);
	rig_out(g, 1, HOSTILE "\xe2\x80\xae\xe2\x80\xa8\xe2\x81\xa6\xef\xbb\xbf caf\xc3\xa9\n");
	rig_out(g, 1, "\033]0;</script>\007");
	rig_event(g, EVENT_TO_FRONT, EVENT_FILE, 1,
	    "\0\0\0\1\0\0\0\054{\"op\":\"put\",\"path\":\"</script><b>\",\"status\":0}", 52);
	rig_end(g);
}

static void
test_the_policy_names_exactly_the_scripts_and_styles_of_the_page(void **state)
{
	static const char *const open[] = { "<script>", "<script>", "<style>", "<style>" };
	static const char *const close[] = { "</script>", "</script>", "</style>", "</style>" };
	static const unsigned nth[] = { 0, 1, 0, 1 };
	struct rig g;
	char *policy;

	(void)state;
	hostile_page(&g);
	policy = between(g.text, "Content-Security-Policy\" content=\"", "\"", 0);
	assert_non_null(policy);
	for (size_t i = 0; i < 4; i++) {
		char *text = between(g.text, open[i], close[i], nth[i]), *base64, want[128];
		uint8_t hash[HASH_LEN];

		assert_non_null(text);
		hash_sha256(text, strlen(text), hash);
		base64 = str_base64(hash, sizeof(hash));
		assert_non_null(base64);
		(void)snprintf(want, sizeof(want), "'sha256-%s'", base64);
		assert_non_null(strstr(policy, want));
		free(base64);
		free(text);
	}
	assert_null(between(g.text, "<script>", "</script>", 2));
	assert_null(between(g.text, "<style>", "</style>", 2));
	assert_ptr_equal(strstr(policy, "default-src 'none'; "), policy);
	assert_null(strstr(policy, "'unsafe-inline'"));
	assert_null(strstr(policy, " 'unsafe-eval'"));
	assert_null(strstr(policy, "http"));
	free(policy);
	rig_done(&g);
}

static void
test_nothing_of_a_recording_is_markup(void **state)
{
	struct rig g;
	char *cast, *head;

	(void)state;
	hostile_page(&g);
	cast = between(
	    g.text, "<script type=\"application/x-asciicast\" id=\"cast\">\n", "</script>", 0);
	assert_non_null(cast);
	assert_null(strchr(cast, '<'));
	assert_int_equal(cast[strlen(cast) - 1], '\n');
	assert_non_null(strstr(cast, "\\u003c/script>\\u003cscript>alert(1)"));
	/* What is no script of ours: the data's element, two of our own. */
	assert_null(strstr(g.text, "<script>alert"));
	assert_null(strstr(g.text, "<img"));
	assert_null(strstr(g.text, "<i>ce"));
	assert_null(strstr(g.text, "<licence>"));
	assert_null(strstr(g.text, "</td>:"));
	head = between(g.text, "<title>", "</title>", 0);
	assert_string_equal(head, "al&lt;i&gt;ce\\u{202e}&amp; as root on "
				  "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
	free(head);
	free(cast);
	rig_done(&g);
}

static void
test_a_page_has_no_character_that_turns_text_around(void **state)
{
	static const char *const bad[] = { "\xe2\x80\xae", "\xe2\x80\xa8", "\xe2\x81\xa6",
		"\xe2\x81\xa7", "\xef\xbb\xbf", "\\u202e", "\\u202E", "\\u2028", "\\u2066",
		"\\u2067", "\\ufeff" };
	struct rig g;
	char *cast;

	(void)state;
	hostile_page(&g);
	for (size_t i = 0; i < 5; i++)
		assert_null(strstr(g.text, bad[i]));
	cast = between(g.text, "id=\"cast\">\n", "</script>", 0);
	for (size_t i = 5; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = strstr(cast, bad[i]);

		assert_true(at == NULL || at[-1] == '\\'); /* text that only looks like it */
	}
	assert_non_null(strstr(cast, "\\ufffd\\ufffd\\ufffd\\ufffd caf\xc3\xa9"));
	assert_non_null(strstr(cast, "\"command\":\"echo \\u20AC \\uD83D\\uDE00"));
	free(cast);
	rig_done(&g);
}

static void
test_a_page_refers_to_nothing(void **state)
{
	static const char *const refers[] = { "src=", "href=", "url(", "@import",
		"http:", "https:", "srcset", "ping=", "fetch(", "import(" };
	struct rig g;

	(void)state;
	rig_begin(&g, "html", 2);
	rig_end(&g);
	for (size_t i = 0; i < sizeof(refers) / sizeof(refers[0]); i++)
		assert_null(strstr(g.text, refers[i]));
	assert_non_null(strstr(g.text, "The &lt;licence&gt; of\nthe player"));
	assert_non_null(
	    strstr(g.text, "<tr class=\"good\"><th scope=\"row\">Record</th><td>verified "
			   "&lt;/td&gt;: \\u{202e} whole</td>"));
	rig_done(&g);
}

/* A folder with these files; the names are the player's. */
static void
player_dir(char *dir, size_t size, const char *script, const char *style, const char *licence)
{
	const char *tmp = getenv("TMPDIR");
	const char *const names[] = { "asciinema-player.min.js", "asciinema-player.css",
		"LICENSE" };
	const char *const texts[] = { script, style, licence };
	char path[512];

	(void)snprintf(dir, size, "%s/bastion-player.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 3; i++)
		if (texts[i] != NULL) {
			(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
			assert_int_equal(file_create(path, 0600, texts[i], strlen(texts[i])), 0);
		}
}

static void
player_dir_remove(const char *dir)
{
	static const char *const names[] = { "asciinema-player.min.js", "asciinema-player.css",
		"LICENSE" };
	char path[512];

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void
test_a_player_that_cannot_stand_in_a_page_is_refused(void **state)
{
	static const struct {
		const char *script, *style, *licence;
		int code;
	} rows[] = {
		{ "var a;", "a{}", "text", 0 },
		{ "var a='</SCRIPT >';", "a{}", "text", 3 },
		{ "var a='<!--';", "a{}", "text", 3 },
		{ "var a;\r\n", "a{}", "text", 3 },
		{ "var a;", "a{}</style>", "text", 3 },
		{ "var a;", "a{}", NULL, 3 },
		{ "var a;", NULL, "text", 3 },
		{ NULL, "a{}", "text", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct page_player p;
		char dir[256];

		player_dir(dir, sizeof(dir), rows[i].script, rows[i].style, rows[i].licence);
		assert_int_equal(page_player_load(dir, &p), rows[i].code);
		if (rows[i].code == 0) {
			assert_string_equal(p.text[PAGE_PLAYER_STYLE], "a{}");
			assert_int_equal(p.len[PAGE_PLAYER_SCRIPT], 6);
			page_player_done(&p);
			page_player_done(&p);
		}
		player_dir_remove(dir);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v3_is_what_the_golden_text_says),
		cmocka_unit_test(test_v3_rounding_never_adds_up),
		cmocka_unit_test(test_v3_without_a_terminal_begins_lines_at_their_left),
		cmocka_unit_test(test_v3_signals_without_a_number_are_said_to_be_lost),
		cmocka_unit_test(test_the_policy_names_exactly_the_scripts_and_styles_of_the_page),
		cmocka_unit_test(test_nothing_of_a_recording_is_markup),
		cmocka_unit_test(test_a_page_has_no_character_that_turns_text_around),
		cmocka_unit_test(test_a_page_refers_to_nothing),
		cmocka_unit_test(test_a_player_that_cannot_stand_in_a_page_is_refused),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
