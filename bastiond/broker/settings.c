/* One table of keys; a section of the file is a row whose value is a map. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/settings.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/num.h"
#include "lib/str.h"

#define S_NS CLOCK_NS_PER_S
#define SETTINGS_KEYS_MAX 16 /* keys in one section */
#define N(a) (sizeof(a) / sizeof((a)[0]))

struct settings_load {
	struct settings *s;
	const struct settings_about *about;
	struct conf_err *err;
};

struct settings_key {
	const char *section; /* "" the file itself */
	const char *name;
	int (*take)(
	    struct settings_load *l, const struct settings_key *k, const struct conf_node *n);
	size_t at; /* of the value in struct settings */
	uint64_t min, max;
};

static int settings_take_section(
    struct settings_load *l, const char *section, const struct conf_node *n);

static void *
settings_at(const struct settings_load *l, const struct settings_key *k)
{
	return (char *)l->s + k->at;
}

static int
take_map(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	char section[SETTINGS_WORD_SIZE];

	(void)snprintf(section, sizeof(section), "%s%s%s", k->section,
	    k->section[0] != '\0' ? "." : "", k->name);
	return settings_take_section(l, section, n);
}

static int
take_number(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_u64(n, k->min, k->max, settings_at(l, k), l->err);
}

static int
take_span(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_span(n, k->min, k->max, settings_at(l, k), l->err);
}

static int
take_size(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	return conf_size(n, k->min, k->max, settings_at(l, k), l->err);
}

