/* Session records as they lie in a store: read, followed while the session runs, found by the index. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/recording.h"
#include "recorder/seskey.h"
#include "recorder/sess.h"
#include "recorder/store_keys.h"
#include "recorder/summary.h"

#define IX_TIME 0u	  /* tag of the index by time; others are enum rec_meta */
#define IX_VALUE_MAX 200u /* bytes of a value that the index tells apart */

/* To whom it is sealed, for those who are told that it is. */
static int
load_auditors(struct store_snap *snap, struct sess *s)
{
	struct seskey k;
	int r;

	if ((r = seskey_find(snap, s->sid, &k)) != 0)
		return r;
	if (k.kind == SESKEY_SEALED) {
		if ((s->sealed_to = malloc(sizeof(*s->sealed_to))) != NULL)
			*s->sealed_to = k.to;
		else
			r = -ENOMEM;
	}
	seskey_done(&k);
	return r;
}

/* Put what is private in its place, if we may know it. */
static int
load_private(struct store_snap *snap, struct sess *s)
{
	uint8_t *key = store_keys_scratch(store_snap_keys(snap));
	int r = -ENOMEM;

	if (key == NULL)
		return r;
	if ((r = load_auditors(snap, s)) == 0)
		r = seskey_get(snap, s->sid, key);
	if (r == 0)
		r = sess_open_private(s, key);
	if (r != 0 && r != -ENOMEM) {
		s->closed_to_us = r;
		r = 0;
	}
	sodium_memzero(key, CRYPT_KEY_LEN);
	return r;
}

int
sess_get_clear(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct sess *ret_sess)
{
	struct sess s;
	const uint8_t *data;
	size_t len;
	int r;

	if ((r = store_get(snap, STORE_SESS, sid, REC_SID_LEN, &data, &len)) != 0 ||
	    (r = sess_parse(data, len, &s)) != 0)
		return r;
	if (memcmp(s.sid, sid, REC_SID_LEN) != 0) {
		sess_done(&s);
		return ERR_FORMAT;
	}
	*ret_sess = s;
	return 0;
}

int
sess_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct sess *ret_sess)
{
	struct sess s;
	int r;

	if ((r = sess_get_clear(snap, sid, &s)) != 0)
		return r;
	if ((r = load_private(snap, &s)) != 0) {
		sess_done(&s);
		return r;
	}
	*ret_sess = s;
	return 0;
}

