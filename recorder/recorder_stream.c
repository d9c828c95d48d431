/* Terms to readers and gates, spans to events. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/gate.h"
#include "recorder/recorder.h"
#include "recorder/recorder_link.h"
#include "recorder/recorder_stream.h"
#include "recorder/watch.h"

#define COMMAND_MAX 65536u				/* bytes of a command with its NUL */
#define CROSS_MAX (2 * (GATE_HELD_MAX + LINK_DATA_MAX)) /* bytes that one frame lets cross */

struct stream {
	LIST_ENTRY(stream) link;
	struct leg *leg;
	uint32_t channel;
	struct watch *watch; /* NULL: nothing reads it */
	bool keep;	     /* content stays in the record */
	bool cut;	     /* nothing of it crosses any more */
	struct gate *gate;   /* NULL: no rule */
	struct gate_rule rule;
	struct buf *cross; /* what the gate lets pass */
};

/* Marks. */

static int
put_event(struct stream *s, uint8_t type, uint32_t number, const char *first, const void *second,
    size_t len)
{
	struct buf *b = buf_new(EVENT_DATA_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	r = first != NULL ? buf_put_cstr(b, first) : buf_put_u32(b, number);
	if (r == 0 && (r = buf_put_str(b, second, len)) == 0)
		r = leg_record(s->leg, EVENT_TO_FRONT, type, s->channel, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
put_remark(struct stream *s, const char *word, const char *text)
{
	return put_event(s, EVENT_REMARK, 0, word, text, strlen(text));
}

/* Bytes of a path; those that JSON cannot hold are there a second time. */
static void
put_path(struct json *j, const char *key, const char *key_raw, const uint8_t *p, size_t len)
{
	char *base64;

	json_put_bytes(j, key, p, len, WATCH_PATH_MAX);
	for (size_t i = 0, n; i < len; i += n)
		if ((n = str_utf8_len(p + i, len - i)) == 0) {
			if ((base64 = str_base64(p, len)) != NULL)
				json_put_str(j, key_raw, base64);
			free(base64);
			return;
		}
}

static void
put_ranges(struct json *j, const struct watch_file *f)
{
	struct json *list;

	if (f->has_hash || f->n_ranges == 0)
		return;
	list = json_list();
	for (size_t i = 0; i < f->n_ranges; i++) {
		struct json *range = json_list();

		json_put_u64(range, NULL, f->ranges[i].from);
		json_put_u64(range, NULL, f->ranges[i].to);
		json_put(list, NULL, range);
	}
	json_put(j, "ranges", list);
	if (f->more_ranges)
		json_put_bool(j, "more_ranges", true);
}

static const char *
op_name(enum watch_op op)
{
	static const char *const names[] = { "other", "get", "put", "list", "mkdir", "rmdir",
		"remove", "rename", "symlink", "link", "setstat", "copy" };

	return (unsigned)op < sizeof(names) / sizeof(names[0]) ? names[op] : names[0];
}

/* The names here are for ever: readers, exports and scripts take them as they are. */
static struct json *
file_json(const struct stream *s, const struct watch_file *f)
{
	struct json *j = json_map();
	char hex[2 * HASH_LEN + 1];

	json_put_u64(j, "number", f->number);
	json_put_u64(j, "channel", s->channel);
	json_put_str(j, "op", op_name(f->op));
	put_path(j, "path", "path_base64", f->path, f->path_len);
	if (f->path2 != NULL)
		put_path(j, "path2", "path2_base64", f->path2, f->path2_len);
	if (f->cut)
		json_put_bool(j, "cut", true);
	if (f->has_size)
		json_put_u64(j, "size", f->size);
	if (f->has_mode)
		json_put_u64(j, "mode", f->mode);
	json_put_u64(j, "bytes", f->bytes);
	if (f->has_hash)
		json_put_str(j, "sha256", str_hex(hex, f->sha256, HASH_LEN));
	put_ranges(j, f);
	if (f->bytes > 0)
		json_put_str(j, "content", s->keep ? "kept" : "hash");
	if (f->answered)
		json_put_u64(j, "status", f->status);
	if (f->answered && f->text[0] != '\0')
		json_put_str(j, "text", f->text);
	if (f->refused)
		json_put_bool(j, "refused", true);
	return j;
}

static int
on_file(void *arg, const struct watch_file *f)
{
	struct stream *s = arg;
	struct json *j = file_json(s, f);
	char *text;
	size_t len;
	int r = json_text(j, false, EVENT_DATA_MAX - 8, &text, &len);

	json_free(j);
	if (r != 0)
		return r;
	r = put_event(s, EVENT_FILE, f->number, NULL, text, len);
	free(text);
	return r;
}

/* Content that is not kept: its place in the stream is taken by its hash. */
static int
put_content(struct stream *s, enum event_way way, const uint8_t *p, size_t len, uint32_t number,
    uint64_t offset)
{
	uint8_t hash[HASH_LEN];
	struct buf *b = buf_new(64);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	hash_sha256(p, len, hash);
	if ((r = buf_put_u32(b, number)) == 0 && (r = buf_put_u64(b, offset)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)len)) == 0 && (r = buf_put(b, hash, HASH_LEN)) == 0)
		r = leg_record(s->leg, way, EVENT_CONTENT, s->channel, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

/* Content that is kept: a mark, so that it can be found again, and the bytes. */
static int
put_kept(struct stream *s, enum event_way way, uint32_t number, uint64_t offset)
{
	uint8_t mark[12];

	for (size_t i = 0; i < 4; i++)
		mark[i] = (uint8_t)(number >> (24 - 8 * i));
	for (size_t i = 0; i < 8; i++)
		mark[4 + i] = (uint8_t)(offset >> (56 - 8 * i));
	return leg_record(s->leg, way, EVENT_KEPT, s->channel, mark, sizeof(mark));
}

static int
on_span(
    void *arg, enum event_way way, const uint8_t *p, size_t len, uint32_t number, uint64_t offset)
{
	struct stream *s = arg;
	int r;

	if (number != 0 && !s->keep)
		return put_content(s, way, p, len, number, offset);
	if (number != 0 && (r = put_kept(s, way, number, offset)) != 0)
		return r;
	return leg_record(s->leg, way, LINK_DATA, s->channel, p, len);
}

/* Remarks that somebody should hear of who does not look at the recording. */
static int
on_remark(void *arg, const char *word, const char *text)
{
	struct stream *s = arg;
	int r = put_remark(s, word, text);

	if (r != 0)
		return r;
	if (strcmp(word, "agent-sign") == 0)
		leg_audit(s->leg, "agent.signed", "signature", text);
	else if (strcmp(word, "cut") == 0) {
		leg_audit(s->leg, "forward.cut", "reason", text);
		s->cut = true;
		return leg_tell(s->leg, s->channel, "forward", text);
	}
	return 0;
}

static const struct watch_sink sink = { on_span, on_file, on_remark };

/* The gate refused a request: it never reached the target. */
static int
on_refused(void *arg, const struct gate_refusal *refusal)
{
	struct stream *s = arg;
	struct watch_file f = { .op = refusal->op,
		.path = refusal->path,
		.path_len = refusal->path_len < WATCH_PATH_MAX ? refusal->path_len : WATCH_PATH_MAX,
		.cut = refusal->path_len > WATCH_PATH_MAX,
		.refused = true };
	char path[512], text[1024];
	int r;

	if (refusal->path2_len > 0) {
		f.path2 = refusal->path2;
		f.path2_len =
		    refusal->path2_len < WATCH_PATH_MAX ? refusal->path2_len : WATCH_PATH_MAX;
	}
	(void)str_escape(path, sizeof(path), refusal->path, refusal->path_len);
	(void)snprintf(text, sizeof(text), "%s %s: %s", refusal->name, path, refusal->why);
	leg_audit(s->leg, "file.refused", "request", text);
	if ((r = put_remark(s, "refused", text)) != 0 || refusal->op == 0)
		return r;
	f.number = ++s->leg->n_files;
	return on_file(s, &f);
}

/* Terms. */

static int
parse_prefixes(struct buf *b, struct gate_prefixes *p)
{
	const uint8_t *text;
	uint32_t n;
	size_t len;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > GATE_PREFIXES_MAX)
		return ERR_FORMAT;
	if (n > 0 && (p->list = calloc(n, sizeof(*p->list))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		if ((r = buf_get_str(b, &text, &len)) != 0)
			return r;
		if (len == 0 || text[0] != '/' || memchr(text, 0, len) != NULL)
			return ERR_FORMAT;
		if ((p->list[i] = strndup((const char *)text, len)) == NULL)
			return -ENOMEM;
		p->n++;
	}
	return 0;
}

struct terms {
	uint8_t stream, files, rights;
};

static int
parse_terms(const uint8_t *data, size_t len, struct terms *t, struct gate_rule *rule)
{
	struct buf *b = buf_view(data, len);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &t->stream)) == 0 && (r = buf_get_u8(b, &t->files)) == 0 &&
	    (r = buf_get_u8(b, &t->rights)) == 0 && (r = parse_prefixes(b, &rule->reads)) == 0 &&
	    (r = parse_prefixes(b, &rule->writes)) == 0)
		r = buf_end(b);
	buf_free(b);
	rule->read = (t->rights & POL_FILES_READ) != 0;
	rule->write = (t->rights & POL_FILES_WRITE) != 0;
	return r;
}

