/* Logins request by request: what is offered proves nothing, and what is proved is exactly what was signed. */
#include "config.h"

#include <errno.h>

#include "tests/lib/auth_scene.h"

static struct make_key *alice, *alice2, *bob, *stranger, *ca, *ca2, *rsa, *rsa_short, *sk, *sk_ec;
static const uint8_t other_sid[32] = { 9 };

static int
setup(void **state)
{
	(void)state;
	alice = make_key_new(SSHKEY_ED25519, 0);
	alice2 = make_key_new(SSHKEY_ECDSA_384, 0);
	bob = make_key_new(SSHKEY_ED25519, 0);
	stranger = make_key_new(SSHKEY_ED25519, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	ca2 = make_key_new(SSHKEY_ECDSA_256, 0);
	rsa = make_key_new(SSHKEY_RSA, 3072);
	rsa_short = make_key_new(SSHKEY_RSA, 2048);
	sk = make_key_new(SSHKEY_SK_ED25519, 0);
	sk_ec = make_key_new(SSHKEY_SK_ECDSA, 0);
	return sshkey_init();
}

static int
teardown(void **state)
{
	struct make_key *all[] = { alice, alice2, bob, stranger, ca, ca2, rsa, rsa_short, sk,
		sk_ec };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		make_key_free(all[i]);
	return 0;
}

/* alice has five keys, bob one; carol only certificates, and only of the second CA. */
static struct set *
make_set(const char *top, const char *chains)
{
	char *a = make_key_line(alice, ""), *a2 = make_key_line(alice2, ""),
	     *b = make_key_line(bob, ""), *r = make_key_line(rsa, ""), *k = make_key_line(sk, ""),
	     *e = make_key_line(sk_ec, ""), *c = make_key_line(ca, "first"),
	     *c2 = make_key_line(ca2, "second"), *file, *cas;
	char fingerprint[HASH_FINGERPRINT_SIZE];
	struct set *s;
	size_t len;
	const uint8_t *blob = make_key_blob(ca2, &len);

	hash_fingerprint(fingerprint, blob, len);
	assert_true(
	    asprintf(&file,
		"%s\nusers:\n  alice: {keys: [\"%s\", \"%s\", \"%s\", \"%s\", \"%s\"]}\n"
		"  bob: {keys: [\"%s\"]}\n  carol: {ca: [\"%s\"]}\n"
		"hosts: {web1: {address: 10.0.0.1, key: fleet, host_keys: [\"%s\"]}}\n"
		"rules:\n  - {name: r, who: {users: [alice, carol]}, where: {hosts: [web1]}, "
		"as: [root, deploy], may: [shell]}\n",
		top, a, a2, r, k, e, b, fingerprint, a) > 0);
	assert_true(asprintf(&cas, "# CAs\n\n%s\n%s\n", c, c2) > 0);
	s = scene_set(file, cas, (const char *const[]){ chains, NULL });
	free(a);
	free(a2);
	free(b);
	free(r);
	free(k);
	free(e);
	free(c);
	free(c2);
	free(file);
	free(cas);
	return s;
}

/* The answer of a connection's first and only request, and its reason ("" none). */
static void
once(const struct auth_scene *scene, const struct make_request *q, enum pol_auth want,
    const char *want_reason)
{
	struct auth a = { 0 };
	struct auth_result r;

	assert_int_equal(send_request(&a, scene, q, &r), 0);
	if (r.answer != want || strcmp(r.reason != NULL ? r.reason : "", want_reason) != 0)
		fail_msg("answer %d, reason %s (%s)", r.answer, r.reason != NULL ? r.reason : "-",
		    r.detail != NULL ? r.detail : "-");
	assert_int_equal(r.delay, want == POL_AUTH_FAILURE);
	if (want == POL_AUTH_PK_OK)
		assert_null(r.event);
	else
		assert_string_equal(
		    r.event, want == POL_AUTH_SUCCESS ? "auth.allowed" : "auth.denied");
	if (want == POL_AUTH_FAILURE)
		assert_string_equal(r.methods, "publickey");
	auth_result_done(&r);
	auth_done(&a);
}

static void
test_every_key_gets_in_by_its_signature(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q;

	(void)state;
	q = request("root+web1", alice, "ssh-ed25519");
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	q = request("alice+root+web1", alice2, "ecdsa-sha2-nistp384");
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	q = request("root+web1", rsa, "rsa-sha2-512");
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	q = request("root+web1", rsa, "rsa-sha2-256");
	q.how.name = "rsa-sha2-256";
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	q = request("root+web1", sk, "sk-ssh-ed25519@openssh.com");
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	q = request("root+web1", sk_ec, "sk-ecdsa-sha2-nistp256@openssh.com");
	once(&scene, &q, POL_AUTH_SUCCESS, "");
	set_free(s);
}

/* Warpgate CVE-2023-43660, Go CVE-2024-45337, JumpServer CVE-2023-42818: offered is not proved. */
static void
test_an_offer_proves_nothing(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request offer = request("root+web1", alice, "ssh-ed25519"), none = { 0 },
			    signed_by;
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	offer.key = NULL;
	none = (struct make_request){ .user = "root+web1", .method = "none" };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send_request(&a, &scene, &offer, &r), 0);
		assert_int_equal(r.answer, POL_AUTH_PK_OK);
		assert_null(r.event);
		assert_true(a.offered && !a.over);
		auth_result_done(&r);
	}
	assert_int_equal(send_request(&a, &scene, &none, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	auth_result_done(&r);
	/* Alice's key was offered; the stranger signs with another one. */
	signed_by = request("root+web1", alice, "ssh-ed25519");
	signed_by.key = stranger;
	assert_int_equal(send_request(&a, &scene, &signed_by, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "bad-signature");
	auth_result_done(&r);
	signed_by = request("root+web1", stranger, "ssh-ed25519");
	assert_int_equal(send_request(&a, &scene, &signed_by, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "unknown-key");
	assert_int_equal(a.pass.n_factors, 0);
	assert_false(a.over);
	auth_result_done(&r);
	set_free(s);
	auth_done(&a);
}

static void
test_offers_are_answered_as_logins_would_be(void **state)
{
	static const struct {
		const char *user;
		enum pol_auth answer;
		const char *reason;
	} rows[] = {
		{ "root+web1", POL_AUTH_PK_OK, "" },
		{ "alice", POL_AUTH_PK_OK, "" },
		{ "alice:web1", POL_AUTH_PK_OK, "" },
		{ "alice+web1", POL_AUTH_PK_OK, "" },
		{ "root+web2", POL_AUTH_FAILURE, "unknown-host" },
		{ "nobody+web1", POL_AUTH_FAILURE, "host-not-allowed" },
		{ "bob+root+web1", POL_AUTH_FAILURE, "unproved-identity" },
	};
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_request q = request(rows[i].user, alice, "ssh-ed25519");

		q.key = NULL;
		once(&scene, &q, rows[i].answer, rows[i].reason);
		q = request(rows[i].user, bob, "ssh-ed25519");
		q.key = NULL;
		if (rows[i].answer == POL_AUTH_PK_OK && strchr(rows[i].user, ':') == NULL)
			once(&scene, &q, POL_AUTH_FAILURE,
			    strcmp(rows[i].user, "alice") == 0 ? "unproved-identity"
							       : "host-not-allowed");
		q = request(rows[i].user, stranger, "ssh-ed25519");
		q.key = NULL;
		once(&scene, &q, POL_AUTH_FAILURE, "unknown-key");
	}
	set_free(s);
}

/* C26: request algorithm, key type and signature algorithm must say the same, in every permutation. */
static void
test_algorithms_must_agree(void **state)
{
	static const char *const requests[] = { "ssh-ed25519", "ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384", "rsa-sha2-256", "rsa-sha2-512", "ssh-rsa", "ssh-dss", "",
		"sk-ssh-ed25519@openssh.com", "ssh-ed25519-cert-v01@openssh.com",
		"rsa-sha2-512-cert-v01@openssh.com", "totally-bogus-alg" };
	static const char *const signatures[] = { "ssh-ed25519", "ecdsa-sha2-nistp384",
		"rsa-sha2-256", "rsa-sha2-512", "ssh-rsa", "sk-ssh-ed25519@openssh.com", "" };
	struct {
		const struct make_key *key;
		const char *good[2];
	} keys[] = { { alice, { "ssh-ed25519", NULL } },
		{ alice2, { "ecdsa-sha2-nistp384", NULL } },
		{ rsa, { "rsa-sha2-256", "rsa-sha2-512" } } };
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request offer;
	unsigned n_in = 0;

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (size_t q = 0; q < sizeof(requests) / sizeof(requests[0]); q++)
			for (size_t g = 0; g < sizeof(signatures) / sizeof(signatures[0]); g++) {
				struct make_request m =
				    request("root+web1", keys[k].key, requests[q]);
				struct auth a = { 0 };
				struct auth_result r;
				bool good = strcmp(requests[q], signatures[g]) == 0 &&
					    ((keys[k].good[0] != NULL &&
						 strcmp(keys[k].good[0], requests[q]) == 0) ||
						(keys[k].good[1] != NULL &&
						    strcmp(keys[k].good[1], requests[q]) == 0));

				m.how.name = signatures[g];
				if (strcmp(signatures[g], "ssh-rsa") == 0)
					m.how.digest = k == 2 ? "SHA1" : NULL;
				assert_int_equal(send_request(&a, &scene, &m, &r), 0);
				assert_int_equal(
				    r.answer, good ? POL_AUTH_SUCCESS : POL_AUTH_FAILURE);
				n_in += good;
				auth_result_done(&r);
				auth_done(&a);
			}
	assert_int_equal(n_in, 4);
	/* Already the offer. */
	offer = request("root+web1", alice, "ecdsa-sha2-nistp384");
	offer.key = NULL;
	once(&scene, &offer, POL_AUTH_FAILURE, "algorithm-mismatch");
	set_free(s);
}

/* The digest that the name does not say, and bytes behind the signature. */
static void
test_signatures_that_are_almost_right(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", rsa, "rsa-sha2-512");

	(void)state;
	q.how.digest = "SHA256";
	once(&scene, &q, POL_AUTH_FAILURE, "bad-signature");
	q = request("root+web1", alice, "ssh-ed25519");
	q.how.tail = "x";
	q.how.tail_len = 1;
	once(&scene, &q, POL_AUTH_FAILURE, "bad-signature");
	set_free(s);
}

/* C35: signed for another connection, another user name, another service: replayed, it proves nothing. */
static void
test_replays(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;
	uint8_t *msg;
	size_t len;

	(void)state;
	q.sid = other_sid;
	once(&scene, &q, POL_AUTH_FAILURE, "bad-signature");
	q.sid = sid;
	q.sid_len = 31;
	once(&scene, &q, POL_AUTH_FAILURE, "bad-signature");
	/* Signed as root+web1, sent as deploy+web1: the lengths are made equal. */
	q = request("toor+web1", alice, "ssh-ed25519");
	msg = make_request(&q, &len);
	memcpy(msg + 5, "root", 4);
	assert_int_equal(auth_step(&a, &scene, msg, len, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "bad-signature");
	auth_result_done(&r);
	free(msg);
	set_free(s);
	auth_done(&a);
}

static void
test_every_flipped_bit_of_a_request(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");
	size_t len;
	uint8_t *msg = make_request(&q, &len);

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct auth a = { 0 };
		struct auth_result r;
		int e;

		msg[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		e = auth_step(&a, &scene, msg, len, &r);
		assert_true(e == 0 || e == -EAGAIN);
		if (e == 0)
			assert_int_not_equal(r.answer, POL_AUTH_SUCCESS);
		auth_result_done(&r);
		msg[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		auth_done(&a);
	}
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);
		struct auth a = { 0 };
		struct auth_result r;

		memcpy(cut, msg, n);
		assert_int_equal(auth_step(&a, &scene, cut, n, &r), 0);
		assert_int_equal(r.answer, POL_AUTH_CLOSE);
		assert_string_equal(r.reason, "malformed-request");
		auth_result_done(&r);
		free(cut);
		auth_done(&a);
	}
	free(msg);
	set_free(s);
}

/* L3, O14: "alice", NUL, "root" is neither. */
static void
test_nul_in_the_user_name(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1\0x", alice, "ssh-ed25519");

	(void)state;
	q.user_len = 11;
	once(&scene, &q, POL_AUTH_CLOSE, "malformed-request");
	set_free(s);
}

static void
test_without_the_session_id_nothing_happens(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	scene.session_id = NULL;
	assert_int_equal(send_request(&a, &scene, &q, &r), -EAGAIN);
	auth_result_done(&r);
	assert_false(a.pinned);
	assert_int_equal(a.n_requests, 0);
	scene.session_id = sid;
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_SUCCESS);
	auth_result_done(&r);
	set_free(s);
	auth_done(&a);
}

/* Warpgate CVE-2023-48712: the user of the first request is the user. */
static void
test_the_user_is_pinned(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct make_request first = { .user = "root+web1", .method = "none" };
		struct make_request q =
		    request(i == 0 ? "deploy+web1" : "root+web1", alice, "ssh-ed25519");
		struct auth a = { 0 };
		struct auth_result r;

		if (i == 1)
			q.service = "ssh-connection2";
		if (i == 2)
			first.service = "ssh-";
		assert_int_equal(send_request(&a, &scene, &first, &r), 0);
		assert_int_equal(r.answer, POL_AUTH_FAILURE);
		auth_result_done(&r);
		assert_int_equal(send_request(&a, &scene, &q, &r), 0);
		assert_int_equal(r.answer, POL_AUTH_CLOSE);
		assert_string_equal(r.reason, "user-changed");
		auth_result_done(&r);
		assert_int_equal(send_request(&a, &scene, &first, &r), ERR_ORDER);
		auth_result_done(&r);
		auth_done(&a);
	}
	set_free(s);
}

