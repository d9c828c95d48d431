/* The broker's edge: configuration, connections, status; and what all edges need. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/serve.h"
#include "policy/serve_int.h"
#include "recorder/recorder_proto.h"

#define NAME_SIZE 4096u /* bytes of a file's name in a message */
#define CHAIN_SIZE 128u /* bytes of a list of methods */
#define STATUS_MAX 16384u
#define CLOCK_SLACK_S 60u /* that a clock may go back before it is news */

/* Somebody may have set it back to make an expired certificate good again: an event, not only a line. */
static void
clock_is_back(struct serve *s, uint64_t by_s)
{
	char number[24], *text = NULL;
	size_t len = 0;
	int r;

	log_warn("clock.back by_s=%llu effect=\"certificates that have expired stay so\"",
	    (unsigned long long)by_s);
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)by_s);
	r = audit_plain("clock.back", "by_s", number, "effect",
	    "certificates that have expired stay so", clock_wall_ns(), &text, &len);
	serve_audit(s, r, text, len);
}

uint64_t
serve_newest_s(struct serve *s)
{
	uint64_t wall = clock_wall_ns();
	uint64_t steady = s->wall0_ns + (clock_boot_ns() - s->boot0_ns);
	uint64_t newest_s = (steady > wall ? steady : wall) / CLOCK_NS_PER_S;
	bool back;

	if (s->mark_s > newest_s)
		newest_s = s->mark_s;
	back = newest_s > wall / CLOCK_NS_PER_S + CLOCK_SLACK_S;
	if (back && !s->clock_warned)
		clock_is_back(s, newest_s - wall / CLOCK_NS_PER_S);
	s->clock_warned = back;
	return newest_s;
}

void
serve_make_ref(char *dst)
{
	uint8_t bytes[8];

	randombytes_buf(bytes, sizeof(bytes));
	str_hex(dst, bytes, sizeof(bytes));
}

/* Events. */

static void
event_keep(struct serve *s, const char *text, size_t len)
{
	struct serve_event *e = NULL;

	if (s->n_events < SERVE_AUDIT_MAX)
		e = malloc(sizeof(*e) + len);
	if (e == NULL) {
		s->n_lost++;
		return;
	}
	e->len = len;
	memcpy(e->text, text, len);
	STAILQ_INSERT_TAIL(&s->events, e, link);
	s->n_events++;
}

void
serve_event(struct serve *s, char *text, size_t len)
{
	if (text == NULL)
		s->n_lost++;
	else if (s->recorder == NULL || s->n_events > 0 ||
		 ipc_send(s->recorder, POL_AUDIT, 0, text, len) != 0)
		event_keep(s, text, len);
	free(text);
}

void
serve_audit(struct serve *s, int r, char *text, size_t len)
{
	if (r != 0)
		log_err("audit.lost reason=\"%s\"", err_str(r));
	serve_event(s, r == 0 ? text : NULL, len);
}

void
serve_events_flush(struct serve *s)
{
	struct serve_event *e;
	char number[24], *text = NULL;
	size_t len = 0;

	while (s->recorder != NULL && (e = STAILQ_FIRST(&s->events)) != NULL) {
		if (ipc_send(s->recorder, POL_AUDIT, 0, e->text, e->len) != 0)
			return;
		STAILQ_REMOVE_HEAD(&s->events, link);
		s->n_events--;
		free(e);
	}
	if (s->n_lost == 0 || s->recorder == NULL)
		return;
	(void)snprintf(number, sizeof(number), "%zu", s->n_lost);
	if (audit_plain("audit.lost", "events", number, NULL, NULL, clock_wall_ns(), &text, &len) ==
		0 &&
	    ipc_send(s->recorder, POL_AUDIT, 0, text, len) == 0)
		s->n_lost = 0;
	free(text);
}

void
serve_events_free(struct serve *s)
{
	struct serve_event *e;

	while ((e = STAILQ_FIRST(&s->events)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->events, link);
		free(e);
	}
}

void
serve_tell(struct serve *s, uint16_t type, uint32_t id, const struct buf *b)
{
	int r = ipc_send_buf(s->broker, type, id, b);

	if (r != 0)
		log_err("policy.broker_send type=%u reason=\"%s\"", type, err_str(r));
}

