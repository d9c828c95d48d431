/* The state of each place: what waits for it, the program that runs for it, and how long it has been failing. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/push.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/str.h"

#define PUSH_WHY_SIZE 256u
#define PUSH_ARGS (SETTINGS_PUSH_ARGS + 4u)

struct place {
	struct push *push;
	struct settings_push conf; /* a copy: the settings go with a reload */
	char name[256];		   /* "url https://..."; escaped, cut */
	char *note;		   /* waits; NULL: nothing does */
	char *sent;		   /* the running program has it */
	size_t len, sent_len;
	struct process *process;  /* NULL: none runs */
	int why_fd;		  /* what it says on failure; -1: none runs */
	struct loop_timer *timer; /* kills it, or ends the pause */
	uint64_t pause_ns;	  /* before the next try; 0: it works */
	uint64_t failing_ns;	  /* boot clock of the first failure; 0: it works */
	uint64_t failing_wall_ns, pushed_wall_ns;
	uint64_t pushed_ns; /* boot clock of the last time that it worked */
	bool alarmed, killed;
	char why[PUSH_WHY_SIZE];
};

struct push {
	struct push_conf conf;
	struct place *places; /* conf.n */
	bool stopping;
};

static void place_try(struct place *at);

/* What the program said, or how it ended. */
static void
place_read_why(struct place *at, int status)
{
	char text[PUSH_WHY_SIZE / 2];
	ssize_t n = read(at->why_fd, text, sizeof(text) - 1);

	if (at->killed)
		(void)snprintf(at->why, sizeof(at->why), "no answer in time");
	else if (n > 0)
		str_escape(at->why, sizeof(at->why), text, (size_t)n);
	else
		(void)proc_status_text(at->why, sizeof(at->why), status);
}

static void
place_worked(struct place *at)
{
	bool alarmed = at->alarmed;

	at->pushed_wall_ns = clock_wall_ns();
	at->pushed_ns = clock_boot_ns();
	at->failing_ns = at->pause_ns = 0;
	at->alarmed = false;
	at->why[0] = '\0';
	free(at->sent);
	at->sent = NULL;
	if (alarmed)
		at->push->conf.alarm(at->push->conf.arg, at->name, true, "");
}

/* What was sent waits again, unless something newer does. */
static void
place_take_back(struct place *at)
{
	if (at->note == NULL) {
		at->note = at->sent;
		at->len = at->sent_len;
		at->sent = NULL;
	}
	free(at->sent);
	at->sent = NULL;
}

/* A longer pause each time. Failing is told once, when it has lasted. */
static void
place_failed(struct place *at)
{
	const struct push_conf *conf = &at->push->conf;
	uint64_t now = clock_boot_ns();

	place_take_back(at);
	if (at->failing_ns == 0) {
		at->failing_ns = now;
		at->failing_wall_ns = clock_wall_ns();
	}
	at->pause_ns = at->pause_ns == 0 ? conf->pause_ns : at->pause_ns * 2;
	if (at->pause_ns > PUSH_PAUSE_MAX_NS)
		at->pause_ns = PUSH_PAUSE_MAX_NS;
	log_info("push.failed to=\"%s\" reason=\"%s\"", at->name, at->why);
	if (at->alarmed || now - at->failing_ns < conf->alarm_ns)
		return;
	at->alarmed = true;
	conf->alarm(conf->arg, at->name, false, at->why);
}

static void
place_on_exit(void *arg, int status)
{
	struct place *at = arg;
	struct push *p = at->push;

	at->process = NULL;
	loop_timer_disarm(at->timer);
	if (status == 0 && !at->killed) {
		place_worked(at);
	} else {
		place_read_why(at, status);
		place_failed(at);
	}
	fd_close(&at->why_fd);
	if (at->pause_ns == 0)
		place_try(at);
	else if (!p->stopping)
		loop_timer_arm(at->timer, at->pause_ns);
	if (p->stopping && push_is_idle(p))
		p->conf.idle(p->conf.arg);
}

static void
place_on_timer(void *arg)
{
	struct place *at = arg;

	if (at->process == NULL) {
		place_try(at);
		return;
	}
	at->killed = true;
	process_kill(at->process, SIGKILL);
}

static void
place_arguments(const struct settings_push *conf, const char *argv[PUSH_ARGS])
{
	size_t n = 0;

	argv[n++] = settings_push_kind(conf->kind);
	argv[n++] = conf->to;
	for (size_t i = 0; i < conf->n_args; i++)
		argv[n++] = conf->args[i];
	if (conf->kind == PUSH_URL) {
		argv[n++] = conf->ca;
		argv[n++] = conf->token;
	}
	if (conf->kind == PUSH_SYSLOG)
		argv[n++] = conf->socket;
	argv[n] = NULL;
}

