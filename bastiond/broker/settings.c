/* One table of keys; a section of the file is a row whose value is a map. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/settings_part.h"
#include "lib/clock.h"
#include "lib/file.h"

#define S_NS CLOCK_NS_PER_S
#define SETTINGS_KEYS_MAX 16 /* keys in one section */
#define N(a) (sizeof(a) / sizeof((a)[0]))

static int settings_take_section(
    struct settings_load *l, const char *section, const struct conf_node *n);

static int
take_map(struct settings_load *l, const struct settings_key *k, const struct conf_node *n)
{
	char section[SETTINGS_WORD_SIZE];

	(void)snprintf(section, sizeof(section), "%s%s%s", k->section,
	    k->section[0] != '\0' ? "." : "", k->name);
	return settings_take_section(l, section, n);
}

#define AT(field) offsetof(struct settings, field)
#define SPAN(section, name, field, min, max)                                                       \
	{                                                                                          \
		section, name, settings_take_span, AT(field), min, max                             \
	}
#define NUMBER(section, name, field, min, max)                                                     \
	{                                                                                          \
		section, name, settings_take_number, AT(field), min, max                           \
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
	PLAIN("", "listen", settings_take_listen),
	OTHER("", "state", settings_take_path, state),
	OTHER("", "policy", settings_take_readable, policy),
	MAP("", "login"),
	MAP("", "recording"),
	MAP("", "limits"),
	MAP("", "penalties"),
	MAP("", "keepalive"),
	MAP("", "vault"),
	MAP("", "session"),
	MAP("", "targets"),
	PLAIN("login", "user_ca", settings_take_user_ca),
	OTHER("login", "revoked", settings_take_readable, revoked),
	OTHER("login", "methods", settings_take_methods, methods),
	MAP("login", "pam"),
	OTHER("login.pam", "service", settings_take_service, pam_service),
	OTHER("login.pam", "identity_from_pam", settings_take_bool, identity_from_pam),
	OTHER("login.pam", "groups_from_pam", settings_take_bool, groups_from_pam),
	OTHER("login.pam", "confdir", settings_take_folder, pam_confdir),
	PLAIN("login.pam", "user", settings_take_user),
	OTHER("login.pam", "read", settings_take_paths, pam_read),
	OTHER("login.pam", "write", settings_take_paths, pam_write),
	OTHER("login.pam", "run", settings_take_paths, pam_run),
	SPAN("login.pam", "timeout", pam_timeout_ns, S_NS, 3600 * S_NS),
	OTHER("login", "explain", settings_take_bool, explain),
	SPAN("login", "grace", grace_ns, S_NS, 3600 * S_NS),
	PLAIN("recording", "durability", settings_take_durability),
	SPAN("recording", "stall_timeout", stall_timeout_ns, S_NS, 3600 * S_NS),
	/* A second is for trying it out: a rollover costs a leaf and two syncs of one page. */
	SPAN("recording", "epoch", epoch_ns, S_NS, 365ull * 86400 * S_NS),
	PLAIN("recording", "checkpoints", settings_take_checkpoints),
	SPAN("recording", "checkpoint_every", checkpoint_every_ns, S_NS, 86400 * S_NS),
	PLAIN("recording", "auditors", settings_take_auditors),
	MAP("recording", "retain"),
	SPAN("recording.retain", "for", retain_ns, S_NS, 36500ull * 86400 * S_NS),
	{ "recording.retain", "space", settings_take_size, AT(retain_space), 1u << 20, 1ull << 60 },
	SPAN("recording", "reader_timeout", reader_timeout_ns, S_NS, 3600 * S_NS),
	NUMBER("limits", "connections", connections, 1, 100000),
	NUMBER("limits", "per_source", per_source, 1, 100000),
	NUMBER("limits", "channels", channels, 1, 1000),
	NUMBER("limits", "auth_tries", auth_tries, 1, 100),
	NUMBER("limits", "auth_processes", auth_processes, 1, 10000),
	OTHER("limits", "startups", settings_take_startups, startups),
	OTHER("limits", "source_prefix", settings_take_prefix, source_prefix),
	SPAN("penalties", "crash", penalties.crash_ns, 0, 86400 * S_NS),
	SPAN("penalties", "alarm", penalties.alarm_ns, 0, 86400 * S_NS),
	SPAN("penalties", "auth_failure", penalties.auth_failure_ns, 0, 86400 * S_NS),
	SPAN("penalties", "no_auth", penalties.no_auth_ns, 0, 86400 * S_NS),
	SPAN("penalties", "grace_exceeded", penalties.grace_exceeded_ns, 0, 86400 * S_NS),
	SPAN("penalties", "from", penalties.from_ns, S_NS, 86400 * S_NS),
	SPAN("penalties", "max", penalties.max_ns, S_NS, 86400 * S_NS),
	NUMBER("penalties", "sources", penalties.sources, 8, 1u << 20),
	OTHER("penalties", "exempt", settings_take_nets, penalties.exempt),
	SPAN("keepalive", "interval", keepalive_ns, 0, 86400 * S_NS),
	NUMBER("keepalive", "missed", keepalive_missed, 1, 100),
	PLAIN("vault", "unlock", settings_take_unlock),
	OTHER("session", "env", settings_take_env, env),
	{ "session", "rekey", settings_take_size, AT(rekey_bytes), 64u << 10, 1ull << 40 },
	SPAN("session", "close_wait", close_wait_ns, S_NS, 3600 * S_NS),
	OTHER("targets", "denied", settings_take_nets, denied),
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
