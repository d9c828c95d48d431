/* The policy loader: what loads is found again, and every wrong file is refused with its place and the right words. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/model.h"
#include "tests/lib/ssh_make.h"

/* Files are written with @A@ and @B@ for two Ed25519 keys, @R@ for an RSA key of 2048 bits, @S@ of 1024 and @C@ for a certificate. */
static char *key_a, *key_b, *key_rsa, *key_short, *key_cert;
static struct make_key *maker_a, *maker_b, *maker_rsa, *maker_short;

static int
setup(void **state)
{
	(void)state;
	maker_a = make_key_new(SSHKEY_ED25519, 0);
	maker_b = make_key_new(SSHKEY_ED25519, 0);
	maker_rsa = make_key_new(SSHKEY_RSA, 2048);
	maker_short = make_key_new(SSHKEY_RSA, 1024);
	key_a = make_key_line(maker_a, "");
	key_b = make_key_line(maker_b, "");
	key_rsa = make_key_line(maker_rsa, "");
	key_short = make_key_line(maker_short, "");
	key_cert = strdup("ssh-ed25519-cert-v01@openssh.com "
			  "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t");
	return sshkey_init();
}

static int
teardown(void **state)
{
	(void)state;
	make_key_free(maker_a);
	make_key_free(maker_b);
	make_key_free(maker_rsa);
	make_key_free(maker_short);
	free(key_a);
	free(key_b);
	free(key_rsa);
	free(key_short);
	free(key_cert);
	return 0;
}

static char *
filled(const char *text)
{
	char *out = calloc(1, 65536);
	size_t at = 0;

	assert_non_null(out);
	for (const char *p = text; *p != '\0'; p++) {
		const char *key = p[0] != '@' || p[1] == '\0' || p[2] != '@' ? NULL
				  : p[1] == 'A'				     ? key_a
				  : p[1] == 'B'				     ? key_b
				  : p[1] == 'R'				     ? key_rsa
				  : p[1] == 'S'				     ? key_short
				  : p[1] == 'C'				     ? key_cert
									     : NULL;

		if (key != NULL) {
			strcpy(out + at, key);
			at += strlen(key);
			p += 2;
		} else {
			out[at++] = *p;
		}
	}
	return out;
}

static struct model *
loaded(const char *text)
{
	struct conf_err err = { "" };
	struct model *m = NULL;
	char *file = filled(text);

	if (model_load("policy.yaml", file, strlen(file), NULL, &m, &err) != 0)
		fail_msg("%s", err.text);
	free(file);
	return m;
}

static const char whole[] =
    "users:\n"
    "  alice: {keys: [\"@A@ alice@work\"], principals: [alice, a.smith], groups: [sre]}\n"
    "  bob: {groups: [contractors]}\n"
    "  carol: {keys: [\"@B@\"], principals: [], ca: "
    "[\"SHA256:0123456789012345678901234567890123456789012\"]}\n"
    "hosts:\n"
    "  web1: {address: 10.0.0.11, labels: {env: prod}, key: fleet, host_keys: [\"@A@\"]}\n"
    "  db: {address: \"2001:db8::5\", port: 2222, ports: [22], key: fleet, host_ca: [\"@B@\"], "
    "connect_timeout: 3s}\n"
    "  \"*.lab.example\": {resolve: true, labels: {env: lab}, key: fleet, host_ca: [\"@A@\"]}\n"
    "  gate: {address: gate.example.com, resolve: true, key: fleet, host_keys: [\"@A@\"]}\n"
    "rules:\n"
    "  - name: sre-prod\n"
    "    who: {groups: [sre], source: [10.0.0.0/8]}\n"
    "    where: {labels: {env: [prod, lab]}}\n"
    "    as: [root, \"@self\"]\n"
    "    may: [shell, {exec: [\"uptime\"]}, sftp]\n"
    "    when: {days: mon-fri, hours: \"08:00-18:00\", zone: UTC}\n"
    "    how: {files: keep, mfa: false}\n"
    "  - {name: no-root, deny: true, who: {groups: [contractors]}, as: [root]}\n";

