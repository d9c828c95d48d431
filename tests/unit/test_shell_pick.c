/*
 * The picker against a small terminal of its own: it knows the few sequences that the picker may send and fails on any other, on bytes
 * outside its screen, and on a line that would wrap.
 */
#include "config.h"

#include <stdlib.h>

#include "bastiond/shell/pick.h"
#include "tests/lib/test.h"

#define COLS_MAX 260
#define ROWS_MAX 210

/* The terminal: a screen of cells, with what was there before. */
static struct {
	uint32_t cols, rows, x, y;
	char cell[ROWS_MAX][COLS_MAX];
	bool reverse;
} t;

static struct pick *p;
static struct buf *out;

static void
term_clear(uint32_t cols, uint32_t rows)
{
	memset(&t, 0, sizeof(t));
	memset(t.cell, ' ', sizeof(t.cell));
	t.cols = cols;
	t.rows = rows;
}

static void
term_newline(void)
{
	if (t.y + 1 < t.rows) {
		t.y++;
		return;
	}
	memmove(t.cell[0], t.cell[1], sizeof(t.cell[0]) * (t.rows - 1));
	memset(t.cell[t.rows - 1], ' ', COLS_MAX);
}

static size_t
term_sequence(const char *s)
{
	char *end;
	unsigned long n = strtoul(s + 2, &end, 10);

	assert_int_equal(s[1], '[');
	switch (*end) {
	case 'J': /* from the cursor to the end of the screen */
		assert_ptr_equal(end, s + 2);
		memset(t.cell[t.y] + t.x, ' ', COLS_MAX - t.x);
		for (uint32_t y = t.y + 1; y < t.rows; y++)
			memset(t.cell[y], ' ', COLS_MAX);
		break;
	case 'A':
		assert_true(n > 0 && n <= t.y);
		t.y -= (uint32_t)n;
		break;
	case 'C':
		assert_true(n > 0 && t.x + n < t.cols);
		t.x += (uint32_t)n;
		break;
	case 'm':
		assert_true(n == 0 || n == 7);
		t.reverse = n == 7;
		break;
	default:
		fail_msg("sequence %c", *end);
	}
	return (size_t)(end - s) + 1;
}

static void
term_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		if (s[i] == '\x1b') {
			i += term_sequence(s + i);
			continue;
		}
		if (s[i] == '\r')
			t.x = 0;
		else if (s[i] == '\n')
			term_newline();
		else {
			assert_true(s[i] >= ' ' && s[i] <= '~');
			/* The last column is never written: no terminal wraps. */
			assert_true(t.cols == 1 || t.x + 1 < t.cols);
			t.cell[t.y][t.x++] = s[i];
		}
		i++;
	}
}

static void
draw(void)
{
	buf_reset(out);
	assert_int_equal(pick_draw(p, out), 0);
	assert_int_equal(buf_put_u8(out, 0), 0);
	term_write((const char *)buf_ptr(out), buf_len(out) - 1);
	assert_false(t.reverse);
}

