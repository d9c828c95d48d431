/* Exports against golden texts: bytes that are no text, cut code points, streams apart, escapes in every field. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastionctl/export.h"
#include "lib/buf.h"

#define MS 1000000ull

static const char session_text[] =
    "{\"id\":\"00112233445566778899aabbccddeeff\",\"identity\":\"alice\",\"login\":\"root\","
    "\"host\":\"web1\",\"address\":\"10.0.0.11:22\",\"source\":\"127.0.0.1:4242\","
    "\"started_at\":\"2026-01-02T03:04:05.000000006Z\",\"ended_at\":null,\"state\":\"open\","
    "\"end_reason\":\"\",\"channels\":["
    "{\"n\":1,\"kind\":\"exec\",\"command\":\"echo \\\"\\u001b[2J\",\"bytes_out\":7,\"pty\":false},"
    "{\"n\":2,\"kind\":\"shell\",\"command\":\"\",\"bytes_out\":0,\"pty\":true,\"term\":\"xterm\","
    "\"cols\":101,\"rows\":33}]}";

struct rig {
	struct export x;
	struct json_node *session;
	char *text;
	size_t len;
	FILE *out;
	uint64_t seq;
	uint64_t at_ns;
};

static void
rig_begin(struct rig *g, const char *format, uint32_t channel, enum frame_stream stream)
{
	struct export_view view;

	memset(g, 0, sizeof(*g));
	assert_int_equal(json_parse(session_text, strlen(session_text), &g->session), 0);
	g->out = open_memstream(&g->text, &g->len);
	assert_non_null(g->out);
	assert_non_null(export_find(format));
	view = (struct export_view){ .session = g->session, .channel = channel, .stream = stream };
	assert_int_equal(export_begin(&g->x, export_find(format), g->out, &view), 0);
}

static void
rig_event(
    struct rig *g, enum event_way way, uint8_t type, uint32_t channel, const void *data, size_t len)
{
	struct event ev = { ++g->seq, g->at_ns, way, type, channel, data, len };

	g->at_ns += 500 * MS;
	assert_int_equal(export_event(&g->x, &ev), 0);
}

static void
rig_out(struct rig *g, uint32_t channel, const char *text)
{
	rig_event(g, EVENT_BACK, LINK_DATA, channel, text, strlen(text));
}

static void
rig_in(struct rig *g, uint32_t channel, const char *text)
{
	rig_event(g, EVENT_FRONT, LINK_DATA, channel, text, strlen(text));
}

static void
rig_err(struct rig *g, uint32_t channel, const char *text)
{
	char data[256] = "\0\0\0\1";

	memcpy(data + 4, text, strlen(text));
	rig_event(g, EVENT_BACK, LINK_DATA_EXT, channel, data, 4 + strlen(text));
}

static void
rig_request(struct rig *g, uint32_t channel, const char *name, const void *fields, size_t len)
{
	struct buf *b = buf_new(1024);

	assert_non_null(b);
	assert_int_equal(
	    buf_put_u32(b, 1) | buf_put_cstr(b, name) | buf_put_u8(b, 1) | buf_put(b, fields, len),
	    0);
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

static const char pty_fields[] = "\0\0\0\5xterm\0\0\0\145\0\0\0\41\0\0\0\0\0\0\0\0\0\0\0\0";
static const char window_fields[] = "\0\0\0\131\0\0\0\30\0\0\0\0\0\0\0\0";
static const char exit_status_3[] = "\0\0\0\3";

static void
test_asciicast_is_what_the_golden_text_says(void **state)
{
	char lost[512];
	struct rig g;

	(void)state;
	rig_begin(&g, "asciicast-v2", 2, FRAME_NONE);
	rig_request(&g, 2, "pty-req", pty_fields, sizeof(pty_fields) - 1);
	rig_out(&g, 2, "a\"\\\033[31m\r\n");
	rig_in(&g, 2, "\003");
	rig_request(&g, 2, "window-change", window_fields, sizeof(window_fields) - 1);
	rig_err(&g, 2, "oops");
	rig_out(&g, 1, "another channel");
	rig_event(&g, EVENT_BACK, LINK_EXIT_STATUS, 2, exit_status_3, 4);
	rig_end(&g);
	assert_string_equal(g.text,
	    "{\"version\":2,\"width\":101,\"height\":33,\"timestamp\":1767323045,"
	    "\"title\":\"alice as root on web1\",\"env\":{\"TERM\":\"xterm\"}}\n"
	    "[0.000000000, \"r\", \"101x33\"]\n"
	    "[0.500000000, \"o\", \"a\\\"\\\\\\u001b[31m\\u000d\\u000a\"]\n"
	    "[1.000000000, \"i\", \"\\u0003\"]\n"
	    "[1.500000000, \"r\", \"89x24\"]\n"
	    "[2.000000000, \"o\", \"oops\"]\n");
	assert_true(export_lost_text(&g.x, lost, sizeof(lost)));
	assert_string_equal(lost,
	    "4 bytes of stderr apart from stdout; 15 bytes of other channels (see --channel); "
	    "the exit status");
	rig_done(&g);
}

static void
test_asciicast_of_an_exec_has_its_command_and_a_usual_size(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "asciicast-v2", 1, FRAME_NONE);
	rig_end(&g);
	assert_string_equal(g.text,
	    "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1767323045,"
	    "\"command\":\"echo \\\"\\u001B[2J\",\"title\":\"alice as root on "
	    "web1\",\"env\":{}}\n");
	rig_done(&g);
}

static void
test_a_code_point_cut_between_events_is_whole_again(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "asciicast-v2", 2, FRAME_NONE);
	rig_out(&g, 2, "x\342");
	rig_err(&g, 2, "\303"); /* each stream has its own unfinished one */
	rig_out(&g, 2, "\202");
	rig_out(&g, 2, "\254y");
	rig_err(&g, 2, "\251");
	rig_end(&g);
	assert_string_equal(strchr(g.text, '\n') + 1, "[0.000000000, \"o\", \"x\"]\n"
						      "[1.500000000, \"o\", \"\342\202\254y\"]\n"
						      "[2.000000000, \"o\", \"\303\251\"]\n");
	assert_int_equal(g.x.lost.bad_bytes, 0);
	rig_done(&g);
}

