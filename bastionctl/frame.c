/* Payloads of the link's frames (recorder/link_proto.h), read for people. Tables by type and by request. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bastionctl/frame.h"
#include "lib/json.h"
#include "lib/str.h"
#include "recorder/veil.h"

#define FRAME_PART_SIZE 512 /* bytes of one escaped string with its NUL */
#define FRAME_SIDE_MAX 65535u

static const uint8_t frame_stderr[4] = { 0, 0, 0, 1 }; /* data type code, RFC 4254 section 5.2 */

static const char *const frame_stream_names[FRAME_STREAMS] = { "", "in", "out", "err" };

const char *
frame_stream_name(enum frame_stream stream)
{
	return frame_stream_names[stream];
}

enum frame_stream
frame_stream_find(const char *name)
{
	for (unsigned i = FRAME_IN; i < FRAME_STREAMS; i++)
		if (strcmp(frame_stream_names[i], name) == 0)
			return (enum frame_stream)i;
	return FRAME_NONE;
}

static bool
frame_is_to_client(const struct event *ev)
{
	return ev->way == EVENT_BACK || ev->way == EVENT_TO_FRONT;
}

enum frame_stream
frame_data(const struct event *ev, const uint8_t **ret_p, size_t *ret_len)
{
	if (ev->type == LINK_DATA) {
		*ret_p = ev->data;
		*ret_len = ev->len;
		return frame_is_to_client(ev) ? FRAME_OUT : FRAME_IN;
	}
	if (ev->type != LINK_DATA_EXT || ev->len < 4 || !frame_is_to_client(ev) ||
	    memcmp(ev->data, frame_stderr, sizeof(frame_stderr)) != 0)
		return FRAME_NONE;
	*ret_p = ev->data + 4;
	*ret_len = ev->len - 4;
	return FRAME_ERR;
}

/* What is left of a payload. Nothing is allocated, so that nothing can be missed for want of memory. */
struct frame_cursor {
	const uint8_t *p;
	size_t len;
};

static int
frame_get_u8(struct frame_cursor *b, uint8_t *ret_v)
{
	if (b->len < 1)
		return ERR_FORMAT;
	*ret_v = b->p[0];
	b->p++;
	b->len--;
	return 0;
}

static int
frame_get_u32(struct frame_cursor *b, uint32_t *ret_v)
{
	if (b->len < 4)
		return ERR_FORMAT;
	*ret_v =
	    (uint32_t)b->p[0] << 24 | (uint32_t)b->p[1] << 16 | (uint32_t)b->p[2] << 8 | b->p[3];
	b->p += 4;
	b->len -= 4;
	return 0;
}

/* What EVENT_CONTENT and EVENT_KEPT begin with. */
static bool
frame_get_content(const struct event *ev, struct frame_cursor *b, struct frame_content *c)
{
	uint32_t high, low;

	*c = (struct frame_content){ .stream = frame_is_to_client(ev) ? FRAME_OUT : FRAME_IN };
	if (frame_get_u32(b, &c->number) != 0 || frame_get_u32(b, &high) != 0 ||
	    frame_get_u32(b, &low) != 0)
		return false;
	c->offset = (uint64_t)high << 32 | low;
	return true;
}

bool
frame_content(const struct event *ev, struct frame_content *ret)
{
	struct frame_cursor b = { ev->data, ev->len };

	return ev->type == EVENT_CONTENT && frame_get_content(ev, &b, ret) &&
	       frame_get_u32(&b, &ret->len) == 0;
}

bool
frame_kept(const struct event *ev, struct frame_content *ret)
{
	struct frame_cursor b = { ev->data, ev->len };

	return ev->type == EVENT_KEPT && frame_get_content(ev, &b, ret);
}

/* A string (RFC 4251 section 5), escaped. 0; ERR_FORMAT. */
static int
frame_get_text(struct frame_cursor *b, char *dst, size_t size)
{
	struct frame_cursor before = *b;
	uint32_t len;

	if (frame_get_u32(b, &len) != 0 || len > b->len) {
		*b = before;
		return ERR_FORMAT;
	}
	(void)str_escape(dst, size, b->p, len);
	b->p += len;
	b->len -= len;
	return 0;
}

/* The head of LINK_REQUEST and LINK_GLOBAL; b stands at the request's own fields afterwards. */
static int
frame_get_request(struct frame_cursor *b, char *ret_name, size_t size)
{
	uint32_t number;
	uint8_t want_reply;
	int r;

	if ((r = frame_get_u32(b, &number)) != 0 || (r = frame_get_text(b, ret_name, size)) != 0)
		return r;
	return frame_get_u8(b, &want_reply);
}

