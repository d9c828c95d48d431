/* Conversions and arithmetic on numbers that a peer or a file supplied: checked, or refused. */
#ifndef BASTION_NUM_H
#define BASTION_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* size_t to the wire's u32. 0; ERR_LIMIT. */
int num_u32(size_t v, uint32_t *ret_v) MUST_CHECK;
/* 0; ERR_LIMIT on overflow, output untouched. */
int num_add(uint64_t a, uint64_t b, uint64_t *ret_v) MUST_CHECK;
int num_mul(uint64_t a, uint64_t b, uint64_t *ret_v) MUST_CHECK;

/*
 * Strict decimal: digits only, no sign, no space, no leading zero but "0" itself, min <= v <= max.
 * 0; ERR_FORMAT not such a number; ERR_LIMIT outside the range.
 */
int num_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret_v) MUST_CHECK;
/* A span of time with its unit, "500ms", "30s", "10m", "8h", "400d", to nanoseconds. Errors as num_parse(). */
int num_parse_span(const char *s, uint64_t *ret_ns) MUST_CHECK;
/* A size, "4096", "64K", "10M", "200G", "1T" (powers of 1024), to bytes. Errors as num_parse(). */
int num_parse_size(const char *s, uint64_t *ret_bytes) MUST_CHECK;

#endif
