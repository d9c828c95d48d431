/* Tables and lines. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bastiond/shell/text.h"
#include "lib/str.h"

#define COLUMNS_MAX 5
#define CELL_SIZE 400u	   /* bytes of one cell; more is cut */
#define EXPLAIN_SIZE 1200u /* bytes of one line of an explanation */
#define ID_SHOWN 8    /* digits of a session's id: every command of bastionctl takes that many */
#define TIME_SHOWN 19 /* "2026-01-02T03:04:05" */

typedef char cells[COLUMNS_MAX][CELL_SIZE];

struct table {
	size_t n;
	const char *heads[COLUMNS_MAX];
	void (*row)(const struct json_node *item, cells dst);
};

static void
set(char *dst, const char *text)
{
	str_plain(dst, CELL_SIZE, text, strlen(text));
}

/* Append to a cell, with a comma between. */
static void
add(char *dst, const char *text)
{
	size_t at = strlen(dst);

	if (at > 0 && at + 1 < CELL_SIZE)
		dst[at++] = ',';
	if (at + 8 < CELL_SIZE)
		str_plain(dst + at, CELL_SIZE - at, text, strlen(text));
}

static bool
is_in(const char *cell, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = cell; (p = strstr(p, word)) != NULL; p += len)
		if ((p == cell || p[-1] == ',') && (p[len] == '\0' || p[len] == ','))
			return true;
	return false;
}

static void
host_row(const struct json_node *item, cells dst)
{
	const struct json_node *logins = json_get(item, "logins");

	set(dst[0], json_str(json_get(item, "host"), "?"));
	set(dst[3], json_str(json_get(item, "labels_text"), ""));
	for (size_t i = 0; i < json_n(logins); i++) {
		const struct json_node *login = json_at(logins, i), *rights;

		add(dst[1], json_str(json_get(login, "login"), "?"));
		rights = json_get(login, "rights");
		for (size_t k = 0; k < json_n(rights); k++)
			if (!is_in(dst[2], json_str(json_at(rights, k), "?")))
				add(dst[2], json_str(json_at(rights, k), "?"));
	}
}

static void
session_row(const struct json_node *item, cells dst)
{
	const struct json_node *ch = json_at(json_get(item, "channels"), 0);
	const char *login = json_str(json_get(item, "login"), ""),
		   *host = json_str(json_get(item, "host"), "-");
	char text[CELL_SIZE];

	(void)snprintf(dst[0], ID_SHOWN + 1, "%s", json_str(json_get(item, "id"), "?"));
	(void)snprintf(dst[1], TIME_SHOWN + 1, "%s", json_str(json_get(item, "started_at"), "?"));
	if (strcmp(host, "-") == 0) /* this shell */
		(void)snprintf(text, sizeof(text), "bastion");
	else
		(void)snprintf(text, sizeof(text), "%s@%s", login, host);
	set(dst[2], text);
	set(dst[3], json_str(json_get(item, "state"), "?"));
	(void)snprintf(text, sizeof(text), "%s %s", json_str(json_get(ch, "kind"), ""),
	    json_str(json_get(ch, "command"), ""));
	set(dst[4], text);
}

static const struct table hosts_table = { 4, { "HOST", "LOGINS", "RIGHTS", "LABELS" }, host_row };
static const struct table sessions_table = { 5, { "ID", "STARTED", "TARGET", "STATE", "WHAT" },
	session_row };

static int
put_row(struct buf *out, const size_t *widths, size_t n, cells row)
{
	static const char spaces[CELL_SIZE + 2] = { [0 ... CELL_SIZE + 1] = ' ' };
	int r = 0;

	while (n > 1 && row[n - 1][0] == '\0')
		n--;
	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t len = strlen(row[i]);

		r = buf_put(out, row[i], len);
		if (r == 0 && i + 1 < n)
			r = buf_put(out, spaces, widths[i] - len + 2);
	}
	return r != 0 ? r : buf_put(out, "\n", 1);
}

static void
make_row(const struct table *t, const struct json_node *item, cells row)
{
	for (size_t i = 0; i < t->n; i++)
		row[i][0] = '\0';
	if (item != NULL)
		t->row(item, row);
	else
		for (size_t i = 0; i < t->n; i++)
			set(row[i], t->heads[i]);
}

static int
put_table(const struct table *t, const struct json_node *list, struct buf *out)
{
	size_t widths[COLUMNS_MAX] = { 0 }, n = json_n(list);
	cells row;
	int r = 0;

	for (size_t i = 0; i <= n; i++) {
		make_row(t, i < n ? json_at(list, i) : NULL, row);
		for (size_t k = 0; k < t->n; k++)
			if (strlen(row[k]) > widths[k])
				widths[k] = strlen(row[k]);
	}
	for (size_t i = 0; r == 0 && i <= n; i++) {
		make_row(t, i > 0 ? json_at(list, i - 1) : NULL, row);
		r = put_row(out, widths, t->n, row);
	}
	return r;
}

