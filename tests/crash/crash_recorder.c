/*
 * The recorder is killed at random moments while fronts and backs send as fast as they may. Then: every byte that had been
 * released is in the store, the store verifies before and after recovery, and nothing is in it that was not sent.
 *   crash_recorder [ROUNDS [SEED]]      TAP; 20 rounds unless said otherwise
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/secret.h"
#include "recorder/link_proto.h"
#include "recorder/recording.h"
#include "recorder/sess.h"
#include "recorder/verify.h"
#include "tests/lib/drive.h"

#define LEGS 12
#define LIFE_MIN_MS 30
#define LIFE_MAX_MS 500

/* One direction of a leg: a stream of bytes that anyone can compute. */
struct stream {
	uint64_t sent, got; /* bytes */
	uint64_t credit;
	uint64_t owed; /* taken, credit not given back yet */
};

struct leg {
	struct drive_leg link;
	struct stream in, out; /* front to back, back to front */
	size_t frame;	       /* bytes of its frames */
};

static uint64_t seed;
static int tests_run, tests_failed;

static uint64_t
draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void
ok(bool good, const char *what, int round)
{
	tests_run++;
	tests_failed += !good;
	printf("%sok %d - round %d: %s\n", good ? "" : "not ", tests_run, round, what);
	(void)fflush(stdout);
}

/* Byte i of a stream. */
static uint8_t
stream_byte(const struct leg *leg, bool out, uint64_t i)
{
	return (uint8_t)(i * 167 + i / 251 + leg->link.id * 31 + out);
}

