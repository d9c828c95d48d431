/* Logins with PAM and with several factors: every step that must not let anybody in, then those that do. */
#include "config.h"

#include "tests/lib/test.h"

#include "lib/clock.h"
#include "policy/audit.h"
#include "policy/auth.h"
#include "policy/leg.h"
#include "tests/lib/ssh_make.h"

#define NOW_S 1795428000ull /* a Monday, 10:00 UTC */
#define KBD "keyboard-interactive"

static struct make_key *alice, *alice2, *bob, *ca;
static const uint8_t sid[32] = { 1, 2, 3 };

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

/* One connection after the other, with a set of its own. */
struct world {
	struct set *s;
	struct auth_scene scene;
	struct pass outer; /* of a jump */
	struct auth a;
	struct auth_result r;
	uint8_t *msg;
	char user[64];
};

/* web1 is open to alice and bob; safe asks for a second factor; groups reaches who PAM says is in "ops". */
static struct set *
make_set(const char *const *chains)
{
	char *a = make_key_line(alice, ""), *a2 = make_key_line(alice2, ""),
	     *b = make_key_line(bob, ""), *c = make_key_line(ca, ""), *file;
	struct set *s = set_new();
	char err[SET_ERR_SIZE] = "";

	assert_non_null(s);
	assert_true(
	    asprintf(&file,
		"users:\n  alice: {keys: [\"%s\", \"%s\"], groups: [sre]}\n  bob: {keys: "
		"[\"%s\"]}\n"
		"hosts:\n"
		"  web1: {address: 10.0.0.1, key: fleet, host_keys: [\"%s\"]}\n"
		"  safe: {address: 10.0.0.2, key: fleet, host_keys: [\"%s\"]}\n"
		"  ops1: {address: 10.0.0.3, key: fleet, host_keys: [\"%s\"]}\n"
		"rules:\n"
		"  - {name: web, who: {users: [alice, bob]}, where: {hosts: [web1]}, as: [root], "
		"may: [shell]}\n"
		"  - {name: safe, who: {users: [alice]}, where: {hosts: [safe]}, as: [root], may: "
		"[shell], how: {mfa: true}}\n"
		"  - {name: all, who: {users: [\"*\"]}, where: {hosts: [safe]}, as: [deploy], may: "
		"[sftp]}\n"
		"  - {name: ops, who: {groups: [ops]}, where: {hosts: [ops1]}, as: [root], may: "
		"[shell]}\n",
		a, a2, b, a, a, a) > 0);
	if (set_add_file(s, POL_FILE_POLICY, "policy.yaml", file, strlen(file), NULL, err) != 0 ||
	    set_add_file(s, POL_FILE_USER_CA, "ca.pub", c, strlen(c), NULL, err) != 0)
		fail_msg("%s", err);
	for (; *chains != NULL; chains++)
		assert_int_equal(set_add_chain(s, *chains, err), 0);
	assert_int_equal(set_finish(s, 6, err), 0);
	free(a);
	free(a2);
	free(b);
	free(c);
	free(file);
	return s;
}

static struct world *
begin(const char *user, const char *chain1, const char *chain2)
{
	const char *chains[] = { chain1, chain2, NULL };
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->s = make_set(chains);
	w->scene = (struct auth_scene){ .set = w->s,
		.session_id = sid,
		.session_id_len = sizeof(sid),
		.now_ns = NOW_S * CLOCK_NS_PER_S,
		.newest_s = NOW_S,
		.ref = "0123456789abcdef" };
	assert_int_equal(net_parse("192.0.2.7", &w->scene.source), 0);
	strcpy(w->user, user);
	return w;
}

static void
end(struct world *w)
{
	auth_result_done(&w->r);
	auth_done(&w->a);
	pass_done(&w->outer);
	set_free(w->s);
	free(w->msg);
	free(w);
}

static void
check(const struct world *w, enum pol_auth want, const char *reason)
{
	if (w->r.ask || w->r.answer != want ||
	    strcmp(w->r.reason != NULL ? w->r.reason : "", reason) != 0)
		fail_msg("answer %d, reason %s (%s)%s", w->r.answer,
		    w->r.reason != NULL ? w->r.reason : "-",
		    w->r.detail != NULL ? w->r.detail : "-", w->r.ask ? ", asks" : "");
}