static void
test_tries_are_counted_over_all_methods(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request rows[] = {
		{ .user = "root+web1", .method = "none" }, /* free */
		{ .user = "root+web1", .method = "none" },
		{ .user = "root+web1", .method = "password" },
		{ .user = "root+web1", .method = "keyboard-interactive" },
		{ .user = "root+web1", .method = "publickey-hostbound-v00@openssh.com" },
		request("root+web1", stranger, "ssh-ed25519"),
		request("root+web1", alice, "ssh-ed25519"),
	};
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	rows[5].key = NULL;
	rows[6].key = stranger;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(send_request(&a, &scene, &rows[i], &r), 0);
		assert_int_equal(r.answer, i < 6 ? POL_AUTH_FAILURE : POL_AUTH_CLOSE);
		assert_int_equal(r.event != NULL, i > 0);
		assert_int_equal(r.delay, i > 0);
		assert_int_equal(r.charge, i == 0  ? 0
					   : i < 6 ? POL_FAILURE_AUTH
						   : POL_FAILURE_TRIES);
		auth_result_done(&r);
	}
	assert_true(a.over);
	set_free(s);
	auth_done(&a);
}

static void
test_good_offers_are_bounded_too(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	q.key = NULL;
	for (unsigned i = 0; i <= AUTH_REQUESTS_MAX; i++) {
		assert_int_equal(send_request(&a, &scene, &q, &r), 0);
		assert_int_equal(r.answer, i < AUTH_REQUESTS_MAX ? POL_AUTH_PK_OK : POL_AUTH_CLOSE);
		auth_result_done(&r);
	}
	set_free(s);
	auth_done(&a);
}

