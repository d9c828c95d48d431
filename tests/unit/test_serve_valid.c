/*
 * What running sessions were opened with: a certificate expires, a key or a CA leaves the policy, a list of revoked ones comes.
 * The server in this process, with the test as its broker and its clock, and no recorder: so it keeps the events.
 */
#include "config.h"

#include <errno.h>

#include "lib/file.h"
#include "lib/ipc.h"
#include "lib/json.h"
#include "policy/krl.h"
#include "policy/policy_proto.h"
#include "policy/serve_int.h"
#include "tests/lib/auth_scene.h"

#define KEEP ""
#define CLOSE_EXPIRED "certificates: {on_expiry: close}\n"
#define CLOSE_REVOKED "certificates: {on_revoked: close}\n"
#define EXPIRED_LINE "the certificate that you logged in with has expired"
#define REVOKED_LINE "what you logged in with is no longer accepted"
#define LEG 7u
#define SERIAL 5u
#define VALID_S 100u /* that the certificate is good for from NOW_S on */

static struct make_key *alice, *other, *ca, *other_ca;
static uint64_t wall_s = NOW_S, boot_s = 1000;
static uint8_t scratch[IPC_HEADER + IPC_MAX];

static int
group_setup(void **state)
{
	(void)state;
	alice = make_key_new(SSHKEY_ED25519, 0);
	other = make_key_new(SSHKEY_ED25519, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	other_ca = make_key_new(SSHKEY_ED25519, 0);
	return sshkey_init();
}

static int
group_teardown(void **state)
{
	(void)state;
	make_key_free(alice);
	make_key_free(other);
	make_key_free(ca);
	make_key_free(other_ca);
	return 0;
}

static uint64_t
wall(void)
{
	return wall_s * CLOCK_NS_PER_S;
}

static uint64_t
boot(void)
{
	return boot_s * CLOCK_NS_PER_S;
}

struct world {
	struct loop *loop;
	struct serve *s;
	int broker; /* our end */
	struct leg *leg;
};

/* alice with one of these keys, certificates of one of these CAs; top: further lines of the policy. */
static struct set *
make_set(const char *top, const struct make_key *key, const struct make_key *signer)
{
	char *k = make_key_line(key, ""), *c = make_key_line(signer, ""), *text;
	struct set *set;

	assert_true(asprintf(&text,
			"%susers: {alice: {keys: [\"%s\"]}}\n"
			"hosts: {web1: {address: 10.0.0.1, key: fleet, host_keys: [\"%s\"]}}\n"
			"rules: [{name: r, who: {users: [alice]}, where: {hosts: [web1]}, "
			"as: [root], may: [shell]}]\n",
			top, k, k) > 0);
	set = scene_set(text, c, (const char *const[]){ "publickey", NULL });
	free(k);
	free(c);
	free(text);
	return set;
}

/* That list of revoked certificates is in the set, too: those of the CA with this serial number. */
static void
revoke(struct set *set, uint64_t serial)
{
	struct krl_change change = { .low = serial, .high = serial };
	struct buf *list = buf_new(1024);
	char err[SET_ERR_SIZE];

	change.ca_blob = make_key_blob(ca, &change.ca_blob_len);
	assert_int_equal(krl_extend(NULL, 0, NOW_S, &change, 1, list), 0);
	assert_int_equal(set_add_file(set, POL_FILE_REVOKED, "krl", (const char *)buf_ptr(list),
			     buf_len(list), NULL, err),
	    0);
	buf_free(list);
}

static void
in_force(struct world *w, struct set *set)
{
	set_free(w->s->set);
	w->s->set = set;
	serve_valid_reload(w->s);
}

static void
start(struct world *w, const char *top)
{
	int fds[2];

	wall_s = NOW_S;
	clock_override(wall, boot);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(serve_new(w->loop, NULL, fds[1], &w->s), 0);
	w->broker = fds[0];
	assert_int_equal(ipc_plain_hello(w->broker), 0);
	assert_int_equal(loop_pass(w->loop, 0), 0);
	in_force(w, make_set(top, alice, ca));
}

static void
done(struct world *w)
{
	serve_free(w->s);
	loop_free(w->loop);
	fd_close(&w->broker);
	clock_override(NULL, NULL);
}

/* A session of alice's: opened with this key or certificate, which is good until then. */
static void
open_leg(struct world *w, const char *alg, const uint8_t *blob, size_t len, uint64_t valid_before_s)
{
	const struct auth_scene scene = make_scene(w->s->set);

	w->leg = calloc(1, sizeof(*w->leg));
	assert_non_null(w->leg);
	w->leg->id = LEG;
	w->leg->conn = 3;
	strcpy(w->leg->identity, "alice");
	strcpy(w->leg->pass.identity, "alice");
	w->leg->source = scene.source;
	w->leg->valid_before_s = valid_before_s;
	assert_int_equal(pass_add_key(&w->leg->pass, alg, "SHA256:of-the-key", blob, len), 0);
	assert_int_equal(serve_leg_add(w->s, w->leg), 0);
}

static void
open_by_key(struct world *w)
{
	size_t len;
	const uint8_t *blob = make_key_blob(alice, &len);

	open_leg(w, "ssh-ed25519", blob, len, 0);
}

static void
open_by_cert(struct world *w)
{
	static const char *const principals[] = { "alice" };
	const struct make_cert c = { .key = alice,
		.ca = ca,
		.type = 1,
		.serial = SERIAL,
		.key_id = "a",
		.principals = principals,
		.n_principals = 1,
		.after = NOW_S - VALID_S,
		.before = NOW_S + VALID_S };
	size_t len;
	uint8_t *blob = make_cert(&c, &len);

	open_leg(w, "ssh-ed25519-cert-v01@openssh.com", blob, len, NOW_S + VALID_S);
	free(blob);
}

/* So much later, by both clocks: timers that are due fire. */
static void
later(struct world *w, uint64_t s)
{
	wall_s += s;
	boot_s += s;
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_pass(w->loop, 0), 0);
}