/* The request as it is; w->r is its result. */
static int
send_request(struct world *w, const struct make_request *q)
{
	size_t len;

	auth_result_done(&w->r);
	free(w->msg);
	w->msg = make_request(q, &len);
	return auth_step(&w->a, &w->scene, w->msg, len, &w->r);
}

static void
none(struct world *w, enum pol_auth want, const char *reason)
{
	const struct make_request q = { .user = w->user, .method = "none" };

	assert_int_equal(send_request(w, &q), 0);
	check(w, want, reason);
}

static void
key(struct world *w, const struct make_key *k, bool sign, enum pol_auth want, const char *reason)
{
	struct make_request q = { .user = w->user,
		.alg = "ssh-ed25519",
		.key = sign ? k : NULL,
		.sid = sid,
		.sid_len = sizeof(sid) };

	q.blob = make_key_blob(k, &q.blob_len);
	assert_int_equal(send_request(w, &q), 0);
	check(w, want, reason);
}

/* A certificate of the CA for alice's second key. option: a critical one with its data, or NULL. */
static void
certificate(struct world *w, const char *option, const char *data, uint64_t before,
    enum pol_auth want, const char *reason)
{
	static const char *const principals[] = { "alice" };
	struct buf *critical = buf_new(1024);
	struct make_cert spec = { .key = alice2,
		.ca = ca,
		.type = 1,
		.serial = 7,
		.key_id = "id",
		.principals = principals,
		.n_principals = 1,
		.before = before };
	struct make_request q = { .user = w->user,
		.alg = "ssh-ed25519-cert-v01@openssh.com",
		.key = alice2,
		.sid = sid,
		.sid_len = sizeof(sid) };
	uint8_t *blob;

	assert_non_null(critical);
	if (option != NULL) {
		make_option(critical, option, data);
		spec.critical = critical;
	}
	q.blob = blob = make_cert(&spec, &q.blob_len);
	assert_int_equal(send_request(w, &q), 0);
	check(w, want, reason);
	free(blob);
	buf_free(critical);
}

/* The request for PAM: it is asked about this user. */
static void
kbd(struct world *w, const char *asked)
{
	const struct make_request q = { .user = w->user, .method = KBD };

	assert_int_equal(send_request(w, &q), 0);
	if (!w->r.ask)
		fail_msg("reason %s", w->r.reason);
	assert_null(w->r.event);
	assert_true(w->a.asking);
	assert_string_equal(w->a.asked, asked);
}

static void
kbd_refused(struct world *w, const char *reason)
{
	const struct make_request q = { .user = w->user, .method = KBD };

	assert_int_equal(send_request(w, &q), 0);
	assert_false(w->a.asking);
	check(w, POL_AUTH_FAILURE, reason);
}

static void
pam_full(struct world *w, const struct auth_pam *pam, enum pol_auth want, const char *reason)
{
	auth_result_done(&w->r);
	assert_int_equal(auth_pam(&w->a, &w->scene, pam, &w->r), 0);
	assert_false(w->a.asking);
	check(w, want, reason);
	if (want == POL_AUTH_FAILURE && !w->r.partial)
		assert_true(w->r.delay && w->r.charge == POL_FAILURE_AUTH);
}

static void
pam(struct world *w, enum pol_pam result, const char *user, enum pol_auth want, const char *reason)
{
	const struct auth_pam p = {
		.result = result, .stage = "account", .said = "", .user = user, .subject = ""
	};

	pam_full(w, &p, want, reason);
}

static void
methods(const struct world *w, const char *want)
{
	assert_string_equal(w->r.methods, want);
}

/* PAM alone. */

