/* Fronts: one login each, one request at a time, failures answered no sooner than the others. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/serve_int.h"

#define REPLY_MAX 4096u
#define GRANT_MAX IPC_MAX
#define CHANNELS_ALLOWED 0u /* in a success: the front's own limit holds */

static void conn_step(struct serve_conn *c, const uint8_t *msg, size_t len);

struct serve_conn *
serve_conn_find(struct serve *s, uint32_t id)
{
	struct serve_conn *c;

	LIST_FOREACH (c, &s->conns[id % SERVE_BUCKETS], link)
		if (c->id == id)
			return c;
	return NULL;
}

struct audit_conn
serve_conn_where(const struct serve_conn *c)
{
	return (struct audit_conn){ c->id, c->ref, c->source_text, c->local_text, c->through,
		c->through_ref };
}

void
serve_conn_event(struct serve_conn *c, const char *event, const char *reason, const char *detail)
{
	struct audit_conn w = serve_conn_where(c);
	char *text = NULL;
	size_t len = 0;
	int r = audit_conn(&w, &c->auth, event, reason, detail, clock_wall_ns(), &text, &len);

	log_notice(
	    "%s conn=%u ref=%s from=%s reason=%s", event, c->id, c->ref, c->source_text, reason);
	serve_audit(c->s, r, text, len);
}

void
serve_conn_alarm(struct serve_conn *c, const char *reason, const char *detail)
{
	serve_conn_event(c, "front.alarm", reason, detail);
	serve_charge(c->s, c->id, POL_FAILURE_ALARM);
}

/* Answers. */

static void
reply_send(struct serve_conn *c)
{
	int r;

	if (c->front != NULL) {
		ipc_set_state(c->front, c->reply_ends ? SERVE_FRONT_OVER : SERVE_FRONT_IDLE);
		/* A front that is gone is heard of from its edge as well. */
		if ((r = ipc_send_buf(c->front, POL_AUTH_REPLY, 0, c->reply)) != 0)
			log_info("policy.reply_lost conn=%u reason=\"%s\"", c->id, err_str(r));
	}
	buf_free(c->reply);
	c->reply = NULL;
}

/*
 * Failures take a time of their own for each name, always the same, and longer than the work that any of them makes: when
 * the work took longer all the same, the next multiple.
 */
uint64_t
serve_failure_delay(const struct serve_conn *c)
{
	uint8_t hash[HASH_LEN];
	uint64_t span, spent = clock_boot_ns() - c->arrived_ns;
	uint32_t part;

	hash_sha256_parts(
	    c->s->secret, sizeof(c->s->secret), c->auth.pin, sizeof(c->auth.pin), NULL, 0, hash);
	memcpy(&part, hash, sizeof(part));
	span = SERVE_DELAY_MIN_NS + part / 1000;
	if (spent > SERVE_DELAY_MAX_NS)
		return 0;
	while (span < spent)
		span *= 2;
	return span - spent;
}

static int
reply_put(const struct auth_result *r, const struct serve_conn *c, struct buf *b)
{
	const struct access *a = &r->access;
	int e = buf_put_u8(b, (uint8_t)r->answer);

	if (e != 0)
		return e;
	switch (r->answer) {
	case POL_AUTH_SUCCESS:
		if ((e = buf_put_cstr(b, c->auth.pass.identity)) != 0 ||
		    (e = buf_put_cstr(b, a->outcome == ACCESS_ALLOWED ? a->host_name : "")) != 0 ||
		    (e = buf_put_cstr(b, c->ref)) != 0)
			return e;
		return buf_put_u32(b, CHANNELS_ALLOWED);
	case POL_AUTH_FAILURE:
		if ((e = buf_put_cstr(b, r->methods)) != 0 ||
		    (e = buf_put_u8(b, r->partial ? 1 : 0)) != 0)
			return e;
		return buf_put_cstr(b, r->text);
	case POL_AUTH_CLOSE:
		return buf_put_cstr(b, r->line);
	case POL_AUTH_PK_OK:
		break;
	}
	return 0;
}

