/*
 * The file: 16 bytes of head, then one record for each session that was put:
 *   u32 RECORD_MAGIC, sid, u32 n, u64 length of all n values; n times u8 kind, u32 number, u32 length; the values' envelopes
 * A later record of a session counts. Only one process writes, and only at the end.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/text_cache.h"
#include "lib/file.h"

#define FILE_HEAD "bastion-text-01\n"
#define FILE_HEAD_LEN 16u
#define RECORD_MAGIC 0x62747331u
#define RECORD_HEAD (4u + REC_SID_LEN + 4u + 8u)
#define VALUE_HEAD 9u
#define VALUES_MAX (1u << 20) /* of one session */

struct place {
	uint8_t sid[REC_SID_LEN];
	uint64_t off; /* of its table */
	uint32_t n;
};

/* One value of the session that was found. */
struct entry {
	uint8_t kind;
	uint32_t number, len;
	uint64_t off;
};

struct text_cache {
	int fd;
	bool writes;
	uint64_t end;	      /* of what is whole */
	struct place *places; /* by sid; owned */
	size_t n, room;
	struct entry *entries; /* of the session that was found; owned */
	uint32_t n_entries;
	struct derived_value *value;
	struct buf *in; /* scratch */

	/* the session that is put */
	struct buf *table, *values;
	uint32_t n_values, n_chunks;
	uint64_t text_bytes;
	bool too_large;
};

void
text_cache_close(struct text_cache *c)
{
	if (c == NULL)
		return;
	fd_close(&c->fd);
	free(c->places);
	free(c->entries);
	derived_value_free(c->value);
	buf_free(c->in);
	buf_free(c->table);
	buf_free(c->values);
	free(c);
}

static struct text_cache *
cache_new(void)
{
	struct text_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fd = -1;
	c->value = derived_value_new(true);
	c->in = buf_new(TEXT_CACHE_SESSION_MAX);
	c->table = buf_new(RECORD_HEAD + VALUES_MAX * VALUE_HEAD);
	c->values = buf_new(TEXT_CACHE_SESSION_MAX);
	if (c->value != NULL && c->in != NULL && c->table != NULL && c->values != NULL)
		return c;
	text_cache_close(c);
	return NULL;
}

