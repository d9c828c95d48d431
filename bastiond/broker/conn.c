/* Connections: one front each, from accept to its end. */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

struct conn *
conn_find(struct wiring *w, uint32_t id)
{
	struct conn *c;

	LIST_FOREACH (c, &w->conns[id % WIRING_BUCKETS], by_id)
		if (c->id == id)
			return c;
	return NULL;
}

void
conn_free(struct conn *c)
{
	struct conn *jump;
	struct leg *l;

	while ((jump = LIST_FIRST(&c->jumps)) != NULL)
		jump_parent_gone(jump);
	while ((l = LIST_FIRST(&c->legs)) != NULL)
		leg_front_gone(l);
	auth_conn_gone(c->w, c->id);
	if (c->parent != NULL)
		LIST_REMOVE(c, of_parent);
	LIST_REMOVE(c, by_id);
	c->w->n_conns--;
	c->w->n_jumps -= c->is_jump;
	fd_close(&c->policy_fd);
	fd_close(&c->keys_fd);
	buf_free(c->target);
	limits_leave(c->w->limits, &c->ticket);
	process_free(c->front);
	ipc_free(c->edge);
	loop_timer_free(c->timer);
	free(c);
}

void
conn_tell_gone(struct conn *c)
{
	struct wiring *w = c->w;
	int r = 0;

	if (service_is_up(&w->policy) && c->policy_generation == w->policy.generation)
		r = ipc_send(w->policy.edge, POL_CONN_GONE, c->id, NULL, 0);
	if (service_is_up(&w->keys) && c->keys_generation == w->keys.generation)
		r |= ipc_send(w->keys.edge, KEYS_FRONT_GONE, c->id, NULL, 0);
	if (r != 0)
		log_debug("conn.tell_failed conn=%u", c->id); /* that service is ending */
}

static void
conn_charge(struct conn *c, enum penalty_kind kind)
{
	struct wiring *w = c->w;
	uint64_t left = 0;

	c->charged = true;
	if (penalty_add(w->penalty, w->settings, &c->peer.source, kind) &&
	    penalty_active(w->penalty, w->settings, &c->peer.source, &left))
		log_notice("penalty.refused source=%s last=%s for=%us", c->source,
		    penalty_kind_name(kind), (unsigned)(left / CLOCK_NS_PER_S));
}

/* A death that nobody here brought about. After login the kernel's lack of memory (SIGKILL) is nobody's attack. */
static bool
conn_crashed(const struct conn *c, int status)
{
	return WIFSIGNALED(status) && !process_was_killed(c->front) &&
	       !(c->authenticated && WTERMSIG(status) == SIGKILL);
}

static void
conn_charge_end(struct conn *c, int status)
{
	if (c->charged)
		return;
	if (conn_crashed(c, status))
		conn_charge(c, PENALTY_CRASH);
	else if (c->authenticated || c->excused)
		return;
	else if (c->is_jump && !c->failed)
		return; /* it is somebody who has logged in: asking twice, or not staying, is no attack */
	else if (c->grace_exceeded)
		conn_charge(c, PENALTY_GRACE);
	else
		conn_charge(c, c->failed ? PENALTY_AUTH_FAILURE : PENALTY_NO_AUTH);
}

static void
conn_audit_crash(struct conn *c, const char *how)
{
	struct json *e = json_event("front.crashed");

	json_put_u64(e, "conn", c->id);
	json_put_str(e, "source", c->source);
	json_put_str(e, "identity", c->identity[0] != '\0' ? c->identity : NULL);
	json_put_str(e, "reason", how);
	wiring_audit(c->w, e);
}

static void
conn_on_exit(void *arg, int status)
{
	struct conn *c = arg;
	struct wiring *w = c->w;
	char how[64];

	proc_status_text(how, sizeof(how), status);
	if (WIFSIGNALED(status) && !process_was_killed(c->front)) {
		log_err("front.crashed conn=%u source=%s identity=\"%s\" what=\"%s\" next=\"its "
			"sessions end; others go on\"",
		    c->id, c->source, c->identity, how);
		conn_audit_crash(c, how);
	} else {
		log_info("conn.ended conn=%u source=%s what=\"%s\"", c->id, c->source, how);
	}
	conn_charge_end(c, status);
	conn_tell_gone(c);
	c->front = NULL; /* freed by whoever called */
	conn_free(c);
	wiring_changed(w);
}