static void
test_other_services_fail(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");

	(void)state;
	q.service = "ssh-evil";
	once(&scene, &q, POL_AUTH_FAILURE, "unknown-service");
	set_free(s);
}

/* A message for somebody who proved who they are, and for nobody else. */
static void
test_hints_are_for_proved_people(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("alice:web1", alice, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_CLOSE);
	assert_string_equal(r.reason, "bad-name");
	assert_non_null(strstr(r.line, "write alice+web1 instead"));
	auth_result_done(&r);
	q = request("alice+web1", alice, "ssh-ed25519");
	auth_done(&a);
	a = (struct auth){ 0 };
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_CLOSE);
	assert_non_null(strstr(r.line, "root, deploy"));
	auth_result_done(&r);
	/* The stranger learns nothing; the audit event does. */
	q = request("alice:web1", stranger, "ssh-ed25519");
	auth_done(&a);
	a = (struct auth){ 0 };
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.line, "");
	assert_non_null(strstr(r.hint, "write alice+web1 instead"));
	auth_result_done(&r);
	set_free(s);
	auth_done(&a);
}

static void
test_without_a_host(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("alice", alice, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_SUCCESS);
	assert_int_equal(r.access.outcome, ACCESS_NO_HOST);
	assert_string_equal(a.pass.identity, "alice");
	auth_result_done(&r);
	q = request("bob", alice, "ssh-ed25519");
	once(&scene, &q, POL_AUTH_FAILURE, "unproved-identity");
	set_free(s);
	auth_done(&a);
}

