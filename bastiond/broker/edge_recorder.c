/* The broker's edge to the recorder. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bastiond/broker/wiring_priv.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"

/* The one string that a message consists of, escaped into dst. */
static int
recorder_text(const struct ipc_msg *msg, char *dst, size_t size)
{
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *p;
	size_t len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_str(b, &p, &len)) == 0 && (r = buf_end(b)) == 0)
		str_escape(dst, size, p, len);
	buf_free(b);
	return r;
}

static int
recorder_on_ready(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct wiring *w = s->conf.arg;
	char text[512];
	int r = recorder_text(msg, text, sizeof(text));

	if (r != 0)
		return r;
	service_ready(s);
	log_notice("recorder.ready%s%s%s", text[0] != '\0' ? " recovery=\"" : "", text,
	    text[0] != '\0' ? "\"" : "");
	audit_recorder_ready(w);
	heart_begin(w);
	indexer_begin(w);
	wiring_changed(w);
	return 0;
}

static int
recorder_on_health(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct wiring *w = s->conf.arg;
	struct ipc_msg rest = *msg;
	uint8_t health;
	int r;

	health = msg->data[0];
	if (health < REC_HEALTH_OK || health > REC_HEALTH_FAILED)
		return ERR_FORMAT;
	rest.data++;
	rest.len--;
	if ((r = recorder_text(&rest, w->health_text, sizeof(w->health_text))) != 0)
		return r;
	w->health = (enum rec_health)health;
	if (w->health == REC_HEALTH_OK)
		log_notice("recorder.health ok");
	else
		log_err("recorder.health %s text=\"%s\"",
		    w->health == REC_HEALTH_NO_NEW ? "no-new-sessions" : "failed", w->health_text);
	wiring_changed(w);
	return 0;
}

/* A leg that is not known any more is no fault: its answer and our loss of it may have crossed. */
static struct leg *
recorder_leg(struct service *s, const struct ipc_msg *msg)
{
	struct leg *l = leg_find(s->conf.arg, msg->id);

	if (l == NULL)
		log_debug("recorder.unknown_leg leg=%u type=%u", msg->id, msg->type);
	return l;
}

static int
recorder_on_opened(void *arg, struct ipc_msg *msg)
{
	struct leg *l = recorder_leg(arg, msg);

	if (l != NULL)
		leg_opened(l, msg->data);
	return 0;
}

static int
recorder_on_refused(void *arg, struct ipc_msg *msg)
{
	struct leg *l = recorder_leg(arg, msg);
	char line[512];
	int r = recorder_text(msg, line, sizeof(line));

	if (r == 0 && l != NULL) {
		log_warn("leg.refused leg=%u reason=\"%s\"", l->id, line);
		leg_refused(l, line);
	}
	return r;
}

static int
recorder_on_closed(void *arg, struct ipc_msg *msg)
{
	struct leg *l = recorder_leg(arg, msg);

	if (l != NULL)
		leg_closed(l);
	return 0;
}

static int
recorder_on_audit_done(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	audit_done(s->conf.arg, msg->id);
	return 0;
}

static int
recorder_on_status(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	status_reply(s->conf.arg, msg->id, "recorder", msg->data, msg->len);
	return 0;
}

/* u8 exit code, string one line */
static int
recorder_on_done(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct ipc_msg rest = *msg;
	char text[600];
	int r;

	rest.data++;
	rest.len--;
	if (msg->data[0] > 3)
		return ERR_FORMAT;
	if ((r = recorder_text(&rest, text, sizeof(text))) == 0)
		order_done(s->conf.arg, msg->id, msg->data[0], text);
	return r;
}

static int
recorder_on_pong(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;

	(void)msg;
	heart_beat(s->conf.arg);
	return 0;
}

static int
recorder_on_slow_reader(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct buf *b = buf_view(msg->data, msg->len);
	uint64_t held_ns;
	uint32_t pid;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_u32(b, &pid)) == 0 && (r = buf_get_u64(b, &held_ns)) == 0 &&
	    (r = buf_end(b)) == 0)
		reader_is_slow(s->conf.arg, (pid_t)pid, held_ns);
	buf_free(b);
	return r;
}

/* string note, string vkey. Without a place to bring it to it is not asked for. */
static int
recorder_on_checkpoint(void *arg, struct ipc_msg *msg)
{
	struct service *s = arg;
	struct wiring *w = s->conf.arg;
	struct buf *b = buf_view(msg->data, msg->len);
	const uint8_t *note, *vkey;
	size_t len, vkey_len;
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_get_str(b, &note, &len)) == 0 && (r = buf_get_str(b, &vkey, &vkey_len)) == 0 &&
	    (r = buf_end(b)) == 0 && push_take(w->push, note, len) != 0)
		log_err("push.lost next=\"the next checkpoint\"");
	buf_free(b);
	return r;
}

