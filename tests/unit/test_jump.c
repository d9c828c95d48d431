/* Behind ssh -J: what host and port lead to, and that only the person of the outer connection gets in, with what it was given. */
#include "config.h"

#include <errno.h>

#include "policy/jump.h"
#include "tests/lib/auth_scene.h"

static struct make_key *alice, *alice2, *bob, *ca;

static int
setup(void **state)
{
	(void)state;
	alice = make_key_new(SSHKEY_ED25519, 0);
	alice2 = make_key_new(SSHKEY_ED25519, 0);
	bob = make_key_new(SSHKEY_ED25519, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	return sshkey_init();
}

static int
teardown(void **state)
{
	(void)state;
	make_key_free(alice);
	make_key_free(alice2);
	make_key_free(bob);
	make_key_free(ca);
	return 0;
}

/* keys: of alice in the policy: "2" both, "1" the first, "0" none. */
static struct set *
make_set(const char *more_rules, int keys)
{
	char *a = make_key_line(alice, ""), *a2 = make_key_line(alice2, ""),
	     *b = make_key_line(bob, ""), *c = make_key_line(ca, "ca"), *file, *mine;
	struct set *s;

	assert_true(asprintf(&mine, "\"%s\"%s%s%s", a, keys > 1 ? ", \"" : "", keys > 1 ? a2 : "",
			keys > 1 ? "\"" : "") > 0);
	assert_true(asprintf(&file,
			"users:\n  alice: {keys: [%s]}\n  bob: {keys: [\"%s\"]}\n"
			"hosts:\n"
			"  web1: {address: 10.0.0.1, key: fleet, host_keys: [\"%s\"]}\n"
			"  web2: {address: 10.0.0.1, port: 2222, ports: [2200], key: fleet, "
			"host_keys: [\"%s\"]}\n"
			"  six: {address: \"2001:db8::1\", key: fleet, host_keys: [\"%s\"]}\n"
			"  db: {address: db.corp.example, resolve: true, port: 2022, key: fleet, "
			"host_keys: [\"%s\"]}\n"
			"  dmz: {address: 10.0.0.7, key: fleet, host_keys: [\"%s\"]}\n"
			"  dmz2: {address: 10.0.0.7, key: fleet, host_keys: [\"%s\"]}\n"
			"  nokey: {address: 10.0.0.8, host_keys: [\"%s\"]}\n"
			"  nopin: {address: 10.0.0.9, key: fleet}\n"
			"  10.0.0.10: {address: 10.0.0.1, key: fleet, host_keys: [\"%s\"]}\n"
			"  any: {address: 10.0.0.11, key: fleet, host_keys: [\"%s\"]}\n"
			"  \"*.lab.example\": {resolve: true, key: fleet, host_keys: [\"%s\"]}\n"
			"  \"10.9.*\": {resolve: true, key: fleet, host_keys: [\"%s\"]}\n"
			"rules:\n"
			"  - {name: r, who: {users: [alice]}, where: {hosts: [web1, web2, six, db, "
			"dmz2, nokey, "
			"nopin, 10.0.0.10, \"*.lab.example\", \"10.9.*\"]}, as: [root, deploy], "
			"may: [shell]}\n"
			"  - {name: any, who: {users: [alice]}, where: {hosts: [any]}, as: "
			"[\"*\"], may: [shell]}\n"
			"%s",
			mine, b, a, a, a, a, a, a, a, a, a, a, a, more_rules) > 0);
	s = scene_set(
	    file, c, (const char *const[]){ "publickey,keyboard-interactive", "publickey", NULL });
	free(mine);
	free(a);
	free(a2);
	free(b);
	free(c);
	free(file);
	return s;
}

/* Where host and port lead for this person; *ret_reason is set when they lead nowhere. */
static int
resolve_bytes(const struct set *s, const char *who, const void *host, size_t len, uint32_t port,
    struct jump_target *t, const char **ret_reason)
{
	const struct model_user *user = model_find_user(s->model, who);
	struct access_person person = {
		.users = &user, .n_users = 1, .now_ns = NOW_S * CLOCK_NS_PER_S
	};

	assert_non_null(user);
	assert_int_equal(net_parse("192.0.2.7", &person.source), 0);
	return jump_resolve(s->model, host, len, port, user, &person, t, ret_reason);
}

static int
resolve(const struct set *s, const char *who, const char *host, uint32_t port,
    struct jump_target *t, const char **ret_reason)
{
	return resolve_bytes(s, who, host, strlen(host), port, t, ret_reason);
}

static void
test_what_leads_nowhere(void **state)
{
	static const struct {
		const char *host;
		uint32_t port;
		const char *reason;
	} rows[] = {
		{ "", 22, "bad-name" },
		{ ".", 22, "bad-name" },
		{ "[]", 22, "bad-name" },
		{ "[web1", 22, "bad-name" },
		{ "web1]", 22, "bad-name" },
		{ "[[web1]]", 22, "bad-name" },
		{ "web1..", 22, "bad-name" },
		{ "-oProxyCommand=x", 22, "bad-name" },
		{ "web 1", 22, "bad-name" },
		{ "web1\n", 22, "bad-name" },
		{ "web1/..", 22, "bad-name" },
		{ "root@web1", 22, "bad-name" },
		{ "2001:db8::1%eth0", 22, "bad-name" },
		{ "2130706433", 22, "bad-name" },
		{ "*", 22, "bad-name" },
		{ "*.lab.example", 22, "bad-name" },
		{ "unknown", 22, "unknown-host" },
		{ "web", 22, "unknown-host" },
		{ "web11", 22, "unknown-host" },
		{ "lab.example", 22, "unknown-host" },
		{ "10.0.0.2", 22, "unknown-host" },
		{ "2001:db8::2", 22, "unknown-host" },
		{ "::1", 22, "unknown-host" },
		{ "localhost", 22, "unknown-host" },
		{ "dmz", 22, "host-not-allowed" },
		{ "nokey", 22, "host-without-key" },
		{ "10.0.0.8", 22, "host-without-key" },
		{ "nopin", 22, "host-not-pinned" },
		{ "web1", 0, "port-not-allowed" },
		{ "web1", 65536, "port-not-allowed" },
		{ "web1", 65558, "port-not-allowed" },
		{ "web1", 2222, "port-not-allowed" },
		{ "web2", 2223, "port-not-allowed" },
		{ "10.0.0.1", 2223, "port-not-allowed" },
		{ "a.lab.example", 2222, "port-not-allowed" },
	};
	struct set *s = make_set("", 2);
	struct jump_target t = { .port = 77 };
	const char *reason = "";
	static char long_name[NAMES_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (resolve(s, "alice", rows[i].host, rows[i].port, &t, &reason) != ERR_DENIED)
			fail_msg("%s %u leads to %s", rows[i].host, rows[i].port, t.host);
		if (strcmp(reason, rows[i].reason) != 0)
			fail_msg("%s %u: %s", rows[i].host, rows[i].port, reason);
		assert_int_equal(t.port, 77);
	}
	assert_int_equal(resolve_bytes(s, "alice", "web1\0x", 6, 22, &t, &reason), ERR_DENIED);
	assert_int_equal(resolve_bytes(s, "alice", "web1\0", 5, 22, &t, &reason), ERR_DENIED);
	memset(long_name, 'a', NAMES_MAX + 1);
	assert_int_equal(resolve(s, "alice", long_name, 22, &t, &reason), ERR_DENIED);
	assert_string_equal(reason, "bad-name");
	/* Bob has no rule at all. */
	assert_int_equal(resolve(s, "bob", "web1", 22, &t, &reason), ERR_DENIED);
	assert_string_equal(reason, "host-not-allowed");
	set_free(s);
}

static void
test_names_addresses_and_ports(void **state)
{
	static const struct {
		const char *host;
		uint32_t port;
		const char *want;
		unsigned want_port;
		const char *names[JUMP_NAMES_MAX];
	} rows[] = {
		{ "web1", 22, "web1", 22, { "web1", "10.0.0.1" } },
		{ "WEB1", 22, "web1", 22, { "web1", "10.0.0.1" } },
		{ "Web1.", 22, "web1", 22, { "web1", "web1.", "10.0.0.1" } },
		{ "[web1]", 22, "web1", 22, { "web1", "10.0.0.1" } },
		/* Nobody named a port: the host's own. */
		{ "web2", 22, "web2", 2222, { "web2", "10.0.0.1" } },
		{ "web2", 2222, "web2", 2222, { "web2", "10.0.0.1" } },
		{ "web2", 2200, "web2", 2200, { "web2", "10.0.0.1" } },
		/* One address, several hosts: whose port it is. */
		{ "10.0.0.1", 22, "web1", 22, { "web1", "10.0.0.1" } },
		{ "10.0.0.1", 2222, "web2", 2222, { "web2", "10.0.0.1" } },
		{ "10.0.0.1", 2200, "web2", 2200, { "web2", "10.0.0.1" } },
		{ "::ffff:10.0.0.1", 22, "web1", 22, { "web1", "::ffff:10.0.0.1", "10.0.0.1" } },
		/* The first that is open to her. */
		{ "10.0.0.7", 22, "dmz2", 22, { "dmz2", "10.0.0.7" } },
		/* A name that looks like an address is a name first. */
		{ "10.0.0.10", 22, "10.0.0.10", 22, { "10.0.0.10", "10.0.0.1" } },
		{ "2001:db8::1", 22, "six", 22, { "six", "2001:db8::1" } },
		{ "[2001:DB8:0:0::1]", 22, "six", 22, { "six", "2001:db8:0:0::1", "2001:db8::1" } },
		{ "DB.corp.example", 22, "db", 2022, { "db", "db.corp.example" } },
		{ "a.lab.example", 22, "a.lab.example", 22, { "a.lab.example" } },
		{ "A.Lab.Example.", 22, "a.lab.example", 22,
		    { "a.lab.example", "a.lab.example." } },
		{ "10.9.1.2", 22, "10.9.1.2", 22, { "10.9.1.2" } },
		{ "any", 22, "any", 22, { "any", "10.0.0.11" } },
	};
	struct set *s = make_set("", 2);
	const char *reason;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jump_target t = { .port = 0 };
		size_t n = 0;

		if (resolve(s, "alice", rows[i].host, rows[i].port, &t, &reason) != 0)
			fail_msg("%s %u: %s", rows[i].host, rows[i].port, reason);
		assert_string_equal(t.host, rows[i].want);
		assert_int_equal(t.port, rows[i].want_port);
		for (; n < JUMP_NAMES_MAX && rows[i].names[n] != NULL; n++)
			assert_string_equal(n < t.n_names ? t.names[n] : "", rows[i].names[n]);
		assert_int_equal(t.n_names, n);
	}
	set_free(s);
}

