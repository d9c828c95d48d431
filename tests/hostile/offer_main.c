/*
 * Tries to get in without proving anything.
 *
 *   bastion-offer list [partial]                    "MODE EVENT COUNT PENALTY TEXT": what the audit log has of it
 *   bastion-offer run FILE PORT SOURCE LOGIN MODE   0: not in, and the connection ended; 1: not so; 3: could not be tried
 *   bastion-offer time FILE PORT SOURCE LOGIN N KEY[/SIGNER]:USER...
 *       N tries of each, in turn; for each "MEDIAN-US SEQUENCE" of the refusal; % in USER counts the tries
 *
 * FILE: of bastion-hostile keys. After its own messages each mode opens a session channel and asks for a shell.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/num.h"
#include "tests/hostile/offer.h"

#define WAIT_MS 20000
#define LONGEST_S 60
#define TRIES_MAX 200u
#define KINDS_MAX 8

static struct hostile h;

/* What came, by type; what must never come means that somebody is in. */
static bool
is_in(uint8_t type)
{
	return type == 52 || type == 81 || type == 91 || type == 99;
}

static int
fail(const struct offer_mode *m, const char *what, unsigned type)
{
	fprintf(stderr, "%s: %s %u\n", m->name, what, type);
	return 1;
}

/* Until this type. 0; 1 something is wrong, or -1 the connection is over, which may be right. */
static int
await(struct rawssh *s, const struct offer_mode *m, uint8_t type)
{
	int r;

	while ((r = rawssh_recv(s, WAIT_MS)) == 0) {
		if (is_in(s->payload[0]))
			return fail(m, "somebody is in:", s->payload[0]);
		if (s->payload[0] == type)
			return 0;
		if (s->payload[0] == 1 || s->payload[0] == 51 || s->payload[0] == 60)
			return fail(m, "another answer:", s->payload[0]);
	}
	return r == -ETIMEDOUT ? fail(m, "no answer of type", type) : -1;
}

static int
run_step(struct rawssh *s, const struct offer_mode *m, const struct offer_step *step)
{
	unsigned times = step->times > 0 ? step->times : 1;
	int r = 0;

	for (; r == 0 && times > 0; times--) {
		struct buf *b =
		    step->request != NULL ? offer_make(&h, step->request, s->sid) : NULL;

		r = b != NULL ? rawssh_send(s, buf_ptr(b), buf_len(b))
			      : rawssh_send(s, step->bytes, step->len);
		buf_free(b);
		if (r != 0)
			return -1;
		if (step->want != 0)
			r = await(s, m, step->want);
		/* A flood of these is meant to be ended somewhere in the middle. */
		if (r == 1 && step->times > 0 && s->payload[0] == 1)
			r = -1;
	}
	return r;
}

/* Whatever was said: a session and a shell. The connection ends, and nobody was in. */
static int
ask_for_a_shell(struct rawssh *s, const struct offer_mode *m)
{
	static const char open[] = "\132\0\0\0\7session\0\0\0\0\0\40\0\0\0\0\200\0";
	static const char shell[] = "\142\0\0\0\0\0\0\0\5shell\1";
	int r = rawssh_send(s, open, sizeof(open) - 1);

	if (r == 0)
		r = rawssh_send(s, shell, sizeof(shell) - 1);
	if (r != 0 && r != ERR_PEER_GONE)
		return fail(m, "cannot send", 0);
	while ((r = rawssh_recv(s, WAIT_MS)) == 0)
		if (is_in(s->payload[0]))
			return fail(m, "somebody is in:", s->payload[0]);
	return r == -ETIMEDOUT ? fail(m, "the connection does not end", 0) : 0;
}

static int
ask_for_the_service(struct rawssh *s)
{
	static const char service[] = "\5\0\0\0\14ssh-userauth";

	return rawssh_send(s, service, sizeof(service) - 1);
}

static int
run_early(struct rawssh *s, const struct offer_mode *m)
{
	const struct offer_step *step = m->steps;
	struct buf *b = step->request != NULL ? offer_make(&h, step->request, s->sid) : buf_new(64);
	int r = ERR_LIMIT;

	if (b != NULL && (step->request != NULL || buf_put(b, step->bytes, step->len) == 0))
		r = rawssh_exchange(s, b);
	buf_free(b);
	if (r == 0)
		return fail(m, "a key exchange after it succeeded", 0);
	return r == -ETIMEDOUT ? fail(m, "the connection does not end", 0) : 0;
}

static int
run_mode(struct rawssh *s, const struct offer_mode *m)
{
	int r;

	if (m->early)
		return run_early(s, m);
	if ((r = rawssh_exchange(s, NULL)) != 0) {
		fprintf(stderr, "%s: key exchange: %s\n", m->name, err_str(r));
		return 3;
	}
	if (!m->no_service && ask_for_the_service(s) != 0)
		return 3;
	for (const struct offer_step *step = m->steps; step < m->steps + 5; step++) {
		if (step->request == NULL && step->bytes == NULL)
			break;
		r = run_step(s, m, step);
		if (r != 0)
			return r < 0 ? 0 : r;
	}
	return ask_for_a_shell(s, m);
}