static void
test_bytes_that_are_no_text_are_counted(void **state)
{
	char lost[512];
	struct rig g;

	(void)state;
	rig_begin(&g, "asciicast-v2", 2, FRAME_NONE);
	rig_out(&g, 2, "\377a\342\202b\355\240\200");
	rig_out(&g, 2, "end\360\237");
	rig_end(&g);
	assert_string_equal(strchr(g.text, '\n') + 1,
	    "[0.000000000, \"o\", "
	    "\"\357\277\275a\357\277\275b\357\277\275\357\277\275\357\277\275\"]\n"
	    "[0.500000000, \"o\", \"end\"]\n"
	    "[0.500000000, \"o\", \"\357\277\275\"]\n");
	assert_int_equal(g.x.lost.bad_bytes, 1 + 2 + 3 + 2);
	assert_true(export_lost_text(&g.x, lost, sizeof(lost)));
	assert_non_null(strstr(lost, "UTF-8"));
	rig_done(&g);
}

static void
test_an_export_is_safe_to_look_at(void **state)
{
	static const char *const formats[] = { "asciicast-v2", "json", "text" };

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct rig g;

		rig_begin(&g, formats[i], 2, FRAME_NONE);
		rig_out(&g, 2, "\033]0;t\007\302\233 6n\342\200\256 \177\n");
		rig_in(&g, 2, "\033[A\r");
		rig_request(&g, 2, "env", "\0\0\0\3\033[c\0\0\0\3\302\2336", 14);
		rig_end(&g);
		for (size_t at = 0; at < g.len; at++)
			assert_false((unsigned char)g.text[at] < 0x20 && g.text[at] != '\n');
		assert_null(strchr(g.text, 0x7f));
		assert_null(strstr(g.text, "\302\233"));
		assert_null(strstr(g.text, "\342\200\256"));
		rig_done(&g);
	}
}

