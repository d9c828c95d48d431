/* json: one document with the session's description and every event, bytes as base64 and, where they are text, as text. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "lib/str.h"

static int
json_format_begin(struct export *x)
{
	char *text;
	size_t len;
	int r = json_node_text(x->view.session, false, &text, &len);

	if (r != 0)
		return r;
	fprintf(x->out, "{\"session\": %s,\n\"events\": [", text);
	free(text);
	return 0;
}

/* The bytes as text too; each event for itself, so a cut code point is U+FFFD at both sides of the cut. */
static int
json_format_text(struct export *x, const uint8_t *p, size_t len)
{
	struct utf8 u = { 0 };
	uint64_t bad = 0;
	int r;

	buf_reset(x->scratch);
	if ((r = export_json_chars(x->scratch, &u, p, len, true, &bad)) != 0)
		return r;
	fputs(", \"text\": \"", x->out);
	(void)fwrite(buf_ptr(x->scratch), 1, buf_len(x->scratch), x->out);
	fputs("\"", x->out);
	buf_reset(x->scratch);
	return 0;
}

static int
json_format_event(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	bool is_data = stream != FRAME_NONE;
	char *base64 = str_base64(is_data ? p : ev->data, is_data ? len : ev->len);
	char line[FRAME_TEXT_SIZE];
	int r = 0;

	if (base64 == NULL)
		return -ENOMEM;
	fprintf(x->out,
	    "%s\n{\"seq\": %" PRIu64 ", \"at_ns\": %" PRIu64
	    ", \"way\": \"%s\", \"type\": \"%s\", \"type_number\": %u, \"channel\": %" PRIu32,
	    x->n_written > 0 ? "," : "", ev->seq, ev->at_ns, event_way_name(ev->way),
	    event_type_name(ev->type), ev->type, ev->channel);
	if (is_data) {
		fprintf(x->out, ", \"stream\": \"%s\"", frame_stream_name(stream));
		r = json_format_text(x, p, len);
	} else if (frame_text(ev, line, sizeof(line)))
		r = json_format_text(x, (const uint8_t *)line, strnlen(line, sizeof(line)));
	fprintf(x->out, ", \"%s\": \"%s\"}", is_data ? "data" : "payload", base64);
	free(base64);
	x->n_written++;
	return r;
}

static int
json_format_end(struct export *x)
{
	fputs("\n]}\n", x->out);
	return 0;
}

const struct export_format export_json = { "json", false, false, false, json_format_begin,
	json_format_event, json_format_end };
