/*
 * When to commit. A commit costs the disk the same however many sessions it serves, and each
 * session waits for it. So: at once while commits are rare, which is what a lone user needs, and at
 * a steady rate when they are not, which is what the disk needs; always at once when much is
 * waiting. Time comes in, nothing else: no clock, no store.
 */
#ifndef BASTION_RECORDER_COMMIT_H
#define BASTION_RECORDER_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#define COMMIT_RATE 500u /* commits a second that may go on for ever */
#define COMMIT_BURST 64u /* commits beyond that, saved up while it is quiet */
/*
 * Bytes waiting above which nothing is saved up for: to be written, or to be released. With its journal and its blocks a
 * commit holds about twice this in pages, which LMDB keeps for the next one, and release.c once: that is what the
 * recorder's memory grows to when it is busy, and where it stays.
 */
#define COMMIT_BYTES (2u * 1024 * 1024)
#define COMMIT_DRAIN_NS 2000000ull /* sockets are drained at most this long before a commit */

struct commit {
	uint64_t tokens_ns; /* saved commits, each worth 1 s / COMMIT_RATE */
	uint64_t at_ns;	    /* when tokens_ns was right */
};

/* Full of tokens. */
void commit_init(struct commit *c, uint64_t now_ns);
/* Nanoseconds until the next commit is due when pending bytes wait; 0: now. */
uint64_t commit_wait(const struct commit *c, uint64_t now_ns, size_t pending);
/* A commit was made. */
void commit_done(struct commit *c, uint64_t now_ns);

/* How long commits took: the last COMMIT_SAMPLES of them. */
#define COMMIT_SAMPLES 512u
struct commit_times {
	uint32_t us[COMMIT_SAMPLES]; /* microseconds */
	uint64_t n;		     /* all that were ever added */
};
void commit_times_add(struct commit_times *t, uint64_t took_ns);
/* The quantile (per mille) of the samples, in nanoseconds; 0 without any. */
uint64_t commit_times_quantile(const struct commit_times *t, unsigned per_mille);

#endif
