/*
 * Figures of the recorder alone: the real program with its sandbox on, between a front and a back that do nothing but
 * send and take. TSV lines: name, unit, median, p99, n, commit.
 *   bench_recorder DIR [COMMIT [strict|process]]
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/secret.h"
#include "recorder/link_proto.h"
#include "recorder/note.h"
#include "recorder/store.h"
#include "recorder/verify.h"
#include "tests/lib/drive.h"

#define ROUNDS 5
#define FRAME LINK_DATA_MAX

static const char *commit_id = "-", *durability = "strict";

static void
line(const char *name, const char *unit, double median, double p99, size_t n)
{
	printf("%s\t%s\t%.3f\t%.3f\t%zu\t%s\n", name, unit, median, p99, n, commit_id);
	(void)fflush(stdout);
}

static int
double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
quantile(double *v, size_t n, unsigned per_mille)
{
	qsort(v, n, sizeof(*v), double_cmp);
	return v[(n - 1) * per_mille / 1000];
}

static double
seconds_since(uint64_t from)
{
	return (double)(clock_boot_ns() - from) / 1e9;
}

/* A sender on one fd, a taker on the other: frames of len bytes until total bytes have arrived, credit included. */
struct flow {
	int from, to;
	const uint8_t *data; /* a megabyte to cut frames from */
	size_t len;
	uint64_t total, sent, got, credit, owed;
};

static int
send_frame(int fd, uint16_t type, const void *data, size_t len)
{
	uint8_t head[IPC_HEADER] = { 0, 0, 0, 1, 0, (uint8_t)type, 0, 0 };
	struct iovec iov[2] = { { head, sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(fd, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void
flow_send(struct flow *f)
{
	while (f->sent < f->total && f->credit >= f->len) {
		size_t off = (size_t)(f->sent % ((1u << 20) - f->len));

		if (send_frame(f->from, LINK_DATA, f->data + off, f->len) != 0)
			return;
		f->sent += f->len;
		f->credit -= f->len;
	}
}

/* Frames that arrived; credit goes back in steps, as a front gives it. */
static void
flow_take(struct flow *f, uint8_t *space)
{
	ssize_t n;

	while ((n = recv(f->to, space, IPC_HEADER + IPC_MAX, MSG_DONTWAIT)) > 0) {
		if (space[5] != LINK_DATA)
			continue;
		f->got += (uint64_t)n - IPC_HEADER;
		f->owed += (uint64_t)n - IPC_HEADER;
	}
	if (f->owed >= LINK_CREDIT_STEP) {
		uint8_t step[4] = { (uint8_t)(f->owed >> 24), (uint8_t)(f->owed >> 16),
			(uint8_t)(f->owed >> 8), (uint8_t)f->owed };

		if (send_frame(f->to, LINK_WINDOW, step, 4) == 0)
			f->owed = 0;
	}
}

static void
flow_credit(struct flow *f, uint8_t *space)
{
	ssize_t n;

	while ((n = recv(f->from, space, IPC_HEADER + IPC_MAX, MSG_DONTWAIT)) > 0)
		if (space[5] == LINK_WINDOW)
			f->credit += (uint64_t)space[8] << 24 | (uint64_t)space[9] << 16 |
				     (uint64_t)space[10] << 8 | space[11];
}

static void
run_flows(struct drive *d, struct flow *flows, size_t n)
{
	struct pollfd *p = calloc(2 * n, sizeof(*p));
	bool more = true;

	if (p == NULL)
		exit(99);
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			bool may_send =
			    flows[i].sent < flows[i].total && flows[i].credit >= flows[i].len;

			p[2 * i] = (struct pollfd){ .fd = flows[i].from,
				.events = (short)(POLLIN | (may_send ? POLLOUT : 0)) };
			p[2 * i + 1] = (struct pollfd){ .fd = flows[i].to, .events = POLLIN };
		}
		if (poll(p, 2 * n, DRIVE_WAIT_MS) <= 0)
			exit(99);
		for (size_t i = 0; i < n; i++) {
			if ((p[2 * i].revents & POLLIN) != 0)
				flow_credit(&flows[i], d->space);
			if ((p[2 * i].revents & POLLOUT) != 0)
				flow_send(&flows[i]);
			if ((p[2 * i + 1].revents & POLLIN) != 0)
				flow_take(&flows[i], d->space);
			more = more || flows[i].got < flows[i].total;
		}
	}
	free(p);
}

/* What ls, logs and compilers print: words and numbers that repeat, but not too much. */
static void
fill_text(uint8_t *data, size_t len)
{
	static const char *const words[] = { "-rw-r--r--", "drwxr-xr-x", "root", "users", "Nov",
		"warning:", "error:", "src/main.c", "unused", "variable", "0x7ffe", "\033[01;34m",
		"\033[0m", "libexec", "configure", "checking", "yes", "no" };
	uint64_t seed = 1;
	size_t off = 0;

	while (off < len) {
		char word[40];
		int n;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = seed >> 60 < 9
			? snprintf(word, sizeof(word), "%s ", words[(seed >> 40) % 18])
			: snprintf(word, sizeof(word), "%u%s", (unsigned)(seed >> 44) % 100000,
			      seed >> 63 ? "\r\n" : " ");
		if ((size_t)n > len - off)
			n = (int)(len - off);
		memcpy(data + off, word, (size_t)n);
		off += (size_t)n;
	}
}

static void
fill_noise(uint8_t *data, size_t len)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)(x >> 32);
	}
}

