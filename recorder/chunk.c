/* Lines in chunks, letters without case, and filters of three bytes each. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/chunk.h"

#define FILTER_HASHES 3u
#define FILTER_BITS_PER                                                                            \
	6u /* bits for each three bytes that differ, at least: 4 in 100 are taken for there that are not */
#define FILTER_LOG_MIN 9u
#define FILTER_LOG_MAX 22u
#define FILTER_SHIFT 20u /* bits from one hash of a value to the next */
#define FILTER_HEAD 5u
#define SEEN_BITS (1u << 24) /* every three bytes */

void
chunk_done(struct chunk *c)
{
	free(c->lines);
	free(c->text);
	*c = (struct chunk){ 0 };
}

void
chunk_reset(struct chunk *c)
{
	c->n_lines = c->len = 0;
}

bool
chunk_is_full(const struct chunk *c)
{
	return c->len >= CHUNK_TEXT || c->n_lines >= CHUNK_LINES_MAX;
}

static int
chunk_room(struct chunk *c, size_t lines, size_t text)
{
	if (c->room < lines) {
		size_t room = c->room == 0 ? 256 : c->room * 2;
		struct chunk_line *more;

		room = room < lines ? lines : room;
		if ((more = reallocarray(c->lines, room, sizeof(*more))) == NULL)
			return -ENOMEM;
		c->lines = more;
		c->room = room;
	}
	if (c->size < text) {
		size_t size = c->size == 0 ? 8192 : c->size * 2;
		uint8_t *more;

		size = size < text ? text : size;
		if ((more = reallocarray(c->text, size, 1)) == NULL)
			return -ENOMEM;
		c->text = more;
		c->size = size;
	}
	return 0;
}

int
chunk_add(struct chunk *c, const struct render_line *line)
{
	int r;

	if (chunk_is_full(c) || line->len >= CHUNK_TEXT_MAX - CHUNK_TEXT)
		return ERR_LIMIT;
	if ((r = chunk_room(c, c->n_lines + 1, c->len + line->len + 1)) != 0)
		return r;
	c->lines[c->n_lines++] = (struct chunk_line){ line->at_ns, line->channel, line->kind };
	memcpy(c->text + c->len, line->text, line->len);
	c->len += line->len;
	c->text[c->len++] = '\n';
	return 0;
}

int
chunk_pack(const struct chunk *c, struct buf *out)
{
	uint64_t at = 0;
	int r;

	if ((r = buf_put_u32(out, c->number)) != 0 ||
	    (r = buf_put_u32(out, (uint32_t)c->n_lines)) != 0)
		return r;
	for (size_t i = 0; r == 0 && i < c->n_lines; i++) {
		const struct chunk_line *l = &c->lines[i];
		uint64_t d =
		    l->at_ns - at; /* of two's complement; the sign goes to the lowest bit */

		if ((r = buf_put_varint(out, d << 1 ^ (uint64_t) - (int64_t)(d >> 63))) == 0)
			r = buf_put_varint(
			    out, (uint64_t)l->channel * RENDER_KINDS + (uint64_t)l->kind);
		at = l->at_ns;
	}
	return r != 0 ? r : buf_put(out, c->text, c->len);
}

static int
chunk_parse_line(struct buf *b, uint64_t *at, struct chunk_line *ret)
{
	uint64_t d, what;

	if (buf_get_varint(b, &d) != 0 || buf_get_varint(b, &what) != 0 ||
	    what / RENDER_KINDS > UINT32_MAX)
		return ERR_FORMAT;
	*at += d >> 1 ^ (uint64_t) - (int64_t)(d & 1);
	*ret = (struct chunk_line){ *at, (uint32_t)(what / RENDER_KINDS),
		(enum render_kind)(what % RENDER_KINDS) };
	return 0;
}

static size_t
count_newlines(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len, *nl;
	size_t n = 0;

	while (p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		n++;
		p = nl + 1;
	}
	return n;
}

int
chunk_parse(struct chunk *c, const uint8_t *data, size_t len)
{
	struct buf *b = buf_view(data, len);
	uint32_t n = 0;
	uint64_t at = 0;
	int r = ERR_FORMAT;

	if (b == NULL)
		return -ENOMEM;
	chunk_reset(c);
	if (buf_get_u32(b, &c->number) != 0 || buf_get_u32(b, &n) != 0 || n > CHUNK_LINES_MAX)
		goto out;
	if ((r = chunk_room(c, n, 0)) != 0)
		goto out;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = chunk_parse_line(b, &at, &c->lines[i]);
	if (r != 0)
		goto out;
	r = ERR_FORMAT;
	if (buf_len(b) > CHUNK_TEXT_MAX || count_newlines(buf_ptr(b), buf_len(b)) != n ||
	    (buf_len(b) > 0 && buf_ptr(b)[buf_len(b) - 1] != '\n'))
		goto out;
	if ((r = chunk_room(c, n, buf_len(b))) != 0)
		goto out;
	if (buf_len(b) > 0)
		memcpy(c->text, buf_ptr(b), buf_len(b));
	c->len = buf_len(b);
	c->n_lines = n;
out:
	buf_free(b);
	return r;
}

