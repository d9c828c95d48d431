/* Fields of digits of fixed width, checked one by one; the calendar is libc's. */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "lib/str.h"

/* Exactly n digits at *p, which moves behind them. */
static bool
when_digits(const char **p, size_t n, int *ret_v)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*p)[i]))
			return false;
		v = v * 10 + ((*p)[i] - '0');
	}
	*p += n;
	*ret_v = v;
	return true;
}

static bool
when_char(const char **p, const char *any_of)
{
	if (**p == '\0' || strchr(any_of, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* ".5" and so on, up to nine digits, as nanoseconds; nothing there is 0. */
static bool
when_fraction(const char **p, uint64_t *ret_ns)
{
	uint64_t ns = 0, scale = CLOCK_NS_PER_S;

	*ret_ns = 0;
	if (!when_char(p, "."))
		return true;
	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		scale /= 10;
		if (scale == 0)
			return false;
		ns += (uint64_t)(**p - '0') * scale;
	}
	*ret_ns = ns;
	return true;
}

static bool
when_date(const char **p, struct tm *tm)
{
	if (!when_digits(p, 4, &tm->tm_year) || !when_char(p, "-") ||
	    !when_digits(p, 2, &tm->tm_mon) || !when_char(p, "-") ||
	    !when_digits(p, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return tm->tm_year >= 70 && tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= 31;
}

static bool
when_clock(const char **p, struct tm *tm, uint64_t *ret_fraction_ns)
{
	*ret_fraction_ns = 0;
	if (!when_digits(p, 2, &tm->tm_hour) || !when_char(p, ":") ||
	    !when_digits(p, 2, &tm->tm_min))
		return false;
	if (when_char(p, ":") &&
	    (!when_digits(p, 2, &tm->tm_sec) || !when_fraction(p, ret_fraction_ns)))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

/* tm: as read; the calendar must agree that such a day exists. */
static int
when_seconds(struct tm *tm, bool utc, uint64_t fraction_ns, uint64_t *ret_ns)
{
	int day = tm->tm_mday;
	time_t t;

	tm->tm_isdst = -1;
	t = utc ? timegm(tm) : mktime(tm);
	if (t < 0 || tm->tm_mday != day || (uint64_t)t > UINT64_MAX / CLOCK_NS_PER_S - 1)
		return ERR_FORMAT;
	*ret_ns = (uint64_t)t * CLOCK_NS_PER_S + fraction_ns;
	return 0;
}

int
when_parse_utc(const char *text, uint64_t *ret_ns)
{
	const char *p = text;
	uint64_t fraction;
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	if (!when_date(&p, &tm) || !when_char(&p, "T") || !when_clock(&p, &tm, &fraction) ||
	    strcmp(p, "Z") != 0)
		return ERR_FORMAT;
	return when_seconds(&tm, true, fraction, ret_ns);
}

static int
when_parse_local(const char *text, uint64_t *ret_ns)
{
	const char *p = text;
	uint64_t fraction = 0;
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	if (!when_date(&p, &tm))
		return ERR_FORMAT;
	if (*p != '\0' && (!when_char(&p, " T") || !when_clock(&p, &tm, &fraction) || *p != '\0'))
		return ERR_FORMAT;
	return when_seconds(&tm, false, fraction, ret_ns);
}

int
when_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns)
{
	uint64_t span;

	if (num_parse_span(text, &span) == 0) {
		*ret_ns = span < now_ns ? now_ns - span : 0;
		return 0;
	}
	if (when_parse_utc(text, ret_ns) == 0)
		return 0;
	return when_parse_local(text, ret_ns);
}

/* The next number of an offset: one to six digits. */
static bool
when_number(const char **p, uint64_t *ret_v)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < 7 && isdigit((unsigned char)**p); n++, (*p)++)
		v = v * 10 + (uint64_t)(**p - '0');
	*ret_v = v;
	return n > 0 && n < 7;
}

/* "1h2m30s": each unit at most once, larger ones first. */
static int
when_parse_units(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "h", 3600 * CLOCK_NS_PER_S }, { "ms", CLOCK_NS_PER_MS },
		{ "m", 60 * CLOCK_NS_PER_S }, { "s", CLOCK_NS_PER_S } };
	uint64_t total = 0, last = UINT64_MAX, v;
	const char *p = text;

	do {
		size_t i = 0, n = sizeof(units) / sizeof(units[0]);

		if (!when_number(&p, &v))
			return ERR_FORMAT;
		while (i < n && !str_starts(p, units[i].name))
			i++;
		if (i == n || units[i].ns >= last)
			return ERR_FORMAT;
		p += strlen(units[i].name);
		last = units[i].ns;
		total += v * last;
	} while (*p != '\0');
	*ret_ns = total;
	return 0;
}

int
when_parse_offset(const char *text, uint64_t *ret_ns)
{
	const char *p = text;
	uint64_t total = 0, v, fraction;
	int parts = 0;

	if (num_parse_span(text, ret_ns) == 0 || when_parse_units(text, ret_ns) == 0)
		return 0;
	do {
		if (!when_number(&p, &v) || (parts > 0 && v > 59) || ++parts > 3)
			return ERR_FORMAT;
		total = total * 60 + v;
	} while (when_char(&p, ":"));
	if (!when_fraction(&p, &fraction) || *p != '\0')
		return ERR_FORMAT;
	*ret_ns = total * CLOCK_NS_PER_S + fraction;
	return 0;
}