static void
test_what_is_loaded_is_found(void **state)
{
	struct model *m = loaded(whole);
	const struct model_user *alice = model_find_user(m, "alice");
	const struct model_host *web = model_find_host(m, "web1");
	const struct model_host *db = model_find_host(m, "db");
	const struct model_rule *rule = model_rule_at(m, 0), *no = model_rule_at(m, 1);
	size_t len;
	const uint8_t *blob = make_key_blob(maker_a, &len);

	(void)state;
	assert_int_equal(model_n_users(m), 3);
	assert_ptr_equal(model_find_key(m, blob, len), alice);
	assert_ptr_equal(model_find_principal(m, "alice"), alice);
	assert_ptr_equal(model_find_principal(m, "a.smith"), alice);
	assert_ptr_equal(model_find_principal(m, "bob"), model_find_user(m, "bob"));
	assert_null(model_find_principal(m, "carol"));
	assert_null(model_find_principal(m, "a.smit"));
	assert_null(model_find_user(m, "alic"));
	assert_int_equal(web->port, 22);
	assert_true(
	    db->port == 2222 && model_host_has_port(db, 22) && !model_host_has_port(db, 23));
	assert_true(db->connect_ns == 3000000000ull && web->connect_ns == MODEL_CONNECT_NS);
	assert_string_equal(model_find_host(m, "x.lab.example")->name, "*.lab.example");
	assert_null(model_find_host(m, "lab.example"));
	assert_null(model_find_host(m, "web2"));
	assert_true(rule->same_login && !rule->any_login && rule->logins.n == 1);
	assert_int_equal(rule->rights, MODEL_SHELL | MODEL_EXEC | MODEL_SFTP);
	assert_int_equal(model_limits(rule, MODEL_EXEC)->n, 1);
	assert_int_equal(model_limits(rule, MODEL_SFTP_READ)->n, 0);
	assert_true(rule->keep && !no->keep);
	assert_int_equal(rule->labels[0].values.n, 2);
	assert_true(no->deny && no->any_host && !no->any_user && no->rights == MODEL_ALL_RIGHTS);
	assert_int_equal(model_rsa_bits(m), 3072);
	model_free(m);
}

static void
test_empty_files(void **state)
{
	static const char *const files[] = { "", "# nothing\n", "users: {}\nhosts: {}\nrules: []\n",
		"users:\nhosts:\n  # none yet\nrules:\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct model *m = loaded(files[i]);

		assert_null(model_find_user(m, "alice"));
		assert_null(model_find_host(m, "web1"));
		assert_null(model_find_key(m, (const uint8_t *)"x", 1));
		assert_non_null(model_warning(m, 0));
		model_free(m);
	}
}

static void
test_compat(void **state)
{
	struct model *m =
	    loaded("compat: [rsa-2048, sk-no-touch]\nusers: {alice: {keys: [\"@R@\"]}}\n"
		   "hosts: {h: {address: 10.0.0.1, host_ca: [\"@R@\"]}}\n");

	(void)state;
	assert_int_equal(model_rsa_bits(m), 2048);
	assert_true(model_sk_no_touch(m));
	model_free(m);
	/* A host's own key is what it is: the smallest that anything is taken with, without a word. */
	m = loaded("hosts: {h: {address: 10.0.0.1, host_keys: [\"@R@\"]}}\n");
	assert_false(model_sk_no_touch(m));
	model_free(m);
}

static void
test_warnings(void **state)
{
	struct model *m =
	    loaded("hosts: {h: {address: 10.0.0.1}}\nrules:\n  - {name: r, deny: true, who: "
		   "{groups: [ghosts]}}\n");

	(void)state;
	assert_non_null(strstr(model_warning(m, 0), "host h has neither host_keys nor host_ca"));
	assert_non_null(strstr(model_warning(m, 1), "host h has no key"));
	assert_non_null(strstr(model_warning(m, 2), "nobody is in the group ghosts"));
	assert_null(model_warning(m, 3));
	model_free(m);
}