/* A line as it is seen, without the spaces at its end. */
static const char *
line(uint32_t y)
{
	static char text[COLS_MAX + 1];
	size_t n = COLS_MAX;

	memcpy(text, t.cell[y], COLS_MAX);
	while (n > 0 && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
	return text;
}

static void
open_hosts(const char *json, const char *me)
{
	struct json_node *root;

	assert_int_equal(json_parse(json, strlen(json), &root), 0);
	assert_int_equal(pick_new(root, me, &p), 0);
	json_node_free(root);
}

static const char three[] =
    "[{\"host\":\"db1\",\"logins\":[{\"login\":\"postgres\"}],\"labels_text\":"
    "\"env=prod\"},"
    "{\"host\":\"web1\",\"logins\":[{\"login\":\"alice\"},{\"login\":\"root\"}],"
    "\"labels_text\":\"env=prod role=www\"},"
    "{\"host\":\"web10\",\"logins\":[{\"login\":\"root\"}]},"
    "{\"host\":\"*.lab.example\",\"logins\":[{\"login\":\"*\"}]}]";

static int
set_up(void **state)
{
	(void)state;
	out = buf_new(PICK_DRAW_MAX);
	assert_non_null(out);
	open_hosts(three, "alice");
	pick_resize(p, 80, 24);
	term_clear(80, 24);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pick_free(p);
	p = NULL;
	buf_free(out);
	return 0;
}

static enum pick_result
keys(const char *s)
{
	size_t used = 0;
	enum pick_result r = pick_keys(p, (const uint8_t *)s, strlen(s), &used);

	assert_true(r != PICK_MORE || used == strlen(s));
	return r;
}

static void
test_what_is_no_list_is_refused(void **state)
{
	static const char *const bad[] = { "{}", "[{}]", "[1]", "[{\"host\":\"\"}]",
		"[{\"host\":\"a\"},{\"host\":7}]" };
	struct json_node *root;
	struct pick *q = NULL;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &root), 0);
		assert_int_equal(pick_new(root, "alice", &q), ERR_FORMAT);
		json_node_free(root);
	}
	assert_int_equal(json_parse("[]", 2, &root), 0);
	assert_int_equal(pick_new(root, "alice", &q), ERR_NOT_FOUND);
	json_node_free(root);
}

static void
test_keys_that_mean_nothing_do_nothing(void **state)
{
	static const char *const nothing[] = { "\x1b[31~", "\x1b[1;5D",
		"\x1b[99999999999999999999~", "\x1bq", "\x1bOZ",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xff\xfe\x80",
		"\x01\x02\x05\x06\x0b\x0c\x12\x13\x14\x16\x18\x19\x1a", "\t", "\x1b[\x1f",
		"\x1b[<35;1;1M" };

	(void)state;
	draw();
	for (size_t i = 0; i < N_OF(nothing); i++) {
		assert_int_equal(keys(nothing[i]), PICK_MORE);
		assert_false(pick_waits(p));
		draw();
		assert_string_equal(line(0), "Host:");
		assert_int_equal(strncmp(line(1), "> db1", 5), 0);
	}
}

static void
test_ways_out(void **state)
{
	(void)state;
	assert_int_equal(keys("\x03"), PICK_LEAVE);
	assert_int_equal(keys("\x04"), PICK_LEAVE);
	assert_int_equal(keys("\x1b\x1b"), PICK_LEAVE);
	assert_int_equal(keys("\x1b\x03"), PICK_LEAVE);
	/* A lone ESC is known by the time that passes. */
	assert_int_equal(pick_alone(p), PICK_MORE);
	assert_int_equal(keys("\x1b"), PICK_MORE);
	assert_true(pick_waits(p));
	assert_int_equal(pick_alone(p), PICK_LEAVE);
	assert_int_equal(keys("\x1b"), PICK_MORE);
	assert_int_equal(keys("[B"), PICK_MORE);
	assert_false(pick_waits(p));
}

static void
test_the_list_is_drawn_and_taken_away(void **state)
{
	(void)state;
	term_write("$ ssh bastion\r\n", 15);
	draw();
	assert_string_equal(line(0), "$ ssh bastion");
	assert_string_equal(line(1), "Host:");
	assert_int_equal(t.x, 6);
	assert_int_equal(t.y, 1);
	assert_string_equal(line(2), "> db1                      postgres  env=prod");
	assert_string_equal(line(3), "  web1                     alice,root  env=prod role=www");
	assert_string_equal(line(5), "  *.lab.example            *");
	assert_string_equal(line(6), "4 of 4 hosts; type to find, Enter connects, Esc leaves");
	buf_reset(out);
	assert_int_equal(pick_clear(p, out), 0);
	term_write((const char *)buf_ptr(out), buf_len(out));
	assert_string_equal(line(0), "$ ssh bastion");
	for (uint32_t y = 1; y < t.rows; y++)
		assert_string_equal(line(y), "");
	assert_int_equal(t.y, 1);
	assert_int_equal(t.x, 0);
}

