/* The frame of the wiring: making it, its order of start and stop, edges between services. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_proto.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"

#define WIRING_FRONTS_NS                                                                           \
	(3 * CLOCK_NS_PER_S) /* for all fronts to end at a stop, killing included */

#define WIRING_PUSH_ALARM 3u /* intervals that a place may fail for */

static void wiring_on_stop_timer(void *arg);
static void wiring_on_changed(void *arg);

/* In the record, too: whoever sees to it that nothing leaves the machine is somebody to look for. */
static void
wiring_on_push(void *arg, const char *to, bool works, const char *why)
{
	struct json *e = json_event(works ? "checkpoint.pushed_again" : "checkpoint.push_failed");

	json_put_str(e, "to", to);
	if (works) {
		log_notice("push.works_again to=\"%s\"", to);
	} else {
		log_err(
		    "push.fails to=\"%s\" reason=\"%s\" next=\"tried again, at least every "
		    "five minutes\" effect=\"an old store put back would not be noticed by what "
		    "is kept there\"",
		    to, why);
		json_put_str(e, "reason", why);
	}
	wiring_audit(arg, e);
}

static void
wiring_on_push_idle(void *arg)
{
	wiring_changed(arg);
}

static int
wiring_new_push(struct wiring *w)
{
	const struct settings *s = w->conf.settings;
	const struct push_conf conf = { .loop = w->conf.loop,
		.ops = w->conf.ops,
		.programs = w->conf.programs,
		.to = s->checkpoints,
		.n = s->n_checkpoints,
		.deadline_ns = PUSH_DEADLINE_NS,
		.pause_ns = PUSH_PAUSE_NS,
		.alarm_ns = WIRING_PUSH_ALARM * s->checkpoint_every_ns,
		.alarm = wiring_on_push,
		.idle = wiring_on_push_idle,
		.arg = w };

	return push_new(&conf, &w->push);
}

int
wiring_new(const struct wiring_conf *conf, struct wiring **ret_wiring)
{
	struct wiring *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (w == NULL)
		return r;
	w->conf = *conf;
	w->since_ns = clock_wall_ns();
	w->health = REC_HEALTH_OK;
	TAILQ_INIT(&w->audit);
	if ((w->penalty = penalty_new(conf->settings->penalties.sources)) == NULL ||
	    (w->limits = limits_new(w->penalty)) == NULL ||
	    (r = loop_timer_new(conf->loop, wiring_on_stop_timer, w, &w->stop_timer)) != 0 ||
	    (r = loop_timer_new(conf->loop, wiring_on_changed, w, &w->changed_timer)) != 0 ||
	    (r = edge_keys_init(w)) != 0 || (r = edge_policy_init(w)) != 0 ||
	    (r = edge_recorder_init(w)) != 0 || (r = edge_indexer_init(w)) != 0 ||
	    (r = wiring_new_push(w)) != 0 || (r = heart_init(w)) != 0) {
		wiring_free(w);
		return r;
	}
	w->settings = conf->settings;
	w->files = conf->files;
	*ret_wiring = w;
	return 0;
}

void
wiring_free(struct wiring *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < WIRING_BUCKETS; i++) {
		while (!LIST_EMPTY(&w->conns[i]))
			conn_free(LIST_FIRST(&w->conns[i]));
		while (!LIST_EMPTY(&w->legs[i]))
			leg_free(LIST_FIRST(&w->legs[i]));
	}
	auth_free_all(w);
	order_recorder_down(w);
	reader_free(w);
	push_free(w->push);
	status_free(w);
	audit_free(w);
	service_done(&w->keys);
	service_done(&w->policy);
	service_done(&w->recorder);
	service_done(&w->indexer);
	loop_timer_free(w->changed_timer);
	loop_timer_free(w->stop_timer);
	loop_timer_free(w->heart_timer);
	limits_free(w->limits);
	penalty_free(w->penalty);
	policy_files_free(w->files);
	free(w->settings);
	free(w);
}

void
wiring_start(struct wiring *w)
{
	service_start(&w->keys);
	service_start(&w->policy);
	service_start(&w->recorder);
}

void
wiring_changed(struct wiring *w)
{
	loop_timer_arm(w->changed_timer, 0);
}

void
wiring_service_down(struct wiring *w, const struct service *s, const char *what)
{
	if (!s->was_ready && s->wanted && w->start_failed[0] == '\0')
		(void)snprintf(w->start_failed, sizeof(w->start_failed),
		    "bastiond-%s ended before it was ready (%s)", s->conf.name, what);
	if (s->wanted && s->was_ready) {
		struct json *e = json_event("service.died");

		json_put_str(e, "role", s->conf.name);
		json_put_str(e, "reason", what);
		json_put_u64(e, "restarts", s->restarts);
		wiring_audit(w, e);
	}
	wiring_changed(w);
}

bool
wiring_is_ready(const struct wiring *w)
{
	return service_is_ready(&w->keys) && service_is_ready(&w->policy) &&
	       service_is_ready(&w->recorder);
}

bool
wiring_vault_locked(const struct wiring *w)
{
	return w->host_key_len == 0;
}

const char *
wiring_start_failed(const struct wiring *w)
{
	return w->start_failed[0] != '\0' ? w->start_failed : NULL;
}

