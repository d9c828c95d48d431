/* Two clocks: the wall for people and certificates, and one that never steps for spans and order. */
#ifndef BASTION_CLOCK_H
#define BASTION_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NS_PER_S 1000000000ull
#define CLOCK_NS_PER_MS 1000000ull

uint64_t clock_wall_ns(void); /* since 1970-01-01 UTC */
uint64_t clock_boot_ns(void); /* since boot, counts suspend, never steps */

/* RFC 3339 in UTC with nanoseconds, "2026-01-02T03:04:05.000000006Z". dst: at least CLOCK_TEXT_SIZE bytes. */
#define CLOCK_TEXT_SIZE 32
char *clock_text(char *dst, size_t size, uint64_t wall_ns);

/* For tests: replace both clocks; NULL puts the real ones back. */
void clock_override(uint64_t (*wall)(void), uint64_t (*boot)(void));

#endif
