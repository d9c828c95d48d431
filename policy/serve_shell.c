/*
 * The bastion's own shell: who gets one, what it is told, and which legs it is granted. Whatever it asks is judged by what its person
 * logged in with, as that stands at that moment; it cannot name anybody else.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "policy/serve_int.h"
#include "policy/shell_answer.h"

#define PART_MAX 49152u	       /* bytes of an answer in one message */
#define ANSWER_MAX (40u << 20) /* bytes of an answer */
#define TARGET_SIZE 520u
#define SLICE_NS (3 * CLOCK_NS_PER_MS) /* of work on one list before others have their turn */
#define QUEUE_MAX 2048u		       /* messages of an answer that wait for a shell */

#define NOT_YOURS "there is no such host, or it is not open to you"
#define NOT_VALID "your login is not valid any more: log in again"
#define NEEDS_KEY                                                                                  \
	"this host asks for a key or certificate beside your login: log in with one, and connect " \
	"again"
#define TOO_MANY "too many attempts at a second factor: log in again"
#define NOT_PROVED "the second factor was not accepted; reference %s"
#define NO_RECORDER "the bastion cannot record at the moment, so nothing is opened; try again later"

enum shell_state { SHELL_IDLE, SHELL_BUSY };

struct serve_shell {
	LIST_ENTRY(serve_shell) link;
	struct serve *s;
	uint32_t leg, conn;
	struct ipc *ipc;
	struct loop_timer *timer;
	/* A list under way: */
	struct buf *list;   /* NULL: none */
	size_t next;	    /* host */
	uint64_t of_set_ns; /* the policy that it is about */
	/* A no that is due later: */
	struct buf *late; /* NULL: none */
	uint16_t late_type;
	/* A second factor is being asked for: */
	struct serve_pam pam;
	char target[TARGET_SIZE]; /* what for */
};

/* The person as they are now. It leads into itself. */
struct person {
	struct auth_scene scene;
	struct proof proof;
	const struct model_user *user;
	struct access_person who;
	const char *why; /* they are not: a word */
};

/* 0; ERR_DENIED; -ENOMEM. person_done() in any case. */
static int
person_read(const struct serve_conn *c, struct person *p)
{
	int r = ERR_DENIED;

	*p = (struct person){ .why = "not-logged-in" };
	p->scene = serve_conn_scene(c);
	/* A jump's pass is for its host alone. */
	if (c->through != 0)
		return r;
	if ((r = proof_read(&p->proof, &p->scene, &c->pass, NULL)) == 0) {
		p->who = proof_person(&p->proof, &p->scene);
		p->user = p->who.users[0];
	} else {
		p->why = p->proof.reason;
	}
	return r;
}

static void
person_done(struct person *p)
{
	proof_done(&p->proof);
}

/* Grants. */

/* What came of something that was asked for. */
struct outcome {
	const char *event, *method;
	const char *reason; /* NULL: all is well */
	const struct access *access;
	const struct auth_pam *pam; /* NULL: none was asked */
	uint32_t leg;		    /* 0: none */
};

/* For the record. */
static void
event(struct serve_conn *c, const struct person *p, const struct outcome *o)
{
	struct audit_conn w = serve_conn_where(c);
	const struct audit_shell what = { o->event, o->method, o->reason, &p->proof, &c->pass,
		o->access, o->pam, o->leg };
	char *text = NULL;
	size_t len = 0;
	int e;

	log_notice("%s conn=%u ref=%s from=%s identity=%s host=%s reason=%s", o->event, c->id,
	    c->ref, c->source_text, c->pass.identity,
	    o->access->host_name[0] != '\0' ? o->access->host_name : "-",
	    o->reason != NULL ? o->reason : "-");
	e = audit_shell(&w, &c->auth, &what, clock_wall_ns(), &text, &len);
	serve_audit(c->s, e, text, len);
}

