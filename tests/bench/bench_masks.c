/*
 * What following a terminal and masking cost: the modules alone, and the recorder with and without them. TSV lines: name, unit,
 * median, worst, n, commit. With --rules: the default rules, a line each, for other tools to do the same with.
 *   bench_masks DIR FILE [COMMIT] | bench_masks --rules
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/mask_rules.h"
#include "lib/secret.h"
#include "recorder/echo.h"
#include "recorder/echo_part.h"
#include "recorder/link_proto.h"
#include "recorder/mask_part.h"
#include "tests/lib/drive.h"

#define ROUNDS 3
#define FILE_MAX (64u << 20)

static const char *commit_id = "-";
static uint8_t *data;
static size_t data_len;

static int
double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
line(const char *name, size_t frame, const char *unit, double *v)
{
	qsort(v, ROUNDS, sizeof(*v), double_cmp);
	printf("%s_%zu\t%s\t%.2f\t%.2f\t%d\t%s\n", name, frame, unit, v[ROUNDS / 2], v[ROUNDS - 1],
	    ROUNDS, commit_id);
	(void)fflush(stdout);
}

static void __attribute__((noreturn)) die(const char *what)
{
	(void)fprintf(stderr, "bench_masks: %s\n", what);
	exit(99);
}

/* The modules alone: milliseconds of this process for a megabyte. */

