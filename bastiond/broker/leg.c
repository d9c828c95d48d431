/* Legs: one grant, one recording, one back. Nothing of a grant leaves before the recorder has opened the session. */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
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

#define LEG_KILL_MAX 1024u /* bytes of a line for the user and who */

struct leg *
leg_find(struct wiring *w, uint32_t id)
{
	struct leg *l;

	LIST_FOREACH (l, &w->legs[id % WIRING_BUCKETS], by_id)
		if (l->id == id)
			return l;
	return NULL;
}

struct leg *
leg_find_sid(struct wiring *w, const uint8_t sid[REC_SID_LEN])
{
	struct leg *l;

	for (size_t i = 0; i < WIRING_BUCKETS; i++)
		LIST_FOREACH (l, &w->legs[i], by_id)
			if (l->has_sid && memcmp(l->sid, sid, REC_SID_LEN) == 0)
				return l;
	return NULL;
}

/* What of the grant was not handed out is gone for good. */
static void
leg_drop_parts(struct leg *l)
{
	fd_close(&l->front_link);
	fd_close(&l->back_link);
	buf_free(l->vault_part);
	buf_free(l->back_part);
	l->vault_part = l->back_part = NULL;
}

void
leg_free(struct leg *l)
{
	if (l->conn != NULL)
		LIST_REMOVE(l, of_conn);
	LIST_REMOVE(l, by_id);
	l->w->n_legs--;
	leg_drop_parts(l);
	shell_forget(l);
	process_free(l->back);
	ipc_free(l->edge);
	loop_timer_free(l->timer);
	free(l);
}

/* The grant is void: policy and vault hear it, each once. */
static void
leg_void(struct leg *l)
{
	struct wiring *w = l->w;
	int r = 0;

	if (service_is_up(&w->policy) && l->policy_generation == w->policy.generation)
		r = ipc_send(w->policy.edge, POL_LEG_GONE, l->id, NULL, 0);
	if (service_is_up(&w->keys) && l->keys_generation == w->keys.generation)
		r |= ipc_send(w->keys.edge, KEYS_BACK_GONE, l->id, NULL, 0);
	l->policy_generation = l->keys_generation = 0;
	if (r != 0)
		log_debug("leg.tell_failed leg=%u", l->id); /* that service is ending */
}

/* Whoever waits for this leg's link: the connection's front, or its shell. */
static void
leg_refuse(struct conn *c, uint32_t via, uint32_t id, const char *line)
{
	struct leg *shell = via != 0 ? shell_find(c->w, via, c) : NULL;

	if (via == 0)
		conn_refuse_leg(c, id, line);
	else if (shell != NULL)
		shell_refuse_leg(shell, id, line);
}

/* It is over for us: what was not handed out is closed, and who waits for a link is told why there is none. */
static void
leg_end(struct leg *l, const char *line)
{
	if (l->state == LEG_OPENING && l->conn != NULL && line != NULL)
		leg_refuse(l->conn, l->via, l->id, line);
	l->state = LEG_OVER;
	leg_drop_parts(l);
	leg_void(l);
}

/* Free it once nobody is left who would speak of it. */
static void
leg_settle(struct leg *l)
{
	struct wiring *w = l->w;

	if (l->recorded || l->back != NULL)
		return;
	leg_end(l, NULL);
	leg_free(l);
	wiring_changed(w);
}

static void
leg_let_back_end(struct leg *l, uint64_t in_ns)
{
	if (l->back != NULL && !loop_timer_armed(l->timer))
		loop_timer_arm(l->timer, in_ns);
}

static void
leg_on_timer(void *arg)
{
	struct leg *l = arg;

	log_warn("back.slow_end leg=%u next=\"it is killed\"", l->id);
	process_kill(l->back, SIGKILL);
}

static void
leg_audit_crash(struct leg *l, const char *how)
{
	struct json *e = json_event("back.crashed");
	char sid[2 * REC_SID_LEN + 1];

	json_put_u64(e, "leg", l->id);
	json_put_str(e, "session", l->has_sid ? str_hex(sid, l->sid, REC_SID_LEN) : NULL);
	json_put_str(e, "reason", how);
	wiring_audit(l->w, e);
}