/* via: the leg whose shell it is for; 0: it is the shell itself. *ret_leg: its number. */
static int
grant(struct serve_conn *c, const struct person *p, const struct access *access, uint32_t via,
    uint32_t *ret_leg)
{
	const struct leg_terms terms = { &c->pass, &p->proof, access };
	struct serve *s = c->s;
	struct leg *leg = NULL;
	struct buf *b = NULL;
	int e;

	if (s->next_leg == UINT32_MAX)
		return ERR_LIMIT;
	e = leg_new(s->next_leg, c->id, c->ref, c->source_text, &p->scene, &terms, &leg);
	if (e != 0)
		return e;
	leg->via = via;
	if ((e = serve_leg_add(s, leg)) != 0) {
		leg_free(leg);
		return e;
	}
	e = -ENOMEM;
	if ((b = buf_new(IPC_MAX)) != NULL &&
	    (e = leg_put_grant(leg, c->auth.claim, &terms, b)) == 0)
		e = ipc_send_buf(s->broker, POL_GRANT, leg->id, b);
	buf_free(b);
	if (e != 0) {
		serve_leg_gone(s, leg->id);
		return e;
	}
	*ret_leg = s->next_leg++;
	return 0;
}

static int
say_no_shell(struct serve *s, uint32_t conn, const char *line)
{
	struct buf *b = buf_new(512);
	int r = -ENOMEM;

	if (b != NULL && (r = buf_put_cstr(b, line)) == 0)
		serve_tell(s, POL_NO_SHELL, conn, b);
	buf_free(b);
	return r;
}

int
serve_want_shell(struct serve *s, uint32_t id)
{
	struct serve_conn *c = serve_conn_find(s, id);
	struct access a = { .outcome = ACCESS_NO_HOST };
	struct outcome o = { .method = "shell", .access = &a };
	struct person p;
	int e;

	if (c == NULL)
		return say_no_shell(s, id, NOT_VALID);
	if (c->pass.identity[0] == '\0' || c->through != 0)
		serve_conn_alarm(c, "not-logged-in", "it asked for the bastion's shell");
	e = s->recorder != NULL ? person_read(c, &p) : ERR_ORDER;
	if (s->recorder == NULL)
		p = (struct person){ .why = "no-recorder" };
	a.user = p.user;
	if (e == 0)
		e = grant(c, &p, &a, 0, &o.leg);
	o.reason = e == 0 ? NULL : e == ERR_DENIED || e == ERR_ORDER ? p.why : "no-grant";
	o.event = e == 0 ? "shell.allowed" : "shell.denied";
	event(c, &p, &o);
	person_done(&p);
	return e == 0 ? 0
		      : say_no_shell(s, id,
			    e == ERR_ORDER    ? NO_RECORDER
			    : e == ERR_DENIED ? NOT_VALID
					      : "the bastion's shell could not be started");
}

/* Answers. */

static void
shell_free(struct serve_shell *sh)
{
	LIST_REMOVE(sh, link);
	serve_pam_free(&sh->pam);
	ipc_free(sh->ipc);
	loop_timer_free(sh->timer);
	buf_free(sh->list);
	buf_free(sh->late);
	free(sh);
}

void
serve_shell_gone(struct serve *s, uint32_t leg)
{
	struct serve_shell *sh;

	LIST_FOREACH (sh, &s->shells, link)
		if (sh->leg == leg) {
			serve_pam_stop(&sh->pam);
			shell_free(sh);
			return;
		}
}

struct serve_pam *
serve_shell_pam(struct serve *s, uint32_t conn, uint32_t attempt)
{
	struct serve_shell *sh;

	LIST_FOREACH (sh, &s->shells, link)
		if (sh->conn == conn && sh->pam.attempt == attempt)
			return &sh->pam;
	return NULL;
}

void
serve_shells_free(struct serve *s)
{
	struct serve_shell *sh, *next;

	for (sh = LIST_FIRST(&s->shells); sh != NULL; sh = next) {
		next = LIST_NEXT(sh, link);
		shell_free(sh);
	}
}

/* Without an answer the shell waits; without its edge it knows. */
static void
give_up(struct serve_shell *sh, int err)
{
	log_err("policy.shell_failed leg=%u reason=\"%s\"", sh->leg, err_str(err));
	serve_pam_stop(&sh->pam);
	shell_free(sh);
}

