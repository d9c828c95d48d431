/*
 * The agent of one leg. Messages are taken one at a time: the next one is read when the answer to the last one has
 * left. Whoever sends what an honest back never sends gets a failure, an alarm is raised, and the edge ends.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_agent.h"
#include "keys/keys_check.h"
#include "keys/keys_issue.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"

/* RFC 9987 section 5.1 */
enum agent_type {
	AGENT_FAILURE = 5,
	AGENT_SUCCESS = 6,
	AGENT_REQUEST_IDENTITIES = 11,
	AGENT_IDENTITIES_ANSWER = 12,
	AGENT_SIGN_REQUEST = 13,
	AGENT_SIGN_RESPONSE = 14,
	AGENT_EXTENSION = 27
};

enum leg_state {
	LEG_NEW,
	LEG_ASKING, /* policy looks at a host certificate */
	LEG_BOUND,
	LEG_SIGNED,
	LEG_DEAD /* it lied: the failure leaves, nothing more is read */
};

struct blob {
	const uint8_t *data;
	size_t len;
};

struct leg {
	LIST_ENTRY(leg) link;
	struct keys_legs *all;
	uint32_t id;
	enum leg_state state;
	int fd;
	struct loop_io *io;
	struct buf *in, *out;
	uint8_t *grant; /* owned copy of the payload that the rest points into */
	char login[KEYS_LOGIN_MAX + 1];
	char host[256];
	struct keys_key *key; /* a reference; NULL: the vault has no such key */
	struct blob pinned[KEYS_PINNED_MAX];
	size_t n_pinned, n_cas;
	uint8_t session_id
	    [KEYS_SID_MAX]; /* of the bound connection, or of the one that policy is asked for */
	size_t session_id_len;
	unsigned n_requests;
	uint8_t *sig; /* owned; LEG_ASKING: the host's signature */
	size_t sig_len;
};

struct keys_legs {
	struct loop *loop;
	struct keys_policy *policy;
	struct keys_seen *seen;
	LIST_HEAD(, leg) list;
	size_t n;
	uint64_t n_signed;
};

static void
leg_free(struct leg *leg)
{
	if (leg->io != NULL) {
		LIST_REMOVE(leg, link);
		leg->all->n--;
	}
	loop_del(leg->io);
	fd_close(&leg->fd);
	buf_free(leg->in);
	buf_free(leg->out);
	keys_key_unref(leg->key);
	free(leg->grant);
	free(leg->sig);
	free(leg);
}

static int
answer(struct leg *leg, uint8_t type)
{
	return buf_put_str(leg->out, &type, 1);
}

/* A lie, or an attempt to have something signed that was not granted. */
static int
alarm_and_fail(struct leg *leg, const char *why)
{
	char what[512], host[256];

	str_escape(host, sizeof(host), leg->host, strlen(leg->host));
	(void)snprintf(what, sizeof(what), "host %s: %s", host, why); /* cut is good enough */
	keys_policy_alarm(leg->all->policy, false, leg->id, what);
	leg->state = LEG_DEAD;
	return answer(leg, AGENT_FAILURE);
}

/* Refused because of us, not because of the back. */
static int
fail_quietly(struct leg *leg, const char *why)
{
	log_warn("keys.unsigned leg=%u reason=\"%s\"", leg->id, why);
	leg->state = LEG_DEAD;
	return answer(leg, AGENT_FAILURE);
}

static int
on_identities(struct leg *leg, const uint8_t *body, size_t len)
{
	struct buf *b;
	int r = -ENOMEM;

	(void)body;
	if (len != 0)
		return alarm_and_fail(leg, "a request for identities with something behind it");
	b = buf_new(KEYS_AGENT_MESSAGE_MAX);
	if (b == NULL || (r = buf_put_u8(b, AGENT_IDENTITIES_ANSWER)) != 0 ||
	    (r = buf_put_u32(b, leg->key != NULL ? 1 : 0)) != 0)
		goto out;
	if (leg->key != NULL && ((r = buf_put_str(b, leg->key->blob, leg->key->blob_len)) != 0 ||
				    (r = buf_put_cstr(b, leg->key->name)) != 0))
		goto out;
	r = buf_put_str(leg->out, buf_ptr(b), buf_len(b));
out:
	buf_free(b);
	return r;
}

