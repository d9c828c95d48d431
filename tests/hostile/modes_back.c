/* Lies of a back to the vault: whose host that is, what is to be signed, and what an agent does; and to the broker. */
#include "config.h"

#include <sys/socket.h>

#include <sodium.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "lib/file.h"
#include "recorder/link_proto.h"
#include "tests/hostile/hostile.h"

#define AGENT_FAILURE 5
#define AGENT_SUCCESS 6
#define AGENT_SIGN_RESPONSE 14

static int
leg(struct hostile *h)
{
	if (h_leg(h, &h->front, "h1", &h->back) != 0)
		return -1;
	randombytes_buf(h->back.sid, sizeof(h->back.sid));
	return 0;
}

/* A failure, or nothing, and the edge ends. Who is in front of it is let alone. */
static int
want_refused(struct hostile *h, int answer)
{
	if (answer != AGENT_FAILURE && answer != 0)
		return h_fail(h, "the lie was answered %d", answer);
	if (answer != 0 && h_agent_answer(h->back.fd[H_AGENT]) != 0)
		return h_fail(h, "the agent goes on");
	return h_want_quiet(h, h->front.fd[H_BROKER], BRK_FRONT_CLOSE);
}

/* ---- the host's proof */

static int
false_proof(struct hostile *h, const struct h_mode *m)
{
	struct h_bind b = *(const struct h_bind *)m->arg;

	if (leg(h) != 0)
		return -1;
	b.sid = h->back.sid;
	return want_refused(h, h_agent_bind(h, &h->back, &b));
}

static int
bind_honestly(struct hostile *h, struct side *back, const char *host)
{
	const struct h_bind b = { .host = host, .sid = back->sid };

	return h_agent_bind(h, back, &b) == AGENT_SUCCESS
		   ? 0
		   : h_fail(h, "an honest proof was not taken");
}

/* The proof of another leg, to the same host. */
static int
anothers_proof(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (h_leg(h, &h->other, "h1", &h->other_back) != 0)
		return -1;
	randombytes_buf(h->other_back.sid, sizeof(h->other_back.sid));
	if (bind_honestly(h, &h->other_back, "h1") != 0 || leg(h) != 0)
		return -1;
	memcpy(h->back.sid, h->other_back.sid, sizeof(h->back.sid));
	return want_refused(h,
	    h_agent_bind(h, &h->back, &(const struct h_bind){ .host = "h1", .sid = h->back.sid }));
}

/* The session id of the person's own connection: then the host could log in as they do. */
static int
fronts_session(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (leg(h) != 0)
		return -1;
	return want_refused(h,
	    h_agent_bind(h, &h->back, &(const struct h_bind){ .host = "h1", .sid = h->front.sid }));
}

static int
second_proof(struct hostile *h, const struct h_mode *m)
{
	uint8_t sid[32];

	(void)m;
	randombytes_buf(sid, sizeof(sid));
	if (leg(h) != 0 || bind_honestly(h, &h->back, "h1") != 0)
		return -1;
	return want_refused(
	    h, h_agent_bind(h, &h->back, &(const struct h_bind){ .host = "h1", .sid = sid }));
}

/* ---- signatures */

static int
sign(struct hostile *h, const struct h_signing *s)
{
	struct h_signing all = *s;
	uint8_t key[H_BLOB], eve[H_BLOB], sk[64];

	if (h_agent_key(h, &h->back, key) != 0)
		return -1;
	h_key(h, "eve", sk, eve);
	all.outer = s->outer != NULL ? eve : key;
	all.inner = s->inner != NULL ? eve : key;
	return h_agent_sign(h, &h->back, &all);
}

static int
unbound(struct hostile *h, const struct h_mode *m)
{
	(void)m;
	if (leg(h) != 0)
		return -1;
	return want_refused(h, sign(h, &(const struct h_signing){ 0 }));
}

static const uint8_t other_sid[32] = "another session than the bound o";

/* Bound as it should be, and then something else than its login. */
static int
other_login(struct hostile *h, const struct h_mode *m)
{
	if (leg(h) != 0 || bind_honestly(h, &h->back, "h1") != 0)
		return -1;
	return want_refused(h, sign(h, m->arg));
}

/* The right one first: that it is given shows that the others are refused for what they are. */
static int
second_signature(struct hostile *h, const struct h_mode *m)
{
	const struct h_signing right = { 0 };

	if (leg(h) != 0 || bind_honestly(h, &h->back, "h1") != 0)
		return -1;
	if (sign(h, &right) != AGENT_SIGN_RESPONSE)
		return h_fail(h, "an honest login was not signed");
	return want_refused(h, m->arg == NULL ? sign(h, &right) : sign(h, m->arg));
}