/* In as many parts as it takes. */
static void
answer(struct serve_shell *sh, uint8_t code, const void *text, size_t len)
{
	const uint8_t *at = text;
	int r = 0;

	ipc_set_state(sh->ipc, SHELL_IDLE);
	do {
		size_t n = len < PART_MAX ? len : PART_MAX;
		struct buf *b = buf_new(PART_MAX + 16);

		r = -ENOMEM;
		if (b != NULL && (r = buf_put_u8(b, code)) == 0 && (r = buf_put_str(b, at, n)) == 0)
			r = ipc_send_buf(sh->ipc, POL_SHELL_ANSWER, n < len ? 1 : 0, b);
		buf_free(b);
		at += n;
		len -= n;
	} while (r == 0 && len > 0);
	if (r != 0 && r != ERR_PEER_GONE)
		give_up(sh, r);
}

static void
answer_text(struct serve_shell *sh, uint8_t code, const char *text)
{
	answer(sh, code, text, strlen(text));
}

static void
answer_json(struct serve_shell *sh, uint8_t code, struct json *j)
{
	char *text = NULL;
	size_t len = 0;
	int r = json_text(j, false, ANSWER_MAX, &text, &len);

	json_free(j);
	if (r != 0)
		answer_text(sh, 3, "out of memory");
	else
		answer(sh, code, text, len);
	free(text);
}

/* What is not there and what is not theirs takes as long as at a login. */
static void
answer_late(struct serve_shell *sh, struct serve_conn *c, uint16_t type, struct buf *b)
{
	buf_free(sh->late);
	sh->late = b;
	sh->late_type = type;
	loop_timer_arm(sh->timer, serve_failure_delay(c));
}

static void
say_late(struct serve_shell *sh)
{
	struct buf *b = sh->late;
	int r;

	sh->late = NULL;
	if (sh->late_type == POL_SHELL_CONNECTED) {
		ipc_set_state(sh->ipc, SHELL_IDLE);
		if ((r = ipc_send_buf(sh->ipc, sh->late_type, 0, b)) != 0)
			log_debug("policy.shell_unheard leg=%u", sh->leg);
	} else {
		answer(sh, 1, buf_ptr(b), buf_len(b));
	}
	buf_free(b);
}

/* Questions. */

static void
ask_whoami(struct serve_shell *sh, struct serve_conn *c, const struct person *p, const char *arg)
{
	(void)arg;
	answer_json(sh, 0, shell_answer_whoami(p->user, &p->proof, &c->pass, c->source_text));
}

/* The hosts, a slice at a time; a policy that comes meanwhile is the one that counts. */
static void
list_step(struct serve_shell *sh)
{
	struct serve_conn *c = serve_conn_find(sh->s, sh->conn);
	uint64_t until = clock_boot_ns() + SLICE_NS;
	struct person p = { .why = NULL };
	size_t n;
	int r = c != NULL ? person_read(c, &p) : ERR_DENIED;

	if (r == 0 && sh->of_set_ns != sh->s->loaded_at_ns) {
		sh->of_set_ns = sh->s->loaded_at_ns;
		sh->next = 0;
		buf_reset(sh->list);
	}
	n = r == 0 ? model_n_hosts(p.scene.set->model) : 0;
	while (r == 0 && sh->next < n && clock_boot_ns() < until)
		r = shell_answer_host(p.scene.set->model,
		    model_host_at(p.scene.set->model, sh->next++), p.user, &p.who, sh->list);
	person_done(&p);
	if (r == 0 && sh->next < n) {
		loop_timer_arm(sh->timer, 0);
		return;
	}
	if (r == 0) {
		bool none = buf_len(sh->list) == 0;
		struct buf *list = sh->list;

		sh->list = NULL;
		r = buf_put(list, none ? "[]" : "]", none ? 2 : 1);
		if (r == 0)
			answer(sh, none ? 1 : 0, buf_ptr(list), buf_len(list));
		buf_free(list);
		if (r == 0)
			return;
	}
	buf_free(sh->list);
	sh->list = NULL;
	answer_text(sh, 3, r == ERR_DENIED ? NOT_VALID : "there are too many hosts to list");
}

static void
ask_hosts(struct serve_shell *sh, struct serve_conn *c, const struct person *p, const char *arg)
{
	(void)c;
	(void)p;
	(void)arg;
	if ((sh->list = buf_new(ANSWER_MAX)) == NULL) {
		answer_text(sh, 3, "out of memory");
		return;
	}
	sh->next = 0;
	sh->of_set_ns = sh->s->loaded_at_ns;
	list_step(sh);
}

