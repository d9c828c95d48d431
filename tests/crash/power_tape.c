/* The tape of a few files. LMDB is a shared library: the definitions here stand before the C library's for it too. */
#include "config.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/power_tape.h"

#define PAGE 4096u
#define SECTOR 512u

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct followed {
	struct file_id id;
	uint8_t *base; /* what it held when it was first followed */
	size_t base_len;
	unsigned die_at; /* writes to go; 0: it may be written */
};

static struct {
	bool armed;
	struct tape_op *ops;
	size_t n, size;
	struct followed file[TAPE_FILES];
	unsigned n_files;
	struct file_id dir;
} tape;

static uint64_t seed;

void
must(bool good, const char *what)
{
	if (!good) {
		printf("Bail out! %s\n", what);
		exit(99);
	}
}

void
draw_seed(uint64_t from)
{
	seed = from;
}

uint64_t
draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static struct tape_op *
tape_add(enum tape_what what)
{
	if (tape.n == tape.size) {
		tape.size = tape.size == 0 ? 1024 : tape.size * 2;
		tape.ops = reallocarray(tape.ops, tape.size, sizeof(*tape.ops));
		must(tape.ops != NULL, "out of memory");
	}
	tape.ops[tape.n] = (struct tape_op){ .what = what };
	return &tape.ops[tape.n++];
}

static bool
is(int fd, const struct file_id *id)
{
	struct stat st;

	return tape.armed && fstat(fd, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino;
}

/* Which of the files it is; TAPE_FILES: none. */
static unsigned
which(int fd)
{
	unsigned i = 0;

	while (i < tape.n_files && !is(fd, &tape.file[i].id))
		i++;
	return i < tape.n_files ? i : TAPE_FILES;
}

static void
tape_write(int fd, const void *data, size_t len, uint64_t off)
{
	unsigned file = which(fd);
	struct tape_op *op = tape_add(TAPE_WROTE);

	if (tape.file[file].die_at > 0 && --tape.file[file].die_at == 0)
		_exit(0);
	op->file = file;
	op->durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	op->off = off;
	op->len = len;
	op->data = malloc(len);
	must(op->data != NULL, "out of memory");
	memcpy(op->data, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t off)
{
	if (which(fd) < TAPE_FILES)
		tape_write(fd, data, len, (uint64_t)off);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (which(fd) < TAPE_FILES)
		tape_write(fd, data, len, (uint64_t)lseek(fd, 0, SEEK_CUR));
	return syscall(SYS_write, fd, data, len);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	if (which(fd) < TAPE_FILES) {
		uint64_t off = (uint64_t)lseek(fd, 0, SEEK_CUR);

		for (int i = 0; i < n; off += iov[i].iov_len, i++)
			tape_write(fd, iov[i].iov_base, iov[i].iov_len, off);
	}
	return syscall(SYS_writev, fd, iov, n);
}

/* The note comes first: what is written meanwhile may have missed the sync. */
static void
tape_sync(int fd)
{
	unsigned file = which(fd);

	if (file < TAPE_FILES)
		tape_add(TAPE_SYNCED)->file = file;
	else if (is(fd, &tape.dir))
		(void)tape_add(TAPE_DIR_SYNCED);
}

int
fdatasync(int fd)
{
	tape_sync(fd);
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	tape_sync(fd);
	return (int)syscall(SYS_fsync, fd);
}

static void
follow(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	struct followed *f = &tape.file[tape.n_files];
	struct stat st;

	must(tape.n_files < TAPE_FILES && fd >= 0 && fstat(fd, &st) == 0, path);
	*f = (struct followed){ .id = { st.st_dev, st.st_ino }, .base_len = (size_t)st.st_size };
	must((f->base = malloc(f->base_len + 1)) != NULL, "out of memory");
	must(read(fd, f->base, f->base_len) == st.st_size, path);
	tape.n_files++;
	(void)close(fd);
}

void
tape_start(const char *dir, const char *file)
{
	struct stat st;

	/* The file must be there for its writes to be known by it. */
	tape_free();
	must(stat(dir, &st) == 0, dir);
	tape.dir = (struct file_id){ st.st_dev, st.st_ino };
	follow(file, O_RDWR | O_CREAT);
	tape.armed = true;
}

void
tape_follow(const char *file)
{
	follow(file, O_RDONLY);
}

void
tape_die_at(unsigned file, unsigned n)
{
	tape.file[file].die_at = n;
}

void
tape_stop(void)
{
	tape.armed = false;
}

void
tape_free(void)
{
	for (size_t i = 0; i < tape.n; i++)
		free(tape.ops[i].data);
	free(tape.ops);
	for (unsigned i = 0; i < tape.n_files; i++)
		free(tape.file[i].base);
	memset(&tape, 0, sizeof(tape));
}

void
tape_note(enum tape_what what, unsigned state)
{
	tape_add(what)->state = state;
}

size_t
tape_len(void)
{
	return tape.n;
}

const struct tape_op *
tape_at(size_t i)
{
	return &tape.ops[i];
}

bool
tape_is_synced(unsigned file, size_t n)
{
	bool synced = true;

	for (size_t i = 0; i < n; i++) {
		const struct tape_op *op = &tape.ops[i];

		if (op->what == TAPE_SYNCED && op->file == file)
			synced = true;
		else if (op->what == TAPE_WROTE && op->file == file && !op->durable)
			synced = false;
	}
	return synced;
}

static void
put(int fd, const struct tape_op *op, size_t at, size_t len)
{
	must(pwrite(fd, op->data + at, len, (off_t)(op->off + at)) == (ssize_t)len, "image");
}

/* Pages that were not synced: kept, lost, or torn between sectors. */
static void
put_unsynced(int fd, const struct tape_op *op)
{
	for (size_t at = 0; at < op->len; at += PAGE) {
		size_t len = op->len - at < PAGE ? op->len - at : PAGE, keep = len;

		switch (draw(3)) {
		case 0:
			continue;
		case 1:
			if (draw(8) == 0)
				keep = draw(len / SECTOR + 1) * SECTOR;
			break;
		default:
			break;
		}
		put(fd, op, at, keep);
	}
}

void
tape_image(const char *path, unsigned file, size_t n, enum tape_disk disk)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const struct followed *f = &tape.file[file];
	size_t synced = 0;

	must(fd >= 0, path);
	must(write(fd, f->base, f->base_len) == (ssize_t)f->base_len, path);
	for (size_t i = 0; i < n && disk == TAPE_HONEST; i++)
		if (tape.ops[i].what == TAPE_SYNCED && tape.ops[i].file == file)
			synced = i;
	for (size_t i = 0; i < n; i++) {
		const struct tape_op *op = &tape.ops[i];

		if (op->what != TAPE_WROTE || op->file != file)
			continue;
		if (i < synced || (op->durable && disk == TAPE_HONEST))
			put(fd, op, 0, op->len);
		else
			put_unsynced(fd, op);
	}
	(void)close(fd);
}