static void
test_what_pam_denies_is_denied(void **state)
{
	static const struct {
		enum pol_pam result;
		const char *reason;
	} rows[] = {
		{ POL_PAM_DENIED, "pam-denied" },
		{ POL_PAM_ACCOUNT, "pam-account" },
		{ POL_PAM_BROKEN, "pam-broken" },
		{ POL_PAM_ABANDONED, "pam-abandoned" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct world *w = begin("alice+root+web1", KBD, NULL);

		kbd(w, "alice");
		pam(w, rows[i].result, "alice", POL_AUTH_FAILURE, rows[i].reason);
		assert_string_equal(w->r.event, "auth.denied");
		assert_int_equal(w->a.pass.n_factors, 0);
		methods(w, KBD);
		end(w);
	}
}

static void
test_only_an_asked_question_has_an_answer(void **state)
{
	const struct auth_pam ok = {
		.result = POL_PAM_OK, .stage = "", .said = "", .user = "alice", .subject = ""
	};
	const struct make_request q = { .user = "alice+root+web1", .method = KBD };
	struct world *w = begin("alice+root+web1", KBD, NULL);

	(void)state;
	assert_int_equal(auth_pam(&w->a, &w->scene, &ok, &w->r), ERR_ORDER);
	auth_result_done(&w->r);
	none(w, POL_AUTH_FAILURE, "");
	assert_int_equal(auth_pam(&w->a, &w->scene, &ok, &w->r), ERR_ORDER);
	kbd(w, "alice");
	/* No other request while it is asked, of whatever kind. */
	assert_int_equal(send_request(w, &q), ERR_ORDER);
	pam(w, POL_PAM_DENIED, "alice", POL_AUTH_FAILURE, "pam-denied");
	/* Nor a second answer to the same one. */
	auth_result_done(&w->r);
	assert_int_equal(auth_pam(&w->a, &w->scene, &ok, &w->r), ERR_ORDER);
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	auth_result_done(&w->r);
	assert_int_equal(auth_pam(&w->a, &w->scene, &ok, &w->r), ERR_ORDER);
	end(w);
}

static void
test_nobody_becomes_somebody_else(void **state)
{
	static const struct {
		const char *user;
		bool from_pam;
		const char *reason;
	} rows[] = {
		{ "bob", false, "pam-user-changed" },
		{ "Alice", false, "pam-user-changed" },
		{ "", false, "pam-user-changed" },
		{ "", true, "pam-bad-name" },
		{ "-oProxyCommand=x", true, "pam-bad-name" },
		{ "a+b", true, "pam-bad-name" },
		{ "bob\n", true, "pam-bad-name" },
		/* Who it is is PAM's to say, and the name claims another one. */
		{ "bob", true, "unproved-identity" },
		{ "nobody", true, "unproved-identity" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct world *w = begin("alice+root+web1", KBD, NULL);

		w->s->identity_from_pam = rows[i].from_pam;
		kbd(w, "alice");
		pam(w, POL_PAM_OK, rows[i].user, POL_AUTH_FAILURE, rows[i].reason);
		assert_int_equal(w->a.pass.n_factors, 0);
		assert_string_equal(w->a.pass.identity, "");
		end(w);
	}
}

/* A directory may take a name in any case; nobody gets away from what the policy says of them by that. */
static void
test_a_listed_person_in_other_letters_is_nobody(void **state)
{
	static const char *const names[] = { "ALICE", "Alice", "ALICE+root+web1" };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		struct world *w = begin(names[i], KBD, NULL);
		char asked[8];

		w->s->identity_from_pam = true;
		(void)snprintf(asked, sizeof(asked), "%.5s", names[i]);
		kbd(w, asked);
		pam(w, POL_PAM_OK, asked, POL_AUTH_FAILURE, "pam-name-case");
		assert_string_equal(w->a.pass.identity, "");
		end(w);
	}
}

/* For PAM, nobody is unknown; what the policy does not know is refused after it, with the same words. */
static void
test_unknown_forbidden_and_denied_look_the_same(void **state)
{
	static const struct {
		const char *name, *asked;
		enum pol_pam result;
		const char *reason;
	} rows[] = {
		{ "alice+root+web1", "alice", POL_PAM_DENIED, "pam-denied" },
		{ "nobody+root+web1", "nobody", POL_PAM_DENIED, "pam-denied" },
		{ "nobody+root+web1", "nobody", POL_PAM_OK, "unknown-user" },
		{ "nobody", "nobody", POL_PAM_OK, "unknown-user" },
		{ "alice+root+nowhere", "alice", POL_PAM_OK, "unknown-host" },
		{ "alice+nobody+web1", "alice", POL_PAM_OK, "host-not-allowed" },
		{ "bob+root+safe", "bob", POL_PAM_OK, "host-not-allowed" },
		{ "root+web1", "root", POL_PAM_OK, "unknown-user" },
	};
	struct auth_result first;

	(void)state;
	memset(&first, 0, sizeof(first));
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct world *w = begin(rows[i].name, KBD, NULL);

		kbd(w, rows[i].asked);
		pam(w, rows[i].result, rows[i].asked, POL_AUTH_FAILURE, rows[i].reason);
		methods(w, KBD);
		assert_string_equal(
		    w->r.text, "bastiond: access denied; reference 0123456789abcdef");
		assert_true(w->r.delay && !w->r.partial);
		end(w);
	}
}

