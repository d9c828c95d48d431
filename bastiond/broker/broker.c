/* The frame of the running broker. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastiond/broker/broker.h"
#include "bastiond/broker/privilege.h"
#include "bastiond/broker/state.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/str.h"

#define BROKER_FDS_CONN 4u  /* descriptors for a connection with one leg: two edges, two pidfds */
#define BROKER_FDS_OWN 128u /* for everything else */
#define BROKER_SAY_NS (10 * CLOCK_NS_PER_S) /* between two lines about refused connections */
#define BROKER_PATHS (SETTINGS_CA_MAX + 10 + 3 * SETTINGS_PUSHES_MAX)

void
broker_check_files(const struct settings *s, uint64_t files)
{
	uint64_t most = files > BROKER_FDS_OWN ? (files - BROKER_FDS_OWN) / BROKER_FDS_CONN : 0;

	if (most < s->connections)
		log_warn(
		    "limits.files open_files=%llu limits.connections=%llu next=\"at most about "
		    "%llu connections: raise the limit of open files (ulimit -n, LimitNOFILE=) or "
		    "lower limits.connections\"",
		    (unsigned long long)files, (unsigned long long)s->connections,
		    (unsigned long long)most);
}

/* In a flood one line every few seconds says what was refused. */
static void
broker_say_refused(struct broker *b, const struct wiring_peer *peer, const char *name)
{
	uint64_t now = clock_boot_ns();
	char text[NET_PORT_TEXT_SIZE];

	b->n_unsaid++;
	if (b->said_ns != 0 && now - b->said_ns < BROKER_SAY_NS)
		return;
	log_notice("conn.refused source=%s reason=\"%s\" refused_since_last_line=%llu",
	    net_port_text(text, sizeof(text), &peer->source, peer->source_port), name,
	    (unsigned long long)b->n_unsaid);
	b->said_ns = now;
	b->n_unsaid = 0;
}

void
broker_on_client(void *arg, int fd, const struct wiring_peer *peer)
{
	struct broker *b = arg;
	const char *line = NULL, *name = NULL;
	int r = wiring_accept(b->wiring, fd, peer, &line, &name);

	if (r == 0)
		return;
	if (r != ERR_DENIED) {
		name = err_str(r);
		line = "The bastion cannot serve another connection now";
	}
	broker_say_refused(b, peer, name);
	refuse_client(b->refuse, fd, line);
}

static void
broker_audit(struct broker *b, const char *event)
{
	struct json *e = json_event(event);

	json_put_str(e, "version", PACKAGE_VERSION);
	json_put_u64(e, "pid", (uint64_t)getpid());
	wiring_audit(b->wiring, e);
}

static void
broker_tell_parent(struct broker *b)
{
	if (b->ready_fd >= 0 && file_write_all(b->ready_fd, "R", 1) != 0)
		log_debug("daemon.parent_gone");
	fd_close(&b->ready_fd);
}

static void
broker_fail(struct broker *b, const char *why)
{
	log_err("start.failed reason=\"%s\"", why);
	b->exit_code = 1;
	loop_stop(b->loop);
}

/* A recorder with a uid of its own cannot put its public key where everybody looks for it. */
static void
broker_publish_key(const struct broker *b)
{
	uid_t uid = b->programs.uid[PROGRAM_RECORDER];
	int r = uid != geteuid() ? state_publish_key(uid) : 0;

	if (r != 0)
		log_warn("recorder.key_not_published reason=\"%s\" next=\"verifying needs "
			 "recorder/recorder.pub of the state directory\"",
		    err_str(r));
}

static void
broker_ready(struct broker *b)
{
	char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE], text[LISTEN_TEXT_SIZE], sandbox[128];
	int r;

	wiring_set_own(b->wiring, own, listen_own(b->listen, own));
	if ((r = listen_accept(b->listen, b->loop, broker_on_client, b)) != 0) {
		broker_fail(b, err_str(r));
		return;
	}
	b->phase = BROKER_RUNS;
	broker_publish_key(b);
	broker_audit(b, "bastiond.started");
	log_notice("ready listen=%s version=%s sandbox=\"%s\"%s",
	    listen_text(b->listen, text, sizeof(text)), PACKAGE_VERSION,
	    sandbox_describe(sandbox, sizeof(sandbox)),
	    wiring_vault_locked(b->wiring) ? " vault=locked" : "");
	notify_say(b->notify, "READY=1");
	broker_tell_parent(b);
}

static void
broker_on_changed(void *arg)
{
	struct broker *b = arg;

	if (b->phase == BROKER_STARTS && wiring_start_failed(b->wiring) != NULL)
		broker_fail(b, wiring_start_failed(b->wiring));
	else if (b->phase == BROKER_STARTS && wiring_is_ready(b->wiring))
		broker_ready(b);
	else if (b->phase == BROKER_STOPS && wiring_stopped(b->wiring))
		loop_stop(b->loop);
}