/* C29, x/crypto GO-2026-5019. */
static void
test_security_keys_must_be_touched(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct make_request q = request("root+web1", i == 0 ? sk : sk_ec,
		    i == 0 ? "sk-ssh-ed25519@openssh.com" : "sk-ecdsa-sha2-nistp256@openssh.com");

		q.how.no_flags = 0x01;
		once(&scene, &q, POL_AUTH_FAILURE, "not-touched");
		q.how.more_flags = 0x04;
		once(&scene, &q, POL_AUTH_FAILURE, "not-touched");
		q.how.no_flags = 0;
		once(&scene, &q, POL_AUTH_SUCCESS, "");
	}
	set_free(s);
}

/* Certificates. */

struct shown {
	struct make_cert spec;
	const char *principal;
	const char *user, *alg;
	const struct make_key *signer; /* of the request; NULL: the certificate's key */
	struct make_how how;
};

static struct shown
shown(void)
{
	return (struct shown){ .spec = { .key = stranger,
				   .ca = ca,
				   .serial = 7,
				   .type = 1,
				   .key_id = "test",
				   .n_principals = 1,
				   .before = UINT64_MAX },
		.principal = "alice",
		.user = "alice+root+web1",
		.alg = "ssh-ed25519-cert-v01@openssh.com" };
}