static void
test_names_that_are_none_never_reach_pam(void **state)
{
	static const char *const names[] = { "-oProxyCommand=x", "alice:web1", "a/b", "a%h", "a\nb",
		"", "alice+" };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		struct world *w = begin(names[i], KBD, NULL);

		kbd_refused(w, "bad-name");
		end(w);
	}
}

static void
test_pam_lets_in_who_it_asked_about(void **state)
{
	static const struct {
		const char *name, *host;
	} rows[] = { { "alice+root+web1", "web1" }, { "alice+web1", "web1" }, { "alice", "" } };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct world *w = begin(rows[i].name, KBD, NULL);

		kbd(w, "alice");
		pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
		assert_string_equal(w->a.pass.identity, "alice");
		assert_string_equal(w->r.access.host_name, rows[i].host);
		assert_false(w->r.proof.mfa);
		assert_string_equal(w->r.event, "auth.allowed");
		end(w);
	}
}

static void
test_identities_and_groups_of_pam_count_where_they_may(void **state)
{
	static const char *const groups[] = { "staff", "ops" };
	const struct auth_pam p = { .result = POL_PAM_OK,
		.stage = "account",
		.said = "",
		.user = "carol",
		.groups = groups,
		.n_groups = 2,
		.subject = "https://op.example 4711" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct world *w = begin("root+ops1", KBD, NULL);

		w->s->identity_from_pam = (i & 1) != 0;
		w->s->groups_from_pam = (i & 2) != 0;
		kbd(w, "root");
		if (i == 3) {
			pam_full(w, &p, POL_AUTH_SUCCESS, "");
			assert_string_equal(w->a.pass.identity, "carol");
			assert_string_equal(w->r.access.user->name, "carol");
			assert_string_equal(w->r.access.login, "root");
			assert_string_equal(w->a.pass.subject, "https://op.example 4711");
		} else {
			pam_full(w, &p, POL_AUTH_FAILURE,
			    i == 1 ? "host-not-allowed" : "pam-user-changed");
		}
		end(w);
	}
}

/* Attempts are counted over all methods, and PAM's have a bound of their own. */
static void
test_tries_are_counted_over_all_methods(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey", KBD);

	(void)state;
	w->s->tries = 4;
	for (int i = 0; i < 3; i++)
		if (i == 1) {
			key(w, ca, false, POL_AUTH_FAILURE, "unknown-key");
		} else {
			kbd(w, "alice");
			pam(w, POL_PAM_DENIED, "alice", POL_AUTH_FAILURE, "pam-denied");
			assert_int_equal(w->r.text[0] != '\0', i == 0);
		}
	kbd(w, "alice");
	pam(w, POL_PAM_DENIED, "alice", POL_AUTH_CLOSE, "pam-denied");
	assert_int_equal(w->r.charge, POL_FAILURE_TRIES);
	assert_string_equal(
	    w->r.line, "Too many authentication failures; reference 0123456789abcdef");
	end(w);
	w = begin("alice+root+web1", "publickey", KBD);
	w->s->tries = 100;
	for (unsigned i = 0; i < AUTH_PAM_MAX; i++) {
		kbd(w, "alice");
		pam(w, POL_PAM_ABANDONED, "", POL_AUTH_FAILURE, "pam-abandoned");
	}
	methods(w, "publickey");
	kbd_refused(w, "method-not-allowed");
	end(w);
}

/* Chains. */

