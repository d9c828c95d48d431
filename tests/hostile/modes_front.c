/* Lies of a front about who somebody is, about what is to be signed, and about what it may ask for. */
#include "config.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "keys/keys_front.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "policy/policy_proto.h"
#include "tests/hostile/hostile.h"

#define FLOOD 100	  /* signatures asked for at once */
#define JUMPS_REFUSED 100 /* after so many a connection ends (WIRING_JUMPS_REFUSED_MAX) */

/* ---- evidence: what a client could have sent as well is denied, and is no alarm */

static int
want_answer(struct hostile *h, const struct buf *request, uint8_t want)
{
	uint8_t answer = 0;

	if (h_ask(h, &h->front, request, &answer) != 0)
		return -1;
	if (answer != want)
		return h_fail(h, "the lie was answered %u", answer);
	return h_want_quiet(h, h->front.fd[H_BROKER], BRK_FRONT_LINK);
}

static int
want_denied(struct hostile *h, const struct h_login *l)
{
	struct buf *b = h_request(h, l);
	int r = want_answer(h, b, POL_AUTH_FAILURE);

	buf_free(b);
	return r;
}

/* Signed as eve, said to be signed for somebody else. arg: their name. */
static int
other_user(struct hostile *h, const struct h_mode *m)
{
	const struct h_login l = {
		.user = m->arg, .signed_user = "eve", .key = "eve", .sid = h->front.sid
	};

	return h_known(h, &h->front) != 0 ? -1 : want_denied(h, &l);
}

/* Bob's name, and for him eve's key, which has signed just that. */
static int
other_key(struct hostile *h, const struct h_mode *m)
{
	const struct h_login l = { .user = m->arg, .key = "eve", .sid = h->front.sid };

	return h_known(h, &h->front) != 0 ? -1 : want_denied(h, &l);
}

/* What a client signed for another connection, which is open too. */
static int
other_session(struct hostile *h, const struct h_mode *m)
{
	const struct h_login l = { .user = "eve", .key = "eve", .sid = h->other.sid };

	(void)m;
	return h_known(h, &h->other) != 0 || h_known(h, &h->front) != 0 ? -1 : want_denied(h, &l);
}

/* An earlier connection of the same person has logged in and is over; what was seen of it is kept. */
static int
earlier_login(struct hostile *h)
{
	if (h_log_in(h, &h->other, NULL) != 0)
		return -1;
	for (int i = 0; i < PUPPET_FDS_MAX; i++)
		fd_close(&h->other.fd[i]);
	return 0;
}

static int
replayed_login(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (earlier_login(h) != 0 || h_known(h, &h->front) != 0)
		return -1;
	return want_answer(h, h->other.login, POL_AUTH_FAILURE);
}

/* With the exchange hash of then, for which its signature would hold. */
static int
replayed_session(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (earlier_login(h) != 0 || h_front(h, &h->front) != 0)
		return -1;
	h_greet(&h->front);
	h_say(h->front.fd[H_KEYS], KEYS_SIGN, 0, h->other.sid, sizeof(h->other.sid));
	return h_want_cut(h, h->front.fd[H_KEYS], KEYS_SIGNED);
}

static int
no_exchange(struct hostile *h, const struct h_mode *m)
{
	struct h_login l = { .user = "eve", .key = "eve", .sid = h->front.sid };
	struct buf *b;
	int r;

	(void)m;
	if (h_front(h, &h->front) != 0)
		return -1;
	h_greet(&h->front);
	randombytes_buf(h->front.sid, sizeof(h->front.sid));
	b = h_request(h, &l);
	r = want_answer(h, b, POL_AUTH_CLOSE);
	buf_free(b);
	return r != 0 ? r : h_want_ended(h, &h->front);
}

/* ---- the host key */

static void
sign_fresh(struct side *s)
{
	uint8_t hash[32];

	randombytes_buf(hash, sizeof(hash));
	h_say(s->fd[H_KEYS], KEYS_SIGN, 0, hash, sizeof(hash));
}

static int
want_unsigned(struct hostile *h)
{
	if (h_want_cut(h, h->front.fd[H_KEYS], KEYS_SIGNED) != 0)
		return -1;
	return h_want_ended(h, &h->front);
}

static int
second_session(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_known(h, &h->front) != 0)
		return -1;
	sign_fresh(&h->front);
	return want_unsigned(h);
}