/* len bytes at off, into c->in. 0; ERR_NOT_FOUND the file ends before; -ENOMEM; -errno. */
static int
cache_read(struct text_cache *c, uint64_t off, size_t len)
{
	uint8_t *p;
	int r;

	buf_reset(c->in);
	if ((r = buf_reserve(c->in, len, &p)) != 0)
		return r;
	while (len > 0) {
		ssize_t n = pread(c->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? ERR_NOT_FOUND : -errno;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
place_compare(const void *a, const void *b)
{
	return memcmp(((const struct place *)a)->sid, ((const struct place *)b)->sid, REC_SID_LEN);
}

/* The first place whose session is not before sid. */
static size_t
place_at(const struct text_cache *c, const uint8_t sid[REC_SID_LEN])
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (memcmp(c->places[mid].sid, sid, REC_SID_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Append; sorted later. */
static int
place_add(struct text_cache *c, const struct place *p)
{
	if (c->n == c->room) {
		size_t room = c->room == 0 ? 256 : c->room * 2;
		struct place *more = reallocarray(c->places, room, sizeof(struct place));

		if (more == NULL)
			return -ENOMEM;
		c->places = more;
		c->room = room;
	}
	c->places[c->n++] = *p;
	return 0;
}

/* The record at c->end. 0; ERR_NOT_FOUND, ERR_FORMAT there is no whole one; -ENOMEM; -errno. */
static int
load_record(struct text_cache *c, uint64_t size)
{
	struct place p = { .off = c->end + RECORD_HEAD };
	uint32_t magic;
	uint64_t len;
	int r;

	if ((r = cache_read(c, c->end, RECORD_HEAD)) != 0 ||
	    (r = buf_get_u32(c->in, &magic)) != 0 ||
	    (r = buf_get(c->in, p.sid, REC_SID_LEN)) != 0 || (r = buf_get_u32(c->in, &p.n)) != 0 ||
	    (r = buf_get_u64(c->in, &len)) != 0)
		return r;
	if (magic != RECORD_MAGIC || p.n == 0 || p.n > VALUES_MAX || len > TEXT_CACHE_SESSION_MAX)
		return ERR_FORMAT;
	if (p.off + p.n * VALUE_HEAD + len > size)
		return ERR_NOT_FOUND;
	c->end = p.off + p.n * VALUE_HEAD + len;
	return place_add(c, &p);
}

/* In order of their sessions, of each the one that was put last. */
static void
places_sort(struct text_cache *c)
{
	size_t n = 0;

	/* What was put later has the greater offset, and qsort() keeps no order. */
	if (c->n > 1)
		qsort(c->places, c->n, sizeof(struct place), place_compare);
	for (size_t i = 0; i < c->n; i++) {
		if (n > 0 && place_compare(&c->places[n - 1], &c->places[i]) == 0) {
			if (c->places[i].off > c->places[n - 1].off)
				c->places[n - 1] = c->places[i];
			continue;
		}
		c->places[n++] = c->places[i];
	}
	c->n = n;
}

static int
cache_load(struct text_cache *c)
{
	struct stat st;
	int r;

	if (fstat(c->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ERR_FORMAT;
	if (st.st_size == 0)
		return c->writes ? file_write_all(c->fd, FILE_HEAD, FILE_HEAD_LEN) : ERR_FORMAT;
	if ((r = cache_read(c, 0, FILE_HEAD_LEN)) != 0 ||
	    memcmp(buf_ptr(c->in), FILE_HEAD, FILE_HEAD_LEN) != 0)
		return r == 0 || r == ERR_NOT_FOUND ? ERR_FORMAT : r;
	while ((r = load_record(c, (uint64_t)st.st_size)) == 0)
		;
	if (r != ERR_NOT_FOUND && r != ERR_FORMAT)
		return r;
	places_sort(c);
	if (c->writes && c->end < (uint64_t)st.st_size && ftruncate(c->fd, (off_t)c->end) != 0)
		return -errno;
	return 0;
}

int
text_cache_open(const char *file, struct text_cache **ret_cache)
{
	struct text_cache *c = cache_new();
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->end = FILE_HEAD_LEN;
	c->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (c->fd < 0) {
		r = -errno;
		text_cache_close(c);
		return r;
	}
	c->writes = flock(c->fd, LOCK_EX | LOCK_NB) == 0;
	if ((r = cache_load(c)) != 0) {
		text_cache_close(c);
		return r;
	}
	*ret_cache = c;
	return 0;
}

static int
load_table(struct text_cache *c, const struct place *p)
{
	uint64_t off = p->off + p->n * VALUE_HEAD;
	int r;

	c->n_entries = 0;
	free(c->entries);
	if ((c->entries = calloc(p->n, sizeof(struct entry))) == NULL)
		return -ENOMEM;
	if ((r = cache_read(c, p->off, p->n * VALUE_HEAD)) != 0)
		return r;
	for (uint32_t i = 0; i < p->n; i++) {
		struct entry *e = &c->entries[i];

		if ((r = buf_get_u8(c->in, &e->kind)) != 0 ||
		    (r = buf_get_u32(c->in, &e->number)) != 0 ||
		    (r = buf_get_u32(c->in, &e->len)) != 0)
			return r;
		e->off = off;
		off += e->len;
	}
	c->n_entries = p->n;
	return off > c->end ? ERR_FORMAT : 0;
}

/* Open a value of the session that was found. 0; ERR_NOT_FOUND; ERR_FORMAT; -ENOMEM; -errno. */
static int
cache_value(
    struct text_cache *c, const struct derived_key *key, enum sderived_kind kind, uint32_t number)
{
	/* Chunks and filters follow each other, at most two to a number, and the info is the last one. */
	uint32_t i = kind == SDERIVED_INFO ? c->n_entries - 1 : number;
	int r;

	for (; i < c->n_entries; i++) {
		const struct entry *e = &c->entries[i];

		if (e->kind != kind || e->number != number)
			continue;
		if ((r = cache_read(c, e->off, e->len)) != 0)
			return r;
		return derived_value_open(
		    c->value, key, kind, number, buf_ptr(c->in), buf_len(c->in));
	}
	return ERR_NOT_FOUND;
}

int
text_cache_find(
    struct text_cache *c, const struct derived_key *key, uint64_t n_events, uint32_t *ret_chunks)
{
	size_t at = place_at(c, key->sid);
	uint64_t n = 0;
	int r;

	c->n_entries = 0;
	if (at == c->n || memcmp(c->places[at].sid, key->sid, REC_SID_LEN) != 0)
		return ERR_NOT_FOUND;
	if ((r = load_table(c, &c->places[at])) == 0 &&
	    (r = cache_value(c, key, SDERIVED_INFO, 0)) == 0 &&
	    (buf_get_u64(derived_value_buf(c->value), &n) != 0 || n != n_events ||
		buf_get_u32(derived_value_buf(c->value), ret_chunks) != 0))
		r = ERR_NOT_FOUND;
	return r == 0 || r == -ENOMEM ? r : ERR_NOT_FOUND;
}

bool
text_cache_may(struct text_cache *c, const struct derived_key *key, uint32_t i,
    const uint8_t *folded, size_t len)
{
	struct buf *b = derived_value_buf(c->value);

	if (len < 3 || cache_value(c, key, SDERIVED_FILTER, i) != 0)
		return true;
	return chunk_filter_may(buf_ptr(b), buf_len(b), i, folded, len);
}

int
text_cache_chunk(
    struct text_cache *c, const struct derived_key *key, uint32_t i, struct chunk *chunk)
{
	int r = cache_value(c, key, SDERIVED_CHUNK, i);

	if (r == 0)
		r = derived_value_read_chunk(c->value, i, chunk);
	return r == 0 || r == -ENOMEM ? r : ERR_FORMAT;
}

void
text_cache_begin(struct text_cache *c)
{
	buf_reset(c->table);
	buf_reset(c->values);
	c->n_values = c->n_chunks = 0;
	c->text_bytes = 0;
	c->too_large = !c->writes;
}

/* The value that c->value has, behind those that wait. */
static int
put_value(
    struct text_cache *c, const struct derived_key *key, enum sderived_kind kind, uint32_t number)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = derived_value_wrap(c->value, key, &p, &len)) != 0)
		return r;
	if (c->n_values == VALUES_MAX)
		return ERR_LIMIT;
	if ((r = buf_put_u8(c->table, (uint8_t)kind)) != 0 ||
	    (r = buf_put_u32(c->table, number)) != 0 ||
	    (r = buf_put_u32(c->table, (uint32_t)len)) != 0 ||
	    (r = buf_put(c->values, p, len)) != 0)
		return r;
	c->n_values++;
	return 0;
}

static int
put_chunk(struct text_cache *c, const struct derived_key *key, const struct chunk *chunk)
{
	int r;

	if ((r = derived_value_chunk(c->value, chunk)) != 0 ||
	    (r = put_value(c, key, SDERIVED_CHUNK, chunk->number)) != 0 ||
	    chunk->len < DERIVED_FILTER_FROM)
		return r;
	if ((r = derived_value_filter(c->value, chunk)) != 0)
		return r;
	return put_value(c, key, SDERIVED_FILTER, chunk->number);
}

int
text_cache_put(struct text_cache *c, const struct derived_key *key, const struct chunk *chunk)
{
	int r = c->too_large ? ERR_LIMIT : put_chunk(c, key, chunk);

	c->n_chunks++;
	c->text_bytes += chunk->len;
	if (r != ERR_LIMIT)
		return r;
	c->too_large = true;
	return 0;
}

static int
put_info(struct text_cache *c, const struct derived_key *key, uint64_t n_events)
{
	struct buf *b = derived_value_buf(c->value);
	int r;

	if ((r = derived_value_begin(c->value, SDERIVED_INFO, 0)) != 0 ||
	    (r = buf_put_u64(b, n_events)) != 0 || (r = buf_put_u32(b, c->n_chunks)) != 0 ||
	    (r = buf_put_u32(b, 0)) != 0 || (r = buf_put_u64(b, c->text_bytes)) != 0)
		return r;
	return put_value(c, key, SDERIVED_INFO, 0);
}

/* Head, table and values at the end of the file. What fails in its middle is cut off by who opens it next. */
static int
write_record(struct text_cache *c, const uint8_t sid[REC_SID_LEN])
{
	struct buf *head = buf_new(RECORD_HEAD);
	int r = -ENOMEM;

	if (head == NULL)
		return r;
	if ((r = buf_put_u32(head, RECORD_MAGIC)) == 0 &&
	    (r = buf_put(head, sid, REC_SID_LEN)) == 0 &&
	    (r = buf_put_u32(head, c->n_values)) == 0 &&
	    (r = buf_put_u64(head, buf_len(c->values))) == 0)
		r = lseek(c->fd, (off_t)c->end, SEEK_SET) < 0 ? -errno : 0;
	if (r == 0 && (r = file_write_all(c->fd, buf_ptr(head), buf_len(head))) == 0 &&
	    (r = file_write_all(c->fd, buf_ptr(c->table), buf_len(c->table))) == 0)
		r = file_write_all(c->fd, buf_ptr(c->values), buf_len(c->values));
	if (r == 0)
		c->end += RECORD_HEAD + buf_len(c->table) + buf_len(c->values);
	buf_free(head);
	return r;
}

int
text_cache_end(struct text_cache *c, const struct derived_key *key, uint64_t n_events)
{
	int r = c->too_large ? ERR_LIMIT : put_info(c, key, n_events);

	if (r == 0)
		r = write_record(c, key->sid);
	/* A disk that is full stays so: no more is put. */
	if (r != 0 && r != -ENOMEM && r != ERR_LIMIT)
		c->writes = false;
	buf_reset(c->table);
	buf_reset(c->values);
	return r == -ENOMEM ? r : 0;
}