static void
test_a_method_out_of_order_is_refused(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey," KBD, NULL);

	(void)state;
	none(w, POL_AUTH_FAILURE, "");
	methods(w, "publickey");
	kbd_refused(w, "method-not-allowed");
	/* An offer proves nothing, also for what comes next. */
	key(w, alice, false, POL_AUTH_PK_OK, "");
	kbd_refused(w, "method-not-allowed");
	key(w, alice, true, POL_AUTH_FAILURE, "");
	assert_true(w->r.partial);
	methods(w, KBD);
	assert_string_equal(w->r.event, "auth.partial");
	/* The key has done its part. */
	key(w, alice, true, POL_AUTH_FAILURE, "method-not-allowed");
	key(w, alice2, true, POL_AUTH_FAILURE, "method-not-allowed");
	none(w, POL_AUTH_FAILURE, "method-not-allowed");
	assert_false(w->a.over);
	end(w);
	w = begin("alice+root+web1", KBD ",publickey", NULL);
	key(w, alice, true, POL_AUTH_FAILURE, "method-not-allowed");
	methods(w, KBD);
	end(w);
}

static void
test_one_factor_of_two_lets_nobody_in(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey," KBD, NULL);

	(void)state;
	key(w, alice, true, POL_AUTH_FAILURE, "");
	kbd(w, "alice");
	pam(w, POL_PAM_DENIED, "alice", POL_AUTH_FAILURE, "pam-denied");
	assert_false(w->r.partial);
	methods(w, KBD);
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	assert_true(w->r.proof.mfa);
	end(w);
	w = begin("alice+root+web1", KBD ",publickey", NULL);
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_FAILURE, "");
	assert_true(w->r.partial && !w->r.delay && w->r.charge == 0);
	methods(w, "publickey");
	key(w, bob, true, POL_AUTH_FAILURE, "another-identity");
	key(w, alice, false, POL_AUTH_PK_OK, "");
	kbd_refused(w, "method-not-allowed");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	end(w);
}

/* Whatever PAM may say about identities: who was proved before stays who that is. */
static void
test_the_second_factor_is_the_same_persons(void **state)
{
	(void)state;
	for (int from_pam = 0; from_pam < 2; from_pam++) {
		struct world *w = begin("root+web1", "publickey," KBD, NULL);

		w->s->identity_from_pam = from_pam != 0;
		key(w, alice, true, POL_AUTH_FAILURE, "");
		/* Not about root, whom the name begins with. */
		kbd(w, "alice");
		pam(w, POL_PAM_OK, "bob", POL_AUTH_FAILURE, "pam-user-changed");
		kbd(w, "alice");
		pam(w, POL_PAM_OK, "root", POL_AUTH_FAILURE, "pam-user-changed");
		kbd(w, "alice");
		pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
		assert_string_equal(w->r.access.user->name, "alice");
		end(w);
	}
}

static void
test_a_name_is_fixed_through_all_factors(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey," KBD, NULL);
	const struct make_request q = { .user = "bob+root+web1", .method = KBD };

	(void)state;
	key(w, alice, true, POL_AUTH_FAILURE, "");
	assert_int_equal(send_request(w, &q), 0);
	check(w, POL_AUTH_CLOSE, "user-changed");
	end(w);
}

/* C20, O03: a certificate's limits hold when something else ends the login. */
static void
test_restrictions_of_the_first_survive_the_second(void **state)
{
	char names[PASS_METHODS_SIZE];
	struct leg_terms terms;
	struct world *w;
	struct leg *leg = NULL;

	(void)state;
	w = begin("alice+root+web1", "publickey," KBD, "publickey");
	certificate(
	    w, "source-address", "10.0.0.0/8", UINT64_MAX, POL_AUTH_FAILURE, "source-address");
	assert_false(w->r.partial);
	kbd_refused(w, "method-not-allowed");
	end(w);
	/* It moves while PAM is asked. */
	w = begin("alice+root+web1", "publickey," KBD, NULL);
	certificate(w, "source-address", "192.0.2.0/24", UINT64_MAX, POL_AUTH_FAILURE, "");
	kbd(w, "alice");
	assert_int_equal(net_parse("198.51.100.1", &w->scene.source), 0);
	pam(w, POL_PAM_OK, "alice", POL_AUTH_FAILURE, "source-address");
	end(w);
	/* It expires while PAM is asked. */
	w = begin("alice+root+web1", "publickey," KBD, NULL);
	certificate(w, NULL, NULL, NOW_S + 30, POL_AUTH_FAILURE, "");
	assert_true(w->r.partial);
	kbd(w, "alice");
	w->scene.now_ns += 31 * CLOCK_NS_PER_S;
	w->scene.newest_s += 31;
	pam(w, POL_PAM_OK, "alice", POL_AUTH_FAILURE, "certificate-time");
	end(w);
	/* What it forces and does not permit goes into the grant. */
	w = begin("alice+root+web1", "publickey," KBD, NULL);
	certificate(w, "force-command", "uptime", UINT64_MAX, POL_AUTH_FAILURE, "");
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	terms = (struct leg_terms){ &w->a.pass, &w->r.proof, &w->r.access };
	assert_int_equal(leg_new(1, 1, "ref", "192.0.2.7:1", &w->scene, &terms, &leg), 0);
	assert_string_equal(leg->force_command, "uptime");
	assert_true(leg->by_cert && leg->permits == 0 && leg->mfa);
	assert_string_equal(pass_methods(&leg->pass, names), "publickey," KBD);
	assert_int_equal(leg->n_principals, 1);
	leg_free(leg);
	end(w);
}

