/* One row for each kind of place: its key, what may stand beside it, and what its value must be. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/settings_push.h"
#include "lib/facility.h"
#include "lib/file.h"
#include "lib/str.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define SYSLOG_SOCKET "/dev/log"

static int
take_path(const char *file, const struct conf_node *n, char dst[PATH_MAX], struct conf_err *err)
{
	const char *text;
	int r = conf_str(n, &text, err);

	if (r != 0)
		return r;
	if (text[0] == '\0' || file_relative(file, text, dst, PATH_MAX) != 0)
		return conf_fail(n, err, "a path");
	return 0;
}

static int
take_file(
    const char *file, const struct conf_node *n, struct settings_push *p, struct conf_err *err)
{
	return take_path(file, n, p->to, err);
}

static int
take_command(
    const char *file, const struct conf_node *n, struct settings_push *p, struct conf_err *err)
{
	const char *text;
	int r = conf_list(n, err);

	if (r != 0)
		return r;
	if (conf_n(n) == 0 || conf_n(n) > SETTINGS_PUSH_ARGS + 1)
		return conf_fail(n, err, "a program and at most %u arguments", SETTINGS_PUSH_ARGS);
	if ((r = take_path(file, conf_at(n, 0), p->to, err)) != 0)
		return r;
	if (p->to[0] != '/' || access(p->to, X_OK) != 0)
		return conf_fail(conf_at(n, 0), err,
		    "a program that can be run, from the root (%s)",
		    p->to[0] != '/' ? "not from the root" : err_str(-errno));
	for (size_t i = 1; i < conf_n(n); i++) {
		if ((r = conf_str(conf_at(n, i), &text, err)) != 0)
			return r;
		if (str_copy(p->args[p->n_args], SETTINGS_PUSH_ARG_SIZE, text) != 0)
			return conf_fail(
			    conf_at(n, i), err, "less than %u bytes", SETTINGS_PUSH_ARG_SIZE);
		p->n_args++;
	}
	return 0;
}

/* Without TLS only to this machine itself, where whoever could listen in has other ways. */
static bool
is_own_address(const char *rest)
{
	static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost" };

	for (size_t i = 0; i < N(hosts); i++) {
		size_t len = strlen(hosts[i]);

		if (str_starts(rest, hosts[i]) &&
		    (rest[len] == '\0' || rest[len] == ':' || rest[len] == '/'))
			/* No "127.0.0.1:x@host": the part before the path is a port. */
			return strcspn(rest, "@") >= strcspn(rest, "/");
	}
	return false;
}

static int
take_url(const char *file, const struct conf_node *n, struct settings_push *p, struct conf_err *err)
{
	const char *text;
	int r = conf_str(n, &text, err);

	(void)file;
	if (r != 0)
		return r;
	if ((!str_starts(text, "https://") &&
		!(str_starts(text, "http://") && is_own_address(text + 7))) ||
	    text[strcspn(text, " \t\r\n")] != '\0' || str_copy(p->to, sizeof(p->to), text) != 0)
		return conf_fail(
		    n, err, "https://HOST/..., or http:// to 127.0.0.1, [::1] or localhost only");
	return 0;
}

static int
take_syslog(
    const char *file, const struct conf_node *n, struct settings_push *p, struct conf_err *err)
{
	const char *text;
	int r = conf_str(n, &text, err);

	(void)file;
	if (r != 0)
		return r;
	if (facility_find(text) < 0 || str_copy(p->to, sizeof(p->to), text) != 0)
		return conf_fail(n, err, "auth, authpriv, daemon, user or local0 to local7");
	return str_copy(p->socket, sizeof(p->socket), SYSLOG_SOCKET);
}

static const struct {
	const char *name;
	int (*take)(const char *file, const struct conf_node *n, struct settings_push *p,
	    struct conf_err *err);
} push_kinds[] = {
	[PUSH_FILE] = { "file", take_file },
	[PUSH_COMMAND] = { "command", take_command },
	[PUSH_URL] = { "url", take_url },
	[PUSH_SYSLOG] = { "syslog", take_syslog },
};

const char *
settings_push_kind(enum settings_push_kind kind)
{
	return push_kinds[kind].name;
}

/* What may stand beside a kind's own key: files that must be there. */
static int
take_beside(
    const char *file, const struct conf_node *n, struct settings_push *p, struct conf_err *err)
{
	const struct {
		const char *name;
		enum settings_push_kind kind;
		char *dst;
		bool must_be_there;
	} beside[] = { { "ca", PUSH_URL, p->ca, true }, { "token", PUSH_URL, p->token, true },
		{ "socket", PUSH_SYSLOG, p->socket, false } };

	for (size_t i = 0; i < N(beside); i++) {
		const struct conf_node *at = conf_get(n, beside[i].name);
		int r;

		if (at == NULL)
			continue;
		if (p->kind != beside[i].kind)
			return conf_fail(
			    at, err, "it only beside %s", push_kinds[beside[i].kind].name);
		if ((r = take_path(file, at, beside[i].dst, err)) != 0)
			return r;
		if (beside[i].must_be_there && access(beside[i].dst, F_OK) != 0)
			return conf_fail(at, err, "a file that is there (%s)", err_str(-errno));
	}
	return 0;
}

int
settings_push_take(const char *file, const struct conf_node *n, struct settings_push *ret_push,
    struct conf_err *ret_err)
{
	static const struct conf_key keys[] = { { "file", false }, { "command", false },
		{ "url", false }, { "syslog", false }, { "ca", false }, { "token", false },
		{ "socket", false } };
	const struct conf_node *found = NULL;
	int r = conf_check_map(n, keys, N(keys), ret_err);

	memset(ret_push, 0, sizeof(*ret_push));
	for (size_t i = 0; r == 0 && i < N(push_kinds); i++) {
		const struct conf_node *at = conf_get(n, push_kinds[i].name);

		if (at == NULL)
			continue;
		if (found != NULL)
			return conf_fail(at, ret_err, "one place in each entry");
		found = at;
		ret_push->kind = (enum settings_push_kind)i;
	}
	if (r != 0)
		return r;
	if (found == NULL)
		return conf_fail(n, ret_err, "one of file, command, url and syslog");
	if ((r = push_kinds[ret_push->kind].take(file, found, ret_push, ret_err)) != 0)
		return r;
	return take_beside(file, n, ret_push, ret_err);
}

bool
settings_push_same(const struct settings_push *a, const struct settings_push *b)
{
	if (a->kind != b->kind || a->n_args != b->n_args || strcmp(a->to, b->to) != 0 ||
	    strcmp(a->ca, b->ca) != 0 || strcmp(a->token, b->token) != 0 ||
	    strcmp(a->socket, b->socket) != 0)
		return false;
	for (size_t i = 0; i < a->n_args; i++)
		if (strcmp(a->args[i], b->args[i]) != 0)
			return false;
	return true;
}