static void
prefixes_free(struct gate_prefixes *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->list[i]);
	free(p->list);
}

static void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	watch_free(s->watch);
	gate_free(s->gate);
	prefixes_free(&s->rule.reads);
	prefixes_free(&s->rule.writes);
	buf_free(s->cross);
	free(s);
}

/* What an exec runs; "" for everything else. RFC 4254 section 6.5. */
static int
get_command(uint16_t type, const uint8_t *payload, size_t len, char **ret_command)
{
	struct buf *b = buf_view(payload, len);
	char *command = calloc(1, COMMAND_MAX);
	uint32_t number;
	uint8_t want;
	char name[64];

	if (b == NULL || command == NULL) {
		buf_free(b);
		free(command);
		return -ENOMEM;
	}
	if (type != LINK_REQUEST || buf_get_u32(b, &number) != 0 ||
	    buf_get_cstr(b, name, sizeof(name)) != 0 || buf_get_u8(b, &want) != 0 ||
	    strcmp(name, "exec") != 0 || buf_get_cstr(b, command, COMMAND_MAX) != 0)
		command[0] = '\0';
	buf_free(b);
	*ret_command = command;
	return 0;
}

/* A rule is there when the right is not all of it. */
static int
make_gate(struct stream *s, const struct terms *t)
{
	const struct gate_rule *rule = &s->rule;

	if (t->stream != POL_STREAM_SFTP ||
	    (rule->read && rule->write && rule->reads.n == 0 && rule->writes.n == 0))
		return 0;
	s->gate = gate_new(rule, on_refused, s);
	s->cross = buf_new(CROSS_MAX);
	return s->gate == NULL || s->cross == NULL ? -ENOMEM : 0;
}

