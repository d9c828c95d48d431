/* The edges to broker and policy, and the moment between recording and releasing. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/crypt.h"
#include "recorder/recorder.h"

#define TICK_NS CLOCK_NS_PER_S
#define STOP_WAIT_NS (5 * CLOCK_NS_PER_S)
#define ROTATE_AGAIN_NS (60 * CLOCK_NS_PER_S) /* after a rollover that could not begin */
/* Bytes of record after which the space is looked at, however soon: far fewer than the store holds in reserve. */
#define MEASURE_BYTES (1u << 20)

void
recorder_tell(struct recorder *rec, uint16_t type, uint32_t id, const void *data, size_t len)
{
	/* The broker is the one destination that is no end of a leg. */
	if (release_add(rec->out, NULL, type, id, data, len) != 0)
		recorder_fail(rec, -ENOMEM, "telling the broker");
}

void
recorder_tell_now(struct recorder *rec, uint16_t type, uint32_t id, const void *data, size_t len)
{
	if (rec->broker != NULL && ipc_send(rec->broker, type, id, data, len) != 0)
		log_debug("recorder.broker_gone"); /* its edge ends by itself */
}

static void
tell_text(struct recorder *rec, uint16_t type, uint32_t id, int first, const char *text)
{
	struct buf *b = buf_new(1024);

	if (b != NULL && (first < 0 || buf_put_u8(b, (uint8_t)first) == 0) &&
	    buf_put_cstr(b, text) == 0)
		recorder_tell_now(rec, type, id, buf_ptr(b), buf_len(b));
	buf_free(b);
}

void
recorder_set_health(struct recorder *rec, enum rec_health health, const char *text)
{
	if (health == rec->health && strcmp(text, rec->health_text) == 0)
		return;
	rec->health = health;
	if (str_copy(rec->health_text, sizeof(rec->health_text), text) != 0)
		rec->health_text[0] = '\0';
	if (health == REC_HEALTH_OK)
		log_notice("recorder.health state=ok");
	else
		log_err("recorder.health state=%s text=\"%s\"",
		    health == REC_HEALTH_NO_NEW ? "no-new" : "failed", text);
	tell_text(rec, REC_HEALTH, 0, (int)health, rec->health_text);
}

void
recorder_fail(struct recorder *rec, int err, const char *what)
{
	char text[RECORDER_TEXT_MAX];
	struct leg *leg;

	if (rec->failed)
		return;
	rec->failed = true;
	rec->exit_code = 1;
	if (str_format(text, sizeof(text),
		"%s failed: %s. Nothing is released any more; look at the disk and the kernel's "
		"log, then start again",
		what, err_str(err)) != 0)
		text[sizeof(text) - 1] = '\0';
	recorder_set_health(rec, REC_HEALTH_FAILED, text);
	TAILQ_FOREACH (leg, &rec->legs, link)
		leg_abandon(leg);
	/* One more pass, so that these words leave; see recorder_after_pass(). */
	loop_timer_arm(rec->stop_timer, 0);
}

void
recorder_wake(struct recorder *rec)
{
	rec->fresh = true;
	if (rec->pending_since_ns == 0)
		rec->pending_since_ns = clock_boot_ns();
}

static void
release_one(void *arg, const struct release_item *item)
{
	struct recorder *rec = arg;

	if (item->to != NULL)
		leg_release(item);
	else
		recorder_tell_now(rec, item->type, item->id, item->data, item->len);
}

static void
end_all(struct recorder *rec, uint8_t code, const char *text)
{
	struct leg *leg;

	TAILQ_FOREACH (leg, &rec->legs, link)
		leg_end(leg, code, text, "");
}

static void
commit(struct recorder *rec)
{
	uint64_t from = clock_boot_ns(), took;
	size_t written = chain_pending(rec->chain);
	int r = chain_commit(rec->chain, false);

	if (r != 0) {
		recorder_fail(rec, r, "making the record durable");
		return;
	}
	took = clock_boot_ns() - from;
	commit_done(&rec->commit, from + took);
	commit_times_add(&rec->times, took);
	rec->pending_since_ns = 0;
	rec->fresh = false;
	loop_timer_disarm(rec->commit_timer);
	release_all(rec->out, release_one, rec);
	leg_settle(rec);
	keep_committed(rec);
	if ((rec->unmeasured += written) >= MEASURE_BYTES)
		recorder_check_space(rec);
	if (took > rec->stall_timeout_ns) {
		log_err("recorder.stalled for_ms=%llu next=\"running sessions are ended\"",
		    (unsigned long long)(took / CLOCK_NS_PER_MS));
		end_all(rec, LINK_END_RECORDER,
		    "the session was ended: the bastion's disk did not answer for too long");
	}
}

