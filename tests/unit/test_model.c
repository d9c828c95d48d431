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

/* Files are written with @A@ and @B@ for two Ed25519 keys, @R@ for an RSA key of 2048 bits and @C@ for a certificate. */
static char *key_a, *key_b, *key_rsa, *key_cert;
static struct make_key *maker_a, *maker_b, *maker_rsa;

static int
setup(void **state)
{
	(void)state;
	maker_a = make_key_new(SSHKEY_ED25519, 0);
	maker_b = make_key_new(SSHKEY_ED25519, 0);
	maker_rsa = make_key_new(SSHKEY_RSA, 2048);
	key_a = make_key_line(maker_a, "");
	key_b = make_key_line(maker_b, "");
	key_rsa = make_key_line(maker_rsa, "");
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
	free(key_a);
	free(key_b);
	free(key_rsa);
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
	assert_int_equal(rule->commands.n, 1);
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
	    loaded("compat: [rsa-2048, sk-no-touch]\nusers: {alice: {keys: [\"@R@\"]}}\n");

	(void)state;
	assert_int_equal(model_rsa_bits(m), 2048);
	assert_true(model_sk_no_touch(m));
	model_free(m);
	m = loaded("");
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
	{ ALLOW "how: {mfa: true}\n", "rules[0].how.mfa: " NOT },
	{ ALLOW "how: {mask: [defaults]}\n", "rules[0].how.mask: " NOT },
	{ ALLOW "how: {idle: 30m}\n", "rules[0].how.idle: " NOT },
	{ ALLOW "how: {longest: 8h}\n", "rules[0].how.longest: " NOT },
	{ ALLOW "how: {files: hash}\n", "rules[0].how.files: expected keep (hash is not supported "
					"by this version), found \"hash\"" },
	{ RULE
	    "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [agent]}\n",
	    "rules[0].may[0]: " NOT ", found \"agent\"" },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [x11]}\n",
	    "rules[0].may[0]: " NOT },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "
	       "[forward]}\n",
	    "rules[0].may[0]: " NOT },
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: "
	       "[{forward: [\"localhost:1\"]}]}\n",
	    "forward: " NOT },
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
	    "rules[0].may[0]: expected shell, exec, sftp, scp, rsync or {exec: [commands]}" },
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
	{ RULE "{name: r, who: {users: [alice]}, where: {hosts: [web1]}, as: [root], may: [{sftp: "
	       "[x]}]}\n",
	    "expected exec, the only right with a list" },
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
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