/* All at once: it gets some of its burst, and no more. */
static int
signature_flood(struct hostile *h, const struct h_mode *m)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	unsigned n = 0;
	struct ipc_msg msg;

	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	for (int i = 0; i < FLOOD; i++)
		sign_fresh(&h->front);
	while (ipc_plain_recv(h->front.fd[H_KEYS], space, &msg, H_WAIT_MS) == 0)
		n++;
	if (n > KEYS_REKEY_BURST)
		return h_fail(h, "it got %u signatures", n);
	return h_want_ended(h, &h->front);
}

/* One after the other: no lie that anybody could see, but one each two seconds. */
static int
rekeys_without_end(struct hostile *h, const struct h_mode *m)
{
	uint64_t end = clock_boot_ns() + 2 * KEYS_REKEY_EVERY_NS;
	struct ipc_msg msg;
	unsigned n = 0;

	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	while (clock_boot_ns() < end) {
		sign_fresh(&h->front);
		if (h_want(h, h->front.fd[H_KEYS], KEYS_SIGNED, &msg) != 0)
			return -1;
		n++;
	}
	return n <= KEYS_REKEY_BURST + 3 ? 0 : h_fail(h, "it got %u signatures", n);
}

/* A request to log in somewhere, to be signed as an exchange hash. arg: as long as one, or as it is. */
static int
sign_a_login(struct hostile *h, const struct h_mode *m)
{
	const struct h_login l = { .user = "root", .key = "eve", .sid = h->front.sid };
	struct buf *b;

	(void)m;
	if (h_front(h, &h->front) != 0)
		return -1;
	h_greet(&h->front);
	b = h_request(h, &l);
	h_say(h->front.fd[H_KEYS], KEYS_SIGN, 0, buf_ptr(b), m->arg != NULL ? 33 : buf_len(b));
	buf_free(b);
	return want_unsigned(h);
}

static int
sign_twice(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	h_say(h->front.fd[H_KEYS], KEYS_SIGN, 0, h->front.sid, sizeof(h->front.sid));
	return want_unsigned(h);
}

/* As a rekey, the session id of a connection that is open. */
static int
sign_anothers(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_known(h, &h->other) != 0 || h_log_in(h, &h->front, NULL) != 0)
		return -1;
	h_say(h->front.fd[H_KEYS], KEYS_SIGN, 0, h->other.sid, sizeof(h->other.sid));
	return want_unsigned(h);
}

/* It hears that it is over, and stays. */
static int
stays(struct hostile *h, const struct h_mode *m)
{
	if (sign_twice(h, m) != 0)
		return -1;
	return h_want_killed(h, &h->front);
}

/* ---- what it may ask for */

static void
jump(const struct hostile *h, struct side *s, uint32_t id, const char *host)
{
	struct buf *b = buf_new(300);

	if (b != NULL && buf_put_cstr(b, host) == 0 && buf_put_u32(b, h->host_port) == 0)
		h_say(s->fd[H_BROKER], BRK_FRONT_JUMP, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

static void
shell(struct side *s, uint32_t id)
{
	h_say(s->fd[H_BROKER], BRK_FRONT_SHELL, id, NULL, 0);
}

static int
jump_first(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_known(h, &h->front) != 0)
		return -1;
	jump(h, &h->front, 1, "h1");
	return h_want_ended(h, &h->front);
}

static int
shell_first(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_known(h, &h->front) != 0)
		return -1;
	shell(&h->front, 0);
	return h_want_ended(h, &h->front);
}

/* Offered is not proved. */
static int
shell_after_offer(struct hostile *h, const struct h_mode *m)
{
	const struct h_login offer = { .user = "eve" };
	struct buf *b = h_request(h, &offer);
	int r = h_known(h, &h->front);

	(void)m;
	if (r == 0)
		r = want_answer(h, b, POL_AUTH_PK_OK);
	buf_free(b);
	if (r != 0)
		return r;
	shell(&h->front, 0);
	return h_want_ended(h, &h->front);
}

/* While somebody else is logged in, and with the number of that one's connection. */
static int
in_anothers_name(struct hostile *h, const struct h_mode *m)
{
	if (h_log_in(h, &h->other, NULL) != 0 || h_known(h, &h->front) != 0)
		return -1;
	if (m->arg != NULL)
		shell(&h->front, h->other.id);
	else
		jump(h, &h->front, h->other.id, "h1");
	if (h_want_ended(h, &h->front) != 0)
		return -1;
	/* The other one hears of none of it. */
	if (h_want_quiet(h, h->other.fd[H_BROKER], BRK_FRONT_CLOSE) != 0)
		return -1;
	return h_want_quiet(h, h->other.fd[H_BROKER], BRK_FRONT_JUMPED);
}

