/* Auditors' lines. */
#include "config.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "lib/auditor.h"
#include "lib/str.h"

#define KEY_TEXT_LEN 44u /* base64 of a key */

_Static_assert(
    AUDITOR_KEY_LEN == crypto_box_PUBLICKEYBYTES && AUDITOR_SEAL_LEN == crypto_box_SEALBYTES &&
	sizeof(AUDITOR_WORD) + KEY_TEXT_LEN + 1 + AUDITOR_NAME_MAX + 1 <= AUDITOR_LINE_SIZE,
    "the sizes are the algorithms'");

int
auditor_check_name(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._@-";
	size_t len = strlen(name);

	return len > 0 && len <= AUDITOR_NAME_MAX && strspn(name, plain) == len ? 0 : ERR_FORMAT;
}

/* All of a string's key; libsodium alone would pass over what is behind it. */
static int
parse_key(const char *b64, uint8_t ret_key[AUDITOR_KEY_LEN])
{
	static const uint8_t scalar[AUDITOR_KEY_LEN] = { 1 };
	uint8_t shared[AUDITOR_KEY_LEN];
	const char *end;
	size_t n;

	if (sodium_base642bin(ret_key, AUDITOR_KEY_LEN, b64, KEY_TEXT_LEN, NULL, &n, &end,
		sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    n != AUDITOR_KEY_LEN || end != b64 + KEY_TEXT_LEN)
		return ERR_FORMAT;
	/* A key of small order would seal to everybody. */
	return crypto_scalarmult(shared, scalar, ret_key) == 0 ? 0 : ERR_FORMAT;
}

int
auditor_parse(const char *line, struct auditor *ret_auditor)
{
	size_t word = strlen(AUDITOR_WORD " ");
	struct auditor a;
	size_t len;
	int r;

	if (!str_starts(line, AUDITOR_WORD " ") ||
	    strnlen(line, word + KEY_TEXT_LEN + 1) != word + KEY_TEXT_LEN + 1 ||
	    line[word + KEY_TEXT_LEN] != ' ')
		return ERR_FORMAT;
	if ((r = parse_key(line + word, a.key)) != 0)
		return r;
	line += word + KEY_TEXT_LEN + 1;
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > AUDITOR_NAME_MAX)
		return ERR_FORMAT;
	memcpy(a.name, line, len);
	a.name[len] = '\0';
	if ((r = auditor_check_name(a.name)) == 0)
		*ret_auditor = a;
	return r;
}

char *
auditor_text(char dst[AUDITOR_LINE_SIZE], const struct auditor *a)
{
	char b64[KEY_TEXT_LEN + 1];

	sodium_bin2base64(b64, sizeof(b64), a->key, sizeof(a->key), sodium_base64_VARIANT_ORIGINAL);
	(void)snprintf(dst, AUDITOR_LINE_SIZE, AUDITOR_WORD " %s %s", b64, a->name);
	return dst;
}

int
auditors_add(struct auditors *all, const struct auditor *a)
{
	for (size_t i = 0; i < all->n; i++)
		if (memcmp(all->a[i].key, a->key, AUDITOR_KEY_LEN) == 0 ||
		    strcmp(all->a[i].name, a->name) == 0)
			return ERR_EXISTS;
	if (all->n == AUDITORS_MAX)
		return ERR_LIMIT;
	all->a[all->n++] = *a;
	return 0;
}

int
auditors_parse(const char *lines, struct auditors *ret_all)
{
	struct auditors all = { .n = 0 };
	char line[AUDITOR_LINE_SIZE];
	struct auditor a;
	int r;

	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		if (len >= sizeof(line))
			return ERR_FORMAT;
		memcpy(line, lines, len);
		line[len] = '\0';
		if ((r = auditor_parse(line, &a)) != 0 || (r = auditors_add(&all, &a)) != 0)
			return r;
		lines += len + (lines[len] == '\n');
	}
	*ret_all = all;
	return 0;
}