static void
show(const struct auth_scene *scene, struct shown *sh, enum pol_auth want, const char *reason)
{
	struct make_request q = { .user = sh->user,
		.alg = sh->alg,
		.key = sh->signer != NULL ? sh->signer : sh->spec.key,
		.sid = sid,
		.sid_len = sizeof(sid),
		.how = sh->how };
	uint8_t *blob;

	if (sh->spec.n_principals > 0)
		sh->spec.principals = &sh->principal;
	blob = make_cert(&sh->spec, &q.blob_len);
	q.blob = blob;
	once(scene, &q, want, reason);
	/* The offer is answered as the login would be, but for what only the signature shows. */
	q.key = NULL;
	if (want == POL_AUTH_SUCCESS)
		once(scene, &q, POL_AUTH_PK_OK, "");
	else if (strncmp(reason, "bad-sig", 7) != 0 && strncmp(reason, "not-", 4) != 0)
		once(scene, &q, POL_AUTH_FAILURE, reason);
	free(blob);
}

static void
test_certificates(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct shown sh = shown();
	struct buf *ca_blob = buf_new(256);
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	(void)state;
	assert_int_equal(buf_put(ca_blob, blob, len), 0);
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.user = "root+web1";
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.signer = alice; /* C16: signed by somebody else's key */
	show(&scene, &sh, POL_AUTH_FAILURE, "bad-signature");
	sh = shown();
	sh.spec.ca = stranger; /* C16: signed by itself */
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-ca");
	sh.spec.ca = alice; /* by a user's key */
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-ca");
	sh = shown();
	sh.spec.ca_blob = ca_blob; /* says that the CA signed it */
	sh.spec.ca = alice;
	show(&scene, &sh, POL_AUTH_FAILURE, "bad-ca-signature");
	sh = shown();
	sh.spec.type = 2;
	show(&scene, &sh, POL_AUTH_FAILURE, "certificate-type");
	sh = shown();
	sh.spec.n_principals = 0;
	show(&scene, &sh, POL_AUTH_FAILURE, "no-principals");
	sh = shown();
	sh.principal = "mallory";
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-principal");
	sh.principal = "alice,root";
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-principal");
	sh.principal = "";
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-principal");
	sh = shown();
	sh.principal = "bob"; /* proves bob, claims alice */
	show(&scene, &sh, POL_AUTH_FAILURE, "unproved-identity");
	sh = shown();
	sh.alg = "ssh-ed25519"; /* announced as a plain key */
	show(&scene, &sh, POL_AUTH_FAILURE, "malformed-key");
	sh.alg = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
	show(&scene, &sh, POL_AUTH_FAILURE, "algorithm-mismatch");
	buf_free(ca_blob);
	set_free(s);
}

static void
test_times_of_certificates(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct shown sh = shown();

	(void)state;
	sh.spec.after = NOW_S;
	sh.spec.before = NOW_S + 1;
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.spec.after = NOW_S + 1;
	sh.spec.before = NOW_S + 2;
	show(&scene, &sh, POL_AUTH_FAILURE, "certificate-time");
	sh.spec.after = NOW_S - 1;
	sh.spec.before = NOW_S;
	show(&scene, &sh, POL_AUTH_FAILURE, "certificate-time");
	/* C34: the wall clock went back a day, the other one did not. */
	sh.spec.after = 0;
	sh.spec.before = NOW_S + 3600;
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	scene.newest_s = NOW_S + 86400;
	show(&scene, &sh, POL_AUTH_FAILURE, "certificate-time");
	set_free(s);
}

