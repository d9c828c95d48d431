/* The file of halves: made ahead, read at its place, overwritten at its place. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/str.h"
#include "recorder/slots.h"

#define MAGIC "bastiond-keys-1\n"
#define MAGIC_LEN 16u
#define MAGIC_KIND 14u /* bytes of it before the version */

struct slots {
	int fd;
	bool write;
	int failed;    /* a sync did: what is on disk is not known any more */
	uint64_t n;    /* slots in the file */
	uint64_t next; /* the first that was not given out */
};

static const uint8_t no_half[CRYPT_KEY_LEN];

static int
slots_path(const char *dir, char *dst, size_t size)
{
	return str_format(dst, size, "%s/" SLOTS_NAME, dir);
}

int
slots_create(const char *dir, const uint8_t uuid[SLOTS_UUID_LEN])
{
	uint8_t head[SLOTS_HEAD] = { 0 };
	char path[PATH_MAX];
	int r;

	memcpy(head, MAGIC, MAGIC_LEN);
	memcpy(head + MAGIC_LEN, uuid, SLOTS_UUID_LEN);
	if ((r = slots_path(dir, path, sizeof(path))) != 0)
		return r;
	return file_create(path, 0600, head, sizeof(head));
}

/* All of it, at its place. */
static int
read_at(int fd, uint8_t *dst, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, dst + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return ERR_NOT_FOUND;
		done += (size_t)n;
	}
	return 0;
}

static int
write_at(int fd, const uint8_t *src, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, src + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static int
slots_check(struct slots *s, const uint8_t uuid[SLOTS_UUID_LEN])
{
	uint8_t head[SLOTS_HEAD];
	struct stat st;
	int r;

	if (fstat(s->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ERR_FORMAT;
	if ((r = read_at(s->fd, head, sizeof(head), 0)) != 0)
		return r == ERR_NOT_FOUND ? ERR_FORMAT : r;
	if (memcmp(head, MAGIC, MAGIC_KIND) != 0)
		return ERR_FORMAT;
	if (memcmp(head, MAGIC, MAGIC_LEN) != 0)
		return ERR_VERSION;
	if (memcmp(head + MAGIC_LEN, uuid, SLOTS_UUID_LEN) != 0)
		return ERR_SIGNATURE;
	s->n = ((uint64_t)st.st_size - SLOTS_HEAD) / CRYPT_KEY_LEN;
	s->next = s->n;
	return 0;
}

static int
slots_open(
    const char *dir, const uint8_t uuid[SLOTS_UUID_LEN], bool write, struct slots **ret_slots)
{
	struct slots *s = calloc(1, sizeof(*s));
	char path[PATH_MAX];
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->fd = -1;
	s->write = write;
	if ((r = slots_path(dir, path, sizeof(path))) != 0)
		goto fail;
	s->fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	r = s->fd < 0 ? -errno : slots_check(s, uuid);
	if (r != 0)
		goto fail;
	*ret_slots = s;
	return 0;
fail:
	slots_close(s);
	return r;
}

int
slots_open_write(const char *dir, const uint8_t uuid[SLOTS_UUID_LEN], struct slots **ret_slots)
{
	return slots_open(dir, uuid, true, ret_slots);
}

int
slots_open_read(const char *dir, const uint8_t uuid[SLOTS_UUID_LEN], struct slots **ret_slots)
{
	return slots_open(dir, uuid, false, ret_slots);
}

void
slots_close(struct slots *s)
{
	if (s == NULL)
		return;
	fd_close(&s->fd);
	free(s);
}

static uint64_t
slot_at(uint64_t slot)
{
	return SLOTS_HEAD + slot * CRYPT_KEY_LEN;
}

/* A sync that failed is never tried again: the kernel may have dropped what it could not write. */
static int
slots_sync(struct slots *s)
{
	if (s->failed == 0 && fdatasync(s->fd) != 0)
		s->failed = -errno;
	return s->failed;
}

int
slots_failed(const struct slots *s)
{
	return s->failed;
}

/* Another batch at the end of the file, on disk before anything depends on it. */
static int
slots_extend(struct slots *s)
{
	uint8_t batch[SLOTS_BATCH * CRYPT_KEY_LEN];
	int r;

	randombytes_buf(batch, sizeof(batch));
	r = write_at(s->fd, batch, sizeof(batch), slot_at(s->n));
	sodium_memzero(batch, sizeof(batch));
	if (r == 0 && (r = slots_sync(s)) == 0)
		s->n += SLOTS_BATCH;
	return r;
}

int
slots_take(struct slots *s, uint64_t *ret_slot, uint8_t ret_half[CRYPT_KEY_LEN])
{
	int r;

	if (!s->write || s->failed != 0)
		return s->write ? s->failed : ERR_ORDER;
	if (s->next == s->n && (r = slots_extend(s)) != 0)
		return r;
	if ((r = read_at(s->fd, ret_half, CRYPT_KEY_LEN, slot_at(s->next))) != 0)
		return r;
	*ret_slot = s->next++;
	return 0;
}

int
slots_read(struct slots *s, uint64_t slot, uint8_t ret_half[CRYPT_KEY_LEN])
{
	uint8_t half[CRYPT_KEY_LEN];
	int r;

	if (slot > (uint64_t)INT64_MAX / CRYPT_KEY_LEN - SLOTS_HEAD)
		return ERR_NOT_FOUND;
	if ((r = read_at(s->fd, half, sizeof(half), slot_at(slot))) != 0)
		return r;
	if (sodium_memcmp(half, no_half, sizeof(half)) == 0)
		return ERR_ERASED;
	memcpy(ret_half, half, sizeof(half));
	sodium_memzero(half, sizeof(half));
	return 0;
}

int
slots_erase(struct slots *s, const uint64_t *slot, size_t n)
{
	int r;

	if (!s->write)
		return ERR_ORDER;
	for (size_t i = 0; i < n; i++) {
		if (slot[i] >= s->n)
			return ERR_NOT_FOUND;
		if ((r = write_at(s->fd, no_half, sizeof(no_half), slot_at(slot[i]))) != 0)
			return r;
	}
	return n > 0 ? slots_sync(s) : 0;
}

const char *
slots_why(int err)
{
	static const struct {
		int err;
		const char *text;
	} table[] = {
		{ -ENOENT, "session.keys is not there: without it no recording opens; it belongs "
			   "beside data.mdb" },
		{ ERR_FORMAT, "session.keys is no file of session keys, or is cut" },
		{ ERR_NOT_FOUND, "session.keys is cut: it ends before the keys that are needed" },
		{ ERR_SIGNATURE, "session.keys belongs to another store: without its own no "
				 "recording of this one opens" },
		{ ERR_VERSION, "session.keys was made by another version" },
		{ -EACCES, "session.keys may not be read" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == err)
			return table[i].text;
	return "session.keys cannot be read";
}
