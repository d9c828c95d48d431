/* Messages to and from bastiond-policy. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_policy.h"
#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "policy/policy_proto.h"

#define MESSAGE_MAX 20000u /* bytes of what is sent to policy; a certificate is the longest */

struct keys_policy {
	struct loop *loop;
	struct ipc *edge; /* NULL: not connected */
	keys_policy_cert_fn on_cert;
	void *arg;
	uint64_t alarms;
};

static int
on_cert_reply(void *arg, struct ipc_msg *msg)
{
	struct keys_policy *p = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *data;
	uint8_t ok;
	size_t len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u8(b, &ok)) == 0 && (r = buf_get_str(b, &data, &len)) == 0 &&
	    (r = buf_end(b)) == 0) {
		if (ok > 1)
			r = ERR_FORMAT;
		else
			p->on_cert(p->arg, msg->id, ok == 1, data, len);
	}
	buf_free(b);
	return r;
}

static const struct ipc_rule rules[] = {
	{ POL_KEYS_HOST_CERT_REPLY, "host-cert-reply", 5, 8192, 0, IPC_ANY_STATE, on_cert_reply },
};

static void
on_gone(void *arg, int err)
{
	struct keys_policy *p = arg;

	log_warn("keys.policy_lost reason=\"%s\" effect=\"nothing is signed until policy is back\"",
	    err_str(err));
	ipc_free(p->edge);
	p->edge = NULL;
}

struct keys_policy *
keys_policy_new(struct loop *l, keys_policy_cert_fn on_cert, void *arg)
{
	struct keys_policy *p = calloc(1, sizeof(*p));

	if (p != NULL)
		*p = (struct keys_policy){ .loop = l, .on_cert = on_cert, .arg = arg };
	return p;
}

void
keys_policy_free(struct keys_policy *p)
{
	if (p == NULL)
		return;
	ipc_free(p->edge);
	free(p);
}

int
keys_policy_connect(struct keys_policy *p, int fd)
{
	const struct ipc_conf conf = {
		.name = "keys-policy",
		.rules = rules,
		.n_rules = sizeof(rules) / sizeof(rules[0]),
		.arg = p,
		.gone = on_gone,
	};
	struct ipc *edge = NULL;
	int r;

	if ((r = ipc_new(p->loop, fd, &conf, &edge)) != 0)
		return r;
	ipc_free(p->edge);
	p->edge = edge;
	return 0;
}

static int
tell(struct keys_policy *p, uint16_t type, uint32_t id, const struct buf *b)
{
	int r;

	if (p->edge == NULL)
		return ERR_PEER_GONE;
	if ((r = ipc_send_buf(p->edge, type, id, b)) != 0)
		return r;
	return ipc_queued(p->edge) == 0 ? 0 : ERR_LIMIT;
}

static int
tell_string(struct keys_policy *p, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct buf *b = buf_new(MESSAGE_MAX);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_str(b, data, len)) == 0)
		r = tell(p, type, id, b);
	buf_free(b);
	return r;
}

int
keys_policy_session_id(struct keys_policy *p, uint32_t conn, const uint8_t *id, size_t len)
{
	struct buf *b = buf_new(len);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put(b, id, len)) == 0)
		r = tell(p, POL_SESSION_ID, conn, b);
	buf_free(b);
	return r;
}

int
keys_policy_signed(struct keys_policy *p, uint32_t leg, const char *fingerprint)
{
	return tell_string(p, POL_KEYS_SIGNED, leg, fingerprint, strlen(fingerprint));
}

int
keys_policy_ask_cert(struct keys_policy *p, uint32_t leg, const uint8_t *cert, size_t len)
{
	return tell_string(p, POL_KEYS_HOST_CERT, leg, cert, len);
}

void
keys_policy_alarm(struct keys_policy *p, bool front, uint32_t id, const char *what)
{
	struct buf *b = buf_new(MESSAGE_MAX);
	int r = -ENOMEM;

	p->alarms++;
	log_err("keys.alarm %s=%u what=\"%s\"", front ? "conn" : "leg", id, what);
	if (b != NULL && (r = buf_put_u8(b, front ? 1 : 0)) == 0 &&
	    (r = buf_put_cstr(b, what)) == 0)
		r = tell(p, POL_KEYS_ALARM, id, b);
	/* Queued behind others is good enough for an alarm: the edge that lied is ended in any case. */
	if (r != 0 && r != ERR_LIMIT)
		log_err(
		    "keys.alarm_lost %s=%u reason=\"%s\"", front ? "conn" : "leg", id, err_str(r));
	buf_free(b);
}

void
keys_policy_changed(struct keys_policy *p, const char *who, const char *what)
{
	struct buf *b = buf_new(MESSAGE_MAX);
	int r = -ENOMEM;

	log_notice("keys.changed by=\"%s\" what=\"%s\"", who, what);
	if (b != NULL && (r = buf_put_cstr(b, who)) == 0 && (r = buf_put_cstr(b, what)) == 0)
		r = tell(p, POL_KEYS_CHANGED, 0, b);
	if (r != 0 && r != ERR_LIMIT)
		log_warn("keys.change_unrecorded reason=\"%s\"", err_str(r));
	buf_free(b);
}

uint64_t
keys_policy_alarms(const struct keys_policy *p)
{
	return p->alarms;
}

bool
keys_policy_is_connected(const struct keys_policy *p)
{
	return p->edge != NULL;
}