static void
test_options_of_certificates(void **state)
{
	struct set *s = make_set("", "publickey"),
		   *lax = make_set("compat: [sk-no-touch]", "publickey");
	struct auth_scene scene = make_scene(s), lax_scene = make_scene(lax);
	struct shown sh = shown();
	struct buf *from = buf_new(256), *verify = buf_new(256), *no_touch = buf_new(256),
		   *unknown = buf_new(256);

	(void)state;
	make_option(from, "source-address", "10.0.0.0/8");
	make_option_raw(verify, "verify-required", "", 0);
	make_option_raw(no_touch, "no-touch-required", "", 0);
	make_option_raw(unknown, "unheard@of", "", 0);
	sh.spec.critical = from;
	show(&scene, &sh, POL_AUTH_FAILURE, "source-address");
	assert_int_equal(net_parse("10.1.2.3", &scene.source), 0);
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.spec.critical = unknown;
	show(&scene, &sh, POL_AUTH_FAILURE, "malformed-certificate");
	sh.spec.critical = verify;
	show(&scene, &sh, POL_AUTH_FAILURE, "verify-required");
	sh.spec.key = sk;
	sh.alg = "sk-ssh-ed25519-cert-v01@openssh.com";
	show(&scene, &sh, POL_AUTH_FAILURE, "not-verified");
	sh.how.more_flags = 0x04;
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.how.no_flags = 0x01;
	show(&scene, &sh, POL_AUTH_FAILURE, "not-touched");
	sh.spec.critical = NULL;
	sh.spec.extensions = no_touch;
	show(&scene, &sh, POL_AUTH_FAILURE, "not-touched");
	show(&lax_scene, &sh, POL_AUTH_SUCCESS, "");
	sh.spec.extensions = NULL;
	show(&lax_scene, &sh, POL_AUTH_FAILURE, "not-touched");
	buf_free(from);
	buf_free(verify);
	buf_free(no_touch);
	buf_free(unknown);
	set_free(s);
	set_free(lax);
}

/* C32 */
static void
test_a_ca_that_does_not_speak_for_somebody(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct shown sh = shown();

	(void)state;
	sh.principal = "carol";
	sh.user = "carol+root+web1";
	show(&scene, &sh, POL_AUTH_FAILURE, "unknown-ca");
	sh.spec.ca = ca2;
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	set_free(s);
}

