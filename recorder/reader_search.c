/* The verb search: newest sessions first, each from its index, or rendered where it has none. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/derived_part.h"
#include "recorder/find.h"
#include "recorder/reader.h"
#include "recorder/reader_json.h"
#include "recorder/recording.h"
#include "recorder/search.h"
#include "recorder/sess.h"

#define SEARCH_PEEK                                                                                \
	64u /* sessions, or blocks, between looks whether somebody still waits for hits */
#define SEARCH_VALUE_MAX 200u /* bytes of a value that the index of sessions tells apart */

struct finder {
	struct reader *rd;
	struct search_query q;
	struct find *find; /* NULL: about sessions only */
	const uint8_t *filter;
	size_t filter_len;
	struct chunk chunk;   /* of the index */
	const struct sess *s; /* the one that is looked at */
	unsigned peeks;
	uint32_t told;
	uint64_t sessions, rendered, rendered_bytes, sealed, opened, sent, erased, damaged, skipped;
	bool more; /* there are hits that were not told */
};

/* The newest chunks first, and no more of them than it takes. */
static int
find_look(struct finder *f, struct derived_look *look)
{
	bool full = false;
	int r = 0;

	for (uint32_t i = derived_chunks(look); r == 0 && !full && i > 0; i--) {
		if (!derived_may(look, i - 1, f->filter, f->filter_len))
			f->skipped++;
		else if ((r = derived_chunk(look, i - 1, &f->chunk)) == 0)
			r = find_chunk(f->find, &f->chunk, &full);
	}
	return r;
}

/* ERR_NOT_FOUND: the index does not have it. */
static int
find_indexed(struct finder *f)
{
	struct derived_look *look;
	int r;

	if (f->rd->derived == NULL || f->s->state == SESS_OPEN)
		return ERR_NOT_FOUND;
	if ((r = derived_look(f->rd->derived, f->rd->snap, f->s->sid, f->s->n_events, &look)) != 0)
		return r == -ENOMEM || r == ERR_SEALED || r == ERR_ERASED ? r : ERR_NOT_FOUND;
	r = find_look(f, look);
	derived_leave(look);
	return r == ERR_FORMAT || r == ERR_CHAIN ? ERR_NOT_FOUND : r;
}

/* Somebody who has gone needs no hits; the snapshot is renewed now and then. */
static int
find_pause(struct finder *f)
{
	int r;

	if (++f->peeks % SEARCH_PEEK != 0)
		return 0;
	if ((r = reader_peek(f->rd)) != 0)
		return r;
	return store_snap_renew(f->rd->snap);
}

static int
find_rendered(struct finder *f)
{
	struct recording_part part;
	struct recording *rec = NULL;
	int r;

	if ((r = find_render(f->find, NULL, NULL)) != 0 ||
	    (r = recording_open(f->rd->snap, f->s->sid, &rec)) != 0)
		return r;
	while ((r = recording_next(rec, &part)) == 0) {
		if ((r = find_events(f->find, part.data, part.len, part.first_seq, part.base_ns)) !=
			0 ||
		    (r = find_pause(f)) != 0)
			break;
		f->rendered_bytes += part.len;
	}
	recording_close(rec);
	/* What a damaged recording shows up to there counts, and is said to be not all. */
	if (r == ERR_CHAIN || r == ERR_FORMAT)
		f->damaged++;
	if (r != ERR_NOT_FOUND && r != ERR_CHAIN && r != ERR_FORMAT)
		return r;
	f->rendered++;
	return find_render_end(f->find);
}

static int
send_found(struct finder *f)
{
	struct json *j;
	int r = 0;

	f->more = f->more || find_more(f->find);
	while (r == 0 && (j = find_take(f->find)) != NULL) {
		r = reader_send_json(f->rd, RD_ITEM, j);
		f->told++;
	}
	return r;
}

/* What the one who asks has done with a sealed session, or wants of it. */
static int
await_taken(struct finder *f, struct rd_taken *ret)
{
	int r = 0;

	while (r == 0 && !f->rd->took)
		r = reader_wait(f->rd);
	f->rd->took = false;
	*ret = f->rd->taken;
	return r;
}

static int
send_sealed(struct finder *f)
{
	char id[2 * REC_SID_LEN + 1];
	struct json *j = json_map();
	int r;

	if ((r = reader_send_record(f->rd, f->s->sid, RD_DETAIL_KEY)) != 0) {
		json_free(j);
		return r;
	}
	json_put_str(j, "sealed", str_hex(id, f->s->sid, REC_SID_LEN));
	return reader_send_json(f->rd, RD_ITEM, j);
}

