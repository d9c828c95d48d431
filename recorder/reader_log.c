/* The verb log: audit events, or the leaves that they are under. */
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

/* A leaf as it is, for somebody who wants to compute the tree. */
static int
reader_send_raw(struct reader *rd, uint64_t index)
{
	struct mlog_leaf leaf = { .wall_ns = 0 };
	struct json *j = json_map();
	const uint8_t *data;
	char *b64;
	size_t len;
	int r;

	r = mlog_leaf_get(rd->snap, index, &data, &len);
	if (r == 0 && mlog_leaf_parse(data, len, &leaf) == -ENOMEM)
		r = -ENOMEM;
	if (r == 0 && (b64 = str_base64(data, len)) == NULL)
		r = -ENOMEM;
	if (r != 0) {
		json_free(j);
		return r;
	}
	json_put_u64(j, "leaf", index);
	json_put_str(j, "type", mlog_type_name((unsigned)leaf.type));
	json_put_str(j, "data", b64);
	free(b64);
	return reader_send_json(rd, RD_ITEM, j);
}

/* One more than the index of the last leaf: in a bundle not all before it are there. */
static int
reader_log_end(struct reader *rd, uint64_t *ret_n)
{
	struct store_iter *it = NULL;
	struct store_item item;
	uint64_t n = 0;
	int r;

	if (!rd->bundle)
		return store_count(rd->snap, STORE_LOG, ret_n);
	if ((r = store_iter_new(rd->snap, STORE_LOG, NULL, 0, true, &it)) != 0)
		return r;
	r = store_iter_next(it, &item);
	store_iter_free(it);
	for (size_t i = 0; r == 0 && i < item.key_len && i < 8; i++)
		n = n << 8 | item.key[i];
	/* More leaves than a log can have: it was made up. */
	if (r == 0 && n >= READER_BUNDLE_LOG_MAX)
		return ERR_LIMIT;
	*ret_n = r == 0 ? n + 1 : 0;
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
reader_log(struct reader *rd, uint8_t *ret_code)
{
	const char *since = reader_option(rd, "--since"), *id = reader_argument(rd);
	bool raw = reader_option(rd, "--leaves") != NULL;
	uint64_t from = 0, n = 0;
	int r;

	*ret_code = 0;
	if (since != NULL && num_parse(since, 0, UINT64_MAX, &from) != 0)
		return ERR_FORMAT;
	r = reader_log_end(rd, &n);
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = raw ? reader_send_raw(rd, i) : reader_log_one(rd, i, from, id);
		/* A damaged leaf is the verifier's business; the log goes on behind it. */
		if (r == ERR_NOT_FOUND || r == ERR_FORMAT || r == ERR_VERSION)
			r = 0;
	}
	return r;
}
