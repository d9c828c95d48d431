/*
 * Any bytes as a terminal's output, with changes of size between them: the screen stays within its bounds, and its picture,
 * where all is ASCII, shows the same text again. First byte: columns, second: rows; 0xf8 to 0xfa followed by two bytes: another size.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/screen.h"

#define PAINT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
on_line(void *arg, const struct screen_line *line)
{
	size_t *n = arg;

	must(line->len > 0 && line->len <= SCREEN_LINE_MAX + 4 && line->begun_ns <= line->at_ns);
	for (size_t i = 0; i < line->len; i++)
		must(line->text[i] >= 0x20 && line->text[i] != 0x7f);
	++*n;
	return 0;
}

static struct buf *
picture(const struct screen *s)
{
	struct buf *b = buf_new(PAINT_MAX);

	must(b != NULL && screen_paint(s, b) == 0);
	return b;
}

static struct buf *
text_of(const struct screen *s)
{
	struct buf *b = buf_new(PAINT_MAX);

	must(b != NULL && screen_text(s, b) == 0);
	return b;
}

/* Sizes are none of it. */
static int
is_ascii(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] >= 0x80 && data[i] < 0xf8)
			return 0;
	return 1;
}

static void
same_again(const struct screen *s)
{
	struct buf *a = picture(s), *b;
	struct screen *copy;
	uint32_t cols, rows;

	screen_size(s, &cols, &rows);
	must(screen_new(cols, rows, NULL, NULL, &copy) == 0);
	must(screen_feed(copy, 0, buf_ptr(a), buf_len(a)) == 0);
	buf_free(a);
	a = text_of(s);
	b = text_of(copy);
	must(buf_len(a) == buf_len(b) && memcmp(buf_ptr(a), buf_ptr(b), buf_len(a)) == 0);
	buf_free(a);
	buf_free(b);
	screen_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct screen *s;
	size_t n = 0;
	uint64_t at = 0;

	if (size < 2)
		return 0;
	must(screen_new(data[0], data[1], on_line, &n, &s) == 0);
	for (size_t i = 2; i < size;) {
		size_t len = 0;

		at += 100000000;
		while (i + len < size && data[i + len] < 0xf8)
			len++;
		must(screen_feed(s, at, data + i, len) == 0);
		i += len;
		if (i + 2 < size)
			must(screen_resize(s, at, data[i + 1], data[i + 2]) == 0);
		i += 3;
	}
	must(screen_flush(s, at) == 0);
	if ((data[0] != 0 || data[1] != 0) && is_ascii(data + 2, size - 2))
		same_again(s);
	screen_free(s);
	return 0;
}