/* Feeds the events of one part to the summary. */
static int
live_part(struct sess *s, struct summary *sum, const struct recording_part *part)
{
	struct event_reader reader;
	struct event ev;
	int r;

	event_reader_init(&reader, part->data, part->len, part->first_seq, part->base_ns);
	while ((r = event_next(&reader, &ev)) == 0) {
		if ((r = summary_add(sum, &ev)) != 0)
			return r;
		s->n_events = ev.seq;
		s->last_ns = ev.at_ns;
	}
	s->raw_bytes += part->len;
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Without its key: how far it is, as its last signed head says. */
static int
live_counts(struct store_snap *snap, struct sess *s)
{
	struct block_hdr hdr;
	const uint8_t *data;
	struct head head;
	size_t len;
	int r;

	r = store_get(snap, STORE_HEAD, s->sid, REC_SID_LEN, &data, &len);
	if (r == ERR_NOT_FOUND)
		return 0;
	if (r != 0 || (r = head_parse(data, len, &head)) != 0)
		return r;
	s->n_events = head.n_events;
	s->last_ns = head.last_ns;
	s->n_blocks = head.n_blocks;
	s->raw_bytes = head.partial_len;
	for (uint32_t i = 0; i < head.n_blocks; i++) {
		if ((r = block_get_hdr(snap, s->sid, i, &hdr)) != 0)
			return r;
		s->raw_bytes += hdr.raw_len;
	}
	return 0;
}

static int
live_events(struct store_snap *snap, struct sess *s, struct summary *sum)
{
	struct recording_part part;
	struct recording *rec;
	int r;

	if ((r = recording_open(snap, s->sid, &rec)) != 0)
		return r;
	while ((r = recording_next(rec, &part)) == 0 && (r = live_part(s, sum, &part)) == 0)
		s->n_blocks = part.block;
	recording_close(rec);
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
sess_live(struct store_snap *snap, struct sess *s)
{
	struct summary sum;
	int r;

	if (s->state != SESS_OPEN)
		return 0;
	s->n_events = s->last_ns = s->raw_bytes = 0;
	if (s->closed_to_us != 0)
		return live_counts(snap, s);
	summary_init(&sum);
	if ((r = live_events(snap, s, &sum)) == 0)
		summary_give(&sum, s);
	summary_done(&sum);
	return r;
}

/*
 * Index entries: u8 tag, value (only where the tag is of metadata) with a NUL behind it, u64
 * opening, sid.
 */

static int
ix_prefix(struct buf *b, uint8_t tag, const uint8_t *value, size_t len)
{
	int r;

	if ((r = buf_put_u8(b, tag)) != 0 || tag == IX_TIME)
		return r;
	if ((r = buf_put(b, value, len < IX_VALUE_MAX ? len : IX_VALUE_MAX)) != 0)
		return r;
	return buf_put_u8(b, 0);
}

int
sess_index(const struct sess *s, int (*fn)(void *arg, const uint8_t *key, size_t len), void *arg)
{
	static const uint8_t tags[] = { IX_TIME, REC_META_IDENTITY, REC_META_LOGIN, REC_META_HOST };
	struct buf *b = buf_new(STORE_KEY_MAX);
	int r = 0;

	if (b == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < sizeof(tags); i++) {
		const uint8_t *value = NULL;
		size_t len = 0;

		if (tags[i] != IX_TIME && !sess_meta(s, (enum rec_meta)tags[i], &value, &len))
			continue;
		buf_reset(b);
		if ((r = ix_prefix(b, tags[i], value, len)) == 0 &&
		    (r = buf_put_u64(b, s->opened_wall_ns)) == 0 &&
		    (r = buf_put(b, s->sid, REC_SID_LEN)) == 0)
			r = fn(arg, buf_ptr(b), buf_len(b));
	}
	buf_free(b);
	return r;
}

#define IX_TAIL (8u + REC_SID_LEN) /* bytes of opening time and sid in a key */

static int
ix_each(struct store_snap *snap, const struct buf *prefix, uint64_t from_wall_ns, sess_each_fn fn,
    void *arg)
{
	uint8_t from[STORE_KEY_MAX];
	size_t n = buf_len(prefix);
	struct store_iter *it;
	struct store_item item;
	int r;

	memcpy(from, buf_ptr(prefix), n);
	for (size_t i = 0; i < 8; i++)
		from[n + i] = (uint8_t)(from_wall_ns >> (56 - 8 * i));
	if ((r = store_iter_new(snap, STORE_IX, from, n + 8, false, &it)) != 0)
		return r;
	while ((r = store_iter_next(it, &item)) == 0) {
		uint64_t wall_ns = 0;

		if (item.key_len < n || memcmp(item.key, from, n) != 0) {
			r = ERR_NOT_FOUND;
			break;
		}
		if (item.key_len != n + IX_TAIL) {
			r = ERR_FORMAT;
			break;
		}
		for (size_t i = 0; i < 8; i++)
			wall_ns = wall_ns << 8 | item.key[n + i];
		if ((r = fn(arg, item.key + n + 8, wall_ns)) != 0)
			break;
	}
	store_iter_free(it);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int
ix_each_tag(struct store_snap *snap, uint8_t tag, const void *value, size_t len,
    uint64_t from_wall_ns, sess_each_fn fn, void *arg)
{
	struct buf *b = buf_new(STORE_KEY_MAX);
	int r;

	if (b == NULL)
		return -ENOMEM;
	if ((r = ix_prefix(b, tag, value, len)) == 0)
		r = ix_each(snap, b, from_wall_ns, fn, arg);
	buf_free(b);
	return r;
}

int
sess_each(struct store_snap *snap, uint64_t from_wall_ns, sess_each_fn fn, void *arg)
{
	return ix_each_tag(snap, IX_TIME, NULL, 0, from_wall_ns, fn, arg);
}

int
sess_each_of(struct store_snap *snap, enum rec_meta tag, const char *value, uint64_t from_wall_ns,
    sess_each_fn fn, void *arg)
{
	if (tag != REC_META_IDENTITY && tag != REC_META_LOGIN && tag != REC_META_HOST)
		return ERR_NOT_FOUND;
	return ix_each_tag(snap, (uint8_t)tag, value, strlen(value), from_wall_ns, fn, arg);
}
