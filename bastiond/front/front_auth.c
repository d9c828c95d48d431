/* Login: the client's requests go to policy exactly as they came, one at a time; its answers become SSH's. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define LOGIN_GONE "Login is not possible at the moment"

static void
send_or_end(struct front *f, const struct buf *b)
{
	if (wire_send(f->end.wire, buf_ptr(b), buf_len(b)) != 0)
		log_debug("front.unsent type=%u", buf_ptr(b)[0]); /* the wire tells its end */
}

static bool
is_keyboard(const struct buf *ask)
{
	struct rd in = rd_over(buf_ptr(ask) + 1, buf_len(ask) - 1);
	struct rd_str user, service, method;

	return rd_str(&in, &user) && rd_str(&in, &service) && rd_str(&in, &method) &&
	       rd_is(method, "keyboard-interactive");
}

bool
front_auth_asks_keyboard(const struct front *f)
{
	return !f->in && f->n_asks > 0 && !f->abandoned && is_keyboard(f->asks[0]);
}

static void
tell_policy(struct front *f, uint16_t type, const void *data, size_t len)
{
	if (f->policy == NULL || ipc_send(f->policy, type, 0, data, len) != 0)
		end_disconnect(&f->end, SSH_DISCONNECT_SERVICE_NOT_AVAILABLE, LOGIN_GONE);
}

/* RFC 4256 section 3.1: a new request ends the conversation of the one before. */
static void
abandon_if_superseded(struct front *f)
{
	if (f->n_asks < 2 || !front_auth_asks_keyboard(f))
		return;
	f->abandoned = true;
	front_talk_end(f);
	tell_policy(f, POL_AUTH_ABANDON, NULL, 0);
}

static void
ask_policy(struct front *f)
{
	tell_policy(f, POL_AUTH_REQUEST, buf_ptr(f->asks[0]), buf_len(f->asks[0]));
	abandon_if_superseded(f);
}

/* RFC 4252 section 5: answered in order. A client that runs ahead is not read until it has its answers. */
static void
add_ask(struct front *f, const uint8_t *msg, size_t len)
{
	struct buf *b;

	if (len > POL_REQUEST_MAX || f->n_asks == FRONT_ASKS_MAX) {
		end_disconnect(&f->end, SSH_DISCONNECT_PROTOCOL_ERROR, "too much at once");
		return;
	}
	b = buf_new(len);
	if (b == NULL || buf_put(b, msg, len) != 0) {
		buf_free(b);
		end_disconnect(&f->end, SSH_DISCONNECT_BY_APPLICATION, "out of memory");
		return;
	}
	f->asks[f->n_asks++] = b;
	f->end.hold = f->n_asks > 1;
	f->owes_answers = false; /* none that comes from here on is for what was asked before */
	if (f->n_asks == 1)
		ask_policy(f);
	else
		abandon_if_superseded(f);
}

/* The first is answered. */
static void
next_ask(struct front *f)
{
	front_talk_end(f);
	f->abandoned = false;
	buf_free(f->asks[0]);
	f->n_asks--;
	memmove(f->asks, f->asks + 1, f->n_asks * sizeof(struct buf *));
	f->asks[f->n_asks] = NULL;
	f->end.hold = f->n_asks > 1;
	f->end.again = true;
	if (f->n_asks > 0 && !f->in)
		ask_policy(f);
}

void
front_auth_done(struct front *f)
{
	front_talk_end(f);
	while (f->n_asks > 0)
		buf_free(f->asks[--f->n_asks]);
}

static void
accept_service(struct front *f)
{
	static const char accept[] = "\6\0\0\0\14ssh-userauth"; /* SSH_MSG_SERVICE_ACCEPT */

	if (wire_send(f->end.wire, accept, sizeof(accept) - 1) != 0)
		log_debug("front.unsent type=%u", accept[0]);
}

void
front_auth_message(struct front *f, const uint8_t *msg, size_t len)
{
	/* RFC 4252 section 5.3: requests after the success are ignored. */
	if (f->in)
		return;
	if (msg[0] == SSH_SERVICE_REQUEST)
		accept_service(f);
	else if (msg[0] == SSH_USERAUTH_REQUEST)
		add_ask(f, msg, len);
	else if (msg[0] == SSH_USERAUTH_INFO_RESPONSE)
		front_talk_answers(f, msg, len);
	else
		end_disconnect(
		    &f->end, SSH_DISCONNECT_PROTOCOL_ERROR, "unexpected message during login");
}

/* Policy's answers. */

