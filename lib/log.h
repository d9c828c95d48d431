/*
 * Messages for the operator: one line, one event. The first word is a stable dotted event name, then
 * key=value. Evidence goes to the recorder, never here. Text from a peer goes through str_escape() first.
 */
#ifndef BASTION_LOG_H
#define BASTION_LOG_H

#include "lib/err.h"

enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/*
 * Name the process that speaks and the most talkative level that is shown. Lines go to stderr, which
 * children inherit, with the "<n>" prefix of sd-daemon(3) when stderr is the journal (JOURNAL_STREAM set).
 * name: borrowed for the life of the process.
 */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* One line, cut at 2 KiB, in one write; dropped when its level is not shown. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)   /* someone must act */
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__) /* we continue, degraded */
#define log_notice(...)                                                                            \
	log_line(LOG_LEVEL_NOTICE, __VA_ARGS__) /* life cycle that matters for security */
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
