/*
 * Connections within connections (ssh -J): policy says which host is meant, the vault gives that host's key, and a front of its own
 * then serves what the outer front relays. Nothing here looks into those bytes, and no outer front holds anything of an inner one.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>

#include "bastiond/broker/broker_proto.h"
#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"

const char *
jump_target(const struct conn *c, char *dst, size_t size)
{
	struct buf *b = c->target != NULL ? buf_view(buf_ptr(c->target), buf_len(c->target)) : NULL;
	const uint8_t *p;
	size_t len;

	dst[0] = '\0';
	if (b != NULL && buf_get_str(b, &p, &len) == 0)
		str_escape(dst, size, p, len);
	buf_free(b);
	return dst;
}

static void
jump_answer_refused(struct conn *parent, uint32_t number, const char *line)
{
	if (parent->edge == NULL ||
	    wiring_send_text(parent->edge, BRK_FRONT_JUMP_REFUSED, number, line) != 0)
		log_debug("jump.refusal_unheard conn=%u", parent->id);
}

void
jump_refuse(struct conn *c, const char *line)
{
	struct wiring *w = c->w;

	log_info("jump.refused conn=%u through=%u source=%s reason=\"%s\"", c->id,
	    c->parent != NULL ? c->parent->id : 0, c->source, line);
	if (c->parent != NULL)
		jump_answer_refused(c->parent, c->number, line);
	conn_tell_gone(c);
	conn_free(c);
	wiring_changed(w);
}

void
jump_parent_gone(struct conn *c)
{
	LIST_REMOVE(c, of_parent);
	c->parent = NULL;
	conn_close(c, "The connection that this one runs through is over");
}

/* Why this connection gets no jump now; NULL: it does. */
static const char *
jump_refusal(struct conn *parent)
{
	struct wiring *w = parent->w;
	const struct conn *c;
	enum limits_verdict v;
	const char *line, *name;
	size_t n = 0;

	if ((line = conn_refusal(w, &name)) != NULL)
		return line;
	if (parent->state == CONN_CLOSING)
		return "The connection is about to end";
	if (parent->policy_generation != w->policy.generation)
		return "The bastion's policy was restarted: please connect again";
	LIST_FOREACH (c, &parent->jumps, of_parent)
		n++;
	v = limits_check_jump(w->limits, w->settings, n, WIRING_LEGS_MAX);
	return v != LIMITS_OK ? limits_text(v) : NULL;
}

static struct conn *
jump_new(struct conn *parent, uint32_t number)
{
	struct conn *c = conn_new(parent->w, &parent->peer);

	if (c == NULL)
		return NULL;
	c->state = CONN_ASKS_POLICY;
	c->is_jump = true;
	c->number = number;
	c->parent = parent;
	c->w->n_jumps++;
	LIST_INSERT_HEAD(&parent->jumps, c, of_parent);
	limits_enter_jump(c->w->limits, &c->ticket);
	loop_timer_arm(c->timer, c->w->settings->grace_ns);
	return c;
}

static int
jump_ask_policy(struct conn *c, const uint8_t *host, size_t len, uint32_t port)
{
	struct buf *b = buf_new(WIRING_JUMP_HOST_MAX + 16);
	int pair[2] = { -1, -1 }, r = -ENOMEM;

	if (b == NULL || (r = buf_put_u32(b, c->parent->id)) != 0 ||
	    (r = buf_put_str(b, host, len)) != 0 || (r = buf_put_u32(b, port)) != 0 ||
	    (r = ipc_pair(pair)) != 0)
		goto out;
	r = ipc_send_fds(c->w->policy.edge, POL_JUMP, c->id, buf_ptr(b), buf_len(b), &pair[0], 1);
	if (r == 0) {
		c->policy_generation = c->w->policy.generation;
		c->policy_fd = pair[1];
		pair[1] = -1;
	}
out:
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	buf_free(b);
	return r;
}

int
jump_ask(struct conn *parent, uint32_t number, const uint8_t *host, size_t len, uint32_t port)
{
	const char *line;
	struct conn *c;

	/* Who is logged in to a host has nothing to jump from. */
	if (parent->is_jump)
		return ERR_ORDER;
	line = jump_refusal(parent);
	if (line == NULL && len > WIRING_JUMP_HOST_MAX)
		line = "No host has a name that long";
	if (line != NULL) {
		jump_answer_refused(parent, number, line);
		return 0;
	}
	/* Whether the parent is logged in is asked of policy too: its word to us may still be on the way. */
	if ((c = jump_new(parent, number)) == NULL) {
		jump_answer_refused(parent, number, "The bastion is out of memory");
		return 0;
	}
	if (jump_ask_policy(c, host, len, port) != 0)
		jump_refuse(c, "The bastion's policy cannot be asked");
	return 0;
}