static int
make_watch(struct stream *s, const struct terms *t, const char *command)
{
	int r = watch_new(t->stream, command, &sink, s, &s->watch);

	if (r == ERR_FORMAT)
		return put_remark(s, "unfollowed", "a command that cannot be read");
	if (r == 0)
		watch_share_numbers(s->watch, &s->leg->n_files);
	return r;
}

int
stream_begin(struct leg *leg, uint32_t channel, uint16_t type, const uint8_t *payload,
    size_t payload_len, const uint8_t *terms, size_t terms_len)
{
	struct stream *old = stream_find(leg, channel), *s;
	struct terms t = { 0 };
	char *command = NULL;
	int r;

	/* The ledger lets a channel ask for one program; were there another, its terms would be the ones. */
	if (old != NULL && (r = stream_end(old)) != 0)
		return r;
	if (terms_len == 0)
		return 0;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return -ENOMEM;
	s->leg = leg;
	s->channel = channel;
	if ((r = parse_terms(terms, terms_len, &t, &s->rule)) != 0 || t.stream == POL_STREAM_PLAIN)
		goto out;
	s->keep = t.files == POL_FILES_KEEP;
	if ((r = make_gate(s, &t)) != 0 ||
	    (r = get_command(type, payload, payload_len, &command)) != 0 ||
	    (r = make_watch(s, &t, command)) != 0)
		goto out;
	LIST_INSERT_HEAD(&leg->streams, s, link);
	s = NULL;
out:
	free(command);
	stream_free(s);
	return r;
}