static uint64_t
status_u64(struct drive *d, const char *key)
{
	char *text = drive_status(d);
	struct json_node *root;
	uint64_t v = 0;

	if (json_parse(text, strlen(text), &root) == 0) {
		v = json_u64(json_get(root, key), 0);
		json_node_free(root);
	}
	free(text);
	return v;
}

/* total bytes over n legs at once, in frames of len bytes: MB/s and CPU seconds per GB. */
static void
bench_bulk(struct drive *d, const char *name, const uint8_t *data, size_t n_legs, size_t len,
    uint64_t total)
{
	double rate[ROUNDS], cpu[ROUNDS];
	static uint32_t leg_id = 1000;
	char full[64];

	for (int round = 0; round < ROUNDS; round++) {
		struct drive_leg *legs = calloc(n_legs, sizeof(*legs));
		struct flow *flows = calloc(n_legs, sizeof(*flows));
		uint64_t from, cpu_from;

		if (legs == NULL || flows == NULL)
			exit(99);
		for (size_t i = 0; i < n_legs; i++) {
			drive_open(d, leg_id++, &legs[i]);
			drive_channel(d, &legs[i]);
			flows[i] = (struct flow){ .from = legs[i].back,
				.to = legs[i].front,
				.data = data,
				.len = len,
				.total = total / n_legs / len * len,
				.credit = LINK_CREDIT };
		}
		cpu_from = drive_cpu_ns(d);
		from = clock_boot_ns();
		run_flows(d, flows, n_legs);
		rate[round] = (double)total / 1e6 / seconds_since(from);
		cpu[round] = (double)(drive_cpu_ns(d) - cpu_from) / (double)total;
		for (size_t i = 0; i < n_legs; i++)
			drive_close(d, &legs[i]);
		free(legs);
		free(flows);
	}
	(void)snprintf(full, sizeof(full), "recorder_%s", name);
	line(full, "MB/s", quantile(rate, ROUNDS, 500), rate[0], ROUNDS);
	(void)snprintf(full, sizeof(full), "recorder_%s_cpu", name);
	line(full, "s/GB", quantile(cpu, ROUNDS, 500), cpu[ROUNDS - 1], ROUNDS);
}

/* One key at a time through the recorder, front to back, with pauses as a typist makes them. */
static void
bench_key(struct drive *d, const char *name, size_t n, useconds_t pause_us)
{
	double *took = calloc(n, sizeof(*took));
	struct drive_leg leg;
	char full[64];

	if (took == NULL)
		exit(99);
	drive_open(d, 1, &leg);
	drive_channel(d, &leg);
	for (size_t i = 0; i < n; i++) {
		struct ipc_msg msg;
		uint64_t from;

		if (pause_us > 0)
			(void)usleep(pause_us);
		from = clock_boot_ns();
		if (send_frame(leg.front, LINK_DATA, "k", 1) != 0)
			exit(99);
		drive_want(d, leg.back, LINK_DATA, &msg);
		took[i] = (double)(clock_boot_ns() - from) / 1000;
		/* The taker gives credit back only for what it takes; one byte at a time it is never due. */
	}
	drive_close(d, &leg);
	(void)snprintf(full, sizeof(full), "recorder_%s", name);
	line(full, "us", quantile(took, n, 500), took[(n - 1) * 99 / 100], n);
	free(took);
}

