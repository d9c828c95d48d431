/*
 * A table for each of the first four bytes says which words have that byte there; what all of them have in common is compared in
 * full.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/mask_scan.h"

#define TABLES 4u

struct word {
	const char *text;
	size_t len;
	uint64_t rule; /* its bit */
};

struct mask_scan {
	uint64_t bits[TABLES][256]; /* words, a bit each */
	struct word words[MASK_SCAN_WORDS];
	size_t n;
	uint64_t rules[MASK_SCAN_RULES]; /* words of each */
};

struct mask_scan *
mask_scan_new(void)
{
	return calloc(1, sizeof(struct mask_scan));
}

void
mask_scan_free(struct mask_scan *m)
{
	free(m);
}

static uint8_t
other_case(uint8_t c)
{
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

	return letter ? c ^ 0x20 : c;
}

static int
add_word(struct mask_scan *m, size_t rule, const char *text, size_t len)
{
	uint64_t bit = 1ull << m->n;

	if (len < MASK_SCAN_MIN)
		return ERR_FORMAT;
	if (m->n == MASK_SCAN_WORDS)
		return ERR_LIMIT;
	for (size_t i = 0; i < TABLES; i++) {
		uint8_t c = i < len ? (uint8_t)text[i] : 0;

		m->bits[i][c] |= bit;
		m->bits[i][other_case(c)] |= bit;
		for (size_t k = 0; i >= len && k < 256; k++)
			m->bits[i][k] |= bit;
	}
	m->words[m->n++] = (struct word){ text, len, 1ull << rule };
	m->rules[rule] |= bit;
	return 0;
}

int
mask_scan_add(struct mask_scan *m, size_t rule, const char *starts)
{
	int r = 0;

	if (rule >= MASK_SCAN_RULES)
		return ERR_LIMIT;
	while (r == 0 && *starts != '\0') {
		size_t len = strcspn(starts, " ");

		r = add_word(m, rule, starts, len);
		starts += len + strspn(starts + len, " ");
	}
	return r;
}

/* Rules of which one of these words stands at p; more: or what there is of it. */
static uint64_t
found(const struct mask_scan *m, uint64_t words, const uint8_t *p, size_t n, bool more)
{
	uint64_t rules = 0;

	for (; words != 0; words &= words - 1) {
		const struct word *w = &m->words[__builtin_ctzll(words)];
		size_t now = w->len < n ? w->len : n;

		if ((now == w->len || more) && strncasecmp(w->text, (const char *)p, now) == 0)
			rules |= w->rule;
	}
	return rules;
}

/* The next place from *at on where one of these words may stand; which. */
static uint64_t
next_words(const struct mask_scan *m, uint64_t words, const uint8_t *p, size_t n, size_t *at)
{
	size_t i = *at;
	uint64_t some = 0;

	for (; n - i >= TABLES; i++)
		if ((some = m->bits[0][p[i]] & m->bits[1][p[i + 1]] & m->bits[2][p[i + 2]] &
			    m->bits[3][p[i + 3]] & words) != 0)
			break;
	*at = i;
	if (n - i >= TABLES)
		return some;
	/* So near to the end that not all tables can be asked. */
	for (size_t k = 0; k < n - i; k++)
		words &= m->bits[k][p[i + k]];
	return words;
}

void
mask_scan_first(const struct mask_scan *m, uint64_t rules, const uint8_t *p, size_t n, size_t from,
    bool more, size_t first[MASK_SCAN_RULES])
{
	uint64_t words = 0, yes;

	for (uint64_t left = rules; left != 0; left &= left - 1) {
		first[__builtin_ctzll(left)] = n;
		words |= m->rules[__builtin_ctzll(left)];
	}
	for (size_t i = from; i < n && words != 0; i++) {
		uint64_t some = next_words(m, words, p, n, &i);

		yes = found(m, some, p + i, i < n ? n - i : 0, more);
		for (; yes != 0; yes &= yes - 1) {
			first[__builtin_ctzll(yes)] = i;
			words &= ~m->rules[__builtin_ctzll(yes)];
		}
	}
}
