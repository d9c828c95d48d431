/* Checked numbers. */
#include "config.h"

#include <string.h>

#include "lib/num.h"

int
num_u32(size_t v, uint32_t *ret_v)
{
	if (v > UINT32_MAX)
		return ERR_LIMIT;
	*ret_v = (uint32_t)v;
	return 0;
}

int
num_add(uint64_t a, uint64_t b, uint64_t *ret_v)
{
	uint64_t v;

	if (__builtin_add_overflow(a, b, &v))
		return ERR_LIMIT;
	*ret_v = v;
	return 0;
}

int
num_mul(uint64_t a, uint64_t b, uint64_t *ret_v)
{
	uint64_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return ERR_LIMIT;
	*ret_v = v;
	return 0;
}

/* The digits at the front of s. *ret_rest points behind them. */
static int
num_digits(const char *s, uint64_t *ret_v, const char **ret_rest)
{
	uint64_t v = 0;
	const char *p = s;

	if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
		return ERR_FORMAT;
	for (; *p >= '0' && *p <= '9'; p++)
		if (num_mul(v, 10, &v) != 0 || num_add(v, (uint64_t)(*p - '0'), &v) != 0)
			return ERR_LIMIT;
	*ret_v = v;
	*ret_rest = p;
	return 0;
}

int
num_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret_v)
{
	const char *rest;
	uint64_t v;
	int r = num_digits(s, &v, &rest);

	if (r != 0)
		return r;
	if (*rest != '\0')
		return ERR_FORMAT;
	if (v < min || v > max)
		return ERR_LIMIT;
	*ret_v = v;
	return 0;
}

struct num_unit {
	const char *name;
	uint64_t factor;
};

static int
num_parse_unit(const char *s, const struct num_unit *units, size_t n_units, uint64_t *ret_v)
{
	const char *rest;
	uint64_t v;
	int r = num_digits(s, &v, &rest);

	if (r != 0)
		return r;
	for (size_t i = 0; i < n_units; i++)
		if (strcmp(rest, units[i].name) == 0)
			return num_mul(v, units[i].factor, ret_v);
	return ERR_FORMAT;
}

int
num_parse_span(const char *s, uint64_t *ret_ns)
{
	static const struct num_unit units[] = {
		{ "ms", 1000000u },
		{ "s", 1000000000u },
		{ "m", 60u * 1000000000ull },
		{ "h", 3600u * 1000000000ull },
		{ "d", 86400u * 1000000000ull },
	};

	return num_parse_unit(s, units, sizeof(units) / sizeof(units[0]), ret_ns);
}

int
num_parse_size(const char *s, uint64_t *ret_bytes)
{
	static const struct num_unit units[] = {
		{ "", 1 },
		{ "K", 1ull << 10 },
		{ "M", 1ull << 20 },
		{ "G", 1ull << 30 },
		{ "T", 1ull << 40 },
	};

	return num_parse_unit(s, units, sizeof(units) / sizeof(units[0]), ret_bytes);
}
