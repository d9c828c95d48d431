/* Verbs about the log: log, checkpoint, verify. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/num.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "recorder/reader.h"
#include "recorder/sess.h"
#include "recorder/verify.h"

/* Whether one of the fields that tell where an event belongs is id, or a long text that begins with it. */
static bool
reader_field_is(const struct json_node *n, const char *id)
{
	const char *s = json_str(n, NULL);
	char number[24];

	if (n == NULL)
		return false;
	if (s == NULL) {
		(void)snprintf(
		    number, sizeof(number), "%llu", (unsigned long long)json_u64(n, UINT64_MAX));
		s = number;
	}
	return strcmp(s, id) == 0 || (strlen(id) >= 8 && str_starts(s, id));
}

/* What happened behind ssh -J is the outer login's, too. */
static bool
reader_event_is_of(const struct json_node *root, const char *id)
{
	static const char *const fields[] = { "ref", "session", "id", "conn", "leg" };
	const struct json_node *jump = json_get(root, "jump");
	bool found = jump != NULL && reader_field_is(json_get(jump, "ref"), id);

	for (size_t i = 0; !found && i < sizeof(fields) / sizeof(fields[0]); i++)
		found = reader_field_is(json_get(root, fields[i]), id);
	return found;
}

/* One line: place and time in the log in front of the event's own fields; a time of its own wins. */
static int
reader_send_line(struct reader *rd, uint64_t index, uint64_t wall_ns, const struct json_node *event,
    const char *text, size_t len)
{
	char when[CLOCK_TEXT_SIZE], head[96] = "{", *line;
	size_t at = 1;
	int r;

	if (json_get(event, "leaf") == NULL)
		at += (size_t)snprintf(
		    head + at, sizeof(head) - at, "\"leaf\":%llu,", (unsigned long long)index);
	if (json_get(event, "time") == NULL)
		at += (size_t)snprintf(head + at, sizeof(head) - at, "\"time\":\"%s\",",
		    clock_text(when, sizeof(when), wall_ns));
	if (text[1 + strspn(text + 1, " ")] == '}' && at > 1)
		at--; /* no comma before the end */
	line = malloc(at + len);
	if (line == NULL)
		return -ENOMEM;
	memcpy(line, head, at);
	memcpy(line + at, text + 1, len - 1);
	r = reader_send_text(rd, RD_ITEM, line, at + len - 1);
	free(line);
	return r;
}

/* An event that is wanted (id: NULL or what it must be about). */
static int
reader_send_event(struct reader *rd, uint64_t index, uint64_t wall_ns, const char *text, size_t len,
    const char *id)
{
	struct json_node *event = NULL;
	int r = 0;

	if (json_parse(text, len, &event) != 0 || text[0] != '{') {
		text = "{\"event\":\"unreadable\"}";
		len = strlen(text);
	}
	if (id == NULL || reader_event_is_of(event, id))
		r = reader_send_line(rd, index, wall_ns, event, text, len);
	json_node_free(event);
	return r;
}

/* What leaves say of themselves is an event too. */
static int
reader_send_leaf(struct reader *rd, uint64_t index, const struct mlog_leaf *leaf, const char *id)
{
	char hex[2 * REC_SID_LEN + 1], text[256];
	int n;

	str_hex(hex, leaf->sid, REC_SID_LEN);
	if (leaf->type == MLOG_RECOVERY)
		n = snprintf(text, sizeof(text),
		    "{\"event\":\"recorder.recovery\",\"truncated\":%u}", leaf->n_truncated);
	else
		n = snprintf(text, sizeof(text), "{\"event\":\"session.%s\",\"session\":\"%s\"}",
		    leaf->type == MLOG_OPEN ? "opened" : "closed", hex);
	return n < 0 ? -EINVAL : reader_send_event(rd, index, leaf->wall_ns, text, (size_t)n, id);
}