/* Small events of many sessions at once. */
static void
bench_events(struct drive *d, const uint8_t *data)
{
	static const size_t n_legs = 100, len = 64;
	uint64_t events = status_u64(d, "events"), from;
	struct drive_leg *legs = calloc(n_legs, sizeof(*legs));
	struct flow *flows = calloc(n_legs, sizeof(*flows));
	double seconds;

	if (legs == NULL || flows == NULL)
		exit(99);
	for (size_t i = 0; i < n_legs; i++) {
		drive_open(d, 5000 + (uint32_t)i, &legs[i]);
		drive_channel(d, &legs[i]);
		flows[i] = (struct flow){ .from = legs[i].back,
			.to = legs[i].front,
			.data = data,
			.len = len,
			.total = 10000 * len,
			.credit = LINK_CREDIT };
	}
	from = clock_boot_ns();
	run_flows(d, flows, n_legs);
	seconds = seconds_since(from);
	line("recorder_events", "1/s", (double)(status_u64(d, "events") - events) / seconds, 0, 1);
	for (size_t i = 0; i < n_legs; i++)
		drive_close(d, &legs[i]);
	free(legs);
	free(flows);
}

static void
bench_verify(const char *dir)
{
	struct verify_conf conf = { 0 };
	struct verify_result result;
	struct note_key key;
	struct store *store;
	struct store_snap *snap;
	char path[512], *text;
	uint64_t from;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/recorder.pub", dir);
	if (file_read(path, NOTE_VKEY_SIZE, &text, &len) != 0 ||
	    note_key_parse(text, len, &key) != 0)
		exit(99);
	free(text);
	conf.key = &key;
	(void)snprintf(path, sizeof(path), "%s/recorder", dir);
	if (store_open_read(path, &store) != 0 || store_snap_new(store, &snap) != 0)
		exit(99);
	from = clock_boot_ns();
	if (verify_all(snap, &conf, &result) != 0) {
		(void)fputs("the store does not verify\n", stderr);
		exit(1);
	}
	line("recorder_verify", "MB/s", (double)result.raw_bytes / 1e6 / seconds_since(from), 0, 1);
	store_snap_free(snap);
	store_close(store);
}

int
main(int argc, char **argv)
{
	uint8_t *text = malloc(1u << 20), *noise = malloc(1u << 20);
	struct drive *d = calloc(1, sizeof(*d));
	struct stat st;
	char path[512];

	if (argc < 2 || text == NULL || noise == NULL || d == NULL || secret_init() != 0 ||
	    hash_init() != 0) {
		(void)fputs("usage: bench_recorder DIR [COMMIT [strict|process]]\n", stderr);
		return 2;
	}
	if (argc > 2)
		commit_id = argv[2];
	if (argc > 3)
		durability = argv[3];
	fill_text(text, 1u << 20);
	fill_noise(noise, 1u << 20);
	drive_start(d, argv[1], durability);
	bench_key(d, "key", 2000, 0);
	bench_key(d, "key_paced", 200, 20000);
	line("recorder_commit_p50", "us", (double)status_u64(d, "commit_p50_ns") / 1000, 0, 1);
	line("recorder_commit_p99", "us", (double)status_u64(d, "commit_p99_ns") / 1000, 0, 1);
	bench_bulk(d, "bulk_text", text, 1, FRAME, 200u << 20);
	bench_bulk(d, "bulk_noise", noise, 1, FRAME, 200u << 20);
	bench_bulk(d, "bulk_text_100", text, 100, FRAME, 200u << 20);
	bench_bulk(d, "text_2k_100", text, 100, 2048, 100u << 20);
	bench_events(d, text);
	line("recorder_stored", "B/B",
	    (double)status_u64(d, "bytes_stored") / (double)status_u64(d, "bytes_in"), 0, 1);
	(void)snprintf(path, sizeof(path), "%s/recorder/data.mdb", argv[1]);
	if (stat(path, &st) == 0)
		line("recorder_file", "B/B",
		    (double)st.st_blocks * 512 / (double)status_u64(d, "bytes_in"), 0, 1);
	drive_stop(d);
	bench_verify(argv[1]);
	free(text);
	free(noise);
	free(d);
	return 0;
}
