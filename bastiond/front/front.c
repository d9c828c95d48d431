/* The front as a whole: its edges, what the broker says, and how it ends. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/front/front.h"
#include "bastiond/ssh/ssh_msg.h"
#include "keys/keys_proto.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

#define SIGN_WAIT_MS 10000		  /* for the vault's signature */
#define CLOSE_NS (1500 * CLOCK_NS_PER_MS) /* the broker kills two seconds after it said so */

enum broker_state { WANTS_START, STARTED };

/* The bastion's host key: the vault signs, we wait. */
static int
on_sign_kex(void *arg, const uint8_t *hash, size_t hash_len, uint8_t *ret_sig, size_t sig_max,
    size_t *ret_sig_len)
{
	static uint8_t space[IPC_HEADER + IPC_MAX];
	struct front *f = arg;
	struct ipc_msg msg = { 0 };
	int r;

	if ((r = ipc_plain_send(f->keys_fd, KEYS_SIGN, 0, hash, hash_len, NULL, 0)) != 0 ||
	    (r = ipc_plain_recv(f->keys_fd, space, &msg, SIGN_WAIT_MS)) != 0) {
		log_warn("front.no_signature reason=\"%s\"", err_str(r));
		return r;
	}
	if (msg.type != KEYS_SIGNED || msg.n_fds != 0 || msg.len > sig_max) {
		ipc_msg_close(&msg);
		return ERR_FORMAT;
	}
	memcpy(ret_sig, msg.data, msg.len);
	*ret_sig_len = msg.len;
	return 0;
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	front_auth_message(arg, msg, len);
}

static void
on_peer_over(void *arg, int err, const char *why)
{
	struct front *f = arg;
	enum link_end code = LINK_END_PROTOCOL;

	if (f->told_to_end)
		code = LINK_END_KILLED;
	else if (!f->end.broken && (err == 0 || err == ERR_PEER_GONE))
		code = LINK_END_CLIENT;
	log_info("front.client_over in=%d reason=\"%s\"", (int)f->in, why);
	end_stop(&f->end, code, why);
}

static void
on_peer_silent(void *arg)
{
	struct front *f = arg;

	end_disconnect(&f->end, SSH_DISCONNECT_CONNECTION_LOST, "no answer for too long");
}

static const struct end_conf end_conf = {
	.side = MUX_FRONT,
	.wire = { .sign_kex = on_sign_kex },
	.message = on_message,
	.may_open = front_may_open,
	.may_request = front_may_request,
	.globals = front_globals,
	.note = front_on_note,
	.link_over = front_on_link_over,
	.peer_over = on_peer_over,
	.peer_silent = on_peer_silent,
};

/* The broker's words. */

static bool
rd_u64(struct rd *in, uint64_t *ret_v)
{
	uint32_t high, low;

	if (!rd_u32(in, &high) || !rd_u32(in, &low))
		return false;
	*ret_v = (uint64_t)high << 32 | low;
	return true;
}

/* The plain key, and perhaps a certificate of it. Borrowed from the message. */
static bool
read_host_keys(struct rd *in, struct wire_conf *conf)
{
	struct rd_str key, cert = { 0 };
	uint32_t n;

	if (!rd_u32(in, &n) || n < 1 || n > 2 || !rd_str(in, &key) ||
	    (n == 2 && !rd_str(in, &cert)))
		return false;
	conf->host_key = key.p;
	conf->host_key_len = key.len;
	conf->host_cert = n == 2 ? cert.p : NULL;
	conf->host_cert_len = cert.len;
	return true;
}

static int
on_start(void *arg, struct ipc_msg *msg)
{
	struct wire_conf conf = { .role = WIRE_SERVER };
	struct rd in = rd_over(msg->data, msg->len);
	struct front *f = arg;
	uint32_t channels;
	int r;

	if (!read_host_keys(&in, &conf) || !rd_u32(&in, &channels) || !rd_u64(&in, &f->alive_ns) ||
	    !rd_u32(&in, &f->missed_max) || !rd_u64(&in, &conf.rekey_bytes) ||
	    !rd_u64(&in, &f->end.close_ns) || !rd_end(&in))
		return ERR_FORMAT;
	mux_set_limit(f->end.mux, channels);
	if ((r = end_start_wire(&f->end, &conf, f->client_fd)) != 0)
		return r;
	f->client_fd = -1;
	ipc_set_state(f->broker, STARTED);
	return 0;
}

static int
on_new_keys(void *arg, struct ipc_msg *msg)
{
	struct front *f = arg;

	fd_close(&f->keys_fd);
	f->keys_fd = msg->fds[0];
	msg->fds[0] = -1;
	return ipc_plain_hello(f->keys_fd);
}