/*
 * Bytes that wait for the next commit: to be written, or to be let go by it. Of files' contents only hashes are written, and
 * yet all of it waits here.
 */
static size_t
waiting(const struct recorder *rec)
{
	size_t pending = chain_pending(rec->chain), held = release_bytes(rec->out);

	return pending > held ? pending : held;
}

void
recorder_relieve(struct recorder *rec)
{
	if (!rec->failed && waiting(rec) >= COMMIT_BYTES)
		commit(rec);
}

/*
 * Everything that was ready has been read once. Look again before a commit, so that it serves
 * whoever came meanwhile; a pass that finds nothing costs a microsecond, a commit a hundred.
 */
static bool
recorder_after_pass(void *arg)
{
	struct recorder *rec = arg;
	uint64_t now, wait;

	if (rec->failed)
		return false;
	/* What is hidden leaves no word of its own: all that is said of it is durable already. */
	if (!chain_is_dirty(rec->chain) && release_bytes(rec->out) > 0) {
		release_all(rec->out, release_one, rec);
		leg_settle(rec);
	}
	if (!chain_is_dirty(rec->chain))
		return false;
	now = clock_boot_ns();
	if (rec->fresh && waiting(rec) < COMMIT_BYTES &&
	    now - rec->pending_since_ns < COMMIT_DRAIN_NS) {
		rec->fresh = false;
		return true;
	}
	wait = commit_wait(&rec->commit, now, waiting(rec));
	if (wait == 0)
		commit(rec);
	else if (!loop_timer_armed(rec->commit_timer))
		loop_timer_arm(rec->commit_timer, wait);
	return false;
}

/* The commit itself is made after the pass that this ends. */
static void
on_commit_timer(void *arg)
{
	struct recorder *rec = arg;

	rec->fresh = false;
}

/* Nobody commits now: signed heads of sessions that fell silent, and the last commit's sync. */
static void
settle(struct recorder *rec)
{
	int r;

	if (chain_wants_heads(rec->chain) && (r = chain_commit(rec->chain, true)) != 0)
		recorder_fail(rec, r, "signing the heads of sessions");
	else if ((r = chain_sync(rec->chain)) != 0)
		recorder_fail(rec, r, "making the record durable");
}

/* The age counts over restarts, so by the wall clock; from there on time goes as it goes. */
static void
plan_rotation(struct recorder *rec)
{
	uint64_t age = chain_key_age(rec->chain);

	rec->rotate_at_ns = clock_boot_ns() + (age < rec->epoch_ns ? rec->epoch_ns - age : 0);
}

static void
rotate_if_due(struct recorder *rec)
{
	uint64_t now = clock_boot_ns();
	int r;

	/* On a full disk what room there is belongs to the ends of sessions. */
	if (rec->epoch_ns == 0 || now < rec->rotate_at_ns || rec->frozen)
		return;
	if ((r = chain_rotate(rec->chain)) == 0) {
		rec->rotate_at_ns = now + rec->epoch_ns;
		log_notice("recorder.key_replaced");
		recorder_wake(rec);
	} else if (chain_failed(rec->chain) != 0) {
		recorder_fail(rec, r, "replacing the signing key");
	} else {
		rec->rotate_at_ns = now + ROTATE_AGAIN_NS;
		log_err(
		    "recorder.key_not_replaced reason=\"%s\" next=\"the old one stays in force; "
		    "tried again in a minute\" do=\"look at sign.key and its disk\"",
		    err_str(r));
	}
}

/* Commits that this makes durable have reached the disk before: an old checkpoint would look like an edited log. */
void
recorder_push(struct recorder *rec, bool last)
{
	uint64_t now = clock_boot_ns(), n = chain_n_signed(rec->chain);
	struct buf *b;
	int r;

	if (rec->checkpoint_every_ns == 0 || rec->failed || n == 0 || n == rec->n_checkpointed ||
	    (!last && now < rec->checkpoint_at_ns))
		return;
	if ((r = chain_sync(rec->chain)) != 0) {
		recorder_fail(rec, r, "making the record durable");
		return;
	}
	if ((b = buf_new(REC_META_MAX)) == NULL || (r = chain_checkpoint(rec->chain, b)) != 0) {
		log_err("recorder.checkpoint_not_sent reason=\"%s\" next=\"the next one\"",
		    err_str(b == NULL ? -ENOMEM : r));
	} else {
		recorder_tell_now(rec, REC_CHECKPOINT, 0, buf_ptr(b), buf_len(b));
		rec->n_checkpointed = n;
		rec->checkpoint_at_ns = now + rec->checkpoint_every_ns;
	}
	buf_free(b);
}

