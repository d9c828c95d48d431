/* Verbs about sessions: list, show, events. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/num.h"
#include "lib/str.h"
#include "recorder/block.h"
#include "recorder/fate.h"
#include "recorder/reader.h"
#include "recorder/reader_fate.h"
#include "recorder/reader_json.h"
#include "recorder/recording.h"
#include "recorder/sess.h"

int
reader_collect(void *arg, const uint8_t sid[REC_SID_LEN], uint64_t opened_wall_ns)
{
	struct reader_ids *ids = arg;

	(void)opened_wall_ns;
	if (ids->n == ids->room) {
		size_t room = ids->room == 0 ? 256 : ids->room * 2;
		uint8_t(*more)[REC_SID_LEN] = reallocarray(ids->sid, room, REC_SID_LEN);

		if (more == NULL)
			return -ENOMEM;
		ids->sid = more;
		ids->room = room;
	}
	memcpy(ids->sid[ids->n++], sid, REC_SID_LEN);
	return 0;
}

/* The file operations of one part of a recording, behind those that s has; *room: bytes of text that it may still take. */
static int
reader_part_files(struct sess *s, const struct recording_part *part, size_t *room)
{
	struct event_reader reader;
	struct event ev;
	int r;

	event_reader_init(&reader, part->data, part->len, part->first_seq, part->base_ns);
	while ((r = event_next(&reader, &ev)) == 0) {
		char **files;

		/* u32 number, string JSON (event.h) */
		if (ev.type != EVENT_FILE || ev.len < 8)
			continue;
		if (*room < ev.len)
			return ERR_LIMIT;
		*room -= ev.len;
		if ((files = reallocarray(s->files, s->n_files + 1, sizeof(*files))) == NULL)
			return -ENOMEM;
		s->files = files;
		if ((files[s->n_files] = strndup((const char *)ev.data + 8, ev.len - 8)) == NULL)
			return -ENOMEM;
		s->n_files++;
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* All file operations, of which the record itself has the first ones only. What a damaged recording still tells is shown. */
static int
reader_all_files(struct reader *rd, struct sess *s)
{
	size_t room = READER_FILES_MAX;
	struct recording_part part;
	struct recording *rec;
	struct fate fate;
	int r;

	if (s->files_total <= s->n_files || fate_get(rd->snap, s->sid, &fate) != 0 ||
	    (fate.flags & FATE_ERASED) != 0)
		return 0;
	if (s->closed_to_us != 0)
		return 0;
	if ((r = recording_open(rd->snap, s->sid, &rec)) != 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	sess_files_free(s->files, s->n_files);
	s->files = NULL;
	s->n_files = 0;
	while (r == 0 && (r = recording_next(rec, &part)) == 0)
		r = reader_part_files(s, &part, &room);
	recording_close(rec);
	return r == -ENOMEM ? r : 0;
}

/* Whether an auditor learns less from the record than from the events. */
static bool
reader_wants_blocks(const struct reader *rd, const struct sess *s, bool all_files)
{
	if (s->closed_to_us != ERR_SEALED || reader_option(rd, "--blocks") == NULL)
		return false;
	if (s->state == SESS_OPEN || s->private_len == 0)
		return true;
	/* How many files the record kept stands in what we cannot open; few and short ones it kept. */
	return all_files && s->files_total > 0 &&
	       (s->files_total > SESS_FILES_MAX || s->private_len > SESS_FILES_TEXT_MAX / 4);
}

/* A damaged recording ends where it cannot be read, which the verifier tells. */
static int
reader_send_all_blocks(struct reader *rd, const uint8_t sid[REC_SID_LEN])
{
	int r = reader_send_blocks(rd, RD_BLOCKS, sid);

	return r == ERR_CHAIN || r == ERR_FORMAT || r == ERR_ERASED ? 0 : r;
}

int
reader_send_session(struct reader *rd, const uint8_t sid[REC_SID_LEN], uint16_t type, bool detail)
{
	struct json *j;
	struct sess s;
	int r;

	if ((r = sess_get(rd->snap, sid, &s)) != 0)
		return r;
	/* Of a damaged recording what the record itself says is still shown; what is wrong is the verifier's to say. */
	r = sess_live(rd->snap, &s);
	if (r != 0 && r != ERR_CHAIN && r != ERR_FORMAT && r != ERR_NOT_FOUND) {
		sess_done(&s);
		return r;
	}
	if (detail && type == RD_ITEM && (r = reader_all_files(rd, &s)) != 0) {
		sess_done(&s);
		return r;
	}
	if ((s.closed_to_us == ERR_SEALED &&
		(r = reader_send_record(rd, sid, detail ? RD_DETAIL_ALL : RD_DETAIL_LIST)) != 0) ||
	    (reader_wants_blocks(rd, &s, detail && type == RD_ITEM) &&
		(r = reader_send_all_blocks(rd, sid)) != 0)) {
		sess_done(&s);
		return r;
	}
	if (s.closed_to_us == ERR_KEYS)
		reader_say(rd, "%s", store_keys_why(rd->store));
	j = reader_session_json(&s, detail);
	sess_done(&s);
	/* A decision whose leaf is damaged is the verifier's to name. */
	if ((r = reader_put_fate(rd, sid, j)) == -ENOMEM) {
		json_free(j);
		return r;
	}
	return reader_send_json(rd, type, j);
}

/* Whether a session is this person's; one whose record names nobody is nobody's. */
static bool
reader_is_of(const struct sess *s, const char *identity)
{
	const uint8_t *p;
	size_t len;

	return sess_meta(s, REC_META_IDENTITY, &p, &len) && len == strlen(identity) &&
	       memcmp(p, identity, len) == 0;
}

/* One line of the list, unless it is another person's. */
static int
reader_send_of(struct reader *rd, const uint8_t sid[REC_SID_LEN], const char *identity)
{
	struct sess s;
	bool is_of;
	int r;

	if (identity == NULL)
		return reader_send_session(rd, sid, RD_ITEM, false);
	if ((r = sess_get(rd->snap, sid, &s)) != 0)
		return r;
	is_of = reader_is_of(&s, identity);
	sess_done(&s);
	return is_of ? reader_send_session(rd, sid, RD_ITEM, false) : 0;
}

int
reader_list(struct reader *rd, uint8_t *ret_code)
{
	const char *since = reader_option(rd, "--since"),
		   *identity = reader_option(rd, "--identity");
	struct reader_ids ids = { NULL, 0, 0 };
	uint64_t from = 0;
	int r;

	if (since != NULL && num_parse(since, 0, UINT64_MAX, &from) != 0)
		return ERR_FORMAT;
	r = sess_each(rd->snap, from, reader_collect, &ids);
	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		r = reader_send_of(rd, ids.sid[i], identity);
		/* One that was removed meanwhile, or whose record is damaged, is not in the list. */
		if (r == ERR_NOT_FOUND || r == ERR_FORMAT)
			r = 0;
	}
	free(ids.sid);
	*ret_code = 0;
	return r;
}

/* The session that the argument names, which must have a record. */
static int
reader_named(struct reader *rd, uint8_t ret_sid[REC_SID_LEN])
{
	const char *text = reader_argument(rd);

	return text == NULL ? ERR_FORMAT : reader_find(rd, text, ret_sid);
}

static int
reader_not_found(struct reader *rd, uint8_t *ret_code)
{
	if (rd->text[0] == '\0')
		reader_say(rd, "no such session: see bastionctl sessions list");
	*ret_code = 1;
	return 0;
}

int
reader_show(struct reader *rd, uint8_t *ret_code)
{
	uint8_t sid[REC_SID_LEN];
	int r;

	if ((r = reader_named(rd, sid)) == 0)
		r = reader_send_session(rd, sid, RD_ITEM, true);
	*ret_code = 0;
	return r == ERR_NOT_FOUND ? reader_not_found(rd, ret_code) : r;
}

/* The longest run of whole events at the front of r that fits max bytes; r stands behind it. */
static int
reader_run(struct event_reader *r, size_t max, size_t *ret_len)
{
	size_t start = r->off;
	struct event_reader before;
	struct event ev;
	int e;

	for (;;) {
		before = *r;
		e = event_next(r, &ev);
		if (e == ERR_NOT_FOUND)
			break;
		if (e != 0)
			return e;
		if (r->off - start > max) {
			*r = before;
			break;
		}
	}
	*ret_len = r->off - start;
	return 0;
}

/* One part of the recording, in messages. b: scratch. */
static int
reader_send_part(struct reader *rd, const struct recording_part *part, struct buf *b)
{
	struct event_reader r;
	int e = 0;

	event_reader_init(&r, part->data, part->len, part->first_seq, part->base_ns);
	while (e == 0 && r.off < part->len && !rd->seek) {
		uint64_t seq = r.next_seq, base = r.at_ns;
		size_t at = r.off, len = 0;

		if ((e = reader_run(&r, IPC_MAX - 16, &len)) != 0)
			return e;
		if (len == 0)
			return ERR_LIMIT;
		buf_reset(b);
		if ((e = buf_put_u64(b, seq)) == 0 && (e = buf_put_u64(b, base)) == 0 &&
		    (e = buf_put(b, part->data + at, len)) == 0)
			e = reader_send(rd, RD_EVENTS, rd->n_seeks, buf_ptr(b), buf_len(b));
		if (e == 0)
			e = reader_peek(rd);
	}
	return e;
}

#define READER_SHOT_HEAD 29u /* bytes of RD_SCREEN before the picture */

/* One message of a picture, from at on. */
static int
reader_send_shot_part(
    struct reader *rd, const struct derived_shot *shot, size_t at, size_t n, struct buf *b)
{
	int r;

	buf_reset(b);
	if ((r = buf_put_u8(b, at + n < buf_len(shot->paint))) != 0 ||
	    (r = buf_put_u64(b, shot->next_seq - 1)) != 0 ||
	    (r = buf_put_u64(b, shot->at_ns)) != 0 || (r = buf_put_u32(b, shot->channel)) != 0 ||
	    (r = buf_put_u32(b, shot->cols)) != 0 || (r = buf_put_u32(b, shot->rows)) != 0 ||
	    (r = buf_put(b, buf_ptr(shot->paint) + at, n)) != 0)
		return r;
	return reader_send(rd, RD_SCREEN, rd->n_seeks, buf_ptr(b), buf_len(b));
}

static int
reader_send_shot(struct reader *rd, const struct derived_shot *shot, struct buf *b)
{
	size_t len = buf_len(shot->paint), at = 0, n;
	int r = 0;

	while (r == 0 && at < len && !rd->seek) {
		n = len - at < IPC_MAX - READER_SHOT_HEAD ? len - at : IPC_MAX - READER_SHOT_HEAD;
		r = reader_send_shot_part(rd, shot, at, n, b);
		at += n;
	}
	return r;
}

/* Stand where the seek asked for wants to begin: at a picture, which is sent, or some blocks before. b: scratch. */
static int
reader_seek(struct reader *rd, struct recording *rec, const uint8_t sid[REC_SID_LEN], struct buf *b)
{
	struct derived_shot shot;
	uint64_t at_ns;
	int r = 0;

	while (rd->find && (r = reader_hits(rd, sid)) == 0)
		while (r == 0 && !rd->seek)
			r = reader_wait(rd);
	if (r != 0)
		return r;
	at_ns = rd->seek_ns;
	rd->seek = false;
	if (rd->seek_channel == 0)
		return recording_seek(rec, at_ns);
	/* Of what was not rendered yet, or cannot be, there is none. */
	if (rd->derived == NULL ||
	    derived_shot(rd->derived, rd->snap, sid, rd->seek_channel, at_ns, &shot) != 0) {
		if ((r = recording_seek(rec, at_ns)) == 0)
			recording_back(rec, READER_CONTEXT,
			    at_ns == UINT64_MAX ? READER_NEAR_NOW : READER_NEAR);
		return r;
	}
	if ((r = recording_seek(rec, shot.at_ns)) == 0)
		r = reader_send_shot(rd, &shot, b);
	buf_free(shot.paint);
	return r;
}

/* As reader_stream(), of a session that only an auditor can open. */
static int
reader_stream_sealed(
    struct reader *rd, struct recording *rec, const uint8_t sid[REC_SID_LEN], struct buf *b)
{
	struct buf *stored = buf_new(BLOCK_STORED_MAX);
	struct block_hdr hdr;
	int r = -ENOMEM;

	if (stored == NULL)
		return r;
	for (;;) {
		if (rd->seek && (r = reader_seek(rd, rec, sid, b)) != 0)
			break;
		if ((r = recording_next_sealed(rec, &hdr, stored)) != 0 ||
		    (r = reader_send_block(rd, RD_SEALED, &hdr, stored)) != 0)
			break;
	}
	buf_free(stored);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* All that there is now. b: scratch. */
static int
reader_stream(
    struct reader *rd, struct recording *rec, const uint8_t sid[REC_SID_LEN], struct buf *b)
{
	struct recording_part part;
	uint8_t *copy = NULL;
	int r = 0;

	for (;;) {
		if (rd->seek && (r = reader_seek(rd, rec, sid, b)) != 0)
			break;
		if ((r = recording_next(rec, &part)) != 0)
			break;
		/* Sending may let go of the snapshot, and with it of what part points at. */
		free(copy);
		if ((copy = malloc(part.len)) == NULL) {
			r = -ENOMEM;
			break;
		}
		memcpy(copy, part.data, part.len);
		part.data = copy;
		if ((r = reader_send_part(rd, &part, b)) != 0)
			break;
	}
	free(copy);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* The end of the events, of which bastionctl may seek away again. r: how they ended. b: scratch. */
static int
reader_send_end(struct reader *rd, const uint8_t sid[REC_SID_LEN], int r, struct buf *b)
{
	const char *text = "";
	bool erased = false;
	int e;

	if (r == ERR_ERASED && (e = reader_is_erased(rd, sid, &erased)) != 0)
		return e;
	if (r != 0)
		text = erased ? rd->text
			      : "the recording is damaged from here on: see bastionctl verify";
	buf_reset(b);
	if ((e = buf_put_u8(b, r == 0 ? 0 : 1)) != 0 || (e = buf_put_cstr(b, text)) != 0)
		return e;
	return ipc_plain_send(rd->fd, RD_END, rd->n_seeks, buf_ptr(b), buf_len(b), NULL, 0);
}

static int
reader_is_open(struct reader *rd, const uint8_t sid[REC_SID_LEN], bool *ret_open)
{
	struct sess s;
	int r;

	if ((r = sess_get(rd->snap, sid, &s)) != 0)
		return r;
	*ret_open = s.state == SESS_OPEN;
	sess_done(&s);
	return 0;
}

/* Everything up to the end; follow: of the session, not of what there is now. 0: it is over, or a seek came. b: scratch. */
static int
reader_stream_on(struct reader *rd, struct recording *rec, const uint8_t sid[REC_SID_LEN],
    bool follow, struct buf *b)
{
	bool open = follow && store_bundle(rd->snap) == NULL; /* a bundle does not grow */
	int r;

	for (;;) {
		r = rd->sealed ? reader_stream_sealed(rd, rec, sid, b)
			       : reader_stream(rd, rec, sid, b);
		if (r != 0 || !open || rd->seek)
			return r;
		/* Of the snapshot in which there was no more event. */
		if ((r = reader_is_open(rd, sid, &open)) != 0)
			return r;
		r = open ? reader_wait_commit(rd) : reader_send_session(rd, sid, RD_ITEM, true);
		if (r != 0)
			return r;
	}
}

/* Its events, or when they are closed to us its blocks as they are. */
static int
reader_open_recording(struct reader *rd, const uint8_t sid[REC_SID_LEN], struct recording **ret_rec)
{
	int r = recording_open(rd->snap, sid, ret_rec);

	rd->sealed = r == ERR_SEALED;
	if (r == ERR_KEYS)
		reader_say(rd, "%s", store_keys_why(rd->store));
	return rd->sealed ? recording_open_sealed(rd->snap, sid, ret_rec) : r;
}

static int
reader_play(struct reader *rd, bool follow, uint8_t *ret_code)
{
	struct buf *b = buf_new(IPC_MAX);
	struct recording *rec = NULL;
	uint8_t sid[REC_SID_LEN];
	bool erased = false;
	int r;

	*ret_code = 0;
	if (b == NULL)
		return -ENOMEM;
	if ((r = reader_named(rd, sid)) == 0)
		r = reader_is_erased(rd, sid, &erased);
	if (erased) {
		*ret_code = 1;
		goto out;
	}
	if (r == 0 && (r = reader_send_session(rd, sid, RD_BEGIN, true)) == 0)
		r = reader_open_recording(rd, sid, &rec);
	if (r == ERR_NOT_FOUND) {
		r = reader_not_found(rd, ret_code);
		goto out;
	}
	/* After the end somebody who replays may still go back. */
	while (r == 0) {
		r = reader_stream_on(rd, rec, sid, follow, b);
		if (r == 0 && rd->seek)
			continue;
		if ((r != 0 && r != ERR_CHAIN && r != ERR_FORMAT && r != ERR_ERASED) ||
		    (r = reader_send_end(rd, sid, r, b)) != 0)
			break;
		while (r == 0 && !rd->seek)
			r = reader_wait(rd);
	}
out:
	recording_close(rec);
	buf_free(b);
	return r;
}

int
reader_events(struct reader *rd, uint8_t *ret_code)
{
	return reader_play(rd, false, ret_code);
}

int
reader_watch(struct reader *rd, uint8_t *ret_code)
{
	return reader_play(rd, true, ret_code);
}
