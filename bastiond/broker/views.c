/* The readers' verbs as a table: each with its options and what may follow them. */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bastiond/broker/views.h"
#include "lib/auditor.h"
#include "lib/num.h"
#include "recorder/recorder_proto.h"

#define VIEWS_OPTIONS 3
#define VIEWS_ID_MAX 128u
#define VIEWS_QUERY_MAX 3072u

static bool
view_is_number(const char *s)
{
	uint64_t v;

	return num_parse(s, 0, UINT64_MAX, &v) == 0;
}

static bool
view_is_one(const char *s)
{
	return strcmp(s, "1") == 0;
}

static bool
view_is_auditor(const char *s)
{
	return auditor_check_name(s) == 0 && s[0] != '-';
}

/* A text of several lines, as keys and notes are: no control characters but the newline. */
static bool
view_is_text(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > VIEWS_TEXT_MAX || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] != '\n' && ((unsigned char)s[i] < 0x20 || s[i] == 0x7f))
			return false;
	return true;
}

static bool
view_is_hex(const char *s)
{
	return s[strspn(s, "0123456789abcdef")] == '\0';
}

/* A whole one: what the log says of a view is to name one session, for good. */
static bool
view_is_session(const char *s)
{
	return strlen(s) == 2 * REC_SID_LEN && view_is_hex(s);
}

/* What changes its meaning: it is asked for by itself, so that what is viewed is noted as what it was. */
static bool
view_is_word(const char *s)
{
	size_t len = strlen(s);

	return strcmp(s, "last") == 0 ||
	       (len >= REC_SID_SHORT && len < 2 * REC_SID_LEN && view_is_hex(s));
}

static bool
view_is_id(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > VIEWS_ID_MAX || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return false;
	return true;
}

/* A JSON object on one line; short enough for the event that says what was looked for. */
static bool
view_is_query(const char *s)
{
	size_t len = strlen(s);

	return len <= VIEWS_QUERY_MAX && s[0] == '{' && s[len - 1] == '}' && view_is_text(s) &&
	       strchr(s, '\n') == NULL;
}

typedef bool (*view_is_fn)(const char *s);

static const struct {
	const char *verb;
	struct {
		const char *name;
		view_is_fn is;
	} option[VIEWS_OPTIONS];
	view_is_fn about; /* NULL: nothing follows */
	bool required;
} views[] = {
	{ "list", { { "--since", view_is_number }, { "--blocks", view_is_one } }, NULL, false },
	{ "show", { { "--blocks", view_is_one } }, view_is_session, true },
	{ "events", { { "--blocks", view_is_one } }, view_is_session, true },
	{ "watch", { { "--blocks", view_is_one } }, view_is_session, true },
	{ "verify", { { "--key", view_is_text }, { "--notes", view_is_number } }, view_is_session,
	    false },
	{ "index", { { NULL, NULL } }, NULL, false },
	{ "search", { { NULL, NULL } }, view_is_query, true },
	{ "find", { { NULL, NULL } }, view_is_word, true },
	{ "log", { { "--since", view_is_number }, { "--leaves", view_is_number } }, view_is_id,
	    false },
	{ "checkpoint",
	    { { "--key", view_is_text }, { "--proof", view_is_session },
		{ "--from", view_is_number } },
	    NULL, false },
	{ "bundle", { { "--for", view_is_auditor } }, view_is_session, true },
	{ "space", { { NULL, NULL } }, NULL, false },
};

/* Which option of a view an argument names; VIEWS_OPTIONS: none. */
static size_t
view_option(size_t v, const char *arg)
{
	size_t o = 0;

	while (o < VIEWS_OPTIONS &&
	       (views[v].option[o].name == NULL || strcmp(views[v].option[o].name, arg) != 0))
		o++;
	return o;
}

static int
view_check_args(size_t v, const char *const *args, const char **ret_about)
{
	unsigned seen = 0;
	const char *about = NULL;

	for (; *args != NULL; args++) {
		size_t o = view_option(v, *args);

		if (o < VIEWS_OPTIONS) {
			if ((seen & 1u << o) != 0 || args[1] == NULL ||
			    !views[v].option[o].is(args[1]))
				return ERR_FORMAT;
			seen |= 1u << o;
			args++;
		} else if (about == NULL && views[v].about != NULL && views[v].about(*args)) {
			about = *args;
		} else {
			return ERR_FORMAT;
		}
	}
	if (about == NULL && views[v].required)
		return ERR_FORMAT;
	*ret_about = about;
	return 0;
}

int
views_check(const char *const *args, const char **ret_about)
{
	if (args[0] == NULL)
		return ERR_FORMAT;
	for (size_t v = 0; v < sizeof(views) / sizeof(views[0]); v++)
		if (strcmp(views[v].verb, args[0]) == 0)
			return view_check_args(v, args + 1, ret_about);
	return ERR_FORMAT;
}