static int
jump_ask_vault(struct conn *c)
{
	int pair[2], r;

	if (!service_is_ready(&c->w->keys) || c->w->host_key_len == 0)
		return ERR_ORDER;
	if ((r = ipc_pair(pair)) != 0)
		return r;
	if ((r = conn_tell_keys(c, pair[0], false)) == 0) {
		c->state = CONN_ASKS_VAULT;
		c->keys_fd = pair[1];
		pair[1] = -1;
	}
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return r;
}

/* A copy of "string host, u32 n, n strings", checked. */
static int
jump_take_target(struct conn *c, struct buf *b)
{
	const uint8_t *whole = buf_ptr(b), *p;
	size_t whole_len = buf_len(b), len;
	uint32_t n;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0 || (r = buf_get_u32(b, &n)) != 0)
		return r;
	if (len == 0)
		return ERR_FORMAT; /* that would be the bastion's own key */
	for (; n > 0; n--)
		if ((r = buf_get_str(b, &p, &len)) != 0)
			return r;
	if ((r = buf_end(b)) != 0)
		return r;
	if ((c->target = buf_new(whole_len)) == NULL)
		return -ENOMEM;
	return buf_put(c->target, whole, whole_len);
}

/* Policy has refused and forgotten it. Somebody who only ever asks is told to stop. */
static int
jump_denied(struct conn *c, struct buf *b)
{
	struct conn *parent = c->parent;
	const uint8_t *p;
	char line[512];
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0 || (r = buf_end(b)) != 0)
		return r;
	str_escape(line, sizeof(line), p, len);
	c->policy_generation = 0;
	jump_refuse(c, line);
	if (++parent->n_jumps_refused >= WIRING_JUMPS_REFUSED_MAX)
		conn_close(parent, "Too many hosts were asked for that are not open to you");
	return 0;
}

int
jump_resolved(struct conn *c, struct buf *b)
{
	uint8_t good;
	int r;

	if (c->state != CONN_ASKS_POLICY)
		return ERR_ORDER;
	if ((r = buf_get_u8(b, &good)) != 0 || good > 1)
		return r != 0 ? r : ERR_FORMAT;
	if (good == 0)
		return jump_denied(c, b);
	r = jump_take_target(c, b);
	if (r == -ENOMEM) {
		jump_refuse(c, "The bastion is out of memory");
		return 0;
	}
	if (r == 0 && jump_ask_vault(c) != 0)
		jump_refuse(c, "The bastion's key vault cannot be asked at the moment");
	return r;
}

/* The front, and the other end of its client's socket for the parent's. */
static int
jump_start(struct conn *c, const struct conn_host_keys *keys)
{
	int client[2], r;

	if (c->parent->state != CONN_IN || c->parent->edge == NULL)
		return ERR_ORDER;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client) != 0)
		return -errno;
	if ((r = conn_run(c, keys, client[1], c->policy_fd, c->keys_fd)) == 0) {
		c->state = CONN_LOGIN;
		fd_close(&c->policy_fd);
		fd_close(&c->keys_fd);
		/* Unheard: the parent is about to go, and with it this one. */
		if (ipc_send_fds(
			c->parent->edge, BRK_FRONT_JUMPED, c->number, NULL, 0, &client[0], 1) != 0)
			conn_close(c, "The connection that this one runs through is over");
	}
	fd_close(&client[0]);
	fd_close(&client[1]);
	return r;
}

int
jump_keyed(struct conn *c, struct buf *b)
{
	char target[WIRING_TARGET_SIZE];
	struct conn_host_keys keys = { .n = 1 };
	int r;

	if (c->state != CONN_ASKS_VAULT)
		return ERR_ORDER;
	if ((r = buf_get_str(b, &keys.p[0], &keys.len[0])) != 0 ||
	    (r = buf_get_str(b, &keys.p[1], &keys.len[1])) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (keys.len[0] == 0) {
		c->keys_generation = 0;
		jump_refuse(c, "The bastion has no key to stand for this host at the moment");
		return 0;
	}
	keys.n += keys.len[1] > 0;
	if ((r = jump_start(c, &keys)) != 0) {
		log_err("jump.not_started conn=%u reason=\"%s\"", c->id, err_str(r));
		ipc_free(c->edge);
		c->edge = NULL;
		jump_refuse(c, "The bastion could not start this connection");
		return 0;
	}
	log_info("conn.jump conn=%u through=%u source=%s target=\"%s\" front=%d", c->id,
	    c->parent->id, c->source, jump_target(c, target, sizeof(target)),
	    (int)process_pid(c->front));
	return 0;
}

void
jump_keys_down(struct wiring *w)
{
	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		struct conn *c = LIST_FIRST(&w->conns[i]);

		while (c != NULL) {
			struct conn *next = LIST_NEXT(c, by_id);

			if (c->state == CONN_ASKS_VAULT)
				jump_refuse(c, "The bastion's key vault was restarted: try again");
			c = next;
		}
	}
}
