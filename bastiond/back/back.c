/* The back as a whole: connecting, the target's proof, the login, and how it ends. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/back/back.h"
#include "bastiond/broker/broker_proto.h"
#include "bastiond/ssh/ssh_msg.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"

#define LINGER_NS (2 * CLOCK_NS_PER_S) /* for a target that takes nothing any more */

/* Ending: the first reason counts. */

static void
set_reason(struct back *b, enum link_end code, const char *text)
{
	if (b->code != 0)
		return;
	b->code = code;
	(void)snprintf(b->why, sizeof(b->why), "%s", text); /* cut is fine */
}

static void
give_up(struct back *b, enum link_end code, const char *text)
{
	set_reason(b, code, text);
	if (b->end.wire != NULL && !b->end.peer_gone)
		end_disconnect(&b->end, SSH_DISCONNECT_BY_APPLICATION, "");
	else
		end_stop(&b->end, b->code, b->why);
}

static void
give_up_host(struct back *b, enum link_end code, const char *what)
{
	char text[1000];

	(void)snprintf(text, sizeof(text), "%s: %s", b->plan.host, what);
	give_up(b, code, text);
}

static void
on_peer_over(void *arg, int err, const char *why)
{
	struct back *b = arg;
	char text[400];
	bool broke =
	    b->end.broken || err == ERR_CRYPTO || err == ERR_FORMAT || err == ERR_SIGNATURE;

	(void)snprintf(text, sizeof(text), "%s: %s", b->plan.host,
	    err == ERR_PEER_GONE || err == 0 ? "the target closed the connection" : why);
	log_info("back.target_over host=%s in=%d reason=\"%s\"", b->plan.host, (int)b->in, why);
	set_reason(b, broke ? LINK_END_PROTOCOL : LINK_END_TARGET, text);
	end_stop(&b->end, b->code, b->why);
}

static void
on_peer_silent(void *arg)
{
	give_up_host(arg, LINK_END_TARGET, "no answer for too long");
}

/* The front or the recorder has ended the session: what was under way may still reach the target. */
static void
on_link_over(void *arg, enum link_end code, const char *text)
{
	struct back *b = arg;

	set_reason(b, code, text);
	if (b->end.wire == NULL || b->end.peer_gone)
		end_stop(&b->end, code, text);
	else
		end_linger(&b->end, 0, "session ended", LINGER_NS, code == LINK_END_RECORDER);
}

/* The target's identity and our login. */

static int
on_host_proof(void *arg, const uint8_t *hash, size_t hash_len, const uint8_t *key, size_t key_len,
    const uint8_t *sig, size_t sig_len)
{
	struct back *b = arg;
	char why[700];

	(void)hash;
	(void)hash_len;
	if (!back_host_is_pinned(&b->plan, (struct rd_str){ key, key_len }, why, sizeof(why))) {
		set_reason(b, LINK_END_HOST_KEY, why);
		return ERR_DENIED;
	}
	hash_fingerprint(b->fingerprint, key, key_len);
	b->key = buf_new(key_len);
	b->sig = buf_new(sig_len);
	if (b->key == NULL || b->sig == NULL || buf_put(b->key, key, key_len) != 0 ||
	    buf_put(b->sig, sig, sig_len) != 0)
		return -ENOMEM;
	return 0;
}

static int
note_connected(struct back *b)
{
	struct buf *n = buf_new(2048);
	int r = -ENOMEM;

	if (n != NULL && (r = buf_put_u8(n, LINK_NOTE_CONNECTED)) == 0 &&
	    (r = buf_put_cstr(n, b->where)) == 0 &&
	    (r = buf_put_cstr(n, wire_peer_version(b->end.wire))) == 0 &&
	    (r = buf_put_cstr(n, wire_algorithms(b->end.wire))) == 0 &&
	    (r = buf_put_cstr(n, b->fingerprint)) == 0)
		r = end_send_frame(&b->end, LINK_NOTE, 0, buf_ptr(n), buf_len(n));
	buf_free(n);
	return r;
}

