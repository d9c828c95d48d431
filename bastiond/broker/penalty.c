/* Penalties in a set-associative table: no allocation and no long search, whatever a flood does. */
#include "config.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/penalty.h"
#include "lib/clock.h"
#include "lib/hash.h"

#define PENALTY_WAYS 8u /* entries that share a place */

struct penalty_entry {
	struct net_addr source;
	uint64_t until_ns;   /* boot clock; 0: free */
	uint64_t charged_ns; /* in all since the entry was last free */
	bool refused;
};

struct penalty {
	uint8_t salt[16]; /* so that nobody outside can aim at a place */
	size_t n_sets;
	struct penalty_entry *entries;
};

static const char *const penalty_names[PENALTY_N_KINDS] = { "crash", "alarm", "auth_failure",
	"no_auth", "grace_exceeded" };

const char *
penalty_kind_name(enum penalty_kind kind)
{
	return penalty_names[kind];
}

struct penalty *
penalty_new(size_t sources)
{
	struct penalty *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->n_sets = (sources + PENALTY_WAYS - 1) / PENALTY_WAYS;
	p->entries = calloc(p->n_sets * PENALTY_WAYS, sizeof(*p->entries));
	if (p->entries == NULL || getrandom(p->salt, sizeof(p->salt), 0) != sizeof(p->salt)) {
		penalty_free(p);
		return NULL;
	}
	return p;
}

void
penalty_free(struct penalty *p)
{
	if (p == NULL)
		return;
	free(p->entries);
	free(p);
}

static bool
penalty_exempt(const struct settings *s, const struct net_addr *a)
{
	for (size_t i = 0; i < s->penalties.exempt.n; i++)
		if (net_prefix_has(&s->penalties.exempt.prefix[i], a))
			return true;
	return false;
}

static struct penalty_entry *
penalty_set(const struct penalty *p, const struct net_addr *source)
{
	uint8_t h[HASH_LEN];
	uint32_t place;

	hash_sha256_parts(p->salt, sizeof(p->salt), source->b, sizeof(source->b), NULL, 0, h);
	memcpy(&place, h, sizeof(place));
	return &p->entries[place % p->n_sets * PENALTY_WAYS];
}

static struct penalty_entry *
penalty_find(const struct penalty *p, const struct net_addr *source)
{
	struct penalty_entry *set = penalty_set(p, source);

	for (size_t i = 0; i < PENALTY_WAYS; i++)
		if (set[i].until_ns != 0 && net_same(&set[i].source, source))
			return &set[i];
	return NULL;
}

/* The source's own entry, a free one, or the one that ends soonest. */
static struct penalty_entry *
penalty_take(const struct penalty *p, const struct net_addr *source)
{
	struct penalty_entry *set = penalty_set(p, source);
	struct penalty_entry *e = penalty_find(p, source);

	for (size_t i = 0; e == NULL && i < PENALTY_WAYS; i++)
		if (set[i].until_ns == 0)
			e = &set[i];
	if (e == NULL) {
		e = &set[0];
		for (size_t i = 1; i < PENALTY_WAYS; i++)
			if (set[i].until_ns < e->until_ns)
				e = &set[i];
		*e = (struct penalty_entry){ 0 };
	}
	e->source = *source;
	return e;
}

static uint64_t
penalty_span(const struct settings *s, enum penalty_kind kind)
{
	const uint64_t spans[PENALTY_N_KINDS] = { s->penalties.crash_ns, s->penalties.alarm_ns,
		s->penalties.auth_failure_ns, s->penalties.no_auth_ns,
		s->penalties.grace_exceeded_ns };

	return spans[kind];
}

void
penalty_source(const struct settings *s, struct net_addr *a)
{
	net_mask(a, (unsigned)s->source_prefix.v4, (unsigned)s->source_prefix.v6);
}

bool
penalty_add(
    struct penalty *p, const struct settings *s, const struct net_addr *a, enum penalty_kind kind)
{
	uint64_t now = clock_boot_ns(), span = penalty_span(s, kind), max = s->penalties.max_ns;
	struct net_addr source = *a;
	struct penalty_entry *e;
	bool before;

	if (span == 0 || penalty_exempt(s, a))
		return false;
	penalty_source(s, &source);
	e = penalty_take(p, &source);
	if (e->until_ns <= now) {
		*e = (struct penalty_entry){ .source = source, .until_ns = now };
	}
	before = e->refused;
	e->charged_ns = e->charged_ns + span < max ? e->charged_ns + span : max;
	e->until_ns = e->until_ns + span < now + max ? e->until_ns + span : now + max;
	e->refused = e->charged_ns >= s->penalties.from_ns;
	return e->refused && !before;
}

bool
penalty_active(
    struct penalty *p, const struct settings *s, const struct net_addr *a, uint64_t *ret_left_ns)
{
	uint64_t now = clock_boot_ns();
	struct net_addr source = *a;
	struct penalty_entry *e;

	if (penalty_exempt(s, a))
		return false;
	penalty_source(s, &source);
	e = penalty_find(p, &source);
	if (e == NULL)
		return false;
	if (e->until_ns <= now) {
		*e = (struct penalty_entry){ 0 };
		return false;
	}
	if (!e->refused)
		return false;
	*ret_left_ns = e->until_ns - now;
	return true;
}

void
penalty_count(const struct penalty *p, size_t *ret_known, size_t *ret_refused)
{
	uint64_t now = clock_boot_ns();

	*ret_known = *ret_refused = 0;
	for (size_t i = 0; i < p->n_sets * PENALTY_WAYS; i++)
		if (p->entries[i].until_ns > now) {
			++*ret_known;
			*ret_refused += p->entries[i].refused;
		}
}
