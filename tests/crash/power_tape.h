/*
 * Every write and sync of a few files and their folder, in order, and the images of those files that a power cut may leave.
 * The program's own write(2), pwrite(2), writev(2), fsync(2) and fdatasync(2) are these, LMDB's calls too.
 */
#ifndef BASTION_TESTS_POWER_TAPE_H
#define BASTION_TESTS_POWER_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_FILES 3u

enum tape_what {
	TAPE_WROTE,
	TAPE_SYNCED,
	TAPE_DIR_SYNCED,
	TAPE_PROMISED, /* the writer was told: committed */
	TAPE_SETTLED   /* the writer was told: synced */
};

enum tape_disk {
	TAPE_HONEST, /* what was synced is there */
	TAPE_LYING   /* a sync changed nothing */
};

struct tape_op {
	enum tape_what what;
	unsigned file; /* WROTE, SYNCED: 0 the first one, then as they were followed */
	bool durable;  /* WROTE: through a descriptor that syncs by itself */
	uint64_t off;
	size_t len;
	uint8_t *data;	/* WROTE: owned by the tape */
	unsigned state; /* PROMISED, SETTLED: the caller's number */
};

/* "Bail out!" and exit 99 unless good. */
void must(bool good, const char *what);
/* The next random number below the given one; every choice of the test comes from here. */
void draw_seed(uint64_t seed);
uint64_t draw(uint64_t below);

/* Begin anew with this file, which is made if need be, in this folder; what it holds now is on the disk. */
void tape_start(const char *dir, const char *file);
/* Another file, from here on; what it holds now is on the disk. */
void tape_follow(const char *file);
/* From here on the n-th write to that file, from 1, ends the process before it is done, with status 0. */
void tape_die_at(unsigned file, unsigned n);
void tape_stop(void);
void tape_free(void);
void tape_note(enum tape_what what, unsigned state);
size_t tape_len(void);
const struct tape_op *tape_at(size_t i);
/* Whether every write to that file before op n was synced before op n. */
bool tape_is_synced(unsigned file, size_t n);

/*
 * Make path that file as a cut before op n may leave it: what was synced, and of each page written since whatever draw()
 * says: nothing, all, or its first sectors.
 */
void tape_image(const char *path, unsigned file, size_t n, enum tape_disk disk);

#endif
