/* From session records to JSON. Strings come from peers; lib/json.h makes them harmless. */
#include "config.h"

#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "recorder/reader_json.h"

static void
reader_put_meta(struct json *j, const char *key, const struct sess *s, enum rec_meta tag)
{
	const uint8_t *p;
	size_t len;

	if (sess_meta(s, tag, &p, &len))
		json_put_bytes(j, key, p, len, REC_META_MAX);
	else
		json_put_null(j, key);
}

static struct json *
reader_credential(const struct sess *s, bool detail)
{
	struct json *j = json_map();
	char serial[32];
	uint64_t n;

	reader_put_meta(j, "type", s, REC_META_CRED_TYPE);
	reader_put_meta(j, "fingerprint", s, REC_META_CRED_FINGERPRINT);
	reader_put_meta(j, "key_id", s, REC_META_CRED_KEY_ID);
	sess_meta_text(s, REC_META_CRED_SERIAL, serial, sizeof(serial));
	if (num_parse(serial, 0, UINT64_MAX, &n) == 0)
		json_put_u64(j, "serial", n);
	else
		json_put_null(j, "serial");
	reader_put_meta(j, "methods", s, REC_META_METHODS);
	reader_put_meta(j, "subject", s, REC_META_SUBJECT);
	if (detail) {
		reader_put_meta(j, "ca", s, REC_META_CRED_CA);
		reader_put_meta(j, "groups", s, REC_META_GROUPS);
	}
	return j;
}

static void
reader_put_exit(struct json *j, const struct sess_channel *ch)
{
	if (ch->exit == SESS_EXIT_STATUS)
		json_put_u64(j, "exit_status", ch->exit_status);
	else
		json_put_null(j, "exit_status");
}

static void
reader_put_channel_detail(struct json *j, const struct sess_channel *ch, bool closed)
{
	json_put_str(j, "exit_signal", ch->exit == SESS_EXIT_SIGNAL ? ch->exit_signal : NULL);
	json_put_bool(j, "denied", ch->denied);
	json_put_bool(j, "pty", ch->pty);
	json_put_str(j, "term", ch->pty && !closed ? ch->term : NULL);
	if (ch->pty) {
		json_put_u64(j, "cols", ch->cols);
		json_put_u64(j, "rows", ch->rows);
	}
	json_put_u64(j, "opened_ns", ch->opened_ns);
	if (ch->closed_ns != 0)
		json_put_u64(j, "closed_ns", ch->closed_ns);
	else
		json_put_null(j, "closed_ns");
}

static struct json *
reader_channel(const struct sess_channel *ch, bool closed, bool detail)
{
	struct json *j = json_map();

	json_put_u64(j, "n", ch->number);
	json_put_str(j, "kind", ch->kind);
	if (closed)
		json_put_null(j, "command");
	else
		json_put_str(j, "command", ch->command);
	reader_put_exit(j, ch);
	json_put_u64(j, "bytes_in", ch->bytes_in);
	json_put_u64(j, "bytes_out", ch->bytes_out);
	json_put_u64(j, "bytes_err", ch->bytes_err);
	if (detail)
		reader_put_channel_detail(j, ch, closed);
	return j;
}

static void
reader_put_end(struct json *j, const struct sess *s)
{
	if (s->state == SESS_OPEN) {
		json_put_null(j, "ended_at");
		json_put_str(j, "state", sess_state_name(s->state));
		json_put_null(j, "end_reason");
		return;
	}
	json_put_time(j, "ended_at", s->closed_wall_ns);
	json_put_str(j, "state", sess_state_name(s->state));
	json_put_str(j, "end_reason", sess_end_name(s->end_code));
}

static void
reader_put_detail(struct json *j, const struct sess *s)
{
	char hex[2 * HASH_LEN + 1];

	reader_put_meta(j, "port", s, REC_META_PORT);
	reader_put_meta(j, "claim", s, REC_META_CLAIM);
	json_put_str(j, "end_text", s->end_text);
	json_put_str(j, "end_by", s->end_by);
	json_put_u64(j, "connection", s->conn);
	json_put_u64(j, "leg", s->leg);
	json_put_u64(j, "events", s->n_events);
	json_put_u64(j, "duration_ns", s->last_ns);
	json_put_u64(j, "blocks", s->n_blocks);
	json_put_u64(j, "raw_bytes", s->raw_bytes);
	json_put_u64(j, "stored_bytes", s->stored_bytes);
	json_put_u64(j, "open_leaf", s->open_leaf);
	if (s->state != SESS_OPEN)
		json_put_u64(j, "close_leaf", s->close_leaf);
	json_put_str(j, "open_hash", str_hex(hex, s->open_hash, HASH_LEN));
	json_put_str(j, "durability", s->durability == 2 ? "process" : "strict");
}

