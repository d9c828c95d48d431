/* The broker's edge to policy. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_proto.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"

#define POLICY_READY_NS (60 * CLOCK_NS_PER_S)
#define POLICY_LINE_SIZE 512u	  /* bytes of a line for a user, with its NUL */
#define POLICY_IDENTITY_MAX 1024u /* bytes */

/* A reload ends: who asked hears it. On good the new files are in force, and with them the new settings. */
static void
policy_end_reload(struct wiring *w, bool good, const char *text)
{
	wiring_loaded_fn done = w->reload.done;
	void *arg = w->reload.arg;

	if (w->reload.settings == NULL)
		return;
	if (good) {
		free(w->settings);
		policy_files_free(w->files);
		w->settings = w->reload.settings;
		w->files = w->reload.files;
		recorder_keep(w);
	}
	w->reload.settings = NULL;
	w->reload.files = NULL;
	done(arg, good, text);
}

static int
policy_loaded(struct service *s, uint8_t good, const char *text)
{
	struct wiring *w = s->conf.arg;

	if (service_is_ready(s)) {
		if (w->reload.settings == NULL)
			return ERR_ORDER;
		policy_end_reload(w, good == 1, text);
		return 0;
	}
	if (good != 1 && !s->was_ready) {
		(void)snprintf(w->start_failed, sizeof(w->start_failed), "%s", text);
		wiring_changed(w);
		return 0;
	}
	if (good != 1) {
		/* The same bytes were good before: what changed is the program or the machine. */
		log_err("policy.refused text=\"%s\"", text);
		return ERR_DENIED;
	}
	log_notice("policy.ready summary=\"%s\"", text);
	service_ready(s);
	wiring_changed(w);
	return 0;
}

static int
policy_on_loaded(void *arg, struct ipc_msg *msg)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *p;
	char text[512];
	uint8_t good;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u8(b, &good)) == 0 && (r = buf_get_str(b, &p, &len)) == 0 &&
	    (r = buf_end(b)) == 0) {
		str_escape(text, sizeof(text), p, len);
		r = policy_loaded(arg, good, text);
	}
	buf_free(b);
	return r;
}

static int
policy_on_authenticated(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct conn *c = conn_find(s->conf.arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *p;
	size_t len;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_str(b, &p, &len)) == 0 && (r = buf_end(b)) == 0 && c != NULL)
		conn_authenticated(c, p, len);
	buf_free(b);
	return r;
}

/* A copy of the next string. */
static int
policy_get_part(struct buf *b, struct buf **ret_part)
{
	const uint8_t *p;
	struct buf *part;
	size_t len;
	int r = buf_get_str(b, &p, &len);

	if (r != 0)
		return r;
	if ((part = buf_new(len + 1)) == NULL)
		return -ENOMEM;
	if ((r = buf_put(part, p, len)) != 0) {
		buf_free(part);
		return r;
	}
	*ret_part = part;
	return 0;
}

static int
policy_on_grant(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct buf *b = buf_view(msg->data, msg->len), *vault = NULL, *back = NULL;
	struct leg_order o = { .id = msg->id };
	int r = -ENOMEM;

	if (b == NULL || (r = buf_get_u32(b, &o.conn)) != 0 ||
	    (r = buf_get_str(b, &o.meta, &o.meta_len)) != 0 ||
	    (r = policy_get_part(b, &vault)) != 0 || (r = policy_get_part(b, &back)) != 0 ||
	    (r = buf_get_u8(b, &o.kind)) != 0 || (r = buf_get_u32(b, &o.via)) != 0 ||
	    (r = buf_end(b)) != 0)
		goto out;
	r = ERR_FORMAT;
	/* A shell is a front's, never another shell's. */
	if (o.kind != POL_BACK_SSH && (o.kind != POL_BACK_SHELL || o.via != 0))
		goto out;
	r = ERR_LIMIT;
	if (o.meta_len > REC_META_MAX)
		goto out;
	r = leg_grant(s->conf.arg, &o, vault, back);
	vault = back = NULL; /* taken */
out:
	buf_free(vault);
	buf_free(back);
	buf_free(b);
	return r;
}

static int
policy_on_failed(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct conn *c = conn_find(s->conf.arg, msg->id);

	if (msg->data[0] < POL_FAILURE_AUTH || msg->data[0] > POL_FAILURE_ALARM)
		return ERR_FORMAT;
	if (c != NULL)
		conn_failed(c, msg->data[0]);
	return 0;
}

static int
policy_on_end_leg(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct leg *l = leg_find(s->conf.arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	char line[POLICY_LINE_SIZE];
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_cstr(b, line, sizeof(line))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r == 0 && l != NULL)
		leg_end_by_policy(l, line);
	return r;
}

static int
policy_on_no_shell(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct conn *c = conn_find(s->conf.arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b != NULL)
		r = c != NULL ? shell_denied(c, b) : 0; /* likewise */
	buf_free(b);
	return r;
}