static int
frame_get_size(struct frame_cursor *b, uint32_t *ret_cols, uint32_t *ret_rows)
{
	uint32_t cols, rows;
	int r;

	if ((r = frame_get_u32(b, &cols)) != 0 || (r = frame_get_u32(b, &rows)) != 0)
		return r;
	if (cols == 0 || cols > FRAME_SIDE_MAX || rows == 0 || rows > FRAME_SIDE_MAX)
		return ERR_FORMAT;
	*ret_cols = cols;
	*ret_rows = rows;
	return 0;
}

bool
frame_size(const struct event *ev, uint32_t *ret_cols, uint32_t *ret_rows)
{
	struct frame_cursor b = { ev->data, ev->len };
	char name[32], term[FRAME_PART_SIZE];

	if (ev->type != LINK_REQUEST || frame_get_request(&b, name, sizeof(name)) != 0)
		return false;
	if (strcmp(name, "window-change") == 0)
		return frame_get_size(&b, ret_cols, ret_rows) == 0;
	return strcmp(name, "pty-req") == 0 && frame_get_text(&b, term, sizeof(term)) == 0 &&
	       frame_get_size(&b, ret_cols, ret_rows) == 0;
}

bool
frame_exit(const struct event *ev, uint32_t *ret_status)
{
	struct frame_cursor b = { ev->data, ev->len };

	return ev->type == LINK_EXIT_STATUS && frame_get_u32(&b, ret_status) == 0;
}

bool
frame_signal(const struct event *ev, char *dst, size_t size)
{
	struct frame_cursor b = { ev->data, ev->len };

	return ev->type == LINK_EXIT_SIGNAL && frame_get_text(&b, dst, size) == 0;
}

/* Text about one payload; b stands at what is to be read. 0, or negative: nothing to say. */
typedef int (*frame_text_fn)(struct frame_cursor *b, const char *name, char *dst, size_t size);

/* dst may be shorter than the text: it is cut then. */
static int
frame_say(char *dst, size_t size, const char *a, const char *b, const char *c)
{
	(void)snprintf(dst, size, "%s%s%s", a, b, c);
	return 0;
}

static int
text_req_string(struct frame_cursor *b, const char *name, char *dst, size_t size)
{
	char s[FRAME_PART_SIZE];
	uint32_t len;

	if (frame_get_u32(b, &len) != 0 || (len > b->len && b->len < FRAME_PART_SIZE))
		return ERR_FORMAT;
	/* Of a request in several frames this is the first: more than is shown. */
	str_escape(s, sizeof(s), b->p, len < b->len ? len : b->len);
	return frame_say(dst, size, name, ": ", s);
}

static int
text_req_pty(struct frame_cursor *b, const char *name, char *dst, size_t size)
{
	char term[FRAME_PART_SIZE];
	uint32_t cols, rows;
	int r;

	if ((r = frame_get_text(b, term, sizeof(term))) != 0 ||
	    (r = frame_get_u32(b, &cols)) != 0 || (r = frame_get_u32(b, &rows)) != 0)
		return r;
	(void)snprintf(dst, size, "%s: %s %ux%u", name, term, cols, rows);
	return 0;
}

static int
text_req_window(struct frame_cursor *b, const char *name, char *dst, size_t size)
{
	uint32_t cols, rows;
	int r;

	if ((r = frame_get_u32(b, &cols)) != 0 || (r = frame_get_u32(b, &rows)) != 0)
		return r;
	(void)snprintf(dst, size, "%s: %ux%u", name, cols, rows);
	return 0;
}

static int
text_req_env(struct frame_cursor *b, const char *name, char *dst, size_t size)
{
	char var[FRAME_PART_SIZE], value[FRAME_PART_SIZE];
	int r;

	if ((r = frame_get_text(b, var, sizeof(var))) != 0 ||
	    (r = frame_get_text(b, value, sizeof(value))) != 0)
		return r;
	(void)snprintf(dst, size, "%s: %s=%s", name, var, value);
	return 0;
}

static const struct {
	const char *name;
	frame_text_fn text;
} frame_requests[] = {
	{ "exec", text_req_string },
	{ "subsystem", text_req_string },
	{ "signal", text_req_string },
	{ "pty-req", text_req_pty },
	{ "window-change", text_req_window },
	{ "env", text_req_env },
};