/* The host's key is known to be its own: does its signature prove this connection? */
static int
bind_finish(struct leg *leg, const uint8_t *key, size_t key_len, const uint8_t *sig, size_t sig_len)
{
	struct sshkey *pub = NULL;
	int r;

	if ((r = sshkey_parse(key, key_len, &pub)) != 0)
		return r == -ENOMEM ? r : alarm_and_fail(leg, "a host key that does not parse");
	r = sshkey_verify(pub, NULL, 0, sig, sig_len, leg->session_id, leg->session_id_len, NULL);
	sshkey_free(pub);
	if (r == -ENOMEM || r == ERR_CRYPTO)
		return fail_quietly(leg, err_str(r));
	if (r != 0)
		return alarm_and_fail(leg, "a host signature that does not verify");
	leg->state = LEG_BOUND;
	return answer(leg, AGENT_SUCCESS);
}

static bool
is_pinned(const struct leg *leg, const uint8_t *key, size_t len)
{
	for (size_t i = 0; i < leg->n_pinned; i++)
		if (leg->pinned[i].len == len && memcmp(leg->pinned[i].data, key, len) == 0)
			return true;
	return false;
}

/* Only the type's name is looked at; reading certificates is policy's work. */
static bool
is_certificate(const uint8_t *key, size_t len)
{
	static const char suffix[] = "-cert-v01@openssh.com";
	struct buf *b = buf_view(key, len);
	const uint8_t *name;
	size_t n;
	bool yes = false;

	if (b != NULL && buf_get_str(b, &name, &n) == 0 && n > sizeof(suffix) - 1)
		yes = memcmp(name + n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
	buf_free(b);
	return yes;
}

static int
bind_ask(struct leg *leg, const struct keys_bind *bind)
{
	int r;

	leg->sig = malloc(bind->sig_len + 1);
	if (leg->sig == NULL)
		return -ENOMEM;
	memcpy(leg->sig, bind->sig, bind->sig_len);
	leg->sig_len = bind->sig_len;
	if ((r = keys_policy_ask_cert(
		 leg->all->policy, leg->id, bind->host_key, bind->host_key_len)) != 0)
		return fail_quietly(leg, "policy cannot be asked about a host certificate");
	leg->state = LEG_ASKING;
	return 0;
}

static int
on_bind(struct leg *leg, const uint8_t *data, size_t len)
{
	struct keys_bind bind;
	const char *why;
	int r;

	if ((r = keys_check_bind(data, len, &bind, &why)) != 0)
		return r == -ENOMEM ? r : alarm_and_fail(leg, why);
	if (!keys_seen_add(leg->all->seen, bind.session_id, bind.session_id_len))
		return alarm_and_fail(leg, "a session id that was used before");
	memcpy(leg->session_id, bind.session_id, bind.session_id_len);
	leg->session_id_len = bind.session_id_len;
	if (is_pinned(leg, bind.host_key, bind.host_key_len))
		return bind_finish(leg, bind.host_key, bind.host_key_len, bind.sig, bind.sig_len);
	if (leg->n_cas > 0 && is_certificate(bind.host_key, bind.host_key_len))
		return bind_ask(leg, &bind);
	return alarm_and_fail(leg, "a host key that is not pinned");
}

static int
on_extension(struct leg *leg, const uint8_t *body, size_t len)
{
	struct buf *b = buf_view(body, len);
	char name[64];
	int r;

	if (b == NULL)
		return -ENOMEM;
	if (buf_get_cstr(b, name, sizeof(name)) != 0 ||
	    strcmp(name, "session-bind@openssh.com") != 0)
		r = alarm_and_fail(leg, "another extension than session-bind@openssh.com");
	else if (leg->state != LEG_NEW)
		r = alarm_and_fail(leg, "a second binding");
	else
		r = on_bind(leg, buf_ptr(b), buf_len(b));
	buf_free(b);
	return r;
}

static int
sign(struct leg *leg, const char *alg, const uint8_t *data, size_t len)
{
	struct buf *sig = buf_new(SSHKEY_SIG_MAX), *b = buf_new(KEYS_AGENT_MESSAGE_MAX);
	int r = -ENOMEM;

	if (sig == NULL || b == NULL)
		goto out;
	if (keys_key_sign(leg->key, alg, data, len, sig) != 0) {
		r = fail_quietly(leg, "the key does not sign");
		goto out;
	}
	if (keys_policy_signed(leg->all->policy, leg->id, leg->key->fingerprint) != 0) {
		r = fail_quietly(leg, "policy cannot be told");
		goto out;
	}
	leg->state = LEG_SIGNED;
	leg->all->n_signed++;
	if ((r = buf_put_u8(b, AGENT_SIGN_RESPONSE)) == 0 &&
	    (r = buf_put_str(b, buf_ptr(sig), buf_len(sig))) == 0)
		r = buf_put_str(leg->out, buf_ptr(b), buf_len(b));
out:
	buf_free(sig);
	buf_free(b);
	return r;
}

static int
on_sign(struct leg *leg, const uint8_t *body, size_t len)
{
	struct keys_grant grant = { .login = leg->login,
		.session_id = leg->session_id,
		.session_id_len = leg->session_id_len };
	const char *alg, *why;
	const uint8_t *data;
	size_t data_len;
	int r;

	if (leg->state != LEG_BOUND)
		return alarm_and_fail(leg, leg->state == LEG_SIGNED
					       ? "a second signature"
					       : "a signature before the host's proof");
	if (leg->key == NULL)
		return alarm_and_fail(leg, "a signature by a key that is not in the vault");
	grant.key_type = leg->key->type;
	grant.key = leg->key->blob;
	grant.key_len = leg->key->blob_len;
	if ((r = keys_check_sign(&grant, body, len, &data, &data_len, &alg, &why)) != 0)
		return r == -ENOMEM ? r : alarm_and_fail(leg, why);
	return sign(leg, alg, data, data_len);
}

static const struct {
	uint8_t type;
	int (*handle)(struct leg *leg, const uint8_t *body, size_t len);
} requests[] = {
	{ AGENT_REQUEST_IDENTITIES, on_identities },
	{ AGENT_SIGN_REQUEST, on_sign },
	{ AGENT_EXTENSION, on_extension },
};

static int
dispatch(struct leg *leg, const uint8_t *msg, size_t len)
{
	if (++leg->n_requests > KEYS_AGENT_REQUESTS_MAX)
		return alarm_and_fail(leg, "more requests than a login takes");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == msg[0])
			return requests[i].handle(leg, msg + 1, len - 1);
	return alarm_and_fail(leg, "a request that this agent does not have");
}