/* 0: *a says what came out; ERR_FORMAT: a->line is a hint. */
static int
resolve(struct serve_conn *c, const struct person *p, const char *target, struct access *a)
{
	struct names n;
	char hint[NAMES_HINT_SIZE];
	int r = shell_answer_target(p->user->name, target, &n, hint);

	/* For the time that a no takes. */
	c->arrived_ns = clock_boot_ns();
	hash_sha256(target, strlen(target), c->auth.pin);
	*a = (struct access){ .outcome = ACCESS_SAY, .reason = "bad-name", .user = p->user };
	if (r != 0) {
		/* NAMES_HINT_SIZE is less than the line. */
		(void)snprintf(a->line, sizeof(a->line), "%s", hint);
		return ERR_FORMAT;
	}
	access_target(p->scene.set->model, p->user, n.form == NAMES_FULL ? n.login : NULL, n.host,
	    n.port, &p->who, a);
	return 0;
}

static void
ask_explain(struct serve_shell *sh, struct serve_conn *c, const struct person *p, const char *arg)
{
	struct access a;
	struct json *j;
	struct buf *b;
	char *text = NULL;
	size_t len = 0;

	if (resolve(c, p, arg, &a) != 0) {
		answer_text(sh, 2, a.line);
		return;
	}
	j = shell_answer_explain(&a, p->user, &p->who, arg, NOT_YOURS);
	if (a.outcome != ACCESS_DENIED) {
		answer_json(sh, 0, j);
		return;
	}
	b = buf_new(PART_MAX);
	if (b == NULL || json_text(j, false, PART_MAX, &text, &len) != 0 ||
	    buf_put(b, text, len) != 0) {
		buf_free(b);
		answer_text(sh, 3, "out of memory");
	} else {
		answer_late(sh, c, POL_SHELL_ANSWER, b);
	}
	json_free(j);
	free(text);
}

static const struct {
	const char *verb;
	void (*ask)(
	    struct serve_shell *sh, struct serve_conn *c, const struct person *p, const char *arg);
} verbs[] = {
	{ "hosts", ask_hosts },
	{ "whoami", ask_whoami },
	{ "explain", ask_explain },
};

static int
get_texts(const struct ipc_msg *msg, char *verb, size_t verb_size, char *arg, size_t arg_size)
{
	struct buf *b = buf_view(msg->data, msg->len);
	int r = -ENOMEM;

	if (b != NULL && (r = verb != NULL ? buf_get_cstr(b, verb, verb_size) : 0) == 0 &&
	    (r = buf_get_cstr(b, arg, arg_size)) == 0)
		r = buf_end(b);
	buf_free(b);
	return r;
}

static int
on_ask(void *arg, struct ipc_msg *msg)
{
	struct serve_shell *sh = arg;
	struct serve_conn *c = serve_conn_find(sh->s, sh->conn);
	char verb[16], what[TARGET_SIZE];
	struct person p = { .why = NULL };
	size_t v = 0;
	int r = get_texts(msg, verb, sizeof(verb), what, sizeof(what));

	while (v < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[v].verb, verb) != 0)
		v++;
	if (r != 0 || v == sizeof(verbs) / sizeof(verbs[0]))
		return r != 0 ? r : ERR_FORMAT;
	ipc_set_state(sh->ipc, SHELL_BUSY);
	r = c != NULL ? person_read(c, &p) : ERR_DENIED;
	if (r == 0)
		verbs[v].ask(sh, c, &p, what);
	else
		answer_text(sh, 3, r == ERR_DENIED ? NOT_VALID : "out of memory");
	person_done(&p);
	return 0;
}

/* Legs to hosts. */

static struct buf *
connected(uint32_t leg, const char *line)
{
	struct buf *b = buf_new(1024);

	if (b != NULL && (buf_put_u32(b, leg) != 0 || buf_put_cstr(b, line) != 0)) {
		buf_free(b);
		b = NULL;
	}
	return b;
}

