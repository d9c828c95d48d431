/*
 * What the sender of an rsync conversation gives: an index and why, then what the receiver has of the file, literal bytes and
 * references to the receiver's blocks, and a sum; further lists in between; what it did at the end. And what the receiver
 * asks for.
 *
 * Literal bytes of an uncompressed conversation are content. Compressed ones are not: they stay protocol, and are only read
 * for the hash and the ranges, when they are zstd's.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/str.h"
#include "recorder/watch_rsync_part.h"

/* Why an index is said. */
#define BASIS_FOLLOWS (1u << 11)
#define NAME_FOLLOWS (1u << 12)
#define TRANSFER (1u << 15)

#define PHASES 3u	    /* the third one's end is the end of all files */
#define BLOCK_MAX (1 << 17) /* bytes of a block */
#define SUM2_MAX 64	    /* bytes of its strong sum */
#define TYPE_MASK 0170000u
#define TYPE_REG 0100000u
#define PARTIAL 23u /* rsync's code: some files were not transferred */

/* What the receiver has of a file. */
struct blocks {
	int32_t n, len, sum_len, last_len;
};

static int step_token(struct watch *w, struct rs_side *x, struct rs_cursor *c);
static int step_packed_token(struct watch *w, struct rs_side *x, struct rs_cursor *c);

static int
read_blocks(struct rs_cursor *c, struct blocks *b)
{
	int r;

	if ((r = rs_i32(c, &b->n)) != 0 || (r = rs_i32(c, &b->len)) != 0 ||
	    (r = rs_i32(c, &b->sum_len)) != 0 || (r = rs_i32(c, &b->last_len)) != 0)
		return r;
	if (b->n < 0 || b->len < 0 || b->len > BLOCK_MAX || (b->n > 0 && b->len == 0) ||
	    b->sum_len < 0 || b->sum_len > SUM2_MAX || b->last_len < 0 || b->last_len > b->len)
		return RS_WRONG;
	return 0;
}

/* Five numbers of what was deleted. */
static int
read_deleted(struct rs_cursor *c)
{
	int32_t v;
	int r = 0;

	for (size_t i = 0; i < 5 && r == 0; i++)
		r = rs_varint(c, &v);
	return r;
}

/* What stands behind an index: why, and of what kind the basis is. */
static int
read_why(struct rs_cursor *c, uint16_t *ret_why)
{
	const uint8_t *p;
	uint8_t kind;
	size_t len;
	int r;

	if ((r = rs_u16(c, ret_why)) != 0)
		return r;
	if ((*ret_why & BASIS_FOLLOWS) != 0 && (r = rs_u8(c, &kind)) != 0)
		return r;
	if ((*ret_why & NAME_FOLLOWS) != 0 && (r = rs_vstring(c, RS_PATH_MAX, &p, &len)) != 0)
		return r;
	return 0;
}

/* A regular file that is to be transferred; *ret_entry NULL: nothing is. */
static int
find_wanted(
    struct rs *s, int32_t index, uint16_t why, struct rs_entry **ret_entry, const char **ret_name)
{
	int r;

	if ((r = rs_lists_find(&s->lists, index, ret_entry, ret_name)) != 0)
		return r;
	if ((why & TRANSFER) == 0) {
		*ret_entry = NULL;
		return 0;
	}
	return *ret_entry != NULL && ((*ret_entry)->mode & TYPE_MASK) == TYPE_REG ? 0 : RS_WRONG;
}

/* The receiver. */

/* It is done with the oldest list that it was not done with, or with a phase. */
static int
on_asked_all(struct rs *s, struct rs_side *x)
{
	if (s->lists_grow && s->lists.done < s->lists.n) {
		if (s->lists.done + 1 == s->lists.n && !s->lists.ended)
			return RS_WRONG;
		s->lists.done++;
		if (s->lists.done < s->lists.n)
			return 0;
	}
	return ++x->phase > PHASES + 2 ? RS_WRONG : 0;
}

static int
on_asked(struct rs *s, struct rs_side *x, struct rs_cursor *c, int32_t index, uint16_t why)
{
	struct rs_entry *e;
	struct blocks b;
	const char *name;
	int r;

	if ((r = find_wanted(s, index, why, &e, &name)) != 0 || e == NULL || s->o.dry_run)
		return r;
	if (x->phase >= PHASES - 1)
		return RS_WRONG;
	if ((r = read_blocks(c, &b)) != 0)
		return r;
	e->asked++;
	/* Appending it tells how much it has only, but for a file that went wrong. */
	if (!s->o.append || e->given)
		x->skip = (uint64_t)b.n * (4 + (uint32_t)b.sum_len);
	return 0;
}