void
serve_charge(struct serve *s, uint32_t conn, unsigned failure)
{
	uint8_t byte = (uint8_t)failure;
	int r;

	if (failure == 0)
		return;
	if ((r = ipc_send(s->broker, POL_FAILED, conn, &byte, 1)) != 0)
		log_err("policy.broker_send type=%u reason=\"%s\"", POL_FAILED, err_str(r));
}

/* Configuration. */

static int
on_load_begin(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	uint64_t mark_s;
	struct buf *b;
	int r = 0;

	if ((b = buf_view(msg->data, msg->len)) == NULL)
		return -ENOMEM;
	if (buf_len(b) > 0 && (r = buf_get_u64(b, &mark_s)) == 0 && mark_s > s->mark_s)
		s->mark_s = mark_s;
	if (r == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0)
		return r;
	set_free(s->next);
	s->load_err[0] = '\0';
	if ((s->next = set_new()) == NULL)
		return -ENOMEM;
	s->next_bad = false;
	if (msg->id > s->next_leg)
		s->next_leg = msg->id;
	return 0;
}

static int
load_file(struct serve *s, enum pol_file kind, const char *name, int fd)
{
	char *data = NULL;
	size_t len = 0;
	int r = file_read_fd(fd, SET_FILE_MAX, &data, &len);

	if (r == -ENOMEM)
		return r;
	if (r != 0) {
		char shown[160];

		str_escape(shown, sizeof(shown), name, strlen(name));
		(void)snprintf(
		    s->load_err, sizeof(s->load_err), "%s: cannot be read: %s", shown, err_str(r));
		return ERR_FORMAT;
	}
	r = set_add_file(s->next, kind, name, data, len, s->zones, s->load_err);
	free(data);
	return r;
}

/* After the first error the rest is not looked at: one line is what the operator gets. */
static int
on_load_file(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct buf *b;
	char name[NAME_SIZE];
	uint8_t kind;
	int r;

	if (s->next == NULL)
		return ERR_ORDER;
	if ((b = buf_view(msg->data, msg->len)) == NULL)
		return -ENOMEM;
	if ((r = buf_get_u8(b, &kind)) == 0 && (r = buf_get_cstr(b, name, sizeof(name))) == 0)
		r = buf_end(b);
	buf_free(b);
	if (r != 0 || s->next_bad)
		return r;
	r = load_file(s, (enum pol_file)kind, name, msg->fds[0]);
	if (r == -ENOMEM && str_copy(s->load_err, sizeof(s->load_err), "out of memory") != 0)
		s->load_err[0] = '\0';
	s->next_bad = r != 0;
	return 0;
}

static int
get_flag(struct buf *b, bool *ret_flag)
{
	uint8_t v = 0;
	int r = buf_get_u8(b, &v);

	*ret_flag = v != 0;
	return r != 0 || v <= 1 ? r : ERR_FORMAT;
}

static int
load_finish(struct serve *s, struct buf *b)
{
	struct set *next = s->next;
	char chain[CHAIN_SIZE];
	uint32_t tries, n;
	int r;

	if ((r = buf_get_u32(b, &tries)) != 0 || (r = buf_get_u32(b, &n)) != 0)
		return r;
	for (; n > 0; n--) {
		if ((r = buf_get_cstr(b, chain, sizeof(chain))) != 0)
			return r;
		if (!s->next_bad)
			s->next_bad = set_add_chain(s->next, chain, s->load_err) != 0;
	}
	if ((r = get_flag(b, &next->identity_from_pam)) != 0 ||
	    (r = get_flag(b, &next->groups_from_pam)) != 0 ||
	    (r = get_flag(b, &next->explain)) != 0 ||
	    (r = buf_get_u64(b, &next->pam_timeout_ns)) != 0 || (r = buf_end(b)) != 0)
		return r;
	if (!s->next_bad)
		s->next_bad = set_finish(s->next, tries, s->load_err) != 0;
	return 0;
}

/* The new set takes the old one's place, or is thrown away. */
static void
load_swap(struct serve *s)
{
	const char *warning;

	/* The broker says what came of it: only it knows whether this was a check, a start or a reload. */
	if (s->next_bad) {
		log_debug("policy.refused reason=\"%s\" effect=\"%s\"", s->load_err,
		    s->set != NULL ? "the old one stays" : "nobody can log in");
		set_free(s->next);
	} else {
		const struct model *m = s->next->model;

		set_free(s->set);
		s->set = s->next;
		s->loaded_at_ns = clock_wall_ns();
		(void)snprintf(s->summary, sizeof(s->summary),
		    "%zu users, %zu hosts, %zu rules, %zu user CAs, %zu revoked", model_n_users(m),
		    model_n_hosts(m), model_n_rules(m), s->set->n_cas,
		    s->set->krl != NULL ? krl_count(s->set->krl) : 0);
		log_debug("policy.loaded %s", s->summary);
		serve_valid_reload(s);
		for (size_t i = 0; (warning = model_warning(m, i)) != NULL; i++)
			log_warn("policy.warning text=\"%s\"", warning);
	}
	s->next = NULL;
}