static void
test_at_the_foot_of_the_screen_it_scrolls(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		term_write("x\r\n", 3);
	draw();
	assert_string_equal(line(23), "4 of 4 hosts; type to find, Enter connects, Esc leaves");
	assert_string_equal(line(18), "Host:");
	assert_string_equal(line(17), "x");
	draw();
	assert_string_equal(line(18), "Host:");
}

static void
test_every_size_is_drawn_inside_it(void **state)
{
	(void)state;
	for (uint32_t cols = 1; cols <= 130; cols++)
		for (uint32_t rows = 1; rows <= 12; rows++) {
			pick_resize(p, cols, rows);
			term_clear(cols, rows);
			draw();
			(void)keys("web1");
			draw();
			(void)keys("\x15");
		}
	pick_resize(p, UINT32_MAX, UINT32_MAX);
	term_clear(250, 200);
	draw();
	pick_resize(p, 0, 0);
	term_clear(80, 24);
	draw();
	assert_string_equal(line(5), "4 of 4 hosts; type to find, Enter connects, Esc leaves");
}

static void
test_a_small_terminal_scrolls_its_list(void **state)
{
	(void)state;
	pick_resize(p, 20, 5);
	term_clear(20, 5);
	draw();
	assert_string_equal(line(1), "> db1");
	assert_string_equal(line(4), "4 of 4 hosts; type");
	(void)keys("\x1b[B\x0e\x1bOB");
	draw();
	assert_string_equal(line(3), "> *.lab.example");
	assert_string_equal(line(1), "  web1");
	(void)keys("\x1b[A\x10\x1b[5~");
	draw();
	assert_string_equal(line(1), "> db1");
	(void)keys("\x1b[6~");
	draw();
	assert_string_equal(line(3), "> *.lab.example");
	(void)keys("\x1b[H");
	draw();
	assert_string_equal(line(1), "> db1");
	(void)keys("\x1b[4~\x1b[B\x1b[B");
	draw();
	assert_string_equal(line(3), "> *.lab.example");
}

