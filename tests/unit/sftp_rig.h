/* A stream of two ways to feed a watch with, and what the watch said about it. */
#ifndef BASTION_TEST_SFTP_RIG_H
#define BASTION_TEST_SFTP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/watch.h"

#define STREAM_STEPS_MAX 9000u
#define SEEN_FILES_MAX 9000u

/* Bytes of both ways in the order in which they cross. */
struct stream {
	struct buf *bytes;
	struct {
		enum event_way way;
		size_t off, len;
	} steps[STREAM_STEPS_MAX];
	size_t n;
};
struct stream *stream_new(void);
void stream_free(struct stream *s);
/* Append a step. */
void stream_put(struct stream *s, enum event_way way, const void *data, size_t len);
/*
 * Append an SFTP packet: its type, then by fmt: u u32, q u64, s C string, b pointer and size_t, a mode alone as attributes,
 * S size alone, n no attributes.
 */
void stream_sftp(struct stream *s, enum event_way way, uint8_t type, const char *fmt, ...);

/* What a watch said. Files' paths and texts are copied. */
struct told {
	struct seen_file {
		struct watch_file f;
		char path[64], path2[64]; /* cut */
		struct watch_range ranges[WATCH_RANGES_MAX];
	} files[SEEN_FILES_MAX];
	size_t n_files;
	char words[16][32], texts[16][128];
	size_t n_remarks;
	uint64_t plain[2], content[2]; /* bytes by way */
	uint8_t kept[256];	       /* the first bytes of content */
	size_t n_kept;
	/* what the next span must be made of */
	const uint8_t *next;
	size_t left;
	bool broken; /* a span was not the next bytes */
	int fail;    /* what the sink answers from now on */
};
struct told *seen_new(void);
void seen_free(struct told *seen);
extern const struct watch_sink seen_sink;
/* The file of that number, counted from 0, must be there. */
const struct seen_file *seen_file(const struct told *seen, size_t i);

/* Feed the stream in pieces of at most step bytes, and say that it is over. 0, or what the watch answered. */
int stream_feed(const struct stream *s, struct watch *w, struct told *seen, size_t step);

#endif