static int
on_success(struct front *f, struct rd *in)
{
	struct rd_str identity, host, reference;
	uint32_t channels;
	int r;

	if (!rd_str(in, &identity) || !rd_str(in, &host) || !rd_str(in, &reference) ||
	    !rd_u32(in, &channels) || !rd_end(in) || host.len >= sizeof(f->host) ||
	    reference.len >= sizeof(f->reference))
		return ERR_FORMAT;
	memcpy(f->host, host.p, host.len);
	memcpy(f->reference, reference.p, reference.len);
	if ((r = wire_accept_user(f->end.wire)) != 0)
		return r;
	f->in = true;
	if (channels > 0)
		mux_set_limit(f->end.mux, channels);
	front_link_expect(f);
	front_link_early(f);
	return 0;
}

/* RFC 4252 section 5.4. Once: a client that tries several things needs no more of it. */
static int
send_banner(struct front *f, struct rd_str text)
{
	struct buf *b;
	int r = -ENOMEM;

	if (text.len == 0 || f->warned)
		return 0;
	f->warned = true;
	b = buf_new(text.len + 16);
	if (b != NULL && (r = buf_put_u8(b, SSH_USERAUTH_BANNER)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)text.len + 2)) == 0 &&
	    (r = buf_put(b, text.p, text.len)) == 0 && (r = buf_put(b, "\r\n", 2)) == 0 &&
	    (r = buf_put_cstr(b, "")) == 0)
		send_or_end(f, b);
	buf_free(b);
	return r;
}

static int
on_failure(struct front *f, struct rd *in)
{
	struct rd_str methods, text;
	struct buf *b;
	uint8_t partial;
	int r;

	if (!rd_str(in, &methods) || !rd_u8(in, &partial) || !rd_str(in, &text) || !rd_end(in))
		return ERR_FORMAT;
	if ((r = send_banner(f, text)) != 0 || f->abandoned)
		return r;
	b = buf_new(methods.len + 16);
	if (b == NULL || buf_put_u8(b, SSH_USERAUTH_FAILURE) != 0 ||
	    buf_put_str(b, methods.p, methods.len) != 0 || buf_put_u8(b, partial) != 0) {
		buf_free(b);
		return -ENOMEM;
	}
	send_or_end(f, b);
	buf_free(b);
	return 0;
}

/* RFC 4252 section 7: the algorithm and the key of the question, echoed. */
static int
on_pk_ok(struct front *f, struct rd *in)
{
	struct rd ask = rd_over(buf_ptr(f->asks[0]) + 1, buf_len(f->asks[0]) - 1);
	struct rd_str user, service, method, alg, key;
	struct buf *b;
	uint8_t has_signature;

	if (!rd_end(in) || !rd_str(&ask, &user) || !rd_str(&ask, &service) ||
	    !rd_str(&ask, &method) || !rd_is(method, "publickey") || !rd_u8(&ask, &has_signature) ||
	    has_signature != 0 || !rd_str(&ask, &alg) || !rd_str(&ask, &key))
		return ERR_FORMAT;
	b = buf_new(alg.len + key.len + 16);
	if (b == NULL || buf_put_u8(b, SSH_USERAUTH_PK_OK) != 0 ||
	    buf_put_str(b, alg.p, alg.len) != 0 || buf_put_str(b, key.p, key.len) != 0) {
		buf_free(b);
		return -ENOMEM;
	}
	send_or_end(f, b);
	buf_free(b);
	return 0;
}

static int
on_close(struct front *f, struct rd *in)
{
	struct rd_str line;
	char text[256];

	if (!rd_str(in, &line) || !rd_end(in))
		return ERR_FORMAT;
	str_plain(text, sizeof(text), line.p, line.len);
	end_disconnect(&f->end, SSH_DISCONNECT_NO_MORE_AUTH_METHODS, text);
	return 0;
}

static const struct {
	uint8_t verdict;
	int (*handle)(struct front *f, struct rd *in);
} answers[] = {
	{ POL_AUTH_SUCCESS, on_success },
	{ POL_AUTH_FAILURE, on_failure },
	{ POL_AUTH_PK_OK, on_pk_ok },
	{ POL_AUTH_CLOSE, on_close },
};

int
front_auth_reply(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;
	struct rd in = rd_over(msg->data, msg->len);
	uint8_t verdict;
	int r = ERR_FORMAT;

	if (f->n_asks == 0 || f->in)
		return ERR_ORDER;
	if (f->end.peer_gone)
		return 0;
	if (!rd_u8(&in, &verdict))
		return ERR_FORMAT;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].verdict == verdict)
			r = answers[i].handle(f, &in);
	if (r == 0 && !f->end.peer_gone)
		next_ask(f);
	return r;
}