/* Denied for one login is not denied; denied for all is, and so is the wrong hour's source. */
static void
test_some_login_must_be_left(void **state)
{
	static const struct {
		const char *rule, *host;
		bool reached;
	} rows[] = {
		{ "  - {name: d, deny: true, where: {hosts: [web1]}, as: [root]}\n", "web1", true },
		{ "  - {name: d, deny: true, where: {hosts: [web1]}, as: [root, deploy]}\n", "web1",
		    false },
		{ "  - {name: d, deny: true, where: {hosts: [web1]}}\n", "web1", false },
		{ "  - {name: d, deny: true, where: {hosts: [web1]}}\n", "any", true },
		{ "  - {name: d, deny: true, where: {hosts: [any]}, as: [root, alice]}\n", "any",
		    true },
		{ "  - {name: d, deny: true, where: {hosts: [any]}, as: [\"*\"]}\n", "any", false },
		{ "  - {name: d, deny: true, who: {users: [alice], source: [192.0.2.0/24]}}\n",
		    "any", false },
		{ "  - {name: s, who: {users: [alice], source: [10.0.0.0/8]}, where: {hosts: "
		  "[dmz]}, as: "
		  "[root], may: [shell]}\n",
		    "dmz", false },
		{ "  - {name: s, who: {users: [alice]}, where: {hosts: [dmz]}, as: [\"@self\"], "
		  "may: "
		  "[shell]}\n",
		    "dmz", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct set *s = make_set(rows[i].rule, 2);
		const char *reason = "";
		struct jump_target t;
		int r = resolve(s, "alice", rows[i].host, 22, &t, &reason);

		if ((r == 0) != rows[i].reached)
			fail_msg("row %zu: %s", i, reason);
		set_free(s);
	}
}

/* Logins behind it. */

struct inner {
	struct set *s;
	struct auth_scene scene;
	struct pass pass;
	struct auth a;
	struct auth_result r;
};

static void
inner_start(struct inner *in, struct set *s, const char *identity, const char *alg,
    const uint8_t *blob, size_t len)
{
	const struct jump_target web1 = { .host = "web1", .port = 22 };
	struct pass outer = { 0 };

	memset(in, 0, sizeof(*in));
	in->s = s;
	in->scene = make_scene(s);
	strcpy(outer.identity, identity);
	assert_int_equal(pass_add_key(&outer, alg, "", blob, len), 0);
	assert_int_equal(pass_copy(&in->pass, &outer), 0);
	pass_done(&outer);
	memcpy(in->pass.host, web1.host, sizeof(in->pass.host));
	in->pass.port = web1.port;
	in->a.jump = &in->pass;
}

/* Alice, by her first key. */
static void
inner_alice(struct inner *in, struct set *s)
{
	size_t len;
	const uint8_t *blob = make_key_blob(alice, &len);

	inner_start(in, s, "alice", "ssh-ed25519", blob, len);
}

static void
inner_done(struct inner *in)
{
	auth_done(&in->a);
	pass_done(&in->pass);
	set_free(in->s);
}

/* The answer to one request; in->r is good until the next one. */
static enum pol_auth
say(struct inner *in, const struct make_request *q, const char *want_reason)
{
	auth_result_done(&in->r);
	assert_int_equal(send_request(&in->a, &in->scene, q, &in->r), 0);
	if (strcmp(in->r.reason != NULL ? in->r.reason : "", want_reason) != 0)
		fail_msg("reason %s, not %s", in->r.reason, want_reason);
	return in->r.answer;
}

static enum pol_auth
none(struct inner *in, const char *user, const char *want_reason)
{
	const struct make_request q = { .user = user, .method = "none" };

	return say(in, &q, want_reason);
}

static enum pol_auth
key(struct inner *in, const char *user, const struct make_key *blob_of, const struct make_key *by,
    const char *want_reason)
{
	struct make_request q = request(user, blob_of, "ssh-ed25519");

	q.key = by;
	return say(in, &q, want_reason);
}

static void
test_none_is_refused_for_what_is_not_theirs(void **state)
{
	static const char *const logins[] = { "alice", "nobody", "Root" };
	struct inner in;

	(void)state;
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		inner_alice(&in, make_set("", 2));
		assert_int_equal(none(&in, logins[i], "host-not-allowed"), POL_AUTH_FAILURE);
		assert_string_equal(in.r.event, "auth.denied");
		assert_string_equal(in.r.methods, "publickey");
		assert_int_equal(in.r.charge, POL_FAILURE_AUTH);
		assert_true(in.r.delay && !in.a.over && !in.r.partial);
		/* Asking again is a failure again, until it is enough. */
		for (int n = 2; n < 6; n++)
			assert_int_equal(
			    none(&in, logins[i], "host-not-allowed"), POL_AUTH_FAILURE);
		assert_int_equal(none(&in, logins[i], "host-not-allowed"), POL_AUTH_CLOSE);
		assert_int_equal(in.r.charge, POL_FAILURE_TRIES);
		auth_result_done(&in.r);
		inner_done(&in);
	}
}