static void
test_two_certificates_hold_together(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey,publickey", NULL);

	(void)state;
	certificate(w, "force-command", "uptime", UINT64_MAX, POL_AUTH_FAILURE, "");
	assert_true(w->r.partial);
	/* The same key once more is no second one, in whatever form. */
	certificate(w, NULL, NULL, UINT64_MAX, POL_AUTH_FAILURE, "key-used-twice");
	key(w, alice2, true, POL_AUTH_FAILURE, "key-used-twice");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	assert_string_equal(proof_force_command(&w->r.proof), "uptime");
	assert_false(w->r.proof.mfa);
	end(w);
}

/* A rule asks for it. */

static void
test_a_rules_second_factor_is_asked_for(void **state)
{
	struct world *w = begin("alice+root+safe", "publickey", NULL);

	(void)state;
	none(w, POL_AUTH_FAILURE, "");
	methods(w, "publickey");
	/* It is not a way in by itself. */
	kbd_refused(w, "method-not-allowed");
	key(w, alice, false, POL_AUTH_PK_OK, "");
	kbd_refused(w, "method-not-allowed");
	key(w, alice, true, POL_AUTH_FAILURE, "second-factor-needed");
	assert_true(w->r.partial && !w->r.delay && w->r.charge == 0);
	methods(w, KBD);
	/* Another key is not another method. */
	key(w, alice2, true, POL_AUTH_FAILURE, "method-not-allowed");
	kbd(w, "alice");
	pam(w, POL_PAM_DENIED, "alice", POL_AUTH_FAILURE, "pam-denied");
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	assert_string_equal(w->r.access.rule->name, "safe");
	end(w);
	w = begin("alice+root+safe", KBD, NULL);
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_FAILURE, "second-factor-needed");
	methods(w, "publickey");
	key(w, bob, true, POL_AUTH_FAILURE, "another-identity");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	end(w);
	/* Two keys are one method. */
	w = begin("alice+root+safe", "publickey,publickey", NULL);
	key(w, alice, true, POL_AUTH_FAILURE, "");
	methods(w, "publickey");
	key(w, alice2, true, POL_AUTH_FAILURE, "second-factor-needed");
	methods(w, KBD);
	end(w);
}

static void
test_where_no_rule_asks_nobody_is_asked(void **state)
{
	static const char *const names[] = { "alice+root+web1", "alice+deploy+safe", "alice" };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		struct world *w = begin(names[i], "publickey", NULL);

		key(w, alice, true, POL_AUTH_SUCCESS, "");
		end(w);
	}
}

/* The rule, and the set, may be others when PAM has been asked. */
static void
test_the_decision_is_made_at_the_end(void **state)
{
	const char *const chains[] = { KBD, NULL };
	struct world *w = begin("alice+root+safe", "publickey", NULL);
	struct set *next = make_set(chains);

	(void)state;
	key(w, alice, true, POL_AUTH_FAILURE, "second-factor-needed");
	kbd(w, "alice");
	set_free(w->s);
	w->s = NULL;
	w->scene.set = NULL;
	pam(w, POL_PAM_OK, "alice", POL_AUTH_FAILURE, "no-policy");
	w->s = next;
	w->scene.set = next;
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	end(w);
}

/* ssh -J. */

