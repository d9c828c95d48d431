/* Legs: the recorder asks what may cross, the vault tells what it signed and asks about host certificates. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/serve_int.h"
#include "recorder/link_proto.h"

#define ASK_HEAD 15u /* bytes of POL_ASK before the payload */
#define VERDICT_MAX (ASK_FRAME_MAX + ASK_TEXT_SIZE + POL_TERMS_MAX + 64u)
#define KEYS_TEXT_SIZE 1024u /* bytes of a text from the vault */
#define CERT_REPLY_MAX 8192u

static struct serve_leg *
find(struct serve *s, uint32_t id)
{
	struct serve_leg *l;

	LIST_FOREACH (l, &s->legs[id % SERVE_BUCKETS], link)
		if (l->leg->id == id)
			return l;
	return NULL;
}

int
serve_leg_add(struct serve *s, struct leg *leg)
{
	struct serve_leg *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->leg = leg;
	LIST_INSERT_HEAD(&s->legs[leg->id % SERVE_BUCKETS], l, link);
	s->n_legs++;
	serve_valid_arm(s);
	return 0;
}

struct leg *
serve_leg_find(struct serve *s, uint32_t id)
{
	struct serve_leg *l = find(s, id);

	return l != NULL ? l->leg : NULL;
}

void
serve_leg_gone(struct serve *s, uint32_t id)
{
	struct serve_leg *l = find(s, id);

	serve_shell_gone(s, id);
	if (l == NULL)
		return;
	LIST_REMOVE(l, link);
	s->n_legs--;
	leg_free(l->leg);
	free(l);
}

void
serve_legs_free(struct serve *s)
{
	for (size_t i = 0; i < SERVE_BUCKETS; i++) {
		struct serve_leg *next;

		for (struct serve_leg *l = LIST_FIRST(&s->legs[i]); l != NULL; l = next) {
			next = LIST_NEXT(l, link);
			leg_free(l->leg);
			free(l);
		}
		LIST_INIT(&s->legs[i]);
	}
	s->n_legs = 0;
}

/* The recorder. */

static int
verdict_send(struct serve *s, uint32_t leg, uint32_t number, const struct ask_verdict *v,
    const struct buf *replacement, const struct buf *terms)
{
	struct buf *b = buf_new(VERDICT_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u32(b, number)) == 0 && (r = buf_put_u8(b, (uint8_t)v->verdict)) == 0 &&
	    (r = buf_put_cstr(b, v->text)) == 0 && v->verdict == POL_REPLACE)
		r = buf_put_str(b, buf_ptr(replacement), buf_len(replacement));
	if (r == 0 && (r = buf_put_str(b, buf_ptr(terms), buf_len(terms))) == 0)
		r = ipc_send_buf(s->recorder, POL_VERDICT, leg, b);
	buf_free(b);
	return r;
}

/* ask->data leads into the message. Bytes may follow what it says it has. */
static int
get_ask(struct buf *b, uint32_t *ret_number, uint32_t *ret_channel, struct ask *ask)
{
	uint8_t from_back;
	int r;

	if ((r = buf_get_u32(b, ret_number)) != 0 || (r = buf_get_u32(b, ret_channel)) != 0 ||
	    (r = buf_get_u8(b, &from_back)) != 0 || (r = buf_get_u16(b, &ask->type)) != 0 ||
	    (r = buf_get_str(b, &ask->data, &ask->len)) != 0)
		return r;
	ask->from_back = from_back != 0;
	return from_back <= 1 ? 0 : ERR_FORMAT;
}

static int
answer(struct serve *s, uint32_t id, uint32_t number, uint32_t channel, const struct ask *ask)
{
	struct leg *leg = serve_leg_find(s, id);
	struct ask_verdict v = { .verdict = POL_DENY, .text = "this session has ended" };
	struct buf *replacement = buf_new(ASK_FRAME_MAX), *terms = buf_new(POL_TERMS_MAX);
	char *text = NULL;
	size_t len = 0;
	int r = -ENOMEM;

	if (replacement == NULL || terms == NULL)
		goto out;
	if (leg != NULL && (r = leg->back == POL_BACK_SHELL
				    ? ask_judge_shell(leg, ask, replacement, &v)
				    : ask_judge(leg, s->set, ask, replacement, terms, &v)) != 0)
		goto out;
	s->n_asks++;
	s->n_asks_denied += v.verdict == POL_DENY;
	if (leg != NULL && v.verdict != POL_ALLOW) {
		log_notice("channel.%s leg=%u ref=%s what=\"%s\" reason=\"%s\"",
		    v.verdict == POL_DENY ? "denied" : "replaced", id, leg->ref, v.name, v.text);
		r = audit_ask(leg, ask, channel, &v, &text, &len);
		serve_audit(s, r, text, len);
	}
	r = verdict_send(s, id, number, &v, replacement, terms);
out:
	buf_free(terms);
	buf_free(replacement);
	return r;
}