static void
test_none_lets_the_same_person_in(void **state)
{
	static const char *const logins[] = { "root", "deploy" };
	struct inner in;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		inner_alice(&in, make_set("", 2));
		assert_int_equal(none(&in, logins[i], ""), POL_AUTH_SUCCESS);
		assert_string_equal(in.a.pass.identity, "alice");
		assert_string_equal(in.a.claim, logins[i]);
		assert_string_equal(in.r.event, "auth.allowed");
		assert_string_equal(in.r.access.login, logins[i]);
		assert_string_equal(in.r.access.host_name, "web1");
		assert_int_equal(in.r.access.port, 22);
		assert_string_equal(in.r.access.rule->name, "r");
		assert_memory_equal(proof_credential(&in.r.proof, 0)->fingerprint, "SHA256:", 7);
		auth_result_done(&in.r);
		inner_done(&in);
	}
}

static void
test_an_inner_name_is_a_login_or_a_hint(void **state)
{
	static const char *const names[][2] = {
		{ "alice+root", "write alice" },
		{ "alice+root+web1", "write root" },
		{ "root+web2", "write root" },
		{ "root:web1", "LOGIN@HOST" },
		{ "-l", "LOGIN@HOST" },
	};
	struct inner in;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		inner_alice(&in, make_set("", 2));
		assert_int_equal(none(&in, names[i][0], "bad-name"), POL_AUTH_CLOSE);
		assert_non_null(strstr(in.r.line, names[i][1]));
		assert_string_equal(in.r.hint, in.r.line);
		assert_true(in.a.over);
		auth_result_done(&in.r);
		inner_done(&in);
	}
}