static void
say_and_end(struct front *f, const char *line)
{
	char text[600];

	f->told_to_end = true;
	if (!f->in) {
		end_disconnect(&f->end, SSH_DISCONNECT_BY_APPLICATION, line);
		return;
	}
	front_jump_refuse_all(f, line);
	f->end.waits_for_link = false;
	if (str_format(text, sizeof(text), "bastiond: %s", line) != 0)
		return;
	end_linger(&f->end, 255, text, CLOSE_NS, true);
}

static int
on_close(void *arg, struct ipc_msg *msg)
{
	struct rd in = rd_over(msg->data, msg->len);
	struct rd_str line;
	char text[512];

	if (!rd_str(&in, &line) || !rd_end(&in))
		return ERR_FORMAT;
	str_plain(text, sizeof(text), line.p, line.len);
	say_and_end(arg, text);
	return 0;
}

#define IN(state) (1u << (state))

static const struct ipc_rule broker_rules[] = {
	{ BRK_FRONT_START, "START", 32, IPC_MAX, 0, IN(WANTS_START), on_start },
	{ BRK_FRONT_LINK, "LINK", 0, 0, 1, IN(STARTED), front_on_link },
	{ BRK_FRONT_REFUSED, "REFUSED", 4, IPC_MAX, 0, IN(STARTED), front_on_refused },
	{ BRK_FRONT_KEYS, "KEYS", 0, 0, 1, IN(STARTED), on_new_keys },
	{ BRK_FRONT_CLOSE, "CLOSE", 4, IPC_MAX, 0, IN(STARTED), on_close },
	{ BRK_FRONT_AUTH, "AUTH", 0, 0, 1, IN(STARTED), front_on_auth },
	{ BRK_FRONT_JUMPED, "JUMPED", 0, 0, 1, IN(STARTED), front_on_jumped },
	{ BRK_FRONT_JUMP_REFUSED, "JUMP_REFUSED", 4, IPC_MAX, 0, IN(STARTED),
	    front_on_jump_refused },
};

static const struct ipc_rule policy_rules[] = {
	{ POL_AUTH_REPLY, "AUTH_REPLY", 1, IPC_MAX, 0, IPC_ANY_STATE, front_auth_reply },
};

static void
on_broker_gone(void *arg, int err)
{
	struct front *f = arg;

	ipc_free(f->broker);
	f->broker = NULL;
	if (f->end.wire == NULL || err != ERR_PEER_GONE) {
		log_warn("front.broker_gone reason=\"%s\"", err_str(err));
		end_stop(&f->end, LINK_END_INTERNAL, "the front was not told what to do");
		return;
	}
	say_and_end(f, "the bastion is stopping");
}

/* Running sessions need policy no more; a login does. */
static void
on_policy_gone(void *arg, int err)
{
	struct front *f = arg;

	ipc_free(f->policy);
	f->policy = NULL;
	if (err != ERR_PEER_GONE)
		log_warn("front.policy_gone reason=\"%s\"", err_str(err));
	if (!f->in && f->end.wire != NULL)
		end_disconnect(&f->end, SSH_DISCONNECT_SERVICE_NOT_AVAILABLE,
		    "Login is not possible at the moment");
}

int
front_init(struct front *f, const struct front_fds *fds)
{
	const struct ipc_conf broker = {
		.name = "front-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = f,
		.gone = on_broker_gone,
	};
	const struct ipc_conf policy = {
		.name = "front-policy",
		.rules = policy_rules,
		.n_rules = sizeof(policy_rules) / sizeof(policy_rules[0]),
		.arg = f,
		.gone = on_policy_gone,
	};
	int r;

	*f = (struct front){ .client_fd = fds->client, .keys_fd = fds->keys, .early_link = -1 };
	if (fcntl(f->client_fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		return -errno;
	if ((r = loop_new(&f->loop)) != 0 ||
	    (r = end_init(&f->end, f->loop, &end_conf, f, 0)) != 0 ||
	    (r = ipc_new(f->loop, fds->broker, &broker, &f->broker)) != 0 ||
	    (r = ipc_new(f->loop, fds->policy, &policy, &f->policy)) != 0)
		return r;
	front_jump_init(f);
	return ipc_plain_hello(f->keys_fd);
}

void
front_done(struct front *f)
{
	front_jump_done(f);
	end_done(&f->end);
	front_auth_done(f);
	ipc_free(f->broker);
	ipc_free(f->policy);
	fd_close(&f->client_fd);
	fd_close(&f->keys_fd);
	fd_close(&f->early_link);
	free(f->early_refusal);
	loop_free(f->loop);
}
