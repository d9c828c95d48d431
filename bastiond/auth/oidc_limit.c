/*
 * STATE/outstanding is empty: a code is a lock on one of per_source bytes behind the hash of its source, and a lock ends with its
 * process. STATE/people has a row for each code of the last hour: u64 hash of the person, u64 ns since 1970, big-endian.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "bastiond/auth/oidc_limit.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define HOUR_NS (3600 * CLOCK_NS_PER_S)
#define ROW_LEN 16u
#define SLOTS 1024u /* bytes behind the hash of one source; per_source is at most 1000 */

/* 48 bits of a name's hash: it is a place in a file, too. kind: of the name, so that equal ones differ. */
static uint64_t
name_hash(const char *kind, const char *name)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	uint64_t v = 0;

	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const uint8_t *)kind, strlen(kind) + 1);
	(void)crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
	(void)crypto_hash_sha256_final(&state, hash);
	for (size_t i = 0; i < 6; i++)
		v = v << 8 | hash[i];
	return v;
}

/* A file of ours in the folder of the state. */
static int
open_file(const struct oidc_conf *conf, const char *name, int *ret_fd)
{
	char path[PATH_MAX];
	int fd, r = str_format(path, sizeof(path), "%s/%s", conf->state, name);

	if (r != 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* A free slot of this source, for as long as the descriptor is open. 0; ERR_LIMIT; -errno. */
static int
take_slot(const struct oidc_conf *conf, const char *source, int *ret_fd)
{
	uint64_t at = (name_hash("source", source) & 0xffffffffffu) * SLOTS;
	int fd = -1, r = open_file(conf, "outstanding", &fd);

	if (r != 0)
		return r;
	r = ERR_LIMIT;
	for (uint64_t i = 0; r == ERR_LIMIT && i < conf->per_source; i++) {
		struct flock lock = { .l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = (off_t)(at + i),
			.l_len = 1 };

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			r = 0;
		else if (errno != EAGAIN && errno != EACCES)
			r = -errno;
	}
	if (r == 0)
		*ret_fd = fd;
	else
		fd_close(&fd);
	return r;
}

/* Copy the rows of the last hour, the newest that have room, and count the person's. */
static int
keep_rows(const uint8_t *data, size_t len, uint64_t person, struct buf *rows, uint64_t *ret_n)
{
	size_t room = (OIDC_PEOPLE_MAX - 1) * ROW_LEN, at = len > room ? len - room : 0;
	uint64_t now = clock_wall_ns(), who, when, n = 0;
	struct buf *b = buf_view(data + at, len - at);
	int r = b == NULL ? -ENOMEM : 0;

	while (r == 0 && buf_len(b) >= ROW_LEN) {
		if ((r = buf_get_u64(b, &who)) != 0 || (r = buf_get_u64(b, &when)) != 0)
			break;
		/* A row from the future is from before somebody set the clock: it counts from now. */
		when = when > now ? now : when;
		if (now - when >= HOUR_NS)
			continue;
		n += who == person;
		if ((r = buf_put_u64(rows, who)) == 0)
			r = buf_put_u64(rows, when);
	}
	buf_free(b);
	if (r == 0)
		*ret_n = n;
	return r;
}

static int
write_rows(int fd, struct buf *rows, uint64_t person)
{
	int r;

	if ((r = buf_put_u64(rows, person)) != 0 || (r = buf_put_u64(rows, clock_wall_ns())) != 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) != 0)
		return -errno;
	return file_write_all(fd, buf_ptr(rows), buf_len(rows));
}

/* Count one more for the person, unless there were enough. 0; ERR_LIMIT; -errno. */
static int
count_person(const struct oidc_conf *conf, const char *name)
{
	uint64_t person = name_hash("person", name), n = 0;
	struct buf *rows = buf_new(OIDC_PEOPLE_MAX * ROW_LEN);
	char *data = NULL;
	size_t len;
	int fd = -1, r = rows == NULL ? -ENOMEM : open_file(conf, "people", &fd);

	if (r != 0)
		goto out;
	/* Held for a few milliseconds by each login. */
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			r = -errno;
			goto out;
		}
	if ((r = file_read_fd(fd, OIDC_PEOPLE_MAX * ROW_LEN, &data, &len)) != 0 ||
	    (r = keep_rows((const uint8_t *)data, len - len % ROW_LEN, person, rows, &n)) != 0)
		goto out;
	r = n >= conf->per_person ? ERR_LIMIT : write_rows(fd, rows, person);
out:
	fd_close(&fd);
	free(data);
	buf_free(rows);
	return r;
}

int
oidc_limit_take(const struct oidc_conf *conf, const char *source, const char *person, int *ret_fd,
    struct oidc_why *why)
{
	int fd = -1, r = take_slot(conf, source, &fd);

	if (r == ERR_LIMIT)
		return oidc_why(why, OIDC_END_LIMIT, r, "%llu codes are outstanding for %s",
		    (unsigned long long)conf->per_source,
		    source[0] != '\0' ? source : "this machine");
	if (r == 0 && (r = count_person(conf, person)) == ERR_LIMIT) {
		fd_close(&fd);
		return oidc_why(why, OIDC_END_LIMIT, r, "%llu codes in an hour for %s",
		    (unsigned long long)conf->per_person, person);
	}
	if (r != 0) {
		fd_close(&fd);
		return oidc_why(why, OIDC_END_SETUP, r, "state: %s: %s", conf->state, err_str(r));
	}
	*ret_fd = fd;
	return 0;
}