static int
text_request(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	char name[FRAME_PART_SIZE];
	int r = frame_get_request(b, name, sizeof(name));

	if (r != 0)
		return r;
	for (size_t i = 0; i < sizeof(frame_requests) / sizeof(frame_requests[0]); i++)
		if (strcmp(frame_requests[i].name, name) == 0)
			return frame_requests[i].text(b, name, dst, size);
	if (b->len > 0)
		(void)snprintf(dst, size, "%s%s (%zu bytes)", what, name, b->len);
	else
		(void)frame_say(dst, size, what, name, "");
	return 0;
}

static int
text_more(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	(void)snprintf(dst, size, "%s (%zu bytes)", what, b->len);
	return 0;
}

static int
text_string(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	char s[FRAME_PART_SIZE];
	int r = frame_get_text(b, s, sizeof(s));

	return r != 0 ? r : frame_say(dst, size, what, s, "");
}

static int
text_fixed(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	(void)b;
	return frame_say(dst, size, what, "", "");
}

static int
text_open_fail(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	uint32_t reason;
	int r = frame_get_u32(b, &reason);

	return r != 0 ? r : text_string(b, what, dst, size);
}

static int
text_reply(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	uint32_t number;
	uint8_t yes;
	int r;

	if ((r = frame_get_u32(b, &number)) != 0 || (r = frame_get_u8(b, &yes)) != 0)
		return r;
	if (yes != 0) /* the usual case is not worth a line */
		return ERR_NOT_FOUND;
	(void)snprintf(dst, size, "%s %u failed", what, number);
	return 0;
}

static int
text_u32(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	uint32_t status;
	int r = frame_get_u32(b, &status);

	if (r == 0)
		(void)snprintf(dst, size, "%s %u", what, status);
	return r;
}

static int
text_end(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	uint8_t code;
	int r = frame_get_u8(b, &code);

	return r != 0 ? r : text_string(b, what, dst, size);
}

static int
text_two(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	char first[FRAME_PART_SIZE], second[FRAME_PART_SIZE];
	int r;

	if ((r = frame_get_text(b, first, sizeof(first))) != 0 ||
	    (r = frame_get_text(b, second, sizeof(second))) != 0)
		return r;
	(void)snprintf(dst, size, "%s%s: %s", what, first, second);
	return 0;
}

static const struct {
	uint8_t note; /* enum link_note */
	const char *what;
	frame_text_fn text;
} frame_notes[] = {
	{ LINK_NOTE_CLIENT, "client: ", text_two },
	{ LINK_NOTE_CONNECTED, "connected: ", text_two },
	{ LINK_NOTE_READY, "logged in at the target", text_fixed },
	{ LINK_NOTE_REFUSED, "refused: ", text_two },
	{ LINK_NOTE_BANNER, "banner of the target: ", text_string },
	{ LINK_NOTE_UNCLOSED, "CLOSE was not answered, seconds waited:", text_u32 },
};

static int
text_note(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	uint8_t note;
	int r = frame_get_u8(b, &note);

	(void)what;
	for (size_t i = 0; r == 0 && i < sizeof(frame_notes) / sizeof(frame_notes[0]); i++)
		if (frame_notes[i].note == note)
			return frame_notes[i].text(b, frame_notes[i].what, dst, size);
	return r != 0 ? r : ERR_NOT_FOUND;
}

static int
text_verdict(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	static const char *const names[] = { "", "allowed ", "denied ", "replaced " };
	uint8_t way, type, verdict;
	int r;

	(void)what;
	if ((r = frame_get_u8(b, &way)) != 0 || (r = frame_get_u8(b, &type)) != 0 ||
	    (r = frame_get_u8(b, &verdict)) != 0)
		return r;
	if (verdict < 2 || verdict > 3) /* allowed: the request itself says it */
		return ERR_NOT_FOUND;
	return text_two(b, names[verdict], dst, size);
}

char *
frame_file_result(const struct json_node *f, char dst[FRAME_RESULT_SIZE])
{
	uint64_t status = json_u64(json_get(f, "status"), UINT64_MAX);
	const char *text = json_str(json_get(f, "text"), "");

	if (json_bool(json_get(f, "refused"), false))
		(void)snprintf(dst, FRAME_RESULT_SIZE, "refused");
	else if (status == UINT64_MAX)
		(void)snprintf(dst, FRAME_RESULT_SIZE, "no answer");
	else if (status == 0)
		(void)snprintf(dst, FRAME_RESULT_SIZE, "ok");
	else
		(void)snprintf(dst, FRAME_RESULT_SIZE, "failed (%" PRIu64 "%s%.100s)", status,
		    text[0] != '\0' ? ": " : "", text);
	return dst;
}