const struct settings *
wiring_settings(const struct wiring *w)
{
	return w->settings;
}

const struct limits *
wiring_limits(const struct wiring *w)
{
	return w->limits;
}

void
wiring_set_own(struct wiring *w, char own[][NET_PORT_TEXT_SIZE], size_t n)
{
	w->n_own = n < WIRING_OWN_MAX ? n : WIRING_OWN_MAX;
	memcpy(w->own, own, w->n_own * sizeof(w->own[0]));
}

bool
wiring_is_lie(int err)
{
	return err == ERR_FORMAT || err == ERR_ORDER || err == ERR_VERSION;
}

int
wiring_send_text(struct ipc *edge, uint16_t type, uint32_t id, const char *text)
{
	struct buf *b = buf_new(strlen(text) + 4);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_cstr(b, text)) == 0)
		r = ipc_send_buf(edge, type, id, b);
	buf_free(b);
	return r;
}

int
wiring_connect(struct service *a, uint16_t a_type, struct service *b, uint16_t b_type)
{
	int pair[2], r;

	if (!service_is_up(a) || !service_is_up(b))
		return 0; /* whoever comes up later connects */
	if ((r = ipc_pair(pair)) != 0)
		return r;
	r = ipc_send_fds(a->edge, a_type, 0, NULL, 0, &pair[0], 1);
	if (r == 0)
		r = ipc_send_fds(b->edge, b_type, 0, NULL, 0, &pair[1], 1);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return r;
}

int
wiring_keys_admin(struct wiring *w, const char *who, int *ret_fd)
{
	struct buf *b = NULL;
	int pair[2] = { -1, -1 }, r;

	if (!service_is_ready(&w->keys))
		return ERR_ORDER;
	if ((r = ipc_pair(pair)) != 0)
		return r;
	r = -ENOMEM;
	if ((b = buf_new(256)) != NULL && (r = buf_put_cstr(b, who)) == 0)
		r = ipc_send_fds(w->keys.edge, KEYS_ADMIN, 0, buf_ptr(b), buf_len(b), &pair[0], 1);
	if (r == 0) {
		*ret_fd = pair[1];
		pair[1] = -1;
	}
	buf_free(b);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return r;
}

int
wiring_kill_session(struct wiring *w, const char *sid, const char *who)
{
	uint8_t raw[REC_SID_LEN];
	struct leg *l;

	if (str_unhex(sid, raw, sizeof(raw)) != 0 || (l = leg_find_sid(w, raw)) == NULL ||
	    !l->recorded || !service_is_ready(&w->recorder))
		return ERR_NOT_FOUND;
	return leg_ask_end(l, "this session was ended by an administrator", who);
}

/* The stop: first the fronts, so that their last frames reach the recorder; then the recorder; then the rest. */

static void
wiring_stop_recorder(struct wiring *w)
{
	w->phase = WIRING_STOPS_RECORDER;
	if (service_is_up(&w->recorder) && ipc_send(w->recorder.edge, REC_STOP, 0, NULL, 0) == 0)
		service_let_end(&w->recorder, WIRING_STOP_NS);
	else
		service_stop(&w->recorder, WIRING_KILL_NS);
}

static void
wiring_stop_rest(struct wiring *w)
{
	w->phase = WIRING_STOPS_REST;
	conn_kill_all(w);
	leg_kill_all(w);
	auth_kill_all(w);
	reader_kill_all(w);
	push_stop(w->push);
	service_stop(&w->policy, WIRING_KILL_NS);
	service_stop(&w->keys, WIRING_KILL_NS);
}

static void
wiring_stop_next(struct wiring *w)
{
	if (w->phase == WIRING_STOPS_FRONTS && w->n_conns == 0) {
		loop_timer_disarm(w->stop_timer);
		wiring_stop_recorder(w);
	}
	if (w->phase == WIRING_STOPS_RECORDER && w->recorder.state == SERVICE_STOPPED)
		wiring_stop_rest(w);
}

static void
wiring_on_changed(void *arg)
{
	struct wiring *w = arg;

	if (w->phase != WIRING_RUNS)
		wiring_stop_next(w);
	w->conf.changed(w->conf.arg);
}

static void
wiring_on_stop_timer(void *arg)
{
	struct wiring *w = arg;

	if (w->phase != WIRING_STOPS_FRONTS)
		return;
	log_warn("stop.slow_fronts left=%zu next=\"the recorder ends their sessions\"", w->n_conns);
	wiring_stop_recorder(w);
	wiring_changed(w);
}

void
wiring_stop(struct wiring *w, const char *line)
{
	if (w->phase != WIRING_RUNS)
		return;
	w->phase = WIRING_STOPS_FRONTS;
	indexer_end(w);
	conn_close_all(w, line);
	loop_timer_arm(w->stop_timer, WIRING_FRONTS_NS);
	wiring_changed(w);
}

bool
wiring_stopped(const struct wiring *w)
{
	return w->phase == WIRING_STOPS_REST && push_is_idle(w->push) && w->n_conns == 0 &&
	       w->n_legs == 0 && w->n_auths == 0 && w->keys.state == SERVICE_STOPPED &&
	       w->policy.state == SERVICE_STOPPED && w->recorder.state == SERVICE_STOPPED &&
	       w->indexer.state == SERVICE_STOPPED;
}
