/* Making derived data: a session is rendered once, chunk by chunk, and counts when its info is there. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/derived_part.h"
#include "recorder/recording.h"

#define COMMIT_BYTES (8u << 20) /* of values in one transaction */
#define COMMIT_SESSIONS 64u	/* in one transaction */
#define RENEW_PARTS 16u		/* blocks of a recording that are read from one snapshot */

struct derived_writer {
	struct sderived *store;
	struct derived_value *value;
	struct derived_counts counts;
	bool changing;	      /* a transaction is open */
	uint64_t uncommitted; /* bytes in it */
	unsigned n_sessions;  /* that came to their end in it */
};

/* One session while it is made. */
struct make {
	struct derived_writer *w;
	struct derived_key key;
	struct render *rn;
	struct chunk chunk;
	struct buf *shots; /* of the info */
	uint32_t n_shots;
	uint64_t text_bytes, out_bytes,
	    shot_at; /* bytes of output so far, and at the last picture */
};

void
derived_writer_close(struct derived_writer *w)
{
	if (w == NULL)
		return;
	sderived_close(w->store);
	derived_value_free(w->value);
	free(w);
}

int
derived_open_write(const char *dir, struct derived_writer **ret_writer)
{
	struct derived_writer *w = calloc(1, sizeof(*w));
	char path[PATH_MAX];
	int r = -ENOMEM;

	if (w == NULL)
		return r;
	if ((w->value = derived_value_new(true)) == NULL ||
	    (r = str_format(path, sizeof(path), "%s/" DERIVED_DIR, dir)) != 0 ||
	    (r = sderived_open_write(path, &w->store)) != 0) {
		derived_writer_close(w);
		return r;
	}
	*ret_writer = w;
	return 0;
}

const struct derived_counts *
derived_counted(const struct derived_writer *w)
{
	return &w->counts;
}

static int
writer_begin(struct derived_writer *w)
{
	int r;

	if (w->changing)
		return 0;
	if ((r = sderived_begin(w->store)) == 0) {
		w->changing = true;
		w->uncommitted = 0;
		w->n_sessions = 0;
	}
	return r;
}

int
derived_flush(struct derived_writer *w)
{
	if (!w->changing)
		return 0;
	w->changing = false;
	return sderived_commit(w->store);
}

static void
writer_abort(struct derived_writer *w)
{
	w->changing = false;
	sderived_abort(w->store);
}

int
derived_bytes(struct derived_writer *w, uint64_t *ret_bytes)
{
	return sderived_bytes(w->store, ret_bytes);
}

int
derived_next(
    struct derived_writer *w, const uint8_t from[REC_SID_LEN], uint8_t ret_sid[REC_SID_LEN])
{
	int r;

	if ((r = writer_begin(w)) != 0)
		return r;
	return sderived_next(w->store, from, ret_sid);
}

int
derived_forget(struct derived_writer *w, const uint8_t sid[REC_SID_LEN])
{
	int r;

	if ((r = writer_begin(w)) != 0)
		return r;
	if ((r = sderived_del(w->store, sid)) == 0)
		return derived_flush(w);
	writer_abort(w);
	return r;
}

int
derived_forget_all(struct derived_writer *w)
{
	static const uint8_t first[REC_SID_LEN] = { 0 };
	uint8_t sid[REC_SID_LEN];
	int r;

	while ((r = derived_next(w, first, sid)) == 0)
		if ((r = derived_forget(w, sid)) != 0)
			return r;
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
derived_has(struct derived_writer *w, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events)
{
	struct derived_key key;
	const uint8_t *p;
	uint64_t n = 0;
	size_t len;
	int r;

	if ((r = derived_key_get(snap, sid, &key)) != 0)
		return r;
	if ((r = writer_begin(w)) == 0 &&
	    (r = sderived_get(w->store, sid, SDERIVED_INFO, 0, &p, &len)) == 0)
		r = derived_value_open(w->value, &key, SDERIVED_INFO, 0, p, len);
	derived_key_done(&key);
	if (r == -ENOMEM || r == ERR_NOT_FOUND)
		return r;
	if (r != 0 || buf_get_u64(derived_value_buf(w->value), &n) != 0 || n != n_events)
		return ERR_NOT_FOUND;
	return 0;
}

static int
make_put(struct make *m, enum sderived_kind kind, uint32_t number)
{
	struct derived_writer *w = m->w;
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = derived_value_wrap(w->value, &m->key, &p, &len)) != 0 ||
	    (r = sderived_put(w->store, m->key.sid, kind, number, p, len)) != 0)
		return r;
	w->uncommitted += len;
	if (w->uncommitted < COMMIT_BYTES)
		return 0;
	if ((r = derived_flush(w)) != 0)
		return r;
	return writer_begin(w);
}

static int
make_chunk(struct make *m)
{
	struct derived_writer *w = m->w;
	struct chunk *c = &m->chunk;
	int r;

	if (c->n_lines == 0)
		return 0;
	if ((r = derived_value_chunk(w->value, c)) != 0 ||
	    (r = make_put(m, SDERIVED_CHUNK, c->number)) != 0)
		return r;
	if (c->len >= DERIVED_FILTER_FROM &&
	    ((r = derived_value_filter(w->value, c)) != 0 ||
		(r = make_put(m, SDERIVED_FILTER, c->number)) != 0))
		return r;
	m->text_bytes += c->len;
	w->counts.chunks++;
	c->number++;
	chunk_reset(c);
	return 0;
}