/* Encrypted: the vault sees the proof before it is asked for anything. */
static void
on_ready(void *arg, const uint8_t *session_id, size_t len)
{
	struct back *b = arg;
	int fd = b->agent_fd, r;

	if (note_connected(b) != 0) {
		give_up_host(b, LINK_END_INTERNAL, "the session could not be recorded");
		return;
	}
	r = back_host_bind(fd, (struct rd_str){ buf_ptr(b->key), buf_len(b->key) },
	    (struct rd_str){ session_id, len },
	    (struct rd_str){ buf_ptr(b->sig), buf_len(b->sig) });
	buf_free(b->key);
	buf_free(b->sig);
	b->key = b->sig = NULL;
	if (r == ERR_DENIED) {
		give_up_host(b, LINK_END_HOST_KEY, "the vault does not accept its host key");
		return;
	}
	b->agent_fd = -1;
	if (r != 0 || (r = wire_login(b->end.wire, b->plan.login, fd)) != 0) {
		log_warn("back.no_vault host=%s reason=\"%s\"", b->plan.host, err_str(r));
		give_up_host(b, LINK_END_LOGIN, "the vault does not answer");
	}
}

static void
login_failed(struct back *b, int err, const char *methods)
{
	char offers[200], text[600];

	str_escape(offers, sizeof(offers), methods, strlen(methods));
	log_notice("back.login_refused host=%s login=\"%s\" methods=\"%s\" reason=\"%s\"",
	    b->plan.host, b->plan.login, offers, err_str(err));
	if (err != ERR_DENIED) {
		give_up_host(b, LINK_END_LOGIN, "the vault gave no signature for the login");
		return;
	}
	(void)snprintf(text, sizeof(text),
	    "it refused the login of %s with the bastion's key (it offers %s): is the key in "
	    "authorized_keys there?",
	    b->plan.login, offers);
	give_up_host(b, LINK_END_LOGIN, text);
}

static void
on_login_done(void *arg, int err, const char *methods)
{
	static const uint8_t ready = LINK_NOTE_READY;
	struct back *b = arg;

	if (err != 0) {
		login_failed(b, err, methods != NULL ? methods : "");
		return;
	}
	b->in = true;
	loop_timer_disarm(b->timer);
	end_start_alive(&b->end, b->plan.alive_ns, b->plan.missed_max);
	if (end_send_frame(&b->end, LINK_NOTE, 0, &ready, 1) != 0 ||
	    ipc_pause(b->end.link, false) != 0)
		give_up_host(b, LINK_END_INTERNAL, "the session could not be recorded");
}

static void
on_banner(void *arg, const char *text, size_t len)
{
	struct back *b = arg;
	struct buf *n = buf_new(8192);

	if (len > 8000)
		len = 8000;
	if (n == NULL || buf_put_u8(n, LINK_NOTE_BANNER) != 0 || buf_put_str(n, text, len) != 0 ||
	    end_send_frame(&b->end, LINK_NOTE, 0, buf_ptr(n), buf_len(n)) != 0)
		log_debug("back.banner_lost host=%s", b->plan.host);
	buf_free(n);
}

static void
on_timer(void *arg)
{
	struct back *b = arg;

	give_up_host(b, LINK_END_CONNECT, "no answer in time");
}

/* Requests of a target that are the client's business; how a program ended has its own way in the engine. */
static enum mux_answer
on_request(void *arg, const struct mux_session *session, const struct mux_request *req)
{
	struct back *b = arg;

	if (rd_is(req->name, "eow@openssh.com"))
		return mux_shape(req->fields, "") ? MUX_PASS : MUX_REFUSE;
	if (rd_is(req->name, "xon-xoff"))
		return mux_shape(req->fields, "b") ? MUX_PASS : MUX_REFUSE;
	/* sshd asks so whether we live; any answer does. */
	if (!rd_is(req->name, "keepalive@openssh.com") &&
	    mux_note_refused(b->end.mux, session->id, req->name, "unknown request of the target") !=
		0)
		log_debug("back.note_lost");
	return MUX_REFUSE;
}

static const struct end_global_rule globals[] = {
	{ "keepalive@openssh.com", GLOBAL_QUIET },
	{ "hostkeys-00@openssh.com", GLOBAL_QUIET },
	{ NULL, GLOBAL_REFUSE },
};