/* C30: a CA's key logs nobody in, and a certificate's key alone neither. */
static void
test_keys_beside_their_certificates(void **state)
{
	struct set *s = make_set("", "publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request q = request("root+web1", ca, "ssh-ed25519");

	(void)state;
	once(&scene, &q, POL_AUTH_FAILURE, "unknown-key");
	q = request("root+web1", stranger, "ssh-ed25519");
	once(&scene, &q, POL_AUTH_FAILURE, "unknown-key");
	set_free(s);
}

static void
test_short_rsa_keys(void **state)
{
	struct set *s = make_set("", "publickey"),
		   *lax = make_set("compat: [rsa-2048]", "publickey");
	struct auth_scene scene = make_scene(s), lax_scene = make_scene(lax);
	struct shown sh = shown();

	(void)state;
	sh.spec.key = rsa_short;
	sh.alg = "rsa-sha2-512-cert-v01@openssh.com";
	show(&scene, &sh, POL_AUTH_FAILURE, "weak-key");
	show(&lax_scene, &sh, POL_AUTH_SUCCESS, "");
	sh.spec.key = rsa;
	show(&scene, &sh, POL_AUTH_SUCCESS, "");
	sh.alg = "ssh-rsa-cert-v01@openssh.com";
	sh.how.name = "ssh-rsa";
	show(&lax_scene, &sh, POL_AUTH_FAILURE, "unknown-algorithm");
	set_free(s);
	set_free(lax);
}

/* A list that revokes one key; cert: by serial instead. */
static void
add_krl(struct set *s, const struct make_key *k, uint64_t serial)
{
	struct buf *b = buf_new(8192), *sect = buf_new(8192);
	char err[SET_ERR_SIZE];
	size_t len;
	const uint8_t *blob = make_key_blob(k != NULL ? k : ca, &len);

	assert_int_equal(buf_put(b, "SSHKRL\n", 8), 0);
	assert_int_equal(buf_put_u32(b, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(buf_put_u64(b, 0), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	assert_int_equal(buf_put_str(sect, blob, len), 0);
	if (k == NULL) {
		assert_int_equal(buf_put_cstr(sect, ""), 0);
		assert_int_equal(buf_put_u8(sect, 0x20), 0);
		assert_int_equal(buf_put_u32(sect, 8), 0);
		assert_int_equal(buf_put_u64(sect, serial), 0);
	}
	assert_int_equal(buf_put_u8(b, k != NULL ? 2 : 1), 0);
	assert_int_equal(buf_put_str(b, buf_ptr(sect), buf_len(sect)), 0);
	assert_int_equal(set_add_file(s, POL_FILE_REVOKED, "krl", (const char *)buf_ptr(b),
			     buf_len(b), NULL, err),
	    0);
	buf_free(b);
	buf_free(sect);
}

/* C21 */
static void
test_revocation(void **state)
{
	const struct make_key *revoked[] = { alice, stranger, ca, NULL };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct set *s = make_set("", "publickey");
		struct auth_scene scene = make_scene(s);
		struct make_request q = request("root+web1", alice, "ssh-ed25519");
		struct shown sh = shown();

		add_krl(s, revoked[i], 7);
		once(&scene, &q, i == 0 ? POL_AUTH_FAILURE : POL_AUTH_SUCCESS,
		    i == 0 ? "revoked" : "");
		show(&scene, &sh, i == 0 ? POL_AUTH_SUCCESS : POL_AUTH_FAILURE,
		    i == 0 ? "" : "revoked");
		sh.spec.serial = 8;
		show(&scene, &sh, i == 0 || i == 3 ? POL_AUTH_SUCCESS : POL_AUTH_FAILURE,
		    i == 0 || i == 3 ? "" : "revoked");
		set_free(s);
	}
}

/* Chains of methods. */

static void
test_two_keys(void **state)
{
	struct set *s = make_set("", "publickey,publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request first = request("alice+root+web1", alice, "ssh-ed25519"),
			    second = request("alice+root+web1", alice2, "ecdsa-sha2-nistp384"),
			    other = request("alice+root+web1", bob, "ssh-ed25519");
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	assert_int_equal(send_request(&a, &scene, &first, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_true(r.partial && !r.delay && r.charge == 0);
	assert_string_equal(r.event, "auth.partial");
	assert_string_equal(r.methods, "publickey");
	auth_result_done(&r);
	assert_int_equal(send_request(&a, &scene, &first, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_false(r.partial);
	assert_string_equal(r.reason, "key-used-twice");
	auth_result_done(&r);
	assert_int_equal(send_request(&a, &scene, &other, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "another-identity");
	auth_result_done(&r);
	assert_int_equal(send_request(&a, &scene, &second, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_SUCCESS);
	auth_result_done(&r);
	set_free(s);
	auth_done(&a);
}

/* Each factor must be the same person's, also where the name does not say whose. */
static void
test_two_people_are_not_one(void **state)
{
	struct set *s = make_set("", "publickey,publickey");
	struct auth_scene scene = make_scene(s);
	struct make_request first = request("root+web1", alice, "ssh-ed25519");
	struct shown sh = shown();
	struct make_request q = { .user = "root+web1",
		.alg = sh.alg,
		.key = stranger,
		.sid = sid,
		.sid_len = sizeof(sid) };
	uint8_t *blob;
	struct auth a = { 0 };
	struct auth_result r;

	(void)state;
	sh.principal = "carol";
	sh.spec.principals = &sh.principal;
	sh.spec.ca = ca2;
	blob = make_cert(&sh.spec, &q.blob_len);
	q.blob = blob;
	assert_int_equal(send_request(&a, &scene, &first, &r), 0);
	assert_true(r.partial);
	auth_result_done(&r);
	assert_int_equal(send_request(&a, &scene, &q, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "another-identity");
	auth_result_done(&r);
	free(blob);
	set_free(s);
	auth_done(&a);
}

static void
test_lists_of_methods(void **state)
{
	static const struct {
		const char *chain;
		int want;
		size_t ways;
	} rows[] = { { "publickey", 0, 1 }, { "keyboard-interactive", 0, 1 },
		{ "publickey,keyboard-interactive", 0, 1 }, { "publickey,publickey", 0, 1 },
		{ "password", ERR_FORMAT, 0 }, { "", ERR_FORMAT, 0 },
		{ "publickey,", ERR_FORMAT, 0 }, { ",publickey", ERR_FORMAT, 0 },
		{ "publickey publickey", ERR_FORMAT, 0 },
		{ "publickey,publickey,publickey,publickey,publickey", ERR_FORMAT, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct set *s = set_new();
		char err[SET_ERR_SIZE] = "";

		assert_int_equal(set_add_chain(s, rows[i].chain, err), rows[i].want);
		assert_int_equal(s->n_chains, rows[i].ways);
		assert_int_equal(err[0] != '\0', rows[i].want != 0);
		assert_int_equal(set_add_file(s, POL_FILE_POLICY, "p", "", 0, NULL, err), 0);
		assert_int_equal(set_finish(s, 6, err), rows[i].ways > 0 ? 0 : ERR_FORMAT);
		set_free(s);
	}
}

static void
test_without_a_policy_everybody_fails(void **state)
{
	struct auth_scene scene = make_scene(NULL);
	struct make_request q = request("root+web1", alice, "ssh-ed25519");

	(void)state;
	once(&scene, &q, POL_AUTH_FAILURE, "no-policy");
}

static void
test_files_of_a_set(void **state)
{
	static const struct {
		enum pol_file kind;
		const char *text, *message;
	} rows[] = {
		{ POL_FILE_USER_CA, "", "f: expected at least one CA key, found none" },
		{ POL_FILE_USER_CA, "# none\n\n", "f: expected at least one CA key" },
		{ POL_FILE_USER_CA, "\nssh-ed25519 AAAA\n",
		    "f:2:1: expected a CA's OpenSSH public key" },
		{ POL_FILE_USER_CA, " \tcert-authority ssh-ed25519 AAAA\n",
		    "f:1:3: expected a CA's" },
		{ POL_FILE_REVOKED, "",
		    "f: expected a key revocation list of ssh-keygen -k: not a" },
		{ POL_FILE_REVOKED, "ssh-ed25519 AAAA\n", "f: expected a key revocation list" },
		{ POL_FILE_POLICY, "users: 1\n", "f:1:8: users: expected a map" },
		{ (enum pol_file)9, "", "f: unknown kind of file" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct set *s = set_new();
		char err[SET_ERR_SIZE] = "";

		assert_int_equal(set_add_file(s, rows[i].kind, "f", rows[i].text,
				     strlen(rows[i].text), NULL, err),
		    ERR_FORMAT);
		if (strstr(err, rows[i].message) != err)
			fail_msg("%s", err);
		set_free(s);
	}
}

/* before: what stands before the key. The line that refuses it, or "" when it is taken; owned by the caller. */
static char *
ca_refusal(const char *policy, const char *before, const struct make_key *k)
{
	char *err = calloc(1, SET_ERR_SIZE), *key = make_key_line(k, ""), file[4096];
	struct set *s = set_new();
	int r;

	(void)snprintf(file, sizeof(file), "%s%s\n", before, key);
	r = set_add_file(s, POL_FILE_USER_CA, "etc/ca.pub", file, strlen(file), NULL, err);
	if (r == 0)
		r = set_add_file(s, POL_FILE_POLICY, "p", policy, strlen(policy), NULL, err);
	if (r == 0)
		r = set_add_chain(s, "publickey", err);
	if (r == 0)
		r = set_finish(s, 6, err);
	assert_int_equal(r, err[0] != '\0' ? ERR_FORMAT : 0);
	free(key);
	set_free(s);
	return err;
}

static void
test_short_rsa_keys_of_cas(void **state)
{
	static const char lax[] = "compat: [rsa-2048]\n";
	struct make_key *tiny = make_key_new(SSHKEY_RSA, 1024);
	const struct {
		const char *policy, *before;
		const struct make_key *key;
		const char *message; /* NULL: it is taken */
	} rows[] = {
		{ "", "", rsa, NULL },
		{ "", "# ours\n  ", rsa_short,
		    "etc/ca.pub:2:3: expected an RSA key of at least 3072 bits, this one has 2048 "
		    "(compat: [rsa-2048] takes it): SHA256:" },
		{ lax, "", rsa_short, NULL },
		{ lax, "\n\n", tiny,
		    "etc/ca.pub:3:1: expected an RSA key of 3072 (with compat: [rsa-2048] 2048) to "
		    "8192 bits" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *err = ca_refusal(rows[i].policy, rows[i].before, rows[i].key);

		if (rows[i].message == NULL ? err[0] != '\0' : strstr(err, rows[i].message) != err)
			fail_msg("row %zu: %s", i, err);
		free(err);
	}
	make_key_free(tiny);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_gets_in_by_its_signature),
		cmocka_unit_test(test_an_offer_proves_nothing),
		cmocka_unit_test(test_offers_are_answered_as_logins_would_be),
		cmocka_unit_test(test_algorithms_must_agree),
		cmocka_unit_test(test_signatures_that_are_almost_right),
		cmocka_unit_test(test_replays),
		cmocka_unit_test(test_every_flipped_bit_of_a_request),
		cmocka_unit_test(test_nul_in_the_user_name),
		cmocka_unit_test(test_without_the_session_id_nothing_happens),
		cmocka_unit_test(test_the_user_is_pinned),
		cmocka_unit_test(test_tries_are_counted_over_all_methods),
		cmocka_unit_test(test_good_offers_are_bounded_too),
		cmocka_unit_test(test_other_services_fail),
		cmocka_unit_test(test_hints_are_for_proved_people),
		cmocka_unit_test(test_without_a_host),
		cmocka_unit_test(test_security_keys_must_be_touched),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_times_of_certificates),
		cmocka_unit_test(test_options_of_certificates),
		cmocka_unit_test(test_a_ca_that_does_not_speak_for_somebody),
		cmocka_unit_test(test_keys_beside_their_certificates),
		cmocka_unit_test(test_short_rsa_keys),
		cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_two_people_are_not_one),
		cmocka_unit_test(test_lists_of_methods),
		cmocka_unit_test(test_without_a_policy_everybody_fails),
		cmocka_unit_test(test_files_of_a_set),
		cmocka_unit_test(test_short_rsa_keys_of_cas),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
