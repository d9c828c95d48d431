/* Path prefixes of rules. */
#include "config.h"

#include <string.h>

#include "policy/prefix.h"

static bool
is_component(const char *s, size_t len)
{
	if (len == 0 || (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.'))))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '*' || s[i] == '?')
			return false;
	return true;
}

int
prefix_check(const char *path)
{
	if (strlen(path) > PREFIX_MAX)
		return ERR_LIMIT;
	if (path[0] != '/')
		return ERR_FORMAT;
	for (const char *p = path + 1; *p != '\0';) {
		size_t len = strcspn(p, "/");

		if (!is_component(p, len))
			return ERR_FORMAT;
		p += len;
		p += *p == '/';
	}
	return 0;
}

bool
prefix_holds(const char *prefix, const char *path)
{
	size_t len = strlen(prefix);

	if (strcmp(prefix, "/") == 0)
		return true;
	return strncmp(prefix, path, len) == 0 && (path[len] == '\0' || path[len] == '/');
}
