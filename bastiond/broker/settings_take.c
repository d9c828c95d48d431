/* What the values of bastiond.yaml may be, one function for each form. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/settings_part.h"
#include "lib/file.h"
#include "lib/num.h"
#include "lib/str.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void *
settings_at(const struct settings_load *l, const struct settings_key *k)
{
	return (char *)l->s + k->at;
}

int
settings_take_number(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_u64(n, k->min, k->max, settings_at(l, k), l->err);
}

int
settings_take_span(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_span(n, k->min, k->max, settings_at(l, k), l->err);
}

int
settings_take_size(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_size(n, k->min, k->max, settings_at(l, k), l->err);
}

int
settings_take_bool(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_bool(n, settings_at(l, k), l->err);
}

/* A path as the file means it, into dst of PATH_MAX bytes. */
static int
settings_path(struct settings_load *l, const struct conf_node *n, char *dst)
{
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r != 0)
		return r;
	if (text[0] == '\0' || file_relative(l->s->file, text, dst, PATH_MAX) != 0)
		return conf_fail(n, l->err, "a path");
	return 0;
}

int
settings_take_path(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return settings_path(l, n, settings_at(l, k));
}

static int
settings_readable(struct settings_load *l, const struct conf_node *n, char *dst)
{
	int r = settings_path(l, n, dst);

	if (r == 0 && access(dst, R_OK) != 0)
		r = conf_fail(n, l->err, "a file that can be read (%s)", err_str(-errno));
	return r;
}

int
settings_take_readable(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return settings_readable(l, n, settings_at(l, k));
}

static int
settings_list(struct settings_load *l, const struct conf_node *n, size_t min, size_t max)
{
	int r = conf_list(n, l->err);

	if (r == 0 && (conf_n(n) < min || conf_n(n) > max))
		r = conf_fail(n, l->err, "a list of %zu to %zu entries", min, max);
	return r;
}

int
settings_take_user_ca(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	int r = settings_list(l, n, 0, SETTINGS_CA_MAX);

	(void)k;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = settings_readable(l, conf_at(n, i), l->s->user_ca[i]);
	l->s->n_user_ca = conf_n(n);
	return r;
}

static int
settings_listen_one(struct settings_load *l, const struct conf_node *n)
{
	struct settings_listen *at = &l->s->listen[l->s->n_listen];
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r != 0)
		return r;
	if (net_parse_port(text, &at->addr, &at->port) != 0)
		return conf_fail(n, l->err, "an address and port, as 0.0.0.0:22 or [::1]:2222");
	for (size_t i = 0; i < l->s->n_listen; i++)
		if (at->port != 0 && at->port == l->s->listen[i].port &&
		    net_same(&at->addr, &l->s->listen[i].addr))
			return conf_fail(n, l->err, "each address once");
	l->s->n_listen++;
	return 0;
}

int
settings_take_listen(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	int r = settings_list(l, n, 1, SETTINGS_LISTEN_MAX);

	(void)k;
	l->s->n_listen = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = settings_listen_one(l, conf_at(n, i));
	return r;
}

int
settings_take_nets(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_nets *nets = settings_at(l, k);
	int r = settings_list(l, n, 0, SETTINGS_NETS_MAX);

	nets->n = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *at = conf_at(n, i);
		const char *text;

		if ((r = conf_str(at, &text, l->err)) != 0)
			break;
		if (net_prefix_parse(text, &nets->prefix[i]) != 0 ||
		    str_copy(nets->text[i], sizeof(nets->text[i]), text) != 0)
			r = conf_fail(at, l->err,
			    "a network, as 10.0.0.0/8 or fe80::/10, with no bits set behind the "
			    "prefix");
		nets->n++;
	}
	return r;
}

/* Whether s is made of these characters (letters, digits and those in more), and of at least one. */
static bool
settings_is_word(const char *s, const char *more)
{
	const char *p = s;

	for (; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			(*p >= '0' && *p <= '9') || strchr(more, *p) != NULL))
			return false;
	return p != s;
}

