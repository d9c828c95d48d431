/* How an rsync conversation begins: versions, abilities, algorithms, a seed, filters; then the sides take their parts. */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "lib/str.h"
#include "recorder/watch_rsync_part.h"

#define PROTOCOL_MIN 30
#define PROTOCOL_MAX 32
#define PROTOCOL_LIMIT 40 /* the highest that anyone may announce */
#define FILTER_MAX 5120	  /* bytes of a filter rule, at most */

/* Names of algorithms; the first of equals is the name that is told. */
static const struct algorithm {
	const char *name;
	int kind;
	size_t len; /* of a sum */
} checksums[] = {
	{ "xxh128", 0, 16 },
	{ "xxh3", 1, 8 },
	{ "xxh64", 2, 8 },
	{ "xxhash", 2, 8 },
	{ "md5", 3, 16 },
	{ "md4", 4, 16 },
	{ "sha1", 5, 20 },
	{ "sha256", 6, 32 },
	{ "sha512", 7, 64 },
	{ "none", 8, 1 },
	{ NULL, 0, 0 },
};
static const struct algorithm packings[] = {
	{ "zstd", RS_ZSTD, 0 },
	{ "lz4", RS_LZ4, 0 },
	{ "zlibx", RS_ZLIBX, 0 },
	{ "zlib", RS_ZLIB, 0 },
	{ "none", RS_PLAIN, 0 },
	{ NULL, 0, 0 },
};

static const struct algorithm *
find(const struct algorithm *known, const char *name, size_t len)
{
	for (; known->name != NULL; known++)
		if (strlen(known->name) == len && strncasecmp(known->name, name, len) == 0)
			return known;
	return NULL;
}

/* The first of one list that is in the other, both separated by spaces. NULL: none. */
static const struct algorithm *
first_common(const struct algorithm *known, const char *list, const char *other)
{
	for (; *list != '\0'; list += strcspn(list, " "), list += strspn(list, " ")) {
		const struct algorithm *a = find(known, list, strcspn(list, " ")), *b;

		for (const char *p = other; a != NULL && *p != '\0';
		     p += strcspn(p, " "), p += strspn(p, " ")) {
			b = find(known, p, strcspn(p, " "));
			if (b != NULL && b->kind == a->kind)
				return a;
		}
	}
	return NULL;
}

/* What both sides come to: versions of rsync differ in whose order counts, so both must agree. */
static int
negotiate(const struct algorithm *known, const char *front, const char *back,
    const struct algorithm **ret)
{
	const struct algorithm *a = first_common(known, front, back),
			       *b = first_common(known, back, front);

	if (a == NULL || b == NULL || a->kind != b->kind)
		return RS_WRONG;
	*ret = a;
	return 0;
}

/* "xxh128", or "xxh128,md5": of contents, of lists. */
static int
choose_checksums(struct rs *s)
{
	const char *choice = s->o.checksum_choice, *comma = strchr(choice, ',');
	const struct algorithm *content, *list;
	int r;

	if (*choice == '\0' && (s->abilities & RS_CAN_NAMES) != 0) {
		if ((r = negotiate(checksums, s->front.checksums, s->back.checksums, &content)) !=
		    0)
			return r;
		list = content;
	} else if (*choice == '\0') {
		content = list = find(checksums, "md5", 3);
	} else {
		content = find(checksums, choice, strcspn(choice, ","));
		list = comma == NULL ? content : find(checksums, comma + 1, strlen(comma + 1));
	}
	if (content == NULL || list == NULL)
		return RS_WRONG;
	s->sum_len = content->len;
	s->list_sum_len = list->len;
	return 0;
}

static int
choose_packing(struct rs *s)
{
	const char *choice = s->o.compress_choice;
	const struct algorithm *a;
	int r;

	if (!s->o.compress) {
		a = find(packings, "none", 4);
	} else if (*choice != '\0') {
		a = find(packings, choice, strlen(choice));
	} else if ((s->abilities & RS_CAN_NAMES) == 0) {
		a = find(packings, "zlib", 4);
	} else if ((r = negotiate(packings, s->front.packings, s->back.packings, &a)) != 0) {
		return r;
	}
	if (a == NULL)
		return RS_WRONG;
	s->packing = (enum rs_packing)a->kind;
	if (s->o.has_level && s->o.level == 0 && (s->packing == RS_ZLIB || s->packing == RS_ZLIBX))
		s->packing = RS_PLAIN;
	return 0;
}

