/* bastiond.yaml: every wrong file gets its exact line, every key has its default and reaches its field. */
#include "config.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bastiond/broker/settings.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define NAME "etc/b.yaml"

static const struct settings_about no_auth = { .has_auth = false, .has_url = true };
static const struct settings_about with_auth = { .has_auth = true, .has_url = true };

static int
parse(const char *text, const struct settings_about *about, struct settings **ret_s, char err[512])
{
	struct conf_err e = { "" };
	int r = settings_parse(NAME, text, strlen(text), about, ret_s, &e);

	memcpy(err, e.text, sizeof(e.text));
	return r;
}

static const struct {
	const char *text, *line;
} bad_files[] = {
	{ "[]", "etc/b.yaml:1:1: expected a map, found a list" },
	{ "lisen: []", "etc/b.yaml:1:1: lisen: expected a known key (did you mean \"listen\"?), "
		       "found \"lisen\"" },
	{ "state: a\nstate: b", "etc/b.yaml:2:1: state: expected each key once, found \"state\" "
				"again (first on line 1)" },
	{ "listen: []",
	    "etc/b.yaml:1:9: listen: expected a list of 1 to 16 entries, found a list" },
	{ "listen: 2222", "etc/b.yaml:1:9: listen: expected a list, found \"2222\"" },
	{ "listen: [\"localhost:22\"]", "etc/b.yaml:1:10: listen[0]: expected an address and port, "
					"as 0.0.0.0:22 or [::1]:2222, "
					"found the quoted text \"localhost:22\"" },
	{ "listen: [\"::1:22\"]", "etc/b.yaml:1:10: listen[0]: expected an address and port, as "
				  "0.0.0.0:22 or [::1]:2222, "
				  "found the quoted text \"::1:22\"" },
	{ "listen:\n- 127.0.0.1:22\n- 127.0.0.1:22",
	    "etc/b.yaml:3:3: listen[1]: expected each address once, found \"127.0.0.1:22\"" },
	{ "state: ''", "etc/b.yaml:1:8: state: expected a path, found the quoted text \"\"" },
	{ "policy: none.yaml",
	    "etc/b.yaml:1:9: policy: expected a file that can be read (No such file or directory), "
	    "found \"none.yaml\"" },
	{ "login: {user_ca: [/dev/null, gone.pub]}",
	    "etc/b.yaml:1:30: login.user_ca[1]: expected a file that can be read (No such file or "
	    "directory), found \"gone.pub\"" },
	{ "login: {revoked: gone.krl}",
	    "etc/b.yaml:1:18: login.revoked: expected a file that can be read (No such file or "
	    "directory), found \"gone.krl\"" },
	{ "login: {methods: []}",
	    "etc/b.yaml:1:18: login.methods: expected a list of 1 to 8 entries, found a list" },
	{ "login: {methods: [password]}", "etc/b.yaml:1:19: login.methods[0]: expected publickey "
					  "or keyboard-interactive, found \"password\"" },
	{ "login: {methods: [publickey, keyboard-interactive]}",
	    "etc/b.yaml:1:30: login.methods[1]: expected publickey (keyboard-interactive is not "
	    "built "
	    "in: there is no bastiond-auth beside bastiond), found \"keyboard-interactive\"" },
	{ "login: {methods: [[publickey, keyboard-interactive]]}",
	    "etc/b.yaml:1:31: login.methods[0][1]: expected publickey (keyboard-interactive is not "
	    "built in: there is no bastiond-auth beside bastiond), found "
	    "\"keyboard-interactive\"" },
	{ "login: {methods: [[]]}",
	    "etc/b.yaml:1:19: login.methods[0]: expected at least one method, found a list" },
	{ "login: {methods: [publickey, publickey]}",
	    "etc/b.yaml:1:30: login.methods[1]: expected each method once, found \"publickey\"" },
	{ "login: {methods: [[publickey, publickey]]}",
	    "etc/b.yaml:1:31: login.methods[0][1]: expected each method once, found "
	    "\"publickey\"" },
	{ "login: {pam: {service: ../su}}", "etc/b.yaml:1:24: login.pam.service: expected the name "
					    "of a PAM service, found \"../su\"" },
	{ "login: {pam: {identity_from_pam: yes}}",
	    "etc/b.yaml:1:34: login.pam.identity_from_pam: expected true or false, found \"yes\"" },
	{ "login: {pam: {confdir: /dev/null}}", "etc/b.yaml:1:24: login.pam.confdir: expected a "
						"folder that is there, found \"/dev/null\"" },
	{ "login: {pam: {confdir: gone}}", "etc/b.yaml:1:24: login.pam.confdir: expected a folder "
					   "that is there, found \"gone\"" },
	{ "login: {pam: {user: no-such-user-here}}",
	    "etc/b.yaml:1:21: login.pam.user: expected a user of this system, found "
	    "\"no-such-user-here\"" },
	{ "login: {pam: {write: [/tmp, gone]}}",
	    "etc/b.yaml:1:29: login.pam.write[1]: expected a path that is there (No such file or "
	    "directory), found \"gone\"" },
	{ "login: {pam: {run: /bin}}",
	    "etc/b.yaml:1:20: login.pam.run: expected a list, found \"/bin\"" },
	{ "login: {pam: {timeout: 0s}}", "etc/b.yaml:1:24: login.pam.timeout: expected a time "
					 "such as 30s, 10m or 8h from 1s to 1h, found \"0s\"" },
	{ "limits: {auth_processes: 0}", "etc/b.yaml:1:26: limits.auth_processes: expected an "
					 "integer from 1 to 10000, found \"0\"" },
	{ "login: {grace: 120}", "etc/b.yaml:1:16: login.grace: expected a time such as 30s, 10m "
				 "or 8h from 1s to 1h, found \"120\"" },
	{ "recording: {checkpoints: x}",
	    "etc/b.yaml:1:26: recording.checkpoints: expected a list, found \"x\"" },
	{ "recording: {checkpoints: [{}]}",
	    "etc/b.yaml:1:27: recording.checkpoints[0]: expected one of file, command, url and "
	    "syslog, found a map" },
	{ "recording: {checkpoints: [{fil: a}]}",
	    "etc/b.yaml:1:28: recording.checkpoints[0].fil: expected a known key (did you mean "
	    "\"file\"?), found \"fil\"" },
	{ "recording: {checkpoints: [{file: a, syslog: auth}]}",
	    "etc/b.yaml:1:45: recording.checkpoints[0].syslog: expected one place in each entry, "
	    "found \"auth\"" },
	{ "recording: {checkpoints: [{file: ''}]}",
	    "etc/b.yaml:1:34: recording.checkpoints[0].file: expected a path, found the quoted "
	    "text \"\"" },
	{ "recording: {checkpoints: [{command: []}]}",
	    "etc/b.yaml:1:37: recording.checkpoints[0].command: expected a program and at most 8 "
	    "arguments, found a list" },
	{ "recording: {checkpoints: [{command: [x]}]}",
	    "etc/b.yaml:1:38: recording.checkpoints[0].command[0]: expected a program that can be "
	    "run, from the root (not from the root), found \"x\"" },
	{ "recording: {checkpoints: [{command: [/none]}]}",
	    "etc/b.yaml:1:38: recording.checkpoints[0].command[0]: expected a program that can be "
	    "run, from the root (No such file or directory), found \"/none\"" },
	{ "recording: {checkpoints: [{url: 'http://example.com/'}]}",
	    "etc/b.yaml:1:33: recording.checkpoints[0].url: expected https://HOST/..., or http:// "
	    "to 127.0.0.1, [::1] or localhost only, found the quoted text "
	    "\"http://example.com/\"" },
	{ "recording: {checkpoints: [{url: 'http://127.0.0.1:x@example.com/'}]}",
	    "etc/b.yaml:1:33: recording.checkpoints[0].url: expected https://HOST/..., or http:// "
	    "to 127.0.0.1, [::1] or localhost only, found the quoted text "
	    "\"http://127.0.0.1:x@example.com/\"" },
	{ "recording: {checkpoints: [{url: 'http://localhost.example.com/'}]}",
	    "etc/b.yaml:1:33: recording.checkpoints[0].url: expected https://HOST/..., or http:// "
	    "to 127.0.0.1, [::1] or localhost only, found the quoted text "
	    "\"http://localhost.example.com/\"" },
	{ "recording: {checkpoints: [{url: 'https://x/', ca: none.pem}]}",
	    "etc/b.yaml:1:51: recording.checkpoints[0].ca: expected a file that is there (No such "
	    "file or directory), found \"none.pem\"" },
	{ "recording: {checkpoints: [{file: a, token: b}]}",
	    "etc/b.yaml:1:44: recording.checkpoints[0].token: expected it only beside url, found "
	    "\"b\"" },
	{ "recording: {checkpoints: [{syslog: mail}]}",
	    "etc/b.yaml:1:36: recording.checkpoints[0].syslog: expected auth, authpriv, daemon, "
	    "user or local0 to local7, found \"mail\"" },
	{ "recording: {checkpoint_every: 10ms}",
	    "etc/b.yaml:1:31: recording.checkpoint_every: expected a time such as 30s, 10m or "
	    "8h from 1s to 1d, found \"10ms\"" },
	{ "recording: {durability: best-effort}", "etc/b.yaml:1:25: recording.durability: expected "
						  "strict or process, found \"best-effort\"" },
	{ "recording: {auditors: [abc]}", "etc/b.yaml:1:24: recording.auditors[0]: expected a file "
					  "that can be read (No such file "
					  "or directory), found \"abc\"" },
	{ "recording: {auditors: abc}",
	    "etc/b.yaml:1:23: recording.auditors: expected a list, found \"abc\"" },
	{ "recording: {auditors: [auditor-x25519 abc]}",
	    "etc/b.yaml:1:24: recording.auditors[0]: expected a line as of bastionctl auditor new, "
	    "or a file with one, found \"auditor-x25519 abc\"" },
	/* A key that would seal to everybody. */
	{ "recording: {auditors: ['auditor-x25519 "
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= eve']}",
	    "etc/b.yaml:1:24: recording.auditors[0]: expected a line as of bastionctl auditor new, "
	    "or a file with one, found the quoted text \"auditor-x25519 "
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= eve\"" },
	{ "recording:\n  auditors:\n"
	  "  - auditor-x25519 Hov2/0gwR9qTBsW6k8641Lyo/VAU16Q1XwIt8lp75ww= alice\n"
	  "  - auditor-x25519 Hov2/0gwR9qTBsW6k8641Lyo/VAU16Q1XwIt8lp75ww= bob",
	    "etc/b.yaml:4:5: recording.auditors[1]: expected each auditor once, by key and by "
	    "name, "
	    "found \"auditor-x25519 Hov2/0gwR9qTBsW6k8641Lyo/VAU16Q1XwIt8lp75ww= bob\"" },
	{ "recording:\n  auditors:\n"
	  "  - auditor-x25519 Hov2/0gwR9qTBsW6k8641Lyo/VAU16Q1XwIt8lp75ww= alice\n"
	  "  - auditor-x25519 a9IQtzibMtSu2F7mH6KZDH1lr51JTW54iOlf0puXlyQ= alice",
	    "etc/b.yaml:4:5: recording.auditors[1]: expected each auditor once, by key and by "
	    "name, "
	    "found \"auditor-x25519 a9IQtzibMtSu2F7mH6KZDH1lr51JTW54iOlf0puXlyQ= alice\"" },
	{ "recording: {retain: 400d}",
	    "etc/b.yaml:1:21: recording.retain: expected a map, found \"400d\"" },
	{ "recording: {retain: {for: 400}}",
	    "etc/b.yaml:1:27: recording.retain.for: expected a time such as 30s, 10m or 8h from 1s "
	    "to 36500d, found \"400\"" },
	{ "recording: {retain: {for: 0s}}",
	    "etc/b.yaml:1:27: recording.retain.for: expected a time such as 30s, 10m or 8h from 1s "
	    "to 36500d, found \"0s\"" },
	{ "recording: {retain: {space: 1K}}",
	    "etc/b.yaml:1:29: recording.retain.space: expected a size such as 64K, 10M or 2G from "
	    "1M to 1048576T, found \"1K\"" },
	{ "recording: {reader_timeout: 2h}", "etc/b.yaml:1:29: recording.reader_timeout: expected "
					     "a time such as 30s, 10m or 8h from 1s to 1h, found "
					     "\"2h\"" },
	{ "limits: {connections: 0}", "etc/b.yaml:1:23: limits.connections: expected an integer "
				      "from 1 to 100000, found \"0\"" },
	{ "limits: {source_prefix: 33:64}",
	    "etc/b.yaml:1:25: limits.source_prefix: expected ipv4:ipv6, as 32:64: bits of an "
	    "address, from 8 to 32 and to 128, found \"33:64\"" },
	{ "limits: {source_prefix: 24:7}",
	    "etc/b.yaml:1:25: limits.source_prefix: expected ipv4:ipv6, as 32:64: bits of an "
	    "address, from 8 to 32 and to 128, found \"24:7\"" },
	{ "limits: {source_prefix: 24}",
	    "etc/b.yaml:1:25: limits.source_prefix: expected ipv4:ipv6, as 32:64: bits of an "
	    "address, from 8 to 32 and to 128, found \"24\"" },
	{ "limits: {startups: 10:30}", "etc/b.yaml:1:20: limits.startups: expected "
				       "begin:rate:full, as 100:30:400, rate from 1 to "
				       "100, begin not above full, found \"10:30\"" },
	{ "limits: {startups: 10:101:100}", "etc/b.yaml:1:20: limits.startups: expected "
					    "begin:rate:full, as 100:30:400, rate from 1 to "
					    "100, begin not above full, found \"10:101:100\"" },
	{ "limits: {startups: 100:30:10}", "etc/b.yaml:1:20: limits.startups: expected "
					   "begin:rate:full, as 100:30:400, rate from 1 to "
					   "100, begin not above full, found \"100:30:10\"" },
	{ "limits: {startups: 1:30:10:5}", "etc/b.yaml:1:20: limits.startups: expected "
					   "begin:rate:full, as 100:30:400, rate from 1 to "
					   "100, begin not above full, found \"1:30:10:5\"" },
	{ "penalties: {from: 20s, max: 10s}",
	    "etc/b.yaml:1:12: penalties: expected \"from\" not above \"max\", found a map" },
	{ "penalties: {exempt: [10.0.0.1/8]}",
	    "etc/b.yaml:1:22: penalties.exempt[0]: expected a network, as 10.0.0.0/8 or fe80::/10, "
	    "with "
	    "no bits set behind the prefix, found \"10.0.0.1/8\"" },
	{ "keepalive: {missed: 0}",
	    "etc/b.yaml:1:21: keepalive.missed: expected an integer from 1 to 100, found \"0\"" },
	{ "vault: {unlock: tpm}", "etc/b.yaml:1:17: vault.unlock: expected file:PATH, "
				  "credential:NAME or passphrase, found \"tpm\"" },
	{ "vault: {unlock: \"file:\"}", "etc/b.yaml:1:17: vault.unlock: expected file:PATH, "
					"credential:NAME or passphrase, found "
					"the quoted text \"file:\"" },
	{ "vault: {unlock: \"credential:../x\"}", "etc/b.yaml:1:17: vault.unlock: expected "
						  "file:PATH, credential:NAME or passphrase, found "
						  "the quoted text \"credential:../x\"" },
	{ "session: {env: [LD-PRELOAD]}", "etc/b.yaml:1:17: session.env[0]: expected a name or "
					  "pattern, as LANG or LC_*, found \"LD-PRELOAD\"" },
	{ "session: {rekey: 1K}", "etc/b.yaml:1:18: session.rekey: expected a size such as 64K, "
				  "10M or 2G from 64K to 1T, found \"1K\"" },
	{ "targets: {connect_timeout: 1ms}",
	    "etc/b.yaml:1:28: targets.connect_timeout: expected a "
	    "time such as 30s, 10m or 8h from 100ms to 5m, found \"1ms\"" },
	{ "targets: {port: 22}", "etc/b.yaml:1:11: targets.port: expected one of the keys denied, "
				 "connect_timeout, found \"port\"" },
};

