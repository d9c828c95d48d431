/* Keys, evidence and the agent protocol, right and wrong. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "keys/keys_proto.h"
#include "policy/policy_proto.h"
#include "tests/hostile/hostile.h"

#define REQUEST_MAX 4096u
#define AGENT_IDENTITIES 11u
#define AGENT_SIGN 13u
#define AGENT_EXTENSION 27u
#define ED25519 "ssh-ed25519"

static void
must(int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "hostile: %s\n", err_str(r));
	exit(3);
}

static struct buf *
new_buf(void)
{
	struct buf *b = buf_new(REQUEST_MAX);

	must(b == NULL ? -ENOMEM : 0);
	return b;
}

static void
blob_of(const uint8_t pub[32], uint8_t ret_blob[H_BLOB])
{
	static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32 };

	memcpy(ret_blob, head, sizeof(head));
	memcpy(ret_blob + sizeof(head), pub, 32);
}

void
h_key(const struct hostile *h, const char *name, uint8_t ret_sk[64], uint8_t ret_blob[H_BLOB])
{
	uint8_t seed[32], pub[32];

	must(crypto_generichash(
	    seed, sizeof(seed), (const uint8_t *)name, strlen(name), h->master, sizeof(h->master)));
	must(crypto_sign_seed_keypair(pub, ret_sk, seed));
	blob_of(pub, ret_blob);
}

void
h_sign(
    const struct hostile *h, const char *name, const void *data, size_t len, uint8_t ret_sig[H_SIG])
{
	static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 64 };
	uint8_t sk[64], blob[H_BLOB];

	h_key(h, name, sk, blob);
	memcpy(ret_sig, head, sizeof(head));
	must(crypto_sign_detached(ret_sig + sizeof(head), NULL, data, len, sk));
}

void
h_greet(struct side *s)
{
	must(ipc_plain_hello(s->fd[H_BROKER]));
	must(ipc_plain_hello(s->fd[H_POLICY]));
	must(ipc_plain_hello(s->fd[H_KEYS]));
}

int
h_known(struct hostile *h, struct side *s)
{
	if (h_front(h, s) != 0)
		return -1;
	h_greet(s);
	return h_exchange(h, s);
}

int
h_exchange(struct hostile *h, struct side *s)
{
	struct ipc_msg msg;

	randombytes_buf(s->sid, sizeof(s->sid));
	h_say(s->fd[H_KEYS], KEYS_SIGN, 0, s->sid, sizeof(s->sid));
	return h_want(h, s->fd[H_KEYS], KEYS_SIGNED, &msg);
}

/* The request up to its signature. */
static struct buf *
head_of(const struct hostile *h, const char *user, const char *key, bool has_sig)
{
	struct buf *b = new_buf();
	uint8_t sk[64], blob[H_BLOB];

	h_key(h, key, sk, blob);
	must(buf_put_u8(b, 50));
	must(buf_put_cstr(b, user));
	must(buf_put_cstr(b, "ssh-connection"));
	must(buf_put_cstr(b, "publickey"));
	must(buf_put_u8(b, has_sig));
	must(buf_put_cstr(b, ED25519));
	must(buf_put_str(b, blob, sizeof(blob)));
	return b;
}

struct buf *
h_request(const struct hostile *h, const struct h_login *l)
{
	const char *key = l->key != NULL ? l->key : "eve";
	struct buf *b = head_of(h, l->user, key, l->key != NULL), *tbs, *head;
	uint8_t sig[H_SIG];

	if (l->key == NULL)
		return b;
	head = head_of(h, l->signed_user != NULL ? l->signed_user : l->user, key, true);
	tbs = new_buf();
	must(buf_put_str(tbs, l->sid, 32));
	must(buf_put(tbs, buf_ptr(head), buf_len(head)));
	h_sign(h, key, buf_ptr(tbs), buf_len(tbs), sig);
	must(buf_put_str(b, sig, sizeof(sig)));
	buf_free(tbs);
	buf_free(head);
	return b;
}

int
h_ask(struct hostile *h, struct side *s, const struct buf *request, uint8_t *ret_answer)
{
	struct ipc_msg msg;

	h_say(s->fd[H_POLICY], POL_AUTH_REQUEST, 0, buf_ptr(request), buf_len(request));
	if (h_want(h, s->fd[H_POLICY], POL_AUTH_REPLY, &msg) != 0)
		return -1;
	*ret_answer = msg.data[0];
	return 0;
}

static int
ask_for_success(struct hostile *h, struct side *s)
{
	uint8_t answer;

	if (h_ask(h, s, s->login, &answer) != 0)
		return -1;
	return answer == POL_AUTH_SUCCESS ? 0
					  : h_fail(h, "an honest login was answered %u", answer);
}

