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
	size_t at = 0, cut = 0; /* cut: where "..." would still fit */

	for (size_t i = 0; i < len; i++) {
		size_t need = p[i] == '\\' ? 2 : p[i] >= 0x20 && p[i] < 0x7f ? 1 : 4;

		if (at + need + 1 > size) {
			memcpy(dst + cut, "...", 3);
			at = cut + 3;
			break;
		}
		if (need == 1) {
			dst[at++] = (char)p[i];
		} else {
			dst[at++] = '\\';
			dst[at++] = need == 2 ? '\\' : 'x';
		}
		if (need == 4) {
			dst[at++] = hex[p[i] >> 4];
			dst[at++] = hex[p[i] & 15];
		}
		if (at + 4 <= size)
			cut = at;
	}
	dst[at] = '\0';
	return dst;
}

size_t
str_utf8_len(const void *src, size_t len)
{
	/* Lead byte range, then the range of the byte behind it: no overlong forms, no surrogates, at most U+10FFFF. */
	static const struct {
		uint8_t first, last, low, high;
		size_t n;
	} forms[] = { { 0x00, 0x7f, 0, 0, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 } };
	const uint8_t *p = src;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (len < forms[i].n || p[0] < forms[i].first || p[0] > forms[i].last)
			continue;
		if (forms[i].n > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
			return 0;
		for (size_t j = 2; j < forms[i].n; j++)
			if ((p[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].n;
	}
	return 0;
}

char *
str_plain(char *dst, size_t size, const void *src, size_t len)
{
	const uint8_t *p = src;

	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		dst[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	dst[len] = '\0';
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

	if (strlen(s) != 2 * len || strspn(s, "0123456789abcdefABCDEF") != 2 * len)
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

/* libsodium takes some bytes above 0x7f for letters of the alphabet. */
static bool
is_ascii(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] & 0x80) != 0)
			return false;
	return true;
}

int
str_unbase64(const char *s, size_t len, uint8_t **ret_data, size_t *ret_len)
{
	size_t size = len / 4 * 3 + 3, got = 0;
	uint8_t *data = malloc(size);

	if (data == NULL)
		return -ENOMEM;
	if (!is_ascii(s, len) || sodium_base642bin(data, size, s, len, NULL, &got, NULL,
				     sodium_base64_VARIANT_ORIGINAL) != 0) {
		free(data);
		return ERR_FORMAT;
	}
	*ret_data = data;
	*ret_len = got;
	return 0;
}
