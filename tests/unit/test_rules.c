/* Decisions: truth tables over rules, people, hosts, logins, sources, times and rights. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "policy/access.h"
#include "policy/model.h"
#include "policy/rules.h"

#define PEOPLE                                                                                     \
	"users:\n"                                                                                 \
	"  alice: {groups: [sre]}\n"                                                               \
	"  bob: {groups: [contractors, sre]}\n"                                                    \
	"  carol: {groups: []}\n"                                                                  \
	"hosts:\n"                                                                                 \
	"  web1: {address: 10.0.0.1, labels: {env: prod, os: linux}, key: fleet, host_keys: "      \
	"[\"ssh-ed25519 "                                                                          \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"               \
	"  web2: {address: 10.0.0.2, ports: [2222], labels: {env: test}, key: fleet, host_keys: "  \
	"[\"ssh-ed25519 "                                                                          \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"               \
	"  web3: {address: 10.0.0.5, labels: {env: prod, os: bsd}, key: fleet, host_keys: []}\n"   \
	"  bare: {address: 10.0.0.3, key: fleet}\n"                                                \
	"  keyless: {address: 10.0.0.4, host_keys: [\"ssh-ed25519 "                                \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"               \
	"  \"*.lab\": {resolve: true, labels: {env: lab}, key: fleet, host_keys: "                 \
	"[\"ssh-ed25519 "                                                                          \
	"AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje\"]}\n"

/* 2026-11-23 is a Monday. */
#define MONDAY_10 1795428000ull

static struct model *
loaded(const char *rules)
{
	char *file = calloc(1, 65536);
	struct conf_err err = { "" };
	struct model *m = NULL;

	assert_non_null(file);
	strcpy(file, PEOPLE);
	strcat(file, rules);
	if (model_load("policy.yaml", file, strlen(file), NULL, &m, &err) != 0)
		fail_msg("%s", err.text);
	free(file);
	return m;
}

struct ask {
	const char *user, *host, *login, *source, *principal;
	uint64_t at_s;
	unsigned rights;
	bool mfa;
	const char *command;
	const char *to; /* a forward's host, with: */
	uint32_t port;
};

static bool
decide(const struct model *m, const struct ask *a, const struct model_rule **ret_rule,
    unsigned *ret_rights)
{
	const char *principal = a->principal;
	const struct forward forward = { .host = a->to, .port = a->port };
	struct rules_question q = {
		.user = model_find_user(m, a->user),
		.principals = &principal,
		.n_principals = principal != NULL ? 1 : 0,
		.host = model_find_host(m, a->host),
		.host_name = a->host,
		.login = a->login,
		.now_ns = (a->at_s != 0 ? a->at_s : MONDAY_10) * CLOCK_NS_PER_S,
		.rights = a->rights,
		.mfa = a->mfa,
		.command = a->command,
		.forward = a->to != NULL ? &forward : NULL,
	};

	assert_non_null(q.user);
	assert_non_null(q.host);
	assert_int_equal(net_parse(a->source != NULL ? a->source : "10.9.9.9", &q.source), 0);
	return rules_decide(m, &q, ret_rule, ret_rights);
}

static void
expect(const struct model *m, const struct ask *a, bool want, const char *want_rule)
{
	const struct model_rule *rule = (const struct model_rule *)1;
	bool got = decide(m, a, &rule, NULL);
	const char *name = rule != NULL ? rule->name : NULL;

	if (got != want || (name == NULL) != (want_rule == NULL) ||
	    (name != NULL && strcmp(name, want_rule) != 0))
		fail_msg("%s as %s on %s: %s by %s", a->user, a->login, a->host,
		    got ? "allowed" : "denied", name != NULL ? name : "no rule");
}

static void
test_nothing_is_allowed_by_default(void **state)
{
	struct model *m = loaded("rules: []\n");

	(void)state;
	expect(m, &(struct ask){ .user = "alice", .host = "web1", .login = "root" }, false, NULL);
	model_free(m);
}