static void
test_raw_is_every_byte_of_one_stream(void **state)
{
	static const char data[] = "\0\377\033\r\n\0";
	struct rig g;

	(void)state;
	rig_begin(&g, "raw", 1, FRAME_OUT);
	rig_event(&g, EVENT_BACK, LINK_DATA, 1, data, 6);
	rig_in(&g, 1, "not this");
	rig_err(&g, 1, "nor this");
	rig_out(&g, 2, "nor that");
	rig_event(&g, EVENT_TO_FRONT, LINK_DATA, 1, "z", 1);
	rig_end(&g);
	assert_int_equal(g.len, 7);
	assert_memory_equal(g.text, "\0\377\033\r\n\0z", 7);
	rig_done(&g);

	rig_begin(&g, "raw", 1, FRAME_ERR);
	rig_err(&g, 1, "err");
	rig_event(&g, EVENT_BACK, LINK_DATA_EXT, 1, "\0\0\0\2x", 5); /* no such stream */
	rig_event(&g, EVENT_BACK, LINK_DATA_EXT, 1, "\0\0", 2);
	rig_event(&g, EVENT_TO_FRONT, LINK_DATA_EXT, 1, "\0\0\0\1denied", 10);
	rig_end(&g);
	assert_string_equal(g.text, "errdenied");
	rig_done(&g);
}

static const char content_event[] = "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static void
test_raw_counts_the_content_that_it_has_not(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "raw", 1, FRAME_IN);
	rig_in(&g, 1, "head");
	rig_event(&g, EVENT_FRONT, EVENT_CONTENT, 1, content_event, 48);
	rig_event(&g, EVENT_BACK, EVENT_CONTENT, 1, content_event, 48);
	rig_event(&g, EVENT_FRONT, EVENT_CONTENT, 2, content_event, 48);
	rig_event(&g, EVENT_FRONT, EVENT_CONTENT, 1, content_event, 14);
	rig_event(&g, EVENT_FRONT, EVENT_KEPT, 1, content_event, 12);
	rig_in(&g, 1, "kept");
	rig_end(&g);
	assert_string_equal(g.text, "headkept");
	assert_int_equal(g.x.lost.replaced_bytes, 256);
	rig_done(&g);
}

static void
test_lines_about_files(void **state)
{
	static const struct {
		const char *json, *line;
	} rows[] = {
		{ "{\"op\":\"put\",\"path\":\"/a b\",\"bytes\":3,\"status\":0}",
		    "put /a b: 3 bytes, ok" },
		{ "{\"op\":\"rename\",\"path\":\"a\",\"path2\":\"b\",\"status\":4,\"text\":\"No\"}",
		    "rename a -> b: failed (4: No)" },
		{ "{\"op\":\"get\",\"path\":\"\\u001b[2J\",\"status\":2}",
		    "get \\x1b[2J: failed (2)" },
		{ "{\"op\":\"put\",\"path\":\"x\",\"refused\":true}", "put x: refused" },
		{ "{\"op\":\"get\",\"path\":\"x\"}", "get x: no answer" },
	};
	char line[FRAME_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[256] = { 0 };
		struct event ev = {
			.way = EVENT_TO_FRONT, .type = EVENT_FILE, .channel = 1, .data = data
		};

		ev.len = 8 + strlen(rows[i].json);
		data[7] = (uint8_t)strlen(rows[i].json);
		memcpy(data + 8, rows[i].json, strlen(rows[i].json));
		assert_true(frame_text(&ev, line, sizeof(line)));
		assert_string_equal(line, rows[i].line);
		ev.len--;
		assert_false(frame_text(&ev, line, sizeof(line)));
		ev.len = 5;
		assert_false(frame_text(&ev, line, sizeof(line)));
	}
}

static void
test_json_is_one_document_with_every_byte(void **state)
{
	struct json_node *root;
	const struct json_node *events;
	struct rig g;

	(void)state;
	rig_begin(&g, "json", 0, FRAME_NONE);
	rig_out(&g, 1, "caf\303");
	rig_in(&g, 2, "\"");
	rig_event(&g, EVENT_BACK, LINK_EXIT_STATUS, 1, exit_status_3, 4);
	rig_event(&g, EVENT_TO_FRONT, 63, 0, "\1\2", 2); /* a type of another version */
	rig_end(&g);
	assert_int_equal(json_parse(g.text, g.len, &root), 0);
	assert_string_equal(json_str(json_get(json_get(root, "session"), "host"), ""), "web1");
	events = json_get(root, "events");
	assert_int_equal(json_n(events), 4);
	assert_string_equal(json_str(json_get(json_at(events, 0), "data"), ""), "Y2Fmww==");
	assert_string_equal(json_str(json_get(json_at(events, 0), "text"), ""), "caf\357\277\275");
	assert_string_equal(json_str(json_get(json_at(events, 0), "stream"), ""), "out");
	assert_string_equal(json_str(json_get(json_at(events, 1), "text"), ""), "\"");
	assert_int_equal(json_u64(json_get(json_at(events, 1), "at_ns"), 0), 500 * MS);
	assert_string_equal(json_str(json_get(json_at(events, 2), "text"), ""), "exit status 3");
	assert_string_equal(json_str(json_get(json_at(events, 2), "payload"), ""), "AAAAAw==");
	assert_int_equal(json_u64(json_get(json_at(events, 3), "type_number"), 0), 63);
	json_node_free(root);
	rig_done(&g);
}