/* All that there is of a question: the payload is what its string has, and what followed. */
static int
answer_whole(struct serve *s, uint32_t id, const uint8_t *data, size_t len)
{
	struct ask ask = { .now_ns = clock_wall_ns() };
	struct buf *b = buf_view(data, len);
	uint32_t number, channel;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = get_ask(b, &number, &channel, &ask)) == 0) {
		if (ask.len == LINK_REQUEST_PART && ask.type == LINK_REQUEST)
			ask.len += buf_len(b);
		else
			r = buf_end(b);
	}
	if (r == 0)
		r = answer(s, id, number, channel, &ask);
	buf_free(b);
	return r;
}

static int
on_ask(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	int r;

	if (s->asked != NULL)
		return ERR_ORDER;
	if (msg->len != ASK_HEAD + LINK_REQUEST_PART)
		return answer_whole(s, msg->id, msg->data, msg->len);
	if ((s->asked = buf_new(ASK_HEAD + LINK_REQUEST_MAX)) == NULL)
		return -ENOMEM;
	s->asked_leg = msg->id;
	r = buf_put(s->asked, msg->data, msg->len);
	return r;
}

static int
on_ask_more(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	int r;

	if (s->asked == NULL || s->asked_leg != msg->id)
		return ERR_ORDER;
	if ((r = buf_put(s->asked, msg->data, msg->len)) != 0 || msg->len == LINK_REQUEST_PART)
		return r;
	r = answer_whole(s, msg->id, buf_ptr(s->asked), buf_len(s->asked));
	buf_free(s->asked);
	s->asked = NULL;
	return r;
}

/* RFC 4254 section 7.1: a port follows where one was to be picked; else nothing. */
static int
on_answered(void *arg, struct ipc_msg *msg)
{
	struct leg *leg = serve_leg_find(arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t number, port = 0;
	uint8_t success;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &number)) == 0 && (r = buf_get_u8(b, &success)) == 0 &&
	    (buf_len(b) == 0 || ((r = buf_get_u32(b, &port)) == 0 && (r = buf_end(b)) == 0)) &&
	    leg != NULL)
		listens_answered(&leg->listens, number, success != 0, port);
	buf_free(b);
	return r;
}

static const struct ipc_rule recorder_rules[] = {
	{ POL_ASK, "ask", 15, IPC_MAX, 0, IPC_ANY_STATE, on_ask },
	{ POL_ASK_MORE, "ask-more", 0, LINK_REQUEST_PART, 0, IPC_ANY_STATE, on_ask_more },
	{ POL_ANSWERED, "answered", 5, POL_ANSWERED_MAX, 0, IPC_ANY_STATE, on_answered },
};

static void
on_recorder_gone(void *arg, int err)
{
	struct serve *s = arg;

	log_warn("policy.recorder_lost reason=\"%s\" effect=\"nobody can log in until it is back\"",
	    err_str(err));
	ipc_free(s->recorder);
	s->recorder = NULL;
	buf_free(s->asked);
	s->asked = NULL;
}

static void
on_recorder_drained(void *arg)
{
	serve_events_flush(arg);
}

int
serve_recorder_edge(struct serve *s, int fd)
{
	const struct ipc_conf conf = {
		.name = "policy-recorder",
		.rules = recorder_rules,
		.n_rules = sizeof(recorder_rules) / sizeof(recorder_rules[0]),
		.arg = s,
		.gone = on_recorder_gone,
		.drained = on_recorder_drained,
	};
	struct ipc *edge = NULL;
	int r;

	if ((r = ipc_new(s->loop, fd, &conf, &edge)) != 0)
		return r;
	ipc_free(s->recorder);
	s->recorder = edge;
	buf_free(s->asked);
	s->asked = NULL;
	serve_events_flush(s);
	return 0;
}

/* The vault. */

static int
on_session_id(void *arg, struct ipc_msg *msg)
{
	serve_conn_session_id(arg, msg->id, msg->data, msg->len);
	return 0;
}

