/* TZif files (RFC 8536): the transitions to come, and the rule for the time after the last one. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/str.h"
#include "policy/zone.h"

#define ZONE_FILE_MAX 65536u
#define ZONE_TYPES_MAX 256u
#define ZONES_MAX 2048u
#define DEPTH_MAX 3
#define HOUR_S 3600
#define DAY_S 86400
#define OFFSET_MAX_S (26 * HOUR_S) /* RFC 8536 section 3.2: beyond it nothing is a time zone */

/* "M3.5.0/2": the day-th weekday (0 is Sunday) of week 1 to 5 (5: the last) of the month, seconds from midnight. */
struct change {
	unsigned month, week, day;
	int32_t at_s;
};

struct footer {
	int32_t std_s, dst_s; /* east of Greenwich */
	bool has_dst;
	struct change start, end; /* of dst */
};

struct transition {
	int64_t at_s;
	int32_t offset_s; /* from then on */
};

struct zone {
	char name[ZONE_NAME_MAX + 1];
	int32_t first_s; /* offset before the first transition that was kept */
	struct footer footer;
	size_t n;
	struct transition transitions[];
};

struct zones {
	struct zone *v[ZONES_MAX]; /* by name */
	size_t n;
};

/* Days from 1970-01-01 to a date of the Gregorian calendar. month: 1 to 12; day: from 1. */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t
year_of(int64_t t_s)
{
	/* A first guess by the mean year, then at most one step. */
	int64_t year = 1970 + t_s / 31556952;

	while (days_of(year, 1, 1) * DAY_S > t_s)
		year--;
	while (days_of(year + 1, 1, 1) * DAY_S <= t_s)
		year++;
	return year;
}

/* The change's local time in that year, as if local time were UTC. */
static int64_t
change_at(const struct change *c, int64_t year)
{
	int64_t first = days_of(year, c->month, 1);
	int64_t next = c->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, c->month + 1, 1);
	/* 1970-01-01 was a Thursday; days since 1970 may be negative. */
	int64_t weekday = ((first + 4) % 7 + 7) % 7;
	int64_t day = first + (c->day + 7 - weekday) % 7 + 7 * ((int64_t)c->week - 1);

	while (day >= next)
		day -= 7;
	return day * DAY_S + c->at_s;
}

static int32_t
footer_offset(const struct footer *f, int64_t t_s)
{
	int64_t year, start, end;
	bool dst;

	if (!f->has_dst)
		return f->std_s;
	year = year_of(t_s + f->std_s);
	start = change_at(&f->start, year) - f->std_s;
	end = change_at(&f->end, year) - f->dst_s;
	dst = start < end ? t_s >= start && t_s < end : t_s >= start || t_s < end;
	return dst ? f->dst_s : f->std_s;
}

int32_t
zone_offset_s(const struct zone_ref *ref, int64_t t_s)
{
	const struct zone *z = ref->zone;
	size_t i;

	if (z == NULL)
		return ref->fixed_s;
	if (z->n == 0 || t_s >= z->transitions[z->n - 1].at_s)
		return footer_offset(&z->footer, t_s);
	for (i = 0; i < z->n && z->transitions[i].at_s <= t_s; i++)
		;
	return i == 0 ? z->first_s : z->transitions[i - 1].offset_s;
}

/* The footer: "CET-1CEST,M3.5.0,M10.5.0/3" (RFC 8536 section 3.3 with POSIX's names). */

