/* A sink for watches that keeps what it is told, and checks that every byte is told once and in order. */
#ifndef BASTION_TEST_WATCH_RIG_H
#define BASTION_TEST_WATCH_RIG_H

#include "recorder/watch.h"

#define RIG_FILES 64u
#define RIG_TEXT 4096u

/* What was told of one operation; a copy. */
struct rig_file {
	struct watch_file f;
	char path[256];
	struct watch_range ranges[WATCH_RANGES_MAX];
	uint64_t content; /* bytes told as its content */
};

struct rig {
	struct watch *w;
	struct rig_file files[RIG_FILES];
	size_t n_files;
	char remarks[RIG_TEXT]; /* "word: text\n" each */
	uint64_t content[RIG_FILES];
	uint64_t plain;	     /* bytes told as protocol */
	const uint8_t *next; /* the byte that must be told next */
	size_t fail_after;   /* of our calls; 0: never */
	size_t n_calls;
};

/* Begin a watch; what watch_new() answered. */
int rig_start(struct rig *g, uint8_t kind, const char *command) MUST_CHECK;
/* Bytes of one way, in pieces of at most so many; every piece must be told whole. What watch_data() answered. */
int rig_feed(
    struct rig *g, enum event_way way, const void *data, size_t len, size_t piece) MUST_CHECK;
/* The channel is over: watch_end() must succeed; the watch is freed. */
void rig_end(struct rig *g);
/* The nth file told; it must be there. */
const struct rig_file *rig_file(const struct rig *g, size_t n);

#endif