static const struct ipc_rule recorder_rules[] = {
	{ REC_READY, "ready", 4, 4096, 0, IPC_ANY_STATE, recorder_on_ready },
	{ REC_HEALTH, "health", 5, 4096, 0, IPC_ANY_STATE, recorder_on_health },
	{ REC_OPENED, "opened", REC_SID_LEN, REC_SID_LEN, 0, IPC_ANY_STATE, recorder_on_opened },
	{ REC_REFUSED, "refused", 4, 4096, 0, IPC_ANY_STATE, recorder_on_refused },
	{ REC_CLOSED, "closed", REC_SID_LEN, REC_SID_LEN, 0, IPC_ANY_STATE, recorder_on_closed },
	{ REC_AUDIT_DONE, "audit-done", 0, 0, 0, IPC_ANY_STATE, recorder_on_audit_done },
	{ REC_CHECKPOINT, "checkpoint", 8, 8192, 0, IPC_ANY_STATE, recorder_on_checkpoint },
	{ REC_STATUS_REPLY, "status-reply", 0, IPC_MAX, 0, IPC_ANY_STATE, recorder_on_status },
	{ REC_DONE, "done", 5, 4096, 0, IPC_ANY_STATE, recorder_on_done },
	{ REC_PONG, "pong", 0, 0, 0, IPC_ANY_STATE, recorder_on_pong },
	{ REC_SLOW_READER, "slow-reader", 12, 12, 0, IPC_ANY_STATE, recorder_on_slow_reader },
};

/* Their lines, one after the other. */
static void
recorder_auditors(const struct auditors *all, char dst[AUDITORS_MAX * AUDITOR_LINE_SIZE])
{
	char *p = dst;

	for (size_t i = 0; i < all->n; i++) {
		p += strlen(auditor_text(p, &all->a[i]));
		*p++ = '\n';
	}
	*p = '\0';
}

static int
recorder_prepare(void *arg, struct proc_spec *spec, const char **argv, int *fds)
{
	/* argv's space until the start */
	static char stall[24], epoch[24], every[24], auditors[AUDITORS_MAX * AUDITOR_LINE_SIZE];
	struct wiring *w = arg;
	size_t n = 0;

	(void)fds;
	programs_spec(w->conf.programs, PROGRAM_RECORDER, spec);
	(void)snprintf(stall, sizeof(stall), "%llums",
	    (unsigned long long)(w->settings->stall_timeout_ns / CLOCK_NS_PER_MS));
	(void)snprintf(epoch, sizeof(epoch), "%llums",
	    (unsigned long long)(w->settings->epoch_ns / CLOCK_NS_PER_MS));
	argv[n++] = "--store";
	argv[n++] = "recorder";
	argv[n++] = "--durability";
	argv[n++] = w->settings->durability == SETTINGS_STRICT ? "strict" : "process";
	argv[n++] = "--stall-timeout";
	argv[n++] = stall;
	argv[n++] = "--epoch";
	argv[n++] = epoch;
	if (w->settings->auditors.n > 0) {
		recorder_auditors(&w->settings->auditors, auditors);
		argv[n++] = "--auditors";
		argv[n++] = auditors;
	}
	if (w->settings->n_checkpoints > 0) {
		(void)snprintf(every, sizeof(every), "%llums",
		    (unsigned long long)(w->settings->checkpoint_every_ns / CLOCK_NS_PER_MS));
		argv[n++] = "--checkpoint-every";
		argv[n++] = every;
	}
	argv[n] = NULL;
	return 0;
}

void
recorder_keep(struct wiring *w)
{
	const struct settings *s = w->settings;
	struct buf *b;

	if (!service_is_up(&w->recorder))
		return;
	b = buf_new(32);
	if (b == NULL || buf_put_u64(b, s->retain_ns) != 0 ||
	    buf_put_u64(b, s->retain_space) != 0 || buf_put_u64(b, s->reader_timeout_ns) != 0 ||
	    ipc_send_buf(w->recorder.edge, REC_KEEP, 0, b) != 0)
		log_err("recorder.keep_failed next=\"nothing is removed for age or space\"");
	buf_free(b);
}

static void
recorder_up(void *arg)
{
	struct wiring *w = arg;

	recorder_keep(w);

	w->health = REC_HEALTH_OK;
	w->health_text[0] = '\0';
	if (wiring_connect(&w->recorder, REC_POLICY_EDGE, &w->policy, POL_RECORDER_EDGE) != 0)
		log_err("wiring.failed between=\"recorder policy\"");
}

static void
recorder_down(void *arg, const char *what)
{
	struct wiring *w = arg;

	heart_end(w);
	order_recorder_down(w);
	leg_recorder_down(w);
	audit_recorder_down(w);
	wiring_service_down(w, &w->recorder, what);
}

int
edge_recorder_init(struct wiring *w)
{
	const struct service_conf conf = { .name = "recorder",
		.loop = w->conf.loop,
		.ops = w->conf.ops,
		.rules = recorder_rules,
		.n_rules = sizeof(recorder_rules) / sizeof(recorder_rules[0]),
		.ready_within_ns = 0, /* recovery takes as long as it takes */
		.arg = w,
		.prepare = recorder_prepare,
		.up = recorder_up,
		.down = recorder_down };

	return service_init(&w->recorder, &conf);
}
