/* Nothing that is printed for people can act on a terminal; tables keep to their width. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastionctl/out.h"

static void
test_line_shows_every_byte_that_is_not_plain(void **state)
{
	char all[256], dst[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	out_line(dst, sizeof(dst), all, sizeof(all));
	for (const char *p = dst; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	assert_non_null(strstr(dst, "\\x1b"));
	assert_non_null(strstr(dst, "\\x9b"));
	assert_non_null(strstr(dst, "\\xff"));
}

static void
test_line_is_cut_visibly_and_never_overruns(void **state)
{
	char dst[64];

	(void)state;
	for (size_t size = 8; size < 40; size++) {
		memset(dst, 'Z', sizeof(dst));
		out_line(dst, size, "\033\033\033\033\033\033\033\033\033\033\033\033", 12);
		assert_true(strlen(dst) < size);
		assert_int_equal(dst[size], 'Z');
		assert_string_equal(dst + strlen(dst) - 3, "...");
	}
	assert_string_equal(out_line(dst, 8, "1234567", 7), "1234567");
	assert_string_equal(out_line(dst, 8, "12345678", 8), "1234...");
}

static char *
print_table(size_t width, const char *long_cell)
{
	static const struct out_column columns[] = {
		{ "ID", false, false },
		{ "COMMAND", false, true },
		{ "N", true, false },
	};
	struct out_table *t = out_table_new(columns, 3);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(t);
	assert_non_null(f);
	assert_int_equal(out_table_row(t, (const char *const[]){ "a1", long_cell, "7" }), 0);
	assert_int_equal(out_table_row(t, (const char *const[]){ "b2", NULL, "12" }), 0);
	assert_int_equal(out_table_rows(t), 2);
	out_table_print(t, f, width);
	fclose(f);
	out_table_free(t);
	return text;
}

static void
test_table_cells_cannot_break_the_line(void **state)
{
	char *text = print_table(0, "x\r\n\033[2Jy");

	(void)state;
	assert_string_equal(text, "ID  COMMAND             N\n"
				  "a1  x\\x0d\\x0a\\x1b[2Jy   7\n"
				  "b2  -                  12\n");
	free(text);
}

static void
test_table_shortens_only_what_it_may(void **state)
{
	char *text = print_table(24, "a command that is longer than the line");

	(void)state;
	assert_string_equal(text, "ID  COMMAND            N\n"
				  "a1  a command tha...   7\n"
				  "b2  -                 12\n");
	free(text);
}

static void
test_table_is_whole_where_there_is_no_terminal(void **state)
{
	char *text = print_table(0, "a command that is longer than the line");

	(void)state;
	assert_non_null(strstr(text, "a command that is longer than the line"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_shows_every_byte_that_is_not_plain),
		cmocka_unit_test(test_line_is_cut_visibly_and_never_overruns),
		cmocka_unit_test(test_table_cells_cannot_break_the_line),
		cmocka_unit_test(test_table_shortens_only_what_it_may),
		cmocka_unit_test(test_table_is_whole_where_there_is_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