/* Who is logged in to a host asks for more than that. */
static int
beyond_its_host(struct hostile *h, const struct h_mode *m)
{
	if (h_leg(h, &h->front, "h1", &h->back) != 0)
		return -1;
	if (m->arg != NULL)
		shell(&h->front, 0);
	else
		jump(h, &h->front, 1, "h2");
	return h_want_ended(h, &h->front);
}

static int
shell_twice(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	shell(&h->front, 0);
	shell(&h->front, 0);
	return h_want_killed(h, &h->front);
}

/* The front behind a jump jumps on. */
static int
jump_from_jump(struct hostile *h, const struct h_mode *m)
{
	if (h_log_in(h, &h->other, NULL) != 0)
		return -1;
	jump(h, &h->other, 1, "h1");
	if (h_nested(h, &h->front) != 0)
		return -1;
	h_greet(&h->front);
	if (m->arg != NULL)
		shell(&h->front, 0);
	else
		jump(h, &h->front, 1, "h2");
	if (h_want_killed(h, &h->front) != 0)
		return -1;
	return h_want_quiet(h, h->other.fd[H_BROKER], BRK_FRONT_CLOSE);
}

/* Hosts that there are not, as fast as the answers come. */
static int
jump_flood(struct hostile *h, const struct h_mode *m)
{
	struct ipc_msg msg;

	(void)m;
	if (h_log_in(h, &h->front, NULL) != 0)
		return -1;
	for (uint32_t i = 1; i < JUMPS_REFUSED; i++) {
		jump(h, &h->front, i, "nowhere");
		if (h_want(h, h->front.fd[H_BROKER], BRK_FRONT_JUMP_REFUSED, &msg) != 0)
			return -1;
	}
	jump(h, &h->front, JUMPS_REFUSED, "nowhere");
	return h_want_ended(h, &h->front);
}

#define DENIED "auth.denied", "bad-signature", false

const struct h_mode h_front_modes[] = {
	{ "other-user", "auth.denied", "", false, other_user, "bob" },
	{ "longer-user", DENIED, other_user, "eve+" },
	{ "other-user-with-host", "auth.denied", "", false, other_user, "bob+root+h1" },
	{ "other-key", "auth.denied", "", false, other_key, "bob" },
	{ "other-session", DENIED, other_session, NULL },
	{ "replayed-login", DENIED, replayed_login, NULL },
	{ "replayed-session", "keys.alarm", "used before", true, replayed_session, NULL },
	{ "no-exchange", "front.alarm", "no-session-id", true, no_exchange, NULL },
	{ "second-session", "keys.alarm", "second signature before its login", true, second_session,
	    NULL },
	{ "signature-flood", "keys.alarm", "while another one was due", true, signature_flood,
	    NULL },
	{ "rekeys-without-end", "-", "", false, rekeys_without_end, NULL },
	{ "sign-a-login", "keys.alarm", "no request for a signature", true, sign_a_login, NULL },
	{ "sign-part-of-a-login", "keys.alarm", "not an exchange hash", true, sign_a_login, "cut" },
	{ "sign-twice", "keys.alarm", "used before", true, sign_twice, NULL },
	{ "sign-anothers", "keys.alarm", "used before", true, sign_anothers, NULL },
	{ "stays-after-an-alarm", "keys.alarm", "used before", true, stays, NULL },
	{ "jump-before-login", "front.alarm", "not-logged-in", true, jump_first, NULL },
	{ "shell-before-login", "front.alarm", "not-logged-in", true, shell_first, NULL },
	{ "shell-after-offer", "front.alarm", "not-logged-in", true, shell_after_offer, NULL },
	{ "jump-in-anothers-name", "front.alarm", "not-logged-in", true, in_anothers_name, NULL },
	{ "shell-in-anothers-name", "front.alarm", "not-logged-in", true, in_anothers_name,
	    "shell" },
	{ "jump-with-a-host", "front.alarm", "not-logged-in", true, beyond_its_host, NULL },
	{ "shell-with-a-host", "front.alarm", "not-logged-in", true, beyond_its_host, "shell" },
	{ "shell-twice", "front.alarm", "rules-broken", true, shell_twice, NULL },
	{ "jump-from-a-jump", "front.alarm", "rules-broken", true, jump_from_jump, NULL },
	{ "shell-from-a-jump", "front.alarm", "rules-broken", true, jump_from_jump, "shell" },
	{ "jump-flood", "jump.denied", "unknown-host", false, jump_flood, NULL },
	{ NULL, NULL, NULL, false, NULL, NULL },
};