static int
say_connected(struct serve_shell *sh, uint32_t leg, const char *line)
{
	struct buf *b = connected(leg, line);
	int r = b == NULL ? -ENOMEM : ipc_send_buf(sh->ipc, POL_SHELL_CONNECTED, 0, b);

	buf_free(b);
	ipc_set_state(sh->ipc, SHELL_IDLE);
	return r == ERR_PEER_GONE ? 0 : r;
}

static int
refuse(struct serve_shell *sh, struct serve_conn *c, const struct access *a)
{
	struct buf *b;

	if (a->outcome == ACCESS_SAY)
		return say_connected(sh, 0, a->line);
	if ((b = connected(0, NOT_YOURS)) == NULL)
		return -ENOMEM;
	answer_late(sh, c, POL_SHELL_CONNECTED, b);
	return 0;
}

/* A second factor is asked for in the shell, where it can be. */
static int
ask_factor(struct serve_shell *sh, struct serve_conn *c, const char *target, struct outcome *o,
    const struct person *p)
{
	const struct access *a = o->access;
	const char *line = NULL;
	char where[2 * NAMES_FIELD_SIZE];

	if (pass_has(&c->pass, SET_KEYBOARD_INTERACTIVE))
		line = NEEDS_KEY;
	else if (c->auth.n_pam >= AUTH_PAM_MAX)
		line = TOO_MANY;
	if (line != NULL) {
		event(c, p, o);
		return say_connected(sh, 0, line);
	}
	c->auth.n_pam++;
	if (str_format(where, sizeof(where), "%s@%s", a->login, a->host_name) != 0)
		return ERR_LIMIT;
	if (sh->target != target && str_copy(sh->target, sizeof(sh->target), target) != 0)
		return ERR_LIMIT;
	return serve_pam_start(&sh->pam, c, c->pass.identity, where, c->pass.identity);
}

/* pam: what the person has just been asked; NULL: nothing. */
static int
connect_to(struct serve_shell *sh, struct serve_conn *c, const struct person *p, const char *target,
    const struct auth_pam *pam)
{
	struct access a;
	struct outcome o = {
		.event = "connect.denied", .method = "shell", .access = &a, .pam = pam
	};
	int e = resolve(c, p, target, &a);

	o.reason = a.reason;
	if (e == 0 && a.outcome == ACCESS_MFA)
		return ask_factor(sh, c, target, &o, p);
	if (e == 0 && a.outcome == ACCESS_ALLOWED && grant(c, p, &a, sh->leg, &o.leg) != 0)
		o.reason = "no-grant";
	if (o.leg != 0)
		o.event = "connect.allowed";
	event(c, p, &o);
	if (o.leg != 0)
		c->s->n_allowed++;
	else
		c->s->n_denied++;
	if (o.leg != 0)
		return say_connected(sh, o.leg, "");
	if (a.outcome == ACCESS_ALLOWED)
		return say_connected(
		    sh, 0, "the bastion could not open a session; try again later");
	return refuse(sh, c, &a);
}

/* Whoever they are now, they are not let through: pam is why, or, with NULL, their login is not valid any more. */
static int
not_connected(struct serve_shell *sh, struct serve_conn *c, const struct person *p,
    const char *reason, const struct auth_pam *pam)
{
	const struct access none = { .outcome = ACCESS_DENIED };
	const struct outcome o = { .event = "connect.denied",
		.method = "shell",
		.reason = reason,
		.access = &none,
		.pam = pam };
	char line[160];
	struct buf *b;

	event(c, p, &o);
	if (pam == NULL)
		return say_connected(sh, 0, NOT_VALID);
	c->s->n_denied++;
	serve_charge(c->s, c->id, POL_FAILURE_AUTH);
	(void)snprintf(line, sizeof(line), NOT_PROVED, c->ref);
	if ((b = connected(0, line)) == NULL)
		return -ENOMEM;
	c->arrived_ns = clock_boot_ns();
	answer_late(sh, c, POL_SHELL_CONNECTED, b);
	return 0;
}

