/* The running bastiond: everything put together, its start, reload and stop. */
#ifndef BASTION_BROKER_BROKER_H
#define BASTION_BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "bastiond/broker/control.h"
#include "bastiond/broker/listen.h"
#include "bastiond/broker/notify.h"
#include "bastiond/broker/policy_files.h"
#include "bastiond/broker/programs.h"
#include "bastiond/broker/refuse.h"
#include "bastiond/broker/settings.h"
#include "bastiond/broker/wiring.h"
#include "lib/err.h"
#include "lib/loop.h"

enum broker_phase { BROKER_STARTS, BROKER_RUNS, BROKER_STOPS };

struct reload;

struct broker {
	struct loop *loop;
	struct programs programs;
	struct settings_about about;
	struct wiring *wiring;
	struct listen_set *listen;
	struct refuse *refuse;
	struct control *control;
	struct mark *mark;
	struct notify *notify;
	struct reload *reload; /* reload.c's own */
	enum broker_phase phase;
	int exit_code;
	uint64_t files;	  /* descriptors that we may have */
	uint64_t said_ns; /* when refusals were last spoken of */
	uint64_t n_unsaid;
	int ready_fd; /* to the parent that waits until we are ready; -1: none */
};

/* What main has made before it became a daemon; all is taken over. */
struct broker_parts {
	struct settings *settings;
	struct programs programs;
	struct settings_about about;
	struct listen_set *listen;
	char libexec[PATH_MAX];
	uint64_t files;
	int ready_fd;
};

/* Run until told to end. Returns the exit code. */
int broker_run(struct broker_parts *parts);

/* reload.c */
int reload_new(struct broker *b) MUST_CHECK;
void reload_free(struct broker *b);
/* Take up the file again; the outcome goes to the log, to the service manager and to control_reloaded(). */
void reload_begin(struct broker *b);

/* A client of any listening socket. */
void broker_on_client(void *arg, int fd, const struct wiring_peer *peer);
/* A warning when so many connections need more descriptors than we may have. */
void broker_check_files(const struct settings *s, uint64_t files);

#endif