#define RULE "users: {alice: {}}\nhosts: {web1: {address: 10.0.0.1}}\nrules:\n  - "
#define ALLOW                                                                                      \
	RULE "name: r\n    who: {users: [alice]}\n    where: {hosts: [web1]}\n    as: [root]\n   " \
	     " may: [shell]\n    "
#define MAY(rights)                                                                                \
	RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [" rights  \
	     "]}\n"
#define NOT "expected nothing here (not supported by this version)"

static const struct {
	const char *file, *message;
} bad[] = {
	/* Unknown keys, at every level. */
	{ "user: {}\n", "policy.yaml:1:1: user: expected a known key (did you mean \"users\"?)" },
	{ "users: {alice: {key: []}}\n",
	    "users.alice.key: expected a known key (did you mean \"keys\"?)" },
	{ "hosts: {h: {adress: 10.0.0.1}}\n",
	    "hosts.h.adress: expected a known key (did you mean \"address\"?)" },
	{ RULE "{name: r, deny: true, whom: {}}\n",
	    "rules[0].whom: expected a known key (did you mean \"who\"?)" },
	{ RULE "{name: r, deny: true, who: {user: [alice]}}\n",
	    "rules[0].who.user: expected a known key (did you mean \"users\"?)" },
	{ RULE "{name: r, deny: true, where: {label: {}}}\n",
	    "rules[0].where.label: expected a known key (did you mean \"labels\"?)" },
	{ ALLOW "when: {day: mon, zone: UTC}\n",
	    "rules[0].when.day: expected a known key (did you mean \"days\"?)" },
	{ ALLOW "how: {file: keep}\n",
	    "rules[0].how.file: expected a known key (did you mean \"files\"?)" },
	{ "users: {alice: {}, alice: {}}\n", "users.alice: expected each key once" },
	/* What nothing would hold yet. */
	{ "audit: []\n", "policy.yaml:1:8: audit: " NOT },
	{ ALLOW "how: {approval: {by: [leads], within: 10m}}\n", "rules[0].how.approval: " NOT },
	{ ALLOW "how: {mfa: 1}\n", "rules[0].how.mfa: expected true or false, found \"1\"" },
	{ RULE "{name: r, deny: true, how: {mfa: true}}\n",
	    "rules[0].how: expected nothing here in a deny rule" },
	{ ALLOW "how: {mask: defaults}\n", "rules[0].how.mask: expected a list" },
	{ ALLOW "how: {mask: [x]}\n",
	    "rules[0].how.mask[0]: expected defaults, or a name that stands in masks" },
	{ ALLOW "how: {typed: no}\n", "rules[0].how.typed: expected hide or keep, found \"no\"" },
	{ "masks: []\n", "masks: expected a map" },
	{ "masks: {x: '('}\n",
	    "policy.yaml:1:12: masks.x: expected a pattern of PCRE2 (at byte 2: missing closing "
	    "parenthesis)" },
	{ "masks: {x: 'a*'}\n", "it matches the empty string" },
	{ "masks: {x: ''}\n", "(at byte 1: it is empty)" },
	{ "masks: {defaults: 'a'}\n", "masks.defaults: expected a name of a-z, 0-9 and -" },
	{ "masks: {jwt: 'a'}\n", "that no rule of the defaults has" },
	{ "masks: {X: 'a'}\n", "expected a name of a-z" },
	{ ALLOW "how: {idle: 30m}\n", "rules[0].how.idle: " NOT },
	{ ALLOW "how: {longest: 8h}\n", "rules[0].how.longest: " NOT },
	{ ALLOW "how: {files: off}\n", "rules[0].how.files: expected hash or keep, found \"off\"" },
	/* Users. */
	{ "users: []\n", "users: expected a map, found a list" },
	{ "users: {\"-alice\": {}}\n", "expected a name of letters, digits and . _ - @" },
	{ "users: {\"a+b\": {}}\n",
	    "expected a name of letters, digits and . _ - @, found the quoted text \"a+b\"" },
	{ "users: {alice: []}\n", "users.alice: expected a map" },
	{ "users: {alice: {keys: x}}\n", "users.alice.keys: expected a list" },
	{ "users: {alice: {keys: [\"ssh-ed25519 AAAA\"]}}\n",
	    "users.alice.keys[0]: expected an OpenSSH public key" },
	{ "users: {alice: {keys: [\"@C@\"]}}\n",
	    "users.alice.keys[0]: expected an OpenSSH public key" },
	{ "users: {alice: {keys: [\"command=x @A@\"]}}\n",
	    "users.alice.keys[0]: expected an OpenSSH public key" },
	{ "users: {alice: {keys: [\"@R@\"]}}\n",
	    "users.alice.keys[0]: expected an RSA key of at least 3072 bits, this one has 2048 "
	    "(compat: [rsa-2048] takes it)" },
	{ "users: {alice: {keys: [\"@A@\"]}, bob: {keys: [\"@A@\"]}}\n",
	    "users.bob.keys[0]: expected a key of one person, this one is alice's too" },
	{ "users: {alice: {}, bob: {principals: [x, alice]}}\n",
	    "users.bob.principals[1]: expected a principal of one person, this one is alice's "
	    "too" },
	{ "users: {bob: {principals: [alice]}, alice: {}}\n",
	    "users.alice: expected a principal of one person, this one is bob's too" },
	{ "users: {alice: {principals: [\"\"]}}\n",
	    "users.alice.principals[0]: expected a principal of 1 to 255 bytes" },
	{ "users: {alice: {groups: [\"a b\"]}}\n", "users.alice.groups[0]: expected a name" },
	{ "users: {alice: {ca: [MD5:00]}}\n", "users.alice.ca[0]: expected a CA's fingerprint" },
	/* Hosts. */
	{ "hosts: {Web1: {address: 10.0.0.1}}\n", "expected a host name of lower case letters" },
	{ "hosts: {\"22\": {address: 10.0.0.1}}\n", "expected a host name of lower case letters" },
	{ "hosts: {h: {}}\n", "hosts.h: expected an address (or resolve: true)" },
	{ "hosts: {h: {address: h.example}}\n", "hosts.h.address: expected an IP address (a name "
						"needs resolve: true), found \"h.example\"" },
	{ "hosts: {h: {address: \"10.0.0.1:22\"}}\n", "hosts.h.address: expected an IP address" },
	{ "hosts: {h: {address: \"-x\", resolve: true}}\n",
	    "hosts.h.address: expected a name or an IP address" },
	{ "hosts: {\"*.a\": {}}\n", "expected resolve: true, because the host is a pattern" },
	{ "hosts: {\"*.a\": {resolve: true, address: 10.0.0.1}}\n",
	    "expected no address, because the host is a pattern" },
	{ "hosts: {h: {address: 10.0.0.1, port: 0}}\n",
	    "hosts.h.port: expected an integer from 1 to 65535" },
	{ "hosts: {h: {address: 10.0.0.1, port: 022}}\n", "hosts.h.port: expected an integer" },
	{ "hosts: {h: {address: 10.0.0.1, resolve: yes}}\n",
	    "hosts.h.resolve: expected true or false" },
	{ "hosts: {h: {address: 10.0.0.1, key: ../x}}\n",
	    "hosts.h.key: expected the name of a key in the vault" },
	{ "hosts: {h: {address: 10.0.0.1, key: .x}}\n",
	    "hosts.h.key: expected the name of a key in the vault" },
	{ "hosts: {h: {address: 10.0.0.1, host_keys: [x]}}\n",
	    "hosts.h.host_keys[0]: expected an OpenSSH public key" },
	{ "hosts: {h: {address: 10.0.0.1, host_keys: [\"@A@\", \"@S@\"]}}\n",
	    "hosts.h.host_keys[1]: expected an RSA key of 2048 to 8192 bits, this one is out of "
	    "that" },
	{ "hosts: {h: {address: 10.0.0.1, host_ca: [\"@R@\"]}}\n",
	    "hosts.h.host_ca[0]: expected an RSA key of at least 3072 bits, this one has 2048 "
	    "(compat: [rsa-2048] takes it)" },
	{ "compat: [rsa-2048]\nhosts: {h: {address: 10.0.0.1, host_ca: [\"@S@\"]}}\n",
	    "hosts.h.host_ca[0]: expected an RSA key of 2048 to 8192 bits" },
	{ "users: {alice: {keys: [\"@S@\"]}}\n",
	    "users.alice.keys[0]: expected an RSA key of 3072 to 8192 bits" },
	{ "hosts: {h: {address: 10.0.0.1, labels: [x]}}\n", "hosts.h.labels: expected a map" },
	{ "hosts: {h: {address: 10.0.0.1, labels: {a: [x]}}}\n",
	    "hosts.h.labels.a: expected text" },
	{ "hosts: {h: {address: 10.0.0.1, connect_timeout: 10}}\n",
	    "hosts.h.connect_timeout: expected a time" },
	/* Rules. */
	{ "rules: {}\n", "rules: expected a list" },
	{ RULE "{deny: true}\n", "rules[0]: expected the key \"name\"" },
	{ RULE "{name: r}\n", "rules[0]: expected the key \"who\"" },
	{ RULE "{name: r, who: {users: [alice]}}\n", "rules[0]: expected the key \"where\"" },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}}\n",
	    "rules[0]: expected the key \"as\"" },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root]}\n",
	    "rules[0]: expected the key \"may\"" },
	{ RULE "{name: r, deny: true}\n  - {name: r, deny: true}\n",
	    "rules[1].name: expected a name that no other rule has" },
	{ RULE "{name: r, deny: maybe}\n", "rules[0].deny: expected true or false" },
	{ RULE "{name: r, deny: true, who: {users: [alcie]}}\n",
	    "rules[0].who.users[0]: expected a user that is listed under users, found \"alcie\"" },
	{ RULE "{name: r, deny: true, where: {hosts: [web2]}}\n",
	    "rules[0].where.hosts[0]: expected a host that is listed under hosts, found \"web2\"" },
	{ RULE "{name: r, who: {source: [10.0.0.0/8]}, where: {hosts: [web1]}, as: [root], may: "
	       "[shell]}\n",
	    "rules[0].who: expected users, groups or principals" },
	{ RULE "{name: r, who: {users: [alice]}, where: {}, as: [root], may: [shell]}\n",
	    "rules[0].where: expected hosts, patterns or labels" },
	{ RULE "{name: r, deny: true, who: {source: [10.0.0.1/8]}}\n",
	    "rules[0].who.source[0]: expected a network" },
	{ RULE "{name: r, deny: true, who: {source: [work]}}\n",
	    "rules[0].who.source[0]: expected a network" },
	{ RULE "{name: r, deny: true, who: {source: []}}\n",
	    "rules[0].who.source: expected at least one network" },
	{ RULE "{name: r, deny: true, as: []}\n", "rules[0].as: expected at least one login" },
	{ RULE "{name: r, deny: true, as: [\"@me\"]}\n", "rules[0].as[0]: expected a login name" },
	{ RULE "{name: r, deny: true, may: []}\n", "rules[0].may: expected at least one right" },
	{ RULE "{name: r, deny: true, may: [everything]}\n",
	    "policy.yaml:4:33: rules[0].may[0]: expected one of the rights shell, exec, sftp, "
	    "sftp-read, sftp-write, scp, rsync, forward, remote_forward, agent, x11, found "
	    "\"everything\"" },
	{ MAY("sftp_read"), "x11 (did you mean \"sftp-read\"?), found \"sftp_read\"" },
	{ MAY("remote-forward"), "did you mean \"remote_forward\"?" },
	{ MAY("X11"), "did you mean \"x11\"?" },
	{ MAY("{sftp-raed: [/srv]}"), "did you mean \"sftp-read\"?" },
	{ MAY("[]"), "rules[0].may[0]: expected text, found a list" },
	{ MAY("{exec: [id], sftp: [/srv]}"), "rules[0].may[0]: expected a map of one right" },
	{ MAY("{}"), "rules[0].may[0]: expected a map of one right" },
	{ MAY("sftp, sftp-read"), "rules[0].may[1]: expected each right once" },
	{ MAY("sftp-write, {sftp: [/srv]}"), "expected each right once" },
	{ MAY("{sftp-read: [/srv]}, sftp"), "rules[0].may[1]: expected each right once" },
	{ MAY("{shell: [x]}"), "expected one of the rights that take a list: exec, sftp" },
	{ MAY("{scp: [/srv]}"), "expected one of the rights that take a list" },
	{ MAY("{rsync: [/srv]}"), "expected one of the rights that take a list" },
	{ MAY("{agent: []}"), "expected one of the rights that take a list" },
	{ MAY("{x11: []}"), "expected one of the rights that take a list" },
	{ MAY("{sftp: /srv}"), "rules[0].may[0].sftp: expected a list" },
	{ MAY("{sftp: []}"), "rules[0].may[0].sftp: expected 1 to 64 paths" },
	{ MAY("{sftp: [srv]}"), "rules[0].may[0].sftp[0]: expected an absolute path" },
	{ MAY("{sftp: [/ok, /srv/../etc]}"),
	    "rules[0].may[0].sftp[1]: expected an absolute path of at most 512 bytes, without "
	    "\"..\"" },
	{ MAY("{sftp-read: [\"/srv/*\"]}"), "rules[0].may[0].sftp-read[0]: expected an absolute" },
	{ MAY("{sftp-write: [\"/srv//x\"]}"), "sftp-write[0]: expected an absolute path" },
	{ MAY("forward"),
	    "rules[0].may[0]: expected {forward: [\"host:port\"]}, a list of where to (\"*:*\" is "
	    "everywhere)" },
	{ MAY("remote_forward"), "expected {remote_forward: [\"port\"]}" },
	{ MAY("{forward: []}"), "forward: expected at least one host:port" },
	{ MAY("{remote_forward: []}"), "remote_forward: expected at least one port" },
	{ MAY("{forward: [\"localhost:1\", localhost]}"),
	    "rules[0].may[0].forward[1]: expected \"host:port\" with a port" },
	{ MAY("{forward: [\"10.1:80\"]}"), "forward[0]: expected a name, or an address with all" },
	{ MAY("{remote_forward: [http]}"), "remote_forward[0]: expected \"port\" or" },
	{ MAY("{remote_forward: [{}]}"), "remote_forward[0]: expected text" },
	{ RULE "{name: r, deny: true, may: [{sftp: [/srv]}]}\n",
	    "sftp: expected no paths in a deny rule" },
	{ RULE "{name: r, deny: true, may: [{forward: [\"db:80\"]}]}\n",
	    "forward[0]: expected \"*:port\" in a deny rule" },
	{ RULE "{name: r, deny: true, may: [{remote_forward: [\"80\"]}]}\n",
	    "remote_forward[0]: expected \"*:port\" in a deny rule" },
	{ RULE "{name: r, deny: true, may: [{forward: [\"unix:/x\"]}]}\n",
	    "expected \"*:port\" in a deny rule" },
	{ RULE "{name: r, deny: true, may: [shell, shell]}\n",
	    "rules[0].may[1]: expected each right once" },
	{ RULE "{name: r, deny: true, may: [{exec: [id]}]}\n",
	    "expected no commands in a deny rule" },
	{ RULE "{name: r, deny: true, how: {files: keep}}\n",
	    "rules[0].how: expected nothing here in a deny rule" },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [exec, "
	       "{exec: [id]}]}\n",
	    "expected each right once" },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [{exec: "
	       "[]}]}\n",
	    "exec: expected at least one command" },
	{ ALLOW "when: {days: mon-fri}\n", "rules[0].when: expected the key \"zone\"" },
	{ ALLOW "when: {zone: UTC}\n", "rules[0].when: expected days or hours" },
	{ ALLOW "when: {days: monday, zone: UTC}\n",
	    "rules[0].when.days: expected days such as mon-fri or sat" },
	{ ALLOW "when: {days: [], zone: UTC}\n",
	    "rules[0].when.days: expected at least one entry" },
	{ ALLOW "when: {hours: \"8-18\", zone: UTC}\n",
	    "rules[0].when.hours: expected hours such as \"08:00-18:00\"" },
	{ ALLOW "when: {hours: \"08:00-08:00\", zone: UTC}\n",
	    "rules[0].when.hours: expected hours" },
	{ ALLOW "when: {hours: \"08:00-18:00\", zone: Mars}\n",
	    "rules[0].when.zone: expected UTC, an offset" },
	{ "certificates: {longest: forever}\n", "certificates.longest: expected " },
	{ "certificates: {longest: 0s}\n", "certificates.longest: expected " },
	{ "certificates: {on_expiry: end}\n", "certificates.on_expiry: expected keep or close" },
	{ "certificates: {on_revoked: true}\n", "certificates.on_revoked: expected keep or close" },
	{ "certificates: {shortest: 1h}\n", "certificates.shortest: expected " },
	{ "compat: [rsa-1024]\n", "compat[0]: expected rsa-2048 or sk-no-touch" },
	{ "compat: rsa-2048\n", "compat: expected a list" },
};

