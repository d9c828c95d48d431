/* The grammar of user names, and the hints for those who learned another one elsewhere. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/num.h"
#include "lib/str.h"
#include "policy/names.h"

#define FIELDS_MAX 4

static const char separators_elsewhere[] = ":#/\\,%";
static const char brackets[] = "[](){}<>";

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_digits(const char *s)
{
	return *s != '\0' && strspn(s, "0123456789") == strlen(s);
}

bool
names_is_user(const char *s)
{
	if (!is_alnum(*s) && *s != '_')
		return false;
	for (; *s != '\0'; s++)
		if (!is_alnum(*s) && strchr("._-@", *s) == NULL)
			return false;
	return true;
}

bool
names_is_host(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || is_digits(s) || strchr(".-", s[0]) != NULL ||
	    strchr(".-", s[len - 1]) != NULL)
		return false;
	for (; *s != '\0'; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') &&
		    strchr("._-", *s) == NULL)
			return false;
	return true;
}

/* Cut at every plus (or space). false: too many fields, or an empty one. */
static bool
split(char *text, char *fields[FIELDS_MAX], size_t *ret_n)
{
	size_t n = 0;
	char *one;

	while ((one = strsep(&text, "+ ")) != NULL) {
		if (n == FIELDS_MAX || one[0] == '\0')
			return false;
		fields[n++] = one;
	}
	*ret_n = n;
	return true;
}

/* Lower-cases the field in place. */
static bool
take_host(struct names *n, char *field)
{
	for (char *p = field; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return names_is_host(field) && str_copy(n->host, sizeof(n->host), field) == 0;
}

static bool
take_port(struct names *n, const char *field)
{
	uint64_t port;

	if (num_parse(field, 1, 65535, &port) != 0)
		return false;
	n->port = (uint16_t)port;
	return true;
}

static bool
take_user(char *dst, const char *field)
{
	return names_is_user(field) && str_copy(dst, NAMES_FIELD_SIZE, field) == 0;
}

static bool
take_fields(struct names *n, char *const *f, size_t n_fields)
{
	if (!take_user(n->first, f[0]))
		return false;
	switch (n_fields) {
	case 1:
		n->form = NAMES_NO_HOST;
		return true;
	case 2:
		n->form = NAMES_TWO;
		return take_host(n, f[1]);
	case 3:
		if (is_digits(f[2])) {
			n->form = NAMES_PORT;
			return take_host(n, f[1]) && take_port(n, f[2]);
		}
		n->form = NAMES_FULL;
		return take_user(n->login, f[1]) && take_host(n, f[2]);
	default:
		n->form = NAMES_FULL;
		return take_user(n->login, f[1]) && take_host(n, f[2]) && take_port(n, f[3]);
	}
}

static bool
parse(const char *text, struct names *ret_names)
{
	char copy[NAMES_MAX + 1], *fields[FIELDS_MAX];
	struct names n = { 0 };
	size_t n_fields;

	if (str_copy(copy, sizeof(copy), text) != 0 || !split(copy, fields, &n_fields) ||
	    !take_fields(&n, fields, n_fields))
		return false;
	*ret_names = n;
	return true;
}

/* What it would be with a plus in place of what other gateways use, without brackets; only said when that is a name. */
static bool
guess(const char *text, char *dst, size_t size)
{
	struct names n;
	size_t at = 0;

	for (const char *p = text; *p != '\0' && at + 1 < size; p++) {
		if (strchr(brackets, *p) != NULL)
			continue;
		dst[at++] = strchr(separators_elsewhere, *p) != NULL ? '+' : *p;
	}
	dst[at] = '\0';
	return strcmp(dst, text) != 0 && parse(dst, &n);
}

static void
hint_write(char *dst, const char *text)
{
	char shown[NAMES_MAX + 64], better[NAMES_MAX + 1];
	int r;

	str_escape(shown, sizeof(shown), text, strlen(text));
	if (guess(text, better, sizeof(better)))
		r = str_format(dst, NAMES_HINT_SIZE, "\"%s\": write %s instead", shown, better);
	else
		r = str_format(dst, NAMES_HINT_SIZE,
		    "\"%s\" is not a name here: write LOGIN+HOST or YOU+LOGIN+HOST", shown);
	/* Cut is fine: it is a hint. */
	(void)r;
}

int
names_parse(const void *name, size_t len, struct names *ret_names, char *ret_hint)
{
	const unsigned char *p = name;
	char text[NAMES_MAX + 1];

	if (len == 0 || len > NAMES_MAX) {
		(void)snprintf(ret_hint, NAMES_HINT_SIZE,
		    "a user name has 1 to %u bytes, this one %zu", NAMES_MAX, len);
		return ERR_FORMAT;
	}
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] > 0x7e) {
			(void)snprintf(ret_hint, NAMES_HINT_SIZE,
			    "byte %zu of the user name is not printable ASCII", i + 1);
			return ERR_FORMAT;
		}
	memcpy(text, name, len);
	text[len] = '\0';
	if (parse(text, ret_names))
		return 0;
	hint_write(ret_hint, text);
	return ERR_FORMAT;
}
