/* Reading derived data. Whatever does not fit is as if it were not there. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/derived_part.h"
#include "recorder/recording.h"
#include "recorder/sess.h"

struct derived {
	struct sderived *store;
	struct derived_value *value;
};

struct derived_shot_at {
	uint32_t channel;
	uint64_t at_ns;
};

struct derived_look {
	struct derived *d; /* in a look of its own */
	struct derived_key key;
	uint64_t n_events, text_bytes;
	uint32_t n_chunks, n_shots;
	struct derived_shot_at *shots; /* owned */
};

void
derived_close(struct derived *d)
{
	if (d == NULL)
		return;
	sderived_close(d->store);
	derived_value_free(d->value);
	free(d);
}

int
derived_open_read(const char *dir, struct derived **ret_derived)
{
	struct derived *d = calloc(1, sizeof(*d));
	char path[PATH_MAX];
	int r = -ENOMEM;

	if (d == NULL)
		return r;
	if ((d->value = derived_value_new(false)) == NULL ||
	    (r = str_format(path, sizeof(path), "%s/" DERIVED_DIR, dir)) != 0 ||
	    (r = sderived_open_read(path, &d->store)) != 0) {
		derived_close(d);
		return r;
	}
	*ret_derived = d;
	return 0;
}

/* A value, opened: what is left of it is *ret. 0; ERR_NOT_FOUND; ERR_FORMAT; -ENOMEM; -errno. */
static int
look_value(struct derived_look *look, enum sderived_kind kind, uint32_t number, struct buf **ret)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = sderived_get(look->d->store, look->key.sid, kind, number, &p, &len)) != 0)
		return r;
	*ret = derived_value_buf(look->d->value);
	return derived_value_open(look->d->value, &look->key, kind, number, p, len);
}

static int
look_info(struct derived_look *look, uint64_t n_events)
{
	struct buf *b = NULL;
	int r;

	if ((r = look_value(look, SDERIVED_INFO, 0, &b)) != 0)
		return r;
	if (buf_get_u64(b, &look->n_events) != 0 || buf_get_u32(b, &look->n_chunks) != 0 ||
	    buf_get_u32(b, &look->n_shots) != 0 || buf_get_u64(b, &look->text_bytes) != 0 ||
	    look->n_shots > DERIVED_SHOTS_MAX || buf_len(b) != (size_t)look->n_shots * 12)
		return ERR_FORMAT;
	if (look->n_events != n_events)
		return ERR_NOT_FOUND;
	if (look->n_shots == 0)
		return 0;
	if ((look->shots = calloc(look->n_shots, sizeof(*look->shots))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < look->n_shots; i++)
		if ((r = buf_get_u32(b, &look->shots[i].channel)) == 0)
			r = buf_get_u64(b, &look->shots[i].at_ns);
	return r;
}

void
derived_leave(struct derived_look *look)
{
	if (look == NULL)
		return;
	sderived_abort(look->d->store);
	derived_key_done(&look->key);
	free(look->shots);
	free(look);
}

int
derived_look(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint64_t n_events, struct derived_look **ret_look)
{
	struct derived_look *look = calloc(1, sizeof(*look));
	int r;

	if (look == NULL)
		return -ENOMEM;
	look->d = d;
	if ((r = derived_key_get(snap, sid, &look->key)) != 0 ||
	    (r = sderived_begin(d->store)) != 0) {
		derived_key_done(&look->key);
		free(look);
		return r;
	}
	if ((r = look_info(look, n_events)) != 0) {
		derived_leave(look);
		return r == ERR_FORMAT ? ERR_NOT_FOUND : r;
	}
	*ret_look = look;
	return 0;
}

uint32_t
derived_chunks(const struct derived_look *look)
{
	return look->n_chunks;
}

uint64_t
derived_text_bytes(const struct derived_look *look)
{
	return look->text_bytes;
}

int
derived_size(struct derived *d, uint64_t *ret_bytes)
{
	return sderived_bytes(d->store, ret_bytes);
}

bool
derived_may(struct derived_look *look, uint32_t i, const uint8_t *folded, size_t len)
{
	struct buf *b = NULL;

	if (len < 3 || look_value(look, SDERIVED_FILTER, i, &b) != 0)
		return true;
	return chunk_filter_may(buf_ptr(b), buf_len(b), i, folded, len);
}

int
derived_chunk(struct derived_look *look, uint32_t i, struct chunk *c)
{
	struct buf *b = NULL;
	int r;

	if ((r = look_value(look, SDERIVED_CHUNK, i, &b)) == 0)
		r = derived_value_read_chunk(look->d->value, i, c);
	return r == ERR_NOT_FOUND ? ERR_FORMAT : r;
}

static int
shot_read(struct derived_look *look, uint32_t i, struct derived_shot *ret)
{
	struct derived_shot shot = { 0 };
	struct buf *b = NULL, *plain = derived_value_plain(look->d->value);
	int r;

	if ((r = look_value(look, SDERIVED_SHOT, i, &b)) != 0)
		return r;
	if (buf_get_u32(b, &shot.channel) != 0 || buf_get_u32(b, &shot.cols) != 0 ||
	    buf_get_u32(b, &shot.rows) != 0 || buf_get_u64(b, &shot.next_seq) != 0 ||
	    buf_get_u64(b, &shot.at_ns) != 0)
		return ERR_FORMAT;
	if ((r = derived_value_expand(look->d->value, SCREEN_PAINT_MAX)) != 0)
		return r;
	if ((shot.paint = buf_new(SCREEN_PAINT_MAX)) == NULL)
		return -ENOMEM;
	if ((r = buf_put(shot.paint, buf_ptr(plain), buf_len(plain))) != 0) {
		buf_free(shot.paint);
		return r;
	}
	*ret = shot;
	return 0;
}

/* Sessions that run have none: what their record says of events is not what the pictures were made of. */
static int
shot_events(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], uint64_t *ret_n)
{
	struct sess s;
	int r;

	if ((r = sess_get(snap, sid, &s)) != 0)
		return r;
	*ret_n = s.n_events;
	r = s.state == SESS_OPEN ? ERR_NOT_FOUND : 0;
	sess_done(&s);
	return r;
}

