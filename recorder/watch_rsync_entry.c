/* rsync's file lists as they cross: entries that leave out what they share with the one before, ids with names at the end. */
#include "config.h"

#include <string.h>

#include "recorder/watch_rsync_part.h"

/* Flags of an entry. */
#define SAME_MODE (1u << 1)
#define MORE_FLAGS (1u << 2)
#define SAME_UID (1u << 3)
#define SAME_GID (1u << 4)
#define SAME_NAME (1u << 5)
#define LONG_NAME (1u << 6)
#define SAME_TIME (1u << 7)
#define SAME_MAJOR (1u << 8)
#define HARD_LINKED (1u << 9)
#define USER_NAME (1u << 10)
#define GROUP_NAME (1u << 11)
#define HARD_LINK_FIRST (1u << 12)
#define ERROR_ENDS (1u << 12)
#define NANOSECONDS (1u << 13)
#define SAME_ATIME (1u << 14)
#define CRTIME_IS_MTIME (1u << 17)

#define TYPE_MASK 0170000u
#define TYPE_DIR 0040000u
#define TYPE_REG 0100000u
#define TYPE_LINK 0120000u
#define TYPE_CHAR 0020000u
#define TYPE_BLOCK 0060000u
#define TYPE_FIFO 0010000u
#define TYPE_SOCKET 0140000u

/* An entry as it is being read. */
struct incoming {
	uint32_t flags;
	char name[RS_PATH_MAX];
	size_t name_len;
	int64_t size;
	uint32_t mode;
};

static bool
is_device(uint32_t mode)
{
	return (mode & TYPE_MASK) == TYPE_CHAR || (mode & TYPE_MASK) == TYPE_BLOCK;
}

static bool
is_special(uint32_t mode)
{
	return (mode & TYPE_MASK) == TYPE_FIFO || (mode & TYPE_MASK) == TYPE_SOCKET;
}

/* Components are neither empty nor dots; one slash may lead, "/." may end it. */
static bool
is_name(const char *p, size_t len)
{
	if (len == 0 || memchr(p, '\0', len) != NULL)
		return false;
	if (p[0] == '/')
		p++, len--;
	while (len > 0) {
		const char *slash = memchr(p, '/', len);
		size_t n = slash != NULL ? (size_t)(slash - p) : len;

		if (n == 0 || (n == 2 && p[0] == '.' && p[1] == '.') ||
		    (n == 1 && p[0] == '.' && slash != NULL))
			return false;
		p += slash != NULL ? n + 1 : n;
		len -= slash != NULL ? n + 1 : n;
		if (slash != NULL && len == 0)
			return false;
	}
	return true;
}

static int
read_name(const struct rs *s, struct rs_cursor *c, struct incoming *e)
{
	const uint8_t *p;
	uint8_t same = 0, b;
	int32_t len;
	int r;

	if ((e->flags & SAME_NAME) != 0 && (r = rs_u8(c, &same)) != 0)
		return r;
	if ((e->flags & LONG_NAME) != 0) {
		if ((r = rs_varint(c, &len)) != 0)
			return r;
	} else {
		if ((r = rs_u8(c, &b)) != 0)
			return r;
		len = b;
	}
	if (same > s->last_len || len < 0 || (size_t)len + same >= RS_PATH_MAX)
		return RS_WRONG;
	if ((r = rs_bytes(c, (size_t)len, &p)) != 0)
		return r;
	memcpy(e->name, s->last, same);
	memcpy(e->name + same, p, (size_t)len);
	e->name_len = (size_t)len + same;
	return is_name(e->name, e->name_len) ? 0 : RS_WRONG;
}

/*
 * A further hard link: what the first one had counts for it. *ret_rest: whether the rest of the entry follows.
 */
static int
read_link(struct rs *s, struct rs_cursor *c, struct incoming *e, bool *ret_rest)
{
	const struct rs_list *l = s->lists.list[s->lists.n - 1];
	int32_t first;
	int r;

	*ret_rest = true;
	if ((e->flags & (HARD_LINKED | HARD_LINK_FIRST)) != HARD_LINKED)
		return 0;
	if ((r = rs_varint(c, &first)) != 0)
		return r;
	if (first < 0 || first >= l->start + (int32_t)l->n)
		return RS_WRONG;
	if (first < l->start)
		return 0;
	*ret_rest = false;
	e->size = (int64_t)l->entries[first - l->start].size;
	e->mode = l->entries[first - l->start].mode;
	return 0;
}

/* Times, and the mode between them. */
static int
read_times(const struct rs *s, struct rs_cursor *c, struct incoming *e)
{
	int64_t time;
	int32_t v;
	int r;

	if ((e->flags & SAME_TIME) == 0 && (r = rs_varlong(c, 4, &time)) != 0)
		return r;
	if ((e->flags & NANOSECONDS) != 0 && (r = rs_varint(c, &v)) != 0)
		return r;
	if (s->o.crtimes && (e->flags & CRTIME_IS_MTIME) == 0 && (r = rs_varlong(c, 4, &time)) != 0)
		return r;
	if ((e->flags & SAME_MODE) == 0) {
		if ((r = rs_i32(c, &v)) != 0)
			return r;
		e->mode = (uint32_t)v;
	}
	if (s->o.atimes && (e->mode & TYPE_MASK) != TYPE_DIR && (e->flags & SAME_ATIME) == 0)
		return rs_varlong(c, 4, &time);
	return 0;
}

/* An owner or group, and perhaps its name. */
static int
read_id(struct rs_cursor *c, bool named)
{
	const uint8_t *p;
	uint8_t len;
	int32_t id;
	int r;

	if ((r = rs_varint(c, &id)) != 0 || !named)
		return r;
	if ((r = rs_u8(c, &len)) != 0)
		return r;
	return rs_bytes(c, len, &p);
}