static int
reader_log_one(struct reader *rd, uint64_t index, uint64_t since, const char *id)
{
	uint8_t key[8];
	const uint8_t *data, *text;
	struct mlog_leaf leaf;
	char *copy;
	size_t len;
	int r;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(index >> (8 * (sizeof(key) - 1 - i)));
	if ((r = store_get(rd->snap, STORE_LOG, key, sizeof(key), &data, &len)) != 0 ||
	    (r = mlog_leaf_parse(data, len, &leaf)) != 0)
		return r;
	if (leaf.wall_ns < since)
		return 0;
	if (leaf.type == MLOG_OPEN || leaf.type == MLOG_CLOSE || leaf.type == MLOG_RECOVERY)
		return reader_send_leaf(rd, index, &leaf, id);
	if (leaf.type != MLOG_AUDIT && leaf.type != MLOG_ERASE && leaf.type != MLOG_HOLD)
		return 0;
	if ((r = mlog_audit_get(rd->snap, index, &text, &len)) != 0)
		return r;
	/* Waiting for credit lets go of the snapshot that text points into. */
	if ((copy = malloc(len + 1)) == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	r = reader_send_event(rd, index, leaf.wall_ns, copy, len, id);
	free(copy);
	return r;
}

int
reader_log(struct reader *rd, uint8_t *ret_code)
{
	const char *since = reader_option(rd, "--since"), *id = reader_argument(rd);
	uint64_t from = 0, n = 0;
	int r;

	*ret_code = 0;
	if (since != NULL && num_parse(since, 0, UINT64_MAX, &from) != 0)
		return ERR_FORMAT;
	r = store_count(rd->snap, STORE_LOG, &n);
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = reader_log_one(rd, i, from, id);
		/* A damaged leaf is the verifier's business; the log goes on behind it. */
		if (r == ERR_NOT_FOUND || r == ERR_FORMAT || r == ERR_VERSION)
			r = 0;
	}
	return r;
}

int
reader_checkpoint(struct reader *rd, uint8_t *ret_code)
{
	const char *note;
	size_t len;
	int r = mlog_checkpoint_get(rd->snap, &note, &len);

	*ret_code = 0;
	/* A checkpoint that a power cut took back would later look like a log that was changed. */
	if (r == 0)
		r = store_sync(rd->store);
	if (r == ERR_NOT_FOUND) {
		reader_say(rd, "the log has no checkpoint yet");
		*ret_code = 1;
		return 0;
	}
	/* Less than one message, and the first one: there is credit. */
	return r != 0 ? r : reader_send(rd, RD_TEXT, 0, note, len);
}

struct reader_findings {
	struct verify_finding *list; /* owned */
	size_t n;
	bool oom;
};

static void
reader_found(void *arg, const struct verify_finding *finding)
{
	struct reader_findings *f = arg;

	if (f->n >= READER_FINDINGS_MAX)
		return;
	if (f->list == NULL && (f->list = calloc(READER_FINDINGS_MAX, sizeof(*f->list))) == NULL)
		f->oom = true;
	if (f->list != NULL)
		f->list[f->n++] = *finding;
}

static int
reader_send_finding(struct reader *rd, const struct verify_finding *f)
{
	struct json *j = json_map(), *item = json_map();
	char hex[2 * REC_SID_LEN + 1];

	json_put_str(item, "kind", verify_kind_name(f->kind));
	if (f->in_session)
		json_put_str(item, "session", str_hex(hex, f->sid, REC_SID_LEN));
	else
		json_put_null(item, "session");
	json_put_str(item, "place", f->place);
	json_put_str(item, "text", f->text);
	json_put(j, "finding", item);
	return reader_send_json(rd, RD_ITEM, j);
}