static void
on_tick(void *arg)
{
	struct recorder *rec = arg;

	if (rec->failed)
		return;
	loop_timer_arm(rec->tick_timer, TICK_NS);
	recorder_check_space(rec);
	recorder_end_frozen(rec);
	keep_check_readers(rec);
	keep_tick(rec);
	rotate_if_due(rec);
	recorder_push(rec, false);
	if (!rec->failed && !chain_is_dirty(rec->chain))
		settle(rec);
}

/* Stopping takes too long, or the failure has been told. */
static void
on_stop_timer(void *arg)
{
	struct recorder *rec = arg;
	struct leg *leg, *next;

	if (rec->failed) {
		loop_stop(rec->loop);
		return;
	}
	for (leg = TAILQ_FIRST(&rec->legs); leg != NULL; leg = next) {
		next = TAILQ_NEXT(leg, link);
		leg_cut(leg);
	}
	loop_timer_arm(rec->stop_timer, STOP_WAIT_NS);
}

void
recorder_leg_gone(struct recorder *rec)
{
	if (rec->stopping && rec->n_legs == 0)
		loop_stop(rec->loop);
}

void
recorder_stop(struct recorder *rec, const char *text)
{
	if (rec->stopping || rec->failed)
		return;
	rec->stopping = true;
	log_notice("recorder.stopping sessions=%u", rec->n_legs);
	end_all(rec, LINK_END_RECORDER, text);
	loop_timer_arm(rec->stop_timer, STOP_WAIT_NS);
	recorder_leg_gone(rec);
}

void
recorder_audit(struct recorder *rec, struct json *j)
{
	char *text = NULL;
	size_t len;
	int r = json_text(j, false, REC_AUDIT_MAX, &text, &len);

	json_free(j);
	if (r != 0) {
		log_err("recorder.audit_lost reason=\"%s\"", err_str(r));
		return;
	}
	r = chain_audit(rec->chain, text, len);
	free(text);
	if (r != 0)
		recorder_fail(rec, r, "writing an audit event");
	else
		recorder_wake(rec);
}

/* Somebody else's audit event: ready text. */
static int
take_audit(struct recorder *rec, const struct ipc_msg *msg)
{
	int r;

	if (rec->failed)
		return 0;
	if ((r = chain_audit(rec->chain, msg->data, msg->len)) != 0) {
		recorder_fail(rec, r, "writing an audit event");
		return 0;
	}
	recorder_wake(rec);
	return 0;
}

/* The edge to policy. */