int
settings_take_env(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_words *words = settings_at(l, k);
	int r = settings_list(l, n, 0, SETTINGS_ENV_MAX);

	words->n = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const char *text;

		if ((r = conf_str(conf_at(n, i), &text, l->err)) != 0)
			break;
		if (!settings_is_word(text, "_*?") ||
		    str_copy(words->text[i], SETTINGS_WORD_SIZE, text) != 0)
			r = conf_fail(conf_at(n, i), l->err, "a name or pattern, as LANG or LC_*");
		words->n++;
	}
	return r;
}

int
settings_take_service(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r == 0 && (!settings_is_word(text, "_-") ||
			  str_copy(settings_at(l, k), SETTINGS_WORD_SIZE, text) != 0))
		r = conf_fail(n, l->err, "the name of a PAM service");
	return r;
}

int
settings_take_folder(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	char *dst = settings_at(l, k);
	int r = settings_path(l, n, dst);
	struct stat st;

	if (r == 0 && (stat(dst, &st) != 0 || !S_ISDIR(st.st_mode)))
		r = conf_fail(n, l->err, "a folder that is there");
	return r;
}

int
settings_take_paths(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_paths *paths = settings_at(l, k);
	int r = settings_list(l, n, 0, SETTINGS_PATHS_MAX);

	paths->n = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *at = conf_at(n, i);

		if ((r = settings_path(l, at, paths->path[i])) == 0 &&
		    access(paths->path[i], F_OK) != 0)
			r = conf_fail(at, l->err, "a path that is there (%s)", err_str(-errno));
		paths->n++;
	}
	return r;
}

int
settings_take_user(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	const struct passwd *pw;
	const char *name;
	int r = conf_str(n, &name, l->err);

	(void)k;
	if (r != 0)
		return r;
	if ((pw = getpwnam(name)) == NULL)
		return conf_fail(n, l->err, "a user of this system");
	if (geteuid() != 0 && pw->pw_uid != geteuid())
		return conf_fail(n, l->err,
		    "the user who starts bastiond (only root starts programs for others)");
	l->s->has_pam_user = true;
	l->s->pam_uid = pw->pw_uid;
	l->s->pam_gid = pw->pw_gid;
	return 0;
}

/* One method, appended to dst behind a comma where something stands there already. */
static int
settings_method(struct settings_load *l, const struct conf_node *n, char *dst)
{
	static const char *const names[] = { "publickey", "keyboard-interactive" };
	size_t i, len = strlen(dst);
	int r = conf_choice(n, names, N(names), &i, l->err);

	if (r != 0)
		return r;
	if (i == 1 && !l->about->has_auth)
		return conf_fail(n, l->err,
		    "publickey (keyboard-interactive is not built in: there is no bastiond-auth "
		    "beside bastiond)");
	if (strstr(dst, names[i]) != NULL)
		return conf_fail(n, l->err, "each method once");
	(void)snprintf(dst + len, SETTINGS_WORD_SIZE - len, "%s%s", len > 0 ? "," : "", names[i]);
	return 0;
}

static int
settings_method_set(struct settings_load *l, const struct conf_node *n, char *dst)
{
	int r = 0;

	dst[0] = '\0';
	if (conf_node_type(n) != CONF_LIST)
		return settings_method(l, n, dst);
	if (conf_n(n) == 0)
		return conf_fail(n, l->err, "at least one method");
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = settings_method(l, conf_at(n, i), dst);
	return r;
}

int
settings_take_methods(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_words *words = settings_at(l, k);
	int r = settings_list(l, n, 1, SETTINGS_METHODS_MAX);

	words->n = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		r = settings_method_set(l, conf_at(n, i), words->text[i]);
		for (size_t j = 0; r == 0 && j < i; j++)
			if (strcmp(words->text[j], words->text[i]) == 0)
				r = conf_fail(conf_at(n, i), l->err, "each method once");
		words->n++;
	}
	return r;
}

int
settings_take_durability(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	static const char *const names[] = { "strict", "process" };
	size_t i;
	int r = conf_choice(n, names, N(names), &i, l->err);

	(void)k;
	if (r == 0)
		l->s->durability = i == 0 ? SETTINGS_STRICT : SETTINGS_PROCESS;
	return r;
}

