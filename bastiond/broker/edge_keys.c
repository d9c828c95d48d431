/* The broker's edge to the vault. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_client.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "policy/policy_proto.h"

#define KEYS_READY_NS (60 * CLOCK_NS_PER_S)

static int
keys_take_host_key(struct wiring *w, struct buf *b)
{
	const uint8_t *blob;
	uint32_t n;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &blob, &len)) != 0 || (r = buf_get_u32(b, &n)) != 0 ||
	    (r = buf_end(b)) != 0)
		return r;
	if (len > sizeof(w->host_key))
		return ERR_LIMIT;
	memcpy(w->host_key, blob, len);
	w->host_key_len = len;
	w->n_keys = n;
	return 0;
}

/* Sent once at start, empty when the vault is locked, and again when it has been unlocked or the host key changed. */
static int
keys_on_ready(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct wiring *w = s->conf.arg;
	struct buf *b = buf_view(msg->data, msg->len);
	int r = b != NULL ? keys_take_host_key(w, b) : -ENOMEM;

	buf_free(b);
	if (r != 0)
		return r;
	service_ready(s);
	if (wiring_vault_locked(w))
		log_warn("vault.locked next=\"nobody is let in until it is unlocked: bastionctl "
			 "keys unlock\"");
	else
		log_notice("vault.ready keys=%u", w->n_keys);
	if (!wiring_vault_locked(w))
		conn_keys_ready(w);
	wiring_changed(w);
	return 0;
}

/* The answer about a jump; one that is over meanwhile is nobody's. */
static int
keys_on_front_key(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct conn *c = conn_find(s->conf.arg, msg->id);
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b != NULL)
		r = c != NULL ? jump_keyed(c, b) : 0;
	buf_free(b);
	return r;
}

static int
keys_on_status(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	status_reply(s->conf.arg, msg->id, "keys", msg->data, msg->len);
	return 0;
}

static const struct ipc_rule keys_rules[] = {
	{ KEYS_READY, "ready", 8, 8 + WIRING_HOST_KEY_MAX, 0, IPC_ANY_STATE, keys_on_ready },
	{ KEYS_FRONT_KEY, "front-key", 8, 8 + 2 * WIRING_HOST_KEY_MAX, 0, IPC_ANY_STATE,
	    keys_on_front_key },
	{ KEYS_STATUS_REPLY, "status-reply", 0, IPC_MAX, 0, IPC_ANY_STATE, keys_on_status },
};

/* The state's folder is our working directory, which its parents need not let the vault's uid into. */
static int
keys_prepare(void *arg, struct proc_spec *spec, const char **argv, int *fds)
{
	static char unlock[KEYS_UNLOCK_ARG_SIZE]; /* argv's space until the start */
	struct wiring *w = arg;
	size_t n = 0;
	int r = keys_client_unlock(w->settings->unlock, unlock, sizeof(unlock), &fds[1]);

	if (r != 0) {
		log_err(
		    "vault.no_unlock unlock=\"%s\" reason=\"%s\"", w->settings->unlock, err_str(r));
		return r;
	}
	programs_spec(w->conf.programs, PROGRAM_KEYS, spec);
	argv[n++] = "--dir";
	argv[n++] = "keys";
	if (unlock[0] != '\0') {
		argv[n++] = "--unlock";
		argv[n++] = unlock;
	}
	argv[n] = NULL;
	return 0;
}

static void
keys_up(void *arg)
{
	struct wiring *w = arg;

	if (wiring_connect(&w->keys, KEYS_POLICY_EDGE, &w->policy, POL_KEYS_EDGE) != 0)
		log_err("wiring.failed between=\"keys policy\"");
}

static void
keys_down(void *arg, const char *what)
{
	struct wiring *w = arg;

	w->host_key_len = 0;
	jump_keys_down(w);
	wiring_service_down(w, &w->keys, what);
}

int
edge_keys_init(struct wiring *w)
{
	const struct service_conf conf = { .name = "keys",
		.loop = w->conf.loop,
		.ops = w->conf.ops,
		.rules = keys_rules,
		.n_rules = sizeof(keys_rules) / sizeof(keys_rules[0]),
		.ready_within_ns = KEYS_READY_NS,
		.arg = w,
		.prepare = keys_prepare,
		.up = keys_up,
		.down = keys_down };

	return service_init(&w->keys, &conf);
}