static int
run(const char *source, const struct offer_mode *m)
{
	struct rawssh s;
	int r = rawssh_connect(&s, source, h.port);

	if (r != 0) {
		fprintf(stderr, "%s: connect: %s\n", m->name, err_str(r));
		r = 3;
	} else {
		r = run_mode(&s, m);
	}
	rawssh_close(&s);
	return r;
}

/* ---- time and sameness */

struct kind {
	const char *key, *signer, *user;
	uint64_t us[TRIES_MAX];
	char sequence[512];
};

/* From the request to the last byte of the answer; types and lengths of what came go into sequence. */
static int
measure(const char *source, struct kind *k, unsigned n, char *sequence, size_t size)
{
	char user[200];
	const struct offer_request q = { .user = user, .key = k->key, .signer = k->signer };
	struct buf *b = NULL;
	struct rawssh s;
	uint64_t start;
	int at = 0, r;

	(void)snprintf(user, sizeof(user), "%.*s%u%s", (int)strcspn(k->user, "%"), k->user, n,
	    strchr(k->user, '%') != NULL ? strchr(k->user, '%') + 1 : "");
	if ((r = rawssh_connect(&s, source, h.port)) != 0 || (r = rawssh_exchange(&s, NULL)) != 0 ||
	    (r = ask_for_the_service(&s)) != 0)
		goto out;
	do
		r = rawssh_recv(&s, WAIT_MS);
	while (r == 0 && s.payload[0] != 6);
	b = offer_make(&h, &q, s.sid);
	start = clock_boot_ns();
	if (r == 0)
		r = rawssh_send(&s, buf_ptr(b), buf_len(b));
	do {
		if (r == 0)
			r = rawssh_recv(&s, WAIT_MS);
		if (r == 0 && (size_t)at < size)
			at += snprintf(sequence + at, size - (size_t)at, "%u:%zu,", s.payload[0],
			    s.payload_len);
	} while (r == 0 && s.payload[0] != 51 && s.payload[0] != 1);
	k->us[n] = (clock_boot_ns() - start) / 1000;
out:
	buf_free(b);
	rawssh_close(&s);
	return r;
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
measure_all(const char *source, unsigned tries, struct kind *kinds, int n)
{
	char sequence[512];
	int r;

	for (unsigned t = 0; t < tries; t++)
		for (int i = 0; i < n; i++) {
			struct kind *k = &kinds[i];

			sequence[0] = '\0';
			if ((r = measure(source, k, t, sequence, sizeof(sequence))) != 0) {
				fprintf(stderr, "%s: %s\n", k->user, err_str(r));
				return 3;
			}
			if (t == 0)
				memcpy(k->sequence, sequence, sizeof(sequence));
			else if (strcmp(k->sequence, sequence) != 0)
				memcpy(k->sequence, "differs", 8);
		}
	for (int i = 0; i < n; i++) {
		qsort(kinds[i].us, tries, sizeof(kinds[i].us[0]), by_size);
		printf("%llu %s\n", (unsigned long long)kinds[i].us[tries / 2], kinds[i].sequence);
	}
	return 0;
}

static int
times(const char *source, const char *tries, char **words)
{
	static struct kind kinds[KINDS_MAX];
	uint64_t n_tries;
	int n = 0;

	if (num_parse(tries, 1, TRIES_MAX, &n_tries) != 0)
		return 2;
	for (; n < KINDS_MAX && words[n] != NULL; n++) {
		char *colon = strchr(words[n], ':'), *slash;

		if (colon == NULL)
			return 2;
		*colon = '\0';
		if ((slash = strchr(words[n], '/')) != NULL) {
			*slash = '\0';
			kinds[n].signer = slash + 1;
		}
		kinds[n].key = words[n];
		kinds[n].user = colon + 1;
	}
	return measure_all(source, (unsigned)n_tries, kinds, n);
}

/* ---- */

static const struct offer_mode *
find(const char *name)
{
	static const struct offer_mode *const tables[] = { offer_modes, offer_partial_modes };

	for (size_t i = 0; i < 2; i++)
		for (const struct offer_mode *m = tables[i]; m->name != NULL; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

static int
list(const struct offer_mode *m)
{
	for (; m->name != NULL; m++)
		printf("%s %s %u %s %s\n", m->name, m->event, m->n_events, m->penalty, m->says);
	return 0;
}

static int
prepare(const char *file, const char *port, const char *login)
{
	char *secret = NULL;
	size_t len = 0;
	uint64_t n;

	if (file_read(file, sizeof(h.master), &secret, &len) != 0 || len != sizeof(h.master) ||
	    num_parse(port, 1, 65535, &n) != 0)
		return -1;
	memcpy(h.master, secret, sizeof(h.master));
	free(secret);
	h.port = (uint16_t)n;
	h.login = login;
	return 0;
}

int
main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 3;
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return list(argc == 3 ? offer_partial_modes : offer_modes);
	if (argc < 7 || prepare(argv[2], argv[3], argv[5]) != 0)
		return 2;
	if (strcmp(argv[1], "time") == 0)
		return times(argv[4], argv[6], argv + 7);
	if (strcmp(argv[1], "run") != 0 || find(argv[6]) == NULL)
		return 2;
	alarm(LONGEST_S);
	return run(argv[4], find(argv[6]));
}
