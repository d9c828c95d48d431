/* A bucket of saved commits. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/commit.h"

#define NS_PER_COMMIT (1000000000ull / COMMIT_RATE)
#define TOKENS_MAX (NS_PER_COMMIT * COMMIT_BURST)

void
commit_init(struct commit *c, uint64_t now_ns)
{
	c->tokens_ns = TOKENS_MAX;
	c->at_ns = now_ns;
}

/* Tokens at now: time itself is what is saved. */
static uint64_t
tokens_at(const struct commit *c, uint64_t now_ns)
{
	uint64_t passed = now_ns > c->at_ns ? now_ns - c->at_ns : 0;

	return passed > TOKENS_MAX - c->tokens_ns ? TOKENS_MAX : c->tokens_ns + passed;
}

uint64_t
commit_wait(const struct commit *c, uint64_t now_ns, size_t pending)
{
	uint64_t tokens = tokens_at(c, now_ns);

	if (pending >= COMMIT_BYTES || tokens >= NS_PER_COMMIT)
		return 0;
	return NS_PER_COMMIT - tokens;
}

void
commit_done(struct commit *c, uint64_t now_ns)
{
	uint64_t tokens = tokens_at(c, now_ns);

	c->tokens_ns = tokens > NS_PER_COMMIT ? tokens - NS_PER_COMMIT : 0;
	c->at_ns = now_ns;
}

void
commit_times_add(struct commit_times *t, uint64_t took_ns)
{
	uint64_t us = took_ns / 1000;

	t->us[t->n % COMMIT_SAMPLES] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	t->n++;
}

static int
u32_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t
commit_times_quantile(const struct commit_times *t, unsigned per_mille)
{
	size_t n = t->n < COMMIT_SAMPLES ? (size_t)t->n : COMMIT_SAMPLES;
	uint32_t sorted[COMMIT_SAMPLES];

	if (n == 0)
		return 0;
	memcpy(sorted, t->us, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), u32_cmp);
	return (uint64_t)sorted[(n - 1) * per_mille / 1000] * 1000;
}