static int
send_frame(int fd, uint16_t type, const void *data, size_t len)
{
	uint8_t head[IPC_HEADER] = { 0, 0, 0, 1, 0, (uint8_t)type, 0, 0 };
	struct iovec iov[2] = { { head, sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void
stream_send(struct leg *leg, struct stream *s, bool out)
{
	uint8_t data[LINK_DATA_MAX];
	int fd = out ? leg->link.back : leg->link.front;

	for (int n = 0; n < 8 && s->credit >= leg->frame; n++) {
		for (size_t i = 0; i < leg->frame; i++)
			data[i] = stream_byte(leg, out, s->sent + i);
		if (send_frame(fd, LINK_DATA, data, leg->frame) != 0)
			return;
		s->sent += leg->frame;
		s->credit -= leg->frame;
	}
}

/* What arrived at one end: data of s, credit for back. Returns false when a byte is not the one that was sent. */
static bool
take(struct leg *leg, int fd, struct stream *s, struct stream *back, bool out, uint8_t *space)
{
	ssize_t n;

	while ((n = recv(fd, space, IPC_HEADER + IPC_MAX, MSG_DONTWAIT)) > (ssize_t)IPC_HEADER) {
		const uint8_t *p = space + IPC_HEADER;
		size_t len = (size_t)n - IPC_HEADER;

		if (space[5] == LINK_WINDOW)
			back->credit += (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 |
					(uint64_t)p[2] << 8 | p[3];
		if (space[5] != LINK_DATA)
			continue;
		for (size_t i = 0; i < len; i++)
			if (p[i] != stream_byte(leg, out, s->got + i))
				return false;
		s->got += len;
		s->owed += len;
	}
	if (s->owed >= LINK_CREDIT_STEP) {
		uint8_t step[4] = { (uint8_t)(s->owed >> 24), (uint8_t)(s->owed >> 16),
			(uint8_t)(s->owed >> 8), (uint8_t)s->owed };

		if (send_frame(fd, LINK_WINDOW, step, 4) == 0)
			s->owed = 0;
	}
	return true;
}

/* Both directions of all legs until the time is up. */
static bool
exchange(struct drive *d, struct leg *legs, uint64_t until_ns)
{
	while (clock_boot_ns() < until_ns) {
		struct pollfd p[2 * LEGS];

		for (int i = 0; i < LEGS; i++) {
			p[2 * i] = (struct pollfd){ legs[i].link.front, POLLIN, 0 };
			p[2 * i + 1] = (struct pollfd){ legs[i].link.back, POLLIN, 0 };
			stream_send(&legs[i], &legs[i].in, false);
			stream_send(&legs[i], &legs[i].out, true);
		}
		(void)poll(p, 2 * LEGS, 1);
		for (int i = 0; i < LEGS; i++) {
			struct leg *l = &legs[i];

			if (!take(l, l->link.front, &l->out, &l->in, true, d->space) ||
			    !take(l, l->link.back, &l->in, &l->out, false, d->space))
				return false;
		}
	}
	return true;
}

/* After the kill: what had been released and was still in the sockets. */
static bool
drain(struct drive *d, struct leg *legs)
{
	bool good = true;

	for (int i = 0; i < LEGS; i++) {
		struct leg *l = &legs[i];

		good = good && take(l, l->link.front, &l->out, &l->in, true, d->space) &&
		       take(l, l->link.back, &l->in, &l->out, false, d->space);
		fd_close(&l->link.front);
		fd_close(&l->link.back);
	}
	return good;
}

static bool
event_fits(const struct leg *leg, const struct event *ev, uint64_t *n_in, uint64_t *n_out)
{
	bool out = ev->way == EVENT_BACK;
	uint64_t *n = out ? n_out : n_in;

	if (ev->type != LINK_DATA)
		return true;
	for (size_t i = 0; i < ev->len; i++)
		if (ev->data[i] != stream_byte(leg, out, *n + i))
			return false;
	*n += ev->len;
	return true;
}

/* The recording holds at least what was released, at most what was sent, and every byte in its place. */
static bool
recording_fits(struct store_snap *snap, const struct leg *leg)
{
	uint64_t n_in = 0, n_out = 0;
	struct recording_part part;
	struct recording *rec;
	bool good = true;
	int r;

	if (recording_open(snap, leg->link.sid, &rec) != 0)
		return false;
	while (good && (r = recording_next(rec, &part)) == 0) {
		struct event_reader reader;
		struct event ev;

		event_reader_init(&reader, part.data, part.len, part.first_seq, part.base_ns);
		while (good && event_next(&reader, &ev) == 0)
			good = event_fits(leg, &ev, &n_in, &n_out);
	}
	recording_close(rec);
	return good && r == ERR_NOT_FOUND && n_in >= leg->in.got && n_in <= leg->in.sent &&
	       n_out >= leg->out.got && n_out <= leg->out.sent;
}

static void
print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	printf("# %s at %s: %s\n", verify_kind_name(f->kind), f->place, f->text);
}

static bool
verifies(const char *dir, struct leg *legs, uint64_t *ret_truncated)
{
	struct verify_conf conf = { .found = print_finding };
	struct verify_result result;
	struct store_snap *snap = NULL;
	struct store *store = NULL;
	struct note_key key;
	char path[512], *text = NULL;
	size_t len;
	bool good;

	(void)snprintf(path, sizeof(path), "%s/recorder.pub", dir);
	good = file_read(path, NOTE_VKEY_SIZE, &text, &len) == 0 &&
	       note_key_parse(text, len, &key) == 0;
	conf.key = &key;
	(void)snprintf(path, sizeof(path), "%s/recorder", dir);
	good = good && store_open_read(path, &store) == 0 && store_snap_new(store, &snap) == 0 &&
	       verify_all(snap, &conf, &result) == 0;
	for (int i = 0; good && legs != NULL && i < LEGS; i++)
		good = recording_fits(snap, &legs[i]);
	if (good)
		*ret_truncated = result.n_truncated;
	store_snap_free(snap);
	store_close(store);
	free(text);
	return good;
}

static void
run_round(struct drive *d, const char *dir, int round, uint32_t *next_id, uint64_t *truncated)
{
	struct leg *legs = calloc(LEGS, sizeof(*legs));
	uint64_t life_ms = LIFE_MIN_MS + draw(LIFE_MAX_MS - LIFE_MIN_MS), before = *truncated;
	bool good, drained;

	if (legs == NULL)
		exit(99);
	drive_start(d, dir, round % 4 == 3 ? "process" : "strict");
	for (int i = 0; i < LEGS; i++) {
		drive_open(d, (*next_id)++, &legs[i].link);
		drive_channel(d, &legs[i].link);
		legs[i].in.credit = legs[i].out.credit = LINK_CREDIT;
		legs[i].frame = i % 3 == 0 ? 1 + draw(40) : 1 + draw(LINK_DATA_MAX);
	}
	good = exchange(d, legs, clock_boot_ns() + life_ms * CLOCK_NS_PER_MS);
	drive_kill(d);
	drained = drain(d, legs);
	ok(good && drained, "what arrived is what was sent", round);
	ok(verifies(dir, legs, truncated), "the store verifies, nothing released is lost", round);
	drive_start(d, dir, "strict");
	drive_stop(d);
	ok(verifies(dir, legs, truncated) && *truncated == before + LEGS,
	    "recovered: every session has its signed end", round);
	free(legs);
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtoul(argv[1], NULL, 10) : 20;
	const char *tmp = getenv("TMPDIR");
	struct drive *d = calloc(1, sizeof(*d));
	uint32_t next_id = 1;
	uint64_t truncated = 0;
	char dir[256];

	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : clock_wall_ns();
	printf("# seed %llu\n1..%d\n", (unsigned long long)seed, 3 * rounds);
	(void)snprintf(dir, sizeof(dir), "%s/bastion-crash.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (d == NULL || mkdtemp(dir) == NULL || secret_init() != 0 || hash_init() != 0)
		return 99;
	for (int round = 0; round < rounds; round++)
		run_round(d, dir, round, &next_id, &truncated);
	drive_remove(dir);
	free(d);
	return tests_failed > 0;
}