/* Bytes that are no login at all: arg, as SSH_AGENTC_SIGN_REQUEST has them. */
static int
sign_bytes(struct hostile *h, const struct h_mode *m)
{
	struct buf *b = buf_new(1024);
	uint8_t key[H_BLOB];
	int r = -1;

	if (b != NULL && leg(h) == 0 && bind_honestly(h, &h->back, "h1") == 0 &&
	    h_agent_key(h, &h->back, key) == 0 && buf_put_u8(b, 13) == 0 &&
	    buf_put_str(b, key, sizeof(key)) == 0 && buf_put_cstr(b, m->arg) == 0 &&
	    buf_put_u32(b, 0) == 0) {
		h_agent_send(h->back.fd[H_AGENT], b);
		r = want_refused(h, h_agent_answer(h->back.fd[H_AGENT]));
	}
	buf_free(b);
	return r;
}

/* The session has ended meanwhile. Nothing answers any more; nobody can tell this from being late. */
static int
after_the_end(struct hostile *h, const struct h_mode *m)
{
	struct ipc_msg msg;

	(void)m;
	if (leg(h) != 0 || ipc_plain_hello(h->front.link) != 0 ||
	    ipc_plain_hello(h->back.fd[H_LINK]) != 0 || bind_honestly(h, &h->back, "h1") != 0)
		return -1;
	h_say(h->front.link, LINK_END, 0, "\1\0\0\0\3bye", 8);
	h_say(h->back.fd[H_LINK], LINK_END, 0, "\1\0\0\0\3bye", 8);
	if (h_want(h, h->front.link, LINK_END, &msg) != 0 ||
	    h_want(h, h->back.fd[H_LINK], LINK_END, &msg) != 0)
		return -1;
	fd_close(&h->front.link);
	fd_close(&h->back.fd[H_LINK]);
	if (h_agent_answer(h->back.fd[H_AGENT]) != 0)
		return h_fail(h, "the agent outlives the session");
	return 0;
}

/* ---- what an agent must not do */

static int
agent_message(struct hostile *h, const struct h_mode *m)
{
	const uint8_t *type = m->arg;
	struct buf *b = buf_new(256);
	uint8_t blob[H_BLOB], sk[64];
	int r = -1;

	h_key(h, "eve", sk, blob);
	if (b != NULL && leg(h) == 0 && buf_put_u8(b, *type) == 0 &&
	    buf_put_str(b, blob, sizeof(blob)) == 0) {
		h_agent_send(h->back.fd[H_AGENT], b);
		r = want_refused(h, h_agent_answer(h->back.fd[H_AGENT]));
	}
	buf_free(b);
	return r;
}

static int
other_extension(struct hostile *h, const struct h_mode *m)
{
	struct buf *b = buf_new(256);
	int r = -1;

	if (b != NULL && leg(h) == 0 && buf_put_u8(b, 27) == 0 && buf_put_cstr(b, m->arg) == 0) {
		h_agent_send(h->back.fd[H_AGENT], b);
		r = want_refused(h, h_agent_answer(h->back.fd[H_AGENT]));
	}
	buf_free(b);
	return r;
}

