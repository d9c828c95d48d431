/*
 * Reload: everything new is read, bound and put to a policy of its own first; only when all of it is good does the
 * running policy take it, and with it the broker. Whatever fails, the old configuration stays whole.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bastiond/broker/broker.h"
#include "bastiond/broker/check.h"
#include "lib/log.h"

struct reload {
	bool busy, again;
	struct settings *settings;
	struct policy_files *files;
	struct listen_set *listen;
	struct check *check; /* under way; it ends by itself */
};

int
reload_new(struct broker *b)
{
	b->reload = calloc(1, sizeof(*b->reload));
	return b->reload == NULL ? -ENOMEM : 0;
}

static void
reload_drop(struct broker *b)
{
	struct reload *rl = b->reload;

	listen_free(rl->listen, b->listen);
	policy_files_free(rl->files);
	free(rl->settings);
	rl->listen = NULL;
	rl->files = NULL;
	rl->settings = NULL;
}

void
reload_free(struct broker *b)
{
	if (b->reload == NULL)
		return;
	check_free(b->reload->check);
	reload_drop(b);
	free(b->reload);
	b->reload = NULL;
}

static void
reload_end(struct broker *b, bool good, const char *text)
{
	bool again = b->reload->again;

	if (good)
		log_notice("reload.done %s", text);
	else
		log_err("reload.refused reason=\"%s\" next=\"the old configuration stays\"", text);
	reload_drop(b);
	b->reload->busy = b->reload->again = false;
	if (b->phase == BROKER_RUNS)
		notify_say(b->notify, "READY=1");
	control_reloaded(b->control, good, text);
	if (again)
		reload_begin(b);
}

static void
reload_audit(struct broker *b)
{
	struct json *e = json_event("config.reloaded");

	json_put_str(e, "file", wiring_settings(b->wiring)->file);
	wiring_audit(b->wiring, e);
}

static void
reload_on_loaded(void *arg, bool good, const char *text)
{
	struct broker *b = arg;
	char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE], where[LISTEN_TEXT_SIZE];
	char line[LISTEN_TEXT_SIZE + 600];
	int r;

	if (!good || b->phase != BROKER_RUNS) {
		reload_end(b, false, text);
		return;
	}
	b->reload->settings = NULL; /* the wiring's now */
	b->reload->files = NULL;
	listen_free(b->listen, b->reload->listen);
	b->listen = b->reload->listen;
	b->reload->listen = NULL;
	if ((r = listen_accept(b->listen, b->loop, broker_on_client, b)) != 0)
		log_err("listen.failed reason=\"%s\" next=\"restart bastiond\"", err_str(r));
	wiring_set_own(b->wiring, own, listen_own(b->listen, own));
	broker_check_files(wiring_settings(b->wiring), b->files);
	reload_audit(b);
	(void)snprintf(line, sizeof(line), "listen=%s policy=\"%s\"",
	    listen_text(b->listen, where, sizeof(where)), text); /* cut is good enough */
	reload_end(b, true, line);
}

static void
reload_on_checked(void *arg, bool good, const char *text)
{
	struct broker *b = arg;
	struct reload *rl = b->reload;
	int r;

	rl->check = NULL;
	if (!good || b->phase != BROKER_RUNS) {
		reload_end(b, false, text);
		return;
	}
	r = wiring_reload(b->wiring, rl->settings, rl->files, reload_on_loaded, b);
	if (r != 0)
		reload_end(b, false,
		    r == ERR_ORDER ? "policy is being started again: try again" : err_str(r));
}

/* Everything that can be found out here. 0; negative with *err filled. */
static int
reload_prepare(struct broker *b, struct conf_err *err)
{
	const struct settings *now = wiring_settings(b->wiring);
	struct reload *rl = b->reload;
	const char *key;
	int r;

	if ((r = settings_load(now->file, &b->about, &rl->settings, err)) != 0)
		return r;
	if ((key = settings_needs_restart(now, rl->settings)) != NULL) {
		(void)snprintf(err->text, sizeof(err->text),
		    "%.300s: %s was changed: that needs a new start of bastiond", now->file, key);
		return ERR_DENIED;
	}
	if ((r = policy_files_open(rl->settings, now->state, &rl->files, err)) != 0 ||
	    (r = listen_open(rl->settings, b->listen, &rl->listen, err)) != 0)
		return r;
	return check_start(b->loop, &process_real, &b->programs, rl->settings, rl->files,
	    reload_on_checked, b, &rl->check);
}

void
reload_begin(struct broker *b)
{
	struct conf_err err = { "" };
	int r;

	if (b->phase != BROKER_RUNS) {
		control_reloaded(b->control, false, "bastiond is starting or stopping");
		return;
	}
	if (b->reload->busy) {
		b->reload->again = true; /* the file may have changed since it was read */
		return;
	}
	b->reload->busy = true;
	notify_say(b->notify, "RELOADING=1");
	if ((r = reload_prepare(b, &err)) != 0)
		reload_end(b, false, err.text[0] != '\0' ? err.text : err_str(r));
}