static double
cpu_ms(void)
{
	struct rusage use;

	if (getrusage(RUSAGE_SELF, &use) != 0)
		die("getrusage");
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

static int
on_bytes(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return 0;
}

static int
on_run(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	(void)run;
	return on_bytes(arg, p, n);
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	(void)all;
	return on_run(arg, run, p, n);
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	(void)why;
	return on_run(arg, run, NULL, 0);
}

static double
echo_ms(size_t frame, bool plainly)
{
	static const struct echo_sink sink = { on_bytes, on_run, on_shown, on_hidden };
	struct echo *e = echo_new(&sink, NULL, 80, 24);
	double from = cpu_ms();
	size_t feedback;

	if (e == NULL)
		die("out of memory");
	if (plainly)
		echo_read_plainly(e);
	for (size_t i = 0; i < data_len; i += frame)
		if (echo_output(e, clock_boot_ns(), data + i,
			data_len - i < frame ? data_len - i : frame, &feedback) != 0)
			die("echo");
	echo_free(e);
	return (cpu_ms() - from) / ((double)data_len / 1e6);
}

static double
mask_ms(size_t frame, bool plainly)
{
	struct mask_set *set;
	struct mask_stream *s;
	struct mask_piece piece;
	double from;

	if (mask_set_new("defaults", "", &set) != 0 || (s = mask_stream_new(set)) == NULL)
		die("masks");
	if (plainly)
		mask_search_plainly(set);
	from = cpu_ms();
	for (size_t i = 0; i < data_len; i += frame)
		if (mask_feed(s, data + i, data_len - i < frame ? data_len - i : frame, false,
			&piece) != 0)
			die("masks");
	mask_stream_free(s);
	mask_set_free(set);
	return (cpu_ms() - from) / ((double)data_len / 1e6);
}

static void
bench_module(const char *name, double (*ms)(size_t frame, bool plainly), size_t frame, bool plainly)
{
	double v[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		v[i] = ms(frame, plainly);
	line(name, frame, "ms/MB", v);
}

/* The recorder: one sender, one taker, credit as ends give it. */

static void
send_data(int fd, uint16_t type, const void *p, size_t n)
{
	uint8_t head[IPC_HEADER] = { 0, 0, 0, 1, 0, (uint8_t)type, 0, 0 };
	struct iovec iov[2] = { { head, sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)p, .iov_len = n } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		die("send");
}

static size_t
take(struct drive *d, int fd)
{
	size_t got = 0;
	ssize_t n;

	while ((n = recv(fd, d->space, IPC_HEADER + IPC_MAX, MSG_DONTWAIT)) > 0)
		if (d->space[5] == LINK_DATA)
			got += (size_t)n - IPC_HEADER;
	return got;
}

static uint64_t
take_credit(struct drive *d, int fd)
{
	uint64_t credit = 0;

	while (recv(fd, d->space, IPC_HEADER + IPC_MAX, MSG_DONTWAIT) > 0)
		if (d->space[5] == LINK_WINDOW)
			credit += (uint64_t)d->space[8] << 24 | (uint64_t)d->space[9] << 16 |
				  (uint64_t)d->space[10] << 8 | d->space[11];
	return credit;
}

static void
flow(struct drive *d, const struct drive_leg *leg, size_t frame)
{
	uint64_t sent = 0, got = 0, owed = 0, credit = LINK_CREDIT;

	while (got < data_len) {
		size_t len = data_len - sent < frame ? data_len - (size_t)sent : frame;
		bool may = len > 0 && credit >= len;
		struct pollfd p[2] = { { .fd = leg->back,
					   .events = (short)(POLLIN | (may ? POLLOUT : 0)) },
			{ .fd = leg->front, .events = POLLIN } };

		if (poll(p, 2, DRIVE_WAIT_MS) <= 0)
			die("the recorder does not go on");
		if ((p[0].revents & POLLIN) != 0)
			credit += take_credit(d, leg->back);
		if ((p[0].revents & POLLOUT) != 0) {
			send_data(leg->back, LINK_DATA, data + sent, len);
			sent += len;
			credit -= len;
		}
		if ((p[1].revents & POLLIN) != 0) {
			size_t n = take(d, leg->front);

			got += n;
			owed += n;
		}
		if (owed >= LINK_CREDIT_STEP) {
			uint8_t step[4] = { (uint8_t)(owed >> 24), (uint8_t)(owed >> 16),
				(uint8_t)(owed >> 8), (uint8_t)owed };

			send_data(leg->front, LINK_WINDOW, step, sizeof(step));
			owed = 0;
		}
	}
}

static void
bench_recording(struct drive *d, const char *name, const char *masks, bool terminal, size_t frame)
{
	double rate[ROUNDS], cpu[ROUNDS];
	static uint32_t leg_id = 1;
	char full[64];

	for (size_t i = 0; i < ROUNDS; i++) {
		struct drive_leg leg;
		uint64_t from, cpu_from;

		drive_open_masked(d, leg_id++, masks, &leg);
		drive_channel(d, &leg);
		if (terminal)
			drive_terminal(d, &leg);
		cpu_from = drive_cpu_ns(d);
		from = clock_boot_ns();
		flow(d, &leg, frame);
		rate[i] = (double)data_len / 1e6 / ((double)(clock_boot_ns() - from) / 1e9);
		cpu[i] = (double)(drive_cpu_ns(d) - cpu_from) / 1e6 / ((double)data_len / 1e6);
		drive_close(d, &leg);
	}
	(void)snprintf(full, sizeof(full), "record_%s", name);
	line(full, frame, "MB/s", rate);
	(void)snprintf(full, sizeof(full), "record_%s_cpu", name);
	line(full, frame, "ms/MB", cpu);
}

static int
print_rules(void)
{
	size_t n;
	const struct mask_rule *rules = mask_rules_defaults(&n);

	for (size_t i = 0; i < n; i++)
		printf("%s\t%s\n", rules[i].name, rules[i].text);
	return 0;
}

int
main(int argc, char **argv)
{
	static const size_t frames[] = { 1000, LINK_DATA_MAX };
	struct drive *d = calloc(1, sizeof(*d));
	char *text;

	if (argc == 2 && strcmp(argv[1], "--rules") == 0)
		return print_rules();
	if (argc < 3 || d == NULL || secret_init() != 0 || hash_init() != 0 ||
	    mask_prepare() != 0 || file_read(argv[2], FILE_MAX, &text, &data_len) != 0)
		die("usage: bench_masks DIR FILE [COMMIT]");
	data = (uint8_t *)text;
	if (argc > 3)
		commit_id = argv[3];
	for (size_t i = 0; i < 2; i++) {
		bench_module("echo", echo_ms, frames[i], false);
		bench_module("echo_plainly", echo_ms, frames[i], true);
		bench_module("masks", mask_ms, frames[i], false);
		bench_module("masks_plainly", mask_ms, frames[i], true);
	}
	drive_start(d, argv[1], "strict");
	for (size_t i = 0; i < 2; i++) {
		bench_recording(d, "plain", "", false, frames[i]);
		bench_recording(d, "terminal", "", true, frames[i]);
		bench_recording(d, "masks", "defaults", false, frames[i]);
		bench_recording(d, "both", "defaults", true, frames[i]);
	}
	drive_stop(d);
	mask_done();
	free(data);
	free(d);
	return 0;
}