static void
test_wrong_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *file = filled(bad[i].file);
		struct conf_err err = { "" };
		struct model *m = NULL;

		if (model_load("policy.yaml", file, strlen(file), NULL, &m, &err) != ERR_FORMAT)
			fail_msg("loaded: %s", file);
		assert_null(m);
		if (strncmp(err.text, "policy.yaml:", 12) != 0 ||
		    strstr(err.text, bad[i].message) == NULL)
			fail_msg("%s\nsays: %s", bad[i].file, err.text);
		free(file);
	}
}

static void
test_rights_and_their_limits(void **state)
{
	struct model *m =
	    loaded(MAY("shell, {sftp-read: [/srv/, /var/log]}, {sftp-write: [/]}, scp, rsync, "
		       "{forward: [\"localhost:5432\", \"[::1]:80\", \"unix:/run/x\"]}, "
		       "{remote_forward: [8080, \"*:0\"]}, agent, x11") "  - {name: n, deny: true, "
									"may: [sftp-write, "
									"forward, {remote_forward: "
									"[\"*:1-1023\"]}]}\n");
	const struct model_rule *r = model_rule_at(m, 0), *no = model_rule_at(m, 1);

	(void)state;
	assert_int_equal(r->rights, MODEL_ALL_RIGHTS & ~(unsigned)MODEL_EXEC);
	assert_int_equal(model_limits(r, MODEL_SFTP_READ)->n, 2);
	assert_string_equal(model_limits(r, MODEL_SFTP_READ)->v[0], "/srv");
	assert_string_equal(model_limits(r, MODEL_SFTP_READ)->v[1], "/var/log");
	assert_int_equal(model_limits(r, MODEL_SFTP_WRITE)->n, 1);
	assert_string_equal(model_limits(r, MODEL_SFTP_WRITE)->v[0], "/");
	assert_int_equal(model_limits(r, MODEL_FORWARD)->n, 3);
	assert_string_equal(model_limits(r, MODEL_FORWARD)->v[1], "[::1]:80");
	assert_true(r->forwards[1].exact && r->forwards[1].to == 80);
	assert_string_equal(r->forwards[2].path, "/run/x");
	assert_int_equal(model_limits(r, MODEL_REMOTE_FORWARD)->n, 2);
	assert_true(r->remotes[0].loopback && r->remotes[0].from == 8080);
	assert_true(r->remotes[1].any_host && r->remotes[1].to == 0);
	assert_false(r->keep);
	assert_int_equal(no->rights, MODEL_SFTP_WRITE | MODEL_FORWARD | MODEL_REMOTE_FORWARD);
	assert_int_equal(model_limits(no, MODEL_FORWARD)->n, 0);
	assert_true(no->remotes[0].any_host && no->remotes[0].to == 1023);
	model_free(m);
	m = loaded(MAY("{sftp: [/a/, /]}"));
	r = model_rule_at(m, 0);
	assert_int_equal(r->rights, MODEL_SFTP);
	assert_string_equal(model_limits(r, MODEL_SFTP_READ)->v[0], "/a");
	assert_string_equal(model_limits(r, MODEL_SFTP_WRITE)->v[1], "/");
	model_free(m);
	for (unsigned i = 0; i < MODEL_N_RIGHTS; i++) {
		assert_string_not_equal(model_right_name(1u << i), "?");
		assert_int_equal(model_right_index(1u << i), i);
	}
}

