/* Text: escaping what a peer said, copying without surprises, encodings. */
#ifndef BASTION_STR_H
#define BASTION_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Printable ASCII stays, everything else becomes \xHH, backslash becomes \\; always terminated; cut with "..." when dst
 * is too small. Safe for logs and terminals. Returns dst. size: bytes of dst, at least 8.
 */
char *str_escape(char *dst, size_t size, const void *src, size_t len);
/* Length of the valid UTF-8 sequence that src begins with, 1 to 4 bytes; 0: there is none (RFC 3629). */
size_t str_utf8_len(const void *src, size_t len);
/*
 * Printable ASCII stays, everything else becomes '?'; cut to fit, always terminated. For lines that are shown to users,
 * also when they were escaped before. Returns dst.
 */
char *str_plain(char *dst, size_t size, const void *src, size_t len);
/* Copy a C string. 0; ERR_LIMIT when it does not fit (dst is then the empty string). */
int str_copy(char *dst, size_t size, const char *src) MUST_CHECK;
/* Format. 0; ERR_LIMIT when it does not fit (dst is cut). */
int str_format(char *dst, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;
bool str_starts(const char *s, const char *prefix);
/* Shell-like pattern with * and ? only, case as given; at most as many steps as the product of the lengths. */
bool str_match(const char *pattern, const char *s);
/* Lower-case hex, dst of 2 * len + 1 bytes. Returns dst. */
char *str_hex(char *dst, const void *src, size_t len);
/* Exactly len bytes from 2 * len hex digits, nothing else. 0; ERR_FORMAT. */
int str_unhex(const char *s, uint8_t *ret_data, size_t len) MUST_CHECK;
/* Standard base64 with padding (RFC 4648 section 4). dst: owned by caller, free(); NULL: out of memory. */
char *str_base64(const void *src, size_t len);
/* Decode; strict. ret_data: owned by caller, free(). 0; ERR_FORMAT; -ENOMEM. */
int str_unbase64(const char *s, size_t len, uint8_t **ret_data, size_t *ret_len) MUST_CHECK;

#endif
