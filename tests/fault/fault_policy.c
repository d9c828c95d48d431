/* bastiond-policy's readers and decisions with every allocation failing in turn: nothing leaks, and nobody gets in by it. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "policy/ask.h"
#include "policy/audit.h"
#include "policy/auth.h"
#include "policy/jump.h"
#include "policy/leg.h"
#include "recorder/link_proto.h"
#include "tests/lib/ssh_make.h"

/* Made before anything fails. */
static struct make_key *alice, *stranger, *ca;
static char *policy, *ca_line;
static uint8_t *cert, *good, *bad, *by_cert, *krl;
static size_t cert_len, good_len, bad_len, by_cert_len, krl_len;
static const uint8_t sid[32] = { 7 };

static uint8_t *
request(const uint8_t *blob, size_t blob_len, const char *alg, const struct make_key *signer,
    size_t *ret_len)
{
	struct make_request q = { .user = "alice+root+web1",
		.alg = alg,
		.blob = blob,
		.blob_len = blob_len,
		.key = signer,
		.sid = sid,
		.sid_len = sizeof(sid) };

	return make_request(&q, ret_len);
}

static void
make_krl(void)
{
	struct buf *b = buf_new(4096), *s = buf_new(4096), *ids = buf_new(256);
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	assert_int_equal(buf_put(b, "SSHKRL\n", 8) | buf_put_u32(b, 1) | buf_put_u64(b, 0) |
			     buf_put_u64(b, 0) | buf_put_u64(b, 0) | buf_put_cstr(b, "") |
			     buf_put_cstr(b, ""),
	    0);
	assert_int_equal(buf_put_cstr(ids, "old"), 0);
	assert_int_equal(buf_put_str(s, blob, len) | buf_put_cstr(s, "") | buf_put_u8(s, 0x23) |
			     buf_put_str(s, buf_ptr(ids), buf_len(ids)) | buf_put_u8(s, 0x20) |
			     buf_put_u32(s, 8) | buf_put_u64(s, 99),
	    0);
	assert_int_equal(buf_put_u8(b, 1) | buf_put_str(b, buf_ptr(s), buf_len(s)), 0);
	krl_len = buf_len(b);
	krl = malloc(krl_len);
	assert_non_null(krl);
	memcpy(krl, buf_ptr(b), krl_len);
	buf_free(b);
	buf_free(s);
	buf_free(ids);
}

static int
setup(void **state)
{
	static const char *const principals[] = { "alice", "role" };
	struct buf *crit = buf_new(256);
	struct make_cert spec = { .serial = 7,
		.type = 1,
		.principals = principals,
		.n_principals = 2,
		.before = UINT64_MAX,
		.critical = crit };
	char *line;
	size_t len;
	const uint8_t *blob;

	(void)state;
	alice = make_key_new(SSHKEY_ED25519, 0);
	stranger = make_key_new(SSHKEY_ECDSA_256, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	line = make_key_line(alice, "");
	ca_line = make_key_line(ca, "ca");
	assert_true(
	    asprintf(&policy,
		"users: {alice: {keys: [\"%s\"], groups: [sre]}}\n"
		"hosts: {web1: {address: 10.0.0.1, labels: {env: prod}, key: fleet, host_keys: "
		"[\"%s\"], host_ca: [\"%s\"]}}\n"
		"rules:\n  - {name: r, who: {groups: [sre], source: [0.0.0.0/0]}, where: {labels: "
		"{env: [prod]}}, as: [root, deploy], may: [shell, {exec: [\"id *\"]}]}\n",
		line, line, line) > 0);
	free(line);
	make_option(crit, "force-command", "id -u");
	make_option(crit, "source-address", "0.0.0.0/0");
	spec.key = stranger;
	spec.ca = ca;
	cert = make_cert(&spec, &cert_len);
	buf_free(crit);
	blob = make_key_blob(alice, &len);
	good = request(blob, len, "ssh-ed25519", alice, &good_len);
	bad = request(blob, len, "ssh-ed25519", ca, &bad_len);
	by_cert = request(
	    cert, cert_len, "ecdsa-sha2-nistp256-cert-v01@openssh.com", stranger, &by_cert_len);
	make_krl();
	return sshkey_init();
}

static int
teardown(void **state)
{
	(void)state;
	make_key_free(alice);
	make_key_free(stranger);
	make_key_free(ca);
	free(policy);
	free(ca_line);
	free(cert);
	free(good);
	free(bad);
	free(by_cert);
	free(krl);
	return 0;
}

static int
make_set(struct set **ret_s)
{
	char err[SET_ERR_SIZE] = "";
	struct set *s = set_new();
	int r = -ENOMEM;

	if (s == NULL)
		return r;
	if ((r = set_add_file(s, POL_FILE_POLICY, "p", policy, strlen(policy), NULL, err)) != 0 ||
	    (r = set_add_file(s, POL_FILE_USER_CA, "c", ca_line, strlen(ca_line), NULL, err)) !=
		0 ||
	    (r = set_add_file(s, POL_FILE_REVOKED, "k", (const char *)krl, krl_len, NULL, err)) !=
		0 ||
	    (r = set_add_chain(s, "publickey", err)) != 0 || (r = set_finish(s, 6, err)) != 0) {
		set_free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}

static int
run_load(void *arg)
{
	struct set *s = NULL;
	int r = make_set(&s);

	(void)arg;
	set_free(s);
	return r;
}

static void
test_loading(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_load, NULL) > 100);
}