static void
broker_stop(struct broker *b, int signo)
{
	if (b->phase == BROKER_STOPS) {
		log_warn("stop.at_once reason=\"signal %d again\"", signo);
		b->exit_code = 1;
		loop_stop(b->loop);
		return;
	}
	if (b->phase == BROKER_STARTS) {
		broker_fail(b, "told to end before everything was ready");
		return;
	}
	log_notice("stopping reason=\"signal %d\"", signo);
	b->phase = BROKER_STOPS;
	notify_say(b->notify, "STOPPING=1");
	listen_free(b->listen, NULL);
	b->listen = NULL;
	broker_audit(b, "bastiond.stopped");
	wiring_stop(b->wiring, "The bastion is shutting down");
}

static void
broker_on_signal(void *arg, int signo)
{
	struct broker *b = arg;

	if (signo == SIGHUP)
		reload_begin(b);
	else
		broker_stop(b, signo);
}

static void
broker_fill_status(void *arg, struct json *status)
{
	const struct broker *b = arg;
	struct json *list = json_list();
	char text[NET_PORT_TEXT_SIZE];

	for (size_t i = 0; b->listen != NULL && listen_at(b->listen, i, text, sizeof(text)); i++)
		json_put_str(list, NULL, text);
	json_put(status, "listen", list);
	json_put_str(status, "config", wiring_settings(b->wiring)->file);
	json_put_u64(status, "open_files_limit", b->files);
}

static void
broker_on_reload(void *arg)
{
	reload_begin(arg);
}

/* The folder that a file is in, once; a file without one is in the working directory. */
static void
broker_add_folder(
    char folders[BROKER_PATHS][PATH_MAX], struct sandbox_path *paths, size_t *n, const char *file)
{
	char *slash;

	if (file[0] != '/' || *n >= BROKER_PATHS || str_copy(folders[*n], PATH_MAX, file) != 0)
		return;
	slash = strrchr(folders[*n], '/');
	slash[slash == folders[*n]] = '\0';
	if (access(folders[*n], F_OK) != 0)
		return;
	paths[*n] = (struct sandbox_path){ .path = folders[*n] };
	(*n)++;
}

/* What modules of PAM may reach besides what every program may. */
static void
broker_add_pam(const struct settings *s, struct sandbox_path *paths, size_t *n)
{
	if (s->pam_confdir[0] != '\0')
		paths[(*n)++] = (struct sandbox_path){ .path = s->pam_confdir };
	for (size_t i = 0; i < s->pam_read.n; i++)
		paths[(*n)++] = (struct sandbox_path){ .path = s->pam_read.path[i] };
	for (size_t i = 0; i < s->pam_write.n; i++)
		paths[(*n)++] =
		    (struct sandbox_path){ .path = s->pam_write.path[i], .write = true };
	for (size_t i = 0; i < s->pam_run.n; i++)
		paths[(*n)++] = (struct sandbox_path){ .path = s->pam_run.path[i], .exec = true };
}

/* What bastiond-push needs before it closes its own sandbox; a program's own also to be run. */
static void
broker_add_checkpoints(const struct settings *s, char folders[BROKER_PATHS][PATH_MAX],
    struct sandbox_path *paths, size_t *n)
{
	static const char *const run[] = { "/usr/bin", "/bin" };
	bool runs = false;

	for (size_t i = 0; i < s->n_checkpoints; i++) {
		const struct settings_push *p = &s->checkpoints[i];
		size_t was = *n;

		broker_add_folder(folders, paths, n, p->kind == PUSH_FILE ? p->to : p->ca);
		if (p->kind == PUSH_FILE && *n > was)
			paths[was].write = true;
		broker_add_folder(folders, paths, n, p->token);
		if (p->kind != PUSH_COMMAND)
			continue;
		paths[(*n)++] = (struct sandbox_path){ .path = p->to, .exec = true };
		for (size_t j = 0; !runs && j < 2; j++)
			if (access(run[j], F_OK) == 0)
				paths[(*n)++] =
				    (struct sandbox_path){ .path = run[j], .exec = true };
		runs = true;
	}
}