static int
on_alarm(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	char what[KEYS_TEXT_SIZE], number[24], *text = NULL;
	struct serve_conn *conn;
	const struct leg *leg;
	uint8_t front = 0;
	size_t len = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &front)) == 0 && (r = buf_get_cstr(b, what, sizeof(what))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	if (front != 0 && (conn = serve_conn_find(s, msg->id)) != NULL) {
		serve_conn_event(conn, "keys.alarm", what, NULL);
	} else if (front == 0 && (leg = serve_leg_find(s, msg->id)) != NULL) {
		r = audit_leg(leg, "keys.alarm", "reason", what, clock_wall_ns(), &text, &len);
		serve_audit(s, r, text, len);
	} else {
		(void)snprintf(number, sizeof(number), "%u", msg->id);
		r = audit_plain("keys.alarm", front != 0 ? "conn" : "leg", number, "reason", what,
		    clock_wall_ns(), &text, &len);
		serve_audit(s, r, text, len);
	}
	/* A back that lies is in the hands of its target: the person at the other end is not charged with it. */
	serve_charge(s, msg->id, front != 0 ? POL_FAILURE_ALARM : 0);
	return 0;
}

static int
on_signed(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	const struct leg *leg = serve_leg_find(s, msg->id);
	char fingerprint[KEYS_TEXT_SIZE], *text = NULL;
	size_t len = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, fingerprint, sizeof(fingerprint))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0 || leg == NULL)
		return r;
	r = audit_leg(leg, "keys.signed", "fingerprint", fingerprint, clock_wall_ns(), &text, &len);
	serve_audit(s, r, text, len);
	return 0;
}

static int
on_changed(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	char who[KEYS_TEXT_SIZE], what[KEYS_TEXT_SIZE], *text = NULL;
	size_t len = 0;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_cstr(b, who, sizeof(who))) == 0 &&
	    (r = buf_get_cstr(b, what, sizeof(what))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	r = audit_plain("keys.changed", "who", who, "what", what, clock_wall_ns(), &text, &len);
	serve_audit(s, r, text, len);
	return 0;
}

static int
host_cert_reply(struct serve *s, uint32_t id, const struct cert *cert, const char *why)
{
	struct buf *b = buf_new(CERT_REPLY_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put_u8(b, cert != NULL ? 1 : 0)) == 0)
		r = cert != NULL ? buf_put_str(b, cert->key_blob, cert->key_blob_len)
				 : buf_put_cstr(b, why);
	if (r == 0)
		r = ipc_send_buf(s->keys, POL_KEYS_HOST_CERT_REPLY, id, b);
	buf_free(b);
	return r;
}

static void
host_cert_event(struct serve *s, const struct leg *leg, const char *why)
{
	char *text = NULL;
	size_t len = 0;
	int r =
	    audit_leg(leg, "host-certificate.denied", "reason", why, clock_wall_ns(), &text, &len);

	serve_audit(s, r, text, len);
}

static int
on_host_cert(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	const struct leg *leg = serve_leg_find(s, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	const char *why = "this session has ended";
	struct cert *cert = NULL;
	const uint8_t *blob;
	size_t len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_str(b, &blob, &len)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	if (leg != NULL) {
		r = leg_check_host_cert(leg, s->set, blob, len, serve_newest_s(s), &cert, &why);
		if (r == -ENOMEM)
			goto out;
		if (r != 0)
			host_cert_event(s, leg, why);
	}
	r = host_cert_reply(s, msg->id, cert, why);
out:
	cert_free(cert);
	buf_free(b);
	return r;
}

static const struct ipc_rule keys_rules[] = {
	{ POL_SESSION_ID, "session-id", 32, SERVE_SID_MAX, 0, IPC_ANY_STATE, on_session_id },
	{ POL_KEYS_ALARM, "alarm", 5, IPC_MAX, 0, IPC_ANY_STATE, on_alarm },
	{ POL_KEYS_SIGNED, "signed", 4, IPC_MAX, 0, IPC_ANY_STATE, on_signed },
	{ POL_KEYS_CHANGED, "changed", 8, IPC_MAX, 0, IPC_ANY_STATE, on_changed },
	{ POL_KEYS_HOST_CERT, "host-cert", 4, IPC_MAX, 0, IPC_ANY_STATE, on_host_cert },
};

static void
on_keys_gone(void *arg, int err)
{
	struct serve *s = arg;

	log_warn(
	    "policy.keys_lost reason=\"%s\" effect=\"nobody can log in until the vault is back\"",
	    err_str(err));
	ipc_free(s->keys);
	s->keys = NULL;
}

int
serve_keys_edge(struct serve *s, int fd)
{
	const struct ipc_conf conf = {
		.name = "policy-keys",
		.rules = keys_rules,
		.n_rules = sizeof(keys_rules) / sizeof(keys_rules[0]),
		.arg = s,
		.gone = on_keys_gone,
	};
	struct ipc *edge = NULL;
	int r;

	if ((r = ipc_new(s->loop, fd, &conf, &edge)) != 0)
		return r;
	ipc_free(s->keys);
	s->keys = edge;
	return 0;
}
