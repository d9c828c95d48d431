/* STATE/control.sock: requests of bastionctl, from the user who runs bastiond and from root only. */
#ifndef BASTION_BROKER_CONTROL_H
#define BASTION_BROKER_CONTROL_H

#include <stdbool.h>

#include "bastiond/broker/wiring.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/loop.h"

#define CONTROL_CLIENTS_MAX 32u

struct control;

struct control_conf {
	struct loop *loop;
	struct wiring *wiring; /* borrowed */
	/* Begin a reload; its end is told by control_reloaded(). */
	void (*reload)(void *arg);
	/* Add what only the owner knows to the status. */
	void (*fill_status)(void *arg, struct json *status);
	void *arg;
};

/*
 * Listen on control.sock in the folder dir, mode 0600; a stale one is replaced (the caller holds the state's lock).
 * *ret_control: owned by caller, free with control_free(). 0; -errno.
 */
int control_new(
    const char *dir, const struct control_conf *conf, struct control **ret_control) MUST_CHECK;
void control_free(struct control *c);
/* A reload is over: whoever asked for one is answered. */
void control_reloaded(struct control *c, bool good, const char *text);

#endif
