/*
 * Who is connected to whom: the long-lived programs with their edges, one front per connection, one back per leg,
 * and what happens when any of them ends, in any order. The rules that it keeps:
 *  - a grant's parts leave the broker only after the recorder has said REC_OPENED;
 *  - every descriptor that was made for somebody is closed here once it was sent, or when that somebody is gone;
 *  - a program that breaks its edge's rules ends; the broker and the others go on.
 */
#ifndef BASTION_BROKER_WIRING_H
#define BASTION_BROKER_WIRING_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bastiond/broker/limits.h"
#include "bastiond/broker/mark.h"
#include "bastiond/broker/policy_files.h"
#include "bastiond/broker/process.h"
#include "bastiond/broker/programs.h"
#include "bastiond/broker/settings.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/loop.h"
#include "lib/net.h"

#define WIRING_OWN_MAX 64u /* addresses of our own that backs never connect to */

struct wiring;

struct wiring_conf {
	struct loop *loop;
	const struct process_ops *ops;
	const struct programs *programs;
	struct mark *mark; /* borrowed; NULL: the wall clock is all there is */
	/* Taken over from success on. */
	struct settings *settings;
	struct policy_files *files;
	/* A service became ready or ended; also when everything has stopped. */
	void (*changed)(void *arg);
	void *arg;
};

/* 0; -ENOMEM; -errno. Owned by caller, free with wiring_free(). */
int wiring_new(const struct wiring_conf *conf, struct wiring **ret_wiring) MUST_CHECK;
void wiring_free(struct wiring *w);

/* Start keys, policy and recorder. */
void wiring_start(struct wiring *w);
/* All three have said that they are ready (the vault may still be locked). */
bool wiring_is_ready(const struct wiring *w);
bool wiring_vault_locked(const struct wiring *w);
/* One of them ended before it was ever ready: why, or NULL. For the start, which gives up then. Borrowed. */
const char *wiring_start_failed(const struct wiring *w);

/* What a connection is about, as the kernel says. */
struct wiring_peer {
	struct net_addr source, local;
	uint16_t source_port, local_port;
};
/*
 * Take a client. fd: taken over on success, else the caller's.
 * 0; ERR_DENIED: not now, *ret_line (static) is for the client and *ret_name for the log; negative: could not.
 */
int wiring_accept(struct wiring *w, int fd, const struct wiring_peer *peer, const char **ret_line,
    const char **ret_name) MUST_CHECK;

/* Our own addresses with ports ("[::1]:2222"), copied; the first n are told to every back. */
void wiring_set_own(struct wiring *w, char own[][NET_PORT_TEXT_SIZE], size_t n);

/*
 * Put files to the running policy; done(arg, good, text) once it has answered. On good the wiring has taken over
 * settings and files, else they are the caller's again. 0; ERR_ORDER: another one is under way; negative.
 */
typedef void (*wiring_loaded_fn)(void *arg, bool good, const char *text);
int wiring_reload(struct wiring *w, struct settings *settings, struct policy_files *files,
    wiring_loaded_fn done, void *arg) MUST_CHECK;
const struct settings *wiring_settings(const struct wiring *w);
const struct limits *wiring_limits(const struct wiring *w);

/* Have what was rendered of recordings made anew. 0; ERR_ORDER the indexer does not run; negative. */
int wiring_index_rebuild(struct wiring *w) MUST_CHECK;
/* An administrator wants a session to end. sid: 32 hex digits. 0; ERR_NOT_FOUND no such running session; negative. */
int wiring_kill_session(struct wiring *w, const char *sid, const char *who) MUST_CHECK;
/* An auditor's order about a session. done: called once, with an exit code of bastionctl and one line. */
typedef void (*wiring_ordered_fn)(void *arg, uint8_t code, const char *text);
struct wiring_order {
	const char *sid, *who,
	    *why;  /* sid: 32 hex digits, looked at by the recorder; borrowed for the call */
	bool hold; /* wiring_hold(): hold it, else let it go */
	wiring_ordered_fn done;
	void *arg;
};
/* Erase, hold, or let go. 0; ERR_ORDER the recorder does not run; ERR_LIMIT too many at once; -ENOMEM; negative. */
int wiring_erase(struct wiring *w, const struct wiring_order *order) MUST_CHECK;
int wiring_hold(struct wiring *w, const struct wiring_order *order) MUST_CHECK;
/* Nobody waits any more. */
void wiring_order_forget(struct wiring *w, void *arg);
/* An edge to the vault's administration. *ret_fd: owned by caller. 0; ERR_ORDER it does not run; negative. */
int wiring_keys_admin(struct wiring *w, const char *who, int *ret_fd) MUST_CHECK;
/* A reader with these arguments (NULL-terminated, checked by the caller). *ret_fd: owned by caller. 0; negative. */
int wiring_reader(struct wiring *w, const char *const *args, int *ret_fd) MUST_CHECK;

/*
 * Put an event into the record. event: taken. With durable: called once, ok false when that could not be found out.
 * Without: kept and sent again until the recorder has confirmed it.
 */
typedef void (*wiring_durable_fn)(void *arg, bool ok);
void wiring_audit(struct wiring *w, struct json *event);
int wiring_audit_wait(
    struct wiring *w, struct json *event, wiring_durable_fn durable, void *arg) MUST_CHECK;
/* Nobody waits any more. */
void wiring_audit_forget(struct wiring *w, void *arg);

/* Everything for status, in a map that done() owns. Called within two seconds, once. 0; -ENOMEM. */
typedef void (*wiring_status_fn)(void *arg, struct json *status);
int wiring_status(struct wiring *w, wiring_status_fn done, void *arg) MUST_CHECK;
void wiring_status_forget(struct wiring *w, void *arg);

/* End everything in order: fronts, recorder, the rest. changed() is called on the way; wiring_stopped() tells. */
void wiring_stop(struct wiring *w, const char *line);
bool wiring_stopped(const struct wiring *w);

#endif