/* Neither logs in here nor talks RFC 4252 to us: the wire keeps those to itself. */
static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	(void)len;
	log_debug("back.unexpected type=%u", msg[0]);
	give_up_host(arg, LINK_END_PROTOCOL, "unexpected message of the target");
}

static const struct end_conf end_conf = {
	.side = MUX_BACK,
	.wire = { .host_proof = on_host_proof,
	    .ready = on_ready,
	    .login_done = on_login_done,
	    .banner = on_banner },
	.message = on_message,
	.may_request = on_request,
	.globals = globals,
	.link_over = on_link_over,
	.peer_over = on_peer_over,
	.peer_silent = on_peer_silent,
};

/* The start. */

static int
start_wire(struct back *b, int fd)
{
	struct wire_conf conf = { .role = WIRE_CLIENT };
	char *algs = back_host_algs(&b->plan);
	int r = -ENOMEM;

	conf.host_key_algs = algs;
	if (algs != NULL)
		r = end_start_wire(&b->end, &conf, fd);
	free(algs);
	return r;
}

/* The sandbox closes between connecting and the first byte. Failure to close it ends the process. */
static int
connect_and_close(struct back *b)
{
	char why[700];
	int fd = -1, r;

	if (b->plan.n_pins == 0 && b->plan.n_cas == 0) {
		(void)snprintf(why, sizeof(why),
		    "host key of %s is not pinned: bastionctl hosts pin %s", b->plan.host,
		    b->plan.host);
		give_up(b, LINK_END_HOST_KEY, why);
		return 0;
	}
	r = back_connect(&b->plan, b->broker_fd, &fd, b->where, sizeof(b->where), why, sizeof(why));
	if (r != 0) {
		log_info("back.not_connected host=%s reason=\"%s\"", b->plan.host, err_str(r));
		give_up(b, LINK_END_CONNECT, why);
		return 0;
	}
	if ((r = b->close_sandbox()) != 0 || (r = start_wire(b, fd)) != 0)
		return r;
	b->end.close_ns = b->plan.close_ns;
	loop_timer_arm(b->timer, b->plan.timeout_ns);
	return 0;
}

static int
on_start(void *arg, struct ipc_msg *msg)
{
	struct back *b = arg;
	int r;

	ipc_set_state(b->broker, 1);
	if ((r = back_plan_parse(&b->plan, msg->data, msg->len)) != 0)
		return r;
	if ((r = end_start_link(&b->end, b->link_fd)) != 0)
		return r;
	b->link_fd = -1;
	/* Frames wait with the recorder until there is a target for them. */
	if ((r = ipc_pause(b->end.link, true)) != 0)
		return r;
	return connect_and_close(b);
}

static const struct ipc_rule broker_rules[] = {
	{ BRK_BACK_START, "START", 40, IPC_MAX, 0, 1u << 0, on_start },
};

static void
on_broker_gone(void *arg, int err)
{
	struct back *b = arg;

	ipc_free(b->broker);
	b->broker = NULL;
	if (err != ERR_PEER_GONE)
		log_err("back.failed reason=\"%s\"", err_str(err));
	give_up(b, LINK_END_INTERNAL, "the bastion is stopping");
}

int
back_init(struct back *b, const struct back_fds *fds, int (*close_sandbox)(void))
{
	const struct ipc_conf conf = {
		.name = "back-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = b,
		.gone = on_broker_gone,
	};
	int r;

	*b = (struct back){ .broker_fd = fds->broker,
		.link_fd = fds->link,
		.agent_fd = fds->agent,
		.close_sandbox = close_sandbox };
	if ((r = loop_new(&b->loop)) != 0 ||
	    (r = loop_timer_new(b->loop, on_timer, b, &b->timer)) != 0 ||
	    (r = end_init(&b->end, b->loop, &end_conf, b, MUX_CHANNELS_MAX)) != 0)
		return r;
	return ipc_new(b->loop, fds->broker, &conf, &b->broker);
}

void
back_done(struct back *b)
{
	end_done(&b->end);
	ipc_free(b->broker);
	loop_timer_free(b->timer);
	back_plan_done(&b->plan);
	buf_free(b->key);
	buf_free(b->sig);
	fd_close(&b->link_fd);
	fd_close(&b->agent_fd);
	loop_free(b->loop);
}