/* Whether one of the warnings has these words. */
static bool
warns(const char *may, const char *words)
{
	char file[2048];
	struct model *m;
	bool found = false;

	(void)snprintf(file, sizeof(file),
	    "users: {alice: {}}\nhosts: {web1: {address: 10.0.0.1}}\nrules:\n  - {name: r, who: "
	    "{users: [alice]}, where: {hosts: [web1]}, as: [root], %s}\n",
	    may);
	m = loaded(file);
	for (size_t i = 0; model_warning(m, i) != NULL; i++)
		found = found || strstr(model_warning(m, i), words) != NULL;
	model_free(m);
	return found;
}

static void
test_warnings_about_rights(void **state)
{
	static const struct {
		const char *may, *words;
		bool want;
	} rows[] = {
		{ "may: [shell, {sftp: [/srv]}]", "rule r: shell is not held to the paths", true },
		{ "may: [exec, {sftp-read: [/srv]}]", "exec is not held to the paths", true },
		{ "may: [scp, {sftp-write: [/srv]}]", "scp is not held to the paths", true },
		{ "may: [rsync, {sftp: [/srv]}]", "rsync is not held to the paths", true },
		{ "may: [{exec: [id]}, {sftp: [/srv]}]", "is not held to", false },
		{ "may: [shell, exec, scp, rsync, sftp]", "is not held to", false },
		{ "deny: true, may: [shell, exec, sftp]", "is not held to", false },
		{ "may: [{sftp: [/srv, /srv/a]}]", "sftp-read: /srv/a is in /srv already", true },
		{ "may: [{sftp-write: [/srv/, /srv]}]", "/srv is in /srv already", true },
		{ "may: [{sftp: [/srv, /srvx]}]", "already", false },
		{ "may: [{forward: [\"db:22\"]}]", "forward db:22: SSH through a forward is cut",
		    true },
		{ "may: [{forward: [\"db:22-23\", \"*:*\", \"unix:/x\"]}]", "is cut", false },
		{ "may: [shell], how: {files: keep}", "files: keep is about sftp, scp", true },
		{ "may: [sftp-read], how: {files: keep}", "files: keep", false },
		{ "may: [shell], how: {files: hash}", "files:", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (warns(rows[i].may, rows[i].words) != rows[i].want)
			fail_msg("%s: %s", rows[i].may, rows[i].words);
}

static void
test_a_limit_of_paths(void **state)
{
	char list[64 + 12 * (MODEL_PATHS_MAX + 1)] = "may: [{sftp: [/p0", file[8192];
	struct conf_err err = { "" };
	struct model *m = NULL;
	size_t at = strlen(list);

	(void)state;
	for (unsigned i = 1; i < MODEL_PATHS_MAX; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, ", /p%u", i);
	strcpy(list + at, "]}]");
	assert_false(warns(list, "already"));
	strcpy(list + at, ", /more]}]");
	(void)snprintf(file, sizeof(file),
	    RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], %s}\n",
	    list);
	assert_int_equal(model_load("p", file, strlen(file), NULL, &m, &err), ERR_FORMAT);
	assert_non_null(strstr(err.text, "sftp: expected 1 to 64 paths"));
}

/* No cut of a good file is anything but a refusal or a shorter policy. */
static void
test_cut_anywhere(void **state)
{
	char *file = filled(whole);
	size_t len = strlen(file);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		struct conf_err err = { "" };
		struct model *m = NULL;
		int r = model_load("p", file, n, NULL, &m, &err);

		if (r == 0)
			assert_true(model_n_rules(m) <= 2);
		else
			assert_true(strlen(err.text) > 0);
		model_free(m);
	}
	free(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_loaded_is_found),
		cmocka_unit_test(test_empty_files),
		cmocka_unit_test(test_compat),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_rights_and_their_limits),
		cmocka_unit_test(test_warnings_about_rights),
		cmocka_unit_test(test_a_limit_of_paths),
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
