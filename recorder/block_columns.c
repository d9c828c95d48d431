/* Columns of a block, there and back. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "recorder/block_columns.h"
#include "recorder/event.h"

#define UNIT_NS 1000u /* of times, when all are whole ones */
#define VARINT_MAX 10u

enum column { KINDS, CHANNELS, LENGTHS, TIMES, OTHER, TYPED, SHOWN, COLUMNS };

/* An event in its parts, each as it stands in the event, but for the time. */
struct parts {
	uint64_t dt_ns;
	uint8_t kind;
	const uint8_t *channel, *length, *data;
	size_t channel_len, length_len, data_len;
};

/* What is left of a column that is read; the next place in one that is written. */
struct source {
	const uint8_t *p, *end;
};

static enum column
payload_column(uint8_t kind)
{
	if (kind == (EVENT_BACK << 6 | LINK_DATA))
		return SHOWN;
	return kind == (EVENT_FRONT << 6 | LINK_DATA) ? TYPED : OTHER;
}

static size_t
varint_put(uint8_t *dst, uint64_t v)
{
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		dst[n++] = (uint8_t)(v | 0x80);
	dst[n++] = (uint8_t)v;
	return n;
}

/* Bytes of the varint at p, which is whole. */
static size_t
varint_len(const uint8_t *p)
{
	size_t n = 1;

	while ((p[n - 1] & 0x80) != 0)
		n++;
	return n;
}

/* ERR_NOT_FOUND at the end; ERR_FORMAT. */
static int
next_parts(struct event_reader *r, struct parts *ret)
{
	const uint8_t *p = r->data + r->off;
	uint64_t before_ns = r->at_ns;
	struct event ev;
	int err;

	if ((err = event_next(r, &ev)) != 0)
		return err;
	p += varint_len(p);
	ret->dt_ns = ev.at_ns - before_ns;
	ret->kind = *p++;
	ret->channel = p;
	ret->channel_len = varint_len(p);
	ret->length = p + ret->channel_len;
	ret->data = ev.data;
	ret->data_len = ev.len;
	ret->length_len = (size_t)(ev.data - ret->length);
	return 0;
}

/* Bytes of each column. *ret_unit: of times, in ns. */
static int
measure(const uint8_t *events, size_t len, size_t n[COLUMNS], uint64_t *ret_unit)
{
	uint8_t space[VARINT_MAX];
	size_t times_ns = 0;
	bool units = true;
	struct event_reader r;
	struct parts e;
	int err;

	memset(n, 0, COLUMNS * sizeof(n[0]));
	event_reader_init(&r, events, len, 1, 0);
	while ((err = next_parts(&r, &e)) == 0) {
		n[KINDS]++;
		n[CHANNELS] += e.channel_len;
		n[LENGTHS] += e.length_len;
		n[payload_column(e.kind)] += e.data_len;
		n[TIMES] += varint_put(space, e.dt_ns / UNIT_NS);
		times_ns += varint_put(space, e.dt_ns);
		units = units && e.dt_ns % UNIT_NS == 0;
	}
	if (!units)
		n[TIMES] = times_ns;
	*ret_unit = units ? UNIT_NS : 1;
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void
add(uint8_t **at, const uint8_t *p, size_t n)
{
	memcpy(*at, p, n);
	*at += n;
}

int
columns_split(const uint8_t *events, size_t len, uint8_t *dst, size_t *ret_len)
{
	uint8_t *at[COLUMNS], *p = dst;
	struct event_reader r;
	size_t n[COLUMNS];
	struct parts e;
	uint64_t unit;
	int err;

	if ((err = measure(events, len, n, &unit)) != 0)
		return err;
	p += varint_put(p, unit);
	for (size_t i = 0; i + 1 < COLUMNS; i++)
		p += varint_put(p, n[i]);
	for (size_t i = 0; i < COLUMNS; i++) {
		at[i] = p;
		p += n[i];
	}
	event_reader_init(&r, events, len, 1, 0);
	while ((err = next_parts(&r, &e)) == 0) {
		*at[KINDS]++ = e.kind;
		add(&at[CHANNELS], e.channel, e.channel_len);
		add(&at[LENGTHS], e.length, e.length_len);
		at[TIMES] += varint_put(at[TIMES], e.dt_ns / unit);
		add(&at[payload_column(e.kind)], e.data, e.data_len);
	}
	*ret_len = (size_t)(p - dst);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int
varint_get(struct source *s, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (unsigned shift = 0; s->p < s->end && shift < 64; shift += 7) {
		uint8_t byte = *s->p++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*ret_v = v;
			return 0;
		}
	}
	return ERR_FORMAT;
}

/* Where the columns are. */
static int
open_columns(const uint8_t *src, size_t len, struct source cols[COLUMNS], uint64_t *ret_unit)
{
	struct source s = { src, src + len };
	uint64_t n[COLUMNS] = { 0 };

	if (varint_get(&s, ret_unit) != 0 || (*ret_unit != 1 && *ret_unit != UNIT_NS))
		return ERR_FORMAT;
	for (size_t i = 0; i + 1 < COLUMNS; i++)
		if (varint_get(&s, &n[i]) != 0)
			return ERR_FORMAT;
	for (size_t i = 0; i + 1 < COLUMNS; i++) {
		if (n[i] > (size_t)(s.end - s.p))
			return ERR_FORMAT;
		cols[i] = (struct source){ s.p, s.p + n[i] };
		s.p += n[i];
	}
	cols[SHOWN] = s;
	return 0;
}

/* One event at *at. */
static int
join_one(struct source cols[COLUMNS], uint64_t unit, uint8_t **at, const uint8_t *end)
{
	uint8_t kind = *cols[KINDS].p++, head[EVENT_HEAD_MAX];
	struct source *payload = &cols[payload_column(kind)];
	uint64_t dt, channel, len;
	size_t n;

	if (varint_get(&cols[TIMES], &dt) != 0 || dt > UINT64_MAX / unit ||
	    varint_get(&cols[CHANNELS], &channel) != 0 || channel > UINT32_MAX ||
	    varint_get(&cols[LENGTHS], &len) != 0 || len > EVENT_DATA_MAX ||
	    len > (size_t)(payload->end - payload->p))
		return ERR_FORMAT;
	n = varint_put(head, dt * unit);
	head[n++] = kind;
	n += varint_put(head + n, channel);
	n += varint_put(head + n, len);
	if (n + len > (size_t)(end - *at))
		return ERR_FORMAT;
	add(at, head, n);
	add(at, payload->p, (size_t)len);
	payload->p += len;
	return 0;
}

int
columns_join(const uint8_t *src, size_t len, uint8_t *dst, size_t max, size_t *ret_len)
{
	struct source cols[COLUMNS];
	uint8_t *at = dst;
	uint64_t unit;
	int r = open_columns(src, len, cols, &unit);

	while (r == 0 && cols[KINDS].p < cols[KINDS].end)
		r = join_one(cols, unit, &at, dst + max);
	for (size_t i = 0; r == 0 && i < COLUMNS; i++)
		if (cols[i].p != cols[i].end)
			r = ERR_FORMAT;
	if (r == 0)
		*ret_len = (size_t)(at - dst);
	return r;
}