static int
on_connect(void *arg, struct ipc_msg *msg)
{
	struct serve_shell *sh = arg;
	struct serve_conn *c = serve_conn_find(sh->s, sh->conn);
	struct person p = { .why = NULL };
	char target[TARGET_SIZE];
	int r = get_texts(msg, NULL, 0, target, sizeof(target));

	if (r != 0)
		return r;
	ipc_set_state(sh->ipc, SHELL_BUSY);
	if (sh->s->recorder == NULL)
		return say_connected(sh, 0, NO_RECORDER);
	if (c == NULL)
		return say_connected(sh, 0, NOT_VALID);
	r = person_read(c, &p);
	r = r == 0 ? connect_to(sh, c, &p, target, NULL)
		   : not_connected(sh, c, &p, r == ERR_DENIED ? p.why : err_str(r), NULL);
	person_done(&p);
	return r;
}

/* It is the connection's from now on: the next host that wants a second factor has it. */
static int
take_factor(struct serve_conn *c, const struct auth_pam *pam, const char **ret_reason)
{
	struct pass next;
	int r;

	*ret_reason = "no-policy";
	if (c->s->set == NULL)
		return ERR_DENIED;
	if ((r = pass_copy(&next, &c->pass)) != 0)
		return r;
	r = auth_pam_take(c->s->set, &next, c->pass.identity, pam, ret_reason);
	if (r != 0) {
		pass_done(&next);
		return r;
	}
	pass_done(&c->pass);
	c->pass = next;
	return 0;
}

/* The person was asked; on with what it was for. */
static void
on_pam_done(struct serve_pam *pam_of, const struct auth_pam *pam)
{
	struct serve_shell *sh = LIST_FIRST(&pam_of->s->shells);
	struct serve_conn *c = serve_conn_find(pam_of->s, pam_of->conn);
	struct person p = { .why = NULL };
	const char *reason = NULL;
	int r;

	while (sh != NULL && &sh->pam != pam_of)
		sh = LIST_NEXT(sh, link);
	if (sh == NULL || c == NULL)
		return;
	r = take_factor(c, pam, &reason);
	if (r == 0 && (r = person_read(c, &p)) == ERR_DENIED)
		reason = p.why;
	if (r == 0)
		r = sh->s->recorder != NULL ? connect_to(sh, c, &p, sh->target, pam)
					    : say_connected(sh, 0, NO_RECORDER);
	else if (r == ERR_DENIED)
		r = not_connected(sh, c, &p, reason, pam);
	person_done(&p);
	if (r != 0)
		give_up(sh, r);
}

/* Edges. */

static void
on_timer(void *arg)
{
	struct serve_shell *sh = arg;

	if (sh->late != NULL)
		say_late(sh);
	else if (sh->list != NULL)
		list_step(sh);
}

static const struct ipc_rule shell_rules[] = {
	{ POL_SHELL_ASK, "ask", 8, 1024, 0, 1u << SHELL_IDLE, on_ask },
	{ POL_SHELL_CONNECT, "connect", 4, 1024, 0, 1u << SHELL_IDLE, on_connect },
};

static void
on_gone(void *arg, int err)
{
	struct serve_shell *sh = arg;

	if (err != ERR_PEER_GONE)
		log_warn("policy.shell_broken leg=%u reason=\"%s\"", sh->leg, err_str(err));
	serve_pam_stop(&sh->pam);
	shell_free(sh);
}

int
serve_shell_edge(struct serve *s, uint32_t leg, int fd)
{
	const struct leg *l = serve_leg_find(s, leg);
	struct serve_shell *sh;
	struct ipc_conf conf = { .name = "policy-shell",
		.queue_max = QUEUE_MAX,
		.rules = shell_rules,
		.n_rules = sizeof(shell_rules) / sizeof(shell_rules[0]),
		.gone = on_gone };
	int r;

	if (l == NULL || l->back != POL_BACK_SHELL)
		return ERR_NOT_FOUND;
	if ((sh = calloc(1, sizeof(*sh))) == NULL)
		return -ENOMEM;
	sh->s = s;
	sh->leg = leg;
	sh->conn = l->conn;
	conf.arg = sh;
	serve_pam_init(&sh->pam, s, l->conn, leg, on_pam_done);
	if ((r = loop_timer_new(s->loop, on_timer, sh, &sh->timer)) != 0 ||
	    (r = ipc_new(s->loop, fd, &conf, &sh->ipc)) != 0) {
		loop_timer_free(sh->timer);
		free(sh);
		return r;
	}
	LIST_INSERT_HEAD(&s->shells, sh, link);
	return 0;
}
