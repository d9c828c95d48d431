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

/* Put p where a plus may stand: one, and none at the beginning. */
static size_t
put_plus(char *dst, size_t at)
{
	if (at > 0 && dst[at - 1] != '+')
		dst[at++] = '+';
	return at;
}

/*
 * What it would be with a plus in place of what other gateways use, without brackets and empty fields; only said when that is a name.
 * more: what else stands for a plus.
 */
static bool
guess(const char *text, const char *more, char *dst, size_t size)
{
	struct names n;
	size_t at = 0;

	if (strncmp(text, "ssh://", 6) == 0)
		text += 6;
	for (const char *p = text; *p != '\0' && at + 1 < size; p++) {
		if (strchr(brackets, *p) != NULL)
			continue;
		if (strchr(separators_elsewhere, *p) != NULL || strchr("+ ", *p) != NULL ||
		    strchr(more, *p) != NULL)
			at = put_plus(dst, at);
		else
			dst[at++] = *p;
	}
	while (at > 0 && dst[at - 1] == '+')
		at--;
	dst[at] = '\0';
	return strcmp(dst, text) != 0 && parse(dst, &n) && n.form != NAMES_NO_HOST;
}

/* "root@web1": an at sign is part of a name, where there is no plus it may have been meant as one. */
static bool
guess_at(const char *text, char *dst)
{
	return strpbrk(text, "+ ") == NULL && strchr(text, '@') != NULL &&
	       guess(text, "@", dst, NAMES_MAX + 1);
}

void
names_guess_at(const char *name, char *dst)
{
	if (!guess_at(name, dst))
		dst[0] = '\0';
}

static void
hint_write(char *dst, const char *text)
{
	char shown[NAMES_MAX + 64], better[NAMES_MAX + 1];
	int r;

	str_escape(shown, sizeof(shown), text, strlen(text));
	if (strstr(text, "::") != NULL)
		r = str_format(dst, NAMES_HINT_SIZE,
		    "\"%s\": an IPv6 address is no part of a name: use the host's name, or ssh -J "
		    "BASTION LOGIN@ADDRESS",
		    shown);
	else if (guess(text, "", better, sizeof(better)) || guess_at(text, better))
		r = str_format(dst, NAMES_HINT_SIZE, "\"%s\": write %s instead", shown, better);
	else
		r = str_format(dst, NAMES_HINT_SIZE,
		    "\"%s\" is not a name here: write LOGIN+HOST or YOU+LOGIN+HOST", shown);
	/* Cut is fine: it is a hint. */
	(void)r;
}

/* A copy with a NUL, when it is one line of text. */
static int
take_text(const void *name, size_t len, char *text, char *ret_hint)
{
	const unsigned char *p = name;

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
	return 0;
}

int
names_parse(const void *name, size_t len, struct names *ret_names, char *ret_hint)
{
	char text[NAMES_MAX + 1];
	int r = take_text(name, len, text, ret_hint);

	if (r != 0 || parse(text, ret_names))
		return r;
	hint_write(ret_hint, text);
	return ERR_FORMAT;
}

int
names_parse_login(const void *name, size_t len, char *ret_login, char *ret_hint)
{
	char text[NAMES_MAX + 1], shown[NAMES_MAX + 64];
	struct names n;
	int r = take_text(name, len, text, ret_hint);

	if (r != 0 || take_user(ret_login, text))
		return r;
	str_escape(shown, sizeof(shown), text, len);
	r = parse(text, &n) && n.form != NAMES_NO_HOST
		? str_format(ret_hint, NAMES_HINT_SIZE,
		      "\"%s\": behind ssh -J the user name is the login alone: write %s", shown,
		      n.form == NAMES_FULL ? n.login : n.first)
		: str_format(ret_hint, NAMES_HINT_SIZE,
		      "\"%s\" is not a login: write ssh -J BASTION LOGIN@HOST", shown);
	(void)r; /* cut is fine: it is a hint */
	return ERR_FORMAT;
}