static bool
take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool
take_number(const char **s, unsigned max, unsigned *ret_v)
{
	unsigned v = 0, n = 0;

	for (; **s >= '0' && **s <= '9' && n < 4; (*s)++, n++)
		v = v * 10 + (unsigned)(**s - '0');
	if (n == 0 || v > max)
		return false;
	*ret_v = v;
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool
take_hms(const char **s, int32_t *ret_s)
{
	unsigned h, m = 0, sec = 0;
	bool minus = take_char(s, '-');

	if (!minus)
		(void)take_char(s, '+');
	if (!take_number(s, 167, &h))
		return false;
	if (take_char(s, ':') &&
	    (!take_number(s, 59, &m) || (take_char(s, ':') && !take_number(s, 59, &sec))))
		return false;
	*ret_s = (int32_t)(h * HOUR_S + m * 60 + sec);
	if (minus)
		*ret_s = -*ret_s;
	return true;
}

static bool
take_abbreviation(const char **s)
{
	const char *from = *s;

	if (take_char(s, '<')) {
		while (**s != '>' && **s != '\0')
			(*s)++;
		return take_char(s, '>');
	}
	while ((**s >= 'a' && **s <= 'z') || (**s >= 'A' && **s <= 'Z'))
		(*s)++;
	return *s - from >= 3;
}

static bool
take_change(const char **s, struct change *c)
{
	c->at_s = 2 * HOUR_S;
	if (!take_char(s, ',') || !take_char(s, 'M') || !take_number(s, 12, &c->month) ||
	    !take_char(s, '.') || !take_number(s, 5, &c->week) || !take_char(s, '.') ||
	    !take_number(s, 6, &c->day) || c->month == 0 || c->week == 0)
		return false;
	return !take_char(s, '/') || take_hms(s, &c->at_s);
}

static bool
parse_footer(const char *s, struct footer *f)
{
	*f = (struct footer){ 0 };
	if (!take_abbreviation(&s) || !take_hms(&s, &f->std_s))
		return false;
	/* POSIX counts west of Greenwich. */
	f->std_s = -f->std_s;
	if (*s == '\0')
		return true;
	f->has_dst = true;
	f->dst_s = f->std_s + HOUR_S;
	if (!take_abbreviation(&s))
		return false;
	if (*s != ',') {
		if (!take_hms(&s, &f->dst_s))
			return false;
		f->dst_s = -f->dst_s;
	}
	return take_change(&s, &f->start) && take_change(&s, &f->end) && *s == '\0';
}

/* The six counts of a header (RFC 8536 section 3.1). */
struct counts {
	uint32_t isutc, isstd, leap, time, type, chars;
};

static int
read_header(struct buf *b, struct counts *c)
{
	char magic[4];
	uint8_t version;
	int r;

	if ((r = buf_get(b, magic, sizeof(magic))) != 0 || (r = buf_get_u8(b, &version)) != 0 ||
	    (r = buf_skip(b, 15)) != 0)
		return r;
	if (memcmp(magic, "TZif", 4) != 0 || version < '2')
		return ERR_FORMAT;
	if ((r = buf_get_u32(b, &c->isutc)) != 0 || (r = buf_get_u32(b, &c->isstd)) != 0 ||
	    (r = buf_get_u32(b, &c->leap)) != 0 || (r = buf_get_u32(b, &c->time)) != 0 ||
	    (r = buf_get_u32(b, &c->type)) != 0 || (r = buf_get_u32(b, &c->chars)) != 0)
		return r;
	if (c->isutc > ZONE_TYPES_MAX || c->isstd > ZONE_TYPES_MAX || c->leap > ZONE_FILE_MAX ||
	    c->time > ZONE_FILE_MAX || c->type > ZONE_TYPES_MAX || c->chars > ZONE_FILE_MAX ||
	    c->type == 0)
		return ERR_FORMAT;
	return 0;
}

/* Bytes of a data block whose times have this many bytes. */
static size_t
block_len(const struct counts *c, size_t time_len)
{
	return c->time * (time_len + 1) + c->type * 6 + c->chars + c->leap * (time_len + 4) +
	       c->isstd + c->isutc;
}

/* The tables of the 64-bit block, borrowed. */
struct tables {
	const uint8_t *times, *indices, *types;
};

static int64_t
get_be(const uint8_t *p, size_t n)
{
	uint64_t v = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

static bool
offset_at(const struct counts *c, const struct tables *t, uint32_t i, int32_t *ret_s)
{
	uint8_t type = t->indices[i];

	if (type >= c->type)
		return false;
	*ret_s = (int32_t)get_be(t->types + (size_t)type * 6, 4);
	return *ret_s > -OFFSET_MAX_S && *ret_s < OFFSET_MAX_S;
}

/* Keep the transitions after now_s, and the offset that holds until the first of them. */
static int
keep_transitions(struct zone *z, const struct counts *c, const struct tables *t, int64_t now_s)
{
	z->first_s = (int32_t)get_be(t->types, 4);
	for (uint32_t i = 0; i < c->time; i++) {
		int64_t at = get_be(t->times + (size_t)i * 8, 8);
		int32_t offset;

		if (!offset_at(c, t, i, &offset))
			return ERR_FORMAT;
		if (at <= now_s)
			z->first_s = offset;
		else if (z->n > 0 && at <= z->transitions[z->n - 1].at_s)
			return ERR_FORMAT;
		else
			z->transitions[z->n++] = (struct transition){ at, offset };
	}
	return 0;
}

/* A newline, the footer, a newline, the end. */
static int
read_footer(struct buf *b, struct footer *f)
{
	char text[128];
	size_t len = buf_len(b);

	if (len < 3 || len >= sizeof(text) || buf_get(b, text, len) != 0)
		return ERR_FORMAT;
	if (text[0] != '\n' || text[len - 1] != '\n')
		return ERR_FORMAT;
	text[len - 1] = '\0';
	return parse_footer(text + 1, f) ? 0 : ERR_FORMAT;
}

static int
read_zone(struct buf *b, struct zone **ret_z, int64_t now_s)
{
	struct counts c;
	struct tables t;
	struct zone *z;
	int r;

	if ((r = read_header(b, &c)) != 0 || (r = buf_skip(b, block_len(&c, 4))) != 0 ||
	    (r = read_header(b, &c)) != 0)
		return r;
	if ((r = buf_get_ptr(b, (size_t)c.time * 8, &t.times)) != 0 ||
	    (r = buf_get_ptr(b, c.time, &t.indices)) != 0 ||
	    (r = buf_get_ptr(b, (size_t)c.type * 6, &t.types)) != 0 ||
	    (r = buf_skip(b, block_len(&c, 8) - c.time * 9 - c.type * 6)) != 0)
		return r;
	if ((z = calloc(1, sizeof(*z) + c.time * sizeof(z->transitions[0]))) == NULL)
		return -ENOMEM;
	if ((r = keep_transitions(z, &c, &t, now_s)) != 0 ||
	    (r = read_footer(b, &z->footer)) != 0) {
		free(z);
		return r;
	}
	*ret_z = z;
	return 0;
}

int
zone_parse(const char *name, const uint8_t *data, size_t len, int64_t now_s, struct zone **ret_zone)
{
	struct buf *b;
	struct zone *z = NULL, *small;
	int r;

	if (len > ZONE_FILE_MAX || strlen(name) > ZONE_NAME_MAX)
		return ERR_FORMAT;
	if ((b = buf_view(data, len)) == NULL)
		return -ENOMEM;
	r = read_zone(b, &z, now_s);
	buf_free(b);
	if (r != 0)
		return r;
	if ((r = str_copy(z->name, sizeof(z->name), name)) != 0) {
		free(z);
		return r;
	}
	/* Most files are mostly history. */
	small = realloc(z, sizeof(*z) + z->n * sizeof(z->transitions[0]));
	if (small != NULL)
		z = small;
	*ret_zone = z;
	return 0;
}

static int
add_file(struct zones *z, const char *path, const char *name, int64_t now_s)
{
	size_t len;
	char *data;
	int r = file_read(path, ZONE_FILE_MAX, &data, &len);

	if (r != 0)
		return r == -ENOMEM ? r : 0;
	if (z->n < ZONES_MAX)
		r = zone_parse(name, (const uint8_t *)data, len, now_s, &z->v[z->n]);
	if (r == 0 && z->n < ZONES_MAX)
		z->n++;
	free(data);
	/* Tables and lists lie among the zones; they are none. */
	return r == -ENOMEM ? r : 0;
}

static int
add_dir(struct zones *z, const char *dir, const char *prefix, unsigned depth, int64_t now_s)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (d == NULL)
		return 0;
	while (r == 0 && (e = readdir(d)) != NULL) {
		char path[512], name[ZONE_NAME_MAX + 1];

		/* posix/ holds copies, right/ counts leap seconds. */
		if (e->d_name[0] == '.' || strcmp(e->d_name, "posix") == 0 ||
		    strcmp(e->d_name, "right") == 0)
			continue;
		if (str_format(path, sizeof(path), "%s/%s", dir, e->d_name) != 0 ||
		    str_format(name, sizeof(name), "%s%s", prefix, e->d_name) != 0)
			continue;
		if (e->d_type == DT_DIR && depth < DEPTH_MAX) {
			char sub[ZONE_NAME_MAX + 2];

			if (str_format(sub, sizeof(sub), "%s/", name) == 0)
				r = add_dir(z, path, sub, depth + 1, now_s);
		} else if (e->d_type != DT_DIR) {
			r = add_file(z, path, name, now_s);
		}
	}
	(void)closedir(d);
	return r;
}

static int
zone_order(const void *a, const void *b)
{
	const struct zone *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

int
zones_load(const char *dir, int64_t now_s, struct zones **ret_zones)
{
	struct zones *z = calloc(1, sizeof(*z));
	int r;

	if (z == NULL)
		return -ENOMEM;
	/* A day of room, should the clock be set back a little. */
	if ((r = add_dir(z, dir, "", 1, now_s - DAY_S)) != 0) {
		zones_free(z);
		return r;
	}
	qsort(z->v, z->n, sizeof(struct zone *), zone_order);
	*ret_zones = z;
	return 0;
}

void
zones_free(struct zones *z)
{
	if (z == NULL)
		return;
	for (size_t i = 0; i < z->n; i++)
		free(z->v[i]);
	free(z);
}

size_t
zones_count(const struct zones *z)
{
	return z->n;
}

/* "+02:00" */
static bool
parse_fixed(const char *s, int32_t *ret_s)
{
	unsigned h, m;
	bool minus = *s == '-';

	if (strlen(s) != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return false;
	s++;
	if (!take_number(&s, 14, &h) || !take_char(&s, ':') || !take_number(&s, 59, &m) ||
	    *s != '\0')
		return false;
	*ret_s = (int32_t)(h * HOUR_S + m * 60);
	if (minus)
		*ret_s = -*ret_s;
	return true;
}

int
zones_find(const struct zones *z, const char *name, struct zone_ref *ret_ref)
{
	struct zone_ref ref = { 0 };
	size_t low = 0, high = z != NULL ? z->n : 0;

	if (strcmp(name, "UTC") == 0 || parse_fixed(name, &ref.fixed_s)) {
		*ret_ref = ref;
		return 0;
	}
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, z->v[mid]->name);

		if (order == 0) {
			*ret_ref = (struct zone_ref){ .zone = z->v[mid] };
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return ERR_NOT_FOUND;
}