/* A line as bastionctl auditor new prints it, or the file that it was kept in. */
static int
settings_auditor(struct settings_load *l, const struct conf_node *n, struct auditor *ret_auditor)
{
	static const char what[] = "a line as of bastionctl auditor new, or a file with one";
	char path[PATH_MAX], *text = NULL;
	const char *value;
	size_t len;
	int r;

	if ((r = conf_str(n, &value, l->err)) != 0)
		return r;
	if (str_starts(value, AUDITOR_WORD))
		return auditor_parse(value, ret_auditor) == 0 ? 0
							      : conf_fail(n, l->err, "%s", what);
	if ((r = settings_readable(l, n, path)) != 0)
		return r;
	if (file_read(path, AUDITOR_LINE_SIZE, &text, &len) != 0 ||
	    auditor_parse(text, ret_auditor) != 0)
		r = conf_fail(n, l->err, "%s", what);
	free(text);
	return r;
}

int
settings_take_auditors(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct auditors all = { .n = 0 };
	struct auditor a;
	int r = settings_list(l, n, 0, AUDITORS_MAX);

	(void)k;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *at = conf_at(n, i);

		if ((r = settings_auditor(l, at, &a)) == 0 && auditors_add(&all, &a) != 0)
			r = conf_fail(at, l->err, "each auditor once, by key and by name");
	}
	if (r == 0)
		l->s->auditors = all;
	return r;
}

int
settings_take_checkpoints(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	int r = settings_list(l, n, 0, SETTINGS_PUSHES_MAX);

	(void)k;
	l->s->n_checkpoints = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *at = conf_at(n, i);

		r = settings_push_take(l->s->file, at, &l->s->checkpoints[i], l->err);
		if (r == 0 && l->s->checkpoints[i].kind == PUSH_URL && !l->about->has_url)
			r = conf_fail(conf_get(at, "url"), l->err,
			    "file, command or syslog (url is not built in: configure it without "
			    "--without-oidc, which leaves libcurl out)");
		l->s->n_checkpoints++;
	}
	return r;
}

/* So many numbers with colons between, the i-th from min to max[i]. */
static int
settings_numbers(
    const char *text, size_t n, uint64_t min, const uint64_t max[], uint64_t *const ret[])
{
	char copy[SETTINGS_WORD_SIZE], *rest = copy, *part;
	size_t i = 0;
	int r = 0;

	if (str_copy(copy, sizeof(copy), text) != 0)
		return ERR_FORMAT;
	while (r == 0 && (part = strsep(&rest, ":")) != NULL)
		r = i < n ? num_parse(part, min, max[i], ret[i]) : ERR_FORMAT, i++;
	return r == 0 && i != n ? ERR_FORMAT : r;
}

int
settings_take_startups(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_startups v;
	uint64_t *const parts[] = { &v.begin, &v.rate, &v.full };
	const uint64_t max[] = { 1000000, 100, 1000000 };
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r != 0)
		return r;
	if (settings_numbers(text, N(parts), 1, max, parts) != 0 || v.begin > v.full)
		return conf_fail(n, l->err,
		    "begin:rate:full, as 100:30:400, rate from 1 to 100, begin not above full");
	*(struct settings_startups *)settings_at(l, k) = v;
	return 0;
}

int
settings_take_prefix(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	struct settings_prefix v;
	uint64_t *const parts[] = { &v.v4, &v.v6 };
	const uint64_t max[] = { 32, 128 };
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r != 0)
		return r;
	if (settings_numbers(text, N(parts), 8, max, parts) != 0)
		return conf_fail(
		    n, l->err, "ipv4:ipv6, as 32:64: bits of an address, from 8 to 32 and to 128");
	*(struct settings_prefix *)settings_at(l, k) = v;
	return 0;
}

int
settings_take_unlock(
    struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	char path[PATH_MAX];
	const char *text;
	int r = conf_str(n, &text, l->err);

	(void)k;
	if (r != 0)
		return r;
	r = ERR_FORMAT;
	if (str_starts(text, "file:") && text[5] != '\0' &&
	    file_relative(l->s->file, text + 5, path, sizeof(path)) == 0)
		r = str_format(l->s->unlock, sizeof(l->s->unlock), "file:%s", path);
	else if (strcmp(text, "passphrase") == 0 ||
		 (str_starts(text, "credential:") && settings_is_word(text + 11, "._-")))
		r = str_copy(l->s->unlock, sizeof(l->s->unlock), text);
	return r == 0 ? 0 : conf_fail(n, l->err, "file:PATH, credential:NAME or passphrase");
}