static void
test_typing_finds(void **state)
{
	static const struct {
		const char *typed, *first, *foot;
	} rows[] = {
		{ "web", "> web1 ", "2 of 4" },
		{ "WEB10", "> web10 ", "1 of 4" },
		{ "web1", "> web1 ", "2 of 4" },
		{ "eb1", "> web1 ", "2 of 4" },
		{ "prod www", "> web1 ", "1 of 4" },
		{ "root@web10", "> web10 ", "1 of 4" },
		{ "root+db", "> db1 ", "1 of 4" },
		{ "x.lab.example", "> *.lab", "1 of 4" },
		{ "nothing", "", "0 of 4" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		assert_int_equal(keys(rows[i].typed), PICK_MORE);
		draw();
		assert_int_equal(strncmp(line(1), rows[i].first, strlen(rows[i].first)), 0);
		assert_int_equal(strncmp(line(5), rows[i].foot, 6), 0);
		assert_int_equal(keys("\x15"), PICK_MORE);
	}
	(void)keys("we b  \x17\x17"
		   "db\x7f\b");
	draw();
	assert_string_equal(line(0), "Host:");
	/* More than fits is not taken. */
	for (int i = 0; i < 300; i++)
		(void)keys("y");
	draw();
	(void)keys("\r");
	draw();
	assert_string_equal(line(5), "no host of yours fits that");
}

static void
test_enter_connects(void **state)
{
	(void)state;
	assert_int_equal(keys("\r"), PICK_CONNECT);
	assert_string_equal(pick_target(p), "postgres+db1");
	assert_int_equal(keys("\x15root@web1\r"), PICK_CONNECT);
	assert_string_equal(pick_target(p), "root+web1");
	assert_int_equal(keys("\x15"
			      "admin@X1.lab.example\n"),
	    PICK_CONNECT);
	assert_string_equal(pick_target(p), "admin+x1.lab.example");
}

static void
test_what_follows_enter_is_not_looked_at(void **state)
{
	size_t used = 0;

	(void)state;
	assert_int_equal(pick_keys(p, (const uint8_t *)"db\rls\r", 6, &used), PICK_CONNECT);
	assert_int_equal(used, 3);
}

static void
test_several_logins_are_asked_for(void **state)
{
	(void)state;
	assert_int_equal(keys("web1\r"), PICK_MORE);
	draw();
	assert_string_equal(line(0), "Login on web1:");
	assert_string_equal(line(1), "> alice");
	assert_string_equal(line(2), "  root");
	/* Back, with what was typed. */
	assert_int_equal(keys("\x1b\x1b"), PICK_MORE);
	draw();
	assert_string_equal(line(0), "Host: web1");
	assert_int_equal(keys("\r\x0e\r"), PICK_CONNECT);
	assert_string_equal(pick_target(p), "root+web1");
}

static void
test_a_login_that_is_not_there_is_no_choice(void **state)
{
	(void)state;
	assert_int_equal(keys("web1\rnobody\r"), PICK_MORE);
	draw();
	assert_string_equal(line(5), "that is not a login of yours there");
	assert_int_equal(keys("\x15"
			      "ro\r"),
	    PICK_CONNECT);
	assert_string_equal(pick_target(p), "root+web1");
}

static void
test_a_pattern_wants_a_name(void **state)
{
	(void)state;
	assert_int_equal(keys("lab\r"), PICK_MORE);
	draw();
	assert_string_equal(line(5), "type the whole name of a host that fits this pattern");
	assert_int_equal(keys("\x15x.lab.example\r"), PICK_MORE);
	draw();
	assert_string_equal(line(0), "Login on x.lab.example:");
	assert_int_equal(keys("\r"), PICK_MORE);
	draw();
	assert_string_equal(line(5), "type a login");
	assert_int_equal(keys("deploy\r"), PICK_CONNECT);
	assert_string_equal(pick_target(p), "deploy+x.lab.example");
}

static void
test_hostile_names_are_drawn_plain(void **state)
{
	(void)state;
	pick_free(p);
	open_hosts("[{\"host\":\"a\\u001b[2Jb\",\"logins\":[{\"login\":\"\\u0007\\u009b1m\"}],"
		   "\"labels_text\":"
		   "\"\\r\\n\\u001b]0;x\\u0007\"}]",
	    "\x1b[31m");
	draw();
	(void)keys("\r");
	draw();
	pick_say(p, "\x1b[2J\r\nline");
	draw();
}

static void
test_many_hosts_stay_fast(void **state)
{
	struct buf *json = buf_new(4u << 20);
	char one[128];

	(void)state;
	pick_free(p);
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(one, sizeof(one),
		    "%c{\"host\":\"host%05d.example\",\"logins\":[{\"login\":\"root\"}]}",
		    i == 0 ? '[' : ',', i);
		assert_int_equal(buf_put(json, one, strlen(one)), 0);
	}
	assert_int_equal(buf_put(json, "]\0", 2), 0);
	open_hosts((const char *)buf_ptr(json), "alice");
	buf_free(json);
	/* What is sent for a key does not grow with the hosts. */
	for (int i = 0; i < 50; i++) {
		(void)keys(i % 2 == 0 ? "9" : "\x7f");
		buf_reset(out);
		assert_int_equal(pick_draw(p, out), 0);
		assert_true(buf_len(out) < 4096);
	}
	(void)keys("\x15"
		   "09999");
	assert_int_equal(keys("\r"), PICK_CONNECT);
	assert_string_equal(pick_target(p), "root+host09999.example");
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_what_is_no_list_is_refused),
		T(test_keys_that_mean_nothing_do_nothing),
		T(test_ways_out),
		T(test_the_list_is_drawn_and_taken_away),
		T(test_at_the_foot_of_the_screen_it_scrolls),
		T(test_every_size_is_drawn_inside_it),
		T(test_a_small_terminal_scrolls_its_list),
		T(test_typing_finds),
		T(test_enter_connects),
		T(test_what_follows_enter_is_not_looked_at),
		T(test_several_logins_are_asked_for),
		T(test_a_login_that_is_not_there_is_no_choice),
		T(test_a_pattern_wants_a_name),
		T(test_hostile_names_are_drawn_plain),
		T(test_many_hosts_stay_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