/* The receiver's names of files that it wants, each ended by a NUL, an empty one at the end. */
static int
step_wanted(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	uint8_t b = 1;
	int r;

	(void)w;
	for (size_t n = 0; b != 0; n++) {
		if (n == RS_PATH_MAX)
			return RS_WRONG;
		if ((r = rs_u8(c, &b)) != 0)
			return r;
	}
	if (c->off == 1)
		x->step = rs_step_ask;
	return 0;
}

/* The part of the conversation that is one side's own. */
static int
take_part(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	if (x == s->sender)
		return rs_list_begin(w, x);
	x->step = s->o.names_cross ? step_wanted : rs_step_ask;
	return 0;
}

static int
step_filter(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	int32_t len;
	int r;

	if ((r = rs_i32(c, &len)) != 0)
		return r;
	if (len == 0)
		return take_part(w, x);
	if (len < 0 || len > FILTER_MAX)
		return RS_WRONG;
	x->skip = (uint64_t)len;
	return 0;
}

/* Both are ready: all that follows is in frames. */
static int
before_parts(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;
	bool filters = x == &s->front && (s->o.sender || s->o.deletes || s->o.prunes);

	if (!s->ready)
		return RS_WRONG;
	x->framed = true;
	if (filters)
		x->step = step_filter;
	return filters ? 0 : take_part(w, x);
}

static int
step_seed(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	int32_t seed;
	int r;

	if ((r = rs_i32(c, &seed)) != 0 || (r = choose_checksums(s)) != 0 ||
	    (r = choose_packing(s)) != 0)
		return r;
	s->ready = true;
	x->before = before_parts;
	return 0;
}

static void
after_names(struct rs *s, struct rs_side *x)
{
	if (x == &s->back)
		x->step = step_seed;
	else
		x->before = before_parts;
}

/* A list of algorithms: of sums, then of compression. */
static int
step_names(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	bool sums = x->checksums[0] == '\0' && s->o.checksum_choice[0] == '\0';
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = rs_vstring(c, RS_NAMES_MAX, &p, &len)) != 0)
		return r;
	if (len == 0 || memchr(p, '\0', len) != NULL)
		return RS_WRONG;
	memcpy(sums ? x->checksums : x->packings, p, len);
	if (--x->n_names == 0)
		after_names(s, x);
	return 0;
}

/* The abilities are known: so is what each side says about algorithms. */
static void
begin_names(struct rs *s, struct rs_side *x)
{
	x->n_names = 0;
	if ((s->abilities & RS_CAN_NAMES) != 0)
		x->n_names = (s->o.checksum_choice[0] == '\0') +
			     (unsigned)(s->o.compress && s->o.compress_choice[0] == '\0');
	x->step = step_names;
	if (x->n_names == 0)
		after_names(s, x);
}

static int
step_abilities(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	int r;

	if ((r = rs_varint(c, &s->abilities)) != 0)
		return r;
	if (s->abilities < 0 || (s->o.crtimes && (s->abilities & RS_CAN_NAMES) == 0))
		return RS_WRONG;
	s->has_abilities = true;
	s->lists_grow = (s->abilities & RS_CAN_GROW) != 0;
	s->lists.next = s->lists_grow ? 1 : 0;
	begin_names(s, x);
	return 0;
}

/* The server goes on when it knows the client's version. */
static int
before_abilities(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	s->protocol = s->front.version < x->version ? s->front.version : x->version;
	if (s->protocol < PROTOCOL_MIN || s->protocol > PROTOCOL_MAX ||
	    (s->o.names_cross && s->protocol < 31))
		return RS_WRONG;
	return 0;
}

/* And the client when it knows the server's abilities. */
static int
before_names(struct watch *w, struct rs_side *x)
{
	struct rs *s = w->state;

	if (!s->has_abilities)
		return RS_WRONG;
	begin_names(s, x);
	return 0;
}

int
rs_step_version(struct watch *w, struct rs_side *x, struct rs_cursor *c)
{
	struct rs *s = w->state;
	int r;

	if ((r = rs_i32(c, &x->version)) != 0)
		return r;
	if (x->version < PROTOCOL_MIN || x->version > PROTOCOL_LIMIT)
		return RS_WRONG;
	x->before = x == &s->back ? before_abilities : before_names;
	x->step = x == &s->back ? step_abilities : step_names;
	return 0;
}