static void
leg_on_back_exit(void *arg, int status)
{
	struct leg *l = arg;
	char how[64];

	proc_status_text(how, sizeof(how), status);
	if (WIFSIGNALED(status) && !process_was_killed(l->back)) {
		log_err("back.crashed leg=%u what=\"%s\" next=\"its session ends; others go on\"",
		    l->id, how);
		leg_audit_crash(l, how);
	} else {
		log_info("back.ended leg=%u what=\"%s\"", l->id, how);
	}
	l->back = NULL; /* freed by whoever called */
	ipc_free(l->edge);
	l->edge = NULL;
	loop_timer_disarm(l->timer);
	leg_end(l, NULL);
	leg_settle(l);
}

/* The one at the other end of the leg's client is not charged: whoever broke into a back came from the target. */
static void
leg_broke_rules(struct leg *l, int err)
{
	char sid[2 * REC_SID_LEN + 1];
	struct json *e;

	log_err("back.edge_broken leg=%u reason=\"%s\" next=\"it is killed\"", l->id, err_str(err));
	if (!wiring_is_lie(err))
		return;
	e = json_event("back.alarm");
	json_put_u64(e, "leg", l->id);
	json_put_str(e, "session", l->has_sid ? str_hex(sid, l->sid, REC_SID_LEN) : NULL);
	json_put_str(e, "reason", "rules-broken");
	json_put_str(e, "detail", err_str(err));
	wiring_audit(l->w, e);
}

static void
leg_on_back_gone(void *arg, int err)
{
	struct leg *l = arg;

	if (err != ERR_PEER_GONE)
		leg_broke_rules(l, err);
	ipc_free(l->edge);
	l->edge = NULL;
	loop_timer_disarm(l->timer);
	leg_let_back_end(l, err == ERR_PEER_GONE ? WIRING_KILL_NS : 0);
}

static struct leg *
leg_new(struct conn *c, const struct leg_order *o)
{
	struct wiring *w = c->w;
	struct leg *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	*l = (struct leg){ .w = w,
		.id = o->id,
		.conn = c,
		.kind = o->kind,
		.via = o->via,
		.front_link = -1,
		.back_link = -1 };
	if (loop_timer_new(w->conf.loop, leg_on_timer, l, &l->timer) != 0) {
		free(l);
		return NULL;
	}
	l->policy_generation = w->policy.generation;
	LIST_INSERT_HEAD(&w->legs[o->id % WIRING_BUCKETS], l, by_id);
	LIST_INSERT_HEAD(&c->legs, l, of_conn);
	w->n_legs++;
	return l;
}

static int
leg_put_words(struct buf *b, const struct settings_words *words)
{
	int r = buf_put_u32(b, (uint32_t)words->n);

	for (size_t i = 0; r == 0 && i < words->n; i++)
		r = buf_put_cstr(b, words->text[i]);
	return r;
}

/* REC_OPEN with the recorder's ends of both links; the other ends stay with us. */
static int
leg_ask_recorder(struct leg *l, const uint8_t *meta, size_t meta_len)
{
	int front[2] = { -1, -1 }, back[2] = { -1, -1 }, r = -ENOMEM;
	struct buf *b = buf_new(IPC_MAX);

	if (b == NULL || (r = buf_put_u32(b, l->conn->id)) != 0 ||
	    (r = buf_put_str(b, meta, meta_len)) != 0 ||
	    (r = leg_put_words(b, &l->w->settings->env)) != 0 || (r = ipc_pair(front)) != 0 ||
	    (r = ipc_pair(back)) != 0)
		goto out;
	r = ipc_send_fds(l->w->recorder.edge, REC_OPEN, l->id, buf_ptr(b), buf_len(b),
	    (const int[]){ front[1], back[1] }, 2);
	if (r == 0) {
		l->recorded = true;
		l->front_link = front[0];
		l->back_link = back[0];
		front[0] = back[0] = -1;
	}
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&front[i]);
		fd_close(&back[i]);
	}
	buf_free(b);
	return r;
}

/* Why this connection gets no leg now; NULL: it does. */
static const char *
leg_refusal(const struct wiring *w, const struct conn *c)
{
	const struct leg *l;
	size_t n = 0;

	if (!service_is_ready(&w->recorder))
		return "sessions cannot be recorded at the moment: the recorder is being started "
		       "again";
	if (w->health != REC_HEALTH_OK)
		return "sessions cannot be recorded at the moment";
	LIST_FOREACH (l, &c->legs, of_conn)
		n++;
	return n >= WIRING_LEGS_MAX ? "too many targets on one connection" : NULL;
}

