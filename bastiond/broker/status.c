/* Status: what the broker knows, and what each service answers within a moment. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/wiring_priv.h"
#include "keys/keys_proto.h"
#include "lib/sandbox.h"
#include "lib/str.h"
#include "policy/policy_proto.h"
#include "recorder/recorder_proto.h"

#define STATUS_WAIT_NS CLOCK_NS_PER_S
#define STATUS_CONNS_MAX 100u /* connections that are listed one by one */

struct status_ask {
	LIST_ENTRY(status_ask) link;
	struct wiring *w;
	uint32_t id;
	unsigned waiting; /* services that have not answered */
	struct json_node *answers[3];
	struct loop_timer *timer;
	wiring_status_fn done;
	void *arg;
};

/* The services in the order of answers[]; health stands in the recorder's own part. */
static const char *const status_names[3] = { "recorder", "keys", "policy" };

static void
status_ask_free(struct status_ask *a)
{
	LIST_REMOVE(a, link);
	for (size_t i = 0; i < 3; i++)
		json_node_free(a->answers[i]);
	loop_timer_free(a->timer);
	free(a);
}

static void
status_put_child(struct json *list, const struct service *s, uid_t uid)
{
	struct json *j = json_map();

	json_put_str(j, "role", s->conf.name);
	json_put_str(j, "state", service_state_name(s));
	json_put_u64(j, "pid", s->process != NULL ? (uint64_t)process_pid(s->process) : 0);
	json_put_u64(j, "uid", uid);
	json_put_u64(j, "restarts", s->restarts);
	if (s->process != NULL)
		json_put_time(j, "started_at", s->since_ns);
	else
		json_put_null(j, "started_at");
	json_put(list, NULL, j);
}

static struct json *
status_children(const struct wiring *w)
{
	struct json *list = json_list();

	status_put_child(list, &w->recorder, w->conf.programs->uid[PROGRAM_RECORDER]);
	status_put_child(list, &w->indexer, w->conf.programs->uid[PROGRAM_INDEXER]);
	status_put_child(list, &w->keys, w->conf.programs->uid[PROGRAM_KEYS]);
	status_put_child(list, &w->policy, w->conf.programs->uid[PROGRAM_POLICY]);
	return list;
}

static void
status_put_conn(struct json *list, const struct conn *c)
{
	static const char *const states[] = { "asks policy", "asks the vault", "login", "in",
		"closing" };
	struct json *j = json_map(), *legs = json_list();
	char sid[2 * REC_SID_LEN + 1], target[WIRING_TARGET_SIZE];
	const struct leg *l;

	json_put_u64(j, "id", c->id);
	json_put_str(j, "source", c->source);
	json_put_str(j, "identity", c->identity[0] != '\0' ? c->identity : NULL);
	json_put_str(j, "state", states[c->state]);
	json_put_u64(j, "pid", c->front != NULL ? (uint64_t)process_pid(c->front) : 0);
	json_put_time(j, "since", c->since_ns);
	if (c->is_jump) {
		json_put_u64(j, "through", c->parent != NULL ? c->parent->id : 0);
		json_put_str(j, "target", jump_target(c, target, sizeof(target)));
	}
	LIST_FOREACH (l, &c->legs, of_conn) {
		struct json *leg = json_map();

		json_put_u64(leg, "id", l->id);
		json_put_str(leg, "session", l->has_sid ? str_hex(sid, l->sid, REC_SID_LEN) : NULL);
		json_put_u64(leg, "pid", l->back != NULL ? (uint64_t)process_pid(l->back) : 0);
		json_put(legs, NULL, leg);
	}
	json_put(j, "legs", legs);
	json_put(list, NULL, j);
}

static struct json *
status_conns(const struct wiring *w)
{
	struct json *list = json_list();
	const struct conn *c;
	size_t n = 0;

	for (size_t i = 0; i < WIRING_BUCKETS; i++)
		LIST_FOREACH (c, &w->conns[i], by_id)
			if (n++ < STATUS_CONNS_MAX)
				status_put_conn(list, c);
	return list;
}

static struct json *
status_limits(const struct wiring *w)
{
	struct json *j = json_map(), *refused = json_map();
	size_t known, bad;

	penalty_count(w->penalty, &known, &bad);
	json_put_u64(j, "connections", w->settings->connections);
	json_put_u64(j, "per_source", w->settings->per_source);
	json_put_u64(j, "not_logged_in", limits_startups(w->limits));
	json_put_u64(j, "sources_with_penalty", known);
	json_put_u64(j, "sources_refused", bad);
	for (int v = LIMITS_OK + 1; v < LIMITS_N_VERDICTS; v++)
		json_put_u64(refused, limits_name((enum limits_verdict)v),
		    limits_refused(w->limits, (enum limits_verdict)v));
	json_put(j, "refused", refused);
	return j;
}