static int
on_load_end(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct buf *b, *reply = NULL;
	bool bad;
	int r;

	if (s->next == NULL)
		return ERR_ORDER;
	if ((b = buf_view(msg->data, msg->len)) == NULL)
		return -ENOMEM;
	if ((r = load_finish(s, b)) != 0)
		goto out;
	bad = s->next_bad;
	load_swap(s);
	r = -ENOMEM;
	if ((reply = buf_new(SET_ERR_SIZE + 16)) == NULL)
		goto out;
	if ((r = buf_put_u8(reply, bad ? 0 : 1)) != 0 ||
	    (r = buf_put_cstr(reply, bad ? s->load_err : s->summary)) != 0)
		goto out;
	serve_tell(s, POL_LOADED, msg->id, reply);
out:
	buf_free(b);
	buf_free(reply);
	return r;
}

/* Connections, legs, edges. */

static int
on_conn(void *arg, struct ipc_msg *msg)
{
	return serve_conn_add(arg, msg);
}

static int
on_jump(void *arg, struct ipc_msg *msg)
{
	return serve_jump(arg, msg);
}

static int
on_conn_gone(void *arg, struct ipc_msg *msg)
{
	serve_conn_gone(arg, msg->id);
	return 0;
}

static int
on_leg_gone(void *arg, struct ipc_msg *msg)
{
	serve_leg_gone(arg, msg->id);
	return 0;
}

static int
on_auth_edge(void *arg, struct ipc_msg *msg)
{
	return serve_auth_edge(arg, msg);
}

static int
on_auth_gone(void *arg, struct ipc_msg *msg)
{
	return serve_auth_gone(arg, msg);
}

static int
on_want_shell(void *arg, struct ipc_msg *msg)
{
	return serve_want_shell(arg, msg->id);
}

static int
on_shell_edge(void *arg, struct ipc_msg *msg)
{
	int r = serve_shell_edge(arg, msg->id, msg->fds[0]);

	if (r == 0)
		msg->fds[0] = -1;
	else
		log_warn(
		    "policy.edge_refused edge=shell leg=%u reason=\"%s\"", msg->id, err_str(r));
	return 0;
}

/* An edge that cannot be served is a broken peer, not the end of this process. */
static int
on_edge(struct serve *s, struct ipc_msg *msg, const char *name, int (*add)(struct serve *s, int fd))
{
	int r = add(s, msg->fds[0]);

	if (r == 0)
		msg->fds[0] = -1;
	else
		log_err("policy.edge_refused edge=%s reason=\"%s\"", name, err_str(r));
	return 0;
}

static int
on_keys_edge(void *arg, struct ipc_msg *msg)
{
	return on_edge(arg, msg, "keys", serve_keys_edge);
}

static int
on_recorder_edge(void *arg, struct ipc_msg *msg)
{
	return on_edge(arg, msg, "recorder", serve_recorder_edge);
}

static struct json *
status_json(const struct serve *s)
{
	struct json *j = json_map();

	json_put_bool(j, "loaded", s->set != NULL);
	if (s->set != NULL) {
		json_put_time(j, "loaded_at", s->loaded_at_ns);
		json_put_u64(j, "users", model_n_users(s->set->model));
		json_put_u64(j, "hosts", model_n_hosts(s->set->model));
		json_put_u64(j, "rules", model_n_rules(s->set->model));
		json_put_u64(j, "user_cas", s->set->n_cas);
		json_put_bool(j, "revocation_list", s->set->krl != NULL);
		if (s->set->krl != NULL)
			json_put_u64(j, "revoked", krl_count(s->set->krl));
	}
	if (s->load_err[0] != '\0')
		json_put_str(j, "load_error", s->load_err);
	json_put_u64(j, "time_zones", zones_count(s->zones));
	json_put_bool(j, "vault", s->keys != NULL);
	json_put_bool(j, "recorder", s->recorder != NULL);
	json_put_u64(j, "connections", s->n_conns);
	json_put_u64(j, "legs", s->n_legs);
	json_put_u64(j, "logins_allowed", s->n_allowed);
	json_put_u64(j, "logins_denied", s->n_denied);
	json_put_u64(j, "asked", s->n_asks);
	json_put_u64(j, "asked_denied", s->n_asks_denied);
	json_put_u64(j, "events_waiting", s->n_events);
	json_put_u64(j, "events_lost", s->n_lost);
	return j;
}