struct login {
	struct set *set;
	const uint8_t *msg;
	size_t len;
	enum pol_auth want;
};

/* A login, its event and its grant, as the server makes them. */
static int
after(const struct auth *a, const struct auth_scene *scene, const struct auth_result *r)
{
	const struct audit_conn where = { 1, "ref", "192.0.2.1:1", "127.0.0.1:2222", 3, "outer" };
	const struct leg_terms terms = { &a->pass, &r->proof, &r->access };
	struct leg *leg = NULL;
	struct buf *b = NULL;
	char *text = NULL;
	size_t len = 0;
	int e = audit_auth(&where, a, r, 1, 0, &text, &len);

	free(text);
	if (e != 0 || r->answer != POL_AUTH_SUCCESS)
		return e;
	if ((e = leg_new(1, 1, "ref", "192.0.2.1:1", scene, &terms, &leg)) != 0)
		return e;
	b = buf_new(65536);
	e = b != NULL ? leg_put_grant(leg, a->claim, &terms, b) : -ENOMEM;
	buf_free(b);
	leg_free(leg);
	return e;
}

static int
run_login(void *arg)
{
	const struct login *l = arg;
	struct auth_scene scene = { .set = l->set,
		.session_id = sid,
		.session_id_len = sizeof(sid),
		.now_ns = 1795428000000000000ull,
		.newest_s = 1795428000ull };
	struct auth a = { 0 };
	struct auth_result r;
	int e;

	if (net_parse("192.0.2.1", &scene.source) != 0)
		return -1;
	e = auth_step(&a, &scene, l->msg, l->len, &r);
	if (e == 0) {
		/* Out of memory may refuse, and never lets in. */
		if (l->want != POL_AUTH_SUCCESS)
			assert_int_not_equal(r.answer, POL_AUTH_SUCCESS);
		e = r.answer == l->want ? after(&a, &scene, &r) : ERR_DENIED;
	}
	auth_result_done(&r);
	auth_done(&a);
	return e;
}

static void
test_logins(void **state)
{
	struct set *s = NULL;

	(void)state;
	assert_int_equal(make_set(&s), 0);
	{
		struct login rows[] = { { s, good, good_len, POL_AUTH_SUCCESS },
			{ s, by_cert, by_cert_len, POL_AUTH_SUCCESS },
			{ s, bad, bad_len, POL_AUTH_FAILURE } };

		for (size_t i = 0; i < 3; i++)
			assert_true(fault_each(FAULT_MEMORY, run_login, &rows[i]) >= 5);
	}
	set_free(s);
}