static void
reply(struct serve_conn *c, const struct auth_result *r)
{
	c->reply = buf_new(REPLY_MAX);
	if (c->reply == NULL || reply_put(r, c, c->reply) != 0) {
		/* Without an answer the front waits; without its edge it ends. */
		log_err("policy.reply_failed conn=%u", c->id);
		buf_free(c->reply);
		c->reply = NULL;
		ipc_free(c->front);
		c->front = NULL;
		return;
	}
	c->reply_ends = c->auth.over;
	if (r->delay)
		loop_timer_arm(c->timer, serve_failure_delay(c));
	else
		reply_send(c);
}

/* Grants. */

/* What a success without the means to keep it becomes. */
static void
take_back(struct auth_result *r, const char *reason, const char *line)
{
	r->answer = POL_AUTH_CLOSE;
	r->event = "auth.denied";
	r->reason = reason;
	(void)snprintf(r->line, sizeof(r->line), "%s", line);
}

static int
grant_send(struct serve_conn *c, const struct leg *leg, const struct leg_terms *terms)
{
	struct buf *b = buf_new(GRANT_MAX);
	int e = -ENOMEM;

	if (b != NULL && (e = leg_put_grant(leg, c->auth.claim, terms, b)) == 0)
		e = ipc_send_buf(c->s->broker, POL_GRANT, leg->id, b);
	buf_free(b);
	return e;
}

static int
authenticated_send(struct serve_conn *c)
{
	struct buf *b = buf_new(NAMES_FIELD_SIZE + 4);
	int e = -ENOMEM;

	if (b != NULL && (e = buf_put_cstr(b, c->auth.pass.identity)) == 0)
		e = ipc_send_buf(c->s->broker, POL_AUTHENTICATED, c->id, b);
	buf_free(b);
	return e;
}

/* *ret_leg: number of the leg that was granted, 0 for a login without a host. */
static int
grant(struct serve_conn *c, const struct auth_scene *scene, const struct auth_result *r,
    uint32_t *ret_leg)
{
	const struct leg_terms terms = { &c->auth.pass, &r->proof, &r->access };
	struct serve *s = c->s;
	struct leg *leg = NULL;
	int e;

	if (r->access.outcome != ACCESS_ALLOWED)
		return authenticated_send(c);
	if (s->next_leg == UINT32_MAX)
		return ERR_LIMIT;
	if ((e = leg_new(s->next_leg, c->id, c->ref, c->source_text, scene, &terms, &leg)) != 0)
		return e;
	if ((e = serve_leg_add(s, leg)) != 0) {
		leg_free(leg);
		return e;
	}
	if ((e = authenticated_send(c)) != 0 || (e = grant_send(c, leg, &terms)) != 0) {
		serve_leg_gone(s, leg->id);
		return e;
	}
	*ret_leg = s->next_leg++;
	return 0;
}

static void
result_event(struct serve_conn *c, const struct auth_result *r, uint64_t now_ns, uint32_t leg)
{
	struct audit_conn w = serve_conn_where(c);
	char *text = NULL;
	size_t len = 0;
	int e;

	if (r->event == NULL)
		return;
	if (r->answer == POL_AUTH_SUCCESS)
		c->s->n_allowed++;
	else if (!r->partial)
		c->s->n_denied++;
	log_notice("%s conn=%u ref=%s from=%s claim=\"%s\" identity=%s host=%s reason=%s", r->event,
	    c->id, c->ref, c->source_text, c->auth.claim,
	    r->access.user != NULL ? r->access.user->name : "-",
	    r->access.host_name[0] != '\0' ? r->access.host_name : "-",
	    r->reason != NULL ? r->reason : "-");
	e = audit_auth(&w, &c->auth, r, now_ns, leg, &text, &len);
	serve_audit(c->s, e, text, len);
}