/* Files get replaced by renaming, so their folders are what stays readable for a reload. */
static int
broker_close_sandbox(const struct settings *s, const char *libexec)
{
	struct sandbox_path paths[BROKER_PATHS + 3 + 3 * SETTINGS_PATHS_MAX];
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char(*folders)[PATH_MAX] = calloc(BROKER_PATHS, PATH_MAX);
	size_t n = 0;
	int r = -ENOMEM;

	if (folders == NULL)
		return r;
	broker_add_folder(folders, paths, &n, s->file);
	broker_add_folder(folders, paths, &n, s->policy);
	broker_add_folder(folders, paths, &n, s->revoked);
	for (size_t i = 0; i < s->n_user_ca; i++)
		broker_add_folder(folders, paths, &n, s->user_ca[i]);
	if (str_starts(s->unlock, "file:"))
		broker_add_folder(folders, paths, &n, s->unlock + strlen("file:"));
	broker_add_checkpoints(s, folders, paths, &n);
	if (credentials != NULL && n < BROKER_PATHS && access(credentials, F_OK) == 0)
		paths[n++] = (struct sandbox_path){ .path = credentials };
	paths[n++] = (struct sandbox_path){ .path = s->state, .write = true };
	paths[n++] = (struct sandbox_path){ .path = libexec, .exec = true };
	broker_add_pam(s, paths, &n);
	if ((r = privilege_drop()) == 0)
		r = sandbox_enter(SANDBOX_BROKER, paths, n);
	free(folders);
	return r;
}

static int
broker_catch_signals(struct broker *b)
{
	static const int signos[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (sigaction(SIGPIPE, &ignore, NULL) != 0)
		return -errno;
	return loop_signals(b->loop, signos, 3, broker_on_signal, b);
}

/* The state folder is the working directory. */
static int
broker_open_mark(struct broker *b, struct conf_err *err)
{
	int r = mark_new(b->loop, "clock", &b->mark);

	if (r == ERR_FORMAT)
		(void)snprintf(err->text, sizeof(err->text),
		    "clock: this file of the state folder holds no moment: was it changed? "
		    "Without it certificates that expired before a clock was set back are good "
		    "again; remove it when the clock is right");
	else if (r != 0)
		(void)snprintf(err->text, sizeof(err->text), "clock: %s", err_str(r));
	return r;
}

/* From the open files to the closed sandbox and the wiring in it. 0; negative, perhaps with a line in *err. */
static int
broker_build(struct broker *b, struct broker_parts *parts, struct conf_err *err)
{
	struct wiring_conf conf = { .ops = &process_real,
		.programs = &b->programs,
		.settings = parts->settings,
		.changed = broker_on_changed,
		.arg = b };
	struct control_conf control = {
		.reload = broker_on_reload, .fill_status = broker_fill_status, .arg = b
	};
	int r;

	if ((r = loop_new(&b->loop)) != 0 || (r = broker_catch_signals(b)) != 0 ||
	    (r = notify_new(b->loop, &b->notify)) != 0 ||
	    (r = refuse_new(b->loop, &b->refuse)) != 0 || (r = reload_new(b)) != 0 ||
	    (r = state_write_pid(parts->settings->state)) != 0)
		return r;
	if ((r = policy_files_open(parts->settings, parts->settings->state, &conf.files, err)) != 0)
		return r;
	conf.loop = control.loop = b->loop;
	if ((r = broker_close_sandbox(parts->settings, parts->libexec)) != 0 ||
	    (r = broker_open_mark(b, err)) != 0 ||
	    (conf.mark = b->mark, r = wiring_new(&conf, &b->wiring)) != 0) {
		policy_files_free(conf.files);
		return r;
	}
	parts->settings = NULL;
	control.wiring = b->wiring;
	return control_new(wiring_settings(b->wiring)->state, &control, &b->control);
}

static void
broker_done(struct broker *b)
{
	reload_free(b);
	control_free(b->control);
	listen_free(b->listen, NULL);
	refuse_free(b->refuse);
	wiring_free(b->wiring);
	mark_free(b->mark);
	notify_free(b->notify);
	loop_free(b->loop);
	programs_close(&b->programs);
	fd_close(&b->ready_fd);
}

int
broker_run(struct broker_parts *parts)
{
	struct broker b = { .programs = parts->programs,
		.about = parts->about,
		.listen = parts->listen,
		.files = parts->files,
		.ready_fd = parts->ready_fd };
	struct conf_err err = { "" };
	char state[PATH_MAX];
	int r;

	(void)snprintf(state, sizeof(state), "%s", parts->settings->state); /* same size */
	r = broker_build(&b, parts, &err);
	if (r == 0) {
		wiring_start(b.wiring);
		if ((r = loop_run(b.loop)) != 0)
			log_err("loop.failed reason=\"%s\"", err_str(r));
	} else {
		log_err("start.failed reason=\"%s\"", err.text[0] != '\0' ? err.text : err_str(r));
	}
	if (r != 0)
		b.exit_code = 1;
	state_remove_pid(state);
	if (b.exit_code == 0)
		log_notice("stopped");
	broker_done(&b);
	free(parts->settings);
	return b.exit_code;
}
