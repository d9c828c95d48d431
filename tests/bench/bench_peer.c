/*
 * What a program prints on a terminal, recorded in one of several ways, for peers.py. One JSON object on standard output.
 *   bench_peer drip N                      print N short lines, a millisecond apart
 *   bench_peer null - COMMAND...           take it and keep nothing: what the terminal itself costs
 *   bench_peer jsonl FILE COMMAND...       lines of JSON with base64, as they come
 *   bench_peer jsonl-sync FILE COMMAND...  the same, each line durable before the next is read
 *   bench_peer bastiond DIR COMMAND...     the real bastiond-recorder, strict, between a front and a back that do nothing
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/secret.h"
#include "lib/str.h"
#include "recorder/link_proto.h"
#include "tests/lib/drive.h"

#define PEER_CHUNK 4096u /* what a terminal gives at once, at most */

struct peer {
	const char *where;
	int fd;
	struct drive *d;
	struct drive_leg leg;
	uint64_t from_ns, events, bytes, got;
};

static void
must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(99);
	}
}

static void
null_chunk(struct peer *p, const uint8_t *data, size_t len)
{
	(void)p;
	(void)data;
	(void)len;
}

static void
jsonl_open(struct peer *p)
{
	p->fd = open(p->where, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(p->fd >= 0, p->where);
}

static void
jsonl_chunk(struct peer *p, const uint8_t *data, size_t len)
{
	char *base64 = str_base64(data, len), line[2 * PEER_CHUNK + 128];
	int n;

	must(base64 != NULL, "memory");
	n = snprintf(line, sizeof(line), "{\"t\":%.6f,\"s\":\"o\",\"d\":\"%s\"}\n",
	    (double)(clock_boot_ns() - p->from_ns) / 1e9, base64);
	must(write(p->fd, line, (size_t)n) == n, "write");
	free(base64);
}

static void
jsonl_sync_chunk(struct peer *p, const uint8_t *data, size_t len)
{
	jsonl_chunk(p, data, len);
	must(fdatasync(p->fd) == 0, "fdatasync");
}

static void
bastiond_open(struct peer *p)
{
	p->d = calloc(1, sizeof(*p->d));
	must(p->d != NULL, "memory");
	drive_start(p->d, p->where, "strict");
	drive_open(p->d, 1, &p->leg);
	drive_channel(p->d, &p->leg);
}

/* What came out at the front; waits for it, or until the back takes more. */
static void
bastiond_take(struct peer *p, bool wait_for_back)
{
	struct pollfd fds[2] = { { .fd = p->leg.front, .events = POLLIN },
		{ .fd = wait_for_back ? p->leg.back : -1, .events = POLLOUT } };
	ssize_t n;

	must(poll(fds, 2, DRIVE_WAIT_MS) > 0, "poll");
	while ((n = recv(p->leg.front, p->d->space, sizeof(p->d->space), MSG_DONTWAIT)) > 0)
		if (p->d->space[5] == LINK_DATA)
			p->got += (uint64_t)n - IPC_HEADER;
}

static void
bastiond_chunk(struct peer *p, const uint8_t *data, size_t len)
{
	uint8_t head[IPC_HEADER] = { 0, 0, 0, 1, 0, LINK_DATA, 0, 0 };
	struct iovec iov[2] = { { head, sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	while (sendmsg(p->leg.back, &mh, MSG_NOSIGNAL) < 0) {
		must(errno == EAGAIN, "sendmsg");
		bastiond_take(p, true);
	}
}

static uint64_t
status_u64(const char *text, const char *key)
{
	struct json_node *root;
	uint64_t v;

	must(json_parse(text, strlen(text), &root) == 0, "status");
	v = json_u64(json_get(root, key), 0);
	json_node_free(root);
	return v;
}

/* The rest has arrived; what the recorder has used, in nanoseconds. */
static uint64_t
bastiond_close(struct peer *p)
{
	uint64_t cpu;
	char *status;

	while (p->got < p->bytes)
		bastiond_take(p, false);
	drive_close(p->d, &p->leg);
	cpu = drive_cpu_ns(p->d);
	status = drive_status(p->d);
	printf("\"commit_p50_us\": %.1f, \"commit_p99_us\": %.1f, \"commits\": %llu, ",
	    (double)status_u64(status, "commit_p50_ns") / 1000,
	    (double)status_u64(status, "commit_p99_ns") / 1000,
	    (unsigned long long)status_u64(status, "commits"));
	free(status);
	drive_stop(p->d);
	return cpu;
}

static const struct way {
	const char *name;
	void (*open)(struct peer *p);
	void (*chunk)(struct peer *p, const uint8_t *data, size_t len);
} ways[] = {
	{ "null", NULL, null_chunk },
	{ "jsonl", jsonl_open, jsonl_chunk },
	{ "jsonl-sync", jsonl_open, jsonl_sync_chunk },
	{ "bastiond", bastiond_open, bastiond_chunk },
};

static void
drip(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		printf("line %lu\r\n", i);
		(void)fflush(stdout);
		(void)usleep(1000);
	}
}

/* The command on a terminal of its own, until it ends. */
static void
run(struct peer *p, const struct way *w, char **command)
{
	uint8_t data[PEER_CHUNK];
	ssize_t n;
	int pty;
	pid_t pid = forkpty(&pty, NULL, NULL, NULL);

	must(pid >= 0, "forkpty");
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	p->from_ns = clock_boot_ns();
	while ((n = read(pty, data, sizeof(data))) > 0) {
		p->events++;
		p->bytes += (uint64_t)n;
		w->chunk(p, data, (size_t)n);
	}
	(void)close(pty);
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
}

int
main(int argc, char **argv)
{
	const struct way *w = NULL;
	struct peer p = { .fd = -1 };
	struct rusage self;
	uint64_t cpu;
	double wall;

	if (argc == 3 && strcmp(argv[1], "drip") == 0) {
		drip(strtoul(argv[2], NULL, 10));
		return 0;
	}
	for (size_t i = 0; argc > 3 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, argv[1]) == 0)
			w = &ways[i];
	if (w == NULL || secret_init() != 0 || hash_init() != 0) {
		(void)fputs("usage: bench_peer WAY WHERE COMMAND...\n", stderr);
		return 2;
	}
	p.where = argv[2];
	printf("{");
	if (w->open != NULL)
		w->open(&p);
	run(&p, w, argv + 3);
	wall = (double)(clock_boot_ns() - p.from_ns) / 1e9;
	must(getrusage(RUSAGE_SELF, &self) == 0, "getrusage");
	cpu = (uint64_t)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) * CLOCK_NS_PER_S +
	      (uint64_t)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) * 1000;
	if (p.d != NULL)
		cpu = bastiond_close(&p);
	printf("\"events\": %llu, \"bytes\": %llu, \"wall_s\": %.4f, \"cpu_s\": %.6f}\n",
	    (unsigned long long)p.events, (unsigned long long)p.bytes, wall, (double)cpu / 1e9);
	return 0;
}
