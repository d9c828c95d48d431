/* Messages that no honest front sends, on each of its edges: out of order, of the other direction, unknown, too long, with descriptors. */
#include "config.h"

#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "keys/keys_proto.h"
#include "policy/policy_proto.h"
#include "tests/hostile/hostile.h"

#define FLOOD 5000 /* messages */

/* One message. head: what its header says of descriptors, where it differs. */
struct rubbish {
	int edge;
	uint16_t type;
	size_t len;
	int n_fds;
	uint16_t said_fds;
	bool ungreeted; /* before the hello */
};

static uint8_t bytes[IPC_MAX + 1024];

static int
rubbish(struct hostile *h, const struct h_mode *m)
{
	const struct rubbish *b = m->arg;

	if (h_front(h, &h->front) != 0)
		return -1;
	if (!b->ungreeted)
		h_greet(&h->front);
	h_raw(h->front.fd[b->edge], b->type, b->said_fds, bytes, b->len, b->n_fds);
	/* The broker kills at once; after the others' word it says so first. */
	if (b->edge == H_BROKER)
		return h_want_killed(h, &h->front);
	if (b->ungreeted && ipc_plain_hello(h->front.fd[H_BROKER]) != 0)
		return h_fail(h, "no hello to the broker");
	if (h_want_cut(h, h->front.fd[b->edge], b->edge == H_KEYS ? KEYS_SIGNED : POL_AUTH_REPLY) !=
	    0)
		return -1;
	return h_want_ended(h, &h->front);
}

/* Many of them before anybody looks at one. */
static int
flood(struct hostile *h, const struct h_mode *m)
{
	const struct rubbish *b = m->arg;

	if (h_front(h, &h->front) != 0)
		return -1;
	h_greet(&h->front);
	for (int i = 0; i < FLOOD; i++)
		h_raw(h->front.fd[b->edge], b->type, 0, bytes, b->len, 0);
	return h_want_killed(h, &h->front);
}

/* A name that is wanted, and something behind it. */
static int
jump_with_tail(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	h_say(h->front.fd[H_BROKER], BRK_FRONT_JUMP, 1, "\0\0\0\2h1\0\0\0\26+", 11);
	return h_want_killed(h, &h->front);
}

/* ---- login requests out of turn */

static struct buf *
wrong_login(const struct hostile *h)
{
	const struct h_login l = { .user = "eve", .key = "bob", .sid = h->front.sid };

	return h_request(h, &l);
}

/* arg: how many more than one. */
static int
while_one_is_outstanding(struct hostile *h, const struct h_mode *m)
{
	const int *more = m->arg;
	struct buf *b;

	if (h_known(h, &h->front) != 0)
		return -1;
	b = wrong_login(h);
	for (int i = 0; i <= *more; i++)
		h_say(h->front.fd[H_POLICY], POL_AUTH_REQUEST, 0, buf_ptr(b), buf_len(b));
	buf_free(b);
	if (h_want_cut(h, h->front.fd[H_POLICY], POL_AUTH_REPLY) != 0)
		return -1;
	return h_want_ended(h, &h->front);
}

static int
after_success(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	h_say(h->front.fd[H_POLICY], POL_AUTH_REQUEST, 0, buf_ptr(h->front.login),
	    buf_len(h->front.login));
	if (h_want_cut(h, h->front.fd[H_POLICY], POL_AUTH_REPLY) != 0)
		return -1;
	return h_want_ended(h, &h->front);
}