int
derived_shot(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint32_t channel, uint64_t at_ns, struct derived_shot *ret_shot)
{
	struct derived_look *look;
	uint64_t n_events = 0;
	int r;

	if ((r = shot_events(snap, sid, &n_events)) != 0 ||
	    (r = derived_look(d, snap, sid, n_events, &look)) != 0)
		return r;
	r = ERR_NOT_FOUND;
	for (uint32_t i = look->n_shots; i > 0; i--)
		if (look->shots[i - 1].channel == channel && look->shots[i - 1].at_ns <= at_ns) {
			r = shot_read(look, i - 1, ret_shot);
			break;
		}
	derived_leave(look);
	return r;
}

/* Feed rn what lies between first_seq and at_ns. */
static int
screen_events(struct recording *rec, uint64_t first_seq, uint64_t at_ns, struct render *rn)
{
	struct recording_part part;
	struct event_reader er;
	struct event ev;
	int r;

	while ((r = recording_next(rec, &part)) == 0) {
		if (part.base_ns > at_ns)
			return 0;
		event_reader_init(&er, part.data, part.len, part.first_seq, part.base_ns);
		while ((r = event_next(&er, &ev)) == 0) {
			if (ev.at_ns > at_ns)
				return 0;
			if (ev.seq >= first_seq && (r = render_event(rn, &ev)) != 0)
				return r;
		}
		if (r != ERR_NOT_FOUND)
			return r;
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
derived_screen_at(struct derived *d, struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint32_t channel, uint64_t at_ns, struct screen **ret_screen)
{
	struct derived_shot shot = { 0 };
	struct recording *rec = NULL;
	struct render *rn = NULL;
	struct screen *s;
	int r;

	if ((r = recording_open(snap, sid, &rec)) != 0 || (r = render_new(NULL, NULL, &rn)) != 0)
		goto out;
	r = d != NULL ? derived_shot(d, snap, sid, channel, at_ns, &shot) : ERR_NOT_FOUND;
	if (r == 0) {
		if ((r = render_restore(rn, channel, shot.cols, shot.rows, buf_ptr(shot.paint),
			 buf_len(shot.paint))) != 0 ||
		    (r = recording_seek(rec, shot.at_ns)) != 0)
			goto out;
	} else if (r == -ENOMEM || r == ERR_SEALED || r == ERR_ERASED) {
		goto out;
	}
	if ((r = screen_events(rec, shot.next_seq, at_ns, rn)) != 0)
		goto out;
	s = render_take(rn, channel);
	r = s == NULL ? ERR_NOT_FOUND : 0;
	if (r == 0)
		*ret_screen = s;
out:
	buf_free(shot.paint);
	render_free(rn);
	recording_close(rec);
	return r;
}