/* The note stands in a pipe before the program starts: it is shorter than what a pipe holds. */
static int
place_spawn(struct place *at)
{
	const struct push_conf *conf = &at->push->conf;
	const char *argv[PUSH_ARGS];
	int note[2] = { -1, -1 }, why[2] = { -1, -1 }, fds[2], r = 0;
	struct proc_spec spec = { .argv = argv, .fds = fds, .n_fds = 2, .group = true };

	place_arguments(&at->conf, argv);
	if (pipe2(note, O_CLOEXEC) != 0 || pipe2(why, O_CLOEXEC) != 0)
		r = -errno;
	if (r == 0)
		r = file_write_all(note[1], at->sent, at->sent_len);
	if (r == 0 && fcntl(why[0], F_SETFL, O_NONBLOCK) != 0)
		r = -errno;
	if (r == 0) {
		fds[0] = note[0];
		fds[1] = why[1];
		programs_spec(conf->programs, PROGRAM_PUSH, &spec);
		r = process_start(conf->loop, conf->ops, &spec, place_on_exit, at, &at->process);
	}
	if (r == 0) {
		at->why_fd = why[0];
		why[0] = -1;
	}
	for (size_t i = 0; i < 2; i++) {
		fd_close(&note[i]);
		fd_close(&why[i]);
	}
	return r;
}

/* What waits, if anything does. */
static void
place_try(struct place *at)
{
	struct push *p = at->push;
	int r;

	if (at->note == NULL || at->process != NULL)
		return;
	at->killed = false;
	at->sent = at->note;
	at->sent_len = at->len;
	at->note = NULL;
	if ((r = place_spawn(at)) == 0) {
		loop_timer_arm(at->timer, p->stopping ? PUSH_LAST_NS : p->conf.deadline_ns);
		return;
	}
	(void)snprintf(at->why, sizeof(at->why), "it cannot be started: %s", err_str(r));
	place_failed(at);
	if (!p->stopping)
		loop_timer_arm(at->timer, at->pause_ns);
}

int
push_new(const struct push_conf *conf, struct push **ret_push)
{
	struct push *p = calloc(1, sizeof(*p));
	int r = 0;

	if (p == NULL)
		return -ENOMEM;
	p->conf = *conf;
	p->conf.to = NULL;
	if (conf->n > 0 && (p->places = calloc(conf->n, sizeof(*p->places))) == NULL)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < conf->n; i++) {
		struct place *at = &p->places[i];
		char name[sizeof(at->name) / 2];

		*at = (struct place){ .push = p, .conf = conf->to[i], .why_fd = -1 };
		(void)snprintf(name, sizeof(name), "%s %.110s",
		    settings_push_kind(conf->to[i].kind), conf->to[i].to);
		str_escape(at->name, sizeof(at->name), name, strlen(name));
		r = loop_timer_new(conf->loop, place_on_timer, at, &at->timer);
	}
	if (r != 0) {
		push_free(p);
		return r;
	}
	*ret_push = p;
	return 0;
}

void
push_free(struct push *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; p->places != NULL && i < p->conf.n; i++) {
		struct place *at = &p->places[i];

		process_free(at->process);
		loop_timer_free(at->timer);
		if (at->push != NULL)
			fd_close(&at->why_fd);
		free(at->note);
		free(at->sent);
	}
	free(p->places);
	free(p);
}

static int
place_take(struct place *at, const void *note, size_t len)
{
	char *copy = malloc(len);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, note, len);
	free(at->note);
	at->note = copy;
	at->len = len;
	/* While it runs or pauses, what is newest then is taken. */
	if (at->process == NULL && (at->pause_ns == 0 || at->push->stopping))
		place_try(at);
	return 0;
}

int
push_take(struct push *p, const void *note, size_t len)
{
	int r = 0;

	if (len == 0 || len > PUSH_TEXT_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; r == 0 && i < p->conf.n; i++)
		r = place_take(&p->places[i], note, len);
	return r;
}

void
push_stop(struct push *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	for (size_t i = 0; i < p->conf.n; i++) {
		loop_timer_disarm(p->places[i].timer);
		if (p->places[i].process != NULL)
			loop_timer_arm(p->places[i].timer, PUSH_LAST_NS);
		else
			place_try(&p->places[i]);
	}
}

bool
push_is_idle(const struct push *p)
{
	for (size_t i = 0; i < p->conf.n; i++)
		if (p->places[i].process != NULL)
			return false;
	return true;
}

void
push_put_problems(const struct push *p, struct json *list)
{
	char line[2 * PUSH_WHY_SIZE + 300];

	for (size_t i = 0; i < p->conf.n; i++) {
		const struct place *at = &p->places[i];

		if (!at->alarmed)
			continue;
		(void)snprintf(line, sizeof(line),
		    "checkpoints do not get to %s: %s: what is kept there will not notice an old "
		    "store",
		    at->name, at->why);
		json_put_str(list, NULL, line);
	}
}

struct json *
push_json(const struct push *p)
{
	struct json *list = json_list();

	for (size_t i = 0; i < p->conf.n; i++) {
		const struct place *at = &p->places[i];
		struct json *j = json_map();

		json_put_str(j, "to", at->name);
		json_put_str(j, "state", at->failing_ns != 0 ? "failing" : "ok");
		if (at->failing_ns != 0) {
			json_put_time(j, "since", at->failing_wall_ns);
			json_put_str(j, "reason", at->why);
		}
		if (at->pushed_wall_ns != 0) {
			json_put_time(j, "pushed_at", at->pushed_wall_ns);
			json_put_u64(j, "age", (clock_boot_ns() - at->pushed_ns) / CLOCK_NS_PER_S);
		} else {
			json_put_null(j, "pushed_at");
			json_put_null(j, "age");
		}
		json_put(list, NULL, j);
	}
	return list;
}
