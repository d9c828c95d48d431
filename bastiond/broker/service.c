/* Long-lived programs and their restarts. */
#include "config.h"

#include <signal.h>

#include "bastiond/broker/service.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"

#define SERVICE_ARGS 16
#define SERVICE_FDS 4
#define SERVICE_LAST_NS (2 * CLOCK_NS_PER_S) /* from closing the edge to the end */

static const char *const state_names[] = { "stopped", "waiting", "starting", "ready", "ending" };

static void service_on_timer(void *arg);

int
service_init(struct service *s, const struct service_conf *conf)
{
	*s = (struct service){ .conf = *conf };
	return loop_timer_new(conf->loop, service_on_timer, s, &s->timer);
}

void
service_done(struct service *s)
{
	ipc_free(s->edge);
	process_free(s->process);
	loop_timer_free(s->timer);
	*s = (struct service){ 0 };
}

bool
service_is_up(const struct service *s)
{
	return s->edge != NULL;
}

bool
service_is_ready(const struct service *s)
{
	return s->state == SERVICE_READY;
}

const char *
service_state_name(const struct service *s)
{
	return state_names[s->state];
}

/* Deaths within the window, the latest included. */
static unsigned
service_recent_deaths(const struct service *s)
{
	uint64_t now = clock_boot_ns();
	unsigned n = 0;

	for (unsigned i = 0; i < SERVICE_DEATHS; i++)
		n += s->deaths_ns[i] != 0 && now - s->deaths_ns[i] < SERVICE_WINDOW_NS;
	return n;
}

/* Note a death and try again later. what: what happened. */
static void
service_retry(struct service *s, const char *what)
{
	uint64_t delay;
	unsigned n;

	s->deaths_ns[s->n_deaths++ % SERVICE_DEATHS] = clock_boot_ns();
	n = service_recent_deaths(s);
	delay = n >= SERVICE_DEATHS ? SERVICE_SLOW_NS : SERVICE_FIRST_NS << (n - 1);
	s->state = SERVICE_WAITING;
	loop_timer_arm(s->timer, delay);
	if (n >= SERVICE_DEATHS)
		log_err("service.keeps_dying role=%s last=\"%s\" deaths_in_60s=%u "
			"next=\"tried again every 10 s; nobody new gets in until it stays up: see "
			"the lines above\"",
		    s->conf.name, what, n);
	else
		log_err("service.died role=%s what=\"%s\" next=\"started again in %u ms\"",
		    s->conf.name, what, (unsigned)(delay / CLOCK_NS_PER_MS));
}

static void
service_on_exit(void *arg, int status)
{
	struct service *s = arg;
	char what[64];

	s->process = NULL;
	ipc_free(s->edge);
	s->edge = NULL;
	loop_timer_disarm(s->timer);
	proc_status_text(what, sizeof(what), status);
	if (s->wanted) {
		s->restarts++;
		service_retry(s, what);
	} else {
		s->state = SERVICE_STOPPED;
		log_info("service.ended role=%s what=\"%s\"", s->conf.name, what);
	}
	s->conf.down(s->conf.arg, what);
}

/* Its edge is over while it still runs: it has lost its mind or is about to end. */
static void
service_on_gone(void *arg, int err)
{
	struct service *s = arg;

	ipc_free(s->edge);
	s->edge = NULL;
	if (!s->wanted)
		return; /* the time it has to end is running */
	s->state = SERVICE_ENDING;
	/* One that closes its edge in order to end gets the moment that takes. */
	loop_timer_arm(s->timer, SERVICE_LAST_NS);
	if (err != ERR_PEER_GONE) {
		log_err("service.edge_broken role=%s reason=\"%s\" next=\"it is killed\"",
		    s->conf.name, err_str(err));
		process_kill(s->process, SIGKILL);
	}
}

/* Start the program; once it runs, all that follows is told by its end. */
static int
service_spawn(struct service *s)
{
	const char *argv[SERVICE_ARGS] = { NULL };
	int fds[SERVICE_FDS] = { -1, -1, -1, -1 }, pair[2] = { -1, -1 };
	struct proc_spec spec = {
		.name = s->conf.name, .argv = argv, .fds = fds, .n_fds = SERVICE_FDS
	};
	struct ipc_conf edge = { .name = s->conf.name,
		.rules = s->conf.rules,
		.n_rules = s->conf.n_rules,
		.arg = s,
		.gone = service_on_gone };
	int r;

	if ((r = s->conf.prepare(s->conf.arg, &spec, argv, fds)) != 0 || (r = ipc_pair(pair)) != 0)
		goto out;
	fds[0] = pair[1];
	pair[1] = -1;
	if ((r = process_start(
		 s->conf.loop, s->conf.ops, &spec, service_on_exit, s, &s->process)) != 0)
		goto out;
	if ((r = ipc_new(s->conf.loop, pair[0], &edge, &s->edge)) == 0)
		pair[0] = -1;
	else
		process_kill(s->process, SIGKILL);
out:
	for (size_t i = 0; i < SERVICE_FDS; i++)
		fd_close(&fds[i]);
	fd_close(&pair[0]);
	return s->process != NULL ? 0 : r;
}

static void
service_try(struct service *s)
{
	int r = service_spawn(s);

	if (r != 0) {
		service_retry(s, err_str(r));
		s->conf.down(s->conf.arg, err_str(r));
		return;
	}
	s->state = s->edge != NULL ? SERVICE_STARTING : SERVICE_ENDING;
	s->generation++;
	s->since_ns = clock_wall_ns();
	log_info("service.started role=%s pid=%d", s->conf.name, (int)process_pid(s->process));
	if (s->edge == NULL)
		return;
	if (s->conf.ready_within_ns != 0)
		loop_timer_arm(s->timer, s->conf.ready_within_ns);
	s->conf.up(s->conf.arg);
}

static void
service_on_timer(void *arg)
{
	struct service *s = arg;

	if (s->state == SERVICE_WAITING) {
		service_try(s);
		return;
	}
	log_err("service.stuck role=%s state=%s next=\"it is killed\"", s->conf.name,
	    service_state_name(s));
	process_kill(s->process, SIGKILL);
}

void
service_start(struct service *s)
{
	s->wanted = true;
	service_try(s);
}

void
service_ready(struct service *s)
{
	if (s->state != SERVICE_STARTING)
		return;
	s->state = SERVICE_READY;
	s->was_ready = true;
	loop_timer_disarm(s->timer);
}

void
service_let_end(struct service *s, uint64_t grace_ns)
{
	s->wanted = false;
	if (s->process == NULL) {
		s->state = SERVICE_STOPPED;
		loop_timer_disarm(s->timer);
		return;
	}
	s->state = SERVICE_ENDING;
	loop_timer_arm(s->timer, grace_ns);
}

void
service_stop(struct service *s, uint64_t grace_ns)
{
	ipc_free(s->edge);
	s->edge = NULL;
	service_let_end(s, grace_ns);
}
