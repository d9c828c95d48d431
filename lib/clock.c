/* Clocks, replaceable in tests. */
#include "config.h"

#include <stdio.h>
#include <time.h>

#include "lib/clock.h"

static uint64_t (*wall_override)(void);
static uint64_t (*boot_override)(void);

static uint64_t
clock_read(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	/* Cannot fail for these ids on Linux; a zero time would fail closed everywhere it is compared. */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_wall_ns(void)
{
	return wall_override != NULL ? wall_override() : clock_read(CLOCK_REALTIME);
}

uint64_t
clock_boot_ns(void)
{
	return boot_override != NULL ? boot_override() : clock_read(CLOCK_BOOTTIME);
}

char *
clock_text(char *dst, size_t size, uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / CLOCK_NS_PER_S);
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&s, &tm) != NULL)
		n = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
	if (snprintf(dst + n, size - n, ".%09uZ", (unsigned)(wall_ns % CLOCK_NS_PER_S)) < 0)
		dst[n] = '\0';
	return dst;
}

void
clock_override(uint64_t (*wall)(void), uint64_t (*boot)(void))
{
	wall_override = wall;
	boot_override = boot;
}