int
rs_step_ask(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	struct rs_index at = x->index;
	int32_t index;
	uint16_t why;
	int r;

	if ((r = rs_index(c, &at, &index)) != 0)
		return r;
	if (index == RS_DONE)
		r = on_asked_all(s, x);
	else if (index == RS_DELETED)
		r = read_deleted(c);
	else if (index < 0 || x->phase >= PHASES)
		r = RS_WRONG;
	else if ((r = read_why(c, &why)) == 0)
		r = on_asked(s, x, c, index, why);
	if (r == 0)
		x->index = at;
	return r;
}

/* The sender. */

/* Three numbers of bytes and two of times, which a sending target tells. */
static int
step_statistics(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	int64_t v;
	int r = 0;

	(void)w;
	for (size_t i = 0; i < 5 && r == 0; i++)
		r = rs_varlong(c, 3, &v);
	if (r == 0)
		x->step = rs_step_give;
	return r;
}

/* It repeats what the receiver is done with. */
static int
on_given_all(struct rs *s, struct rs_side *x)
{
	if (s->lists_grow && s->lists.n > 0) {
		if (s->lists.done == 0)
			return RS_WRONG;
		rs_lists_drop(&s->lists);
		if (s->lists.n > 0)
			return 0;
	}
	if (++x->phase > s->receiver->phase || x->phase > PHASES + 2)
		return RS_WRONG;
	if (x->phase == PHASES && s->o.sender)
		x->step = step_statistics;
	return 0;
}

static int
remark_packing(struct watch *w)
{
	static const char *const names[] = {
		[RS_ZLIB] = "zlib", [RS_ZLIBX] = "zlibx", [RS_LZ4] = "lz4", [RS_ZSTD] = "zstd"
	};
	struct rs *s = w->state;
	char text[64];
	int r;

	if (s->told_packing || s->packing == RS_PLAIN)
		return 0;
	s->told_packing = true;
	r = str_format(
	    text, sizeof(text), "contents cross packed by %s and are kept so", names[s->packing]);
	return r != 0 ? r : watch_remark(w, "packed", text);
}

/* A file begins. */
static int
begin(struct watch *w, struct rs_entry *e, const char *name, const struct blocks *b)
{
	struct rs *s = w->state;
	struct rs_giving *g = &s->giving;

	*g = (struct rs_giving){ .entry = e,
		.name = name,
		.blocks = b->n,
		.block_len = b->len,
		.last_len = b->last_len };
	if ((g->track = watch_track_new()) == NULL)
		return -ENOMEM;
	if (s->packing == RS_ZSTD && s->unpack == NULL && (s->unpack = rs_unpack_new()) == NULL)
		return -ENOMEM;
	g->number = watch_number(w);
	if (s->o.append && !e->given) {
		g->offset = (uint64_t)b->n * (uint32_t)b->len;
		if (b->last_len > 0)
			g->offset -= (uint32_t)(b->len - b->last_len);
		g->blocks = 0;
	}
	if (g->offset > 0)
		watch_track_spoil(g->track);
	return remark_packing(w);
}

static int
on_given(struct watch *w, struct rs_side *x, struct rs_cursor *c, int32_t index, uint16_t why)
{
	struct rs *s = w->state;
	struct rs_entry *e;
	struct blocks b;
	const char *name;
	int r;

	if ((r = find_wanted(s, index, why, &e, &name)) != 0 || e == NULL || s->o.dry_run)
		return r;
	if (e->asked == 0)
		return RS_WRONG;
	if ((r = read_blocks(c, &b)) != 0)
		return r;
	e->asked--;
	x->step = s->packing == RS_PLAIN ? step_token : step_packed_token;
	return begin(w, e, name, &b);
}

static int
on_list(struct watch *w, struct rs_side *x, int32_t index)
{
	struct rs *s = w->state;

	if (!s->lists_grow || s->lists.ended || x->phase > 0)
		return RS_WRONG;
	if (index == RS_LISTS_END) {
		s->lists.ended = true;
		return 0;
	}
	return index <= RS_LIST_OF ? rs_list_begin(w, x) : RS_WRONG;
}

int
rs_step_give(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	struct rs_index at = x->index;
	int32_t index;
	uint16_t why;
	int r;

	if ((r = rs_index(c, &at, &index)) != 0)
		return r;
	if (index == RS_DONE)
		r = on_given_all(s, x);
	else if (index == RS_DELETED)
		r = read_deleted(c);
	else if (index < 0)
		r = on_list(w, x, index);
	else if (x->phase >= PHASES)
		r = RS_WRONG;
	else if ((r = read_why(c, &why)) == 0)
		r = on_given(w, x, c, index, why);
	if (r == 0)
		x->index = at;
	return r;
}

/* A block of the receiver's own: the content goes on behind it. */
static int
on_block(struct rs *s, int32_t block)
{
	struct rs_giving *g = &s->giving;

	if (block < 0 || block >= g->blocks)
		return RS_WRONG;
	g->offset +=
	    (uint32_t)(block == g->blocks - 1 && g->last_len > 0 ? g->last_len : g->block_len);
	watch_track_spoil(g->track);
	return 0;
}

