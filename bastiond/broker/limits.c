/* Counting connections by source. */
#include "config.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/limits.h"
#include "lib/hash.h"

#define LIMITS_BUCKETS 1024u

LIST_HEAD(limits_bucket, limits_ticket);

struct limits {
	struct penalty *penalty;
	uint8_t salt[16];
	size_t n_connections, n_startups;
	uint64_t refused[LIMITS_N_VERDICTS];
	unsigned (*dice)(void);
	struct limits_bucket buckets[LIMITS_BUCKETS];
};

static const struct {
	const char *name, *text;
} limits_words[LIMITS_N_VERDICTS] = {
	[LIMITS_OK] = { "ok", "" },
	[LIMITS_CONNECTIONS] = { "connections", "Too many connections" },
	[LIMITS_PER_SOURCE] = { "per_source", "Too many connections from this address" },
	[LIMITS_STARTUPS] = { "startups", "Exceeded MaxStartups" },
	[LIMITS_PENALTY] = { "penalty", "Not allowed at this time" },
	[LIMITS_JUMPS] = { "jumps", "Too many hosts at once behind one connection" },
};

const char *
limits_text(enum limits_verdict v)
{
	return limits_words[v].text;
}

const char *
limits_name(enum limits_verdict v)
{
	return limits_words[v].name;
}

/* 0 to 99; without a random number 0, the strictest. The remainder's bias is far below a percent. */
static unsigned
limits_dice(void)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		return 0;
	return v % 100;
}

struct limits *
limits_new(struct penalty *penalty)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->penalty = penalty;
	l->dice = limits_dice;
	for (size_t i = 0; i < LIMITS_BUCKETS; i++)
		LIST_INIT(&l->buckets[i]);
	if (getrandom(l->salt, sizeof(l->salt), 0) != sizeof(l->salt)) {
		free(l);
		return NULL;
	}
	return l;
}

void
limits_free(struct limits *l)
{
	free(l);
}

void
limits_set_dice(struct limits *l, unsigned (*dice)(void))
{
	l->dice = dice;
}

static struct limits_bucket *
limits_bucket_of(struct limits *l, const struct net_addr *source)
{
	uint8_t h[HASH_LEN];
	uint32_t place;

	hash_sha256_parts(l->salt, sizeof(l->salt), source->b, sizeof(source->b), NULL, 0, h);
	memcpy(&place, h, sizeof(place));
	return &l->buckets[place % LIMITS_BUCKETS];
}

static bool
limits_drop_startup(struct limits *l, const struct settings_startups *s, size_t of_source)
{
	uint64_t n = l->n_startups, full = s->full, percent;

	if (n >= full)
		return true;
	if (n < s->begin || of_source == 0)
		return false;
	if (n >= full - full / 4)
		return true;
	percent = s->rate + (100 - s->rate) * (n - s->begin) / (full - s->begin);
	return l->dice() < percent;
}

/* Whether there is room for one more from outside. ret_starting: connections of this source that have not logged in. */
static enum limits_verdict
limits_room(
    struct limits *l, const struct settings *s, const struct net_addr *a, size_t *ret_starting)
{
	size_t of_source = 0, starting = 0;
	struct net_addr source = *a;
	const struct limits_ticket *t;

	if (l->n_connections >= s->connections)
		return LIMITS_CONNECTIONS;
	penalty_source(s, &source);
	LIST_FOREACH (t, limits_bucket_of(l, &source), link)
		if (net_same(&t->source, &source)) {
			of_source++;
			starting += t->startup;
		}
	*ret_starting = starting;
	return of_source >= s->per_source ? LIMITS_PER_SOURCE : LIMITS_OK;
}

static enum limits_verdict
limits_decide(struct limits *l, const struct settings *s, const struct net_addr *a)
{
	enum limits_verdict v;
	size_t starting;
	uint64_t left;

	if (penalty_active(l->penalty, s, a, &left))
		return LIMITS_PENALTY;
	if ((v = limits_room(l, s, a, &starting)) != LIMITS_OK)
		return v;
	return limits_drop_startup(l, &s->startups, starting) ? LIMITS_STARTUPS : LIMITS_OK;
}

static enum limits_verdict
limits_counted(struct limits *l, enum limits_verdict v)
{
	if (v != LIMITS_OK)
		l->refused[v]++;
	return v;
}

enum limits_verdict
limits_check(struct limits *l, const struct settings *s, const struct net_addr *a)
{
	return limits_counted(l, limits_decide(l, s, a));
}

enum limits_verdict
limits_check_jump(struct limits *l, const struct settings *s, size_t n, size_t max)
{
	enum limits_verdict v = LIMITS_OK;

	if (n >= max)
		v = LIMITS_JUMPS;
	else if (l->n_connections >= s->connections)
		v = LIMITS_CONNECTIONS;
	return limits_counted(l, v);
}

void
limits_enter(
    struct limits *l, const struct settings *s, const struct net_addr *a, struct limits_ticket *t)
{
	*t = (struct limits_ticket){ .source = *a, .counted = true, .startup = true };
	penalty_source(s, &t->source);
	LIST_INSERT_HEAD(limits_bucket_of(l, &t->source), t, link);
	l->n_connections++;
	l->n_startups++;
}

void
limits_enter_jump(struct limits *l, struct limits_ticket *t)
{
	*t = (struct limits_ticket){ .counted = true, .nested = true };
	l->n_connections++;
}

void
limits_logged_in(struct limits *l, struct limits_ticket *t)
{
	if (!t->counted || !t->startup)
		return;
	t->startup = false;
	l->n_startups--;
}

void
limits_leave(struct limits *l, struct limits_ticket *t)
{
	if (!t->counted)
		return;
	limits_logged_in(l, t);
	t->counted = false;
	if (!t->nested)
		LIST_REMOVE(t, link);
	l->n_connections--;
}

size_t
limits_connections(const struct limits *l)
{
	return l->n_connections;
}

size_t
limits_startups(const struct limits *l)
{
	return l->n_startups;
}

uint64_t
limits_refused(const struct limits *l, enum limits_verdict v)
{
	return l->refused[v];
}
