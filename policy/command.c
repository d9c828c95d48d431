/* Recognising commands by regular grammars, and exact patterns for them. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "lib/str.h"
#include "policy/command.h"

static bool
is_alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Bytes that no shell acts on, wherever they stand. */
static bool
is_plain(unsigned char c)
{
	return is_alnum(c) || c >= 0x80 || (c != '\0' && strchr("_.:@%+=,-/", c) != NULL);
}

/* Paths may also hold what shells turn into file names only. */
static bool
is_path_char(unsigned char c)
{
	return is_plain(c) || (c != '\0' && strchr("*?[]~{}", c) != NULL);
}

/* Skip the word at *p, which must be exactly this one. */
static bool
take_word(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*p, word, len) != 0 || ((*p)[len] != ' ' && (*p)[len] != '\0'))
		return false;
	*p += len;
	return true;
}

static bool
take_spaces(const char **p)
{
	size_t n = strspn(*p, " ");

	*p += n;
	return n > 0;
}

/* '...' without anything that some shell reads inside single quotes. */
static bool
take_single_quoted(const char **p)
{
	const char *s = *p + 1;

	for (; *s != '\'' && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == '\\' || *s == '!' || *s == 0x7f)
			return false;
	if (*s != '\'')
		return false;
	*p = s + 1;
	return true;
}

/* "..." of plain characters and spaces. */
static bool
take_double_quoted(const char **p)
{
	const char *s = *p + 1;

	for (; *s != '"' && *s != '\0'; s++)
		if (*s != ' ' && !is_path_char((unsigned char)*s))
			return false;
	if (*s != '"')
		return false;
	*p = s + 1;
	return true;
}

/* One path: plain characters, file name patterns, backslash before one printable character, quoted parts. */
static bool
take_path(const char **p)
{
	const char *s = *p;

	while (*s != ' ' && *s != '\0') {
		if (*s == '\'') {
			if (!take_single_quoted(&s))
				return false;
		} else if (*s == '"') {
			if (!take_double_quoted(&s))
				return false;
		} else if (*s == '\\') {
			if ((unsigned char)s[1] < 0x20 || s[1] == 0x7f ||
			    is_alnum((unsigned char)s[1]))
				return false;
			s += 2;
		} else if (is_path_char((unsigned char)*s)) {
			s++;
		} else {
			return false;
		}
	}
	if (s == *p)
		return false;
	*p = s;
	return true;
}

/* "scp" flags -t|-f [--] PATH, as OpenSSH, PuTTY and libssh2 send it. */
static bool
is_scp(const char *p)
{
	unsigned ways = 0;

	if (!take_word(&p, "scp"))
		return false;
	while (take_spaces(&p) && *p == '-') {
		if (take_word(&p, "--")) {
			if (!take_spaces(&p))
				return false;
			break;
		}
		p++;
		if (*p == ' ' || *p == '\0')
			return false;
		for (; *p != ' ' && *p != '\0'; p++) {
			if (strchr("vrpdqtf1", *p) == NULL)
				return false;
			ways += *p == 't' || *p == 'f';
		}
	}
	return ways == 1 && take_path(&p) && *p == '\0';
}

/* Options that an rsync client passes to its server and that only shape the transfer. */
static const char *const rsync_options[] = { "append", "append-verify", "atimes", "bwlimit",
	"checksum-choice", "checksum-seed", "compress-choice", "compress-level",
	"copy-unsafe-links", "debug", "delay-updates", "delete", "delete-after", "delete-before",
	"delete-delay", "delete-during", "delete-excluded", "delete-missing-args", "existing",
	"force", "fsync", "fuzzy", "iconv", "ignore-errors", "ignore-existing",
	"ignore-missing-args", "inc-recursive", "info", "inplace", "list-only", "log-format",
	"max-alloc", "max-delete", "max-size", "min-size", "mkpath", "modify-window", "munge-links",
	"new-compress", "no-i-r", "no-implied-dirs", "no-inc-recursive", "no-r", "no-relative",
	"no-W", "numeric-ids", "old-compress", "omit-dir-times", "omit-link-times",
	"one-file-system", "open-noatime", "partial", "preallocate", "remove-sent-files",
	"remove-source-files", "safe-links", "sender", "size-only", "skip-compress", "specials",
	"stats", "super", "timeout", "use-qsort" };

