/* Escaped lines and tables. */
#include "config.h"

#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bastionctl/out.h"
#include "lib/clock.h"

#define OUT_CUT_MIN 8u	 /* a shortened column keeps at least this width */
#define OUT_CELL_MAX 600 /* bytes of a cell as printed */
#define OUT_GAP 2u	 /* spaces between columns */

struct out_table {
	const struct out_column *columns;
	size_t n_columns;
	char **cells; /* n_rows * n_columns */
	size_t n_rows, room;
};

static bool
out_is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Bytes that src needs on the line. */
static size_t
out_line_need(const uint8_t *p, size_t len)
{
	size_t need = 0;

	for (size_t i = 0; i < len; i++)
		need += out_is_plain(p[i]) ? 1 : 4;
	return need;
}

char *
out_line(char *dst, size_t size, const void *src, size_t len)
{
	const uint8_t *p = src;
	bool whole = out_line_need(p, len) < size;
	size_t room = whole ? size - 1 : size - 4; /* for the text; dots and the end go behind it */
	size_t at = 0;

	for (size_t i = 0; i < len && at + (out_is_plain(p[i]) ? 1 : 4) <= room; i++) {
		if (out_is_plain(p[i]))
			dst[at++] = (char)p[i];
		else
			at += (size_t)snprintf(dst + at, 5, "\\x%02x", p[i]);
	}
	memcpy(dst + at, whole ? "" : "...", whole ? 1 : 4);
	return dst;
}

void
out_text(FILE *f, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	for (; *p != '\0'; p++)
		if (out_is_plain(*p) || *p == '\n' || *p == '\t')
			(void)fputc(*p, f);
		else
			fprintf(f, "\\x%02x", *p);
	if (p != (const uint8_t *)text && p[-1] != '\n')
		(void)fputc('\n', f);
}

struct out_table *
out_table_new(const struct out_column *columns, size_t n_columns)
{
	struct out_table *t = n_columns > OUT_COLUMNS_MAX ? NULL : calloc(1, sizeof(*t));

	if (t != NULL) {
		t->columns = columns;
		t->n_columns = n_columns;
	}
	return t;
}

void
out_table_free(struct out_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static int
out_table_grow(struct out_table *t)
{
	size_t room = t->room == 0 ? 64 : t->room * 2;
	char **cells;

	if (t->n_rows < t->room)
		return 0;
	cells = reallocarray(t->cells, room, t->n_columns * sizeof(*cells));
	if (cells == NULL)
		return -ENOMEM;
	t->cells = cells;
	t->room = room;
	return 0;
}

int
out_table_row(struct out_table *t, const char *const *cells)
{
	char **row;
	int r;

	if ((r = out_table_grow(t)) != 0)
		return r;
	row = t->cells + t->n_rows * t->n_columns;
	for (size_t i = 0; i < t->n_columns; i++) {
		const char *s = cells[i] != NULL ? cells[i] : "-";
		char safe[OUT_CELL_MAX];

		row[i] = strdup(out_line(safe, sizeof(safe), s, strlen(s)));
		if (row[i] == NULL) {
			while (i > 0)
				free(row[--i]);
			return -ENOMEM;
		}
	}
	t->n_rows++;
	return 0;
}

size_t
out_table_rows(const struct out_table *t)
{
	return t->n_rows;
}

static size_t
out_column_width(const struct out_table *t, size_t col)
{
	size_t width = strlen(t->columns[col].title);

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t len = strlen(t->cells[i * t->n_columns + col]);

		width = len > width ? len : width;
	}
	return width;
}

/* Take from the widest column that may be shortened, until the line fits or nothing is left to take. */
static void
out_fit(const struct out_table *t, size_t *widths, size_t width)
{
	size_t total = OUT_GAP * (t->n_columns - 1);

	for (size_t i = 0; i < t->n_columns; i++)
		total += widths[i];
	while (width != 0 && total > width) {
		size_t widest = t->n_columns;

		for (size_t i = 0; i < t->n_columns; i++)
			if (t->columns[i].cut && widths[i] > OUT_CUT_MIN &&
			    (widest == t->n_columns || widths[i] > widths[widest]))
				widest = i;
		if (widest == t->n_columns)
			return;
		widths[widest]--;
		total--;
	}
}

static void
out_cell(FILE *f, const struct out_column *col, const char *s, size_t width, bool last)
{
	int w = (int)width;

	if (strlen(s) > width)
		fprintf(f, "%.*s...", w - 3, s);
	else if (col->right)
		fprintf(f, "%*s", w, s);
	else if (last)
		fputs(s, f);
	else
		fprintf(f, "%-*s", w, s);
	fputs(last ? "\n" : "  ", f);
}

void
out_table_print(const struct out_table *t, FILE *f, size_t width)
{
	size_t widths[OUT_COLUMNS_MAX];

	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = out_column_width(t, i);
	out_fit(t, widths, width);
	for (size_t i = 0; i < t->n_columns; i++)
		out_cell(f, &t->columns[i], t->columns[i].title, widths[i], i + 1 == t->n_columns);
	for (size_t row = 0; row < t->n_rows; row++)
		for (size_t i = 0; i < t->n_columns; i++)
			out_cell(f, &t->columns[i], t->cells[row * t->n_columns + i], widths[i],
			    i + 1 == t->n_columns);
}

size_t
out_width(FILE *f)
{
	struct winsize ws;

	if (isatty(fileno(f)) == 0)
		return 0;
	if (ioctl(fileno(f), TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20)
		return ws.ws_col;
	return 80;
}

char *
out_time(char *dst, size_t size, uint64_t wall_ns)
{
	time_t t = (time_t)(wall_ns / CLOCK_NS_PER_S);
	struct tm tm;

	dst[0] = '\0';
	if (localtime_r(&t, &tm) == NULL || strftime(dst, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)clock_text(dst, size, wall_ns);
	return dst;
}