static void
test_every_part_of_a_rule_must_fit(void **state)
{
	struct model *m = loaded("rules:\n  - {name: r, who: {groups: [sre], source: "
				 "[10.0.0.0/8]}, where: {labels: {env: "
				 "prod, os: linux}}, as: [root], may: [shell], when: {days: mon, "
				 "hours: \"09:00-17:00\", "
				 "zone: UTC}}\n");
	static const struct {
		struct ask ask;
		bool want;
	} rows[] = {
		{ { .user = "alice", .host = "web1", .login = "root" }, true },
		{ { .user = "bob", .host = "web1", .login = "root" }, true },
		{ { .user = "carol", .host = "web1", .login = "root" }, false },
		{ { .user = "alice", .host = "web2", .login = "root" }, false },
		{ { .user = "alice", .host = "bare", .login = "root" }, false },
		{ { .user = "alice", .host = "web3", .login = "root" }, false },
		{ { .user = "alice", .host = "web1", .login = "deploy" }, false },
		{ { .user = "alice", .host = "web1", .login = "root", .source = "11.0.0.1" },
		    false },
		{ { .user = "alice", .host = "web1", .login = "root", .source = "::1" }, false },
		{ { .user = "alice",
		      .host = "web1",
		      .login = "root",
		      .at_s = MONDAY_10 - 2 * 3600 },
		    false },
		{ { .user = "alice",
		      .host = "web1",
		      .login = "root",
		      .at_s = MONDAY_10 + 7 * 3600 },
		    false },
		{ { .user = "alice", .host = "web1", .login = "root", .at_s = MONDAY_10 + 86400 },
		    false },
		{ { .user = "alice",
		      .host = "web1",
		      .login = "root",
		      .at_s = MONDAY_10 + 7 * 86400 },
		    true },
		{ { .user = "alice", .host = "web1", .login = "root", .rights = MODEL_SHELL },
		    true },
		{ { .user = "alice", .host = "web1", .login = "root", .rights = MODEL_EXEC },
		    false },
		{ { .user = "alice",
		      .host = "web1",
		      .login = "root",
		      .rights = MODEL_SHELL | MODEL_EXEC },
		    true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(m, &rows[i].ask, rows[i].want, rows[i].want ? "r" : NULL);
	model_free(m);
}

#define ALL "who: {users: [\"*\"]}, where: {hosts: [\"*\"]}, as: [\"*\"]"

static void
test_deny_wins_wherever_it_stands(void **state)
{
	static const char *const files[] = {
		"rules:\n  - {name: no, deny: true, who: {groups: [contractors]}, as: [root]}\n"
		"  - {name: yes, " ALL ", may: [shell, exec]}\n",
		"rules:\n  - {name: yes, " ALL ", may: [shell, exec]}\n"
		"  - {name: no, deny: true, who: {groups: [contractors]}, as: [root]}\n",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct model *m = loaded(files[i]);

		expect(m, &(struct ask){ .user = "alice", .host = "web1", .login = "root" }, true,
		    "yes");
		expect(m, &(struct ask){ .user = "bob", .host = "web1", .login = "root" }, false,
		    "no");
		expect(m, &(struct ask){ .user = "bob", .host = "web1", .login = "deploy" }, true,
		    "yes");
		expect(m,
		    &(struct ask){
			.user = "bob", .host = "web1", .login = "root", .rights = MODEL_EXEC },
		    false, "no");
		model_free(m);
	}
}

static void
test_deny_of_one_right_leaves_the_others(void **state)
{
	struct model *m = loaded("rules:\n  - {name: yes, " ALL ", may: [shell, sftp]}\n"
				 "  - {name: no, deny: true, may: [sftp]}\n");
	struct ask a = { .user = "alice", .host = "web1", .login = "root" };
	const struct model_rule *rule;
	unsigned rights = 0;

	(void)state;
	assert_true(decide(m, &a, &rule, &rights));
	assert_int_equal(rights, MODEL_SHELL);
	a.rights = MODEL_SFTP;
	expect(m, &a, false, "no");
	a.rights = MODEL_SHELL;
	expect(m, &a, true, "yes");
	/* Not given in the first place: no deny rule is to blame. */
	a.rights = MODEL_SCP;
	expect(m, &a, false, NULL);
	model_free(m);
	m = loaded("rules:\n  - {name: yes, " ALL ", may: [sftp]}\n"
		   "  - {name: no, deny: true, may: [sftp]}\n");
	a.rights = 0;
	expect(m, &a, false, "no");
	model_free(m);
}

static void
test_rights_add_up(void **state)
{
	struct model *m = loaded("rules:\n  - {name: a, " ALL ", may: [sftp]}\n"
				 "  - {name: b, who: {users: [alice]}, where: {hosts: [web1]}, as: "
				 "[root], may: [{exec: [\"systemctl status *\", uptime]}]}\n");
	struct ask a = { .user = "alice", .host = "web1", .login = "root", .rights = MODEL_EXEC };
	const struct model_rule *rule;
	unsigned rights = 0;

	(void)state;
	assert_true(decide(
	    m, &(struct ask){ .user = "alice", .host = "web1", .login = "root" }, &rule, &rights));
	assert_int_equal(rights, MODEL_SFTP | MODEL_EXEC);
	a.command = "uptime";
	expect(m, &a, true, "b");
	a.command = "uptime; id";
	expect(m, &a, false, NULL);
	a.command = NULL; /* a terminal: some command will come */
	expect(m, &a, true, "b");
	a.user = "carol";
	expect(m, &a, false, NULL);
	a.rights = MODEL_SFTP;
	expect(m, &a, true, "a");
	model_free(m);
}

#define FORWARD(where, p)                                                                          \
	(&(struct ask){ .user = "alice",                                                           \
	    .host = "web1",                                                                        \
	    .login = "root",                                                                       \
	    .rights = MODEL_FORWARD,                                                               \
	    .to = (where),                                                                         \
	    .port = (p) })
#define REMOTE(where, p)                                                                           \
	(&(struct ask){ .user = "alice",                                                           \
	    .host = "web1",                                                                        \
	    .login = "root",                                                                       \
	    .rights = MODEL_REMOTE_FORWARD,                                                        \
	    .to = (where),                                                                         \
	    .port = (p) })

static void
test_forwards(void **state)
{
	struct model *m = loaded(
	    "rules:\n  - {name: a, " ALL ", may: [{forward: [\"localhost:5432\"]}]}\n"
	    "  - {name: b, " ALL ", may: [{forward: [\"*:80-89\"]}, {remote_forward: [8080]}]}\n"
	    "  - {name: no, deny: true, may: [{forward: [\"*:85\"]}, "
	    "{remote_forward: [\"*:8081\"]}]}\n");
	const struct model_rule *rule;
	unsigned rights = 0;

	(void)state;
	expect(m, FORWARD("localhost", 5432), true, "a");
	expect(m, FORWARD("localhost", 5433), false, NULL);
	expect(m, FORWARD("db", 80), true, "b");
	expect(m, FORWARD("db", 85), false, "no");
	expect(m, REMOTE("localhost", 8080), true, "b");
	expect(m, REMOTE("localhost", 80), false, NULL);
	expect(m, REMOTE("", 8080), false, NULL);
	/* Given and not all taken. */
	assert_true(decide(
	    m, &(struct ask){ .user = "alice", .host = "web1", .login = "root" }, &rule, &rights));
	assert_int_equal(rights, MODEL_FORWARD | MODEL_REMOTE_FORWARD);
	/* Where to is not known yet. */
	expect(m, FORWARD(NULL, 0), true, "a");
	model_free(m);
	m = loaded("rules:\n  - {name: a, " ALL ", may: [shell, {forward: [\"*:*\"]}]}\n"
		   "  - {name: no, deny: true, may: [forward]}\n");
	expect(m, FORWARD("localhost", 5432), false, "no");
	expect(m, FORWARD(NULL, 0), false, "no");
	expect(m,
	    &(struct ask){ .user = "alice",
		.host = "web1",
		.login = "root",
		.rights = MODEL_FORWARD | MODEL_SHELL },
	    true, "a");
	model_free(m);
	/* Which deny rule decides is one that takes it, not the first about the right. */
	m = loaded("rules:\n  - {name: a, " ALL ", may: [{forward: [\"*:*\"]}]}\n"
		   "  - {name: some, deny: true, may: [{forward: [\"*:25\"]}]}\n"
		   "  - {name: all, deny: true, may: [forward]}\n");
	expect(m, FORWARD("localhost", 5432), false, "all");
	expect(m, FORWARD("localhost", 25), false, "some");
	model_free(m);
}

static void
test_reading_and_writing_are_two_rights(void **state)
{
	struct model *m = loaded("rules:\n  - {name: a, " ALL ", may: [sftp-read]}\n"
				 "  - {name: b, " ALL ", may: [sftp-write, agent, x11]}\n"
				 "  - {name: no, deny: true, who: {users: [bob]}, may: "
				 "[sftp-write]}\n");
	struct ask a = { .user = "alice", .host = "web1", .login = "root" };
	const struct model_rule *rule;
	unsigned rights = 0;

	(void)state;
	assert_true(decide(m, &a, &rule, &rights));
	assert_int_equal(rights, MODEL_SFTP | MODEL_AGENT | MODEL_X11);
	a.user = "bob";
	assert_true(decide(m, &a, &rule, &rights));
	assert_int_equal(rights, MODEL_SFTP_READ | MODEL_AGENT | MODEL_X11);
	a.rights = MODEL_SFTP;
	expect(m, &a, true, "a");
	a.rights = MODEL_SFTP_WRITE;
	expect(m, &a, false, "no");
	model_free(m);
}

/* Two rights are asked for, one is taken: the other must hold by itself. */
static void
test_a_right_that_was_taken_lets_nothing_through(void **state)
{
	struct model *m = loaded("rules:\n  - {name: a, " ALL ", may: [shell, {exec: [id]}]}\n"
				 "  - {name: no, deny: true, may: [shell]}\n");
	struct ask a = { .user = "alice",
		.host = "web1",
		.login = "root",
		.rights = MODEL_SHELL | MODEL_EXEC,
		.command = "reboot" };

	(void)state;
	expect(m, &a, false, "no");
	a.command = "id";
	expect(m, &a, true, "a");
	model_free(m);
}

static struct rules_question
question(const struct model *m, const char *user)
{
	struct rules_question q = { .user = model_find_user(m, user),
		.host = model_find_host(m, "web1"),
		.host_name = "web1",
		.login = "root",
		.now_ns = MONDAY_10 * CLOCK_NS_PER_S };

	assert_int_equal(net_parse("10.9.9.9", &q.source), 0);
	return q;
}

/* want: the limits with a space behind each; "any " for none. */
static void
expect_limits(const struct rules_limits *l, const char *want)
{
	char got[512] = "";

	if (l->any)
		strcat(got, "any ");
	for (size_t i = 0; i < l->n; i++) {
		strcat(got, l->v[i]);
		strcat(got, " ");
	}
	assert_string_equal(got, want);
	assert_false(l->more);
}

static void
test_limits_are_joined(void **state)
{
	static const struct {
		const char *user;
		unsigned right;
		const char *want;
	} rows[] = {
		{ "alice", MODEL_SFTP_READ, "/b /a /c " },
		{ "alice", MODEL_SFTP_WRITE, "/b " },
		{ "alice", MODEL_FORWARD, "x:1 y:2 z:3 " },
		{ "alice", MODEL_EXEC, "id uptime " },
		{ "alice", MODEL_REMOTE_FORWARD, "" },
		{ "alice", MODEL_SHELL, "" },
		{ "bob", MODEL_SFTP_READ, "any " },
		{ "bob", MODEL_SFTP_WRITE, "/b " },
		{ "bob", MODEL_EXEC, "any " },
		{ "carol", MODEL_SFTP_READ, "/a/x /b " },
	};
	struct model *m = loaded(
	    "rules:\n  - {name: 1, " ALL ", may: [{sftp-read: [/a/x, /b]}, {sftp-write: [/b]}]}\n"
	    "  - {name: 2, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "
	    "[{sftp-read: [/b/y, /a/, /c]}, {forward: [\"x:1\", \"y:2\"]}, {exec: [id]}]}\n"
	    "  - {name: 3, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "
	    "[{forward: [\"y:2\", \"z:3\"]}, {exec: [uptime, id]}], how: {files: keep}}\n"
	    "  - {name: 4, who: {users: [bob]}, where: {hosts: [web1]}, as: [root], may: "
	    "[sftp-read, exec], how: {files: keep}}\n"
	    "  - {name: 5, who: {users: [carol]}, where: {hosts: [web2]}, as: [root], may: [sftp], "
	    "how: {files: keep}}\n"
	    "  - {name: 6, deny: true, may: [{forward: [\"*:25\"]}, shell]}\n"
	    "  - {name: 7, deny: true, who: {users: [bob]}, may: [{forward: [\"*:26\"]}]}\n");
	struct rules_question q = question(m, "alice");
	struct rules_limits l;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		q = question(m, rows[i].user);
		rules_limits(m, &q, rows[i].right, &l);
		expect_limits(&l, rows[i].want);
	}
	q = question(m, "bob");
	rules_taken(m, &q, MODEL_FORWARD, &l);
	expect_limits(&l, "*:25 *:26 ");
	rules_taken(m, &q, MODEL_SHELL, &l);
	expect_limits(&l, "any ");
	rules_taken(m, &q, MODEL_EXEC, &l);
	expect_limits(&l, "");
	/* keep counts where its rule gives the right in question. */
	assert_true(rules_keep(m, &q, MODEL_SFTP_READ));
	assert_true(rules_keep(m, &q, MODEL_SFTP));
	assert_false(rules_keep(m, &q, MODEL_SFTP_WRITE));
	q = question(m, "alice");
	assert_false(rules_keep(m, &q, MODEL_SFTP));
	assert_true(rules_keep(m, &q, MODEL_EXEC));
	q = question(m, "carol");
	assert_false(rules_keep(m, &q, MODEL_FILES));
	model_free(m);
}

static void
test_more_limits_than_fit(void **state)
{
	char *rules = calloc(1, 60000);
	struct rules_question q;
	struct rules_limits l;
	struct model *m;
	size_t at;

	(void)state;
	assert_non_null(rules);
	at = (size_t)snprintf(rules, 60000, "rules:\n");
	for (unsigned i = 0; i * MODEL_PATHS_MAX <= RULES_LIMITS_MAX; i++) {
		at += (size_t)snprintf(
		    rules + at, 60000 - at, "  - {name: r%u, " ALL ", may: [{sftp: [", i);
		for (unsigned k = 0; k < MODEL_PATHS_MAX; k++)
			at += (size_t)snprintf(rules + at, 60000 - at, "/d%u/%u, ", i, k);
		at += (size_t)snprintf(rules + at, 60000 - at, "]}]}\n");
	}
	m = loaded(rules);
	q = question(m, "alice");
	rules_limits(m, &q, MODEL_SFTP_READ, &l);
	assert_true(l.more);
	assert_int_equal(l.n, RULES_LIMITS_MAX);
	model_free(m);
	free(rules);
}

static void
test_who_by_principal_and_self(void **state)
{
	struct model *m =
	    loaded("rules:\n  - {name: r, who: {principals: [role-db]}, where: {patterns: "
		   "[\"*.lab\"]}, as: [\"@self\"], may: [shell]}\n");
	struct ask a = {
		.user = "carol", .host = "x.lab", .login = "carol", .principal = "role-db"
	};

	(void)state;
	expect(m, &a, true, "r");
	a.principal = "role-d";
	expect(m, &a, false, NULL);
	a.principal = NULL;
	expect(m, &a, false, NULL);
	a.principal = "role-db";
	a.login = "root";
	expect(m, &a, false, NULL);
	a.login = "carol";
	a.host = "web1";
	expect(m, &a, false, NULL);
	model_free(m);
}

/* Names to answers. */

static const char access_rules[] =
    "rules:\n"
    "  - {name: own, who: {users: [carol]}, where: {hosts: [web1]}, as: [\"@self\", root], may: "
    "[shell]}\n"
    "  - {name: one, who: {users: [alice]}, where: {hosts: [web1, bare, keyless]}, as: [deploy], "
    "may: [shell]}\n"
    "  - {name: many, who: {users: [alice]}, where: {hosts: [web2]}, as: [root, deploy], may: "
    "[shell]}\n"
    "  - {name: any, who: {users: [bob]}, where: {patterns: [\"*.lab\"]}, as: [\"*\"], may: "
    "[shell]}\n"
    "  - {name: no, deny: true, who: {users: [bob]}, where: {patterns: [\"x.lab\"]}, as: [bob]}\n";

static const struct {
	const char *proved[2]; /* users */
	const char *claim;
	enum access_outcome outcome;
	const char *reason, *identity, *login, *host;
	unsigned port;
	const char *line; /* must stand in it */
} access_rows[] = {
	{ { "alice" }, "alice+web1", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22, "" },
	{ { "alice" }, "deploy+web1", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22, "" },
	{ { "alice" }, "alice+deploy+web1", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22,
	    "" },
	{ { "alice" }, "alice+deploy+web1+22", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22,
	    "" },
	{ { "alice" }, "alice+web1+22", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22, "" },
	{ { "alice" }, "ALICE+web1", ACCESS_DENIED, "host-not-allowed", "alice", "ALICE", "web1",
	    22, "" },
	{ { "alice" }, "deploy+WEB1", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22, "" },
	{ { "alice" }, "alice+web1+2222", ACCESS_DENIED, "port-not-allowed", "alice", "deploy",
	    "web1", 2222, "" },
	{ { "alice" }, "alice+root+web2+2222", ACCESS_ALLOWED, NULL, "alice", "root", "web2", 2222,
	    "" },
	{ { "alice" }, "root+web1", ACCESS_DENIED, "host-not-allowed", "alice", "root", "web1", 22,
	    "" },
	{ { "alice" }, "alice+web2", ACCESS_SAY, "several-logins", "alice", "", "web2", 22,
	    "write alice+LOGIN+web2 with one of these logins: root, deploy" },
	{ { "alice" }, "root+web2", ACCESS_ALLOWED, NULL, "alice", "root", "web2", 22, "" },
	{ { "alice" }, "bob+web1", ACCESS_DENIED, "host-not-allowed", "alice", "bob", "web1", 22,
	    "" },
	{ { "alice" }, "bob+deploy+web1", ACCESS_DENIED, "unproved-identity", NULL, "", "", 0, "" },
	{ { "alice" }, "bob+web1+22", ACCESS_DENIED, "unproved-identity", NULL, "", "", 0, "" },
	{ { "alice" }, "alice+nowhere", ACCESS_DENIED, "unknown-host", "alice", "", "nowhere", 0,
	    "" },
	{ { "alice" }, "alice+bare", ACCESS_DENIED, "host-not-pinned", "alice", "deploy", "bare",
	    22, "" },
	{ { "alice" }, "alice+keyless", ACCESS_DENIED, "host-without-key", "alice", "deploy",
	    "keyless", 22, "" },
	{ { "alice" }, "alice", ACCESS_NO_HOST, NULL, "alice", "", "", 0, "" },
	{ { "alice" }, "root", ACCESS_DENIED, "unproved-identity", NULL, "", "", 0, "" },
	{ { "alice" }, "alice:web1", ACCESS_SAY, "bad-name", NULL, "", "", 0,
	    "write alice+web1 instead" },
	{ { NULL }, "alice:web1", ACCESS_DENIED, "unknown-user", NULL, "", "", 0, "" },
	{ { NULL }, "alice+web1", ACCESS_DENIED, "unknown-user", NULL, "", "", 0, "" },
	{ { "carol" }, "carol+web1", ACCESS_ALLOWED, NULL, "carol", "carol", "web1", 22, "" },
	{ { "carol" }, "root+web1", ACCESS_ALLOWED, NULL, "carol", "root", "web1", 22, "" },
	{ { "bob" }, "bob+a.lab", ACCESS_ALLOWED, NULL, "bob", "bob", "a.lab", 22, "" },
	{ { "bob" }, "anybody+a.lab", ACCESS_ALLOWED, NULL, "bob", "anybody", "a.lab", 22, "" },
	{ { "bob" }, "bob+x.lab", ACCESS_DENIED, "host-denied-by-rule", "bob", "bob", "x.lab", 22,
	    "" },
	{ { "bob" }, "root+x.lab", ACCESS_ALLOWED, NULL, "bob", "root", "x.lab", 22, "" },
	{ { "alice", "carol" }, "alice+web1", ACCESS_ALLOWED, NULL, "alice", "deploy", "web1", 22,
	    "" },
	{ { "alice", "carol" }, "carol+web1", ACCESS_ALLOWED, NULL, "carol", "carol", "web1", 22,
	    "" },
	{ { "alice", "carol" }, "root+web1", ACCESS_DENIED, "ambiguous-identity", NULL, "", "", 0,
	    "" },
	{ { "alice", "carol" }, "carol+root+web1", ACCESS_ALLOWED, NULL, "carol", "root", "web1",
	    22, "" },
	{ { "alice", "carol" }, "alice+root+web1", ACCESS_DENIED, "host-not-allowed", "alice",
	    "root", "web1", 22, "" },
};

static void
test_names_to_answers(void **state)
{
	struct model *m = loaded(access_rules);

	(void)state;
	for (size_t i = 0; i < sizeof(access_rows) / sizeof(access_rows[0]); i++) {
		const struct model_user *users[2];
		struct access_person who = { .users = users, .now_ns = MONDAY_10 * CLOCK_NS_PER_S };
		struct access a;

		for (; who.n_users < 2 && access_rows[i].proved[who.n_users] != NULL; who.n_users++)
			users[who.n_users] = model_find_user(m, access_rows[i].proved[who.n_users]);
		assert_int_equal(net_parse("10.0.0.9", &who.source), 0);
		access_decide(m, access_rows[i].claim, strlen(access_rows[i].claim), &who, &a);
		assert_int_equal(a.outcome, access_rows[i].outcome);
		if (access_rows[i].reason == NULL)
			assert_null(a.reason);
		else
			assert_string_equal(a.reason, access_rows[i].reason);
		if (access_rows[i].identity == NULL)
			assert_null(a.user);
		else
			assert_string_equal(a.user->name, access_rows[i].identity);
		assert_string_equal(a.login, access_rows[i].login);
		assert_string_equal(a.host_name, access_rows[i].host);
		assert_int_equal(a.port, access_rows[i].port);
		assert_non_null(strstr(a.line, access_rows[i].line));
	}
	model_free(m);
}

static const char mfa_rules[] =
    "rules:\n"
    "  - {name: wide, who: {users: [\"*\"]}, where: {hosts: [web1]}, as: [deploy], may: [sftp]}\n"
    "  - {name: narrow, who: {users: [alice, bob]}, where: {hosts: [web1]}, as: [deploy], may: "
    "[shell, {exec: [uptime]}], how: {mfa: true}}\n"
    "  - {name: only, who: {users: [alice]}, where: {hosts: [web2]}, as: [root], may: [shell], "
    "how: {mfa: true, files: keep}}\n"
    "  - {name: no, deny: true, who: {users: [bob]}, may: [shell, exec]}\n";

/* What a rule gives that asks for a second factor is not there without one, whatever else there is. */
static void
test_a_second_factor_gives_what_its_rules_give(void **state)
{
	static const struct {
		const char *claim, *identity;
		bool mfa;
		enum access_outcome outcome;
		unsigned rights;
		const char *rule;
	} rows[] = {
		{ "root+web2", "alice", false, ACCESS_MFA, MODEL_SHELL, "only" },
		{ "root+web2", "alice", true, ACCESS_ALLOWED, MODEL_SHELL, "only" },
		/* The wide rule does not take the narrow one's place. */
		{ "deploy+web1", "alice", false, ACCESS_MFA, MODEL_SHELL | MODEL_EXEC | MODEL_SFTP,
		    "wide" },
		{ "deploy+web1", "alice", true, ACCESS_ALLOWED,
		    MODEL_SHELL | MODEL_EXEC | MODEL_SFTP, "wide" },
		/* Nobody is asked for nothing: carol has no such rule, and a deny rule took all of bob's. */
		{ "deploy+web1", "carol", false, ACCESS_ALLOWED, MODEL_SFTP, "wide" },
		{ "deploy+web1", "bob", false, ACCESS_ALLOWED, MODEL_SFTP, "wide" },
		/* Nor is a second factor a right. */
		{ "root+web2", "carol", true, ACCESS_DENIED, 0, NULL },
		{ "alice", "alice", false, ACCESS_NO_HOST, 0, NULL },
	};
	struct model *m = loaded(mfa_rules);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct model_user *user = model_find_user(m, rows[i].identity);
		struct access_person who = { .users = &user,
			.n_users = 1,
			.now_ns = MONDAY_10 * CLOCK_NS_PER_S,
			.mfa = rows[i].mfa };
		struct access a;

		access_decide(m, rows[i].claim, strlen(rows[i].claim), &who, &a);
		assert_int_equal(a.outcome, rows[i].outcome);
		assert_int_equal(a.rights, rows[i].rights);
		if (rows[i].rule != NULL)
			assert_string_equal(a.rule->name, rows[i].rule);
		if (a.outcome == ACCESS_MFA)
			assert_string_equal(a.reason, "second-factor-needed");
	}
	model_free(m);
}