/* It sent what no honest front sends. Our own troubles with it are none of its lies. */
static void
conn_broke_rules(struct conn *c, int err)
{
	struct json *e;

	log_err(
	    "front.edge_broken conn=%u reason=\"%s\" next=\"it is killed\"", c->id, err_str(err));
	if (!wiring_is_lie(err))
		return;
	e = json_event("front.alarm");
	json_put_u64(e, "conn", c->id);
	json_put_str(e, "source", c->source);
	json_put_str(e, "identity", c->identity[0] != '\0' ? c->identity : NULL);
	json_put_str(e, "reason", "rules-broken");
	json_put_str(e, "detail", err_str(err));
	wiring_audit(c->w, e);
	conn_failed(c, POL_FAILURE_ALARM);
}

/* The front has closed its edge: it ends, or is made to. */
static void
conn_on_gone(void *arg, int err)
{
	struct conn *c = arg;

	if (err != ERR_PEER_GONE)
		conn_broke_rules(c, err);
	ipc_free(c->edge);
	c->edge = NULL;
	c->state = CONN_CLOSING;
	loop_timer_arm(c->timer, err == ERR_PEER_GONE ? WIRING_KILL_NS : 0);
}

void
conn_close(struct conn *c, const char *line)
{
	if (c->state == CONN_CLOSING)
		return;
	if (c->state < CONN_LOGIN) {
		jump_refuse(c, line);
		return;
	}
	c->state = CONN_CLOSING;
	if (c->edge == NULL || wiring_send_text(c->edge, BRK_FRONT_CLOSE, c->id, line) != 0)
		log_debug("conn.close_unheard conn=%u", c->id);
	loop_timer_arm(c->timer, WIRING_KILL_NS);
}

static void
conn_on_timer(void *arg)
{
	struct conn *c = arg;
	char line[80];

	if (c->state == CONN_CLOSING) {
		process_kill(c->front, SIGKILL);
		return;
	}
	if (c->state < CONN_LOGIN) {
		jump_refuse(c, "The bastion did not answer in time");
		return;
	}
	c->grace_exceeded = true;
	log_notice("conn.grace_exceeded conn=%u source=%s", c->id, c->source);
	if (str_format(line, sizeof(line), "Login took longer than %u seconds",
		(unsigned)(c->w->settings->grace_ns / CLOCK_NS_PER_S)) != 0)
		line[0] = '\0';
	conn_close(c, line);
}

static int
conn_put_keys(struct buf *b, const struct conn_host_keys *keys)
{
	int r = buf_put_u32(b, (uint32_t)keys->n);

	for (size_t i = 0; r == 0 && i < keys->n; i++)
		r = buf_put_str(b, keys->p[i], keys->len[i]);
	return r;
}

static int
conn_send_start(struct conn *c, const struct conn_host_keys *keys)
{
	const struct settings *s = c->w->settings;
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = conn_put_keys(b, keys)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)s->channels)) == 0 &&
	    (r = buf_put_u64(b, s->keepalive_ns)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)s->keepalive_missed)) == 0 &&
	    (r = buf_put_u64(b, s->rekey_bytes)) == 0 &&
	    (r = buf_put_u64(b, s->close_wait_ns)) == 0)
		r = ipc_send_buf(c->edge, BRK_FRONT_START, c->id, b);
	buf_free(b);
	return r;
}