/* Bytes of the first message in the buffer without its length; 0 while it is not whole. ERR_FORMAT; ERR_LIMIT. */
static int
next_message(const struct buf *in, size_t *ret_len)
{
	const uint8_t *p = buf_ptr(in);
	size_t len;

	*ret_len = 0;
	if (buf_len(in) < 4)
		return 0;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (len == 0)
		return ERR_FORMAT;
	if (len > KEYS_AGENT_MESSAGE_MAX)
		return ERR_LIMIT;
	if (buf_len(in) - 4 >= len)
		*ret_len = len;
	return 0;
}

/* Serve what is buffered, until an answer waits to leave. 0; negative: the edge is over. */
static int
serve(struct leg *leg)
{
	const uint8_t *msg;
	size_t len;
	int r = 0;

	while (r == 0 && buf_len(leg->out) == 0 && leg->state != LEG_ASKING &&
	       leg->state != LEG_DEAD) {
		if (next_message(leg->in, &len) != 0)
			return alarm_and_fail(leg, "a message of impossible length");
		if (len == 0)
			break;
		if ((r = buf_skip(leg->in, 4)) == 0 && (r = buf_get_ptr(leg->in, len, &msg)) == 0)
			r = dispatch(leg, msg, len);
	}
	return r;
}

/* 0; -EAGAIN part of it waits; ERR_PEER_GONE; -errno. */
static int
flush(struct leg *leg)
{
	while (buf_len(leg->out) > 0) {
		ssize_t n = send(
		    leg->fd, buf_ptr(leg->out), buf_len(leg->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? ERR_PEER_GONE : -errno;
		if (buf_skip(leg->out, (size_t)n) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

/* 0 something came; -EAGAIN; ERR_PEER_GONE; -errno. */
static int
receive(struct leg *leg)
{
	uint8_t bytes[4096];
	size_t room = buf_room(leg->in);
	ssize_t n;

	if (room == 0)
		return -EAGAIN;
	do
		n = recv(leg->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? ERR_PEER_GONE : -errno;
	return n == 0 ? ERR_PEER_GONE : buf_put(leg->in, bytes, (size_t)n);
}

/*
 * Everything that can be done now. Input is not waited for while an answer is under way or due: a back that floods
 * only fills its own socket. Negative: the leg is over.
 */
static int
advance(struct leg *leg)
{
	bool answered;
	int r;

	do {
		if ((r = serve(leg)) != 0)
			return r;
		answered = buf_len(leg->out) > 0;
		r = flush(leg);
		if (r == 0 && leg->state == LEG_DEAD)
			return ERR_DENIED;
		if (r == 0 && !answered && leg->state != LEG_ASKING)
			r = receive(leg);
	} while (r == 0 && leg->state != LEG_ASKING);
	if (r != 0 && r != -EAGAIN)
		return r;
	if (buf_len(leg->out) > 0)
		return loop_set(leg->io, EPOLLOUT);
	return loop_set(leg->io, leg->state == LEG_ASKING ? 0 : EPOLLIN);
}

static void
on_event(void *arg, uint32_t revents)
{
	struct leg *leg = arg;
	int r;

	r = leg->state == LEG_ASKING && (revents & (EPOLLHUP | EPOLLERR)) != 0 ? ERR_PEER_GONE
									       : advance(leg);
	if (r != 0) {
		if (r != ERR_PEER_GONE && r != ERR_DENIED)
			log_warn("keys.back_lost leg=%u reason=\"%s\"", leg->id, err_str(r));
		leg_free(leg);
	}
}

struct keys_legs *
keys_legs_new(struct loop *l, struct keys_policy *policy, struct keys_seen *seen)
{
	struct keys_legs *legs = calloc(1, sizeof(*legs));

	if (legs == NULL)
		return NULL;
	legs->loop = l;
	legs->policy = policy;
	legs->seen = seen;
	LIST_INIT(&legs->list);
	return legs;
}

void
keys_legs_free(struct keys_legs *l)
{
	struct leg *leg, *next;

	if (l == NULL)
		return;
	for (leg = LIST_FIRST(&l->list); leg != NULL; leg = next) {
		next = LIST_NEXT(leg, link);
		leg_free(leg);
	}
	free(l);
}

static struct leg *
leg_find(const struct keys_legs *l, uint32_t id)
{
	struct leg *leg;

	LIST_FOREACH (leg, &l->list, link)
		if (leg->id == id)
			return leg;
	return NULL;
}

static int
get_blobs(struct buf *b, struct blob *ret_blobs, size_t *ret_n)
{
	uint32_t n;
	int r;

	if ((r = buf_get_u32(b, &n)) != 0)
		return r;
	if (n > KEYS_PINNED_MAX)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < n; i++)
		if ((r = buf_get_str(b, &ret_blobs[i].data, &ret_blobs[i].len)) != 0)
			return r;
	*ret_n = n;
	return 0;
}

/* The payload of KEYS_BACK. */
static int
leg_grant(struct leg *leg, const uint8_t *grant, size_t len, const struct keys_vault *vault)
{
	struct blob cas[KEYS_PINNED_MAX];
	char key_name[KEYS_NAME_MAX + 1];
	struct buf *b = NULL;
	uint32_t port;
	int r = -ENOMEM;

	leg->grant = malloc(len + 1);
	if (leg->grant == NULL)
		return r;
	memcpy(leg->grant, grant, len);
	b = buf_view(leg->grant, len);
	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, leg->login, sizeof(leg->login))) != 0 ||
	    (r = buf_get_cstr(b, key_name, sizeof(key_name))) != 0 ||
	    (r = buf_get_cstr(b, leg->host, sizeof(leg->host))) != 0 ||
	    (r = buf_get_u32(b, &port)) != 0 ||
	    (r = get_blobs(b, leg->pinned, &leg->n_pinned)) != 0 ||
	    (r = get_blobs(b, cas, &leg->n_cas)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	leg->key = keys_key_is_reserved(key_name) || keys_key_is_user_ca(key_name)
		       ? NULL
		       : keys_vault_find(vault, key_name);
	if (leg->key != NULL)
		(void)keys_key_ref(leg->key);
	else
		log_err("keys.missing leg=%u key=%s do=\"bastionctl keys generate, or another key: "
			"in policy.yaml\"",
		    leg->id, keys_key_is_name(key_name) ? key_name : "?");
out:
	buf_free(b);
	return r;
}

int
keys_legs_add(struct keys_legs *l, uint32_t id, int fd, const uint8_t *grant, size_t len,
    const struct keys_vault *vault)
{
	struct leg *leg;
	int r = -ENOMEM;

	if (l->n >= KEYS_LEGS_MAX)
		return ERR_LIMIT;
	if (leg_find(l, id) != NULL)
		return ERR_EXISTS;
	leg = calloc(1, sizeof(*leg));
	if (leg == NULL)
		return -ENOMEM;
	*leg = (struct leg){ .all = l, .id = id, .fd = -1 };
	leg->in = buf_new(KEYS_AGENT_MESSAGE_MAX + 4);
	leg->out = buf_new(KEYS_AGENT_MESSAGE_MAX + 4);
	if (leg->in == NULL || leg->out == NULL || (r = leg_grant(leg, grant, len, vault)) != 0 ||
	    (r = loop_add(l->loop, fd, EPOLLIN, on_event, leg, &leg->io)) != 0) {
		leg_free(leg);
		return r;
	}
	leg->fd = fd;
	LIST_INSERT_HEAD(&l->list, leg, link);
	l->n++;
	return 0;
}

void
keys_legs_gone(struct keys_legs *l, uint32_t id)
{
	struct leg *leg = leg_find(l, id);

	if (leg != NULL)
		leg_free(leg);
}

void
keys_legs_cert(struct keys_legs *l, uint32_t id, bool ok, const uint8_t *data, size_t len)
{
	struct leg *leg = leg_find(l, id);
	char why[200], text[160];
	int r;

	if (leg == NULL || leg->state != LEG_ASKING)
		return;
	if (ok) {
		r = bind_finish(leg, data, len, leg->sig, leg->sig_len);
	} else {
		str_escape(text, sizeof(text), data, len);
		r = str_format(why, sizeof(why), "a host certificate that does not hold: %s", text);
		if (r == 0)
			r = alarm_and_fail(leg, why);
	}
	if (r != 0 || advance(leg) != 0)
		leg_free(leg);
}

size_t
keys_legs_n(const struct keys_legs *l)
{
	return l->n;
}

uint64_t
keys_legs_signed(const struct keys_legs *l)
{
	return l->n_signed;
}