static int
on_status(void *arg, struct ipc_msg *msg)
{
	struct serve *s = arg;
	struct json *j = status_json(s);
	char *text = NULL;
	size_t len = 0;
	int r = json_text(j, false, STATUS_MAX, &text, &len);

	json_free(j);
	if (r == 0)
		r = ipc_send(s->broker, POL_STATUS_REPLY, msg->id, text, len);
	free(text);
	return r;
}

static const struct ipc_rule broker_rules[] = {
	{ POL_LOAD_BEGIN, "load-begin", 0, 8, 0, IPC_ANY_STATE, on_load_begin },
	{ POL_LOAD_FILE, "load-file", 5, NAME_SIZE + 8, 1, IPC_ANY_STATE, on_load_file },
	{ POL_LOAD_END, "load-end", 19, 4096, 0, IPC_ANY_STATE, on_load_end },
	{ POL_CONN, "conn", 16, 512, 1, IPC_ANY_STATE, on_conn },
	{ POL_JUMP, "jump", 12, IPC_MAX, 1, IPC_ANY_STATE, on_jump },
	{ POL_CONN_GONE, "conn-gone", 0, 0, 0, IPC_ANY_STATE, on_conn_gone },
	{ POL_LEG_GONE, "leg-gone", 0, 0, 0, IPC_ANY_STATE, on_leg_gone },
	{ POL_KEYS_EDGE, "keys-edge", 0, 0, 1, IPC_ANY_STATE, on_keys_edge },
	{ POL_RECORDER_EDGE, "recorder-edge", 0, 0, 1, IPC_ANY_STATE, on_recorder_edge },
	{ POL_WANT_SHELL, "want-shell", 0, 0, 0, IPC_ANY_STATE, on_want_shell },
	{ POL_SHELL_EDGE, "shell-edge", 0, 0, 1, IPC_ANY_STATE, on_shell_edge },
	{ POL_AUTH_EDGE, "auth-edge", 4, 4, 1, IPC_ANY_STATE, on_auth_edge },
	{ POL_AUTH_GONE, "auth-gone", 8, 512, 0, IPC_ANY_STATE, on_auth_gone },
	{ POL_STATUS, "status", 0, 0, 0, IPC_ANY_STATE, on_status },
};

static void
on_broker_gone(void *arg, int err)
{
	struct serve *s = arg;

	if (err != ERR_PEER_GONE)
		log_err("policy.broker_lost reason=\"%s\"", err_str(err));
	loop_stop(s->loop);
}

int
serve_new(struct loop *l, const struct zones *zones, int broker_fd, struct serve **ret_serve)
{
	struct serve *s = calloc(1, sizeof(*s));
	const struct ipc_conf conf = {
		.name = "policy-broker",
		.rules = broker_rules,
		.n_rules = sizeof(broker_rules) / sizeof(broker_rules[0]),
		.arg = s,
		.gone = on_broker_gone,
	};
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->loop = l;
	s->zones = zones;
	s->next_leg = 1;
	s->wall0_ns = clock_wall_ns();
	s->boot0_ns = clock_boot_ns();
	STAILQ_INIT(&s->events);
	randombytes_buf(s->secret, sizeof(s->secret));
	if ((r = serve_valid_init(s)) != 0 || (r = ipc_new(l, broker_fd, &conf, &s->broker)) != 0) {
		serve_free(s);
		return r;
	}
	*ret_serve = s;
	return 0;
}

void
serve_free(struct serve *s)
{
	if (s == NULL)
		return;
	serve_shells_free(s);
	serve_conns_free(s);
	serve_legs_free(s);
	serve_events_free(s);
	ipc_free(s->keys);
	ipc_free(s->recorder);
	buf_free(s->asked);
	ipc_free(s->broker);
	loop_timer_free(s->valid_timer);
	set_free(s->set);
	set_free(s->next);
	free(s);
}
