/* Text helpers. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

char *
str_escape(char *dst, size_t size, const void *src, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = src;
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		size_t need = p[i] == '\\' ? 2 : p[i] >= 0x20 && p[i] < 0x7f ? 1 : 4;

		if (at + need + 4 > size) {
			memcpy(dst + at, "...", 3);
			at += 3;
			break;
		}
		if (need == 1) {
			dst[at++] = (char)p[i];
			continue;
		}
		dst[at++] = '\\';
		dst[at++] = need == 2 ? '\\' : 'x';
		if (need == 4) {
			dst[at++] = hex[p[i] >> 4];
			dst[at++] = hex[p[i] & 15];
		}
	}
	dst[at] = '\0';
	return dst;
}

int
str_copy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (len >= size) {
		dst[0] = '\0';
		return ERR_LIMIT;
	}
	memcpy(dst, src, len + 1);
	return 0;
}

int
str_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= size ? ERR_LIMIT : 0;
}

bool
str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_match(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	/* On a mismatch only the last star takes one more byte, so the time is at most the product. */
	while (*s != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star != NULL) {
			pattern = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

char *
str_hex(char *dst, const void *src, size_t len)
{
	return sodium_bin2hex(dst, 2 * len + 1, src, len);
}

int
str_unhex(const char *s, uint8_t *ret_data, size_t len)
{
	size_t got = 0;

	if (strlen(s) != 2 * len)
		return ERR_FORMAT;
	if (sodium_hex2bin(ret_data, len, s, 2 * len, NULL, &got, NULL) != 0 || got != len)
		return ERR_FORMAT;
	return 0;
}

char *
str_base64(const void *src, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	char *dst = malloc(size);

	if (dst != NULL)
		sodium_bin2base64(dst, size, src, len, sodium_base64_VARIANT_ORIGINAL);
	return dst;
}

int
str_unbase64(const char *s, size_t len, uint8_t **ret_data, size_t *ret_len)
{
	size_t size = len / 4 * 3 + 3, got = 0;
	uint8_t *data = malloc(size);

	if (data == NULL)
		return -ENOMEM;
	if (sodium_base642bin(
		data, size, s, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
		free(data);
		return ERR_FORMAT;
	}
	*ret_data = data;
	*ret_len = got;
	return 0;
}