/* Alice is in, by her key or by PAM, and goes on to this host. */
static struct world *
jump(const char *login, const char *host, bool by_key)
{
	struct world *w = begin(login, "publickey", KBD);
	size_t len;
	const uint8_t *blob = make_key_blob(alice, &len);
	char fingerprint[HASH_FINGERPRINT_SIZE];

	hash_fingerprint(fingerprint, blob, len);
	strcpy(w->outer.identity, "alice");
	if (by_key)
		assert_int_equal(pass_add_key(&w->outer, "ssh-ed25519", fingerprint, blob, len), 0);
	else
		assert_int_equal(pass_add_pam(&w->outer, NULL, 0, ""), 0);
	strcpy(w->outer.host, host);
	w->outer.port = 22;
	w->a.jump = &w->outer;
	return w;
}

static void
test_a_jump_asks_for_what_is_missing(void **state)
{
	struct world *w = jump("root", "safe", true);

	(void)state;
	kbd_refused(w, "method-not-allowed");
	none(w, POL_AUTH_FAILURE, "second-factor-needed");
	assert_true(w->r.partial && !w->r.delay);
	methods(w, KBD);
	none(w, POL_AUTH_FAILURE, "method-not-allowed");
	key(w, alice2, true, POL_AUTH_FAILURE, "method-not-allowed");
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "bob", POL_AUTH_FAILURE, "pam-user-changed");
	kbd(w, "alice");
	pam(w, POL_PAM_OK, "alice", POL_AUTH_SUCCESS, "");
	assert_string_equal(w->r.access.host_name, "safe");
	/* The outer connection has not learnt anything. */
	assert_int_equal(w->outer.n_factors, 1);
	end(w);
	w = jump("root", "safe", false);
	none(w, POL_AUTH_FAILURE, "second-factor-needed");
	methods(w, "publickey");
	kbd_refused(w, "method-not-allowed");
	key(w, bob, true, POL_AUTH_FAILURE, "another-identity");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	end(w);
	w = jump("root", "web1", false);
	none(w, POL_AUTH_SUCCESS, "");
	end(w);
}

static void
test_a_key_inside_counts_beside_pam_outside(void **state)
{
	struct world *w = jump("root", "safe", false);

	(void)state;
	key(w, bob, true, POL_AUTH_FAILURE, "another-identity");
	key(w, alice, false, POL_AUTH_PK_OK, "");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	assert_true(w->r.proof.mfa);
	end(w);
	/* And where it is a second key it is none of a second method. */
	w = jump("root", "safe", true);
	key(w, alice2, true, POL_AUTH_FAILURE, "second-factor-needed");
	methods(w, KBD);
	assert_int_equal(w->a.pass.n_factors, 1);
	end(w);
}

/* login.explain */

static void
test_who_has_nothing_hears_the_reference(void **state)
{
	struct world *w = begin("alice+root+web1", "publickey", NULL);

	(void)state;
	w->s->explain = true;
	none(w, POL_AUTH_FAILURE, "");
	methods(w, "publickey," KBD);
	key(w, ca, false, POL_AUTH_FAILURE, "unknown-key");
	assert_string_equal(w->r.text, "");
	kbd_refused(w, "");
	assert_true(w->r.delay);
	assert_string_equal(w->r.text, "bastiond: access denied; reference 0123456789abcdef");
	methods(w, "publickey");
	/* Once. */
	kbd_refused(w, "method-not-allowed");
	assert_string_equal(w->r.text, "");
	methods(w, "publickey");
	key(w, alice, true, POL_AUTH_SUCCESS, "");
	end(w);
}

static void
test_the_reference_is_told_once_and_not_for_offers(void **state)
{
	struct make_request q = { .alg = "ssh-ed25519", .sid = sid, .sid_len = sizeof(sid) };
	struct world *w = begin("alice+root+web1", "publickey", NULL);

	(void)state;
	q.user = w->user;
	q.blob = make_key_blob(alice, &q.blob_len);
	key(w, ca, false, POL_AUTH_FAILURE, "unknown-key");
	assert_string_equal(w->r.text, "");
	q.key = bob;
	assert_int_equal(send_request(w, &q), 0);
	check(w, POL_AUTH_FAILURE, "bad-signature");
	assert_string_equal(w->r.text, "bastiond: access denied; reference 0123456789abcdef");
	key(w, ca, true, POL_AUTH_FAILURE, "unknown-key");
	assert_string_equal(w->r.text, "");
	end(w);
}

