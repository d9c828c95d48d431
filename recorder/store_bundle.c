/*
 * Reading a bundle: the file is mapped, and every offset and length in it is compared with what is
 * there before it is followed.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/hash.h"
#include "recorder/store_bundle.h"
#include "recorder/store_bundle_part.h"

struct bundle {
	const uint8_t *map;
	size_t size;  /* bytes of the file */
	size_t index; /* offset of the index */
	uint64_t n;   /* entries */
};

static uint64_t
get_number(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

void
bundle_close(struct bundle *b)
{
	if (b == NULL)
		return;
	if (b->map != NULL)
		(void)munmap((void *)(uintptr_t)b->map, b->size);
	free(b);
}

/* What the two ends of the file say; the rest is looked at when it is asked for. */
static int
read_ends(struct bundle *b)
{
	const uint8_t *trailer = b->map + b->size - BUNDLE_TRAILER_LEN;
	uint64_t index = get_number(trailer, 8), n = get_number(trailer + 8, 8);
	size_t end = b->size - BUNDLE_TRAILER_LEN;

	if (memcmp(b->map, BUNDLE_MAGIC, BUNDLE_MAGIC_LEN) != 0)
		return ERR_FORMAT;
	if (get_number(b->map + BUNDLE_MAGIC_LEN, 4) != BUNDLE_VERSION)
		return ERR_VERSION;
	if (index < BUNDLE_HEAD_LEN || index > end || (end - index) % 8 != 0 ||
	    (end - index) / 8 != n)
		return ERR_FORMAT;
	b->index = (size_t)index;
	b->n = n;
	return 0;
}

static int
map_file(struct bundle *b, int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)(BUNDLE_HEAD_LEN + BUNDLE_TRAILER_LEN) ||
	    (uint64_t)st.st_size > SIZE_MAX / 2)
		return ERR_FORMAT;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	b->map = p;
	b->size = (size_t)st.st_size;
	return read_ends(b);
}

int
bundle_open(const char *path, struct bundle **ret_bundle)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int fd, r;

	if (b == NULL)
		return -ENOMEM;
	/* A FIFO must not hold us up; what is no file is refused by map_file(). */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	r = fd < 0 ? -errno : map_file(b, fd);
	fd_close(&fd);
	if (r != 0) {
		bundle_close(b);
		return r;
	}
	*ret_bundle = b;
	return 0;
}

uint64_t
bundle_n(const struct bundle *b)
{
	return b->n;
}

int
bundle_at(const struct bundle *b, uint64_t at, struct bundle_entry *ret_entry)
{
	const uint8_t *p;
	uint64_t off;
	size_t room, key_len, len;

	if (at >= b->n)
		return ERR_NOT_FOUND;
	off = get_number(b->map + b->index + (size_t)at * 8, 8);
	if (off < BUNDLE_HEAD_LEN || off > b->index || b->index - off < BUNDLE_ENTRY_LEN)
		return ERR_FORMAT;
	p = b->map + off;
	room = b->index - (size_t)off - BUNDLE_ENTRY_LEN;
	key_len = (size_t)get_number(p + 1, 2);
	len = (size_t)get_number(p + 3, 4);
	if (key_len == 0 || key_len > STORE_KEY_MAX || len > BUNDLE_VALUE_MAX || key_len > room ||
	    len > room - key_len)
		return ERR_FORMAT;
	*ret_entry = (struct bundle_entry){ .db = p[0],
		.key = p + BUNDLE_ENTRY_LEN,
		.key_len = key_len,
		.data = p + BUNDLE_ENTRY_LEN + key_len,
		.len = len };
	return 0;
}

int
bundle_compare(const struct bundle_entry *a, const struct bundle_entry *b)
{
	size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int c;

	if (a->db != b->db)
		return a->db < b->db ? -1 : 1;
	if ((c = n > 0 ? memcmp(a->key, b->key, n) : 0) != 0 || a->key_len == b->key_len)
		return c;
	return a->key_len < b->key_len ? -1 : 1;
}

int
bundle_find(const struct bundle *b, unsigned db, const void *key, size_t key_len, uint64_t *ret_at)
{
	const struct bundle_entry want = { .db = db, .key = key, .key_len = key_len };
	uint64_t low = 0, high = b->n;
	struct bundle_entry e;
	int r;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if ((r = bundle_at(b, mid, &e)) != 0)
			return r;
		if (bundle_compare(&e, &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_at = low;
	return 0;
}

static int
check_entries(const struct bundle *b)
{
	struct bundle_entry e, last = { .db = 0 };
	size_t end = BUNDLE_HEAD_LEN;
	int r;

	for (uint64_t i = 0; i < b->n; i++) {
		if ((r = bundle_at(b, i, &e)) != 0)
			return r;
		if (e.key != b->map + end + BUNDLE_ENTRY_LEN ||
		    (i > 0 && bundle_compare(&last, &e) >= 0))
			return ERR_FORMAT;
		end = (size_t)(e.data - b->map) + e.len;
		last = e;
	}
	return end == b->index ? 0 : ERR_FORMAT;
}

int
bundle_check(const struct bundle *b)
{
	uint8_t hash[HASH_LEN];
	int r = check_entries(b);

	hash_sha256(b->map, b->size - HASH_LEN, hash);
	/* Which of both is wrong: damage may have hit an offset. */
	if (memcmp(hash, b->map + b->size - HASH_LEN, HASH_LEN) != 0)
		return ERR_CHAIN;
	return r;
}
