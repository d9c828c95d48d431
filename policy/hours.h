/* Times of a rule: days of the week and hours, in a time zone. */
#ifndef BASTION_HOURS_H
#define BASTION_HOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/zone.h"

#define HOURS_SPANS_MAX 8u /* spans of hours in one rule */
#define HOURS_MINUTES 1440u

/* Minutes of the day, from <= t < to; to <= from: past midnight into the next day. */
struct hours_span {
	uint16_t from, to;
};

struct hours {
	bool limited; /* false: always */
	uint8_t days; /* bit 0 is Monday */
	struct hours_span hours[HOURS_SPANS_MAX];
	size_t n_hours; /* 0: all day */
	struct zone_ref zone;
};

/* "mon-fri", "sat", "fri-mon"; adds to *days. 0; ERR_FORMAT. */
int hours_parse_days(const char *s, uint8_t *days) MUST_CHECK;
/* "08:00-18:00", "22:00-06:00", "00:00-24:00". 0; ERR_FORMAT, also for an empty span. */
int hours_parse_span(const char *s, struct hours_span *ret_span) MUST_CHECK;
/*
 * Whether the moment is inside. The part of a span behind midnight belongs to the day on which the span began.
 * wall_ns: since 1970-01-01 UTC.
 */
bool hours_hold(const struct hours *w, uint64_t wall_ns);

#endif
