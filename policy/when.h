/* Times of a rule: days of the week and hours, in a time zone. */
#ifndef BASTION_WHEN_H
#define BASTION_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/zone.h"

#define WHEN_HOURS_MAX 8u /* spans of hours in one rule */
#define WHEN_MINUTES 1440u

/* Minutes of the day, from <= t < to; to <= from: past midnight into the next day. */
struct when_span {
	uint16_t from, to;
};

struct when {
	bool limited; /* false: always */
	uint8_t days; /* bit 0 is Monday */
	struct when_span hours[WHEN_HOURS_MAX];
	size_t n_hours; /* 0: all day */
	struct zone_ref zone;
};

/* "mon-fri", "sat", "fri-mon"; adds to *days. 0; ERR_FORMAT. */
int when_parse_days(const char *s, uint8_t *days) MUST_CHECK;
/* "08:00-18:00", "22:00-06:00", "00:00-24:00". 0; ERR_FORMAT, also for an empty span. */
int when_parse_hours(const char *s, struct when_span *ret_span) MUST_CHECK;
/*
 * Whether the moment is inside. The part of a span behind midnight belongs to the day on which the span began.
 * wall_ns: since 1970-01-01 UTC.
 */
bool when_holds(const struct when *w, uint64_t wall_ns);

#endif