/* What is wrong, a line each, with what to do. */
static struct json *
status_problems(const struct wiring *w)
{
	struct json *list = json_list();

	if (w->host_key_len == 0 && service_is_ready(&w->keys))
		json_put_str(list, NULL,
		    "the key vault is locked, nobody is let in: bastionctl keys unlock");
	if (w->audit_lost)
		json_put_str(list, NULL, "audit events were lost: see the log");
	if (heart_is_slow(w))
		json_put_str(list, NULL,
		    "the recorder does not answer, nobody is let in and sessions stand still: see "
		    "whether its disk does");
	push_put_problems(w->push, list);
	if (w->n_audit > WIRING_AUDIT_MAX / 2)
		json_put_str(list, NULL, "the recorder does not confirm audit events: see the log");
	return list;
}

static struct json *
status_of_recorder(const struct wiring *w, const struct json_node *answer)
{
	static const char *const health[] = { "", "ok", "no-new-sessions", "failed" };
	struct json *j = json_map();

	json_put_str(j, "health",
	    service_is_ready(&w->recorder) ? health[w->health] : service_state_name(&w->recorder));
	json_put_str(j, "text", w->health_text);
	json_put_node(j, "status", answer);
	return j;
}

static struct json *
status_make(const struct status_ask *a)
{
	const struct wiring *w = a->w;
	struct json *j = json_map();
	char sandbox[128];

	json_put_str(j, "version", PACKAGE_VERSION);
	json_put_u64(j, "pid", (uint64_t)getpid());
	json_put_time(j, "started_at", w->since_ns);
	json_put_u64(j, "uptime", (clock_wall_ns() - w->since_ns) / CLOCK_NS_PER_S);
	json_put_u64(j, "connections", w->n_conns - w->n_jumps);
	json_put_u64(j, "jumps", w->n_jumps);
	json_put_u64(j, "legs", w->n_legs);
	json_put_u64(j, "auths", w->n_auths);
	json_put(j, "children", status_children(w));
	json_put(j, "limits", status_limits(w));
	json_put(j, "recorder", status_of_recorder(w, a->answers[0]));
	json_put_node(j, "keys", a->answers[1]);
	json_put_node(j, "policy", a->answers[2]);
	json_put(j, "checkpoints", push_json(w->push));
	json_put(j, "problems", status_problems(w));
	json_put(j, "open", status_conns(w));
	json_put_str(j, "sandbox", sandbox_describe(sandbox, sizeof(sandbox)));
	return j;
}

static void
status_finish(struct status_ask *a)
{
	struct json *j = status_make(a);
	wiring_status_fn done = a->done;
	void *arg = a->arg;

	status_ask_free(a);
	done(arg, j);
}

static void
status_on_timer(void *arg)
{
	status_finish(arg);
}

static void
status_ask_one(struct status_ask *a, struct service *s, uint16_t type, size_t i)
{
	if (service_is_ready(s) && ipc_send(s->edge, type, a->id, NULL, 0) == 0)
		a->waiting |= 1u << i;
}

int
wiring_status(struct wiring *w, wiring_status_fn done, void *arg)
{
	struct status_ask *a = calloc(1, sizeof(*a));
	int r = -ENOMEM;

	if (a == NULL)
		return r;
	*a = (struct status_ask){ .w = w, .id = ++w->last_ask, .done = done, .arg = arg };
	LIST_INSERT_HEAD(&w->asks, a, link);
	if ((r = loop_timer_new(w->conf.loop, status_on_timer, a, &a->timer)) != 0) {
		status_ask_free(a);
		return r;
	}
	status_ask_one(a, &w->recorder, REC_STATUS, 0);
	status_ask_one(a, &w->keys, KEYS_STATUS, 1);
	status_ask_one(a, &w->policy, POL_STATUS, 2);
	loop_timer_arm(a->timer, a->waiting != 0 ? STATUS_WAIT_NS : 0);
	return 0;
}

void
status_reply(struct wiring *w, uint32_t id, const char *of, const uint8_t *text, size_t len)
{
	struct status_ask *a;
	size_t i = 0;

	LIST_FOREACH (a, &w->asks, link)
		if (a->id == id)
			break;
	while (i < 3 && strcmp(status_names[i], of) != 0)
		i++;
	if (a == NULL || i == 3 || (a->waiting & 1u << i) == 0)
		return; /* too late */
	a->waiting &= ~(1u << i);
	if (json_parse((const char *)text, len, &a->answers[i]) != 0)
		a->answers[i] = NULL;
	if (a->waiting == 0)
		status_finish(a);
}

void
wiring_status_forget(struct wiring *w, void *arg)
{
	struct status_ask *a = LIST_FIRST(&w->asks);

	while (a != NULL) {
		struct status_ask *next = LIST_NEXT(a, link);

		if (a->arg == arg)
			status_ask_free(a);
		a = next;
	}
}

void
status_free(struct wiring *w)
{
	struct status_ask *a, *next;

	for (a = LIST_FIRST(&w->asks); a != NULL; a = next) {
		next = LIST_NEXT(a, link);
		status_ask_free(a);
	}
}