struct jump {
	struct set *set;
	const uint8_t *msg; /* of the inner login */
	size_t len;
	enum pol_auth want;
};

/* From what an outer login left to the grant of the inner one. */
static int
run_jump(void *arg)
{
	const struct jump *j = arg;
	struct auth_scene scene = {
		.set = j->set, .now_ns = 1795428000000000000ull, .newest_s = 1795428000ull
	};
	struct pass outer = { 0 }, inner = { 0 };
	struct access_person who;
	struct jump_target target;
	struct proof p = { .n_creds = 0 };
	struct auth a = { .jump = &inner };
	struct auth_result r = { .answer = POL_AUTH_CLOSE };
	const char *reason = NULL;
	int e;

	if (net_parse("192.0.2.1", &scene.source) != 0)
		return -1;
	strcpy(outer.identity, "alice");
	if ((e = pass_add_key(
		 &outer, "ecdsa-sha2-nistp256-cert-v01@openssh.com", "", cert, cert_len)) != 0 ||
	    (e = proof_read(&p, &scene, &outer, NULL)) != 0)
		goto out;
	who = proof_person(&p, &scene);
	if ((e = jump_resolve(
		 j->set->model, "10.0.0.1", 8, 22, who.users[0], &who, &target, &reason)) != 0 ||
	    (e = pass_copy(&inner, &outer)) != 0)
		goto out;
	memcpy(inner.host, target.host, sizeof(inner.host));
	inner.port = target.port;
	e = auth_step(&a, &scene, j->msg, j->len, &r);
	if (e == 0 && j->want != POL_AUTH_SUCCESS)
		assert_int_not_equal(r.answer, POL_AUTH_SUCCESS);
	if (e == 0)
		e = r.answer == j->want ? after(&a, &scene, &r) : ERR_DENIED;
out:
	auth_result_done(&r);
	auth_done(&a);
	proof_done(&p);
	pass_done(&inner);
	pass_done(&outer);
	return e;
}

static void
test_jumps(void **state)
{
	static const char *const logins[] = { "root", "nobody" };
	struct set *s = NULL;

	(void)state;
	assert_int_equal(make_set(&s), 0);
	for (size_t i = 0; i < 2; i++) {
		const struct make_request q = { .user = logins[i], .method = "none" };
		struct jump j = { .set = s, .want = i == 0 ? POL_AUTH_SUCCESS : POL_AUTH_FAILURE };
		uint8_t *msg = make_request(&q, &j.len);

		j.msg = msg;
		assert_true(fault_each(FAULT_MEMORY, run_jump, &j) >= 5);
		free(msg);
	}
	set_free(s);
}

static int
run_ask(void *arg)
{
	struct set *s = arg;
	char command[] = "id -u";
	struct leg leg = { .id = 1,
		.identity = "alice",
		.login = "root",
		.host = "web1",
		.force_command = command };
	struct ask ask = {
		.type = LINK_REQUEST, .data = (const uint8_t *)"\0\0\0\5\0\0\0\5shell\1", .len = 14
	};
	struct buf *replacement = buf_new(ASK_FRAME_MAX), *terms = buf_new(ASK_FRAME_MAX);
	struct ask_verdict v;
	char *text = NULL;
	size_t len = 0;
	int r = -ENOMEM;

	if (replacement == NULL || terms == NULL)
		goto out;
	r = ask_judge(&leg, s, &ask, replacement, terms, &v);
	if (r == 0) {
		assert_int_not_equal(v.verdict, POL_ALLOW);
		r = audit_ask(&leg, &ask, 1, &v, &text, &len);
	}
out:
	free(text);
	buf_free(replacement);
	buf_free(terms);
	return r;
}

static void
test_verdicts(void **state)
{
	struct set *s = NULL;

	(void)state;
	assert_int_equal(make_set(&s), 0);
	assert_true(fault_each(FAULT_MEMORY, run_ask, s) >= 3);
	set_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