/* The sum of the whole file ends it. */
static int
step_sum(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	const uint8_t *p;
	int r;

	if ((r = rs_bytes(c, s->sum_len, &p)) != 0)
		return r;
	x->step = rs_step_give;
	return rs_give_end(w, true);
}

static int
step_token(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	int32_t token;
	int r;

	if ((r = rs_i32(c, &token)) != 0)
		return r;
	if (token < 0)
		return on_block(s, -(token + 1));
	if (token == 0)
		x->step = step_sum;
	x->literal = (uint32_t)token;
	return 0;
}

/* A block by its number, or by how far it is from the one before, and how many more behind it. */
static int
read_packed_blocks(struct rs *s, struct rs_cursor *c, uint8_t flag)
{
	struct rs_giving *g = &s->giving;
	bool relative = (flag & 0x80) != 0, run = (flag & (relative ? 0x40 : 1)) != 0;
	int32_t token = g->token;
	uint16_t more = 0;
	int r;

	if (relative)
		token += flag & 0x3f;
	else if ((flag & 0xfe) != 0x20)
		return RS_WRONG;
	else if ((r = rs_i32(c, &token)) != 0)
		return r;
	if (run && (r = rs_u16(c, &more)) != 0)
		return r;
	if (token < 0 || token >= g->blocks || more >= g->blocks - token)
		return RS_WRONG;
	for (int32_t i = 0; i <= more; i++)
		if ((r = on_block(s, token + i)) != 0)
			return r;
	g->token = token + more;
	return 0;
}

static int
step_packed_token(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	uint8_t flag, low;
	int r;

	if ((r = rs_u8(c, &flag)) != 0)
		return r;
	if (flag == 0) {
		x->step = step_sum;
		return 0;
	}
	if ((flag & 0xc0) != 0x40)
		return read_packed_blocks(s, c, flag);
	if ((r = rs_u8(c, &low)) != 0)
		return r;
	x->packed = (uint64_t)(flag & 0x3f) << 8 | low;
	return 0;
}

int
rs_give_literal(struct watch *w, const uint8_t *p, size_t len)
{
	struct rs *s = w->state;
	struct rs_giving *g = &s->giving;
	int r;

	watch_track_add(g->track, g->offset, p, len);
	r = watch_content(w, s->sender->way, p, len, g->number, g->offset);
	g->offset += len;
	return r;
}

int
rs_give_packed(struct watch *w, const uint8_t *p, size_t len)
{
	struct rs *s = w->state;
	struct rs_giving *g = &s->giving;
	int r = RS_FULL;

	if (s->unpack != NULL)
		r = rs_unpack_add(s->unpack, p, len, g->track, &g->offset);
	if (r == RS_FULL)
		g->unknown = true;
	return r == RS_FULL ? 0 : r;
}

/* What is known of the file under way. */
static struct watch_file
describe(const struct rs *s)
{
	const struct rs_giving *g = &s->giving;

	return (struct watch_file){ .number = g->number,
		.op = s->o.sender ? WATCH_GET : WATCH_PUT,
		.path = (const uint8_t *)g->name,
		.path_len = g->entry->name_len,
		.has_size = true,
		.size = g->entry->size,
		.has_mode = true,
		.mode = g->entry->mode };
}

int
rs_give_end(struct watch *w, bool whole)
{
	struct rs *s = w->state;
	struct rs_giving *g = &s->giving;
	struct watch_file f = describe(s);
	int r;

	if (!whole || g->unknown)
		watch_track_spoil(g->track);
	watch_track_show(g->track, &f);
	if (g->unknown)
		f.more_ranges = true; /* than are known */
	g->entry->given = true;
	if (s->o.sender) {
		f.answered = whole;
		r = watch_tell(w, &f);
	} else {
		r = rs_results_keep(w, &s->results, &f);
	}
	rs_give_done(s);
	return r;
}

void
rs_give_done(struct rs *s)
{
	watch_track_free(s->giving.track);
	s->giving.track = NULL;
}

int
rs_give_none(struct watch *w, int32_t index)
{
	struct rs *s = w->state;
	struct watch_file f;
	struct rs_entry *e;
	const char *name;
	int r;

	if ((r = find_wanted(s, index, TRANSFER, &e, &name)) != 0)
		return r;
	if (e->asked == 0)
		return RS_WRONG;
	e->asked--;
	if (!s->o.sender)
		return 0;
	f = (struct watch_file){ .number = watch_number(w),
		.op = WATCH_GET,
		.path = (const uint8_t *)name,
		.path_len = e->name_len,
		.has_size = true,
		.size = e->size,
		.has_mode = true,
		.mode = e->mode,
		.answered = true,
		.status = PARTIAL };
	memcpy(f.text, s->trouble, sizeof(f.text));
	return watch_tell(w, &f);
}