static int
make_line(void *arg, const struct render_line *line)
{
	struct make *m = arg;
	int r;

	if (chunk_is_full(&m->chunk) && (r = make_chunk(m)) != 0)
		return r;
	return chunk_add(&m->chunk, line);
}

static int
make_shot(struct make *m, const struct event *ev, uint32_t channel)
{
	struct screen *s = render_screen(m->rn, channel);
	struct derived_writer *w = m->w;
	struct buf *value = derived_value_buf(w->value), *paint;
	uint32_t cols, rows;
	int r;

	if (s == NULL || !screen_is_whole(s) || m->n_shots == DERIVED_SHOTS_MAX)
		return 0;
	if ((paint = buf_new(SCREEN_PAINT_MAX)) == NULL)
		return -ENOMEM;
	screen_size(s, &cols, &rows);
	if ((r = screen_paint(s, paint)) == 0 &&
	    (r = derived_value_begin(w->value, SDERIVED_SHOT, m->n_shots)) == 0 &&
	    (r = buf_put_u32(value, channel)) == 0 && (r = buf_put_u32(value, cols)) == 0 &&
	    (r = buf_put_u32(value, rows)) == 0 && (r = buf_put_u64(value, ev->seq + 1)) == 0 &&
	    (r = buf_put_u64(value, ev->at_ns)) == 0 &&
	    (r = derived_value_compress(w->value, buf_ptr(paint), buf_len(paint))) == 0 &&
	    (r = make_put(m, SDERIVED_SHOT, m->n_shots)) == 0 &&
	    (r = buf_put_u32(m->shots, channel)) == 0)
		r = buf_put_u64(m->shots, ev->at_ns);
	buf_free(paint);
	if (r != 0)
		return r;
	m->n_shots++;
	w->counts.shots++;
	return 0;
}

/* A picture of every terminal, once there is so much output since the last ones. */
static int
make_shots(struct make *m, const struct event *ev)
{
	const uint32_t *channels;
	size_t n;
	int r = 0;

	if ((ev->type != LINK_DATA && ev->type != LINK_DATA_EXT) || ev->way != EVENT_BACK)
		return 0;
	m->out_bytes += ev->len;
	if (m->out_bytes - m->shot_at < DERIVED_SHOT_EVERY)
		return 0;
	m->shot_at = m->out_bytes;
	channels = render_terminals(m->rn, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = make_shot(m, ev, channels[i]);
	return r;
}

static int
make_part(struct make *m, const struct recording_part *part)
{
	struct event_reader er;
	struct event ev;
	int r;

	event_reader_init(&er, part->data, part->len, part->first_seq, part->base_ns);
	while ((r = event_next(&er, &ev)) == 0) {
		if ((r = render_event(m->rn, &ev)) != 0 || (r = make_shots(m, &ev)) != 0)
			return r;
		m->w->counts.events++;
	}
	m->w->counts.raw_bytes += part->len;
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
make_events(struct make *m, struct store_snap *snap)
{
	struct recording_part part;
	struct recording *rec;
	unsigned n = 0;
	int r;

	if ((r = recording_open(snap, m->key.sid, &rec)) != 0)
		return r;
	while ((r = recording_next(rec, &part)) == 0) {
		if ((r = make_part(m, &part)) != 0)
			break;
		/* A held snapshot would keep the store from reusing space. */
		if (++n % RENEW_PARTS == 0 && (r = store_snap_renew(snap)) != 0)
			break;
	}
	recording_close(rec);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
make_info(struct make *m, uint64_t n_events)
{
	struct derived_writer *w = m->w;
	struct buf *value = derived_value_buf(w->value);
	int r;

	if ((r = derived_value_begin(w->value, SDERIVED_INFO, 0)) != 0 ||
	    (r = buf_put_u64(value, n_events)) != 0 ||
	    (r = buf_put_u32(value, m->chunk.number)) != 0 ||
	    (r = buf_put_u32(value, m->n_shots)) != 0 ||
	    (r = buf_put_u64(value, m->text_bytes)) != 0 ||
	    (r = buf_put(value, buf_ptr(m->shots), buf_len(m->shots))) != 0)
		return r;
	return make_put(m, SDERIVED_INFO, 0);
}

int
derived_make(struct derived_writer *w, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events)
{
	struct make m = { .w = w };
	int r, again;

	if ((r = derived_key_get(snap, sid, &m.key)) != 0)
		return r;
	if ((r = writer_begin(w)) != 0) {
		derived_key_done(&m.key);
		return r;
	}
	m.shots = buf_new(DERIVED_SHOTS_MAX * 12u);
	if (m.shots == NULL)
		r = -ENOMEM;
	if (r == 0 && (r = sderived_del(w->store, sid)) == 0 &&
	    (r = render_new(make_line, &m, &m.rn)) == 0 && (r = make_events(&m, snap)) == 0 &&
	    (r = render_flush(m.rn)) == 0 && (r = make_chunk(&m)) == 0 &&
	    (r = make_info(&m, n_events)) == 0) {
		w->counts.sessions++;
		w->counts.text_bytes += m.text_bytes;
		if (++w->n_sessions >= COMMIT_SESSIONS)
			r = derived_flush(w);
	} else if (derived_forget(w, sid) != 0 && (again = derived_forget(w, sid)) != 0) {
		/*
		 * Nothing of a half stays, and if it did, it would not count without its info. A transaction that has
		 * failed takes nothing more: the second try has a new one.
		 */
		r = again;
	}
	render_free(m.rn);
	chunk_done(&m.chunk);
	buf_free(m.shots);
	derived_key_done(&m.key);
	return r;
}