static int
send_sealed_blocks(struct finder *f)
{
	int r = reader_send_blocks(f->rd, RD_SEALED, f->s->sid);
	struct json *j;

	/* Erased or removed meanwhile, or damaged. */
	if (r != 0 && r != ERR_NOT_FOUND && r != ERR_ERASED && r != ERR_CHAIN && r != ERR_FORMAT)
		return r;
	j = json_map();
	json_put_bool(j, "sealed_end", r == 0);
	return reader_send_json(f->rd, RD_ITEM, j);
}

/* A sealed session goes to the auditor's side as it is, if that wants it. */
static int
find_sealed(struct finder *f)
{
	struct rd_taken taken;
	bool sent;
	int r;

	if (!f->q.sealed)
		return ERR_SEALED;
	if ((r = send_sealed(f)) != 0 || (r = await_taken(f, &taken)) != 0)
		return r;
	sent = taken.what == RD_TAKE_SEND;
	if (sent && ((r = send_sealed_blocks(f)) != 0 || (r = await_taken(f, &taken)) != 0))
		return r;
	if (taken.what == RD_TAKE_CLOSED)
		return ERR_SEALED;
	f->opened++;
	f->sent += sent;
	f->damaged += taken.what == RD_TAKE_DAMAGED;
	f->more = f->more || taken.more;
	f->told += taken.hits < f->q.limit - f->told ? taken.hits : f->q.limit - f->told;
	return 0;
}

static int
find_text(struct finder *f)
{
	int r;

	find_begin(f->find, f->s, f->q.limit - f->told);
	if ((r = find_indexed(f)) == ERR_NOT_FOUND) {
		find_begin(f->find, f->s, f->q.limit - f->told);
		r = find_rendered(f);
	}
	if (r == ERR_SEALED)
		r = find_sealed(f);
	if (r == ERR_SEALED || r == ERR_ERASED || r == ERR_NOT_FOUND) {
		f->sealed += r == ERR_SEALED;
		f->erased += r != ERR_SEALED;
		return 0;
	}
	return r != 0 ? r : send_found(f);
}

/* What the record says in the clear, and of a session that runs what its events say up to now, where a query asks for that. */
static int
get_session(struct finder *f, const uint8_t sid[REC_SID_LEN], struct sess *s)
{
	int r;

	if ((r = sess_get_clear(f->rd->snap, sid, s)) != 0 || s->state != SESS_OPEN ||
	    !f->q.has_exit)
		return r;
	sess_done(s);
	if ((r = sess_get(f->rd->snap, sid, s)) != 0)
		return r;
	if (sess_live(f->rd->snap, s) != -ENOMEM)
		return 0;
	sess_done(s);
	return -ENOMEM;
}

static int
tell_session(struct finder *f, const uint8_t sid[REC_SID_LEN])
{
	int r = reader_send_session(f->rd, sid, RD_ITEM, false);

	f->told += r == 0;
	return r == ERR_NOT_FOUND || r == ERR_FORMAT ? 0 : r;
}

static int
find_session(struct finder *f, const uint8_t sid[REC_SID_LEN])
{
	struct sess s;
	int r;

	if ((r = get_session(f, sid, &s)) != 0)
		/* One that was removed meanwhile, or whose record is damaged: the verifier's to say. */
		return r == ERR_NOT_FOUND || r == ERR_FORMAT ? 0 : r;
	if (search_wants(&f->q, &s)) {
		f->sessions++;
		f->s = &s;
		r = f->find != NULL ? find_text(f) : tell_session(f, sid);
	}
	f->s = NULL;
	sess_done(&s);
	return r;
}

static int
send_summary(struct finder *f)
{
	struct json *j = json_map(), *sum = json_map();

	json_put_u64(sum, "sessions", f->sessions);
	json_put_u64(sum, "hits", f->told);
	json_put_bool(sum, "more", f->more);
	json_put_u64(sum, "not_indexed", f->rendered);
	json_put_u64(sum, "not_indexed_bytes", f->rendered_bytes);
	json_put_u64(sum, "sealed", f->sealed);
	json_put_u64(sum, "sealed_searched", f->opened);
	json_put_u64(sum, "sealed_rendered", f->sent);
	json_put_u64(sum, "erased", f->erased);
	json_put_u64(sum, "damaged", f->damaged);
	json_put_u64(sum, "chunks_read", f->find != NULL ? find_chunks(f->find) : 0);
	json_put_u64(sum, "chunks_skipped", f->skipped);
	json_put(j, "summary", sum);
	return reader_send_json(f->rd, RD_ITEM, j);
}