/* Who is in without a host may go on to one (ssh -J) with what they showed. */
static int
keep_pass(struct serve_conn *c, const struct auth_result *r)
{
	if (r->access.outcome != ACCESS_NO_HOST)
		return 0;
	pass_done(&c->pass);
	return pass_copy(&c->pass, &c->auth.pass);
}

static void
conn_finish(struct serve_conn *c, const struct auth_scene *scene, struct auth_result *r)
{
	uint32_t leg = 0;
	int e = 0;

	if (r->answer == POL_AUTH_SUCCESS && c->s->recorder == NULL)
		take_back(r, "no-recorder",
		    "The bastion cannot record at the moment, so nobody is let in; try again "
		    "later");
	else if (r->answer == POL_AUTH_SUCCESS && (e = keep_pass(c, r)) == 0)
		e = grant(c, scene, r, &leg);
	if (e != 0) {
		log_err("policy.grant_failed conn=%u reason=\"%s\"", c->id, err_str(e));
		take_back(r, "no-grant", "The bastion could not open a session; try again later");
	}
	result_event(c, r, scene->now_ns, leg);
	serve_charge(c->s, c->id, r->charge);
	reply(c, r);
}

/* Requests. */

static int
wait_for_session_id(struct serve_conn *c, const uint8_t *msg, size_t len)
{
	if ((c->waiting = malloc(len)) == NULL)
		return -ENOMEM;
	memcpy(c->waiting, msg, len);
	c->waiting_len = len;
	loop_timer_arm(c->timer, SERVE_SID_WAIT_NS);
	return 0;
}

struct auth_scene
serve_conn_scene(const struct serve_conn *c)
{
	return (struct auth_scene){
		.set = c->s->set,
		.session_id = c->sid_len > 0 ? c->sid : NULL,
		.session_id_len = c->sid_len,
		.source = c->source,
		.now_ns = clock_wall_ns(),
		.newest_s = serve_newest_s(c->s),
		.ref = c->ref,
	};
}

/* The request could not be judged. */
static void
conn_failed(struct serve_conn *c, struct auth_result *r, int err)
{
	log_err("policy.request_failed conn=%u reason=\"%s\"", c->id, err_str(err));
	c->auth.over = true;
	take_back(r, "failed", "The bastion failed to check the login; try again later");
	r->delay = false;
	reply(c, r);
}

static int
conn_ask_pam(struct serve_conn *c)
{
	char target[2 * NAMES_FIELD_SIZE];

	return serve_pam_start(
	    &c->pam, c, c->auth.asked, auth_target(&c->auth, target), c->auth.pass.identity);
}

static void
conn_step(struct serve_conn *c, const uint8_t *msg, size_t len)
{
	const struct auth_scene scene = serve_conn_scene(c);
	struct auth_result r;
	int e = auth_step(&c->auth, &scene, msg, len, &r);

	c->abandonable = r.has_request &&
			 strcmp(r.request.method, set_method_name(SET_KEYBOARD_INTERACTIVE)) == 0;
	if (e == -EAGAIN)
		e = wait_for_session_id(c, msg, len);
	else if (e == 0 && r.ask)
		e = conn_ask_pam(c);
	else if (e == 0)
		conn_finish(c, &scene, &r);
	if (e != 0)
		conn_failed(c, &r, e);
	auth_result_done(&r);
}

/* What is denied now is answered as late as any other failure: how long PAM took is PAM's. */
static void
on_pam_done(struct serve_pam *p, const struct auth_pam *pam)
{
	struct serve_conn *c = serve_conn_find(p->s, p->conn);
	const struct auth_scene scene = serve_conn_scene(c);
	struct auth_result r;
	int e;

	c->arrived_ns = clock_boot_ns();
	if ((e = auth_pam(&c->auth, &scene, pam, &r)) == 0)
		conn_finish(c, &scene, &r);
	else
		conn_failed(c, &r, e);
	auth_result_done(&r);
}