static void
want_event(struct world *w, const char *name, const char *reason, const char *session)
{
	struct serve_event *e = STAILQ_FIRST(&w->s->events);
	struct json_node *j = NULL;

	assert_non_null(e);
	assert_int_equal(json_parse(e->text, e->len, &j), 0);
	assert_string_equal(json_str(json_get(j, "event"), ""), name);
	assert_string_equal(json_str(json_get(j, "reason"), ""), reason);
	assert_string_equal(json_str(json_get(j, "session"), ""), session);
	assert_string_equal(json_str(json_get(j, "identity"), ""), "alice");
	assert_int_equal(json_u64(json_get(j, "leg"), 0), LEG);
	json_node_free(j);
	STAILQ_REMOVE_HEAD(&w->s->events, link);
	w->s->n_events--;
	free(e);
}

static void
want_end(struct world *w, const char *line)
{
	struct ipc_msg msg;
	struct buf *b;
	char text[128];

	assert_int_equal(loop_pass(w->loop, 0), 0);
	assert_int_equal(ipc_plain_recv(w->broker, scratch, &msg, 0), 0);
	assert_int_equal(msg.type, POL_END_LEG);
	assert_int_equal(msg.id, LEG);
	b = buf_view(msg.data, msg.len);
	assert_int_equal(buf_get_cstr(b, text, sizeof(text)), 0);
	assert_int_equal(buf_end(b), 0);
	assert_string_equal(text, line);
	buf_free(b);
	assert_true(w->leg->ending);
}

/* No event, and the broker hears nothing. */
static void
want_nothing(struct world *w)
{
	struct ipc_msg msg;

	assert_int_equal(loop_pass(w->loop, 0), 0);
	assert_null(STAILQ_FIRST(&w->s->events));
	assert_int_equal(w->s->n_lost, 0);
	assert_int_equal(ipc_plain_recv(w->broker, scratch, &msg, 0), -ETIMEDOUT);
}

/* Expiry. */

static void
test_nothing_is_said_before_it_expires(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_EXPIRED);
	assert_false(loop_timer_armed(w.s->valid_timer));
	open_by_cert(&w);
	assert_true(loop_timer_armed(w.s->valid_timer));
	later(&w, VALID_S - 1);
	in_force(&w, make_set(CLOSE_EXPIRED, alice, ca));
	want_nothing(&w);
	assert_false(w.leg->expired);
	done(&w);
}

static void
test_a_key_does_not_expire(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_EXPIRED);
	open_by_key(&w);
	assert_false(loop_timer_armed(w.s->valid_timer));
	later(&w, 100 * 365 * 86400ull);
	in_force(&w, make_set(CLOSE_EXPIRED, alice, ca));
	want_nothing(&w);
	done(&w);
}

static void
test_keep_says_it_once_and_ends_nothing(void **state)
{
	struct world w;

	(void)state;
	start(&w, KEEP);
	open_by_cert(&w);
	later(&w, VALID_S);
	want_event(&w, "certificate.expired", "expired", "kept");
	want_nothing(&w);
	assert_false(w.leg->ending);
	assert_false(loop_timer_armed(w.s->valid_timer));
	later(&w, VALID_S);
	in_force(&w, make_set(KEEP, alice, ca));
	want_nothing(&w);
	done(&w);
}

static void
test_close_ends_it_once(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_EXPIRED);
	open_by_cert(&w);
	later(&w, VALID_S);
	want_event(&w, "certificate.expired", "expired", "closed");
	want_end(&w, EXPIRED_LINE);
	later(&w, VALID_S);
	in_force(&w, make_set(CLOSE_EXPIRED, alice, ca));
	want_nothing(&w);
	done(&w);
}