/* A value that the store's index has as it stands: no pattern, nothing escaped, not cut. */
static bool
is_value(const char *text)
{
	return text != NULL && strlen(text) <= SEARCH_VALUE_MAX && strpbrk(text, "*?\\") == NULL;
}

/* All sessions that may be wanted, oldest first: those of one person, host or login, where only one of them is asked for. */
static int
find_ids(struct finder *f, struct reader_ids *ids)
{
	const struct {
		const char *value;
		enum rec_meta tag;
	} by[] = { { f->q.identity, REC_META_IDENTITY }, { f->q.host, REC_META_HOST },
		{ f->q.login, REC_META_LOGIN } };

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++)
		if (is_value(by[i].value))
			return sess_each_of(
			    f->rd->snap, by[i].tag, by[i].value, 0, reader_collect, ids);
	return sess_each(f->rd->snap, 0, reader_collect, ids);
}

static int
find_all(struct finder *f)
{
	struct reader_ids ids = { NULL, 0, 0 };
	int r = find_ids(f, &ids);

	for (size_t i = ids.n; r == 0 && i > 0; i--) {
		if (f->told >= f->q.limit) {
			f->more = true;
			break;
		}
		if ((r = find_session(f, ids.sid[i - 1])) == 0)
			r = find_pause(f);
	}
	free(ids.sid);
	return r != 0 ? r : send_summary(f);
}

static int
finder_init(struct finder *f, char why[SEARCH_WHY_MAX])
{
	const char *text = reader_argument(f->rd);
	int r;

	if (text == NULL)
		return ERR_FORMAT;
	if ((r = search_query_parse(text, strlen(text), &f->q, why)) != 0 || f->q.text == NULL)
		return r;
	if ((r = find_new(&f->q, &f->find, why)) == 0)
		f->filter = find_filter(f->find, &f->filter_len);
	return r;
}

int
reader_search(struct reader *rd, uint8_t *ret_code)
{
	struct finder f = { .rd = rd };
	char why[SEARCH_WHY_MAX] = "";
	int r = finder_init(&f, why);

	if (r == ERR_FORMAT) {
		reader_say(rd, "%s", why[0] != '\0' ? why : "not a query");
		*ret_code = 2;
		r = 0;
	} else if (r == 0) {
		r = find_all(&f);
		*ret_code = f.told > 0 ? 0 : 1;
		if (r == ERR_LIMIT) {
			reader_say(rd, "the pattern takes too much work: make it simpler, or "
				       "search for plain text");
			*ret_code = 3;
			r = 0;
		}
	}
	find_free(f.find);
	chunk_done(&f.chunk);
	search_query_done(&f.q);
	return r;
}

/* How much of the store the index has. */
struct coverage {
	uint64_t ended, indexed, running, sealed, erased, text_bytes;
};

static int
cover_session(struct reader *rd, const uint8_t sid[REC_SID_LEN], struct coverage *cov)
{
	struct derived_look *look;
	struct sess s;
	int r;

	if ((r = sess_get(rd->snap, sid, &s)) != 0)
		return r == ERR_NOT_FOUND || r == ERR_FORMAT ? 0 : r;
	cov->running += s.state == SESS_OPEN;
	cov->ended += s.state != SESS_OPEN;
	r = rd->derived == NULL || s.state == SESS_OPEN
		? ERR_NOT_FOUND
		: derived_look(rd->derived, rd->snap, sid, s.n_events, &look);
	if (r == 0) {
		cov->indexed++;
		cov->text_bytes += derived_text_bytes(look);
		derived_leave(look);
	}
	cov->sealed += r == ERR_SEALED;
	cov->erased += r == ERR_ERASED;
	sess_done(&s);
	return r == -ENOMEM ? r : 0;
}

int
reader_index(struct reader *rd, uint8_t *ret_code)
{
	struct reader_ids ids = { NULL, 0, 0 };
	struct coverage cov = { 0 };
	uint64_t bytes = 0;
	struct json *j;
	int r = sess_each(rd->snap, 0, reader_collect, &ids);

	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = cover_session(rd, ids.sid[i], &cov);
	free(ids.sid);
	if (r == 0 && rd->derived != NULL)
		r = derived_size(rd->derived, &bytes);
	if (r != 0)
		return r;
	j = json_map();
	json_put_u64(j, "ended", cov.ended);
	json_put_u64(j, "indexed", cov.indexed);
	json_put_u64(j, "running", cov.running);
	json_put_u64(j, "sealed", cov.sealed);
	json_put_u64(j, "erased", cov.erased);
	json_put_u64(j, "text_bytes", cov.text_bytes);
	json_put_u64(j, "bytes", bytes);
	*ret_code = 0;
	return reader_send_json(rd, RD_ITEM, j);
}
