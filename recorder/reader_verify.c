/* The verb verify. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"
#include "recorder/mlog.h"
#include "recorder/reader.h"
#include "recorder/reader_json.h"
#include "recorder/sess.h"
#include "recorder/verify.h"
#include "recorder/verify_bundle.h"

struct reader_findings {
	struct verify_finding *list; /* owned */
	size_t n;
	struct json *erased; /* a list; owned */
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

/* Erased on purpose: by whom and why stands beside the leaf. */
static void
reader_erased(void *arg, const struct verify_erased *e)
{
	struct reader_findings *f = arg;
	struct json_node *text = NULL;
	char hex[2 * REC_SID_LEN + 1], when[CLOCK_TEXT_SIZE];
	struct json *j = json_map();

	if (e->text != NULL && json_parse((const char *)e->text, e->len, &text) != 0)
		text = NULL;
	json_put_str(j, "session", str_hex(hex, e->sid, REC_SID_LEN));
	json_put_u64(j, "leaf", e->leaf);
	json_put_str(j, "time", clock_text(when, sizeof(when), e->wall_ns));
	json_put_str(j, "how", mlog_erase_name(e->how));
	json_put_bool(j, "damaged", e->damaged);
	json_put_str(j, "by", json_str(json_get(text, "by"), ""));
	json_put_str(j, "why", json_str(json_get(text, "why"), ""));
	json_put(f->erased, NULL, j);
	json_node_free(text);
}

static int
reader_send_finding(struct reader *rd, const struct verify_finding *f)
{
	struct json *j = json_map(), *item = json_map();
	char hex[2 * REC_SID_LEN + 1];

	json_put_str(item, "kind", verify_kind_name(f->kind));
	if (f->from_wall_ns != 0) {
		json_put_time(item, "from", f->from_wall_ns);
		json_put_time(item, "to", f->to_wall_ns);
	}
	json_put_str(item, "do", verify_kind_advice(f->kind));
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
	json_put_u64(item, "erased", v->n_erased);
	json_put_u64(item, "erased_damaged", v->n_erased_damaged);
	json_put_u64(item, "findings", v->n_findings);
	json_put_u64(item, "events", v->n_events);
	json_put_u64(item, "raw_bytes", v->raw_bytes);
	json_put_u64(item, "keys", v->n_keys);
	json_put_u64(item, "checkpoints", v->n_checkpoints);
	json_put_u64(item, "log_size", v->log_size);
	json_put_str(item, "log_root", str_hex(hex, v->log_root, HASH_LEN));
	json_put(j, "result", item);
	return reader_send_json(rd, RD_ITEM, j);
}

static int
reader_send_erased(struct reader *rd, struct reader_findings *f)
{
	struct json *j = json_map();

	json_put(j, "erased", f->erased);
	f->erased = NULL;
	return reader_send_json(rd, RD_ITEM, j);
}

/* Of a bundle: what its record says of the session, where it can be read. */
static int
reader_send_about(struct reader *rd, const struct reader_ids *ids)
{
	struct json *j;
	struct sess s;
	int r;

	if (!rd->bundle || ids->n != 1)
		return 0;
	r = sess_get(rd->snap, ids->sid[0], &s);
	if (r != 0)
		return r == -ENOMEM ? r : 0;
	j = json_map();
	json_put(j, "about", reader_session_json(&s, false));
	sess_done(&s);
	return reader_send_json(rd, RD_ITEM, j);
}

static int
reader_tell(struct reader *rd, const struct verify_result *v, struct reader_findings *f,
    const struct reader_ids *ids, bool ok)
{
	int r = reader_send_about(rd, ids);

	if (r == 0 && v->n_erased + v->n_erased_damaged > 0)
		r = reader_send_erased(rd, f);
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

	if (rd->bundle) {
		r = sess_each(rd->snap, 0, reader_collect, ids);
		return r != 0 && r != ERR_FORMAT ? r : verify_bundle(rd->snap, conf, v);
	}
	if (text == NULL) {
		r = sess_each(rd->snap, 0, reader_collect, ids);
		return r != 0 ? r : verify_all(rd->snap, conf, v);
	}
	if ((r = reader_find(rd, text, sid)) != 0 || (r = reader_collect(ids, sid, 0)) != 0)
		return r;
	return verify_session(rd->snap, conf, sid, v);
}

int
reader_notes(struct reader *rd)
{
	const char *option = reader_option(rd, "--notes");
	uint64_t len = 0;
	int r = 0;

	if (option == NULL)
		return 0;
	if (num_parse(option, 1, READER_NOTES_MAX, &len) != 0) {
		reader_say(rd, "the checkpoints are too many: give them in several files");
		return ERR_LIMIT;
	}
	if ((rd->notes = buf_new((size_t)len)) == NULL)
		return -ENOMEM;
	while (r == 0 && buf_len(rd->notes) < len)
		r = reader_wait(rd);
	return r;
}

/* The key to trust, the checkpoints to compare with. 0; ERR_FORMAT; errors of reader_wait(). */
static int
reader_trust(struct reader *rd, struct note_key *key, struct verify_conf *conf)
{
	const char *vkey = reader_option(rd, "--key");
	int r;

	if (vkey == NULL || note_key_parse(vkey, strlen(vkey), key) != 0) {
		reader_say(rd, "the public key is not a note verifier key line");
		return ERR_FORMAT;
	}
	conf->key = key;
	if ((r = reader_notes(rd)) == 0 && rd->notes != NULL) {
		conf->checkpoint = (const char *)buf_ptr(rd->notes);
		conf->checkpoint_len = buf_len(rd->notes);
	}
	return r;
}

int
reader_verify(struct reader *rd, uint8_t *ret_code)
{
	struct reader_findings f = { .erased = json_list() };
	struct reader_ids ids = { NULL, 0, 0 };
	struct note_key key;
	struct verify_conf conf = { .found = reader_found, .erased = reader_erased, .arg = &f };
	struct verify_result v;
	int r;

	memset(&v, 0, sizeof(v));
	if ((r = reader_trust(rd, &key, &conf)) != 0)
		goto out;
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
out:
	json_free(f.erased);
	free(f.list);
	free(ids.sid);
	return r;
}

int
reader_newest_key(struct reader *rd, uint8_t *ret_code)
{
	char line[NOTE_VKEY_SIZE + 1];
	struct note_key key, newest;
	struct verify_conf conf = { .key = NULL };
	struct verify_result v;
	size_t len;
	int r;

	if ((r = reader_trust(rd, &key, &conf)) != 0)
		return r;
	r = verify_newest_key(rd->snap, &conf, &newest, &v);
	*ret_code = r == 0 ? 0 : 1;
	if (r == ERR_CHAIN) {
		reader_say(rd, "the trusted key does not lead to a newest one: the log is damaged "
			       "or somebody else's: see bastionctl verify");
		return 0;
	}
	if (r != 0)
		return r;
	len = strlen(note_key_text(line, &newest));
	line[len++] = '\n';
	return reader_send(rd, RD_TEXT, 0, line, len);
}