static void
test_an_inner_key_of_somebody_else_is_refused(void **state)
{
	struct inner in;

	(void)state;
	inner_alice(&in, make_set("  - {name: b, who: {users: [bob]}, where: {hosts: [web1]}, as: "
				  "[root], may: [shell]}\n",
			     2));
	assert_int_equal(key(&in, "root", bob, NULL, "another-identity"), POL_AUTH_FAILURE);
	assert_int_equal(in.r.charge, POL_FAILURE_AUTH);
	assert_int_equal(key(&in, "root", bob, bob, "another-identity"), POL_AUTH_FAILURE);
	assert_int_equal(key(&in, "root", ca, ca, "unknown-key"), POL_AUTH_FAILURE);
	assert_int_equal(key(&in, "root", alice2, bob, "bad-signature"), POL_AUTH_FAILURE);
	assert_int_equal(in.a.pass.n_factors, 1);
	/* After all of that she is still who she is. */
	assert_int_equal(none(&in, "root", ""), POL_AUTH_SUCCESS);
	auth_result_done(&in.r);
	inner_done(&in);
}

static void
test_an_inner_key_of_the_same_person_will_do(void **state)
{
	struct inner in;
	char outer[HASH_FINGERPRINT_SIZE];
	const uint8_t *blob;
	size_t len;

	(void)state;
	blob = make_key_blob(alice, &len);
	hash_fingerprint(outer, blob, len);
	inner_alice(&in, make_set("", 2));
	assert_int_equal(key(&in, "root", alice2, NULL, ""), POL_AUTH_PK_OK);
	assert_false(in.a.over);
	assert_int_equal(key(&in, "root", alice2, alice2, ""), POL_AUTH_SUCCESS);
	/* What the record names, and what restricts, is the outer one. */
	assert_string_equal(proof_credential(&in.r.proof, 0)->fingerprint, outer);
	auth_result_done(&in.r);
	inner_done(&in);
	/* It does not open what is not hers. */
	inner_alice(&in, make_set("", 2));
	assert_int_equal(key(&in, "nobody", alice2, NULL, "host-not-allowed"), POL_AUTH_FAILURE);
	assert_int_equal(key(&in, "nobody", alice2, alice2, "host-not-allowed"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
}

static void
test_other_methods_and_services_are_refused(void **state)
{
	const struct make_request other = { .user = "root", .method = "keyboard-interactive" };
	const struct make_request service = {
		.user = "root", .method = "none", .service = "ssh-userauth"
	};
	struct inner in;

	(void)state;
	inner_alice(&in, make_set("", 2));
	assert_int_equal(say(&in, &other, "method-not-allowed"), POL_AUTH_FAILURE);
	assert_int_equal(none(&in, "deploy", "user-changed"), POL_AUTH_CLOSE);
	auth_result_done(&in.r);
	inner_done(&in);
	inner_alice(&in, make_set("", 2));
	assert_int_equal(say(&in, &service, "unknown-service"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
}

/* The policy may have changed since the outer login: what counts is now. */
static void
test_the_outer_login_is_worth_what_it_is_worth_now(void **state)
{
	size_t len;
	const uint8_t *blob = make_key_blob(alice2, &len);
	struct inner in;

	(void)state;
	inner_start(&in, make_set("", 1), "alice", "ssh-ed25519", blob, len);
	assert_int_equal(none(&in, "root", "unknown-key"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
	/* The key is another person's now. */
	blob = make_key_blob(bob, &len);
	inner_start(&in, make_set("", 2), "alice", "ssh-ed25519", blob, len);
	assert_int_equal(none(&in, "root", "unproved-identity"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
	/* Nobody was logged in. */
	inner_start(&in, make_set("", 2), "", "ssh-ed25519", blob, len);
	assert_int_equal(none(&in, "root", "not-logged-in"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
	/* Nothing is in force. */
	inner_alice(&in, make_set("", 2));
	in.scene.set = NULL;
	assert_int_equal(none(&in, "root", "no-policy"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
}

/* A certificate for "alice" with these options, valid for an hour around now. */
static uint8_t *
certificate(const char *command, const char *source, size_t *ret_len)
{
	static const char *const principals[] = { "alice" };
	struct buf *critical = buf_new(512), *extensions = buf_new(512);
	struct make_cert c = { .key = alice2,
		.ca = ca,
		.type_name = "ssh-ed25519-cert-v01@openssh.com",
		.serial = 42,
		.type = 1,
		.key_id = "alice's laptop",
		.principals = principals,
		.n_principals = 1,
		.after = NOW_S - 3600,
		.before = NOW_S + 3600,
		.critical = critical,
		.extensions = extensions };
	uint8_t *blob;

	if (command != NULL)
		make_option(critical, "force-command", command);
	if (source != NULL)
		make_option(critical, "source-address", source);
	make_option(extensions, "permit-pty", NULL);
	blob = make_cert(&c, ret_len);
	buf_free(critical);
	buf_free(extensions);
	return blob;
}

static void
test_a_certificates_limits_hold_inside(void **state)
{
	static const char alg[] = "ssh-ed25519-cert-v01@openssh.com";
	struct inner in;
	size_t len;
	uint8_t *blob = certificate("uptime", "192.0.2.0/24", &len);

	(void)state;
	inner_start(&in, make_set("", 1), "alice", alg, blob, len);
	assert_int_equal(none(&in, "root", ""), POL_AUTH_SUCCESS);
	assert_non_null(proof_credential(&in.r.proof, 0)->cert);
	assert_string_equal(proof_credential(&in.r.proof, 0)->cert->force_command, "uptime");
	assert_string_equal(proof_credential(&in.r.proof, 0)->cert->key_id, "alice's laptop");
	auth_result_done(&in.r);
	inner_done(&in);
	/* Her plain key inside does not lift them. */
	inner_start(&in, make_set("", 1), "alice", alg, blob, len);
	assert_int_equal(key(&in, "root", alice, alice, ""), POL_AUTH_SUCCESS);
	assert_string_equal(proof_credential(&in.r.proof, 0)->cert->force_command, "uptime");
	auth_result_done(&in.r);
	inner_done(&in);
	/* It has expired while the outer connection ran; by the other clock too. */
	inner_start(&in, make_set("", 1), "alice", alg, blob, len);
	in.scene.newest_s = NOW_S + 3601;
	assert_int_equal(none(&in, "root", "certificate-time"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
	free(blob);
	blob = certificate(NULL, "10.0.0.0/8", &len);
	inner_start(&in, make_set("", 1), "alice", alg, blob, len);
	assert_int_equal(none(&in, "root", "source-address"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
	free(blob);
}

static void
test_an_outer_login_is_not_free(void **state)
{
	struct inner in;

	(void)state;
	inner_alice(&in, make_set("", 2));
	in.a.jump = NULL; /* the same on a connection that is none of this */
	assert_int_equal(none(&in, "root", ""), POL_AUTH_FAILURE);
	assert_null(in.r.event);
	assert_int_equal(none(&in, "root", "method-not-allowed"), POL_AUTH_FAILURE);
	auth_result_done(&in.r);
	inner_done(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_leads_nowhere),
		cmocka_unit_test(test_names_addresses_and_ports),
		cmocka_unit_test(test_some_login_must_be_left),
		cmocka_unit_test(test_none_is_refused_for_what_is_not_theirs),
		cmocka_unit_test(test_none_lets_the_same_person_in),
		cmocka_unit_test(test_an_inner_name_is_a_login_or_a_hint),
		cmocka_unit_test(test_an_inner_key_of_somebody_else_is_refused),
		cmocka_unit_test(test_an_inner_key_of_the_same_person_will_do),
		cmocka_unit_test(test_other_methods_and_services_are_refused),
		cmocka_unit_test(test_the_outer_login_is_worth_what_it_is_worth_now),
		cmocka_unit_test(test_a_certificates_limits_hold_inside),
		cmocka_unit_test(test_an_outer_login_is_not_free),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