static int
take_bool(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_path(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_readable(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_user_ca(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_listen(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	int r = settings_list(l, n, 1, SETTINGS_LISTEN_MAX);

	(void)k;
	l->s->n_listen = 0;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		r = settings_listen_one(l, conf_at(n, i));
	return r;
}

static int
take_nets(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_env(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_service(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	const char *text;
	int r = conf_str(n, &text, l->err);

	if (r == 0 && (!settings_is_word(text, "_-") ||
			  str_copy(settings_at(l, k), SETTINGS_WORD_SIZE, text) != 0))
		r = conf_fail(n, l->err, "the name of a PAM service");
	return r;
}

static int
take_folder(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	char *dst = settings_at(l, k);
	int r = settings_path(l, n, dst);
	struct stat st;

	if (r == 0 && (stat(dst, &st) != 0 || !S_ISDIR(st.st_mode)))
		r = conf_fail(n, l->err, "a folder that is there");
	return r;
}

static int
take_paths(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_user(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_methods(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_durability(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	static const char *const names[] = { "strict", "process" };
	size_t i;
	int r = conf_choice(n, names, N(names), &i, l->err);

	(void)k;
	if (r == 0)
		l->s->durability = i == 0 ? SETTINGS_STRICT : SETTINGS_PROCESS;
	return r;
}

/* Keys of the format that nothing here carries out yet: their neutral value, or a clear no. */
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

static int
take_auditors(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_checkpoints(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_startups(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_prefix(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

static int
take_unlock(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
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

#define AT(field) offsetof(struct settings, field)
#define SPAN(section, name, field, min, max)                                                       \
	{                                                                                          \
		section, name, take_span, AT(field), min, max                                      \
	}
#define NUMBER(section, name, field, min, max)                                                     \
	{                                                                                          \
		section, name, take_number, AT(field), min, max                                    \
	}
#define OTHER(section, name, take, field)                                                          \
	{                                                                                          \
		section, name, take, AT(field), 0, 0                                               \
	}
#define PLAIN(section, name, take)                                                                 \
	{                                                                                          \
		section, name, take, 0, 0, 0                                                       \
	}
#define MAP(section, name) PLAIN(section, name, take_map)

static const struct settings_key settings_keys[] = {
	PLAIN("", "listen", take_listen),
	OTHER("", "state", take_path, state),
	OTHER("", "policy", take_readable, policy),
	MAP("", "login"),
	MAP("", "recording"),
	MAP("", "limits"),
	MAP("", "penalties"),
	MAP("", "keepalive"),
	MAP("", "vault"),
	MAP("", "session"),
	MAP("", "targets"),
	PLAIN("login", "user_ca", take_user_ca),
	OTHER("login", "revoked", take_readable, revoked),
	OTHER("login", "methods", take_methods, methods),
	MAP("login", "pam"),
	OTHER("login.pam", "service", take_service, pam_service),
	OTHER("login.pam", "identity_from_pam", take_bool, identity_from_pam),
	OTHER("login.pam", "groups_from_pam", take_bool, groups_from_pam),
	OTHER("login.pam", "confdir", take_folder, pam_confdir),
	PLAIN("login.pam", "user", take_user),
	OTHER("login.pam", "read", take_paths, pam_read),
	OTHER("login.pam", "write", take_paths, pam_write),
	OTHER("login.pam", "run", take_paths, pam_run),
	SPAN("login.pam", "timeout", pam_timeout_ns, S_NS, 3600 * S_NS),
	OTHER("login", "explain", take_bool, explain),
	SPAN("login", "grace", grace_ns, S_NS, 3600 * S_NS),
	PLAIN("recording", "durability", take_durability),
	SPAN("recording", "stall_timeout", stall_timeout_ns, S_NS, 3600 * S_NS),
	/* A second is for trying it out: a rollover costs a leaf and two syncs of one page. */
	SPAN("recording", "epoch", epoch_ns, S_NS, 365ull * 86400 * S_NS),
	PLAIN("recording", "checkpoints", take_checkpoints),
	SPAN("recording", "checkpoint_every", checkpoint_every_ns, S_NS, 86400 * S_NS),
	PLAIN("recording", "auditors", take_auditors),
	MAP("recording", "retain"),
	SPAN("recording.retain", "for", retain_ns, S_NS, 36500ull * 86400 * S_NS),
	{ "recording.retain", "space", take_size, AT(retain_space), 1u << 20, 1ull << 60 },
	SPAN("recording", "reader_timeout", reader_timeout_ns, S_NS, 3600 * S_NS),
	NUMBER("limits", "connections", connections, 1, 100000),
	NUMBER("limits", "per_source", per_source, 1, 100000),
	NUMBER("limits", "channels", channels, 1, 1000),
	NUMBER("limits", "auth_tries", auth_tries, 1, 100),
	NUMBER("limits", "auth_processes", auth_processes, 1, 10000),
	OTHER("limits", "startups", take_startups, startups),
	OTHER("limits", "source_prefix", take_prefix, source_prefix),
	SPAN("penalties", "crash", penalties.crash_ns, 0, 86400 * S_NS),
	SPAN("penalties", "alarm", penalties.alarm_ns, 0, 86400 * S_NS),
	SPAN("penalties", "auth_failure", penalties.auth_failure_ns, 0, 86400 * S_NS),
	SPAN("penalties", "no_auth", penalties.no_auth_ns, 0, 86400 * S_NS),
	SPAN("penalties", "grace_exceeded", penalties.grace_exceeded_ns, 0, 86400 * S_NS),
	SPAN("penalties", "from", penalties.from_ns, S_NS, 86400 * S_NS),
	SPAN("penalties", "max", penalties.max_ns, S_NS, 86400 * S_NS),
	NUMBER("penalties", "sources", penalties.sources, 8, 1u << 20),
	OTHER("penalties", "exempt", take_nets, penalties.exempt),
	SPAN("keepalive", "interval", keepalive_ns, 0, 86400 * S_NS),
	NUMBER("keepalive", "missed", keepalive_missed, 1, 100),
	PLAIN("vault", "unlock", take_unlock),
	OTHER("session", "env", take_env, env),
	{ "session", "rekey", take_size, AT(rekey_bytes), 64u << 10, 1ull << 40 },
	SPAN("session", "close_wait", close_wait_ns, S_NS, 3600 * S_NS),
	OTHER("targets", "denied", take_nets, denied),
	SPAN("targets", "connect_timeout", connect_timeout_ns, 100 * CLOCK_NS_PER_MS, 300 * S_NS),
};

static int
settings_take_section(struct settings_load *l, const char *section, const struct conf_node *n)
{
	struct conf_key known[SETTINGS_KEYS_MAX];
	size_t n_known = 0;
	int r;

	for (size_t i = 0; i < N(settings_keys); i++)
		if (strcmp(settings_keys[i].section, section) == 0 && n_known < N(known))
			known[n_known++] = (struct conf_key){ settings_keys[i].name, false };
	r = conf_check_map(n, known, n_known, l->err);
	for (size_t i = 0; r == 0 && i < N(settings_keys); i++) {
		const struct settings_key *k = &settings_keys[i];
		const struct conf_node *value;

		if (strcmp(k->section, section) == 0 && (value = conf_get(n, k->name)) != NULL)
			r = k->take(l, k, value);
	}
	return r;
}

/* What no single key can know. */
static int
settings_check(struct settings_load *l, const struct conf_node *root)
{
	const struct conf_node *n = conf_get(root, "penalties");

	if (l->s->penalties.from_ns > l->s->penalties.max_ns && n != NULL)
		return conf_fail(n, l->err, "\"from\" not above \"max\"");
	return 0;
}

static void
settings_default_nets(struct settings_nets *nets, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (net_prefix_parse(texts[i], &nets->prefix[nets->n]) == 0 &&
		    str_copy(nets->text[nets->n], sizeof(nets->text[0]), texts[i]) == 0)
			nets->n++;
}

static void
settings_default_words(struct settings_words *words, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_copy(words->text[words->n], SETTINGS_WORD_SIZE, texts[i]) == 0)
			words->n++;
}

static void
settings_default_lists(struct settings *s)
{
	static const char *const denied[] = { "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
		"224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "64:ff9b::/96", "fe80::/10",
		"ff00::/8" };
	static const char *const exempt[] = { "127.0.0.0/8", "::1/128" };
	static const char *const env[] = { "LANG", "LC_*", "TERM", "COLORTERM", "GIT_PROTOCOL" };
	static const char *const methods[] = { "publickey" };

	settings_default_nets(&s->denied, denied, N(denied));
	settings_default_nets(&s->penalties.exempt, exempt, N(exempt));
	settings_default_words(&s->env, env, N(env));
	settings_default_words(&s->methods, methods, N(methods));
}

int
settings_default(struct settings *s, const char *path)
{
	int r;

	memset(s, 0, sizeof(*s));
	if ((r = str_copy(s->file, sizeof(s->file), path)) != 0 ||
	    (r = file_relative(path, "state", s->state, sizeof(s->state))) != 0 ||
	    (r = file_relative(path, "policy.yaml", s->policy, sizeof(s->policy))) != 0 ||
	    (r = net_parse_port("127.0.0.1:2222", &s->listen[0].addr, &s->listen[0].port)) != 0 ||
	    (r = net_parse_port("[::1]:2222", &s->listen[1].addr, &s->listen[1].port)) != 0 ||
	    (r = str_copy(s->pam_service, sizeof(s->pam_service), "bastiond")) != 0)
		return r;
	s->n_listen = 2;
	s->grace_ns = 120 * S_NS;
	s->pam_timeout_ns = 300 * S_NS;
	s->durability = SETTINGS_STRICT;
	s->stall_timeout_ns = 30 * S_NS;
	s->epoch_ns = 86400 * S_NS;
	s->checkpoint_every_ns = 60 * S_NS;
	s->reader_timeout_ns = 60 * S_NS;
	s->connections = 2000;
	s->per_source = 64;
	s->channels = 10;
	s->auth_tries = 6;
	s->auth_processes = 64;
	s->startups = (struct settings_startups){ 100, 30, 400 };
	s->source_prefix = (struct settings_prefix){ 32, 64 };
	s->penalties.crash_ns = 90 * S_NS;
	s->penalties.alarm_ns = 90 * S_NS;
	s->penalties.auth_failure_ns = 5 * S_NS;
	s->penalties.no_auth_ns = S_NS;
	s->penalties.grace_exceeded_ns = 10 * S_NS;
	s->penalties.from_ns = 15 * S_NS;
	s->penalties.max_ns = 600 * S_NS;
	s->penalties.sources = 65536;
	s->keepalive_ns = 15 * S_NS;
	s->keepalive_missed = 3;
	s->close_wait_ns = 30 * S_NS;
	s->connect_timeout_ns = 15 * S_NS;
	settings_default_lists(s);
	return 0;
}

int
settings_parse(const char *path, const char *data, size_t len, const struct settings_about *about,
    struct settings **ret_settings, struct conf_err *ret_err)
{
	struct settings_load l = { .about = about, .err = ret_err };
	struct conf_doc *doc = NULL;
	int r = -ENOMEM;

	if ((l.s = malloc(sizeof(*l.s))) == NULL)
		return r;
	if ((r = settings_default(l.s, path)) != 0) {
		(void)snprintf(ret_err->text, sizeof(ret_err->text), "%.200s: path too long", path);
		r = ERR_FORMAT;
		goto out;
	}
	if ((r = conf_parse(path, data, len, &doc, ret_err)) != 0)
		goto out;
	if (conf_root(doc) != NULL && ((r = settings_take_section(&l, "", conf_root(doc))) != 0 ||
					  (r = settings_check(&l, conf_root(doc))) != 0))
		goto out;
	*ret_settings = l.s;
	l.s = NULL;
out:
	conf_free(doc);
	free(l.s);
	return r;
}

int
settings_load(const char *path, const struct settings_about *about, struct settings **ret_settings,
    struct conf_err *ret_err)
{
	char *data = NULL;
	size_t len;
	int r = file_read(path, CONF_FILE_MAX, &data, &len);

	if (r == -ENOMEM)
		return r;
	if (r != 0) {
		(void)snprintf(
		    ret_err->text, sizeof(ret_err->text), "%.300s: %s", path, err_str(r));
		return ERR_FORMAT;
	}
	r = settings_parse(path, data, len, about, ret_settings, ret_err);
	free(data);
	return r;
}

static bool
settings_same_paths(const struct settings_paths *a, const struct settings_paths *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->path[i], b->path[i]) != 0)
			return false;
	return true;
}

/* What the broker's sandbox lets modules reach is said once, at the start; likewise whose uid they have. */
static const char *
settings_pam_needs_restart(const struct settings *a, const struct settings *b)
{
	if (strcmp(a->pam_confdir, b->pam_confdir) != 0)
		return "login.pam.confdir";
	if (a->has_pam_user != b->has_pam_user || a->pam_uid != b->pam_uid ||
	    a->pam_gid != b->pam_gid)
		return "login.pam.user";
	if (!settings_same_paths(&a->pam_read, &b->pam_read))
		return "login.pam.read";
	if (!settings_same_paths(&a->pam_write, &b->pam_write))
		return "login.pam.write";
	return settings_same_paths(&a->pam_run, &b->pam_run) ? NULL : "login.pam.run";
}

static bool
settings_same_auditors(const struct auditors *a, const struct auditors *b)
{
	for (size_t i = 0; i < a->n && a->n == b->n; i++)
		if (memcmp(a->a[i].key, b->a[i].key, AUDITOR_KEY_LEN) != 0 ||
		    strcmp(a->a[i].name, b->a[i].name) != 0)
			return false;
	return a->n == b->n;
}

static bool
settings_same_checkpoints(const struct settings *a, const struct settings *b)
{
	if (a->n_checkpoints != b->n_checkpoints)
		return false;
	for (size_t i = 0; i < a->n_checkpoints; i++)
		if (!settings_push_same(&a->checkpoints[i], &b->checkpoints[i]))
			return false;
	return true;
}

const char *
settings_needs_restart(const struct settings *a, const struct settings *b)
{
	if (strcmp(a->state, b->state) != 0)
		return "state";
	if (a->durability != b->durability)
		return "recording.durability";
	if (a->stall_timeout_ns != b->stall_timeout_ns)
		return "recording.stall_timeout";
	if (a->epoch_ns != b->epoch_ns)
		return "recording.epoch";
	if (!settings_same_auditors(&a->auditors, &b->auditors))
		return "recording.auditors";
	if (a->checkpoint_every_ns != b->checkpoint_every_ns)
		return "recording.checkpoint_every";
	/* What the broker's sandbox lets them reach is said once, at the start. */
	if (!settings_same_checkpoints(a, b))
		return "recording.checkpoints";
	if (strcmp(a->unlock, b->unlock) != 0)
		return "vault.unlock";
	if (a->penalties.sources != b->penalties.sources)
		return "penalties.sources";
	return settings_pam_needs_restart(a, b);
}
