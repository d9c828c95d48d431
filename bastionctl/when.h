/* Times as text: those of our own JSON, and those that people give on a command line. */
#ifndef BASTION_CTL_WHEN_H
#define BASTION_CTL_WHEN_H

#include <stdint.h>

#include "lib/err.h"

/*
 * "2026-01-02T03:04:05.000000006Z" (the fraction may be shorter or absent) to nanoseconds since 1970; the time zone must be Z.
 * 0; ERR_FORMAT.
 */
int when_parse_utc(const char *text, uint64_t *ret_ns) MUST_CHECK;
/*
 * The same, or local time "2026-01-02", "2026-01-02 03:04", "2026-01-02 03:04:05" (a T may stand for the space), or a span
 * before now_ns: "30m", "8h", "2d". 0; ERR_FORMAT.
 */
int when_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns) MUST_CHECK;
/*
 * A moment inside a recording: "90" or "90.5" seconds, "1:30", "1:02:03.5", or a span with its unit, "90s", "1m30s",
 * "500ms". 0;
 * ERR_FORMAT.
 */
int when_parse_offset(const char *text, uint64_t *ret_ns) MUST_CHECK;

#endif