int
h_log_in(struct hostile *h, struct side *s, const char *host)
{
	char user[256];
	struct h_login l = { .user = user, .key = "eve", .sid = s->sid };

	if (host != NULL)
		(void)snprintf(user, sizeof(user), "%s+%s", h->login, host);
	else
		(void)snprintf(user, sizeof(user), "eve");
	if (h_known(h, s) != 0)
		return -1;
	s->login = h_request(h, &l);
	return ask_for_success(h, s);
}

int
h_leg(struct hostile *h, struct side *front, const char *host, struct side *back)
{
	struct ipc_msg msg;

	if (h_log_in(h, front, host) != 0 || h_back(h, back) != 0 ||
	    h_want(h, front->fd[H_BROKER], BRK_FRONT_LINK, &msg) != 0 || msg.n_fds != 1)
		return -1;
	front->link = msg.fds[0];
	must(ipc_plain_hello(back->fd[H_BROKER]));
	return 0;
}

/* The agent. */

void
h_agent_send(int fd, const struct buf *body)
{
	struct buf *b = new_buf();

	must(buf_put_str(b, buf_ptr(body), buf_len(body)));
	if (send(fd, buf_ptr(b), buf_len(b), MSG_NOSIGNAL) < 0)
		errno = 0; /* it is over on the other side */
	buf_free(b);
}

static bool
receive(int fd, uint8_t *p, size_t len)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };

	while (len > 0) {
		ssize_t n = poll(&f, 1, H_WAIT_MS) == 1 ? recv(fd, p, len, 0) : -1;

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static uint8_t answer[REQUEST_MAX];

int
h_agent_answer(int fd)
{
	uint32_t len;
	uint8_t head[4];

	if (!receive(fd, head, 4))
		return 0;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	return len > 0 && len <= sizeof(answer) && receive(fd, answer, len) ? answer[0] : 0;
}

int
h_agent_bind(struct hostile *h, struct side *back, const struct h_bind *bind)
{
	struct buf *b = new_buf();
	uint8_t sk[64], blob[H_BLOB], sig[H_SIG];

	h_key(h, bind->host, sk, blob);
	h_sign(h, bind->signer != NULL ? bind->signer : bind->host, bind->sid, 32, sig);
	must(buf_put_u8(b, AGENT_EXTENSION));
	must(buf_put_cstr(b, "session-bind@openssh.com"));
	must(buf_put_str(b, blob, sizeof(blob)));
	must(buf_put_str(b, bind->sid, 32));
	must(buf_put_str(b, sig, sizeof(sig)));
	must(buf_put_u8(b, bind->forwarding));
	if (bind->tail)
		must(buf_put_u8(b, 0));
	h_agent_send(back->fd[H_AGENT], b);
	buf_free(b);
	return h_agent_answer(back->fd[H_AGENT]);
}

int
h_agent_key(struct hostile *h, struct side *back, uint8_t ret_blob[H_BLOB])
{
	struct buf *b = new_buf();
	const uint8_t *p;
	size_t len;
	uint32_t n;
	int r;

	must(buf_put_u8(b, AGENT_IDENTITIES));
	h_agent_send(back->fd[H_AGENT], b);
	buf_free(b);
	if (h_agent_answer(back->fd[H_AGENT]) != 12)
		return h_fail(h, "the agent does not list its key");
	b = buf_view(answer + 1, sizeof(answer) - 1);
	must(b == NULL ? -ENOMEM : 0);
	r = buf_get_u32(b, &n);
	if (r == 0)
		r = buf_get_str(b, &p, &len);
	if (r == 0 && n == 1 && len == H_BLOB)
		memcpy(ret_blob, p, len);
	else
		r = ERR_FORMAT;
	buf_free(b);
	return r == 0 ? 0 : h_fail(h, "the agent's list is not one key");
}

static void
put_text(struct buf *b, const char *text, const char *usual)
{
	must(buf_put_cstr(b, text != NULL ? text : usual));
}

int
h_agent_sign(struct hostile *h, struct side *back, const struct h_signing *s)
{
	struct buf *b = new_buf(), *tbs = new_buf();
	const uint8_t *sid = s->sid != NULL ? s->sid : back->sid;

	must(buf_put_str(tbs, sid, 32));
	must(buf_put_u8(tbs, 50));
	put_text(tbs, s->user, h->login);
	put_text(tbs, s->service, "ssh-connection");
	put_text(tbs, s->method, "publickey");
	must(buf_put_u8(tbs, 1));
	put_text(tbs, s->alg, ED25519);
	must(buf_put_str(tbs, s->inner, H_BLOB));
	if (s->tail)
		must(buf_put_u8(tbs, 0));
	must(buf_put_u8(b, AGENT_SIGN));
	must(buf_put_str(b, s->outer, H_BLOB));
	must(buf_put_str(b, buf_ptr(tbs), buf_len(tbs)));
	must(buf_put_u32(b, s->flags));
	h_agent_send(back->fd[H_AGENT], b);
	buf_free(b);
	buf_free(tbs);
	return h_agent_answer(back->fd[H_AGENT]);
}