static const char *
body(const struct rig *g)
{
	return strstr(g->text, "\n\n") + 2;
}

static void
test_text_is_a_transcript(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "text", 0, FRAME_NONE);
	assert_int_equal(fflush(g.out), 0);
	rig_request(&g, 1, "exec", "\0\0\0\5ls \033x", 9);
	rig_out(&g, 1, "one\r\ntw");
	rig_err(&g, 1, "bad\n");
	rig_out(&g, 1, "o\nlast");
	rig_event(&g, EVENT_BACK, LINK_EXIT_STATUS, 1, exit_status_3, 4);
	rig_end(&g);
	assert_non_null(strstr(g.text, "identity   alice\n"));
	assert_string_equal(body(&g), "0:00:00.000  1 --  | exec: ls \\x1bx\n"
				      "0:00:00.500  1 out | one\n"
				      "0:00:00.500  1 out | two\n"
				      "0:00:01.000  1 err | bad\n"
				      "0:00:01.500  1 out | last\n"
				      "0:00:02.000  1 --  | exit status 3\n");
	rig_done(&g);
}

static void
test_text_edits_lines_as_a_terminal_does(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "text", 0, FRAME_NONE);
	rig_request(&g, 2, "pty-req", pty_fields, sizeof(pty_fields) - 1);
	rig_out(&g, 2, "$ lx\b\033[Ks\r\n");
	rig_out(&g, 2, "10%\r20%\r\033[2Kdone\r\n");
	rig_out(&g, 2, "abc\033[2D\033[@X\033[P\r\n");
	rig_out(&g, 2, "\033[31mred\033[0m\033]0;title\007 \303\251\377\r\n");
	rig_out(&g, 2, "here\033[5;1Hthere\r\n");
	rig_in(&g, 2, "ls\r\003");
	rig_end(&g);
	/* What was shown only for a moment is told, too. */
	assert_string_equal(body(&g), "0:00:00.000  2 --  | pty-req: xterm 101x33\n"
				      "0:00:00.500  2 out | $ lx\n"
				      "0:00:00.500  2 out | $ ls\n"
				      "0:00:01.000  2 out | 10%\n"
				      "0:00:01.000  2 out | 20%\n"
				      "0:00:01.000  2 out | done\n"
				      "0:00:01.500  2 out | abc\n"
				      "0:00:01.500  2 out | aXbc\n"
				      "0:00:01.500  2 out | aXc\n"
				      "0:00:02.000  2 out | red \303\251\357\277\275\n"
				      "0:00:02.500  2 out | here\n"
				      "0:00:02.500  2 out | there\n"
				      "0:00:03.000  2 in  | ls\n"
				      "0:00:03.000  2 in  | ^C\n");
	assert_int_equal(g.x.lost.bad_bytes, 1);
	rig_done(&g);
}

static void
test_text_keeps_lines_in_the_order_of_their_times(void **state)
{
	char line[64];
	struct rig g;
	const char *at;

	(void)state;
	rig_begin(&g, "text", 0, FRAME_NONE);
	rig_request(&g, 2, "pty-req", pty_fields, sizeof(pty_fields) - 1);
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(line, sizeof(line), "line %d\r\n", i);
		rig_out(&g, 2, line);
		if (i % 1000 == 0)
			rig_in(&g, 2, "typed\r"); /* told at once, the lines before it later */
	}
	rig_end(&g);
	at = body(&g);
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(line, sizeof(line), " 2 out | line %d\n", i);
		at = strstr(at, line);
		assert_non_null(at);
		at += strlen(line);
		if (i % 1000 == 0)
			assert_ptr_equal(strstr(at, "typed"), strchr(at, '|') + 2);
	}
	assert_int_equal(strlen(at), 0);
	rig_done(&g);
}