/* "put /tmp/a: 11 bytes, ok"; "rename a -> b: failed (4: Failure)". */
static int
text_file(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	char path[FRAME_PART_SIZE], path2[FRAME_PART_SIZE], result[FRAME_RESULT_SIZE],
	    bytes[48] = "";
	const char *one, *two;
	struct json_node *f;
	uint32_t number, len;

	(void)what;
	if (frame_get_u32(b, &number) != 0 || frame_get_u32(b, &len) != 0 || len != b->len ||
	    json_parse((const char *)b->p, len, &f) != 0)
		return ERR_FORMAT;
	one = json_str(json_get(f, "path"), "");
	two = json_str(json_get(f, "path2"), "");
	if (json_u64(json_get(f, "bytes"), 0) > 0)
		(void)snprintf(
		    bytes, sizeof(bytes), "%" PRIu64 " bytes, ", json_u64(json_get(f, "bytes"), 0));
	(void)snprintf(dst, size, "%s %s%s%s: %s%s", json_str(json_get(f, "op"), "?"),
	    str_escape(path, sizeof(path), one, strlen(one)), two[0] != '\0' ? " -> " : "",
	    str_escape(path2, sizeof(path2), two, strlen(two)), bytes,
	    frame_file_result(f, result));
	json_node_free(f);
	return 0;
}

static int
text_hidden(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	const struct event ev = { .type = EVENT_HIDDEN, .data = b->p, .len = b->len };

	return frame_say(dst, size, what, " ", veil_why_text(&ev));
}

/* "(masked) aws-key 1, url-password 2": what of the data behind it. */
static int
text_masked(struct frame_cursor *b, const char *what, char *dst, size_t size)
{
	char name[64];
	uint32_t n, places;
	size_t at;
	int r;

	(void)snprintf(dst, size, "%s", what);
	if ((r = frame_get_u32(b, &n)) != 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		if ((r = frame_get_text(b, name, sizeof(name))) != 0 ||
		    (r = frame_get_u32(b, &places)) != 0)
			return r;
		at = strlen(dst);
		(void)snprintf(dst + at, size - at, "%s %s %u", i > 0 ? "," : "", name, places);
	}
	return 0;
}

static const struct {
	uint8_t type;
	const char *what;
	frame_text_fn text;
	const char *what_back; /* NULL: the same from both sides */
} frame_types[] = {
	{ EVENT_VERDICT, "", text_verdict, NULL },
	{ EVENT_FILE, "", text_file, NULL },
	{ EVENT_REMARK, "", text_two, NULL },
	{ EVENT_HIDDEN, "(hidden)", text_hidden, NULL },
	{ EVENT_MASKED, "(masked)", text_masked, NULL },
	{ LINK_OPEN, "open ", text_string, NULL },
	{ LINK_OPEN_FAIL, "not opened: ", text_open_fail, NULL },
	{ LINK_EOF, "end of input", text_fixed, "end of output" },
	{ LINK_CLOSE, "closed by the client", text_fixed, "closed by the target" },
	{ LINK_REQUEST, "", text_request, NULL },
	{ LINK_MORE, "more of that request", text_more, NULL },
	{ LINK_REPLY, "request", text_reply, NULL },
	{ LINK_EXIT_STATUS, "exit status", text_u32, NULL },
	{ LINK_EXIT_SIGNAL, "killed by signal ", text_string, NULL },
	{ LINK_GLOBAL, "global request ", text_request, NULL },
	{ LINK_GLOBAL_REPLY, "global request", text_reply, NULL },
	{ LINK_NOTE, "", text_note, NULL },
	{ LINK_END, "end: ", text_end, NULL },
};

bool
frame_text(const struct event *ev, char *dst, size_t size)
{
	struct frame_cursor b = { ev->data, ev->len };

	for (size_t i = 0; i < sizeof(frame_types) / sizeof(frame_types[0]); i++)
		if (frame_types[i].type == ev->type) {
			bool back = frame_is_to_client(ev) && frame_types[i].what_back != NULL;
			const char *what = back ? frame_types[i].what_back : frame_types[i].what;

			return frame_types[i].text(&b, what, dst, size) == 0;
		}
	return false;
}