static void
test_a_new_policy_ends_what_the_old_one_kept(void **state)
{
	struct world w;

	(void)state;
	start(&w, KEEP);
	open_by_cert(&w);
	later(&w, VALID_S);
	want_event(&w, "certificate.expired", "expired", "kept");
	in_force(&w, make_set(CLOSE_EXPIRED, alice, ca));
	want_event(&w, "certificate.expired", "expired", "closed");
	want_end(&w, EXPIRED_LINE);
	want_nothing(&w);
	done(&w);
}

/* The wall clock is set forward: no timer of the boot clock knows, but it is looked at again in a minute. */
static void
test_a_clock_that_is_set_is_seen(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_EXPIRED);
	open_by_cert(&w);
	wall_s += VALID_S;
	want_nothing(&w);
	later(&w, 60);
	want_event(&w, "certificate.expired", "expired", "closed");
	want_end(&w, EXPIRED_LINE);
	done(&w);
}

/* Trust. */

static void
test_a_reload_that_changes_nothing_says_nothing(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_REVOKED);
	open_by_cert(&w);
	in_force(&w, make_set(CLOSE_REVOKED, other, ca)); /* it is the CA that counts */
	want_nothing(&w);
	assert_false(w.leg->untrusted);
	done(&w);
}

static void
test_a_key_that_leaves(void **state)
{
	struct world w;

	(void)state;
	start(&w, KEEP);
	open_by_key(&w);
	in_force(&w, make_set(KEEP, other, ca));
	want_event(&w, "credential.revoked", "unknown-key", "kept");
	in_force(&w, make_set(KEEP, other, ca));
	want_nothing(&w);
	assert_false(w.leg->ending);
	/* It comes back, and leaves again: that is news. */
	in_force(&w, make_set(KEEP, alice, ca));
	want_nothing(&w);
	in_force(&w, make_set(KEEP, other, ca));
	want_event(&w, "credential.revoked", "unknown-key", "kept");
	in_force(&w, make_set(CLOSE_REVOKED, other, ca));
	want_event(&w, "credential.revoked", "unknown-key", "closed");
	want_end(&w, REVOKED_LINE);
	in_force(&w, make_set(CLOSE_REVOKED, other, ca));
	want_nothing(&w);
	done(&w);
}

static void
test_a_ca_that_leaves(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_EXPIRED); /* which is about something else */
	open_by_cert(&w);
	in_force(&w, make_set(CLOSE_EXPIRED, alice, other_ca));
	want_event(&w, "credential.revoked", "unknown-ca", "kept");
	want_nothing(&w);
	in_force(&w, make_set(CLOSE_REVOKED, alice, other_ca));
	want_event(&w, "credential.revoked", "unknown-ca", "closed");
	want_end(&w, REVOKED_LINE);
	done(&w);
}

static void
test_a_list_of_revoked_ones(void **state)
{
	struct world w;
	struct set *set;

	(void)state;
	start(&w, CLOSE_REVOKED);
	open_by_cert(&w);
	set = make_set(CLOSE_REVOKED, alice, ca);
	revoke(set, SERIAL + 1);
	in_force(&w, set);
	want_nothing(&w);
	set = make_set(CLOSE_REVOKED, alice, ca);
	revoke(set, SERIAL);
	in_force(&w, set);
	want_event(&w, "credential.revoked", "revoked", "closed");
	want_end(&w, REVOKED_LINE);
	want_nothing(&w);
	done(&w);
}

/* Time is on_expiry's: on_revoked ends nothing that has only expired. */
static void
test_what_has_expired_is_not_revoked(void **state)
{
	struct world w;

	(void)state;
	start(&w, CLOSE_REVOKED);
	open_by_cert(&w);
	later(&w, VALID_S);
	want_event(&w, "certificate.expired", "expired", "kept");
	in_force(&w, make_set(CLOSE_REVOKED, alice, ca));
	want_nothing(&w);
	assert_false(w.leg->ending);
	done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_said_before_it_expires),
		cmocka_unit_test(test_a_key_does_not_expire),
		cmocka_unit_test(test_keep_says_it_once_and_ends_nothing),
		cmocka_unit_test(test_close_ends_it_once),
		cmocka_unit_test(test_a_new_policy_ends_what_the_old_one_kept),
		cmocka_unit_test(test_a_clock_that_is_set_is_seen),
		cmocka_unit_test(test_a_reload_that_changes_nothing_says_nothing),
		cmocka_unit_test(test_a_key_that_leaves),
		cmocka_unit_test(test_a_ca_that_leaves),
		cmocka_unit_test(test_a_list_of_revoked_ones),
		cmocka_unit_test(test_what_has_expired_is_not_revoked),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
