/* Words of a command as a shell splits it, as far as it does nothing else with them. */
#include "config.h"

#include <string.h>

#include "lib/err.h"
#include "recorder/watch_priv.h"

/* Bytes that make a shell do more than split, or that end a command. */
static bool
is_active(unsigned char c)
{
	return c < 0x20 || c == 0x7f || strchr(";|&<>()$`!#", c) != NULL;
}

/* One byte of a word at *p, which moves on; quote: the kind that it stands in, or 0. -1: not such a byte. */
static int
take_byte(const char **p, char quote)
{
	unsigned char c = (unsigned char)*(*p)++;

	if (c == '\0')
		return -1;
	if (quote == '\'')
		return c < 0x20 ? -1 : c;
	if (c == '\\') {
		unsigned char next = (unsigned char)**p;

		if (next < 0x20 || next == 0x7f)
			return -1;
		if (quote == '"' && strchr("\"\\$`", next) == NULL)
			return c;
		(*p)++;
		return next;
	}
	if (quote == '"')
		return c == '$' || c == '`' || c < 0x20 ? -1 : c;
	return is_active(c) ? -1 : c;
}

int
watch_word(const char **p, char *dst, size_t size)
{
	const char *s = *p + strspn(*p, " ");
	char quote = '\0';
	size_t n = 0;
	int c;

	if (*s == '\0')
		return ERR_NOT_FOUND;
	while (quote != '\0' || (*s != ' ' && *s != '\0')) {
		if ((quote == '\0' && (*s == '\'' || *s == '"')) ||
		    (quote != '\0' && *s == quote)) {
			quote = quote == '\0' ? *s : '\0';
			s++;
			continue;
		}
		if ((c = take_byte(&s, quote)) == -1)
			return ERR_FORMAT;
		if (n + 1 == size)
			return ERR_LIMIT;
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	*p = s;
	return 0;
}