int
leg_grant(struct wiring *w, const struct leg_order *o, struct buf *vault, struct buf *back)
{
	struct conn *c = conn_find(w, o->conn);
	const char *line = NULL;
	struct leg *l = NULL;
	int r = 0;

	if (o->id <= w->last_leg) {
		r = ERR_ORDER;
		goto out;
	}
	w->last_leg = o->id;
	if (c == NULL || c->state != CONN_IN || (o->via != 0 && shell_find(w, o->via, c) == NULL)) {
		r = ipc_send(w->policy.edge, POL_LEG_GONE, o->id, NULL, 0);
		goto out;
	}
	if ((line = leg_refusal(w, c)) == NULL && (l = leg_new(c, o)) == NULL)
		line = "out of memory";
	if (l == NULL) {
		leg_refuse(c, o->via, o->id, line);
		r = ipc_send(w->policy.edge, POL_LEG_GONE, o->id, NULL, 0);
		goto out;
	}
	l->vault_part = vault;
	l->back_part = back;
	vault = back = NULL;
	if (leg_ask_recorder(l, o->meta, o->meta_len) != 0) {
		leg_end(l, "the recorder cannot be asked");
		leg_settle(l);
	}
out:
	buf_free(vault);
	buf_free(back);
	return r;
}

static int
leg_put_texts(struct buf *b, char texts[][NET_PORT_TEXT_SIZE], size_t n)
{
	int r = buf_put_u32(b, (uint32_t)n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = buf_put_cstr(b, texts[i]);
	return r;
}

static int
leg_send_start(struct leg *l)
{
	struct wiring *w = l->w;
	struct settings *s = w->settings;
	struct buf *b = buf_new(IPC_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_str(b, buf_ptr(l->back_part), buf_len(l->back_part))) == 0 &&
	    (r = leg_put_texts(b, w->own, w->n_own)) == 0 &&
	    (r = leg_put_texts(b, s->denied.text, s->denied.n)) == 0 &&
	    (r = buf_put_u64(b, s->keepalive_ns)) == 0 &&
	    (r = buf_put_u32(b, (uint32_t)s->keepalive_missed)) == 0 &&
	    (r = buf_put_u64(b, s->connect_timeout_ns)) == 0 &&
	    (r = buf_put_u64(b, s->close_wait_ns)) == 0)
		r = ipc_send_buf(l->edge, BRK_BACK_START, l->id, b);
	buf_free(b);
	return r;
}

static int
leg_tell_keys(struct leg *l, int agent)
{
	struct wiring *w = l->w;
	int r;

	if (!service_is_ready(&w->keys) || w->host_key_len == 0)
		return ERR_ORDER;
	r = ipc_send_fds(w->keys.edge, KEYS_BACK, l->id, buf_ptr(l->vault_part),
	    buf_len(l->vault_part), &agent, 1);
	if (r == 0)
		l->keys_generation = w->keys.generation;
	return r;
}

static int
leg_spawn_back(struct leg *l, int edge, int agent)
{
	const int fds[] = { edge, l->back_link, agent };
	struct proc_spec spec = { .fds = fds, .n_fds = 3 };

	programs_spec(l->w->conf.programs, PROGRAM_BACK, &spec);
	return process_start(l->w->conf.loop, l->w->conf.ops, &spec, leg_on_back_exit, l, &l->back);
}

/* Vault and back get their parts. The back comes last: on failure there is none. */
static int
leg_start_back(struct leg *l)
{
	struct ipc_conf edge = { .name = "back", .arg = l, .gone = leg_on_back_gone };
	int own[2] = { -1, -1 }, agent[2] = { -1, -1 }, r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, agent) != 0)
		return -errno;
	if ((r = ipc_pair(own)) != 0 ||
	    (r = ipc_new(l->w->conf.loop, own[0], &edge, &l->edge)) != 0)
		goto out;
	own[0] = -1;
	if ((r = leg_send_start(l)) == 0 && (r = leg_tell_keys(l, agent[0])) == 0)
		r = leg_spawn_back(l, own[1], agent[1]);
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&own[i]);
		fd_close(&agent[i]);
	}
	return r;
}

/* The session is on disk: everybody gets their part. */
static int
leg_release(struct leg *l)
{
	int r = l->kind == POL_BACK_SHELL ? shell_start(l, leg_on_back_exit, leg_on_back_gone)
					  : leg_start_back(l);

	if (r != 0)
		return r;
	l->state = LEG_RUNNING;
	if (l->via == 0)
		conn_give_link(l->conn, l->id, l->front_link);
	else
		shell_give_link(shell_find(l->w, l->via, l->conn), l->id, l->front_link);
	leg_drop_parts(l);
	return 0;
}