static void
test_text_without_times(void **state)
{
	struct rig g;

	(void)state;
	rig_begin(&g, "text", 0, FRAME_NONE);
	g.x.view.no_times = true;
	rig_out(&g, 1, "one\n");
	rig_out(&g, LINK_FROM_BACK + 3, "two\n");
	rig_end(&g);
	assert_string_equal(body(&g), " 1 out | one\nt3 out | two\n");
	rig_done(&g);
}

static void
test_text_breaks_a_line_that_never_ends(void **state)
{
	char *big = malloc(100001);
	struct rig g;
	size_t n = 0;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	rig_begin(&g, "text", 0, FRAME_NONE);
	rig_out(&g, 2, big);
	rig_out(&g, 2, "\033[65535C\033[65535@y\033[65535P");
	rig_end(&g);
	for (const char *p = body(&g); *p != '\0'; p++)
		n += *p == 'x';
	assert_int_equal(n, 100000);
	rig_done(&g);
	free(big);
}

static void
test_main_channel_is_the_one_with_a_terminal(void **state)
{
	static const char exec_only[] =
	    "{\"channels\":[{\"n\":4,\"bytes_out\":0},{\"n\":5,\"bytes_err\":1}]}";
	static const char silent[] = "{\"channels\":[{\"n\":4},{\"n\":5}]}";
	struct json_node *s;

	(void)state;
	assert_int_equal(json_parse(session_text, strlen(session_text), &s), 0);
	assert_int_equal(export_main_channel(s), 2);
	json_node_free(s);
	assert_int_equal(json_parse(exec_only, strlen(exec_only), &s), 0);
	assert_int_equal(export_main_channel(s), 5);
	assert_null(export_channel(s, 1));
	json_node_free(s);
	assert_int_equal(json_parse(silent, strlen(silent), &s), 0);
	assert_int_equal(export_main_channel(s), 4);
	json_node_free(s);
	assert_int_equal(json_parse("{}", 2, &s), 0);
	assert_int_equal(export_main_channel(s), 0);
	json_node_free(s);
}

static void
test_formats_of_other_versions_are_not_there(void **state)
{
	char names[64];

	(void)state;
	assert_null(export_find("asciicast-v4"));
	assert_null(export_find(""));
	assert_string_equal(
	    export_names(names, sizeof(names)), "asciicast-v2 asciicast-v3 html json raw text");
}

static void
test_a_full_disk_is_an_error(void **state)
{
	struct json_node *session;
	struct export_view view;
	struct export x;
	FILE *full = fopen("/dev/full", "w");
	int r = 0;

	(void)state;
	assert_non_null(full);
	assert_int_equal(json_parse(session_text, strlen(session_text), &session), 0);
	view = (struct export_view){ .session = session, .channel = 1, .stream = FRAME_OUT };
	assert_int_equal(export_begin(&x, export_find("raw"), full, &view), 0);
	for (int i = 0; i < 10 && r == 0; i++) {
		static const uint8_t zeros[4096];
		struct event ev = { 1, 0, EVENT_BACK, LINK_DATA, 1, zeros, sizeof(zeros) };

		r = export_event(&x, &ev);
	}
	if (r == 0)
		r = export_end(&x);
	assert_true(r < 0);
	export_free(&x);
	json_node_free(session);
	(void)fclose(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asciicast_is_what_the_golden_text_says),
		cmocka_unit_test(test_asciicast_of_an_exec_has_its_command_and_a_usual_size),
		cmocka_unit_test(test_a_code_point_cut_between_events_is_whole_again),
		cmocka_unit_test(test_bytes_that_are_no_text_are_counted),
		cmocka_unit_test(test_an_export_is_safe_to_look_at),
		cmocka_unit_test(test_raw_is_every_byte_of_one_stream),
		cmocka_unit_test(test_raw_counts_the_content_that_it_has_not),
		cmocka_unit_test(test_lines_about_files),
		cmocka_unit_test(test_json_is_one_document_with_every_byte),
		cmocka_unit_test(test_text_is_a_transcript),
		cmocka_unit_test(test_text_edits_lines_as_a_terminal_does),
		cmocka_unit_test(test_text_keeps_lines_in_the_order_of_their_times),
		cmocka_unit_test(test_text_without_times),
		cmocka_unit_test(test_text_breaks_a_line_that_never_ends),
		cmocka_unit_test(test_main_channel_is_the_one_with_a_terminal),
		cmocka_unit_test(test_formats_of_other_versions_are_not_there),
		cmocka_unit_test(test_a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
