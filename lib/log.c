/* One write per line to stderr, so that lines of several processes never mix. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#define LOG_LINE_MAX 2048 /* bytes of one line; longer ones are cut with "..." */

static struct {
	const char *name;
	enum log_level level;
	bool journal;
} log_state = { "bastiond", LOG_LEVEL_INFO, false };

static const char *const level_names[] = { "emerg", "alert", "crit", "err", "warn", "notice",
	"info", "debug" };

void
log_init(const char *name, enum log_level level)
{
	log_state.name = name;
	log_state.level = level;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void
log_set_level(enum log_level level)
{
	log_state.level = level;
}

enum log_level
log_get_level(void)
{
	return log_state.level;
}

static size_t
log_prefix(char *line, size_t size, enum log_level level)
{
	int n;

	if (log_state.journal)
		n = snprintf(line, size, "<%d>%s[%d]: ", (int)level, log_state.name, (int)getpid());
	else
		n = snprintf(
		    line, size, "%s[%d]: %s: ", log_state.name, (int)getpid(), level_names[level]);
	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t at;
	int n, saved = errno;
	va_list ap;

	if (level > log_state.level)
		return;
	at = log_prefix(line, sizeof(line) - 5, level);
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - 5 - at, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line) - 5 - at) {
		at = sizeof(line) - 6;
		memcpy(line + at, "...", 3);
		at += 3;
	} else {
		at += (size_t)n;
	}
	/* What a caller forgot to escape must still be one line, and nothing to a terminal. */
	for (size_t i = 0; i < at; i++)
		if (line[i] < 0x20 || line[i] > 0x7e)
			line[i] = '?';
	line[at++] = '\n';
	/* Nothing sensible can be done when stderr is gone. */
	(void)!write(STDERR_FILENO, line, at);
	errno = saved;
}