static int
reader_send_verified(struct reader *rd, const uint8_t sid[REC_SID_LEN],
    const struct reader_findings *f, bool all_told)
{
	struct json *j = json_map(), *item = json_map();
	char hex[2 * REC_SID_LEN + 1];
	bool found = false;

	for (size_t i = 0; !found && i < f->n; i++)
		found = f->list[i].in_session && memcmp(f->list[i].sid, sid, REC_SID_LEN) == 0;
	json_put_str(item, "id", str_hex(hex, sid, REC_SID_LEN));
	if (found || all_told)
		json_put_bool(item, "ok", !found);
	else
		json_put_null(item, "ok"); /* it may be among those that were only counted */
	json_put(j, "session", item);
	return reader_send_json(rd, RD_ITEM, j);
}

static int
reader_send_result(struct reader *rd, const struct verify_result *v, bool ok)
{
	struct json *j = json_map(), *item = json_map();
	char hex[2 * HASH_LEN + 1];

	json_put_bool(item, "ok", ok);
	json_put_u64(item, "sessions", v->n_sessions);
	json_put_u64(item, "good", v->n_good);
	json_put_u64(item, "open", v->n_open);
	json_put_u64(item, "truncated", v->n_truncated);
	json_put_u64(item, "findings", v->n_findings);
	json_put_u64(item, "events", v->n_events);
	json_put_u64(item, "raw_bytes", v->raw_bytes);
	json_put_u64(item, "log_size", v->log_size);
	json_put_str(item, "log_root", str_hex(hex, v->log_root, HASH_LEN));
	json_put(j, "result", item);
	return reader_send_json(rd, RD_ITEM, j);
}

static int
reader_tell(struct reader *rd, const struct verify_result *v, const struct reader_findings *f,
    const struct reader_ids *ids, bool ok)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->n; i++)
		r = reader_send_finding(rd, &f->list[i]);
	for (size_t i = 0; r == 0 && i < ids->n; i++)
		r = reader_send_verified(rd, ids->sid[i], f, v->n_findings <= f->n);
	return r != 0 ? r : reader_send_result(rd, v, ok);
}

/* text: NULL for all. ids: of the sessions that are looked at. 0; ERR_CHAIN; ERR_NOT_FOUND; errors of verify.h. */
static int
reader_check(struct reader *rd, const char *text, const struct verify_conf *conf,
    struct verify_result *v, struct reader_ids *ids)
{
	uint8_t sid[REC_SID_LEN];
	int r;

	if (text == NULL) {
		r = sess_each(rd->snap, 0, reader_collect, ids);
		return r != 0 ? r : verify_all(rd->snap, conf, v);
	}
	if ((r = reader_find(rd, text, sid)) != 0 || (r = reader_collect(ids, sid, 0)) != 0)
		return r;
	return verify_session(rd->snap, conf, sid, v);
}

int
reader_verify(struct reader *rd, uint8_t *ret_code)
{
	const char *vkey = reader_option(rd, "--key"), *note = reader_option(rd, "--checkpoint");
	struct reader_findings f = { NULL, 0, false };
	struct reader_ids ids = { NULL, 0, 0 };
	struct note_key key;
	struct verify_conf conf = { .key = &key, .found = reader_found, .arg = &f };
	struct verify_result v;
	int r;

	if (vkey == NULL || note_key_parse(vkey, strlen(vkey), &key) != 0) {
		reader_say(rd, "the public key is not a note verifier key line");
		return ERR_FORMAT;
	}
	conf.checkpoint = note;
	conf.checkpoint_len = note != NULL ? strlen(note) : 0;
	memset(&v, 0, sizeof(v));
	r = reader_check(rd, reader_argument(rd), &conf, &v, &ids);
	*ret_code = r == 0 ? 0 : 1;
	if (r == ERR_NOT_FOUND) {
		if (rd->text[0] == '\0')
			reader_say(rd, "neither the store nor its log know this session");
		r = 0;
	} else if (f.oom)
		r = -ENOMEM;
	else if (r == 0 || r == ERR_CHAIN)
		r = reader_tell(rd, &v, &f, &ids, r == 0);
	free(f.list);
	free(ids.sid);
	return r;
}