/* Ranges of code points with case, in order. step 1: each becomes itself and add; 2: each second one, from lo on, the next one. */
static const struct fold {
	uint32_t lo, hi;
	int32_t add;
	uint32_t step;
} folds[] = {
	{ 0xb5, 0xb5, 775, 1 },
	{ 0xc0, 0xd6, 32, 1 },
	{ 0xd8, 0xde, 32, 1 },
	{ 0x100, 0x12e, 1, 2 },
	{ 0x132, 0x136, 1, 2 },
	{ 0x139, 0x147, 1, 2 },
	{ 0x14a, 0x176, 1, 2 },
	{ 0x178, 0x178, -121, 1 },
	{ 0x179, 0x17d, 1, 2 },
	{ 0x17f, 0x17f, -268, 1 },
	{ 0x1cd, 0x1db, 1, 2 },
	{ 0x1de, 0x1ee, 1, 2 },
	{ 0x1f8, 0x21e, 1, 2 },
	{ 0x222, 0x232, 1, 2 },
	{ 0x386, 0x386, 38, 1 },
	{ 0x388, 0x38a, 37, 1 },
	{ 0x38c, 0x38c, 64, 1 },
	{ 0x38e, 0x38f, 63, 1 },
	{ 0x391, 0x3a1, 32, 1 },
	{ 0x3a3, 0x3ab, 32, 1 },
	{ 0x3c2, 0x3c2, 1, 1 },
	{ 0x400, 0x40f, 80, 1 },
	{ 0x410, 0x42f, 32, 1 },
	{ 0x460, 0x480, 1, 2 },
	{ 0x48a, 0x4be, 1, 2 },
	{ 0x4c1, 0x4cd, 1, 2 },
	{ 0x4d0, 0x52e, 1, 2 },
	{ 0x531, 0x556, 48, 1 },
	{ 0x1e00, 0x1e94, 1, 2 },
	{ 0x1e9e, 0x1e9e, -7615, 1 },
	{ 0x1ea0, 0x1efe, 1, 2 },
	{ 0x212a, 0x212a, -8383, 1 },
	{ 0x212b, 0x212b, -8262, 1 },
	{ 0xff21, 0xff3a, 32, 1 },
};

static uint32_t
fold_one(uint32_t cp)
{
	size_t lo = 0, hi = sizeof(folds) / sizeof(folds[0]);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct fold *f = &folds[mid];

		if (cp < f->lo)
			hi = mid;
		else if (cp > f->hi)
			lo = mid + 1;
		else
			return f->step == 2 && (cp - f->lo) % 2 != 0
				   ? cp
				   : (uint32_t)((int32_t)cp + f->add);
	}
	return cp;
}