static int
conn_tell_policy(struct conn *c, int fd)
{
	char source[NET_TEXT_SIZE], local[NET_TEXT_SIZE];
	struct buf *b = buf_new(256);
	int r = -ENOMEM;

	net_text(source, sizeof(source), &c->peer.source);
	net_text(local, sizeof(local), &c->peer.local);
	if (b != NULL && (r = buf_put_cstr(b, source)) == 0 &&
	    (r = buf_put_u32(b, c->peer.source_port)) == 0 && (r = buf_put_cstr(b, local)) == 0 &&
	    (r = buf_put_u32(b, c->peer.local_port)) == 0)
		r = ipc_send_fds(
		    c->w->policy.edge, POL_CONN, c->id, buf_ptr(b), buf_len(b), &fd, 1);
	buf_free(b);
	if (r == 0)
		c->policy_generation = c->w->policy.generation;
	return r;
}

int
conn_tell_keys(struct conn *c, int fd, bool in)
{
	static const uint8_t own[8] = { 0 }; /* no target, no names */
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_u8(b, in)) == 0 &&
	    (r = c->target != NULL ? buf_put(b, buf_ptr(c->target), buf_len(c->target))
				   : buf_put(b, own, sizeof(own))) == 0)
		r = ipc_send_fds(
		    c->w->keys.edge, KEYS_FRONT, c->id, buf_ptr(b), buf_len(b), &fd, 1);
	buf_free(b);
	if (r == 0)
		c->keys_generation = c->w->keys.generation;
	return r;
}

static int
conn_spawn(struct conn *c, int edge, int client, int policy, int keys)
{
	const int fds[] = { edge, client, policy, keys };
	struct proc_spec spec = { .fds = fds, .n_fds = 4 };

	programs_spec(c->w->conf.programs, PROGRAM_FRONT, &spec);
	return process_start(c->w->conf.loop, c->w->conf.ops, &spec, conn_on_exit, c, &c->front);
}

static int
conn_on_jump(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct conn *c = arg;
	const uint8_t *host;
	uint32_t port;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_str(b, &host, &len)) == 0 &&
	    (r = buf_get_u32(b, &port)) == 0 && (r = buf_end(b)) == 0)
		r = jump_ask(c, msg->id, host, len, port);
	buf_free(b);
	return r;
}

static int
conn_on_shell(void *arg, struct ipc_msg *msg)
{
	(void)msg;
	return shell_ask(arg);
}

static const struct ipc_rule front_rules[] = {
	{ BRK_FRONT_JUMP, "jump", 8, IPC_MAX, 0, IPC_ANY_STATE, conn_on_jump },
	{ BRK_FRONT_SHELL, "shell", 0, 0, 0, IPC_ANY_STATE, conn_on_shell },
};

int
conn_run(struct conn *c, const struct conn_host_keys *keys, int client, int policy, int keys_fd)
{
	const struct ipc_conf edge = { .name = "front",
		.rules = front_rules,
		.n_rules = sizeof(front_rules) / sizeof(front_rules[0]),
		.arg = c,
		.gone = conn_on_gone };
	int own[2] = { -1, -1 }, r;

	if ((r = ipc_pair(own)) != 0 ||
	    (r = ipc_new(c->w->conf.loop, own[0], &edge, &c->edge)) != 0)
		goto out;
	own[0] = -1;
	if ((r = conn_send_start(c, keys)) == 0)
		r = conn_spawn(c, own[1], client, policy, keys_fd);
out:
	fd_close(&own[0]);
	fd_close(&own[1]);
	return r;
}

/* The front and its three edges; the front comes last, so that there is none on failure. */
static int
conn_start(struct conn *c, int client)
{
	const struct conn_host_keys host = { { c->w->host_key }, { c->w->host_key_len }, 1 };
	int policy[2] = { -1, -1 }, keys[2] = { -1, -1 }, r;

	if ((r = ipc_pair(policy)) != 0 || (r = ipc_pair(keys)) != 0)
		goto out;
	if ((r = conn_tell_policy(c, policy[0])) != 0 ||
	    (r = conn_tell_keys(c, keys[0], false)) != 0 ||
	    (r = conn_run(c, &host, client, policy[1], keys[1])) != 0)
		conn_tell_gone(c);
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&policy[i]);
		fd_close(&keys[i]);
	}
	return r;
}