static void
test_bad_files_get_their_exact_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(bad_files); i++) {
		struct settings *s = NULL;
		char err[512];

		assert_int_equal(parse(bad_files[i].text, &no_auth, &s, err), ERR_FORMAT);
		assert_string_equal(err, bad_files[i].line);
		assert_null(s);
	}
}

static void
test_urls_are_refused_where_nothing_can_post(void **state)
{
	static const struct settings_about no_url = { .has_auth = true, .has_url = false };
	static const char text[] = "recording: {checkpoints: [{file: a}, {url: 'https://h/'}]}";
	struct settings *s = NULL;
	char err[512];

	(void)state;
	assert_int_equal(parse(text, &no_url, &s, err), ERR_FORMAT);
	assert_string_equal(err,
	    "etc/b.yaml:1:44: recording.checkpoints[1].url: expected file, command or syslog (url "
	    "is not built in: configure it without --without-oidc, which leaves libcurl out), "
	    "found the quoted text \"https://h/\"");
	assert_null(s);
	assert_int_equal(parse(text, &with_auth, &s, err), 0);
	free(s);
}

static void
test_too_many_entries_are_refused(void **state)
{
	static const struct {
		const char *before, *entry, *after;
		unsigned max;
	} rows[] = {
		{ "listen: [", "\"127.0.0.1:0\"", "]", SETTINGS_LISTEN_MAX },
		{ "login: {user_ca: [", "/dev/null", "]}", SETTINGS_CA_MAX },
		{ "session: {env: [", "A", "]}", SETTINGS_ENV_MAX },
		{ "targets: {denied: [", "10.0.0.0/8", "]}", SETTINGS_NETS_MAX },
		{ "penalties: {exempt: [", "10.0.0.0/8", "]}", SETTINGS_NETS_MAX },
		{ "login: {pam: {read: [", "/dev/null", "]}}", SETTINGS_PATHS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		for (unsigned n = rows[i].max; n <= rows[i].max + 1; n++) {
			struct settings *s = NULL;
			char text[4096], err[512];
			size_t at = (size_t)snprintf(text, sizeof(text), "%s", rows[i].before);

			for (unsigned k = 0; k < n; k++)
				at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				    k > 0 ? ", " : "", rows[i].entry);
			(void)snprintf(text + at, sizeof(text) - at, "%s", rows[i].after);
			assert_int_equal(
			    parse(text, &no_auth, &s, err), n <= rows[i].max ? 0 : ERR_FORMAT);
			free(s);
		}
}

static void
test_an_empty_file_has_all_defaults(void **state)
{
	struct settings *s = NULL;
	char err[512];

	(void)state;
	assert_int_equal(parse("# nothing\n", &no_auth, &s, err), 0);
	assert_int_equal(s->n_listen, 2);
	assert_int_equal(s->listen[1].port, 2222);
	assert_string_equal(s->state, "etc/state");
	assert_string_equal(s->policy, "etc/policy.yaml");
	assert_int_equal(s->methods.n, 1);
	assert_string_equal(s->methods.text[0], "publickey");
	assert_string_equal(s->revoked, "");
	assert_int_equal(s->n_user_ca, 0);
	assert_true(s->grace_ns == 120 * CLOCK_NS_PER_S);
	assert_int_equal(s->durability, SETTINGS_STRICT);
	assert_true(s->stall_timeout_ns == 30 * CLOCK_NS_PER_S);
	assert_int_equal(s->connections, 2000);
	assert_int_equal(s->per_source, 64);
	assert_int_equal(s->source_prefix.v4, 32);
	assert_int_equal(s->source_prefix.v6, 64);
	assert_int_equal(s->channels, 10);
	assert_int_equal(s->auth_tries, 6);
	assert_int_equal(s->auth_processes, 64);
	assert_string_equal(s->pam_service, "bastiond");
	assert_string_equal(s->pam_confdir, "");
	assert_false(s->has_pam_user);
	assert_int_equal(s->pam_read.n + s->pam_write.n + s->pam_run.n, 0);
	assert_false(s->identity_from_pam || s->groups_from_pam || s->explain);
	assert_true(s->pam_timeout_ns == 300 * CLOCK_NS_PER_S);
	assert_true(s->penalties.crash_ns == 90 * CLOCK_NS_PER_S);
	assert_true(s->penalties.auth_failure_ns == 5 * CLOCK_NS_PER_S);
	assert_true(s->penalties.no_auth_ns == CLOCK_NS_PER_S);
	assert_true(s->penalties.grace_exceeded_ns == 10 * CLOCK_NS_PER_S);
	assert_true(s->penalties.from_ns == 15 * CLOCK_NS_PER_S);
	assert_true(s->penalties.max_ns == 600 * CLOCK_NS_PER_S);
	assert_int_equal(s->penalties.exempt.n, 2);
	assert_int_equal(s->denied.n, 10);
	assert_int_equal(s->env.n, 5);
	assert_string_equal(s->env.text[4], "GIT_PROTOCOL");
	assert_string_equal(s->unlock, "");
	free(s);
}

static void
test_every_key_reaches_its_field(void **state)
{
	static const char text[] =
	    "listen: [\"0.0.0.0:22\"]\nstate: /var/lib/b\npolicy: /dev/null\n"
	    "login: {user_ca: [/dev/null], revoked: /dev/zero, methods: [[publickey, "
	    "keyboard-interactive], publickey],\n"
	    "  pam: {service: sshd, identity_from_pam: true, groups_from_pam: true, timeout: 9s,\n"
	    "    confdir: /tmp, read: [/usr], write: [/tmp, /dev], run: [/bin/sh]},\n"
	    "  explain: true, grace: 10s}\n"
	    "recording: {durability: process, stall_timeout: 10s, auditors: [],\n"
	    "  retain: {for: 400d, space: 200G}, reader_timeout: 3s}\n"
	    "limits: {connections: 5, per_source: 4, channels: 3, auth_tries: 2, auth_processes: "
	    "7, source_prefix: "
	    "24:56, startups: "
	    "1:50:9}\n"
	    "penalties: {crash: 1s, alarm: 2s, auth_failure: 3s, no_auth: 0s, grace_exceeded: 4s, "
	    "from: 5s, max: 6s,\n"
	    "  sources: 16, exempt: []}\n"
	    "keepalive: {interval: 7s, missed: 8}\n"
	    "vault: {unlock: \"file:key\"}\n"
	    "session: {env: [A_?], rekey: 64K, close_wait: 9s}\n"
	    "targets: {denied: [10.0.0.0/8], connect_timeout: 500ms}\n";
	struct settings *s = NULL;
	char err[512];

	(void)state;
	assert_int_equal(parse(text, &with_auth, &s, err), 0);
	assert_int_equal(s->n_listen, 1);
	assert_int_equal(s->listen[0].port, 22);
	assert_string_equal(s->state, "/var/lib/b");
	assert_string_equal(s->policy, "/dev/null");
	assert_int_equal(s->n_user_ca, 1);
	assert_string_equal(s->user_ca[0], "/dev/null");
	assert_string_equal(s->revoked, "/dev/zero");
	assert_int_equal(s->methods.n, 2);
	assert_string_equal(s->methods.text[0], "publickey,keyboard-interactive");
	assert_string_equal(s->methods.text[1], "publickey");
	assert_true(s->retain_ns == 400 * 86400 * CLOCK_NS_PER_S);
	assert_true(s->retain_space == 200ull << 30);
	assert_true(s->reader_timeout_ns == 3 * CLOCK_NS_PER_S);
	assert_string_equal(s->pam_service, "sshd");
	assert_true(s->identity_from_pam && s->groups_from_pam && s->explain);
	assert_true(s->pam_timeout_ns == 9 * CLOCK_NS_PER_S);
	assert_string_equal(s->pam_confdir, "/tmp");
	assert_int_equal(s->pam_read.n, 1);
	assert_string_equal(s->pam_read.path[0], "/usr");
	assert_int_equal(s->pam_write.n, 2);
	assert_string_equal(s->pam_write.path[1], "/dev");
	assert_int_equal(s->pam_run.n, 1);
	assert_string_equal(s->pam_run.path[0], "/bin/sh");
	assert_int_equal(s->auth_processes, 7);
	assert_true(s->grace_ns == 10 * CLOCK_NS_PER_S);
	assert_int_equal(s->durability, SETTINGS_PROCESS);
	assert_true(s->stall_timeout_ns == 10 * CLOCK_NS_PER_S);
	assert_int_equal(
	    s->connections * 1000 + s->per_source * 100 + s->channels * 10 + s->auth_tries, 5432);
	assert_int_equal(s->source_prefix.v4, 24);
	assert_int_equal(s->source_prefix.v6, 56);
	assert_int_equal(s->startups.begin, 1);
	assert_int_equal(s->startups.rate, 50);
	assert_int_equal(s->startups.full, 9);
	assert_true(s->penalties.crash_ns == CLOCK_NS_PER_S);
	assert_true(s->penalties.alarm_ns == 2 * CLOCK_NS_PER_S);
	assert_true(s->penalties.auth_failure_ns == 3 * CLOCK_NS_PER_S);
	assert_true(s->penalties.no_auth_ns == 0);
	assert_true(s->penalties.grace_exceeded_ns == 4 * CLOCK_NS_PER_S);
	assert_true(s->penalties.from_ns == 5 * CLOCK_NS_PER_S);
	assert_true(s->penalties.max_ns == 6 * CLOCK_NS_PER_S);
	assert_int_equal(s->penalties.sources, 16);
	assert_int_equal(s->penalties.exempt.n, 0);
	assert_true(s->keepalive_ns == 7 * CLOCK_NS_PER_S);
	assert_int_equal(s->keepalive_missed, 8);
	assert_string_equal(s->unlock, "file:etc/key");
	assert_int_equal(s->env.n, 1);
	assert_string_equal(s->env.text[0], "A_?");
	assert_int_equal(s->rekey_bytes, 65536);
	assert_true(s->close_wait_ns == 9 * CLOCK_NS_PER_S);
	assert_int_equal(s->denied.n, 1);
	assert_string_equal(s->denied.text[0], "10.0.0.0/8");
	assert_true(s->connect_timeout_ns == 500 * CLOCK_NS_PER_MS);
	free(s);
}

/* Only root starts programs as somebody else; everybody may name themselves. */
static void
test_whose_uid_modules_have(void **state)
{
	const struct passwd *me = getpwuid(geteuid());
	struct settings *s = NULL;
	char text[256], err[512];

	(void)state;
	if (me != NULL) {
		snprintf(text, sizeof(text), "login: {pam: {user: %s}}", me->pw_name);
		assert_int_equal(parse(text, &with_auth, &s, err), 0);
		assert_true(s->has_pam_user);
		assert_int_equal(s->pam_uid, geteuid());
		assert_int_equal(s->pam_gid, me->pw_gid);
		free(s);
	}
	assert_int_equal(parse("login: {pam: {user: daemon}}", &with_auth, &s, err),
	    geteuid() == 0 ? 0 : ERR_FORMAT);
	if (geteuid() == 0)
		free(s);
	else
		assert_non_null(strstr(err, "only root starts programs for others"));
}

static void
test_what_needs_a_new_start(void **state)
{
	static const struct {
		const char *text, *key;
	} rows[] = {
		{ "state: other", "state" },
		{ "recording: {durability: process}", "recording.durability" },
		{ "recording: {checkpoint_every: 1s}", "recording.checkpoint_every" },
		{ "recording: {checkpoints: [{syslog: auth}]}", "recording.checkpoints" },
		{ "recording: {stall_timeout: 1s}", "recording.stall_timeout" },
		{ "vault: {unlock: passphrase}", "vault.unlock" },
		{ "penalties: {sources: 8}", "penalties.sources" },
		{ "login: {pam: {confdir: /tmp}}", "login.pam.confdir" },
		{ "login: {pam: {read: [/tmp]}}", "login.pam.read" },
		{ "login: {pam: {write: [/tmp]}}", "login.pam.write" },
		{ "login: {pam: {run: [/tmp]}}", "login.pam.run" },
		{ "login: {pam: {service: sshd, timeout: 9s}}\nlimits: {auth_processes: 1}", NULL },
		{ "listen: [\"127.0.0.1:1\"]\nlimits: {connections: 1}\nlogin: {grace: 1s}", NULL },
	};
	struct settings *a = NULL, *b = NULL;
	char err[512];

	(void)state;
	assert_int_equal(parse("", &no_auth, &a, err), 0);
	for (size_t i = 0; i < N(rows); i++) {
		const char *key;

		assert_int_equal(parse(rows[i].text, &no_auth, &b, err), 0);
		key = settings_needs_restart(a, b);
		if (rows[i].key == NULL)
			assert_null(key);
		else
			assert_string_equal(key, rows[i].key);
		free(b);
	}
	free(a);
}

static void
test_a_file_that_is_not_there(void **state)
{
	struct settings *s = NULL;
	struct conf_err err;

	(void)state;
	assert_int_equal(settings_load("/nowhere/b.yaml", &no_auth, &s, &err), ERR_FORMAT);
	assert_string_equal(err.text, "/nowhere/b.yaml: No such file or directory");
	assert_null(s);
}

static void
test_a_file_is_read(void **state)
{
	char path[] = "/tmp/test-settings.XXXXXX";
	int fd = mkstemp(path);
	struct settings *s = NULL;
	struct conf_err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, "limits: {channels: 7}\n", 22), 0);
	assert_int_equal(settings_load(path, &no_auth, &s, &err), 0);
	assert_int_equal(s->channels, 7);
	assert_string_equal(s->state, "/tmp/state");
	free(s);
	(void)close(fd);
	(void)unlink(path);
}

