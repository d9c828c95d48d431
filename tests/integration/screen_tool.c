/* What our screen shows of terminal output: bastion-screen COLUMNS ROWS < OUTPUT writes its rows. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "recorder/screen.h"

#define TEXT_MAX (16u << 20)

static int
show(struct screen *s)
{
	struct buf *text = buf_new(TEXT_MAX);
	char data[4096];
	size_t n;
	int r = text == NULL;

	while (r == 0 && (n = fread(data, 1, sizeof(data), stdin)) > 0)
		r = screen_feed(s, 0, data, n);
	if (r == 0)
		r = screen_text(s, text);
	if (r == 0 && fwrite(buf_ptr(text), 1, buf_len(text), stdout) != buf_len(text))
		r = 1;
	buf_free(text);
	return r;
}

int
main(int argc, char **argv)
{
	struct screen *s;
	int r;

	if (argc != 3)
		return 2;
	if (screen_new((uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10),
		NULL, NULL, &s) != 0)
		return 1;
	r = show(s);
	screen_free(s);
	return r == 0 ? 0 : 1;
}