const char *
conn_refusal(const struct wiring *w, const char **ret_name)
{
	const struct {
		bool is;
		const char *name, *line;
	} rows[] = {
		{ w->phase != WIRING_RUNS, "stopping", "The bastion is shutting down" },
		{ !service_is_ready(&w->recorder), "recorder",
		    "Nobody is let in while sessions cannot be recorded: the recorder is "
		    "starting" },
		{ heart_is_slow(w), "recorder",
		    "Nobody is let in while sessions cannot be recorded: the recorder does not "
		    "answer" },
		{ w->health == REC_HEALTH_FAILED, "recorder",
		    "Nobody is let in while sessions cannot be recorded: the recorder has failed" },
		{ w->health == REC_HEALTH_NO_NEW, "recorder",
		    "Nobody is let in while sessions cannot be recorded: there is no room for "
		    "recordings" },
		{ !service_is_ready(&w->policy), "policy",
		    "Nobody is let in at the moment: the policy is being loaded" },
		{ !service_is_ready(&w->keys), "keys",
		    "Nobody is let in at the moment: the key vault is starting" },
		{ wiring_vault_locked(w), "vault_locked",
		    "Nobody is let in at the moment: the key vault is locked" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is) {
			*ret_name = rows[i].name;
			return rows[i].line;
		}
	return NULL;
}

static uint32_t
conn_next_id(struct wiring *w)
{
	do
		w->last_conn++;
	while (w->last_conn == 0 || conn_find(w, w->last_conn) != NULL);
	return w->last_conn;
}

struct conn *
conn_new(struct wiring *w, const struct wiring_peer *peer)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct conn){ .w = w,
		.peer = *peer,
		.since_ns = clock_wall_ns(),
		.state = CONN_LOGIN,
		.policy_fd = -1,
		.keys_fd = -1 };
	if (loop_timer_new(w->conf.loop, conn_on_timer, c, &c->timer) != 0) {
		free(c);
		return NULL;
	}
	c->id = conn_next_id(w);
	LIST_INIT(&c->legs);
	LIST_INIT(&c->jumps);
	net_port_text(c->source, sizeof(c->source), &peer->source, peer->source_port);
	LIST_INSERT_HEAD(&w->conns[c->id % WIRING_BUCKETS], c, by_id);
	w->n_conns++;
	return c;
}

static void
conn_tune_socket(int fd)
{
	int on = 1;

	/* Both only make things better: a socket that refuses works as well. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
wiring_accept(struct wiring *w, int fd, const struct wiring_peer *peer, const char **ret_line,
    const char **ret_name)
{
	enum limits_verdict v;
	struct conn *c;
	int r;

	if ((*ret_line = conn_refusal(w, ret_name)) != NULL)
		return ERR_DENIED;
	v = limits_check(w->limits, w->settings, &peer->source);
	if (v != LIMITS_OK) {
		*ret_line = limits_text(v);
		*ret_name = limits_name(v);
		return ERR_DENIED;
	}
	if ((c = conn_new(w, peer)) == NULL)
		return -ENOMEM;
	limits_enter(w->limits, w->settings, &peer->source, &c->ticket);
	conn_tune_socket(fd);
	if ((r = conn_start(c, fd)) != 0) {
		conn_free(c);
		return r;
	}
	loop_timer_arm(c->timer, w->settings->grace_ns);
	log_info(
	    "conn.opened conn=%u source=%s front=%d", c->id, c->source, (int)process_pid(c->front));
	fd_close(&fd);
	return 0;
}

/* From now on the vault signs rekeys. One that does not know the connection gets to know it as one that is in. */
static void
conn_tell_in(struct conn *c)
{
	struct wiring *w = c->w;

	if (service_is_up(&w->keys) && c->keys_generation == w->keys.generation &&
	    ipc_send(w->keys.edge, KEYS_FRONT_IN, c->id, NULL, 0) != 0)
		log_debug("conn.tell_failed conn=%u", c->id); /* that service is ending */
}

void
conn_authenticated(struct conn *c, const uint8_t *identity, size_t len)
{
	if (c->state != CONN_LOGIN)
		return;
	c->state = CONN_IN;
	c->authenticated = true;
	str_escape(c->identity, sizeof(c->identity), identity, len);
	loop_timer_disarm(c->timer);
	limits_logged_in(c->w->limits, &c->ticket);
	conn_tell_in(c);
	log_notice(
	    "conn.authenticated conn=%u source=%s identity=\"%s\"", c->id, c->source, c->identity);
}

void
conn_failed(struct conn *c, unsigned kind)
{
	c->failed = true;
	if (kind == POL_FAILURE_ALARM && !c->charged) {
		log_err(
		    "conn.alarm conn=%u source=%s identity=\"%s\"", c->id, c->source, c->identity);
		conn_charge(c, PENALTY_ALARM);
	}
	/* Whoever lied once gets no second chance: its sessions end, and what it still holds is worth nothing. */
	if (kind == POL_FAILURE_ALARM)
		conn_close(c, "The bastion has ended this connection");
}

/* Every connection; fn may free it. */
static void
conn_each(struct wiring *w, void (*fn)(struct conn *c, const void *arg), const void *arg)
{
	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		struct conn *c = LIST_FIRST(&w->conns[i]);

		while (c != NULL) {
			struct conn *next = LIST_NEXT(c, by_id);

			fn(c, arg);
			c = next;
		}
	}
}

