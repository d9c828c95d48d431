/* Jumps: from a connection that is logged in without a host to a connection of its own for one host (ssh -J). */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/jump.h"
#include "policy/serve_int.h"

#define ANSWER_MAX 4096u
#define HOST_SHOWN 300u /* bytes of a host's name in the log, escaped */

/* The message, taken apart; leads into it. */
struct jump_ask {
	uint32_t conn, port;
	const uint8_t *host;
	size_t len;
};

static int
get_ask(const struct ipc_msg *msg, struct jump_ask *ask)
{
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &ask->conn)) == 0 &&
	    (r = buf_get_str(b, &ask->host, &ask->len)) == 0 &&
	    (r = buf_get_u32(b, &ask->port)) == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

/* What the outer login is worth now, and whether the host is one of theirs. 0; ERR_DENIED with *ret_reason; -ENOMEM. */
static int
judge(struct serve_conn *c, const struct pass *pass, const struct jump_ask *ask,
    struct jump_target *ret_target, const char **ret_reason)
{
	const struct auth_scene scene = serve_conn_scene(c);
	struct access_person who;
	struct proof proof;
	int r = proof_read(&proof, &scene, pass, NULL);

	*ret_reason = proof.reason;
	if (r == 0) {
		who = proof_person(&proof, &scene);
		r = jump_resolve(scene.set->model, ask->host, ask->len, ask->port, who.users[0],
		    &who, ret_target, ret_reason);
	}
	proof_done(&proof);
	return r;
}

static int
answer(struct serve_conn *c, const struct jump_target *t)
{
	struct buf *b = buf_new(ANSWER_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u8(b, 1)) == 0 && (r = buf_put_cstr(b, t->host)) == 0)
		r = buf_put_u32(b, (uint32_t)t->n_names);
	for (size_t i = 0; r == 0 && i < t->n_names; i++)
		r = buf_put_cstr(b, t->names[i]);
	if (r == 0)
		r = ipc_send_buf(c->s->broker, POL_JUMPED, c->id, b);
	buf_free(b);
	return r;
}

void
serve_jump_refused(struct serve_conn *c)
{
	struct serve *s = c->s;
	struct buf *b = buf_new(ANSWER_MAX);

	if (b == NULL || buf_put_u8(b, 0) != 0 || buf_put_cstr(b, JUMP_REFUSED) != 0)
		log_err("policy.reply_failed conn=%u", c->id); /* the broker's own time ends it */
	else
		serve_tell(s, POL_JUMPED, c->id, b);
	buf_free(b);
	serve_conn_remove(s, c);
}

/* Nobody learns from the time it takes which kind of no this is. */
static void
refuse(
    struct serve_conn *c, const struct pass *pass, const struct jump_ask *ask, const char *reason)
{
	struct audit_conn where = serve_conn_where(c);
	const char *who = pass->identity[0] != '\0' ? pass->identity : NULL;
	char shown[HOST_SHOWN], *text = NULL;
	size_t len = 0;
	int r = audit_jump(
	    &where, who, ask->host, ask->len, ask->port, reason, clock_wall_ns(), &text, &len);

	str_escape(shown, sizeof(shown), ask->host, ask->len);
	log_notice("jump.denied conn=%u through=%u ref=%s from=%s identity=%s host=\"%s\" port=%u "
		   "reason=%s",
	    c->id, c->through, c->ref, c->source_text, who != NULL ? who : "-", shown, ask->port,
	    reason);
	serve_audit(c->s, r, text, len);
	hash_sha256(ask->host, ask->len, c->auth.pin);
	c->refused = true;
	loop_timer_arm(c->timer, serve_failure_delay(c));
}

/* Everything that it has from the one it runs through. */
static void
take_outer(struct serve_conn *c, const struct serve_conn *outer)
{
	c->source = outer->source;
	c->source_port = outer->source_port;
	memcpy(c->source_text, outer->source_text, sizeof(c->source_text));
	memcpy(c->local_text, outer->local_text, sizeof(c->local_text));
	memcpy(c->through_ref, outer->ref, sizeof(c->through_ref));
}

static int
take_pass(struct serve_conn *c, const struct pass *pass, const struct jump_target *target)
{
	int r = pass_copy(&c->pass, pass);

	memcpy(c->pass.host, target->host, sizeof(c->pass.host));
	c->pass.port = target->port;
	return r;
}

int
serve_jump(struct serve *s, struct ipc_msg *msg)
{
	static const struct pass none;
	const struct pass *pass = &none;
	struct serve_conn *outer;
	struct jump_target target;
	struct serve_conn *c = NULL;
	struct jump_ask ask;
	const char *reason = NULL;
	int r;

	if ((r = get_ask(msg, &ask)) != 0 || (r = serve_conn_new(s, msg, &c)) != 0)
		return r;
	c->arrived_ns = clock_boot_ns();
	c->through = ask.conn;
	outer = serve_conn_find(s, ask.conn);
	if (outer != NULL && outer != c)
		take_outer(c, outer);
	/* A jump's own pass is for its host alone. */
	if (outer != NULL && outer->through == 0)
		pass = &outer->pass;
	/* A pass is there before the front hears that anybody is in: one that asks without it did not wait for that. */
	if (outer != NULL && outer != c && pass->identity[0] == '\0')
		serve_conn_alarm(outer, "not-logged-in", "it asked for a jump");
	r = judge(c, pass, &ask, &target, &reason);
	if (r == 0 && (r = take_pass(c, pass, &target)) == 0) {
		c->auth.jump = &c->pass;
		r = answer(c, &target);
	}
	if (r != 0)
		refuse(c, pass, &ask, r == ERR_DENIED ? reason : err_str(r));
	return 0;
}