/* The client has gone on to something else. An answer that crossed it is none of its business any more. */
static int
on_abandon(void *arg, struct ipc_msg *msg)
{
	static const struct auth_pam left = {
		.result = POL_PAM_ABANDONED, .stage = "", .said = "", .user = "", .subject = ""
	};
	struct serve_conn *c = arg;

	(void)msg;
	if (!c->abandonable)
		return ERR_ORDER;
	c->abandonable = false;
	if (!c->auth.asking)
		return 0;
	serve_pam_stop(&c->pam);
	on_pam_done(&c->pam, &left);
	return 0;
}

static int
on_request(void *arg, struct ipc_msg *msg)
{
	struct serve_conn *c = arg;

	c->arrived_ns = clock_boot_ns();
	ipc_set_state(c->front, SERVE_FRONT_BUSY);
	conn_step(c, msg->data, msg->len);
	return 0;
}

static const struct ipc_rule front_rules[] = {
	{ POL_AUTH_REQUEST, "auth-request", 1, REQUEST_MAX, 0, 1u << SERVE_FRONT_IDLE, on_request },
	{ POL_AUTH_ABANDON, "auth-abandon", 0, 0, 0, IPC_ANY_STATE, on_abandon },
};

/* A reply is due, or the vault still owes the session id of somebody who signed with it. */
static void
on_timer(void *arg)
{
	struct serve_conn *c = arg;
	struct auth_result r = { .answer = POL_AUTH_CLOSE };

	if (c->refused) {
		serve_jump_refused(c);
		return;
	}
	if (c->reply != NULL) {
		reply_send(c);
		return;
	}
	if (c->waiting == NULL)
		return;
	free(c->waiting);
	c->waiting = NULL;
	c->auth.over = true;
	serve_conn_alarm(c, "no-session-id", "evidence without a key exchange");
	take_back(
	    &r, "no-session-id", "The bastion lost this connection's key exchange; try again");
	reply(c, &r);
}

static void
on_front_gone(void *arg, int err)
{
	struct serve_conn *c = arg;

	if (err != ERR_PEER_GONE)
		serve_conn_alarm(c, "rules-broken", err_str(err));
	ipc_free(c->front);
	c->front = NULL;
	/* What it asked before is nobody's any more: neither a late session id nor what PAM comes to may let it in. */
	free(c->waiting);
	c->waiting = NULL;
	serve_pam_stop(&c->pam);
}

void
serve_conn_session_id(struct serve *s, uint32_t id, const uint8_t *sid, size_t len)
{
	struct serve_conn *c = serve_conn_find(s, id);
	uint8_t *waiting;

	if (c == NULL) {
		struct serve_early *e = &s->early[s->next_early++ % SERVE_EARLY_MAX];

		e->conn = id;
		e->len = len;
		memcpy(e->sid, sid, len);
		return;
	}
	/* Only the first one is the session's. A vault that was started anew may be told the same of it, and nothing else. */
	if (c->sid_len > 0) {
		serve_conn_alarm(c, "second-session-id", "another first key exchange");
		return;
	}
	memcpy(c->sid, sid, len);
	c->sid_len = len;
	if ((waiting = c->waiting) == NULL)
		return;
	c->waiting = NULL;
	loop_timer_disarm(c->timer);
	conn_step(c, waiting, c->waiting_len);
	free(waiting);
}

static void
take_early(struct serve *s, struct serve_conn *c)
{
	for (size_t i = 0; i < SERVE_EARLY_MAX; i++)
		if (s->early[i].conn == c->id) {
			memcpy(c->sid, s->early[i].sid, s->early[i].len);
			c->sid_len = s->early[i].len;
			s->early[i] = (struct serve_early){ 0 };
			return;
		}
}

