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

static void
check(const char *format, const char *text, size_t len)
{
	struct json_node *root = NULL;

	if (strcmp(format, "raw") == 0)
		return;
	must(vt_allowed(text, len) == len);
	must(memchr(text, '\033', len) == NULL);
	if (strcmp(format, "json") == 0)
		must(json_parse(text, len, &root) == 0);
	json_node_free(root);
	for (size_t at = 0; strcmp(format, "asciicast-v2") == 0 && at < len;) {
		const char *end = memchr(text + at, '\n', len - at);

		must(end != NULL);
		must(json_parse(text + at, (size_t)(end - text) - at, &root) == 0);
		json_node_free(root);
		at = (size_t)(end - text) + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = { "asciicast-v2", "json", "text", "raw" };
	static const char session[] = "{\"id\":\"00\",\"started_at\":\"2026-01-02T03:04:05Z\"}";

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct export_view view = { NULL, 0, FRAME_NONE };
		struct json_node *root = NULL;
		struct export x;
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		must(out != NULL && json_parse(session, strlen(session), &root) == 0);
		view.session = root;
		must(export_begin(&x, export_find(formats[i]), out, &view) == 0);
		feed(&x, data, size);
		must(fclose(out) == 0);
		check(formats[i], text, len);
		export_free(&x);
		json_node_free(root);
		free(text);
	}
	return 0;
}