/* What is asked of PAM says where it is for. */
static void
test_pam_is_told_the_target(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "alice", "" },
		{ "alice+web1", "web1" },
		{ "alice+web1+2222", "web1" },
		{ "alice+root+web1", "root@web1" },
	};
	char target[2 * NAMES_FIELD_SIZE];
	struct world *w;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		w = begin(rows[i].name, KBD, NULL);
		kbd(w, "alice");
		assert_string_equal(auth_target(&w->a, target), rows[i].want);
		end(w);
	}
	w = begin("root+web1", "publickey," KBD, NULL);
	key(w, alice, true, POL_AUTH_FAILURE, "");
	kbd(w, "alice");
	assert_string_equal(auth_target(&w->a, target), "root@web1");
	end(w);
	w = jump("root", "safe", true);
	none(w, POL_AUTH_FAILURE, "second-factor-needed");
	kbd(w, "alice");
	assert_string_equal(auth_target(&w->a, target), "root@safe");
	end(w);
}

static void
test_events_name_what_succeeded(void **state)
{
	static const char *const groups[] = { "staff" };
	const struct auth_pam p = { .result = POL_PAM_OK,
		.stage = "account",
		.said = "",
		.user = "alice",
		.groups = groups,
		.n_groups = 1,
		.subject = "op 4711" };
	const struct audit_conn where = { 1, "ref", "192.0.2.7:1", "127.0.0.1:2222", 0, "" };
	struct world *w = begin("alice+root+web1", "publickey," KBD, NULL);
	char *text = NULL;
	size_t len = 0;

	(void)state;
	key(w, alice, true, POL_AUTH_FAILURE, "");
	kbd(w, "alice");
	pam_full(w, &p, POL_AUTH_SUCCESS, "");
	assert_int_equal(audit_auth(&where, &w->a, &w->r, 1, 5, &text, &len), 0);
	assert_non_null(strstr(text, "\"methods\":\"publickey," KBD "\""));
	assert_non_null(strstr(text, "\"method\":\"" KBD "\""));
	assert_non_null(strstr(text, "\"subject\":\"op 4711\""));
	assert_non_null(strstr(text, "\"groups\":[\"staff\"]"));
	assert_non_null(strstr(text, "\"pam\":{\"result\":\"ok\""));
	assert_non_null(strstr(text, "\"fingerprint\":\"SHA256:"));
	free(text);
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_pam_denies_is_denied),
		cmocka_unit_test(test_only_an_asked_question_has_an_answer),
		cmocka_unit_test(test_nobody_becomes_somebody_else),
		cmocka_unit_test(test_unknown_forbidden_and_denied_look_the_same),
		cmocka_unit_test(test_a_listed_person_in_other_letters_is_nobody),
		cmocka_unit_test(test_names_that_are_none_never_reach_pam),
		cmocka_unit_test(test_pam_lets_in_who_it_asked_about),
		cmocka_unit_test(test_identities_and_groups_of_pam_count_where_they_may),
		cmocka_unit_test(test_tries_are_counted_over_all_methods),
		cmocka_unit_test(test_a_method_out_of_order_is_refused),
		cmocka_unit_test(test_one_factor_of_two_lets_nobody_in),
		cmocka_unit_test(test_the_second_factor_is_the_same_persons),
		cmocka_unit_test(test_a_name_is_fixed_through_all_factors),
		cmocka_unit_test(test_restrictions_of_the_first_survive_the_second),
		cmocka_unit_test(test_two_certificates_hold_together),
		cmocka_unit_test(test_a_rules_second_factor_is_asked_for),
		cmocka_unit_test(test_where_no_rule_asks_nobody_is_asked),
		cmocka_unit_test(test_the_decision_is_made_at_the_end),
		cmocka_unit_test(test_a_jump_asks_for_what_is_missing),
		cmocka_unit_test(test_a_key_inside_counts_beside_pam_outside),
		cmocka_unit_test(test_who_has_nothing_hears_the_reference),
		cmocka_unit_test(test_the_reference_is_told_once_and_not_for_offers),
		cmocka_unit_test(test_pam_is_told_the_target),
		cmocka_unit_test(test_events_name_what_succeeded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