/* A running session's rights are asked for again: a rule that gains "mfa" takes them from who had none. */
static void
test_rights_are_asked_with_what_was_proved(void **state)
{
	struct ask shell = { .user = "alice",
		.host = "web1",
		.login = "deploy",
		.rights = MODEL_SHELL },
		   exec = { .user = "alice",
			   .host = "web1",
			   .login = "deploy",
			   .rights = MODEL_EXEC,
			   .command = "uptime",
			   .mfa = true };
	struct model *m = loaded(mfa_rules);

	(void)state;
	expect(m, &shell, false, NULL);
	shell.mfa = true;
	expect(m, &shell, true, "narrow");
	expect(m, &exec, true, "narrow");
	exec.command = "reboot";
	expect(m, &exec, false, NULL);
	exec.user = "bob";
	exec.command = "uptime";
	expect(m, &exec, false, "no");
	model_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_allowed_by_default),
		cmocka_unit_test(test_every_part_of_a_rule_must_fit),
		cmocka_unit_test(test_deny_wins_wherever_it_stands),
		cmocka_unit_test(test_deny_of_one_right_leaves_the_others),
		cmocka_unit_test(test_rights_add_up),
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_reading_and_writing_are_two_rights),
		cmocka_unit_test(test_a_right_that_was_taken_lets_nothing_through),
		cmocka_unit_test(test_limits_are_joined),
		cmocka_unit_test(test_more_limits_than_fit),
		cmocka_unit_test(test_who_by_principal_and_self),
		cmocka_unit_test(test_names_to_answers),
		cmocka_unit_test(test_a_second_factor_gives_what_its_rules_give),
		cmocka_unit_test(test_rights_are_asked_with_what_was_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