static int
read_device(const struct rs *s, struct rs_cursor *c, struct incoming *e)
{
	int32_t v;
	int r;

	if (!(s->o.devices && is_device(e->mode)) &&
	    !(s->o.specials && is_special(e->mode) && s->protocol < 31))
		return 0;
	if ((e->flags & SAME_MAJOR) == 0 && (r = rs_varint(c, &v)) != 0)
		return r;
	e->size = 0;
	return rs_varint(c, &v);
}

/* What a symbolic link points to, and the sum of a file. */
static int
read_tail(const struct rs *s, struct rs_cursor *c, const struct incoming *e)
{
	const uint8_t *p;
	int32_t len;
	int r;

	if (s->o.links && (e->mode & TYPE_MASK) == TYPE_LINK) {
		if ((r = rs_varint(c, &len)) != 0)
			return r;
		if (len < 0 || (size_t)len >= RS_PATH_MAX)
			return RS_WRONG;
		if ((r = rs_bytes(c, (size_t)len, &p)) != 0)
			return r;
	}
	if (s->o.checksum && (e->mode & TYPE_MASK) == TYPE_REG)
		return rs_bytes(c, s->list_sum_len, &p);
	return 0;
}

static bool
is_mode(uint32_t mode)
{
	uint32_t type = mode & TYPE_MASK;

	return type == TYPE_REG || type == TYPE_DIR || type == TYPE_LINK || is_device(mode) ||
	       is_special(mode);
}

static int
read_rest(const struct rs *s, struct rs_cursor *c, struct incoming *e)
{
	int r;

	if ((r = rs_varlong(c, 3, &e->size)) != 0 || (r = read_times(s, c, e)) != 0)
		return r;
	if (!is_mode(e->mode) || e->size < 0)
		return RS_WRONG;
	if (s->o.uid && (e->flags & SAME_UID) == 0 &&
	    (r = read_id(c, (e->flags & USER_NAME) != 0)) != 0)
		return r;
	if (s->o.gid && (e->flags & SAME_GID) == 0 &&
	    (r = read_id(c, (e->flags & GROUP_NAME) != 0)) != 0)
		return r;
	if ((r = read_device(s, c, e)) != 0)
		return r;
	return read_tail(s, c, e);
}

static int
read_entry(struct rs *s, struct rs_cursor *c, uint32_t flags)
{
	struct incoming e = { .flags = flags, .mode = s->mode };
	bool rest;
	int r;

	if ((r = read_name(s, c, &e)) != 0 || (r = read_link(s, c, &e, &rest)) != 0)
		return r;
	if (rest && (r = read_rest(s, c, &e)) != 0)
		return r;
	if ((r = rs_lists_add(&s->lists, e.name, e.name_len, (uint64_t)e.size, e.mode)) != 0)
		return r;
	memcpy(s->last, e.name, e.name_len);
	s->last_len = e.name_len;
	s->mode = e.mode;
	return 0;
}

/* "1000 alice", ... "0": owners, then groups, when lists do not grow and ids have names. */
static int
step_ids(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	const uint8_t *p;
	uint8_t len;
	int32_t id;
	int r;

	if ((r = rs_varint(c, &id)) != 0)
		return r;
	if (id != 0 || (s->abilities & RS_CAN_ID0) != 0) {
		if ((r = rs_u8(c, &len)) != 0 || (r = rs_bytes(c, len, &p)) != 0)
			return r;
	}
	if (id == 0 && --s->n_ids == 0)
		x->step = rs_step_give;
	return 0;
}

static int
end_list(struct rs *s, struct rs_side *x)
{
	rs_lists_sort(&s->lists);
	x->step = rs_step_give;
	if (s->lists_grow)
		return 0;
	s->lists.ended = true;
	if (!s->o.numeric_ids)
		s->n_ids = (unsigned)s->o.uid + (unsigned)s->o.gid;
	if (s->n_ids > 0)
		x->step = step_ids;
	return 0;
}

/* Flags in one or two bytes. *ret_end: the list ends here. */
static int
read_old_flags(const struct rs *s, struct rs_cursor *c, uint32_t *ret_flags, bool *ret_end)
{
	int32_t error;
	uint8_t low, high = 0;
	int r;

	if ((r = rs_u8(c, &low)) != 0)
		return r;
	if ((low & MORE_FLAGS) != 0 && (r = rs_u8(c, &high)) != 0)
		return r;
	*ret_flags = (uint32_t)low | (uint32_t)high << 8;
	*ret_end = *ret_flags == 0;
	if (*ret_flags != (MORE_FLAGS | ERROR_ENDS))
		return 0;
	if (s->protocol < 31 && (s->abilities & RS_CAN_SAFE) == 0)
		return RS_WRONG;
	*ret_end = true;
	return rs_varint(c, &error);
}

static int
read_flags(const struct rs *s, struct rs_cursor *c, uint32_t *ret_flags, bool *ret_end)
{
	int32_t v, error;
	int r;

	if ((s->abilities & RS_CAN_NAMES) == 0)
		return read_old_flags(s, c, ret_flags, ret_end);
	if ((r = rs_varint(c, &v)) != 0)
		return r;
	*ret_flags = (uint32_t)v;
	*ret_end = v == 0;
	return v == 0 ? rs_varint(c, &error) : 0;
}

static int
step_entry(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	uint32_t flags;
	bool end;
	int r;

	if ((r = read_flags(s, c, &flags, &end)) != 0)
		return r;
	return end ? end_list(s, x) : read_entry(s, c, flags);
}

int
rs_list_begin(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	x->step = step_entry;
	return rs_lists_begin(&s->lists);
}
