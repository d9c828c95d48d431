/* What all formats share: which events they see, what they could not hold, strings of JSON. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/vt_safe.h"

#define EXPORT_SCRATCH_MAX (EVENT_DATA_MAX * EXPORT_JSON_GROWTH)

static const struct export_format *const export_formats[] = { &export_asciicast_v2,
	&export_asciicast_v3, &export_html, &export_json, &export_raw, &export_text };
#define EXPORT_FORMATS (sizeof(export_formats) / sizeof(export_formats[0]))

const struct export_format *
export_find(const char *name)
{
	for (size_t i = 0; i < EXPORT_FORMATS; i++)
		if (strcmp(export_formats[i]->name, name) == 0)
			return export_formats[i];
	return NULL;
}

char *
export_names(char *dst, size_t size)
{
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < EXPORT_FORMATS && at < size; i++)
		at += (size_t)snprintf(
		    dst + at, size - at, "%s%s", i > 0 ? " " : "", export_formats[i]->name);
	return dst;
}

static int
export_check(const struct export *x)
{
	return ferror(x->out) != 0 ? (errno != 0 ? -errno : -EIO) : 0;
}

int
export_begin(
    struct export *x, const struct export_format *format, FILE *out, const struct export_view *view)
{
	int r;

	memset(x, 0, sizeof(*x));
	x->format = format;
	x->out = out;
	x->view = *view;
	x->scratch = buf_new(EXPORT_SCRATCH_MAX);
	if (x->scratch == NULL)
		return -ENOMEM;
	if ((r = format->begin(x)) != 0)
		export_free(x);
	return r;
}

/* Count what is left out. True: the format is told of ev. */
static bool
export_sees(struct export *x, const struct event *ev)
{
	const struct export_view *v = &x->view;
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);

	if (v->channel != 0 && ev->channel != v->channel && ev->channel != 0) {
		x->lost.other_bytes += len;
		return false;
	}
	return v->stream == FRAME_NONE || stream == FRAME_NONE || stream == v->stream;
}

int
export_event(struct export *x, const struct event *ev)
{
	int r = 0;

	x->last_ns = ev->at_ns;
	if (export_sees(x, ev))
		r = x->format->event(x, ev);
	return r != 0 ? r : export_check(x);
}

int
export_end(struct export *x)
{
	int r = x->format->end(x);

	if (r == 0 && fflush(x->out) != 0)
		r = -errno;
	return r != 0 ? r : export_check(x);
}

void
export_free(struct export *x)
{
	buf_free(x->scratch);
	export_lines_free(x->lines);
	x->scratch = NULL;
	x->lines = NULL;
}

static size_t
export_lost_part(char *dst, size_t size, size_t at, uint64_t n, const char *what)
{
	if (n == 0 || at >= size)
		return at;
	return at + (size_t)snprintf(
			dst + at, size - at, "%s%" PRIu64 " %s", at > 0 ? "; " : "", n, what);
}

bool
export_lost_text(const struct export *x, char *dst, size_t size)
{
	const struct export_lost *l = &x->lost;
	size_t at = 0;

	dst[0] = '\0';
	at = export_lost_part(dst, size, at, l->bad_bytes, "bytes that are not UTF-8 (now U+FFFD)");
	at = export_lost_part(dst, size, at, l->merged_bytes, "bytes of stderr apart from stdout");
	at = export_lost_part(
	    dst, size, at, l->other_bytes, "bytes of other channels (see --channel)");
	at = export_lost_part(dst, size, at, l->requests, "requests and marks");
	at = export_lost_part(
	    dst, size, at, l->binary_bytes, "bytes of subsystems, which are no text");
	if (l->exit && at < size)
		at +=
		    (size_t)snprintf(dst + at, size - at, "%sthe exit status", at > 0 ? "; " : "");
	return at > 0;
}

const struct json_node *
export_channel(const struct json_node *session, uint32_t channel)
{
	const struct json_node *channels = json_get(session, "channels");

	for (size_t i = 0; i < json_n(channels); i++)
		if (json_u64(json_get(json_at(channels, i), "n"), 0) == channel)
			return json_at(channels, i);
	return NULL;
}

uint32_t
export_main_channel(const struct json_node *session)
{
	const struct json_node *channels = json_get(session, "channels");
	uint64_t first = 0, output = 0;

	for (size_t i = 0; i < json_n(channels); i++) {
		const struct json_node *c = json_at(channels, i);
		uint64_t n = json_u64(json_get(c, "n"), 0);

		if (json_bool(json_get(c, "pty"), false))
			return (uint32_t)n;
		first = first == 0 ? n : first;
		if (output == 0 && (json_u64(json_get(c, "bytes_out"), 0) > 0 ||
				       json_u64(json_get(c, "bytes_err"), 0) > 0))
			output = n;
	}
	return (uint32_t)(output != 0 ? output : first);
}

/* As \u escapes, in two halves above U+FFFF. */
static int
export_json_escape(struct buf *b, uint32_t cp)
{
	char text[16];

	if (cp > 0xffff)
		(void)snprintf(text, sizeof(text), "\\u%04x\\u%04x",
		    0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + ((cp - 0x10000) & 0x3ff));
	else
		(void)snprintf(text, sizeof(text), "\\u%04x", cp);
	return buf_put(b, text, strlen(text));
}

static int
export_json_cp(struct buf *b, uint32_t cp)
{
	uint8_t bytes[UTF8_BYTES_MAX + 1];

	if (cp == '"' || cp == '\\') {
		bytes[0] = '\\';
		bytes[1] = (uint8_t)cp;
		return buf_put(b, bytes, 2);
	}
	if (cp < 0x20 || cp == 0x7f || (cp >= 0x80 && !vt_safe_is_shown(cp)))
		return export_json_escape(b, cp);
	return buf_put(b, bytes, utf8_put(bytes, cp));
}

/* Bytes at p that stand for themselves inside a string. */
static size_t
export_json_run(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

/* One byte more, or the end of a sequence that is cut short (then *taken is false). */
static int
export_json_step(struct buf *b, struct utf8 *u, uint8_t byte, uint64_t *bad_bytes, bool *taken)
{
	uint32_t cp = UTF8_REPLACEMENT;
	uint64_t seen = u->seen;
	enum utf8_step step = utf8_step(u, byte, &cp);

	*taken = step != UTF8_BAD_CUT;
	if (step == UTF8_BAD || step == UTF8_BAD_CUT)
		*bad_bytes += step == UTF8_BAD ? 1 : seen;
	return step != UTF8_MORE ? export_json_cp(b, cp) : 0;
}

int
export_json_chars(struct buf *b, struct utf8 *u, const uint8_t *data, size_t len, bool finish,
    uint64_t *bad_bytes)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < len;) {
		size_t run = utf8_is_partial(u) ? 0 : export_json_run(data + i, len - i);
		bool taken = false;

		if (run > 0)
			r = buf_put(b, data + i, run);
		else
			r = export_json_step(b, u, data[i], bad_bytes, &taken);
		i += run > 0 ? run : taken;
	}
	if (r == 0 && finish && utf8_is_partial(u)) {
		*bad_bytes += u->seen;
		memset(u, 0, sizeof(*u));
		r = export_json_cp(b, UTF8_REPLACEMENT);
	}
	return r;
}