static int
on_verdict(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	struct leg_verdict v = { 0 };
	uint32_t ask;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &ask)) != 0 || (r = buf_get_u8(b, &v.verdict)) != 0 ||
	    (r = buf_get_str(b, &v.text, &v.text_len)) != 0)
		goto out;
	if (v.verdict == POL_REPLACE &&
	    (r = buf_get_str(b, &v.replacement, &v.replacement_len)) != 0)
		goto out;
	if ((r = buf_get_str(b, &v.terms, &v.terms_len)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	leg_verdict(rec, msg->id, ask, &v);
out:
	buf_free(b);
	return r;
}

static int
on_policy_audit(void *arg, struct ipc_msg *msg)
{
	return take_audit(arg, msg);
}

static const struct ipc_rule policy_rules[] = {
	{ POL_VERDICT, "verdict", 13, IPC_MAX, 0, IPC_ANY_STATE, on_verdict },
	{ POL_AUDIT, "audit", 2, REC_AUDIT_MAX, 0, IPC_ANY_STATE, on_policy_audit },
};

static void
drop_policy(struct recorder *rec)
{
	ipc_free(rec->policy);
	rec->policy = NULL;
	leg_deny_all(rec, LINK_NO_POLICY);
}

static void
on_policy_gone(void *arg, int err)
{
	struct recorder *rec = arg;

	log_warn("recorder.policy_gone reason=\"%s\"", err_str(err));
	drop_policy(rec);
}

static int
on_policy_edge(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct ipc_conf conf = { .name = "recorder-policy",
		.rules = policy_rules,
		.n_rules = sizeof(policy_rules) / sizeof(policy_rules[0]),
		.arg = rec,
		.gone = on_policy_gone };
	int r;

	drop_policy(rec);
	if ((r = ipc_new(rec->loop, msg->fds[0], &conf, &rec->policy)) != 0) {
		log_err("recorder.policy_edge_failed reason=\"%s\"", err_str(r));
		return 0;
	}
	msg->fds[0] = -1;
	return 0;
}

/* The edge to the broker. */

/* Why there can be no new session now; NULL: there can. */
static const char *
why_not(const struct recorder *rec)
{
	if (rec->stopping)
		return "the bastion is shutting down";
	if (rec->health != REC_HEALTH_OK)
		return rec->health_text;
	return NULL;
}

static int
open_leg(struct recorder *rec, struct ipc_msg *msg, const char **ret_why)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *meta;
	uint32_t conn;
	size_t len;
	int r = -ENOMEM;

	*ret_why = "the session cannot be recorded: its description was refused";
	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &conn)) == 0 && (r = buf_get_str(b, &meta, &len)) == 0)
		r = leg_open(rec, msg->id, conn, meta, len, b, msg->fds, ret_why);
	buf_free(b);
	return r;
}

static int
on_open(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	const char *why = why_not(rec);
	struct leg *leg;
	int r = 0;

	if (why == NULL && leg_find(rec, msg->id) != NULL) {
		why = "the session cannot be recorded: its number is taken";
		r = ERR_EXISTS;
	} else if (why == NULL && (r = open_leg(rec, msg, &why)) == 0) {
		leg = leg_find(rec, msg->id);
		recorder_tell(rec, REC_OPENED, msg->id, session_sid(leg->session), REC_SID_LEN);
		recorder_wake(rec);
		return 0;
	}
	rec->n_refused++;
	log_warn("recorder.refused leg=%u reason=\"%s\" error=\"%s\"", msg->id, why, err_str(r));
	tell_text(rec, REC_REFUSED, msg->id, -1, why);
	return 0;
}

static int
on_kill(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	struct leg *leg = leg_find(rec, msg->id);
	char text[256], by[128];
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, text, sizeof(text))) == 0 &&
	    (r = buf_get_cstr(b, by, sizeof(by))) == 0 && (r = buf_end(b)) == 0 && leg != NULL)
		leg_end(leg, LINK_END_KILLED, text, by);
	buf_free(b);
	return r;
}

static int
on_audit(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	int r = take_audit(rec, msg);

	if (!rec->failed)
		recorder_tell(rec, REC_AUDIT_DONE, msg->id, NULL, 0);
	return r;
}

static int
on_status(void *arg, struct ipc_msg *msg)
{
	struct recorder *rec = arg;
	char *text;
	size_t len;
	int r;

	if ((r = recorder_status(rec, &text, &len)) != 0) {
		log_err("recorder.status_failed reason=\"%s\"", err_str(r));
		recorder_tell_now(rec, REC_STATUS_REPLY, msg->id, "{}", 2);
		return 0;
	}
	recorder_tell_now(rec, REC_STATUS_REPLY, msg->id, text, len);
	free(text);
	return 0;
}

/* Whose key is asked for; NULL: it does not run any more. */
static const struct session *
watched_session(const struct recorder *rec, const char *hex)
{
	uint8_t sid[REC_SID_LEN];
	const struct leg *leg;

	if (str_unhex(hex, sid, sizeof(sid)) != 0)
		return NULL;
	TAILQ_FOREACH (leg, &rec->legs, link)
		if (leg->session != NULL &&
		    memcmp(session_sid(leg->session), sid, REC_SID_LEN) == 0)
			return leg->session;
	return NULL;
}