/* Whether somebody still wants its link. */
static bool
leg_is_wanted(const struct leg *l)
{
	return l->conn->state == CONN_IN &&
	       (l->via == 0 || shell_find(l->w, l->via, l->conn) != NULL);
}

void
leg_opened(struct leg *l, const uint8_t sid[REC_SID_LEN])
{
	char text[2 * REC_SID_LEN + 1];
	int r;

	if (l->has_sid || !l->recorded) {
		log_err("leg.opened_twice leg=%u", l->id);
		return;
	}
	l->has_sid = true;
	memcpy(l->sid, sid, REC_SID_LEN);
	str_hex(text, sid, REC_SID_LEN);
	/* Nobody wants it any more: both link ends are closed, and the recorder ends the session itself. */
	if (l->state == LEG_OPENING && !leg_is_wanted(l))
		leg_end(l, NULL);
	if (l->state == LEG_OVER)
		return;
	if ((r = leg_release(l)) != 0) {
		log_err("leg.not_started leg=%u session=%s reason=\"%s\" next=\"the session ends\"",
		    l->id, text, err_str(r));
		ipc_free(l->edge);
		l->edge = NULL;
		leg_end(l, "the bastion could not start this session");
		return;
	}
	log_notice("session.opened session=%s leg=%u conn=%u identity=\"%s\" back=%d", text, l->id,
	    l->conn->id, l->conn->identity, (int)process_pid(l->back));
}

void
leg_refused(struct leg *l, const char *line)
{
	l->recorded = false;
	leg_end(l, line);
	leg_settle(l);
}

void
leg_closed(struct leg *l)
{
	char text[2 * REC_SID_LEN + 1];

	log_notice("session.closed session=%s leg=%u", str_hex(text, l->sid, REC_SID_LEN), l->id);
	l->recorded = false;
	leg_end(l, NULL);
	leg_let_back_end(l, WIRING_LINGER_NS);
	leg_settle(l);
}

void
leg_front_gone(struct leg *l)
{
	LIST_REMOVE(l, of_conn);
	l->conn = NULL;
	if (l->state == LEG_OPENING)
		leg_end(l, NULL);
	/* The recorder tells the back; one that stays although it should have heard is ended. */
	leg_let_back_end(l, l->w->settings->stall_timeout_ns + WIRING_LINGER_NS);
}

/* Every leg; fn may free it. */
static void
leg_each(struct wiring *w, void (*fn)(struct leg *l))
{
	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		struct leg *l = LIST_FIRST(&w->legs[i]);

		while (l != NULL) {
			struct leg *next = LIST_NEXT(l, by_id);

			fn(l);
			l = next;
		}
	}
}

static void
leg_lose_recorder(struct leg *l)
{
	l->recorded = false;
	leg_end(l, "the recorder stopped before this session began");
	leg_let_back_end(l, WIRING_LINGER_NS);
	leg_settle(l);
}

void
leg_recorder_down(struct wiring *w)
{
	leg_each(w, leg_lose_recorder);
}

static void
leg_lose_policy(struct leg *l)
{
	l->policy_generation = 0;
	if (l->state == LEG_OPENING)
		leg_end(l, "the bastion's policy was restarted before this session began");
	leg_settle(l);
}

void
leg_policy_down(struct wiring *w)
{
	leg_each(w, leg_lose_policy);
}

int
leg_ask_end(struct leg *l, const char *line, const char *who)
{
	struct buf *b = buf_new(LEG_KILL_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_cstr(b, line)) == 0 && (r = buf_put_cstr(b, who)) == 0)
		r = ipc_send_buf(l->w->recorder.edge, REC_KILL, l->id, b);
	buf_free(b);
	return r;
}

void
leg_end_by_policy(struct leg *l, const char *line)
{
	int r = 0;

	if (l->state == LEG_OPENING)
		leg_end(l, line); /* the recorder, if it knows of it, sees both links close */
	else if (l->recorded && service_is_ready(&l->w->recorder))
		r = leg_ask_end(l, line, "policy");
	if (r != 0)
		log_err("leg.not_ended leg=%u reason=\"%s\"", l->id, err_str(r));
}

static void
leg_kill(struct leg *l)
{
	process_kill(l->back, SIGKILL);
	leg_settle(l);
}

void
leg_kill_all(struct wiring *w)
{
	leg_each(w, leg_kill);
}