/* A character of two or three bytes, and what it becomes. Returns the bytes taken; *ret_n those put. */
static size_t
fold_wide(uint8_t *dst, const uint8_t *p, size_t len, size_t *ret_n)
{
	size_t need = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 1;
	uint32_t cp;

	/* A newline is one, also inside of what is no character. */
	if (need == 1 || need > len || (p[1] & 0xc0) != 0x80 ||
	    (need == 3 && (p[2] & 0xc0) != 0x80)) {
		dst[0] = p[0];
		*ret_n = 1;
		return 1;
	}
	cp = need == 2
		 ? (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f)
		 : (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	cp = fold_one(cp);
	if (cp < 0x80) {
		dst[0] = (uint8_t)cp;
		*ret_n = 1;
	} else if (cp < 0x800) {
		dst[0] = (uint8_t)(0xc0 | cp >> 6);
		dst[1] = (uint8_t)(0x80 | (cp & 0x3f));
		*ret_n = 2;
	} else {
		memcpy(dst, p, need);
		dst[0] = (uint8_t)(0xe0 | cp >> 12);
		dst[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		dst[2] = (uint8_t)(0x80 | (cp & 0x3f));
		*ret_n = 3;
	}
	return need;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* ASCII, eight at a time: the high bit of each byte tells what is between A and Z. Returns how many there were. */
static size_t
fold_ascii(uint8_t *dst, const uint8_t *p, size_t len)
{
	size_t done = 0;
	uint64_t x, from_a, above_z;

	for (; len - done >= 8; done += 8) {
		memcpy(&x, p + done, 8);
		if ((x & EACH_BYTE(0x80)) != 0)
			break;
		from_a = x + EACH_BYTE(0x80 - 'A');
		above_z = x + EACH_BYTE(0x7f - 'Z');
		x |= ((from_a ^ above_z) & EACH_BYTE(0x80)) >> 2;
		memcpy(dst + done, &x, 8);
	}
	for (; done < len && p[done] < 0x80; done++)
		dst[done] = (uint8_t)(p[done] + ((uint8_t)(p[done] - 'A') < 26 ? 32 : 0));
	return done;
}

size_t
chunk_fold(uint8_t *dst, const uint8_t *text, size_t len)
{
	size_t at = 0, n = 0, one, put;

	while (at < len) {
		one = fold_ascii(dst + n, text + at, len - at);
		at += one;
		n += one;
		/* A character never grows, so that dst never passes text. */
		if (at < len) {
			at += fold_wide(dst + n, text + at, len - at, &put);
			n += put;
		}
	}
	return n;
}

static uint32_t
trigram(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint64_t
trigram_hash(uint32_t t)
{
	uint64_t h = (t + 1) * 0x9e3779b97f4a7c15ull;

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 32;
}

/* The bit of hash i, out of 1 << log. */
static uint32_t
filter_bit(uint64_t h, uint32_t i, uint32_t log)
{
	return (uint32_t)(h >> i * FILTER_SHIFT) & ((1u << log) - 1);
}

/* Lines are searched one by one: what goes over their ends is nowhere. */
static bool
trigram_is_text(uint32_t t)
{
	return (t >> 16) != '\n' && (t >> 8 & 0xff) != '\n' && (t & 0xff) != '\n';
}

static size_t
filter_mark(uint64_t *seen, const uint8_t *folded, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i + 3 <= len; i++) {
		uint32_t t = trigram(folded + i);
		uint64_t bit = 1ull << (t & 63);

		n += (seen[t >> 6] & bit) == 0;
		seen[t >> 6] |= bit;
	}
	return n;
}

int
chunk_filter_put(uint32_t number, const uint8_t *folded, size_t len, struct buf *out)
{
	uint64_t *seen = calloc(SEEN_BITS / 64, sizeof(*seen));
	uint32_t log = FILTER_LOG_MIN;
	uint8_t *bits;
	size_t n;
	int r;

	if (seen == NULL)
		return -ENOMEM;
	n = filter_mark(seen, folded, len);
	while (log < FILTER_LOG_MAX && (1u << log) < n * FILTER_BITS_PER)
		log++;
	if ((r = buf_put_u32(out, number)) == 0 && (r = buf_put_u8(out, (uint8_t)log)) == 0 &&
	    (r = buf_reserve(out, (1u << log) / 8, &bits)) == 0) {
		memset(bits, 0, (1u << log) / 8);
		for (size_t i = 0; i + 3 <= len; i++) {
			uint32_t t = trigram(folded + i);
			uint64_t h, bit = 1ull << (t & 63);

			/* Each once. */
			if ((seen[t >> 6] & bit) == 0 || !trigram_is_text(t))
				continue;
			seen[t >> 6] &= ~bit;
			h = trigram_hash(t);
			for (uint32_t k = 0; k < FILTER_HASHES; k++) {
				uint32_t b = filter_bit(h, k, log);

				bits[b >> 3] = (uint8_t)(bits[b >> 3] | 1u << (b & 7));
			}
		}
	}
	free(seen);
	return r;
}

bool
chunk_filter_may(
    const uint8_t *filter, size_t filter_len, uint32_t number, const uint8_t *folded, size_t len)
{
	const uint8_t *bits = filter + FILTER_HEAD;
	uint32_t log;

	if (len < 3 || filter_len < FILTER_HEAD || filter[4] < FILTER_LOG_MIN ||
	    filter[4] > FILTER_LOG_MAX)
		return true;
	log = filter[4];
	if (filter_len - FILTER_HEAD != (1u << log) / 8 ||
	    ((uint32_t)filter[0] << 24 | trigram(filter + 1)) != number)
		return true;
	for (size_t i = 0; i + 3 <= len; i++) {
		uint64_t h = trigram_hash(trigram(folded + i));

		for (uint32_t k = 0; k < FILTER_HASHES; k++) {
			uint32_t b = filter_bit(h, k, log);

			if ((bits[b >> 3] & 1u << (b & 7)) == 0)
				return false;
		}
	}
	return true;
}