static int
agent_flood(struct hostile *h, const struct h_mode *m)
{
	static const uint8_t list[] = { 0, 0, 0, 1, 11 };
	int answer;

	(void)m;
	if (leg(h) != 0)
		return -1;
	for (int i = 0; i < 1000; i++)
		if (send(h->back.fd[H_AGENT], list, sizeof(list), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	while ((answer = h_agent_answer(h->back.fd[H_AGENT])) == 12)
		;
	return want_refused(h, answer);
}

/* arg: the four bytes of a length. */
static int
agent_length(struct hostile *h, const struct h_mode *m)
{
	if (leg(h) != 0)
		return -1;
	if (send(h->back.fd[H_AGENT], m->arg, 4, MSG_NOSIGNAL) != 4)
		return h_fail(h, "the agent is not there");
	return want_refused(h, h_agent_answer(h->back.fd[H_AGENT]));
}

/* ---- the broker, to which a back has nothing to say */

struct speech {
	uint16_t type;
	size_t len;
	int n_fds;
};

static int
speaks(struct hostile *h, const struct h_mode *m)
{
	static uint8_t bytes[IPC_MAX + 1024];
	const struct speech *s = m->arg;

	if (leg(h) != 0)
		return -1;
	h_raw(h->back.fd[H_BROKER], s->type, (uint16_t)s->n_fds, bytes, s->len, s->n_fds);
	if (h_want_killed(h, &h->back) != 0)
		return -1;
	return h_want_quiet(h, h->front.fd[H_BROKER], BRK_FRONT_CLOSE);
}

#define LIE(says) "keys.alarm", says, false
#define BIND(...) (&(const struct h_bind){ __VA_ARGS__ })
#define SIGN(...) (&(const struct h_signing){ __VA_ARGS__ })
#define SPEECH(...) (&(const struct speech){ __VA_ARGS__ })
#define BROKER_LIE "back.alarm", "rules-broken", false
#define TYPE(n) (&(const uint8_t){ n })

const struct h_mode h_back_modes[] = {
	{ "other-host", LIE("not pinned"), false_proof, BIND(.host = "h2") },
	{ "unknown-host", LIE("not pinned"), false_proof, BIND(.host = "eve") },
	{ "false-proof", LIE("does not verify"), false_proof, BIND(.host = "h1", .signer = "h2") },
	{ "forwarded-proof", LIE("forwarding"), false_proof, BIND(.host = "h1", .forwarding = 1) },
	{ "proof-with-tail", LIE("does not parse"), false_proof, BIND(.host = "h1", .tail = true) },
	{ "proof-of-another-leg", LIE("used before"), anothers_proof, NULL },
	{ "proof-over-the-fronts-session", LIE("used before"), fronts_session, NULL },
	{ "second-proof", LIE("second binding"), second_proof, NULL },
	{ "signature-without-proof", LIE("before the host's proof"), unbound, NULL },
	{ "sign-other-session", LIE("another session id"), other_login, SIGN(.sid = other_sid) },
	{ "sign-other-user", LIE("another user"), other_login, SIGN(.user = "somebody") },
	{ "sign-other-service", LIE("another service"), other_login,
	    SIGN(.service = "ssh-userauth") },
	{ "sign-other-method", LIE("another method"), other_login, SIGN(.method = "hostbased") },
	{ "sign-hostbound", LIE("another method"), other_login,
	    SIGN(.method = "publickey-hostbound-v00@openssh.com") },
	{ "sign-other-algorithm", LIE("another algorithm"), other_login, SIGN(.alg = "ssh-rsa") },
	{ "sign-flags", LIE("flags"), other_login, SIGN(.flags = 4) },
	{ "sign-by-other-key", LIE("another key than"), other_login, SIGN(.outer = other_sid) },
	{ "sign-for-other-key", LIE("another key inside"), other_login, SIGN(.inner = other_sid) },
	{ "sign-with-tail", LIE("not a userauth request"), other_login, SIGN(.tail = true) },
	{ "sign-bytes", LIE("not a userauth request"), sign_bytes, "any bytes" },
	{ "sign-a-hash", LIE("not a userauth request"), sign_bytes,
	    "as long as an exchange hash is, 32" },
	{ "sign-an-sshsig", LIE("not a userauth request"), sign_bytes, "SSHSIG" },
	{ "second-signature", LIE("second signature"), second_signature, NULL },
	{ "second-signature-other-user", LIE("second signature"), second_signature,
	    SIGN(.user = "somebody") },
	{ "signature-after-the-end", "-", "", false, after_the_end, NULL },
	{ "agent-add", LIE("does not have"), agent_message, TYPE(17) },
	{ "agent-remove", LIE("does not have"), agent_message, TYPE(18) },
	{ "agent-remove-all", LIE("does not have"), agent_message, TYPE(19) },
	{ "agent-add-smartcard", LIE("does not have"), agent_message, TYPE(20) },
	{ "agent-lock", LIE("does not have"), agent_message, TYPE(22) },
	{ "agent-unlock", LIE("does not have"), agent_message, TYPE(23) },
	{ "agent-add-constrained", LIE("does not have"), agent_message, TYPE(25) },
	{ "agent-as-the-agent", LIE("does not have"), agent_message, TYPE(14) },
	{ "agent-extension", LIE("another extension"), other_extension, "query" },
	{ "agent-restrict", LIE("another extension"), other_extension,
	    "restrict-destination-v00@openssh.com" },
	{ "agent-flood", LIE("more requests"), agent_flood, NULL },
	{ "agent-long-length", LIE("impossible length"), agent_length, "\0\1\0\0" },
	{ "agent-longest-length", LIE("impossible length"), agent_length, "\377\377\377\377" },
	{ "agent-no-length", LIE("impossible length"), agent_length, "\0\0\0\0" },
	{ "back-to-the-broker", BROKER_LIE, speaks, SPEECH(.type = 1) },
	{ "back-asks-for-a-jump", BROKER_LIE, speaks, SPEECH(.type = BRK_FRONT_JUMP, .len = 20) },
	{ "back-to-the-broker-descriptors", BROKER_LIE, speaks, SPEECH(.type = 1, .n_fds = 1) },
	{ "back-to-the-broker-oversized", BROKER_LIE, speaks, SPEECH(.len = IPC_MAX + 1000) },
	{ NULL, NULL, NULL, false, NULL, NULL },
};