/* "--name" or "--name=value" of plain characters. */
static bool
take_rsync_long(const char **p)
{
	const char *name = *p + 2;
	size_t len = strcspn(name, "= "), i = 0;
	const size_t n = sizeof(rsync_options) / sizeof(rsync_options[0]);

	while (
	    i < n && (strlen(rsync_options[i]) != len || strncmp(rsync_options[i], name, len) != 0))
		i++;
	if (i == n)
		return false;
	for (*p = name + len; **p != ' ' && **p != '\0'; (*p)++)
		if (!is_plain((unsigned char)**p))
			return false;
	return true;
}

/*
 * "-vlogDtprze.iLsfxC": flags, then the client's abilities behind e. An s among the flags would send the real arguments
 * later, past this check.
 */
static bool
take_rsync_flags(const char **p)
{
	const char *s = *p + 1;

	if (*s == ' ' || *s == '\0')
		return false;
	for (; *s != ' ' && *s != '\0' && *s != 'e'; s++)
		if (!is_alnum((unsigned char)*s) || *s == 's')
			return false;
	if (*s == 'e')
		for (; *s != ' ' && *s != '\0'; s++)
			if (!is_alnum((unsigned char)*s) && *s != '.')
				return false;
	*p = s;
	return true;
}

/* "rsync --server" options "." PATH..., as rsync's client sends it. */
static bool
is_rsync(const char *p)
{
	size_t n_paths = 0;

	if (!take_word(&p, "rsync") || !take_spaces(&p) || !take_word(&p, "--server"))
		return false;
	while (take_spaces(&p) && *p == '-') {
		if (p[1] == '-' ? !take_rsync_long(&p) : !take_rsync_flags(&p))
			return false;
	}
	if (!take_word(&p, "."))
		return false;
	while (take_spaces(&p)) {
		if (*p == '-' || !take_path(&p))
			return false;
		n_paths++;
	}
	return n_paths > 0 && *p == '\0';
}

static bool
is_mosh(const char *p)
{
	return take_word(&p, "mosh-server") ||
	       (str_starts(p, "sh -c ") && strstr(p, "mosh-server new") != NULL);
}

enum command_kind
command_classify(const char *command)
{
	if (is_scp(command))
		return COMMAND_SCP;
	if (is_rsync(command))
		return COMMAND_RSYNC;
	return is_mosh(command) ? COMMAND_MOSH : COMMAND_OTHER;
}

int
command_pattern_check(const char *pattern)
{
	size_t len = strlen(pattern);

	if (len == 0)
		return ERR_FORMAT;
	if (len > COMMAND_PATTERN_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)pattern[i] < 0x20 || pattern[i] == 0x7f)
			return ERR_FORMAT;
	return 0;
}

/* May a wildcard take c, with before in front of it? */
static bool
wild_takes(char before, char c, bool slash)
{
	if (!is_plain((unsigned char)c) || (c == '/' && !slash))
		return false;
	if (c == '.' && before == '.')
		return false;
	return c != '-' || (before != ' ' && before != '\0' && before != '\'' && before != '"');
}

/* Positions of the pattern that may come next; behind a star its end is reached without a byte. */
static void
reach(const char *pattern, bool *set, size_t at)
{
	set[at] = true;
	while (pattern[at] == '*') {
		at += pattern[at + 1] == '*' ? 2 : 1;
		set[at] = true;
	}
}

bool
command_matches(const char *pattern, const char *command)
{
	bool now[COMMAND_PATTERN_MAX + 1] = { false }, next[COMMAND_PATTERN_MAX + 1];
	size_t len = strlen(pattern);
	char before = '\0';

	if (len > COMMAND_PATTERN_MAX ||
	    strnlen(command, COMMAND_MATCHED_MAX + 1) > COMMAND_MATCHED_MAX)
		return false;
	reach(pattern, now, 0);
	for (const char *c = command; *c != '\0'; before = *c++) {
		memset(next, 0, sizeof(next));
		for (size_t i = 0; i < len; i++) {
			bool two = pattern[i] == '*' && pattern[i + 1] == '*';

			if (!now[i])
				continue;
			if (pattern[i] == '*') {
				if (wild_takes(before, *c, two))
					reach(pattern, next, i);
			} else if (pattern[i] == '?' ? wild_takes(before, *c, false)
						     : pattern[i] == *c) {
				reach(pattern, next, i + 1);
			}
		}
		memcpy(now, next, sizeof(now));
	}
	return now[len];
}