static int
put_line(struct buf *out, const char *name, const char *text)
{
	char line[CELL_SIZE + 32], cell[CELL_SIZE];

	if (text == NULL || text[0] == '\0')
		return 0;
	set(cell, text);
	(void)snprintf(line, sizeof(line), "%-12s%s\n", name, cell);
	return buf_put(out, line, strlen(line));
}

static void
join(const struct json_node *list, char *dst)
{
	dst[0] = '\0';
	for (size_t i = 0; i < json_n(list); i++)
		add(dst, json_str(json_at(list, i), "?"));
}

static int
put_whoami(const struct json_node *j, struct buf *out)
{
	static const struct {
		const char *key, *name;
	} of_credential[] = {
		{ "type", "credential" },
		{ "fingerprint", "fingerprint" },
		{ "key_id", "key id" },
		{ "ca", "signed by" },
		{ "valid_until", "valid until" },
	};
	const struct json_node *c = json_get(j, "credential");
	char text[CELL_SIZE];
	int r;

	join(json_get(j, "groups"), text);
	if ((r = put_line(out, "identity", json_str(json_get(j, "identity"), "?"))) != 0 ||
	    (r = put_line(out, "groups", text)) != 0)
		return r;
	for (size_t i = 0; r == 0 && i < sizeof(of_credential) / sizeof(of_credential[0]); i++)
		r = put_line(
		    out, of_credential[i].name, json_str(json_get(c, of_credential[i].key), NULL));
	return r != 0 ? r : put_line(out, "source", json_str(json_get(j, "source"), NULL));
}

/* The words of "bastionctl policy explain", without the rules that did not decide. */
static void
explain_line(const struct json_node *j, char *dst, size_t size)
{
	const char *who = json_str(json_get(j, "identity"), "?"),
		   *host = json_str(json_get(j, "host"), "?"),
		   *login = json_str(json_get(j, "login"), ""),
		   *text = json_str(json_get(j, "text"), "");

	if (!json_bool(json_get(j, "allowed"), false))
		(void)snprintf(dst, size, "no: %s on %s: %s", who, host, text);
	else if (login[0] == '\0')
		(void)snprintf(dst, size, "yes: %s reaches %s: %s", who, host, text);
	else
		(void)snprintf(dst, size, "yes: %s may log in as %s on %s (%s port %u)", who, login,
		    host, json_str(json_get(j, "address"), "?"),
		    (unsigned)json_u64(json_get(j, "port"), 0));
}

static int
put_plain(struct buf *out, const char *line)
{
	char plain[EXPLAIN_SIZE];
	int r;

	str_plain(plain, sizeof(plain), line, strlen(line));
	r = buf_put(out, plain, strlen(plain));
	return r != 0 ? r : buf_put(out, "\n", 1);
}

static int
put_explain(const struct json_node *j, struct buf *out)
{
	const struct json_node *may = json_get(j, "may");
	char line[EXPLAIN_SIZE];
	int r;

	explain_line(j, line, sizeof(line));
	if ((r = put_plain(out, line)) != 0)
		return r;
	if (json_str(json_get(j, "rule"), NULL) != NULL) {
		(void)snprintf(line, sizeof(line), "  rule: %s", json_str(json_get(j, "rule"), ""));
		if ((r = put_plain(out, line)) != 0)
			return r;
	}
	if (json_n(may) == 0)
		return 0;
	(void)snprintf(line, sizeof(line), "  may:");
	for (size_t i = 0; i < json_n(may) && strlen(line) + 120 < sizeof(line); i++)
		(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " %.100s",
		    json_str(json_at(may, i), "?"));
	return put_plain(out, line);
}

int
text_put(enum command_verb verb, const struct json_node *answer, struct buf *out)
{
	bool is_list = verb == COMMAND_HOSTS || verb == COMMAND_SESSIONS;

	if (is_list ? !json_is_list(answer) : !json_is_map(answer))
		return ERR_FORMAT;
	switch (verb) {
	case COMMAND_HOSTS:
		return put_table(&hosts_table, answer, out);
	case COMMAND_SESSIONS:
		return put_table(&sessions_table, answer, out);
	case COMMAND_WHOAMI:
		return put_whoami(answer, out);
	case COMMAND_EXPLAIN:
		return put_explain(answer, out);
	case COMMAND_NOTHING:
	case COMMAND_HELP:
	case COMMAND_EXIT:
		break;
	}
	return ERR_FORMAT;
}
