/* Days and hours. */
#include "config.h"

#include <string.h>

#include "lib/clock.h"
#include "policy/hours.h"

#define DAY_S 86400
#define WEEK 7
#define EPOCH_WEEKDAY 3 /* 1970-01-01 was a Thursday, and Monday is 0 */

static const char day_names[WEEK][4] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static bool
take_day(const char **s, unsigned *ret_day)
{
	for (unsigned i = 0; i < WEEK; i++)
		if (strncmp(*s, day_names[i], 3) == 0) {
			*s += 3;
			*ret_day = i;
			return true;
		}
	return false;
}

int
hours_parse_days(const char *s, uint8_t *days)
{
	unsigned from, to;

	if (!take_day(&s, &from))
		return ERR_FORMAT;
	to = from;
	if (*s == '-') {
		s++;
		if (!take_day(&s, &to))
			return ERR_FORMAT;
	}
	if (*s != '\0')
		return ERR_FORMAT;
	for (unsigned i = from;; i = (i + 1) % WEEK) {
		*days = (uint8_t)(*days | 1u << i);
		if (i == to)
			return 0;
	}
}

/* "hh:mm" to minutes. */
static bool
take_time(const char *s, unsigned *ret_minutes)
{
	unsigned v[4];

	for (unsigned i = 0, k = 0; i < 5; i++) {
		if (i == 2) {
			if (s[i] != ':')
				return false;
			continue;
		}
		if (s[i] < '0' || s[i] > '9')
			return false;
		v[k++] = (unsigned)(s[i] - '0');
	}
	*ret_minutes = (v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3];
	return v[2] < 6 && *ret_minutes <= HOURS_MINUTES;
}

int
hours_parse_span(const char *s, struct hours_span *ret_span)
{
	unsigned from, to;

	if (strlen(s) != 11 || s[5] != '-' || !take_time(s, &from) || !take_time(s + 6, &to))
		return ERR_FORMAT;
	if (from == to || from == HOURS_MINUTES || to == 0)
		return ERR_FORMAT;
	*ret_span = (struct hours_span){ (uint16_t)from, (uint16_t)to };
	return 0;
}

static bool
has_day(const struct hours *w, unsigned day)
{
	return (w->days & 1u << day) != 0;
}

static bool
span_holds(const struct hours *w, const struct hours_span *s, unsigned day, unsigned minute)
{
	if (s->from < s->to)
		return has_day(w, day) && minute >= s->from && minute < s->to;
	return (has_day(w, day) && minute >= s->from) ||
	       (has_day(w, (day + WEEK - 1) % WEEK) && minute < s->to);
}

bool
hours_hold(const struct hours *w, uint64_t wall_ns)
{
	int64_t t = (int64_t)(wall_ns / CLOCK_NS_PER_S);
	unsigned day, minute;

	if (!w->limited)
		return true;
	t += zone_offset_s(&w->zone, t);
	/* A zone west of Greenwich, in the first hours of 1970: still a weekday. */
	t += (int64_t)WEEK * DAY_S;
	day = (unsigned)((t / DAY_S + EPOCH_WEEKDAY) % WEEK);
	minute = (unsigned)(t % DAY_S / 60);
	if (w->n_hours == 0)
		return has_day(w, day);
	for (size_t i = 0; i < w->n_hours; i++)
		if (span_holds(w, &w->hours[i], day, minute))
			return true;
	return false;
}