static int
policy_on_jumped(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct conn *c = conn_find(s->conf.arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b != NULL)
		r = c != NULL ? jump_resolved(c, b)
			      : 0; /* one that is over meanwhile is nobody's */
	buf_free(b);
	return r;
}

static int
policy_on_want_auth(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t attempt, via;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &attempt)) == 0 && (r = buf_get_u32(b, &via)) == 0 &&
	    (r = buf_end(b)) == 0)
		r = auth_want(s->conf.arg, msg->id, attempt, via);
	buf_free(b);
	return r;
}

static int
policy_on_stop_auth(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	uint32_t attempt;
	int r = -ENOMEM;

	if (b != NULL && (r = buf_get_u32(b, &attempt)) == 0 && (r = buf_end(b)) == 0)
		auth_stop(s->conf.arg, msg->id, attempt);
	buf_free(b);
	return r;
}

static int
policy_on_status(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	status_reply(s->conf.arg, msg->id, "policy", msg->data, msg->len);
	return 0;
}

static const struct ipc_rule policy_rules[] = {
	{ POL_LOADED, "loaded", 5, IPC_MAX, 0, IPC_ANY_STATE, policy_on_loaded },
	{ POL_AUTHENTICATED, "authenticated", 4, 4 + POLICY_IDENTITY_MAX, 0, IPC_ANY_STATE,
	    policy_on_authenticated },
	{ POL_GRANT, "grant", 21, IPC_MAX, 0, IPC_ANY_STATE, policy_on_grant },
	{ POL_FAILED, "failed", 1, 1, 0, IPC_ANY_STATE, policy_on_failed },
	{ POL_JUMPED, "jumped", 5, 16384, 0, IPC_ANY_STATE, policy_on_jumped },
	{ POL_NO_SHELL, "no-shell", 4, 1024, 0, IPC_ANY_STATE, policy_on_no_shell },
	{ POL_END_LEG, "end-leg", 4, 4 + POLICY_LINE_SIZE, 0, IPC_ANY_STATE, policy_on_end_leg },
	{ POL_WANT_AUTH, "want-auth", 8, 8, 0, IPC_ANY_STATE, policy_on_want_auth },
	{ POL_STOP_AUTH, "stop-auth", 4, 4, 0, IPC_ANY_STATE, policy_on_stop_auth },
	{ POL_STATUS_REPLY, "status-reply", 0, IPC_MAX, 0, IPC_ANY_STATE, policy_on_status },
};

static int
policy_prepare(void *arg, struct proc_spec *spec, const char **argv, int *fds)
{
	struct wiring *w = arg;

	(void)argv;
	(void)fds;
	programs_spec(w->conf.programs, PROGRAM_POLICY, spec);
	return 0;
}

static void
policy_up(void *arg)
{
	struct wiring *w = arg;
	int r;

	if ((r = wiring_connect(&w->keys, KEYS_POLICY_EDGE, &w->policy, POL_KEYS_EDGE)) != 0 ||
	    (r = wiring_connect(&w->recorder, REC_POLICY_EDGE, &w->policy, POL_RECORDER_EDGE)) !=
		0 ||
	    (r = policy_files_send(w->files, w->settings, w->policy.edge, w->last_leg + 1,
		 mark_newest_s(w->conf.mark))) != 0)
		log_err("wiring.failed between=\"policy and the others\" reason=\"%s\"",
		    err_str(r)); /* it never becomes ready, and is started again */
}

static void
policy_down(void *arg, const char *what)
{
	struct wiring *w = arg;

	policy_end_reload(w, false, "bastiond-policy ended while it loaded");
	auth_policy_down(w);
	leg_policy_down(w);
	conn_policy_down(w);
	wiring_service_down(w, &w->policy, what);
}

int
edge_policy_init(struct wiring *w)
{
	const struct service_conf conf = { .name = "policy",
		.loop = w->conf.loop,
		.ops = w->conf.ops,
		.rules = policy_rules,
		.n_rules = sizeof(policy_rules) / sizeof(policy_rules[0]),
		.ready_within_ns = POLICY_READY_NS,
		.arg = w,
		.prepare = policy_prepare,
		.up = policy_up,
		.down = policy_down };

	return service_init(&w->policy, &conf);
}

int
wiring_reload(struct wiring *w, struct settings *settings, struct policy_files *files,
    wiring_loaded_fn done, void *arg)
{
	int r;

	if (w->reload.settings != NULL)
		return ERR_ORDER;
	if (!service_is_ready(&w->policy))
		return ERR_ORDER;
	r = policy_files_send(
	    files, settings, w->policy.edge, w->last_leg + 1, mark_newest_s(w->conf.mark));
	if (r != 0)
		return r;
	w->reload.settings = settings;
	w->reload.files = files;
	w->reload.done = done;
	w->reload.arg = arg;
	return 0;
}