/* What EVENT_FILE says is JSON of the recorder's own making. */
static struct json *
reader_files(const struct sess *s)
{
	struct json *list = json_list();

	for (uint32_t i = 0; i < s->n_files; i++) {
		struct json_node *file;

		if (json_parse(s->files[i], strlen(s->files[i]), &file) != 0)
			continue;
		json_put_node(list, NULL, file);
		json_node_free(file);
	}
	return list;
}

/* The names of those who can open it; nobody: it is not sealed. */
static struct json *
reader_auditors(const struct sess *s)
{
	struct json *list = json_list();

	for (size_t i = 0; s->sealed_to != NULL && i < s->sealed_to->n; i++)
		json_put_str(list, NULL, s->sealed_to->a[i].name);
	return list;
}

/* Lines that were typed and are not in the record, and what is masked. */
static void
reader_put_unseen(struct json *j, const struct unseen *u)
{
	static const char *const names[VEIL_WHYS] = { [VEIL_PROMPT] = "prompt",
		[VEIL_FEEDBACK] = "asterisks",
		[VEIL_SILENT] = "silent",
		[VEIL_ASKED] = "asked",
		[VEIL_MEMORY] = "memory" };
	struct json *hidden = json_map(), *masked = json_list(), *mask;

	json_put_u64(hidden, "lines", unseen_lines(u));
	for (size_t i = 0; i < VEIL_WHYS; i++)
		if (names[i] != NULL)
			json_put_u64(hidden, names[i], u->lines[i]);
	json_put_u64(hidden, "answered", u->answered);
	json_put_u64(hidden, "silent_answered", u->silent_answered);
	json_put_u64(hidden, "row", u->row);
	json_put_u64(hidden, "row_answered", u->row_answered);
	json_put_bool(hidden, "suspect", unseen_is_suspect(u));
	for (uint32_t i = 0; i < u->n_masks; i++) {
		mask = json_map();
		json_put_str(mask, "rule", u->masks[i].name);
		json_put_u64(mask, "places", u->masks[i].places);
		json_put(masked, NULL, mask);
	}
	json_put(j, "hidden", hidden);
	json_put(j, "masked", masked);
}

struct json *
reader_session_json(const struct sess *s, bool detail)
{
	struct json *j = json_map(), *channels = json_list();
	char id[2 * REC_SID_LEN + 1];

	json_put_str(j, "id", str_hex(id, s->sid, REC_SID_LEN));
	reader_put_meta(j, "identity", s, REC_META_IDENTITY);
	reader_put_meta(j, "login", s, REC_META_LOGIN);
	reader_put_meta(j, "host", s, REC_META_HOST);
	if (s->address != NULL && s->address[0] != '\0')
		json_put_str(j, "address", s->address);
	else
		reader_put_meta(j, "address", s, REC_META_ADDRESS);
	reader_put_meta(j, "source", s, REC_META_SOURCE);
	json_put_time(j, "started_at", s->opened_wall_ns);
	reader_put_end(j, s);
	for (uint32_t i = 0; i < s->n_channels; i++)
		json_put(
		    channels, NULL, reader_channel(&s->channels[i], s->closed_to_us != 0, detail));
	json_put(j, "channels", channels);
	json_put(j, "files", reader_files(s));
	json_put_u64(j, "files_total", s->files_total);
	json_put(j, "credential", reader_credential(s, detail));
	reader_put_meta(j, "rule", s, REC_META_RULE);
	json_put(j, "sealed_to", reader_auditors(s));
	reader_put_meta(j, "typed", s, REC_META_TYPED);
	reader_put_meta(j, "masks", s, REC_META_MASKS);
	reader_put_meta(j, "masks_sha256", s, REC_META_MASKS_HASH);
	reader_put_unseen(j, &s->unseen);
	if (detail)
		reader_put_detail(j, s);
	return j;
}