/* string address, u32 port, as text and as what they are. */
static int
get_address(struct buf *b, char *text, size_t size, struct net_addr *ret_addr, uint16_t *ret_port)
{
	char address[NET_TEXT_SIZE];
	struct net_addr a;
	uint32_t port;
	int r;

	if ((r = buf_get_cstr(b, address, sizeof(address))) != 0 ||
	    (r = buf_get_u32(b, &port)) != 0)
		return r;
	if (port > UINT16_MAX || net_parse(address, &a) != 0)
		return ERR_FORMAT;
	net_port_text(text, size, &a, (uint16_t)port);
	*ret_addr = a;
	*ret_port = (uint16_t)port;
	return 0;
}

static void
conn_free(struct serve_conn *c)
{
	ipc_free(c->front);
	loop_timer_free(c->timer);
	buf_free(c->reply);
	free(c->waiting);
	serve_pam_free(&c->pam);
	auth_done(&c->auth);
	pass_done(&c->pass);
	free(c);
}

static int
conn_read(struct serve_conn *c, const struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	struct net_addr local;
	uint16_t port;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = get_address(
		 b, c->source_text, sizeof(c->source_text), &c->source, &c->source_port)) == 0 &&
	    (r = get_address(b, c->local_text, sizeof(c->local_text), &local, &port)) == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

int
serve_conn_new(struct serve *s, struct ipc_msg *msg, struct serve_conn **ret_conn)
{
	struct serve_conn *c;
	struct ipc_conf conf = { .name = "policy-front",
		.rules = front_rules,
		.n_rules = sizeof(front_rules) / sizeof(front_rules[0]),
		.gone = on_front_gone };
	int r;

	if (serve_conn_find(s, msg->id) != NULL)
		return ERR_EXISTS;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return -ENOMEM;
	c->s = s;
	c->id = msg->id;
	conf.arg = c;
	serve_pam_init(&c->pam, s, c->id, 0, on_pam_done);
	serve_make_ref(c->ref);
	if ((r = loop_timer_new(s->loop, on_timer, c, &c->timer)) != 0 ||
	    (r = ipc_new(s->loop, msg->fds[0], &conf, &c->front)) != 0) {
		conn_free(c);
		return r;
	}
	msg->fds[0] = -1;
	take_early(s, c);
	LIST_INSERT_HEAD(&s->conns[c->id % SERVE_BUCKETS], c, link);
	s->n_conns++;
	*ret_conn = c;
	return 0;
}

void
serve_conn_remove(struct serve *s, struct serve_conn *c)
{
	LIST_REMOVE(c, link);
	s->n_conns--;
	conn_free(c);
}

int
serve_conn_add(struct serve *s, struct ipc_msg *msg)
{
	struct serve_conn *c = NULL;
	int r = serve_conn_new(s, msg, &c);

	if (r == 0 && (r = conn_read(c, msg)) != 0)
		serve_conn_remove(s, c);
	return r;
}

void
serve_conn_gone(struct serve *s, uint32_t id)
{
	struct serve_conn *c = serve_conn_find(s, id);

	if (c == NULL)
		return;
	if (c->auth.asking)
		serve_conn_event(c, "auth.abandoned", "pam-abandoned", c->auth.asked);
	else if (c->auth.offered && !c->auth.over)
		serve_conn_event(c, "auth.abandoned", "offered-only", c->auth.offered_fingerprint);
	serve_conn_remove(s, c);
}

void
serve_conns_free(struct serve *s)
{
	for (size_t i = 0; i < SERVE_BUCKETS; i++) {
		struct serve_conn *next;

		for (struct serve_conn *c = LIST_FIRST(&s->conns[i]); c != NULL; c = next) {
			next = LIST_NEXT(c, link);
			conn_free(c);
		}
		LIST_INIT(&s->conns[i]);
	}
	s->n_conns = 0;
}