struct stream *
stream_find(struct leg *leg, uint32_t channel)
{
	struct stream *s;

	LIST_FOREACH (s, &leg->streams, link)
		if (s->channel == channel)
			return s;
	return NULL;
}

/* Bytes that cross. */

/* Nothing of the channel crosses from here on, and both sides hear that it is over. */
static int
cut(struct stream *s)
{
	s->cut = true;
	return leg_cut_channel(s->leg, s->channel);
}

static int
watch_bytes(struct stream *s, enum event_way way, const uint8_t *data, size_t len)
{
	if (s->watch == NULL)
		return leg_record(s->leg, way, LINK_DATA, s->channel, data, len);
	return watch_data(s->watch, way, data, len);
}

static int
cross(struct stream *s, struct end *from, const uint8_t *data, size_t len)
{
	int r;

	for (size_t n; len > 0; data += n, len -= n) {
		n = len < LINK_DATA_MAX ? len : LINK_DATA_MAX;
		if ((r = watch_bytes(s, leg_way_from(from), data, n)) != 0)
			return r;
		if (s->cut)
			return cut(s);
		if ((r = leg_send(from, LINK_DATA, s->channel, data, n)) != 0)
			return r;
	}
	return 0;
}

/* What cannot be judged ends its channel, and the user reads why. */
static int
cut_gate(struct stream *s)
{
	const char *why = gate_why(s->gate);
	char line[256];
	int r;

	(void)snprintf(line, sizeof(line), "file transfer ended: %s", why);
	leg_audit(s->leg, "file.refused", "request", why);
	if ((r = put_remark(s, "refused", why)) != 0 ||
	    (r = leg_tell(s->leg, s->channel, "subsystem", line)) != 0)
		return r;
	return cut(s);
}

/* What the gate let pass crosses, also when it then stopped. r: what it answered. */
static int
cross_gate(struct stream *s, struct end *from, int r)
{
	int e = cross(s, from, buf_ptr(s->cross), buf_len(s->cross));

	buf_reset(s->cross);
	if (e != 0 || s->cut)
		return e;
	return r == ERR_DENIED ? cut_gate(s) : r;
}

/* s is gone when it was cut. */
static int
settle(struct stream *s, int r)
{
	int e;

	if (!s->cut)
		return r;
	e = stream_end(s);
	return r != 0 ? r : e;
}

int
stream_data(struct stream *s, struct end *from, const uint8_t *data, size_t len)
{
	enum event_way way = leg_way_from(from);
	int r;

	if (s->gate == NULL)
		return settle(s, cross(s, from, data, len));
	r = gate_data(s->gate, way, data, len, s->cross);
	return settle(s, cross_gate(s, from, r));
}

int
stream_eof(struct stream *s, struct end *from)
{
	if (s->gate == NULL || leg_way_from(from) != EVENT_FRONT)
		return 0;
	return settle(s, cross_gate(s, from, gate_flush(s->gate, s->cross)));
}

int
stream_exit(struct stream *s, const uint8_t *payload, size_t len)
{
	struct buf *b = buf_view(payload, len);
	uint32_t status;
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	if (s->watch != NULL && buf_get_u32(b, &status) == 0)
		r = watch_exit(s->watch, status);
	buf_free(b);
	return r;
}

int
stream_end(struct stream *s)
{
	int r = s->watch != NULL ? watch_end(s->watch) : 0;

	LIST_REMOVE(s, link);
	stream_free(s);
	return r;
}

int
stream_end_all(struct leg *leg)
{
	struct stream *s, *next;
	int r = 0, e;

	for (s = LIST_FIRST(&leg->streams); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		e = stream_end(s);
		r = r != 0 ? r : e;
	}
	return r;
}

void
stream_free_all(struct leg *leg)
{
	struct stream *s, *next;

	for (s = LIST_FIRST(&leg->streams); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		LIST_REMOVE(s, link);
		stream_free(s);
	}
}
