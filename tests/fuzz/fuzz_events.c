/*
 * An event stream as a reader sends it, of any content: every exporter takes it, says nothing that a terminal acts on, and what
 * should be JSON is.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "lib/json.h"
#include "recorder/event.h"
#include "tests/lib/vt_allowed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
feed(struct export *x, const uint8_t *data, size_t size)
{
	struct event_reader r;
	struct event ev;

	event_reader_init(&r, data, size, 1, 0);
	while (event_next(&r, &ev) == 0)
		must(export_event(x, &ev) == 0);
	must(export_end(x) == 0);
}

/* Lines of JSON, comments between them. */
static void
check_cast(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		struct json_node *root = NULL;

		must(end != NULL);
		if (text[at] != '#')
			must(json_parse(text + at, (size_t)(end - text) - at, &root) == 0);
		json_node_free(root);
		at = (size_t)(end - text) + 1;
	}
}

/* The recording's element holds a cast and ends where ours does. */
static void
check_page(const char *text, size_t len)
{
	static const char open[] = "id=\"cast\">\n", close[] = "</script>";
	const char *from = memmem(text, len, open, sizeof(open) - 1), *to;

	must(from != NULL);
	from += sizeof(open) - 1;
	to = memchr(from, '<', (size_t)(text + len - from));
	must(to != NULL && (size_t)(text + len - to) > sizeof(close) &&
	     memcmp(to, close, sizeof(close) - 1) == 0);
	check_cast(from, (size_t)(to - from));
}

static void
check(const char *format, const char *text, size_t len)
{
	struct json_node *root = NULL;

	if (strcmp(format, "raw") == 0)
		return;
	must(strcmp(format, "html") == 0 || vt_allowed(text, len) == len);
	must(memchr(text, '\033', len) == NULL);
	if (strcmp(format, "json") == 0)
		must(json_parse(text, len, &root) == 0);
	json_node_free(root);
	if (strncmp(format, "asciicast", 9) == 0)
		check_cast(text, len);
	if (strcmp(format, "html") == 0)
		check_page(text, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = { "asciicast-v2", "asciicast-v3", "html", "json",
		"text", "raw" };
	static char script[] = "var a;", style[] = "a{}", licence[] = "text";
	static struct page_player player = { { script, style, licence }, { 6, 3, 4 } };
	static const struct export_page page = { &player, "verified", true };
	static const char session[] = "{\"id\":\"00\",\"started_at\":\"2026-01-02T03:04:05Z\"}";

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct export_format *format = export_find(formats[i]);
		struct export_view view = { .page = format->page ? &page : NULL };
		struct json_node *root = NULL;
		struct export x;
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		must(out != NULL && json_parse(session, strlen(session), &root) == 0);
		view.session = root;
		must(export_begin(&x, format, out, &view) == 0);
		feed(&x, data, size);
		must(fclose(out) == 0);
		check(formats[i], text, len);
		export_free(&x);
		json_node_free(root);
		free(text);
	}
	return 0;
}