static void
test_places_for_checkpoints_reach_their_fields(void **state)
{
	struct settings *s;
	char err[512];

	(void)state;
	assert_int_equal(parse("recording:\n  checkpoint_every: 5m\n  checkpoints:\n"
			       "  - file: out/notes\n"
			       "  - command: [/bin/sh, -c, 'cat >&2']\n"
			       "  - {url: 'http://[::1]:80/x', token: /dev/null}\n"
			       "  - {syslog: local6, socket: run/log}\n",
			     &no_auth, &s, err),
	    0);
	assert_int_equal(s->checkpoint_every_ns, 300 * CLOCK_NS_PER_S);
	assert_int_equal(s->n_checkpoints, 4);
	assert_int_equal(s->checkpoints[0].kind, PUSH_FILE);
	assert_string_equal(s->checkpoints[0].to, "etc/out/notes");
	assert_int_equal(s->checkpoints[1].kind, PUSH_COMMAND);
	assert_string_equal(s->checkpoints[1].to, "/bin/sh");
	assert_int_equal(s->checkpoints[1].n_args, 2);
	assert_string_equal(s->checkpoints[1].args[1], "cat >&2");
	assert_int_equal(s->checkpoints[2].kind, PUSH_URL);
	assert_string_equal(s->checkpoints[2].to, "http://[::1]:80/x");
	assert_string_equal(s->checkpoints[2].token, "/dev/null");
	assert_int_equal(s->checkpoints[3].kind, PUSH_SYSLOG);
	assert_string_equal(s->checkpoints[3].to, "local6");
	assert_string_equal(s->checkpoints[3].socket, "etc/run/log");
	assert_string_equal(settings_push_kind(PUSH_SYSLOG), "syslog");
	free(s);
	assert_int_equal(parse("", &no_auth, &s, err), 0);
	assert_int_equal(s->n_checkpoints, 0);
	assert_int_equal(s->checkpoint_every_ns, 60 * CLOCK_NS_PER_S);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_for_checkpoints_reach_their_fields),
		cmocka_unit_test(test_bad_files_get_their_exact_line),
		cmocka_unit_test(test_urls_are_refused_where_nothing_can_post),
		cmocka_unit_test(test_too_many_entries_are_refused),
		cmocka_unit_test(test_an_empty_file_has_all_defaults),
		cmocka_unit_test(test_every_key_reaches_its_field),
		cmocka_unit_test(test_whose_uid_modules_have),
		cmocka_unit_test(test_what_needs_a_new_start),
		cmocka_unit_test(test_a_file_that_is_not_there),
		cmocka_unit_test(test_a_file_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
