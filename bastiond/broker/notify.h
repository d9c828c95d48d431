/* Telling the service manager: sd_notify(3)'s protocol, without its library. Nothing happens where there is no socket. */
#ifndef BASTION_BROKER_NOTIFY_H
#define BASTION_BROKER_NOTIFY_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

struct notify;

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC; before the sandbox. Owned by caller, free with notify_free(). 0; -ENOMEM; -errno. */
int notify_new(struct loop *l, struct notify **ret_notify) MUST_CHECK;
void notify_free(struct notify *n);
/* "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=...". The time that RELOADING=1 needs is added. */
void notify_say(struct notify *n, const char *what);

#endif