static void
conn_close_login(struct conn *c, const void *line)
{
	c->policy_generation = 0;
	if (c->authenticated)
		return;
	c->excused = true;
	conn_close(c, line);
}

/* Those that are logged in keep running; a login that was under way is lost with the policy that knew of it. */
void
conn_policy_down(struct wiring *w)
{
	conn_each(w, conn_close_login, "The bastion's policy was restarted: please connect again");
}

static void
conn_new_keys_edge(struct conn *c, const void *arg)
{
	int pair[2], r;

	(void)arg;
	if (c->state < CONN_LOGIN || c->state == CONN_CLOSING || c->edge == NULL ||
	    c->keys_generation == c->w->keys.generation || (r = ipc_pair(pair)) != 0)
		return;
	if ((r = conn_tell_keys(c, pair[0], c->authenticated)) == 0)
		r = ipc_send_fds(c->edge, BRK_FRONT_KEYS, c->id, NULL, 0, &pair[1], 1);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	if (r != 0) /* it can still work, but not exchange keys again */
		log_warn("conn.no_vault conn=%u reason=\"%s\"", c->id, err_str(r));
}

void
conn_keys_ready(struct wiring *w)
{
	conn_each(w, conn_new_keys_edge, NULL);
}

static void
conn_close_excused(struct conn *c, const void *line)
{
	c->excused = true;
	conn_close(c, line);
}

void
conn_close_all(struct wiring *w, const char *line)
{
	conn_each(w, conn_close_excused, line);
}

static void
conn_kill(struct conn *c, const void *arg)
{
	(void)arg;
	if (c->state < CONN_LOGIN)
		jump_refuse(c, "The bastion is shutting down");
	else
		process_kill(c->front, SIGKILL);
}

void
conn_kill_all(struct wiring *w)
{
	conn_each(w, conn_kill, NULL);
}

void
conn_give_link(struct conn *c, uint32_t leg, int fd)
{
	int r = ERR_PEER_GONE;

	if (c->edge != NULL)
		r = ipc_send_fds(c->edge, BRK_FRONT_LINK, leg, NULL, 0, &fd, 1);
	if (r != 0)
		log_debug("conn.link_unheard conn=%u leg=%u", c->id, leg);
}

void
conn_refuse_leg(struct conn *c, uint32_t leg, const char *line)
{
	if (c->edge == NULL || wiring_send_text(c->edge, BRK_FRONT_REFUSED, leg, line) != 0)
		log_debug("conn.refusal_unheard conn=%u leg=%u", c->id, leg);
}