/* Policy has said that this is over. */
static int
after_close(struct hostile *h, const struct h_mode *m)
{
	const struct h_login l = { .user = "eve", .key = "eve", .sid = h->front.sid };
	struct buf *b;
	uint8_t answer = 0;
	int r;

	(void)m;
	if (h_known(h, &h->front) != 0)
		return -1;
	h_say(h->front.fd[H_POLICY], POL_AUTH_REQUEST, 0, "\62", 1);
	b = h_request(h, &l);
	r = h_ask(h, &h->front, b, &answer);
	if (r == 0 && answer != POL_AUTH_CLOSE)
		r = h_fail(h, "a malformed request was answered %u", answer);
	if (r == 0)
		h_say(h->front.fd[H_POLICY], POL_AUTH_REQUEST, 0, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r != 0 ? r : h_want_ended(h, &h->front);
}

/* It tells policy and the broker what only they may say. */
static int
claims(struct hostile *h, const struct h_mode *m)
{
	static const uint8_t success[] = { POL_AUTH_SUCCESS, 0, 0, 0, 3, 'e', 'v', 'e', 0, 0, 0, 2,
		'h', '1', 0, 0, 0, 1, 'r', 0, 0, 0, 0 };

	if (h_known(h, &h->front) != 0)
		return -1;
	if (m->arg == NULL) {
		h_say(h->front.fd[H_POLICY], POL_AUTH_REPLY, 0, success, sizeof(success));
		return h_want_ended(h, &h->front);
	}
	h_say(h->front.fd[H_BROKER], POL_AUTHENTICATED, h->front.id, "\0\0\0\3eve", 7);
	return h_want_killed(h, &h->front);
}

static const int one = 1, many = FLOOD;

#define BROKER(...) (&(const struct rubbish){ .edge = H_BROKER, __VA_ARGS__ })
#define POLICY(...) (&(const struct rubbish){ .edge = H_POLICY, __VA_ARGS__ })
#define KEYS(...) (&(const struct rubbish){ .edge = H_KEYS, __VA_ARGS__ })
#define LIE "front.alarm", "rules-broken", true
#define KEYS_LIE "keys.alarm", "no request for a signature", true

const struct h_mode h_edge_modes[] = {
	{ "broker-unknown", LIE, rubbish, BROKER(.type = 999) },
	{ "broker-other-direction", LIE, rubbish, BROKER(.type = BRK_FRONT_START, .len = 64) },
	{ "broker-link-of-its-own", LIE, rubbish,
	    BROKER(.type = BRK_FRONT_LINK, .n_fds = 1, .said_fds = 1) },
	{ "broker-too-short", LIE, rubbish, BROKER(.type = BRK_FRONT_JUMP, .len = 7) },
	{ "broker-too-long", LIE, rubbish, BROKER(.type = BRK_FRONT_SHELL, .len = 1) },
	{ "broker-oversized", LIE, rubbish, BROKER(.type = BRK_FRONT_JUMP, .len = sizeof(bytes)) },
	{ "broker-descriptors", LIE, rubbish,
	    BROKER(.type = BRK_FRONT_SHELL, .n_fds = 2, .said_fds = 2) },
	{ "broker-hidden-descriptors", LIE, rubbish, BROKER(.type = BRK_FRONT_SHELL, .n_fds = 1) },
	{ "broker-many-descriptors", LIE, rubbish,
	    BROKER(.type = BRK_FRONT_SHELL, .n_fds = 8, .said_fds = 8) },
	{ "broker-missing-descriptors", LIE, rubbish,
	    BROKER(.type = BRK_FRONT_SHELL, .said_fds = 1) },
	{ "broker-before-hello", LIE, rubbish, BROKER(.type = BRK_FRONT_SHELL, .ungreeted = true) },
	{ "broker-other-version", LIE, rubbish,
	    BROKER(.type = IPC_HELLO, .len = 32, .ungreeted = true) },
	{ "broker-second-hello", LIE, rubbish, BROKER(.type = IPC_HELLO, .len = 32) },
	{ "broker-jump-tail", LIE, jump_with_tail, NULL },
	{ "broker-flood", "front.alarm", "", true, flood, BROKER(.type = BRK_FRONT_SHELL) },
	{ "policy-unknown", LIE, rubbish, POLICY(.type = 999) },
	{ "policy-other-direction", LIE, rubbish, POLICY(.type = POL_AUTH_REPLY, .len = 2) },
	{ "policy-empty", LIE, rubbish, POLICY(.type = POL_AUTH_REQUEST) },
	{ "policy-oversized", LIE, rubbish, POLICY(.type = POL_AUTH_REQUEST, .len = 35001) },
	{ "policy-huge", LIE, rubbish, POLICY(.type = POL_AUTH_REQUEST, .len = sizeof(bytes)) },
	{ "policy-descriptors", LIE, rubbish,
	    POLICY(.type = POL_AUTH_REQUEST, .len = 9, .n_fds = 1, .said_fds = 1) },
	{ "policy-missing-descriptors", LIE, rubbish,
	    POLICY(.type = POL_AUTH_REQUEST, .len = 9, .said_fds = 1) },
	{ "policy-before-hello", LIE, rubbish,
	    POLICY(.type = POL_AUTH_REQUEST, .len = 9, .ungreeted = true) },
	{ "policy-as-the-vault", LIE, rubbish, POLICY(.type = POL_SESSION_ID, .len = 32) },
	{ "policy-as-the-broker", LIE, rubbish, POLICY(.type = POL_CONN_GONE) },
	{ "policy-as-pam", LIE, rubbish, POLICY(.type = POL_PAM_RESULT, .len = 30) },
	{ "policy-abandons-nothing", LIE, rubbish, POLICY(.type = POL_AUTH_ABANDON) },
	{ "policy-second-request", LIE, while_one_is_outstanding, &one },
	{ "policy-flood", LIE, while_one_is_outstanding, &many },
	{ "policy-after-success", LIE, after_success, NULL },
	{ "policy-after-close", LIE, after_close, NULL },
	{ "claims-success-to-policy", LIE, claims, NULL },
	{ "claims-success-to-the-broker", LIE, claims, "broker" },
	{ "vault-unknown", KEYS_LIE, rubbish, KEYS(.type = 999) },
	{ "vault-other-direction", KEYS_LIE, rubbish, KEYS(.type = KEYS_SIGNED, .len = 64) },
	{ "vault-as-bastionctl", KEYS_LIE, rubbish, KEYS(.type = KEYS_ADM_LIST) },
	{ "vault-as-the-broker", KEYS_LIE, rubbish, KEYS(.type = KEYS_FRONT_IN) },
	{ "vault-oversized", KEYS_LIE, rubbish, KEYS(.type = KEYS_SIGN, .len = sizeof(bytes)) },
	{ "vault-descriptors", KEYS_LIE, rubbish,
	    KEYS(.type = KEYS_SIGN, .len = 32, .n_fds = 1, .said_fds = 1) },
	{ "vault-before-hello", KEYS_LIE, rubbish,
	    KEYS(.type = KEYS_SIGN, .len = 32, .ungreeted = true) },
	{ NULL, NULL, NULL, false, NULL, NULL },
};