/* The descriptor is closed by who called us. */
static int
on_watch(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	char hex[2 * REC_SID_LEN + 1];
	const struct session *s = NULL;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, hex, sizeof(hex))) == 0 && (r = buf_end(b)) == 0)
		s = watched_session(arg, hex);
	buf_free(b);
	/* It holds one key without waiting; somebody who went away again needs none. */
	if (s != NULL &&
	    send(msg->fds[0], session_key(s), CRYPT_KEY_LEN, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("recorder.watch_not_told");
	return r;
}

static int
on_stop(void *arg, struct ipc_msg *msg)
{
	(void)msg;
	recorder_stop(arg, "the session was ended: the bastion is shutting down");
	return 0;
}

static const struct ipc_rule broker_rules[] = {
	{ REC_OPEN, "open", 12, 12 + REC_META_MAX + REC_ENV_MAX *(4 + REC_ENV_LEN), 2,
	    IPC_ANY_STATE, on_open },
	{ REC_KILL, "kill", 8, 4096, 0, IPC_ANY_STATE, on_kill },
	{ REC_AUDIT, "audit", 2, REC_AUDIT_MAX, 0, IPC_ANY_STATE, on_audit },
	{ REC_POLICY_EDGE, "policy-edge", 0, 0, 1, IPC_ANY_STATE, on_policy_edge },
	{ REC_STATUS, "status", 0, 0, 0, IPC_ANY_STATE, on_status },
	{ REC_STOP, "stop", 0, 0, 0, IPC_ANY_STATE, on_stop },
	{ REC_WATCH, "watch", 4 + 2 * REC_SID_LEN, 4 + 2 * REC_SID_LEN, 1, IPC_ANY_STATE,
	    on_watch },
	{ REC_ERASE, "erase", 12, 4096, 0, IPC_ANY_STATE, keep_on_erase },
	{ REC_HOLD, "hold", 13, 4096, 0, IPC_ANY_STATE, keep_on_hold },
	{ REC_KEEP, "keep", 24, 24, 0, IPC_ANY_STATE, keep_on_keep },
	{ REC_PING, "ping", 0, 0, 0, IPC_ANY_STATE, keep_on_ping },
};

static void
on_broker_gone(void *arg, int err)
{
	struct recorder *rec = arg;

	log_warn("recorder.broker_gone reason=\"%s\"", err_str(err));
	ipc_free(rec->broker);
	rec->broker = NULL;
	recorder_stop(rec, "the session was ended: the bastion has stopped");
}

static int
open_broker(struct recorder *rec, int fd)
{
	struct ipc_conf conf = { .name = "recorder-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = rec,
		.gone = on_broker_gone };

	return ipc_new(rec->loop, fd, &conf, &rec->broker);
}

int
recorder_init(struct recorder *rec, const struct recorder_conf *conf)
{
	int r = -ENOMEM;

	*rec = (struct recorder){ .loop = conf->loop,
		.chain = conf->chain,
		.durability = conf->durability,
		.stall_timeout_ns = conf->stall_timeout_ns,
		.epoch_ns = conf->epoch_ns,
		.checkpoint_every_ns = conf->checkpoint_every_ns,
		.health = REC_HEALTH_OK };
	TAILQ_INIT(&rec->legs);
	TAILQ_INIT(&rec->touched);
	commit_init(&rec->commit, clock_boot_ns());
	plan_rotation(rec);
	if ((rec->out = release_new()) == NULL || (rec->veils = veil_pool_new()) == NULL ||
	    (r = loop_timer_new(rec->loop, on_commit_timer, rec, &rec->commit_timer)) != 0 ||
	    (r = loop_timer_new(rec->loop, on_tick, rec, &rec->tick_timer)) != 0 ||
	    (r = loop_timer_new(rec->loop, on_stop_timer, rec, &rec->stop_timer)) != 0 ||
	    (r = open_broker(rec, conf->broker_fd)) != 0 || (r = keep_init(rec)) != 0) {
		recorder_done(rec);
		return r;
	}
	loop_after_pass(rec->loop, recorder_after_pass, rec);
	tell_text(rec, REC_READY, 0, -1, conf->ready);
	on_tick(rec);
	return 0;
}

void
recorder_done(struct recorder *rec)
{
	struct leg *leg;

	while ((leg = TAILQ_FIRST(&rec->legs)) != NULL) {
		TAILQ_REMOVE(&rec->legs, leg, link);
		leg_free(leg);
	}
	ipc_free(rec->broker);
	ipc_free(rec->policy);
	release_free(rec->out);
	veil_pool_free(rec->veils);
	keep_done(rec);
	loop_timer_free(rec->commit_timer);
	loop_timer_free(rec->tick_timer);
	loop_timer_free(rec->stop_timer);
	loop_after_pass(rec->loop, NULL, NULL);
}
